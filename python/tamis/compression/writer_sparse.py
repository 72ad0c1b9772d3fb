# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Stores initializers with many zeros as ONNX sparse initializers (coordinate form, linear indices).

A value then takes its own bytes and eight of index: float32 pays below a third of non-zeros, int8 below a ninth.
"""
import numpy as np

from .graph import TensorProto, numpy_helper, onnx, tensor_bytes

FLOATS_AND_BYTES = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT8, TensorProto.UINT8}
INDEX_BYTES = 8


def sparsify(graph, names=None):
    """Make every initializer sparse that gets smaller by it, or just `names`; returns {name: (before, after)} in bytes."""
    done = {}
    for name, tensor in list(graph.initializers.items()):
        if (names is not None and name not in names) or tensor.data_type not in FLOATS_AND_BYTES or not tensor.dims:
            continue
        if name in graph.outputs:  # a caller would get the sparse form
            continue
        values = numpy_helper.to_array(tensor).reshape(-1)
        kept = np.flatnonzero(values)
        after = len(kept) * (values.itemsize + INDEX_BYTES)
        if len(kept) == 0 or (names is None and after >= tensor_bytes(tensor)):
            continue
        sparse = onnx.SparseTensorProto(dims=tensor.dims)
        sparse.values.CopyFrom(numpy_helper.from_array(values[kept], name))
        sparse.indices.CopyFrom(numpy_helper.from_array(kept.astype(np.int64), f"{name}_indices"))
        graph.proto.sparse_initializer.append(sparse)
        done[name] = tensor_bytes(tensor), after
    graph.drop_initializers(done)
    return done
