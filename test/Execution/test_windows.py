# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Convolutions that take turns around a depthwise one: borders, steps, sums, threads, several readers."""
import numpy as np
import onnx
import pytest
import tamis
from Import.oracle import Values, expected, model, node
from test_row_streams import TARGETS


def block(v, channels, wide, kernel, stride, residual, pads=None):
    """Pointwise, depthwise, pointwise convolution, and the sum with what came in."""
    pads = [kernel // 2] * 4 if pads is None else pads
    parameters = {"a": v.floats(wide, channels, 1, 1), "d": v.floats(wide, 1, kernel, kernel), "b": v.floats(channels, wide, 1, 1),
                  "bias": v.floats(wide), "low": np.float32(0), "high": np.float32(6)}
    nodes = [node("Conv", "x a bias", "expanded"), node("Clip", "expanded low high", "e"),
             node("Conv", "e d", "windows", group=wide, strides=[stride, stride], pads=pads), node("Relu", "windows", "w"),
             node("Conv", "w b", "projected" if residual else "y")]
    if residual:
        nodes.append(node("Add", "projected x"))
    return nodes, parameters


SHAPES = {
    "residual": (1, 80, 96, 3, 1, True, None), "batch": (2, 80, 80, 3, 1, True, None), "step": (1, 128, 64, 3, 2, False, None),
    "large window": (1, 80, 96, 5, 1, True, None), "below only": (1, 96, 64, 3, 2, False, [0, 0, 1, 1]),
    "no border": (1, 92, 64, 3, 2, False, [0, 0, 0, 0]), "no divisor": (1, 97, 64, 3, 1, True, None),
}


def make(name, outputs=None):
    """The model of a shape, and a feed."""
    batch, size, wide, kernel, stride, residual, pads = SHAPES[name]
    v = Values(1)
    nodes, parameters = block(v, 16, wide, kernel, stride, residual, pads)
    feeds = {"x": v.floats(batch, 16, size, size)}
    return model(nodes, feeds, parameters, outputs), feeds


@pytest.mark.parametrize("name", SHAPES)
def test_turns(name):
    data, feeds = make(name)
    want, = expected(data, feeds)
    for target in TARGETS:
        got, = tamis.compile(data, cache="off", target=target, lazy=False).run(None, feeds)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * np.abs(want).max(), err_msg=target)


@pytest.mark.parametrize("name", ["residual", "step"])
def test_threads_give_the_same_bits(name):
    """With tasks each convolution runs by itself."""
    data, feeds = make(name)
    one, two = (tamis.compile(data, cache="off", threads=threads).run(None, feeds)[0] for threads in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_several_readers():
    """The wide image and the windows are outputs of the model too."""
    data, feeds = make("residual", dict.fromkeys(("y", "e", "w"), onnx.TensorProto.FLOAT))
    for got, want in zip(tamis.compile(data, cache="off", lazy=False).run(None, feeds), expected(data, feeds)):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * np.abs(want).max())
