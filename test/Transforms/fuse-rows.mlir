// RUN: tamis-opt %s --split-input-file --pass-pipeline='builtin.module(func.func(tamis-fuse-rows),canonicalize,cse)' | FileCheck %s
// RUN: tamis-opt %s --split-input-file --pass-pipeline='builtin.module(func.func(tamis-fuse-rows),canonicalize,cse,func.func(tamis-fuse-rows),canonicalize,cse)' | FileCheck %s

#all = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>

// One loop; the exponentials live in the result, one reciprocal a row.
// CHECK-LABEL: func.func @softmax
// CHECK-NOT: memref.alloc() {{.*}}64x128
// CHECK: scf.for
// CHECK: linalg.fill
// CHECK: arith.maximumf
// CHECK: math.exp
// CHECK: linalg.fill
// CHECK: arith.addf
// CHECK: arith.divf %cst
// CHECK: arith.mulf
// CHECK: tamis.kernel
func.func @softmax(%x: memref<64x128xf32>, %y: memref<64x128xf32>) {
  %lowest = arith.constant 0xFF800000 : f32
  %zero = arith.constant 0.0 : f32
  %m = memref.alloc() : memref<64xf32>
  linalg.fill ins(%lowest : f32) outs(%m : memref<64xf32>)
  linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<64x128xf32>) outs(%m : memref<64xf32>) {
  ^bb0(%a: f32, %b: f32):
    %r = arith.maximumf %b, %a : f32
    linalg.yield %r : f32
  }
  %e = memref.alloc() : memref<64x128xf32>
  linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%x, %m : memref<64x128xf32>, memref<64xf32>) outs(%e : memref<64x128xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %d = arith.subf %a, %b : f32
    %r = math.exp %d : f32
    linalg.yield %r : f32
  }
  %s = memref.alloc() : memref<64xf32>
  linalg.fill ins(%zero : f32) outs(%s : memref<64xf32>)
  linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]}
      ins(%e : memref<64x128xf32>) outs(%s : memref<64xf32>) {
  ^bb0(%a: f32, %b: f32):
    %r = arith.addf %b, %a : f32
    linalg.yield %r : f32
  }
  linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%e, %s : memref<64x128xf32>, memref<64xf32>) outs(%y : memref<64x128xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %r = arith.divf %a, %b : f32
    linalg.yield %r : f32
  }
  return
}

// -----

#all = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
#other = affine_map<(i, j) -> (j)>

// The second operation reads every sum for each of its rows.
// CHECK-LABEL: func.func @leaves_a_reader_across_rows
// CHECK: scf.for
// CHECK: linalg.generic
// CHECK: tamis.kernel
// CHECK: linalg.generic
// CHECK-SAME: memref<64x64xf32>
func.func @leaves_a_reader_across_rows(%x: memref<64x64xf32>, %s: memref<64xf32>, %y: memref<64x64xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%s : memref<64xf32>)
  linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<64x64xf32>) outs(%s : memref<64xf32>) {
  ^bb0(%a: f32, %b: f32):
    %r = arith.addf %b, %a : f32
    linalg.yield %r : f32
  }
  linalg.generic {indexing_maps = [#row, #other, #all], iterator_types = ["parallel", "parallel"]}
      ins(%s, %s : memref<64xf32>, memref<64xf32>) outs(%y : memref<64x64xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %r = arith.mulf %a, %b : f32
    linalg.yield %r : f32
  }
  return
}

// -----

// Vectors run across the channels, so a sum over the rest has no rows, but
// takes the fill it starts from along.
// CHECK-LABEL: func.func @keeps_fill_and_sum_together
// CHECK: scf.execute_region
// CHECK: linalg.fill
// CHECK: linalg.generic
// CHECK: tamis.kernel
func.func @keeps_fill_and_sum_together(%x: memref<49x2048xf32>, %y: memref<2048xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%y : memref<2048xf32>)
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>], iterator_types = ["reduction", "parallel"]}
      ins(%x : memref<49x2048xf32>) outs(%y : memref<2048xf32>) {
  ^bb0(%a: f32, %b: f32):
    %r = arith.addf %b, %a : f32
    linalg.yield %r : f32
  }
  return
}
