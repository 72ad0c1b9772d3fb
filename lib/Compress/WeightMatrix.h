// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A weight as patterns see it: output channels times K, whatever the layout of
// the parameter and whatever transposes and reshapes lie before the
// contraction.
#ifndef TAMIS_LIB_COMPRESS_WEIGHTMATRIX_H
#define TAMIS_LIB_COMPRESS_WEIGHTMATRIX_H

#include "tamis/Compress/Parameters.h"
#include <string>

namespace mlir::tamis {

struct WeightMatrix {
  /// Operations are handles: who has the matrix may ask and change them.
  mutable WeightUse use;
  /// The contraction's name in the model, or the parameter's.
  std::string layer;
  /// Output channels (groups outermost) and elements of one reduction, ordered
  /// kernel height, kernel width, channel fastest.
  int64_t rows = 0, columns = 0;
  /// Reduced input channels: the fastest part of a column's number.
  int64_t channels = 1;
  /// Rows that share one group of input channels; all, if there are no groups.
  int64_t rowsPerGroup = 0;
  /// Whether the contraction slides a window.
  bool isConvolution = false;
  /// The contraction's loops over groups, and those over the elements of a
  /// reduction, in the order of columns.
  SmallVector<unsigned> groupLoops, reductionLoops;
  /// The matrix as a strided reading of the contraction's operand: extents and
  /// strides of rows, then columns.
  SmallVector<int64_t> shape, strides;

  /// The observed tensor whose axis `inputAxis` indexes the input channels
  /// (group times `channels`); null if none is found.
  mutable ObserveOp input;
  int64_t inputAxis = -1;

  /// Whether its values can be read; a model may have other floats.
  bool isFloat32() const {
    return use.observe.getType().getElementType().isF32();
  }
  /// The element of the parameter at each place of the matrix.
  std::vector<int32_t> getOffsets() const;
  /// The parameter's values in the matrix's order.
  FailureOr<std::vector<float>> read() const;
  /// Gives the parameter new values, in the matrix's order.
  void write(ArrayRef<float> values) const;
  int64_t getGroupCount() const { return rows / rowsPerGroup; }
  /// The input channel that the element of `row` and `column` multiplies.
  int64_t getInputChannel(int64_t row, int64_t column) const {
    return row / rowsPerGroup * channels + column % channels;
  }
};

/// The weights of all contractions, in their order, each parameter once.
std::vector<WeightMatrix> collectWeights(ModuleOp module);

/// Follows `axis` of `value` back to the nearest observed tensor through
/// movement that leaves its elements in order; null if there is none.
ObserveOp traceToObserved(Value value, int64_t axis, int64_t &observedAxis);

} // namespace mlir::tamis

#endif // TAMIS_LIB_COMPRESS_WEIGHTMATRIX_H
