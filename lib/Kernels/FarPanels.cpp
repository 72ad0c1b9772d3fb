// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A single row reads each weight once, so it is as fast as weights come from
// memory, and a core's prefetchers bring several lines of addresses faster than
// one: of 96 MiB a Zen 3 reads 15.5 GB/s in order and 22 GB/s at four places in
// turns. Blocks of one row therefore hold a few panels that lie far apart;
// those that are left over follow one by one. Panels of an operand that is read
// where it lies are pieces of the same lines: few rows read whole lines, each
// row for itself, instead of a piece of every line again and again. A
// prefetcher stops where a page ends, and a panel has few: where few rows read
// one, they ask for the next meanwhile.
#include "Emitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "tamis/Kernels/Tiling.h"
#include "tamis/Target/Target.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::kernel;

bool Emitter::readsPieces() {
  if (op.getPacked() || op.getStorage() || copiesPanels() ||
      dims.reductions.empty())
    return false;
  auto pitch = getConstantIntValue(reductions.back().rhs);
  return pitch && *pitch > op.getTile()[1] * lanes;
}

bool Emitter::asksAhead() {
  /// More rows make the first of them, which waits for memory, a small part.
  constexpr int64_t kMostRows = 32;
  int64_t count = 1;
  for (unsigned d : dims.rows)
    count = ShapedType::isDynamic(op.getBounds()[d])
                ? kMostRows + 1
                : count * op.getBounds()[d];
  if (count > kMostRows)
    return false;
  // Bytes without VNNI are multiplied more slowly than they come.
  if (isInteger || !op.getPacked() || op.getStorage() || dims.depthwise ||
      dims.reductions.size() != 1)
    return false;
  auto type = cast<MemRefType>(op.getRhs().getType());
  TargetAttr target = getTarget(op);
  return target && type.hasStaticShape() &&
         type.getNumElements() * type.getElementTypeBitWidth() / 8 >
             target.getL2();
}

int64_t Emitter::getFewRows() {
  // So many rows each read whole lines in less time than all of them pieces.
  return readsPieces() ? 4 : 1;
}

int64_t Emitter::countFar() {
  ArrayRef<int64_t> bounds = op.getBounds();
  int64_t bytes =
      cast<MemRefType>(op.getLhs().getType()).getElementTypeBitWidth() / 8;
  int64_t columns = bounds[dims.column], vectors = op.getTile()[1];
  TargetAttr target = getTarget(op);
  if (dims.depthwise || instruction.isTile() || !target ||
      ShapedType::isDynamic(columns))
    return 1;
  int64_t panels = columns / (vectors * lanes);
  if (readsPieces())
    return std::max<int64_t>(
        1, std::min(panels, instruction.getMaxAccumulators() / vectors));
  for (unsigned d : dims.reductions)
    bytes = ShapedType::isDynamic(bounds[d]) ? 0 : bytes * bounds[d];
  return countFarPanels(bytes * columns, target.getL1(), panels, vectors,
                        instruction.getMaxAccumulators());
}

OpFoldResult Emitter::vectorOffset(const Columns &columns, int64_t j,
                                   OpFoldResult perVector,
                                   OpFoldResult perPanel) {
  int64_t each = columns.vectors / columns.panels;
  OpFoldResult within = b.multiply(perVector, b.constant(j % each));
  if (columns.panels == 1)
    return within;
  OpFoldResult panels = b.multiply(columns.apart, b.constant(j / each));
  return b.add(within, b.multiply(perPanel, panels));
}

OpFoldResult Emitter::emitFarPanels(const Place &place, OpFoldResult lower,
                                    OpFoldResult upper, OpFoldResult first,
                                    OpFoldResult end) {
  bool packed = op.getPacked() && (!op.getStorage() || nOfM || slotWindows);
  int64_t panels = packed || readsPieces() ? countFar() : 1;
  int64_t most = getFewRows();
  OpFoldResult count = b.subtract(upper, lower);
  if (rows.size() > 1)
    count = b.multiply(count, rows.back().extent);
  auto known = getConstantIntValue(count);
  if (panels == 1 || (known && *known > most))
    return first;
  OpFoldResult apart = b.divide(b.subtract(end, first), panels);
  if (!known) {
    Value few =
        arith::CmpIOp::create(b, arith::CmpIPredicate::ule, b.value(count),
                              b.value(b.constant(most)));
    apart =
        arith::SelectOp::create(b, few, b.value(apart), b.value(b.constant(0)))
            .getResult();
  }
  Columns columns;
  columns.panels = panels;
  columns.vectors = panels * op.getTile()[1];
  columns.apart = apart;
  columns.count = b.constant(columns.vectors * lanes);
  columns.masks.assign(columns.vectors, Value());
  OpFoldResult last = b.add(first, apart);
  b.loop(first, last, 1, [&](OpFoldResult p) {
    Place block = advance(place, acrossPanels, p);
    prepareInitial(block, columns);
    b.loop(lower, upper, 1, [&](OpFoldResult i) {
      Place row = advance(block, cacheLoop(), i);
      if (rows.size() == 1)
        return emitBlock(row, 1, columns);
      b.loop(b.constant(0), rows.back().extent, 1, [&](OpFoldResult j) {
        emitBlock(advance(row, rows.back(), j), 1, columns);
      });
    });
  });
  return b.add(first, b.multiply(apart, b.constant(panels)));
}
