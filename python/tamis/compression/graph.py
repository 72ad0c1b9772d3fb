# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The top graph of an ONNX model as what compression edits: constants, producers and readers by name.

Edits work on the ModelProto in place. Names of the top graph are visible in the bodies of If, Loop and Scan, so every
renaming looks into them, except where a body has a tensor of its own by that name.
"""
import math

import numpy as np

from ..errors import Error
from ..reference import require

onnx = require("onnx")
numpy_helper, TensorProto = onnx.numpy_helper, onnx.TensorProto

ITEM_BITS = {TensorProto.FLOAT: 32, TensorProto.FLOAT16: 16, TensorProto.BFLOAT16: 16, TensorProto.DOUBLE: 64,
             TensorProto.INT8: 8, TensorProto.UINT8: 8, TensorProto.INT16: 16, TensorProto.UINT16: 16, TensorProto.INT32: 32,
             TensorProto.INT64: 64, TensorProto.BOOL: 8, TensorProto.INT4: 4, TensorProto.UINT4: 4, TensorProto.INT2: 2,
             TensorProto.UINT2: 2, TensorProto.FLOAT8E4M3FN: 8, TensorProto.FLOAT8E5M2: 8}
FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16}
# A type compression works on, by the names Python uses.
DTYPES = {name.lower(): TensorProto.DataType.Value(name)
          for name in ("INT2", "UINT2", "INT4", "UINT4", "INT8", "UINT8", "INT16", "UINT16", "INT32", "FLOAT16", "BFLOAT16")}
# Floats that DequantizeLinear multiplies with a scale.
FLOAT8 = {"float8_e4m3fn": TensorProto.FLOAT8E4M3FN, "float8_e5m2": TensorProto.FLOAT8E5M2}
RANGES = {name: (0, 2 ** int(name[4:]) - 1) if name[0] == "u" else (-2 ** (int(name[3:]) - 1), 2 ** (int(name[3:]) - 1) - 1)
          for name in DTYPES if "int" in name}


def subgraphs(node):
    """The bodies of a control-flow node."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def nodes_within(nodes):
    """Nodes and those of their bodies."""
    for node in nodes:
        yield node
        for body in subgraphs(node):
            yield from nodes_within(body.node)


def node_name(node):
    """What a node is called, also where the model gives it no name."""
    return node.name or next((name for name in node.output if name), node.op_type)


def attribute(node, name, default=None):
    """The value of a node's attribute."""
    for entry in node.attribute:
        if entry.name == name:
            return onnx.helper.get_attribute_value(entry)
    return default


def set_attribute(node, name, value):
    """Replace an attribute; None removes it."""
    for index, entry in enumerate(node.attribute):
        if entry.name == name:
            del node.attribute[index]
            break
    if value is not None:
        node.attribute.append(onnx.helper.make_attribute(name, value))


def rename_reads(nodes, names, readers=None):
    """Replace what nodes and their bodies read, by {old: new}; by `readers`, {node name: {old: new}}, what single nodes read."""
    readers = readers or {}
    for node in nodes:
        here = {**names, **readers.get(node_name(node), {})}
        for index, name in enumerate(node.input):
            if name in here:
                node.input[index] = here[name]
        for body in subgraphs(node):
            own = {i.name for i in body.input} | {t.name for t in body.initializer} | {o for n in body.node for o in n.output}
            inner = {old: new for old, new in names.items() if old not in own}
            rename_reads(body.node, inner, {reader: {old: new for old, new in those.items() if old not in own}
                                            for reader, those in readers.items()})
            for output in body.output:
                output.name = inner.get(output.name, output.name)


def tensor_bytes(tensor):
    """The size of a TensorProto's data as stored in raw form."""
    return (math.prod(tensor.dims) * ITEM_BITS.get(tensor.data_type, 32) + 7) // 8


def make_tensor(name, values, dtype=None):
    """A TensorProto; `dtype` names a type numpy has not (int4 and narrower: two or four to a byte, the first lowest)."""
    values = np.asarray(values)
    bits = ITEM_BITS[DTYPES[dtype]] if dtype else 8
    if bits >= 8:
        return numpy_helper.from_array(values if dtype in (None, "bfloat16") else values.astype(dtype), name)
    tensor = TensorProto(name=name, data_type=DTYPES[dtype], dims=values.shape)
    count = 8 // bits
    flat = values.reshape(-1).astype(np.int64) & (2 ** bits - 1)
    flat = np.pad(flat, (0, -len(flat) % count)).reshape(-1, count)
    tensor.raw_data = (flat << (np.arange(count) * bits)).sum(1).astype(np.uint8).tobytes()
    return tensor


class Graph:
    """One model's top graph; `nodes` is a list that `store` puts back in order."""

    def __init__(self, model):
        self.model, self.proto = model, model.graph
        self.nodes = list(model.graph.node)
        self.initializers = {t.name: t for t in model.graph.initializer}
        self.inputs = {i.name for i in model.graph.input}
        self.outputs = {o.name for o in model.graph.output}
        self._names = set(self.initializers) | self.inputs | {o for n in self.nodes for o in n.output} | {n.name for n in self.nodes}
        self._names.update(name for node in self.nodes for body in subgraphs(node) for name in _all_names(body))
        self.refresh()

    def refresh(self):
        """Recompute producers and readers from the node list."""
        self.producer = {name: node for node in self.nodes for name in node.output if name}
        self.readers = {}
        for node in self.nodes:
            for name in dict.fromkeys((*node.input, *(n for body in subgraphs(node) for n in free_names(body)))):
                if name:
                    self.readers.setdefault(name, []).append(node)

    def unique(self, wanted):
        """A name nobody has, `wanted` if possible."""
        name, count = wanted, 0
        while name in self._names:
            count += 1
            name = f"{wanted}_{count}"
        self._names.add(name)
        return name

    def only_reader(self, name):
        """The one node that reads `name`, or None if there are several or it is an output of the model."""
        readers = self.readers.get(name, ())
        return readers[0] if len(readers) == 1 and name not in self.outputs else None

    def array(self, name):
        """The values of a constant: an initializer, also seen through nodes that only reshape it. None for the rest."""
        if name in self.initializers:
            return numpy_helper.to_array(self.initializers[name])
        node = self.producer.get(name)
        if node is None or node.op_type not in ("Identity", "Unsqueeze", "Squeeze", "Reshape"):
            return None
        value = self.array(node.input[0])
        if value is None or node.op_type == "Identity":
            return value
        other = self.array(node.input[1]) if len(node.input) > 1 else None
        if node.op_type == "Reshape":
            return None if other is None or (other == 0).any() else value.reshape(tuple(other))
        axes = other if other is not None else attribute(node, "axes")
        if node.op_type == "Unsqueeze":
            return None if axes is None else np.expand_dims(value, tuple(int(a) for a in axes))
        return value.squeeze(None if axes is None else tuple(int(a) for a in axes))

    def add(self, tensor):
        """Add an initializer, or replace the one of its name."""
        if tensor.name in self.initializers:
            self.initializers[tensor.name].CopyFrom(tensor)
        else:
            self.proto.initializer.append(tensor)
            self.initializers[tensor.name] = self.proto.initializer[-1]
            self._names.add(tensor.name)
        return tensor.name

    def add_array(self, wanted, values, dtype=None):
        """Add a new initializer under a free name; returns the name."""
        return self.add(make_tensor(self.unique(wanted), values, dtype))

    def drop_initializers(self, names):
        """Remove initializers."""
        names = set(names)
        for index in reversed(range(len(self.proto.initializer))):
            if self.proto.initializer[index].name in names:
                del self.proto.initializer[index]
        self.initializers = {t.name: t for t in self.proto.initializer}

    def drop_unused(self):
        """Remove constants nobody reads and nodes whose results nobody reads, down to a fixed point."""
        while True:
            self.refresh()
            alive = [n for n in self.nodes if any(o in self.readers or o in self.outputs for o in n.output)]
            if len(alive) == len(self.nodes):
                break
            self.nodes = alive
        self.drop_initializers([n for n in self.initializers if n not in self.readers and n not in self.outputs])

    def store(self):
        """Put the node list back into the model."""
        _replace(self.proto.node, self.nodes)
        self.nodes = list(self.proto.node)
        self.refresh()

    def element_types(self):
        """{tensor: element type} of all that is known."""
        types = {t.name: t.data_type for t in self.proto.initializer}
        for info in (*self.proto.input, *self.proto.output, *self.proto.value_info):
            if info.type.HasField("tensor_type"):
                types[info.name] = info.type.tensor_type.elem_type
        return types

    def shapes(self):
        """{tensor: dimensions}, an int or None each, of all whose rank is known."""
        found = {t.name: list(t.dims) for t in self.proto.initializer}
        for info in (*self.proto.value_info, *self.proto.output, *self.proto.input):
            kind = info.type.tensor_type
            if info.type.HasField("tensor_type") and kind.HasField("shape"):
                found[info.name] = [d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim]
        return found


def _replace(field, messages):
    """Give a repeated field new contents; the messages may be its own elements."""
    copies = []
    for message in messages:
        copy = type(message)()
        copy.CopyFrom(message)
        copies.append(copy)
    del field[:]
    field.extend(copies)


def _all_names(body):
    for node in body.node:
        yield from node.output
        yield node.name
        for inner in subgraphs(node):
            yield from _all_names(inner)
    yield from (t.name for t in body.initializer)
    yield from (i.name for i in body.input)


def free_names(body):
    """What a body reads from the graphs around it."""
    own = {i.name for i in body.input} | {t.name for t in body.initializer} | {o for n in body.node for o in n.output}
    for node in body.node:
        yield from (name for name in node.input if name and name not in own)
        for inner in subgraphs(node):
            yield from (name for name in free_names(inner) if name not in own)
    yield from (o.name for o in body.output if o.name not in own)


def opset(model):
    """The version of ONNX's own operators the model uses."""
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 1)


def require_domain(model, domain, version=1):
    """Import an operator set, unless the model does already."""
    if all(entry.domain != domain for entry in model.opset_import):
        model.opset_import.append(onnx.helper.make_opsetid(domain, version))


def constant_nodes_to_initializers(graph):
    """Constant nodes of the top graph become initializers; returns how many."""
    kept, moved = [], 0
    for node in graph.nodes:
        tensor = None
        if node.op_type == "Constant" and node.domain in ("", "ai.onnx") and node.output[0] not in graph.outputs and node.attribute:
            tensor = _constant(node.attribute[0])
        if tensor is None:
            kept.append(node)
            continue
        tensor.name = node.output[0]
        graph.add(tensor)
        moved += 1
    graph.nodes = kept
    graph.store()
    return moved


def _constant(entry):
    if entry.name == "value":
        tensor = TensorProto()
        tensor.CopyFrom(entry.t)
        return tensor
    values = onnx.helper.get_attribute_value(entry)
    dtype = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}.get(entry.name)
    return None if dtype is None else numpy_helper.from_array(np.asarray(values, dtype))
