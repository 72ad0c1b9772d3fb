// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: tamis-opt %s --split-input-file --tamis-select-instructions | FileCheck %s

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.policy = #tamis.policy<allowBf16 = true>, tamis.target = #tamis.target<"x86_64", ["avx512f", "avx512bw", "avx512bf16"]>} {
  // CHECK-LABEL: func.func @float32
  func.func @float32(%x: tensor<8x64xf32>, %w: tensor<64x32xf32>, %e: tensor<8x32xf32>) -> tensor<8x32xf32> {
    // CHECK: by #tamis.vector_fma<lanes = 16, fused = true>
    %y = tamis.contract ins(%x, %w : tensor<8x64xf32>, tensor<64x32xf32>) outs(%e : tensor<8x32xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<8x32xf32>
    return %y : tensor<8x32xf32>
  }
  // Pairs of rows, the last one half empty: packed, though columns are contiguous.
  // CHECK-LABEL: func.func @bfloat16
  func.func @bfloat16(%x: tensor<8x63xbf16>, %w: tensor<63x32xbf16>, %e: tensor<8x32xf32>) -> tensor<8x32xf32> {
    // CHECK: tamis_kernel.pack {{.*}} -> tensor<1x1x32x64xbf16>
    // CHECK: by #tamis.x86_dot_bf16
    %y = tamis.contract ins(%x, %w : tensor<8x63xbf16>, tensor<63x32xbf16>) outs(%e : tensor<8x32xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<8x32xf32>
    return %y : tensor<8x32xf32>
  }
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
// Subnormals would be lost without permission.
module attributes {tamis.target = #tamis.target<"x86_64", ["avx512f", "avx512bw", "avx512bf16"]>} {
  // CHECK-LABEL: func.func @not_allowed
  func.func @not_allowed(%x: tensor<8x64xbf16>, %w: tensor<64x32xbf16>, %e: tensor<8x32xf32>) -> tensor<8x32xf32> {
    // CHECK: by #tamis.vector_fma<lanes = 16, fused = true>
    %y = tamis.contract ins(%x, %w : tensor<8x64xbf16>, tensor<64x32xbf16>) outs(%e : tensor<8x32xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<8x32xf32>
    return %y : tensor<8x32xf32>
  }
}
