// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Arithmetic, comparison, logic and casts, element by element. Float16 and
// bfloat16 are computed in float32 and rounded once; integer operations are
// total (a zero divisor gives zero, shifts beyond the width give zero).
#include "Importer.h"
#include "Minifloat.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/bit.h"
#include <cmath>

using namespace mlir;
using namespace mlir::tamis::onnx;

using Builder_ = ImplicitLocOpBuilder;

//===-- casts -------------------------------------------------------------===//

/// Bits of an element in ONNX's memory.
static unsigned integerBits(DType dtype) {
  switch (dtype) {
  case DType::Bool: return 1;
  case DType::Int2:
  case DType::UInt2: return 2;
  case DType::Int4:
  case DType::UInt4:
  case DType::Float4E2M1: return 4;
  default: return dtypeBytes(dtype) * 8;
  }
}

static Value castFloatToInt(Builder_ &b, Value value, Type to, DType dtype) {
  if (cast<FloatType>(value.getType()).getWidth() < 32)
    value = arith::ExtFOp::create(b, b.getF32Type(), value);
  Type from = value.getType();
  unsigned bits = integerBits(dtype);
  bool isUns = isUnsigned(dtype);
  APInt least = isUns ? APInt::getZero(bits) : APInt::getSignedMinValue(bits);
  APInt most = isUns ? APInt::getMaxValue(bits) : APInt::getSignedMaxValue(bits);
  // All of them powers of two, so exact in every float type.
  double above = std::ldexp(1.0, isUns ? bits : bits - 1);
  double below = isUns ? -1.0 : -std::ldexp(1.0, bits - 1);
  unsigned width = to.getIntOrFloatBitWidth();
  auto limit = [&](const APInt &bound) -> Value {
    APInt wide = isUns ? bound.zext(width) : bound.sext(width);
    return arith::ConstantOp::create(b, IntegerAttr::get(to, wide));
  };
  auto compare = [&](arith::CmpFPredicate predicate, double bound) -> Value {
    return arith::CmpFOp::create(b, predicate, value,
                                 Importer::constant(b, from, bound));
  };
  using P = arith::CmpFPredicate;
  Value tooHigh = compare(P::OGE, above);
  Value tooLow = compare(isUns ? P::OLE : P::OLT, below);
  Value isNan = arith::CmpFOp::create(b, P::UNO, value, value);
  Value outside = arith::OrIOp::create(
      b, isNan, arith::OrIOp::create(b, tooHigh, tooLow));
  Value safe = arith::SelectOp::create(
      b, outside, Importer::constant(b, from, 0), value);
  Value result =
      isUns ? arith::FPToUIOp::create(b, to, safe).getResult()
            : arith::FPToSIOp::create(b, to, safe).getResult();
  result = arith::SelectOp::create(b, tooHigh, limit(most), result);
  if (!isUns)
    result = arith::SelectOp::create(b, tooLow, limit(least), result);
  return result;
}

/// Sign or zero extension of 4- and 2-bit values kept in 8 bits.
static Value wrapNarrow(Builder_ &b, Value value, DType dtype) {
  unsigned bits = integerBits(dtype);
  if (bits >= 8 || dtype == DType::Bool)
    return value;
  Value shift = Importer::constantInt(b, value.getType(), 8 - bits);
  Value high = arith::ShLIOp::create(b, value, shift);
  if (isUnsigned(dtype) || !isInteger(dtype))
    return arith::ShRUIOp::create(b, high, shift);
  return arith::ShRSIOp::create(b, high, shift);
}

Value Importer::castScalar(Builder_ &b, Value value, DType from, DType to) {
  if (from == to)
    return value;
  if (isMinifloat(from))
    return castScalar(b, decodeMinifloat(b, value, from), DType::Float, to);
  if (isMinifloat(to))
    return encodeMinifloat(b, castScalar(b, value, from, DType::Float), to);
  auto target = [&]() -> Type {
    switch (to) {
    case DType::Float: return b.getF32Type();
    case DType::Double: return b.getF64Type();
    case DType::Float16: return b.getF16Type();
    case DType::BFloat16: return b.getBF16Type();
    case DType::Bool: return b.getI1Type();
    default: return b.getIntegerType(dtypeBytes(to) * 8);
    }
  }();
  if (isFloat(from)) {
    if (isFloat(to)) {
      unsigned wide = target.getIntOrFloatBitWidth();
      unsigned own = value.getType().getIntOrFloatBitWidth();
      if (wide == own) { // float16 and bfloat16
        value = arith::ExtFOp::create(b, b.getF32Type(), value);
        own = 32;
      }
      if (wide > own)
        return arith::ExtFOp::create(b, target, value);
      return arith::TruncFOp::create(b, target, value);
    }
    if (to == DType::Bool)
      return arith::CmpFOp::create(b, arith::CmpFPredicate::UNE, value,
                                   constant(b, value.getType(), 0));
    if (integerBits(to) >= 8)
      return castFloatToInt(b, value, target, to);
    // Narrow integers keep the lowest bits of an int32, as ONNX's own tests.
    Value wide = castFloatToInt(b, value, b.getI32Type(), DType::Int32);
    return wrapNarrow(b, arith::TruncIOp::create(b, target, wide), to);
  }
  if (to == DType::Bool)
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ne, value,
                                 constantInt(b, value.getType(), 0));
  if (isFloat(to)) {
    // Straight to 16 bits would round twice in some lowerings.
    Type through = target.getIntOrFloatBitWidth() < 32 ? b.getF32Type() : target;
    Value wide = isUnsigned(from)
                     ? arith::UIToFPOp::create(b, through, value).getResult()
                     : arith::SIToFPOp::create(b, through, value).getResult();
    if (through != target)
      return arith::TruncFOp::create(b, target, wide);
    return wide;
  }
  unsigned own = value.getType().getIntOrFloatBitWidth();
  unsigned wanted = target.getIntOrFloatBitWidth();
  if (wanted > own)
    value = isUnsigned(from)
                ? arith::ExtUIOp::create(b, target, value).getResult()
                : arith::ExtSIOp::create(b, target, value).getResult();
  else if (wanted < own)
    value = arith::TruncIOp::create(b, target, value);
  return wrapNarrow(b, value, to);
}

Value Importer::cast(const Node &node, Value input, DType from, DType to) {
  if (from == to)
    return input;
  Type element = elementType(to);
  if (!element) {
    error(node) << "unsupported element type " << dtypeName(to);
    return nullptr;
  }
  bool saturate = getInt(node, "saturate", 1) != 0;
  StringRef mode = getString(node, "round_mode", "up");
  PowerRounding power = mode == "down"      ? PowerRounding::Down
                        : mode == "nearest" ? PowerRounding::Nearest
                                            : PowerRounding::Up;
  return elementwise(node, ArrayRef<Value>(input), element,
                     [&](Builder_ &b, ValueRange args) {
                       if (!isMinifloat(to))
                         return castScalar(b, args[0], from, to);
                       return encodeMinifloat(
                           b, castScalar(b, args[0], from, DType::Float), to,
                           saturate, power);
                     });
}

namespace {

/// The type float arithmetic on `value` is done in.
Value widen(Builder_ &b, Value value) {
  auto type = dyn_cast<FloatType>(value.getType());
  if (!type || type.getWidth() >= 32)
    return value;
  return arith::ExtFOp::create(b, b.getF32Type(), value);
}

Value narrow(Builder_ &b, Value value, Type type) {
  if (value.getType() == type || !isa<FloatType>(type))
    return value;
  return arith::TruncFOp::create(b, type, value);
}

Value like(Builder_ &b, Value value, double number) {
  return Importer::constant(b, value.getType(), number);
}

LogicalResult finish(Importer &im, const Node &node, Value value, DType dtype) {
  return value ? im.out(node, 0, value, dtype) : failure();
}

/// All inputs have one dtype out of a class.
LogicalResult sameTypes(Importer &im, const Node &node, bool (*allowed)(DType),
                        StringRef expected) {
  DType first = im.in(node, 0).dtype;
  for (size_t index = 0; index < node.inputs.size(); ++index) {
    DType dtype = im.in(node, index).dtype;
    if (!im.has(node, index))
      continue;
    if (!allowed(dtype))
      return im.error(node) << "expected " << expected << " elements, got "
                            << dtypeName(dtype);
    if (dtype != first)
      return im.error(node) << "inputs have different element types: "
                            << dtypeName(first) << " and "
                            << dtypeName(dtype);
  }
  return success();
}

bool isNumber(DType dtype) { return isFloat(dtype) || isInteger(dtype); }
bool isBool(DType dtype) { return dtype == DType::Bool; }
bool isAny(DType dtype) { return isNumber(dtype) || isBool(dtype); }

SmallVector<ImportedValue> allInputs(Importer &im, const Node &node) {
  SmallVector<ImportedValue> result;
  for (size_t index = 0; index < node.inputs.size(); ++index)
    result.push_back(im.in(node, index));
  return result;
}

//===-- float functions of one argument -----------------------------------===//

using UnaryBody = llvm::function_ref<Value(Builder_ &, Value)>;

LogicalResult floatUnary(Importer &im, const Node &node, UnaryBody body) {
  if (failed(sameTypes(im, node, isFloat, "float")))
    return failure();
  ImportedValue input = im.in(node, 0);
  Type element = im.elementType(input.dtype);
  return finish(im, node,
                im.elementwise(node, input, element,
                               [&](Builder_ &b, ValueRange args) {
                                 return narrow(b, body(b, widen(b, args[0])),
                                               element);
                               }),
                input.dtype);
}

using UnaryFn = Value (*)(Builder_ &, Value);
template <UnaryFn fn>
LogicalResult importUnary(Importer &im, const Node &node) {
  return floatUnary(im, node, fn);
}

template <typename Op>
Value mathOp(Builder_ &b, Value x) {
  return Op::create(b, x);
}

/// sign(x) log(|x| + sqrt(x^2 + 1)), by log1p so that small arguments keep
/// their digits.
Value asinh(Builder_ &b, Value x) {
  Value one = like(b, x, 1);
  Value size = math::AbsFOp::create(b, x);
  Value square = arith::MulFOp::create(b, size, size);
  Value root =
      math::SqrtOp::create(b, arith::AddFOp::create(b, square, one));
  Value rest = arith::DivFOp::create(
      b, square, arith::AddFOp::create(b, one, root));
  Value small =
      math::Log1pOp::create(b, arith::AddFOp::create(b, size, rest));
  // The square of a large argument overflows; there it is log(2 |x|).
  Value large = arith::AddFOp::create(b, math::LogOp::create(b, size),
                                      like(b, x, 0.69314718055994531));
  Value isLarge = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, size,
                                        like(b, x, 1e15));
  Value result = arith::SelectOp::create(b, isLarge, large, small);
  return math::CopySignOp::create(b, result, x);
}

/// log(x + sqrt(x^2 - 1)).
Value acosh(Builder_ &b, Value x) {
  Value one = like(b, x, 1);
  Value above = arith::SubFOp::create(b, x, one);
  Value product =
      arith::MulFOp::create(b, above, arith::AddFOp::create(b, x, one));
  Value root = math::SqrtOp::create(b, product);
  Value small =
      math::Log1pOp::create(b, arith::AddFOp::create(b, above, root));
  Value large = arith::AddFOp::create(b, math::LogOp::create(b, x),
                                      like(b, x, 0.69314718055994531));
  Value isLarge = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, x,
                                        like(b, x, 1e15));
  return arith::SelectOp::create(b, isLarge, large, small);
}

/// log((1 + x) / (1 - x)) / 2.
Value atanh(Builder_ &b, Value x) {
  Value twice = arith::AddFOp::create(b, x, x);
  Value ratio = arith::DivFOp::create(
      b, twice, arith::SubFOp::create(b, like(b, x, 1), x));
  return arith::MulFOp::create(b, like(b, x, 0.5),
                               math::Log1pOp::create(b, ratio));
}

/// x^n of int64 by squaring. What overflows wraps, and is zero where n > 63;
/// negative powers are rounded towards zero.
Value integerPower(Builder_ &b, Value x, Value n) {
  using P = arith::CmpIPredicate;
  Type type = x.getType();
  Value zero = Importer::constantInt(b, type, 0);
  Value one = Importer::constantInt(b, type, 1);
  Value square = x, rest = n, result = one;
  for (int bit = 0; bit < 6; ++bit) {
    Value odd = arith::CmpIOp::create(
        b, P::ne, arith::AndIOp::create(b, rest, one), zero);
    Value factor = arith::SelectOp::create(b, odd, square, one);
    result = arith::MulIOp::create(b, result, factor);
    square = arith::MulIOp::create(b, square, square);
    rest = arith::ShRUIOp::create(b, rest, one);
  }
  Value minus = Importer::constantInt(b, type, -1);
  Value isOne = arith::CmpIOp::create(b, P::eq, x, one);
  Value isMinus = arith::CmpIOp::create(b, P::eq, x, minus);
  Value odd = arith::CmpIOp::create(
      b, P::ne, arith::AndIOp::create(b, n, one), zero);
  Value sign = arith::SelectOp::create(b, odd, minus, one);
  Value small = arith::SelectOp::create(b, isMinus, sign, zero);
  small = arith::SelectOp::create(b, isOne, one, small);
  Value negative = arith::CmpIOp::create(b, P::slt, n, zero);
  Value limit = Importer::constantInt(b, type, 64);
  Value beyond = arith::CmpIOp::create(b, P::sge, n, limit);
  Value outside = arith::OrIOp::create(b, negative, beyond);
  return arith::SelectOp::create(b, outside, small, result);
}

Value sigmoid(Builder_ &b, Value x) {
  Value one = like(b, x, 1);
  Value power = math::ExpOp::create(b, arith::NegFOp::create(b, x));
  return arith::DivFOp::create(b, one, arith::AddFOp::create(b, one, power));
}

/// log(1 + e^x) without overflow.
Value softplus(Builder_ &b, Value x) {
  Value positive = arith::MaximumFOp::create(b, x, like(b, x, 0));
  Value magnitude = math::AbsFOp::create(b, x);
  Value power = math::ExpOp::create(b, arith::NegFOp::create(b, magnitude));
  return arith::AddFOp::create(b, positive, math::Log1pOp::create(b, power));
}

Value mish(Builder_ &b, Value x) {
  return arith::MulFOp::create(b, x, math::TanhOp::create(b, softplus(b, x)));
}

Value softsign(Builder_ &b, Value x) {
  Value below =
      arith::AddFOp::create(b, like(b, x, 1), math::AbsFOp::create(b, x));
  return arith::DivFOp::create(b, x, below);
}

Value reciprocal(Builder_ &b, Value x) {
  return arith::DivFOp::create(b, like(b, x, 1), x);
}

Value hardSigmoid(Builder_ &b, Value x, float alpha, float beta) {
  Value line = arith::AddFOp::create(
      b, arith::MulFOp::create(b, x, like(b, x, alpha)), like(b, x, beta));
  Value high = arith::MinimumFOp::create(b, line, like(b, x, 1));
  return arith::MaximumFOp::create(b, high, like(b, x, 0));
}

Value hardSwish(Builder_ &b, Value x) {
  return arith::MulFOp::create(b, x, hardSigmoid(b, x, 1.0f / 6, 0.5f));
}

Value gelu(Builder_ &b, Value x) {
  Value scaled = arith::MulFOp::create(b, x, like(b, x, 0.70710678118654752));
  Value phi = arith::AddFOp::create(b, like(b, x, 1),
                                    math::ErfOp::create(b, scaled));
  Value half = arith::MulFOp::create(b, like(b, x, 0.5), x);
  return arith::MulFOp::create(b, half, phi);
}

Value tanhGelu(Builder_ &b, Value x) {
  Value square = arith::MulFOp::create(b, x, x);
  Value cube = arith::MulFOp::create(b, square, x);
  Value inner = arith::AddFOp::create(
      b, x, arith::MulFOp::create(b, like(b, x, 0.044715), cube));
  Value scaled =
      arith::MulFOp::create(b, like(b, x, 0.79788456080286536), inner);
  Value phi = arith::AddFOp::create(b, like(b, x, 1),
                                    math::TanhOp::create(b, scaled));
  Value half = arith::MulFOp::create(b, like(b, x, 0.5), x);
  return arith::MulFOp::create(b, half, phi);
}

Value select(Builder_ &b, arith::CmpFPredicate predicate, Value x,
             double threshold, Value ifTrue, Value ifFalse) {
  Value bit =
      arith::CmpFOp::create(b, predicate, x, like(b, x, threshold));
  return arith::SelectOp::create(b, bit, ifTrue, ifFalse);
}

using FP = arith::CmpFPredicate;

LogicalResult importLeakyRelu(Importer &im, const Node &node) {
  float alpha = im.getFloat(node, "alpha", 0.01f);
  return floatUnary(im, node, [&](Builder_ &b, Value x) {
    Value scaled = arith::MulFOp::create(b, x, like(b, x, alpha));
    return select(b, FP::OLT, x, 0, scaled, x);
  });
}

LogicalResult importHardSigmoid(Importer &im, const Node &node) {
  float alpha = im.getFloat(node, "alpha", 0.2f);
  float beta = im.getFloat(node, "beta", 0.5f);
  return floatUnary(im, node, [&](Builder_ &b, Value x) {
    return hardSigmoid(b, x, alpha, beta);
  });
}

LogicalResult importElu(Importer &im, const Node &node) {
  float alpha = im.getFloat(node, "alpha", 1.0f);
  return floatUnary(im, node, [&](Builder_ &b, Value x) {
    Value curve = arith::MulFOp::create(b, like(b, x, alpha),
                                        math::ExpM1Op::create(b, x));
    return select(b, FP::OLT, x, 0, curve, x);
  });
}

LogicalResult importSelu(Importer &im, const Node &node) {
  float alpha = im.getFloat(node, "alpha", 1.67326319217681884765625f);
  float gamma = im.getFloat(node, "gamma", 1.05070102214813232421875f);
  return floatUnary(im, node, [&](Builder_ &b, Value x) -> Value {
    Value curve = arith::MulFOp::create(b, like(b, x, alpha),
                                        math::ExpM1Op::create(b, x));
    Value both = select(b, FP::OLE, x, 0, curve, x);
    return arith::MulFOp::create(b, like(b, x, gamma), both);
  });
}

LogicalResult importCelu(Importer &im, const Node &node) {
  float alpha = im.getFloat(node, "alpha", 1.0f);
  if (alpha == 0)
    return im.error(node) << "attribute 'alpha' must not be zero";
  return floatUnary(im, node, [&](Builder_ &b, Value x) -> Value {
    Value zero = like(b, x, 0);
    Value scaled = arith::DivFOp::create(b, x, like(b, x, alpha));
    Value curve = arith::MulFOp::create(b, like(b, x, alpha),
                                        math::ExpM1Op::create(b, scaled));
    return arith::AddFOp::create(b, arith::MaximumFOp::create(b, x, zero),
                                 arith::MinimumFOp::create(b, curve, zero));
  });
}

LogicalResult importThresholdedRelu(Importer &im, const Node &node) {
  float alpha = im.getFloat(node, "alpha", 1.0f);
  return floatUnary(im, node, [&](Builder_ &b, Value x) {
    return select(b, FP::OGT, x, alpha, x, like(b, x, 0));
  });
}

LogicalResult importSwish(Importer &im, const Node &node) {
  float alpha = im.getFloat(node, "alpha", node.opType == "QuickGelu" ? 1.702f
                                                                        : 1.0f);
  return floatUnary(im, node, [&](Builder_ &b, Value x) -> Value {
    Value scaled =
        alpha == 1 ? x : arith::MulFOp::create(b, x, like(b, x, alpha));
    return arith::MulFOp::create(b, x, sigmoid(b, scaled));
  });
}

LogicalResult importGelu(Importer &im, const Node &node) {
  StringRef approximate = im.getString(node, "approximate", "none");
  if (approximate != "none" && approximate != "tanh")
    return im.error(node) << "attribute 'approximate' must be 'none' or "
                             "'tanh', got '"
                          << approximate << "'";
  return floatUnary(im, node, approximate == "tanh" ? tanhGelu : gelu);
}

LogicalResult importShrink(Importer &im, const Node &node) {
  float bias = im.getFloat(node, "bias", 0), lambda = im.getFloat(node, "lambd", 0.5f);
  ImportedValue input = im.in(node, 0);
  DType dtype = input.dtype;
  if (!isNumber(dtype))
    return im.error(node) << "expected numbers, got " << dtypeName(dtype);
  return finish(
      im, node,
      im.elementwise(
          node, input, im.elementType(dtype),
          [&](Builder_ &b, ValueRange args) {
            Value x = Importer::castScalar(b, args[0], dtype, DType::Float);
            Value shift = like(b, x, bias);
            Value up = select(b, FP::OGT, x, lambda,
                              arith::SubFOp::create(b, x, shift), like(b, x, 0));
            Value both = select(b, FP::OLT, x, -lambda,
                                arith::AddFOp::create(b, x, shift), up);
            return Importer::castScalar(b, both, DType::Float, dtype);
          }),
      dtype);
}

//===-- numbers of either kind --------------------------------------------===//

LogicalResult importRelu(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  if (isFloat(input.dtype))
    return floatUnary(im, node, [](Builder_ &b, Value x) -> Value {
      return arith::MaximumFOp::create(b, x, like(b, x, 0));
    });
  if (!isInteger(input.dtype))
    return im.error(node) << "expected numbers, got "
                          << dtypeName(input.dtype);
  return finish(im, node,
                im.elementwise(node, input, im.elementType(input.dtype),
                               [&](Builder_ &b, ValueRange args) -> Value {
                                 if (isUnsigned(input.dtype))
                                   return args[0];
                                 return arith::MaxSIOp::create(
                                     b, args[0], like(b, args[0], 0));
                               }),
                input.dtype);
}

LogicalResult importSignedUnary(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  DType dtype = input.dtype;
  StringRef op = node.opType;
  if (!isNumber(dtype))
    return im.error(node) << "expected numbers, got " << dtypeName(dtype);
  if (isFloat(dtype))
    return floatUnary(im, node, [&](Builder_ &b, Value x) -> Value {
      if (op == "Neg")
        return arith::NegFOp::create(b, x);
      if (op == "Abs")
        return math::AbsFOp::create(b, x);
      Value negative = select(b, FP::OLT, x, 0, like(b, x, -1), like(b, x, 0));
      return select(b, FP::OGT, x, 0, like(b, x, 1), negative);
    });
  return finish(
      im, node,
      im.elementwise(
          node, input, im.elementType(dtype),
          [&](Builder_ &b, ValueRange args) -> Value {
            Value x = args[0], zero = like(b, x, 0);
            Value negated = arith::SubIOp::create(b, zero, x);
            if (op == "Neg")
              return negated;
            using P = arith::CmpIPredicate;
            if (op == "Abs") {
              if (isUnsigned(dtype))
                return x;
              Value isNegative = arith::CmpIOp::create(b, P::slt, x, zero);
              return arith::SelectOp::create(b, isNegative, negated, x);
            }
            Value one = Importer::constantInt(b, x.getType(), 1);
            Value isZero = arith::CmpIOp::create(b, P::eq, x, zero);
            Value result = arith::SelectOp::create(b, isZero, zero, one);
            if (isUnsigned(dtype))
              return result;
            Value minus = Importer::constantInt(b, x.getType(), -1);
            Value isNegative = arith::CmpIOp::create(b, P::slt, x, zero);
            return arith::SelectOp::create(b, isNegative, minus, result);
          }),
      dtype);
}

/// n / d or n % d of integers, defined for every d.
Value totalDivision(Builder_ &b, Value n, Value d, bool isUns, bool remainder) {
  Type type = n.getType();
  Value zero = Importer::constantInt(b, type, 0);
  Value one = Importer::constantInt(b, type, 1);
  using P = arith::CmpIPredicate;
  Value isZero = arith::CmpIOp::create(b, P::eq, d, zero);
  if (isUns) {
    Value safe = arith::SelectOp::create(b, isZero, one, d);
    Value result = remainder
                       ? arith::RemUIOp::create(b, n, safe).getResult()
                       : arith::DivUIOp::create(b, n, safe).getResult();
    return arith::SelectOp::create(b, isZero, zero, result);
  }
  // The least value divided by -1 overflows.
  Value minus = Importer::constantInt(b, type, -1);
  Value isMinus = arith::CmpIOp::create(b, P::eq, d, minus);
  Value special = arith::OrIOp::create(b, isZero, isMinus);
  Value safe = arith::SelectOp::create(b, special, one, d);
  if (remainder) {
    Value result = arith::RemSIOp::create(b, n, safe);
    return arith::SelectOp::create(b, special, zero, result);
  }
  Value result = arith::DivSIOp::create(b, n, safe);
  Value negated = arith::SubIOp::create(b, zero, n);
  result = arith::SelectOp::create(b, isMinus, negated, result);
  return arith::SelectOp::create(b, isZero, zero, result);
}

Value arithmetic(Builder_ &b, StringRef op, Value x, Value y, DType dtype) {
  if (isFloat(dtype)) {
    if (op == "Add" || op == "Sum" || op == "Mean")
      return arith::AddFOp::create(b, x, y);
    if (op == "Sub")
      return arith::SubFOp::create(b, x, y);
    if (op == "Mul")
      return arith::MulFOp::create(b, x, y);
    if (op == "Div")
      return arith::DivFOp::create(b, x, y);
    if (op == "Min")
      return arith::MinimumFOp::create(b, x, y);
    return arith::MaximumFOp::create(b, x, y);
  }
  bool isUns = isUnsigned(dtype);
  if (op == "Add" || op == "Sum")
    return arith::AddIOp::create(b, x, y);
  if (op == "Sub")
    return arith::SubIOp::create(b, x, y);
  if (op == "Mul")
    return arith::MulIOp::create(b, x, y);
  if (op == "Div")
    return totalDivision(b, x, y, isUns, /*remainder=*/false);
  if (op == "Min")
    return isUns ? arith::MinUIOp::create(b, x, y).getResult()
                 : arith::MinSIOp::create(b, x, y).getResult();
  return isUns ? arith::MaxUIOp::create(b, x, y).getResult()
               : arith::MaxSIOp::create(b, x, y).getResult();
}

/// Add, Sub, Mul, Div and the variadic Min, Max, Sum, Mean.
LogicalResult importArithmetic(Importer &im, const Node &node) {
  bool floatsOnly = node.opType == "Sum" || node.opType == "Mean";
  if (failed(floatsOnly ? sameTypes(im, node, isFloat, "float")
                        : sameTypes(im, node, isNumber, "numeric")))
    return failure();
  DType dtype = im.in(node, 0).dtype;
  Type element = im.elementType(dtype);
  SmallVector<ImportedValue> operands = allInputs(im, node);
  return finish(im, node,
                im.elementwise(
                    node, operands, element,
                    [&](Builder_ &b, ValueRange args) {
                      Value result = widen(b, args[0]);
                      for (Value next : args.drop_front())
                        result = arithmetic(b, node.opType, result,
                                            widen(b, next), dtype);
                      if (node.opType == "Mean")
                        result = arith::DivFOp::create(
                            b, result, like(b, result, args.size()));
                      return narrow(b, result, element);
                    }),
                dtype);
}

LogicalResult importMod(Importer &im, const Node &node) {
  if (failed(sameTypes(im, node, isNumber, "numeric")))
    return failure();
  bool fmod = im.getInt(node, "fmod", 0);
  DType dtype = im.in(node, 0).dtype;
  Type element = im.elementType(dtype);
  SmallVector<ImportedValue> operands = allInputs(im, node);
  return finish(
      im, node,
      im.elementwise(
          node, operands, element,
          [&](Builder_ &b, ValueRange args) -> Value {
            Value x = widen(b, args[0]), y = widen(b, args[1]);
            if (isFloat(dtype)) {
              Value rest = arith::RemFOp::create(b, x, y);
              if (!fmod) {
                // Python's sign: that of the divisor.
                Value zero = like(b, x, 0);
                Value some = arith::CmpFOp::create(b, FP::UNE, rest, zero);
                Value differs = arith::XOrIOp::create(
                    b, arith::CmpFOp::create(b, FP::OLT, rest, zero),
                    arith::CmpFOp::create(b, FP::OLT, y, zero));
                rest = arith::SelectOp::create(
                    b, arith::AndIOp::create(b, some, differs),
                    arith::AddFOp::create(b, rest, y), rest);
              }
              return narrow(b, rest, element);
            }
            bool isUns = isUnsigned(dtype);
            Value rest = totalDivision(b, x, y, isUns, /*remainder=*/true);
            if (fmod || isUns)
              return rest;
            using P = arith::CmpIPredicate;
            Value zero = like(b, x, 0);
            Value some = arith::CmpIOp::create(b, P::ne, rest, zero);
            Value differs = arith::CmpIOp::create(
                b, P::slt, arith::XOrIOp::create(b, rest, y), zero);
            return arith::SelectOp::create(
                b, arith::AndIOp::create(b, some, differs),
                arith::AddIOp::create(b, rest, y), rest);
          }),
      dtype);
}

LogicalResult importPow(Importer &im, const Node &node) {
  ImportedValue base = im.in(node, 0), exponent = im.in(node, 1);
  DType dtype = base.dtype, power = exponent.dtype;
  if (!isNumber(dtype) || !isNumber(power))
    return im.error(node) << "expected numbers, got " << dtypeName(dtype)
                          << " and " << dtypeName(power);
  Type element = im.elementType(dtype);
  std::optional<double> known = im.constantScalar(exponent);
  if (known && (*known == 2 || *known == 3) &&
      im.type(exponent).getRank() <= im.type(base).getRank())
    return finish(im, node,
                  im.elementwise(
                      node, base, element,
                      [&](Builder_ &b, ValueRange args) {
                        Value x = widen(b, args[0]);
                        Value result = arithmetic(b, "Mul", x, x, dtype);
                        if (*known == 3)
                          result = arithmetic(b, "Mul", result, x, dtype);
                        return narrow(b, result, element);
                      }),
                  dtype);
  return finish(
      im, node,
      im.elementwise(
          node, {base, exponent}, element,
          [&](Builder_ &b, ValueRange args) -> Value {
            if (isInteger(dtype) && isInteger(power)) {
              Value wide =
                  Importer::castScalar(b, args[0], dtype, DType::Int64);
              Value times =
                  Importer::castScalar(b, args[1], power, DType::Int64);
              Value result = integerPower(b, wide, times);
              return Importer::castScalar(b, result, DType::Int64, dtype);
            }
            bool twice = dtype == DType::Double || isInteger(dtype);
            DType through = twice ? DType::Double : DType::Float;
            Value x = Importer::castScalar(b, args[0], dtype, through);
            Value y = Importer::castScalar(b, args[1], power, through);
            return Importer::castScalar(b, math::PowFOp::create(b, x, y),
                                        through, dtype);
          }),
      dtype);
}

LogicalResult importPRelu(Importer &im, const Node &node) {
  if (failed(sameTypes(im, node, isNumber, "numeric")))
    return failure();
  DType dtype = im.in(node, 0).dtype;
  Type element = im.elementType(dtype);
  SmallVector<ImportedValue> operands = allInputs(im, node);
  return finish(im, node,
                im.elementwise(
                    node, operands, element,
                    [&](Builder_ &b, ValueRange args) -> Value {
                      Value x = widen(b, args[0]), slope = widen(b, args[1]);
                      Value scaled = arithmetic(b, "Mul", x, slope, dtype);
                      if (isFloat(dtype))
                        return narrow(b, select(b, FP::OLT, x, 0, scaled, x),
                                      element);
                      if (isUnsigned(dtype))
                        return x;
                      Value bit = arith::CmpIOp::create(
                          b, arith::CmpIPredicate::slt, x, like(b, x, 0));
                      return arith::SelectOp::create(b, bit, scaled, x);
                    }),
                dtype);
}

LogicalResult importClip(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  DType dtype = input.dtype;
  if (!isNumber(dtype))
    return im.error(node) << "expected numbers, got " << dtypeName(dtype);
  Type element = im.elementType(dtype);
  SmallVector<ImportedValue> operands{input};
  bool hasLow = false, hasHigh = false;
  auto addBound = [&](StringRef name, size_t index, bool &present) {
    ImportedValue bound;
    if (im.opset(node) < 11) {
      if (!im.attr(node, name))
        return success();
      float value = im.getFloat(node, name, 0);
      bound = im.shadowValue(dtype, {{}, {im.b.getFloatAttr(element, value)}});
    } else {
      bound = im.in(node, index);
      if (!bound)
        return success();
      if (bound.dtype != dtype)
        return LogicalResult(im.error(node)
                             << "'" << name << "' has element type "
                             << dtypeName(bound.dtype) << ", the input has "
                             << dtypeName(dtype));
      RankedTensorType type = im.type(bound);
      if (!type || !type.hasStaticShape() || type.getNumElements() != 1)
        return LogicalResult(im.error(node)
                             << "'" << name << "' must be a scalar");
      // A one-element vector is accepted, but must not raise the rank.
      if (std::shared_ptr<const Shadow> shadow = im.shadowOf(bound))
        bound = im.shadowValue(dtype, {{}, shadow->elements});
      else
        bound.value = im.reshape(im.tensor(bound), {});
    }
    present = true;
    operands.push_back(bound);
    return success();
  };
  if (im.opset(node) < 11 && !isFloat(dtype))
    return im.error(node) << "expected float elements, got "
                          << dtypeName(dtype);
  if (failed(addBound("min", 1, hasLow)) || failed(addBound("max", 2, hasHigh)))
    return failure();
  if (!hasLow && !hasHigh)
    return im.out(node, 0, input);
  return finish(im, node,
                im.elementwise(node, operands, element,
                               [&](Builder_ &b, ValueRange args) {
                                 Value x = widen(b, args[0]);
                                 if (hasLow)
                                   x = arithmetic(b, "Max", x,
                                                  widen(b, args[1]), dtype);
                                 if (hasHigh)
                                   x = arithmetic(b, "Min", x,
                                                  widen(b, args.back()), dtype);
                                 return narrow(b, x, element);
                               }),
                dtype);
}

//===-- comparison, logic, bits -------------------------------------------===//

LogicalResult importCompare(Importer &im, const Node &node) {
  StringRef op = node.opType;
  if (failed(sameTypes(im, node, op == "Equal" ? isAny : isNumber,
                       op == "Equal" ? "numeric or bool" : "numeric")))
    return failure();
  DType dtype = im.in(node, 0).dtype;
  bool isUns = isUnsigned(dtype);
  using P = arith::CmpIPredicate;
  auto [forFloat, forInt] =
      op == "Equal"  ? std::pair(FP::OEQ, P::eq)
      : op == "Less" ? std::pair(FP::OLT, isUns ? P::ult : P::slt)
      : op == "LessOrEqual" ? std::pair(FP::OLE, isUns ? P::ule : P::sle)
      : op == "Greater"     ? std::pair(FP::OGT, isUns ? P::ugt : P::sgt)
                            : std::pair(FP::OGE, isUns ? P::uge : P::sge);
  SmallVector<ImportedValue> operands = allInputs(im, node);
  auto floatPredicate = forFloat;
  auto intPredicate = forInt;
  return finish(im, node,
                im.elementwise(node, operands, im.b.getI1Type(),
                               [&](Builder_ &b, ValueRange args) -> Value {
                                 if (isFloat(dtype))
                                   return arith::CmpFOp::create(
                                       b, floatPredicate, args[0], args[1]);
                                 return arith::CmpIOp::create(
                                     b, intPredicate, args[0], args[1]);
                               }),
                DType::Bool);
}

/// And, Or, Xor, Not and their bitwise forms: the same on i1 and wider.
LogicalResult importLogic(Importer &im, const Node &node) {
  StringRef op = node.opType;
  bool bitwise = op.consume_front("Bitwise");
  if (failed(sameTypes(im, node, bitwise ? isInteger : isBool,
                       bitwise ? "integer" : "bool")))
    return failure();
  DType dtype = im.in(node, 0).dtype;
  SmallVector<ImportedValue> operands = allInputs(im, node);
  return finish(im, node,
                im.elementwise(
                    node, operands, im.elementType(dtype),
                    [&](Builder_ &b, ValueRange args) -> Value {
                      if (op == "And")
                        return arith::AndIOp::create(b, args[0], args[1]);
                      if (op == "Or")
                        return arith::OrIOp::create(b, args[0], args[1]);
                      if (op == "Xor")
                        return arith::XOrIOp::create(b, args[0], args[1]);
                      Value ones =
                          Importer::constantInt(b, args[0].getType(), -1);
                      return arith::XOrIOp::create(b, args[0], ones);
                    }),
                dtype);
}

LogicalResult importBitShift(Importer &im, const Node &node) {
  if (failed(sameTypes(im, node, isInteger, "integer")))
    return failure();
  StringRef direction = im.getString(node, "direction", "");
  if (direction != "LEFT" && direction != "RIGHT")
    return im.error(node) << "attribute 'direction' must be 'LEFT' or "
                             "'RIGHT', got '"
                          << direction << "'";
  DType dtype = im.in(node, 0).dtype;
  SmallVector<ImportedValue> operands = allInputs(im, node);
  return finish(
      im, node,
      im.elementwise(
          node, operands, im.elementType(dtype),
          [&](Builder_ &b, ValueRange args) -> Value {
            Value x = args[0], zero = like(b, x, 0);
            unsigned width = x.getType().getIntOrFloatBitWidth();
            Value limit = Importer::constantInt(b, x.getType(), width);
            Value fine = arith::CmpIOp::create(b, arith::CmpIPredicate::ult,
                                               args[1], limit);
            bool left = direction == "LEFT";
            if (!left && !isUnsigned(dtype)) {
              // The sign fills; so it does beyond the width.
              Value most = Importer::constantInt(b, x.getType(), width - 1);
              Value amount = arith::SelectOp::create(b, fine, args[1], most);
              return arith::ShRSIOp::create(b, x, amount);
            }
            Value amount = arith::SelectOp::create(b, fine, args[1], zero);
            Value shifted =
                left ? arith::ShLIOp::create(b, x, amount).getResult()
                     : arith::ShRUIOp::create(b, x, amount).getResult();
            return arith::SelectOp::create(b, fine, shifted, zero);
          }),
      dtype);
}

LogicalResult importIsNaN(Importer &im, const Node &node) {
  if (failed(sameTypes(im, node, isFloat, "float")))
    return failure();
  return finish(im, node,
                im.elementwise(node, im.in(node, 0), im.b.getI1Type(),
                               [](Builder_ &b, ValueRange args) -> Value {
                                 return arith::CmpFOp::create(
                                     b, FP::UNO, args[0], args[0]);
                               }),
                DType::Bool);
}

LogicalResult importIsInf(Importer &im, const Node &node) {
  if (failed(sameTypes(im, node, isFloat, "float")))
    return failure();
  bool negative = im.getInt(node, "detect_negative", 1);
  bool positive = im.getInt(node, "detect_positive", 1);
  return finish(
      im, node,
      im.elementwise(node, im.in(node, 0), im.b.getI1Type(),
                     [&](Builder_ &b, ValueRange args) -> Value {
                       Value result =
                           Importer::constantInt(b, b.getI1Type(), 0);
                       for (auto [wanted, sign] :
                            {std::pair(negative, -1.0), {positive, 1.0}})
                         if (wanted)
                           result = arith::OrIOp::create(
                               b, result,
                               arith::CmpFOp::create(
                                   b, FP::OEQ, args[0],
                                   like(b, args[0], sign * INFINITY)));
                       return result;
                     }),
      DType::Bool);
}

LogicalResult importWhere(Importer &im, const Node &node) {
  ImportedValue condition = im.in(node, 0), left = im.in(node, 1),
                right = im.in(node, 2);
  if (condition.dtype != DType::Bool)
    return im.error(node) << "the condition must be bool, got "
                          << dtypeName(condition.dtype);
  if (left.dtype != right.dtype)
    return im.error(node) << "inputs have different element types: "
                          << dtypeName(left.dtype) << " and "
                          << dtypeName(right.dtype);
  Type element = im.elementType(left.dtype);
  if (!element)
    return im.error(node) << "unsupported element type "
                          << dtypeName(left.dtype);
  return finish(im, node,
                im.elementwise(node, {condition, left, right}, element,
                               [](Builder_ &b, ValueRange args) -> Value {
                                 return arith::SelectOp::create(
                                     b, args[0], args[1], args[2]);
                               }),
                left.dtype);
}

LogicalResult importCast(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  DType to = node.opType == "CastLike"
                 ? im.in(node, 1).dtype
                 : static_cast<DType>(im.getInt(node, "to", 0));
  for (DType dtype : {input.dtype, to})
    if (!im.elementType(dtype))
      return im.error(node) << "unsupported element type "
                            << dtypeName(dtype);
  if (to == input.dtype)
    return im.out(node, 0, input);
  Value value = im.tensor(input);
  return value ? finish(im, node, im.cast(node, value, input.dtype, to), to)
               : failure();
}

LogicalResult importBitCast(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  DType from = input.dtype, to = static_cast<DType>(im.getInt(node, "to", 0));
  Type source = im.elementType(from), target = im.elementType(to);
  if (!source || !target)
    return im.error(node) << "unsupported element type "
                          << dtypeName(source ? to : from);
  // Bool is a byte in ONNX, i1 here.
  auto bits = [](DType dtype) {
    return dtype == DType::Bool ? 8 : integerBits(dtype);
  };
  if (bits(from) != bits(to))
    return im.error(node) << "expected types of the same width, got "
                          << dtypeName(from) << " and " << dtypeName(to);
  return finish(im, node,
                im.elementwise(
                    node, input, target,
                    [&](Builder_ &b, ValueRange args) -> Value {
                      if (from == to)
                        return args[0];
                      if (from == DType::Bool)
                        return arith::ExtUIOp::create(b, target, args[0]);
                      if (to == DType::Bool)
                        return Importer::castScalar(b, args[0], from, to);
                      if (source != target)
                        return arith::BitcastOp::create(b, target, args[0]);
                      return wrapNarrow(b, args[0], to);
                    }),
                to);
}

/// x sigmoid(alpha x) times the second input.
LogicalResult importSwiGlu(Importer &im, const Node &node) {
  if (failed(sameTypes(im, node, isFloat, "float")))
    return failure();
  float alpha = im.getFloat(node, "alpha", 1.0f);
  DType dtype = im.in(node, 0).dtype;
  Type element = im.elementType(dtype);
  SmallVector<ImportedValue> operands = allInputs(im, node);
  return finish(
      im, node,
      im.elementwise(
          node, operands, element,
          [&](Builder_ &b, ValueRange args) {
            Value x = widen(b, args[0]);
            Value gate = sigmoid(
                b, arith::MulFOp::create(b, x, like(b, x, alpha)));
            Value swish = arith::MulFOp::create(b, x, gate);
            return narrow(
                b, arith::MulFOp::create(b, swish, widen(b, args[1])), element);
          }),
      dtype);
}

/// com.microsoft: bias added before the activation.
LogicalResult importBiasGelu(Importer &im, const Node &node) {
  if (failed(sameTypes(im, node, isFloat, "float")))
    return failure();
  DType dtype = im.in(node, 0).dtype;
  Type element = im.elementType(dtype);
  bool fast = node.opType == "FastGelu";
  SmallVector<ImportedValue> operands;
  for (size_t index = 0; index < node.inputs.size(); ++index)
    if (im.has(node, index))
      operands.push_back(im.in(node, index));
  return finish(im, node,
                im.elementwise(node, operands, element,
                               [&](Builder_ &b, ValueRange args) {
                                 Value x = widen(b, args[0]);
                                 if (args.size() == 2)
                                   x = arith::AddFOp::create(
                                       b, x, widen(b, args[1]));
                                 return narrow(
                                     b, fast ? tanhGelu(b, x) : gelu(b, x),
                                     element);
                               }),
                dtype);
}

} // namespace

void mlir::tamis::onnx::registerElementwise(OpTable &table) {
  auto unary = [&](StringRef name, ImportFn fn) {
    table.add({"", name, 1, {1, 1}, fn});
  };
  auto binary = [&](StringRef name, ImportFn fn) {
    table.add({"", name, 1, {2, 2}, fn});
  };
  unary("Acos", importUnary<mathOp<math::AcosOp>>);
  unary("Acosh", importUnary<acosh>);
  unary("Asin", importUnary<mathOp<math::AsinOp>>);
  unary("Asinh", importUnary<asinh>);
  unary("Atan", importUnary<mathOp<math::AtanOp>>);
  unary("Atanh", importUnary<atanh>);
  unary("Ceil", importUnary<mathOp<math::CeilOp>>);
  unary("Cos", importUnary<mathOp<math::CosOp>>);
  unary("Cosh", importUnary<mathOp<math::CoshOp>>);
  unary("Erf", importUnary<mathOp<math::ErfOp>>);
  unary("Exp", importUnary<mathOp<math::ExpOp>>);
  unary("Floor", importUnary<mathOp<math::FloorOp>>);
  unary("Log", importUnary<mathOp<math::LogOp>>);
  unary("Round", importUnary<mathOp<math::RoundEvenOp>>);
  unary("Sin", importUnary<mathOp<math::SinOp>>);
  unary("Sinh", importUnary<mathOp<math::SinhOp>>);
  unary("Sqrt", importUnary<mathOp<math::SqrtOp>>);
  unary("Tan", importUnary<mathOp<math::TanOp>>);
  unary("Tanh", importUnary<mathOp<math::TanhOp>>);
  unary("HardSwish", importUnary<hardSwish>);
  unary("Mish", importUnary<mish>);
  unary("Reciprocal", importUnary<reciprocal>);
  unary("Sigmoid", importUnary<sigmoid>);
  unary("Softplus", importUnary<softplus>);
  unary("Softsign", importUnary<softsign>);
  unary("Celu", importCelu);
  unary("Elu", importElu);
  unary("Gelu", importGelu);
  unary("HardSigmoid", importHardSigmoid);
  unary("LeakyRelu", importLeakyRelu);
  unary("Selu", importSelu);
  unary("Shrink", importShrink);
  unary("Swish", importSwish);
  unary("ThresholdedRelu", importThresholdedRelu);
  unary("Relu", importRelu);
  unary("Abs", importSignedUnary);
  unary("Neg", importSignedUnary);
  unary("Sign", importSignedUnary);
  unary("IsInf", importIsInf);
  unary("IsNaN", importIsNaN);
  unary("Not", importLogic);
  unary("BitwiseNot", importLogic);
  unary("Cast", importCast);

  binary("Add", importArithmetic);
  binary("Sub", importArithmetic);
  binary("Mul", importArithmetic);
  binary("Div", importArithmetic);
  binary("Mod", importMod);
  binary("Pow", importPow);
  binary("PRelu", importPRelu);
  for (StringRef name :
       {"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"})
    binary(name, importCompare);
  for (StringRef name : {"And", "Or", "Xor", "BitwiseAnd", "BitwiseOr",
                         "BitwiseXor"})
    binary(name, importLogic);
  binary("BitShift", importBitShift);
  binary("SwiGLU", importSwiGlu);
  unary("BitCast", importBitCast);
  binary("CastLike", importCast);

  for (StringRef name : {"Min", "Max", "Sum", "Mean"})
    table.add({"", name, 1, {1, -1}, importArithmetic});
  table.add({"", "Clip", 1, {1, 3}, importClip});
  table.add({"", "Where", 1, {3, 3}, importWhere});

  table.add({"com.microsoft", "Gelu", 1, {1, 1}, importGelu});
  table.add({"com.microsoft", "QuickGelu", 1, {1, 1}, importSwish});
  table.add({"com.microsoft", "BiasGelu", 1, {2, 2}, importBiasGelu});
  table.add({"com.microsoft", "FastGelu", 1, {1, 2}, importBiasGelu});
}
