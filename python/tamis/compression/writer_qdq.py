# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes quantization as QuantizeLinear and DequantizeLinear, with the names ONNX Runtime's own tools give.

A tensor t gets `t_scale`, `t_zero_point`, `t_QuantizeLinear` and `t_DequantizeLinear`; all its readers, or those that
`readers` names, read the latter's result, an output of the model stays the float tensor. An initializer w becomes
`w_quantized`, and DequantizeLinear writes `w` itself, so that no reader changes. Where a weight has a real offset per
block, its blocks become an axis of their own behind DequantizeLinear, `w_offset` is added, and Reshape writes `w`.
"""
import re

import numpy as np

from ..errors import Error
from . import codes, opset
from .graph import FLOAT8, RANGES, TensorProto, numpy_helper, onnx, rename_reads


def stored_type(dtype):
    """The ONNX type that holds integers of a type ONNX has not: int3 is kept in int4."""
    for name in ("int2", "int4", "int8", "int16"):
        if re.fullmatch(r"u?int\d+", dtype) and int(dtype.lstrip("uint")) <= int(name[3:]):
            return dtype[:-len(dtype.lstrip("uint"))] + name[3:]
    return dtype


def needed_opset(model, weights, tensors):
    """The least operator set that can express a delta; 0 if nothing is quantized."""
    entries = [*weights.values(), *tensors.values()]
    if not entries:
        return 0
    needed = opset.PER_AXIS
    for entry in entries:
        needed = max(needed, opset.NEEDED.get(stored_type(entry["dtype"]), 0), opset.BLOCKS if entry.get("block") else 0)
    if any(t.data_type in (TensorProto.FLOAT16, TensorProto.BFLOAT16) for t in model.graph.initializer):
        needed = max(needed, opset.HALF)
    return needed


def insert(graph, weights, tensors, file=""):
    """Insert both kinds into a Graph."""
    types = graph.element_types()
    front = [node for name, entry in weights.items() for node in _weight(graph, name, entry, types, file)]
    graph.drop_initializers(weights)
    behind, renamed, only = {}, {}, {}
    for name, entry in tensors.items():
        if name in weights:
            continue
        if name not in graph.producer and name not in graph.inputs:
            raise Error(f"the model has no tensor '{name}' to quantize", file=file)
        if name not in graph.readers:
            continue  # only an output of the model, which stays float
        pair = _pair(graph, name, entry, types, file)
        behind[name] = pair
        if entry.get("readers") is None:
            renamed[name] = pair[-1].output[0]
        for reader in entry.get("readers") or ():
            only.setdefault(reader, {})[name] = pair[-1].output[0]
    rename_reads(graph.nodes, renamed, only)
    nodes = front + [node for info in graph.proto.input for node in behind.get(info.name, ())]
    for node in graph.nodes:
        nodes.append(node)
        for output in node.output:
            nodes.extend(behind.get(output, ()))
    graph.nodes = nodes
    graph.store()


def _parameters(graph, name, entry, float_type, file, rank=None):
    """Names of the scale and zero point initializers of one tensor; checks them."""
    dtype, scale = stored_type(entry["dtype"]), np.asarray(entry["scale"], np.float32)
    if dtype not in RANGES and dtype not in FLOAT8:
        raise Error(f"tensor '{name}': ONNX cannot store the type {dtype} in DequantizeLinear", file=file)
    axis, block = entry.get("axis"), entry.get("block")
    # Those of blocks may be negative (Ranges.cpp).
    positive = (np.abs(scale) if block else scale) > 0
    if not np.isfinite(scale).all() or not positive.all():
        raise Error(f"tensor '{name}': expected a positive finite scale, got {scale[~positive].reshape(-1)[:1].tolist()}", file=file)
    if axis is None:
        if scale.size != 1:
            raise Error(f"tensor '{name}': {scale.size} scales, but no axis", file=file)
        scale = scale.reshape(())
    elif not block:
        scale = scale.reshape(-1)
    if float_type in (TensorProto.FLOAT16, TensorProto.BFLOAT16):
        scale = scale.astype(onnx.helper.tensor_dtype_to_np_dtype(float_type))
    names = [graph.add_array(f"{name}_scale", scale)]
    zero = entry.get("zero_point")
    if zero is None and dtype != "int32" and dtype not in FLOAT8:
        zero = np.zeros(scale.shape, np.int64)
    if zero is not None:
        low, high = RANGES[dtype]
        zero = np.broadcast_to(np.asarray(zero).astype(np.int64).reshape(scale.shape if np.size(zero) > 1 else ()), scale.shape)
        if (zero < low).any() or (zero > high).any():
            raise Error(f"tensor '{name}': expected a zero point from {low} to {high}, got {int(zero.reshape(-1)[0])}", file=file)
        names.append(graph.add_array(f"{name}_zero_point", zero, dtype))
    return names


def _attributes(entry):
    if entry.get("axis") is None:
        return {}
    return {"axis": int(entry["axis"]), **({"block_size": int(entry["block"])} if entry.get("block") else {})}


def _weight(graph, name, entry, types, file):
    """The nodes that make the float initializer `name` from integers, a codebook or half precision."""
    tensor = graph.initializers.get(name)
    if tensor is None:
        raise Error(f"the model has no initializer '{name}' to quantize", file=file)
    shape, dtype = tuple(tensor.dims), stored_type(entry["dtype"])
    values = np.asarray(entry["values"])
    if values.shape != shape:
        raise Error(f"initializer '{name}' has the shape {list(shape)}, its integers have {list(values.shape)}", file=file)
    float_type = types.get(name, TensorProto.FLOAT)
    if dtype in codes.HALF or entry.get("codebook") is not None:
        return codes.nodes(graph, name, entry, dtype, float_type, file)
    low, high = RANGES.get(dtype, (0, 0))
    if dtype in RANGES and values.size and (values.min() < low or values.max() > high):
        raise Error(f"initializer '{name}': integers from {values.min()} to {values.max()} do not fit {dtype}", file=file)
    parameters = _parameters(graph, name, entry, float_type, file)
    stored = graph.add_array(f"{name}_quantized", values, None if dtype in FLOAT8 else dtype)
    offset = entry.get("offset")
    result = name if offset is None else graph.unique(f"{name}_DequantizeLinear_Output")
    dequantize = onnx.helper.make_node("DequantizeLinear", [stored, *parameters], [result], graph.unique(f"{name}_DequantizeLinear"),
                                       **_attributes(entry))
    return [dequantize] if offset is None else [dequantize, *_add_offset(graph, name, result, shape, entry)]


def _add_offset(graph, name, source, shape, entry):
    """The nodes that add a real number per block to what DequantizeLinear made: `source` to `name`."""
    axis, block = int(entry["axis"]), int(entry["block"])
    offset = np.asarray(entry["offset"], np.float32)
    outer, inner = shape[:axis], shape[axis + 1:]
    blocks = shape[axis] // block
    split = graph.add_array(f"{name}_blocks", np.array([*outer, blocks, block, *inner], np.int64))
    whole = graph.add_array(f"{name}_shape", np.array(shape, np.int64))
    added = graph.add_array(f"{name}_offset", offset.reshape(*outer, blocks, 1, *inner))
    parts, sums = graph.unique(f"{name}_Reshape_Output"), graph.unique(f"{name}_Add_Output")
    return [onnx.helper.make_node("Reshape", [source, split], [parts], graph.unique(f"{name}_split")),
            onnx.helper.make_node("Add", [parts, added], [sums], graph.unique(f"{name}_Add")),
            onnx.helper.make_node("Reshape", [sums, whole], [name], graph.unique(f"{name}_merge"))]


def _pair(graph, name, entry, types, file):
    parameters = _parameters(graph, name, entry, types.get(name, TensorProto.FLOAT), file)
    quantized = graph.unique(f"{name}_QuantizeLinear_Output")
    source, scaled = name, []
    if entry.get("factor") is not None:
        source = graph.unique(f"{name}_smoothed")
        factor = graph.add_array(f"{name}_factor", np.asarray(entry["factor"]))
        scaled = [onnx.helper.make_node("Mul", [name, factor], [source], graph.unique(f"{name}_Mul"))]
    return scaled + [onnx.helper.make_node("QuantizeLinear", [source, *parameters], [quantized], graph.unique(f"{name}_QuantizeLinear"),
                                  **_attributes(entry)),
            onnx.helper.make_node("DequantizeLinear", [quantized, *parameters], [graph.unique(f"{name}_DequantizeLinear_Output")],
                                  graph.unique(f"{name}_DequantizeLinear"), **_attributes(entry))]
