# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""bfloat16 models on devices: tensor cores, emulated, multiply them as they are. ONNX Runtime's CPU has no such products, so they are
computed here: float32, rounded where the model stores."""
import ml_dtypes
import numpy as np
import onnx
import pytest
import tamis
from Import.oracle import Values, model, node
from support import vulkan

B16, F32 = onnx.TensorProto.BFLOAT16, onnx.TensorProto.FLOAT


def rounded(value):
    return value.astype(ml_dtypes.bfloat16).astype(np.float32)


def check(nodes, feed, parameters, want, instruction):
    """`nodes` make r of xb; x is rounded on the way in. On a device without such fragments every kernel is there all the same."""
    if vulkan.missing():
        pytest.skip(vulkan.missing())
    casts = [node("Cast", name, f"{name}b", to=B16) for name in feed]
    stored = {name: value.astype(ml_dtypes.bfloat16) for name, value in parameters.items()}
    data = model([*casts, *nodes, node("Cast", "r", to=F32)], feed, stored)
    for target, expected in (("vulkan,mma", instruction), ("vulkan", "none"), ("native", None)):
        compiled = tamis.compile(data, cache="off", target=target)
        got, = compiled.run(None, feed)
        # One step of the largest: sums of another order round to a neighbour.
        np.testing.assert_allclose(got, want, rtol=0, atol=2 ** -8 * np.abs(want).max(), err_msg=target)
        assert (got == want).mean() > 0.9, target
        if expected:
            assert compiled.report()["layers"][0]["instruction"] == expected
            assert compiled.report()["device"]["host"] == []


def test_products():
    v = Values()
    for rows, depth, columns in ((1, 4, 1), (9, 33, 17), (37, 130, 70)):
        x, w, b = v.floats(rows, depth), rounded(v.floats(depth, columns)), rounded(v.floats(columns))
        want = np.maximum(rounded(rounded(rounded(x) @ w) + b), 0)
        check([node("MatMul", "xb w", "t"), node("Add", "t b", "u"), node("Relu", "u", "r")], {"x": x}, {"w": w, "b": b}, want, "mma_bf16")


def test_activations():
    """Neither operand is constant, and a softmax lies between."""
    v = Values()
    q, k = v.floats(2, 19, 16), v.floats(2, 16, 23)
    scores = rounded(rounded(q) @ rounded(k))
    e = np.exp(scores - scores.max(-1, keepdims=True))
    check([node("MatMul", "qb kb", "s"), node("Softmax", "s", "r", axis=-1)], {"q": q, "k": k}, {}, rounded(e / e.sum(-1, keepdims=True)), "mma_bf16")


def test_bfloats_in_and_out():
    v = Values()
    x, w = v.floats(5, 48).astype(ml_dtypes.bfloat16), v.floats(48, 20).astype(ml_dtypes.bfloat16)
    if vulkan.missing():
        pytest.skip(vulkan.missing())
    compiled = tamis.compile(model(node("MatMul", "x w"), {"x": x}, {"w": w}, {"y": B16}), cache="off", target="vulkan,mma")
    got, = compiled.run(None, {"x": x})
    want = rounded(x.astype(np.float32) @ w.astype(np.float32))
    np.testing.assert_allclose(np.asarray(got).astype(np.float32), want, rtol=0, atol=2 ** -8 * np.abs(want).max())


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
