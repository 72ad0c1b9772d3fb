// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Decoder loops arrive as scf.while with every tensor of the model's loop body
// inside. Two things must be true before bufferization sees them: what does not
// depend on the iteration stands outside, and carried tensors keep their
// position from the condition to the body and back, because bufferization
// compares them by position and copies whatever has moved.
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/LoopInvariantCodeMotionUtils.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Transforms/Passes.h"

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
  rewriter.modifyOpInPlace(condition,
                           [&] { condition.getArgsMutable().assign(passed); });
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

/// True if nothing but fills is in `value`: a filled tensor, or one whose
/// borders are (MaterializePadding.cpp).
static bool isFilled(Value value) {
  Operation *op = value.getDefiningOp();
  if (isa_and_present<tensor::EmptyOp>(op))
    return true;
  if (auto fill = dyn_cast_or_null<linalg::FillOp>(op))
    return fill.getNumResults() == 1 && isFilled(fill.getOutputs()[0]);
  if (auto slice = dyn_cast_or_null<tensor::ExtractSliceOp>(op))
    return isFilled(slice.getSource());
  if (auto insert = dyn_cast_or_null<tensor::InsertSliceOp>(op))
    return isFilled(insert.getSource()) && isFilled(insert.getDest());
  return false;
}

/// A filled tensor once more, with all that makes it.
static Value cloneFilled(RewriterBase &rewriter, Value value,
                         IRMapping &mapping) {
  if (Value known = mapping.lookupOrNull(value))
    return known;
  Operation *op = value.getDefiningOp();
  for (Value operand : op->getOperands())
    if (isa<TensorType>(operand.getType()))
      cloneFilled(rewriter, operand, mapping);
  return rewriter.clone(*op, mapping)->getResult(0);
}

/// What is inserted into a filled tensor is made in a slice of it, which moves
/// to `copy` too; the slice must not be another's as well.
static void moveSlice(RewriterBase &rewriter, OpOperand &update, Value copy) {
  auto insert = dyn_cast<tensor::InsertSliceOp>(update.getOwner());
  auto result = insert ? dyn_cast<OpResult>(insert.getSource()) : OpResult();
  auto maker = dyn_cast_or_null<DestinationStyleOpInterface>(
      result ? result.getOwner() : nullptr);
  if (!maker)
    return;
  OpOperand *init = maker.getTiedOpOperand(result);
  auto slice = init->get().getDefiningOp<tensor::ExtractSliceOp>();
  if (!slice || slice.getSource() != update.get())
    return;
  rewriter.setInsertionPoint(maker);
  auto own = cast<tensor::ExtractSliceOp>(rewriter.clone(*slice));
  own.getSourceMutable().assign(copy);
  rewriter.modifyOpInPlace(maker, [&] { init->set(own); });
}

/// Gives everyone who updates a filled tensor one of its own. Shared ones
/// (equal operations are one after cleanup) would be copied for all users but
/// one, and where two of them become outputs, both would be written to the
/// buffer of the first.
static int64_t separateDestinations(RewriterBase &rewriter, Operation *root) {
  SmallVector<Operation *> makers;
  root->walk([&](Operation *op) {
    if (isa<linalg::FillOp, tensor::InsertSliceOp>(op) &&
        op->getNumResults() == 1 && isFilled(op->getResult(0)))
      makers.push_back(op);
  });
  int64_t made = 0;
  for (Operation *op : makers) {
    SmallVector<OpOperand *> updates;
    // Who else reads it must find fills there, except a slice, which is where
    // an updated part is made.
    bool isRead = false;
    for (OpOperand &use : op->getUses()) {
      if (isDestination(use))
        updates.push_back(&use);
      else
        isRead |= !isa<tensor::ExtractSliceOp>(use.getOwner());
    }
    // The first keeps it: slices for the others are not made yet.
    if (llvm::all_of(updates, [&](OpOperand *use) {
          return use->getOwner()->getBlock() == op->getBlock();
        }))
      llvm::sort(updates, [](OpOperand *a, OpOperand *b) {
        return a->getOwner()->isBeforeInBlock(b->getOwner());
      });
    for (OpOperand *use :
         ArrayRef(updates).drop_front(isRead || updates.empty() ? 0 : 1)) {
      rewriter.setInsertionPoint(op);
      IRMapping mapping;
      Value copy = cloneFilled(rewriter, op->getResult(0), mapping);
      moveSlice(rewriter, *use, copy);
      rewriter.modifyOpInPlace(use->getOwner(), [&] { use->set(copy); });
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
