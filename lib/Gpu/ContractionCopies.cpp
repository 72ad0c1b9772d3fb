// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tiles from the device's memory into workgroup memory, four words at a time:
// asynchronously where 16 bytes lie together and more than one stage asks for
// it, else element by element. What lies outside becomes zero, so it adds
// nothing to any sum.
#include "ContractionKernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::device;

static constexpr int64_t kChunkBytes = 4 * kChunk;

void ContractionKernel::copyTiles(OpFoldResult tile, OpFoldResult slot) {
  OpFoldResult firstChannel =
      b.multiply(panel, b.constant(tiles.getChannels()));
  if (records.memory)
    copyRecords(tile, slot);
  else if (op.getPacked() && !op.getListed())
    copyPacked(op.getRhs(), weights, codes ? 0 : weightSource.pitch, tile,
               slot);
  else if (!op.getPacked())
    copyStrided(weightSource, weights, firstChannel, tile, slot);
  if (instruction.isSparse())
    copyPacked(op.getMetadata(), metadata, /*pitch=*/0, tile, slot);
  copyRows(tile, slot);
}

void ContractionKernel::copyRows(OpFoldResult tile, OpFoldResult slot) {
  copyStrided(rowSource, rows, b.multiply(rowTile, b.constant(tiles.getRows())),
              tile, slot);
}

/// Hands chunks out to the threads of the workgroup.
void ContractionKernel::forEachChunk(int64_t chunks,
                                     function_ref<void(OpFoldResult)> body) {
  int64_t threads = tiles.getWarps() * kLanes;
  int64_t whole = chunks / threads * threads;
  auto chunkAt = [&](OpFoldResult first) { return b.add(first, thread); };
  b.loop(b.constant(0), b.constant(whole), threads,
         [&](OpFoldResult first) { body(chunkAt(first)); });
  if (whole == chunks)
    return;
  OpFoldResult last = chunkAt(b.constant(whole));
  Value exists = arith::CmpIOp::create(
      b, arith::CmpIPredicate::ult, b.value(last), b.value(b.constant(chunks)));
  auto branch = scf::IfOp::create(b, exists, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  body(last);
}

/// The bits of an element that is a part of a word.
static Value getBits(kernel::IndexBuilder &b, Value element) {
  Type type = element.getType();
  unsigned width = type.getIntOrFloatBitWidth();
  if (width == 32 || !isa<FloatType>(type))
    return element;
  return arith::BitcastOp::create(b, b.getIntegerType(width), element);
}

/// One more piece of a word: bits shifted to their place.
static Value placeElement(kernel::IndexBuilder &b, Value element, int64_t i) {
  element = getBits(b, element);
  unsigned width = element.getType().getIntOrFloatBitWidth();
  Value word = arith::ExtUIOp::create(b, b.getI32Type(), element);
  if (i == 0)
    return word;
  return arith::ShLIOp::create(
      b, word, arith::ConstantOp::create(b, b.getI32IntegerAttr(i * width)));
}

Value device::buildWord(kernel::IndexBuilder &b, int64_t count,
                        function_ref<Value(int64_t)> load) {
  if (count == 1)
    return load(0);
  Value word;
  for (int64_t i = 0; i < count; ++i) {
    Value piece = placeElement(b, load(i), i);
    word = word ? arith::OrIOp::create(b, word, piece).getResult() : piece;
  }
  return word;
}

/// `index` where it is below `extent`, else the last one there is.
static OpFoldResult clamp(kernel::IndexBuilder &b, OpFoldResult index,
                          OpFoldResult extent) {
  return b.minimum(index, b.subtract(extent, b.constant(1)));
}

static Value isBelow(kernel::IndexBuilder &b, OpFoldResult index,
                     OpFoldResult extent) {
  return arith::CmpIOp::create(b, arith::CmpIPredicate::ult, b.value(index),
                               b.value(extent));
}

void ContractionKernel::copyStrided(const TileSource &source,
                                    const Stage &stage, OpFoldResult start,
                                    OpFoldResult tile, OpFoldResult slot) {
  int64_t perOuter = source.pitch / kChunk;
  forEachChunk(source.tile * perOuter, [&](OpFoldResult chunk) {
    OpFoldResult inTile = b.divide(chunk, perOuter);
    OpFoldResult firstWord =
        b.multiply(b.remainder(chunk, perOuter), b.constant(kChunk));
    OpFoldResult outer = b.add(start, inTile);
    Value inside = isBelow(b, outer, source.extent);
    SmallVector<OpFoldResult> indices = origin;
    delinearize(clamp(b, outer, source.extent), source.dims, indices);
    // The first reduced element of the chunk.
    OpFoldResult reduced =
        b.multiply(b.add(b.multiply(tile, b.constant(source.pitch)), firstWord),
                   b.constant(elementsPerWord));
    OpFoldResult to = b.add(b.multiply(slot, b.constant(stage.words)),
                            place(inTile, firstWord, source.pitch));
    if (source.isWide) {
      inside =
          arith::AndIOp::create(b, inside, isBelow(b, reduced, reducedCount));
      delinearize(clamp(b, reduced, reducedCount), dims.reductions, indices);
      OpFoldResult element = b.constant(0);
      for (auto [index, stride] : llvm::zip_equal(indices, source.strides))
        element = b.add(element, b.multiply(index, b.constant(stride)));
      // A clamped chunk may begin at its last element; none of it is read.
      return copyAsync(source.memref, element, stage, to, inside);
    }
    for (int64_t w = 0; w < kChunk; ++w) {
      OpFoldResult first = b.add(reduced, b.constant(w * elementsPerWord));
      Value word = loadStridedWord(source, indices, inside, first);
      memref::StoreOp::create(b, word, stage.memory,
                              b.value(b.add(to, b.constant(w))));
    }
  });
}

Value ContractionKernel::loadStridedWord(const TileSource &source,
                                         ArrayRef<OpFoldResult> outer,
                                         Value inside, OpFoldResult reduced) {
  return buildWord(b, elementsPerWord, [&](int64_t i) -> Value {
    SmallVector<OpFoldResult> indices(outer);
    OpFoldResult at = b.add(reduced, b.constant(i));
    Value exists =
        arith::AndIOp::create(b, inside, isBelow(b, at, reducedCount));
    delinearize(clamp(b, at, reducedCount), dims.reductions, indices);
    Value element =
        getBits(b, memref::LoadOp::create(b, source.memref,
                                          applyMap(source.map, indices)));
    Value zero = arith::ConstantOp::create(b, b.getZeroAttr(element.getType()));
    return arith::SelectOp::create(b, exists, element, zero);
  });
}

/// A panel of a packed operand lies as it will lie in workgroup memory, but for
/// the exchange of chunks, which `pitch` 0, what lies in the order of lanes,
/// does without. A tile is some panels, one after the other.
void ContractionKernel::copyPacked(Value memref, const Stage &stage,
                                   int64_t pitch, OpFoldResult tile,
                                   OpFoldResult slot) {
  int64_t perWord =
      32 / cast<MemRefType>(memref.getType()).getElementTypeBitWidth();
  int64_t panels = getPanels();
  int64_t perPanel = stage.words / kChunk / panels;
  OpFoldResult firstPanel = b.multiply(panel, b.constant(panels));
  forEachChunk(stage.words / kChunk, [&](OpFoldResult chunk) {
    OpFoldResult firstWord = b.multiply(chunk, b.constant(kChunk));
    OpFoldResult part = b.constant(0), inPanel = chunk;
    if (panels > 1) {
      part = b.divide(chunk, perPanel);
      inPanel = b.remainder(chunk, perPanel);
    }
    part = b.add(firstPanel, part);
    OpFoldResult at = pitch != 0 ? place(b.divide(firstWord, pitch),
                                         b.remainder(firstWord, pitch), pitch)
                                 : firstWord;
    OpFoldResult to = b.add(b.multiply(slot, b.constant(stage.words)), at);
    OpFoldResult first = b.multiply(inPanel, b.constant(kChunk * perWord));
    OpFoldResult position[] = {group, part, tile, first};
    if (weightSource.isWide) {
      OpFoldResult element = b.constant(0);
      ArrayRef<int64_t> sizes = cast<MemRefType>(memref.getType()).getShape();
      for (auto [index, size] : llvm::zip_equal(position, sizes))
        element = b.add(b.multiply(element, b.constant(size)), index);
      return copyAsync(memref, element, stage, to, /*inside=*/nullptr);
    }
    for (int64_t w = 0; w < kChunk; ++w) {
      Value word = buildWord(b, perWord, [&](int64_t i) -> Value {
        OpFoldResult last = b.add(first, b.constant(w * perWord + i));
        return memref::LoadOp::create(b, memref,
                                      ValueRange{b.value(group), b.value(part),
                                                 b.value(tile), b.value(last)});
      });
      memref::StoreOp::create(b, word, stage.memory,
                              b.value(b.add(to, b.constant(w))));
    }
  });
}

//===-- asynchronous ------------------------------------------------------===//

Value ContractionKernel::buildAddress(Value buffer, OpFoldResult index,
                                      unsigned space) {
  auto type = cast<MemRefType>(buffer.getType());
  Value base = memref::ExtractAlignedPointerAsIndexOp::create(b, buffer);
  OpFoldResult bytes =
      b.multiply(index, b.constant(type.getElementTypeBitWidth() / 8));
  Value address = arith::IndexCastOp::create(b, b.getI64Type(),
                                             b.value(b.add(base, bytes)));
  return LLVM::IntToPtrOp::create(
      b, LLVM::LLVMPointerType::get(b.getContext(), space), address);
}

void ContractionKernel::copyAsync(Value memref, OpFoldResult element,
                                  const Stage &stage, OpFoldResult word,
                                  Value inside) {
  Value to =
      buildAddress(stage.memory, word, unsigned(NVVM::NVVMMemorySpace::Shared));
  // Generic addresses of the device's memory are its global addresses.
  Value from =
      buildAddress(memref, element, unsigned(NVVM::NVVMMemorySpace::Global));
  Value bytes;
  if (inside) {
    Value all = arith::ConstantOp::create(b, b.getI32IntegerAttr(kChunkBytes));
    Value none = arith::ConstantOp::create(b, b.getI32IntegerAttr(0));
    bytes = arith::SelectOp::create(b, inside, all, none);
  }
  NVVM::CpAsyncOp::create(b, to, from, kChunkBytes,
                          NVVM::LoadCacheModifierKind::CG, bytes);
}

void ContractionKernel::commitCopies() {
  NVVM::CpAsyncCommitGroupOp::create(b);
}

void ContractionKernel::waitForCopies(int64_t pending) {
  NVVM::CpAsyncWaitGroupOp::create(b, pending);
}
