// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: tamis-opt %s --split-input-file --verify-diagnostics --tamis-import-quant-types | FileCheck %s

!t = !quant.uniform<i8:f32, 0.5:3>

// Upstream canonicalization would make this the identity.
// CHECK-LABEL: func.func @fake_quantization
// CHECK-DAG: %[[S:.+]] = arith.constant dense<5.000000e-01> : tensor<f32>
// CHECK-DAG: %[[Z:.+]] = arith.constant dense<3> : tensor<i8>
// CHECK: %[[Q:.+]] = tamis.quantize %{{.+}}, %[[S]], %[[Z]] : tensor<?x2xf32>, tensor<f32>, tensor<i8> -> tensor<?x2xi8>
// CHECK: %[[Y:.+]] = tamis.dequantize %[[Q]], {{.+}} : tensor<?x2xi8>, tensor<f32>, tensor<i8> -> tensor<?x2xf32>
// CHECK: return %[[Y]]
func.func @fake_quantization(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %q = quant.qcast %x : tensor<?x2xf32> to tensor<?x2x!t>
  %y = quant.dcast %q : tensor<?x2x!t> to tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// -----

!a = !quant.uniform<i8<-127:127>:f32:1, {0.5, 0.25}>

// A range of 255 values is kept; equal zero points of zero are none.
// CHECK-LABEL: func.func @per_axis
// CHECK: %[[S:.+]] = arith.constant dense<[5.000000e-01, 2.500000e-01]>
// CHECK: %[[Q:.+]] = tamis.quantize %{{.+}}, %[[S]] {axis = 1 : i64}
// CHECK: %[[R:.+]] = linalg.generic {{.+}} ins(%[[Q]]
// CHECK: arith.constant -127 : i8
// CHECK: arith.maxsi
// CHECK: arith.minsi
// CHECK: tamis.dequantize %[[R]], %{{.+}} {axis = 1 : i64}
func.func @per_axis(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %q = quant.qcast %x : tensor<?x2xf32> to tensor<?x2x!a>
  %y = quant.dcast %q : tensor<?x2x!a> to tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// -----

!u = !quant.uniform<u8:f32, 0.25:200>

// Signatures, calls and movement; what is unsigned is said where it matters.
// CHECK-LABEL: func.func @main(%arg0: tensor<4xi8> {tamis.dtype = "uint8"}) -> (tensor<2x2xi8> {tamis.dtype = "uint8"})
// CHECK: tensor.expand_shape {{.+}} : tensor<4xi8> into tensor<2x2xi8>
func.func @main(%x: tensor<4x!u>) -> tensor<2x2x!u> {
  %y = tensor.expand_shape %x [[0, 1]] output_shape [2, 2] : tensor<4x!u> into tensor<2x2x!u>
  return %y : tensor<2x2x!u>
}
// CHECK-LABEL: func.func @caller
// CHECK: call @main(%arg0) : (tensor<4xi8>) -> tensor<2x2xi8>
// CHECK: dense<-56> : tensor<i8>
// CHECK: tamis.dequantize {{.+}} unsigned : tensor<2x2xi8>
func.func @caller(%x: tensor<4xi8>) -> tensor<2x2xf32> {
  %s = quant.scast %x : tensor<4xi8> to tensor<4x!u>
  %y = call @main(%s) : (tensor<4x!u>) -> tensor<2x2x!u>
  %z = quant.dcast %y : tensor<2x2x!u> to tensor<2x2xf32>
  return %z : tensor<2x2xf32>
}

// -----

!n = !quant.uniform<i4:f32, 0.5>

// CHECK-LABEL: func.func @nibbles
// CHECK-SAME: -> (tensor<4xi8> {tamis.dtype = "int4"})
// CHECK: tamis.quantize {{.+}} {bits = 4 : i64} : tensor<4xf32>, tensor<f32> -> tensor<4xi8>
func.func @nibbles(%x: tensor<4xf32>) -> tensor<4x!n> {
  %q = quant.qcast %x : tensor<4xf32> to tensor<4x!n>
  return %q : tensor<4x!n>
}

// -----

// Nothing quantized, nothing changed.
// CHECK-LABEL: func.func @plain
// CHECK-NEXT: arith.addf
// CHECK-NEXT: return
func.func @plain(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = arith.addf %x, %x : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

!u = !quant.uniform<u8:f32, 0.25>
func.func @arithmetic(%c: i1, %x: tensor<4x!u>) -> tensor<4x!u> {
  // expected-error@+1 {{'arith.select' op has 'tensor<4x!quant.uniform<u8:f32, 2.500000e-01>>': expected quant.dcast before and quant.qcast after this operation}}
  %y = arith.select %c, %x, %x : tensor<4x!u>
  return %y : tensor<4x!u>
}

// -----

!a = !quant.uniform<i8:f32:0, {0.5, 0.25}>
func.func @axis_moves(%x: tensor<2x2x!a>) -> tensor<2x1x2x!a> {
  // expected-error@+1 {{expected a type per tensor, data movement may change the axis}}
  %y = tensor.expand_shape %x [[0], [1, 2]] output_shape [2, 1, 2] : tensor<2x2x!a> into tensor<2x1x2x!a>
  return %y : tensor<2x1x2x!a>
}

// -----

!h = !quant.uniform<i8:f16, 0.5>
func.func @half(%x: tensor<4xf16>) -> tensor<4xf16> {
  // expected-error@+1 {{'quant.qcast' op has 'tensor<4x!quant.uniform<i8:f16, 5.000000e-01>>': expected f32 as expressed type}}
  %q = quant.qcast %x : tensor<4xf16> to tensor<4x!h>
  // expected-error@+1 {{expected f32 as expressed type}}
  %y = quant.dcast %q : tensor<4x!h> to tensor<4xf16>
  return %y : tensor<4xf16>
}

// -----

!z = !quant.uniform<i8:f32, 0.5:200>
// expected-error@+1 {{expected a zero point inside the storage range}}
func.func private @zero(tensor<4x!z>)

// -----

!s = !quant.uniform<i8:f32:{0:1}, {0.5, 0.25}>
// expected-error@+1 {{expected a uniform type, per tensor or per axis}}
func.func private @blocks(tensor<2x!s>)

// -----

!c = !quant.calibrated<f32<-1.0:1.0>>
// expected-error@+1 {{expected a uniform type, per tensor or per axis}}
func.func private @calibrated(tensor<2x!c>)

// -----

!u = !quant.uniform<u8:f32, 0.25>
func.func @scalar(%x: f32) -> f32 {
  // expected-error@+1 {{expected a ranked tensor of a quantized type}}
  %q = quant.qcast %x : f32 to !u
  // expected-error@+1 {{expected a ranked tensor of a quantized type}}
  %y = quant.dcast %q : !u to f32
  return %y : f32
}

// -----

!n = !quant.uniform<i4:f32, 0.5>
func.func @packed_nibbles(%x: tensor<4xi4>) -> tensor<4xf32> {
  // expected-error@+1 {{expected 8, 16 or 32 bits of storage}}
  %q = quant.scast %x : tensor<4xi4> to tensor<4x!n>
  %y = quant.dcast %q : tensor<4x!n> to tensor<4xf32>
  return %y : tensor<4xf32>
}
