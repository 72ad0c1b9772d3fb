# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From a float model and data to the fastest compiled model that loses at most so much.

Data are split into three parts (evaluate.py). Uniform choices are measured first, then each layer alone
(sensitivity.py); what is worth it spans the space that Optuna searches (space.py, search.py). The chosen model is
built again and scored on the third part, which nothing has seen.
"""
import dataclasses
import hashlib
import os
import time

from .. import options
from ..errors import Error
from ..source import Source
from . import evaluate, search, sensitivity, space as space_of
from .data import feeds_of, load_labels
from .recipe import Recipe
from .workbench import Workbench

NOTHING = "no candidate was both faster and within the bound: the float model is kept"


@dataclasses.dataclass
class Result:
    """What `optimize` returns: the compiled `model`, its `onnx` ModelProto, the `recipe`, and the `report` as plain data."""

    model: object
    onnx: object
    recipe: Recipe
    report: dict

    def save(self, path):
        """Write the compiled library, or the compressed ONNX model where `path` ends with .onnx."""
        path = os.fspath(path)
        if path.endswith(".onnx"):
            from . import storage

            storage.save(self.onnx, path)
        else:
            self.model.save(path)


def optimize(model, data, *, labels=None, metric=None, max_drop=0.01, recipe=None, trials=40, timeout=None, sampler="tpe",
             storage=None, study=None, weights=space_of.WEIGHTS, patterns=space_of.PATTERNS, sparsities=None,
             calibration_methods=space_of.CALIBRATIONS, seed=0, progress=None, **compile_options):
    """Search for the fastest compiled model whose metric drops by at most `max_drop` (absolute); returns a Result.

    `data` are samples as tamis.quantize takes them, `labels` one per sample. `metric` is "top1", "cosine", "snr",
    "FILE.py:FUNCTION" or a function of (outputs, labels). With a `recipe` (Recipe or path) nothing is searched: it is
    applied and measured. `sparsities` None are those that suit each pattern. `trials` counts the whole study, earlier
    runs and other workers included. `storage` is a file (SQLite) or any Optuna URL; None keeps the study in memory's
    stead in a temporary file. `progress(event)` is told of every step. Other keywords are tamis.compile's.
    """
    unknown = set(compile_options) - set(options.SHARED)
    if unknown:
        raise TypeError(f"optimize() got an unexpected keyword argument '{sorted(unknown)[0]}'")
    max_drop = evaluate.parse_drop(max_drop)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31:
        raise Error(f"seed: expected a whole number from 0 on, below 2^31, got {seed!r}")
    if not calibration_methods:
        raise Error("calibration_methods: expected at least one")
    bench = prepare(model, data, labels, metric, seed, compile_options)
    if recipe is not None:
        recipe = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
        return finish(bench, recipe, max_drop, {}, [], None, "given by the user")
    if sampler not in search.SAMPLERS:
        raise Error(f"sampler '{sampler}': expected one of {', '.join(search.SAMPLERS)}")
    if isinstance(trials, bool) or not isinstance(trials, int) or trials < 1:
        raise Error(f"trials: expected a positive number, got {trials!r}")
    choices = space_of.choices(tuple(weights), tuple(patterns), None if sparsities is None else tuple(sparsities))
    import tempfile

    with tempfile.TemporaryDirectory(prefix="tamis-study-") as folder:
        digest = hashlib.blake2b(bench.proto.SerializeToString(), digest_size=6).hexdigest()
        identity = {"model": digest, "metric": bench.metric.name, "data": evaluate.fingerprint(bench.parts),
                    "maximum drop": max_drop, "search space": " | ".join([*map(str, choices), *calibration_methods]),
                    "kind of sampler": "grid" if sampler == "grid" else "per layer", "target": _target(compile_options)}
        storage = storage or os.path.join(folder, "study.db")
        with search.blaming(storage):
            opened = search.Study(storage, study or f"tamis-{digest}", identity)
            return _search(bench, opened, choices, list(calibration_methods), max_drop, trials, timeout, sampler, seed,
                           progress or (lambda event: None))


def _target(options):
    return f"{options.get('target', 'native')}, {options.get('threads', 1)} threads"


def prepare(model, data, labels, metric, seed, compile_options):
    """A Workbench from what a user hands over."""
    from . import storage  # needs the package onnx, which `import tamis` must not

    source = Source(model)
    if source.is_mlir:
        raise Error("expected an ONNX model, got MLIR", file=source.name)
    proto = storage.load(model).model
    feeds = samples(data, source.signature.inputs)
    if labels is not None and isinstance(labels, (str, os.PathLike)):
        labels = load_labels(labels)
    parts = evaluate.split(feeds, labels, seed)
    with storage.blaming(model):
        return Workbench(proto, parts, evaluate.Metric.make(metric, labels), compile_options)


def samples(data, inputs):
    """The feeds of whatever form the data have."""
    return list(feeds_of(data, inputs))


def _search(bench, study, choices, calibrations, max_drop, trials, timeout, sampler, seed, progress):
    start = time.monotonic()
    deadline = lambda: timeout is not None and time.monotonic() - start >= timeout  # noqa: E731
    halfway = lambda: timeout is not None and time.monotonic() - start >= timeout / 2  # noqa: E731

    def tell(stage):
        progress({"stage": stage, "trials": study.trials(), "done": study.done(), "total": trials, "max_drop": max_drop})

    shared, method = study.shared, {"calibration_method": calibrations[0]}
    tell("uniform choices")
    found = sensitivity.uniform(bench, choices, shared, method, tell, halfway)
    if "allowed" not in shared:
        kept, refused = sensitivity.worthwhile(choices, found)
        shared["refused"] = refused
        shared["allowed"] = [str(c) for c in kept]
    allowed = [space_of.Choice.parse(text) for text in shared["allowed"]]
    if len(allowed) < 2:
        raise Error("nothing to search over: " + "; ".join(f"{c}: {r}" for c, r in shared["refused"].items()))
    times = sensitivity.own_times(found)
    decided = lambda: "menus" in shared or halfway()  # noqa: E731
    drops = sensitivity.per_layer(bench, allowed, shared, times, max_drop, method, tell, decided, study.index)
    if "ranking" not in shared:
        shared["ranking"] = sensitivity.ranking(drops)
    likely = sensitivity.expected(bench.names, found, drops)
    if "menus" not in shared:
        shared["menus"] = sensitivity.menus(bench.names, allowed, times, likely, max_drop)
    space = space_of.Space(bench.names, sensitivity.costs(bench, times), allowed, sampler == "grid", shared["ranking"], calibrations,
                           shared["menus"])
    if sampler != "grid" and "seeded" not in shared:
        shared["seeded"] = True
        for choice in allowed:
            params = space.params(dict.fromkeys(space.layers, choice))
            if not choice.is_float and set(space.assignment(params).values()) == {choice}:
                figures = {key: value for key, value in found[str(choice)].items() if key not in ("layers", "noise")}
                study.add(params, space, figures, max_drop)
        study.suggest_first(starts(space, times, likely, max_drop))

    def objective(params):
        # Samplers come back to good candidates; compiling one again would tell nothing new.
        known = next((t for t in study.trials() if t["params"] == params and t["ratio"] is not None), None)
        if known:
            return {key: known[key] for key in ("drop", "error", "value", "bytes", "ratio", "seconds", "float_seconds")}
        return bench.measure(space.recipe(params))

    study.run(space, sampler, objective, trials, seed, max_drop, deadline, lambda: tell("search"))
    finished = study.trials()
    tell("report")
    chosen = search.best(finished, max_drop)
    found_problems = [t["problem"] for t in finished if t["problem"]]
    if chosen is None and found_problems and len(found_problems) == len(finished):
        raise Error(f"every candidate failed; the first: {found_problems[0]}")
    if chosen is None or chosen["ratio"] > 1 - 2 * search.SAME:
        chosen, recipe, why = None, Recipe((), {"note": NOTHING}), NOTHING
    else:
        about = {"trial": chosen["number"], "metric": bench.metric.name, "max_drop": max_drop, "seed": seed}
        recipe, why = space.recipe(chosen["params"], about), f"trial {chosen['number']} of {len(finished)}"
    extra = {"uniform": found, "refused": shared["refused"], "sensitivity": drops, "sampler": sampler}
    return finish(bench, recipe, max_drop, extra, finished, chosen, why)


def starts(space, times, drops, max_drop):
    """Parameters worth trying first: mixtures that the sensitivities promise to stay within a share of the bound."""
    uniform = [dict.fromkeys(space.layers, choice) for choice in space.allowed]
    found = []
    for share in (1.0, 0.5, 2.0, 0.25):
        assignment = space_of.greedy(space, times, drops, share * max_drop)
        if assignment not in uniform and assignment not in found:
            found.append(assignment)
    return [space.params(assignment) for assignment in found]


def finish(bench, recipe, max_drop, extra, trials, chosen, why):
    """Build the chosen model again, score it on the part nothing has seen, and write down everything."""
    from . import report

    made = bench.candidate(recipe)
    bench.score(made, "report")
    bench.time(made, seconds=1.0)
    data = report.collect(bench, made, recipe, max_drop, extra, trials, chosen, why)
    return Result(made.model, made.proto, recipe, data)
