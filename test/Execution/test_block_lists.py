# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products by weights of which whole blocks are zero: ONNX Runtime's values, integers bit for bit, in strict mode the bits of dense panels.

Profiles say that a list costs nothing, or that nothing else is worth it, so that any weights can be one.
"""
import numpy as np
import pytest
import tamis
from Execution.test_bitmasks import DENSE, compiled, layers  # noqa: F401 (a fixture)
from Execution.test_row_streams import TARGETS, check_quantized, parameters, run_reference
from Import.oracle import I32, Values, model, node

LISTS = {**DENSE, "row_stream.entry": 1e3, "block_list.entry": 1e-3, "block_list.list": 1e-3, "block_list.margin": 2}
DEPTH, COLUMNS = 96, 101  # several blocks, no whole panels


def blocks(v, share, *shape, size=(32, 32)):
    """True where weights stay, in blocks of the first two dimensions, ragged at the ends."""
    kept = v.random.random([-(-n // s) for n, s in zip(shape, size)]) >= share
    for axis, (n, s) in enumerate(zip(shape, size)):
        kept = np.repeat(kept, s, axis)
    return kept[tuple(slice(n) for n in shape[:2])].reshape(*shape[:2], *[1 for _ in shape[2:]])


def patterns(v, depth, columns):
    """Masks that are hard on a list: few blocks, empty lists, single steps."""
    first, last, row, column, lines = (np.zeros((depth, columns), bool) for _ in range(5))
    first[0, 0] = last[-1, -1] = row[depth // 2] = column[:, -1] = True
    lines[: depth // 2 : 7] = True
    return {"first": first, "last": last, "row": row, "column": column, "lines": lines,
            "half": blocks(v, 0.5, depth, columns), "most": blocks(v, 0.9, depth, columns) | first}


def check(compiled, data, feed, exact=False, **more):
    want, = run_reference(data, feed)
    for target in TARGETS:
        dense, listed = (compiled(data, target, facts, **more) for facts in (DENSE, LISTS))
        assert layers(dense, "storage") == ["dense packed"] and layers(listed, "storage") == ["block list"], target
        (entries,), (total,), (chosen,) = (layers(listed, key) for key in ("entries", "words", "chosen"))
        assert 0 < entries < total and chosen.startswith("blocks ")
        panels, got = (result.run(None, feed)[0] for result in (dense, listed))
        if exact or more.get("strict"):
            np.testing.assert_array_equal(got.view(np.uint8), panels.view(np.uint8), target)
        np.testing.assert_allclose(got, want, rtol=0 if exact else 1e-4, atol=0 if exact else 1e-4)


@pytest.mark.parametrize("rows", [1, 2, 5, 33])
@pytest.mark.parametrize("name", patterns(Values(), 2, 2))
@pytest.mark.parametrize("strict", [False, True])
def test_floats(compiled, rows, name, strict):
    v = Values()
    w = v.floats(DEPTH, COLUMNS) * patterns(v, DEPTH, COLUMNS)[name]
    check(compiled, model(node("MatMul", "x w"), {"x": v.floats(rows, DEPTH)}, {"w": w}), {"x": v.floats(rows, DEPTH)}, strict=strict)


@pytest.mark.parametrize("depth, columns", [(2, 70), (7, 9), (61, 33), (320, 16), (64, 1)])
def test_shapes(compiled, depth, columns):
    """Steps that divide a run: all of it, one, 32."""
    v = Values()
    w = v.floats(depth, columns) * blocks(v, 0.5, depth, columns, size=(8, 8))
    w[1::2] = 0
    w[0, 0] = 1
    feed = {"x": v.floats(6, depth)}
    check(compiled, model([node("Gemm", "x w b", "h"), node("Relu", "h")], feed, {"w": w, "b": v.floats(columns)}), feed)


@pytest.mark.parametrize("rows", [1, 3, 17])
@pytest.mark.parametrize("name", patterns(Values(), 2, 2))
def test_bytes(compiled, rows, name):
    """Both signs of activations with a zero point, at the ends of their ranges too."""
    v = Values()
    w = v.integers(np.int8, DEPTH, COLUMNS) * patterns(v, DEPTH, COLUMNS)[name]
    w[0, 0] = -128
    for dtype in (np.uint8, np.int8):
        x = v.integers(dtype, rows, DEPTH)
        x[0, :9] = np.iinfo(dtype).min
        data = model(node("MatMulInteger", "x w xz"), {"x": x}, {"w": w, "xz": dtype(3)}, {"y": I32})
        want = (x.astype(np.int32) - 3) @ w.astype(np.int32)
        for target in TARGETS:
            listed = compiled(data, target, LISTS)
            assert layers(listed, "storage") == ["block list"]
            np.testing.assert_array_equal(listed(x), want)


@pytest.mark.parametrize("kernel, stride", [(1, 1), (3, 1), (3, 2)])
def test_convolutions(compiled, kernel, stride):
    """A list for each tap of a window."""
    v = Values()
    w = v.floats(40, 32, kernel, kernel) * blocks(v, 0.6, 40, 32, kernel, kernel, size=(16, 16))
    w[:, :, 0, 0] = 0  # empty lists
    w[0, 0, -1, -1] = 1
    feed = {"x": v.floats(1, 32, 9, 11)}
    check(compiled, model(node("Conv", "x w", strides=[stride] * 2, pads=[kernel // 2] * 4), feed, {"w": w}), feed)


def test_quantized_rows():
    """Requantized in the epilogue, whatever the cost models choose."""
    v = Values()
    p = parameters(v, (v.integers(np.int8, 256, COLUMNS) * blocks(v, 0.9, 256, COLUMNS)), COLUMNS)
    for dtype in (np.uint8, np.int8):
        check_quantized(node("QLinearMatMul", "x xs xz w ws wz ys yz"), [{"x": v.integers(np.uint8, 40, 256)}], p, dtype, stream=None)


def test_sums_in_pieces(compiled):
    """Dense panels of long sums are cut; a list is walked whole, with as many rows as stay in L2."""
    v = Values()
    w = v.floats(8192, 48) * blocks(v, 0.9, 8192, 48)
    feed = {"x": v.floats(200, 8192)}
    check(compiled, model(node("MatMul", "x w"), feed, {"w": w}), feed)


def test_threads_do_not_change_the_result(compiled):
    v = Values()
    x, w = v.floats(40, 1024), v.floats(1024, 2048) * blocks(v, 0.8, 1024, 2048)
    data = model(node("MatMul", "x w"), {"x": x}, {"w": w})
    one, two = (compiled(data, TARGETS[0], {**LISTS, "task.vectors": 1000}, threads=threads) for threads in (1, 2))
    assert layers(two, "storage") == ["block list"] and layers(two, "tasks") == [2]
    np.testing.assert_array_equal(one(x), two(x))


def test_saved_library(compiled, tmp_path):
    v = Values()
    x = v.floats(8, DEPTH)
    w = v.floats(DEPTH, COLUMNS) * blocks(v, 0.5, DEPTH, COLUMNS)
    result = compiled(model(node("MatMul", "x w"), {"x": x}, {"w": w}), TARGETS[0], LISTS)
    result.save(tmp_path / "m.so")
    loaded = tamis.load(tmp_path / "m.so")
    assert loaded.report() == result.report() and layers(loaded, "storage") == ["block list"]
    np.testing.assert_array_equal(loaded(x), result(x))
