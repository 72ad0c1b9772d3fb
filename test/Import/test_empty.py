# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Dimensions of size 0, known or open, give what ONNX Runtime gives and never divide by it."""
import numpy as np
import pytest
from oracle import U8, check_exact, node


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def ones(*shape, dtype=np.float32):
    return np.ones(shape, dtype)


@pytest.mark.parametrize("open_dims", [False, True])
@pytest.mark.parametrize("made, inputs, parameters", [
    (node("MatMul", "a w"), {"a": zeros(0, 5)}, {"w": ones(5, 7)}),
    (node("MatMul", "a b"), {"a": zeros(3, 0), "b": zeros(0, 4)}, {}),
    (node("Relu", "a"), {"a": zeros(0, 3)}, {}),
    (node("ReduceSum", "a", keepdims=0), {"a": zeros(0, 3)}, {}),
    (node("Softmax", "a"), {"a": zeros(0, 3)}, {}),
    (node("LayerNormalization", "a s"), {"a": zeros(0, 3)}, {"s": ones(3)}),
    (node("Concat", "a b", axis=0), {"a": zeros(0, 3), "b": ones(2, 3)}, {}),
    (node("Transpose", "a", perm=[1, 0]), {"a": zeros(0, 3)}, {}),
    (node("Gather", "a i"), {"a": ones(4, 3), "i": zeros(0, dtype=np.int64)}, {}),
    (node("ScatterND", "a i u"), {"a": zeros(3, 0), "u": zeros(2, 0)}, {"i": np.array([[1], [2]])})])
def test_empty_dimension(made, inputs, parameters, open_dims):
    check_exact(made, inputs, parameters, open_dims=open_dims)


@pytest.mark.parametrize("made, inputs, parameters", [
    (node("Conv", "a w"), {"a": zeros(0, 3, 8, 8)}, {"w": ones(4, 3, 3, 3)}),
    (node("ConvTranspose", "a w", strides=[2, 2]), {"a": zeros(0, 3, 8, 8)}, {"w": ones(3, 4, 3, 3)}),
    (node("MaxPool", "a", kernel_shape=[2, 2]), {"a": zeros(0, 3, 4, 4)}, {}),
    (node("Resize", "a - s", mode="linear"), {"a": zeros(0, 3, 4, 4)}, {"s": np.float32([1, 1, 2, 2])}),
    (node("LSTM", "a w r", hidden_size=4), {"a": zeros(0, 2, 3)}, {"w": ones(1, 16, 3), "r": ones(1, 16, 4)})])
def test_empty_batch_of_a_layer(made, inputs, parameters):
    check_exact(made, inputs, parameters)


def test_empty_batch_of_a_quantized_convolution():
    nodes = [node("DequantizeLinear", "x s", "f"), node("DequantizeLinear", "w s", "g"), node("Conv", "f g", "r"),
             node("QuantizeLinear", "r s")]
    check_exact(nodes, {"x": zeros(0, 3, 8, 8, dtype=np.uint8)}, {"s": np.float32(0.1), "w": ones(4, 3, 3, 3, dtype=np.int8)},
                {"y": U8})
