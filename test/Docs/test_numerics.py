# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The rules of docs/Numerics.md, each by values in a test that has its label as name."""
import os
import re

import numpy as np
import onnx
import tamis
from onnx import helper, numpy_helper

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
F = np.float32


def dtype(array):
    return helper.np_dtype_to_tensor_dtype(np.asarray(array).dtype)


def run(nodes, feed, weights=None, outputs=1, strict=False, threads=1, opset=19):
    """The outputs y (y0, y1, ...) of a graph on `feed`."""
    names = ["y"] if outputs == 1 else [f"y{i}" for i in range(outputs)]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info(n, dtype(a), a.shape) for n, a in feed.items()],
                              [onnx.ValueInfoProto(name=n) for n in names],
                              [numpy_helper.from_array(np.asarray(a), n) for n, a in (weights or {}).items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)], ir_version=10)
    got = tamis.compile(onnx.shape_inference.infer_shapes(model), strict=strict, threads=threads, cache="off").run(None, feed)
    return got[0] if outputs == 1 else got


def saturate(value, kind):
    info = np.iinfo(kind)
    return np.clip(value, info.min, info.max).astype(kind)


def quantized(x, scale, zero):
    return saturate(np.rint((x / F(scale)).astype(F)).astype(np.int64) + int(zero), np.asarray(zero).dtype)


def test_quantize_n1():
    ties = np.arange(-600, 600, dtype=F) / 2
    rest = np.random.default_rng(0).uniform(-400, 400, 1000).astype(F)
    x = np.concatenate([ties, rest, [3e38, -3e38, np.inf, -np.inf]]).astype(F)
    for zero in (np.int8(0), np.int8(-7), np.uint8(128), np.uint8(0)):
        for scale in (F(1), F(0.1)):
            got = run([helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])], {"x": x}, {"s": scale, "z": zero})
            with np.errstate(invalid="ignore"):
                want = quantized(np.clip(x, -1e6, 1e6), scale, zero)
            np.testing.assert_array_equal(got, want)


def test_quantize_n2():
    x = np.array([np.nan, 1], F)
    got = run([helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])], {"x": x}, {"s": F(1), "z": np.int8(0)})
    assert got.tolist() == [-128, 1]


def test_dequantize_n1():
    q = np.arange(-128, 128).astype(np.int8)
    scale, zero = F(0.3), np.int8(-128)
    got = run([helper.make_node("DequantizeLinear", ["x", "s", "z"], ["y"])], {"x": q}, {"s": scale, "z": zero})
    np.testing.assert_array_equal(got, (q.astype(np.int32) + 128).astype(F) * scale)


def test_decode_n1():
    text = """
func.func @main(%q: tensor<256xi8>, %h: tensor<256xf16>, %c: tensor<200xf32>, %s: tensor<f32>) -> (tensor<256xf32>, tensor<256xf32>) {
  %x = tamis.decode %q codebook(%c : tensor<200xf32>) scale(%s : tensor<f32>) : tensor<256xi8> -> tensor<256xf32>
  %y = tamis.decode %h : tensor<256xf16> -> tensor<256xf32>
  return %x, %y : tensor<256xf32>, tensor<256xf32>
}"""
    compiled, random = tamis.compile(text, cache="off"), np.random.default_rng(0)
    q, codebook, scale = np.arange(256).astype(np.uint8), random.standard_normal(200).astype(F), np.array(0.3, F)
    halves = random.standard_normal(256).astype(np.float16)
    feed = dict(zip([i.name for i in compiled.get_inputs()], (q.view(np.int8), halves, codebook, scale)))
    decoded, widened = compiled.run(None, feed)
    np.testing.assert_array_equal(decoded, codebook[np.minimum(q, 199)] * scale)
    np.testing.assert_array_equal(widened, halves.astype(F))


def test_dequantize_n2():
    rng = np.random.default_rng(5)
    q, scale = rng.integers(0, 16, (64, 7)).astype(np.uint8), rng.random((2, 7)).astype(F)
    offset = rng.standard_normal((2, 1, 7)).astype(F)
    nodes = [helper.make_node("DequantizeLinear", ["x", "s"], ["d"], axis=0, block_size=32),
             helper.make_node("Reshape", ["d", "blocks"], ["b"]), helper.make_node("Add", ["b", "o"], ["a"]),
             helper.make_node("Reshape", ["a", "whole"], ["y"])]
    got = run(nodes, {"x": q}, {"s": scale, "o": offset, "blocks": np.array([2, 32, 7]), "whole": np.array([64, 7])}, opset=21)
    products = q.reshape(2, 32, 7).astype(F) * scale[:, None]
    np.testing.assert_array_equal(got, (products + offset).reshape(64, 7))


def integers(seed, kind, *shape):
    info = np.iinfo(kind)
    return np.random.default_rng(seed).integers(info.min, info.max, shape, endpoint=True).astype(kind)


def test_contract_n1():
    for left in (np.int8, np.uint8):
        for right in (np.int8, np.uint8):
            a, b = integers(1, left, 7, 67), integers(2, right, 67, 33)
            za, zb = left(5), right(100)
            got = run([helper.make_node("MatMulInteger", ["a", "b", "za", "zb"], ["y"])], {"a": a}, {"b": b, "za": za, "zb": zb})
            want = (a.astype(np.int64) - int(za)) @ (b.astype(np.int64) - int(zb))
            np.testing.assert_array_equal(got, want.astype(np.int32))
    extremes = np.full((1, 64), 255, np.uint8), np.full((64, 16), -128, np.int8)
    got = run([helper.make_node("MatMulInteger", ["a", "b"], ["y"])], {"a": extremes[0]}, {"b": extremes[1]})
    assert (got == 64 * 255 * -128).all()


def test_contract_n2():
    """Sums that need more than 32 bits, and round otherwise if a part of them is rounded before."""
    a, b = integers(7, np.int16, 33, 300), integers(8, np.int16, 300, 17)
    nodes = [helper.make_node("DequantizeLinear", ["a", "s", "z"], ["x"]), helper.make_node("DequantizeLinear", ["b", "s"], ["w"]),
             helper.make_node("MatMul", ["x", "w"], ["y"])]
    got = run(nodes, {"a": a}, {"b": b, "s": F(1), "z": np.int16(-129)}, opset=21)
    want = (a.astype(np.int64) + 129) @ b.astype(np.int64)
    assert np.abs(want).max() > 2 ** 33
    np.testing.assert_array_equal(got, want.astype(F))


def test_contract_n3():
    a, b, zero = integers(9, np.uint8, 13, 96), integers(10, np.int8, 96, 40), np.uint8(117)
    scales = np.random.default_rng(11).uniform(0.001, 10, (6, 40)).astype(F)
    nodes = [helper.make_node("DequantizeLinear", ["a", "s", "z"], ["x"]),
             helper.make_node("DequantizeLinear", ["b", "t"], ["w"], axis=0, block_size=16), helper.make_node("MatMul", ["x", "w"], ["y"])]
    got = run(nodes, {"a": a}, {"b": b, "s": F(0.013), "t": scales, "z": zero}, opset=21, strict=True)
    want = np.zeros((13, 40), F)
    for block in range(6):
        at = slice(block * 16, block * 16 + 16)
        exact = (a[:, at].astype(np.int64) - int(zero)) @ b[at].astype(np.int64)
        want = want + exact.astype(F) * (F(0.013) * scales[block])
    np.testing.assert_array_equal(got, want)


def test_contract_n4():
    """Also: weights of 4 bits around a zero point of 8."""
    a, b = np.random.default_rng(9).standard_normal((5, 96)).astype(F), integers(10, np.uint8, 40, 6, 8)
    scales = np.random.default_rng(11).uniform(0.001, 10, (40, 6)).astype(F)
    node = helper.make_node("MatMulNBits", ["a", "b", "s"], ["y"], domain="com.microsoft", K=96, N=40, bits=4, block_size=16,
                            accuracy_level=4)
    got = run([node], {"a": a}, {"b": b, "s": scales.reshape(-1)}, strict=True)
    w = np.stack([b & 15, b >> 4], -1).reshape(40, 6, 16).astype(np.int64) - 8
    want = np.zeros((5, 40), F)
    for block in range(6):
        x = a[:, block * 16:block * 16 + 16]
        scale = (np.abs(x).max(1) * F(1 / 127)).astype(F)
        exact = np.clip(np.rint((x / scale[:, None]).astype(F)), -128, 127).astype(np.int64) @ w[:, block].T
        want = want + exact.astype(F) * (scale[:, None] * scales[:, block])
    np.testing.assert_array_equal(got, want)


def requantized():
    x, w, bias = integers(3, np.uint8, 1, 8, 6, 6), integers(4, np.int8, 16, 8, 3, 3), np.arange(-800, 800, 100).astype(np.int32)
    xs, ws, ys, xz, yz = F(0.021), np.linspace(0.003, 0.02, 16).astype(F), F(0.37), np.uint8(121), np.uint8(113)
    padded = np.pad(x.astype(np.int64) - int(xz), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
    acc = np.einsum("nchwij,ocij->nohw", windows, w.astype(np.int64)) + bias[None, :, None, None]
    scaled = acc.astype(np.int32).astype(F) * ((xs * ws) / ys)[None, :, None, None]
    want = saturate(np.rint(scaled).astype(np.int64) + int(yz), np.uint8)
    return x, dict(w=w, b=bias, xs=xs, ws=ws, ys=ys, xz=xz, yz=yz, wz=np.zeros(16, np.int8)), want


QDQ = [helper.make_node("DequantizeLinear", ["x", "xs", "xz"], ["xd"]),
       helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=0),
       helper.make_node("DequantizeLinear", ["b", "bs"], ["bd"], axis=0),
       helper.make_node("Conv", ["xd", "wd", "bd"], ["c"], pads=[1, 1, 1, 1]),
       helper.make_node("QuantizeLinear", ["c", "ys", "yz"], ["y"])]


def test_requantize_n1():
    x, weights, want = requantized()
    got = run([helper.make_node("QLinearConv", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"], ["y"], pads=[1, 1, 1, 1])],
              {"x": x}, weights)
    np.testing.assert_array_equal(got, want)
    weights["bs"] = weights["xs"] * weights["ws"]
    np.testing.assert_array_equal(run(QDQ, {"x": x}, weights), want)


def test_requantize_n2():
    """Sums so large that a fused step, or one in float64, would round differently somewhere."""
    a, b = integers(5, np.uint8, 64, 256), integers(6, np.int8, 256, 64)
    scales = dict(sa=F(0.0123), sb=F(0.0456), sy=F(1.71), za=np.uint8(3), zb=np.int8(0), zy=np.uint8(77))
    got = run([helper.make_node("QLinearMatMul", ["a", "sa", "za", "b", "sb", "zb", "sy", "zy"], ["y"])], {"a": a}, {"b": b, **scales})
    acc = (a.astype(np.int64) - 3) @ b.astype(np.int64)
    scaled = acc.astype(F) * ((scales["sa"] * scales["sb"]) / scales["sy"])
    np.testing.assert_array_equal(got, saturate(np.rint(scaled).astype(np.int64) + 77, np.uint8))


def test_fold_n1():
    q = np.arange(256).astype(np.uint8)
    nodes = [helper.make_node("DequantizeLinear", ["x", "s", "z"], ["d"]), helper.make_node("QuantizeLinear", ["d", "s", "z"], ["y"])]
    np.testing.assert_array_equal(run(nodes, {"x": q}, {"s": F(0.1), "z": np.uint8(9)}), q)


def test_float_n1():
    x = np.random.default_rng(7).standard_normal((3, 1000)).astype(F)
    x[0, :3] = 1e-40, -1e-42, 1e-45
    nodes = [helper.make_node("Mul", ["a", "b"], ["p"]), helper.make_node("Add", ["p", "c"], ["s"]),
             helper.make_node("Div", ["s", "b"], ["y"])]
    a, b, c = x
    np.testing.assert_array_equal(run(nodes, {"a": a, "b": b, "c": c}), (a * b + c) / b)


def test_float_n2():
    rng = np.random.default_rng(8)
    a, b = rng.standard_normal((9, 300)).astype(F), rng.standard_normal((300, 17)).astype(F)
    got = run([helper.make_node("MatMul", ["a", "b"], ["y"])], {"a": a}, {"b": b})
    exact = a.astype(np.float64) @ b.astype(np.float64)
    bound = 300 * np.finfo(F).eps * (np.abs(a).astype(np.float64) @ np.abs(b))
    assert (np.abs(got - exact) <= bound).all()


def test_float_n3():
    x = np.random.default_rng(9).standard_normal((5, 1000)).astype(F)
    got = run([helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)], {"x": x}, {"axes": np.array([1])}, strict=True)
    want = np.zeros(5, F)
    for column in x.T:
        want = want + column
    np.testing.assert_array_equal(got, want)


def test_float_n4():
    x = np.concatenate([np.linspace(-20, 20, 4001), [np.inf, -np.inf, np.nan, 0.0, -0.0]]).astype(F)
    names = {"Exp": np.exp, "Tanh": np.tanh, "Sin": np.sin, "Cos": np.cos}
    nodes = [helper.make_node(op, ["x"], [f"y{i}"]) for i, op in enumerate(names)]
    for got, (op, function) in zip(run(nodes, {"x": x}, outputs=len(names)), names.items()):
        with np.errstate(all="ignore"):
            want = function(x.astype(np.float64))
            ulp = np.spacing(np.abs(want.astype(F)))
            wrong = ~((np.abs(got - want) <= 3.5 * ulp) | (got == want) | (np.isnan(got) & np.isnan(want)))
        assert not wrong.any(), (op, x[wrong][:3], got[wrong][:3], want[wrong][:3])


def test_float_n6():
    rng = np.random.default_rng(11)
    x, w = rng.standard_normal((1, 64, 16, 16)).astype(F), rng.standard_normal((64, 64, 3, 3)).astype(F)
    convolution = [helper.make_node("Conv", ["x", "w"], ["y"])]
    padded = x.astype(np.float64)
    exact = sum(np.einsum("nchw,kc->nkhw", padded[:, :, i:i + 14, j:j + 14], w[:, :, i, j]) for i in range(3) for j in range(3))
    error, plain = (np.sqrt(np.mean((run(convolution, {"x": x}, {"w": w}, strict=strict) - exact) ** 2)) for strict in (False, True))
    assert plain < error < 5 * plain, (error, plain)
    x[0, 0, 6, 6] = np.inf
    reached = ~np.isfinite(run(convolution, {"x": x}, {"w": w})).all(axis=(0, 1))
    tiles = np.zeros((14, 14), bool)
    tiles[4:8, 4:8] = True
    np.testing.assert_array_equal(reached, tiles)
    windows = np.zeros((14, 14), bool)
    windows[4:7, 4:7] = True
    np.testing.assert_array_equal(~np.isfinite(run(convolution, {"x": x}, {"w": w}, strict=True)).all(axis=(0, 1)), windows)


def test_float_n5():
    x = np.random.default_rng(10).standard_normal((4, 64)).astype(np.float16)
    w = np.random.default_rng(11).standard_normal((64, 16)).astype(np.float16)
    got = run([helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": x}, {"w": w})
    want = x.astype(np.float64) @ w.astype(np.float64)
    assert got.dtype == np.float16
    assert (np.abs(got - want) <= 0.51 * np.spacing(np.abs(want).astype(np.float16)).astype(np.float64) + 1e-4).all()


def test_fold_n2():
    x = np.random.default_rng(12).standard_normal(500).astype(F)
    nodes = [helper.make_node("Mul", ["x", "k"], ["m"]), helper.make_node("Add", ["m", "x"], ["a"]),
             helper.make_node("QuantizeLinear", ["a", "s", "z"], ["q"]), helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"])]
    weights = {"k": F(1.1), "s": F(0.02), "z": np.uint8(128)}
    at_run_time = run(nodes, {"x": x}, weights)
    folded = run(nodes, {"unused": x[:1]}, {**weights, "x": x})
    np.testing.assert_array_equal(at_run_time, folded)


def test_run_n1():
    rng = np.random.default_rng(13)
    x, w = rng.standard_normal((200, 300)).astype(F), rng.standard_normal((300, 200)).astype(F)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["p"]), helper.make_node("Softmax", ["p"], ["y"])]
    one, two = (run(nodes, {"x": x}, {"w": w}, threads=n) for n in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_run_n2():
    x, i = np.arange(10, dtype=F), np.array([3, 1000000], np.int64)
    try:
        run([helper.make_node("Gather", ["x", "i"], ["y"])], {"x": x, "i": i})
    except tamis.Error as error:
        assert "out of range" in str(error)
    else:
        raise AssertionError("an index out of range was not reported")


def test_every_rule_has_a_test():
    with open(os.path.join(ROOT, "docs", "Numerics.md"), encoding="utf8") as file:
        labels = set(re.findall(r"^- \*\*(\w+)\*\*", file.read(), re.M))
    tests = {name.removeprefix("test_") for name in globals() if re.fullmatch(r"test_\w+_n\d", name)}
    assert labels == tests
    for folder in ("include", "lib"):
        for parent, _, names in os.walk(os.path.join(ROOT, folder)):
            for name in names:
                with open(os.path.join(parent, name), encoding="utf8") as file:
                    for label in re.findall(r"\b(?:quantize|dequantize|contract|requantize|fold|float|run)_n\d\b", file.read()):
                        assert label in labels, f"{name} names the rule {label}"
