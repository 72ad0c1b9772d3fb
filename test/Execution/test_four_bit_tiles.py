# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Weights of 4 bits, unpacked for AMX tiles, emulated: blocks of the reduction of all lengths, rows and columns that fill no tile.

Results have the bits of AVX2's (offsets but one: their products may be fused), and are what their definition gives in float64.
"""
import numpy as np
import onnx
import pytest
import tamis
from Import.oracle import I32, Values, model, node
from onnx import helper
from support.emulation import Emulated
from support.few_bits import Product

SIGNED, UNSIGNED, DOTS = "tdpbssd.internal", "tdpbusd.internal", "avx512.vpdpbusd.512"


def compare(product, x, tiles=True, exact=True):
    data = model(product.node, {"x": x}, product.parameters)
    emulated = Emulated(data, "amx")
    assert (SIGNED in emulated.instructions) == tiles
    assert [layer["storage"] for layer in emulated.layers] == ["dense nibbles"]
    want = product(x)
    got, = emulated.run([x], [np.zeros(want.shape, np.float32)])
    np.testing.assert_allclose(got, want, rtol=0, atol=3e-6 * np.abs(want).max())
    if exact:
        np.testing.assert_array_equal(got, tamis.compile(data, cache="off", target="x86-64-v3").run(None, {"x": x})[0])


@pytest.mark.parametrize("zeros", ["none", "integer", "float"])
@pytest.mark.parametrize("block", [32, 128])
def test_zero_points(zeros, block):
    compare(Product(256, 64, block=block, zeros=zeros, level=4), Values(1).floats(32, 256), exact=zeros != "float")


# Tiles of fewer rows, two of them, rows that fill none; the last vector of a panel, and one alone.
@pytest.mark.parametrize("rows", [16, 37, 44, 64])
@pytest.mark.parametrize("columns", [16, 41, 96])
def test_shapes(rows, columns):
    compare(Product(128, columns, zeros="integer", level=4), Values(2).floats(rows, 128))


# One multiplication for all rows that wait, eight, more than rows; one block.
@pytest.mark.parametrize("block, depth", [(32, 96), (64, 256), (256, 512), (512, 1024), (4096, 4096), (256, 192)])
def test_blocks(block, depth):
    compare(Product(depth, 48, block=block, zeros="integer", level=4), Values(3).floats(40, depth))


def test_a_last_block_that_is_shorter():
    compare(Product(300, 48, block=128, zeros="integer", level=4), Values(4).floats(32, 300))


def test_two_batches():
    x = Values(5).floats(2, 33, 128)
    compare(Product(128, 48, level=4), x)


@pytest.mark.parametrize("block, rows", [(16, 64), (32, 4)])
def test_where_tiles_are_mostly_empty(block, rows):
    compare(Product(128, 48, block=block, level=4), Values(7).floats(rows, 128), tiles=False)


def test_a_long_sum():
    """A panel of two vectors would take more of the stack than it may."""
    compare(Product(8704, 48, block=128, level=4), Values(8).floats(16, 8704))


def test_a_longer_one():
    compare(Product(33024, 32, block=128, level=4), Values(9).floats(32, 33024), tiles=False)


def compare_bytes(dtype, rows, open_rows):
    """Activations that are bytes already, one scale for all of them: sums are exact."""
    v = Values(10)
    depth, columns, block = 192, 80, 32
    x = v.integers(dtype, rows, depth)
    codes = v.random.integers(0, 16, (depth, columns))
    exponents = v.random.integers(-3, 3, (depth // block, columns))
    # Sums of rows would be in memory of the runtime, which is not there.
    zeros = v.random.integers(0, 1 if open_rows else 16, (depth // block, columns))
    made = onnx.load_from_string(model(
        [node("DequantizeLinear", "x xs xz", "xf"), node("DequantizeLinear", "w ws wz", "wf", axis=0, block_size=block),
         node("MatMul", "xf wf")], {"x": x}, {"xs": np.float32(0.5), "xz": dtype(0), "ws": np.exp2(exponents).astype(np.float32)}, opset=21))
    for name, values in (("w", codes), ("wz", zeros)):
        made.graph.initializer.append(helper.make_tensor(name, onnx.TensorProto.UINT4, values.shape, values.flatten().tolist()))
    if open_rows:
        made.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "rows"
    emulated = Emulated(made.SerializeToString(), "amx")
    assert {np.int8: SIGNED, np.uint8: UNSIGNED}[dtype] in emulated.instructions
    assert [layer["storage"] for layer in emulated.layers] == ["dense nibbles"]
    weights = (codes - np.repeat(zeros, block, axis=0)) * np.repeat(np.exp2(exponents), block, axis=0)
    got, = emulated.run([x], [np.zeros((rows, columns), np.float32)])
    np.testing.assert_array_equal(got, 0.5 * x.astype(np.float64) @ weights)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("rows", [32, 27])
def test_bytes(dtype, rows):
    compare_bytes(dtype, rows, open_rows=False)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("rows", [1, 15, 16, 22, 53])
def test_open_rows(dtype, rows):
    """Fewer than a tile's read nibbles in a kernel of their own."""
    compare_bytes(dtype, rows, open_rows=True)


@pytest.mark.parametrize("dtype, instruction", [(np.int8, SIGNED), (np.uint8, UNSIGNED)])
@pytest.mark.parametrize("rows", [32, 27])
def test_without_blocks(dtype, instruction, rows):
    """A product of integers, its zero point beside the sums of columns."""
    v = Values(11)
    x, w, zero = v.integers(dtype, rows, 256), v.random.integers(0, 16, (256, 80)).astype(np.uint8), dtype(3)
    emulated = Emulated(model(node("MatMulInteger", "x w xz"), {"x": x}, {"w": w, "xz": zero}, {"y": I32}), "amx")
    assert instruction in emulated.instructions
    assert [layer["storage"] for layer in emulated.layers] == ["dense nibbles"]
    got, = emulated.run([x], [np.zeros((rows, 80), np.int32)])
    np.testing.assert_array_equal(got, (x.astype(np.int32) - 3) @ w.astype(np.int32))


def test_windows():
    v = Values(12)
    x, w = v.integers(np.uint8, 1, 64, 9, 20), v.random.integers(0, 16, (40, 64, 3, 3)).astype(np.uint8)
    emulated = Emulated(model(node("ConvInteger", "x w", pads=[1] * 4), {"x": x}, {"w": w}, {"y": I32}), "amx")
    assert UNSIGNED in emulated.instructions
    assert [layer["storage"] for layer in emulated.layers] == ["dense nibbles"]
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x.astype(np.int64), ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), axis=(2, 3))
    got, = emulated.run([x], [np.zeros((1, 40, 9, 20), np.int32)])
    np.testing.assert_array_equal(got, np.einsum("nchwij,ocij->nohw", windows, w.astype(np.int64), optimize=True))
