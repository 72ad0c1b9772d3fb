// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Keys that no row of a strip of attention sees: a causal mask hides half of
// all, and what is multiplied with them changes nothing.
#ifndef TAMIS_LIB_KERNELS_MASKEDKEYS_H
#define TAMIS_LIB_KERNELS_MASKEDKEYS_H

#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "tamis/IR/Tamis.h"

namespace mlir::tamis {

/// The extra operand of the first of `ops`, a contraction whose columns are
/// keys, that hides a key wherever it is minus infinity: the last of `ops`, a
/// contraction that sums over the keys, then sees a weight of zero, and nothing
/// between takes notice of the key. Nothing where no operand does, or where the
/// number of keys is known and loops of that length are worth more. `rank` is
/// that of the rows.
std::optional<unsigned> findMask(ArrayRef<DestinationStyleOpInterface> ops,
                                 int64_t rank);

/// How many keys any row sees, up to the last such one: of `mask` with keys
/// along axis `key` and rows along `row` (-1: one row), other axes of size 1.
Value emitSeenKeys(ImplicitLocOpBuilder &b, Value mask, int64_t key,
                   int64_t row);

} // namespace mlir::tamis

#endif // TAMIS_LIB_KERNELS_MASKEDKEYS_H
