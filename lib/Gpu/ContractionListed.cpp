// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Weights without the words that are zero (see tamis_gpu.list): records come
// into workgroup memory as dense tiles do, then the workgroup puts their words
// where dense weights have them. Two tiles take turns: while the words of one
// are put into it, the other, which has been multiplied, is cleared.
#include "ContractionKernel.h"
#include "ListedWords.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::device;

/// The first chunk of the record of panel `part` of a tile, and how many it
/// has.
std::pair<OpFoldResult, OpFoldResult>
ContractionKernel::findRecord(int64_t part, OpFoldResult tile) {
  // Of the widest tiles, which say how many panels there are.
  int64_t channels = op.getTiles().getChannels();
  int64_t panels = llvm::divideCeil(op.getBounds()[dims.column], channels) *
                   channels / kPanelChannels;
  OpFoldResult index =
      b.add(b.multiply(panel, b.constant(getPanels())), b.constant(part));
  index = b.add(b.multiply(group, b.constant(panels)), index);
  index = b.add(b.multiply(index, tileCount), tile);
  auto load = [&](OpFoldResult at) -> OpFoldResult {
    Value start = memref::LoadOp::create(b, op.getMetadata(), b.value(at));
    return arith::IndexCastOp::create(b, b.getIndexType(), start).getResult();
  };
  OpFoldResult first = load(index);
  return {first, b.subtract(load(b.add(index, b.constant(1))), first)};
}

void ContractionKernel::copyRecords(OpFoldResult tile, OpFoldResult slot) {
  int64_t most = op.getListed()->getChunks();
  for (int64_t part = 0; part < getPanels(); ++part) {
    auto [first, count] = findRecord(part, tile);
    forEachChunk(most, [&, first = first, count = count](OpFoldResult chunk) {
      Value inside = arith::CmpIOp::create(b, arith::CmpIPredicate::ult,
                                           b.value(chunk), b.value(count));
      // None of a chunk that is not there is read, but its address has to be
      // one.
      OpFoldResult last = b.subtract(count, b.constant(1));
      OpFoldResult from = b.add(first, b.minimum(chunk, last));
      OpFoldResult to = b.add(b.multiply(slot, b.constant(records.words)),
                              b.multiply(b.add(b.constant(part * most), chunk),
                                         b.constant(kChunk)));
      copyAsync(op.getRhs(), b.multiply(from, b.constant(kChunk)), records, to,
                inside);
    });
  }
}

void ContractionKernel::clearWeights(OpFoldResult slot) {
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(wordType));
  OpFoldResult first = b.multiply(slot, b.constant(weights.words));
  forEachChunk(weights.words / kChunk, [&](OpFoldResult chunk) {
    OpFoldResult at = b.add(first, b.multiply(chunk, b.constant(kChunk)));
    for (int64_t w = 0; w < kChunk; ++w)
      memref::StoreOp::create(b, zero, weights.memory,
                              b.value(b.add(at, b.constant(w))));
  });
}

/// Puts the words of the part's tile `tile` in their places, whose records are
/// in `slot` or in the device's memory.
void ContractionKernel::expandTile(OpFoldResult tile, OpFoldResult slot) {
  expanded = b.remainder(tile, 2);
  clearWeights(b.remainder(b.add(tile, b.constant(1)), 2));
  int64_t panelWords = weights.words / getPanels();
  for (int64_t part = 0; part < getPanels(); ++part) {
    Value memory = records.memory ? records.memory : op.getRhs();
    int64_t most = op.getListed()->getChunks();
    OpFoldResult record =
        records.memory
            ? b.add(b.multiply(slot, b.constant(records.words)),
                    b.constant(part * most * kChunk))
            : b.multiply(findRecord(part, b.add(firstTile, tile)).first,
                         b.constant(kChunk));
    auto read = [&](OpFoldResult word) -> Value {
      return memref::LoadOp::create(b, memory, b.value(b.add(record, word)));
    };
    auto readIndex = [&](int64_t word) -> Value {
      return arith::IndexCastOp::create(b, b.getIndexType(),
                                        read(b.constant(word)));
    };
    Value quadsOfFirst = readIndex(0), quads = readIndex(1);
    OpFoldResult panelAt =
        b.add(b.multiply(expanded, b.constant(weights.words)),
              b.constant(part * panelWords));
    b.loop(thread, quads, tiles.getWarps() * kLanes, [&](OpFoldResult quad) {
      OpFoldResult at = b.add(b.multiply(quad, b.constant(kQuadWords)),
                              b.constant(kRecordHeader));
      Value places = read(at);
      Value isFirst = arith::CmpIOp::create(b, arith::CmpIPredicate::ult,
                                            b.value(quad), quadsOfFirst);
      OpFoldResult start =
          arith::SelectOp::create(
              b, isFirst, b.value(panelAt),
              b.value(b.add(panelAt, b.constant(kSegmentWords))))
              .getResult();
      putQuad(places, start,
              [&](int64_t i) { return read(b.add(at, b.constant(1 + i))); });
    });
  }
}

/// The four words that `read` gives into `places` from `start` on.
void ContractionKernel::putQuad(Value places, OpFoldResult start,
                                function_ref<Value(int64_t)> read) {
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantOp::create(b, b.getI32IntegerAttr(value));
  };
  for (int64_t i = 0; i < 4; ++i) {
    Value place = arith::ShRUIOp::create(b, places, constant(8 * i));
    place = arith::AndIOp::create(b, place, constant(kSegmentWords - 1));
    place = arith::IndexCastOp::create(b, b.getIndexType(), place);
    Value word = read(i);
    if (word.getType() != wordType)
      word = arith::BitcastOp::create(b, wordType, word);
    memref::StoreOp::create(b, word, weights.memory,
                            b.value(b.add(start, place)));
  }
}
