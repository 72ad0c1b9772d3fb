# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Weights of 8 bits with scales in blocks, emulated: blocks have no sums of columns, so signed activations are multiplied as they are.

Results have the bits of AVX2's, which widens both operands, and are what their definition gives in float64.
"""
import numpy as np
import onnx
import pytest
import tamis
from Import.oracle import Values, model, node
from support.emulation import Emulated
from support.few_bits import Product

DOTS = {"+avx512f,+avx512bw,+avx512vl,+avx512vnni": "avx512.vpdpbusd.512", "+avx2,+fma,+avxvnni": "avx512.vpdpbusd.256"}
SIGNED, PAIRS = "tdpbssd.internal", "avx512.pmaddw.d.512"
MULTIPLY = {*DOTS.values(), SIGNED, PAIRS}


def compare(product, x, target, instructions):
    data = model(product.node, {"x": x}, product.parameters)
    emulated = Emulated(data, target)
    assert emulated.instructions & MULTIPLY == instructions
    assert [(layer["storage"], layer["types"]) for layer in emulated.layers] == [("dense packed", "i8 x i8 -> f32")]
    want = product(x)
    got, = emulated.run([x], [np.zeros(want.shape, np.float32)])
    np.testing.assert_allclose(got, want, rtol=0, atol=3e-6 * np.abs(want).max())
    np.testing.assert_array_equal(got, tamis.compile(data, cache="off", target="x86-64-v3").run(None, {"x": x})[0])


# Signed weights, offset for the instruction.
@pytest.mark.parametrize("target", DOTS)
@pytest.mark.parametrize("zeros", ["none", "integer"])
@pytest.mark.parametrize("rows, columns", [(1, 200), (3, 41), (33, 96)])
def test_dots(target, zeros, rows, columns):
    compare(Product(128, columns, bits=8, zeros=zeros, level=4), Values(1).floats(rows, 128), target, {DOTS[target]})


@pytest.mark.parametrize("zeros", ["none", "integer"])
@pytest.mark.parametrize("block", [32, 128])
@pytest.mark.parametrize("rows, columns", [(32, 64), (16, 41), (37, 96)])
def test_tiles(zeros, block, rows, columns):
    compare(Product(256, columns, bits=8, block=block, zeros=zeros, level=4), Values(2).floats(rows, 256), "amx",
            {SIGNED, PAIRS} if rows % 16 else {SIGNED})


def test_few_rows_have_no_tiles():
    compare(Product(128, 48, bits=8, level=4), Values(3).floats(4, 128), "amx", {"avx512.vpdpbusd.512"})


def test_largest_values():
    """-128 by -128 and by 127, where an offset would show."""
    product = Product(64, 32, bits=8, block=32, level=4)
    product.parameters["b"][:] = np.where(np.arange(32) % 2, 255, 0)
    product.weights = np.where(np.arange(64) % 2, 127.0, -128.0) * np.repeat(product.parameters["s"].reshape(32, 2), 32, axis=1)
    x = np.stack([np.full(64, -1.0), np.full(64, 1.0), np.tile([1.0, -1.0], 32)]).astype(np.float32)
    for target, instruction in DOTS.items():
        compare(product, x, target, {instruction})


@pytest.mark.parametrize("rows", [1, 15, 16, 22, 53])
def test_open_rows(rows):
    """Fewer than a tile's have a kernel of their own. Activations are bytes already, so sums are exact."""
    v = Values(4)
    depth, columns, block = 192, 80, 32
    x, w = v.integers(np.int8, rows, depth), v.integers(np.int8, depth, columns)
    scales = np.exp2(v.random.integers(-3, 3, (depth // block, columns))).astype(np.float32)
    made = onnx.load_from_string(model(
        [node("DequantizeLinear", "x xs", "xf"), node("DequantizeLinear", "w ws", "wf", axis=0, block_size=block), node("MatMul", "xf wf")],
        {"x": x}, {"w": w, "xs": np.float32(0.5), "ws": scales}, opset=21))
    made.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "rows"
    emulated = Emulated(made.SerializeToString(), "amx")
    assert emulated.instructions & MULTIPLY == {SIGNED, PAIRS}
    got, = emulated.run([x], [np.zeros((rows, columns), np.float32)])
    np.testing.assert_array_equal(got, 0.5 * x.astype(np.float64) @ (w * np.repeat(scales.astype(np.float64), block, axis=0)))
