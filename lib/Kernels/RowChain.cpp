// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rows by indexing maps alone.
#include "RowChain.h"

using namespace mlir;
using namespace mlir::tamis;

static bool startsWithRows(AffineMap map, int64_t rank) {
  if (map.getNumResults() < rank)
    return false;
  for (int64_t i = 0; i < rank; ++i)
    if (map.getResult(i) != getAffineDimExpr(i, map.getContext()))
      return false;
  return true;
}

bool mlir::tamis::keepsRows(linalg::GenericOp op, int64_t rank,
                            function_ref<bool(Value)> isRows) {
  auto iterators = op.getIteratorTypesArray();
  if (op.hasIndexSemantics() || static_cast<int64_t>(iterators.size()) < rank ||
      !llvm::all_of(ArrayRef(iterators).take_front(rank),
                    linalg::isParallelIterator))
    return false;
  return llvm::all_of(op->getOpOperands(), [&](OpOperand &operand) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    return map.isProjectedPermutation(/*allowZeroInResults=*/true) &&
           ((!op.isDpsInit(&operand) && !isRows(operand.get())) ||
            startsWithRows(map, rank));
  });
}

bool mlir::tamis::makesRows(kernel::ContractOp op) {
  AffineMap out = op.getOutMap();
  auto isPlain = [](AffineMap map) { return map.isProjectedPermutation(); };
  // A slice of anything else would need slices of what belongs to all columns.
  if (!isa<FloatType>(op.getAccumulator()) || op.getStorage() || op.getSums() ||
      op.getBlock() || op.getLhsZero() || op.getRhsZero() ||
      out.getNumResults() < 2 || !isPlain(out) || !isPlain(op.getLhsMap()) ||
      !isPlain(op.getRhsMap()))
    return false;
  unsigned column = out.getDimPosition(out.getNumResults() - 1);
  return !op.getLhsMap().isFunctionOfDim(column) &&
         op.getRhsMap().isFunctionOfDim(column);
}

bool mlir::tamis::readsRows(kernel::ContractOp op, int64_t rank) {
  AffineMap lhs = op.getLhsMap(), out = op.getOutMap();
  if (!makesRows(op) || lhs.getNumResults() != rank + 1 ||
      out.getNumResults() != rank + 1 ||
      out.isFunctionOfDim(lhs.getDimPosition(rank)))
    return false;
  return llvm::all_of(llvm::seq<int64_t>(0, rank), [&](int64_t i) {
    return out.isFunctionOfDim(lhs.getDimPosition(i));
  });
}
