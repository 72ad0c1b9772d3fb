// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Bitmasks of drawn panels, read back by a decoder that is written here once
// more, unit by unit.
#include "../../lib/Kernels/Bitmask.h"
#include "Checks.h"
#include <cstring>
#include <random>

using namespace mlir;
using namespace mlir::tamis;

/// The panels; nothing where the arrays contradict each other.
static std::optional<std::vector<char>>
decode(const Bitmask &bitmask, size_t panels, size_t units, size_t unitBytes) {
  size_t count = 8 * bitmask.masks.size(), perPanel = count / panels;
  std::vector<char> packed(count * unitBytes, 0);
  size_t stored = 0;
  if (bitmask.starts.size() != panels + 1)
    return std::nullopt;
  for (size_t i = 0; i < count; ++i) {
    if (i % perPanel == 0 && size_t(bitmask.starts[i / perPanel]) != stored)
      return std::nullopt;
    if (bitmask.masks[i / 8] >> (i % 8) & 1)
      std::memcpy(&packed[i * unitBytes],
                  &bitmask.values.at(stored++ * unitBytes), unitBytes);
  }
  // A whole vector is readable behind the last unit.
  if (size_t(bitmask.starts[panels]) != stored ||
      bitmask.values.size() != (stored + units) * unitBytes)
    return std::nullopt;
  return packed;
}

int main() {
  std::mt19937 random(0);
  for (size_t panels : {1, 3})
    for (size_t vectors : {1, 7})
      for (auto [units, unitBytes] :
           {std::pair<size_t, size_t>{8, 2}, {8, 4}, {16, 4}, {64, 1}})
        for (double zeros : {0.0, 0.5, 0.95, 1.0, -1.0}) {
          std::vector<char> packed(panels * vectors * units * unitBytes);
          std::bernoulli_distribution isZero(std::abs(zeros));
          for (size_t i = 0; i < packed.size(); i += unitBytes)
            if (!isZero(random))
              packed[i + random() % unitBytes] = char(1 + random() % 255);
          if (zeros < 0)
            packed.back() = 1; // all zero but for the last unit
          Bitmask bitmask = makeBitmask(packed, int64_t(panels), int64_t(units),
                                        int64_t(unitBytes), /*isFloat=*/false);
          expect(decode(bitmask, panels, units, unitBytes) == packed,
                 llvm::Twine(panels) + " panels of " + llvm::Twine(vectors) +
                     " vectors of " + llvm::Twine(units) + " x " +
                     llvm::Twine(unitBytes) + " bytes, percent of zeros " +
                     llvm::Twine(int(100 * zeros)));
        }
  // Of floats, negative zeros are zeros.
  float values[8] = {0, -0.0f, 1e-45f, 0, -2, 0, -0.0f, 0};
  Bitmask bitmask = makeBitmask(
      ArrayRef(reinterpret_cast<const char *>(values), sizeof values), 1, 8, 4,
      /*isFloat=*/true);
  expect(bitmask.masks == std::vector<char>{0x14} && bitmask.starts.back() == 2,
         "negative zeros");
  return report();
}
