// RUN: tamis-opt %s --split-input-file --pass-pipeline='builtin.module(func.func(tamis-fuse-windows),canonicalize,cse)' | FileCheck %s

// L2 is 1 MiB where the target does not say: images of 96 x 96 x 64 floats do not stay there.

#point = affine_map<(n, h, w, c, i, j, k) -> (n, h + i, w + j, k)>
#pointrhs = affine_map<(n, h, w, c, i, j, k) -> (c, k, i, j)>
#pointout = affine_map<(n, h, w, c, i, j, k) -> (n, h, w, c)>
#deep = affine_map<(n, h, w, c, i, j) -> (n, h + i, w + j, c)>
#deep2 = affine_map<(n, h, w, c, i, j) -> (n, h * 2 + i, w * 2 + j, c)>
#deeprhs = affine_map<(n, h, w, c, i, j) -> (c, i, j)>
#deepout = affine_map<(n, h, w, c, i, j) -> (n, h, w, c)>

// Eight lines at a time; of the first convolution what their windows need: one more, inside the border. The result
// of the depthwise one is a buffer of eight lines. The sum takes the place of its operand, behind its readers.
// CHECK-LABEL: @residual
// CHECK: %[[MID:[a-z0-9_]+]] = memref.alloc() : memref<1x98x98x64xf32>
// CHECK: %[[LINES:.*]] = memref.alloc() : memref<1x8x96x64xf32>
// CHECK: %{{.*}} = scf.for %[[LINE:[a-z0-9]+]] = %c0 to %c96 step %c8 iter_args(%[[HAVE:[a-z0-9]+]] = %c0
// CHECK: %[[END:[0-9]+]] = arith.addi %[[LINE]], %c8
// CHECK: %[[AHEAD:[0-9]+]] = arith.addi %{{.*}}, %c1
// CHECK: %[[NEED:[0-9]+]] = arith.minsi %[[AHEAD]], %c96
// CHECK: scf.for %[[ONE:[a-z0-9]+]] = %[[HAVE]] to %[[NEED]] step %c1
// CHECK: memref.subview %arg0[0, %[[ONE]], 0, 0] [1, 1, 96, 64]
// CHECK: tamis_kernel.contract {{.*}} bounds [1, 1, 96, 64, 1, 1, 64] {{.*}} tile [6, 2, 0]
// CHECK: memref.subview %[[MID]][0, %{{.*}}, 0, 0] [1, 10, 98, 64]
// CHECK: tamis_kernel.contract {{.*}} bounds [1, 8, 96, 64, 3, 3]
// CHECK: tamis_kernel.contract {{.*}} bounds [1, 8, 96, 64, 1, 1, 64]
// CHECK: scf.yield %[[NEED]]
// CHECK-NOT: tamis_kernel.contract
func.func @residual(%x: memref<1x96x96x64xf32>, %a: memref<1x4x64x16xf32>, %d: memref<1x4x9x16xf32>, %b: memref<1x4x64x16xf32>) {
  %mid = memref.alloc() : memref<1x98x98x64xf32>
  %inner = memref.subview %mid[0, 1, 1, 0] [1, 96, 96, 64] [1, 1, 1, 1] : memref<1x98x98x64xf32> to memref<1x96x96x64xf32, strided<[614656, 6272, 64, 1], offset: 6336>>
  %out = memref.alloc() : memref<1x96x96x64xf32>
  tamis_kernel.contract ins(%x, %a : memref<1x96x96x64xf32>, memref<1x4x64x16xf32>) outs(%inner : memref<1x96x96x64xf32, strided<[614656, 6272, 64, 1], offset: 6336>>)
      maps [#point, #pointrhs, #pointout] iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
      bounds [1, 96, 96, 64, 1, 1, 64] accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [6, 2, 300] {packed}
  tamis_kernel.contract ins(%mid, %d : memref<1x98x98x64xf32>, memref<1x4x9x16xf32>) outs(%out : memref<1x96x96x64xf32>)
      maps [#deep, #deeprhs, #deepout] iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]
      bounds [1, 96, 96, 64, 3, 3] accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [4, 2, 5] {packed}
  tamis_kernel.contract ins(%out, %b : memref<1x96x96x64xf32>, memref<1x4x64x16xf32>) extras(%x : memref<1x96x96x64xf32>) outs(%x : memref<1x96x96x64xf32>)
      maps [#point, #pointrhs, #pointout, #pointout] iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
      bounds [1, 96, 96, 64, 1, 1, 64] accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [6, 2, 300] {packed}
      epilogue {
      ^bb0(%t: f32, %u: f32):
        %s = arith.addf %t, %u : f32
        tamis.yield %s : f32
      }
  return
}

// -----

#point = affine_map<(n, h, w, c, i, j, k) -> (n, h + i, w + j, k)>
#pointrhs = affine_map<(n, h, w, c, i, j, k) -> (c, k, i, j)>
#pointout = affine_map<(n, h, w, c, i, j, k) -> (n, h, w, c)>
#deep2 = affine_map<(n, h, w, c, i, j) -> (n, h * 2 + i, w * 2 + j, c)>
#deeprhs = affine_map<(n, h, w, c, i, j) -> (c, i, j)>
#deepout = affine_map<(n, h, w, c, i, j) -> (n, h, w, c)>

// Steps of two, images of open number; the last line of the first convolution is in no window.
// CHECK-LABEL: @stride
// CHECK: %[[IMAGES:.*]] = memref.dim %arg3, %c0
// CHECK: scf.for %[[IMAGE:[a-z0-9]+]] = %c0 to %[[IMAGES]]
// CHECK: scf.for %{{.*}} = %c0 to %c45 step %c5
// CHECK: memref.subview %arg0[%[[IMAGE]], %{{.*}}, 0, 0] [1, 1, 92, 64]
// CHECK: tamis_kernel.contract {{.*}} bounds [1, 1, 92, 64, 1, 1, 64]
// CHECK: [1, 11, 92, 64]
// CHECK: tamis_kernel.contract {{.*}} bounds [1, 5, 45, 64, 3, 3]
// CHECK: scf.for %{{.*}} = %{{.*}} to %c92 step %c1
// CHECK: tamis_kernel.contract {{.*}} bounds [1, 1, 92, 64, 1, 1, 64]
func.func @stride(%x: memref<?x92x92x64xf32>, %a: memref<1x4x64x16xf32>, %d: memref<1x4x9x16xf32>, %y: memref<?x45x45x64xf32>, %n: index) -> memref<?x92x92x64xf32> {
  %mid = memref.alloc(%n) : memref<?x92x92x64xf32>
  tamis_kernel.contract ins(%x, %a : memref<?x92x92x64xf32>, memref<1x4x64x16xf32>) outs(%mid : memref<?x92x92x64xf32>)
      maps [#point, #pointrhs, #pointout] iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
      bounds [-9223372036854775808, 92, 92, 64, 1, 1, 64] accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [6, 2, 300] {packed}
  tamis_kernel.contract ins(%mid, %d : memref<?x92x92x64xf32>, memref<1x4x9x16xf32>) outs(%y : memref<?x45x45x64xf32>)
      maps [#deep2, #deeprhs, #deepout] iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]
      bounds [-9223372036854775808, 45, 45, 64, 3, 3] accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [4, 2, 5] {packed}
  return %mid : memref<?x92x92x64xf32>
}

// -----

#point = affine_map<(n, h, w, c, i, j, k) -> (n, h + i, w + j, k)>
#pointrhs = affine_map<(n, h, w, c, i, j, k) -> (c, k, i, j)>
#pointout = affine_map<(n, h, w, c, i, j, k) -> (n, h, w, c)>
#deep = affine_map<(n, h, w, c, i, j) -> (n, h + i, w + j, c)>
#deeprhs = affine_map<(n, h, w, c, i, j) -> (c, i, j)>
#deepout = affine_map<(n, h, w, c, i, j) -> (n, h, w, c)>

// A small image stays in L2.
// CHECK-LABEL: @small
// CHECK-NOT: scf.for
func.func @small(%x: memref<1x26x26x64xf32>, %d: memref<1x4x9x16xf32>, %b: memref<1x4x64x16xf32>, %y: memref<1x24x24x64xf32>) {
  %out = memref.alloc() : memref<1x24x24x64xf32>
  tamis_kernel.contract ins(%x, %d : memref<1x26x26x64xf32>, memref<1x4x9x16xf32>) outs(%out : memref<1x24x24x64xf32>)
      maps [#deep, #deeprhs, #deepout] iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]
      bounds [1, 24, 24, 64, 3, 3] accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [4, 2, 5] {packed}
  tamis_kernel.contract ins(%out, %b : memref<1x24x24x64xf32>, memref<1x4x64x16xf32>) outs(%y : memref<1x24x24x64xf32>)
      maps [#point, #pointrhs, #pointout] iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
      bounds [1, 24, 24, 64, 1, 1, 64] accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [6, 2, 300] {packed}
  return
}

// -----

#point = affine_map<(n, h, w, c, i, j, k) -> (n, h + i, w + j, k)>
#pointrhs = affine_map<(n, h, w, c, i, j, k) -> (c, k, i, j)>
#pointout = affine_map<(n, h, w, c, i, j, k) -> (n, h, w, c)>
#deep = affine_map<(n, h, w, c, i, j) -> (n, h + i, w + j, c)>
#deeprhs = affine_map<(n, h, w, c, i, j) -> (c, i, j)>
#deepout = affine_map<(n, h, w, c, i, j) -> (n, h, w, c)>

// What stands in between reads the whole image.
// CHECK-LABEL: @reader
// CHECK-NOT: scf.for
func.func @reader(%x: memref<1x98x98x64xf32>, %d: memref<1x4x9x16xf32>, %b: memref<1x4x64x16xf32>, %y: memref<1x96x96x64xf32>, %z: memref<1x96x96x64xf32>) {
  %out = memref.alloc() : memref<1x96x96x64xf32>
  tamis_kernel.contract ins(%x, %d : memref<1x98x98x64xf32>, memref<1x4x9x16xf32>) outs(%out : memref<1x96x96x64xf32>)
      maps [#deep, #deeprhs, #deepout] iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]
      bounds [1, 96, 96, 64, 3, 3] accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [4, 2, 5] {packed}
  linalg.exp ins(%out : memref<1x96x96x64xf32>) outs(%z : memref<1x96x96x64xf32>)
  tamis_kernel.contract ins(%out, %b : memref<1x96x96x64xf32>, memref<1x4x64x16xf32>) outs(%y : memref<1x96x96x64xf32>)
      maps [#point, #pointrhs, #pointout] iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
      bounds [1, 96, 96, 64, 1, 1, 64] accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [6, 2, 300] {packed}
  return
}
