# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Quantization parameters that mean nothing are errors that name the node and the value."""
import numpy as np
import pytest
from matrix import F32, OPENVINO, QONNX, Builder, Grid

import tamis

X = np.zeros((3, 4), np.float32)
BAD = pytest.mark.parametrize("scale", [np.nan, np.inf, 0.0, -0.5])


def fails(b, y, match):
    with pytest.raises(tamis.Error, match=match) as error:
        tamis.compile(b.model({"x": X}, {y: F32}), cache="off", lazy=False)
    return error


@BAD
@pytest.mark.parametrize("per_axis", [False, True])
def test_scales_of_quantize_linear(scale, per_axis):
    b = Builder(17)
    scales = np.float32([0.1, scale, 0.2, 0.3]) if per_axis else np.float32(scale)
    q = b.node("QuantizeLinear", ["x", scales], axis=1)
    fails(b, b.node("DequantizeLinear", [q, np.float32(0.1)]), "QuantizeLinear_0.*the scale to be positive and finite, got")


@BAD
def test_scales_of_dequantize_linear(scale):
    b = Builder(17)
    q = b.node("QuantizeLinear", ["x", np.float32(0.1)])
    fails(b, b.node("DequantizeLinear", [q, np.float32(scale)]), "DequantizeLinear_1.*positive and finite, got")


def test_an_empty_channel_may_have_a_zero_scale():
    b = Builder(17)
    y = b.node("DequantizeLinear", [np.int8([[1, 2, 3, 4]] * 3), np.float32([0.5, 0, 0.25, 1])], axis=1)
    b.nodes.append(b.nodes.pop())
    y = b.node("Add", ["x", y])
    got, = tamis.compile(b.model({"x": X}, {y: F32}), cache="off").run(None, {"x": X})
    np.testing.assert_array_equal(got, [[0.5, 0, 0.75, 4]] * 3)


def test_a_block_may_have_a_negative_scale():
    b = Builder(21)
    codes, scales = np.int8([[-8, 7, 3, 0]] * 3), np.float32([[-0.5, 0.25]] * 3)
    y = b.node("Add", ["x", b.node("DequantizeLinear", [codes, scales], axis=1, block_size=2)])
    got, = tamis.compile(b.model({"x": X}, {y: F32}), cache="off").run(None, {"x": X})
    np.testing.assert_array_equal(got, [[4, -3.5, 0.75, 0]] * 3)


@BAD
def test_scales_of_integer_operators(scale):
    b = Builder(17)
    q = b.node("QuantizeLinear", ["x", np.float32(0.1)])
    y = b.node("QLinearMatMul", [q, np.float32(0.1), np.uint8(0), np.ones((4, 2), np.int8), np.float32(0.1), np.int8(0),
                                 np.float32(scale), np.uint8(0)])
    fails(b, b.node("DequantizeLinear", [y, np.float32(0.1)]), "y_scale to be positive and finite, got")


@BAD
@pytest.mark.parametrize("op", ["Quant", "BipolarQuant"])
def test_scales_of_qonnx(scale, op):
    b = Builder(17)
    more = [np.float32(0), np.float32(8)] if op == "Quant" else []
    fails(b, b.node(op, ["x", np.float32(scale), *more], domain=QONNX), "scale.* (finite|positive).*, got")


@pytest.mark.parametrize("zero, bits, match", [(300, 8, r"zero point in \[-128, 127\], got 3"), (np.nan, 8, "zero point of finite"),
                                               (0, 3.5, "whole bit width"), (0, 0, "bit width of 1 to 32"), (0, 64, "bit width")])
def test_zero_points_and_widths_of_qonnx(zero, bits, match):
    b = Builder(17)
    fails(b, b.node("Quant", ["x", np.float32(0.1), np.float32(zero), np.float32(bits)], domain=QONNX), match)


def test_rounding_modes_of_qonnx():
    b = Builder(17)
    fails(b, b.node("Quant", ["x", np.float32(0.1), np.float32(0), np.float32(8)], domain=QONNX, rounding_mode="DICE"),
          "rounding_mode 'DICE' is not known")


@pytest.mark.parametrize("ranges, levels, match", [((1, -1, 1, -1), 256, "input_low below input_high"), ((0, 0, 0, 1), 256, "below"),
                                                   ((np.nan, 1, 0, 1), 256, "finite"), ((0, 1, 0, 1), 1, "levels of 2")])
def test_ranges_of_openvino(ranges, levels, match):
    b = Builder(17)
    fails(b, b.node("FakeQuantize", ["x", *np.float32(ranges)], domain=OPENVINO, levels=levels), match)


def test_ranges_of_two_lengths():
    b = Builder(17)
    low, high = np.zeros((1, 4), np.float32), np.ones((1, 3), np.float32)
    fails(b, b.node("FakeQuantize", ["x", low, high, low, high], domain=OPENVINO), "ranges of 1 or 4 numbers, got 3")


def test_no_scale_at_all():
    b = Builder(17)
    fails(b, b.node("Quant", ["x", np.zeros((0,), np.float32), np.float32(0), np.float32(8)], domain=QONNX), "at least one number")


def test_caches_of_other_shapes():
    x, end = np.zeros((1, 2, 32), np.float32), [np.int32([1]), np.int32(2)]
    cache = np.zeros((1, 2, 3, 8), np.float32)
    for more in ([cache, cache[:, :, :2]], [cache[:, :1], cache], [cache[..., :4], cache]):
        b = Builder(17)
        y = b.node("GroupQueryAttention", ["x", "", "", *more, *end], domain="com.microsoft", num_heads=2, kv_num_heads=1)
        with pytest.raises(tamis.Error, match="cache"):
            tamis.compile(b.model({"x": x}, {y: F32}), cache="off", lazy=False)
    b = Builder(17)
    y = b.node("GroupQueryAttention", ["x", "", "", "", "", np.int32([1, 2]), end[1]], domain="com.microsoft", num_heads=2,
               kv_num_heads=1)
    with pytest.raises(tamis.Error, match="seqlens_k"):
        tamis.compile(b.model({"x": x}, {y: F32}), cache="off", lazy=False)


def test_scales_along_a_wrong_axis():
    b = Builder(17)
    fails(b, b.node("Quant", ["x", np.full((1, 5), 0.1, np.float32), np.float32(0), np.float32(8)], domain=QONNX), "number of scales")


def test_what_stays_float_says_why():
    messages = []
    b = Builder(17)
    y = b.node("Quant", ["x", np.float32(0.1), np.float32(0.5), np.float32(8)], domain=QONNX)
    tamis.compile(b.model({"x": X}, {y: F32}), cache="off", on_message=messages.append, lazy=False)
    assert any("zero point is not an integer" in str(m) for m in messages)
    assert Grid(1.0).zero == 0
