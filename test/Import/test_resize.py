# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Resize: every mode and coordinate transformation, sizes known and open."""
import numpy as np
import pytest
from oracle import Values, check, node

TRANSFORMS = ["half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"]
X = {"x": Values().floats(1, 2, 6, 5)}


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_modes(mode, transform):
    for sizes in ([1, 2, 12, 10], [1, 2, 9, 13], [1, 2, 4, 3], [1, 2, 6, 1]):
        resize = node("Resize", "x - - s", mode=mode, coordinate_transformation_mode=transform)
        check(resize, X, {"s": np.array(sizes)}, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_corners_stay_aligned_where_the_scaled_size_is_cut(mode):
    """0.6 times 5 is 3, of 6 it is 3.6, and the last of 3 elements lies on the last of 6; ONNX's node tests expect it beside."""
    resize = node("Resize", "x - s", mode=mode, coordinate_transformation_mode="align_corners")
    check(resize, X, {"s": np.array([1, 1, 0.6, 0.6], np.float32)}, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("rounding", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
def test_nearest_modes(rounding):
    for scale in (2, 3, 1.5, 0.5):
        resize = node("Resize", "x - s", nearest_mode=rounding, coordinate_transformation_mode="asymmetric")
        check(resize, X, {"s": np.array([1, 1, scale, scale], np.float32)})
        check(resize, X, {"s": np.array([1, 1, scale, scale], np.float32)}, open_dims=True)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_antialias(mode):
    resize = node("Resize", "x - - s", mode=mode, antialias=1)
    check(resize, X, {"s": np.array([1, 2, 3, 2])}, opset=18, rtol=1e-3, atol=1e-4)


def test_crop_and_resize():
    resize = node("Resize", "x r - s", mode="linear", coordinate_transformation_mode="tf_crop_and_resize",
                  extrapolation_value=7.0)
    roi = np.array([0, 0, 0.4, -0.2, 1, 1, 0.8, 1.3], np.float32)
    check(resize, X, {"r": roi, "s": np.array([1, 2, 3, 4])}, rtol=1e-3, atol=1e-4)


def test_twice_the_size_of_an_open_input():
    for mode in ("nearest", "linear"):
        check(node("Resize", "x - s", mode=mode), X, {"s": np.array([1, 1, 2, 2], np.float32)}, open_dims=True)


def test_upsample():
    check(node("Upsample", "x s"), X, {"s": np.array([1, 1, 2, 3], np.float32)}, opset=9)
