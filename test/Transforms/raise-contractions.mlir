// RUN: tamis-opt %s --tamis-raise-contractions | FileCheck %s
// RUN: tamis-opt %s --tamis-raise-contractions --tamis-raise-contractions | FileCheck %s

// CHECK-LABEL: func.func @matmul
// CHECK: %[[C:.+]] = tamis.contract ins(%{{.+}}, %{{.+}} : tensor<4x8xf32>, tensor<8x16xf32>)
// CHECK-SAME: iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32
// CHECK: return %[[C]]
func.func @matmul(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>) -> tensor<4x16xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x16xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<4x16xf32>) -> tensor<4x16xf32>
  %c = linalg.matmul ins(%a, %b : tensor<4x8xf32>, tensor<8x16xf32>) outs(%f : tensor<4x16xf32>) -> tensor<4x16xf32>
  return %c : tensor<4x16xf32>
}

// CHECK-LABEL: func.func @adds_what_was_there
// CHECK: %[[C:.+]] = tamis.contract
// CHECK: linalg.generic {{.*}} ins(%[[C]], %{{.+}} : tensor<4x16xi32>, tensor<4x16xi32>)
func.func @adds_what_was_there(%a: tensor<4x8xi8>, %b: tensor<8x16xi8>, %c: tensor<4x16xi32>) -> tensor<4x16xi32> {
  %r = linalg.matmul ins(%a, %b : tensor<4x8xi8>, tensor<8x16xi8>) outs(%c : tensor<4x16xi32>) -> tensor<4x16xi32>
  return %r : tensor<4x16xi32>
}

// CHECK-LABEL: func.func @convolution
// CHECK: tamis.contract ins(%{{.+}}, %{{.+}} : tensor<1x16x16x4xf32>, tensor<3x3x4x8xf32>)
func.func @convolution(%x: tensor<1x16x16x4xf32>, %w: tensor<3x3x4x8xf32>) -> tensor<1x7x7x8xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x7x7x8xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<1x7x7x8xf32>) -> tensor<1x7x7x8xf32>
  %y = linalg.conv_2d_nhwc_hwcf {strides = dense<2> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
    ins(%x, %w : tensor<1x16x16x4xf32>, tensor<3x3x4x8xf32>) outs(%f : tensor<1x7x7x8xf32>) -> tensor<1x7x7x8xf32>
  return %y : tensor<1x7x7x8xf32>
}

// CHECK-LABEL: func.func @keeps_other_bodies
// CHECK-NOT: tamis.contract
func.func @keeps_other_bodies(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>, %c: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %r = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>],
      iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : tensor<4x8xf32>, tensor<8x16xf32>) outs(%c : tensor<4x16xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %p = arith.addf %x, %y : f32
    %s = arith.maximumf %z, %p : f32
    linalg.yield %s : f32
  } -> tensor<4x16xf32>
  return %r : tensor<4x16xf32>
}

// CHECK-LABEL: func.func @zero_points
// CHECK-DAG: %[[A:.+]] = arith.constant -3 : i8
// CHECK-DAG: %[[B:.+]] = arith.constant 2 : i8
// CHECK: tamis.contract ins(%{{.+}}, %{{.+}} : tensor<4x8xi8>, tensor<8x16xi8>) lhs_zero(%[[A]] : i8) rhs_zero(%[[B]] : i8)
// CHECK-SAME: accumulator i32
func.func @zero_points(%a: tensor<4x8xi8>, %b: tensor<8x16xi8>) -> tensor<4x16xi32> {
  %az = arith.constant -3 : i32
  %bz = arith.constant 2 : i32
  %zero = arith.constant 0 : i32
  %e = tensor.empty() : tensor<4x16xi32>
  %f = linalg.fill ins(%zero : i32) outs(%e : tensor<4x16xi32>) -> tensor<4x16xi32>
  %c = linalg.quantized_matmul ins(%a, %b, %az, %bz : tensor<4x8xi8>, tensor<8x16xi8>, i32, i32) outs(%f : tensor<4x16xi32>)
    -> tensor<4x16xi32>
  return %c : tensor<4x16xi32>
}

// CHECK-LABEL: func.func @zero_point_not_constant
// CHECK-NOT: tamis.contract
// CHECK: linalg.quantized_matmul
func.func @zero_point_not_constant(%a: tensor<4x8xi8>, %b: tensor<8x16xi8>, %az: i32, %e: tensor<4x16xi32>) -> tensor<4x16xi32> {
  %bz = arith.constant 2 : i32
  %c = linalg.quantized_matmul ins(%a, %b, %az, %bz : tensor<4x8xi8>, tensor<8x16xi8>, i32, i32) outs(%e : tensor<4x16xi32>)
    -> tensor<4x16xi32>
  return %c : tensor<4x16xi32>
}

// CHECK-LABEL: func.func @zero_point_outside_the_type
// CHECK-NOT: tamis.contract
// CHECK: linalg.quantized_matmul
func.func @zero_point_outside_the_type(%a: tensor<4x8xi8>, %b: tensor<8x16xi8>, %e: tensor<4x16xi32>) -> tensor<4x16xi32> {
  %az = arith.constant 128 : i32
  %bz = arith.constant 0 : i32
  %c = linalg.quantized_matmul ins(%a, %b, %az, %bz : tensor<4x8xi8>, tensor<8x16xi8>, i32, i32) outs(%e : tensor<4x16xi32>)
    -> tensor<4x16xi32>
  return %c : tensor<4x16xi32>
}
