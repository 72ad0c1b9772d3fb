// RUN: tamis-opt %s --tamis-bind-buffers --eliminate-empty-tensors --tamis-bufferize | FileCheck %s

ml_program.global private @w(dense<2.0> : tensor<2x3xf32>) : tensor<2x3xf32>

// The result is computed in the caller's memory; the parameter stays global.
// CHECK: ml_program.global private @w
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[Y:[^:]+]]: memref<2x3xf32> {tamis.output = 0 : i64}
// CHECK-NOT: memref.alloc
// CHECK: linalg.add ins(%{{.+}}, %{{.+}} : {{.*}}) outs(%[[Y]] : memref<2x3xf32>)
func.func @main(%x: tensor<2x3xf32> {tamis.name = "x", tamis.dtype = "float32"})
    -> (tensor<2x3xf32> {tamis.name = "y", tamis.dtype = "float32"}) {
  %w = ml_program.global_load_const @w : tensor<2x3xf32>
  %e = tensor.empty() : tensor<2x3xf32>
  %y = linalg.add ins(%x, %w : tensor<2x3xf32>, tensor<2x3xf32>) outs(%e : tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}
