# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Channels that do not depend on the input go, and nobody can tell."""
import numpy as np
import pytest
from onnx import numpy_helper
from support.pruning import build, conv, layers, model, prune, values

from tamis import reference
from tamis.compression import prepare, writer


def removed(made, shape):
    """{parameter: kept indices of its first entry} and the report; the results are the same."""
    prepared = prepare.prepare(made)
    session = prune(prepared.model.SerializeToString(), "dead-channels")
    delta = session.delta()
    x = values(5, *shape)
    want, got = (reference.session(m.SerializeToString()).run(None, {"x": x})[0] for m in (prepared.model, writer.apply(prepared, delta)))
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    return {name: list(entries[0][1]) for name, entries in delta["removed"]["parameters"].items()}, delta["report"]


@pytest.mark.parametrize("kernel", [1, 3])
def test_dead_channels_go_without_changing_results(kernel):
    w = {}
    nodes = [conv("a", "x", 8, "p", seed=0, weights=w, before=3), build("Sigmoid", ["p"], ["s"]),
             conv("b", "s", 6, "q", seed=1, weights=w, kernel=kernel, before=8), build("Relu", ["q"], ["r"]),
             conv("c", "r", 4, "y", seed=2, weights=w, kernel=1, before=6)]
    w["a"][[1, 4]] = 0  # a number that is not zero behind the sigmoid
    w["b"][[0, 5]] = 0
    w["bb"][[0, 5]] = [-1, 2]  # zero behind the relu, and not
    kept, report = removed(model(nodes, w, {"x": [1, 3, 6, 6]}, ["y"]), (1, 3, 6, 6))
    assert kept["bb"] == [1, 2, 3, 4]
    # At the border a window of three sees padding instead of the number.
    assert kept.get("ab", list(range(8))) == ([0, 2, 3, 5, 6, 7] if kernel == 1 else list(range(8)))
    reasons = [r["reason"] for r in report if r["decision"] == "keep dead channels"]
    assert reasons == ([] if kernel == 1 else ["what 'nb' reads of it ends inside of its reader's window"])


def mobile(dead, bias, pads, gate=False, scale=1):
    """Expansion, depthwise convolution, projection; the expansion makes `dead` channels the number `bias`, whose depthwise weights are scaled."""
    w = {}
    nodes = [conv("up", "x", 8, "u", seed=0, weights=w, kernel=1, before=3), build("Relu", ["u"], ["r"]),
             build("Conv", ["r", "dw", "dwb"], ["d"], "ndw", group=8, pads=pads)]
    w.update(dw=values(3, 8, 1, 3, 3), dwb=values(4, 8))
    if gate:
        nodes += [build("GlobalAveragePool", ["d"], ["p"]), conv("se", "p", 8, "e", seed=6, weights=w, kernel=1, before=8),
                  build("Sigmoid", ["e"], ["g"]), build("Mul", ["d", "g"], ["m"])]
    nodes += [conv("down", "m" if gate else "d", 5, "z", seed=2, weights=w, kernel=1, before=8), build("GlobalAveragePool", ["z"], ["y"])]
    w["up"][dead], w["upb"][dead] = 0, bias
    w["dw"][dead] *= np.float32(scale)
    return model(nodes, w, {"x": [1, 3, 6, 6]}, ["y"]), w


DEAD, ALIVE = [1, 6], [0, 2, 3, 4, 5, 7]


@pytest.mark.parametrize("bias, pads, goes", [
    (-1, [1] * 4, True),        # zero behind the relu: the depthwise result is its bias, padded or not
    (1e-30, [1] * 4, True),     # every product with it is too small for a float
    (1, [0] * 4, True),         # nothing is padded
    (1, [1] * 4, False),        # what is made of it at the border is another number
    (1, [0, 0, 1, 1], False)])  # padded at the end alone
def test_through_a_depthwise_convolution(bias, pads, goes):
    made, _ = mobile(DEAD, bias, pads, scale=1e-20 if bias == 1e-30 else 1)
    kept, report = removed(made, (1, 3, 6, 6))
    assert {name: kept.get(name) for name in ("up", "dw", "dwb", "down")} == dict.fromkeys(("up", "dw", "dwb", "down"), ALIVE if goes else None)
    told = [(r["layer"], r["kept"], r["reason"]) for r in report if r["decision"] == "keep dead channels"]
    assert told == ([] if goes else [("nup", 2, "what 'ndown' reads of it is not one number")])


def test_what_a_gate_scales_depends_on_the_input():
    made, _ = mobile(DEAD, -1, [1] * 4, gate=True)
    kept, report = removed(made, (1, 3, 6, 6))
    assert not kept and {r["reason"] for r in report} == {"what 'ndown' reads of it is not one number"}
    # Zero times a gate is zero.
    made, weights = mobile(DEAD, -1, [1] * 4, gate=True)
    bias = weights["dwb"].copy()
    bias[DEAD] = 0
    next(t for t in made.graph.initializer if t.name == "dwb").CopyFrom(numpy_helper.from_array(bias, "dwb"))
    assert removed(made, (1, 3, 6, 6))[0]["up"] == ALIVE


@pytest.mark.parametrize("pool", ["GlobalAveragePool", "GlobalMaxPool", "ReduceSum", "ReduceL2"])
def test_through_a_reduction(pool):
    w = {"fc": values(7, 8, 5), "fcb": values(8, 5), "axes": np.array([2, 3])}
    reduce = {"ReduceSum": lambda: build(pool, ["r", "axes"], ["p"]), "ReduceL2": lambda: build(pool, ["r"], ["p"], axes=[2, 3])}
    nodes = [conv("a", "x", 8, "u", seed=0, weights=w, before=3), build("Relu", ["u"], ["r"]),
             reduce.get(pool, lambda: build(pool, ["r"], ["p"]))(), build("Flatten", ["p"], ["f"]), build("Gemm", ["f", "fc", "fcb"], ["y"], "fc")]
    w["a"][DEAD], w["ab"][DEAD] = 0, [2, 3]
    kept, _ = removed(model(nodes, w, {"x": [1, 3, 6, 6]}, ["y"]), (1, 3, 6, 6))
    assert kept["a"] == ALIVE


def test_a_bias_of_two_layers_takes_nothing():
    w = {}
    nodes = [conv("a", "x", 8, "u", seed=0, weights=w, before=3), build("Sigmoid", ["u"], ["s"]),
             conv("b", "s", 6, "q", seed=1, weights=w, kernel=1, before=8), build("Conv", ["x", "c", "bb"], ["v"], "nc"),
             build("Add", ["q", "v"], ["y"])]
    w["c"], w["a"][DEAD] = values(2, 6, 3, 1, 1), 0
    made = model(nodes, w, {"x": [1, 3, 6, 6]}, ["y"])
    session = prune(made, "dead-channels")
    assert not session.delta()["removed"]["parameters"]
    assert [r["reason"] for r in session.delta()["report"]] == ["what 'nb' reads of it finds no bias that is its reader's own"]


def test_unread_channels_go():
    made = layers(6, 8)
    weights = {t.name: t for t in made.graph.initializer}
    weight = numpy_helper.to_array(weights["w"]).copy()
    weight[[2, 5]] = 0
    weights["w"].CopyFrom(numpy_helper.from_array(weight, "w"))
    removed = prune(made, "dead-channels").delta()["removed"]
    assert {n: list(e[0][1]) for n, e in removed["parameters"].items()} == {"v": [0, 1, 3, 4, 6, 7], "w": [0, 1, 3, 4, 6, 7]}
    assert removed["tensors"] == {"h": [(1, 6)]}
