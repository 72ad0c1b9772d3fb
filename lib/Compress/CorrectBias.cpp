// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What changed weights add on average leaves by the bias (Nagel et al., ICCV
// 2019, for rounded weights; dropped ones are no different): inputs behind a
// rectifier are far from zero on average, and so is what a change makes.
#include "InputMoments.h"
#include <cmath>

using namespace mlir;
using namespace mlir::tamis;

ObserveOp tamis::findOwnBias(const WeightMatrix &matrix) {
  ObserveOp bias = findBias(matrix.use.contract);
  if (!bias || !isReadOnce(bias) || !bias.getType().getElementType().isF32() ||
      bias.getType().getNumElements() != matrix.rows)
    return nullptr;
  return bias;
}

llvm::Expected<double> tamis::correctBias(const WeightMatrix &matrix,
                                          ArrayRef<float> before,
                                          ArrayRef<float> after) {
  auto refuse = [](const Twine &reason) {
    return llvm::createStringError(reason.str());
  };
  ObserveOp bias = findOwnBias(matrix);
  if (!bias)
    return refuse("it has no float32 bias of its own");
  auto means = readInputMeans(matrix);
  if (!means)
    return means.takeError();
  if (means->empty())
    return refuse("its inputs were not measured");
  FailureOr<std::vector<float>> values = readParameter(bias);
  if (failed(values))
    return refuse("its bias cannot be read");
  double largest = 0;
  for (int64_t row = 0, at = 0; row < matrix.rows; ++row) {
    const float *mean = &(*means)[row / matrix.rowsPerGroup * matrix.columns];
    double shift = 0;
    for (int64_t column = 0; column < matrix.columns; ++column, ++at)
      shift += (double(after[at]) - before[at]) * mean[column];
    (*values)[row] = static_cast<float>((*values)[row] - shift);
    largest = std::max(largest, std::fabs(shift));
  }
  writeParameter(bias, *values);
  return largest;
}
