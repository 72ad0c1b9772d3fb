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

/// The stage lies on the stack of whoever runs the kernel.
inline constexpr int64_t kMostStageBytes = 256 << 10;

/// True if all parts of the reduction, `words` of them `pitch` words apart, are
/// staged one behind the other before the first is walked: each comes into L1
/// when its lists read it. Else there is room for one.
inline bool stagesAllParts(int64_t words, int64_t pitch, int64_t parts) {
  return parts == 1 || words * pitch * kWordBytes <= kMostStageBytes;
}

/// Columns, whole groups of `width`, whose sums of a block of `positions` wait
/// at the same time where the reduction is cut: few enough for the stack and
/// for L2 beside what is staged, fewer where a part need not be staged once
/// more for the next columns.
inline int64_t getWaitingColumns(int64_t columns, int64_t width,
                                 int64_t positions, bool stagesAll) {
  int64_t bytes = (stagesAll ? 64 : 192) << 10;
  int64_t most = std::max<int64_t>(1, bytes / (width * positions * kWordBytes));
  int64_t groups = llvm::divideCeil(columns, width);
  // About equal blocks.
  int64_t blocks = llvm::divideCeil(groups, most);
  return llvm::divideCeil(groups, blocks) * width;
}

/// The number of entries that `order` makes of the source.
int64_t countEntries(const SourceView &view, const StreamOrder &order);

/// The arrays of a stream: words and stage offsets of entries, the first entry
/// and column of each list and the number of all entries, the sum of each
/// column (integers).
struct RowStream {
  std::vector<char> values;
  std::vector<int32_t> starts, sums;
};
RowStream makeRowStream(const SourceView &view, const StreamOrder &order,
                        RowStreamAttr storage);

} // namespace mlir::tamis

#endif // TAMIS_LIB_KERNELS_ROWSTREAM_H
