// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Panels that storages are made of, where they are not those of the dense
// decision.
#include "StorageOptions.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::tamis;

PanelShape mlir::tamis::describePanels(const StorageProblem &problem,
                                       InstructionAttrInterface instruction,
                                       int64_t vectors) {
  kernel::PackOp pack = problem.pack;
  ArrayRef<int64_t> reductions = pack.getReductions(),
                    shape = problem.view.shape;
  auto length = static_cast<int64_t>(pack.getRun());
  auto sizeOf = [&](ArrayRef<int64_t> list) {
    int64_t size = 1;
    for (int64_t d : list)
      size *= shape[d];
    return size;
  };
  PanelShape panels;
  panels.step = instruction.getReductionStep();
  panels.width = vectors * instruction.getLanes();
  panels.run = static_cast<int64_t>(
      llvm::divideCeil(sizeOf(reductions.take_back(length)), panels.step));
  panels.steps = sizeOf(reductions.drop_back(length)) * panels.run;
  panels.count = static_cast<int64_t>(
      llvm::divideCeil(shape[pack.getColumn()], panels.width));
  return panels;
}

kernel::PackOp mlir::tamis::repack(OpBuilder &b, const StorageProblem &problem,
                                   const PanelShape &panels, bool withSums) {
  kernel::PackOp pack = problem.pack;
  Location loc = pack.getLoc();
  auto packed = cast<RankedTensorType>(pack.getPacked().getType());
  Value empty =
      tensor::EmptyOp::create(b, loc,
                              ArrayRef<int64_t>{1, panels.count, panels.steps,
                                                panels.width * panels.step},
                              packed.getElementType());
  Value sums;
  if (withSums)
    sums = tensor::EmptyOp::create(
        b, loc, ArrayRef<int64_t>{1, panels.count * panels.width},
        b.getI32Type());
  return kernel::PackOp::create(
      b, loc, empty.getType(), sums ? sums.getType() : Type(), pack.getSource(),
      empty, sums, pack.getGroupsAttr(), pack.getColumnAttr(),
      pack.getReductionsAttr(), pack.getRunAttr(),
      b.getI64IntegerAttr(panels.step), pack.getOffsetAttr(),
      pack.getIsUnsignedAttr() ? b.getUnitAttr() : UnitAttr(), UnitAttr());
}
