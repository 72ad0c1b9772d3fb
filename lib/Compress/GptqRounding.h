// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The arithmetic of GPTQ on one weight, wherever its second moments come from.
#ifndef TAMIS_LIB_COMPRESS_GPTQROUNDING_H
#define TAMIS_LIB_COMPRESS_GPTQROUNDING_H

#include "QuantizeWeights.h"

namespace mlir::tamis {

/// Rounds the rows of one weight column by column; what is left of a row makes
/// good for each error. Columns whose inputs have the largest second moments
/// come first ("act order"): an error there weighs most, and the most columns
/// are left to take it up.
class GptqRounding {
public:
  /// `quantized` holds scales for every group; those of blocks are chosen anew.
  GptqRounding(const WeightMatrix &matrix, ArrayRef<float> values,
               SchemeAttr scheme, RangeMethod method,
               QuantizedWeight &quantized);

  /// Rounds `count` rows from `first` on that share their inputs. `gram` is
  /// the statistic of these, taken around the mean where `centered`. False if
  /// it is no matrix of second moments.
  bool round(int64_t first, int64_t count, ArrayRef<float> gram, bool centered);

private:
  void chooseBlocks(int64_t row, ArrayRef<float> importance);
  void roundRows(int64_t first, int64_t count, ArrayRef<int32_t> order,
                 ArrayRef<float> factor);
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
