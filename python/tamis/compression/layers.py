# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The layers of an ONNX model that compression may change: contractions with a weight of their own.

Names are the model's own: a node's name, or its first output where it has none.
"""
import dataclasses
import math

import numpy as np

from .. import reference

CONTRACTIONS = ("Conv", "ConvTranspose", "Gemm", "MatMul", "FusedConv", "FusedMatMul")
# A weight may reach its contraction through these.
MOVEMENT = ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity")
# Between a weight's codes and its floats.
DECODING = ("DequantizeLinear", "QuantizeLinear", "Cast", "Gather", "Mul")
BITS = {"FLOAT": 32, "FLOAT16": 16, "BFLOAT16": 16, "DOUBLE": 64, "INT16": 16, "UINT16": 16, "INT8": 8, "UINT8": 8,
        "INT4": 4, "UINT4": 4, "INT2": 2, "UINT2": 2, "FLOAT8E4M3FN": 8, "FLOAT8E5M2": 8, "INT32": 32, "INT64": 64}


@dataclasses.dataclass(frozen=True)
class Codebook:
    """Initializers of the values that a weight's codes are indices of, and of what those are multiplied with, or None."""

    values: str
    scale: str = None


@dataclasses.dataclass(frozen=True)
class Layer:
    """One contraction: its node, its weight and how the weight is stored."""

    name: str
    op: str
    output: str       # the node's output tensor
    weight: str       # name of the initializer
    shape: tuple
    dtype: str        # of the stored values: float32, int8, int4, codebook4 …
    count: int
    stored_bytes: int  # values and their scales
    zeros: float      # share of the values that are zero

    @property
    def bits(self):
        if self.dtype.startswith("codebook"):
            return int(self.dtype.removeprefix("codebook"))
        return BITS.get(self.dtype.upper().replace("_", "").replace("FLOAT32", "FLOAT"), 32)


class Graph:
    """Producers and parameters of a ModelProto's top level."""

    def __init__(self, model):
        self.onnx = reference.require("onnx")
        self.model = model
        self.nodes = list(model.graph.node)
        self.parameters = {t.name: t for t in model.graph.initializer}
        self.parameters.update({t.values.name: t for t in model.graph.sparse_initializer})
        self.producer = {name: node for node in self.nodes for name in node.output if name}
        self.readers = {}
        for node in self.nodes:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
            if node.op_type == "Constant":
                value = next((a.t for a in node.attribute if a.name == "value" and a.HasField("t")), None)
                if value is not None:
                    self.parameters[node.output[0]] = value

    def array(self, name):
        """A parameter's values, dense."""
        tensor = self.parameters[name]
        if hasattr(tensor, "indices"):
            values, indices = map(self.onnx.numpy_helper.to_array, (tensor.values, tensor.indices))
            dense = np.zeros(math.prod(tensor.dims), values.dtype)
            flat = indices if indices.ndim == 1 else np.ravel_multi_index(indices.T, tuple(tensor.dims))
            dense[flat] = values
            return dense.reshape(tuple(tensor.dims))
        return self.onnx.numpy_helper.to_array(tensor)

    def weight(self, name):
        """(initializer, what it is decoded with) that a contraction's operand comes from, or None. The second is a
        DequantizeLinear node, a Codebook, or None for floats. A constant may be added to what DequantizeLinear makes: the
        offsets of blocks.
        """
        dequantize, scale, added = None, None, False
        for _ in range(len(self.nodes) + 1):
            if name in self.parameters:
                return None if added and dequantize is None else (name, dequantize)
            node = self.producer.get(name)
            if node is not None and node.op_type == "Add" and node.input[1] in self.parameters:
                name, added = node.input[0], True
                continue
            if node is None or node.op_type not in (*MOVEMENT, *DECODING):
                return None
            if node.op_type == "DequantizeLinear":
                dequantize = node
            elif node.op_type == "QuantizeLinear":
                dequantize = None  # stored as floats, quantized at run time
            elif node.op_type == "Mul":
                if not self._is_codebook(self.producer.get(node.input[0])) or node.input[1] not in self.parameters:
                    return None
                scale = node.input[1]
            elif node.op_type == "Gather":
                if not self._is_codebook(node):
                    return None
                dequantize, name = Codebook(node.input[0], scale), node.input[1]
                continue
            name = node.input[0]
        return None

    def offset(self, dequantize):
        """The name of the offsets of blocks that are added to what a DequantizeLinear makes, or None."""
        name = dequantize.output[0]
        for wanted in ("Reshape", "Add"):
            found = self.readers.get(name, ())
            if len(found) != 1 or found[0].op_type != wanted:
                return None
            name = found[0].output[0]
        return found[0].input[1] if found[0].input[1] in self.parameters else None

    def _is_codebook(self, node):
        """True for a Gather that picks from a list of floats."""
        values = self.parameters.get(node.input[0]) if node is not None and node.op_type == "Gather" else None
        return values is not None and len(values.dims) == 1


def node_name(node):
    return node.name or node.output[0]


def weighted(graph):
    """Yield (node, position of the weight operand, initializer, DequantizeLinear, Codebook or None)."""
    for node in graph.nodes:
        if node.op_type not in CONTRACTIONS:
            continue
        for position in (1, 0):
            found = graph.weight(node.input[position]) if position < len(node.input) else None
            if found:
                yield node, position, *found
                break


def layers(model, count_zeros=True):
    """Every Layer of a ModelProto, in the order of its nodes."""
    graph = model if isinstance(model, Graph) else Graph(model)
    return [layer_of(graph, *found, count_zeros=count_zeros) for found in weighted(graph)]


def layer_of(graph, node, position, weight, dequantize, count_zeros=True):
    tensor = graph.parameters[weight]
    values = tensor.values if hasattr(tensor, "indices") else tensor
    dtype = graph.onnx.TensorProto.DataType.Name(values.data_type)
    shape = tuple(tensor.dims)
    count = math.prod(shape)
    stored = (math.prod(values.dims) * BITS.get(dtype, 32) + 7) // 8
    name_of_type = graph.onnx.helper.tensor_dtype_to_np_dtype(values.data_type).name
    zero, extras = 0, []
    if isinstance(dequantize, Codebook):
        extras = [dequantize.values, dequantize.scale]
        name_of_type = f"codebook{max(int(graph.parameters[dequantize.values].dims[0] - 1).bit_length(), 1)}"
    elif dequantize is not None:
        extras = [*dequantize.input[1:], graph.offset(dequantize)]
    if dequantize is not None:
        for name in extras:
            if name in graph.parameters:
                extra = graph.parameters[name]
                stored += math.prod(extra.dims) * BITS.get(graph.onnx.TensorProto.DataType.Name(extra.data_type), 32) // 8
    zeros = float("nan")
    if count_zeros and count and isinstance(dequantize, Codebook):
        zeros = float(np.mean(weight_values(graph, weight, dequantize) == 0))
    elif count_zeros and count:
        if dequantize is not None and len(dequantize.input) > 2 and dequantize.input[2] in graph.parameters:
            zero = _spread(graph.array(dequantize.input[2]), dequantize, shape)
        zeros = float(np.mean(graph.array(weight).astype(np.float32) == np.asarray(zero, np.float32)))
    return Layer(node_name(node), node.op_type, node.output[0], weight, shape,
                 name_of_type, count, stored, zeros)


def _spread(parameter, dequantize, shape):
    """A scale or zero point in the shape of the values it belongs to."""
    attributes = {a.name: a.i for a in dequantize.attribute}
    parameter = np.asarray(parameter)
    if parameter.size == 1:
        return parameter.reshape(())
    axis = attributes.get("axis", 1) % len(shape)
    if attributes.get("block_size"):
        return np.repeat(parameter, attributes["block_size"], axis)[tuple(slice(0, s) for s in shape)]
    return parameter.reshape([-1 if i == axis else 1 for i in range(len(shape))])


def weight_values(graph, weight, dequantize):
    """A layer's weight as floats, what its integers or codes stand for."""
    values = graph.array(weight)
    if isinstance(dequantize, Codebook):
        floats = graph.array(dequantize.values).astype(np.float32)[values.astype(np.int64)]
        return floats if dequantize.scale is None else floats * graph.array(dequantize.scale).astype(np.float32)
    if dequantize is None:
        return values.astype(np.float32)
    scale = _spread(graph.array(dequantize.input[1]), dequantize, values.shape).astype(np.float32)
    zero = graph.array(dequantize.input[2]) if len(dequantize.input) > 2 else np.zeros((), np.float32)
    floats = (values.astype(np.float32) - _spread(zero, dequantize, values.shape).astype(np.float32)) * scale
    offset = graph.offset(dequantize)
    if offset is None:
        return floats
    offset = graph.array(offset)
    axis = next((a.i for a in dequantize.attribute if a.name == "axis"), 1) % values.ndim
    return (floats.reshape([-1 if i == axis + 1 else size for i, size in enumerate(offset.shape)]) + offset).reshape(values.shape)
