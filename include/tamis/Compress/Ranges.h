// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From what was seen of a tensor to scale and zero point. Pure arithmetic on
// host data; no IR is changed here.
#ifndef TAMIS_COMPRESS_RANGES_H
#define TAMIS_COMPRESS_RANGES_H

#include "mlir/IR/BuiltinAttributes.h"
#include "tamis/IR/Tamis.h"
#include "llvm/Support/Error.h"
#include <vector>

namespace mlir::tamis {

/// How a range is chosen from what was seen.
/// - MinMax: everything seen (a moving average is made by the host, which then
///   gives its result as minimum and maximum).
/// - Percentile: all but the given share of the values, split evenly on two
///   tails where the values have two.
/// - Entropy: least Kullback-Leibler divergence between the values and the
///   quantized values (Migacz, "8-bit inference with TensorRT", GTC 2017).
/// - MSE: least mean squared error (as in Banner et al., NeurIPS 2019, on the
///   measured distribution).
enum class RangeMethod { MinMax, Percentile, Entropy, MSE };

std::optional<RangeMethod> parseRangeMethod(StringRef name);

/// Real values that integers are to cover. Zero is always inside.
struct Interval {
  double low = 0, high = 0;
};

/// A scale and a zero point, or a real offset in place of one; the scale is a
/// normal float above zero.
struct QuantParameters {
  float scale = 1.0f;
  int32_t zeroPoint = 0;
  float offset = 0.0f;
};

/// The values a tensor took, by magnitude, from the `histogram` statistic.
struct Distribution {
  struct Bin {
    float low, high; // low < high, or both zero
    float center;
    double count;
  };
  /// Ascending, none empty.
  std::vector<Bin> bins;
  double count = 0;
};

/// Reads the entry `minmax` of `statistics`. Errors: no such entry, another
/// shape, nothing seen (minimum above maximum), NaN, infinity.
llvm::Expected<Interval> readMinMax(DictionaryAttr statistics);

/// Reads the entry `histogram`. Errors as above.
llvm::Expected<Distribution> readHistogram(DictionaryAttr statistics);

/// Reads an entry of float32 elements, all finite, of any shape.
llvm::Expected<std::vector<float>> readFloats(DictionaryAttr statistics,
                                              StringRef name);

/// The range that `method` chooses for `scheme`. `percentile` is in percent.
llvm::Expected<Interval> chooseRange(DictionaryAttr statistics,
                                     RangeMethod method, double percentile,
                                     SchemeAttr scheme);

/// The union of two sets of statistics (`minmax`, `histogram`), for tensors
/// that must share one scale.
DictionaryAttr mergeStatistics(DictionaryAttr a, DictionaryAttr b);

/// The least scale from `scale` on that the scheme's number system has: a power
/// of two for fixed point, the one that `fraction` fixes. Zero gives one.
float fitScale(double scale, SchemeAttr scheme);

/// Scale and zero point that cover `range`. Real zero is an integer. A range of
/// nothing but zero gets the scale one; a tiny one the least safe scale.
QuantParameters getParameters(Interval range, SchemeAttr scheme);

/// The same for given values; with `method` MSE the range is narrowed to where
/// their squared error is least (a line search), each times its `importance`,
/// if that is not empty.
QuantParameters getParameters(ArrayRef<float> values, SchemeAttr scheme,
                              RangeMethod method,
                              ArrayRef<float> importance = {});

/// `saturate(round_half_even(x / scale) + zero)`: quantize_n1 on the host.
int32_t quantizeValue(float x, QuantParameters parameters, SchemeAttr scheme);

} // namespace mlir::tamis

#endif // TAMIS_COMPRESS_RANGES_H
