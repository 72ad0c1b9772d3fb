// RUN: tamis-opt %s --tamis-flatten-launches | FileCheck %s

module attributes {gpu.container_module} {
  gpu.module @device {
    // Two buffers and a bool as bytes, then words: three offsets, the open size
    // and stride of the second, the scalars, of which a long has two words.
    // CHECK-LABEL: gpu.func @kernel
    // CHECK-SAME: (%[[A:.+]]: memref<?xf32, #spirv.storage_class<StorageBuffer>>, %[[B:.+]]: memref<?xi64, #spirv.storage_class<StorageBuffer>>, %[[C:.+]]: memref<?xi8, #spirv.storage_class<StorageBuffer>>, %[[W:.+]]: memref<9xi32, #spirv.storage_class<StorageBuffer>>) kernel
    gpu.func @kernel(%a: memref<4x8xf32>, %b: memref<?xi64, strided<[?], offset: ?>>, %c: memref<8xi1>, %n: index, %x: f32, %l: i64) kernel
        attributes {known_block_size = array<i32: 64, 1, 1>} {
      %c0 = arith.constant 0 : index
      %c3 = arith.constant 3 : index
      // CHECK: %[[OFFSET:.+]] = memref.load %[[W]][%{{.*}}]
      // CHECK: %[[STRIDE:.+]] = arith.index_cast
      // CHECK: arith.bitcast %{{.*}} : i32 to f32
      // CHECK: %[[HIGH:.+]] = arith.shli
      // CHECK: %[[LONG:.+]] = arith.ori %{{.*}}, %[[HIGH]] : i64
      // CHECK: memref.load %[[A]][%{{.*}}] : memref<?xf32
      // CHECK: memref.load %[[B]][%{{.*}}] : memref<?xi64
      // CHECK: %[[BYTE:.+]] = memref.load %[[C]][%{{.*}}] : memref<?xi8
      // CHECK: %[[BOOL:.+]] = arith.cmpi ne, %[[BYTE]], %{{.*}} : i8
      // CHECK: arith.addi %{{.*}}, %[[LONG]] : i64
      // CHECK: %[[EXT:.+]] = arith.extui %{{.*}} : i1 to i8
      // CHECK: memref.store %[[EXT]], %[[C]]
      %0 = memref.load %a[%c3, %n] : memref<4x8xf32>
      %1 = memref.load %b[%n] : memref<?xi64, strided<[?], offset: ?>>
      %2 = memref.load %c[%n] : memref<8xi1>
      %3 = arith.addf %0, %x : f32
      %4 = arith.cmpf olt, %3, %x : f32
      %5 = arith.andi %4, %2 : i1
      %d = memref.dim %b, %c0 : memref<?xi64, strided<[?], offset: ?>>
      %6 = arith.index_cast %d : index to i64
      %7 = arith.addi %6, %l : i64
      memref.store %7, %b[%c0] : memref<?xi64, strided<[?], offset: ?>>
      memref.store %5, %c[%n] : memref<8xi1>
      gpu.return
    }
  }

  // The workspace brings the runtime's context; kernel 0 is the first.
  // CHECK-LABEL: func.func private @stub
  // CHECK-SAME: %[[MEMORY:[a-z0-9]+]]: memref<?xi8>)
  // CHECK: %[[CONTEXT:.+]] = llvm.load %{{.*}} : !llvm.ptr -> !llvm.ptr
  // CHECK: %[[NUMBER:.+]] = llvm.mlir.constant(0 : i64)
  // CHECK: call @tamis_rt_launch(%[[CONTEXT]], %[[NUMBER]], %{{.*}}, %{{.*}})
  func.func private @stub(%a: memref<4x8xf32>, %b: memref<?xi64, strided<[?], offset: ?>>, %c: memref<8xi1>, %n: index, %x: f32, %l: i64) {
    %one = arith.constant 1 : index
    %group = arith.constant 64 : index
    gpu.launch_func @device::@kernel blocks in (%one, %one, %one) threads in (%group, %one, %one)
        args(%a : memref<4x8xf32>, %b : memref<?xi64, strided<[?], offset: ?>>, %c : memref<8xi1>, %n : index, %x : f32, %l : i64)
    return
  }
  func.func private @tamis_device_wait()

  // CHECK-LABEL: func.func @main
  // CHECK: call @stub(%arg0, %arg1, %arg2, %{{.*}}, %arg3, %{{.*}}, %arg4)
  // CHECK: call @tamis_rt_synchronize(%{{.*}}) : (!llvm.ptr) -> ()
  // CHECK-NOT: tamis_device_wait
  func.func @main(%a: memref<4x8xf32>, %b: memref<?xi64, strided<[?], offset: ?>>, %c: memref<8xi1>, %x: f32, %workspace: memref<?xi8>, %weights: memref<?xi8>) {
    %n = arith.constant 5 : index
    %l = arith.constant 5 : i64
    call @stub(%a, %b, %c, %n, %x, %l) : (memref<4x8xf32>, memref<?xi64, strided<[?], offset: ?>>, memref<8xi1>, index, f32, i64) -> ()
    call @tamis_device_wait() : () -> ()
    return
  }
}
