# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What compression made of each layer, and the zeros a layer has: the rows of `tamis quantize`, `prune` and `explain`."""
import math

import numpy as np

from .. import _tamis
from . import layers as layer_list

EXACT = 200  # what --tamis-quantize calls the signal to noise, in dB, of what did not change
HEADINGS = ("layer", "op", "pattern", ">sparsity", "weights", ">SNR dB", ">before B", ">after B", "decision", "reason")


def matrix(values, op, transposed=False):
    """A weight as output channels times K, K ordered kernel height, width, input channel, as patterns count it."""
    if values.ndim < 2:
        return values.reshape(1, -1)
    if op in ("Conv", "FusedConv"):
        return np.moveaxis(values, 1, -1).reshape(values.shape[0], -1)
    if op == "ConvTranspose":
        return np.moveaxis(values, (1, 0), (0, -1)).reshape(values.shape[1], -1)
    if op in ("Gemm", "MatMul") and transposed:
        return values.reshape(values.shape[0], -1)
    return np.moveaxis(values, -1, 0).reshape(values.shape[-1], -1)


def pattern(values, op, transposed=False):
    """(pattern, share of zeros) of one weight."""
    if not values.size:
        return "dense", 0.0
    rows = np.ascontiguousarray(matrix(np.asarray(values, np.float32), op, transposed))
    name, zeros = _tamis.recognize_sparsity(rows.tobytes(), *rows.shape)
    return name, zeros / values.size


class Weight:
    """The weight of one layer; its values are made when asked for, since a model may have gigabytes of them."""

    def __init__(self, graph, node, position, name, dequantize):
        self._graph, self._dequantize, self.name, self.op = graph, dequantize, name, node.op_type
        self.layer = layer_list.layer_of(graph, node, position, name, dequantize, count_zeros=False)
        self.is_left = position == 0
        # A left operand has its output channels in rows already; each Transpose on the way turns it.
        self.transposed = bool(next((a.i for a in node.attribute if a.name == "transB"), 0)) if position else True
        source = graph.producer.get(node.input[position])
        while source is not None:
            self.transposed ^= source.op_type == "Transpose" and len(self.layer.shape) == 2
            source = graph.producer.get(source.input[0]) if source.input else None

    def values(self):
        """What it stands for, in float32."""
        return layer_list.weight_values(self._graph, self.name, self._dequantize)


def weights(model):
    """{layer: Weight} of a ModelProto."""
    graph = layer_list.Graph(model)
    return {layer_list.node_name(found[0]): Weight(graph, *found) for found in layer_list.weighted(graph)}


def sparsity(model):
    """{layer: (pattern, share of zeros, bits)} of a ModelProto's weights, those of integer operators too."""
    found = {name: (*pattern(w.values(), w.op, w.transposed), w.layer.bits) for name, w in weights(model).items()}
    graph = layer_list.Graph(model)
    for node in graph.nodes:
        place, zero = INTEGER_WEIGHTS.get(node.op_type, (99, 99))
        if place < len(node.input) and node.input[place] in graph.parameters:
            op = {"QLinearConv": "Conv", "ConvInteger": "Conv", "QGemm": "Gemm"}.get(node.op_type, "MatMul")
            values = graph.array(node.input[place]).astype(np.float32)
            if zero < len(node.input) and node.input[zero] in graph.parameters:
                point = graph.array(node.input[zero]).astype(np.float32)
                axis = 0 if op == "Conv" else values.ndim - 1
                shape = [-1 if i == axis else 1 for i in range(values.ndim)] if point.size > 1 else ()
                values = values - point.reshape(shape)
            transposed = any(a.name == "transB" and a.i for a in node.attribute)
            found[layer_list.node_name(node)] = (*pattern(values, op, transposed), 8)
    return found


# Integer operators: where their weight and its zero point are.
INTEGER_WEIGHTS = {"QLinearConv": (3, 5), "QLinearMatMul": (3, 5), "QGemm": (3, 5), "ConvInteger": (1, 3), "MatMulInteger": (1, 3)}


def rows(prepared, after, report, pruned):
    """One dict per layer of a Prepared model, and of the result in QDQ form; `report` are the passes' own entries.

    More zeros than before are a decision where weights were `pruned`; rounding makes some too.
    """
    old, new, told, found = weights(prepared.model), weights(after), _rounding(report), []
    for name, weight in old.items():
        layer, values = weight.layer, weight.values()
        row = {"layer": name, "op": weight.op, "tensor": weight.name, "shape": list(layer.shape), "bytes_before": layer.stored_bytes}
        dtype = layer.dtype
        if name not in new:
            # Its weight came to nothing but the layer itself: it went with its channels.
            row.update(pattern="channel", sparsity=1.0, bits=0, dtype="", snr=None, bytes_after=0)
        else:
            changed, result = new[name].layer, new[name].values()
            kind, share = pattern(result, weight.op, new[name].transposed)
            snr = told.get(weight.name, _snr(values, result))
            if weight.name not in told and not pruned and snr != math.inf:
                snr = None  # it took factors up, and was not rounded
            row.update(pattern=kind, sparsity=share, bits=changed.bits, dtype=changed.dtype, bytes_after=changed.stored_bytes, snr=snr)
            if changed.shape != layer.shape:
                row["shape_after"] = list(changed.shape)
            if weight.name in prepared.grids:  # integers or codes before
                dtype = prepared.grids[weight.name].name
                row["bytes_before"] = prepared.grids[weight.name].stored_bytes(layer.count)
        row["decision"], row["reason"] = _decision(row, dtype, pruned and (values == 0).sum() / max(values.size, 1), report)
        found.append(row)
    return found


def embedding_rows(model, delta, report):
    """One dict per table that Gather reads and that has become integers, and is no layer's weight as well."""
    graph, known, found = layer_list.Graph(model), {w.name for w in weights(model).values()}, []
    for node in graph.nodes:
        entry = delta.get("weights", {}).get(node.input[0]) if node.op_type == "Gather" else None
        if entry is None or node.input[0] in known:
            continue
        known.add(node.input[0])
        floats = graph.array(node.input[0])
        result = entry["values"].astype(np.float32) * entry["scale"].reshape(-1, *[1] * (floats.ndim - 1))
        name, share = pattern(result, node.op_type)
        row = {"layer": layer_list.node_name(node), "op": node.op_type, "tensor": node.input[0], "shape": list(floats.shape),
               "bytes_before": floats.nbytes, "pattern": name, "sparsity": share, "bits": 8, "dtype": entry["dtype"],
               "bytes_after": floats.size + entry["scale"].nbytes, "snr": _snr(floats, result)}
        row["decision"], row["reason"] = _decision(row, floats.dtype.name, False, report)
        found.append(row)
    return found


def _rounding(report):
    """{weight: signal to noise in dB} of those a pass rounded: to what had taken up factors before, which are no noise."""
    return {e["tensor"]: math.inf if e["snr"] >= EXACT else e["snr"] for e in report if "snr" in e}


def _snr(want, got):
    """Signal to noise in dB; None where shapes differ, infinite where nothing changed."""
    if want.shape != got.shape:
        return None
    want, got = want.astype(np.float64), got.astype(np.float64)
    noise, signal = ((want - got) ** 2).sum(), (want ** 2).sum()
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf


def noise(before, after):
    """{layer: the noise in its weight as a share of the weight's power} of two ModelProtos; removed channels are lost power."""
    changed, found = weights(after), {}
    for name, weight in weights(before).items():
        old = weight.values()
        power = float(np.square(old).sum())
        if name not in changed:
            found[name] = 1.0
            continue
        new = changed[name].values()
        lost = float(np.square(old - new).sum()) if old.shape == new.shape else max(0.0, power - float(np.square(new).sum()))
        found[name] = lost / power if power else 0.0
    return found


def _decision(row, dtype, zeros, report):
    """What was done to the weight, and the words of the pass that decided it."""
    entries = [e for e in report if e.get("tensor") == row["tensor"] or (e.get("layer") == row["layer"] and not e.get("tensor"))]
    done = []
    if row.get("shape_after"):
        done.append("channels removed")
    elif zeros is not False and row["sparsity"] > zeros:
        done.append("pruned")
    if row["dtype"] != dtype:
        done.append(row["dtype"])
    entries = [e for e in entries if e.get("reason")]
    if done:
        entries = [e for e in entries if e.get("decision") not in ("float", "keep")] or entries
    reasons = [str(e["reason"]) for e in entries]
    return ", ".join(done) or "left as it is", "; ".join(dict.fromkeys(reasons))


def lines(found):
    """The rows as lines of text, columns aligned, the long reason last."""
    cells = [[heading.lstrip(">") for heading in HEADINGS]]
    for row in found:
        snr = row["snr"]
        shown = "" if snr is None else "exact" if snr == math.inf else f"{snr:.1f}"
        cells.append([row["layer"], row["op"], row["pattern"], f"{row['sparsity']:.1%}", row["dtype"], shown, str(row["bytes_before"]),
                      str(row["bytes_after"]), row["decision"], row["reason"]])
    widths = [max(len(line[i]) for line in cells) for i in range(len(HEADINGS))]
    return ["  ".join(cell.rjust(width) if heading[0] == ">" else cell.ljust(width)
                      for cell, width, heading in zip(line, widths, HEADINGS)).rstrip() for line in cells]
