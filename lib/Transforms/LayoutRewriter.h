// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Applies the layouts that DimensionLabels decides.
#ifndef TAMIS_LIB_TRANSFORMS_LAYOUTREWRITER_H
#define TAMIS_LIB_TRANSFORMS_LAYOUTREWRITER_H

#include "DimensionLabels.h"

namespace mlir::tamis {

/// Moves every value of `func` to its layout, with transposes where an
/// operation needs the order the model has. Returns how many operations were
/// rewritten.
int64_t rewriteLayouts(func::FuncOp func, DimensionLabels &labels);

} // namespace mlir::tamis

#endif // TAMIS_LIB_TRANSFORMS_LAYOUTREWRITER_H
