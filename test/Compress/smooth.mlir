// RUN: tamis-opt %s --split-input-file --tamis-smooth="alpha=0.5" --tamis-quantize | FileCheck %s
// RUN: tamis-opt %s --split-input-file --tamis-smooth | FileCheck %s --check-prefix=BEST
// RUN: tamis-opt %s --split-input-file --tamis-smooth="min-gain=100" | FileCheck %s --check-prefix=GAIN
// RUN: not tamis-opt %s --split-input-file --tamis-smooth="alpha=2" 2>&1 | FileCheck %s --check-prefix=ALPHA

// ALPHA: error: tamis-smooth: alpha expected from 0 to 1, or -1, got 2

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// One channel reaches 256, the others 1: the root of the ratio moves to the
// weights, on (geometric) average nothing changes. The product with the factors
// is for the quantize only; exp reads the tensor as it is.
// CHECK: decision = "smoothed", gain = {{.*}}, layer = "fc"
// CHECK-LABEL: func.func @outlier
// GAIN: decision = "not smoothed", {{.*}} reason = "it would gain
// GAIN-LABEL: func.func @outlier
// GAIN-NOT: tamis.factor
func.func @outlier(%a: tensor<1x4xf32>) -> (tensor<1x1xf32>, tensor<1x4xf32>) {
  %c = arith.constant dense<1.0> : tensor<4x1xf32>
  // CHECK: tensor "w" {scheme = {{.*}}, tamis.changed}
  %w = tamis.observe parameter %c tensor "w" {scheme = #tamis.scheme<bits = 8, symmetric = true, axis = 1>} : tensor<4x1xf32>
  %e = tensor.empty() : tensor<1x1xf32>
  %g = tensor.empty() : tensor<1x4xf32>
  // CHECK: %[[T:.*]] = linalg.exp
  %t = linalg.exp ins(%a : tensor<1x4xf32>) outs(%g : tensor<1x4xf32>) -> tensor<1x4xf32>
  // CHECK: %[[X:.*]] = tamis.observe %[[T]] tensor "a"
  // CHECK-SAME: minmax = dense<[-3.200000e+01, 3.200000e+01]>
  // CHECK-SAME: tamis.factor = dense<[1.250000e-01, 2.000000e+00, 2.000000e+00, 2.000000e+00]> : tensor<4xf32>
  // BEST: tamis.factor
  %x = tamis.observe %t tensor "a" {axis = 1 : i64, scheme = #tamis.scheme<bits = 8, isUnsigned = true>, statistics = {
    minmax = dense<[-256.0, 256.0]> : tensor<2xf32>,
    channel_absmax = dense<[256.0, 1.0, 1.0, 1.0]> : tensor<4xf32>,
    channel_moments = dense<[[10.0, 10.0, 10.0, 10.0], [0.0, 0.0, 0.0, 0.0], [1000.0, 1.0, 1.0, 1.0]]> : tensor<3x4xf32>,
    gram = dense<1.0> : tensor<5x5xf32>}} : tensor<1x4xf32>
  // CHECK: %[[P:.*]] = linalg.generic {{.*}} ins(%[[X]], %{{.*}} : tensor<1x4xf32>, tensor<4xf32>)
  // CHECK: tamis.quantize %[[P]], {{.*}} tamis.factor = dense<{{.*}}> : tensor<1x4xf32>
  %p = tamis.contract ins(%x, %w : tensor<1x4xf32>, tensor<4x1xf32>) outs(%e : tensor<1x1xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "fc"} -> tensor<1x1xf32>
  // CHECK: linalg.log ins(%[[X]]
  %l = linalg.log ins(%x : tensor<1x4xf32>) outs(%g : tensor<1x4xf32>) -> tensor<1x4xf32>
  return %p, %l : tensor<1x1xf32>, tensor<1x4xf32>
}
