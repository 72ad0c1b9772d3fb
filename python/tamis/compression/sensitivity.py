# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What each layer loses when it alone is compressed, and which choices are faster at all.

Both go before the search: a choice that makes nothing faster is not searched over, and the losses give the search
good models to start from. Results are kept in a `shared` mapping, so that workers of one study divide the work.
"""
import random

from ..errors import Error
from .space import DENSE, Choice, to_recipe

HOPELESS = 1.5  # times the bound that a layer may lose alone and still be tried: losses do not quite add up
WORTH = 0.03  # of the model's time that a choice has to save, layers taken one by one


def uniform(bench, choices, shared, options=None, progress=None, deadline=None):
    """{choice: {"ratio", "drop", "value", "layers", …} or {"problem"}}: every layer of the model with the same choice."""
    for choice in choices:
        key = f"uniform:{choice}"
        if key in shared or (deadline and deadline()):
            continue
        if progress:
            progress(f"every layer {choice}")
        if choice.is_float:
            shared[key] = {"ratio": 1.0, "drop": 0.0, "error": 0.0, "layers": bench.layer_times(bench.proto)}
        else:
            shared[key] = _measured(bench, to_recipe(dict.fromkeys(bench.names, choice), options), timed=True)
    return {str(c): shared[f"uniform:{c}"] for c in choices if f"uniform:{c}" in shared}


def _measured(bench, recipe, timed):
    try:
        return bench.measure(recipe, timed, layered=timed)
    except Error as error:
        return {"problem": error.text}


def worthwhile(choices, found):
    """(the choices to search over, {choice: why it is left out}).

    A choice stays if it makes some layers faster than every simpler choice that stays: a mixture may gain where the
    uniform model loses. Fewer bits are compared with more, pruned with dense.
    """
    best = dict(found.get(str(Choice()), {}).get("layers", {}))
    total = sum(t for t in best.values() if t == t)
    kept, refused = [Choice()], {}
    for choice in sorted((c for c in choices if not c.is_float), key=lambda c: c.pattern != DENSE):
        result = found.get(str(choice), {"problem": "not measured: out of time"})
        if "problem" in result:
            refused[str(choice)] = result["problem"]
            continue
        times = {name: t for name, t in result["layers"].items() if t == t and best.get(name) == best.get(name)}
        saved = sum(max(0.0, best.get(name, t) - t) for name, t in times.items())
        if saved < WORTH * total or (not total and result["ratio"] >= 1):
            refused[str(choice)] = f"no faster: saves {saved / total if total else 0:.1%} of the time, given only to the layers it helps"
            continue
        kept.append(choice)
        best.update({name: min(t, best.get(name, t)) for name, t in times.items()})
    if len(kept) == 1:
        # Timings of a model this small say little; sizes still do.
        measured = [c for c in choices if c.pattern == DENSE and not c.is_float and "ratio" in found.get(str(c), {})]
        if measured:
            fallback = min(measured, key=lambda c: found[str(c)]["ratio"])
            kept.append(fallback)
            refused.pop(str(fallback), None)
    return kept, refused


def menus(names, allowed, times, drops, max_drop):
    """{layer: [choice]}: what makes sense for each layer. Without those that alone lose more than the bound, and without
    pruned ones that are no faster there than their dense twin."""
    found = {}
    for name in names:
        found[name] = []
        for choice in allowed:
            lost = drops.get((name, str(choice)), 0.0)
            took, twin = times.get((name, str(choice))), times.get((name, str(Choice(choice.weights))))
            slow = choice.pattern != DENSE and took and twin and took > (1 - WORTH) * twin
            if choice.is_float or not (slow or lost > HOPELESS * max_drop):
                found[name].append(str(choice))
    return found


def own_times(found):
    """{(layer, choice): seconds} from the uniform models."""
    return {(layer, choice): t for choice, result in found.items() for layer, t in result.get("layers", {}).items()}


def per_layer(bench, choices, shared, options=None, progress=None, deadline=None, worker=0):
    """{(layer, choice): drop}: each layer alone, large ones first; a second worker takes what is not there yet in disorder."""
    work = [(name, choice) for choice in choices if not choice.is_float for name in bench.names]
    order = sorted(work, key=lambda item: -bench.cost[item[0]])
    if worker:
        random.Random(worker).shuffle(order)
    done = 0
    for name, choice in order:
        key = f"layer:{name}:{choice}"
        done += 1
        if key in shared or (deadline and deadline()):
            continue
        if progress:
            progress(f"{name} alone {choice} ({done} of {len(order)})")
        alone = {other: choice if other == name else Choice() for other in bench.names}
        shared[key] = _measured(bench, to_recipe(alone, options), timed=False)
    return {(name, str(choice)): shared[f"layer:{name}:{choice}"].get("drop", float("inf"))
            for name, choice in work if f"layer:{name}:{choice}" in shared}


def ranking(drops):
    """{layer: its worst drop}: what the uniform search keeps float first."""
    worst = {}
    for (name, _), drop in drops.items():
        worst[name] = max(worst.get(name, 0.0), drop)
    return worst
