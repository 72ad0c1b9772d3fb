# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Masks, powers and inverse functions by value."""
import numpy as np
import onnx
import pytest
from oracle import F32, Values, check, node

BOOL = onnx.TensorProto.BOOL


@pytest.mark.parametrize("size", [4, 7, 19])
def test_mask_fused_behind_a_product(size):
    """A bool is a byte in memory, not a bit of a vector."""
    v = Values()
    nodes = [node("MatMul", "a b", "s"), node("Where", "m s low")]
    arrays = {"a": v.floats(2, size, 5), "b": v.floats(2, 5, size)}
    low, mask = np.float32(-1e9), np.tril(np.ones((size, size), bool))
    check(nodes, arrays, {"m": mask, "low": low})
    check(nodes, {**arrays, "m": mask}, {"low": low})


def test_comparison_behind_a_product():
    v = Values()
    check([node("MatMul", "a b", "s"), node("Greater", "s zero")], {"a": v.floats(9, 5), "b": v.floats(5, 11)},
          {"zero": np.float32(0)}, outputs={"y": BOOL})


def test_inverse_hyperbolic_functions():
    wide = np.array([0, 1e-6, -1e-3, 0.5, -3, 1e4, -1e10, 1e30], np.float32)
    check(node("Asinh", "x"), {"x": wide})
    check(node("Acosh", "x"), {"x": np.array([1, 1.0001, 1.5, 30, 1e8, 1e30], np.float32)})
    check(node("Atanh", "x"), {"x": np.array([0, 1e-6, -0.5, 0.99, -0.9999], np.float32)})


def test_integer_power():
    """Exponents and bases of either sign; what overflows wraps."""
    base = np.array([0, 1, -1, 2, -2, 3, 7, -5], np.int64)[:, None]
    power = np.arange(0, 20, dtype=np.int64)
    check(node("Pow", "x n"), {"x": base, "n": power}, outputs={"y": onnx.TensorProto.INT64})


@pytest.mark.parametrize("start, end, step", [(1, 7, 2), (-1, -100, -1), (6, 0, -3), (100, 0, 1),
                                              (-20, -20, -1), (-20, 20, -1), (20, -20, -3), (-20, 20, 3)])
def test_slice_that_the_data_decides(start, end, step):
    v = Values()
    arrays = {name: np.array([value]) for name, value in (("s", start), ("e", end), ("a", 1), ("t", step))}
    slice = node("Slice", "x s e a t")
    for x in ({"x": v.floats(3, 8)}, {"x": v.floats(3, 1)}, {"x": v.floats(3, 0)}):
        check(slice, {**x, **arrays})
        check(slice, x, arrays)


def test_backward_slices_of_open_size_lie_apart():
    """Their size is a product of two numbers that are not positive."""
    nodes = [node("Slice", "x s e a t", "part"), node("Add", "part part", "sum")]
    arrays = {"s": np.array([-1]), "a": np.array([0]), "t": np.array([-1])}
    for size in (1, 70):
        check(nodes, {"x": Values().floats(size), "e": np.array([-100])}, arrays, {"part": F32, "sum": F32})


@pytest.mark.parametrize("axes", [[0, 3], [-1, 1], [2, 0]])
def test_unit_dimensions_that_the_data_decides(axes):
    v = Values()
    check(node("Unsqueeze", "x a"), {"x": v.floats(3, 5), "a": np.array(axes)})
    shape = np.expand_dims(np.zeros((3, 5)), axes).shape
    check(node("Squeeze", "x a"), {"x": v.floats(*shape), "a": np.array(axes)})


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_losses(reduction):
    v = Values()
    arrays = {"x": v.floats(3, 5, 4), "t": np.array([[0, 4, -1, 2]] * 3)}
    weights = {"w": np.abs(v.floats(5))}
    check(node("SoftmaxCrossEntropyLoss", "x t", reduction=reduction, ignore_index=-1), arrays)
    check(node("SoftmaxCrossEntropyLoss", "x t w", reduction=reduction, ignore_index=-1), arrays, weights)
    check(node("NegativeLogLikelihoodLoss", "x t w", reduction=reduction, ignore_index=-1), arrays, weights)


@pytest.mark.parametrize("shape", [(17, 2), (24, 3), (33, 3), (1, 12, 3, 2), (36, 4)])
def test_short_rows(shape):
    """Rows are vectorized across: the last strip writes its own rows and nothing behind them."""
    check(node("Softmax", "x", axis=-1), {"x": Values().floats(*shape)})
