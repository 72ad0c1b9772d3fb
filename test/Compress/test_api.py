# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""tamis.quantize and tamis.prune from end to end: every option, what is kept by a second step, and how bad calls end."""
import json

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from support import models

import tamis
from tamis import reference
from tamis.compression import layers, table

build = helper.make_node


def network(batch="n", seed=0):
    """conv (3 -> 16), BatchNormalization, Relu, conv (16 -> 32), Relu, mean, Gemm (32 -> 5)."""
    rng = np.random.default_rng(seed)

    def values(*shape):
        return (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    nodes = [build("Conv", ["x", "w0", "b0"], ["c0"], name="conv0", pads=[1] * 4),
             build("BatchNormalization", ["c0", *"smvq"], ["n0"], name="bn"),
             build("Relu", ["n0"], ["r0"], name="relu0"), build("Conv", ["r0", "w1", "b1"], ["c1"], name="conv1", pads=[1] * 4),
             build("Relu", ["c1"], ["r1"], name="relu1"), build("Conv", ["r1", "w2"], ["c2"], name="conv2"),
             build("Relu", ["c2"], ["r2"], name="relu2"),
             build("GlobalAveragePool", ["r2"], ["p"], name="pool"), build("Flatten", ["p"], ["f"], name="flatten"),
             build("Gemm", ["f", "w3", "b3"], ["y"], name="gemm", transB=1)]
    parameters = [models.const("w0", values(16, 3, 3, 3)), models.const("b0", values(16)), models.const("s", np.abs(values(16)) + 0.5),
                  models.const("m", values(16)), models.const("v", values(16)), models.const("q", np.abs(values(16)) + 0.5),
                  models.const("w1", values(32, 16, 3, 3)), models.const("b1", values(32)), models.const("w2", values(32, 32, 1, 1)),
                  models.const("w3", values(5, 32)), models.const("b3", values(5))]
    made = models.model(nodes, [models.info("x", [batch, 3, 12, 12])], [models.info("y", [batch, 5])], parameters)
    entry = made.metadata_props.add()
    entry.key, entry.value = "author", "somebody"
    return made


def data(count=8, seed=1):
    return np.random.default_rng(seed).standard_normal((count, 3, 12, 12)).astype(np.float32)


def run(model, x=None):
    return reference.session(model.SerializeToString()).run(None, {"x": data(seed=9) if x is None else x})[0]


def compiled(model, x=None):
    return tamis.compile(model, cache="off").run(None, {"x": data(seed=9) if x is None else x})[0]


def snr(got, want):
    return 10 * np.log10((want.astype(np.float64) ** 2).sum() / max(((got.astype(np.float64) - want) ** 2).sum(), 1e-30))


def weights(model):
    """{layer: float values} of a model in any QDQ form."""
    graph = layers.Graph(model)
    return {layers.node_name(node): layers.weight_values(graph, name, dequantize) for node, _, name, dequantize in layers.weighted(graph)}


def check(model, float_model, least):
    """Valid, close to the float model, the same in ONNX Runtime and Tamis."""
    onnx.checker.check_model(model)
    want, got = run(float_model), run(model)
    assert snr(got, want) > least, snr(got, want)
    assert snr(compiled(model), got) > 30


OPTIONS = [({}, 25), ({"activations": "int8"}, 25), ({"activations": "int16"}, 30), ({"activations": None}, 30), ({"weights": "uint8"}, 25),
           ({"per_channel": False}, 20), ({"symmetric_activations": True, "activations": "int8"}, 20),
           ({"weights": "int4", "block_size": 16}, 8),
           ({"weights": "uint4", "activations": None}, 8), ({"weights": "int6", "activations": None}, 20),
           ({"calibration_method": "moving_average"}, 15),
           ({"calibration_method": "percentile", "percentile": 99.9}, 15), ({"calibration_method": "entropy"}, 10),
           ({"calibration_method": "mse"}, 20), ({"corrections": ["bias"]}, 20), ({"corrections": "equalization"}, 20),
           ({"corrections": ["smoothquant", "gptq"]}, 20), ({"format": "qoperator"}, 20),
           ({"weights": "float16", "activations": None}, 50), ({"weights": "bfloat16", "activations": None}, 30)]


@pytest.mark.parametrize("options, least", OPTIONS, ids=lambda o: "-".join(map(str, o.values())) if isinstance(o, dict) else None)
def test_quantize(options, least):
    made = network()
    before = made.SerializeToString()
    samples = None if options.get("activations", "") is None else data()
    result = tamis.quantize(made, samples, **options)
    assert made.SerializeToString() == before, "the caller's model changed"
    check(result, made, least)
    assert {e.key: e.value for e in result.metadata_props}["author"] == "somebody"
    stored = sum(len(t.raw_data) for t in result.graph.initializer)
    assert stored < 0.62 * sum(len(t.raw_data) for t in made.graph.initializer)


def test_integer_operators():
    ops = [n.op_type for n in tamis.quantize(network(), data(), format="qoperator", corrections=()).graph.node]
    assert "Conv" not in ops and ops.count("QLinearConv") == 3


def test_pruning_reaches_its_share_and_protects():
    made, told = network(), []
    result = tamis.prune(made, sparsity=0.75, report=told)
    zeros = {name: float(np.mean(w == 0)) for name, w in weights(result).items()}
    assert zeros["conv1"] == 0.75 and zeros["conv0"] == zeros["gemm"] == 0
    assert any(e["layer"] == "conv0" and "first layer" in e["reason"] for e in told)
    free = {name: float(np.mean(w == 0)) for name, w in weights(tamis.prune(made, sparsity=0.75, protect=False)).items()}
    assert all(abs(share - 0.75) < 0.01 for share in free.values())
    np.testing.assert_allclose(compiled(result), run(result), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [
    {"pattern": "2:4"}, {"pattern": "1:4"}, {"pattern": "4:8"}, {"pattern": "1x4", "sparsity": 0.8}, {"pattern": "4x1"},
    {"criterion": "random", "seed": 3}, {"criterion": "l1", "pattern": "32x4"}, {"criterion": "l2", "pattern": "channel", "sparsity": 0.25},
    {"threshold": 0.05}, {"scope": "global"}, {"criterion": "wanda"}, {"criterion": "sparsegpt", "pattern": "2:4"},
    {"criterion": "activation", "pattern": "channel", "sparsity": 0.25}, {"format": "sparse_initializer", "sparsity": 0.9}],
    ids=lambda o: "-".join(map(str, o.values())))
def test_prune(options):
    made, told = network(), {}
    result = tamis.prune(made, data(), report=told.update, **options)
    onnx.checker.check_model(result)
    np.testing.assert_allclose(compiled(result), run(result), rtol=1e-3, atol=1e-4)
    row = next(r for r in told["layers"] if r["layer"] == "conv1")
    pattern = options.get("pattern", "")
    if pattern == "channel":
        assert row["shape_after"] != row["shape"] and len(result.SerializeToString()) < len(made.SerializeToString())
    else:
        assert row["sparsity"] > 0.2
    if ":" in pattern:
        most, group = map(int, pattern.split(":"))
        rows = table.matrix(weights(result)["conv1"], "Conv")
        assert (rows.reshape(-1, group) != 0).sum(1).max() <= most and row["pattern"] == pattern
    assert bool(result.graph.sparse_initializer) == (options.get("format") == "sparse_initializer")


def test_gradients(tmp_path):
    made = network()
    rng = np.random.default_rng(4)
    gradients = {name: rng.standard_normal(w.shape).astype(np.float32) for name, w in
                 ((t.name, numpy_helper.to_array(t)) for t in made.graph.initializer)}
    np.savez(tmp_path / "g.npz", **gradients)
    for given in (gradients, tmp_path / "g.npz"):
        pruned = weights(tamis.prune(made, criterion="gradient", gradients=given))["conv1"]
        w = weights(made)["conv1"]
        score = np.abs(w * gradients["w1"])
        assert score[pruned == 0].max() <= score[pruned != 0].min()
    with pytest.raises(tamis.Error, match="no array for the weight 'w1'"):
        tamis.prune(made, criterion="gradient", gradients={})
    with pytest.raises(tamis.Error, match="expected the shape"):
        tamis.prune(made, criterion="gradient", gradients=dict.fromkeys(gradients, np.zeros(3)))


@pytest.mark.parametrize("pattern", ["unstructured", "2:4", "1x4"])
@pytest.mark.parametrize("kinds", [{}, {"weights": "uint8"}, {"weights": "int4", "block_size": 16}], ids=str)
def test_pruned_then_quantized_keeps_zeros(pattern, kinds):
    pruned = tamis.prune(network(), pattern=pattern)
    both = tamis.quantize(pruned, data(), **kinds)
    before, after = weights(pruned), weights(both)
    assert (after["conv1"][before["conv1"] == 0] == 0).all() and np.mean(after["conv1"] == 0) >= 0.5
    if pattern == "2:4":
        assert table.sparsity(both)["conv1"][0] == "2:4"
    check(both, pruned, 8)
    steps = json.loads({e.key: e.value for e in both.metadata_props}["tamis.recipe"])
    assert [next(iter(step)) for step in steps] == ["prune", "quantize"]


@pytest.mark.parametrize("pattern", ["unstructured", "2:4"])
@pytest.mark.parametrize("kinds", [{}, {"weights": "uint8"}, {"weights": "int4", "block_size": 16}], ids=str)
def test_quantized_then_pruned_keeps_the_grid(pattern, kinds):
    quantized = tamis.quantize(network(), data(), **kinds)
    both = tamis.prune(quantized, pattern=pattern)
    before, after = weights(quantized), weights(both)
    zeros = after["conv1"] == 0
    assert np.mean(zeros) >= 0.5
    np.testing.assert_array_equal(after["conv1"][~zeros], before["conv1"][~zeros])
    np.testing.assert_array_equal(after["conv0"], before["conv0"])
    if pattern == "2:4":
        assert table.sparsity(both)["conv1"][0] == "2:4"
    assert [t.data_type for t in both.graph.initializer if t.name == "w1_quantized"] == [
        t.data_type for t in quantized.graph.initializer if t.name == "w1_quantized"]
    assert snr(compiled(both), run(both)) > 30


def test_channels_then_quantized():
    smaller = tamis.prune(network(), pattern="channel", sparsity=0.25)
    both = tamis.quantize(smaller, data())
    assert weights(both)["conv1"].shape[0] == 24
    check(both, smaller, 20)


def test_scopes():
    made = network()

    def integers(**options):
        return {n.op_type + n.name for n, _, _, dequantize in layers.weighted(layers.Graph(tamis.quantize(made, data(), **options)))
                if dequantize is not None}

    assert integers() == {"Convconv0", "Convconv1", "Convconv2", "Gemmgemm"}
    assert "Convconv1" not in integers(nodes_to_exclude=["conv1"])
    assert integers(ignored_scope="conv[02]") == {"Convconv1", "Gemmgemm"}
    assert integers(op_types_to_quantize=["Gemm"]) == {"Gemmgemm"}

    class Ignored:  # nncf.IgnoredScope
        names, patterns, types = ["conv0"], ["g.mm"], []

    assert integers(ignored_scope=Ignored()) == {"Convconv1", "Convconv2"}
    pruned = weights(tamis.prune(made, protect=False, nodes_to_exclude=["conv1"], ignored_scope=["w3"]))
    assert (pruned["conv1"] != 0).all() and (pruned["gemm"] != 0).all() and (pruned["conv0"] == 0).any()


def test_overrides():
    made = network()
    mixed = tamis.quantize(made, data(), overrides={"conv1": {"weights": "int4", "block_size": 16}})
    types = {t.name: t.data_type for t in mixed.graph.initializer}
    assert types["w1_quantized"] == onnx.TensorProto.INT4 and types["w2_quantized"] == onnx.TensorProto.INT8
    pruned = weights(tamis.prune(made, sparsity=0.5, overrides={"conv1": {"sparsity": 0.75}, "conv2": {"pattern": "2:4"}}))
    assert np.mean(pruned["conv1"] == 0) == 0.75 and np.mean(pruned["conv2"] == 0) == 0.5


def test_reports(tmp_path):
    told = {}
    for sink in (told.update, tmp_path / "r.json"):
        tamis.quantize(network(), data(), report=sink)
    rows = {row["layer"]: row for row in told["layers"]}
    assert list(rows) == ["conv0", "conv1", "conv2", "gemm"] and told["folded"] == ["bn"]
    row = rows["conv1"]
    assert (row["op"], row["bits"], row["decision"], row["pattern"]) == ("Conv", 8, "int8", "dense") and row["snr"] > 35
    assert row["bytes_after"] < 0.3 * row["bytes_before"] and "contraction" in row["reason"]
    assert [r["layer"] for r in json.load(open(tmp_path / "r.json"))["layers"]] == list(rows)


def test_calibration_cache(tmp_path):
    cache = str(tmp_path / "cache")
    first = tamis.quantize(network(), data(), calibration_cache=cache)
    again = tamis.quantize(network(), None, calibration_cache=cache, subset_size=8)
    assert first.SerializeToString() == again.SerializeToString()


def test_data_in_every_form(tmp_path):
    made, x = network(), data()
    np.savez(tmp_path / "x.npz", x=x)
    want = tamis.quantize(made, x).SerializeToString()

    class Reader:
        def __init__(self):
            self.rest = [{"x": row[np.newaxis]} for row in x]

        def get_next(self):
            return self.rest.pop(0) if self.rest else None

    for given in (str(tmp_path / "x.npz"), str(tmp_path), [{"x": row[np.newaxis]} for row in x], list(x), Reader(),
                  ((row[np.newaxis], 3) for row in x)):
        assert tamis.quantize(made, given).SerializeToString() == want
    assert tamis.quantize(made, x, subset_size=2).SerializeToString() != want


def test_a_model_that_needs_its_dimensions():
    """Squeeze without axes has no meaning while a dimension is open: it is bound as in the samples."""
    made = models.model([build("MatMul", ["x", "w"], ["m"], name="m"), build("Squeeze", ["m"], ["y"], name="s")],
                        [models.info("x", ["n", 32])], [models.info("y", None)],
                        [models.const("w", np.random.default_rng(0).standard_normal((32, 40)).astype(np.float32))])
    x = np.ones((3, 32), np.float32)
    quantized = tamis.quantize(made, iter([x, x]))
    assert "w_quantized" in {t.name for t in quantized.graph.initializer}
    pruned = tamis.prune(made, protect=False, input_dims={"n": 3})
    assert np.mean(numpy_helper.to_array(pruned.graph.initializer[0]) == 0) == 0.5
    with pytest.raises(tamis.Error, match="axes"):
        tamis.prune(made, protect=False)


def test_names_no_option_parser_likes():
    made = network()
    for node in made.graph.node:
        node.name = f"a, b{{'{node.name}'}}/[x]"
    name = made.graph.node[3].name
    result = tamis.quantize(made, data(), nodes_to_exclude=[name])
    assert "w1" in {t.name for t in result.graph.initializer} and "w2" not in {t.name for t in result.graph.initializer}
    with pytest.raises(tamis.Error, match="no node 'conv1'"):
        tamis.quantize(made, data(), nodes_to_exclude=["conv1"])


def test_names_that_differ_in_punctuation_alone():
    made = network()
    for node in made.graph.node:
        node.name = {"conv0": "a.b,c", "conv1": "a.b;c", "conv2": "a,b.c", "gemm": "a b'c", "relu0": "[^]{}()$*+?|\\\"é\t`~"}.get(node.name, "")

    def integers(*excluded):
        result = tamis.quantize(made, data(), nodes_to_exclude=list(excluded))
        return {n.name for n, _, _, dequantize in layers.weighted(layers.Graph(result)) if dequantize is not None}

    assert integers("a.b,c") == {"a.b;c", "a,b.c", "a b'c"}
    assert integers("a.b;c", "a b'c") == {"a.b,c", "a,b.c"}
    assert integers(made.graph.node[2].name) == {"a.b,c", "a.b;c", "a,b.c", "a b'c"}


def bad(value):
    """The network with one weight set to `value`."""
    made = network()
    array = numpy_helper.to_array(made.graph.initializer[6]).copy()
    array[0, 0, 0, 0] = value
    made.graph.initializer[6].CopyFrom(models.const("w1", array))
    return made


REFUSED = [
    ("quantize", {}, "need calibration data, got none"), ("quantize", {"data": []}, "calibration data are empty"),
    ("quantize", {"data": {"z": data()}}, "x|z"), ("quantize", {"data": data().astype(np.float64)}, "float"),
    ("quantize", {"data": data()[:, :2]}, "x|shape"), ("quantize", {"data": np.full((2, 3, 12, 12), np.nan, np.float32)}, "not finite"),
    ("quantize", {"data": "nowhere.npz"}, "nowhere.npz"), ("quantize", {"weights": "int9"}, "weights: expected one of int8"),
    ("quantize", {"activations": "fp8"}, "activations: expected one of"),
    ("quantize", {"calibration_method": "best"}, "calibration_method: expected"),
    ("quantize", {"block_size": 0}, "block_size: expected a positive"), ("quantize", {"percentile": 0}, "percentile: expected"),
    ("quantize", {"format": "onnx"}, "format: expected one of qdq"), ("quantize", {"corrections": ["magic"]},
                                                                      "corrections: expected one of"),
    ("quantize", {"data": data(), "nodes_to_exclude": ["nobody"]}, "has no node 'nobody'"),
    ("quantize", {"ignored_scope": "("}, "no regular expression"),
    ("quantize", {"data": data(), "ignored_scope": "nothing.*"}, "matches no node"),
    ("quantize", {"subset_size": 0}, "subset_size: expected"),
    ("quantize", {"data": data(), "op_types_to_quantize": ["LSTM"]}, "no node of type 'LSTM'"),
    ("quantize", {"data": data(), "overrides": {"nobody": {"weights": "int4"}}}, "no layer 'nobody'"),
    ("quantize", {"overrides": {"conv1": {"colour": 1}}}, "unknown option 'colour'"),
    ("quantize", {"overrides": {"conv1": {"activations": "float32"}}}, "activations: expected one of uint8, int8, int16"),
    ("quantize", {"activations": None, "overrides": {"conv1": {"activations": "int16"}}}, "no activations of single layers where all others"),
    ("quantize", {"overrides": {"conv1": {"activations": "int16", "weights": "log4"}}}, "layer 'conv1': activations: .* beside weights of log4"),
    ("prune", {"sparsity": 1.0}, "sparsity: expected at least 0 and below 1"), ("prune", {"sparsity": -0.1}, "sparsity: expected"),
    ("prune", {"sparsity": float("nan")}, "sparsity: expected"), ("prune", {"pattern": "stripes"}, "pattern expected unstructured"),
    ("prune", {"pattern": "4:2"}, "pattern expected"), ("prune", {"pattern": "2:4", "sparsity": 0.9}, "reaches a sparsity of"),
    ("prune", {"pattern": "a}b"}, "pattern: expected a name"), ("prune", {"criterion": "taste"}, "criterion expected one of"),
    ("prune", {"overrides": [1]}, "overrides: expected {layer"), ("quantize", {"overrides": {"gemm": None}}, "layer 'gemm': expected {option"),
    ("quantize", {"corrections": 5}, "corrections: expected names, got 5"), ("quantize", {"nodes_to_exclude": 5}, "nodes_to_exclude: expected names"),
    ("quantize", {"target": None}, "target: expected a name"), ("quantize", {"input_dims": 5}, "input_dims: expected {name"),
    ("quantize", {"report": 5}, "report: expected a path"), ("quantize", {"calibration_cache": 5}, "calibration_cache: expected a path"),
    ("quantize", {"seed": 2**63}, "seed: expected a whole number"), ("quantize", {"attention": "yes"}, "attention: expected True or False"),
    ("quantize", {"percentile": 40}, "percentile: expected a number above 50"),
    ("prune", {"scope": "world"}, "scope expected local, global or time"), ("prune", {"criterion": "wanda"}, "needs calibration data"),
    ("prune", {"criterion": "gradient"}, "needs gradients"), ("prune", {"threshold": -1}, "threshold: expected"),
    ("prune", {"threshold": 0.1, "sparsity": 0.5}, "got both"), ("prune", {"format": "bitmap"}, "format: expected one of zeros"),
    ("prune", {"nodes_to_exclude": ["conv1", "conv2"]}, "sparsity cannot be reached: no layer may be pruned")]


@pytest.mark.parametrize("function, options, message", REFUSED, ids=[f"{f}-{m}" for f, _, m in REFUSED])
def test_bad_calls_are_refused(function, options, message):
    with pytest.raises(tamis.Error, match=message):
        getattr(tamis, function)(network(), **options)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(value):
    with pytest.raises(tamis.Error, match="'w1' has values that are not finite"):
        tamis.quantize(bad(value), data())


def test_models_without_float_weights_are_refused():
    quantized = tamis.quantize(network(), data())
    with pytest.raises(tamis.Error, match="the model is quantized already"):
        tamis.quantize(quantized, data())
    with pytest.raises(tamis.Error, match="nothing to quantize"):
        tamis.quantize(models.add(), {"a": np.zeros((1, 2, 3), np.float32), "b": np.zeros((1, 2, 3), np.float32)})
    with pytest.raises(tamis.Error, match="nothing to prune"):
        tamis.prune(models.add())
    with pytest.raises(tamis.Error, match="weights of operators such as this one cannot be changed"):
        tamis.prune(tamis.quantize(network(), data(), format="qoperator"))
    with pytest.raises(tamis.Error, match="not a valid ONNX"):
        tamis.quantize(b"nonsense", data())


def test_dimensions_of_one_name_and_two_sizes():
    """ONNX Runtime runs such models unless it reuses a buffer of the wrong size, so Tamis is the reference here."""
    rng = np.random.default_rng(4)
    nodes = [build("MatMul", ["a", "v"], ["c"], name="left"), build("ReduceMean", ["c"], ["l"], axes=[1], keepdims=0),
             build("MatMul", ["b", "w"], ["d"], name="right"), build("ReduceMean", ["d"], ["r"], axes=[1], keepdims=0),
             build("Add", ["l", "r"], ["y"])]
    made = models.model(nodes, [models.info("a", ["n", "s", 8]), models.info("b", ["n", "s", 8])], [models.info("y", ["n", 4])],
                        [models.const(name, rng.standard_normal((8, 4)).astype(np.float32)) for name in "vw"])
    feeds = [{"a": rng.standard_normal((1, s, 8)).astype(np.float32), "b": rng.standard_normal((1, t, 8)).astype(np.float32)}
             for s, t in ((5, 5), (3, 7), (4, 2))]
    result = tamis.quantize(made, iter(feeds))
    assert [dim.dim_param for dim in result.graph.input[1].type.tensor_type.shape.dim] == ["n", "s", ""]
    for feed in feeds:
        want, got = (tamis.compile(m, cache="off").run(None, feed)[0] for m in (made, result))
        assert snr(got, want) > 30
