// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Zero points of integers:
//
//   Σ(a-za)(b-zb) = Σab - za·(Σb - K·zb) - zb·Σa
//
// with a, b, za, zb as the instruction sees them (offset to its signs). The
// column term starts the accumulator, the row term is one more accumulator
// that multiplies by ones.
#include "Emitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::kernel;

/// A zero point as an instruction sees it that offsets elements; null if zero.
Value Emitter::seenZero(Value zero, bool isUnsigned, int64_t offset) {
  Type i32 = b.getI32Type();
  APInt known;
  if (!zero || matchPattern(zero, m_ConstantInt(&known))) {
    int64_t value = !zero        ? 0
                    : isUnsigned ? int64_t(known.getZExtValue())
                                 : known.getSExtValue();
    if (value + offset == 0)
      return {};
    return arith::ConstantOp::create(b, b.getI32IntegerAttr(value + offset));
  }
  if (zero.getType().getIntOrFloatBitWidth() < 32)
    zero = isUnsigned ? arith::ExtUIOp::create(b, i32, zero).getResult()
                      : arith::ExtSIOp::create(b, i32, zero).getResult();
  if (offset == 0)
    return zero;
  Value shift = arith::ConstantOp::create(b, b.getI32IntegerAttr(offset));
  return arith::AddIOp::create(b, zero, shift);
}

void Emitter::prepareZeroPoints() {
  if (!isInteger)
    return;
  bool lhsUnsigned = op.getLhsUnsigned();
  lhsZero = seenZero(op.getLhsZero(), lhsUnsigned,
                     instruction.getLhsOffset(lhsUnsigned));
  if (instruction.isTile())
    remainderLhsZero = seenZero(
        op.getLhsZero(), lhsUnsigned,
        instruction.getRemainderInstruction().getLhsOffset(lhsUnsigned));
  Type packed = cast<MemRefType>(op.getRhs().getType()).getElementType();
  if (op.getRhsZero())
    rhsZero = seenZero(op.getRhsZero(), op.getRhsUnsigned(),
                       packed.isInteger(8) && !op.getNibbles()
                           ? instruction.getRhsOffset(op.getRhsUnsigned())
                           : 0);
}

SmallVector<Value> Emitter::columnTerm(const Place &place,
                                       const Columns &columns,
                                       Value zeroPoint) {
  auto type = VectorType::get(lanes, op.getAccumulator());
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(type));
  SmallVector<Value> terms(columns.vectors, zero);
  if (!zeroPoint || !op.getSums())
    return terms;
  auto splat = [&](Value scalar) -> Value {
    return vector::BroadcastOp::create(b, type, scalar);
  };
  zeroPoint = splat(zeroPoint);
  Value constantTerm;
  if (rhsZero) {
    Value count =
        arith::IndexCastOp::create(b, b.getI32Type(), b.value(reducedCount));
    constantTerm = splat(arith::MulIOp::create(b, count, rhsZero));
  }
  for (int64_t j = 0; j < columns.vectors; ++j) {
    Value sum = vector::LoadOp::create(
        b, type, sums.flat,
        b.value(b.add(place.sums, vectorOffset(columns, j, b.constant(lanes),
                                               acrossPanels.sums))));
    if (constantTerm)
      sum = arith::SubIOp::create(b, sum, constantTerm);
    terms[j] = arith::SubIOp::create(b, zero,
                                     arith::MulIOp::create(b, sum, zeroPoint));
  }
  return terms;
}

void Emitter::prepareInitial(const Place &place, Columns &columns) {
  columns.initial = columnTerm(place, columns, lhsZero);
  if (instruction.isTile())
    columns.remainderInitial = columnTerm(place, columns, remainderLhsZero);
}
