// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// SparseGPT (Frantar and Alistarh 2023): weights are dropped from left to
// right, and what is left of a row makes good for the error of each, as the
// second moments of the inputs (the statistic `gram`) say it should.
#include "PruneCriteria.h"
#include "SecondMoments.h"
#include "tamis/Compress/Statistics.h"
#include <limits>

using namespace mlir;
using namespace mlir::tamis;

/// Columns whose mask is chosen at once where the pattern leaves it open.
static constexpr int64_t kSlab = 128;
namespace {
struct SparseGpt : PruneCriterion {
  bool canCompareLayers() const override { return false; }

  std::optional<std::string>
  collectNeeds(const WeightMatrix &matrix,
               SmallVectorImpl<NeededStatistic> &needed) const override {
    if (matrix.isConvolution || matrix.rowsPerGroup != matrix.rows)
      return "it slides a window or has groups";
    if (!matrix.input ||
        matrix.inputAxis != matrix.input.getType().getRank() - 1)
      return "its input channels are not the last axis of an observed tensor";
    needed.push_back({matrix.input, matrix.inputAxis, statistics::kGram});
    return std::nullopt;
  }

  /// The factor of the inverse of the damped second moments.
  FailureOr<std::vector<float>> getFactor(const WeightMatrix &matrix) const {
    int64_t n = matrix.columns;
    FailureOr<std::vector<float>> gram = readStatistic(
        matrix, matrix.input, statistics::kGram, (n + 1) * (n + 1));
    if (failed(gram))
      return failure();
    if (std::optional<std::vector<float>> factor = getInverseFactor(*gram, n))
      return std::move(*factor);
    return matrix.input.emitError("layer '")
           << matrix.layer << "': the statistic 'gram' of tensor '"
           << matrix.input.getTensor()
           << "' is no matrix of second moments (not positive definite)";
  }

  /// Without updates: w² over the diagonal of the inverse, squared.
  LogicalResult score(const WeightMatrix &matrix, ArrayRef<float> values,
                      int64_t, MutableArrayRef<float> scores) const override {
    FailureOr<std::vector<float>> factor = getFactor(matrix);
    if (failed(factor))
      return failure();
    for (int64_t i = 0, at = 0; i < matrix.rows; ++i)
      for (int64_t j = 0; j < matrix.columns; ++j, ++at) {
        float scaled = values[at] / (*factor)[j * (matrix.columns + 1)];
        scores[at] = scaled * scaled;
      }
    return success();
  }

  LogicalResult prune(const WeightMatrix &matrix, MutableArrayRef<float> values,
                      int64_t, const PrunePattern &pattern,
                      const PruneTarget &target) const override {
    int64_t rows = matrix.rows, n = matrix.columns;
    FailureOr<std::vector<float>> factor = getFactor(matrix);
    if (failed(factor))
      return failure();
    // An N:M group is chosen when its turn comes; for other patterns a slab is
    // wide enough to have a fair share of its own.
    int64_t step = pattern.getColumnStep();
    int64_t width =
        pattern.getOwnSparsity() ? step : std::max(step, kSlab / step * step);
    std::vector<uint8_t> isZero(values.size());
    for (auto [value, zero] : llvm::zip_equal(values, isZero))
      zero = value == 0;
    double owed = 0;
    std::vector<float> scores;
    std::vector<uint8_t> drop;
    for (int64_t first = 0; first < n; first += width) {
      int64_t columns = std::min(width, n - first);
      scores.assign(rows * columns, 0);
      drop.assign(rows * columns, 0);
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < columns; ++j) {
          int64_t at = i * n + first + j;
          float scaled = values[at] / (*factor)[(first + j) * (n + 1)];
          if (!isZero[at])
            scores[i * columns + j] =
                std::max(scaled * scaled, std::numeric_limits<float>::min());
        }
      PruneTarget part = target;
      owed += target.sparsity * double(drop.size());
      part.sparsity = std::clamp(owed / double(drop.size()), 0.0, 1.0);
      pattern.select(
          ScoredPiece{scores.data(), drop.data(), rows, columns, columns},
          part);
      owed -= double(llvm::count(drop, 1));
      for (int64_t i = 0; i < rows; ++i)
        dropInRow(values.slice(i * n, n), ArrayRef(isZero).slice(i * n, n),
                  ArrayRef(drop).slice(i * columns, columns), first, *factor);
    }
    return success();
  }

  /// Drops elements of one row and corrects those to the right of each.
  static void dropInRow(MutableArrayRef<float> row, ArrayRef<uint8_t> isZero,
                        ArrayRef<uint8_t> drop, int64_t first,
                        ArrayRef<float> factor) {
    int64_t n = row.size();
    for (int64_t j = first; j < first + int64_t(drop.size()); ++j) {
      if (!drop[j - first] && !isZero[j])
        continue;
      const float *right = &factor[j * n];
      float error = row[j] / right[j];
      row[j] = 0;
      if (error != 0)
        for (int64_t k = j + 1; k < n; ++k)
          row[k] -= error * right[k];
    }
  }
};
} // namespace

const PruneCriterion *tamis::getSparseGptCriterion() {
  static const SparseGpt criterion;
  return &criterion;
}
