// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ONNX has no place for a real offset in DequantizeLinear: files add it to
// blocks split off the axis. Here both become one operation again.
#include "tamis/Transforms/Passes.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_FOLDOFFSETS
#include "tamis/Transforms/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

namespace {
struct FoldOffsets : tamis::impl::FoldOffsetsBase<FoldOffsets> {
  void runOnOperation() override;
};
} // namespace

/// True if `op` stores nothing but the sum of its two inputs.
static bool isSum(linalg::GenericOp op) {
  if (op.getNumDpsInputs() != 2 || op.getNumDpsInits() != 1 ||
      op.getNumParallelLoops() != op.getNumLoops())
    return false;
  Block *body = op.getBody();
  auto sum =
      body->getTerminator()->getOperand(0).getDefiningOp<arith::AddFOp>();
  return sum && body->getOperations().size() == 2 &&
         llvm::is_contained(sum->getOperands(), body->getArgument(0)) &&
         llvm::is_contained(sum->getOperands(), body->getArgument(1));
}

/// True if `split` does nothing but make the blocks of `dequantize` an axis.
static bool splitsBlocks(tensor::ExpandShapeOp split, DequantizeOp dequantize) {
  auto axis = static_cast<int64_t>(*dequantize.getAxis());
  for (auto [i, group] : llvm::enumerate(split.getReassociationIndices()))
    if (group.size() != (int64_t(i) == axis ? 2u : 1u))
      return false;
  return split.getResultType().getDimSize(axis + 1) ==
         static_cast<int64_t>(*dequantize.getBlockSize());
}

/// The dequantize of blocks that `op` adds an offset per scale to, with the
/// reshape between and the offset; null if it is something else.
static DequantizeOp match(linalg::GenericOp op, tensor::ExpandShapeOp &split,
                          Value &offset) {
  if (!isSum(op))
    return nullptr;
  for (int64_t i : {0, 1}) {
    OpOperand *blocks = op.getDpsInputOperand(i);
    OpOperand *added = op.getDpsInputOperand(1 - i);
    split = blocks->get().getDefiningOp<tensor::ExpandShapeOp>();
    auto found = split ? split.getSrc().getDefiningOp<DequantizeOp>() : nullptr;
    if (!found || found.getOffset() || !found.getBlockSize() ||
        added->get().getType() != found.getScale().getType() ||
        !splitsBlocks(split, found))
      continue;
    AffineMap whole = op.getMatchingIndexingMap(blocks);
    if (whole.isIdentity() &&
        op.getMatchingIndexingMap(op.getDpsInitOperand(0)).isIdentity() &&
        op.getMatchingIndexingMap(added) ==
            whole.dropResult(*found.getAxis() + 1)) {
      offset = added->get();
      return found;
    }
  }
  return nullptr;
}

void FoldOffsets::runOnOperation() {
  SmallVector<linalg::GenericOp> ops;
  getOperation().walk([&](linalg::GenericOp op) { ops.push_back(op); });
  for (linalg::GenericOp op : ops) {
    tensor::ExpandShapeOp split;
    Value offset;
    DequantizeOp old = match(op, split, offset);
    if (!old)
      continue;
    OpBuilder b(op);
    Value whole = DequantizeOp::create(
        b, old.getLoc(), old.getType(), old.getInput(), old.getScale(),
        old.getZeroPoint(), offset, old.getIsUnsignedAttr(), old.getAxisAttr(),
        old.getBlockSizeAttr(), old.getOriginAttr());
    Value blocks =
        tensor::ExpandShapeOp::create(b, split.getLoc(), split.getResultType(),
                                      whole, split.getReassociationIndices());
    op.getResult(0).replaceAllUsesWith(blocks);
    op.erase();
    for (Operation *left : {split.getOperation(), old.getOperation()})
      if (left->use_empty())
        left->erase();
    ++numFolded;
  }
}
