// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Number systems whose values are fixed: powers of two and small floats.
#include "ValueSet.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/STLExtras.h"
#include <cmath>

using namespace mlir;
using namespace mlir::tamis;

Type ValueSet::getCodeType(MLIRContext *context) const {
  return IntegerType::get(context, 8);
}

void ListedValues::setValues(std::vector<float> values) {
  byCode = std::move(values);
  ascending.clear();
  for (auto [code, value] : llvm::enumerate(byCode))
    if (std::isfinite(value))
      ascending.push_back({value, static_cast<uint16_t>(code)});
  llvm::stable_sort(ascending, llvm::less_first());
  ascending.erase(
      llvm::unique(ascending, [](const auto &a,
                                 const auto &b) { return a.first == b.first; }),
      ascending.end());
}

uint16_t ListedValues::toCode(float unit) const {
  auto above =
      llvm::lower_bound(ascending, unit, [](const auto &entry, float value) {
        return entry.first < value;
      });
  if (above == ascending.begin())
    return above->second;
  auto below = std::prev(above);
  if (above == ascending.end())
    return below->second;
  double up = double(above->first) - unit, down = double(unit) - below->first;
  if (up != down)
    return up < down ? above->second : below->second;
  return above->second % 2 == 0 ? above->second : below->second;
}

static float getLargest(ArrayRef<float> group) {
  float largest = 0;
  for (float value : group)
    largest = std::max(largest, std::fabs(value));
  return largest;
}

namespace {
/// Zero, and a sign with 2 to the 0, -1, -2, …: a product with it is a shift
/// (Miyashita et al., "Convolutional Neural Networks using Logarithmic Data
/// Representation", 2016). The code's highest bit is the sign, its others are
/// one more than the exponent's magnitude. Scales are powers of two.
class PowersOfTwo : public ListedValues {
public:
  explicit PowersOfTwo(int64_t bits) {
    int half = 1 << (bits - 1);
    std::vector<float> values(2 * half, 0.0f);
    for (int i = 1; i < half; ++i) {
      values[i] = std::ldexp(1.0f, 1 - i);
      values[half + i] = -values[i];
    }
    setValues(std::move(values));
  }

  /// What the largest value is rounded up or down to, by the squared error.
  float chooseScale(ArrayRef<float> group) const override {
    int exponent = std::ilogb(getLargest(group));
    double least = 0;
    float best = 0;
    for (int candidate : {exponent, exponent + 1}) {
      float scale = std::ldexp(1.0f, std::clamp(candidate, -100, 127));
      double error = 0;
      for (float value : group) {
        double back = double(toValue(toCode(value / scale))) * scale;
        error += (back - value) * (back - value);
      }
      if (best == 0 || error < least) {
        best = scale;
        least = error;
      }
    }
    return best;
  }
};

/// A float of eight bits (Micikevicius et al., "FP8 Formats for Deep Learning",
/// 2022); the largest weight becomes its largest value.
class Float8 : public ListedValues {
public:
  Float8(const llvm::fltSemantics &semantics, StringRef format)
      : format(format) {
    std::vector<float> values;
    for (int code = 0; code < 256; ++code) {
      llvm::APFloat value(semantics, llvm::APInt(8, code));
      values.push_back(value.convertToFloat());
      if (value.isFinite())
        reach = std::max(reach, values.back());
    }
    setValues(std::move(values));
  }

  float chooseScale(ArrayRef<float> group) const override {
    return std::max(getLargest(group) / reach, 0x1p-100f);
  }
  StringRef getFormat() const override { return format; }

private:
  StringRef format;
  float reach = 0;
};

/// float16 and bfloat16, which need no scale.
class Half : public ValueSet {
public:
  explicit Half(const llvm::fltSemantics &semantics) : semantics(semantics) {}

  float chooseScale(ArrayRef<float>) const override { return 1; }
  uint16_t toCode(float unit) const override {
    llvm::APFloat value(unit);
    bool inexact;
    value.convert(semantics, llvm::APFloat::rmNearestTiesToEven, &inexact);
    return static_cast<uint16_t>(value.bitcastToAPInt().getZExtValue());
  }
  float toValue(uint16_t code) const override {
    return llvm::APFloat(semantics, llvm::APInt(16, code)).convertToFloat();
  }
  Type getCodeType(MLIRContext *context) const override {
    if (&semantics == &llvm::APFloat::IEEEhalf())
      return Float16Type::get(context);
    return BFloat16Type::get(context);
  }

private:
  const llvm::fltSemantics &semantics;
};
} // namespace

std::unique_ptr<ValueSet> tamis::makeValueSet(SchemeAttr scheme,
                                              uint64_t seed) {
  switch (scheme.getSystem()) {
  case NumberSystem::Integer:
  case NumberSystem::FixedPoint:
    break;
  case NumberSystem::Codebook:
    return makeCodebook(scheme.getBits(), !scheme.isPerTensor(), seed);
  case NumberSystem::PowerOfTwo:
    return std::make_unique<PowersOfTwo>(scheme.getBits());
  case NumberSystem::Float8E4M3FN:
    return std::make_unique<Float8>(llvm::APFloat::Float8E4M3FN(),
                                    "float8_e4m3fn");
  case NumberSystem::Float8E5M2:
    return std::make_unique<Float8>(llvm::APFloat::Float8E5M2(), "float8_e5m2");
  case NumberSystem::Float16:
    return std::make_unique<Half>(llvm::APFloat::IEEEhalf());
  case NumberSystem::BFloat16:
    return std::make_unique<Half>(llvm::APFloat::BFloat());
  }
  llvm_unreachable("integers are quantized, not listed");
}
