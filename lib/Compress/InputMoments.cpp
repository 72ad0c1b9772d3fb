// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Where moments are collected, and how they are read.
#include "InputMoments.h"
#include "tamis/Compress/Ranges.h"
#include "tamis/Compress/Statistics.h"

using namespace mlir;
using namespace mlir::tamis;

/// Most elements of a window whose second moments are kept: 78 MB for one
/// layer while it is measured.
static constexpr int64_t kMostWindowElements = 2560;

static llvm::Error makeError(const Twine &message) {
  return llvm::createStringError(message.str());
}

llvm::Expected<MomentsPlace>
tamis::findMomentsPlace(const WeightMatrix &matrix) {
  bool isPlain = !matrix.isConvolution && matrix.getGroupCount() == 1;
  if (isPlain && matrix.input)
    return MomentsPlace{matrix.input, matrix.inputAxis};
  if (matrix.columns > kMostWindowElements)
    return makeError("its window has " + Twine(matrix.columns) +
                     " elements, second moments are kept of up to " +
                     Twine(kMostWindowElements));
  auto type =
      dyn_cast<RankedTensorType>(matrix.use.contract.getLhs().getType());
  if (!type || !type.getElementType().isF32())
    return makeError("its input is no float32 tensor");
  if (matrix.use.contract->getBlock() != matrix.use.observe->getBlock())
    return makeError("it is in a loop or branch");
  return MomentsPlace{matrix.use.observe, std::nullopt};
}

llvm::Expected<InputMoments>
tamis::readInputMoments(const WeightMatrix &matrix) {
  auto place = findMomentsPlace(matrix);
  if (!place)
    return place.takeError();
  auto fail = [&](const Twine &message) {
    return makeError("tensor '" + place->observe.getTensor() + "': " + message);
  };
  auto values =
      readFloats(place->observe.getStatisticsAttr(), statistics::kGram);
  if (!values)
    return fail(llvm::toString(values.takeError()));
  int64_t side = matrix.columns + 1;
  int64_t count = side * side * matrix.getGroupCount();
  if (static_cast<int64_t>(values->size()) != count)
    return fail("expected " + Twine(count) +
                " elements in the statistic 'gram', got " +
                Twine(values->size()));
  return InputMoments{matrix.columns, std::move(*values)};
}

/// True if the observation of `place` holds a statistic of its kind and axis.
static bool isCollected(ObserveOp observe, std::optional<int64_t> axis,
                        StringRef kind) {
  DictionaryAttr known = observe.getStatisticsAttr();
  if (!known || !known.contains(kind))
    return false;
  // Without an axis it is the last one.
  int64_t last = observe.getType().getRank() - 1;
  return !axis ||
         *axis == static_cast<int64_t>(observe.getAxis().value_or(last));
}

llvm::Expected<std::vector<float>>
tamis::readInputMeans(const WeightMatrix &matrix) {
  int64_t groups = matrix.getGroupCount(), columns = matrix.columns;
  std::vector<float> means;
  auto place = findMomentsPlace(matrix);
  if (place && isCollected(place->observe, place->axis, statistics::kGram)) {
    auto moments = readInputMoments(matrix);
    if (!moments)
      return moments.takeError();
    for (int64_t group = 0; group < groups; ++group) {
      ArrayRef<float> sums = moments->getGroup(group).take_back(columns + 1);
      for (float sum : sums.drop_back())
        means.push_back(sum / std::max(sums.back(), 1.0f));
    }
    return means;
  }
  if (!place)
    llvm::consumeError(place.takeError());
  if (!matrix.input ||
      !isCollected(matrix.input, matrix.inputAxis, statistics::kChannelMoments))
    return means;
  auto moments =
      readFloats(matrix.input.getStatisticsAttr(), statistics::kChannelMoments);
  if (!moments)
    return moments.takeError();
  int64_t channels = groups * matrix.channels;
  if (static_cast<int64_t>(moments->size()) != 3 * channels)
    return makeError("tensor '" + matrix.input.getTensor() + "': expected " +
                     Twine(3 * channels) +
                     " elements in the statistic 'channel_moments', got " +
                     Twine(moments->size()));
  for (int64_t group = 0; group < groups; ++group)
    for (int64_t column = 0; column < columns; ++column) {
      int64_t channel =
          matrix.getInputChannel(group * matrix.rowsPerGroup, column);
      means.push_back((*moments)[channels + channel] /
                      std::max((*moments)[channel], 1.0f));
    }
  return means;
}

void tamis::scaleStatistics(ObserveOp observe, ArrayRef<float> factors,
                            std::optional<Interval> range) {
  DictionaryAttr old = observe.getStatisticsAttr();
  int64_t n = factors.size();
  auto set = [&](StringRef name, ArrayRef<int64_t> shape,
                 ArrayRef<float> values) {
    writeStatistic(
        observe, name,
        RankedTensorType::get(shape, Float32Type::get(observe.getContext())),
        ArrayRef(reinterpret_cast<const char *>(values.data()),
                 values.size() * sizeof(float)));
  };
  NamedAttrList kept(old);
  kept.erase(statistics::kHistogram);
  kept.erase(statistics::kMinMax);
  observe.setStatisticsAttr(kept.getDictionary(observe.getContext()));
  if (range)
    set(statistics::kMinMax, {2}, {float(range->low), float(range->high)});
  auto largest = readFloats(old, statistics::kChannelAbsMax);
  if (largest && int64_t(largest->size()) == n) {
    for (auto [value, factor] : llvm::zip_equal(*largest, factors))
      value *= factor;
    set(statistics::kChannelAbsMax, {n}, *largest);
  }
  llvm::consumeError(largest.takeError());
  auto moments = readFloats(old, statistics::kChannelMoments);
  if (moments && int64_t(moments->size()) == 3 * n) {
    for (int64_t i = 0; i < n; ++i) {
      (*moments)[n + i] *= factors[i];
      (*moments)[2 * n + i] *= factors[i] * factors[i];
    }
    set(statistics::kChannelMoments, {3, n}, *moments);
  }
  llvm::consumeError(moments.takeError());
  auto gram = readFloats(old, statistics::kGram);
  if (gram && int64_t(gram->size()) == (n + 1) * (n + 1)) {
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j <= n; ++j) {
        (*gram)[i * (n + 1) + j] *= factors[i];
        (*gram)[j * (n + 1) + i] *= factors[i];
      }
    set(statistics::kGram, {n + 1, n + 1}, *gram);
  }
  llvm::consumeError(gram.takeError());
}

void tamis::scaleWindowGram(const WeightMatrix &matrix,
                            ArrayRef<float> factors) {
  auto place = findMomentsPlace(matrix);
  if (!place || place->observe != matrix.use.observe ||
      !isCollected(place->observe, std::nullopt, statistics::kGram))
    return llvm::consumeError(place.takeError());
  auto moments = readInputMoments(matrix);
  if (!moments)
    return llvm::consumeError(moments.takeError());
  int64_t side = matrix.columns + 1;
  for (int64_t group = 0; group < matrix.getGroupCount(); ++group)
    for (int64_t i = 0; i < matrix.columns; ++i) {
      float *values = &moments->values[group * side * side];
      float factor =
          factors[matrix.getInputChannel(group * matrix.rowsPerGroup, i)];
      for (int64_t j = 0; j < side; ++j) {
        values[i * side + j] *= factor;
        values[j * side + i] *= factor;
      }
    }
  MLIRContext *context = place->observe.getContext();
  NamedAttrList statistics(place->observe.getStatisticsAttr());
  auto type = RankedTensorType::get({matrix.getGroupCount(), side, side},
                                    Float32Type::get(context));
  statistics.set(statistics::kGram,
                 DenseElementsAttr::get(type, ArrayRef(moments->values)));
  place->observe.setStatisticsAttr(statistics.getDictionary(context));
}
