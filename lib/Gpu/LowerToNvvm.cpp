// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Device modules to the LLVM and NVVM dialects in one conversion. Upstream's
// pass sends rounding and roots to libdevice, which is not on every machine;
// PTX has instructions for all that is left of math, so LLVM's own form goes
// first.
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h"
#include "mlir/Conversion/GPUToNVVM/GPUToNVVMPass.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Transforms/DialectConversion.h"
#include "tamis/Gpu/Passes.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_LOWERTONVVM
#include "tamis/Gpu/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;

namespace {
struct LowerToNvvm : public tamis::impl::LowerToNvvmBase<LowerToNvvm> {
  void runOnOperation() override {
    gpu::GPUModuleOp module = getOperation();
    MLIRContext *context = &getContext();
    LLVMTypeConverter converter(context);
    configureGpuToNVVMTypeConverter(converter);
    RewritePatternSet patterns(context);
    populateMathToLLVMConversionPatterns(converter, patterns,
                                         /*approximateLog1p=*/false);
    arith::populateCeilFloorDivExpandOpsPatterns(patterns);
    arith::populateArithToLLVMConversionPatterns(converter, patterns);
    cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
    populateFuncToLLVMConversionPatterns(converter, patterns);
    populateFinalizeMemRefToLLVMConversionPatterns(converter, patterns);
    // Behind the others: they know a call for what LLVM has an operation for.
    populateGpuToNVVMConversionPatterns(converter, patterns, /*benefit=*/0);
    LLVMConversionTarget target(*context);
    target.addLegalDialect<NVVM::NVVMDialect>();
    target.addIllegalDialect<gpu::GPUDialect>();
    target.addLegalOp<gpu::GPUModuleOp>();
    if (failed(applyFullConversion(module, target, std::move(patterns))))
      return signalPassFailure();
    // Of kernels that share memory, one workgroup at a time is enough: without
    // being told, ptxas rather spills a register than let fewer workgroups in.
    if (module.getOps<LLVM::GlobalOp>().empty())
      return;
    Builder b(context);
    for (auto function : module.getOps<LLVM::LLVMFuncOp>())
      if (function->hasAttr(NVVM::NVVMDialect::getKernelFuncAttrName()))
        function->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(),
                          b.getI32IntegerAttr(1));
  }
};
} // namespace
