// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: tamis-opt %s --tamis-fuse-elementwise | FileCheck %s
// RUN: tamis-opt %s --tamis-fuse-elementwise --tamis-fuse-elementwise | FileCheck %s

#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>
#id1 = affine_map<(d0) -> (d0)>

// CHECK-LABEL: func.func @chain
// CHECK: linalg.generic
// CHECK: math.exp
// CHECK-NEXT: arith.addf %{{.+}}, %{{.*}}cst
// CHECK-NOT: linalg.generic
// CHECK: return
func.func @chain(%x: tensor<4x?xf32>, %n: index) -> tensor<4x?xf32> {
  %one = arith.constant dense<1.0> : tensor<4xf32>
  %e = tensor.empty(%n) : tensor<4x?xf32>
  %a = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<4x?xf32>) outs(%e : tensor<4x?xf32>) {
  ^bb0(%p: f32, %o: f32):
    %r = math.exp %p : f32
    linalg.yield %r : f32
  } -> tensor<4x?xf32>
  %c1 = arith.constant 1 : index
  %d = tensor.dim %a, %c1 : tensor<4x?xf32>
  %f = tensor.empty(%d) : tensor<4x?xf32>
  %b = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%a, %one : tensor<4x?xf32>, tensor<4xf32>) outs(%f : tensor<4x?xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.addf %p, %q : f32
    linalg.yield %r : f32
  } -> tensor<4x?xf32>
  return %b : tensor<4x?xf32>
}

// A dequantize is cheaper to repeat than its result is to store.
// CHECK-LABEL: func.func @repeats_cheap_producer
// CHECK-COUNT-2: arith.sitofp
// CHECK: return
func.func @repeats_cheap_producer(%q: tensor<4x8xi8>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  %s = arith.constant 0.5 : f32
  %e = tensor.empty() : tensor<4x8xf32>
  %x = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%q : tensor<4x8xi8>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%p: i8, %o: f32):
    %w = arith.extsi %p : i8 to i32
    %f = arith.sitofp %w : i32 to f32
    %r = arith.mulf %f, %s : f32
    linalg.yield %r : f32
  } -> tensor<4x8xf32>
  %a = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%p: f32, %o: f32):
    %r = math.exp %p : f32
    linalg.yield %r : f32
  } -> tensor<4x8xf32>
  %b = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%p: f32, %o: f32):
    %r = math.tanh %p : f32
    linalg.yield %r : f32
  } -> tensor<4x8xf32>
  return %a, %b : tensor<4x8xf32>, tensor<4x8xf32>
}

// CHECK-LABEL: func.func @into_reduction_that_reads_once
// CHECK: linalg.generic {{.+}} iterator_types = ["parallel", "reduction"]
// CHECK: math.exp
// CHECK-NEXT: arith.addf
func.func @into_reduction_that_reads_once(%x: tensor<4x8xf32>, %init: tensor<4xf32>) -> tensor<4xf32> {
  %e = tensor.empty() : tensor<4x8xf32>
  %a = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%p: f32, %o: f32):
    %r = math.exp %p : f32
    linalg.yield %r : f32
  } -> tensor<4x8xf32>
  %s = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%a : tensor<4x8xf32>) outs(%init : tensor<4xf32>) {
  ^bb0(%p: f32, %o: f32):
    %r = arith.addf %p, %o : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  return %s : tensor<4xf32>
}

// CHECK-LABEL: func.func @removes_reshape_between
// CHECK-SAME: %[[X:.+]]: tensor<4x8xf32>
// CHECK: linalg.generic {{.+}} ins(%[[X]] : tensor<4x8xf32>)
// CHECK: math.exp
// CHECK-NEXT: math.tanh
// CHECK: tensor.collapse_shape
func.func @removes_reshape_between(%x: tensor<4x8xf32>) -> tensor<32xf32> {
  %e = tensor.empty() : tensor<4x8xf32>
  %a = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%p: f32, %o: f32):
    %r = math.exp %p : f32
    linalg.yield %r : f32
  } -> tensor<4x8xf32>
  %c = tensor.collapse_shape %a [[0, 1]] : tensor<4x8xf32> into tensor<32xf32>
  %f = tensor.empty() : tensor<32xf32>
  %b = linalg.generic {indexing_maps = [#id1, #id1], iterator_types = ["parallel"]}
      ins(%c : tensor<32xf32>) outs(%f : tensor<32xf32>) {
  ^bb0(%p: f32, %o: f32):
    %r = math.tanh %p : f32
    linalg.yield %r : f32
  } -> tensor<32xf32>
  return %b : tensor<32xf32>
}

// CHECK-LABEL: func.func @keeps_costly_producer_of_two
// CHECK-COUNT-1: math.exp
// CHECK-NOT: math.exp
// CHECK: return
func.func @keeps_costly_producer_of_two(%x: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  %e = tensor.empty() : tensor<4x8xf32>
  %a = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%p: f32, %o: f32):
    %r = math.exp %p : f32
    linalg.yield %r : f32
  } -> tensor<4x8xf32>
  %b = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%p: f32, %o: f32):
    %r = arith.negf %p : f32
    linalg.yield %r : f32
  } -> tensor<4x8xf32>
  return %a, %b : tensor<4x8xf32>, tensor<4x8xf32>
}

// CHECK-LABEL: func.func @keeps_costly_producer_of_broadcast
// CHECK: linalg.generic {{.+}} iterator_types = ["parallel"]
// CHECK: math.exp
// CHECK: linalg.generic {{.+}} iterator_types = ["parallel", "parallel"]
func.func @keeps_costly_producer_of_broadcast(%x: tensor<4xf32>, %y: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %e = tensor.empty() : tensor<4xf32>
  %a = linalg.generic {indexing_maps = [#id1, #id1], iterator_types = ["parallel"]}
      ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%p: f32, %o: f32):
    %r = math.exp %p : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %f = tensor.empty() : tensor<4x8xf32>
  %b = linalg.generic {indexing_maps = [#row, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%a, %y : tensor<4xf32>, tensor<4x8xf32>) outs(%f : tensor<4x8xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.addf %p, %q : f32
    linalg.yield %r : f32
  } -> tensor<4x8xf32>
  return %b : tensor<4x8xf32>
}

#window = affine_map<(d0, d1) -> (d0 + d1)>
#taps = affine_map<(d0, d1) -> (d1)>
// CHECK-LABEL: func.func @keeps_producer_of_window
// CHECK: linalg.generic {{.+}} iterator_types = ["parallel"]
// CHECK: math.exp
// CHECK: linalg.generic {{.+}} iterator_types = ["parallel", "reduction"]
func.func @keeps_producer_of_window(%x: tensor<10xf32>, %init: tensor<8xf32>) -> tensor<8xf32> {
  %e = tensor.empty() : tensor<10xf32>
  %a = linalg.generic {indexing_maps = [#id1, #id1], iterator_types = ["parallel"]}
      ins(%x : tensor<10xf32>) outs(%e : tensor<10xf32>) {
  ^bb0(%p: f32, %o: f32):
    %r = math.exp %p : f32
    linalg.yield %r : f32
  } -> tensor<10xf32>
  %k = tensor.empty() : tensor<3xf32>
  %s = linalg.generic {indexing_maps = [#window, #taps, #row], iterator_types = ["parallel", "reduction"]}
      ins(%a, %k : tensor<10xf32>, tensor<3xf32>) outs(%init : tensor<8xf32>) {
  ^bb0(%p: f32, %u: f32, %o: f32):
    %r = arith.addf %p, %o : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  return %s : tensor<8xf32>
}

#ml = affine_map<(m, n, k) -> (m, k)>
#mr = affine_map<(m, n, k) -> (k, n)>
#mo = affine_map<(m, n, k) -> (m, n)>
// The sum goes with the second product; the first keeps its own exp.
// CHECK-LABEL: func.func @keeps_epilogue_of_first_product
// CHECK: %[[A:.+]] = tamis.contract
// CHECK: %[[E:.+]] = linalg.generic {{.+}} ins(%[[A]] : tensor<4x8xf32>)
// CHECK: math.exp
// CHECK: %[[B:.+]] = tamis.contract
// CHECK: linalg.generic {{.+}} ins(%[[E]], %[[B]] :
// CHECK: math.tanh
// CHECK: arith.addf
func.func @keeps_epilogue_of_first_product(%x: tensor<4x5xf32>, %w: tensor<5x8xf32>) -> tensor<4x8xf32> {
  %e = tensor.empty() : tensor<4x8xf32>
  %a = tamis.contract ins(%x, %w : tensor<4x5xf32>, tensor<5x8xf32>) outs(%e : tensor<4x8xf32>)
    maps [#ml, #mr, #mo] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x8xf32>
  %ea = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%p: f32, %o: f32):
    %r = math.exp %p : f32
    linalg.yield %r : f32
  } -> tensor<4x8xf32>
  %b = tamis.contract ins(%x, %w : tensor<4x5xf32>, tensor<5x8xf32>) outs(%e : tensor<4x8xf32>)
    maps [#ml, #mr, #mo] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x8xf32>
  %tb = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%b : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%p: f32, %o: f32):
    %r = math.tanh %p : f32
    linalg.yield %r : f32
  } -> tensor<4x8xf32>
  %s = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%ea, %tb : tensor<4x8xf32>, tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.addf %p, %q : f32
    linalg.yield %r : f32
  } -> tensor<4x8xf32>
  return %s : tensor<4x8xf32>
}

// CHECK-LABEL: func.func @keeps_epilogue_before_reduction
// CHECK: linalg.generic {{.+}} iterator_types = ["parallel", "parallel"]
// CHECK: math.exp
// CHECK: linalg.generic {{.+}} iterator_types = ["parallel", "reduction"]
func.func @keeps_epilogue_before_reduction(%x: tensor<4x5xf32>, %w: tensor<5x8xf32>, %init: tensor<4xf32>) -> tensor<4xf32> {
  %e = tensor.empty() : tensor<4x8xf32>
  %a = tamis.contract ins(%x, %w : tensor<4x5xf32>, tensor<5x8xf32>) outs(%e : tensor<4x8xf32>)
    maps [#ml, #mr, #mo] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x8xf32>
  %ea = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%p: f32, %o: f32):
    %r = math.exp %p : f32
    linalg.yield %r : f32
  } -> tensor<4x8xf32>
  %s = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%ea : tensor<4x8xf32>) outs(%init : tensor<4xf32>) {
  ^bb0(%p: f32, %o: f32):
    %r = arith.addf %p, %o : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  return %s : tensor<4xf32>
}

// A sum over one element, as exporters write it, is the element.
// CHECK-LABEL: func.func @zero_sum
// CHECK-NEXT: return %arg0
func.func @zero_sum(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x8xf32>
  %a = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%p: f32, %o: f32):
    %r = arith.addf %p, %zero : f32
    linalg.yield %r : f32
  } -> tensor<4x8xf32>
  return %a : tensor<4x8xf32>
}

// -----

// A sum that broadcasts has dimensions of size one, which elementwise
// operations do without.
// CHECK-LABEL: func.func @drops_unit_dimensions
// CHECK: %[[Y:.+]] = linalg.generic {{.*}} iterator_types = ["parallel"]} ins(%arg0 : tensor<9xf32>)
// CHECK: math.sqrt
// CHECK-NOT: expand_shape
// CHECK: linalg.generic {{.*}} ins(%arg1, %[[Y]] : tensor<9x33xf32>, tensor<9xf32>)
func.func @drops_unit_dimensions(%s: tensor<9xf32>, %x: tensor<9x33xf32>) -> tensor<9x33xf32> {
  %wide = tensor.expand_shape %s [[0, 1]] output_shape [9, 1] : tensor<9xf32> into tensor<9x1xf32>
  %0 = tensor.empty() : tensor<9x1xf32>
  %1 = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%wide : tensor<9x1xf32>) outs(%0 : tensor<9x1xf32>) {
  ^bb0(%a: f32, %b: f32):
    %r = math.sqrt %a : f32
    linalg.yield %r : f32
  } -> tensor<9x1xf32>
  %y = tensor.collapse_shape %1 [[0, 1]] : tensor<9x1xf32> into tensor<9xf32>
  %2 = tensor.empty() : tensor<9x33xf32>
  %3 = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%x, %y : tensor<9x33xf32>, tensor<9xf32>) outs(%2 : tensor<9x33xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %r = arith.mulf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<9x33xf32>
  return %3 : tensor<9x33xf32>
}

// Beside an operand that has them for another reason they stay: dropping them
// there and moving that reshape back would never end.
// CHECK-LABEL: func.func @keeps_unit_dimensions_beside_others
// CHECK: tensor.expand_shape %arg0
// CHECK: linalg.generic {{.*}} outs({{.*}} : tensor<9x1xf32>)
func.func @keeps_unit_dimensions_beside_others(%s: tensor<9xf32>, %x: tensor<9x1xf32>) -> tensor<9x1xf32> {
  %wide = tensor.expand_shape %s [[0, 1]] output_shape [9, 1] : tensor<9xf32> into tensor<9x1xf32>
  %0 = tensor.empty() : tensor<9x1xf32>
  %1 = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<9x1xf32>) outs(%0 : tensor<9x1xf32>) {
  ^bb0(%a: f32, %b: f32):
    %r = math.exp %a : f32
    linalg.yield %r : f32
  } -> tensor<9x1xf32>
  %2 = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%wide, %1 : tensor<9x1xf32>, tensor<9x1xf32>) outs(%0 : tensor<9x1xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %r = arith.mulf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<9x1xf32>
  return %2 : tensor<9x1xf32>
}

// Factors of sums of blocks become part of a kernel, which takes them for every column.
// CHECK-LABEL: func.func @keeps_producer_of_factor
// CHECK: %[[FACTOR:.+]] = linalg.generic
// CHECK: arith.sitofp
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction"]} ins(%{{.+}}, %[[FACTOR]] : tensor<2x4x8xf32>, tensor<4x2xf32>)
func.func @keeps_producer_of_factor(%x: tensor<4x2x16xf32>, %w: tensor<8x2x16xf32>, %rows: tensor<4x2xi32>) -> tensor<4x8xf32> {
  %0 = tensor.empty() : tensor<4x2xf32>
  %factor = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%rows : tensor<4x2xi32>) outs(%0 : tensor<4x2xf32>) {
  ^bb0(%a: i32, %b: f32):
    %r = arith.sitofp %a : i32 to f32
    linalg.yield %r : f32
  } -> tensor<4x2xf32>
  %e = tensor.empty() : tensor<2x4x8xf32>
  %sums = tamis.contract ins(%x, %w : tensor<4x2x16xf32>, tensor<8x2x16xf32>) outs(%e : tensor<2x4x8xf32>)
    maps [affine_map<(m, n, b, k) -> (m, b, k)>, affine_map<(m, n, b, k) -> (n, b, k)>, affine_map<(m, n, b, k) -> (b, m, n)>]
    iterators ["parallel", "parallel", "parallel", "reduction"] pad [0, 0, 0] accumulator f32 -> tensor<2x4x8xf32>
  %zero = arith.constant 0.0 : f32
  %f = tensor.empty() : tensor<4x8xf32>
  %init = linalg.fill ins(%zero : f32) outs(%f : tensor<4x8xf32>) -> tensor<4x8xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(m, n, b) -> (b, m, n)>, affine_map<(m, n, b) -> (m, b)>, affine_map<(m, n, b) -> (m, n)>], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%sums, %factor : tensor<2x4x8xf32>, tensor<4x2xf32>) outs(%init : tensor<4x8xf32>) {
  ^bb0(%sum: f32, %s: f32, %total: f32):
    %p = arith.mulf %sum, %s : f32
    %t = arith.addf %total, %p : f32
    linalg.yield %t : f32
  } -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}
