# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tables of embeddings in integers: rows are gathered as they are stored, and only they become floats.

DequantizeLinear in front of a Gather is what QDQ says, but a runtime that takes it at its word makes the whole table
floats on every call. With scales r, a value for each row:

    y = Gather(DequantizeLinear(w, scale, axis=0), i)   becomes   y = Mul(Cast(Gather(w, i)), Gather(r, i))
"""
import numpy as np

from .graph import attribute, node_name, numpy_helper, onnx


def gather_rows(graph):
    """Rewrite every such Gather of a Graph; returns the names of the nodes. What else reads a table goes on doing so."""
    nodes, done, columns = [], [], {}
    for node in graph.nodes:
        made = _rows(graph, node, columns)
        if made:
            done.append(node_name(node))
        nodes.extend(made or [node])
    graph.nodes = nodes
    graph.store()
    return done


def _rows(graph, node, columns):
    """What takes the place of a Gather of rows of a dequantized table; None for all else.

    `columns` holds the names of scales in the shape of a column that other tables or nodes already have.
    """
    table = graph.producer.get(node.input[0]) if node.op_type == "Gather" and node.domain in ("", "ai.onnx") else None
    if table is None or table.op_type != "DequantizeLinear" or attribute(node, "axis", 0) != 0 or attribute(table, "block_size", 0):
        return None
    stored, scale, zero = (graph.initializers.get(name) for name in (*table.input, "")[:3])
    # A row has one scale and no zero point, and Gather knows no integers of fewer than eight bits.
    if (stored is None or scale is None or stored.data_type != onnx.TensorProto.INT8 or len(stored.dims) < 2
            or (scale.dims and attribute(table, "axis", 1) % len(stored.dims) != 0)
            or (zero is not None and numpy_helper.to_array(zero).any())):
        return None
    build, (result,), factor, nodes = onnx.helper.make_node, node.output, scale.name, []
    if scale.dims:
        if scale.name not in columns:
            column = numpy_helper.to_array(scale).reshape(-1, *[1] * (len(stored.dims) - 1))
            columns[scale.name] = graph.add_array(f"{scale.name}_column", column)
        factor = graph.unique(f"{result}_scale")
        nodes.append(build("Gather", [columns[scale.name], node.input[1]], [factor], graph.unique(f"{node_name(node)}_scale"), axis=0))
    rows, cast = graph.unique(f"{result}_quantized"), graph.unique(f"{result}_cast")
    return [*nodes, build("Gather", [stored.name, node.input[1]], [rows], node.name, axis=0),
            build("Cast", [rows], [cast], graph.unique(f"{node_name(node)}_Cast"), to=scale.data_type),
            build("Mul", [cast, factor], [result], graph.unique(f"{node_name(node)}_Mul"))]
