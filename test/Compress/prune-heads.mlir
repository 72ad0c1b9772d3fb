// RUN: tamis-opt %s --tamis-prune="pattern=head criterion=l1 sparsity=0.5 protect=false" | FileCheck %s
// RUN: tamis-opt %s --tamis-prune="pattern=head criterion=l1 sparsity=0.5 protect=false" --tamis-prune="pattern=head criterion=l1 sparsity=0.5 protect=false" | FileCheck %s
// RUN: tamis-opt %s --tamis-prune="pattern=neuron criterion=l1 sparsity=0.5 protect=false" | FileCheck %s --check-prefix=NEURON

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>
#q = affine_map<(h, m, n, d) -> (m, h, d)>
#k = affine_map<(h, m, n, d) -> (n, h, d)>
#s = affine_map<(h, m, n, d) -> (h, m, n)>

// Two heads of two channels each: both projections and what reads the heads
// lose the first one. What "up" and "down" make are no heads.
// CHECK: decision = "keep channels", layer = "up", {{.*}}reason = "no heads of an attention"
// CHECK: tamis.removed = {parameters = {key = [{axis = 1 : i64, kept = array<i64: 2, 3>}], out = [{axis = 0 : i64, kept = array<i64: 1>}],
// CHECK-SAME: query = [{axis = 1 : i64, kept = array<i64: 2, 3>}]}
// NEURON: decision = "keep channels", layer = "query", {{.*}}reason = "heads of an attention"
// NEURON: tamis.removed = {parameters = {down = [{axis = 0 : i64, kept = array<i64: 1>}, {axis = 1 : i64, kept = array<i64: 1>}],
// NEURON-SAME: key = [{axis = 0 : i64, kept = array<i64: 1>}], query = [{axis = 0 : i64, kept = array<i64: 1>}], up = [{axis = 1 : i64, kept = array<i64: 1>}]}
// CHECK-LABEL: func.func @attention
func.func @attention(%x: tensor<3x2xf32>) -> tensor<3x3xf32> {
  %c0 = arith.constant dense<[[1.0, 2.0], [1.0, 2.0]]> : tensor<2x2xf32>
  %up = tamis.observe parameter %c0 tensor "up" : tensor<2x2xf32>
  %c1 = arith.constant dense<[[1.0, 2.0], [1.0, 2.0]]> : tensor<2x2xf32>
  %down = tamis.observe parameter %c1 tensor "down" : tensor<2x2xf32>
  %c2 = arith.constant dense<[[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]> : tensor<2x4xf32>
  %query = tamis.observe parameter %c2 tensor "query" : tensor<2x4xf32>
  %c3 = arith.constant dense<[[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]> : tensor<2x4xf32>
  %key = tamis.observe parameter %c3 tensor "key" : tensor<2x4xf32>
  %e2 = tensor.empty() : tensor<3x2xf32>
  %e4 = tensor.empty() : tensor<3x4xf32>
  %es = tensor.empty() : tensor<2x3x3xf32>
  %0 = tamis.contract ins(%x, %up : tensor<3x2xf32>, tensor<2x2xf32>) outs(%e2 : tensor<3x2xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "up"} -> tensor<3x2xf32>
  %1 = tamis.contract ins(%0, %down : tensor<3x2xf32>, tensor<2x2xf32>) outs(%e2 : tensor<3x2xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "down"} -> tensor<3x2xf32>
  %2 = tamis.contract ins(%1, %query : tensor<3x2xf32>, tensor<2x4xf32>) outs(%e4 : tensor<3x4xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "query"} -> tensor<3x4xf32>
  %3 = tamis.contract ins(%1, %key : tensor<3x2xf32>, tensor<2x4xf32>) outs(%e4 : tensor<3x4xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "key"} -> tensor<3x4xf32>
  %4 = tensor.expand_shape %2 [[0], [1, 2]] output_shape [3, 2, 2] : tensor<3x4xf32> into tensor<3x2x2xf32>
  %5 = tensor.expand_shape %3 [[0], [1, 2]] output_shape [3, 2, 2] : tensor<3x4xf32> into tensor<3x2x2xf32>
  %6 = tamis.contract ins(%4, %5 : tensor<3x2x2xf32>, tensor<3x2x2xf32>) outs(%es : tensor<2x3x3xf32>) maps [#q, #k, #s]
    iterators ["parallel", "parallel", "parallel", "reduction"] pad [0, 0, 0] accumulator f32 -> tensor<2x3x3xf32>
  // The sum over the heads stands for the projection behind them.
  %em = tensor.empty() : tensor<3x3xf32>
  %w = arith.constant dense<1.0> : tensor<2x1xf32>
  %out = tamis.observe parameter %w tensor "out" : tensor<2x1xf32>
  %7 = tamis.contract ins(%6, %out : tensor<2x3x3xf32>, tensor<2x1xf32>) outs(%em : tensor<3x3xf32>)
    maps [affine_map<(m, n, h, o) -> (h, m, n)>, affine_map<(m, n, h, o) -> (h, o)>, affine_map<(m, n, h, o) -> (m, n)>]
    iterators ["parallel", "parallel", "reduction", "reduction"] pad [0, 0, 0] accumulator f32 {origin = "out"} -> tensor<3x3xf32>
  return %7 : tensor<3x3xf32>
}
