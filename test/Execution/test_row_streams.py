# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products by weights without their zeros, against ONNX Runtime: floats closely, integers bit for bit.

On every machine that this one can play. Where the cost model may choose, weights have so few words left that a stream is far ahead.
"""
import functools
import os
import tempfile

import numpy as np
import pytest
import tamis
from Import.oracle import I32, I8, U8, Values, model, node
from support import profiles
from tamis import reference

with open("/proc/cpuinfo", encoding="utf8") as file:
    FLAGS = set(file.read().split())
TARGETS = [target for target, flag in (("x86-64", "sse2"), ("x86-64-v3", "avx2"), ("x86-64-v3,avxvnni", "avx_vnni"),
                                       ("x86-64-v4", "avx512vl"), ("x86-64-v4,avx512vnni", "avx512_vnni")) if flag in FLAGS]
BYTES = TARGETS[1:]  # the baseline has no instruction for words of four bytes
ROWS = (1, 7, 8, 9, 33, 49, 128)  # none, one and more than one vector, register block and stage
DEPTH, COLUMNS = 64, 101
FOLDER = tempfile.TemporaryDirectory()  # of profiles


def sparse(v, share, *shape, block=1):
    """Floats of which this share is zero, in blocks along the first dimension."""
    kept = v.random.random((shape[0] // block, *shape[1:])) >= share
    return v.floats(*shape) * np.repeat(kept, block, axis=0)


def sparse_bytes(v, share, *shape, block=4, largest=False):
    """The same of 8-bit integers; the largest ones saturate 16 bits in pairs if nobody takes care."""
    values = v.random.choice(np.int8([-128, -127, 127]), shape) if largest else v.integers(np.int8, *shape)
    return values * (sparse(v, share, *shape, block=block) != 0)


def run_reference(data, inputs):
    return reference.session(data, optimised=True, precise=True).run(None, inputs)


@functools.cache
def streams_or_panels(target):
    """A profile by which no other storage is in question."""
    others = ("block_list", "slot_windows", "winograd")
    return profiles.write(os.path.join(FOLDER.name, f"{target}.profile"), target, {f"{other}.margin": 1e-6 for other in others})


def compare(data, feeds, wanted, exact=False, stream=True, **options):
    """Compile for each target, look at the first layer's storage, compare all outputs for each feed."""
    for target in BYTES if exact else TARGETS:
        compiled = tamis.compile(data, cache="off", target=target, profile=streams_or_panels(target), **options)
        for feed, want in zip(feeds, wanted):
            for g, w in zip(compiled.run(None, feed), want):
                assert (g.shape, g.dtype) == (w.shape, w.dtype)
                if exact:
                    np.testing.assert_array_equal(g, w, f"{target}, {[x.shape for x in feed.values()]}")
                else:
                    np.testing.assert_allclose(g, w, rtol=1e-4, atol=1e-4, err_msg=f"{target}, {[x.shape for x in feed.values()]}")
        storage = compiled.report()["layers"][0]["storage"]
        assert stream is None or (storage == "row stream") == stream, (target, storage)


def check(nodes, inputs, parameters, outputs=None, open_dims=False, **options):
    """`inputs` is one feed or, of one open size, several."""
    feeds = inputs if isinstance(inputs, list) else [inputs]
    data = model(nodes, feeds[-1], parameters, outputs, open_dims=open_dims)
    compare(data, feeds, [run_reference(data, feed) for feed in feeds], **options)


def turned(value):
    """Unsigned bytes as signed ones that are 128 less."""
    return (value ^ 128).view(np.int8)


def check_quantized(operator, feeds, p, dtype, open_dims=False, **options):
    """Bit for bit. ONNX Runtime's exact kernels take unsigned activations; signed ones and zero points less 128 give the same less 128."""
    data = model(operator, feeds[-1], p, {"y": U8}, open_dims=open_dims)
    wanted = [run_reference(data, feed) for feed in feeds]
    if dtype == np.int8:
        feeds = [{"x": turned(feed["x"])} for feed in feeds]
        wanted = [[turned(y)] for y, in wanted]
        data = model(operator, feeds[-1], {**p, "xz": turned(p["xz"]), "yz": turned(p["yz"])}, {"y": I8}, open_dims=open_dims)
    compare(data, feeds, wanted, exact=True, **options)


def test_any_number_of_rows():
    v = Values()
    w = sparse(v, 0.95, DEPTH, COLUMNS)
    check(node("MatMul", "x w"), [{"x": v.floats(rows, DEPTH)} for rows in ROWS], {"w": w}, open_dims=True,
          input_dims={"x0": "1:128", "x1": DEPTH})
    for rows in ROWS:
        check(node("MatMul", "x w"), {"x": v.floats(rows, DEPTH)}, {"w": w}, stream=True if rows > 32 else None)


def test_open_batch_and_length():
    v = Values()
    feeds = [{"x": v.floats(batch, length, DEPTH)} for batch, length in ((1, 1), (3, 5), (2, 65), (1, 16))]
    check([node("MatMul", "x w", "h"), node("Add", "h b")], feeds, {"w": sparse(v, 0.95, DEPTH, COLUMNS), "b": v.floats(COLUMNS)},
          open_dims=True, input_dims={"x0": "1:3", "x1": "1:65", "x2": DEPTH})


@pytest.mark.parametrize("name, stream", [("all zero", False), ("one weight", True), ("one row", True), ("one column", True),
                                          ("50", None), ("80", None), ("90", True), ("95", True), ("0", None)])
def test_weights(name, stream):
    v = Values()
    w = sparse(v, int(name) / 100 if name.isdigit() else 1, DEPTH, COLUMNS)
    if name.startswith("one"):
        where = {"one weight": (-1, -1), "one row": (3, slice(None)), "one column": (slice(None), -1)}[name]
        w[where] = v.floats(*w[where].shape)
    w[5, 5] *= -1  # a negative zero is one
    check(node("MatMul", "x w"), [{"x": v.floats(rows, DEPTH)} for rows in (1, 49)], {"w": w}, open_dims=True,
          input_dims={"x0": "1:49", "x1": DEPTH}, stream=stream)


@pytest.mark.parametrize("rows", [40, 128])
def test_epilogues(rows):
    """Short ones stay in registers, a GELU walks row by row; a residual sum reads the rows once more."""
    v = Values()
    x, w, b = {"x": v.floats(rows, DEPTH)}, sparse(v, 0.95, DEPTH, COLUMNS), v.floats(COLUMNS)
    linear = [node("MatMul", "x w", "h"), node("Add", "h b", "s")]
    half = {"r": np.float32(np.sqrt(2)), "one": np.float32(1), "half": np.float32(0.5)}
    check([*linear, node("Relu", "s")], x, {"w": w, "b": b})
    check([*linear, node("Div", "s r", "d"), node("Erf", "d", "e"), node("Add", "e one", "f"), node("Mul", "s f", "m"),
           node("Mul", "m half")], x, {"w": w, "b": b, **half})
    check([*linear, node("Add", "s residual")], {**x, "residual": v.floats(rows, COLUMNS)}, {"w": w, "b": b})
    check(node("Gemm", "x w b", transB=1), x, {"w": np.ascontiguousarray(w.T), "b": b})


def test_zeros_never_meet_infinity():
    """The rule float_n2 of docs/Numerics.md: what no weight multiplies may be anything."""
    v = Values()
    x, w = v.floats(49, DEPTH), v.floats(DEPTH, COLUMNS)
    w[np.arange(DEPTH) % 16 != 0] = 0
    feed = {"x": x.copy()}
    feed["x"][:, 1], feed["x"][:, 33] = np.inf, np.nan
    compare(model(node("MatMul", "x w"), feed, {"w": w}), [feed], [[x @ w]])


def test_activations_that_do_not_lie_along_the_reduction():
    v = Values()
    w = sparse(v, 0.95, DEPTH, COLUMNS)
    check(node("Gemm", "x w", transA=1), {"x": v.floats(DEPTH, 64)}, {"w": w}, stream=False)
    p = {"s": np.int64([0]), "e": np.int64([2 * DEPTH]), "a": np.int64([1]), "n": np.int64([2])}
    check([node("Slice", "x s e a n", "z"), node("MatMul", "z w")], {"x": v.floats(64, 2 * DEPTH)}, {"w": w, **p})


CONVOLUTIONS = [(1, {}), (1, dict(strides=[2, 2])), (3, {}), (3, dict(pads=[1, 1, 1, 1])), (3, dict(pads=[1, 0, 0, 1], strides=[2, 2])),
                (3, dict(pads=[2, 2, 2, 2], dilations=[2, 2]))]


@pytest.mark.parametrize("kernel, attributes", CONVOLUTIONS)
def test_convolutions(kernel, attributes):
    v = Values()
    w = sparse(v, 0.97, 45, 48, kernel, kernel)
    check([node("Conv", "x w b", "h", **attributes), node("Relu", "h")], {"x": v.floats(2, 48, 9, 70)}, {"w": w, "b": v.floats(45)})


@pytest.mark.parametrize("height, width", [(4, 4), (5, 7), (7, 8), (14, 14), (3, 33)])
def test_windows_over_small_images(height, width):
    """Lines that are one loop, with positions between them that are no rows."""
    v = Values()
    for size in (3, 5):
        nodes = [node("Conv", "x w b", "h", pads=[size // 2] * 4), node("Relu", "h", "r"), node("Add", "r x")]
        feed = {"x": v.floats(2, 32, height, width)}
        check(nodes, feed, {"w": sparse(v, 0.95, 32, 32, size, size), "b": v.floats(32)})
        check(nodes, feed, {"w": sparse(v, 0.95, 32, 32, size, size), "b": v.floats(32)}, threads=2)


@pytest.mark.parametrize("height, width", [(6, 6), (5, 24), (9, 7), (12, 12)])
def test_results_in_a_padded_tensor(height, width):
    """Their rows do not follow each other, those of the operand do."""
    v = Values()
    parameters = {"w": sparse(v, 0.9, 45, 48, 1, 1), "b": v.floats(45), "d": v.floats(45, 1, 3, 3)}
    nodes = [node("Conv", "x w b", "h"), node("Relu", "h", "r"), node("Conv", "r d", group=45, pads=[1, 1, 1, 1])]
    for options in {}, {"threads": 2}:
        check(nodes, {"x": v.floats(2, 48, height, width)}, parameters, **options)
    w = sparse(v, 0.9, 45, 45, 1, 1)  # a residual sum reads rows of a padded tensor too
    nodes = [node("Conv", "x w b", "h"), node("Add", "h x", "r"), node("Conv", "r d", group=45, pads=[1, 1, 1, 1])]
    check(nodes, {"x": v.floats(1, 45, height, width)}, {**parameters, "w": w})


@pytest.mark.parametrize("depth, columns", [(384, 1536), (384, 1000), (2048, 900)])
@pytest.mark.parametrize("rows", [64, 130])
def test_sums_of_blocks_of_columns_wait(depth, columns, rows):
    """More columns than there is room for sums beside a stage, of all parts of the reduction or of one: a block of columns after the other."""
    v = Values()
    w = sparse(v, 0.8, depth, columns)
    for options in {}, {"threads": 2}:
        check([node("MatMul", "x w", "h"), node("Add", "h b", "s"), node("Relu", "s")], {"x": v.floats(rows, depth)},
              {"w": w, "b": v.floats(columns)}, **options)


@pytest.mark.parametrize("columns, height, width", [(100, 9, 14), (32, 14, 70)])
def test_windows_in_parts(columns, height, width):
    """Input channels of windows are cut, those of 100 columns into sorted lists; a strict policy keeps the order of the sum."""
    v = Values()
    x, w = {"x": v.floats(2, 128, height, width)}, sparse(v, 0.8, columns, 128, 3, 3)
    nodes = [node("Conv", "x w b", "h", pads=[1] * 4), node("Relu", "h")]
    for options in {}, {"threads": 2}:
        check(nodes, x, {"w": w, "b": v.floats(columns)}, **options)
    data = model(nodes, x, {"w": w, "b": v.floats(columns)})
    for strict in False, True:
        layer, = tamis.compile(data, cache="off", target="x86-64-v3", strict=strict, profile=streams_or_panels("x86-64-v3")).report()["layers"]
        assert (" in " in layer["chosen"]) != strict, layer["chosen"]
    values = sparse_bytes(v, 0.8, columns, 128, 3, 3, block=1)
    p = parameters(v, np.where(np.repeat(v.random.random((columns, 32, 3, 3)) < 0.8, 4, axis=1), 0, values).astype(np.int8), columns,
                   b=v.random.integers(-999, 999, columns).astype(np.int32))
    check_quantized(node("QLinearConv", "x xs xz w ws wz ys yz b", pads=[1] * 4), [{"x": v.integers(np.uint8, *x["x"].shape)}], p, np.int8)


def test_convolution_of_one_dimension():
    v = Values()
    for attributes in (dict(pads=[2, 1]), dict(strides=[2]), dict(dilations=[3])):
        check(node("Conv", "x w", **attributes), {"x": v.floats(3, 48, 131)}, {"w": sparse(v, 0.97, 45, 48, 3)})


@pytest.mark.parametrize("quantized", [False, True])
def test_threads_do_not_change_the_result(quantized):
    v = Values()
    if quantized:
        x, w, op, outputs = v.integers(np.uint8, 512, 512), sparse_bytes(v, 0.8, 512, 512), "MatMulInteger", {"y": I32}
    else:
        x, w, op, outputs = v.floats(512, 512), sparse(v, 0.8, 512, 512), "MatMul", None
    data = model(node(op, "x w"), {"x": x}, {"w": w}, outputs)
    one, two = (tamis.compile(data, cache="off", target=TARGETS[-1], threads=threads) for threads in (1, 2))
    layer, = two.report()["layers"]
    assert layer["storage"] == "row stream" and layer["tasks"] == 2
    np.testing.assert_array_equal(one(x), two(x))


def parameters(v, w, columns, **more):
    """Of QLinearMatMul and QLinearConv, for unsigned activations: zero points that are not zero, a scale for each column."""
    return {"w": w, "xs": np.float32(0.02), "xz": np.uint8(99), "ws": v.scales(columns), "wz": np.zeros(columns, np.int8),
            "ys": np.float32(0.3), "yz": np.uint8(120), **more}


TYPES = pytest.mark.parametrize("dtype", [np.uint8, np.int8])
WEIGHTS = pytest.mark.parametrize("weights", [dict(block=4), dict(block=1), dict(block=4, largest=True)], ids=["1x4", "single", "largest"])


@TYPES
@WEIGHTS
def test_qlinear_matmul(dtype, weights):
    v = Values()
    p = parameters(v, sparse_bytes(v, 0.95, 128, COLUMNS, **weights), COLUMNS)
    feeds = [{"x": v.integers(np.uint8, rows, 128)} for rows in ROWS]
    check_quantized(node("QLinearMatMul", "x xs xz w ws wz ys yz"), feeds, p, dtype, open_dims=True, input_dims={"x0": "1:128", "x1": 128})


@TYPES
@WEIGHTS
def test_qlinear_conv(dtype, weights):
    v = Values()
    for kernel, attributes in ((1, {}), (3, dict(pads=[1, 1, 1, 1])), (3, dict(pads=[1, 0, 0, 1], strides=[2, 2]))):
        w = np.moveaxis(sparse_bytes(v, 0.97, 64, 45, kernel, kernel, **weights), 0, 1).copy()
        p = parameters(v, w, 45, b=v.random.integers(-999, 999, 45).astype(np.int32))
        check_quantized(node("QLinearConv", "x xs xz w ws wz ys yz b", **attributes), [{"x": v.integers(np.uint8, 2, 64, 7, 70)}], p, dtype)


def test_largest_sums():
    """The ends of both ranges everywhere, where saturation at 16 bits would be seen; dense weights too, whatever they become."""
    v = Values()
    x = np.concatenate([np.full((20, 128), value, np.uint8) for value in (255, 0, 128)])
    for share, stream in ((0.95, True), (0, None)):
        w = sparse_bytes(v, share, 128, COLUMNS, largest=True)
        w[:, :3] = np.int8([127, -128, -127])
        for dtype in (np.uint8, np.int8):
            a = x.view(dtype)
            data = model(node("MatMulInteger", "x w xz"), {"x": a}, {"w": w, "xz": dtype(3)}, {"y": I32})
            for target in BYTES:
                compiled = tamis.compile(data, cache="off", target=target)
                np.testing.assert_array_equal(compiled(a), (a.astype(np.int32) - 3) @ w.astype(np.int32))
                assert not stream or compiled.report()["layers"][0]["storage"] == "row stream"


def test_quantized_group():
    """Dequantize, product and quantize become one product of integers; weights unsigned around their zero point of 128."""
    v = Values()
    w = sparse_bytes(v, 0.95, 128, COLUMNS)
    p = parameters(v, (w.astype(np.int16) + 128).astype(np.uint8), COLUMNS, wz=np.uint8(128), ws=np.float32(0.01))
    nodes = [node("DequantizeLinear", "x xs xz", "a"), node("DequantizeLinear", "w ws wz", "c"), node("MatMul", "a c", "h"),
             node("QuantizeLinear", "h ys yz", "y")]
    check(nodes, {"x": v.integers(np.uint8, 49, 128)}, p, {"y": U8}, exact=True)


def test_saved_library(tmp_path):
    v = Values()
    data = model(node("MatMul", "x w"), {"x": v.floats(64, 64)}, {"w": sparse(v, 0.9, 64, 64)})
    compiled = tamis.compile(data, cache="off", target="x86-64-v3")
    compiled.save(tmp_path / "m.so")
    loaded = tamis.load(tmp_path / "m.so")
    assert loaded.report() == compiled.report() and loaded.report()["layers"][0]["storage"] == "row stream"
    x = Values().floats(64, 64)
    np.testing.assert_array_equal(loaded(x), compiled(x))
