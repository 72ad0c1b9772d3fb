// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The distance between the extreme values is a whole number of steps, and there
// are few such numbers: each is tried, and nearly all fail at the first value.
#include "tamis/Transforms/ExactGrid.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>
#include <cmath>
#include <limits>

using namespace mlir::tamis;

int32_t ExactGrid::getLevel(float value) const {
  return static_cast<int32_t>(std::rint((double(value) - offset) / scale));
}

float ExactGrid::getValue(int32_t level) const {
  // A statement of its own, so that no compiler fuses it with the sum.
  float product = static_cast<float>(level) * scale;
  return product + offset;
}

/// Tries 1, 2, … `most` steps for `span`. `low` and `high` of the result are
/// the extreme levels in use.
static std::optional<ExactGrid> findGrid(llvm::ArrayRef<float> values,
                                         double span, float offset,
                                         int32_t most) {
  for (int32_t steps = 1; steps <= most; ++steps) {
    auto scale = static_cast<float>(span / steps);
    // The quotient may have been rounded to a neighbour of the scale.
    for (float candidate :
         {scale, std::nextafter(scale, 0.0f),
          std::nextafter(scale, std::numeric_limits<float>::max())}) {
      if (!std::isnormal(candidate))
        continue;
      ExactGrid grid{candidate, offset, 0, 0};
      bool fits = llvm::all_of(values, [&](float value) {
        double level = std::rint((double(value) - offset) / candidate);
        if (!(std::fabs(level) <= most) ||
            grid.getValue(static_cast<int32_t>(level)) != value)
          return false;
        grid.low = std::min(grid.low, static_cast<int32_t>(level));
        grid.high = std::max(grid.high, static_cast<int32_t>(level));
        return true;
      });
      if (fits)
        return grid;
    }
  }
  return std::nullopt;
}

static bool areFinite(llvm::ArrayRef<float> values) {
  return llvm::all_of(values, [](float value) { return std::isfinite(value); });
}

std::optional<ExactGrid>
mlir::tamis::findMultiples(llvm::ArrayRef<float> values, int32_t most) {
  if (!areFinite(values))
    return std::nullopt;
  float largest = 0;
  for (float value : values)
    largest = std::max(largest, std::fabs(value));
  if (largest == 0)
    return ExactGrid();
  return findGrid(values, largest, 0.0f, most);
}

std::optional<ExactGrid>
mlir::tamis::findOffsetGrid(llvm::ArrayRef<float> values, int32_t most) {
  if (values.empty() || !areFinite(values))
    return std::nullopt;
  auto [low, high] = std::minmax_element(values.begin(), values.end());
  if (*low == *high)
    return ExactGrid{1.0f, *low, 0, 0};
  return findGrid(values, double(*high) - *low, *low, most);
}
