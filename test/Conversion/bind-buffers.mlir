// RUN: tamis-opt %s --tamis-bind-buffers | FileCheck %s
// RUN: tamis-opt %s --tamis-bind-buffers --tamis-bind-buffers | FileCheck %s

// CHECK: tamis.interface = {inputs = [{dims = [2, 3], dtype = "float32", name = "x"}]
// CHECK-SAME: outputs = [{dims = [2, 3], dtype = "float32", name = "y"}]

ml_program.global private @first(dense<1.0> : tensor<5xf32>) : tensor<5xf32>
ml_program.global private @w(dense<2.0> : tensor<2x3xf32>) : tensor<2x3xf32>

// @w follows @first at the next multiple of 64 bytes.
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:.+]]: memref<2x3xf32> {{.*}}, %[[Y:.+]]: memref<2x3xf32> {tamis.output = 0 : i64}, %{{.+}}: memref<?xi8>, %[[WEIGHTS:.+]]: memref<?xi8>)
// CHECK: %[[AT:.+]] = arith.constant 64 : index
// CHECK: memref.view %[[WEIGHTS]][%[[AT]]][] : memref<?xi8> to memref<2x3xf32>
// CHECK: bufferization.to_tensor %[[X]] restrict
// CHECK: bufferization.materialize_in_destination %{{.+}} in restrict writable %[[Y]]
func.func @main(%x: tensor<2x3xf32> {tamis.name = "x", tamis.dtype = "float32"})
    -> (tensor<2x3xf32> {tamis.name = "y", tamis.dtype = "float32"}) {
  %w = ml_program.global_load_const @w : tensor<2x3xf32>
  %e = tensor.empty() : tensor<2x3xf32>
  %y = linalg.add ins(%x, %w : tensor<2x3xf32>, tensor<2x3xf32>) outs(%e : tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}
