// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// GPTQ: rounding that the rest of a row makes good for.
#include "GptqRounding.h"
#include "InputMoments.h"

using namespace mlir;
using namespace mlir::tamis;

std::optional<std::string>
tamis::quantizeByMoments(const WeightMatrix &matrix, ArrayRef<float> values,
                         SchemeAttr scheme, RangeMethod method, bool centered,
                         QuantizedWeight &quantized) {
  auto moments = readInputMoments(matrix);
  if (!moments)
    return llvm::toString(moments.takeError());
  QuantizedWeight rounded = quantized;
  GptqRounding rounding(matrix, values, scheme, method, rounded);
  for (int64_t group = 0; group < matrix.getGroupCount(); ++group)
    if (!rounding.round(group * matrix.rowsPerGroup, matrix.rowsPerGroup,
                        moments->getGroup(group), centered))
      return "the statistic 'gram' is no matrix of second moments";
  // All groups or none.
  quantized = std::move(rounded);
  return std::nullopt;
}
