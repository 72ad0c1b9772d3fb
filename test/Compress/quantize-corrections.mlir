// RUN: tamis-opt %s --split-input-file --tamis-quantize="gptq=true correct-bias=true weight-method=minmax" | FileCheck %s

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(m, n) -> (m, n)>
#row = affine_map<(m, n) -> (n)>

// GPTQ: both inputs are always equal, so what the first weight loses by
// rounding (1.4 becomes 1) the second makes good for (1.4 becomes 2), as the
// inputs vary around their mean. The zero stays. The mean error left is taken
// off the bias.
// CHECK: decision = "integers", layer = "fc", pass = "quantize", reason = "GPTQ"
// CHECK: decision = "bias corrected"
// CHECK-LABEL: func.func @equal_inputs
func.func @equal_inputs(%a: tensor<1x4xf32>) -> tensor<1x1xf32> {
  // CHECK: arith.constant dense<{{\[\[}}1], [2], [0], [7]]> : tensor<4x1xi8>
  %c = arith.constant dense<[[1.4], [1.4], [0.0], [7.0]]> : tensor<4x1xf32>
  %w = tamis.observe parameter %c tensor "w" {scheme = #tamis.scheme<bits = 4, symmetric = true, axis = 1>} : tensor<4x1xf32>
  // The integers give 3, the floats 2.8; inputs are 5 on average.
  // CHECK: arith.constant dense<{{-1.0|-0.99}}{{.*}}> : tensor<1xf32>
  // CHECK: tensor "b" {tamis.changed}
  %d = arith.constant dense<[0.0]> : tensor<1xf32>
  %b = tamis.observe parameter %d tensor "b" : tensor<1xf32>
  %x = tamis.observe %a tensor "a" {axis = 1 : i64, statistics = {
    gram = dense<[[1000.0, 1000.0, 0.0, 0.0, 50.0], [1000.0, 1000.0, 0.0, 0.0, 50.0], [0.0, 0.0, 1000.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1000.0, 0.0], [50.0, 50.0, 0.0, 0.0, 10.0]]> : tensor<5x5xf32>,
    channel_moments = dense<[[10.0, 10.0, 10.0, 10.0], [50.0, 50.0, 0.0, 0.0], [1000.0, 1000.0, 1000.0, 1000.0]]> : tensor<3x4xf32>}} : tensor<1x4xf32>
  %e = tensor.empty() : tensor<1x1xf32>
  %p = tamis.contract ins(%x, %w : tensor<1x4xf32>, tensor<4x1xf32>) outs(%e : tensor<1x1xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "fc"} -> tensor<1x1xf32>
  %s = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %b : tensor<1x1xf32>, tensor<1xf32>) outs(%e : tensor<1x1xf32>) {
  ^bb0(%l: f32, %r: f32, %out: f32):
    %m = arith.addf %l, %r : f32
    linalg.yield %m : f32
  } -> tensor<1x1xf32>
  return %s : tensor<1x1xf32>
}
