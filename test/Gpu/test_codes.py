# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Weights of few bits on devices: codes stay what they are in memory and are decoded between load and product, by tensor cores (emulated)
for float16 and lane by lane for float32 activations. Beside what their definition gives in float64."""
import numpy as np
import onnx
import pytest
import tamis
from Import.oracle import Values, model, node
from support import vulkan
from support.few_bits import Product

TARGET = "vulkan,mma"
NIBBLES, BYTES = "i4", "i8"


def compare(product, feeds, weights=NIBBLES, storage="dense nibbles", **options):
    """float16 and float32 activations are within the rounding of their result and take the codes as they are."""
    if vulkan.missing():
        pytest.skip(vulkan.missing())
    for dtype, name, error in ((np.float16, "f16", 1e-3), (np.float32, "f32", 3e-6)):
        kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        feeds = [x.astype(dtype) for x in feeds]
        data = model([product.node], {"x": feeds[-1]}, product.parameters, {"y": kind}, open_dims=bool(options.get("input_dims")))
        compiled = tamis.compile(data, cache="off", target=TARGET, **options)
        for x in feeds:
            want = product(x)
            got, = compiled.run(None, {"x": x})
            assert got.dtype == dtype
            np.testing.assert_allclose(got, want, rtol=0, atol=error * np.abs(want).max(), err_msg=f"{name} {x.shape}")
        layer, = compiled.report()["layers"]
        assert (layer["storage"], layer["types"].split(" -> ")[0]) == (storage, f"{name} x {weights}"), layer
        assert layer["instruction"] == {"f16": "mma_f16", "f32": "lane_fma"}[name]


@pytest.mark.parametrize("block", [32, 128])
@pytest.mark.parametrize("zeros", ["none", "integer"])
@pytest.mark.parametrize("rows", [1, 8, 33])
def test_rows(rows, zeros, block):
    compare(Product(256, 41, zeros=zeros, block=block), [Values(1).floats(rows, 256) / 4])


def test_real_zero_points():
    compare(Product(96, 41, zeros="float"), [Values(1).floats(5, 96) / 4])


@pytest.mark.parametrize("columns", [1, 16, 200])
def test_columns(columns):
    compare(Product(128, columns), [Values(1).floats(9, 128) / 4])


@pytest.mark.parametrize("block", [16, 64, 256])
def test_blocks(block):
    """Longer than the depth, too."""
    compare(Product(192, 40, block=block, zeros="integer"), [Values(1).floats(3, 192) / 4])


def test_a_last_block_that_is_shorter():
    compare(Product(100, 40, zeros="integer"), [Values(1).floats(3, 100) / 4])


def test_open_rows():
    v = Values(1)
    compare(Product(64, 40), [v.floats(2, rows, 64) / 4 for rows in (1, 3, 8, 17)], input_dims={"x0": 2, "x1": "1:17", "x2": 64})


def test_two_bits_are_nibbles():
    compare(Product(64, 40, bits=2), [Values(1).floats(3, 64) / 4])


def test_eight_bits():
    for zeros in ("none", "integer"):
        compare(Product(64, 40, bits=8, zeros=zeros), [Values(1).floats(9, 64) / 64], BYTES, "dense packed")


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_bytes_with_a_scale_per_column(dtype):
    """DequantizeLinear of weights beside float activations."""
    if vulkan.missing():
        pytest.skip(vulkan.missing())
    v = Values(1)
    x, w, s = v.floats(5, 64), v.integers(dtype, 64, 40) // 2, v.scales(40)
    zero = np.full(40, 60 if dtype == np.uint8 else 0, dtype)
    data = model([node("DequantizeLinear", "w s z", "d", axis=1), node("MatMul", "x d")], {"x": x}, {"w": w, "s": s, "z": zero})
    want = x.astype(np.float64) @ ((w.astype(np.float64) - zero) * s)
    compiled = tamis.compile(data, cache="off", target=TARGET)
    np.testing.assert_allclose(compiled.run(None, {"x": x})[0], want, rtol=0, atol=3e-6 * np.abs(want).max())
    layer, = compiled.report()["layers"]
    assert (layer["instruction"], layer["types"]) == ("lane_fma", "f32 x i8 -> f32")


@pytest.mark.parametrize("target", ["vulkan", TARGET])
def test_activations_of_bytes(target):
    """accuracy_level 4: sums of blocks are integers, which the same kernel scales and adds up."""
    if vulkan.missing():
        pytest.skip(vulkan.missing())
    for zeros in ("none", "integer"):
        product, x = Product(96, 41, zeros=zeros, level=4), Values(1).floats(9, 96)
        compiled = tamis.compile(model([product.node], {"x": x}, product.parameters), cache="off", target=target)
        want = product(x)
        np.testing.assert_allclose(compiled.run(None, {"x": x})[0], want, rtol=0, atol=3e-6 * np.abs(want).max())
        layer, = compiled.report()["layers"]
        assert layer["instruction"] == {"vulkan": "lane_dot", TARGET: "mma_s8"}[target]


def test_devices_without_tensor_cores_widen_activations():
    if vulkan.missing():
        pytest.skip(vulkan.missing())
    product, x = Product(64, 40), (Values(1).floats(9, 64) / 4).astype(np.float16)
    data = model([product.node], {"x": x}, product.parameters, {"y": onnx.TensorProto.FLOAT16})
    compiled = tamis.compile(data, cache="off", target="vulkan")
    want = product(x)
    np.testing.assert_allclose(compiled.run(None, {"x": x})[0], want, rtol=0, atol=1e-3 * np.abs(want).max())
    layer, = compiled.report()["layers"]
    assert (layer["instruction"], layer["types"].split(" -> ")[0]) == ("lane_fma", "f32 x i4")


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
