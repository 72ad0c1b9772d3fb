// RUN: tamis-opt %s --tamis-lower-contractions --canonicalize --split-input-file | FileCheck %s

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>

module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma"]>} {
  // Nine panels of 640x16 weights: 0, 2, 4 and 6 side by side, then 1, 3, 5 and
  // 7; the last one alone.
  // CHECK-LABEL: func.func @one_row
  // CHECK: scf.for %{{.+}} = %c0 to %c2 step %c1
  // CHECK: scf.for {{.+}} -> (vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>)
  // CHECK: arith.addi %[[AT:.+]], %c20480
  // CHECK: arith.addi %[[AT]], %c40960
  // CHECK: arith.addi %[[AT]], %c61440
  // CHECK: scf.for {{.+}} -> (vector<8xf32>, vector<8xf32>) {
  func.func @one_row(%x: memref<1x640xf32>, %w: memref<1x9x640x16xf32>, %o: memref<1x144xf32>) {
    tamis_kernel.contract ins(%x, %w : memref<1x640xf32>, memref<1x9x640x16xf32>) outs(%o : memref<1x144xf32>)
      maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [1, 144, 640]
      accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [1, 2, 0] {packed}
    return
  }

  // Whether there is one row is known at run time: otherwise no panel is far.
  // CHECK-LABEL: func.func @open_rows
  // CHECK: %[[ROWS:.+]] = memref.dim
  // CHECK: %[[SINGLE:.+]] = arith.cmpi ule, %[[ROWS]], %c1
  // CHECK: %[[APART:.+]] = arith.select %[[SINGLE]], %c2, %c0
  // CHECK: scf.for %{{.+}} = %c0 to %[[APART]] step %c1
  func.func @open_rows(%x: memref<?x640xf32>, %w: memref<1x8x640x16xf32>, %o: memref<?x128xf32>) {
    tamis_kernel.contract ins(%x, %w : memref<?x640xf32>, memref<1x8x640x16xf32>) outs(%o : memref<?x128xf32>)
      maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [-9223372036854775808, 128, 640]
      accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [4, 2, 0] {packed}
    return
  }

  // Lines of 64 that lie as they were: up to four rows read whole ones, each for
  // itself.
  // CHECK-LABEL: func.func @whole_lines
  // CHECK: %[[FEW:.+]] = arith.cmpi ule, %[[ROWS:.+]], %c4
  // CHECK: %[[APART:.+]] = arith.select %[[FEW]], %c1, %c0
  // CHECK: scf.for %{{.+}} = %c0 to %[[APART]] step %c1
  // CHECK: scf.for %{{.+}} = %c0 to %[[ROWS]] step %c1
  // CHECK: scf.for {{.+}} -> (vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>)
  func.func @whole_lines(%x: memref<?x?xf32>, %w: memref<?x64xf32>, %o: memref<?x64xf32>) {
    tamis_kernel.contract ins(%x, %w : memref<?x?xf32>, memref<?x64xf32>) outs(%o : memref<?x64xf32>)
      maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [-9223372036854775808, 64, -9223372036854775808]
      accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [4, 2, 0]
    return
  }

  // CHECK-LABEL: func.func @two_rows
  // CHECK-NOT: -> (vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>
  // CHECK: return
  func.func @two_rows(%x: memref<2x640xf32>, %w: memref<1x8x640x16xf32>, %o: memref<2x128xf32>) {
    tamis_kernel.contract ins(%x, %w : memref<2x640xf32>, memref<1x8x640x16xf32>) outs(%o : memref<2x128xf32>)
      maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [2, 128, 640]
      accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 2, 0] {packed}
    return
  }

  // L1 holds 16 KiB.
  // CHECK-LABEL: func.func @few_weights
  // CHECK-NOT: -> (vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>
  // CHECK: return
  func.func @few_weights(%x: memref<1x32xf32>, %w: memref<1x8x32x16xf32>, %o: memref<1x128xf32>) {
    tamis_kernel.contract ins(%x, %w : memref<1x32xf32>, memref<1x8x32x16xf32>) outs(%o : memref<1x128xf32>)
      maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [1, 128, 32]
      accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [1, 4, 0] {packed}
    return
  }
}
