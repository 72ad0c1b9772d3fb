// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `tamis_kernel.check` becomes an or into the error word.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "tamis/Conversion/Passes.h"
#include "tamis/Conversion/Workspace.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Runtime/Runtime.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_LOWERCHECKS
#include "tamis/Conversion/Passes.h.inc"

namespace {

/// Faults after which what follows is out of bounds.
constexpr int32_t kFatal = TAMIS_FAULT_SHAPE | TAMIS_FAULT_CAPACITY;

/// True if only loops and branches of @main lie around `check`: a body of a
/// structured operation cannot be left.
bool isInControlFlowOnly(kernel::CheckOp check) {
  for (Operation *parent = check->getParentOp(); !isa<func::FuncOp>(parent);
       parent = parent->getParentOp())
    if (!isa<scf::SCFDialect>(parent->getDialect()))
      return false;
  return true;
}

/// Moves `check` up to where its condition is known. What it promises of sizes
/// has reached the types of values that stand before it.
void hoist(kernel::CheckOp check) {
  Block *block = check->getBlock();
  SetVector<Operation *> computed;
  Operation *last = nullptr; // that cannot be moved
  auto visit = [&](Operation *user) {
    for (Value value : user->getOperands()) {
      Operation *op = value.getDefiningOp();
      if (!op || op->getBlock() != block)
        continue;
      if (isPure(op))
        computed.insert(op);
      else if (!last || last->isBeforeInBlock(op))
        last = op;
    }
  };
  visit(check);
  for (unsigned next = 0; next < computed.size(); ++next)
    visit(computed[next]);
  SmallVector<Operation *> moved;
  for (Operation *op : computed)
    if (!last || last->isBeforeInBlock(op))
      moved.push_back(op);
  llvm::sort(moved,
             [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  moved.push_back(check);
  for (Operation *op : moved) {
    if (last)
      op->moveAfter(last);
    else
      op->moveBefore(block, block->begin());
    last = op;
  }
}

struct LowerChecks : impl::LowerChecksBase<LowerChecks> {
  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    SmallVector<kernel::CheckOp> checks;
    getOperation().walk([&](kernel::CheckOp op) { checks.push_back(op); });
    if (!main || checks.empty())
      return;
    // The last one first: each then stands before what came after it, so that
    // the first fault is the one that is reported.
    for (kernel::CheckOp check : llvm::reverse(checks)) {
      if (check->getParentOfType<func::FuncOp>() != main) {
        check.emitOpError("expected inside @main");
        return signalPassFailure();
      }
      if (isInControlFlowOnly(check))
        hoist(check);
    }
    Block &entry = main.getBody().front();
    OpBuilder b(&entry, entry.begin());
    Location loc = main.getLoc();
    Value workspaceBytes = entry.getArgument(entry.getNumArguments() - 2);
    Value at = arith::ConstantIndexOp::create(b, loc, workspace::kError);
    Value word =
        memref::ViewOp::create(b, loc, MemRefType::get({}, b.getI32Type()),
                               workspaceBytes, at, ValueRange{});
    for (kernel::CheckOp check : checks) {
      b.setInsertionPoint(check);
      Location where = check.getLoc();
      Value none = arith::ConstantIntOp::create(b, where, 0, 32);
      Value code = arith::ConstantOp::create(b, where, check.getCodeAttr());
      Value bits =
          arith::SelectOp::create(b, where, check.getCondition(), none, code);
      Value old = memref::LoadOp::create(b, where, word, ValueRange{});
      Value now = arith::OrIOp::create(b, where, old, bits);
      auto store = memref::StoreOp::create(b, where, now, word, ValueRange{});
      // Everything else has been clamped.
      if ((check.getCode() & kFatal) && isInControlFlowOnly(check))
        store->setAttr(kLeaveOnErrorName, b.getUnitAttr());
      check.erase();
    }
  }
};

} // namespace
} // namespace mlir::tamis
