# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Kernels of AMX, VNNI and bfloat16 on machines without them: instructions in scalar C (support/emulation.py), all else as compiled.

Integers equal the exact result; bfloat16 products equal a sum in double precision of the rounded operands, closely.
"""
import numpy as np
import pytest
from Import.oracle import I32, U8, Values, microsoft, model, node
from support.emulation import Emulated

AMX, VNNI, V4, AVX_VNNI = "amx", "x86-64-v4,avx512vnni", "x86-64-v4", "x86-64-v3,avxvnni"
BYTES = {AMX: {"tdpbusd.internal", "avx512.vpdpbusd.512"}, VNNI: {"avx512.vpdpbusd.512"}, V4: {"avx512.pmaddw.d.512"},
         AVX_VNNI: {"avx512.vpdpbusd.256"}}
# Whole tiles and pairs of them, rows of the remainder, columns that fill no vector, a tile of few steps.
SHAPES = [(64, 256, 128), (37, 96, 80), (9, 128, 23), (33, 80, 48)]


def round_bf16(x):
    """Nearest bfloat16, half to even."""
    bits = x.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


def quantized(v, name, sums, scale, **weights):
    """The node `name` from uint8 to uint8 and its parameters, and what it makes of exact sums."""
    parameters = {"xs": np.float32(0.02), "xz": np.uint8(121), "ws": np.float32(0.01), "wz": np.int8(0), "ys": np.float32(scale),
                  "yz": np.uint8(110), **weights}
    made = node(name[0], "x xs xz w ws wz ys yz", **name[1])
    wanted = np.clip(np.rint(sums * np.float32(np.float32(0.02) * np.float32(0.01) / np.float32(scale))) + 110, 0, 255).astype(np.uint8)
    return made, parameters, wanted


@pytest.mark.parametrize("target", BYTES)
@pytest.mark.parametrize("rows, depth, columns", SHAPES)
def test_products_of_bytes(target, rows, depth, columns):
    v = Values()
    x, w = v.integers(np.uint8, rows, depth), v.integers(np.int8, depth, columns)
    sums = (x.astype(np.int64) - 121) @ w.astype(np.int64)
    made, parameters, wanted = quantized(v, ("QLinearMatMul", {}), sums, 0.2, w=w)
    emulated = Emulated(model(made, {"x": x}, parameters, {"y": U8}), target)
    assert emulated.instructions & BYTES[target] and (target != AMX or "tdpbusd.internal" in emulated.instructions)
    got, = emulated.run([x], [np.zeros((rows, columns), np.uint8)])
    assert (got == wanted).all()


@pytest.mark.parametrize("target", BYTES)
def test_single_rows(target):
    """Panels at several places in turns, sums of columns with them."""
    v, columns = Values(), 1003
    x, w = v.integers(np.uint8, 1, 260), v.integers(np.int8, 260, columns)
    zeros = {"xz": np.uint8(99), "wz": np.int8(3)}
    emulated = Emulated(model(node("MatMulInteger", "x w xz wz"), {"x": x}, {"w": w, **zeros}, {"y": I32}), target)
    assert emulated.instructions & BYTES[target]
    got, = emulated.run([x], [np.zeros((1, columns), np.int32)])
    assert (got == (x.astype(np.int64) - 99) @ (w.astype(np.int64) - 3)).all()


@pytest.mark.parametrize("rows, depth, columns", SHAPES)
def test_signed_bytes_without_a_zero_point(rows, depth, columns):
    """Tiles take them as they are, rows of the remainder offset by 128."""
    v = Values()
    x, w = v.integers(np.int8, rows, depth), v.integers(np.int8, depth, columns)
    emulated = Emulated(model(node("MatMulInteger", "x w"), {"x": x}, {"w": w}, {"y": I32}), AMX)
    assert "tdpbssd.internal" in emulated.instructions
    got, = emulated.run([x], [np.zeros((rows, columns), np.int32)])
    assert (got == x.astype(np.int64) @ w.astype(np.int64)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_sums_of_sixteen_bits(dtype):
    """Weights of which few are too large for vpmaddubsw, in 512 bits; where vpdpbusd is there it is faster."""
    v = Values()
    x = v.integers(dtype, 37, 131)
    w = np.clip(np.rint(v.random.normal(0, 23, (131, 80))), -128, 127).astype(np.int8)
    w[5, 7] = w[4, 7] = 127
    data = model(node("MatMulInteger", "x w"), {"x": x}, {"w": w}, {"y": I32})
    emulated = Emulated(data, V4)
    assert "avx512.pmaddubs.w.512" in emulated.instructions
    got, = emulated.run([x], [np.zeros((37, 80), np.int32)])
    assert (got == x.astype(np.int64) @ w.astype(np.int64)).all()
    assert "avx512.pmaddubs.w.512" not in Emulated(data, VNNI).instructions


@pytest.mark.parametrize("target", BYTES)
def test_convolution_of_bytes(target):
    v = Values(1)
    x, w = v.integers(np.uint8, 1, 64, 14, 14), v.integers(np.int8, 40, 64, 3, 3)
    padded = np.pad(x.astype(np.int64) - 121, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    sums = np.einsum("nchwij,ocij->nohw", windows, w.astype(np.int64), optimize=True)
    made, parameters, wanted = quantized(v, ("QLinearConv", {"pads": [1, 1, 1, 1]}), sums, 0.4, w=w)
    emulated = Emulated(model(made, {"x": x}, parameters, {"y": U8}), target)
    assert emulated.instructions & BYTES[target]
    got, = emulated.run([x], [np.zeros(wanted.shape, np.uint8)])
    assert (got == wanted).all()


@pytest.mark.parametrize("target, instruction", [(AMX, "tdpbf16ps.internal"), ("x86-64-v4,avx512bf16", "avx512bf16.dpbf16ps.512")])
@pytest.mark.parametrize("rows, depth, columns", SHAPES)
def test_products_in_bfloat16(target, instruction, rows, depth, columns):
    v = Values(2)
    x, w = v.floats(rows, depth), v.floats(depth, columns)
    emulated = Emulated(model(node("MatMul", "x w"), {"x": x}, {"w": w}), target, allow="bf16")
    assert instruction in emulated.instructions
    got, = emulated.run([x], [np.zeros((rows, columns), np.float32)])
    a, b = round_bf16(x).astype(np.float64), round_bf16(w).astype(np.float64)
    assert (np.abs(got - a @ b) <= 1e-6 * (np.abs(a) @ np.abs(b))).all()


@pytest.mark.parametrize("target", [AMX, VNNI, AVX_VNNI])
@pytest.mark.parametrize("rows", [1, 16])
def test_weights_of_four_bits(target, rows):
    """MatMulNBits of accuracy level 4: activations are rounded to bytes in the blocks of the weights."""
    v = Values(3)
    depth, columns, block = 256, 48, 32
    x, codes = v.floats(rows, depth), v.random.integers(0, 16, (columns, depth))
    scales = v.scales(columns, depth // block)
    packed = (codes[:, ::2] | codes[:, 1::2] << 4).astype(np.uint8).reshape(columns, depth // block, block // 2)
    made = microsoft("MatMulNBits", "x b s", K=depth, N=columns, bits=4, block_size=block, accuracy_level=4)
    emulated = Emulated(model(made, {"x": x}, {"b": packed, "s": scales}), target)
    assert any(("tdpbssd" if target == AMX and rows == 16 else "vpdpbusd") in name for name in emulated.instructions)
    got, = emulated.run([x], [np.zeros((rows, columns), np.float32)])
    blocks = x.reshape(rows, -1, block)
    steps = np.abs(blocks).max(-1, keepdims=True) / np.float32(127)
    rounded = np.rint(blocks * (1 / steps)) * steps
    weights = (codes.reshape(columns, -1, block) - 8) * scales[..., None]
    wanted = np.einsum("rbk,cbk->rc", rounded.astype(np.float64), weights.astype(np.float64))
    assert np.abs(got - wanted).max() <= 2e-3 * np.abs(wanted).max()


@pytest.mark.parametrize("target", [V4, VNNI, AMX])
@pytest.mark.parametrize("block", [1, 4])
@pytest.mark.parametrize("goal, rows", [("size", 1), ("size", 3), ("speed", 48)])
def test_weights_without_zeros(target, block, goal, rows):
    """Bitmasks where size counts, row streams of 48 rows: floats closely, bytes exactly."""
    v = Values(4)
    depth, columns = 256, 96
    kept = np.repeat(v.random.random((depth // block, columns)) < 0.1, block, axis=0)
    x, w = v.floats(rows, depth), v.floats(depth, columns) * kept
    emulated = Emulated(model(node("MatMul", "x w"), {"x": x}, {"w": w}), target, optimize_for=goal)
    assert goal == "speed" or "avx512.mask.expand.v16f32" in emulated.instructions
    got, = emulated.run([x], [np.zeros((rows, columns), np.float32)])
    assert (np.abs(got - x.astype(np.float64) @ w) <= 1e-6 * (np.abs(x) @ np.abs(w))).all()
    x, w = v.integers(np.uint8, rows, depth), v.integers(np.int8, depth, columns) * kept
    sums = (x.astype(np.int64) - 121) @ w.astype(np.int64)
    made, parameters, wanted = quantized(v, ("QLinearMatMul", {}), sums, 0.2, w=w)
    emulated = Emulated(model(made, {"x": x}, parameters, {"y": U8}), target, optimize_for=goal)
    expansion = f"avx512.mask.expand.{'v64i8' if block == 1 else 'v16i32'}"
    assert goal == "speed" or target != AMX or expansion in emulated.instructions
    got, = emulated.run([x], [np.zeros((rows, columns), np.uint8)])
    assert (got == wanted).all()


@pytest.mark.parametrize("target", [V4, VNNI, AMX])
@pytest.mark.parametrize("rows", [1, 3, 7])
def test_two_of_four_weights(target, rows):
    """Floats closely, bytes exactly; VBMI2 expands as many bytes faster."""
    v = Values(6)
    depth, columns = 252, 96
    kept = v.random.random((-(-depth // 4), 4, columns)).argsort(1).argsort(1) < 2
    kept = kept.reshape(-1, columns)[:depth]
    x, w = v.floats(rows, depth), v.floats(depth, columns) * kept
    emulated = Emulated(model(node("MatMul", "x w"), {"x": x}, {"w": w}), target, optimize_for="size")
    assert "avx512.vpermilvar.ps.512" in emulated.instructions
    got, = emulated.run([x], [np.zeros((rows, columns), np.float32)])
    assert (np.abs(got - x.astype(np.float64) @ w) <= 1e-6 * (np.abs(x) @ np.abs(w))).all()
    x, w = v.integers(np.uint8, rows, depth), v.integers(np.int8, depth, columns) * kept
    sums = (x.astype(np.int64) - 121) @ w.astype(np.int64)
    made, parameters, wanted = quantized(v, ("QLinearMatMul", {}), sums, 0.2, w=w)
    emulated = Emulated(model(made, {"x": x}, parameters, {"y": U8}), target, optimize_for="size")
    assert target == AMX or "avx512.permvar.si.512" in emulated.instructions
    got, = emulated.run([x], [np.zeros((rows, columns), np.uint8)])
    assert (got == wanted).all()


@pytest.mark.parametrize("target", [V4, VNNI])
@pytest.mark.parametrize("rows", [1, 5])
def test_weights_by_a_table(target, rows):
    v = Values(7)
    depth, columns = 256, 96
    x, w = v.floats(rows, depth), v.floats(16)[v.random.integers(0, 16, (depth, columns))]
    emulated = Emulated(model(node("MatMul", "x w"), {"x": x}, {"w": w}), target, optimize_for="size")
    assert "avx512.permvar.sf.512" in emulated.instructions
    got, = emulated.run([x], [np.zeros((rows, columns), np.float32)])
    assert (np.abs(got - x.astype(np.float64) @ w) <= 1e-6 * (np.abs(x) @ np.abs(w))).all()
    x, w = v.integers(np.uint8, rows, depth), v.integers(np.int8, 15)[v.random.integers(0, 15, (depth, columns))]
    sums = (x.astype(np.int64) - 121) @ w.astype(np.int64)
    made, parameters, wanted = quantized(v, ("QLinearMatMul", {}), sums, 0.2, w=w)
    emulated = Emulated(model(made, {"x": x}, parameters, {"y": U8}), target, optimize_for="size")
    assert "avx512.pshuf.b.512" in emulated.instructions or target == V4
    got, = emulated.run([x], [np.zeros((rows, columns), np.uint8)])
    assert (got == wanted).all()


def test_softmax():
    """vscalefps builds powers of two, vmaxps the maximum of each row."""
    x = Values(5).floats(5, 100) * 20
    emulated = Emulated(model(node("Softmax", "x", axis=-1), {"x": x}), V4)
    assert emulated.instructions >= {"avx512.mask.scalef.ps.512", "avx512.max.ps.512"}
    got, = emulated.run([x], [np.zeros(x.shape, np.float32)])
    powers = np.exp(x.astype(np.float64) - x.max(-1, keepdims=True))
    assert np.abs(got - powers / powers.sum(-1, keepdims=True)).max() <= 1e-6
