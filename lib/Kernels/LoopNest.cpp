// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The walk of a contraction kernel: groups, cache blocks of rows, panels of
// columns, rows, register blocks. Dimensions that are contiguous in every
// operand are one loop, so a 1x1 convolution walks like a matrix product.
#include "Emitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "tamis/Kernels/Tiling.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::kernel;

Place Emitter::advance(const Place &place, const Loop &loop, OpFoldResult by) {
  Place next = place;
  next.lhs = b.add(place.lhs, b.multiply(loop.lhs, by));
  next.rhs = b.add(place.rhs, b.multiply(loop.rhs, by));
  next.out = b.add(place.out, b.multiply(loop.out, by));
  next.sums = b.add(place.sums, b.multiply(loop.sums, by));
  for (auto [to, stride] : llvm::zip_equal(next.extras, loop.extras))
    to = b.add(to, b.multiply(stride, by));
  return next;
}

LogicalResult Emitter::emit() {
  if (failed(prepare()))
    return failure();
  Place start;
  start.lhs = start.rhs = start.out = start.sums = b.constant(0);
  start.extras.assign(extras.size(), b.constant(0));
  if (op.getTasks() <= 1)
    makeScratch();
  auto whole = [&](OpFoldResult extent) {
    return Range{b.constant(0), extent};
  };
  if (!groups.empty())
    groupRange = whole(groups.front().extent);
  rowRange = whole(cacheLoop().extent);
  panelRange = whole(b.ceilDivide(column.extent, op.getTile()[1] * lanes));
  if (op.getTasks() > 1)
    emitTasks(start);
  else
    emitGroups(0, start);
  return success();
}

void Emitter::makeScratch() {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToCall();
  if (rowStream)
    return makeStream();
  if (copiesPanels() || unpacksPanels())
    makePanel();
  if (bitmask)
    makeExpanded();
  makeStage();
  if (instruction.isTile())
    makeTileSums();
  if (!hasLongEpilogue())
    return;
  int64_t size = op.getTile()[0] * op.getTile()[1] * lanes;
  scratch = memref::AllocaOp::create(
      b, MemRefType::get({size}, op.getTotalType()), b.getI64IntegerAttr(64));
}

Loop &Emitter::cacheLoop() {
  return rows.size() > 1 ? rows[rows.size() - 2] : rows.back();
}

/// Splits the dimension that gives the most even pieces: groups, then rows,
/// then panels, unpacked ones before rows. The reduction is never split, so
/// results do not depend on the number of threads.
void Emitter::emitTasks(const Place &start) {
  int64_t tasks = op.getTasks();
  struct Candidate {
    Range *range;
    int64_t unit;
  };
  SmallVector<Candidate> candidates;
  if (!groups.empty())
    candidates.push_back({&groupRange, 1});
  candidates.push_back({&rowRange, rows.size() > 1 ? 1 : op.getTile()[0]});
  // Lists that are sorted together stay together.
  int64_t sorted = rowStream ? rowStream.getSorted() : 1;
  candidates.push_back(
      {&panelRange, std::max<int64_t>(1, sorted / (op.getTile()[1] * lanes))});
  // What is unpacked is best unpacked once.
  if (unpacksPanels())
    std::swap(candidates.back(), candidates[candidates.size() - 2]);
  auto evenness = [&](const Candidate &c) {
    auto extent = getConstantIntValue(c.range->upper);
    if (!extent)
      return 0.9;
    int64_t pieces = llvm::divideCeil(*extent, c.unit);
    return double(pieces) / double(llvm::divideCeil(pieces, tasks) * tasks);
  };
  Candidate best = candidates.front();
  for (const Candidate &c : candidates)
    if (evenness(c) > evenness(best) + 0.05)
      best = c;
  auto forall = scf::ForallOp::create(
      b, ArrayRef<OpFoldResult>{b.constant(tasks)}, ValueRange(), std::nullopt);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(forall.getBody());
  makeScratch();
  OpFoldResult extent = best.range->upper;
  OpFoldResult chunk =
      b.multiply(b.ceilDivide(b.ceilDivide(extent, best.unit), tasks),
                 b.constant(best.unit));
  OpFoldResult lower = b.multiply(forall.getInductionVar(0), chunk);
  best.range->upper = b.minimum(b.add(lower, chunk), extent);
  best.range->lower = b.minimum(lower, extent);
  emitGroups(0, start);
}

void Emitter::emitGroups(unsigned level, Place place) {
  if (level == groups.size())
    return emitOuterRows(0, place);
  Range range{b.constant(0), groups[level].extent};
  if (level == 0)
    range = groupRange;
  b.loop(range.lower, range.upper, 1, [&](OpFoldResult i) {
    emitGroups(level + 1, advance(place, groups[level], i));
  });
}

void Emitter::emitOuterRows(unsigned level, Place place) {
  if (level + 2 >= rows.size())
    return rowStream ? emitStreamRows(place) : emitCacheBlocks(place);
  b.loop(b.constant(0), rows[level].extent, 1, [&](OpFoldResult i) {
    emitOuterRows(level + 1, advance(place, rows[level], i));
  });
}

void Emitter::emitCacheBlocks(Place place) {
  int64_t positions = op.getTile()[2];
  auto [lower, upper] = rowRange;
  if (dims.depthwise && rows.size() > 1)
    return emitStripes(place);
  auto known = getConstantIntValue(b.subtract(upper, lower));
  if (positions == 0 || (known && *known <= positions))
    return emitPieces(place, lower, upper);
  b.loop(lower, upper, positions, [&, upper = upper](OpFoldResult i) {
    emitPieces(place, i, b.minimum(b.add(i, b.constant(positions)), upper));
  });
}

/// Of a depthwise window a stripe is walked line by line, each with all of its
/// channels, so that the lines the next window shares are still in L1. Channels
/// of one panel after the other lie apart: they map to few sets of it.
void Emitter::emitStripes(Place place) {
  Loop &across = rows.back();
  auto walk = [&](const Place &stripe, OpFoldResult from, OpFoldResult to) {
    b.loop(rowRange.lower, rowRange.upper, 1, [&](OpFoldResult i) {
      emitPanels(advance(stripe, cacheLoop(), i), from, to);
    });
  };
  OpFoldResult zero = b.constant(0);
  int64_t positions = op.getTile()[2];
  auto extent = getConstantIntValue(across.extent);
  if (positions == 0 || (extent && *extent <= positions))
    return walk(place, zero, across.extent);
  OpFoldResult whole =
      b.subtract(across.extent, b.remainder(across.extent, positions));
  b.loop(zero, whole, positions, [&](OpFoldResult i) {
    walk(advance(place, across, i), zero, b.constant(positions));
  });
  if (extent && *extent % positions == 0)
    return;
  walk(place, whole, across.extent);
}

/// A piece of the sum of all rows of a cache block before the next piece: its
/// part of them stays in L2 while all panels pass.
void Emitter::emitPieces(Place place, OpFoldResult lower, OpFoldResult upper) {
  int64_t depth = Tiling::get(op.getTile()).depth;
  if (depth == 0)
    return emitPanels(place, lower, upper);
  Loop whole = reductions.back();
  OpFoldResult zero = b.constant(0);
  auto isWhole = getConstantIntValue(b.remainder(whole.extent, depth)) == 0;
  b.loop(zero, whole.extent, depth, [&](OpFoldResult k) {
    OpFoldResult end = b.minimum(b.add(k, b.constant(depth)), whole.extent);
    reductions.back().extent = isWhole ? b.constant(depth) : b.subtract(end, k);
    continues = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, b.value(k),
                                      b.value(zero));
    ends = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, b.value(end),
                                 b.value(whole.extent));
    Place piece = place;
    piece.lhs = b.add(place.lhs, b.multiply(whole.lhs, k));
    piece.rhs = b.add(place.rhs, b.multiply(whole.rhs, k));
    emitPanels(piece, lower, upper);
  });
  reductions.back() = whole;
  continues = ends = Value();
}

void Emitter::emitPanels(Place place, OpFoldResult lower, OpFoldResult upper) {
  int64_t vectors = op.getTile()[1];
  int64_t width = vectors * lanes;
  OpFoldResult full = b.divide(column.extent, width);
  OpFoldResult tail = b.remainder(column.extent, width);
  OpFoldResult end = b.minimum(panelRange.upper, full);
  Columns whole;
  whole.vectors = vectors;
  whole.count = b.constant(width);
  whole.masks.assign(vectors, Value());
  auto walkWhole = [&] {
    OpFoldResult first =
        emitFarPanels(place, lower, upper, panelRange.lower, end);
    b.loop(first, end, 1, [&](OpFoldResult p) {
      emitPanel(advance(place, acrossPanels, p), whole, lower, upper);
    });
  };
  emitTileBlocks(place, whole, walkWhole);
  auto knownTail = getConstantIntValue(tail);
  if (knownTail == 0)
    return;
  // The task that walks to the end has the panel that is not full.
  OpBuilder::InsertionGuard guard(b);
  auto only = getConstantIntValue(panelRange.upper);
  if (!only || !knownTail) {
    Value mine = arith::CmpIOp::create(
        b, arith::CmpIPredicate::ugt, b.value(panelRange.upper), b.value(full));
    auto branch = scf::IfOp::create(b, mine, /*withElseRegion=*/false);
    b.setInsertionPointToStart(branch.thenBlock());
  }
  auto maskType = VectorType::get(lanes, b.getI1Type());
  Columns columns;
  columns.count = tail;
  columns.vectors = knownTail ? llvm::divideCeil(*knownTail, lanes) : vectors;
  columns.masks.assign(columns.vectors, Value());
  if (!knownTail) {
    for (int64_t j = 0; j < vectors; ++j)
      columns.masks[j] = vector::CreateMaskOp::create(
          b, maskType, b.value(b.subtract(tail, b.constant(j * lanes))));
  } else if (int64_t last = *knownTail % lanes) {
    SmallVector<bool> bits(lanes, false);
    std::fill_n(bits.begin(), last, true);
    columns.masks.back() = arith::ConstantOp::create(
        b, DenseElementsAttr::get(maskType, ArrayRef<bool>(bits)));
  }
  Place last = advance(place, acrossPanels, full);
  emitTileBlocks(last, columns,
                 [&] { emitPanel(last, columns, lower, upper); });
}

void Emitter::emitPanel(Place place, Columns columns, OpFoldResult lower,
                        OpFoldResult upper) {
  prepareInitial(place, columns);
  if (expanded)
    expandPanel(place);
  if (panel && unpacksPanels())
    unpackPanel(place);
  else if (panel)
    copyPanel(place, columns);
  if (rowStream)
    return emitStreamPanel(place, columns, lower, upper);
  if (rows.size() == 1 || dims.depthwise)
    return emitRowBlocks(place, columns, lower, upper);
  b.loop(lower, upper, 1, [&](OpFoldResult i) {
    emitRowBlocks(advance(place, rows[rows.size() - 2], i), columns,
                  b.constant(0), rows.back().extent);
  });
}

void Emitter::emitRowBlocks(const Place &place, const Columns &columns,
                            OpFoldResult lower, OpFoldResult upper) {
  const Loop &loop = rows.back();
  auto known = getConstantIntValue(loop.extent);
  int64_t size = op.getTile()[0];
  if (known == 0)
    return; // An empty batch.
  if (known)
    size = std::min(size, *known);
  auto blocks = [&](OpFoldResult from, OpFoldResult to, int64_t count) {
    b.loop(from, to, count, [&](OpFoldResult i) {
      emitBlock(advance(place, loop, i), count, columns);
    });
  };
  auto wholeBlocks = [&](OpFoldResult from, int64_t count) {
    OpFoldResult length = b.subtract(upper, from);
    return b.add(from, b.subtract(length, b.remainder(length, count)));
  };
  if (known && !instruction.isTile() && getConstantIntValue(lower) &&
      getConstantIntValue(upper)) {
    OpFoldResult end = wholeBlocks(lower, size);
    blocks(lower, end, size);
    if (int64_t rest = *getConstantIntValue(b.subtract(upper, end)))
      emitBlock(advance(place, loop, end), rest, columns);
    return;
  }
  OpFoldResult end = wholeBlocks(lower, size);
  blocks(lower, end, size);
  if (instruction.isTile()) {
    if (size > 16) {
      lower = end;
      end = wholeBlocks(lower, size / 2);
      blocks(lower, end, size / 2);
    }
    return emitRemainderRows(place, columns, end, upper);
  }
  if (known) {
    // Cache blocks are whole register blocks except the last, whose rest is
    // known.
    int64_t rest = *known % size;
    if (rest == 0)
      return;
    Value last = arith::CmpIOp::create(b, arith::CmpIPredicate::ult,
                                       b.value(end), b.value(upper));
    auto branch = scf::IfOp::create(b, last, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    emitBlock(advance(place, loop, end), rest, columns);
    return;
  }
  for (int64_t count : {int64_t(4), int64_t(1)}) {
    if (count >= size)
      continue;
    OpFoldResult next = wholeBlocks(end, count);
    blocks(end, next, count);
    end = next;
  }
}

void Emitter::emitBlock(const Place &place, int64_t count,
                        const Columns &columns) {
  if (instruction.isTile())
    return emitTileBlock(place, count, columns);
  if (continues)
    prefetchWaiting(place, count, columns);
  SmallVector<Value> accumulators = reduce(place, count, columns);
  OpBuilder::InsertionGuard guard(b);
  if (continues) {
    addWaiting(place, count, columns, accumulators);
    auto branch = scf::IfOp::create(b, ends, /*withElseRegion=*/true);
    b.setInsertionPointToStart(branch.elseBlock());
    storeWaiting(place, count, columns, accumulators);
    b.setInsertionPointToStart(branch.thenBlock());
  }
  if (scratch && count > 1)
    return finishRowByRow(place, count, columns, accumulators);
  finish(place, count, columns, accumulators);
}
