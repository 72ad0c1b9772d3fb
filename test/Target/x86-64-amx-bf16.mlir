// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: tamis-opt %s --split-input-file --tamis-select-instructions | FileCheck %s
// RUN: tamis-opt %s --split-input-file --tamis-select-instructions --tamis-pack-parameters \
// RUN:   --one-shot-bufferize="bufferize-function-boundaries allow-unknown-ops dialect-filter=arith,func,tensor,bufferization,tamis_kernel" --tamis-lower-contractions | FileCheck %s --check-prefix=CODE

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.policy = #tamis.policy<allowBf16 = true>,
                   tamis.target = #tamis.target<"x86_64", ["amx-bf16", "amx-tile", "avx512bf16", "avx512bw", "avx512f"]>} {
  // The 17th row is left to dot products, which read the same weights.
  // CHECK-LABEL: func.func @fills_tiles
  // CODE-LABEL: func.func @fills_tiles
  func.func @fills_tiles(%x: tensor<17x64xbf16>, %e: tensor<17x32xf32>) -> tensor<17x32xf32> {
    %w = arith.constant dense<1.0> : tensor<64x32xbf16>
    // CHECK: by #tamis.x86_amx_bf16 tile [16, 2, 0]
    // CODE: amx.tile_zero : !amx.tile<16x16xf32>
    // CODE: amx.tile_load {{.+}} into !amx.tile<16x32xbf16>
    // CODE: amx.tile_load {{.+}} into !amx.tile<16x32xbf16>
    // CODE: amx.tile_mulf %{{.+}}, %{{.+}} : !amx.tile<16x32xbf16>, !amx.tile<16x32xbf16>, !amx.tile<16x16xf32>
    // CODE: llvm.x86.avx512bf16.dpbf16ps.512
    %y = tamis.contract ins(%x, %w : tensor<17x64xbf16>, tensor<64x32xbf16>) outs(%e : tensor<17x32xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<17x32xf32>
    return %y : tensor<17x32xf32>
  }
  // CHECK-LABEL: func.func @few_rows
  func.func @few_rows(%x: tensor<2x64xbf16>, %e: tensor<2x32xf32>) -> tensor<2x32xf32> {
    %w = arith.constant dense<1.0> : tensor<64x32xbf16>
    // CHECK: by #tamis.x86_dot_bf16
    %y = tamis.contract ins(%x, %w : tensor<2x64xbf16>, tensor<64x32xbf16>) outs(%e : tensor<2x32xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<2x32xf32>
    return %y : tensor<2x32xf32>
  }
  // 17 steps are a tile each, of one step.
  // CHECK-LABEL: func.func @short_steps
  func.func @short_steps(%x: tensor<32x34xbf16>, %e: tensor<32x32xf32>) -> tensor<32x32xf32> {
    %w = arith.constant dense<1.0> : tensor<34x32xbf16>
    // CHECK: by #tamis.x86_dot_bf16
    %y = tamis.contract ins(%x, %w : tensor<32x34xbf16>, tensor<34x32xbf16>) outs(%e : tensor<32x32xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<32x32xf32>
    return %y : tensor<32x32xf32>
  }
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["amx-bf16", "amx-tile", "avx512bf16", "avx512bw", "avx512f"]>} {
  // CHECK-LABEL: func.func @not_allowed
  func.func @not_allowed(%x: tensor<17x64xbf16>, %e: tensor<17x32xf32>) -> tensor<17x32xf32> {
    %w = arith.constant dense<1.0> : tensor<64x32xbf16>
    // CHECK: by #tamis.vector_fma<lanes = 16, fused = true>
    %y = tamis.contract ins(%x, %w : tensor<17x64xbf16>, tensor<64x32xbf16>) outs(%e : tensor<17x32xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<17x32xf32>
    return %y : tensor<17x32xf32>
  }
}
