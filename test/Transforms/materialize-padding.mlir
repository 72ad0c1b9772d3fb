// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: tamis-opt %s --tamis-materialize-padding --canonicalize --cse | FileCheck %s
// RUN: tamis-opt %s --tamis-materialize-padding --tamis-materialize-padding --canonicalize --cse | FileCheck %s

#lhs = affine_map<(n, h, w, o, i, j, c) -> (n, h + i, w + j, c)>
#rhs = affine_map<(n, h, w, o, i, j, c) -> (o, c, i, j)>
#out = affine_map<(n, h, w, o, i, j, c) -> (n, h, w, o)>

// The input gets a border of its own; the first product stores into the wider
// of its readers' borders.
// CHECK-LABEL: func.func @producer_writes_between_the_border
// CHECK-SAME: %[[X:.+]]: tensor<1x64x64x8xf32>, %{{.+}}: tensor<8x8x3x3xf32>
// CHECK-COUNT-4: linalg.fill
// CHECK: %[[XP:.+]] = tensor.insert_slice %[[X]] into %{{.+}}[0, 1, 1, 0] [1, 64, 64, 8]
// CHECK: linalg.fill {{.+}} tensor<1x2x68x8xf32>
// CHECK: linalg.fill {{.+}} tensor<1x2x68x8xf32>
// CHECK: linalg.fill {{.+}} tensor<1x64x2x8xf32>
// CHECK: linalg.fill {{.+}} tensor<1x64x2x8xf32>
// CHECK: %[[BORDER:.+]] = tensor.insert_slice
// CHECK: %[[SLOT:.+]] = tensor.extract_slice %[[BORDER]][0, 2, 2, 0] [1, 64, 64, 8]
// CHECK: %[[Y:.+]] = tamis.contract ins(%[[XP]], {{.+}} outs(%[[SLOT]] : {{.+}} pad [0, 0, 0, 0]
// CHECK: %[[WIDE:.+]] = tensor.insert_slice %[[Y]] into %[[BORDER]][0, 2, 2, 0]
// CHECK: %[[NARROW:.+]] = tensor.extract_slice %[[WIDE]][0, 1, 1, 0] [1, 66, 66, 8]
// CHECK: tamis.contract ins(%[[NARROW]],
// CHECK: tamis.contract ins(%[[WIDE]],
func.func @producer_writes_between_the_border(%x: tensor<1x64x64x8xf32>, %w: tensor<8x8x3x3xf32>, %v: tensor<8x8x5x5xf32>) -> (tensor<1x64x64x8xf32>, tensor<1x64x64x8xf32>) {
  %e = tensor.empty() : tensor<1x64x64x8xf32>
  %y = tamis.contract ins(%x, %w : tensor<1x64x64x8xf32>, tensor<8x8x3x3xf32>) outs(%e : tensor<1x64x64x8xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
    pad [0, 1, 1, 0] accumulator f32 -> tensor<1x64x64x8xf32>
  %a = tamis.contract ins(%y, %w : tensor<1x64x64x8xf32>, tensor<8x8x3x3xf32>) outs(%e : tensor<1x64x64x8xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
    pad [0, 1, 1, 0] accumulator f32 -> tensor<1x64x64x8xf32>
  %b = tamis.contract ins(%y, %v : tensor<1x64x64x8xf32>, tensor<8x8x5x5xf32>) outs(%e : tensor<1x64x64x8xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
    pad [0, 2, 2, 0] accumulator f32 -> tensor<1x64x64x8xf32>
  return %a, %b : tensor<1x64x64x8xf32>, tensor<1x64x64x8xf32>
}

// Real zero is the zero point; what the result needs below follows from its
// size.
// CHECK-LABEL: func.func @open_size_and_zero_point
// CHECK-SAME: %[[X:.+]]: tensor<1x?x64x8xi8>, %[[Z:.+]]: i32
// CHECK: %[[H:.+]] = tensor.dim %[[X]]
// CHECK: affine.max #{{.+}}()[%{{.+}}, %[[H]]]
// CHECK-COUNT-4: linalg.fill ins(%{{.+}} : i8)
// CHECK: tensor.insert_slice %[[X]] into %{{.+}}[0, 1, 1, 0] [1, %[[H]], 64, 8]
func.func @open_size_and_zero_point(%x: tensor<1x?x64x8xi8>, %z: i32, %w: tensor<8x8x3x3xi8>, %h: index) -> tensor<1x?x64x8xi32> {
  %e = tensor.empty(%h) : tensor<1x?x64x8xi32>
  %y = tamis.contract ins(%x, %w : tensor<1x?x64x8xi8>, tensor<8x8x3x3xi8>) lhs_zero(%z : i32) outs(%e : tensor<1x?x64x8xi32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
    pad [0, 1, 1, 0] accumulator i32 -> tensor<1x?x64x8xi32>
  return %y : tensor<1x?x64x8xi32>
}

// A small buffer is filled at once, and the pad before it is part of it.
// CHECK-LABEL: func.func @merges_pads_of_small_image
// CHECK-SAME: %[[X:.+]]: tensor<1x4x4x8xf32>
// CHECK-COUNT-1: linalg.fill {{.+}} tensor<1x8x8x8xf32>
// CHECK: tensor.insert_slice %[[X]] into %{{.+}}[0, 2, 2, 0] [1, 4, 4, 8]
// CHECK-NOT: linalg.fill
// CHECK: return
func.func @merges_pads_of_small_image(%x: tensor<1x4x4x8xf32>, %w: tensor<8x8x3x3xf32>) -> tensor<1x6x6x8xf32> {
  %zero = arith.constant 0.0 : f32
  %p = tensor.pad %x low[0, 1, 1, 0] high[0, 1, 1, 0] {
  ^bb0(%a: index, %b: index, %c: index, %d: index):
    tensor.yield %zero : f32
  } : tensor<1x4x4x8xf32> to tensor<1x6x6x8xf32>
  %e = tensor.empty() : tensor<1x6x6x8xf32>
  %y = tamis.contract ins(%p, %w : tensor<1x6x6x8xf32>, tensor<8x8x3x3xf32>) outs(%e : tensor<1x6x6x8xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
    pad [0, 1, 1, 0] accumulator f32 -> tensor<1x6x6x8xf32>
  return %y : tensor<1x6x6x8xf32>
}

// CHECK-LABEL: func.func @keeps_product_inside_its_operand
// CHECK-NOT: tensor.empty() : tensor<1x66
// CHECK: tamis.contract
func.func @keeps_product_inside_its_operand(%x: tensor<1x66x66x8xf32>, %w: tensor<8x8x3x3xf32>) -> tensor<1x64x64x8xf32> {
  %e = tensor.empty() : tensor<1x64x64x8xf32>
  %y = tamis.contract ins(%x, %w : tensor<1x66x66x8xf32>, tensor<8x8x3x3xf32>) outs(%e : tensor<1x64x64x8xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
    pad [0, 0, 0, 0] accumulator f32 -> tensor<1x64x64x8xf32>
  return %y : tensor<1x64x64x8xf32>
}

// CHECK-LABEL: func.func @keeps_negative_pad
// CHECK: tensor.pad
func.func @keeps_negative_pad(%x: tensor<4x4xf32>) -> tensor<5x4xf32> {
  %zero = arith.constant 0.0 : f32
  %p = tensor.pad %x low[-1, 0] high[2, 0] {
  ^bb0(%a: index, %b: index):
    tensor.yield %zero : f32
  } : tensor<4x4xf32> to tensor<5x4xf32>
  return %p : tensor<5x4xf32>
}

// The inner pad is gone when the outer one asks for its source.
// CHECK-LABEL: func.func @pads_a_padded_value
// CHECK: %[[INNER:.+]] = tensor.insert_slice %{{.+}} into %{{.+}}[1, 0]
// CHECK: tensor.insert_slice %[[INNER]] into %{{.+}}[0, 2]
func.func @pads_a_padded_value(%x: tensor<4x4xf32>) -> tensor<5x6xf32> {
  %one = arith.constant 1.0 : f32
  %zero = arith.constant 0.0 : f32
  %p = tensor.pad %x low[1, 0] high[0, 0] {
  ^bb0(%a: index, %b: index):
    tensor.yield %one : f32
  } : tensor<4x4xf32> to tensor<5x4xf32>
  %q = tensor.pad %p low[0, 2] high[0, 0] {
  ^bb0(%a: index, %b: index):
    tensor.yield %zero : f32
  } : tensor<5x4xf32> to tensor<5x6xf32>
  return %q : tensor<5x6xf32>
}
