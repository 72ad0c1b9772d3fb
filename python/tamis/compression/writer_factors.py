# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Folds the factors of smoothed channels into what computes the tensor, where nobody else reads it.

A smoothed tensor is multiplied by a vector in front of its QuantizeLinear. Where the tensor comes from a normalization, a
matrix product or a constant factor, their parameters take the vector over (SmoothQuant, section 4), and the Mul goes; scales
of quantized weights take it, so integers stay as they are. A tensor that a residual sum reads as well keeps its Mul.
"""
import numpy as np

from .graph import attribute, numpy_helper

# What takes a scale, and perhaps a shift, for each element of its last axis.
NORMALIZATIONS = {"LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"}


def fold(graph, tensors):
    """Fold the factors of a delta's `tensors`, already in the Graph; returns the names of those that went."""
    done = []
    for name in [name for name, entry in tensors.items() if entry.get("factor") is not None]:
        scaled = graph.only_reader(name)
        if scaled is None or scaled.op_type != "Mul" or scaled.input[1] not in graph.initializers:
            continue
        plan = []
        if not _push(graph, name, numpy_helper.to_array(graph.initializers[scaled.input[1]]), plan):
            continue
        for node, place, values in plan:
            node.input[place] = graph.add_array(f"{node.input[place]}_smoothed", values)
        for reader in graph.readers[scaled.output[0]]:
            reader.input[0] = name
        graph.nodes = [node for node in graph.nodes if node is not scaled]
        graph.refresh()
        done.append(name)
    if done:
        graph.store()
    return done


def _push(graph, name, factor, plan):
    """Have the tensor `name` computed times `factor`: appends (node, input, new values) to `plan`, or returns False.

    `factor` is positive and has the rank of the smoothed tensor, with one everywhere but along the channels' axis.
    """
    node = graph.producer.get(name)
    if node is None or graph.only_reader(name) is None:
        return False
    along_last = factor.shape[-1] == factor.size
    if node.op_type in NORMALIZATIONS and along_last and attribute(node, "axis", -1) in (-1, factor.ndim - 1):
        return all(_operand(graph, node, place, factor.reshape(-1), plan) for place in range(1, len(node.input)) if node.input[place])
    if node.op_type == "MatMul" and along_last:
        return graph.only_reader(node.input[1]) is node and _operand(graph, node, 1, factor.reshape(-1), plan)
    if node.op_type in ("Add", "Sub"):
        return all(_operand(graph, node, place, factor, plan) for place in (0, 1))
    if node.op_type == "Mul" and node.input[0] != node.input[1]:
        for place in (1, 0):
            tried = []
            if _operand(graph, node, place, factor, tried):
                plan += tried
                return True
    return node.op_type == "Relu" and _push(graph, node.input[0], factor, plan)


def _operand(graph, node, place, factor, plan):
    """The same for one operand of a node: a constant, the scales of an integer one, or a tensor."""
    name = node.input[place]
    if name in graph.initializers:
        values = numpy_helper.to_array(graph.initializers[name])
        plan.append((node, place, (values * factor).astype(values.dtype)))
        return True
    source = graph.producer.get(name)
    if source is None or source.op_type != "DequantizeLinear":
        return _push(graph, name, factor, plan)
    stored, scale = (graph.initializers.get(operand) for operand in source.input[:2])
    if stored is None or scale is None or graph.only_reader(name) is not node or factor.shape[-1] != factor.size:
        return False
    last, axis = len(stored.dims) - 1, attribute(source, "axis", 1) % len(stored.dims)
    along = axis != last if attribute(source, "block_size", 0) else axis == last and len(scale.dims) == 1
    if along:
        values = numpy_helper.to_array(scale)
        plan.append((source, 1, (values * factor.reshape(-1)).astype(values.dtype)))
    return along
