// RUN: tamis-opt %s --pass-pipeline='builtin.module(func.func(tamis-lower-copies))' | FileCheck %s

// CHECK-LABEL: func.func @strided_becomes_a_generic
func.func @strided_becomes_a_generic(%a: memref<?x4xf32, strided<[8, 1], offset: ?>>, %b: memref<?x4xf32>) {
  // CHECK-NOT: memref.copy
  // CHECK: linalg.generic
  memref.copy %a, %b : memref<?x4xf32, strided<[8, 1], offset: ?>> to memref<?x4xf32>
  return
}

// CHECK-LABEL: func.func @keeps_contiguous
func.func @keeps_contiguous(%a: memref<?x4xf32>, %b: memref<?x4xf32>) {
  // CHECK: memref.copy
  memref.copy %a, %b : memref<?x4xf32> to memref<?x4xf32>
  return
}
