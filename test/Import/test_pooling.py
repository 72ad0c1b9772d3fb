# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Pooling over windows of every rank, padding and rounding."""
import numpy as np
import pytest
from oracle import F32, Values, check, check_exact, node

SHAPES = {1: (2, 3, 17), 2: (1, 3, 13, 11), 3: (1, 2, 7, 6, 5)}


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool", "LpPool"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_windows_of_every_rank(op, rank):
    x = {"x": Values().floats(*SHAPES[rank])}
    check(node(op, "x", kernel_shape=[3] * rank, strides=[2] * rank, pads=[1] * (2 * rank)), x)
    check(node(op, "x", kernel_shape=[3] * rank, strides=[2] * rank, auto_pad="SAME_LOWER"), x, open_dims=op != "LpPool")


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_rounding_up_ends_where_the_input_ends(op):
    for size in range(5, 10):
        x = {"x": Values().floats(1, 2, size, size + 1)}
        check(node(op, "x", kernel_shape=[3, 2], strides=[2, 3], pads=[1, 1, 1, 1], ceil_mode=1), x, opset=19)


def test_average_counts_padding_if_asked():
    x = {"x": Values().floats(1, 2, 9, 8)}
    for include in (0, 1):
        average = node("AveragePool", "x", kernel_shape=[4, 3], strides=[2, 2], pads=[1, 0, 2, 1], count_include_pad=include)
        check(average, x)
        check(average, x, open_dims=True)


def test_dilated_windows():
    x = {"x": Values().floats(1, 2, 12, 11)}
    check(node("MaxPool", "x", kernel_shape=[3, 2], dilations=[2, 3]), x)
    check(node("AveragePool", "x", kernel_shape=[3, 2], dilations=[2, 3], pads=[1, 1, 1, 1]), x, opset=19)


def test_maximum_tells_where_and_comes_back():
    x = {"x": Values().floats(2, 3, 8, 8)}
    pool = node("MaxPool", "x", "y i", kernel_shape=[2, 2], strides=[2, 2])
    check(pool, x, outputs={"y": F32, "i": 7})
    back = node("MaxUnpool", "y i", "z", kernel_shape=[2, 2], strides=[2, 2])
    check([pool, back], x, outputs={"z": F32})


def test_maximum_of_integers():
    for dtype, number in ((np.int8, 3), (np.uint8, 2)):
        x = {"x": Values().integers(dtype, 1, 2, 7, 7)}
        check_exact(node("MaxPool", "x", kernel_shape=[3, 3], pads=[1, 1, 1, 1]), x, outputs={"y": number})
