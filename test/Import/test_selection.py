# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Results that say which or where, and tensors made of positions."""
import numpy as np
import pytest
from oracle import F32, Values, check, check_exact, node

INT64 = 7


def test_one_hot():
    index = {"x": np.array([[0, -1], [7, 3]])}
    for axis in (-1, 0, 1):
        check_exact(node("OneHot", "x d v", axis=axis), index, {"d": np.array(4), "v": np.array([0.5, 2], np.float32)})


@pytest.mark.parametrize("largest", [0, 1])
def test_top_k(largest):
    x = {"x": Values().random.integers(0, 5, (3, 9, 4)).astype(np.float32)}
    for axis in (1, -1):
        top = node("TopK", "x k", "y i", axis=axis, largest=largest)
        check_exact(top, x, {"k": np.array([3])}, {"y": F32, "i": INT64})
        check_exact(top, x, {"k": np.array([3])}, {"y": F32, "i": INT64}, open_dims=True)


def test_sizes_that_only_the_data_decides():
    x = {"x": Values().random.integers(0, 2, (4, 5)).astype(np.float32)}
    check_exact(node("NonZero", "x"), x, outputs={"y": INT64})
    keep = {"c": np.array([True, False, True, True])}
    check_exact(node("Compress", "x c", axis=0), {**x, **keep})
    check_exact(node("Compress", "x c"), {**x, **keep})


def test_non_max_suppression():
    v = Values()
    corner = v.random.random((2, 12, 2))
    boxes = np.concatenate([corner, corner + v.random.random((2, 12, 2))], 2).astype(np.float32)
    p = {"n": np.array([4]), "t": np.array([0.3], np.float32), "s": np.array([0.2], np.float32)}
    check_exact(node("NonMaxSuppression", "b x n t s"), {"b": boxes, "x": v.random.random((2, 3, 12)).astype(np.float32)},
                p, {"y": INT64})


def test_ranges():
    for ends in ((2, 11, 3), (9, -2, -4), (5, 5, 1)):
        known = {name: np.array(value) for name, value in zip("abc", ends)}
        check_exact(node("Range", "a b c"), known, outputs={"y": INT64})
        floats = {name: np.array(value / 2, np.float32) for name, value in zip("abc", ends)}
        check(node("Range", "a b c"), floats)


def test_triangles_and_diagonals():
    x = {"x": Values().floats(2, 4, 5)}
    for upper in (0, 1):
        check_exact(node("Trilu", "x k", upper=upper), {**x, "k": np.array(-1)})
    check_exact(node("EyeLike", "x", k=1), {"x": Values().floats(4, 5)})


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_grid_sample(mode, padding):
    v = Values()
    inputs = {"x": v.floats(2, 3, 6, 5), "g": (v.random.random((2, 4, 4, 2)) * 2.6 - 1.3).astype(np.float32)}
    for align in (0, 1):
        check(node("GridSample", "x g", mode=mode, padding_mode=padding, align_corners=align), inputs, opset=20,
              rtol=1e-3, atol=1e-4)
