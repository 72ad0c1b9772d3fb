// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Packs constant right operands while compiling: bytes are read from the mapped
// model, written once in the instruction's order, and become a parameter of
// their own. MLIR attributes are never element-wise folded here: a model has
// hundreds of millions of elements.
#include "Bitmask.h"
#include "BlockList.h"
#include "BoundedPanels.h"
#include "Encoded.h"
#include "PackPanels.h"
#include "RowStream.h"
#include "SlotWindows.h"
#include "Winograd.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/IR/Threading.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Kernels/Passes.h"
#include "tamis/Transforms/ConstantTensor.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_PACKPARAMETERS
#include "tamis/Kernels/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

namespace {
/// One pack: what it reads, and the bytes that it becomes.
struct Packing {
  kernel::PackOp op;
  SourceView view;
  /// Equal for packs that give equal bytes; true for the first of them.
  Attribute key;
  bool isFirst;
  DenseElementsAttr splat;
  FailureOr<std::pair<AsmResourceBlob, AsmResourceBlob>> blobs = failure();

  void pack() {
    splat = packSplat(op, view);
    if (!splat)
      blobs = mlir::tamis::packPanels(op, view);
  }
};

struct PackParameters : tamis::impl::PackParametersBase<PackParameters> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTable symbols(module);
    KnownPacks known;
    SetVector<Operation *> sources;
    // Before packs: they pack what is transformed.
    transformWindows(module, symbols, known, sources);
    SmallVector<kernel::PackOp> packs;
    module.walk([&](kernel::PackOp op) {
      if (op.getPackedResult())
        packs.push_back(op);
    });
    std::vector<Packing> packings;
    DenseSet<Attribute> keys;
    for (kernel::PackOp op : packs)
      if (auto view = viewConstant(op.getSource(), symbols); succeeded(view)) {
        Attribute key = makeKey(op, *view);
        packings.push_back({op, *view, key, keys.insert(key).second});
      }
    parallelForEach(&getContext(), packings, [](Packing &p) {
      if (p.isFirst)
        p.pack();
    });
    for (Packing &p : packings) {
      kernel::PackOp op = p.op;
      OpBuilder b(op);
      if (auto found = known.find(p.key); found != known.end()) {
        replace(b, op, found->second);
      } else {
        // An equal one before it may have become a constant.
        if (!p.isFirst)
          p.pack();
        if (p.splat) {
          known[p.key] = {define(b, symbols, p.view.global, "packed",
                                 op.getPackedResult(), p.splat)};
        } else if (failed(p.blobs)) {
          continue;
        } else {
          SmallVector<StringAttr> names{define(b, symbols, p.view.global,
                                               "packed", op.getPackedResult(),
                                               p.blobs->first)};
          if (op.getSumsResult())
            names.push_back(define(b, symbols, p.view.global, "sums",
                                   op.getSumsResult(), p.blobs->second));
          remember(known, p.key, names);
        }
      }
      if (Operation *def = op.getSource().getDefiningOp())
        sources.insert(def);
      op.erase();
      ++numPacked;
    }
    module.walk([&](kernel::PackStreamOp op) {
      packStream(op, symbols, known, sources);
    });
    // After packs: they are what is compressed.
    module.walk(
        [&](kernel::CompressOp op) { compress(op, symbols, known, sources); });
    module.walk([&](kernel::ListBlocksOp op) {
      listBlocks(op, symbols, known, sources);
    });
    module.walk(
        [&](kernel::BoundOp op) { bound(op, symbols, known, sources); });
    module.walk([&](kernel::FillSlotsOp op) {
      fillSlots(op, symbols, known, sources);
    });
    module.walk(
        [&](kernel::EncodeOp op) { encode(op, symbols, known, sources); });
    eraseUnused(module, sources);
  }

  /// Two readers of one parameter share one packed copy: the names of what a
  /// pack became, result by result.
  using KnownPacks = DenseMap<Attribute, SmallVector<StringAttr>>;

  /// Equal for packs that give equal bytes.
  static Attribute makeKey(Operation *op, const SourceView &view) {
    SmallVector<Attribute> parts = view.path;
    parts.push_back(op->getAttrDictionary());
    for (Type type : op->getResultTypes())
      parts.push_back(TypeAttr::get(type));
    ml_program::GlobalOp global = view.global;
    parts.push_back(global ? global.getSymNameAttr() : view.value);
    return ArrayAttr::get(op->getContext(), parts);
  }

  /// Small arrays have become constants without a name to share.
  static void remember(KnownPacks &known, Attribute key,
                       ArrayRef<StringAttr> names) {
    if (llvm::all_of(names, [](StringAttr name) { return bool(name); }))
      known[key] = SmallVector<StringAttr>(names);
  }

  /// Reads parameters instead of the results of `op`: those of an equal one,
  /// or new ones, which `make` gives one by one, suffix, result and elements.
  template <typename Make>
  void packOnce(Operation *op, Value source, const SourceView &view,
                SymbolTable &symbols, KnownPacks &known,
                SetVector<Operation *> &sources, Make make) {
    OpBuilder b(op);
    Attribute key = makeKey(op, view);
    if (auto found = known.find(key); found != known.end()) {
      replace(b, op, found->second);
    } else {
      SmallVector<StringAttr> names;
      auto give = [&](StringRef suffix, Value result, auto &array) {
        names.push_back(define(b, symbols, view.global, suffix, result, array));
      };
      if (failed(make(give)))
        return signalPassFailure();
      remember(known, key, names);
    }
    if (Operation *def = source.getDefiningOp())
      sources.insert(def);
    op->erase();
    ++numPacked;
  }

  void transformWindows(ModuleOp module, SymbolTable &symbols,
                        KnownPacks &known, SetVector<Operation *> &sources) {
    struct Windows {
      kernel::WinogradWeightsOp op;
      SourceView view;
      std::vector<float> tiles;
    };
    std::vector<Windows> all;
    module.walk([&](kernel::WinogradWeightsOp op) {
      if (auto view = viewConstant(op.getSource(), symbols); succeeded(view)) {
        all.push_back({op, *view, {}});
      } else {
        op.emitOpError("expected a constant source");
        signalPassFailure();
      }
    });
    parallelForEach(&getContext(), all, [](Windows &w) {
      w.tiles = transformWeights(w.op, w.view);
    });
    for (Windows &w : all)
      packOnce(w.op, w.op.getSource(), w.view, symbols, known, sources,
               [&](auto give) -> LogicalResult {
                 give("tiles", w.op.getResult(), w.tiles);
                 return success();
               });
  }

  /// What the storage of `op` says is there, `what`, has to be in its source.
  template <typename OpT>
  static LogicalResult expectCount(OpT op, int64_t found, StringRef what) {
    int64_t expected = op.getStorage().getEntries();
    if (found == expected)
      return success();
    return op.emitOpError("expected ")
           << expected << ' ' << what << ", but the source has " << found;
  }

  void packStream(kernel::PackStreamOp op, SymbolTable &symbols,
                  KnownPacks &known, SetVector<Operation *> &sources) {
    FailureOr<SourceView> view = viewConstant(op.getSource(), symbols);
    if (failed(view)) {
      op.emitOpError("expected a constant source");
      return signalPassFailure();
    }
    auto make = [&](auto give) -> LogicalResult {
      StreamOrder order{static_cast<int64_t>(op.getColumn()),
                        SmallVector<int64_t>(op.getReductions()),
                        static_cast<int64_t>(op.getStep()),
                        static_cast<int64_t>(op.getBound()),
                        static_cast<int64_t>(op.getOffset()),
                        op.getIsUnsigned(),
                        op.getStorage().getChannels(),
                        op.getStorage().getDepth()};
      RowStream stream = makeRowStream(*view, order, op.getStorage());
      if (failed(expectCount(op, stream.starts.back(), "entries")))
        return failure();
      give("values", op.getValues(), stream.values);
      give("starts", op.getStarts(), stream.starts);
      if (op.getSums())
        give("sums", op.getSums(), stream.sums);
      return success();
    };
    packOnce(op, op.getSource(), *view, symbols, known, sources, make);
  }

  /// The same of panels that have to be constant; `make` gets their view first.
  template <typename OpT, typename Make>
  void packPanels(OpT op, SymbolTable &symbols, KnownPacks &known,
                  SetVector<Operation *> &sources, Make make) {
    FailureOr<SourceView> view = viewConstant(op.getPacked(), symbols);
    if (failed(view) || view->isSplat) {
      op.emitOpError("expected constant panels");
      return signalPassFailure();
    }
    packOnce(op, op.getPacked(), *view, symbols, known, sources,
             [&](auto give) { return make(*view, give); });
  }

  void compress(kernel::CompressOp op, SymbolTable &symbols, KnownPacks &known,
                SetVector<Operation *> &sources) {
    auto make = [&](const SourceView &view, auto give) -> LogicalResult {
      auto type = cast<RankedTensorType>(op.getPacked().getType());
      ExpansionAttrInterface expansion = op.getStorage().getExpansion();
      int64_t units = expansion.getUnits(), bytes = expansion.getUnitBytes();
      Bitmask bitmask =
          makeBitmask(view.bytes, type.getDimSize(0) * type.getDimSize(1),
                      units, bytes, type.getElementType().isF32());
      if (failed(expectCount(op, bitmask.starts.back(), "units")))
        return failure();
      give("values", op.getValues(), bitmask.values);
      give("masks", op.getMasks(), bitmask.masks);
      give("starts", op.getStarts(), bitmask.starts);
      return success();
    };
    packPanels(op, symbols, known, sources, make);
  }

  void listBlocks(kernel::ListBlocksOp op, SymbolTable &symbols,
                  KnownPacks &known, SetVector<Operation *> &sources) {
    auto make = [&](const SourceView &view, auto give) -> LogicalResult {
      auto type = cast<RankedTensorType>(op.getPacked().getType());
      BlockListAttr storage = op.getStorage();
      int64_t elements = storage.getSteps() * type.getDimSize(3);
      BlockList list = makeBlockList(
          view.bytes, storage.getRun() / storage.getSteps(),
          elements * type.getElementTypeBitWidth() / 8, type.getElementType());
      if (failed(expectCount(op, static_cast<int64_t>(list.places.size()),
                             "blocks")))
        return failure();
      give("values", op.getValues(), list.values);
      give("places", op.getPlaces(), list.places);
      give("starts", op.getStarts(), list.starts);
      return success();
    };
    packPanels(op, symbols, known, sources, make);
  }

  void bound(kernel::BoundOp op, SymbolTable &symbols, KnownPacks &known,
             SetVector<Operation *> &sources) {
    auto make = [&](const SourceView &view, auto give) -> LogicalResult {
      auto type = cast<RankedTensorType>(op.getPacked().getType());
      BoundedAttr storage = op.getStorage();
      BoundedPanels panels =
          makeBoundedPanels(view.bytes, type.getDimSize(0) * type.getDimSize(1),
                            {type.getDimSize(3) / BoundedShape::kStep,
                             storage.getRun(), storage.getSteps()});
      if (failed(expectCount(op, panels.starts.back(), "entries")))
        return failure();
      give("panels", op.getPanels(), panels.panels);
      give("values", op.getValues(), panels.entries.values);
      give("places", op.getPlaces(), panels.entries.places);
      give("starts", op.getStarts(), panels.starts);
      return success();
    };
    packPanels(op, symbols, known, sources, make);
  }

  void fillSlots(kernel::FillSlotsOp op, SymbolTable &symbols,
                 KnownPacks &known, SetVector<Operation *> &sources) {
    auto make = [&](const SourceView &view, auto give) -> LogicalResult {
      auto type = cast<RankedTensorType>(op.getPacked().getType());
      SlotWindowsAttr storage = op.getStorage();
      SlotWindows slots =
          makeSlotWindows(view.bytes, type.getDimSize(0) * type.getDimSize(1),
                          storage, static_cast<int64_t>(op.getBound()));
      if (failed(expectCount(op, slots.starts.back(), "entries")))
        return failure();
      give("values", op.getValues(), slots.values);
      give("places", op.getPlaces(), slots.places);
      give("starts", op.getStarts(), slots.starts);
      return success();
    };
    packPanels(op, symbols, known, sources, make);
  }

  void encode(kernel::EncodeOp op, SymbolTable &symbols, KnownPacks &known,
              SetVector<Operation *> &sources) {
    auto make = [&](const SourceView &view, auto give) -> LogicalResult {
      auto type = cast<RankedTensorType>(op.getPacked().getType());
      int64_t bytes = type.getElementTypeBitWidth() / 8;
      auto nOfM = dyn_cast<NOfMAttr>(op.getStorage());
      std::optional<EncodedPanels> panels =
          nOfM ? encodeNOfM(view.bytes, nOfM, bytes,
                            type.getElementType().isF32())
               : encodeCodebook(view.bytes, type.getDimSize(3), bytes,
                                op.getStorage().getEntries());
      if (!panels)
        return op.emitOpError("expected ")
               << (nOfM ? "fewer weights in a step" : "other values");
      give("values", op.getValues(), panels->values);
      give("keys", op.getKeys(), panels->keys);
      return success();
    };
    packPanels(op, symbols, known, sources, make);
  }

  /// Reads the parameters `names` instead of the results of `op`.
  static void replace(OpBuilder &b, Operation *op, ArrayRef<StringAttr> names) {
    for (auto [result, name] : llvm::zip_equal(op->getResults(), names))
      replace(b, result, name);
  }

  static void replace(OpBuilder &b, Value result, StringAttr name) {
    result.replaceAllUsesWith(ml_program::GlobalLoadConstOp::create(
        b, result.getLoc(), result.getType(), SymbolRefAttr::get(name)));
  }

  /// Gives `result` the bytes of `blob`: as a parameter beside `source`, or as
  /// a constant where the source is a small one.
  static StringAttr define(OpBuilder &b, SymbolTable &symbols,
                           ml_program::GlobalOp source, StringRef suffix,
                           Value result, AsmResourceBlob &blob) {
    constexpr int64_t kInlineElements = 64;
    if (!result)
      return {};
    auto type = cast<RankedTensorType>(result.getType());
    if (!source && type.getNumElements() <= kInlineElements) {
      auto attr = DenseElementsAttr::getFromRawBuffer(type, blob.getData());
      result.replaceAllUsesWith(
          arith::ConstantOp::create(b, result.getLoc(), attr));
      return {};
    }
    std::string name = getName(source, suffix);
    auto attr = DenseResourceElementsAttr::get(type, name, std::move(blob));
    return define(b, symbols, source, suffix, result, attr);
  }

  /// The same of an array, with zeros up to the size of `result`.
  template <typename T>
  static StringAttr define(OpBuilder &b, SymbolTable &symbols,
                           ml_program::GlobalOp source, StringRef suffix,
                           Value result, std::vector<T> &array) {
    auto bytes = getTensorBytes(cast<RankedTensorType>(result.getType()));
    array.resize(*bytes / sizeof(T));
    AsmResourceBlob blob = HeapAsmResourceBlob::allocateAndCopyWithAlign(
        ArrayRef(reinterpret_cast<const char *>(array.data()), *bytes), 64,
        /*dataIsMutable=*/false);
    return define(b, symbols, source, suffix, result, blob);
  }

  static StringAttr define(OpBuilder &b, SymbolTable &symbols,
                           ml_program::GlobalOp source, StringRef suffix,
                           Value result, ElementsAttr value) {
    Block *body = cast<ModuleOp>(symbols.getOp()).getBody();
    Block::iterator at = source ? Block::iterator(source) : body->begin();
    OpBuilder globals(body, at);
    auto global = ml_program::GlobalOp::create(
        globals, result.getLoc(), getName(source, suffix), value.getType(),
        /*is_mutable=*/false, value, globals.getStringAttr("private"));
    StringAttr unique = symbols.insert(global, at);
    replace(b, result, unique);
    return unique;
  }

  static std::string getName(ml_program::GlobalOp source, StringRef suffix) {
    return ((source ? source.getSymName() + "." : Twine()) + suffix).str();
  }

  /// Drops loads, views and parameters that only packs read.
  static void eraseUnused(ModuleOp module, SetVector<Operation *> &work) {
    SetVector<StringAttr> names;
    while (!work.empty()) {
      Operation *op = work.pop_back_val();
      if (!op->use_empty())
        continue;
      if (auto load = dyn_cast<ml_program::GlobalLoadConstOp>(op))
        names.insert(load.getGlobalAttr().getLeafReference());
      for (Value operand : op->getOperands())
        if (Operation *def = operand.getDefiningOp())
          work.insert(def);
      op->erase();
    }
    SymbolTableCollection tables;
    SymbolUserMap users(tables, module);
    for (StringAttr name : names)
      if (Operation *global = tables.lookupSymbolIn(module, name))
        if (users.useEmpty(global))
          global->erase();
  }
};
} // namespace
