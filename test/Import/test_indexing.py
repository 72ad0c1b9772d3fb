# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Gather and scatter in all their forms; wrong indices are errors."""
import numpy as np
import pytest
from oracle import F32, Values, check, model, node

X = {"x": Values().floats(5, 4, 3)}


@pytest.mark.parametrize("index", [np.array(2), np.array([-1]), np.array([0, 2]), np.array([[1, -2], [0, 0]])])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_gather(index, axis):
    gather = node("Gather", "x i", axis=axis)
    check(gather, X, {"i": index})
    check(gather, {**X, "i": index}, open_dims=True)


def test_gather_elements_and_tuples():
    v = Values()
    at = v.random.integers(-4, 4, (5, 2, 3))
    check(node("GatherElements", "x i", axis=1), {**X, "i": at})
    check(node("GatherND", "x i"), {**X, "i": v.random.integers(-3, 3, (2, 4, 2))})
    check(node("GatherND", "x i", batch_dims=1), {**X, "i": v.random.integers(-3, 3, (5, 1, 2))})


@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
def test_scatter(reduction):
    v = Values()
    at = np.array([[[0, 1, 2]], [[3, 3, 1]]])
    check(node("ScatterElements", "x i u", axis=1, reduction=reduction), {**X, "i": at, "u": v.floats(2, 1, 3)}, opset=18)
    at = np.array([[4], [-4], [1]])
    check(node("ScatterND", "x i u", reduction=reduction), {**X, "i": at, "u": v.floats(3, 4, 3)}, opset=18)
    at = np.array([[4, 0], [2, 3]])
    check(node("ScatterND", "x i u", reduction=reduction), {**X, "i": at, "u": v.floats(2, 3)}, opset=18)


@pytest.mark.parametrize("outputs", ["v y", "y v", "y z", "z y", "z y v"])
def test_results_that_change_one_value_in_place(outputs):
    """Each is computed in the caller's memory, from a value that another one still needs."""
    nodes = [node("Relu", "x", "v"), node("ScatterND", "v i u"), node("ScatterND", "v j u", "z")]
    p = {"i": np.array([[4], [1]]), "j": np.array([[1], [0]]), "u": Values().floats(2, 4, 3)}
    check(nodes, X, p, {name: F32 for name in outputs.split()})
    nodes[2] = node("ScatterND", "y j u", "z")
    check(nodes, X, p, {name: F32 for name in outputs.split()})
    nodes = [node("Identity", "x", "v"), node("ScatterND", "x i u"), node("ScatterND", "x j u", "z")]
    check(nodes, X, p, {name: F32 for name in outputs.split()})


def test_reverse_sequence():
    lengths = np.array([1, 3, 2, 3])
    check(node("ReverseSequence", "x n", time_axis=0, batch_axis=1), {**X, "n": lengths})


@pytest.mark.parametrize("op", ["Gather", "GatherElements", "GatherND"])
def test_wrong_index_is_an_error_at_run_time(op):
    import tamis

    index = np.full((1, 1, 1), 9)
    compiled = tamis.compile(model(node(op, "x i"), {**X, "i": index}))
    with pytest.raises(tamis.Error, match="index"):
        compiled.run(None, {**X, "i": index})


def test_wrong_index_is_an_error_at_import():
    import tamis

    with pytest.raises(tamis.Error, match="index 5 is out of range for a dimension of 5"):
        tamis.compile(model(node("Gather", "x i"), X, {"i": np.array([0, 5])}, {"y": F32}))
