// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Scales in blocks of the reduction: every block has a sum of its own, which
// the region `combine` adds to the total at vector width. Totals are touched
// once per block, so they may leave the registers to the accumulators.
#include "Reduction.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::kernel;

void Emitter::prepareFactors() {
  for (auto [i, factor] : llvm::enumerate(op.getFactors())) {
    if (!isa<MemRefType>(factor.getType())) {
      extras.push_back(FlatView());
      continue;
    }
    if (!op.isFactorPacked(i)) {
      extras.push_back(flatten(b, factor, op.getFactorMap(i)));
      continue;
    }
    // Panels as those of rhs: one vector after another, block after block.
    FlatView view = flatten(b, factor);
    view.perDim.assign(op.getIteratorTypes().size(), b.constant(0));
    view.perDim[dims.column] = b.constant(1);
    view.perDim[*op.getBlock()] = view.strides[2];
    extras.push_back(view);
  }
}

void Emitter::combine(const Place &place, int64_t count, const Columns &columns,
                      ArrayRef<Value> blockSums,
                      MutableArrayRef<Value> totals) {
  Block &body = op.getCombine().front();
  const Loop &row = rows.back();
  unsigned first = op.getExtras().size(), numFactors = op.getFactors().size();
  // What does not move with the row or the column is read once.
  DenseMap<std::tuple<unsigned, int64_t, int64_t>, Value> known;
  auto load = [&](unsigned i, int64_t r, int64_t j) -> Value {
    unsigned x = first + i;
    Value operand = op.getFactors()[i];
    bool isScalar = !isa<MemRefType>(operand.getType());
    if (isScalar || getConstantIntValue(row.extras[x]) == 0)
      r = 0;
    if (isScalar || getConstantIntValue(column.extras[x]) == 0)
      j = 0;
    Value &value = known[{i, r, j}];
    if (value)
      return value;
    if (isScalar)
      return value = vector::BroadcastOp::create(
                 b, VectorType::get(lanes, operand.getType()), operand);
    OpFoldResult offset =
        b.add(place.extras[x], b.multiply(row.extras[x], b.constant(r)));
    offset = b.add(offset,
                   vectorOffset(columns, j,
                                b.multiply(column.extras[x], b.constant(lanes)),
                                acrossPanels.extras[x]));
    Value mask = op.isFactorPacked(i) ? Value() : columns.masks[j];
    return value =
               loadExtra(b, extras[x], offset, column.extras[x], lanes, mask);
  };
  for (int64_t r = 0; r < count; ++r)
    for (int64_t j = 0; j < columns.vectors; ++j) {
      Value &total = totals[r * columns.vectors + j];
      SmallVector<Value> arguments{total, blockSums[r * columns.vectors + j]};
      for (unsigned i = 0; i < numFactors; ++i)
        arguments.push_back(load(i, r, j));
      total = inlineAtWidth(b, body, arguments, lanes);
    }
}

SmallVector<Value> Emitter::combineWaiting(const Place &place,
                                           OpFoldResult first, int64_t count,
                                           const Columns &columns) {
  SmallVector<Value> blockSums, totals;
  for (int64_t i = 0; i < count * columns.vectors; ++i) {
    Value at =
        b.value(b.add(b.multiply(first, b.constant(columns.vectors * lanes)),
                      b.constant(i * lanes)));
    auto load = [&](Value from) -> Value {
      Type element = cast<MemRefType>(from.getType()).getElementType();
      return vector::LoadOp::create(b, VectorType::get(lanes, element), from,
                                    at);
    };
    blockSums.push_back(load(tileSums));
    totals.push_back(load(tileTotals));
  }
  combine(advance(place, rows.back(), first), count, columns, blockSums,
          totals);
  return totals;
}

void Emitter::storeTotals(OpFoldResult first, const Columns &columns,
                          ArrayRef<Value> totals) {
  for (auto [i, total] : llvm::enumerate(totals))
    vector::StoreOp::create(
        b, total, tileTotals,
        b.value(b.add(b.multiply(first, b.constant(columns.vectors * lanes)),
                      b.constant(int64_t(i) * lanes))));
}

SmallVector<Value> Emitter::reduceBlocks(Reduction &reduction,
                                         const Place &place,
                                         const Columns &columns) {
  auto type = VectorType::get(lanes, op.getTotalType());
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(type));
  SmallVector<Value> totals(reduction.rows * columns.vectors, zero);
  const Loop &blocks = reductions.front();
  Reduction::Offset lhsAt{OpFoldResult(b.value(place.lhs))};
  Reduction::Offset rhsAt{OpFoldResult(b.value(place.rhs))};
  reduction.carry(b.constant(0), blocks.extent, 1, totals,
                  [&](Value i, SmallVectorImpl<Value> &inner) {
                    SmallVector<Value> blockSums =
                        reduction.sumUp(1, reduction.move(lhsAt, blocks.lhs, i),
                                        reduction.move(rhsAt, blocks.rhs, i));
                    combine(advance(place, blocks, i), reduction.rows, columns,
                            blockSums, inner);
                  });
  return totals;
}
