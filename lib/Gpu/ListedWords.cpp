// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Counts and writes the records of listed words.
#include "ListedWords.h"
#include "tamis/Gpu/Tensor.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::device;

void ListedWords::add(ArrayRef<int64_t> counts) {
  int64_t size = kRecordHeader;
  for (int64_t count : counts) {
    words += count;
    size += kQuadWords * llvm::divideCeil(count, 4);
  }
  auto own = static_cast<int64_t>(llvm::divideCeil(size, kRecordChunk));
  chunks += own;
  most = std::max(most, own);
  ++records;
}

void device::writeRecord(ArrayRef<uint32_t> panel, int64_t pitch,
                         std::vector<uint32_t> &records) {
  size_t begin = records.size();
  records.resize(begin + kRecordHeader, 0);
  auto size = static_cast<int64_t>(panel.size());
  uint32_t quads = 0;
  for (int64_t start = 0; start < size; start += kSegmentWords) {
    SmallVector<std::pair<uint32_t, uint32_t>> listed;
    for (int64_t i = start; i < std::min(start + kSegmentWords, size); ++i) {
      if (panel[i] == 0)
        continue;
      int64_t line = i / pitch, word = i % pitch;
      int64_t chunk = exchangeChunks(line, word / kRecordChunk, pitch);
      int64_t place = line * pitch + chunk * kRecordChunk + word % kRecordChunk;
      listed.push_back({static_cast<uint32_t>(place - start), panel[i]});
    }
    while (listed.size() % 4 != 0)
      listed.push_back(listed.back());
    for (size_t i = 0; i < listed.size(); i += 4) {
      uint32_t places = 0;
      for (size_t j = 0; j < 4; ++j)
        places |= listed[i + j].first << 8 * j;
      records.push_back(places);
      for (size_t j = 0; j < 4; ++j)
        records.push_back(listed[i + j].second);
    }
    quads += static_cast<uint32_t>(listed.size() / 4);
    if (start == 0)
      records[begin] = quads;
  }
  records[begin + 1] = quads;
  size_t own = records.size() - begin;
  records.resize(begin + llvm::alignTo(own, kRecordChunk), 0);
}
