// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Floats that were integers before: the scale they are whole multiples of, with
// or without an offset.
#ifndef TAMIS_TRANSFORMS_EXACTGRID_H
#define TAMIS_TRANSFORMS_EXACTGRID_H

#include "llvm/ADT/ArrayRef.h"
#include <cstdint>
#include <optional>

namespace mlir::tamis {

/// Levels `low` to `high` stand for `level * scale + offset`, product and sum
/// rounded each to float32.
struct ExactGrid {
  float scale = 1.0f, offset = 0.0f;
  int32_t low = 0, high = 0;

  /// The level nearest to `value`.
  int32_t getLevel(float value) const;
  float getValue(int32_t level) const;
};

/// The coarsest grid without offset whose levels of at most `most` in
/// magnitude are the values, bit for bit but for the sign of zero; nullopt if
/// there is none. `low` and `high` are the levels in use and zero. Zeros alone
/// have the scale one.
std::optional<ExactGrid> findMultiples(llvm::ArrayRef<float> values,
                                       int32_t most);

/// The same of levels 0 to `most` whose offset is the least value.
std::optional<ExactGrid> findOffsetGrid(llvm::ArrayRef<float> values,
                                        int32_t most);

} // namespace mlir::tamis

#endif // TAMIS_TRANSFORMS_EXACTGRID_H
