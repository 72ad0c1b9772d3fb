// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// SparseGPT (Frantar and Alistarh 2023): weights are dropped from left to
// right, and what is left of a row makes good for the error of each, as the
// second moments of the inputs (the statistic `gram`) say it should.
#include "InputMoments.h"
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
    auto place = findMomentsPlace(matrix);
    if (!place)
      return llvm::toString(place.takeError());
    needed.push_back({place->observe, place->axis, statistics::kGram});
    return std::nullopt;
  }

  /// The factors of the inverses of the damped second moments, group by group.
  static FailureOr<std::vector<std::vector<float>>>
  getFactors(const WeightMatrix &matrix) {
    auto fail = [&](const Twine &message) {
      return matrix.use.observe.emitError("layer '")
             << matrix.layer << "': " << message;
    };
    auto moments = readInputMoments(matrix);
    if (!moments)
      return fail(llvm::toString(moments.takeError()));
    std::vector<std::vector<float>> factors;
    for (int64_t group = 0; group < matrix.getGroupCount(); ++group) {
      auto factor = getInverseFactor(moments->getGroup(group), matrix.columns);
      if (!factor)
        return fail("the statistic 'gram' of its inputs is no matrix of second "
                    "moments (not positive definite)");
      factors.push_back(std::move(*factor));
    }
    return factors;
  }

  /// Without updates: w² over the diagonal of the inverse, squared.
  LogicalResult score(const WeightMatrix &matrix, ArrayRef<float> values,
                      int64_t, MutableArrayRef<float> scores) const override {
    auto factors = getFactors(matrix);
    if (failed(factors))
      return failure();
    for (int64_t i = 0, at = 0; i < matrix.rows; ++i) {
      ArrayRef<float> factor = (*factors)[i / matrix.rowsPerGroup];
      for (int64_t j = 0; j < matrix.columns; ++j, ++at) {
        float scaled = values[at] / factor[j * (matrix.columns + 1)];
        scores[at] = scaled * scaled;
      }
    }
    return success();
  }

  LogicalResult prune(const WeightMatrix &matrix, MutableArrayRef<float> values,
                      int64_t, const PrunePattern &pattern,
                      const PruneTarget &target) const override {
    int64_t rows = matrix.rows, n = matrix.columns;
    auto factors = getFactors(matrix);
    if (failed(factors))
      return failure();
    auto getFactor = [&](int64_t row) {
      return ArrayRef<float>((*factors)[row / matrix.rowsPerGroup]);
    };
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
          float scaled = values[at] / getFactor(i)[(first + j) * (n + 1)];
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
                  ArrayRef(drop).slice(i * columns, columns), first,
                  getFactor(i));
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
