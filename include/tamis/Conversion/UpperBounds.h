// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How large open sizes can become.
#ifndef TAMIS_CONVERSION_UPPERBOUNDS_H
#define TAMIS_CONVERSION_UPPERBOUNDS_H

#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/DenseMap.h"
#include <optional>

namespace mlir::memref {
class DimOp;
} // namespace mlir::memref

namespace mlir::tamis {

/// What a value lies between; an absent end is not known.
struct Interval {
  std::optional<int64_t> low, high;
};

/// Upper bounds of index arithmetic over input dimensions with known ranges
/// (`tamis.dim_ranges` of the function's arguments).
class UpperBounds {
public:
  std::optional<int64_t> get(Value value) { return getInterval(value).high; }

private:
  Interval getInterval(Value value);
  Interval compute(Operation *op);
  Interval fromArgument(memref::DimOp dim);
  Interval fromExpr(AffineExpr expr, unsigned dims, ValueRange operands);

  DenseMap<Value, Interval> known;
};

} // namespace mlir::tamis

#endif // TAMIS_CONVERSION_UPPERBOUNDS_H
