// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: tamis-opt %s --tamis-fuse-epilogues --canonicalize | FileCheck %s
// RUN: tamis-opt %s --tamis-fuse-epilogues --tamis-fuse-epilogues --canonicalize | FileCheck %s

#l = affine_map<(m, n, k) -> (m, k)>
#r = affine_map<(m, n, k) -> (k, n)>
#o = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(d0, d1) -> (d0, d1)>
#swap = affine_map<(d0, d1) -> (d1, d0)>
#col = affine_map<(d0, d1) -> (d1)>
#row = affine_map<(d0, d1) -> (d0)>

// Bias, then residual sum and quantization to another type; a size of the
// result is no reader.
// CHECK-DAG: #[[COL:.+]] = affine_map<(d0, d1, d2) -> (d1)>
// CHECK-DAG: #[[OUT:.+]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK-DAG: #[[SWAP:.+]] = affine_map<(d0, d1, d2) -> (d1, d0)>
// CHECK-LABEL: func.func @chain_with_extras
// CHECK-SAME: %[[B:[^: ]+]]: tensor<8xf32>, %[[RES:[^: ]+]]: tensor<?x8xf32>
// CHECK: %[[E:.+]] = tensor.empty(%{{.+}}) : tensor<?x8xi8>
// CHECK: %[[Y:.+]] = tamis.contract {{.+}} extras(%[[B]], %[[RES]] : tensor<8xf32>, tensor<?x8xf32>) outs(%[[E]] : tensor<?x8xi8>)
// CHECK-SAME: #[[OUT]], #[[COL]], #[[OUT]]]
// CHECK-NEXT: ^bb0(%[[ACC:.+]]: f32, %[[BIAS:.+]]: f32, %[[R:.+]]: f32):
// CHECK-NEXT: %[[S:.+]] = arith.addf %[[ACC]], %[[BIAS]]
// CHECK-NEXT: %[[T:.+]] = arith.addf %[[R]], %[[S]]
// CHECK-NEXT: %[[Q:.+]] = arith.fptosi %[[T]]
// CHECK-NEXT: tamis.yield %[[Q]] : i8
// CHECK: return %[[Y]]
func.func @chain_with_extras(%x: tensor<?x4xf32>, %w: tensor<4x8xf32>, %b: tensor<8xf32>, %res: tensor<?x8xf32>) -> tensor<?x8xi8> {
  %c0 = arith.constant 0 : index
  %m = tensor.dim %x, %c0 : tensor<?x4xf32>
  %e = tensor.empty(%m) : tensor<?x8xf32>
  %y = tamis.contract ins(%x, %w : tensor<?x4xf32>, tensor<4x8xf32>) outs(%e : tensor<?x8xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<?x8xf32>
  %z = linalg.generic {indexing_maps = [#id, #col, #id], iterator_types = ["parallel", "parallel"]}
      ins(%y, %b : tensor<?x8xf32>, tensor<8xf32>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%p: f32, %q: f32, %u: f32):
    %t = arith.addf %p, %q : f32
    linalg.yield %t : f32
  } -> tensor<?x8xf32>
  %d = tensor.dim %z, %c0 : tensor<?x8xf32>
  %f = tensor.empty(%d) : tensor<?x8xi8>
  %v = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%res, %z : tensor<?x8xf32>, tensor<?x8xf32>) outs(%f : tensor<?x8xi8>) {
  ^bb0(%p: f32, %q: f32, %u: i8):
    %t = arith.addf %p, %q : f32
    %i = arith.fptosi %t : f32 to i8
    linalg.yield %i : i8
  } -> tensor<?x8xi8>
  return %v : tensor<?x8xi8>
}

// x * sigmoid(x) reads the result twice; the reader's loops are swapped.
// CHECK-LABEL: func.func @reads_twice_in_other_order
// CHECK: tamis.contract {{.+}} outs(%{{.+}} : tensor<8x4xf32>) maps [#{{.+}}, #{{.+}}, #[[SWAP]]]
// CHECK-NEXT: ^bb0(%[[ACC:.+]]: f32):
// CHECK-NEXT: %[[N:.+]] = math.tanh %[[ACC]]
// CHECK-NEXT: arith.mulf %[[ACC]], %[[N]]
func.func @reads_twice_in_other_order(%x: tensor<4x5xf32>, %w: tensor<5x8xf32>) -> tensor<8x4xf32> {
  %e = tensor.empty() : tensor<4x8xf32>
  %y = tamis.contract ins(%x, %w : tensor<4x5xf32>, tensor<5x8xf32>) outs(%e : tensor<4x8xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x8xf32>
  %f = tensor.empty() : tensor<8x4xf32>
  %z = linalg.generic {indexing_maps = [#swap, #swap, #id], iterator_types = ["parallel", "parallel"]}
      ins(%y, %y : tensor<4x8xf32>, tensor<4x8xf32>) outs(%f : tensor<8x4xf32>) {
  ^bb0(%p: f32, %q: f32, %u: f32):
    %t = math.tanh %q : f32
    %s = arith.mulf %p, %t : f32
    linalg.yield %s : f32
  } -> tensor<8x4xf32>
  return %z : tensor<8x4xf32>
}

#gl = affine_map<(g, m, n, k) -> (m, g, k)>
#gr = affine_map<(g, m, n, k) -> (g, k, n)>
#go = affine_map<(g, m, n, k) -> (m, g, n)>
// CHECK-LABEL: func.func @sinks_reshape_of_groups
// CHECK-SAME: %[[B:[^: ]+]]: tensor<6xf32>
// CHECK: %[[BE:.+]] = tensor.expand_shape %[[B]] {{.+}} : tensor<6xf32> into tensor<2x3xf32>
// CHECK: %[[Y:.+]] = tamis.contract {{.+}} extras(%[[BE]] : tensor<2x3xf32>)
// CHECK: arith.addf
// CHECK: tensor.collapse_shape %[[Y]]
// CHECK-NOT: linalg.generic
// CHECK: return
func.func @sinks_reshape_of_groups(%x: tensor<4x2x5xf32>, %w: tensor<2x5x3xf32>, %b: tensor<6xf32>) -> tensor<4x6xf32> {
  %e = tensor.empty() : tensor<4x2x3xf32>
  %y = tamis.contract ins(%x, %w : tensor<4x2x5xf32>, tensor<2x5x3xf32>) outs(%e : tensor<4x2x3xf32>)
    maps [#gl, #gr, #go] iterators ["parallel", "parallel", "parallel", "reduction"] pad [0, 0, 0] accumulator f32 -> tensor<4x2x3xf32>
  %c = tensor.collapse_shape %y [[0], [1, 2]] : tensor<4x2x3xf32> into tensor<4x6xf32>
  %f = tensor.empty() : tensor<4x6xf32>
  %z = linalg.generic {indexing_maps = [#id, #col, #id], iterator_types = ["parallel", "parallel"]}
      ins(%c, %b : tensor<4x6xf32>, tensor<6xf32>) outs(%f : tensor<4x6xf32>) {
  ^bb0(%p: f32, %q: f32, %u: f32):
    %t = arith.addf %p, %q : f32
    linalg.yield %t : f32
  } -> tensor<4x6xf32>
  return %z : tensor<4x6xf32>
}

// CHECK-LABEL: func.func @absorbs_transpose_of_rows
// CHECK-NOT: linalg.transpose
// CHECK: tamis.contract {{.+}} outs(%{{.+}} : tensor<2x4x3xf32>)
// CHECK-NOT: linalg.transpose
// CHECK: return
func.func @absorbs_transpose_of_rows(%x: tensor<4x2x5xf32>, %w: tensor<2x5x3xf32>) -> tensor<2x4x3xf32> {
  %e = tensor.empty() : tensor<4x2x3xf32>
  %y = tamis.contract ins(%x, %w : tensor<4x2x5xf32>, tensor<2x5x3xf32>) outs(%e : tensor<4x2x3xf32>)
    maps [#gl, #gr, #go] iterators ["parallel", "parallel", "parallel", "reduction"] pad [0, 0, 0] accumulator f32 -> tensor<4x2x3xf32>
  %f = tensor.empty() : tensor<2x4x3xf32>
  %t = linalg.transpose ins(%y : tensor<4x2x3xf32>) outs(%f : tensor<2x4x3xf32>) permutation = [1, 0, 2]
  return %t : tensor<2x4x3xf32>
}

// CHECK-LABEL: func.func @keeps_transpose_of_innermost
// CHECK: tamis.contract
// CHECK: linalg.transpose
func.func @keeps_transpose_of_innermost(%x: tensor<4x5xf32>, %w: tensor<5x8xf32>) -> tensor<8x4xf32> {
  %e = tensor.empty() : tensor<4x8xf32>
  %y = tamis.contract ins(%x, %w : tensor<4x5xf32>, tensor<5x8xf32>) outs(%e : tensor<4x8xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x8xf32>
  %f = tensor.empty() : tensor<8x4xf32>
  %t = linalg.transpose ins(%y : tensor<4x8xf32>) outs(%f : tensor<8x4xf32>) permutation = [1, 0]
  return %t : tensor<8x4xf32>
}

// CHECK-LABEL: func.func @keeps_result_with_two_readers
// CHECK: tamis.contract
// CHECK: linalg.generic
func.func @keeps_result_with_two_readers(%x: tensor<4x5xf32>, %w: tensor<5x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  %e = tensor.empty() : tensor<4x8xf32>
  %y = tamis.contract ins(%x, %w : tensor<4x5xf32>, tensor<5x8xf32>) outs(%e : tensor<4x8xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x8xf32>
  %z = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%y : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%p: f32, %u: f32):
    %t = arith.negf %p : f32
    linalg.yield %t : f32
  } -> tensor<4x8xf32>
  return %y, %z : tensor<4x8xf32>, tensor<4x8xf32>
}

// CHECK-LABEL: func.func @keeps_reader_that_reduces
// CHECK: tamis.contract
// CHECK: linalg.generic
func.func @keeps_reader_that_reduces(%x: tensor<4x5xf32>, %w: tensor<5x8xf32>, %init: tensor<4xf32>) -> tensor<4xf32> {
  %e = tensor.empty() : tensor<4x8xf32>
  %y = tamis.contract ins(%x, %w : tensor<4x5xf32>, tensor<5x8xf32>) outs(%e : tensor<4x8xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x8xf32>
  %z = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%y : tensor<4x8xf32>) outs(%init : tensor<4xf32>) {
  ^bb0(%p: f32, %u: f32):
    %t = arith.addf %p, %u : f32
    linalg.yield %t : f32
  } -> tensor<4xf32>
  return %z : tensor<4xf32>
}

// CHECK-LABEL: func.func @keeps_reader_through_two_maps
// CHECK: tamis.contract
// CHECK: linalg.generic
func.func @keeps_reader_through_two_maps(%x: tensor<8x5xf32>, %w: tensor<5x8xf32>) -> tensor<8x8xf32> {
  %e = tensor.empty() : tensor<8x8xf32>
  %y = tamis.contract ins(%x, %w : tensor<8x5xf32>, tensor<5x8xf32>) outs(%e : tensor<8x8xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<8x8xf32>
  %z = linalg.generic {indexing_maps = [#id, #swap, #id], iterator_types = ["parallel", "parallel"]}
      ins(%y, %y : tensor<8x8xf32>, tensor<8x8xf32>) outs(%e : tensor<8x8xf32>) {
  ^bb0(%p: f32, %q: f32, %u: f32):
    %t = arith.addf %p, %q : f32
    linalg.yield %t : f32
  } -> tensor<8x8xf32>
  return %z : tensor<8x8xf32>
}

// CHECK-LABEL: func.func @keeps_reader_of_its_destination
// CHECK: tamis.contract
// CHECK: linalg.generic
func.func @keeps_reader_of_its_destination(%x: tensor<4x5xf32>, %w: tensor<5x8xf32>, %d: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %e = tensor.empty() : tensor<4x8xf32>
  %y = tamis.contract ins(%x, %w : tensor<4x5xf32>, tensor<5x8xf32>) outs(%e : tensor<4x8xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x8xf32>
  %z = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%y : tensor<4x8xf32>) outs(%d : tensor<4x8xf32>) {
  ^bb0(%p: f32, %u: f32):
    %t = arith.addf %p, %u : f32
    linalg.yield %t : f32
  } -> tensor<4x8xf32>
  return %z : tensor<4x8xf32>
}

// CHECK-LABEL: func.func @keeps_reader_in_another_block
// CHECK: tamis.contract
// CHECK: scf.if
// CHECK: linalg.generic
func.func @keeps_reader_in_another_block(%x: tensor<4x5xf32>, %w: tensor<5x8xf32>, %c: i1) -> tensor<4x8xf32> {
  %e = tensor.empty() : tensor<4x8xf32>
  %y = tamis.contract ins(%x, %w : tensor<4x5xf32>, tensor<5x8xf32>) outs(%e : tensor<4x8xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x8xf32>
  %v = scf.if %c -> tensor<4x8xf32> {
    %z = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
        ins(%y : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {
    ^bb0(%p: f32, %u: f32):
      %t = arith.negf %p : f32
      linalg.yield %t : f32
    } -> tensor<4x8xf32>
    scf.yield %z : tensor<4x8xf32>
  } else {
    scf.yield %e : tensor<4x8xf32>
  }
  return %v : tensor<4x8xf32>
}
