// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Normalizations and softmaxes, decomposed into row reductions and elementwise
// generics in float32 (float64 for float64); the plan stage fuses them.
#include "Arithmetic.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include <limits>

namespace mlir::tamis::onnx {

Value meanSquare(Importer &im, Value x, ArrayRef<int64_t> axes) {
  Type type = computeType(elementOf(x));
  Value total = im.reduce(
      x, axes, /*keepDims=*/true, im.constant(type, 0),
      [&](ImplicitLocOpBuilder &b, Value acc, Value element) -> Value {
        Value wide = castScalar(b, element, type);
        return arith::AddFOp::create(b, acc,
                                     arith::MulFOp::create(b, wide, wide));
      });
  Value n = count(im, x, axes, type);
  return unary(im, total, type, [&](ImplicitLocOpBuilder &b, ValueRange args) {
    return arith::DivFOp::create(b, args[0], n).getResult();
  });
}

Standardized standardize(Importer &im, const Node &node, Value x,
                         ArrayRef<int64_t> axes, double epsilon) {
  Type type = computeType(elementOf(x));
  Standardized s;
  s.mean = mean(im, x, axes);
  s.centred = im.elementwise(
      node, ArrayRef<Value>{x, s.mean}, type,
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        return arith::SubFOp::create(b, castScalar(b, args[0], type), args[1]);
      });
  s.variance = meanSquare(im, s.centred, axes);
  s.inverse =
      unary(im, s.variance, type,
            [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
              Value shifted = arith::AddFOp::create(
                  b, args[0], Importer::constant(b, type, epsilon));
              return arith::DivFOp::create(b, Importer::constant(b, type, 1),
                                           math::SqrtOp::create(b, shifted));
            });
  return s;
}

Value scaleAndShift(Importer &im, const Node &node, Value x, Value factor,
                    Value scale, Value shift, Type element) {
  SmallVector<Value> operands{x, factor};
  if (scale)
    operands.push_back(scale);
  if (shift)
    operands.push_back(shift);
  Type type = elementOf(factor);
  return im.elementwise(
      node, operands, element,
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value y =
            arith::MulFOp::create(b, castScalar(b, args[0], type), args[1]);
        if (scale)
          y = arith::MulFOp::create(b, y, castScalar(b, args[2], type));
        if (shift)
          y = arith::AddFOp::create(b, y, castScalar(b, args.back(), type));
        return castScalar(b, y, element);
      });
}

namespace {

/// `vector` (one entry per channel) so that it broadcasts along dimension 1 of
/// a tensor of `rank`.
Value perChannel(Importer &im, Value vector, int64_t rank) {
  Sizes sizes = im.dims(vector);
  sizes.append(rank - 2, im.shape.attr(1));
  return im.reshape(vector, sizes);
}

LogicalResult requireFloat(Importer &im, const Node &node,
                           const ImportedValue &x) {
  if (isFloat(x.dtype))
    return success();
  return im.error(node) << "expected a float tensor, got "
                        << dtypeName(x.dtype);
}

/// The input `index`, a vector with one element per channel of `x`.
FailureOr<Value> channelVector(Importer &im, const Node &node, size_t index,
                               OpFoldResult channels, StringRef name) {
  Value vector = im.tensor(node, index);
  if (!isa<FloatType>(elementOf(vector)))
    return im.error(node) << "expected " << name << " of a float type";
  if (failed(im.requireRank(node, vector, 1, name)) ||
      failed(im.requireEqual(node, im.dim(vector, 0), channels,
                             "the length of " + name)))
    return failure();
  return vector;
}

LogicalResult importBatchNormalization(Importer &im, const Node &node) {
  ImportedValue x = im.in(node, 0);
  Value input = im.tensor(x);
  int64_t rank = rankOf(input);
  double epsilon = im.getFloat(node, "epsilon", 1e-5f);
  double momentum = im.getFloat(node, "momentum", 0.9f);
  bool training = im.getInt(node, "training_mode", 0) != 0;
  if (failed(requireFloat(im, node, x)))
    return failure();
  if (im.getInt(node, "spatial", 1) != 1)
    return im.error(node) << "spatial = 0 is not supported";
  if (rank < 1)
    return im.error(node) << "expected an input of rank 1 or more";
  int64_t axis = rank > 1 ? 1 : 0;
  OpFoldResult channels = rank > 1 ? im.dim(input, 1) : im.shape.attr(1);
  SmallVector<Value> vectors;
  for (StringRef name : {"scale", "B", "input_mean", "input_var"}) {
    auto vector = channelVector(im, node, vectors.size() + 1, channels, name);
    if (failed(vector))
      return failure();
    vectors.push_back(*vector);
  }
  Type element = im.elementType(x.dtype), type = computeType(element);
  Value mean = vectors[2], variance = vectors[3];
  if (training) {
    SmallVector<int64_t> axes;
    for (int64_t i = 0; i < rank; ++i)
      if (i != axis)
        axes.push_back(i);
    Standardized s = standardize(im, node, input, axes, epsilon);
    Sizes flat{channels};
    Value now[2] = {im.reshape(s.mean, flat), im.reshape(s.variance, flat)};
    for (int i = 0; i < 2; ++i) {
      if (!im.wants(node, i + 1))
        continue;
      Type stored = elementOf(vectors[2 + i]);
      Value running = alongDim(
          im, now[i], {vectors[2 + i]}, 0, stored,
          [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
            Value kept =
                arith::MulFOp::create(b, castScalar(b, args[1], type),
                                      Importer::constant(b, type, momentum));
            Value added = arith::MulFOp::create(
                b, args[0], Importer::constant(b, type, 1 - momentum));
            return castScalar(b, arith::AddFOp::create(b, kept, added), stored);
          });
      if (failed(im.out(node, i + 1, running, im.in(node, 3 + i).dtype)))
        return failure();
    }
    mean = now[0];
    variance = now[1];
  }
  // One multiplication and one addition per element, as the vectors are known
  // long before: the plan stage folds them, into a convolution if it can.
  Value factor =
      alongDim(im, vectors[0], {variance}, 0, type,
               [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                 Value shifted = arith::AddFOp::create(
                     b, castScalar(b, args[1], type),
                     Importer::constant(b, type, epsilon));
                 return arith::DivFOp::create(b, castScalar(b, args[0], type),
                                              math::SqrtOp::create(b, shifted));
               });
  Value shift = alongDim(
      im, vectors[1], {mean, factor}, 0, type,
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value scaled =
            arith::MulFOp::create(b, castScalar(b, args[1], type), args[2]);
        return arith::SubFOp::create(b, castScalar(b, args[0], type), scaled);
      });
  auto body = [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
    Value y = arith::MulFOp::create(b, castScalar(b, args[0], type), args[1]);
    return castScalar(b, arith::AddFOp::create(b, y, args[2]), element);
  };
  Value y = rank > 1
                ? alongDim(im, input, {factor, shift}, axis, element, body)
                : im.elementwise(node, ArrayRef<Value>{input, factor, shift},
                                 element, body);
  if (!y)
    return failure();
  return im.out(node, 0, y, x.dtype);
}

LogicalResult importInstanceNormalization(Importer &im, const Node &node) {
  ImportedValue x = im.in(node, 0);
  Value input = im.tensor(x);
  int64_t rank = rankOf(input);
  if (failed(requireFloat(im, node, x)))
    return failure();
  if (rank < 3)
    return im.error(node) << "expected an input of rank 3 or more, got rank "
                          << rank;
  auto scale = channelVector(im, node, 1, im.dim(input, 1), "scale");
  auto shift = channelVector(im, node, 2, im.dim(input, 1), "B");
  if (failed(scale) || failed(shift))
    return failure();
  Standardized s = standardize(im, node, input, axesFrom(2, rank),
                               im.getFloat(node, "epsilon", 1e-5f));
  Value y = scaleAndShift(
      im, node, s.centred, s.inverse, perChannel(im, *scale, rank),
      perChannel(im, *shift, rank), im.elementType(x.dtype));
  if (!y)
    return failure();
  return im.out(node, 0, y, x.dtype);
}

LogicalResult importGroupNormalization(Importer &im, const Node &node) {
  ImportedValue x = im.in(node, 0);
  Value input = im.tensor(x);
  int64_t rank = rankOf(input);
  int64_t groups = im.getInt(node, "num_groups", 0);
  if (failed(requireFloat(im, node, x)))
    return failure();
  if (rank < 2)
    return im.error(node) << "expected an input of rank 2 or more, got rank "
                          << rank;
  auto channels = ShapeMath::constant(im.dim(input, 1));
  if (!channels || groups <= 0 || *channels % groups != 0)
    return im.error(node)
           << "expected a known number of channels divisible by num_groups "
           << groups;
  bool perGroup = im.opset(node) < 21; // scale and bias then
  OpFoldResult length = im.shape.attr(perGroup ? groups : *channels);
  auto scale = channelVector(im, node, 1, length, "scale");
  auto shift = channelVector(im, node, 2, length, "bias");
  if (failed(scale) || failed(shift))
    return failure();
  Sizes sizes = im.dims(input);
  Sizes split{sizes[0], im.shape.attr(groups),
              im.shape.attr(*channels / groups)};
  split.append(sizes.begin() + 2, sizes.end());
  Value grouped = im.reshape(input, split);
  int64_t splitRank = rank + 1;
  Standardized s = standardize(im, node, grouped, axesFrom(2, splitRank),
                               im.getFloat(node, "epsilon", 1e-5f));
  Sizes vector(splitRank - 1, im.shape.attr(1));
  vector[0] = im.shape.attr(groups);
  if (!perGroup)
    vector[1] = im.shape.attr(*channels / groups);
  Value y =
      scaleAndShift(im, node, s.centred, s.inverse, im.reshape(*scale, vector),
                    im.reshape(*shift, vector), im.elementType(x.dtype));
  if (!y)
    return failure();
  return im.out(node, 0, im.reshape(y, sizes), x.dtype);
}

LogicalResult importLayerNormalization(Importer &im, const Node &node) {
  ImportedValue x = im.in(node, 0);
  Value input = im.tensor(x);
  if (failed(requireFloat(im, node, x)))
    return failure();
  FailureOr<int64_t> axis =
      im.axis(node, im.getInt(node, "axis", -1), rankOf(input));
  if (failed(axis))
    return failure();
  Standardized s = standardize(im, node, input, axesFrom(*axis, rankOf(input)),
                               im.getFloat(node, "epsilon", 1e-5f));
  Value y = scaleAndShift(im, node, s.centred, s.inverse, im.tensor(node, 1),
                          im.has(node, 2) ? im.tensor(node, 2) : Value(),
                          im.elementType(x.dtype));
  if (!y || failed(im.out(node, 0, y, x.dtype)))
    return failure();
  DType stash = x.dtype == DType::Double ? DType::Double : DType::Float;
  if (im.wants(node, 1) && failed(im.out(node, 1, s.mean, stash)))
    return failure();
  return im.wants(node, 2) ? im.out(node, 2, s.inverse, stash) : success();
}

LogicalResult importRMSNormalization(Importer &im, const Node &node) {
  ImportedValue x = im.in(node, 0);
  Value input = im.tensor(x);
  if (failed(requireFloat(im, node, x)))
    return failure();
  FailureOr<int64_t> axis =
      im.axis(node, im.getInt(node, "axis", -1), rankOf(input));
  if (failed(axis))
    return failure();
  Value y =
      rmsNormalize(im, node, input, axesFrom(*axis, rankOf(input)),
                   im.getFloat(node, "epsilon", 1e-5f), im.tensor(node, 1));
  if (!y)
    return failure();
  return im.out(node, 0, y, x.dtype);
}

LogicalResult importMeanVarianceNormalization(Importer &im, const Node &node) {
  ImportedValue x = im.in(node, 0);
  Value input = im.tensor(x);
  if (failed(requireFloat(im, node, x)))
    return failure();
  auto axes = im.axes(node, im.getInts(node, "axes", {0, 2, 3}), rankOf(input));
  if (failed(axes))
    return failure();
  Standardized s = standardize(im, node, input, *axes, 0);
  Type type = elementOf(s.variance);
  Value inverse =
      unary(im, s.variance, type,
            [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
              Value deviation =
                  arith::AddFOp::create(b, math::SqrtOp::create(b, args[0]),
                                        Importer::constant(b, type, 1e-9));
              return arith::DivFOp::create(b, Importer::constant(b, type, 1),
                                           deviation);
            });
  Value y = scaleAndShift(im, node, s.centred, inverse, nullptr, nullptr,
                          im.elementType(x.dtype));
  if (!y)
    return failure();
  return im.out(node, 0, y, x.dtype);
}

LogicalResult importLpNormalization(Importer &im, const Node &node) {
  ImportedValue x = im.in(node, 0);
  Value input = im.tensor(x);
  int64_t p = im.getInt(node, "p", 2);
  if (failed(requireFloat(im, node, x)))
    return failure();
  if (p != 1 && p != 2)
    return im.error(node) << "expected p of 1 or 2, got " << p;
  FailureOr<int64_t> axis =
      im.axis(node, im.getInt(node, "axis", -1), rankOf(input));
  if (failed(axis))
    return failure();
  Type element = im.elementType(x.dtype), type = computeType(element);
  Value total =
      im.reduce(input, {*axis}, /*keepDims=*/true, im.constant(type, 0),
                [&](ImplicitLocOpBuilder &b, Value acc, Value value) -> Value {
                  Value wide = castScalar(b, value, type);
                  Value term =
                      p == 1 ? math::AbsFOp::create(b, wide).getResult()
                             : arith::MulFOp::create(b, wide, wide).getResult();
                  return arith::AddFOp::create(b, acc, term);
                });
  Value y = im.elementwise(
      node, ArrayRef<Value>{input, total}, element,
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value norm =
            p == 1 ? args[1] : math::SqrtOp::create(b, args[1]).getResult();
        Value zero = Importer::constant(b, type, 0);
        Value isZero =
            arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, norm, zero);
        Value wide = castScalar(b, args[0], type);
        Value r = arith::SelectOp::create(b, isZero, zero,
                                          arith::DivFOp::create(b, wide, norm));
        return castScalar(b, r, element);
      });
  if (!y)
    return failure();
  return im.out(node, 0, y, x.dtype);
}

LogicalResult importLRN(Importer &im, const Node &node) {
  ImportedValue x = im.in(node, 0);
  Value input = im.tensor(x);
  int64_t rank = rankOf(input), size = im.getInt(node, "size", 0);
  double alpha = im.getFloat(node, "alpha", 1e-4f);
  double beta = im.getFloat(node, "beta", 0.75f);
  double bias = im.getFloat(node, "bias", 1);
  if (failed(requireFloat(im, node, x)))
    return failure();
  if (rank < 2 || size <= 0 || size > (1 << 20))
    return im.error(node) << "expected an input of rank 2 or more and a "
                             "positive size, got rank "
                          << rank << " and size " << size;
  ImplicitLocOpBuilder &b = im.b;
  Type element = im.elementType(x.dtype), type = computeType(element);
  Value square =
      unary(im, input, type, [&](ImplicitLocOpBuilder &b, ValueRange args) {
        Value wide = castScalar(b, args[0], type);
        return arith::MulFOp::create(b, wide, wide).getResult();
      });
  Sizes low(rank, im.shape.attr(0)), high(rank, im.shape.attr(0));
  low[1] = im.shape.attr((size - 1) / 2);
  high[1] = im.shape.attr(size / 2);
  Value padded = im.pad(square, low, high, im.constant(type, 0));
  // Window sum over channels; the empty operand gives the window its size.
  SmallVector<AffineExpr> read;
  for (int64_t i = 0; i < rank; ++i)
    read.push_back(b.getAffineDimExpr(i));
  read[1] = read[1] + b.getAffineDimExpr(rank);
  MLIRContext *context = b.getContext();
  Sizes sizes = im.dims(input);
  Value init = im.fill(sizes, im.constant(type, 0));
  Value window = im.empty({im.shape.attr(size)}, type);
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  iterators.push_back(utils::IteratorType::reduction);
  SmallVector<AffineMap> maps = {
      AffineMap::get(rank + 1, 0, read, context),
      AffineMap::get(rank + 1, 0, {b.getAffineDimExpr(rank)}, context),
      AffineMap::getMultiDimIdentityMap(rank + 1, context).dropResult(rank)};
  auto summed = linalg::GenericOp::create(
      b, init.getType(), ValueRange{padded, window}, init, maps, iterators,
      [&](OpBuilder &nested, Location loc, ValueRange args) {
        linalg::YieldOp::create(
            nested, loc,
            arith::AddFOp::create(nested, loc, args[2], args[0]).getResult());
      });
  im.setDims(summed.getResult(0), sizes);
  Value y = im.elementwise(
      node, ArrayRef<Value>{input, summed.getResult(0)}, element,
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value base = arith::MulFOp::create(
            b, args[1], Importer::constant(b, type, alpha / size));
        base =
            arith::AddFOp::create(b, base, Importer::constant(b, type, bias));
        Value power =
            math::PowFOp::create(b, base, Importer::constant(b, type, beta));
        return castScalar(
            b, arith::DivFOp::create(b, castScalar(b, args[0], type), power),
            element);
      });
  if (!y)
    return failure();
  return im.out(node, 0, y, x.dtype);
}

} // namespace

Value rmsNormalize(Importer &im, const Node &node, Value x,
                   ArrayRef<int64_t> axes, double epsilon, Value scale) {
  Type type = computeType(elementOf(x));
  Value square = meanSquare(im, x, axes);
  Value inverse = unary(
      im, square, type, [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value shifted = arith::AddFOp::create(
            b, args[0], Importer::constant(b, type, epsilon));
        return arith::DivFOp::create(b, Importer::constant(b, type, 1),
                                     math::SqrtOp::create(b, shifted));
      });
  return scaleAndShift(im, node, x, inverse, scale, nullptr, elementOf(x));
}

void registerNormalization(OpTable &table) {
  table.add({"", "BatchNormalization", 7, {5, 5}, importBatchNormalization});
  table.add(
      {"", "InstanceNormalization", 6, {3, 3}, importInstanceNormalization});
  table.add({"", "GroupNormalization", 18, {3, 3}, importGroupNormalization});
  table.add({"", "LayerNormalization", 17, {2, 3}, importLayerNormalization});
  // Exported by older tools into the default domain before opset 17.
  table.add({"", "LayerNormalization", 1, {2, 3}, importLayerNormalization});
  table.add({"", "RMSNormalization", 23, {2, 2}, importRMSNormalization});
  table.add({"",
             "MeanVarianceNormalization",
             9,
             {1, 1},
             importMeanVarianceNormalization});
  table.add({"", "LpNormalization", 1, {1, 1}, importLpNormalization});
  table.add({"", "LRN", 1, {1, 1}, importLRN});
}

} // namespace mlir::tamis::onnx
