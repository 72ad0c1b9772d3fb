// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Contractions whose result is the sums of blocks, and the addition of them.
#ifndef TAMIS_KERNELS_BLOCKSUMS_H
#define TAMIS_KERNELS_BLOCKSUMS_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "tamis/IR/Tamis.h"

namespace mlir::tamis {

/// A contraction that has a sum for each block of its reduction and one reader,
/// which adds them up, scaled: together one contraction by blocks.
struct BlockSums {
  linalg::GenericOp added;
  /// The dimension of the contraction that counts blocks.
  unsigned block;
  /// The place of an iteration in the result of `added`.
  AffineMap out;
  /// What `added` reads beside the sums, and where, in dimensions of the
  /// contraction.
  SmallVector<Value> factors;
  SmallVector<AffineMap> maps;

  /// What gives the result its shape; totals begin at zero by themselves.
  Value getInit() const;
  /// Iterator names with the blocks among the reductions.
  ArrayAttr getIterators(ContractOp op) const;
  /// Fills `combine`, (total, sum, factors) to the next total. A factor whose
  /// element type is `narrowed[i]`, where that is there and not null, is
  /// widened first.
  void buildCombine(OpBuilder &b, ContractOp op, Region &combine,
                    ArrayRef<Type> narrowed = {}) const;
};

/// The addition behind `op`, or nullopt where its result is none of blocks.
std::optional<BlockSums> findBlockSums(ContractOp op);

} // namespace mlir::tamis

#endif // TAMIS_KERNELS_BLOCKSUMS_H
