// RUN: tamis-opt %s --tamis-lower-parallel=threads=2 | FileCheck %s
// RUN: tamis-opt %s --tamis-lower-parallel=threads=1 | FileCheck %s --check-prefix=SERIAL

// CHECK-LABEL: func.func private @kernel_0_task_0
// CHECK-SAME: (%{{.+}}: !llvm.ptr, %{{.+}}: i64)
// CHECK: memref.store
// CHECK-LABEL: func.func private @kernel_0
// CHECK-SAME: (%{{.+}}: memref<8xf32>, %{{.+}}: memref<?xi8>)
// CHECK: call @tamis_rt_parallel
// CHECK-LABEL: func.func @main
// CHECK: call @kernel_0(%{{.+}}, %{{.+}}) : (memref<8xf32>, memref<?xi8>) -> ()

// SERIAL-LABEL: func.func private @kernel_0
// SERIAL: scf.for
// SERIAL-NOT: tamis_rt_parallel
func.func private @kernel_0(%a: memref<8xf32>) {
  %f = arith.constant 1.0 : f32
  scf.forall (%t) in (8) {
    memref.store %f, %a[%t] : memref<8xf32>
  }
  return
}
func.func @main(%a: memref<8xf32>, %workspace: memref<?xi8>, %weights: memref<?xi8>) {
  call @kernel_0(%a) : (memref<8xf32>) -> ()
  return
}
