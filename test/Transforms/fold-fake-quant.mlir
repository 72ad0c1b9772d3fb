// RUN: tamis-opt %s --tamis-fold-fake-quant --split-input-file --verify-diagnostics | FileCheck %s
// RUN: tamis-opt %s --tamis-fold-fake-quant --tamis-fold-fake-quant --split-input-file --verify-diagnostics | FileCheck %s

// Eight bits as they are.
// CHECK-LABEL: func.func @signed
// CHECK: %[[Z:.+]] = arith.constant dense<-3> : tensor<i8>
// CHECK: %[[Q:.+]] = tamis.quantize %{{.+}}, %{{.+}}, %[[Z]] {origin = "act"} : tensor<4x8xf32>, tensor<f32>, tensor<i8> -> tensor<4x8xi8>
// CHECK: tamis.dequantize %[[Q]], %{{.+}}, %[[Z]] {origin = "act"}
func.func @signed(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %z = arith.constant dense<-3.0> : tensor<f32>
  %y = tamis.fake_quant %x, %s, %z range[-128, 127] {origin = "act"} : tensor<4x8xf32>, tensor<f32>, tensor<f32>
  return %y : tensor<4x8xf32>
}

// -----

// A range of four bits is `bits`, no zero point is none.
// CHECK-LABEL: func.func @four_bits
// CHECK: tamis.quantize %{{.+}}, %{{.+}} {axis = 0 : i64, bits = 4 : i64} : tensor<2x8xf32>, tensor<2xf32> -> tensor<2x8xi8>
// CHECK-NOT: linalg.generic
// CHECK: tamis.dequantize
func.func @four_bits(%x: tensor<2x8xf32>) -> tensor<2x8xf32> {
  %s = arith.constant dense<[0.5, 0.25]> : tensor<2xf32>
  %z = arith.constant dense<0.0> : tensor<2xf32>
  %y = tamis.fake_quant %x, %s, %z range[-8, 7] {axis = 0 : i64} : tensor<2x8xf32>, tensor<2xf32>, tensor<2xf32>
  return %y : tensor<2x8xf32>
}

// -----

// CHECK-LABEL: func.func @unsigned_clamped
// CHECK: %[[Q:.+]] = tamis.quantize %{{.+}}, %{{.+}} unsigned : tensor<8xf32>, tensor<f32> -> tensor<8xi8>
// CHECK: linalg.generic {{.*}} ins(%[[Q]]
// CHECK-DAG: arith.constant 0 : i8
// CHECK-DAG: arith.constant -2 : i8
// CHECK: arith.maxui
// CHECK: arith.minui
// CHECK: tamis.dequantize %{{.+}}, %{{.+}} unsigned
func.func @unsigned_clamped(%x: tensor<8xf32>) -> tensor<8xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %z = arith.constant dense<0.0> : tensor<f32>
  %y = tamis.fake_quant %x, %s, %z range[0, 254] : tensor<8xf32>, tensor<f32>, tensor<f32>
  return %y : tensor<8xf32>
}

// -----

// Levels -200 to 55 are counted from the lowest one, the zero point with them.
// CHECK-LABEL: func.func @shifted
// CHECK: %[[Z:.+]] = arith.constant dense<-56> : tensor<i8>
// CHECK: tamis.quantize %{{.+}}, %{{.+}}, %[[Z]] unsigned : tensor<8xf32>
func.func @shifted(%x: tensor<8xf32>) -> tensor<8xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %z = arith.constant dense<0.0> : tensor<f32>
  %y = tamis.fake_quant %x, %s, %z range[-200, 55] : tensor<8xf32>, tensor<f32>, tensor<f32>
  return %y : tensor<8xf32>
}

// -----

// CHECK-LABEL: func.func @sixteen_bits
// CHECK: tamis.quantize %{{.+}} -> tensor<8xi16>
func.func @sixteen_bits(%x: tensor<8xf32>) -> tensor<8xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %z = arith.constant dense<0.0> : tensor<f32>
  %y = tamis.fake_quant %x, %s, %z range[-2048, 2047] : tensor<8xf32>, tensor<f32>, tensor<f32>
  return %y : tensor<8xf32>
}

// -----

// CHECK-LABEL: func.func @zero_point_not_whole
// CHECK: tamis.fake_quant
func.func @zero_point_not_whole(%x: tensor<8xf32>) -> tensor<8xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %z = arith.constant dense<1.5> : tensor<f32>
  // expected-remark @below {{fake quantization left in float: its zero point is not an integer}}
  %y = tamis.fake_quant %x, %s, %z range[0, 15] : tensor<8xf32>, tensor<f32>, tensor<f32>
  return %y : tensor<8xf32>
}

// -----

func.func @zero_point_not_known(%x: tensor<8xf32>, %z: tensor<f32>) -> tensor<8xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  // expected-remark @below {{left in float: its zero point is not known at compile time}}
  %y = tamis.fake_quant %x, %s, %z range[0, 15] : tensor<8xf32>, tensor<f32>, tensor<f32>
  return %y : tensor<8xf32>
}

// -----

func.func @too_many_levels(%x: tensor<8xf32>) -> tensor<8xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %z = arith.constant dense<0.0> : tensor<f32>
  // expected-remark @below {{left in float: it has 16777216 levels, 16 bits hold 65536}}
  %y = tamis.fake_quant %x, %s, %z range[-8388608, 8388607] : tensor<8xf32>, tensor<f32>, tensor<f32>
  return %y : tensor<8xf32>
}

// -----

func.func @half_scale(%x: tensor<8xf16>) -> tensor<8xf16> {
  %s = arith.constant dense<0.5> : tensor<f16>
  %z = arith.constant dense<0.0> : tensor<f32>
  // expected-remark @below {{left in float: its scale is not float32}}
  %y = tamis.fake_quant %x, %s, %z range[0, 15] : tensor<8xf16>, tensor<f16>, tensor<f32>
  return %y : tensor<8xf16>
}

// -----

func.func @scale_zero(%x: tensor<8xf32>) -> tensor<8xf32> {
  %s = arith.constant dense<0.0> : tensor<f32>
  %z = arith.constant dense<0.0> : tensor<f32>
  // expected-error @below {{expected a positive finite scale, got 0.0}}
  %y = tamis.fake_quant %x, %s, %z range[0, 15] : tensor<8xf32>, tensor<f32>, tensor<f32>
  return %y : tensor<8xf32>
}

// -----

func.func @scale_nan(%x: tensor<2x8xf32>) -> tensor<2x8xf32> {
  %s = arith.constant dense<[1.0, 0x7FC00000]> : tensor<2xf32>
  %z = arith.constant dense<0.0> : tensor<2xf32>
  // expected-error @below {{expected a positive finite scale, got nan}}
  %y = tamis.fake_quant %x, %s, %z range[0, 15] {axis = 0 : i64} : tensor<2x8xf32>, tensor<2xf32>, tensor<2xf32>
  return %y : tensor<2x8xf32>
}

// -----

func.func @zero_point_outside(%x: tensor<8xf32>) -> tensor<8xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %z = arith.constant dense<16.0> : tensor<f32>
  // expected-error @below {{expected a zero point in [0, 15], got 1.6}}
  %y = tamis.fake_quant %x, %s, %z range[0, 15] : tensor<8xf32>, tensor<f32>, tensor<f32>
  return %y : tensor<8xf32>
}

// -----

func.func @empty_range(%x: tensor<8xf32>) -> tensor<8xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %z = arith.constant dense<0.0> : tensor<f32>
  // expected-error @below {{expected a range, got [7, -8]}}
  %y = tamis.fake_quant %x, %s, %z range[7, -8] : tensor<8xf32>, tensor<f32>, tensor<f32>
  return %y : tensor<8xf32>
}
