// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Recognises the operations around contractions by what they compute. The
// importer's form is matched; whatever else is there counts as "other" and
// stays float.
#include "QuantizationFlow.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "tamis/Compress/Parameters.h"

using namespace mlir;
using namespace mlir::tamis;

/// True for a parameter or a constant, also behind movement.
static bool isParameter(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (auto observe = dyn_cast<ObserveOp>(op);
        observe && observe.getParameter())
      return true;
    if (matchPattern(op, m_Constant()))
      return true;
    if (!isa<ObserveOp, tensor::CollapseShapeOp, tensor::ExpandShapeOp,
             linalg::TransposeOp, tensor::ExtractOp, tensor::CastOp>(op))
      return false;
    value = op->getOperand(0);
  }
  return false;
}

static bool isElementwise(linalg::GenericOp op) {
  return op.getNumParallelLoops() == op.getNumLoops() &&
         op.getNumDpsInits() == 1 &&
         op.getMatchingIndexingMap(op.getDpsInitOperand(0)).isIdentity();
}

/// The operand of an elementwise chain `((x op c) op c) ...` whose operations
/// are all of `OpTys` and whose other operands are parameters; null otherwise.
template <typename... OpTys>
static OpOperand *getChainOperand(linalg::GenericOp op) {
  if (!isElementwise(op))
    return nullptr;
  OpOperand *data = nullptr;
  for (OpOperand *input : op.getDpsInputOperands())
    if (!isParameter(input->get())) {
      if (data)
        return nullptr;
      data = input;
    }
  if (!data || !op.getMatchingIndexingMap(data).isIdentity())
    return nullptr;
  Value current = op.getMatchingBlockArgument(data);
  for (Operation &inner : op.getBody()->without_terminator()) {
    if (isa<arith::ConstantOp>(inner))
      continue;
    if (!isa<OpTys...>(inner) || inner.getNumOperands() != 2)
      return nullptr;
    bool first = inner.getOperand(0) == current;
    if (!first && (inner.getOperand(1) != current ||
                   isa<arith::SubFOp, arith::DivFOp>(inner)))
      return nullptr;
    if (inner.getOperand(first ? 1 : 0) == current)
      return nullptr;
    current = inner.getResult(0);
  }
  return op.getBody()->getTerminator()->getOperand(0) == current ? data
                                                                 : nullptr;
}

/// The body's only operation if it combines element and accumulator.
static Operation *getFoldedOp(linalg::GenericOp op) {
  if (op.getNumReductionLoops() == 0 || op.getNumDpsInits() != 1 ||
      op.getNumDpsInputs() == 0 ||
      !llvm::hasSingleElement(op.getBody()->without_terminator()))
    return nullptr;
  Operation &body = op.getBody()->front();
  Value element = op.getBody()->getArgument(0);
  Value acc = op.getBody()->getArguments().back();
  if (body.getNumOperands() != 2 ||
      op.getBody()->getTerminator()->getOperand(0) != body.getResult(0))
    return nullptr;
  bool either = (body.getOperand(0) == element && body.getOperand(1) == acc) ||
                (body.getOperand(1) == element && body.getOperand(0) == acc);
  return either ? &body : nullptr;
}

/// The operand that an operation moves, pads with zero, or takes maxima of.
static OpOperand *getMovedOperand(Operation *op) {
  if (isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp, tensor::CastOp,
          tensor::ExtractSliceOp, linalg::TransposeOp>(op))
    return &op->getOpOperand(0);
  if (auto pad = dyn_cast<tensor::PadOp>(op)) {
    Value padding = pad.getConstantPaddingValue();
    return padding && matchPattern(padding, m_AnyZeroFloat())
               ? &pad.getSourceMutable()
               : nullptr;
  }
  auto generic = dyn_cast<linalg::GenericOp>(op);
  if (!generic)
    return nullptr;
  Operation *folded = getFoldedOp(generic);
  if (!isa_and_nonnull<arith::MaximumFOp, arith::MaxNumFOp>(folded))
    return nullptr;
  OpOperand *input = generic.getDpsInputOperand(0);
  if (auto pad = input->get().getDefiningOp<tensor::PadOp>())
    return &pad.getSourceMutable();
  return input;
}

Source tamis::findSource(OpOperand &reader) {
  Source source;
  OpOperand *use = &reader;
  while (Operation *op = use->get().getDefiningOp()) {
    if (auto observe = dyn_cast<ObserveOp>(op)) {
      source = {observe, use, source.observe};
      if (observe.getParameter())
        return source;
      use = &observe.getInputMutable();
      continue;
    }
    OpOperand *moved = getMovedOperand(op);
    if (!moved)
      break;
    use = moved;
  }
  return source;
}

/// The operand of a sum over windows or dimensions that `op` scales.
static OpOperand *getAveraged(linalg::GenericOp op) {
  OpOperand *scaled = getChainOperand<arith::MulFOp, arith::DivFOp>(op);
  auto sum =
      scaled ? scaled->get().getDefiningOp<linalg::GenericOp>() : nullptr;
  while (scaled && !sum) {
    Operation *op = scaled->get().getDefiningOp();
    if (!isa_and_nonnull<tensor::CollapseShapeOp, tensor::ExpandShapeOp>(op))
      return nullptr;
    scaled = &op->getOpOperand(0);
    sum = scaled->get().getDefiningOp<linalg::GenericOp>();
  }
  if (!sum || !isa_and_nonnull<arith::AddFOp>(getFoldedOp(sum)))
    return nullptr;
  return sum.getDpsInputOperand(0);
}

Producer tamis::getProducer(ObserveOp observe) {
  Value value = observe.getInput();
  while (Operation *op = value.getDefiningOp()) {
    if (auto earlier = dyn_cast<ObserveOp>(op)) {
      if (earlier.getParameter())
        return {};
      if (earlier.getScheme())
        return {ProducerKind::Integer, nullptr, {}};
      value = earlier.getInput();
      continue;
    }
    if (auto contract = dyn_cast<ContractOp>(op))
      return {ProducerKind::Contraction, contract, {}};
    if (isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp>(op)) {
      value = op->getOperand(0);
      continue;
    }
    if (auto concat = dyn_cast<tensor::ConcatOp>(op)) {
      Producer producer{ProducerKind::Concat, nullptr, {}};
      for (OpOperand &operand : concat->getOpOperands())
        producer.operands.push_back(&operand);
      return producer;
    }
    auto generic = dyn_cast<linalg::GenericOp>(op);
    if (!generic)
      return {};
    if (OpOperand *averaged = getAveraged(generic))
      return {ProducerKind::Average, nullptr, {averaged}};
    if (OpOperand *data =
            getChainOperand<arith::AddFOp, arith::SubFOp, arith::MulFOp,
                            arith::DivFOp, arith::MaximumFOp, arith::MaxNumFOp,
                            arith::MinimumFOp, arith::MinNumFOp>(generic)) {
      value = data->get();
      continue;
    }
    // x + y of two activations.
    if (!isElementwise(generic) || generic.getNumDpsInputs() != 2 ||
        !llvm::hasSingleElement(generic.getBody()->without_terminator()))
      return {};
    auto sum = dyn_cast<arith::AddFOp>(generic.getBody()->front());
    Block *body = generic.getBody();
    if (!sum || body->getTerminator()->getOperand(0) != sum.getResult() ||
        sum.getLhs() == sum.getRhs() || !isa<BlockArgument>(sum.getLhs()) ||
        !isa<BlockArgument>(sum.getRhs()))
      return {};
    return {ProducerKind::Addition,
            nullptr,
            {generic.getDpsInputOperand(0), generic.getDpsInputOperand(1)}};
  }
  return {ProducerKind::Argument, nullptr, {}};
}

bool tamis::isComputedInIntegers(
    ObserveOp observe, llvm::function_ref<bool(ContractOp)> isInteger,
    llvm::function_ref<bool(ObserveOp)> isQuantized) {
  Producer producer = getProducer(observe);
  switch (producer.kind) {
  case ProducerKind::Contraction:
    return isInteger(producer.contract);
  case ProducerKind::Integer:
    return true;
  case ProducerKind::Addition:
  case ProducerKind::Concat:
  case ProducerKind::Average:
    return llvm::all_of(producer.operands, [&](OpOperand *operand) {
      Source source = findSource(*operand);
      return source.observe && isQuantized(source.observe);
    });
  case ProducerKind::Argument:
  case ProducerKind::Other:
    return false;
  }
  return false;
}
