# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Applies what compression changed (a delta) to the ONNX model it came from.

Nothing is decompiled: the graph stays the user's, only the tensors the delta names change. A delta is a dictionary:

    parameters: {initializer: array}          new float values
    weights:    {initializer: {values, dtype, scale, zero_point, offset, axis, block, codebook}}   integers or small floats, behind
                a DequantizeLinear; floats of half precision, behind a Cast; indices of the codebook, behind a Gather
    tensors:    {tensor: {dtype, scale, zero_point, readers, factor}}   activations that get QuantizeLinear and
                DequantizeLinear, for all nodes that read them or just those `readers` names, multiplied by `factor` before
    removed:    {"parameters": {initializer: [(axis, kept indices)]}, "tensors": {tensor: [(axis, kept size)]}}
"""
import json

import numpy as np

from ..errors import Error
from . import opset, storage, writer_channels, writer_factors, writer_operators, writer_qdq, writer_sparse, writer_tables
from .graph import Graph, make_tensor, numpy_helper

FORMATS = ("qdq", "qoperator")
ZEROS = ("zeros", "sparse_initializer")
MICROSOFT = "com.microsoft"


def apply(prepared, delta, *, format="qdq", zeros="zeros", step=None):
    """The compressed ModelProto. `prepared` (see prepare.py) stays as it is; `step` is added to the recorded recipe."""
    name = prepared.loaded.name
    delta = {key: delta.get(key) or {} for key in ("parameters", "weights", "tensors", "removed")}
    weights = dict(delta["weights"])
    replaced = set(weights) - set(delta["removed"].get("parameters") or ())
    model = storage.skeleton(prepared.model, lambda tensor: storage.stub(tensor) if tensor.name in replaced else None)
    needed = writer_qdq.needed_opset(model, weights, delta["tensors"])
    model = opset.raise_to(model, needed, name) if needed else model
    graph = Graph(model)
    grids = writer_channels.remove(graph, delta["removed"], delta["parameters"], prepared.grids, prepared.model, name)
    _set_parameters(graph, {k: v for k, v in delta["parameters"].items() if k not in replaced}, name)
    weights.update(_back_on_grids(graph, grids, weights))
    writer_qdq.insert(graph, weights, delta["tensors"], name)
    writer_factors.fold(graph, delta["tensors"])
    writer_tables.gather_rows(graph)
    graph.drop_unused()
    graph.store()
    if format == "qoperator":
        writer_operators.convert(graph)
    opset.fit_ir_version(model)
    opset.infer_shapes(model)  # before sparse initializers, which ONNX's inference does not know
    if zeros == "sparse_initializer":
        writer_sparse.sparsify(graph)
    elif prepared.sparse:
        writer_sparse.sparsify(graph, prepared.sparse)
    record(model, step)
    storage.check(model, prepared.model, name)
    return model


def _set_parameters(graph, parameters, file):
    """Give initializers new float values, in the type they have."""
    for name, values in parameters.items():
        tensor = graph.initializers.get(name)
        if tensor is None:
            raise Error(f"the model has no initializer '{name}' to give new values", file=file)
        old = numpy_helper.to_array(tensor)
        values = np.asarray(values)
        if values.shape != old.shape:
            raise Error(f"initializer '{name}' has the shape {list(old.shape)}, its new values have {list(values.shape)}", file=file)
        if not np.isfinite(values).all():
            raise Error(f"the new values of initializer '{name}' are not finite", file=file)
        graph.add(make_tensor(name, values.astype(old.dtype)))


def _back_on_grids(graph, grids, weights):
    """Weights that were integers or codes in the input become those of the same scale or codebook again."""
    found = {}
    for name, grid in grids.items():
        tensor = graph.initializers.get(name)
        if tensor is not None and name not in weights:
            found[name] = grid.entry(numpy_helper.to_array(tensor))
    return found


def record(model, step):
    """Note the version and what was done in the model's own metadata; a recipe grows by one step each time."""
    from .. import __version__

    entries = {entry.key: entry for entry in model.metadata_props}
    values = {"tamis.version": __version__}
    if step:
        try:
            steps = json.loads(entries["tamis.recipe"].value) if "tamis.recipe" in entries else []
        except ValueError:
            steps = []
        steps = steps if isinstance(steps, list) else []
        values["tamis.recipe"] = json.dumps([*steps, step], sort_keys=True)
    for key, value in values.items():
        entry = entries.get(key) or model.metadata_props.add()
        entry.key, entry.value = key, value
