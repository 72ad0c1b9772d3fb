// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes bounded panels.
#include "BoundedPanels.h"
#include "PairBound.h"
#include <algorithm>

using namespace mlir;
using namespace mlir::tamis;

namespace {
/// The steps that are added up in 16 bits, and what is taken from each.
class Group {
public:
  Group(MutableArrayRef<char> rows, const BoundedShape &shape)
      : rows(rows), shape(shape),
        count(int64_t(rows.size()) / shape.getRowBytes()) {}

  /// True if nothing has to be taken away, as mostly.
  bool isBounded() {
    int64_t lanes = shape.getRowBytes() / 2;
    SmallVector<int16_t, 64> above(lanes), below(lanes);
    for (int64_t s = 0; s < count; ++s) {
      const char *row = &byte(s, 0);
      for (int64_t lane = 0; lane < lanes; ++lane)
        for (int64_t i = 0; i < 2; ++i) {
          auto weight = static_cast<int8_t>(row[2 * lane + i]);
          above[lane] += std::max<int8_t>(weight, 0);
          below[lane] += std::min<int8_t>(weight, 0);
        }
    }
    int16_t most = 0;
    for (int64_t lane = 0; lane < lanes; ++lane)
      most = std::max<int16_t>({most, above[lane], int16_t(-below[lane])});
    return most <= kWeightBound;
  }

  /// Makes the weights that meet in one sum, 2 a step from byte `at` on, small
  /// enough.
  void bound(int64_t at) {
    int above = 0, below = 0;
    for (int64_t s = 0; s < count; ++s)
      for (int64_t i = 0; i < 2; ++i) {
        int weight = get(s, at + i);
        (weight > 0 ? above : below) += weight;
      }
    take(at, above - kWeightBound, /*sign=*/1);
    take(at, -below - kWeightBound, /*sign=*/-1);
  }

  /// visit(step, what was taken from it), where that is not nothing.
  template <typename Visit>
  void forEachRest(Visit visit) {
    for (int64_t s = 0; s < count; ++s)
      if (!rests[s].empty())
        visit(s, rests[s]);
  }

private:
  char &byte(int64_t step, int64_t at) {
    return rows[step * shape.getRowBytes() + at];
  }
  int get(int64_t step, int64_t at) {
    return static_cast<int8_t>(byte(step, at));
  }

  /// Moves `excess` from weights of `sign`, from as few steps as that takes.
  void take(int64_t at, int excess, int sign) {
    for (int64_t s = count; excess > 0 && s-- > 0;)
      for (int64_t i = 0; i < 2; ++i) {
        int taken = std::clamp(sign * get(s, at + i), 0, std::max(excess, 0));
        byte(s, at + i) -= static_cast<char>(sign * taken);
        excess -= taken;
        if (taken == 0)
          continue;
        rests[s].resize(shape.getRowBytes());
        rests[s][at + i] += sign * taken;
      }
  }

  MutableArrayRef<char> rows;
  const BoundedShape &shape;
  int64_t count;
  /// Empty where nothing was taken.
  std::vector<std::vector<int>> rests =
      std::vector<std::vector<int>>(shape.steps);
};
} // namespace

/// Appends what is left of the step at element `place`, as entries whose own
/// pairs are within the bound: two at most, since halves of two bytes are.
static void append(std::vector<int> rest, int64_t place,
                   BoundedEntries &entries) {
  bool more = true;
  while (more) {
    more = false;
    for (size_t at = 0; at < rest.size(); at += 2) {
      auto [x, y] = getExcess(rest[at], rest[at + 1], kWeightBound);
      entries.values.push_back(static_cast<char>(rest[at] - x));
      entries.values.push_back(static_cast<char>(rest[at + 1] - y));
      rest[at] = x;
      rest[at + 1] = y;
      more |= x != 0 || y != 0;
    }
    entries.places.push_back(static_cast<int32_t>(place));
  }
}

void mlir::tamis::boundRun(MutableArrayRef<char> rows,
                           const BoundedShape &shape, int64_t place,
                           BoundedEntries &entries) {
  constexpr int64_t step = BoundedShape::kStep;
  int64_t rowBytes = shape.getRowBytes();
  for (int64_t first = 0; first < shape.getRows(); first += shape.steps) {
    int64_t count = std::min(shape.steps, shape.getRows() - first);
    Group group(rows.slice(first * rowBytes, count * rowBytes), shape);
    if (group.isBounded())
      continue;
    for (int64_t at = 0; at < rowBytes; at += 2)
      group.bound(at);
    group.forEachRest([&](int64_t s, ArrayRef<int> rest) {
      // A whole step of activations is read: the last one begins before what
      // fills it up.
      int64_t begin = step * (first + s);
      int64_t from = std::min(begin, shape.run - step);
      std::vector<int> shifted(rowBytes);
      for (int64_t at = 0; at < rowBytes; ++at)
        if (rest[at] != 0)
          shifted[at + begin - from] = rest[at];
      append(std::move(shifted), place + from, entries);
    });
  }
}

BoundedPanels mlir::tamis::makeBoundedPanels(ArrayRef<char> packed,
                                             int64_t panels,
                                             const BoundedShape &shape) {
  BoundedPanels result;
  result.panels.assign(packed.begin(), packed.end());
  int64_t panelBytes = int64_t(packed.size()) / panels;
  int64_t runBytes = shape.getRows() * shape.getRowBytes();
  for (int64_t panel = 0; panel < panels; ++panel) {
    result.starts.push_back(static_cast<int32_t>(result.entries.places.size()));
    MutableArrayRef<char> rows =
        MutableArrayRef(result.panels).slice(panel * panelBytes, panelBytes);
    for (int64_t at = 0, place = 0; at < panelBytes;
         at += runBytes, place += shape.run)
      boundRun(rows.slice(at, runBytes), shape, place, result.entries);
  }
  result.starts.push_back(static_cast<int32_t>(result.entries.places.size()));
  return result;
}
