// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Floats to integers, group of one scale by group.
#include "QuantizeWeights.h"
#include "tamis/Transforms/ExactGrid.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>

using namespace mlir;
using namespace mlir::tamis;

ScaleMap::ScaleMap(ArrayRef<int64_t> tensor, SchemeAttr scheme)
    : axis(scheme.getAxis()), block(scheme.getBlock()) {
  if (axis < 0)
    return;
  extent = tensor[axis];
  for (int64_t size : tensor.drop_front(axis + 1))
    inner *= size;
  if (!block) {
    shape.push_back(extent);
    return;
  }
  blocks = llvm::divideCeil(extent, block);
  shape.assign(tensor.begin(), tensor.end());
  shape[axis] = blocks;
}

int64_t ScaleMap::operator()(int64_t element) const {
  if (axis < 0)
    return 0;
  int64_t at = element / inner % extent;
  if (!block)
    return at;
  int64_t outer = element / inner / extent;
  return (outer * blocks + at / block) * inner + element % inner;
}

int64_t ScaleMap::getCount() const {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  return count;
}

std::string tamis::getName(SchemeAttr scheme) {
  std::string bits = std::to_string(scheme.getBits()), name;
  switch (scheme.getSystem()) {
  case NumberSystem::Integer:
    name = (scheme.getIsUnsigned() ? "uint" : "int") + bits;
    break;
  case NumberSystem::FixedPoint:
    name = "fixed" + bits;
    break;
  case NumberSystem::Codebook:
    name = "codebook" + bits;
    break;
  case NumberSystem::PowerOfTwo:
    name = "log" + bits;
    break;
  default:
    name = stringifyNumberSystem(scheme.getSystem()).str();
  }
  if (scheme.getBlock())
    name += " block " + std::to_string(scheme.getBlock());
  if (scheme.getOffset())
    name += " offset";
  return name;
}

int64_t tamis::pickLongest(ArrayRef<int64_t> shape, ArrayRef<int64_t> axes) {
  int64_t best = -1;
  for (int64_t axis : axes)
    if (best < 0 || shape[axis] > shape[best])
      best = axis;
  return best;
}

int32_t tamis::toInteger(float value, QuantParameters p, SchemeAttr scheme) {
  if (scheme.getBits() == 1)
    return value > 0 ? 1 : value < 0 ? -1 : 0;
  if (scheme.getOffset())
    return ExactGrid{p.scale, p.offset}.getLevel(value);
  int32_t integer = quantizeValue(value, p, scheme);
  if (scheme.getBits() == 2 && scheme.getSymmetric() && !scheme.getIsUnsigned())
    return std::max(integer, -1);
  return integer;
}

std::optional<QuantParameters>
tamis::findExactParameters(ArrayRef<float> values, SchemeAttr scheme) {
  auto range = static_cast<int32_t>(scheme.getMax() - scheme.getMin());
  if (scheme.getOffset()) {
    auto grid = findOffsetGrid(values, range);
    return grid ? std::optional(QuantParameters{grid->scale, 0, grid->offset})
                : std::nullopt;
  }
  auto grid = findMultiples(values, range);
  if (!grid || grid->high - grid->low > range)
    return std::nullopt;
  // Symmetric where that is enough.
  auto zeroPoint = static_cast<int32_t>(
      scheme.getIsUnsigned() ? (scheme.getMax() + 1) / 2 : 0);
  if (scheme.getMin() - zeroPoint <= grid->low &&
      grid->high <= scheme.getMax() - zeroPoint)
    return QuantParameters{grid->scale, zeroPoint};
  if (scheme.getSymmetric())
    return std::nullopt;
  return QuantParameters{grid->scale,
                         static_cast<int32_t>(scheme.getMin()) - grid->low};
}

QuantParameters tamis::chooseParameters(ArrayRef<float> values,
                                        SchemeAttr scheme, RangeMethod method,
                                        ArrayRef<float> importance) {
  // One value alone would get a scale as large as itself.
  if (scheme.getExact() ||
      (scheme.getSystem() == NumberSystem::Integer && scheme.getBits() > 2 &&
       scheme.getBlock() && values.size() >= 16))
    if (auto exact = findExactParameters(values, scheme))
      return *exact;
  if (scheme.getBits() != 1)
    return getParameters(values, scheme, method, importance);
  // The mean magnitude is the least-squares scale of signs (XNOR-Net;
  // Rastegari et al., ECCV 2016).
  double sum = 0;
  int64_t count = 0;
  for (float value : values) {
    sum += std::fabs(value);
    count += value != 0;
  }
  float mean = count ? static_cast<float>(sum / double(count)) : 1.0f;
  return {std::max(mean, 0x1p-100f), 0};
}

std::vector<float> QuantizedWeight::dequantize(const ScaleMap &map,
                                               SchemeAttr scheme) const {
  std::vector<float> floats(values.size());
  for (auto [i, value] : llvm::enumerate(values)) {
    const QuantParameters &p = parameters[map(i)];
    int32_t integer =
        scheme.getIsUnsigned() ? static_cast<uint8_t>(value) : value;
    floats[i] = ExactGrid{p.scale, p.offset}.getValue(integer - p.zeroPoint);
  }
  return floats;
}

namespace {
/// The values of one channel, as a zero point that others share sees them.
struct Channel {
  double low = 0, high = 0, power = 0;

  explicit Channel(const std::vector<float> &values) {
    for (float value : values) {
      low = std::min<double>(low, value);
      high = std::max<double>(high, value);
      power += double(value) * value;
    }
  }

  /// With the least scale that brings them in range around `zeroPoint`.
  QuantParameters getParameters(SchemeAttr scheme, int32_t zeroPoint) const {
    // A zero point at an end has no room on that side; half a step is lost.
    double below = std::max<double>(zeroPoint - scheme.getMin(), 0.5);
    double above = std::max<double>(scheme.getMax() - zeroPoint, 0.5);
    double scale = std::max({-low / below, high / above, 0x1p-100});
    return {static_cast<float>(scale), zeroPoint};
  }
};
} // namespace

/// The zero point that loses least of all channels together, each against its
/// own power: one for the widest may have no room for others.
static int32_t chooseSharedZero(ArrayRef<Channel> channels, SchemeAttr scheme) {
  int32_t best = 0;
  double least = std::numeric_limits<double>::infinity();
  for (int32_t zero = scheme.getMin(); zero <= scheme.getMax(); ++zero) {
    double loss = 0;
    for (const Channel &channel : channels)
      if (channel.power > 0) {
        double scale = channel.getParameters(scheme, zero).scale;
        loss += scale * scale / channel.power;
      }
    if (loss < least) {
      least = loss;
      best = zero;
    }
  }
  return best;
}

QuantizedWeight tamis::quantizeWeight(ArrayRef<float> values,
                                      ArrayRef<int64_t> shape,
                                      SchemeAttr scheme, RangeMethod method,
                                      ArrayRef<float> least) {
  ScaleMap map(shape, scheme);
  std::vector<std::vector<float>> groups(map.getCount());
  for (auto [i, value] : llvm::enumerate(values))
    groups[map(i)].push_back(value);
  QuantizedWeight result;
  result.scaleShape = map.shape;
  QuantParameters whole = chooseParameters(values, scheme, RangeMethod::MinMax);
  // One zero point for all channels: an integer product can take off only one.
  bool sharesZero =
      !scheme.getSymmetric() && !scheme.isPerTensor() && !scheme.getBlock();
  std::vector<Channel> channels(groups.begin(), groups.end());
  if (sharesZero)
    whole.zeroPoint = chooseSharedZero(channels, scheme);
  for (const auto &[group, channel] : llvm::zip_equal(groups, channels)) {
    bool empty = !scheme.getOffset() &&
                 llvm::all_of(group, [](float value) { return value == 0; });
    result.parameters.push_back(
        empty        ? whole
        : sharesZero ? channel.getParameters(scheme, whole.zeroPoint)
                     : chooseParameters(group, scheme, method));
    QuantParameters &p = result.parameters.back();
    size_t index = result.parameters.size() - 1;
    if (least.empty() || p.scale >= least[index])
      continue;
    if (!scheme.getSymmetric() && !sharesZero) {
      // The same real zero; a wider range needs no clamp.
      double low = double(scheme.getMin() - p.zeroPoint) * p.scale;
      p.zeroPoint = static_cast<int32_t>(
          std::nearbyint(double(scheme.getMin()) - low / least[index]));
    }
    p.scale = fitScale(least[index], scheme);
  }
  result.values.reserve(values.size());
  for (auto [i, value] : llvm::enumerate(values))
    result.values.push_back(static_cast<int16_t>(
        toInteger(value, result.parameters[map(i)], scheme)));
  return result;
}
