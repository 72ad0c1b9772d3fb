// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Where several workgroups divide the reduction of a tile: each stores the sums
// of its part, a second launch adds them up, the first part first, and does
// what follows the sum.
#include "ContractionKernel.h"
#include "LinalgBody.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::device;

void ContractionKernel::storePart(Value sum, OpFoldResult column,
                                  OpFoldResult row) {
  memref::StoreOp::create(b, sum, op.getParts(),
                          ValueRange{b.value(split), b.value(group),
                                     b.value(row), b.value(column)});
}

void ContractionKernel::addParts() {
  /// Invocations of a workgroup, one for each element.
  constexpr int64_t kThreads = 128;
  OpBuilder::InsertionGuard guard(b);
  int64_t columns = op.getBounds()[dims.column];
  int64_t groups = 1;
  for (unsigned dim : dims.groups)
    groups *= op.getBounds()[dim];
  OpFoldResult total = b.multiply(rowCount, b.constant(groups * columns));
  Value number;
  gpu::LaunchOp launch =
      beginLaunch(b, b.getLoc(), b.value(b.ceilDivide(total, kThreads)),
                  kThreads, TypeRange(), number);
  OpFoldResult element =
      b.add(b.multiply(number, b.constant(kThreads)), launch.getThreadIds().x);
  Value exists = arith::CmpIOp::create(b, arith::CmpIPredicate::ult,
                                       b.value(element), b.value(total));
  auto branch = scf::IfOp::create(b, exists, /*withElseRegion=*/false);
  b.setInsertionPointToStart(branch.thenBlock());
  // Rows, which may be open, are outermost.
  OpFoldResult column = b.remainder(element, columns);
  OpFoldResult rest = b.divide(element, columns);
  group = b.remainder(rest, groups);
  OpFoldResult row = b.divide(rest, groups);
  origin.assign(extents.size(), b.constant(0));
  delinearize(group, dims.groups, origin);
  Value sum;
  for (int64_t part = 0; part < tiles.getSplits(); ++part) {
    Value next = memref::LoadOp::create(b, op.getParts(),
                                        ValueRange{b.value(b.constant(part)),
                                                   b.value(group), b.value(row),
                                                   b.value(column)});
    if (!sum)
      sum = next;
    else if (isa<FloatType>(sum.getType()))
      sum = arith::AddFOp::create(b, sum, next);
    else
      sum = arith::AddIOp::create(b, sum, next);
  }
  finishElement(sum, buildColumnTerm(column, /*columnSum=*/nullptr), column,
                row);
}
