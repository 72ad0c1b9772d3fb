# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`tamis benchmark`: one model or a list of models, Tamis beside ONNX Runtime, OpenVINO or, on NVIDIA devices, PyTorch."""
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile

import click

from .. import _tamis, benchmarking, files, suite as model_list
from ..errors import Error, reason
from . import common, suite_report

ENGINES = ("tamis", *benchmarking.PEERS)
# What is compared by default, by the beginning of the target.
USUAL = {"nvptx": ("tamis", "onnxruntime-cuda", "pytorch"), "vulkan": ("tamis", "onnxruntime"), "": ("tamis", "onnxruntime", "openvino")}
COPY_BYTES = 32 << 20


@common.command("benchmark", click.argument("path", type=common.READ, metavar="[MODEL]", required=False), common.INPUT_OPTION,
                click.option("--compare", "onnx_path", type=common.READ, metavar="FILE",
                             help="The ONNX model, where MODEL is a compiled library."),
                click.option("--engine", help=f"Engines, split by commas: {', '.join(ENGINES)}. Default: those for the target."),
                click.option("--rounds", type=click.IntRange(1), help="Default: at least 30, 5 for models over 200 ms."),
                click.option("--suite", type=common.READ, metavar="FILE",
                             help="Measure every model of this list (test/Models/models.txt)."),
                click.option("--models", help="With --suite: only these keys, split by commas."),
                click.option("--markdown", type=common.WRITTEN, metavar="FILE",
                             help="With --suite: write the table here (docs/Benchmarks.md)."),
                click.option("--key", hidden=True, help="The model's key in --suite: its own inputs are used."),
                *common.COMPILE_OPTIONS, common.CACHE_OPTION)
def command(output, path, input_path, onnx_path, engine, rounds, suite, models, markdown, key, cache, **arguments):
    """Time MODEL (.onnx, .so) in several engines that take turns on the same cores.

    For a device (--target vulkan, nvptx:sm_80) the time by its own clock stands beside the caller's, which includes copies of
    inputs and outputs, and the limit is a copy in the device's memory.

    \b
    Example:
      tamis benchmark model.onnx --engine tamis,onnxruntime --json times.json
      tamis benchmark --suite test/Models/models.txt --markdown docs/Benchmarks.md
    """
    usual = next(names for start, names in USUAL.items() if arguments["target"].startswith(start))
    names = [name.strip() for name in engine.split(",") if name.strip()] if engine else list(usual)
    for name in names or [""]:
        if name not in ENGINES:
            raise Error(f"engine '{name}': expected some of {', '.join(ENGINES)}")
    if suite and not key:
        return _run_suite(output, suite, models, markdown, names, rounds, cache, arguments)
    if not path:
        raise click.UsageError("expected a MODEL or --suite")
    entry = _read_list(suite, key)[0] if key else None
    return _run_model(output, path, input_path, onnx_path, names, rounds, entry, cache, arguments)


def _read_list(path, keys):
    """The models of a list, or those of these keys."""
    try:
        with files.reading("the list of models", path):
            return model_list.select(model_list.read(path), keys)
    except (KeyError, ValueError) as error:
        raise Error(f"cannot read the list of models: {reason(error)}", file=path) from None


def _run_model(output, path, input_path, onnx_path, names, rounds, entry, cache, arguments):
    from .. import verification

    options = common.make_options(arguments)
    onnx_path = onnx_path or (None if common.is_library(path) else path)
    if onnx_path is None and names != ["tamis"]:
        raise Error("a compiled library alone cannot be compared: give the model with --compare", file=path)
    cores = benchmarking.pin(options.threads)
    model, compile_seconds, problem = None, None, ""
    try:
        model, _, compile_seconds = common.open_model(path, options, cache, output)
        inputs = model.get_inputs()
    except Error as error:
        if names == ["tamis"] or not onnx_path or options.target.startswith("nvptx"):
            raise  # nothing to compare with
        from ..source import Source

        problem, inputs = str(error), list(Source(onnx_path).signature.inputs)
    if entry:
        feeds = [model_list.feeds(entry, output.seed + i) for i in range(benchmarking.INPUTS)]
    elif input_path:
        feeds = [common.make_feed(inputs, input_path, 0, options)] * benchmarking.INPUTS
    else:
        feeds = [common.make_feed(inputs, None, output.seed + i, options) for i in range(benchmarking.INPUTS)]
    kind = verification.numeric_class(onnx_path) if onnx_path else "float"
    engines, rows = [], []
    for name in names:
        if name == "tamis" and problem:
            rows.append(benchmarking.Row(name, _tamis.version, problem=problem))
            continue
        made, row = benchmarking.make_engine(name, model, onnx_path, feeds, options.threads, kind)
        rows.append(row)
        if made:
            engines.append((made, row))
    loop = benchmarking.limit_loop(kind)
    limit = functools.partial(_tamis.measure_limit, loop, 0.002)
    if model and options.target.startswith(("nvptx", "vulkan")):
        if model.device_copy(COPY_BYTES):
            loop, limit = "device copy (bytes)", functools.partial(model.device_copy, COPY_BYTES)
    with output.progress() as bar:
        limits = benchmarking.measure(engines, limit, rounds, bar)
    if onnx_path:
        benchmarking.check_outputs(engines, onnx_path, feeds, kind, bool(entry and entry.classifier))
    _show(output, rows, loop, limits, cores)
    output.result({"model": os.path.basename(path), "class": kind, "cores": len(cores), "rows": [row.plain() for row in rows],
                   "limit_loop": loop, "limit_median": statistics.median(limits), "limit_min": min(limits),
                   "limit_max": max(limits), "load_or_compile_s": compile_seconds,
                   "ratios": {name: benchmarking.ratio(rows, name) for name in names if name != "tamis"}})
    return int(any(row.difference for row in rows if row.name == "tamis") or bool(problem))


def _show(output, rows, loop, limits, cores):
    table = []
    for row in rows:
        ratio = benchmarking.ratio(rows, row.name)
        device = "" if row.device_median is None else f"{row.device_median * 1e3:.3f}"
        table.append((f"{row.name} {row.version}", f"{row.median * 1e3:.3f}", f"{row.minimum * 1e3:.3f}", device,
                      "" if ratio is None or row.name == "tamis" else f"{ratio:.2f}",
                      row.problem or row.difference or "as the reference"))
    if any(row.device_seconds for row in rows):
        output.table("engine", ">median ms", ">min ms", ">device ms", ">ratio", "outputs", rows=table)
    else:
        output.table("engine", ">median ms", ">min ms", ">ratio", "outputs", rows=[line[:3] + line[4:] for line in table])
    output.say(f"{len(max((row.seconds for row in rows), key=len))} rounds on core {','.join(map(str, cores))}; ratio = time / time of tamis; "
               f"limit {loop}: median {statistics.median(limits) / 1e9:.1f}, {min(limits) / 1e9:.1f} to {max(limits) / 1e9:.1f} G/s")


def _run_suite(output, suite, keys, markdown, names, rounds, cache, arguments):
    """Each model in a process of its own; a crash of one is a row, not the end."""
    entries = [m for m in _read_list(suite, keys) if not m.light or keys]
    flags = [f"--target={arguments['target']}", f"--threads={arguments['threads']}", f"--seed={output.seed}"]
    flags += [f"--rounds={rounds}"] if rounds else []
    flags += [f"--cache={cache}"] if cache else []
    flags += ["--strict"] if arguments["strict"] else []
    flags += [f"--allow={name}" for name in arguments["allow"]]
    results = []
    with tempfile.TemporaryDirectory() as folder, output.progress() as bar:
        task = bar.add_task("models", total=len(entries))
        for entry in entries:
            bar.update(task, description=entry.key)
            result = os.path.join(folder, "result.json")
            dims = [f"--input-dim={d}" for d in _suite_dims(entry)]
            done = subprocess.run([sys.executable, "-m", "tamis", "benchmark", entry.path, "--suite", suite, "--key", entry.key, "-q",
                                   "--engine", ",".join(names), "--json", result, *flags, *dims], capture_output=True, text=True)
            data = {"rows": [], "problem": (done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"])[-1]}
            if os.path.exists(result):
                with open(result, encoding="utf8") as file:
                    data = json.load(file)
                os.remove(result)
            results.append({"key": entry.key, "kinds": entry.kinds, **data})
            output.say(suite_report.line(results[-1]))
            bar.advance(task)
    summary = suite_report.summary(results)
    for text in summary:
        output.say(text)
    if markdown:
        suite_report.write(markdown, results, summary, common_facts(results))
    output.result({"machine": common_facts(results), "summary": summary, "models": results})
    return int(any(r.get("problem") for r in results))


def _suite_dims(entry):
    """The tested shape as bindings: what is static in the file ignores them."""
    from ..source import Source

    try:
        signature = Source(entry.path).signature
    except Error:
        return []
    shapes = {i.name: i.shape for i in entry.inputs}
    return [f"{info.name}:{axis}={shapes[info.name][axis]}" for info in signature.inputs for axis, _ in info.open_dims
            if info.name in shapes]


def common_facts(results):
    """The machine and the versions, once for the whole suite."""
    from .hardware import describe

    facts = describe()
    versions = {row["engine"]: row["version"] for r in results for row in r["rows"] if row["version"]}
    return {"cpu": facts["cpu"], "caches": facts["caches"], "cores": facts["cores"], "versions": versions}
