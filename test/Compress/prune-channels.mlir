// RUN: tamis-opt %s --split-input-file --tamis-prune="pattern=channel criterion=l1 sparsity=0.5" | FileCheck %s
// RUN: tamis-opt %s --split-input-file --tamis-prune="pattern=channel criterion=l1 sparsity=0.5" --tamis-prune="pattern=channel criterion=l1 sparsity=0.5" | FileCheck %s

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// A neuron goes with its bias and with what reads it; of the two weights that
// make it the addition ties, the sum of scores counts.
// CHECK: tamis.removed = {parameters = {a = [{axis = 1 : i64, kept = array<i64: 1>}], b = [{axis = 1 : i64, kept = array<i64: 1>}],
// CHECK-SAME: bias = [{axis = 0 : i64, kept = array<i64: 1>}], last = [{axis = 0 : i64, kept = array<i64: 1>}]},
// CHECK-SAME: tensors = {made = [{axis = 1 : i64, size = 1 : i64}], sum = [{axis = 1 : i64, size = 1 : i64}]}}
// CHECK-LABEL: func.func @residual
func.func @residual(%x: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %c0 = arith.constant dense<1.0> : tensor<2x2xf32>
  %w0 = tamis.observe parameter %c0 tensor "first" : tensor<2x2xf32>
  // CHECK: dense<{{\[}}[0.000000e+00, 2.000000e+00], [0.000000e+00, 4.000000e+00]]>
  // CHECK: tensor "a" {tamis.changed}
  %c1 = arith.constant dense<[[3.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %w1 = tamis.observe parameter %c1 tensor "a" : tensor<2x2xf32>
  // CHECK: dense<{{\[}}[0.000000e+00, 2.000000e+00], [0.000000e+00, 2.000000e+00]]>
  // CHECK: tensor "b" {tamis.changed}
  %c2 = arith.constant dense<[[1.0, 2.0], [1.0, 2.0]]> : tensor<2x2xf32>
  %w2 = tamis.observe parameter %c2 tensor "b" : tensor<2x2xf32>
  // CHECK: dense<[0.000000e+00, 6.000000e+00]>
  %c3 = arith.constant dense<[5.0, 6.0]> : tensor<2xf32>
  %bias = tamis.observe parameter %c3 tensor "bias" : tensor<2xf32>
  // CHECK: dense<{{\[}}[0.000000e+00, 0.000000e+00], [9.000000e+00, 1.000000e+01]]>
  %c4 = arith.constant dense<[[7.0, 8.0], [9.0, 10.0]]> : tensor<2x2xf32>
  %w4 = tamis.observe parameter %c4 tensor "last" : tensor<2x2xf32>
  %e = tensor.empty() : tensor<2x2xf32>
  %0 = tamis.contract ins(%x, %w0 : tensor<2x2xf32>, tensor<2x2xf32>) outs(%e : tensor<2x2xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<2x2xf32>
  %1 = tamis.observe %0 tensor "hidden" : tensor<2x2xf32>
  %2 = tamis.contract ins(%1, %w1 : tensor<2x2xf32>, tensor<2x2xf32>) outs(%e : tensor<2x2xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<2x2xf32>
  %3 = tamis.observe %2 tensor "made" : tensor<2x2xf32>
  %4 = tamis.contract ins(%1, %w2 : tensor<2x2xf32>, tensor<2x2xf32>) outs(%e : tensor<2x2xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<2x2xf32>
  %5 = linalg.generic {indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (n)>,
    affine_map<(m, n) -> (m, n)>], iterator_types = ["parallel", "parallel"]} ins(%3, %4, %bias : tensor<2x2xf32>, tensor<2x2xf32>, tensor<2xf32>)
    outs(%e : tensor<2x2xf32>) {
  ^bb0(%p: f32, %q: f32, %r: f32, %out: f32):
    %s = arith.addf %p, %q : f32
    %t = arith.addf %s, %r : f32
    linalg.yield %t : f32
  } -> tensor<2x2xf32>
  %6 = tamis.observe %5 tensor "sum" : tensor<2x2xf32>
  %7 = tamis.contract ins(%6, %w4 : tensor<2x2xf32>, tensor<2x2xf32>) outs(%e : tensor<2x2xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<2x2xf32>
  return %7 : tensor<2x2xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// The second source of a concatenation begins where the first ends.
// CHECK: tamis.removed = {parameters = {a = [{axis = 1 : i64, kept = array<i64: 1>}], last = [{axis = 0 : i64, kept = array<i64: 1, 2>}], tail = [{axis = 1 : i64, kept = array<i64: 0>}]}
// CHECK-LABEL: func.func @concatenation
func.func @concatenation(%x: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %c0 = arith.constant dense<1.0> : tensor<2x2xf32>
  %w0 = tamis.observe parameter %c0 tensor "first" : tensor<2x2xf32>
  %c1 = arith.constant dense<[[1.0, 2.0], [1.0, 2.0]]> : tensor<2x2xf32>
  %w1 = tamis.observe parameter %c1 tensor "a" : tensor<2x2xf32>
  %c2 = arith.constant dense<[[2.0, 1.0], [2.0, 1.0]]> : tensor<2x2xf32>
  %w2 = tamis.observe parameter %c2 tensor "tail" : tensor<2x2xf32>
  %c4 = arith.constant dense<1.0> : tensor<4x2xf32>
  %w4 = tamis.observe parameter %c4 tensor "last" : tensor<4x2xf32>
  %e = tensor.empty() : tensor<2x2xf32>
  %0 = tamis.contract ins(%x, %w0 : tensor<2x2xf32>, tensor<2x2xf32>) outs(%e : tensor<2x2xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<2x2xf32>
  %1 = tamis.observe %0 tensor "hidden" : tensor<2x2xf32>
  %2 = tamis.contract ins(%1, %w1 : tensor<2x2xf32>, tensor<2x2xf32>) outs(%e : tensor<2x2xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<2x2xf32>
  %3 = tamis.contract ins(%1, %w2 : tensor<2x2xf32>, tensor<2x2xf32>) outs(%e : tensor<2x2xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<2x2xf32>
  %4 = tensor.concat dim(1) %2, %3 : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x4xf32>
  %5 = tamis.contract ins(%4, %w4 : tensor<2x4xf32>, tensor<4x2xf32>) outs(%e : tensor<2x2xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<2x2xf32>
  return %5 : tensor<2x2xf32>
}
