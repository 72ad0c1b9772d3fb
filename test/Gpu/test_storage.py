# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Weights without their zero words, reductions that several workgroups divide, and tiles for few rows, on software Vulkan.

A profile of a device that does not exist makes each of them pay. Listed words give the bits of the dense kernel.
"""
import types

import numpy as np
import pytest
import tamis
from Gpu.test_contractions import LANES, TENSOR, Contraction, constant, matmul, requantized, values, window
from support import vulkan

FRAGMENTS = "mma_sp_s8", "mma_s8", "mma_f16", "lane_dot", "lane_fma"


def profile(**facts):
    """A machine with fast products and these facts."""
    named = {"device.processors": 1.0, "device.gigabytes_per_s": 1e9, "device.launch_us": 1e-9, "device.share": 1.0, "device.latency_us": 1e-9}
    named |= {f"fragment.{name}": 1e6 for name in (*FRAGMENTS, "dp4a")}
    named |= {f"device.{name}": value for name, value in facts.items()}
    return f"#tamis.profile<facts = {{{', '.join(f'{name} = {value:e} : f64' for name, value in named.items())}}}>"


SLOW_MEMORY, LONG_WAY = profile(gigabytes_per_s=1e-3), profile(processors=1e6, latency_us=1e3)


def compiled(contraction, target, machine=None):
    if vulkan.missing():
        pytest.skip(vulkan.missing())
    text = contraction.text
    if machine:
        text = text.replace("module {", f"module attributes {{tamis.profile = {machine}}} {{", 1)
    return tamis.compile(text, cache="off", target=target)


def check_listed(contraction, *targets, instruction=None):
    for target in targets:
        listed, dense = compiled(contraction, target, SLOW_MEMORY), compiled(contraction, target)
        layer, other = (model.report()["layers"][0] for model in (listed, dense))
        assert layer["storage"] == "listed words" and other["storage"] != "listed words"
        assert layer["tile"] == other["tile"]
        assert layer["chosen"].startswith("listed ") and layer["why"] == "without words that are zero fewer bytes are read"
        if instruction:
            assert layer["instruction"] == instruction
        (got,), (want,) = (model.run(None, contraction.feed) for model in (listed, dense))
        np.testing.assert_array_equal(got.view(np.uint8), want.view(np.uint8), f"{target}")


def patterns(dtype, k, n):
    """Weights with zeros: all of them, all but one, a dense corner, a last row and a last column, single ones, words."""
    full = values(dtype, k, n, seed=5)
    full[full == 0] = 1
    random = np.random.default_rng(6)
    one, corner, edges = np.zeros_like(full), np.zeros_like(full), np.zeros_like(full)
    one[k - 1, n - 1] = full[0, 0]
    corner[:k // 2, :n // 2 + 1] = full[:k // 2, :n // 2 + 1]
    edges[-1], edges[:, -1] = full[-1], full[:, -1]
    yield np.zeros_like(full)
    yield one
    yield corner
    yield edges
    yield np.where(random.random((k, n)) < 0.1, full, np.zeros_like(full))
    yield np.where(np.repeat(random.random(((k + 3) // 4, n)) < 0.3, 4, axis=0)[:k], full, np.zeros_like(full))


def test_listed_bytes():
    for w in patterns(np.int8, 130, 70):
        check_listed(matmul(values(np.int8, 1, 130), w, x_zero=3), TENSOR)
    for w in patterns(np.int8, 200, 33):
        check_listed(matmul(values(np.int8, 9, 200), w), LANES)


def test_listed_floats():
    for m, k, n in ((1, 70, 33), (5, 37, 5)):
        for w in patterns(np.float32, k, n):
            check_listed(matmul(values(np.float32, m, k), w), LANES, instruction="lane_fma")


def test_listed_halves():
    for w in patterns(np.float32, 130, 33):
        check_listed(matmul(values(np.float32, 3, 130).astype(np.float16), w.astype(np.float16)), TENSOR, instruction="mma_f16")


def test_negative_zeros_stay():
    w = np.full((33, 5), -0.0, np.float32)
    w[4] = 1
    text = compiled(matmul(values(np.float32, 2, 33), w), LANES).report()["layers"][0]["storage"]
    assert text == "dense packed"
    w[5:] = 0
    check_listed(matmul(values(np.float32, 2, 33), w), LANES)


def test_listed_words_of_unsigned_weights():
    w = values(np.uint8, 130, 40, seed=2)
    w[np.random.default_rng(3).random(w.shape) < 0.9] = 128
    check_listed(matmul(values(np.uint8, 3, 130), w, x_zero=7, w_zero=128), TENSOR, LANES)


def test_listed_windows_and_groups():
    w = values(np.int8, 3, 3, 16, 20, seed=1)
    w[np.random.default_rng(4).random(w.shape) < 0.95] = 0
    check_listed(window((5, 4), 16, 3, 20, pad=1, x_zero=4, weights=w), TENSOR, LANES)
    x, w = values(np.float32, 3, 2, 40), values(np.float32, 3, 40, 35, seed=1)
    w[:, 1::3] = 0
    w[1] = 0
    check_listed(Contraction("b, m, n, k", ("b, m, k", "b, k, n", "b, m, n"), (0, 0, 0), x, w, (3, 2, 35), out=np.float32), LANES)


def test_dense_weights_stay_dense():
    w = values(np.int8, 64, 40)
    w[w == 0] = 1
    layer = compiled(matmul(values(np.int8, 2, 64), w), LANES, SLOW_MEMORY).report()["layers"][0]
    assert layer["storage"] == "dense packed"
    assert layer["why"] == "the first that takes these types; listed words gain too little"


def check_split(contraction, target, parts, exact=True):
    split, whole = compiled(contraction, target, LONG_WAY), compiled(contraction, target)
    assert split.report()["layers"][0]["chosen"].endswith(f"/{parts}")
    (got,), (want,) = (model.run(None, contraction.feed) for model in (split, whole))
    if exact:
        np.testing.assert_array_equal(got, want, target)
    else:
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5, err_msg=target)
    # The order of parts is fixed.
    np.testing.assert_array_equal(got, split.run(None, contraction.feed)[0])


def test_split_sums_of_bytes():
    for target in (TENSOR, LANES):
        check_split(matmul(values(np.int8, 1, 200), values(np.int8, 200, 70, seed=1)), target, 2)
        # Zero points of both operands: that of weights counts in each part, that of rows once.
        check_split(matmul(values(np.uint8, 9, 330), values(np.uint8, 330, 33, seed=1), x_zero=5, w_zero=77), target, 4)
        check_split(requantized(3, 600, 40, values(np.int8, 600, 40, seed=1)), target, 8)


def test_split_sums_of_floats():
    check_split(matmul(values(np.float32, 1, 150), values(np.float32, 150, 33, seed=1)), LANES, 8, exact=False)
    half = [values(np.float32, 5, 520).astype(np.float16), values(np.float32, 520, 40, seed=1).astype(np.float16)]
    check_split(matmul(*half), TENSOR, 16, exact=False)
    x, w = values(np.float32, 3, 2, 70), values(np.float32, 3, 70, 35, seed=1)
    batches = Contraction("b, m, n, k", ("b, m, k", "b, k, n", "b, m, n"), (0, 0, 0), x, w, (3, 2, 35), out=np.float32)
    check_split(batches, LANES, 4, exact=False)


def blocks(x, codes, scales, others):
    """Sums of blocks of 32, scaled by channel and by row and added up, of integers beside floats."""
    m, b, k = x.shape
    n, f = codes.shape[0], "f16" if x.dtype == np.float16 else "f32"
    text = f"""#read = affine_map<(m, n, b) -> (b, m, n)>
#scale = affine_map<(m, n, b) -> (n, b)>
#other = affine_map<(m, n, b) -> (m, b)>
#out = affine_map<(m, n, b) -> (m, n)>
module {{
  func.func @main(%x: tensor<{m}x{b}x{k}x{f}>) -> tensor<{m}x{n}xf32> {{
    {constant("w", codes)}
    {constant("s", scales)}
    {constant("o", others)}
    %zero = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<{b}x{m}x{n}xf32>
    %sums = tamis.contract ins(%x, %w : tensor<{m}x{b}x{k}x{f}>, tensor<{n}x{b}x{k}xi8>) outs(%e : tensor<{b}x{m}x{n}xf32>)
      maps [affine_map<(m, n, k, b) -> (m, b, k)>, affine_map<(m, n, k, b) -> (n, b, k)>, affine_map<(m, n, k, b) -> (b, m, n)>]
      iterators ["parallel", "parallel", "reduction", "parallel"] pad [0, 0, 0] accumulator f32 -> tensor<{b}x{m}x{n}xf32>
    %e2 = tensor.empty() : tensor<{m}x{n}xf32>
    %init = linalg.fill ins(%zero : f32) outs(%e2 : tensor<{m}x{n}xf32>) -> tensor<{m}x{n}xf32>
    %y = linalg.generic {{indexing_maps = [#read, #scale, #other, #out], iterator_types = ["parallel", "parallel", "reduction"]}}
        ins(%sums, %s, %o : tensor<{b}x{m}x{n}xf32>, tensor<{n}x{b}xf32>, tensor<{m}x{b}xf32>) outs(%init : tensor<{m}x{n}xf32>) {{
    ^bb0(%a: f32, %c: f32, %d: f32, %t: f32):
      %both = arith.mulf %c, %d : f32
      %p = arith.mulf %a, %both : f32
      %q = arith.addf %t, %p : f32
      linalg.yield %q : f32
    }} -> tensor<{m}x{n}xf32>
    return %y : tensor<{m}x{n}xf32>
  }}
}}"""
    return types.SimpleNamespace(text=text, feed={"input_0": x})


def test_split_blocks_of_codes():
    codes = np.random.default_rng(1).integers(-8, 8, (40, 9, 32), np.int8)
    scales = np.random.default_rng(2).uniform(0.01, 0.1, (40, 9)).astype(np.float32)
    x, others = values(np.float32, 3, 9, 32), values(np.float32, 3, 9, seed=3)
    want = np.einsum("mbk,nbk,nb,mb->mn", x.astype(np.float64), codes, scales, others)
    for feed, target, parts in ((x, LANES, 8), (x.astype(np.float16), TENSOR, 8)):
        c = blocks(feed, codes, scales, others)
        check_split(c, target, parts, exact=False)
        assert compiled(c, target, LONG_WAY).report()["layers"][0]["block"] == 9
        np.testing.assert_allclose(compiled(c, target, LONG_WAY).run(None, c.feed)[0], want, rtol=0, atol=2e-2)


def test_parts_are_added_in_order():
    """A sum of 1, then 2^-24 seven times: what each part adds up first is kept, what the parts are added to is lost."""
    x, w = np.zeros((1, 128), np.float32), np.zeros((128, 1), np.float32)
    x[:] = 1
    w[0], w[16:, 0] = 1, 2.0 ** -24
    model = compiled(matmul(x, w), LANES, LONG_WAY)
    assert model.report()["layers"][0]["chosen"].endswith("/8")
    total = np.float32(1)
    for part in range(1, 8):
        total += np.float32(16 * 2.0 ** -24)
    np.testing.assert_array_equal(model.run(None, {"input_0": x})[0], [[total]])


def test_split_listed_words():
    w = values(np.int8, 600, 40, seed=1)
    w[np.random.default_rng(4).random(w.shape) < 0.95] = 0
    c = matmul(values(np.int8, 2, 600), w, x_zero=3)
    both = profile(processors=1e6, latency_us=1e-3, gigabytes_per_s=1e-1)
    for target in (TENSOR, LANES):
        model = compiled(c, target, both)
        assert model.report()["layers"][0]["chosen"].startswith("listed ")
        np.testing.assert_array_equal(model.run(None, c.feed)[0], compiled(c, target).run(None, c.feed)[0])


def test_open_rows_take_tiles_of_few():
    """Both kernels of open rows, the one for few of them with a divided reduction."""
    c = matmul(values(np.uint8, 37, 330), values(np.int8, 330, 40, seed=1), x_zero=9, open_rows=True)
    for target in (TENSOR, LANES):
        model, whole = compiled(c, target, LONG_WAY), compiled(c, target)
        for m in (1, 7, 8, 9, 100):
            feed = {"input_0": values(np.int8, m, 330, seed=m)}
            np.testing.assert_array_equal(model.run(None, feed)[0], whole.run(None, feed)[0], f"{target}, {m} rows")
    c.check(TENSOR, LANES, feeds=[{"input_0": values(np.int8, m, 330, seed=m)} for m in (1, 8, 9)])


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
