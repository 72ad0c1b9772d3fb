// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What GPTQ leaves to gain: integers and scales of a row, looked at again one
// by one.
#ifndef TAMIS_LIB_COMPRESS_GPTQREFINEMENT_H
#define TAMIS_LIB_COMPRESS_GPTQREFINEMENT_H

#include "llvm/ADT/ArrayRef.h"
#include <vector>

namespace mlir::tamis {

/// A row that was rounded: weights w, and levels (integers less the zero point)
/// times scales that stand for them.
struct RoundedRow {
  std::vector<float> weights, levels;
  /// Least and greatest level of each column.
  std::vector<float> low, high;
  std::vector<float> scales;
};

/// Columns that may have a scale of their own in common.
struct ScaleColumns {
  std::vector<int32_t> columns;
  /// Whether the scale may change.
  bool isFree = false;
};

/// Lowers (w - q) H (w - q)' of `rows` by coordinate descent: each scale that
/// is free becomes the best one for its levels, then each level the best one
/// for all others (the descent of QuantEase; Behdin et al., 2023). No step
/// raises the error. `moments` is H, n times n; `groups` are the columns of the
/// scales, one each for `scales` of a row. Scales keep their sign; a column
/// whose weight is zero keeps its level.
void refineRows(llvm::MutableArrayRef<RoundedRow> rows,
                llvm::ArrayRef<float> moments,
                llvm::ArrayRef<ScaleColumns> groups);

} // namespace mlir::tamis

#endif // TAMIS_LIB_COMPRESS_GPTQREFINEMENT_H
