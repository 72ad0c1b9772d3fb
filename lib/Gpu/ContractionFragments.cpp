// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From workgroup memory to the registers of fragments: words one by one,
// matrices of eight lines of 16 bytes by ldmatrix, codes that are decoded on
// the way.
#include "ContractionKernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::device;

/// Words that a workgroup memory serves at once: one in each bank.
static constexpr int64_t kBanks = 32;
/// Lines of a matrix.
static constexpr int64_t kLines = 8;

/// Rows of a tile follow each other without gaps, their chunks exchanged: this
/// is `exchangeChunks` of a word that the kernel computes.
OpFoldResult ContractionKernel::place(OpFoldResult outer, OpFoldResult word,
                                      int64_t pitch) {
  int64_t chunks = pitch / kChunk;
  int64_t rowsPerTurn = std::max<int64_t>(1, kBanks / pitch);
  OpFoldResult turn = b.remainder(b.divide(outer, rowsPerTurn), chunks);
  OpFoldResult chunk = b.divide(word, kChunk);
  OpFoldResult moved =
      arith::XOrIOp::create(b, b.value(chunk), b.value(turn)).getResult();
  OpFoldResult inRow =
      b.add(b.multiply(moved, b.constant(kChunk)), b.remainder(word, kChunk));
  return b.add(b.multiply(outer, b.constant(pitch)), inRow);
}

Value ContractionKernel::loadWord(const Stage &stage, OpFoldResult slot,
                                  OpFoldResult outer, OpFoldResult word,
                                  int64_t pitch) {
  OpFoldResult at = b.add(b.multiply(slot, b.constant(stage.words)),
                          place(outer, word, pitch));
  return memref::LoadOp::create(b, stage.memory, b.value(at));
}

SmallVector<Value> ContractionKernel::loadRegisters(
    const Stage &stage, const TileSource &source, OpFoldResult slot,
    OpFoldResult outer, OpFoldResult word, ArrayRef<LanePlace> places) {
  SmallVector<Value> registers;
  if (!llvm::all_of(places, [](LanePlace place) { return place.isMatrix(); })) {
    for (LanePlace place : places) {
      FragmentPlace at = place.build(b, b.getLoc(), lane);
      registers.push_back(loadWord(stage, slot, b.add(outer, at.first),
                                   b.add(word, at.second), source.pitch));
    }
    return registers;
  }
  while (!places.empty()) {
    size_t count = places.size() >= 4 ? 4 : places.size() >= 2 ? 2 : 1;
    ArrayRef<LanePlace> matrices = places.take_front(count);
    places = places.drop_front(count);
    auto lineAt = [&](OpFoldResult line) {
      return buildLine(stage, source, slot, outer, word, matrices, line);
    };
    loadMatrices(stage, static_cast<int64_t>(count), lineAt, registers);
  }
  return registers;
}

SmallVector<Value> ContractionKernel::loadRows(OpFoldResult slot,
                                               OpFoldResult step,
                                               ArrayRef<LanePlace> places) {
  return loadRegisters(rows, rowSource, slot, warpRow,
                       b.multiply(step, b.constant(shape.words)), places);
}

/// The one of `values` that `index` says.
static OpFoldResult choose(kernel::IndexBuilder &b, OpFoldResult index,
                           ArrayRef<int64_t> values) {
  OpFoldResult chosen = b.constant(values.front());
  for (auto [i, value] : llvm::enumerate(values)) {
    if (value == values.front())
      continue;
    Value isIt =
        arith::CmpIOp::create(b, arith::CmpIPredicate::eq, b.value(index),
                              b.value(b.constant(static_cast<int64_t>(i))));
    chosen = arith::SelectOp::create(b, isIt, b.value(b.constant(value)),
                                     b.value(chosen))
                 .getResult();
  }
  return chosen;
}

/// The word where line `line % 8` of matrix `line / 8` begins; after the last
/// matrix comes the first again.
OpFoldResult ContractionKernel::buildLine(const Stage &stage,
                                          const TileSource &source,
                                          OpFoldResult slot, OpFoldResult outer,
                                          OpFoldResult word,
                                          ArrayRef<LanePlace> matrices,
                                          OpFoldResult line) {
  auto count = static_cast<int64_t>(matrices.size());
  OpFoldResult matrix = b.remainder(b.divide(line, kLines), count);
  SmallVector<int64_t> first, second;
  for (LanePlace place : matrices) {
    first.push_back(place.first);
    second.push_back(place.second);
  }
  OpFoldResult inTile =
      b.add(b.add(outer, choose(b, matrix, first)), b.remainder(line, kLines));
  return b.add(
      b.multiply(slot, b.constant(stage.words)),
      place(inTile, b.add(word, choose(b, matrix, second)), source.pitch));
}

/// Appends the word that this lane has of each matrix: `lane % 4` of line
/// `lane / 4`. Lane l says where line `l % 8` of matrix `l / 8` begins; where
/// tensor cores are emulated, each lane computes what the lane that would have
/// told it says.
void ContractionKernel::loadMatrices(
    const Stage &stage, int64_t count,
    function_ref<OpFoldResult(OpFoldResult)> lineAt,
    SmallVectorImpl<Value> &registers) {
  if (instruction.getExchangeWords() != 0) {
    for (int64_t i = 0; i < count; ++i) {
      OpFoldResult teller = b.add(b.constant(i * kLines), b.divide(lane, 4));
      OpFoldResult at = b.add(lineAt(teller), b.remainder(lane, 4));
      registers.push_back(memref::LoadOp::create(b, stage.memory, b.value(at)));
    }
    return;
  }
  Value address = buildAddress(stage.memory, lineAt(lane),
                               unsigned(NVVM::NVVMMemorySpace::Shared));
  Type word = b.getI32Type();
  Type type = count == 1 ? word
                         : LLVM::LLVMStructType::getLiteral(
                               b.getContext(), SmallVector<Type>(count, word));
  Value loaded = NVVM::LdMatrixOp::create(
      b, type, address, static_cast<uint32_t>(count), NVVM::MMALayout::row,
      NVVM::LdStMatrixShapeAttr::get(b.getContext(), kLines, kLines),
      NVVM::LdStMatrixEltType::B16);
  if (count == 1)
    return registers.push_back(loaded);
  for (int64_t i = 0; i < count; ++i)
    registers.push_back(LLVM::ExtractValueOp::create(b, loaded, i));
}

/// The weight registers of all steps of a unit, of the fragment that begins at
/// channel `first`.
SmallVector<Value> ContractionKernel::loadCodes(OpFoldResult slot,
                                                OpFoldResult first,
                                                OpFoldResult unit) {
  int64_t units = tiles.getWords() / (shape.words * codes->steps);
  OpFoldResult index = b.add(
      b.multiply(b.divide(first, shape.channels), b.constant(units)), unit);
  // Lanes of a channel follow each other.
  OpFoldResult stored = b.divide(lane, kLanes / codes->lanes);
  OpFoldResult at =
      b.add(b.multiply(slot, b.constant(weights.words)),
            b.add(b.multiply(index, b.constant(codes->words * codes->lanes)),
                  stored));
  SmallVector<Value> words;
  for (int64_t i = 0; i < codes->words; ++i)
    words.push_back(memref::LoadOp::create(
        b, weights.memory, b.value(b.add(at, b.constant(i * codes->lanes)))));
  Value mask = arith::ConstantOp::create(
      b, b.getI32IntegerAttr(static_cast<int32_t>(codes->getMask())));
  SmallVector<Value> registers;
  for (int64_t r = 0; r < codes->steps * shape.weightRegisters; ++r) {
    Value word = words[r / codes->registers];
    Value shift = arith::ConstantOp::create(
        b, b.getI32IntegerAttr(static_cast<int32_t>(codes->getShift(r))));
    word = arith::ShRUIOp::create(b, word, shift);
    word = arith::AndIOp::create(b, word, mask);
    registers.push_back(instruction.buildDecode(
        b, b.getLoc(), word, static_cast<int64_t>(op.getCodes()->getLow())));
  }
  return registers;
}
