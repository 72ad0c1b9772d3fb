// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Decides what becomes integers. Nothing is computed here: the pass reads the
// structure of the model (and whether weights lie on a grid, where it is to
// recover that) and writes schemes and requests for statistics.
#include "ExactScheme.h"
#include "InputMoments.h"
#include "QuantizationFlow.h"
#include "QuantizeWeights.h"
#include "ScaleGroups.h"
#include "tamis/Compress/Parameters.h"
#include "tamis/Compress/Passes.h"
#include "tamis/Compress/Ranges.h"
#include "tamis/Compress/Report.h"
#include "tamis/Compress/Statistics.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/Regex.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_SELECTQUANTIZATION
#include "tamis/Compress/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

namespace {
struct SelectQuantization
    : tamis::impl::SelectQuantizationBase<SelectQuantization> {
  using SelectQuantizationBase::SelectQuantizationBase;

  void runOnOperation() override;
  LogicalResult checkOptions();
  LogicalResult checkWeights(function_ref<LogicalResult(const Twine &)> fail);
  /// Why a contraction stays float; empty if it is selected.
  std::string select(ContractOp op, Report &report);
  /// Gives an activation the scheme where it has none, and notes it for
  /// `selectOperands`.
  void selectActivation(ObserveOp observe, SchemeAttr scheme, StringRef layer,
                        const Twine &reason, Report &report);
  /// Activations that contractions read, given schemes one after the other.
  void selectInputs(Report &report);
  /// Gives what an operation between contractions reads the scheme of its
  /// result, where that pays.
  void selectOperands(ObserveOp observe, Report &report);
  /// Gives a parameter whose rows are gathered its scheme.
  void selectTable(ObserveOp parameter, Report &report);
  void collect(ObserveOp observe, ArrayRef<StringRef> kinds,
               std::optional<int64_t> axis = std::nullopt);
  SchemeAttr makeWeightScheme(WeightUse &use);
  bool isExcluded(StringRef name);
  bool hasType(Operation *op, StringRef fallback);

  std::vector<std::shared_ptr<llvm::Regex>> patterns;
  NumberSystem system = NumberSystem::Integer;
  std::optional<int64_t> fraction;
  /// No integer product is possible: what contractions read stays float.
  bool floatInputs = false;
  SchemeAttr activation;
  llvm::SetVector<ContractOp> selected;
  /// What a selected contraction reads.
  struct Input {
    ObserveOp observe;
    StringRef layer, reason;
  };
  SmallVector<Input> inputs;
  llvm::DenseSet<Operation *> visited;
  SmallVector<ObserveOp> pending;
};
} // namespace

LogicalResult SelectQuantization::checkWeights(
    function_ref<LogicalResult(const Twine &)> fail) {
  auto found = symbolizeNumberSystem(weightSystem);
  if (!found)
    return fail("unknown weight-system '" + weightSystem +
                "', expected integer, fixed_point, codebook, power_of_two, "
                "float8_e4m3fn, float8_e5m2, float16 or bfloat16");
  system = *found;
  bool isInteger = system == NumberSystem::Integer;
  auto [least, most] = getBitRange(system);
  if (isInteger)
    most = 8;
  if (weightBits < least || weightBits > most)
    return fail("weight-bits expected " + Twine(least) + " to " + Twine(most) +
                (isInteger ? "" : " of " + weightSystem) + ", got " +
                Twine(weightBits));
  if (weightBits == 1 && isInteger && (!weightSymmetric || weightUnsigned))
    return fail("weights of one bit expected to be signed and symmetric");
  if (!isInteger && (!weightSymmetric || weightUnsigned))
    return fail("weights of " + weightSystem +
                " expected to be signed and symmetric");
  constexpr int64_t kWhatFits = -1000;
  if (weightFraction != kWhatFits) {
    if (system != NumberSystem::FixedPoint)
      return fail("weight-fraction expected fixed_point weights, got " +
                  weightSystem);
    if (weightFraction < -100 || weightFraction > 100)
      return fail("weight-fraction expected -100 to 100, got " +
                  Twine(weightFraction));
    fraction = weightFraction;
  }
  bool hasBlocks = isInteger || system == NumberSystem::FixedPoint ||
                   system == NumberSystem::Float8E4M3FN ||
                   system == NumberSystem::Float8E5M2;
  if (block > 0 && !hasBlocks)
    return fail("weights of " + weightSystem + " have no blocks");
  floatInputs = weightOnly || recover ||
                (!isInteger && system != NumberSystem::FixedPoint) ||
                weightBits > activationBits;
  return success();
}

LogicalResult SelectQuantization::checkOptions() {
  ModuleOp module = getOperation();
  auto fail = [&](const Twine &message) {
    return module.emitError("tamis-select-quantization: ") << message;
  };
  if (activationBits != 8 && activationBits != 16)
    return fail("activation-bits expected 8 or 16, got " +
                Twine(activationBits));
  if (failed(checkWeights(fail)))
    return failure();
  if (block < 0)
    return fail("block expected at least 0, got " + Twine(block));
  if (!parseRangeMethod(method))
    return fail("unknown method '" + method +
                "', expected minmax, moving_average, percentile, entropy or "
                "mse");
  if (!llvm::is_contained({"", "amx", "vnni"}, StringRef(target)))
    return fail("unknown target '" + target + "', expected amx or vnni");
  for (const std::string &name : corrections)
    if (!llvm::is_contained({"bias", "smooth", "gptq", "equalize"},
                            StringRef(name)))
      return fail("unknown correction '" + name +
                  "', expected bias, smooth, gptq or equalize");
  for (const std::string &name : exclude) {
    std::string message;
    auto pattern = std::make_shared<llvm::Regex>("^(" + name + ")$");
    if (!pattern->isValid(message))
      return fail("'" + name + "' is no regular expression: " + message);
    patterns.push_back(std::move(pattern));
  }
  return success();
}

bool SelectQuantization::isExcluded(StringRef name) {
  return llvm::is_contained(exclude, name.str()) ||
         llvm::any_of(patterns, [&](const auto &pattern) {
           return pattern->match(name);
         });
}

bool SelectQuantization::hasType(Operation *op, StringRef fallback) {
  if (opTypes.empty())
    return true;
  StringRef type = getNode(op).type;
  return llvm::is_contained(opTypes, (type.empty() ? fallback : type).str());
}

static StringRef getLayer(ContractOp op) {
  if (StringRef name = getNode(op).name; !name.empty())
    return name;
  return op.getOrigin().value_or("");
}

/// How a reader of MLIR without node names would call a contraction.
static StringRef guessType(ContractOp op) {
  bool plain =
      llvm::all_of(op.getLhsMap().getResults(), llvm::IsaPred<AffineDimExpr>);
  return plain ? "MatMul" : "Conv";
}

SchemeAttr SelectQuantization::makeWeightScheme(WeightUse &use) {
  ArrayRef<int64_t> shape = use.observe.getType().getShape();
  int64_t axis = -1, size = 0;
  if (block > 0) {
    axis = pickLongest(shape, use.reductionAxes);
    size = axis < 0 ? 0 : block;
  } else if (perChannel && system != NumberSystem::Float16 &&
             system != NumberSystem::BFloat16) {
    axis = pickLongest(shape, use.outputAxes);
  }
  return SchemeAttr::get(&getContext(), weightBits, weightUnsigned,
                         weightSymmetric, axis, size, system, fraction);
}

void SelectQuantization::collect(ObserveOp observe, ArrayRef<StringRef> kinds,
                                 std::optional<int64_t> axis) {
  llvm::SmallSetVector<Attribute, 4> all;
  if (ArrayAttr earlier = observe.getCollectAttr())
    all.insert(earlier.begin(), earlier.end());
  Builder b(&getContext());
  for (StringRef kind : kinds)
    all.insert(b.getStringAttr(kind));
  observe.setCollectAttr(b.getArrayAttr(all.getArrayRef()));
  if (axis)
    observe.setAxis(*axis);
}

void SelectQuantization::selectActivation(ObserveOp observe, SchemeAttr scheme,
                                          StringRef layer, const Twine &reason,
                                          Report &report) {
  if (!visited.insert(observe).second)
    return;
  pending.push_back(observe);
  if (observe.getScheme())
    return;
  observe.setSchemeAttr(scheme);
  collect(observe, {StringRef(statistics::kMinMax)});
  if (*parseRangeMethod(method) != RangeMethod::MinMax)
    collect(observe, {StringRef(statistics::kHistogram)});
  report.add(layer, observe.getTensor(), tamis::getName(scheme), reason);
}

void SelectQuantization::selectInputs(Report &report) {
  // An earlier run gave some tensors a scheme: their operands follow them, not
  // this run's.
  for (Input &input : inputs)
    if (input.observe.getScheme())
      selectActivation(input.observe, activation, input.layer, input.reason,
                       report);
  while (!pending.empty())
    selectOperands(pending.pop_back_val(), report);
  for (Input &input : inputs)
    selectActivation(input.observe, activation, input.layer, input.reason,
                     report);
  while (!pending.empty())
    selectOperands(pending.pop_back_val(), report);
}

/// A tensor that operations between contractions can read as integers.
static bool isIntegerSource(ObserveOp observe,
                            const llvm::SetVector<ContractOp> &selected) {
  if (observe.getParameter())
    return false;
  return observe.getScheme() ||
         isComputedInIntegers(
             observe, [&](ContractOp op) { return selected.contains(op); },
             [&](ObserveOp source) {
               return isIntegerSource(source, selected);
             });
}

void SelectQuantization::selectOperands(ObserveOp observe, Report &report) {
  Producer producer = getProducer(observe);
  StringRef what;
  switch (producer.kind) {
  case ProducerKind::Addition:
    what = "Add";
    break;
  case ProducerKind::Concat:
    what = "Concat";
    break;
  case ProducerKind::Average:
    what = "AveragePool";
    break;
  default:
    return;
  }
  Operation *op = producer.operands.front()->getOwner();
  NodeName node = getNode(op);
  if (!hasType(op, what) || isExcluded(node.name))
    return;
  SmallVector<ObserveOp> sources;
  for (OpOperand *operand : producer.operands) {
    Source source = findSource(*operand);
    if (!source.observe || source.observe.getParameter() ||
        isExcluded(source.observe.getTensor()))
      return report.add(node.name, observe.getTensor(), "float operands",
                        what + " has an operand that is not observed, a "
                               "parameter or excluded");
    // What a float function computes would only be rounded once more.
    if (producer.kind == ProducerKind::Addition &&
        !isIntegerSource(source.observe, selected))
      return report.add(node.name, source.observe.getTensor(), "float",
                        what + " has an operand that no contraction computes");
    sources.push_back(source.observe);
  }
  for (ObserveOp source : sources)
    selectActivation(source, observe.getSchemeAttr(), node.name,
                     "read by " + what + " between contractions", report);
}

std::string SelectQuantization::select(ContractOp op, Report &report) {
  if (!isa<RankedTensorType>(op.getLhs().getType()) ||
      !cast<RankedTensorType>(op.getLhs().getType()).getElementType().isF32())
    return "its operands are not float32 tensors";
  StringRef layer = getLayer(op);
  if (isExcluded(layer))
    return "it is excluded by name";
  if (!hasType(op, guessType(op)))
    return "its node type is not among op-types";
  if (hasLeftWeight(op))
    return kLeftWeight.str();
  std::optional<WeightUse> use = findWeight(op);
  if (!use && (!attention || floatInputs))
    return "its second operand is not a parameter";
  if (use && isExcluded(use->observe.getTensor()))
    return "its weight is excluded by name";
  Source input = findSource(op.getLhsMutable());
  if (!floatInputs) {
    if (!input.observe)
      return "its input is not an observed tensor";
    if (input.observe.getParameter())
      return "its input is a parameter";
    if (isExcluded(input.observe.getTensor()))
      return "its input is excluded by name";
  }
  if (!use) {
    Source second = findSource(op.getRhsMutable());
    if (!second.observe || second.observe.getParameter() ||
        isExcluded(second.observe.getTensor()))
      return "its second operand is not an observed tensor";
    inputs.push_back({input.observe, layer, "first operand of a product"});
    inputs.push_back({second.observe, layer, "second operand of a product"});
    return "";
  }
  ObserveOp weight = use->observe;
  if (!cast<RankedTensorType>(weight.getType()).hasStaticShape() ||
      !cast<RankedTensorType>(weight.getType()).getNumElements())
    return "its weight is empty";
  SchemeAttr scheme = recover ? findExactScheme(*use) : makeWeightScheme(*use);
  if (!scheme)
    return "its weight lies on no grid of 4 or 8 bits";
  if (weight.getScheme() && weight.getScheme() != scheme &&
      llvm::any_of(selected, [&](ContractOp other) {
        auto shared = findWeight(other);
        return shared && shared->observe == weight;
      }))
    return "its weight is shared with a contraction that reads it along "
           "another axis";
  if (!weight.getScheme()) {
    weight.setSchemeAttr(scheme);
    report.add(layer, weight.getTensor(), tamis::getName(scheme),
               recover ? "the weight lies on this grid already"
               : block > 0 && scheme.getBlock() == 0
                   ? "weight of a contraction without a reduction: per tensor"
               : scheme.isPerTensor() ? "weight of a contraction"
                                      : "weight of a contraction, scales along "
                                        "axis " +
                                            Twine(scheme.getAxis()));
  }
  if (!floatInputs)
    inputs.push_back({input.observe, layer, "read by a contraction"});
  return "";
}

void SelectQuantization::selectTable(ObserveOp table, Report &report) {
  // A scale costs four bytes: what it serves must be much more.
  constexpr int64_t kLeastTable = 1024, kLeastRow = 16;
  SmallVector<Operation *> gathers;
  bool isReadOtherwise = false;
  for (OpOperand &use : table->getUses()) {
    if (Operation *gather = getRowReader(use))
      gathers.push_back(gather);
    else
      isReadOtherwise |= !isa<tensor::DimOp>(use.getOwner());
  }
  if (gathers.empty())
    return;
  StringRef layer = getNode(gathers.front()).name;
  auto refuse = [&](const Twine &reason) {
    report.add(layer, table.getTensor(), "float", reason);
  };
  if (table.getScheme())
    return report.add(layer, table.getTensor(),
                      tamis::getName(table.getSchemeAttr()),
                      "table that is the weight of a contraction too");
  RankedTensorType type = table.getType();
  if (isExcluded(table.getTensor()) ||
      llvm::any_of(gathers,
                   [&](Operation *op) { return isExcluded(getNode(op).name); }))
    return refuse("it is excluded by name");
  if (!llvm::all_of(gathers,
                    [&](Operation *op) { return hasType(op, "Gather"); }))
    return refuse("its node type is not among op-types");
  if (isReadOtherwise)
    return refuse("other operations than gathers of rows read the table");
  if (!type.getElementType().isF32() || !type.hasStaticShape())
    return refuse("the table is not float32");
  if (type.getNumElements() < kLeastTable ||
      type.getNumElements() / type.getDimSize(0) < kLeastRow)
    return refuse("the table is small, or its rows are");
  table.setSchemeAttr(SchemeAttr::get(&getContext(), 8, /*isUnsigned=*/false,
                                      /*symmetric=*/true, /*axis=*/0,
                                      /*block=*/0));
  report.add(layer, table.getTensor(), tamis::getName(table.getSchemeAttr()),
             "table of embeddings, a scale for each row");
  ++numTables;
}

void SelectQuantization::runOnOperation() {
  ModuleOp module = getOperation();
  if (failed(checkOptions()))
    return signalPassFailure();
  bool amx = target == "amx";
  if (target.empty())
    if (auto attr = module->getAttrOfType<TargetAttr>("tamis.target"))
      amx = attr.hasFeature("amx-int8");
  activation =
      activationFixedPoint
          ? SchemeAttr::get(&getContext(), activationBits, false, true, -1, 0,
                            NumberSystem::FixedPoint, std::nullopt)
          : SchemeAttr::get(&getContext(), activationBits,
                            activationUnsigned && !amx && activationBits == 8,
                            activationSymmetric, -1, 0);
  Report report(module, "select-quantization");
  SmallVector<ContractOp> contracts;
  module.walk([&](ContractOp op) { contracts.push_back(op); });
  for (ContractOp op : contracts) {
    std::string reason = select(op, report);
    if (reason.empty()) {
      selected.insert(op);
      ++numContractions;
      continue;
    }
    ++numRefused;
    report.add(getLayer(op), "", "float", reason);
  }
  selectInputs(report);
  // After the contractions, whose weights some tables are.
  if (tables)
    module.walk([&](ObserveOp op) {
      if (op.getParameter())
        selectTable(op, report);
    });

  // What corrections have to know of the inputs of weights.
  if (corrections.empty())
    return;
  std::vector<WeightMatrix> weights = collectWeights(module);
  if (llvm::is_contained(corrections, "equalize"))
    for (const ScaleGroup &group : findScaleGroups(weights))
      for (auto [observe, axis] : group.tensors)
        if (ObserveOp tensor = observe; tensor.getScheme())
          collect(tensor, {StringRef(statistics::kChannelAbsMax)}, axis);
  for (WeightMatrix &weight : weights) {
    if (!selected.contains(weight.use.contract))
      continue;
    for (StringRef name : corrections) {
      if (name == "gptq") {
        if (auto place = findMomentsPlace(weight))
          collect(place->observe, {StringRef(statistics::kGram)}, place->axis);
        else // --tamis-quantize will say so
          llvm::consumeError(place.takeError());
        continue;
      }
      if (!weight.input || name == "equalize")
        continue;
      collect(weight.input, {StringRef(statistics::kChannelMoments)},
              weight.inputAxis);
      if (name == "smooth")
        collect(weight.input, {StringRef(statistics::kChannelAbsMax)});
    }
  }
}
