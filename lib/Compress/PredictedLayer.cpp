// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Counts what is left of a weight and asks the cost models.
#include "PredictedLayer.h"
#include "tamis/Gpu/FragmentPrice.h"
#include "tamis/Kernels/PredictGain.h"
#include "tamis/Target/Target.h"

using namespace mlir;
using namespace mlir::tamis;

int64_t PredictedLayer::getWord(Type type) const {
  int64_t word = getWordElements(machine, type);
  bool isWhole = word > 0 && matrix.channels % word == 0;
  return isWhole && matrix.getGroupCount() == 1 ? word : 0;
}

double PredictedLayer::getGain(ArrayRef<uint8_t> drop, Type type) const {
  LayerShape shape{getRows(), matrix.columns, matrix.rows};
  if (int64_t word = getWord(type))
    return predictGain(machine, shape, type, getWordShare(drop, word),
                       isTwoOfFour(drop));
  if (getDevice(machine) != DeviceKind::None && matrix.getGroupCount() == 1 &&
      isTwoOfFour(drop))
    return device::predictTwoOfFourGain(machine, shape, type);
  return 1;
}

double PredictedLayer::getTime(ArrayRef<uint8_t> drop, Type type) const {
  int64_t word = getWord(type);
  if (word == 0)
    return 0;
  return predictTime(machine, {getRows(), matrix.columns, matrix.rows}, type,
                     getWordShare(drop, word), isTwoOfFour(drop));
}

int64_t PredictedLayer::getRows() const {
  ContractOp op = matrix.use.contract;
  AffineMap rhs = op.getRhsMap();
  int64_t rows = 1;
  for (auto [d, bound] : llvm::enumerate(op.getStaticLoopRanges()))
    if (!rhs.isFunctionOfDim(d)) {
      if (ShapedType::isDynamic(bound))
        return ShapedType::kDynamic;
      rows *= bound;
    }
  return rows;
}

double PredictedLayer::getWordShare(ArrayRef<uint8_t> drop,
                                    int64_t size) const {
  int64_t words = 0;
  auto count = static_cast<int64_t>(drop.size()) / size;
  for (int64_t word = 0; word < count; ++word) {
    bool isEmpty = true;
    for (int64_t i = word * size; i < (word + 1) * size; ++i)
      isEmpty &= drop[i] || values[i] == 0;
    words += !isEmpty;
  }
  return double(words) / double(count);
}

bool PredictedLayer::isTwoOfFour(ArrayRef<uint8_t> drop) const {
  if (matrix.channels % 4 != 0)
    return false;
  for (size_t i = 0; i < drop.size(); i += 4) {
    int kept = 0;
    for (size_t j = i; j < i + 4; ++j)
      kept += !drop[j] && values[j] != 0;
    if (kept > 2)
      return false;
  }
  return true;
}
