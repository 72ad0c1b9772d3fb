// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What happens to a sum: that of a block is added to a total; after its whole
// reduction zero points are accounted for, the epilogue region runs once, the
// element is stored where it exists.
//
//   Σ(a-za)(w-zw) = Σaw - za·(Σw - K·zw) - zw·Σa
#include "ContractionKernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::device;

/// A zero point as i32, as the instruction sees elements.
Value ContractionKernel::widenZero(Value zero, bool isUnsigned,
                                   int32_t offset) {
  Type i32 = b.getI32Type();
  if (zero.getType().getIntOrFloatBitWidth() < 32)
    zero = isUnsigned ? arith::ExtUIOp::create(b, i32, zero).getResult()
                      : arith::ExtSIOp::create(b, i32, zero).getResult();
  if (offset == 0)
    return zero;
  return arith::AddIOp::create(
      b, zero, arith::ConstantOp::create(b, b.getI32IntegerAttr(offset)));
}

/// za·(Σw - K·zw) of one column.
Value ContractionKernel::buildColumnTerm(OpFoldResult column, Value columnSum) {
  if (!isInteger() || !op.getLhsZero())
    return {};
  if (op.getSums())
    columnSum = memref::LoadOp::create(
        b, op.getSums(), ValueRange{b.value(group), b.value(column)});
  if (op.getRhsZero()) {
    Value count =
        arith::IndexCastOp::create(b, b.getI32Type(), b.value(reducedCount));
    Value zero = widenZero(op.getRhsZero(), op.getRhsUnsigned(),
                           op.getPacked() && op.getRhsUnsigned() ? -128 : 0);
    columnSum = arith::SubIOp::create(b, columnSum,
                                      arith::MulIOp::create(b, count, zero));
  }
  Value zero = widenZero(op.getLhsZero(), op.getLhsUnsigned(), 0);
  return arith::MulIOp::create(b, zero, columnSum);
}

void ContractionKernel::forEachSum(function_ref<void(const SumPlace &)> body) {
  int64_t registers = shape.sumRegisters;
  OpFoldResult firstColumn =
      b.add(b.multiply(panel, b.constant(tiles.getChannels())), warpChannel);
  OpFoldResult firstRow =
      b.add(b.multiply(rowTile, b.constant(tiles.getRows())), warpRow);
  for (int64_t i = 0; i < channelFragments; ++i)
    for (int64_t j = 0; j < rowFragments; ++j)
      for (int64_t r = 0; r < registers; ++r) {
        FragmentPlace at =
            instruction.getSumPlace(r).build(b, b.getLoc(), lane);
        OpFoldResult column =
            b.add(b.add(firstColumn, b.constant(i * shape.channels)), at.first);
        OpFoldResult row =
            b.add(b.add(firstRow, b.constant(j * shape.rows)), at.second);
        body({(i * rowFragments + j) * registers + r, i * registers + r,
              j * registers + r, column, row});
      }
}

/// What does not move with the column or the row has one element for all.
FactorKey ContractionKernel::getFactorKey(unsigned i, const SumPlace &place) {
  AffineMap map = op.getFactorMap(i);
  auto moves = [&](unsigned dim) { return map.isFunctionOfDim(dim); };
  return {i, moves(dims.column) ? place.channelRegister : -1,
          llvm::any_of(dims.rows, moves) ? place.rowRegister : -1};
}

/// The elements that the lane's sums of `block` meet. Sums that do not exist
/// read those of the last one that does.
DenseMap<FactorKey, Value> ContractionKernel::loadFactors(OpFoldResult block) {
  auto clamp = [&](OpFoldResult index, OpFoldResult extent) {
    return b.minimum(index, b.subtract(extent, b.constant(1)));
  };
  DenseMap<FactorKey, Value> loaded;
  forEachSum([&](const SumPlace &place) {
    for (auto [i, factor] : llvm::enumerate(op.getFactors())) {
      Value &value = loaded[getFactorKey(i, place)];
      if (value)
        continue;
      value = factor;
      if (!isa<MemRefType>(factor.getType()))
        continue;
      SmallVector<OpFoldResult> indices = origin;
      delinearize(clamp(place.row, rowCount), dims.rows, indices);
      indices[dims.column] = clamp(place.column, extents[dims.column]);
      indices[*op.getBlock()] = block;
      value = memref::LoadOp::create(b, factor,
                                     applyMap(op.getFactorMap(i), indices));
    }
  });
  return loaded;
}

/// Adds the sums of a block to the totals.
void ContractionKernel::combine(const DenseMap<FactorKey, Value> &factors,
                                ArrayRef<Value> sums,
                                MutableArrayRef<Value> totals) {
  Block &body = op.getCombine().front();
  forEachSum([&](const SumPlace &place) {
    IRMapping mapping;
    Value &total = totals[place.index];
    mapping.map(body.getArgument(0), total);
    mapping.map(body.getArgument(1), sums[place.index]);
    for (unsigned i = 0; i < op.getFactors().size(); ++i)
      mapping.map(body.getArgument(2 + i),
                  factors.lookup(getFactorKey(i, place)));
    for (Operation &inner : body.without_terminator())
      b.clone(inner, mapping);
    total = mapping.lookupOrDefault(body.getTerminator()->getOperand(0));
  });
}

void ContractionKernel::finish(MutableArrayRef<Value> sums) {
  int64_t registers = shape.sumRegisters;
  MutableArrayRef<Value> rest =
      sums.drop_front(channelFragments * rowFragments * registers);
  MutableArrayRef<Value> rowSums, columnSums;
  if (needsRowSums()) {
    rowSums = rest.take_front(rowFragments * registers);
    rest = rest.drop_front(rowSums.size());
  }
  if (needsColumnSums())
    columnSums = rest;
  forEachStored([&](const SumPlace &place) {
    Value sum =
        addRowTerm(sums[place.index],
                   rowSums.empty() ? Value() : rowSums[place.rowRegister]);
    if (tiles.getSplits() > 1)
      return storePart(sum, place.column, place.row);
    Value columnTerm = buildColumnTerm(
        place.column,
        columnSums.empty() ? Value() : columnSums[place.channelRegister]);
    finishElement(sum, columnTerm, place.column, place.row);
  });
}

/// `body` for the sums of elements that exist, inside a branch.
void ContractionKernel::forEachStored(
    function_ref<void(const SumPlace &)> body) {
  auto isBelow = [&](OpFoldResult index, OpFoldResult extent) {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ult, b.value(index),
                                 b.value(extent));
  };
  forEachSum([&](const SumPlace &place) {
    Value exists =
        arith::AndIOp::create(b, isBelow(place.column, extents[dims.column]),
                              isBelow(place.row, rowCount));
    auto branch = scf::IfOp::create(b, exists, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    body(place);
  });
}

/// `sum` without zw·Σa, of the whole reduction or a part of it.
Value ContractionKernel::addRowTerm(Value sum, Value rowSum) {
  if (!rowSum)
    return sum;
  Value zero = widenZero(op.getRhsZero(), op.getRhsUnsigned(),
                         op.getPacked() && op.getRhsUnsigned() ? -128 : 0);
  return arith::SubIOp::create(b, sum, arith::MulIOp::create(b, zero, rowSum));
}

void ContractionKernel::finishElement(Value sum, Value columnTerm,
                                      OpFoldResult column, OpFoldResult row) {
  if (columnTerm)
    sum = arith::SubIOp::create(b, sum, columnTerm);
  SmallVector<OpFoldResult> indices = origin;
  delinearize(row, dims.rows, indices);
  indices[dims.column] = column;
  if (op.hasEpilogue()) {
    Block &block = op.getEpilogue().front();
    IRMapping mapping;
    mapping.map(block.getArgument(0), sum);
    for (auto [i, extra] : llvm::enumerate(op.getExtras())) {
      Value value = extra;
      if (isa<MemRefType>(extra.getType()))
        value = memref::LoadOp::create(b, extra,
                                       applyMap(op.getExtraMap(i), indices));
      mapping.map(block.getArgument(1 + i), value);
    }
    for (Operation &inner : block.without_terminator())
      b.clone(inner, mapping);
    sum = mapping.lookupOrDefault(block.getTerminator()->getOperand(0));
  }
  storeResult(sum, column, row, indices);
}

void ContractionKernel::storeResult(Value result, OpFoldResult, OpFoldResult,
                                    ArrayRef<OpFoldResult> indices) {
  memref::StoreOp::create(b, result, op.getInit(),
                          applyMap(op.getOutMap(), indices));
}
