// RUN: tamis-opt %s --split-input-file --tamis-quantize | FileCheck %s
// RUN: tamis-opt %s --split-input-file --tamis-quantize="float-readers=false" | FileCheck %s --check-prefix=ALL

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(m, n) -> (m, n)>
#row = affine_map<(m, n) -> (n)>

// Both operands and the bias of one layer. The scale of the second column is
// that of its own weights; zero weights are the integer zero; the bias counts
// in 0.5 times 0.25 and 0.5 times 0.125.
// CHECK-LABEL: func.func @layer
func.func @layer(%a: tensor<2x2xf32>) -> tensor<2x2xf32> {
  // CHECK-DAG: %[[SW:.*]] = arith.constant dense<[2.500000e-01, 1.250000e-01]> : tensor<2xf32>
  // CHECK-DAG: %[[W:.*]] = arith.constant dense<{{\[\[}}127, 0], [4, -127]]> : tensor<2x2xi8>
  %c = arith.constant dense<[[31.75, 0.0], [1.0, -15.875]]> : tensor<2x2xf32>
  %w = tamis.observe parameter %c tensor "w" {scheme = #tamis.scheme<bits = 8, symmetric = true, axis = 1>} : tensor<2x2xf32>
  // CHECK: %[[WF:.*]] = tamis.dequantize %[[W]], %[[SW]] {axis = 1 : i64, origin = "w"} : tensor<2x2xi8>, tensor<2xf32> -> tensor<2x2xf32>
  %d = arith.constant dense<[1.0, -2.0]> : tensor<2xf32>
  %b = tamis.observe parameter %d tensor "b" : tensor<2xf32>
  // CHECK-DAG: %[[SB:.*]] = arith.constant dense<[1.250000e-01, 6.250000e-02]> : tensor<2xf32>
  // CHECK-DAG: %[[B:.*]] = arith.constant dense<[8, -32]> : tensor<2xi32>
  // CHECK: %[[BF:.*]] = tamis.dequantize %[[B]], %[[SB]] {axis = 0 : i64, origin = "b"}
  // CHECK: %[[X:.*]] = tamis.observe %{{.*}} tensor "a"
  // CHECK: %[[Q:.*]] = tamis.quantize %[[X]], %{{.*}}, %{{.*}} unsigned {origin = "a"} : tensor<2x2xf32>, tensor<f32>, tensor<i8> -> tensor<2x2xi8>
  // CHECK: %[[XF:.*]] = tamis.dequantize %[[Q]], %{{.*}}, %{{.*}} unsigned {origin = "a"}
  %x = tamis.observe %a tensor "a" {statistics = {minmax = dense<[-32.0, 95.5]> : tensor<2xf32>}, scheme = #tamis.scheme<bits = 8, isUnsigned = true>} : tensor<2x2xf32>
  %e = tensor.empty() : tensor<2x2xf32>
  // CHECK: tamis.contract ins(%[[XF]], %[[WF]]
  %p = tamis.contract ins(%x, %w : tensor<2x2xf32>, tensor<2x2xf32>) outs(%e : tensor<2x2xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "fc"} -> tensor<2x2xf32>
  // CHECK: linalg.generic {{.*}}, %[[BF]]
  %s = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %b : tensor<2x2xf32>, tensor<2xf32>) outs(%e : tensor<2x2xf32>) {
  ^bb0(%l: f32, %r: f32, %out: f32):
    %m = arith.addf %l, %r : f32
    linalg.yield %m : f32
  } -> tensor<2x2xf32>
  %o = tamis.observe %s tensor "y" : tensor<2x2xf32>
  return %o : tensor<2x2xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(m, n) -> (m, n)>

// What a float function computes is rounded for the contraction only.
// CHECK-LABEL: func.func @float_reader
// ALL-LABEL: func.func @float_reader
func.func @float_reader(%a: tensor<2x2xf32>) -> (tensor<2x2xf32>, tensor<2x2xf32>) {
  %c = arith.constant dense<1.0> : tensor<2x2xf32>
  %w = tamis.observe parameter %c tensor "w" {scheme = #tamis.scheme<bits = 8, symmetric = true>} : tensor<2x2xf32>
  %e = tensor.empty() : tensor<2x2xf32>
  %t = linalg.exp ins(%a : tensor<2x2xf32>) outs(%e : tensor<2x2xf32>) -> tensor<2x2xf32>
  // CHECK: %[[X:.*]] = tamis.observe %{{.*}} tensor "t"
  // CHECK: tamis.quantize {{.*}} tamis.readers = ["product"]
  // CHECK: %[[XF:.*]] = tamis.dequantize
  // ALL: tamis.quantize
  // ALL-NOT: tamis.readers
  // ALL: %[[ALL:.*]] = tamis.dequantize
  %x = tamis.observe %t tensor "t" {statistics = {minmax = dense<[0.0, 255.0]> : tensor<2xf32>}, scheme = #tamis.scheme<bits = 8, isUnsigned = true>} : tensor<2x2xf32>
  // CHECK: tamis.contract ins(%[[XF]]
  %p = tamis.contract ins(%x, %w : tensor<2x2xf32>, tensor<2x2xf32>) outs(%e : tensor<2x2xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "fc"} -> tensor<2x2xf32> loc("node 'product' (MatMul)")
  // CHECK: linalg.log ins(%[[X]]
  // ALL: linalg.log ins(%[[ALL]]
  %l = linalg.log ins(%x : tensor<2x2xf32>) outs(%e : tensor<2x2xf32>) -> tensor<2x2xf32>
  return %p, %l : tensor<2x2xf32>, tensor<2x2xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// Blocks of two along the reduction, four bits, and a zero point: zero is exact.
// CHECK-LABEL: func.func @blocks
func.func @blocks(%a: tensor<1x4xf32>) -> tensor<1x1xf32> {
  %c = arith.constant dense<[[0.0], [7.5], [-5.0], [10.0]]> : tensor<4x1xf32>
  // CHECK-DAG: %[[S:.*]] = arith.constant dense<{{\[\[}}5.000000e-01], [1.000000e+00]]> : tensor<2x1xf32>
  // CHECK-DAG: %[[Z:.*]] = arith.constant dense<{{\[\[}}0], [5]]> : tensor<2x1xi8>
  // CHECK-DAG: %[[W:.*]] = arith.constant dense<{{\[\[}}0], [15], [0], [15]]> : tensor<4x1xi8>
  // CHECK: tamis.dequantize %[[W]], %[[S]], %[[Z]] unsigned {axis = 0 : i64, block_size = 2 : i64, origin = "w", tamis.bits = 4 : i64}
  %w = tamis.observe parameter %c tensor "w" {scheme = #tamis.scheme<bits = 4, isUnsigned = true, axis = 0, block = 2>} : tensor<4x1xf32>
  %e = tensor.empty() : tensor<1x1xf32>
  %p = tamis.contract ins(%a, %w : tensor<1x4xf32>, tensor<4x1xf32>) outs(%e : tensor<1x1xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "fc"} -> tensor<1x1xf32>
  return %p : tensor<1x1xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// One bit: signs and their mean magnitude; two bits: three levels.
// CHECK-LABEL: func.func @few_levels
func.func @few_levels(%a: tensor<1x4xf32>) -> (tensor<1x1xf32>, tensor<1x1xf32>) {
  %c = arith.constant dense<[[0.0], [1.0], [-2.0], [3.0]]> : tensor<4x1xf32>
  // CHECK-DAG: arith.constant dense<{{\[\[}}0], [1], [-1], [1]]> : tensor<4x1xi8>
  // CHECK-DAG: arith.constant dense<2.000000e+00> : tensor<f32>
  // CHECK: origin = "one", tamis.bits = 2
  %w = tamis.observe parameter %c tensor "one" {scheme = #tamis.scheme<bits = 1, symmetric = true>} : tensor<4x1xf32>
  %d = arith.constant dense<[[0.0], [2.0], [-2.0], [0.1]]> : tensor<4x1xf32>
  // CHECK-DAG: arith.constant dense<{{\[\[}}0], [1], [-1], [0]]> : tensor<4x1xi8>
  // CHECK: origin = "two", tamis.bits = 2
  %v = tamis.observe parameter %d tensor "two" {scheme = #tamis.scheme<bits = 2, symmetric = true>} : tensor<4x1xf32>
  %e = tensor.empty() : tensor<1x1xf32>
  %p = tamis.contract ins(%a, %w : tensor<1x4xf32>, tensor<4x1xf32>) outs(%e : tensor<1x1xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x1xf32>
  %q = tamis.contract ins(%a, %v : tensor<1x4xf32>, tensor<4x1xf32>) outs(%e : tensor<1x1xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x1xf32>
  return %p, %q : tensor<1x1xf32>, tensor<1x1xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// A concatenation and its operands have one scale: nothing is computed there.
// CHECK-LABEL: func.func @concat
func.func @concat(%a: tensor<1x2xf32>, %b: tensor<1x2xf32>) -> tensor<1x1xf32> {
  %c = arith.constant dense<1.0> : tensor<4x1xf32>
  %w = tamis.observe parameter %c tensor "w" {scheme = #tamis.scheme<bits = 8, symmetric = true>} : tensor<4x1xf32>
  // CHECK: %[[S1:.*]] = arith.constant dense<2.000000e+00> : tensor<f32>
  // CHECK: tamis.quantize %{{.*}}, %[[S1]] unsigned {origin = "a"}
  // CHECK: %[[S2:.*]] = arith.constant dense<2.000000e+00> : tensor<f32>
  // CHECK: tamis.quantize %{{.*}}, %[[S2]] unsigned {origin = "b"}
  %x = tamis.observe %a tensor "a" {statistics = {minmax = dense<[0.0, 510.0]> : tensor<2xf32>}, scheme = #tamis.scheme<bits = 8, isUnsigned = true>} : tensor<1x2xf32>
  %z = tamis.observe %b tensor "b" {statistics = {minmax = dense<[0.0, 1.0]> : tensor<2xf32>}, scheme = #tamis.scheme<bits = 8, isUnsigned = true>} : tensor<1x2xf32>
  %t = tensor.concat dim(1) %x, %z : (tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x4xf32>
  %to = tamis.observe %t tensor "t" {statistics = {minmax = dense<[0.0, 300.0]> : tensor<2xf32>}, scheme = #tamis.scheme<bits = 8, isUnsigned = true>} : tensor<1x4xf32>
  %e = tensor.empty() : tensor<1x1xf32>
  %p = tamis.contract ins(%to, %w : tensor<1x4xf32>, tensor<4x1xf32>) outs(%e : tensor<1x1xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x1xf32>
  return %p : tensor<1x1xf32>
}
