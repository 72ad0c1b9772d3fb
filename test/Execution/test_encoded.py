# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products by weights of fixed stride, N of every M or codes of a table: integers bit for bit, floats against ONNX Runtime.

Tables hold the floats of the model, so their results have the bits of dense panels; N:M leaves products by zero out, and has them
where the order of a sum is fixed. Small layers would stay dense, so a profile says that every byte of weights is dear.
"""
import numpy as np
import pytest
import tamis
from Execution.test_bitmasks import DENSE, TARGETS, compiled, layers  # noqa: F401 (a fixture)
from Execution.test_row_streams import run_reference
from Import.oracle import I32, U8, Values, model, node

BYTES = {**DENSE, "l3.bytes": 1, "dram.bytes_per_cycle": 1e-3}
DENSE = {**DENSE, "n_of_m.margin": 1e-6, "codebook.margin": 1e-6}
N_OF_M = {**BYTES, "n_of_m.margin": 2, "codebook.margin": 1e-6}
CODEBOOK = {**BYTES, "n_of_m.margin": 1e-6, "codebook.margin": 2}
DEPTH, COLUMNS = 61, 101  # neither whole steps nor whole panels


def pruned(v, kept, depth, columns, dtype=np.float32, fewer=0.1):
    """Weights of which each four consecutive ones of a column keep so many, and a share of them none."""
    whole = -(-depth // 4)
    scores = v.random.random((whole, 4, columns))
    stays = scores.argsort(1).argsort(1) < kept
    stays &= v.random.random((whole, 1, columns)) >= fewer
    drawn = v.floats(4 * whole, columns) if dtype == np.float32 else v.integers(dtype, 4 * whole, columns)
    return (drawn * stays.reshape(4 * whole, columns)).astype(dtype)[:depth]


def check(compiled, nodes, feed, p, facts, storage, bits=False, outputs=None, **more):
    data = model(nodes, feed, p, outputs)
    want, = run_reference(data, feed)
    for target in TARGETS:
        dense, encoded = (compiled(data, target, f, **more) for f in (DENSE, facts))
        assert layers(dense, "storage") == ["dense packed"] and layers(encoded, "storage") == [storage], layers(encoded, "why")
        panels, got = (result.run(None, feed)[0] for result in (dense, encoded))
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
        if bits:
            np.testing.assert_array_equal(got.view(np.uint8), panels.view(np.uint8), target)
    return encoded


def check_bytes(compiled, w, rows, facts, storage, v):
    """Both signs of activations, at the ends of their ranges too."""
    for dtype in (np.uint8, np.int8):
        x = v.integers(dtype, rows, w.shape[0])
        x[0, :9] = np.iinfo(dtype).min
        x[-1, -9:] = np.iinfo(dtype).max
        want = (x.astype(np.int32) - 3) @ w.astype(np.int32)
        data = model(node("MatMulInteger", "x w xz"), {"x": x}, {"w": w, "xz": dtype(3)}, {"y": I32})
        for target in TARGETS:
            result = compiled(data, target, facts)
            assert layers(result, "storage") == [storage], layers(result, "why")
            np.testing.assert_array_equal(result(x), want)


@pytest.mark.parametrize("rows", [1, 2, 6, 7, 13])
@pytest.mark.parametrize("kept", [1, 2])
def test_floats(compiled, rows, kept):
    v = Values()
    w = pruned(v, kept, DEPTH, COLUMNS)
    result = check(compiled, node("MatMul", "x w"), {"x": v.floats(rows, DEPTH)}, {"w": w}, N_OF_M, "N:M")
    assert layers(result, "chosen") == [f"{kept} of 4"]
    check(compiled, [node("Gemm", "x w b", "h", transB=1), node("Relu", "h")], {"x": v.floats(rows, DEPTH)},
          {"w": np.ascontiguousarray(w.T), "b": v.floats(COLUMNS)}, N_OF_M, "N:M")


@pytest.mark.parametrize("kept", [1, 2])
def test_strict_floats_have_the_bits_of_dense_panels(compiled, kept):
    v = Values()
    check(compiled, node("MatMul", "x w"), {"x": v.floats(1, 256)}, {"w": pruned(v, kept, 256, 72)}, N_OF_M, "N:M", bits=True, strict=True)


@pytest.mark.parametrize("rows", [1, 3, 6, 8])
def test_bytes(compiled, rows):
    v = Values()
    check_bytes(compiled, pruned(v, 2, DEPTH, COLUMNS, np.int8), rows, N_OF_M, "N:M", v)
    largest = np.where(pruned(v, 2, DEPTH, COLUMNS, np.int8) != 0, v.random.choice(np.int8([-128, 127]), (DEPTH, COLUMNS)), 0)
    check_bytes(compiled, largest.astype(np.int8), rows, N_OF_M, "N:M", v)


def test_weights_with_a_zero_point(compiled):
    """Unsigned ones are zero at 128."""
    v = Values()
    w = pruned(v, 2, 64, COLUMNS, np.int8)
    x = v.integers(np.uint8, 2, 64)
    data = model(node("MatMulInteger", "x w xz wz"), {"x": x}, {"w": w.view(np.uint8) ^ 128, "xz": np.uint8(9), "wz": np.uint8(128)}, {"y": I32})
    for target in TARGETS:
        result = compiled(data, target, N_OF_M)
        assert layers(result, "storage") == ["N:M"], layers(result, "why")
        np.testing.assert_array_equal(result(x), (x.astype(np.int32) - 9) @ w.astype(np.int32))


@pytest.mark.parametrize("where", [(0, 0), (-1, -1), (3, slice(None)), (slice(None, None, 4), -1)])
def test_few_weights(compiled, where):
    v = Values()
    w = np.zeros((DEPTH, COLUMNS), np.float32)
    w[where] = v.floats(*w[where].shape)
    w[5, 5] = -0.0
    check(compiled, node("MatMul", "x w"), {"x": v.floats(1, DEPTH)}, {"w": w}, N_OF_M, "N:M")
    w = np.zeros((DEPTH, COLUMNS), np.int8)
    w[where] = v.integers(np.int8, *w[where].shape) | 1
    check_bytes(compiled, w, 1, N_OF_M, "N:M", v)


@pytest.mark.parametrize("depth, columns", [(4, 70), (70, 5), (8, 9), (64, 64), (300, 40)])
def test_shapes(compiled, depth, columns):
    v = Values()
    w = pruned(v, 2, depth, columns)
    w[0, 0] = 1
    w[1:4, 0] = 0
    check(compiled, node("MatMul", "x w"), {"x": v.floats(1, depth)}, {"w": w}, N_OF_M, "N:M")


def test_convolution_of_one_position(compiled):
    """Several reductions."""
    v = Values()
    for channels in (16, 8):
        w = pruned(v, 2, channels, 9 * COLUMNS).T.reshape(COLUMNS, 3, 3, channels).transpose(0, 3, 1, 2)
        check(compiled, node("Conv", "x w"), {"x": v.floats(1, channels, 3, 3)}, {"w": np.ascontiguousarray(w)}, N_OF_M, "N:M")


def test_many_rows_where_size_counts():
    """The smallest storage for any rows, of equal ones the faster; long sums, which dense panels would cut, stay whole."""
    v = Values()
    for rows, fewer, storage in ((5, 0, "N:M"), (5, 0.1, "bitmask"), (128, 0.1, "bitmask")):
        w = pruned(v, 2, 2048, 64, fewer=fewer)
        data = model(node("MatMul", "x w"), {"x": v.floats(rows, 2048)}, {"w": w})
        result = tamis.compile(data, cache="off", target=TARGETS[0], optimize_for="size")
        assert layers(result, "storage") == [storage]
        x = v.floats(rows, 2048)
        np.testing.assert_allclose(result(x), x @ w, rtol=1e-3, atol=1e-3)


def test_threads_do_not_change_the_result(compiled):
    v = Values()
    x, w = v.floats(2, 1024), pruned(v, 2, 1024, 2048)
    data = model(node("MatMul", "x w"), {"x": x}, {"w": w})
    one, two = (compiled(data, TARGETS[0], {**N_OF_M, "task.vectors": 1000}, threads=threads) for threads in (1, 2))
    assert layers(two, "storage") == ["N:M"] and layers(two, "tasks") == [2]
    np.testing.assert_array_equal(one(x), two(x))


def test_more_weights_in_a_step_stay(compiled):
    v = Values()
    w = pruned(v, 2, 64, 40)
    w[8:11, 7] = 1
    result = compiled(model(node("MatMul", "x w"), {"x": v.floats(1, 64)}, {"w": w}), TARGETS[0], N_OF_M)
    assert layers(result, "storage") == ["dense packed"] and "no N:M: more weights in a step" in layers(result, "why")[0]


def few_values(v, count, *shape, dtype=np.float32):
    table = v.floats(count) if dtype == np.float32 else v.random.choice(np.arange(-128, 128), count, replace=False).astype(dtype)
    return table[v.random.integers(0, count, shape)]


@pytest.mark.parametrize("rows", [1, 3, 7])
@pytest.mark.parametrize("values", [2, 9, 16])
def test_tables_of_floats(compiled, rows, values):
    v = Values()
    result = check(compiled, node("MatMul", "x w"), {"x": v.floats(rows, 96)}, {"w": few_values(v, values, 96, 128)}, CODEBOOK, "codebook", bits=True)
    assert layers(result, "chosen") == [f"codebook of {values}"] and "x i4 ->" in layers(result, "types")[0]
    # Zeros fill the last panel and are no value of the table.
    w = few_values(v, values, 62, COLUMNS)
    check(compiled, [node("MatMul", "x w", "h"), node("Relu", "h")], {"x": v.floats(rows, 62)}, {"w": w}, CODEBOOK, "codebook", bits=True)


@pytest.mark.parametrize("rows", [1, 4])
def test_tables_of_bytes(compiled, rows):
    v = Values()
    check_bytes(compiled, few_values(v, 15, 96, COLUMNS, dtype=np.int8), rows, CODEBOOK, "codebook", v)


def test_convolution_by_a_table(compiled):
    v = Values()
    check(compiled, node("Conv", "x w"), {"x": v.floats(1, 16, 3, 3)}, {"w": few_values(v, 12, COLUMNS, 16, 3, 3)}, CODEBOOK, "codebook", bits=True)


@pytest.mark.parametrize("depth, values, why", [(96, 17, "more than 16 values"), (61, 9, "nothing looks such panels up")])
def test_no_table(compiled, depth, values, why):
    v = Values()
    w = few_values(v, values, depth, 128)
    result = compiled(model(node("MatMul", "x w"), {"x": v.floats(1, depth)}, {"w": w}), TARGETS[0], CODEBOOK)
    assert layers(result, "storage") == ["dense packed"] and f"no codebook: {why}" in layers(result, "why")[0]


def test_quantized_rows(compiled):
    """Requantized in the epilogue."""
    v = Values()
    w = pruned(v, 2, 128, COLUMNS, np.int8)
    p = {"xs": np.float32(0.02), "xz": np.uint8(121), "ws": np.float32(0.01), "wz": np.int8(0), "ys": np.float32(0.3), "yz": np.uint8(110), "w": w}
    x = v.integers(np.uint8, 1, 128)
    sums = (x.astype(np.int64) - 121) @ w.astype(np.int64)
    want = np.clip(np.rint(sums * np.float32(np.float32(0.02) * np.float32(0.01) / np.float32(0.3))) + 110, 0, 255).astype(np.uint8)
    data = model(node("QLinearMatMul", "x xs xz w ws wz ys yz"), {"x": x}, p, {"y": U8})
    for target in TARGETS:
        result = compiled(data, target, N_OF_M)
        assert layers(result, "storage") == ["N:M"]
        np.testing.assert_array_equal(result.run(None, {"x": x})[0], want)


def test_codebooks_of_tamis_quantize(compiled):
    """A codebook for the tensor, factors of channels behind the product."""
    v = Values()
    x, w = v.floats(1, 96), v.floats(96, 128) * v.floats(128)
    made = tamis.quantize(model([node("MatMul", "x w", "h"), node("Relu", "h")], {"x": x}, {"w": w}), weights="codebook4", activations="float32")
    data = made.SerializeToString()
    want, = run_reference(data, {"x": x})
    for target in TARGETS:
        result = compiled(data, target, CODEBOOK)
        assert layers(result, "storage") == ["codebook"], layers(result, "why")
        np.testing.assert_allclose(result(x), want, rtol=1e-4, atol=1e-4)
    assert layers(compiled(data, TARGETS[0], CODEBOOK, strict=True), "storage") == ["dense packed"]
