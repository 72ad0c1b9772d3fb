// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Ranges, scales and zero points. Ranges are doubles throughout: the width of
// a float range may be larger than any float.
#include "tamis/Compress/Ranges.h"
#include "tamis/Compress/Statistics.h"
#include "tamis/Transforms/ConstantTensor.h"
#include "llvm/ADT/StringSwitch.h"
#include <cfloat>
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace mlir::tamis;

static llvm::Error makeError(const Twine &message) {
  return llvm::createStringError(message.str());
}

std::optional<RangeMethod> tamis::parseRangeMethod(StringRef name) {
  return llvm::StringSwitch<std::optional<RangeMethod>>(name)
      .Cases({"minmax", "moving_average"}, RangeMethod::MinMax)
      .Case("percentile", RangeMethod::Percentile)
      .Case("entropy", RangeMethod::Entropy)
      .Case("mse", RangeMethod::MSE)
      .Default(std::nullopt);
}

//===-- reading statistics ------------------------------------------------===//

static llvm::Expected<ConstantTensor> readEntry(DictionaryAttr statistics,
                                                StringRef name) {
  Attribute attr = statistics ? statistics.get(name) : Attribute();
  if (!attr)
    return makeError("no statistic '" + name + "'; calibrate first");
  auto constant = readConstant(attr);
  if (!constant)
    return makeError("statistic '" + name + "' is not a tensor");
  return std::move(*constant);
}

llvm::Expected<std::vector<float>> tamis::readFloats(DictionaryAttr statistics,
                                                     StringRef name) {
  auto entry = readEntry(statistics, name);
  if (!entry)
    return entry.takeError();
  if (!entry->type.getElementType().isF32())
    return makeError("statistic '" + name + "' expected float32 elements");
  std::vector<float> values(entry->type.getNumElements());
  if (entry->splat) {
    float value;
    std::memcpy(&value, entry->bytes.data(), sizeof(value));
    std::fill(values.begin(), values.end(), value);
  } else if (!values.empty()) {
    std::memcpy(values.data(), entry->bytes.data(), values.size() * 4);
  }
  for (float value : values)
    if (!std::isfinite(value))
      return makeError("statistic '" + name +
                       "' holds a NaN or an infinity: the calibration data "
                       "drive this tensor out of range");
  return values;
}

llvm::Expected<Interval> tamis::readMinMax(DictionaryAttr statistics) {
  // An empty tensor's minimum is infinity: that is not the data's fault.
  auto entry = readEntry(statistics, statistics::kMinMax);
  if (!entry)
    return entry.takeError();
  if (entry->type.getNumElements() != 2)
    return makeError("statistic 'minmax' expected 2 elements, got " +
                     Twine(entry->type.getNumElements()));
  if (!entry->splat && entry->type.getElementType().isF32()) {
    float ends[2];
    std::memcpy(ends, entry->bytes.data(), sizeof(ends));
    if (ends[0] > ends[1])
      return makeError("no element was seen");
  }
  auto values = readFloats(statistics, statistics::kMinMax);
  if (!values)
    return values.takeError();
  return Interval{(*values)[0], (*values)[1]};
}

llvm::Expected<Distribution> tamis::readHistogram(DictionaryAttr statistics) {
  auto entry = readEntry(statistics, statistics::kHistogram);
  if (!entry)
    return entry.takeError();
  if (entry->type.getNumElements() != statistics::kHistogramBins ||
      !entry->type.getElementType().isInteger(64) || entry->splat)
    return makeError("statistic 'histogram' expected " +
                     Twine(statistics::kHistogramBins) + " i64 elements");
  const char *bytes = entry->bytes.data();
  constexpr uint32_t kHalf = statistics::kHistogramBins / 2;
  // The first bin of an infinite exponent.
  constexpr uint32_t kInfinite = 0x7f800000u >> statistics::kHistogramShift;
  Distribution result;
  auto add = [&](uint32_t bin) {
    int64_t count;
    std::memcpy(&count, bytes + bin * sizeof(count), sizeof(count));
    if (count <= 0)
      return;
    uint32_t magnitude = bin % kHalf;
    auto edge = [&](uint32_t at) {
      return std::bit_cast<float>(at << statistics::kHistogramShift);
    };
    float center = statistics::getBinCenter(bin);
    float near = center == 0 ? 0.0f : edge(magnitude);
    float far = center == 0                  ? 0.0f
                : magnitude + 1 == kInfinite ? FLT_MAX
                                             : edge(magnitude + 1);
    if (bin < kHalf)
      result.bins.push_back({near, far, center, double(count)});
    else
      result.bins.push_back({-far, -near, center, double(count)});
    result.count += double(count);
  };
  for (uint32_t magnitude = kInfinite; magnitude < kHalf; ++magnitude)
    for (uint32_t bin : {magnitude, magnitude + kHalf}) {
      int64_t count;
      std::memcpy(&count, bytes + bin * sizeof(count), sizeof(count));
      if (count != 0)
        return makeError("statistic 'histogram' holds a NaN or an infinity: "
                         "the calibration data drive this tensor out of range");
    }
  for (uint32_t magnitude = kInfinite; magnitude-- > 0;)
    add(magnitude + kHalf);
  for (uint32_t magnitude = 0; magnitude < kInfinite; ++magnitude)
    add(magnitude);
  if (result.bins.empty())
    return makeError("no element was seen");
  return result;
}

DictionaryAttr tamis::mergeStatistics(DictionaryAttr a, DictionaryAttr b) {
  if (!a || !b)
    return a ? a : b;
  NamedAttrList merged;
  auto left = readFloats(a, statistics::kMinMax);
  auto right = readFloats(b, statistics::kMinMax);
  if (left && right && left->size() == 2 && right->size() == 2) {
    float ends[2] = {std::min((*left)[0], (*right)[0]),
                     std::max((*left)[1], (*right)[1])};
    auto type = RankedTensorType::get({2}, Float32Type::get(a.getContext()));
    merged.set(statistics::kMinMax,
               DenseElementsAttr::get(type, ArrayRef<float>(ends)));
  }
  llvm::consumeError(left.takeError());
  llvm::consumeError(right.takeError());
  auto leftBins = readEntry(a, statistics::kHistogram);
  auto rightBins = readEntry(b, statistics::kHistogram);
  if (leftBins && rightBins && leftBins->type == rightBins->type &&
      !leftBins->splat && !rightBins->splat) {
    SmallVector<int64_t> sum(leftBins->type.getNumElements());
    auto *from = leftBins->bytes.data(), *with = rightBins->bytes.data();
    for (auto [i, at] : llvm::enumerate(sum)) {
      int64_t x, y;
      std::memcpy(&x, from + i * 8, 8);
      std::memcpy(&y, with + i * 8, 8);
      at = x + y;
    }
    merged.set(statistics::kHistogram,
               DenseElementsAttr::get(leftBins->type, ArrayRef<int64_t>(sum)));
  }
  llvm::consumeError(leftBins.takeError());
  llvm::consumeError(rightBins.takeError());
  return merged.getDictionary(a.getContext());
}

//===-- scale and zero point ----------------------------------------------===//

/// Below this, x / scale of an ordinary x would be infinite.
static constexpr float kLeastScale = 0x1p-100f;

/// The largest integer used: symmetric signed ranges leave out the lowest one,
/// so that negation stays in range.
static double getPositiveLevels(SchemeAttr scheme) {
  if (scheme.getIsUnsigned()) {
    int64_t middle = int64_t(1) << (scheme.getBits() - 1);
    return scheme.getMax() - middle;
  }
  return scheme.getMax();
}

float tamis::fitScale(double scale, SchemeAttr scheme) {
  if (scheme.getFraction())
    return std::ldexp(1.0f, static_cast<int>(-*scheme.getFraction()));
  if (scale == 0)
    return 1.0f;
  if (scheme.getSystem() == NumberSystem::FixedPoint) {
    int exponent;
    double mantissa = std::frexp(scale, &exponent);
    scale = std::ldexp(1.0, mantissa == 0.5 ? exponent - 1 : exponent);
  }
  return std::max(static_cast<float>(scale), kLeastScale);
}

QuantParameters tamis::getParameters(Interval range, SchemeAttr scheme) {
  double low = std::min(range.low, 0.0), high = std::max(range.high, 0.0);
  int64_t min = scheme.getMin(), max = scheme.getMax();
  QuantParameters result;
  double scale;
  if (scheme.getSymmetric()) {
    // One bit: the levels are -1 and 0 (or 0 and 1); count one step.
    double levels = std::max(getPositiveLevels(scheme), 1.0);
    scale = std::max(-low, high) / levels;
    result.zeroPoint =
        scheme.getIsUnsigned() ? int64_t(1) << (scheme.getBits() - 1) : 0;
  } else {
    scale = (high - low) / double(max - min);
  }
  result.scale = fitScale(scale, scheme);
  if (!scheme.getSymmetric()) {
    double zero = std::nearbyint(double(min) - low / result.scale);
    result.zeroPoint =
        static_cast<int32_t>(std::clamp(zero, double(min), double(max)));
  }
  return result;
}

int32_t tamis::quantizeValue(float x, QuantParameters parameters,
                             SchemeAttr scheme) {
  float low = static_cast<float>(scheme.getMin() - parameters.zeroPoint);
  float high = static_cast<float>(scheme.getMax() - parameters.zeroPoint);
  float units = x / parameters.scale;
  if (!(units > low)) // NaN too
    units = low;
  return static_cast<int32_t>(std::nearbyint(std::min(units, high))) +
         parameters.zeroPoint;
}

/// The sum over values of (what the integers stand for - value)², each times
/// `weigh(index)`.
template <typename Weigh>
static double sumSquaredErrors(ArrayRef<float> values,
                               QuantParameters parameters, SchemeAttr scheme,
                               Weigh weigh) {
  float low = static_cast<float>(scheme.getMin() - parameters.zeroPoint);
  float high = static_cast<float>(scheme.getMax() - parameters.zeroPoint);
  // Adding and taking off this rounds half to even, as quantizeValue does, and
  // needs no call: the search spends its time here. Several sums, because the
  // compiler must not reorder one.
  constexpr float kRounder = 0x1.8p23f;
  constexpr size_t kLanes = 8;
  auto get = [&](size_t i) {
    float units = std::min(std::max(values[i] / parameters.scale, low), high);
    double back = double((units + kRounder) - kRounder) * parameters.scale;
    return (back - values[i]) * (back - values[i]) * weigh(i);
  };
  double sums[kLanes] = {}, error = 0;
  size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes)
    for (size_t lane = 0; lane < kLanes; ++lane)
      sums[lane] += get(i + lane);
  for (; i < values.size(); ++i)
    error += get(i);
  for (double sum : sums)
    error += sum;
  return error;
}

static double getSquaredError(ArrayRef<float> values,
                              ArrayRef<float> importance,
                              QuantParameters parameters, SchemeAttr scheme) {
  if (importance.empty())
    return sumSquaredErrors(values, parameters, scheme,
                            [](size_t) { return 1.0f; });
  return sumSquaredErrors(values, parameters, scheme,
                          [&](size_t i) { return importance[i]; });
}

/// Whether the lowest integer, which has no positive counterpart, may stand for
/// a largest value that is positive. Of 8 bits it is one level of 127.
static bool mayBeNegative(SchemeAttr scheme) {
  return scheme.getSystem() == NumberSystem::Integer && scheme.getBlock() &&
         scheme.getSymmetric() && !scheme.getIsUnsigned() &&
         scheme.getBits() > 2 && scheme.getBits() < 8;
}

QuantParameters tamis::getParameters(ArrayRef<float> values, SchemeAttr scheme,
                                     RangeMethod method,
                                     ArrayRef<float> importance) {
  Interval range;
  for (float value : values) {
    range.low = std::min<double>(range.low, value);
    range.high = std::max<double>(range.high, value);
  }
  QuantParameters best = getParameters(range, scheme);
  if (method != RangeMethod::MSE)
    return best;
  double least = getSquaredError(values, importance, best, scheme);
  auto consider = [&](QuantParameters candidate) {
    double error = getSquaredError(values, importance, candidate, scheme);
    if (error < least) {
      least = error;
      best = candidate;
    }
  };
  // Where the longer tail is negative, a narrower symmetric range may still
  // cover it: the lowest integer has no positive counterpart. A negative scale
  // turns the tails round.
  constexpr int kSteps = 80;
  for (int step = 1; step <= kSteps && least > 0; ++step) {
    double shrink = 1.0 - 0.01 * step;
    QuantParameters candidate =
        getParameters({range.low * shrink, range.high * shrink}, scheme);
    consider(candidate);
    if (mayBeNegative(scheme)) {
      candidate.scale = -candidate.scale;
      consider(candidate);
    }
  }
  return best;
}

//===-- choosing a range --------------------------------------------------===//

/// All but `share` of the values on each tail.
static Interval cutTails(const Distribution &seen, Interval all,
                         double percentile) {
  bool twoTails = all.low < 0 && all.high > 0;
  double cut = (1.0 - percentile / 100.0) * seen.count / (twoTails ? 2 : 1);
  Interval range = all;
  double below = 0, above = 0;
  if (all.low < 0)
    for (const auto &bin : seen.bins) {
      if (below + bin.count > cut) {
        range.low = std::max<double>(all.low, bin.low);
        break;
      }
      below += bin.count;
    }
  if (all.high > 0)
    for (const auto &bin : llvm::reverse(seen.bins)) {
      if (above + bin.count > cut) {
        range.high = std::min<double>(all.high, bin.high);
        break;
      }
      above += bin.count;
    }
  return {std::min(range.low, 0.0), std::max(range.high, 0.0)};
}

/// The squared error of the values when integers cover `range`.
static double getExpectedError(const Distribution &seen, Interval range,
                               SchemeAttr scheme) {
  QuantParameters p = getParameters(range, scheme);
  double step = p.scale;
  double low = double(scheme.getMin() - p.zeroPoint) * step;
  double high = double(scheme.getMax() - p.zeroPoint) * step;
  double error = 0;
  for (const auto &bin : seen.bins) {
    double x = bin.center, off;
    if (x < low)
      off = (x - low) * (x - low);
    else if (x > high)
      off = (x - high) * (x - high);
    else if (double(bin.high) - bin.low >= step)
      off = step * step / 12; // the rounding error of evenly spread values
    else
      off = std::pow(x - std::nearbyint(x / step) * step, 2);
    error += bin.count * off;
  }
  return error;
}

static Interval searchLeastError(const Distribution &seen, Interval all,
                                 SchemeAttr scheme) {
  Interval best = all;
  double least = getExpectedError(seen, best, scheme);
  auto consider = [&](Interval range) {
    double error = getExpectedError(seen, range, scheme);
    if (error < least) {
      least = error;
      best = range;
    }
  };
  for (int step = 1; step < 100; ++step)
    consider({all.low * (1 - 0.01 * step), all.high * (1 - 0.01 * step)});
  if (scheme.getSymmetric())
    return best;
  // Each end for itself, from there.
  for (int step = 0; step < 100; ++step)
    consider({all.low * (1 - 0.01 * step), best.high});
  for (int step = 0; step < 100; ++step)
    consider({best.low, all.high * (1 - 0.01 * step)});
  return best;
}

/// Migacz's search over thresholds of |x|, on 2048 even bins.
static Interval searchLeastDivergence(const Distribution &seen, Interval all,
                                      SchemeAttr scheme) {
  constexpr int kBins = 2048;
  double reach = std::max(-all.low, all.high);
  if (reach == 0)
    return all;
  // Zero is exact in every candidate: it would only hide the rest.
  std::vector<double> counts(kBins);
  double width = reach / kBins;
  for (const auto &bin : seen.bins) {
    if (bin.center == 0)
      continue;
    double from = std::min(std::fabs(bin.low), std::fabs(bin.high));
    double to = std::min<double>(
        reach, std::max(std::fabs(bin.low), std::fabs(bin.high)));
    if (to <= from) {
      counts[kBins - 1] += bin.count;
      continue;
    }
    int first = std::min<int>(from / width, kBins - 1);
    int last = std::min<int>(std::ceil(to / width), kBins);
    for (int i = first; i < last; ++i) {
      double share =
          (std::min(to, (i + 1) * width) - std::max(from, i * width)) /
          (to - from);
      counts[i] += std::max(share, 0.0) * bin.count;
    }
  }
  // As many levels as one side of zero has.
  bool oneSided = all.low >= 0 || all.high <= 0;
  int levels = 1 << (scheme.getBits() - 1);
  if (oneSided && !scheme.getSymmetric())
    levels *= 2;
  levels = std::min(levels, kBins);
  double total = 0;
  for (double count : counts)
    total += count;
  double least = std::numeric_limits<double>::infinity(), inside = 0;
  int best = kBins;
  for (int i = 0; i < levels && i < kBins; ++i)
    inside += counts[i];
  for (int end = levels; end <= kBins; ++end) {
    double outside = total - inside;
    if (end < kBins)
      inside += counts[end];
    double divergence = 0;
    for (int level = 0; level < levels; ++level) {
      int from = int64_t(level) * end / levels;
      int to = int64_t(level + 1) * end / levels;
      double sum = 0;
      int filled = 0;
      for (int i = from; i < to; ++i) {
        sum += counts[i];
        filled += counts[i] > 0;
      }
      for (int i = from; i < to; ++i) {
        double p = counts[i] + (i == end - 1 ? outside : 0);
        if (p <= 0)
          continue;
        double q = counts[i] > 0 ? sum / filled : 1e-4;
        divergence += p / total * std::log(p / total / (q / total));
      }
    }
    // Normalization of q: its sum is total - outside.
    if (total > outside)
      divergence += std::log((total - outside) / total);
    // Of equal ones the widest: few values that lie apart are all alike.
    if (divergence <= least) {
      least = divergence;
      best = end;
    }
  }
  double threshold = best * width;
  return {std::max(all.low, -threshold), std::min(all.high, threshold)};
}

llvm::Expected<Interval> tamis::chooseRange(DictionaryAttr statistics,
                                            RangeMethod method,
                                            double percentile,
                                            SchemeAttr scheme) {
  auto all = readMinMax(statistics);
  if (!all || method == RangeMethod::MinMax)
    return all;
  auto seen = readHistogram(statistics);
  if (!seen)
    return seen.takeError();
  Interval whole{std::min(all->low, 0.0), std::max(all->high, 0.0)};
  switch (method) {
  case RangeMethod::Percentile:
    return cutTails(*seen, whole, percentile);
  case RangeMethod::Entropy:
    return searchLeastDivergence(*seen, whole, scheme);
  case RangeMethod::MSE:
    return searchLeastError(*seen, whole, scheme);
  case RangeMethod::MinMax:
    break;
  }
  return all;
}
