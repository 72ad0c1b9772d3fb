// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Scales of all blocks first, since the order of columns goes across blocks;
// then the columns in that order.
#include "GptqRounding.h"
#include "GptqRefinement.h"
#include "SecondMoments.h"
#include "llvm/ADT/MapVector.h"
#include <limits>
#include <numeric>

using namespace mlir;
using namespace mlir::tamis;

/// Column numbers, those with the largest second moments first.
static std::vector<int32_t> orderColumns(ArrayRef<float> moments, int64_t n) {
  std::vector<int32_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  llvm::stable_sort(order, [&](int32_t a, int32_t b) {
    return moments[a * (n + 1)] > moments[b * (n + 1)];
  });
  return order;
}

/// A gram with rows and columns in another order; sums stay last.
static std::vector<float> permute(ArrayRef<float> gram,
                                  ArrayRef<int32_t> order) {
  SmallVector<int32_t> all(order);
  all.push_back(order.size());
  std::vector<float> permuted;
  permuted.reserve(gram.size());
  for (int32_t i : all)
    for (int32_t j : all)
      permuted.push_back(gram[i * all.size() + j]);
  return permuted;
}

GptqRounding::GptqRounding(const WeightMatrix &matrix, ArrayRef<float> values,
                           SchemeAttr scheme, RangeMethod method,
                           QuantizedWeight &quantized)
    : columns(matrix.columns), offsets(matrix.getOffsets()), values(values),
      scheme(scheme), method(method), quantized(quantized),
      map(matrix.use.observe.getType().getShape(), scheme) {}

std::optional<RoundingInputs>
RoundingInputs::make(ArrayRef<float> gram, int64_t columns, bool centered) {
  RoundingInputs inputs;
  double sum = 0;
  for (int64_t i = 0; i < columns; ++i)
    for (int64_t j = 0; j < columns; ++j) {
      double moment = getMoment(gram, columns, i, j, centered);
      if (i == j) {
        // A difference of large numbers may come out below zero.
        moment = std::max(moment, 0.0);
        sum += moment;
      }
      inputs.moments.push_back(static_cast<float>(moment));
    }
  auto damping = static_cast<float>(0.01 * sum / double(columns));
  for (int64_t i = 0; i < columns; ++i)
    inputs.moments[i * (columns + 1)] += damping;
  inputs.order = orderColumns(inputs.moments, columns);
  auto factor =
      getInverseFactor(permute(gram, inputs.order), columns, centered);
  if (!factor)
    return std::nullopt;
  inputs.factor = std::move(*factor);
  return inputs;
}

void GptqRounding::round(int64_t first, int64_t count,
                         const RoundingInputs &inputs) {
  if (scheme.getBlock())
    for (int64_t row = first; row < first + count; ++row)
      chooseBlocks(row, inputs);
  // Rows are independent; a few at once share what is read of the matrices.
  constexpr int64_t kRows = 16;
  for (int64_t at = 0; at < count; at += kRows) {
    int64_t some = std::min(kRows, count - at);
    roundRows(first + at, some, inputs);
    // One bit has no levels to choose from.
    if (scheme.getBits() > 1)
      refine(first + at, some, inputs);
  }
}

/// The scales of a row's blocks, by the error of the results.
void GptqRounding::chooseBlocks(int64_t row, const RoundingInputs &inputs) {
  // Blocks along the height of a window are no runs of columns.
  llvm::MapVector<int64_t, std::pair<std::vector<float>, std::vector<float>>>
      blocks;
  for (int64_t column = 0; column < columns; ++column) {
    int32_t at = getOffset(row, column);
    auto &[block, weights] = blocks[map(at)];
    block.push_back(values[at]);
    weights.push_back(inputs.moments[column * (columns + 1)]);
  }
  for (auto &[scale, members] : blocks) {
    auto &[block, weights] = members;
    if (llvm::any_of(block, [](float value) { return value != 0; }))
      quantized.parameters[scale] =
          chooseParameters(block, scheme, method, weights);
  }
}

void GptqRounding::roundRows(int64_t first, int64_t count,
                             const RoundingInputs &inputs) {
  int64_t n = columns;
  ArrayRef<int32_t> order = inputs.order;
  std::vector<float> current(count * n);
  for (int64_t i = 0; i < count; ++i)
    for (int64_t j = 0; j < n; ++j)
      current[i * n + j] = values[getOffset(first + i, order[j])];
  for (int64_t j = 0; j < n; ++j) {
    const float *right = &inputs.factor[j * n];
    for (int64_t i = 0; i < count; ++i) {
      float *row = &current[i * n];
      int32_t at = getOffset(first + i, order[j]);
      const QuantParameters &p = quantized.parameters[map(at)];
      // What is pruned stays pruned; the others make good for it.
      int32_t integer =
          values[at] == 0 ? p.zeroPoint : toInteger(row[j], p, scheme);
      quantized.values[at] = static_cast<int16_t>(integer);
      float error =
          (row[j] - static_cast<float>(integer - p.zeroPoint) * p.scale) /
          right[j];
      for (int64_t k = j + 1; k < n; ++k)
        row[k] -= error * right[k];
    }
  }
}

void GptqRounding::refine(int64_t first, int64_t count,
                          const RoundingInputs &inputs) {
  // Other scales belong to several rows, or activations have a say in them.
  bool isFree =
      scheme.getBlock() && scheme.getSystem() == NumberSystem::Integer;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  // Which columns share a scale is the same in every row, which scale is not.
  std::vector<ScaleColumns> groups;
  std::vector<RoundedRow> rows(count);
  std::vector<std::vector<int64_t>> scales(count);
  for (int64_t i = 0; i < count; ++i) {
    RoundedRow &row = rows[i];
    llvm::MapVector<int64_t, std::vector<int32_t>> members;
    for (int64_t column = 0; column < columns; ++column) {
      int32_t at = getOffset(first + i, column);
      int64_t scale = map(at);
      int32_t zero = quantized.parameters[scale].zeroPoint;
      QuantParameters unit{1.0f, zero};
      auto getLevel = [&](int32_t integer) {
        return static_cast<float>(integer - zero);
      };
      int16_t value = quantized.values[at];
      row.weights.push_back(values[at]);
      row.levels.push_back(getLevel(
          scheme.getIsUnsigned() ? static_cast<uint8_t>(value) : value));
      row.low.push_back(getLevel(toInteger(-kInfinity, unit, scheme)));
      row.high.push_back(getLevel(toInteger(kInfinity, unit, scheme)));
      members[scale].push_back(column);
    }
    for (auto &[scale, list] : members) {
      row.scales.push_back(quantized.parameters[scale].scale);
      scales[i].push_back(scale);
      if (i == 0)
        groups.push_back({std::move(list), isFree});
    }
  }
  refineRows(rows, inputs.moments, groups);
  for (int64_t i = 0; i < count; ++i) {
    for (auto [scale, value] : llvm::zip_equal(scales[i], rows[i].scales))
      quantized.parameters[scale].scale = value;
    for (int64_t column = 0; column < columns; ++column) {
      int32_t at = getOffset(first + i, column);
      quantized.values[at] =
          static_cast<int16_t>(static_cast<int32_t>(rows[i].levels[column]) +
                               quantized.parameters[map(at)].zeroPoint);
    }
  }
}
