// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The internal dialect `tamis_gpu`: fragment instructions, contractions that
// carry one, and the tables that say which machine has which.
#ifndef TAMIS_GPU_TENSOR_H
#define TAMIS_GPU_TENSOR_H

#include "tamis/Gpu/Fragments.h"
#include "tamis/IR/Tamis.h"

#include "tamis/Gpu/TensorDialect.h.inc"

#include "tamis/Gpu/TensorInterfaces.h.inc"

namespace mlir::tamis::device {
class CodesAttr;

/// Channels that packed weights have side by side. Tiles take several such
/// panels, so that tiles of different widths read the same weights.
inline constexpr int64_t kPanelChannels = 32;

/// The chunk of 16 bytes in which chunk `chunk` of line `outer` lies in
/// workgroup memory, of lines of `pitch` words: chunks are exchanged within a
/// line by its number, so that lanes that read the same chunk of neighbouring
/// lines meet different banks. It repeats after eight lines.
inline int64_t exchangeChunks(int64_t outer, int64_t chunk, int64_t pitch) {
  constexpr int64_t kBanks = 32, kChunk = 4;
  int64_t linesPerTurn = std::max<int64_t>(1, kBanks / pitch);
  return chunk ^ (outer / linesPerTurn % (pitch / kChunk));
}

/// How codes lie in words of 32 bits. A word holds `registers` consecutive
/// weight registers of one lane: element `slot` of register `r` is in the bits
/// from `bits * r + 32 / slots * slot` on, so that a shift and a mask bring all
/// elements of a register into their places. `steps` products of a fragment
/// take `words` words of each lane. Words are ordered by fragments of channels,
/// then steps, words and lanes; where four lanes share a channel and its words,
/// `lanes` of them are stored.
struct CodeLayout {
  int64_t bits, slots, registers, steps, words, lanes;

  /// Of the weights of `instruction` that has `slots` elements in a word.
  CodeLayout(FragmentAttrInterface instruction, CodesAttr codes, int64_t slots);
  int64_t getShift(int64_t weightRegister) const {
    return bits * (weightRegister % registers);
  }
  /// The lowest `bits` of every element of a word.
  uint32_t getMask() const;
};
} // namespace mlir::tamis::device

#define GET_ATTRDEF_CLASSES
#include "tamis/Gpu/TensorAttrs.h.inc"

#define GET_OP_CLASSES
#include "tamis/Gpu/TensorOps.h.inc"

namespace mlir {
class DialectRegistry;
namespace tamis::device {

/// The fragment instructions of `target`, best first. Features `mma` and
/// `mma-sp` are tensor cores; where its device is not NVIDIA's they are
/// emulated.
SmallVector<FragmentAttrInterface> getFragments(TargetAttr target);

/// True if a fragment of `target`, which may be null, multiplies float16 by
/// float16: models then keep it from the first operation to the last.
bool multipliesHalf(TargetAttr target);

/// True if a fragment of `target`, which may be null, multiplies floats of type
/// `lhs` by constant integers as they are.
bool multipliesCodes(TargetAttr target, Type lhs);

/// Lets one-shot bufferization take contractions.
void registerTensorExternalModels(DialectRegistry &registry);

/// The place of the bits of 2:4 metadata: which lane has, for `channel` of a
/// fragment (0 to 15) and `chunk` (four elements each, 0 to 15), two fields of
/// two bits from bit `shift` on. NVIDIA, PTX ISA, "Matrix fragments for sparse
/// mma.m16n8k64"; the same order as CUTLASS's `reorder_meta`.
struct MetadataPlace {
  int64_t lane, shift;
};
MetadataPlace getMetadataPlace(int64_t channel, int64_t chunk);

} // namespace tamis::device
} // namespace mlir

#endif // TAMIS_GPU_TENSOR_H
