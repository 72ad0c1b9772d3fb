// RUN: tamis-opt %s --tamis-select-instructions | FileCheck %s

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"generic", []>} {
  // CHECK-LABEL: func.func @float32
  func.func @float32(%x: tensor<8x64xf32>, %w: tensor<64x32xf32>, %e: tensor<8x32xf32>) -> tensor<8x32xf32> {
    // CHECK: by #tamis.vector_fma<lanes = 4, fused = false>
    %y = tamis.contract ins(%x, %w : tensor<8x64xf32>, tensor<64x32xf32>) outs(%e : tensor<8x32xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<8x32xf32>
    return %y : tensor<8x32xf32>
  }
  // CHECK-LABEL: func.func @int8
  func.func @int8(%x: tensor<8x64xi8>, %w: tensor<64x32xi8>, %e: tensor<8x32xi32>) -> tensor<8x32xi32> {
    // CHECK: by #tamis.vector_mul<lanes = 4>
    %y = tamis.contract ins(%x, %w : tensor<8x64xi8>, tensor<64x32xi8>) outs(%e : tensor<8x32xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<8x32xi32>
    return %y : tensor<8x32xi32>
  }
}
