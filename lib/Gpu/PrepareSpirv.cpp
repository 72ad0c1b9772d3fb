// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Facts about the device as attributes that upstream's conversion reads.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SPIRV/IR/SPIRVDialect.h"
#include "mlir/Dialect/SPIRV/IR/TargetAndABI.h"
#include "tamis/Gpu/Passes.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_PREPARESPIRV
#include "tamis/Gpu/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

/// Not all of it is in every device: the binary names what it uses, and the
/// runtime asks for that. SPIR-V beyond 1.3 would need Vulkan 1.2, and
/// upstream writes entry points of later versions wrongly.
static spirv::TargetEnvAttr getEnvironment(MLIRContext *context) {
  using spirv::Capability;
  using spirv::Extension;
  auto triple = spirv::VerCapExtAttr::get(
      spirv::Version::V_1_3,
      {Capability::Shader, Capability::Int8, Capability::Int16,
       Capability::Int64, Capability::Float16,
       Capability::StorageBuffer8BitAccess,
       Capability::StorageBuffer16BitAccess},
      {Extension::SPV_KHR_storage_buffer_storage_class,
       Extension::SPV_KHR_8bit_storage, Extension::SPV_KHR_16bit_storage},
      context);
  return spirv::TargetEnvAttr::get(
      triple, spirv::getDefaultResourceLimits(context),
      spirv::ClientAPI::Vulkan, spirv::Vendor::Unknown,
      spirv::DeviceType::Unknown, spirv::TargetEnvAttr::kUnknownDeviceID);
}

namespace {
struct PrepareSpirv : public tamis::impl::PrepareSpirvBase<PrepareSpirv> {
  using PrepareSpirvBase::PrepareSpirvBase;

  void runOnOperation() override {
    gpu::GPUModuleOp module = getOperation();
    MLIRContext *context = &getContext();
    module->setAttr(spirv::getTargetEnvAttrName(), getEnvironment(context));
    for (auto function : module.getOps<gpu::GPUFuncOp>()) {
      auto size = function.getKnownBlockSize();
      if (!function.isKernel() || !size) {
        function.emitOpError("expected a kernel with known_block_size");
        return signalPassFailure();
      }
      function->setAttr(spirv::getEntryPointABIAttrName(),
                        spirv::getEntryPointABIAttr(context, *size));
      allocateWorkgroupMemory(function);
      function.walk(defineResults);
    }
  }

  /// Upstream's loops have no result where they do not run at all.
  static void defineResults(scf::ForOp loop) {
    if (loop.getNumResults() == 0)
      return;
    OpBuilder b(loop->getContext());
    b.setInsertionPointAfter(loop);
    Location loc = loop.getLoc();
    Value runs =
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt,
                              loop.getLowerBound(), loop.getUpperBound());
    for (auto [result, init] : llvm::zip(loop.getResults(), loop.getInits())) {
      auto select = arith::SelectOp::create(b, loc, runs, result, init);
      result.replaceAllUsesExcept(select, select);
    }
  }

  /// Upstream converts this form of workgroup memory, not the arguments.
  static void allocateWorkgroupMemory(gpu::GPUFuncOp function) {
    Block &entry = function.getBody().front();
    OpBuilder b = OpBuilder::atBlockBegin(&entry);
    auto space = spirv::StorageClassAttr::get(function.getContext(),
                                              spirv::StorageClass::Workgroup);
    unsigned first = function.getFunctionType().getNumInputs();
    unsigned count = function.getNumWorkgroupAttributions();
    for (BlockArgument memory : function.getWorkgroupAttributions()) {
      auto type = cast<MemRefType>(memory.getType());
      Value alloc = memref::AllocOp::create(
          b, function.getLoc(),
          MemRefType::get(type.getShape(), type.getElementType(),
                          type.getLayout(), space));
      memory.replaceAllUsesWith(alloc);
    }
    entry.eraseArguments(first, count);
    function->removeAttr(function.getNumWorkgroupAttributionsAttrName());
  }
};
} // namespace
