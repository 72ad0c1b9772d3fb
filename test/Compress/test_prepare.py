# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A prepared model computes what it did: normalizations folded, constants and shared parameters in the form to compress."""
import numpy as np
import onnx
import pytest
from onnx import helper
from support import models

import tamis
from tamis import reference
from tamis.compression import opset, prepare, storage

RNG = np.random.default_rng(0)


def values(*shape, low=None):
    array = RNG.standard_normal(shape).astype(np.float32)
    return array if low is None else np.abs(array) + np.float32(low)


def normalization(name, channels, data, result):
    """The node and its parameters."""
    parameters = [models.const(f"{name}{i}", values(channels, low=0.1 if i in (0, 3) else None)) for i in range(4)]
    return helper.make_node("BatchNormalization", [data, *(p.name for p in parameters)], [result], name=name, epsilon=1e-3), parameters


def same(before, prepared, shape, nodes, tolerance=1e-5):
    """The prepared model has these operators and the same results."""
    assert [n.op_type for n in prepared.model.graph.node] == nodes
    onnx.checker.check_model(prepared.model, full_check=True)
    x = values(*shape)
    want, got = (reference.session(m.SerializeToString()).run(None, {"x": x}) for m in (before, prepared.model))
    for a, b in zip(want, got):
        assert a.shape == b.shape
        np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance * np.abs(a).max())


CONVOLUTIONS = [("Conv", (6, 4, 3, 3), {}), ("Conv", (6, 2, 3, 3), {"group": 2}), ("Conv", (4, 1, 3, 3), {"group": 4}),
                ("ConvTranspose", (4, 6, 2, 2), {"strides": [2, 2]}), ("ConvTranspose", (4, 3, 2, 2), {"group": 2})]


@pytest.mark.parametrize("op, shape, attributes", CONVOLUTIONS)
@pytest.mark.parametrize("bias", [False, True])
def test_normalization_behind_a_convolution(op, shape, attributes, bias):
    channels = shape[0] if op == "Conv" else shape[1] * attributes.get("group", 1)
    node, parameters = normalization("bn", channels, "c", "y")
    initializers = [models.const("w", values(*shape)), *parameters] + ([models.const("b", values(channels))] if bias else [])
    made = models.model([helper.make_node(op, ["x", "w"] + ["b"] * bias, ["c"], name="conv", **attributes), node],
                        [models.info("x", [2, 4, 8, 8])], [models.info("y", None)], initializers)
    prepared = prepare.prepare(made)
    same(made, prepared, (2, 4, 8, 8), [op])
    assert prepared.folded == ["bn"] and len(made.graph.node) == 2  # the caller's model is untouched
    assert prepared.model.graph.node[0].input[1] == "w"


def test_normalization_behind_gemm():
    for transposed in (0, 1):
        node, parameters = normalization("bn", 5, "c", "y")
        made = models.model([helper.make_node("Gemm", ["x", "w", "b"], ["c"], beta=0.5, transB=transposed), node],
                            [models.info("x", [3, 7])], [models.info("y", None)],
                            [models.const("w", values(*((5, 7) if transposed else (7, 5)))), models.const("b", values(5)), *parameters])
        same(made, prepare.prepare(made), (3, 7), ["Gemm"])


@pytest.mark.parametrize("op, constant, left", [("Mul", (6, 1, 1), True), ("Add", (1, 6, 1, 1), True), ("Sub", (6, 1, 1), False),
                                                ("Sub", (), True), ("Div", (6, 1, 1), True), ("Mul", (1,), False)])
def test_arithmetic_behind_a_convolution(op, constant, left):
    made = models.model([helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node(op, ["c", "k"] if left else ["k", "c"], ["y"])],
                        [models.info("x", [2, 4, 8, 8])], [models.info("y", None)],
                        [models.const("w", values(6, 4, 3, 3)), models.const("k", np.asarray(values(*constant, low=0.3), np.float32))])
    same(made, prepare.prepare(made), (2, 4, 8, 8), ["Conv"])


@pytest.mark.parametrize("constant", [(8,), (6, 8, 1), (6, 1, 8)])
def test_keeps_arithmetic_that_is_not_per_channel(constant):
    made = models.model([helper.make_node("Conv", ["x", "w"], ["c"], pads=[1] * 4), helper.make_node("Mul", ["c", "k"], ["y"])],
                        [models.info("x", [2, 4, 8, 8])], [models.info("y", None)],
                        [models.const("w", values(6, 4, 3, 3)), models.const("k", values(*constant))])
    same(made, prepare.prepare(made), (2, 4, 8, 8), ["Conv", "Mul"])


@pytest.mark.parametrize("pads", [[0] * 4, [1] * 4])
def test_normalization_before_a_convolution(pads):
    node, parameters = normalization("bn", 4, "x", "n")
    made = models.model([node, helper.make_node("Conv", ["n", "w"], ["y"], pads=pads, group=2)],
                        [models.info("x", [2, 4, 8, 8])], [models.info("y", None)], [models.const("w", values(6, 2, 3, 3)), *parameters])
    # Padding is zero behind the normalization, not before it.
    same(made, prepare.prepare(made), (2, 4, 8, 8), ["BatchNormalization", "Conv"] if any(pads) else ["Conv"])


def test_keeps_what_somebody_else_reads():
    node, parameters = normalization("bn", 6, "c", "y")
    made = models.model([helper.make_node("Conv", ["x", "w"], ["c"]), node, helper.make_node("Relu", ["c"], ["z"])],
                        [models.info("x", [2, 4, 8, 8])], [models.info("y", None), models.info("z", None)],
                        [models.const("w", values(6, 4, 3, 3)), *parameters])
    same(made, prepare.prepare(made), (2, 4, 8, 8), ["Conv", "BatchNormalization", "Relu"])


def test_shared_weight_and_bias_get_copies():
    first, parameters = normalization("bn", 4, "c", "d")
    made = models.model([helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1] * 4, name="one"), first,
                         helper.make_node("Conv", ["d", "w", "b"], ["y"], name="two")],
                        [models.info("x", [2, 4, 8, 8])], [models.info("y", None)],
                        [models.const("w", values(4, 4, 3, 3)), models.const("b", values(4)), *parameters])
    prepared = prepare.prepare(made)
    same(made, prepared, (2, 4, 8, 8), ["Conv", "Conv"])
    read = [name for node in prepared.model.graph.node for name in node.input[1:]]
    assert len(set(read)) == 4


def test_constants_and_identities_become_initializers():
    weight = helper.make_tensor("t", 1, [4, 4, 1, 1], values(4, 4, 1, 1).tobytes(), raw=True)
    made = models.model([helper.make_node("Constant", [], ["w"], value=weight), helper.make_node("Identity", ["w"], ["v"]),
                         helper.make_node("Identity", ["v"], ["u"]), helper.make_node("Conv", ["x", "u"], ["c"]),
                         helper.make_node("Conv", ["c", "v"], ["y"])], [models.info("x", [1, 4, 5, 5])], [models.info("y", None)])
    prepared = prepare.prepare(made)
    same(made, prepared, (1, 4, 5, 5), ["Conv", "Conv"])
    assert [t.name for t in prepared.model.graph.initializer] == ["w"]


def test_sparse_initializer_becomes_dense_and_is_remembered():
    sparse = onnx.SparseTensorProto(dims=[8, 4])
    sparse.values.CopyFrom(models.const("w", np.float32([2, 3])))
    sparse.indices.CopyFrom(models.const("", np.int64([[0, 1], [7, 3]])))
    made = models.model([helper.make_node("MatMul", ["x", "w"], ["y"])], [models.info("x", [2, 8])], [models.info("y", [2, 4])])
    made.graph.sparse_initializer.append(sparse)
    prepared = prepare.prepare(made)
    dense = onnx.numpy_helper.to_array(prepared.model.graph.initializer[0])
    assert prepared.sparse == ["w"] and dense.shape == (8, 4) and dense[0, 1] == 2 and dense[7, 3] == 3 and np.count_nonzero(dense) == 2
    made.graph.sparse_initializer[0].indices.CopyFrom(models.const("", np.int64([[0, 1], [8, 3]])))
    with pytest.raises(tamis.Error, match="index outside its shape"):
        prepare.prepare(made)


def test_initializers_listed_as_inputs():
    made = models.linear(2)
    made.ir_version = 3
    made.graph.input.extend([models.info("w", [8, 4]), models.info("b", [4])])
    prepared = prepare.prepare(made)
    assert [i.name for i in prepared.model.graph.input] == ["x"] and prepared.model.ir_version >= 4


@pytest.mark.parametrize("least", [13, 21])
def test_opset_is_raised(least):
    made = models.model([helper.make_node("Squeeze", ["x"], ["s"], axes=[1]), helper.make_node("ReduceSum", ["s"], ["r"], axes=[1]),
                         helper.make_node("Softmax", ["r"], ["y"], axis=1)],
                        [models.info("x", [2, 1, 3, 4])], [models.info("y", None)], opset=9)
    entry = made.metadata_props.add()
    entry.key, entry.value = "author", "somebody"
    prepared = prepare.prepare(made, least_opset=least)
    assert opset.opset(prepared.model) == least and prepared.model.ir_version >= (10 if least == 21 else 7)
    assert prepared.model.metadata_props[0].value == "somebody"
    x = values(2, 1, 3, 4)
    want, got = (reference.session(m.SerializeToString()).run(None, {"x": x})[0] for m in (made, prepared.model))
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_opset_that_cannot_be_raised_is_refused():
    made = models.model([helper.make_node("Upsample", ["x", "s"], ["y"], mode="linear")], [models.info("x", [1, 1, 4, 4])],
                        [models.info("y", None)], [models.const("s", np.float32([1, 1, 2, 2]))], opset=9)
    made.functions.append(helper.make_function("local", "f", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])],
                                               [helper.make_opsetid("", 9)]))
    with pytest.raises(tamis.Error, match="cannot raise opset 9 to 13"):
        prepare.prepare(made, least_opset=13)


def test_integer_weights_become_floats_on_their_grid():
    integers = RNG.integers(-7, 8, (6, 8)).astype(np.int8)
    integers[0, :4] = 3  # the zero point of its row
    nodes = [helper.make_node("DequantizeLinear", ["q", "s", "z"], ["w"], axis=0),
             helper.make_node("Transpose", ["w"], ["t"]), helper.make_node("MatMul", ["x", "t"], ["y"])]
    scale, zero = values(6, low=0.01), np.int8([3, 0, 0, 1, 0, -2])
    made = models.model(nodes, [models.info("x", [2, 8])], [models.info("y", [2, 6])],
                        [models.const("q", integers), models.const("s", scale), models.const("z", zero)])
    prepared = prepare.prepare(made, lift=True)
    same(made, prepared, (2, 8), ["Transpose", "MatMul"], 1e-6)
    weight = onnx.numpy_helper.to_array(prepared.model.graph.initializer[0])
    assert prepared.model.graph.initializer[0].name == "w" and not weight[0, :4].any()
    np.testing.assert_array_equal(prepare.requantize(weight, prepared.grids["w"]), integers)


@pytest.mark.parametrize("given, message", [(b"nonsense", "not a valid ONNX"), (b"", "has no ONNX graph|not a valid"), (3, "got int"),
                                            ("/nowhere/model.onnx", "cannot read the model"), ("/", "found a folder")])
def test_what_is_no_model(given, message):
    with pytest.raises(tamis.Error, match=message):
        prepare.prepare(given)


def test_external_data_is_read_and_written(tmp_path):
    made = models.model([helper.make_node("MatMul", ["x", "w"], ["y"])], [models.info("x", [1, 64])], [models.info("y", [1, 64])],
                        [models.const("w", values(64, 64))])
    want = made.SerializeToString()
    storage.save(made, tmp_path / "m.onnx", external=True)
    assert made.SerializeToString() == want, "saving changed the model"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.onnx", "m.onnx.data"] and (tmp_path / "m.onnx").stat().st_size < 1000
    loaded = storage.load(tmp_path / "m.onnx")
    assert loaded.external
    storage.save(loaded.model, tmp_path / "plain.onnx")
    for path in ("m.onnx", "plain.onnx"):
        got = reference.session(str(tmp_path / path)).run(None, {"x": np.ones((1, 64), np.float32)})[0]
        np.testing.assert_allclose(got[0], onnx.numpy_helper.to_array(made.graph.initializer[0]).sum(0), rtol=1e-4, atol=1e-5)


def test_a_failed_write_leaves_nothing(tmp_path):
    (tmp_path / "m.onnx").mkdir()
    with pytest.raises(tamis.Error, match="cannot write the model"):
        storage.save(models.linear(2), tmp_path / "m.onnx", external=True)
    assert [p.name for p in tmp_path.iterdir() if p.name != "m.onnx.data"] == ["m.onnx"]
