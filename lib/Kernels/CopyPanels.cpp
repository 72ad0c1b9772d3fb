// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A right operand whose columns lie apart and which few rows read: keys, as a
// decoder appends them. Packed as a whole it would be read once more and
// written once for each of these rows' products; so each panel is brought into
// order in L1 just before its blocks are multiplied, by the loops that pack.
#include "Emitter.h"

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
static MemRefType getPanelType(kernel::ContractOp op, int64_t steps, int64_t lanes) {
  Type element = cast<MemRefType>(op.getRhs().getType()).getElementType();
  return MemRefType::get({1, 1, steps, op.getTile()[1] * lanes}, element);
}

void Emitter::makePanel() {
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
  emitPack(pack, rewriter);
  rewriter.eraseOp(pack);
  place.rhs = b.constant(0);
}
