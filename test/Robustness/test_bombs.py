# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Small models that ask for much: memory, nodes, levels. And structure that only the run can judge."""
import numpy as np
import pytest
from onnx import helper
from support import models
from support.models import INT64, const, info
from support.run import refused, run_refused

HUGE = 1 << 21


def ints(name, *values):
    return const(name, np.array(values, np.int64))


@pytest.mark.parametrize("op, inputs, attributes", [
    ("Tile", [ints("n", HUGE, HUGE)], {}),
    ("Expand", [ints("n", HUGE, HUGE)], {}),
    ("Pad", [ints("n", 0, 0, HUGE, HUGE)], {}),
    ("Resize", [const("r", np.zeros(0, np.float32)), const("s", np.zeros(0, np.float32)), ints("n", HUGE, HUGE)], {}),
])
def test_result_of_terabytes(tmp_path, op, inputs, attributes):
    refused(models.one(op, [info("x", [1, 1])], info("y", None), inputs, name="bomb", **attributes), tmp_path)


def test_range_of_terabytes(tmp_path):
    limits = [const(name, np.int64(value)) for name, value in (("a", 0), ("b", 1 << 50), ("c", 1))]
    made = models.one("Range", [], info("y", None, INT64), limits, name="bomb")
    refused(made, tmp_path)


def test_one_hot_of_terabytes(tmp_path):
    made = models.one("OneHot", [info("x", [HUGE], INT64)], info("y", None),
                      [const("d", np.int64(1 << 40)), const("v", np.array([0, 1], np.float32))], name="bomb")
    refused(made, tmp_path)


def function_chain(levels, calls):
    """A model of functions, each of which calls the next one `calls` times."""
    made = models.model([helper.make_node("F0", ["x"], ["y"], name="call", domain="own")], [info("x", [2])], [info("y", [2])])
    made.opset_import.append(helper.make_opsetid("own", 1))
    imports = [helper.make_opsetid("", models.OPSET), helper.make_opsetid("own", 1)]
    for i in range(levels):
        op, domain = (f"F{i + 1}", "own") if i + 1 < levels else ("Relu", "")
        body = [helper.make_node(op, ["a" if k == 0 else f"v{k}"], [f"v{k + 1}"], domain=domain) for k in range(calls)]
        made.functions.append(helper.make_function("own", f"F{i}", ["a"], [f"v{calls}"], body, imports))
    return made


def test_functions_that_double(tmp_path):
    refused(function_chain(40, 2), tmp_path, "inlined")


def test_functions_nested_deeply(tmp_path):
    refused(function_chain(2000, 1), tmp_path, "nested")


def test_branches_nested_deeply(tmp_path):
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["r"])], "leaf", [], [info("r", [2])])
    for _ in range(30):
        graph = helper.make_graph([helper.make_node("If", ["c"], ["r"], then_branch=graph, else_branch=graph)], "g", [], [info("r", [2])])
        if graph.ByteSize() > 1 << 18:
            break
    node = helper.make_node("If", ["c"], ["y"], name="tree", then_branch=graph, else_branch=graph)
    made = models.model([node], [info("x", [2]), info("c", [], 9)], [info("y", [2])])
    # Whatever becomes of it, it ends: by a library or by an error.
    models.save(made, tmp_path / "model.onnx")
    from support.run import tamis

    assert tamis("compile", tmp_path / "model.onnx", "-o", tmp_path / "out.so").returncode in (0, 1)


def test_name_that_forges_a_diagnostic(tmp_path):
    made = models.one("Softmax", [info("x", [2])], info("y", [2]), name="a'\nerror: all is well", axis=7)
    text = refused(made, tmp_path, "axis 7")
    assert "\nerror: all is well" not in text


def test_heads_that_differ(tmp_path):
    inputs = [info("q", [1, 3, 4, 8]), info("k", [1, 3, 6, 8]), info("v", [1, 6, 6, 8])]
    refused(models.one("Attention", inputs, info("y", None), name="heads", opset=24), tmp_path, "heads", "6 and 3")


def test_step_of_zero_at_run_time(tmp_path):
    made = models.one("Slice", [info("x", [5]), *(info(n, [1], INT64) for n in "seat")], info("y", None), name="slice")
    arrays = {"x": np.zeros(5, np.float32), "s": np.array([0]), "e": np.array([5]), "a": np.array([0]), "t": np.array([0])}
    run_refused(tmp_path, made, arrays, "zero")


@pytest.mark.parametrize("axes, word", [([3, 0], "index"), ([0, 0], "shape")])
def test_axes_at_run_time(tmp_path, axes, word):
    made = models.one("Squeeze", [info("x", [1, 1, 5]), info("a", [2], INT64)], info("y", None), name="squeeze")
    run_refused(tmp_path, made, {"x": np.zeros((1, 1, 5), np.float32), "a": np.array(axes)}, word)


def test_squeezed_dimension_that_is_not_one(tmp_path):
    made = models.one("Squeeze", [info("x", [1, 2, 5]), info("a", [1], INT64)], info("y", None), name="squeeze")
    run_refused(tmp_path, made, {"x": np.zeros((1, 2, 5), np.float32), "a": np.array([1])}, "shape")


def test_class_out_of_range_at_run_time(tmp_path):
    made = models.one("NegativeLogLikelihoodLoss", [info("x", [2, 3]), info("t", [2], INT64)], info("y", []), name="loss")
    run_refused(tmp_path, made, {"x": np.zeros((2, 3), np.float32), "t": np.array([0, 3])}, "index")


def test_size_from_data_of_terabytes(tmp_path):
    made = models.one("ConstantOfShape", [info("n", [2], INT64)], info("y", None), name="bomb")
    run_refused(tmp_path, made, {"n": np.array([HUGE, HUGE])})
