// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Passes that make device code. They run on memrefs, after the memory plan and
// outlining.

#ifndef TAMIS_GPU_PASSES_TD
#define TAMIS_GPU_PASSES_TD

include "mlir/Pass/PassBase.td"

def MapToGpu : Pass<"tamis-map-to-gpu", "::mlir::ModuleOp"> {
  let summary = "outlined kernels become gpu functions and launches";
  let description = [{
    Each function `@kernel_N` that `--tamis-outline-kernels` made does its work
    in `gpu.launch`, by the first mapping (include/tamis/Gpu/Mapping.h) that takes
    its operation. What no mapping takes, and @main itself, stays on the host and
    uses the same memory: before it does, a call of `@tamis_rt_synchronize`
    waits for the device. Idempotent.

    Sets the module attribute `tamis.device`: how many kernels run there, and
    those that stay with the reason. test/Gpu/map-to-gpu.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
    "::mlir::func::FuncDialect", "::mlir::gpu::GPUDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"];
  let statistics = [
    Statistic<"numMapped", "mapped", "Kernels that run on the device">,
    Statistic<"numHost", "host", "Kernels that stay on the host">];
}

#endif // TAMIS_GPU_PASSES_TD
