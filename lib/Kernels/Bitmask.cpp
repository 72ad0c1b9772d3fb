// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes and reads bitmasks. Only bytes are looked at: a unit is left out if
// all of its bits are zero, so a negative zero stays.
#include "Bitmask.h"
#include <cstring>

using namespace mlir;
using namespace mlir::tamis;

int64_t mlir::tamis::countUnits(const SourceView &view, kernel::PackOp pack,
                                int64_t unit) {
  ArrayRef<int64_t> reductions = pack.getReductions();
  auto length = static_cast<int64_t>(pack.getRun());
  SmallVector<int64_t> outer = view.getOffsets(reductions.drop_back(length));
  SmallVector<int64_t> run = view.getOffsets(reductions.take_back(length));
  auto column = static_cast<int64_t>(pack.getColumn());
  int64_t columns = view.shape[column], stride = view.strides[column];
  auto offset = static_cast<int64_t>(pack.getOffset());
  bool isUnsigned = pack.getIsUnsigned();
  auto isZero = [&](int64_t at) { return view.isZero(at, offset, isUnsigned); };
  // Reduction by reduction, all columns of one after the other: that is how
  // weights mostly lie.
  int64_t count = 0;
  auto size = static_cast<int64_t>(run.size());
  for (int64_t group : view.getOffsets(pack.getGroups()))
    for (int64_t from : outer)
      for (int64_t k = 0; k < size; k += unit)
        for (int64_t c = 0; c < columns; ++c) {
          int64_t at = group + from + c * stride;
          count += !llvm::all_of(
              ArrayRef(run).slice(k, std::min(unit, size - k)),
              [&](int64_t element) { return isZero(at + element); });
        }
  return count;
}

Bitmask mlir::tamis::makeBitmask(ArrayRef<char> packed, int64_t panels,
                                 int64_t units, int64_t unitBytes,
                                 bool isFloat) {
  auto size = static_cast<int64_t>(packed.size());
  int64_t count = size / unitBytes, perPanel = count / panels;
  Bitmask bitmask;
  bitmask.masks.assign(count / 8, 0);
  int32_t stored = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (i % perPanel == 0)
      bitmask.starts.push_back(stored);
    ArrayRef<char> unit = packed.slice(i * unitBytes, unitBytes);
    float value;
    if (isFloat)
      std::memcpy(&value, unit.data(), sizeof value);
    if (isFloat ? value == 0
                : llvm::all_of(unit, [](char byte) { return byte == 0; }))
      continue;
    bitmask.masks[i / 8] |= static_cast<char>(1 << i % 8);
    bitmask.values.insert(bitmask.values.end(), unit.begin(), unit.end());
    ++stored;
  }
  bitmask.starts.push_back(stored);
  bitmask.values.resize(bitmask.values.size() + units * unitBytes, 0);
  return bitmask;
}
