// RUN: tamis-opt %s --tamis-calibrate --split-input-file --verify-diagnostics | FileCheck %s

// The model's own output is gone; the range of %h is the output.
// CHECK-LABEL: module
// CHECK: func.func @main(%[[X:.*]]: tensor<?x8xf32>)
// CHECK-SAME: -> (tensor<2xf32> {tamis.dims = ["2"], tamis.dtype = "float32", tamis.name = "h//minmax"})
// CHECK: %[[H:.*]] = math.exp %[[X]]
// CHECK: %[[ENDS:.*]]:2 = linalg.generic {{.*}}iterator_types = ["reduction", "reduction"]} ins(%[[H]] : tensor<?x8xf32>)
// CHECK: arith.minimumf
// CHECK: arith.maximumf
// CHECK: %[[LOW:.*]] = tensor.extract %[[ENDS]]#0[]
// CHECK: %[[HIGH:.*]] = tensor.extract %[[ENDS]]#1[]
// CHECK: %[[RANGE:.*]] = tensor.from_elements %[[LOW]], %[[HIGH]]
// CHECK-NOT: tamis.observe
// CHECK: return %[[RANGE]]
func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %h = math.exp %x : tensor<?x8xf32>
  %seen = tamis.observe %h tensor "h" {collect = ["minmax"]} : tensor<?x8xf32>
  %y = tamis.observe %seen tensor "y" : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// CHECK-LABEL: module
// CHECK: func.func @main
// CHECK-SAME: -> (tensor<32768xi64> {tamis.dims = ["32768"], tamis.dtype = "int64", tamis.name = "x//histogram"}
// CHECK-SAME: tensor<4xf32> {tamis.dims = ["4"], tamis.dtype = "float32", tamis.name = "x//channel_absmax"}
// CHECK-SAME: tensor<3x4xf32> {tamis.dims = ["3", "4"], tamis.dtype = "float32", tamis.name = "x//channel_moments"}
// CHECK-SAME: tensor<2x4xf32> {tamis.dims = ["2", "4"], tamis.dtype = "float32", tamis.name = "x//channel_magnitudes"}
// CHECK-SAME: tensor<5x5xf32> {tamis.dims = ["5", "5"], tamis.dtype = "float32", tamis.name = "x//gram"})
// The histogram: half floats are counted as the float32 they stand for.
// CHECK: %[[FLAT:.*]] = tensor.collapse_shape %{{.*}} {{\[\[}}0, 1, 2]] : tensor<?x4x8xf16> into tensor<?xf16>
// CHECK: scf.for
// CHECK: arith.extf
// CHECK: %[[BITS:.*]] = arith.bitcast
// CHECK: arith.shrui %[[BITS]]
// Per channel: axis 1 stays.
// CHECK: linalg.generic {{.*}}iterator_types = ["reduction", "parallel", "reduction"]}
// CHECK: math.absf
// CHECK: linalg.generic {{.*}}iterator_types = ["reduction", "parallel", "reduction"]}
// The gram is a contraction over the vectors along that axis, which got a one
// more each.
// CHECK: linalg.transpose {{.*}} permutation = [0, 2, 1]
// CHECK: %[[ROWS:.*]] = tensor.collapse_shape %{{.*}} {{\[\[}}0, 1], [2]] : tensor<?x8x4xf16> into tensor<?x4xf16>
// CHECK: %[[WIDE:.*]] = tensor.pad %[[ROWS]] low[0, 0] high[0, 1]
// CHECK: tamis.contract ins(%[[WIDE]], %[[WIDE]] :
func.func @main(%x: tensor<?x4x8xf16>) -> tensor<?x4x8xf16> {
  %seen = tamis.observe %x tensor "x" {axis = 1 : i64,
    collect = ["histogram", "channel_absmax", "channel_moments", "channel_magnitudes", "gram"]} : tensor<?x4x8xf16>
  return %seen : tensor<?x4x8xf16>
}

// -----

// A scalar has a range and a histogram.
// CHECK-LABEL: module
// CHECK: linalg.generic {{.*}}iterator_types = []} ins(%{{.*}} : tensor<f32>)
// CHECK: tensor.expand_shape %{{.*}} [] output_shape [1] : tensor<f32> into tensor<1xf32>
func.func @main(%x: tensor<f32>) -> tensor<f32> {
  %seen = tamis.observe %x tensor "x" {collect = ["minmax", "histogram"]} : tensor<f32>
  return %seen : tensor<f32>
}

// -----

// expected-error @below {{no observation has anything to collect}}
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %seen = tamis.observe %x tensor "x" : tensor<4xf32>
  return %seen : tensor<4xf32>
}

// -----

func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @below {{of tensor 'x': unknown statistic 'mode'}}
  %seen = tamis.observe %x tensor "x" {collect = ["mode"]} : tensor<4xf32>
  return %seen : tensor<4xf32>
}

// -----

func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @below {{of tensor 'x': 'channel_absmax' needs an axis}}
  %seen = tamis.observe %x tensor "x" {collect = ["channel_absmax"]} : tensor<4xf32>
  return %seen : tensor<4xf32>
}

// -----

func.func @main(%x: tensor<4x?xf32>) -> tensor<4x?xf32> {
  // expected-error @below {{of tensor 'x': 'channel_moments' needs a known number of channels, axis 1 is open}}
  %seen = tamis.observe %x tensor "x" {collect = ["channel_moments"], axis = 1 : i64} : tensor<4x?xf32>
  return %seen : tensor<4x?xf32>
}

// -----

func.func @main(%x: tensor<4x?xf32>) -> tensor<4x?xf32> {
  // expected-error @below {{of tensor 'x': 'gram' needs a known last dimension, the tensor is 'tensor<4x?xf32>'}}
  %seen = tamis.observe %x tensor "x" {collect = ["gram"]} : tensor<4x?xf32>
  return %seen : tensor<4x?xf32>
}

// -----

func.func @main(%x: tensor<4xf32>, %n: index) -> tensor<4xf32> {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %y = scf.for %i = %zero to %n step %one iter_args(%a = %x) -> tensor<4xf32> {
    // expected-error @below {{of tensor 'a' is in a region and cannot be collected}}
    %seen = tamis.observe %a tensor "a" {collect = ["minmax"]} : tensor<4xf32>
    scf.yield %seen : tensor<4xf32>
  }
  return %y : tensor<4xf32>
}

// -----

// Of a weight: what its windows are multiplied with, padding included, copied
// out and multiplied with itself, a matrix for each of the two groups.
// CHECK-LABEL: module
// CHECK: func.func @main
// CHECK-SAME: -> (tensor<2x10x10xf32> {tamis.dims = ["2", "10", "10"], tamis.dtype = "float32", tamis.name = "w//gram"})
// CHECK: %[[PADDED:.*]] = tensor.pad %{{.*}} low[0, 0, 1, 1] high[0, 0, 1, 1]
// CHECK: %[[WINDOWS:.*]] = linalg.generic {{.*}}ins(%[[PADDED]] : tensor<1x2x6x6xf32>)
// CHECK: %[[VECTORS:.*]] = tensor.collapse_shape %[[WINDOWS]] {{.*}} into tensor<2x16x9xf32>
// CHECK: %[[WIDE:.*]] = tensor.pad %[[VECTORS]] low[0, 0, 0] high[0, 0, 1]
// CHECK: tamis.contract ins(%[[WIDE]], %[[WIDE]] :
func.func @main(%x: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
  %c = arith.constant dense<1.0> : tensor<2x3x3xf32>
  %w = tamis.observe parameter %c tensor "w" {collect = ["gram"]} : tensor<2x3x3xf32>
  %e = tensor.empty() : tensor<1x2x4x4xf32>
  %y = tamis.contract ins(%x, %w : tensor<1x2x4x4xf32>, tensor<2x3x3xf32>) outs(%e : tensor<1x2x4x4xf32>)
    maps [affine_map<(n, c, h, w, i, j) -> (n, c, h + i, w + j)>, affine_map<(n, c, h, w, i, j) -> (c, i, j)>, affine_map<(n, c, h, w, i, j) -> (n, c, h, w)>]
    iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"] pad [0, 0, 1, 1] accumulator f32 -> tensor<1x2x4x4xf32>
  return %y : tensor<1x2x4x4xf32>
}

// -----

func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = arith.constant dense<1.0> : tensor<4xf32>
  // expected-error @below {{of parameter 'b': expected 'gram' of a parameter that a contraction multiplies with, got 'gram'}}
  %b = tamis.observe parameter %c tensor "b" {collect = ["gram"]} : tensor<4xf32>
  return %b : tensor<4xf32>
}

// -----

// expected-error @below {{expected a function @main}}
module {}
