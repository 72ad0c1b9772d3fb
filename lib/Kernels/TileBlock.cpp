// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Register blocks of tile instructions: up to two by two accumulators of 16 x
// 16 (four are what eight tile registers hold without spilling), lhs read in
// place with its row stride, weights in the order of dot products. Accumulators
// pass through a scratch of a few KiB that stays in L1; the epilogue reads it
// row by row. Tiles are loop-carried and never unrolled: LLVM has no move
// between tile registers, so a copy would go through memory.
#include "Emitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::kernel;

/// Most rows of a tile, most reduction steps (32 bits) of one of its rows.
static constexpr int64_t kTileRows = 16;
static constexpr int64_t kTileSteps = 16;
/// Rows of a block of the remainder instruction.
static constexpr int64_t kRemainderRows = 4;

namespace mlir::tamis::kernel {

/// The reduction of one block of tiles.
struct TileReduction {
  Emitter &e;
  IndexBuilder &b;
  int64_t vectors;
  /// Rows of each tile, number of tiles one above the other. All tiles of a
  /// function have one shape each for lhs, weights and accumulators: a tile
  /// register has one shape per configuration.
  int64_t tileRows, tiles;

  TileReduction(Emitter &e, int64_t rows, int64_t vectors)
      : e(e), b(e.b), vectors(vectors),
        tileRows(rows > kTileRows ? rows / 2 : rows), tiles(rows / tileRows) {}

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
      Value row = instruction.buildTileLoad(b, loc, e.lhs.flat, b.value(at),
                                            lhsStride, tileRows, depth);
      for (int64_t j = 0; j < vectors; ++j) {
        if (!weights[j]) {
          OpFoldResult from = b.add(rhs, b.constant(j * e.lanes * e.step));
          weights[j] = instruction.buildTileLoad(
              b, loc, e.rhs.flat, b.value(from), rhsStride, depth / e.step,
              e.lanes * e.step);
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
    int64_t length = *getConstantIntValue(loop.extent);
    int64_t depth = getTileDepth(length, e.step);
    b.carry(b.constant(0), loop.extent, depth, acc,
            [&](Value k, SmallVectorImpl<Value> &inner) {
              multiply(
                  b.add(lhs, k),
                  b.add(rhs, b.multiply(e.stepStride, b.divide(k, e.step))),
                  depth, inner);
            });
  }
};

} // namespace mlir::tamis::kernel

int64_t kernel::getTileDepth(int64_t length, int64_t step) {
  for (int64_t depth = kTileSteps * step; depth > 0; depth -= step)
    if (length % depth == 0)
      return depth;
  return 0;
}

void Emitter::emitTileBlock(const Place &place, int64_t count,
                            const Columns &columns) {
  TileReduction reduction(*this, count, columns.vectors);
  int64_t width = columns.vectors * lanes;
  SmallVector<Value> acc;
  // One zero per accumulator: a shared one would be copied through memory.
  for (int64_t i = 0; i < reduction.tiles * columns.vectors; ++i)
    acc.push_back(
        instruction.buildTileZero(b, b.getLoc(), reduction.tileRows, lanes));
  reduction.reduce(0, place.lhs, place.rhs, acc);
  Value stride = b.value(b.constant(width));
  for (int64_t i = 0; i < reduction.tiles; ++i)
    for (int64_t j = 0; j < columns.vectors; ++j)
      instruction.buildTileStore(
          b, b.getLoc(), acc[i * columns.vectors + j], scratch,
          b.value(b.constant(i * reduction.tileRows * width + j * lanes)),
          stride);
  b.loop(b.constant(0), b.constant(count), 1, [&](OpFoldResult r) {
    SmallVector<Value> row;
    for (int64_t j = 0; j < columns.vectors; ++j) {
      OpFoldResult at =
          b.add(b.multiply(r, b.constant(width)), b.constant(j * lanes));
      Value sum = vector::LoadOp::create(
          b, VectorType::get(lanes, op.getAccumulator()), scratch, b.value(at));
      row.push_back(
          isInteger ? arith::AddIOp::create(b, sum, columns.initial[j]) : sum);
    }
    finish(advance(place, rows.back(), r), 1, columns, row);
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
