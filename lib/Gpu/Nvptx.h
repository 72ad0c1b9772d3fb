// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From device modules to PTX.
#ifndef TAMIS_LIB_GPU_NVPTX_H
#define TAMIS_LIB_GPU_NVPTX_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "tamis/Gpu/Tensor.h"

namespace mlir::tamis::device {

/// The chip of an NVIDIA target, as ptxas spells it: `sm_80`.
StringRef getChip(TargetAttr target);

/// The PTX of `modules`, whose functions are of the LLVM dialect, as one text.
/// Reports at the first module what does not translate.
FailureOr<std::string> serializePtx(ArrayRef<gpu::GPUModuleOp> modules,
                                    TargetAttr target);

} // namespace mlir::tamis::device

#endif // TAMIS_LIB_GPU_NVPTX_H
