// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Folders and canonical forms: local, cheap, true without a cost model. Each is
// listed in docs/Rationale.md under "Canonical forms".
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "tamis/IR/Tamis.h"
#include <cmath>

using namespace mlir;
using namespace mlir::tamis;

//===-- contract ----------------------------------------------------------===//

namespace {

/// Operands and the destination take the most static type they are cast from.
/// Upstream has this for every destination-style operation, but its clone of
/// an operation crashes on an empty region (LLVM 22.1), which an absent
/// epilogue is; the higher benefit keeps it from being tried.
template <typename Op>
struct FoldCasts : OpRewritePattern<Op> {
  FoldCasts(MLIRContext *context) : OpRewritePattern<Op>(context, 10) {}

  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    if (!tensor::hasFoldableTensorCastOperand(op))
      return rewriter.notifyMatchFailure(op, "no cast to fewer static sizes");
    SmallVector<Type> types;
    SmallVector<Value> operands =
        tensor::getUpdatedOperandsAfterCastOpFolding(op, types);
    Operation *made = rewriter.clone(*op);
    rewriter.modifyOpInPlace(made, [&] {
      made->setOperands(operands);
      for (auto [result, type] : llvm::zip_equal(made->getResults(), types))
        result.setType(type);
    });
    SmallVector<Value> values(made->getResults());
    for (auto [old, value] : llvm::zip_equal(op->getResults(), values))
      if (old.getType() != value.getType())
        value =
            tensor::CastOp::create(rewriter, op.getLoc(), old.getType(), value);
    rewriter.replaceOp(op, values);
    return success();
  }
};

/// An extra operand is read by the epilogue, and by one name only.
struct DropUselessExtras : OpRewritePattern<ContractOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ContractOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.hasEpilogue())
      return rewriter.notifyMatchFailure(op, "no epilogue");
    Block &block = op.getEpilogue().front();
    SmallVector<AffineMap> maps =
        llvm::to_vector(op.getIndexingMaps().getAsValueRange<AffineMapAttr>());
    for (int i = op.getExtras().size() - 1; i >= 0; --i) {
      std::optional<unsigned> same;
      for (int j = 0; j < i && !same; ++j)
        if (op.getExtras()[j] == op.getExtras()[i] &&
            maps[3 + j] == maps[3 + i])
          same = j;
      BlockArgument argument = block.getArgument(1 + i);
      if (!same && !argument.use_empty())
        continue;
      rewriter.modifyOpInPlace(op, [&] {
        if (same)
          rewriter.replaceAllUsesWith(argument, block.getArgument(1 + *same));
        block.eraseArgument(1 + i);
        maps.erase(maps.begin() + 3 + i);
        op.getExtrasMutable().erase(i);
        op.setIndexingMapsAttr(rewriter.getAffineMapArrayAttr(maps));
      });
      return success();
    }
    return rewriter.notifyMatchFailure(op, "every extra operand is needed");
  }
};

/// An epilogue that stores the accumulator is no epilogue.
struct DropForwardingEpilogue : OpRewritePattern<ContractOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ContractOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.hasEpilogue() || !op.getExtras().empty())
      return rewriter.notifyMatchFailure(op, "no epilogue, or one that reads");
    Block &block = op.getEpilogue().front();
    auto yield = cast<YieldOp>(block.getTerminator());
    if (yield.getValues()[0] != block.getArgument(0))
      return rewriter.notifyMatchFailure(op, "the epilogue computes");
    rewriter.modifyOpInPlace(op, [&] { rewriter.eraseBlock(&block); });
    return success();
  }
};

/// A zero point of zero is no zero point.
struct DropZeroZeroPoint : OpRewritePattern<ContractOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ContractOp op,
                                PatternRewriter &rewriter) const override {
    auto isZero = [](Value value) {
      return value && matchPattern(value, m_Zero());
    };
    bool lhs = isZero(op.getLhsZero()), rhs = isZero(op.getRhsZero());
    if (!lhs && !rhs)
      return rewriter.notifyMatchFailure(op, "no constant zero point of zero");
    rewriter.modifyOpInPlace(op, [&] {
      if (lhs)
        op.getLhsZeroMutable().clear();
      if (rhs)
        op.getRhsZeroMutable().clear();
    });
    return success();
  }
};

//===-- quantize, dequantize ----------------------------------------------===//

/// A cast that only forgets static sizes moves below the operation.
template <typename Op>
struct SinkCast : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;

  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    auto cast = op.getInput().template getDefiningOp<tensor::CastOp>();
    if (!cast || !tensor::canFoldIntoConsumerOp(cast))
      return rewriter.notifyMatchFailure(op, "no cast to fewer static sizes");
    auto source = llvm::cast<RankedTensorType>(cast.getSource().getType());
    auto old = llvm::cast<RankedTensorType>(op.getType());
    auto type = RankedTensorType::get(source.getShape(), old.getElementType(),
                                      old.getEncoding());
    auto made = llvm::cast<Op>(rewriter.clone(*op));
    rewriter.modifyOpInPlace(made, [&] {
      made.getInputMutable().assign(cast.getSource());
      made.getResult().setType(type);
    });
    rewriter.replaceOpWithNewOp<tensor::CastOp>(op, old, made.getResult());
    return success();
  }
};

} // namespace

void ContractOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                             MLIRContext *context) {
  patterns.add<FoldCasts<ContractOp>, DropUselessExtras, DropForwardingEpilogue,
               DropZeroZeroPoint>(context);
}

void kernel::ContractOp::getCanonicalizationPatterns(
    RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<FoldCasts<kernel::ContractOp>>(context);
}

void QuantizeOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                             MLIRContext *context) {
  patterns.add<SinkCast<QuantizeOp>>(context);
}

void DequantizeOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                               MLIRContext *context) {
  patterns.add<SinkCast<DequantizeOp>>(context);
}

void DecodeOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                           MLIRContext *context) {
  patterns.add<SinkCast<DecodeOp>>(context);
}

/// True if `(n * scale) / scale` rounds to n for every n of 17 bits: neither
/// zero nor so large that the product overflows.
static bool isInvertible(Attribute scale) {
  auto dense = dyn_cast_or_null<DenseFPElementsAttr>(scale);
  if (!dense || !dense.getElementType().isF32())
    return false;
  auto good = [](float f) {
    return std::isnormal(f) &&
           std::fabs(f) <= std::numeric_limits<float>::max() / (1 << 17);
  };
  return llvm::all_of(dense.getValues<float>(), good);
}

/// The constant behind `value`, or null.
static Attribute getConstant(Value value) {
  Attribute constant;
  return matchPattern(value, m_Constant(&constant)) ? constant : Attribute();
}

OpFoldResult QuantizeOp::fold(FoldAdaptor adaptor) {
  // fold_n1: quantize(dequantize(q)) with the same constant parameters is q.
  // The other order rounds and stays.
  auto inner = getInput().getDefiningOp<DequantizeOp>();
  if (!inner || inner.getInput().getType() != getType() || getBits() ||
      inner.getOffset())
    return {};
  auto element = cast<RankedTensorType>(getType()).getElementType();
  auto real = cast<RankedTensorType>(inner.getType()).getElementType();
  if (element.getIntOrFloatBitWidth() > 16 || !real.isF32())
    return {};
  if (getIsUnsigned() != inner.getIsUnsigned() ||
      getAxis() != inner.getAxis() || getBlockSize() != inner.getBlockSize() ||
      !isInvertible(adaptor.getScale()) ||
      adaptor.getScale() != getConstant(inner.getScale()))
    return {};
  Value zero = getZeroPoint(), innerZero = inner.getZeroPoint();
  bool sameZero = zero == innerZero;
  if (!sameZero && zero && innerZero && adaptor.getZeroPoint())
    sameZero = adaptor.getZeroPoint() == getConstant(innerZero);
  return sameZero ? OpFoldResult(inner.getInput()) : OpFoldResult();
}
