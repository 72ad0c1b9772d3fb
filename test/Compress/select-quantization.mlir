// RUN: tamis-opt %s --split-input-file --tamis-select-quantization | FileCheck %s
// RUN: tamis-opt %s --split-input-file --tamis-select-quantization="weight-bits=4 block=32 weight-only=true" | FileCheck %s --check-prefix=BLOCK
// RUN: tamis-opt %s --split-input-file --tamis-select-quantization="per-channel=false weight-unsigned=true weight-symmetric=false activation-symmetric=true target=amx method=percentile corrections=bias,gptq" | FileCheck %s --check-prefix=TENSOR
// RUN: tamis-opt %s --split-input-file --tamis-select-quantization="exclude=fc.* op-types=MatMul,Add activation-bits=16" | FileCheck %s --check-prefix=SKIP
// RUN: tamis-opt %s --split-input-file --tamis-select-quantization="attention=true activation-unsigned=false" | FileCheck %s --check-prefix=PRODUCT
// RUN: tamis-opt %s --split-input-file --tamis-select-quantization="weight-system=codebook weight-bits=4" | FileCheck %s --check-prefix=CODES
// RUN: tamis-opt %s --split-input-file --tamis-select-quantization="weight-system=fixed_point weight-fraction=7 activation-fixed-point=true" | FileCheck %s --check-prefix=FIXED
// RUN: tamis-opt %s --split-input-file --tamis-select-quantization="exclude=m[12],fc.* activation-bits=16" --tamis-select-quantization | FileCheck %s --check-prefix=LAYER

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(m, n) -> (m, n)>

// The weight and what the product reads; the result stays as it is.
// CHECK-LABEL: func.func @product
func.func @product(%a: tensor<2x64xf32>) -> tensor<2x3xf32> {
  // CHECK: arith.constant
  %c = arith.constant dense<1.0> : tensor<64x3xf32>
  // CHECK: tamis.observe parameter {{.*}} tensor "w" {scheme = #tamis.scheme<bits = 8, symmetric = true, axis = 1>}
  // BLOCK: tensor "w" {scheme = #tamis.scheme<bits = 4, symmetric = true, axis = 0, block = 32>}
  // TENSOR: tensor "w" {scheme = #tamis.scheme<bits = 8, isUnsigned = true>}
  // SKIP: tensor "w" :
  // PRODUCT: tensor "w" {scheme = #tamis.scheme<bits = 8, symmetric = true, axis = 1>}
  // CODES: tensor "w" {scheme = #tamis.scheme<bits = 4, symmetric = true, axis = 1, system = codebook>}
  // FIXED: tensor "w" {scheme = #tamis.scheme<bits = 8, symmetric = true, axis = 1, system = fixed_point, fraction = 7>}
  %w = tamis.observe parameter %c tensor "w" : tensor<64x3xf32>
  // CHECK: tensor "a" {collect = ["minmax"], scheme = #tamis.scheme<bits = 8, isUnsigned = true>}
  // BLOCK: tensor "a" :
  // TENSOR: tensor "a" {axis = 1 : i64, collect = ["minmax", "histogram", "channel_moments", "gram"], scheme = #tamis.scheme<bits = 8, symmetric = true>}
  // SKIP: tensor "a" :
  // CODES: tensor "a" :
  // FIXED: tensor "a" {collect = ["minmax"], scheme = #tamis.scheme<bits = 8, symmetric = true, system = fixed_point>}
  // PRODUCT: tensor "a" {collect = ["minmax"], scheme = #tamis.scheme<bits = 8>}
  %x = tamis.observe %a tensor "a" : tensor<2x64xf32>
  %e = tensor.empty() : tensor<2x3xf32>
  %p = tamis.contract ins(%x, %w : tensor<2x64xf32>, tensor<64x3xf32>) outs(%e : tensor<2x3xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "fc1"} -> tensor<2x3xf32>
  // CHECK: tensor "y" : tensor<2x3xf32>
  %o = tamis.observe %p tensor "y" : tensor<2x3xf32>
  return %o : tensor<2x3xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(m, n) -> (m, n)>

// product, relu, transpose, transpose, product: quantized once, behind relu.
// The report says so.
// CHECK: decision = "uint8", layer = "fc2", pass = "select-quantization", reason = "read by a contraction", tensor = "r"
// CHECK-LABEL: func.func @producer
func.func @producer(%a: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %zero = arith.constant 0.0 : f32
  %c = arith.constant dense<1.0> : tensor<4x4xf32>
  %w = tamis.observe parameter %c tensor "w" : tensor<4x4xf32>
  // CHECK: tensor "a" {collect
  %x = tamis.observe %a tensor "a" : tensor<4x4xf32>
  %e = tensor.empty() : tensor<4x4xf32>
  %p = tamis.contract ins(%x, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%e : tensor<4x4xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "fc1"} -> tensor<4x4xf32>
  // CHECK: tensor "p" : tensor
  %po = tamis.observe %p tensor "p" : tensor<4x4xf32>
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%po : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) {
  ^bb0(%in: f32, %out: f32):
    %m = arith.maximumf %in, %zero : f32
    linalg.yield %m : f32
  } -> tensor<4x4xf32>
  // CHECK: tensor "r" {collect = ["minmax"], scheme
  %ro = tamis.observe %r tensor "r" : tensor<4x4xf32>
  %t = linalg.transpose ins(%ro : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) permutation = [1, 0]
  // CHECK: tensor "t" : tensor
  %to = tamis.observe %t tensor "t" : tensor<4x4xf32>
  %q = tamis.contract ins(%to, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%e : tensor<4x4xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "fc2"} -> tensor<4x4xf32>
  return %q : tensor<4x4xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(m, n) -> (m, n)>

// A sum between contractions is quantized with its operands; one with an
// operand that no contraction computes is not. Where an earlier run gave the
// sum a type of its own, its operands have that type too.
// CHECK: decision = "uint8", {{.*}} reason = "read by Add between contractions", tensor = "p1"
// CHECK: decision = "uint8", {{.*}} reason = "read by Add between contractions", tensor = "p2"
// CHECK-LABEL: func.func @residual
func.func @residual(%a: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %c = arith.constant dense<1.0> : tensor<4x4xf32>
  %w = tamis.observe parameter %c tensor "w" : tensor<4x4xf32>
  // LAYER-LABEL: func.func @residual
  // LAYER: tensor "a" {collect = ["minmax"], scheme = #tamis.scheme<bits = 8, isUnsigned = true>}
  %x = tamis.observe %a tensor "a" : tensor<4x4xf32>
  %e = tensor.empty() : tensor<4x4xf32>
  %p = tamis.contract ins(%x, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%e : tensor<4x4xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "m1"} -> tensor<4x4xf32>
  // CHECK: tensor "p1" {collect = ["minmax"], scheme
  // SKIP: tensor "p1" {collect = ["minmax"], scheme = #tamis.scheme<bits = 16>}
  // LAYER: tensor "p1" {collect = ["minmax"], scheme = #tamis.scheme<bits = 16>}
  %p1 = tamis.observe %p tensor "p1" : tensor<4x4xf32>
  %q = tamis.contract ins(%x, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%e : tensor<4x4xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "m2"} -> tensor<4x4xf32>
  // CHECK: tensor "p2" {collect = ["minmax"], scheme
  // LAYER: tensor "p2" {collect = ["minmax"], scheme = #tamis.scheme<bits = 16>}
  %p2 = tamis.observe %q tensor "p2" : tensor<4x4xf32>
  %s = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%p1, %p2 : tensor<4x4xf32>, tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) {
  ^bb0(%l: f32, %r: f32, %out: f32):
    %m = arith.addf %l, %r : f32
    linalg.yield %m : f32
  } -> tensor<4x4xf32>
  // CHECK: tensor "s" {collect = ["minmax"], scheme
  // LAYER: tensor "s" {collect = ["minmax"], scheme = #tamis.scheme<bits = 16>}
  %so = tamis.observe %s tensor "s" : tensor<4x4xf32>
  %t = tamis.contract ins(%so, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%e : tensor<4x4xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "m3"} -> tensor<4x4xf32>
  return %t : tensor<4x4xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// CHECK: decision = "float", layer = "qk", pass = "select-quantization", reason = "its second operand is not a parameter"
// CHECK-LABEL: func.func @two_activations
// PRODUCT-LABEL: func.func @two_activations
func.func @two_activations(%a: tensor<4x4xf32>, %b: tensor<4x4xf32>) -> tensor<4x4xf32> {
  // CHECK: tensor "a" :
  // CHECK: tensor "b" :
  // PRODUCT: tensor "a" {collect = ["minmax"], scheme
  // PRODUCT: tensor "b" {collect = ["minmax"], scheme
  %x = tamis.observe %a tensor "a" : tensor<4x4xf32>
  %w = tamis.observe %b tensor "b" : tensor<4x4xf32>
  %e = tensor.empty() : tensor<4x4xf32>
  %p = tamis.contract ins(%x, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%e : tensor<4x4xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "qk"} -> tensor<4x4xf32>
  return %p : tensor<4x4xf32>
}
