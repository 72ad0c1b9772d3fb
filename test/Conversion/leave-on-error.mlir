// RUN: tamis-opt %s --tamis-leave-on-error | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK: memref.store %[[WORD:.+]], %{{.+}}[] : memref<i32>
// CHECK: %[[FINE:.+]] = arith.cmpi eq, %[[WORD]]
// CHECK: cf.cond_br %[[FINE]], ^[[NEXT:.+]], ^[[LEAVE:.+]]
// CHECK: ^[[NEXT]]:
// CHECK: memref.store
// CHECK: ^[[LEAVE]]:
// CHECK-NEXT: return
func.func @main(%word: i32, %error: memref<i32>, %x: memref<4xf32>, %f: f32) {
  %c0 = arith.constant 0 : index
  memref.store %word, %error[] {tamis.leave_on_error} : memref<i32>
  memref.store %f, %x[%c0] : memref<4xf32>
  return
}
