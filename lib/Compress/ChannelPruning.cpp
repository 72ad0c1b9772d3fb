// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Ranks the units of channel groups by the weights that make them, and writes
// what goes. In the IR a removed channel is one of zeros, which gives the same
// results; the file shrinks when it is written.
#include "ChannelPruning.h"
#include "tamis/Compress/Delta.h"
#include "llvm/ADT/BitVector.h"
#include <cmath>

using namespace mlir;
using namespace mlir::tamis;

void tamis::forEachOutput(
    const WeightMatrix &matrix, ArrayRef<int32_t> offsets, int64_t row,
    function_ref<void(int64_t axis, int64_t index)> visit) {
  ObserveOp observe = matrix.use.observe;
  ArrayRef<int64_t> shape = observe.getType().getShape();
  int64_t rest = offsets[row * matrix.columns];
  for (int64_t axis = shape.size() - 1; axis >= 0; --axis) {
    if (llvm::is_contained(matrix.use.outputAxes, axis))
      visit(axis, rest % shape[axis]);
    rest /= shape[axis];
  }
}

namespace {
/// What is known of a unit: the scores of the weights that make it.
struct UnitScore {
  double sum = 0;
  int64_t elements = 0;
  double share = 1;
  std::optional<double> threshold;
  /// Why it has to stay, empty if nothing keeps it.
  std::string reason;
  double getMean() const { return elements ? sum / double(elements) : 0; }
};
} // namespace

/// The units that earlier passes have removed.
static DenseSet<int64_t> getRemovedUnits(ModuleOp module,
                                         const ChannelGroups &groups) {
  DenseSet<int64_t> removed;
  auto attr = module->getAttrOfType<DictionaryAttr>(kRemovedAttrName);
  auto parameters =
      attr ? attr.getAs<DictionaryAttr>("parameters") : DictionaryAttr();
  if (!parameters)
    return removed;
  for (ObserveOp observe : groups.getObservations()) {
    auto entries = parameters.getAs<ArrayAttr>(observe.getTensor());
    if (!observe.getParameter() || !entries)
      continue;
    for (Attribute entry : entries) {
      auto dict = dyn_cast<DictionaryAttr>(entry);
      auto axis = dict ? dict.getAs<IntegerAttr>("axis") : IntegerAttr();
      auto kept =
          dict ? dict.getAs<DenseI64ArrayAttr>("kept") : DenseI64ArrayAttr();
      if (!axis || !kept || axis.getInt() < 0 ||
          axis.getInt() >= observe.getType().getRank())
        continue;
      for (int64_t i = 0; i < observe.getType().getDimSize(axis.getInt()); ++i)
        if (!llvm::is_contained(kept.asArrayRef(), i))
          removed.insert(groups.getUnit(observe.getResult(), axis.getInt(), i));
    }
  }
  removed.erase(-1);
  return removed;
}

LogicalResult tamis::applyRemoval(ModuleOp module, const ChannelGroups &groups,
                                  ArrayRef<int64_t> removedUnits) {
  DenseSet<int64_t> removed = getRemovedUnits(module, groups);
  removed.insert(removedUnits.begin(), removedUnits.end());
  Builder b(module.getContext());
  SmallVector<NamedAttribute> parameters, tensors;
  for (ObserveOp observe : groups.getObservations()) {
    ArrayRef<int64_t> shape = observe.getType().getShape();
    SmallVector<Attribute> entries;
    SmallVector<std::pair<int64_t, llvm::BitVector>> gone;
    for (auto [axis, size] : llvm::enumerate(shape)) {
      SmallVector<int64_t> kept;
      if (ShapedType::isDynamic(size))
        continue;
      llvm::BitVector drop(size);
      for (int64_t i = 0; i < size; ++i) {
        int64_t unit = groups.getUnit(observe.getResult(), axis, i);
        if (unit >= 0 && removed.contains(unit))
          drop.set(i);
        else
          kept.push_back(i);
      }
      if (drop.none())
        continue;
      SmallVector<NamedAttribute> entry = {
          b.getNamedAttr("axis", b.getI64IntegerAttr(axis))};
      if (observe.getParameter())
        entry.push_back(b.getNamedAttr("kept", b.getDenseI64ArrayAttr(kept)));
      else
        entry.push_back(
            b.getNamedAttr("size", b.getI64IntegerAttr(kept.size())));
      entries.push_back(b.getDictionaryAttr(entry));
      gone.push_back({axis, std::move(drop)});
    }
    if (gone.empty())
      continue;
    auto &list = observe.getParameter() ? parameters : tensors;
    list.push_back(
        b.getNamedAttr(observe.getTensor(), b.getArrayAttr(entries)));
    // Other floats lose their channels when the file is written.
    if (!observe.getParameter() || !observe.getType().getElementType().isF32())
      continue;
    FailureOr<std::vector<float>> values = readParameter(observe);
    if (failed(values))
      return failure();
    for (auto &[axis, drop] : gone) {
      int64_t inner = 1;
      for (int64_t size : shape.drop_front(axis + 1))
        inner *= size;
      for (int64_t i = 0, e = values->size(); i < e; ++i)
        if (drop.test(i / inner % shape[axis]))
          (*values)[i] = 0;
    }
    writeParameter(observe, *values);
  }
  if (parameters.empty())
    return success();
  module->setAttr(
      kRemovedAttrName,
      b.getDictionaryAttr(
          {b.getNamedAttr("parameters", b.getDictionaryAttr(parameters)),
           b.getNamedAttr("tensors", b.getDictionaryAttr(tensors))}));
  return success();
}

llvm::DenseMap<Operation *, StringRef> tamis::getLayerNames(ModuleOp module) {
  llvm::DenseMap<Operation *, StringRef> names;
  for (const WeightMatrix &matrix : collectWeights(module)) {
    ContractOp op = matrix.use.contract;
    StringRef name = getNode(op).name;
    names[matrix.use.observe] =
        name.empty() ? op.getOrigin().value_or("") : name;
  }
  return names;
}

/// Heads of attentions: what two activations are multiplied one by one along.
static DenseSet<int64_t> findHeads(ModuleOp module,
                                   const ChannelGroups &groups) {
  DenseSet<int64_t> heads;
  module.walk([&](ContractOp op) {
    if (findWeight(op))
      return;
    for (auto [axis, expr] : llvm::enumerate(op.getLhsMap().getResults())) {
      auto size = cast<ShapedType>(op.getLhs().getType()).getDimSize(axis);
      if (ShapedType::isDynamic(size) || !isa<AffineDimExpr>(expr) ||
          !op.getRhsMap().getResultPosition(expr) ||
          !op.getOutMap().getResultPosition(expr))
        continue;
      for (int64_t i = 0; i < size; ++i)
        heads.insert(groups.getUnit(op.getLhs(), axis, i));
    }
  });
  heads.erase(-1);
  return heads;
}

/// Scores every unit; one that a weight makes that is not in `layers` is kept,
/// and so is one that is not of the kind that the layer's pattern removes.
static LogicalResult scoreUnits(ModuleOp module, const ChannelGroups &groups,
                                ArrayRef<ChannelLayer> layers,
                                std::vector<UnitScore> &units) {
  llvm::DenseMap<Operation *, const ChannelLayer *> byParameter;
  for (const ChannelLayer &layer : layers)
    byParameter[layer.matrix->use.observe] = &layer;
  DenseSet<int64_t> heads = findHeads(module, groups);
  for (const WeightMatrix &matrix : collectWeights(module)) {
    ObserveOp observe = matrix.use.observe;
    auto layer = byParameter.find(observe);
    std::vector<int32_t> offsets = matrix.getOffsets();
    std::vector<float> scores(offsets.size());
    if (layer != byParameter.end()) {
      FailureOr<std::vector<float>> values = readFinite(matrix);
      if (failed(values) ||
          failed(scoreWeights(*layer->second->criterion, matrix, *values,
                              layer->second->decision->seed, scores)))
        return failure();
    }
    for (int64_t row = 0; row < matrix.rows; ++row)
      forEachOutput(matrix, offsets, row, [&](int64_t axis, int64_t index) {
        int64_t number = groups.getUnit(observe.getResult(), axis, index);
        if (number < 0)
          return;
        UnitScore &unit = units[number];
        if (layer == byParameter.end()) {
          unit.reason = "tied to the kept layer '" + matrix.layer + "'";
          return;
        }
        StringRef pattern = layer->second->decision->pattern;
        bool isHead = heads.contains(number);
        if (pattern == kHeadPattern && !isHead)
          unit.reason = "no heads of an attention";
        else if (pattern == kNeuronPattern && isHead)
          unit.reason = "heads of an attention";
        const PruneTarget &target = layer->second->decision->target;
        unit.share = std::min(unit.share, target.sparsity);
        if (target.threshold)
          unit.threshold = std::min(unit.threshold.value_or(*target.threshold),
                                    *target.threshold);
        unit.elements += matrix.columns;
        for (float score :
             ArrayRef(scores).slice(row * matrix.columns, matrix.columns))
          unit.sum += score;
      });
  }
  return success();
}

/// The units of least mean score of `candidates`: what is missing to the share
/// of them and of `gone` others, or all below their thresholds.
static SmallVector<int64_t> selectUnits(SmallVector<int64_t> candidates,
                                        int64_t gone,
                                        ArrayRef<UnitScore> units) {
  llvm::sort(candidates, [&](int64_t a, int64_t b) {
    return std::pair(units[a].getMean(), a) < std::pair(units[b].getMean(), b);
  });
  double share = 1;
  bool hasThreshold = false;
  for (int64_t unit : candidates) {
    share = std::min(share, units[unit].share);
    hasThreshold |= units[unit].threshold.has_value();
  }
  if (hasThreshold)
    llvm::erase_if(candidates, [&](int64_t unit) {
      return !units[unit].threshold ||
             units[unit].getMean() > *units[unit].threshold;
    });
  else
    candidates.truncate(std::max<int64_t>(
        std::llround(share * double(candidates.size() + gone)) - gone, 0));
  return candidates;
}

FailureOr<int64_t> tamis::pruneChannels(ModuleOp module,
                                        ArrayRef<ChannelLayer> layers,
                                        Report &report) {
  ChannelGroups groups(module);
  std::vector<UnitScore> units(groups.getUnitCount());
  if (failed(scoreUnits(module, groups, layers, units)))
    return failure();
  DenseSet<int64_t> gone = getRemovedUnits(module, groups);
  llvm::DenseMap<Operation *, StringRef> names = getLayerNames(module);
  bool isGlobal = layers.front().decision->scope == "global";
  SmallVector<SmallVector<int64_t>> free;
  SmallVector<int64_t> all, removed;
  for (const ChannelGroups::Group &group : groups.getGroups()) {
    free.emplace_back();
    for (int64_t unit : group.units)
      if (units[unit].reason.empty() && units[unit].elements > 0 &&
          !gone.contains(unit))
        free.back().push_back(unit);
    all.append(free.back());
  }
  if (all.empty())
    return module.emitError("pattern ")
           << layers.front().decision->pattern
           << ": no group of channels can be removed; each is tied to an "
              "input, an output, a kept layer or an operation that fixes it, "
              "or is not of that kind";
  DenseSet<int64_t> chosen;
  if (isGlobal)
    for (int64_t unit : selectUnits(all, gone.size(), units))
      chosen.insert(unit);
  for (auto [group, candidates] : llvm::zip_equal(groups.getGroups(), free)) {
    int64_t alive = llvm::count_if(
        group.units, [&](int64_t unit) { return !gone.contains(unit); });
    SmallVector<int64_t> least =
        isGlobal ? candidates
                 : selectUnits(candidates, group.units.size() - alive, units);
    if (isGlobal)
      llvm::erase_if(least,
                     [&](int64_t unit) { return !chosen.contains(unit); });
    // Somebody has to stay; the best of those that would go.
    if (!least.empty() && int64_t(least.size()) == alive) {
      auto best = std::max_element(
          least.begin(), least.end(), [&](int64_t a, int64_t b) {
            return units[a].getMean() < units[b].getMean();
          });
      least.erase(best);
    }
    removed.append(least);
    std::string reason;
    for (int64_t unit : group.units)
      if (!units[unit].reason.empty())
        reason = units[unit].reason;
    for (auto [observe, axis] : group.parameters)
      report.add(names.lookup(observe), observe.getTensor(),
                 least.empty() ? "keep channels" : "remove channels", reason,
                 {report.number("axis", axis),
                  report.number("channels", int64_t(group.units.size())),
                  report.number("removed", int64_t(least.size()))});
  }
  // What a decided layer has that no group can remove.
  for (const ChannelLayer &layer : layers) {
    ObserveOp observe = layer.matrix->use.observe;
    for (int64_t axis : layer.matrix->use.outputAxes)
      if (std::string why = groups.getReason(observe.getResult(), axis, 0);
          !why.empty())
        report.add(layer.matrix->layer, observe.getTensor(), "keep channels",
                   "tied to " + why);
  }
  if (failed(applyRemoval(module, groups, removed)))
    return failure();
  return int64_t(removed.size());
}
