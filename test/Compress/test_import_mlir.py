# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Quantized MLIR of other compilers: TOSA with rescale, linalg's quantized operations, upstream quant types."""
import numpy as np
import pytest
from matrix import Grid, Layer, assert_levels, run

from tamis import groups

STRICT = pytest.mark.parametrize("strict", [True, False])


def rescale(total, multiplier, shift):
    """tosa.apply_scale with double rounding, in 64 bits."""
    total, multiplier, shift = (np.asarray(v, np.int64) for v in (total, multiplier, shift))
    value = total * multiplier + (np.int64(1) << (shift - 1))
    value += np.where(shift > 31, np.where(total >= 0, 1 << 30, -(1 << 30)), 0)
    return value >> shift


def values(array):
    return np.array2string(array, separator=",", threshold=10 ** 6).replace("\n", "")


@STRICT
def test_tosa_convolution(strict):
    random = np.random.default_rng(0)
    x = random.integers(-128, 128, (1, 9, 9, 4)).astype(np.int8)
    w = random.integers(-127, 128, (6, 3, 3, 4)).astype(np.int8)
    b = random.integers(-5000, 5000, 6).astype(np.int32)
    multiplier, shift = random.integers(1 << 30, (1 << 31) - 1, 6), random.integers(38, 41, 6)
    got, = run(f"""
func.func @main(%x: tensor<1x9x9x4xi8>) -> tensor<1x9x9x6xi8> {{
  %w = "tosa.const"() {{values = dense<{values(w)}> : tensor<6x3x3x4xi8>}} : () -> tensor<6x3x3x4xi8>
  %b = "tosa.const"() {{values = dense<{values(b)}> : tensor<6xi32>}} : () -> tensor<6xi32>
  %xz = "tosa.const"() {{values = dense<-3> : tensor<1xi8>}} : () -> tensor<1xi8>
  %wz = "tosa.const"() {{values = dense<0> : tensor<1xi8>}} : () -> tensor<1xi8>
  %c = tosa.conv2d %x, %w, %b, %xz, %wz {{acc_type = i32, dilation = array<i64: 1, 1>, pad = array<i64: 1, 1, 1, 1>,
    stride = array<i64: 1, 1>}} : (tensor<1x9x9x4xi8>, tensor<6x3x3x4xi8>, tensor<6xi32>, tensor<1xi8>, tensor<1xi8>)
    -> tensor<1x9x9x6xi32>
  %m = "tosa.const"() {{values = dense<{values(multiplier)}> : tensor<6xi32>}} : () -> tensor<6xi32>
  %s = "tosa.const"() {{values = dense<{values(shift)}> : tensor<6xi8>}} : () -> tensor<6xi8>
  %iz = "tosa.const"() {{values = dense<0> : tensor<1xi32>}} : () -> tensor<1xi32>
  %oz = "tosa.const"() {{values = dense<-7> : tensor<1xi8>}} : () -> tensor<1xi8>
  %r = tosa.rescale %c, %m, %s, %iz, %oz {{scale32 = true, rounding_mode = DOUBLE_ROUND, per_channel = true,
    input_unsigned = false, output_unsigned = false}}
    : (tensor<1x9x9x6xi32>, tensor<6xi32>, tensor<6xi8>, tensor<1xi32>, tensor<1xi8>) -> tensor<1x9x9x6xi8>
  %y = tosa.clamp %r {{min_val = -7 : i8, max_val = 127 : i8}} : (tensor<1x9x9x6xi8>) -> tensor<1x9x9x6xi8>
  return %y : tensor<1x9x9x6xi8>
}}""", {"x": x}, strict)
    total = groups.convolve(x.transpose(0, 3, 1, 2).astype(np.int64) + 3, w.transpose(0, 3, 1, 2), {"pads": [1, 1, 1, 1]})
    total = total.transpose(0, 2, 3, 1) + b
    np.testing.assert_array_equal(got, np.clip(rescale(total, multiplier, shift) - 7, -7, 127))
    assert len(np.unique(got)) > 50


@STRICT
def test_tosa_matrix_product_of_two_tensors(strict):
    random = np.random.default_rng(0)
    a, b = random.integers(-128, 128, (2, 5, 16)).astype(np.int8), random.integers(-128, 128, (2, 16, 12)).astype(np.int8)
    got, = run("""
func.func @main(%a: tensor<2x5x16xi8>, %b: tensor<2x16x12xi8>) -> tensor<2x5x12xi8> {
  %az = "tosa.const"() {values = dense<-3> : tensor<1xi8>} : () -> tensor<1xi8>
  %bz = "tosa.const"() {values = dense<2> : tensor<1xi8>} : () -> tensor<1xi8>
  %c = tosa.matmul %a, %b, %az, %bz : (tensor<2x5x16xi8>, tensor<2x16x12xi8>, tensor<1xi8>, tensor<1xi8>) -> tensor<2x5x12xi32>
  %m = "tosa.const"() {values = dense<1275068416> : tensor<1xi32>} : () -> tensor<1xi32>
  %s = "tosa.const"() {values = dense<40> : tensor<1xi8>} : () -> tensor<1xi8>
  %iz = "tosa.const"() {values = dense<0> : tensor<1xi32>} : () -> tensor<1xi32>
  %oz = "tosa.const"() {values = dense<4> : tensor<1xi8>} : () -> tensor<1xi8>
  %y = tosa.rescale %c, %m, %s, %iz, %oz {scale32 = true, rounding_mode = SINGLE_ROUND, per_channel = false,
    input_unsigned = false, output_unsigned = false}
    : (tensor<2x5x12xi32>, tensor<1xi32>, tensor<1xi8>, tensor<1xi32>, tensor<1xi8>) -> tensor<2x5x12xi8>
  return %y : tensor<2x5x12xi8>
}""", {"a": a, "b": b}, strict)
    total = (a.astype(np.int64) + 3) @ (b.astype(np.int64) - 2)
    want = (total * 1275068416 + (1 << 39)) >> 40
    np.testing.assert_array_equal(got, np.clip(want + 4, -128, 127))


@STRICT
def test_linalg_quantized_matmul(strict):
    random = np.random.default_rng(0)
    a, b = random.integers(-128, 128, (5, 16)).astype(np.int8), random.integers(-128, 128, (16, 12)).astype(np.int8)
    got, = run("""
func.func @main(%a: tensor<5x16xi8>, %b: tensor<16x12xi8>) -> tensor<5x12xi32> {
  %az = arith.constant -3 : i32
  %bz = arith.constant 2 : i32
  %zero = arith.constant 0 : i32
  %e = tensor.empty() : tensor<5x12xi32>
  %f = linalg.fill ins(%zero : i32) outs(%e : tensor<5x12xi32>) -> tensor<5x12xi32>
  %y = linalg.quantized_matmul ins(%a, %b, %az, %bz : tensor<5x16xi8>, tensor<16x12xi8>, i32, i32) outs(%f : tensor<5x12xi32>)
    -> tensor<5x12xi32>
  return %y : tensor<5x12xi32>
}""", {"a": a, "b": b}, strict)
    np.testing.assert_array_equal(got, (a.astype(np.int64) + 3) @ (b.astype(np.int64) - 2))


@STRICT
def test_quant_types(strict):
    """Casts of the upstream quant dialect around a float matrix product."""
    random = np.random.default_rng(0)
    x = random.standard_normal((32, 16)).astype(np.float32)
    w = random.integers(-127, 128, (16, 12)).astype(np.int8)
    got, = run(f"""
!x = !quant.uniform<u8:f32, 0.02:120>
!w = !quant.uniform<i8:f32, 0.01>
!y = !quant.uniform<i8:f32, 0.05:-3>
func.func @main(%x: tensor<32x16xf32>) -> tensor<32x12xf32> {{
  %wq = arith.constant dense<{values(w)}> : tensor<16x12xi8>
  %wt = quant.scast %wq : tensor<16x12xi8> to tensor<16x12x!w>
  %w = quant.dcast %wt : tensor<16x12x!w> to tensor<16x12xf32>
  %xq = quant.qcast %x : tensor<32x16xf32> to tensor<32x16x!x>
  %xd = quant.dcast %xq : tensor<32x16x!x> to tensor<32x16xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<32x12xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<32x12xf32>) -> tensor<32x12xf32>
  %p = linalg.matmul ins(%xd, %w : tensor<32x16xf32>, tensor<16x12xf32>) outs(%f : tensor<32x12xf32>) -> tensor<32x12xf32>
  %q = quant.qcast %p : tensor<32x12xf32> to tensor<32x12x!y>
  %y = quant.dcast %q : tensor<32x12x!y> to tensor<32x12xf32>
  return %y : tensor<32x12xf32>
}}""", {"x": x}, strict)
    layer = Layer("MatMul", x, (w * np.float32(0.01)).astype(np.float32), None, Grid(np.float32(0.02), 120, 0, 255),
                  Grid(np.float32(0.01), 0), Grid(np.float32(0.05), -3), relu=False)
    assert_levels(np.rint(got / np.float32(0.05)) - 3, layer.expected(), strict)
