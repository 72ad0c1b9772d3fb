# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles functions on memrefs with the passes under test, clang and nothing else, and calls them with numpy arrays."""
import ctypes
import os
import re
import subprocess

TARGETS = {
    "baseline": (["sse2", "sse4.2"], "-msse4.2"),
    "avx2": (["sse2", "avx", "avx2", "fma", "f16c"], "-mavx2 -mfma -mf16c"),
    "avx512": (["sse2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512dq"],
               "-mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512vl -mavx512dq"),
    "vbmi": (["sse2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512vbmi"],
             "-mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vbmi"),
}
PASSES = ("builtin.module(func.func(tamis-fuse-rows),canonicalize,cse,func.func(tamis-vectorize-loops),scf-forall-to-for,canonicalize,"
          "tamis-expand-math,canonicalize,cse,convert-scf-to-cf,expand-strided-metadata,lower-affine,"
          "convert-vector-to-llvm,convert-math-to-llvm,convert-math-to-libm,convert-arith-to-llvm,"
          "convert-index-to-llvm,finalize-memref-to-llvm,convert-func-to-llvm,convert-cf-to-llvm,convert-ub-to-llvm,"
          "reconcile-unrealized-casts)")


def host_targets():
    """The targets this processor runs."""
    with open("/proc/cpuinfo", encoding="utf8") as file:
        flags = next((set(line.split(":")[1].split()) for line in file if line.startswith("flags")), set())
    names = ["baseline"]
    if {"avx2", "fma", "f16c"} <= flags:
        names.append("avx2")
    if {"avx512f", "avx512bw", "avx512vl", "avx512dq"} <= flags:
        names.append("avx512")
    if "avx512" in names and "avx512vbmi" in flags:
        names.append("vbmi")
    return names


class Module:
    """The functions of `text`, compiled for `target` into `folder`."""

    def __init__(self, text, target, folder, strict=False):
        os.makedirs(folder, exist_ok=True)
        features, flags = TARGETS[target]
        names = ", ".join(f'"{feature}"' for feature in features)
        policy = ", tamis.policy = #tamis.policy<strict = true>" if strict else ""
        stem = os.path.join(folder, target + ("-strict" if strict else ""))
        with open(stem + ".mlir", "w", encoding="utf8") as file:
            file.write(f'module attributes {{tamis.target = #tamis.target<"x86_64", [{names}], threads = 3>{policy}}} {{\n{text}}}\n')
        lowered = subprocess.run(["tamis-opt", stem + ".mlir", "--pass-pipeline=" + PASSES], check=True,
                                 stdout=subprocess.PIPE, text=True).stdout
        lowered = re.sub(r"^module attributes .*\{$", "module {", lowered, count=1, flags=re.M)
        ir = subprocess.run(["mlir-translate", "--mlir-to-llvmir"], input=lowered, check=True, stdout=subprocess.PIPE,
                            text=True).stdout
        subprocess.run(["clang", "-x", "ir", "-", "-O2", "-fno-vectorize", "-fno-slp-vectorize", "-Wno-override-module",
                        "-shared", "-fPIC", *flags.split(), "-o", stem + ".so", "-lm"], input=ir, check=True, text=True)
        self.library = ctypes.CDLL(stem + ".so")

    def __call__(self, name, *arrays):
        arguments = []
        for array in arrays:
            pointer = array.ctypes.data_as(ctypes.c_void_p)
            strides = [stride // array.itemsize for stride in array.strides]
            arguments += [pointer, pointer] + [ctypes.c_int64(v) for v in (0, *array.shape, *strides)]
        getattr(self.library, name)(*arguments)


def generic(name, inputs, outputs, iterators, body, fill=None):
    """A function of one linalg.generic; operands are (memref type, map results) pairs, named %x0, %x1, … in the body."""
    dims = ", ".join(f"d{i}" for i in range(len(iterators)))
    operands = inputs + outputs
    elements = [re.search(r"(?:x|<)([a-wyz]+\d+)>$", type).group(1) for type, _ in operands]
    maps = ", ".join(f"affine_map<({dims}) -> ({results})>" for _, results in operands)
    kinds = ", ".join({"p": '"parallel"', "r": '"reduction"'}[kind] for kind in iterators)
    text = f"func.func @{name}({', '.join(f'%a{i}: {type}' for i, (type, _) in enumerate(operands))}) {{\n"
    for i, (type, _) in enumerate(outputs, len(inputs)):
        if fill:
            text += f"  %f{i} = arith.constant {fill} : {elements[i]}\n"
            text += f"  linalg.fill ins(%f{i} : {elements[i]}) outs(%a{i} : {type})\n"

    def group(keyword, first, last):
        names = ", ".join(f"%a{i}" for i in range(first, last))
        return f" {keyword}({names} : {', '.join(type for type, _ in operands[first:last])})" if last > first else ""

    text += f"  linalg.generic {{indexing_maps = [{maps}], iterator_types = [{kinds}]}}"
    text += group("ins", 0, len(inputs)) + group("outs", len(inputs), len(operands)) + " {\n  ^bb0("
    text += ", ".join(f"%x{i}: {element}" for i, element in enumerate(elements))
    return text + f"):\n{body}\n  }}\n  return\n}}\n"
