// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What keeps to the rows of a contraction's result: asked on tensors, where
// strips are decided, and on buffers, where they are made.
#ifndef TAMIS_LIB_KERNELS_ROWCHAIN_H
#define TAMIS_LIB_KERNELS_ROWCHAIN_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "tamis/IR/Tamis.h"

namespace mlir::tamis {

/// True if the first `rank` dimensions of `op` are parallel and index, in
/// order, what it writes and what of its operands `isRows` names; all others
/// are read through plain dimensions.
bool keepsRows(linalg::GenericOp op, int64_t rank,
               function_ref<bool(Value)> isRows);

/// True if the result of a contraction of floats is rows: all its dimensions
/// but the last, which only rhs has, index the operands plainly.
bool makesRows(kernel::ContractOp op);

/// True if such a contraction has rows as lhs, sums over what is in them and
/// has all of their dimensions in its own rows.
bool readsRows(kernel::ContractOp op, int64_t rank);

} // namespace mlir::tamis

#endif // TAMIS_LIB_KERNELS_ROWCHAIN_H
