# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Which nodes of a quantized ONNX graph run in float, and why: the analysis behind `tamis check`.

First the graph's structure: a node is integer if it is an integer operator, or if the float tensors it reads come out
of DequantizeLinear and what it writes goes into QuantizeLinear, possibly through element-wise nodes. Then what the
compiler made of the convolutions, matrix products and recurrences that are integer by structure: the types in its
report have the last word.
"""
import dataclasses

from . import compiler
from .compare import QUANTIZED_OPS
from .reference import require

INTEGER_CONTRACTIONS = {"ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul", "DynamicQuantizeLSTM", "QGemm",
                        "MatMulIntegerToFloat", "DynamicQuantizeMatMul"}
CONTRACTIONS = {"Conv", "ConvTranspose", "MatMul", "Gemm", "LSTM", "GRU", "RNN", "Attention", "Einsum"}
# Move or pick values; what they carry decides.
MOVEMENT = {"Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Slice", "Split", "Concat", "Gather",
            "GatherElements", "GatherND", "Expand", "Tile", "Pad", "DepthToSpace", "SpaceToDepth", "MaxPool", "Dropout",
            "GlobalMaxPool", "ReduceMax", "ReduceMin", "Shape", "Size", "Constant", "ConstantOfShape", "Where", "Cast",
            "If", "Loop", "Scan"}
# Make a weight of its codes.
DECODING = {"Cast", "Gather", "Mul"}
# Fused into the operation before them: the value between the two is never rounded to float storage.
FOLLOWERS = {"Relu", "Clip", "Add", "Mul", "Sub", "LeakyRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Elu",
             "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Cast"}
FLOATS = {1, 10, 11, 16}
# Round to levels in float: the compiler makes integers of them where it can.
FAKE = {"Quant", "IntQuant", "BipolarQuant", "Trunc", "FloatQuant", "FakeQuantize"}
LEFT = "fake quantization left in float: "


@dataclasses.dataclass(frozen=True)
class Finding:
    """One node that runs in float; `heavy` marks convolutions, matrix products and recurrences."""

    node: str
    op: str
    reason: str
    heavy: bool

    def __str__(self):
        return f"node '{self.node}' ({self.op}): {self.reason}"


class _Scope:
    """Producers, constants, types and readers of one graph; names of outer graphs stay visible."""

    def __init__(self, graph, outer=None):
        self.producer = dict(outer.producer) if outer else {}
        self.constants = set(outer.constants) if outer else set()
        self.types = dict(outer.types) if outer else {}
        self.readers = {}
        self.outputs = {o.name for o in graph.output}
        for tensor in graph.initializer:
            self.constants.add(tensor.name)
            self.types[tensor.name] = tensor.data_type
        for info in (*graph.input, *graph.output, *graph.value_info):
            if info.type.HasField("tensor_type"):
                self.types[info.name] = info.type.tensor_type.elem_type
        for node in graph.node:
            made = node.op_type == "Constant" or (
                node.op_type in DECODING and all(name in self.constants for name in node.input))
            for name in node.output:
                self.producer[name] = node
                if made:
                    self.constants.add(name)
            for name in node.input:
                self.readers.setdefault(name, []).append(node)

    def is_float(self, name):
        return self.types.get(name, 1) in FLOATS

    def source(self, name):
        """The node behind `name`, looking through movement; None for an input or a constant."""
        seen = set()
        while True:
            node = self.producer.get(name)
            if node is None or name in seen or node.op_type not in MOVEMENT or not node.input or not node.input[0]:
                return node
            seen.add(name)  # a damaged model may have a node that reads its own result
            name = node.input[0]


def _subgraphs(node):
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _not_dequantized(scope, node):
    """The first float operand that is not quantized, with the reason; None if all are."""
    operands = node.input[:2] if node.op_type in CONTRACTIONS else node.input
    for index, name in enumerate(operands):
        if not name or not scope.is_float(name):
            continue
        behind = scope.source(name)
        if behind is not None and (behind.op_type == "DequantizeLinear" or behind.op_type in FAKE):
            continue
        if behind is not None and behind.op_type in CONTRACTIONS and node.op_type in FOLLOWERS:
            continue  # fused: the contraction itself is judged
        if name in scope.constants or (behind is not None and behind.op_type == "Constant"):
            if node.op_type in CONTRACTIONS and index == 1:
                return f"its weight '{name}' is float"
            continue
        if behind is None:
            return f"it reads '{name}', which is not quantized"
        return f"it reads '{name}' of node '{behind.name}' ({behind.op_type}), which is not quantized"
    return None


def _not_quantized_after(scope, node, depth=8):
    """Why the result stays float; None if every reader quantizes it."""
    for name in node.output[:1]:
        if name in scope.outputs:
            return f"its result '{name}' is a float output of the model"
        for reader in scope.readers.get(name, ()):
            if reader.op_type in ("QuantizeLinear", "DynamicQuantizeLinear") or reader.op_type in FAKE:
                continue
            if depth and reader.op_type in FOLLOWERS and _not_quantized_after(scope, reader, depth - 1) is None:
                continue
            return f"its result goes to node '{reader.name}' ({reader.op_type}) without QuantizeLinear"
    return None


def _check_graph(graph, scope, findings, counts):
    for node in graph.node:
        for body in _subgraphs(node):
            _check_graph(body, _Scope(body, scope), findings, counts)
        op = node.op_type
        if op in QUANTIZED_OPS or op.startswith("QLinear"):
            counts["integer"] += op not in ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
            continue
        if op in FAKE or op in MOVEMENT or op in DECODING and node.output[0] in scope.constants or not any(scope.is_float(name) for name in node.output if name):
            continue
        reason = _not_dequantized(scope, node)
        if reason is None and op not in CONTRACTIONS:
            reason = _not_quantized_after(scope, node)
        if reason is None:
            counts["integer"] += 1
        else:
            counts["float"] += 1
            findings.append(Finding(node.name or (node.output[0] if node.output else ""), op, reason, op in CONTRACTIONS))


def check(source, options):
    """(findings, counts): the float nodes of the ONNX model in `source` and how many run in integer and in float."""
    onnx = require("onnx")
    from .compression import storage

    model, _ = storage.read_file(source.path, external_data=False)
    try:
        model = onnx.shape_inference.infer_shapes(model)
    except Exception:  # a type that cannot be inferred counts as float
        pass
    findings, counts = [], {"integer": 0, "float": 0}
    _check_graph(model.graph, _Scope(model.graph), findings, counts)
    # Float weights may lie on a grid, which only the compiler finds out.
    open_question = [f for f in findings if f.heavy and f.reason.startswith("its weight ")]
    known = {finding.node for finding in findings}
    heavy = {name: node for name, node in _contractions(model.graph) if name not in known}
    fake = {node.name: node.op_type for node in model.graph.node if node.op_type in FAKE}
    if heavy or open_question or fake:
        messages = []
        reasons = compiler.float_layers(source, options, on_message=messages.append)
        for message in messages:
            if message.node in fake and message.text.startswith(LEFT):
                findings.append(Finding(message.node, fake[message.node], message.text.removeprefix(LEFT), False))
                counts["float"] += 1
        for finding in open_question:
            if finding.node not in reasons:
                findings.remove(finding)
                counts["integer"] += 1
                counts["float"] -= 1
        for name in heavy:
            if name in reasons:
                findings.append(Finding(name, heavy[name].op_type, reasons[name], True))
                counts["integer"] -= 1
                counts["float"] += 1
    return findings, counts


def _contractions(graph):
    """(name, node) of every convolution, matrix product and recurrence, subgraphs included."""
    for node in graph.node:
        if node.op_type in CONTRACTIONS or node.op_type in INTEGER_CONTRACTIONS:
            yield node.name or node.output[0], node
        for body in _subgraphs(node):
            yield from _contractions(body)
