// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Decoder loops arrive as scf.while with every tensor of the model's loop body
// inside. Two things must be true before bufferization sees them: what does not
// depend on the iteration stands outside, and carried tensors keep their
// position from the condition to the body and back, because bufferization
// compares them by position and copies whatever has moved.
#include "tamis/IR/Tamis.h"
#include "tamis/Transforms/Passes.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/LoopInvariantCodeMotionUtils.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_PREPARELOOPS
#include "tamis/Transforms/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

/// True if running `op` once more, or once although the loop does not run, has
/// no effect but its cost.
static bool canHoist(Operation *op) {
  if (!isMemoryEffectFree(op))
    return false;
  // Contractions are total; so is what stands in an epilogue, except integer
  // division.
  if (isa<ContractOp, kernel::ContractOp, kernel::PackOp>(op))
    return llvm::all_of(op->getRegions(), [](Region &region) {
      return llvm::all_of(region.getOps(), [](Operation &inner) {
        return isa<YieldOp>(inner) || isSpeculatable(&inner);
      });
    });
  return isa<ml_program::GlobalLoadConstOp>(op) || isSpeculatable(op);
}

/// Rewrites `op` so that the condition passes on all arguments of the loop in
/// their order, then whatever else it computes; false if it already does or
/// cannot.
static bool align(RewriterBase &rewriter, scf::WhileOp op) {
  scf::ConditionOp condition = op.getConditionOp();
  ValueRange before = op.getBeforeArguments();
  SmallVector<Value> passed(before.begin(), before.end());
  SmallVector<unsigned> position;
  for (Value value : condition.getArgs()) {
    auto it = llvm::find(passed, value);
    if (it == passed.end() && isa<TensorType>(value.getType()))
      return false;
    position.push_back(it - passed.begin());
    if (it == passed.end())
      passed.push_back(value);
  }
  if (passed.size() == condition.getArgs().size() &&
      llvm::equal(passed, condition.getArgs()))
    return false;

  rewriter.setInsertionPoint(op);
  SmallVector<Type> types(ValueRange(passed).getTypes());
  auto aligned =
      scf::WhileOp::create(rewriter, op.getLoc(), types, op.getInits());
  rewriter.modifyOpInPlace(condition, [&] {
    condition.getArgsMutable().assign(passed);
  });
  aligned.getBefore().takeBody(op.getBefore());
  Block *old = &op.getAfter().front();
  SmallVector<Location> locations(types.size(), op.getLoc());
  Block *body = rewriter.createBlock(&aligned.getAfter(), {}, types, locations);
  SmallVector<Value> arguments;
  for (unsigned i : position)
    arguments.push_back(body->getArgument(i));
  rewriter.mergeBlocks(old, body, arguments);
  SmallVector<Value> results;
  for (unsigned i : position)
    results.push_back(aligned.getResult(i));
  rewriter.replaceOp(op, results);
  return true;
}

/// True if the user of `use` may update the tensor in place.
static bool isDestination(OpOperand &use) {
  Operation *user = use.getOwner();
  if (auto op = dyn_cast<DestinationStyleOpInterface>(user))
    return op.isDpsInit(&use);
  return isa<LoopLikeOpInterface>(user);
}

/// Gives everyone who updates a filled tensor a fill of its own. Shared ones
/// (equal fills are one operation after cleanup) would be copied for all users
/// but one, and where two of them become outputs, both would be written to the
/// buffer of the first.
static int64_t separateDestinations(RewriterBase &rewriter, Operation *root) {
  SmallVector<linalg::FillOp> fills;
  root->walk([&](linalg::FillOp op) {
    if (op.getNumResults() == 1 && !op->use_empty())
      fills.push_back(op);
  });
  int64_t made = 0;
  for (linalg::FillOp op : fills) {
    auto empty = op.getOutputs()[0].getDefiningOp<tensor::EmptyOp>();
    SmallVector<OpOperand *> uses(llvm::make_pointer_range(op->getUses()));
    for (OpOperand *use : ArrayRef(uses).drop_front()) {
      if (!empty || !isDestination(*use))
        continue;
      rewriter.setInsertionPoint(op);
      Operation *destination = rewriter.clone(*empty);
      IRMapping mapping;
      mapping.map(empty.getResult(), destination->getResult(0));
      Operation *copy = rewriter.clone(*op, mapping);
      rewriter.modifyOpInPlace(use->getOwner(),
                               [&] { use->set(copy->getResult(0)); });
      ++made;
    }
  }
  return made;
}

namespace {
struct PrepareLoops : tamis::impl::PrepareLoopsBase<PrepareLoops> {
  void runOnOperation() override {
    // Inner loops first: what leaves them may leave the outer ones too.
    getOperation()->walk([&](LoopLikeOpInterface loop) {
      if (!isa<scf::WhileOp, scf::ForOp>(loop))
        return;
      numHoisted += moveLoopInvariantCode(
          loop.getLoopRegions(),
          [&](Value value, Region *) {
            return loop.isDefinedOutsideOfLoop(value);
          },
          [](Operation *op, Region *) { return canHoist(op); },
          [&](Operation *op, Region *) { loop.moveOutOfLoop(op); });
    });
    IRRewriter rewriter(&getContext());
    SmallVector<scf::WhileOp> loops;
    getOperation()->walk([&](scf::WhileOp op) { loops.push_back(op); });
    for (scf::WhileOp op : loops)
      numAligned += align(rewriter, op);
    numSeparated += separateDestinations(rewriter, getOperation());
  }
};
} // namespace
