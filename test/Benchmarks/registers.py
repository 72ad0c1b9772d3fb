# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What NVIDIA's assembler says of the kernels of models: registers, workgroup memory, spills. No device is needed.

    python test/Benchmarks/registers.py [KEY,KEY...] [--chips sm_80,sm_89,sm_90a]

One line per model and chip; KEYs are those of test/Models/models.txt. Ends with status 1 where a kernel spills or is refused.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

from tamis import compiler, options
from tamis.source import Source

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Models"))
import manifest  # noqa: E402

MODELS = "mnist-cntk,effword-int8,minilm-l6-v2,ppocrv6s-rec,mp-face-detection-full-range-sparse"
INFO = re.compile(r"(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads\n"
                  r".*?Used (?P<registers>\d+) registers(?:.*?(?P<shared>\d+) bytes smem)?")


def measure(model, chip, folder):
    """(kernels, products of tensor cores, most registers, most bytes of workgroup memory, spilled bytes) of one model."""
    path = os.path.join(folder, f"{model.key}.{chip}.ptx")
    compiler.compile_to(Source(model.path), path, options.make(target=f"nvptx:{chip}", emit="ptx"))
    done = subprocess.run(["ptxas", "-v", f"-arch={chip}", path, "-o", os.devnull], text=True, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{model.key}, {chip}: {done.stderr.strip()}")
    kernels = [match.groupdict() for match in INFO.finditer(done.stderr)]
    with open(path, encoding="utf8") as file:
        products = len(re.findall(r"\bmma\.\S+m16n8", file.read()))
    return (len(kernels), products, max(int(k["registers"]) for k in kernels), max(int(k["shared"] or 0) for k in kernels),
            sum(int(k["stores"]) + int(k["loads"]) for k in kernels))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="?", default=MODELS)
    parser.add_argument("--chips", default="sm_80,sm_89,sm_90a")
    arguments = parser.parse_args()
    print("| model | chip | kernels | mma | registers | workgroup bytes | spilled bytes |\n|---|---|---|---|---|---|---|")
    spilled = 0
    with tempfile.TemporaryDirectory() as folder:
        for model in manifest.select(arguments.models):
            for chip in arguments.chips.split(","):
                row = measure(model, chip, folder)
                print("|", " | ".join(str(cell) for cell in (model.key, chip, *row)), "|", flush=True)
                spilled += row[-1]
    return int(spilled > 0)


if __name__ == "__main__":
    sys.exit(main())
