// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Names, keys and times of candidates.
#include "tamis/Kernels/Candidates.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/xxhash.h"
#include <cmath>

using namespace mlir;
using namespace mlir::tamis;

/// `128x?x768`.
static void printSizes(raw_ostream &out, ArrayRef<int64_t> sizes) {
  llvm::interleave(
      sizes, out,
      [&](int64_t size) {
        if (ShapedType::isDynamic(size))
          out << '?';
        else
          out << size;
      },
      "x");
}

/// `rhs` is the right operand before it was packed.
template <typename Op>
static std::string makeKey(Op op, ArrayRef<int64_t> bounds, Value rhs) {
  auto element = [](Value value) {
    return getElementTypeOrSelf(value.getType());
  };
  std::string text;
  llvm::raw_string_ostream out(text);
  printSizes(out, bounds);
  out << ' ' << (op.getLhsUnsigned() ? "u" : "") << element(op.getLhs())
      << " x " << (op.getRhsUnsigned() ? "u" : "") << element(rhs) << " -> "
      << element(op.getInit());

  std::string whole = text;
  llvm::raw_string_ostream all(whole);
  all << op.getIndexingMaps() << op.getIteratorTypes() << op.getAccumulator();
  for (Value extra : op.getExtras())
    all << element(extra) << ' ';
  op.getEpilogue().walk([&](Operation *inner) {
    all << inner->getName() << inner->getResultTypes();
  });
  out << " #" << llvm::utohexstr(llvm::xxh3_64bits(whole), /*LowerCase=*/true);
  return text;
}

std::string mlir::tamis::getContractionKey(ContractOp op) {
  return makeKey(op, op.getStaticLoopRanges(), op.getRhs());
}

std::string mlir::tamis::getContractionKey(kernel::ContractOp op) {
  Value rhs = op.getRhs();
  if (auto bitmask = rhs.getDefiningOp<kernel::CompressOp>())
    rhs = bitmask.getPacked();
  else if (auto blocks = rhs.getDefiningOp<kernel::ListBlocksOp>())
    rhs = blocks.getPacked();
  else if (auto encoded = rhs.getDefiningOp<kernel::EncodeOp>())
    rhs = encoded.getPacked();
  else if (auto bound = rhs.getDefiningOp<kernel::BoundOp>())
    rhs = bound.getPacked();
  else if (auto slots = rhs.getDefiningOp<kernel::FillSlotsOp>())
    rhs = slots.getPacked();
  if (auto pack = rhs.getDefiningOp<kernel::PackOp>())
    rhs = pack.getSource();
  else if (auto stream = rhs.getDefiningOp<kernel::PackStreamOp>())
    rhs = stream.getSource();
  if (auto tiles = rhs.getDefiningOp<kernel::WinogradWeightsOp>())
    rhs = tiles.getSource();
  return makeKey(op, op.getBounds(), rhs);
}

static void printShare(raw_ostream &out, double share) {
  double percent = 100 * share;
  out << llvm::format(percent < 9.95 ? "%.2g" : "%.0f", percent) << "%";
}

std::string mlir::tamis::getStreamName(int64_t positions, int64_t channels,
                                       bool overLines, int64_t parts,
                                       double entries) {
  std::string name;
  llvm::raw_string_ostream out(name);
  out << "row stream " << positions;
  if (channels > 1)
    out << " by " << channels;
  if (parts > 1)
    out << " in " << parts;
  out << (overLines ? " over lines, " : ", ");
  printShare(out, entries);
  return name;
}

std::string mlir::tamis::getBitmaskName(int64_t unit, double units) {
  std::string name;
  llvm::raw_string_ostream out(name);
  out << "bitmask of " << unit << ", ";
  printShare(out, units);
  return name;
}

std::string mlir::tamis::getBlockListName(int64_t columns, int64_t elements,
                                          double blocks) {
  std::string name;
  llvm::raw_string_ostream out(name);
  out << "blocks " << columns << 'x' << elements << ", ";
  printShare(out, blocks);
  return name;
}

std::string mlir::tamis::getNOfMName(int64_t kept, int64_t step) {
  return std::to_string(kept) + " of " + std::to_string(step);
}

std::string mlir::tamis::getCodebookName(int64_t values) {
  return "codebook of " + std::to_string(values);
}

std::string mlir::tamis::getBoundedName(ArrayRef<int64_t> tile, int64_t steps,
                                        double entries) {
  std::string name;
  llvm::raw_string_ostream out(name);
  out << "bounded ";
  printSizes(out, tile);
  out << " in " << steps << ", ";
  printShare(out, entries);
  out << " more";
  return name;
}

std::string mlir::tamis::getSlotsName(double slots) {
  std::string name;
  llvm::raw_string_ostream out(name);
  out << "slot windows, ";
  printShare(out, slots);
  return name;
}

std::string mlir::tamis::getWinogradName(ArrayRef<int64_t> tile, int64_t output,
                                         int64_t strip) {
  std::string name;
  llvm::raw_string_ostream out(name);
  out << "Winograd " << output << 'x' << output << " by " << strip << ", ";
  printSizes(out, tile);
  return name;
}

std::string mlir::tamis::getDenseName(ArrayRef<int64_t> tile) {
  std::string name;
  llvm::raw_string_ostream out(name);
  out << "dense ";
  printSizes(out, tile);
  return name;
}

KernelCandidate mlir::tamis::makeCandidate(ProfileAttr profile, StringRef key,
                                           std::string name, double cycles) {
  KernelCandidate candidate;
  candidate.measured = profile.getMeasured(key, name);
  candidate.name = std::move(name);
  candidate.predicted = cycles / (getFact(profile, "clock.ghz") * 1e3);
  return candidate;
}

std::optional<size_t>
mlir::tamis::findFastest(ArrayRef<KernelCandidate> candidates) {
  size_t best = 0;
  for (auto [i, candidate] : llvm::enumerate(candidates)) {
    if (!candidate.measured)
      return std::nullopt;
    if (*candidate.measured < *candidates[best].measured)
      best = i;
  }
  return best;
}

void mlir::tamis::recordChoice(Operation *op, const KernelChoice &choice) {
  Builder b(op->getContext());
  NamedAttrList candidates, note;
  for (const KernelCandidate &candidate : choice.candidates) {
    NamedAttrList times;
    // Nanoseconds are enough for people.
    times.set("predicted",
              b.getF64FloatAttr(std::round(candidate.predicted * 1e3) / 1e3));
    if (candidate.measured)
      times.set("measured", b.getF64FloatAttr(*candidate.measured));
    candidates.set(candidate.name, times.getDictionary(b.getContext()));
  }
  if (!choice.key.empty())
    note.set("key", b.getStringAttr(choice.key));
  note.set("candidates", candidates.getDictionary(b.getContext()));
  note.set("chosen", b.getStringAttr(choice.chosen));
  note.set("why", b.getStringAttr(choice.reason));
  op->setAttr(kChoiceAttrName, note.getDictionary(b.getContext()));
}

std::optional<KernelChoice> mlir::tamis::getChoice(Operation *op) {
  auto note = op->getAttrOfType<DictionaryAttr>(kChoiceAttrName);
  if (!note)
    return std::nullopt;
  KernelChoice choice;
  if (auto key = note.getAs<StringAttr>("key"))
    choice.key = key.str();
  choice.chosen = note.getAs<StringAttr>("chosen").str();
  choice.reason = note.getAs<StringAttr>("why").str();
  for (NamedAttribute entry : note.getAs<DictionaryAttr>("candidates")) {
    auto times = cast<DictionaryAttr>(entry.getValue());
    KernelCandidate &candidate = choice.candidates.emplace_back();
    candidate.name = entry.getName().str();
    candidate.predicted =
        times.getAs<FloatAttr>("predicted").getValueAsDouble();
    if (auto measured = times.getAs<FloatAttr>("measured"))
      candidate.measured = measured.getValueAsDouble();
  }
  return choice;
}
