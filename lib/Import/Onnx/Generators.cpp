// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tensors made of positions: Range, EyeLike, Trilu, and the random operators,
// which draw from a counter so that a run can be repeated.
#include "Structured.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include <cmath>
#include <numbers>

using namespace mlir;
using namespace mlir::tamis::onnx;

namespace {

LogicalResult importRange(Importer &im, const Node &node) {
  ImportedValue start = im.in(node, 0), limit = im.in(node, 1);
  ImportedValue delta = im.in(node, 2);
  DType dtype = start.dtype;
  Type element = im.elementType(dtype);
  if (!element || limit.dtype != dtype || delta.dtype != dtype)
    return im.error(node) << "expected three numbers of one type, got "
                          << dtypeName(dtype) << ", " << dtypeName(limit.dtype)
                          << " and " << dtypeName(delta.dtype);
  for (const ImportedValue &value : {start, limit, delta}) {
    RankedTensorType type = im.type(value);
    if (!type)
      return failure();
    if (!type.hasStaticShape() || type.getNumElements() != 1)
      return im.error(node) << "expected scalars";
  }
  if (im.constantScalar(delta) == 0.0)
    return im.error(node) << "delta is zero";
  OpFoldResult count;
  if (isInteger(dtype)) {
    SmallVector<OpFoldResult> ends;
    for (int i = 0; i < 3; ++i) {
      auto one = im.indices(node, i);
      if (failed(one))
        return failure();
      ends.push_back(one->front());
    }
    count = im.shape.sub(ends[1], ends[0]);
    auto step = ShapeMath::constant(ends[2]);
    if (step && *step < 0)
      count = im.shape.ceilDiv(im.shape.sub(im.shape.attr(0), count),
                               im.shape.attr(-*step));
    else if (step)
      count = im.shape.ceilDiv(count, ends[2]);
    else // ceil(a / b) = -floor(-a / b), whatever the sign of b
      count = im.shape.sub(
          im.shape.attr(0),
          im.shape.floorDiv(im.shape.sub(im.shape.attr(0), count), ends[2]));
    if (!step) {
      Value divisor = im.shape.value(ends[2]);
      im.check(compareIndex(im.b, arith::CmpIPredicate::ne, divisor,
                            indexConstant(im.b, 0)),
               TAMIS_FAULT_DIVISION);
    }
    count = im.shape.max(count, im.shape.attr(0));
  } else {
    auto a = im.constantScalar(start), e = im.constantScalar(limit),
         d = im.constantScalar(delta);
    if (a && e && d) {
      double n = std::ceil((*e - *a) / *d);
      if (!(n < 1e12))
        return im.error(node) << "the range has too many elements";
      count = im.shape.attr(std::max<int64_t>(static_cast<int64_t>(n), 0));
    } else {
      Type f64 = im.b.getF64Type();
      Value from = castScalar(im.b, im.scalar(start), f64);
      Value to = castScalar(im.b, im.scalar(limit), f64);
      Value by = castScalar(im.b, im.scalar(delta), f64);
      Value n = math::CeilOp::create(
          im.b, arith::DivFOp::create(
                    im.b, arith::SubFOp::create(im.b, to, from), by));
      // Also takes what is not a number to zero.
      Value positive = arith::CmpFOp::create(im.b, arith::CmpFPredicate::OGT, n,
                                             im.constant(f64, 0));
      n = arith::SelectOp::create(im.b, positive, n, im.constant(f64, 0));
      n = arith::MinimumFOp::create(im.b, n, im.constant(f64, 1e12));
      Value whole = arith::FPToSIOp::create(im.b, im.b.getI64Type(), n);
      count = im.shape.symbol(toIndex(im.b, whole, DType::Int64), 0, INT64_MAX);
    }
  }
  if (auto known = ShapeMath::constant(count))
    if (auto checked = checkedElementCount({*known}, dtypeBytes(dtype));
        !checked)
      return im.error(node) << llvm::toString(checked.takeError());
  Value first = im.scalar(start), step = im.scalar(delta);
  if (!first || !step)
    return failure();
  Value result = generic(
      im, {}, {}, count, element,
      [&](ImplicitLocOpBuilder &b, ValueRange) -> Value {
        Value i = linalg::IndexOp::create(b, 0);
        Type type = isa<FloatType>(element) ? computeType(element) : element;
        Value offset =
            mulElements(b, fromIndex(b, i, type), castScalar(b, step, type));
        return castScalar(b, addElements(b, castScalar(b, first, type), offset),
                          element);
      });
  return im.out(node, 0, result, dtype);
}

LogicalResult importEyeLike(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  Value x = im.tensor(input);
  if (!x || failed(im.requireRank(node, x, 2, "input")))
    return failure();
  auto dtype = static_cast<DType>(
      im.getInt(node, "dtype", static_cast<int64_t>(input.dtype)));
  Type element = im.elementType(dtype);
  if (!element)
    return im.error(node) << "unsupported element type " << dtypeName(dtype);
  int64_t diagonal = im.getInt(node, "k", 0);
  Value result = generic(
      im, {}, {}, im.dims(x), element,
      [&](ImplicitLocOpBuilder &b, ValueRange) -> Value {
        Value row = linalg::IndexOp::create(b, 0);
        Value column = linalg::IndexOp::create(b, 1);
        Value bit = compareIndex(b, arith::CmpIPredicate::eq, column,
                                 addIndex(b, row, indexConstant(b, diagonal)));
        return arith::SelectOp::create(b, bit,
                                       Importer::constant(b, element, 1),
                                       Importer::constant(b, element, 0));
      });
  return im.out(node, 0, result, dtype);
}

LogicalResult importTrilu(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  Value x = im.tensor(input);
  if (!x)
    return failure();
  int64_t rank = rankOf(x);
  if (rank < 2)
    return im.error(node) << "expected rank 2 or more, got " << rank;
  bool upper = im.getInt(node, "upper", 1) != 0;
  OpFoldResult diagonal = im.shape.attr(0);
  if (im.has(node, 1)) {
    auto k = im.indices(node, 1);
    if (failed(k))
      return failure();
    if (k->size() != 1)
      return im.error(node) << "k must be one number";
    diagonal = k->front();
  }
  Value shift = im.shape.value(diagonal);
  Value result = unary(
      im, x, elementOf(x),
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value row = linalg::IndexOp::create(b, rank - 2);
        Value column = linalg::IndexOp::create(b, rank - 1);
        Value bit = compareIndex(
            b, upper ? arith::CmpIPredicate::sge : arith::CmpIPredicate::sle,
            column, addIndex(b, row, shift));
        return arith::SelectOp::create(b, bit, args[0],
                                       Importer::constant(b, elementOf(x), 0));
      });
  return im.out(node, 0, result, input.dtype);
}

//===-- random ------------------------------------------------------------===//

/// A uniform number in [0, 1) of the element at this position of a generic
/// over `sizes`: the counter hashed by splitmix64.
Value uniform(ImplicitLocOpBuilder &b, ArrayRef<Value> sizes, int64_t seed,
              int64_t stream) {
  Type i64 = b.getI64Type();
  Value counter = indexConstant(b, 0);
  for (auto [i, size] : llvm::enumerate(sizes))
    counter =
        addIndex(b, mulIndex(b, counter, size), linalg::IndexOp::create(b, i));
  auto constant = [&](uint64_t value) {
    return Importer::constantInt(b, i64, static_cast<int64_t>(value));
  };
  Value z = arith::IndexCastOp::create(b, i64, counter);
  z = arith::AddIOp::create(
      b, arith::MulIOp::create(b, z, constant(2)),
      constant(static_cast<uint64_t>(seed) * 0x632be59bd9b4e019u + stream));
  z = arith::MulIOp::create(b, z, constant(0x9e3779b97f4a7c15u));
  auto mix = [&](unsigned shift, uint64_t factor) {
    z = arith::XOrIOp::create(b, z,
                              arith::ShRUIOp::create(b, z, constant(shift)));
    z = arith::MulIOp::create(b, z, constant(factor));
  };
  mix(30, 0xbf58476d1ce4e5b9u);
  mix(27, 0x94d049bb133111ebu);
  z = arith::XOrIOp::create(b, z, arith::ShRUIOp::create(b, z, constant(31)));
  z = arith::ShRUIOp::create(b, z, constant(40));
  Value whole = arith::UIToFPOp::create(b, b.getF32Type(), z);
  return arith::MulFOp::create(b, whole,
                               Importer::constant(b, b.getF32Type(), 0x1p-24));
}

int64_t seedOf(Importer &im, const Node &node) {
  return llvm::bit_cast<int32_t>(im.getFloat(node, "seed", 0));
}

enum class Draw { Uniform, Normal };

template <Draw kind, bool like>
LogicalResult importRandom(Importer &im, const Node &node) {
  Sizes sizes;
  auto dtype = DType::Float;
  if (like) {
    ImportedValue input = im.in(node, 0);
    Value x = im.tensor(input);
    if (!x)
      return failure();
    sizes = im.dims(x);
    if (isFloat(input.dtype))
      dtype = input.dtype;
  } else {
    for (int64_t size : im.getInts(node, "shape", {})) {
      if (size < 0)
        return im.error(node) << "size " << size << " is negative";
      sizes.push_back(im.shape.attr(size));
    }
  }
  dtype =
      static_cast<DType>(im.getInt(node, "dtype", static_cast<int64_t>(dtype)));
  Type element = im.elementType(dtype);
  if (!element || !isFloat(dtype))
    return im.error(node) << "unsupported element type " << dtypeName(dtype);
  SmallVector<int64_t> known;
  for (OpFoldResult size : sizes)
    known.push_back(ShapeMath::constant(size).value_or(1));
  if (auto checked = checkedElementCount(known, dtypeBytes(dtype)); !checked)
    return im.error(node) << llvm::toString(checked.takeError());
  float low = im.getFloat(node, kind == Draw::Uniform ? "low" : "mean", 0);
  float high = im.getFloat(node, kind == Draw::Uniform ? "high" : "scale", 1);
  int64_t seed = seedOf(im, node);
  SmallVector<Value> extents;
  for (OpFoldResult size : sizes)
    extents.push_back(im.shape.value(size));
  Value result = generic(
      im, {}, {}, sizes, element,
      [&](ImplicitLocOpBuilder &b, ValueRange) -> Value {
        Type f32 = b.getF32Type();
        auto c = [&](double value) {
          return Importer::constant(b, f32, value);
        };
        Value u = uniform(b, extents, seed, 0), y;
        if (kind == Draw::Uniform) {
          y = arith::MulFOp::create(b, u, c(high - low));
        } else {
          // Box and Muller; 1 - u is never zero.
          Value log = math::LogOp::create(b, arith::SubFOp::create(b, c(1), u));
          Value radius =
              math::SqrtOp::create(b, arith::MulFOp::create(b, log, c(-2)));
          Value angle = arith::MulFOp::create(b, uniform(b, extents, seed, 1),
                                              c(2 * std::numbers::pi));
          y = arith::MulFOp::create(b, radius, math::CosOp::create(b, angle));
          y = arith::MulFOp::create(b, y, c(high));
        }
        return castScalar(b, arith::AddFOp::create(b, y, c(low)), element);
      });
  return im.out(node, 0, result, dtype);
}

LogicalResult importBernoulli(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  Value x = im.tensor(input);
  if (!x)
    return failure();
  if (!isFloat(input.dtype))
    return im.error(node) << "expected floats, got " << dtypeName(input.dtype);
  auto dtype = static_cast<DType>(
      im.getInt(node, "dtype", static_cast<int64_t>(input.dtype)));
  Type element = im.elementType(dtype);
  if (!element)
    return im.error(node) << "unsupported element type " << dtypeName(dtype);
  int64_t seed = seedOf(im, node);
  SmallVector<Value> extents;
  for (OpFoldResult size : im.dims(x))
    extents.push_back(im.shape.value(size));
  Value result = unary(
      im, x, element, [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value bit = arith::CmpFOp::create(
            b, arith::CmpFPredicate::OLT, uniform(b, extents, seed, 0),
            castScalar(b, args[0], b.getF32Type()));
        return arith::SelectOp::create(b, bit,
                                       Importer::constant(b, element, 1),
                                       Importer::constant(b, element, 0));
      });
  return im.out(node, 0, result, dtype);
}

} // namespace

void mlir::tamis::onnx::registerGenerators(OpTable &table) {
  table.add({"", "Range", 11, {3, 3}, importRange});
  table.add({"", "EyeLike", 9, {1, 1}, importEyeLike});
  table.add({"", "Trilu", 14, {1, 2}, importTrilu});
  table.add(
      {"", "RandomUniform", 1, {0, 0}, importRandom<Draw::Uniform, false>});
  table.add({"", "RandomNormal", 1, {0, 0}, importRandom<Draw::Normal, false>});
  table.add(
      {"", "RandomUniformLike", 1, {1, 1}, importRandom<Draw::Uniform, true>});
  table.add(
      {"", "RandomNormalLike", 1, {1, 1}, importRandom<Draw::Normal, true>});
  table.add({"", "Bernoulli", 15, {1, 1}, importBernoulli});
}
