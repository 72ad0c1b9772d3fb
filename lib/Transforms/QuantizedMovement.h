// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Moves dequantize below operations that only move or select values, so that
// they handle bytes, and so that what follows meets its quantize.
#ifndef TAMIS_LIB_TRANSFORMS_QUANTIZEDMOVEMENT_H
#define TAMIS_LIB_TRANSFORMS_QUANTIZEDMOVEMENT_H

#include "mlir/IR/PatternMatch.h"
#include "tamis/IR/Tamis.h"

namespace mlir::tamis {

/// True if the two are one value or constants of equal contents.
bool areEqualParameters(Value a, Value b);

/// `value` of 8 or 16 bit integers inside [low, high].
Value clampIntegers(OpBuilder &b, Location loc, Value value, int64_t low,
                    int64_t high, bool isUnsigned);

/// Adds the patterns; `moved` counts their successes.
void populateQuantizedMovementPatterns(RewritePatternSet &patterns,
                                       int64_t &moved);

} // namespace mlir::tamis

#endif // TAMIS_LIB_TRANSFORMS_QUANTIZEDMOVEMENT_H
