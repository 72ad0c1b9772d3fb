// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What dropped weights would have added on average goes into the bias, as
// Nagel et al. (2019) do it for rounded weights: inputs behind a rectifier are
// far from zero on average, and so is what is lost.
#include "PruneCriteria.h"
#include "tamis/Compress/Statistics.h"

using namespace mlir;
using namespace mlir::tamis;

/// The mean of each input channel, as far as it was measured.
static FailureOr<std::vector<float>> readMeans(const WeightMatrix &matrix) {
  DictionaryAttr known = matrix.input.getStatisticsAttr();
  int64_t rank = matrix.input.getType().getRank();
  int64_t channels = matrix.input.getType().getDimSize(matrix.inputAxis);
  std::vector<float> means(channels);
  if (known.contains(statistics::kChannelMoments) &&
      matrix.input.getAxis() == matrix.inputAxis) {
    FailureOr<std::vector<float>> moments = readStatistic(
        matrix, matrix.input, statistics::kChannelMoments, 3 * channels);
    if (failed(moments))
      return failure();
    for (int64_t i = 0; i < channels; ++i)
      means[i] = (*moments)[channels + i] / std::max((*moments)[i], 1.0f);
    return means;
  }
  if (!known.contains(statistics::kGram) || matrix.inputAxis != rank - 1)
    return std::vector<float>();
  int64_t width = channels + 1;
  FailureOr<std::vector<float>> gram =
      readStatistic(matrix, matrix.input, statistics::kGram, width * width);
  if (failed(gram))
    return failure();
  for (int64_t i = 0; i < channels; ++i)
    means[i] = (*gram)[channels * width + i] / std::max(gram->back(), 1.0f);
  return means;
}

FailureOr<bool> tamis::correctBias(const WeightMatrix &matrix,
                                   ArrayRef<float> before,
                                   ArrayRef<float> after) {
  ObserveOp bias = findBias(matrix.use.contract);
  // What another layer adds too is not this layer's to correct.
  if (!bias || !bias->hasOneUse() || !matrix.input ||
      !matrix.input.getStatisticsAttr() ||
      !bias.getType().getElementType().isF32() ||
      bias.getType().getNumElements() != matrix.rows)
    return false;
  FailureOr<std::vector<float>> means = readMeans(matrix);
  if (failed(means))
    return failure();
  if (means->empty())
    return false;
  FailureOr<std::vector<float>> values = readParameter(bias);
  if (failed(values))
    return failure();
  for (int64_t i = 0, at = 0; i < matrix.rows; ++i) {
    double lost = 0;
    for (int64_t j = 0; j < matrix.columns; ++j, ++at)
      lost += (double(before[at]) - after[at]) *
              (*means)[matrix.getInputChannel(i, j)];
    (*values)[i] = static_cast<float>((*values)[i] + lost);
  }
  writeParameter(bias, *values);
  return true;
}
