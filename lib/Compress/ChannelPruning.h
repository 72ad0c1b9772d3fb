// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Removal of whole channels, wherever they are seen.
#ifndef TAMIS_LIB_COMPRESS_CHANNELPRUNING_H
#define TAMIS_LIB_COMPRESS_CHANNELPRUNING_H

#include "PruneSelection.h"
#include "tamis/Compress/ChannelGroups.h"

namespace mlir::tamis {

/// A weight whose output channels may go, with what scores them.
struct ChannelLayer {
  const WeightMatrix *matrix;
  const PruneDecision *decision;
  const PruneCriterion *criterion;
};

/// Removes the channels of least score, summed over the weights that make them.
/// Returns how many.
FailureOr<int64_t> pruneChannels(ModuleOp module, ArrayRef<ChannelLayer> layers,
                                 Report &report);

/// Removes channels whose value does not depend on the input and whose readers
/// can take it into a bias, and those that nothing reads. Returns how many.
FailureOr<int64_t> removeDeadChannels(ModuleOp module, Report &report);

/// Calls `visit` with every index of every output axis of the parameter that
/// row `row` of the matrix lies at; `offsets` are the matrix's.
void forEachOutput(const WeightMatrix &matrix, ArrayRef<int32_t> offsets,
                   int64_t row,
                   llvm::function_ref<void(int64_t axis, int64_t index)> visit);

/// The layer of each parameter that is a weight.
llvm::DenseMap<Operation *, StringRef> getLayerNames(ModuleOp module);

/// Sets the weights of removed channels to zero and writes the module attribute
/// `tamis.removed`, together with what earlier passes removed.
LogicalResult applyRemoval(ModuleOp module, const ChannelGroups &groups,
                           ArrayRef<int64_t> removedUnits);

} // namespace mlir::tamis

#endif // TAMIS_LIB_COMPRESS_CHANNELPRUNING_H
