// REQUIRES: ptxas
// RUN: rm -rf %t && mkdir %t
// RUN: tamis-opt %s --pass-pipeline='builtin.module(tamis-embed-kernels{folder=%t})' | FileCheck %s
// RUN: test -s %t/kernels.ptx
// RUN: test -s %t/kernels.cubin
// RUN: tamis-opt %s --pass-pipeline='builtin.module(tamis-embed-kernels{assemble=false})' | FileCheck %s --check-prefix=PTX
// RUN: not tamis-opt %s --pass-pipeline='builtin.module(tamis-embed-kernels{ptxas=%t/none})' 2>&1 | FileCheck %s --check-prefix=NONE

// CHECK: tamis.device = {code = "cubin of sm_89, and PTX for other chips", kernels = 1 : i64}
// CHECK: llvm.mlir.global internal constant @tamis_cubin("\7FELF
// CHECK: llvm.mlir.global internal constant @tamis_kernels
// CHECK: llvm.mlir.addressof @tamis_cubin

// PTX: tamis.device = {kernels = 1 : i64}
// PTX-NOT: @tamis_cubin
// PTX: llvm.mlir.zero : !llvm.ptr

// NONE: error: ptxas '{{.*}}none': {{.*}}No such file
module attributes {gpu.container_module, tamis.device = {kernels = 1 : i64},
    tamis.target = #tamis.target<"nvptx64", ["mma", "mma-sp", "sm_89"]>} {
  gpu.module @kernels {
    llvm.func @kernel(%a: !llvm.ptr<1>) attributes {gpu.kernel, nvvm.kernel, gpu.known_block_size = array<i32: 64, 1, 1>} {
      %x = llvm.mlir.constant(1.0 : f32) : f32
      llvm.store %x, %a : f32, !llvm.ptr<1>
      llvm.return
    }
  }
}
