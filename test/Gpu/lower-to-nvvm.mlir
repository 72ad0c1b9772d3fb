// RUN: tamis-opt %s --pass-pipeline='builtin.module(gpu.module(tamis-lower-to-nvvm))' | FileCheck %s

gpu.module @device {
  // CHECK: llvm.mlir.global internal @[[MEMORY:.*]](){{.*}}addr_space = 3
  // CHECK-LABEL: llvm.func @kernel
  // CHECK-SAME: nvvm.minctasm = 1
  // CHECK-DAG: nvvm.read.ptx.sreg.tid.x
  // CHECK-DAG: llvm.intr.roundeven
  // CHECK-DAG: llvm.intr.sqrt
  // CHECK-DAG: llvm.intr.maxnum
  // CHECK-DAG: nvvm.barrier
  // CHECK-NOT: __nv_
  // CHECK: llvm.return
  gpu.func @kernel(%from: !llvm.ptr<1>) workgroup(%memory: memref<32xf32, #gpu.address_space<workgroup>>) kernel
      attributes {known_block_size = array<i32: 32, 1, 1>} {
    %i = gpu.thread_id x
    %x = llvm.load %from : !llvm.ptr<1> -> f32
    %r = math.roundeven %x : f32
    %q = arith.maxnumf %r, %x : f32
    %s = math.sqrt %q : f32
    memref.store %s, %memory[%i] : memref<32xf32, #gpu.address_space<workgroup>>
    gpu.barrier
    %y = memref.load %memory[%i] : memref<32xf32, #gpu.address_space<workgroup>>
    llvm.store %y, %from : f32, !llvm.ptr<1>
    gpu.return
  }
}
