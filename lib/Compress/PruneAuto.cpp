// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Pattern `auto`: for each layer the coarsest pattern that keeps nearly as much
// of the scores as dropping the least weights one by one would, and that the
// target gains more from than from a finer one.
#include "ChannelPruning.h"
#include "PredictedLayer.h"
#include "tamis/Kernels/PredictTime.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include <cmath>

using namespace mlir;
using namespace mlir::tamis;

/// What a coarser pattern has to keep of the score that single weights keep.
static constexpr double kLeastKept = 0.9;
/// What it has to drop of the weights that they drop.
static constexpr double kLeastDropped = 0.95;

/// Of two gains the greater has to be so much greater to count.
static constexpr double kEqualGain = 1.05;

/// The weights whose rows are one removable channel each that no other weight
/// makes, so that what their rows lose is all that is lost.
static DenseSet<Operation *>
findRemovableRows(ModuleOp module, ArrayRef<WeightMatrix> matrices) {
  ChannelGroups groups(module);
  std::vector<int64_t> makers(groups.getUnitCount());
  llvm::DenseMap<Operation *, SmallVector<int64_t>> units;
  for (const WeightMatrix &matrix : matrices) {
    std::vector<int32_t> offsets = matrix.getOffsets();
    for (int64_t row = 0; row < matrix.rows; ++row) {
      int64_t unit = -1;
      forEachOutput(matrix, offsets, row, [&](int64_t axis, int64_t index) {
        unit = groups.getUnit(matrix.use.observe.getResult(), axis, index);
        if (unit >= 0)
          ++makers[unit];
      });
      units[matrix.use.observe].push_back(unit);
    }
  }
  DenseSet<Operation *> removable;
  for (auto &[parameter, list] : units)
    if (llvm::all_of(
            list, [&](int64_t unit) { return unit >= 0 && makers[unit] == 1; }))
      removable.insert(parameter);
  return removable;
}

/// The candidates, coarsest first: pairs of the decision's name and the pattern
/// of zeros that it amounts to.
static SmallVector<std::pair<std::string, std::string>>
listCandidates(const WeightMatrix &matrix, double sparsity, bool isRemovable) {
  SmallVector<std::pair<std::string, std::string>> candidates;
  if (isRemovable)
    candidates.push_back(
        {kChannelPattern.str(), "1x" + std::to_string(matrix.columns)});
  for (StringRef blocks : {"32x64", "32x4", "1x4"})
    candidates.push_back({blocks.str(), blocks.str()});
  double kept = 4 * (1 - sparsity);
  if (kept == std::round(kept) && kept >= 1 && kept < 4) {
    std::string groups = std::to_string(int64_t(kept)) + ":4";
    candidates.push_back({groups, groups});
  }
  return candidates;
}

namespace {
/// What a pattern leaves of one layer.
struct Remainder {
  double score = 0;
  int64_t dropped = 0;
  /// Predicted gains over the layer as it is, in float32 and in 8-bit integers.
  double gains[2] = {1, 1};
};

/// A pattern that keeps enough of the score.
struct Choice {
  std::string name;
  Remainder remainder;
};

/// One layer whose pattern is to be chosen.
class AutoLayer {
public:
  AutoLayer(const WeightMatrix &matrix, const PruneCriterion &criterion,
            const PruneTarget &target, ArrayRef<float> scores,
            PredictedLayer *predicted)
      : matrix(matrix), criterion(criterion), target(target), scores(scores),
        predicted(predicted) {}

  /// What a decision's name leaves whose zeros have the pattern `zeros`.
  Remainder measure(StringRef name, StringRef zeros) const {
    std::unique_ptr<PrunePattern> pattern = parsePattern(zeros);
    std::vector<uint8_t> drop(scores.size());
    // Channels are ranked among each other, whatever weights are.
    if (removesChannels(name))
      pattern->select(ScoredPiece{scores.data(), drop.data(), matrix.rows,
                                  matrix.columns, matrix.columns},
                      target);
    else
      drop = selectWeights(criterion, matrix, scores, *pattern, target);
    Remainder remainder;
    for (auto [score, dropped] : llvm::zip_equal(scores, drop)) {
      remainder.score += dropped ? 0 : score;
      remainder.dropped += dropped;
    }
    if (predicted)
      predict(name, drop, remainder);
    return remainder;
  }

private:
  void predict(StringRef name, ArrayRef<uint8_t> drop,
               Remainder &remainder) const {
    // Channels that are gone are not computed.
    if (removesChannels(name)) {
      auto kept = double(drop.size()) - double(remainder.dropped);
      llvm::fill(remainder.gains, double(drop.size()) / std::max(kept, 1.0));
      return;
    }
    MLIRContext *context = matrix.use.contract.getContext();
    const Type types[] = {Float32Type::get(context),
                          IntegerType::get(context, 8)};
    for (auto [gain, type] : llvm::zip_equal(remainder.gains, types))
      gain = predicted->getGain(drop, type);
  }

  const WeightMatrix &matrix;
  const PruneCriterion &criterion;
  const PruneTarget &target;
  ArrayRef<float> scores;
  /// Null where nothing is known of the machine.
  PredictedLayer *predicted;
};
} // namespace

/// Of choices from the coarsest to single weights the first whose gain no finer
/// one has: it would keep more of the score for nothing.
static const Choice &chooseCoarsest(ArrayRef<Choice> choices,
                                    TargetAttr machine) {
  for (size_t i = 0; machine && i < choices.size(); ++i) {
    bool isMatched = llvm::any_of(choices.drop_front(i + 1), [&](auto &finer) {
      return llvm::all_of_zip(
          finer.remainder.gains, choices[i].remainder.gains,
          [](double a, double b) { return a * kEqualGain >= b; });
    });
    if (!isMatched)
      return choices[i];
  }
  return choices.front();
}

static std::string describeGains(const Remainder &remainder) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format(
      " (%.1fx float32, %.1fx int8)", remainder.gains[0], remainder.gains[1]);
  return text;
}

LogicalResult tamis::choosePatterns(ModuleOp module, TargetAttr machine,
                                    Report &report) {
  std::vector<WeightMatrix> matrices = collectWeights(module);
  auto isAuto = [](const WeightMatrix &matrix) {
    std::optional<PruneDecision> decision = getDecision(matrix.use.observe);
    return decision && decision->pattern == kAutoPattern;
  };
  if (llvm::none_of(matrices, isAuto))
    return success();
  DenseSet<Operation *> removable = findRemovableRows(module, matrices);
  double modelBytes = getModelBytes(module);
  for (const WeightMatrix &matrix : llvm::make_filter_range(matrices, isAuto)) {
    ObserveOp parameter = matrix.use.observe;
    PruneDecision decision = *getDecision(parameter);
    const PruneCriterion *criterion = findCriterion(decision.criterion);
    if (!criterion)
      return parameter.emitError("layer '")
             << matrix.layer << "': unknown criterion '" << decision.criterion
             << "'";
    FailureOr<std::vector<float>> values = readFinite(matrix);
    std::vector<float> scores(matrix.rows * matrix.columns);
    if (failed(values) || failed(scoreWeights(*criterion, matrix, *values,
                                              decision.seed, scores)))
      return failure();
    std::optional<PredictedLayer> predicted;
    if (machine)
      predicted.emplace(matrix, *values, machine, modelBytes);
    AutoLayer layer(matrix, *criterion, decision.target, scores,
                    predicted ? &*predicted : nullptr);
    Remainder best = layer.measure("unstructured", "unstructured");
    SmallVector<Choice> choices;
    SmallVector<std::string> found;
    bool isRemovable =
        removable.contains(parameter) && criterion->canCompareLayers();
    for (auto &[name, zeros] :
         listCandidates(matrix, decision.target.sparsity, isRemovable)) {
      // Without a machine, the first that keeps enough is it.
      if (!machine && !choices.empty())
        break;
      Remainder remainder = layer.measure(name, zeros);
      // Few large blocks may come nowhere near the sparsity.
      if (double(remainder.dropped) < kLeastDropped * double(best.dropped)) {
        found.push_back(name + " too coarse");
        continue;
      }
      double share = best.score > 0 ? remainder.score / best.score : 1;
      llvm::raw_string_ostream out(found.emplace_back());
      out << name << " " << llvm::format("%.1f %%", 100 * share);
      if (share < kLeastKept)
        continue;
      if (machine)
        out << describeGains(remainder);
      choices.push_back({name, remainder});
    }
    choices.push_back({"unstructured", best});
    if (machine)
      found.push_back("unstructured" + describeGains(best));
    std::string chosen = chooseCoarsest(choices, machine).name;
    Builder b(module.getContext());
    NamedAttrList entries(
        parameter->getAttrOfType<DictionaryAttr>(kPruningAttr));
    entries.set("pattern", b.getStringAttr(chosen));
    parameter->setAttr(kPruningAttr,
                       entries.getDictionary(module.getContext()));
    report.add(matrix.layer, parameter.getTensor(), "pattern " + chosen,
               "kept of the score that single weights keep: " +
                   llvm::join(found, ", "));
  }
  return success();
}
