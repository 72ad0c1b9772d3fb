// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// GPTQ: rounding that the rest of a row makes good for.
#include "GptqRounding.h"
#include "InputMoments.h"

using namespace mlir;
using namespace mlir::tamis;

/// What is known of the inputs of `matrix`, group by group; an error says what
/// is wrong with it.
static llvm::Error readInputs(const WeightMatrix &matrix, bool centered,
                              LastInputs &last) {
  auto place = findMomentsPlace(matrix);
  if (!place)
    return place.takeError();
  if (last.groups && last.place.observe == place->observe &&
      last.place.axis == place->axis && last.centered == centered)
    return llvm::Error::success();
  last.groups.reset();
  auto moments = readInputMoments(matrix);
  if (!moments)
    return moments.takeError();
  std::vector<RoundingInputs> groups;
  for (int64_t group = 0; group < matrix.getGroupCount(); ++group) {
    auto inputs = RoundingInputs::make(moments->getGroup(group), matrix.columns,
                                       centered);
    if (!inputs)
      return llvm::createStringError(
          "the statistic 'gram' is no matrix of second moments");
    groups.push_back(std::move(*inputs));
  }
  last = {*place, centered,
          std::make_shared<std::vector<RoundingInputs>>(std::move(groups))};
  return llvm::Error::success();
}

std::optional<std::string>
tamis::quantizeByMoments(const WeightMatrix &matrix, ArrayRef<float> values,
                         SchemeAttr scheme, RangeMethod method, bool centered,
                         LastInputs &last, QuantizedWeight &quantized) {
  if (llvm::Error error = readInputs(matrix, centered, last))
    return llvm::toString(std::move(error));
  GptqRounding rounding(matrix, values, scheme, method, quantized);
  for (auto [group, inputs] : llvm::enumerate(*last.groups))
    rounding.round(group * matrix.rowsPerGroup, matrix.rowsPerGroup, inputs);
  return std::nullopt;
}
