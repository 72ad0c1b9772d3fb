#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What zeros bring: layers with drawn zeros in Tamis, Tamis without the zeros, ONNX Runtime and DeepSparse 1.8.0.

    sparse.py [--only TEXT] [--rounds N] [--markdown FILE]

One core, engines in turns, each after an untimed call; the median decides. "dense" is Tamis on the same layers with no
zeros. Effective speed counts every multiplication, as if none were by zero. DeepSparse runs in an environment of its
own, made on first use in build/benchmarks; without it its column is empty.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

import layers
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "python"))
PACKAGES = ["deepsparse==1.8.0", "numpy<2"]
ZEROS = (0.5, 0.8, 0.9, 0.95)


def cases():
    """(name, function from a share of zeros to a model, multiplications of the whole model)."""
    yield "4 products 128x768x3072", lambda zeros: layers.products(128, 768, 3072, zeros), 4 * 128 * 768 * 3072
    yield "4 products 16x768x3072", lambda zeros: layers.products(16, 768, 3072, zeros), 4 * 16 * 768 * 3072
    # Weights of one row come from memory: four layers are more than any cache holds.
    yield "4 products 1x4096x4096", lambda zeros: layers.products(1, 4096, 4096, zeros), 4 * 4096 * 4096
    yield "4 int8 products 1x4096x4096", lambda zeros: layers.quantized(layers.products(1, 4096, 4096, zeros)), 4 * 4096 * 4096
    yield "4 convolutions 1x1, 256 at 28x28", lambda zeros: layers.convolutions(256, 28, 1, zeros), 4 * 784 * 256 * 256
    yield "4 convolutions 3x3, 128 at 28x28", lambda zeros: layers.convolutions(128, 28, 3, zeros), 4 * 784 * 9 * 128 * 128


class Tamis:
    def __init__(self, model, feed):
        import tamis

        self.bound = tamis.compile(model.SerializeToString(), threads=1, cache="off").bind(feed)

    def turn(self):
        self.bound()
        start = time.perf_counter()
        self.bound()
        return time.perf_counter() - start

    def result(self):
        return self.bound.outputs[0]


class OnnxRuntime:
    def __init__(self, model, feed):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        self.feed = feed

    def turn(self):
        self.session.run(None, self.feed)
        start = time.perf_counter()
        self.session.run(None, self.feed)
        return time.perf_counter() - start

    def result(self):
        return self.session.run(None, self.feed)[0]


class DeepSparse:
    """A child process in DeepSparse's own environment that takes turns on request."""

    def __init__(self, python, model):
        self.file = tempfile.NamedTemporaryFile(suffix=".onnx")
        self.file.write(model.SerializeToString())
        self.file.flush()
        self.child = subprocess.Popen([python, os.path.join(HERE, "deepsparse_turns.py"), self.file.name, "1"], text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        while (line := self.child.stdout.readline()).strip() != "ready":
            if not line:
                raise RuntimeError("DeepSparse does not run the model")

    def turn(self):
        self.child.stdin.write("\n")
        self.child.stdin.flush()
        return float(self.child.stdout.readline())

    def close(self):
        self.child.stdin.close()
        self.child.wait()
        self.file.close()


def deepsparse_python():
    """The Python of DeepSparse's environment, or None where it does not install."""
    folder = os.path.join(TOP, "build", "benchmarks", "deepsparse")
    python, done = os.path.join(folder, "bin", "python"), os.path.join(folder, "done")
    if not os.path.exists(done):
        made = subprocess.run([sys.executable, "-m", "venv", folder]).returncode == 0
        if not made or subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES]).returncode:
            return None
        open(done, "w").close()
    return python


def measure(model, dense, macs, python, rounds):
    """Medians in seconds by engine; raises if Tamis and ONNX Runtime disagree about floats (of int8 ONNX Runtime saturates)."""
    shape = [dimension.dim_value for dimension in model.graph.input[0].type.tensor_type.shape.dim]
    feed = {"x": np.random.default_rng(0).standard_normal(shape).astype(np.float32)}
    engines = {"tamis": Tamis(model, feed), "dense": Tamis(dense, feed), "onnxruntime": OnnxRuntime(model, feed)}
    if python:
        engines["deepsparse"] = DeepSparse(python, model)
    times = {name: [] for name in engines}
    for i in range(rounds):
        for name in engines if i % 2 == 0 else reversed(engines):
            times[name].append(engines[name].turn())
    want, got = engines["onnxruntime"].result(), engines["tamis"].result()
    if not any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * np.abs(want).max())
    if python:
        engines["deepsparse"].close()
    return {name: statistics.median(values) for name, values in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--markdown", help="write the table here too")
    arguments = parser.parse_args()
    python = deepsparse_python()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])
    lines = ["| layers | zeros | Tamis ms | G MAC/s | dense / Tamis | ONNX Runtime / Tamis | DeepSparse / Tamis |",
             "|---|--:|--:|--:|--:|--:|--:|"]
    print(*lines, sep="\n", flush=True)
    for name, make, macs in cases():
        if arguments.only not in name:
            continue
        for zeros in ZEROS:
            times = measure(make(zeros), make(0.0), macs, python, arguments.rounds)
            mine = times["tamis"]
            ratios = [f"{times[peer] / mine:.2f}" if peer in times else "" for peer in ("dense", "onnxruntime", "deepsparse")]
            lines.append(f"| {name} | {zeros:.0%} | {mine * 1e3:.3f} | {macs / mine / 1e9:.0f} | {' | '.join(ratios)} |")
            print(lines[-1], flush=True)
    if arguments.markdown:
        with open(arguments.markdown, "w", encoding="utf8") as file:
            file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
