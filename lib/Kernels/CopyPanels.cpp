// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A right operand whose columns lie apart and which few rows read: keys, as a
// decoder appends them. Packed as a whole it would be read once more and
// written once for each of these rows' products; so each panel is brought into
// order in L1 just before its blocks are multiplied, by the loops that pack.
//
// Nibbles of tiles, which read none: a panel is unpacked in the order of tiles
// and stays in L2 while all blocks of rows pass.
#include "Emitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::kernel;

bool Emitter::copiesPanels() {
  if (op.getPacked() || op.getStorage() || dims.reductions.empty())
    return false;
  unsigned sum = dims.reductions.back();
  return op.getRhsMap().getResults().back() == b.getAffineDimExpr(sum) &&
         op.getBounds()[sum] != 1;
}

/// [1][1][steps][columns], as packed panels lie.
static MemRefType getPanelType(kernel::ContractOp op, int64_t steps,
                               int64_t lanes) {
  Type element = cast<MemRefType>(op.getRhs().getType()).getElementType();
  return MemRefType::get({1, 1, steps, op.getTile()[1] * lanes}, element);
}

void Emitter::makePanel() {
  if (unpacksPanels()) {
    int64_t bytes = 2 * *getConstantIntValue(panelStride);
    panel = memref::AllocaOp::create(b, MemRefType::get({bytes}, b.getI8Type()),
                                     b.getI64IntegerAttr(64));
    return;
  }
  int64_t steps = *getConstantIntValue(reductions.back().extent);
  Value memory = memref::AllocaOp::create(b, getPanelType(op, steps, lanes),
                                          b.getI64IntegerAttr(64));
  panel = flatten(b, memory).flat;
}

void Emitter::copyPanel(Place &place, const Columns &columns) {
  auto view = memref::ExtractStridedMetadataOp::create(b, rhs.flat);
  OpFoldResult offset = b.add(view.getConstifiedMixedOffset(), place.rhs);
  OpFoldResult steps = reductions.back().extent;
  auto known = [](OpFoldResult v) {
    return getConstantIntValue(v).value_or(ShapedType::kDynamic);
  };
  auto type = MemRefType::get(
      {known(columns.count), known(steps)},
      cast<MemRefType>(rhs.flat.getType()).getElementType(),
      StridedLayoutAttr::get(b.getContext(), known(offset),
                             {known(column.rhs), known(runStride)}));
  Value source = memref::ReinterpretCastOp::create(
      b, type, view.getBaseBuffer(), offset,
      ArrayRef<OpFoldResult>{columns.count, steps},
      ArrayRef<OpFoldResult>{column.rhs, runStride});
  MemRefType order = getPanelType(op, known(steps), lanes);
  Value target = memref::ReinterpretCastOp::create(
      b, order, panel, b.constant(0),
      llvm::map_to_vector(
          order.getShape(),
          [&](int64_t size) -> OpFoldResult { return b.constant(size); }),
      llvm::map_to_vector(
          order.getStridesAndOffset().first,
          [&](int64_t stride) -> OpFoldResult { return b.constant(stride); }));
  auto pack = PackOp::create(b, Type(), Type(), source, target, Value(),
                             b.getDenseI64ArrayAttr({}), b.getI64IntegerAttr(0),
                             b.getDenseI64ArrayAttr({1}),
                             b.getI64IntegerAttr(1), b.getI64IntegerAttr(1),
                             b.getI64IntegerAttr(0), UnitAttr(), UnitAttr());
  emitPack(pack, rewriter, /*isFar=*/true);
  rewriter.eraseOp(pack);
  place.rhs = b.constant(0);
}

void Emitter::unpackPanel(Place &place) {
  int64_t vector = lanes * step, width = op.getTile()[1] * vector;
  auto type = VectorType::get(vector, b.getI8Type());
  auto splat = [&](int64_t value) -> Value {
    return arith::ConstantOp::create(
        b, DenseElementsAttr::get(type, b.getI8IntegerAttr(value)));
  };
  // A line of bytes is two of tiles, the one in the lower halves first.
  b.loop(b.constant(0), panelStride, width, [&](OpFoldResult line) {
    OpFoldResult to = b.multiply(line, b.constant(2));
    for (int64_t at = 0; at < width; at += vector) {
      OpFoldResult from = b.add(b.add(place.rhs, line), b.constant(at));
      Value both = vector::LoadOp::create(b, type, rhs.flat, b.value(from));
      auto store = [&](Value bytes, int64_t offset) {
        vector::StoreOp::create(b, bytes, panel,
                                b.value(b.add(to, b.constant(offset))));
      };
      store(arith::AndIOp::create(b, both, splat(15)), at);
      store(arith::ShRUIOp::create(b, both, splat(4)), width + at);
    }
  });
  place.rhs = b.constant(0);
}
