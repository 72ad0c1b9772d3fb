# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Raising a model's operator set, and shapes for all of its tensors.

QuantizeLinear per channel needs opset 13, floats of 8 bits 19, blocks and 4 bits 21, 2 bits 25. ONNX's own converter does the
rewriting; it sees the graph without its weights, so that it neither copies them nor meets protobuf's 2 GB.
"""
from ..errors import Error
from . import storage
from .graph import Graph, onnx, opset, subgraphs

# What QuantizeLinear and DequantizeLinear ask for.
PER_AXIS, HALF, BLOCKS, TWO_BITS = 13, 19, 21, 25
NEEDED = {"float8_e4m3fn": HALF, "float8_e5m2": HALF, "int4": BLOCKS, "uint4": BLOCKS, "int16": BLOCKS, "uint16": BLOCKS, "int2": TWO_BITS, "uint2": TWO_BITS}
# The least IR version that goes with an operator set (onnx/docs/Versioning.md).
IR_VERSIONS = ((25, 13), (24, 12), (23, 11), (21, 10), (19, 9), (15, 8), (13, 7), (0, 4))


def raise_to(model, version, name=""):
    """The model with opset `version` or what it has above it; Error naming the node the converter stops at."""
    if opset(model) >= version:
        return model
    if any(len(f.node) for f in model.functions):
        raise Error(f"cannot raise opset {opset(model)} to {version}: the model has functions of its own", file=name)
    nested = sum(len(body.node) for node in model.graph.node for body in subgraphs(node))
    try:
        raised = onnx.version_converter.convert_version(storage.without_weights(model), version)
        storage.give_weights(raised, model)
    except Exception as error:  # the converter raises several types of its own
        raise Error(f"cannot raise opset {opset(model)} to {version}: {_last_line(error)}", file=name) from None
    if nested and nested > sum(len(body.node) for node in raised.graph.node for body in subgraphs(node)):
        raise Error(f"cannot raise opset {opset(model)} to {version}: the converter loses nodes inside If or Loop", file=name)
    raised.ClearField("metadata_props")
    raised.metadata_props.extend(model.metadata_props)
    for field in ("producer_name", "producer_version", "domain", "model_version", "doc_string"):
        setattr(raised, field, getattr(model, field))
    known = {entry.domain for entry in raised.opset_import}
    raised.opset_import.extend(entry for entry in model.opset_import if entry.domain not in known and entry.domain != "ai.onnx")
    return fit_ir_version(raised)


def fit_ir_version(model):
    """Raise the IR version to what the operator set asks for."""
    model.ir_version = max(model.ir_version, next(ir for version, ir in IR_VERSIONS if opset(model) >= version))
    return model


def infer_shapes(model):
    """Fill in value_info; a graph ONNX cannot infer keeps what it has."""
    try:
        inferred = onnx.shape_inference.infer_shapes(storage.without_weights(model), data_prop=True)
    except Exception:  # inference is a help, not a condition
        return model
    initializers = Graph(model).initializers
    del model.graph.value_info[:]
    model.graph.value_info.extend(info for info in inferred.graph.value_info if info.name not in initializers)
    for mine, theirs in zip(model.graph.output, inferred.graph.output):
        if not mine.type.HasField("tensor_type") or not mine.type.tensor_type.HasField("shape"):
            mine.CopyFrom(theirs)
    return model


def _last_line(error):
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
