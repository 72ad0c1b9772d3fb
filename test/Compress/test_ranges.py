# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ranges, scales and zero points that quantization chooses, and every 8-bit rounding, saturation and requantization."""
import numpy as np
import onnx
import pytest
import tamis
from onnx import TensorProto, helper, numpy_helper
from tamis.compression.session import Session

SHIFT, BINS = 17, 1 << 15


def histogram(values):
    """The statistic of that name, as Statistics.h defines it."""
    return np.bincount(np.asarray(values, np.float32).view(np.uint32) >> SHIFT, minlength=BINS).astype(np.int64)


def product(weights, bias=None, activation=None):
    """x [n, K] times weights [K, N], as ONNX bytes."""
    rows, columns = weights.shape
    nodes = [helper.make_node("Gemm" if bias is not None else "MatMul", ["x", "w"] + (["b"] if bias is not None else []), ["p"], "fc")]
    initializers = [numpy_helper.from_array(np.asarray(weights, np.float32), "w")]
    if bias is not None:
        initializers.append(numpy_helper.from_array(np.asarray(bias, np.float32), "b"))
    if activation:
        nodes.append(helper.make_node(activation, ["p"], ["y"], "act"))
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, rows])],
                              [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, [1, columns])], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()


def choose(values, method="minmax", extra="", select=""):
    """Scale and zero point of an activation that took `values`."""
    session = Session(product(np.ones((4, 2))))
    session.run(f"tamis-select-quantization{{method={method} {select}}}")
    values = np.asarray(values, np.float32)
    session.set_statistics("x", {"minmax": np.array([values.min(), values.max()], np.float32), "histogram": histogram(values)})
    session.run(f"tamis-quantize{{method={method} {extra}}}")
    entry = session.delta()["tensors"]["x"]
    zero = entry["zero_point"]
    return float(entry["scale"]), int(zero) if zero is not None else 0


def weights_of(values, select):
    session = Session(product(np.asarray(values, np.float32)))
    session.run(f"tamis-select-quantization{{weight-only=true {select}}},tamis-quantize")
    return session.delta()["weights"]["w"]


@pytest.mark.parametrize("low,high", [(-1, 1), (0, 6), (-0.17, 24), (-5, 0), (2, 3), (-3, -2), (-1e-6, 1e30)])
@pytest.mark.parametrize("select,least,most", [("", 0, 255), ("activation-unsigned=false", -128, 127),
                                               ("activation-symmetric=true", 0, 255), ("activation-bits=16", -32768, 32767),
                                               ("activation-unsigned=false activation-symmetric=true", -128, 127)])
def test_covers_what_was_seen(low, high, select, least, most):
    scale, zero = choose([low, high], select=select)
    assert least <= zero <= most
    # Half a step may be lost at either end to the zero point's rounding.
    assert (least - zero - 0.5001) * scale <= min(low, 0) and max(high, 0) <= (most - zero + 0.5001) * scale
    if "symmetric" in select:
        assert zero == (128 if least == 0 else 0)


@pytest.mark.parametrize("values", [[0, 0], [1e-42, 2e-42], [-1e-45, 0], [3e38, -3e38], [0, 3.4e38]])
def test_degenerate(values):
    scale, zero = choose(values)
    assert np.isfinite(scale) and scale >= np.finfo(np.float32).tiny and 0 <= zero <= 255


@pytest.mark.parametrize("method", ["percentile", "entropy", "mse"])
@pytest.mark.parametrize("two_sided", [True, False])
def test_outlier_is_cut(method, two_sided):
    rng = np.random.default_rng(0)
    values = rng.standard_normal(200000).astype(np.float32)
    values = np.append(values if two_sided else np.abs(values), np.float32(1000))
    scale, zero = choose(values, method, "percentile=99.9")
    whole, _ = choose(values)
    top = scale * (255 - zero)
    # A Gaussian of 200000 ends near 4.4; one far value must not decide, but MSE weighs its square.
    assert top < 1000 * (0.2 if method != "mse" else 1.01) and scale <= whole * 1.001
    if method == "percentile":
        assert 2 < top < 6


def test_mse_is_least():
    rng = np.random.default_rng(1)
    values = rng.laplace(size=20000).astype(np.float32)
    values[:5] *= 3

    def error(scale, zero):
        return np.square((np.clip(np.round(values / scale) + zero, 0, 255) - zero) * scale - values).sum()

    found, ends = error(*choose(values, "mse")), (values.min(), values.max())
    tried = [choose([ends[0] * low, ends[1] * high]) for low in np.arange(0.5, 1.01, 0.1) for high in np.arange(0.5, 1.01, 0.1)]
    assert found < error(*choose(values)) and found <= min(error(*t) for t in tried) * 1.02


def test_percentile_of_all_is_minmax():
    values = np.linspace(-1, 3, 1000)
    assert choose(values, "percentile", "percentile=100") == choose(values)


@pytest.mark.parametrize("kind,text", [("nan", "NaN or an infinity"), ("inf", "NaN or an infinity")])
def test_not_finite(kind, text):
    with pytest.raises(tamis.Error, match=text):
        choose([0.0, float(kind)], "entropy")


@pytest.mark.parametrize("bits,unsigned,symmetric", [(8, 0, 1), (8, 1, 0), (4, 0, 1), (4, 1, 0), (3, 0, 1), (2, 0, 1), (1, 0, 1), (8, 0, 0)])
@pytest.mark.parametrize("select", ["per-channel=false", "", "block=8"])
def test_zero_weights_stay_zero(bits, unsigned, symmetric, select):
    rng = np.random.default_rng(bits)
    values = rng.standard_normal((32, 6)).astype(np.float32) + 0.3
    values[rng.random(values.shape) < 0.5] = 0
    values[:, 2] = 0
    w = weights_of(values, f"weight-bits={bits} weight-unsigned={bool(unsigned)} weight-symmetric={bool(symmetric)} {select}".lower())
    scale, zero = np.asarray(w["scale"]), np.asarray(w["zero_point"] if w["zero_point"] is not None else 0).astype(int)
    if "block" in select:
        assert w["block"] == 8 and scale.shape == (4, 6)
        scale, zero = np.repeat(scale, 8, 0), np.repeat(zero, 8, 0) if zero.ndim else zero
    back = (w["values"].astype(int) - zero) * scale
    assert (back[values == 0] == 0).all()
    span = (0, 2 ** bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if bits > 1 else (-1, 1)
    assert span[0] <= w["values"].min() and w["values"].max() <= span[1]
    assert w["dtype"] == f"{'u' if unsigned else ''}int{max(bits, 2)}"
    if bits >= 4:
        assert np.abs(back - values).max() <= np.broadcast_to(scale, values.shape).max() * (0.51 if bits == 8 else 4)


def test_bias_of_a_dying_channel():
    """Weights that are next to nothing give way to the bias beside them."""
    session = Session(product(np.array([[1.0, 1e-20]] * 4), np.array([1.0, 3.0])))
    session.run("tamis-select-quantization")
    session.set_statistics("x", {"minmax": np.array([0, 1], np.float32)})
    session.run("tamis-quantize")
    b = session.delta()["weights"]["b"]
    assert b["dtype"] == "int32"
    np.testing.assert_allclose(b["values"] * b["scale"], [1.0, 3.0], rtol=1e-4)


def _tensor(name, array):
    return numpy_helper.from_array(array, name)


def _round_trip(unsigned, scale, zero):
    """QuantizeLinear with these parameters, as a compiled model."""
    dtype = np.uint8 if unsigned else np.int8
    graph = helper.make_graph([helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"])], "g",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None])],
                              [helper.make_tensor_value_info("q", TensorProto.UINT8 if unsigned else TensorProto.INT8, [None])],
                              [_tensor("s", np.float32(scale)), _tensor("z", dtype(zero))])
    return tamis.compile(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8))


@pytest.mark.parametrize("unsigned,zero", [(True, 0), (True, 128), (True, 255), (False, 0), (False, -128), (False, 127), (False, 3)])
@pytest.mark.parametrize("scale", [1.0, 0.1, 0.007874016])
def test_every_rounding_and_saturation(unsigned, zero, scale):
    """Every quarter step and its neighbours, far beyond both ends, infinities and NaN."""
    scale = np.float32(scale)
    steps = np.arange(-600, 600, 0.25, np.float32) * scale
    x = np.concatenate([steps, np.nextafter(steps, np.float32(np.inf)), np.nextafter(steps, np.float32(-np.inf)),
                        np.array([np.inf, -np.inf, np.nan, 3e38, -3e38, 1e-45], np.float32)])
    low, high = (0, 255) if unsigned else (-128, 127)
    with np.errstate(all="ignore"):
        units = np.clip((x / scale).astype(np.float32), np.float32(low - zero), np.float32(high - zero))
    want = np.rint(np.where(np.isnan(x), low - zero, units)).astype(int) + zero
    got = _round_trip(unsigned, scale, zero).run(None, {"x": x})[0].astype(int)
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("zero", [0, 7])
@pytest.mark.parametrize("relu", [False, True])
def test_every_requantization(zero, relu):
    """All products of 8-bit integers, with a bias: requantize_n1 bit for bit."""
    a = np.arange(256, dtype=np.uint8).reshape(256, 1)
    w = np.arange(-128, 128).astype(np.int8).reshape(1, 256)
    bias = ((np.arange(256) * 37) % 1001 - 500).astype(np.int32)
    sx, sw, sy = np.float32(0.031), np.float32(0.013), np.float32(0.05)
    nodes = [helper.make_node("DequantizeLinear", ["a", "sx", "zx"], ["x"]), helper.make_node("DequantizeLinear", ["w", "sw"], ["wf"]),
             helper.make_node("DequantizeLinear", ["b", "sb"], ["bf"]), helper.make_node("Gemm", ["x", "wf", "bf"], ["p"])]
    if relu:
        nodes.append(helper.make_node("Relu", ["p"], ["r"]))
    nodes.append(helper.make_node("QuantizeLinear", ["r" if relu else "p", "sy", "zy"], ["q"]))
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("a", TensorProto.UINT8, [256, 1])],
                              [helper.make_tensor_value_info("q", TensorProto.UINT8, [256, 256])],
                              [_tensor("sx", sx), _tensor("zx", np.uint8(100)), _tensor("sw", sw), _tensor("sb", sx * sw), _tensor("w", w),
                               _tensor("b", bias), _tensor("sy", sy), _tensor("zy", np.uint8(zero))])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    total = (a.astype(np.int32) - 100) @ w.astype(np.int32) + bias
    units = total.astype(np.float32) * ((sx * sw) / sy)
    want = np.clip(np.rint(np.maximum(units, 0) if relu else units) + zero, 0, 255).astype(np.uint8)
    compiled = tamis.compile(model, strict=True, require_integer=True)
    np.testing.assert_array_equal(compiled.run(None, {"a": a})[0], want)
