# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the search may do to each layer, and how an assignment of choices to layers becomes a recipe."""
import collections
import dataclasses
import math
import re

from ..errors import Error
from .api import WEIGHT_NAMES, WEIGHTS as WEIGHT_TYPES
from .recipe import Recipe, Rule, Step

FLOAT = "float32"
DENSE = "dense"
WEIGHTS = (FLOAT, "int8", "int7", "int4")  # int7 is faster where bytes are added up in 16 bits, and no faster elsewhere
PATTERNS = (DENSE, "channel", "unstructured")
SPARSITIES = {"channel": (0.25, 0.5)}  # of a pattern, where the user names none
ZEROS = (0.7, 0.9)  # of all others: fewer zeros make nothing faster
CALIBRATIONS = ("minmax", "mse")
CRITERIA = ("wanda", "sparsegpt")  # in the order of the steps
FREE_LAYERS = 32  # layers with a choice of their own; cheaper ones share one
OTHERS = "(other layers)"


@dataclasses.dataclass(frozen=True, order=True)
class Choice:
    """What is done to one layer."""

    weights: str = FLOAT
    pattern: str = DENSE
    sparsity: float = 0.0

    def __str__(self):
        if self.pattern == DENSE:
            return self.weights
        return f"{self.weights} {self.pattern} {self.sparsity:g}"

    @classmethod
    def parse(cls, text):
        """The inverse of str()."""
        parts = text.split()
        return cls(parts[0]) if len(parts) == 1 else cls(parts[0], parts[1], float(parts[2]))

    @property
    def is_float(self):
        return self == Choice()


def choices(weights=WEIGHTS, patterns=PATTERNS, sparsities=None):
    """Every combination, the float dense one first. An N:M pattern has the one sparsity it names, others each of
    `sparsities`; None takes those that suit the pattern."""
    needs_sparsity = any(":" not in pattern and pattern != DENSE for pattern in patterns)
    for name, values in (("weights", weights), ("patterns", patterns), ("sparsity", sparsities)):
        if values is not None and not values and (name != "sparsity" or needs_sparsity):
            raise Error(f"{name}: expected at least one value to search over")
    for kind in weights:
        if kind != FLOAT and kind not in WEIGHT_TYPES:
            raise Error(f"weights '{kind}': expected some of {FLOAT}, {WEIGHT_NAMES}")
    for pattern in patterns:
        if pattern != DENSE and not re.fullmatch(r"unstructured|channel|auto|\d+:\d+|\d+x\d+", pattern):
            raise Error(f"pattern '{pattern}': expected dense, unstructured, channel, auto, N:M or RxC")
    for sparsity in sparsities or ():
        if not 0 < sparsity < 1:
            raise Error(f"sparsity {sparsity:g}: expected a share between 0 and 1")
    prunings = []
    for pattern in patterns:
        nm = re.fullmatch(r"(\d+):(\d+)", pattern)
        if nm and not 0 < int(nm[1]) < int(nm[2]):
            raise Error(f"pattern '{pattern}': expected N:M with 0 < N < M")
        if pattern == DENSE:
            prunings.append((DENSE, 0.0))
        elif nm:
            prunings.append((pattern, 1 - int(nm[1]) / int(nm[2])))
        else:
            prunings += [(pattern, s) for s in (SPARSITIES.get(pattern, ZEROS) if sparsities is None else sparsities)]
    found = {Choice(w, *p) for w in weights for p in prunings} | {Choice()}
    order = {w: i for i, w in enumerate(weights)}
    return sorted(found, key=lambda c: (not c.is_float, order.get(c.weights, -1), c.pattern != DENSE, c.pattern, c.sparsity))


def to_recipe(assignment, options=None, about=None):
    """The Recipe of {layer: Choice}: remove channels, then prune, then quantize; a step without layers is left out."""
    steps = []
    for criterion in CRITERIA:
        pruned = {name: (c.pattern, c.sparsity) for name, c in assignment.items() if c.pattern != DENSE and _criterion(c) == criterion}
        if pruned:
            common = collections.Counter(pruned.values()).most_common(1)[0][0]
            rules = _rules({name: pruned.get(name) for name in assignment}, common,
                           lambda value: {"pattern": value[0], "sparsity": value[1]})
            # Each layer's choice is explicit here, so no rule of thumb protects any.
            steps.append(Step("prune", {"pattern": common[0], "sparsity": common[1], "criterion": criterion, "protect": False}, rules))
    quantized = {name: c for name, c in assignment.items() if c.weights != FLOAT}
    if quantized:
        common = collections.Counter(c.weights for c in quantized.values()).most_common(1)[0][0]
        rules = _rules({name: c.weights if c.weights != FLOAT else None for name, c in assignment.items()}, common,
                       lambda value: {"weights": value})
        steps.append(Step("quantize", {"weights": common, **(options or {})}, rules))
    return Recipe(tuple(steps), about or {})


def _criterion(choice):
    """What ranks weights: sparsegpt also moves what stays, but cannot rank channels."""
    return "wanda" if choice.pattern in ("channel", "auto") else "sparsegpt"


def _rules(values, common, options):
    """One rule per value that is not the common one; None means skip."""
    groups = {}
    for name, value in values.items():
        if value != common:
            groups.setdefault(value, []).append(re.escape(name))
    return tuple(Rule(tuple(names), {} if value is None else options(value), value is None) for value, names in groups.items())


class Space:
    """The parameters of a study: a choice per layer, or (uniform) one choice and how many of the most sensitive layers stay
    float; and how activations are calibrated."""

    def __init__(self, layer_names, weight_of, allowed, uniform=False, sensitivity=None, calibrations=CALIBRATIONS, menus=None):
        """`weight_of` orders layers by what they cost (seconds, or anything that compares); `allowed` are the choices that pay,
        the float one among them; `menus` are the texts of those that make sense for a layer, all where it has no menu."""
        self.layers, self.uniform = list(layer_names), uniform
        self.allowed = list(allowed)
        self.calibrations = list(calibrations)
        self.order = sorted(self.layers, key=lambda n: -(sensitivity or {}).get(n, 0.0))
        free = sorted(self.layers, key=weight_of.get, reverse=True)[:FREE_LAYERS]
        self.groups = {name: [name] for name in self.layers if name in free}
        rest = [name for name in self.layers if name not in free]
        if rest:
            self.groups[OTHERS] = rest
        everything = [str(c) for c in self.allowed]
        self.menus = {group: [c for c in everything if all(c in (menus or {}).get(name, everything) for name in names)]
                      for group, names in self.groups.items()}

    def distributions(self):
        """{parameter: its values}."""
        if self.uniform:
            count, kept = len(self.layers), [0]
            while kept[-1] < count:
                kept.append(min(max(1, 2 * kept[-1]), count))
            found = {"choice": [str(c) for c in self.allowed], "float layers": kept}
        else:
            found = dict(self.menus)
        if len(self.calibrations) > 1:
            found["calibration"] = self.calibrations
        return found

    def assignment(self, params):
        """{layer: Choice} of a trial's parameters."""
        if self.uniform:
            kept = set(self.order[:params["float layers"]])
            return {name: Choice() if name in kept else Choice.parse(params["choice"]) for name in self.layers}
        found = {name: Choice.parse(params[group]) for group, names in self.groups.items() for name in names}
        return {name: found[name] for name in self.layers}

    def params(self, assignment, calibration=None):
        """The parameters closest to an assignment: a group takes its first layer's choice, float if that is not on its menu."""
        found = {group: str(assignment[names[0]]) for group, names in self.groups.items()}
        found = {group: choice if choice in self.menus[group] else str(Choice()) for group, choice in found.items()}
        if len(self.calibrations) > 1:
            found["calibration"] = calibration or self.calibrations[0]
        return found

    def recipe(self, params, about=None):
        """The recipe of a trial's parameters."""
        options = {"calibration_method": params.get("calibration", self.calibrations[0])}
        return to_recipe(self.assignment(params), options, about)


def greedy(space, times, drops, budget):
    """An assignment whose drops add up to at most `budget`: start fastest, then give back where a loss costs least time.

    `times` and `drops` tell {(layer, choice): seconds, drop} of layers on their own; what is unknown costs nothing.
    """
    def total(table, names, choice):
        return sum(value for name in names if not math.isnan(value := table.get((name, choice), math.nan)))

    fronts = {}  # of each group, [(seconds, loss, choice)]: slower ones lose less
    for group, names in space.groups.items():
        known = [c for c in space.menus[group] if any(not math.isnan(times.get((n, c), math.nan)) for n in names)]
        known = known or [c for c in space.menus[group] if c != FLOAT][:1]
        fronts[group] = []
        entries = [(total(times, names, c), max(0.0, total(drops, names, c)), c) for c in dict.fromkeys([*known, FLOAT])]
        for entry in sorted(entries, key=lambda e: (*e[:2], e[2] == FLOAT)):
            if not fronts[group] or entry[1] < fronts[group][-1][1]:
                fronts[group].append(entry)

    def price(group):
        """Seconds per unit of drop that the next choice of a group costs."""
        now, then = fronts[group][:2]
        return (then[0] - now[0]) / (now[1] - then[1])

    while sum(front[0][1] for front in fronts.values()) > budget:
        movable = [group for group, front in fronts.items() if len(front) > 1]
        if not movable:
            break
        fronts[min(movable, key=price)].pop(0)
    found = {name: Choice.parse(fronts[group][0][2]) for group, names in space.groups.items() for name in names}
    return {name: found[name] for name in space.layers}
