// RUN: tamis-opt %s --tamis-select-pruning="pattern=2:4 criterion=wanda" | FileCheck %s
// RUN: tamis-opt %s --tamis-select-pruning="pattern=2:4 criterion=wanda" --tamis-select-pruning="pattern=2:4 criterion=wanda" | FileCheck %s
// RUN: tamis-opt %s --tamis-select-pruning="criterion=sparsegpt" | FileCheck %s --check-prefix=GRAM
// RUN: tamis-opt %s --tamis-select-pruning="criterion=activation" | FileCheck %s --check-prefix=NEURONS
// RUN: tamis-opt %s --tamis-select-pruning="sparsity=0.9 include=w_middle" --tamis-select-pruning="include=w_second protect=false" \
// RUN:   | FileCheck %s --check-prefix=MIXED

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// CHECK: decision = "keep", layer = "first"
// CHECK-SAME: reason = "the first layer reads the inputs"
// CHECK-SAME: criterion = "wanda", decision = "prune", layer = "middle"
// CHECK-SAME: pattern = "2:4"
// CHECK-SAME: pattern_before = "channel"
// CHECK-SAME: decision = "keep", layer = "small"
// CHECK-SAME: reason = "fewer than 1024 weights"
// CHECK-SAME: decision = "keep", layer = "last"
// CHECK-SAME: reason = "the last layer gives the outputs"
// CHECK-LABEL: func.func @chain
// GRAM-LABEL: func.func @chain
// NEURONS-LABEL: func.func @chain
// MIXED-LABEL: func.func @chain
func.func @chain(%x: tensor<2x32xf32>) -> tensor<2x32xf32> {
  %c1 = arith.constant dense<1.0> : tensor<32x32xf32>
  // CHECK: tensor "w_first" : tensor
  %w1 = tamis.observe parameter %c1 tensor "w_first" : tensor<32x32xf32>
  %c2 = arith.constant dense<0.0> : tensor<32x32xf32>
  // CHECK: tensor "w_middle" {tamis.pruning = {criterion = "wanda", pattern = "2:4", scope = "local", seed = 0 : i64, sparsity = 5.000000e-01 : f64}}
  // GRAM: tensor "w_middle" {tamis.pruning = {criterion = "sparsegpt"
  // MIXED: tensor "w_middle" {tamis.pruning = {{.*}}sparsity = 9.000000e-01
  %w2 = tamis.observe parameter %c2 tensor "w_middle" : tensor<32x32xf32>
  // CHECK: tensor "w_second" : tensor
  // MIXED: tensor "w_second" {tamis.pruning = {{.*}}sparsity = 5.000000e-01
  %c3 = arith.constant dense<1.0> : tensor<32x31xf32>
  %w3 = tamis.observe parameter %c3 tensor "w_second" : tensor<32x31xf32>
  %c4 = arith.constant dense<1.0> : tensor<31x32xf32>
  %w4 = tamis.observe parameter %c4 tensor "w_last" : tensor<31x32xf32>
  %e = tensor.empty() : tensor<2x32xf32>
  %0 = tamis.contract ins(%x, %w1 : tensor<2x32xf32>, tensor<32x32xf32>) outs(%e : tensor<2x32xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "first"} -> tensor<2x32xf32>
  // CHECK: tensor "a" {axis = 1 : i64, collect = ["channel_moments"]}
  // GRAM: tensor "a" {axis = 1 : i64, collect = ["gram"]}
  %1 = tamis.observe %0 tensor "a" : tensor<2x32xf32>
  %2 = tamis.contract ins(%1, %w2 : tensor<2x32xf32>, tensor<32x32xf32>) outs(%e : tensor<2x32xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "middle"} -> tensor<2x32xf32>
  // The neuron is what the activation function leaves.
  // NEURONS: tensor "b" : tensor
  %3 = tamis.observe %2 tensor "b" : tensor<2x32xf32>
  %4 = linalg.exp ins(%3 : tensor<2x32xf32>) outs(%e : tensor<2x32xf32>) -> tensor<2x32xf32>
  // CHECK: tensor "c" : tensor
  // NEURONS: tensor "c" {axis = 1 : i64, collect = ["channel_magnitudes"]}
  %5 = tamis.observe %4 tensor "c" : tensor<2x32xf32>
  %f = tensor.empty() : tensor<2x31xf32>
  %6 = tamis.contract ins(%5, %w3 : tensor<2x32xf32>, tensor<32x31xf32>) outs(%f : tensor<2x31xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "small"} -> tensor<2x31xf32>
  %7 = tamis.observe %6 tensor "d" : tensor<2x31xf32>
  %8 = tamis.contract ins(%7, %w4 : tensor<2x31xf32>, tensor<31x32xf32>) outs(%e : tensor<2x32xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "last"} -> tensor<2x32xf32>
  return %8 : tensor<2x32xf32>
}
