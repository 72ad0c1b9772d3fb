// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the constant weights of a contraction are, before they are packed.
#ifndef TAMIS_LIB_GPU_FRAGMENTWEIGHTS_H
#define TAMIS_LIB_GPU_FRAGMENTWEIGHTS_H

#include "ListedWords.h"
#include "mlir/IR/SymbolTable.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Kernels/Classify.h"

namespace mlir::tamis::device {

/// Positions of dimensions in rhs; -1 where columns do not move in it.
struct RhsOrder {
  SmallVector<int64_t> groups, reductions;
  int64_t column;

  RhsOrder(tamis::ContractOp op, const ContractionDims &dims);
};

/// Whether of four consecutive elements along the reductions, as they are
/// packed, at most two differ from `zero`, in every column.
bool isTwoOfFour(tamis::ContractOp op, const RhsOrder &order, int64_t zero,
                 SymbolTable &symbols);

/// How panels are cut: `width` channels of a tile, `step` elements of the
/// reduction, `perWord` in a word.
struct PanelShape {
  int64_t width, step, perWord;
};

/// The words that are not zero, if elements equal to `zero` are packed as zero.
std::optional<ListedWords> listWords(tamis::ContractOp op,
                                     const RhsOrder &order, int64_t zero,
                                     const PanelShape &panels,
                                     SymbolTable &symbols);

using ByteRange = std::optional<std::pair<int64_t, int64_t>>;

/// The least and the greatest of constant integers of 8 bits.
ByteRange findRange(tamis::ContractOp op, SymbolTable &symbols);

} // namespace mlir::tamis::device

#endif // TAMIS_LIB_GPU_FRAGMENTWEIGHTS_H
