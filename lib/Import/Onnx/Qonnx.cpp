// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Quantizers of the QONNX domain, which Brevitas, QKeras and HAWQ export:
// any number of bits, any rounding, binary values and small floats.
#include "FakeQuantization.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/StringSwitch.h"
#include <cmath>

namespace mlir::tamis::onnx {

using namespace fakequant;

namespace {

enum class Rounding { HalfEven, Ceil, Floor, Up, Down, HalfUp, HalfDown };

FailureOr<Rounding> readRounding(Importer &im, const Node &node,
                                 StringRef fallback) {
  StringRef mode = im.getString(node, "rounding_mode", fallback);
  auto found = llvm::StringSwitch<std::optional<Rounding>>(mode.upper())
                   .Cases({"ROUND", "HALF_EVEN"}, Rounding::HalfEven)
                   .Case("CEIL", Rounding::Ceil)
                   .Case("FLOOR", Rounding::Floor)
                   .Case("UP", Rounding::Up)
                   .Cases({"DOWN", "ROUND_TO_ZERO"}, Rounding::Down)
                   .Case("HALF_UP", Rounding::HalfUp)
                   .Case("HALF_DOWN", Rounding::HalfDown)
                   .Default(std::nullopt);
  if (!found)
    return im.error(node) << "rounding_mode '" << mode << "' is not known";
  return *found;
}

Value roundBy(ImplicitLocOpBuilder &b, Rounding mode, Value x) {
  auto half = [&] { return Importer::constant(b, x.getType(), 0.5); };
  Value magnitude;
  switch (mode) {
  case Rounding::HalfEven:
    return math::RoundEvenOp::create(b, x);
  case Rounding::Ceil:
    return math::CeilOp::create(b, x);
  case Rounding::Floor:
    return math::FloorOp::create(b, x);
  case Rounding::Down:
    return math::TruncOp::create(b, x);
  case Rounding::Up:
    magnitude = math::CeilOp::create(b, math::AbsFOp::create(b, x));
    break;
  case Rounding::HalfUp:
    magnitude = math::FloorOp::create(
        b, arith::AddFOp::create(b, math::AbsFOp::create(b, x), half()));
    break;
  case Rounding::HalfDown:
    magnitude = math::CeilOp::create(
        b, arith::SubFOp::create(b, math::AbsFOp::create(b, x), half()));
    break;
  }
  return math::CopySignOp::create(b, magnitude, x);
}

FailureOr<int64_t> readBits(Importer &im, const Node &node, size_t index) {
  std::optional<double> bits;
  if (im.has(node, index))
    bits = im.constantScalar(im.in(node, index));
  if (!bits || *bits != std::rint(*bits) || *bits < 1 || *bits > 32)
    return im.error(node) << "expected a known whole bit width of 1 to 32 as "
                             "input "
                          << index;
  return static_cast<int64_t>(*bits);
}

std::pair<int64_t, int64_t> rangeOf(int64_t bits, bool isSigned, bool narrow) {
  if (isSigned)
    return {-(int64_t(1) << (bits - 1)) + narrow,
            (int64_t(1) << (bits - 1)) - 1};
  return {0, (int64_t(1) << bits) - 1 - narrow};
}

/// ±1 by the sign of x / scale + zero, times the scale.
LogicalResult importBipolar(Importer &im, const Node &node,
                            const Parameter &scale, const Parameter &zero) {
  ImportedValue input = im.in(node, 0);
  auto sign = [](ImplicitLocOpBuilder &b, Value x, Value s, Value z) -> Value {
    Type f32 = b.getF32Type();
    Value level = arith::AddFOp::create(b, arith::DivFOp::create(b, x, s), z);
    Value isHigh = arith::CmpFOp::create(b, arith::CmpFPredicate::OGE, level,
                                         Importer::constant(b, f32, 0));
    return arith::SelectOp::create(b, isHigh, Importer::constant(b, f32, 1),
                                   Importer::constant(b, f32, -1));
  };
  auto form = readForm(im, scale, zero);
  if (fitsLevels(form, -1, 1))
    return emitLevels(im, node, im.tensor(input), *form, -1, 1, form->scale,
                      sign);
  leftInFloat(im, "its parameters follow several axes or are not known");
  return emitFloat(im, node, {input, scale.source, zero.source},
                   [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                     Value level = sign(b, args[0], args[1], args[2]);
                     level = arith::SubFOp::create(b, level, args[2]);
                     return arith::MulFOp::create(b, level, args[1]);
                   });
}

LogicalResult importBipolarQuant(Importer &im, const Node &node) {
  if (failed(requireFloatInput(im, node)))
    return failure();
  auto scale =
      readParameter(im, node, 1, rankOf(im.tensor(node, 0)), "the scale");
  if (failed(scale) ||
      failed(requireScale(im, node, scale->source, "the scale")))
    return failure();
  return importBipolar(im, node, *scale, makeZero(im));
}

LogicalResult importQuant(Importer &im, const Node &node) {
  if (failed(requireFloatInput(im, node)))
    return failure();
  ImportedValue input = im.in(node, 0);
  Value x = im.tensor(input);
  auto scale = readParameter(im, node, 1, rankOf(x), "the scale");
  auto zero = readParameter(im, node, 2, rankOf(x), "the zero point");
  auto bits = readBits(im, node, 3);
  auto mode = readRounding(im, node, "ROUND");
  if (failed(scale) || failed(zero) || failed(bits) || failed(mode) ||
      failed(requireScale(im, node, scale->source, "the scale")))
    return failure();
  bool isSigned = im.getInt(node, "signed", 1) != 0;
  bool narrow = im.getInt(node, "narrow", 0) != 0;
  if (*bits == 1 && isSigned)
    return importBipolar(im, node, *scale, *zero);
  auto [low, high] = rangeOf(*bits, isSigned, narrow);
  if (low == high)
    return im.error(node) << "expected a range of levels, got " << low
                          << " alone";
  auto level = [&, low = low, high = high](ImplicitLocOpBuilder &b, Value x,
                                           Value s, Value z) -> Value {
    Type f32 = b.getF32Type();
    Value real = arith::AddFOp::create(b, arith::DivFOp::create(b, x, s), z);
    real = arith::MaxNumFOp::create(b, real, Importer::constant(b, f32, low));
    real = arith::MinNumFOp::create(b, real, Importer::constant(b, f32, high));
    return roundBy(b, *mode, real);
  };
  auto form = readForm(im, *scale, *zero);
  if (form && areWhole(form->zeros)) {
    if (*mode == Rounding::HalfEven)
      return emitFakeQuant(im, node, x, *form, low, high);
    if (fitsLevels(form, low, high))
      return emitLevels(im, node, x, *form, low, high, form->scale, level);
  }
  if (!zero->known)
    leftInFloat(im, "its zero point is not known at compile time");
  else if (!areWhole(*zero->known))
    leftInFloat(im, "its zero point is not an integer");
  else if (!form)
    leftInFloat(im, "its parameters follow several axes");
  else
    leftInFloat(im, "it rounds to more than 16 bits");
  return emitFloat(im, node, {input, scale->source, zero->source},
                   [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                     Value q = level(b, args[0], args[1], args[2]);
                     q = arith::SubFOp::create(b, q, args[2]);
                     return arith::MulFOp::create(b, q, args[1]);
                   });
}

/// Drops low bits of integers that are floats times a scale. Version 1 keeps
/// the scale and gives bit widths, version 2 gives the scale of the result.
LogicalResult importTrunc(Importer &im, const Node &node) {
  if (failed(requireFloatInput(im, node)))
    return failure();
  bool second = node.inputs.size() > 5;
  Value x = im.tensor(node, 0);
  auto scale = readParameter(im, node, 1, rankOf(x), "the scale");
  auto zero = readParameter(im, node, 2, rankOf(x), "the zero point");
  auto inBits = readBits(im, node, 3);
  auto outBits = readBits(im, node, second ? 6 : 4);
  auto mode = readRounding(im, node, "FLOOR");
  if (failed(scale) || failed(zero) || failed(inBits) || failed(outBits) ||
      failed(mode) ||
      failed(requireScale(im, node, scale->source, "the scale")))
    return failure();
  if (!scale->known || !zero->known)
    return im.error(node) << "expected a scale and a zero point known at "
                             "compile time";
  bool isSigned = im.getInt(node, "signed", 1) != 0;
  auto [low, high] =
      rangeOf(*outBits, isSigned, im.getInt(node, "narrow", 0) != 0);
  double divisor = std::exp2(static_cast<double>(*inBits - *outBits));
  SmallVector<double> zeros(*zero->known), scales(*scale->known);
  if (second) {
    auto result = readParameter(im, node, 4, rankOf(x), "the output scale");
    if (failed(result) ||
        failed(requireScale(im, node, result->source, "the output scale")))
      return failure();
    if (!result->known || result->known->size() != scales.size())
      return im.error(node) << "expected a known output scale for each scale";
    for (auto [i, value] : llvm::enumerate(*result->known)) {
      double power = std::exp2(std::rint(std::log2(value / scales[i])));
      if (i > 0 && power != divisor)
        return im.error(node) << "expected one quotient of the scales, got "
                              << divisor << " and " << power;
      divisor = power;
    }
    scales = *result->known;
    for (double &value : zeros)
      value /= divisor;
  } else {
    // Nothing says whether the integers have a sign.
    std::tie(low, high) = rangeOf(*outBits + 1, /*isSigned=*/true, false);
  }
  auto level = [&](ImplicitLocOpBuilder &b, Value x, Value s,
                   Value z) -> Value {
    Value q = arith::AddFOp::create(b, arith::DivFOp::create(b, x, s), z);
    q = math::RoundEvenOp::create(b, q);
    q = arith::MulFOp::create(
        b, q, Importer::constant(b, b.getF32Type(), 1 / divisor));
    return roundBy(b, *mode, q);
  };
  auto form = knownForm(im, *scale, scales, *zero, zeros);
  auto before = knownForm(im, *scale, *scale->known, *zero, *zero->known);
  if (!fitsLevels(form, low, high) || !before)
    return im.error(node) << "expected whole zero points and at most 16 bits "
                             "of output along one axis";
  // The zero point before the shift is the one of the input.
  bool shifted = llvm::any_of(*zero->known, [](double z) { return z != 0; });
  if (shifted && second)
    return im.error(node) << "expected a zero point of 0";
  return emitLevels(im, node, x, *form, low, high, before->scale, level);
}

/// Rounding to a small float of any widths. Where its values are few enough
/// multiples of its smallest one, they are integers as well.
LogicalResult importFloatQuant(Importer &im, const Node &node) {
  if (failed(requireFloatInput(im, node)))
    return failure();
  ImportedValue input = im.in(node, 0);
  Value x = im.tensor(input);
  auto scale = readParameter(im, node, 1, rankOf(x), "the scale");
  auto mode = readRounding(im, node, "ROUND");
  if (failed(scale) || failed(mode) ||
      failed(requireScale(im, node, scale->source, "the scale")))
    return failure();
  double width[3];
  StringRef names[] = {"exponent width", "mantissa width", "exponent bias"};
  for (int i = 0; i < 3; ++i) {
    auto known = im.has(node, 2 + i) ? im.constantScalar(im.in(node, 2 + i))
                                     : std::nullopt;
    if (!known || *known != std::rint(*known) || std::fabs(*known) > 120 ||
        (i < 2 && (*known < 0 || *known > (i ? 23 : 8))))
      return im.error(node)
             << "expected a known whole " << names[i] << " as input " << 2 + i;
    width[i] = *known;
  }
  if (im.getInt(node, "saturation", 1) == 0)
    return im.error(node) << "saturation = 0 is not supported";
  double lowest = 1 - width[2] - width[1]; // exponent of the smallest step
  double largest = (2 - std::exp2(-width[1])) *
                   std::exp2(std::exp2(width[0]) - 1 - width[2]);
  if (im.has(node, 5)) {
    auto limit = im.constantScalar(im.in(node, 5));
    if (!limit || !(*limit > 0))
      return im.error(node) << "expected a known positive maximum as input 5";
    largest = std::min(largest, *limit);
  }
  // x / scale on the grid, in float32.
  auto onGrid = [&](ImplicitLocOpBuilder &b, Value x, Value s) -> Value {
    Type f32 = b.getF32Type(), i32 = b.getI32Type();
    auto real = [&](double value) { return Importer::constant(b, f32, value); };
    auto integer = [&](int64_t value) {
      return Importer::constantInt(b, i32, value);
    };
    Value y = arith::DivFOp::create(b, x, s);
    y = arith::MinNumFOp::create(b, y, real(2 * largest));
    y = arith::MaxNumFOp::create(b, y, real(-2 * largest));
    // The exponent of a float32 is in its bits; a step has a whole one.
    Value bits = arith::BitcastOp::create(b, i32, math::AbsFOp::create(b, y));
    Value exponent =
        arith::SubIOp::create(b, arith::ShRUIOp::create(b, bits, integer(23)),
                              integer(static_cast<int64_t>(width[1])));
    int64_t least = std::max<int64_t>(static_cast<int64_t>(lowest) + 127, 1);
    exponent = arith::MaxSIOp::create(b, exponent, integer(least));
    Value step = arith::BitcastOp::create(
        b, f32, arith::ShLIOp::create(b, exponent, integer(23)));
    y = arith::MulFOp::create(
        b, roundBy(b, *mode, arith::DivFOp::create(b, y, step)), step);
    y = arith::MinNumFOp::create(b, y, real(largest));
    return arith::MaxNumFOp::create(b, y, real(-largest));
  };
  double step = std::exp2(lowest);
  Parameter zero = makeZero(im);
  if (largest / step <= 127 && largest / step == std::rint(largest / step) &&
      scale->known && !scale->wide) {
    SmallVector<double> steps;
    for (double value : *scale->known)
      steps.push_back(value * step);
    auto form = knownForm(im, *scale, steps, zero, {0.0});
    auto plain = knownForm(im, *scale, *scale->known, zero, {0.0});
    int64_t levels = static_cast<int64_t>(largest / step);
    if (form && plain)
      return emitLevels(
          im, node, x, *form, -levels, levels, plain->scale,
          [&](ImplicitLocOpBuilder &b, Value x, Value s, Value) -> Value {
            return arith::MulFOp::create(
                b, onGrid(b, x, s),
                Importer::constant(b, b.getF32Type(), 1 / step));
          });
  }
  leftInFloat(im, "its levels are floats that 8-bit integers do not hold");
  return emitFloat(im, node, {input, scale->source},
                   [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                     return arith::MulFOp::create(
                         b, onGrid(b, args[0], args[1]), args[1]);
                   });
}

} // namespace

void registerQonnx(OpTable &table) {
  for (StringRef domain :
       {"qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas"}) {
    table.add({domain, "Quant", 1, {4, 4}, importQuant});
    table.add({domain, "IntQuant", 1, {4, 4}, importQuant});
    table.add({domain, "BipolarQuant", 1, {2, 2}, importBipolarQuant});
    table.add({domain, "Trunc", 1, {5, 7}, importTrunc});
    table.add({domain, "FloatQuant", 1, {5, 6}, importFloatQuant});
  }
}

} // namespace mlir::tamis::onnx
