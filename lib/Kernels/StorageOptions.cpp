// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Panels that storages are made of, where they are not those of the dense
// decision.
#include "StorageOptions.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "tamis/Kernels/Classify.h"
#include "tamis/Kernels/Tiling.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::tamis;

PanelShape mlir::tamis::describePanels(const StorageProblem &problem,
                                       InstructionAttrInterface instruction,
                                       int64_t vectors) {
  kernel::ContractOp op = problem.op;
  kernel::PackOp pack = problem.pack;
  ArrayRef<int64_t> reductions = pack.getReductions(),
                    shape = problem.view.shape;
  // Longer steps can take longer runs than those of the dense decision.
  std::string unused;
  FailureOr<ContractionDims> dims = classifyContraction(
      op.getLhsMap(), op.getRhsMap(), op.getOutMap(), op.getBounds(),
      cast<ShapedType>(op.getLhs().getType()).getShape(),
      instruction.getReductionStep(), unused);
  auto length = static_cast<int64_t>(succeeded(dims) ? dims->run
                                                     : unsigned(pack.getRun()));
  auto sizeOf = [&](ArrayRef<int64_t> list) {
    int64_t size = 1;
    for (int64_t d : list)
      size *= shape[d];
    return size;
  };
  PanelShape panels;
  panels.step = instruction.getReductionStep();
  panels.width = vectors * instruction.getLanes();
  panels.runDims = length;
  panels.runElements = sizeOf(reductions.take_back(length));
  panels.run = llvm::divideCeil(panels.runElements, panels.step);
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
      pack.getReductionsAttr(), b.getI64IntegerAttr(panels.runDims),
      b.getI64IntegerAttr(panels.step), pack.getOffsetAttr(),
      pack.getIsUnsignedAttr() ? b.getUnitAttr() : UnitAttr(), UnitAttr());
}

/// As many rows between passes of the panels as those of the dense tile, or as
/// a third of L2 holds where dense panels cut the sum instead.
static int64_t choosePositions(const StorageProblem &problem, int64_t rows) {
  kernel::ContractOp op = problem.op;
  kernel::PackOp pack = problem.pack;
  Tiling dense = Tiling::get(op.getTile());
  if (dense.depth == 0)
    return int64_t(llvm::alignTo(dense.positions, rows));
  auto lhs = cast<ShapedType>(op.getLhs().getType());
  int64_t row = problem.view.shape[pack.getReductions().back()] *
                lhs.getElementTypeBitWidth() / 8;
  int64_t fits = problem.target.getL2() / 3 / row;
  return std::max(rows, fits / rows * rows);
}

Tiling mlir::tamis::choosePanelTile(const StorageProblem &problem,
                                    InstructionAttrInterface instruction,
                                    int64_t mostVectors,
                                    int64_t mostAccumulators) {
  kernel::ContractOp op = problem.op;
  kernel::PackOp pack = problem.pack;
  TilingProblem p;
  p.columns = problem.view.shape[pack.getColumn()];
  for (int64_t d : pack.getReductions())
    p.steps *= problem.view.shape[d];
  p.lanes = instruction.getLanes();
  p.maxAccumulators = mostAccumulators;
  // Rows that merge are one loop, as they do without a window.
  bool merges = pack.getReductions().size() == 1;
  p.rowExtent = 1;
  for (AffineExpr expr : op.getOutMap().getResults()) {
    auto d = cast<AffineDimExpr>(expr).getPosition();
    int64_t bound = op.getBounds()[d];
    if (op.getRhsMap().isFunctionOfDim(d) || bound == 1)
      continue;
    if (ShapedType::isDynamic(bound) || ShapedType::isDynamic(p.rowExtent))
      p.rowExtent = merges ? ShapedType::kDynamic : bound;
    else
      p.rowExtent = merges ? p.rowExtent * bound : bound;
  }
  for (const RatedTiling &rated : rateTilings(p, /*count=*/100))
    if (rated.tiling.vectors <= mostVectors)
      return {rated.tiling.rows, rated.tiling.vectors,
              choosePositions(problem, rated.tiling.rows)};
  return Tiling::get(op.getTile());
}
