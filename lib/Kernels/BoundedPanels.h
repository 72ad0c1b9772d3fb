// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Weights as bounded panels (see #tamis.bounded): counted by the pass that
// decides on them, written by the one that packs.
#ifndef TAMIS_LIB_KERNELS_BOUNDEDPANELS_H
#define TAMIS_LIB_KERNELS_BOUNDEDPANELS_H

#include "tamis/IR/Tamis.h"

namespace mlir::tamis {

/// What the weights of one sign of a 16-bit sum may be together: 255 times as
/// much is less than 2^15.
inline constexpr int kWeightBound = 128;

/// Where the steps of panels lie: rows of `width` columns of four elements,
/// enough of them for runs of `run` elements.
struct BoundedShape {
  static constexpr int64_t kStep = 4;

  int64_t width = 0, run = 0;
  /// Steps whose products are added up in 16 bits.
  int64_t steps = 1;

  int64_t getRowBytes() const { return kStep * width; }
  int64_t getRows() const { return llvm::divideCeil(run, kStep); }
};

/// Entries: values, `getRowBytes()` of each, and where each begins in the
/// reduction.
struct BoundedEntries {
  std::vector<char> values;
  std::vector<int32_t> places;
};

/// Makes the weights of one run of a panel small enough and appends what it
/// takes away. The run begins at element `place`; it has at least four.
void boundRun(MutableArrayRef<char> rows, const BoundedShape &shape,
              int64_t place, BoundedEntries &entries);

/// The arrays of bounded panels.
struct BoundedPanels {
  std::vector<char> panels;
  BoundedEntries entries;
  std::vector<int32_t> starts;
};
BoundedPanels makeBoundedPanels(ArrayRef<char> packed, int64_t panels,
                                const BoundedShape &shape);

} // namespace mlir::tamis

#endif // TAMIS_LIB_KERNELS_BOUNDEDPANELS_H
