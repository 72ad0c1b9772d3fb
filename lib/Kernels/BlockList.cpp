// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Counts and writes block lists.
#include "BlockList.h"

using namespace mlir;
using namespace mlir::tamis;

int64_t mlir::tamis::countBlocks(const SourceView &view, kernel::PackOp pack,
                                 int64_t columns, int64_t elements) {
  ArrayRef<int64_t> reductions = pack.getReductions();
  SmallVector<int64_t> run = view.getOffsets(reductions.take_back(1));
  auto column = static_cast<int64_t>(pack.getColumn());
  int64_t end = view.shape[column], stride = view.strides[column];
  auto offset = static_cast<int64_t>(pack.getOffset());
  bool isUnsigned = pack.getIsUnsigned();
  auto isZero = [&](int64_t at) { return view.isZero(at, offset, isUnsigned); };
  int64_t count = 0;
  for (int64_t from : view.getOffsets(reductions.drop_back(1)))
    for (int64_t k = 0; k < int64_t(run.size()); k += elements)
      for (int64_t first = 0; first < end; first += columns) {
        // Of a block that is not zero mostly one element is looked at.
        auto width = llvm::seq(first, std::min(first + columns, end));
        count += !llvm::all_of(ArrayRef(run).slice(k, elements),
                               [&](int64_t element) {
                                 return llvm::all_of(width, [&](int64_t c) {
                                   return isZero(from + element + c * stride);
                                 });
                               });
      }
  return count;
}

BlockList mlir::tamis::makeBlockList(ArrayRef<char> packed, int64_t perList,
                                     int64_t blockBytes, Type element) {
  int64_t elementBytes = element.getIntOrFloatBitWidth() / 8;
  auto isZero = [&](ArrayRef<char> block) {
    for (auto [i, byte] : llvm::enumerate(block)) {
      // The last byte of a float begins with its sign.
      bool hasSign = isa<FloatType>(element) &&
                     int64_t(i) % elementBytes == elementBytes - 1;
      if ((byte & (hasSign ? 0x7f : 0xff)) != 0)
        return false;
    }
    return true;
  };
  BlockList list;
  int64_t count = int64_t(packed.size()) / blockBytes;
  for (int64_t i = 0; i < count; ++i) {
    if (i % perList == 0)
      list.starts.push_back(static_cast<int32_t>(list.places.size()));
    ArrayRef<char> block = packed.slice(i * blockBytes, blockBytes);
    if (isZero(block))
      continue;
    list.values.insert(list.values.end(), block.begin(), block.end());
    list.places.push_back(static_cast<int32_t>(i % perList));
  }
  list.starts.push_back(static_cast<int32_t>(list.places.size()));
  return list;
}
