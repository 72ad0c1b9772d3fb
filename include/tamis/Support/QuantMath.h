// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The single definition of rounding and saturation in generated code: every
// pass that turns a float into a quantized integer builds it here.
#ifndef TAMIS_SUPPORT_QUANTMATH_H
#define TAMIS_SUPPORT_QUANTMATH_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Builders.h"
#include <cmath>
#include <limits>

namespace mlir::tamis {

/// The range of a `bits` wide integer as the two int64 bounds.
inline std::pair<int64_t, int64_t> getQuantRange(unsigned bits,
                                                 bool isUnsigned) {
  if (isUnsigned)
    return {0, (int64_t(1) << bits) - 1};
  return {-(int64_t(1) << (bits - 1)), (int64_t(1) << (bits - 1)) - 1};
}

/// Sign or zero extends (or truncates) the integer `value` to `type`.
inline Value castInteger(OpBuilder &b, Location loc, Value value, Type type,
                         bool isUnsigned) {
  unsigned from = value.getType().getIntOrFloatBitWidth();
  unsigned to = type.getIntOrFloatBitWidth();
  if (from == to)
    return value;
  if (from > to)
    return arith::TruncIOp::create(b, loc, type, value);
  if (isUnsigned)
    return arith::ExtUIOp::create(b, loc, type, value);
  return arith::ExtSIOp::create(b, loc, type, value);
}

/// Builds `saturate(round_half_even(scaled) + zero)` on scalars: clamp, round,
/// convert, add the zero point. `scaled` is f32 and already divided by the
/// scale; `zero` is null or an integer of `type`; `bits` narrows the range of
/// `type`. Total: NaN becomes the lower bound, as in ONNX Runtime. The rules
/// quantize_n1 and quantize_n2 of docs/Numerics.md.
inline Value buildQuantize(OpBuilder &b, Location loc, Value scaled, Value zero,
                           IntegerType type, bool isUnsigned, unsigned bits) {
  auto f32 = b.getF32Type();
  auto i32 = b.getI32Type();
  auto [low, high] = getQuantRange(bits, isUnsigned);
  auto constant = [&](float value) -> Value {
    return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(value));
  };
  // 2^31-1 has no float32; its neighbour below keeps the conversion defined.
  auto asFloat = [](int64_t value) {
    float f = static_cast<float>(value);
    return f > static_cast<double>(value) ? std::nextafter(f, 0.0f) : f;
  };
  Value lower = constant(asFloat(low)), upper = constant(asFloat(high));
  Value wideZero;
  if (zero) {
    wideZero = castInteger(b, loc, zero, i32, isUnsigned);
    Value shift = arith::SIToFPOp::create(b, loc, f32, wideZero);
    lower = arith::SubFOp::create(b, loc, lower, shift);
    upper = arith::SubFOp::create(b, loc, upper, shift);
  }
  Value value = arith::MaxNumFOp::create(b, loc, scaled, lower);
  value = arith::MinNumFOp::create(b, loc, value, upper);
  value = math::RoundEvenOp::create(b, loc, value);
  value = arith::FPToSIOp::create(b, loc, i32, value);
  if (wideZero)
    value = arith::AddIOp::create(b, loc, value, wideZero);
  return castInteger(b, loc, value, type, isUnsigned);
}

} // namespace mlir::tamis

#endif // TAMIS_SUPPORT_QUANTMATH_H
