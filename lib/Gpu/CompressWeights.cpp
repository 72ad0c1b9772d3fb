// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Packed weights become smaller while compiling. Of 2:4 weights a chunk of four
// elements keeps two; where fewer are not zero, the first free places join
// them, since equal places are no metadata (PTX ISA, "Sparse matrix storage").
// Weights of few bits become codes in the order of the lanes that read them,
// listed words records.
#include "ListedWords.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/IR/AsmState.h"
#include "tamis/Gpu/Passes.h"
#include "tamis/Gpu/Tensor.h"
#include "tamis/Transforms/ConstantTensor.h"
#include "llvm/ADT/bit.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_COMPRESSWEIGHTS
#include "tamis/Gpu/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::device;

/// Which two of four elements are kept, as a mask; 0 if more are not zero.
static unsigned choosePlaces(const int8_t *chunk) {
  unsigned mask = 0;
  for (unsigned i = 0; i < 4; ++i)
    mask |= unsigned(chunk[i] != 0) << i;
  if (llvm::popcount(mask) > 2)
    return 0;
  for (unsigned i = 0; llvm::popcount(mask) < 2; ++i)
    mask |= 1u << i;
  return mask;
}

/// Compresses tile by tile. False if the weights are not 2:4.
static bool compress(ArrayRef<int8_t> packed, int64_t words,
                     MutableArrayRef<int8_t> values,
                     MutableArrayRef<uint32_t> metadata) {
  /// Chunks of four elements: of one fragment along the reduction.
  constexpr int64_t kFragmentChunks = 16, kFragmentChannels = 16;
  int64_t fragments = words / kFragmentChunks;
  // A word of 8-bit elements is a chunk; channels follow each other, also from
  // tile to tile.
  for (size_t index = 0; index < packed.size() / 4; ++index) {
    auto chunk = static_cast<int64_t>(index % words);
    auto channel = static_cast<int64_t>(index / words);
    unsigned mask = choosePlaces(packed.data() + 4 * index);
    if (mask == 0)
      return false;
    unsigned low = llvm::countr_zero(mask), high = llvm::Log2_32(mask);
    values[2 * index] = packed[4 * index + low];
    values[2 * index + 1] = packed[4 * index + high];
    MetadataPlace place =
        getMetadataPlace(channel % kFragmentChannels, chunk % kFragmentChunks);
    int64_t fragment =
        channel / kFragmentChannels * fragments + chunk / kFragmentChunks;
    metadata[fragment * kLanes + place.lane] |= (low | high << 2)
                                                << place.shift;
  }
  return true;
}

/// Writes codes word by word: tiles, fragments of channels, steps, words,
/// lanes.
static void encode(EncodeOp op, ArrayRef<int8_t> packed,
                   MutableArrayRef<uint32_t> encoded) {
  CodeLayout layout = op.getLayout();
  FragmentAttrInterface instruction = op.getInstruction();
  FragmentShape shape = instruction.getShape();
  auto step = static_cast<int64_t>(op.getStep());
  int64_t fragments = packed.size() / (step * shape.channels);
  int64_t units =
      static_cast<int64_t>(op.getWords()) / (shape.words * layout.steps);
  auto low = static_cast<int8_t>(op.getCodes().getLow());
  uint32_t mask = (uint32_t(1) << layout.bits) - 1;
  auto *to = encoded.begin();
  auto buildWord = [&](const int8_t *fragment, int64_t unit, int64_t word,
                       int64_t lane) {
    uint32_t result = 0;
    for (int64_t i = 0; i < layout.registers; ++i) {
      int64_t at = word * layout.registers + i;
      LanePlace place = instruction.getWeightPlace(at % shape.weightRegisters);
      int64_t product = unit * layout.steps + at / shape.weightRegisters;
      int64_t from = product * shape.words + place.getSecond(lane);
      for (int64_t slot = 0; slot < layout.slots; ++slot) {
        auto code = static_cast<uint8_t>(
            fragment[place.getFirst(lane) * step + from * layout.slots + slot] -
            low);
        result |= (code & mask)
                  << (layout.getShift(at) + 32 / layout.slots * slot);
      }
    }
    return result;
  };
  for (int64_t fragment = 0; fragment < fragments; ++fragment)
    for (int64_t unit = 0; unit < units; ++unit)
      for (int64_t word = 0; word < layout.words; ++word)
        for (int64_t lane = 0; lane < layout.lanes; ++lane)
          *to++ = buildWord(packed.data() + fragment * step * shape.channels,
                            unit, word, lane * kLanes / layout.lanes);
}

template <typename T>
static AsmResourceBlob makeZeros(int64_t count, MutableArrayRef<T> &data) {
  AsmResourceBlob blob = HeapAsmResourceBlob::allocate(count * sizeof(T), 64,
                                                       /*dataIsMutable=*/true);
  MutableArrayRef<char> bytes = blob.getMutableData();
  std::fill(bytes.begin(), bytes.end(), 0);
  data = MutableArrayRef<T>(reinterpret_cast<T *>(bytes.data()), count);
  return blob;
}

namespace {
struct CompressWeights : tamis::impl::CompressWeightsBase<CompressWeights> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTable symbols(module);
    ConstantWriter writer(module, symbols);
    SmallVector<Operation *> ops;
    module.walk([&](Operation *op) {
      if (isa<CompressOp, EncodeOp, ListOp>(op))
        ops.push_back(op);
    });
    for (Operation *op : ops) {
      Value source = op->getOperand(0);
      std::optional<ConstantTensor> packed = getConstantTensor(source, symbols);
      if (!packed) {
        op->emitOpError("expected constant weights");
        return signalPassFailure();
      }
      std::vector<int8_t> bytes = spread(*packed);
      if (auto encode = dyn_cast<EncodeOp>(op))
        replace(encode, bytes, packed->global, writer);
      else if (auto list = dyn_cast<ListOp>(op)) {
        if (failed(replace(list, bytes, packed->global, writer)))
          return signalPassFailure();
      } else if (failed(replace(cast<CompressOp>(op), bytes, packed->global,
                                writer)))
        return signalPassFailure();
      op->erase();
      if (Operation *made = source.getDefiningOp(); made && made->use_empty())
        made->erase();
      ++numCompressed;
    }
  }

  /// All elements, also of a splat.
  static std::vector<int8_t> spread(const ConstantTensor &packed) {
    int64_t size = packed.type.getElementTypeBitWidth() / 8;
    std::vector<int8_t> bytes(packed.type.getNumElements() * size);
    size_t step = packed.splat ? size : bytes.size();
    for (size_t i = 0; i < bytes.size(); i += step)
      std::memcpy(bytes.data() + i, packed.bytes.data(), step);
    return bytes;
  }

  static LogicalResult replace(ListOp op, ArrayRef<int8_t> packed,
                               ml_program::GlobalOp like,
                               ConstantWriter &writer) {
    auto pitch = static_cast<int64_t>(op.getWords());
    std::vector<uint32_t> panel(kPanelChannels * pitch), records;
    std::vector<uint32_t> starts{0};
    size_t size = panel.size() * sizeof(uint32_t);
    for (; !packed.empty(); packed = packed.drop_front(size)) {
      std::memcpy(panel.data(), packed.data(), size);
      writeRecord(panel, pitch, records);
      starts.push_back(static_cast<uint32_t>(records.size() / kRecordChunk));
    }
    auto type = cast<RankedTensorType>(op.getRecords().getType());
    if (type.getNumElements() != static_cast<int64_t>(records.size()))
      return op.emitOpError("records expected ")
             << records.size() << " words, got " << type.getNumElements();
    OpBuilder b(op);
    auto write = [&](Value old, ArrayRef<uint32_t> words) {
      MutableArrayRef<uint32_t> data;
      AsmResourceBlob blob =
          makeZeros(static_cast<int64_t>(words.size()), data);
      llvm::copy(words, data.begin());
      old.replaceAllUsesWith(
          writer.write(b, op.getLoc(), cast<RankedTensorType>(old.getType()),
                       std::move(blob), /*splat=*/false, like));
    };
    write(op.getRecords(), records);
    write(op.getStarts(), starts);
    return success();
  }

  static void replace(EncodeOp op, ArrayRef<int8_t> packed,
                      ml_program::GlobalOp like, ConstantWriter &writer) {
    auto type = cast<RankedTensorType>(op.getEncoded().getType());
    MutableArrayRef<uint32_t> words;
    AsmResourceBlob blob = makeZeros(type.getNumElements(), words);
    encode(op, packed, words);
    OpBuilder b(op);
    op.getEncoded().replaceAllUsesWith(writer.write(
        b, op.getLoc(), type, std::move(blob), /*splat=*/false, like));
  }

  static LogicalResult replace(CompressOp op, ArrayRef<int8_t> packed,
                               ml_program::GlobalOp like,
                               ConstantWriter &writer) {
    auto valueType = cast<RankedTensorType>(op.getValues().getType());
    auto metadataType = cast<RankedTensorType>(op.getMetadata().getType());
    MutableArrayRef<int8_t> values;
    MutableArrayRef<uint32_t> metadata;
    AsmResourceBlob valueBlob = makeZeros(valueType.getNumElements(), values);
    AsmResourceBlob metadataBlob =
        makeZeros(metadataType.getNumElements(), metadata);
    if (!compress(packed, static_cast<int64_t>(op.getWords()), values,
                  metadata))
      return op.emitOpError("expected two zeros among four consecutive "
                            "elements");
    OpBuilder b(op);
    Location loc = op.getLoc();
    op.getValues().replaceAllUsesWith(writer.write(
        b, loc, valueType, std::move(valueBlob), /*splat=*/false, like));
    op.getMetadata().replaceAllUsesWith(writer.write(b, loc, metadataType,
                                                     std::move(metadataBlob),
                                                     /*splat=*/false, like));
    return success();
  }
};
} // namespace
