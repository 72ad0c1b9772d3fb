# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products that are added up in 16 bits, bit for bit against ONNX Runtime: bounded panels, and weights too large for them."""
import functools
import os
import tempfile

import numpy as np
import pytest
import tamis
from Import.oracle import I8, I32, U8, Values, model, node
from support import profiles
from tamis import reference
from test_row_streams import FLAGS, parameters, turned

FOLDER = tempfile.TemporaryDirectory()  # of profiles
TARGETS = [target for target, flag in (("x86-64-v3", "avx2"), ("x86-64-v4", "avx512bw")) if flag in FLAGS]


@functools.cache
def always(target, narrow):
    """A profile by which bounded panels pay whatever they hold, of two steps in a sum or of one."""
    facts = {"bounded.margin": 1e6, "bounded.entry": 1e-3, "bounded.narrow": 1e-3 if narrow == 2 else 1e3, "row_stream.margin": 1e-6,
             "bitmask.margin": 1e-6, "block_list.margin": 1e-6, "codebook.margin": 1e-6, "n_of_m.margin": 1e-6, "instruction.x86_madd": 1e4}
    return profiles.write(os.path.join(FOLDER.name, f"{target}-{narrow}.profile"), target, facts)


def check(nodes, feeds, p, dtype, outputs=U8, **options):
    """Signed activations and zero points less 128 give the same less 128."""
    data = model(nodes, feeds[-1], p, {"y": outputs})
    session = reference.session(data, optimised=True, precise=True)
    wanted = [session.run(None, feed)[0] for feed in feeds]
    if dtype == np.int8:
        feeds = [{"x": turned(feed["x"])} for feed in feeds]
        wanted = [turned(y) for y in wanted]
        data = model(nodes, feeds[-1], {**p, "xz": turned(p["xz"]), "yz": turned(p["yz"])}, {"y": I8})
    for target in TARGETS:
        for narrow in 1, 2:
            compiled = tamis.compile(data, cache="off", target=target, profile=always(target, narrow), **options)
            for feed, want in zip(feeds, wanted):
                np.testing.assert_array_equal(compiled.run(None, feed)[0], want, f"{target}, {narrow}")
            layer, = compiled.report()["layers"]
            assert layer["storage"] == "bounded panels" and f"in {narrow}," in layer["chosen"], layer


def weights(v, kind, *shape):
    if kind == "largest":
        return v.random.choice(np.int8([-128, -127, 127]), shape)
    return np.clip(np.rint(v.random.normal(0, {"small": 10, "wide": 40}[kind], shape)), -128, 127).astype(np.int8)


KINDS = pytest.mark.parametrize("kind", ["small", "wide", "largest"])
TYPES = pytest.mark.parametrize("dtype", [np.uint8, np.int8])
# channels, size of the window, what the convolution says
CONVOLUTIONS = {"1x1": (64, 1, {}), "odd channels": (45, 1, {}), "two channels left": (46, 3, dict(pads=[1, 1, 1, 1])),
                "3x3": (32, 3, dict(pads=[1, 0, 0, 1], strides=[2, 2])), "runs of odd steps": (12, 3, {}),
                "holes": (45, 3, dict(dilations=[2, 2], pads=[2, 2, 2, 2])), "few channels": (3, 5, {}), "one channel": (1, 7, dict(pads=[3, 3, 3, 3], strides=[2, 2]))}


@KINDS
@TYPES
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name, dtype, kind):
    channels, size, attributes = CONVOLUTIONS[name]
    v = Values()
    p = parameters(v, weights(v, kind, 37, channels, size, size), 37, b=v.random.integers(-999, 999, 37).astype(np.int32))
    check(node("QLinearConv", "x xs xz w ws wz ys yz b", **attributes), [{"x": v.integers(np.uint8, 2, channels, 11, 9)}], p, dtype)


@KINDS
@TYPES
@pytest.mark.parametrize("rows", [1, 7, 64])
def test_products(rows, dtype, kind):
    v = Values()
    p = parameters(v, weights(v, kind, 131, 101), 101)
    nodes = node("QLinearMatMul", "x xs xz w ws wz ys yz")
    check(nodes, [{"x": v.integers(np.uint8, rows, 131)}], p, dtype)
    check(nodes, [{"x": np.full((rows, 131), 255, np.uint8)}], p, dtype, threads=2)


def test_sums_at_the_ends():
    """The largest products of either sign everywhere, where saturation at 16 bits would be seen."""
    x = np.full((9, 128), 255, np.uint8)
    w = np.full((128, 40), 127, np.int8)
    w[:, 13:] = -128
    w[:, ::3] //= 2
    data = model(node("MatMulInteger", "x w"), {"x": x}, {"w": w}, {"y": I32})
    for target in TARGETS:
        for narrow in 1, 2:
            compiled = tamis.compile(data, cache="off", target=target, profile=always(target, narrow))
            np.testing.assert_array_equal(compiled(x), x.astype(np.int32) @ w.astype(np.int32))
            assert compiled.report()["layers"][0]["storage"] == "bounded panels"
