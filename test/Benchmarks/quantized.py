#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Models quantized by Tamis beside every peer of any class, with how close each stays to the float model.

    quantized.py [--task NAMES] [--weights int8|int7] [--rounds N] [--markdown FILE]

The tasks are those of test/Accuracy; their calibration data quantizes, by Tamis and by the tools of the peers. The
contestants are Tamis on its own file, and ONNX Runtime and OpenVINO on the float model, on Tamis's file and on the files
of ONNX Runtime's and NNCF's quantizers. One core, engines in turns as `tamis benchmark` measures them; the signal-to-
noise ratio is that of the timed calls' outputs, on inputs that no calibration saw, against the float model.
"""
import argparse
import functools
import math
import os
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(TOP, "python"), os.path.join(TOP, "test", "Accuracy")]
import methods  # noqa: E402
import metrics  # noqa: E402
import run  # noqa: E402
from tamis import _tamis, benchmarking, reference  # noqa: E402
from tamis.errors import Error  # noqa: E402
from tasks import TASKS  # noqa: E402

DEFAULT = ("mnist-cntk", "mnist-mlp", "mnist-cnn", "efficientnet-lite0", "minilm-l6-v2", "ppocrv6s-rec")


class _Enough(Exception):
    """All the inputs that are wanted have been seen."""


def unseen(task, session, count):
    """`count` inputs of the task's evaluation, of the shapes of its timing input; they go round where there are fewer."""
    shapes, found = {name: array.shape for name, array in task.timing().items()}, []

    def run(feed):
        if {name: array.shape for name, array in feed.items()} == shapes:
            found.append(feed)
        if len(found) == count:
            raise _Enough
        return session.run(None, feed)

    try:
        task.evaluate(run)
    except _Enough:
        pass
    return [found[i % len(found)] for i in range(count)]


def contestants(task, weights):
    """Yields (engine, name of the file, its path, class); says which files this machine cannot make."""
    own = "tamis" if weights == "int8" else f"tamis:quantize,weights={weights}"
    files = {}
    for name, method in (("float", "float"), (f"Tamis {weights}", own), ("ORT's int8", "ort"), ("NNCF's int8", "nncf")):
        try:
            files[name] = methods.compressed(task, method)[0]
        except methods.Skipped as reason:
            print(f"skipped {task.name} {name}: {reason}", flush=True)
    yield "tamis", f"Tamis {weights}", files[f"Tamis {weights}"], "quantized"
    for name, path in files.items():
        for engine in ("onnxruntime", "openvino"):
            yield engine, name, path, "float" if name == "float" else "quantized"


def measure(task, weights, rounds):
    """[(engine, file, Row, SNR in dB)], Tamis first."""
    session = reference.session(task.model())
    feeds = unseen(task, session, benchmarking.INPUTS)
    wanted = _joined(session.run(None, feed)[0] for feed in feeds)
    output, engines, lines = session.get_outputs()[0].name, [], []
    for engine, name, path, kind in contestants(task, weights):
        model = run.compiled(path, feeds[0]) if engine == "tamis" else None
        made, row = benchmarking.make_engine(engine, model, path, feeds, 1, kind)
        if not made:
            print(f"skipped {task.name} {name} in {engine}: {row.problem}", flush=True)
            continue
        engines.append((made, row))
        lines.append((engine, name, row, made))
    limit = functools.partial(_tamis.measure_limit, benchmarking.limit_loop("quantized"), 0.002)
    benchmarking.measure(engines, limit, rounds)
    return [(engine, name, row, metrics.snr(wanted, _joined(made.outputs(i)[output] for i in range(len(feeds)))))
            for engine, name, row, made in lines]


def _joined(arrays):
    return np.concatenate([array.reshape(-1) for array in arrays])


def table(task, results):
    """Lines of Markdown, and the time of the fastest peer over that of Tamis."""
    mine = results[0][2]
    peers = sorted(results[1:], key=lambda result: result[2].median)
    lines = [f"| `{task.name}` | {engine} | {name} | {row.median * 1e3:.3f} ({row.minimum * 1e3:.3f}) | {row.median / mine.median:.2f} | "
             f"{'' if math.isinf(noise) else f'{noise:.1f}'} |" for engine, name, row, noise in [results[0], *peers]]
    return lines, peers[0][2].median / mine.median, peers[0][2].minimum / mine.minimum


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default=",".join(DEFAULT), help="names split by commas")
    parser.add_argument("--weights", default="int8", help="type of the weights Tamis writes: int8, or int7 where sums of 16 bits count")
    parser.add_argument("--rounds", type=int, help="rounds of each engine (default: as tamis benchmark)")
    parser.add_argument("--markdown", help="write the table here too")
    arguments = parser.parse_args()
    benchmarking.pin(1)
    lines = ["| task | engine | file | ms (min) | time / Tamis | SNR dB |", "|---|---|---|--:|--:|--:|"]
    print(*lines, sep="\n", flush=True)
    ratios = []
    for name in arguments.task.split(","):
        try:
            more, *ratio = table(TASKS[name], measure(TASKS[name], arguments.weights, arguments.rounds))
        except Error as error:
            raise SystemExit(f"error: {name}: {error}") from None
        print(*more, sep="\n", flush=True)
        lines += more
        ratios.append(ratio)
    means = (math.exp(sum(math.log(ratio[i]) for ratio in ratios) / len(ratios)) for i in (0, 1))
    print("fastest peer of each task / Tamis: geometric mean {:.2f} (of minima {:.2f})".format(*means))
    if arguments.markdown:
        with open(arguments.markdown, "w", encoding="utf8") as file:
            file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
