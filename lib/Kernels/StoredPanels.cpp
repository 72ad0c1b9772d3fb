// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What storages that are made of packed panels have in common.
#include "StorageOptions.h"
#include "tamis/Kernels/PredictTime.h"

using namespace mlir;
using namespace mlir::tamis;

StringRef mlir::tamis::findPanelObstacle(const StorageProblem &problem) {
  kernel::ContractOp op = problem.op;
  kernel::PackOp pack = problem.pack;
  Type element = problem.view.element;
  if ((!element.isF32() && !element.isInteger(8)) || op.getNibbles())
    return " of these types";
  if (op.getBlock() || op.getInstruction().isTile() || pack.getColumn() < 0 ||
      !pack.getGroups().empty())
    return " of this shape";
  // Whole vectors of channels are multiplied as they lie in the panels.
  auto column = cast<AffineDimExpr>(
      op.getRhsMap().getResult(static_cast<unsigned>(pack.getColumn())));
  if (element.isInteger(8) &&
      op.getLhsMap().isFunctionOfDim(column.getPosition()))
    return " of a depthwise layer";
  if (problem.view.isSplat)
    return ": all weights are equal";
  return "";
}

int64_t mlir::tamis::countRows(kernel::ContractOp op) {
  int64_t rows = 1;
  for (auto [d, bound] : llvm::enumerate(op.getBounds()))
    if (!op.getRhsMap().isFunctionOfDim(d))
      rows *= ShapedType::isDynamic(bound) ? kTypicalRows : bound;
  return rows;
}

int64_t mlir::tamis::countVectors(const StorageProblem &problem,
                                  InstructionAttrInterface instruction,
                                  int64_t vectors) {
  PanelShape panels = describePanels(problem, instruction, vectors);
  return panels.count * panels.steps * vectors;
}

kernel::PackOp mlir::tamis::packPanels(IRRewriter &rewriter,
                                       const StorageProblem &problem,
                                       InstructionAttrInterface instruction,
                                       int64_t vectors) {
  kernel::ContractOp op = problem.op;
  rewriter.setInsertionPoint(op);
  return repack(rewriter, problem,
                describePanels(problem, instruction, vectors),
                /*withSums=*/isa<IntegerType>(op.getAccumulator()));
}

void mlir::tamis::storePanels(IRRewriter &rewriter,
                              const StorageProblem &problem,
                              kernel::PackOp panels,
                              StorageAttrInterface storage,
                              InstructionAttrInterface instruction,
                              ValueRange arrays) {
  kernel::ContractOp op = problem.op;
  kernel::PackOp pack = problem.pack;
  // Sums are whole: places of weights are not counted in elements.
  SmallVector<int64_t> tile(op.getTile());
  if (tile.size() > 3)
    tile[3] = 0;
  rewriter.modifyOpInPlace(op, [&] {
    op.setTile(tile);
    op.getRhsMutable().assign(arrays.front());
    op.getStreamMutable().assign(arrays.drop_front());
    op.getSumsMutable().assign(panels.getSumsResult()
                                   ? ValueRange(panels.getSumsResult())
                                   : ValueRange());
    op.setStorageAttr(storage);
    op.setInstructionAttr(instruction);
  });
  if (pack->use_empty())
    rewriter.eraseOp(pack);
}
