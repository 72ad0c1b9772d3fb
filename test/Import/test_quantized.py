# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Quantized operators equal ONNX Runtime's bit for bit."""
import numpy as np
import pytest
from oracle import F32, I8, I32, U8, Values, check, check_exact, microsoft, node

DTYPES = pytest.mark.parametrize("dtype, weights", [(np.uint8, np.int8), (np.uint8, np.uint8), (np.int8, np.int8)])
# Scales whose quotients are exact or near ties, with odd and even zero points.
TIES = [(0.02, 0.03, 0.05, 100), (0.5, 0.25, 1.0, 101), (0.1, 0.2, 0.4, 101), (0.013, 0.027, 0.031, 103)]


def result(dtype):
    return {"y": U8 if dtype == np.uint8 else I8}


def weight_zero(dtype):
    return dtype(0 if dtype == np.int8 else 127)


def parameters(dtype, **more):
    low = np.iinfo(dtype).min
    return {"xs": np.float32(0.02), "xz": dtype(low + 120), "ys": np.float32(0.05), "yz": dtype(low + 100), **more}


@DTYPES
def test_qlinear_conv(dtype, weights):
    v = Values()
    p = parameters(dtype, w=v.weights(6, 4, 3, 3, dtype=weights), ws=v.scales(6), wz=np.full(6, weight_zero(weights)),
                   b=v.integers(np.int16, 6).astype(np.int32))
    check_exact(node("QLinearConv", "x xs xz w ws wz ys yz b", pads=[1, 1, 1, 1], group=2, strides=[2, 1]),
                {"x": v.integers(dtype, 1, 8, 9, 9)}, p, result(dtype))


@DTYPES
def test_qlinear_matmul(dtype, weights):
    v = Values()
    p = parameters(dtype, w=v.weights(16, 12, dtype=weights), ws=v.scales(12), wz=np.full(12, weight_zero(weights)))
    p["ys"] = np.float32(0.4)
    check_exact(node("QLinearMatMul", "x xs xz w ws wz ys yz"), {"x": v.integers(dtype, 3, 5, 16)}, p, result(dtype))


@DTYPES
def test_qgemm(dtype, weights):
    v = Values()
    p = parameters(dtype, w=v.weights(12, 16, dtype=weights), ws=v.scales(12), wz=np.full(12, weight_zero(weights)),
                   c=v.integers(np.int16, 12).astype(np.int32))
    p["ys"] = np.float32(0.4)
    check_exact(microsoft("QGemm", "x xs xz w ws wz c ys yz", transB=1, alpha=1.5), {"x": v.integers(dtype, 5, 16)}, p,
                result(dtype))


@pytest.mark.parametrize("a, b, y, zero", TIES)
@pytest.mark.parametrize("op", ["QLinearAdd", "QLinearMul"])
def test_binary(op, a, b, y, zero):
    v = Values()
    p = {"as": np.float32(a), "az": np.uint8(120), "bs": np.float32(b), "bz": np.uint8(131), "ys": np.float32(y),
         "yz": np.uint8(zero)}
    check_exact(microsoft(op, "a as az b bs bz ys yz"),
                {"a": v.integers(np.uint8, 2, 16, 33, 17), "b": v.integers(np.uint8, 16, 33, 17)}, p, {"y": U8})


@pytest.mark.parametrize("a, b, y, zero", TIES)
@pytest.mark.parametrize("op, attributes", [
    ("QLinearLeakyRelu", dict(alpha=0.25)), ("QLinearSigmoid", {}), ("QLinearGlobalAveragePool", {}),
    ("QLinearAveragePool", dict(kernel_shape=[3, 2], pads=[1, 0, 1, 1], strides=[2, 1])),
    ("QLinearAveragePool", dict(kernel_shape=[3, 2], pads=[1, 0, 1, 1], strides=[3, 2], ceil_mode=1))])
def test_unary(op, attributes, a, b, y, zero):
    v = Values()
    p = {"xs": np.float32(a), "xz": np.uint8(120), "ys": np.float32(y), "yz": np.uint8(zero)}
    check_exact(microsoft(op, "x xs xz ys yz", **attributes), {"x": v.integers(np.uint8, 2, 16, 33, 17)}, p, {"y": U8})


def test_concat():
    v = Values()
    p = {"as": np.float32(0.02), "az": np.uint8(120), "bs": np.float32(0.03), "bz": np.uint8(131), "ys": np.float32(0.05),
         "yz": np.uint8(101)}
    check_exact(microsoft("QLinearConcat", "ys yz a as az b bs bz", axis=1),
                {"a": v.integers(np.uint8, 2, 3, 9), "b": v.integers(np.uint8, 2, 4, 9)}, p, {"y": U8})


def test_integer_products():
    v = Values()
    check_exact(node("ConvInteger", "x w xz wz", pads=[1, 1, 1, 1]), {"x": v.integers(np.uint8, 1, 4, 7, 7)},
                {"w": v.weights(6, 4, 3, 3, dtype=np.uint8), "xz": np.uint8(100), "wz": np.uint8(120)}, {"y": I32})
    check_exact(node("MatMulInteger", "x w xz wz"), {"x": v.integers(np.uint8, 3, 4, 7)},
                {"w": v.weights(7, 5), "xz": np.uint8(100), "wz": v.integers(np.int8, 5)}, {"y": I32})


def test_dynamic_quantization():
    v = Values()
    outputs = {"y": U8, "s": F32, "z": U8}
    for open_dims in (False, True):
        check_exact(node("DynamicQuantizeLinear", "x", "y s z"), {"x": v.floats(33, 77)}, None, outputs, open_dims=open_dims)
    check_exact(node("DynamicQuantizeLinear", "x", "y s z"), {"x": np.zeros((3, 4), np.float32)}, None, outputs)


def test_products_of_integers_to_floats():
    v = Values()
    p = {"w": v.weights(16, 12), "ws": v.scales(12), "wz": v.integers(np.int8, 12), "b": v.floats(12)}
    check(microsoft("MatMulIntegerToFloat", "x w xs ws xz wz b"), {"x": v.integers(np.uint8, 2, 5, 16)},
          {"xs": np.float32(0.02), "xz": np.uint8(3), **p})
    check(microsoft("DynamicQuantizeMatMul", "x w ws wz b"), {"x": v.floats(2, 5, 16)}, p)


@pytest.mark.parametrize("bits, block, zeros", [(4, 32, True), (4, 16, False), (8, 32, True), (4, 32, "float")])
def test_matmul_of_packed_weights(bits, block, zeros):
    v = Values()
    k, n = 70, 9
    blocks = -(-k // block)
    p = {"b": v.integers(np.uint8, n, blocks, block * bits // 8), "s": v.scales(n * blocks)}
    if zeros == "float":
        p["z"] = 7 + v.floats(n * blocks)
    elif zeros:
        p["z"] = v.integers(np.uint8, n * ((blocks * bits + 7) // 8))
    check(microsoft("MatMulNBits", "x b s z" if zeros else "x b s", K=k, N=n, bits=bits, block_size=block),
          {"x": v.floats(2, 3, k)}, p)


@pytest.mark.parametrize("name", ["FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "FLOAT4E2M1"])
def test_small_floats_convert_as_in_onnx(name):
    import onnx
    import tamis
    from oracle import model

    dtype = getattr(onnx.TensorProto, name)
    exponents = np.exp2(np.arange(-20, 18, 0.37)).astype(np.float32)
    x = np.concatenate([exponents, -exponents, np.float32([0.0, -0.0, np.nan, np.inf, -np.inf])])
    compiled = tamis.compile(model([node("Cast", "x", "c", to=dtype), node("Cast", "c", "y", to=F32)], {"x": x}, opset=23))
    kind = onnx.helper.tensor_dtype_to_np_dtype(dtype)
    largest = np.float32(onnx.numpy_helper.saturate_cast(np.float32([1e30]), kind)[0])
    want = np.where(np.isnan(x), x, np.clip(x, -largest, largest)).astype(kind).astype(np.float32)
    np.testing.assert_array_equal(compiled.run(None, {"x": x})[0], want)


@pytest.mark.parametrize("dtype", ["UINT4", "INT4", "UINT2", "INT2"])
def test_narrow_integers_quantize_and_return(dtype):
    import onnx
    import tamis
    from oracle import model

    v = Values()
    x = 3 * v.floats(6, 5)
    scale = v.scales(6) * 50
    to = getattr(onnx.TensorProto, dtype)
    compiled = tamis.compile(model([node("QuantizeLinear", "x s", "q", axis=0, output_dtype=to),
                                    node("DequantizeLinear", "q s", axis=0)], {"x": x}, {"s": scale}, opset=25))
    bits, signed = int(dtype[-1]), dtype[0] == "I"
    low, high = (-2 ** (bits - 1), 2 ** (bits - 1) - 1) if signed else (0, 2 ** bits - 1)
    want = np.clip(np.rint(x / scale[:, None]), low, high) * scale[:, None]
    np.testing.assert_array_equal(compiled.run(None, {"x": x})[0], want.astype(np.float32))
