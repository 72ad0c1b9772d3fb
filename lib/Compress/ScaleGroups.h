// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tensors whose channels can be scaled together without changing what a model
// computes: what lies between contractions and only adds, multiplies by
// constants or takes maxima with zero. A sum ties the channels of its operands.
#ifndef TAMIS_LIB_COMPRESS_SCALEGROUPS_H
#define TAMIS_LIB_COMPRESS_SCALEGROUPS_H

#include "WeightMatrix.h"

namespace mlir::tamis {

struct ScaleGroup {
  /// An observed activation and its axis of channels.
  struct Tensor {
    ObserveOp observe;
    int64_t axis;
  };

  int64_t channels = 0;
  SmallVector<Tensor> tensors;
  /// Parameters that are added along the channels, by this group alone.
  SmallVector<ObserveOp> biases;
  /// Indices of the weights whose rows give the channels, and of those whose
  /// columns read them.
  SmallVector<size_t> producers, consumers;
};

/// Discardable attribute of an activation whose channels were scaled after it
/// was measured: its histogram is gone, its range is exact.
inline constexpr llvm::StringLiteral kEqualizedAttrName = "tamis.equalized";

/// The groups with producers and consumers; `matrices` are all weights of the
/// module.
std::vector<ScaleGroup> findScaleGroups(ArrayRef<WeightMatrix> matrices);

} // namespace mlir::tamis

#endif // TAMIS_LIB_COMPRESS_SCALEGROUPS_H
