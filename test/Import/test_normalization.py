# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Norms, softmaxes and the fused transformer operators."""
import numpy as np
import pytest
from oracle import F32, I32, Values, check, microsoft, node


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax", "Hardmax"])
@pytest.mark.parametrize("opset", [11, 17])
def test_softmax_over_one_axis_or_all_that_follow(op, opset):
    check(node(op, "x", axis=1), {"x": Values().floats(2, 3, 4)}, opset=opset)
    check(node(op, "x", axis=1), {"x": Values().floats(2, 3, 4)}, opset=opset, open_dims=True)


def test_norms_over_channels():
    v = Values()
    p = {"s": v.floats(6), "b": v.floats(6), "m": v.floats(6), "v": np.abs(v.floats(6))}
    x = {"x": v.floats(2, 6, 4, 3)}
    for open_dims in (False, True):
        check(node("BatchNormalization", "x s b m v"), x, p, open_dims=open_dims)
        check(node("InstanceNormalization", "x s b"), x, p, open_dims=open_dims)
    check(node("LRN", "x", size=5, alpha=0.1, beta=0.6, bias=1.2), x)
    check(node("LpNormalization", "x", axis=1, p=1), x)


def test_layer_norm():
    v = Values()
    p = {"s": v.floats(16), "b": v.floats(16)}
    for open_dims in (False, True):
        check(node("LayerNormalization", "x s b"), {"x": v.floats(2, 5, 16)}, p, open_dims=open_dims)


def test_layer_norm_with_residual():
    v = Values()
    p = {"g": v.floats(16), "b": v.floats(16), "c": v.floats(16)}
    x = {"x": v.floats(2, 5, 16), "s": v.floats(2, 5, 16)}
    check(microsoft("SkipLayerNormalization", "x s g b c", "y - - t", epsilon=1e-5), x, p, {"y": F32, "t": F32})
    check(microsoft("SkipSimplifiedLayerNormalization", "x s g c", epsilon=1e-5), x, p)
    check(node("SimplifiedLayerNormalization", "x g", epsilon=1e-5), {"x": x["x"]}, p)


def test_embedding_and_layer_norm():
    v = Values()
    p = {"w": v.floats(30, 16), "p": v.floats(12, 16), "t": v.floats(2, 16), "g": v.floats(16), "b": v.floats(16)}
    ids = {"i": np.array([[1, 29, 3, 0]], np.int32), "k": np.array([[0, 0, 1, 1]], np.int32)}
    check(microsoft("EmbedLayerNormalization", "i k w p t g b", "y m", epsilon=1e-5), ids, p, {"y": F32, "m": I32})


@pytest.mark.parametrize("op, names", [("Gelu", "x"), ("BiasGelu", "x b"), ("FastGelu", "x b"), ("QuickGelu", "x")])
def test_gelu(op, names):
    v = Values()
    check(microsoft(op, names), {"x": 3 * v.floats(2, 5, 16)}, {"b": v.floats(16)})
