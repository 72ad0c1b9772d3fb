// RUN: tamis-opt %s --split-input-file --verify-diagnostics --tamis-prune="pattern=channel protect=false"

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// A softmax over the neurons sees how many there are.
// expected-error @below {{pattern channel: no group of channels can be removed; each is tied to an input, an output, a kept layer or an operation that fixes it}}
module {
  func.func @keeps_normalized_neurons(%x: tensor<2x2xf32>) -> tensor<2x2xf32> {
    %c = arith.constant dense<1.0> : tensor<2x2xf32>
    %w = tamis.observe parameter %c tensor "w" : tensor<2x2xf32>
    %d = arith.constant dense<1.0> : tensor<2x2xf32>
    %v = tamis.observe parameter %d tensor "v" : tensor<2x2xf32>
    %e = tensor.empty() : tensor<2x2xf32>
    %0 = tamis.contract ins(%x, %w : tensor<2x2xf32>, tensor<2x2xf32>) outs(%e : tensor<2x2xf32>) maps [#x, #w, #y]
      iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "w"} -> tensor<2x2xf32>
    %1 = linalg.softmax dimension(1) ins(%0 : tensor<2x2xf32>) outs(%e : tensor<2x2xf32>) -> tensor<2x2xf32>
    %2 = tamis.contract ins(%1, %v : tensor<2x2xf32>, tensor<2x2xf32>) outs(%e : tensor<2x2xf32>) maps [#x, #w, #y]
      iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "v"} -> tensor<2x2xf32>
    return %2 : tensor<2x2xf32>
  }
}
