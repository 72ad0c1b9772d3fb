# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Kernels for instructions that no machine at hand has, executed all the same.

`Emulated` compiles a model for any x86-64 target, takes its LLVM IR, replaces the calls of instructions by calls of emulation.c and
lets clang compile the result for this machine: loops, addresses, packed weights and remainders are those of the target, only the
instructions are scalar C. Wide vectors need nothing: LLVM splits them.
"""
import ctypes
import os
import re
import shutil
import struct
import subprocess
import tempfile

import numpy as np
import pytest
from tamis import compiler, model
from tamis.options import make as make_options
from tamis.source import Source

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "emulation.c")
TILE = "<256 x i32>"  # 16 rows of 64 bytes
# Of AVX-512 and AMX; the others are run as they are.
DECLARED = re.compile(r"^declare (.+?) @(llvm\.x86\.(?:avx512|t)[\w.]+)\((.*?)\).*$", re.M)
VECTORS = re.compile(r",\s*(?![^<]*>)")


def emulate(text):
    """LLVM IR without AVX-512 and AMX: their intrinsics become functions that hand vectors over in memory."""
    text = re.sub(r"\bx86_amx\b", TILE, text)
    wrappers = []
    for result, name, arguments in DECLARED.findall(text):
        arguments = VECTORS.split(arguments.replace(" immarg", ""))
        body, passed = [], []
        if result != "void":
            body.append(f"%out = alloca {result}, align 64")
            passed.append("ptr %out")
        for index, kind in enumerate(arguments):
            if not kind.startswith("<"):
                passed.append(f"{kind} %a{index}")
                continue
            body += [f"%m{index} = alloca {kind}, align 64", f"store {kind} %a{index}, ptr %m{index}, align 64"]
            passed.append(f"ptr %m{index}")
        function = "emulated_" + re.sub(r"\W", "_", name.removeprefix("llvm.x86."))
        body.append(f"call void @{function}({', '.join(passed)})")
        body += ["ret void"] if result == "void" else [f"%r = load {result}, ptr %out, align 64", f"ret {result} %r"]
        parameters = ", ".join(f"{kind} %a{index}" for index, kind in enumerate(arguments))
        lines = "\n  ".join(body)
        wrappers += [f"declare void @{function}({', '.join(p.split()[0] for p in passed)})",
                     f"define internal {result} @{name.removeprefix('llvm.')}({parameters}) noinline {{\n  {lines}\n}}"]
    text = re.sub(r"@llvm\.(x86\.(?:avx512|t))", r"@\1", DECLARED.sub("", text))
    text = re.sub(r'"(target-features|target-cpu|tune-cpu|prefer-vector-width)"="[^"]*"', "", text)
    # What the runtime would be linked to.
    text = re.sub(r"^@tamis_model_data = .*?$|^declare hidden .*?$|^define \w+ @m_\w+\(.*?^}$", "", text, flags=re.M | re.S)
    return text.replace("define internal i32 @tamis_compute_0", "define i32 @tamis_compute_0") + "\n".join(wrappers)


def read_section(path, name):
    """The bytes of a section of an ELF file; empty if there is none."""
    with open(path, "rb") as file:
        data = file.read()
    start, = struct.unpack_from("<Q", data, 40)
    size, count, names = struct.unpack_from("<HHH", data, 58)
    headers = [struct.unpack_from("<IIQQQQ", data, start + i * size) for i in range(count)]
    for header in headers:
        at = headers[names][4] + header[0]
        if data[at:data.index(b"\0", at)] == name.encode():
            return data[header[4]:header[4] + header[5]]
    return b""


def aligned(size):
    """`size` bytes at a multiple of 64, as models ask for."""
    memory = np.zeros(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start:start + size]


class Emulated:
    """`data` (ONNX bytes, static shapes) for `target`. `instructions` are those its code calls, by their LLVM name, `layers` the report's."""

    def __init__(self, data, target, **options):
        clang = shutil.which("clang-22")
        if not clang:
            pytest.skip("no clang-22")
        with tempfile.TemporaryDirectory() as folder:
            def path(name):
                return os.path.join(folder, name)

            source = Source(data)
            for kind in ("so", "llvm"):
                compiler.compile_to(source, path(f"m.{kind}"), make_options(target=target, emit=kind, **options))
            with open(path("m.llvm"), encoding="utf8") as file:
                text = file.read()
            self.instructions = {name.removeprefix("llvm.x86.") for _, name, _ in DECLARED.findall(text)}
            with open(path("m.ll"), "w", encoding="utf8") as file:
                file.write(emulate(text))
            subprocess.run([clang, "-shared", "-fPIC", "-O1", "-w", "-march=native", "-o", path("emulated.so"), path("m.ll"), SOURCE, "-lm"],
                           check=True)
            self.layers = model.read_report(path("m.so"))["layers"]
            weights = read_section(path("m.so"), ".lrodata")
            self.library = ctypes.CDLL(path("emulated.so"))
        self.weights = aligned(len(weights))
        self.weights[:] = np.frombuffer(weights, np.uint8)

    def run(self, inputs, outputs):
        """Fills `outputs`, arrays of the right shapes, from `inputs`."""
        def pointers(arrays):
            return (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))

        held = [aligned(array.nbytes) for array in inputs]
        for memory, array in zip(held, inputs):
            memory[:] = np.ascontiguousarray(array).view(np.uint8).reshape(-1)
        results = [aligned(array.nbytes) for array in outputs]
        dims = np.array([size for array in (*inputs, *outputs) for size in array.shape], np.int64)
        workspace = aligned(1 << 24)
        fault = self.library.tamis_compute_0(None, pointers(held), pointers(results), dims.ctypes.data_as(ctypes.c_void_p),
                                             workspace.ctypes.data_as(ctypes.c_void_p), self.weights.ctypes.data_as(ctypes.c_void_p))
        assert fault == 0
        for array, memory in zip(outputs, results):
            array[...] = memory.view(array.dtype).reshape(array.shape)
        return outputs
