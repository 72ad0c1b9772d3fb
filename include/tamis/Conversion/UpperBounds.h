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

/// Upper bounds of index arithmetic over input dimensions with known ranges
/// (`tamis.dim_ranges` of the function's arguments).
class UpperBounds {
public:
  std::optional<int64_t> get(Value value);

private:
  std::optional<int64_t> compute(Value value);
  std::optional<int64_t> fromArgument(memref::DimOp dim);
  std::optional<int64_t> fromMap(AffineExpr expr, unsigned dims,
                                 ValueRange operands);

  DenseMap<Value, std::optional<int64_t>> known;
};

} // namespace mlir::tamis

#endif // TAMIS_CONVERSION_UPPERBOUNDS_H
