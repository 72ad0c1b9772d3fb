// RUN: tamis-opt %s --split-input-file --pass-pipeline='builtin.module(func.func(tamis-fuse-attention),canonicalize,cse)' | FileCheck %s

#q = affine_map<(h, m, n, k) -> (h, m, k)>
#k = affine_map<(h, m, n, k) -> (h, k, n)>
#s = affine_map<(h, m, n, k) -> (h, m, n)>
#all = affine_map<(h, m, n) -> (h, m, n)>
#row = affine_map<(h, m, n) -> (h, m)>

// Twelve strips; the scores are a buffer of one. The last strip of a head is shorter.
// CHECK-LABEL: @softmax
// CHECK-NOT: memref<4x90x256xf32>
// CHECK: %[[SCORES:.*]] = memref.alloc() : memref<1x1x32x256xf32>
// CHECK: scf.execute_region no_inline
// CHECK: scf.for %[[I:.*]] = %c0 to %c12 step
// CHECK: arith.remui %[[I]], %c3
// CHECK: %[[REST:.*]] = arith.divui %[[I]], %c3
// CHECK: %[[HEAD:.*]] = arith.remui %[[REST]], %c4
// CHECK: memref.subview %arg0[%[[HEAD]], %{{.*}}, 0] [1, %{{.*}}, 32]
// CHECK: memref.subview %arg1[%[[HEAD]], 0, 0] [1, 32, 256]
// CHECK: tamis_kernel.contract {{.*}} bounds [1, -9223372036854775808, 256, 32] {{.*}} tile [2, 4, 0]
// CHECK: linalg.generic
// CHECK: linalg.generic
// CHECK: tamis_kernel.contract {{.*}} bounds [1, -9223372036854775808, 32, 256] {{.*}} tile [2, 4, 0]
// CHECK: {origin = "node", tamis.kernel}
func.func @softmax(%q: memref<4x90x32xf32>, %k: memref<4x32x256xf32>, %v: memref<4x256x32xf32>, %r: memref<4x90xf32>, %o: memref<4x90x32xf32>) {
  %s = memref.alloc() : memref<4x90x256xf32>
  tamis_kernel.contract ins(%q, %k : memref<4x90x32xf32>, memref<4x32x256xf32>) outs(%s : memref<4x90x256xf32>)
      maps [#q, #k, #s] iterators ["parallel", "parallel", "parallel", "reduction"] bounds [4, 90, 256, 32]
      accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 4, 0, 0, 32]
  linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%s : memref<4x90x256xf32>) outs(%r : memref<4x90xf32>) {
  ^bb0(%a: f32, %b: f32):
    %x = arith.maximumf %b, %a : f32
    linalg.yield %x : f32
  }
  linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%s, %r : memref<4x90x256xf32>, memref<4x90xf32>) outs(%s : memref<4x90x256xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %x = arith.subf %a, %b : f32
    linalg.yield %x : f32
  }
  tamis_kernel.contract ins(%s, %v : memref<4x90x256xf32>, memref<4x256x32xf32>) outs(%o : memref<4x90x32xf32>)
      maps [#q, #k, #s] iterators ["parallel", "parallel", "parallel", "reduction"] bounds [4, 90, 32, 256]
      accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 4, 0, 0, 32] {origin = "node"}
  return
}

// -----

#q = affine_map<(h, m, n, k) -> (h, m, k)>
#k = affine_map<(h, m, n, k) -> (h, k, n)>
#s = affine_map<(h, m, n, k) -> (h, m, n)>
#all = affine_map<(h, m, n) -> (h, m, n)>
#row = affine_map<(h, m, n) -> (h, m)>

// Open sizes, tasks, packed operands: a strip for each task, the panels of a head.
// CHECK-LABEL: @open
// CHECK: memref.alloc(%{{.*}}) : memref<2x1x32x?xf32>
// CHECK: scf.forall (%[[TASK:.*]]) in (2)
// CHECK: memref.subview %{{.*}}[%[[TASK]], 0, 0, 0]
// CHECK: scf.for
// CHECK: memref.subview %arg1[%{{.*}}, 0, 0, 0] [1, %{{.*}}, 32, 32]
// CHECK: tamis_kernel.contract {{.*}} {packed}
// CHECK: memref.subview %arg2[%{{.*}}, 0, 0, 0] [1, 1, %{{.*}}, 32]
// CHECK: tamis_kernel.contract {{.*}} {packed}
func.func @open(%q: memref<4x?x32xf32>, %k: memref<4x?x32x32xf32>, %v: memref<4x1x?x32xf32>, %r: memref<4x?xf32>, %o: memref<4x?x32xf32>, %m: index, %n: index) {
  %s = memref.alloc(%m, %n) : memref<4x?x?xf32>
  tamis_kernel.contract ins(%q, %k : memref<4x?x32xf32>, memref<4x?x32x32xf32>) outs(%s : memref<4x?x?xf32>)
      maps [#q, #k, #s] iterators ["parallel", "parallel", "parallel", "reduction"] bounds [4, -9223372036854775808, -9223372036854775808, 32]
      accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 4, 112, 0, 32] {packed, tasks = 2 : i64}
  linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%s : memref<4x?x?xf32>) outs(%r : memref<4x?xf32>) {
  ^bb0(%a: f32, %b: f32):
    %x = arith.maximumf %b, %a : f32
    linalg.yield %x : f32
  }
  linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%s, %r : memref<4x?x?xf32>, memref<4x?xf32>) outs(%s : memref<4x?x?xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %x = arith.subf %a, %b : f32
    linalg.yield %x : f32
  }
  tamis_kernel.contract ins(%s, %v : memref<4x?x?xf32>, memref<4x1x?x32xf32>) outs(%o : memref<4x?x32xf32>)
      maps [#q, #k, #s] iterators ["parallel", "parallel", "parallel", "reduction"] bounds [4, -9223372036854775808, 32, -9223372036854775808]
      accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 4, 112, 0, 32] {packed, tasks = 2 : i64}
  return
}

// -----

#q = affine_map<(h, m, n, k) -> (h, m, k)>
#k = affine_map<(h, m, n, k) -> (h, k, n)>
#s = affine_map<(h, m, n, k) -> (h, m, n)>
#all = affine_map<(h, m, n) -> (h, m, n)>
#row = affine_map<(h, m, n) -> (h, m)>

// What is read later stays a whole buffer.
// CHECK-LABEL: @kept
// CHECK: memref.alloc() : memref<4x90x256xf32>
// CHECK: scf.execute_region
// CHECK: memref.copy
func.func @kept(%q: memref<4x90x32xf32>, %k: memref<4x32x256xf32>, %v: memref<4x256x32xf32>, %r: memref<4x90xf32>, %o: memref<4x90x32xf32>, %other: memref<4x90x256xf32>) {
  %s = memref.alloc() : memref<4x90x256xf32>
  tamis_kernel.contract ins(%q, %k : memref<4x90x32xf32>, memref<4x32x256xf32>) outs(%s : memref<4x90x256xf32>)
      maps [#q, #k, #s] iterators ["parallel", "parallel", "parallel", "reduction"] bounds [4, 90, 256, 32]
      accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 4, 0, 0, 32]
  linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%s : memref<4x90x256xf32>) outs(%r : memref<4x90xf32>) {
  ^bb0(%a: f32, %b: f32):
    %x = arith.maximumf %b, %a : f32
    linalg.yield %x : f32
  }
  linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%s, %r : memref<4x90x256xf32>, memref<4x90xf32>) outs(%s : memref<4x90x256xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %x = arith.subf %a, %b : f32
    linalg.yield %x : f32
  }
  tamis_kernel.contract ins(%s, %v : memref<4x90x256xf32>, memref<4x256x32xf32>) outs(%o : memref<4x90x32xf32>)
      maps [#q, #k, #s] iterators ["parallel", "parallel", "parallel", "reduction"] bounds [4, 90, 32, 256]
      accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 4, 0, 0, 32]
  memref.copy %s, %other : memref<4x90x256xf32> to memref<4x90x256xf32>
  return
}

// -----

#q = affine_map<(h, m, n, k) -> (h, m, k)>
#k = affine_map<(h, m, n, k) -> (h, k, n)>
#s = affine_map<(h, m, n, k) -> (h, m, n)>
#all = affine_map<(h, m, n) -> (h, m, n)>
#row = affine_map<(h, m, n) -> (h, m)>

// The result lies where queries of later strips are: left alone.
// CHECK-LABEL: @overwritten
// CHECK-NOT: scf.
// CHECK: tamis_kernel.contract {{.*}} tile [2, 4, 0]
// CHECK: tamis_kernel.contract {{.*}} tile [2, 4, 0]
func.func @overwritten(%q: memref<4x90x32xf32>, %k: memref<4x32x256xf32>, %v: memref<4x256x32xf32>, %r: memref<4x90xf32>) {
  %s = memref.alloc() : memref<4x90x256xf32>
  tamis_kernel.contract ins(%q, %k : memref<4x90x32xf32>, memref<4x32x256xf32>) outs(%s : memref<4x90x256xf32>)
      maps [#q, #k, #s] iterators ["parallel", "parallel", "parallel", "reduction"] bounds [4, 90, 256, 32]
      accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 4, 0, 0, 32]
  linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%s : memref<4x90x256xf32>) outs(%r : memref<4x90xf32>) {
  ^bb0(%a: f32, %b: f32):
    %x = arith.maximumf %b, %a : f32
    linalg.yield %x : f32
  }
  linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%s, %r : memref<4x90x256xf32>, memref<4x90xf32>) outs(%s : memref<4x90x256xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %x = arith.subf %a, %b : f32
    linalg.yield %x : f32
  }
  tamis_kernel.contract ins(%s, %v : memref<4x90x256xf32>, memref<4x256x32xf32>) outs(%q : memref<4x90x32xf32>)
      maps [#q, #k, #s] iterators ["parallel", "parallel", "parallel", "reduction"] bounds [4, 90, 32, 256]
      accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 4, 0, 0, 32]
  return
}

// -----

#q = affine_map<(h, m, n, k) -> (h, m, k)>
#k = affine_map<(h, m, n, k) -> (h, k, n)>
#s = affine_map<(h, m, n, k) -> (h, m, n)>
#all = affine_map<(h, m, n) -> (h, m, n)>
#row = affine_map<(h, m, n) -> (h, m)>

// Something in between changes the keys: left alone.
// CHECK-LABEL: @between
// CHECK-NOT: scf.
// CHECK: tamis_kernel.contract {{.*}} tile [2, 4, 0]
func.func @between(%q: memref<4x90x32xf32>, %k: memref<4x32x256xf32>, %v: memref<4x256x32xf32>, %r: memref<4x90xf32>, %o: memref<4x90x32xf32>) {
  %zero = arith.constant 0.0 : f32
  %s = memref.alloc() : memref<4x90x256xf32>
  tamis_kernel.contract ins(%q, %k : memref<4x90x32xf32>, memref<4x32x256xf32>) outs(%s : memref<4x90x256xf32>)
      maps [#q, #k, #s] iterators ["parallel", "parallel", "parallel", "reduction"] bounds [4, 90, 256, 32]
      accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 4, 0, 0, 32]
  linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%s : memref<4x90x256xf32>) outs(%r : memref<4x90xf32>) {
  ^bb0(%a: f32, %b: f32):
    %x = arith.maximumf %b, %a : f32
    linalg.yield %x : f32
  }
  linalg.fill ins(%zero : f32) outs(%k : memref<4x32x256xf32>)
  linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%s, %r : memref<4x90x256xf32>, memref<4x90xf32>) outs(%s : memref<4x90x256xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %x = arith.subf %a, %b : f32
    linalg.yield %x : f32
  }
  tamis_kernel.contract ins(%s, %v : memref<4x90x256xf32>, memref<4x256x32xf32>) outs(%o : memref<4x90x32xf32>)
      maps [#q, #k, #s] iterators ["parallel", "parallel", "parallel", "reduction"] bounds [4, 90, 32, 256]
      accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 4, 0, 0, 32]
  return
}

// -----

#q = affine_map<(h, m, n, k) -> (h, m, k)>
#k = affine_map<(h, m, n, k) -> (h, k, n)>
#s = affine_map<(h, m, n, k) -> (h, m, n)>
#all = affine_map<(h, m, n) -> (h, m, n)>
#row = affine_map<(h, m, n) -> (h, m)>

// What goes on from a value given before stays a whole buffer.
// CHECK-LABEL: @goes_on
// CHECK: %[[T:.*]] = memref.alloc() : memref<4x90x256xf32>
// CHECK: linalg.fill {{.*}} outs(%[[T]]
// CHECK: memref.alloc() : memref<1x1x32x256xf32>
// CHECK: memref.subview %[[T]]
func.func @goes_on(%q: memref<4x90x32xf32>, %k: memref<4x32x256xf32>, %v: memref<4x256x32xf32>, %r: memref<4x90xf32>, %o: memref<4x90x32xf32>) {
  %zero = arith.constant 0.0 : f32
  %s = memref.alloc() : memref<4x90x256xf32>
  %t = memref.alloc() : memref<4x90x256xf32>
  linalg.fill ins(%zero : f32) outs(%t : memref<4x90x256xf32>)
  tamis_kernel.contract ins(%q, %k : memref<4x90x32xf32>, memref<4x32x256xf32>) outs(%s : memref<4x90x256xf32>)
      maps [#q, #k, #s] iterators ["parallel", "parallel", "parallel", "reduction"] bounds [4, 90, 256, 32]
      accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 4, 0, 0, 32]
  linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%s : memref<4x90x256xf32>) outs(%r : memref<4x90xf32>) {
  ^bb0(%a: f32, %b: f32):
    %x = arith.maximumf %b, %a : f32
    linalg.yield %x : f32
  }
  linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%s, %r : memref<4x90x256xf32>, memref<4x90xf32>) outs(%t : memref<4x90x256xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %x = arith.subf %a, %c : f32
    linalg.yield %x : f32
  }
  tamis_kernel.contract ins(%t, %v : memref<4x90x256xf32>, memref<4x256x32xf32>) outs(%o : memref<4x90x32xf32>)
      maps [#q, #k, #s] iterators ["parallel", "parallel", "parallel", "reduction"] bounds [4, 90, 32, 256]
      accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 4, 0, 0, 32]
  return
}

// -----

#q = affine_map<(h, m, n, k) -> (h, m, k)>
#k = affine_map<(h, m, n, k) -> (h, k, n)>
#s = affine_map<(h, m, n, k) -> (h, m, n)>
#mask = affine_map<(h, m, n, k) -> (m, n)>
#all = affine_map<(h, m, n) -> (h, m, n)>
#row = affine_map<(h, m, n) -> (h, m)>

// Scores of minus infinity are weights of zero: a strip ends with the last key that one of its rows sees.
// CHECK-LABEL: @masked
// CHECK: %[[MASK:.*]] = memref.subview %arg3[%{{.*}}, 0] [%[[ROWS:.*]], %[[KEYS:.*]]] [1, 1]
// CHECK: %[[SEEN:.*]] = scf.for %[[I:.*]] = %c0 to %{{.*}} step %c1 iter_args(%[[MOST:.*]] = %c0)
// CHECK: scf.while
// CHECK: arith.cmpi ugt, %{{.*}}, %[[MOST]]
// CHECK: memref.load %[[MASK]]
// CHECK: arith.cmpf oeq, %{{.*}}, %{{.*}} : f32
// CHECK: memref.subview %arg1[%{{.*}}, 0, 0] [1, 32, %[[SEEN]]]
// CHECK: memref.subview %arg3[%{{.*}}, 0] [%{{.*}}, %[[SEEN]]]
// CHECK: memref.subview %{{.*}}[0, 0, 0] [1, %{{.*}}, %[[SEEN]]]
// CHECK: tamis_kernel.contract
// CHECK: memref.subview %arg2[%{{.*}}, 0, 0] [1, %[[SEEN]], 32]
// CHECK: tamis_kernel.contract
func.func @masked(%q: memref<4x?x32xf32>, %k: memref<4x32x?xf32>, %v: memref<4x?x32xf32>, %mask: memref<?x?xf32>, %r: memref<4x?xf32>, %t: memref<4x?xf32>, %o: memref<4x?x32xf32>, %m: index, %n: index) {
  %z = arith.constant 0.0 : f32
  %s = memref.alloc(%m, %n) : memref<4x?x?xf32>
  tamis_kernel.contract ins(%q, %k : memref<4x?x32xf32>, memref<4x32x?xf32>) extras(%mask : memref<?x?xf32>) outs(%s : memref<4x?x?xf32>)
      maps [#q, #k, #s, #mask] iterators ["parallel", "parallel", "parallel", "reduction"] bounds [4, -9223372036854775808, -9223372036854775808, 32]
      accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 4, 0, 0, 32] epilogue {
    ^bb0(%a: f32, %b: f32):
      %c = arith.constant 0.125 : f32
      %x = arith.mulf %a, %c : f32
      %y = arith.addf %x, %b : f32
      tamis.yield %y : f32
    }
  linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%s : memref<4x?x?xf32>) outs(%r : memref<4x?xf32>) {
  ^bb0(%a: f32, %b: f32):
    %x = arith.maximumf %b, %a : f32
    linalg.yield %x : f32
  }
  linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%s, %r : memref<4x?x?xf32>, memref<4x?xf32>) outs(%s : memref<4x?x?xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %x = arith.subf %a, %b : f32
    %y = math.exp %x : f32
    linalg.yield %y : f32
  }
  linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%s : memref<4x?x?xf32>) outs(%t : memref<4x?xf32>) {
  ^bb0(%a: f32, %b: f32):
    %x = arith.addf %b, %a : f32
    linalg.yield %x : f32
  }
  linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%s, %t : memref<4x?x?xf32>, memref<4x?xf32>) outs(%s : memref<4x?x?xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %e = arith.cmpf oeq, %b, %z : f32
    %x = arith.divf %a, %b : f32
    %y = arith.select %e, %z, %x : f32
    linalg.yield %y : f32
  }
  tamis_kernel.contract ins(%s, %v : memref<4x?x?xf32>, memref<4x?x32xf32>) outs(%o : memref<4x?x32xf32>)
      maps [#q, #k, #s] iterators ["parallel", "parallel", "parallel", "reduction"] bounds [4, -9223372036854775808, 32, -9223372036854775808]
      accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 4, 0, 0, 32]
  return
}

// -----

#q = affine_map<(h, m, n, k) -> (h, m, k)>
#k = affine_map<(h, m, n, k) -> (h, k, n)>
#s = affine_map<(h, m, n, k) -> (h, m, n)>
#mask = affine_map<(h, m, n, k) -> (m, n)>
#all = affine_map<(h, m, n) -> (h, m, n)>
#row = affine_map<(h, m, n) -> (h, m)>

// A sum of the scores themselves would notice.
// CHECK-LABEL: @noticed
// CHECK-NOT: scf.while
// CHECK: return
func.func @noticed(%q: memref<4x?x32xf32>, %k: memref<4x32x?xf32>, %v: memref<4x?x32xf32>, %mask: memref<?x?xf32>, %r: memref<4x?xf32>, %o: memref<4x?x32xf32>, %m: index, %n: index) {
  %s = memref.alloc(%m, %n) : memref<4x?x?xf32>
  tamis_kernel.contract ins(%q, %k : memref<4x?x32xf32>, memref<4x32x?xf32>) extras(%mask : memref<?x?xf32>) outs(%s : memref<4x?x?xf32>)
      maps [#q, #k, #s, #mask] iterators ["parallel", "parallel", "parallel", "reduction"] bounds [4, -9223372036854775808, -9223372036854775808, 32]
      accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 4, 0, 0, 32] epilogue {
    ^bb0(%a: f32, %b: f32):
      %y = arith.addf %a, %b : f32
      tamis.yield %y : f32
    }
  linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%s : memref<4x?x?xf32>) outs(%r : memref<4x?xf32>) {
  ^bb0(%a: f32, %b: f32):
    %x = arith.addf %b, %a : f32
    linalg.yield %x : f32
  }
  linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%s, %r : memref<4x?x?xf32>, memref<4x?xf32>) outs(%s : memref<4x?x?xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %x = arith.subf %a, %b : f32
    %y = math.exp %x : f32
    linalg.yield %y : f32
  }
  tamis_kernel.contract ins(%s, %v : memref<4x?x?xf32>, memref<4x?x32xf32>) outs(%o : memref<4x?x32xf32>)
      maps [#q, #k, #s] iterators ["parallel", "parallel", "parallel", "reduction"] bounds [4, -9223372036854775808, 32, -9223372036854775808]
      accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 4, 0, 0, 32]
  return
}
