// RUN: tamis-opt %s -split-input-file --tamis-fold-constants --tamis-select-instructions --tamis-select-storage | FileCheck %s

// The same contraction under profiles that disagree.

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
// Entries that cost a hundred times as much.
module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma"]>, tamis.profile = #tamis.profile<facts = {slot_windows.margin = 1.0e-06 : f64, block_list.margin = 1.0e-06 : f64, row_stream.entry = 50.0 : f64}>} {
  // CHECK-LABEL: func.func @entries_are_dear
  func.func @entries_are_dear(%x: tensor<64x60xf32>, %e: tensor<64x128xf32>) -> tensor<64x128xf32> {
    %zero = arith.constant 0.0 : f32
    %ones = arith.constant dense<1.0> : tensor<6x128xf32>
    %w = tensor.pad %ones low[0, 0] high[54, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : f32
    } : tensor<6x128xf32> to tensor<60x128xf32>
    // CHECK-NOT: pack_stream
    // CHECK: tamis_kernel.contract {{.+}} tile [6, 2, 0] {{.+}} why = "a row stream is {{.+}} slower (predicted)"
    %y = tamis.contract ins(%x, %w : tensor<64x60xf32>, tensor<60x128xf32>) outs(%e : tensor<64x128xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<64x128xf32>
    return %y : tensor<64x128xf32>
  }
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma"]>, tamis.profile = #tamis.profile<facts = {slot_windows.margin = 1.0e-06 : f64, block_list.margin = 1.0e-06 : f64}, measured = {
    "64x128x60 f32 x f32 -> f32 #22b5c92942f438f4" = {"dense 6x2x0" = 4.0 : f64, "dense 5x2x0" = 3.0 : f64,
      "row stream 64, 10%" = 6.0 : f64, "row stream 32, 10%" = 5.0 : f64}}>} {
  // CHECK-LABEL: func.func @dense_was_faster
  func.func @dense_was_faster(%x: tensor<64x60xf32>, %e: tensor<64x128xf32>) -> tensor<64x128xf32> {
    %zero = arith.constant 0.0 : f32
    %ones = arith.constant dense<1.0> : tensor<6x128xf32>
    %w = tensor.pad %ones low[0, 0] high[54, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : f32
    } : tensor<6x128xf32> to tensor<60x128xf32>
    // CHECK-NOT: pack_stream
    // CHECK: tamis_kernel.contract {{.+}} tile [5, 2, 0]
    // CHECK-SAME: "dense 5x2x0" = {measured = 3.000000e+00 : f64, predicted = {{.+}} chosen = "dense 5x2x0"{{.+}} why = "a row stream is 1.67x slower (measured)"
    %y = tamis.contract ins(%x, %w : tensor<64x60xf32>, tensor<60x128xf32>) outs(%e : tensor<64x128xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<64x128xf32>
    return %y : tensor<64x128xf32>
  }

  // Half as many words: of this stream nothing was measured, so what is predicted decides.
  // CHECK-LABEL: func.func @another_share_of_words
  func.func @another_share_of_words(%x: tensor<64x60xf32>, %e: tensor<64x128xf32>) -> tensor<64x128xf32> {
    %zero = arith.constant 0.0 : f32
    %ones = arith.constant dense<1.0> : tensor<3x128xf32>
    %w = tensor.pad %ones low[0, 0] high[57, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : f32
    } : tensor<3x128xf32> to tensor<60x128xf32>
    // CHECK: pack_stream
    // CHECK: why = "dense is {{.+}} slower (predicted)"
    %y = tamis.contract ins(%x, %w : tensor<64x60xf32>, tensor<60x128xf32>) outs(%e : tensor<64x128xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<64x128xf32>
    return %y : tensor<64x128xf32>
  }
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma"]>, tamis.profile = #tamis.profile<facts = {slot_windows.margin = 1.0e-06 : f64, block_list.margin = 1.0e-06 : f64}, measured = {
    "64x128x60 f32 x f32 -> f32 #22b5c92942f438f4" = {"dense 6x2x0" = 8.0 : f64,
      "row stream 64, 10%" = 6.0 : f64, "row stream 32, 10%" = 5.0 : f64}}>} {
  // The stream that was predicted to be slower was measured to be faster.
  // CHECK-LABEL: func.func @the_other_block
  func.func @the_other_block(%x: tensor<64x60xf32>, %e: tensor<64x128xf32>) -> tensor<64x128xf32> {
    %zero = arith.constant 0.0 : f32
    %ones = arith.constant dense<1.0> : tensor<6x128xf32>
    %w = tensor.pad %ones low[0, 0] high[54, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : f32
    } : tensor<6x128xf32> to tensor<60x128xf32>
    // CHECK: pack_stream {{.+}} positions = 32,
    // CHECK: tamis_kernel.contract {{.+}} tile [32, 1, 0] {{.+}} why = "dense is 1.60x slower (measured)"
    %y = tamis.contract ins(%x, %w : tensor<64x60xf32>, tensor<60x128xf32>) outs(%e : tensor<64x128xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<64x128xf32>
    return %y : tensor<64x128xf32>
  }
}

// -----

// Weights of 4 bits are unpacked for tiles where that is cheap.
#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["amx-int8", "amx-tile", "avx512f", "avx512vnni"]>} {
  // CHECK-LABEL: func.func @unpacking_is_cheap
  // CHECK: tamis_kernel.contract {{.+}} by #tamis.x86_amx_int8<nibbles = true>
  func.func @unpacking_is_cheap(%x: tensor<16x64xi8>, %e: tensor<16x32xi32>) -> tensor<16x32xi32> {
    %w = arith.constant dense<15> : tensor<64x32xi8>
    %y = tamis.contract ins(%x, %w : tensor<16x64xi8>, tensor<64x32xi8>) outs(%e : tensor<16x32xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 {rhs_unsigned} -> tensor<16x32xi32>
    return %y : tensor<16x32xi32>
  }
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["amx-int8", "amx-tile", "avx512f", "avx512vnni"]>, tamis.profile = #tamis.profile<facts = {nibbles.unpacked = 100.0 : f64}>} {
  // CHECK-LABEL: func.func @unpacking_is_dear
  // CHECK: tamis_kernel.contract {{.+}} by #tamis.x86_vnni<lanes = 16, swapped = true>
  func.func @unpacking_is_dear(%x: tensor<16x64xi8>, %e: tensor<16x32xi32>) -> tensor<16x32xi32> {
    %w = arith.constant dense<15> : tensor<64x32xi8>
    %y = tamis.contract ins(%x, %w : tensor<16x64xi8>, tensor<64x32xi8>) outs(%e : tensor<16x32xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 {rhs_unsigned} -> tensor<16x32xi32>
    return %y : tensor<16x32xi32>
  }
}
