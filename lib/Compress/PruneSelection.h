// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The decision which weights are pruned, how and how much. It stands on the
// observation of each weight (attribute `tamis.pruning`) until `--tamis-prune`
// applies it. It is discardable: nothing rewrites an observation on the way.
#ifndef TAMIS_LIB_COMPRESS_PRUNESELECTION_H
#define TAMIS_LIB_COMPRESS_PRUNESELECTION_H

#include "PruneCriteria.h"
#include "tamis/Compress/Report.h"

namespace mlir::tamis {

/// The options of `--tamis-select-pruning` and `--tamis-prune`.
struct PruneConfig {
  std::optional<double> sparsity, threshold;
  std::string pattern, criterion, scope;
  int64_t seed = 0;
  std::vector<std::string> include, exclude;
  bool protect = true;
};

/// A pass with the options of `pruningOptions` in Passes.td.
template <typename Base>
struct ConfiguredPass : Base {
  using Base::Base;

  PruneConfig readConfig() {
    PruneConfig config;
    // The defaults of both numbers say that they are not given.
    if (this->sparsity != -1.0)
      config.sparsity = this->sparsity;
    if (this->threshold != -1.0)
      config.threshold = this->threshold;
    config.pattern = this->pattern;
    config.criterion = this->criterion;
    config.scope = this->scope;
    config.seed = this->seed;
    config.include.assign(this->include.begin(), this->include.end());
    config.exclude.assign(this->exclude.begin(), this->exclude.end());
    config.protect = this->protect;
    return config;
  }
};

/// What was decided about one weight.
struct PruneDecision {
  std::string pattern, criterion, scope;
  PruneTarget target;
  int64_t seed = 0;
};

inline constexpr llvm::StringLiteral kPruningAttr = "tamis.pruning";
/// The pattern that is chosen layer by layer when scores are known.
inline constexpr llvm::StringLiteral kAutoPattern = "auto";
/// Patterns whose zeros are whole channels that are removed: all of them, heads
/// of attentions only, all but those.
inline constexpr llvm::StringLiteral kChannelPattern = "channel",
                                     kHeadPattern = "head",
                                     kNeuronPattern = "neuron";

inline bool removesChannels(llvm::StringRef pattern) {
  return pattern == kChannelPattern || pattern == kHeadPattern ||
         pattern == kNeuronPattern;
}

/// Decides by `config` and writes decisions and what is to be collected. A
/// weight that `config` does not speak of keeps the decision it has.
LogicalResult selectPruning(ModuleOp module, const PruneConfig &config,
                            Report &report);

/// Puts patterns in place of `auto` in decisions, by the scores of the weights
/// and by what `machine`, if it is not null, gains from them.
LogicalResult choosePatterns(ModuleOp module, TargetAttr machine,
                             Report &report);

/// The scope whose layers share out what their zeros save.
inline constexpr llvm::StringLiteral kTimeScope = "time";

/// Gives each layer of scope `time` a sparsity of its own, by the scores of its
/// weights and by what `machine` is predicted to take; an error if it is null
/// or no processor.
LogicalResult allocateZeros(ModuleOp module, TargetAttr machine,
                            Report &report);

/// The decision that stands on a weight, if any.
std::optional<PruneDecision> getDecision(ObserveOp parameter);

/// The values of a weight, in the matrix's order; an error that names it if one
/// is not finite.
FailureOr<std::vector<float>> readFinite(const WeightMatrix &matrix);

} // namespace mlir::tamis

#endif // TAMIS_LIB_COMPRESS_PRUNESELECTION_H
