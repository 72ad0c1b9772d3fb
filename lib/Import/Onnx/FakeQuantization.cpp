// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The forms of fake quantization. What rounds half to even onto whole levels
// becomes `tamis.fake_quant`; other roundings onto whole levels become small
// integers and a dequantize; what has no whole levels stays float arithmetic,
// with a remark that says why.
#include "FakeQuantization.h"
#include "tamis/IR/Tamis.h"
#include <cmath>

namespace mlir::tamis::onnx::fakequant {

/// Parameters above this count are not looked at.
constexpr int64_t kMaxParameters = int64_t(1) << 20;

//===-- parameters
//----------------------------------------------------------===//

FailureOr<Parameter> readParameter(Importer &im, const Node &node, size_t index,
                                   int64_t rank, const llvm::Twine &what) {
  if (!im.has(node, index))
    return im.error(node) << "expected " << what << " as input " << index;
  Parameter p;
  p.source = im.in(node, index);
  if (!isFloat(p.source.dtype))
    return im.error(node) << "expected " << what << " of floats, got "
                          << dtypeName(p.source.dtype);
  p.known = im.constantFloats(p.source, kMaxParameters);
  if (p.known)
    for (double value : *p.known)
      if (!std::isfinite(value))
        return im.error(node)
               << "expected " << what << " of finite numbers, got " << value;
  if (p.known && p.known->empty())
    return im.error(node) << "expected " << what << " of at least one number";
  RankedTensorType type = im.type(p.source);
  for (auto [i, size] : llvm::enumerate(type.getShape())) {
    if (size == 1)
      continue;
    p.wide |= p.axis.has_value();
    p.axis = rank - type.getRank() + static_cast<int64_t>(i);
  }
  p.wide |= p.axis && *p.axis < 0;
  return p;
}

bool areWhole(ArrayRef<double> values) {
  return llvm::all_of(values, [](double v) { return v == std::rint(v); });
}

/// A float32 constant with one value for each scale of `form`.
static Value vectorOf(Importer &im, const Form &form, ArrayRef<double> values) {
  auto type = tensorTypeOf(form.scale);
  SmallVector<float> floats;
  int64_t count = type.getRank() ? type.getDimSize(0) : 1;
  for (int64_t i = 0; i < count; ++i)
    floats.push_back(values[values.size() == 1 ? 0 : i]);
  return constantTensorOf(im, type.getShape(), floats);
}

std::optional<Form> knownForm(Importer &im, const Parameter &scale,
                              ArrayRef<double> scales, const Parameter &zero,
                              ArrayRef<double> zeros) {
  if (scale.wide || zero.wide ||
      (scale.axis && zero.axis && scale.axis != zero.axis))
    return std::nullopt;
  if (scales.size() != 1 && zeros.size() != 1 && scales.size() != zeros.size())
    return std::nullopt;
  Form form;
  form.axis = scale.axis ? scale.axis : zero.axis;
  int64_t count = std::max(scales.size(), zeros.size());
  if (count != 1 && !form.axis)
    return std::nullopt;
  SmallVector<float> floats;
  for (int64_t i = 0; i < count; ++i)
    floats.push_back(scales[scales.size() == 1 ? 0 : i]);
  form.scale = constantTensorOf(
      im, form.axis ? ArrayRef<int64_t>(count) : ArrayRef<int64_t>(), floats);
  form.zeros.assign(zeros.begin(), zeros.end());
  return form;
}

std::optional<Form> readForm(Importer &im, const Parameter &scale,
                             const Parameter &zero) {
  if (!zero.known)
    return std::nullopt;
  if (scale.known)
    return knownForm(im, scale, *scale.known, zero, *zero.known);
  if (scale.wide || (zero.axis && zero.axis != scale.axis))
    return std::nullopt;
  Form form;
  form.axis = scale.axis;
  Value value = im.tensor(scale.source);
  Sizes sizes;
  if (form.axis) {
    int64_t missing = *form.axis; // the only dimension that is not one
    for (auto [i, size] : llvm::enumerate(tensorTypeOf(value).getShape()))
      if (size != 1)
        missing = i;
    sizes.push_back(im.dim(value, missing));
    if (ShapedType::isDynamic(tensorTypeOf(value).getDimSize(missing)))
      return std::nullopt;
  }
  form.scale = convert(im, im.reshape(value, sizes), im.b.getF32Type());
  auto type = tensorTypeOf(form.scale);
  size_t count = type.getRank() ? type.getDimSize(0) : 1;
  if (zero.known->size() != 1 && zero.known->size() != count)
    return std::nullopt;
  form.zeros.assign(zero.known->begin(), zero.known->end());
  return form;
}

//===-- three ways to say it
//------------------------------------------------===//

/// The scales of a form along an axis are as many as the axis is long.
static LogicalResult checkForm(Importer &im, const Node &node, Value x,
                               const Form &form) {
  if (!form.axis)
    return success();
  return im.requireEqual(node, im.dim(form.scale, 0), im.dim(x, *form.axis),
                         "the number of scales");
}

void leftInFloat(Importer &im, const llvm::Twine &why) {
  emitRemark(im.b.getLoc()) << "fake quantization left in float: " << why;
}

LogicalResult emitFakeQuant(Importer &im, const Node &node, Value x,
                            const Form &form, int64_t low, int64_t high) {
  if (failed(checkForm(im, node, x, form)))
    return failure();
  for (double zero : form.zeros)
    if (zero < static_cast<double>(low) || zero > static_cast<double>(high))
      return im.error(node) << "expected a zero point in [" << low << ", "
                            << high << "], got " << zero;
  auto op =
      FakeQuantOp::create(im.b, x, form.scale, vectorOf(im, form, form.zeros),
                          low, high, form.axisAttr(im));
  op.setOriginAttr(im.b.getStringAttr(node.name));
  im.setDims(op.getResult(), im.dims(x));
  return im.out(node, 0, op.getResult(), im.in(node, 0).dtype);
}

LogicalResult emitLevels(Importer &im, const Node &node, Value x,
                         const Form &form, int64_t low, int64_t high,
                         Value levelScale, LevelFn level) {
  if (failed(checkForm(im, node, x, form)))
    return failure();
  bool isUnsigned = low >= 0 && (high > 127 && (high <= 255 || high > 32767));
  unsigned bits = low >= -128 && high <= (isUnsigned ? 255 : 127) ? 8 : 16;
  Type f32 = im.b.getF32Type();
  IntegerType type = im.b.getIntegerType(bits);
  int64_t rank = rankOf(x);
  SmallVector<AffineExpr> along;
  if (form.axis)
    along.push_back(im.b.getAffineDimExpr(*form.axis));
  AffineMap parameters = AffineMap::get(rank, 0, along, im.b.getContext());
  Value zeros = vectorOf(im, form, form.zeros);
  Value q = generic(
      im, {x, levelScale, zeros},
      {im.b.getMultiDimIdentityMap(rank), parameters, parameters}, im.dims(x),
      type, [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value value = level(b, castScalar(b, args[0], f32), args[1], args[2]);
        value =
            arith::MaxNumFOp::create(b, value, Importer::constant(b, f32, low));
        value = arith::MinNumFOp::create(b, value,
                                         Importer::constant(b, f32, high));
        Value whole = arith::FPToSIOp::create(b, b.getI32Type(), value);
        return arith::TruncIOp::create(b, type, whole);
      });
  Value zeroPoint;
  if (llvm::any_of(form.zeros, [](double zero) { return zero != 0; })) {
    auto shape = tensorTypeOf(form.scale);
    SmallVector<APInt> integers;
    int64_t count = shape.getRank() ? shape.getDimSize(0) : 1;
    for (int64_t i = 0; i < count; ++i)
      integers.push_back(APInt(
          bits,
          static_cast<int64_t>(form.zeros[form.zeros.size() == 1 ? 0 : i]),
          /*isSigned=*/true, /*implicitTrunc=*/true));
    zeroPoint =
        im.constantTensor(DenseElementsAttr::get(shape.clone(type), integers));
  }
  Value y = DequantizeOp::create(im.b, x.getType(), q, form.scale, zeroPoint,
                                 isUnsigned, form.axisAttr(im), IntegerAttr(),
                                 im.b.getStringAttr(node.name));
  im.setDims(y, im.dims(x));
  return im.out(node, 0, y, im.in(node, 0).dtype);
}

bool fitsLevels(const std::optional<Form> &form, int64_t low, int64_t high) {
  return form && areWhole(form->zeros) &&
         llvm::all_of(form->zeros,
                      [&](double zero) {
                        return zero >= static_cast<double>(low) &&
                               zero <= static_cast<double>(high);
                      }) &&
         ((low >= -32768 && high <= 32767) || (low >= 0 && high <= 65535));
}

LogicalResult emitFloat(Importer &im, const Node &node,
                        ArrayRef<ImportedValue> operands,
                        Importer::BodyFn body) {
  DType dtype = operands[0].dtype;
  Type element = im.elementType(dtype), f32 = im.b.getF32Type();
  Value y =
      im.elementwise(node, operands, element,
                     [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                       SmallVector<Value> floats;
                       for (Value arg : args)
                         floats.push_back(castScalar(b, arg, f32));
                       return castScalar(b, body(b, floats), element);
                     });
  return y ? im.out(node, 0, y, dtype) : failure();
}

Parameter makeZero(Importer &im) {
  Parameter p;
  p.known = SmallVector<double>{0};
  p.source.value = constantTensorOf(im, {}, {0.0f});
  p.source.dtype = DType::Float;
  return p;
}

LogicalResult requireFloatInput(Importer &im, const Node &node) {
  DType dtype = im.in(node, 0).dtype;
  if (!isFloat(dtype) || dtype == DType::Double)
    return im.error(node) << "expected a float32 or half-precision tensor, got "
                          << dtypeName(dtype);
  return success();
}

} // namespace mlir::tamis::onnx::fakequant
