// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Interval arithmetic from above: sizes are never negative.
#include "tamis/Conversion/UpperBounds.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::tamis;

std::optional<int64_t> UpperBounds::get(Value value) {
  if (auto constant = getConstantIntValue(value))
    return constant;
  auto [it, inserted] = known.try_emplace(value, std::nullopt);
  if (!inserted)
    return it->second;
  std::optional<int64_t> bound = compute(value);
  known[value] = bound;
  return bound;
}

std::optional<int64_t> UpperBounds::compute(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return std::nullopt;
  if (auto dim = dyn_cast<memref::DimOp>(op))
    return fromArgument(dim);
  if (auto apply = dyn_cast<affine::AffineApplyOp>(op))
    return fromMap(apply.getAffineMap().getResult(0),
                   apply.getAffineMap().getNumDims(), apply.getMapOperands());
  if (auto max = dyn_cast<affine::AffineMaxOp>(op)) {
    std::optional<int64_t> bound;
    for (AffineExpr expr : max.getMap().getResults()) {
      auto one = fromMap(expr, max.getMap().getNumDims(), max.getOperands());
      if (!one)
        return std::nullopt;
      bound = bound ? std::max(*bound, *one) : *one;
    }
    return bound;
  }
  if (auto min = dyn_cast<affine::AffineMinOp>(op)) {
    std::optional<int64_t> bound;
    for (AffineExpr expr : min.getMap().getResults())
      if (auto one =
              fromMap(expr, min.getMap().getNumDims(), min.getOperands()))
        bound = bound ? std::min(*bound, *one) : *one;
    return bound;
  }
  if (isa<arith::IndexCastOp, arith::IndexCastUIOp, arith::ExtSIOp,
          arith::ExtUIOp, arith::TruncIOp>(op))
    return get(op->getOperand(0));
  if (isa<arith::SelectOp>(op)) {
    auto a = get(op->getOperand(1)), b = get(op->getOperand(2));
    return a && b ? std::optional(std::max(*a, *b)) : std::nullopt;
  }
  if (op->getNumOperands() != 2)
    return std::nullopt;
  auto a = get(op->getOperand(0)), b = get(op->getOperand(1));
  if (isa<arith::MinSIOp, arith::MinUIOp>(op))
    return a && b ? std::min(*a, *b) : (a ? a : b);
  if (!a)
    return std::nullopt;
  // Sizes are not negative, so subtracting and dividing only lowers them.
  if (isa<arith::SubIOp>(op)) {
    auto constant = getConstantIntValue(op->getOperand(1));
    return constant ? *a - *constant : *a;
  }
  auto divisor = getConstantIntValue(op->getOperand(1));
  if (isa<arith::DivSIOp, arith::DivUIOp, arith::FloorDivSIOp>(op))
    return divisor && *divisor > 0 ? *a / *divisor : *a;
  if (isa<arith::CeilDivSIOp, arith::CeilDivUIOp>(op))
    return divisor && *divisor > 0 ? llvm::divideCeil(*a, *divisor) : *a;
  if (!b)
    return std::nullopt;
  if (isa<arith::AddIOp>(op))
    return *a + *b;
  if (isa<arith::MaxSIOp, arith::MaxUIOp>(op))
    return std::max(*a, *b);
  int64_t product;
  if (isa<arith::MulIOp>(op) && !llvm::MulOverflow(*a, *b, product))
    return product;
  return std::nullopt;
}

std::optional<int64_t> UpperBounds::fromArgument(memref::DimOp dim) {
  Value source = dim.getSource();
  auto argument = dyn_cast<BlockArgument>(source);
  auto position = dim.getConstantIndex();
  if (!argument || !position)
    return std::nullopt;
  auto function = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp());
  if (!function)
    return std::nullopt;
  auto ranges = function.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(),
                                                     "tamis.dim_ranges");
  if (!ranges || *position >= static_cast<int64_t>(ranges.size()))
    return std::nullopt;
  auto range = dyn_cast<DenseI64ArrayAttr>(ranges[*position]);
  if (!range || range.size() != 2)
    return std::nullopt;
  return range[1];
}

/// Bound of an affine expression, each operand at its largest. Negative
/// coefficients of an operand count it as its smallest, zero.
std::optional<int64_t> UpperBounds::fromMap(AffineExpr expr, unsigned dims,
                                            ValueRange operands) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return constant.getValue();
  if (auto dim = dyn_cast<AffineDimExpr>(expr))
    return get(operands[dim.getPosition()]);
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return get(operands[dims + symbol.getPosition()]);
  auto binary = cast<AffineBinaryOpExpr>(expr);
  auto constant = dyn_cast<AffineConstantExpr>(binary.getRHS());
  if (binary.getKind() == AffineExprKind::Mul && constant &&
      constant.getValue() < 0)
    return 0;
  auto a = fromMap(binary.getLHS(), dims, operands);
  auto b = fromMap(binary.getRHS(), dims, operands);
  if (!a || !b)
    return std::nullopt;
  switch (binary.getKind()) {
  case AffineExprKind::Add:
    return *a + *b;
  case AffineExprKind::Mul:
    return *a * *b;
  case AffineExprKind::FloorDiv:
    return *b > 0 ? llvm::divideFloorSigned(*a, *b) : *a;
  case AffineExprKind::CeilDiv:
    return *b > 0 ? llvm::divideCeilSigned(*a, *b) : *a;
  case AffineExprKind::Mod:
    return *b - 1;
  default:
    return std::nullopt;
  }
}
