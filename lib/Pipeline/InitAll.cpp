// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a Tamis pipeline needs registered.
#include "tamis/InitAll.h"
#include "mlir/Conversion/ConvertToLLVM/ToLLVMPass.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"
#include "tamis/Compress/ChannelGroups.h"
#include "tamis/Compress/Passes.h"
#include "tamis/Conversion/ExternalModels.h"
#include "tamis/Conversion/Passes.h"
#include "tamis/Gpu/Passes.h"
#include "tamis/Gpu/Tensor.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Kernels/Passes.h"
#include "tamis/Pipeline/Pipeline.h"
#include "tamis/Transforms/Passes.h"

using namespace mlir;

void mlir::tamis::registerAllDialects(DialectRegistry &registry) {
  // Before upstream's: the first model of an interface counts.
  registerSubsetModels(registry);
  // Upstream registration carries the external models; registering is cheap,
  // only loading a dialect costs time.
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  registerAllToLLVMIRTranslations(registry);
  registry.insert<TamisDialect, kernel::TamisKernelDialect,
                  device::TamisGpuDialect>();
  registerKernelExternalModels(registry);
  device::registerTensorExternalModels(registry);
  registerPrunableModels(registry);
}

void mlir::tamis::registerAllPasses() {
  registerTamisConversionPasses();
  registerTamisTransformsPasses();
  registerTamisCompressPasses();
  registerTamisKernelsPasses();
  registerTamisGpuPasses();
  registerPipelines();
}
