// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Loops, index arithmetic and typed comparisons for bodies.
#include "Structured.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace mlir::tamis::onnx {

//===-- control -----------------------------------------------------------===//

SmallVector<Value> loops(Importer &im, ArrayRef<OpFoldResult> counts,
                         ValueRange inits, LoopBody body) {
  if (counts.empty())
    return body(im.b, {}, inits);
  Value zero = indexConstant(im.b, 0), one = indexConstant(im.b, 1);
  SmallVector<Value> lower(counts.size(), zero), steps(counts.size(), one);
  SmallVector<Value> upper;
  for (OpFoldResult count : counts)
    upper.push_back(im.shape.value(count));
  SmallVector<Sizes> sizes;
  for (Value init : inits)
    sizes.push_back(isa<RankedTensorType>(init.getType()) ? im.dims(init)
                                                          : Sizes());
  im.enterRegion();
  scf::LoopNest nest = scf::buildLoopNest(
      im.b, im.b.getLoc(), lower, upper, steps, inits,
      [&](OpBuilder &, Location, ValueRange indices, ValueRange carried) {
        for (auto [value, known] : llvm::zip(carried, sizes))
          im.setDims(value, known);
        return scf::ValueVector(body(im.b, indices, carried));
      });
  im.leaveRegion();
  SmallVector<Value> results(nest.results.begin(), nest.results.end());
  for (auto [value, known] : llvm::zip(results, sizes))
    im.setDims(value, known);
  return results;
}

SmallVector<Value> choose(ImplicitLocOpBuilder &b, Value condition,
                          BranchFn ifTrue, BranchFn ifFalse) {
  auto branch = [](BranchFn build) {
    return [build](OpBuilder &nested, Location loc) {
      ImplicitLocOpBuilder inner(loc, nested);
      SmallVector<Value> results = build(inner);
      scf::YieldOp::create(inner, results);
    };
  };
  auto op = scf::IfOp::create(b, condition, branch(ifTrue), branch(ifFalse));
  return SmallVector<Value>(op.getResults().begin(), op.getResults().end());
}

//===-- indices -----------------------------------------------------------===//

Value indexConstant(ImplicitLocOpBuilder &b, int64_t value) {
  return arith::ConstantIndexOp::create(b, value);
}
Value addIndex(ImplicitLocOpBuilder &b, Value lhs, Value rhs) {
  return arith::AddIOp::create(b, lhs, rhs);
}
Value subIndex(ImplicitLocOpBuilder &b, Value lhs, Value rhs) {
  return arith::SubIOp::create(b, lhs, rhs);
}
Value mulIndex(ImplicitLocOpBuilder &b, Value lhs, Value rhs) {
  return arith::MulIOp::create(b, lhs, rhs);
}
Value compareIndex(ImplicitLocOpBuilder &b, arith::CmpIPredicate predicate,
                   Value lhs, Value rhs) {
  return arith::CmpIOp::create(b, predicate, lhs, rhs);
}

Value fromIndex(ImplicitLocOpBuilder &b, Value index, Type element) {
  if (element.isIndex())
    return index;
  if (isa<IntegerType>(element))
    return arith::IndexCastOp::create(b, element, index);
  Value wide = arith::IndexCastOp::create(b, b.getI64Type(), index);
  return arith::SIToFPOp::create(b, element, wide);
}

Value toIndex(ImplicitLocOpBuilder &b, Value element, DType dtype) {
  if (isUnsigned(dtype))
    return arith::IndexCastUIOp::create(b, b.getIndexType(), element);
  return arith::IndexCastOp::create(b, b.getIndexType(), element);
}

//===-- elements ----------------------------------------------------------===//

Value greater(ImplicitLocOpBuilder &b, Value lhs, Value rhs, DType dtype) {
  if (isa<FloatType>(lhs.getType()))
    return arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, lhs, rhs);
  return arith::CmpIOp::create(b,
                               isUnsigned(dtype) ? arith::CmpIPredicate::ugt
                                                 : arith::CmpIPredicate::sgt,
                               lhs, rhs);
}

Value largerOf(ImplicitLocOpBuilder &b, Value lhs, Value rhs, DType dtype) {
  if (isa<FloatType>(lhs.getType()))
    return arith::MaximumFOp::create(b, lhs, rhs);
  if (isUnsigned(dtype))
    return arith::MaxUIOp::create(b, lhs, rhs);
  return arith::MaxSIOp::create(b, lhs, rhs);
}

Value smallerOf(ImplicitLocOpBuilder &b, Value lhs, Value rhs, DType dtype) {
  if (isa<FloatType>(lhs.getType()))
    return arith::MinimumFOp::create(b, lhs, rhs);
  if (isUnsigned(dtype))
    return arith::MinUIOp::create(b, lhs, rhs);
  return arith::MinSIOp::create(b, lhs, rhs);
}

Value addElements(ImplicitLocOpBuilder &b, Value lhs, Value rhs) {
  if (isa<FloatType>(lhs.getType()))
    return arith::AddFOp::create(b, lhs, rhs);
  if (lhs.getType().isInteger(1))
    return arith::OrIOp::create(b, lhs, rhs);
  return arith::AddIOp::create(b, lhs, rhs);
}

Value mulElements(ImplicitLocOpBuilder &b, Value lhs, Value rhs) {
  if (isa<FloatType>(lhs.getType()))
    return arith::MulFOp::create(b, lhs, rhs);
  if (lhs.getType().isInteger(1))
    return arith::AndIOp::create(b, lhs, rhs);
  return arith::MulIOp::create(b, lhs, rhs);
}

static Value extreme(ImplicitLocOpBuilder &b, Type element, DType dtype,
                     bool highest) {
  if (auto type = dyn_cast<FloatType>(element))
    return arith::ConstantOp::create(
        b, b.getFloatAttr(type, APFloat::getInf(type.getFloatSemantics(),
                                                /*Negative=*/!highest)));
  unsigned width = element.getIntOrFloatBitWidth();
  bool natural = isUnsigned(dtype);
  APInt value = highest ? (natural ? APInt::getMaxValue(width)
                                   : APInt::getSignedMaxValue(width))
                        : (natural ? APInt::getMinValue(width)
                                   : APInt::getSignedMinValue(width));
  return arith::ConstantOp::create(b, b.getIntegerAttr(element, value));
}

Value lowestOf(ImplicitLocOpBuilder &b, Type element, DType dtype) {
  return extreme(b, element, dtype, /*highest=*/false);
}
Value highestOf(ImplicitLocOpBuilder &b, Type element, DType dtype) {
  return extreme(b, element, dtype, /*highest=*/true);
}

//===-- tensors -----------------------------------------------------------===//

Sizes typedDims(Importer &im, Value value) {
  RankedTensorType type = tensorTypeOf(value);
  Sizes sizes;
  for (int64_t i = 0; i < type.getRank(); ++i)
    sizes.push_back(type.isDynamicDim(i)
                        ? OpFoldResult(im.shape.value(im.dim(value, i)))
                        : im.shape.attr(type.getDimSize(i)));
  return sizes;
}

Value castTensor(Importer &im, Value value, RankedTensorType type) {
  if (value.getType() == type)
    return value;
  Sizes sizes = im.dims(value);
  Value result = tensor::CastOp::create(im.b, type, value);
  im.setDims(result, sizes);
  return result;
}

Value insertAt(Importer &im, Value value, Value destination, int64_t dim,
               OpFoldResult offset, bool dropped) {
  Sizes sizes = typedDims(im, value);
  if (dropped)
    sizes.insert(sizes.begin() + dim, im.shape.attr(1));
  // No offset is within an empty dimension: insert_slice would refuse it.
  if (llvm::is_contained(sizes, im.shape.attr(0)))
    return destination;
  Sizes offsets(sizes.size(), im.shape.attr(0));
  Sizes strides(sizes.size(), im.shape.attr(1));
  offsets[dim] = offset;
  Sizes known = im.dims(destination);
  Value result = tensor::InsertSliceOp::create(im.b, value, destination,
                                               offsets, sizes, strides);
  im.setDims(result, known);
  return result;
}

Value keepFirst(Importer &im, Value input, int64_t dim, Value size) {
  OpFoldResult kept = im.shape.symbol(size, 0, INT64_MAX);
  return im.sliceDim(input, dim, im.shape.attr(0), kept);
}

} // namespace mlir::tamis::onnx
