// RUN: tamis-opt %s -split-input-file --tamis-fold-constants --tamis-select-instructions --tamis-select-storage | FileCheck %s
// RUN: tamis-opt %s -split-input-file --tamis-fold-constants --tamis-select-instructions --tamis-select-storage --tamis-select-storage | FileCheck %s

// Weights are rows of ones in a field of zeros: block lists would be best, so a
// profile says that they are not worth it.

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma"]>, tamis.profile = #tamis.profile<facts = {slot_windows.margin = 1.0e-06 : f64, block_list.margin = 1.0e-06 : f64, n_of_m.margin = 1.0e-06 : f64, codebook.margin = 1.0e-06 : f64}>} {
  // CHECK-LABEL: func.func @zeros_leave
  func.func @zeros_leave(%x: tensor<64x60xf32>, %e: tensor<64x128xf32>) -> tensor<64x128xf32> {
    %zero = arith.constant 0.0 : f32
    %ones = arith.constant dense<1.0> : tensor<6x128xf32>
    %w = tensor.pad %ones low[0, 0] high[54, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : f32
    } : tensor<6x128xf32> to tensor<60x128xf32>
    // CHECK-NOT: tamis_kernel.pack ins
    // CHECK: %[[V:.+]], %[[S:.+]] = tamis_kernel.pack_stream %{{.+}} column 1 reductions [0] step 1 <entries = 768, positions = [[P:[0-9]+]], pitch = [[P]], sorted = 64>
    // CHECK-SAME: tensor<60x128xf32> -> tensor<768x2xf32>, tensor<257xi32>{{$}}
    // CHECK: tamis_kernel.contract ins(%{{.+}}, %[[V]] : {{.+}}) stream(%[[S]] : {{.+}}) outs
    // CHECK-SAME: by #tamis.vector_fma<lanes = 8, fused = true> tile {{\[}}[[P]], 1, 0]
    // CHECK-SAME: storage = #tamis.row_stream<entries = 768, positions = [[P]], pitch = [[P]], sorted = 64>,
    // CHECK-SAME: tamis.choice = {candidates = {"dense {{.+}}" = {predicted = {{.+}} : f64}, {{.*}}"row stream [[P]], 10%" = {predicted = {{.+}} : f64}{{.*}}}, chosen = "row stream [[P]], 10%", key = "64x128x60 f32 x f32 -> f32 #{{.+}}", why = "dense is {{.+}}x slower (predicted)"}
    %y = tamis.contract ins(%x, %w : tensor<64x60xf32>, tensor<60x128xf32>) outs(%e : tensor<64x128xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<64x128xf32>
    return %y : tensor<64x128xf32>
  }

  // CHECK-LABEL: func.func @open_rows
  func.func @open_rows(%x: tensor<?x60xf32>, %e: tensor<?x128xf32>) -> tensor<?x128xf32> {
    %zero = arith.constant 0.0 : f32
    %ones = arith.constant dense<1.0> : tensor<6x128xf32>
    %w = tensor.pad %ones low[0, 0] high[54, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : f32
    } : tensor<6x128xf32> to tensor<60x128xf32>
    // CHECK: tamis_kernel.pack_stream
    %y = tamis.contract ins(%x, %w : tensor<?x60xf32>, tensor<60x128xf32>) outs(%e : tensor<?x128xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<?x128xf32>
    return %y : tensor<?x128xf32>
  }

  // The price is asked for, and is too high.
  // CHECK-LABEL: func.func @dense_weights
  func.func @dense_weights(%x: tensor<64x60xf32>, %e: tensor<64x128xf32>) -> tensor<64x128xf32> {
    %w = arith.constant dense<1.0> : tensor<60x128xf32>
    // CHECK-NOT: pack_stream
    // CHECK: tamis_kernel.contract {{.+}} {packed, tamis.choice = {{.+}} chosen = "dense {{.+}}why = "a row stream is {{.+}}x slower (predicted)"}}
    %y = tamis.contract ins(%x, %w : tensor<64x60xf32>, tensor<60x128xf32>) outs(%e : tensor<64x128xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<64x128xf32>
    return %y : tensor<64x128xf32>
  }

  // CHECK-LABEL: func.func @nothing_but_zeros
  func.func @nothing_but_zeros(%x: tensor<64x60xf32>, %e: tensor<64x128xf32>) -> tensor<64x128xf32> {
    %w = arith.constant dense<0.0> : tensor<60x128xf32>
    // CHECK-NOT: pack_stream
    // CHECK: tamis_kernel.contract{{.+}}why = "no row stream: all weights are zero; no bitmask: all weights are equal; no block list: all weights are equal
    %y = tamis.contract ins(%x, %w : tensor<64x60xf32>, tensor<60x128xf32>) outs(%e : tensor<64x128xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<64x128xf32>
    return %y : tensor<64x128xf32>
  }

  // CHECK-LABEL: func.func @activations_on_the_right
  func.func @activations_on_the_right(%x: tensor<64x60xf32>, %w: tensor<60x128xf32>, %e: tensor<64x128xf32>) -> tensor<64x128xf32> {
    // CHECK-NOT: pack_stream
    // CHECK: tamis_kernel.contract{{.+}}why = "no row stream: weights are not known"
    %y = tamis.contract ins(%x, %w : tensor<64x60xf32>, tensor<60x128xf32>) outs(%e : tensor<64x128xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<64x128xf32>
    return %y : tensor<64x128xf32>
  }

  // CHECK-LABEL: func.func @few_rows
  func.func @few_rows(%x: tensor<7x60xf32>, %e: tensor<7x128xf32>) -> tensor<7x128xf32> {
    %zero = arith.constant 0.0 : f32
    %ones = arith.constant dense<1.0> : tensor<6x128xf32>
    %w = tensor.pad %ones low[0, 0] high[54, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : f32
    } : tensor<6x128xf32> to tensor<60x128xf32>
    // CHECK-NOT: pack_stream
    // CHECK: tamis_kernel.contract{{.+}}why = "no row stream: too little to gain; no bitmask: too little to gain; no block list: too little to gain
    %y = tamis.contract ins(%x, %w : tensor<7x60xf32>, tensor<60x128xf32>) outs(%e : tensor<7x128xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<7x128xf32>
    return %y : tensor<7x128xf32>
  }

  // CHECK-LABEL: func.func @neighbours_along_rows
  func.func @neighbours_along_rows(%x: tensor<60x64xf32>, %e: tensor<64x128xf32>) -> tensor<64x128xf32> {
    %zero = arith.constant 0.0 : f32
    %ones = arith.constant dense<1.0> : tensor<6x128xf32>
    %w = tensor.pad %ones low[0, 0] high[54, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : f32
    } : tensor<6x128xf32> to tensor<60x128xf32>
    // CHECK-NOT: pack_stream
    // CHECK: tamis_kernel.contract
    %y = tamis.contract ins(%x, %w : tensor<60x64xf32>, tensor<60x128xf32>) outs(%e : tensor<64x128xf32>)
           maps [affine_map<(m, n, k) -> (k, m)>, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<64x128xf32>
    return %y : tensor<64x128xf32>
  }

  // CHECK-LABEL: func.func @grouped
  func.func @grouped(%x: tensor<2x64x60xf32>, %e: tensor<2x64x128xf32>) -> tensor<2x64x128xf32> {
    %zero = arith.constant 0.0 : f32
    %ones = arith.constant dense<1.0> : tensor<2x6x128xf32>
    %w = tensor.pad %ones low[0, 0, 0] high[0, 54, 0] {
    ^bb0(%g: index, %i: index, %j: index):
      tensor.yield %zero : f32
    } : tensor<2x6x128xf32> to tensor<2x60x128xf32>
    // CHECK-NOT: pack_stream
    // CHECK: tamis_kernel.contract
    %y = tamis.contract ins(%x, %w : tensor<2x64x60xf32>, tensor<2x60x128xf32>) outs(%e : tensor<2x64x128xf32>)
           maps [affine_map<(g, m, n, k) -> (g, m, k)>, affine_map<(g, m, n, k) -> (g, k, n)>, affine_map<(g, m, n, k) -> (g, m, n)>]
           iterators ["parallel", "parallel", "parallel", "reduction"] pad [0, 0, 0] accumulator f32 -> tensor<2x64x128xf32>
    return %y : tensor<2x64x128xf32>
  }

  // CHECK-LABEL: func.func @depthwise
  func.func @depthwise(%x: tensor<123x128xf32>, %e: tensor<64x128xf32>) -> tensor<64x128xf32> {
    %zero = arith.constant 0.0 : f32
    %ones = arith.constant dense<1.0> : tensor<6x128xf32>
    %w = tensor.pad %ones low[0, 0] high[54, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : f32
    } : tensor<6x128xf32> to tensor<60x128xf32>
    // CHECK-NOT: pack_stream
    // CHECK: tamis_kernel.contract
    %y = tamis.contract ins(%x, %w : tensor<123x128xf32>, tensor<60x128xf32>) outs(%e : tensor<64x128xf32>)
           maps [affine_map<(m, n, k) -> (m + k, n)>, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<64x128xf32>
    return %y : tensor<64x128xf32>
  }

  // CHECK-LABEL: func.func @bytes_on_avx2
  func.func @bytes_on_avx2(%x: tensor<64x64xi8>, %e: tensor<64x130xi32>) -> tensor<64x130xi32> {
    %zero = arith.constant 0 : i8
    %ones = arith.constant dense<1> : tensor<4x130xi8>
    %w = tensor.pad %ones low[0, 0] high[60, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : i8
    } : tensor<4x130xi8> to tensor<64x130xi8>
    // CHECK: tamis_kernel.pack_stream %{{.+}} step 4 <entries = 130, positions = {{[0-9]+}}, pitch = {{[0-9]+}}, sorted = 64> {bound = 128 : i64}
    // CHECK-SAME: -> tensor<130x8xi8>, tensor<261xi32> sums tensor<1x136xi32>
    // CHECK: tamis_kernel.contract {{.+}} sums({{.+}}) outs{{.+}} by #tamis.x86_maddubs<lanes = 8>
    %y = tamis.contract ins(%x, %w : tensor<64x64xi8>, tensor<64x130xi8>) outs(%e : tensor<64x130xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<64x130xi32>
    return %y : tensor<64x130xi32>
  }

  // CHECK-LABEL: func.func @run_ends_within_a_word
  func.func @run_ends_within_a_word(%x: tensor<64x66xi8>, %e: tensor<64x130xi32>) -> tensor<64x130xi32> {
    %zero = arith.constant 0 : i8
    %ones = arith.constant dense<1> : tensor<4x130xi8>
    %w = tensor.pad %ones low[0, 0] high[62, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : i8
    } : tensor<4x130xi8> to tensor<66x130xi8>
    // CHECK-NOT: pack_stream
    // CHECK: tamis_kernel.contract
    %y = tamis.contract ins(%x, %w : tensor<64x66xi8>, tensor<66x130xi8>) outs(%e : tensor<64x130xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<64x130xi32>
    return %y : tensor<64x130xi32>
  }

  // CHECK-LABEL: func.func @run_shorter_than_a_square
  func.func @run_shorter_than_a_square(%x: tensor<66x28xi8>, %e: tensor<64x130xi32>) -> tensor<64x130xi32> {
    %zero = arith.constant 0 : i8
    %ones = arith.constant dense<1> : tensor<1x4x130xi8>
    %w = tensor.pad %ones low[0, 0, 0] high[2, 24, 0] {
    ^bb0(%i: index, %j: index, %k: index):
      tensor.yield %zero : i8
    } : tensor<1x4x130xi8> to tensor<3x28x130xi8>
    // CHECK-NOT: pack_stream
    // CHECK: tamis_kernel.contract
    %y = tamis.contract ins(%x, %w : tensor<66x28xi8>, tensor<3x28x130xi8>) outs(%e : tensor<64x130xi32>)
           maps [affine_map<(h, n, i, c) -> (h + i, c)>, affine_map<(h, n, i, c) -> (i, c, n)>, affine_map<(h, n, i, c) -> (h, n)>]
           iterators ["parallel", "parallel", "reduction", "reduction"] pad [0, 0] accumulator i32 -> tensor<64x130xi32>
    return %y : tensor<64x130xi32>
  }

  // CHECK-LABEL: func.func @run_of_two_dimensions
  func.func @run_of_two_dimensions(%x: tensor<67x10xi8>, %e: tensor<64x130xi32>) -> tensor<64x130xi32> {
    %zero = arith.constant 0 : i8
    %ones = arith.constant dense<1> : tensor<1x10x130xi8>
    %w = tensor.pad %ones low[0, 0, 0] high[3, 0, 0] {
    ^bb0(%i: index, %j: index, %k: index):
      tensor.yield %zero : i8
    } : tensor<1x10x130xi8> to tensor<4x10x130xi8>
    // CHECK-NOT: pack_stream
    // CHECK: tamis_kernel.contract
    %y = tamis.contract ins(%x, %w : tensor<67x10xi8>, tensor<4x10x130xi8>) outs(%e : tensor<64x130xi32>)
           maps [affine_map<(h, n, i, c) -> (h + i, c)>, affine_map<(h, n, i, c) -> (i, c, n)>, affine_map<(h, n, i, c) -> (h, n)>]
           iterators ["parallel", "parallel", "reduction", "reduction"] pad [0, 0] accumulator i32 -> tensor<64x130xi32>
    return %y : tensor<64x130xi32>
  }

  // Zeros of the weights are no zeros of the storage.
  // CHECK-LABEL: func.func @zero_point_of_weights
  func.func @zero_point_of_weights(%x: tensor<64x64xi8>, %z: i8, %e: tensor<64x130xi32>) -> tensor<64x130xi32> {
    %zero = arith.constant 0 : i8
    %ones = arith.constant dense<1> : tensor<4x130xi8>
    %w = tensor.pad %ones low[0, 0] high[60, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : i8
    } : tensor<4x130xi8> to tensor<64x130xi8>
    // CHECK-NOT: pack_stream
    // CHECK: tamis_kernel.contract {{.+}} rhs_zero{{.+}}why = "no row stream: weights have a zero point"
    %y = tamis.contract ins(%x, %w : tensor<64x64xi8>, tensor<64x130xi8>) rhs_zero(%z : i8) outs(%e : tensor<64x130xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<64x130xi32>
    return %y : tensor<64x130xi32>
  }
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["avx512f", "avx512bw", "avx512vnni"]>, tamis.profile = #tamis.profile<facts = {slot_windows.margin = 1.0e-06 : f64, block_list.margin = 1.0e-06 : f64, n_of_m.margin = 1.0e-06 : f64, codebook.margin = 1.0e-06 : f64}>} {
  // CHECK-LABEL: func.func @bytes_on_vnni
  func.func @bytes_on_vnni(%x: tensor<128x128xi8>, %e: tensor<128x256xi32>) -> tensor<128x256xi32> {
    %zero = arith.constant 0 : i8
    %ones = arith.constant dense<1> : tensor<4x256xi8>
    %w = tensor.pad %ones low[0, 0] high[124, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : i8
    } : tensor<4x256xi8> to tensor<128x256xi8>
    // CHECK: tamis_kernel.pack_stream %{{.+}} step 4 <entries = 256, positions = {{[0-9]+}}, pitch = {{[0-9]+}}{{.*}}> :
    // CHECK: tamis_kernel.contract {{.+}} sums({{.+}}) outs{{.+}} by #tamis.x86_vnni<lanes = 16>
    %y = tamis.contract ins(%x, %w : tensor<128x128xi8>, tensor<128x256xi8>) outs(%e : tensor<128x256xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<128x256xi32>
    return %y : tensor<128x256xi32>
  }
}

// -----

// One row, and a profile that says that weights come from memory.

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma"]>,
                   tamis.profile = #tamis.profile<facts = {slot_windows.margin = 1.0e-06 : f64, block_list.margin = 1.0e-06 : f64, n_of_m.margin = 1.0e-06 : f64, codebook.margin = 1.0e-06 : f64, l3.bytes = 1.0 : f64, dram.bytes_per_cycle = 0.01 : f64}>} {
  // What is not in a constant's operation counts.
  ml_program.global private @other(dense<0.0> : tensor<4xf32>) : tensor<4xf32>

  // An entry of a stream has eight bytes, one of a bitmask four and a bit.
  // CHECK-LABEL: func.func @floats
  func.func @floats(%x: tensor<1x60xf32>, %e: tensor<1x128xf32>) -> tensor<1x128xf32> {
    %zero = arith.constant 0.0 : f32
    %ones = arith.constant dense<1.0> : tensor<30x128xf32>
    %w = tensor.pad %ones low[0, 0] high[30, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : f32
    } : tensor<30x128xf32> to tensor<60x128xf32>
    // CHECK: %[[P:.+]] = tamis_kernel.pack ins
    // CHECK: %[[V:.+]], %[[M:.+]], %[[S:.+]] = tamis_kernel.compress %[[P]] <entries = 3840, unit = 1, expansion = #tamis.x86_shuffle<bytes = 4>>
    // CHECK-SAME: -> tensor<3848xf32>, tensor<960xi8>, tensor<{{[0-9]+}}xi32>
    // CHECK: tamis_kernel.contract ins(%{{.+}}, %[[V]] : {{.+}}) stream(%[[M]], %[[S]] : {{.+}}) outs
    // CHECK-SAME: by #tamis.vector_fma<lanes = 8, fused = true> {{.+}}packed, storage = #tamis.bitmask<entries = 3840, unit = 1, expansion = #tamis.x86_shuffle<bytes = 4>>
    // CHECK-SAME: chosen = "bitmask of 1, 50%"{{.+}}why = "dense is {{.+}}x slower (predicted)"
    %y = tamis.contract ins(%x, %w : tensor<1x60xf32>, tensor<60x128xf32>) outs(%e : tensor<1x128xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x128xf32>
    return %y : tensor<1x128xf32>
  }

  // Pairs: fewer bytes than words of four.
  // CHECK-LABEL: func.func @bytes
  func.func @bytes(%x: tensor<1x60xi8>, %e: tensor<1x128xi32>) -> tensor<1x128xi32> {
    %zero = arith.constant 0 : i8
    %ones = arith.constant dense<1> : tensor<6x128xi8>
    %w = tensor.pad %ones low[0, 0] high[54, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : i8
    } : tensor<6x128xi8> to tensor<60x128xi8>
    // CHECK: tamis_kernel.contract {{.+}} by #tamis.x86_madd<lanes = 8> {{.+}}storage = #tamis.bitmask<entries = 384, unit = 2, expansion = #tamis.x86_shuffle<bytes = 2>>
    %y = tamis.contract ins(%x, %w : tensor<1x60xi8>, tensor<60x128xi8>) outs(%e : tensor<1x128xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<1x128xi32>
    return %y : tensor<1x128xi32>
  }
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma"]>, tamis.profile = #tamis.profile<facts = {slot_windows.margin = 1.0e-06 : f64, block_list.margin = 1.0e-06 : f64, n_of_m.margin = 1.0e-06 : f64, codebook.margin = 1.0e-06 : f64}>} {
  // From a cache a walk along the channels is far faster: vectors of one row.
  // CHECK-LABEL: func.func @one_row
  func.func @one_row(%x: tensor<1x600xf32>, %e: tensor<1x128xf32>) -> tensor<1x128xf32> {
    %zero = arith.constant 0.0 : f32
    %ones = arith.constant dense<1.0> : tensor<6x128xf32>
    %w = tensor.pad %ones low[0, 0] high[594, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : f32
    } : tensor<6x128xf32> to tensor<600x128xf32>
    // CHECK: tamis_kernel.contract {{.+}} by #tamis.vector_fma<lanes = 1, fused = true> tile [1, 1, 0] {storage = #tamis.row_stream<entries = 768, positions = 1, pitch = 1>
    %y = tamis.contract ins(%x, %w : tensor<1x600xf32>, tensor<600x128xf32>) outs(%e : tensor<1x128xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x128xf32>
    return %y : tensor<1x128xf32>
  }
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["sse2"]>,
                   tamis.profile = #tamis.profile<facts = {block_list.margin = 1.0e-06 : f64, n_of_m.margin = 1.0e-06 : f64, codebook.margin = 1.0e-06 : f64, l3.bytes = 1.0 : f64, dram.bytes_per_cycle = 0.01 : f64}>} {
  ml_program.global private @other(dense<0.0> : tensor<4xf32>) : tensor<4xf32>

  // CHECK-LABEL: func.func @no_expansion
  func.func @no_expansion(%x: tensor<1x60xi8>, %e: tensor<1x128xi32>) -> tensor<1x128xi32> {
    %zero = arith.constant 0 : i8
    %ones = arith.constant dense<1> : tensor<6x128xi8>
    %w = tensor.pad %ones low[0, 0] high[54, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : i8
    } : tensor<6x128xi8> to tensor<60x128xi8>
    // CHECK: tamis_kernel.contract {{.+}}why = "no row stream of these types; no bitmask: the target has no expansion; no block list: too little to gain
    %y = tamis.contract ins(%x, %w : tensor<1x60xi8>, tensor<60x128xi8>) outs(%e : tensor<1x128xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<1x128xi32>
    return %y : tensor<1x128xi32>
  }
}

// -----

// Block lists, by the built-in profile.

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma"]>,
                   tamis.profile = #tamis.profile<facts = {slot_windows.margin = 1.0e-06 : f64, bounded.margin = 1.0e-06 : f64}>} {
  // CHECK-LABEL: func.func @zero_blocks
  func.func @zero_blocks(%x: tensor<64x60xf32>, %e: tensor<64x130xf32>) -> tensor<64x130xf32> {
    %zero = arith.constant 0.0 : f32
    %ones = arith.constant dense<1.0> : tensor<6x130xf32>
    %w = tensor.pad %ones low[0, 0] high[54, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : f32
    } : tensor<6x130xf32> to tensor<60x130xf32>
    // CHECK: %[[P:.+]] = tamis_kernel.pack ins
    // CHECK: %[[V:.+]], %[[L:.+]], %[[S:.+]] = tamis_kernel.list_blocks %[[P]] <entries = 9, steps = 6, run = 60> : tensor<1x9x60x16xf32> -> tensor<9x6x16xf32>, tensor<9xi32>, tensor<10xi32>
    // CHECK: tamis_kernel.contract ins(%{{.+}}, %[[V]] : {{.+}}) stream(%[[L]], %[[S]] : {{.+}}) outs
    // CHECK-SAME: storage = #tamis.block_list<entries = 9, steps = 6, run = 60>
    // CHECK-SAME: "blocks 16x6, 10%" = {predicted = {{.+}} chosen = "blocks 16x6, 10%"{{.+}} why = "dense is {{.+}}x slower (predicted)"
    %y = tamis.contract ins(%x, %w : tensor<64x60xf32>, tensor<60x130xf32>) outs(%e : tensor<64x130xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<64x130xf32>
    return %y : tensor<64x130xf32>
  }

  // Every window of two rows has a list for each of its rows, the second one empty.
  // CHECK-LABEL: func.func @window
  func.func @window(%x: tensor<65x64xf32>, %e: tensor<64x128xf32>) -> tensor<64x128xf32> {
    %zero = arith.constant 0.0 : f32
    %ones = arith.constant dense<1.0> : tensor<1x64x128xf32>
    %w = tensor.pad %ones low[0, 0, 0] high[1, 0, 0] {
    ^bb0(%i: index, %j: index, %k: index):
      tensor.yield %zero : f32
    } : tensor<1x64x128xf32> to tensor<2x64x128xf32>
    // CHECK: tamis_kernel.list_blocks %{{.+}} <entries = 16, steps = 32, run = 64> : tensor<1x8x128x16xf32> -> tensor<16x32x16xf32>, tensor<16xi32>, tensor<17xi32>
    %y = tamis.contract ins(%x, %w : tensor<65x64xf32>, tensor<2x64x128xf32>) outs(%e : tensor<64x128xf32>)
           maps [affine_map<(h, n, i, c) -> (h + i, c)>, affine_map<(h, n, i, c) -> (i, c, n)>, affine_map<(h, n, i, c) -> (h, n)>]
           iterators ["parallel", "parallel", "reduction", "reduction"] pad [0, 0] accumulator f32 -> tensor<64x128xf32>
    return %y : tensor<64x128xf32>
  }

  // Every block has something: its first channel.
  // CHECK-LABEL: func.func @no_zero_blocks
  func.func @no_zero_blocks(%x: tensor<4x60xf32>, %e: tensor<4x128xf32>) -> tensor<4x128xf32> {
    %zero = arith.constant 0.0 : f32
    %ones = arith.constant dense<1.0> : tensor<60x16x1xf32>
    %p = tensor.pad %ones low[0, 0, 0] high[0, 0, 7] {
    ^bb0(%i: index, %j: index, %k: index):
      tensor.yield %zero : f32
    } : tensor<60x16x1xf32> to tensor<60x16x8xf32>
    %w = tensor.collapse_shape %p [[0], [1, 2]] : tensor<60x16x8xf32> into tensor<60x128xf32>
    // CHECK-NOT: list_blocks
    // CHECK: tamis_kernel.contract {{.+}}no block list: no block is zero
    %y = tamis.contract ins(%x, %w : tensor<4x60xf32>, tensor<60x128xf32>) outs(%e : tensor<4x128xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x128xf32>
    return %y : tensor<4x128xf32>
  }

  // Steps of two, of which the run has no whole number.
  // CHECK-LABEL: func.func @run_ends_within_a_step
  func.func @run_ends_within_a_step(%x: tensor<4x61xi8>, %e: tensor<4x128xi32>) -> tensor<4x128xi32> {
    %zero = arith.constant 0 : i8
    %ones = arith.constant dense<1> : tensor<6x128xi8>
    %w = tensor.pad %ones low[0, 0] high[55, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : i8
    } : tensor<6x128xi8> to tensor<61x128xi8>
    // CHECK-NOT: list_blocks
    // CHECK: tamis_kernel.contract {{.+}}no block list of this shape
    %y = tamis.contract ins(%x, %w : tensor<4x61xi8>, tensor<61x128xi8>) outs(%e : tensor<4x128xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<4x128xi32>
    return %y : tensor<4x128xi32>
  }
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["amx-int8", "amx-tile", "avx512f", "avx512vnni"]>} {
  // Whole tiles are zero.
  // CHECK-LABEL: func.func @tiles
  func.func @tiles(%x: tensor<64x512xi8>, %e: tensor<64x256xi32>) -> tensor<64x256xi32> {
    %zero = arith.constant 0 : i8
    %ones = arith.constant dense<1> : tensor<64x256xi8>
    %w = tensor.pad %ones low[64, 0] high[384, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : i8
    } : tensor<64x256xi8> to tensor<512x256xi8>
    // CHECK: tamis_kernel.list_blocks %{{.+}} <entries = 8, steps = 16, run = 128>
    // CHECK: by #tamis.x86_amx_int8 tile [32, 2, 0] {{.+}} chosen = "blocks 32x64, 12%"
    %y = tamis.contract ins(%x, %w : tensor<64x512xi8>, tensor<512x256xi8>) outs(%e : tensor<64x256xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<64x256xi32>
    return %y : tensor<64x256xi32>
  }

  // One word of sixteen, in every tile.
  // CHECK-LABEL: func.func @words_of_many_channels
  func.func @words_of_many_channels(%x: tensor<64x1024xi8>, %e: tensor<64x512xi32>) -> tensor<64x512xi32> {
    %zero = arith.constant 0 : i8
    %ones = arith.constant dense<1> : tensor<16x4x512xi8>
    %p = tensor.pad %ones low[0, 4, 0] high[0, 56, 0] {
    ^bb0(%i: index, %j: index, %k: index):
      tensor.yield %zero : i8
    } : tensor<16x4x512xi8> to tensor<16x64x512xi8>
    %w = tensor.collapse_shape %p [[0, 1], [2]] : tensor<16x64x512xi8> into tensor<1024x512xi8>
    // CHECK: tamis_kernel.pack_stream %{{.+}} step 4 <entries = 256, positions = 32, pitch = 32, channels = 32, depth = 16>
    // CHECK-SAME: -> tensor<256x132xi8>, tensor<33xi32> sums tensor<1x512xi32>
    // CHECK: by #tamis.x86_amx_int8 tile [32, 2, 0] {{.+}} chosen = "row stream 32 by 32, 6.2%"
    %y = tamis.contract ins(%x, %w : tensor<64x1024xi8>, tensor<1024x512xi8>) outs(%e : tensor<64x512xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<64x512xi32>
    return %y : tensor<64x512xi32>
  }
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma"]>,
                   tamis.profile = #tamis.profile<facts = {block_list.margin = 1.0e-06 : f64, l3.bytes = 1.0 : f64, dram.bytes_per_cycle = 0.01 : f64, codebook.margin = 1.0e-6 : f64}>} {
  ml_program.global private @other(dense<0.0> : tensor<4xf32>) : tensor<4xf32>

  // As many bytes as a bitmask, and less work.
  // CHECK-LABEL: func.func @two_of_four
  func.func @two_of_four(%x: tensor<1x60xf32>, %e: tensor<1x128xf32>) -> tensor<1x128xf32> {
    %zero = arith.constant 0.0 : f32
    %ones = arith.constant dense<1.0> : tensor<15x2x128xf32>
    %p = tensor.pad %ones low[0, 0, 0] high[0, 2, 0] {
    ^bb0(%i: index, %j: index, %k: index):
      tensor.yield %zero : f32
    } : tensor<15x2x128xf32> to tensor<15x4x128xf32>
    %w = tensor.collapse_shape %p [[0, 1], [2]] : tensor<15x4x128xf32> into tensor<60x128xf32>
    // CHECK: %[[P:.+]] = tamis_kernel.pack {{.+}} step 4
    // CHECK: %[[V:.+]], %[[K:.+]] = tamis_kernel.encode %[[P]] : {{.+}} as #tamis.n_of_m<entries = 3840, selection = #tamis.x86_select_fma<lanes = 8, kept = 2>>
    // CHECK-SAME: -> tensor<3840xf32>, tensor<240xi32>
    // CHECK: tamis_kernel.contract ins(%{{.+}}, %[[V]] : {{.+}}) stream(%[[K]] : tensor<240xi32>) outs
    // CHECK-SAME: by #tamis.x86_select_fma<lanes = 8, kept = 2> tile [1, 4, 0]
    // CHECK-SAME: chosen = "2 of 4"
    %y = tamis.contract ins(%x, %w : tensor<1x60xf32>, tensor<60x128xf32>) outs(%e : tensor<1x128xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x128xf32>
    return %y : tensor<1x128xf32>
  }

  // CHECK-LABEL: func.func @one_of_four
  func.func @one_of_four(%x: tensor<1x60xf32>, %e: tensor<1x128xf32>) -> tensor<1x128xf32> {
    %zero = arith.constant 0.0 : f32
    %ones = arith.constant dense<1.0> : tensor<15x1x128xf32>
    %p = tensor.pad %ones low[0, 0, 0] high[0, 3, 0] {
    ^bb0(%i: index, %j: index, %k: index):
      tensor.yield %zero : f32
    } : tensor<15x1x128xf32> to tensor<15x4x128xf32>
    %w = tensor.collapse_shape %p [[0, 1], [2]] : tensor<15x4x128xf32> into tensor<60x128xf32>
    // CHECK: tamis_kernel.contract {{.+}}storage = #tamis.n_of_m<entries = 1920, selection = #tamis.x86_select_fma<lanes = 8, kept = 1>>
    // CHECK-SAME: chosen = "1 of 4"
    %y = tamis.contract ins(%x, %w : tensor<1x60xf32>, tensor<60x128xf32>) outs(%e : tensor<1x128xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x128xf32>
    return %y : tensor<1x128xf32>
  }

  // CHECK-LABEL: func.func @two_of_four_bytes
  func.func @two_of_four_bytes(%x: tensor<1x60xi8>, %e: tensor<1x128xi32>) -> tensor<1x128xi32> {
    %zero = arith.constant 0 : i8
    %ones = arith.constant dense<1> : tensor<15x2x128xi8>
    %p = tensor.pad %ones low[0, 0, 0] high[0, 2, 0] {
    ^bb0(%i: index, %j: index, %k: index):
      tensor.yield %zero : i8
    } : tensor<15x2x128xi8> to tensor<15x4x128xi8>
    %w = tensor.collapse_shape %p [[0, 1], [2]] : tensor<15x4x128xi8> into tensor<60x128xi8>
    // Pairs of a bitmask would have fewer bytes here: each pair is whole or gone.
    // CHECK: tamis_kernel.contract {{.+}}candidates = {{.+}}"2 of 4" = {
    %y = tamis.contract ins(%x, %w : tensor<1x60xi8>, tensor<60x128xi8>) outs(%e : tensor<1x128xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<1x128xi32>
    return %y : tensor<1x128xi32>
  }

}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma"]>,
                   tamis.profile = #tamis.profile<facts = {block_list.margin = 1.0e-06 : f64, l3.bytes = 1.0 : f64, dram.bytes_per_cycle = 0.01 : f64, n_of_m.margin = 1.0e-6 : f64, bitmask.margin = 1.0e-6 : f64}>} {
  ml_program.global private @other(dense<0.0> : tensor<4xf32>) : tensor<4xf32>

  // CHECK-LABEL: func.func @two_values
  func.func @two_values(%x: tensor<1x60xf32>, %e: tensor<1x128xf32>) -> tensor<1x128xf32> {
    %zero = arith.constant 3.0 : f32
    %ones = arith.constant dense<1.0> : tensor<15x2x128xf32>
    %p = tensor.pad %ones low[0, 0, 0] high[0, 2, 0] {
    ^bb0(%i: index, %j: index, %k: index):
      tensor.yield %zero : f32
    } : tensor<15x2x128xf32> to tensor<15x4x128xf32>
    %w = tensor.collapse_shape %p [[0, 1], [2]] : tensor<15x4x128xf32> into tensor<60x128xf32>
    // CHECK: %[[P:.+]] = tamis_kernel.pack {{.+}} step 1
    // CHECK: %[[V:.+]], %[[T:.+]] = tamis_kernel.encode %[[P]] : {{.+}} as #tamis.codebook<entries = 2, lookup = #tamis.x86_lookup<bytes = 4, elements = 8>>
    // CHECK: tamis_kernel.contract ins(%{{.+}}, %[[V]] : {{.+}}) stream(%[[T]] : tensor<16xf32>) outs
    // CHECK-SAME: chosen = "codebook of 2"
    %y = tamis.contract ins(%x, %w : tensor<1x60xf32>, tensor<60x128xf32>) outs(%e : tensor<1x128xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x128xf32>
    return %y : tensor<1x128xf32>
  }

  // CHECK-LABEL: func.func @two_values_of_bytes
  func.func @two_values_of_bytes(%x: tensor<1x60xi8>, %e: tensor<1x128xi32>) -> tensor<1x128xi32> {
    %zero = arith.constant 3 : i8
    %ones = arith.constant dense<1> : tensor<15x2x128xi8>
    %p = tensor.pad %ones low[0, 0, 0] high[0, 2, 0] {
    ^bb0(%i: index, %j: index, %k: index):
      tensor.yield %zero : i8
    } : tensor<15x2x128xi8> to tensor<15x4x128xi8>
    %w = tensor.collapse_shape %p [[0, 1], [2]] : tensor<15x4x128xi8> into tensor<60x128xi8>
    // CHECK: tamis_kernel.encode {{.+}} as #tamis.codebook<entries = 2, lookup = #tamis.x86_lookup<bytes = 1, elements = 16>>
    %y = tamis.contract ins(%x, %w : tensor<1x60xi8>, tensor<60x128xi8>) outs(%e : tensor<1x128xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<1x128xi32>
    return %y : tensor<1x128xi32>
  }
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma"]>,
                   tamis.profile = #tamis.profile<facts = {block_list.margin = 1.0e-06 : f64, l3.bytes = 1.0 : f64, dram.bytes_per_cycle = 0.01 : f64, codebook.margin = 1.0e-6 : f64,
                                                            bitmask.margin = 1.0e-6 : f64, row_stream.margin = 1.0e-6 : f64}>} {
  ml_program.global private @other(dense<0.0> : tensor<4xf32>) : tensor<4xf32>

  // CHECK-LABEL: func.func @three_of_four
  func.func @three_of_four(%x: tensor<1x60xf32>, %e: tensor<1x128xf32>) -> tensor<1x128xf32> {
    %zero = arith.constant 0.0 : f32
    %ones = arith.constant dense<1.0> : tensor<15x3x128xf32>
    %p = tensor.pad %ones low[0, 0, 0] high[0, 1, 0] {
    ^bb0(%i: index, %j: index, %k: index):
      tensor.yield %zero : f32
    } : tensor<15x3x128xf32> to tensor<15x4x128xf32>
    %w = tensor.collapse_shape %p [[0, 1], [2]] : tensor<15x4x128xf32> into tensor<60x128xf32>
    // CHECK-NOT: encode
    // CHECK: tamis_kernel.contract {{.+}}why = "{{.+}}no N:M: more weights in a step;
    %y = tamis.contract ins(%x, %w : tensor<1x60xf32>, tensor<60x128xf32>) outs(%e : tensor<1x128xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x128xf32>
    return %y : tensor<1x128xf32>
  }
}

// -----

// Other storages do not count here.

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma"]>,
                   tamis.profile = #tamis.profile<facts = {row_stream.margin = 1.0e-06 : f64, block_list.margin = 1.0e-06 : f64, codebook.margin = 1.0e-6 : f64, n_of_m.margin = 1.0e-6 : f64, bitmask.margin = 1.0e-6 : f64}>} {
  // Weights of 20 never overflow 16 bits, two steps in a sum.
  // CHECK-LABEL: func.func @small_weights
  func.func @small_weights(%x: tensor<64x128xi8>, %e: tensor<64x128xi32>) -> tensor<64x128xi32> {
    %c = arith.constant 20 : i8
    %ones = arith.constant dense<1> : tensor<127x128xi8>
    %w = tensor.pad %ones low[0, 0] high[1, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %c : i8
    } : tensor<127x128xi8> to tensor<128x128xi8>
    // CHECK: %[[P:.+]], %[[T:.+]] = tamis_kernel.pack {{.+}} step 4 {{.+}} sums
    // CHECK: %[[B:.+]], %[[V:.+]], %[[L:.+]], %[[S:.+]] = tamis_kernel.bound %[[P]] <entries = 0, steps = 2, run = 128>
    // CHECK: tamis_kernel.contract ins(%{{.+}}, %[[B]] : {{.+}}) stream(%[[L]], %[[S]], %[[V]] : {{.+}}) sums(%[[T]] : {{.+}}) {{.+}} by #tamis.x86_maddubs<lanes = 8>
    // CHECK-SAME: storage = #tamis.bounded<entries = 0, steps = 2, run = 128>, tamis.choice = {{.+}} chosen = "bounded 4x2x0 in 2, 0% more"
    %y = tamis.contract ins(%x, %w : tensor<64x128xi8>, tensor<128x128xi8>) outs(%e : tensor<64x128xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<64x128xi32>
    return %y : tensor<64x128xi32>
  }

  // Weights of 100 do everywhere.
  // CHECK-LABEL: func.func @large_weights
  func.func @large_weights(%x: tensor<64x128xi8>, %e: tensor<64x128xi32>) -> tensor<64x128xi32> {
    %c = arith.constant 99 : i8
    %ones = arith.constant dense<100> : tensor<127x128xi8>
    %w = tensor.pad %ones low[0, 0] high[1, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %c : i8
    } : tensor<127x128xi8> to tensor<128x128xi8>
    // CHECK-NOT: tamis_kernel.bound
    // CHECK: by #tamis.x86_madd<lanes = 8>
    // CHECK-SAME: no bounded panels: too many weights are too large
    %y = tamis.contract ins(%x, %w : tensor<64x128xi8>, tensor<128x128xi8>) outs(%e : tensor<64x128xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<64x128xi32>
    return %y : tensor<64x128xi32>
  }
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma", "avxvnni"]>} {
  // CHECK-LABEL: func.func @wide_sums_at_once
  func.func @wide_sums_at_once(%x: tensor<64x128xi8>, %e: tensor<64x128xi32>) -> tensor<64x128xi32> {
    %c = arith.constant 20 : i8
    %ones = arith.constant dense<1> : tensor<127x128xi8>
    %w = tensor.pad %ones low[0, 0] high[1, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %c : i8
    } : tensor<127x128xi8> to tensor<128x128xi8>
    // CHECK-NOT: tamis_kernel.bound
    // CHECK: by #tamis.x86_vnni<lanes = 8>
    // CHECK-NOT: bounded
    // CHECK: return
    %y = tamis.contract ins(%x, %w : tensor<64x128xi8>, tensor<128x128xi8>) outs(%e : tensor<64x128xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<64x128xi32>
    return %y : tensor<64x128xi32>
  }
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma"]>,
                   tamis.profile = #tamis.profile<facts = {block_list.margin = 1.0e-06 : f64, n_of_m.margin = 1.0e-06 : f64, codebook.margin = 1.0e-06 : f64, bitmask.margin = 1.0e-06 : f64, row_stream.margin = 1.0e-06 : f64, bounded.margin = 1.0e-06 : f64}>} {
  // Six windows a vector of channels, in two entries.
  // CHECK-LABEL: func.func @slots
  func.func @slots(%x: tensor<1x600xi8>, %e: tensor<1x128xi32>) -> tensor<1x128xi32> {
    %zero = arith.constant 0 : i8
    %ones = arith.constant dense<2> : tensor<12x128xi8>
    %w = tensor.pad %ones low[0, 0] high[588, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : i8
    } : tensor<12x128xi8> to tensor<600x128xi8>
    // CHECK: %[[P:.+]], %[[T:.+]] = tamis_kernel.pack {{.+}} step 4 {{.+}} sums
    // CHECK: %[[V:.+]], %[[L:.+]], %[[S:.+]] = tamis_kernel.fill_slots %[[P]] <entries = 32, run = 600, lookup = #tamis.x86_lookup<bytes = 1, elements = 32>> {bound = 128 : i64}
    // CHECK: tamis_kernel.contract ins(%{{.+}}, %[[V]] : {{.+}}) stream(%[[L]], %[[S]] : {{.+}}) sums(%[[T]] : {{.+}}) {{.+}} by #tamis.x86_maddubs<lanes = 8> tile [1, 1, {{.+}}storage = #tamis.slot_windows<entries = 32
    // CHECK-SAME: chosen = "slot windows, 2.7%"
    %y = tamis.contract ins(%x, %w : tensor<1x600xi8>, tensor<600x128xi8>) outs(%e : tensor<1x128xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<1x128xi32>
    return %y : tensor<1x128xi32>
  }

  // One slot a window: twelve windows.
  // CHECK-LABEL: func.func @slots_of_floats
  func.func @slots_of_floats(%x: tensor<1x600xf32>, %e: tensor<1x128xf32>) -> tensor<1x128xf32> {
    %zero = arith.constant 0.0 : f32
    %ones = arith.constant dense<2.0> : tensor<12x128xf32>
    %w = tensor.pad %ones low[0, 0] high[588, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : f32
    } : tensor<12x128xf32> to tensor<600x128xf32>
    // CHECK: %[[P:.+]] = tamis_kernel.pack {{.+}} step 1
    // CHECK: %[[V:.+]], %[[L:.+]], %[[S:.+]] = tamis_kernel.fill_slots %[[P]] <entries = 96, run = 600, lookup = #tamis.x86_lookup<bytes = 4, elements = 8>> : tensor<1x16x600x8xf32> -> tensor<96x72xi8>, tensor<96x2xi16>, tensor<17xi32>
    // CHECK: tamis_kernel.contract ins(%{{.+}}, %[[V]] : {{.+}}) stream(%[[L]], %[[S]] : {{.+}}) outs{{.+}} by #tamis.vector_fma<lanes = 8, fused = true> tile [1, 1, {{.+}}storage = #tamis.slot_windows<entries = 96
    %y = tamis.contract ins(%x, %w : tensor<1x600xf32>, tensor<600x128xf32>) outs(%e : tensor<1x128xf32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x128xf32>
    return %y : tensor<1x128xf32>
  }

  // Rows look up for themselves.
  // CHECK-LABEL: func.func @slots_of_several_rows
  func.func @slots_of_several_rows(%x: tensor<4x600xi8>, %e: tensor<4x128xi32>) -> tensor<4x128xi32> {
    %zero = arith.constant 0 : i8
    %ones = arith.constant dense<2> : tensor<12x128xi8>
    %w = tensor.pad %ones low[0, 0] high[588, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : i8
    } : tensor<12x128xi8> to tensor<600x128xi8>
    // CHECK: tamis_kernel.contract {{.+}} by #tamis.x86_maddubs<lanes = 8> tile [4, 1, {{.+}}storage = #tamis.slot_windows<entries = 32
    %y = tamis.contract ins(%x, %w : tensor<4x600xi8>, tensor<600x128xi8>) outs(%e : tensor<4x128xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<4x128xi32>
    return %y : tensor<4x128xi32>
  }

  // Each weight would take more bytes than a dense one.
  // CHECK-LABEL: func.func @few_zeros_have_no_slots
  func.func @few_zeros_have_no_slots(%x: tensor<1x600xi8>, %e: tensor<1x128xi32>) -> tensor<1x128xi32> {
    %zero = arith.constant 0 : i8
    %ones = arith.constant dense<2> : tensor<500x128xi8>
    %w = tensor.pad %ones low[0, 0] high[100, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : i8
    } : tensor<500x128xi8> to tensor<600x128xi8>
    // CHECK-NOT: fill_slots
    // CHECK: tamis_kernel.contract {{.+}}why = "{{.+}}; no slot windows: too little to gain
    %y = tamis.contract ins(%x, %w : tensor<1x600xi8>, tensor<600x128xi8>) outs(%e : tensor<1x128xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<1x128xi32>
    return %y : tensor<1x128xi32>
  }

  // A window has 16 elements.
  // CHECK-LABEL: func.func @short_runs_have_no_slots
  func.func @short_runs_have_no_slots(%x: tensor<1x15xi8>, %e: tensor<1x128xi32>) -> tensor<1x128xi32> {
    %zero = arith.constant 0 : i8
    %ones = arith.constant dense<2> : tensor<2x128xi8>
    %w = tensor.pad %ones low[0, 0] high[13, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : i8
    } : tensor<2x128xi8> to tensor<15x128xi8>
    // CHECK-NOT: fill_slots
    // CHECK: tamis_kernel.contract {{.+}}why = "{{.+}}; no slot windows of this shape
    %y = tamis.contract ins(%x, %w : tensor<1x15xi8>, tensor<15x128xi8>) outs(%e : tensor<1x128xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<1x128xi32>
    return %y : tensor<1x128xi32>
  }
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma", "avxvnni"]>,
                   tamis.profile = #tamis.profile<facts = {block_list.margin = 1.0e-06 : f64, n_of_m.margin = 1.0e-06 : f64, codebook.margin = 1.0e-06 : f64, bitmask.margin = 1.0e-06 : f64, row_stream.margin = 1.0e-06 : f64}>} {
  // Exact products of any two weights.
  // CHECK-LABEL: func.func @slots_without_a_bound
  func.func @slots_without_a_bound(%x: tensor<1x600xi8>, %e: tensor<1x128xi32>) -> tensor<1x128xi32> {
    %zero = arith.constant 0 : i8
    %ones = arith.constant dense<127> : tensor<12x128xi8>
    %w = tensor.pad %ones low[0, 0] high[588, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : i8
    } : tensor<12x128xi8> to tensor<600x128xi8>
    // CHECK: tamis_kernel.fill_slots {{.+}} <entries = 32, run = 600, lookup = #tamis.x86_lookup<bytes = 1, elements = 32>> :
    // CHECK: tamis_kernel.contract {{.+}} by #tamis.x86_vnni<lanes = 8> {{.+}}storage = #tamis.slot_windows<entries = 32
    %y = tamis.contract ins(%x, %w : tensor<1x600xi8>, tensor<600x128xi8>) outs(%e : tensor<1x128xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<1x128xi32>
    return %y : tensor<1x128xi32>
  }
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["sse2"]>,
                   tamis.profile = #tamis.profile<facts = {block_list.margin = 1.0e-06 : f64, n_of_m.margin = 1.0e-06 : f64, codebook.margin = 1.0e-06 : f64, bitmask.margin = 1.0e-06 : f64, row_stream.margin = 1.0e-06 : f64}>} {
  // Shuffles of bytes came later.
  // CHECK-LABEL: func.func @nothing_looks_up
  func.func @nothing_looks_up(%x: tensor<1x600xi8>, %e: tensor<1x128xi32>) -> tensor<1x128xi32> {
    %zero = arith.constant 0 : i8
    %ones = arith.constant dense<2> : tensor<12x128xi8>
    %w = tensor.pad %ones low[0, 0] high[588, 0] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : i8
    } : tensor<12x128xi8> to tensor<600x128xi8>
    // CHECK-NOT: fill_slots
    // CHECK: tamis_kernel.contract {{.+}}why = "{{.+}}; no slot windows: no instruction has activations looked up
    %y = tamis.contract ins(%x, %w : tensor<1x600xi8>, tensor<600x128xi8>) outs(%e : tensor<1x128xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<1x128xi32>
    return %y : tensor<1x128xi32>
  }
}
