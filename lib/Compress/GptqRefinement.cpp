// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The gradient H (w - q) of each row is kept up to date, so that a look at a
// level costs nothing and a change a row of H.
#include "GptqRefinement.h"
#include "mlir/Support/LLVM.h"
#include <cmath>

using namespace mlir;
using namespace mlir::tamis;

/// The third still takes off two percent of what GPTQ left.
static constexpr int kSweeps = 3;

/// y += factor x
static void addTimes(MutableArrayRef<float> y, float factor, const float *x) {
  if (factor == 0)
    return;
  for (size_t i = 0; i < y.size(); ++i)
    y[i] += factor * x[i];
}

namespace {
/// A row and its gradient.
class Descent {
public:
  Descent(RoundedRow &row, ArrayRef<float> moments,
          ArrayRef<ScaleColumns> groups)
      : row(row), moments(moments), n(row.weights.size()), gradient(n),
        product(n) {
    std::vector<float> error = row.weights;
    for (auto [group, scale] : llvm::zip_equal(groups, row.scales))
      for (int32_t j : group.columns)
        error[j] -= row.levels[j] * scale;
    for (size_t j = 0; j < n; ++j)
      addTimes(gradient, error[j], &moments[j * n]);
  }

  /// Least squares: levels · gradient over levels · H · levels is missing.
  void improveScale(ArrayRef<int32_t> columns, float &scale) {
    std::fill(product.begin(), product.end(), 0.0f);
    for (int32_t j : columns)
      addTimes(product, row.levels[j], &moments[j * n]);
    double slope = 0, curvature = 0;
    for (int32_t j : columns) {
      slope += double(row.levels[j]) * gradient[j];
      curvature += double(row.levels[j]) * product[j];
    }
    if (!(curvature > 0))
      return;
    auto better = static_cast<float>(scale + slope / curvature);
    // Not through zero, nor close to it.
    if (!std::isfinite(better) || !(better / scale > 0.1f))
      return;
    addTimes(gradient, scale - better, product.data());
    scale = better;
  }

  void improveLevels(ArrayRef<int32_t> columns, float scale) {
    for (int32_t j : columns) {
      if (row.weights[j] == 0)
        continue;
      float best = row.levels[j] + gradient[j] / (moments[j * n + j] * scale);
      // NaN, where both are zero, keeps the level.
      if (!(std::fabs(best - row.levels[j]) > 0.5f))
        continue;
      best = std::nearbyint(std::clamp(best, row.low[j], row.high[j]));
      addTimes(gradient, (row.levels[j] - best) * scale, &moments[j * n]);
      row.levels[j] = best;
    }
  }

private:
  RoundedRow &row;
  ArrayRef<float> moments;
  size_t n;
  std::vector<float> gradient, product;
};
} // namespace

void tamis::refineRows(MutableArrayRef<RoundedRow> rows,
                       ArrayRef<float> moments, ArrayRef<ScaleColumns> groups) {
  std::vector<Descent> descents;
  for (RoundedRow &row : rows)
    descents.emplace_back(row, moments, groups);
  for (int sweep = 0; sweep < kSweeps; ++sweep)
    for (auto [index, group] : llvm::enumerate(groups))
      // Rows inside, so that they share what is read of H.
      for (auto [row, descent] : llvm::zip_equal(rows, descents)) {
        if (group.isFree)
          descent.improveScale(group.columns, row.scales[index]);
        descent.improveLevels(group.columns, row.scales[index]);
      }
}
