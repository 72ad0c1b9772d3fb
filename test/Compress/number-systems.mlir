// RUN: tamis-opt %s --split-input-file --tamis-quantize | FileCheck %s

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// Four clusters of six weights; codes count them upwards.
// CHECK-LABEL: func.func @clusters
// CHECK-DAG: %[[C:.+]] = arith.constant dense<[-3.200000e+00, -3.000000e+00, 1.100000e+00, 5.100000e+00]> : tensor<4xf32>
// CHECK-DAG: %[[Q:.+]] = arith.constant dense<{{\[\[}}2, 2, 3], [1, 3, 0]]> : tensor<2x3xi8>
// CHECK: %[[W:.+]] = tamis.decode %[[Q]] codebook(%[[C]] : tensor<4xf32>) {origin = "w", tamis.bits = 2 : i64} : tensor<2x3xi8> -> tensor<2x3xf32>
// CHECK: tamis.contract ins(%{{.+}}, %[[W]]
func.func @clusters(%a: tensor<1x2xf32>) -> tensor<1x3xf32> {
  %c = arith.constant dense<[[1.0, 1.2, 5.0], [-3.0, 5.2, -3.2]]> : tensor<2x3xf32>
  %w = tamis.observe parameter %c tensor "w" {scheme = #tamis.scheme<bits = 2, symmetric = true, system = codebook>} : tensor<2x3xf32>
  %e = tensor.empty() : tensor<1x3xf32>
  %p = tamis.contract ins(%a, %w : tensor<1x2xf32>, tensor<2x3xf32>) outs(%e : tensor<1x3xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x3xf32>
  return %p : tensor<1x3xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// Zero is a cluster whose centre does not move.
// CHECK-LABEL: func.func @zeros_stay
// CHECK-DAG: arith.constant dense<[0.000000e+00, 5.100000e+00]> : tensor<2xf32>
// CHECK-DAG: arith.constant dense<{{\[\[}}0, 0, 1], [0, 1, 0]]> : tensor<2x3xi8>
func.func @zeros_stay(%a: tensor<1x2xf32>) -> tensor<1x3xf32> {
  %c = arith.constant dense<[[0.0, 0.1, 5.0], [0.0, 5.2, 0.2]]> : tensor<2x3xf32>
  %w = tamis.observe parameter %c tensor "w" {scheme = #tamis.scheme<bits = 1, symmetric = true, system = codebook>} : tensor<2x3xf32>
  %e = tensor.empty() : tensor<1x3xf32>
  %p = tamis.contract ins(%a, %w : tensor<1x2xf32>, tensor<2x3xf32>) outs(%e : tensor<1x3xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x3xf32>
  return %p : tensor<1x3xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// As many values as the codebook has room for stay as they are.
// CHECK-LABEL: func.func @few_values_are_exact
// CHECK: arith.constant dense<[1.000000e-01, 3.000000e+00]> : tensor<2xf32>
func.func @few_values_are_exact(%a: tensor<1x2xf32>) -> tensor<1x2xf32> {
  %c = arith.constant dense<[[3.0, 0.1], [0.1, 3.0]]> : tensor<2x2xf32>
  %w = tamis.observe parameter %c tensor "w" {scheme = #tamis.scheme<bits = 4, symmetric = true, system = codebook>} : tensor<2x2xf32>
  %e = tensor.empty() : tensor<1x2xf32>
  %p = tamis.contract ins(%a, %w : tensor<1x2xf32>, tensor<2x2xf32>) outs(%e : tensor<1x2xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x2xf32>
  return %p : tensor<1x2xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// One codebook, in units of each channel's root mean square.
// CHECK-LABEL: func.func @clusters_of_channels
// CHECK-DAG: %[[C:.+]] = arith.constant dense<[-1.000000e+00, 0.000000e+00, 1.000000e+00]> : tensor<3xf32>
// CHECK-DAG: %[[S:.+]] = arith.constant dense<[1.000000e+00, 1.000000e+02]> : tensor<2xf32>
// CHECK-DAG: %[[Q:.+]] = arith.constant dense<{{\[\[}}2, 2], [0, 2], [2, 1]]> : tensor<3x2xi8>
// CHECK: tamis.decode %[[Q]] codebook(%[[C]] : tensor<3xf32>) scale(%[[S]] : tensor<2xf32>) {axis = 1 : i64
func.func @clusters_of_channels(%a: tensor<1x3xf32>) -> tensor<1x2xf32> {
  %c = arith.constant dense<[[1.0, 100.0], [-1.0, 100.0], [1.0, 0.0]]> : tensor<3x2xf32>
  %w = tamis.observe parameter %c tensor "w" {scheme = #tamis.scheme<bits = 2, symmetric = true, axis = 1, system = codebook>} : tensor<3x2xf32>
  %e = tensor.empty() : tensor<1x2xf32>
  %p = tamis.contract ins(%a, %w : tensor<1x3xf32>, tensor<3x2xf32>) outs(%e : tensor<1x2xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x2xf32>
  return %p : tensor<1x2xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// Zero and three powers of two of each sign.
// CHECK-LABEL: func.func @powers_of_two
// CHECK-DAG: arith.constant dense<[0.000000e+00, 4.000000e+00, 2.000000e+00, 1.000000e+00, 0.000000e+00, -4.000000e+00, -2.000000e+00, -1.000000e+00]> : tensor<8xf32>
// CHECK-DAG: arith.constant dense<{{\[\[}}1, 6], [0, 0]]> : tensor<2x2xi8>
// CHECK: tamis.decode {{.+}} {origin = "w", tamis.bits = 3 : i64}
func.func @powers_of_two(%a: tensor<1x2xf32>) -> tensor<1x2xf32> {
  %c = arith.constant dense<[[4.0, -1.9], [0.26, 0.0]]> : tensor<2x2xf32>
  %w = tamis.observe parameter %c tensor "w" {scheme = #tamis.scheme<bits = 3, symmetric = true, system = power_of_two>} : tensor<2x2xf32>
  %e = tensor.empty() : tensor<1x2xf32>
  %p = tamis.contract ins(%a, %w : tensor<1x2xf32>, tensor<2x2xf32>) outs(%e : tensor<1x2xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x2xf32>
  return %p : tensor<1x2xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// The largest weight is the largest float; 17 is between 16 and 18, and the even code wins.
// CHECK-LABEL: func.func @float8
// CHECK-DAG: arith.constant dense<{{\[\[}}126, -72], [0, 88]]> : tensor<2x2xi8>
// CHECK-DAG: %[[S:.+]] = arith.constant dense<1.000000e+00> : tensor<f32>
// CHECK: tamis.decode {{.+}} scale(%[[S]] : tensor<f32>) {format = "float8_e4m3fn", origin = "w"}
func.func @float8(%a: tensor<1x2xf32>) -> tensor<1x2xf32> {
  %c = arith.constant dense<[[448.0, -1.0], [0.0, 17.0]]> : tensor<2x2xf32>
  %w = tamis.observe parameter %c tensor "w" {scheme = #tamis.scheme<bits = 8, symmetric = true, system = float8_e4m3fn>} : tensor<2x2xf32>
  %e = tensor.empty() : tensor<1x2xf32>
  %p = tamis.contract ins(%a, %w : tensor<1x2xf32>, tensor<2x2xf32>) outs(%e : tensor<1x2xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x2xf32>
  return %p : tensor<1x2xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// float16 needs neither codebook nor scale.
// CHECK-LABEL: func.func @half
// CHECK: %[[H:.+]] = arith.constant dense<{{\[\[}}1.000000e+00, -2.000000e+00], [0.000000e+00, 9.997550e-02]]> : tensor<2x2xf16>
// CHECK: tamis.decode %[[H]] {origin = "w"} : tensor<2x2xf16> -> tensor<2x2xf32>
func.func @half(%a: tensor<1x2xf32>) -> tensor<1x2xf32> {
  %c = arith.constant dense<[[1.0, -2.0], [0.0, 0.1]]> : tensor<2x2xf32>
  %w = tamis.observe parameter %c tensor "w" {scheme = #tamis.scheme<bits = 16, symmetric = true, system = float16>} : tensor<2x2xf32>
  %e = tensor.empty() : tensor<1x2xf32>
  %p = tamis.contract ins(%a, %w : tensor<1x2xf32>, tensor<2x2xf32>) outs(%e : tensor<1x2xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x2xf32>
  return %p : tensor<1x2xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// The least power of two that covers the weights.
// CHECK-LABEL: func.func @fixed_point
// CHECK-DAG: arith.constant dense<7.812500e-03> : tensor<f32>
// CHECK-DAG: arith.constant dense<{{\[\[}}115, -38], [0, 13]]> : tensor<2x2xi8>
// CHECK: tamis.dequantize
func.func @fixed_point(%a: tensor<1x2xf32>) -> tensor<1x2xf32> {
  %c = arith.constant dense<[[0.9, -0.3], [0.0, 0.1]]> : tensor<2x2xf32>
  %w = tamis.observe parameter %c tensor "w" {scheme = #tamis.scheme<bits = 8, symmetric = true, system = fixed_point>} : tensor<2x2xf32>
  %e = tensor.empty() : tensor<1x2xf32>
  %p = tamis.contract ins(%a, %w : tensor<1x2xf32>, tensor<2x2xf32>) outs(%e : tensor<1x2xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x2xf32>
  return %p : tensor<1x2xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// A given fraction; what is beyond it saturates.
// CHECK-LABEL: func.func @fixed_fraction
// CHECK-DAG: arith.constant dense<6.250000e-02> : tensor<f32>
// CHECK-DAG: arith.constant dense<{{\[\[}}7, -5], [0, 2]]> : tensor<2x2xi8>
func.func @fixed_fraction(%a: tensor<1x2xf32>) -> tensor<1x2xf32> {
  %c = arith.constant dense<[[0.9, -0.3], [0.0, 0.1]]> : tensor<2x2xf32>
  %w = tamis.observe parameter %c tensor "w" {scheme = #tamis.scheme<bits = 4, symmetric = true, system = fixed_point, fraction = 4>} : tensor<2x2xf32>
  %e = tensor.empty() : tensor<1x2xf32>
  %p = tamis.contract ins(%a, %w : tensor<1x2xf32>, tensor<2x2xf32>) outs(%e : tensor<1x2xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x2xf32>
  return %p : tensor<1x2xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// More than eight bits take sixteen.
// CHECK-LABEL: func.func @wide_fixed_point
// CHECK: arith.constant dense<{{\[\[}}1843, -614], [0, 205]]> : tensor<2x2xi16>
// CHECK: tamis.dequantize {{.+}} {origin = "w", tamis.bits = 12 : i64} : tensor<2x2xi16>
func.func @wide_fixed_point(%a: tensor<1x2xf32>) -> tensor<1x2xf32> {
  %c = arith.constant dense<[[0.9, -0.3], [0.0, 0.1]]> : tensor<2x2xf32>
  %w = tamis.observe parameter %c tensor "w" {scheme = #tamis.scheme<bits = 12, symmetric = true, system = fixed_point>} : tensor<2x2xf32>
  %e = tensor.empty() : tensor<1x2xf32>
  %p = tamis.contract ins(%a, %w : tensor<1x2xf32>, tensor<2x2xf32>) outs(%e : tensor<1x2xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x2xf32>
  return %p : tensor<1x2xf32>
}
