# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products by weights of few bits against what their definition gives in float64, on every machine that this one can play."""
import numpy as np
import pytest
import tamis
from Import.oracle import Values, model, node
from support.few_bits import Product, spread
from test_row_streams import TARGETS


def compare(product, feeds, storage="dense nibbles", **options):
    data = model([product.node], {"x": feeds[-1]}, product.parameters, open_dims=bool(options.get("input_dims")))
    for target in TARGETS:
        compiled = tamis.compile(data, cache="off", target=target, **options)
        for x in feeds:
            want = product(x)
            np.testing.assert_allclose(compiled.run(None, {"x": x})[0], want, rtol=0, atol=3e-6 * np.abs(want).max(),
                                       err_msg=f"{target}, {x.shape}")
        layer, = compiled.report()["layers"]
        activations, weights = "i8" if product.level == 4 else "f32", "i4" if storage == "dense nibbles" else "i8"
        assert (layer["storage"], layer["types"]) == (storage, f"{activations} x {weights} -> f32"), (target, layer)


LEVELS = pytest.mark.parametrize("level", [0, 4])


@LEVELS
@pytest.mark.parametrize("zeros", ["none", "integer", "float"])
def test_zero_points(level, zeros):
    compare(Product(96, 41, zeros=zeros, level=level), [Values(1).floats(5, 96)])


@LEVELS
@pytest.mark.parametrize("rows", [1, 2, 7, 16, 31])
@pytest.mark.parametrize("columns", [1, 8, 31, 200])
def test_shapes(level, rows, columns):
    compare(Product(128, columns, level=level), [Values(1).floats(rows, 128)])


def test_many_rows():
    """Integers stay integers; floats are multiplied by floats, which is faster."""
    compare(Product(128, 40, level=4), [Values(1).floats(64, 128)])
    product, x = Product(128, 40), Values(1).floats(64, 128)
    compiled = tamis.compile(model([product.node], {"x": x}, product.parameters), cache="off")
    np.testing.assert_allclose(compiled.run(None, {"x": x})[0], product(x), rtol=1e-4, atol=1e-5)
    assert compiled.report()["layers"][0]["types"] == "f32 x f32 -> f32"


@LEVELS
@pytest.mark.parametrize("block", [16, 64, 256])
def test_blocks(level, block):
    """Longer than the depth, too."""
    compare(Product(192, 40, block=block, zeros="integer", level=level), [Values(1).floats(3, 192)])


@LEVELS
def test_a_last_block_that_is_shorter(level):
    compare(Product(100, 40, zeros="integer", level=level), [Values(1).floats(3, 100)])


@LEVELS
def test_open_rows(level):
    v = Values(1)
    compare(Product(64, 40, level=level), [v.floats(2, rows, 64) for rows in (1, 3, 8, 17)], input_dims={"x0": 2, "x1": "1:17", "x2": 64})


@LEVELS
def test_two_bits_fit_too(level):
    compare(Product(64, 40, bits=2, level=level), [Values(1).floats(3, 64)])


@LEVELS
def test_eight_bits_stay_bytes(level):
    compare(Product(64, 40, bits=8, zeros="integer", level=level), [Values(1).floats(3, 64)], storage="dense packed")


@LEVELS
def test_rows_of_zeros(level):
    x = Values(1).floats(3, 64)
    x[1] = 0
    x[2, :32] = 0
    compare(Product(64, 40, level=level), [x])


def test_largest_activations_do_not_saturate():
    """All codes 15 by all activations of the largest magnitude: the sums that vpmaddubsw has to hold."""
    product = Product(256, 16, block=256, level=4)
    product.parameters["b"][:] = 255
    product.weights = (15 - 8.0) * spread(product.parameters["s"].reshape(16, 1), 256, 256)
    compare(product, [np.stack([np.full(256, 1.0), np.full(256, -1.0), np.tile([1.0, -1.0], 128)]).astype(np.float32)])


def test_strict_multiplies_by_what_codes_stand_for():
    product = Product(64, 40)
    x = Values(1).floats(3, 64)
    data = model([product.node], {"x": x}, product.parameters)
    compiled = tamis.compile(data, cache="off", strict=True)
    assert compiled.report()["layers"][0]["storage"] == "dense packed"
    np.testing.assert_allclose(compiled.run(None, {"x": x})[0], product(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_bytes_with_a_scale_per_column(dtype):
    """DequantizeLinear of weights beside float activations, zero points within a byte of the weights."""
    v = Values(1)
    x, w, s = v.floats(5, 64), v.integers(dtype, 64, 40) // 2, v.scales(40)
    zero = np.full(40, 60 if dtype == np.uint8 else 0, dtype)
    data = model([node("DequantizeLinear", "w s z", "d", axis=1), node("MatMul", "x d")], {"x": x}, {"w": w, "s": s, "z": zero})
    want = x.astype(np.float64) @ ((w.astype(np.float64) - zero) * s)
    for target in TARGETS:
        compiled = tamis.compile(data, cache="off", target=target)
        np.testing.assert_allclose(compiled.run(None, {"x": x})[0], want, rtol=0, atol=3e-6 * np.abs(want).max())
        layer, = compiled.report()["layers"]
        assert (layer["storage"], layer["types"]) == ("dense packed", "f32 x i8 -> f32"), layer


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_bytes_with_one_scale(dtype):
    v = Values()
    x, w, s = v.floats(5, 64), v.integers(dtype, 64, 40) // 2, np.float32(0.01)
    zero = dtype(60 if dtype == np.uint8 else 3)
    data = model([node("DequantizeLinear", "w s z", "d"), node("MatMul", "x d")], {"x": x}, {"w": w, "s": s, "z": zero})
    want = x.astype(np.float64) @ ((w.astype(np.float64) - zero) * s)
    compiled = tamis.compile(data, cache="off")
    np.testing.assert_allclose(compiled.run(None, {"x": x})[0], want, rtol=0, atol=3e-6 * np.abs(want).max())
    assert compiled.report()["layers"][0]["types"] == "f32 x i8 -> f32"


def test_a_model_with_both_is_the_same_alone_and_reloaded(tmp_path):
    product = Product(64, 40, level=4)
    x = Values(1).floats(3, 64)
    compiled = tamis.compile(model([product.node], {"x": x}, product.parameters), cache="off")
    compiled.save(tmp_path / "m.so")
    np.testing.assert_array_equal(tamis.load(tmp_path / "m.so").run(None, {"x": x})[0], compiled.run(None, {"x": x})[0])
