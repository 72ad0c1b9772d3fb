// RUN: rm -rf %t && mkdir %t
// RUN: tamis-opt %s --pass-pipeline='builtin.module(tamis-embed-kernels{folder=%t})' | FileCheck %s
// RUN: test -s %t/device.spv

// CHECK-NOT: gpu.module
// CHECK-NOT: spirv.module
gpu.module @device {
  gpu.func @kernel(%a: memref<?xf32, #spirv.storage_class<StorageBuffer>>, %b: memref<?xi8, #spirv.storage_class<StorageBuffer>>, %w: memref<5xi32, #spirv.storage_class<StorageBuffer>>) kernel {
    gpu.return
  }
}
spirv.module @__spv__device Logical GLSL450 requires #spirv.vce<v1.3, [Shader, Int64], []> {
  spirv.func @kernel(%x: f32) -> f32 "None" {
    %0 = spirv.FMul %x, %x : f32
    spirv.ReturnValue %0 : f32
  }
}

// The magic number of SPIR-V, its version; a buffer of floats and one of bytes.
// CHECK: llvm.mlir.global internal constant @device_code(dense<[119734787, 66304,
// CHECK: llvm.mlir.global internal constant @kernel_name("kernel\00")
// CHECK: llvm.mlir.global internal constant @kernel_elements(dense<[4, 1]>
// CHECK: llvm.mlir.global internal constant @tamis_kernels
// CHECK-DAG: llvm.mlir.addressof @device_code
// CHECK-DAG: llvm.mlir.constant(2 : i32)
// CHECK-DAG: llvm.mlir.constant(5 : i32)
// Int64 is bit 2.
// CHECK-DAG: llvm.mlir.constant(4 : i32)
