// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Recognises patterns of zeros, from the most regular to the least.
#include "tamis/Compress/Sparsity.h"
#include "WeightMatrix.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace mlir::tamis;

/// Below this share of zeros a weight is dense.
static constexpr double kSparseShare = 0.05;
/// A pattern has to explain this share of the zeros.
static constexpr double kExplained = 0.95;

/// Blocks that are looked for, the largest first.
static constexpr std::pair<int64_t, int64_t> kBlocks[] = {
    {32, 64}, {32, 32}, {16, 16}, {32, 4}, {64, 1}, {1, 64}, {8, 8},
    {32, 1},  {1, 32},  {16, 1},  {1, 16}, {4, 4},  {8, 1},  {1, 8},
    {2, 2},   {4, 1},   {1, 4},   {2, 1},  {1, 2}};
/// Lengths of the groups of N:M patterns that are looked for.
static constexpr int64_t kGroups[] = {4, 8, 16};

/// Zeros of `matrix` that lie in blocks of zeros only.
static int64_t countBlockZeros(ArrayRef<float> matrix, int64_t rows,
                               int64_t columns, int64_t height, int64_t width) {
  int64_t zeros = 0;
  for (int64_t i = 0; i < rows; i += height)
    for (int64_t j = 0; j < columns; j += width) {
      int64_t lastRow = std::min(i + height, rows);
      int64_t lastColumn = std::min(j + width, columns);
      bool empty = true;
      for (int64_t r = i; r < lastRow && empty; ++r)
        for (int64_t c = j; c < lastColumn && empty; ++c)
          empty = matrix[r * columns + c] == 0;
      if (empty)
        zeros += (lastRow - i) * (lastColumn - j);
    }
  return zeros;
}

/// The most nonzero elements of any aligned group of `length` along a row.
static int64_t countGroupNonzeros(ArrayRef<float> matrix, int64_t rows,
                                  int64_t columns, int64_t length) {
  int64_t most = 0;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns && most < length; j += length) {
      int64_t count = 0;
      for (int64_t c = j; c < std::min(j + length, columns); ++c)
        count += matrix[i * columns + c] != 0;
      most = std::max(most, count);
    }
  return most;
}

SparsityInfo tamis::recognizeSparsity(ArrayRef<float> matrix, int64_t rows,
                                      int64_t columns) {
  SparsityInfo info;
  info.rows = rows;
  info.columns = columns;
  std::vector<int64_t> inColumn(columns);
  for (int64_t i = 0; i < rows; ++i) {
    int64_t inRow = 0;
    for (int64_t j = 0; j < columns; ++j)
      if (matrix[i * columns + j] == 0) {
        ++inRow;
        ++inColumn[j];
      }
    info.zeros += inRow;
    info.zeroRows += columns > 0 && inRow == columns;
  }
  info.zeroColumns = rows > 0 ? llvm::count(inColumn, rows) : 0;
  if (info.getShare() < kSparseShare)
    return info;
  double explained = kExplained * info.zeros;
  int64_t inChannels = info.zeroRows * columns + info.zeroColumns * rows -
                       info.zeroRows * info.zeroColumns;
  if (inChannels >= explained) {
    info.pattern = "channel";
    return info;
  }
  for (auto [height, width] : kBlocks)
    if (height <= rows && width <= columns &&
        countBlockZeros(matrix, rows, columns, height, width) >= explained) {
      info.pattern = std::to_string(height) + "x" + std::to_string(width);
      return info;
    }
  for (int64_t length : kGroups) {
    int64_t most = countGroupNonzeros(matrix, rows, columns, length);
    // Every group may hold fewer by chance; a pattern makes most of the zeros.
    if (columns >= length && most < length &&
        (1 - double(most) / length) * rows * columns >= explained) {
      info.pattern = std::to_string(most) + ":" + std::to_string(length);
      return info;
    }
  }
  info.pattern = "unstructured";
  return info;
}

std::vector<SparsityInfo> tamis::analyzeSparsity(ModuleOp module) {
  std::vector<SparsityInfo> infos;
  for (WeightMatrix &matrix : collectWeights(module)) {
    if (!matrix.isFloat32())
      continue;
    FailureOr<std::vector<float>> values = matrix.read();
    if (failed(values))
      continue;
    infos.push_back(recognizeSparsity(*values, matrix.rows, matrix.columns));
    infos.back().layer = matrix.layer;
    infos.back().tensor = matrix.use.observe.getTensor().str();
  }
  return infos;
}
