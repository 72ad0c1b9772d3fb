# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Channels in another order: the model computes the same, and fewer words of four inputs are left."""
import numpy as np
import onnx
import pytest
from support.pruning import build, model, values

import tamis
from tamis import reference


def words(weight):
    """Words of four neighbouring inputs that have a weight; inputs are the first axis."""
    return (weight.reshape(-1, 4, weight.shape[-1]) != 0).any(1).sum()


def parameter(made, name):
    found, = (onnx.numpy_helper.to_array(i) for i in made.graph.initializer if i.name == name)
    return found


def network(residual):
    """Two products around a bias and a Relu; with `residual` the channels between are a sum with the inputs too."""
    nodes = [build("MatMul", ["x", "v"], ["h"], "first"), build("Add", ["h", "b"], ["i"]), build("Relu", ["i"], ["r"])]
    nodes += [build("Add", ["r", "x"], ["s"])] if residual else []
    nodes += [build("MatMul", ["s" if residual else "r", "w"], ["y"], "second")]
    return model(nodes, {"v": values(0, 64, 64), "b": values(1, 64), "w": values(2, 64, 48)}, {"x": [5, 64]}, ["y"])


def pruned(made, order):
    return tamis.prune(made, sparsity=0.8, protect=False, nodes_to_exclude=["first"], order_channels=order)


def test_fewer_words_and_the_same_results():
    given, ordered = (pruned(network(False), order) for order in (False, True))
    assert words(parameter(ordered, "w")) < 0.92 * words(parameter(given, "w"))
    for name, axis in (("v", 1), ("b", 0), ("w", 0)):  # the same channels, none of them lost
        a, b = (np.moveaxis(parameter(m, name), axis, -1).reshape(-1, 64).T for m in (given, ordered))
        assert not np.array_equal(a, b) and sorted(map(tuple, a)) == sorted(map(tuple, b))
    x = values(7, 5, 64)
    want, got = (reference.session(m.SerializeToString()).run(None, {"x": x})[0] for m in (given, ordered))
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_a_convolution_between_moves_too():
    """Weights of a depthwise convolution, scales of a normalization: whatever has one entry a channel."""
    nodes = [build("Conv", ["x", "v"], ["h"], "first"), build("Conv", ["h", "d", "b"], ["i"], "deep", group=32, pads=[1] * 4),
             build("Relu", ["i"], ["r"]), build("Conv", ["r", "w"], ["y"], "second")]
    made = model(nodes, {"v": values(0, 32, 8, 1, 1), "d": values(1, 32, 1, 3, 3), "b": values(2, 32), "w": values(3, 40, 32, 1, 1)},
                 {"x": [1, 8, 6, 6]}, ["y"])
    given, ordered = (tamis.prune(made, sparsity=0.8, protect=False, nodes_to_exclude=["first", "deep"], order_channels=o) for o in (False, True))
    assert not np.array_equal(parameter(given, "d"), parameter(ordered, "d"))
    x = values(7, 1, 8, 6, 6)
    want, got = (reference.session(m.SerializeToString()).run(None, {"x": x})[0] for m in (given, ordered))
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("between", ["residual", "halves"])
def test_what_stays_in_order(between):
    """A sum with the inputs, and halves of a tensor that are multiplied by each other: an entry of both goes with each channel."""
    if between == "residual":
        made = network(True)
    else:
        nodes = [build("MatMul", ["x", "v"], ["h"], "first"), build("Split", ["h"], ["a", "c"], axis=1, num_outputs=2),
                 build("Mul", ["a", "c"], ["m"]), build("MatMul", ["m", "w"], ["y"], "second")]
        made = model(nodes, {"v": values(0, 64, 64), "w": values(2, 32, 48)}, {"x": [5, 64]}, ["y"])
    given, ordered = (pruned(made, order) for order in (False, True))
    assert np.array_equal(parameter(given, "w"), parameter(ordered, "w"))


@pytest.mark.parametrize("options", [{}, {"weights": "int4", "block_size": 16}, {"weights": "codebook4"}, {"per_channel": False}])
def test_scales_of_a_quantized_model_stay_beside_their_channels(options):
    made = tamis.quantize(network(False), activations=None, **options)
    given, ordered = (tamis.prune(made, sparsity=0.8, protect=False, nodes_to_exclude=["first"], order_channels=order) for order in (False, True))
    x = values(7, 5, 64)
    want, got = (reference.session(m.SerializeToString()).run(None, {"x": x})[0] for m in (given, ordered))
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * np.abs(want).max())
