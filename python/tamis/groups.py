# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every quantized operation of a model on its own, on the integers ONNX Runtime feeds it, against docs/Numerics.md.

A DQ-op-Q group must give what its QLinear formula gives: convolutions and matrix products are computed here in exact
integers, other groups by ONNX Runtime with graph optimisation off, which also is the oracle of the integer operators.
With the strict policy all integers are equal; without, one step in at most 0.1 % of a group's elements. All groups are
cut out of the model and compiled as one model that has their inputs as its own: no error travels from one to the next.
"""
import numpy as np

from . import compiler, reference
from .compare import Comparison

INTEGER_OPS = {"ConvInteger", "MatMulInteger", "DynamicQuantizeLinear"}
SHARE = 1e-3
# Between an operation and its QuantizeLinear.
BETWEEN = {"Relu", "Clip"}


class Graph:
    """Producers and parameters of a model's top level."""

    def __init__(self, onnx, model):
        self.onnx, self.model, self.nodes = onnx, model, model.graph.node
        self.parameters = {t.name: t for t in model.graph.initializer}
        self.producer = {name: node for node in model.graph.node for name in node.output}
        for node in model.graph.node:
            if node.op_type == "Constant" and node.attribute[0].HasField("t"):
                self.parameters[node.output[0]] = node.attribute[0].t

    def source(self, name, op):
        """The `op` node that makes `name`, or None."""
        node = self.producer.get(name)
        return node if node is not None and node.op_type == op else None

    def array(self, name):
        return self.onnx.numpy_helper.to_array(self.parameters[name]) if name in self.parameters else None


class Group:
    """One operation with the nodes around it: `inputs` are tensors of the model, `output` is what it makes."""

    def __init__(self, node, nodes, inputs, outputs):
        self.node, self.nodes, self.inputs, self.outputs = node, nodes, inputs, outputs
        self.name = node.name or node.output[0]


def find_groups(graph):
    """DQ-op-Q groups and integer operators."""
    groups = []
    for node in graph.nodes:
        if node.op_type in INTEGER_OPS:
            inputs = [n for n in node.input if n and n not in graph.parameters]
            groups.append(Group(node, [node], inputs, list(node.output)))
        if node.op_type != "QuantizeLinear" or any(p not in graph.parameters for p in node.input[1:]):
            continue
        chain, last = [node], graph.producer.get(node.input[0])
        while last is not None and last.op_type in BETWEEN:
            chain.insert(0, last)
            last = graph.producer.get(last.input[0])
        if last is None or last.op_type in ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"):
            continue
        chain.insert(0, last)
        inputs, whole = [], True
        for name in last.input:
            dequantize = graph.source(name, "DequantizeLinear")
            if dequantize is not None and all(p in graph.parameters for p in dequantize.input[1:]):
                chain.insert(0, dequantize)
                if dequantize.input[0] not in graph.parameters:
                    inputs.append(dequantize.input[0])
            elif name and name not in graph.parameters:
                whole = False
        if whole and inputs:
            groups.append(Group(last, chain, list(dict.fromkeys(inputs)), [node.output[0]]))
    return groups


def cut(graph, groups, values):
    """One model of all groups; the input of group 3 that the model calls x is called x@3."""
    helper = graph.onnx.helper
    nodes, inputs, outputs, used = [], [], [], {}
    for index, group in enumerate(groups):
        def rename(name):
            if not name or name in graph.parameters:
                used.update({name: graph.parameters[name]} if name else {})
                return name
            return f"{name}@{index}"

        for node in dict((id(n), n) for n in group.nodes).values():
            copy = graph.onnx.NodeProto()
            copy.CopyFrom(node)
            copy.input[:] = [rename(n) for n in node.input]
            copy.output[:] = [rename(n) for n in node.output]
            copy.name = f"{node.name or node.output[0]}@{index}"
            nodes.append(copy)

        def info(name):
            value = values[name]
            return helper.make_tensor_value_info(rename(name), helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)

        inputs += [info(name) for name in group.inputs]
        outputs += [info(name) for name in group.outputs]
    for name, tensor in used.items():
        tensor.name = name
    made = helper.make_graph(nodes, "groups", inputs, outputs, list(used.values()))
    model = graph.model
    return helper.make_model(made, opset_imports=model.opset_import, ir_version=model.ir_version)


def formula(graph, group, values):
    """The QLinear formula of a convolution or matrix product; None for another operation."""
    node = group.node
    if node.op_type not in ("Conv", "MatMul", "Gemm") or group.nodes[-1].op_type != "QuantizeLinear":
        return None
    attributes = {a.name: graph.onnx.helper.get_attribute_value(a) for a in node.attribute}
    if attributes.get("alpha", 1.0) != 1.0 or attributes.get("beta", 1.0) != 1.0:
        return None

    def operand(index):
        """Integers without their zero point, their scales, and the size of a block of `axis` or 0."""
        name = node.input[index] if index < len(node.input) else ""
        dequantize = graph.source(name, "DequantizeLinear")
        if dequantize is None:
            return None
        value = graph.array(dequantize.input[0])
        value = values[dequantize.input[0]] if value is None else value
        scale = graph.array(dequantize.input[1])
        zero = graph.array(dequantize.input[2]) if len(dequantize.input) > 2 else np.zeros((), value.dtype)
        found = {a.name: a.i for a in dequantize.attribute}
        axis, block = found.get("axis", 1) % max(value.ndim, 1), found.get("block_size", 0)
        zero = zero.astype(np.int64)
        if block:
            zero = np.repeat(zero, block, axis).take(range(value.shape[axis]), axis) if zero.ndim else zero
        elif zero.size > 1:
            zero = zero.reshape([-1 if i == axis else 1 for i in range(value.ndim)])
        else:
            zero = zero.reshape(())
        return value.astype(np.int64) - zero, scale, axis, block

    x, w, bias = operand(0), operand(1), operand(2)
    if x is None or w is None or x[3] or (len(node.input) > 2 and (bias is None or bias[3])):
        return None
    if node.op_type == "Conv":
        column = (1, -1) + (1,) * (w[0].ndim - 2)
        product = lambda w: convolve(x[0], w, attributes)  # noqa: E731
    else:
        a = x[0].T if attributes.get("transA") else x[0]
        if attributes.get("transB"):
            w = (w[0].T, w[1].T, 1 - w[2], w[3])
        column = (-1,)
        product = lambda w: (a.astype(np.float64) @ w.astype(np.float64)).astype(np.int64)  # noqa: E731
    quantize = group.nodes[-1]
    y_scale = graph.array(quantize.input[1])
    zero = graph.array(quantize.input[2]) if len(quantize.input) > 2 else np.uint8(0)
    if w[3]:
        channels = 0 if node.op_type == "Conv" else w[0].ndim - 1
        y = add_blocks(product, w[0], x[1] * w[1], w[2], w[3], channels, column)
        if bias is not None:
            y = y + (bias[0].astype(np.float32) * bias[1]).reshape(column)
        for between in group.nodes:
            if between.op_type == "Relu":
                y = np.maximum(y, np.float32(0))
            elif between.op_type == "Clip":
                y = np.clip(y, *((graph.array(n) if n else None) for n in (list(between.input[1:]) + ["", ""])[:2]))
        return saturate(y / y_scale, zero)
    total = product(w[0])
    if bias is not None:
        total = total + bias[0].reshape(column)
    scale = (x[1] * w[1]) / y_scale
    y = total.astype(np.float32) * (scale.reshape(column) if scale.size > 1 else scale.reshape(()))
    for between in group.nodes:
        if between.op_type == "Relu":
            y = np.maximum(y, np.float32(0))
        elif between.op_type == "Clip":
            low, high = (graph.array(n) if n else None for n in (list(between.input[1:]) + ["", ""])[:2])
            y = np.clip(y, None if low is None else np.rint(low / y_scale), None if high is None else np.rint(high / y_scale))
    return saturate(y, zero)


def saturate(y, zero):
    """Rounded, moved by the zero point, in its type."""
    limits = np.iinfo(zero.dtype)
    shift = zero.astype(np.int64)
    return (np.clip(np.rint(y), limits.min - shift, limits.max - shift) + shift).astype(zero.dtype)


def add_blocks(product, w, scale, axis, block, channels, column):
    """contract_n3: the exact `product` of each block of weights, scaled and added up in float32 in the order of the scales.

    `scale` has one value for each `block` elements of w's `axis`; w's result channels are dimension `channels`, those of
    the product lie as `column` says.
    """
    total = np.float32(0)
    for at in np.ndindex(*(n for i, n in enumerate(scale.shape) if i != channels)):
        at = [*at[:channels], slice(None), *at[channels:]]
        factor = scale[tuple(at)].reshape(column)
        at[axis] = slice(at[axis] * block, (at[axis] + 1) * block)
        part = np.zeros_like(w)
        part[tuple(at)] = w[tuple(at)]
        total = total + product(part).astype(np.float32) * factor
    return total


def convolve(x, w, attributes):
    """Integer convolution: float64 holds these sums exactly."""
    spatial = w.ndim - 2
    strides, dilations = attributes.get("strides", [1] * spatial), attributes.get("dilations", [1] * spatial)
    pads, groups = attributes.get("pads", [0] * 2 * spatial), attributes.get("group", 1)
    reach = [d * (k - 1) + 1 for d, k in zip(dilations, w.shape[2:])]
    if attributes.get("auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER"):
        total = [max((-(-size // s) - 1) * s + r - size, 0) for size, s, r in zip(x.shape[2:], strides, reach)]
        less, more = [t // 2 for t in total], [t - t // 2 for t in total]
        pads = less + more if attributes["auto_pad"] == b"SAME_UPPER" else more + less
    x = np.pad(x, [(0, 0), (0, 0)] + [(pads[i], pads[i + spatial]) for i in range(spatial)])
    windows = np.lib.stride_tricks.sliding_window_view(x, reach, tuple(range(2, x.ndim)))
    windows = windows[(slice(None), slice(None), *(slice(None, None, s) for s in strides),
                       *(slice(None, None, d) for d in dilations))]
    parts = []
    for channels, filters in zip(np.split(windows, groups, 1), np.split(w, groups, 0)):
        axes = [1, *range(2 + spatial, 2 + 2 * spatial)]
        part = np.tensordot(channels.astype(np.float64), filters.astype(np.float64), (axes, range(1, w.ndim)))
        parts.append(np.moveaxis(part, -1, 1))
    return np.concatenate(parts, 1).astype(np.int64)


def compare_groups(model, values, options):
    """Yield (group, Comparison) for every group of a ModelProto; `values` holds all of its tensors."""
    graph = Graph(reference.require("onnx"), model)
    groups = [g for g in find_groups(graph) if all(n in values for n in (*g.inputs, *g.outputs))]
    if not groups:
        return
    # Numbered names: a tensor is the output of one group and the input of another.
    alone = cut(graph, groups, values).SerializeToString()
    names = [f"{name}@{i}" for i, g in enumerate(groups) for name in g.outputs]
    inputs = {f"{name}@{i}": values[name] for i, g in enumerate(groups) for name in g.inputs}
    plain = dict(zip(names, reference.run(reference.session(alone), inputs)))
    compiled = compiler.compile(alone, target=options.target, strict=options.strict, cache="off", lazy=False)
    got = dict(zip([o.name for o in compiled.get_outputs()], compiled.run(None, inputs)))
    for index, group in enumerate(groups):
        want = formula(graph, group, values)
        results = [compare_values(name, got[f"{name}@{index}"], plain[f"{name}@{index}"] if want is None else want, options.strict)
                   for name in group.outputs]
        yield group, min(results, key=lambda result: (result.agrees, -result.error))


def compare_values(name, got, want, strict):
    """The error is the share of integers that differ, or infinite where one differs by more than a step."""
    if got.dtype != want.dtype or got.shape != want.shape:
        return Comparison(name, float("inf"), 0, f"expected {want.dtype}{list(want.shape)}, got {got.dtype}{list(got.shape)}")
    allowed = 0.0 if strict or want.dtype.kind == "f" else SHARE
    if want.dtype.kind == "f":
        steps = (got != want).astype(np.int64)
    else:
        steps = np.abs(got.astype(np.int64) - want.astype(np.int64))
    share = np.count_nonzero(steps) / max(steps.size, 1)
    if share <= allowed and steps.max(initial=0) <= 1:
        return Comparison(name, share, allowed)
    return Comparison(name, share, allowed, f"{share:.2%} of the values differ, by up to {steps.max()} steps, allowed {allowed:.2%}")
