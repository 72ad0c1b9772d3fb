// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the dimensions of a contraction are to a kernel. Selection (which
// packs) and code generation (which reads) must see the same roles, so both ask
// here.
#ifndef TAMIS_KERNELS_CLASSIFY_H
#define TAMIS_KERNELS_CLASSIFY_H

#include "mlir/IR/AffineMap.h"
#include "mlir/Support/LLVM.h"
#include "llvm/ADT/SmallVector.h"

#include <string>

namespace mlir::tamis {

/// The roles of a contraction's iteration dimensions. Dimensions of one
/// iteration have none and are left out, except a column without which there
/// would be nothing to vectorize.
struct ContractionDims {
  /// Dimensions of rhs and out that are walked one by one: batches, groups and
  /// columns that are not innermost in out. Outer to inner in out.
  SmallVector<unsigned> groups;
  /// Dimensions of out that rhs does not have, outer to inner.
  SmallVector<unsigned> rows;
  /// The vectorized dimension, innermost in out.
  unsigned column = 0;
  /// Reductions, outer to inner in lhs.
  SmallVector<unsigned> reductions;
  /// How many trailing reductions are contiguous in lhs and padded to the
  /// instruction's step together.
  unsigned run = 1;
  /// The column is a dimension of lhs too: products are lane by lane.
  bool depthwise = false;
};

/// Coefficients of the dimensions in `expr`, or failure if it is not a sum of
/// non-negative multiples of dimensions.
FailureOr<SmallVector<int64_t>> getCoefficients(AffineExpr expr,
                                                unsigned numDims);

/// Finds the roles for an instruction that consumes `step` reduction elements
/// at once. On failure `reason` says why no kernel takes the contraction.
FailureOr<ContractionDims>
classifyContraction(AffineMap lhs, AffineMap rhs, AffineMap out,
                    ArrayRef<int64_t> bounds, ArrayRef<int64_t> lhsShape,
                    int64_t step, std::string &reason);

/// True for a constant or a parameter, whatever views are in between: packing
/// or rounding it costs nothing at run time.
bool isParameter(Value value);

} // namespace mlir::tamis

#endif // TAMIS_KERNELS_CLASSIFY_H
