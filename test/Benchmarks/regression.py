#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Is this compiler slower than another build of it? Compares ratios, not times.

    regression.py OTHER [--models KEYS] [--rounds N] [--most 1.05] [--json FILE]

OTHER is a tamis-compile of another build. Both compile the models of test/Models and the layers of kernels.py, which then take
turns on one core; a ratio is the time of this build over that of the other in the same round, so what else the machine
does is in both. A case is slower where the median of the ratios and the ratio of the least times are both above --most.
Exits 1 if a case is slower, or if the results of the two builds differ by more than their tolerance.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(TOP, "python"), os.path.join(TOP, "test", "Models")]
import kernels  # noqa: E402
import manifest  # noqa: E402
import tamis  # noqa: E402
from demo import dims  # noqa: E402
from tamis import benchmarking, compare  # noqa: E402

DEFAULT = "mnist-cntk,efficientnet-lite0,minilm-l6-v2,effword-int8,ppocrv6s-rec,mp-face-detection-full-range-sparse,silero6-seq"


def cases(keys, only, folder):
    """Yields (name, path, options of tamis-compile, feed or None) of those whose name holds `only`."""
    for entry in manifest.select(keys):
        if only in entry.key:
            flags = [f"--input-dim={name}={size}" for name, size in dims(entry).items()]
            yield entry.key, entry.path, flags, manifest.feeds(entry, 0)
    for name, _, recipe, _ in kernels.kernels():
        if only not in name:
            continue
        path = os.path.join(folder, "layer.onnx")
        with open(path, "wb") as file:
            build, *arguments = recipe
            file.write(build(*arguments).SerializeToString())
        yield name, path, [], None


def compiled(compiler, path, flags, output):
    """The model that `compiler` makes of `path`."""
    done = subprocess.run([compiler, path, "-o", output, *flags], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"error: {compiler}: {(done.stderr.strip() or 'no message').splitlines()[-1]}")
    return tamis.load(output, threads=1)


def measure(calls, rounds):
    """[(seconds of this build, seconds of the other)], in turns, each after an untimed call."""
    times = []
    for i in range(rounds):
        pair = [0.0, 0.0]
        for which in (0, 1) if i % 2 == 0 else (1, 0):
            calls[which]()
            start = time.perf_counter()
            calls[which]()
            pair[which] = time.perf_counter() - start
        times.append(pair)
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", help="tamis-compile of another build")
    parser.add_argument("--models", default=DEFAULT, help="keys of test/Models/models.txt, split by commas")
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--most", type=float, default=1.05, help="largest ratio that is no regression")
    parser.add_argument("--json", help="write the ratios here too")
    arguments = parser.parse_args()
    benchmarking.pin(1)
    compilers, found, failures = (os.path.join(TOP, "build", "bin", "tamis-compile"), arguments.other), {}, 0
    print("| case | this build ms | median ratio | ratio of minima | |\n|---|--:|--:|--:|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, path, flags, feed in cases(arguments.models, arguments.only, folder):
            pair = [compiled(c, path, flags, os.path.join(folder, f"{which}.so")) for which, c in enumerate(compilers)]
            calls = [m.bind(feed or kernels.inputs(m)) for m in pair]
            times = measure(calls, arguments.rounds)
            median = statistics.median(a / b for a, b in times)
            least = min(a for a, _ in times) / min(b for _, b in times)
            apart = max(compare.difference(a, b) for a, b in zip(*(call.outputs for call in calls)))
            verdict = "slower" if min(median, least) > arguments.most else f"results differ by {apart:.1e}" if apart > 1e-3 else ""
            failures += bool(verdict)
            found[name] = {"median": median, "least": least, "difference": float(apart)}
            print(f"| {name} | {min(a for a, _ in times) * 1e3:.3f} | {median:.2f} | {least:.2f} | {verdict} |", flush=True)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf8") as file:
            json.dump(found, file, indent=1)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
