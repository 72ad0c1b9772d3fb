# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Deltas written back to ONNX: valid, run by ONNX Runtime, with the answers Tamis gives."""
import json

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from support import models

import tamis
from tamis import reference
from tamis.compression import prepare, writer

RNG = np.random.default_rng(0)


def values(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def network():
    """y = gemm(relu(conv(x))), and the activation r is an output too."""
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["c"], name="conv", pads=[1] * 4),
             helper.make_node("Relu", ["c"], ["r"], name="relu"),
             helper.make_node("Flatten", ["r"], ["f"], name="flatten"), helper.make_node("Gemm", ["f", "v", "u"], ["y"], name="gemm")]
    return models.model(nodes, [models.info("x", ["n", 2, 4, 4])], [models.info("y", ["n", 5]), models.info("r", ["n", 6, 4, 4])],
                        [models.const("w", values(6, 2, 3, 3)), models.const("b", values(6)), models.const("v", values(96, 5)),
                         models.const("u", values(5))])


def weight(array, dtype="int8", axis=0, block=None):
    """An entry of a delta's weights: symmetric, by the largest value."""
    bits = int(dtype.lstrip("uint"))
    high = 2 ** (bits - 1) - 1
    middle = 2 ** (bits - 1) if dtype[0] == "u" else 0
    if axis is None:
        scale = np.float32(np.abs(array).max() / high)
        spread = scale
    elif block:
        parts = np.stack([np.abs(p).max(axis) for p in np.array_split(array, range(block, array.shape[axis], block), axis)], axis)
        scale = (parts / high).astype(np.float32)
        spread = np.repeat(scale, block, axis)[tuple(slice(0, s) for s in array.shape)]
    else:
        others = tuple(i for i in range(array.ndim) if i != axis)
        scale = (np.abs(array).max(others) / high).astype(np.float32)
        spread = np.expand_dims(scale, others)
    integers = np.clip(np.rint(array / spread), -high, high).astype(np.int64) + middle
    return {"values": integers, "dtype": dtype, "scale": scale, "zero_point": np.full(scale.shape, middle) if middle else None,
            "axis": axis, "block": block}


def arrays(model):
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def quantized_delta(model, activation="uint8"):
    """Conv and gemm in 8 bits, with integer biases."""
    found, entry = arrays(model), {"dtype": activation, "scale": np.float32(0.03), "zero_point": 128 if activation == "uint8" else 0}
    result = {**entry, "scale": np.float32(0.05), "zero_point": 0 if activation == "uint8" else -128}
    weights = {"w": weight(found["w"]), "v": weight(found["v"], axis=1)}
    for bias, name, scale in (("b", "w", 0.03), ("u", "v", 0.05)):
        units = weights[name]["scale"] * np.float32(scale)
        weights[bias] = {"values": np.rint(found[bias] / units).astype(np.int32), "dtype": "int32", "scale": units, "zero_point": None,
                         "axis": 0, "block": None}
    return {"weights": weights, "tensors": {"x": entry, "r": result, "f": result}}


def run(model, x, optimised=False):
    return reference.session(model.SerializeToString(), optimised).run(None, {"x": x})


def snr(got, want):
    return 10 * np.log10((want.astype(np.float64) ** 2).sum() / ((got.astype(np.float64) - want) ** 2).sum())


def test_new_parameters():
    made = network()
    w = values(6, 2, 3, 3)
    written = writer.apply(prepare.prepare(made), {"parameters": {"w": w}})
    np.testing.assert_array_equal(arrays(written)["w"], w)
    np.testing.assert_array_equal(arrays(written)["v"], arrays(made)["v"])


def test_half_precision_parameters_keep_their_type():
    made = models.one("MatMul", [models.info("x", [1, 4], 10)], models.info("y", [1, 4], 10),
                      [models.const("w", np.ones((4, 4), np.float16))])
    written = writer.apply(prepare.prepare(made), {"parameters": {"w": np.full((4, 4), 0.1, np.float32)}})
    assert arrays(written)["w"].dtype == np.float16


@pytest.mark.parametrize("activation", ["uint8", "int8"])
@pytest.mark.parametrize("format", ["qdq", "qoperator"])
def test_quantized(activation, format):
    made = network()
    written = writer.apply(prepare.prepare(made), quantized_delta(made, activation), format=format)
    onnx.checker.check_model(written, full_check=True)
    x = values(3, 2, 4, 4)
    want, got = run(made, x), run(written, x)
    compiled = tamis.compile(written, cache="off").run(None, {"x": x})
    for index, (a, b, c) in enumerate(zip(want, got, compiled)):
        assert snr(b, a) > 25 and snr(c, b) > 35, (index, snr(b, a), snr(c, b))
    ops = [n.op_type for n in written.graph.node]
    if format == "qdq":
        # An output of the model stays the float tensor that its node makes.
        assert next(n for n in written.graph.node if "r" in n.output).op_type == "Relu"
        assert {"w_quantized", "w_scale", "x_zero_point"} <= set(arrays(written)) and "w" not in arrays(written)
        assert ops.count("QuantizeLinear") == 3 and ops.count("DequantizeLinear") == 7
    else:
        # r is an output in float, so its group stays; what is behind it is on integers, with a float result.
        assert "Conv" in ops and "QGemm" in ops and "Gemm" not in ops
    assert sum(len(t.raw_data) for t in written.graph.initializer) < 0.5 * sum(len(t.raw_data) for t in made.graph.initializer)


def test_operators_from_groups():
    """Every operator of the integer form, against the QDQ form of the same delta."""
    entry = {"dtype": "uint8", "scale": np.float32(0.05), "zero_point": 100}
    small = {"dtype": "uint8", "scale": np.float32(0.02), "zero_point": 0}
    build = helper.make_node
    nodes = [build("Conv", ["x", "w", "b"], ["c"], name="conv", pads=[1] * 4), build("Clip", ["c", "low", "high"], ["r"], name="clip"),
             build("MaxPool", ["r"], ["p"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
             build("Sigmoid", ["p"], ["s"], name="sigmoid"),
             build("LeakyRelu", ["s"], ["l"], name="leaky", alpha=0.1), build("Add", ["l", "p"], ["a"], name="add"),
             build("Mul", ["a", "p"], ["m"], name="mul"), build("Concat", ["a", "m"], ["k"], name="concat", axis=1),
             build("AveragePool", ["k"], ["v"], name="average", kernel_shape=[2, 2]), build("GlobalAveragePool", ["v"], ["g"], name="mean"),
             build("Flatten", ["g"], ["f"], name="flatten"), build("MatMul", ["f", "q"], ["d"], name="matmul"),
             build("Gemm", ["d", "h", "u"], ["e"], name="gemm", transB=1), build("Relu", ["e"], ["y"], name="last")]
    made = models.model(nodes, [models.info("x", [2, 2, 8, 8])], [models.info("y", [2, 5])],
                        [models.const("w", values(6, 2, 3, 3)), models.const("b", values(6)), models.const("low", np.float32(0)),
                         models.const("high", np.float32(5.2)), models.const("q", values(12, 7)), models.const("h", values(5, 7)),
                         models.const("u", values(5))])
    found = arrays(made)
    weights = {"w": weight(found["w"]), "q": weight(found["q"], axis=1), "h": weight(found["h"])}
    for bias, name, scale in (("b", "w", 0.05), ("u", "h", 0.05)):
        units = weights[name]["scale"] * np.float32(scale)
        weights[bias] = {"values": np.rint(found[bias] / units), "dtype": "int32", "scale": units, "zero_point": None, "axis": 0}
    tensors = {**dict.fromkeys("xakmvgfd", entry), **dict.fromkeys("rpsl", small), "e": entry}
    prepared = prepare.prepare(made)
    delta = {"weights": weights, "tensors": tensors}
    integer = writer.apply(prepared, delta, format="qoperator")
    onnx.checker.check_model(integer, full_check=True)
    ops = [n.op_type for n in integer.graph.node]
    assert ops == ["QuantizeLinear", "QLinearConv", "MaxPool", "QLinearSigmoid", "QLinearLeakyRelu", "QLinearAdd", "QLinearMul",
                   "QLinearConcat", "QLinearAveragePool", "QLinearGlobalAveragePool", "Flatten", "QLinearMatMul", "QGemm",
                   "DequantizeLinear", "Relu"]
    x = values(2, 2, 8, 8)
    qdq = run(writer.apply(prepared, delta), x)[0]
    operators = run(integer, x)[0]
    np.testing.assert_allclose(operators, qdq, atol=0.11)  # two steps at the end
    np.testing.assert_allclose(tamis.compile(integer, cache="off").run(None, {"x": x})[0], operators, atol=0.11)


@pytest.mark.parametrize("activation", ["uint8", "int8"])
@pytest.mark.parametrize("axis", [None, 1])
def test_product_with_a_float_result(activation, axis):
    made = models.model([helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Erf", ["m"], ["y"])],
                        [models.info("x", [2, 3, 16])], [models.info("y", None)], [models.const("w", values(16, 8))])
    delta = {"weights": {"w": weight(arrays(made)["w"], axis=axis)}, "tensors": {"x": {"dtype": activation, "scale": np.float32(0.03),
                                                                                       "zero_point": 7}}}
    integer, x = writer.apply(prepare.prepare(made), delta, format="qoperator"), values(2, 3, 16)
    assert [n.op_type for n in integer.graph.node] == ["QuantizeLinear", "MatMulIntegerToFloat", "Erf"]
    want = run(writer.apply(prepare.prepare(made), delta), x)[0]
    for got in (run(integer, x)[0], tamis.compile(integer, cache="off").run(None, {"x": x})[0]):
        np.testing.assert_allclose(got, want, atol=1e-5)


def test_clip_that_quantization_does_not_express_stays():
    made = network()
    made.graph.node[1].CopyFrom(helper.make_node("Clip", ["c", "low", "high"], ["r"]))
    made.graph.initializer.extend([models.const("low", np.float32(0)), models.const("high", np.float32(1))])
    del made.graph.output[1:]
    written = writer.apply(prepare.prepare(made), quantized_delta(made), format="qoperator")
    assert {"Clip", "Conv"} <= {n.op_type for n in written.graph.node}


@pytest.mark.parametrize("dtype", ["int4", "uint4", "int2", "uint2", "int16", "uint8"])
@pytest.mark.parametrize("axis, block", [(None, None), (1, None), (0, 24), (0, 40)])
def test_weight_types_and_blocks(dtype, axis, block):
    if dtype == "int16" and block:
        pytest.skip("nobody has 16-bit blocks")
    made = models.model([helper.make_node("MatMul", ["x", "w"], ["y"])], [models.info("x", [2, 96])], [models.info("y", [2, 5])],
                        [models.const("w", values(96, 5))])
    entry = weight(arrays(made)["w"], dtype, axis, block)
    written = writer.apply(prepare.prepare(made), {"weights": {"w": entry}})
    onnx.checker.check_model(written, full_check=True)
    assert next(e.version for e in written.opset_import if not e.domain) == (13 if dtype == "uint8" and not block else
                                                                              25 if "2" in dtype else 21) or dtype == "uint8"
    stored = next(t for t in written.graph.initializer if t.name == "w_quantized")
    bits = int(dtype.lstrip("uint"))
    assert len(stored.raw_data) == 480 * bits // 8
    np.testing.assert_array_equal(numpy_helper.to_array(stored).astype(np.int64), entry["values"])
    middle = 0 if entry["zero_point"] is None else 2 ** (bits - 1)
    scale = entry["scale"] if axis is None or not block else np.repeat(entry["scale"], block, 0)[:96]
    x = values(2, 96)
    want = x @ ((entry["values"] - middle) * scale).astype(np.float32)
    np.testing.assert_allclose(tamis.compile(written, cache="off").run(None, {"x": x})[0], want, rtol=1e-3, atol=1e-3)
    if "2" not in dtype:  # ONNX Runtime has no 2-bit DequantizeLinear
        np.testing.assert_allclose(run(written, x)[0], want, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_weights(dtype):
    made = models.one("MatMul", [models.info("x", [2, 8])], models.info("y", [2, 4]), [models.const("w", values(8, 4))])
    written = writer.apply(prepare.prepare(made), {"weights": {"w": {"values": arrays(made)["w"], "dtype": dtype, "scale": np.float32(1)}}})
    x = values(2, 8)
    np.testing.assert_allclose(run(written, x)[0], run(made, x)[0], atol=0.1)
    assert arrays(written)[f"w_{dtype}"].dtype.itemsize == 2


def test_readers_inside_a_branch_read_the_integers():
    body = [helper.make_graph([helper.make_node(op, ["a"], [f"o{i}"])], f"g{i}", [], [models.info(f"o{i}", None)])
            for i, op in enumerate(("Neg", "Identity"))]
    made = models.model([helper.make_node("Relu", ["x"], ["a"]),
                         helper.make_node("If", ["c"], ["y"], then_branch=body[0], else_branch=body[1])],
                        [models.info("x", [2, 3]), models.info("c", [], onnx.TensorProto.BOOL)], [models.info("y", None)])
    entry = {"dtype": "uint8", "scale": np.float32(0.5), "zero_point": 0}
    written = writer.apply(prepare.prepare(made), {"tensors": {"a": entry}})
    x = np.float32([[0.2, 0.7, 1.1]] * 2)
    got = reference.session(written.SerializeToString()).run(None, {"x": x, "c": np.array(False)})[0]
    np.testing.assert_array_equal(got, [[0, 0.5, 1]] * 2)


def test_only_named_readers_read_the_integers():
    made = models.model([helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Neg", ["a"], ["y"], name="first"),
                         helper.make_node("Abs", ["a"], ["z"])], [models.info("x", [3])], [models.info("y", [3]), models.info("z", [3])])
    entry = {"dtype": "uint8", "scale": np.float32(0.5), "zero_point": 0}
    x = np.float32([0.2, 0.7, 1.1])
    for readers, which in ((["first"], 0), (["z"], 1)):
        got = run(writer.apply(prepare.prepare(made), {"tensors": {"a": {**entry, "readers": readers}}}), x)
        np.testing.assert_array_equal(np.abs(got[which]), np.float32([0, 0.5, 1]))
        np.testing.assert_array_equal(np.abs(got[1 - which]), x)


def test_factor_before_quantization():
    made = models.model([helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Neg", ["a"], ["y"])], [models.info("x", [2, 2])],
                        [models.info("y", [2, 2])])
    entry = {"dtype": "uint8", "scale": np.float32(0.5), "zero_point": 0, "factor": np.float32([[1, 10]])}
    got = run(writer.apply(prepare.prepare(made), {"tensors": {"a": entry}}), np.float32([[1.1, 0.11], [0.2, 0.3]]))[0]
    np.testing.assert_array_equal(got, -np.float32([[1, 1], [0, 3]]))


def test_metadata_is_kept_and_recipes_grow():
    made = models.linear(2)
    first = writer.apply(prepare.prepare(made), {}, step={"prune": {"sparsity": 0.5}})
    second = writer.apply(prepare.prepare(first), {}, step={"quantize": {}})
    entries = {e.key: e.value for e in second.metadata_props}
    assert entries["author"] == "somebody" and entries["tamis.version"] == tamis.__version__
    assert json.loads(entries["tamis.recipe"]) == [{"prune": {"sparsity": 0.5}}, {"quantize": {}}]


def test_sparse_initializers():
    made = models.model([helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("MatMul", ["h", "v"], ["y"])],
                        [models.info("x", [2, 32])], [models.info("y", [2, 32])],
                        [models.const("w", values(32, 32)), models.const("v", values(32, 32))])
    pruned = arrays(made)["w"] * (RNG.random((32, 32)) < 0.1)
    written = writer.apply(prepare.prepare(made), {"parameters": {"w": pruned}}, zeros="sparse_initializer")
    onnx.checker.check_model(written)  # its shape inference knows no sparse initializers
    assert [t.values.name for t in written.graph.sparse_initializer] == ["w"] and list(arrays(written)) == ["v"]
    x = values(2, 32)
    want = x @ pruned @ arrays(made)["v"]
    for got in (run(written, x)[0], tamis.compile(written, cache="off").run(None, {"x": x})[0]):
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-3)
    # What came in sparse goes out sparse.
    again = writer.apply(prepare.prepare(written), {"parameters": {"v": arrays(made)["v"] * 2}})
    assert [t.values.name for t in again.graph.sparse_initializer] == ["w"]


BAD = [({"scale": np.float32(0)}, "expected a positive finite scale, got"), ({"scale": np.float32("nan")}, "positive finite scale"),
       ({"scale": np.float32(-1)}, "positive finite scale"), ({"zero_point": 256}, "zero point from 0 to 255, got 256"),
       ({"dtype": "float8e4m3"}, "cannot store the type"), ({"scale": np.float32([1, 2])}, "2 scales, but no axis")]


@pytest.mark.parametrize("change, message", BAD)
def test_bad_quantization_is_refused(change, message):
    entry = {"dtype": "uint8", "scale": np.float32(0.5), "zero_point": 0, **change}
    with pytest.raises(tamis.Error, match=f"tensor 'x'.*{message}"):
        writer.apply(prepare.prepare(network()), {"tensors": {"x": entry}})


@pytest.mark.parametrize("delta, message", [
    ({"parameters": {"nobody": np.zeros(3)}}, "no initializer 'nobody'"), ({"parameters": {"w": np.zeros(3)}}, "its new values have"),
    ({"parameters": {"b": np.full(6, np.nan)}}, "are not finite"), ({"tensors": {"nobody": {"dtype": "uint8", "scale": 1.0}}},
                                                                    "no tensor 'nobody'"),
    ({"weights": {"nobody": {"values": 0, "dtype": "int8", "scale": 1.0}}}, "no initializer 'nobody'"),
    ({"weights": {"b": {"values": np.zeros(5), "dtype": "int8", "scale": 1.0}}}, "its integers have"),
    ({"weights": {"b": {"values": np.full(6, 200), "dtype": "int8", "scale": 1.0}}}, "do not fit int8")])
def test_bad_deltas_are_refused(delta, message):
    with pytest.raises(tamis.Error, match=message):
        writer.apply(prepare.prepare(network()), delta)
