// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Nests that read an operand along one loop and write along another: square
// tiles are read in rows, turned in registers, and written in rows.
#include "VectorizeLoopsEmitter.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace mlir::tamis;

/// The loop along which some input lies in memory while `loop` strides through
/// it and along the outputs, or -1. Both must fill tiles of `width`.
int Emitter::findTransposedLoop(int loop, int64_t width) const {
  if (loop < 0 || !tiling || nest.hasReductionLoops())
    return -1;
  for (Operation &op : nest.body())
    if (isa<linalg::IndexOp, memref::LoadOp>(op))
      return -1;
  for (unsigned i = 0; i < outputs; ++i)
    if (!nest.accesses[outputAccess(i)].strides[loop].isOne())
      return -1;
  auto isLarge = [&](unsigned l) {
    const Product &extent = nest.loops[l].extent;
    return !extent.isStatic() || extent.factor >= std::min<int64_t>(width, 16);
  };
  if (!isLarge(loop))
    return -1;
  for (unsigned other = 0; other < nest.loops.size(); ++other)
    for (unsigned a = 0; a < nest.numInputs(); ++a)
      if (int(other) != loop && isLarge(other) &&
          isTurned(nest.accesses[a], loop, other))
        return other;
  return -1;
}

/// True if rows of the operand along `other` become vectors along `loop`.
bool Emitter::isTurned(const Access &access, unsigned loop,
                       unsigned other) const {
  return access.buffer && access.read && !access.element.isInteger(1) &&
         access.strides[other].isOne() && !access.strides[loop].isZero() &&
         !access.strides[loop].isOne();
}

/// Whole tiles here; the rim on both sides by the ordinary emitter, as two
/// smaller nests.
void Emitter::emitTransposed(unsigned transposedLoop) {
  lanes = std::min<int64_t>(lanes, 16);
  auto rest = [&](unsigned loop, Value &whole) {
    Value extent = nest.materialize(b, nest.loops[loop].extent);
    Value tail = b.createOrFold<arith::RemUIOp>(loc, extent, index(lanes));
    whole = b.createOrFold<arith::SubIOp>(loc, extent, tail);
    return tail;
  };
  Value wholeRows, wholeLanes;
  Value tailRows = rest(transposedLoop, wholeRows);
  Value tailLanes = rest(vectorLoop, wholeLanes);
  auto emitRim = [&](unsigned loop, Value start, Value size, int other,
                     Value otherSize) {
    if (getConstantIntValue(size) == 0)
      return;
    Nest rim = nest;
    rim.loops[loop].extent = rim.product(b, size);
    if (other >= 0)
      rim.loops[other].extent = rim.product(b, otherSize);
    for (Access &access : rim.accesses)
      if (access.buffer)
        access.base = add(access.base,
                          mul(start, rim.materialize(b, access.strides[loop])));
    Emitter emitter(b, rim, target);
    emitter.tiling = false;
    emitter.emit();
  };
  emitRim(vectorLoop, wholeLanes, tailLanes, -1, {});
  emitRim(transposedLoop, wholeRows, tailRows, vectorLoop, wholeLanes);

  extents[transposedLoop] = wholeRows;
  extents[vectorLoop] = wholeLanes;
  llvm::erase(outer, transposedLoop);
  Values offsets;
  for (Access &access : nest.accesses)
    offsets.push_back(access.base);
  auto emitLevel = [&](auto &self, unsigned level, Values at) -> void {
    if (level < outer.size()) {
      unsigned l = outer[level];
      forLoop(index(0), extents[l], 1, {}, [&](Value iv, Values) {
        self(self, level + 1, advance(at, l, iv));
        return Values();
      });
      return;
    }
    forLoop(index(0), wholeLanes, lanes, {}, [&](Value column, Values) {
      Values moved = advance(at, vectorLoop, column);
      forLoop(index(0), wholeRows, lanes, {}, [&](Value row, Values) {
        emitTile(advance(moved, transposedLoop, row), transposedLoop);
        return Values();
      });
      return Values();
    });
  };
  emitLevel(emitLevel, 0, offsets);
}

void Emitter::emitTile(const Values &offsets, unsigned transposedLoop) {
  Strip strip{lanes, 1, {}};
  SmallVector<SmallVector<Value>> turned(nest.accesses.size());
  for (unsigned a = 0; a < nest.numInputs(); ++a) {
    const Access &access = nest.accesses[a];
    hoisted[a] = access.scalar;
    if (!isTurned(access, vectorLoop, transposedLoop))
      continue;
    auto type = VectorType::get({lanes}, storedType(access));
    for (int64_t k = 0; k < lanes; ++k)
      turned[a].push_back(vector::LoadOp::create(
          b, loc, type, access.buffer,
          add(offsets[a], mul(index(k), strides[a][vectorLoop]))));
    turned[a] = transpose(turned[a]);
  }
  for (int64_t row = 0; row < lanes; ++row) {
    Values at = advance(offsets, transposedLoop, index(row));
    for (unsigned a = 0; a < nest.accesses.size(); ++a)
      preloaded[a] = turned[a].empty() ? Value() : turned[a][row];
    Values accumulators;
    for (unsigned i = 0; i < outputs; ++i) {
      unsigned a = outputAccess(i);
      LaneValue value = nest.accesses[a].read ? load(a, at[a], 0, strip)
                                              : unwritten(nest.accesses[a]);
      accumulators.push_back(toVector(value, lanes));
    }
    Values results = evaluate(at, 0, strip, accumulators);
    for (unsigned i = 0; i < outputs; ++i)
      store(outputAccess(i), at[outputAccess(i)], 0, strip, results[i]);
  }
  preloaded.assign(nest.accesses.size(), Value());
}

/// Interleaving the first half of the rows with the second, log2 n times,
/// turns a square.
SmallVector<Value> Emitter::transpose(SmallVector<Value> rows) {
  int64_t n = rows.size();
  SmallVector<int64_t> low, high;
  for (int64_t i = 0; i < n / 2; ++i) {
    low.append({i, n + i});
    high.append({n / 2 + i, n + n / 2 + i});
  }
  for (int64_t stage = 1; stage < n; stage *= 2) {
    SmallVector<Value> next;
    for (int64_t i = 0; i < n / 2; ++i) {
      next.push_back(
          vector::ShuffleOp::create(b, loc, rows[i], rows[i + n / 2], low));
      next.push_back(
          vector::ShuffleOp::create(b, loc, rows[i], rows[i + n / 2], high));
    }
    rows = next;
  }
  return rows;
}
