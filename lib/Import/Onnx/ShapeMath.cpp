// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Normal forms: what is affine is an affine expression, simplified; what is
// not (products of open sizes, minimum, division by an open size) becomes a
// symbol of its own, one per distinct operation, with a range.
#include "ShapeMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::tamis::onnx;

static constexpr int64_t kInfinite = int64_t(1) << 61;

static int64_t saturate(__int128 value) {
  if (value > kInfinite)
    return kInfinite;
  if (value < -kInfinite)
    return -kInfinite;
  return static_cast<int64_t>(value);
}

/// Two's complement arithmetic on known sizes: hostile values must not be
/// undefined behaviour here; whoever uses the result checks its range.
static int64_t wrapAdd(int64_t lhs, int64_t rhs) {
  return static_cast<int64_t>(uint64_t(lhs) + uint64_t(rhs));
}
static int64_t wrapSub(int64_t lhs, int64_t rhs) {
  return static_cast<int64_t>(uint64_t(lhs) - uint64_t(rhs));
}
static int64_t wrapMul(int64_t lhs, int64_t rhs) {
  return static_cast<int64_t>(uint64_t(lhs) * uint64_t(rhs));
}
static int64_t totalTruncDiv(int64_t lhs, int64_t rhs) {
  if (rhs == 0)
    return 0;
  return rhs == -1 ? wrapSub(0, lhs) : lhs / rhs;
}
static int64_t totalFloorDiv(int64_t lhs, int64_t rhs) {
  int64_t quotient = totalTruncDiv(lhs, rhs);
  if (rhs == 0 || rhs == -1)
    return quotient;
  return quotient - ((lhs % rhs != 0) && ((lhs < 0) != (rhs < 0)));
}
static int64_t totalMod(int64_t lhs, int64_t rhs) {
  if (rhs == 0 || rhs == -1)
    return 0;
  int64_t remainder = lhs % rhs;
  return remainder != 0 && (remainder < 0) != (rhs < 0) ? remainder + rhs
                                                        : remainder;
}

/// A total order that does not depend on addresses.
static int compareExprs(AffineExpr lhs, AffineExpr rhs) {
  if (lhs == rhs)
    return 0;
  if (lhs.getKind() != rhs.getKind())
    return lhs.getKind() < rhs.getKind() ? -1 : 1;
  if (auto symbol = dyn_cast<AffineSymbolExpr>(lhs))
    return symbol.getPosition() < cast<AffineSymbolExpr>(rhs).getPosition() ? -1
                                                                            : 1;
  if (auto constant = dyn_cast<AffineConstantExpr>(lhs))
    return constant.getValue() < cast<AffineConstantExpr>(rhs).getValue() ? -1
                                                                          : 1;
  auto left = cast<AffineBinaryOpExpr>(lhs);
  auto right = cast<AffineBinaryOpExpr>(rhs);
  if (int order = compareExprs(left.getLHS(), right.getLHS()))
    return order;
  return compareExprs(left.getRHS(), right.getRHS());
}

AffineExpr ShapeMath::newSymbol(Value value, Interval range, AffineExpr lhs,
                                AffineExpr rhs) {
  AffineExpr expr = b.getAffineSymbolExpr(symbols.size());
  symbols.push_back({value, range, lhs, rhs});
  exprs[value] = expr;
  scopes.back().recorded.push_back(value);
  return expr;
}

void ShapeMath::popScope() {
  for (Value value : scopes.back().recorded)
    exprs.erase(value);
  scopes.pop_back();
}

bool ShapeMath::isDefinedOutside(AffineExpr form, Region &region) {
  bool outside = true;
  form.walk([&](AffineExpr part) {
    if (auto symbol = dyn_cast<AffineSymbolExpr>(part))
      outside &= !region.isAncestor(
          symbols[symbol.getPosition()].value.getParentRegion());
  });
  return outside;
}

OpFoldResult ShapeMath::symbol(Value value, int64_t min, int64_t max) {
  if (!exprs.contains(value))
    newSymbol(value, {min, max});
  return value;
}

AffineExpr ShapeMath::expr(OpFoldResult size) {
  if (std::optional<int64_t> known = getConstantIntValue(size))
    return b.getAffineConstantExpr(*known);
  Value value = cast<Value>(size);
  auto found = exprs.find(value);
  if (found != exprs.end())
    return found->second;
  return newSymbol(value, {-kInfinite, kInfinite});
}

AffineExpr ShapeMath::simplify(AffineExpr expr) {
  return simplifyAffineExpr(expr, /*numDims=*/0, symbols.size());
}

OpFoldResult ShapeMath::fromExpr(AffineExpr expr) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return b.getIndexAttr(constant.getValue());
  return build(expr);
}

Value ShapeMath::value(OpFoldResult size) {
  if (std::optional<int64_t> known = getConstantIntValue(size))
    return arith::ConstantIndexOp::create(b, *known);
  return cast<Value>(size);
}

Value ShapeMath::build(AffineExpr expr) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return arith::ConstantIndexOp::create(b, constant.getValue());
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return symbols[symbol.getPosition()].value;
  for (Scope &scope : llvm::reverse(scopes))
    if (Value known = scope.values.lookup(expr))
      return known;
  auto binary = cast<AffineBinaryOpExpr>(expr);
  Value lhs = build(binary.getLHS());
  Value result;
  if (expr.getKind() == AffineExprKind::Add) {
    // a + b * -1 reads better, and is cheaper, as a - b.
    auto negated = dyn_cast<AffineBinaryOpExpr>(binary.getRHS());
    auto factor = negated && negated.getKind() == AffineExprKind::Mul
                      ? dyn_cast<AffineConstantExpr>(negated.getRHS())
                      : AffineConstantExpr();
    if (factor && factor.getValue() == -1)
      result = arith::SubIOp::create(b, lhs, build(negated.getLHS()));
    else
      result = arith::AddIOp::create(b, lhs, build(binary.getRHS()));
  } else {
    Value rhs = build(binary.getRHS());
    bool natural = range(binary.getLHS()).min >= 0;
    switch (expr.getKind()) {
    case AffineExprKind::Mul:
      result = arith::MulIOp::create(b, lhs, rhs);
      break;
    case AffineExprKind::FloorDiv:
      result = natural ? arith::DivUIOp::create(b, lhs, rhs).getResult()
                       : arith::FloorDivSIOp::create(b, lhs, rhs).getResult();
      break;
    case AffineExprKind::CeilDiv:
      result = natural ? arith::CeilDivUIOp::create(b, lhs, rhs).getResult()
                       : arith::CeilDivSIOp::create(b, lhs, rhs).getResult();
      break;
    default: // Mod, whose divisor is a positive constant
      if (natural) {
        result = arith::RemUIOp::create(b, lhs, rhs);
      } else {
        Value quotient = arith::FloorDivSIOp::create(b, lhs, rhs);
        result = arith::SubIOp::create(b, lhs,
                                       arith::MulIOp::create(b, quotient, rhs));
      }
    }
  }
  scopes.back().values[expr] = result;
  exprs[result] = expr;
  scopes.back().recorded.push_back(result);
  return result;
}

ShapeMath::Interval ShapeMath::range(AffineExpr expr) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr)) {
    int64_t value = saturate(constant.getValue());
    return {value, value};
  }
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return symbols[symbol.getPosition()].range;
  auto binary = cast<AffineBinaryOpExpr>(expr);
  Interval lhs = range(binary.getLHS()), rhs = range(binary.getRHS());
  auto infinite = [](int64_t bound) {
    return bound >= kInfinite || bound <= -kInfinite;
  };
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return {infinite(lhs.min) || infinite(rhs.min)
                ? -kInfinite
                : saturate(__int128(lhs.min) + rhs.min),
            infinite(lhs.max) || infinite(rhs.max)
                ? kInfinite
                : saturate(__int128(lhs.max) + rhs.max)};
  case AffineExprKind::Mul: {
    int64_t low = saturate(__int128(lhs.min) * rhs.min);
    int64_t high = saturate(__int128(lhs.max) * rhs.min);
    return {std::min(low, high), std::max(low, high)};
  }
  case AffineExprKind::FloorDiv:
  case AffineExprKind::CeilDiv: {
    if (rhs.min <= 0)
      return {-kInfinite, kInfinite};
    int64_t extra = expr.getKind() == AffineExprKind::CeilDiv;
    return {infinite(lhs.min) ? lhs.min : totalFloorDiv(lhs.min, rhs.min),
            infinite(lhs.max) ? lhs.max
                              : totalFloorDiv(lhs.max, rhs.min) + extra};
  }
  default:
    if (lhs.min >= 0 && lhs.max < rhs.min)
      return lhs;
    return {0, rhs.min - 1};
  }
}

OpFoldResult ShapeMath::opaque(unsigned kind, AffineExpr lhs, AffineExpr rhs,
                               Interval range,
                               llvm::function_ref<Value()> make) {
  OpaqueKey key{kind, {lhs, rhs}};
  for (Scope &scope : llvm::reverse(scopes)) {
    auto found = scope.opaques.find(key);
    if (found != scope.opaques.end())
      return fromExpr(found->second);
  }
  bool product = kind == unsigned(Kind::Mul);
  AffineExpr expr = newSymbol(make(), range, product ? lhs : AffineExpr(),
                              product ? rhs : AffineExpr());
  scopes.back().opaques[key] = expr;
  return fromExpr(expr);
}

OpFoldResult ShapeMath::add(OpFoldResult lhs, OpFoldResult rhs) {
  auto left = constant(lhs), right = constant(rhs);
  if (left && right)
    return attr(wrapAdd(*left, *right));
  return fromExpr(simplify(expr(lhs) + expr(rhs)));
}

OpFoldResult ShapeMath::sub(OpFoldResult lhs, OpFoldResult rhs) {
  auto left = constant(lhs), right = constant(rhs);
  if (left && right)
    return attr(wrapSub(*left, *right));
  return fromExpr(simplify(expr(lhs) - expr(rhs)));
}

void ShapeMath::factor(AffineExpr expr, Monomial &monomial) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr)) {
    monomial.coefficient = wrapMul(monomial.coefficient, constant.getValue());
    return;
  }
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr)) {
    Symbol known = symbols[symbol.getPosition()];
    if (known.lhs) {
      factor(known.lhs, monomial);
      factor(known.rhs, monomial);
      return;
    }
    monomial.factors.push_back(expr);
    return;
  }
  int64_t divisor = expr.getLargestKnownDivisor();
  if (divisor > 1) {
    monomial.coefficient = wrapMul(monomial.coefficient, divisor);
    factor(simplify(expr.floorDiv(divisor)), monomial);
    return;
  }
  monomial.factors.push_back(expr);
}

ShapeMath::Monomial ShapeMath::factor(ArrayRef<OpFoldResult> sizes) {
  Monomial result;
  for (OpFoldResult size : sizes)
    factor(expr(size), result);
  llvm::sort(result.factors, [](AffineExpr lhs, AffineExpr rhs) {
    return compareExprs(lhs, rhs) < 0;
  });
  return result;
}

OpFoldResult ShapeMath::product(ArrayRef<OpFoldResult> sizes) {
  Monomial monomial = factor(sizes);
  if (monomial.factors.empty() || monomial.coefficient == 0)
    return attr(monomial.coefficient);
  AffineExpr result = monomial.factors.front();
  for (AffineExpr next : ArrayRef(monomial.factors).drop_front()) {
    Interval left = range(result), right = range(next);
    Interval both{-kInfinite, kInfinite};
    if (left.min >= 0 && right.min >= 0)
      both = {saturate(__int128(left.min) * right.min),
              saturate(__int128(left.max) * right.max)};
    result = expr(opaque(unsigned(Kind::Mul), result, next, both, [&] {
      Value lhs = build(result);
      return arith::MulIOp::create(b, lhs, build(next)).getResult();
    }));
  }
  return fromExpr(simplify(result * monomial.coefficient));
}

OpFoldResult ShapeMath::mul(OpFoldResult lhs, OpFoldResult rhs) {
  auto left = constant(lhs), right = constant(rhs);
  if (left && right)
    return attr(wrapMul(*left, *right));
  return product({lhs, rhs});
}

std::optional<OpFoldResult>
ShapeMath::exactDiv(ArrayRef<OpFoldResult> product_,
                    ArrayRef<OpFoldResult> divisor) {
  Monomial over = factor(product_), under = factor(divisor);
  if (under.coefficient == 0 ||
      totalMod(over.coefficient, under.coefficient) != 0)
    return std::nullopt;
  for (AffineExpr wanted : under.factors) {
    auto *found = llvm::find(over.factors, wanted);
    if (found == over.factors.end())
      return std::nullopt;
    over.factors.erase(found);
  }
  SmallVector<OpFoldResult> rest;
  for (AffineExpr left : over.factors)
    rest.push_back(fromExpr(left));
  rest.push_back(attr(totalTruncDiv(over.coefficient, under.coefficient)));
  return product(rest);
}

bool ShapeMath::equalProducts(ArrayRef<OpFoldResult> lhs,
                              ArrayRef<OpFoldResult> rhs) {
  Monomial left = factor(lhs), right = factor(rhs);
  if (left.coefficient == 0 || right.coefficient == 0)
    return left.coefficient == right.coefficient;
  return left.coefficient == right.coefficient && left.factors == right.factors;
}

/// `op` with a divisor that is 1 where `rhs` is zero, and zero there.
template <typename Op>
static Value totalDivision(ImplicitLocOpBuilder &b, Value lhs, Value rhs,
                           bool positive) {
  if (positive)
    return Op::create(b, lhs, rhs);
  Value zero = arith::ConstantIndexOp::create(b, 0);
  Value one = arith::ConstantIndexOp::create(b, 1);
  Value isZero = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, rhs, zero);
  Value safe = arith::SelectOp::create(b, isZero, one, rhs);
  Value quotient = Op::create(b, lhs, safe);
  return arith::SelectOp::create(b, isZero, zero, quotient);
}

OpFoldResult ShapeMath::floorDiv(OpFoldResult lhs, OpFoldResult rhs) {
  auto left = constant(lhs), right = constant(rhs);
  if (left && right)
    return attr(totalFloorDiv(*left, *right));
  if (right == 0)
    return attr(0);
  if (right && *right > 0)
    return fromExpr(simplify(expr(lhs).floorDiv(*right)));
  AffineExpr over = expr(lhs), under = expr(rhs);
  Interval dividend = range(over), divisor = range(under);
  if (divisor.min >= 1)
    if (std::optional<OpFoldResult> exact = exactDiv({lhs}, {rhs}))
      return *exact;
  bool natural = dividend.min >= 0 && divisor.min >= 0;
  Interval result =
      natural ? Interval{0, dividend.max} : Interval{-kInfinite, kInfinite};
  return opaque(unsigned(Kind::FloorDiv), over, under, result, [&] {
    return totalDivision<arith::FloorDivSIOp>(b, value(lhs), value(rhs),
                                              divisor.min >= 1);
  });
}

OpFoldResult ShapeMath::ceilDiv(OpFoldResult lhs, OpFoldResult rhs) {
  return floorDiv(sub(add(lhs, rhs), attr(1)), rhs);
}

OpFoldResult ShapeMath::truncDiv(OpFoldResult lhs, OpFoldResult rhs) {
  auto left = constant(lhs), right = constant(rhs);
  if (left && right)
    return attr(totalTruncDiv(*left, *right));
  AffineExpr over = expr(lhs), under = expr(rhs);
  if (right == 0)
    return attr(0);
  Interval divisor = range(under);
  if (range(over).min >= 0 && divisor.min >= 0)
    return floorDiv(lhs, rhs);
  return opaque(unsigned(Kind::TruncDiv), over, under, {-kInfinite, kInfinite},
                [&] {
                  return totalDivision<arith::DivSIOp>(
                      b, value(lhs), value(rhs), divisor.min >= 1);
                });
}

OpFoldResult ShapeMath::mod(OpFoldResult lhs, OpFoldResult rhs) {
  auto left = constant(lhs), right = constant(rhs);
  if (left && right)
    return attr(totalMod(*left, *right));
  if (right == 0)
    return attr(0);
  if (right && *right > 0)
    return fromExpr(simplify(expr(lhs) % *right));
  return sub(lhs, mul(floorDiv(lhs, rhs), rhs));
}

bool ShapeMath::equal(OpFoldResult lhs, OpFoldResult rhs) {
  return lhs == rhs || expr(lhs) == expr(rhs);
}

bool ShapeMath::atMost(OpFoldResult lhs, OpFoldResult rhs) {
  auto left = constant(lhs), right = constant(rhs);
  if (left && right)
    return *left <= *right;
  return range(simplify(expr(rhs) - expr(lhs))).min >= 0;
}

OpFoldResult ShapeMath::min(OpFoldResult lhs, OpFoldResult rhs) {
  if (atMost(lhs, rhs))
    return lhs;
  if (atMost(rhs, lhs))
    return rhs;
  AffineExpr left = expr(lhs), right = expr(rhs);
  if (compareExprs(left, right) > 0)
    std::swap(left, right);
  Interval first = range(left), second = range(right);
  return opaque(
      unsigned(Kind::Min), left, right,
      {std::min(first.min, second.min), std::min(first.max, second.max)}, [&] {
        return arith::MinSIOp::create(b, value(lhs), value(rhs)).getResult();
      });
}

OpFoldResult ShapeMath::max(OpFoldResult lhs, OpFoldResult rhs) {
  if (atMost(lhs, rhs))
    return rhs;
  if (atMost(rhs, lhs))
    return lhs;
  AffineExpr left = expr(lhs), right = expr(rhs);
  if (compareExprs(left, right) > 0)
    std::swap(left, right);
  Interval first = range(left), second = range(right);
  return opaque(
      unsigned(Kind::Max), left, right,
      {std::max(first.min, second.min), std::max(first.max, second.max)}, [&] {
        return arith::MaxSIOp::create(b, value(lhs), value(rhs)).getResult();
      });
}

OpFoldResult ShapeMath::compare(arith::CmpIPredicate predicate,
                                OpFoldResult lhs, OpFoldResult rhs) {
  auto left = constant(lhs), right = constant(rhs);
  if (left && right)
    return attr(arith::applyCmpPredicate(predicate, APInt(64, *left, true),
                                         APInt(64, *right, true)));
  AffineExpr first = expr(lhs), second = expr(rhs);
  Interval difference = range(simplify(first - second));
  using P = arith::CmpIPredicate;
  auto known = [&]() -> std::optional<bool> {
    bool negative = difference.max < 0, positive = difference.min > 0;
    bool zero = difference.min == 0 && difference.max == 0;
    switch (predicate) {
    case P::eq:
      return zero                   ? std::optional(true)
             : negative || positive ? std::optional(false)
                                    : std::nullopt;
    case P::ne:
      return zero                   ? std::optional(false)
             : negative || positive ? std::optional(true)
                                    : std::nullopt;
    case P::slt:
      return negative              ? std::optional(true)
             : difference.min >= 0 ? std::optional(false)
                                   : std::nullopt;
    case P::sle:
      return difference.max <= 0 ? std::optional(true)
             : positive          ? std::optional(false)
                                 : std::nullopt;
    case P::sgt:
      return positive              ? std::optional(true)
             : difference.max <= 0 ? std::optional(false)
                                   : std::nullopt;
    case P::sge:
      return difference.min >= 0 ? std::optional(true)
             : negative          ? std::optional(false)
                                 : std::nullopt;
    default:
      return std::nullopt;
    }
  }();
  if (known)
    return attr(*known);
  unsigned kind = unsigned(Kind::Compare) + unsigned(predicate);
  return opaque(kind, first, second, {0, 1}, [&] {
    Value bit = arith::CmpIOp::create(b, predicate, value(lhs), value(rhs));
    return arith::IndexCastUIOp::create(b, b.getIndexType(), bit).getResult();
  });
}

OpFoldResult ShapeMath::select(OpFoldResult condition, OpFoldResult ifTrue,
                               OpFoldResult ifFalse) {
  if (auto known = constant(condition))
    return *known ? ifTrue : ifFalse;
  if (equal(ifTrue, ifFalse))
    return ifTrue;
  Interval left = range(expr(ifTrue)), right = range(expr(ifFalse));
  Value zero = arith::ConstantIndexOp::create(b, 0);
  Value bit = arith::CmpIOp::create(b, arith::CmpIPredicate::ne,
                                    value(condition), zero);
  Value result = arith::SelectOp::create(b, bit, value(ifTrue), value(ifFalse));
  newSymbol(result,
            {std::min(left.min, right.min), std::max(left.max, right.max)});
  return result;
}
