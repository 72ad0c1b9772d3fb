// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Operators that fold elements along axes: Reduce*, ArgMax, ArgMin, the
// running sums, and pooling over whole planes.
#include "Structured.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::tamis::onnx;

namespace {

enum class Fold {
  Sum,
  Mean,
  L1,
  L2,
  SumSquare,
  LogSum,
  LogSumExp,
  Prod,
  Max,
  Min
};

/// What a fold of `element` is accumulated in.
Type foldType(Type element) {
  if (isa<FloatType>(element))
    return computeType(element);
  return element;
}

Value absolute(ImplicitLocOpBuilder &b, Value x, DType dtype) {
  if (isa<FloatType>(x.getType()))
    return math::AbsFOp::create(b, x);
  return isUnsigned(dtype) ? x : math::AbsIOp::create(b, x).getResult();
}

/// A float function of an accumulator that may be an integer.
Value throughFloat(ImplicitLocOpBuilder &b, Value x, DType dtype,
                   llvm::function_ref<Value(Value)> function) {
  Type type = x.getType();
  if (isa<FloatType>(type))
    return function(x);
  Value wide = castScalar(b, x, b.getF64Type(), isUnsigned(dtype));
  Value result = function(wide);
  if (isUnsigned(dtype))
    return arith::FPToUIOp::create(b, type, result);
  return arith::FPToSIOp::create(b, type, result);
}

/// sum / n, for integers rounded towards zero.
Value quotient(ImplicitLocOpBuilder &b, Value total, Value n, DType dtype) {
  if (isa<FloatType>(total.getType()))
    return arith::DivFOp::create(b, total, n);
  if (isUnsigned(dtype))
    return arith::DivUIOp::create(b, total, n);
  return arith::DivSIOp::create(b, total, n);
}

/// The number of reduced elements in `type`, at least 1 for integers: an empty
/// mean is not a number for floats and must not trap otherwise.
Value elementsIn(Importer &im, Value x, ArrayRef<int64_t> axes, Type type) {
  if (isa<FloatType>(type))
    return count(im, x, axes, type);
  Sizes sizes;
  for (int64_t axis : axes)
    sizes.push_back(im.dim(x, axis));
  OpFoldResult n = im.shape.max(im.shape.product(sizes), im.shape.attr(1));
  if (auto known = ShapeMath::constant(n))
    return Importer::constantInt(im.b, type, *known);
  return fromIndex(im.b, im.shape.value(n), type);
}

/// log(sum(exp(x))), shifted by the largest element so that exp stays finite.
Value logSumExp(Importer &im, const Node &node, Value x, ArrayRef<int64_t> axes,
                bool keepDims) {
  Type element = elementOf(x), type = computeType(element);
  Value highest =
      unary(im, maximum(im, x, axes), type,
            [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
              Value infinite =
                  arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ,
                                        math::AbsFOp::create(b, args[0]),
                                        highestOf(b, type, DType::Float));
              return arith::SelectOp::create(
                  b, infinite, Importer::constant(b, type, 0), args[0]);
            });
  Value e = im.elementwise(
      node, ArrayRef<Value>{x, highest}, type,
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        return math::ExpOp::create(
            b, arith::SubFOp::create(b, castScalar(b, args[0], type), args[1]));
      });
  if (!e)
    return nullptr;
  Value total = sum(im, e, axes);
  Value result = im.elementwise(
      node, ArrayRef<Value>{total, highest}, element,
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value log = math::LogOp::create(b, args[0]);
        return castScalar(b, arith::AddFOp::create(b, log, args[1]), element);
      });
  return keepDims || !result ? result : im.dropDims(result, axes);
}

Value startOf(Importer &im, Fold kind, Type type, DType dtype) {
  if (kind == Fold::Max)
    return lowestOf(im.b, type, dtype);
  if (kind == Fold::Min)
    return highestOf(im.b, type, dtype);
  return im.constant(type, kind == Fold::Prod ? 1 : 0);
}

/// One more element in the accumulator, of the accumulator's type.
Value accumulate(ImplicitLocOpBuilder &b, Fold kind, Value acc, Value x,
                 DType dtype) {
  x = castScalar(b, x, acc.getType(), isUnsigned(dtype));
  switch (kind) {
  case Fold::Max:
    return largerOf(b, acc, x, dtype);
  case Fold::Min:
    return smallerOf(b, acc, x, dtype);
  case Fold::Prod:
    return mulElements(b, acc, x);
  case Fold::L1:
    return addElements(b, acc, absolute(b, x, dtype));
  case Fold::L2:
  case Fold::SumSquare:
    return addElements(b, acc, mulElements(b, x, x));
  case Fold::LogSumExp:
    return addElements(b, acc, throughFloat(b, x, dtype, [&](Value x) -> Value {
                         return math::ExpOp::create(b, x);
                       }));
  default:
    return addElements(b, acc, x);
  }
}

/// What follows the folding, as an element of the result; `n` elements were
/// folded.
Value finish(Importer &im, Fold kind, Value folded, Value n, Type element,
             DType dtype) {
  bool isPlain = kind != Fold::Mean && kind != Fold::L2 &&
                 kind != Fold::LogSum && kind != Fold::LogSumExp;
  if (isPlain && elementOf(folded) == element)
    return folded;
  return unary(im, folded, element,
               [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                 Value y = args[0];
                 if (kind == Fold::Mean)
                   y = quotient(b, y, n, dtype);
                 else if (kind == Fold::L2)
                   y = throughFloat(b, y, dtype, [&](Value y) -> Value {
                     return math::SqrtOp::create(b, y);
                   });
                 else if (!isPlain)
                   y = throughFloat(b, y, dtype, [&](Value y) -> Value {
                     return math::LogOp::create(b, y);
                   });
                 return castScalar(b, y, element);
               });
}

Value fold(Importer &im, const Node &node, Fold kind, Value x, DType dtype,
           ArrayRef<int64_t> axes, bool keepDims) {
  if (kind == Fold::LogSumExp && isFloat(dtype))
    return logSumExp(im, node, x, axes, keepDims);
  Type element = elementOf(x), type = foldType(element);
  Value folded = im.reduce(x, axes, keepDims, startOf(im, kind, type, dtype),
                           [&](ImplicitLocOpBuilder &b, Value acc, Value x) {
                             return accumulate(b, kind, acc, x, dtype);
                           });
  Value n = kind == Fold::Mean ? elementsIn(im, x, axes, type) : Value();
  return finish(im, kind, folded, n, element, dtype);
}

/// Axes that only run time knows: a loop over the input that adds to the
/// element its position falls on.
FailureOr<Value> foldOpen(Importer &im, const Node &node, Fold kind, Value x,
                          DType dtype, const ImportedValue &axes,
                          bool keepDims) {
  auto listed = im.indices(node, axes);
  if (failed(listed))
    return failure();
  int64_t rank = rankOf(x), dropped = listed->size();
  if (dropped > rank)
    return im.error(node) << "there are " << dropped << " axes for rank "
                          << rank;
  ImplicitLocOpBuilder &b = im.b;
  ShapeMath &shape = im.shape;
  SmallVector<Value> bits(rank, Importer::constantInt(b, b.getI1Type(), 0));
  for (OpFoldResult axis : *listed) {
    Value at = im.checkedIndex(shape.value(axis), shape.attr(rank));
    for (int64_t i = 0; i < rank; ++i)
      bits[i] = arith::OrIOp::create(
          b, bits[i],
          compareIndex(b, arith::CmpIPredicate::eq, at, indexConstant(b, i)));
  }
  Sizes from = im.dims(x), kept, folded;
  for (int64_t i = 0; i < rank; ++i) {
    Value flag = arith::IndexCastUIOp::create(b, b.getIndexType(), bits[i]);
    OpFoldResult isReduced = shape.symbol(flag, 0, 1);
    kept.push_back(shape.select(isReduced, shape.attr(1), from[i]));
    folded.push_back(shape.select(isReduced, from[i], shape.attr(1)));
  }
  Type element = elementOf(x), type = foldType(element);
  auto target = [&](ImplicitLocOpBuilder &b, ValueRange at) {
    SmallVector<Value> result;
    for (auto [index, bit] : llvm::zip(at, bits))
      result.push_back(
          arith::SelectOp::create(b, bit, indexConstant(b, 0), index));
    return result;
  };
  auto run = [&](Fold kind, Value shift) {
    Value start = im.fill(kept, startOf(im, kind, type, dtype));
    im.setDims(start, kept);
    return loops(
        im, from, start,
        [&](ImplicitLocOpBuilder &b, ValueRange at, ValueRange state) {
          SmallVector<Value> to = target(b, at);
          Value next = castScalar(b, tensor::ExtractOp::create(b, x, at), type,
                                  isUnsigned(dtype));
          if (shift)
            next = arith::SubFOp::create(
                b, next, tensor::ExtractOp::create(b, shift, to));
          Value acc = tensor::ExtractOp::create(b, state[0], to);
          Value sum = accumulate(b, kind, acc, next, dtype);
          return SmallVector<Value>{
              tensor::InsertOp::create(b, sum, state[0], to).getResult()};
        })[0];
  };
  Value shift;
  if (kind == Fold::LogSumExp && isFloat(dtype))
    shift = run(Fold::Max, nullptr);
  Value result = run(kind, shift);
  Value n;
  if (kind == Fold::Mean) {
    OpFoldResult count = shape.max(shape.product(folded), shape.attr(1));
    n = fromIndex(b, shape.value(count), type);
  }
  result = finish(im, kind, result, n, shift ? type : element, dtype);
  if (shift) {
    result = im.elementwise(
        node, ArrayRef<Value>{result, shift}, element,
        [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
          return castScalar(b, arith::AddFOp::create(b, args[0], args[1]),
                            element);
        });
    if (!result)
      return failure();
  }
  if (keepDims)
    return result;
  // The p-th size of the result is that of the p-th axis that stays.
  Sizes sizes(rank - dropped, shape.attr(1));
  OpFoldResult place = shape.attr(0);
  for (int64_t i = 0; i < rank; ++i) {
    OpFoldResult flag = shape.symbol(
        arith::IndexCastUIOp::create(b, b.getIndexType(), bits[i]), 0, 1);
    OpFoldResult stays = shape.sub(shape.attr(1), flag);
    for (auto [p, size] : llvm::enumerate(sizes)) {
      OpFoldResult here = shape.mul(
          stays, shape.compare(arith::CmpIPredicate::eq, place, shape.attr(p)));
      size = shape.select(here, from[i], size);
    }
    place = shape.add(place, stays);
  }
  return im.reshape(result, sizes);
}

/// The known axes by input 1 or attribute.
FailureOr<SmallVector<int64_t>> reducedAxes(Importer &im, const Node &node,
                                            int64_t rank) {
  SmallVector<int64_t> listed = im.getInts(node, "axes", {});
  if (auto known = im.constantInts(im.in(node, 1)))
    listed = *known;
  if (listed.empty() && !im.getInt(node, "noop_with_empty_axes", 0))
    return axesFrom(0, rank);
  return im.axes(node, listed, rank);
}

template <Fold kind>
LogicalResult importReduce(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  Value x = im.tensor(input);
  if (!x)
    return failure();
  if (input.dtype == DType::Bool && kind != Fold::Max && kind != Fold::Min)
    return im.error(node) << "expected numbers, got bool";
  bool keepDims = im.getInt(node, "keepdims", 1) != 0;
  if (ImportedValue open = im.in(node, 1); open && !im.constantInts(open)) {
    RankedTensorType type = im.type(open);
    if (!type)
      return failure();
    if (type.getShape() != ArrayRef<int64_t>{0}) {
      auto result = foldOpen(im, node, kind, x, input.dtype, open, keepDims);
      return failed(result) ? failure() : im.out(node, 0, *result, input.dtype);
    }
  }
  auto axes = reducedAxes(im, node, rankOf(x));
  if (failed(axes))
    return failure();
  Value result = fold(im, node, kind, x, input.dtype, *axes, keepDims);
  return result ? im.out(node, 0, result, input.dtype) : failure();
}

/// Axes of the plane of an N x C x … tensor, reported if there is none.
FailureOr<SmallVector<int64_t>> planeAxes(Importer &im, const Node &node,
                                          Value x) {
  if (rankOf(x) < 3)
    return im.error(node) << "expected rank 3 or more, got " << rankOf(x);
  return axesFrom(2, rankOf(x));
}

template <Fold kind>
LogicalResult importGlobalPool(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  Value x = im.tensor(input);
  if (!x)
    return failure();
  auto axes = planeAxes(im, node, x);
  if (failed(axes))
    return failure();
  Value result = fold(im, node, kind, x, input.dtype, *axes, true);
  return result ? im.out(node, 0, result, input.dtype) : failure();
}

LogicalResult importGlobalLpPool(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  Value x = im.tensor(input);
  if (!x)
    return failure();
  auto axes = planeAxes(im, node, x);
  int64_t p = im.getInt(node, "p", 2);
  if (failed(axes))
    return failure();
  if (p < 1 || !isFloat(input.dtype))
    return im.error(node) << "expected floats and a positive p, got "
                          << dtypeName(input.dtype) << " and " << p;
  if (p <= 2) {
    Value result = fold(im, node, p == 1 ? Fold::L1 : Fold::L2, x, input.dtype,
                        *axes, true);
    return im.out(node, 0, result, input.dtype);
  }
  Type element = elementOf(x), type = computeType(element);
  Value total =
      im.reduce(x, *axes, true, im.constant(type, 0),
                [&](ImplicitLocOpBuilder &b, Value acc, Value x) -> Value {
                  Value power = math::PowFOp::create(
                      b, math::AbsFOp::create(b, castScalar(b, x, type)),
                      Importer::constant(b, type, static_cast<double>(p)));
                  return arith::AddFOp::create(b, acc, power);
                });
  Value result =
      unary(im, total, element, [&](ImplicitLocOpBuilder &b, ValueRange args) {
        Value root = math::PowFOp::create(b, args[0],
                                          Importer::constant(b, type, 1.0 / p));
        return castScalar(b, root, element);
      });
  return im.out(node, 0, result, input.dtype);
}

template <bool isMax>
LogicalResult importArg(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  Value x = im.tensor(input);
  if (!x)
    return failure();
  int64_t rank = rankOf(x);
  auto axis = im.axis(node, im.getInt(node, "axis", 0), rank);
  if (failed(axis))
    return failure();
  if (tensorTypeOf(x).getDimSize(*axis) == 0)
    return im.error(node) << "dimension " << *axis << " is empty";
  bool keepDims = im.getInt(node, "keepdims", 1) != 0;
  bool takeLast = im.getInt(node, "select_last_index", 0) != 0;

  Sizes kept, units = im.dims(x);
  SmallVector<AffineExpr> results;
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  iterators[*axis] = utils::IteratorType::reduction;
  for (int64_t i = 0; i < rank; ++i) {
    if (i == *axis)
      continue;
    kept.push_back(units[i]);
    results.push_back(im.b.getAffineDimExpr(i));
  }
  units[*axis] = im.shape.attr(1);
  Type element = elementOf(x), i64 = im.b.getI64Type();
  Value best = im.fill(kept, isMax ? lowestOf(im.b, element, input.dtype)
                                   : highestOf(im.b, element, input.dtype));
  Value where = im.fill(kept, im.constant(i64, 0));
  AffineMap outMap = AffineMap::get(rank, 0, results, im.b.getContext());
  auto generic = linalg::GenericOp::create(
      im.b, TypeRange{best.getType(), where.getType()}, x,
      ValueRange{best, where},
      ArrayRef{im.b.getMultiDimIdentityMap(rank), outMap, outMap}, iterators,
      [&](OpBuilder &nested, Location loc, ValueRange args) {
        ImplicitLocOpBuilder b(loc, nested);
        Value x = args[0], best = args[1];
        // The last of equals is taken unless the earlier one is better.
        Value better = isMax == !takeLast ? greater(b, x, best, input.dtype)
                                          : greater(b, best, x, input.dtype);
        if (takeLast)
          better = arith::XOrIOp::create(
              b, better, Importer::constantInt(b, b.getI1Type(), 1));
        Value index = arith::IndexCastOp::create(
            b, i64, linalg::IndexOp::create(b, *axis));
        Value newBest = arith::SelectOp::create(b, better, x, best);
        Value newWhere = arith::SelectOp::create(b, better, index, args[2]);
        linalg::YieldOp::create(b, ValueRange{newBest, newWhere});
      });
  Value result = generic.getResult(1);
  im.setDims(result, kept);
  if (keepDims)
    result = im.reshape(result, units);
  return im.out(node, 0, result, DType::Int64);
}

/// Running sums and products along an axis that only run time knows: each
/// element follows the one before it, which the loop has written already.
FailureOr<Value> cumulateOpen(Importer &im, const Node &node, bool isSum,
                              bool exclusive, bool reverse) {
  Value x = im.tensor(node, 0);
  int64_t rank = rankOf(x);
  auto listed = im.indices(node, 1);
  if (failed(listed))
    return failure();
  if (listed->size() != 1 || rank < 1)
    return im.error(node) << "expected one axis and rank 1 or more";
  Value axis =
      im.checkedIndex(im.shape.value(listed->front()), im.shape.attr(rank));
  Sizes sizes = im.dims(x);
  SmallVector<Value> extents;
  for (OpFoldResult size : sizes)
    extents.push_back(im.shape.value(size));
  Type element = elementOf(x);
  Value neutral = im.constant(element, isSum ? 0 : 1);
  return loops(
      im, sizes, im.empty(sizes, element),
      [&](ImplicitLocOpBuilder &b, ValueRange step, ValueRange carried) {
        Value zero = indexConstant(b, 0), one = indexConstant(b, 1);
        SmallVector<Value> at(step), before;
        Value isFirst = Importer::constantInt(b, b.getI1Type(), 0);
        for (int64_t i = 0; i < rank; ++i) {
          Value last = subIndex(b, extents[i], one);
          if (reverse)
            at[i] = subIndex(b, last, step[i]);
          Value along = compareIndex(b, arith::CmpIPredicate::eq, axis,
                                     indexConstant(b, i));
          Value first =
              compareIndex(b, arith::CmpIPredicate::eq, step[i], zero);
          isFirst = arith::OrIOp::create(
              b, isFirst, arith::AndIOp::create(b, along, first));
          Value moved =
              reverse ? addIndex(b, at[i], one) : subIndex(b, at[i], one);
          Value previous = arith::SelectOp::create(b, along, moved, at[i]);
          before.push_back(Importer::clampIndex(
              b, arith::MaxSIOp::create(b, previous, zero), extents[i]));
        }
        Value sum = tensor::ExtractOp::create(b, carried[0], before);
        sum = arith::SelectOp::create(b, isFirst, neutral, sum);
        Value next = tensor::ExtractOp::create(b, x, exclusive ? before : at);
        if (exclusive)
          next = arith::SelectOp::create(b, isFirst, neutral, next);
        sum = isSum ? addElements(b, sum, next) : mulElements(b, sum, next);
        return SmallVector<Value>{
            tensor::InsertOp::create(b, sum, carried[0], at).getResult()};
      })[0];
}

/// Running sums and products: one pass along the axis for each row.
template <bool isSum>
LogicalResult importCumulative(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  Value x = im.tensor(input);
  if (!x)
    return failure();
  bool exclusive = im.getInt(node, "exclusive", 0) != 0;
  bool reverse = im.getInt(node, "reverse", 0) != 0;
  auto listed = im.constantInts(im.in(node, 1));
  if (!listed) {
    auto result = cumulateOpen(im, node, isSum, exclusive, reverse);
    return failed(result) ? failure() : im.out(node, 0, *result, input.dtype);
  }
  if (listed->size() != 1)
    return im.error(node) << "expected one axis, got " << listed->size();
  auto axis = im.axis(node, listed->front(), rankOf(x));
  if (failed(axis))
    return failure();
  Type element = elementOf(x), type = foldType(element);
  Sizes sizes = im.dims(x), outer = sizes;
  outer.erase(outer.begin() + *axis);
  Value length = im.shape.value(sizes[*axis]);
  Value initial = im.constant(type, isSum ? 0 : 1);
  SmallVector<Value> result = loops(
      im, outer, im.empty(sizes, element),
      [&](ImplicitLocOpBuilder &b, ValueRange row, ValueRange carried) {
        Value zero = indexConstant(b, 0), one = indexConstant(b, 1);
        auto loop = scf::ForOp::create(
            b, zero, length, one, ValueRange{carried[0], initial},
            [&](OpBuilder &nested, Location loc, Value step, ValueRange state) {
              ImplicitLocOpBuilder b(loc, nested);
              if (reverse)
                step = subIndex(b, subIndex(b, length, one), step);
              SmallVector<Value> at(row.begin(), row.end());
              at.insert(at.begin() + *axis, step);
              Value next = castScalar(b, tensor::ExtractOp::create(b, x, at),
                                      type, isUnsigned(input.dtype));
              Value folded = isSum ? addElements(b, state[1], next)
                                   : mulElements(b, state[1], next);
              Value stored =
                  castScalar(b, exclusive ? state[1] : folded, element);
              Value filled = tensor::InsertOp::create(b, stored, state[0], at);
              scf::YieldOp::create(b, ValueRange{filled, folded});
            });
        return SmallVector<Value>{loop.getResult(0)};
      });
  return im.out(node, 0, result[0], input.dtype);
}

} // namespace

void mlir::tamis::onnx::registerReduction(OpTable &table) {
  table.add({"", "ReduceSum", 1, {1, 2}, importReduce<Fold::Sum>});
  table.add({"", "ReduceMean", 1, {1, 2}, importReduce<Fold::Mean>});
  table.add({"", "ReduceL1", 1, {1, 2}, importReduce<Fold::L1>});
  table.add({"", "ReduceL2", 1, {1, 2}, importReduce<Fold::L2>});
  table.add({"", "ReduceSumSquare", 1, {1, 2}, importReduce<Fold::SumSquare>});
  table.add({"", "ReduceLogSum", 1, {1, 2}, importReduce<Fold::LogSum>});
  table.add({"", "ReduceLogSumExp", 1, {1, 2}, importReduce<Fold::LogSumExp>});
  table.add({"", "ReduceProd", 1, {1, 2}, importReduce<Fold::Prod>});
  table.add({"", "ReduceMax", 1, {1, 2}, importReduce<Fold::Max>});
  table.add({"", "ReduceMin", 1, {1, 2}, importReduce<Fold::Min>});
  table.add({"", "GlobalAveragePool", 1, {1, 1}, importGlobalPool<Fold::Mean>});
  table.add({"", "GlobalMaxPool", 1, {1, 1}, importGlobalPool<Fold::Max>});
  table.add({"", "GlobalLpPool", 2, {1, 1}, importGlobalLpPool});
  table.add({"", "ArgMax", 1, {1, 1}, importArg<true>});
  table.add({"", "ArgMin", 1, {1, 1}, importArg<false>});
  table.add({"", "CumSum", 11, {2, 2}, importCumulative<true>});
  table.add({"", "CumProd", 26, {2, 2}, importCumulative<false>});
}
