# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`tamis check` on fake quantization: what is integer, what stays float and why."""
import numpy as np
from matrix import F32, QONNX, Builder, Grid, make_layer
from test_import_matrix import fake_quantize, qdq, quant

from tamis import lint
from tamis import options as option_list
from tamis.source import Source


def check(builder, layer, y, tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(builder.model({"x": layer.x}, {y: F32}).SerializeToString())
    return lint.check(Source(path), option_list.make())


def test_layers_of_fake_quantization_are_integer(tmp_path):
    for form in (quant, fake_quantize):
        layer = make_layer("Conv")
        b = Builder(17)
        y = form(b, b.contraction(layer, form(b, "x", layer.gx), form(b, b.value(layer.w), layer.gw)), layer.gy)
        findings, counts = check(b, layer, y, tmp_path)
        assert not findings and counts == {"integer": 2, "float": 0}


def test_float_weights_on_a_grid_are_integer(tmp_path):
    layer = make_layer("MatMul")
    for on_grid in (True, False):
        b = Builder(17)
        w = b.value(layer.gw.real(layer.gw.levels(layer.w)) if on_grid else layer.w)
        y = qdq(b, b.contraction(layer, qdq(b, "x", layer.gx), w), layer.gy)
        heavy = [f for f in check(b, layer, y, tmp_path)[0] if f.heavy]
        assert [f.op for f in heavy] == ([] if on_grid else ["MatMul"])
        assert on_grid or "its weight" in heavy[0].reason


def test_fake_quantization_that_stays_float_is_named(tmp_path):
    layer = make_layer("Conv", gx=Grid(np.float32(0.02)))
    b = Builder(17)
    x = b.node("Quant", ["x", np.float32(0.02), np.float32(0.5), np.float32(8)], domain=QONNX)
    y = quant(b, b.contraction(layer, x, quant(b, b.value(layer.w), layer.gw)), layer.gy)
    findings, _ = check(b, layer, y, tmp_path)
    told = {f.op: (f.reason, f.heavy) for f in findings}
    assert told["Quant"] == ("its zero point is not an integer", False)
    assert told["Conv"] == ("its first operand is not dequantized", True)
