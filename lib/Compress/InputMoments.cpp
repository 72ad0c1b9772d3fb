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
