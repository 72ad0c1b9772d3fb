# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`allow="bf16"`: operands of float32 contractions are rounded to bfloat16, sums are not; without it nothing is."""
import numpy as np
import pytest
import tamis
from onnx import helper
from support import models

with open("/proc/cpuinfo", encoding="utf8") as file:
    HAS_BF16 = " avx512_bf16" in file.read()
needs_bf16 = pytest.mark.skipif(not HAS_BF16, reason="the processor multiplies no bfloat16")
RNG = np.random.default_rng(0)


def rounded(x):
    """float32 rounded to bfloat16, half to even."""
    raw = np.asarray(x, np.float32).view(np.uint32)
    return ((raw + 0x7FFF + (raw >> 16 & 1)) & 0xFFFF0000).view(np.float32)


def random(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def compiled(made, **options):
    return tamis.compile(made, cache="off", **options)


def check(made, feed, want, exact):
    got, = compiled(made, allow=["bf16"]).run(None, feed)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
    plain, = compiled(made).run(None, feed)
    np.testing.assert_allclose(plain, exact, rtol=1e-4, atol=1e-4)
    assert abs(plain - got).max() > 1e-3


@needs_bf16
@pytest.mark.parametrize("m, k, n", [(1, 256, 96), (7, 64, 40), (33, 63, 33), (64, 129, 100), (5, 17, 256)])
@pytest.mark.parametrize("open_rows", [False, True])
def test_weights(m, k, n, open_rows):
    x, w = random(m, k), random(k, n)
    made = models.one("MatMul", [models.info("x", ["m" if open_rows else m, k])], models.info("y", None), [models.const("w", w)])
    check(made, {"x": x}, rounded(x) @ rounded(w), x @ w)


@needs_bf16
@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("k", [32, 47, "k"])
def test_two_activations(k, transpose):
    size = 45 if k == "k" else k
    a, b = random(2, 70, size), random(2, 50, size) if transpose else random(2, size, 50)
    shape = [2, 50, k] if transpose else [2, k, 50]
    nodes = [helper.make_node("Transpose", ["b"], ["t"], perm=[0, 2, 1])] if transpose else []
    nodes.append(helper.make_node("MatMul", ["a", "t" if transpose else "b"], ["y"]))
    made = models.model(nodes, [models.info("a", [2, 70, k]), models.info("b", shape)], [models.info("y", None)])
    right = b.transpose(0, 2, 1) if transpose else b
    # A range leaves the size to run time, so the last pair may be half.
    bound = {"input_dims": {"k": (1, 64)}, "lazy": False} if k == "k" else {}
    got, = compiled(made, allow=["bf16"], **bound).run(None, {"a": a, "b": b})
    np.testing.assert_allclose(got, rounded(a) @ rounded(right), rtol=1e-4, atol=1e-4)
    assert abs(got - a @ right).max() > 1e-3


@needs_bf16
@pytest.mark.parametrize("channels, stride", [(32, 1), (17, 2), (24, 2)])
def test_convolution_with_padding_and_epilogue(channels, stride):
    x, w = random(1, channels, 9, 11), random(24, channels, 3, 3)
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1], strides=[stride, stride]),
             helper.make_node("Relu", ["c"], ["y"])]
    made = models.model(nodes, [models.info("x", list(x.shape))], [models.info("y", None)], [models.const("w", w)])

    def convolve(x, w):
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))[:, :, ::stride, ::stride]
        return np.maximum(np.einsum("nchwij,ocij->nohw", windows, w), 0)

    check(made, {"x": x}, convolve(rounded(x), rounded(w)), convolve(x, w))


@needs_bf16
def test_infinity_nan_and_halfway_weights():
    w = random(64, 64)
    w[0] = np.float32(1 + 2**-8)  # half way: rounds to even
    w[1] = np.float32(1 + 3 * 2**-8)
    x = np.zeros((40, 64), np.float32)
    x[0, 0] = x[1, 1] = 1
    x[2, 2] = np.inf
    x[3, 3] = np.nan
    made = models.one("MatMul", [models.info("x", [40, 64])], models.info("y", None), [models.const("w", w)])
    y, = compiled(made, allow=["bf16"]).run(None, {"x": x})
    assert (y[0] == 1).all() and (y[1] == 1 + 2**-6).all()
    assert np.isinf(y[2]).all() and np.isnan(y[3]).all()


def test_a_target_without_bf16_keeps_float32():
    x, w = random(64, 64), random(64, 64)
    made = models.one("MatMul", [models.info("x", [64, 64])], models.info("y", None), [models.const("w", w)])
    allowed, plain = (compiled(made, target="x86-64", allow=allow).run(None, {"x": x})[0] for allow in (["bf16"], []))
    np.testing.assert_array_equal(allowed, plain)
