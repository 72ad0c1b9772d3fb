// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Masks whose length run time knows.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"
#include "tamis/Conversion/Passes.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_LOWERMASKS
#include "tamis/Conversion/Passes.h.inc"

namespace {

/// Lanes are few, so 32-bit comparisons (which fit one register) serve.
struct LowerCreateMask : OpRewritePattern<vector::CreateMaskOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(vector::CreateMaskOp op,
                                PatternRewriter &rewriter) const override {
    VectorType type = op.getType();
    if (type.getRank() != 1 || type.isScalable())
      return rewriter.notifyMatchFailure(op, "not a one-dimensional mask");
    Location loc = op.getLoc();
    int64_t lanes = type.getDimSize(0);
    Value most = arith::ConstantIndexOp::create(rewriter, loc, lanes);
    Value length =
        arith::MinSIOp::create(rewriter, loc, op.getOperand(0), most);
    Type i32 = rewriter.getI32Type();
    auto vectorType = VectorType::get(lanes, i32);
    auto steps = llvm::to_vector(llvm::seq<int32_t>(lanes));
    Value lane = arith::ConstantOp::create(
        rewriter, loc, DenseElementsAttr::get(vectorType, ArrayRef(steps)));
    Value bound = vector::BroadcastOp::create(
        rewriter, loc, vectorType,
        arith::IndexCastOp::create(rewriter, loc, i32, length));
    rewriter.replaceOpWithNewOp<arith::CmpIOp>(op, arith::CmpIPredicate::slt,
                                               lane, bound);
    return success();
  }
};

struct LowerMasks : impl::LowerMasksBase<LowerMasks> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<LowerCreateMask>(&getContext());
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};

} // namespace
} // namespace mlir::tamis
