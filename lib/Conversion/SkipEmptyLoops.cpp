// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An empty tensor may have a huge dimension. The loop over it would count for
// years with nothing to do in it: such loops stand behind a branch.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "tamis/Conversion/Passes.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_SKIPEMPTYLOOPS
#include "tamis/Conversion/Passes.h.inc"

namespace {

bool isLoop(Operation *op) {
  return isa<scf::ForOp, scf::ForallOp>(op) && op->getNumResults() == 0;
}

bool leavesMemory(Operation *op) {
  return isMemoryEffectFree(op) || hasSingleEffect<MemoryEffects::Read>(op) ||
         hasSingleEffect<MemoryEffects::Allocate>(op);
}

/// Says in front of a loop whether anything happens in it.
class Guard {
public:
  explicit Guard(Operation *loop) : loop(loop), b(loop) {}

  /// Null where only running the loop can tell.
  Value build() { return mayWork(loop->getRegion(0).front()); }

private:
  /// `value` as the loop finds it; null if that depends on the iteration.
  Value outside(Value value) {
    if (!loop->isAncestor(value.getParentRegion()->getParentOp()))
      return value;
    if (Value moved = mapping.lookupOrNull(value))
      return moved;
    Operation *op = value.getDefiningOp();
    if (!op || !isPure(op) || op->getNumRegions())
      return nullptr;
    for (Value operand : op->getOperands()) {
      Value moved = outside(operand);
      if (!moved)
        return nullptr;
      mapping.map(operand, moved);
    }
    b.clone(*op, mapping);
    return mapping.lookup(value);
  }

  Value combine(Value a, Value other, bool both) {
    if (both)
      return arith::AndIOp::create(b, loop->getLoc(), a, other);
    return arith::OrIOp::create(b, loop->getLoc(), a, other);
  }

  /// Whether one of the loops in `body` may write; null where it may for sure.
  Value mayWork(Block &body) {
    Value any;
    for (Operation &op : body.without_terminator()) {
      if (isLoop(&op)) {
        Value here = loopMayWork(&op);
        if (!here)
          return nullptr;
        any = any ? combine(any, here, /*both=*/false) : here;
      } else if (!leavesMemory(&op)) {
        return nullptr;
      }
    }
    return any;
  }

  Value loopMayWork(Operation *inner) {
    Value all = mayWork(inner->getRegion(0).front());
    if (auto counted = dyn_cast<scf::ForOp>(inner)) {
      Value low = outside(counted.getLowerBound());
      Value high = outside(counted.getUpperBound());
      IntegerAttr constant;
      if (low && high && !matchPattern(high, m_Constant(&constant))) {
        Value runs = arith::CmpIOp::create(
            b, loop->getLoc(), arith::CmpIPredicate::slt, low, high);
        all = all ? combine(all, runs, /*both=*/true) : runs;
      }
    }
    return all;
  }

  Operation *loop;
  OpBuilder b;
  IRMapping mapping;
};

struct SkipEmptyLoops : impl::SkipEmptyLoopsBase<SkipEmptyLoops> {
  void runOnOperation() override {
    SmallVector<Operation *> loops;
    getOperation()->walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (isLoop(op))
        loops.push_back(op);
    });
    // A loop that is alone in a guarded one: what was asked holds for it too.
    llvm::SmallDenseSet<Operation *> covered;
    for (Operation *loop : loops) {
      if (!covered.contains(loop)) {
        Value mayWork = Guard(loop).build();
        if (!mayWork)
          continue;
        OpBuilder b(loop);
        auto branch = scf::IfOp::create(b, loop->getLoc(), mayWork);
        loop->moveBefore(branch.thenBlock()->getTerminator());
        ++numLoops;
      }
      auto inner =
          llvm::make_filter_range(loop->getRegion(0).front(),
                                  [](Operation &op) { return isLoop(&op); });
      if (llvm::hasSingleElement(inner))
        covered.insert(&*inner.begin());
    }
  }
};

} // namespace
} // namespace mlir::tamis
