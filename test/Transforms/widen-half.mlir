// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: tamis-opt %s --split-input-file --pass-pipeline='builtin.module(func.func(tamis-widen-half))' | FileCheck %s
// RUN: tamis-opt %s --split-input-file --pass-pipeline='builtin.module(func.func(tamis-widen-half,tamis-widen-half))' | FileCheck %s

#id = affine_map<(d0, d1) -> (d0, d1)>
#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>

ml_program.global private @w(dense<1.0> : tensor<4x4xf16>) : tensor<4x4xf16>

// One conversion at the door, one behind; none in between. Weights stay.
// CHECK-LABEL: func.func @chain
// CHECK: arith.extf
// CHECK: %[[W:.*]] = ml_program.global_load_const @w : tensor<4x4xf16>
// CHECK-NOT: arith.extf
// CHECK: tamis.contract ins(%{{.*}}, %[[W]] : tensor<8x4xf32>, tensor<4x4xf16>)
// CHECK: linalg.generic
// CHECK-NEXT: ^bb0(%[[X:.*]]: f32, %{{.*}}: f32):
// CHECK-NEXT: %[[E:.*]] = math.exp %[[X]] : f32
// CHECK-NEXT: linalg.yield %[[E]] : f32
// CHECK: linalg.generic
// CHECK: arith.truncf %{{.*}} : f32 to f16
// CHECK-NOT: arith.truncf
// CHECK: return %{{.*}} : tensor<2x16xf16>
func.func @chain(%x: tensor<4x8xf16>) -> tensor<2x16xf16> {
  %w = ml_program.global_load_const @w : tensor<4x4xf16>
  %et = tensor.empty() : tensor<8x4xf16>
  %t = linalg.transpose ins(%x : tensor<4x8xf16>) outs(%et : tensor<8x4xf16>) permutation = [1, 0]
  %e = tensor.empty() : tensor<8x4xf32>
  %c = tamis.contract ins(%t, %w : tensor<8x4xf16>, tensor<4x4xf16>) outs(%e : tensor<8x4xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<8x4xf32>
  %h = tensor.empty() : tensor<8x4xf16>
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%c : tensor<8x4xf32>) outs(%h : tensor<8x4xf16>) {
  ^bb0(%a: f32, %o: f16):
    %n = arith.truncf %a : f32 to f16
    %v = arith.extf %n : f16 to f32
    %y = math.exp %v : f32
    %z = arith.truncf %y : f32 to f16
    linalg.yield %z : f16
  } -> tensor<8x4xf16>
  %f = tensor.collapse_shape %r [[0, 1]] : tensor<8x4xf16> into tensor<32xf16>
  %g = tensor.expand_shape %f [[0, 1]] output_shape [2, 16] : tensor<32xf16> into tensor<2x16xf16>
  return %g : tensor<2x16xf16>
}

// -----

// Arithmetic on float16 itself keeps its type; its operands are rounded.
#id = affine_map<(d0) -> (d0)>
// CHECK-LABEL: func.func @native
// CHECK: arith.addf %{{.*}} : f16
func.func @native(%x: tensor<8xf16>) -> tensor<8xf16> {
  %e = tensor.empty() : tensor<8xf16>
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<8xf16>) outs(%e : tensor<8xf16>) {
  ^bb0(%a: f16, %o: f16):
    %s = arith.addf %a, %a : f16
    linalg.yield %s : f16
  } -> tensor<8xf16>
  return %r : tensor<8xf16>
}

// -----

// CHECK-LABEL: func.func @filled
// CHECK: linalg.fill ins(%{{.*}} : f32) outs(%{{.*}} : tensor<10xf32>)
// CHECK: tensor.insert_slice %{{.*}} into %{{.*}} : tensor<8xf32> into tensor<10xf32>
func.func @filled(%x: tensor<8xf16>) -> tensor<10xf16> {
  %one = arith.constant 1.0 : f16
  %e = tensor.empty() : tensor<10xf16>
  %f = linalg.fill ins(%one : f16) outs(%e : tensor<10xf16>) -> tensor<10xf16>
  %r = tensor.insert_slice %x into %f[1] [8] [1] : tensor<8xf16> into tensor<10xf16>
  return %r : tensor<10xf16>
}

// -----

#id = affine_map<(d0) -> (d0)>
module attributes {tamis.policy = #tamis.policy<strict = true>} {
  // CHECK-LABEL: func.func @strict
  // CHECK: arith.truncf
  // CHECK-NEXT: arith.extf
  func.func @strict(%x: tensor<8xf32>) -> tensor<8xf16> {
    %e = tensor.empty() : tensor<8xf16>
    %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
        ins(%x : tensor<8xf32>) outs(%e : tensor<8xf16>) {
    ^bb0(%a: f32, %o: f16):
      %n = arith.truncf %a : f32 to f16
      %v = arith.extf %n : f16 to f32
      %y = math.exp %v : f32
      %z = arith.truncf %y : f32 to f16
      linalg.yield %z : f16
    } -> tensor<8xf16>
    return %r : tensor<8xf16>
  }
}

// -----

// Tensor cores multiply float16, emulated ones too; a device without them does
// not.
#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"vulkan", ["mma"]>} {
  // CHECK-LABEL: func.func @multiplied
  // CHECK-NEXT: tamis.contract ins(%{{.*}}, %{{.*}} : tensor<8x4xf16>, tensor<4x4xf16>)
  func.func @multiplied(%x: tensor<8x4xf16>, %w: tensor<4x4xf16>, %e: tensor<8x4xf32>) -> tensor<8x4xf32> {
    %c = tamis.contract ins(%x, %w : tensor<8x4xf16>, tensor<4x4xf16>) outs(%e : tensor<8x4xf32>)
      maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<8x4xf32>
    return %c : tensor<8x4xf32>
  }
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"vulkan", []>} {
  // CHECK-LABEL: func.func @not_multiplied
  // CHECK: tamis.contract ins(%{{.*}}, %{{.*}} : tensor<8x4xf32>, tensor<4x4xf32>)
  func.func @not_multiplied(%x: tensor<8x4xf16>, %w: tensor<4x4xf16>, %e: tensor<8x4xf32>) -> tensor<8x4xf32> {
    %c = tamis.contract ins(%x, %w : tensor<8x4xf16>, tensor<4x4xf16>) outs(%e : tensor<8x4xf32>)
      maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<8x4xf32>
    return %c : tensor<8x4xf32>
  }
}
