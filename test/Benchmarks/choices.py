#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Whether a storage that the cost models choose is ever slower than dense: every candidate of a set of layers, timed.

    choices.py [--only TEXT] [--slack 1.05]

Each layer is compiled without a profile, which gives the choice, then its candidates are measured as `--tune` measures
them. `chosen / dense` is the time of the choice over that of the faster dense tile; a storage that is above the slack is a
failure, and the command ends with status 1, unless measuring it once more says otherwise. `chosen / best` is what a profile would have
gained. One core.
"""
import argparse
import os
import sys
import tempfile

import layers
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(HERE)), "python"))

import tamis  # noqa: E402
from tamis import options, tuning  # noqa: E402
from tamis.source import Source  # noqa: E402

ZEROS = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
ROWS = (1, 16, 128, 512)
SLACK = 1.05  # times of one kernel differ by so much from run to run


def cases():
    """(name, function that makes the model)."""
    for zeros in ZEROS:
        for rows in ROWS:
            yield f"product {rows}x768x768 {zeros:.0%}", lambda r=rows, z=zeros: layers.products(r, 768, 768, z, 1)
            yield (f"product {rows}x768x768 {zeros:.0%} in 64x32",
                   lambda r=rows, z=zeros: layers.products(r, 768, 768, z, 1, block=64, across=32))
        for channels, size, kernel in ((256, 28, 1), (64, 28, 3), (256, 7, 3)):
            yield (f"convolution {kernel}x{kernel} {channels} at {size}x{size} {zeros:.0%}",
                   lambda c=channels, s=size, k=kernel, z=zeros: layers.convolutions(c, s, k, z, 1))
        for block in (4, 64):
            yield (f"int8 product 128x768x768 {zeros:.0%} in {block}x32",
                   lambda b=block, z=zeros: layers.quantized(layers.products(128, 768, 768, z, 1, block=b, across=32)))
        for block in (1, 4):
            yield (f"int8 product 128x768x768 {zeros:.0%} in {block}x1",
                   lambda b=block, z=zeros: layers.quantized(layers.products(128, 768, 768, z, 1, block=b)))
        for rows in (1, 4, 16):
            yield (f"int8 product {rows}x1024x2048 {zeros:.0%}",
                   lambda r=rows, z=zeros: layers.quantized(layers.products(r, 1024, 2048, z, 1)))


def measure(model):
    """[(key, choice, {candidate: microseconds})] of every contraction of an ONNX model."""
    source = Source(model.SerializeToString())
    report = tamis.compile(source, cache="off").report()["layers"]
    with tempfile.TemporaryDirectory() as folder:
        times = {}
        for kernel in tuning.tune(source, options.make(), os.path.join(folder, "profile.json")):
            times.setdefault(kernel.key, {})[kernel.candidate] = kernel.seconds * 1e6
    return [(layer["key"], layer["chosen"], times[layer["key"]]) for layer in report if layer.get("key") in times]


def judge(chosen, times):
    """(chosen / dense, chosen / best) of the times of one contraction."""
    dense = min(time for name, time in times.items() if name.startswith("dense"))
    return times[chosen] / dense, times[chosen] / min(times.values())


def fails(chosen, ratio, slack):
    """True for a storage without zeros that is slower than panels with them."""
    return not chosen.startswith("dense") and ratio > slack


def judge_all(model, slack):
    """[(chosen / dense, chosen / best, chosen, times)] of a model's contractions; measured again where one fails."""
    for _ in range(2):
        found = [(*judge(chosen, times), chosen, times) for _, chosen, times in measure(model)]
        if not any(fails(chosen, ratio, slack) for ratio, _, chosen, _ in found):
            break
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--slack", type=float, default=SLACK, help="how much slower than dense is no failure")
    arguments = parser.parse_args()
    print("| layer | chosen | us | chosen / dense | chosen / best |", "|---|---|--:|--:|--:|", sep="\n", flush=True)
    wrong, losses = 0, []
    for name, make in cases():
        if arguments.only not in name:
            continue
        for ratio, loss, chosen, times in judge_all(make(), arguments.slack):
            losses.append(loss)
            wrong += fails(chosen, ratio, arguments.slack)
            mark = " slower than dense" if fails(chosen, ratio, arguments.slack) else ""
            print(f"| {name} | {chosen} | {times[chosen]:.1f} | {ratio:.2f}{mark} | {loss:.2f} |", flush=True)
    if losses:
        print(f"\n{len(losses)} choices, {wrong} slower than dense by more than {arguments.slack - 1:.0%}; "
              f"chosen / best: geometric mean {np.exp(np.mean(np.log(losses))):.3f}, at most {max(losses):.2f}")
    return 1 if wrong or not losses else 0


if __name__ == "__main__":
    sys.exit(main())
