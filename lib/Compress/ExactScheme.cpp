// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tries the schemes in order. All groups of a weight have to fit, and floats
// that never were integers fail at the first one.
#include "ExactScheme.h"
#include "QuantizeWeights.h"

using namespace mlir;
using namespace mlir::tamis;

/// Whether each group of `values` that shares a scale lies on a grid.
static bool isExact(ArrayRef<float> values, ArrayRef<int64_t> shape,
                    SchemeAttr scheme) {
  int64_t axis = scheme.getAxis(), extent = shape[axis], inner = 1;
  for (int64_t size : shape.drop_front(axis + 1))
    inner *= size;
  int64_t outer = values.size() / (extent * inner), block = scheme.getBlock();
  std::vector<float> group;
  auto fits = [&] { return findExactParameters(group, scheme).has_value(); };
  if (!block) {
    for (int64_t channel = 0; channel < extent; ++channel) {
      group.clear();
      for (int64_t o = 0; o < outer; ++o)
        llvm::append_range(group,
                           values.slice((o * extent + channel) * inner, inner));
      if (!fits())
        return false;
    }
    return true;
  }
  // `extent` is a multiple of the block, so blocks follow each other.
  group.resize(block);
  for (int64_t first = 0, end = values.size(); first < end;
       first += block * inner)
    for (int64_t i = 0; i < inner; ++i) {
      for (int64_t k = 0; k < block; ++k)
        group[k] = values[first + k * inner + i];
      if (!fits())
        return false;
    }
  return true;
}

SchemeAttr tamis::findExactScheme(const WeightUse &use) {
  ObserveOp observe = use.observe;
  RankedTensorType type = observe.getType();
  if (!type.getElementType().isF32())
    return nullptr;
  FailureOr<std::vector<float>> values = readParameter(observe);
  if (failed(values))
    return nullptr;
  MLIRContext *context = observe.getContext();
  ArrayRef<int64_t> shape = type.getShape();
  auto test = [&](int64_t bits, bool isUnsigned, int64_t axis, int64_t block,
                  bool offset) {
    auto scheme = SchemeAttr::get(context, bits, isUnsigned,
                                  /*symmetric=*/!isUnsigned, axis, block,
                                  NumberSystem::Integer, std::nullopt,
                                  /*exact=*/true, offset);
    return isExact(*values, shape, scheme) ? scheme : SchemeAttr();
  };
  int64_t output = pickLongest(shape, use.outputAxes);
  int64_t reduction = pickLongest(shape, use.reductionAxes);
  for (int64_t bits : {4, 8}) {
    // A few numbers always lie on some grid.
    constexpr int64_t kFewest = 16;
    if (output >= 0 && int64_t(values->size()) / shape[output] >= kFewest)
      if (auto scheme = test(bits, false, output, 0, false))
        return scheme;
    if (reduction < 0)
      continue;
    // Signed, with a zero point, with an offset.
    for (auto [isUnsigned, offset] :
         {std::pair(false, false), {true, false}, {true, true}})
      for (int64_t block : {128, 64, 32, 16})
        if (shape[reduction] % block == 0)
          if (auto scheme = test(bits, isUnsigned, reduction, block, offset))
            return scheme;
  }
  return nullptr;
}
