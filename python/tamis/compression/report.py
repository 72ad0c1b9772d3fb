# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What `tamis optimize` did, as plain data, as a table on a terminal, and as one HTML page that needs nothing else."""
import json
import math
import os
import time

import numpy as np

from .. import _tamis, files
from ..errors import Error
from . import evaluate, layer_times, layers as layer_list, plots, search
from .recipe import require

BINS = 40
LEFT = "left as it is"
TRACED = 4      # samples of the report part whose inner values are looked at
SECONDS = 90.0  # for the times of layers on their own; what is left then has none


def collect(bench, made, recipe, max_drop, extra, trials, chosen, why):
    """The report as plain data; the accuracy is the report part's."""
    start = time.monotonic()
    part = bench.parts["report"]
    float_value = bench.metric.of_float(bench.reference("report"), part.labels)
    rows = layer_rows(bench, made, recipe, extra, lambda: time.monotonic() - start > SECONDS)
    front = search.pareto(trials)
    return {
        "tamis": _tamis.version, "machine": machine(), "target": bench.options.get("target", "native"),
        "threads": bench.options.get("threads", 1), "why": why, "recipe": recipe.to_text(),
        "samples": {name: len(p) for name, p in bench.parts.items()},
        "metric": {"name": bench.metric.name, "meaning": bench.metric.needs(), "float": float_value, "compressed": made.score.value,
                   "drop": made.score.drop, "maximum": max_drop, "within": made.score.drop <= max_drop},
        "latency": {"float_s": made.latency.float_seconds, "compressed_s": made.latency.seconds,
                    "speedup": 1 / made.latency.ratio, "rounds": made.latency.rounds},
        "bytes": {"float": bench.proto.ByteSize(), "compressed": made.proto.ByteSize()},
        "layers": rows, "notes": [_plain(note) for note in made.notes],
        "uniform": {choice: {k: v for k, v in result.items() if k not in ("layers", "noise")} for choice, result in extra.get("uniform", {}).items()},
        "refused": extra.get("refused", {}), "sampler": extra.get("sampler"),
        "sensitivity": [{"layer": layer, "choice": choice, "drop": drop} for (layer, choice), drop in extra.get("sensitivity", {}).items()],
        "trials": trials, "pareto": [t["number"] for t in front], "chosen": chosen and chosen["number"],
    }


def machine():
    """The processor's name as Linux gives it."""
    try:
        with open("/proc/cpuinfo", encoding="utf8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return os.uname().machine


def layer_rows(bench, made, recipe, extra, deadline):
    """One dict per layer: what it was, what it became, what that costs and brings."""
    before, after = layer_list.Graph(bench.proto), layer_list.Graph(made.proto)
    found = {layer_list.node_name(f[0]): f for f in layer_list.weighted(after)}
    feeds = bench.parts["report"].feeds[:TRACED]
    values = _traces(bench, before, made.proto, feeds, found)
    times = layer_times.layer_times(bench.proto, feeds, bench.options, deadline)
    times_after = layer_times.layer_times(made.proto, feeds, bench.options, deadline)
    rows = []
    originals = {layer_list.node_name(f[0]): f for f in layer_list.weighted(before)}
    for layer in bench.layers:
        row = {"layer": layer.name, "op": layer.op, "shape": list(layer.shape), "bits": layer.bits, "dtype": layer.dtype,
               "pattern": "dense", "sparsity": layer.zeros, "bytes_before": layer.stored_bytes, "bytes_after": layer.stored_bytes,
               "time_before": times.get(layer.name, math.nan), "time_after": times_after.get(layer.name, math.nan), "snr": math.nan}
        weights = layer_list.weight_values(before, *originals[layer.name][2:])
        if layer.name in found:
            changed = layer_list.layer_of(after, *found[layer.name])
            row.update(bits=changed.bits, dtype=changed.dtype, sparsity=changed.zeros, bytes_after=changed.stored_bytes)
            row["weights"] = histogram([weights], [layer_list.weight_values(after, *found[layer.name][2:])])
        if layer.name in values:
            want, got = values[layer.name]
            if all(w.shape == g.shape for w, g in zip(want, got)):
                row["snr"] = evaluate.snr(np.concatenate([g.reshape(-1) for g in got]), np.concatenate([w.reshape(-1) for w in want]))
            row["activations"] = histogram(want, got)
        row.update(decision(layer.name, row, recipe, extra, made.notes))
        if row["decision"] == LEFT:
            row["time_after"] = row["time_before"]  # the same code: a second measurement would only show noise
        rows.append(row)
    return rows


def _traces(bench, before, proto, feeds, found):
    """{layer: (the float model's outputs, the compressed model's)}."""
    after = {name: f[0].output[0] for name, f in found.items()}
    # A bias or a normalization may have moved into the layer: its output is then the float model's later tensor.
    names = {layer.name: after[layer.name] if after.get(layer.name) in before.producer else layer.output for layer in bench.layers}
    try:
        want = layer_times.trace(bench.proto, list(names.values()), feeds, bench.options)
        got = layer_times.trace(proto, list(after.values()), feeds, bench.options)
    except Error:
        return {}
    return {name: ([np.asarray(w[names[name]], np.float32) for w in want], [np.asarray(g[after[name]], np.float32) for g in got])
            for name in names if name in after and all(names[name] in w for w in want) and all(after[name] in g for g in got)}


def histogram(before, after):
    """Counts of two sets of arrays in the same bins, as shares."""
    finite = [np.concatenate([a.reshape(-1)[np.isfinite(a.reshape(-1))] for a in arrays]) for arrays in (before, after)]
    both = np.concatenate(finite)
    low, high = (float(both.min()), float(both.max())) if both.size else (0.0, 0.0)
    if not high > low:
        low, high = low - 0.5, high + 0.5
    counts = [np.histogram(a, BINS, (low, high))[0] / max(a.size, 1) for a in finite]
    return {"low": low, "high": high, "before": [round(float(c), 6) for c in counts[0]], "after": [round(float(c), 6) for c in counts[1]]}


def decision(name, row, recipe, extra, notes):
    """What was decided for a layer, and why: what the search measured, then the passes' own words."""
    parts = []
    for step in recipe.steps:
        options = step.for_layer(name)
        if options is not None and step.kind == "prune":
            row["pattern"] = options.get("pattern", "unstructured")
            parts.append(f"pruned {row['pattern']}")
        elif options is not None and row["dtype"] != "float32":
            parts.append(options.get("weights", "int8"))
    reasons = []
    times = {choice: result.get("layers", {}).get(name) for choice, result in extra.get("uniform", {}).items()}
    for (layer, choice), drop in extra.get("sensitivity", {}).items():
        if layer == name:
            took = f" and takes {plots.number(times[choice] * 1e6)} µs" if times.get(choice) else ""
            reasons.append(f"alone as {choice} it loses {plots.number(drop)}{took}")
    if times.get("float32") and reasons:
        reasons.append(f"as float {plots.number(times['float32'] * 1e6)} µs")
    told = [str(note["reason"]) for note in notes if note.get("layer") == name and note.get("reason")]
    if extra.get("uniform"):  # the search excluded it, for the reasons above
        told = [reason for reason in told if "excluded by name" not in reason]
    return {"decision": ", ".join(parts) or LEFT, "reason": "; ".join(dict.fromkeys(reasons + told))}


def _plain(note):
    return {str(key): value.item() if hasattr(value, "item") else value for key, value in dict(note).items()}


def to_json(data):
    """JSON without NaN and infinity, which its readers do not know."""

    def clean(value):
        if isinstance(value, dict):
            return {str(k): clean(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [clean(v) for v in value]
        if isinstance(value, (float, np.floating)):
            return float(value) if math.isfinite(value) else None
        return value.item() if hasattr(value, "item") else value

    return json.loads(json.dumps(clean(data), default=str))


def headline(data):
    """The result in sentences."""
    metric, latency, size = data["metric"], data["latency"], data["bytes"]
    kept = "within" if metric["within"] else "MORE than"
    return [f"{metric['name']} {metric['float']:.4g} -> {metric['compressed']:.4g} on the {data['samples']['report']} samples of "
            f"the report part: drop {plots.number(metric['drop'])}, {kept} the allowed {plots.number(metric['maximum'])}",
            f"time {latency['float_s'] * 1e3:.4g} ms -> {latency['compressed_s'] * 1e3:.4g} ms ({latency['speedup']:.2f}x), "
            f"model {size['float'] / 1e6:.3g} MB -> {size['compressed'] / 1e6:.3g} MB; {data['why']}"]


def terminal(output, data):
    """Print the table of layers and the result."""
    def change(before, after):
        return before if before == after else f"{before}>{after}"

    rows = [(r["layer"], r["op"], r["pattern"], f"{r['sparsity']:.0%}", r["dtype"], plots.number(r["snr"]),
             f"{plots.number(r['time_before'] * 1e6)}>{plots.number(r['time_after'] * 1e6)}", change(r["bytes_before"], r["bytes_after"]))
            for r in data["layers"]]
    output.table("layer", "op", "pattern", ">zeros", "weights", ">SNR dB", ">us alone", ">bytes", rows=rows)
    for line in headline(data):
        output.say(line)


def html(data, name):
    """The page as text."""
    jinja2 = require("jinja2", extra="report")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
                                     loader=jinja2.FileSystemLoader(os.path.dirname(os.path.abspath(__file__))))
    environment.filters["number"] = plots.number
    environment.filters["size"] = size_text
    page = environment.get_template("report.html.j2")
    return page.render(data=data, name=name, safe=jinja2.utils.markupsafe.Markup, headline=headline(data), speed=speed_text(data["latency"]["speedup"]), pareto_plot=_pareto(data),
                       series=series_of(data), bars=_bars(data), histogram=lambda h: plots.histogram(
                           h["before"], h["after"], h["low"], h["high"]) if h else "")


def speed_text(speedup):
    """How much faster than float, in words; 1 % is what timing can tell."""
    if abs(speedup - 1) < 0.01:
        return "as fast as float"
    return f"{speedup:.2f}× faster" if speedup > 1 else f"{1 / speedup:.2f}× slower"


def size_text(count):
    """Bytes as people read them."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def _pareto(data):
    if not data["trials"]:
        return ""
    limit, points = data["metric"]["maximum"], []
    float_ms = data["latency"]["float_s"] * 1e3
    for trial in data["trials"]:
        if trial["ratio"] is None:
            continue
        kind = "chosen" if trial["number"] == data["chosen"] else "feasible" if search.feasible(trial, limit) else "infeasible"
        # Shares of the float time: one float time for all, so that a busy minute moves no point.
        points.append({"number": trial["number"], "ms": trial["ratio"] * float_ms, "drop": trial["drop"], "kind": kind,
                       "title": f"trial {trial['number']}: {trial['ratio'] * float_ms:.4g} ms, drop {plots.number(trial['drop'])}"})
    front = [next(p for p in points if p["number"] == number) for number in data["pareto"]]
    points.append({"ms": float_ms, "drop": 0.0, "kind": "float", "title": f"float model: {float_ms:.4g} ms"})
    return plots.pareto(points, front, limit)


def series_of(data):
    """The choices whose sensitivity was measured, in order."""
    return list(dict.fromkeys(entry["choice"] for entry in data["sensitivity"]))


def _bars(data, most=40):
    rows = {}
    for entry in data["sensitivity"]:
        rows.setdefault(entry["layer"], {})[entry["choice"]] = math.inf if entry["drop"] is None else entry["drop"]
    rows = sorted(rows.items(), key=lambda item: -max(item[1].values()))[:most]
    return plots.bars(rows, series_of(data), data["metric"]["maximum"]) if rows else ""


def write_html(data, path, name):
    """Write the page."""
    files.write_text(path, html(data, name), "the report")
