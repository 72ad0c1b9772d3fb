// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The border of a contraction's input as a tensor.
#ifndef TAMIS_TRANSFORMS_PADDING_H
#define TAMIS_TRANSFORMS_PADDING_H

#include "mlir/IR/Builders.h"
#include "tamis/IR/Tamis.h"

namespace mlir::tamis {

/// The lhs of `op`, a ranked tensor, padded with zero (the zero point) by all
/// that its map reaches outside, so that `pad` is zero for the result; the lhs
/// itself if that is nothing.
Value padContractionInput(OpBuilder &b, ContractOp op);

} // namespace mlir::tamis

#endif // TAMIS_TRANSFORMS_PADDING_H
