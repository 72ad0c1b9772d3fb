# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Storages of AMX, emulated: lists of whole nonzero tiles, and row streams whose words of 32 channels are gathered. Integers are exact.

Profiles make the one or the other the only candidate; a last test looks at what the built-in profile chooses.
"""
import numpy as np
import pytest
from Execution.test_bitmasks import OTHERS
from Execution.test_block_lists import blocks, patterns
from Execution.test_emulated import AMX, quantized, round_bf16
from Import.oracle import I32, U8, Values, model, node
from support import profiles
from support.emulation import Emulated

LISTS = {**OTHERS, "bitmask.margin": 1e-6, "block_list.margin": 2, "block_list.entry": 1e-3, "block_list.list": 1e-3}
GATHERED = {"bitmask.margin": 1e-6, "block_list.margin": 1e-6, "row_stream.margin": 2, "row_stream.larger_margin": 2, "instruction.x86_vnni": 100,
            **{f"row_stream.{name}": 1e-3 for name in ("gathered", "entry", "column", "transposed", "finished")}}
FORCED = {"block list": LISTS, "row stream": GATHERED}
# Whole tiles and pairs of them, rows of the remainder, columns and words that fill no tile.
SHAPES = [(64, 256, 128), (37, 96, 80), (16, 192, 23), (33, 320, 48)]
NAMES = list(patterns(Values(), 2, 2))


@pytest.fixture(scope="module")
def emulate(tmp_path_factory):
    """emulate(data, storage): the model for AMX with its weights stored so."""
    folder = tmp_path_factory.mktemp("profiles")
    paths = {storage: profiles.write(str(folder / f"{i}.json"), AMX, facts) for i, (storage, facts) in enumerate(FORCED.items())}

    def emulate(data, storage, **options):
        emulated = Emulated(data, AMX, profile=paths[storage], **options)
        assert [layer["storage"] for layer in emulated.layers] == [storage]
        return emulated

    return emulate


def check_bytes(emulate, storage, w, rows, instruction, dtype=np.uint8):
    v = Values()
    x = v.integers(dtype, rows, w.shape[0])
    x[0, :9] = np.iinfo(dtype).min
    emulated = emulate(model(node("MatMulInteger", "x w xz"), {"x": x}, {"w": w, "xz": dtype(3)}, {"y": I32}), storage)
    assert instruction in emulated.instructions
    got, = emulated.run([x], [np.zeros((rows, w.shape[1]), np.int32)])
    np.testing.assert_array_equal(got, (x.astype(np.int32) - 3) @ w.astype(np.int32))


@pytest.mark.parametrize("storage, signed, unsigned", [("block list", "tdpbssd", "tdpbusd"), ("row stream", "tdpbssd", "tdpbsud")])
@pytest.mark.parametrize("name", NAMES)
def test_patterns(emulate, storage, signed, unsigned, name):
    """Activations of both signs in turns: emulation takes seconds."""
    v = Values()
    w = v.random.choice(np.int8([-128, -127, 1, 127]), (192, 80)) * patterns(v, 192, 80)[name]
    dtype, instruction = ((np.int8, signed), (np.uint8, unsigned))[NAMES.index(name) % 2]
    check_bytes(emulate, storage, w, 40, f"{instruction}.internal", dtype)


@pytest.mark.parametrize("storage", FORCED)
@pytest.mark.parametrize("rows, depth, columns", SHAPES)
def test_quantized_shapes(emulate, storage, rows, depth, columns):
    v = Values(1)
    x, w = v.integers(np.uint8, rows, depth), v.integers(np.int8, depth, columns) * blocks(v, 0.7, depth, columns, size=(16, 32))
    w[depth // 2:] = 0
    w[0, 0] = 1
    sums = (x.astype(np.int64) - 121) @ w.astype(np.int64)
    made, parameters, wanted = quantized(v, ("QLinearMatMul", {}), sums, 0.2, w=w)
    got, = emulate(model(made, {"x": x}, parameters, {"y": U8}), storage).run([x], [np.zeros((rows, columns), np.uint8)])
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("storage", FORCED)
@pytest.mark.parametrize("kernel, stride", [(1, 1), (3, 1), (3, 2)])
def test_convolutions(emulate, storage, kernel, stride):
    """A list for each tap; words that taps share."""
    v = Values(2)
    x, w = v.integers(np.uint8, 1, 64, 9, 36), v.integers(np.int8, 40, 64, kernel, kernel) * blocks(v, 0.6, 40, 64, kernel, kernel, size=(32, 16))
    w[:, :, 0, 0] = 0
    w[0, 0, -1, -1] = 1
    pad = kernel // 2
    padded = np.pad(x.astype(np.int64) - 121, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(2, 3))[:, :, ::stride, ::stride]
    sums = np.einsum("nchwij,ocij->nohw", windows, w.astype(np.int64), optimize=True)
    made, parameters, wanted = quantized(v, ("QLinearConv", {"pads": [pad] * 4, "strides": [stride] * 2}), sums, 0.4, w=w)
    got, = emulate(model(made, {"x": x}, parameters, {"y": U8}), storage).run([x], [np.zeros(wanted.shape, np.uint8)])
    np.testing.assert_array_equal(got, wanted)


def test_one_row(emulate):
    """Too few rows for tiles: the same list by vpdpbusd."""
    v = Values(3)
    w = v.integers(np.int8, 256, 80) * blocks(v, 0.8, 256, 80)
    w[0, 0] = -128
    check_bytes(emulate, "block list", w, 1, "avx512.vpdpbusd.512")


def test_bfloat16(emulate):
    v = Values(4)
    x, w = v.floats(40, 128), v.floats(128, 80) * blocks(v, 0.6, 128, 80)
    emulated = emulate(model(node("MatMul", "x w"), {"x": x}, {"w": w}), "block list", allow="bf16")
    assert "tdpbf16ps.internal" in emulated.instructions
    got, = emulated.run([x], [np.zeros((40, 80), np.float32)])
    a, b = round_bf16(x).astype(np.float64), round_bf16(w).astype(np.float64)
    assert (np.abs(got - a @ b) <= 1e-6 * (np.abs(a) @ np.abs(b))).all()


@pytest.mark.parametrize("size, share, chosen", [((64, 32), 0.8, "blocks 32x64"), ((4, 32), 0.9, "row stream 32 by 32"), ((1, 1), 0.8, "dense")])
def test_choices(size, share, chosen):
    """Blocks as `tamis prune` makes them, at most 32 output channels in each."""
    v = Values(5)
    w = v.integers(np.int8, 1024, 512) * blocks(v, share, 1024, 512, size=size)
    x = v.integers(np.uint8, 64, 1024)
    layer, = Emulated(model(node("MatMulInteger", "x w"), {"x": x}, {"w": w}, {"y": I32}), AMX).layers
    assert layer["chosen"].startswith(chosen), layer
