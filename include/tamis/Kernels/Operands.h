// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What every selection, of CPUs and of GPUs, does to the operands of a
// contraction.
#ifndef TAMIS_KERNELS_OPERANDS_H
#define TAMIS_KERNELS_OPERANDS_H

#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "tamis/IR/Tamis.h"

namespace mlir::tamis {

/// The value of a zero point that is known now, 0 where there is none.
std::optional<int64_t> getConstantZero(Value zero, bool isUnsigned);

/// The size of iteration dimension `d`, from the operands that know it.
OpFoldResult getBound(OpBuilder &b, ContractOp op, unsigned d,
                      ArrayRef<int64_t> bounds);

/// lhs with the coordinates outside it made real: zero, that is the zero point.
Value padLhs(ImplicitLocOpBuilder &b, ContractOp op, ArrayRef<int64_t> bounds);

} // namespace mlir::tamis

#endif // TAMIS_KERNELS_OPERANDS_H
