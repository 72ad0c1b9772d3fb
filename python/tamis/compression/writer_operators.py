# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Turns DequantizeLinear-operation-QuantizeLinear groups into ONNX Runtime's integer operators (the QOperator form).

Convolutions and matrix products become QLinearConv, QLinearMatMul and QGemm, arithmetic the QLinear operators of
com.microsoft, and what only moves values works on the integers themselves. Relu and Clip before QuantizeLinear go where
the integer range ends at their bounds anyway. Groups that no operator expresses stay as they are.
"""
import numpy as np

from .graph import RANGES, TensorProto, attribute, node_name, onnx, require_domain

MICROSOFT = "com.microsoft"
BYTES = {TensorProto.INT8: "int8", TensorProto.UINT8: "uint8"}
# Operator -> its form with (x, scale, zero point) per operand before the result's.
BINARY = {"Add": "QLinearAdd", "Mul": "QLinearMul"}
UNARY = {"Sigmoid": "QLinearSigmoid", "LeakyRelu": "QLinearLeakyRelu", "AveragePool": "QLinearAveragePool",
         "GlobalAveragePool": "QLinearGlobalAveragePool"}
MOVEMENT = {"MaxPool", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Gather", "Expand", "DepthToSpace",
            "SpaceToDepth", "Identity", "Tile"}


class Operand:
    """The integers behind a float tensor: name, names of scale and zero point, axis of the scales or None."""

    def __init__(self, graph, node):
        self.tensor, self.scale = node.input[0], node.input[1]
        self.zero = node.input[2] if len(node.input) > 2 else ""
        scale = graph.array(self.scale)
        self.axis = attribute(node, "axis", 1) if scale is not None and scale.size > 1 else None
        self.block = attribute(node, "block_size", 0)
        self.known = scale is not None and (not self.zero or graph.array(self.zero) is not None)
        self.type = graph.initializers[self.zero].data_type if self.zero in graph.initializers else None

    @property
    def names(self):
        return [self.tensor, self.scale, self.zero]

    def per_tensor_bytes(self):
        return self.known and self.axis is None and self.type in BYTES


def convert(graph):
    """Convert all groups of a Graph; returns the names of the operations that became integer operators."""
    converter, done = _Converter(graph), []
    for node in list(graph.nodes):
        if converter.move(node):
            graph.refresh()
    for node in list(graph.nodes):
        if converter.convert(node):
            done.append(node_name(node))
            graph.refresh()
    graph.drop_unused()
    graph.store()
    return done


class _Converter:
    def __init__(self, graph):
        self.graph = graph

    def move(self, node):
        """Move a node that passes values on in front of the DequantizeLinear it reads, unless QuantizeLinear follows."""
        if node.op_type not in MOVEMENT or len(node.output) != 1 or not node.input:
            return False
        x, (end, _) = self._operand(node.input[0]), self._end(node)
        if x is None or end is not None or not x.per_tensor_bytes():
            return False
        moved = onnx.NodeProto()
        moved.CopyFrom(node)
        moved.input[0], moved.output[0] = x.tensor, self.graph.unique(f"{node.output[0]}_quantized")
        dequantize = onnx.helper.make_node("DequantizeLinear", [moved.output[0], x.scale, x.zero], [node.output[0]],
                                           self.graph.unique(f"{node.output[0]}_DequantizeLinear"))
        self.graph.nodes = [m for n in self.graph.nodes for m in ((moved, dequantize) if n is node else (n,))]
        return True

    def convert(self, node):
        if node.domain not in ("", "ai.onnx") or len(node.output) != 1:
            return False
        end, between = self._end(node)
        result = Operand(self.graph, end) if end is not None else None
        if result is None or not result.per_tensor_bytes() or not all(self._is_absorbed(n, result) for n in between):
            return self._to_float(node)
        result.tensor = end.output[0]
        made = self._make(node, result)
        if made is None:
            return False
        if made.domain:
            require_domain(self.graph.model, made.domain)
        gone = {id(end), *map(id, between)}
        self.graph.nodes = [made if n is node else n for n in self.graph.nodes if id(n) not in gone]
        return True

    def _to_float(self, node):
        """A matrix product of integers whose result is read as float."""
        if node.op_type not in ("MatMul", "Gemm"):
            return False
        x, w = self._operand(node.input[0]), self._operand(node.input[1])
        if x is None or w is None or not self._is_product(node, x, w):
            return False
        name, build = self.graph.unique(f"{node_name(node)}_quantized"), onnx.helper.make_node
        if node.op_type == "MatMul":
            made = build("MatMulIntegerToFloat", [x.tensor, w.tensor, x.scale, w.scale, x.zero, w.zero], [node.output[0]], name,
                         domain=MICROSOFT)
        else:
            bias = self._bias(node)
            if bias is None:
                return False
            kept = {a.name: a.i for a in node.attribute if a.name in ("transA", "transB")}
            made = build("QGemm", [*x.names, *w.names, *(bias or [])], [node.output[0]], name, domain=MICROSOFT, **kept)
        require_domain(self.graph.model, MICROSOFT)
        self.graph.nodes = [made if n is node else n for n in self.graph.nodes]
        return True

    def _bias(self, node):
        """[name] of an integer bias, [] without one, None where it is float."""
        if len(node.input) < 3 or not node.input[2]:
            return []
        bias = self._operand(node.input[2])
        if bias is None or self.graph.initializers.get(bias.tensor, TensorProto()).data_type != TensorProto.INT32:
            return None
        return [bias.tensor]

    def _is_product(self, node, x, w):
        """True if the operands are bytes that ONNX Runtime has a kernel for, with scales where it wants them."""
        if not x.per_tensor_bytes() or w.type not in BYTES or not w.known or w.block:
            return False
        if x.type == TensorProto.INT8 and w.type == TensorProto.UINT8:
            return False
        if node.op_type == "Conv":
            return w.axis in (None, 0)
        if node.op_type == "Gemm":
            return attribute(node, "alpha", 1.0) == 1 == attribute(node, "beta", 1.0) and w.axis in (
                None, 0 if attribute(node, "transB", 0) else 1)
        stored = self.graph.initializers.get(w.tensor)
        return w.axis is None or (stored is not None and len(stored.dims) == 2 and w.axis % 2 == 1)

    def _end(self, node):
        """The one QuantizeLinear that reads the result, and the activations before it."""
        between, name = [], node.output[0]
        while True:
            reader = self.graph.only_reader(name)
            if reader is None or reader.input[0] != name:
                return None, []
            if reader.op_type == "QuantizeLinear":
                return reader, between
            if reader.op_type not in ("Relu", "Clip"):
                return None, []
            between.append(reader)
            name = reader.output[0]

    def _is_absorbed(self, node, result):
        """True if quantizing saturates where this activation clips: both are monotone."""
        low, high = RANGES[BYTES[result.type]]
        scale = self.graph.array(result.scale).astype(np.float32)
        zero = int(self.graph.array(result.zero))
        bounds = (0.0, None)
        if node.op_type == "Clip":
            bounds = (attribute(node, "min"), attribute(node, "max"))
            if len(node.input) > 1:
                found = [self.graph.array(n) if n else None for n in [*node.input[1:], ""][:2]]
                if any(n and f is None for n, f in zip(node.input[1:], found)):
                    return False
                bounds = tuple(None if f is None else float(f) for f in found)
        least, most = (None if b is None else np.rint(np.float32(b) / scale) + zero for b in bounds)
        return (least is None or least <= low) and (most is None or most >= high)

    def _operand(self, name):
        node = self.graph.producer.get(name)
        return Operand(self.graph, node) if node is not None and node.op_type == "DequantizeLinear" else None

    def _make(self, node, result):
        op, build = node.op_type, onnx.helper.make_node
        x = self._operand(node.input[0]) if node.input else None
        if x is None and op != "Concat":
            return None
        tail, name = [result.scale, result.zero], self.graph.unique(f"{node_name(node)}_quantized")
        kept = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if op in ("Conv", "MatMul", "Gemm"):
            return self._contraction(node, x, result, name, kept)
        if op in BINARY:
            y = self._operand(node.input[1])
            if y is None or not x.per_tensor_bytes() or not y.per_tensor_bytes() or {x.type, y.type} != {result.type}:
                return None
            return build(BINARY[op], [*x.names, *y.names, *tail], [result.tensor], name, domain=MICROSOFT)
        if op in UNARY:
            # QLinearAveragePool knows none.
            if not x.per_tensor_bytes() or x.type != result.type or any(d != 1 for d in kept.pop("dilations", ())):
                return None
            return build(UNARY[op], [*x.names, *tail], [result.tensor], name, domain=MICROSOFT, **kept)
        if op == "Concat":
            parts = [self._operand(n) for n in node.input]
            if any(p is None or not p.per_tensor_bytes() or p.type != result.type for p in parts):
                return None
            return build("QLinearConcat", [*tail, *(n for p in parts for n in p.names)], [result.tensor], name, domain=MICROSOFT, **kept)
        if op in MOVEMENT and x.per_tensor_bytes() and x.type == result.type and self._same(x, result):
            return build(op, [x.tensor, *node.input[1:]], [result.tensor], name, **kept)
        return None

    def _same(self, x, y):
        return all(np.array_equal(self.graph.array(a), self.graph.array(b)) for a, b in ((x.scale, y.scale), (x.zero, y.zero)))

    def _contraction(self, node, x, result, name, kept):
        op, build = node.op_type, onnx.helper.make_node
        w, bias = self._operand(node.input[1]), self._bias(node)
        if w is None or bias is None or not self._is_product(node, x, w) or (op != "Gemm" and x.type != result.type):
            return None
        ends = [result.scale, result.zero]
        if op == "Conv":
            return build("QLinearConv", [*x.names, *w.names, *ends, *bias], [result.tensor], name, **kept)
        if op == "MatMul":
            return build("QLinearMatMul", [*x.names, *w.names, *ends], [result.tensor], name)
        kept = {k: v for k, v in kept.items() if k in ("transA", "transB")}
        return build("QGemm", [*x.names, *w.names, *(bias or [""]), *ends], [result.tensor], name, domain=MICROSOFT, **kept)
