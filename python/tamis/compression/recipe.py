# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A recipe: what is done to a model, in which order, written as YAML and done again from it.

    version: 1
    steps:
    - prune: {pattern: unstructured, sparsity: 0.5}
      rules:
      - {layers: "encoder/.*", sparsity: 0.8}
      - {layers: [conv1, head], skip: true}
    - quantize: {weights: int8, activations: uint8}
      rules:
      - {layers: conv7, weights: int4}

A rule holds for the layers whose whole name one of its regular expressions matches; later rules win over earlier ones.
"""
import dataclasses
import os
import re

from .. import files
from ..errors import Error, reason
from .api import check_pattern

VERSION = 1
# The options of each step, as the functions tamis.prune and tamis.quantize name them.
OPTIONS = {
    "prune": {"sparsity": (int, float), "pattern": str, "criterion": str, "scope": str, "threshold": (int, float, type(None)),
              "protect": bool, "dead_channels": bool, "order_channels": bool, "gradients": str, "ignored_scope": list, "format": str, "seed": int},
    "quantize": {"activations": str, "weights": str, "per_channel": bool, "block_size": (int, type(None)),
                 "symmetric_activations": bool, "embeddings": str, "attention": bool, "calibration_method": str,
                 "percentile": (int, float), "corrections": list, "op_types_to_quantize": (list, type(None)), "ignored_scope": list,
                 "fraction_bits": (int, type(None)), "seed": int},
}
RULE_OPTIONS = {"prune": ("sparsity", "pattern"), "quantize": ("weights", "activations", "block_size", "fraction_bits")}


@dataclasses.dataclass(frozen=True)
class Rule:
    """Other options for some layers; `skip` leaves them as they are."""

    layers: tuple
    options: dict = dataclasses.field(default_factory=dict)
    skip: bool = False

    def matches(self, name):
        return any(re.fullmatch(pattern, name) for pattern in self.layers)


@dataclasses.dataclass(frozen=True)
class Step:
    """`prune` or `quantize`, its options and its rules."""

    kind: str
    options: dict = dataclasses.field(default_factory=dict)
    rules: tuple = ()

    def for_layer(self, name):
        """The options of one layer, or None where a rule skips it."""
        options, skip = dict(self.options), False
        for rule in self.rules:
            if rule.matches(name):
                options.update(rule.options)
                skip = rule.skip
        return None if skip else options

    def overrides(self, names):
        """(names that rules skip, {name: the options that differ from the step's})."""
        skipped, different = [], {}
        for name in names:
            options = self.for_layer(name)
            if options is None:
                skipped.append(name)
                continue
            changed = {key: value for key, value in options.items() if self.options.get(key) != value}
            if changed:
                different[name] = changed
        return skipped, different


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The steps, and what is worth knowing of where they come from."""

    steps: tuple = ()
    about: dict = dataclasses.field(default_factory=dict)
    version: int = VERSION

    def to_text(self):
        """YAML; reading it gives an equal recipe."""
        yaml = require("yaml", "pyyaml")
        data = {"version": self.version}
        if self.about:
            data["about"] = dict(self.about)
        data["steps"] = []
        for step in self.steps:
            entry = {step.kind: dict(step.options)}
            if step.rules:
                entry["rules"] = [{"layers": rule.layers[0] if len(rule.layers) == 1 else list(rule.layers), **rule.options,
                                   **({"skip": True} if rule.skip else {})} for rule in step.rules]
            data["steps"].append(entry)
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=140)

    def save(self, path):
        """Write the recipe, by way of a temporary file."""
        files.write_text(path, self.to_text(), "the recipe")

    @classmethod
    def load(cls, path):
        """Read a recipe file."""
        path = files.native(path)
        try:
            with files.reading("the recipe", path), open(path, encoding="utf8") as file:
                text = file.read()
        except UnicodeDecodeError:
            raise Error("cannot read the recipe: it is not text", file=path) from None
        try:
            return cls.from_text(text)
        except Error as error:
            raise Error(error.text, file=path) from None

    @classmethod
    def from_text(cls, text):
        """Check and read YAML."""
        yaml = require("yaml", "pyyaml")
        try:
            data = yaml.safe_load(text)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f" in line {mark.line + 1}" if mark else ""
            raise Error(f"not YAML: {getattr(error, 'problem', None) or 'cannot be parsed'}{where}") from None
        except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:  # a value that is none of its type
            raise Error(f"not YAML: {reason(error)}") from None
        if not isinstance(data, dict):
            raise Error("expected a recipe with `version` and `steps`")
        if data.get("version") != VERSION:
            raise Error(f"expected version {VERSION} of the recipe format, got {data.get('version')!r}")
        unknown = set(data) - {"version", "about", "steps"}
        if unknown:
            raise Error(f"unknown key '{sorted(map(str, unknown))[0]}': expected version, about or steps")
        steps = data.get("steps") or []
        about = data.get("about") or {}
        if not isinstance(steps, list) or not isinstance(about, dict):
            raise Error("expected a list under `steps` and a mapping under `about`")
        return cls(tuple(_step(number, entry) for number, entry in enumerate(steps, 1)), about)


def _step(number, entry):
    kinds = [kind for kind in OPTIONS if isinstance(entry, dict) and kind in entry]
    if len(kinds) != 1 or set(entry) - {kinds[0], "rules"}:
        raise Error(f"step {number}: expected one of {', '.join(OPTIONS)}, and perhaps rules")
    kind = kinds[0]
    options = _options(f"step {number}", kind, entry[kind], OPTIONS[kind])
    rules = entry.get("rules") or []
    if not isinstance(rules, list):
        raise Error(f"step {number}: expected a list of rules")
    return Step(kind, options, tuple(_rule(f"step {number}, rule {i}", kind, rule) for i, rule in enumerate(rules, 1)))


def _rule(where, kind, entry):
    if not isinstance(entry, dict) or "layers" not in entry:
        raise Error(f"{where}: expected `layers` and options")
    entry = dict(entry)
    layers, skip = entry.pop("layers"), entry.pop("skip", False)
    layers = (layers,) if isinstance(layers, str) else tuple(layers) if isinstance(layers, list) else ()
    if not layers or not all(isinstance(pattern, str) for pattern in layers):
        raise Error(f"{where}: expected one or more regular expressions as `layers`")
    for pattern in layers:
        check_pattern(where, pattern)
    if not isinstance(skip, bool):
        raise Error(f"{where}: expected true or false for `skip`, got {skip!r}")
    allowed = {name: OPTIONS[kind][name] for name in RULE_OPTIONS[kind]}
    return Rule(layers, _options(where, kind, entry, allowed), skip)


def _options(where, kind, options, allowed):
    if options is None:
        options = {}
    if not isinstance(options, dict):
        raise Error(f"{where}: expected the options of {kind} as a mapping")
    for name, value in options.items():
        if name not in allowed:
            raise Error(f"{where}: unknown option '{name}' of {kind}: expected one of {', '.join(allowed)}")
        types = allowed[name] if isinstance(allowed[name], tuple) else (allowed[name],)
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            wanted = " or ".join(dict.fromkeys({"NoneType": "null", "str": "text", "int": "a number", "float": "a number", "bool":
                                  "true or false", "list": "a list"}[t.__name__] for t in types))
            raise Error(f"{where}: option '{name}': expected {wanted}, got {value!r}")
    return dict(options)


def require(module, package=None, extra="search"):
    """Import a package of an extra, or say how to get it."""
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise Error(f"the package {package or module} is needed for this: pip install tamis[{extra}]") from None


def describe(recipe, names):
    """[(layer, what is done to it)] for `--dry-run`, in the order of the steps."""
    rows = []
    for name in names:
        parts = []
        for step in recipe.steps:
            options = step.for_layer(name)
            if options is None:
                continue
            if step.kind == "prune":
                parts.append(f"prune {options.get('pattern', 'unstructured')} {options.get('sparsity', 0.5):.0%}")
            else:
                parts.append(f"quantize {options.get('weights', 'int8')}")
        rows.append((name, ", then ".join(parts) or "left as it is"))
    return rows
