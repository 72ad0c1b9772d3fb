// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// GPTQ: rounding that the rest of a row makes good for.
#include "InputMoments.h"
#include "QuantizeWeights.h"
#include "SecondMoments.h"

using namespace mlir;
using namespace mlir::tamis;

namespace {
/// Rounds the rows of one weight, in the order of the matrix's columns.
class Rounding {
public:
  Rounding(const WeightMatrix &matrix, ArrayRef<float> values,
           SchemeAttr scheme, RangeMethod method, QuantizedWeight &quantized)
      : n(matrix.columns), offsets(matrix.getOffsets()), values(values),
        scheme(scheme), method(method), quantized(quantized),
        map(matrix.use.observe.getType().getShape(), scheme) {}

  /// `factor` is that of the inverse second moments of the rows' inputs.
  void roundRows(int64_t first, int64_t count, ArrayRef<float> factor) {
    current.resize(count * n);
    for (int64_t i = 0; i < count * n; ++i)
      current[i] = values[offsets[first * n + i]];
    for (int64_t j = 0; j < n; ++j) {
      const float *right = &factor[j * n];
      for (int64_t i = 0; i < count; ++i) {
        float *row = &current[i * n];
        float error = roundElement(first + i, j, row) / right[j];
        for (int64_t k = j + 1; k < n; ++k)
          row[k] -= error * right[k];
      }
    }
  }

private:
  /// Makes one element an integer; returns the error.
  float roundElement(int64_t index, int64_t j, const float *row) {
    const int32_t *at = &offsets[index * n];
    int64_t scale = map(at[j]);
    if (scheme.getBlock() && (j == 0 || map(at[j - 1]) != scale))
      chooseBlock(scale, at, j, row);
    const QuantParameters &p = quantized.parameters[scale];
    // What is pruned stays pruned; the others make good for it.
    int32_t integer =
        values[at[j]] == 0 ? p.zeroPoint : toInteger(row[j], p, scheme);
    quantized.values[at[j]] = static_cast<int16_t>(integer);
    return row[j] - static_cast<float>(integer - p.zeroPoint) * p.scale;
  }

  /// The scale of a block that begins at column `j`, for what the columns
  /// before it have made of its values.
  void chooseBlock(int64_t scale, const int32_t *at, int64_t j,
                   const float *row) {
    block.clear();
    for (int64_t k = j; k < n && map(at[k]) == scale; ++k)
      block.push_back(values[at[k]] == 0 ? 0.0f : row[k]);
    if (llvm::any_of(block, [](float value) { return value != 0; }))
      quantized.parameters[scale] = chooseParameters(block, scheme, method);
  }

  int64_t n;
  std::vector<int32_t> offsets;
  ArrayRef<float> values;
  SchemeAttr scheme;
  RangeMethod method;
  QuantizedWeight &quantized;
  ScaleMap map;
  std::vector<float> current, block;
};
} // namespace

std::optional<std::string>
tamis::quantizeByMoments(const WeightMatrix &matrix, ArrayRef<float> values,
                         SchemeAttr scheme, RangeMethod method, bool centered,
                         QuantizedWeight &quantized) {
  auto moments = readInputMoments(matrix);
  if (!moments)
    return llvm::toString(moments.takeError());
  std::vector<std::vector<float>> factors;
  for (int64_t group = 0; group < matrix.getGroupCount(); ++group) {
    auto factor =
        getInverseFactor(moments->getGroup(group), matrix.columns, centered);
    if (!factor)
      return "the statistic 'gram' is no matrix of second moments";
    factors.push_back(std::move(*factor));
  }
  Rounding rounding(matrix, values, scheme, method, quantized);
  // Rows are independent; a few at once share what is read of the factor.
  constexpr int64_t kRows = 16;
  for (auto [group, factor] : llvm::enumerate(factors)) {
    int64_t begin = group * matrix.rowsPerGroup;
    for (int64_t at = 0; at < matrix.rowsPerGroup; at += kRows)
      rounding.roundRows(begin + at, std::min(kRows, matrix.rowsPerGroup - at),
                         factor);
  }
  return std::nullopt;
}
