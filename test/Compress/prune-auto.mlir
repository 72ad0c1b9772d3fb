// RUN: tamis-opt %s --split-input-file --tamis-prune="pattern=auto protect=false" | FileCheck %s
// RUN: tamis-opt %s --split-input-file --tamis-prune="pattern=auto protect=false" --tamis-prune="pattern=auto protect=false" | FileCheck %s

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// Two of four are small in every column: single weights lose no less. The
// results of the function stay, so that channels are no choice.
// CHECK: decision = "pattern 2:4", layer = "groups", pass = "tamis-prune"
// CHECK-SAME: reason = "kept of the score that single weights keep: 32x64 {{.*}}, 32x4 {{.*}}, 1x4 60.0 %, 2:4 100.0 %"
// CHECK-SAME: pattern = "2:4"
// CHECK-LABEL: func.func @groups
func.func @groups(%x: tensor<3x8xf32>) -> tensor<3x2xf32> {
  // CHECK: dense<{{\[}}[0.000000e+00, 5.000000e+00], [5.000000e+00, 0.000000e+00], [5.000000e+00, 0.000000e+00], [0.000000e+00, 5.000000e+00],
  // CHECK-SAME: [5.000000e+00, 5.000000e+00], [0.000000e+00, 0.000000e+00], [0.000000e+00, 0.000000e+00], [5.000000e+00, 5.000000e+00]]>
  %c = arith.constant dense<[[1.0, 5.0], [5.0, 1.0], [5.0, 1.0], [1.0, 5.0], [5.0, 5.0], [1.0, 1.0], [1.0, 1.0], [5.0, 5.0]]> : tensor<8x2xf32>
  %w = tamis.observe parameter %c tensor "w" : tensor<8x2xf32>
  %e = tensor.empty() : tensor<3x2xf32>
  %0 = tamis.contract ins(%x, %w : tensor<3x8xf32>, tensor<8x2xf32>) outs(%e : tensor<3x2xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "groups"} -> tensor<3x2xf32>
  return %0 : tensor<3x2xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// A whole column is small, and only this weight makes that channel.
// CHECK: tamis.removed = {parameters = {v = [{axis = 1 : i64, kept = array<i64: 1>}], w = [{axis = 0 : i64, kept = array<i64: 1>}]}
// CHECK-LABEL: func.func @channels
func.func @channels(%x: tensor<3x4xf32>) -> tensor<3x2xf32> {
  %c0 = arith.constant dense<[[1.0, 5.0], [1.0, 5.0], [1.0, 5.0], [1.0, 5.0]]> : tensor<4x2xf32>
  %v = tamis.observe parameter %c0 tensor "v" : tensor<4x2xf32>
  %c1 = arith.constant dense<[[5.0, 1.0], [5.0, 2.0]]> : tensor<2x2xf32>
  %w = tamis.observe parameter %c1 tensor "w" : tensor<2x2xf32>
  %e = tensor.empty() : tensor<3x2xf32>
  %0 = tamis.contract ins(%x, %v : tensor<3x4xf32>, tensor<4x2xf32>) outs(%e : tensor<3x2xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "first"} -> tensor<3x2xf32>
  %1 = tamis.observe %0 tensor "h" : tensor<3x2xf32>
  %2 = tamis.contract ins(%1, %w : tensor<3x2xf32>, tensor<2x2xf32>) outs(%e : tensor<3x2xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "second"} -> tensor<3x2xf32>
  return %2 : tensor<3x2xf32>
}
