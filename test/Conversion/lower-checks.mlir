// RUN: tamis-opt %s --tamis-lower-checks | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[OK:.+]]: i1, %[[WORKSPACE:[^:]+]]: memref<?xi8>
// CHECK: %[[WORD:.+]] = memref.view %[[WORKSPACE]]
// CHECK: %[[BITS:.+]] = arith.select %[[OK]], %{{.+}}, %{{.+}} : i32
// CHECK: %[[OLD:.+]] = memref.load %[[WORD]][]
// CHECK: arith.ori %[[OLD]], %[[BITS]]
// CHECK: memref.store
func.func @main(%ok: i1, %workspace: memref<?xi8>, %weights: memref<?xi8>) {
  // CHECK-NOT: leave_on_error
  tamis_kernel.check %ok, 1
  // What follows would be out of bounds.
  // CHECK: memref.store {{.+}} {tamis.leave_on_error}
  tamis_kernel.check %ok, 64
  return
}
