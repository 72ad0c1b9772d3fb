# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Weights in number systems other than integers: their values, in ONNX Runtime and in Tamis, and what other steps keep of them."""
import json
import subprocess
import sys

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from support import models

import tamis
from tamis import compiler, options, reference
from tamis.compression import layers, prepare, recipe, space, writer
from tamis.source import Source

X = np.random.default_rng(7).standard_normal((3, 8, 6, 6)).astype(np.float32)


def network(sparse=False):
    """A convolution and a matrix product, both larger than what is written in place, whose channels differ in size."""
    random = np.random.default_rng(8)
    w, v = ((random.standard_normal(shape) * random.uniform(0.2, 2, channels)).astype(np.float32)
            for shape, channels in (((16, 8, 3, 3), (16, 1, 1, 1)), ((256, 10), 10)))
    if sparse:
        w[np.abs(w) < np.quantile(np.abs(w), 0.7)] = 0
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["c"], name="conv"), helper.make_node("Relu", ["c"], ["r"], name="relu"),
             helper.make_node("Flatten", ["r"], ["f"], name="flatten"), helper.make_node("MatMul", ["f", "v"], ["y"], name="product")]
    return models.model(nodes, [models.info("x", [3, 8, 6, 6])], [models.info("y", [3, 10])],
                        [models.const("w", w), models.const("b", random.standard_normal(16).astype(np.float32)), models.const("v", v)])


def weights(model):
    graph = layers.Graph(model)
    return {layers.node_name(node): layers.weight_values(graph, name, how) for node, _, name, how in layers.weighted(graph)}


def kinds(model):
    return {layer.name: layer.dtype for layer in layers.layers(model)}


def run(model, optimised=False):
    return reference.session(model.SerializeToString(), optimised).run(None, {"x": X})[0]


def agree(model, fused=False):
    """Valid; the same answers from ONNX Runtime, as the file says and optimised, and from Tamis. `fused`: ONNX Runtime has an
    operator for these weights that rounds what it reads."""
    onnx.checker.check_model(model, full_check=True)
    want = run(model)
    reach = np.abs(want).max()
    np.testing.assert_allclose(run(model, True), want, atol=(2e-2 if fused else 1e-5) * reach)
    np.testing.assert_allclose(tamis.compile(model, cache="off").run(None, {"x": X})[0], want, atol=1e-5 * reach)


def snr(got, want):
    noise = ((got.astype(np.float64) - want) ** 2).sum()
    return np.inf if noise == 0 else 10 * np.log10((want.astype(np.float64) ** 2).sum() / noise)


SYSTEMS = [("codebook1", 4, 2), ("codebook2", 9, 2), ("codebook3", 14, 4), ("codebook4", 20, 4), ("codebook5", 25, 8), ("codebook8", 42, 8),
           ("log3", 6, 4), ("log4", 12, 4), ("log8", 13, 8), ("float8_e4m3fn", 30, 8), ("float8_e5m2", 24, 8), ("float16", 60, 16),
           ("bfloat16", 45, 16), ("fixed4", 8, 4), ("fixed8", 35, 8), ("fixed12", 55, 16), ("fixed16", 80, 16)]


@pytest.mark.parametrize("per_channel", [True, False], ids=["channel", "tensor"])
@pytest.mark.parametrize("kind, least, stored_bits", SYSTEMS, ids=[k for k, _, _ in SYSTEMS])
def test_values(kind, least, stored_bits, per_channel):
    made = network()
    result = tamis.quantize(made, weights=kind, activations=None, per_channel=per_channel)
    agree(result, fused=kind.startswith("fixed"))
    before, after = weights(made), weights(result)
    for name, values in before.items():
        assert snr(after[name], values) > least - (0 if per_channel else 4), (name, snr(after[name], values))
    counted = {t.name: t for t in result.graph.initializer}
    codes = next(t for name, t in counted.items() if name.startswith("v_") and tuple(t.dims) == (256, 10))
    assert len(codes.raw_data) == 2560 * stored_bits // 8
    assert "w" not in counted and "v" not in counted


@pytest.mark.parametrize("kind", ["codebook2", "codebook6"])
def test_codebook_has_few_values_that_mean_their_clusters(kind):
    made = network()
    result = tamis.quantize(made, weights=kind, activations=None, per_channel=False)
    before, after = weights(made)["product"], weights(result)["product"]
    found = np.unique(after)
    assert len(found) <= 2 ** int(kind[-1])
    for value in found:
        np.testing.assert_allclose(before[after == value].mean(), value, rtol=1e-4, atol=1e-5)
    # Each weight has the value nearest to it.
    np.testing.assert_array_equal(after, found[np.abs(before[..., None] - found).argmin(-1)])


def test_codebook_is_no_worse_than_integers_and_the_same_for_a_seed():
    made = network()
    original = weights(made)["product"]
    noise = [snr(weights(tamis.quantize(made, weights=kind, activations=None))["product"], original) for kind in ("codebook4", "int4")]
    assert noise[0] > noise[1]
    once, again = (tamis.quantize(made, weights="codebook4", activations=None, seed=3).SerializeToString() for _ in range(2))
    assert once == again


def test_powers_of_two_and_fixed_point_are_what_they_say():
    made = network()
    logs = weights(tamis.quantize(made, weights="log4", activations=None))["product"]
    mantissas, _ = np.frexp(logs[logs != 0])
    assert set(np.abs(mantissas)) == {0.5}
    fixed = tamis.quantize(made, weights="fixed8", activations=None)
    scales = numpy_helper.to_array(next(t for t in fixed.graph.initializer if t.name == "v_scale"))
    assert set(np.frexp(scales)[0]) == {0.5}
    # The next smaller power of two would not do.
    assert (np.abs(weights(made)["product"]).max(0) > 127 * scales / 2).all()
    given, told = tamis.quantize(made, weights="fixed8", activations=None, fraction_bits=6, report=(told := [])), told
    integers = numpy_helper.to_array(next(t for t in given.graph.initializer if t.name == "v_quantized")).astype(np.float32)
    np.testing.assert_array_equal(integers, np.clip(np.rint(weights(made)["product"] * 64), -128, 127))
    assert any("weights saturate" in entry["reason"] for entry in told)


def test_float8_is_ml_dtypes_rounding():
    made = network()
    for kind in ("float8_e4m3fn", "float8_e5m2"):
        result = tamis.quantize(made, weights=kind, activations=None)
        stored = {t.name: t for t in result.graph.initializer}
        scale = numpy_helper.to_array(stored["v_scale"])
        want = (weights(made)["product"] / scale).astype(getattr(ml_dtypes, kind)).astype(np.float32)
        np.testing.assert_array_equal(numpy_helper.to_array(stored["v_quantized"]).astype(np.float32), want)


@pytest.mark.parametrize("kind", ["codebook4", "float8_e4m3fn", "log4", "bfloat16"])
def test_compiled_weights_are_folded(kind, tmp_path):
    """Nothing is decoded or checked at run time, also of a weight too large for folders that look at single elements."""
    large = np.random.default_rng(0).standard_normal((300, 300)).astype(np.float32)
    made = models.model([helper.make_node("MatMul", ["x", "w"], ["y"])], [models.info("x", [1, 300])], [models.info("y", [1, 300])],
                        [models.const("w", large)])
    result = tamis.quantize(made, weights=kind, activations=None)
    path = tmp_path / "m.onnx"
    onnx.save(result, path)
    subprocess.run([sys.executable, "-m", "tamis", "compile", str(path), "-o", str(tmp_path / "m.so"), "--dump-stages", str(tmp_path)],
                   check=True, capture_output=True)
    text = (tmp_path / "compress.mlir").read_text()
    assert not any(what in text for what in ("tensor.extract", "arith.bitcast", "arith.extf", "tamis_kernel.check"))


@pytest.mark.parametrize("oracle", [True, False])
def test_codes_known_at_run_time(oracle, tmp_path):
    text = """
func.func @main(%q: tensor<5x70xi8>, %h: tensor<5x70xbf16>, %c: tensor<20xf32>, %s: tensor<70xf32>)
    -> (tensor<5x70xf32>, tensor<5x70xf32>, tensor<5x70xf32>) {
  %x = tamis.decode %q codebook(%c : tensor<20xf32>) : tensor<5x70xi8> -> tensor<5x70xf32>
  %y = tamis.decode %q codebook(%c : tensor<20xf32>) scale(%s : tensor<70xf32>) {axis = 1} : tensor<5x70xi8> -> tensor<5x70xf32>
  %z = tamis.decode %h : tensor<5x70xbf16> -> tensor<5x70xf32>
  return %x, %y, %z : tensor<5x70xf32>, tensor<5x70xf32>, tensor<5x70xf32>
}"""
    random = np.random.default_rng(0)
    q, h = random.integers(-128, 128, (5, 70)).astype(np.int8), random.standard_normal((5, 70)).astype(ml_dtypes.bfloat16)
    c, s = random.standard_normal(20).astype(np.float32), random.standard_normal(70).astype(np.float32)
    path = str(tmp_path / "m.so")
    compiler.compile_to(Source(text), path, options.make(oracle=oracle))
    compiled = tamis.load(path)
    got = compiled.run(None, dict(zip([i.name for i in compiled.get_inputs()], (q, h, c, s))))
    # Codes are unsigned; those beyond the codebook read its last value.
    values = c[np.minimum(q.view(np.uint8), 19)]
    for found, want in zip(got, (values, values * s, h.astype(np.float32))):
        np.testing.assert_array_equal(found, want)


@pytest.mark.parametrize("activations", ["fixed8", "fixed16"])
def test_fixed_point_activations(activations):
    made = network()
    result = tamis.quantize(made, X, weights="fixed8", activations=activations)
    onnx.checker.check_model(result)
    want, got = run(made), run(result)
    assert snr(got, want) > (20 if activations == "fixed8" else 28)
    assert snr(tamis.compile(result, cache="off").run(None, {"x": X})[0], got) > 40
    scale = numpy_helper.to_array(next(t for t in result.graph.initializer if t.name == "x_scale"))
    assert np.frexp(scale)[0] == 0.5


def test_mixed_per_layer():
    made, told = network(), {}
    result = tamis.quantize(made, X, overrides={"product": {"weights": "codebook3"}}, report=told.update)
    assert kinds(result) == {"conv": "int8", "product": "codebook3"}
    # What the product reads stays float; no scale of it is there.
    assert {t.name for t in result.graph.initializer if t.name.endswith("_zero_point")} == {"x_zero_point", "w_zero_point"}
    want = run(made)
    assert snr(run(result), want) > 12 and snr(tamis.compile(result, cache="off").run(None, {"x": X})[0], run(result)) > 30
    assert {row["layer"]: row["bits"] for row in told["layers"]} == {"conv": 8, "product": 3}
    other = tamis.quantize(made, weights="float16", overrides={"conv": {"weights": "log4"}})
    assert kinds(other) == {"conv": "codebook4", "product": "float16"}
    agree(other)


@pytest.mark.parametrize("kind", ["codebook3", "log4", "float8_e4m3fn", "float16", "fixed6"])
def test_pruned_weights_stay_zero(kind):
    made = network(sparse=True)
    before = weights(made)["conv"] == 0
    after = weights(tamis.quantize(made, weights=kind, activations=None))["conv"]
    assert before.mean() > 0.6 and (after[before] == 0).all()


@pytest.mark.parametrize("kind", ["codebook3", "codebook4", "codebook8", "float16", "float8_e5m2"])
def test_codes_then_pruned_keep_their_values(kind):
    coded = tamis.quantize(network(), weights=kind, activations=None, per_channel=kind != "codebook8")
    told = {}
    result = tamis.prune(coded, sparsity=0.5, protect=False, report=told.update)
    agree(result)
    before, after = weights(coded), weights(result)
    for name in before:
        kept = after[name] != 0
        assert 0.35 < kept.mean() < 0.6
        if kind == "codebook8":  # 256 values and zero is one too many
            assert len(np.unique(after[name])) <= 256
        else:
            np.testing.assert_allclose(after[name][kept], before[name][kept], rtol=1e-6)
    assert kinds(result)["conv"].rstrip("0123456789") == kinds(coded)["conv"].rstrip("0123456789")
    assert all(row["decision"].startswith("pruned") for row in told["layers"])
    assert [list(step)[0] for step in json.loads(next(e.value for e in result.metadata_props if e.key == "tamis.recipe"))] == [
        "quantize", "prune"]


@pytest.mark.parametrize("kind", ["codebook3", "log4"])
def test_clusters_then_integers_keep_what_clustering_made(kind):
    coded = tamis.quantize(network(sparse=True), weights=kind, activations=None)
    told = {}
    result = tamis.quantize(coded, X, corrections=(), report=told.update)
    assert set(kinds(result).values()) == {"int8"}
    before, after = weights(coded), weights(result)
    for name, axis in (("conv", 0), ("product", 1)):
        for old, new in zip(np.moveaxis(before[name], axis, 0), np.moveaxis(after[name], axis, 0)):
            assert len(np.unique(new)) <= len(np.unique(old)) <= 2 ** int(kind[-1])
            assert (new[old == 0] == 0).all()
    assert any("distinct values become" in row["reason"] for row in told["layers"])
    assert all(row["decision"] == "int8" for row in told["layers"])
    assert snr(tamis.compile(result, cache="off").run(None, {"x": X})[0], run(result)) > 40


def test_layers_left_out_keep_their_codebook():
    coded = tamis.quantize(network(), weights="codebook4", activations=None)
    result = tamis.quantize(coded, X, nodes_to_exclude=["conv"])
    assert kinds(result) == {"conv": "codebook4", "product": "int8"}
    np.testing.assert_allclose(weights(result)["conv"], weights(coded)["conv"], rtol=1e-6)


def test_bytes_in_the_report_are_those_of_the_file():
    told = {}
    result = tamis.quantize(network(), weights="codebook4", activations=None, report=told.update)
    row = next(row for row in told["layers"] if row["layer"] == "product")
    assert (row["bytes_before"], row["bytes_after"]) == (10240, 1280 + 64 + 40) and row["decision"] == "codebook4"
    again = {}
    tamis.prune(result, sparsity=0.5, protect=False, report=again.update)
    assert next(row for row in again["layers"] if row["layer"] == "product")["bytes_before"] == 1280 + 64 + 40


def test_recipes_and_searches_know_the_types():
    text = "version: 1\nsteps:\n- quantize: {weights: int8, seed: 1}\n  rules:\n  - {layers: conv, weights: fixed6, fraction_bits: 4}\n"
    step, = recipe.Recipe.from_text(text).steps
    assert step.overrides(["conv", "product"])[1] == {"conv": {"weights": "fixed6", "fraction_bits": 4}}
    assert [c.weights for c in space.choices(["codebook4", "float8_e4m3fn"], ["dense"])] == ["float32", "codebook4", "float8_e4m3fn"]


def test_command(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(network(), path)
    done = subprocess.run([sys.executable, "-m", "tamis", "quantize", str(path), "--weights", "fixed6", "--fraction-bits", "4", "--activations",
                           "float32"], check=True, capture_output=True, text=True)
    assert "saturate" in done.stdout
    subprocess.run([sys.executable, "-m", "tamis", "quantize", str(path), "--weights", "codebook4"], check=True, capture_output=True)
    assert set(kinds(onnx.load(tmp_path / "m.codebook4.onnx")).values()) == {"codebook4"}
    checked = subprocess.run([sys.executable, "-m", "tamis", "check", str(tmp_path / "m.codebook4.onnx")], capture_output=True, text=True)
    assert "node 'product' (MatMul): it reads 'f'" in checked.stdout and "Mul)" not in checked.stdout.replace("MatMul)", "")
    verified = subprocess.run([sys.executable, "-m", "tamis", "verify", str(tmp_path / "m.codebook4.onnx")], capture_output=True, text=True)
    assert verified.returncode == 0, verified.stdout + verified.stderr


REFUSED = [({"weights": "codebook9"}, "weights: expected one of int8, .*codebook1 to codebook8"),
           ({"weights": "codebook0"}, "weights: expected one of"), ({"weights": "log1"}, "weights: expected one of"),
           ({"weights": "fixed17"}, "weights: expected one of"), ({"weights": "float8"}, "weights: expected one of"),
           ({"weights": "codebook4", "block_size": 32}, "weights of codebook4 have no blocks"),
           ({"weights": "int8", "overrides": {"conv": {"weights": "log4", "block_size": 8}}}, "layer 'conv': block_size: weights of log4"),
           ({"weights": "int8", "fraction_bits": 4}, "expected fixed-point weights, got int8"),
           ({"weights": "fixed8", "fraction_bits": 101}, "fraction_bits: expected a whole number from -100"),
           ({"weights": "codebook4", "seed": -1}, "seed: expected a whole number"),
           ({"weights": "fixed8", "overrides": {"conv": {"fraction_bits": 1.5}}}, "fraction_bits: expected a whole number")]


@pytest.mark.parametrize("given, message", REFUSED, ids=[m for _, m in REFUSED])
def test_bad_calls_are_refused(given, message):
    with pytest.raises(tamis.Error, match=message):
        tamis.quantize(network(), activations=None, **given)


@pytest.mark.parametrize("kind", ["codebook4", "float8_e5m2", "float16", "fixed8"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(kind, value):
    made = network()
    array = numpy_helper.to_array(made.graph.initializer[2]).copy()
    array[0, 0] = value
    made.graph.initializer[2].CopyFrom(models.const("v", array))
    with pytest.raises(tamis.Error, match="'v' has values that are not finite"):
        tamis.quantize(made, weights=kind, activations=None)


def test_weights_beyond_float16_are_refused():
    made = network()
    made.graph.initializer[2].CopyFrom(models.const("v", np.full((256, 10), 1e5, np.float32)))
    with pytest.raises(tamis.Error, match="weight 'v' holds .*, which is beyond float16"):
        tamis.quantize(made, weights="float16", activations=None)
    assert kinds(tamis.quantize(made, weights="bfloat16", activations=None))["product"] == "bfloat16"


@pytest.mark.parametrize("shape", [(256, 10), (256, 1)])
@pytest.mark.parametrize("kind", ["codebook4", "log4", "float8_e4m3fn"])
def test_weights_of_zeros_and_single_columns(kind, shape):
    made = network()
    made.graph.initializer[2].CopyFrom(models.const("v", np.zeros(shape, np.float32)))
    made.graph.output[0].CopyFrom(models.info("y", [3, shape[1]]))
    result = tamis.quantize(made, weights=kind, activations=None)
    agree(result)
    assert not weights(result)["product"].any()


def test_a_code_beyond_the_codebook_is_an_error_at_run_time():
    """Indices that the codebook has no value for are not folded away."""
    codes = np.full((16, 16), 3, np.uint8)
    codes[5, 5] = 7
    nodes = [helper.make_node("Cast", ["q"], ["i"], to=onnx.TensorProto.INT32), helper.make_node("Gather", ["c", "i"], ["w"]),
             helper.make_node("MatMul", ["x", "w"], ["y"])]
    made = models.model(nodes, [models.info("x", [1, 16])], [models.info("y", [1, 16])],
                        [models.const("q", codes), models.const("c", np.arange(4, dtype=np.float32))])
    with pytest.raises(tamis.Error, match="index"):
        tamis.compile(made, cache="off").run(None, {"x": np.ones((1, 16), np.float32)})


@pytest.mark.parametrize("entry, message", [
    ({"values": np.full((256, 10), 4), "codebook": np.zeros(4, np.float32)}, "codes from 4 to 4 do not fit a codebook of 4 values"),
    ({"values": np.zeros((256, 10), int), "codebook": np.float32([0, np.nan])}, "the codebook of initializer 'v' is not finite"),
    ({"values": np.zeros((10, 256), int), "codebook": np.zeros(4, np.float32)}, "'v' has the shape")])
def test_bad_deltas_are_refused(entry, message):
    delta = {"weights": {"v": {"dtype": "uint4", "scale": np.float32(1), "axis": None, **entry}}}
    with pytest.raises(tamis.Error, match=message):
        writer.apply(prepare.prepare(network()), delta)
