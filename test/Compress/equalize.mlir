// RUN: tamis-opt %s --split-input-file --tamis-equalize | FileCheck %s

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(m, n) -> (m, n)>
#row = affine_map<(m, n) -> (n)>

// Two channels between the layers: the first layer's weights reach 16 and 1,
// the second's 1 and 4. Scaled by 4 and 1/2 both reach 4 and 2. A channel
// without weights stays as it is.
// CHECK: decision = "equalized", layer = "fc2"
// CHECK-LABEL: func.func @two_layers
func.func @two_layers(%a: tensor<1x2xf32>) -> tensor<1x1xf32> {
  // CHECK: arith.constant dense<{{\[\[}}4.000000e+00, 2.000000e+00, 0.000000e+00], [2.000000e+00, 0.000000e+00, 0.000000e+00]]> : tensor<2x3xf32>
  %c = arith.constant dense<[[16.0, 1.0, 0.0], [8.0, 0.0, 0.0]]> : tensor<2x3xf32>
  // CHECK: tensor "w1" {tamis.changed}
  %w1 = tamis.observe parameter %c tensor "w1" : tensor<2x3xf32>
  // CHECK: arith.constant dense<[1.000000e+00, 2.000000e+00, 3.000000e+00]> : tensor<3xf32>
  %d = arith.constant dense<[4.0, 1.0, 3.0]> : tensor<3xf32>
  // CHECK: tensor "b1" {tamis.changed}
  %b1 = tamis.observe parameter %d tensor "b1" : tensor<3xf32>
  // CHECK: arith.constant dense<{{\[\[}}4.000000e+00], [2.000000e+00], [5.000000e+00]]> : tensor<3x1xf32>
  %f = arith.constant dense<[[1.0], [4.0], [5.0]]> : tensor<3x1xf32>
  // CHECK: tensor "w2" {tamis.changed}
  %w2 = tamis.observe parameter %f tensor "w2" : tensor<3x1xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x3xf32>
  %g = tensor.empty() : tensor<1x1xf32>
  %p = tamis.contract ins(%a, %w1 : tensor<1x2xf32>, tensor<2x3xf32>) outs(%e : tensor<1x3xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "fc1"} -> tensor<1x3xf32>
  %s = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %b1 : tensor<1x3xf32>, tensor<3xf32>) outs(%e : tensor<1x3xf32>) {
  ^bb0(%l: f32, %r: f32, %out: f32):
    %m = arith.addf %l, %r : f32
    linalg.yield %m : f32
  } -> tensor<1x3xf32>
  %so = tamis.observe %s tensor "s" : tensor<1x3xf32>
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%so : tensor<1x3xf32>) outs(%e : tensor<1x3xf32>) {
  ^bb0(%in: f32, %out: f32):
    %m = arith.maximumf %in, %zero : f32
    linalg.yield %m : f32
  } -> tensor<1x3xf32>
  // CHECK: tensor "r" :
  %ro = tamis.observe %r tensor "r" {statistics = {minmax = dense<[0.0, 255.0]> : tensor<2xf32>}} : tensor<1x3xf32>
  %q = tamis.contract ins(%ro, %w2 : tensor<1x3xf32>, tensor<3x1xf32>) outs(%g : tensor<1x1xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "fc2"} -> tensor<1x1xf32>
  return %q : tensor<1x1xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(m, n) -> (m, n)>

// Clipping above does not commute with scaling; so does a second reader.
// CHECK-LABEL: func.func @clipped
// CHECK-NOT: tamis.changed
func.func @clipped(%a: tensor<1x1xf32>) -> (tensor<1x1xf32>, tensor<1x1xf32>, tensor<1x1xf32>) {
  %c = arith.constant dense<16.0> : tensor<1x1xf32>
  %w1 = tamis.observe parameter %c tensor "w1" : tensor<1x1xf32>
  %d = arith.constant dense<2.0> : tensor<1x1xf32>
  %w2 = tamis.observe parameter %d tensor "w2" : tensor<1x1xf32>
  %f = arith.constant dense<1.0> : tensor<1x1xf32>
  %w3 = tamis.observe parameter %f tensor "w3" : tensor<1x1xf32>
  %six = arith.constant 6.0 : f32
  %e = tensor.empty() : tensor<1x1xf32>
  %p = tamis.contract ins(%a, %w1 : tensor<1x1xf32>, tensor<1x1xf32>) outs(%e : tensor<1x1xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x1xf32>
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%p : tensor<1x1xf32>) outs(%e : tensor<1x1xf32>) {
  ^bb0(%in: f32, %out: f32):
    %m = arith.minimumf %in, %six : f32
    linalg.yield %m : f32
  } -> tensor<1x1xf32>
  %ro = tamis.observe %r tensor "r" : tensor<1x1xf32>
  %q = tamis.contract ins(%ro, %w2 : tensor<1x1xf32>, tensor<1x1xf32>) outs(%e : tensor<1x1xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x1xf32>
  %qo = tamis.observe %q tensor "q" : tensor<1x1xf32>
  %t = tamis.contract ins(%qo, %w3 : tensor<1x1xf32>, tensor<1x1xf32>) outs(%e : tensor<1x1xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x1xf32>
  return %q, %qo, %t : tensor<1x1xf32>, tensor<1x1xf32>, tensor<1x1xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(m, n) -> (m, n)>

// A sum ties the channels of its operands: both layers that give them, and the
// one that reads the sum, are scaled alike.
// CHECK: decision = "equalized", layer = "c"{{.*}}"channels of 'a' and 1 more scaled against those of 'c'"
// CHECK-LABEL: func.func @sum
func.func @sum(%i: tensor<1x1xf32>) -> tensor<1x1xf32> {
  // CHECK: arith.constant dense<{{\[\[}}4.000000e+00, 2.000000e+00]]> : tensor<1x2xf32>
  %c0 = arith.constant dense<[[16.0, 1.0]]> : tensor<1x2xf32>
  // CHECK: arith.constant dense<{{\[\[}}2.000000e+00, 1.000000e+00]]> : tensor<1x2xf32>
  %c1 = arith.constant dense<[[8.0, 0.5]]> : tensor<1x2xf32>
  // CHECK: arith.constant dense<{{\[\[}}4.000000e+00], [2.000000e+00]]> : tensor<2x1xf32>
  %c2 = arith.constant dense<[[1.0], [4.0]]> : tensor<2x1xf32>
  %a = tamis.observe parameter %c0 tensor "a" : tensor<1x2xf32>
  %b = tamis.observe parameter %c1 tensor "b" : tensor<1x2xf32>
  %c = tamis.observe parameter %c2 tensor "c" : tensor<2x1xf32>
  %e = tensor.empty() : tensor<1x2xf32>
  %g = tensor.empty() : tensor<1x1xf32>
  %p = tamis.contract ins(%i, %a : tensor<1x1xf32>, tensor<1x2xf32>) outs(%e : tensor<1x2xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "a"} -> tensor<1x2xf32>
  %po = tamis.observe %p tensor "p" : tensor<1x2xf32>
  %q = tamis.contract ins(%i, %b : tensor<1x1xf32>, tensor<1x2xf32>) outs(%e : tensor<1x2xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "b"} -> tensor<1x2xf32>
  %qo = tamis.observe %q tensor "q" : tensor<1x2xf32>
  %s = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%po, %qo : tensor<1x2xf32>, tensor<1x2xf32>) outs(%e : tensor<1x2xf32>) {
  ^bb0(%l: f32, %r: f32, %out: f32):
    %m = arith.addf %l, %r : f32
    linalg.yield %m : f32
  } -> tensor<1x2xf32>
  %so = tamis.observe %s tensor "s" : tensor<1x2xf32>
  %t = tamis.contract ins(%so, %c : tensor<1x2xf32>, tensor<2x1xf32>) outs(%g : tensor<1x1xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "c"} -> tensor<1x1xf32>
  return %t : tensor<1x1xf32>
}
