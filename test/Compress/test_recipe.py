# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Recipes: what YAML they are, which rule a layer gets, and how bad ones are refused."""
import sys

import numpy as np
import onnx
import pytest
import tamis
from onnx import numpy_helper
from support import compressor
from tamis.compression import recipe, sensitivity, space, table

TEXT = """
version: 1
about: {metric: top1}
steps:
- prune: {pattern: unstructured, sparsity: 0.5}
  rules:
  - {layers: "encoder/.*", sparsity: 0.8}
  - {layers: [encoder/0, head], skip: true}
- quantize: {weights: int8, activations: uint8}
  rules:
  - {layers: head, weights: int4}
"""


def test_roundtrip_through_text_and_file(tmp_path):
    made = recipe.Recipe.from_text(TEXT)
    assert recipe.Recipe.from_text(made.to_text()) == made
    made.save(tmp_path / "r.yaml")
    assert recipe.Recipe.load(tmp_path / "r.yaml") == made
    assert [f.name for f in tmp_path.iterdir()] == ["r.yaml"]


def test_rules_for_what_layers_read():
    text = "version: 1\nsteps:\n- quantize: {activations: uint8}\n  rules:\n  - {layers: 'stem|head', activations: int16}\n"
    step, = recipe.Recipe.from_text(text).steps
    assert step.overrides(["stem", "body"]) == ([], {"stem": {"activations": "int16"}})


def test_later_rules_win_and_match_whole_names():
    prune, quantize = recipe.Recipe.from_text(TEXT).steps
    names = ["encoder/0", "encoder/1", "head", "header"]
    assert prune.overrides(names) == (["encoder/0", "head"], {"encoder/1": {"sparsity": 0.8}})
    assert quantize.overrides(names) == ([], {"head": {"weights": "int4"}})
    rows = dict(recipe.describe(recipe.Recipe.from_text(TEXT), names))
    assert rows["encoder/1"] == "prune unstructured 80%, then quantize int8" and rows["head"] == "quantize int4"


@pytest.mark.parametrize("text, words", [
    ("steps: [", "not YAML"), ("about: {d: 2001-99-99}", "not YAML"), ("about: !!bool x", "not YAML"), ("about: !!int x", "not YAML"),
    ("[" * 3000, "not YAML"), ("{version: 1, steps: [{prune: {}, rules: [{layers: 'a{99999999999}'}]}]}", "is no regular expression"),
 ("3", "expected a recipe"), ("version: 2", "expected version 1 of the recipe format, got 2"),
    ("{version: 1, stages: []}", "unknown key 'stages'"), ("{version: 1, steps: 3}", "expected a list under `steps`"),
    ("{version: 1, steps: [shrink]}", "step 1: expected one of prune, quantize"),
    ("{version: 1, steps: [{prune: {rate: 0.5}}]}", "step 1: unknown option 'rate' of prune"),
    ("{version: 1, steps: [{prune: {sparsity: high}}]}", "step 1: option 'sparsity': expected a number, got 'high'"),
    ("{version: 1, steps: [{quantize: {per_channel: 1}}]}", "option 'per_channel': expected true or false"),
    ("{version: 1, steps: [{prune: {}, rules: [{sparsity: 0.1}]}]}", "step 1, rule 1: expected `layers` and options"),
    ("{version: 1, steps: [{prune: {}, rules: [{layers: '('}]}]}", "'(' is no regular expression"),
    ("{version: 1, steps: [{quantize: {}, rules: [{layers: a, sparsity: 0.1}]}]}", "unknown option 'sparsity' of quantize"),
    ("{version: 1, steps: [{quantize: {}, rules: [{layers: a, skip: 1}]}]}", "expected true or false for `skip`"),
])
def test_bad_recipes_are_refused(text, words):
    with pytest.raises(tamis.Error) as caught:
        recipe.Recipe.from_text(text)
    assert words in str(caught.value)


def test_missing_file_and_missing_package(tmp_path, monkeypatch):
    with pytest.raises(tamis.Error, match="r.yaml: cannot read the recipe: no such file"):
        recipe.Recipe.load(tmp_path / "r.yaml")
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(tamis.Error, match=r"pyyaml is needed for this: pip install tamis\[search\]"):
        recipe.Recipe.from_text(TEXT)


def test_choices_and_recipes_of_the_search():
    choices = space.choices(("float32", "int8"), ("dense", "2:4", "1x4"), (0.5,))
    assert [str(c) for c in choices] == ["float32", "float32 1x4 0.5", "float32 2:4 0.5", "int8", "int8 1x4 0.5", "int8 2:4 0.5"]
    assert [space.Choice.parse(str(c)) for c in choices] == choices
    made = space.to_recipe({"a": choices[0], "b.0": choices[3], "c": choices[5], "d": choices[3]}, {"calibration_method": "mse"})
    prune, quantize = made.steps
    assert prune.overrides(["a", "b.0", "c", "d"]) == (["a", "b.0", "d"], {}) and prune.for_layer("c")["pattern"] == "2:4"
    assert quantize.for_layer("a") is None and quantize.for_layer("b.0") == {"weights": "int8", "calibration_method": "mse"}
    assert recipe.Recipe.from_text(made.to_text()) == made
    assert space.to_recipe({"a": choices[0]}).steps == ()


def test_each_pattern_has_sparsities_and_a_criterion_of_its_own():
    assert [str(c) for c in space.choices(("float32",), ("channel", "unstructured"))[1:]] == [
        "float32 channel 0.25", "float32 channel 0.5", "float32 unstructured 0.7", "float32 unstructured 0.9"]
    removed, zeros = space.Choice("float32", "channel", 0.25), space.Choice("float32", "unstructured", 0.9)
    channels, weights = space.to_recipe({"a": removed, "b": zeros, "c": space.Choice()}).steps
    assert channels.overrides("abc") == (["b", "c"], {}) and channels.options["criterion"] == "wanda"
    assert weights.overrides("abc") == (["a", "c"], {}) and weights.options["criterion"] == "sparsegpt"


@pytest.mark.parametrize("arguments, words", [
    ((("int9",), ("dense",), (0.5,)), "weights 'int9': expected some of float32, int8"),
    (((), ("dense",), (0.5,)), "weights: expected at least one value"), ((("int8",), ("3x",), (0.5,)), "pattern '3x'"),
    ((("int8",), ("4:2",), (0.5,)), "expected N:M with 0 < N < M"), ((("int8",), ("dense",), (1.5,)), "sparsity 1.5"),
])
def test_bad_search_spaces_are_refused(arguments, words):
    with pytest.raises(tamis.Error) as caught:
        space.choices(*arguments)
    assert words in str(caught.value)


def test_space_maps_parameters_to_layers_and_shares_small_ones():
    names = [f"l{i}" for i in range(space.FREE_LAYERS + 3)]
    allowed = [space.Choice(), space.Choice("int8")]
    made = space.Space(names, {n: i for i, n in enumerate(names)}, allowed)
    assert len(made.distributions()) == space.FREE_LAYERS + 2  # one for the small layers, one for the calibration
    params = made.params(dict.fromkeys(names, allowed[1]))
    assert made.assignment(params) == dict.fromkeys(names, allowed[1])
    grid = space.Space(["a", "b", "c"], dict.fromkeys("abc", 1), allowed, True, {"b": 0.5})
    assert grid.distributions()["float layers"] == [0, 1, 2, 3]
    assert grid.assignment({"choice": "int8", "float layers": 1}) == {"a": allowed[1], "b": allowed[0], "c": allowed[1]}


def test_greedy_start_gives_back_where_a_loss_costs_least_time():
    allowed = [space.Choice(), space.Choice("int8"), space.Choice("int4")]
    made = space.Space(["big", "small", "new"], {"big": 100, "small": 1, "new": 1}, allowed)
    times = {("big", "float32"): 1.0, ("big", "int8"): 0.5, ("big", "int4"): 0.4,
             ("small", "float32"): 0.01, ("small", "int8"): 0.006, ("small", "int4"): 0.005}
    drops = {("big", "int4"): 0.01, ("small", "int4"): 0.01, ("big", "int8"): 0.001, ("small", "int8"): 0.0}
    found = space.greedy(made, times, drops, 0.015)
    assert found == {"big": space.Choice("int4"), "small": space.Choice("int8"), "new": space.Choice("int8")}
    assert space.greedy(made, times, drops, 0)["big"] == space.Choice()


def test_greedy_start_passes_by_what_is_slower_and_loses_more():
    names = [f"l{i}" for i in range(space.FREE_LAYERS + 2)]
    removed = [space.Choice("float32", "channel", s) for s in (0.5, 0.25)]
    allowed = [space.Choice(), space.Choice("int8"), *removed]
    menus = {name: ["float32", "int8"] for name in names[:2]}  # the cheapest layers have no removed channels to choose
    made = space.Space(names, {n: i for i, n in enumerate(names)}, allowed, menus=menus)
    seconds, lost = dict(zip(map(str, allowed), (1.0, 0.5, 0.2, 0.3))), dict(zip(map(str, allowed), (0.0, 1e-4, 0.02, 0.021)))
    times, drops = ({(n, c): v for n in names for c, v in table.items()} for table in (seconds, lost))
    assert space.greedy(made, times, drops, 0.01) == dict.fromkeys(names, allowed[1])


def test_choices_that_make_no_layer_faster_are_left_out():
    choices = space.choices(("float32", "int8", "int4"), ("dense", "2:4"), ())
    found = {"float32": {"ratio": 1.0, "layers": {"a": 1.0, "b": 1.0}}, "int8": {"ratio": 1.2, "layers": {"a": 0.4, "b": 2.0}},
             "int4": {"ratio": 1.0, "layers": {"a": 0.5, "b": 1.0}}, "int8 2:4 0.5": {"problem": "no such kernel"},
             "float32 2:4 0.5": {"ratio": 0.9, "layers": {"a": 1.0, "b": 0.8}}}
    kept, refused = sensitivity.worthwhile(choices, found)
    assert list(map(str, kept)) == ["float32", "int8", "float32 2:4 0.5"]  # int8 helps one layer though the whole got slower
    assert refused == {"int4": "no faster: saves 0.0% of the time, given only to the layers it helps", "int8 2:4 0.5": "no such kernel",
                       "int4 2:4 0.5": "not measured: out of time"}


def test_zeros_are_judged_beside_dense_layers_not_beside_removed_channels():
    choices = [space.Choice(), space.Choice("float32", "channel", 0.5), space.Choice("float32", "unstructured", 0.7),
               space.Choice("float32", "unstructured", 0.9)]
    times = {"float32": 1.0, "float32 channel 0.5": 0.2, "float32 unstructured 0.7": 0.5, "float32 unstructured 0.9": 0.49}
    found = {name: {"ratio": t, "layers": {"a": t}} for name, t in times.items()}
    kept, refused = sensitivity.worthwhile(choices, found)
    assert kept == choices[:3] and list(refused) == ["float32 unstructured 0.9"]


def test_errors_of_the_clock_in_many_layers_are_no_gain():
    choices = [space.Choice(), space.Choice("int8"), space.Choice("int4")]
    names = [f"l{i}" for i in range(40)]
    found = {"float32": {"ratio": 1.0, "layers": dict.fromkeys(names, 1.0)}, "int8": {"ratio": 0.5, "layers": dict.fromkeys(names, 0.5)},
             "int4": {"ratio": 0.5, "layers": {n: 0.5 * (0.96 if i % 2 else 1.04) for i, n in enumerate(names)}}}
    assert list(sensitivity.worthwhile(choices, found)[1]) == ["int4"]


class Bench:
    """What sensitivity.py asks a Workbench for: times and drops from tables, and what was asked."""

    def __init__(self, times, drops):
        self.names, self.cost, self.asked = ["a", "b"], {"a": 2, "b": 1}, []
        self._times, self._drops = times, drops

    def layer_times(self, _):
        return dict.fromkeys(self.names, 1.0)

    def measure(self, made, timed, layered):
        text = " then ".join(dict.fromkeys(what for _, what in recipe.describe(made, self.names) if what != "left as it is"))
        self.asked.append(text)
        return {"ratio": 1.0, "drop": self._drops.get(text, 0.0), "error": 0.0, "layers": dict.fromkeys(self.names, self._times.get(text, 1.0))}

    proto = None


def test_what_no_menu_will_have_is_not_measured():
    choices = space.choices(("float32", "int8"), ("dense", "unstructured"), (0.5, 0.7, 0.9))
    bench = Bench({"prune unstructured 70%": 0.5, "prune unstructured 90%": 0.4}, {"prune unstructured 70%": 0.5})
    shared = {}
    found = sensitivity.uniform(bench, choices, shared)
    assert bench.asked == ["quantize int8", "prune unstructured 50%", "prune unstructured 70%", "prune unstructured 90%"]
    assert found["int8 unstructured 0.7"] == {"problem": "not tried: int8 itself is no faster"}
    bench.asked.clear()
    drops = sensitivity.per_layer(bench, [c for c in choices if c.weights == "float32"], shared, sensitivity.own_times(found), 0.01)
    # 50 % is no faster, 70 % loses too much, so that 90 % would.
    assert bench.asked == ["prune unstructured 70%"] * 2 and drops == {(n, "float32 unstructured 0.7"): 0.5 for n in "ab"}


def test_what_was_not_measured_is_shared_out_by_what_weights_lose():
    names, allowed = ["a", "b"], [space.Choice(), space.Choice("int8")]
    found = {"int8": {"drop": 0.02, "noise": {"a": 0.03, "b": 0.01}}}
    likely = sensitivity.expected(names, found, {})
    assert likely == {("a", "int8"): pytest.approx(0.015), ("b", "int8"): pytest.approx(0.005)}
    # Both layers save the same; what a microsecond costs decides.
    times = {(name, choice): seconds for name in names for choice, seconds in (("float32", 2.0), ("int8", 1.0))}
    made = space.Space(names, dict.fromkeys(names, 1), allowed)
    assert space.greedy(made, times, likely, 0.01) == {"a": space.Choice(), "b": space.Choice("int8")}
    # What was measured counts as it was.
    assert sensitivity.expected(names, found, {("a", "int8"): 0.001})["a", "int8"] == 0.001


def test_noise_of_weights():
    before = compressor.network()
    after = onnx.ModelProto()
    after.CopyFrom(before)
    w = numpy_helper.to_array(before.graph.initializer[0]).copy()
    w[:8] = 0
    after.graph.initializer[0].CopyFrom(numpy_helper.from_array(w, "w1"))
    found = table.noise(before, after)
    full = numpy_helper.to_array(before.graph.initializer[0])
    assert found == {"first": pytest.approx((full[:8] ** 2).sum() / (full ** 2).sum(), rel=1e-5), "second": 0.0}


def test_menus_leave_out_what_is_hopeless_or_slow_for_a_layer():
    allowed = [space.Choice(), space.Choice("int8"), space.Choice("int8", "2:4", 0.5)]
    times = {("a", "int8"): 1.0, ("a", "int8 2:4 0.5"): 0.5, ("b", "int8"): 1.0, ("b", "int8 2:4 0.5"): 1.0}
    found = sensitivity.menus(["a", "b", "c"], allowed, times, {("a", "int8 2:4 0.5"): 0.014, ("b", "int8"): 0.1}, 0.01)
    assert found == {"a": ["float32", "int8", "int8 2:4 0.5"], "b": ["float32"], "c": ["float32", "int8", "int8 2:4 0.5"]}
    unmeasured = sensitivity.expected(["a", "b"], {"int8": {"drop": 0.01}, "int4": {"drop": 0.04}}, {("a", "int8"): 0.001})
    assert unmeasured == {("a", "int8"): 0.001, ("b", "int8"): 0.005, ("a", "int4"): 0.02, ("b", "int4"): 0.02}
    made = space.Space(["a", "b", "c"], dict.fromkeys("abc", 1), allowed, menus=found)
    assert made.distributions()["b"] == ["float32"]
    assert made.params(dict.fromkeys("abc", allowed[1])) == {"a": "int8", "b": "float32", "c": "int8", "calibration": "minmax"}
