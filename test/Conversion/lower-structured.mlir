// RUN: tamis-opt %s --tamis-lower-structured | FileCheck %s

// CHECK-LABEL: func.func @fill
// CHECK: scf.for
// CHECK-NEXT: scf.for
// CHECK: memref.store
// CHECK-NOT: linalg
func.func @fill(%m: memref<3x?xf32>, %v: f32) {
  linalg.fill ins(%v : f32) outs(%m : memref<3x?xf32>)
  return
}

// Values are bufferized before.
// CHECK-LABEL: func.func @leaves_tensors
// CHECK: linalg.fill
func.func @leaves_tensors(%t: tensor<3xf32>, %v: f32) -> tensor<3xf32> {
  %f = linalg.fill ins(%v : f32) outs(%t : tensor<3xf32>) -> tensor<3xf32>
  return %f : tensor<3xf32>
}
