// RUN: tamis-opt %s -split-input-file --tamis-lower-contractions -verify-diagnostics

func.func @windows_of_columns(%x: memref<64x2xf32>, %w: memref<3x72xi8>, %p: memref<3x2xi16>, %s: memref<2xi32>, %o: memref<2x8xf32>) {
  // expected-error@+1 {{cannot be generated: the innermost reduction is not contiguous in lhs}}
  tamis_kernel.contract ins(%x, %w : memref<64x2xf32>, memref<3x72xi8>) stream(%p, %s : memref<3x2xi16>, memref<2xi32>) outs(%o : memref<2x8xf32>)
    maps [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
    iterators ["parallel", "parallel", "reduction"] bounds [2, 8, 64] accumulator f32
    by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 1, 0] {packed, storage = #tamis.slot_windows<entries = 3, run = 64, lookup = #tamis.x86_lookup<bytes = 4, elements = 8>>}
  return
}

// -----

func.func @windows_of_a_slice(%x: memref<1x64xf32, strided<[128, 2]>>, %w: memref<3x72xi8>, %p: memref<3x2xi16>, %s: memref<2xi32>, %o: memref<1x8xf32>) {
  // expected-error@+1 {{cannot be generated: slot windows of a row whose elements lie apart}}
  tamis_kernel.contract ins(%x, %w : memref<1x64xf32, strided<[128, 2]>>, memref<3x72xi8>) stream(%p, %s : memref<3x2xi16>, memref<2xi32>) outs(%o : memref<1x8xf32>)
    maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
    iterators ["parallel", "parallel", "reduction"] bounds [1, 8, 64] accumulator f32
    by #tamis.vector_fma<lanes = 8, fused = true> tile [1, 1, 0] {packed, storage = #tamis.slot_windows<entries = 3, run = 64, lookup = #tamis.x86_lookup<bytes = 4, elements = 8>>}
  return
}
