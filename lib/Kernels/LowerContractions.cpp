// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The pass that turns tamis_kernel operations on memrefs into loops.
//
// Weights of 4 bits are unpacked for tiles, which few rows are not worth, and
// neither is the way of blocks' sums through memory. Where only run time knows
// how many there are, fewer than a tile's have a kernel of their own, of the
// instruction of rows that fill no tile.
#include "Emitter.h"
#include "Winograd.h"
#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "tamis/Kernels/Passes.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_LOWERCONTRACTIONS
#include "tamis/Kernels/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

/// The kernel of few rows beside `op`; null where all have one.
static kernel::ContractOp addFewRows(RewriterBase &rewriter,
                                     kernel::ContractOp op) {
  /// Rows of a tile, and of a register block of few rows.
  constexpr int64_t kTileRows = 16, kBlockRows = 4;
  InstructionAttrInterface instruction = op.getInstruction();
  if ((!op.getNibbles() && !op.getBlock()) || !instruction.isTile())
    return {};
  ArrayRef<int64_t> bounds = op.getBounds();
  kernel::IndexBuilder b(op.getLoc(), rewriter);
  b.setInsertionPoint(op);
  // Rows are what the result has and the weights have not.
  OpFoldResult count = b.constant(1);
  bool isOpen = false;
  for (auto [i, expr] : llvm::enumerate(op.getOutMap().getResults())) {
    unsigned d = cast<AffineDimExpr>(expr).getPosition();
    if (op.getRhsMap().isFunctionOfDim(d))
      continue;
    isOpen |= ShapedType::isDynamic(bounds[d]);
    count = b.multiply(
        count, ShapedType::isDynamic(bounds[d])
                   ? memref::DimOp::create(b, op.getInit(), i).getResult()
                   : OpFoldResult(b.constant(bounds[d])));
  }
  if (!isOpen)
    return {};
  Value isFew =
      arith::CmpIOp::create(b, arith::CmpIPredicate::ult, b.value(count),
                            b.value(b.constant(kTileRows)));
  auto branch = scf::IfOp::create(b, isFew, /*withElseRegion=*/true);
  rewriter.moveOpBefore(op, branch.elseBlock()->getTerminator());
  b.setInsertionPointToStart(branch.thenBlock());
  auto few = cast<kernel::ContractOp>(b.clone(*op));
  few.setInstructionAttr(instruction.getRemainderInstruction());
  few.setTile({kBlockRows, op.getTile()[1], 0});
  return few;
}

namespace {
struct LowerContractions
    : tamis::impl::LowerContractionsBase<LowerContractions> {
  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation()->walk([&](Operation *op) {
      auto destination = dyn_cast<DestinationStyleOpInterface>(op);
      if (isa<kernel::ContractOp, kernel::PackOp, kernel::WinogradInputOp,
              kernel::WinogradOutputOp>(op) &&
          destination.hasPureBufferSemantics())
        ops.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    SmallVector<Operation *> few;
    for (Operation *op : ops)
      if (auto contract = dyn_cast<kernel::ContractOp>(op))
        if (kernel::ContractOp kernel = addFewRows(rewriter, contract))
          few.push_back(kernel);
    ops.append(few);
    for (Operation *op : ops) {
      if (auto pack = dyn_cast<kernel::PackOp>(op))
        kernel::emitPack(pack, rewriter);
      else if (auto input = dyn_cast<kernel::WinogradInputOp>(op))
        kernel::emitWinogradInput(input, rewriter);
      else if (auto output = dyn_cast<kernel::WinogradOutputOp>(op))
        kernel::emitWinogradOutput(output, rewriter);
      else if (failed(kernel::Emitter(cast<kernel::ContractOp>(op), rewriter)
                          .emit()))
        return signalPassFailure();
      rewriter.eraseOp(op);
    }
  }
};
} // namespace
