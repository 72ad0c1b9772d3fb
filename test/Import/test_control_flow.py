# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""If, Loop, Scan and sequences."""
import numpy as np
import onnx
import pytest
from oracle import F32, Values, check, node
from onnx import helper

BOOL, INT64 = 9, 7


def graph(nodes, inputs, outputs):
    def info(name, dtype):
        return helper.make_tensor_value_info(name, dtype, [] if name in ("i", "go", "on") else None)

    return helper.make_graph(nodes, "body", [info(*item) for item in inputs], [info(*item) for item in outputs])


def constant(name, value):
    return helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(np.asarray(value)))


def branches(then_op, else_op):
    return {"then_branch": graph([node(then_op, "x", "t")], [], [("t", F32)]),
            "else_branch": graph([node(else_op, "x", "e")], [], [("e", F32)])}


def test_branch_by_data():
    x = Values().floats(3, 4)
    for bit in (False, True):
        check(node("If", "c", **branches("Relu", "Neg")), {"c": np.array(bit), "x": x})


@pytest.mark.parametrize("outputs", ["y v", "v y"])
def test_branch_that_hands_out_another_result(outputs):
    """The other branch must not change it in place."""
    nodes = [node("LogSoftmax", "x", "v"), node("If", "c", **{
        "then_branch": graph([node("Relu", "v", "t")], [], [("t", F32)]),
        "else_branch": graph([node("Identity", "v", "e")], [], [("e", F32)])})]
    for bit in (False, True):
        check(nodes, {"c": np.array(bit), "x": Values().floats(2, 3, 3)}, outputs={name: F32 for name in outputs.split()})


def test_branches_of_different_sizes():
    rows = {"then_branch": graph([node("Concat", "x x", "t", axis=0)], [], [("t", F32)]),
            "else_branch": graph([node("Identity", "x", "e")], [], [("e", F32)])}
    for bit in (False, True):
        check(node("If", "c", **rows), {"c": np.array(bit), "x": Values().floats(3, 4)})


def loop_body(nodes, carried, scans=()):
    inputs = [("i", INT64), ("go", BOOL)] + [(f"{name}_in", dtype) for name, dtype in carried]
    outputs = [("on", BOOL)] + [(f"{name}_out", dtype) for name, dtype in carried] + list(scans)
    return graph(nodes, inputs, outputs)


def test_counted_loop_with_scan_output():
    body = loop_body([node("Identity", "go", "on"), node("Add", "a_in x", "a_out"), node("Mul", "a_out a_out", "row")],
                     [("a", F32)], [("row", F32)])
    inputs = {"x": Values().floats(2, 3), "n": np.array(4)}
    loop = node("Loop", "n - x", "y rows", body=body)
    check(loop, inputs, outputs={"y": F32, "rows": F32})
    check(loop, {"x": inputs["x"]}, {"n": np.array(4)}, {"y": F32, "rows": F32})


def test_loop_with_empty_rows():
    body = loop_body([node("Identity", "go", "on"), node("Identity", "a_in", "a_out"), node("Neg", "a_in", "row")],
                     [("a", F32)], [("row", F32)])
    loop = node("Loop", "n - x", "y rows", body=body)
    for shape in ((0, 1), (2, 0)):
        inputs = {"x": np.zeros(shape, np.float32), "n": np.array(3)}
        check(loop, inputs, outputs={"y": F32, "rows": F32})
        check(loop, {"x": inputs["x"]}, {"n": np.array(3)}, {"y": F32, "rows": F32})
        check(loop, inputs, outputs={"y": F32, "rows": F32}, open_dims=True)


def test_loop_that_the_data_ends():
    body = loop_body([node("Add", "a_in x", "a_out"), node("ReduceSum", "a_out", "s", keepdims=0),
                      constant("most", np.float32(20)), node("Less", "s most", "on"), node("Identity", "a_out", "row")],
                     [("a", F32)], [("row", F32)])
    inputs = {"x": np.abs(Values().floats(2, 3)), "c": np.array(True)}
    check(node("Loop", "n c x", "y rows", body=body), inputs, {"n": np.array(50)}, {"y": F32, "rows": F32})


def test_carried_value_that_grows():
    body = loop_body([node("Identity", "go", "on"), node("Concat", "a_in x", "a_out", axis=0)], [("a", F32)])
    check(node("Loop", "n - x", "y", body=body), {"x": Values().floats(1, 3), "n": np.array(3)})


def test_carried_counter_makes_slices():
    body = loop_body([node("Identity", "go", "on"), constant("one", np.array([1])), node("Add", "k_in one", "k_out"),
                      node("Slice", "x k_in k_out", "part"), node("Add", "a_in part", "a_out")],
                     [("k", INT64), ("a", F32)])
    check(node("Loop", "n - k x0", "end y", body=body), {"x": Values().floats(5, 3), "n": np.array(4)},
          {"k": np.array([0]), "x0": np.zeros((1, 3), np.float32)}, {"y": F32})


@pytest.mark.parametrize("reverse", [0, 1])
def test_scan(reverse):
    body = graph([node("Add", "s_in part", "s_out"), node("Identity", "s_out", "row")],
                 [("s_in", F32), ("part", F32)], [("s_out", F32), ("row", F32)])
    v = Values()
    scan = node("Scan", "s x", "y rows", body=body, num_scan_inputs=1, scan_input_axes=[1], scan_output_axes=[1],
                scan_input_directions=[reverse], scan_output_directions=[reverse])
    check(scan, {"s": v.floats(3), "x": v.floats(3, 5)}, outputs={"y": F32, "rows": F32})


def test_sequences_leave_no_trace():
    nodes = [node("SplitToSequence", "x p", "s", axis=0), node("SequenceAt", "s one", "b"),
             node("SequenceInsert", "s b zero", "t"), node("ConcatFromSequence", "t", "y", axis=0)]
    check(nodes, {"x": Values().floats(6, 3)}, {"p": np.array([1, 2, 3]), "one": np.array(1), "zero": np.array(0)})
