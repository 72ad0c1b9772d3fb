// RUN: tamis-opt %s --tamis-fold-constants --tamis-select-instructions --tamis-select-storage=size=true | FileCheck %s

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma"]>} {
  // A row stream is faster, a bitmask smaller. An odd number of steps is no
  // codebook.
  // CHECK-LABEL: func.func @zeros_leave
  func.func @zeros_leave(%x: tensor<64x59xf32>, %e: tensor<64x128xf32>) -> tensor<64x128xf32> {
    %zero = arith.constant 0.0 : f32
    // One channel of four.
    %ones = arith.constant dense<1.0> : tensor<59x32x1xf32>
    %p = tensor.pad %ones low[0, 0, 0] high[0, 0, 3] {
    ^bb0(%i: index, %j: index, %k: index):
      tensor.yield %zero : f32
    } : tensor<59x32x1xf32> to tensor<59x32x4xf32>
    %w = tensor.collapse_shape %p [[0], [1, 2]] : tensor<59x32x4xf32> into tensor<59x128xf32>
    // CHECK: tamis_kernel.contract {{.+}}storage = #tamis.bitmask<entries = 1888,
    // CHECK-SAME: why = "a bitmask has 0.28x the bytes of dense"
    %y = tamis.contract ins(%x, %w : tensor<64x59xf32>, tensor<59x128xf32>) outs(%e : tensor<64x128xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<64x128xf32>
    return %y : tensor<64x128xf32>
  }

  // Whole blocks need no bits.
  // CHECK-LABEL: func.func @zero_blocks
  func.func @zero_blocks(%x: tensor<64x59xf32>, %e: tensor<64x128xf32>) -> tensor<64x128xf32> {
    %zero = arith.constant 0.0 : f32
    %ones = arith.constant dense<1.0> : tensor<6x128xf32>
    %w = tensor.pad %ones low[0, 0] high[53, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : f32
    } : tensor<6x128xf32> to tensor<59x128xf32>
    // CHECK: tamis_kernel.contract {{.+}}storage = #tamis.block_list<entries = 48, steps = 1, run = 59>
    // CHECK-SAME: why = "a block list has 0.11x the bytes of dense"
    %y = tamis.contract ins(%x, %w : tensor<64x59xf32>, tensor<59x128xf32>) outs(%e : tensor<64x128xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<64x128xf32>
    return %y : tensor<64x128xf32>
  }

  // CHECK-LABEL: func.func @no_zeros
  func.func @no_zeros(%x: tensor<64x59xf32>, %e: tensor<64x128xf32>) -> tensor<64x128xf32> {
    %one = arith.constant 1.0 : f32
    %twos = arith.constant dense<2.0> : tensor<6x128xf32>
    %w = tensor.pad %twos low[0, 0] high[53, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %one : f32
    } : tensor<6x128xf32> to tensor<59x128xf32>
    // CHECK-NOT: compress
    // CHECK: tamis_kernel.contract {{.+}}why = "a bitmask has 1.03x the bytes of dense"
    %y = tamis.contract ins(%x, %w : tensor<64x59xf32>, tensor<59x128xf32>) outs(%e : tensor<64x128xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<64x128xf32>
    return %y : tensor<64x128xf32>
  }

  // CHECK-LABEL: func.func @few_values
  func.func @few_values(%x: tensor<64x60xf32>, %e: tensor<64x128xf32>) -> tensor<64x128xf32> {
    %one = arith.constant 1.0 : f32
    %twos = arith.constant dense<2.0> : tensor<6x128xf32>
    %w = tensor.pad %twos low[0, 0] high[54, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %one : f32
    } : tensor<6x128xf32> to tensor<60x128xf32>
    // CHECK: tamis_kernel.contract {{.+}}storage = #tamis.codebook<entries = 2,
    // CHECK-SAME: why = "a codebook has 0.13x the bytes of dense"
    %y = tamis.contract ins(%x, %w : tensor<64x60xf32>, tensor<60x128xf32>) outs(%e : tensor<64x128xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<64x128xf32>
    return %y : tensor<64x128xf32>
  }
}
