// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Packed 2:4 weights lose half of their bytes while compiling. A chunk of four
// elements keeps two; where fewer are not zero, the first free places join
// them, since equal places are no metadata (PTX ISA, "Sparse matrix storage").
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
    SmallVector<CompressOp> ops;
    module.walk([&](CompressOp op) { ops.push_back(op); });
    for (CompressOp op : ops) {
      std::optional<ConstantTensor> packed =
          getConstantTensor(op.getPacked(), symbols);
      if (!packed) {
        op.emitOpError("expected constant weights");
        return signalPassFailure();
      }
      if (failed(replace(op, *packed, writer)))
        return signalPassFailure();
      ++numCompressed;
    }
  }

  static LogicalResult replace(CompressOp op, const ConstantTensor &packed,
                               ConstantWriter &writer) {
    auto valueType = cast<RankedTensorType>(op.getValues().getType());
    auto metadataType = cast<RankedTensorType>(op.getMetadata().getType());
    // A splat of 2:4 weights is zero everywhere.
    std::vector<int8_t> spread(packed.type.getNumElements());
    if (packed.splat)
      std::fill(spread.begin(), spread.end(), int8_t(packed.bytes.front()));
    else
      std::memcpy(spread.data(), packed.bytes.data(), spread.size());
    MutableArrayRef<int8_t> values;
    MutableArrayRef<uint32_t> metadata;
    AsmResourceBlob valueBlob = makeZeros(valueType.getNumElements(), values);
    AsmResourceBlob metadataBlob =
        makeZeros(metadataType.getNumElements(), metadata);
    if (!compress(spread, static_cast<int64_t>(op.getWords()), values,
                  metadata))
      return op.emitOpError("expected two zeros among four consecutive "
                            "elements");
    OpBuilder b(op);
    Location loc = op.getLoc();
    op.getValues().replaceAllUsesWith(
        writer.write(b, loc, valueType, std::move(valueBlob), /*splat=*/false,
                     packed.global));
    op.getMetadata().replaceAllUsesWith(
        writer.write(b, loc, metadataType, std::move(metadataBlob),
                     /*splat=*/false, packed.global));
    Operation *source = op.getPacked().getDefiningOp();
    op.erase();
    if (source && source->use_empty())
      source->erase();
    return success();
  }
};
} // namespace
