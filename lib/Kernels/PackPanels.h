// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What tamis_kernel.pack makes of a constant.
#ifndef TAMIS_LIB_KERNELS_PACKPANELS_H
#define TAMIS_LIB_KERNELS_PACKPANELS_H

#include "mlir/IR/AsmState.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Kernels/SourceView.h"

namespace mlir::tamis {

/// The packed bytes and, where the op asks for them, the sums of its columns.
FailureOr<std::pair<AsmResourceBlob, AsmResourceBlob>>
packPanels(kernel::PackOp op, const SourceView &view);

/// What packing a constant of equal elements gives, in one element instead of
/// all their bytes; null where other elements pad it. Columns that nobody reads
/// may hold anything.
DenseElementsAttr packSplat(kernel::PackOp op, const SourceView &view);

} // namespace mlir::tamis

#endif // TAMIS_LIB_KERNELS_PACKPANELS_H
