// RUN: tamis-opt %s -split-input-file --tamis-lower-checks | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[OK:.+]]: i1, %[[WORKSPACE:[^:]+]]: memref<?xi8>
// CHECK: %[[WORD:.+]] = memref.view %[[WORKSPACE]]
// CHECK: %[[BITS:.+]] = arith.select %[[OK]], %{{.+}}, %{{.+}} : i32
// CHECK: %[[OLD:.+]] = memref.load %[[WORD]][]
// CHECK: arith.ori %[[OLD]], %[[BITS]]
// CHECK: memref.store
func.func @main(%ok: i1, %workspace: memref<?xi8>, %weights: memref<?xi8>) {
  // CHECK-NOT: leave_on_error
  // CHECK: return
  tamis_kernel.check %ok, 1
  return
}

// -----

// What the check promises has reached the type of what stands before it.
// CHECK-LABEL: func.func @main
// CHECK: %[[N:.+]] = memref.dim
// CHECK: arith.cmpi eq, %[[N]]
// CHECK: memref.store {{.+}} {tamis.leave_on_error}
// CHECK: linalg.fill
func.func @main(%x: memref<?xf32>, %workspace: memref<?xi8>, %weights: memref<?xi8>) {
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %f = arith.constant 0.0 : f32
  %cast = memref.cast %x : memref<?xf32> to memref<4xf32>
  linalg.fill ins(%f : f32) outs(%cast : memref<4xf32>)
  %n = memref.dim %x, %c0 : memref<?xf32>
  %fits = arith.cmpi eq, %n, %c4 : index
  tamis_kernel.check %fits, 64
  return
}
