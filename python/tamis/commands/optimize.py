# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`tamis optimize`: from a float model and data to the fastest compiled model that loses at most so much."""
import contextlib
import os
import sys

import click

from .. import compiler, files
from ..compression import evaluate, optimize, plots, report as reports, search, space
from ..compression.recipe import Recipe, describe
from ..errors import Error
from ..source import Source
from . import common


def _list(default, kind=str):
    """A comma-separated list as an option's type."""

    def convert(_context, option, text):
        if text is None:
            return None
        try:
            return tuple(kind(part.strip()) for part in text.split(",") if part.strip())
        except ValueError:
            raise click.BadParameter(f"expected numbers split by commas, got '{text}'") from None

    shown = {"default": ",".join(f"{value}" for value in default), "show_default": True} if default else {}
    return {**shown, "callback": convert, "metavar": "LIST"}


@common.command(
    "optimize", common.MODEL_ARGUMENT,
    click.option("--data", type=common.READ, metavar="PATH",
                 help="Samples: .npz, .npy or a folder of them; split into thirds to calibrate, search, report."),
    click.option("--labels", type=common.READ, metavar="FILE", help="One label a sample, as .npy."),
    click.option("--metric", metavar="NAME", 
                 help="top1 (default with labels), cosine (default without), snr, or FILE.py:FUNCTION called with (outputs, labels)."),
    click.option("--max-drop", default="1%", show_default=True, metavar="X", help="Largest drop of the metric, absolute: 0.01 or 1%."),
    click.option("-o", "--output", "output_path", metavar="FILE", help="The result, .so or .onnx (default: MODEL.optimized.so)."),
    click.option("--recipe", "recipe_path", type=common.READ, metavar="FILE", help="Apply this recipe instead of searching."),
    click.option("--save-config", metavar="FILE", help="Where the recipe goes (default: beside the output, .recipe.yaml)."),
    click.option("--report", "report_path", metavar="FILE|off", help="The HTML page (default: beside the output, .html)."),
    click.option("--dry-run", is_flag=True, help="Say what would be done to each layer, and do nothing."),
    click.option("--trials", type=click.IntRange(1), default=40, show_default=True, 
                 help="Trials of the study, all workers and earlier runs together."),
    click.option("--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Stop searching after this time."),
    click.option("--sampler", type=click.Choice(search.SAMPLERS), default="tpe", show_default=True, 
                 help="How Optuna chooses the next trial."),
    click.option("--storage", metavar="FILE|URL", 
                 help="Where the study lives: an SQLite file (default: beside the output, .study.db) or an Optuna URL."),
    click.option("--study", metavar="NAME", help="Name of the study; default: made from the model."),
    click.option("--weights", help="Types of weights to search over.", **_list(space.WEIGHTS)),
    click.option("--pattern", "patterns", help="Patterns to search over: dense, unstructured, channel, N:M, RxC.", **_list(space.PATTERNS)),
    click.option("--sparsity", "sparsities", help="Sparsities to search over (default: 0.25,0.5 for channel, 0.7,0.9 for others).",
                 **_list(None, float)),
    click.option("--calibration-method", "calibration_methods", help="Calibrations to search over.", **_list(space.CALIBRATIONS)),
    *common.COMPILE_OPTIONS)
def command(output, path, data, labels, metric, max_drop, output_path, recipe_path, save_config, report_path, dry_run, trials, timeout,
            sampler, storage, study, weights, patterns, sparsities, calibration_methods, **compile_options):
    """Search for the fastest compiled form of MODEL (.onnx) whose metric drops by at most --max-drop.

    Each layer gets its own weight type, pattern and sparsity. What is printed as accuracy comes from data the search
    has not seen. Run it again to continue a study, and twice at once to share one.

    \b
    Example:
      tamis optimize model.onnx --data x.npz --labels y.npy --max-drop 1% -o model.so --report model.html
      tamis optimize model.onnx --data x.npz --recipe model.recipe.yaml -o model.so
    """
    limit = evaluate.parse_drop(max_drop)
    recipe = Recipe.load(recipe_path) if recipe_path else None
    output_path = output_path or os.path.splitext(path)[0] + ".optimized.so"
    stem = os.path.splitext(output_path)[0]
    choices = space.choices(weights, patterns, sparsities)
    config, page = save_config or f"{stem}.recipe.yaml", report_path or f"{stem}.html"
    output.writes(output_path, compiler.header(output_path), *(() if page == "off" else (page,)),
                  *(() if recipe_path and files.same(config, recipe_path) else (config,)))
    if dry_run:
        return _dry_run(output, path, recipe, choices, trials, save_config)
    if not data:
        raise click.UsageError("expected --data")
    _check_early(path, output_path, common.make_options(dict(compile_options)))
    if page != "off":
        reports.require("jinja2", extra="report")
    with _shown(output) as progress:
        result = optimize.optimize(
            path, data, labels=labels, metric=metric, max_drop=limit, recipe=recipe, trials=trials, timeout=timeout, sampler=sampler,
            storage=storage or f"{stem}.study.db", study=study, weights=weights, patterns=patterns, sparsities=sparsities,
            calibration_methods=calibration_methods, seed=output.seed, progress=progress, **compile_options)
    result.save(output_path)
    result.recipe.save(config)
    reports.terminal(output, result.report)
    if page != "off":
        reports.write_html(result.report, page, os.path.basename(path))
    output.say("wrote " + ", ".join([output_path, config] + [page] * (page != "off")))
    output.result(reports.to_json(result.report))
    return int(not result.report["metric"]["within"])


def _check_early(path, output_path, options):
    """Refuse before the search what would fail after it."""
    source = Source(path)
    missing = compiler.unbound_dims(source.signature, options) if source.signature and not output_path.endswith(".onnx") else ()
    if missing:
        raise Error(f"the dimensions {', '.join(missing)} are open: bind them with --input-dim, or write an .onnx", file=path)
    folder = os.path.dirname(os.path.abspath(output_path))
    if not os.path.isdir(folder):
        raise Error("no such folder for the output", file=folder)


def _dry_run(output, path, recipe, choices, trials, save_config):
    """What each layer would get, from the graph alone."""
    from ..compression import layers, storage

    with storage.blaming(path):
        found = layers.layers(storage.load(path).model, count_zeros=False)
    names = [layer.name for layer in found]
    if not names:
        raise Error("nothing to compress: no convolution or matrix product with a weight of its own", file=path)
    if recipe is None:
        first = next((c for c in choices if not c.is_float and c.pattern == space.DENSE), choices[0])
        recipe = space.to_recipe(dict.fromkeys(names, first))
        output.table("layer", "op", "weight", rows=[(layer.name, layer.op, "x".join(map(str, layer.shape))) for layer in found])
        output.say("searched over for each: " + ", ".join(map(str, choices)))
        output.say(f"{len(names)} layers, {len(choices)} choices, {trials} trials; nothing was run")
    else:
        what = dict(describe(recipe, names))
        output.table("layer", "op", "weight", "recipe", rows=[(layer.name, layer.op, "x".join(map(str, layer.shape)), what[layer.name])
                                                              for layer in found])
        output.say(f"{len(recipe.steps)} steps for {len(names)} layers; nothing was run")
    if save_config:
        recipe.save(save_config)
        output.say(f"wrote {save_config}")
    output.result({"layers": [dict(layer=layer.name, op=layer.op, shape=layer.shape) for layer in found],
                   "choices": [str(c) for c in choices], "recipe": recipe.to_text()})
    return 0


@contextlib.contextmanager
def _shown(output):
    """A function for optimize's `progress`: the Pareto front, live on a terminal, a line per stage elsewhere."""
    if output.level < 0:
        yield None
        return
    if not sys.stderr.isatty():
        last = []

        def line(event):
            best = search.best(event["trials"], event["max_drop"])
            text = event["stage"] if event["stage"] != "search" else f"trial {event['done']} of {event['total']}"
            text += f": best {1 / best['ratio']:.2f}x, drop {plots.number(best['drop'])}" if best else ""
            if last != [text]:
                last[:] = [text]
                output.log.print(text, markup=False)

        yield line
        return
    from rich.live import Live

    with Live(console=output.log, transient=True, refresh_per_second=4) as live:
        yield lambda event: live.update(_front(event))


def _front(event):
    """The current Pareto front as a rich table."""
    from rich.table import Table

    trials, limit = event["trials"], event["max_drop"]
    table = Table(title=f"{event['stage']}: {event['done']} of {event['total']} trials; Pareto front", box=None, title_justify="left")
    for name in ("trial", "x float", "drop", ""):
        table.add_column(name, justify="right")
    best = search.best(trials, limit)
    for trial in search.pareto(trials)[:12]:
        mark = "" if search.feasible(trial, limit) else "drops too much"
        if best and trial["number"] == best["number"]:
            mark = "best within the bound"
        table.add_row(str(trial["number"]), f"{1 / trial['ratio']:.2f}", plots.number(trial["drop"]), mark)
    return table
