// RUN: not tamis-opt %s --split-input-file --tamis-quantize="method=entropy" 2>&1 | FileCheck %s

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// CHECK: error: weight 'w' holds a NaN or an infinity
func.func @nan_weight(%a: tensor<1x2xf32>) -> tensor<1x1xf32> {
  %c = arith.constant dense<[[0x7FC00000], [1.0]]> : tensor<2x1xf32>
  %w = tamis.observe parameter %c tensor "w" {scheme = #tamis.scheme<bits = 8, symmetric = true>} : tensor<2x1xf32>
  %e = tensor.empty() : tensor<1x1xf32>
  %p = tamis.contract ins(%a, %w : tensor<1x2xf32>, tensor<2x1xf32>) outs(%e : tensor<1x1xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x1xf32>
  return %p : tensor<1x1xf32>
}

// -----

// CHECK: error: tensor 'a': no statistic 'minmax'; calibrate first
func.func @not_calibrated(%a: tensor<2xf32>) -> tensor<2xf32> {
  %x = tamis.observe %a tensor "a" {scheme = #tamis.scheme<bits = 8>} : tensor<2xf32>
  return %x : tensor<2xf32>
}

// -----

// CHECK: error: tensor 'a': statistic 'minmax' holds a NaN or an infinity
func.func @infinite(%a: tensor<2xf32>) -> tensor<2xf32> {
  %x = tamis.observe %a tensor "a" {statistics = {minmax = dense<[0.0, 0x7F800000]> : tensor<2xf32>}, scheme = #tamis.scheme<bits = 8>} : tensor<2xf32>
  return %x : tensor<2xf32>
}

// -----

// CHECK: error: tensor 'a': no element was seen
func.func @empty(%a: tensor<2xf32>) -> tensor<2xf32> {
  %x = tamis.observe %a tensor "a" {statistics = {minmax = dense<[0x7F800000, 0xFF800000]> : tensor<2xf32>}, scheme = #tamis.scheme<bits = 8>} : tensor<2xf32>
  return %x : tensor<2xf32>
}

// -----

// CHECK: error: tensor 'a': statistic 'minmax' expected 2 elements, got 3
func.func @shape(%a: tensor<2xf32>) -> tensor<2xf32> {
  %x = tamis.observe %a tensor "a" {statistics = {minmax = dense<[0.0, 1.0, 2.0]> : tensor<3xf32>}, scheme = #tamis.scheme<bits = 8>} : tensor<2xf32>
  return %x : tensor<2xf32>
}

// -----

// CHECK: error: tensor 'a': no statistic 'histogram'; calibrate first
func.func @no_histogram(%a: tensor<2xf32>) -> tensor<2xf32> {
  %x = tamis.observe %a tensor "a" {statistics = {minmax = dense<[0.0, 1.0]> : tensor<2xf32>}, scheme = #tamis.scheme<bits = 8>} : tensor<2xf32>
  return %x : tensor<2xf32>
}

// -----

// CHECK: error: tensor 'a': statistic 'histogram' expected 32768 i64 elements
func.func @short_histogram(%a: tensor<2xf32>) -> tensor<2xf32> {
  %x = tamis.observe %a tensor "a" {statistics = {minmax = dense<[0.0, 1.0]> : tensor<2xf32>, histogram = dense<1> : tensor<4xi64>}, scheme = #tamis.scheme<bits = 8>} : tensor<2xf32>
  return %x : tensor<2xf32>
}
