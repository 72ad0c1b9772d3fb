// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Arithmetic on sizes that may be open. Each size is an OpFoldResult: an
// attribute where it is known, an index value where it is not. Values carry a
// normal form (an affine expression over symbols), so that two ways of
// computing the same size are recognised as equal and no operation is built
// twice.
#ifndef TAMIS_LIB_IMPORT_ONNX_SHAPEMATH_H
#define TAMIS_LIB_IMPORT_ONNX_SHAPEMATH_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/OpDefinition.h"
#include "llvm/ADT/DenseMap.h"
#include <optional>

namespace mlir::tamis::onnx {

class ShapeMath {
public:
  explicit ShapeMath(ImplicitLocOpBuilder &builder) : b(builder) {
    scopes.emplace_back();
  }

  /// The value of a known size.
  static std::optional<int64_t> constant(OpFoldResult size) {
    return getConstantIntValue(size);
  }
  OpFoldResult attr(int64_t value) { return b.getIndexAttr(value); }
  /// The size as an index value, at the current insertion point.
  Value value(OpFoldResult size);

  OpFoldResult add(OpFoldResult lhs, OpFoldResult rhs);
  OpFoldResult sub(OpFoldResult lhs, OpFoldResult rhs);
  OpFoldResult mul(OpFoldResult lhs, OpFoldResult rhs);
  /// Rounding down; 0 for a zero divisor, as the three that follow.
  OpFoldResult floorDiv(OpFoldResult lhs, OpFoldResult rhs);
  OpFoldResult ceilDiv(OpFoldResult lhs, OpFoldResult rhs);
  /// Rounding towards zero, as ONNX Div.
  OpFoldResult truncDiv(OpFoldResult lhs, OpFoldResult rhs);
  /// Of the sign of the divisor, as ONNX Mod.
  OpFoldResult mod(OpFoldResult lhs, OpFoldResult rhs);
  OpFoldResult min(OpFoldResult lhs, OpFoldResult rhs);
  OpFoldResult max(OpFoldResult lhs, OpFoldResult rhs);
  OpFoldResult product(ArrayRef<OpFoldResult> sizes);
  /// 0 or 1.
  OpFoldResult compare(arith::CmpIPredicate predicate, OpFoldResult lhs,
                       OpFoldResult rhs);
  /// `condition` is 0 or not.
  OpFoldResult select(OpFoldResult condition, OpFoldResult ifTrue,
                      OpFoldResult ifFalse);

  /// True if both are provably the same number.
  bool equal(OpFoldResult lhs, OpFoldResult rhs);
  /// True if `lhs` is provably at most `rhs`.
  bool atMost(OpFoldResult lhs, OpFoldResult rhs);

  /// `product / divisor` if it divides evenly in its factored form.
  std::optional<OpFoldResult> exactDiv(ArrayRef<OpFoldResult> product,
                                       ArrayRef<OpFoldResult> divisor);
  /// True if both products are provably the same number.
  bool equalProducts(ArrayRef<OpFoldResult> lhs, ArrayRef<OpFoldResult> rhs);

  /// Makes `value` (of index type) a symbol within [min, max].
  OpFoldResult symbol(Value value, int64_t min, int64_t max);

  /// Values built between these two are not used after the second: they lie
  /// in a region that ends.
  void pushScope() { scopes.emplace_back(); }
  void popScope();

  /// The normal form of a size. It outlives the scope of the size's value.
  AffineExpr form(OpFoldResult size) { return expr(size); }
  /// The size of a form whose symbols are visible here.
  OpFoldResult size(AffineExpr form) { return fromExpr(form); }
  /// True if no symbol of `form` is defined within `region`.
  bool isDefinedOutside(AffineExpr form, Region &region);

private:
  enum class Kind : unsigned {
    Mul,
    FloorDiv,
    TruncDiv,
    Mod,
    Min,
    Max,
    Select,
    Compare // + predicate
  };
  struct Interval {
    int64_t min, max;
  };
  struct Symbol {
    Value value;
    Interval range;
    // An opaque product remembers its factors.
    AffineExpr lhs, rhs;
  };
  /// A product in factored form: coefficient times the factors.
  struct Monomial {
    int64_t coefficient = 1;
    llvm::SmallVector<AffineExpr> factors;
  };
  using OpaqueKey = std::pair<unsigned, std::pair<AffineExpr, AffineExpr>>;
  struct Scope {
    llvm::DenseMap<AffineExpr, Value> values;
    llvm::DenseMap<OpaqueKey, AffineExpr> opaques;
    /// Values whose form was recorded here: forgotten with the scope, since
    /// the region may be erased and their addresses used again.
    llvm::SmallVector<Value> recorded;
  };

  AffineExpr expr(OpFoldResult size);
  OpFoldResult fromExpr(AffineExpr expr);
  Value build(AffineExpr expr);
  AffineExpr simplify(AffineExpr expr);
  Interval range(AffineExpr expr);
  void factor(AffineExpr expr, Monomial &monomial);
  Monomial factor(ArrayRef<OpFoldResult> sizes);
  AffineExpr newSymbol(Value value, Interval range, AffineExpr lhs = {},
                       AffineExpr rhs = {});
  /// The symbol of a non-affine operation, built once per scope.
  OpFoldResult opaque(unsigned kind, AffineExpr lhs, AffineExpr rhs,
                      Interval range, llvm::function_ref<Value()> make);

  ImplicitLocOpBuilder &b;
  llvm::SmallVector<Symbol> symbols;
  llvm::DenseMap<Value, AffineExpr> exprs;
  llvm::SmallVector<Scope> scopes;
};

} // namespace mlir::tamis::onnx

#endif // TAMIS_LIB_IMPORT_ONNX_SHAPEMATH_H
