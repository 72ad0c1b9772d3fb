// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Passes that make device code. They run on memrefs, after the memory plan and
// outlining.

#ifndef TAMIS_GPU_PASSES_TD
#define TAMIS_GPU_PASSES_TD

include "mlir/Pass/PassBase.td"

def SelectFragments : Pass<"tamis-select-fragments", "::mlir::ModuleOp"> {
  let summary = "decides fragment instruction and tiles of every contraction";
  let description = [{
    For a GPU, `tamis.contract` on tensors becomes `tamis_gpu.contract` with the
    best fragment instruction the target has (include/tamis/Gpu/TensorOps.td);
    constant right operands are brought into the order of its tiles by
    `tamis_kernel.pack`, those of two zeros among four by `tamis_gpu.compress`
    too, integers beside floats by `tamis_gpu.encode`; others are read where they
    lie. Sums of blocks and what adds them up become one contraction. Padding becomes `tensor.pad`.
    Words that are zero leave constant weights (`tamis_gpu.list`), and several
    workgroups divide a reduction, where the facts of the device in
    `#tamis.profile` promise a gain. What each fragment that takes the types is
    expected to take is noted for the report. Contractions it cannot take stay with the reason why; the generic lowering
    takes them. test/Gpu/select-fragments.mlir, test/Gpu/price-fragments.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
    "::mlir::tensor::TensorDialect", "::mlir::tamis::device::TamisGpuDialect",
    "::mlir::tamis::kernel::TamisKernelDialect"];
  let statistics = [
    Statistic<"numSelected", "selected", "Contractions given fragments">,
    Statistic<"numLeft", "left", "Contractions left to the generic lowering">];
}

def CompressWeights : Pass<"tamis-compress-weights", "::mlir::ModuleOp"> {
  let summary = "makes packed weights smaller at compile time";
  let description = [{
    `tamis_gpu.compress` of packed constants becomes two parameters: the values
    that are left and the metadata that says where they were; `tamis_gpu.list`
    records without zero words and where each begins; `tamis_gpu.encode`
    one of codes of few bits in the order of lanes. It runs after
    `--tamis-pack-parameters`. test/Gpu/compress-weights.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
    "::mlir::ml_program::MLProgramDialect"];
  let statistics = [
    Statistic<"numCompressed", "compressed", "Operands compressed">];
}

def LowerToNvvm : Pass<"tamis-lower-to-nvvm", "::mlir::gpu::GPUModuleOp"> {
  let summary = "device functions for NVIDIA in the LLVM dialect";
  let description = [{
    Everything in a `gpu.module` on plain pointers (`--tamis-flatten-launches`)
    becomes LLVM and NVVM operations. Nothing calls libdevice.
    test/Gpu/lower-to-nvvm.mlir
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect",
    "::mlir::NVVM::NVVMDialect"];
}

def HoistConstants : Pass<"tamis-hoist-constants", "::mlir::ModuleOp"> {
  let summary = "tensor constants of @main become parameters";
  let description = [{
    A device reads parameters, which are copied there once, but not the constants
    that bufferization leaves in the host's code. Equal constants share a
    parameter. test/Gpu/hoist-constants.mlir
  }];
  let dependentDialects = ["::mlir::ml_program::MLProgramDialect"];
  let statistics = [
    Statistic<"numHoisted", "hoisted", "Parameters made of constants">];
}

def GroupAttention : Pass<"tamis-group-attention", "::mlir::ModuleOp"> {
  let summary = "attention becomes one kernel with scores in workgroup memory";
  let description = [{
    On buffers, after `--tamis-fuse-rows=lanes`: where a contraction of floats
    makes scores, one loop over their rows reads and writes them, and another
    contraction takes them, the three move into one region, which is one kernel.
    Tiles become such that a strip of rows fits into workgroup memory
    (16 KiB, on NVIDIA devices 48); buffers of scores that nobody else
    needs go away. Each such pair is noted in the module attribute
    `tamis.attention`, with the reason where it stays as it is.
    test/Gpu/group-attention.mlir
  }];
  let dependentDialects = ["::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect"];
  let statistics = [
    Statistic<"numGrouped", "grouped", "Attentions that became one kernel">,
    Statistic<"numLeft", "left", "Attentions left as separate kernels">];
}

def MapToGpu : Pass<"tamis-map-to-gpu", "::mlir::ModuleOp"> {
  let summary = "outlined kernels become gpu functions and launches";
  let description = [{
    Each function `@kernel_N` that `--tamis-outline-kernels` made does its work
    in `gpu.launch`, by the first mapping (include/tamis/Gpu/Mapping.h) that takes
    its operation. What no mapping takes, and @main itself, stays on the host and
    uses the same memory: before it does, a call of `@tamis_device_wait` waits
    for the device. Idempotent.

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

def FlattenLaunches : Pass<"tamis-flatten-launches", "::mlir::ModuleOp"> {
  let summary = "launches on memrefs become launches on plain buffers";
  let description = [{
    For devices whose kernels see arrays without strides. In each
    kernel, a memref argument becomes a one-dimensional storage buffer, and the
    last argument a buffer of 32-bit words: for each memref the element where
    it begins in its buffer, then its open sizes and strides, then the scalars
    (64 bits are two words). A byte stands for each `i1`. With `pointers`
    (NVIDIA) buffers are pointers and each word is an argument.

    Each `gpu.launch_func` becomes a call of `tamis_rt_launch`, each call of
    `tamis_device_wait` one of `tamis_rt_synchronize`
    (include/tamis/Runtime/Runtime.h).
    A kernel has the number of its function in the order of the module.
    test/Gpu/flatten-launches.mlir
  }];
  let options = [Option<"pointers", "pointers", "bool", "false",
                        "kernels take pointers, and words one by one">];
  let dependentDialects = ["::mlir::arith::ArithDialect",
    "::mlir::func::FuncDialect", "::mlir::memref::MemRefDialect",
    "::mlir::LLVM::LLVMDialect", "::mlir::spirv::SPIRVDialect"];
}

def PrepareSpirv : Pass<"tamis-prepare-spirv", "::mlir::gpu::GPUModuleOp"> {
  let summary = "what upstream's conversion to SPIR-V wants to be told";
  let description = [{
    The target environment (Vulkan 1.1, SPIR-V 1.3, every capability the runtime
    knows how to ask a device for), the size of the workgroup from
    `known_block_size`, workgroup memory as `memref.alloc` of that storage class.
    test/Gpu/prepare-spirv.mlir
  }];
  let dependentDialects = ["::mlir::memref::MemRefDialect",
    "::mlir::spirv::SPIRVDialect"];
}

def EmbedKernels : Pass<"tamis-embed-kernels", "::mlir::ModuleOp"> {
  let summary = "device binaries become constants, with a table of kernels";
  let description = [{
    Each `spirv.module` that was made of a `gpu.module` is serialized into an
    LLVM constant; products and sums of floats are marked so that no device
    contracts them. For NVIDIA, all `gpu.module`, then of the LLVM dialect, become
    one PTX text, and where NVIDIA's assembler is found, or `ptxas` names it, a
    cubin of it beside it, which a driver takes without compiling. What that
    made of it, or that there is none, is `code` of the module attribute
    `tamis.device`. `@tamis_kernels` (`tamis_kernel[]` of
    include/tamis/Runtime/Runtime.h) has one entry for each kernel, in the order
    of their functions. Both kinds of modules are erased; `folder` keeps each
    binary as `<kernel>.spv`, or `kernels.ptx` and `kernels.cubin`, there too.
    test/Gpu/embed-kernels.mlir, embed-cubin.mlir
  }];
  let options = [Option<"folder", "folder", "std::string", "",
                        "also write binaries into this folder">,
                 Option<"assemble", "assemble", "bool", "true",
                        "make a cubin of PTX">,
                 Option<"ptxas", "ptxas", "std::string", "",
                        "NVIDIA's assembler; empty: the one on PATH, if any">];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

#endif // TAMIS_GPU_PASSES_TD
