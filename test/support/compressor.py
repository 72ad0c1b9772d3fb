# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A stand-in for tamis.quantize and tamis.prune, and for the clock, so that tests of the search are quick and repeatable.

Weights are rounded or pruned in the float graph; a layer's time is a third of float's for int8, half of that again for
2:4 weights, whatever the machine does.
"""
import sys
import types

import numpy as np
import onnx
from onnx import helper, numpy_helper

from support import models

REAL = {}  # what install() replaced
LEVELS = {"int8": 127, "int4": 7}


def network(seed=0):
    """Two layers named first and second on a sample [1, 16]; scores of 4 classes."""
    rng = np.random.default_rng(seed)
    nodes = [helper.make_node("MatMul", ["x", "w1"], ["h"], name="first"), helper.make_node("Relu", ["h"], ["r"], name="relu"),
             helper.make_node("MatMul", ["r", "w2"], ["y"], name="second")]
    return models.model(nodes, [models.info("x", [1, 16])], [models.info("y", [1, 4])],
                        [models.const("w1", rng.standard_normal((16, 32), np.float32)),
                         models.const("w2", rng.standard_normal((32, 4), np.float32))])


def data(count=60, seed=1):
    """(samples, labels): the labels are what the float network says."""
    x = np.random.default_rng(seed).standard_normal((count, 1, 16)).astype(np.float32)
    w1, w2 = (numpy_helper.to_array(t) for t in network().graph.initializer)
    return [{"x": sample} for sample in x], (np.maximum(x @ w1, 0) @ w2).argmax(-1).reshape(-1)


def _edit(model, change, nodes_to_exclude, overrides, report, **defaults):
    from tamis.compression import layers

    out = onnx.ModelProto()
    out.CopyFrom(model)
    graph = layers.Graph(out)
    for node, _, weight, _ in layers.weighted(graph):
        name = layers.node_name(node)
        if name in nodes_to_exclude:
            continue
        values = change(graph.array(weight), {**defaults, **(overrides or {}).get(name, {})})
        graph.parameters[weight].CopyFrom(numpy_helper.from_array(values.astype(np.float32), weight))
        if report is not None:
            report.append({"layer": name, "pass": "stand-in", "decision": "changed", "reason": "the test asked for it"})
    return out


def quantize(model, data=None, *, weights="int8", nodes_to_exclude=(), overrides=None, report=None, **_):
    assert len(data) > 0

    def change(values, options):
        scale = np.abs(values).max() / LEVELS[options["weights"]]
        return np.rint(values / scale) * scale

    return _edit(model, change, nodes_to_exclude, overrides, report, weights=weights)


def prune(model, data=None, *, sparsity=0.5, pattern="unstructured", nodes_to_exclude=(), overrides=None, report=None, **_):
    def change(values, options):
        return np.where(np.abs(values) < np.quantile(np.abs(values), options["sparsity"]), 0, values)

    return _edit(model, change, nodes_to_exclude, overrides, report, sparsity=sparsity, pattern=pattern)


def _share(after, before):
    """The time of a layer as a share of float's."""
    share = 1.0 if np.array_equal(after, before) else 1 / 3
    return share * (0.5 if np.mean(after == 0) > 0.4 else 1.0)


def install():
    """Put the stand-ins where the search looks for the real functions."""
    import tamis.compression
    from tamis.compression import evaluate, layers, workbench

    from tamis.compression import api

    REAL.setdefault("api", api)
    REAL.setdefault("methods", (workbench.Workbench.time, workbench.Workbench.layer_times))
    module = types.ModuleType("tamis.compression.api")
    module.quantize, module.prune = quantize, prune
    sys.modules["tamis.compression.api"] = tamis.compression.api = module

    def time(bench, candidate, seconds=0):
        ratio = sum(layer_times(bench, candidate.proto).values()) / sum(layer_times(bench, bench.proto).values())
        candidate.latency = evaluate.Latency(1e-3, ratio * 1e-3, ratio, 10)
        return candidate.latency

    def layer_times(bench, proto):
        after, before = layers.Graph(proto), layers.Graph(bench.proto)
        return {layer.name: layer.count * 1e-6 * _share(after.array(layer.weight), before.array(layer.weight)) for layer in bench.layers}

    workbench.Workbench.time = time
    workbench.Workbench.layer_times = layer_times


def uninstall():
    """Give back what install() replaced, where tests share a process."""
    import tamis.compression
    from tamis.compression import workbench

    if REAL:
        sys.modules["tamis.compression.api"] = tamis.compression.api = REAL["api"]
        workbench.Workbench.time, workbench.Workbench.layer_times = REAL["methods"]
