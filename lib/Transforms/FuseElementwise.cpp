// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Elementwise fusion: upstream's patterns under our decision which producers
// may be merged. A value that is read once never needs memory; a value that is
// cheaper to compute than to store is computed by each reader.
#include "tamis/Transforms/Passes.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/Transforms/Transforms.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

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

/// True if a contraction feeds `op`: its generic belongs in the epilogue,
/// which needs it to stay the only reader.
static bool readsContraction(linalg::GenericOp op) {
  return llvm::any_of(op.getDpsInputs(), [](Value input) {
    return input.getDefiningOp<ContractOp>() != nullptr;
  });
}

static bool isElementwise(linalg::GenericOp op) {
  return op.getNumParallelLoops() == op.getNumLoops() &&
         op.getNumDpsInits() == 1 &&
         op.getMatchingIndexingMap(op.getDpsInitOperand(0)).isPermutation();
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
  // Fewer results than loops: the reader evaluates each element many times.
  if (map.getNumResults() != consumer.getNumLoops() && !cheap)
    return false;
  bool onlyReader = llvm::all_of(producer->getUsers(), [&](Operation *user) {
    return user == consumer.getOperation();
  });
  if (!onlyReader && (!cheap || readsContraction(producer)))
    return false;
  // A body that moves into a broadcast leaves its contraction alone with the
  // wide result.
  if (map.getNumResults() != consumer.getNumLoops() &&
      readsContraction(producer))
    return false;
  return producer.getNumDpsInputs() + consumer.getNumDpsInputs() <=
         kMaxInputs + 1;
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
    return isGeneric(consumer) && isGeneric(collapse.getSrc().getDefiningOp()) &&
           collapse.getSrc().hasOneUse();
  if (isa<tensor::ExpandShapeOp>(consumer))
    return isGeneric(producer) && consumer->hasOneUse() &&
           isGeneric(*consumer->getUsers().begin());
  return false;
}

namespace {
struct FuseElementwise : tamis::impl::FuseElementwiseBase<FuseElementwise> {
  void runOnOperation() override {
    MLIRContext *context = &getContext();
    getOperation()->walk([&](linalg::GenericOp) { ++numBefore; });
    RewritePatternSet patterns(context);
    linalg::populateElementwiseOpsFusionPatterns(patterns, shouldFuse);
    linalg::populateFoldReshapeOpsByExpansionPatterns(patterns,
                                                      shouldMoveReshape);
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
                                     config)))
      return signalPassFailure();
    getOperation()->walk([&](linalg::GenericOp) { ++numAfter; });
  }
};
} // namespace
