// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The records of tamis_gpu.list: counted by the pass that decides on them,
// written by the one that compresses, read by kernels.
#ifndef TAMIS_LIB_GPU_LISTEDWORDS_H
#define TAMIS_LIB_GPU_LISTEDWORDS_H

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

namespace mlir::tamis::device {

/// Words of a record before its quads, and of a quad.
inline constexpr int64_t kRecordHeader = 2, kQuadWords = 5;
/// Words whose places are counted from one start.
inline constexpr int64_t kSegmentWords = 256;
/// Words of 16 bytes, of which a record has whole ones.
inline constexpr int64_t kRecordChunk = 4;

/// What some weights are as records: their words that are not zero, the chunks
/// of all records, of the largest, and how many records there are.
struct ListedWords {
  int64_t words = 0, chunks = 0, most = 0, records = 0;

  /// One more record: `counts` words of its segments are not zero.
  void add(ArrayRef<int64_t> counts);
  /// Of records, and of the word that says where each begins.
  int64_t getBytes() const { return 16 * chunks + 4 * records; }
};

/// Appends the record of a panel, lines of `pitch` words.
void writeRecord(ArrayRef<uint32_t> panel, int64_t pitch,
                 std::vector<uint32_t> &records);

} // namespace mlir::tamis::device

#endif // TAMIS_LIB_GPU_LISTEDWORDS_H
