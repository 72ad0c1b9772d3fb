#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What zeros cost and bring, pattern by pattern: the task's figure, the time of a call and the bytes of the compiled library.

    zeros.py [--task NAMES] [METHOD ...]

METHOD is one of methods.py (default: some shares and patterns, alone and with 7-bit weights). All run compiled by Tamis on
one core; times are the least of 40 calls, in turns with the float model.
"""
import argparse
import os
import tempfile
import time

import methods
import run
from tasks import TASKS

PRUNE = "tamis:prune,criterion=sparsegpt,sparsity="
DEFAULT = ["float", *(f"{PRUNE}{share}" for share in (0.5, 0.7, 0.9)), f"{PRUNE}0.5,pattern=1x4", f"{PRUNE}0.5,pattern='2:4'",
           "tamis:prune,sparsity=0.5,pattern=32x64", "tamis:quantize,weights=int7", f"{PRUNE}0.5+quantize,weights=int7",
           f"{PRUNE}0.7,pattern=1x4+quantize,weights=int7"]
FIGURE = {"efficientnet-lite0": "agreement", "minilm-l6-v2": "wordsim353"}  # top1 for digits


def compiled(path, feed):
    """(function of a feed, bytes of the library), for the shape of `feed`."""
    model = run.compiled(path, feed)
    with tempfile.NamedTemporaryFile(suffix=".so") as file:
        model.save(file.name)
        return lambda x: model.run(None, x), os.path.getsize(file.name)


def in_turns(calls, feed, rounds=40):
    """The least milliseconds of each call, each after an untimed one."""
    best = [float("inf")] * len(calls)
    for _ in range(rounds):
        for i, call in enumerate(calls):
            call(feed)
            start = time.perf_counter()
            call(feed)
            best[i] = min(best[i], (time.perf_counter() - start) * 1e3)
    return best


def line(task, method, base):
    """One line of the table."""
    path, feed = methods.compressed(task, method)[0], task.timing()
    rows, figures = task.evaluate(run.runner(path, "tamis"))
    figures |= getattr(task, "compare", lambda *_: {})(run.reference(task)[0], rows)
    call, size = compiled(path, feed)
    ours, theirs = in_turns((call, base), feed)
    name = FIGURE.get(task.name, "top1")
    return f"| `{task.name}` | `{method}` | {figures[name]:.3f} | {ours:.3f} | {theirs / ours:.2f} | {size / 1e6:.2f} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="mnist-cnn,efficientnet-lite0,minilm-l6-v2", help="names split by commas")
    parser.add_argument("method", nargs="*")
    arguments = parser.parse_args()
    print("| task | method | figure | ms | float ms / ms | .so MB |\n|---|---|--:|--:|--:|--:|", flush=True)
    for task in (TASKS[name] for name in run.names(arguments.task, TASKS, "task")):
        base = compiled(task.model(), task.timing())[0]
        for method in arguments.method or DEFAULT:
            try:
                print(line(task, method, base), flush=True)
            except methods.Skipped as reason:
                print(f"skipped {task.name} {method}: {reason}", flush=True)


if __name__ == "__main__":
    main()
