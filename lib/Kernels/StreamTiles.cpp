// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Row streams whose entries have several channels, by tile instructions. Tiles
// of weights are stored as they are loaded: 16 channels, each with the words of
// 16 entries. Tiles of activations are gathered from the stage: a word of 16
// rows is one line of 64 bytes, so that 16 copies make one tile, which all
// channels of the panel share. Sums come out channel by channel, as those of
// the other streams do.
#include "Emitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::kernel;

/// The next `depth` staged words, one behind the other; words of the stream
/// from `places` on say where they lie.
void Emitter::gatherWords(OpFoldResult places) {
  int64_t positions = rowStream.getPositions();
  Type word = cast<MemRefType>(words.getType()).getElementType();
  Type element = cast<MemRefType>(gathered.getType()).getElementType();
  for (int64_t e = 0; e < rowStream.getDepth(); ++e) {
    OpFoldResult at = loadPlace(b.add(places, b.constant(e)));
    for (int64_t p = 0; p < positions; p += lanes) {
      Value staged =
          vector::LoadOp::create(b, VectorType::get(lanes, word), words,
                                 b.value(b.add(at, b.constant(p))));
      vector::StoreOp::create(
          b,
          vector::BitCastOp::create(b, VectorType::get(lanes * step, element),
                                    staged),
          gathered, b.value(b.constant((e * positions + p) * step)));
    }
  }
}

void Emitter::multiplyStreamTiles(const Place &place, int64_t vectors) {
  Location loc = b.getLoc();
  int64_t positions = rowStream.getPositions();
  int64_t channels = rowStream.getChannels();
  int64_t depth = rowStream.getDepth();
  int64_t across = positions / lanes;
  OpFoldResult list = b.multiply(b.divide(place.rhs, channels), b.constant(2));
  auto startOf = [&](OpFoldResult at) -> OpFoldResult {
    Value start = memref::LoadOp::create(b, starts.flat, b.value(at));
    return arith::IndexCastOp::create(b, b.getIndexType(), start).getResult();
  };
  OpFoldResult first = startOf(list);
  OpFoldResult last = startOf(b.add(list, b.constant(2)));
  SmallVector<Value> sums;
  for (int64_t i = 0; i < vectors * across; ++i)
    sums.push_back(instruction.buildTileZero(b, loc, lanes, lanes));
  Value weightStride = b.value(b.constant(depth * step));
  Value rowStride = b.value(b.constant(positions * step));
  b.carry(first, last, depth, sums,
          [&](Value entry, SmallVectorImpl<Value> &inner) {
            // Words of entries that lie together, then their places.
            OpFoldResult from = b.multiply(entry, b.constant(channels + 1));
            gatherWords(b.add(from, b.constant(channels * depth)));
            SmallVector<Value> rows(across);
            for (int64_t j = 0; j < vectors; ++j) {
              OpFoldResult at = b.multiply(
                  b.add(from, b.constant(j * lanes * depth)), b.constant(step));
              Value weights =
                  instruction.buildTileLoad(b, loc, rhs.flat, b.value(at),
                                            weightStride, lanes, depth * step,
                                            /*streamed=*/false);
              for (int64_t i = 0; i < across; ++i) {
                if (!rows[i])
                  rows[i] = instruction.buildTileLoad(
                      b, loc, gathered, b.value(b.constant(i * lanes * step)),
                      rowStride, depth, lanes * step, /*streamed=*/false);
                Value &sum = inner[j * across + i];
                sum = instruction.buildTileMultiply(
                    b, loc, weights, rows[i], sum,
                    /*lhsUnsigned=*/false, op.getLhsUnsigned());
              }
            }
          });
  Value stride = b.value(b.constant(positions));
  for (int64_t j = 0; j < vectors; ++j)
    for (int64_t i = 0; i < across; ++i)
      instruction.buildTileStore(
          b, loc, sums[j * across + i], columnSums,
          b.value(b.constant(j * lanes * positions + i * lanes)), stride);
}
