// RUN: tamis-opt %s --tamis-outline-kernels | FileCheck %s

// Two additions of the same shape share a kernel, the third shape has its own.
// CHECK-LABEL: func.func private @kernel_0
// CHECK: linalg.add
// CHECK-LABEL: func.func private @kernel_1
// CHECK: linalg.add
// CHECK-NOT: @kernel_2
// CHECK-LABEL: func.func @main
// CHECK: call @kernel_0
// CHECK: call @kernel_0
// CHECK: call @kernel_1
func.func @main(%a: memref<4x4xf32>, %b: memref<4x4xf32>, %workspace: memref<?xi8>, %weights: memref<?xi8>) {
  linalg.add ins(%a, %b : memref<4x4xf32>, memref<4x4xf32>) outs(%a : memref<4x4xf32>)
  linalg.add ins(%b, %a : memref<4x4xf32>, memref<4x4xf32>) outs(%b : memref<4x4xf32>)
  %s = memref.subview %a[1, 0] [2, 4] [1, 1] : memref<4x4xf32> to memref<2x4xf32, strided<[4, 1], offset: 4>>
  linalg.add ins(%s, %s : memref<2x4xf32, strided<[4, 1], offset: 4>>, memref<2x4xf32, strided<[4, 1], offset: 4>>)
    outs(%s : memref<2x4xf32, strided<[4, 1], offset: 4>>)
  return
}
