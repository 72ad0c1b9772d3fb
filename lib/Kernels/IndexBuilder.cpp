// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What every generator of this folder builds with: index arithmetic that folds,
// loops, perfect shuffles, flat views of memrefs.
#include "Emitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::kernel;

Value IndexBuilder::value(OpFoldResult v) {
  return getValueOrCreateConstantIndexOp(*this, getLoc(), v);
}

OpFoldResult IndexBuilder::add(OpFoldResult x, OpFoldResult y) {
  auto cx = getConstantIntValue(x), cy = getConstantIntValue(y);
  if (cx && cy)
    return constant(*cx + *cy);
  if (cx && *cx == 0)
    return y;
  if (cy && *cy == 0)
    return x;
  return arith::AddIOp::create(*this, value(x), value(y)).getResult();
}

OpFoldResult IndexBuilder::subtract(OpFoldResult x, OpFoldResult y) {
  auto cx = getConstantIntValue(x), cy = getConstantIntValue(y);
  if (cx && cy)
    return constant(*cx - *cy);
  if (cy && *cy == 0)
    return x;
  return arith::SubIOp::create(*this, value(x), value(y)).getResult();
}

OpFoldResult IndexBuilder::multiply(OpFoldResult x, OpFoldResult y) {
  auto cx = getConstantIntValue(x), cy = getConstantIntValue(y);
  if (cx && cy)
    return constant(*cx * *cy);
  if ((cx && *cx == 0) || (cy && *cy == 0))
    return constant(0);
  if (cx && *cx == 1)
    return y;
  if (cy && *cy == 1)
    return x;
  return arith::MulIOp::create(*this, value(x), value(y)).getResult();
}

OpFoldResult IndexBuilder::divide(OpFoldResult x, int64_t y) {
  if (auto cx = getConstantIntValue(x))
    return constant(*cx / y);
  if (y == 1)
    return x;
  return arith::DivUIOp::create(*this, value(x), value(constant(y)))
      .getResult();
}

OpFoldResult IndexBuilder::ceilDivide(OpFoldResult x, int64_t y) {
  return divide(add(x, constant(y - 1)), y);
}

OpFoldResult IndexBuilder::remainder(OpFoldResult x, int64_t y) {
  if (auto cx = getConstantIntValue(x))
    return constant(*cx % y);
  if (y == 1)
    return constant(0);
  return arith::RemUIOp::create(*this, value(x), value(constant(y)))
      .getResult();
}

OpFoldResult IndexBuilder::minimum(OpFoldResult x, OpFoldResult y) {
  auto cx = getConstantIntValue(x), cy = getConstantIntValue(y);
  if (cx && cy)
    return constant(std::min(*cx, *cy));
  return arith::MinUIOp::create(*this, value(x), value(y)).getResult();
}

void IndexBuilder::setInsertionPointToCall() {
  Operation *scope = getInsertionBlock()->getParentOp();
  while (isa<scf::ForOp, scf::IfOp, scf::ExecuteRegionOp>(scope))
    scope = scope->getParentOp();
  if (scope != getInsertionBlock()->getParentOp())
    setInsertionPointToStart(&scope->getRegion(0).front());
}

void IndexBuilder::loop(OpFoldResult lower, OpFoldResult upper, int64_t step,
                        function_ref<void(OpFoldResult)> body) {
  auto cl = getConstantIntValue(lower), cu = getConstantIntValue(upper);
  if (cl && cu) {
    if (*cl >= *cu)
      return;
    if (*cl + step >= *cu)
      return body(lower);
  }
  Value lo = value(lower), up = value(upper), by = value(constant(step));
  auto loop = scf::ForOp::create(*this, lo, up, by);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

void IndexBuilder::carry(
    OpFoldResult lower, OpFoldResult upper, int64_t step,
    SmallVectorImpl<Value> &values,
    function_ref<void(Value, SmallVectorImpl<Value> &)> body) {
  auto loop = scf::ForOp::create(*this, value(lower), value(upper),
                                 value(constant(step)), values);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(loop.getBody());
  SmallVector<Value> inner(loop.getRegionIterArgs());
  body(loop.getInductionVar(), inner);
  scf::YieldOp::create(*this, inner);
  values.assign(loop.getResults().begin(), loop.getResults().end());
}

Value IndexBuilder::zip(Value x, Value y, int64_t half, int64_t halves) {
  int64_t size = cast<VectorType>(x.getType()).getNumElements();
  SmallVector<int64_t> order;
  for (int64_t i = half * size / 2, e = i + size * halves / 2; i < e; ++i) {
    order.push_back(i);
    order.push_back(size + i);
  }
  return vector::ShuffleOp::create(*this, x, y, order);
}

/// Squares of eight: halves of rows i and i + 4 side by side, then squares of
/// four within both halves at once. AVX2 has all of these shuffles, while a
/// perfect one takes it two instructions.
static void transposeEight(IndexBuilder &b, SmallVectorImpl<Value> &square) {
  auto shuffle = [&](Value x, Value y, ArrayRef<int64_t> order) -> Value {
    return vector::ShuffleOp::create(b, x, y, order);
  };
  SmallVector<Value> columns;
  for (int64_t half = 0; half < 8; half += 4) {
    SmallVector<Value> rows, pairs;
    for (int64_t i = 0; i < 4; ++i)
      rows.push_back(shuffle(square[i], square[i + 4],
                             {half, half + 1, half + 2, half + 3, half + 8,
                              half + 9, half + 10, half + 11}));
    for (int64_t i = 0; i < 4; i += 2) {
      pairs.push_back(
          shuffle(rows[i], rows[i + 1], {0, 8, 1, 9, 4, 12, 5, 13}));
      pairs.push_back(
          shuffle(rows[i], rows[i + 1], {2, 10, 3, 11, 6, 14, 7, 15}));
    }
    for (int64_t i = 0; i < 2; ++i) {
      columns.push_back(
          shuffle(pairs[i], pairs[i + 2], {0, 1, 8, 9, 4, 5, 12, 13}));
      columns.push_back(
          shuffle(pairs[i], pairs[i + 2], {2, 3, 10, 11, 6, 7, 14, 15}));
    }
  }
  square.assign(columns.begin(), columns.end());
}

void IndexBuilder::transpose(SmallVectorImpl<Value> &square) {
  if (square.size() == 8)
    return transposeEight(*this, square);
  // log2 perfect shuffles.
  size_t half = square.size() / 2;
  for (size_t round = 1; round < square.size(); round *= 2) {
    SmallVector<Value> next;
    for (size_t i = 0; i < half; ++i) {
      next.push_back(zip(square[i], square[i + half], 0));
      next.push_back(zip(square[i], square[i + half], 1));
    }
    square.assign(next.begin(), next.end());
  }
}

FlatView kernel::flatten(IndexBuilder &b, Value memref, AffineMap map) {
  auto type = cast<MemRefType>(memref.getType());
  FlatView view;
  auto metadata = memref::ExtractStridedMetadataOp::create(b, memref);
  view.strides = metadata.getConstifiedMixedStrides();
  OpFoldResult offset = metadata.getConstifiedMixedOffset();
  SmallVector<OpFoldResult> sizes = metadata.getConstifiedMixedSizes();
  OpFoldResult count = b.constant(1);
  for (auto [size, stride] : llvm::zip_equal(sizes, view.strides))
    count = b.add(count, b.multiply(b.subtract(size, b.constant(1)), stride));
  int64_t staticCount =
      getConstantIntValue(count).value_or(ShapedType::kDynamic);
  int64_t staticOffset =
      getConstantIntValue(offset).value_or(ShapedType::kDynamic);
  auto flat =
      MemRefType::get({staticCount}, type.getElementType(),
                      StridedLayoutAttr::get(b.getContext(), staticOffset, {1}),
                      type.getMemorySpace());
  view.flat = memref::ReinterpretCastOp::create(
      b, flat, metadata.getBaseBuffer(), offset, ArrayRef<OpFoldResult>{count},
      ArrayRef<OpFoldResult>{b.constant(1)});
  if (!map)
    return view;
  view.perDim.assign(map.getNumDims(), b.constant(0));
  for (auto [expr, stride] : llvm::zip_equal(map.getResults(), view.strides)) {
    FailureOr<SmallVector<int64_t>> c = getCoefficients(expr, map.getNumDims());
    if (failed(c))
      continue;
    for (auto [d, factor] : llvm::enumerate(*c))
      if (factor != 0)
        view.perDim[d] =
            b.add(view.perDim[d], b.multiply(stride, b.constant(factor)));
  }
  return view;
}
