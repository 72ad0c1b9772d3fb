// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Contractions on quantized tensors: QLinearConv, QLinearMatMul, QGemm and the
// ones that ONNX Runtime's quantizer and optimizer write. The sum is exact in
// int32; the scale contract is multiplier().
#include "Arithmetic.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace mlir::tamis::onnx {

namespace {

/// The type of the quantized result: that of its zero point.
FailureOr<DType> resultType(Importer &im, const Node &node, size_t zeroInput,
                            DType fallback) {
  DType dtype =
      im.has(node, zeroInput) ? im.in(node, zeroInput).dtype : fallback;
  if (dtype == DType::Int8 || dtype == DType::UInt8 || dtype == DType::Int16 ||
      dtype == DType::UInt16)
    return dtype;
  return im.error(node) << "expected an 8- or 16-bit zero point, got "
                        << dtypeName(dtype);
}

LogicalResult importQLinearConv(Importer &im, const Node &node) {
  FailureOr<Factor> x = factor(im, node, im.in(node, 0), im.in(node, 2), 1);
  FailureOr<Factor> w = factor(im, node, im.in(node, 3), im.in(node, 5), 0);
  auto xScale = oneScalar(im, node, 1, "x_scale");
  auto wScale = scalarOrVector(im, node, im.in(node, 4), "w_scale");
  auto yScale = oneScalar(im, node, 6, "y_scale");
  auto yZero = oneScalar(im, node, 7, "y_zero_point");
  auto dtype = resultType(im, node, 7, im.in(node, 0).dtype);
  if (failed(x) || failed(w) || failed(xScale) || failed(wScale) ||
      failed(yScale) || failed(yZero) || failed(dtype))
    return failure();
  FailureOr<Value> acc = convolution(im, node, *x, *w);
  if (failed(acc))
    return failure();
  if (isa<TensorType>(wScale->getType()) &&
      failed(im.requireEqual(node, im.dim(*wScale, 0), im.dim(*acc, 1),
                             "the length of w_scale")))
    return failure();
  Value bias;
  if (im.has(node, 8)) {
    bias = im.tensor(node, 8);
    if (im.in(node, 8).dtype != DType::Int32)
      return im.error(node) << "expected a bias of type int32, got "
                            << dtypeName(im.in(node, 8).dtype);
    if (failed(im.requireRank(node, bias, 1, "the bias")) ||
        failed(im.requireEqual(node, im.dim(bias, 0), im.dim(*acc, 1),
                               "the length of the bias")))
      return failure();
  }
  Value scale = multiplier(im, *xScale, *wScale, *yScale);
  return im.out(node, 0, requantize(im, *acc, bias, scale, *yZero, 1, *dtype),
                *dtype);
}

/// A vector of per-row parameters as a column that broadcasts along the rows.
Value asColumn(Importer &im, Value vector) {
  Sizes sizes = im.dims(vector);
  sizes.push_back(im.shape.attr(1));
  return im.reshape(vector, sizes);
}

LogicalResult importQLinearMatMul(Importer &im, const Node &node) {
  ImportedValue a = im.in(node, 0), b = im.in(node, 3);
  int64_t aRank = rankOf(im.tensor(a)), bRank = rankOf(im.tensor(b));
  auto lhs =
      factor(im, node, a, im.in(node, 2), std::max<int64_t>(aRank - 2, 0));
  auto rhs =
      factor(im, node, b, im.in(node, 5), std::max<int64_t>(bRank - 1, 0));
  auto yScale = oneScalar(im, node, 6, "y_scale");
  auto yZero = oneScalar(im, node, 7, "y_zero_point");
  auto dtype = resultType(im, node, 7, a.dtype);
  if (failed(lhs) || failed(rhs) || failed(yScale) || failed(yZero) ||
      failed(dtype))
    return failure();
  FailureOr<Value> acc = matmul(im, node, *lhs, *rhs);
  if (failed(acc))
    return failure();
  auto isOne = [&](size_t index) {
    auto type = tensorTypeOf(im.tensor(node, index));
    return type.hasStaticShape() && type.getNumElements() == 1;
  };
  if (isOne(1) && (isOne(4) || rankOf(im.tensor(node, 4)) == 1)) {
    auto aScale = oneScalar(im, node, 1, "a_scale");
    auto bScale = scalarOrVector(im, node, im.in(node, 4), "b_scale");
    if (failed(aScale) || failed(bScale))
      return failure();
    if (isa<TensorType>(bScale->getType()) && rankOf(*acc) == 0)
      return im.error(node) << "expected one scale for a scalar result";
    if (isa<TensorType>(bScale->getType()) &&
        failed(im.requireEqual(node, im.dim(*bScale, 0),
                               im.dim(*acc, rankOf(*acc) - 1),
                               "the length of b_scale")))
      return failure();
    Value scale = multiplier(im, *aScale, *bScale, *yScale);
    return im.out(node, 0,
                  requantize(im, *acc, nullptr, scale, *yZero,
                             std::max<int64_t>(rankOf(*acc) - 1, 0), *dtype),
                  *dtype);
  }
  // Scales per row, or of full rank: a multiplier tensor of their shape.
  Type f32 = im.b.getF32Type();
  Value aScale = im.tensor(node, 1), bScale = im.tensor(node, 4);
  if (rankOf(aScale) == 1 && !isOne(1))
    aScale = asColumn(im, aScale);
  Value scale =
      im.elementwise(node, ArrayRef<Value>{aScale, bScale}, f32,
                     [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                       Value product =
                           arith::MulFOp::create(b, castScalar(b, args[0], f32),
                                                 castScalar(b, args[1], f32));
                       return arith::DivFOp::create(b, product, *yScale);
                     });
  if (!scale)
    return failure();
  Value scaled = im.elementwise(
      node, ArrayRef<Value>{*acc, scale}, f32,
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        return arith::MulFOp::create(b, castScalar(b, args[0], f32), args[1]);
      });
  if (!scaled)
    return failure();
  return im.out(node, 0, roundTo(im, scaled, *yZero, *dtype), *dtype);
}

LogicalResult importQGemm(Importer &im, const Node &node) {
  bool transA = im.getInt(node, "transA", 0) != 0;
  bool transB = im.getInt(node, "transB", 0) != 0;
  float alpha = im.getFloat(node, "alpha", 1);
  ImportedValue a = im.in(node, 0), b = im.in(node, 3);
  if (failed(im.requireRank(node, im.tensor(a), 2, "A")) ||
      failed(im.requireRank(node, im.tensor(b), 2, "B")))
    return failure();
  auto lhs = factor(im, node, a, im.in(node, 2), transA ? 1 : 0);
  auto rhs = factor(im, node, b, im.in(node, 5), transB ? 0 : 1);
  auto aScale = oneScalar(im, node, 1, "a_scale");
  auto bScale = scalarOrVector(im, node, im.in(node, 4), "b_scale");
  auto yScale = oneScalar(im, node, 7, "y_scale");
  auto yZero = oneScalar(im, node, 8, "y_zero_point");
  if (failed(lhs) || failed(rhs) || failed(aScale) || failed(bScale) ||
      failed(yScale) || failed(yZero))
    return failure();
  FailureOr<Value> acc = matmul(im, node, *lhs, *rhs, transA, transB);
  if (failed(acc))
    return failure();
  if (im.has(node, 6)) {
    Type i32 = im.b.getI32Type();
    if (im.in(node, 6).dtype != DType::Int32)
      return im.error(node) << "expected C of type int32, got "
                            << dtypeName(im.in(node, 6).dtype);
    *acc =
        im.elementwise(node, ArrayRef<Value>{*acc, im.tensor(node, 6)}, i32,
                       [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                         return arith::AddIOp::create(b, args[0], args[1]);
                       });
    if (!*acc)
      return failure();
  }
  Type f32 = im.b.getF32Type();
  Value first =
      im.b.createOrFold<arith::MulFOp>(im.constant(f32, alpha), *aScale);
  if (*yScale) {
    auto dtype = resultType(im, node, 8, a.dtype);
    if (failed(dtype))
      return failure();
    Value scale = multiplier(im, first, *bScale, *yScale);
    return im.out(node, 0,
                  requantize(im, *acc, nullptr, scale, *yZero, 1, *dtype),
                  *dtype);
  }
  Value scale = multiplier(im, first, *bScale, im.constant(f32, 1));
  return im.out(node, 0, scaleAccumulator(im, *acc, scale, 1), DType::Float);
}

/// acc * (aScale * bScale) + bias, the float result of an integer product.
FailureOr<Value> toFloat(Importer &im, const Node &node, Value acc,
                         Value aScale, Value bScale, size_t biasInput) {
  int64_t last = std::max<int64_t>(rankOf(acc) - 1, 0);
  if (isa<TensorType>(bScale.getType()) && rankOf(acc) == 0)
    return im.error(node) << "expected one scale for a scalar result";
  if (isa<TensorType>(bScale.getType()) &&
      failed(im.requireEqual(node, im.dim(bScale, 0), im.dim(acc, last),
                             "the length of b_scale")))
    return failure();
  Value one = im.constant(im.b.getF32Type(), 1);
  Value y =
      scaleAccumulator(im, acc, multiplier(im, aScale, bScale, one), last);
  if (!im.has(node, biasInput))
    return y;
  y = im.elementwise(node, ArrayRef<Value>{y, im.tensor(node, biasInput)},
                     im.b.getF32Type(),
                     [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                       return arith::AddFOp::create(b, args[0], args[1]);
                     });
  if (!y)
    return failure();
  return y;
}

LogicalResult importMatMulIntegerToFloat(Importer &im, const Node &node) {
  ImportedValue a = im.in(node, 0), b = im.in(node, 1);
  int64_t aRank = rankOf(im.tensor(a)), bRank = rankOf(im.tensor(b));
  auto lhs =
      factor(im, node, a, im.in(node, 4), std::max<int64_t>(aRank - 2, 0));
  auto rhs =
      factor(im, node, b, im.in(node, 5), std::max<int64_t>(bRank - 1, 0));
  auto aScale = oneScalar(im, node, 2, "a_scale");
  auto bScale = scalarOrVector(im, node, im.in(node, 3), "b_scale");
  if (failed(lhs) || failed(rhs) || failed(aScale) || failed(bScale))
    return failure();
  FailureOr<Value> acc = matmul(im, node, *lhs, *rhs);
  if (failed(acc))
    return failure();
  FailureOr<Value> y = toFloat(im, node, *acc, *aScale, *bScale, 6);
  if (failed(y))
    return failure();
  return im.out(node, 0, *y, DType::Float);
}

LogicalResult importDynamicQuantizeMatMul(Importer &im, const Node &node) {
  ImportedValue a = im.in(node, 0), b = im.in(node, 1);
  if (a.dtype != DType::Float)
    return im.error(node) << "expected a float32 A, got " << dtypeName(a.dtype);
  int64_t bRank = rankOf(im.tensor(b));
  auto q = dynamicQuantize(im, node, im.tensor(a));
  auto rhs =
      factor(im, node, b, im.in(node, 3), std::max<int64_t>(bRank - 1, 0));
  auto bScale = scalarOrVector(im, node, im.in(node, 2), "b_scale");
  if (failed(q) || failed(rhs) || failed(bScale))
    return failure();
  Value zero = tensor::ExtractOp::create(im.b, q->zeroPoint, ValueRange());
  Value scale = tensor::ExtractOp::create(im.b, q->scale, ValueRange());
  FailureOr<Value> acc = matmul(im, node, {q->value, zero, true}, *rhs);
  if (failed(acc))
    return failure();
  FailureOr<Value> y = toFloat(im, node, *acc, scale, *bScale, 4);
  if (failed(y))
    return failure();
  return im.out(node, 0, *y, DType::Float);
}

/// Rows of a table quantized in blocks, dequantized: only what is gathered.
LogicalResult importGatherBlockQuantized(Importer &im, const Node &node) {
  ImportedValue data = im.in(node, 0), indices = im.in(node, 1);
  Value table = im.tensor(data), scales = im.tensor(node, 2);
  int64_t rank = rankOf(table);
  int64_t bits = im.getInt(node, "bits", 4);
  int64_t block = im.getInt(node, "block_size", 128);
  auto gather = im.axis(node, im.getInt(node, "gather_axis", 0), rank);
  auto axis = im.axis(node, im.getInt(node, "quantize_axis", 1), rank);
  if (failed(gather) || failed(axis) ||
      failed(im.requireRank(node, scales, rank, "the scales")))
    return failure();
  if (!isInteger(data.dtype) || !isInteger(indices.dtype) ||
      !isFloat(im.in(node, 2).dtype) || (bits != 4 && bits != 8) || block < 1)
    return im.error(node) << "expected integer data and indices, float scales, "
                             "bits of 4 or 8 and a positive block_size";
  // Two elements in a byte of the last dimension.
  int64_t perByte = data.dtype == DType::UInt8 ? 8 / bits : 1;
  if (perByte > 1 && (*axis != rank - 1 || *gather == *axis))
    return im.error(node) << "expected packed data to be quantized along the "
                             "last axis and gathered along another one";
  Sizes whole = im.dims(table);
  whole[rank - 1] = im.shape.mul(whole[rank - 1], im.shape.attr(perByte));
  for (int64_t i = 0; i < rank; ++i)
    if (failed(im.requireEqual(
            node, im.dim(scales, i),
            i == *axis ? im.shape.ceilDiv(whole[i], im.shape.attr(block))
                       : whole[i],
            "a dimension of the scales")))
      return failure();
  Value zeros;
  if (im.has(node, 3)) {
    zeros = im.tensor(node, 3);
    if (failed(im.requireRank(node, zeros, rank, "the zero points")))
      return failure();
    for (int64_t i = 0; i < rank; ++i) {
      OpFoldResult size = im.dim(scales, i);
      if (i == rank - 1)
        size = im.shape.ceilDiv(size, im.shape.attr(perByte));
      if (failed(im.requireEqual(node, im.dim(zeros, i), size,
                                 "a dimension of the zero points")))
        return failure();
    }
  }
  Value index = im.tensor(indices);
  im.checkIndices(index, whole[*gather]);
  Sizes inner = im.dims(index), sizes = whole;
  sizes.erase(sizes.begin() + *gather);
  sizes.insert(sizes.begin() + *gather, inner.begin(), inner.end());
  int64_t count = inner.size(), outRank = sizes.size();
  SmallVector<AffineExpr> at;
  for (int64_t i = 0; i < count; ++i)
    at.push_back(im.b.getAffineDimExpr(*gather + i));
  Value limit = im.shape.value(whole[*gather]);
  Type f32 = im.b.getF32Type(), i32 = im.b.getI32Type();
  DType dtype = im.in(node, 2).dtype;
  Type element = im.elementType(dtype);
  bool isPlainByte = data.dtype == DType::UInt8;
  Value y = generic(
      im, index, AffineMap::get(outRank, 0, at, im.b.getContext()), sizes,
      element, [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        auto number = [&](int64_t value) -> Value {
          return arith::ConstantIndexOp::create(b, value);
        };
        SmallVector<Value> place;
        for (int64_t i = 0; i < outRank; ++i)
          if (i < *gather || i >= *gather + count)
            place.push_back(linalg::IndexOp::create(b, i));
        Value row = arith::IndexCastOp::create(b, b.getIndexType(), args[0]);
        place.insert(place.begin() + *gather,
                     Importer::clampIndex(b, row, limit));
        // The element at `where`, unpacked, as i32.
        auto read = [&](Value from, SmallVector<Value> where) -> Value {
          Value shift;
          if (perByte > 1) {
            Value last = where.back();
            shift = arith::MulIOp::create(
                b,
                arith::IndexCastOp::create(
                    b, i32, arith::RemUIOp::create(b, last, number(perByte))),
                Importer::constantInt(b, i32, bits));
            where.back() = arith::DivUIOp::create(b, last, number(perByte));
          }
          Value value = castScalar(b, tensor::ExtractOp::create(b, from, where),
                                   i32, isUnsigned(data.dtype));
          if (!shift)
            return value;
          return arith::AndIOp::create(
              b, arith::ShRUIOp::create(b, value, shift),
              Importer::constantInt(b, i32, (1 << bits) - 1));
        };
        Value q = read(table, place);
        place[*axis] = arith::DivUIOp::create(b, place[*axis], number(block));
        Value scale =
            castScalar(b, tensor::ExtractOp::create(b, scales, place), f32);
        int64_t middle = isPlainByte ? int64_t(1) << (bits - 1) : 0;
        Value zero =
            zeros ? read(zeros, place) : Importer::constantInt(b, i32, middle);
        Value level = arith::SubIOp::create(b, q, zero);
        Value real = arith::MulFOp::create(
            b, arith::SIToFPOp::create(b, f32, level), scale);
        return castScalar(b, real, element);
      });
  return im.out(node, 0, y, dtype);
}

} // namespace

void registerQuantizedOps(OpTable &table) {
  StringRef ms = "com.microsoft";
  table.add({"", "QLinearConv", 10, {8, 9}, importQLinearConv});
  table.add({ms, "QLinearConv", 1, {8, 9}, importQLinearConv});
  table.add({"", "QLinearMatMul", 10, {8, 8}, importQLinearMatMul});
  table.add({ms, "QGemm", 1, {6, 9}, importQGemm});
  table.add(
      {ms, "MatMulIntegerToFloat", 1, {4, 7}, importMatMulIntegerToFloat});
  table.add(
      {ms, "DynamicQuantizeMatMul", 1, {3, 5}, importDynamicQuantizeMatMul});
  table.add(
      {ms, "GatherBlockQuantized", 1, {3, 4}, importGatherBlockQuantized});
}

} // namespace mlir::tamis::onnx
