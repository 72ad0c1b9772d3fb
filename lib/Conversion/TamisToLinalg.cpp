// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The oracle: what `tamis.contract` means, written as plainly as linalg
// allows. Fast kernels are tested against this.
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Tensor/Utils/Utils.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "tamis/Conversion/Passes.h"
#include "tamis/IR/Tamis.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_TAMISTOLINALG
#include "tamis/Conversion/Passes.h.inc"

namespace {

/// Converts one factor of the product to the accumulator type and subtracts
/// its zero point.
Value convertFactor(OpBuilder &b, Location loc, Value x, Value zero,
                    bool isUnsigned, Type accumulator) {
  Type type = x.getType();
  if (isa<FloatType>(accumulator)) {
    if (type == accumulator)
      return x;
    if (isa<FloatType>(type))
      return arith::ExtFOp::create(b, loc, accumulator, x);
    // Weights beside floats stand for their value.
    if (isUnsigned)
      return arith::UIToFPOp::create(b, loc, accumulator, x);
    return arith::SIToFPOp::create(b, loc, accumulator, x);
  }
  if (type != accumulator)
    x = isUnsigned ? arith::ExtUIOp::create(b, loc, accumulator, x).getResult()
                   : arith::ExtSIOp::create(b, loc, accumulator, x).getResult();
  if (!zero)
    return x;
  if (zero.getType() != accumulator)
    zero = isUnsigned
               ? arith::ExtUIOp::create(b, loc, accumulator, zero).getResult()
               : arith::ExtSIOp::create(b, loc, accumulator, zero).getResult();
  return arith::SubIOp::create(b, loc, x, zero);
}

/// `size` of dimension `dim` of the iteration space, from rhs or init.
OpFoldResult getBound(OpBuilder &b, ContractOp op, unsigned dim) {
  auto find = [&](AffineMap map, Value operand) -> OpFoldResult {
    for (auto [i, expr] : llvm::enumerate(map.getResults()))
      if (expr == b.getAffineDimExpr(dim))
        return tensor::getMixedSize(b, op.getLoc(), operand, i);
    return {};
  };
  if (OpFoldResult size = find(op.getRhsMap(), op.getRhs()))
    return size;
  if (OpFoldResult size = find(op.getOutMap(), op.getInit()))
    return size;
  return find(op.getLhsMap(), op.getLhs());
}

/// The zero point as an element of lhs, so that padding can be written.
Value padValue(OpBuilder &b, ContractOp op) {
  Type element = cast<ShapedType>(op.getLhs().getType()).getElementType();
  Value zero = op.getLhsZero();
  if (!zero)
    return arith::ConstantOp::create(b, op.getLoc(), b.getZeroAttr(element));
  if (zero.getType() == element)
    return zero;
  return arith::TruncIOp::create(b, op.getLoc(), element, zero);
}

/// lhs with the padding in memory: low as the op says, high as far as the
/// iteration space reaches.
Value padLhs(OpBuilder &b, ContractOp op) {
  Location loc = op.getLoc();
  auto type = cast<RankedTensorType>(op.getLhs().getType());
  SmallVector<OpFoldResult> bounds;
  for (unsigned d = 0, e = op.getLhsMap().getNumDims(); d < e; ++d)
    bounds.push_back(getBound(b, op, d));
  SmallVector<OpFoldResult> low, high;
  bool any = false;
  for (auto [i, expr] : llvm::enumerate(op.getLhsMap().getResults())) {
    low.push_back(b.getIndexAttr(op.getPad()[i]));
    if (isa<AffineDimExpr>(expr) && op.getPad()[i] == 0) {
      high.push_back(b.getIndexAttr(0));
      continue;
    }
    // Highest coordinate + 1 - pad - size, never negative.
    MLIRContext *context = b.getContext();
    unsigned dims = op.getLhsMap().getNumDims();
    AffineExpr last = expr;
    SmallVector<AffineExpr> lastOf;
    for (unsigned d = 0; d < dims; ++d)
      lastOf.push_back(getAffineDimExpr(d, context) - 1);
    last = last.replaceDims(lastOf);
    AffineExpr need =
        last + 1 - op.getPad()[i] - getAffineSymbolExpr(0, context);
    SmallVector<OpFoldResult> operands(bounds);
    operands.push_back(tensor::getMixedSize(b, loc, op.getLhs(), i));
    OpFoldResult amount = affine::makeComposedFoldedAffineMax(
        b, loc,
        AffineMap::get(dims, 1, {need, getAffineConstantExpr(0, context)},
                       context),
        operands);
    high.push_back(amount);
    any |= op.getPad()[i] != 0 || !isConstantIntValue(amount, 0);
  }
  if (!any)
    return op.getLhs();
  auto padded = tensor::PadOp::inferResultType(
      type,
      llvm::map_to_vector(
          low, [](OpFoldResult v) { return *getConstantIntValue(v); }),
      llvm::map_to_vector(high, [](OpFoldResult v) {
        return getConstantIntValue(v).value_or(ShapedType::kDynamic);
      }));
  return tensor::PadOp::create(b, loc, padded, op.getLhs(), low, high,
                               padValue(b, op));
}

struct ContractToGeneric : OpRewritePattern<ContractOp> {
  ContractToGeneric(MLIRContext *context, Pass::Statistic &count)
      : OpRewritePattern(context), count(count) {}

  LogicalResult matchAndRewrite(ContractOp op,
                                PatternRewriter &rewriter) const override {
    if (!isa<TensorType>(op.getInit().getType()))
      return rewriter.notifyMatchFailure(op, "buffers are lowered by kernels");
    Location loc = op.getLoc();
    auto outType = cast<RankedTensorType>(op.getInit().getType());
    Type accumulator = op.getAccumulator();
    SmallVector<OpFoldResult> sizes =
        tensor::getMixedSizes(rewriter, loc, op.getInit());

    Value lhs = padLhs(rewriter, op);
    Value empty = tensor::EmptyOp::create(rewriter, loc, sizes, accumulator);
    Value zero = arith::ConstantOp::create(rewriter, loc,
                                           rewriter.getZeroAttr(accumulator));
    Value init = linalg::FillOp::create(rewriter, loc, zero, empty).result();
    auto sum = linalg::GenericOp::create(
        rewriter, loc, init.getType(), ValueRange{lhs, op.getRhs()}, init,
        ArrayRef<AffineMap>{op.getLhsMap(), op.getRhsMap(), op.getOutMap()},
        op.getIterators(), [&](OpBuilder &b, Location loc, ValueRange args) {
          Value x = convertFactor(b, loc, args[0], op.getLhsZero(),
                                  op.getLhsUnsigned(), accumulator);
          Value y = convertFactor(b, loc, args[1], op.getRhsZero(),
                                  op.getRhsUnsigned(), accumulator);
          Value r;
          if (isa<FloatType>(accumulator))
            r = arith::AddFOp::create(b, loc, args[2],
                                      arith::MulFOp::create(b, loc, x, y));
          else
            r = arith::AddIOp::create(b, loc, args[2],
                                      arith::MulIOp::create(b, loc, x, y));
          linalg::YieldOp::create(b, loc, r);
        });
    ++count;
    if (!op.hasEpilogue()) {
      rewriter.replaceOp(op, sum.getResult(0));
      return success();
    }
    rewriter.replaceOp(op, lowerEpilogue(rewriter, op, sum.getResult(0), sizes,
                                         outType.getElementType()));
    return success();
  }

  static Value lowerEpilogue(PatternRewriter &rewriter, ContractOp op,
                             Value sum, ArrayRef<OpFoldResult> sizes,
                             Type element) {
    Location loc = op.getLoc();
    unsigned rank = op.getOutMap().getNumResults();
    // Contract dimension -> output position.
    SmallVector<AffineExpr> position(op.getOutMap().getNumDims(),
                                     rewriter.getAffineConstantExpr(0));
    for (auto [i, expr] : llvm::enumerate(op.getOutMap().getResults()))
      position[cast<AffineDimExpr>(expr).getPosition()] =
          rewriter.getAffineDimExpr(i);
    AffineMap identity = rewriter.getMultiDimIdentityMap(rank);
    SmallVector<AffineMap> maps{identity};
    SmallVector<Value> inputs{sum};
    IRMapping mapping;
    Block &body = op.getEpilogue().front();
    for (auto [i, extra] : llvm::enumerate(op.getExtras())) {
      if (!isa<ShapedType>(extra.getType())) {
        mapping.map(body.getArgument(1 + i), extra);
        continue;
      }
      inputs.push_back(extra);
      maps.push_back(
          op.getExtraMap(i).replaceDimsAndSymbols(position, {}, rank, 0));
    }
    maps.push_back(identity);
    Value empty = tensor::EmptyOp::create(rewriter, loc, sizes, element);
    auto generic = linalg::GenericOp::create(
        rewriter, loc, empty.getType(), inputs, empty, maps,
        SmallVector<utils::IteratorType>(rank, utils::IteratorType::parallel),
        [&](OpBuilder &b, Location loc, ValueRange args) {
          mapping.map(body.getArgument(0), args[0]);
          unsigned next = 1;
          for (auto [i, extra] : llvm::enumerate(op.getExtras()))
            if (isa<ShapedType>(extra.getType()))
              mapping.map(body.getArgument(1 + i), args[next++]);
          for (Operation &inner : body.without_terminator())
            b.clone(inner, mapping);
          auto yield = cast<YieldOp>(body.getTerminator());
          linalg::YieldOp::create(
              b, loc, mapping.lookupOrDefault(yield.getValues()[0]));
        });
    return generic.getResult(0);
  }

  Pass::Statistic &count;
};

struct TamisToLinalg : impl::TamisToLinalgBase<TamisToLinalg> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ContractToGeneric>(&getContext(), contractions);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
} // namespace mlir::tamis
