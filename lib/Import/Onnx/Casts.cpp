// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Cast, CastLike, BitCast and the conversion of single elements, which other
// families use, too. Total: saturating from float to integer, NaN gives zero.
#include "Elementwise.h"
#include "Minifloat.h"
#include <cmath>

using namespace mlir;
using namespace mlir::tamis::onnx;
using namespace mlir::tamis::onnx::elementwise;

/// Bits of an element in ONNX's memory.
static unsigned integerBits(DType dtype) {
  switch (dtype) {
  case DType::Bool:
    return 1;
  case DType::Int2:
  case DType::UInt2:
    return 2;
  case DType::Int4:
  case DType::UInt4:
  case DType::Float4E2M1:
    return 4;
  default:
    return dtypeBytes(dtype) * 8;
  }
}

static Value castFloatToInt(Builder_ &b, Value value, Type to, DType dtype) {
  if (cast<FloatType>(value.getType()).getWidth() < 32)
    value = arith::ExtFOp::create(b, b.getF32Type(), value);
  Type from = value.getType();
  unsigned bits = integerBits(dtype);
  bool isUns = isUnsigned(dtype);
  APInt least = isUns ? APInt::getZero(bits) : APInt::getSignedMinValue(bits);
  APInt most =
      isUns ? APInt::getMaxValue(bits) : APInt::getSignedMaxValue(bits);
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
  Value outside =
      arith::OrIOp::create(b, isNan, arith::OrIOp::create(b, tooHigh, tooLow));
  Value safe = arith::SelectOp::create(b, outside,
                                       Importer::constant(b, from, 0), value);
  Value result = isUns ? arith::FPToUIOp::create(b, to, safe).getResult()
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
    case DType::Float:
      return b.getF32Type();
    case DType::Double:
      return b.getF64Type();
    case DType::Float16:
      return b.getF16Type();
    case DType::BFloat16:
      return b.getBF16Type();
    case DType::Bool:
      return b.getI1Type();
    default:
      return b.getIntegerType(dtypeBytes(to) * 8);
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
    Type through =
        target.getIntOrFloatBitWidth() < 32 ? b.getF32Type() : target;
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
  return elementwise(
      node, ArrayRef<Value>(input), element, [&](Builder_ &b, ValueRange args) {
        if (!isMinifloat(to))
          return castScalar(b, args[0], from, to);
        return encodeMinifloat(b, castScalar(b, args[0], from, DType::Float),
                               to, saturate, power);
      });
}

namespace {

LogicalResult importCast(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  DType to = node.opType == "CastLike"
                 ? im.in(node, 1).dtype
                 : static_cast<DType>(im.getInt(node, "to", 0));
  for (DType dtype : {input.dtype, to})
    if (!im.elementType(dtype))
      return im.error(node) << "unsupported element type " << dtypeName(dtype);
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
  return finish(
      im, node,
      im.elementwise(node, input, target,
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

} // namespace

void mlir::tamis::onnx::registerCasts(OpTable &table) {
  table.add({"", "Cast", 1, {1, 1}, importCast});
  table.add({"", "CastLike", 1, {2, 2}, importCast});
  table.add({"", "BitCast", 1, {1, 1}, importBitCast});
}
