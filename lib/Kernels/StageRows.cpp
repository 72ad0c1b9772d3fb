// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Operands brought to the instruction before they are multiplied. Where it
// takes wider elements than the model stores (vpmaddwd takes 16 bits) or others
// (vpdpbusd takes unsigned ones), a broadcast from memory becomes a load, an
// extension or an offset, and a shuffle for every step and row. The run of each
// row of a block is copied into a few KiB that stay in L1; that costs one
// operation for sixteen elements or more. Widening weights likewise, a panel at
// a time, is slower: twice the bytes have to come from L1.
#include "Reduction.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::kernel;

/// Bytes of elements staged at once.
static constexpr int64_t kVectorBytes = 32;
/// Shorter runs are read in place.
static constexpr int64_t kShortestRun = 8;
/// What a stage may take of the stack; longer runs are read in place.
static constexpr int64_t kMostBytes = 128 << 10;

void Emitter::makeStage() {
  Type element = cast<MemRefType>(op.getLhs().getType()).getElementType();
  Type staged = instruction.getStagedType(element);
  if (!staged && element.isInteger(8) && step > 1 && !instruction.isTile() &&
      instruction.getLhsOffset(op.getLhsUnsigned()) != 0)
    staged = element;
  const Loop &run = reductions.back();
  auto length = getConstantIntValue(run.extent);
  // Slot windows pick elements first: few are left that need an offset.
  if (!staged || slotWindows || dims.depthwise || brokenRun || !length ||
      *length < kShortestRun || getConstantIntValue(run.lhs) != 1)
    return;
  stagedLength = llvm::alignTo(*length, step);
  int64_t elements = op.getTile()[0] * stagedLength;
  if (elements * staged.getIntOrFloatBitWidth() / 8 > kMostBytes)
    return;
  stage = memref::AllocaOp::create(b, MemRefType::get({elements}, staged),
                                   b.getI64IntegerAttr(64));
}

Reduction::Offset Reduction::stageRows(Offset lhs) {
  int64_t length = *getConstantIntValue(run.extent);
  Type from = cast<MemRefType>(source.getType()).getElementType();
  Type to = cast<MemRefType>(e.stage.getType()).getElementType();
  int64_t vector = 8 * kVectorBytes / to.getIntOrFloatBitWidth();
  auto bring = [&](Value narrow) -> Value {
    auto type = cast<VectorType>(narrow.getType());
    if (from != to && e.op.getLhsUnsigned())
      return arith::ExtUIOp::create(b, type.clone(to), narrow);
    if (from != to)
      return arith::ExtSIOp::create(b, type.clone(to), narrow);
    int64_t offset = e.instruction.getLhsOffset(e.op.getLhsUnsigned());
    Value all = arith::ConstantOp::create(
        b, DenseElementsAttr::get(type, APInt(8, offset)));
    return arith::AddIOp::create(b, narrow, all);
  };
  auto widen = [&](OpFoldResult element, int64_t count) {
    for (int64_t r = 0; r < rows; ++r) {
      Value narrow =
          vector::LoadOp::create(b, VectorType::get(count, from), source,
                                 index(lhs, b.add(rowOffsets[r], element)));
      vector::StoreOp::create(
          b, bring(narrow), e.stage,
          b.value(b.add(element, b.constant(r * e.stagedLength))));
    }
  };
  int64_t done = length / vector * vector;
  b.loop(b.constant(0), b.constant(done), vector,
         [&](OpFoldResult k) { widen(k, vector); });
  for (int64_t count = vector / 2; count > 0; count /= 2)
    if (length - done >= count) {
      widen(b.constant(done), count);
      done += count;
    }
  // The rest of the last step is zero.
  if (done < e.stagedLength) {
    auto type = VectorType::get(e.stagedLength - done, to);
    Value zero = arith::ConstantOp::create(b, b.getZeroAttr(type));
    for (int64_t r = 0; r < rows; ++r)
      vector::StoreOp::create(b, zero, e.stage,
                              b.value(b.constant(r * e.stagedLength + done)));
  }
  source = e.stage;
  run.extent = b.constant(e.stagedLength);
  for (int64_t r = 0; r < rows; ++r)
    rowOffsets[r] = b.constant(r * e.stagedLength);
  return {b.constant(0)};
}
