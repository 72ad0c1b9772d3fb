// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// FakeQuantize of OpenVINO's domain, which NNCF exports.
#include "FakeQuantization.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <cmath>

namespace mlir::tamis::onnx {

using namespace fakequant;

namespace {

/// levels values from output_low to output_high for the range input_low to
/// input_high.
LogicalResult importFakeQuantize(Importer &im, const Node &node) {
  if (failed(requireFloatInput(im, node)))
    return failure();
  ImportedValue input = im.in(node, 0);
  Value x = im.tensor(input);
  int64_t levels = im.getInt(node, "levels", 256);
  if (levels < 2 || levels > (int64_t(1) << 24))
    return im.error(node) << "expected levels of 2 to 2^24, got " << levels;
  if (StringRef mode = im.getString(node, "auto_broadcast", "numpy");
      mode != "numpy")
    return im.error(node) << "auto_broadcast '" << mode << "' is not supported";
  Parameter p[4];
  StringRef names[] = {"input_low", "input_high", "output_low", "output_high"};
  size_t count = 1;
  bool known = true;
  std::optional<int64_t> axis;
  for (int i = 0; i < 4; ++i) {
    auto read = readParameter(im, node, 1 + i, rankOf(x), names[i]);
    if (failed(read))
      return failure();
    p[i] = *read;
    known &=
        p[i].known && !p[i].wide && (!p[i].axis || !axis || axis == p[i].axis);
    if (p[i].axis)
      axis = p[i].axis;
    if (p[i].known)
      count = std::max(count, p[i].known->size());
  }
  auto stay = [&](const llvm::Twine &why) {
    leftInFloat(im, why);
    SmallVector<ImportedValue> operands{input};
    for (Parameter &parameter : p)
      operands.push_back(parameter.source);
    return emitFloat(
        im, node, operands,
        [&](ImplicitLocOpBuilder &b, ValueRange v) -> Value {
          Value steps = Importer::constant(b, b.getF32Type(), levels - 1);
          Value q =
              arith::DivFOp::create(b, arith::SubFOp::create(b, v[0], v[1]),
                                    arith::SubFOp::create(b, v[2], v[1]));
          q = math::RoundEvenOp::create(b, arith::MulFOp::create(b, q, steps));
          q = arith::DivFOp::create(b, q, steps);
          q = arith::MulFOp::create(b, q, arith::SubFOp::create(b, v[4], v[3]));
          q = arith::AddFOp::create(b, q, v[3]);
          Value least = arith::MinNumFOp::create(b, v[1], v[2]);
          Value most = arith::MaxNumFOp::create(b, v[1], v[2]);
          Value isAbove =
              arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, v[0], most);
          q = arith::SelectOp::create(b, isAbove, v[4], q);
          Value isAboveLeast =
              arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, v[0], least);
          return arith::SelectOp::create(b, isAboveLeast, q, v[3]);
        });
  };
  if (!known)
    return stay("its ranges follow several axes or are not known at compile "
                "time");
  auto get = [&](int i, size_t at) {
    return (*p[i].known)[p[i].known->size() == 1 ? 0 : at];
  };
  // Scale and zero point of the input side and of the output side.
  SmallVector<double> scales[2], zeros[2];
  for (const Parameter &parameter : p)
    if (parameter.known->size() != 1 && parameter.known->size() != count)
      return im.error(node) << "expected ranges of 1 or " << count
                            << " numbers, got " << parameter.known->size();
  bool binary = levels == 2, same = true;
  for (size_t i = 0; i < count; ++i) {
    if (get(1, i) < get(0, i) || (!binary && get(1, i) == get(0, i)))
      return im.error(node) << "expected input_low below input_high, got "
                            << get(0, i) << " and " << get(1, i);
    binary &= get(0, i) == get(1, i) && get(0, i) == 0 && get(3, i) > 0 &&
              get(2, i) == -get(3, i);
    for (int side = 0; side < 2; ++side) {
      double range = get(2 * side + 1, i) - get(2 * side, i);
      double scale = range / static_cast<double>(levels - 1);
      double zero = scale > 0 ? -get(2 * side, i) / scale : 0.5;
      // Ranges are float32; their quotient is whole up to that.
      if (std::fabs(zero - std::rint(zero)) < 1e-3)
        zero = std::rint(zero);
      scales[side].push_back(scale);
      zeros[side].push_back(zero);
    }
    same &= std::fabs(scales[0][i] - scales[1][i]) <= 1e-6 * scales[0][i] &&
            zeros[0][i] == zeros[1][i];
  }
  Parameter shape;
  shape.axis = axis;
  if (binary) {
    SmallVector<double> magnitudes;
    for (size_t i = 0; i < count; ++i)
      magnitudes.push_back(get(3, i));
    if (auto form = knownForm(im, shape, magnitudes, makeZero(im), {0.0}))
      return emitLevels(
          im, node, x, *form, -1, 1, form->scale,
          [](ImplicitLocOpBuilder &b, Value x, Value, Value) -> Value {
            Type f32 = b.getF32Type();
            Value isHigh = arith::CmpFOp::create(
                b, arith::CmpFPredicate::OGT, x, Importer::constant(b, f32, 0));
            return arith::SelectOp::create(b, isHigh,
                                           Importer::constant(b, f32, 1),
                                           Importer::constant(b, f32, -1));
          });
  }
  auto isInside = [&](double zero) {
    return zero == std::rint(zero) && zero >= 0 &&
           zero <= static_cast<double>(levels - 1);
  };
  if (!llvm::all_of(zeros[0], isInside) || !llvm::all_of(zeros[1], isInside))
    return stay("zero is not one of its levels");
  // Levels count from input_low; where zero is the same one everywhere, from
  // there, so that weights have no zero point.
  int64_t low = 0, high = levels - 1;
  if (llvm::all_equal(zeros[0]) && zeros[0] == zeros[1]) {
    int64_t shift = static_cast<int64_t>(zeros[0][0]);
    if (low - shift >= -128 && high - shift <= 127) {
      low -= shift;
      high -= shift;
      zeros[0].assign(1, 0.0);
      zeros[1].assign(1, 0.0);
    }
  }
  auto from = knownForm(im, shape, scales[0], shape, zeros[0]);
  auto to = knownForm(im, shape, scales[1], shape, zeros[1]);
  if (!from || !to)
    return stay("its ranges follow several axes");
  if (same)
    return emitFakeQuant(im, node, x, *from, low, high);
  if (!fitsLevels(to, low, high) || zeros[0] != zeros[1])
    return stay("its output range is not its input range times a factor");
  return emitLevels(
      im, node, x, *to, low, high, from->scale,
      [&](ImplicitLocOpBuilder &b, Value x, Value s, Value z) -> Value {
        Value q = math::RoundEvenOp::create(b, arith::DivFOp::create(b, x, s));
        return arith::AddFOp::create(b, q, z);
      });
}

} // namespace

void registerOpenvino(OpTable &table) {
  table.add(
      {"org.openvinotoolkit", "FakeQuantize", 1, {5, 5}, importFakeQuantize});
}

} // namespace mlir::tamis::onnx
