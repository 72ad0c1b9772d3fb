# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Float products whose sum is cut into pieces, against float64."""
import numpy as np
import pytest
import tamis
from Import.oracle import Values, model, node
from test_row_streams import TARGETS


def compile_product(k, n, x, target, nodes=None, parameters=None, **options):
    v = Values(1)
    weights = v.floats(k, n)
    nodes = nodes or [node("MatMul", "x w")]
    data = model(nodes, {"x": x}, {"w": weights, **(parameters or {})}, open_dims=options.pop("open_dims", False))
    compiled = tamis.compile(data, cache="off", target=target, **options)
    layer, = compiled.report()["layers"]
    assert len(layer["tile"]) == 4, layer["tile"]
    return compiled, weights


def check(compiled, x, want):
    np.testing.assert_allclose(compiled.run(None, {"x": x})[0], want, rtol=0, atol=2e-5 * np.abs(want).max(), err_msg=str(x.shape))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("k", [8192, 8195])
@pytest.mark.parametrize("n", [256, 331])
def test_rows_and_columns(target, k, n):
    x = Values().floats(130, k)
    compiled, weights = compile_product(k, n, x, target)
    check(compiled, x, x.astype(np.float64) @ weights)


def test_open_rows():
    x = Values().floats(200, 6000)
    compiled, weights = compile_product(6000, 300, x, TARGETS[-1], open_dims=True, input_dims={"x0": "1:300", "x1": 6000})
    for rows in (1, 3, 64, 129, 200):
        check(compiled, x[:rows], x[:rows].astype(np.float64) @ weights)


def test_the_epilogue_sees_whole_sums():
    """A residual operand must not lie where sums wait."""
    v = Values(2)
    k = n = 5000
    x, b = v.floats(96, k), v.floats(n)
    nodes = [node("MatMul", "x w", "0"), node("Add", "0 b", "1"), node("Relu", "1", "2"), node("Relu", "x", "3"), node("Add", "2 3", "y")]
    compiled, weights = compile_product(k, n, x, TARGETS[-1], nodes, {"b": b})
    check(compiled, x, np.maximum(x.astype(np.float64) @ weights + b, 0) + np.maximum(x, 0))


def test_threads_give_the_same_bits():
    x = Values().floats(130, 8195)
    one, two = (compile_product(8195, 331, x, TARGETS[-1], threads=threads)[0].run(None, {"x": x})[0] for threads in (1, 2))
    np.testing.assert_array_equal(one, two)
