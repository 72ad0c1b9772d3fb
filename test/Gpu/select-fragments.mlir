// RUN: tamis-opt %s --tamis-select-fragments --split-input-file | FileCheck %s

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>

module attributes {tamis.target = #tamis.target<"nvptx64", ["mma", "mma-sp"]>} {
  // Constant weights are packed tile by tile, 64 elements of the reduction
  // each, in panels of 32 channels; the sums of columns serve the zero point of
  // the rows. At most eight rows have tiles of their own.
  // CHECK-LABEL: @bytes
  // CHECK: %[[P:.*]], %[[S:.*]] = tamis_kernel.pack {{.*}} groups [] column 1 reductions [0] run 1 step 64
  // CHECK-SAME: -> tensor<1x2x2x2048xi8> sums tensor<1x64xi32>
  // CHECK: tamis_gpu.contract ins(%{{.*}}, %[[P]] : {{.*}}) sums(%[[S]] : tensor<1x64xi32>) lhs_zero
  // CHECK-SAME: by #tamis_gpu.mma<element = i8, emulated = false> tiles <channels = 64, rows = 32, words = 16, warpChannels = 32, warpRows = 16, stages = 4>
  // CHECK-SAME: few <channels = 32, rows = 8, words = 16, warpChannels = 32, warpRows = 8, stages = 8> {packed}
  func.func @bytes(%x: tensor<?x72xi8>, %e: tensor<?x40xi32>) -> tensor<?x40xi32> {
    %z = arith.constant 3 : i8
    %w = arith.constant dense<2> : tensor<72x40xi8>
    %y = tamis.contract ins(%x, %w : tensor<?x72xi8>, tensor<72x40xi8>) lhs_zero(%z : i8) outs(%e : tensor<?x40xi32>)
      maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<?x40xi32>
    return %y : tensor<?x40xi32>
  }

  // Unsigned weights are packed as signed ones; 128 is their zero point then.
  // CHECK-LABEL: @unsigned_weights
  // CHECK: tamis_kernel.pack {{.*}} {is_unsigned, offset = 128 : i64}
  // CHECK: tamis_gpu.contract
  // CHECK-NOT: rhs_zero
  // CHECK: return
  func.func @unsigned_weights(%x: tensor<8x64xi8>, %e: tensor<8x40xi32>) -> tensor<8x40xi32> {
    %z = arith.constant 128 : i32
    %w = arith.constant dense<2> : tensor<64x40xi8>
    %y = tamis.contract ins(%x, %w : tensor<8x64xi8>, tensor<64x40xi8>) rhs_zero(%z : i32) outs(%e : tensor<8x40xi32>)
      maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 {rhs_unsigned} -> tensor<8x40xi32>
    return %y : tensor<8x40xi32>
  }

  // Of four consecutive elements of each column two are zero.
  // CHECK-LABEL: @two_of_four
  // CHECK: %[[P:.*]] = tamis_kernel.pack {{.*}} -> tensor<1x1x1x2048xi8>
  // CHECK: %[[V:.*]], %[[M:.*]] = tamis_gpu.compress %[[P]] words 16 : tensor<1x1x1x2048xi8> -> tensor<1x1x1x1024xi8>, tensor<1x1x1x64xi32>
  // CHECK: tamis_gpu.contract ins(%{{.*}}, %[[V]] : {{.*}}) metadata(%[[M]] : {{.*}}by #tamis_gpu.mma_sparse<emulated = false>
  func.func @two_of_four(%x: tensor<8x8xi8>, %e: tensor<8x1xi32>) -> tensor<8x1xi32> {
    %w = arith.constant dense<[[1], [0], [2], [0], [0], [0], [3], [4]]> : tensor<8x1xi8>
    %y = tamis.contract ins(%x, %w : tensor<8x8xi8>, tensor<8x1xi8>) outs(%e : tensor<8x1xi32>)
      maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<8x1xi32>
    return %y : tensor<8x1xi32>
  }

  // CHECK-LABEL: @three_of_four
  // CHECK-NOT: tamis_gpu.compress
  // CHECK: by #tamis_gpu.mma<element = i8
  func.func @three_of_four(%x: tensor<8x8xi8>, %e: tensor<8x1xi32>) -> tensor<8x1xi32> {
    %w = arith.constant dense<[[1], [5], [2], [0], [0], [0], [3], [4]]> : tensor<8x1xi8>
    %y = tamis.contract ins(%x, %w : tensor<8x8xi8>, tensor<8x1xi8>) outs(%e : tensor<8x1xi32>)
      maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<8x1xi32>
    return %y : tensor<8x1xi32>
  }

  // A product of activations reads both where they lie.
  // CHECK-LABEL: @activations
  // CHECK-NOT: tamis_kernel.pack
  // CHECK: by #tamis_gpu.lane_fma tiles
  // CHECK-NOT: packed
  // CHECK: return
  func.func @activations(%x: tensor<8x64xf32>, %w: tensor<64x40xf32>, %e: tensor<8x40xf32>) -> tensor<8x40xf32> {
    %y = tamis.contract ins(%x, %w : tensor<8x64xf32>, tensor<64x40xf32>) outs(%e : tensor<8x40xf32>)
      maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<8x40xf32>
    return %y : tensor<8x40xf32>
  }

  // Products of float16 need it on both sides; float32 rows take their weights
  // widened while packing.
  // CHECK-LABEL: @halves
  // CHECK: tamis_kernel.pack {{.*}} step 32 -> tensor<1x2x2x1024xf16>
  // CHECK: by #tamis_gpu.mma<element = f16, emulated = false>
  func.func @halves(%x: tensor<8x64xf16>, %e: tensor<8x40xf32>) -> tensor<8x40xf32> {
    %w = arith.constant dense<2.0> : tensor<64x40xf16>
    %y = tamis.contract ins(%x, %w : tensor<8x64xf16>, tensor<64x40xf16>) outs(%e : tensor<8x40xf32>)
      maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<8x40xf32>
    return %y : tensor<8x40xf32>
  }

  // CHECK-LABEL: @half_weights
  // CHECK: tamis_kernel.pack {{.*}} step 16 -> tensor<1x2x4x512xf32>
  // CHECK: by #tamis_gpu.lane_fma
  func.func @half_weights(%x: tensor<8x64xf32>, %e: tensor<8x40xf32>) -> tensor<8x40xf32> {
    %w = arith.constant dense<2.0> : tensor<64x40xf16>
    %y = tamis.contract ins(%x, %w : tensor<8x64xf32>, tensor<64x40xf16>) outs(%e : tensor<8x40xf32>)
      maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<8x40xf32>
    return %y : tensor<8x40xf32>
  }

  // CHECK-LABEL: @half_weights_of_activations
  // CHECK: tamis.contract {{.*}}tamis.reason = "no fragment instruction takes these element types"
  func.func @half_weights_of_activations(%x: tensor<8x64xf32>, %w: tensor<64x40xf16>, %e: tensor<8x40xf32>) -> tensor<8x40xf32> {
    %y = tamis.contract ins(%x, %w : tensor<8x64xf32>, tensor<64x40xf16>) outs(%e : tensor<8x40xf32>)
      maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<8x40xf32>
    return %y : tensor<8x40xf32>
  }

  // Integers beside floats become codes, nibbles where 16 values are enough.
  // CHECK-LABEL: @codes
  // CHECK: %[[P:.*]] = tamis_kernel.pack {{.*}} step 32 -> tensor<1x2x2x1024xi8>
  // CHECK: %[[C:.*]] = tamis_gpu.encode %[[P]] by #tamis_gpu.mma<element = f16, emulated = false> codes <bits = 4, low = -8> step 32 words 16 : tensor<1x2x2x1024xi8> -> tensor<1x2x2x128xi32>
  // CHECK: tamis_gpu.contract ins(%{{.*}}, %[[C]] : {{.*}} codes <bits = 4, low = -8> {packed}
  func.func @codes(%x: tensor<8x64xf16>, %e: tensor<8x40xf32>) -> tensor<8x40xf32> {
    %w = arith.constant dense<-8> : tensor<64x40xi8>
    %y = tamis.contract ins(%x, %w : tensor<8x64xf16>, tensor<64x40xi8>) outs(%e : tensor<8x40xf32>)
      maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<8x40xf32>
    return %y : tensor<8x40xf32>
  }

  // CHECK-LABEL: @wide_codes
  // CHECK: codes <bits = 8, low = -8> {packed}
  func.func @wide_codes(%x: tensor<8x2xf32>, %e: tensor<8x1xf32>) -> tensor<8x1xf32> {
    %w = arith.constant dense<[[-8], [8]]> : tensor<2x1xi8>
    %y = tamis.contract ins(%x, %w : tensor<8x2xf32>, tensor<2x1xi8>) outs(%e : tensor<8x1xf32>)
      maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<8x1xf32>
    return %y : tensor<8x1xf32>
  }

  // CHECK-LABEL: @codes_of_activations
  // CHECK: tamis.contract {{.*}}tamis.reason = "integers beside floats are not constant bytes"
  func.func @codes_of_activations(%x: tensor<8x64xf32>, %w: tensor<64x40xi8>, %e: tensor<8x40xf32>) -> tensor<8x40xf32> {
    %y = tamis.contract ins(%x, %w : tensor<8x64xf32>, tensor<64x40xi8>) outs(%e : tensor<8x40xf32>)
      maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<8x40xf32>
    return %y : tensor<8x40xf32>
  }

  // Blocks of 32 and their scales: one kernel, a tile of 16 words for each.
  // CHECK-LABEL: @blocks
  // CHECK: tamis_gpu.contract ins({{.*}}) factors(%{{.*}} : tensor<40x2xf32>) outs
  // CHECK-SAME: words = 16
  // CHECK-SAME: {block = 3 : i64, packed} combine {
  // CHECK: arith.mulf
  // CHECK-NOT: linalg.generic
  // CHECK-LABEL: @odd_blocks
  func.func @blocks(%x: tensor<8x2x32xf16>, %s: tensor<40x2xf32>) -> tensor<8x40xf32> {
    %zero = arith.constant 0.0 : f32
    %w = arith.constant dense<1> : tensor<40x2x32xi8>
    %e = tensor.empty() : tensor<2x8x40xf32>
    %sums = tamis.contract ins(%x, %w : tensor<8x2x32xf16>, tensor<40x2x32xi8>) outs(%e : tensor<2x8x40xf32>)
      maps [affine_map<(m, n, k, b) -> (m, b, k)>, affine_map<(m, n, k, b) -> (n, b, k)>, affine_map<(m, n, k, b) -> (b, m, n)>]
      iterators ["parallel", "parallel", "reduction", "parallel"] pad [0, 0, 0] accumulator f32 -> tensor<2x8x40xf32>
    %e2 = tensor.empty() : tensor<8x40xf32>
    %init = linalg.fill ins(%zero : f32) outs(%e2 : tensor<8x40xf32>) -> tensor<8x40xf32>
    %y = linalg.generic {indexing_maps = [affine_map<(m, n, b) -> (b, m, n)>, affine_map<(m, n, b) -> (n, b)>, affine_map<(m, n, b) -> (m, n)>],
        iterator_types = ["parallel", "parallel", "reduction"]} ins(%sums, %s : tensor<2x8x40xf32>, tensor<40x2xf32>) outs(%init : tensor<8x40xf32>) {
    ^bb0(%a: f32, %b: f32, %t: f32):
      %p = arith.mulf %a, %b : f32
      %q = arith.addf %t, %p : f32
      linalg.yield %q : f32
    } -> tensor<8x40xf32>
    return %y : tensor<8x40xf32>
  }

  // No fragment of float16 ends with a block of 24.
  // CHECK: by #tamis_gpu.mma
  // CHECK-NOT: combine
  // CHECK: linalg.generic
  func.func @odd_blocks(%x: tensor<8x2x24xf16>, %s: tensor<40x2xf32>) -> tensor<8x40xf32> {
    %zero = arith.constant 0.0 : f32
    %w = arith.constant dense<1> : tensor<40x2x24xi8>
    %e = tensor.empty() : tensor<2x8x40xf32>
    %sums = tamis.contract ins(%x, %w : tensor<8x2x24xf16>, tensor<40x2x24xi8>) outs(%e : tensor<2x8x40xf32>)
      maps [affine_map<(m, n, k, b) -> (m, b, k)>, affine_map<(m, n, k, b) -> (n, b, k)>, affine_map<(m, n, k, b) -> (b, m, n)>]
      iterators ["parallel", "parallel", "reduction", "parallel"] pad [0, 0, 0] accumulator f32 -> tensor<2x8x40xf32>
    %e2 = tensor.empty() : tensor<8x40xf32>
    %init = linalg.fill ins(%zero : f32) outs(%e2 : tensor<8x40xf32>) -> tensor<8x40xf32>
    %y = linalg.generic {indexing_maps = [affine_map<(m, n, b) -> (b, m, n)>, affine_map<(m, n, b) -> (n, b)>, affine_map<(m, n, b) -> (m, n)>],
        iterator_types = ["parallel", "parallel", "reduction"]} ins(%sums, %s : tensor<2x8x40xf32>, tensor<40x2xf32>) outs(%init : tensor<8x40xf32>) {
    ^bb0(%a: f32, %b: f32, %t: f32):
      %p = arith.mulf %a, %b : f32
      %q = arith.addf %t, %p : f32
      linalg.yield %q : f32
    } -> tensor<8x40xf32>
    return %y : tensor<8x40xf32>
  }

  // CHECK-LABEL: @wide_integers
  // CHECK: tamis.contract {{.*}}tamis.reason = "no fragment instruction takes these element types"
  func.func @wide_integers(%x: tensor<8x64xi32>, %w: tensor<64x40xi32>, %e: tensor<8x40xi32>) -> tensor<8x40xi32> {
    %y = tamis.contract ins(%x, %w : tensor<8x64xi32>, tensor<64x40xi32>) outs(%e : tensor<8x40xi32>)
      maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<8x40xi32>
    return %y : tensor<8x40xi32>
  }
}

// -----

#lhs = affine_map<(n, y, x, o, i, j, c) -> (n, y + i, x + j, c)>
#rhs = affine_map<(n, y, x, o, i, j, c) -> (i, j, c, o)>
#out = affine_map<(n, y, x, o, i, j, c) -> (n, y, x, o)>

// No tensor cores asked for: products of one lane, without asynchronous copies.
module attributes {tamis.target = #tamis.target<"vulkan", []>} {
  // The reductions of a window are one run.
  // CHECK-LABEL: @window
  // CHECK: tensor.pad
  // CHECK: tamis_kernel.pack {{.*}} reductions [0, 1, 2] run 3 step 64
  // CHECK: by #tamis_gpu.lane_dot<native = false> {{.*}}stages = 1
  func.func @window(%x: tensor<1x8x8x3xi8>, %e: tensor<1x8x8x16xi32>) -> tensor<1x8x8x16xi32> {
    %w = arith.constant dense<2> : tensor<3x3x3x16xi8>
    %y = tamis.contract ins(%x, %w : tensor<1x8x8x3xi8>, tensor<3x3x3x16xi8>) outs(%e : tensor<1x8x8x16xi32>)
      maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
      pad [0, 1, 1, 0] accumulator i32 -> tensor<1x8x8x16xi32>
    return %y : tensor<1x8x8x16xi32>
  }
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>

// A machine without a GPU.
module attributes {tamis.target = #tamis.target<"x86_64", ["mma"]>} {
  // CHECK-LABEL: @host
  // CHECK: tamis.contract
  func.func @host(%x: tensor<8x64xf32>, %w: tensor<64x40xf32>, %e: tensor<8x40xf32>) -> tensor<8x40xf32> {
    %y = tamis.contract ins(%x, %w : tensor<8x64xf32>, tensor<64x40xf32>) outs(%e : tensor<8x40xf32>)
      maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<8x40xf32>
    return %y : tensor<8x40xf32>
  }
}
