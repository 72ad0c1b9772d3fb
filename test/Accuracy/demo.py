# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compresses a network that reads digits, and shows what it costs and brings:  demo.py FOLDER

Writes the network, 300 images to calibrate with, and the compressed networks into FOLDER (the README goes on from
there). Prints how many of 1000 other images each reads right, compiled by Tamis, and its times beside ONNX Runtime's.
"""
import os
import shutil
import sys

import data
import numpy as np
import tamis
from tamis import reference
from tasks import TASKS

sys.path.insert(0, os.path.join(data.TOP, "test", "Models"))
from demo import median_ms  # noqa: E402


def compressed(path, feeds):
    """(what is done, ending of the file's name, ModelProto)."""
    yield "int8", "int8", tamis.quantize(path, feeds)
    pruned = tamis.prune(path, sparsity=0.8)
    yield "80 % zeros", "pruned", pruned
    yield "80 % zeros, int8", "pruned.int8", tamis.quantize(pruned, feeds)


def show(task, what, path, feed):
    """One line: sizes, how many images the compiled network reads right, times."""
    compiled, peer, library = tamis.compile(path, cache="off"), reference.session(path, optimised=True), path.replace(".onnx", ".so")
    compiled.save(library)
    right = task.evaluate(lambda image: compiled.run(None, image))[1]["top1"]
    ours, theirs = median_ms(compiled.bind(feed)), median_ms(lambda: peer.run(None, feed))
    print(f"  {what:17} {os.path.getsize(path):10} {os.path.getsize(library):10}  {right:5.1%} {ours:8.3f} ms {theirs:8.3f} ms")


def main(folder):
    import onnx

    task = TASKS["mnist-cntk"]
    os.makedirs(folder, exist_ok=True)
    path, feeds = os.path.join(folder, "digits.onnx"), task.calibration()
    shutil.copyfile(task.model(), path)
    np.savez(os.path.join(folder, "digits.npz"), **{name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]})
    print(f"\nmnist-cntk compressed, on 1000 images (files in {os.path.relpath(folder)})")
    print(f"  {'':17} {'ONNX bytes':>10} {'.so bytes':>10}  right       tamis  onnxruntime")
    show(task, "as it is", path, feeds[0])
    for what, ending, model in compressed(path, feeds):
        onnx.save(model, path.replace(".onnx", f".{ending}.onnx"))
        show(task, what, path.replace(".onnx", f".{ending}.onnx"), feeds[0])


if __name__ == "__main__":
    main(sys.argv[1])
