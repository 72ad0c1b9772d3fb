# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products of one row, whose panels are read at several places in turns, against float64 and integer sums."""
import numpy as np
import pytest
import tamis
from Import.oracle import Values, model, node
from support.few_bits import Product
from test_row_streams import TARGETS

DEPTH = 300
COLUMNS = (64, 200, 331, 1000)  # one to many panels, with and without a rest


def run(data, x, target, **options):
    return tamis.compile(data, cache="off", target=target, **options).run(None, {"x": x})[0]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("columns", COLUMNS)
def test_floats_with_an_epilogue(target, columns):
    v = Values(1)
    x, w, b, c = v.floats(1, DEPTH), v.floats(DEPTH, columns), v.floats(columns), v.floats(1, columns)
    nodes = [node("MatMul", "x w", "0"), node("Add", "0 b", "1"), node("Relu", "1", "2"), node("Add", "2 c", "y")]
    got = run(model(nodes, {"x": x}, {"w": w, "b": b, "c": c}), x, target)
    want = np.maximum(x.astype(np.float64) @ w + b, 0) + c
    np.testing.assert_allclose(got, want, rtol=0, atol=2e-6 * np.abs(want).max())


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("columns", COLUMNS)
def test_bytes(target, columns):
    """Zero points on both sides: sums of columns belong to their panels."""
    rng = np.random.default_rng(2)
    x, w = rng.integers(0, 256, (1, DEPTH), np.uint8), rng.integers(-128, 128, (DEPTH, columns), np.int8)
    zeros = {"xz": np.uint8(77), "wz": np.int8(-5)}
    got = run(model([node("MatMulInteger", "x w xz wz", "y")], {"x": x}, {"w": w, **zeros}), x, target)
    np.testing.assert_array_equal(got, (x.astype(np.int32) - 77) @ (w.astype(np.int32) + 5))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("level", [0, 4])
@pytest.mark.parametrize("zeros", ["none", "float"])
def test_four_bits(target, level, zeros):
    """Factors of blocks lie in panels too."""
    product, x = Product(320, 424, level=level, zeros=zeros), Values(3).floats(1, 320)
    want = product(x)
    got = run(model([product.node], {"x": x}, product.parameters), x, target)
    np.testing.assert_allclose(got, want, rtol=0, atol=3e-6 * np.abs(want).max())


def test_open_rows_have_the_bits_of_any_other_number_of_threads():
    v = Values(4)
    x, w = v.floats(5, DEPTH), v.floats(DEPTH, 331)
    data = model([node("MatMul", "x w")], {"x": x}, {"w": w}, open_dims=True)
    one, two = (tamis.compile(data, cache="off", target=TARGETS[-1], threads=threads, input_dims={"x0": "1:8", "x1": DEPTH})
                for threads in (1, 2))
    for rows in (1, 2, 5):
        want = x[:rows].astype(np.float64) @ w
        got = one.run(None, {"x": x[:rows]})[0]
        np.testing.assert_allclose(got, want, rtol=0, atol=2e-6 * np.abs(want).max())
        np.testing.assert_array_equal(got, two.run(None, {"x": x[:rows]})[0])


def test_fixed_row_has_the_bits_of_any_other_number_of_threads():
    v = Values(5)
    x, w = v.floats(1, 512), v.floats(512, 2048 + 40)
    data = model([node("MatMul", "x w")], {"x": x}, {"w": w})
    results = [run(data, x, TARGETS[-1], threads=threads) for threads in (1, 2)]
    np.testing.assert_array_equal(*results)
