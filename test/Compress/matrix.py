# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The import matrix: one small quantized layer in every form that tools export, and what it means in integers.

A layer is `y = quantize(relu(op(x, w) + b))`, op a convolution or a matrix product. `Grid` is one quantization;
`expected` gives the integers of the layer's QLinear formula (requantize_n1 of docs/Numerics.md); `check_layer` compiles
a model of it, requires integer contractions and compares.
"""
import dataclasses
import os
import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "Import"))

import tamis  # noqa: E402
from tamis import groups  # noqa: E402

F32 = onnx.TensorProto.FLOAT
QONNX, OPENVINO, MICROSOFT = "qonnx.custom_op.general", "org.openvinotoolkit", "com.microsoft"


@dataclasses.dataclass
class Grid:
    """Levels `low` to `high`; `scale` may have one value for each element of `axis`."""

    scale: object
    zero: int = 0
    low: int = -128
    high: int = 127
    axis: int = 0

    def column(self, x):
        scale = np.asarray(self.scale, np.float32)
        return scale.reshape([-1 if scale.ndim and i == self.axis else 1 for i in range(np.ndim(x))])

    def levels(self, x):
        return np.clip(np.rint(np.asarray(x, np.float32) / self.column(x)) + self.zero, self.low, self.high).astype(np.int64)

    def real(self, levels):
        return ((levels - self.zero).astype(np.float32) * self.column(levels)).astype(np.float32)


@dataclasses.dataclass
class Layer:
    """Values and grids of one layer."""

    op: str
    x: np.ndarray
    w: np.ndarray
    b: np.ndarray
    gx: Grid
    gw: Grid
    gy: Grid
    relu: bool = True
    factor: float = 1.0

    def expected(self):
        """Levels of the result."""
        x = self.gx.levels(self.x) - self.gx.zero
        w = self.gw.levels(self.w) - self.gw.zero
        if self.op == "Conv":
            total, column = groups.convolve(x, w, {"pads": [1, 1, 1, 1]}), (1, -1, 1, 1)
        else:
            total, column = x @ w, (-1,)
        scale = np.asarray(self.gx.scale, np.float32) * np.asarray(self.gw.scale, np.float32)
        if self.b is not None:
            total = total + np.rint(self.b / scale).astype(np.int64).reshape(column)
        scale = scale / np.float32(self.gy.scale)
        y = total.astype(np.float32) * (scale.reshape(column) if scale.ndim else scale)
        if self.relu:
            y = np.maximum(y, np.float32(0))
        return (np.clip(np.rint(y), self.gy.low - self.gy.zero, self.gy.high - self.gy.zero) + self.gy.zero).astype(np.int64)


def make_layer(op="Conv", seed=0, gx=None, gw=None, gy=None, channels=6, relu=True):
    random = np.random.default_rng(seed)
    if op == "Conv":
        x, w = random.standard_normal((2, 4, 9, 9)), random.standard_normal((channels, 4, 3, 3)) * 0.3
        axis = 0
    else:
        x, w = random.standard_normal((32, 24)), random.standard_normal((24, channels)) * 0.3
        axis = 1
    spread = np.abs(w).max(tuple(i for i in range(w.ndim) if i != axis))
    gx = gx or Grid(np.float32(0.021), 121, 0, 255)
    gw = gw or Grid((spread / 127).astype(np.float32), 0, -127, 127)
    gw = dataclasses.replace(gw, axis=axis)
    if np.ndim(gw.scale) == 0 and gw.scale == 0:
        gw = dataclasses.replace(gw, scale=np.float32(spread.max() / gw.high))
    elif np.ndim(gw.scale) and not np.any(gw.scale):
        gw = dataclasses.replace(gw, scale=(spread / gw.high).astype(np.float32))
    gy = gy or Grid(np.float32(0.037), 3, 0, 255)
    return Layer(op, x.astype(np.float32), w.astype(np.float32), random.standard_normal(channels).astype(np.float32), gx, gw, gy, relu)


class Builder:
    """Collects nodes and initializers; the names of tensors are what the methods return."""

    def __init__(self, opset=21):
        self.nodes, self.parameters, self.opset, self.sparse = [], {}, opset, []

    def value(self, array, name=None):
        name = name or f"c{len(self.parameters)}"
        self.parameters[name] = np.asarray(array)
        return name

    def node(self, op, inputs, domain="", **attributes):
        name = f"n{len(self.nodes)}"
        inputs = [i if isinstance(i, str) else self.value(i) for i in inputs]
        self.nodes.append(helper.make_node(op, inputs, [name], name=f"{op}_{len(self.nodes)}", domain=domain, **attributes))
        return name

    def contraction(self, layer, x, w, bias=None, relu=None):
        """The layer's operation, bias and relu on the tensors `x` and `w`."""
        bias = layer.b if bias is None else bias
        if layer.op == "Conv":
            y = self.node("Conv", [x, w, bias], pads=[1, 1, 1, 1])
        else:
            y = self.node("Add", [self.node("MatMul", [x, w]), bias])
        return self.node("Relu", [y]) if layer.relu else y

    def model(self, inputs, outputs):
        def info(name, value):
            return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)

        initializers = [v if isinstance(v, onnx.TensorProto) else numpy_helper.from_array(v, n) for n, v in self.parameters.items()]
        graph = helper.make_graph(self.nodes, "g", [info(*item) for item in inputs.items()],
                                  [helper.make_tensor_value_info(n, t, None) for n, t in outputs.items()],
                                  initializers, sparse_initializer=self.sparse)
        opsets = [helper.make_opsetid("", self.opset)]
        opsets += [helper.make_opsetid(d, 1) for d in (MICROSOFT, QONNX, OPENVINO) if any(n.domain == d for n in self.nodes)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10 if self.opset < 24 else 11)


def run(model, inputs, strict=False, integer=True):
    """The results of a compiled model; with `integer` no contraction may be float."""
    data = model if isinstance(model, str) else model.SerializeToString()
    compiled = tamis.compile(data, cache="off", strict=strict, lazy=False)
    if integer:
        left = [layer for layer in compiled.report().get("layers", ()) if layer["types"].split(" x ")[0].startswith(("f", "bf"))]
        assert not left, left
    if isinstance(model, str):  # MLIR has no names: by position
        inputs = dict(zip([i.name for i in compiled.get_inputs()], inputs.values()))
    return compiled.run(None, inputs)


def assert_levels(got, want, strict):
    """One step apart in at most one of a hundred; equal under the strict policy."""
    steps = np.abs(np.asarray(got).astype(np.int64) - want)
    assert steps.max(initial=0) <= (0 if strict else 1)
    assert np.count_nonzero(steps) <= 0.01 * steps.size


def check_layer(layer, builder, y, strict, integer=True):
    """`y` is the float result on the grid of the layer."""
    got, = run(builder.model({"x": layer.x}, {y: F32}), {"x": layer.x}, strict, integer)
    levels = got / np.float32(layer.gy.scale) + layer.gy.zero
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-3)
    want = layer.expected()
    assert len(np.unique(want)) > min(10, (layer.gy.high - layer.gy.low) // 2)
    assert_levels(np.rint(levels), want, strict)
