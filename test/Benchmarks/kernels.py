#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Single layers as Google Benchmark measures them: times, multiplications a second, and which share of the machine's limit that is.

    kernels.py [--benchmark_filter=REGEX] [--benchmark_out=FILE.json] [--benchmark_repetitions=N] ...

Each layer is compiled for this machine (one thread, cache off), its arrays are bound before, and the machine's own limit
loop runs between its calls: "limit" is the share of the loop's multiplications, or of the bytes it reads where a single row
needs each weight once. Layers with zeros count every multiplication, as if none were by zero. Layers of rows have no share.
"""
import os
import statistics
import sys
import time

import google_benchmark
import layers
import numpy as np

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "python"))
import tamis  # noqa: E402
from tamis import _tamis, benchmarking  # noqa: E402

BETWEEN = 0.02  # seconds from one turn of the limit loop to the next


def kernels():
    """(name, class, function that makes the model, multiplications or, of class memory, bytes of weights)."""
    for rows, depth, columns in ((512, 512, 512), (1024, 1024, 1024), (128, 384, 1536)):
        macs = rows * depth * columns
        yield f"product/int8/{rows}x{depth}x{columns}", "quantized", (layers.quantized_product, rows, depth, columns), macs
        yield f"product/float/{rows}x{depth}x{columns}", "float", (layers.products, rows, depth, columns, 0.0, 1), macs
    for channels, kernel in ((128, 3), (256, 1)):
        macs = 28 * 28 * (channels * kernel) ** 2
        name = f"{kernel}x{kernel}_C{channels}_28x28"
        yield f"convolution/int8/{name}", "quantized", (layers.quantized_convolution, channels, 28, kernel), macs
        yield f"convolution/float/{name}", "float", (layers.convolutions, channels, 28, kernel, 0.0, 1), macs
    yield "depthwise/float/3x3_C192_28x28", "float", (layers.depthwise, 192, 28, 3), 28 * 28 * 192 * 9
    count = 4096 * 14336
    yield "product/int4/1x4096x14336_block32", "memory", (layers.four_bits, 1, 4096, 14336, 32), count // 2 + count // 32 * 2
    for rows, block in ((16, 32), (128, 32), (128, 128)):
        yield f"product/int4/{rows}x4096x14336_block{block}", "quantized", (layers.four_bits, rows, 4096, 14336, block), rows * count
    for zeros in (0.5, 0.8, 0.9, 0.95):
        yield (f"zeros/product/4x128x768x3072/{zeros:.0%}", "float", (layers.products, 128, 768, 3072, zeros), 4 * 128 * 768 * 3072)
    yield "zeros/convolution/4x1x1_C256_28x28/90%", "float", (layers.convolutions, 256, 28, 1, 0.9), 4 * 28 * 28 * 256**2
    yield "zeros/convolution/4x3x3_C128_28x28/90%", "float", (layers.convolutions, 128, 28, 3, 0.9), 4 * 28 * 28 * 9 * 128**2
    yield "rows/softmax/1536x128", "float", (layers.rows_of, "Softmax", 1536, 128), 0
    yield "rows/layer_norm/128x384", "float", (layers.rows_of, "LayerNormalization", 128, 384), 0


def inputs(model):
    """Seeded arrays: normal floats, bytes around 128."""
    rng, feed = np.random.default_rng(0), {}
    for info in model.get_inputs():
        drawn = rng.standard_normal(info.shape).astype(np.float32)
        feed[info.name] = drawn if info.type == "tensor(float)" else np.clip(drawn * 40 + 128, 0, 255).astype(np.uint8)
    return feed


def make(kind, recipe, amount):
    """The function that Google Benchmark calls."""
    loop = benchmarking.limit_loop(kind)

    def run(state):
        build, *arguments = recipe
        model = tamis.compile(build(*arguments), threads=1, cache="off", lazy=False)
        call, limits, times, last = model.bind(inputs(model)), [], [], 0.0
        call()
        while state:
            start = time.perf_counter()
            if start - last > BETWEEN:
                limits.append(_tamis.measure_limit(loop, 0.0005))
                last = start = time.perf_counter()
                call()  # untimed: the caches are its own again
                start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
            state.set_iteration_time(times[-1])
        if amount:
            unit, each = ("GB/s", 1) if kind == "memory" else ("GMAC/s", 2)
            state.counters[unit] = amount / statistics.median(times) / 1e9
            state.counters["limit"] = each * amount / statistics.median(times) / statistics.median(limits)

    return run


def main():
    benchmarking.pin(1)
    for name, kind, recipe, amount in kernels():
        function = google_benchmark.option.use_manual_time()(make(kind, recipe, amount))
        google_benchmark.register(google_benchmark.option.unit(google_benchmark.kMicrosecond)(function), name=name)
    google_benchmark.main()


if __name__ == "__main__":
    main()
