# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""float16 models on devices: tensor cores, emulated, multiply them as they are; others widen them. Beside ONNX Runtime."""
import numpy as np
import onnx
import pytest
import tamis
from Import.oracle import Values, expected, model, node
from support import vulkan

F16 = onnx.TensorProto.FLOAT16


def half(v, *shape):
    return (v.floats(*shape) / 2).astype(np.float16)


def check(nodes, inputs, parameters, tensor, lanes="lane_fma"):
    """Both targets are within the rounding of float16, and take these instructions for the first contraction."""
    if vulkan.missing():
        pytest.skip(vulkan.missing())
    data = model(nodes, inputs, parameters, {"y": F16})
    want, = expected(data, inputs)
    for target, instruction in (("vulkan,mma", tensor), ("vulkan", lanes)):
        compiled = tamis.compile(data, cache="off", target=target)
        got, = compiled.run(None, inputs)
        assert got.dtype == want.dtype and got.shape == want.shape
        # The model rounds after each operation: a few steps of 2^-11 of the largest.
        np.testing.assert_allclose(got.astype(np.float64), want.astype(np.float64), rtol=0, atol=2e-3 * np.abs(want).max(), err_msg=target)
        assert compiled.report()["layers"][0]["instruction"] == instruction


def test_matmul():
    v = Values()
    for rows, depth, columns in ((1, 4, 1), (9, 33, 17), (37, 130, 70)):
        check([node("MatMul", "x w", "t"), node("Add", "t b", "u"), node("Relu", "u")], {"x": half(v, rows, depth)},
              {"w": half(v, depth, columns), "b": half(v, columns)}, "mma_f16")


def test_gemm():
    v = Values()
    check(node("Gemm", "x w b", transB=1, alpha=0.5), {"x": half(v, 11, 64)}, {"w": half(v, 40, 64), "b": half(v, 40)}, "mma_f16")


def test_windows():
    v = Values()
    check([node("Conv", "x w b", "t", pads=[1] * 4, strides=[2, 2]), node("Relu", "t")], {"x": half(v, 2, 16, 9, 7)},
          {"w": half(v, 20, 16, 3, 3), "b": half(v, 20)}, "mma_f16")


def test_activations():
    """Attention: neither operand is constant."""
    v = Values()
    inputs = {"q": half(v, 2, 3, 19, 16), "k": half(v, 2, 3, 16, 23), "v": half(v, 2, 3, 23, 16)}
    check([node("MatMul", "q k", "s"), node("Softmax", "s", "p"), node("MatMul", "p v")], inputs, {}, "mma_f16")


def test_depthwise_takes_no_fragment():
    v = Values()
    check(node("Conv", "x w", pads=[1] * 4, group=8), {"x": half(v, 1, 8, 9, 7)}, {"w": half(v, 8, 1, 3, 3)}, "none", "none")


def test_sums_are_float32():
    """4096 products of 1: float16 sums would stop at 2048."""
    x, w = np.ones((8, 4096), np.float16), np.ones((4096, 16), np.float16)
    if vulkan.missing():
        pytest.skip(vulkan.missing())
    got, = tamis.compile(model(node("MatMul", "x w"), {"x": x}, {"w": w}, {"y": F16}), cache="off", target="vulkan,mma").run(None, {"x": x})
    np.testing.assert_array_equal(got, np.full((8, 16), 4096, np.float16))


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
