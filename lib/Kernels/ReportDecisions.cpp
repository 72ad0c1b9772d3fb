// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The decisions of `plan`, in the model's own names, for people.
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "tamis/Gpu/Tensor.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Kernels/Candidates.h"
#include "tamis/Kernels/Passes.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_REPORTDECISIONS
#include "tamis/Kernels/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

namespace {

std::string getTypeText(Value value) {
  std::string text;
  llvm::raw_string_ostream(text)
      << cast<ShapedType>(value.getType()).getElementType();
  return text;
}

/// What all forms of a contraction have: node, types and work. `weights` is the
/// element type of the right operand.
NamedAttrList describe(Builder &b, std::optional<StringRef> origin, Value lhs,
                       const std::string &weights, Value init,
                       ArrayRef<int64_t> bounds) {
  NamedAttrList facts;
  facts.set("node", b.getStringAttr(origin.value_or("")));
  facts.set("types", b.getStringAttr(getTypeText(lhs) + " x " + weights +
                                     " -> " + getTypeText(init)));
  facts.set("bounds", b.getDenseI64ArrayAttr(bounds));
  int64_t products = 1;
  for (int64_t bound : bounds)
    products *= ShapedType::isDynamic(bound) ? 1 : bound;
  facts.set("macs", b.getI64IntegerAttr(products));
  return facts;
}

struct ReportDecisions : tamis::impl::ReportDecisionsBase<ReportDecisions> {
  void runOnOperation() override {
    Builder b(&getContext());
    SmallVector<Attribute> layers;
    getOperation().walk([&](Operation *op) {
      NamedAttrList facts;
      if (auto chosen = dyn_cast<kernel::ContractOp>(op)) {
        std::optional<StorageAttrInterface> storage = chosen.getStorage();
        bool hasCodes =
            chosen.getNibbles() || (storage && isa<CodebookAttr>(*storage));
        facts = describe(b, chosen.getOrigin(), chosen.getLhs(),
                         hasCodes ? "i4" : getTypeText(chosen.getRhs()),
                         chosen.getInit(), chosen.getBounds());
        facts.set("storage",
                  b.getStringAttr(storage ? storage->getStorageName()
                                  : chosen.getNibbles() ? "dense nibbles"
                                  : chosen.getPacked()  ? "dense packed"
                                                        : "as it lies"));
        if (chosen.getBlock())
          facts.set("block", b.getI64IntegerAttr(chosen.getBounds().back()));
        if (storage)
          facts.set("entries", b.getI64IntegerAttr(storage->getEntries()));
        // Of how many: words or units that weights without zeros would have.
        if (auto bitmask = chosen.getRhs().getDefiningOp<kernel::CompressOp>())
          facts.set("words", b.getI64IntegerAttr(
                                 cast<ShapedType>(bitmask.getPacked().getType())
                                     .getNumElements() /
                                 bitmask.getStorage().getUnit()));
        if (auto blocks = chosen.getRhs().getDefiningOp<kernel::ListBlocksOp>())
          facts.set("words", b.getI64IntegerAttr(
                                 cast<ShapedType>(blocks.getPacked().getType())
                                     .getNumElements() *
                                 blocks.getStorage().getEntries() /
                                 cast<ShapedType>(blocks.getValues().getType())
                                     .getNumElements()));
        if (auto encoded = chosen.getRhs().getDefiningOp<kernel::EncodeOp>();
            encoded && isa<NOfMAttr>(encoded.getStorage()))
          facts.set("words", b.getI64IntegerAttr(
                                 cast<ShapedType>(encoded.getPacked().getType())
                                     .getNumElements()));
        if (auto pack = chosen.getRhs().getDefiningOp<kernel::PackStreamOp>())
          facts.set("words", b.getI64IntegerAttr(
                                 cast<ShapedType>(pack.getSource().getType())
                                     .getNumElements() /
                                 static_cast<int64_t>(pack.getStep())));
        if (auto note = chosen->getAttrOfType<DictionaryAttr>(kChoiceAttrName))
          facts.append(note.begin(), note.end());
        facts.set(
            "instruction",
            b.getStringAttr(chosen.getInstruction().getInstructionName()));
        facts.set("tile", b.getDenseI64ArrayAttr(chosen.getTile()));
        facts.set("tasks", b.getI64IntegerAttr(chosen.getTasks()));
      } else if (auto chosen = dyn_cast<device::ContractOp>(op)) {
        std::optional<device::CodesAttr> codes = chosen.getCodes();
        bool isNibbles = codes && codes->getBits() == 4;
        Value weights = chosen.getRhs();
        if (auto list = weights.getDefiningOp<device::ListOp>())
          weights = list.getPacked();
        facts = describe(b, chosen.getOrigin(), chosen.getLhs(),
                         isNibbles ? "i4"
                         : codes   ? "i8"
                                   : getTypeText(weights),
                         chosen.getInit(), chosen.getBounds());
        facts.set("storage",
                  b.getStringAttr(chosen.getListed()     ? "listed words"
                                  : chosen.getMetadata() ? "2:4 packed"
                                  : isNibbles            ? "dense nibbles"
                                  : chosen.getPacked()   ? "dense packed"
                                                         : "as it lies"));
        if (chosen.getBlock())
          facts.set("block", b.getI64IntegerAttr(
                                 chosen.getBounds()[*chosen.getBlock()]));
        if (auto note = chosen->getAttrOfType<DictionaryAttr>(kChoiceAttrName))
          facts.append(note.begin(), note.end());
        facts.set(
            "instruction",
            b.getStringAttr(chosen.getInstruction().getInstructionName()));
        device::TilesAttr tiles = chosen.getTiles();
        facts.set("tile", b.getDenseI64ArrayAttr(
                              {tiles.getRows(), tiles.getChannels(), 0}));
        facts.set("tasks", b.getI64IntegerAttr(1));
      } else if (auto left = dyn_cast<ContractOp>(op)) {
        facts = describe(b, left.getOrigin(), left.getLhs(),
                         getTypeText(left.getRhs()), left.getInit(),
                         left.getStaticLoopRanges());
        facts.set("instruction", b.getStringAttr("none"));
        if (auto reason = left->getAttrOfType<StringAttr>(kReasonAttrName))
          facts.set("reason", reason);
      } else {
        return;
      }
      layers.push_back(facts.getDictionary(&getContext()));
    });
    getOperation()->setAttr("tamis.layers", b.getArrayAttr(layers));
  }
};

} // namespace
