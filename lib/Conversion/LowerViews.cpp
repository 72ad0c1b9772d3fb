// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Views of buffers. Reshapes of dense ones here: same bytes, row-major strides;
// the others by upstream's patterns.
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Transforms.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"
#include "tamis/Conversion/Passes.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_LOWERVIEWS
#include "tamis/Conversion/Passes.h.inc"

namespace {

OpFoldResult multiply(OpBuilder &b, Location loc, OpFoldResult x,
                      OpFoldResult y) {
  auto left = getConstantIntValue(x), right = getConstantIntValue(y);
  if (left && right)
    return b.getIndexAttr(*left * *right);
  if (left && *left == 1)
    return y;
  if (right && *right == 1)
    return x;
  return arith::MulIOp::create(b, loc,
                               getValueOrCreateConstantIndexOp(b, loc, x),
                               getValueOrCreateConstantIndexOp(b, loc, y))
      .getResult();
}

/// Replaces `op` by the dense buffer `source` seen with `sizes`.
LogicalResult reinterpret(PatternRewriter &rewriter, Operation *op,
                          Value source, ArrayRef<OpFoldResult> sizes) {
  auto type = cast<MemRefType>(source.getType());
  auto result = cast<MemRefType>(op->getResult(0).getType());
  if (!type.getLayout().isIdentity() || !result.getLayout().isIdentity())
    return rewriter.notifyMatchFailure(op, "the buffer has gaps");
  SmallVector<OpFoldResult> strides(sizes.size());
  OpFoldResult stride = rewriter.getIndexAttr(1);
  for (size_t i = sizes.size(); i-- > 0;) {
    strides[i] = stride;
    stride = multiply(rewriter, op->getLoc(), stride, sizes[i]);
  }
  Value view = memref::ReinterpretCastOp::create(
      rewriter, op->getLoc(), source, rewriter.getIndexAttr(0), sizes, strides);
  if (view.getType() != result)
    view = memref::CastOp::create(rewriter, op->getLoc(), result, view);
  rewriter.replaceOp(op, view);
  return success();
}

struct LowerExpand : OpRewritePattern<memref::ExpandShapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(memref::ExpandShapeOp op,
                                PatternRewriter &rewriter) const override {
    return reinterpret(rewriter, op, op.getSrc(), op.getMixedOutputShape());
  }
};

struct LowerCollapse : OpRewritePattern<memref::CollapseShapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(memref::CollapseShapeOp op,
                                PatternRewriter &rewriter) const override {
    SmallVector<OpFoldResult> sizes;
    for (ArrayRef<int64_t> group : op.getReassociationIndices()) {
      OpFoldResult size = rewriter.getIndexAttr(1);
      for (int64_t dim : group) {
        int64_t known = op.getSrcType().getDimSize(dim);
        size = multiply(
            rewriter, op.getLoc(), size,
            ShapedType::isDynamic(known)
                ? OpFoldResult(memref::DimOp::create(rewriter, op.getLoc(),
                                                     op.getSrc(), dim)
                                   .getResult())
                : OpFoldResult(rewriter.getIndexAttr(known)));
      }
      sizes.push_back(size);
    }
    return reinterpret(rewriter, op, op.getSrc(), sizes);
  }
};

struct LowerViews : impl::LowerViewsBase<LowerViews> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<LowerExpand, LowerCollapse>(&getContext());
    walkAndApplyPatterns(getOperation(), std::move(patterns));
    expandOthers();
  }

  /// Only views are looked at, not all that is around them.
  void expandOthers() {
    SmallVector<Operation *> views;
    getOperation()->walk([&](Operation *op) {
      if (isa<memref::SubViewOp, memref::ExpandShapeOp, memref::CollapseShapeOp,
              memref::ExtractStridedMetadataOp>(op))
        views.push_back(op);
    });
    RewritePatternSet patterns(&getContext());
    memref::populateExpandStridedMetadataPatterns(patterns);
    GreedyRewriteConfig config;
    config.setStrictness(GreedyRewriteStrictness::ExistingAndNewOps);
    (void)applyOpPatternsGreedily(views, std::move(patterns), config);
  }
};

} // namespace
} // namespace mlir::tamis
