// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A parameter as integers with scales, before it becomes IR.
#ifndef TAMIS_LIB_COMPRESS_QUANTIZEWEIGHTS_H
#define TAMIS_LIB_COMPRESS_QUANTIZEWEIGHTS_H

#include "InputMoments.h"
#include "tamis/Compress/Ranges.h"
#include <memory>
#include <string>

namespace mlir::tamis {

struct RoundingInputs;

/// Which scale each element of a tensor has, for a scheme with or without axis
/// and block.
class ScaleMap {
public:
  ScaleMap(ArrayRef<int64_t> shape, SchemeAttr scheme);
  int64_t operator()(int64_t element) const;
  int64_t getCount() const;
  /// The shape of the tensor of scales.
  SmallVector<int64_t> shape;

private:
  int64_t axis, extent = 1, inner = 1, block, blocks = 1;
};

/// The longest of some axes of `shape`, the first of equals; -1 if there are
/// none.
int64_t pickLongest(ArrayRef<int64_t> shape, ArrayRef<int64_t> axes);

struct QuantizedWeight {
  /// One integer per element, row-major; unsigned ones as the pattern of their
  /// lowest 8 bits.
  std::vector<int16_t> values;
  /// One per scale.
  std::vector<QuantParameters> parameters;
  SmallVector<int64_t> scaleShape;
  /// What the integers stand for.
  std::vector<float> dequantize(const ScaleMap &map, SchemeAttr scheme) const;
};

/// The name users give a scheme's type: "uint8", "int4 block 32", "codebook4".
std::string getName(SchemeAttr scheme);

/// The integer of a scheme that weights use: two signed bits are the three
/// levels -1, 0, 1 if symmetric, one bit is -1 and 1 (and 0 for what is zero).
int32_t toInteger(float value, QuantParameters p, SchemeAttr scheme);

/// Scale and zero point of the values that share one scale: those of the grid
/// the values lie on already where the scheme is exact or in blocks and there
/// is one, else chosen by `method`, with `importance` as in getParameters.
QuantParameters chooseParameters(ArrayRef<float> values, SchemeAttr scheme,
                                 RangeMethod method,
                                 ArrayRef<float> importance = {});

/// The parameters of the grid of an integer zero point or an offset, as the
/// scheme says, that the values lie on bit for bit; nullopt if there is none.
std::optional<QuantParameters> findExactParameters(ArrayRef<float> values,
                                                   SchemeAttr scheme);

/// Quantizes a float tensor. Zero stays zero; a group of zeros gets the scale
/// that the whole tensor would have. `least`, if not empty, bounds each scale
/// from below.
QuantizedWeight quantizeWeight(ArrayRef<float> values, ArrayRef<int64_t> shape,
                               SchemeAttr scheme, RangeMethod method,
                               ArrayRef<float> least = {});

/// The inputs that GPTQ looked at last: weights that read one tensor follow
/// each other.
struct LastInputs {
  MomentsPlace place;
  bool centered = false;
  /// One a group; null before the first.
  std::shared_ptr<const std::vector<RoundingInputs>> groups;
};

/// Quantizes column by column and lets the columns that follow make good for
/// each rounding error (GPTQ; Frantar et al., ICLR 2023), by the second moments
/// of the inputs; then looks at each integer, and each scale of a block, once
/// more. `quantized` holds the scales to use; those of blocks along the
/// reduction are chosen anew, by the error of the results. Zeros stay zero.
/// `centered`: the mean of the error does not matter, the bias takes it off.
/// `last` keeps what is known of the inputs for the next weight that reads
/// them. Returns why it cannot be done, if so.
std::optional<std::string>
quantizeByMoments(const WeightMatrix &matrix, ArrayRef<float> values,
                  SchemeAttr scheme, RangeMethod method, bool centered,
                  LastInputs &last, QuantizedWeight &quantized);

} // namespace mlir::tamis

#endif // TAMIS_LIB_COMPRESS_QUANTIZEWEIGHTS_H
