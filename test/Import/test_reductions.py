# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reductions, positions of extremes and running sums."""
import numpy as np
import pytest
from oracle import Values, check, check_exact, node

INT64 = 7
REDUCTIONS = ["Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSumExp"]


@pytest.mark.parametrize("op", REDUCTIONS)
def test_reduction_by_attribute_and_by_input(op):
    x = {"x": Values().floats(2, 3, 4, 5)}
    check(node("Reduce" + op, "x", axes=[-1, 1]), x, opset=11)
    check(node("Reduce" + op, "x", keepdims=0), x, opset=11)
    check(node("Reduce" + op, "x a", keepdims=0), x, {"a": np.array([1, 2])}, opset=18, open_dims=True)


def test_reduction_over_axes_only_run_time_knows():
    x = {"x": Values().floats(2, 3, 4), "a": np.array([-2])}
    for op in REDUCTIONS:
        check(node("Reduce" + op, "x a"), x, opset=18)


def test_without_axes_nothing_is_reduced_if_asked():
    check(node("ReduceSum", "x", noop_with_empty_axes=1), {"x": Values().floats(2, 3)}, opset=13)


@pytest.mark.parametrize("last", [0, 1])
def test_extremes_and_ties(last):
    x = {"x": Values().random.integers(0, 3, (4, 5, 6)).astype(np.float32)}
    for op in ("ArgMax", "ArgMin"):
        check_exact(node(op, "x", axis=1, select_last_index=last), x, outputs={"y": INT64})
        check_exact(node(op, "x", axis=-1, keepdims=0, select_last_index=last), x, outputs={"y": INT64}, open_dims=True)


def test_running_sums():
    x = {"x": Values().floats(3, 4, 5)}
    for exclusive in (0, 1):
        for reverse in (0, 1):
            sums = node("CumSum", "x a", exclusive=exclusive, reverse=reverse)
            check(sums, x, {"a": np.array(1)})
            check(sums, {**x, "a": np.array(-1)})


def test_planes():
    x = {"x": Values().floats(2, 3, 6, 5)}
    for op in ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"):
        check(node(op, "x"), x, open_dims=op != "GlobalLpPool")


def test_integers_keep_their_type():
    x = {"x": Values().random.integers(-9, 9, (3, 4)).astype(np.int32)}
    for op in ("Sum", "Max", "Min", "Mean"):
        check_exact(node("Reduce" + op, "x a"), x, {"a": np.array([1])}, {"y": 6}, opset=18)
