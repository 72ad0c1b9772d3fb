# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Windows of 3x3 computed by transformed tiles, against sums in float64: images that tiles do not divide, channels that vectors do not."""
import os
import tempfile

import numpy as np
import pytest
import tamis
from Import.oracle import Values, model, node
from support import profiles
from support.emulation import Emulated
from test_row_streams import TARGETS

FOLDER = tempfile.TemporaryDirectory()
# Whatever it costs; where weights come from a slow memory, tiles of 2 x 2 have the fewest bytes beside dense ones.
FACTS = {4: {"winograd.margin": 1e6, "winograd.moved": 1e-3},
         2: {"winograd.margin": 1e6, "winograd.moved": 1e-3, "l3.bytes": 1, "dram.bytes_per_cycle": 1e-3}}


def profile(target, output):
    return profiles.write(os.path.join(FOLDER.name, f"{target}-{output}.profile"), target, FACTS[output])


def convolve(x, w, pads):
    """In float64, `pads` as ONNX has them."""
    top, left, bottom, right = pads
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (top, bottom), (left, right)))
    height, width = x.shape[2] - 2, x.shape[3] - 2
    return sum(np.einsum("nchw,kc->nkhw", x[:, :, i:i + height, j:j + width], w[:, :, i, j].astype(np.float64))
               for i in range(3) for j in range(3))


class Layer:
    """A convolution with a bias."""

    def __init__(self, shape, columns, pads=(1, 1, 1, 1)):
        v = Values(sum(shape) + columns)
        self.x, self.pads = v.floats(*shape), pads
        self.parameters = {"w": v.floats(columns, shape[1], 3, 3), "b": v.floats(columns)}
        self.nodes = [node("Conv", "x w b", "y", pads=list(pads))]

    def __call__(self, x):
        return convolve(x, self.parameters["w"], self.pads) + self.parameters["b"][:, None, None]

    def compile(self, target, output, strict=False, **options):
        data = model(self.nodes, {"x": self.x}, self.parameters, **{k: options.pop(k) for k in ("open_dims",) if k in options})
        return tamis.compile(data, cache="off", target=target, profile=profile(target, output), strict=strict, **options)


def check(got, want):
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * np.abs(want).max())


def chosen(compiled):
    return compiled.report()["layers"][0]["chosen"]


@pytest.mark.parametrize("output", [2, 4])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("size", [(8, 8), (1, 1), (3, 5), (4, 9), (14, 6), (2, 13)])
def test_sizes(target, output, size):
    layer = Layer((1, 16, *size), 32)
    compiled = layer.compile(target, output)
    assert chosen(compiled).startswith("Winograd 4x4" if output == 4 and min(size) > 2 else "Winograd 2x2")
    check(compiled.run(None, {"x": layer.x})[0], layer(layer.x))


@pytest.mark.parametrize("output", [2, 4])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("channels,columns", [(16, 17), (18, 16), (23, 44), (61, 29)])
def test_channels_that_fill_no_vector(target, output, channels, columns):
    layer = Layer((1, channels, 7, 10), columns)
    compiled = layer.compile(target, output)
    assert chosen(compiled).startswith("Winograd")
    check(compiled.run(None, {"x": layer.x})[0], layer(layer.x))


@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (2, 2, 2, 2), (1, 0, 0, 2)])
def test_paddings(pads):
    layer = Layer((1, 16, 11, 9), 16, pads)
    check(layer.compile(TARGETS[-1], 4).run(None, {"x": layer.x})[0], layer(layer.x))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_images_have_the_same_bits_for_any_number_of_threads(threads):
    layer = Layer((3, 16, 22, 18), 24)
    one = layer.compile(TARGETS[-1], 4).run(None, {"x": layer.x})[0]
    check(one, layer(layer.x))
    profile_of_tasks = profiles.write(os.path.join(FOLDER.name, "tasks.profile"), TARGETS[-1], {**FACTS[4], "task.vectors": 1})
    data = model(layer.nodes, {"x": layer.x}, layer.parameters)
    compiled = tamis.compile(data, cache="off", target=TARGETS[-1], profile=profile_of_tasks, threads=threads)
    assert compiled.report()["layers"][0]["tasks"] == threads
    np.testing.assert_array_equal(compiled.run(None, {"x": layer.x})[0], one)


def test_open_number_of_images():
    layer = Layer((4, 16, 9, 9), 16)
    compiled = layer.compile(TARGETS[-1], 4, open_dims=True, input_dims={"x0": "1:4", "x1": 16, "x2": 9, "x3": 9})
    assert chosen(compiled).startswith("Winograd")
    for count in (1, 3):
        check(compiled.run(None, {"x": layer.x[:count]})[0], layer(layer.x[:count]))


def test_residual_and_activation_in_the_epilogue():
    layer = Layer((1, 24, 10, 13), 24)
    layer.nodes = [node("Conv", "x w b", "0", pads=[1, 1, 1, 1]), node("Add", "0 x", "1"), node("Sigmoid", "1", "2"), node("Mul", "1 2", "y")]
    sums = layer(layer.x) + layer.x
    compiled = layer.compile(TARGETS[-1], 4)
    assert len(compiled.report()["layers"]) == 1
    check(compiled.run(None, {"x": layer.x})[0], sums / (1 + np.exp(-sums)))


def test_half_precision():
    layer = Layer((1, 32, 12, 12), 32)
    x = layer.x.astype(np.float16)
    layer.parameters = {name: value.astype(np.float16) for name, value in layer.parameters.items()}
    data = model(layer.nodes, {"x": x}, layer.parameters)
    compiled = tamis.compile(data, cache="off", target=TARGETS[-1], profile=profile(TARGETS[-1], 4))
    assert chosen(compiled).startswith("Winograd")
    got, want = compiled.run(None, {"x": x})[0], layer(x)
    assert got.dtype == np.float16
    np.testing.assert_allclose(got, want, rtol=2e-3, atol=1e-3 * np.abs(want).max())


def test_strict_keeps_windows():
    layer = Layer((1, 16, 8, 8), 16)
    assert chosen(layer.compile(TARGETS[-1], 4, strict=True)).startswith("dense")


@pytest.mark.parametrize("change", [{"strides": [2, 2]}, {"dilations": [2, 2]}, {"group": 2}])
def test_other_windows_stay(change):
    layer = Layer((1, 16, 12, 12), 16)
    group = change.get("group", 1)
    layer.parameters["w"] = np.ascontiguousarray(layer.parameters["w"][:, :16 // group])
    layer.nodes = [node("Conv", "x w b", "y", **change)]
    assert "Winograd" not in chosen(layer.compile(TARGETS[-1], 4))


def test_few_channels_stay():
    layer = Layer((1, 8, 12, 12), 32)
    assert "Winograd" not in chosen(layer.compile(TARGETS[-1], 4))


def test_vectors_of_sixteen_channels():
    """The code of AVX-512 on any machine; by its own prices, so that the layer is one that gains."""
    layer = Layer((1, 56, 30, 30), 40)
    emulated = Emulated(model(layer.nodes, {"x": layer.x}, layer.parameters), "x86-64-v4")
    assert emulated.layers[0]["storage"] == "Winograd"
    got, = emulated.run([layer.x], [np.zeros((1, 40, 30, 30), np.float32)])
    check(got, layer(layer.x))


def test_channels_that_do_not_lie_side_by_side():
    """Every second one of an image."""
    layer = Layer((1, 32, 10, 10), 16)
    layer.parameters["w"] = np.ascontiguousarray(layer.parameters["w"][:, :16])
    layer.parameters.update(start=np.array([0]), end=np.array([32]), axis=np.array([1]), step=np.array([2]))
    layer.nodes = [node("Slice", "x start end axis step", "0"), node("Conv", "0 w b", "y", pads=[1, 1, 1, 1])]
    compiled = layer.compile(TARGETS[-1], 4)
    assert chosen(compiled).startswith("Winograd")
    check(compiled.run(None, {"x": layer.x})[0], layer(layer.x[:, ::2]))


@pytest.mark.parametrize("shape", [(1, 64, 7, 7), (1, 32, 14, 14), (2, 48, 13, 9), (3, 40, 5, 33), (1, 64, 28, 28)])
def test_results_do_not_depend_on_the_number_of_threads(shape):
    """Whether tiles are taken, of which size, and in which order channels are summed up is the same for all."""
    v = Values(9)
    x, w = v.floats(*shape), v.floats(96, shape[1], 3, 3)
    data = model(node("Conv", "x w", pads=[1] * 4), {"x": x}, {"w": w})
    compiled = [tamis.compile(data, cache="off", threads=threads) for threads in (1, 2, 3, 8)]
    assert len({str(made.report()["layers"][0]["chosen"]) for made in compiled}) == 1
    results = [made.run(None, {"x": x})[0] for made in compiled]
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])
