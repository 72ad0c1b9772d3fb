// RUN: tamis-opt %s --split-input-file --pass-pipeline='builtin.module(func.func(tamis-expand-winograd),canonicalize,cse)' | FileCheck %s

#window = affine_map<(n, h, w, c, i, j, k) -> (n, h + i, w + j, k)>
#weights = affine_map<(n, h, w, c, i, j, k) -> (c, k, i, j)>
#out = affine_map<(n, h, w, c, i, j, k) -> (n, h, w, c)>
#column = affine_map<(n, h, w, c, i, j, k) -> (c)>

// 14 x 10 results are 4 x 3 tiles; two lines of them are a strip of 6. Places lie an odd number of cache lines apart.
// CHECK-DAG: #[[SAME:.+]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>
// CHECK-DAG: #[[COLUMN:.+]] = affine_map<(d0, d1, d2, d3) -> (d3)>
// CHECK-LABEL: @one_task
// CHECK-DAG: %[[IN:[a-z0-9_]+]] = memref.alloc() {alignment = 64 : i64} : memref<1x36x7x48xf32>
// CHECK-DAG: %[[SUMS:[a-z0-9_]+]] = memref.alloc() {alignment = 64 : i64} : memref<1x36x7x16xf32>
// CHECK: scf.execute_region no_inline
// CHECK: %[[TILES:.+]] = memref.subview %[[IN]][0, 0, 0, 0] [1, 36, 6, 32]
// CHECK: %[[PRODUCTS:.+]] = memref.subview %[[SUMS]][0, 0, 0, 0] [1, 36, 6, 16]
// CHECK: scf.for %[[STRIP:.+]] = %c0 to %c4 step %c1
// CHECK: %[[IMAGE:.+]] = arith.divui %[[STRIP]], %c2
// CHECK: %[[REST:.+]] = arith.remui %[[STRIP]], %c2
// CHECK: %[[LINE:.+]] = arith.muli %[[REST]], %c2
// CHECK: tamis_kernel.winograd_input ins(%arg0 : memref<2x16x12x32xf32>) outs(%[[TILES]] : {{.*}}) at %[[IMAGE]], %[[LINE]] output 4
// CHECK: tamis_kernel.contract ins(%[[TILES]], %arg1 : {{.*}}, memref<36x1x32x16xf32>) outs(%[[PRODUCTS]] :
// CHECK-SAME: bounds [36, 6, 16, 32] accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [6, 2, 0] {packed}
// CHECK: tamis_kernel.winograd_output ins(%[[PRODUCTS]] : {{.*}}) extras(%arg3, %arg2 : {{.*}}) outs(%arg2 :
// CHECK-SAME: maps [#[[COLUMN]], #[[SAME]]] at %[[IMAGE]], %[[LINE]] output 4
// CHECK-SAME: epilogue
// CHECK: } {origin = "conv", tamis.kernel}
// CHECK-NOT: tamis_kernel.contract
func.func @one_task(%x: memref<2x16x12x32xf32>, %w: memref<36x1x32x16xf32>, %y: memref<2x14x10x16xf32>, %b: memref<16xf32>) {
  tamis_kernel.contract ins(%x, %w : memref<2x16x12x32xf32>, memref<36x1x32x16xf32>) extras(%b, %y : memref<16xf32>, memref<2x14x10x16xf32>)
      outs(%y : memref<2x14x10x16xf32>)
      maps [#window, #weights, #out, #column, #out]
      iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
      bounds [2, 14, 10, 16, 3, 3, 32] accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [6, 2, 0]
      {origin = "conv", packed, storage = #tamis.winograd<output = 4, strip = 2>}
      epilogue {
      ^bb0(%t: f32, %u: f32, %v: f32):
        %s = arith.addf %t, %u : f32
        %r = arith.addf %s, %v : f32
        tamis.yield %r : f32
      }
  return
}

// -----

#window = affine_map<(n, h, w, c, i, j, k) -> (n, h + i, w + j, k)>
#weights = affine_map<(n, h, w, c, i, j, k) -> (c, k, i, j)>
#out = affine_map<(n, h, w, c, i, j, k) -> (n, h, w, c)>

// Each task has tiles of its own; the number of images is open.
// CHECK-LABEL: @tasks
// CHECK: memref.alloc() {alignment = 64 : i64} : memref<2x16x3x16xf32>
// CHECK: %[[COUNT:.+]] = memref.dim %arg2, %c0
// CHECK: scf.forall (%[[TASK:.+]]) in (2)
// CHECK: memref.subview %{{.*}}[%[[TASK]], 0, 0, 0] [1, 16, 2, 16]
// CHECK: scf.for
// CHECK: tamis_kernel.winograd_input {{.*}} output 2
func.func @tasks(%x: memref<?x6x6x16xf32>, %w: memref<16x1x16x16xf32>, %y: memref<?x4x4x16xf32>) {
  tamis_kernel.contract ins(%x, %w : memref<?x6x6x16xf32>, memref<16x1x16x16xf32>) outs(%y : memref<?x4x4x16xf32>)
      maps [#window, #weights, #out]
      iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
      bounds [-9223372036854775808, 4, 4, 16, 3, 3, 16] accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 2, 0]
      {packed, storage = #tamis.winograd<output = 2, strip = 1>, tasks = 2 : i64}
  return
}

// -----

#window = affine_map<(n, h, w, c, i, j, k) -> (n, h + i, w + j, k)>
#weights = affine_map<(n, h, w, c, i, j, k) -> (c, k, i, j)>
#out = affine_map<(n, h, w, c, i, j, k) -> (n, h, w, c)>

// CHECK-LABEL: @dense_panels
// CHECK-NOT: scf
// CHECK: tamis_kernel.contract ins(%arg0, %arg1
func.func @dense_panels(%x: memref<1x6x6x16xf32>, %w: memref<1x1x144x16xf32>, %y: memref<1x4x4x16xf32>) {
  tamis_kernel.contract ins(%x, %w : memref<1x6x6x16xf32>, memref<1x1x144x16xf32>) outs(%y : memref<1x4x4x16xf32>)
      maps [#window, #weights, #out]
      iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
      bounds [1, 4, 4, 16, 3, 3, 16] accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [4, 2, 0] {packed}
  return
}
