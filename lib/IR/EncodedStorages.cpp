// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Storages that `tamis_kernel.encode` makes, and what reads them.
#include "tamis/IR/Tamis.h"

using namespace mlir;
using namespace mlir::tamis;

using EmitError = function_ref<InFlightDiagnostic()>;

/// Panels that both can be made of, of vectors of `elements`.
static bool checkPanels(RankedTensorType packed, int64_t elements,
                        std::string &expected) {
  llvm::raw_string_ostream out(expected);
  if (packed.getRank() != 4 || !packed.hasStaticShape() ||
      !packed.getElementType().isIntOrFloat())
    out << "packed panels of a static shape";
  else if (packed.getDimSize(3) % elements != 0)
    out << "panels of whole vectors of " << elements << " elements";
  return expected.empty();
}

//===-- n_of_m ------------------------------------------------------------===//

InstructionAttrInterface NOfMAttr::getInstruction() const {
  return cast<InstructionAttrInterface>(Attribute(getSelection()));
}

int64_t NOfMAttr::getVectorElements() const {
  return getInstruction().getLanes() * getSelection().getKept();
}

StringRef NOfMAttr::getStorageName() const { return "N:M"; }

SmallVector<Type> NOfMAttr::getEncoded(RankedTensorType packed,
                                       std::string &expected) const {
  InstructionAttrInterface instruction = getInstruction();
  int64_t elements = instruction.getLanes() * instruction.getReductionStep();
  if (!checkPanels(packed, elements, expected))
    return {};
  int64_t vectors = packed.getNumElements() / elements;
  int64_t entries = vectors * getVectorElements();
  if (entries != getEntries()) {
    llvm::raw_string_ostream(expected) << entries << " entries";
    return {};
  }
  auto places = static_cast<unsigned>(getSelection().getPlaceBits());
  return {
      RankedTensorType::get({entries}, packed.getElementType()),
      RankedTensorType::get({vectors}, IntegerType::get(getContext(), places))};
}

LogicalResult NOfMAttr::verify(EmitError emitError, int64_t entries,
                               SelectionAttrInterface) {
  if (entries < 0)
    return emitError() << "n_of_m expected no negative entries, got "
                       << entries;
  return success();
}

static LogicalResult verifyLanes(EmitError emitError, StringRef name,
                                 int64_t lanes) {
  if (lanes == 8 || lanes == 16)
    return success();
  return emitError() << name << " expected 8 or 16 lanes, got " << lanes;
}

LogicalResult X86SelectFmaAttr::verify(EmitError emitError, int64_t lanes,
                                       int64_t kept) {
  if (kept != 1 && kept != 2)
    return emitError() << getMnemonic() << " expected to keep 1 or 2, got "
                       << kept;
  return verifyLanes(emitError, getMnemonic(), lanes);
}

LogicalResult X86SelectMaddAttr::verify(EmitError emitError, int64_t lanes) {
  return verifyLanes(emitError, getMnemonic(), lanes);
}

//===-- codebook ----------------------------------------------------------===//

StringRef CodebookAttr::getStorageName() const { return "codebook"; }

SmallVector<Type> CodebookAttr::getEncoded(RankedTensorType packed,
                                           std::string &expected) const {
  LookupAttrInterface lookup = getLookup();
  if (!checkPanels(packed, lookup.getElements(), expected))
    return {};
  llvm::raw_string_ostream out(expected);
  if (packed.getElementTypeBitWidth() != 8 * lookup.getElementBytes())
    out << "elements of " << lookup.getElementBytes() << " bytes";
  else if (packed.getDimSize(2) % 2 != 0)
    out << "an even number of steps";
  if (!expected.empty())
    return {};
  Builder b(getContext());
  return {
      RankedTensorType::get({packed.getDimSize(0), packed.getDimSize(1),
                             packed.getDimSize(2) / 2, packed.getDimSize(3)},
                            b.getI8Type()),
      RankedTensorType::get({kCodes}, packed.getElementType())};
}

LogicalResult CodebookAttr::verify(EmitError emitError, int64_t entries,
                                   LookupAttrInterface) {
  if (entries < 1 || entries > kCodes)
    return emitError() << "codebook expected 1 to 16 entries, got " << entries;
  return success();
}

LogicalResult X86LookupAttr::verify(EmitError emitError, int64_t bytes,
                                    int64_t elements) {
  if (bytes != 1 && bytes != 4)
    return emitError() << getMnemonic() << " expected 1 or 4 bytes, got "
                       << bytes;
  int64_t size = bytes * elements;
  if (size == 32 || size == 64 || (bytes == 1 && size == 16))
    return success();
  return emitError() << getMnemonic() << " expected a whole vector, got "
                     << elements << " elements of " << bytes << " bytes";
}
