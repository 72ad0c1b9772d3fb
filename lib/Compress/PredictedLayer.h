// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the cost models of a machine say of a weight with zeros.
#ifndef TAMIS_LIB_COMPRESS_PREDICTEDLAYER_H
#define TAMIS_LIB_COMPRESS_PREDICTEDLAYER_H

#include "WeightMatrix.h"
#include "llvm/ADT/DenseMap.h"

namespace mlir::tamis {

/// One layer on one machine, in a model of so many bytes of float32 weights;
/// its matrix and values outlive it.
class PredictedLayer {
public:
  PredictedLayer(const WeightMatrix &matrix, ArrayRef<float> values,
                 TargetAttr machine, double modelBytes)
      : matrix(matrix), values(values), machine(machine),
        modelBytes(modelBytes) {}

  /// How many times as fast as now it is without the elements that `drop` names
  /// (one byte each), if its weights are of `type` (f32 or i8); 1 where nobody
  /// knows.
  double getGain(ArrayRef<uint8_t> drop, Type type);

  /// The same in microseconds of one core, without elements that `drop` names
  /// if it is not empty; 0 where zeros change nothing: groups, depthwise
  /// layers, devices.
  double getTime(ArrayRef<uint8_t> drop, Type type) const;

private:
  /// Positions that the weights are multiplied with.
  int64_t getRows() const;
  /// The values that are left, as elements of `type`: integers with a scale
  /// for each output channel.
  std::vector<char> encode(ArrayRef<uint8_t> drop, Type type) const;
  /// Whether of four consecutive weights of a channel two are not there.
  bool isTwoOfFour(ArrayRef<uint8_t> drop) const;

  const WeightMatrix &matrix;
  ArrayRef<float> values;
  TargetAttr machine;
  double modelBytes;
  /// Times of the layer as it is.
  llvm::SmallDenseMap<Type, double, 2> times;
};

} // namespace mlir::tamis

#endif // TAMIS_LIB_COMPRESS_PREDICTEDLAYER_H
