// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Scope `time`: zeros go where a microsecond costs least of the scores. Each
// layer has a curve of what it loses (the share of its own score, so that
// layers and criteria can be compared) and how long it is predicted to take at
// several sparsities; the cheapest step of any layer is taken until all layers
// together take no longer than they would with the asked sparsity everywhere.
#include "PredictedLayer.h"
#include "PruneSelection.h"
#include "tamis/Kernels/PredictTime.h"
#include "tamis/Target/Target.h"
#include "llvm/Support/Format.h"
#include <limits>

using namespace mlir;
using namespace mlir::tamis;

/// Sparsities that are tried beside the asked one. No weights at all would be
/// no layer.
static constexpr double kLevels[] = {0.5,  0.6, 0.7,   0.75, 0.8,
                                     0.85, 0.9, 0.925, 0.95, 0.975};

namespace {
/// One sparsity of one layer.
struct Level {
  double sparsity = 0, lost = 0, time = 0;
};

struct TimedLayer {
  ObserveOp parameter;
  std::string name;
  /// By sparsity, from none on; the current one and the asked one.
  SmallVector<Level> levels;
  size_t current = 0, asked = 0;
};
} // namespace

static FailureOr<TimedLayer> measure(const WeightMatrix &matrix,
                                     const PruneDecision &decision,
                                     TargetAttr machine, double modelBytes) {
  ObserveOp parameter = matrix.use.observe;
  const PruneCriterion *criterion = findCriterion(decision.criterion);
  std::unique_ptr<PrunePattern> pattern = parsePattern(decision.pattern);
  if (!criterion || !pattern)
    return parameter.emitError("layer '")
           << matrix.layer << "': unknown criterion '" << decision.criterion
           << "' or pattern '" << decision.pattern << "'";
  FailureOr<std::vector<float>> values = readFinite(matrix);
  std::vector<float> scores(matrix.rows * matrix.columns);
  if (failed(values) ||
      failed(scoreWeights(*criterion, matrix, *values, decision.seed, scores)))
    return failure();
  double total = 0;
  for (float score : scores)
    total += score;
  TimedLayer layer{parameter, matrix.layer, {}};
  PredictedLayer predicted(matrix, *values, machine, modelBytes);
  Type type = Float32Type::get(machine.getContext());
  auto add = [&](double sparsity) {
    std::vector<uint8_t> drop(scores.size());
    if (sparsity > 0)
      drop = selectWeights(*criterion, matrix, scores, *pattern,
                           {sparsity, std::nullopt});
    double lost = 0;
    for (auto [score, dropped] : llvm::zip_equal(scores, drop))
      lost += dropped ? score : 0;
    layer.levels.push_back({sparsity, total > 0 ? lost / total : 0,
                            predicted.getTime(drop, type)});
  };
  double asked = decision.target.sparsity;
  add(0);
  bool hasOwn = pattern->getOwnSparsity().has_value();
  SmallVector<double> levels;
  if (!hasOwn)
    levels.assign(std::begin(kLevels), std::end(kLevels));
  levels.push_back(asked);
  llvm::sort(levels);
  levels.erase(llvm::unique(levels), levels.end());
  for (double sparsity : levels) {
    if (sparsity == asked)
      layer.asked = layer.levels.size();
    add(sparsity);
  }
  return layer;
}

/// The level of `layer` to go to next and what a microsecond of it costs; more
/// than the `needed` ones are worth nothing.
static std::pair<size_t, double> findStep(const TimedLayer &layer,
                                          double needed) {
  std::pair<size_t, double> best{layer.current,
                                 std::numeric_limits<double>::infinity()};
  const Level &now = layer.levels[layer.current];
  for (size_t i = layer.current + 1; i < layer.levels.size(); ++i) {
    const Level &then = layer.levels[i];
    double saved = std::min(now.time - then.time, needed);
    double price = (then.lost - now.lost) / saved;
    if (saved > 0 && price < best.second)
      best = {i, price};
  }
  return best;
}

LogicalResult tamis::allocateZeros(ModuleOp module, TargetAttr machine,
                                   Report &report) {
  SmallVector<TimedLayer> layers;
  double modelBytes = getModelBytes(module);
  for (const WeightMatrix &matrix : collectWeights(module)) {
    std::optional<PruneDecision> decision = getDecision(matrix.use.observe);
    if (!decision || decision->scope != kTimeScope ||
        removesChannels(decision->pattern))
      continue;
    if (!machine || getDevice(machine) != DeviceKind::None)
      return matrix.use.observe.emitError("layer '")
             << matrix.layer
             << "': scope time asks what a processor takes, got "
             << (machine ? "a device" : "no target");
    FailureOr<TimedLayer> layer =
        measure(matrix, *decision, machine, modelBytes);
    if (failed(layer))
      return failure();
    layers.push_back(std::move(*layer));
  }
  double time = 0, goal = 0;
  for (const TimedLayer &layer : layers) {
    time += layer.levels.front().time;
    goal += layer.levels[layer.asked].time;
  }
  while (time > goal) {
    TimedLayer *cheapest = nullptr;
    std::pair<size_t, double> step{0, std::numeric_limits<double>::infinity()};
    for (TimedLayer &layer : layers)
      if (auto next = findStep(layer, time - goal); next.second < step.second) {
        step = next;
        cheapest = &layer;
      }
    if (!cheapest)
      break;
    time -= cheapest->levels[cheapest->current].time -
            cheapest->levels[step.first].time;
    cheapest->current = step.first;
  }
  Builder b(module.getContext());
  for (TimedLayer &layer : layers) {
    const Level &level = layer.levels[layer.current];
    std::string why;
    llvm::raw_string_ostream(why) << llvm::format(
        "%.3g of %.3g us are predicted, %.2g %% of the score "
        "lost",
        level.time, layer.levels.front().time, 100 * level.lost);
    report.add(layer.name, layer.parameter.getTensor(),
               level.sparsity > 0 ? "prune" : "keep", why,
               {report.number("share", level.sparsity)});
    if (level.sparsity == 0) {
      layer.parameter->removeAttr(kPruningAttr);
      continue;
    }
    NamedAttrList entries(
        layer.parameter->getAttrOfType<DictionaryAttr>(kPruningAttr));
    entries.set("sparsity", b.getF64FloatAttr(level.sparsity));
    layer.parameter->setAttr(kPruningAttr,
                             entries.getDictionary(module.getContext()));
  }
  return success();
}
