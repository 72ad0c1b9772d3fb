// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Contractions whose weights are a bitmask (see #tamis.bitmask): the loops are
// those of dense panels, but a vector of weights is expanded instead of loaded,
// and the place of the next stored unit goes along with the accumulators. Where
// several blocks of rows read a panel, it is expanded into L1 or L2 first.
// Offsets of weights count vectors, as the masks lie.
#include "Reduction.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::kernel;

/// What an expanded panel may take of the stack; larger ones are expanded again
/// for every block of rows.
static constexpr int64_t kMostBytes = 256 << 10;

/// The sizes that packed panels would have, in vectors.
void Emitter::prepareVectors() {
  auto sizeOf = [&](ArrayRef<unsigned> list) {
    int64_t size = 1;
    for (unsigned d : list)
      size *= op.getBounds()[d];
    return size;
  };
  ArrayRef<unsigned> reduced = dims.reductions;
  auto steps = static_cast<int64_t>(
      sizeOf(reduced.drop_back(dims.run)) *
      llvm::divideCeil(sizeOf(reduced.take_back(dims.run)), step));
  stepStride = b.constant(op.getTile()[1]);
  panelStride = b.constant(op.getTile()[1] * steps);
}

Value Emitter::findUnit(OpFoldResult rhsAt) {
  int64_t size = *getConstantIntValue(panelStride);
  Value first =
      memref::LoadOp::create(b, starts.flat, b.value(b.divide(rhsAt, size)));
  first = arith::IndexCastOp::create(b, b.getIndexType(), first);
  return b.value(b.multiply(first, b.constant(bitmask.getUnit())));
}

Value Emitter::expandVector(Value at, Value &unit) {
  Type element = cast<MemRefType>(rhs.flat.getType()).getElementType();
  Value mask = memref::LoadOp::create(b, masks.flat, at);
  Value vector = bitmask.getExpansion().buildExpand(
      b, b.getLoc(), rhs.flat, unit, mask,
      VectorType::get(lanes * step, element));
  // Counted at full width, where no bits are to be cleared afterwards.
  Type wide = b.getI64Type();
  if (mask.getType() != wide)
    mask = arith::ExtUIOp::create(b, wide, mask);
  Value present = arith::IndexCastOp::create(
      b, b.getIndexType(), LLVM::CtPopOp::create(b, wide, mask).getResult());
  unit =
      b.value(b.add(unit, b.multiply(present, b.constant(bitmask.getUnit()))));
  return vector;
}

void Emitter::makeExpanded() {
  auto known = getConstantIntValue(rows.back().extent);
  Type element = cast<MemRefType>(rhs.flat.getType()).getElementType();
  int64_t size = *getConstantIntValue(panelStride) * lanes * step;
  if ((rows.size() == 1 && known && *known <= op.getTile()[0]) ||
      size * element.getIntOrFloatBitWidth() / 8 > kMostBytes)
    return;
  expanded = memref::AllocaOp::create(b, MemRefType::get({size}, element),
                                      b.getI64IntegerAttr(64));
}

void Emitter::expandPanel(Place &place) {
  SmallVector<Value> unit{findUnit(place.rhs)};
  b.carry(b.constant(0), panelStride, 1, unit,
          [&](Value i, SmallVectorImpl<Value> &inner) {
            Value vector =
                expandVector(b.value(b.add(place.rhs, i)), inner.front());
            vector::StoreOp::create(
                b, vector, expanded,
                b.value(b.multiply(i, b.constant(lanes * step))));
          });
  place.rhs = b.constant(0);
}

Value Reduction::expandWeights(Offset rhs, int64_t j) {
  Value at = index(rhs, b.constant(j));
  if (!e.expanded)
    return e.expandVector(at, unit);
  int64_t elements = e.lanes * e.step;
  Type element = cast<MemRefType>(e.expanded.getType()).getElementType();
  return vector::LoadOp::create(b, VectorType::get(elements, element),
                                e.expanded,
                                b.value(b.multiply(at, b.constant(elements))));
}
