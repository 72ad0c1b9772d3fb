// RUN: tamis-opt %s --pass-pipeline='builtin.module(func.func(tamis-import-tosa))' --split-input-file --verify-diagnostics | FileCheck %s

// CHECK-LABEL: func.func @convolution
// CHECK-NOT: tosa.
// CHECK: tensor.pad
// CHECK: %[[C:.+]] = linalg.conv_2d_nhwc_fhwc_q {{.*}} ins(%{{.+}}, %{{.+}}, %c-3_i32, %c0_i32
// CHECK: linalg.generic {{.*}} ins(%[[C]]
// CHECK: arith.muli %{{.+}} : i64
// CHECK: arith.shrsi
func.func @convolution(%x: tensor<1x8x8x4xi8>, %w: tensor<6x3x3x4xi8>, %b: tensor<6xi32>) -> tensor<1x8x8x6xi8> {
  %xz = "tosa.const"() {values = dense<-3> : tensor<1xi8>} : () -> tensor<1xi8>
  %wz = "tosa.const"() {values = dense<0> : tensor<1xi8>} : () -> tensor<1xi8>
  %c = tosa.conv2d %x, %w, %b, %xz, %wz {acc_type = i32, dilation = array<i64: 1, 1>, pad = array<i64: 1, 1, 1, 1>,
    stride = array<i64: 1, 1>} : (tensor<1x8x8x4xi8>, tensor<6x3x3x4xi8>, tensor<6xi32>, tensor<1xi8>, tensor<1xi8>)
    -> tensor<1x8x8x6xi32>
  %m = "tosa.const"() {values = dense<1073741824> : tensor<1xi32>} : () -> tensor<1xi32>
  %s = "tosa.const"() {values = dense<38> : tensor<1xi8>} : () -> tensor<1xi8>
  %iz = "tosa.const"() {values = dense<0> : tensor<1xi32>} : () -> tensor<1xi32>
  %oz = "tosa.const"() {values = dense<5> : tensor<1xi8>} : () -> tensor<1xi8>
  %r = tosa.rescale %c, %m, %s, %iz, %oz {scale32 = true, rounding_mode = DOUBLE_ROUND, per_channel = false,
    input_unsigned = false, output_unsigned = false}
    : (tensor<1x8x8x6xi32>, tensor<1xi32>, tensor<1xi8>, tensor<1xi32>, tensor<1xi8>) -> tensor<1x8x8x6xi8>
  return %r : tensor<1x8x8x6xi8>
}

// -----

// CHECK-LABEL: func.func @nothing_of_tosa
// CHECK-NEXT: return
func.func @nothing_of_tosa(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}

// -----

func.func @no_lowering(%x: tensor<1x4x8xf32>) -> tensor<1x4x5xf32> {
  // expected-error @below {{failed to legalize operation 'tosa.custom'}}
  %c = tosa.custom %x {operator_name = "c", domain_name = "d", implementation_attrs = ""} : (tensor<1x4x8xf32>) -> tensor<1x4x5xf32>
  return %c : tensor<1x4x5xf32>
}
