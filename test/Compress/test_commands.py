# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`tamis quantize`, `prune` and the zeros in `explain`, run as a user runs them."""
import json

import numpy as np
import onnx
import pytest
from onnx import helper
from support import models
from support.run import _check_refusal, tamis

import tamis as tamis_package
from tamis.compression import storage


@pytest.fixture
def files(tmp_path):
    """A model of three layers and calibration data."""
    rng = np.random.default_rng(0)
    names = ["x", "a", "b", "y"]
    sizes = [64, 64, 48, 8]
    sizes = list(zip(sizes, sizes[1:]))
    nodes = [helper.make_node("Gemm", [names[i], f"w{i}", f"b{i}"], [names[i + 1]], name=f"layer{i}") for i in range(3)]
    parameters = [t for i, (n, m) in enumerate(sizes) for t in (
        models.const(f"w{i}", rng.standard_normal((n, m)).astype(np.float32) / 8),
        models.const(f"b{i}", rng.standard_normal(m).astype(np.float32)))]
    models.save(models.model(nodes, [models.info("x", ["n", 64])], [models.info("y", ["n", 8])], parameters), tmp_path / "m.onnx")
    np.savez(tmp_path / "x.npz", x=rng.standard_normal((20, 64)).astype(np.float32))
    return tmp_path


def works(*arguments):
    done = tamis(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_quantize(files):
    text = works("quantize", files / "m.onnx", "--data", files / "x.npz", "-o", files / "q.onnx", "--json", files / "q.json")
    head, *rows, last = text.splitlines()
    for word in ("layer", "op", "pattern", "sparsity", "SNR dB", "before B", "after B", "decision", "reason"):
        assert word in head
    assert [row.split()[0] for row in rows] == ["layer0", "layer1", "layer2"] and all("int8" in row for row in rows)
    assert "3 of 3 layers" in last
    report = json.load(open(files / "q.json"))
    assert [layer["bits"] for layer in report["layers"]] == [8, 8, 8] and report["bytes_after"] < 0.4 * report["bytes_before"]
    assert report["step"]["quantize"]["weights"] == "int8"
    assert "agrees with ONNX Runtime" in works("verify", files / "q.onnx")
    assert tamis("check", files / "q.onnx", "--require-integer").returncode == 0


def test_every_option_of_quantize(files):
    works("quantize", files / "m.onnx", "--data", files / "x.npz", "--activations", "int8", "--weights", "int8", "--per-tensor",
          "--symmetric-activations", "--embeddings", "float32", "--attention", "--calibration-method", "percentile", "--percentile", "99.9",
          "--correction", "bias", "--op-types-to-quantize", "Gemm", "--exclude", "layer0", "--ignored-scope", "w2", "--subset-size", "5",
          "--format", "qoperator", "--calibration-cache", files / "cache", "--target", "x86-64-v3", "--input-dim", "n=1", "-o", files / "q.onnx")
    operators = {node.name: node.op_type for node in onnx.load(files / "q.onnx").graph.node}
    assert operators["layer0"] == operators["layer2"] == "Gemm" and "layer1" not in operators and (files / "cache").exists()


def test_dimensions_are_bound_by_text_as_tamis_compile_takes_it(files):
    """Searches pass on what the command line was given."""
    tamis_package.prune(str(files / "m.onnx"), protect=False, input_dims=("n=1",))
    tamis_package.prune(str(files / "m.onnx"), protect=False, input_dims=())


def test_four_bits_need_no_data(files):
    works("quantize", files / "m.onnx", "--weights", "int4", "--block-size", "32", "--activations", "float32")
    model = onnx.load(files / "m.int4.onnx")
    assert {t.data_type for t in model.graph.initializer if t.name.endswith("_quantized")} == {onnx.TensorProto.INT4}


def test_prune(files):
    text = works("prune", files / "m.onnx", "--sparsity", "0.75", "-v")
    assert "75.0%" in text and "the first layer reads the inputs" in text and (files / "m.pruned.onnx").exists()
    explained = json.loads(works("explain", files / "m.pruned.onnx", "--json", "-", "-q"))
    layers = {layer["node"]: layer for layer in explained["layers"]}
    assert layers["layer1"]["sparsity"] == 0.75 and layers["layer1"]["pattern"] == "unstructured" and layers["layer0"]["pattern"] == "dense"


def test_every_option_of_prune(files):
    np.savez(files / "g.npz", **{t.name: np.ones(t.dims, np.float32) for t in onnx.load(files / "m.onnx").graph.initializer})
    works("prune", files / "m.onnx", "--pattern", "2:4", "--criterion", "gradient", "--gradients", files / "g.npz", "--no-protect",
          "--exclude", "layer0", "--scope", "local", "--format", "zeros", "--seed", "3", "-o", files / "a.onnx")
    explained = json.loads(works("explain", files / "a.onnx", "--json", "-", "-q"))
    assert [layer["pattern"] for layer in explained["layers"]] == ["dense", "2:4", "2:4"]
    works("prune", files / "m.onnx", "--threshold", "0.2", "--format", "sparse_initializer", "-o", files / "b.onnx")
    assert onnx.load(files / "b.onnx").graph.sparse_initializer
    works("prune", files / "m.onnx", "--pattern", "channel", "--sparsity", "0.25", "--criterion", "l2", "-o", files / "c.onnx")
    assert (files / "c.onnx").stat().st_size < (files / "m.onnx").stat().st_size
    works("prune", files / "m.onnx", "--criterion", "wanda", "--data", files / "x.npz", "--subset-size", "4", "-o", files / "d.onnx")
    works("prune", files / "m.onnx", "--dead-channels", "-o", files / "e.onnx")


def test_the_recipe_is_in_the_model(files):
    works("prune", files / "m.onnx", "--pattern", "2:4", "-o", files / "p.onnx")
    works("quantize", files / "p.onnx", "--data", files / "x.npz", "-o", files / "pq.onnx")
    steps = json.loads({e.key: e.value for e in onnx.load(files / "pq.onnx").metadata_props}["tamis.recipe"])
    assert steps[0]["prune"]["pattern"] == "2:4" and steps[1]["quantize"]["activations"] == "uint8"
    explained = json.loads(works("explain", files / "pq.onnx", "--json", "-", "-q"))
    assert {layer["node"]: layer["pattern"] for layer in explained["layers"]}["layer1"] == "2:4"


def test_external_data_stay_external(files):
    storage.save(onnx.load(files / "m.onnx"), files / "big.onnx", external=True)
    works("quantize", files / "big.onnx", "--data", files / "x.npz", "-o", files / "big.int8.onnx")
    assert (files / "big.int8.onnx.data").exists() and "agrees" in works("verify", files / "big.int8.onnx")


@pytest.mark.parametrize("arguments, words", [
    (["quantize", "m.onnx"], "need calibration data"), (["quantize", "nothing.onnx"], "cannot read the model"),
    (["quantize", "m.onnx", "--data", "m.onnx"], "m.onnx"), (["quantize", "m.onnx", "--data", "x.npz", "-o", "m.onnx"],
                                                             "would overwrite"),
    (["quantize", "m.onnx", "--data", "x.npz", "-o", "m.so"], "ends with .onnx"),
    (["quantize", "x.npz", "--data", "x.npz"], "not a valid ONNX"),
    (["prune", "m.onnx", "--sparsity", "1.5"], "below 1"), (["prune", "m.onnx", "--pattern", "stripes"], "pattern expected"),
    (["prune", "m.onnx", "--pattern", "2:4", "--sparsity", "0.9"], "reaches a sparsity"),
    (["prune", "m.onnx", "--exclude", "nobody"], "no node 'nobody'"),
    (["prune", "m.onnx", "--exclude", "layer1"], "cannot be reached"), (["prune", "m.onnx", "--criterion", "wanda"],
                                                                        "needs calibration data")],
    ids=lambda v: v if isinstance(v, str) else None)
def test_refusals_leave_nothing(files, arguments, words):
    before = set(files.iterdir())
    done = tamis(*(files / a if a.endswith((".onnx", ".npz", ".so")) else a for a in arguments))
    _check_refusal(done, [words])
    assert set(files.iterdir()) == before
