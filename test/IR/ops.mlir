// RUN: tamis-opt %s --verify-roundtrip | FileCheck %s

// CHECK-LABEL: func.func @contract_plain
func.func @contract_plain(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>) -> tensor<4x16xf32> {
  %e = tensor.empty() : tensor<4x16xf32>
  // CHECK: tamis.contract ins(%{{.+}}, %{{.+}} : tensor<4x8xf32>, tensor<8x16xf32>)
  // CHECK-SAME: pad [0, 0] accumulator f32 -> tensor<4x16xf32>
  %c = tamis.contract ins(%a, %b : tensor<4x8xf32>, tensor<8x16xf32>) outs(%e : tensor<4x16xf32>)
    maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x16xf32>
  return %c : tensor<4x16xf32>
}

// CHECK-LABEL: func.func @contract_integer
func.func @contract_integer(%a: tensor<?x8xi8>, %b: tensor<8x16xi8>, %s: tensor<16xi32>, %e: tensor<?x16xi8>) -> tensor<?x16xi8> {
  %za = arith.constant 3 : i8
  %zb = arith.constant -5 : i8
  // CHECK: lhs_zero(%{{.+}} : i8) rhs_zero(%{{.+}} : i8) extras(%{{.+}} : tensor<16xi32>)
  // CHECK-SAME: {lhs_unsigned} epilogue
  %c = tamis.contract ins(%a, %b : tensor<?x8xi8>, tensor<8x16xi8>) lhs_zero(%za : i8) rhs_zero(%zb : i8)
    extras(%s : tensor<16xi32>) outs(%e : tensor<?x16xi8>)
    maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>,
          affine_map<(m, n, k) -> (n)>]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 {lhs_unsigned} epilogue {
  ^bb0(%acc: i32, %bias: i32):
    %sum = arith.addi %acc, %bias : i32
    %t = arith.trunci %sum : i32 to i8
    tamis.yield %t : i8
  } -> tensor<?x16xi8>
  return %c : tensor<?x16xi8>
}

// CHECK-LABEL: func.func @contract_buffers
func.func @contract_buffers(%a: memref<4x8xf32>, %b: memref<8x16xf32>, %c: memref<4x16xf32>) {
  // CHECK: tamis.contract ins({{.*}}) outs(%{{.+}} : memref<4x16xf32>)
  tamis.contract ins(%a, %b : memref<4x8xf32>, memref<8x16xf32>) outs(%c : memref<4x16xf32>)
    maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32
  return
}

// CHECK-LABEL: func.func @quantize_per_tensor
func.func @quantize_per_tensor(%x: tensor<4x8xf32>, %s: tensor<f32>, %z: tensor<i8>) -> tensor<4x8xi8> {
  // CHECK: tamis.quantize %{{.+}}, %{{.+}}, %{{.+}} unsigned : tensor<4x8xf32>, tensor<f32>, tensor<i8> -> tensor<4x8xi8>
  %q = tamis.quantize %x, %s, %z unsigned : tensor<4x8xf32>, tensor<f32>, tensor<i8> -> tensor<4x8xi8>
  return %q : tensor<4x8xi8>
}

// CHECK-LABEL: func.func @dequantize_with_offset
func.func @dequantize_with_offset(%q: tensor<4x8xi8>, %s: tensor<4x2xf32>, %z: tensor<4x2xi8>, %o: tensor<4x2xf32>) -> tensor<4x8xf32> {
  // CHECK: tamis.dequantize %{{.+}}, %{{.+}}, %{{.+}} offset(%{{.+}} : tensor<4x2xf32>) unsigned {axis = 1 : i64, block_size = 4 : i64} : tensor<4x8xi8>, tensor<4x2xf32>, tensor<4x2xi8> -> tensor<4x8xf32>
  %x = tamis.dequantize %q, %s, %z offset(%o : tensor<4x2xf32>) unsigned {axis = 1 : i64, block_size = 4 : i64} : tensor<4x8xi8>, tensor<4x2xf32>, tensor<4x2xi8> -> tensor<4x8xf32>
  return %x : tensor<4x8xf32>
}

// CHECK-LABEL: func.func @dequantize_per_axis
func.func @dequantize_per_axis(%q: tensor<4x8xi8>, %s: tensor<4xf32>) -> tensor<4x8xf32> {
  // CHECK: tamis.dequantize %{{.+}}, %{{.+}} {axis = 0 : i64} : tensor<4x8xi8>, tensor<4xf32> -> tensor<4x8xf32>
  %x = tamis.dequantize %q, %s {axis = 0 : i64} : tensor<4x8xi8>, tensor<4xf32> -> tensor<4x8xf32>
  return %x : tensor<4x8xf32>
}

// CHECK-LABEL: func.func @check
func.func @check(%c: i1) {
  // CHECK: tamis_kernel.check %{{.+}}, 1
  tamis_kernel.check %c, 1
  return
}

// CHECK-LABEL: func.func @stream
// CHECK: %[[V:.+]], %[[S:.+]], %[[T:.+]] = tamis_kernel.pack_stream %{{.+}} column 1 reductions [0] step 4 <entries = 9, positions = 8, pitch = 8> {bound = 128 : i64} : tensor<32x8xi8> -> tensor<9x8xi8>, tensor<17xi32> sums tensor<1x8xi32>
// CHECK: tamis_kernel.contract ins(%{{.+}}, %[[V]] : tensor<8x32xi8>, tensor<9x8xi8>) stream(%[[S]] : tensor<17xi32>) sums(%[[T]] : tensor<1x8xi32>)
// CHECK-SAME: {storage = #tamis.row_stream<entries = 9, positions = 8, pitch = 8>}
func.func @stream(%x: tensor<8x32xi8>, %w: tensor<32x8xi8>, %e: tensor<8x8xi32>) -> tensor<8x8xi32> {
  %v, %s, %t = tamis_kernel.pack_stream %w column 1 reductions [0] step 4 <entries = 9, positions = 8, pitch = 8> {bound = 128 : i64}
    : tensor<32x8xi8> -> tensor<9x8xi8>, tensor<17xi32> sums tensor<1x8xi32>
  %y = tamis_kernel.contract ins(%x, %v : tensor<8x32xi8>, tensor<9x8xi8>) stream(%s : tensor<17xi32>) sums(%t : tensor<1x8xi32>) outs(%e : tensor<8x8xi32>)
    maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
    iterators ["parallel", "parallel", "reduction"] bounds [8, 8, 32] accumulator i32
    by #tamis.x86_maddubs<lanes = 8> tile [8, 1, 0] {storage = #tamis.row_stream<entries = 9, positions = 8, pitch = 8>} -> tensor<8x8xi32>
  return %y : tensor<8x8xi32>
}

// CHECK-LABEL: func.func @bitmask
// CHECK: %[[V:.+]], %[[M:.+]], %[[S:.+]] = tamis_kernel.compress %{{.+}} <entries = 9, unit = 2, expansion = #tamis.x86_shuffle<bytes = 2>> : tensor<1x1x16x16xi8> -> tensor<34xi8>, tensor<16xi8>, tensor<2xi32>
// CHECK: tamis_kernel.contract ins(%{{.+}}, %[[V]] : tensor<1x32xi8>, tensor<34xi8>) stream(%[[M]], %[[S]] : tensor<16xi8>, tensor<2xi32>)
// CHECK-SAME: {packed, storage = #tamis.bitmask<entries = 9, unit = 2, expansion = #tamis.x86_shuffle<bytes = 2>>}
func.func @bitmask(%x: tensor<1x32xi8>, %p: tensor<1x1x16x16xi8>, %e: tensor<1x8xi32>) -> tensor<1x8xi32> {
  %v, %m, %s = tamis_kernel.compress %p <entries = 9, unit = 2, expansion = #tamis.x86_shuffle<bytes = 2>>
    : tensor<1x1x16x16xi8> -> tensor<34xi8>, tensor<16xi8>, tensor<2xi32>
  %y = tamis_kernel.contract ins(%x, %v : tensor<1x32xi8>, tensor<34xi8>) stream(%m, %s : tensor<16xi8>, tensor<2xi32>) outs(%e : tensor<1x8xi32>)
    maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
    iterators ["parallel", "parallel", "reduction"] bounds [1, 8, 32] accumulator i32
    by #tamis.x86_madd<lanes = 8> tile [1, 1, 0] {packed, storage = #tamis.bitmask<entries = 9, unit = 2, expansion = #tamis.x86_shuffle<bytes = 2>>} -> tensor<1x8xi32>
  return %y : tensor<1x8xi32>
}

// CHECK-LABEL: func.func @block_list
// CHECK: %[[V:.+]], %[[P:.+]], %[[S:.+]] = tamis_kernel.list_blocks %{{.+}} <entries = 3, steps = 8, run = 16> : tensor<1x2x16x64xi8> -> tensor<3x8x64xi8>, tensor<3xi32>, tensor<3xi32>
// CHECK: tamis_kernel.contract ins(%{{.+}}, %[[V]] : tensor<16x64xi8>, tensor<3x8x64xi8>) stream(%[[P]], %[[S]] : tensor<3xi32>, tensor<3xi32>)
// CHECK-SAME: {packed, storage = #tamis.block_list<entries = 3, steps = 8, run = 16>}
func.func @block_list(%x: tensor<16x64xi8>, %p: tensor<1x2x16x64xi8>, %e: tensor<16x32xi32>) -> tensor<16x32xi32> {
  %v, %l, %s = tamis_kernel.list_blocks %p <entries = 3, steps = 8, run = 16>
    : tensor<1x2x16x64xi8> -> tensor<3x8x64xi8>, tensor<3xi32>, tensor<3xi32>
  %y = tamis_kernel.contract ins(%x, %v : tensor<16x64xi8>, tensor<3x8x64xi8>) stream(%l, %s : tensor<3xi32>, tensor<3xi32>) outs(%e : tensor<16x32xi32>)
    maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
    iterators ["parallel", "parallel", "reduction"] bounds [16, 32, 64] accumulator i32
    by #tamis.x86_amx_int8 tile [16, 1, 0] {packed, storage = #tamis.block_list<entries = 3, steps = 8, run = 16>} -> tensor<16x32xi32>
  return %y : tensor<16x32xi32>
}

// CHECK-LABEL: func.func @slots
// CHECK: %[[V:.+]], %[[P:.+]], %[[S:.+]] = tamis_kernel.fill_slots %{{.+}} <entries = 3, run = 62, lookup = #tamis.x86_lookup<bytes = 1, elements = 32>> {bound = 128 : i64} : tensor<1x2x16x32xi8> -> tensor<3x96xi8>, tensor<3x4xi16>, tensor<3xi32>
// CHECK: tamis_kernel.contract ins(%{{.+}}, %[[V]] : tensor<16x62xi8>, tensor<3x96xi8>) stream(%[[P]], %[[S]] : tensor<3x4xi16>, tensor<3xi32>)
// CHECK-SAME: storage = #tamis.slot_windows<entries = 3, run = 62, lookup = #tamis.x86_lookup<bytes = 1, elements = 32>>
func.func @slots(%x: tensor<16x62xi8>, %p: tensor<1x2x16x32xi8>, %e: tensor<16x16xi32>) -> tensor<16x16xi32> {
  %v, %l, %s = tamis_kernel.fill_slots %p <entries = 3, run = 62, lookup = #tamis.x86_lookup<bytes = 1, elements = 32>> {bound = 128 : i64}
    : tensor<1x2x16x32xi8> -> tensor<3x96xi8>, tensor<3x4xi16>, tensor<3xi32>
  %y = tamis_kernel.contract ins(%x, %v : tensor<16x62xi8>, tensor<3x96xi8>) stream(%l, %s : tensor<3x4xi16>, tensor<3xi32>) outs(%e : tensor<16x16xi32>)
    maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
    iterators ["parallel", "parallel", "reduction"] bounds [16, 16, 62] accumulator i32
    by #tamis.x86_maddubs<lanes = 8> tile [4, 1, 0] {lhs_unsigned, packed, storage = #tamis.slot_windows<entries = 3, run = 62, lookup = #tamis.x86_lookup<bytes = 1, elements = 32>>} -> tensor<16x16xi32>
  return %y : tensor<16x16xi32>
}

// CHECK-LABEL: func.func @bounded
// CHECK: %[[B:.+]], %[[V:.+]], %[[P:.+]], %[[S:.+]] = tamis_kernel.bound %{{.+}} <entries = 3, steps = 2, run = 64> : tensor<1x2x16x64xi8> -> tensor<3x64xi8>, tensor<3xi32>, tensor<3xi32>
// CHECK: tamis_kernel.contract ins(%{{.+}}, %[[B]] : tensor<16x64xi8>, tensor<1x2x16x64xi8>) stream(%[[P]], %[[S]], %[[V]] : tensor<3xi32>, tensor<3xi32>, tensor<3x64xi8>)
// CHECK-SAME: storage = #tamis.bounded<entries = 3, steps = 2, run = 64>
func.func @bounded(%x: tensor<16x64xi8>, %p: tensor<1x2x16x64xi8>, %e: tensor<16x32xi32>) -> tensor<16x32xi32> {
  %b, %v, %l, %s = tamis_kernel.bound %p <entries = 3, steps = 2, run = 64>
    : tensor<1x2x16x64xi8> -> tensor<3x64xi8>, tensor<3xi32>, tensor<3xi32>
  %y = tamis_kernel.contract ins(%x, %b : tensor<16x64xi8>, tensor<1x2x16x64xi8>) stream(%l, %s, %v : tensor<3xi32>, tensor<3xi32>, tensor<3x64xi8>) outs(%e : tensor<16x32xi32>)
    maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
    iterators ["parallel", "parallel", "reduction"] bounds [16, 32, 64] accumulator i32
    by #tamis.x86_maddubs<lanes = 8> tile [4, 2, 0] {lhs_unsigned, packed, storage = #tamis.bounded<entries = 3, steps = 2, run = 64>} -> tensor<16x32xi32>
  return %y : tensor<16x32xi32>
}

// CHECK-LABEL: func.func @n_of_m
// CHECK: %[[V:.+]], %[[P:.+]] = tamis_kernel.encode %{{.+}} : tensor<1x1x8x32xi8> as #tamis.n_of_m<entries = 128, selection = #tamis.x86_select_madd<lanes = 8>> -> tensor<128xi8>, tensor<8xi32>
// CHECK: tamis_kernel.contract ins(%{{.+}}, %[[V]] : tensor<1x32xi8>, tensor<128xi8>) stream(%[[P]] : tensor<8xi32>)
// CHECK-SAME: by #tamis.x86_select_madd<lanes = 8> tile [1, 1, 0] {packed, storage = #tamis.n_of_m<entries = 128, selection = #tamis.x86_select_madd<lanes = 8>>}
func.func @n_of_m(%x: tensor<1x32xi8>, %p: tensor<1x1x8x32xi8>, %e: tensor<1x8xi32>) -> tensor<1x8xi32> {
  %v, %q = tamis_kernel.encode %p : tensor<1x1x8x32xi8>
    as #tamis.n_of_m<entries = 128, selection = #tamis.x86_select_madd<lanes = 8>> -> tensor<128xi8>, tensor<8xi32>
  %y = tamis_kernel.contract ins(%x, %v : tensor<1x32xi8>, tensor<128xi8>) stream(%q : tensor<8xi32>) outs(%e : tensor<1x8xi32>)
    maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
    iterators ["parallel", "parallel", "reduction"] bounds [1, 8, 32] accumulator i32
    by #tamis.x86_select_madd<lanes = 8> tile [1, 1, 0] {packed, storage = #tamis.n_of_m<entries = 128, selection = #tamis.x86_select_madd<lanes = 8>>} -> tensor<1x8xi32>
  return %y : tensor<1x8xi32>
}

// CHECK-LABEL: func.func @codebook
// CHECK: tamis_kernel.encode %{{.+}} : tensor<1x1x32x8xf32> as #tamis.codebook<entries = 9, lookup = #tamis.x86_lookup<bytes = 4, elements = 8>> -> tensor<1x1x16x8xi8>, tensor<16xf32>
func.func @codebook(%p: tensor<1x1x32x8xf32>) -> (tensor<1x1x16x8xi8>, tensor<16xf32>) {
  %v, %t = tamis_kernel.encode %p : tensor<1x1x32x8xf32>
    as #tamis.codebook<entries = 9, lookup = #tamis.x86_lookup<bytes = 4, elements = 8>> -> tensor<1x1x16x8xi8>, tensor<16xf32>
  return %v, %t : tensor<1x1x16x8xi8>, tensor<16xf32>
}

// CHECK-LABEL: func.func @blocks
// CHECK: tamis_kernel.contract ins(%{{.+}}, %{{.+}} : tensor<1x2x8xi8>, tensor<1x1x2x32xi8>) factors(%{{.+}} : tensor<1x1x2x8xf32>)
// CHECK-SAME: by #tamis.x86_vnni<lanes = 8, swapped = true> tile [1, 1, 0] {block = 2 : i64, nibbles, packed, rhs_unsigned} combine {
func.func @blocks(%x: tensor<1x2x8xi8>, %w: tensor<1x1x2x32xi8>, %s: tensor<1x1x2x8xf32>, %e: tensor<1x8xf32>) -> tensor<1x8xf32> {
  %y = tamis_kernel.contract ins(%x, %w : tensor<1x2x8xi8>, tensor<1x1x2x32xi8>) factors(%s : tensor<1x1x2x8xf32>) outs(%e : tensor<1x8xf32>)
    maps [affine_map<(m, n, b, k) -> (m, b, k)>, affine_map<(m, n, b, k) -> (n, b, k)>, affine_map<(m, n, b, k) -> (m, n)>, affine_map<(m, n, b, k) -> (n, b)>]
    iterators ["parallel", "parallel", "reduction", "reduction"] bounds [1, 8, 2, 8]
    accumulator i32 by #tamis.x86_vnni<lanes = 8, swapped = true> tile [1, 1, 0] {packed, nibbles, block = 2 : i64, rhs_unsigned} combine {
  ^bb0(%total: f32, %sum: i32, %scale: f32):
    %r = arith.sitofp %sum : i32 to f32
    %p = arith.mulf %r, %scale : f32
    %t = arith.addf %total, %p : f32
    tamis.yield %t : f32
  } -> tensor<1x8xf32>
  return %y : tensor<1x8xf32>
}

// CHECK-LABEL: func.func @store_output
func.func @store_output(%m: memref<?x2xi64>) {
  // CHECK: tamis_kernel.store_output %{{.+}}, 0 : memref<?x2xi64>
  tamis_kernel.store_output %m, 0 : memref<?x2xi64>
  return
}

// CHECK-LABEL: func.func @observe
// CHECK: tamis.observe %{{.*}} tensor "relu1" {axis = 1 : i64, collect = ["minmax", "histogram"], scheme = #tamis.scheme<bits = 8, isUnsigned = true>} : tensor<4x8xf32>
// CHECK: tamis.observe parameter %{{.*}} tensor "conv1.weight" {scheme = #tamis.scheme<bits = 4, symmetric = true, axis = 0, block = 4>} : tensor<4x8xf32>
func.func @observe(%x: tensor<4x8xf32>, %w: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  %y = tamis.observe %x tensor "relu1" {collect = ["minmax", "histogram"], axis = 1, scheme = #tamis.scheme<bits = 8, isUnsigned = true>} : tensor<4x8xf32>
  %v = tamis.observe parameter %w tensor "conv1.weight" {scheme = #tamis.scheme<bits = 4, symmetric = true, axis = 0, block = 4>} : tensor<4x8xf32>
  return %y, %v : tensor<4x8xf32>, tensor<4x8xf32>
}

// CHECK-LABEL: func.func @fake_quant
// CHECK: tamis.fake_quant %{{.*}}, %{{.*}}, %{{.*}} range[0, 15] {axis = 0 : i64} : tensor<4x8xf32>, tensor<4xf32>, tensor<4xf32>
func.func @fake_quant(%x: tensor<4x8xf32>, %s: tensor<4xf32>, %z: tensor<4xf32>) -> tensor<4x8xf32> {
  %y = tamis.fake_quant %x, %s, %z range[0, 15] {axis = 0} : tensor<4x8xf32>, tensor<4xf32>, tensor<4xf32>
  return %y : tensor<4x8xf32>
}

// CHECK-LABEL: func.func @decode
// CHECK: tamis.decode %{{.*}} codebook(%{{.*}} : tensor<16xf32>) : tensor<4x8xi8> -> tensor<4x8xf32>
// CHECK: tamis.decode %{{.*}} codebook(%{{.*}} : tensor<16xf32>) scale(%{{.*}} : tensor<4x2xf32>) {axis = 1 : i64, block_size = 4 : i64, format = "float8_e5m2", origin = "w"} : tensor<4x8xi8> -> tensor<4x8xf32>
// CHECK: tamis.decode %{{.*}} : tensor<4x8xbf16> -> tensor<4x8xf32>
func.func @decode(%q: tensor<4x8xi8>, %h: tensor<4x8xbf16>, %c: tensor<16xf32>, %s: tensor<4x2xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) {
  %x = tamis.decode %q codebook(%c : tensor<16xf32>) : tensor<4x8xi8> -> tensor<4x8xf32>
  %y = tamis.decode %q codebook(%c : tensor<16xf32>) scale(%s : tensor<4x2xf32>) {axis = 1, block_size = 4, format = "float8_e5m2", origin = "w"} : tensor<4x8xi8> -> tensor<4x8xf32>
  %z = tamis.decode %h : tensor<4x8xbf16> -> tensor<4x8xf32>
  return %x, %y, %z : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>
}

// CHECK-LABEL: func.func @winograd_weights
// CHECK: tamis_kernel.winograd_weights %{{.+}} output 4 column 0 channel 1 window [2, 3] : tensor<32x16x3x3xf32> -> tensor<36x16x32xf32>
func.func @winograd_weights(%w: tensor<32x16x3x3xf32>) -> tensor<36x16x32xf32> {
  %u = tamis_kernel.winograd_weights %w output 4 column 0 channel 1 window [2, 3] : tensor<32x16x3x3xf32> -> tensor<36x16x32xf32>
  return %u : tensor<36x16x32xf32>
}

// CHECK-LABEL: func.func @winograd_transforms
// CHECK: tamis_kernel.winograd_input ins(%{{.+}} : memref<1x30x30x16xf32>) outs(%{{.+}} : memref<36x14x16xf32>) at %{{.+}}, %{{.+}} output 4 by #tamis.vector_fma<lanes = 8, fused = true>
// CHECK: tamis_kernel.winograd_output ins(%{{.+}} : memref<36x14x16xf32>) extras(%{{.+}} : memref<16xf32>) outs(%{{.+}} : memref<1x28x28x16xf32>)
// CHECK-SAME: maps [#{{.+}}] at %{{.+}}, %{{.+}} output 4 by #tamis.vector_fma<lanes = 8, fused = true> epilogue {
func.func @winograd_transforms(%x: memref<1x30x30x16xf32>, %t: memref<36x14x16xf32>, %b: memref<16xf32>, %y: memref<1x28x28x16xf32>, %i: index) {
  tamis_kernel.winograd_input ins(%x : memref<1x30x30x16xf32>) outs(%t : memref<36x14x16xf32>) at %i, %i output 4 by #tamis.vector_fma<lanes = 8, fused = true>
  tamis_kernel.winograd_output ins(%t : memref<36x14x16xf32>) extras(%b : memref<16xf32>) outs(%y : memref<1x28x28x16xf32>)
      maps [affine_map<(n, h, w, c) -> (c)>] at %i, %i output 4 by #tamis.vector_fma<lanes = 8, fused = true> epilogue {
  ^bb0(%sum: f32, %v: f32):
    %r = arith.addf %sum, %v : f32
    tamis.yield %r : f32
  }
  return
}
