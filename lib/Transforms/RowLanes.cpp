// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What lanes that share a row ask of an operation.
#include "tamis/Transforms/RowLanes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::tamis;

SmallVector<unsigned> mlir::tamis::getLaneDims(linalg::LinalgOp op,
                                               ArrayRef<unsigned> rowDims) {
  SmallVector<unsigned> dims;
  for (auto [dim, range] : llvm::enumerate(op.getStaticLoopRanges()))
    if (range != 1 && !llvm::is_contained(rowDims, dim))
      dims.push_back(dim);
  return dims;
}

RowAccess mlir::tamis::getRowAccess(linalg::LinalgOp op, OpOperand &operand,
                                    ArrayRef<unsigned> rowDims) {
  SmallVector<unsigned> dims = getLaneDims(op, rowDims), found;
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  for (AffineExpr expr : op.getMatchingIndexingMap(&operand).getResults()) {
    auto dim = dyn_cast<AffineDimExpr>(expr);
    if (dim && llvm::is_contained(dims, dim.getPosition()))
      found.push_back(dim.getPosition());
    else if (dim ? ranges[dim.getPosition()] != 1 &&
                       !llvm::is_contained(rowDims, dim.getPosition())
                 : !isa<AffineConstantExpr>(expr))
      return RowAccess::Other;
  }
  if (found.empty())
    return RowAccess::Scalar;
  return found == dims ? RowAccess::Elements : RowAccess::Other;
}

Operation *mlir::tamis::getLaneCombiner(linalg::LinalgOp op, unsigned index) {
  Value accumulator = op.getRegionOutputArgs()[index];
  Value yielded = op.getBlock()->getTerminator()->getOperand(index);
  Operation *combiner = yielded.getDefiningOp();
  Type type = accumulator.getType();
  if (!type.isF32() && !type.isInteger(32) && !type.isInteger(64))
    return nullptr;
  if (!combiner || combiner->getNumOperands() != 2 ||
      !combiner->hasTrait<OpTrait::IsCommutative>() ||
      !accumulator.hasOneUse() || *accumulator.user_begin() != combiner ||
      !yielded.hasOneUse() || !arith::getNeutralElement(combiner))
    return nullptr;
  return combiner;
}

bool mlir::tamis::fitsLanes(linalg::LinalgOp op, ArrayRef<unsigned> rowDims) {
  SmallVector<unsigned> dims = getLaneDims(op, rowDims);
  auto iterators = op.getIteratorTypesArray();
  int64_t reductions = llvm::count_if(dims, [&](unsigned dim) {
    return iterators[dim] == utils::IteratorType::reduction;
  });
  if (reductions != 0 && reductions != int64_t(dims.size()))
    return false;
  // The host has float64; of indices it has another size.
  for (Value operand : op->getOperands())
    if (Type type = getElementTypeOrSelf(operand.getType());
        type.isF64() || type.isIndex())
      return false;
  RowAccess wanted =
      reductions || dims.empty() ? RowAccess::Scalar : RowAccess::Elements;
  for (auto [index, init] : llvm::enumerate(op.getDpsInitsMutable()))
    if (getRowAccess(op, init, rowDims) != wanted ||
        (reductions && !getLaneCombiner(op, index)))
      return false;
  return true;
}
