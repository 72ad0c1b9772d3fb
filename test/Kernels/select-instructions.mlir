// RUN: tamis-opt %s -split-input-file --tamis-select-instructions | FileCheck %s
// RUN: tamis-opt %s -split-input-file --tamis-select-instructions --tamis-select-instructions | FileCheck %s

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["avx512f"]>} {
  // CHECK-LABEL: func.func @constant_weights_are_packed
  func.func @constant_weights_are_packed(%x: tensor<?x4xf32>, %e: tensor<?x20xf32>) -> tensor<?x20xf32> {
    %w = arith.constant dense<1.0> : tensor<4x20xf32>
    // CHECK: tamis_kernel.pack ins({{.+}} : tensor<4x20xf32>) outs({{.+}} : tensor<1x1x4x32xf32>)
    // CHECK-SAME: groups [] column 1 reductions [0] run 1 step 1
    // CHECK: tamis_kernel.contract ins(%{{.+}}, %{{.+}} : tensor<?x4xf32>, tensor<1x1x4x32xf32>)
    // CHECK-SAME: bounds [-9223372036854775808, 20, 4] accumulator f32 by #tamis.vector_fma<lanes = 16, fused = true>
    // CHECK-SAME: packed
    %y = tamis.contract ins(%x, %w : tensor<?x4xf32>, tensor<4x20xf32>) outs(%e : tensor<?x20xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<?x20xf32>
    return %y : tensor<?x20xf32>
  }

  // CHECK-LABEL: func.func @contiguous_activation_stays
  func.func @contiguous_activation_stays(%x: tensor<8x4xf32>, %w: tensor<4x20xf32>, %e: tensor<8x20xf32>) -> tensor<8x20xf32> {
    // CHECK-NOT: tamis_kernel.pack
    // CHECK: tamis_kernel.contract ins(%{{.+}}, %{{.+}} : tensor<8x4xf32>, tensor<4x20xf32>)
    %y = tamis.contract ins(%x, %w : tensor<8x4xf32>, tensor<4x20xf32>) outs(%e : tensor<8x20xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<8x20xf32>
    return %y : tensor<8x20xf32>
  }

  // CHECK-LABEL: func.func @padding_becomes_tensor_pad
  func.func @padding_becomes_tensor_pad(%x: tensor<1x5x4xf32>, %w: tensor<3x4x16xf32>, %e: tensor<1x5x16xf32>) -> tensor<1x5x16xf32> {
    // CHECK: tensor.pad %{{.+}} low[0, 1, 0] high[0, 1, 0]
    // CHECK: tamis_kernel.contract ins(%{{.+}} : tensor<1x7x4xf32>, tensor<3x4x16xf32>)
    %y = tamis.contract ins(%x, %w : tensor<1x5x4xf32>, tensor<3x4x16xf32>) outs(%e : tensor<1x5x16xf32>)
           maps [affine_map<(n, h, o, i, c) -> (n, h + i, c)>, affine_map<(n, h, o, i, c) -> (i, c, o)>,
                 affine_map<(n, h, o, i, c) -> (n, h, o)>]
           iterators ["parallel", "parallel", "parallel", "reduction", "reduction"] pad [0, 1, 0] accumulator f32 -> tensor<1x5x16xf32>
    return %y : tensor<1x5x16xf32>
  }

  // CHECK-LABEL: func.func @columns_not_innermost
  func.func @columns_not_innermost(%x: tensor<8x4xf32>, %w: tensor<4x20xf32>, %e: tensor<20x8xf32>) -> tensor<20x8xf32> {
    // CHECK: tamis.contract
    %y = tamis.contract ins(%x, %w : tensor<8x4xf32>, tensor<4x20xf32>) outs(%e : tensor<20x8xf32>)
           maps [#lhs, #rhs, affine_map<(m, n, k) -> (n, m)>] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<20x8xf32>
    return %y : tensor<20x8xf32>
  }

  // CHECK-LABEL: func.func @double_precision
  func.func @double_precision(%x: tensor<8x4xf64>, %w: tensor<4x20xf64>, %e: tensor<8x20xf64>) -> tensor<8x20xf64> {
    // CHECK: tamis.contract
    %y = tamis.contract ins(%x, %w : tensor<8x4xf64>, tensor<4x20xf64>) outs(%e : tensor<8x20xf64>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f64 -> tensor<8x20xf64>
    return %y : tensor<8x20xf64>
  }
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["avx512f", "avx512vnni"]>} {
  // CHECK-LABEL: func.func @signed_lhs_needs_sums
  func.func @signed_lhs_needs_sums(%x: tensor<8x6xi8>, %w: tensor<6x16xi8>, %e: tensor<8x16xi32>) -> tensor<8x16xi32> {
    // CHECK: tamis_kernel.pack {{.+}} outs({{.+}} : tensor<1x1x2x64xi8>) sums({{.+}} : tensor<1x16xi32>)
    // CHECK: tamis_kernel.contract {{.+}} sums({{.+}}) {{.+}} by #tamis.x86_vnni<lanes = 16>
    %y = tamis.contract ins(%x, %w : tensor<8x6xi8>, tensor<6x16xi8>) outs(%e : tensor<8x16xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<8x16xi32>
    return %y : tensor<8x16xi32>
  }

  // CHECK-LABEL: func.func @unsigned_lhs_without_zero_point
  func.func @unsigned_lhs_without_zero_point(%x: tensor<8x6xi8>, %w: tensor<6x16xi8>, %e: tensor<8x16xi32>) -> tensor<8x16xi32> {
    // CHECK: tamis_kernel.pack
    // CHECK-NOT: sums
    // CHECK: tamis_kernel.contract
    %y = tamis.contract ins(%x, %w : tensor<8x6xi8>, tensor<6x16xi8>) outs(%e : tensor<8x16xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 {lhs_unsigned} -> tensor<8x16xi32>
    return %y : tensor<8x16xi32>
  }
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["avx512f"]>} {
  // CHECK-LABEL: func.func @empty_dimension
  func.func @empty_dimension(%x: tensor<0x6xf32>, %w: tensor<6x16xf32>, %e: tensor<0x16xf32>) -> tensor<0x16xf32> {
    // CHECK: tamis.contract {{.+}}one of its dimensions is empty
    %y = tamis.contract ins(%x, %w : tensor<0x6xf32>, tensor<6x16xf32>) outs(%e : tensor<0x16xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<0x16xf32>
    return %y : tensor<0x16xf32>
  }
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["avx512f"]>} {
  // CHECK-LABEL: func.func @few_columns_take_narrow_vectors
  func.func @few_columns_take_narrow_vectors(%x: tensor<64x6xf32>, %w: tensor<6x8xf32>, %e: tensor<64x8xf32>) -> tensor<64x8xf32> {
    // CHECK: by #tamis.vector_fma<lanes = 8, fused = true>
    %y = tamis.contract ins(%x, %w : tensor<64x6xf32>, tensor<6x8xf32>) outs(%e : tensor<64x8xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<64x8xf32>
    return %y : tensor<64x8xf32>
  }
}
