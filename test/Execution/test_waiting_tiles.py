# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Blocks of AMX tiles whose epilogue runs while the next block is multiplied, emulated: the first and the last one, rows and columns that
fill no block, few and many multiplications to hide behind.

Bytes equal those of NumPy or of the reference lowering, all of them.
"""
import numpy as np
import onnx
import pytest
from Import.oracle import I32, U8, Values, model, node
from support.emulation import Emulated

STREAMED = "tileloaddt164.internal"
# One block; one multiplication for 32 waiting rows; half blocks, rows and columns that fill none; rows that pass L1, weights that do.
SHAPES = [(16, 64, 32, False), (32, 64, 32, False), (96, 64, 64, False), (64, 128, 48, False), (117, 192, 96, False), (49, 320, 23, False),
          (72, 1024, 80, True), (32, 2048, 64, True)]


def requantized(sums, scales, scale, zero):
    factor = np.float32(0.02) * scales / np.float32(scale)
    return np.clip(np.rint(sums.astype(np.float32) * factor.astype(np.float32)) + zero, 0, 255).astype(np.uint8)


def product(v, rows, depth, columns, **shapes):
    """A product of bytes, a scale for each column, what makes bytes of it, and the exact sums."""
    x, w = v.integers(np.uint8, rows, depth), v.weights(depth, columns)
    parameters = {"xs": np.float32(0.02), "xz": np.uint8(121), "w": w, "ws": v.scales(columns), "wz": np.zeros(columns, np.int8),
                  "ys": np.float32(0.4), "yz": np.uint8(110)}
    return x, parameters, (x.astype(np.int64) - 121) @ w.astype(np.int64)


@pytest.mark.parametrize("rows, depth, columns, streamed", SHAPES)
def test_products(rows, depth, columns, streamed):
    x, parameters, sums = product(Values(), rows, depth, columns)
    made = model(node("QLinearMatMul", "x xs xz w ws wz ys yz"), {"x": x}, parameters, {"y": U8})
    emulated = Emulated(made, "amx")
    assert "tdpbusd.internal" in emulated.instructions
    assert (STREAMED in emulated.instructions) == streamed
    got, = emulated.run([x], [np.zeros((rows, columns), np.uint8)])
    assert (got == requantized(sums, parameters["ws"], 0.4, 110)).all()


@pytest.mark.parametrize("rows, depth, columns", [(96, 128, 64), (117, 192, 80), (5, 64, 32), (33, 1024, 48)])
def test_open_rows(rows, depth, columns):
    """Whole blocks, half ones and single rows where only run time knows how many there are, none of the first perhaps."""
    x, parameters, sums = product(Values(5), rows, depth, columns)
    made = onnx.load_from_string(model(node("QLinearMatMul", "x xs xz w ws wz ys yz"), {"x": x}, parameters, {"y": U8}))
    made.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "rows"
    emulated = Emulated(made.SerializeToString(), "amx")
    assert "tdpbusd.internal" in emulated.instructions
    got, = emulated.run([x], [np.zeros((rows, columns), np.uint8)])
    assert (got == requantized(sums, parameters["ws"], 0.4, 110)).all()


@pytest.mark.parametrize("rows, depth, columns", [(64, 64, 64), (50, 128, 40)])
def test_batches(rows, depth, columns):
    """Each product of a batch has its last block behind it."""
    v = Values(6)
    x, w = v.integers(np.uint8, 3, rows, depth), v.weights(3, depth, columns)
    parameters = {"xs": np.float32(0.02), "xz": np.uint8(121), "ws": np.float32(0.01), "wz": np.int8(0), "ys": np.float32(0.4),
                  "yz": np.uint8(110)}
    emulated = Emulated(model(node("QLinearMatMul", "x xs xz w ws wz ys yz"), {"x": x, "w": w}, parameters, {"y": U8}), "amx")
    assert "tdpbusd.internal" in emulated.instructions
    got, = emulated.run([x, w], [np.zeros((3, rows, columns), np.uint8)])
    assert (got == requantized((x.astype(np.int64) - 121) @ w.astype(np.int64), np.float32(0.01), 0.4, 110)).all()


@pytest.mark.parametrize("rows, depth, columns", [(45, 128, 48), (96, 64, 32), (64, 512, 80)])
def test_sums(rows, depth, columns):
    """An epilogue of nothing but the zero point."""
    x, parameters, sums = product(Values(1), rows, depth, columns)
    made = model(node("MatMulInteger", "x w xz"), {"x": x}, {name: parameters[name] for name in ("w", "xz")}, {"y": I32})
    got, = Emulated(made, "amx").run([x], [np.zeros((rows, columns), np.int32)])
    assert (got == sums).all()


def residual(rows, inner, columns, activation):
    """`activation(x w) + r` in bytes, all of it between DequantizeLinear and QuantizeLinear."""
    v = Values(2)
    x, r = v.integers(np.uint8, rows, inner), v.integers(np.uint8, rows, columns)
    parameters = {"w": v.weights(inner, columns), "ws": v.scales(columns), "wz": np.zeros(columns, np.int8), "xs": np.float32(0.02),
                  "xz": np.uint8(121), "rs": np.float32(0.1), "rz": np.uint8(100), "ys": np.float32(0.4), "yz": np.uint8(110)}
    nodes = [node("DequantizeLinear", "x xs xz", "xf"), node("DequantizeLinear", "w ws wz", "wf", axis=1),
             node("DequantizeLinear", "r rs rz", "rf"), node("MatMul", "xf wf", "m"), node(activation, "m", "a"),
             node("Add", "a rf", "s"), node("QuantizeLinear", "s ys yz", "y")]
    return model(nodes, {"x": x, "r": r}, parameters, {"y": U8}), [x, r]


# A tanh is too long to stand in line.
@pytest.mark.parametrize("activation", ["Relu", "Tanh"])
@pytest.mark.parametrize("rows, inner, columns", [(96, 128, 64), (55, 256, 40)])
def test_residuals(activation, rows, inner, columns):
    """The other addend moves with the row."""
    made, inputs = residual(rows, inner, columns, activation)
    emulated = Emulated(made, "amx")
    assert "tdpbusd.internal" in emulated.instructions
    got, = emulated.run(inputs, [np.zeros((rows, columns), np.uint8)])
    wanted, = Emulated(made, "amx", oracle=True).run(inputs, [np.zeros((rows, columns), np.uint8)])
    assert (got == wanted).all()


@pytest.mark.parametrize("channels, size, kernel, stride, streamed",
                         [(64, 14, 3, 1, False), (128, 28, 3, 1, True), (128, 9, 1, 1, False), (64, 20, 3, 2, False), (256, 10, 3, 1, True)])
def test_windows(channels, size, kernel, stride, streamed):
    """The waiting block belongs to another line of the image, or to another panel."""
    v = Values(3)
    pad, outputs = kernel // 2, 48
    x, w = v.integers(np.uint8, 1, channels, size, size), v.weights(outputs, channels, kernel, kernel)
    parameters = {"xs": np.float32(0.02), "xz": np.uint8(121), "w": w, "ws": v.scales(outputs), "wz": np.zeros(outputs, np.int8),
                  "ys": np.float32(0.4), "yz": np.uint8(110), "b": v.random.integers(-5000, 5000, outputs).astype(np.int32)}
    made = model(node("QLinearConv", "x xs xz w ws wz ys yz b", pads=[pad] * 4, strides=[stride] * 2), {"x": x}, parameters, {"y": U8})
    padded = np.pad(x.astype(np.int64) - 121, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(2, 3))[:, :, ::stride, ::stride]
    sums = np.einsum("nchwij,ocij->nhwo", windows, w.astype(np.int64), optimize=True) + parameters["b"]
    wanted = requantized(sums, parameters["ws"], 0.4, 110).transpose(0, 3, 1, 2)
    emulated = Emulated(made, "amx")
    assert "tdpbusd.internal" in emulated.instructions
    assert (STREAMED in emulated.instructions) == streamed
    got, = emulated.run([x], [np.zeros(wanted.shape, np.uint8)])
    assert (got == wanted).all()


@pytest.mark.parametrize("rows, depth, columns", [(96, 96, 64), (37, 1024, 80)])
def test_bfloat16(rows, depth, columns):
    """Float tiles wait as well: the sums of both lowerings round alike up to their order."""
    v = Values(4)
    x, w, bias = v.floats(rows, depth), v.floats(depth, columns), v.floats(columns)
    made = model([node("MatMul", "x w", "m"), node("Add", "m b")], {"x": x}, {"w": w, "b": bias})
    emulated = Emulated(made, "amx", allow="bf16")
    assert "tdpbf16ps.internal" in emulated.instructions
    got, = emulated.run([x], [np.zeros((rows, columns), np.float32)])
    wanted = x.astype(np.float64) @ w + bias
    assert (np.abs(got - wanted) <= 2e-2 * (np.abs(x) @ np.abs(w) + 1)).all()
