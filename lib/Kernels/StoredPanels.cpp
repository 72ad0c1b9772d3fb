// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What storages that are made of packed panels have in common.
#include "StorageOptions.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "tamis/Kernels/PredictGain.h"
#include "llvm/Support/MathExtras.h"

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

/// Panels of `vectors` vectors of `instruction`, and the steps of each.
static std::pair<int64_t, int64_t>
countPanels(const StorageProblem &problem, InstructionAttrInterface instruction,
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
  auto steps = static_cast<int64_t>(
      sizeOf(reductions.drop_back(length)) *
      llvm::divideCeil(sizeOf(reductions.take_back(length)),
                       instruction.getReductionStep()));
  auto panels = static_cast<int64_t>(llvm::divideCeil(
      shape[pack.getColumn()], vectors * instruction.getLanes()));
  return {panels, steps};
}

int64_t mlir::tamis::countVectors(const StorageProblem &problem,
                                  InstructionAttrInterface instruction,
                                  int64_t vectors) {
  auto [panels, steps] = countPanels(problem, instruction, vectors);
  return panels * steps * vectors;
}

kernel::PackOp mlir::tamis::packPanels(IRRewriter &rewriter,
                                       const StorageProblem &problem,
                                       InstructionAttrInterface instruction,
                                       int64_t vectors) {
  kernel::ContractOp op = problem.op;
  kernel::PackOp pack = problem.pack;
  rewriter.setInsertionPoint(op);
  Location loc = op.getLoc();
  int64_t step = instruction.getReductionStep();
  int64_t width = vectors * instruction.getLanes();
  auto packed = cast<RankedTensorType>(pack.getPacked().getType());
  auto [panels, steps] = countPanels(problem, instruction, vectors);
  SmallVector<int64_t> shape{1, panels, steps, width * step};
  Value empty =
      tensor::EmptyOp::create(rewriter, loc, shape, packed.getElementType());
  Value sums;
  if (isa<IntegerType>(op.getAccumulator()))
    sums = tensor::EmptyOp::create(rewriter, loc,
                                   ArrayRef<int64_t>{1, panels * width},
                                   rewriter.getI32Type());
  return kernel::PackOp::create(
      rewriter, loc, empty.getType(), sums ? sums.getType() : Type(),
      pack.getSource(), empty, sums, pack.getGroupsAttr(), pack.getColumnAttr(),
      pack.getReductionsAttr(), pack.getRunAttr(),
      rewriter.getI64IntegerAttr(step), pack.getOffsetAttr(),
      pack.getIsUnsignedAttr() ? rewriter.getUnitAttr() : UnitAttr(),
      UnitAttr());
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
