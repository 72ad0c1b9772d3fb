# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tables of embeddings in integers: what is stored, what ONNX Runtime and Tamis make of it, and what stays float."""
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from support import models

import tamis
from tamis import reference

build = helper.make_node
ROWS, WIDTH = 1000, 64
IDS = np.array([[0, 1, -1, 999, 500, 7], [3, 3, -1000, 2, 8, 9]], np.int64)


def values(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def network(head=("MatMul", ["e", "w"]), extra=(), outputs=("y",)):
    """y = table[ids] @ w; rows differ in size by up to a thousand."""
    table = values(ROWS, WIDTH) * np.logspace(-2, 1, ROWS, dtype=np.float32)[:, None]
    nodes = [build("Gather", ["table", "ids"], ["e"], name="gather"), *extra, build(head[0], head[1], ["y"], name="head")]
    return models.model(nodes, [models.info("ids", ["n", "s"], models.INT64)], [models.info(name, None) for name in outputs],
                        [models.const("table", table), models.const("w", values(WIDTH, 8, seed=1))])


def tied():
    """A language model's frame: the table that words come from is the head's weight too."""
    return network(("MatMul", ["e", "turned"]), [build("Transpose", ["table"], ["turned"], name="turn", perm=[1, 0])])


def quantize(made, **options):
    return tamis.quantize(made, None, **{"activations": None, **options})


def arrays(model):
    return {t.name: t for t in model.graph.initializer}


def run(model, ids=IDS):
    return reference.session(model.SerializeToString()).run(None, {"ids": ids})


def compiled(model, ids=IDS):
    return tamis.compile(model, cache="off").run(None, {"ids": ids})


def library(model, path):
    tamis.compile(model, cache="off", input_dims={"n": 2, "s": 6}).save(path)


def same(model, ids=IDS, tolerance=1e-5):
    """What ONNX Runtime computes; Tamis must compute it too."""
    want = run(model, ids)
    for got, expected in zip(compiled(model, ids), want):
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())
    return want


def test_rows_are_gathered_as_integers():
    made = network(outputs=("y", "e"))
    result = quantize(made)
    onnx.checker.check_model(result)
    stored = arrays(result)
    assert stored["table_quantized"].data_type == onnx.TensorProto.INT8 and "table" not in stored
    readers = {n.op_type for n in result.graph.node if "table_quantized" in n.input}
    assert readers == {"Gather"}, "the table would be expanded on every call"
    table = numpy_helper.to_array(arrays(made)["table"])
    scale = np.abs(table).max(1, keepdims=True) / np.float32(127)
    rows = (np.rint(table / scale) * scale)[IDS]
    np.testing.assert_allclose(same(result)[1], rows, rtol=1e-5)


def test_the_library_holds_the_bytes(tmp_path):
    sizes = {}
    for kind in ("int8", "float32"):
        path = tmp_path / f"{kind}.so"
        library(quantize(network(), embeddings=kind), path)
        sizes[kind] = path.stat().st_size
    assert sizes["float32"] - sizes["int8"] > 0.9 * (3 * ROWS * WIDTH - 4 * ROWS)


def test_a_dequantized_table_is_not_expanded(tmp_path):
    """What other tools write: DequantizeLinear in front of Gather, here with scales along the rows."""
    made = network()
    table = np.random.default_rng(2).integers(-128, 128, (ROWS, WIDTH)).astype(np.int8)
    made.graph.initializer[0].CopyFrom(models.const("stored", table))
    made.graph.initializer.extend([models.const("scale", np.abs(values(ROWS)) + 0.1),
                                   models.const("zero", np.arange(ROWS).astype(np.int8))])
    made.graph.node.insert(0, build("DequantizeLinear", ["stored", "scale", "zero"], ["table"], name="dequantize", axis=0))
    same(made)
    path = tmp_path / "model.so"
    library(made, path)
    assert path.stat().st_size < 2 * table.nbytes


@pytest.mark.parametrize("options", [{}, {"weights": "int4"}, {"weights": "uint4", "block_size": 32}, {"weights": "uint8"}],
                         ids=lambda o: "-".join(map(str, o.values())) or "int8")
def test_a_tied_table_is_stored_once(options):
    made = tied()
    result = quantize(made, **options)
    stored = arrays(result)
    assert "table" not in stored
    large = [name for name, tensor in stored.items() if np.prod(tensor.dims) >= ROWS * WIDTH]
    assert large == ["table_quantized"]
    (want,), (floats,) = same(result), run(made)
    assert np.square(want - floats).sum() < (0.03 if "4" in options.get("weights", "") else 1e-4) * np.square(floats).sum()
    gathers = [n for n in result.graph.node if n.op_type == "Gather" and n.input[0] == "table_quantized"]
    assert bool(gathers) == (not options), "Gather reads integers where they are bytes without zero points"


@pytest.mark.parametrize("made", [network, tied])
def test_with_activations(made):
    result = tamis.quantize(made(), [{"ids": IDS}])
    assert "table_quantized" in arrays(result)
    same(result, tolerance=0.02)


def test_every_reader_must_agree():
    """Two nodes read the table, and one of them is to stay as it is."""
    made = network(extra=[build("Neg", ["ids"], ["turned"]), build("Gather", ["table", "turned"], ["f"], name="other")],
                   outputs=("y", "f"))
    assert "table_quantized" in arrays(quantize(made))
    assert "table" in arrays(quantize(made, nodes_to_exclude=["other"]))


def test_an_index_out_of_range_is_an_error():
    model = tamis.compile(quantize(network()), cache="off")
    with pytest.raises(tamis.Error):
        model.run(None, {"ids": np.array([[ROWS]], np.int64)})


@pytest.mark.parametrize("options, table, weight", [
    ({}, True, True), ({"embeddings": "float32"}, False, True), ({"nodes_to_exclude": ["gather"]}, False, True),
    ({"ignored_scope": "tab.*"}, False, True), ({"op_types_to_quantize": ["MatMul"]}, False, True),
    ({"op_types_to_quantize": ["Gather"]}, True, False), ({"overrides": {"head": {"weights": "int4"}}}, True, True)],
    ids=["default", "option", "node", "scope", "other type", "type", "override"])
def test_what_stays_float(options, table, weight):
    stored = arrays(quantize(network(), **options))
    assert ("table_quantized" in stored, "w_quantized" in stored) == (table, weight)


def test_a_table_read_otherwise_stays_float():
    notes = []
    made = network(extra=[build("ReduceSum", ["table"], ["s"], name="sum", keepdims=0)], outputs=("y", "s"))
    assert "table" in arrays(quantize(made, report=notes))
    assert any(e["tensor"] == "table" and e["reason"] == "other operations than gathers of rows read the table" for e in notes)


def test_report():
    told = {}
    quantize(network(), report=told.update)
    row = {r["layer"]: r for r in told["layers"]}["gather"]
    assert (row["op"], row["decision"], row["bytes_before"], row["bytes_after"]) == ("Gather", "int8", 4 * ROWS * WIDTH, ROWS * (WIDTH + 4))
    assert row["snr"] > 35 and "a scale for each row" in row["reason"]
    assert [r["layer"] for r in _layers(tied())] == ["head"]


def _layers(made):
    told = {}
    quantize(made, report=told.update)
    return told["layers"]


def test_a_table_that_is_not_finite_is_refused():
    made = network()
    table = numpy_helper.to_array(made.graph.initializer[0]).copy()
    table[5, 5] = np.nan
    made.graph.initializer[0].CopyFrom(models.const("table", table))
    with pytest.raises(tamis.Error, match="'table' holds a NaN or an infinity"):
        quantize(made)


def test_an_unknown_type_is_refused():
    with pytest.raises(tamis.Error, match="embeddings: expected one of int8, float32, got 'int3'"):
        quantize(network(), embeddings="int3")
