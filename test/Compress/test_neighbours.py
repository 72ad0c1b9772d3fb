# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What stands beside a layer must not feel what is done to it: bodies that read its weight, other readers of its input, sums
along other axes. Models are compared with their float selves in ONNX Runtime."""
import os
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from support import models

import tamis
from tamis import reference
from tamis.compression import table

build = helper.make_node
random = None


@pytest.fixture(autouse=True)
def same_values():
    """Whatever ran before."""
    global random  # pylint: disable=global-statement
    random = np.random.default_rng(0)


def values(*shape):
    return random.standard_normal(shape).astype(np.float32)


def network(nodes, inputs, outputs, parameters):
    """`inputs`, `outputs` and `parameters` by name; `p` is a condition."""
    kinds = [models.info(name, shape) if name != "p" else helper.make_tensor_value_info("p", onnx.TensorProto.BOOL, []) for name, shape in inputs.items()]
    return models.model(nodes, kinds, [models.info(name, shape) for name, shape in outputs.items()],
                        [models.const(name, array) for name, array in parameters.items()])


def body(nodes, result, shape):
    return helper.make_graph(nodes, "body", [], [helper.make_tensor_value_info(result, onnx.TensorProto.FLOAT, shape)])


def least_snr(made, original, feeds):
    """Of all outputs over all feeds, in dB."""
    least = np.inf
    runs = [reference.session(m.SerializeToString()) for m in (original, made)]
    for feed in feeds:
        for want, got in zip(*(session.run(None, feed) for session in runs)):
            noise = ((got.astype(np.float64) - want) ** 2).sum()
            least = min(least, 10 * np.log10((want.astype(np.float64) ** 2).sum() / max(noise, 1e-30)))
    return least


def test_a_body_reads_the_weight_that_takes_a_factor_up():
    shape = [1, 4, 5, 5]
    branch = build("If", ["p"], ["z"], name="if", then_branch=body([build("Conv", ["x", "w"], ["t"])], "t", shape),
                   else_branch=body([build("Relu", ["x"], ["e"])], "e", shape))
    made = network([build("Conv", ["x", "w", "b"], ["c"], name="conv"), build("Mul", ["c", "s"], ["y"], name="scale"), branch],
                   {"x": shape, "p": []}, {"y": shape, "z": shape},
                   {"w": values(4, 4, 1, 1), "b": values(4), "s": np.full((1, 4, 1, 1), 3, np.float32)})
    feeds = [{"x": values(*shape), "p": np.array(True)} for _ in range(4)]
    assert least_snr(tamis.quantize(made, feeds), made, feeds) > 35


# One channel is far larger than the others, so that it is smoothed.
LARGE = np.where(np.arange(32) == 3, 50, 1).astype(np.float32)


@pytest.mark.parametrize("beside", [[build("Mul", ["n", "n"], ["h"])],
                                    [build("Sigmoid", ["n"], ["g"]), build("Mul", ["n", "g"], ["h"])]])
def test_a_factor_does_not_pass_what_multiplies_a_tensor_with_itself(beside):
    nodes = [build("Mul", ["x", "large"], ["n"]), *beside, build("MatMul", ["h", "w"], ["y"], name="product")]
    made = network(nodes, {"x": [8, 32]}, {"y": [8, 16]}, {"large": LARGE, "w": values(32, 16)})
    feeds = [{"x": values(8, 32)} for _ in range(8)]
    smoothed, plain = (least_snr(tamis.quantize(made, feeds, corrections=c), made, feeds) for c in (["smooth"], []))
    assert smoothed > plain - 3 and smoothed > 15


@pytest.mark.parametrize("other", ["Sigmoid", "LayerNormalization", "ReduceL2", "Softmax"])
def test_float_readers_of_a_smoothed_tensor(other):
    nodes = [build("MatMul", ["x", "w1"], ["h"], name="first"), build("MatMul", ["h", "w2"], ["y"], name="second"),
             build(other, ["h", "ones"] if other == "LayerNormalization" else ["h"], ["z"])]
    made = network(nodes, {"x": [8, 16]}, {"y": [8, 16], "z": None},
                   {"w1": values(16, 32) * LARGE, "w2": values(32, 16), "ones": np.ones(32, np.float32)})
    feeds = [{"x": values(8, 16)} for _ in range(8)]
    smoothed, plain = (least_snr(tamis.quantize(made, feeds, corrections=c), made, feeds) for c in (["smooth"], []))
    assert smoothed > plain - 3 and smoothed > 10


@pytest.mark.parametrize("corrections", [["equalization"], ["activation_equalization"]])
def test_a_reduction_reads_what_could_be_equalized(corrections):
    nodes = [build("MatMul", ["x", "w1"], ["h"], name="first"), build("Relu", ["h"], ["r"]), build("MatMul", ["r", "w2"], ["y"], name="second"),
             build("LayerNormalization", ["r", "ones"], ["z"]), build("ReduceMean", ["r"], ["m"], axes=[-1])]
    made = network(nodes, {"x": [8, 16]}, {"y": [8, 16], "z": [8, 32], "m": [8, 1]},
                   {"w1": values(16, 32), "w2": values(32, 16), "ones": np.ones(32, np.float32)})
    feeds = [{"x": values(8, 16)} for _ in range(8)]
    assert least_snr(tamis.quantize(made, feeds, corrections=corrections), made, feeds) > 30


def test_a_body_reads_a_smoothed_tensor():
    branch = build("If", ["p"], ["y"], name="if", then_branch=body([build("MatMul", ["n", "w"], ["t"], name="inner")], "t", [8, 32]),
                   else_branch=body([build("Softmax", ["n"], ["e"])], "e", [8, 32]))
    nodes = [build("LayerNormalization", ["x", "large"], ["n"]), branch, build("Sigmoid", ["n"], ["z"]),
             build("MatMul", ["x", "w0"], ["y0"], name="top")]
    made = network(nodes, {"x": [8, 32], "p": []}, {"y": [8, 32], "z": [8, 32], "y0": [8, 32]},
                   {"large": LARGE, "w": values(32, 32), "w0": values(32, 32)})
    feeds = [{"x": values(8, 32), "p": np.array(i % 2 == 0)} for i in range(8)]
    assert least_snr(tamis.quantize(made, feeds, corrections=["smooth"]), made, feeds) > 25


def with_addend(shape):
    """Two products whose hidden channel 3 is always 5; the second one has as many rows as columns, and adds `shape`."""
    w1, b1 = values(8, 16), values(16)
    w1[:, 3], b1[3] = 0, 5
    nodes = [build("MatMul", ["x", "w1"], ["h"], name="first"), build("Add", ["h", "b1"], ["s"]), build("Relu", ["s"], ["r"]),
             build("MatMul", ["r", "w2"], ["c"], name="second"), build("Add", ["c", "b2"], ["y"])]
    return network(nodes, {"x": [4, 8]}, {"y": [4, 4]}, {"w1": w1, "b1": b1, "w2": values(16, 4), "b2": values(*shape)})


@pytest.mark.parametrize("shape", [(4,), (1, 4), (4, 1)])
def test_an_addend_along_another_axis_is_no_bias(shape):
    made = with_addend(shape)
    feeds = [{"x": values(4, 8)} for _ in range(6)]
    assert least_snr(tamis.prune(made, dead_channels=True), made, feeds) > 100
    assert least_snr(tamis.quantize(made, feeds, corrections=["bias"]), made, feeds) > 25


def test_channels_leave_beside_an_addend_times_zero():
    nodes = [build("Gemm", ["x", "w1", "c1"], ["h"], name="first", beta=0.0), build("Relu", ["h"], ["r"]),
             build("Gemm", ["r", "w2"], ["y"], name="second")]
    made = network(nodes, {"x": [4, 16]}, {"y": [4, 16]}, {"w1": values(16, 32), "c1": values(4, 32), "w2": values(32, 16)})
    pruned = tamis.prune(made, pattern="channel", sparsity=0.5, protect=False)
    assert reference.session(pruned.SerializeToString()).run(None, {"x": values(4, 16)})[0].shape == (4, 16)
    assert sum(t.dims[0] for t in pruned.graph.initializer if t.name == "w2") == 16


def test_codes_of_another_step_keep_their_type():
    """Two values would fit two bits, which the model's operator set does not have."""
    made = network([build("MatMul", ["x", "w1"], ["h"], name="first"), build("Relu", ["h"], ["r"]), build("MatMul", ["r", "w2"], ["y"], name="second")],
                   {"x": [2, 32]}, {"y": [2, 32]}, {"w1": np.where(values(32, 32) > 0, np.float32(0.5), np.float32(-0.25)), "w2": values(32, 32)})
    coded = tamis.quantize(made, weights="codebook5", per_channel=False)
    pruned = tamis.prune(coded, sparsity=0.5, protect=False, nodes_to_exclude=["first"])
    onnx.checker.check_model(pruned, full_check=True)
    assert {t.data_type for t in pruned.graph.initializer if "codes" in t.name} == {onnx.TensorProto.UINT8}
    kept, = (numpy_helper.to_array(t) for t in pruned.graph.initializer if t.name == "w1_codebook")
    assert sorted(kept) == [-0.25, 0.5]


def test_several_inputs_are_written_in_their_order(tmp_path):
    """Whatever the order of strings in a process's sets."""
    names = [f"input{i}" for i in range(6)]
    nodes = [build("MatMul", [name, "w"], [f"h{i}"], name=f"layer{i}") for i, name in enumerate(names)] + [build("Sum", [f"h{i}" for i in range(6)], ["y"])]
    made = network(nodes, {name: [4, 16] for name in names}, {"y": [4, 16]}, {"w": values(16, 16)})
    onnx.save(made, tmp_path / "m.onnx")
    np.savez(tmp_path / "d.npz", **{name: values(3, 4, 16) for name in names})
    for seed in "12":
        subprocess.run([sys.executable, "-m", "tamis", "quantize", tmp_path / "m.onnx", "--data", tmp_path / "d.npz", "-o", tmp_path / f"{seed}.onnx"],
                       check=True, env={**os.environ, "PYTHONHASHSEED": seed}, stdout=subprocess.DEVNULL)
    assert (tmp_path / "1.onnx").read_bytes() == (tmp_path / "2.onnx").read_bytes()


def twins():
    """Two products with one weight."""
    nodes = [build("MatMul", ["x", "w"], ["h"], name="a"), build("Relu", ["h"], ["r"]), build("MatMul", ["r", "w"], ["y"], name="b")]
    return network(nodes, {"x": [2, 32]}, {"y": [2, 32]}, {"w": values(32, 32)})


def shares_of_zeros(model):
    """{layer: share} of the float weights of MatMul nodes."""
    arrays = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    return {n.name: round(float((arrays[n.input[1]] == 0).mean()), 2) for n in model.graph.node if n.op_type == "MatMul"}


@pytest.mark.parametrize("layer, other", ["ab", "ba"])
def test_layers_with_one_weight_are_asked_for_one_by_one(layer, other):
    made = twins()
    assert shares_of_zeros(tamis.prune(made, protect=False, nodes_to_exclude=[layer])) == {layer: 0, other: 0.5}
    assert shares_of_zeros(tamis.prune(made, protect=False, overrides={layer: {"sparsity": 0.9}})) == {layer: 0.9, other: 0.5}
    quantized = tamis.quantize(made, activations=None, nodes_to_exclude=[layer])
    reads = {n.name: n.input[1] for n in quantized.graph.node if n.op_type == "MatMul"}
    floats = {t.name for t in quantized.graph.initializer if t.data_type == onnx.TensorProto.FLOAT}
    assert reads[layer] in floats and reads[other] not in floats
    narrow = tamis.quantize(made, activations=None, overrides={layer: {"weights": "int4"}})
    assert {t.data_type for t in narrow.graph.initializer if t.name.endswith("_quantized")} == {onnx.TensorProto.INT4, onnx.TensorProto.INT8}


@pytest.mark.parametrize("movement", ["one", "two"])
@pytest.mark.parametrize("layer, other", ["ab", "ba"])
def test_layers_with_one_turned_weight_are_asked_for_one_by_one(layer, other, movement):
    nodes = [build("Transpose", ["w"], ["t"], perm=[1, 0]), build("MatMul", ["x", "t"], ["h"], name="a"), build("Relu", ["h"], ["r"]),
             build("Transpose", ["w"], ["u"], perm=[1, 0]), build("MatMul", ["r", "t" if movement == "one" else "u"], ["y"], name="b")]
    made = network(nodes, {"x": [2, 32]}, {"y": [2, 32]}, {"w": values(32, 32)})
    for changed in (tamis.prune(made, protect=False, nodes_to_exclude=[layer]), tamis.quantize(made, activations=None, nodes_to_exclude=[layer])):
        onnx.checker.check_model(changed, full_check=True)
        want, found = numpy_helper.to_array(made.graph.initializer[0]), table.weights(changed)
        assert (found[layer].values() == want).all() and (found[other].values() != want).any()


@pytest.mark.parametrize("kept, changed", [("top", "inner"), ("if", "top"), ("inner", "top")])
def test_a_body_and_a_layer_with_one_weight_are_asked_for_one_by_one(kept, changed):
    branch = build("If", ["p"], ["z"], name="if", then_branch=body([build("MatMul", ["x", "w"], ["t"], name="inner")], "t", [2, 32]),
                   else_branch=body([build("Relu", ["x"], ["e"])], "e", [2, 32]))
    made = network([build("MatMul", ["x", "w"], ["y"], name="top"), branch], {"x": [2, 32], "p": []}, {"y": [2, 32], "z": [2, 32]}, {"w": values(32, 32)})
    feed = {"x": values(2, 32), "p": np.array(True)}
    want = dict(zip(("top", "inner"), reference.session(made.SerializeToString()).run(None, feed)))
    for result in (tamis.prune(made, protect=False, nodes_to_exclude=[kept]), tamis.quantize(made, activations=None, nodes_to_exclude=[kept])):
        got = dict(zip(("top", "inner"), reference.session(result.SerializeToString()).run(None, feed)))
        kept_layer = "inner" if kept == "if" else kept
        assert np.array_equal(got[kept_layer], want[kept_layer]) and not np.array_equal(got[changed], want[changed])


def test_layers_with_one_weight_share_it_where_nothing_tells_them_apart():
    assert [t.name for t in tamis.prune(twins(), protect=False).graph.initializer] == ["w"]
    assert [t.name for t in tamis.quantize(twins(), activations=None).graph.initializer if "quantized" in t.name] == ["w_quantized"]


def test_unit_axes_in_front_of_a_product():
    made = network([build("MatMul", ["x", "w"], ["y"], name="product")], {"x": [2, 8, 1, 1, 4]}, {"y": [2, 8, 1, 1, 4]}, {"w": values(4, 4)})
    feeds = [{"x": values(2, 8, 1, 1, 4)} for _ in range(4)]
    assert least_snr(tamis.quantize(made, feeds), made, feeds) > 30
    assert shares_of_zeros(tamis.prune(made, protect=False)) == {"product": 0.5}


@pytest.mark.parametrize("dilations", [[1, 1], [2, 2]])
def test_average_pools_with_dilations_as_operators(dilations):
    nodes = [build("Conv", ["x", "w"], ["c"], name="conv"), build("AveragePool", ["c"], ["p"], kernel_shape=[2, 2], dilations=dilations),
             build("Conv", ["p", "w"], ["y"], name="last")]
    made = models.model(nodes, [models.info("x", [1, 4, 9, 9])], [models.info("y", None)], [models.const("w", values(4, 4, 1, 1))], opset=19)
    feeds = [{"x": values(1, 4, 9, 9)} for _ in range(4)]
    assert least_snr(tamis.quantize(made, feeds, weights="int7", format="qoperator"), made, feeds) > 25


@pytest.mark.parametrize("weights, least", [("uint8", 40), ("uint4", 15)])
def test_one_wide_channel_leaves_the_others_their_signs(weights, least):
    """Channels share a zero point: where the widest one has no negative values, the others have room for theirs all the same."""
    w = 0.1 * values(16, 16)
    w[:, 0] = 10 + 20 * np.abs(w[:, 0])
    made = network([build("MatMul", ["x", "w"], ["y"], name="product")], {"x": [64, 16]}, {"y": [64, 16]}, {"w": w})
    x = values(64, 16)
    quantized = tamis.quantize(made, weights=weights, activations=None)
    want, got = (reference.session(m.SerializeToString()).run(None, {"x": x})[0][:, 1:] for m in (made, quantized))
    assert 10 * np.log10((want**2).sum() / ((want - got)**2).sum()) > least


def test_a_product_of_activations_reads_a_smoothed_tensor():
    nodes = [build("Mul", ["x", "large"], ["n"]), build("MatMul", ["n", "w"], ["y"], name="layer"), build("Transpose", ["n"], ["t"]),
             build("MatMul", ["m", "t"], ["z"], name="scores")]
    made = network(nodes, {"x": [8, 32], "m": [8, 32]}, {"y": [8, 16], "z": [8, 8]}, {"large": LARGE, "w": values(32, 16)})
    feeds = [{"x": values(8, 32), "m": values(8, 32)} for _ in range(8)]
    smoothed, plain = (least_snr(tamis.quantize(made, feeds, attention=True, corrections=c), made, feeds) for c in (["smooth"], []))
    assert smoothed > plain - 3 and smoothed > 15


def test_operators_between_two_types_of_bytes():
    """ONNX Runtime has no QLinearMatMul from unsigned to signed bytes."""
    nodes = [build("MatMul", ["x", "w"], ["h"], name="a"), build("Relu", ["h"], ["r"]), build("MatMul", ["r", "w"], ["y"], name="b")]
    made = network(nodes, {"x": [4, 32]}, {"y": [4, 32]}, {"w": values(32, 32)})
    feeds = [{"x": values(4, 32)} for _ in range(4)]
    mixed = tamis.quantize(made, feeds, weights="int7", overrides={"b": {"activations": "int8"}}, format="qoperator")
    assert least_snr(mixed, made, feeds) > 25


@pytest.mark.parametrize("opset", [9, 11])
def test_operator_sets_that_want_a_third_operand(opset):
    nodes = [build("Gemm", ["x", "w1", "c1"], ["y"], name="first", beta=0.0)]
    made = models.model(nodes, [models.info("x", [4, 16])], [models.info("y", [4, 32])],
                        [models.const("w1", values(16, 32)), models.const("c1", values(4, 32))], opset=opset)
    pruned = tamis.prune(made, protect=False)
    onnx.checker.check_model(pruned, full_check=True)
    assert [o.version for o in pruned.opset_import if not o.domain] == [opset]


@pytest.mark.parametrize("name", ["product", "another"])
def test_a_body_has_a_node_of_the_same_name(name):
    branch = build("If", ["p"], ["y"], name="if", then_branch=body([build("Softmax", ["n"], ["t"], name=name)], "t", [8, 32]),
                   else_branch=body([build("Tanh", ["n"], ["e"])], "e", [8, 32]))
    nodes = [build("LayerNormalization", ["x", "large"], ["n"]), build("MatMul", ["n", "w"], ["z"], name="product"), branch]
    made = network(nodes, {"x": [8, 32], "p": []}, {"y": [8, 32], "z": [8, 32]}, {"large": LARGE, "w": values(32, 32)})
    feeds = [{"x": values(8, 32), "p": np.array(True)} for _ in range(8)]
    assert least_snr(tamis.quantize(made, feeds, corrections=["smooth"]), made, feeds) > 25


def test_an_output_does_not_become_sparse():
    made = network([build("MatMul", ["x", "w"], ["y"], name="product")], {"x": [4, 64]}, {"y": [4, 64], "w": [64, 64]}, {"w": values(64, 64)})
    pruned = tamis.prune(made, sparsity=0.9, protect=False, format="sparse_initializer")
    assert not pruned.graph.sparse_initializer
    assert reference.session(pruned.SerializeToString()).run(None, {"x": values(4, 64)})[1].shape == (64, 64)


def test_entropy_of_a_few_values():
    """Whatever the range, they lie on as many levels: none is cut."""
    made = network([build("MatMul", ["x", "w"], ["y"], name="product")], {"x": [4, 32]}, {"y": [4, 16]}, {"w": values(32, 16)})
    feeds = [{"x": np.where(values(4, 32) > 0, np.float32(2), np.float32(-1))} for _ in range(8)]
    assert least_snr(tamis.quantize(made, feeds, calibration_method="entropy"), made, feeds) > 30


@pytest.mark.parametrize("step", [tamis.prune, lambda model: tamis.quantize(model, activations=None)])
def test_a_damaged_model_is_blamed(step):
    made = with_addend((4,))
    made.graph.initializer[0].raw_data = made.graph.initializer[0].raw_data[:-3]
    with pytest.raises(tamis.Error, match="not a valid ONNX model: |its shape asks for"):
        step(made)


@pytest.mark.parametrize("pattern", ["2:4", "1x4"])
def test_patterns_are_told_along_the_channels_of_a_turned_weight(pattern):
    nodes = [build("Transpose", ["w"], ["t"], perm=[1, 0]), build("MatMul", ["x", "t"], ["y"], name="right"), build("MatMul", ["v", "y"], ["z"], name="left")]
    made = network(nodes, {"x": [64, 64]}, {"z": [32, 32]}, {"w": values(32, 64), "v": values(32, 64)})
    told = []
    tamis.prune(made, pattern=pattern, protect=False, report=told.append)
    assert {layer["layer"]: layer["pattern"] for layer in told[0]["layers"]}["right"] == pattern


def test_factors_of_a_smoothed_layer_are_no_noise():
    made = network([build("MatMul", ["x", "w"], ["y"], name="product")], {"x": [8, 32]}, {"y": [8, 16]}, {"w": values(32, 16)})
    feeds, told = [{"x": values(8, 32) * LARGE} for _ in range(4)], []
    tamis.quantize(made, feeds, corrections=["smooth"], report=told.append)
    assert told[0]["layers"][0]["snr"] > 30 and any("smooth" in note["pass"] and "not" not in note["decision"] for note in told[0]["notes"])


@pytest.mark.parametrize("corrections", [["equalization"], ["activation_equalization"]])
def test_factors_of_an_equalized_layer_are_no_noise(corrections):
    """Also those that a layer takes up which stays float: it was not rounded."""
    nodes = [build("MatMul", ["x", "w1"], ["h"], name="first"), build("Relu", ["h"], ["r"]), build("MatMul", ["r", "w2"], ["y"], name="second")]
    made = network(nodes, {"x": [8, 16]}, {"y": [8, 16]}, {"w1": values(16, 32) * LARGE, "w2": values(32, 16)})
    feeds, told = [{"x": values(8, 16)} for _ in range(4)], []
    tamis.quantize(made, feeds, corrections=corrections, report=told.append)
    assert all(layer["snr"] > 30 for layer in told[0]["layers"])
    tamis.quantize(made, feeds, corrections=corrections, nodes_to_exclude=["second"], report=told.append)
    assert told[1]["layers"][1]["snr"] in (None, np.inf) and told[1]["layers"][1]["dtype"] == "float32"


def test_what_16_bits_hold_is_not_smoothed():
    """The activation rounds no more than it has to; weights would."""
    made = network([build("MatMul", ["x", "w"], ["y"], name="product")], {"x": [8, 32]}, {"y": [8, 16]}, {"w": values(32, 16)})
    feeds = [{"x": values(8, 32) * LARGE} for _ in range(4)]
    smoothed, plain = (least_snr(tamis.quantize(made, feeds, activations="int16", corrections=c), made, feeds) for c in (["smooth"], []))
    assert smoothed > plain - 1 and smoothed > 30


def test_a_weight_that_two_layers_read_through_one_reshape_is_not_smoothed_for_one():
    nodes = [build("Reshape", ["w", "shape"], ["v"]), build("Mul", ["x", "large"], ["n"]), build("MatMul", ["n", "v"], ["y"], name="first"),
             build("MatMul", ["x", "v"], ["z"], name="second")]
    made = network(nodes, {"x": [8, 32]}, {"y": [8, 16], "z": [8, 16]}, {"w": values(16, 32), "shape": np.array([32, 16]), "large": LARGE})
    feeds = [{"x": values(8, 32)} for _ in range(8)]
    smoothed, plain = (least_snr(tamis.quantize(made, feeds, corrections=c), made, feeds) for c in (["smooth"], []))
    assert smoothed > plain - 1


@pytest.mark.parametrize("step", [lambda m, feeds: tamis.quantize(m, feeds), lambda m, feeds: tamis.quantize(m, activations=None),
                                  lambda m, feeds: tamis.prune(m, protect=False)])
def test_weights_on_the_left_alone_are_said_to_stay(step):
    made = network([build("MatMul", ["w", "x"], ["y"], name="product")], {"x": [32, 8]}, {"y": [32, 8]}, {"w": values(32, 32)})
    with pytest.raises(tamis.Error, match="no layer may be (quantized|pruned) .'product': its weights are on the left of the product"):
        step(made, [{"x": values(32, 8)}])


def test_weights_on_the_left_are_told_beside_others():
    nodes = [build("MatMul", ["w", "x"], ["h"], name="left"), build("MatMul", ["h", "v"], ["y"], name="right")]
    made = network(nodes, {"x": [32, 32]}, {"y": [32, 8]}, {"w": values(32, 32), "v": values(32, 8)})
    for step in (lambda report: tamis.quantize(made, activations=None, report=report), lambda report: tamis.prune(made, protect=False, report=report)):
        told = []
        step(told.append)
        left, right = told[0]["layers"]
        assert left["decision"] == "left as it is" and "on the left" in left["reason"]
        assert right["decision"] != "left as it is" and "on the left" not in right["reason"]
