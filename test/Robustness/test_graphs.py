# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Well-formed files with graphs that mean nothing, or too much."""
import numpy as np
import pytest
import tamis
from onnx import TensorProto, helper
from support import models
from support.models import INT64, const, info
from support.run import refused


def test_cyclic_graph(tmp_path):
    nodes = [helper.make_node("Add", ["x", "b"], ["a"], name="first"), helper.make_node("Relu", ["a"], ["b"], name="second")]
    refused(models.model(nodes, [info("x", [2])], [info("b", [2])]), tmp_path, "first")


def test_node_reads_itself(tmp_path):
    node = helper.make_node("Add", ["x", "y"], ["y"], name="loop")
    refused(models.model([node], [info("x", [2])], [info("y", [2])]), tmp_path, "loop")


def test_unknown_input_of_a_node(tmp_path):
    node = helper.make_node("Relu", ["nothing"], ["y"], name="relu")
    refused(models.model([node], [info("x", [2])], [info("y", [2])]), tmp_path, "nothing")


def test_value_defined_twice(tmp_path):
    nodes = [helper.make_node("Relu", ["x"], ["y"], name="one"), helper.make_node("Neg", ["x"], ["y"], name="two")]
    refused(models.model(nodes, [info("x", [2])], [info("y", [2])]), tmp_path, "y")


def test_output_that_nothing_defines(tmp_path):
    node = helper.make_node("Relu", ["x"], ["y"], name="relu")
    refused(models.model([node], [info("x", [2])], [info("z", [2])]), tmp_path, "z")


def test_unsupported_operators_are_all_listed(tmp_path):
    nodes = [helper.make_node("Strange", ["x"], ["a"], name="first"), helper.make_node("Relu", ["a"], ["b"]),
             helper.make_node("Stranger", ["b"], ["y"], name="second", domain="com.microsoft")]
    refused(models.model(nodes, [info("x", [2])], [info("y", [2])]), tmp_path, "first", "Strange", "second", "Stranger")


def test_unknown_domain(tmp_path):
    node = helper.make_node("Relu", ["x"], ["y"], name="odd", domain="org.example")
    refused(models.model([node], [info("x", [2])], [info("y", [2])]), tmp_path, "odd")


def test_future_opset(tmp_path):
    refused(models.one("Relu", [info("x", [2])], info("y", [2]), opset=9999), tmp_path, "9999")


def test_recursive_functions(tmp_path):
    made = models.model([helper.make_node("F", ["x"], ["y"], name="call", domain="own")], [info("x", [2])], [info("y", [2])])
    made.opset_import.append(helper.make_opsetid("own", 1))
    for name, other in (("F", "G"), ("G", "F")):
        body = [helper.make_node(other, ["a"], ["b"], domain="own")]
        made.functions.append(helper.make_function("own", name, ["a"], ["b"], body, [helper.make_opsetid("own", 1)]))
    refused(made, tmp_path, "F")


@pytest.mark.parametrize("strides", [[0, 0], [-1, 1], [1 << 40, 1]])
def test_conv_strides(tmp_path, strides):
    refused(models.conv(strides=strides), tmp_path, "conv", "stride")


@pytest.mark.parametrize("dilations", [[0, 0], [-1, 1]])
def test_conv_dilations(tmp_path, dilations):
    refused(models.conv(dilations=dilations), tmp_path, "conv", "dilation")


@pytest.mark.parametrize("group", [0, -1, 2])
def test_conv_group(tmp_path, group):
    refused(models.conv(group=group), tmp_path, "conv", "group")


@pytest.mark.parametrize("attributes", [{"strides": [1]}, {"pads": [1]}, {"kernel_shape": [5, 5]}, {"pads": [-9, 0, 0, 0]},
                                        {"pads": [1 << 62] * 4}, {"auto_pad": "EVEN_ODDER"}])
def test_conv_attributes(tmp_path, attributes):
    refused(models.conv(**attributes), tmp_path, "conv")


def test_conv_weight_has_more_dimensions_than_the_input(tmp_path):
    made = models.one("Conv", [info("x", [1, 3, 8])], info("y", None), [const("w", np.ones((4, 3, 3, 3), np.float32))], name="conv")
    refused(made, tmp_path, "conv")


@pytest.mark.parametrize("attributes", [{"kernel_shape": [0, 0]}, {"kernel_shape": [2, 2], "strides": [0, 1]}])
def test_pool_attributes(tmp_path, attributes):
    refused(models.one("MaxPool", [info("x", [1, 3, 8, 8])], info("y", None), name="pool", **attributes), tmp_path, "pool")


@pytest.mark.parametrize("blocksize", [0, -2, 3])
def test_depth_to_space_block(tmp_path, blocksize):
    refused(models.one("DepthToSpace", [info("x", [1, 4, 2, 2])], info("y", None), name="d2s", blocksize=blocksize), tmp_path, "d2s")


def test_slice_with_step_zero(tmp_path):
    arrays = [const(n, np.array([v], np.int64)) for n, v in (("s", 0), ("e", 5), ("a", 0), ("t", 0))]
    refused(models.one("Slice", [info("x", [5])], info("y", None), arrays, name="slice"), tmp_path, "slice")


@pytest.mark.parametrize("axis", [2, -3, 1 << 40])
def test_axis_out_of_range(tmp_path, axis):
    refused(models.one("Softmax", [info("x", [2, 3])], info("y", None), name="soft", axis=axis), tmp_path, "soft", "axis")


@pytest.mark.parametrize("perm", [[0, 0], [0, 2], [0], [-1, 0]])
def test_transpose_permutation(tmp_path, perm):
    refused(models.one("Transpose", [info("x", [2, 3])], info("y", None), name="t", perm=perm), tmp_path, "t")


def test_shapes_that_do_not_broadcast(tmp_path):
    refused(models.one("Add", [info("a", [2, 3]), info("b", [4])], info("y", None), name="sum"), tmp_path, "sum")


def test_matrices_that_do_not_fit(tmp_path):
    refused(models.one("MatMul", [info("a", [2, 3]), info("b", [4, 2])], info("y", None), name="product"), tmp_path, "product")


def test_types_that_do_not_fit(tmp_path):
    refused(models.one("Add", [info("a", [2]), info("b", [2], INT64)], info("y", [2]), name="sum"), tmp_path, "sum")


@pytest.mark.parametrize("dims", [[1 << 62, 8], [1 << 31, 1 << 31, 1 << 31], [1 << 40, 1 << 10]])
def test_hostile_input_dimensions(tmp_path, dims):
    refused(models.one("Relu", [info("x", dims)], info("y", None)), tmp_path, "x")


@pytest.mark.parametrize("dims", [[1 << 62], [1 << 32, 1 << 32], [-1], [5], [3]])
def test_hostile_initializer_dimensions(tmp_path, dims):
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, raw_data=bytes(16))
    refused(models.one("Add", [info("x", [4])], info("y", None), [tensor], name="sum"), tmp_path, "w")


def test_initializer_in_two_fields(tmp_path):
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], raw_data=bytes(16), float_data=[1, 2, 3, 4])
    refused(models.one("Add", [info("x", [4])], info("y", None), [tensor], name="sum"), tmp_path, "w")


def test_initializer_in_the_wrong_field(tmp_path):
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], int32_data=[1, 2, 3, 4])
    refused(models.one("Add", [info("x", [4])], info("y", None), [tensor], name="sum"), tmp_path, "w")


def test_initializer_of_no_type(tmp_path):
    tensor = TensorProto(name="w", data_type=99, dims=[4], raw_data=bytes(16))
    refused(models.one("Add", [info("x", [4])], info("y", None), [tensor], name="sum"), tmp_path, "w")


def test_constant_bomb(tmp_path):
    shape = const("s", np.array([1 << 20, 1 << 20], np.int64))
    nodes = [helper.make_node("ConstantOfShape", ["s"], ["big"], name="bomb"), helper.make_node("ReduceSum", ["big"], ["y"], keepdims=0)]
    refused(models.model(nodes, [], [info("y", [])], [shape]), tmp_path, "bomb")


def test_doubling_bomb(tmp_path):
    """Forty concatenations of a value with itself: a terabyte, if anything were computed."""
    nodes, name = [], "x"
    for i in range(40):
        nodes.append(helper.make_node("Concat", [name, name], [f"v{i}"], name=f"double{i}", axis=0))
        name = f"v{i}"
    refused(models.model(nodes, [info("x", [1024])], [info(name, None)]), tmp_path)


def test_reshape_to_another_size(tmp_path):
    made = models.one("Reshape", [info("x", [2, 3])], info("y", None), [const("s", np.array([4, 2], np.int64))], name="reshape")
    refused(made, tmp_path, "reshape")


def test_quantize_with_a_wrong_number_of_scales(tmp_path):
    made = models.one("QuantizeLinear", [info("x", [2, 3])], info("y", None, models.UINT8),
                      [const("s", np.ones(5, np.float32)), const("z", np.zeros(5, np.uint8))], name="quantize", axis=1)
    refused(made, tmp_path, "quantize")


def test_attribute_of_the_wrong_type(tmp_path):
    refused(models.one("Softmax", [info("x", [2, 3])], info("y", None), name="soft", axis="one"), tmp_path, "soft", "axis")


def test_missing_required_attribute(tmp_path):
    refused(models.one("Concat", [info("a", [2]), info("b", [2])], info("y", None), name="join"), tmp_path, "join", "axis")


def test_too_many_inputs(tmp_path):
    made = models.one("Relu", [info("a", [2]), info("b", [2])], info("y", [2]), name="relu")
    refused(made, tmp_path, "relu")


def test_name_with_control_characters(tmp_path):
    node = helper.make_node("Strange", ["x"], ["y"], name="a\x1b[31mb\u202ec")
    text = refused(models.model([node], [info("x", [2])], [info("y", [2])]), tmp_path, "Strange")
    assert "\x1b" not in text and "\u202e" not in text


def test_name_that_is_no_utf8(tmp_path):
    node = helper.make_node("Strange", ["x"], ["y"], name="abcdefgh")
    data = models.model([node], [info("x", [2])], [info("y", [2])]).SerializeToString()
    refused(data.replace(b"abcdefgh", b"a\xff\xfe\xe2\x28efgh"[:8]), tmp_path, "UTF-8")


def test_open_shapes_that_overflow():
    nodes = [helper.make_node("Reshape", ["x", "s"], ["r"]), helper.make_node("MatMul", ["r", "w"], ["y"])]
    made = models.model(nodes, [info("x", ["b", 6, 16])], [info("y", None)],
                        [const("s", np.array([0, 0, 2, 2**61])), const("w", np.ones((4, 4), np.float32))])
    with pytest.raises(tamis.Error, match="more than 2.62 elements"):
        tamis.compile(made, cache="off", lazy=False)


def test_an_empty_result_that_no_array_can_be():
    made = models.model([helper.make_node("ConstantOfShape", ["s"], ["y"])], [info("s", [2], INT64)], [info("y", None)])
    compiled = tamis.compile(made, cache="off")
    assert compiled.run(None, {"s": np.array([7, 0])})[0].shape == (7, 0)
    with pytest.raises(tamis.Error, match="its size is out of range"):
        compiled.run(None, {"s": np.array([2**62, 0])})


@pytest.mark.parametrize("node, constants", [
    (("Tile", ["x", "r"]), {"r": np.array([1, 2])}), (("EyeLike", ["x"]), {}), (("Transpose", ["x"]), {}), (("Trilu", ["x"]), {}),
    (("CenterCropPad", ["x", "s"]), {"s": np.array([2**37, 0])}), (("Pad", ["x", "p"]), {"p": np.array([1, 0, 1, 0])})])
def test_a_huge_dimension_of_nothing(node, constants):
    """Counting it would take minutes."""
    made = models.model([helper.make_node(*node, ["y"])], [info("x", ["a", "b"])], [info("y", None)],
                        [const(name, value) for name, value in constants.items()], opset=18)
    compiled = tamis.compile(made, cache="off", lazy=False)
    assert compiled.run(None, {"x": np.zeros((2**37, 0), np.float32)})[0].size == 0
