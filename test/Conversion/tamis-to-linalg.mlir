// RUN: tamis-opt %s --tamis-to-linalg | FileCheck %s
// RUN: tamis-opt %s --tamis-to-linalg --tamis-to-linalg | FileCheck %s

#lhs = affine_map<(n, h, w, o, i, j, c) -> (n, h * 2 + i, w * 2 + j, c)>
#rhs = affine_map<(n, h, w, o, i, j, c) -> (i, j, c, o)>
#out = affine_map<(n, h, w, o, i, j, c) -> (n, h, w, o)>
#bias = affine_map<(n, h, w, o, i, j, c) -> (o)>

// The upper padding follows from the output: (7 - 1) * 2 + 2 + 1 - 1 - 14 = 0.
// CHECK-LABEL: func.func @strided_convolution
func.func @strided_convolution(%x: tensor<1x14x14x8xf32>, %w: tensor<3x3x8x4xf32>, %b: tensor<4xf32>) -> tensor<1x7x7x4xf32> {
  %e = tensor.empty() : tensor<1x7x7x4xf32>
  // CHECK: %[[PAD:.+]] = tensor.pad %{{.+}} low[0, 1, 1, 0] high[0, 0, 0, 0]
  // CHECK: tensor<1x14x14x8xf32> to tensor<1x15x15x8xf32>
  // CHECK: %[[SUM:.+]] = linalg.generic
  // CHECK-SAME: ins(%[[PAD]], %{{.+}} : tensor<1x15x15x8xf32>, tensor<3x3x8x4xf32>)
  // CHECK: arith.mulf
  // CHECK: linalg.generic
  // CHECK-SAME: ins(%[[SUM]], %{{.+}} : tensor<1x7x7x4xf32>, tensor<4xf32>)
  // CHECK: arith.addf
  %y = tamis.contract ins(%x, %w : tensor<1x14x14x8xf32>, tensor<3x3x8x4xf32>) extras(%b : tensor<4xf32>)
    outs(%e : tensor<1x7x7x4xf32>) maps [#lhs, #rhs, #out, #bias]
    iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
    pad [0, 1, 1, 0] accumulator f32 epilogue {
  ^bb0(%acc: f32, %v: f32):
    %r = arith.addf %acc, %v : f32
    tamis.yield %r : f32
  } -> tensor<1x7x7x4xf32>
  return %y : tensor<1x7x7x4xf32>
}

// Weights of few bits stand for their value, by their own sign.
// CHECK-LABEL: func.func @floats_by_bytes
func.func @floats_by_bytes(%a: tensor<4x8xf32>, %b: tensor<8x16xi8>) -> (tensor<4x16xf32>, tensor<4x16xf32>) {
  %e = tensor.empty() : tensor<4x16xf32>
  // CHECK: arith.uitofp %{{.+}} : i8 to f32
  // CHECK: arith.mulf
  %c = tamis.contract ins(%a, %b : tensor<4x8xf32>, tensor<8x16xi8>) outs(%e : tensor<4x16xf32>)
    maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {rhs_unsigned} -> tensor<4x16xf32>
  // CHECK: arith.sitofp %{{.+}} : i8 to f32
  // CHECK: arith.mulf
  %d = tamis.contract ins(%a, %b : tensor<4x8xf32>, tensor<8x16xi8>) outs(%e : tensor<4x16xf32>)
    maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x16xf32>
  return %c, %d : tensor<4x16xf32>, tensor<4x16xf32>
}

// Zero points are subtracted in the accumulator type, each by its own sign.
// CHECK-LABEL: func.func @zero_points
func.func @zero_points(%a: tensor<4x8xi8>, %b: tensor<8x16xi8>, %za: i8, %zb: i8) -> tensor<4x16xi32> {
  %e = tensor.empty() : tensor<4x16xi32>
  // CHECK: arith.extui %{{.+}} : i8 to i32
  // CHECK: arith.subi
  // CHECK: arith.extsi %{{.+}} : i8 to i32
  // CHECK: arith.subi
  // CHECK: arith.muli
  // CHECK: arith.addi
  %c = tamis.contract ins(%a, %b : tensor<4x8xi8>, tensor<8x16xi8>) lhs_zero(%za : i8) rhs_zero(%zb : i8)
    outs(%e : tensor<4x16xi32>)
    maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 {lhs_unsigned} -> tensor<4x16xi32>
  return %c : tensor<4x16xi32>
}

// CHECK-LABEL: func.func @leaves_buffers
func.func @leaves_buffers(%a: memref<4x8xf32>, %b: memref<8x16xf32>, %c: memref<4x16xf32>) {
  // CHECK: tamis.contract
  tamis.contract ins(%a, %b : memref<4x8xf32>, memref<8x16xf32>) outs(%c : memref<4x16xf32>)
    maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32
  return
}
