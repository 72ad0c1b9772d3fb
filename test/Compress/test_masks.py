# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Zeros that a model brings along stay exactly zero through whatever comes later, and patterns stay patterns."""
import numpy as np
import pytest
from onnx import numpy_helper
from support import models
from support.pruning import build, conv, model, prune, values

import tamis
from tamis import reference
from tamis.compression import layers, prepare, writer


def network(width=40):
    """Two convolutions and three matrix products with biases; every weight is masked 2:4 along its sums."""
    w = {}
    nodes = [conv("c0", "x", width, "a", seed=0, weights=w, before=4), build("Relu", ["a"], ["b"]),
             conv("c1", "b", width, "c", seed=1, weights=w, before=width), build("Relu", ["c"], ["d"]),
             build("GlobalAveragePool", ["d"], ["p"]), build("Flatten", ["p"], ["f"])]
    source = "f"
    for i, size in enumerate((44, 36, 8)):
        w[f"m{i}"], w[f"v{i}"] = values(5 + i, width if i == 0 else w[f"m{i - 1}"].shape[1], size) / 6, values(9 + i, size)
        nodes += [build("MatMul", [source, f"m{i}"], [f"h{i}"], f"nm{i}"), build("Add", [f"h{i}", f"v{i}"], [f"s{i}"])]
        nodes += [build("Relu", [f"s{i}"], [f"r{i}"])] if i < 2 else []
        source = f"r{i}"
    masks = {}
    for name in [n for n in w if w[n].ndim > 1]:
        rows = as_rows(w[name])
        mask = from_rows(np.broadcast_to(np.arange(rows.shape[1]) % 2 == 1, rows.shape), w[name].shape)
        masks["n" + name], w[name] = mask, np.where(mask, w[name], 0)
    return model(nodes, w, {"x": [1, 4, 8, 8]}, ["s2"]), masks


def as_rows(weight):
    """Output channels times sums, channels fastest, as patterns count."""
    return weight.T if weight.ndim == 2 else weight.transpose(0, 2, 3, 1).reshape(len(weight), -1)


def from_rows(rows, shape):
    return rows.T if len(shape) == 2 else rows.reshape(shape[0], *shape[2:], shape[1]).transpose(0, 3, 1, 2)


def floats(made):
    """{layer: its weight}, quantized or not, dense or sparse."""
    graph = layers.Graph(made)
    return {node.name: layers.weight_values(graph, weight, dequantize) for node, _, weight, dequantize in layers.weighted(graph)}


DATA = [{"x": np.abs(values(20 + i, 1, 4, 8, 8))} for i in range(4)]


def assert_masked(made, masks):
    found = floats(made)
    for layer, mask in masks.items():
        weight = found[layer]
        assert weight.shape == mask.shape and weight.any() and not weight[~mask].any(), layer
        rows = as_rows(weight)
        for start in range(0, rows.shape[1], 4):
            assert (np.count_nonzero(rows[:, start:start + 4], 1) <= 2).all(), layer
    reference.session(made.SerializeToString()).run(None, DATA[0])


@pytest.mark.parametrize("options", [
    {"sparsity": 0.6}, {"pattern": "2:4"}, {"pattern": "1:4"}, {"pattern": "1x4", "sparsity": 0.3}, {"pattern": "auto"},
    {"criterion": "wanda", "sparsity": 0.7}, {"criterion": "sparsegpt", "sparsity": 0.6}, {"criterion": "sparsegpt", "pattern": "2:4"},
    {"criterion": "activation", "sparsity": 0.6}, {"criterion": "random", "sparsity": 0.6}, {"scope": "global", "sparsity": 0.6},
    {"format": "sparse_initializer", "sparsity": 0.8}])
def test_pruned_again(options):
    made, masks = network()
    assert_masked(tamis.prune(made, DATA, **options), masks)


@pytest.mark.parametrize("options", [
    {"weights": "int8"}, {"weights": "uint8"}, {"weights": "int4", "block_size": 8}, {"weights": "int8", "per_channel": False},
    {"corrections": ["equalization"]}, {"corrections": ["smooth"]}, {"corrections": ["bias"]}, {"corrections": ["gptq"]},
    {"corrections": ["equalization", "smooth", "bias", "gptq"], "weights": "int4"}])
def test_quantized_afterwards(options):
    made, masks = network()
    assert_masked(tamis.quantize(made, DATA, **options), masks)


def test_all_of_it_one_after_the_other():
    made, masks = network()
    made = tamis.prune(made, DATA, criterion="sparsegpt", sparsity=0.7, format="sparse_initializer", protect=False)
    assert made.graph.sparse_initializer
    assert_masked(made, masks)
    made = tamis.prune(made, DATA, criterion="wanda", pattern="1:4")
    masks = {layer: mask & (floats(made)[layer] != 0) for layer, mask in masks.items()}
    made = tamis.quantize(made, DATA, corrections=["equalization", "smooth", "bias", "gptq"])
    assert_masked(made, masks)
    # The integers of a quantized model are pruned on their grid.
    assert_masked(tamis.prune(made, sparsity=0.8), masks)


def test_channels_leave_the_rest_as_it_is():
    made, _ = network()
    prepared = prepare.prepare(made)
    delta = prune(prepared.model.SerializeToString(), "pattern=channel criterion=l2 sparsity=0.25 protect=false").delta()
    written = writer.apply(prepared, delta)
    before, after = floats(made), floats(written)
    for layer, expected in before.items():
        for axis, kept in delta["removed"]["parameters"][layer[1:]]:
            expected = np.take(expected, kept, axis)
        np.testing.assert_array_equal(after[layer], expected)
    result, = reference.session(written.SerializeToString()).run(None, DATA[0])
    assert result.shape == (1, 8)


def test_zeros_of_quantization_aware_training_are_exact_zero_points():
    """A QDQ model with a zero point that is not zero: its zeros are recognised, kept and counted."""
    weight, zero = np.random.default_rng(3).integers(0, 256, (64, 32)).astype(np.uint8), np.uint8(128)
    mask = np.random.default_rng(4).random(weight.shape) < 0.5
    weight[~mask] = zero
    nodes = [build("DequantizeLinear", ["q", "s", "z"], ["w"]), build("MatMul", ["x", "w"], ["y"], "layer")]
    made = models.model(nodes, [models.info("x", [2, 64])], [models.info("y", None)],
                        [models.const("q", weight), models.const("s", np.float32(0.01)), models.const("z", zero)])
    pruned = tamis.prune(made, sparsity=0.75, protect=False)
    stored = next(numpy_helper.to_array(t) for t in pruned.graph.initializer if t.dims == [64, 32])
    assert (stored[~mask] == zero).all() and abs((stored == zero).mean() - 0.75) < 0.01
    left = stored != zero
    assert (stored[left] == weight[left]).all()


@pytest.mark.parametrize("rows, columns", [(1, 3), (5, 7), (33, 18), (64, 41)])
@pytest.mark.parametrize("pattern", ["2:4", "1:4", "3:8", "1x4", "32x4", "32x64", "unstructured", "auto"])
@pytest.mark.parametrize("criterion", ["magnitude", "random", "l2", "wanda", "sparsegpt", "activation"])
def test_odd_shapes(rows, columns, pattern, criterion):
    nodes = [build("MatMul", ["x", "v"], ["h"], "first"), build("Relu", ["h"], ["r"]), build("MatMul", ["r", "w"], ["y"], "second")]
    weight = values(1, columns, rows)
    weight[:, 0] = 0
    made = models.model(nodes, [models.info("x", [2, 6])], [models.info("y", None)],
                        [models.const("v", values(0, 6, columns)), models.const("w", weight)])
    pruned = tamis.prune(made, [{"x": values(i, 2, 6)} for i in range(3)], pattern=pattern, criterion=criterion, protect=False,
                         nodes_to_exclude=["first"])
    after = floats(pruned)["second"]
    assert after.shape == weight.shape and not after[weight == 0].any() and np.isfinite(after).all()
    if ":" in pattern:
        kept, length = map(int, pattern.split(":"))
        for start in range(0, columns, length):
            assert (np.count_nonzero(after.T[:, start:start + length], 1) <= kept).all()
    if criterion != "sparsegpt":
        assert (after[after != 0] == weight[after != 0]).all()
