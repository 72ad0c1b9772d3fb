// RUN: tamis-opt %s --split-input-file --tamis-order-channels | FileCheck %s
// RUN: tamis-opt %s --split-input-file --tamis-order-channels --tamis-order-channels | FileCheck %s --check-prefix=TWICE

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// One sum reads the even channels, the other the odd ones: two words each,
// one if equal channels are neighbours.
// CHECK: decision = "channels in order", layer = "second", pass = "tamis-order-channels", reason = "2 words of four inputs are left of 4"
// CHECK-LABEL: func.func @neighbours
// TWICE-LABEL: func.func @neighbours
func.func @neighbours(%x: tensor<3x2xf32>) -> tensor<3x2xf32> {
  // CHECK: dense<{{\[}}[1.000000e+00, 3.000000e+00, 5.000000e+00, 7.000000e+00, 2.000000e+00, 4.000000e+00, 6.000000e+00, 8.000000e+00], [1.000000e+01, 3.000000e+01, 5.000000e+01, 7.000000e+01, 2.000000e+01, 4.000000e+01, 6.000000e+01, 8.000000e+01]]>
  // TWICE: dense<{{\[}}[1.000000e+00, 3.000000e+00, 5.000000e+00, 7.000000e+00, 2.000000e+00, 4.000000e+00, 6.000000e+00, 8.000000e+00],
  %c0 = arith.constant dense<[[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0]]> : tensor<2x8xf32>
  // CHECK: tamis.changed
  // CHECK-NOT: statistics
  %v = tamis.observe parameter %c0 tensor "v" : tensor<2x8xf32>
  // CHECK: dense<{{\[}}[1.000000e+00, 0.000000e+00], [3.000000e+00, 0.000000e+00], [5.000000e+00, 0.000000e+00], [7.000000e+00, 0.000000e+00],
  // CHECK-SAME: [0.000000e+00, 2.000000e+00], [0.000000e+00, 4.000000e+00], [0.000000e+00, 6.000000e+00], [0.000000e+00, 8.000000e+00]]>
  %c1 = arith.constant dense<[[1.0, 0.0], [0.0, 2.0], [3.0, 0.0], [0.0, 4.0], [5.0, 0.0], [0.0, 6.0], [7.0, 0.0], [0.0, 8.0]]> : tensor<8x2xf32>
  %w = tamis.observe parameter %c1 tensor "w" : tensor<8x2xf32>
  %e8 = tensor.empty() : tensor<3x8xf32>
  %0 = tamis.contract ins(%x, %v : tensor<3x2xf32>, tensor<2x8xf32>) outs(%e8 : tensor<3x8xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "first"} -> tensor<3x8xf32>
  %1 = tamis.observe %0 tensor "h" {statistics = {channel_absmax = dense<1.0> : tensor<8xf32>}} : tensor<3x8xf32>
  %e = tensor.empty() : tensor<3x2xf32>
  %2 = tamis.contract ins(%1, %w : tensor<3x8xf32>, tensor<8x2xf32>) outs(%e : tensor<3x2xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "second"} -> tensor<3x2xf32>
  return %2 : tensor<3x2xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// The channels are an output too: whoever reads it expects them in order.
// CHECK-LABEL: func.func @seen
// CHECK-NOT: tamis.changed
func.func @seen(%x: tensor<3x2xf32>) -> (tensor<3x2xf32>, tensor<3x8xf32>) {
  %c0 = arith.constant dense<[[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0]]> : tensor<2x8xf32>
  %v = tamis.observe parameter %c0 tensor "v" : tensor<2x8xf32>
  %c1 = arith.constant dense<[[1.0, 0.0], [0.0, 2.0], [3.0, 0.0], [0.0, 4.0], [5.0, 0.0], [0.0, 6.0], [7.0, 0.0], [0.0, 8.0]]> : tensor<8x2xf32>
  %w = tamis.observe parameter %c1 tensor "w" : tensor<8x2xf32>
  %e8 = tensor.empty() : tensor<3x8xf32>
  %0 = tamis.contract ins(%x, %v : tensor<3x2xf32>, tensor<2x8xf32>) outs(%e8 : tensor<3x8xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "first"} -> tensor<3x8xf32>
  %e = tensor.empty() : tensor<3x2xf32>
  %2 = tamis.contract ins(%0, %w : tensor<3x8xf32>, tensor<8x2xf32>) outs(%e : tensor<3x2xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "second"} -> tensor<3x2xf32>
  return %2, %0 : tensor<3x2xf32>, tensor<3x8xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// No word is empty in any order.
// CHECK-LABEL: func.func @dense
// CHECK-NOT: tamis.changed
func.func @dense(%x: tensor<3x2xf32>) -> tensor<3x1xf32> {
  %c0 = arith.constant dense<[[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0]]> : tensor<2x8xf32>
  %v = tamis.observe parameter %c0 tensor "v" : tensor<2x8xf32>
  %c1 = arith.constant dense<[[1.0], [2.0], [3.0], [4.0], [5.0], [6.0], [7.0], [8.0]]> : tensor<8x1xf32>
  %w = tamis.observe parameter %c1 tensor "w" : tensor<8x1xf32>
  %e8 = tensor.empty() : tensor<3x8xf32>
  %0 = tamis.contract ins(%x, %v : tensor<3x2xf32>, tensor<2x8xf32>) outs(%e8 : tensor<3x8xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "first"} -> tensor<3x8xf32>
  %e = tensor.empty() : tensor<3x1xf32>
  %2 = tamis.contract ins(%0, %w : tensor<3x8xf32>, tensor<8x1xf32>) outs(%e : tensor<3x1xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "second"} -> tensor<3x1xf32>
  return %2 : tensor<3x1xf32>
}
