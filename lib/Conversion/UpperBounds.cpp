// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Interval arithmetic. Both ends count: what is subtracted, or multiplied by a
// negative number, is largest where it is least.
#include "tamis/Conversion/UpperBounds.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::tamis;

namespace {

using Bound = std::optional<int64_t>;

/// `fn` of two ends, unless one is unknown or the result does not fit.
template <typename Fn>
Bound combine(Fn fn, Bound a, Bound b) {
  int64_t result;
  return a && b && !fn(*a, *b, result) ? Bound(result) : std::nullopt;
}

Bound greater(Bound a, Bound b) {
  return a && b ? std::max(*a, *b) : (a ? a : b);
}
Bound lesser(Bound a, Bound b) {
  return a && b ? std::min(*a, *b) : (a ? a : b);
}

Interval unite(Interval a, Interval b) {
  return {a.low && b.low ? lesser(a.low, b.low) : std::nullopt,
          a.high && b.high ? greater(a.high, b.high) : std::nullopt};
}

Interval minimum(Interval a, Interval b) {
  return {unite(a, b).low, lesser(a.high, b.high)};
}

Interval maximum(Interval a, Interval b) {
  return {greater(a.low, b.low), unite(a, b).high};
}

Interval add(Interval a, Interval b) {
  return {combine(llvm::AddOverflow<int64_t>, a.low, b.low),
          combine(llvm::AddOverflow<int64_t>, a.high, b.high)};
}

Interval subtract(Interval a, Interval b) {
  return {combine(llvm::SubOverflow<int64_t>, a.low, b.high),
          combine(llvm::SubOverflow<int64_t>, a.high, b.low)};
}

Interval multiply(Interval a, Interval b) {
  auto product = [](Bound x, Bound y) {
    return combine(llvm::MulOverflow<int64_t>, x, y);
  };
  // Where no factor is negative, an unknown end concerns its own side only.
  if (a.low.value_or(-1) >= 0 && b.low.value_or(-1) >= 0)
    return {product(a.low, b.low), product(a.high, b.high)};
  auto point = [&](Bound x, Bound y) {
    return Interval{product(x, y), product(x, y)};
  };
  return unite(unite(point(a.low, b.low), point(a.low, b.high)),
               unite(point(a.high, b.low), point(a.high, b.high)));
}

/// A quotient, however it is rounded: `round` of an end.
Interval divide(Interval a, Interval b, int64_t (*round)(int64_t, int64_t)) {
  Interval result;
  if (b.low && b.low == b.high && *b.low > 0) {
    if (a.low)
      result.low = round(*a.low, *b.low);
    if (a.high)
      result.high = round(*a.high, *b.low);
  } else if (b.low.value_or(0) > 0 || a.low.value_or(-1) >= 0) {
    // By whole numbers, which only lower it.
    if (a.high)
      result.high = std::max<int64_t>(*a.high, 0);
    if (b.low.value_or(0) > 0 && a.low)
      result.low = std::min<int64_t>(*a.low, 0);
  }
  return result;
}

int64_t truncated(int64_t a, int64_t b) { return a / b; }

} // namespace

Interval UpperBounds::getInterval(Value value) {
  if (auto constant = getConstantIntValue(value))
    return {constant, constant};
  auto [it, inserted] = known.try_emplace(value, Interval());
  Operation *op = value.getDefiningOp();
  if (!inserted || !op)
    return it->second;
  Interval interval = compute(op);
  known[value] = interval;
  return interval;
}

Interval UpperBounds::compute(Operation *op) {
  if (auto dim = dyn_cast<memref::DimOp>(op))
    return fromArgument(dim);
  if (auto apply = dyn_cast<affine::AffineApplyOp>(op))
    return fromExpr(apply.getAffineMap().getResult(0),
                    apply.getAffineMap().getNumDims(), apply.getMapOperands());
  auto fold = [&](auto choice, auto combine) {
    Interval result;
    for (auto [i, expr] : llvm::enumerate(choice.getMap().getResults())) {
      Interval one =
          fromExpr(expr, choice.getMap().getNumDims(), choice.getOperands());
      result = i == 0 ? one : combine(result, one);
    }
    return result;
  };
  if (auto max = dyn_cast<affine::AffineMaxOp>(op))
    return fold(max, maximum);
  if (auto min = dyn_cast<affine::AffineMinOp>(op))
    return fold(min, minimum);
  if (isa<arith::SelectOp>(op))
    return unite(getInterval(op->getOperand(1)),
                 getInterval(op->getOperand(2)));
  if (isa<arith::IndexCastOp, arith::ExtSIOp, arith::IndexCastUIOp,
          arith::ExtUIOp, arith::TruncIOp>(op)) {
    Interval from = getInterval(op->getOperand(0));
    // Others change numbers that are negative, or too large.
    bool kept = isa<arith::IndexCastOp, arith::ExtSIOp>(op) ||
                (from.low.value_or(-1) >= 0 &&
                 from.high.value_or(INT64_MAX) <= INT32_MAX);
    return kept ? from : Interval();
  }
  if (op->getNumOperands() != 2)
    return {};
  Interval a = getInterval(op->getOperand(0)),
           b = getInterval(op->getOperand(1));
  if (isa<arith::MinSIOp>(op))
    return minimum(a, b);
  if (isa<arith::MaxSIOp>(op))
    return maximum(a, b);
  if (isa<arith::AddIOp>(op))
    return add(a, b);
  if (isa<arith::SubIOp>(op))
    return subtract(a, b);
  if (isa<arith::MulIOp>(op))
    return multiply(a, b);
  if (isa<arith::DivSIOp>(op))
    return divide(a, b, truncated);
  if (isa<arith::FloorDivSIOp>(op))
    return divide(a, b, llvm::divideFloorSigned);
  if (isa<arith::CeilDivSIOp>(op))
    return divide(a, b, llvm::divideCeilSigned);
  // As the signed ones, where no number is negative.
  if (a.low.value_or(-1) < 0 || b.low.value_or(-1) < 0)
    return {};
  if (isa<arith::MinUIOp>(op))
    return minimum(a, b);
  if (isa<arith::MaxUIOp>(op))
    return maximum(a, b);
  if (isa<arith::DivUIOp>(op))
    return divide(a, b, truncated);
  if (isa<arith::CeilDivUIOp>(op))
    return divide(a, b, llvm::divideCeilSigned);
  return {};
}

Interval UpperBounds::fromArgument(memref::DimOp dim) {
  Interval size{0, std::nullopt};
  auto argument = dyn_cast<BlockArgument>(dim.getSource());
  auto position = dim.getConstantIndex();
  if (!argument || !position)
    return size;
  auto function = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp());
  if (!function)
    return size;
  auto ranges = function.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(),
                                                     "tamis.dim_ranges");
  if (!ranges || *position >= static_cast<int64_t>(ranges.size()))
    return size;
  auto range = dyn_cast<DenseI64ArrayAttr>(ranges[*position]);
  if (range && range.size() == 2)
    size = {range[0], range[1]};
  return size;
}

Interval UpperBounds::fromExpr(AffineExpr expr, unsigned dims,
                               ValueRange operands) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return {constant.getValue(), constant.getValue()};
  if (auto dim = dyn_cast<AffineDimExpr>(expr))
    return getInterval(operands[dim.getPosition()]);
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return getInterval(operands[dims + symbol.getPosition()]);
  auto binary = cast<AffineBinaryOpExpr>(expr);
  Interval a = fromExpr(binary.getLHS(), dims, operands),
           b = fromExpr(binary.getRHS(), dims, operands);
  switch (binary.getKind()) {
  case AffineExprKind::Add:
    return add(a, b);
  case AffineExprKind::Mul:
    return multiply(a, b);
  case AffineExprKind::FloorDiv:
    return divide(a, b, llvm::divideFloorSigned);
  case AffineExprKind::CeilDiv:
    return divide(a, b, llvm::divideCeilSigned);
  case AffineExprKind::Mod:
    return {0, combine(llvm::SubOverflow<int64_t>, b.high, 1)};
  default:
    return {};
  }
}
