# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Contraction kernels of GPUs on software Vulkan, against the reference lowering on the CPU: integers bit for bit.

Tensor cores are emulated from the same registers (docs/Rationale.md), so tiles, fragment maps, 2:4 metadata, zero points and
epilogues are executed as on a device that has them; only the instruction itself is not.
"""
import os
import tempfile

import numpy as np
import pytest
import tamis
from support import vulkan
from tamis import compiler
from tamis.source import Source

TENSOR, LANES = "vulkan,mma,mma-sp", "vulkan"
TYPES = {np.dtype(np.int8): "i8", np.dtype(np.uint8): "i8", np.dtype(np.int32): "i32", np.dtype(np.float32): "f32",
         np.dtype(np.float16): "f16"}


def tensor_type(shape, dtype):
    return f"tensor<{''.join(f'{size}x' for size in shape)}{TYPES[np.dtype(dtype)]}>"


def constant(name, value):
    return f'%{name} = arith.constant dense<"0x{np.ascontiguousarray(value).tobytes().hex().upper()}"> : {tensor_type(value.shape, value.dtype)}'


class Contraction:
    """A function with one tamis.contract; `weights` are a constant, or an input if `activations`."""

    def __init__(self, dims, maps, pad, x, weights, shape, out=np.int32, x_zero=None, w_zero=None, extras=(), epilogue="",
                 activations=False, open_rows=False):
        self.feed = {"input_0": x.view(np.int8) if x.dtype == np.uint8 else x}
        reductions = [d for d in dims.split(", ") if d not in maps[2]]
        kinds = ", ".join('"reduction"' if d in reductions else '"parallel"' for d in dims.split(", "))
        accumulator = "f32" if x.dtype in (np.float32, np.float16) else "i32"
        x_type = tensor_type(("?", *x.shape[1:]) if open_rows else x.shape, x.dtype)
        out_type = tensor_type(("?", *shape[1:]) if open_rows else shape, out)
        arguments, lines = [f"%x: {x_type}"], []
        if activations:
            arguments.append(f"%w: {tensor_type(weights.shape, weights.dtype)}")
            self.feed["input_1"] = weights.view(np.int8) if weights.dtype == np.uint8 else weights
        else:
            lines.append(constant("w", weights))
        for i, (value, _) in enumerate(extras):
            arguments.append(f"%e{i}: {tensor_type(value.shape, value.dtype)}")
            self.feed[f"input_{len(self.feed)}"] = value
        zeros = ""
        for side, zero in (("lhs", x_zero), ("rhs", w_zero)):
            if zero is not None:
                lines.append(f"%{side} = arith.constant {zero} : i32")
                zeros += f" {side}_zero(%{side} : i32)"
        if open_rows:
            lines += ["%c0 = arith.constant 0 : index", f"%rows = tensor.dim %x, %c0 : {x_type}"]
        listed = ""
        if extras:
            names = ", ".join(f"%e{i}" for i in range(len(extras)))
            listed = f" extras({names} : {', '.join(tensor_type(v.shape, v.dtype) for v, _ in extras)})"
        written = ", ".join(f"affine_map<({dims}) -> ({m})>" for m in (*maps, *(m for _, m in extras)))
        flags = [flag for flag, v in (("lhs_unsigned", x), ("rhs_unsigned", weights)) if v.dtype == np.uint8]
        lines += [f"%init = tensor.empty({'%rows' if open_rows else ''}) : {out_type}",
                  f"%y = tamis.contract ins(%x, %w : {x_type}, {tensor_type(weights.shape, weights.dtype)}){zeros}{listed}"
                  f" outs(%init : {out_type}) maps [{written}] iterators [{kinds}] pad {list(pad)} accumulator {accumulator}"
                  f"{' {' + ', '.join(flags) + '}' if flags else ''}{epilogue and ' epilogue ' + epilogue} -> {out_type}",
                  f"return %y : {out_type}"]
        self.text = f"module {{ func.func @main({', '.join(arguments)}) -> {out_type} {{\n" + "\n".join(lines) + "\n} }"

    def check(self, *targets, instruction=None, feeds=None, **options):
        if vulkan.missing():
            pytest.skip(vulkan.missing())
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "oracle.so")
            compiler.compile_to(Source(self.text), path, tamis.options.make(oracle=True, **options))
            want = tamis.load(path)
        for target in targets:
            model = tamis.compile(self.text, cache="off", target=target, **options)
            for feed in feeds or [self.feed]:
                (g,), (w,) = model.run(None, feed), want.run(None, feed)
                if g.dtype == np.float32:
                    np.testing.assert_allclose(g, w, rtol=1e-4, atol=1e-4, err_msg=target)
                else:
                    np.testing.assert_array_equal(g, w, target)
            if instruction:
                assert model.report()["layers"][0]["instruction"] == instruction


def values(dtype, *shape, seed=0):
    random = np.random.default_rng(seed)
    if dtype == np.float32:
        return random.standard_normal(shape, np.float32)
    info = np.iinfo(dtype)
    return random.integers(info.min, info.max, shape, dtype, endpoint=True)


MATMUL = "m, n, k", ("m, k", "k, n", "m, n"), (0, 0)


def matmul(x, w, **options):
    options.setdefault("out", np.float32 if x.dtype in (np.float32, np.float16) else np.int32)
    return Contraction(*MATMUL, x, w, (x.shape[0], w.shape[1]), **options)


# One element, less than a fragment, one more than a fragment, a tile and a rest, odd everything, several tiles of each.
SHAPES = ((1, 4, 1), (3, 5, 7), (9, 33, 17), (64, 64, 64), (37, 130, 70))


@pytest.mark.parametrize("shape", SHAPES)
def test_bytes(shape):
    m, k, n = shape
    matmul(values(np.int8, m, k), values(np.int8, k, n, seed=1)).check(TENSOR, LANES)


def zero_points(x_type, w_type, w_zero, target, **options):
    x, w = values(x_type, 19, 72), values(w_type, 72, 20, seed=1)
    matmul(x, w, x_zero=5, w_zero=w_zero, **options).check(target)


def test_zero_points_of_signed_weights():
    zero_points(np.int8, np.int8, None, TENSOR)
    zero_points(np.uint8, np.int8, -3, TENSOR)
    zero_points(np.uint8, np.int8, -3, LANES)


def test_zero_points_of_unsigned_weights():
    zero_points(np.int8, np.uint8, 128, TENSOR)
    zero_points(np.uint8, np.uint8, 77, TENSOR)
    zero_points(np.int8, np.uint8, None, LANES)


def test_zero_points_of_activations():
    zero_points(np.int8, np.int8, -3, TENSOR, activations=True)
    zero_points(np.uint8, np.uint8, 77, TENSOR, activations=True)
    zero_points(np.int8, np.uint8, None, LANES, activations=True)


def test_floats():
    for m, k, n in SHAPES[1:]:
        x, w = values(np.float32, m, k), values(np.float32, k, n, seed=1)
        matmul(x, w).check(LANES)
    matmul(x, w, activations=True).check(LANES)


REQUANTIZE = """{
  ^bb0(%acc: i32, %bias: i32, %scale: f32, %skip: i8):
    %sum = arith.addi %acc, %bias : i32
    %f = arith.sitofp %sum : i32 to f32
    %scaled = arith.mulf %f, %scale : f32
    %r = math.roundeven %scaled : f32
    %lo = arith.constant -120.0 : f32
    %hi = arith.constant 119.0 : f32
    %a = arith.maximumf %r, %lo : f32
    %b = arith.minimumf %a, %hi : f32
    %q = arith.fptosi %b : f32 to i32
    %s = arith.extsi %skip : i8 to i32
    %half = arith.constant 1 : i32
    %s1 = arith.shrsi %s, %half : i32
    %t = arith.addi %q, %s1 : i32
    %low = arith.constant -128 : i32
    %high = arith.constant 127 : i32
    %t1 = arith.maxsi %t, %low : i32
    %t2 = arith.minsi %t1, %high : i32
    %y = arith.trunci %t2 : i32 to i8
    tamis.yield %y : i8
}"""


def requantized(m, k, n, w, x_zero=7, **options):
    extras = ((values(np.int32, n, seed=2) // 100000, "n"),
              (np.random.default_rng(3).uniform(1e-4, 2e-3, n).astype(np.float32), "n"), (values(np.int8, m, n, seed=4), "m, n"))
    return matmul(values(np.uint8, m, k), w, x_zero=x_zero, extras=extras, out=np.int8, epilogue=REQUANTIZE, **options)


def test_requantization_with_residual():
    requantized(37, 72, 40, values(np.int8, 72, 40, seed=1)).check(TENSOR, LANES)


def test_open_rows():
    c = matmul(values(np.uint8, 37, 72), values(np.int8, 72, 40, seed=1), x_zero=9, open_rows=True)
    c.check(TENSOR, LANES, feeds=[{"input_0": values(np.int8, m, 72, seed=m)} for m in (1, 8, 33, 100)])


def two_of_four(k, n, dtype=np.int8, zero=0):
    """Weights of which each four along k have two at most that differ from zero."""
    random = np.random.default_rng(11)
    w = values(dtype, k, n, seed=12)
    for column in range(n):
        for first in range(0, k, 4):
            drop = random.permutation(4)[:random.integers(2, 5)]
            for i in drop:
                if first + i < k:
                    w[first + i, column] = zero
    return w


def test_two_of_four():
    for m, k, n in ((1, 8, 1), (9, 64, 16), (37, 200, 70)):
        matmul(values(np.int8, m, k), two_of_four(k, n), x_zero=3).check(TENSOR, instruction="mma_sp_s8")
    matmul(values(np.uint8, 20, 96), two_of_four(96, 24, np.uint8, 128), w_zero=128).check(TENSOR, instruction="mma_sp_s8")
    requantized(37, 72, 40, two_of_four(72, 40)).check(TENSOR, instruction="mma_sp_s8")


def window(size, channels, kernel, filters, stride=1, dilation=1, pad=0, dtype=np.int8, weights=None, **options):
    height, width = size
    rows, columns = ((s + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1 for s in size)
    maps = (f"n, y * {stride} + i * {dilation}, x * {stride} + j * {dilation}, c", "i, j, c, o", "n, y, x, o")
    if weights is None:
        weights = values(np.float32 if dtype == np.float32 else np.int8, kernel, kernel, channels, filters, seed=1)
    return Contraction("n, y, x, o, i, j, c", maps, (0, pad, pad, 0), values(dtype, 2, height, width, channels), weights,
                       (2, rows, columns, filters), out=np.float32 if dtype == np.float32 else np.int32, **options)


def test_windows():
    window((9, 7), 3, 3, 20, pad=1, x_zero=4).check(TENSOR, LANES)
    window((11, 8), 16, 3, 20, stride=2, pad=1, dtype=np.uint8, x_zero=128).check(TENSOR, LANES)
    window((12, 12), 5, 3, 33, dilation=2).check(TENSOR, LANES)
    window((9, 7), 3, 3, 20, stride=2, pad=1, dtype=np.float32).check(LANES)
    weights = two_of_four(9 * 16, 20).reshape(3, 3, 16, 20)
    window((9, 7), 16, 3, 20, pad=1, x_zero=4, weights=weights).check(TENSOR, instruction="mma_sp_s8")


def test_batches_and_groups():
    for dtype in (np.int8, np.float32):
        x, w = values(dtype, 3, 18, 20), values(dtype, 3, 20, 35, seed=1)
        out = np.float32 if dtype == np.float32 else np.int32
        maps = "b, m, k", "b, k, n", "b, m, n"
        for activations in (True, False):
            Contraction("b, m, n, k", maps, (0, 0, 0), x, w, (3, 18, 35), out=out, activations=activations).check(TENSOR, LANES)
        # Keys are transposed, heads lie inside.
        x, w = values(dtype, 18, 4, 20), values(dtype, 35, 4, 20, seed=1)
        maps = "m, h, k", "n, h, k", "h, m, n"
        Contraction("h, m, n, k", maps, (0, 0, 0), x, w, (4, 18, 35), out=out, activations=True).check(TENSOR, LANES)
        # A grouped window: groups are walked, channels of a group reduced.
        x, w = values(dtype, 2, 9, 3, 8), values(dtype, 3, 3, 8, 10, seed=1)
        maps = "n, y + i, g, c", "i, g, c, o", "n, y, g, o"
        Contraction("n, y, g, o, i, c", maps, (0, 1, 0, 0), x, w, (2, 9, 3, 10), out=out).check(TENSOR, LANES)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
