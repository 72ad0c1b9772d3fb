# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Takes removed channels out of an ONNX graph: initializers are sliced, and every number in the graph that counts
channels (shapes of Reshape and Expand, sizes of Split and Resize, ends of Slice, groups of Conv) is rewritten.
"""
import dataclasses

import numpy as np

from ..errors import Error
from . import storage
from .graph import attribute, make_tensor, node_name, numpy_helper, onnx, opset, set_attribute

ENDLESS = 2**31 - 1  # exporters write "to the end" as this or more


def remove(graph, removed, parameters, grids, source, file=""):
    """Apply `removed` of a delta to a Graph; returns the grids of integer weights, sliced too.

    `parameters` are new float values that may still have their old shape; those are sliced in place. `source` is the
    model before: what ONNX's inference finds wrong with it is no fault of the removal.
    """
    cuts = dict(removed.get("parameters") or {})
    sizes = {name: {int(axis): int(size) for axis, size in entries} for name, entries in (removed.get("tensors") or {}).items()}
    if not cuts and not sizes:
        return grids
    old = graph.shapes()
    grids = dict(grids)
    for name, entries in cuts.items():
        tensor = graph.initializers.get(name)
        if tensor is None:
            raise Error(f"the model has no initializer '{name}' to remove channels from", file=file)
        values = numpy_helper.to_array(tensor)
        if name in parameters and np.shape(parameters[name]) == values.shape:
            parameters[name] = _slice(np.asarray(parameters[name]), entries, name, file)
        graph.add(make_tensor(name, _slice(values, entries, name, file)))
        if name in grids:
            grids[name] = _slice_grid(grids[name], entries)
    rewriter = _Rewriter(graph, old, sizes, file)
    for node in list(graph.nodes):
        rewriter.rewrite(node)
    del graph.proto.value_info[:]
    graph.store()
    _check(graph, sizes, source, file)
    return grids


def _slice(values, entries, name, file):
    for axis, kept in entries:
        kept = np.asarray(kept, np.int64)
        if not 0 <= axis < values.ndim or kept.size == 0 or kept.min() < 0 or kept.max() >= values.shape[axis]:
            raise Error(f"initializer '{name}' of shape {list(values.shape)} cannot keep these entries of axis {axis}", file=file)
        values = np.take(values, kept, axis)
    return values


def _slice_grid(grid, entries):
    """Only the axis of the scales matters; a block that loses elements would change its meaning."""
    for axis, kept in entries:
        if grid.axis == axis and not grid.block:
            zero = grid.zero_point
            grid = dataclasses.replace(grid, scale=grid.scale[kept], zero_point=zero[kept] if zero is not None and zero.size > 1 else zero)
        elif grid.block:
            raise Error("channels of a weight that is quantized in blocks cannot be removed")
    return grid


class _Rewriter:
    """Rewrites what nodes say about sizes; `sizes` is {tensor: {axis: new size}}."""

    def __init__(self, graph, old, sizes, file):
        self.graph, self.old, self.sizes, self.file = graph, old, sizes, file

    def rewrite(self, node):
        handler = {"Conv": self.conv, "ConvTranspose": self.conv_transpose, "Reshape": self.shape, "Expand": self.shape,
                   "ConstantOfShape": self.shape, "Split": self.split, "Slice": self.slice, "Resize": self.resize}.get(node.op_type)
        if handler:
            handler(node)

    def fail(self, node, what):
        raise Error(f"cannot remove channels: {what}", file=self.file, node=node_name(node), op=node.op_type)

    def conv(self, node):
        weight = self.graph.initializers.get(node.input[1])
        if weight is None:
            return
        shape = self.old.get(node.input[0])
        before = shape[1] if shape and len(shape) > 1 else None
        inputs = self.sizes.get(node.input[0], {}).get(1, before)
        groups = attribute(node, "group", 1)
        was = self.old[node.input[1]]
        if inputs is None:
            inputs = groups * was[1] * weight.dims[0] // was[0] if was[1] == 1 and groups > 1 else groups * weight.dims[1]
        if inputs % weight.dims[1]:
            self.fail(node, f"{inputs} input channels do not fit a weight of shape {list(weight.dims)}")
        if inputs // weight.dims[1] != groups:
            set_attribute(node, "group", inputs // weight.dims[1])

    def conv_transpose(self, node):
        weight = self.graph.initializers.get(node.input[1])
        if weight is not None and attribute(node, "group", 1) == self.old[node.input[1]][0] > 1:
            set_attribute(node, "group", int(weight.dims[0]))

    def shape(self, node):
        """The constant target shape, whole or put together by Concat."""
        changes = self.sizes.get(node.output[0])
        if not changes:
            return
        position = 0 if node.op_type == "ConstantOfShape" else 1
        if position >= len(node.input):
            self.fail(node, "its shape is an attribute")
        self._change(node, position, changes)

    def _change(self, node, position, changes):
        name = node.input[position]
        target = self.graph.array(name)
        if target is not None:
            target = target.copy()
            for axis, size in changes.items():
                if axis >= len(target):
                    self.fail(node, f"its shape {target.tolist()} has no axis {axis}")
                if target[axis] > 0:  # 0 and -1 follow the input
                    target[axis] = size
            node.input[position] = self.graph.add_array(name, target)
            return
        concat = self.graph.producer.get(name)
        if concat is None or concat.op_type != "Concat":
            return  # computed from the shapes of tensors, which follow by themselves
        copy, at = onnx.NodeProto(), 0
        copy.CopyFrom(concat)
        for index, piece in enumerate(concat.input):
            value = self._piece(piece)
            length = len(value) if value is not None else (self.old.get(piece) or [1])[0]
            inside = {axis - at: size for axis, size in changes.items() if at <= axis < at + (length or 1)}
            at += length or 1
            if value is None or not inside:
                continue
            value = value.copy()
            for axis, size in inside.items():
                if value[axis] > 0:
                    value[axis] = size
            copy.input[index] = self.graph.add_array(piece, value)
        copy.name = self.graph.unique(node_name(concat))
        copy.output[0] = self.graph.unique(name)
        self.graph.nodes.insert(next(i for i, n in enumerate(self.graph.nodes) if n is concat) + 1, copy)
        node.input[position] = copy.output[0]

    def _piece(self, name):
        """A constant part of a shape, as int64; some exporters cast it first."""
        caster = self.graph.producer.get(name)
        value = self.graph.array(caster.input[0] if caster is not None and caster.op_type == "Cast" else name)
        return None if value is None else np.asarray(value, np.int64)

    def split(self, node):
        axis = attribute(node, "axis", 0)
        shape = self.old.get(node.input[0])
        axis = axis % len(shape) if shape else axis
        if not any(axis in self.sizes.get(output, ()) for output in node.output):
            return
        sizes = [self.sizes.get(output, {}).get(axis, (self.old.get(output) or [None] * (axis + 1))[axis]) for output in node.output]
        if None in sizes:
            self.fail(node, "the sizes of its results are not known")
        if opset(self.graph.model) < 13:
            set_attribute(node, "split", sizes)
            return
        set_attribute(node, "num_outputs", None)
        name = self.graph.add_array(f"{node_name(node)}_split", np.asarray(sizes, np.int64))
        del node.input[1:]
        node.input.append(name)

    def slice(self, node):
        inputs, outputs = self.sizes.get(node.input[0], {}), self.sizes.get(node.output[0], {})
        if not inputs and not outputs:
            return
        attributes = opset(self.graph.model) < 10
        starts, ends, axes, steps = ([attribute(node, k) for k in ("starts", "ends", "axes")] + [None] if attributes else
                                     [self.graph.array(n) if n else None for n in [*node.input[1:], "", "", ""][:4]])
        if starts is None or ends is None:
            self.fail(node, "its bounds are computed")
        starts, ends = np.array(starts, np.int64), np.array(ends, np.int64)
        axes = np.arange(len(starts)) if axes is None else np.asarray(axes)
        rank = len(self.old.get(node.input[0]) or axes)
        changed = False
        for index, axis in enumerate(int(a) % rank for a in axes):
            if axis not in inputs and axis not in outputs:
                continue
            before = (self.old.get(node.input[0]) or [None] * rank)[axis]
            size, whole = outputs.get(axis), inputs.get(axis, before)
            first = starts[index] == 0
            last = ends[index] >= ENDLESS or (before is not None and ends[index] >= before)
            if first and last:
                continue
            if size is None or whole is None or not (first or last) or (steps is not None and steps[index] != 1):
                self.fail(node, f"it takes a part of axis {axis} whose channels are removed")
            starts[index], ends[index] = (0, size) if first else (whole - size, whole)
            changed = True
        if changed and attributes:
            set_attribute(node, "starts", starts.tolist())
            set_attribute(node, "ends", ends.tolist())
        elif changed:
            node.input[1] = self.graph.add_array(node.input[1], starts)
            node.input[2] = self.graph.add_array(node.input[2], ends)

    def resize(self, node):
        if len(node.input) > 3 and node.input[3] and self.sizes.get(node.output[0]) and not attribute(node, "axes"):
            self._change(node, 3, self.sizes[node.output[0]])


def _inferred(model):
    """The model with shapes, as far as ONNX's inference comes, and what it says does not fit, a line each."""
    light = storage.without_weights(model)
    del light.graph.value_info[:]
    try:
        return onnx.shape_inference.infer_shapes(light, strict_mode=True, data_prop=True), []
    except Exception as error:  # inference raises several types of its own
        return onnx.shape_inference.infer_shapes(light, data_prop=True), [line for line in str(error).splitlines() if line.strip()]


def _check(graph, sizes, source, file):
    """The graph must fit together again, and every tensor must have the size the delta says."""
    inferred, problems = _inferred(graph.model)
    known = set(_inferred(source)[1]) if problems else ()
    for line in problems:
        if line not in known:
            raise Error(f"removing channels leaves a graph that does not fit together: {line}", file=file)
    shapes = {i.name: [d.dim_value if d.HasField("dim_value") else None for d in i.type.tensor_type.shape.dim]
              for i in (*inferred.graph.value_info, *inferred.graph.output) if i.type.tensor_type.HasField("shape")}
    for name, entries in sizes.items():
        for axis, size in entries.items():
            shape = shapes.get(name)
            if shape and axis < len(shape) and shape[axis] not in (None, size):
                raise Error(f"removing channels leaves tensor '{name}' with {shape[axis]} entries of axis {axis}, expected {size}",
                            file=file)
    for node in graph.nodes:  # what inference does not look at
        weight = graph.initializers.get(node.input[1]) if node.op_type in ("Conv", "ConvTranspose") else None
        if weight is None:
            continue
        groups, transposed = attribute(node, "group", 1), node.op_type == "ConvTranspose"
        inputs, outputs = (weight.dims[0], weight.dims[1] * groups) if transposed else (weight.dims[1] * groups, weight.dims[0])
        given = (shapes.get(node.input[0]) or [None, None])[1]
        bias = graph.initializers.get(node.input[2]) if len(node.input) > 2 else None
        if given not in (None, inputs) or (bias is not None and list(bias.dims) != [outputs]) or outputs % groups:
            raise Error(f"removing channels leaves a weight of shape {list(weight.dims)} that does not fit {groups} groups, its "
                        f"bias or its {given} input channels", file=file, node=node_name(node), op=node.op_type)
