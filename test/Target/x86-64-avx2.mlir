// RUN: tamis-opt %s --tamis-fold-constants --tamis-select-instructions --tamis-select-storage | FileCheck %s

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma"]>, tamis.profile = #tamis.profile<facts = {block_list.margin = 1.0e-06 : f64, slot_windows.margin = 1.0e-06 : f64}>} {
  // CHECK-LABEL: func.func @float32
  func.func @float32(%x: tensor<8x64xf32>, %w: tensor<64x32xf32>, %e: tensor<8x32xf32>) -> tensor<8x32xf32> {
    // CHECK: by #tamis.vector_fma<lanes = 8, fused = true>
    %y = tamis.contract ins(%x, %w : tensor<8x64xf32>, tensor<64x32xf32>) outs(%e : tensor<8x32xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<8x32xf32>
    return %y : tensor<8x32xf32>
  }
  // CHECK-LABEL: func.func @int8
  func.func @int8(%x: tensor<8x64xi8>, %w: tensor<64x32xi8>, %e: tensor<8x32xi32>) -> tensor<8x32xi32> {
    // CHECK: by #tamis.x86_madd<lanes = 8>
    %y = tamis.contract ins(%x, %w : tensor<8x64xi8>, tensor<64x32xi8>) outs(%e : tensor<8x32xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<8x32xi32>
    return %y : tensor<8x32xi32>
  }
  // vpmaddubsw may saturate: only for weights that a stream divides.
  // CHECK-LABEL: func.func @sparse_int8
  func.func @sparse_int8(%x: tensor<64x64xi8>, %e: tensor<64x128xi32>) -> tensor<64x128xi32> {
    %zero = arith.constant 0 : i8
    %ones = arith.constant dense<1> : tensor<4x128xi8>
    %w = tensor.pad %ones low[0, 0] high[60, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : i8
    } : tensor<4x128xi8> to tensor<64x128xi8>
    // CHECK: tamis_kernel.pack_stream {{.+}} {bound = 128 : i64}
    // CHECK: by #tamis.x86_maddubs<lanes = 8>
    %y = tamis.contract ins(%x, %w : tensor<64x64xi8>, tensor<64x128xi8>) outs(%e : tensor<64x128xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<64x128xi32>
    return %y : tensor<64x128xi32>
  }
}
