// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What makes a weight dispensable. A criterion scores the elements of one
// weight; which of them go is the pattern's affair. A new criterion is one
// class and one line of `findCriterion`.
#ifndef TAMIS_LIB_COMPRESS_PRUNECRITERIA_H
#define TAMIS_LIB_COMPRESS_PRUNECRITERIA_H

#include "PrunePatterns.h"
#include "WeightMatrix.h"

namespace mlir::tamis {

/// A statistic that a criterion reads.
struct NeededStatistic {
  ObserveOp observe;
  std::optional<int64_t> axis;
  StringRef kind;
};

class PruneCriterion {
public:
  virtual ~PruneCriterion() = default;
  /// What has to be measured to score `matrix`, appended to `needed`; a reason
  /// if that cannot be had for this layer.
  virtual std::optional<std::string>
  collectNeeds(const WeightMatrix &matrix,
               SmallVectorImpl<NeededStatistic> &needed) const {
    return std::nullopt;
  }
  /// True if elements are compared with those of their own output channel only.
  virtual bool comparesRows() const { return false; }
  /// True if all layers may be ranked together.
  virtual bool canCompareLayers() const { return true; }
  /// Gives every element of `values` a score that is not negative.
  virtual LogicalResult score(const WeightMatrix &matrix,
                              ArrayRef<float> values, int64_t seed,
                              MutableArrayRef<float> scores) const = 0;
  /// Drops elements of `values` by `pattern`: score, select, set to zero.
  /// Criteria that adjust what remains replace it.
  virtual LogicalResult prune(const WeightMatrix &matrix,
                              MutableArrayRef<float> values, int64_t seed,
                              const PrunePattern &pattern,
                              const PruneTarget &target) const;
};

/// `score` with what every criterion owes: a zero weight scores zero and any
/// other more.
LogicalResult scoreWeights(const PruneCriterion &criterion,
                           const WeightMatrix &matrix, ArrayRef<float> values,
                           int64_t seed, MutableArrayRef<float> scores);

/// Which elements `pattern` drops by these scores: one byte each, 1 where it
/// does. Rows have their own order where the criterion compares within rows.
std::vector<uint8_t> selectWeights(const PruneCriterion &criterion,
                                   const WeightMatrix &matrix,
                                   ArrayRef<float> scores,
                                   const PrunePattern &pattern,
                                   const PruneTarget &target);

/// The criterion of that name, or null; `fallback`, if given, becomes the name
/// of the one that takes its place in layers where its statistics cannot be
/// had.
const PruneCriterion *findCriterion(StringRef name,
                                    StringRef *fallback = nullptr);
/// SparseGPT, which has a file of its own.
const PruneCriterion *getSparseGptCriterion();

/// The names of all criteria, for messages.
std::string listCriteria();

/// The statistic `kind` of `observe` as float32 of `count` elements (any if
/// negative); an error that names `matrix`'s layer if it is not there.
FailureOr<std::vector<float>> readStatistic(const WeightMatrix &matrix,
                                            ObserveOp observe, StringRef kind,
                                            int64_t count);

} // namespace mlir::tamis

#endif // TAMIS_LIB_COMPRESS_PRUNECRITERIA_H
