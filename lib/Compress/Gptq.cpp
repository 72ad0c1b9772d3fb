// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// GPTQ: rounding that the rest of a row makes good for.
#include "GptqRounding.h"
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
  GptqRounding rounding(matrix, values, scheme, method, quantized);
  if (!rounding.round(0, rows, *gram))
    return "the statistic 'gram' is no matrix of second moments";
  return std::nullopt;
}
