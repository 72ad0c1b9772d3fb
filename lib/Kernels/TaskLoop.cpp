// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The frame of kernels made of several operations: a piece of the iterations
// for each task, or all of them where there is one.
#include "TaskLoop.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::tamis;

TaskRange mlir::tamis::beginTaskLoop(ImplicitLocOpBuilder &b, int64_t tasks,
                                     Value count, StringAttr origin) {
  Operation *loop;
  Value zero = arith::ConstantIndexOp::create(b, 0);
  TaskRange range{zero, zero, count};
  if (tasks > 1) {
    auto forall =
        scf::ForallOp::create(b, ArrayRef<OpFoldResult>{b.getIndexAttr(tasks)},
                              ValueRange(), std::nullopt);
    loop = forall;
    b.setInsertionPoint(forall.getTerminator());
    range.task = forall.getInductionVar(0);
    Value share = b.createOrFold<arith::CeilDivUIOp>(
        count, arith::ConstantIndexOp::create(b, tasks));
    range.lower = b.createOrFold<arith::MinUIOp>(
        b.createOrFold<arith::MulIOp>(range.task, share), count);
    range.upper = b.createOrFold<arith::MinUIOp>(
        b.createOrFold<arith::AddIOp>(range.lower, share), count);
  } else {
    auto region = scf::ExecuteRegionOp::create(b, TypeRange());
    region.setNoInline(true);
    loop = region;
    b.createBlock(&region.getRegion());
    b.setInsertionPoint(scf::YieldOp::create(b));
  }
  loop->setAttr("tamis.kernel", b.getUnitAttr());
  if (origin)
    loop->setAttr("origin", origin);
  return range;
}
