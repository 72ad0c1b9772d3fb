# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compares a compiled model with ONNX Runtime, end to end and node by node."""
from . import compare, compiler, groups, reference
from .errors import Error

MOVE, MOVES = 2.0**-20, 4  # how far inputs are moved, and how often, to see what the reference makes of it


def load_graph(path):
    """The ModelProto at `path`, its external data included."""
    return _read(path, external_data=True)


def _read(path, external_data):
    reference.require("onnx")
    from .compression import storage

    return storage.read_file(path, external_data)[0]


def operators(graph):
    """Every operator type of a graph and its subgraphs."""
    for node in graph.node:
        yield node.op_type
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from operators(attribute.g)
            for body in attribute.graphs:
                yield from operators(body)


def numeric_class(path):
    """The class of the correctness rule that a model belongs to."""
    onnx = reference.require("onnx")
    model = _read(path, external_data=False)
    types = {tensor.data_type for tensor in model.graph.initializer}
    names = {onnx.TensorProto.FLOAT16: "float16", onnx.TensorProto.BFLOAT16: "bfloat16"}
    return compare.model_class(set(operators(model.graph)), {names[t] for t in types if t in names})


def end_to_end(model, path, feeds, kind, classifier=False):
    """The worst comparison of each output over all feeds, with ONNX Runtime's unoptimised graph as the reference."""
    return judge(path, feeds, [model.run(None, feed) for feed in feeds], kind, classifier)


def judge(path, feeds, results, kind, classifier=False):
    """The worst Comparison of each output over `results`, one list of arrays per feed (None: not compared).

    Where a float model differs, its double precision graph tells how far the reference itself is off. The optimised
    graph of a quantized model tells nothing where its integer products would saturate; where such a model differs, the
    reference is run on inputs moved by about a millionth, since a sum beside a tie may round to either side.
    """
    plain = reference.session(path)
    wanted = [reference.run(plain, feed) for feed in feeds]
    saturates = kind == "quantized" and reference.saturates()
    try:
        optimised = reference.session(path, optimised=True, precise=saturates)
        others = [reference.run(optimised, feed) for feed in feeds]
    except Error:
        if not saturates:
            raise
        others = [[None] * len(want) for want in wanted]
    compared = _worst(plain, results, wanted, others, kind, classifier)
    if all(result.agrees for result in compared) or kind == "fp16":
        return compared
    if kind == "quantized":
        return _worst(plain, results, wanted, others, kind, classifier, _sensitivity(plain, feeds, wanted))
    exact = reference.run_double(path, feeds)
    if exact is None:
        return compared
    wide = _worst(plain, results, wanted, exact, kind, classifier)
    return [result if result.agrees else other for result, other in zip(compared, wide)]


def _sensitivity(plain, feeds, wanted):
    """How much each output changes, as a share of its range, when all float inputs are multiplied by 1 +- 2**-20."""
    import numpy as np

    random = np.random.default_rng(0)
    scales = [compare.scale_of(values) if hasattr(values[0], "dtype") else None for values in zip(*wanted)]
    most = [0.0] * len(scales)
    for feed, want in zip(feeds, wanted):
        for _ in range(MOVES):
            moved = {name: (value * (1 + random.uniform(-MOVE, MOVE, value.shape))).astype(value.dtype)
                     if value.dtype.kind == "f" else value for name, value in feed.items()}
            for index, got in enumerate(reference.run(plain, moved)):
                if scales[index] is not None and got.shape == want[index].shape:
                    most[index] = max(most[index], compare.difference(got, want[index], scales[index]))
    return most


def _worst(plain, results, wanted, others, kind, classifier, sensitivity=None):
    """The worst comparison of each output: what was got, what the reference says, the reference's other result."""
    worst = []
    for index, output in enumerate(plain.get_outputs()):
        if not hasattr(wanted[0][index], "dtype"):
            continue  # a sequence
        scale = compare.scale_of([want[index] for want in wanted])
        moved = sensitivity[index] if sensitivity else 0.0
        found = [compare.compare(output.name, got[index], want[index], other[index], kind, classifier, scale, moved)
                 for got, want, other in zip(results, wanted, others) if got[index] is not None]
        if found:
            worst.append(min(found, key=lambda result: (result.agrees, -result.error)))
    return worst


def node_by_node(path, feed, options, progress=None):
    """Yield (node name, operator, Comparison or Error text): each node alone, on the values ONNX Runtime feeds it.

    A DQ-op-Q group counts as one node, under the name of its operation.
    """
    onnx = reference.require("onnx")
    model = load_graph(path)
    values = all_values(model, feed)
    grouped = set()
    for group, result in groups.compare_groups(model, values, options):
        grouped.update(node.output[0] for node in group.nodes)
        yield group.name, group.node.op_type, result
    initializers = {tensor.name: tensor for tensor in model.graph.initializer}
    constants = {node.output[0]: node for node in model.graph.node if node.op_type == "Constant"}
    work = [node for node in model.graph.node if node.op_type != "Constant" and node.output[0] not in grouped]
    for node in progress.track(work, description="nodes") if progress else work:
        name = node.name or node.output[0]
        single = _single(onnx, model, node, values, initializers, constants)
        if single is None:
            continue
        alone, inputs = single
        want = [values[o] for o in node.output if o]
        kind = compare.model_class({node.op_type}, {str(w.dtype) for w in want})
        try:
            compiled = compiler.compile(alone, target=options.target, strict=options.strict, cache="off", lazy=False)
            got = compiled.run(None, {i: values[i] for i in inputs})
        except Error as error:
            yield name, node.op_type, error
            continue
        results = [compare.compare(o, g, w, kind=kind) for o, g, w in zip((o for o in node.output if o), got, want)]
        yield name, node.op_type, min(results, key=lambda r: (r.agrees, -r.error))


def all_values(model, feed):
    """Every tensor of a ModelProto's top-level graph, from ONNX Runtime with optimisation off."""
    import numpy as np

    onnx = reference.require("onnx")
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    known = {o.name for o in model.graph.output}
    for node in model.graph.node:
        for name in node.output:
            if name and name not in known:
                extended.graph.output.append(onnx.ValueInfoProto(name=name))
    session = reference.session(extended.SerializeToString())
    names = [o.name for o in session.get_outputs()]
    values = dict(zip(names, reference.run(session, feed)))
    return {**feed, **{name: value for name, value in values.items() if isinstance(value, (np.ndarray, np.generic))}}


def _single(onnx, model, node, values, initializers, constants):
    """A model of one node with fixed shapes, or None if it works on sequences or captures outer values."""
    helper = onnx.helper
    inputs, kept, nodes_kept = [], [], []
    for name in dict.fromkeys(n for n in node.input if n):
        if name in initializers:
            kept.append(initializers[name])
        elif name in constants:
            nodes_kept.append(constants[name])
        elif name in values:
            inputs.append(name)
        else:
            return None
    if any(attribute.HasField("g") for attribute in node.attribute) or not all(o in values for o in node.output if o):
        return None

    def info(name):
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(values[name].dtype), values[name].shape)

    graph = helper.make_graph([*nodes_kept, node], "node", [info(i) for i in inputs], [info(o) for o in node.output if o], kept)
    alone = helper.make_model(graph, opset_imports=model.opset_import, functions=model.functions, ir_version=model.ir_version)
    return alone, inputs
