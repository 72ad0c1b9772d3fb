// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From device modules to PTX, and to a cubin.
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

/// The ELF file that `ptxas`, a path, makes of `ptx` for `chip`. On failure
/// `error` has what it said, or why it did not run.
FailureOr<std::string> assemble(StringRef ptxas, StringRef chip, StringRef ptx,
                                std::string &error);

} // namespace mlir::tamis::device

#endif // TAMIS_LIB_GPU_NVPTX_H
