#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What calibration costs: peak memory and time of Tamis and its peers, each in a process of its own, one after the other.

    calibration.py [--task minilm-l6-v2] [--samples 300] [--whole] [METHOD ...]

METHOD is one of peers/calibrate.py; with --whole one of methods.py: the whole command, from reading the model to writing
the quantized one. Memory is the most the process had resident, the libraries it maps included.
"""
import argparse
import os
import sys

import data
import methods
from peers import feeds
from tasks import TASKS

CALIBRATIONS = ("tamis", "tamis:entropy", "tamis:gptq", "ort:minmax", "ort:entropy")
WHOLE = ("tamis", "ort", "nncf")


def cost(task, method, samples):
    """{"seconds", "peak_mb"} of one calibration."""
    path = data.made(f"feeds/{task.name}.npz")
    if not os.path.exists(path):
        feeds.write_feeds(path, task.calibration())
    python = data.torch_python() if method.startswith("ort") else sys.executable
    script = os.path.join(data.HERE, "peers", "calibrate.py")
    return methods.run([python, script, task.model(), path, str(samples), method])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="minilm-l6-v2")
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("method", nargs="*")
    arguments = parser.parse_args()
    task = TASKS[arguments.task]
    print(f"{task.name}: {methods.size(task.model()) / 1e6:.1f} MB, {arguments.samples} samples")
    print("| method | peak MB | seconds |\n|---|--:|--:|")
    for method in arguments.method or (WHOLE if arguments.whole else CALIBRATIONS):
        try:
            found = methods.compressed(task, method, fresh=True)[1] if arguments.whole else cost(task, method, arguments.samples)
        except methods.Skipped as reason:
            print(f"skipped {method}: {reason}", flush=True)
            continue
        print(f"| `{method}` | {found['peak_mb']} | {found['seconds']} |", flush=True)


if __name__ == "__main__":
    main()
