// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What happens to an accumulator after its whole reduction: the epilogue region
// at vector width, extra operands beside it, and the store into the
// destination, masked where columns end.
#include "Emitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::kernel;

/// Bool is a byte in memory, where a vector of i1 would be packed bits.
static Value asBytes(IndexBuilder &b, Value flat) {
  auto type = cast<MemRefType>(flat.getType());
  if (!type.getElementType().isInteger(1))
    return flat;
  auto bytes = MemRefType::get(type.getShape(), b.getI8Type(), type.getLayout(),
                               type.getMemorySpace());
  return UnrealizedConversionCastOp::create(b, TypeRange{bytes}, flat)
      .getResult(0);
}

static Value loadElements(IndexBuilder &b, Value flat, OpFoldResult offset,
                          OpFoldResult columnStride, int64_t lanes,
                          Value mask) {
  Type element = cast<MemRefType>(flat.getType()).getElementType();
  auto type = VectorType::get(lanes, element);
  auto stride = getConstantIntValue(columnStride);
  if (stride == 0) {
    Value scalar = memref::LoadOp::create(b, flat, b.value(offset));
    return vector::BroadcastOp::create(b, type, scalar);
  }
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(type));
  if (stride == 1) {
    if (mask)
      return vector::MaskedLoadOp::create(b, type, flat, b.value(offset), mask,
                                          zero);
    return vector::LoadOp::create(b, type, flat, b.value(offset));
  }
  auto indexType = VectorType::get(lanes, b.getIndexType());
  // No pass after this one knows vector.step.
  Value step = arith::ConstantOp::create(
      b, DenseIntElementsAttr::get(
             indexType, llvm::to_vector(llvm::seq<int64_t>(0, lanes))));
  Value scale =
      vector::BroadcastOp::create(b, indexType, b.value(columnStride));
  Value indices = arith::MulIOp::create(b, step, scale);
  if (!mask)
    mask = arith::ConstantOp::create(
        b, DenseElementsAttr::get(VectorType::get(lanes, b.getI1Type()), true));
  return vector::GatherOp::create(b, type, flat, b.value(offset), indices, mask,
                                  zero);
}

Value kernel::loadExtra(IndexBuilder &b, const FlatView &view,
                        OpFoldResult offset, OpFoldResult columnStride,
                        int64_t lanes, Value mask) {
  Value bytes = asBytes(b, view.flat);
  Value loaded = loadElements(b, bytes, offset, columnStride, lanes, mask);
  if (bytes == view.flat)
    return loaded;
  return arith::TruncIOp::create(b, VectorType::get(lanes, b.getI1Type()),
                                 loaded);
}

Value kernel::inlineAtWidth(IndexBuilder &b, Block &block, ValueRange arguments,
                            int64_t lanes) {
  IRMapping mapping;
  mapping.map(block.getArguments(), arguments);
  auto widen = [&](Value scalar) -> Value {
    if (Value mapped = mapping.lookupOrNull(scalar))
      return mapped;
    Value wide = vector::BroadcastOp::create(
        b, VectorType::get(lanes, scalar.getType()), scalar);
    mapping.map(scalar, wide);
    return wide;
  };
  for (Operation &op : block.without_terminator()) {
    if (op.hasTrait<OpTrait::ConstantLike>()) {
      Operation *constant = b.clone(op);
      mapping.map(op.getResult(0),
                  vector::BroadcastOp::create(
                      b, VectorType::get(lanes, op.getResult(0).getType()),
                      constant->getResult(0))
                      .getResult());
      continue;
    }
    for (Value operand : op.getOperands())
      widen(operand);
    Operation *clone = b.clone(op, mapping);
    for (Value result : clone->getResults())
      result.setType(VectorType::get(lanes, result.getType()));
  }
  return widen(block.getTerminator()->getOperand(0));
}

/// A long epilogue in line for every vector of a block is slow to compile, and
/// its constants would share registers with accumulators in the reduction.
bool Emitter::hasLongEpilogue() {
  /// What a function of the math dialect costs, and what is too much to repeat.
  constexpr int64_t kFunction = 12, kLong = 16;
  if (!op.hasEpilogue() || op.getTile()[0] * op.getTile()[1] < 4)
    return false;
  int64_t cost = 0;
  for (Operation &inner : op.getEpilogue().front().without_terminator())
    cost += isa<math::ExpOp, math::Exp2Op, math::ExpM1Op, math::TanhOp,
                math::ErfOp, math::LogOp, math::Log1pOp, math::Log2Op,
                math::PowFOp, math::SinOp, math::CosOp>(inner)
                ? kFunction
                : 1;
  return cost >= kLong;
}

/// Calls `body` for each vector of sums of `count` rows: its number, where it
/// goes in the destination, and its mask.
void Emitter::forEachSum(
    const Place &place, int64_t count, const Columns &columns,
    function_ref<void(int64_t, OpFoldResult, Value)> body) {
  for (int64_t r = 0; r < count; ++r)
    for (int64_t j = 0; j < columns.vectors; ++j) {
      OpFoldResult row = b.multiply(rows.back().out, b.constant(r));
      body(r * columns.vectors + j,
           b.add(b.add(place.out, row),
                 vectorOffset(columns, j, b.constant(lanes), acrossPanels.out)),
           columns.masks[j]);
    }
}

/// Asks for the sums that wait in the destination while others are made.
void Emitter::prefetchWaiting(const Place &place, int64_t count,
                              const Columns &columns) {
  forEachSum(place, count, columns, [&](int64_t, OpFoldResult at, Value) {
    memref::PrefetchOp::create(b, out.flat, b.value(at),
                               /*isWrite=*/true,
                               /*localityHint=*/3,
                               /*isDataCache=*/true);
  });
}

/// Adds what waits to `accumulators`, unless this is the first piece.
void Emitter::addWaiting(const Place &place, int64_t count,
                         const Columns &columns,
                         SmallVectorImpl<Value> &accumulators) {
  auto branch = scf::IfOp::create(b, ValueRange(accumulators).getTypes(),
                                  continues, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(b, accumulators);
  b.setInsertionPointToStart(branch.thenBlock());
  SmallVector<Value> sums(accumulators.begin(), accumulators.end());
  forEachSum(
      place, count, columns, [&](int64_t i, OpFoldResult at, Value mask) {
        Value waiting = loadExtra(b, out, at, b.constant(1), lanes, mask);
        sums[i] = arith::AddFOp::create(b, waiting, sums[i]);
      });
  scf::YieldOp::create(b, sums);
  accumulators.assign(branch.getResults().begin(), branch.getResults().end());
}

void Emitter::storeWaiting(const Place &place, int64_t count,
                           const Columns &columns,
                           ArrayRef<Value> accumulators) {
  forEachSum(
      place, count, columns, [&](int64_t i, OpFoldResult at, Value mask) {
        if (mask)
          vector::MaskedStoreOp::create(b, out.flat, b.value(at), mask,
                                        accumulators[i]);
        else
          vector::StoreOp::create(b, accumulators[i], out.flat, b.value(at));
      });
}

void Emitter::finishRowByRow(const Place &place, int64_t count,
                             const Columns &columns,
                             MutableArrayRef<Value> accumulators) {
  int64_t width = columns.vectors * lanes;
  for (auto [i, value] : llvm::enumerate(accumulators))
    vector::StoreOp::create(b, value, scratch, b.value(b.constant(i * lanes)));
  b.loop(b.constant(0), b.constant(count), 1, [&](OpFoldResult r) {
    SmallVector<Value> row;
    for (int64_t j = 0; j < columns.vectors; ++j) {
      OpFoldResult at =
          b.add(b.multiply(r, b.constant(width)), b.constant(j * lanes));
      row.push_back(vector::LoadOp::create(
          b, VectorType::get(lanes, op.getTotalType()), scratch, b.value(at)));
    }
    finish(advance(place, rows.back(), r), 1, columns, row);
  });
}

Value Emitter::loadExtraAt(unsigned x, const Place &place, int64_t r, int64_t j,
                           const Columns &columns) {
  Value operand = op.getExtras()[x];
  if (!isa<MemRefType>(operand.getType()))
    return vector::BroadcastOp::create(
        b, VectorType::get(lanes, operand.getType()), operand);
  OpFoldResult offset =
      b.add(place.extras[x], b.multiply(rows.back().extras[x], b.constant(r)));
  offset = b.add(offset,
                 vectorOffset(columns, j,
                              b.multiply(column.extras[x], b.constant(lanes)),
                              acrossPanels.extras[x]));
  return loadExtra(b, extras[x], offset, column.extras[x], lanes,
                   columns.masks[j]);
}

SmallVector<SmallVector<Value>> Emitter::loadShared(const Place &place,
                                                    const Columns &columns) {
  SmallVector<SmallVector<Value>> shared(op.getExtras().size());
  for (auto [x, values] : llvm::enumerate(shared))
    if (getConstantIntValue(rows.back().extras[x]) == 0)
      for (int64_t j = 0; j < columns.vectors; ++j)
        values.push_back(loadExtraAt(x, place, 0, j, columns));
  return shared;
}

void Emitter::finish(const Place &place, int64_t count, const Columns &columns,
                     MutableArrayRef<Value> accumulators) {
  finish(place, count, columns, accumulators, loadShared(place, columns));
}

void Emitter::finish(const Place &place, int64_t count, const Columns &columns,
                     MutableArrayRef<Value> accumulators,
                     ArrayRef<SmallVector<Value>> shared) {
  const Loop &row = rows.back();
  for (int64_t r = 0; r < count; ++r) {
    for (int64_t j = 0; j < columns.vectors; ++j) {
      Value value = accumulators[r * columns.vectors + j];
      if (op.hasEpilogue()) {
        SmallVector<Value> arguments{value};
        for (unsigned x = 0; x < shared.size(); ++x)
          arguments.push_back(shared[x].empty()
                                  ? loadExtraAt(x, place, r, j, columns)
                                  : shared[x][j]);
        value = inlineAtWidth(b, op.getEpilogue().front(), arguments, lanes);
      }
      OpFoldResult offset =
          b.add(place.out, b.multiply(row.out, b.constant(r)));
      Value at =
          b.value(b.add(offset, vectorOffset(columns, j, b.constant(lanes),
                                             acrossPanels.out)));
      Value target = asBytes(b, out.flat);
      if (target != out.flat)
        value = arith::ExtUIOp::create(b, VectorType::get(lanes, b.getI8Type()),
                                       value);
      if (columns.masks[j])
        vector::MaskedStoreOp::create(b, target, at, columns.masks[j], value);
      else
        vector::StoreOp::create(b, value, target, at);
    }
  }
}
