// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a weight is multiplied with, as calibration saw it: means and second
// moments of the inputs of one reduction, window and padding included.
#ifndef TAMIS_LIB_COMPRESS_INPUTMOMENTS_H
#define TAMIS_LIB_COMPRESS_INPUTMOMENTS_H

#include "WeightMatrix.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "tamis/Compress/Ranges.h"
#include "llvm/Support/Error.h"

namespace mlir::tamis {

/// The observation at which the statistic `gram` of a weight's inputs is
/// collected: that of the input along `axis`, where its channels are the
/// elements of a reduction (layers that read one tensor share one statistic);
/// else, for windows and groups, that of the weight, without axis.
struct MomentsPlace {
  ObserveOp observe;
  std::optional<int64_t> axis;
};

/// An error says why they cannot be had.
llvm::Expected<MomentsPlace> findMomentsPlace(const WeightMatrix &matrix);

/// The matrix [x, 1]'[x, 1], summed over all vectors x of one reduction: square
/// of side columns + 1, one a group, in double precision only where it is
/// factorized.
struct InputMoments {
  int64_t columns;
  std::vector<float> values;

  ArrayRef<float> getGroup(int64_t group) const {
    int64_t size = (columns + 1) * (columns + 1);
    return ArrayRef(values).slice(group * size, size);
  }
};

/// The collected statistic; an error says what is wrong with it.
llvm::Expected<InputMoments> readInputMoments(const WeightMatrix &matrix);

/// The mean of each element of a reduction, group by group: from second moments
/// where they were collected, else from the moments of the input's channels
/// (for a window without its padding). Empty if neither was; an error if what
/// was collected is of another size or not finite.
llvm::Expected<std::vector<float>> readInputMeans(const WeightMatrix &matrix);

/// The bias that only the contraction of `matrix` adds, one float32 a row; null
/// if there is none.
ObserveOp findOwnBias(const WeightMatrix &matrix);

/// b -= E[(w' - w) x]: takes off the bias of a layer what its weights, changed
/// from `before` to `after` (in the matrix's order), add on average. Returns
/// the greatest change of an element; an error says why there is none.
llvm::Expected<double> correctBias(const WeightMatrix &matrix,
                                   ArrayRef<float> before,
                                   ArrayRef<float> after);

/// Replaces the statistics of a tensor by those of the tensor times `factors`
/// along its axis of channels, when it then spans `range` (without one, that is
/// no longer known). A histogram has no channels and goes.
void scaleStatistics(ObserveOp observe, ArrayRef<float> factors,
                     std::optional<Interval> range);

/// The same for second moments that are collected at the weight: the channels
/// of its input are multiplied by `factors`.
void scaleWindowGram(const WeightMatrix &matrix, ArrayRef<float> factors);

/// Builds in front of the contraction that reads `matrix` the statistic `gram`
/// of the weight: tensor<GxK+1xK+1xf32>.
Value buildWindowGram(ImplicitLocOpBuilder &b, const WeightMatrix &matrix);

/// [x, 1] transposed times [x, 1] for `vectors`, tensor<NxK> or tensor<GxNxK>
/// of floats, in float32.
Value buildGram(ImplicitLocOpBuilder &b, Value vectors);

} // namespace mlir::tamis

#endif // TAMIS_LIB_COMPRESS_INPUTMOMENTS_H
