# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The time of each layer on its own, and the values between layers, both from compiled code.

A layer is its contraction with what a compiler fuses into it: bias, activation, and the DequantizeLinear and
QuantizeLinear around it. It is cut out, compiled alone and fed the values it has in the model.
"""
import time

import numpy as np

from .. import compiler
from ..errors import Error
from . import layers as layer_list
from .evaluate import clock, undisturbed

FUSED = ("Add", "Mul", "Sub", "Relu", "Clip", "BatchNormalization", "QuantizeLinear")
PASSED = ("MaxPool", "Relu", "Slice", *layer_list.MOVEMENT)  # keep the scale of what they read
INTEGERS = "/integers"
SECONDS, LEAST, ROUNDS = 0.005, 5, 3


def trace(proto, names, feeds, options, cache="off"):
    """[{name: array}] of inner tensors, one dict a feed, from the compiled model with these tensors as outputs."""
    onnx = layer_list.reference.require("onnx")
    extended = onnx.ModelProto()
    extended.CopyFrom(proto)
    known = {o.name for o in proto.graph.output}
    given = {i.name for i in proto.graph.input}
    wanted = [name for name in dict.fromkeys(names) if name not in known and name not in given]
    for name in wanted:
        extended.graph.output.append(onnx.ValueInfoProto(name=name))
    model = compiler.compile(extended, cache=cache, **options)
    results = []
    for feed in feeds:
        found = dict(zip((o.name for o in model.get_outputs()), model.run(None, feed)))
        found.update({name: feed[name] for name in names if name in feed})
        results.append(found)
    return results


def cut(graph, node):
    """(nodes, inputs, outputs) of a layer: its contraction and what is fused into it."""
    nodes, inputs = [], []

    def constant(name):
        """The nodes that make a tensor from parameters alone, or None."""
        if not name or name in graph.parameters:
            return []
        made = graph.producer.get(name)
        if made is None or made.op_type not in (*layer_list.MOVEMENT, *layer_list.DECODING, "Constant"):
            return None
        parts = [constant(i) for i in made.input]
        return None if None in parts else [n for part in parts for n in part] + [made]

    def take(reader, through):
        for name in reader.input:
            if name in through:
                continue
            parts = constant(name)
            if parts is not None:
                nodes.extend(n for n in parts if n not in nodes)
                continue
            made, passed = graph.producer.get(name), False
            while made is not None and made.op_type in PASSED and made.op_type != "DequantizeLinear":
                made, passed = graph.producer.get(made.input[0]), True
            if made is not None and made.op_type == "DequantizeLinear" and all(p in graph.parameters for p in made.input[1:]):
                integers = name + INTEGERS if passed else made.input[0]
                if integers not in inputs:
                    # What reads integers through a pooling or a reshape is fed the integers behind it.
                    nodes.append(graph.onnx.helper.make_node("DequantizeLinear", [integers, *made.input[1:]], [name]) if passed else made)
                    inputs.append(integers)
                continue
            if name not in inputs:
                inputs.append(name)
        nodes.append(reader)

    outputs = {o.name for o in graph.model.graph.output}
    take(node, ())
    last = node
    while True:
        name = last.output[0]
        readers = graph.readers.get(name, [])
        if name in outputs or len(readers) != 1 or readers[0].op_type not in FUSED or last.op_type == "QuantizeLinear":
            return nodes, inputs, [name]
        if any(n != name and constant(n) is None for n in readers[0].input):
            return nodes, inputs, [name]
        take(readers[0], (name,))
        last = readers[0]


def layer_times(proto, feeds, options, deadline=None):
    """{layer: seconds of a call}: each layer of a ModelProto compiled alone; NaN where that cannot be done."""
    graph = layer_list.Graph(proto)
    parts = {layer_list.node_name(found[0]): cut(graph, found[0]) for found in layer_list.weighted(graph)}
    names = [name.removesuffix(INTEGERS) for _, inputs, _ in parts.values() for name in inputs]
    try:
        values = trace(proto, names, feeds[:1], options)[0]
    except Error:
        return dict.fromkeys(parts, float("nan"))
    for nodes, inputs, _ in parts.values():
        values.update(_integers(graph, nodes, inputs, values))
    keys, calls = {name: _key(graph, part, values) for name, part in parts.items()}, {}
    for name, part in parts.items():
        if keys[name] not in calls and not (deadline and deadline()):
            calls[keys[name]] = _call(graph, part, values, options)
    # Rounds, so that what disturbs one of them does not fall on one layer.
    found = [{key: _time(call, clock(options)) for key, call in calls.items() if call} for _ in range(ROUNDS)]
    return {name: min((times[key] for times in found if key in times), default=float("nan")) for name, key in keys.items()}


def _integers(graph, nodes, inputs, values):
    """The integers that a layer reads behind a pooling or a reshape."""
    found = {}
    for node in nodes:
        if node.input[0] in inputs and node.input[0].endswith(INTEGERS) and node.output[0] in values:
            scale = graph.array(node.input[1])
            zero = graph.array(node.input[2]) if len(node.input) > 2 else np.zeros((), np.uint8)
            if scale.size == 1:
                limits = np.iinfo(zero.dtype)
                steps = np.rint(values[node.output[0]] / scale.reshape(())) + zero.reshape(()).astype(np.float64)
                found[node.input[0]] = np.clip(steps, limits.min, limits.max).astype(zero.dtype)
    return found


def _key(graph, part, values):
    """Layers of equal operations and shapes take equal time."""
    nodes, inputs, _ = part
    found = [(str(values[i].dtype), values[i].shape) for i in inputs if i in values]
    for node in nodes:
        shapes = [(tuple(graph.parameters[n].dims), graph.parameters[n].data_type) for n in node.input
                  if n in graph.parameters and hasattr(graph.parameters[n], "data_type")]
        found.append((node.op_type, sorted(str(a) for a in node.attribute), shapes))
    return repr(found)


def _call(graph, part, values, options):
    """A layer compiled alone and bound to its values; None where that cannot be done."""
    nodes, inputs, outputs = part
    if any(name not in values for name in inputs):
        return None
    helper = graph.onnx.helper
    infos = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(values[n].dtype), values[n].shape) for n in inputs]
    used = list(dict.fromkeys(n for node in nodes for n in node.input if n in graph.parameters))
    dense = [graph.parameters[n] for n in used if n not in graph.producer and not hasattr(graph.parameters[n], "indices")]
    sparse = [graph.parameters[n] for n in used if hasattr(graph.parameters[n], "indices")]
    constants = [graph.producer[n] for n in used if n in graph.producer and graph.producer[n] not in nodes]
    made = helper.make_graph([*constants, *nodes], "layer", infos, [graph.onnx.ValueInfoProto(name=o) for o in outputs], dense,
                             sparse_initializer=sparse)
    alone = helper.make_model(made, opset_imports=graph.model.opset_import, ir_version=graph.model.ir_version,
                              functions=graph.model.functions)
    fixed = {name: value for name, value in options.items() if name != "input_dims"}
    try:
        return compiler.compile(alone, cache="off", **fixed).bind({n: np.ascontiguousarray(values[n]) for n in inputs})
    except Error:
        return None


def _time(call, now):
    """Seconds of a call, by the clock `now`."""
    call()
    seconds, start = [], time.perf_counter()
    while len(seconds) < LEAST or time.perf_counter() - start < SECONDS:
        begin = now()
        call()
        seconds.append((now() - begin) * 1e-9)
    return undisturbed(seconds)
