// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Register blocks of tile instructions: up to two by two accumulators of 16 x
// 16 (four are what eight tile registers hold without spilling), lhs read in
// place with its row stride, weights in the order of dot products. Accumulators
// pass through a few KiB that stay in L1. There they wait for the next block:
// with each of its multiplications a few rows of them have their epilogue,
// which vector units compute while the tile unit is busy. What is known of the
// waiting block is in memory too, so that no loop around has to carry it; LLVM
// brings it into registers. Sums of blocks of the reduction wait likewise, for
// the next one of the same rows. Tiles are loop-carried and never unrolled:
// LLVM has no move between tile registers, so a copy would go through memory.
#include "Emitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "tamis/Target/Target.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::kernel;

/// Most rows of a tile, most reduction steps (32 bits) of one of its rows.
static constexpr int64_t kTileRows = 16;
static constexpr int64_t kTileSteps = 16;
/// Rows of a block of the remainder instruction.
static constexpr int64_t kRemainderRows = 4;

namespace {
/// What is known of the block whose sums wait, element by element: the row that
/// is next, how many there are, where they go and what goes with them.
enum Waiting : int64_t { kNext, kRows, kOut, kSums, kExtras };
} // namespace

namespace mlir::tamis::kernel {

/// The block whose sums wait, as the one that is multiplied sees it: both have
/// columns alike.
struct WaitingBlock {
  Emitter &e;
  IndexBuilder &b;
  Columns columns;
  Place place;
  Value count;
  SmallVector<SmallVector<Value>> shared;

  WaitingBlock(Emitter &e, const Columns &like)
      : e(e), b(e.b), columns(like), count(e.getWaiting(kRows)) {
    place.lhs = place.rhs = b.constant(0);
    place.out = e.getWaiting(kOut);
    place.sums = e.getWaiting(kSums);
    for (size_t x = 0; x < e.extras.size(); ++x)
      place.extras.push_back(e.getWaiting(kExtras + static_cast<int64_t>(x)));
    if (e.isInteger)
      columns.initial = e.columnTerm(place, columns, e.lhsZero);
    shared = e.loadShared(place, columns);
  }

  void finishRows(OpFoldResult first, int64_t rows) {
    int64_t width = columns.vectors * e.lanes;
    auto type = VectorType::get(e.lanes, e.op.getAccumulator());
    SmallVector<Value> sums;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t j = 0; j < columns.vectors; ++j) {
        OpFoldResult at = b.add(b.multiply(first, b.constant(width)),
                                b.constant(r * width + j * e.lanes));
        Value sum = vector::LoadOp::create(b, type, e.tileSums, b.value(at));
        if (e.isInteger)
          sum = arith::AddIOp::create(b, sum, columns.initial[j]);
        sums.push_back(sum);
      }
    e.finish(e.advance(place, e.rows.back(), first), rows, columns, sums,
             shared);
  }

  /// Finishes the next `rows`, if any are left: they are all or none.
  void finishNext(int64_t rows) {
    /// More are a loop.
    constexpr int64_t kMostInLine = 4;
    OpBuilder::InsertionGuard guard(b);
    Value next = e.getWaiting(kNext);
    Value waits =
        arith::CmpIOp::create(b, arith::CmpIPredicate::ult, next, count);
    auto branch = scf::IfOp::create(b, waits, /*withElseRegion=*/false);
    b.setInsertionPointToStart(branch.thenBlock());
    OpFoldResult end = b.add(next, b.constant(rows));
    if (rows <= kMostInLine && !e.scratch)
      finishRows(next, rows);
    else
      b.loop(b.constant(0), b.constant(rows), 1,
             [&](OpFoldResult r) { finishRows(b.add(next, r), 1); });
    memref::StoreOp::create(b, b.value(end), e.waiting,
                            b.value(b.constant(kNext)));
  }

  void finishRest() {
    b.loop(e.getWaiting(kNext), count, 1,
           [&](OpFoldResult r) { finishRows(r, 1); });
  }
};

/// The reduction of one block of tiles.
struct TileReduction {
  Emitter &e;
  IndexBuilder &b;
  int64_t vectors;
  /// Rows of each tile, number of tiles one above the other. All tiles of a
  /// function have one shape each for lhs, weights and accumulators: a tile
  /// register has one shape per configuration.
  int64_t tileRows, tiles;
  /// Multiplications of each accumulator, on average.
  int64_t multiplications;
  bool streamsRows = false, streamsWeights = false;
  /// What is emitted beside the multiplications at an element of the run.
  function_ref<void(OpFoldResult)> beside;

  TileReduction(Emitter &e, int64_t vectors, int64_t rows)
      : e(e), b(e.b), vectors(vectors),
        tileRows(rows > kTileRows ? rows / 2 : rows), tiles(rows / tileRows) {
    multiplications = countMultiplications();
    chooseStreamed();
  }

  /// How many of `waiting` rows are finished beside each of so many
  /// multiplications: a divisor of `unit`.
  static int64_t shareOut(int64_t waiting, int64_t unit, int64_t among) {
    int64_t rows = 1;
    while (rows < unit && (unit % rows != 0 || rows * among < waiting))
      ++rows;
    return rows;
  }

  int64_t getDepth() const {
    return getTileDepth(*getConstantIntValue(e.reductions.back().extent),
                        e.step);
  }

  int64_t countMultiplications() const {
    int64_t count =
        *getConstantIntValue(e.reductions.back().extent) / getDepth();
    if (e.blockList) {
      int64_t panels = llvm::divideCeil(e.op.getBounds()[e.dims.column],
                                        e.op.getTile()[1] * e.lanes);
      return std::max<int64_t>(1, count * e.blockList.getEntries() / panels);
    }
    for (const Loop &loop : ArrayRef(e.reductions).drop_back())
      count *= *getConstantIntValue(loop.extent);
    return count;
  }

  /// Between two blocks of a panel of weights pass the rows of one. If L1 does
  /// not hold both, one operand is streamed, so that the other stays: the one
  /// that nobody reads again soon.
  void chooseStreamed() {
    TargetAttr target = getTarget(e.op);
    int64_t l1 = target ? target.getL1() : 32 << 10;
    int64_t bytes = 4 / e.step, rows = e.op.getTile()[0];
    int64_t length = multiplications * getDepth() * bytes;
    int64_t panel = length * vectors * e.lanes;
    auto stride = getConstantIntValue(e.rows.back().lhs);
    bool overlap = stride && *stride * bytes < length;
    if (overlap) {
      // Lines of windows, each read by several taps.
      int64_t run = *getConstantIntValue(e.reductions.back().extent) * bytes;
      int64_t line = std::max(run, *stride * bytes);
      length = length / run * (rows * *stride * bytes + line);
    } else {
      length *= rows;
    }
    if (panel + length <= l1)
      return;
    auto extent = getConstantIntValue(e.rows.back().extent);
    bool single = e.rows.size() == 1 && extent && *extent <= rows;
    streamsWeights = single || (overlap && panel > l1);
    streamsRows = !streamsWeights;
  }

  /// One multiplication of every accumulator, over `depth` elements of the
  /// reduction.
  void multiply(OpFoldResult lhs, OpFoldResult rhs, int64_t depth,
                MutableArrayRef<Value> acc) {
    auto &instruction = e.instruction;
    Location loc = b.getLoc();
    Value lhsStride = b.value(e.rows.back().lhs);
    Value rhsStride = b.value(e.stepStride);
    SmallVector<Value> weights(vectors);
    for (int64_t i = 0; i < tiles; ++i) {
      OpFoldResult at =
          b.add(lhs, b.multiply(e.rows.back().lhs, b.constant(i * tileRows)));
      Value row =
          instruction.buildTileLoad(b, loc, e.lhs.flat, b.value(at), lhsStride,
                                    tileRows, depth, streamsRows);
      for (int64_t j = 0; j < vectors; ++j) {
        if (!weights[j]) {
          OpFoldResult from = b.add(rhs, b.constant(j * e.lanes * e.step));
          weights[j] = instruction.buildTileLoad(
              b, loc, e.panel ? e.panel : e.rhs.flat, b.value(from), rhsStride,
              depth / e.step, e.lanes * e.step, streamsWeights);
        }
        Value &sum = acc[i * vectors + j];
        sum = instruction.buildTileMultiply(b, loc, row, weights[j], sum,
                                            e.op.getLhsUnsigned(),
                                            /*rhsUnsigned=*/false);
      }
    }
  }

  void reduce(unsigned level, OpFoldResult lhs, OpFoldResult rhs,
              SmallVectorImpl<Value> &acc) {
    const Loop &loop = e.reductions[level];
    if (e.blockList && level + 2 == e.reductions.size())
      return e.walkBlocks(lhs, rhs, acc,
                          [&](OpFoldResult rows, OpFoldResult weights,
                              SmallVectorImpl<Value> &inner) {
                            reduce(level + 1, rows, weights, inner);
                          });
    if (level + 1 < e.reductions.size())
      return b.carry(b.constant(0), loop.extent, 1, acc,
                     [&](Value i, SmallVectorImpl<Value> &inner) {
                       reduce(level + 1, b.add(lhs, b.multiply(loop.lhs, i)),
                              b.add(rhs, b.multiply(loop.rhs, i)), inner);
                     });
    // The run is static and a multiple of the tile: selection saw to it.
    int64_t depth = getDepth();
    b.carry(b.constant(0), loop.extent, depth, acc,
            [&](Value k, SmallVectorImpl<Value> &inner) {
              multiply(
                  b.add(lhs, k),
                  b.add(rhs, b.multiply(e.stepStride, b.divide(k, e.step))),
                  depth, inner);
              beside(k);
            });
  }

  /// Sums up the reductions from `level` on, `body` beside each multiplication.
  SmallVector<Value> sumUp(unsigned level, const Place &place,
                           function_ref<void(OpFoldResult)> body) {
    beside = body;
    SmallVector<Value> acc;
    // One zero per accumulator: a shared one would be copied through memory.
    for (int64_t i = 0; i < tiles * vectors; ++i)
      acc.push_back(
          e.instruction.buildTileZero(b, b.getLoc(), tileRows, e.lanes));
    reduce(level, place.lhs, place.rhs, acc);
    return acc;
  }

  /// Leaves the sums where they wait.
  void store(ArrayRef<Value> acc) {
    int64_t width = vectors * e.lanes;
    Value stride = b.value(b.constant(width));
    for (int64_t i = 0; i < tiles; ++i)
      for (int64_t j = 0; j < vectors; ++j)
        e.instruction.buildTileStore(
            b, b.getLoc(), acc[i * vectors + j], e.tileSums,
            b.value(b.constant(i * tileRows * width + j * e.lanes)), stride);
  }
};

} // namespace mlir::tamis::kernel

int64_t kernel::getTileDepth(int64_t length, int64_t step) {
  for (int64_t depth = kTileSteps * step; depth > 0; depth -= step)
    if (length % depth == 0)
      return depth;
  return 0;
}

void Emitter::makeTileSums() {
  int64_t size = op.getTile()[0] * op.getTile()[1] * lanes;
  tileSums = memref::AllocaOp::create(
      b, MemRefType::get({size}, op.getAccumulator()), b.getI64IntegerAttr(64));
  if (op.getBlock()) {
    tileTotals = memref::AllocaOp::create(
        b, MemRefType::get({size}, op.getTotalType()), b.getI64IntegerAttr(64));
    return;
  }
  int64_t facts = kExtras + static_cast<int64_t>(extras.size());
  waiting =
      memref::AllocaOp::create(b, MemRefType::get({facts}, b.getIndexType()));
}

void Emitter::setWaiting(const Place &place, int64_t count) {
  SmallVector<OpFoldResult> facts(kExtras);
  facts[kNext] = b.constant(0);
  facts[kRows] = b.constant(count);
  facts[kOut] = place.out;
  facts[kSums] = place.sums;
  facts.append(place.extras);
  for (auto [i, fact] : llvm::enumerate(facts))
    memref::StoreOp::create(b, b.value(fact), waiting, b.value(b.constant(i)));
}

Value Emitter::getWaiting(int64_t fact) {
  return memref::LoadOp::create(b, waiting, b.value(b.constant(fact)));
}

void Emitter::emitTileBlocks(const Place &start, const Columns &columns,
                             function_ref<void()> walk) {
  if (!waiting)
    return walk();
  setWaiting(start, 0);
  walk();
  // Where nothing was walked there may be no such columns to read.
  Value waits = arith::CmpIOp::create(b, arith::CmpIPredicate::ult,
                                      getWaiting(kNext), getWaiting(kRows));
  auto branch = scf::IfOp::create(b, waits, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  WaitingBlock(*this, columns).finishRest();
}

void Emitter::emitTileBlock(const Place &place, int64_t count,
                            const Columns &columns) {
  if (op.getBlock())
    return emitTileTotals(place, count, columns);
  WaitingBlock block(*this, columns);
  TileReduction reduction(*this, columns.vectors, count);
  // Waiting blocks are one tile high or two.
  int64_t multiplications = reduction.multiplications, most = op.getTile()[0];
  int64_t rows = reduction.shareOut(most, reduction.tileRows, multiplications);
  SmallVector<Value> acc =
      reduction.sumUp(0, place, [&](OpFoldResult) { block.finishNext(rows); });
  if (blockList || rows * multiplications < most)
    block.finishRest();
  reduction.store(acc);
  setWaiting(place, count);
}

/// Sums of each block of the reduction wait while the next one is multiplied,
/// and are combined with the totals beside it.
void Emitter::emitTileTotals(const Place &place, int64_t count,
                             const Columns &columns) {
  /// More are a loop.
  constexpr int64_t kMostInLine = 4;
  const Loop &blocks = reductions.front();
  TileReduction reduction(*this, columns.vectors, count);
  int64_t depth = reduction.getDepth();
  int64_t multiplications =
      *getConstantIntValue(reductions.back().extent) / depth;
  int64_t share = reduction.shareOut(count, count, multiplications);
  int64_t inLine = kMostInLine;
  while (share % inLine != 0)
    --inLine;

  auto type = VectorType::get(lanes, op.getTotalType());
  SmallVector<Value> zeros(
      inLine * columns.vectors,
      arith::ConstantOp::create(b, b.getZeroAttr(type)).getResult());
  b.loop(b.constant(0), b.constant(count), inLine,
         [&](OpFoldResult r) { storeTotals(r, columns, zeros); });
  reduction.store(reduction.sumUp(1, place, [](OpFoldResult) {}));
  b.loop(b.constant(1), blocks.extent, 1, [&](OpFoldResult i) {
    Place before = advance(place, blocks, b.subtract(i, b.constant(1)));
    auto combineRows = [&](OpFoldResult first) {
      b.loop(b.constant(0), b.constant(share), inLine, [&](OpFoldResult r) {
        OpFoldResult at = b.add(first, r);
        storeTotals(at, columns, combineWaiting(before, at, inLine, columns));
      });
    };
    auto combineShare = [&](OpFoldResult k) {
      OpFoldResult first = b.multiply(b.divide(k, depth), b.constant(share));
      if (share * multiplications <= count)
        return combineRows(first);
      OpBuilder::InsertionGuard guard(b);
      Value any =
          arith::CmpIOp::create(b, arith::CmpIPredicate::ult, b.value(first),
                                b.value(b.constant(count)));
      auto branch = scf::IfOp::create(b, any, /*withElseRegion=*/false);
      b.setInsertionPointToStart(branch.thenBlock());
      combineRows(first);
    };
    reduction.store(
        reduction.sumUp(1, advance(place, blocks, i), combineShare));
  });
  Place last = advance(place, blocks, b.subtract(blocks.extent, b.constant(1)));
  b.loop(b.constant(0), b.constant(count), 1, [&](OpFoldResult r) {
    SmallVector<Value> totals = combineWaiting(last, r, 1, columns);
    finish(advance(place, rows.back(), r), 1, columns, totals);
  });
}

void Emitter::emitRemainderRows(const Place &place, const Columns &columns,
                                OpFoldResult lower, OpFoldResult upper) {
  Columns rest = columns;
  rest.initial = columns.remainderInitial;
  InstructionAttrInterface tile = instruction;
  instruction = tile.getRemainderInstruction();
  for (int64_t count : {kRemainderRows, int64_t(1)}) {
    OpFoldResult length = b.subtract(upper, lower);
    OpFoldResult end =
        b.add(lower, b.subtract(length, b.remainder(length, count)));
    b.loop(lower, end, count, [&](OpFoldResult i) {
      emitBlock(advance(place, rows.back(), i), count, rest);
    });
    lower = end;
  }
  instruction = tile;
}
