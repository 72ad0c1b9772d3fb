// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TAMIS_LIB_TRANSFORMS_EVALUATEMATH_H
#define TAMIS_LIB_TRANSFORMS_EVALUATEMATH_H

#include "mlir/IR/Operation.h"

namespace mlir::tamis {

/// What an operation of the math dialect computes of one number, or of two.
using ScalarFunction = double (*)(double, double);

/// The function of `op` in double precision, whose result rounded once is right
/// to the last place of float32 but for rare ties (docs/Numerics.md, float_n4
/// asks for 3 units). Null for other operations, and where the result is a
/// double: its bits are those of the libm that the model will run with.
ScalarFunction getScalarFunction(Operation *op);

} // namespace mlir::tamis

#endif // TAMIS_LIB_TRANSFORMS_EVALUATEMATH_H
