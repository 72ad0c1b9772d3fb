# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Makes an ONNX model ready for compression: the same function, in the form that compresses best.

Constant nodes become initializers, Identity nodes between an initializer and its readers go, biases that layers share
are given to each of them, sparse initializers become dense with zeros, normalizations and constant factors fold into
convolutions, and weights that come out of a codebook, half precision or (to be pruned) DequantizeLinear become floats that
remember what they were.
"""
import dataclasses

import numpy as np

from ..errors import Error
from . import codes, fold, opset, storage
from .graph import (FLOAT8, FLOATS, Graph, TensorProto, attribute, constant_nodes_to_initializers, free_names, make_tensor, node_name,
                    numpy_helper, onnx, rename_reads, subgraphs)
from .layers import CONTRACTIONS, MOVEMENT

INTEGER_NAMES = {TensorProto.DataType.Value(name): name.lower()
                 for name in ("INT2", "UINT2", "INT4", "UINT4", "INT8", "UINT8", "INT16", "UINT16", "INT32")}
# What a float weight may come through to the layer that reads it.
PASSING = (*MOVEMENT, "Cast", "QuantizeLinear", "DequantizeLinear")
FLOAT8_NAMES = {number: name for name, number in FLOAT8.items()}


@dataclasses.dataclass
class Grid:
    """How a weight was quantized in the model that came in."""

    dtype: str
    scale: np.ndarray
    zero_point: np.ndarray = None
    axis: int = None
    block: int = None

    @property
    def name(self):
        """What the type is called in tables."""
        return self.dtype

    def stored_bytes(self, count):
        """Bytes of `count` weights with scales and zero points."""
        bits = 8 if self.dtype in FLOAT8 else int(self.dtype.lstrip("uint"))
        extra = 0 if self.zero_point is None else self.zero_point.size * bits
        return (count * bits + self.scale.size * 32 + extra + 7) // 8

    def entry(self, values):
        """The entry of a delta that stores new values on the same grid."""
        return {"values": requantize(values, self), "dtype": self.dtype, "scale": self.scale, "zero_point": self.zero_point,
                "axis": self.axis, "block": self.block}

    def spread(self, parameter, shape):
        """One parameter in a shape that broadcasts to the weight's."""
        if parameter is None or parameter.size == 1:
            return np.zeros((), np.int64) if parameter is None else parameter.reshape(())
        if self.block:
            return np.repeat(parameter, self.block, self.axis)[tuple(slice(0, s) for s in shape)]
        return parameter.reshape([-1 if i == self.axis else 1 for i in range(len(shape))])


@dataclasses.dataclass
class Prepared:
    """A model ready for compression. `grids`: {weight: Grid} of those that were integers; `folded`: nodes that went."""

    model: object
    loaded: storage.Loaded
    grids: dict
    folded: list
    sparse: list
    changed: bool


def prepare(model, *, fold_constants=True, least_opset=None, lift=False):
    """Prepare a path, bytes or a ModelProto, which stays as it is. Raises Error for what is no ONNX model."""
    loaded = storage.load(model)
    proto, name = loaded.model, loaded.name
    before = len(proto.graph.node), len(proto.graph.input), len(proto.graph.initializer)
    sparse = _dense(proto, name)
    _inputs_without_initializers(proto)
    raised = least_opset and opset.opset(proto) < least_opset
    if raised:
        proto = opset.raise_to(proto, least_opset, name)
    graph = Graph(proto)
    constant_nodes_to_initializers(graph)
    _name_apart(graph)
    _drop_identities(graph)
    _drop_addends_times_zero(graph)
    grids = codes.lift(graph)
    if lift:
        grids.update(_lift(graph, name))
    gone = []
    if fold_constants:
        _give_each_its_bias(graph)
        gone = fold.fold(graph)
    graph.drop_unused()
    graph.store()
    changed = bool(raised or sparse or gone or grids) or before != (
        len(proto.graph.node), len(proto.graph.input), len(proto.graph.initializer))
    opset.infer_shapes(proto)
    return Prepared(proto, loaded, grids, gone, sparse, changed)


def separate(prepared, layers, names):
    """Layers among `names` get weights of their own, where other layers, of bodies too, read theirs. `layers`: [(layer, initializer)]."""
    graph, moved, renamed = Graph(prepared.model), [], {}
    for weight in dict.fromkeys(weight for _, weight in layers if weight not in names):
        reads = list(_reads(weight, lambda name: graph.readers.get(name, ())))
        apart = [read for read in reads if node_name(read[0]) in names]
        for node, operand, movement in apart[0 if len(apart) < len(reads) else 1:]:
            if any(name not in graph.initializers for step in movement for name in step.input[1:]):
                continue  # moved by what is computed: the copy would have to stand behind that
            copy = TensorProto()
            copy.CopyFrom(graph.initializers[weight])
            copy.name = graph.unique(f"{weight}_{node_name(node)}")
            name = graph.add(copy)
            if weight in prepared.grids:
                prepared.grids[name] = prepared.grids[weight]
            for step in movement:
                step = onnx.NodeProto.FromString(step.SerializeToString())
                step.input[0], step.name = name, graph.unique(f"{node_name(step)}_{node_name(node)}")
                name = step.output[0] = graph.unique(f"{step.output[0]}_{node_name(node)}")
                moved.append(step)
            renamed.setdefault(node_name(node), {})[operand] = name
    if renamed:
        rename_reads(graph.nodes, {}, renamed)
        graph.nodes[:0] = moved
        graph.store()
        prepared.changed = True


def _reads(name, readers, movement=()):
    """Yield (contraction, operand, nodes on the way there) of all that read a tensor; `readers`: nodes that may read one of its name."""
    for node in readers(name):
        if name in node.input and node.op_type in CONTRACTIONS:
            yield node, name, movement
        elif name in node.input[:1] and node.op_type in PASSING:
            yield from _reads(node.output[0], readers, (*movement, node))
        for body in subgraphs(node):
            if name in free_names(body):
                yield from _reads(name, lambda _, inside=body.node: inside, movement)


def _dense(model, name):
    """Sparse initializers of the top graph become dense; returns their names."""
    names = []
    for sparse in model.graph.sparse_initializer:
        values, indices = numpy_helper.to_array(sparse.values), numpy_helper.to_array(sparse.indices)
        dims = tuple(sparse.dims)
        try:
            if indices.ndim == 2:
                indices = np.ravel_multi_index(tuple(indices.T), dims)
            array = np.zeros(int(np.prod(dims, dtype=np.int64)), values.dtype)
            array[indices] = values
        except (ValueError, IndexError):
            raise Error(f"sparse initializer '{sparse.values.name}' has an index outside its shape {list(dims)}", file=name) from None
        model.graph.initializer.append(make_tensor(sparse.values.name, array.reshape(dims)))
        names.append(sparse.values.name)
    del model.graph.sparse_initializer[:]
    return names


def _inputs_without_initializers(model):
    """Before IR version 4 every initializer was an input as well; compressed ones cannot be."""
    names = {t.name for t in model.graph.initializer}
    kept = [i for i in model.graph.input if i.name not in names]
    if len(kept) != len(model.graph.input):
        copies = [type(i).FromString(i.SerializeToString()) for i in kept]
        del model.graph.input[:]
        model.graph.input.extend(copies)
        model.ir_version = max(model.ir_version, 4)


def _drop_identities(graph):
    """What reads an initializer through Identity reads it itself."""
    names, kept = {}, []
    for node in graph.nodes:
        source = names.get(node.input[0], node.input[0]) if node.op_type == "Identity" and node.input else None
        if source in graph.initializers and node.output[0] not in graph.outputs:
            names[node.output[0]] = source
        else:
            kept.append(node)
    if names:
        graph.nodes = kept
        rename_reads(kept, names)
        graph.store()


def _name_apart(graph):
    """Nodes of bodies get names that no node around or beside them has: single readers of a tensor are told by theirs."""
    def visit(nodes):
        for node in nodes:
            for body in subgraphs(node):
                for inner in body.node:
                    if node_name(inner) in known:
                        inner.name = graph.unique(node_name(inner))
                    known.add(node_name(inner))
                visit(body.node)

    known = {node_name(node) for node in graph.nodes}
    visit(graph.nodes)


def _drop_addends_times_zero(graph):
    """Gemm's third operand does not matter where its factor is zero, but its shape would."""
    optional = opset.opset(graph.model) >= 11
    for node in graph.nodes:
        if node.op_type == "Gemm" and attribute(node, "beta", 1.0) == 0 and node.input[2:]:
            del node.input[2:]
            if not optional:
                node.input.append(graph.add_array(f"{node_name(node)}_zero", np.zeros(1, np.float32)))
    graph.refresh()


def _give_each_its_bias(graph):
    """A bias is quantized with the scales of its own layer, so layers must not share one."""
    for name, readers in list(graph.readers.items()):
        tensor = graph.initializers.get(name)
        if tensor is None or tensor.data_type not in FLOATS or len(tensor.dims) > 1:
            continue
        layers = [n for n in readers if n.op_type in fold.FOLDABLE and len(n.input) > 2 and n.input[2] == name]
        for node in layers[1 if len(layers) == len(readers) else 0:]:
            node.input[2] = graph.add_array(f"{name}_{node_name(node)}", numpy_helper.to_array(tensor))
    graph.refresh()


def _lift(graph, name):
    """DequantizeLinear of constants becomes a float initializer under the name of its result."""
    grids, kept = {}, []
    for node in graph.nodes:
        if node.op_type.startswith("QLinear") or node.op_type in (
                "ConvInteger", "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QGemm", "MatMulNBits"):
            raise Error("the weights of operators such as this one cannot be changed: expected float weights or DequantizeLinear",
                        file=name, node=node_name(node), op=node.op_type)
        stored = graph.initializers.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        dtype = {**INTEGER_NAMES, **FLOAT8_NAMES}.get(stored.data_type) if stored is not None else None
        if dtype is None or any(n and n not in graph.initializers for n in node.input[1:]):
            kept.append(node)
            continue
        values = numpy_helper.to_array(stored).astype(np.float32 if dtype in FLOAT8 else np.int64)
        scale = numpy_helper.to_array(graph.initializers[node.input[1]])
        zero = numpy_helper.to_array(graph.initializers[node.input[2]]) if len(node.input) > 2 and node.input[2] else None
        axis = attribute(node, "axis", 1) % max(values.ndim, 1)
        grid = Grid(dtype, scale, zero, axis if scale.size > 1 else None,
                    attribute(node, "block_size", 0) or None)
        zeros = grid.spread(None if zero is None else zero.astype(np.int64), values.shape)
        floats = (values - zeros).astype(np.float32) * grid.spread(scale.astype(np.float32), values.shape)
        graph.add(make_tensor(node.output[0], floats.astype(scale.dtype)))
        grids[node.output[0]] = grid
    graph.nodes = kept
    graph.store()
    return grids


def requantize(values, grid):
    """Integers of `values` on the grid they were on before: equal values give equal integers, zeros the zero point."""
    from .graph import RANGES

    if grid.dtype in FLOAT8:
        steps = values.astype(np.float32) / grid.spread(grid.scale.astype(np.float32), values.shape)
        return steps.astype(onnx.helper.tensor_dtype_to_np_dtype(FLOAT8[grid.dtype]))
    low, high = RANGES[grid.dtype]
    zero = grid.spread(None if grid.zero_point is None else grid.zero_point.astype(np.int64), values.shape)
    scale = grid.spread(grid.scale.astype(np.float32), values.shape)
    steps = np.rint(values.astype(np.float32) / scale)
    return np.clip(np.nan_to_num(steps).astype(np.int64) + zero, low, high)


def quantized_nodes(model):
    """How many nodes of the model already are quantization."""
    return sum(n.op_type in ("QuantizeLinear", "DequantizeLinear") or n.op_type.startswith("QLinear") for n in model.graph.node)


__all__ = ["Grid", "Prepared", "onnx", "prepare", "quantized_nodes", "requantize"]
