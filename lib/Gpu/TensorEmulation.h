// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The products of tensor cores in scalar code.
#ifndef TAMIS_LIB_GPU_TENSOREMULATION_H
#define TAMIS_LIB_GPU_TENSOREMULATION_H

#include "tamis/Gpu/Tensor.h"

namespace mlir::tamis::device {

/// `sum` plus the products of the elements of two words.
Value buildWordProduct(OpBuilder &b, Location loc, Type element, Value weights,
                       Value rows, Value sum, bool weightsUnsigned,
                       bool rowsUnsigned);

/// The two float16 of `word` minus `base`, as tensor cores' words have them.
Value buildHalvesDifference(OpBuilder &b, Location loc, Value word,
                            double base);

/// Words through which a warp exchanges the registers of `instruction`.
int64_t countExchangeWords(FragmentAttrInterface instruction);

/// What the tensor core computes from the registers of a warp, read from where
/// the instruction set says that they are.
SmallVector<Value> buildEmulatedProduct(OpBuilder &b, Location loc,
                                        FragmentAttrInterface instruction,
                                        Type element,
                                        const FragmentOperands &operands);

} // namespace mlir::tamis::device

#endif // TAMIS_LIB_GPU_TENSOREMULATION_H
