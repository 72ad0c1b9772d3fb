// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What calibration gathers of a tensor: the one place that says which
// statistics there are, how large they are and how two of them merge. They
// stand in the `statistics` dictionary of `tamis.observe`, one entry per kind,
// and under the same names in a calibration cache.
#ifndef TAMIS_COMPRESS_STATISTICS_H
#define TAMIS_COMPRESS_STATISTICS_H

#include "llvm/ADT/StringRef.h"
#include <bit>
#include <cstdint>

namespace mlir::tamis::statistics {

/// tensor<2xf32>: least and greatest value. Merge: minimum, maximum.
inline constexpr llvm::StringLiteral kMinMax = "minmax";

/// tensor<32768xi64>: how many elements fell into each bin of `getBin`. Merge:
/// sum. Bins follow the float's own exponent, so no range has to be known
/// before and one pass over the data is enough (64 bins an octave: a bin is at
/// most 1.6 % wide). Infinities and NaN have bins of their own.
inline constexpr llvm::StringLiteral kHistogram = "histogram";
inline constexpr int64_t kHistogramShift = 17, kHistogramBins = 1 << 15;

/// tensor<Cxf32>: greatest absolute value per channel. Merge: maximum.
inline constexpr llvm::StringLiteral kChannelAbsMax = "channel_absmax";

/// tensor<3xCxf32>: per channel the number of elements, their sum, the sum of
/// their squares. Merge: sum (the host adds in float64).
inline constexpr llvm::StringLiteral kChannelMoments = "channel_moments";

/// tensor<2xCxf32>: per channel the number of elements and the sum of their
/// absolute values. Merge: sum (the host adds in float64).
inline constexpr llvm::StringLiteral kChannelMagnitudes = "channel_magnitudes";

/// tensor<(K+1)x(K+1)xf32>: sum over all vectors along `axis` (the last
/// dimension where there is none) of [x, 1] transposed times [x, 1]: second
/// moments, sums and, in the corner, the number of vectors. Merge: sum.
/// Of a parameter tensor<Gx(K+1)x(K+1)xf32>: the vectors are what the elements
/// of one reduction of the contraction that reads it are multiplied with,
/// window and padding included, ordered kernel height, kernel width, channel
/// fastest; one matrix a group.
inline constexpr llvm::StringLiteral kGram = "gram";

/// Of a parameter, in its shape, float32: the derivative of the loss by each
/// element. It comes from the user.
inline constexpr llvm::StringLiteral kGradient = "gradient";

/// The bin of a value and the value in the middle of a bin.
inline uint32_t getBin(float value) {
  return std::bit_cast<uint32_t>(value) >> kHistogramShift;
}
inline float getBinCenter(uint32_t bin) {
  // Zero and the subnormal numbers around it count as zero.
  return (bin & 0x3fff) == 0
             ? 0.0f
             : std::bit_cast<float>(bin << kHistogramShift |
                                    1u << (kHistogramShift - 1));
}

} // namespace mlir::tamis::statistics

#endif // TAMIS_COMPRESS_STATISTICS_H
