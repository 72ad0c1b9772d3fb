// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Checks the options, leaves sensitive layers alone and says so, and asks for
// the statistics that the criterion reads.
#include "PruneSelection.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tamis/Compress/Sparsity.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/Regex.h"
#include <cmath>

using namespace mlir;
using namespace mlir::tamis;

/// Weights with fewer elements are not worth their accuracy, sums of fewer
/// products have no redundancy.
static constexpr int64_t kSmallElements = 1024, kShortReduction = 16;

/// Names or regular expressions that match a whole name.
static bool matches(ArrayRef<std::string> patterns, StringRef layer,
                    StringRef tensor) {
  return llvm::any_of(patterns, [&](const std::string &pattern) {
    llvm::Regex regex("^(" + pattern + ")$");
    return pattern == layer || pattern == tensor || regex.match(layer) ||
           regex.match(tensor);
  });
}

static LogicalResult checkNames(ModuleOp module,
                                ArrayRef<std::string> patterns) {
  for (const std::string &pattern : patterns) {
    std::string error;
    if (!llvm::Regex("^(" + pattern + ")$").isValid(error))
      return module.emitError("'")
             << pattern << "' is no regular expression: " << error;
  }
  return success();
}

static LogicalResult checkConfig(ModuleOp module, const PruneConfig &config) {
  std::unique_ptr<PrunePattern> pattern = parsePattern(config.pattern);
  bool isChannel = removesChannels(config.pattern);
  bool isAuto = config.pattern == kAutoPattern;
  if (!pattern && !isChannel && !isAuto)
    return module.emitError("pattern expected unstructured, N:M with N < M, "
                            "RxC, channel, head, neuron or auto, got '")
           << config.pattern << "'";
  const PruneCriterion *criterion = findCriterion(config.criterion);
  if (!criterion)
    return module.emitError("criterion expected one of ")
           << listCriteria() << ", got '" << config.criterion << "'";
  if (config.scope != "local" && config.scope != "global" &&
      config.scope != kTimeScope)
    return module.emitError("scope expected local, global or time, got '")
           << config.scope << "'";
  if (config.sparsity && !(*config.sparsity >= 0 && *config.sparsity < 1))
    return module.emitError("sparsity expected at least 0 and below 1, got ")
           << *config.sparsity;
  if (config.threshold &&
      !(std::isfinite(*config.threshold) && *config.threshold >= 0))
    return module.emitError("threshold expected a number from 0 on, got ")
           << *config.threshold;
  std::optional<double> own =
      pattern ? pattern->getOwnSparsity() : std::nullopt;
  if (own && config.threshold)
    return module.emitError("pattern ")
           << config.pattern << " fixes its sparsity, got a threshold";
  if (own && config.sparsity && *config.sparsity > *own)
    return module.emitError("pattern ")
           << config.pattern << " reaches a sparsity of " << *own << ", got "
           << *config.sparsity;
  if (config.scope == "global" && !criterion->canCompareLayers())
    return module.emitError("criterion ")
           << config.criterion
           << " works on one layer at a time, got scope global";
  if (isAuto && config.threshold)
    return module.emitError("pattern auto compares patterns at one sparsity, "
                            "got a threshold");
  if (config.scope == kTimeScope && (config.threshold || isChannel))
    return module.emitError("scope time shares out a sparsity of weights, got ")
           << (isChannel ? "pattern " + config.pattern : "a threshold");
  if (isAuto && config.scope == "global")
    return module.emitError("pattern auto is chosen for one layer at a time, "
                            "got scope global");
  if (isChannel && !criterion->canCompareLayers())
    return module.emitError("criterion ")
           << config.criterion << " cannot rank channels";
  if (failed(checkNames(module, config.include)))
    return failure();
  return checkNames(module, config.exclude);
}

/// Weights with no other weight on the way from an input, and to an output.
static std::pair<DenseSet<Operation *>, DenseSet<Operation *>>
findEnds(ArrayRef<WeightMatrix> matrices) {
  DenseSet<Operation *> weighted, first, last;
  for (const WeightMatrix &matrix : matrices)
    weighted.insert(matrix.use.contract);
  // An operation with regions reads what those read.
  auto forEachOperand = [](Operation *op, function_ref<void(Value)> visit) {
    op->walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        visit(operand);
    });
  };
  auto findOuter = [](Value value, Block *block) -> Operation * {
    Operation *op = value.getDefiningOp();
    return op ? block->findAncestorOpInBlock(*op) : nullptr;
  };
  DenseSet<Block *> blocks;
  for (const WeightMatrix &matrix : matrices)
    blocks.insert(matrix.use.contract->getBlock());
  for (Block *block : blocks) {
    DenseSet<Operation *> behind, before;
    for (Operation &op : *block) {
      bool reached = false;
      forEachOperand(&op, [&](Value value) {
        Operation *source = findOuter(value, block);
        reached |=
            source && (behind.contains(source) || weighted.contains(source));
      });
      if (reached)
        behind.insert(&op);
      else if (weighted.contains(&op))
        first.insert(&op);
    }
    for (Operation &op : llvm::reverse(*block)) {
      if (weighted.contains(&op) && !before.contains(&op))
        last.insert(&op);
      if (before.contains(&op) || weighted.contains(&op))
        forEachOperand(&op, [&](Value value) {
          if (Operation *source = findOuter(value, block))
            before.insert(source);
        });
    }
  }
  return {first, last};
}

/// Why a layer is left alone, or nothing.
static std::string getProtection(const WeightMatrix &matrix, bool isFirst,
                                 bool isLast, bool isChannel) {
  if (isFirst)
    return "the first layer reads the inputs";
  if (isLast)
    return "the last layer gives the outputs";
  // A depthwise convolution goes along with the channels it reads.
  if (isChannel)
    return "";
  if (matrix.rows * matrix.columns < kSmallElements)
    return "fewer than " + std::to_string(kSmallElements) + " weights";
  if (matrix.channels == 1 && matrix.rowsPerGroup != matrix.rows)
    return "a depthwise convolution has no redundancy";
  if (matrix.columns < kShortReduction)
    return "sums of fewer than " + std::to_string(kShortReduction) +
           " products";
  return "";
}

/// Asks for what `criterion` needs; where a layer cannot have it, for what the
/// criterion in its place needs. Returns its name and why.
static std::pair<StringRef, std::string>
requestStatistics(const WeightMatrix &matrix, StringRef criterion) {
  std::string why;
  while (true) {
    StringRef fallback;
    SmallVector<NeededStatistic> needed;
    std::optional<std::string> problem =
        findCriterion(criterion, &fallback)->collectNeeds(matrix, needed);
    for (NeededStatistic &entry : needed) {
      IntegerAttr axis = entry.observe.getAxisAttr();
      if (axis && entry.axis && axis.getInt() != *entry.axis)
        problem = ("tensor '" + entry.observe.getTensor() +
                   "' is measured along axis " + Twine(axis.getInt()))
                      .str();
    }
    if (!problem) {
      for (NeededStatistic &entry : needed) {
        Builder b(entry.observe.getContext());
        llvm::SetVector<Attribute> kinds;
        if (ArrayAttr collect = entry.observe.getCollectAttr())
          kinds.insert(collect.begin(), collect.end());
        kinds.insert(b.getStringAttr(entry.kind));
        entry.observe.setCollectAttr(b.getArrayAttr(kinds.getArrayRef()));
        if (entry.axis)
          entry.observe.setAxisAttr(b.getI64IntegerAttr(*entry.axis));
      }
      return {criterion, why};
    }
    why += (why.empty() ? "" : "; ") +
           ("not " + criterion + ": " + *problem).str();
    criterion = fallback;
  }
}

static void writeDecision(ObserveOp parameter, const PruneConfig &config,
                          StringRef criterion) {
  Builder b(parameter.getContext());
  std::unique_ptr<PrunePattern> pattern = parsePattern(config.pattern);
  SmallVector<NamedAttribute> entries = {
      b.getNamedAttr("pattern", b.getStringAttr(config.pattern)),
      b.getNamedAttr("criterion", b.getStringAttr(criterion)),
      b.getNamedAttr("scope", b.getStringAttr(config.scope)),
      b.getNamedAttr("seed", b.getI64IntegerAttr(config.seed))};
  if (config.threshold)
    entries.push_back(
        b.getNamedAttr("threshold", b.getF64FloatAttr(*config.threshold)));
  double sparsity = config.sparsity.value_or(PruneTarget().sparsity);
  if (pattern && pattern->getOwnSparsity())
    sparsity = *pattern->getOwnSparsity();
  entries.push_back(b.getNamedAttr("sparsity", b.getF64FloatAttr(sparsity)));
  parameter->setAttr(kPruningAttr, b.getDictionaryAttr(entries));
}

LogicalResult tamis::selectPruning(ModuleOp module, const PruneConfig &config,
                                   Report &report) {
  if (failed(checkConfig(module, config)))
    return failure();
  std::vector<WeightMatrix> matrices = collectWeights(module);
  auto [first, last] = findEnds(matrices);
  for (WeightMatrix &matrix : matrices) {
    ObserveOp parameter = matrix.use.observe;
    StringRef tensor = parameter.getTensor();
    Operation *contract = matrix.use.contract;
    if (!config.include.empty() &&
        !matches(config.include, matrix.layer, tensor))
      continue;
    std::string reason;
    if (matches(config.exclude, matrix.layer, tensor))
      reason = "excluded by name";
    else if (!matrix.isFloat32())
      reason = "its elements are not float32";
    else if (config.protect)
      reason = getProtection(matrix, first.contains(contract),
                             last.contains(contract),
                             removesChannels(config.pattern));
    SmallVector<NamedAttribute> numbers = {
        report.number("weights", matrix.rows * matrix.columns)};
    if (matrix.isFloat32()) {
      FailureOr<std::vector<float>> values = matrix.read();
      if (failed(values))
        return failure();
      SparsityInfo info =
          recognizeSparsity(*values, matrix.rows, matrix.columns);
      numbers.push_back(report.number("sparsity_before", info.getShare()));
      numbers.push_back(report.text("pattern_before", info.pattern));
    }
    if (!reason.empty()) {
      parameter->removeAttr(kPruningAttr);
      report.add(matrix.layer, tensor, "keep", reason, numbers);
      continue;
    }
    auto [criterion, why] = requestStatistics(matrix, config.criterion);
    writeDecision(parameter, config, criterion);
    numbers.push_back(report.text("pattern", config.pattern));
    numbers.push_back(report.text("criterion", criterion));
    report.add(matrix.layer, tensor, "prune", why, numbers);
  }
  if (config.include.empty())
    module.walk([&](ContractOp op) {
      if (hasLeftWeight(op))
        report.add(getNode(op).name, findInput(op).getTensor(), "keep",
                   kLeftWeight);
    });
  return success();
}

std::optional<PruneDecision> tamis::getDecision(ObserveOp parameter) {
  auto entries = parameter->getAttrOfType<DictionaryAttr>(kPruningAttr);
  if (!entries)
    return std::nullopt;
  PruneDecision decision;
  auto text = [&](StringRef name, std::string &to) {
    if (auto value = entries.getAs<StringAttr>(name))
      to = value.str();
  };
  text("pattern", decision.pattern);
  text("criterion", decision.criterion);
  text("scope", decision.scope);
  if (auto seed = entries.getAs<IntegerAttr>("seed"))
    decision.seed = seed.getInt();
  if (auto sparsity = entries.getAs<FloatAttr>("sparsity"))
    decision.target.sparsity = sparsity.getValueAsDouble();
  if (auto threshold = entries.getAs<FloatAttr>("threshold"))
    decision.target.threshold = threshold.getValueAsDouble();
  return decision;
}
