#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Accuracy of compressed models on real data, beside the float model and other tools.

    run.py --task mnist-cntk,minilm-l6-v2 --method float,tamis,ort,nncf [--runtime ort,tamis] [--time] [--json FILE]

Prints a table: the task's own figures, how close the outputs are to the float model's (in ONNX Runtime), bytes of the
model, and what making it cost. `--method` is explained in methods.py; a method this machine lacks is named as skipped.
Needs onnx, onnxruntime and pillow; models, data and the other tools' environments are fetched on first use.
"""
import argparse
import json
import os
import sys
import time

import data
import methods
import metrics
import numpy as np
from tasks import TASKS

sys.path.insert(0, os.path.join(data.TOP, "python"))


def runner(path, runtime, threads=1):
    """A function from a feed to the list of outputs. "plain" is ONNX Runtime without optimisation, that is quantized groups in float."""
    if runtime == "tamis":
        import tamis

        model = tamis.compile(path, threads=threads)
        return lambda feed: model.run(None, feed)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    # Without VNNI, sums of unsigned times signed bytes saturate otherwise; with it nothing changes.
    options.add_session_config_entry("session.x64quantprecision", "1")
    if runtime == "plain":
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda feed: session.run(None, feed)


def compiled(path, feed):
    """The model compiled by Tamis for the shapes of `feed`."""
    import tamis
    from tamis.source import Source

    dims = {f"{info.name}:{axis}": feed[info.name].shape[axis] for info in Source(path).signature.inputs for axis, _ in info.open_dims}
    return tamis.compile(path, input_dims=dims, cache="off", lazy=False)


def reference(task):
    """Rows and figures of the float model in ONNX Runtime, kept in build/accuracy."""
    path = data.made(f"reference/{task.name}.npz")
    if not os.path.exists(path):
        rows, figures = task.evaluate(runner(task.model(), "ort"))
        np.savez(path, rows=rows, figures=json.dumps(figures))
    with np.load(path) as file:
        return file["rows"], json.loads(str(file["figures"]))


def milliseconds(run, feed):
    """The least time of a call in two rounds of up to 30 calls or 2 seconds."""
    run(feed)
    best = float("inf")
    for _ in range(2):
        end, count = time.monotonic() + 2, 0
        while count < 30 and time.monotonic() < end:
            start = time.perf_counter()
            run(feed)
            best, count = min(best, time.perf_counter() - start), count + 1
    return best * 1e3


def evaluate(task, method, runtime, arguments):
    """One line of the table as a dict."""
    rows, base = reference(task)
    path, costs = methods.compressed(task, method, arguments.fresh)
    result = {"task": task.name, "method": method, "runtime": runtime, "bytes": methods.size(path),
              **{f"making_{key}": costs[key] for key in ("seconds", "peak_mb") if key in costs}}
    start = time.monotonic()
    run = runner(path, runtime, arguments.threads)
    got, figures = task.evaluate(run)
    result["evaluation_seconds"] = round(time.monotonic() - start, 1)
    compare = getattr(task, "compare", None)
    result |= figures | (compare(rows, got) if compare else metrics.closeness(rows, got, task.classes))
    if "top1" in figures:
        result["drop"] = 100 * (base["top1"] - figures["top1"])
    if "perplexity" in figures:
        result["perplexity_share"] = figures["perplexity"] / base["perplexity"]
        result["perplexity_change"] = abs(figures["perplexity"] - base["perplexity"])
    if arguments.time:
        result["ms"] = milliseconds(run, task.timing())
    return result


HIDDEN = {"task", "method", "runtime", "evaluation_seconds", "perplexity_change"}


def show(task, results):
    """A Markdown table of the results of one task."""
    names = []
    for result in results:
        names += [key for key in result if key not in names and key not in HIDDEN]
    table = [["method", "run by", *names]]
    for result in results:
        table.append([result["method"], result["runtime"], *(_text(name, result.get(name)) for name in names)])
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    print(f"\n{task.name}")
    for i, row in enumerate(table):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")
        if not i:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    sys.stdout.flush()


def _text(name, value):
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.1f}" if name in ("snr_db", "making_seconds", "drop") else f"{value:.4f}"


def names(text, known, what):
    found = text.split(",")
    for name in found:
        if name not in known:
            raise SystemExit(f"error: no {what} '{name}': there are {', '.join(known)}")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default=",".join(TASKS), help="names split by commas (default: all)")
    parser.add_argument("--method", action="append", help="may be given several times (default: float, tamis, ort, nncf)")
    parser.add_argument("--runtime", default="ort", help="ort, tamis or both, split by commas (default ort)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--time", action="store_true", help="measure the time of a call as well")
    parser.add_argument("--fresh", action="store_true", help="compress again what is kept from an earlier run")
    parser.add_argument("--json", metavar="FILE", help="write the results; those of other tasks and methods in FILE stay")
    arguments = parser.parse_args()
    for name in names(arguments.task, TASKS, "task"):
        results = []
        for method in arguments.method or ["float", "tamis", "ort", "nncf"]:
            for runtime in names(arguments.runtime, ("ort", "tamis"), "runtime"):
                try:
                    results.append(evaluate(TASKS[name], method, runtime, arguments))
                except methods.Skipped as reason:
                    print(f"skipped {name} {method}: {reason}", flush=True)
                    break
                if arguments.json:
                    keep(arguments.json, results[-1])
        show(TASKS[name], results)


def keep(path, result):
    """Add one result to a file of results, in place of an older one of the same kind."""
    key = ("task", "method", "runtime")
    kept = []
    if os.path.exists(path):
        with open(path, encoding="utf8") as file:
            kept = [r for r in json.load(file) if any(r[k] != result[k] for k in key)]
    with open(path, "w", encoding="utf8") as file:
        json.dump(kept + [result], file, indent=1)


if __name__ == "__main__":
    main()
