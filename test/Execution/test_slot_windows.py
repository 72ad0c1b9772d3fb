# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products by weights that lie in slots of windows: bytes give the values of their definition on every machine, floats ONNX Runtime's.

Small layers would stay dense, so a profile says that products of dense panels and of other storages are dear.
"""
import numpy as np
import pytest
import tamis
from Execution.test_row_streams import FLAGS, check_quantized, parameters, sparse, sparse_bytes
from Import.oracle import I32, Values, model, node
from support import profiles
from support.emulation import Emulated

TARGETS = [target for target, flag in (("x86-64-v3", "avx2"), ("x86-64-v3,avxvnni", "avx_vnni"), ("x86-64-v4", "avx512vl"),
                                       ("x86-64-v4,avx512vnni", "avx512_vnni")) if flag in FLAGS]
OTHERS = ("row_stream", "block_list", "bitmask", "n_of_m", "codebook", "bounded", "winograd")
FACTS = {"dense.share": 1e-4, **{f"{name}.margin": 1e-6 for name in OTHERS}}
DEPTH, COLUMNS = 61, 101  # neither whole steps nor whole vectors


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    """profile(target): the path of one by which slots are cheap."""
    folder = tmp_path_factory.mktemp("profiles")
    paths = {}

    def profile(target, **more):
        key = (target, *more)
        if key not in paths:
            paths[key] = profiles.write(str(folder / f"{len(paths)}.json"), target, {**FACTS, **more})
        return paths[key]

    return profile


def check_floats(profile, x, w, strict=False, **options):
    """Under `strict` each sum has the order of dense panels, and so their bits."""
    data = model(node("MatMul", "x w"), {"x": x}, {"w": w})
    want = x.astype(np.float64) @ w.astype(np.float64)
    for target in TARGETS:
        compiled = tamis.compile(data, cache="off", target=target, profile=profile(target), strict=strict, **options)
        got = compiled(x)
        assert storages(compiled) == ["slot windows"], target
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5 * np.abs(want).max(), err_msg=f"{target} {x.shape}")
        if strict:
            dense = tamis.compile(data, cache="off", target=target, strict=True, profile=profile(target, **{"slot_windows.margin": 1e-6}))
            assert storages(dense) == ["dense packed"]
            np.testing.assert_array_equal(got, dense(x))
    return compiled


def storages(compiled):
    return [layer["storage"] for layer in compiled.report()["layers"]]


def check(profile, x, w, zero=3, **options):
    data = model(node("MatMulInteger", "x w xz"), {"x": x}, {"w": w, "xz": x.dtype.type(zero)}, {"y": I32})
    for target in TARGETS:
        compiled = tamis.compile(data, cache="off", target=target, profile=profile(target), **options)
        np.testing.assert_array_equal(compiled(x), (x.astype(np.int32) - zero) @ w.astype(np.int32), f"{target} {x.shape}")
        assert storages(compiled) == ["slot windows"], target
    return compiled


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("share", [0, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("rows", [1, 2, 5, 6, 7, 13])
def test_products(profile, rows, share, dtype):
    """Both signs of activations and weights, at the ends of their ranges, where pairs of products do not fit into 16 bits."""
    v = Values()
    for largest in (False, True):
        w = sparse_bytes(v, share, DEPTH, COLUMNS, block=1, largest=largest)
        w[0, 0] = 1
        x = v.integers(dtype, rows, DEPTH)
        x[0, :20] = np.iinfo(dtype).max
        x[-1, 20:] = np.iinfo(dtype).min
        check(profile, x, w)


@pytest.mark.parametrize("share", [0, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("rows", [1, 2, 5, 13])
def test_floats(profile, rows, share):
    v = Values()
    for depth, columns in ((DEPTH, COLUMNS), (640, 131)):
        w = sparse(v, share, depth, columns)
        w[0, 0], w[1, 0] = 1, -0.0
        check_floats(profile, v.floats(rows, depth), w)
        check_floats(profile, v.floats(rows, depth), w, strict=True)


def test_threads_do_not_change_floats(profile):
    v = Values()
    x, w = v.floats(1, 1024), sparse(v, 0.8, 1024, 2048)
    one, two = (check_floats(profile, x, w, threads=threads) for threads in (1, 2))
    np.testing.assert_array_equal(one(x), two(x))


@pytest.mark.parametrize("depth, columns", [(16, 1), (16, 33), (17, 8), (31, 40), (64, 64), (1000, 33), (65536, 9)])
def test_shapes(profile, depth, columns):
    v = Values()
    w = sparse_bytes(v, 0.8, depth, columns, block=1)
    w[-1, -1] = -128
    check(profile, v.integers(np.uint8, 1, depth), w)
    check_floats(profile, v.floats(1, depth), w.astype(np.float32))


@pytest.mark.parametrize("where", [(0, 0), (-1, -1), (3, slice(None)), (slice(None), -1), (slice(0, None, 16), slice(None)), (slice(None), 40)])
def test_few_weights(profile, where):
    """Panels without any, lists of one entry, panels of one call of which one has all."""
    v = Values()
    w = np.zeros((96, 200), np.int8)
    w[where] = v.integers(np.int8, *w[where].shape) | 1
    check(profile, v.integers(np.int8, 1, 96), w)
    check_floats(profile, v.floats(1, 96), w.astype(np.float32))


@pytest.mark.parametrize("columns", [8, 32, 40, 130, 1000])
def test_lists_of_all_lengths_are_read_at_once(profile, columns):
    """A single row reads four panels in turns: some are empty, some full, tasks cut them anywhere."""
    v = Values()
    w = v.integers(np.int8, 1024, columns) * (v.random.random((1024, columns)) > v.random.random(columns))
    w[:, :8] = 0
    w[0, 0] = 5
    x = v.integers(np.uint8, 1, 1024)
    check(profile, x, w)
    check(profile, x, w, threads=2)


def test_open_rows(profile):
    v = Values()
    w = sparse_bytes(v, 0.9, DEPTH, COLUMNS, block=1)
    data = model(node("MatMulInteger", "x w xz"), {"x": v.integers(np.uint8, 3, DEPTH)}, {"w": w, "xz": np.uint8(3)}, {"y": I32},
                 open_dims=True)
    for target in TARGETS:
        compiled = tamis.compile(data, cache="off", target=target, profile=profile(target), input_dims={"x0": "1:20", "x1": DEPTH})
        for rows in (3, 1, 4, 17, 20):
            x = v.integers(np.uint8, rows, DEPTH)
            np.testing.assert_array_equal(compiled(x), (x.astype(np.int32) - 3) @ w.astype(np.int32))
        assert storages(compiled) == ["slot windows"]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("rows", [1, 4])
def test_quantized_rows(rows, dtype):
    """Requantized in the epilogue, whatever the cost models choose."""
    v = Values()
    p = parameters(v, sparse_bytes(v, 0.95, 512, COLUMNS, block=1), COLUMNS)
    check_quantized(node("QLinearMatMul", "x xs xz w ws wz ys yz"), [{"x": v.integers(np.uint8, rows, 512)}], p, dtype, stream=None)


def test_a_convolution_of_single_positions(profile):
    v = Values()
    x, w = v.integers(np.uint8, 2, 48, 3, 3), sparse_bytes(v, 0.9, COLUMNS, 48, 1, 1, block=1)
    data = model(node("ConvInteger", "x w xz"), {"x": x}, {"w": w, "xz": np.uint8(9)}, {"y": I32})
    want = np.einsum("nchw,oc->nohw", x.astype(np.int32) - 9, w[:, :, 0, 0].astype(np.int32))
    for target in TARGETS:
        compiled = tamis.compile(data, cache="off", target=target, profile=profile(target))
        assert storages(compiled) == ["slot windows"]
        np.testing.assert_array_equal(compiled(x), want)


def test_windows_are_contiguous(profile):
    """Rows that lie across each other have none, slices and positions of a convolution do."""
    v = Values()
    w = sparse(v, 0.8, 64, 40)
    x, wide, image = v.floats(64, 3), v.floats(3, 128), v.floats(2, 64, 5, 5)
    part = {"s": np.array([0]), "e": np.array([128]), "a": np.array([1]), "t": np.array([2])}
    conv = w.T.reshape(40, 64, 1, 1)
    for storage, data, feed, want in [
            ("dense packed", model(node("Gemm", "x w", transA=1), {"x": x}, {"w": w}), x, x.T @ w),
            ("slot windows", model([node("Slice", "x s e a t", "z"), node("MatMul", "z w")], {"x": wide}, {"w": w, **part}), wide,
             wide[:, ::2] @ w),
            ("slot windows", model(node("Conv", "x w"), {"x": image}, {"w": conv}), image, np.einsum("nchw,co->nohw", image, w))]:
        for target in TARGETS:
            compiled = tamis.compile(data, cache="off", target=target, profile=profile(target))
            np.testing.assert_allclose(compiled(feed), want, rtol=1e-4, atol=1e-4)
            assert storages(compiled) == [storage]


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("target, instructions", [("x86-64-v4", {"avx512.pmaddubs.w.512", "avx512.pmaddw.d.512"}),
                                                  ("x86-64-v4,avx512vnni", {"avx512.vpdpbusd.512"}),
                                                  ("x86-64-v3,avxvnni", {"avx512.vpdpbusd.256"})])
def test_other_machines(profile, target, instructions, rows):
    """Emulated: vectors of 64 bytes, and products that need no bound."""
    v = Values()
    w = sparse_bytes(v, 0.9, 200, COLUMNS, block=1, largest=True)
    x = v.integers(np.int8, rows, 200)
    data = model(node("MatMulInteger", "x w xz"), {"x": x}, {"w": w, "xz": np.int8(-7)}, {"y": I32})
    emulated = Emulated(data, target, profile=profile(target))
    assert [layer["storage"] for layer in emulated.layers] == ["slot windows"] and instructions <= emulated.instructions
    want = (x.astype(np.int32) + 7) @ w.astype(np.int32)
    got, = emulated.run([x], [np.zeros(want.shape, np.int32)])
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("rows", [1, 4])
def test_floats_of_wide_vectors(profile, rows):
    v = Values()
    x, w = v.floats(rows, 200), sparse(v, 0.8, 200, COLUMNS)
    emulated = Emulated(model(node("MatMul", "x w"), {"x": x}, {"w": w}), "x86-64-v4", profile=profile("x86-64-v4"))
    assert [layer["storage"] for layer in emulated.layers] == ["slot windows"] and "avx512.permvar.sf.512" in emulated.instructions
    got, = emulated.run([x], [np.zeros((rows, COLUMNS), np.float32)])
    np.testing.assert_allclose(got, x.astype(np.float64) @ w, rtol=1e-5, atol=1e-4)


def test_saved_library(profile, tmp_path):
    v = Values()
    x, w = v.integers(np.uint8, 1, DEPTH), sparse_bytes(v, 0.8, DEPTH, COLUMNS, block=1)
    compiled = check(profile, x, w)
    compiled.save(tmp_path / "m.so")
    loaded = tamis.load(tmp_path / "m.so")
    assert loaded.report() == compiled.report()
    np.testing.assert_array_equal(loaded(x), compiled(x))


@pytest.mark.parametrize("depth, columns", [(1, 70), (70, 1), (15, 40), (1, 1)])
def test_layers_without_a_window(profile, depth, columns):
    """No reduction at all, or one that is shorter; a single channel has none to share windows with."""
    v = Values()
    x, w = v.floats(1, depth), sparse(v, 0.5, depth, columns)
    w[0, 0] = 1
    for target in TARGETS:
        compiled = tamis.compile(model(node("MatMul", "x w"), {"x": x}, {"w": w}), cache="off", target=target, profile=profile(target))
        np.testing.assert_allclose(compiled(x), x.astype(np.float64) @ w, rtol=1e-5, atol=1e-5)
