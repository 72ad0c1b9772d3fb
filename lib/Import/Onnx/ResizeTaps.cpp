// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Coordinates, nearest modes and filter weights of Resize.
#include "ResizeTaps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <cmath>

namespace mlir::tamis::onnx {

namespace {

/// Arithmetic on numbers at one place of the IR.
struct Calculator {
  ImplicitLocOpBuilder &b;

  Value value(Number x) {
    return x.isKnown() ? Importer::constant(b, b.getF32Type(), x.known)
                       : x.value;
  }
  template <typename Op>
  Number binary(Number l, Number r, float known) {
    if (l.isKnown() && r.isKnown())
      return known;
    Value left = value(l), right = value(r);
    return Number(Op::create(b, left, right).getResult());
  }
  Number add(Number l, Number r) {
    return binary<arith::AddFOp>(l, r, l.known + r.known);
  }
  Number sub(Number l, Number r) {
    return binary<arith::SubFOp>(l, r, l.known - r.known);
  }
  Number mul(Number l, Number r) {
    return binary<arith::MulFOp>(l, r, l.known * r.known);
  }
  Number div(Number l, Number r) {
    return binary<arith::DivFOp>(l, r, l.known / r.known);
  }
  Number min(Number l, Number r) {
    return binary<arith::MinimumFOp>(l, r, std::min(l.known, r.known));
  }
  Number max(Number l, Number r) {
    return binary<arith::MaximumFOp>(l, r, std::max(l.known, r.known));
  }
  Number floor(Number x) {
    if (x.isKnown())
      return std::floor(x.known);
    return Number(math::FloorOp::create(b, x.value).getResult());
  }
  Number ceil(Number x) {
    if (x.isKnown())
      return std::ceil(x.known);
    return Number(math::CeilOp::create(b, x.value).getResult());
  }
  /// l <= r ? yes : no.
  Number ifAtMost(Number l, Number r, Number yes, Number no) {
    if (l.isKnown() && r.isKnown())
      return l.known <= r.known ? yes : no;
    Value left = value(l), right = value(r);
    Value bit =
        arith::CmpFOp::create(b, arith::CmpFPredicate::OLE, left, right);
    Value ifTrue = value(yes), ifFalse = value(no);
    return Number(arith::SelectOp::create(b, bit, ifTrue, ifFalse).getResult());
  }
};

Number nearest(Calculator &c, Rounding rounding, const ResizeAxis &axis,
               Number x) {
  switch (rounding) {
  case Rounding::Floor:
    return c.floor(x);
  case Rounding::Ceil:
    return c.ceil(x);
  case Rounding::PreferFloor:
    return c.ceil(c.sub(x, 0.5f));
  case Rounding::PreferCeil:
    return c.floor(c.add(x, 0.5f));
  case Rounding::Simple: // of opset 10: up when shrinking
    return c.ifAtMost(1.0f, axis.scale, c.floor(x), c.ceil(x));
  }
  llvm_unreachable("covered switch");
}

/// The cubic filter at `s` in [0, 1] and one to the side.
Number cubicInner(Calculator &c, float a, Number s) {
  Number first = c.sub(c.mul(a + 2, s), a + 3);
  return c.add(c.mul(c.mul(first, s), s), 1.0f);
}
Number cubicOuter(Calculator &c, float a, Number s) {
  Number first = c.add(c.mul(c.sub(c.mul(a, s), 5 * a), s), 8 * a);
  return c.sub(c.mul(first, s), 4 * a);
}

float filterAt(const ResizeOptions &options, float x) {
  x = std::fabs(x);
  if (options.mode == ResizeMode::Linear)
    return x < 1 ? 1 - x : 0;
  float a = options.cubic;
  if (x < 1)
    return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((x - 5) * x + 8) * x * a - 4 * a : 0;
}

} // namespace

Number originalPosition(ImplicitLocOpBuilder &b, const ResizeOptions &options,
                        const ResizeAxis &axis, Number x) {
  Calculator c{b};
  Number last = c.sub(axis.in, 1.0f), lastOut = c.sub(axis.out, 1.0f);
  Number halfPixel = c.sub(c.div(c.add(x, 0.5f), axis.scale), 0.5f);
  // Where the result has one element there is no step; the divisor is kept
  // from zero.
  Number steps = c.max(lastOut, 1.0f);
  switch (options.transform) {
  case Transform::HalfPixel:
    return halfPixel;
  case Transform::HalfPixelSymmetric: {
    Number adjustment = c.div(axis.out, c.mul(axis.scale, axis.in));
    Number center = c.div(axis.in, 2.0f);
    return c.add(c.mul(center, c.sub(1.0f, adjustment)), halfPixel);
  }
  case Transform::PytorchHalfPixel:
    return c.ifAtMost(axis.out, 1.0f, 0.0f, halfPixel);
  case Transform::AlignCorners:
    // By the size of the result, as the operator says and ONNX Runtime does.
    // ONNX's own reference divides by the size before it is cut to a whole
    // number, which leaves the last corner where it is not aligned.
    return c.ifAtMost(axis.out, 1.0f, 0.0f, c.div(c.mul(x, last), steps));
  case Transform::Asymmetric:
    return c.div(x, axis.scale);
  case Transform::TfHalfPixelForNN:
    return c.div(c.add(x, 0.5f), axis.scale);
  case Transform::TfCropAndResize: {
    Number span = c.mul(axis.roiEnd - axis.roiStart, last);
    Number at = c.add(c.mul(axis.roiStart, last), c.div(c.mul(x, span), steps));
    Number middle = c.mul(0.5f * (axis.roiStart + axis.roiEnd), last);
    return c.ifAtMost(axis.out, 1.0f, middle, at);
  }
  }
  llvm_unreachable("covered switch");
}

SmallVector<Tap> resizeTaps(ImplicitLocOpBuilder &b,
                            const ResizeOptions &options,
                            const ResizeAxis &axis, Number x) {
  Calculator c{b};
  Number at = originalPosition(b, options, axis, x);
  Number last = c.max(c.sub(axis.in, 1.0f), 0.0f);
  auto clamp = [&](Number index) { return c.min(c.max(index, 0.0f), last); };
  if (options.mode == ResizeMode::Nearest)
    return {{clamp(nearest(c, options.rounding, axis, at)), 1.0f}};
  if (options.mode == ResizeMode::Linear) {
    at = clamp(at);
    Number low = c.floor(at);
    Number weight = c.sub(at, low);
    return {{low, c.sub(1.0f, weight)}, {clamp(c.add(low, 1.0f)), weight}};
  }
  Number low = c.floor(at);
  Number s = c.sub(at, low), t = c.sub(1.0f, s);
  float a = options.cubic;
  Number weights[] = {cubicOuter(c, a, c.add(s, 1.0f)), cubicInner(c, a, s),
                      cubicInner(c, a, t), cubicOuter(c, a, c.add(t, 1.0f))};
  SmallVector<Tap> taps;
  Number total = 0.0f;
  for (int i = 0; i < 4; ++i) {
    Number index = c.add(low, static_cast<float>(i - 1));
    Number weight = weights[i];
    if (options.excludeOutside) {
      weight = c.ifAtMost(0.0f, index, weight, 0.0f);
      weight = c.ifAtMost(index, last, weight, 0.0f);
      total = c.add(total, weight);
    }
    taps.push_back({clamp(index), weight});
  }
  if (options.excludeOutside)
    for (Tap &tap : taps)
      tap.weight = c.div(tap.weight, total);
  return taps;
}

SmallVector<std::pair<int64_t, float>>
antialiasTaps(ImplicitLocOpBuilder &b, const ResizeOptions &options,
              const ResizeAxis &axis, int64_t x) {
  float scale = axis.scale.known;
  float support = options.mode == ResizeMode::Linear ? 1 : 2;
  float shrink = std::min(scale, 1.0f);
  support /= shrink;
  float center = originalPosition(b, options, axis, Number(x)).known + 0.5f;
  auto in = static_cast<int64_t>(axis.in.known);
  auto first = static_cast<int64_t>(std::floor(center - support + 0.5f));
  auto end = static_cast<int64_t>(std::floor(center + support + 0.5f));
  if (options.excludeOutside) {
    first = std::max<int64_t>(first, 0);
    end = std::min(end, in);
  }
  SmallVector<std::pair<int64_t, float>> taps;
  float total = 0;
  for (int64_t i = first; i < end; ++i) {
    float weight =
        filterAt(options, (static_cast<float>(i) - center + 0.5f) * shrink);
    total += weight;
    int64_t index = std::clamp<int64_t>(i, 0, in - 1);
    if (!taps.empty() && taps.back().first == index)
      taps.back().second += weight;
    else
      taps.emplace_back(index, weight);
  }
  if (taps.empty())
    taps.emplace_back(std::clamp<int64_t>(first, 0, in - 1), 1.0f);
  else if (total != 0)
    for (auto &[index, weight] : taps)
      weight /= total;
  return taps;
}

} // namespace mlir::tamis::onnx
