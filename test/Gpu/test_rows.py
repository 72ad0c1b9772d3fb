# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rows shared by the lanes of a workgroup: values on a Vulkan device beside ONNX Runtime's."""
import numpy as np
import onnxruntime
import pytest
import tamis
from onnx import TensorProto, helper
from support import models, vulkan

LENGTHS = (1, 2, 31, 33, 1000)
RNG = np.random.default_rng(17)


def graph(nodes, feed, outputs, constants=(), shapes=None):
    """A model of these nodes; `shapes` are those of inputs where they differ from the feed's."""
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (shapes or {}).get(name, x.shape)) for name, x in feed.items()]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    made = helper.make_graph(nodes, "rows", inputs, results, initializer=list(constants))
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def check(made, feed, kernels=None, **options):
    """Results on the device, beside ONNX Runtime's; all of it runs there, in so many kernels."""
    if vulkan.missing():
        pytest.skip(vulkan.missing())
    device = tamis.compile(made, target="vulkan", cache="off", **options)
    got = device.run(None, feed)
    want = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"]).run(None, feed)
    vulkan.compare(got, want)
    told = device.report()["device"]
    assert not told["host"]
    assert kernels is None or told["kernels"] == kernels
    again = device.run(None, feed)
    for one, other in zip(got, again):
        np.testing.assert_array_equal(one, other)
    return got


def values(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("rows", [1, 5, 130])
def test_softmax(length, rows):
    feed = {"x": values(rows, length)}
    check(graph([helper.make_node("Softmax", ["x"], ["y"], axis=-1)], feed, ["y"]), feed, 1 if length > 7 else None)


@pytest.mark.parametrize("length", LENGTHS)
def test_open_length(length):
    feed = {"x": values(3, 4, length)}
    made = graph([helper.make_node("Softmax", ["x"], ["y"], axis=-1)], feed, ["y"], shapes={"x": [3, 4, "n"]})
    check(made, feed, 1, input_dims={"n": (1, 1000)})


def test_open_rows():
    feed = {"x": values(7, 33)}
    check(graph([helper.make_node("LogSoftmax", ["x"], ["y"], axis=-1)], feed, ["y"], shapes={"x": ["n", 33]}), feed, 1,
          input_dims={"n": (1, 50)})


@pytest.mark.parametrize("length", LENGTHS)
def test_layer_norm(length):
    """With the addition in front and what follows, as in a transformer."""
    feed = {"a": values(9, length), "b": values(9, length)}
    constants = [models.const("g", values(length)), models.const("c", values(length))]
    nodes = [helper.make_node("Add", ["a", "b"], ["s"]),
             helper.make_node("LayerNormalization", ["s", "g", "c"], ["n"], axis=-1, epsilon=1e-3), helper.make_node("Relu", ["n"], ["y"])]
    check(graph(nodes, feed, ["y", "s"], constants), feed, 1 if length > 7 else None)


def test_layer_norm_over_two_dimensions():
    feed = {"x": values(6, 5, 33)}
    nodes = [helper.make_node("LayerNormalization", ["x", "g", "c"], ["y"], axis=1)]
    check(graph(nodes, feed, ["y"], [models.const("g", values(5, 33)), models.const("c", values(5, 33))]), feed)


@pytest.mark.parametrize("op", ["ReduceMax", "ReduceMin", "ReduceMean", "ReduceProd", "ReduceL2", "ReduceLogSumExp", "ReduceSumSquare"])
@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("length", LENGTHS)
def test_reductions(op, keep, length):
    feed = {"x": values(5, length)}
    check(graph([helper.make_node(op, ["x"], ["y"], axes=[1], keepdims=keep)], feed, ["y"]), feed)


@pytest.mark.parametrize("length", [33, 100000])
def test_one_row(length):
    """No loop over rows: a sum of everything."""
    feed = {"x": values(length)}
    check(graph([helper.make_node("ReduceMean", ["x"], ["y"], axes=[0], keepdims=0)], feed, ["y"]), feed, 1)


def test_more_buffers_than_a_kernel_binds():
    feed = {f"x{i}": values(5, 33) for i in range(12)}
    nodes = [helper.make_node("Sum", list(feed), ["s"]), helper.make_node("Softmax", ["s"], ["p"]), *(
        helper.make_node("Mul", ["p", name], ["y" + name]) for name in feed)]
    check(graph(nodes, feed, ["y" + name for name in feed]), feed)


def test_rows_without_elements():
    feed = {"x": values(3, 0)}
    got = check(graph([helper.make_node("ReduceProd", ["x"], ["y"], axes=[1], keepdims=0)], feed, ["y"]), feed)
    np.testing.assert_array_equal(got[0], np.ones(3, np.float32))


def test_integers_are_exact():
    x = RNG.integers(-2**31, 2**31, (4, 999), dtype=np.int64).astype(np.int32)
    made = models.one("ReduceSum", [models.info("x", [4, 999], TensorProto.INT32)], models.info("y", [4], TensorProto.INT32),
                      [models.const("axes", np.array([1]))], keepdims=0)
    got = vulkan.both(made, {"x": x})[0]
    np.testing.assert_array_equal(got, x.sum(1, dtype=np.int32))


def test_special_values():
    """A row of infinities, one with a NaN, one of equal values."""
    x = values(4, 100)
    x[0, 7], x[1, 3], x[2] = np.inf, np.nan, 5
    for op in ("ReduceMax", "ReduceMean"):
        check(graph([helper.make_node(op, ["x"], ["y"], axes=[1], keepdims=0)], {"x": x[[0, 2, 3]]}, ["y"]), {"x": x[[0, 2, 3]]}, 1)
    got = check(graph([helper.make_node("Softmax", ["x"], ["y"])], {"x": x[2:]}, ["y"]), {"x": x[2:]}, 1)[0]
    np.testing.assert_allclose(got[0], 0.01, rtol=1e-6)


def test_the_order_of_a_sum():
    """Lane l folds elements l, l + 128 ..., then halves are added, as docs/Gpu.md says."""
    if vulkan.missing():
        pytest.skip(vulkan.missing())
    x = (values(3, 1000) * 1e4).astype(np.float32)
    made = models.one("ReduceSum", [models.info("x", [3, 1000])], models.info("y", [3]), [models.const("axes", np.array([1]))], keepdims=0)
    got = tamis.compile(made, target="vulkan", cache="off").run(None, {"x": x})[0]
    lanes = np.zeros((3, 128), np.float32)
    for start in range(0, 1000, 128):
        part = x[:, start:start + 128]
        lanes[:, :part.shape[1]] += part
    step = 64
    while step:
        lanes[:, :step] += lanes[:, step:2 * step]
        step //= 2
    np.testing.assert_array_equal(got, lanes[:, 0])
