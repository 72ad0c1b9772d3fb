// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Contractions whose weights are slot windows (see #tamis.slot_windows). The
// weights of a vector of channels are multiplied as they lie; what changes from
// one to the next is which activations they meet, and these are looked up in
// windows of the row, which L1 holds. Panels that a single row reads at once
// have lists of their own lengths: as far as all go they are one loop.
#include "Reduction.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::kernel;

/// Entries come in order but from several places; so many bytes ahead of where
/// they are multiplied they are asked for.
static constexpr int64_t kAhead = 1024;

/// The products of entry `entry` of panel `j` of the block.
void Reduction::multiplyEntry(Offset lhs, Value entry, int64_t j,
                              MutableArrayRef<Value> acc) {
  Location loc = b.getLoc();
  SlotWindowsAttr storage = e.slotWindows;
  LookupAttrInterface lookup = storage.getLookup();
  int64_t elements = lookup.getElements(), all = storage.getEntryBytes();
  int64_t bytes = storage.getVectorBytes(), step = storage.getStep();
  OpFoldResult first = b.multiply(entry, b.constant(all));
  auto at = [&](int64_t byte) {
    return b.value(b.add(first, b.constant(byte)));
  };
  constexpr int64_t line = 64;
  for (int64_t byte = 0; byte < all; byte += line)
    memref::PrefetchOp::create(b, e.rhs.flat, at(kAhead + byte),
                               /*isWrite=*/false, /*localityHint=*/3,
                               /*isDataCache=*/true);
  auto load = [&](int64_t byte, int64_t count) -> Value {
    return vector::LoadOp::create(b, VectorType::get(count, b.getI8Type()),
                                  e.rhs.flat, at(byte));
  };
  Value codes = load(SlotWindowsAttr::kVectors * bytes, elements);
  Type element = cast<MemRefType>(e.lhs.flat.getType()).getElementType();
  auto tableType = VectorType::get(SlotWindowsAttr::kWindow, element);
  auto vectorType = VectorType::get(elements, element);
  int64_t windows = storage.getVectorWindows();
  // Slots of the first window of each lane, then of the second.
  SmallVector<int64_t> ofBoth;
  for (int64_t i = 0; i < elements; ++i)
    ofBoth.push_back(i % step < storage.getSlots() ? i : elements + i);
  OpFoldResult places =
      b.multiply(entry, b.constant(storage.getEntryWindows()));
  for (int64_t half = 0; half < SlotWindowsAttr::kVectors; ++half) {
    Value loaded =
        vector::BitCastOp::create(b, vectorType, load(half * bytes, bytes));
    Value weights = e.instruction.buildRhs(b, loc, loaded);
    SmallVector<Value> begins;
    for (int64_t w = 0; w < windows; ++w) {
      Value place = memref::LoadOp::create(
          b, e.offsets.flat,
          b.value(b.add(places, b.constant(half * windows + w))));
      begins.push_back(
          arith::IndexCastUIOp::create(b, b.getIndexType(), place));
    }
    // Floats take turns: a sum waits for the one before.
    MutableArrayRef<Value> sums =
        acc.slice(half % ways * rows * columns.vectors, rows * columns.vectors);
    for (int64_t r = 0; r < rows; ++r) {
      SmallVector<Value> picked;
      for (Value begin : begins) {
        Value table = vector::LoadOp::create(
            b, tableType, e.lhs.flat, index(lhs, b.add(rowOffsets[r], begin)));
        picked.push_back(lookup.buildLookup(b, loc, table, codes,
                                            /*upper=*/half == 1));
      }
      Value row = picked.front();
      if (windows == 2)
        row = vector::ShuffleOp::create(b, picked[0], picked[1], ofBoth);
      row = e.instruction.buildLhs(b, loc, row, e.op.getLhsUnsigned());
      Value &sum = sums[r * columns.vectors + j];
      sum = e.instruction.buildMultiplyAccumulate(b, loc, row, weights, sum);
    }
  }
}

void Reduction::reduceSlots(Offset lhs, Offset rhs,
                            SmallVectorImpl<Value> &acc) {
  struct List {
    Value first, last;
  };
  SmallVector<List> lists;
  OpFoldResult shortest;
  for (int64_t j = 0; j < columns.vectors; ++j) {
    OpFoldResult panel =
        b.add(b.add(rhs.base, b.constant(rhs.known)),
              e.vectorOffset(columns, j, b.constant(0), e.acrossPanels.rhs));
    auto load = [&](OpFoldResult at) -> Value {
      return arith::IndexCastOp::create(
          b, b.getIndexType(),
          memref::LoadOp::create(b, e.starts.flat, b.value(at)));
    };
    List list{load(panel), load(b.add(panel, b.constant(1)))};
    OpFoldResult length = b.subtract(list.last, list.first);
    shortest = j == 0 ? length : b.minimum(shortest, length);
    lists.push_back(list);
  }
  carry(b.constant(0), shortest, 1, acc,
        [&](Value i, SmallVectorImpl<Value> &inner) {
          for (auto [j, list] : llvm::enumerate(lists))
            multiplyEntry(lhs, b.value(b.add(list.first, i)),
                          static_cast<int64_t>(j), inner);
        });
  if (lists.size() == 1)
    return;
  for (auto [j, list] : llvm::enumerate(lists))
    carry(b.add(list.first, shortest), list.last, 1, acc,
          [&, j = static_cast<int64_t>(j)](Value entry,
                                           SmallVectorImpl<Value> &inner) {
            multiplyEntry(lhs, entry, j, inner);
          });
}
