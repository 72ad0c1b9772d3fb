// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The walk along the reduction: all of it, or the part of it that a workgroup
// has, tile by tile, with copies that run ahead; blocks have sums of their own.
#include "ContractionKernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::device;

/// The order of sums: fragments by channels, then rows, then registers; after
/// them row sums and column sums where they are needed.
SmallVector<Value> ContractionKernel::makeSums() {
  int64_t fragments = channelFragments * rowFragments;
  if (needsRowSums())
    fragments += rowFragments;
  if (needsColumnSums())
    fragments += channelFragments;
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(op.getAccumulator()));
  return SmallVector<Value>(fragments * shape.sumRegisters, zero);
}

/// Which of `count` this workgroup's part of the reduction has.
void ContractionKernel::divide(OpFoldResult count, OpFoldResult &begin,
                               OpFoldResult &end) {
  begin = b.constant(0), end = count;
  if (tiles.getSplits() == 1)
    return;
  OpFoldResult share = b.ceilDivide(count, tiles.getSplits());
  begin = b.minimum(b.multiply(split, share), count);
  end = b.minimum(b.add(begin, share), count);
}

/// The sums of all tiles, or where blocks have their own, the totals.
SmallVector<Value> ContractionKernel::reduceTiles() {
  if (op.getBlock())
    return reduceBlocks();
  OpFoldResult end;
  divide(tileCount, firstTile, end);
  ownTiles = b.subtract(end, firstTile);
  beginCopies();
  return sumTiles(b.constant(0), ownTiles);
}

SmallVector<Value> ContractionKernel::reduceBlocks() {
  int64_t blocks = op.getBounds()[*op.getBlock()];
  OpFoldResult tilesOfBlock = b.divide(tileCount, blocks), begin, end;
  divide(b.constant(blocks), begin, end);
  firstTile = b.multiply(begin, tilesOfBlock);
  ownTiles = b.multiply(b.subtract(end, begin), tilesOfBlock);
  beginCopies();
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(op.getTotalType()));
  SmallVector<Value> totals(
      channelFragments * rowFragments * shape.sumRegisters, zero);
  b.carry(
      begin, end, 1, totals, [&](Value block, SmallVectorImpl<Value> &inner) {
        // Early, while tiles are on their way.
        DenseMap<FactorKey, Value> factors = loadFactors(block);
        OpFoldResult first = b.multiply(b.subtract(block, begin), tilesOfBlock);
        combine(factors, sumTiles(first, tilesOfBlock), inner);
      });
  return totals;
}

void ContractionKernel::beginCopies() {
  if (op.getListed())
    clearWeights(b.constant(0));
  for (int64_t stage = 0; stage + 1 < tiles.getStages(); ++stage)
    copyAhead(b.constant(stage), b.constant(stage));
}

/// The sums of `count` tiles from the part's tile `first` on.
SmallVector<Value> ContractionKernel::sumTiles(OpFoldResult first,
                                               OpFoldResult count) {
  SmallVector<Value> sums = makeSums();
  b.carry(b.constant(0), count, 1, sums,
          [&](Value tile, SmallVectorImpl<Value> &inner) {
            walkTile(b.add(first, tile), inner);
          });
  return sums;
}

/// Begins to copy the part's tile `tile` if there is such a one.
void ContractionKernel::copyAhead(OpFoldResult tile, OpFoldResult slot) {
  Value exists = arith::CmpIOp::create(b, arith::CmpIPredicate::ult,
                                       b.value(tile), b.value(ownTiles));
  auto branch = scf::IfOp::create(b, exists, /*withElseRegion=*/false);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    copyTiles(b.add(firstTile, tile), slot);
  }
  // A group for each tile, copied or not, so that waiting can count them.
  commitCopies();
}

void ContractionKernel::walkTile(OpFoldResult tile,
                                 SmallVectorImpl<Value> &sums) {
  int64_t stages = tiles.getStages();
  OpFoldResult slot = b.constant(0);
  if (stages == 1) {
    // What is overwritten has been multiplied by all.
    gpu::BarrierOp::create(b);
    copyTiles(b.add(firstTile, tile), slot);
    if (op.getListed())
      expandTile(tile, slot);
    gpu::BarrierOp::create(b);
    return multiplyTile(slot, sums);
  }
  waitForCopies(stages - 2);
  // Everyone's copies of this tile are there, and everyone has multiplied the
  // tile before it, whose memory is free now.
  gpu::BarrierOp::create(b);
  OpFoldResult ahead = b.add(tile, b.constant(stages - 1));
  copyAhead(ahead, b.remainder(ahead, stages));
  slot = b.remainder(tile, stages);
  if (op.getListed()) {
    expandTile(tile, slot);
    gpu::BarrierOp::create(b);
  }
  multiplyTile(slot, sums);
}
