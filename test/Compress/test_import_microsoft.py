# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Operators that ONNX Runtime's quantizer and optimizer write give what it computes, their products in integers."""
import numpy as np
import pytest
from matrix import F32, Builder, run
from oracle import U8, Values, check, check_exact, expected, microsoft, node

import tamis

STRICT = pytest.mark.parametrize("strict", [True, False])


@STRICT
def test_a_network_of_integer_operators(strict):
    """One group after the other; the exact operators equal ONNX Runtime's, so the whole network does."""
    v = Values()
    b = Builder(17)

    def op(name, *inputs, **attributes):
        return b.node(name, inputs, domain="com.microsoft", **attributes)

    def s(scale, zero):
        return [np.float32(scale), np.uint8(zero)]

    xs, cs, adds, cats, sigs, pools = s(0.02, 120), s(0.1, 99), s(0.11, 100), s(0.12, 101), s(0.004, 0), s(0.004, 1)
    w = [v.weights(4, 4, 3, 3), v.scales(4) * 5, np.zeros(4, np.int8)]
    c = b.node("QLinearConv", ["x", *xs, *w, *cs, v.integers(np.int16, 4).astype(np.int32)], pads=[1, 1, 1, 1])
    y = op("QLinearAdd", "x", *xs, c, *cs, *adds)
    y = op("QLinearLeakyRelu", y, *adds, *adds, alpha=0.125)
    y = op("QLinearMul", y, *adds, "x", *xs, *adds)
    y = op("QLinearConcat", *cats, y, *adds, c, *cs, axis=1)
    y = op("QLinearSigmoid", y, *cats, *sigs)
    y = op("QLinearAveragePool", y, *sigs, *pools, kernel_shape=[2, 2], strides=[2, 2])
    y = op("QLinearGlobalAveragePool", y, *pools, *sigs)
    y = b.node("Reshape", [y, np.int64([2, 8])])
    g = [v.weights(8, 10), v.scales(10), np.zeros(10, np.int8), v.integers(np.int16, 10).astype(np.int32)]
    y = op("QGemm", y, *sigs, *g, np.float32(0.01), np.uint8(128))
    y = op("QLinearSoftmax", y, np.float32(0.01), np.uint8(128), np.float32(1 / 256), np.uint8(0), axis=-1, opset=17)
    x = v.integers(np.uint8, 2, 4, 8, 8)
    data = b.model({"x": x}, {y: U8})
    got, = run(data, {"x": x}, strict)
    np.testing.assert_array_equal(got, expected(data.SerializeToString(), {"x": x})[0])


def test_where():
    v = Values()
    p = {"as": np.float32(0.02), "az": np.uint8(120), "bs": np.float32(0.03), "bz": np.uint8(131), "ys": np.float32(0.05),
         "yz": np.uint8(101)}
    check_exact(microsoft("QLinearWhere", "c a as az b bs bz ys yz"),
                {"c": v.floats(4, 1, 9) > 0, "a": v.integers(np.uint8, 4, 3, 9), "b": v.integers(np.uint8, 3, 1)}, p, {"y": U8})


@STRICT
def test_products_to_floats_are_integer(strict):
    v = Values()
    b = Builder(17)
    p = [v.weights(16, 12), v.scales(12), np.zeros(12, np.int8), v.floats(12)]
    y = b.node("DynamicQuantizeMatMul", ["x", *p], domain="com.microsoft")
    z = b.node("MatMulIntegerToFloat", ["q", p[0], np.float32(0.02), p[1], np.uint8(3), p[2], p[3]], domain="com.microsoft")
    feed = {"x": v.floats(2, 5, 16), "q": v.integers(np.uint8, 2, 5, 16)}
    data = b.model(feed, {y: F32, z: F32})
    for got, want in zip(run(data, feed, strict), expected(data.SerializeToString(), feed)):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_products_of_few_bits_stay_float_and_say_so():
    v = Values()
    p = {"b": v.integers(np.uint8, 9, 3, 16), "s": v.scales(27)}
    product = microsoft("MatMulNBits", "x b s", K=70, N=9, bits=4, block_size=32)
    check(product, {"x": v.floats(2, 3, 70)}, p)
    check(microsoft("FusedMatMul", "a b", transB=1, alpha=0.5), {"a": v.floats(3, 8), "b": v.floats(5, 8)})
    b = Builder(17)
    b.nodes.append(product)
    b.parameters.update(p)
    with pytest.raises(tamis.Error, match="integer arithmetic is required"):
        tamis.compile(b.model({"x": v.floats(3, 70)}, {"y": F32}), require_integer=True, cache="off")


@pytest.mark.parametrize("bits, zeros", [(4, True), (4, False), (8, False)])
def test_gather_of_quantized_blocks(bits, zeros):
    v = Values()
    p = {"d": v.integers(np.uint8, 20, 64 * bits // 8), "s": v.scales(20, 4)}
    if zeros:
        p["z"] = v.integers(np.uint8, 20, 2)
    check_exact(microsoft("GatherBlockQuantized", "d i s z" if zeros else "d i s", bits=bits, block_size=16, quantize_axis=1),
                {"i": v.random.integers(-20, 20, (3, 5))}, p)


@pytest.mark.parametrize("mask", ["", "lengths", "keys", "pairs"])
@pytest.mark.parametrize("causal", [0, 1])
def test_quantized_attention(mask, causal):
    v = Values()
    batch, rows, hidden, heads = 2, 6, 16, 4
    p = {"w": v.weights(hidden, 3 * hidden), "b": v.floats(3 * hidden), "xs": np.float32(0.02), "ws": np.float32(0.01),
         "xz": np.uint8(120), "wz": np.int8(0)}
    feed = {"x": v.integers(np.uint8, batch, rows, hidden)}
    shape = {"": None, "lengths": (batch,), "keys": (batch, rows), "pairs": (batch, rows, rows)}[mask]
    if shape:
        feed["m"] = np.int32([4, 6]) if mask == "lengths" else v.random.integers(0, 2, shape).astype(np.int32)
        feed["m"].reshape(batch, -1)[..., 0] = max(1, feed["m"].flat[0])
    check(microsoft("QAttention", f"x w b xs ws {'m' if shape else '-'} xz wz", num_heads=heads, unidirectional=causal), feed, p,
          rtol=1e-3, atol=1e-4)


def test_quantized_attention_with_a_cache():
    v = Values()
    p = {"w": v.weights(16, 48), "b": v.floats(48), "xs": np.float32(0.02), "ws": np.float32(0.01), "xz": np.uint8(120),
         "wz": np.int8(0)}
    feed = {"x": v.integers(np.uint8, 2, 3, 16), "past": v.floats(2, 2, 4, 5, 4)}
    check(microsoft("QAttention", "x w b xs ws - xz wz past", "y present", num_heads=4, unidirectional=1), feed, p,
          {"y": F32, "present": F32}, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("rotary", [0, 1])
@pytest.mark.parametrize("past, window", [(0, -1), (7, -1), (7, 3)])
def test_group_query_attention(past, window, rotary):
    v = Values()
    batch, rows, heads, kv, size = 2, (5 if past == 0 else 1), 4, 2, 16
    feed = {"q": v.floats(batch, rows, heads * size), "k": v.floats(batch, rows, kv * size), "v": v.floats(batch, rows, kv * size),
            "pk": v.floats(batch, kv, past, size), "pv": v.floats(batch, kv, past, size)}
    total = past + rows
    p = {"n": np.full(batch, total - 1, np.int32), "t": np.int32(total)}
    names = "q k v pk pv n t"
    if rotary:
        angles = np.arange(32)[:, None] * 10000.0 ** (-np.arange(size // 2) / (size // 2))
        p |= {"c": np.cos(angles).astype(np.float32), "s": np.sin(angles).astype(np.float32)}
        names += " c s"
    more = {"local_window_size": window} if window > 0 else {}
    check(microsoft("GroupQueryAttention", names, "y key value", num_heads=heads, kv_num_heads=kv, do_rotary=rotary, **more), feed, p,
          {"y": F32, "key": F32, "value": F32}, rtol=1e-3, atol=1e-4)


def test_group_query_attention_of_packed_projections():
    v = Values()
    feed = {"q": v.floats(1, 5, 8 * 16), "pk": v.floats(1, 2, 0, 16), "pv": v.floats(1, 2, 0, 16)}
    check(microsoft("GroupQueryAttention", "q - - pk pv n t", "y key value", num_heads=4, kv_num_heads=2), feed,
          {"n": np.int32([4]), "t": np.int32(5)}, {"y": F32, "key": F32, "value": F32}, rtol=1e-3, atol=1e-4)


def test_what_is_missing_is_named():
    v = Values()
    b = Builder(17)
    b.nodes.append(node("GroupQueryAttention", "q q q - - n t", domain="com.microsoft", num_heads=3, kv_num_heads=2))
    b.parameters.update({"n": np.int32([4]), "t": np.int32(5)})
    with pytest.raises(tamis.Error, match="num_heads divisible by kv_num_heads, got 3 and 2"):
        tamis.compile(b.model({"q": v.floats(1, 5, 48)}, {"y": F32}), cache="off")
