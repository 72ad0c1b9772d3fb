// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Convolutions of transformed tiles become what they are: a transform, matrix
// products and a transform back, a strip of tiles at a time, so that the tiles
// stay in a cache between them. On buffers, before the memory plan, which gives
// the tiles their place.
#include "TaskLoop.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Kernels/Passes.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_EXPANDWINOGRAD
#include "tamis/Kernels/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

namespace {
/// Emits the loop over strips of one convolution.
struct StripEmitter {
  kernel::ContractOp op;
  WinogradAttr storage;
  ImplicitLocOpBuilder b;
  /// Places of a tile, tiles in a line and in a strip, strips of an image.
  int64_t places, across, count, strips;

  explicit StripEmitter(kernel::ContractOp op)
      : op(op), storage(cast<WinogradAttr>(*op.getStorage())),
        b(op.getLoc(), op) {
    ArrayRef<int64_t> shape =
        cast<MemRefType>(op.getInit().getType()).getShape();
    int64_t output = storage.getOutput();
    places = storage.getSize() * storage.getSize();
    across = static_cast<int64_t>(llvm::divideCeil(shape[2], output));
    count = storage.getStrip() * across;
    strips = static_cast<int64_t>(llvm::divideCeil(
        llvm::divideCeil(shape[1], output), storage.getStrip()));
  }

  Value allocate(int64_t channels);
  Value slice(Value tiles, Value task, int64_t channels);
  void multiply(Value activations, Value sums);
  ArrayAttr getExtraMaps();
  void emit();
};
} // namespace

/// Room for the tiles of a strip of each task. Places lie an odd number of
/// cache lines apart: a tile touches all of them at once, and sets of a cache
/// have few ways.
Value StripEmitter::allocate(int64_t channels) {
  constexpr int64_t kLine = 16;
  auto lines = static_cast<int64_t>(llvm::divideCeil(channels, kLine));
  SmallVector<int64_t> shape{static_cast<int64_t>(op.getTasks()), places,
                             count | 1, (lines | 1) * kLine};
  return memref::AllocOp::create(b, MemRefType::get(shape, b.getF32Type()),
                                 b.getI64IntegerAttr(64));
}

/// The tiles of `task`.
Value StripEmitter::slice(Value tiles, Value task, int64_t channels) {
  auto type = cast<MemRefType>(tiles.getType());
  SmallVector<OpFoldResult> offsets(4, b.getIndexAttr(0)),
      ones(4, b.getIndexAttr(1)),
      sizes{b.getIndexAttr(1), b.getIndexAttr(places), b.getIndexAttr(count),
            b.getIndexAttr(channels)};
  if (op.getTasks() > 1)
    offsets[0] = task;
  auto sliced = memref::SubViewOp::inferRankReducedResultType(
      {places, count, channels}, type, offsets, sizes, ones);
  return memref::SubViewOp::create(b, cast<MemRefType>(sliced), tiles, offsets,
                                   sizes, ones);
}

/// A matrix product for each place.
void StripEmitter::multiply(Value activations, Value sums) {
  auto channelsOf = [](Value tiles) {
    return cast<MemRefType>(tiles.getType()).getDimSize(2);
  };
  AffineExpr place, tile, column, channel;
  bindDims(b.getContext(), place, tile, column, channel);
  auto mapTo = [&](ArrayRef<AffineExpr> results) {
    return AffineMap::get(4, 0, results, b.getContext());
  };
  AffineMap maps[] = {mapTo({place, tile, channel}),
                      mapTo({place, channel, column}),
                      mapTo({place, tile, column})};
  kernel::ContractOp::create(
      b, Type(), activations, op.getRhs(), /*stream=*/ValueRange(), Value(),
      Value(), Value(), /*extras=*/ValueRange(), /*factors=*/ValueRange(), sums,
      b.getAffineMapArrayAttr(maps),
      b.getStrArrayAttr({"parallel", "parallel", "parallel", "reduction"}),
      b.getDenseI64ArrayAttr(
          {places, count, channelsOf(sums), channelsOf(activations)}),
      op.getAccumulatorAttr(), op.getInstruction(), op.getTileAttr(),
      /*tasks=*/b.getI64IntegerAttr(1), /*packed=*/b.getUnitAttr(), UnitAttr(),
      IntegerAttr(), StorageAttrInterface(), UnitAttr(), UnitAttr(),
      StringAttr());
}

/// The maps of the extra operands from the dimensions of the result.
ArrayAttr StripEmitter::getExtraMaps() {
  AffineMap out = op.getOutMap();
  SmallVector<AffineMap> maps;
  for (unsigned i = 0; i < op.getExtras().size(); ++i) {
    SmallVector<AffineExpr> results;
    for (AffineExpr expr : op.getExtraMap(i).getResults())
      results.push_back(b.getAffineDimExpr(*out.getResultPosition(expr)));
    maps.push_back(
        AffineMap::get(out.getNumResults(), 0, results, b.getContext()));
  }
  return b.getAffineMapArrayAttr(maps);
}

void StripEmitter::emit() {
  auto channelsOf = [](Value image) {
    return cast<MemRefType>(image.getType()).getDimSize(3);
  };
  int64_t channels = channelsOf(op.getLhs()),
          columns = channelsOf(op.getInit());
  Value activations = allocate(channels), sums = allocate(columns);
  auto index = [&](int64_t value) {
    return arith::ConstantIndexOp::create(b, value);
  };
  Value images = getValueOrCreateConstantIndexOp(
      b, b.getLoc(), memref::getMixedSize(b, b.getLoc(), op.getInit(), 0));
  auto [task, lower, upper] = beginTaskLoop(
      b, static_cast<int64_t>(op.getTasks()),
      b.createOrFold<arith::MulIOp>(images, index(strips)), op.getOriginAttr());
  activations = slice(activations, task, channels);
  sums = slice(sums, task, columns);
  auto walk = scf::ForOp::create(b, lower, upper, index(1));
  b.setInsertionPoint(walk.getBody()->getTerminator());
  Value image = b.createOrFold<arith::DivUIOp>(walk.getInductionVar(),
                                               index(strips)),
        line = b.createOrFold<arith::MulIOp>(
            b.createOrFold<arith::RemUIOp>(walk.getInductionVar(),
                                           index(strips)),
            index(storage.getStrip()));
  auto output = b.getI64IntegerAttr(storage.getOutput());
  kernel::WinogradInputOp::create(b, op.getLhs(), activations, image, line,
                                  output, op.getInstruction());
  multiply(activations, sums);
  auto inverse = kernel::WinogradOutputOp::create(
      b, sums, op.getExtras(), op.getInit(), image, line, getExtraMaps(),
      output, op.getInstruction());
  inverse.getEpilogue().takeBody(op.getEpilogue());
  op.erase();
}

namespace {
struct ExpandWinograd : tamis::impl::ExpandWinogradBase<ExpandWinograd> {
  void runOnOperation() override {
    SmallVector<kernel::ContractOp> ops;
    getOperation()->walk([&](kernel::ContractOp op) {
      if (isa<MemRefType>(op.getInit().getType()) && op.getStorage() &&
          isa<WinogradAttr>(*op.getStorage()))
        ops.push_back(op);
    });
    for (kernel::ContractOp op : ops)
      StripEmitter(op).emit();
    numExpanded += ops.size();
  }
};
} // namespace
