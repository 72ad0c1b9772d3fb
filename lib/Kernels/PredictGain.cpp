// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The choice between dense panels and other storages for a layer that
// has no decision yet, in a model that stays in the caches. A window counts as
// a plain reduction: what its taps share makes streams a little cheaper than
// this.
#include "tamis/Kernels/PredictGain.h"
#include "BitmaskPrice.h"
#include "DensePrice.h"
#include "EncodedPrice.h"
#include "StreamPrice.h"
#include "mlir/IR/Builders.h"
#include "tamis/Target/Target.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::tamis;

static Type getAccumulator(Type element) {
  return element.isF32() ? element : IntegerType::get(element.getContext(), 32);
}

int64_t mlir::tamis::getWordElements(TargetAttr target, Type element) {
  if (getDevice(target) != DeviceKind::None)
    return 0;
  auto instruction = getStreamInstruction(
      target, element, element, getAccumulator(element), false, false);
  return instruction ? instruction.getReductionStep() : 0;
}

/// The instruction of dense panels, as --tamis-select-instructions takes it.
static InstructionAttrInterface
getDenseInstruction(TargetAttr target, const LayerShape &shape, Type element) {
  constexpr int64_t fewestRows = 8, leastDepth = 32;
  for (InstructionAttrInterface instruction : getInstructions(target))
    if (instruction.getPairBound() == 0 &&
        instruction.accepts(element, element, getAccumulator(element), false,
                            false) &&
        (!instruction.isTile() ||
         (shape.rows >= fewestRows && shape.depth >= leastDepth)))
      return instruction;
  return {};
}

/// Cycles of the best row stream with a share `words` of its words; none where
/// no stream takes the layer.
static std::optional<double> predictStream(TargetAttr target,
                                           const LayerShape &shape,
                                           Type element, double words,
                                           double dense) {
  auto stream = getStreamInstruction(target, element, element,
                                     getAccumulator(element), false, false);
  if (!stream || shape.depth % stream.getReductionStep() != 0)
    return std::nullopt;
  StreamProblem problem;
  problem.lanes = stream.getLanes();
  // Floats of few rows have narrower vectors.
  if (element.isF32())
    problem.lanes =
        std::min(problem.lanes, int64_t(llvm::PowerOf2Ceil(shape.rows)));
  if (!element.isF32() && shape.rows < problem.lanes)
    return std::nullopt;
  problem.rows = shape.rows;
  problem.words = shape.depth / stream.getReductionStep();
  problem.run = problem.words;
  problem.columns = shape.columns;
  problem.entries = static_cast<int64_t>(words * double(problem.words) *
                                         double(problem.columns));
  problem.profile = getDefaultProfile(target);
  problem.cycles = getCycles(problem.profile, stream);
  problem.isInteger = isa<IntegerType>(element);
  problem.l1 = target.getL1();
  problem.l2 = target.getL2();
  SmallVector<StreamPlan> plans = planStreams(problem, 1);
  if (plans.empty() || plans.front().cycles > getStreamMargin(problem) * dense)
    return std::nullopt;
  return plans.front().cycles;
}

/// The same of a bitmask whose units are words.
static std::optional<double> predictBitmask(TargetAttr target,
                                            const LayerShape &shape,
                                            Type element, double words,
                                            int64_t blockRows, double dense) {
  std::optional<double> best;
  BitmaskProblem problem;
  problem.rows = shape.rows;
  problem.blockRows = blockRows;
  problem.profile = getDefaultProfile(target);
  problem.l2 = target.getL2();
  for (const MaskedInstruction &masked : getMaskedInstructions(
           target, element, element, getAccumulator(element), false, false)) {
    if (masked.unit != getWordElements(target, element))
      continue;
    int64_t elements = masked.unit * masked.expansion.getUnits();
    problem.vectors = llvm::divideCeil(shape.depth * shape.columns, elements);
    problem.entries = static_cast<int64_t>(
        words * double(problem.vectors * masked.expansion.getUnits()));
    double cycles = priceBitmask(problem, masked);
    if (cycles <= getFact(problem.profile, "bitmask.margin") * dense)
      best = std::min(best.value_or(cycles), cycles);
  }
  return best;
}

/// The same of two weights of every four.
static std::optional<double> predictTwoOfFour(TargetAttr target,
                                              const LayerShape &shape,
                                              Type element, int64_t blockRows,
                                              double dense) {
  EncodedProblem problem;
  problem.rows = shape.rows;
  problem.blockRows = blockRows;
  problem.profile = getDefaultProfile(target);
  problem.l1 = target.getL1();
  problem.l2 = target.getL2();
  for (InstructionAttrInterface instruction : getSelections(target)) {
    auto selection = cast<SelectionAttrInterface>(Attribute(instruction));
    if (selection.getKept() != 2 || instruction.getReductionStep() != 4 ||
        !instruction.accepts(element, element, getAccumulator(element), false,
                             false))
      continue;
    int64_t elements = instruction.getLanes() * 4;
    describeSelection(problem, instruction,
                      llvm::divideCeil(shape.depth * shape.columns, elements),
                      element.getIntOrFloatBitWidth());
    double cycles = priceEncoded(problem);
    if (cycles <= getFact(problem.profile, "n_of_m.margin") * dense)
      return cycles;
  }
  return std::nullopt;
}

/// Cycles of dense panels and of what is best; nothing where no instruction is
/// there.
static std::pair<double, double> predict(TargetAttr target,
                                         const LayerShape &given, Type element,
                                         double words, bool twoOfFour) {
  LayerShape shape = given;
  if (ShapedType::isDynamic(shape.rows))
    shape.rows = kTypicalRows;
  auto instruction = getDenseInstruction(target, shape, element);
  if (!instruction)
    return {0, 0};
  MLIRContext *context = target.getContext();
  AffineMap rhs = AffineMap::get(
      3, 0, {getAffineDimExpr(2, context), getAffineDimExpr(1, context)},
      context);
  // Register blocks of a few rows, as most are.
  int64_t block = std::min<int64_t>(4, shape.rows);
  double dense = priceDense(
      describeDense({shape.rows, shape.columns, shape.depth}, rhs, element,
                    instruction, target, getDefaultProfile(target),
                    /*modelBytes=*/0),
      block);
  double best = dense;
  for (std::optional<double> cycles :
       {predictStream(target, shape, element, words, dense),
        instruction.isTile()
            ? std::nullopt
            : predictBitmask(target, shape, element, words, block, dense),
        twoOfFour && !instruction.isTile()
            ? predictTwoOfFour(target, shape, element, block, dense)
            : std::nullopt})
    best = std::min(best, cycles.value_or(dense));
  return {dense, best};
}

double mlir::tamis::predictGain(TargetAttr target, const LayerShape &shape,
                                Type element, double words, bool twoOfFour) {
  auto [dense, best] = predict(target, shape, element, words, twoOfFour);
  return best > 0 ? dense / best : 1;
}

double mlir::tamis::predictTime(TargetAttr target, const LayerShape &shape,
                                Type element, double words, bool twoOfFour) {
  double cycles = predict(target, shape, element, words, twoOfFour).second;
  return cycles / (getFact(getDefaultProfile(target), "clock.ghz") * 1e3);
}
