// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Contractions whose weights are a row stream (see #tamis.row_stream). Vectors
// run along rows, so that a weight is a broadcast and its zeros are simply not
// there: the words of a block of rows are transposed into a stage that stays in
// L1 or L2, each output channel then walks its entries with all of its sums in
// registers, and the sums of a panel of channels are transposed back on their
// way to the epilogue. Elsen et al., Fast Sparse ConvNets (CVPR 2020) describe
// the same order of loops for activations that lie channel by channel.
#include "Emitter.h"
#include "RowStream.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "tamis/Target/Target.h"
#include <functional>

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::kernel;

bool Emitter::sumsWait() {
  return rowStream.getParts() > 1 || rowStream.getSorted() > 1;
}

/// Words of the reduction that are staged, in all parts.
int64_t Emitter::getStagedWords() {
  int64_t count = 1;
  for (const Loop &loop : reductions)
    count *= *getConstantIntValue(loop.extent);
  return count / (step * rowStream.getTaps() * getLineTaps());
}

/// True if all parts are staged before the first is walked.
bool Emitter::stagesAll() {
  return stagesAllParts(getStagedWords(), rowStream.getPitch(),
                        rowStream.getParts());
}

/// Columns whose sums wait at the same time, if any do.
int64_t Emitter::getSummed() {
  int64_t unit = std::max(op.getTile()[1] * lanes, rowStream.getSorted());
  if (rowStream.getParts() == 1)
    return unit;
  return getWaitingColumns(*getConstantIntValue(column.extent), unit,
                           rowStream.getPositions(), stagesAll());
}

void Emitter::makeStream() {
  int64_t positions = rowStream.getPositions();
  int64_t count = getStagedWords();
  if (!stagesAll())
    count /= rowStream.getParts();
  auto allocate = [&](int64_t size, Type element) -> Value {
    return memref::AllocaOp::create(b, MemRefType::get({size}, element),
                                    b.getI64IntegerAttr(64));
  };
  Type word = step == 1 ? b.getF32Type() : Type(b.getI32Type());
  words = allocate(count * rowStream.getPitch(), word);
  int64_t width = op.getTile()[1] * lanes;
  int64_t summed = sumsWait() ? getSummed() : width;
  columnSums = allocate(summed * positions, op.getAccumulator());
  rowSums = allocate(width * lanes, op.getAccumulator());
  if (instruction.isTile())
    gathered = allocate(rowStream.getDepth() * positions * step,
                        cast<MemRefType>(lhs.flat.getType()).getElementType());
}

void Emitter::emitStreamRows(Place place) {
  int64_t positions = rowStream.getPositions();
  auto blocks = [&](const Place &from, OpFoldResult lower, OpFoldResult upper) {
    OpFoldResult length = b.subtract(upper, lower);
    OpFoldResult rest = b.remainder(length, positions);
    OpFoldResult end = b.subtract(upper, rest);
    if (getConstantIntValue(length)) {
      b.loop(lower, end, positions, [&](OpFoldResult i) {
        emitStreamBlock(from, i, b.constant(positions));
      });
      if (getConstantIntValue(rest) != 0)
        emitStreamBlock(from, end, rest);
      return;
    }
    b.loop(lower, upper, positions, [&](OpFoldResult i) {
      emitStreamBlock(from, i,
                      b.minimum(b.constant(positions), b.subtract(upper, i)));
    });
  };
  if (rows.size() == 1)
    return blocks(place, rowRange.lower, rowRange.upper);
  if (int64_t line = getLine()) {
    // Up to the last row of the last line.
    OpFoldResult last =
        b.multiply(b.subtract(rowRange.upper, b.constant(1)), b.constant(line));
    return blocks(place, b.multiply(rowRange.lower, b.constant(line)),
                  b.add(last, rows.back().extent));
  }
  b.loop(rowRange.lower, rowRange.upper, 1, [&](OpFoldResult i) {
    blocks(advance(place, cacheLoop(), i), b.constant(0), rows.back().extent);
  });
}

void Emitter::emitStreamBlock(const Place &place, OpFoldResult first,
                              OpFoldResult count) {
  firstPosition = first;
  if (stagesAll()) {
    int64_t parts = rowStream.getParts();
    b.loop(b.constant(0), b.constant(parts), 1, [&](OpFoldResult part) {
      stagePart(place, count, part,
                b.multiply(part, b.constant(getStagedWords() / parts)));
    });
  }
  if (sumsWait())
    return emitWaitingColumns(place, count);
  emitPanels(place, b.constant(0), count);
}

/// Blocks of columns, whose sums wait in memory.
void Emitter::emitWaitingColumns(const Place &place, OpFoldResult count) {
  int64_t width = op.getTile()[1] * lanes;
  int64_t columns = *getConstantIntValue(column.extent);
  int64_t panels = getSummed() / width;
  Range whole = panelRange;
  auto emit = [&] {
    firstPanel = panelRange.lower;
    multiplyParts(place, count);
    // Row by row, so that the lines of the result are written as a whole.
    bool isWhole = getConstantIntValue(b.remainder(count, lanes)) == 0;
    b.loop(b.constant(0), count, lanes, [&](OpFoldResult row) {
      OpFoldResult end = b.add(row, b.constant(lanes));
      emitPanels(place, row, isWhole ? end : b.minimum(end, count));
    });
  };
  if (panels >= static_cast<int64_t>(llvm::divideCeil(columns, width)))
    return emit();
  b.loop(whole.lower, whole.upper, panels, [&](OpFoldResult p) {
    panelRange = {p, b.minimum(b.add(p, b.constant(panels)), whole.upper)};
    emit();
  });
  panelRange = whole;
}

/// Positions from one line to the next where lines are one loop, 0 elsewhere.
/// Lines of a window are so where the storage says it. Of other rows no
/// position is lost between lines: they are one loop unless whole blocks fit
/// into each, also where the result lies in a padded tensor.
int64_t Emitter::getLine() {
  if (rowStream.getLine() != 0 || rowStream.getTaps() > 1 || rows.size() == 1)
    return rowStream.getLine();
  auto extent = getConstantIntValue(rows.back().extent);
  return extent && *extent % rowStream.getPositions() != 0 ? *extent : 0;
}

/// Steps of the reduction that reads the next lines, where lines are one loop.
int64_t Emitter::getLineTaps() {
  if (rowStream.getLine() == 0)
    return 1;
  return *getConstantIntValue(reductions[reductions.size() - 3].extent);
}

/// Where a position of the block lies in lhs.
OpFoldResult Emitter::getStagedOffset(OpFoldResult position) {
  const Loop &row = rows.back();
  OpFoldResult at = b.add(firstPosition, position);
  int64_t line = getLine();
  if (line == 0)
    return b.multiply(row.lhs, at);
  auto stride = getConstantIntValue(row.lhs);
  if (stride && getConstantIntValue(cacheLoop().lhs) == *stride * line)
    return b.multiply(row.lhs, at);
  return b.add(b.multiply(cacheLoop().lhs, b.divide(at, line)),
               b.multiply(row.lhs, b.remainder(at, line)));
}

/// Writes word w of a part, of row r, to words[(to + w) * pitch + r], and of as
/// many more rows as taps reach. Rows beyond are copies of the last one, so
/// that nothing outside the operand is read.
void Emitter::stagePart(const Place &place, OpFoldResult count,
                        OpFoldResult part, OpFoldResult to) {
  int64_t pitch = rowStream.getPitch();
  int64_t taps = rowStream.getTaps();
  int64_t line = rowStream.getLine();
  int64_t reach = taps - 1 + (getLineTaps() - 1) * line;
  OpFoldResult last = b.add(count, b.constant(reach - 1));
  Type element = cast<MemRefType>(lhs.flat.getType()).getElementType();
  Type word = cast<MemRefType>(words.getType()).getElementType();
  SmallVector<Loop> walked(reductions.begin(), reductions.end() - 1);
  if (taps > 1)
    walked.pop_back();
  if (line > 0)
    walked.pop_back();
  int64_t runWords = *getConstantIntValue(reductions.back().extent) / step /
                     rowStream.getParts();
  // `lanes` words of as many rows, from row `row` on.
  auto stageSquare = [&](OpFoldResult from, OpFoldResult to, OpFoldResult row,
                         OpFoldResult w) {
    SmallVector<Value> square;
    for (int64_t r = 0; r < lanes; ++r) {
      OpFoldResult present = b.minimum(b.add(row, b.constant(r)), last);
      OpFoldResult offset = b.add(from, b.add(getStagedOffset(present),
                                              b.multiply(w, b.constant(step))));
      Value elements = vector::LoadOp::create(
          b, VectorType::get(lanes * step, element), lhs.flat, b.value(offset));
      if (step > 1)
        elements = vector::BitCastOp::create(
            b, VectorType::get(lanes, word),
            instruction.buildLhs(b, b.getLoc(), elements, op.getLhsUnsigned()));
      square.push_back(elements);
    }
    b.transpose(square);
    for (auto [k, staged] : llvm::enumerate(square)) {
      OpFoldResult at = b.add(b.add(to, w), b.constant(int64_t(k)));
      vector::StoreOp::create(
          b, staged, words,
          b.value(b.add(b.multiply(at, b.constant(pitch)), row)));
    }
  };
  auto stageRun = [&](OpFoldResult from, OpFoldResult to) {
    b.loop(b.constant(0), b.constant(pitch), lanes, [&](OpFoldResult row) {
      int64_t whole = runWords / lanes * lanes;
      b.loop(b.constant(0), b.constant(whole), lanes,
             [&](OpFoldResult w) { stageSquare(from, to, row, w); });
      // The last words once more, together with some that are there already.
      if (whole != runWords)
        stageSquare(from, to, row, b.constant(runWords - lanes));
    });
  };
  std::function<void(ArrayRef<Loop>, OpFoldResult, OpFoldResult)> walk =
      [&](ArrayRef<Loop> loops, OpFoldResult from, OpFoldResult to) {
        if (loops.empty())
          return stageRun(from, to);
        int64_t inner = runWords;
        for (const Loop &loop : loops.drop_front())
          inner *= *getConstantIntValue(loop.extent);
        b.loop(b.constant(0), loops.front().extent, 1, [&](OpFoldResult i) {
          walk(loops.drop_front(),
               b.add(from, b.multiply(loops.front().lhs, i)),
               b.add(to, b.multiply(i, b.constant(inner))));
        });
      };
  walk(walked, b.add(place.lhs, b.multiply(part, b.constant(runWords * step))),
       to);
}

/// The 32 bits of weights `at` (a word of the stream).
Value Emitter::loadWord(OpFoldResult at) {
  Type element = cast<MemRefType>(rhs.flat.getType()).getElementType();
  Value word =
      vector::LoadOp::create(b, VectorType::get(step, element), rhs.flat,
                             b.value(b.multiply(at, b.constant(step))));
  auto one = VectorType::get(1, b.getI32Type());
  return vector::ExtractOp::create(b, vector::BitCastOp::create(b, one, word),
                                   ArrayRef<int64_t>{0});
}

/// Where an entry reads in the stage, which word `at` says.
OpFoldResult Emitter::loadPlace(OpFoldResult at) {
  return arith::IndexCastOp::create(b, b.getIndexType(), loadWord(at))
      .getResult();
}

/// Adds the products of one entry to the sums of all positions.
void Emitter::multiplyEntry(OpFoldResult entry, MutableArrayRef<Value> sums) {
  Type weights = cast<MemRefType>(rhs.flat.getType()).getElementType();
  OpFoldResult record = b.multiply(entry, b.constant(2));
  Value weight = vector::BitCastOp::create(
      b, VectorType::get(step * lanes, weights),
      vector::BroadcastOp::create(b, VectorType::get(lanes, b.getI32Type()),
                                  loadWord(record)));
  OpFoldResult at = loadPlace(b.add(record, b.constant(1)));
  Type element = cast<MemRefType>(lhs.flat.getType()).getElementType();
  Type word = cast<MemRefType>(words.getType()).getElementType();
  for (auto [v, sum] : llvm::enumerate(sums)) {
    Value staged = vector::LoadOp::create(
        b, VectorType::get(lanes, word), words,
        b.value(b.add(at, b.constant(int64_t(v) * lanes))));
    if (step > 1)
      staged = vector::BitCastOp::create(
          b, VectorType::get(step * lanes, element), staged);
    sum =
        instruction.buildMultiplyAccumulate(b, b.getLoc(), staged, weight, sum);
  }
}

/// Stores sums of the entries of the list `i` behind `first`, where those of
/// column `from` lie first, or adds them to what is there.
void Emitter::multiplyList(OpFoldResult first, OpFoldResult i,
                           OpFoldResult from, bool continues) {
  int64_t positions = rowStream.getPositions();
  int64_t vectors = positions / lanes;
  auto type = VectorType::get(lanes, op.getAccumulator());
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(type));
  OpFoldResult list = b.multiply(b.add(first, i), b.constant(2));
  auto fact = [&](int64_t f) -> OpFoldResult {
    Value value = memref::LoadOp::create(b, starts.flat,
                                         b.value(b.add(list, b.constant(f))));
    return arith::IndexCastOp::create(b, b.getIndexType(), value).getResult();
  };
  // Few float sums would wait for each other: entries take turns among several,
  // unless the policy fixes the order.
  int64_t ways = isInteger || vectors >= 4 || isStrict(op) ? 1 : 4 / vectors;
  auto walk = [&](OpFoldResult from, OpFoldResult to, int64_t turns,
                  SmallVectorImpl<Value> &sums) {
    b.carry(from, to, turns, sums,
            [&](Value entry, SmallVectorImpl<Value> &inner) {
              for (int64_t turn = 0; turn < turns; ++turn)
                multiplyEntry(
                    b.add(entry, b.constant(turn)),
                    MutableArrayRef(inner).slice(turn * vectors, vectors));
            });
  };
  OpFoldResult entry = fact(0), end = fact(2);
  OpFoldResult at = rowStream.getSorted() > 1 ? b.subtract(fact(1), from) : i;
  auto slot = [&](int64_t v) {
    return b.value(
        b.add(b.multiply(at, b.constant(positions)), b.constant(v * lanes)));
  };
  SmallVector<Value> sums(ways * vectors, zero);
  if (continues)
    for (int64_t v = 0; v < vectors; ++v)
      sums[v] = vector::LoadOp::create(b, type, columnSums, slot(v));
  if (ways > 1) {
    OpFoldResult rest = b.remainder(b.subtract(end, entry), ways);
    OpFoldResult whole = b.subtract(end, rest);
    walk(entry, whole, ways, sums);
    for (int64_t i = vectors; i < ways * vectors; ++i)
      sums[i % vectors] = arith::AddFOp::create(b, sums[i % vectors], sums[i]);
    sums.resize(vectors);
    entry = whole;
  }
  walk(entry, end, 1, sums);
  for (auto [v, sum] : llvm::enumerate(sums))
    vector::StoreOp::create(b, sum, columnSums, slot(int64_t(v)));
}

/// Sums of all columns of a panel, column by column.
void Emitter::multiplyStream(const Place &place) {
  OpFoldResult end =
      b.minimum(b.constant(lanes), b.subtract(column.extent, place.rhs));
  b.loop(b.constant(0), end, 1, [&](OpFoldResult c) {
    multiplyList(place.rhs, c, place.rhs, /*continues=*/false);
  });
}

/// Sums of a block of columns, which wait in memory while the reduction is
/// walked part by part.
void Emitter::multiplyParts(const Place &place, OpFoldResult count) {
  int64_t parts = rowStream.getParts();
  int64_t width = op.getTile()[1] * lanes;
  auto columns = [&](OpFoldResult panel) {
    return b.minimum(b.multiply(panel, b.constant(width)), column.extent);
  };
  OpFoldResult lower = columns(panelRange.lower);
  OpFoldResult length = b.subtract(columns(panelRange.upper), lower);
  auto multiply = [&](OpFoldResult part, bool continues) {
    if (!stagesAll())
      stagePart(place, count, part, b.constant(0));
    OpFoldResult lists = b.add(b.multiply(part, column.extent), lower);
    b.loop(b.constant(0), length, 1,
           [&](OpFoldResult c) { multiplyList(lists, c, lower, continues); });
  };
  multiply(b.constant(0), /*continues=*/false);
  b.loop(b.constant(1), b.constant(parts), 1,
         [&](OpFoldResult part) { multiply(part, /*continues=*/true); });
}

/// The sums of `lanes` rows from `row` on, one vector for each.
static SmallVector<Value> loadRows(IndexBuilder &b, Value columnSums,
                                   OpFoldResult row, int64_t positions,
                                   VectorType type) {
  SmallVector<Value> square;
  for (int64_t c = 0; c < type.getNumElements(); ++c)
    square.push_back(vector::LoadOp::create(
        b, type, columnSums, b.value(b.add(row, b.constant(c * positions)))));
  b.transpose(square);
  return square;
}

/// Where row `row` of the block lies, if it is none between lines.
Place Emitter::findRow(const Place &place, OpFoldResult row) {
  OpFoldResult at = b.add(firstPosition, row);
  int64_t line = getLine();
  if (line == 0)
    return advance(place, rows.back(), at);
  return advance(advance(place, cacheLoop(), b.divide(at, line)), rows.back(),
                 b.remainder(at, line));
}

/// Finishes one row of the block; of positions between lines nothing is stored.
void Emitter::finishRow(const Place &place, const Columns &columns,
                        OpFoldResult row, MutableArrayRef<Value> sums) {
  OpFoldResult extent = rows.back().extent;
  int64_t line = getLine();
  if (line == 0 || getConstantIntValue(extent) == line)
    return finish(findRow(place, row), 1, columns, sums);
  OpFoldResult across = b.remainder(b.add(firstPosition, row), line);
  Value isRow = arith::CmpIOp::create(b, arith::CmpIPredicate::ult,
                                      b.value(across), b.value(extent));
  auto branch = scf::IfOp::create(b, isRow, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  finish(findRow(place, row), 1, columns, sums);
}

/// Finishes the rows from `lower` to `upper` of the block.
void Emitter::emitStreamPanel(const Place &place, const Columns &columns,
                              OpFoldResult lower, OpFoldResult upper) {
  int64_t vectors = columns.vectors;
  int64_t positions = rowStream.getPositions();
  int64_t width = op.getTile()[1] * lanes;
  OpFoldResult panel = b.constant(0);
  if (instruction.isTile())
    multiplyStreamTiles(place, vectors);
  else if (!sumsWait())
    multiplyStream(place);
  else
    panel = b.multiply(
        b.subtract(place.rhs, b.multiply(firstPanel, b.constant(width))),
        b.constant(positions));
  auto type = VectorType::get(lanes, op.getAccumulator());
  auto withInitial = [&](Value sum, int64_t j) -> Value {
    return isInteger ? arith::AddIOp::create(b, sum, columns.initial[j]) : sum;
  };
  auto rowByRow = [&](OpFoldResult row, OpFoldResult present) {
    for (int64_t j = 0; j < vectors; ++j) {
      OpFoldResult from =
          b.add(b.add(panel, row), b.constant(j * lanes * positions));
      for (auto [r, sums] :
           llvm::enumerate(loadRows(b, columnSums, from, positions, type)))
        vector::StoreOp::create(
            b, sums, rowSums,
            b.value(b.constant((int64_t(r) * vectors + j) * lanes)));
    }
    b.loop(b.constant(0), present, 1, [&](OpFoldResult r) {
      SmallVector<Value> sums;
      for (int64_t j = 0; j < vectors; ++j) {
        OpFoldResult at = b.add(b.multiply(r, b.constant(vectors * lanes)),
                                b.constant(j * lanes));
        sums.push_back(withInitial(
            vector::LoadOp::create(b, type, rowSums, b.value(at)), j));
      }
      finishRow(place, columns, b.add(row, r), sums);
    });
  };
  OpFoldResult rest = b.remainder(b.subtract(upper, lower), lanes);
  OpFoldResult whole = b.subtract(upper, rest);
  // Squares of rows lie within one line.
  int64_t line = getLine();
  bool apart = line % lanes != 0 || rowStream.getLine() != 0;
  b.loop(lower, whole, lanes, [&](OpFoldResult row) {
    // A square of each vector has no room in registers.
    if (hasLongEpilogue() || apart || vectors > 1)
      return rowByRow(row, b.constant(lanes));
    SmallVector<Value> square =
        loadRows(b, columnSums, b.add(panel, row), positions, type);
    for (Value &sum : square)
      sum = withInitial(sum, 0);
    finish(findRow(place, row), lanes, columns, square);
  });
  // A loop of one iteration, or none.
  if (getConstantIntValue(rest) != 0)
    b.loop(whole, upper, lanes, [&](OpFoldResult row) { rowByRow(row, rest); });
}
