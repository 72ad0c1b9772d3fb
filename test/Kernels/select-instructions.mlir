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

// -----

#lhs = affine_map<(m, n, b, k) -> (m, b, k)>
#rhs = affine_map<(m, n, b, k) -> (n, b, k)>
#sums = affine_map<(m, n, b, k) -> (b, m, n)>
#add = affine_map<(m, n, b) -> (b, m, n)>
#scale = affine_map<(m, n, b) -> (n, b)>
#row = affine_map<(m, n, b) -> (m, b)>
#res = affine_map<(m, n, b) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma"]>} {
  // Scales that float16 holds become float16; two codes lie in a byte; the sums
  // of blocks never reach memory.
  // CHECK-LABEL: func.func @sums_of_blocks_are_added_up_inside
  // CHECK-DAG: %[[W:.+]] = tamis_kernel.pack ins(%{{.+}} : tensor<16x2x8xi8>) outs(%{{.+}} : tensor<1x1x2x64xi8>) groups [] column 0 reductions [1, 2] run 1 step 4 {is_unsigned, nibbles}
  // CHECK-DAG: %[[S:.+]] = tamis_kernel.pack ins(%{{.+}} : tensor<16x2xf32>) outs(%{{.+}} : tensor<1x1x2x16xf16>) groups [] column 0 reductions [1] run 1 step 1
  // CHECK: tamis_kernel.contract ins(%{{.+}}, %[[W]] : tensor<3x2x8xi8>, tensor<1x1x2x64xi8>) factors(%{{.+}}, %[[S]] : tensor<3x2xi32>, tensor<1x1x2x16xf16>)
  // CHECK-SAME: iterators ["parallel", "parallel", "reduction", "reduction"] bounds [3, 16, 2, 8] accumulator i32
  // CHECK-SAME: by #tamis.x86_maddubs<lanes = 8, swapped = true> tile [3, 2, 0]
  // CHECK-SAME: block = 2 : i64, nibbles, packed
  // CHECK-SAME: combine {
  // CHECK: ^bb0(%[[TOTAL:.+]]: f32, %[[SUM:.+]]: i32, %{{.+}}: i32, %[[H:.+]]: f16):
  // CHECK: arith.extf %[[H]] : f16 to f32
  // CHECK: arith.addf %[[TOTAL]]
  func.func @sums_of_blocks_are_added_up_inside(%x: tensor<3x2x8xi8>, %rows: tensor<3x2xi32>) -> tensor<3x16xf32> {
    %w = arith.constant dense<15> : tensor<16x2x8xi8>
    %s = arith.constant dense<0.25> : tensor<16x2xf32>
    %e = tensor.empty() : tensor<2x3x16xi32>
    %sums = tamis.contract ins(%x, %w : tensor<3x2x8xi8>, tensor<16x2x8xi8>) outs(%e : tensor<2x3x16xi32>)
      maps [#lhs, #rhs, #sums] iterators ["parallel", "parallel", "parallel", "reduction"] pad [0, 0, 0] accumulator i32 {rhs_unsigned} -> tensor<2x3x16xi32>
    %zero = arith.constant 0.0 : f32
    %f = tensor.empty() : tensor<3x16xf32>
    %init = linalg.fill ins(%zero : f32) outs(%f : tensor<3x16xf32>) -> tensor<3x16xf32>
    %y = linalg.generic {indexing_maps = [#add, #row, #scale, #res], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%sums, %rows, %s : tensor<2x3x16xi32>, tensor<3x2xi32>, tensor<16x2xf32>) outs(%init : tensor<3x16xf32>) {
    ^bb0(%sum: i32, %row: i32, %scale: f32, %total: f32):
      %d = arith.subi %sum, %row : i32
      %r = arith.sitofp %d : i32 to f32
      %p = arith.mulf %r, %scale : f32
      %t = arith.addf %total, %p : f32
      linalg.yield %t : f32
    } -> tensor<3x16xf32>
    return %y : tensor<3x16xf32>
  }

  // Narrow sums leave registers to the bytes, both halves of them, a product and a mask.
  // CHECK-LABEL: func.func @narrow_sums_are_few
  // CHECK: by #tamis.x86_maddubs<lanes = 8, swapped = true> tile [4, 2, 0]
  func.func @narrow_sums_are_few(%x: tensor<64x2x8xi8>) -> tensor<64x32xf32> {
    %w = arith.constant dense<15> : tensor<32x2x8xi8>
    %e = tensor.empty() : tensor<2x64x32xi32>
    %sums = tamis.contract ins(%x, %w : tensor<64x2x8xi8>, tensor<32x2x8xi8>) outs(%e : tensor<2x64x32xi32>)
      maps [#lhs, #rhs, #sums] iterators ["parallel", "parallel", "parallel", "reduction"] pad [0, 0, 0] accumulator i32 {rhs_unsigned} -> tensor<2x64x32xi32>
    %zero = arith.constant 0.0 : f32
    %f = tensor.empty() : tensor<64x32xf32>
    %init = linalg.fill ins(%zero : f32) outs(%f : tensor<64x32xf32>) -> tensor<64x32xf32>
    // Two terms are added to the total.
    // CHECK: arith.addf
    // CHECK-NEXT: arith.addf
    // CHECK-NEXT: tamis.yield
    %y = linalg.generic {indexing_maps = [#add, #res], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%sums : tensor<2x64x32xi32>) outs(%init : tensor<64x32xf32>) {
    ^bb0(%sum: i32, %total: f32):
      %r = arith.sitofp %sum : i32 to f32
      %o = arith.mulf %r, %r : f32
      %s = arith.addf %total, %o : f32
      %t = arith.addf %s, %r : f32
      linalg.yield %t : f32
    } -> tensor<64x32xf32>
    return %y : tensor<64x32xf32>
  }

  // What is multiplied by the total is no sum.
  // CHECK-LABEL: func.func @totals_that_decay_stay_apart
  // CHECK: tamis_kernel.contract {{.+}} -> tensor<2x3x16xi32>
  // CHECK: linalg.generic
  func.func @totals_that_decay_stay_apart(%x: tensor<3x2x8xi8>) -> tensor<3x16xf32> {
    %w = arith.constant dense<15> : tensor<16x2x8xi8>
    %e = tensor.empty() : tensor<2x3x16xi32>
    %sums = tamis.contract ins(%x, %w : tensor<3x2x8xi8>, tensor<16x2x8xi8>) outs(%e : tensor<2x3x16xi32>)
      maps [#lhs, #rhs, #sums] iterators ["parallel", "parallel", "parallel", "reduction"] pad [0, 0, 0] accumulator i32 {rhs_unsigned} -> tensor<2x3x16xi32>
    %zero = arith.constant 0.0 : f32
    %f = tensor.empty() : tensor<3x16xf32>
    %init = linalg.fill ins(%zero : f32) outs(%f : tensor<3x16xf32>) -> tensor<3x16xf32>
    %y = linalg.generic {indexing_maps = [#add, #res], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%sums : tensor<2x3x16xi32>) outs(%init : tensor<3x16xf32>) {
    ^bb0(%sum: i32, %total: f32):
      %r = arith.sitofp %sum : i32 to f32
      %d = arith.mulf %total, %r : f32
      %t = arith.addf %d, %r : f32
      linalg.yield %t : f32
    } -> tensor<3x16xf32>
    return %y : tensor<3x16xf32>
  }

  // Scales of another precision than float16, codes beyond 15.
  // CHECK-LABEL: func.func @bytes_and_floats_stay
  // CHECK: tamis_kernel.pack {{.+}} step 2 {is_unsigned, offset = 128 : i64}
  // CHECK: tamis_kernel.pack {{.+}} -> tensor<1x1x2x16xf32>
  // CHECK: tamis_kernel.contract {{.+}} by #tamis.x86_madd<lanes = 8>
  // CHECK-SAME: block = 2 : i64, packed
  func.func @bytes_and_floats_stay(%x: tensor<3x2x8xi8>) -> tensor<3x16xf32> {
    %w = arith.constant dense<16> : tensor<16x2x8xi8>
    %s = arith.constant dense<0.1> : tensor<16x2xf32>
    %e = tensor.empty() : tensor<2x3x16xi32>
    %sums = tamis.contract ins(%x, %w : tensor<3x2x8xi8>, tensor<16x2x8xi8>) outs(%e : tensor<2x3x16xi32>)
      maps [#lhs, #rhs, #sums] iterators ["parallel", "parallel", "parallel", "reduction"] pad [0, 0, 0] accumulator i32 {rhs_unsigned} -> tensor<2x3x16xi32>
    %zero = arith.constant 0.0 : f32
    %f = tensor.empty() : tensor<3x16xf32>
    %init = linalg.fill ins(%zero : f32) outs(%f : tensor<3x16xf32>) -> tensor<3x16xf32>
    %y = linalg.generic {indexing_maps = [#add, #scale, #res], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%sums, %s : tensor<2x3x16xi32>, tensor<16x2xf32>) outs(%init : tensor<3x16xf32>) {
    ^bb0(%sum: i32, %scale: f32, %total: f32):
      %r = arith.sitofp %sum : i32 to f32
      %p = arith.mulf %r, %scale : f32
      %t = arith.addf %p, %total : f32
      linalg.yield %t : f32
    } -> tensor<3x16xf32>
    return %y : tensor<3x16xf32>
  }

  // The sum of column sums needs a zero point for each block.
  // CHECK-LABEL: func.func @sums_stay_apart_with_a_zero_point
  // CHECK: tamis_kernel.contract {{.+}} -> tensor<2x3x16xi32>
  // CHECK: linalg.generic
  func.func @sums_stay_apart_with_a_zero_point(%x: tensor<3x2x8xi8>) -> tensor<3x16xf32> {
    %w = arith.constant dense<15> : tensor<16x2x8xi8>
    %z = arith.constant 3 : i8
    %e = tensor.empty() : tensor<2x3x16xi32>
    %sums = tamis.contract ins(%x, %w : tensor<3x2x8xi8>, tensor<16x2x8xi8>) lhs_zero(%z : i8) outs(%e : tensor<2x3x16xi32>)
      maps [#lhs, #rhs, #sums] iterators ["parallel", "parallel", "parallel", "reduction"] pad [0, 0, 0] accumulator i32 -> tensor<2x3x16xi32>
    %zero = arith.constant 0.0 : f32
    %f = tensor.empty() : tensor<3x16xf32>
    %init = linalg.fill ins(%zero : f32) outs(%f : tensor<3x16xf32>) -> tensor<3x16xf32>
    %y = linalg.generic {indexing_maps = [#add, #res], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%sums : tensor<2x3x16xi32>) outs(%init : tensor<3x16xf32>) {
    ^bb0(%sum: i32, %total: f32):
      %r = arith.sitofp %sum : i32 to f32
      %t = arith.addf %total, %r : f32
      linalg.yield %t : f32
    } -> tensor<3x16xf32>
    return %y : tensor<3x16xf32>
  }

  // CHECK-LABEL: func.func @sums_that_begin_elsewhere_stay_apart
  // CHECK: tamis_kernel.contract {{.+}} -> tensor<2x3x16xf32>
  // CHECK: linalg.generic
  func.func @sums_that_begin_elsewhere_stay_apart(%x: tensor<3x2x8xf32>, %init: tensor<3x16xf32>) -> tensor<3x16xf32> {
    %w = arith.constant dense<7> : tensor<16x2x8xi8>
    %e = tensor.empty() : tensor<2x3x16xf32>
    %sums = tamis.contract ins(%x, %w : tensor<3x2x8xf32>, tensor<16x2x8xi8>) outs(%e : tensor<2x3x16xf32>)
      maps [#lhs, #rhs, #sums] iterators ["parallel", "parallel", "parallel", "reduction"] pad [0, 0, 0] accumulator f32 -> tensor<2x3x16xf32>
    %y = linalg.generic {indexing_maps = [#add, #res], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%sums : tensor<2x3x16xf32>) outs(%init : tensor<3x16xf32>) {
    ^bb0(%sum: f32, %total: f32):
      %t = arith.addf %total, %sum : f32
      linalg.yield %t : f32
    } -> tensor<3x16xf32>
    return %y : tensor<3x16xf32>
  }

  // CHECK-LABEL: func.func @unsigned_bytes_by_floats
  // CHECK: tamis.contract
  func.func @unsigned_bytes_by_floats(%x: tensor<3x8xf32>, %w: tensor<8x16xi8>, %e: tensor<3x16xf32>) -> tensor<3x16xf32> {
    %y = tamis.contract ins(%x, %w : tensor<3x8xf32>, tensor<8x16xi8>) outs(%e : tensor<3x16xf32>)
      maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {rhs_unsigned} -> tensor<3x16xf32>
    return %y : tensor<3x16xf32>
  }
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma"]>} {
  // 128 rows of 8192 elements do not fit into L2, pieces of them do.
  // CHECK-LABEL: func.func @long_sums_are_cut
  // CHECK: tile [{{[0-9]+, [0-9]+, 0, [0-9]+}}]
  func.func @long_sums_are_cut(%x: tensor<128x8192xf32>, %e: tensor<128x2048xf32>) -> tensor<128x2048xf32> {
    %w = arith.constant dense<1.0> : tensor<8192x2048xf32>
    %y = tamis.contract ins(%x, %w : tensor<128x8192xf32>, tensor<8192x2048xf32>) outs(%e : tensor<128x2048xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<128x2048xf32>
    return %y : tensor<128x2048xf32>
  }

  // CHECK-LABEL: func.func @of_open_rows_too
  // CHECK: tile [{{[0-9]+, [0-9]+, [1-9][0-9]*, [0-9]+}}]
  func.func @of_open_rows_too(%x: tensor<?x8192xf32>, %e: tensor<?x2048xf32>) -> tensor<?x2048xf32> {
    %w = arith.constant dense<1.0> : tensor<8192x2048xf32>
    %y = tamis.contract ins(%x, %w : tensor<?x8192xf32>, tensor<8192x2048xf32>) outs(%e : tensor<?x2048xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<?x2048xf32>
    return %y : tensor<?x2048xf32>
  }

  // One row is read once.
  // CHECK-LABEL: func.func @one_row_is_not_cut
  // CHECK: tile [{{[0-9]+, [0-9]+, 0}}]
  func.func @one_row_is_not_cut(%x: tensor<1x8192xf32>, %e: tensor<1x2048xf32>) -> tensor<1x2048xf32> {
    %w = arith.constant dense<1.0> : tensor<8192x2048xf32>
    %y = tamis.contract ins(%x, %w : tensor<1x8192xf32>, tensor<8192x2048xf32>) outs(%e : tensor<1x2048xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x2048xf32>
    return %y : tensor<1x2048xf32>
  }

  // Float sums cannot wait in bytes.
  // CHECK-LABEL: func.func @bytes_hold_no_sums
  // CHECK: tile [{{[0-9]+, [0-9]+, [0-9]+}}]
  func.func @bytes_hold_no_sums(%x: tensor<128x8192xf32>, %e: tensor<128x2048xi8>) -> tensor<128x2048xi8> {
    %w = arith.constant dense<1.0> : tensor<8192x2048xf32>
    %y = tamis.contract ins(%x, %w : tensor<128x8192xf32>, tensor<8192x2048xf32>) outs(%e : tensor<128x2048xi8>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 epilogue {
    ^bb0(%a: f32):
      %0 = arith.fptosi %a : f32 to i8
      tamis.yield %0 : i8
    } -> tensor<128x2048xi8>
    return %y : tensor<128x2048xi8>
  }
}

// -----

module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma"]>} {
  // The packer reads keys as they were before the transpose; values of 256
  // lines far apart are packed, of 64 they stay in L1.
  // CHECK-LABEL: func.func @keys_and_values
  // CHECK-NOT: linalg.transpose
  // CHECK: tamis_kernel.pack ins(%arg1 : tensor<256x12x32xf32>)
  // CHECK: tamis_kernel.pack ins(%arg1 : tensor<256x12x32xf32>)
  // CHECK-NOT: tamis_kernel.pack
  // CHECK: return
  func.func @keys_and_values(%q: tensor<128x12x32xf32>, %k: tensor<256x12x32xf32>, %e: tensor<12x128x256xf32>, %t: tensor<12x32x256xf32>,
                             %o: tensor<128x12x32xf32>, %short: tensor<64x12x32xf32>, %p: tensor<12x128x64xf32>)
      -> (tensor<128x12x32xf32>, tensor<128x12x32xf32>) {
    %turned = linalg.transpose ins(%k : tensor<256x12x32xf32>) outs(%t : tensor<12x32x256xf32>) permutation = [1, 2, 0]
    %s = tamis.contract ins(%q, %turned : tensor<128x12x32xf32>, tensor<12x32x256xf32>) outs(%e : tensor<12x128x256xf32>)
           maps [affine_map<(h, m, n, k) -> (m, h, k)>, affine_map<(h, m, n, k) -> (h, k, n)>, affine_map<(h, m, n, k) -> (h, m, n)>]
           iterators ["parallel", "parallel", "parallel", "reduction"] pad [0, 0, 0] accumulator f32 -> tensor<12x128x256xf32>
    %y = tamis.contract ins(%s, %k : tensor<12x128x256xf32>, tensor<256x12x32xf32>) outs(%o : tensor<128x12x32xf32>)
           maps [affine_map<(h, m, n, k) -> (h, m, k)>, affine_map<(h, m, n, k) -> (k, h, n)>, affine_map<(h, m, n, k) -> (m, h, n)>]
           iterators ["parallel", "parallel", "parallel", "reduction"] pad [0, 0, 0] accumulator f32 -> tensor<128x12x32xf32>
    %z = tamis.contract ins(%p, %short : tensor<12x128x64xf32>, tensor<64x12x32xf32>) outs(%o : tensor<128x12x32xf32>)
           maps [affine_map<(h, m, n, k) -> (h, m, k)>, affine_map<(h, m, n, k) -> (k, h, n)>, affine_map<(h, m, n, k) -> (m, h, n)>]
           iterators ["parallel", "parallel", "parallel", "reduction"] pad [0, 0, 0] accumulator f32 -> tensor<128x12x32xf32>
    return %y, %z : tensor<128x12x32xf32>, tensor<128x12x32xf32>
  }
}

// -----

#q = affine_map<(h, m, n, k) -> (h, m, k)>
#k = affine_map<(h, m, n, k) -> (h, n, k)>
#s = affine_map<(h, m, n, k) -> (h, m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma"]>} {
  // Keys that few rows read stay as they lie.
  // CHECK-LABEL: func.func @few_rows_by_keys
  // CHECK-NOT: tamis_kernel.pack
  // CHECK: tamis_kernel.contract ins(%arg0, %arg1 :
  // CHECK-NOT: {packed
  func.func @few_rows_by_keys(%q: tensor<3x3x64xf32>, %k: tensor<3x900x64xf32>, %e: tensor<3x3x900xf32>) -> tensor<3x3x900xf32> {
    %s = tamis.contract ins(%q, %k : tensor<3x3x64xf32>, tensor<3x900x64xf32>) outs(%e : tensor<3x3x900xf32>)
           maps [#q, #k, #s] iterators ["parallel", "parallel", "parallel", "reduction"] pad [0, 0, 0] accumulator f32 -> tensor<3x3x900xf32>
    return %s : tensor<3x3x900xf32>
  }

  // So do those that nobody knows how many rows read.
  // CHECK-LABEL: func.func @open_rows_by_keys
  // CHECK-NOT: tamis_kernel.pack
  // CHECK: return
  func.func @open_rows_by_keys(%q: tensor<3x?x64xf32>, %k: tensor<3x?x64xf32>, %rows: index, %keys: index) -> tensor<3x?x?xf32> {
    %e = tensor.empty(%rows, %keys) : tensor<3x?x?xf32>
    %s = tamis.contract ins(%q, %k : tensor<3x?x64xf32>, tensor<3x?x64xf32>) outs(%e : tensor<3x?x?xf32>)
           maps [#q, #k, #s] iterators ["parallel", "parallel", "parallel", "reduction"] pad [0, 0, 0] accumulator f32 -> tensor<3x?x?xf32>
    return %s : tensor<3x?x?xf32>
  }

  // As many rows as keys are packed for.
  // CHECK-LABEL: func.func @as_many_rows_as_keys
  // CHECK: tamis_kernel.pack
  func.func @as_many_rows_as_keys(%q: tensor<3x?x64xf32>, %k: tensor<3x?x64xf32>, %rows: index) -> tensor<3x?x?xf32> {
    %e = tensor.empty(%rows, %rows) : tensor<3x?x?xf32>
    %s = tamis.contract ins(%q, %k : tensor<3x?x64xf32>, tensor<3x?x64xf32>) outs(%e : tensor<3x?x?xf32>)
           maps [#q, #k, #s] iterators ["parallel", "parallel", "parallel", "reduction"] pad [0, 0, 0] accumulator f32 -> tensor<3x?x?xf32>
    return %s : tensor<3x?x?xf32>
  }

  // A panel of long sums would not fit into L1.
  // CHECK-LABEL: func.func @long_sums_are_packed
  // CHECK: tamis_kernel.pack
  func.func @long_sums_are_packed(%q: tensor<3x3x640xf32>, %k: tensor<3x90x640xf32>, %e: tensor<3x3x90xf32>) -> tensor<3x3x90xf32> {
    %s = tamis.contract ins(%q, %k : tensor<3x3x640xf32>, tensor<3x90x640xf32>) outs(%e : tensor<3x3x90xf32>)
           maps [#q, #k, #s] iterators ["parallel", "parallel", "parallel", "reduction"] pad [0, 0, 0] accumulator f32 -> tensor<3x3x90xf32>
    return %s : tensor<3x3x90xf32>
  }
}
