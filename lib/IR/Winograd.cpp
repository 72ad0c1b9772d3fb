// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The storage of transformed windows, and the operations around its products.
#include "tamis/IR/Contractions.h"
#include "tamis/IR/Tamis.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::kernel;

/// Lines of a window, and places of a line.
static constexpr int64_t kWindow = 3;

static bool isOutput(int64_t output) { return output == 2 || output == 4; }

//===-- storage -----------------------------------------------------------===//

StringRef WinogradAttr::getStorageName() const { return "Winograd"; }

int64_t WinogradAttr::getEntries() const { return getSize() * getSize(); }

int64_t WinogradAttr::getStreams() const { return 0; }

bool WinogradAttr::hasPanels() const { return true; }

LogicalResult WinogradAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                   int64_t output, int64_t strip) {
  if (!isOutput(output))
    return emitError() << "winograd expected tiles of 2 or 4 results, got "
                       << output;
  if (strip <= 0)
    return emitError() << "winograd expected a strip above 0, got " << strip;
  return success();
}

//===-- operations --------------------------------------------------------===//

LogicalResult WinogradWeightsOp::verify() {
  auto source = cast<RankedTensorType>(getSource().getType());
  auto result = cast<RankedTensorType>(getResult().getType());
  auto output = static_cast<int64_t>(getOutput());
  if (!isOutput(output))
    return emitOpError("expected tiles of 2 or 4 results, got ") << output;
  SmallVector<int64_t> dims{static_cast<int64_t>(getColumn()),
                            static_cast<int64_t>(getChannel())};
  llvm::append_range(dims, getWindow());
  llvm::SmallBitVector seen(4);
  for (int64_t d : dims)
    if (d >= 0 && d < 4)
      seen.set(d);
  if (source.getRank() != 4 || dims.size() != 4 || !seen.all())
    return emitOpError("expected each of 4 dimensions of the source once");
  for (int64_t d : getWindow())
    if (source.getDimSize(d) != kWindow)
      return emitOpError("expected windows of 3x3, got ") << source;
  int64_t size = output + kWindow - 1;
  auto expected = RankedTensorType::get(
      {size * size, source.getDimSize(dims[1]), source.getDimSize(dims[0])},
      Float32Type::get(getContext()));
  if (result != expected)
    return emitOpError("expected a result of ") << expected;
  return success();
}

/// Checks what both transforms of activations have in common.
static LogicalResult verifyTiles(Operation *op, int64_t output,
                                 InstructionAttrInterface instruction,
                                 MemRefType tiles, MemRefType image) {
  if (!isOutput(output))
    return op->emitOpError("expected tiles of 2 or 4 results, got ") << output;
  int64_t size = output + kWindow - 1;
  if (tiles.getRank() != 3 || tiles.getDimSize(0) != size * size ||
      !tiles.getElementType().isF32() || tiles.isDynamicDim(1))
    return op->emitOpError("expected tiles of float32 at ")
           << size * size << " places, got " << tiles;
  int64_t channels = tiles.getDimSize(2);
  if (image.getRank() != 4 ||
      ShapedType::isDynamicShape(image.getShape().drop_front()) ||
      image.getDimSize(3) != channels)
    return op->emitOpError("expected images of ")
           << channels << " channels, got " << image;
  // Vectors of the last channels are stored whole.
  SmallVector<int64_t> strides;
  int64_t offset, lanes = instruction.getLanes();
  if (instruction.isTile() ||
      failed(tiles.getStridesAndOffset(strides, offset)) || strides[2] != 1 ||
      strides[1] < static_cast<int64_t>(llvm::alignTo(channels, lanes)))
    return op->emitOpError("expected room for whole vectors of channels of ")
           << instruction << " in each tile, got " << tiles;
  return success();
}

void WinogradInputOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  addDestinationEffects(*this, effects);
}

LogicalResult WinogradInputOp::verify() {
  return verifyTiles(*this, static_cast<int64_t>(getOutput()), getInstruction(),
                     cast<MemRefType>(getTiles().getType()),
                     cast<MemRefType>(getSource().getType()));
}

void WinogradOutputOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  addDestinationEffects(*this, effects);
}

LogicalResult WinogradOutputOp::verify() {
  if (failed(verifyTiles(*this, static_cast<int64_t>(getOutput()),
                         getInstruction(),
                         cast<MemRefType>(getTiles().getType()),
                         cast<MemRefType>(getInit().getType()))))
    return failure();
  if (getIndexingMaps().size() != getExtras().size())
    return emitOpError("expected a map for each extra operand");
  for (auto map : getIndexingMaps().getAsValueRange<AffineMapAttr>())
    if (map.getNumDims() != 4 || !map.isProjectedPermutation())
      return emitOpError("expected maps from the dimensions of the result");
  return verifyStored(*this, getEpilogue(), getExtras().size(),
                      Float32Type::get(getContext()), getInit());
}
