// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: tamis-opt %s --tamis-assign-layouts --canonicalize --cse | FileCheck %s
// RUN: tamis-opt %s --tamis-assign-layouts --tamis-assign-layouts --canonicalize --cse | FileCheck %s

#lhs = affine_map<(n, o, h, w, c, i, j) -> (n, c, h * 2 + i, w + j)>
#rhs = affine_map<(n, o, h, w, c, i, j) -> (o, c, i, j)>
#out = affine_map<(n, o, h, w, c, i, j) -> (n, o, h, w)>
#id = affine_map<(n, c, h, w) -> (n, c, h, w)>
#channel = affine_map<(n, c, h, w) -> (c)>

// The loops follow the output, the reduction ends with the channel.
// CHECK-DAG: #[[LHS:.+]] = affine_map<(d0, d1, d2, d3, d4, d5, d6) -> (d0, d1 * 2 + d4, d2 + d5, d6)>
// CHECK-DAG: #[[RHS:.+]] = affine_map<(d0, d1, d2, d3, d4, d5, d6) -> (d3, d6, d4, d5)>
// CHECK-DAG: #[[OUT:.+]] = affine_map<(d0, d1, d2, d3, d4, d5, d6) -> (d0, d1, d2, d3)>
// CHECK-DAG: #[[ID:.+]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>
// CHECK-DAG: #[[CHANNEL:.+]] = affine_map<(d0, d1, d2, d3) -> (d3)>

// CHECK-LABEL: func.func @convolution_and_bias
// CHECK-SAME: %[[X:.+]]: tensor<1x8x?x14xf32>, %[[W:.+]]: tensor<16x8x3x3xf32>, %[[B:.+]]: tensor<16xf32>
// CHECK: %[[XT:.+]] = linalg.transpose ins(%[[X]] : {{.+}}) outs({{.+}} : tensor<1x?x14x8xf32>) permutation = [0, 2, 3, 1]
// CHECK: %[[Y:.+]] = tamis.contract ins(%[[XT]], %[[W]] : tensor<1x?x14x8xf32>, tensor<16x8x3x3xf32>)
// CHECK-SAME: maps [#[[LHS]], #[[RHS]], #[[OUT]]] iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"] pad [0, 1, 2, 0]
// CHECK: %[[Z:.+]] = linalg.generic {indexing_maps = [#[[ID]], #[[CHANNEL]], #[[ID]]]
// CHECK-SAME: ins(%[[Y]], %[[B]] : tensor<1x?x14x16xf32>, tensor<16xf32>)
// CHECK: %[[ZT:.+]] = linalg.transpose ins(%[[Z]] : {{.+}}) permutation = [0, 3, 1, 2]
// CHECK: return %[[ZT]]
func.func @convolution_and_bias(%x: tensor<1x8x?x14xf32>, %w: tensor<16x8x3x3xf32>, %b: tensor<16xf32>, %h: index) -> tensor<1x16x?x14xf32> {
  %e = tensor.empty(%h) : tensor<1x16x?x14xf32>
  %y = tamis.contract ins(%x, %w : tensor<1x8x?x14xf32>, tensor<16x8x3x3xf32>) outs(%e : tensor<1x16x?x14xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
    pad [0, 0, 1, 2] accumulator f32 -> tensor<1x16x?x14xf32>
  %z = linalg.generic {indexing_maps = [#id, #channel, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%y, %b : tensor<1x16x?x14xf32>, tensor<16xf32>) outs(%e : tensor<1x16x?x14xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.addf %p, %q : f32
    linalg.yield %r : f32
  } -> tensor<1x16x?x14xf32>
  return %z : tensor<1x16x?x14xf32>
}

#pool = affine_map<(n, c, h, w, i, j) -> (n, c, h * 2 + i, w * 2 + j)>
#window = affine_map<(n, c, h, w, i, j) -> (i, j)>
#pooled = affine_map<(n, c, h, w, i, j) -> (n, c, h, w)>
#dlhs = affine_map<(n, g, h, w, i, j) -> (n, g, h + i, w + j)>
#drhs = affine_map<(n, g, h, w, i, j) -> (g, i, j)>
#dout = affine_map<(n, g, h, w, i, j) -> (n, g, h, w)>
#all = affine_map<(n, c, h, w) -> (n, c, h, w)>
#mean = affine_map<(n, c, h, w) -> (n, c)>

// Only the input is transposed: pad, pool, slice, concat and the mean follow.
// CHECK-LABEL: func.func @pool_pad_concat_mean
// CHECK-COUNT-1: linalg.transpose
// CHECK: tensor.pad {{.+}} low[0, 1, 1, 0] high[0, 1, 1, 0]
// CHECK: linalg.generic {{.+}} iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]
// CHECK: tensor.extract_slice {{.+}}[0, 0, 0, 4] [1, 7, 7, 4] [1, 1, 1, 1]
// CHECK: tensor.concat dim(3)
// CHECK: tamis.contract
// CHECK: linalg.generic {{.+}} iterator_types = ["parallel", "parallel", "reduction", "reduction"]} ins({{.+}} : tensor<1x5x5x12xf32>)
// CHECK-NOT: linalg.transpose
// CHECK: return
func.func @pool_pad_concat_mean(%x: tensor<1x8x13x13xf32>, %w: tensor<12x3x3xf32>) -> tensor<1x12xf32> {
  %low = arith.constant -1.0 : f32
  %zero = arith.constant 0.0 : f32
  %p = tensor.pad %x low[0, 0, 1, 1] high[0, 0, 1, 1] {
  ^bb0(%a: index, %b: index, %c: index, %d: index):
    tensor.yield %low : f32
  } : tensor<1x8x13x13xf32> to tensor<1x8x15x15xf32>
  %k = tensor.empty() : tensor<3x3xf32>
  %e = tensor.empty() : tensor<1x8x7x7xf32>
  %f = linalg.fill ins(%low : f32) outs(%e : tensor<1x8x7x7xf32>) -> tensor<1x8x7x7xf32>
  %m = linalg.generic {indexing_maps = [#pool, #window, #pooled], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%p, %k : tensor<1x8x15x15xf32>, tensor<3x3xf32>) outs(%f : tensor<1x8x7x7xf32>) {
  ^bb0(%a: f32, %u: f32, %o: f32):
    %r = arith.maximumf %a, %o : f32
    linalg.yield %r : f32
  } -> tensor<1x8x7x7xf32>
  %s = tensor.extract_slice %m[0, 4, 0, 0] [1, 4, 7, 7] [1, 1, 1, 1] : tensor<1x8x7x7xf32> to tensor<1x4x7x7xf32>
  %c = tensor.concat dim(1) %m, %s : (tensor<1x8x7x7xf32>, tensor<1x4x7x7xf32>) -> tensor<1x12x7x7xf32>
  %de = tensor.empty() : tensor<1x12x5x5xf32>
  %d = tamis.contract ins(%c, %w : tensor<1x12x7x7xf32>, tensor<12x3x3xf32>) outs(%de : tensor<1x12x5x5xf32>)
    maps [#dlhs, #drhs, #dout] iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]
    pad [0, 0, 0, 0] accumulator f32 -> tensor<1x12x5x5xf32>
  %me = tensor.empty() : tensor<1x12xf32>
  %mf = linalg.fill ins(%zero : f32) outs(%me : tensor<1x12xf32>) -> tensor<1x12xf32>
  %mean = linalg.generic {indexing_maps = [#all, #mean], iterator_types = ["parallel", "parallel", "reduction", "reduction"]}
      ins(%d : tensor<1x12x5x5xf32>) outs(%mf : tensor<1x12xf32>) {
  ^bb0(%a: f32, %o: f32):
    %r = arith.addf %a, %o : f32
    linalg.yield %r : f32
  } -> tensor<1x12xf32>
  return %mean : tensor<1x12xf32>
}

#glhs = affine_map<(n, g, o, h, w, c, i, j) -> (n, g, c, h + i, w + j)>
#grhs = affine_map<(n, g, o, h, w, c, i, j) -> (g, o, c, i, j)>
#gout = affine_map<(n, g, o, h, w, c, i, j) -> (n, g, o, h, w)>

// The split and the merge of the channel, the shuffle of the groups between
// them.
// CHECK-LABEL: func.func @grouped_and_shuffled
// CHECK: linalg.transpose {{.+}} permutation = [0, 2, 3, 1]
// CHECK: tensor.expand_shape {{.+}} {{\[}}[0], [1], [2], [3, 4]{{\]}} output_shape [1, 6, 6, 2, 4]
// CHECK: tamis.contract
// CHECK: linalg.transpose {{.+}} permutation = [0, 1, 2, 4, 3]
// CHECK: tensor.collapse_shape {{.+}} {{\[}}[0], [1], [2], [3, 4]{{\]}} : tensor<1x4x4x3x2xf32> into tensor<1x4x4x6xf32>
// CHECK: linalg.transpose {{.+}} permutation = [0, 3, 1, 2]
func.func @grouped_and_shuffled(%x: tensor<1x8x6x6xf32>, %w: tensor<2x3x4x3x3xf32>) -> tensor<1x6x4x4xf32> {
  %xs = tensor.expand_shape %x [[0], [1, 2], [3], [4]] output_shape [1, 2, 4, 6, 6] : tensor<1x8x6x6xf32> into tensor<1x2x4x6x6xf32>
  %e = tensor.empty() : tensor<1x2x3x4x4xf32>
  %y = tamis.contract ins(%xs, %w : tensor<1x2x4x6x6xf32>, tensor<2x3x4x3x3xf32>) outs(%e : tensor<1x2x3x4x4xf32>)
    maps [#glhs, #grhs, #gout] iterators ["parallel", "parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
    pad [0, 0, 0, 0, 0] accumulator f32 -> tensor<1x2x3x4x4xf32>
  %te = tensor.empty() : tensor<1x3x2x4x4xf32>
  %t = linalg.transpose ins(%y : tensor<1x2x3x4x4xf32>) outs(%te : tensor<1x3x2x4x4xf32>) permutation = [0, 2, 1, 3, 4]
  %c = tensor.collapse_shape %t [[0], [1, 2], [3], [4]] : tensor<1x3x2x4x4xf32> into tensor<1x6x4x4xf32>
  return %c : tensor<1x6x4x4xf32>
}

// A vision transformer's patches: the model's own transpose is what
// channels-last makes unnecessary.
// CHECK-LABEL: func.func @patches_need_no_second_transpose
// CHECK-COUNT-1: linalg.transpose
// CHECK: tamis.contract
// CHECK: tensor.collapse_shape {{.+}} {{\[}}[0], [1, 2], [3]{{\]}} : tensor<1x6x14x16xf32> into tensor<1x84x16xf32>
// CHECK-NOT: linalg.transpose
// CHECK: return
func.func @patches_need_no_second_transpose(%x: tensor<1x8x13x16xf32>, %w: tensor<16x8x3x3xf32>) -> tensor<1x84x16xf32> {
  %e = tensor.empty() : tensor<1x16x6x14xf32>
  %y = tamis.contract ins(%x, %w : tensor<1x8x13x16xf32>, tensor<16x8x3x3xf32>) outs(%e : tensor<1x16x6x14xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
    pad [0, 0, 0, 0] accumulator f32 -> tensor<1x16x6x14xf32>
  %c = tensor.collapse_shape %y [[0], [1], [2, 3]] : tensor<1x16x6x14xf32> into tensor<1x16x84xf32>
  %te = tensor.empty() : tensor<1x84x16xf32>
  %t = linalg.transpose ins(%c : tensor<1x16x84xf32>) outs(%te : tensor<1x84x16xf32>) permutation = [0, 2, 1]
  return %t : tensor<1x84x16xf32>
}

#qk_lhs = affine_map<(b, m, n, k) -> (b, m, k)>
#qk_rhs = affine_map<(b, m, n, k) -> (b, n, k)>
#qk_out = affine_map<(b, m, n, k) -> (b, m, n)>
// CHECK-LABEL: func.func @absorbs_heads_into_a_product
// CHECK-SAME: %[[Q:.+]]: tensor<16x2x8xf32>, %[[K:.+]]: tensor<2x16x8xf32>
// CHECK-NOT: linalg.transpose
// CHECK: tamis.contract ins(%[[Q]], %[[K]]
func.func @absorbs_heads_into_a_product(%q: tensor<16x2x8xf32>, %k: tensor<2x16x8xf32>) -> tensor<2x16x16xf32> {
  %te = tensor.empty() : tensor<2x16x8xf32>
  %t = linalg.transpose ins(%q : tensor<16x2x8xf32>) outs(%te : tensor<2x16x8xf32>) permutation = [1, 0, 2]
  %e = tensor.empty() : tensor<2x16x16xf32>
  %s = tamis.contract ins(%t, %k : tensor<2x16x8xf32>, tensor<2x16x8xf32>) outs(%e : tensor<2x16x16xf32>)
    maps [#qk_lhs, #qk_rhs, #qk_out] iterators ["parallel", "parallel", "parallel", "reduction"]
    pad [0, 0, 0] accumulator f32 -> tensor<2x16x16xf32>
  return %s : tensor<2x16x16xf32>
}

// CHECK-LABEL: func.func @keeps_chain_without_convolution
// CHECK: linalg.transpose {{.+}} permutation = [0, 3, 2, 1]
// CHECK: return
func.func @keeps_chain_without_convolution(%x: tensor<1x8x6x6xf32>) -> tensor<1x6x6x8xf32> {
  %te = tensor.empty() : tensor<1x6x6x8xf32>
  %t = linalg.transpose ins(%x : tensor<1x8x6x6xf32>) outs(%te : tensor<1x6x6x8xf32>) permutation = [0, 3, 2, 1]
  return %t : tensor<1x6x6x8xf32>
}

// Flattening mixes the channel with space: the order the model has comes back.
// CHECK-LABEL: func.func @keeps_order_of_flatten
// CHECK: tamis.contract
// CHECK: %[[T:.+]] = linalg.transpose {{.+}} permutation = [0, 3, 1, 2]
// CHECK: tensor.collapse_shape %[[T]]
func.func @keeps_order_of_flatten(%x: tensor<1x8x13x16xf32>, %w: tensor<16x8x3x3xf32>) -> tensor<1x1344xf32> {
  %e = tensor.empty() : tensor<1x16x6x14xf32>
  %y = tamis.contract ins(%x, %w : tensor<1x8x13x16xf32>, tensor<16x8x3x3xf32>) outs(%e : tensor<1x16x6x14xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
    pad [0, 0, 0, 0] accumulator f32 -> tensor<1x16x6x14xf32>
  %c = tensor.collapse_shape %y [[0], [1, 2, 3]] : tensor<1x16x6x14xf32> into tensor<1x1344xf32>
  return %c : tensor<1x1344xf32>
}

// A resize reads its input by computed coordinates from within the body.
// CHECK-LABEL: func.func @gathers_from_within_a_body
// CHECK: %[[Y:.+]] = tamis.contract
// CHECK: linalg.generic
// CHECK-DAG: %[[H:.+]] = linalg.index 1
// CHECK-DAG: %[[C:.+]] = linalg.index 3
// CHECK: tensor.extract %[[Y]][%{{.+}}, %{{.+}}, %[[H]], %[[C]]] : tensor<1x6x14x16xf32>
func.func @gathers_from_within_a_body(%x: tensor<1x8x13x16xf32>, %w: tensor<16x8x3x3xf32>) -> tensor<1x16x14x12xf32> {
  %zero = arith.constant 0 : index
  %two = arith.constant 2 : index
  %e = tensor.empty() : tensor<1x16x6x14xf32>
  %y = tamis.contract ins(%x, %w : tensor<1x8x13x16xf32>, tensor<16x8x3x3xf32>) outs(%e : tensor<1x16x6x14xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
    pad [0, 0, 0, 0] accumulator f32 -> tensor<1x16x6x14xf32>
  %re = tensor.empty() : tensor<1x16x14x12xf32>
  %r = linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} outs(%re : tensor<1x16x14x12xf32>) {
  ^bb0(%o: f32):
    %c = linalg.index 1 : index
    %h = linalg.index 2 : index
    %w2 = linalg.index 3 : index
    %half = arith.divui %w2, %two : index
    %v = tensor.extract %y[%zero, %c, %half, %h] : tensor<1x16x6x14xf32>
    linalg.yield %v : f32
  } -> tensor<1x16x14x12xf32>
  return %r : tensor<1x16x14x12xf32>
}
