# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Where a compressed model departs: every node of the compiled model beside two others.

The unfused quantized graph is the same model in ONNX Runtime with graph optimisation off: differences are the
compiler's. The float graph is the model it was made from: differences are what compression costs. Nodes that a
compiler merges (a convolution, its activation and the QuantizeLinear behind it) are one row, under the first one's
name, and compared on the integers they leave: looking at them then changes no arithmetic.
"""
import dataclasses
import math

import numpy as np

from . import compare, groups, verification
from .compression import layer_times, layers
from .compression.evaluate import cosine
from .errors import Error

MERGED = ("Relu", "Clip", *layers.MOVEMENT)
SKIPPED = ("QuantizeLinear", "DequantizeLinear", "Constant", "Shape")
LEAST_SNR = 10.0      # dB against the float graph, below which a node is named
SHARE = groups.SHARE  # of the values that may differ by one step


@dataclasses.dataclass
class Point:
    """A row: the node, the tensor that is compared, and the tensor of the float model that it stands for."""

    name: str
    op: str
    nodes: list
    tensor: str
    real: str
    quantize: object = None  # the QuantizeLinear that makes `tensor`


@dataclasses.dataclass
class Row:
    """Figures of a point: against the unfused quantized graph, and against the float graph where it has the tensor."""

    name: str
    op: str
    steps: int = None        # largest difference in quantization steps; None for floats
    share: float = 0.0       # of the values that differ at all
    snr: float = math.nan
    cosine: float = math.nan
    float_snr: float = math.nan
    float_cosine: float = math.nan
    departs: bool = False    # from the unfused graph, by more than the contract allows
    problem: str = ""

    def plain(self):
        """For `--json`: no NaN."""
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in dataclasses.asdict(self).items()}


def points(model):
    """The Points of a ModelProto, in its order."""
    graph = layers.Graph(model)
    outputs, merged, found = {o.name for o in model.graph.output}, set(), []
    for node in graph.nodes:
        if node.op_type in SKIPPED or id(node) in merged or not node.output[0] or _constant(graph, node):
            continue
        chain, name = [node], node.output[0]
        while name not in outputs:
            readers = graph.readers.get(name, [])
            if len(readers) != 1 or readers[0].op_type not in MERGED or readers[0].input[0] != name:
                break
            chain.append(readers[0])
            name = readers[0].output[0]
        readers = graph.readers.get(name, [])
        point = Point(layers.node_name(node), "+".join(n.op_type for n in chain), chain, name, name)
        if name not in outputs and len(readers) == 1 and readers[0].op_type == "QuantizeLinear" and all(
                p in graph.parameters for p in readers[0].input[1:]):
            point.tensor, point.quantize = readers[0].output[0], readers[0]
        merged.update(map(id, chain))
        found.append(point)
    return found


def _constant(graph, node):
    """True for a node that only moves or decodes parameters."""
    return node.op_type in (*layers.MOVEMENT, "Cast", "Gather", "Mul") and graph.weight(node.output[0]) is not None


def find(path, reference_path, feeds, options):
    """[Row] in the model's order, over all feeds."""
    from .compression import storage  # needs the package onnx

    model = storage.load(path).model
    before = storage.load(reference_path).model if reference_path else None
    wanted = points(model)
    if before is not None:
        _match(wanted, model, before, reference_path)
    graph = layers.Graph(model)
    compile_options = {"target": options.target, "threads": options.threads, "input_dims": dict(options.input_dims),
                       "strict": options.strict, "allow": options.allow}
    try:
        traced = layer_times.trace(model, [p.tensor for p in wanted], feeds, compile_options)
    except Error as error:
        raise Error(f"cannot look at the inner tensors: {error.text}", file=path, node=error.node) from None
    sums = {p.tensor: _Sums(_scale(graph, p)) for p in wanted}
    for feed, got in zip(feeds, traced):
        unfused = verification.all_values(model, feed)
        floats = verification.all_values(before, feed) if before is not None else {}
        for point in wanted:
            if point.tensor in got and point.tensor in unfused:
                sums[point.tensor].add(got[point.tensor], unfused[point.tensor], floats.get(point.real))
    return [sums[p.tensor].row(p) for p in wanted if sums[p.tensor].count]


def _match(wanted, model, before, path):
    """Let each point's `real` name the float model's tensor: its own name, or else the output of the node of its name."""
    inputs = [{i.name for i in m.graph.input} - {t.name for t in m.graph.initializer} for m in (model, before)]
    if inputs[0] != inputs[1]:
        raise Error(f"expected a model with the inputs {', '.join(sorted(inputs[0]))}, got {', '.join(sorted(inputs[1]))}", file=path)
    made = {layers.node_name(node): node.output[0] for node in before.graph.node}
    for point in wanted:
        if point.real not in made.values():
            point.real = made.get(layers.node_name(point.nodes[-1]), point.real)


def _scale(graph, point):
    """(scale, zero point) of the tensor in a shape that broadcasts, or None where it is float."""
    if point.quantize is None:
        return None
    node = point.quantize
    axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
    scale = graph.array(node.input[1]).astype(np.float64)
    zero = graph.array(node.input[2]).astype(np.float64) if len(node.input) > 2 else np.zeros(())
    return scale, zero, axis


class _Sums:
    """Differences of one tensor, added up over feeds."""

    def __init__(self, scale):
        self.scale, self.count, self.differ, self.steps = scale, 0, 0, 0
        self.unfused, self.floats, self.error = [], [], 0.0

    def add(self, got, want, real):
        got, want = np.asarray(got), np.asarray(want)
        if got.shape != want.shape or not got.size:
            return
        self.count += got.size
        if self.scale:
            steps = np.abs(got.astype(np.int64) - want.astype(np.int64))
            self.steps = max(self.steps, int(steps.max()))
            self.differ += int(np.count_nonzero(steps))
        elif got.dtype.kind == "f":
            self.error = max(self.error, compare.difference(got, want))
        else:
            self.error = max(self.error, float(np.any(got != want)))
        mine = self._real(got)
        self.unfused.append(_pair(mine, self._real(want)))
        if real is not None and np.shape(real) == got.shape:
            self.floats.append(_pair(mine, np.asarray(real).astype(np.float64)))

    def _real(self, array):
        if not self.scale:
            return array.astype(np.float64)
        scale, zero, axis = self.scale
        column = [1] * array.ndim
        if scale.size > 1:
            column[axis] = -1
        return (array.astype(np.float64) - zero.reshape(column if zero.size > 1 else ())) * scale.reshape(column if scale.size > 1 else ())

    def row(self, point):
        row = Row(point.name, point.op, self.steps if self.scale else None, self.differ / self.count)
        row.snr, row.cosine = _merged(self.unfused)
        if self.floats:
            row.float_snr, row.float_cosine = _merged(self.floats)
        row.departs = self.steps > 1 or row.share > SHARE if self.scale else self.error > compare.TOLERANCE["quantized"]
        return row


def _pair(got, want):
    """(noise power, signal power, cosine) of one feed."""
    return float(np.sum(np.square(got - want))), float(np.sum(np.square(want))), cosine(got, want)


def _merged(pairs):
    """(SNR over all feeds, least cosine)."""
    noise, signal = (sum(p[i] for p in pairs) for i in (0, 1))
    snr = math.inf if noise == 0 else 10 * math.log10(signal / noise) if signal > 0 and math.isfinite(noise) else -math.inf
    return snr, min(p[2] for p in pairs)


def first_from_unfused(path, rows, feed, options):
    """(the first row that departs by itself, the rows before it that only pass on what they were given).

    A node that differs in the whole model may be fed differing values: it is judged again on the values that ONNX
    Runtime feeds it.
    """
    suspects = [row for row in rows if row.departs]
    if not suspects:
        return None, []
    alone = {}
    for name, _, result in verification.node_by_node(path, feed, options):
        alone[name] = str(result) if isinstance(result, Error) or not result.agrees else ""
    passed = []
    for row in suspects:
        row.problem = alone.get(row.name, "")
        if row.problem:
            return row, passed
        passed.append(row)
    return None, passed


def first_from_float(rows, least_snr):
    """The first row whose SNR against the float graph is below `least_snr` dB, or None."""
    return next((row for row in rows if row.float_snr == row.float_snr and row.float_snr < least_snr), None)
