// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear, and the arithmetic
// that all quantized operators share. Rounding is QuantMath's.
#include "Arithmetic.h"
#include "Minifloat.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Support/QuantMath.h"
#include <cmath>

namespace mlir::tamis::onnx {

LogicalResult requireScale(Importer &im, const Node &node,
                           const ImportedValue &value, const llvm::Twine &what,
                           bool multiplied) {
  constexpr int64_t limit = int64_t(1) << 24;
  auto known = im.constantFloats(value, limit);
  if (!known)
    return success();
  bool zeroAllowed = multiplied && known->size() > 1;
  // A block's largest value takes the lowest integer, whichever sign it has.
  bool signAllowed = multiplied && im.getInt(node, "block_size", 0) > 0;
  for (double scale : *known)
    if (!std::isfinite(scale) || (scale < 0 && !signAllowed) ||
        (scale == 0 && !zeroAllowed))
      return im.error(node) << "expected " << what
                            << " to be positive and finite, got " << scale;
  return success();
}

FailureOr<Value> scalarOrVector(Importer &im, const Node &node,
                                const ImportedValue &value,
                                const llvm::Twine &what) {
  Value whole = im.tensor(value);
  auto type = tensorTypeOf(whole);
  Type f32 = im.b.getF32Type();
  bool floats = isa<FloatType>(type.getElementType());
  if (floats && failed(requireScale(im, node, value, what, true)))
    return failure();
  if (type.hasStaticShape() && type.getNumElements() == 1) {
    Value one = im.scalar(value);
    return floats ? castScalar(im.b, one, f32) : one;
  }
  if (type.getRank() != 1)
    return im.error(node) << "expected " << what << " of rank 0 or 1, got rank "
                          << type.getRank();
  return floats ? convert(im, whole, f32) : whole;
}

FailureOr<Value> oneScalar(Importer &im, const Node &node, size_t index,
                           const llvm::Twine &what) {
  if (!im.has(node, index))
    return Value();
  FailureOr<Value> value = scalarOrVector(im, node, im.in(node, index), what);
  if (succeeded(value) && isa<TensorType>(value->getType()))
    return im.error(node) << "expected " << what << " of one element, got "
                          << value->getType();
  return value;
}

Value multiplier(Importer &im, Value a, Value b, Value y) {
  Type f32 = im.b.getF32Type();
  SmallVector<Value> vectors;
  Value operands[3] = {a, b, y};
  for (Value v : operands)
    if (isa<TensorType>(v.getType()))
      vectors.push_back(v);
  if (vectors.empty())
    return im.b.createOrFold<arith::DivFOp>(
        im.b.createOrFold<arith::MulFOp>(a, b), y);
  return alongDim(
      im, vectors.front(), ArrayRef<Value>(vectors).drop_front(), 0, f32,
      [&](ImplicitLocOpBuilder &inner, ValueRange args) {
        unsigned next = 0;
        Value v[3];
        for (int i = 0; i < 3; ++i)
          v[i] = isa<TensorType>(operands[i].getType()) ? args[next++]
                                                        : operands[i];
        return arith::DivFOp::create(
                   inner, arith::MulFOp::create(inner, v[0], v[1]), v[2])
            .getResult();
      });
}

Value requantize(Importer &im, Value acc, Value bias, Value multiplier,
                 Value zero, int64_t dim, DType dtype) {
  auto type = cast<IntegerType>(im.elementType(dtype));
  SmallVector<Value> vectors;
  if (bias)
    vectors.push_back(bias);
  bool vector = isa<TensorType>(multiplier.getType());
  if (vector)
    vectors.push_back(multiplier);
  return alongDim(im, acc, vectors, dim, type,
                  [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                    Value sum = args[0];
                    if (bias)
                      sum = arith::AddIOp::create(b, sum, args[1]);
                    Value real =
                        arith::SIToFPOp::create(b, b.getF32Type(), sum);
                    real = arith::MulFOp::create(
                        b, real, vector ? args.back() : multiplier);
                    return buildQuantize(b, b.getLoc(), real, zero, type,
                                         isUnsigned(dtype), type.getWidth());
                  });
}

Value dequantizeScalar(ImplicitLocOpBuilder &b, Value q, Value scale,
                       Value zero, bool isUnsigned) {
  Type i32 = b.getI32Type();
  Value wide = castScalar(b, q, i32, isUnsigned);
  if (zero)
    wide = arith::SubIOp::create(b, wide, castScalar(b, zero, i32, isUnsigned));
  return arith::MulFOp::create(
      b, arith::SIToFPOp::create(b, b.getF32Type(), wide), scale);
}

FailureOr<DynamicQuantized> dynamicQuantize(Importer &im, const Node &node,
                                            Value x) {
  Type f32 = im.b.getF32Type(), i8 = im.b.getI8Type();
  SmallVector<int64_t> axes = axesFrom(0, rankOf(x));
  // Zero belongs to the range, so it is where both folds start.
  Value low =
      im.reduce(x, axes, /*keepDims=*/false, im.constant(f32, 0),
                [](ImplicitLocOpBuilder &b, Value acc, Value element) -> Value {
                  return arith::MinNumFOp::create(b, acc, element);
                });
  Value high =
      im.reduce(x, axes, /*keepDims=*/false, im.constant(f32, 0),
                [](ImplicitLocOpBuilder &b, Value acc, Value element) -> Value {
                  return arith::MaxNumFOp::create(b, acc, element);
                });
  DynamicQuantized q;
  q.scale = im.elementwise(
      node, ArrayRef<Value>{low, high}, f32,
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value width = arith::SubFOp::create(b, args[1], args[0]);
        Value scale =
            arith::DivFOp::create(b, width, Importer::constant(b, f32, 255));
        Value flat = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ,
                                           args[1], args[0]);
        return arith::SelectOp::create(b, flat, Importer::constant(b, f32, 1),
                                       scale);
      });
  q.zeroPoint = im.elementwise(
      node, ArrayRef<Value>{low, q.scale}, i8,
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value ratio = arith::DivFOp::create(b, args[0], args[1]);
        Value zero =
            arith::SubFOp::create(b, Importer::constant(b, f32, 0), ratio);
        return buildQuantize(b, b.getLoc(), zero, nullptr, b.getIntegerType(8),
                             /*isUnsigned=*/true, 8);
      });
  if (!q.scale || !q.zeroPoint)
    return failure();
  auto type = tensorTypeOf(x).clone(i8);
  q.value =
      QuantizeOp::create(im.b, type, x, q.scale, q.zeroPoint,
                         /*is_unsigned=*/true, IntegerAttr(), IntegerAttr(),
                         IntegerAttr(), im.b.getStringAttr(node.name));
  im.setDims(q.value, im.dims(x));
  return q;
}

namespace {

/// Scale and zero point of one of the two operators in the form the tamis ops
/// take.
struct Parameters {
  Value scale, zero;
  IntegerAttr axis, blockSize;
};

FailureOr<Parameters> readParameters(Importer &im, const Node &node, Value x) {
  Parameters p;
  p.scale = im.tensor(node, 1);
  bool power = im.in(node, 1).dtype == DType::Float8E8M0;
  if (power)
    p.scale = unary(im, p.scale, im.b.getF32Type(),
                    [](ImplicitLocOpBuilder &b, ValueRange args) {
                      return decodeMinifloat(b, args[0], DType::Float8E8M0);
                    });
  if (im.has(node, 2))
    p.zero = im.tensor(node, 2);
  if (!isa<FloatType>(elementOf(p.scale)))
    return im.error(node) << "expected a float scale, got "
                          << dtypeName(im.in(node, 1).dtype);
  if (!power && failed(requireScale(im, node, im.in(node, 1), "the scale",
                                    node.opType == "DequantizeLinear")))
    return failure();
  int64_t block = im.getInt(node, "block_size", 0);
  int64_t rank = rankOf(p.scale);
  if (block < 0)
    return im.error(node) << "expected a non-negative block_size, got "
                          << block;
  auto type = tensorTypeOf(p.scale);
  bool single = type.hasStaticShape() && type.getNumElements() == 1;
  if (p.zero && !single) {
    if (failed(im.requireRank(node, p.zero, rank, "the zero point")))
      return failure();
    for (int64_t i = 0; i < rank; ++i)
      if (failed(im.requireEqual(node, im.dim(p.zero, i), im.dim(p.scale, i),
                                 "a dimension of the zero point")))
        return failure();
  }
  if (single && block == 0) {
    p.scale = im.reshape(p.scale, {});
    if (p.zero) {
      auto zeroType = tensorTypeOf(p.zero);
      if (!zeroType.hasStaticShape() || zeroType.getNumElements() != 1)
        return im.error(node)
               << "expected a zero point of one element, got " << zeroType;
      p.zero = im.reshape(p.zero, {});
    }
    return p;
  }
  FailureOr<int64_t> axis =
      im.axis(node, im.getInt(node, "axis", 1), rankOf(x));
  if (failed(axis))
    return failure();
  p.axis = im.b.getI64IntegerAttr(*axis);
  if (block > 0) {
    if (failed(im.requireRank(node, p.scale, rankOf(x), "a blocked scale")))
      return failure();
    for (int64_t i = 0; i < rank; ++i) {
      OpFoldResult size = im.dim(x, i);
      if (i == *axis)
        size = im.shape.ceilDiv(size, im.shape.attr(block));
      if (failed(im.requireEqual(node, im.dim(p.scale, i), size,
                                 "a dimension of the blocked scale")))
        return failure();
    }
    p.blockSize = im.b.getI64IntegerAttr(block);
    return p;
  }
  if (failed(im.requireRank(node, p.scale, 1, "the scale")) ||
      failed(im.requireEqual(node, im.dim(p.scale, 0), im.dim(x, *axis),
                             "the number of scales")))
    return failure();
  return p;
}

/// 4 and 2 for the narrow types, 0 for the others.
int64_t narrowBits(DType dtype) {
  switch (dtype) {
  case DType::Int4:
  case DType::UInt4:
    return 4;
  case DType::Int2:
  case DType::UInt2:
    return 2;
  default:
    return 0;
  }
}

bool isQuantized(DType dtype) {
  switch (dtype) {
  case DType::Int2:
  case DType::UInt2:
  case DType::Int4:
  case DType::UInt4:
  case DType::Int8:
  case DType::UInt8:
  case DType::Int16:
  case DType::UInt16:
    return true;
  default:
    return false;
  }
}

/// body(element, scale as float32) over `x`, the scale broadcast per tensor,
/// axis or block: what small floats, which have no zero point, are quantized
/// with.
FailureOr<Value> scaleElements(
    Importer &im, const Node &node, Value x, const Parameters &p, Type element,
    llvm::function_ref<Value(ImplicitLocOpBuilder &, Value, Value)> body) {
  int64_t rank = rankOf(x);
  SmallVector<AffineExpr> exprs;
  if (p.blockSize) {
    for (int64_t i = 0; i < rank; ++i)
      exprs.push_back(im.b.getAffineDimExpr(i));
    AffineExpr &blocks = exprs[p.axis.getInt()];
    blocks = blocks.floorDiv(p.blockSize.getInt());
  } else if (p.axis) {
    exprs.push_back(im.b.getAffineDimExpr(p.axis.getInt()));
  }
  AffineMap maps[] = {im.b.getMultiDimIdentityMap(rank),
                      AffineMap::get(rank, 0, exprs, im.b.getContext())};
  return generic(im, {x, p.scale}, maps, im.dims(x), element,
                 [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                   return body(b, args[0],
                               castScalar(b, args[1], b.getF32Type()));
                 });
}

LogicalResult importQuantizeLinear(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  Value x = im.tensor(input);
  DType wanted = static_cast<DType>(im.getInt(node, "output_dtype", 0));
  DType dtype = im.has(node, 2)              ? im.in(node, 2).dtype
                : wanted != DType::Undefined ? wanted
                                             : DType::UInt8;
  if (wanted != DType::Undefined && wanted != dtype)
    return im.error(node) << "output_dtype is " << dtypeName(wanted)
                          << ", the zero point " << dtypeName(dtype);
  if (!isQuantized(dtype) && !isMinifloat(dtype))
    return im.error(node) << "quantization to " << dtypeName(dtype)
                          << " is not supported";
  if (input.dtype == DType::Int32)
    x = convert(im, x, im.b.getF32Type());
  else if (!isFloat(input.dtype))
    return im.error(node) << "expected a float or int32 tensor, got "
                          << dtypeName(input.dtype);
  FailureOr<Parameters> p = readParameters(im, node, x);
  if (failed(p))
    return failure();
  if (isMinifloat(dtype)) {
    bool saturate = im.getInt(node, "saturate", 1) != 0;
    auto y =
        scaleElements(im, node, x, *p, im.elementType(dtype),
                      [&](ImplicitLocOpBuilder &b, Value value, Value scale) {
                        Value scaled = arith::DivFOp::create(
                            b, castScalar(b, value, b.getF32Type()), scale);
                        return encodeMinifloat(b, scaled, dtype, saturate);
                      });
    return failed(y) ? failure() : im.out(node, 0, *y, dtype);
  }
  int64_t bits = narrowBits(dtype);
  Value y = QuantizeOp::create(
      im.b, tensorTypeOf(x).clone(im.elementType(dtype)), x, p->scale, p->zero,
      isUnsigned(dtype), p->axis, p->blockSize,
      bits ? im.b.getI64IntegerAttr(bits) : IntegerAttr(),
      im.b.getStringAttr(node.name));
  im.setDims(y, im.dims(x));
  return im.out(node, 0, y, dtype);
}

LogicalResult importDequantizeLinear(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  Value x = im.tensor(input);
  if (!isQuantized(input.dtype) && !isMinifloat(input.dtype) &&
      input.dtype != DType::Int32)
    return im.error(node) << "dequantization of " << dtypeName(input.dtype)
                          << " is not supported";
  if (im.has(node, 2) && im.in(node, 2).dtype != input.dtype)
    return im.error(node) << "expected a zero point of type "
                          << dtypeName(input.dtype) << ", got "
                          << dtypeName(im.in(node, 2).dtype);
  FailureOr<Parameters> p = readParameters(im, node, x);
  if (failed(p))
    return failure();
  DType dtype = static_cast<DType>(
      im.getInt(node, "output_dtype", static_cast<int64_t>(DType::Undefined)));
  if (dtype == DType::Undefined)
    dtype = im.in(node, 1).dtype;
  if (dtype == DType::Float8E8M0)
    dtype = DType::Float;
  if (!isFloat(dtype))
    return im.error(node) << "expected a float output_dtype, got "
                          << dtypeName(dtype);
  Type element = im.elementType(dtype);
  if (isMinifloat(input.dtype)) {
    auto y = scaleElements(
        im, node, x, *p, element,
        [&](ImplicitLocOpBuilder &b, Value code, Value scale) {
          Value real = decodeMinifloat(b, code, input.dtype);
          return castScalar(b, arith::MulFOp::create(b, real, scale), element);
        });
    return failed(y) ? failure() : im.out(node, 0, *y, dtype);
  }
  Value y =
      DequantizeOp::create(im.b, tensorTypeOf(x).clone(element), x, p->scale,
                           p->zero, isUnsigned(input.dtype), p->axis,
                           p->blockSize, im.b.getStringAttr(node.name));
  im.setDims(y, im.dims(x));
  return im.out(node, 0, y, dtype);
}

LogicalResult importDynamicQuantizeLinear(Importer &im, const Node &node) {
  ImportedValue x = im.in(node, 0);
  if (x.dtype != DType::Float)
    return im.error(node) << "expected a float32 tensor, got "
                          << dtypeName(x.dtype);
  FailureOr<DynamicQuantized> q = dynamicQuantize(im, node, im.tensor(x));
  if (failed(q) || failed(im.out(node, 0, q->value, DType::UInt8)) ||
      (im.wants(node, 1) && failed(im.out(node, 1, q->scale, DType::Float))))
    return failure();
  return im.wants(node, 2) ? im.out(node, 2, q->zeroPoint, DType::UInt8)
                           : success();
}

} // namespace

void registerQuantization(OpTable &table) {
  for (StringRef domain : {"", "com.microsoft"}) {
    int64_t since = domain.empty() ? 10 : 1;
    table.add({domain, "QuantizeLinear", since, {2, 3}, importQuantizeLinear});
    table.add(
        {domain, "DequantizeLinear", since, {2, 3}, importDequantizeLinear});
  }
  table.add(
      {"", "DynamicQuantizeLinear", 11, {1, 1}, importDynamicQuantizeLinear});
}

} // namespace mlir::tamis::onnx
