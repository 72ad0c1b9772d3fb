// RUN: tamis-opt %s --tamis-recover-grid | FileCheck %s
// RUN: tamis-opt %s --tamis-recover-grid --tamis-recover-grid | FileCheck %s

#l = affine_map<(m, n, k) -> (m, k)>
#r = affine_map<(m, n, k) -> (k, n)>
#o = affine_map<(m, n, k) -> (m, n)>

// CHECK-LABEL: func.func @one_scale
// CHECK-DAG: %[[S:.+]] = arith.constant dense<2.500000e-01> : tensor<f32>
// CHECK-DAG: %[[Q:.+]] = arith.constant dense<{{\[\[}}1, -3], [0, 4], [2, 1]]> : tensor<3x2xi8>
// CHECK: %[[W:.+]] = tamis.dequantize %[[Q]], %[[S]] : tensor<3x2xi8>, tensor<f32> -> tensor<3x2xf32>
// CHECK: tamis.contract ins(%{{.+}}, %[[W]] :
func.func @one_scale(%q: tensor<4x3xi8>) -> tensor<4x2xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %x = tamis.dequantize %q, %s : tensor<4x3xi8>, tensor<f32> -> tensor<4x3xf32>
  %w = arith.constant dense<[[0.25, -0.75], [0.0, 1.0], [0.5, 0.25]]> : tensor<3x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  %y = tamis.contract ins(%x, %w : tensor<4x3xf32>, tensor<3x2xf32>) outs(%e : tensor<4x2xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// Behind a transpose, a scale for each column of the product, which is a row of
// the constant.
// CHECK-LABEL: func.func @scales_of_channels
// CHECK-DAG: %[[S:.+]] = arith.constant dense<[1.000000e-01, 8.123000e-01]> : tensor<2xf32>
// CHECK-DAG: %[[Q:.+]] = arith.constant dense<{{\[\[}}3, -7, 1], [0, 1, 0]]> : tensor<2x3xi8>
// CHECK: %[[W:.+]] = tamis.dequantize %[[Q]], %[[S]] {axis = 0 : i64}
// CHECK: linalg.transpose ins(%[[W]] : tensor<2x3xf32>)
func.func @scales_of_channels(%q: tensor<4x3xi8>) -> tensor<4x2xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %x = tamis.dequantize %q, %s : tensor<4x3xi8>, tensor<f32> -> tensor<4x3xf32>
  %w = arith.constant dense<[[0.3, -0.7, 0.1], [0.0, 0.8123, 0.0]]> : tensor<2x3xf32>
  %f = tensor.empty() : tensor<3x2xf32>
  %t = linalg.transpose ins(%w : tensor<2x3xf32>) outs(%f : tensor<3x2xf32>) permutation = [1, 0]
  %e = tensor.empty() : tensor<4x2xf32>
  %y = tamis.contract ins(%x, %t : tensor<4x3xf32>, tensor<3x2xf32>) outs(%e : tensor<4x2xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// CHECK-LABEL: func.func @off_every_grid
// CHECK: %[[W:.+]] = arith.constant dense<{{.+}}> : tensor<3x2xf32>
// CHECK: tamis.contract ins(%{{.+}}, %[[W]] :
func.func @off_every_grid(%q: tensor<4x3xi8>) -> tensor<4x2xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %x = tamis.dequantize %q, %s : tensor<4x3xi8>, tensor<f32> -> tensor<4x3xf32>
  %w = arith.constant dense<[[0.25, -0.7512], [0.0123, 1.0], [0.51, 0.2577]]> : tensor<3x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  %y = tamis.contract ins(%x, %w : tensor<4x3xf32>, tensor<3x2xf32>) outs(%e : tensor<4x2xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// CHECK-LABEL: func.func @not_finite
// CHECK-NOT: -> tensor<2x1xf32>
// CHECK: return
func.func @not_finite(%q: tensor<4x2xi8>) -> tensor<4x1xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %x = tamis.dequantize %q, %s : tensor<4x2xi8>, tensor<f32> -> tensor<4x2xf32>
  %w = arith.constant dense<[[1.0], [0x7F800000]]> : tensor<2x1xf32>
  %e = tensor.empty() : tensor<4x1xf32>
  %y = tamis.contract ins(%x, %w : tensor<4x2xf32>, tensor<2x1xf32>) outs(%e : tensor<4x1xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x1xf32>
  return %y : tensor<4x1xf32>
}

// CHECK-LABEL: func.func @float_operand
// CHECK-NOT: tamis.dequantize
// CHECK: return
func.func @float_operand(%x: tensor<4x3xf32>) -> tensor<4x2xf32> {
  %w = arith.constant dense<[[0.25, -0.75], [0.0, 1.0], [0.5, 0.25]]> : tensor<3x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  %y = tamis.contract ins(%x, %w : tensor<4x3xf32>, tensor<3x2xf32>) outs(%e : tensor<4x2xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}
