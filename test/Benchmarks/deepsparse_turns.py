# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""DeepSparse in an environment of its own: for each line on standard input runs the model once and prints the seconds.

    deepsparse_turns.py MODEL THREADS
"""
import sys
import time

import deepsparse
import numpy as np
import onnx


def inputs(path):
    """Seeded arrays for the model's inputs, whose shapes are fixed."""
    rng = np.random.default_rng(0)
    for value in onnx.load(path, load_external_data=False).graph.input:
        shape = [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        yield rng.standard_normal(shape).astype(np.float32)


def main():
    path, threads = sys.argv[1], int(sys.argv[2])
    arrays = list(inputs(path))
    engine = deepsparse.Engine(model=path, batch_size=arrays[0].shape[0], num_cores=threads)
    engine.run(arrays)
    print("ready", flush=True)
    for _ in sys.stdin:
        engine.run(arrays)
        start = time.perf_counter()
        engine.run(arrays)
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
