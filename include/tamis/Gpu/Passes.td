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
    "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect",
    "::mlir::memref::MemRefDialect", "::mlir::NVVM::NVVMDialect",
    "::mlir::scf::SCFDialect"];
  let statistics = [
    Statistic<"numMapped", "mapped", "Kernels that run on the device">,
    Statistic<"numHost", "host", "Kernels that stay on the host">];
}

def SelectFragments : Pass<"tamis-select-fragments", "::mlir::ModuleOp"> {
  let summary = "decides fragment instruction and tiles of every contraction";
  let description = [{
    For a GPU, `tamis.contract` on tensors becomes `tamis_gpu.contract` with the
    best fragment instruction the target has (include/tamis/Gpu/TensorOps.td);
    constant right operands are brought into the order of its tiles by
    `tamis_kernel.pack`, those of two zeros among four by `tamis_gpu.compress`
    too, others are read where they lie. Padding becomes `tensor.pad`.
    Contractions it cannot take stay with the reason why; the generic lowering
    takes them. test/Gpu/select-fragments.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
    "::mlir::tensor::TensorDialect", "::mlir::tamis::device::TamisGpuDialect",
    "::mlir::tamis::kernel::TamisKernelDialect"];
  let statistics = [
    Statistic<"numSelected", "selected", "Contractions given fragments">,
    Statistic<"numLeft", "left", "Contractions left to the generic lowering">];
}

def CompressWeights : Pass<"tamis-compress-weights", "::mlir::ModuleOp"> {
  let summary = "leaves out the zeros of 2:4 weights at compile time";
  let description = [{
    `tamis_gpu.compress` of packed constants becomes two parameters: the values
    that are left and the metadata that says where they were. It runs after
    `--tamis-pack-parameters`. test/Gpu/compress-weights.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
    "::mlir::ml_program::MLProgramDialect"];
  let statistics = [
    Statistic<"numCompressed", "compressed", "Operands compressed">];
}

#endif // TAMIS_GPU_PASSES_TD
