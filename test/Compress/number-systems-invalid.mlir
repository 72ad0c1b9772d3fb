// RUN: not tamis-opt %s --split-input-file --tamis-quantize 2>&1 | FileCheck %s

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// CHECK: error: weight 'w' holds 1.000000e+05, which is beyond float16
func.func @beyond_half(%a: tensor<1x2xf32>) -> tensor<1x1xf32> {
  %c = arith.constant dense<[[1.0e5], [1.0]]> : tensor<2x1xf32>
  %w = tamis.observe parameter %c tensor "w" {scheme = #tamis.scheme<bits = 16, symmetric = true, system = float16>} : tensor<2x1xf32>
  %e = tensor.empty() : tensor<1x1xf32>
  %p = tamis.contract ins(%a, %w : tensor<1x2xf32>, tensor<2x1xf32>) outs(%e : tensor<1x1xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x1xf32>
  return %p : tensor<1x1xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// CHECK: error: weight 'w' holds a NaN or an infinity
func.func @infinite_codebook(%a: tensor<1x2xf32>) -> tensor<1x1xf32> {
  %c = arith.constant dense<[[0x7F800000], [1.0]]> : tensor<2x1xf32>
  %w = tamis.observe parameter %c tensor "w" {scheme = #tamis.scheme<bits = 4, symmetric = true, system = codebook>} : tensor<2x1xf32>
  %e = tensor.empty() : tensor<1x1xf32>
  %p = tamis.contract ins(%a, %w : tensor<1x2xf32>, tensor<2x1xf32>) outs(%e : tensor<1x1xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x1xf32>
  return %p : tensor<1x1xf32>
}
