// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The choice between dense panels and row streams for a layer that has no
// decision yet. A window counts as a plain reduction: what its taps share makes
// streams a little cheaper than this.
#include "tamis/Kernels/PredictGain.h"
#include "DensePrice.h"
#include "StreamPrice.h"
#include "mlir/IR/Builders.h"
#include "tamis/Target/Target.h"

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

double mlir::tamis::predictGain(TargetAttr target, const LayerShape &given,
                                Type element, double words) {
  LayerShape shape = given;
  if (ShapedType::isDynamic(shape.rows))
    shape.rows = kTypicalRows;
  auto stream = getStreamInstruction(target, element, element,
                                     getAccumulator(element), false, false);
  auto dense = getDenseInstruction(target, shape, element);
  if (!stream || !dense || shape.rows < stream.getLanes() ||
      shape.depth % stream.getReductionStep() != 0)
    return 1;
  ProfileAttr profile = getDefaultProfile(target);
  MLIRContext *context = target.getContext();
  AffineMap rhs = AffineMap::get(
      3, 0, {getAffineDimExpr(2, context), getAffineDimExpr(1, context)},
      context);
  // Register blocks of a few rows, as most are.
  constexpr int64_t typicalBlock = 4;
  double denseCycles =
      priceDense(describeDense({shape.rows, shape.columns, shape.depth}, rhs,
                               element, dense, target, profile),
                 typicalBlock);

  StreamProblem problem;
  problem.rows = shape.rows;
  problem.words = shape.depth / stream.getReductionStep();
  problem.columns = shape.columns;
  problem.entries = static_cast<int64_t>(words * double(problem.words) *
                                         double(problem.columns));
  problem.lanes = stream.getLanes();
  problem.cycles = getCycles(profile, stream);
  problem.isInteger = isa<IntegerType>(element);
  problem.profile = profile;
  problem.l1 = target.getL1();
  problem.l2 = target.getL2();
  SmallVector<StreamPlan> plans = planStreams(problem, 1);
  if (plans.empty() ||
      plans.front().cycles > getStreamMargin(problem) * denseCycles)
    return 1;
  return denseCycles / plans.front().cycles;
}
