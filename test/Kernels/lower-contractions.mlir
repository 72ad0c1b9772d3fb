// RUN: tamis-opt %s --tamis-lower-contractions --canonicalize | FileCheck %s

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>

// CHECK-LABEL: func.func @accumulators_are_carried
// CHECK: scf.for {{.+}} iter_args({{.+}}) -> (vector<16xf32>, vector<16xf32>
// CHECK-COUNT-2: vector.fma
// CHECK: arith.maximumf {{.+}} : vector<16xf32>
// CHECK: vector.store
func.func @accumulators_are_carried(%x: memref<2x640xf32>, %w: memref<1x1x640x16xf32>, %o: memref<2x16xf32>) {
  tamis_kernel.contract ins(%x, %w : memref<2x640xf32>, memref<1x1x640x16xf32>) outs(%o : memref<2x16xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [2, 16, 640]
    accumulator f32 by #tamis.vector_fma<lanes = 16, fused = true> tile [2, 1, 0] {packed} epilogue {
  ^bb0(%acc: f32):
    %z = arith.constant 0.0 : f32
    %r = arith.maximumf %acc, %z : f32
    tamis.yield %r : f32
  }
  return
}

// CHECK-LABEL: func.func @columns_end_in_a_mask
// CHECK: vector.maskedstore {{.+}} : memref<{{.+}}>, vector<16xi1>, vector<16xf32>
func.func @columns_end_in_a_mask(%x: memref<2x8xf32>, %w: memref<1x1x8x16xf32>, %o: memref<2x10xf32>) {
  tamis_kernel.contract ins(%x, %w : memref<2x8xf32>, memref<1x1x8x16xf32>) outs(%o : memref<2x10xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [2, 10, 8]
    accumulator f32 by #tamis.vector_fma<lanes = 16, fused = true> tile [2, 1, 0] {packed}
  return
}

// CHECK-LABEL: func.func @extra_of_other_order_is_gathered
// CHECK-NOT: vector.step
// CHECK: vector.gather
// CHECK-NOT: vector.step
// CHECK: return
func.func @extra_of_other_order_is_gathered(%x: memref<2x8xf32>, %w: memref<1x1x8x16xf32>, %r: memref<16x2xf32>, %o: memref<2x16xf32>) {
  tamis_kernel.contract ins(%x, %w : memref<2x8xf32>, memref<1x1x8x16xf32>) extras(%r : memref<16x2xf32>) outs(%o : memref<2x16xf32>)
    maps [#lhs, #rhs, #out, affine_map<(m, n, k) -> (n, m)>] iterators ["parallel", "parallel", "reduction"] bounds [2, 16, 8]
    accumulator f32 by #tamis.vector_fma<lanes = 16, fused = true> tile [2, 1, 0] {packed} epilogue {
  ^bb0(%acc: f32, %more: f32):
    %s = arith.addf %acc, %more : f32
    tamis.yield %s : f32
  }
  return
}

// Squares of rows and words are transposed into the stage, each column walks
// its entries with four vectors of positions, squares of sums return.
// CHECK-LABEL: func.func @stream_of_floats
// CHECK: %[[STAGE:.+]] = memref.alloca() {alignment = 64 : i64} : memref<512xf32>
// CHECK: vector.shuffle
// CHECK: vector.store %{{.+}}, %[[STAGE]]
// CHECK: %[[FIRST:.+]] = arith.index_cast
// CHECK: %[[LAST:.+]] = arith.index_cast
// CHECK: scf.for %{{.+}} = %[[FIRST]] to %[[LAST]] {{.+}} -> (vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>)
// CHECK: %[[WORD:.+]] = vector.broadcast %{{.+}} : i32 to vector<8xi32>
// CHECK: vector.bitcast %[[WORD]] : vector<8xi32> to vector<8xf32>
// CHECK-COUNT-4: vector.load %[[STAGE]]
// CHECK: vector.shuffle
// CHECK: arith.maximumf {{.+}} : vector<8xf32>
// CHECK: return
func.func @stream_of_floats(%x: memref<32x16xf32>, %v: memref<9x2xf32>, %s: memref<33xi32>, %o: memref<32x16xf32>) {
  tamis_kernel.contract ins(%x, %v : memref<32x16xf32>, memref<9x2xf32>) stream(%s : memref<33xi32>) outs(%o : memref<32x16xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [32, 16, 16] accumulator f32
    by #tamis.vector_fma<lanes = 8, fused = true> tile [32, 1, 0] {storage = #tamis.row_stream<entries = 9, positions = 32, pitch = 32>} epilogue {
  ^bb0(%acc: f32):
    %z = arith.constant 0.0 : f32
    %r = arith.maximumf %acc, %z : f32
    tamis.yield %r : f32
  }
  return
}

// Signed activations are stored with their top bit turned; four bytes of
// weights are one broadcast.
// CHECK-LABEL: func.func @stream_of_bytes
// CHECK: %[[STAGE:.+]] = memref.alloca() {alignment = 64 : i64} : memref<64xi32>
// CHECK: arith.xori {{.+}} : vector<32xi8>
// CHECK: vector.store %{{.+}}, %[[STAGE]]{{.+}}, vector<8xi32>
// CHECK: vector.broadcast %{{.+}} : i32 to vector<8xi32>
// CHECK: llvm.call_intrinsic "llvm.x86.avx2.pmadd.ub.sw"
// CHECK: return
func.func @stream_of_bytes(%x: memref<8x32xi8>, %v: memref<9x8xi8>, %s: memref<17xi32>, %t: memref<1x8xi32>, %o: memref<8x8xi32>) {
  tamis_kernel.contract ins(%x, %v : memref<8x32xi8>, memref<9x8xi8>) stream(%s : memref<17xi32>) sums(%t : memref<1x8xi32>) outs(%o : memref<8x8xi32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [8, 8, 32] accumulator i32
    by #tamis.x86_maddubs<lanes = 8> tile [8, 1, 0] {storage = #tamis.row_stream<entries = 9, positions = 8, pitch = 8>}
  return
}

// A vector of weights is looked up by its mask and put in place; the place of
// the next unit goes along with the sums.
// CHECK-LABEL: func.func @bitmask_of_floats
// CHECK: %[[FIRST:.+]] = arith.index_cast %{{.+}} : i32 to index
// CHECK: scf.for {{.+}} iter_args({{.+}} = %[[FIRST]]) -> ({{.+}}vector<8xf32>, index)
// CHECK: %[[MASK:.+]] = memref.load %{{.+}} : memref<128xi8>
// CHECK: %[[TABLE:.+]] = memref.get_global @tamis_shuffle4 : memref<2048xi8>
// CHECK: vector.load %[[TABLE]]{{.+}} vector<8xi8>
// CHECK: llvm.call_intrinsic "llvm.x86.avx2.permps"
// CHECK: llvm.call_intrinsic "llvm.x86.avx.blendv.ps.256"
// CHECK: arith.extui %[[MASK]] : i8 to i64
// CHECK: llvm.intr.ctpop
// CHECK: return
func.func @bitmask_of_floats(%x: memref<1x64xf32>, %v: memref<17xf32>, %m: memref<128xi8>, %s: memref<3xi32>, %o: memref<1x16xf32>) {
  tamis_kernel.contract ins(%x, %v : memref<1x64xf32>, memref<17xf32>) stream(%m, %s : memref<128xi8>, memref<3xi32>) outs(%o : memref<1x16xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [1, 16, 64] accumulator f32
    by #tamis.vector_fma<lanes = 8, fused = true> tile [4, 1, 0] {packed, storage = #tamis.bitmask<entries = 9, unit = 1, expansion = #tamis.x86_shuffle<bytes = 4>>}
  return
}

// CHECK-LABEL: func.func @bitmask_of_bytes
// CHECK: memref.load %{{.+}} : memref<16xi64>
// CHECK: vector.bitcast %{{.+}} : vector<1xi64> to vector<64xi1>
// CHECK: llvm.call_intrinsic "llvm.x86.avx512.mask.expand"
// CHECK: llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"
// CHECK: return
func.func @bitmask_of_bytes(%x: memref<1x64xi8>, %v: memref<73xi8>, %m: memref<16xi64>, %s: memref<2xi32>, %t: memref<1x16xi32>, %o: memref<1x16xi32>) {
  tamis_kernel.contract ins(%x, %v : memref<1x64xi8>, memref<73xi8>) stream(%m, %s : memref<16xi64>, memref<2xi32>) sums(%t : memref<1x16xi32>) outs(%o : memref<1x16xi32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [1, 16, 64] accumulator i32
    by #tamis.x86_vnni<lanes = 16> tile [4, 1, 0] {packed, storage = #tamis.bitmask<entries = 9, unit = 1, expansion = #tamis.x86_expand<bytes = 1>>}
  return
}

// The list says where the rows of a block lie; the block is a dense run.
// CHECK-LABEL: func.func @block_list_of_floats
// CHECK: %[[FIRST:.+]] = arith.index_cast
// CHECK: %[[LAST:.+]] = arith.index_cast
// CHECK: scf.for %[[I:.+]] = %[[FIRST]] to %[[LAST]] {{.+}} -> (vector<8xf32>, vector<8xf32>)
// CHECK: memref.load %{{.+}}[%[[I]]] : memref<3xi32>
// CHECK-COUNT-8: vector.load {{.+}} vector<8xf32>
// CHECK-NOT: vector.load
// CHECK: scf.yield
func.func @block_list_of_floats(%x: memref<2x64xf32>, %v: memref<3x8x8xf32>, %p: memref<3xi32>, %s: memref<3xi32>, %o: memref<2x16xf32>) {
  tamis_kernel.contract ins(%x, %v : memref<2x64xf32>, memref<3x8x8xf32>) stream(%p, %s : memref<3xi32>, memref<3xi32>) outs(%o : memref<2x16xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [2, 16, 64] accumulator f32
    by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 1, 0] {packed, storage = #tamis.block_list<entries = 3, steps = 8, run = 64>}
  return
}

// CHECK-LABEL: func.func @block_list_of_tiles
// CHECK: scf.for %[[I:.+]] = %{{.+}} to {{.+}} -> (!amx.tile<16x16xi32>, !amx.tile<16x16xi32>, !amx.tile<16x16xi32>, !amx.tile<16x16xi32>)
// CHECK: memref.load %{{.+}}[%[[I]]] : memref<3xi32>
// CHECK-COUNT-4: amx.tile_muli
func.func @block_list_of_tiles(%x: memref<32x128xi8>, %v: memref<3x16x128xi8>, %p: memref<3xi32>, %s: memref<2xi32>, %o: memref<32x32xi32>) {
  tamis_kernel.contract ins(%x, %v : memref<32x128xi8>, memref<3x16x128xi8>) stream(%p, %s : memref<3xi32>, memref<2xi32>) outs(%o : memref<32x32xi32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [32, 32, 128] accumulator i32
    by #tamis.x86_amx_int8 tile [32, 2, 0] {packed, storage = #tamis.block_list<entries = 3, steps = 16, run = 32>}
  return
}

// Each lane picks the two of four elements that belong to its weights.
// CHECK-LABEL: func.func @two_of_four_floats
// CHECK: vector.load %{{.+}}, vector<16xf32>
// CHECK: %[[WORD:.+]] = memref.load %{{.+}} : memref<32xi32>
// CHECK: %[[ALL:.+]] = vector.broadcast %[[WORD]] : i32 to vector<8xi32>
// CHECK: arith.shrui %[[ALL]], %{{.+}} : vector<8xi32>
// CHECK-COUNT-2: llvm.call_intrinsic "llvm.x86.avx.vpermilvar.ps.256"
// CHECK: return
func.func @two_of_four_floats(%x: memref<1x64xf32>, %v: memref<512xf32>, %p: memref<32xi32>, %o: memref<1x16xf32>) {
  tamis_kernel.contract ins(%x, %v : memref<1x64xf32>, memref<512xf32>) stream(%p : memref<32xi32>) outs(%o : memref<1x16xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [1, 16, 64] accumulator f32
    by #tamis.x86_select_fma<lanes = 8, kept = 2> tile [1, 2, 0] {packed, storage = #tamis.n_of_m<entries = 512, selection = #tamis.x86_select_fma<lanes = 8, kept = 2>>}
  return
}

// CHECK-LABEL: func.func @two_of_four_bytes
// CHECK: memref.load %{{.+}} : memref<16xi64>
// CHECK: llvm.call_intrinsic "llvm.x86.avx512.permvar.si.512"
// CHECK: llvm.call_intrinsic "llvm.x86.avx512.pshuf.b.512"
// CHECK: llvm.call_intrinsic "llvm.x86.avx512.pmaddw.d.512"
// CHECK: return
func.func @two_of_four_bytes(%x: memref<1x64xi8>, %v: memref<512xi8>, %p: memref<16xi64>, %t: memref<1x16xi32>, %o: memref<1x16xi32>) {
  tamis_kernel.contract ins(%x, %v : memref<1x64xi8>, memref<512xi8>) stream(%p : memref<16xi64>) sums(%t : memref<1x16xi32>) outs(%o : memref<1x16xi32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [1, 16, 64] accumulator i32
    by #tamis.x86_select_madd<lanes = 16> tile [1, 1, 0] {packed, storage = #tamis.n_of_m<entries = 512, selection = #tamis.x86_select_madd<lanes = 16>>}
  return
}

// A byte holds the codes of two steps.
// CHECK-LABEL: func.func @codebook
// CHECK: vector.load %{{.+}} : memref<16xf32>, vector<16xf32>
// CHECK: scf.for
// CHECK: vector.load %{{.+}}, vector<8xi8>
// CHECK-COUNT-4: llvm.call_intrinsic "llvm.x86.avx2.permps"
// CHECK: return
func.func @codebook(%x: memref<1x640xf32>, %v: memref<1x1x320x8xi8>, %t: memref<16xf32>, %o: memref<1x8xf32>) {
  tamis_kernel.contract ins(%x, %v : memref<1x640xf32>, memref<1x1x320x8xi8>) stream(%t : memref<16xf32>) outs(%o : memref<1x8xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [1, 8, 640] accumulator f32
    by #tamis.vector_fma<lanes = 8, fused = true> tile [1, 1, 0] {packed, storage = #tamis.codebook<entries = 9, lookup = #tamis.x86_lookup<bytes = 4, elements = 8>>}
  return
}

// All quarters of the reduction are staged; the sums of sorted lists wait where
// their columns say, new ones of the first quarter, and are finished eight rows
// at a time.
// CHECK-LABEL: func.func @stream_in_parts
// CHECK-DAG: %[[STAGE:.+]] = memref.alloca() {alignment = 64 : i64} : memref<512xf32>
// CHECK-DAG: %[[SUMS:.+]] = memref.alloca() {alignment = 64 : i64} : memref<256xf32>
// CHECK: scf.for %{{.+}} = %c0 to %c4 step %c1
// CHECK: vector.store %{{.+}}, %[[STAGE]]
// CHECK: scf.for %{{.+}} = %c0 to %c16 step %c1
// CHECK-NOT: vector.load %[[SUMS]]
// CHECK: vector.store %{{.+}}, %[[SUMS]]
// CHECK: scf.for %[[PART:.+]] = %c1 to %c4 step %c1
// CHECK: arith.muli %[[PART]], %c16
// CHECK: %[[LIST:.+]] = arith.muli
// CHECK: %[[AT:.+]] = arith.addi %[[LIST]], %c1
// CHECK: %[[FOUND:.+]] = memref.load %{{.+}}[%[[AT]]] : memref<129xi32>
// CHECK: %[[COLUMN:.+]] = arith.index_cast %[[FOUND]]
// CHECK: %[[SLOT:.+]] = arith.muli %[[COLUMN]], %c16
// CHECK: vector.load %[[SUMS]][%[[SLOT]]] : memref<256xf32>, vector<8xf32>
// CHECK: vector.store %{{.+}}, %[[SUMS]]
// CHECK: scf.for %{{.+}} = %c0 to %c16 step %c8
// CHECK: scf.for %{{.+}} = %c0 to %c2 step %c1
// CHECK: vector.shuffle
// CHECK-NOT: arith.remui
// CHECK: return
func.func @stream_in_parts(%x: memref<16x32xf32>, %v: memref<9x2xf32>, %s: memref<129xi32>, %o: memref<16x16xf32>) {
  tamis_kernel.contract ins(%x, %v : memref<16x32xf32>, memref<9x2xf32>) stream(%s : memref<129xi32>) outs(%o : memref<16x16xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [16, 16, 32] accumulator f32
    by #tamis.vector_fma<lanes = 8, fused = true> tile [16, 1, 0] {storage = #tamis.row_stream<entries = 9, positions = 16, pitch = 16, parts = 4, sorted = 16>}
  return
}

// One vector of positions: four entries at a time, the rest one by one.
// CHECK-LABEL: func.func @entries_take_turns
// CHECK: scf.for {{.+}} -> (vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>)
// CHECK-COUNT-3: arith.addf {{.+}} : vector<8xf32>
// CHECK: scf.for {{.+}} -> (vector<8xf32>) {
func.func @entries_take_turns(%x: memref<8x16xf32>, %v: memref<9x2xf32>, %s: memref<33xi32>, %o: memref<8x16xf32>) {
  tamis_kernel.contract ins(%x, %v : memref<8x16xf32>, memref<9x2xf32>) stream(%s : memref<33xi32>) outs(%o : memref<8x16xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [8, 16, 16] accumulator f32
    by #tamis.vector_fma<lanes = 8, fused = true> tile [8, 1, 0] {storage = #tamis.row_stream<entries = 9, positions = 8, pitch = 8>}
  return
}

// CHECK-LABEL: func.func @tasks_become_forall
// CHECK: scf.forall (%{{.+}}) in (2)
func.func @tasks_become_forall(%x: memref<64x8xf32>, %w: memref<1x1x8x16xf32>, %o: memref<64x16xf32>) {
  tamis_kernel.contract ins(%x, %w : memref<64x8xf32>, memref<1x1x8x16xf32>) outs(%o : memref<64x16xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [64, 16, 8]
    accumulator f32 by #tamis.vector_fma<lanes = 16, fused = true> tile [8, 1, 0] {packed, tasks = 2 : i64}
  return
}

// CHECK-LABEL: func.func @integers_by_dot_product
// CHECK: llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"
func.func @integers_by_dot_product(%x: memref<2x8xi8>, %w: memref<1x1x2x64xi8>, %o: memref<2x16xi32>) {
  tamis_kernel.contract ins(%x, %w : memref<2x8xi8>, memref<1x1x2x64xi8>) outs(%o : memref<2x16xi32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [2, 16, 8]
    accumulator i32 by #tamis.x86_vnni<lanes = 16> tile [2, 1, 0] {packed, lhs_unsigned}
  return
}

// CHECK-LABEL: func.func @activation_is_packed_by_loops
// CHECK-NOT: tamis_kernel.pack
// CHECK: memref.load
func.func @activation_is_packed_by_loops(%w: memref<?x8xf32>, %p: memref<1x?x8x16xf32>) {
  tamis_kernel.pack ins(%w : memref<?x8xf32>) outs(%p : memref<1x?x8x16xf32>)
    groups [] column 0 reductions [1] run 1 step 1
  return
}

// A long epilogue runs in a loop over the rows of the block, which the
// accumulators reach through a scratch.
// CHECK-LABEL: func.func @long_epilogue
// CHECK: %[[SCRATCH:.*]] = memref.alloca() {alignment = 64 : i64} : memref<64xf32>
// CHECK-COUNT-4: vector.store %{{.*}}, %[[SCRATCH]]
// CHECK: scf.for
// CHECK: vector.load %[[SCRATCH]]
// CHECK: math.exp %{{.*}} : vector<16xf32>
// CHECK-NOT: math.exp
// CHECK: return
func.func @long_epilogue(%x: memref<4x8xf32>, %w: memref<1x1x8x16xf32>, %o: memref<4x16xf32>) {
  %one = arith.constant 1.0 : f32
  tamis_kernel.contract ins(%x, %w : memref<4x8xf32>, memref<1x1x8x16xf32>) outs(%o : memref<4x16xf32>)
    maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
    iterators ["parallel", "parallel", "reduction"] bounds [4, 16, 8]
    accumulator f32 by #tamis.vector_fma<lanes = 16, fused = true> tile [4, 1, 0] {packed} epilogue {
  ^bb0(%a: f32):
    %n = arith.negf %a : f32
    %e = math.exp %n : f32
    %s = arith.addf %e, %one : f32
    %r = arith.divf %one, %s : f32
    %y = arith.mulf %a, %r : f32
    tamis.yield %y : f32
  }
  return
}

// One accumulator would wait for its own latency: eight partial sums. A strict
// policy keeps the order.
module {
  // CHECK-LABEL: func.func @partial_sums
  // CHECK: scf.for {{.*}} -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>)
  // CHECK-COUNT-7: arith.addf
  // CHECK-NOT: arith.addf
  func.func @partial_sums(%x: memref<1x640xf32>, %w: memref<1x1x640x16xf32>, %o: memref<1x16xf32>) {
    tamis_kernel.contract ins(%x, %w : memref<1x640xf32>, memref<1x1x640x16xf32>) outs(%o : memref<1x16xf32>)
      maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      iterators ["parallel", "parallel", "reduction"] bounds [1, 16, 640]
      accumulator f32 by #tamis.vector_fma<lanes = 16, fused = true> tile [1, 1, 0] {packed}
    return
  }
}

module attributes {tamis.policy = #tamis.policy<strict = true>} {
  // CHECK-LABEL: func.func @strict_stream
  // CHECK: scf.for {{.+}} iter_args({{.+}} -> (vector<8xf32>) {
  func.func @strict_stream(%x: memref<8x16xf32>, %v: memref<9x2xf32>, %s: memref<33xi32>, %o: memref<8x16xf32>) {
    tamis_kernel.contract ins(%x, %v : memref<8x16xf32>, memref<9x2xf32>) stream(%s : memref<33xi32>) outs(%o : memref<8x16xf32>)
      maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [8, 16, 16] accumulator f32
      by #tamis.vector_fma<lanes = 8, fused = true> tile [8, 1, 0] {storage = #tamis.row_stream<entries = 9, positions = 8, pitch = 8>}
    return
  }
  // CHECK-LABEL: func.func @strict_sum
  // CHECK: scf.for {{.*}} -> (vector<16xf32>) {
  // CHECK-NOT: arith.addf
  func.func @strict_sum(%x: memref<1x640xf32>, %w: memref<1x1x640x16xf32>, %o: memref<1x16xf32>) {
    tamis_kernel.contract ins(%x, %w : memref<1x640xf32>, memref<1x1x640x16xf32>) outs(%o : memref<1x16xf32>)
      maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      iterators ["parallel", "parallel", "reduction"] bounds [1, 16, 640]
      accumulator f32 by #tamis.vector_fma<lanes = 16, fused = true> tile [1, 1, 0] {packed}
    return
  }
}

// A block of 32 is eight steps of four, whose products 16 bits hold; the total
// is a float that is carried from block to block.
// CHECK-LABEL: func.func @blocks_of_nibbles
// CHECK: %[[TOTAL:.+]] = scf.for {{.+}} iter_args(%[[CARRIED:.+]] = %{{.+}}) -> (vector<8xf32>)
// CHECK: %[[BYTES:.+]] = vector.load {{.+}} vector<32xi8>
// CHECK: %[[LOW:.+]] = arith.andi %[[BYTES]]
// CHECK: llvm.call_intrinsic "llvm.x86.avx2.pmadd.ub.sw"(%[[LOW]], %{{.+}})
// CHECK: arith.shrui {{.+}} : vector<32xi8>
// CHECK-COUNT-7: llvm.call_intrinsic "llvm.x86.avx2.pmadd.ub.sw"
// CHECK: llvm.call_intrinsic "llvm.x86.avx2.pmadd.wd"
// CHECK-NOT: llvm.call_intrinsic
// CHECK: %[[SCALE:.+]] = arith.extf %{{.+}} : vector<8xf16> to vector<8xf32>
// CHECK: %[[SCALED:.+]] = arith.mulf %{{.+}}, %[[SCALE]]
// CHECK: arith.addf %[[CARRIED]], %[[SCALED]]
// CHECK: vector.store %[[TOTAL]]
func.func @blocks_of_nibbles(%x: memref<1x2x32xi8>, %w: memref<1x1x8x32xi8>, %s: memref<1x1x2x8xf16>, %o: memref<1x8xf32>) {
  tamis_kernel.contract ins(%x, %w : memref<1x2x32xi8>, memref<1x1x8x32xi8>) factors(%s : memref<1x1x2x8xf16>) outs(%o : memref<1x8xf32>)
    maps [affine_map<(m, n, b, k) -> (m, b, k)>, affine_map<(m, n, b, k) -> (n, b, k)>, affine_map<(m, n, b, k) -> (m, n)>, affine_map<(m, n, b, k) -> (n, b)>]
    iterators ["parallel", "parallel", "reduction", "reduction"] bounds [1, 8, 2, 32]
    accumulator i32 by #tamis.x86_maddubs<lanes = 8, swapped = true> tile [1, 1, 0] {packed, nibbles, block = 2 : i64, rhs_unsigned} combine {
  ^bb0(%total: f32, %sum: i32, %scale: f16):
    %f = arith.extf %scale : f16 to f32
    %r = arith.sitofp %sum : i32 to f32
    %p = arith.mulf %r, %f : f32
    %t = arith.addf %total, %p : f32
    tamis.yield %t : f32
  }
  return
}

// Four rows of two vectors: after the first byte of each lane a loop, so that
// sums stay in registers and their products come one after another.
// CHECK-LABEL: func.func @narrow_sums_of_many_rows
// CHECK: scf.for {{.+}} iter_args({{.+}}) -> (vector<8xf32>, {{.+}}vector<8xf32>)
// CHECK-COUNT-16: llvm.call_intrinsic "llvm.x86.avx2.pmadd.ub.sw"
// CHECK: scf.for %{{.+}} = %c2 to %c8 step %c2 iter_args({{.+}}) -> (vector<16xi16>, {{.+}}vector<16xi16>)
// CHECK-COUNT-16: llvm.call_intrinsic "llvm.x86.avx2.pmadd.ub.sw"
// CHECK-NOT: pmadd.ub.sw
// CHECK: scf.yield {{.+}} : vector<16xi16>
// CHECK-COUNT-8: llvm.call_intrinsic "llvm.x86.avx2.pmadd.wd"
func.func @narrow_sums_of_many_rows(%x: memref<4x2x32xi8>, %w: memref<1x1x16x64xi8>, %o: memref<4x16xf32>) {
  tamis_kernel.contract ins(%x, %w : memref<4x2x32xi8>, memref<1x1x16x64xi8>) outs(%o : memref<4x16xf32>)
    maps [affine_map<(m, n, b, k) -> (m, b, k)>, affine_map<(m, n, b, k) -> (n, b, k)>, affine_map<(m, n, b, k) -> (m, n)>]
    iterators ["parallel", "parallel", "reduction", "reduction"] bounds [4, 16, 2, 32]
    accumulator i32 by #tamis.x86_maddubs<lanes = 8, swapped = true> tile [4, 2, 0] {packed, nibbles, block = 2 : i64, rhs_unsigned} combine {
  ^bb0(%total: f32, %sum: i32):
    %r = arith.sitofp %sum : i32 to f32
    %t = arith.addf %total, %r : f32
    tamis.yield %t : f32
  }
  return
}

// Each piece of the sum is added to what waits in the result; the epilogue sees the last.
// CHECK-LABEL: func.func @sums_in_pieces
// CHECK: scf.for %[[K:.*]] = %c0 to %c640 step %c160
// CHECK: %[[CONTINUES:.*]] = arith.cmpi ne, %[[K]], %c0
// CHECK: %[[ENDS:.*]] = arith.cmpi eq, %{{.*}}, %c640
// CHECK: memref.prefetch
// CHECK: vector.fma
// CHECK: scf.if %[[CONTINUES]]
// CHECK: vector.load
// CHECK: arith.addf
// CHECK: scf.if %[[ENDS]]
// CHECK: arith.maximumf
// CHECK: else
// CHECK-NOT: arith.maximumf
// CHECK: vector.store
// CHECK: return
func.func @sums_in_pieces(%x: memref<2x640xf32>, %w: memref<1x1x640x16xf32>, %o: memref<2x16xf32>) {
  tamis_kernel.contract ins(%x, %w : memref<2x640xf32>, memref<1x1x640x16xf32>) outs(%o : memref<2x16xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [2, 16, 640]
    accumulator f32 by #tamis.vector_fma<lanes = 16, fused = true> tile [2, 1, 0, 160] {packed} epilogue {
  ^bb0(%acc: f32):
    %z = arith.constant 0.0 : f32
    %r = arith.maximumf %acc, %z : f32
    tamis.yield %r : f32
  }
  return
}

// Scratch of a kernel within a loop is taken once.
// CHECK-LABEL: func.func @scratch_around_loops
// CHECK: memref.alloca
// CHECK: scf.for
// CHECK-NOT: memref.alloca
// CHECK: return
func.func @scratch_around_loops(%x: memref<8x64xi8>, %w: memref<1x1x32x32xi8>, %o: memref<8x16xi32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  scf.for %i = %c0 to %c3 step %c1 {
    tamis_kernel.contract ins(%x, %w : memref<8x64xi8>, memref<1x1x32x32xi8>) outs(%o : memref<8x16xi32>)
      maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [8, 16, 64]
      accumulator i32 by #tamis.x86_madd<lanes = 8> tile [2, 2, 0] {packed}
  }
  return
}

// Keys lie row by row: a panel is turned into L1, its blocks read it there.
// CHECK-LABEL: func.func @panels_in_passing
// CHECK: %[[PANEL:.+]] = memref.alloca() {alignment = 64 : i64} : memref<1x1x64x16xf32>
// CHECK: vector.shuffle
// CHECK: vector.store
// CHECK: vector.fma
// CHECK-NOT: memref.alloc(
// CHECK: return
func.func @panels_in_passing(%q: memref<3x64xf32>, %k: memref<?x64xf32, strided<[64, 1], offset: ?>>, %o: memref<3x?xf32>) {
  tamis_kernel.contract ins(%q, %k : memref<3x64xf32>, memref<?x64xf32, strided<[64, 1], offset: ?>>) outs(%o : memref<3x?xf32>)
    maps [#lhs, affine_map<(m, n, k) -> (n, k)>, #out] iterators ["parallel", "parallel", "reduction"] bounds [3, -9223372036854775808, 64]
    accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [3, 2, 0]
  return
}

// Six lines of four positions of a padded result are one loop of three blocks
// of eight rows: the place of a row is found by division.
// CHECK-LABEL: func.func @stream_into_a_padded_tensor
// CHECK: scf.for %[[BLOCK:.+]] = %{{.+}} to %c24 step %c8
// CHECK-COUNT-8: vector.load %{{.+}} : memref<{{.+}}>, vector<8xf32>
// CHECK: arith.divui %{{.+}}, %c4
// CHECK: arith.remui %{{.+}}, %c4
// CHECK: vector.store %{{.+}} : memref<{{.+}}>, vector<8xf32>
func.func @stream_into_a_padded_tensor(%x: memref<6x4x8xf32>, %v: memref<9x2xf32>, %s: memref<17xi32>,
                                       %o: memref<6x4x8xf32, strided<[48, 8, 1]>>) {
  tamis_kernel.contract ins(%x, %v : memref<6x4x8xf32>, memref<9x2xf32>) stream(%s : memref<17xi32>)
    outs(%o : memref<6x4x8xf32, strided<[48, 8, 1]>>)
    maps [affine_map<(h, w, n, k) -> (h, w, k)>, affine_map<(h, w, n, k) -> (k, n)>, affine_map<(h, w, n, k) -> (h, w, n)>]
    iterators ["parallel", "parallel", "parallel", "reduction"] bounds [6, 4, 8, 8] accumulator f32
    by #tamis.vector_fma<lanes = 8, fused = true> tile [8, 1, 0] {storage = #tamis.row_stream<entries = 9, positions = 8, pitch = 8>}
  return
}

// A stripe of eight positions is walked line by line, each with both panels. Of
// a line six positions are loaded for four windows, two vectors in turns. Four
// positions are left for the next stripe.
// CHECK-LABEL: func.func @depthwise_stripes
// CHECK: scf.for %{{.+}} = %c0 to %c5 step %c1
// CHECK: scf.for %{{.+}} = %c0 to %c2 step %c1
// CHECK: scf.for %{{.+}} = %c0 to %c8 step %c4
// CHECK-COUNT-6: vector.load %{{.+}} : memref<288xf32
// CHECK-COUNT-12: vector.load %{{.+}} : memref<3136xf32
// CHECK-COUNT-6: vector.load %{{.+}} : memref<288xf32
// CHECK: scf.for %{{.+}} = %c0 to %c5 step %c1
// CHECK: scf.for %{{.+}} = %c0 to %c2 step %c1
// CHECK-NOT: scf.for
// CHECK: return
func.func @depthwise_stripes(%x: memref<7x14x32xf32>, %w: memref<1x2x9x16xf32>, %o: memref<5x12x32xf32>) {
  tamis_kernel.contract ins(%x, %w : memref<7x14x32xf32>, memref<1x2x9x16xf32>) outs(%o : memref<5x12x32xf32>)
    maps [affine_map<(h, w, c, i, j) -> (h + i, w + j, c)>, affine_map<(h, w, c, i, j) -> (c, i, j)>, affine_map<(h, w, c, i, j) -> (h, w, c)>]
    iterators ["parallel", "parallel", "parallel", "reduction", "reduction"] bounds [5, 12, 32, 3, 3] accumulator f32
    by #tamis.vector_fma<lanes = 8, fused = true> tile [4, 2, 8] {packed}
  return
}

// Two steps are added up in 16 bits, row by row; then entries, which are read
// where they lie.
// CHECK-LABEL: func.func @bounded_panels
// CHECK: scf.for %{{.+}} = %c0 to %c16 step %c2
// CHECK-COUNT-2: vector.load {{.+}} vector<32xi8>
// CHECK: x86.avx2.pmadd.ub.sw
// CHECK: x86.avx2.pmadd.ub.sw
// CHECK: arith.addi {{.+}} : vector<16xi16>
// CHECK: x86.avx2.pmadd.wd
// CHECK: arith.addi {{.+}} : vector<8xi32>
// CHECK: %[[FIRST:.+]] = arith.index_cast
// CHECK: %[[LAST:.+]] = arith.index_cast
// CHECK: scf.for %[[I:.+]] = %[[FIRST]] to %[[LAST]]
// CHECK: memref.load %{{.+}}[%[[I]]] : memref<3xi32>
// CHECK: vector.load %{{.+}} : memref<96xi8{{.*}}>, vector<32xi8>
// CHECK-COUNT-2: x86.avx2.pmadd.ub.sw
// CHECK-NOT: x86.avx2.pmadd.ub.sw
// CHECK: return
func.func @bounded_panels(%x: memref<2x64xi8>, %w: memref<1x1x16x32xi8>, %v: memref<3x32xi8>, %p: memref<3xi32>, %s: memref<2xi32>, %o: memref<2x8xi32>) {
  tamis_kernel.contract ins(%x, %w : memref<2x64xi8>, memref<1x1x16x32xi8>) stream(%p, %s, %v : memref<3xi32>, memref<2xi32>, memref<3x32xi8>) outs(%o : memref<2x8xi32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [2, 8, 64] accumulator i32
    by #tamis.x86_maddubs<lanes = 8> tile [2, 1, 0] {lhs_unsigned, packed, storage = #tamis.bounded<entries = 3, steps = 2, run = 64>}
  return
}

// A row reads four lists in turns as far as the shortest goes, then what is left
// of each. Of an entry, two vectors of weights meet elements of two windows each.
// CHECK-LABEL: func.func @slot_windows
// CHECK: scf.for %{{.+}} = %c0 to %c2 step %c1
// CHECK: %[[A0:.+]] = memref.load %[[STARTS:.+]][%{{.+}}] : memref<9xi32>
// CHECK-COUNT-7: memref.load %[[STARTS]]
// CHECK: arith.minui
// CHECK: scf.for {{.+}} -> (vector<8xi32>, vector<8xi32>, vector<8xi32>, vector<8xi32>)
// CHECK-COUNT-2: memref.prefetch
// CHECK: %[[CODES:.+]] = vector.load {{.+}} : memref<864xi8{{.*}}>, vector<32xi8>
// CHECK: vector.load {{.+}} : memref<864xi8{{.*}}>, vector<32xi8>
// CHECK-COUNT-2: memref.load %{{.+}} : memref<36xi16{{.*}}>
// CHECK: vector.load %{{.+}} : memref<1024xi8{{.*}}>, vector<16xi8>
// CHECK: arith.andi %[[CODES]]
// CHECK: x86.avx2.pshuf.b
// CHECK: vector.load %{{.+}} : memref<1024xi8{{.*}}>, vector<16xi8>
// CHECK: x86.avx2.pshuf.b
// CHECK: vector.shuffle {{.+}} [0, 1, 34, 35, 4, 5, 38, 39,
// CHECK: x86.avx2.pmadd.ub.sw
// CHECK: arith.shrui %[[CODES]]
// CHECK-COUNT-7: x86.avx2.pmadd.ub.sw
// CHECK-COUNT-4: scf.for {{.+}} -> (vector<8xi32>)
// CHECK: return
func.func @slot_windows(%x: memref<1x1024xi8>, %w: memref<9x96xi8>, %p: memref<9x4xi16>, %s: memref<9xi32>, %o: memref<1x64xi32>) attributes {tamis.target = #tamis.target<"x86_64", ["avx2"]>} {
  tamis_kernel.contract ins(%x, %w : memref<1x1024xi8>, memref<9x96xi8>) stream(%p, %s : memref<9x4xi16>, memref<9xi32>) outs(%o : memref<1x64xi32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [1, 64, 1024] accumulator i32
    by #tamis.x86_maddubs<lanes = 8> tile [1, 1, 0] {lhs_unsigned, packed, storage = #tamis.slot_windows<entries = 9, run = 1024, lookup = #tamis.x86_lookup<bytes = 1, elements = 32>>}
  return
}

// Floats have a window for each vector, and the two vectors of an entry sums of
// their own.
// CHECK-LABEL: func.func @float_windows
// CHECK: scf.for {{.+}} -> (vector<8xf32>, vector<8xf32>)
// CHECK: %[[CODES:.+]] = vector.load {{.+}} : memref<216xi8{{.*}}>, vector<8xi8>
// CHECK: vector.load {{.+}} : memref<216xi8{{.*}}>, vector<32xi8>
// CHECK: vector.bitcast {{.+}} : vector<32xi8> to vector<8xf32>
// CHECK: vector.load %{{.+}} : memref<64xf32{{.*}}>, vector<16xf32>
// CHECK-COUNT-2: x86.avx2.permps
// CHECK-NOT: vector.shuffle {{.+}} : vector<8xf32>, vector<8xf32>
// CHECK: %[[A:.+]] = vector.fma {{.+}} %[[SUM:.+]] : vector<8xf32>
// CHECK-COUNT-2: x86.avx2.permps
// CHECK: %[[B:.+]] = vector.fma
// CHECK: scf.yield %[[A]], %[[B]]
// CHECK: arith.addf
// CHECK: return
func.func @float_windows(%x: memref<1x64xf32>, %w: memref<3x72xi8>, %p: memref<3x2xi16>, %s: memref<2xi32>, %o: memref<1x8xf32>) attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma"]>} {
  tamis_kernel.contract ins(%x, %w : memref<1x64xf32>, memref<3x72xi8>) stream(%p, %s : memref<3x2xi16>, memref<2xi32>) outs(%o : memref<1x8xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [1, 8, 64] accumulator f32
    by #tamis.vector_fma<lanes = 8, fused = true> tile [1, 1, 0] {packed, storage = #tamis.slot_windows<entries = 3, run = 64, lookup = #tamis.x86_lookup<bytes = 4, elements = 8>>}
  return
}

// Of several rows each looks up for itself; signed ones are offset then.
// CHECK-LABEL: func.func @slot_windows_of_rows
// CHECK-NOT: memref.alloca
// CHECK: scf.for {{.+}} -> (vector<8xi32>, vector<8xi32>)
// CHECK-COUNT-2: x86.avx2.pshuf.b
// CHECK: arith.xori {{.+}} : vector<32xi8>
// CHECK: x86.avx2.pmadd.ub.sw
// CHECK-COUNT-6: x86.avx2.pshuf.b
// CHECK-NOT: x86.avx2.pshuf.b
// CHECK: return
func.func @slot_windows_of_rows(%x: memref<2x64xi8>, %w: memref<9x96xi8>, %p: memref<9x4xi16>, %s: memref<2xi32>, %t: memref<1x8xi32>, %o: memref<2x8xi32>) {
  tamis_kernel.contract ins(%x, %w : memref<2x64xi8>, memref<9x96xi8>) stream(%p, %s : memref<9x4xi16>, memref<2xi32>) sums(%t : memref<1x8xi32>) outs(%o : memref<2x8xi32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [2, 8, 64] accumulator i32
    by #tamis.x86_maddubs<lanes = 8> tile [2, 1, 0] {packed, storage = #tamis.slot_windows<entries = 9, run = 64, lookup = #tamis.x86_lookup<bytes = 1, elements = 32>>}
  return
}

// Signed elements get their offset once for all columns.
// CHECK-LABEL: func.func @signed_rows_are_staged
// CHECK: %[[STAGE:.+]] = memref.alloca() {alignment = 64 : i64} : memref<128xi8>
// CHECK: arith.addi %{{.+}}, %{{.+}} : vector<32xi8>
// CHECK: vector.store %{{.+}}, %[[STAGE]]
// CHECK: scf.for
// CHECK-NOT: arith.xori
// CHECK: vector.load %[[STAGE]]{{.+}} vector<4xi8>
func.func @signed_rows_are_staged(%x: memref<2x64xi8>, %w: memref<1x1x16x64xi8>, %t: memref<1x16xi32>, %o: memref<2x16xi32>) {
  tamis_kernel.contract ins(%x, %w : memref<2x64xi8>, memref<1x1x16x64xi8>) sums(%t : memref<1x16xi32>) outs(%o : memref<2x16xi32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [2, 16, 64] accumulator i32
    by #tamis.x86_vnni<lanes = 16> tile [2, 1, 0] {packed}
  return
}
