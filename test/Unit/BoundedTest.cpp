// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Bounded panels of drawn weights: panels and entries together are the weights,
// and no sum of 16 bits can overflow.
#include "../../lib/Kernels/BoundedPanels.h"
#include "Checks.h"
#include <algorithm>
#include <random>

using namespace mlir;
using namespace mlir::tamis;

/// True if 255 times each weight of one sign, of `count` steps of `bytes`, fits
/// into 16 bits wherever two neighbours of a step meet.
static bool isBounded(const char *rows, int64_t count, int64_t bytes) {
  for (int64_t at = 0; at < bytes; at += 2) {
    int above = 0, below = 0;
    for (int64_t s = 0; s < count; ++s)
      for (int64_t i = 0; i < 2; ++i) {
        int weight = static_cast<int8_t>(rows[s * bytes + at + i]);
        (weight > 0 ? above : below) += 255 * weight;
      }
    if (above > INT16_MAX || below < INT16_MIN)
      return false;
  }
  return true;
}

/// The weights by element of the whole reduction and column; nothing where
/// entries lie outside their run.
static std::optional<std::vector<int>> decode(const BoundedPanels &bounded,
                                              int64_t panels, int64_t runs,
                                              const BoundedShape &shape) {
  int64_t bytes = shape.getRowBytes(), rows = shape.getRows();
  std::vector<int> weights(panels * runs * shape.run * shape.width);
  auto at = [&](int64_t panel, int64_t element, int64_t column) -> int & {
    return weights[(panel * runs * shape.run + element) * shape.width + column];
  };
  for (int64_t p = 0; p < panels; ++p) {
    for (int64_t r = 0; r < runs; ++r)
      for (int64_t k = 0; k < shape.run; ++k)
        for (int64_t c = 0; c < shape.width; ++c)
          at(p, r * shape.run + k, c) += static_cast<int8_t>(
              bounded.panels[((p * runs + r) * rows + k / 4) * bytes + c * 4 +
                             k % 4]);
    for (int32_t e = bounded.starts[p]; e < bounded.starts[p + 1]; ++e) {
      int64_t place = bounded.entries.places[e];
      if (place < 0 || place % shape.run > shape.run - 4 ||
          place >= runs * shape.run)
        return std::nullopt;
      for (int64_t i = 0; i < bytes; ++i)
        at(p, place + i % 4, i / 4) +=
            static_cast<int8_t>(bounded.entries.values[e * bytes + i]);
    }
  }
  return weights;
}

int main() {
  std::mt19937 random(0);
  auto draw = [&](int kind) -> int8_t {
    std::normal_distribution<> normal(0, kind == 0 ? 10 : 45);
    if (kind < 2)
      return static_cast<int8_t>(
          std::clamp<long>(std::lround(normal(random)), -128, 127));
    int8_t ends[] = {127, -128, -127, 0};
    return kind == 2 ? ends[random() % 4] : kind == 3 ? 127 : -128;
  };
  for (int64_t panels : {1, 3})
    for (int64_t runs : {1, 2})
      for (int64_t run : {4, 5, 6, 7, 8, 21, 64})
        for (int64_t steps : {1, 2, 4})
          for (int kind = 0; kind < 5; ++kind) {
            BoundedShape shape{/*width=*/8, run, steps};
            int64_t bytes = shape.getRowBytes(), rows = shape.getRows();
            std::vector<char> packed(panels * runs * rows * bytes);
            for (size_t i = 0; i < packed.size(); ++i)
              if (int64_t(i) / bytes % rows * 4 + int64_t(i) % 4 < run)
                packed[i] = draw(kind);
            BoundedPanels bounded = makeBoundedPanels(packed, panels, shape);
            BoundedPanels plain{packed, {}, std::vector<int32_t>(panels + 1)};
            auto name = llvm::Twine(run) + " elements, " + llvm::Twine(steps) +
                        " steps, weights " + llvm::Twine(kind);
            expect(decode(bounded, panels, runs, shape) ==
                       decode(plain, panels, runs, shape),
                   name + ": the same weights");
            bool fits = true;
            for (int64_t r = 0; r < panels * runs; ++r)
              for (int64_t s = 0; s < rows; s += steps)
                fits &= isBounded(&bounded.panels[(r * rows + s) * bytes],
                                  std::min(steps, rows - s), bytes);
            expect(fits, name + ": panels fit");
            int64_t entries = bounded.entries.places.size();
            fits = int64_t(bounded.entries.values.size()) == entries * bytes;
            for (int64_t e = 0; fits && e < entries; ++e)
              fits = isBounded(&bounded.entries.values[e * bytes], 1, bytes);
            expect(fits, name + ": entries fit");
            if (kind == 0 && steps == 1)
              expect(entries == 0, name + ": small weights have no entries");
          }
  return report();
}
