// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What is decided about a contraction (SelectInstructions.cpp) and how it is
// written down (ApplyDecision.cpp).
#ifndef TAMIS_LIB_KERNELS_DECISION_H
#define TAMIS_LIB_KERNELS_DECISION_H

#include "mlir/IR/PatternMatch.h"
#include "tamis/Kernels/BlockSums.h"
#include "tamis/Kernels/Candidates.h"
#include "tamis/Kernels/Classify.h"
#include "tamis/Kernels/Tiling.h"

namespace mlir::tamis {

/// Everything decided about one contraction before IR changes.
struct Decision {
  InstructionAttrInterface instruction;
  ContractionDims dims;
  SmallVector<int64_t> bounds;
  Tiling tiling;
  KernelChoice choice;
  int64_t tasks = 1;
  bool packed;
  /// Taken from every rhs element when it is packed.
  int64_t rhsOffset = 0;
  /// The rhs zero point is part of rhsOffset and done with.
  bool rhsZeroFolded = false;
  bool needsSums = false;
  /// Two packed elements share a byte.
  bool nibbles = false;
  /// The addition of block sums that the contraction takes over, and the
  /// element type of each of its factors if that becomes another one.
  std::optional<BlockSums> blocks;
  SmallVector<Type> narrowed;
  /// The map of the result and what gives its shape, those of the addition
  /// where there is one.
  AffineMap out;
  Value init;
};

/// The iterations of `dims` together, kDynamic where one is.
int64_t getProduct(ArrayRef<unsigned> dims, ArrayRef<int64_t> bounds);

/// Replaces `op` by the tamis_kernel.contract that `decision` describes, its
/// right operand packed.
kernel::ContractOp applyDecision(RewriterBase &rewriter, ContractOp op,
                                 const Decision &decision);

/// What --tamis-select-instructions does with one contraction, in a model of so
/// many bytes of weights: decides, and applies that. On failure `op` stays, and
/// `reason` says why no kernel takes it.
FailureOr<kernel::ContractOp> selectKernel(IRRewriter &rewriter, ContractOp op,
                                           double modelBytes,
                                           SymbolTable &symbols,
                                           std::string &reason);

} // namespace mlir::tamis

#endif // TAMIS_LIB_KERNELS_DECISION_H
