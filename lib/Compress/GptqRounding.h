// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The arithmetic of GPTQ on one weight, wherever its second moments come from.
#ifndef TAMIS_LIB_COMPRESS_GPTQROUNDING_H
#define TAMIS_LIB_COMPRESS_GPTQROUNDING_H

#include "QuantizeWeights.h"

namespace mlir::tamis {

/// The inputs that some rows share, as rounding sees them. Weights that read
/// one tensor have the same.
struct RoundingInputs {
  /// Second moments, n times n, one percent of their mean added to the
  /// diagonal: inputs that were silent on the samples may speak later.
  std::vector<float> moments;
  /// Columns, those with the largest second moments first ("act order"): an
  /// error there weighs most, and the most columns are left to take it up.
  std::vector<int32_t> order;
  /// getInverseFactor of the columns in that order.
  std::vector<float> factor;

  /// From the statistic `gram`, taken around the mean where `centered`; nullopt
  /// if it is no matrix of second moments.
  static std::optional<RoundingInputs> make(ArrayRef<float> gram,
                                            int64_t columns, bool centered);
};

/// Rounds the rows of one weight column by column; what is left of a row makes
/// good for each error. Then refineRows.
class GptqRounding {
public:
  /// `quantized` holds scales for every group; those of blocks are chosen anew.
  GptqRounding(const WeightMatrix &matrix, ArrayRef<float> values,
               SchemeAttr scheme, RangeMethod method,
               QuantizedWeight &quantized);

  /// Rounds `count` rows from `first` on that share `inputs`.
  void round(int64_t first, int64_t count, const RoundingInputs &inputs);

private:
  void chooseBlocks(int64_t row, const RoundingInputs &inputs);
  void roundRows(int64_t first, int64_t count, const RoundingInputs &inputs);
  void refine(int64_t first, int64_t count, const RoundingInputs &inputs);
  int32_t getOffset(int64_t row, int64_t column) const {
    return offsets[row * columns + column];
  }

  int64_t columns;
  std::vector<int32_t> offsets;
  ArrayRef<float> values;
  SchemeAttr scheme;
  RangeMethod method;
  QuantizedWeight &quantized;
  ScaleMap map;
};

} // namespace mlir::tamis

#endif // TAMIS_LIB_COMPRESS_GPTQROUNDING_H
