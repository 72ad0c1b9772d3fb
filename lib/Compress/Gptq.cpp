// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// GPTQ: rounding that the rest of a row makes good for.
#include "QuantizeWeights.h"
#include "SecondMoments.h"
#include "tamis/Compress/Statistics.h"

using namespace mlir;
using namespace mlir::tamis;

std::optional<std::string>
tamis::quantizeByMoments(WeightMatrix &matrix, ArrayRef<float> values,
                         SchemeAttr scheme, RangeMethod method,
                         QuantizedWeight &quantized) {
  int64_t n = matrix.columns, rows = matrix.rows;
  if (matrix.columns != matrix.channels || matrix.rowsPerGroup != rows)
    return "it slides a window or has groups";
  if (!matrix.input)
    return "its input channels are not an axis of an observed tensor";
  auto gram = readFloats(matrix.input.getStatisticsAttr(), statistics::kGram);
  if (!gram)
    return llvm::toString(gram.takeError());
  if (static_cast<int64_t>(gram->size()) != (n + 1) * (n + 1))
    return "its statistics are of another number of channels";
  auto factor = getInverseFactor(*gram, n);
  if (!factor)
    return "the statistic 'gram' is no matrix of second moments";

  std::vector<int32_t> offsets = matrix.getOffsets();
  ScaleMap map(matrix.use.observe.getType().getShape(), scheme);
  // Rows are independent; a few at once share what is read of the factor.
  constexpr int64_t kRows = 16;
  std::vector<float> current(kRows * n), group;
  for (int64_t first = 0; first < rows; first += kRows) {
    int64_t count = std::min(kRows, rows - first);
    for (int64_t i = 0; i < count * n; ++i)
      current[i] = values[offsets[first * n + i]];
    for (int64_t j = 0; j < n; ++j) {
      const float *right = &(*factor)[j * n];
      for (int64_t i = 0; i < count; ++i) {
        float *row = &current[i * n];
        const int32_t *at = &offsets[(first + i) * n];
        int64_t scale = map(at[j]);
        if (scheme.getBlock() && (j == 0 || map(at[j - 1]) != scale)) {
          group.clear();
          for (int64_t k = j; k < n && map(at[k]) == scale; ++k)
            group.push_back(values[at[k]] == 0 ? 0.0f : row[k]);
          if (llvm::any_of(group, [](float value) { return value != 0; }))
            quantized.parameters[scale] =
                chooseParameters(group, scheme, method);
        }
        const QuantParameters &p = quantized.parameters[scale];
        // What is pruned stays pruned; the others make good for it.
        int32_t integer =
            values[at[j]] == 0 ? p.zeroPoint : toInteger(row[j], p, scheme);
        quantized.values[at[j]] = static_cast<int8_t>(integer);
        float error =
            (row[j] - static_cast<float>(integer - p.zeroPoint) * p.scale) /
            right[j];
        for (int64_t k = j + 1; k < n; ++k)
          row[k] -= error * right[k];
      }
    }
  }
  return std::nullopt;
}
