# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What each layer loses when it alone is compressed, and which choices are faster at all.

Both go before the search: a choice that makes nothing faster is not searched over, and the losses give the search
good models to start from. Results are kept in a `shared` mapping, so that workers of one study divide the work.
"""
import random

from ..errors import Error
from .space import DENSE, FLOAT, Choice, to_recipe

HOPELESS = 1.5  # times the bound that a layer may lose alone and still be tried: losses do not quite add up
WORTH = 0.03  # of the model's time that a choice has to save, layers taken one by one
SURE = 0.05   # of a layer's time that a choice has to save there: many small errors of clocks add up


def uniform(bench, choices, shared, options=None, progress=None, deadline=None):
    """{choice: {"ratio", "drop", "value", "layers", …} or {"problem"}}: every layer of the model with the same choice.

    Dense ones first: a type that is no faster itself is not pruned, since float weights can have the same zeros.
    """
    for choice in sorted(choices, key=lambda c: c.pattern != DENSE):
        key = f"uniform:{choice}"
        if key in shared or (deadline and deadline()):
            continue
        if choice.pattern != DENSE:
            dense = [c for c in choices if c.pattern == DENSE]
            _, refused = _faster(dense, {str(c): shared[f"uniform:{c}"] for c in dense if f"uniform:{c}" in shared})
            if str(Choice(choice.weights)) in refused:
                shared[key] = {"problem": f"not tried: {choice.weights} itself is no faster"}
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
    uniform model loses. Fewer bits are compared with more, pruned with dense and with less of the same pattern: removed
    channels are always faster than zeros, and often cost too much.
    """
    kept, refused = _faster(choices, found)
    if len(kept) == 1:
        # Timings of a model this small say little; sizes still do.
        measured = [c for c in choices if c.pattern == DENSE and not c.is_float and "ratio" in found.get(str(c), {})]
        if measured:
            fallback = min(measured, key=lambda c: found[str(c)]["ratio"])
            kept.append(fallback)
            refused.pop(str(fallback), None)
    return kept, refused


def _faster(choices, found):
    """What `worthwhile` says by times alone."""
    layers = {str(c): {name: t for name, t in found.get(str(c), {}).get("layers", {}).items() if t == t} for c in choices}
    total = sum(layers[str(Choice())].values())
    kept, refused = [Choice()], {}
    for choice in sorted((c for c in choices if not c.is_float), key=lambda c: c.pattern != DENSE):
        result = found.get(str(choice), {"problem": "not measured: out of time"})
        if "problem" in result:
            refused[str(choice)] = result["problem"]
            continue
        rivals = [layers[str(c)] for c in kept if c.pattern in (DENSE, choice.pattern) and c.sparsity <= choice.sparsity]
        best = {name: min(rival.get(name, t) for rival in rivals) for name, t in layers[str(choice)].items()}
        saved = sum(best[name] - t for name, t in layers[str(choice)].items() if t < (1 - SURE) * best[name])
        if saved < WORTH * total or (not total and result["ratio"] >= 1):
            refused[str(choice)] = f"no faster: saves {saved / total if total else 0:.1%} of the time, given only to the layers it helps"
            continue
        kept.append(choice)
    return kept, refused


def menus(names, allowed, times, drops, max_drop):
    """{layer: [choice]}: what makes sense for each layer."""
    return {name: [str(c) for c in allowed if _sensible(name, c, allowed, times, drops, max_drop)] for name in names}


def _sensible(name, choice, allowed, times, drops, max_drop):
    """False for what loses more than the bound in this layer alone, or does so where less is dropped, and for pruning that is
    no faster there than the dense twin."""
    took, twin = times.get((name, str(choice))), times.get((name, str(Choice(choice.weights))))
    if choice.pattern != DENSE and took and twin and took > (1 - SURE) * twin:
        return False
    gentler = [c for c in allowed if c.weights == choice.weights and c.pattern in (DENSE, choice.pattern) and c.sparsity <= choice.sparsity]
    return choice.is_float or all(drops.get((name, str(c)), 0.0) <= HOPELESS * max_drop for c in gentler)


def own_times(found):
    """{(layer, choice): seconds} from the uniform models."""
    return {(layer, choice): t for choice, result in found.items() for layer, t in result.get("layers", {}).items()}


def costs(bench, times):
    """{layer: (seconds as float, number of weights)}: what layers are ordered by. Time is not where the weights are."""
    seconds = {name: times.get((name, FLOAT), 0.0) for name in bench.names}
    return {name: (t if t == t else 0.0, bench.cost[name]) for name, t in seconds.items()}


def expected(names, found, drops):
    """{(layer, choice): drop}: `drops`, and for what there was no time to measure its share of the uniform model's.

    Shares go by the noise that the choice makes in each weight, so that what the search weighs against time is what a layer
    loses, not that it is one of so many.
    """
    likely = {}
    for choice, result in found.items():
        if "drop" in result:
            noise = [result.get("noise", {}).get(name, 0.0) for name in names]
            total = sum(noise)
            for name, part in zip(names, noise):
                likely[name, choice] = result["drop"] * (part / total if total else 1 / len(names))
    return {**likely, **drops}


def per_layer(bench, choices, shared, times, max_drop, options=None, progress=None, deadline=None, worker=0):
    """{(layer, choice): drop}: each layer alone, slow ones first; a second worker takes what is not there yet in disorder.

    Not measured is what no menu will have, by `times` (of layers, see own_times) or by what is known so far.
    """
    work = [(name, choice) for choice in choices if not choice.is_float for name in bench.names]
    cost = costs(bench, times)
    order = sorted(work, key=lambda item: cost[item[0]], reverse=True)
    if worker:
        random.Random(worker).shuffle(order)

    def drop(name, choice):
        return shared[f"layer:{name}:{choice}"].get("drop", float("inf"))

    drops = {(name, str(choice)): drop(name, choice) for name, choice in work if f"layer:{name}:{choice}" in shared}
    for done, (name, choice) in enumerate(order, 1):
        key = f"layer:{name}:{choice}"
        if key not in shared:
            if not _sensible(name, choice, choices, times, drops, max_drop) or (deadline and deadline()):
                continue
            if progress:
                progress(f"{name} alone {choice} ({done} of {len(order)})")
            alone = {other: choice if other == name else Choice() for other in bench.names}
            shared[key] = _measured(bench, to_recipe(alone, options), timed=False)
        drops[name, str(choice)] = drop(name, choice)
    return drops


def ranking(drops):
    """{layer: its worst drop}: what the uniform search keeps float first."""
    worst = {}
    for (name, _), drop in drops.items():
        worst[name] = max(worst.get(name, 0.0), drop)
    return worst
