# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How lit finds and runs the tests of this project.

`*.mlir` and `*.test` are shell tests; in Python/ and Robustness/ every test function of a `test_*.py` is a test of its
own, in its own process, so that a crash of the compiler is one failed test. Features come from probing this machine.
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(config.tamis_source_root, "test"))
import support.pytest_format  # noqa: E402

config.name = "Tamis"
config.test_source_root = os.path.join(config.tamis_source_root, "test")
config.test_exec_root = os.path.join(config.tamis_binary_root, "test")
config.test_format = support.pytest_format.Format(config.python)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Models", "OnnxNode", "support", "Inputs", "CMakeLists.txt"]

config.environment["PATH"] = os.pathsep.join((config.tools_dir, config.llvm_tools_dir, config.environment["PATH"]))
config.environment["PYTHONPATH"] = os.path.join(config.tamis_source_root, "python")
config.environment["TAMIS_CACHE"] = os.path.join(config.tamis_binary_root, "test-cache")
config.environment["PYTHONDONTWRITEBYTECODE"] = "1"
for name in ("HOME", "TAMIS_MODELS", "ASAN_OPTIONS", "UBSAN_OPTIONS"):
    if name in os.environ:
        config.environment[name] = os.environ[name]

config.substitutions += [
    ("%python", config.python),
    ("%host_cc", config.host_cc),
    ("%host_cxx", config.host_cxx),
    ("%mlir_dir", config.mlir_dir),
    ("%source_root", config.tamis_source_root),
    ("%binary_root", config.tamis_binary_root),
    ("%tamis_libs", config.library_dir),
    ("%lint", f"{config.python} {config.tamis_source_root}/test/Lint/lint.py --root {config.tamis_source_root}"),
]


def cpu_flags():
    """The processor's features as Linux spells them."""
    try:
        with open("/proc/cpuinfo", encoding="utf8") as file:
            for line in file:
                if line.startswith(("flags", "Features")):
                    return set(line.split(":")[1].split())
    except OSError:
        pass
    return set()


def works(*command):
    """True if a command runs and succeeds."""
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0
    except OSError:
        return False


flags = cpu_flags()
config.available_features.add("host-" + os.uname().machine.replace("_", "-"))
for feature, needed in {"host-avx2": {"avx2", "fma"}, "host-avx512": {"avx512f", "avx512bw", "avx512vl", "avx512dq"},
                        "host-vnni": {"avx512_vnni"}, "host-avx512bf16": {"avx512_bf16"},
                        "host-amx": {"amx_tile", "amx_int8", "amx_bf16"}}.items():
    if needed <= flags:
        config.available_features.add(feature)
for tool in ("tamis-opt", "tamis-compile", "tamis-reduce", "tamis-lsp-server", "TamisUnitTests", "ExecutionTest", "BitmaskTest", "BlockListTest", "BoundedTest", "EncodedTest", "RowStreamTest", "SlotWindowsTest"):
    if os.access(os.path.join(config.tools_dir, tool), os.X_OK):
        config.available_features.add(tool)
if works(config.python, "-c", "import sys; sys.path.insert(0, sys.argv[1]); import tamis", config.environment["PYTHONPATH"]):
    config.available_features.add("python-tamis")
if os.path.exists(os.path.join(config.library_dir, "TamisPlugin.so")):
    config.available_features.add("plugin")
if works("ptxas", "--version"):
    config.available_features.add("ptxas")
if works("spirv-val", "--version"):
    config.available_features.add("spirv-val")
if works("qemu-x86_64", "--version"):
    config.available_features.add("qemu")
