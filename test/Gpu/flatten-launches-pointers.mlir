// RUN: tamis-opt %s --tamis-flatten-launches=pointers | FileCheck %s

// Buffers are pointers of the device's memory; where they begin, sizes and
// scalars are arguments.
module attributes {gpu.container_module} {
  // CHECK-LABEL: gpu.func @kernel
  // CHECK-SAME: (%[[X:.*]]: !llvm.ptr<1>, %[[Y:.*]]: !llvm.ptr<1>, %{{.*}}: i32, %{{.*}}: i32, %[[N:.*]]: i32)
  gpu.module @device {
    gpu.func @kernel(%x: memref<?xf32>, %y: memref<4xi1>) kernel {
      %c1 = arith.constant 1 : index
      %c0 = arith.constant 0 : index
      // CHECK: arith.index_cast %[[N]] : i32 to index
      %n = memref.dim %x, %c0 : memref<?xf32>
      %last = arith.subi %n, %c1 : index
      // CHECK: %[[F:.*]] = llvm.load %{{.*}} : !llvm.ptr<1> -> f32
      %f = memref.load %x[%last] : memref<?xf32>
      %zero = arith.constant 0.0 : f32
      %b = arith.cmpf ogt, %f, %zero : f32
      // CHECK: arith.extui
      // CHECK: llvm.store %{{.*}} : i8, !llvm.ptr<1>
      memref.store %b, %y[%c1] : memref<4xi1>
      // CHECK: llvm.ptrtoint
      %p = memref.extract_aligned_pointer_as_index %x : memref<?xf32> -> index
      %q = arith.index_cast %p : index to i64
      %r = llvm.inttoptr %q : i64 to !llvm.ptr<1>
      llvm.store %f, %r : f32, !llvm.ptr<1>
      gpu.return
    }
  }
}
