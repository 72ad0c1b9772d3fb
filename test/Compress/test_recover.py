# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""weights="recover": floats that were integers before become the same integers, and their bits do not change."""
import numpy as np
import onnx
import pytest
from onnx import helper
from support import models

import tamis
from tamis import reference
from tamis.compression import layers

K, N = 128, 12
F = np.float32


def half(rng, *shape):
    """Random numbers of float16 precision, as GGUF stores scales."""
    return (rng.random(shape) * 0.02 + 0.001).astype(np.float16).astype(F)


def spread(parameter, block):
    return np.repeat(parameter, block, 0)


def q4_1(rng, block=32):
    """q * d + m in blocks of 32 along K."""
    q = rng.integers(0, 16, (K, N))
    minimum = -half(rng, K // block, N) * 8
    return spread(half(rng, K // block, N), block) * q.astype(F) + spread(minimum, block)


def q4_0(rng, block=32):
    """d * (q - 8); some scales are negative there."""
    q = rng.integers(0, 16, (K, N))
    sign = np.where(rng.random((K // block, N)) < 0.5, F(-1), F(1))
    return spread(half(rng, K // block, N) * sign, block) * (q - 8).astype(F)


def q8_0(rng, block=32):
    return spread(half(rng, K // block, N), block) * rng.integers(-127, 128, (K, N)).astype(F)


def per_channel(rng):
    return rng.integers(-8, 8, (K, N)).astype(F) * (rng.random(N) * 0.1 + 0.01).astype(F)


# Values, then stored type, block, whether with zero points and with offsets.
GRIDS = {"q4_1": (q4_1, "uint4", 32, False, True), "q4_0": (q4_0, "uint4", 32, True, False), "q8_0": (q8_0, "int8", 32, False, False),
         "blocks of 64": (lambda rng: q4_1(rng, 64), "uint4", 64, False, True),
         "per channel": (per_channel, "int4", None, False, False)}


def network(w, transposed=False):
    """y = x w, or x v' with w = v'."""
    stored = np.ascontiguousarray(w.T) if transposed else w
    nodes = [helper.make_node("Gemm", ["x", "w"], ["y"], name="fc", transB=1) if transposed
             else helper.make_node("MatMul", ["x", "w"], ["y"], name="fc")]
    return models.model(nodes, [models.info("x", ["n", K])], [models.info("y", ["n", N])], [models.const("w", stored)])


def weight(model):
    """The weight as floats, and its DequantizeLinear."""
    graph = layers.Graph(model)
    (_, _, name, dequantize), = layers.weighted(graph)
    return layers.weight_values(graph, name, dequantize), dequantize, graph


def run(model, x, output="y"):
    shown = onnx.ModelProto.FromString(model.SerializeToString())
    if output != "y":
        shown.graph.output.append(onnx.ValueInfoProto(name=output))
    return reference.session(shown.SerializeToString()).run([output], {"x": x})[0]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("kind", GRIDS)
def test_a_grid_is_found_bit_for_bit(kind, transposed):
    make, dtype, block, zeros, offset = GRIDS[kind]
    w = make(np.random.default_rng(3))
    model = network(w, transposed)
    report = []
    made = tamis.quantize(model, weights="recover", report=report)
    onnx.checker.check_model(made)
    values, dequantize, graph = weight(made)
    stored = w.T if transposed else w
    np.testing.assert_array_equal(values, stored)
    name = onnx.TensorProto.DataType.Name(graph.parameters[dequantize.input[0]].data_type).lower()
    found = {a.name: a.i for a in dequantize.attribute}
    assert (name, found.get("block_size")) == (dtype, block)
    assert bool(graph.array(dequantize.input[2]).any()) == zeros
    assert (graph.offset(dequantize) is not None) == offset
    x = np.random.default_rng(4).standard_normal((5, K)).astype(F)
    # ONNX Runtime makes the same floats of them, and the compiled model agrees with it.
    np.testing.assert_array_equal(run(made, x, "w"), stored)
    want = run(made, x)
    got = tamis.compile(made, cache="off").run(None, {"x": x})[0]
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5 * np.abs(want).max())


def test_floats_on_no_grid_stay():
    rng = np.random.default_rng(0)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"], name="fc"), helper.make_node("MatMul", ["h", "v"], ["y"], name="head")]
    free = (rng.standard_normal((N, 16)) * 0.1).astype(F)
    model = models.model(nodes, [models.info("x", ["n", K])], [models.info("y", ["n", 16])],
                         [models.const("w", q4_1(rng)), models.const("v", free)])
    told = {}
    made = tamis.quantize(model, weights="recover", report=told.update)
    reasons = {row["layer"]: (row["decision"], row["snr"]) for row in told["layers"]}
    assert reasons["fc"] == ("uint4", np.inf)
    assert reasons["head"][0] == "left as it is"
    assert "v" in {t.name for t in made.graph.initializer}


def test_one_value_off_the_grid_is_enough():
    w = q4_1(np.random.default_rng(1))
    w[40, 3] = np.nextafter(w[40, 3], F(9))
    with pytest.raises(tamis.Error, match="nothing to recover: no weight lies on a grid"):
        tamis.quantize(network(w), weights="recover")


def test_excluded_weights_stay():
    with pytest.raises(tamis.Error, match="nothing to recover"):
        tamis.quantize(network(q8_0(np.random.default_rng(1))), weights="recover", nodes_to_exclude=["fc"])


def test_recover_chooses_blocks_itself():
    with pytest.raises(tamis.Error, match="expected no block_size, fraction_bits, corrections or overrides"):
        tamis.quantize(network(q8_0(np.random.default_rng(1))), weights="recover", block_size=32)


def test_blocks_on_a_grid_keep_it_without_being_asked():
    """4-bit blocks of a grid without offset are rounded to themselves."""
    w = q8_0(np.random.default_rng(6))
    values, *_ = weight(tamis.quantize(network(w), activations=None, weights="int8", block_size=32))
    np.testing.assert_array_equal(values, w)


def test_nothing_but_equal_values():
    """Constant blocks have the scale one."""
    w = np.repeat(np.arange(K // 32, dtype=F)[:, None] * F(0.3), 32, 0).repeat(N, 1)
    values, *_ = weight(tamis.quantize(network(w), weights="recover"))
    np.testing.assert_array_equal(values, w)
