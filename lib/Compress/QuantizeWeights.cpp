// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Floats to integers, group of one scale by group.
#include "QuantizeWeights.h"
#include "SecondMoments.h"
#include "tamis/Compress/Statistics.h"
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

/// The integers of a scheme that weights use: two signed bits are the three
/// levels -1, 0, 1 if symmetric, one bit is -1 and 1 (and 0 for what is zero).
static int32_t toInteger(float value, QuantParameters p, SchemeAttr scheme) {
  if (scheme.getBits() == 1)
    return value > 0 ? 1 : value < 0 ? -1 : 0;
  int32_t integer = quantizeValue(value, p, scheme);
  if (scheme.getBits() == 2 && scheme.getSymmetric() && !scheme.getIsUnsigned())
    return std::max(integer, -1);
  return integer;
}

/// Scale and zero point of one group.
static QuantParameters chooseParameters(ArrayRef<float> values,
                                        SchemeAttr scheme, RangeMethod method) {
  if (scheme.getBits() != 1)
    return getParameters(values, scheme, method);
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
    floats[i] = static_cast<float>(integer - p.zeroPoint) * p.scale;
  }
  return floats;
}

/// The least scale with which a group is in range around a given zero point.
static QuantParameters coverWithZero(ArrayRef<float> values, SchemeAttr scheme,
                                     int32_t zeroPoint) {
  // A zero point at an end has no room on that side; half a step is lost.
  double below = std::max<double>(zeroPoint - scheme.getMin(), 0.5);
  double above = std::max<double>(scheme.getMax() - zeroPoint, 0.5);
  double scale = 0x1p-100;
  for (float value : values)
    scale = std::max(scale, value < 0 ? -value / below : value / above);
  return {static_cast<float>(scale), zeroPoint};
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
  for (const std::vector<float> &group : groups) {
    bool empty = llvm::all_of(group, [](float value) { return value == 0; });
    result.parameters.push_back(
        empty        ? whole
        : sharesZero ? coverWithZero(group, scheme, whole.zeroPoint)
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
    p.scale = least[index];
  }
  result.values.reserve(values.size());
  for (auto [i, value] : llvm::enumerate(values))
    result.values.push_back(static_cast<int8_t>(
        toInteger(value, result.parameters[map(i)], scheme)));
  return result;
}

std::optional<std::string>
tamis::quantizeByMoments(WeightMatrix &matrix, ArrayRef<float> values,
                         SchemeAttr scheme, RangeMethod method,
                         QuantizedWeight &quantized) {
  int64_t n = matrix.columns, rows = matrix.rows;
  if (matrix.columns != matrix.channels || matrix.rowsPerGroup != rows)
    return "it slides a window or has groups";
  if (!matrix.input)
    return "its input channels are not an axis of an observed tensor";
  auto gram = readFloats(matrix.input.getStatisticsAttr(), statistics::kGram);
  if (!gram)
    return llvm::toString(gram.takeError());
  if (static_cast<int64_t>(gram->size()) != (n + 1) * (n + 1))
    return "its statistics are of another number of channels";
  auto factor = getInverseFactor(*gram, n);
  if (!factor)
    return "the statistic 'gram' is no matrix of second moments";

  std::vector<int32_t> offsets = matrix.getOffsets();
  ScaleMap map(matrix.use.observe.getType().getShape(), scheme);
  // Rows are independent; a few at once share what is read of the factor.
  constexpr int64_t kRows = 16;
  std::vector<float> current(kRows * n), group;
  for (int64_t first = 0; first < rows; first += kRows) {
    int64_t count = std::min(kRows, rows - first);
    for (int64_t i = 0; i < count * n; ++i)
      current[i] = values[offsets[first * n + i]];
    for (int64_t j = 0; j < n; ++j) {
      const float *right = &(*factor)[j * n];
      for (int64_t i = 0; i < count; ++i) {
        float *row = &current[i * n];
        const int32_t *at = &offsets[(first + i) * n];
        int64_t scale = map(at[j]);
        if (scheme.getBlock() && (j == 0 || map(at[j - 1]) != scale)) {
          group.clear();
          for (int64_t k = j; k < n && map(at[k]) == scale; ++k)
            group.push_back(values[at[k]] == 0 ? 0.0f : row[k]);
          if (llvm::any_of(group, [](float value) { return value != 0; }))
            quantized.parameters[scale] =
                chooseParameters(group, scheme, method);
        }
        const QuantParameters &p = quantized.parameters[scale];
        // What is pruned stays pruned; the others make good for it.
        int32_t integer =
            values[at[j]] == 0 ? p.zeroPoint : toInteger(row[j], p, scheme);
        quantized.values[at[j]] = static_cast<int8_t>(integer);
        float error =
            (row[j] - static_cast<float>(integer - p.zeroPoint) * p.scale) /
            right[j];
        for (int64_t k = j + 1; k < n; ++k)
          row[k] -= error * right[k];
      }
    }
  }
  return std::nullopt;
}
