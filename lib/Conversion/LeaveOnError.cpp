// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// No step runs on shapes that a check has refused.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "tamis/Conversion/Passes.h"
#include "tamis/Conversion/Workspace.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_LEAVEONERROR
#include "tamis/Conversion/Passes.h.inc"

namespace {

struct LeaveOnError : impl::LeaveOnErrorBase<LeaveOnError> {
  void runOnOperation() override {
    SmallVector<memref::StoreOp> stores;
    getOperation().walk([&](memref::StoreOp store) {
      if (store->hasAttr(kLeaveOnErrorName))
        stores.push_back(store);
    });
    if (stores.empty())
      return;
    Region &body = getOperation().getBody();
    OpBuilder b(&getContext());
    Block *leave = b.createBlock(&body, body.end());
    func::ReturnOp::create(b, getOperation().getLoc());
    for (memref::StoreOp store : stores) {
      store->removeAttr(kLeaveOnErrorName);
      Block *before = store->getBlock();
      Block *after = before->splitBlock(std::next(store->getIterator()));
      b.setInsertionPointToEnd(before);
      Value none = arith::ConstantIntOp::create(b, store.getLoc(), 0, 32);
      Value fine =
          arith::CmpIOp::create(b, store.getLoc(), arith::CmpIPredicate::eq,
                                store.getValueToStore(), none);
      cf::CondBranchOp::create(b, store.getLoc(), fine, after, leave);
    }
  }
};

} // namespace
} // namespace mlir::tamis
