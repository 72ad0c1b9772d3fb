// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the cost models say of a layer that is not compiled: for those who
// decide where zeros should be.
#ifndef TAMIS_KERNELS_PREDICTTIME_H
#define TAMIS_KERNELS_PREDICTTIME_H

#include "tamis/IR/Tamis.h"

namespace mlir::tamis {

/// Rows assumed where only run time knows.
inline constexpr int64_t kTypicalRows = 128;

/// A contraction of activations and weights as --tamis-assign-layouts leaves
/// it: channels innermost in `lhs` and `out`.
struct Layer {
  RankedTensorType lhs, rhs, out;
  /// Of lhs, rhs and out.
  SmallVector<AffineMap> maps;
  ArrayAttr iterators;
  /// Of lhs, one a dimension.
  SmallVector<int64_t> pad;
};

/// Bytes of the parameters of a module: what has passed through the caches when
/// a weight is read again.
double getModelBytes(ModuleOp module);

/// The microseconds of one core that `target`, a processor, is expected to take
/// for `layer`. `weights` are the bytes of its right operand in row-major
/// order, and the storage is the one that --tamis-select-storage would take of
/// them in a model of so many bytes of weights. None where no kernel takes the
/// layer.
std::optional<double> predictTime(TargetAttr target, const Layer &layer,
                                  ArrayRef<char> weights, double modelBytes);

} // namespace mlir::tamis

#endif // TAMIS_KERNELS_PREDICTTIME_H
