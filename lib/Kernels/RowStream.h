// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Weights as a row stream (see #tamis.row_stream): counted by the pass that
// decides on it, written by the one that packs.
#ifndef TAMIS_LIB_KERNELS_ROWSTREAM_H
#define TAMIS_LIB_KERNELS_ROWSTREAM_H

#include "tamis/IR/Tamis.h"
#include "tamis/Kernels/SourceView.h"

namespace mlir::tamis {

/// How a stream reads its source: the attributes of tamis_kernel.pack_stream.
struct StreamOrder {
  int64_t column;
  SmallVector<int64_t> reductions;
  int64_t step;
  int64_t bound = 0;
  int64_t offset = 0;
  bool isUnsigned = false;
  /// Columns whose words at one place are one entry, and entries that lie
  /// together: `channels` and `depth` of the storage.
  int64_t channels = 1, depth = 1;
};

/// Bytes of a word.
inline constexpr int64_t kWordBytes = 4;

/// Columns, whole groups of `width`, whose sums of a block of `positions` wait
/// at the same time where the reduction is cut: few enough for the stack and
/// for L2 beside what is staged.
inline int64_t getWaitingColumns(int64_t columns, int64_t width,
                                 int64_t positions) {
  constexpr int64_t kMostBytes = 128 << 10;
  int64_t most =
      std::max<int64_t>(1, kMostBytes / (width * positions * kWordBytes));
  int64_t groups = llvm::divideCeil(columns, width);
  // About equal blocks.
  int64_t blocks = llvm::divideCeil(groups, most);
  return llvm::divideCeil(groups, blocks) * width;
}

/// The number of entries that `order` makes of the source.
int64_t countEntries(const SourceView &view, const StreamOrder &order);

/// The arrays of a stream: `step` elements a word (float32, or 8 bits), the
/// stage offset of each entry, the first entry of each group of columns and the
/// number of all, the sum of each column (integers).
struct RowStream {
  std::vector<char> values;
  std::vector<int32_t> offsets, starts, sums;
};
RowStream makeRowStream(const SourceView &view, const StreamOrder &order,
                        RowStreamAttr storage);

} // namespace mlir::tamis

#endif // TAMIS_LIB_KERNELS_ROWSTREAM_H
