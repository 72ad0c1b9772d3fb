// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `tamis_kernel.check` becomes an or into the error word.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
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

/// True if only loops and branches of @main lie around `op`: a body of a
/// structured operation cannot be left.
bool isInControlFlowOnly(Operation *op) {
  for (Operation *parent = op->getParentOp(); !isa<func::FuncOp>(parent);
       parent = parent->getParentOp())
    if (!isa<scf::SCFDialect>(parent->getDialect()))
      return false;
  return true;
}

struct LowerChecks : impl::LowerChecksBase<LowerChecks> {
  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    SmallVector<kernel::CheckOp> checks;
    getOperation().walk([&](kernel::CheckOp op) { checks.push_back(op); });
    if (!main || checks.empty())
      return;
    Block &entry = main.getBody().front();
    OpBuilder b(&entry, entry.begin());
    Location loc = main.getLoc();
    Value workspaceBytes = entry.getArgument(entry.getNumArguments() - 2);
    Value at = arith::ConstantIndexOp::create(b, loc, workspace::kError);
    Value word =
        memref::ViewOp::create(b, loc, MemRefType::get({}, b.getI32Type()),
                               workspaceBytes, at, ValueRange{});
    for (kernel::CheckOp check : checks) {
      if (check->getParentOfType<func::FuncOp>() != main) {
        check.emitOpError("expected inside @main");
        return signalPassFailure();
      }
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
