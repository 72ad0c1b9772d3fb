// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Scales of all blocks first, since the order of columns goes across blocks;
// then the columns in that order.
#include "GptqRounding.h"
#include "SecondMoments.h"
#include "llvm/ADT/MapVector.h"
#include <numeric>

using namespace mlir;
using namespace mlir::tamis;

/// The second moments of the columns, those of inputs that were silent on the
/// samples not quite zero: they may speak later.
static std::vector<float> getMoments(ArrayRef<float> gram, int64_t columns,
                                     bool centered) {
  std::vector<float> moments;
  double sum = 0;
  for (int64_t i = 0; i < columns; ++i) {
    // A difference of large numbers may come out below zero.
    moments.push_back(static_cast<float>(
        std::max(getMoment(gram, columns, i, i, centered), 0.0)));
    sum += moments.back();
  }
  for (float &moment : moments)
    moment += static_cast<float>(0.01 * sum / double(columns));
  return moments;
}

/// Column numbers, those with the largest second moments first.
static std::vector<int32_t> orderColumns(ArrayRef<float> moments) {
  std::vector<int32_t> order(moments.size());
  std::iota(order.begin(), order.end(), 0);
  llvm::stable_sort(
      order, [&](int32_t a, int32_t b) { return moments[a] > moments[b]; });
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

bool GptqRounding::round(int64_t first, int64_t count, ArrayRef<float> gram,
                         bool centered) {
  std::vector<float> moments = getMoments(gram, columns, centered);
  std::vector<int32_t> order = orderColumns(moments);
  auto factor = getInverseFactor(permute(gram, order), columns, centered);
  if (!factor)
    return false;
  if (scheme.getBlock())
    for (int64_t row = first; row < first + count; ++row)
      chooseBlocks(row, moments);
  // Rows are independent; a few at once share what is read of the factor.
  constexpr int64_t kRows = 16;
  for (int64_t at = 0; at < count; at += kRows)
    roundRows(first + at, std::min(kRows, count - at), order, *factor);
  return true;
}

/// The scales of a row's blocks, by the error of the results.
void GptqRounding::chooseBlocks(int64_t row, ArrayRef<float> importance) {
  // Blocks along the height of a window are no runs of columns.
  llvm::MapVector<int64_t, std::pair<std::vector<float>, std::vector<float>>>
      blocks;
  for (int64_t column = 0; column < columns; ++column) {
    int32_t at = getOffset(row, column);
    auto &[block, weights] = blocks[map(at)];
    block.push_back(values[at]);
    weights.push_back(importance[column]);
  }
  for (auto &[scale, members] : blocks) {
    auto &[block, weights] = members;
    if (llvm::any_of(block, [](float value) { return value != 0; }))
      quantized.parameters[scale] =
          chooseParameters(block, scheme, method, weights);
  }
}

void GptqRounding::roundRows(int64_t first, int64_t count,
                             ArrayRef<int32_t> order, ArrayRef<float> factor) {
  int64_t n = columns;
  std::vector<float> current(count * n);
  for (int64_t i = 0; i < count; ++i)
    for (int64_t j = 0; j < n; ++j)
      current[i * n + j] = values[getOffset(first + i, order[j])];
  for (int64_t j = 0; j < n; ++j) {
    const float *right = &factor[j * n];
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
