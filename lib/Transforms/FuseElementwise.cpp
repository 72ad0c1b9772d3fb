// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Elementwise fusion: upstream's patterns under our decision which producers
// may be merged. A value that is read once never needs memory; a value that is
// cheaper to compute than to store is computed by each reader.
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/Transforms/Transforms.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "tamis/Target/Target.h"
#include "tamis/Transforms/Passes.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_FUSEELEMENTWISE
#include "tamis/Transforms/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

/// More inputs than this in one loop spill pointers and stream too many lines.
static constexpr unsigned kMaxInputs = 12;

/// True if the body costs about as much as the load it replaces: casts, the
/// zero point's subtraction and one multiplication, which is a dequantize.
static bool isCheap(linalg::GenericOp op) {
  unsigned multiplications = 0;
  for (Operation &inner : op.getBody()->without_terminator()) {
    if (isa<arith::MulFOp>(inner))
      ++multiplications;
    else if (!isa<arith::ConstantOp, arith::ExtFOp, arith::TruncFOp,
                  arith::ExtSIOp, arith::ExtUIOp, arith::TruncIOp,
                  arith::SIToFPOp, arith::UIToFPOp, arith::SubIOp,
                  arith::BitcastOp, arith::IndexCastOp>(inner))
      return false;
  }
  return multiplications <= 1;
}

static bool isElementwise(linalg::GenericOp op) {
  return op.getNumParallelLoops() == op.getNumLoops() &&
         op.getNumDpsInits() == 1 &&
         op.getMatchingIndexingMap(op.getDpsInitOperand(0)).isPermutation();
}

/// True if the body becomes a part of a contraction kernel that has a sum for
/// each block: it takes turns with products there.
static bool addsBlocksUp(linalg::GenericOp op) {
  return op.getNumReductionLoops() > 0 &&
         llvm::any_of(op.getDpsInputs(), [](Value input) {
           return bool(input.getDefiningOp<ContractOp>());
         });
}

/// The last contraction whose result reaches `value` through elementwise
/// operations that nothing else reads: those belong in its epilogue.
static ContractOp getSource(Value value) {
  Operation *op = value.getDefiningOp();
  if (auto contract = dyn_cast_if_present<ContractOp>(op))
    return contract;
  if (!op || !llvm::all_equal(op->getUsers()))
    return nullptr;
  if (isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp>(op))
    return getSource(op->getOperand(0));
  auto generic = dyn_cast<linalg::GenericOp>(op);
  if (!generic || !isElementwise(generic))
    return nullptr;
  ContractOp last;
  for (Value input : generic.getDpsInputs()) {
    ContractOp source = getSource(input);
    if (source && source->getBlock() == op->getBlock() &&
        (!last || last->isBeforeInBlock(source)))
      last = source;
  }
  return last;
}

/// The decision for the edge `operand` between two generics.
static bool shouldFuse(OpOperand *operand) {
  auto producer = operand->get().getDefiningOp<linalg::GenericOp>();
  auto consumer = dyn_cast<linalg::GenericOp>(operand->getOwner());
  if (!producer || !consumer || !isElementwise(producer) ||
      producer->getBlock() != consumer->getBlock())
    return false;
  AffineMap map = consumer.getMatchingIndexingMap(operand);
  if (!map.isProjectedPermutation())
    return false;
  bool cheap = isCheap(producer);
  bool onlyReader = llvm::all_of(producer->getUsers(), [&](Operation *user) {
    return user == consumer.getOperation();
  });
  if (!onlyReader && !cheap)
    return false;
  // Fewer results than loops: the reader evaluates each element many times.
  bool isRepeated = map.getNumResults() != consumer.getNumLoops();
  if (isRepeated && (!cheap || addsBlocksUp(consumer)))
    return false;
  if (ContractOp source = getSource(producer.getResult(0))) {
    // What reads a contraction goes along with it into the epilogue, so the
    // reader must be able to. Of two contractions the last takes the reader,
    // the other keeps its own epilogue.
    if (!onlyReader || isRepeated || !isElementwise(consumer))
      return false;
    for (OpOperand *other : consumer.getDpsInputOperands()) {
      ContractOp rival = getSource(other->get());
      if (rival && rival != source && rival->getBlock() == source->getBlock() &&
          source->isBeforeInBlock(rival))
        return false;
    }
  }
  return producer.getNumDpsInputs() + consumer.getNumDpsInputs() <=
         kMaxInputs + 1;
}

/// Whether a reshape only adds dimensions of size one, as the result of a
/// reduction gets them to broadcast.
static bool addsUnits(tensor::ExpandShapeOp expand) {
  return llvm::all_of(
      expand.getReassociationIndices(), [&](const ReassociationIndices &group) {
        return llvm::count_if(group, [&](int64_t dim) {
                 return expand.getResultType().getDimSize(dim) != 1;
               }) <= 1;
      });
}

/// An elementwise operation does without them, so that what follows reads rows
/// of the same shape: unless an operand would have to lose dimensions for it,
/// which would come back as other reshapes move.
static bool shouldDropUnits(OpOperand *operand) {
  auto consumer = dyn_cast<linalg::GenericOp>(operand->getOwner());
  return consumer && isElementwise(consumer) &&
         llvm::all_of(consumer.getDpsInputs(), [](Value input) {
           auto expand = input.getDefiningOp<tensor::ExpandShapeOp>();
           return !isa<RankedTensorType>(input.getType()) ||
                  (expand && addsUnits(expand));
         });
}

/// A reshape is worth removing where an elementwise operation waits on its
/// other side.
static bool shouldMoveReshape(OpOperand *operand) {
  Operation *producer = operand->get().getDefiningOp();
  if (!producer || !producer->hasOneUse())
    return false;
  Operation *consumer = operand->getOwner();
  auto isGeneric = [](Operation *op) {
    auto generic = dyn_cast_or_null<linalg::GenericOp>(op);
    return generic && isElementwise(generic);
  };
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(producer))
    return isGeneric(consumer) &&
           isGeneric(collapse.getSrc().getDefiningOp()) &&
           collapse.getSrc().hasOneUse();
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(consumer))
    return !addsUnits(expand) && isGeneric(producer) && consumer->hasOneUse() &&
           isGeneric(*consumer->getUsers().begin());
  return false;
}

namespace {
/// x + 0 is x, but for the sign of zero: sums over one element, as exporters
/// write them, disappear unless the policy is strict.
struct DropZeroSum : OpRewritePattern<arith::AddFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::AddFOp op,
                                PatternRewriter &rewriter) const override {
    if (!op->getParentOfType<linalg::GenericOp>() ||
        !matchPattern(op.getRhs(), m_AnyZeroFloat()))
      return failure();
    rewriter.replaceOp(op, op.getLhs());
    return success();
  }
};

struct FuseElementwise : tamis::impl::FuseElementwiseBase<FuseElementwise> {
  void runOnOperation() override {
    MLIRContext *context = &getContext();
    getOperation()->walk([&](linalg::GenericOp) { ++numBefore; });
    RewritePatternSet patterns(context);
    if (!isStrict(getOperation()))
      patterns.add<DropZeroSum>(context);
    linalg::populateElementwiseOpsFusionPatterns(patterns, shouldFuse);
    linalg::populateFoldReshapeOpsByExpansionPatterns(patterns,
                                                      shouldMoveReshape);
    linalg::populateFoldReshapeOpsByCollapsingPatterns(patterns,
                                                       shouldDropUnits);
    linalg::populateEraseUnusedOperandsAndResultsPatterns(patterns);
    linalg::GenericOp::getCanonicalizationPatterns(patterns, context);
    // A dimension of a result is one of its operands': not a reader.
    tensor::DimOp::getCanonicalizationPatterns(patterns, context);
    tensor::EmptyOp::getCanonicalizationPatterns(patterns, context);
    tensor::populateFoldTensorEmptyPatterns(patterns);
    tensor::ExpandShapeOp::getCanonicalizationPatterns(patterns, context);
    tensor::CollapseShapeOp::getCanonicalizationPatterns(patterns, context);
    context->getLoadedDialect<linalg::LinalgDialect>()
        ->getCanonicalizationPatterns(patterns);
    GreedyRewriteConfig config;
    // Producers first, so that a chain ends up in its last reader.
    config.setUseTopDownTraversal(true);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns),
                                     config))) {
      getOperation()->emitError("fusing elementwise operations does not end");
      return signalPassFailure();
    }
    getOperation()->walk([&](linalg::GenericOp) { ++numAfter; });
  }
};
} // namespace
