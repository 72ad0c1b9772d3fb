# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Folds what follows or precedes a convolution or Gemm with one factor and one summand per channel into its weight.

BatchNormalization of inference, and Mul, Div, Add and Sub by constants, are y = factor * x + summand per channel. Behind
a contraction they scale its output channels; before a convolution without padding its input channels. Quantized
afterwards, such a layer has one rounding less and no float step in between (Jacob et al., "Quantization and Training of
Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018, section 3.2). All arithmetic is in float64,
rounded once.
"""
import numpy as np

from .graph import FLOATS, attribute, make_tensor, node_name, numpy_helper, set_attribute

FOLDABLE = {"Conv", "ConvTranspose", "Gemm"}
ELEMENTWISE = {"Mul", "Div", "Add", "Sub"}


def fold(graph):
    """Fold all there is to fold in a Graph; returns the names of the nodes that went."""
    gone, ranks = [], {name: len(shape) for name, shape in graph.shapes().items()}
    changed = True
    while changed:
        changed = False
        removed = set()
        for node in list(graph.nodes):
            if id(node) in removed:
                continue
            done = _fold_behind(graph, node) or _fold_before(graph, node, ranks)
            if done is not None:
                removed.add(id(done))
                gone.append(node_name(done))
                graph.nodes = [n for n in graph.nodes if n is not done]
                graph.refresh()
                changed = True
    graph.store()
    return gone


class Layer:
    """A contraction with constant weight and bias; None of `of` where one of them is none."""

    def __init__(self, graph, node, weight, bias):
        self.graph, self.node, self.weight, self.bias = graph, node, weight, bias
        self.transposed = node.op_type == "ConvTranspose"
        self.groups = attribute(node, "group", 1)
        if node.op_type == "Gemm":
            self.channels = weight.shape[0 if attribute(node, "transB", 0) else 1]
        else:
            self.channels = weight.shape[1] * self.groups if self.transposed else weight.shape[0]

    @classmethod
    def of(cls, graph, node):
        """The layer of a Conv, ConvTranspose or Gemm whose weight and bias are initializers."""
        if node.op_type not in FOLDABLE or node.domain not in ("", "ai.onnx"):
            return None
        weight = graph.initializers.get(node.input[1])
        if weight is None or weight.data_type not in FLOATS:
            return None
        bias = None
        if len(node.input) > 2 and node.input[2]:
            if node.input[2] not in graph.initializers:
                return None
            bias = numpy_helper.to_array(graph.initializers[node.input[2]]).astype(np.float64)
        made = cls(graph, node, numpy_helper.to_array(weight).astype(np.float64), bias)
        if node.op_type == "Gemm" and bias is not None:
            if bias.size not in (1, made.channels) or (bias.ndim and bias.shape[-1] != bias.size):
                return None  # one summand per row
            made.bias = np.broadcast_to(bias.reshape(-1), made.channels) * attribute(node, "beta", 1.0)
        return made

    def scale_outputs(self, factor, summand):
        """weight and bias of factor * layer + summand."""
        bias = self.bias if self.bias is not None else np.zeros(self.channels)
        if self.node.op_type == "Gemm":
            weight = self.weight * (factor[:, None] if attribute(self.node, "transB", 0) else factor)
        elif self.transposed:
            grouped = self.weight.reshape(self.groups, -1, *self.weight.shape[1:])
            scale = factor.reshape(self.groups, 1, -1, *([1] * (self.weight.ndim - 2)))
            weight = (grouped * scale).reshape(self.weight.shape)
        else:
            weight = self.weight * factor.reshape(-1, *([1] * (self.weight.ndim - 1)))
        return weight, bias * factor + summand

    def scale_inputs(self, factor, summand):
        """weight and bias of layer(factor * x + summand); a Conv without padding."""
        inputs = self.weight.shape[1]
        factor, summand = (np.broadcast_to(v, inputs * self.groups).reshape(self.groups, 1, inputs) for v in (factor, summand))
        grouped = self.weight.reshape(self.groups, -1, *self.weight.shape[1:])
        scale = factor.reshape(*factor.shape, *([1] * (self.weight.ndim - 2)))
        shift = summand.reshape(scale.shape)
        bias = (grouped * shift).reshape(self.channels, -1).sum(1) + (0 if self.bias is None else self.bias)
        return (grouped * scale).reshape(self.weight.shape), bias

    def replace(self, weight, bias):
        """Give the node new values: under the old names where nobody else reads them. False, and nothing, if float32 has none such."""
        if not all(np.isfinite(a).all() and np.abs(a).max(initial=0) < 3e38 for a in (weight, bias)):
            return False
        graph, node = self.graph, self.node
        dtype = graph.initializers[node.input[1]].data_type
        if node.op_type == "Gemm":
            set_attribute(node, "beta", None)
        node.input[1] = self._put(node.input[1], weight, dtype, None)
        old = node.input[2] if len(node.input) > 2 else ""
        name = self._put(old, bias, dtype, f"{node_name(node)}_bias")
        del node.input[2:]
        node.input.append(name)
        return True

    def _put(self, old, values, dtype, wanted):
        values = values.astype(np.float32)
        if dtype != 1:
            values = values.astype(numpy_helper.to_array(self.graph.initializers[self.node.input[1]]).dtype)
        if old and self.graph.only_reader(old) is self.node and list(self.node.input).count(old) == 1:
            return self.graph.add(make_tensor(old, values))
        return self.graph.add_array(wanted or f"{old}_{node_name(self.node)}", values)


def _normalization(graph, node):
    """(factor, summand) of a BatchNormalization of inference with constant parameters."""
    if node.op_type != "BatchNormalization" or attribute(node, "training_mode", 0) or len([o for o in node.output if o]) != 1:
        return None
    values = [graph.array(name) for name in node.input[1:5]]
    if any(v is None for v in values) or attribute(node, "spatial", 1) != 1:
        return None
    scale, shift, mean, variance = (v.astype(np.float64) for v in values)
    factor = scale / np.sqrt(variance + attribute(node, "epsilon", 1e-5))
    return factor, shift - mean * factor


def _elementwise(graph, node, data, channels, rank):
    """(factor, summand) of arithmetic with a constant that is one number or one per channel."""
    if node.op_type not in ELEMENTWISE or node.input[0] == node.input[1]:
        return None
    left = node.input[0] == data
    value = graph.array(node.input[1 if left else 0])
    if value is None or (node.op_type == "Div" and not left):
        return None
    channel_axis = 1 - rank  # counted from the end, where broadcasting starts
    shape = (1,) * (rank - value.ndim) + value.shape
    if len(shape) > rank or any(size != 1 for axis, size in enumerate(shape, -rank) if axis != channel_axis):
        return None
    value = value.astype(np.float64).reshape(-1)
    if len(value) not in (1, channels):
        return None
    value = np.broadcast_to(value, channels)
    one, zero = np.ones(channels), np.zeros(channels)
    if node.op_type == "Div" and not value.all():
        return None
    return {"Mul": (value, zero), "Div": (one / np.where(value == 0, 1, value), zero), "Add": (one, value),
            "Sub": (one, -value) if left else (-one, value)}[node.op_type]


def _fold_behind(graph, node):
    """Fold the node behind a contraction into it and return it; the contraction takes over its output."""
    follower = graph.only_reader(node.output[0]) if node.op_type in FOLDABLE else None
    if follower is None or list(follower.input).count(node.output[0]) != 1:
        return None
    if follower.op_type not in ELEMENTWISE and (follower.op_type != "BatchNormalization" or follower.input[0] != node.output[0]):
        return None
    layer = Layer.of(graph, node)
    if layer is None:
        return None
    found = _normalization(graph, follower) or _elementwise(graph, follower, node.output[0], layer.channels, layer.weight.ndim)
    if found is None or len(found[0]) != layer.channels or not layer.replace(*layer.scale_outputs(*found)):
        return None
    node.output[0] = follower.output[0]
    return follower


def _fold_before(graph, node, ranks):
    """Fold a BatchNormalization before a Conv without padding into it and return it."""
    if node.op_type != "BatchNormalization":
        return None
    reader = graph.only_reader(node.output[0])
    if reader is None or reader.op_type != "Conv" or reader.input[0] != node.output[0]:
        return None
    if any(attribute(reader, "pads", ())) or attribute(reader, "auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        return None
    layer, found = Layer.of(graph, reader), _normalization(graph, node)
    if layer is None or found is None or len(found[0]) != layer.weight.shape[1] * layer.groups:
        return None
    if not layer.replace(*layer.scale_inputs(*found)):
        return None
    reader.input[0] = node.input[0]
    return node
