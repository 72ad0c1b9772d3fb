# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles models, runs them and prints the results beside ONNX Runtime's:  demo.py KEY..."""
import os
import statistics
import sys
import time

import manifest
import numpy as np
import tamis
from tamis import compare, reference


def median_ms(function, calls=30):
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def show(key):
    """Compile, run and compare one model; True if the results agree."""
    model = manifest.MODELS[key]
    feed = manifest.feeds(model, 0)
    start = time.perf_counter()
    compiled = tamis.compile(model.path, input_dims=dims(model), cache="off", lazy=False)
    seconds = time.perf_counter() - start
    peer = reference.session(model.path, optimised=True)
    got, want = compiled.run(None, feed), reference.run(peer, feed)
    plain = reference.run(reference.session(model.path), feed)
    print(f"\n{key}: {os.path.getsize(model.path) / 1e6:.2f} MB, compiled in {seconds:.2f} s")
    agrees = True
    for info, g, w, p in zip(compiled.get_outputs(), got, want, plain):
        result = compare.compare(info.name, g, p, w, model.numeric_class, model.classifier)
        agrees &= result.agrees
        print(f"  output {result}")
        with np.printoptions(precision=4, suppress=True, threshold=6, edgeitems=4, linewidth=120):
            print(f"    tamis        {g.reshape(-1)[:8]}\n    onnxruntime  {w.reshape(-1)[:8]}")
    bound = compiled.bind(feed)
    print(f"  one thread: tamis {median_ms(bound):.3f} ms, onnxruntime {median_ms(lambda: peer.run(None, feed)):.3f} ms")
    return agrees


def dims(model):
    """Bindings of the model's open dimensions to the shape it is tested at."""
    from tamis.source import Source

    shapes = {i.name: i.shape for i in model.inputs}
    return {f"{info.name}:{axis}": shapes[info.name][axis]
            for info in Source(model.path).signature.inputs for axis, _ in info.open_dims}


def main(keys):
    right = []
    for key in keys:
        try:
            right.append(show(key))
        except tamis.Error as error:
            print(f"error: {error}", file=sys.stderr)
            right.append(False)
    print(f"\n{sum(right)} of {len(right)} models agree with ONNX Runtime")
    return int(not all(right))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
