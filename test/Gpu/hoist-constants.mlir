// RUN: tamis-opt %s --tamis-hoist-constants | FileCheck %s
// RUN: tamis-opt %s --tamis-hoist-constants --tamis-hoist-constants | FileCheck %s

// CHECK: ml_program.global private @constant(dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32>) : tensor<2xf32>
// CHECK-NOT: ml_program.global
// CHECK-LABEL: func.func @main
// CHECK: ml_program.global_load_const @constant : tensor<2xf32>
// CHECK: ml_program.global_load_const @constant : tensor<2xf32>
func.func @main() -> (tensor<2xf32>, tensor<2xf32>) {
  %a = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %b = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  return %a, %b : tensor<2xf32>, tensor<2xf32>
}

// Only @main loads parameters, and an index has no bytes of its own.
// CHECK-LABEL: func.func @keeps_constant_of_another_function
// CHECK: arith.constant dense
func.func @keeps_constant_of_another_function() -> tensor<2xf32> {
  %a = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  return %a : tensor<2xf32>
}
