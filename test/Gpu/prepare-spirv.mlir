// RUN: tamis-opt %s --pass-pipeline='builtin.module(gpu.module(tamis-prepare-spirv))' | FileCheck %s

// CHECK: gpu.module @device attributes {spirv.target_env = #spirv.target_env<#spirv.vce<v1.3, [Shader, {{.*}}StorageBuffer8BitAccess{{.*}}>, api=Vulkan
gpu.module @device {
  // CHECK-LABEL: gpu.func @kernel
  // CHECK-SAME: (%arg0: memref<?xf32, #spirv.storage_class<StorageBuffer>>) kernel
  // CHECK-SAME: spirv.entry_point_abi = #spirv.entry_point_abi<workgroup_size = [32, 2, 1]>
  // CHECK: %[[SHARED:.+]] = memref.alloc() : memref<64xf32, #spirv.storage_class<Workgroup>>
  // CHECK: memref.load %[[SHARED]]
  gpu.func @kernel(%a: memref<?xf32, #spirv.storage_class<StorageBuffer>>)
      workgroup(%shared : memref<64xf32, #gpu.address_space<workgroup>>) kernel
      attributes {known_block_size = array<i32: 32, 2, 1>} {
    %c0 = arith.constant 0 : index
    %0 = memref.load %shared[%c0] : memref<64xf32, #gpu.address_space<workgroup>>
    memref.store %0, %a[%c0] : memref<?xf32, #spirv.storage_class<StorageBuffer>>
    gpu.return
  }

  // A loop that may not run at all has the values it began with.
  // CHECK-LABEL: gpu.func @loop
  // CHECK: %[[SUM:.+]] = scf.for %{{.+}} = %[[FROM:[a-z0-9_]+]] to %[[TO:[a-z0-9_]+]] step %{{.+}} iter_args(%{{.+}} = %[[START:[a-z0-9_]+]])
  // CHECK: %[[RUNS:.+]] = arith.cmpi slt, %[[FROM]], %[[TO]]
  // CHECK: %[[RESULT:.+]] = arith.select %[[RUNS]], %[[SUM]], %[[START]]
  // CHECK: memref.store %[[RESULT]]
  gpu.func @loop(%a: memref<?xf32, #spirv.storage_class<StorageBuffer>>) kernel
      attributes {known_block_size = array<i32: 32, 1, 1>} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %n = memref.dim %a, %c0 : memref<?xf32, #spirv.storage_class<StorageBuffer>>
    %one = arith.constant 1.0 : f32
    %0 = scf.for %i = %c1 to %n step %c1 iter_args(%x = %one) -> f32 {
      %y = arith.addf %x, %x : f32
      scf.yield %y : f32
    }
    memref.store %0, %a[%c0] : memref<?xf32, #spirv.storage_class<StorageBuffer>>
    gpu.return
  }
}
