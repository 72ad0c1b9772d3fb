# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products by weights whose zeros a bitmask leaves out: the bits of the same kernels on dense panels, and ONNX Runtime's values.

Small layers would stay dense, so a profile says that every byte of weights is dear, or the instruction of the panels.
"""
import numpy as np
import pytest
import tamis
from Execution.test_row_streams import TARGETS, check_quantized, parameters, run_reference, sparse, sparse_bytes
from Import.oracle import I32, U8, Values, model, node
from support import profiles

TARGETS = TARGETS[1:]  # the baseline has no expansion
OTHERS = {f"{storage}.margin": 1e-6 for storage in ("row_stream", "block_list", "n_of_m", "codebook", "bounded", "slot_windows", "winograd")}
OTHERS["row_stream.larger_margin"] = 1e-6
BYTES = {"l3.bytes": 1, "dram.bytes_per_cycle": 1e-3, "bitmask.margin": 2, **OTHERS}
QUADS = {"instruction.x86_madd": 100, **OTHERS}
DENSE = {"bitmask.margin": 1e-6, **OTHERS}
DEPTH, COLUMNS = 61, 101  # neither whole units nor whole panels


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """compiled(data, target, facts): the model under a profile with these facts."""
    folder = tmp_path_factory.mktemp("profiles")

    def compiled(data, target, facts, **more):
        path = profiles.write(str(folder / f"{len(list(folder.iterdir()))}.json"), target, facts)
        result = tamis.compile(data, cache="off", target=target, profile=path, **more)
        result.report()  # compiles, while the profile is there
        return result

    return compiled


def layers(result, key):
    return [layer[key] for layer in result.report()["layers"]]


def check(compiled, nodes, feed, p, outputs=None, facts=BYTES, exact=False, **more):
    data = model(nodes, feed, p, outputs)
    want, = run_reference(data, feed)
    for target in TARGETS:
        dense, masked = (compiled(data, target, f, **more) for f in (DENSE, facts))
        assert layers(dense, "storage") == ["dense packed"] and layers(masked, "storage") == ["bitmask"], target
        panels, got = (result.run(None, feed)[0] for result in (dense, masked))
        np.testing.assert_array_equal(got.view(np.uint8), panels.view(np.uint8), target)
        np.testing.assert_allclose(got, want, rtol=0 if exact else 1e-4, atol=0 if exact else 1e-4)
    return masked


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("share", [0, 0.5, 0.9])
def test_products(compiled, rows, share):
    v = Values()
    w = sparse(v, share, DEPTH, COLUMNS)
    check(compiled, node("MatMul", "x w"), {"x": v.floats(rows, DEPTH)}, {"w": w})
    check(compiled, [node("Gemm", "x w b", "h", transB=1), node("Relu", "h")], {"x": v.floats(rows, DEPTH)},
          {"w": np.ascontiguousarray(w.T), "b": v.floats(COLUMNS)})


@pytest.mark.parametrize("name, where", [("first", (0, 0)), ("last", (-1, -1)), ("row", (3, slice(None))), ("column", (slice(None), -1))])
def test_few_weights(compiled, name, where):
    v = Values()
    w = np.zeros((DEPTH, COLUMNS), np.float32)
    w[where] = v.floats(*w[where].shape)
    w[5, 5] = -0.0
    check(compiled, node("MatMul", "x w"), {"x": v.floats(1, DEPTH)}, {"w": w})
    w = np.zeros((DEPTH, COLUMNS), np.int8)
    w[where] = v.integers(np.int8, *w[where].shape) | 1
    check(compiled, node("MatMulInteger", "x w xz"), {"x": v.integers(np.uint8, 1, DEPTH)}, {"w": w, "xz": np.uint8(7)}, {"y": I32}, exact=True)


def test_no_weights(compiled):
    v = Values()
    data = model(node("MatMul", "x w"), {"x": v.floats(1, DEPTH)}, {"w": np.zeros((DEPTH, COLUMNS), np.float32)})
    for target in TARGETS:
        result = compiled(data, target, BYTES)
        assert layers(result, "storage") == ["dense packed"]
        assert not result(v.floats(1, DEPTH)).any()


@pytest.mark.parametrize("depth, columns", [(1, 70), (70, 1), (8, 9), (64, 64), (300, 40)])
def test_shapes(compiled, depth, columns):
    v = Values()
    w = sparse(v, 0.6, depth, columns)
    w[0, 0] = 1
    check(compiled, node("MatMul", "x w"), {"x": v.floats(1, depth)}, {"w": w})


@pytest.mark.parametrize("facts", [BYTES, QUADS], ids=["pairs", "quads"])
@pytest.mark.parametrize("rows", [1, 3, 6])
@pytest.mark.parametrize("share", [0, 0.5, 0.9])
def test_bytes(compiled, facts, rows, share):
    """Both signs of activations, at the ends of their ranges too."""
    v = Values()
    for largest in (False, True):
        w = sparse_bytes(v, share, DEPTH, COLUMNS, block=1, largest=largest)
        w[0, 0] = 1
        for dtype in (np.uint8, np.int8):
            x = v.integers(dtype, rows, DEPTH)
            x[0, :9] = np.iinfo(dtype).min
            want = (x.astype(np.int32) - 3) @ w.astype(np.int32)
            data = model(node("MatMulInteger", "x w xz"), {"x": x}, {"w": w, "xz": dtype(3)}, {"y": I32})
            for target in TARGETS:
                masked = compiled(data, target, facts)
                assert layers(masked, "storage") == ["bitmask"]
                np.testing.assert_array_equal(masked(x), want)


def test_quantized_rows(compiled, monkeypatch):
    """Requantized in the epilogue, whatever the cost models choose."""
    v = Values()
    p = parameters(v, sparse_bytes(v, 0.9, 128, COLUMNS, block=1), COLUMNS)
    for dtype in (np.uint8, np.int8):
        check_quantized(node("QLinearMatMul", "x xs xz w ws wz ys yz"), [{"x": v.integers(np.uint8, 1, 128)}], p, dtype, stream=None)


def test_convolution_of_one_position(compiled):
    """Several reductions, of which only the innermost is padded to whole units."""
    v = Values()
    for channels in (16, 5):
        w = sparse(v, 0.8, COLUMNS, channels, 3, 3)
        check(compiled, node("Conv", "x w"), {"x": v.floats(1, channels, 3, 3)}, {"w": w})


def test_strict(compiled):
    v = Values()
    check(compiled, node("MatMul", "x w"), {"x": v.floats(1, 256)}, {"w": sparse(v, 0.8, 256, 8)}, strict=True)


def test_threads_do_not_change_the_result(compiled):
    v = Values()
    x, w = v.floats(2, 1024), sparse(v, 0.8, 1024, 2048)
    data = model(node("MatMul", "x w"), {"x": x}, {"w": w})
    one, two = (compiled(data, TARGETS[0], {**BYTES, "task.vectors": 1000}, threads=threads) for threads in (1, 2))
    assert layers(two, "storage") == ["bitmask"] and layers(two, "tasks") == [2]
    np.testing.assert_array_equal(one(x), two(x))


def test_saved_library(compiled, tmp_path):
    v = Values()
    x = v.floats(1, DEPTH)
    result = compiled(model(node("MatMul", "x w"), {"x": x}, {"w": sparse(v, 0.8, DEPTH, COLUMNS)}), TARGETS[0], BYTES)
    result.save(tmp_path / "m.so")
    loaded = tamis.load(tmp_path / "m.so")
    assert loaded.report() == result.report() and layers(loaded, "storage") == ["bitmask"]
    np.testing.assert_array_equal(loaded(x), result(x))


def test_panels_of_a_wider_type_stay():
    """One channel, taps apart: bytes are multiplied in 32 bits, and zero points are folded for that."""
    v = Values()
    feed = {"x": v.integers(np.uint8, 1, 1, 12, 12)}
    nodes = node("QLinearConv", "x xs xz w ws wz ys yz", dilations=[2, 2])
    data = model(nodes, feed, parameters(v, sparse_bytes(v, 0.1, 8, 1, 5, 5, block=1), 8), {"y": U8})
    for target in TARGETS:
        result = tamis.compile(data, cache="off", target=target, optimize_for="size")
        np.testing.assert_array_equal(result.run(None, feed)[0], run_reference(data, feed)[0])
        assert "no bitmask: panels are of a wider type" in layers(result, "why")[0]


def test_depthwise_bytes_stay():
    """Their windows are multiplied as they lie in the panels."""
    v = Values()
    feed = {"x": v.integers(np.uint8, 1, 16, 9, 9)}
    nodes = node("QLinearConv", "x xs xz w ws wz ys yz", group=16)
    data = model(nodes, feed, parameters(v, sparse_bytes(v, 0.8, 16, 1, 3, 3, block=1), 16), {"y": U8})
    for target in TARGETS:
        result = tamis.compile(data, cache="off", target=target, optimize_for="size")
        np.testing.assert_array_equal(result.run(None, feed)[0], run_reference(data, feed)[0])
        assert "no bitmask of a depthwise layer" in layers(result, "why")[0]
