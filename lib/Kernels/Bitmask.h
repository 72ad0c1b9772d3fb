// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Weights as a bitmask (see #tamis.bitmask): counted by the pass that decides
// on it, written by the one that packs.
#ifndef TAMIS_LIB_KERNELS_BITMASK_H
#define TAMIS_LIB_KERNELS_BITMASK_H

#include "tamis/IR/Tamis.h"
#include "tamis/Kernels/SourceView.h"

namespace mlir::tamis {

/// The number of units of `unit` elements that are not all zero, of those that
/// `pack` makes of `view`.
int64_t countUnits(const SourceView &view, kernel::PackOp pack, int64_t unit);

/// The arrays of a bitmask: the bytes of the stored units and of one vector of
/// zeros, the masks as bytes, the first unit of each panel and the number of
/// all.
struct Bitmask {
  std::vector<char> values, masks;
  std::vector<int32_t> starts;
};

/// Leaves the zero units of `panels` equally large panels out. `packed` holds
/// whole vectors of `units` units of `unitBytes` bytes, each a float32 if
/// `isFloat`.
Bitmask makeBitmask(ArrayRef<char> packed, int64_t panels, int64_t units,
                    int64_t unitBytes, bool isFloat);

} // namespace mlir::tamis

#endif // TAMIS_LIB_KERNELS_BITMASK_H
