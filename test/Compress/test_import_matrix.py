# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every form of quantized model that tools export is imported and folded to integers that equal the QLinear formula."""
import numpy as np
import onnx
import pytest
from matrix import F32, MICROSOFT, OPENVINO, QONNX, Builder, Grid, assert_levels, check_layer, make_layer, run
from onnx import helper, numpy_helper

import tamis
from tamis import groups

STRICT = pytest.mark.parametrize("strict", [True, False])
OPS = pytest.mark.parametrize("op", ["Conv", "MatMul"])
S8, U8 = (-128, 127, np.int8), (0, 255, np.uint8)


def dtype_of(grid):
    return np.uint8 if grid.high > 127 else np.int8


def qdq(b, x, grid, clip=False, **attributes):
    """QuantizeLinear, a Clip where the grid is narrower than its type, DequantizeLinear."""
    dtype = dtype_of(grid)
    scale, zero = np.asarray(grid.scale, np.float32), np.full(np.shape(grid.scale), grid.zero, dtype)
    axis = {"axis": grid.axis} if scale.ndim else {}
    q = b.node("QuantizeLinear", [x, scale, zero], **axis, **attributes)
    if clip:
        q = b.node("Clip", [q, dtype(grid.low), dtype(grid.high)])
    return b.node("DequantizeLinear", [q, scale, zero], **axis)


def stored(b, layer, dtype=None):
    """DequantizeLinear of integer weights."""
    grid = layer.gw
    scale = np.asarray(grid.scale, np.float32)
    axis = {"axis": grid.axis} if scale.ndim else {}
    dtype = dtype or dtype_of(grid)
    return b.node("DequantizeLinear", [grid.levels(layer.w).astype(dtype), scale, np.full(scale.shape, grid.zero, dtype)], **axis)


@STRICT
@OPS
@pytest.mark.parametrize("opset", [10, 13, 19, 21, 23, 24, 25])
def test_qdq_in_every_operator_set(opset, op, strict):
    layer = make_layer(op)
    if opset < 13:  # one scale for the tensor
        layer = make_layer(op, gw=Grid(np.float32(0), 0, -127, 127))
    b = Builder(opset)
    x, w = qdq(b, "x", layer.gx), stored(b, layer)
    check_layer(layer, b, qdq(b, b.contraction(layer, x, w), layer.gy), strict)


@STRICT
@OPS
def test_qdq_with_output_dtype_and_precision(op, strict):
    layer = make_layer(op, gy=Grid(np.float32(0.037), 0, -128, 127))
    b = Builder(23)
    xs, ys = np.float32(layer.gx.scale), np.float32(layer.gy.scale)
    q = b.node("QuantizeLinear", ["x", xs, np.uint8(layer.gx.zero)], output_dtype=onnx.TensorProto.UINT8, precision=F32)
    x = b.node("DequantizeLinear", [q, xs, np.uint8(layer.gx.zero)], output_dtype=F32)
    y = b.node("QuantizeLinear", [b.contraction(layer, x, stored(b, layer)), ys], output_dtype=onnx.TensorProto.INT8)
    check_layer(layer, b, b.node("DequantizeLinear", [y, ys]), strict)


@STRICT
@OPS
@pytest.mark.parametrize("kind, low, high", [("int4", -7, 7), ("uint4", 0, 15), ("int2", -1, 1)])
def test_qdq_of_narrow_weights(kind, low, high, op, strict):
    zero = 8 if kind == "uint4" else 0
    layer = make_layer(op, gw=Grid(np.float32(0.15), zero, low, high))
    b = Builder(25)
    dtype = getattr(onnx.TensorProto, kind.upper())
    levels = layer.gw.levels(layer.w)
    b.parameters["q"] = helper.make_tensor("q", dtype, levels.shape, levels.flatten().tolist())
    b.parameters["z"] = helper.make_tensor("z", dtype, [], [zero])
    w = b.node("DequantizeLinear", ["q", np.float32(0.15), "z"])
    check_layer(layer, b, qdq(b, b.contraction(layer, qdq(b, "x", layer.gx), w), layer.gy), strict)


@STRICT
@OPS
@pytest.mark.parametrize("kind", ["int8", "uint4", "a zero point each", "a shorter last block"])
def test_qdq_in_blocks(kind, op, strict):
    """Blocks of what is summed over, as weights of few bits have them; the last one may be shorter."""
    layer = make_layer(op)
    axis, size = (0, 8) if op == "MatMul" else (1, 2)
    size -= kind == "a shorter last block" and op == "MatMul"
    size += kind == "a shorter last block" and op == "Conv"
    random = np.random.default_rng(1)
    shape = [-(-n // size) if i == axis else n for i, n in enumerate(layer.w.shape)]
    low, high, dtype = (0, 15, np.uint8) if kind == "uint4" else (-127, 127, np.int8)
    zero = random.integers(3, 12, shape) if dtype == np.uint8 else np.zeros(shape, int)
    if kind == "a zero point each":
        zero, low, high = random.integers(-20, 20, shape), -100, 100

    def wide(a):
        return np.repeat(a, size, axis).take(range(layer.w.shape[axis]), axis)

    scale = random.uniform(1.0, 1.3, shape).astype(np.float32) * np.float32(0.1 if dtype == np.uint8 else 0.012)
    q = np.clip(np.rint(layer.w / wide(scale)) + wide(zero), low, high).astype(np.int64)
    b = Builder(21)
    if dtype == np.uint8:
        for name, values in (("q", q), ("z", zero)):
            b.parameters[name] = helper.make_tensor(name, onnx.TensorProto.UINT4, values.shape, values.flatten().tolist())
        inputs = ["q", scale, "z"]
    else:
        inputs = [q.astype(dtype), scale, zero.astype(dtype)]
    w = b.node("DequantizeLinear", inputs, axis=axis, block_size=size)
    y = qdq(b, b.contraction(layer, qdq(b, "x", layer.gx), w), layer.gy)
    got, = run(b.model({"x": layer.x}, {y: F32}), {"x": layer.x}, strict)
    x, column = layer.gx.levels(layer.x) - layer.gx.zero, (1, -1, 1, 1) if op == "Conv" else (-1,)
    want = groups.add_blocks(lambda w: groups.convolve(x, w, {"pads": [1, 1, 1, 1]}) if op == "Conv" else x @ w,
                             q - wide(zero), np.float32(layer.gx.scale) * scale, axis, size, layer.gw.axis, column)
    want = layer.gy.levels(np.maximum(want + layer.b.reshape(column), np.float32(0)))
    assert_levels(np.rint(got / np.float32(layer.gy.scale)) + layer.gy.zero, want, strict)


def test_qdq_in_blocks_of_columns_stays_float_and_says_so():
    layer = make_layer("MatMul")
    b = Builder(21)
    q = layer.gw.levels(layer.w).astype(np.int8)
    w = b.node("DequantizeLinear", [q, np.full((24, 2), 0.01, np.float32)], axis=1, block_size=3)
    y = qdq(b, b.contraction(layer, qdq(b, "x", layer.gx), w), layer.gy)
    with pytest.raises(tamis.Error, match="blocks lie along a dimension that is not summed over"):
        tamis.compile(b.model({"x": layer.x}, {y: F32}), require_integer=True, cache="off")


@STRICT
@OPS
def test_qdq_with_a_zero_point_for_each_channel(op, strict):
    """Weights that fit in a byte without their zero points."""
    layer = make_layer(op, gw=Grid(np.zeros(6), 0, -100, 100))
    zero = np.arange(-10, 20, 5).astype(np.int8)
    b = Builder(13)
    q = layer.gw.levels(layer.w) + zero.reshape(layer.gw.column(layer.w).shape)
    w = b.node("DequantizeLinear", [q.astype(np.int8), layer.gw.scale, zero], axis=layer.gw.axis)
    check_layer(layer, b, qdq(b, b.contraction(layer, qdq(b, "x", layer.gx), w), layer.gy), strict)


@STRICT
@OPS
def test_integer_operators(op, strict):
    layer = make_layer(op, relu=False)
    gx, gw, gy = layer.gx, layer.gw, layer.gy
    b = Builder(13)
    x = b.node("QuantizeLinear", ["x", gx.scale, np.uint8(gx.zero)])
    wz = np.zeros(gw.scale.shape, np.int8)
    parameters = [x, gx.scale, np.uint8(gx.zero), gw.levels(layer.w).astype(np.int8), gw.scale, wz, gy.scale, np.uint8(gy.zero)]
    if op == "Conv":
        y = b.node("QLinearConv", [*parameters, np.rint(layer.b / (gx.scale * gw.scale)).astype(np.int32)], pads=[1, 1, 1, 1])
    else:
        layer.b = None
        y = b.node("QLinearMatMul", parameters)
    check_layer(layer, b, b.node("DequantizeLinear", [y, gy.scale, np.uint8(gy.zero)]), strict)


@STRICT
@OPS
def test_integer_products_with_their_own_scaling(op, strict):
    """DynamicQuantizeLinear and ConvInteger or MatMulInteger, scaled by float nodes: no rounding after the sum."""
    layer = make_layer(op)
    b = Builder(13)
    b.nodes.append(helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"], name="dynamic"))
    w = layer.gw.levels(layer.w).astype(np.int8)
    total = b.node("ConvInteger", ["q", w, "z"], pads=[1, 1, 1, 1]) if op == "Conv" else b.node("MatMulInteger", ["q", w, "z"])
    column = (1, -1, 1, 1) if op == "Conv" else (-1,)
    y = b.node("Mul", [b.node("Cast", [total], to=F32), b.node("Mul", ["s", layer.gw.scale.reshape(column)])])
    got, = run(b.model({"x": layer.x}, {y: F32}), {"x": layer.x}, strict)
    low, high = min(layer.x.min(), 0), max(layer.x.max(), 0)
    scale = np.float32((np.float32(high) - np.float32(low)) / np.float32(255))
    layer.gx = Grid(scale, int(np.rint(-low / scale)), 0, 255)
    layer.b, layer.relu, layer.gy = None, False, Grid(np.float32(1e-6), 0, -2 ** 40, 2 ** 40)
    np.testing.assert_allclose(got, layer.expected() * 1e-6, rtol=1e-5, atol=1e-4)


@STRICT
@OPS
@pytest.mark.parametrize("bits", [2, 3, 4, 7])
def test_qcdq(bits, op, strict):
    """Brevitas: a Clip between QuantizeLinear and DequantizeLinear says how many bits there are."""
    half = 2 ** (bits - 1)
    layer = make_layer(op, gx=Grid(np.float32(4 / half), 0, -half, half - 1), gw=Grid(np.zeros(6), 0, 1 - half, half - 1),
                       gy=Grid(np.float32(3 / half), 0, 0, half * 2 - 1))
    b = Builder(17)
    w = qdq(b, b.value(layer.w), layer.gw, clip=True)
    check_layer(layer, b, qdq(b, b.contraction(layer, qdq(b, "x", layer.gx, True), w), layer.gy, True), strict)


@STRICT
@OPS
@pytest.mark.parametrize("low, high", [(0, 127), (-127, 127)])
def test_torch_fake_quantize(low, high, op, strict):
    """fake_quantize_per_tensor_affine and per_channel_affine as torch.onnx writes them."""
    layer = make_layer(op, gx=Grid(np.float32(0.04), 60 if low == 0 else 0, low, high), gy=Grid(np.float32(0.06), 0, 0, high))
    b = Builder(13)
    w = qdq(b, b.value(layer.w), layer.gw, clip=True)
    check_layer(layer, b, qdq(b, b.contraction(layer, qdq(b, "x", layer.gx, True), w), layer.gy, True), strict)


def quant(b, x, grid, op="Quant", rounding="ROUND"):
    """A quantizer of QONNX."""
    levels = grid.high - grid.low + 1
    narrow = levels % 2
    bits = (levels + narrow).bit_length() - 1
    scale = np.asarray(grid.scale, np.float32)
    if scale.ndim:
        scale = scale.reshape((-1, 1, 1, 1) if grid.axis == 0 else (1, -1))
    return b.node(op, [x, scale, np.float32(grid.zero), np.float32(bits)], domain=QONNX, signed=int(grid.low < 0), narrow=narrow,
                  rounding_mode=rounding)


@STRICT
@OPS
@pytest.mark.parametrize("kind, bits", [("Quant", 2), ("Quant", 4), ("Quant", 8), ("IntQuant", 8)])
def test_qonnx_quant(kind, bits, op, strict):
    half = 2 ** (bits - 1)
    layer = make_layer(op, gx=Grid(np.float32(4 / half), 0, -half, half - 1), gw=Grid(np.zeros(6), 0, 1 - half, half - 1),
                       gy=Grid(np.float32(3 / half), 0, 0, half * 2 - 1))
    b = Builder(17)
    w = quant(b, b.value(layer.w), layer.gw, kind)
    check_layer(layer, b, quant(b, b.contraction(layer, quant(b, "x", layer.gx, kind), w), layer.gy, kind), strict)


@pytest.mark.parametrize("rounding, round", [("CEIL", np.ceil), ("FLOOR", np.floor), ("DOWN", np.trunc),
                                             ("UP", lambda x: np.sign(x) * np.ceil(np.abs(x))),
                                             ("HALF_UP", lambda x: np.sign(x) * np.floor(np.abs(x) + np.float32(0.5))),
                                             ("HALF_DOWN", lambda x: np.sign(x) * np.ceil(np.abs(x) - np.float32(0.5)))])
def test_qonnx_rounding_modes(rounding, round):
    x = np.concatenate([np.arange(-40, 40, dtype=np.float32) / 4, np.random.default_rng(0).standard_normal(99).astype(np.float32)])
    b = Builder(17)
    y = quant(b, "x", Grid(np.float32(0.5), 2, -8, 7), rounding=rounding)
    got, = run(b.model({"x": x}, {y: F32}), {"x": x})
    np.testing.assert_array_equal(got, (round(np.clip(x / np.float32(0.5) + 2, -8, 7)) - 2) * np.float32(0.5))


@STRICT
@OPS
def test_qonnx_bipolar(op, strict):
    layer = make_layer(op)
    layer.w[np.abs(layer.w) < 0.01] = 0.5
    signs = np.where(layer.w >= 0, 1, -1)
    layer.gw = Grid(np.float32(0.2), 0, -1, 1)
    b = Builder(17)
    w = b.node("BipolarQuant", [layer.w, np.float32(0.2)], domain=QONNX)
    y = quant(b, b.contraction(layer, quant(b, "x", Grid(np.float32(0.03))), w), layer.gy)
    layer.gx, layer.w = Grid(np.float32(0.03)), (signs * 0.2).astype(np.float32)
    check_layer(layer, b, y, strict)


@STRICT
def test_qonnx_trunc(strict):
    """An average pool of integers, its sum cut to 8 bits, then a convolution."""
    layer = make_layer("Conv", gx=Grid(np.float32(2 ** -5), 0, -128, 127))
    pooled = layer.gx.levels(np.tile(layer.x, (1, 1, 2, 2)))
    x = layer.gx.real(pooled)
    b = Builder(17)
    cut = b.node("Trunc", ["x", layer.gx.scale, np.float32(0), np.float32(8), np.float32(4)], domain=QONNX, rounding_mode="FLOOR")
    y = quant(b, b.contraction(layer, cut, quant(b, b.value(layer.w), layer.gw)), layer.gy)
    layer.x, layer.gx = layer.gx.real(np.floor(pooled / 16).astype(np.int64)), Grid(layer.gx.scale)
    want = layer.expected()
    got, = run(b.model({"x": x}, {y: F32}), {"x": x}, strict)
    assert_levels(np.rint(got / layer.gy.scale) + layer.gy.zero, want, strict)


def test_qonnx_trunc_with_a_scale_of_its_result():
    x = (np.arange(-2000, 2000) / 64).astype(np.float32)
    b = Builder(17)
    y = b.node("Trunc", ["x", np.float32(1 / 64), np.float32(0), np.float32(12), np.float32(1 / 4), np.float32(0), np.float32(7)],
               domain=QONNX, rounding_mode="FLOOR", signed=1, narrow=0)
    got, = run(b.model({"x": x}, {y: F32}), {"x": x})
    np.testing.assert_array_equal(got, np.floor(np.clip(np.rint(x * 64) / 16, -64, 63)) / np.float32(4))


def float_grid(x, exponent, mantissa, bias, largest):
    step = np.exp2(np.maximum(np.floor(np.log2(np.maximum(np.abs(x), 1e-30))) - mantissa, 1.0 - bias - mantissa))
    return np.clip(step * np.rint(x / step), -largest, largest).astype(np.float32)


@pytest.mark.parametrize("exponent, mantissa, bias, largest, integer", [(2, 1, 1, 6, True), (2, 3, 1, 7.5, True),
                                                                        (4, 3, 7, 480, False), (5, 2, 15, 57344, False)])
def test_qonnx_float_quant(exponent, mantissa, bias, largest, integer):
    """Few enough levels are integers (4-bit floats); eight bits of float are not, and stay float."""
    layer = make_layer("MatMul", gx=Grid(np.float32(0.03)))
    b = Builder(17)
    w = b.node("FloatQuant", [layer.w, np.float32(0.25), np.float32(exponent), np.float32(mantissa), np.float32(bias),
                              np.float32(largest)], domain=QONNX)
    y = b.contraction(layer, quant(b, "x", layer.gx), w)
    got, = run(b.model({"x": layer.x}, {y: F32}), {"x": layer.x}, integer=integer)
    w = float_grid(layer.w / np.float32(0.25), exponent, mantissa, bias, largest) * np.float32(0.25)
    x = layer.gx.real(layer.gx.levels(layer.x))
    np.testing.assert_allclose(got, np.maximum(x @ w + layer.b, 0), rtol=1e-5, atol=1e-5)


def fake_quantize(b, x, grid):
    """FakeQuantize with the range of the grid."""
    scale = np.asarray(grid.scale, np.float64)
    if scale.ndim:
        scale = scale.reshape((-1, 1, 1, 1) if grid.axis == 0 else (1, -1))
    low, high = [np.asarray((n - grid.zero) * scale, np.float32) for n in (grid.low, grid.high)]
    return b.node("FakeQuantize", [x, low, high, low, high], domain=OPENVINO, levels=grid.high - grid.low + 1)


@STRICT
@OPS
@pytest.mark.parametrize("weights", [(-127, 127), (-128, 127), (-7, 7)])
def test_openvino_fake_quantize(weights, op, strict):
    layer = make_layer(op, gw=Grid(np.zeros(6), 0, *weights))
    b = Builder(17)
    w = fake_quantize(b, b.value(layer.w), layer.gw)
    check_layer(layer, b, fake_quantize(b, b.contraction(layer, fake_quantize(b, "x", layer.gx), w), layer.gy), strict)


@pytest.mark.parametrize("ranges, levels", [((-1, 2, -1, 2), 256), ((-1, 1, -3, 3), 255), ((0.5, 2, 0.5, 2), 16), ((0, 0, -2, 2), 2),
                                            ((-1, 1, 0, 5), 7)])
def test_openvino_formula(ranges, levels):
    """Ranges without zero, of another output, of two levels: by the definition of the operator."""
    x = np.random.default_rng(0).uniform(-3, 3, 500).astype(np.float32)
    il, ih, ol, oh = map(np.float32, ranges)
    b = Builder(17)
    y = b.node("FakeQuantize", ["x", il, ih, ol, oh], domain=OPENVINO, levels=levels)
    got, = run(b.model({"x": x}, {y: F32}), {"x": x})
    with np.errstate(all="ignore"):
        want = np.rint((x - il) / (ih - il) * (levels - 1)) / (levels - 1) * (oh - ol) + ol
    want = np.where(x <= min(il, ih), ol, np.where(x > max(il, ih), oh, want))
    np.testing.assert_allclose(got, want, atol=0.02 * (oh - ol) / (levels - 1))


@STRICT
@OPS
def test_float_weights_on_a_grid(op, strict):
    """The quantized weights were stored as floats: their integers are found again."""
    for gw in (None, Grid(np.float32(0.013), 0, -100, 101)):
        layer = make_layer(op, gw=gw)
        b = Builder(17)
        w = b.value(layer.gw.real(layer.gw.levels(layer.w)))
        check_layer(layer, b, qdq(b, b.contraction(layer, qdq(b, "x", layer.gx), w), layer.gy), strict)


def test_float_weights_off_a_grid_stay_float():
    layer = make_layer("MatMul")
    b = Builder(17)
    y = qdq(b, b.contraction(layer, qdq(b, "x", layer.gx), b.value(layer.w)), layer.gy)
    with pytest.raises(tamis.Error, match="second operand is not dequantized"):
        tamis.compile(b.model({"x": layer.x}, {y: F32}), require_integer=True, cache="off")


@STRICT
@OPS
def test_dequantized_constants_alone(op, strict):
    """DequantizeLinear of weights with float activations: the product is float, and the reason is told."""
    layer = make_layer(op)
    b = Builder(17)
    y = b.contraction(layer, "x", stored(b, layer))
    data = b.model({"x": layer.x}, {y: F32})
    c = Builder(17)
    z = c.contraction(layer, "x", c.value(layer.gw.real(layer.gw.levels(layer.w))))
    got, want = (run(m, {"x": layer.x}, strict, integer=False)[0] for m in (data, c.model({"x": layer.x}, {z: F32})))
    if strict:
        np.testing.assert_array_equal(got, want)
    else:
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    with pytest.raises(tamis.Error, match="first operand is not dequantized"):
        tamis.compile(data, require_integer=True, cache="off")


@STRICT
@OPS
def test_masked_weights(op, strict):
    """Zeros of pruning are zeros of the integers, also beside a zero point."""
    layer = make_layer(op, gw=Grid(np.float32(0.01), 140, 0, 255))
    mask = np.random.default_rng(1).random(layer.w.shape) < 0.8
    layer.w[mask] = 0
    assert np.all(layer.gw.levels(layer.w)[mask] == 140)
    b = Builder(17)
    w = qdq(b, b.value(layer.w), layer.gw)
    check_layer(layer, b, qdq(b, b.contraction(layer, qdq(b, "x", layer.gx), w), layer.gy), strict)


@STRICT
@OPS
def test_sparse_initializer(op, strict):
    """Integer weights as values and positions, as onnxruntime's sparsify_initializers.py writes them."""
    layer = make_layer(op)
    layer.w[np.random.default_rng(1).random(layer.w.shape) < 0.7] = 0
    q = layer.gw.levels(layer.w).astype(np.int8)
    at = np.flatnonzero(q)
    b = Builder(17)
    values = numpy_helper.from_array(q.flatten()[at], "q")
    b.sparse = [helper.make_sparse_tensor(values, numpy_helper.from_array(at.astype(np.int64), "q_at"), q.shape)]
    w = b.node("DequantizeLinear", ["q", layer.gw.scale, np.zeros(6, np.int8)], axis=layer.gw.axis)
    check_layer(layer, b, qdq(b, b.contraction(layer, qdq(b, "x", layer.gx), w), layer.gy), strict)


@STRICT
@pytest.mark.parametrize("after", ["BatchNormalization", "before"])
def test_batch_normalization(after, strict):
    """Behind an integer convolution it scales the requantization and the bias; on weights it is folded at compile time."""
    layer = make_layer("Conv")
    random = np.random.default_rng(2)
    scale, shift, mean = random.uniform(0.5, 2, (3, 6)).astype(np.float32)
    variance = random.uniform(0.5, 2, 6).astype(np.float32)
    b = Builder(17)
    x = qdq(b, "x", layer.gx)
    factor = scale / np.sqrt(variance + np.float32(1e-5))
    if after == "before":  # Weights are multiplied, then quantized.
        w = b.node("Mul", [layer.w, factor.reshape(-1, 1, 1, 1)])
        layer.w = layer.w * factor.reshape(-1, 1, 1, 1)
        layer.gw.scale = (layer.gw.scale * factor).astype(np.float32)
        check_layer(layer, b, qdq(b, b.contraction(layer, x, qdq(b, w, layer.gw)), layer.gy), strict)
        return
    y = b.node("Conv", [x, stored(b, layer), layer.b], pads=[1, 1, 1, 1])
    y = b.node("Relu", [b.node("BatchNormalization", [y, scale, shift, mean, variance])])
    y = qdq(b, y, layer.gy)
    levels, layer.gw.scale = layer.gw.levels(layer.w), layer.gw.scale * factor
    layer.w, layer.b = layer.gw.real(levels), layer.b * factor + (shift - mean * factor)
    check_layer(layer, b, y, strict)


def test_batch_normalization_with_a_dead_channel():
    """A factor of zero cannot be in the scale: float arithmetic on the exact sum."""
    layer = make_layer("Conv")
    scale, other = np.float32([1, 0, 2, 1, -1, 1]), np.full(6, 0.5, np.float32)
    b = Builder(17)
    y = b.node("Conv", [qdq(b, "x", layer.gx), stored(b, layer), layer.b], pads=[1, 1, 1, 1])
    y = qdq(b, b.node("BatchNormalization", [y, scale, other, other, np.ones(6, np.float32)]), Grid(np.float32(0.05), 100, 0, 255))
    from oracle import expected

    model = b.model({"x": layer.x}, {y: F32})
    got, = run(model, {"x": layer.x})
    assert np.unique(got[:, 1]) == 0.5
    steps = np.rint((got - expected(model.SerializeToString(), {"x": layer.x})[0]) / np.float32(0.05))
    assert np.abs(steps).max() <= 1 and np.mean(steps != 0) < 0.01


@STRICT
def test_scales_pass_through_movement(strict):
    """Between two convolutions: max-pool, reshape, transpose, concat of other scales, relu, a residual add."""
    layer = make_layer("Conv", channels=4)
    b = Builder(17)
    w, u = stored(b, layer), stored(b, make_layer("Conv", seed=3, channels=4))
    x = qdq(b, "x", layer.gx)
    y = qdq(b, b.contraction(layer, x, w), layer.gy)
    y = qdq(b, b.node("Add", [y, x]), Grid(np.float32(0.05), 100, 0, 255))
    y = b.node("MaxPool", [y], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    y = b.node("Relu", [y])
    y = b.node("Transpose", [b.node("Reshape", [y, np.int64([2, 4, 81])])], perm=[0, 1, 2])
    y = b.node("Reshape", [y, np.int64([2, 4, 9, 9])])
    other = b.contraction(layer, x, u)
    joined = qdq(b, b.node("Concat", [y, other], axis=1), Grid(np.float32(0.06), 0, 0, 255))
    last = make_layer("Conv", seed=5)
    v = b.node("DequantizeLinear", [np.random.default_rng(0).integers(-99, 99, (3, 8, 1, 1)).astype(np.int8), np.float32(0.01)])
    y = qdq(b, b.node("Conv", [joined, v]), Grid(np.float32(0.4), 90, 0, 255))
    assert last.op == "Conv"
    from oracle import expected

    model = b.model({"x": layer.x}, {y: F32})
    got, = run(model, {"x": layer.x}, strict)
    want, = expected(model.SerializeToString(), {"x": layer.x})
    steps = np.rint(np.abs(got - want) / np.float32(0.4))
    assert steps.max() <= 1 and np.mean(steps) < 0.01


@STRICT
@OPS
@pytest.mark.parametrize("weights", [np.int8, np.uint8, np.int16])
@pytest.mark.parametrize("activations, zero", [(np.uint16, 30000), (np.int16, -300), (np.int16, 0)])
def test_sixteen_bits(activations, zero, weights, op, strict):
    """Also of weights and of the result; sums are exact beyond 32 bits."""
    info, results = np.iinfo(activations), np.iinfo(np.uint16)
    gw = {np.int8: None, np.uint8: Grid(np.float32(0.011), 120, 0, 255), np.int16: Grid(np.float32(6e-5), 0, -32768, 32767)}[weights]
    layer = make_layer(op, gx=Grid(np.float32(0.00017), zero, info.min, info.max), gw=gw,
                       gy=Grid(np.float32(0.0003), 9, results.min, results.max))
    b = Builder(21)
    x = b.node("DequantizeLinear", [b.node("QuantizeLinear", ["x", layer.gx.scale, activations(zero)]), layer.gx.scale, activations(zero)])
    y = b.contraction(layer, x, stored(b, layer, weights))
    y = b.node("QuantizeLinear", [y, layer.gy.scale, np.uint16(9)])
    got, = run(b.model({"x": layer.x}, {y: onnx.TensorProto.UINT16}), {"x": layer.x}, strict)
    want = layer.expected()
    assert len(np.unique(want)) > 90
    assert_levels(got, want, strict)


def test_groups_of_blocks_and_of_sixteen_bits_are_verified_by_their_formulas():
    from tamis import options, verification

    random = np.random.default_rng(4)

    def integers(low, high, dtype, *shape):
        return random.integers(low, high, shape).astype(dtype)

    b = Builder(21)
    s, z = np.float32(0.02), np.uint8(128)
    x = b.node("DequantizeLinear", [b.node("QuantizeLinear", ["x", s, z]), s, z])
    # Rows are blocks of 5, 5 and 2; zero points of blocks; an int32 bias.
    w = b.node("DequantizeLinear", [integers(-90, 90, np.int8, 7, 12), random.uniform(0.01, 0.03, (7, 3)).astype(np.float32),
                                    integers(-9, 9, np.int8, 7, 3)], axis=1, block_size=5)
    bias = b.node("DequantizeLinear", [integers(-999, 999, np.int32, 7), np.float32(0.0004)])
    y = b.node("Clip", [b.node("Gemm", [x, w, bias], transB=1), np.float32(-3.14), np.float32(3.3)])
    s, z = np.float32(0.0002), np.uint16(32100)
    y = b.node("DequantizeLinear", [b.node("QuantizeLinear", [y, s, z]), s, z])
    w = b.node("DequantizeLinear", [integers(-90, 90, np.int8, 7, 5), np.float32(0.01)])
    y = b.node("QuantizeLinear", [b.node("Relu", [b.node("MatMul", [y, w])]), s, z])
    feed = {"x": random.standard_normal((9, 12)).astype(np.float32)}
    graph = b.model(feed, {y: onnx.TensorProto.UINT16})
    results = list(groups.compare_groups(graph, verification.all_values(graph, feed), options.Options(strict=True)))
    assert [group.node.op_type for group, _ in results] == ["Gemm", "MatMul"]
    assert all(result.agrees for _, result in results), results


def test_long_sums_of_sixteen_bits_stay_float_and_say_so():
    b = Builder(21)
    x = b.node("DequantizeLinear", [b.node("QuantizeLinear", ["x", np.float32(1e-4), np.int16(0)]), np.float32(1e-4), np.int16(0)])
    y = b.node("MatMul", [x, b.node("DequantizeLinear", [np.ones((33026, 1), np.int8), np.float32(1)])])
    with pytest.raises(tamis.Error, match="more products of 16 bits than 32 bits hold byte by byte"):
        tamis.compile(b.model({"x": np.ones((1, 33026), np.float32)}, {y: F32}), require_integer=True, cache="off")


@pytest.mark.parametrize("kind", ["FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "FLOAT4E2M1"])
@pytest.mark.parametrize("block, power", [(0, False), (8, False), (8, True)])
def test_small_floats(kind, block, power):
    """Weights of eight or four bits of float, also in blocks with scales that are powers of two: by the definition."""
    layer = make_layer("MatMul")
    dtype = getattr(onnx.TensorProto, kind)
    codes = helper.tensor_dtype_to_np_dtype(dtype)
    b = Builder(23)
    scale = np.exp2(np.random.default_rng(0).integers(-4, 1, (3, 6) if block else 6)).astype(np.float32)
    wide = np.repeat(scale, 8, 0) if block else scale
    w = (layer.w / wide).astype(codes)
    b.parameters["w"] = helper.make_tensor("w", dtype, w.shape, w.astype(np.float32).flatten().tolist())
    more = {"axis": 0, "block_size": block} if block else {"axis": 1}
    b.value(scale, "s")
    if power:  # Exponents alone, as in the microscaling formats.
        codes = (np.log2(scale) + 127).astype(np.uint8).tobytes()
        b.parameters["s"] = helper.make_tensor("s", onnx.TensorProto.FLOAT8E8M0, scale.shape, codes, raw=True)
        more["output_dtype"] = F32
    y = b.contraction(layer, qdq(b, "x", layer.gx), b.node("DequantizeLinear", ["w", "s"], **more))
    got, = run(b.model({"x": layer.x}, {y: F32}), {"x": layer.x}, integer=False)
    x = layer.gx.real(layer.gx.levels(layer.x))
    np.testing.assert_allclose(got, np.maximum(x @ (w.astype(np.float32) * wide) + layer.b, 0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("weights", [(-127, 127), (-8, 7)])
def test_openvino_agrees(weights, tmp_path):
    """OpenVINO itself on a model of FakeQuantize nodes. In float: its integer products saturate on machines without VNNI."""
    openvino = pytest.importorskip("openvino")
    layer = make_layer("Conv", gw=Grid(np.zeros(6), 0, *weights))
    b = Builder(17)
    w = fake_quantize(b, b.value(layer.w), layer.gw)
    y = fake_quantize(b, b.contraction(layer, fake_quantize(b, "x", layer.gx), w), layer.gy)
    model = b.model({"x": layer.x}, {y: F32})
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    hint = {"INFERENCE_PRECISION_HINT": "f32", "LP_TRANSFORMS_MODE": "NO"}
    want = next(iter(openvino.Core().compile_model(str(path), "CPU", hint)({"x": layer.x}).values()))
    got, = run(model, {"x": layer.x})
    steps = np.rint((got - want) / np.float32(layer.gy.scale))
    assert np.abs(steps).max() <= 1 and np.mean(steps != 0) < 0.01


@STRICT
def test_products_of_two_activations(strict):
    """Attention's two products with reshapes and transposes around them, softmax in float between."""
    from oracle import expected

    random = np.random.default_rng(0)
    b = Builder(17)
    heads = []
    for name in "qkv":
        y = b.node("Reshape", [qdq(b, name, Grid(np.float32(0.02), 128, 0, 255)), np.int64([2, 6, 4, 8])])
        heads.append(b.node("Transpose", [y], perm=[0, 2, 1, 3] if name != "k" else [0, 2, 3, 1]))
    scores = qdq(b, b.node("MatMul", heads[:2]), Grid(np.float32(0.1), 128, 0, 255))
    weights = qdq(b, b.node("Softmax", [scores], axis=-1), Grid(np.float32(1 / 255), 0, 0, 255))
    y = b.node("Transpose", [b.node("MatMul", [weights, heads[2]])], perm=[0, 2, 1, 3])
    y = qdq(b, b.node("Reshape", [y, np.int64([2, 6, 32])]), Grid(np.float32(0.02), 128, 0, 255))
    feed = {name: random.standard_normal((2, 6, 32)).astype(np.float32) for name in "qkv"}
    model = b.model(feed, {y: F32})
    got, = run(model, feed, strict)
    steps = np.rint((got - expected(model.SerializeToString(), feed)[0]) / np.float32(0.02))
    assert np.abs(steps).max() <= 1 and np.mean(steps != 0) < 0.02
