// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Conversions of the small float types by integer arithmetic on float32 bits.
#include "Minifloat.h"
#include "Importer.h"
#include "mlir/Dialect/Math/IR/Math.h"

namespace mlir::tamis::onnx {

namespace {

struct Format {
  int bits, mantissa, bias;
  int largest;  // code of the largest finite number
  int infinity; // code, or -1
  int nan;      // code that encoding writes
  bool signedZero;
};

Format formatOf(DType dtype) {
  switch (dtype) {
  case DType::Float8E4M3FN:
    return {8, 3, 7, 0x7e, -1, 0x7f, true};
  case DType::Float8E4M3FNUZ:
    return {8, 3, 8, 0x7f, -1, 0x80, false};
  case DType::Float8E5M2:
    return {8, 2, 15, 0x7b, 0x7c, 0x7e, true};
  case DType::Float8E5M2FNUZ:
    return {8, 2, 16, 0x7f, -1, 0x80, false};
  // What is not a number becomes minus zero.
  default:
    return {4, 1, 1, 0x7, -1, 0x8, true}; // float4_e2m1
  }
}

/// Shorthand for i32 arithmetic.
struct Ints {
  ImplicitLocOpBuilder &b;
  Type i32 = b.getI32Type();
  Type f32 = b.getF32Type();
  Value c(int64_t value) { return Importer::constantInt(b, i32, value); }
  Value add(Value l, Value r) { return arith::AddIOp::create(b, l, r); }
  Value sub(Value l, Value r) { return arith::SubIOp::create(b, l, r); }
  Value andBits(Value l, int64_t r) {
    return arith::AndIOp::create(b, l, c(r));
  }
  Value orBits(Value l, Value r) { return arith::OrIOp::create(b, l, r); }
  Value left(Value l, int64_t by) { return arith::ShLIOp::create(b, l, c(by)); }
  Value right(Value l, int64_t by) {
    return arith::ShRUIOp::create(b, l, c(by));
  }
  Value is(arith::CmpIPredicate p, Value l, Value r) {
    return arith::CmpIOp::create(b, p, l, r);
  }
  Value select(Value condition, Value yes, Value no) {
    return arith::SelectOp::create(b, condition, yes, no);
  }
  Value asFloat(Value bits) { return arith::BitcastOp::create(b, f32, bits); }
  Value asBits(Value x) { return arith::BitcastOp::create(b, i32, x); }
};

constexpr int64_t kNanBits = 0x7fc00000;
using P = arith::CmpIPredicate;

/// float8_e8m0: a power of two, no sign.
Value decodePower(Ints &i, Value code) {
  Value bits =
      i.select(i.is(P::eq, code, i.c(0)), i.c(0x00400000), i.left(code, 23));
  return i.asFloat(i.select(i.is(P::eq, code, i.c(255)), i.c(kNanBits), bits));
}

Value encodePower(Ints &i, Value x, bool saturate, PowerRounding power) {
  Value bits = i.andBits(i.asBits(x), 0x7fffffff);
  Value exponent = i.right(bits, 23), rest = i.andBits(bits, 0x7fffff);
  Value up;
  switch (power) {
  case PowerRounding::Up:
    up = i.is(P::ugt, rest, i.c(0));
    break;
  case PowerRounding::Down:
    up = i.is(P::ugt, i.c(0), rest);
    break;
  case PowerRounding::Nearest:
    up = i.is(P::uge, rest, i.c(0x400000));
    break;
  }
  Value code = i.add(exponent, i.select(up, i.c(1), i.c(0)));
  Value most = i.c(saturate ? 254 : 255);
  code = i.select(i.is(P::ugt, code, most), most, code);
  return i.select(i.is(P::ugt, bits, i.c(0x7f800000)), i.c(255), code);
}

} // namespace

bool isMinifloat(DType dtype) {
  switch (dtype) {
  case DType::Float8E4M3FN:
  case DType::Float8E4M3FNUZ:
  case DType::Float8E5M2:
  case DType::Float8E5M2FNUZ:
  case DType::Float8E8M0:
  case DType::Float4E2M1:
    return true;
  default:
    return false;
  }
}

Value decodeMinifloat(ImplicitLocOpBuilder &b, Value code, DType dtype) {
  Ints i{b};
  Value wide = arith::ExtUIOp::create(b, i.i32, code);
  if (dtype == DType::Float8E8M0)
    return decodePower(i, wide);
  Format f = formatOf(dtype);
  int64_t signBit = int64_t(1) << (f.bits - 1);
  Value magnitude = i.andBits(wide, signBit - 1);
  Value exponent = i.right(magnitude, f.mantissa);
  Value mantissa = i.andBits(magnitude, (1 << f.mantissa) - 1);
  Value normal =
      i.asFloat(i.orBits(i.left(i.add(exponent, i.c(127 - f.bias)), 23),
                         i.left(mantissa, 23 - f.mantissa)));
  // Below the first exponent the mantissa counts equal steps.
  Value step = i.asFloat(i.c(int64_t(127 + 1 - f.bias - f.mantissa) << 23));
  Value small = arith::MulFOp::create(
      b, arith::SIToFPOp::create(b, i.f32, mantissa), step);
  Value x = i.select(i.is(P::eq, exponent, i.c(0)), small, normal);
  if (f.infinity >= 0) {
    Value infinity = i.asFloat(i.c(0x7f800000)), nan = i.asFloat(i.c(kNanBits));
    x = i.select(i.is(P::eq, magnitude, i.c(f.infinity)), infinity, x);
    x = i.select(i.is(P::ugt, magnitude, i.c(f.infinity)), nan, x);
  }
  Value sign = i.left(i.andBits(wide, signBit), 32 - f.bits);
  x = i.asFloat(i.orBits(i.asBits(x), sign));
  if (f.infinity >= 0 || dtype == DType::Float4E2M1)
    return x;
  Value tested = f.signedZero ? magnitude : wide;
  return i.select(i.is(P::eq, tested, i.c(f.nan)), i.asFloat(i.c(kNanBits)), x);
}

Value encodeMinifloat(ImplicitLocOpBuilder &b, Value x, DType dtype,
                      bool saturate, PowerRounding power) {
  Ints i{b};
  Type i8 = b.getI8Type();
  if (dtype == DType::Float8E8M0)
    return arith::TruncIOp::create(b, i8, encodePower(i, x, saturate, power));
  Format f = formatOf(dtype);
  Value bits = i.asBits(x);
  // Beyond every type's range, and small enough to convert to an integer.
  Value limited = arith::MinNumFOp::create(
      b, math::AbsFOp::create(b, x), Importer::constant(b, i.f32, 131072));
  Value exponent = i.sub(i.right(i.asBits(limited), 23), i.c(127));
  exponent = arith::MaxSIOp::create(b, exponent, i.c(1 - f.bias));
  Value scale = i.asFloat(i.left(i.sub(i.c(127 + f.mantissa), exponent), 23));
  Value steps =
      math::RoundEvenOp::create(b, arith::MulFOp::create(b, limited, scale));
  Value code = i.add(i.left(i.add(exponent, i.c(f.bias - 1)), f.mantissa),
                     arith::FPToSIOp::create(b, i.i32, steps));
  bool finite = saturate || dtype == DType::Float4E2M1;
  int tooLarge = finite ? f.largest : f.infinity >= 0 ? f.infinity : f.nan;
  code = i.select(i.is(P::sgt, code, i.c(f.largest)), i.c(tooLarge), code);
  Value sign = i.left(i.right(bits, 31), f.bits - 1);
  Value negative = i.orBits(code, sign);
  if (!f.signedZero)
    negative = i.select(i.is(P::eq, code, i.c(0)), code, negative);
  Value isNan = arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, x, x);
  negative = i.select(isNan, i.c(f.nan), negative);
  return arith::TruncIOp::create(b, i8, negative);
}

} // namespace mlir::tamis::onnx
