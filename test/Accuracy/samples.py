#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes a task's model and data as `tamis optimize` takes them:  samples.py TASK FOLDER

FOLDER/model.onnx, FOLDER/data.npz and, for digits, FOLDER/labels.npy: the images that no training saw; for other tasks
the samples that calibrate.
"""
import os
import sys

import data
import numpy as np
from tasks import TASKS


def main(name, folder):
    task = TASKS[name]
    os.makedirs(folder, exist_ok=True)
    link = os.path.join(folder, "model.onnx")
    if not os.path.lexists(link):
        os.symlink(task.model(), link)
    feeds = task.calibration()
    if name.startswith("mnist"):
        images, labels = data.mnist()
        (key, sample), = feeds[0].items()
        feeds = [{key: (image / 255).reshape(sample.shape)} for image in images[4000:]]
        np.save(os.path.join(folder, "labels.npy"), labels[4000:])
    np.savez(os.path.join(folder, "data.npz"), **{key: np.concatenate([feed[key] for feed in feeds]) for key in feeds[0]})


if __name__ == "__main__":
    main(*sys.argv[1:3])
