// RUN: tamis-opt %s --split-input-file --pass-pipeline='builtin.module(func.func(tamis-fuse-rows{lanes=true}),canonicalize,cse)' | FileCheck %s

#all = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>

// The start value, the sum, what is made of it, and the row that it divides.
// CHECK-LABEL: func.func @fuses_a_sum_and_its_readers
// CHECK: scf.for
// CHECK: linalg.fill
// CHECK: arith.addf
// CHECK: math.sqrt
// CHECK: arith.divf
// CHECK: } {tamis.kernel}
// CHECK-NEXT: return
func.func @fuses_a_sum_and_its_readers(%x: memref<64x128xf32>, %y: memref<64x128xf32>) {
  %zero = arith.constant 0.0 : f32
  %s = memref.alloc() : memref<64xf32>
  linalg.fill ins(%zero : f32) outs(%s : memref<64xf32>)
  linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<64x128xf32>) outs(%s : memref<64xf32>) {
  ^bb0(%a: f32, %b: f32):
    %q = arith.mulf %a, %a : f32
    %r = arith.addf %b, %q : f32
    linalg.yield %r : f32
  }
  %t = memref.alloc() : memref<64xf32>
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%s : memref<64xf32>) outs(%t : memref<64xf32>) {
  ^bb0(%a: f32, %b: f32):
    %r = math.sqrt %a : f32
    linalg.yield %r : f32
  }
  linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%x, %t : memref<64x128xf32>, memref<64xf32>) outs(%y : memref<64x128xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %r = arith.divf %a, %b : f32
    linalg.yield %r : f32
  }
  return
}

// -----

// One row: what a sum of everything becomes goes with it, without a loop.
// CHECK-LABEL: func.func @one_sum_of_everything
// CHECK: scf.execute_region
// CHECK: arith.addf
// CHECK: arith.mulf
// CHECK: } {tamis.kernel}
func.func @one_sum_of_everything(%x: memref<1000xf32>, %y: memref<f32>) {
  %half = arith.constant 0.5 : f32
  %s = memref.alloc() : memref<f32>
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>], iterator_types = ["reduction"]}
      ins(%x : memref<1000xf32>) outs(%s : memref<f32>) {
  ^bb0(%a: f32, %b: f32):
    %r = arith.addf %b, %a : f32
    linalg.yield %r : f32
  }
  linalg.generic {indexing_maps = [affine_map<() -> ()>, affine_map<() -> ()>], iterator_types = []}
      ins(%s : memref<f32>) outs(%y : memref<f32>) {
  ^bb0(%a: f32, %b: f32):
    %r = arith.mulf %a, %half : f32
    linalg.yield %r : f32
  }
  return
}

// -----

// Rows of others read the same weights: a block of elements loads them once.
// CHECK-LABEL: func.func @not_a_product_of_matrices
// CHECK-NOT: tamis.kernel
func.func @not_a_product_of_matrices(%x: memref<64x128xf32>, %w: memref<32x128xf32>, %y: memref<64x32xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (j, k)>, affine_map<(i, j, k) -> (i, j)>],
                  iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : memref<64x128xf32>, memref<32x128xf32>) outs(%y : memref<64x32xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %r = arith.addf %c, %p : f32
    linalg.yield %r : f32
  }
  return
}

// -----

// CHECK-LABEL: func.func @not_along_an_outer_dimension
// CHECK-NOT: tamis.kernel
func.func @not_along_an_outer_dimension(%x: memref<64x128xf32>, %y: memref<128xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<64x128xf32>) outs(%y : memref<128xf32>) {
  ^bb0(%a: f32, %b: f32):
    %r = arith.addf %b, %a : f32
    linalg.yield %r : f32
  }
  return
}

// -----

// Where a maximum stands is two values that belong together.
// CHECK-LABEL: func.func @not_what_has_no_parts
// CHECK-NOT: tamis.kernel
func.func @not_what_has_no_parts(%x: memref<64x128xf32>, %v: memref<64xf32>, %p: memref<64xi32>) {
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i)>],
                  iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<64x128xf32>) outs(%v, %p : memref<64xf32>, memref<64xi32>) {
  ^bb0(%a: f32, %b: f32, %c: i32):
    %j = linalg.index 1 : index
    %i = arith.index_cast %j : index to i32
    %g = arith.cmpf ogt, %a, %b : f32
    %r = arith.select %g, %a, %b : f32
    %s = arith.select %g, %i, %c : i32
    linalg.yield %r, %s : f32, i32
  }
  return
}

// -----

// The reader turns the row around: a lane would read what another one wrote.
// CHECK-LABEL: func.func @not_a_reader_of_other_places
// CHECK: linalg.generic
// CHECK: scf.for
// CHECK-NOT: scf.for
func.func @not_a_reader_of_other_places(%x: memref<64x32x8xf32>, %e: memref<64x32x8xf32>, %y: memref<64xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, j, k)>, affine_map<(i, j, k) -> (i, j, k)>],
                  iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x : memref<64x32x8xf32>) outs(%e : memref<64x32x8xf32>) {
  ^bb0(%a: f32, %b: f32):
    %r = arith.negf %a : f32
    linalg.yield %r : f32
  }
  linalg.generic {indexing_maps = [affine_map<(i, k, j) -> (i, j, k)>, affine_map<(i, k, j) -> (i, j, k)>, affine_map<(i, k, j) -> (i)>],
                  iterator_types = ["parallel", "reduction", "reduction"]}
      ins(%x, %e : memref<64x32x8xf32>, memref<64x32x8xf32>) outs(%y : memref<64xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %r = arith.addf %c, %p : f32
    linalg.yield %r : f32
  }
  return
}

// -----

// Start values of two layers, once one operation on tensors: each goes to its
// own, so that no kernel binds what it does not need.
// CHECK-LABEL: func.func @start_values_lie_next_to_their_readers
// CHECK: %[[A:.+]] = memref.alloc() : memref<64xf32>
// CHECK: %[[B:.+]] = memref.alloc() : memref<64xf32>
// CHECK: scf.for
// CHECK: memref.subview %[[A]]
// CHECK: linalg.fill
// CHECK-NOT: %[[B]]
// CHECK: } {tamis.kernel}
// CHECK: scf.for
// CHECK: memref.subview %[[B]]
// CHECK: linalg.fill
// CHECK-NOT: %[[A]]
// CHECK: } {tamis.kernel}
func.func @start_values_lie_next_to_their_readers(%x: memref<64x128xf32>, %y: memref<64x64xf32>, %t: memref<128x64xf32>) -> (memref<64xf32>, memref<64xf32>) {
  %zero = arith.constant 0.0 : f32
  %a = memref.alloc() : memref<64xf32>
  %b = memref.alloc() : memref<64xf32>
  linalg.fill ins(%zero : f32) outs(%a : memref<64xf32>)
  linalg.fill ins(%zero : f32) outs(%b : memref<64xf32>)
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<64x128xf32>) outs(%a : memref<64xf32>) {
  ^bb0(%p: f32, %q: f32):
    %r = arith.addf %q, %p : f32
    linalg.yield %r : f32
  }
  linalg.transpose ins(%x : memref<64x128xf32>) outs(%t : memref<128x64xf32>) permutation = [1, 0]
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]}
      ins(%y : memref<64x64xf32>) outs(%b : memref<64xf32>) {
  ^bb0(%p: f32, %q: f32):
    %r = arith.addf %q, %p : f32
    linalg.yield %r : f32
  }
  return %a, %b : memref<64xf32>, memref<64xf32>
}
