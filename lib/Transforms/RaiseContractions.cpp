// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The door for linalg: contractions of other compilers get the same kernels as
// those of ONNX models.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Tensor/Utils/Utils.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Support/QuantMath.h"
#include "tamis/Transforms/Passes.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_RAISECONTRACTIONS
#include "tamis/Transforms/Passes.h.inc"

namespace {

/// The input block argument behind `factor`, through at most one extension and
/// the subtraction of a zero point.
struct Factor {
  BlockArgument argument;
  bool isUnsigned = false;
  std::optional<int64_t> zero = 0; // none: not a constant
};

/// The constant integer that `value` is, in the body or passed in.
std::optional<int64_t> getConstantZero(linalg::LinalgOp op, Value value) {
  while (auto cast = value.getDefiningOp<arith::ExtSIOp>())
    value = cast.getIn();
  if (auto argument = dyn_cast<BlockArgument>(value);
      argument && argument.getOwner() == op.getBlock())
    value = op.getMatchingOpOperand(argument)->get();
  APInt zero;
  if (!matchPattern(value, m_ConstantInt(&zero)))
    return std::nullopt;
  return zero.getSExtValue();
}

std::optional<Factor> getFactor(linalg::LinalgOp op, Value factor) {
  Factor result;
  if (auto minus = factor.getDefiningOp<arith::SubIOp>()) {
    result.zero = getConstantZero(op, minus.getRhs());
    factor = minus.getLhs();
  }
  if (Operation *cast = factor.getDefiningOp()) {
    if (!isa<arith::ExtFOp, arith::ExtSIOp, arith::ExtUIOp>(cast))
      return std::nullopt;
    result.isUnsigned = isa<arith::ExtUIOp>(cast);
    factor = cast->getOperand(0);
  }
  result.argument = dyn_cast<BlockArgument>(factor);
  if (!result.argument)
    return std::nullopt;
  // The zero point becomes an integer of the factor's own type.
  auto integer = dyn_cast<IntegerType>(result.argument.getType());
  if (result.zero && *result.zero != 0) {
    if (!integer || integer.getWidth() > 16)
      return std::nullopt;
    auto [low, high] = getQuantRange(integer.getWidth(), result.isUnsigned);
    if (*result.zero < low || *result.zero > high)
      return std::nullopt;
  }
  return result;
}

/// Matches `yield out + ext(a) * ext(b)`; the factors in order of the inputs.
std::optional<std::pair<Factor, Factor>> matchBody(linalg::LinalgOp op) {
  Block &body = op->getRegion(0).front();
  Operation *sum = body.getTerminator()->getOperand(0).getDefiningOp();
  if (!isa_and_nonnull<arith::AddFOp, arith::AddIOp>(sum))
    return std::nullopt;
  BlockArgument out = body.getArguments().back();
  Value product =
      sum->getOperand(0) == out ? sum->getOperand(1) : sum->getOperand(0);
  if (sum->getOperand(0) != out && sum->getOperand(1) != out)
    return std::nullopt;
  Operation *multiply = product.getDefiningOp();
  if (!isa_and_nonnull<arith::MulFOp, arith::MulIOp>(multiply))
    return std::nullopt;
  auto a = getFactor(op, multiply->getOperand(0));
  auto b = getFactor(op, multiply->getOperand(1));
  if (!a || !b)
    return std::nullopt;
  if (a->argument.getArgNumber() > b->argument.getArgNumber())
    std::swap(a, b);
  if (a->argument.getArgNumber() != 0 || b->argument.getArgNumber() != 1)
    return std::nullopt;
  return std::pair(*a, *b);
}

/// Two tensors, and scalars such as the zero points of named operations.
bool hasTwoTensors(linalg::LinalgOp op) {
  for (auto [i, input] : llvm::enumerate(op.getDpsInputs()))
    if (isa<RankedTensorType>(input.getType()) != (i < 2))
      return false;
  return op.getNumDpsInputs() >= 2;
}

struct Raise : OpInterfaceRewritePattern<linalg::LinalgOp> {
  Raise(MLIRContext *context, Pass::Statistic &count)
      : OpInterfaceRewritePattern(context), count(count) {}

  LogicalResult matchAndRewrite(linalg::LinalgOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.hasPureTensorSemantics() || !hasTwoTensors(op) ||
        op.getNumDpsInits() != 1 || op.getNumReductionLoops() == 0)
      return rewriter.notifyMatchFailure(op, "not two tensors to one sum");
    auto factors = matchBody(op);
    if (!factors)
      return rewriter.notifyMatchFailure(op, "body is not out + a * b");
    if (!factors->first.zero || !factors->second.zero)
      return rewriter.notifyMatchFailure(op, "a zero point is not constant");
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    maps = {maps[0], maps[1], maps.back()};
    if (!maps[1].isProjectedPermutation() || !maps[2].isProjectedPermutation())
      return rewriter.notifyMatchFailure(op, "rhs or output map");
    Location loc = op.getLoc();
    Value init = op.getDpsInits()[0];
    auto type = cast<RankedTensorType>(init.getType());
    Value lhs = op.getDpsInputs()[0], rhs = op.getDpsInputs()[1];
    auto empty = tensor::EmptyOp::create(
        rewriter, loc, tensor::getMixedSizes(rewriter, loc, init),
        type.getElementType());
    SmallVector<Attribute> iterators;
    for (utils::IteratorType kind : op.getIteratorTypesArray())
      iterators.push_back(
          rewriter.getStringAttr(utils::stringifyIteratorType(kind)));
    int64_t rank = cast<ShapedType>(lhs.getType()).getRank();
    auto makeZero = [&](const Factor &factor) -> Value {
      if (*factor.zero == 0)
        return nullptr;
      return arith::ConstantOp::create(
          rewriter, loc,
          rewriter.getIntegerAttr(
              factor.argument.getType(),
              APInt(factor.argument.getType().getIntOrFloatBitWidth(),
                    *factor.zero, /*isSigned=*/true, /*implicitTrunc=*/true)));
    };
    auto contract = ContractOp::create(
        rewriter, loc, type, lhs, rhs, makeZero(factors->first),
        makeZero(factors->second), /*extras=*/ValueRange(), empty,
        rewriter.getAffineMapArrayAttr(maps), rewriter.getArrayAttr(iterators),
        SmallVector<int64_t>(rank, 0), type.getElementType(),
        factors->first.isUnsigned, factors->second.isUnsigned,
        /*origin=*/StringAttr());
    ++count;
    if (startsAtZero(init)) {
      rewriter.replaceOp(op, contract.getResult());
      return success();
    }
    AffineMap identity = rewriter.getMultiDimIdentityMap(type.getRank());
    auto sum = linalg::GenericOp::create(
        rewriter, loc, TypeRange{type}, ValueRange{contract.getResult(), init},
        ValueRange{empty}, ArrayRef<AffineMap>{identity, identity, identity},
        SmallVector<utils::IteratorType>(type.getRank(),
                                         utils::IteratorType::parallel),
        [](OpBuilder &b, Location loc, ValueRange args) {
          Value value =
              isa<FloatType>(args[0].getType())
                  ? arith::AddFOp::create(b, loc, args[1], args[0]).getResult()
                  : arith::AddIOp::create(b, loc, args[1], args[0]).getResult();
          linalg::YieldOp::create(b, loc, value);
        });
    rewriter.replaceOp(op, sum);
    return success();
  }

  static bool startsAtZero(Value init) {
    auto fill = init.getDefiningOp<linalg::FillOp>();
    return fill && (matchPattern(fill.value(), m_Zero()) ||
                    matchPattern(fill.value(), m_AnyZeroFloat()));
  }

  Pass::Statistic &count;
};

struct RaiseContractions : impl::RaiseContractionsBase<RaiseContractions> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<Raise>(&getContext(), raised);
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};

} // namespace
} // namespace mlir::tamis
