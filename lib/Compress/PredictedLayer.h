// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the cost models of a machine say of a weight with zeros.
#ifndef TAMIS_LIB_COMPRESS_PREDICTEDLAYER_H
#define TAMIS_LIB_COMPRESS_PREDICTEDLAYER_H

#include "WeightMatrix.h"

namespace mlir::tamis {

/// One layer on one machine; its matrix and values outlive it.
class PredictedLayer {
public:
  PredictedLayer(const WeightMatrix &matrix, ArrayRef<float> values,
                 TargetAttr machine)
      : matrix(matrix), values(values), machine(machine) {}

  /// How many times as fast as dense weights of type `type` it is without the
  /// elements that `drop` names (one byte each) and those that are zero.
  double getGain(ArrayRef<uint8_t> drop, Type type) const;

  /// The same in microseconds of one core; 0 where zeros change nothing:
  /// groups, depthwise layers, types and targets without such storages.
  double getTime(ArrayRef<uint8_t> drop, Type type) const;

private:
  /// Weights that are left out together; 0 where none are.
  int64_t getWord(Type type) const;
  /// Positions that the weights are multiplied with.
  int64_t getRows() const;
  /// The share of words of `size` weights of which one is not zero.
  double getWordShare(ArrayRef<uint8_t> drop, int64_t size) const;
  /// Whether of four consecutive weights of a channel two are not there.
  bool isTwoOfFour(ArrayRef<uint8_t> drop) const;

  const WeightMatrix &matrix;
  ArrayRef<float> values;
  TargetAttr machine;
};

} // namespace mlir::tamis

#endif // TAMIS_LIB_COMPRESS_PREDICTEDLAYER_H
