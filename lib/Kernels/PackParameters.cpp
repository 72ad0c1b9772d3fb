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
#include "RowStream.h"
#include "Winograd.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/IR/Threading.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Kernels/Passes.h"
#include "tamis/Transforms/ConstantTensor.h"
#include "llvm/Support/Endian.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_PACKPARAMETERS
#include "tamis/Kernels/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

//===-- packing -----------------------------------------------------------===//

/// Moves elements through `convert`; calls `sum(group, column, value)` for
/// each.
template <typename To, typename Convert, typename Sum>
static void packElements(kernel::PackOp op, const SourceView &view,
                         MutableArrayRef<To> out, Convert convert, Sum sum) {
  auto packed = cast<ShapedType>(op.getPacked().getType());
  int64_t stepsPerByte = op.getNibbles() ? 2 : 1;
  int64_t panels = packed.getDimSize(1);
  int64_t steps = packed.getDimSize(2) * stepsPerByte;
  int64_t step = op.getStep(), width = op.getWidth();
  ArrayRef<int64_t> reductions = op.getReductions();
  SmallVector<int64_t> outer =
      view.getOffsets(reductions.drop_back(op.getRun()));
  SmallVector<int64_t> run = view.getOffsets(reductions.take_back(op.getRun()));
  int64_t runSteps = steps / static_cast<int64_t>(outer.size());
  int64_t columns = op.getColumn() < 0 ? 1 : view.shape[op.getColumn()];
  int64_t columnStride = op.getColumn() < 0 ? 0 : view.strides[op.getColumn()];
  auto put = [](To &slot, To value, int64_t place) {
    if constexpr (std::is_integral_v<To>)
      slot = static_cast<To>(place ? slot | value << 4 : value);
    else
      slot = value;
  };
  // Column by column: a column's elements are usually neighbours in the source,
  // and a panel is small.
  int64_t panelSize = packed.getDimSize(2) * width * step;
  To *panel = out.data();
  int64_t group = 0;
  for (int64_t groupOffset : view.getOffsets(op.getGroups())) {
    for (int64_t p = 0; p < panels; ++p, panel += panelSize) {
      int64_t end = std::min(width, columns - p * width);
      for (int64_t c = 0; c < end; ++c) {
        int64_t column = p * width + c;
        int64_t from = groupOffset + column * columnStride;
        To *to = panel + c * step;
        for (int64_t outerOffset : outer) {
          for (int64_t k = 0; k < runSteps; ++k) {
            int64_t place = k % stepsPerByte;
            for (int64_t s = 0; s < step; ++s) {
              size_t element = k * step + s;
              if (element >= run.size())
                continue;
              To value = convert(from + outerOffset + run[element]);
              put(to[s], value, place);
              sum(group, column, value);
            }
            if (place + 1 == stepsPerByte)
              to += width * step;
          }
        }
      }
    }
    ++group;
  }
}

/// The bits of a float that the selection found to be one of float16.
static uint16_t toHalf(float value) {
  APFloat half(value);
  bool losesInfo;
  half.convert(APFloat::IEEEhalf(), APFloat::rmNearestTiesToEven, &losesInfo);
  return static_cast<uint16_t>(half.bitcastToAPInt().getZExtValue());
}

/// A blob of `count` zeroed elements of T, aligned for vector loads.
template <typename T>
static AsmResourceBlob makeBlob(int64_t count, MutableArrayRef<T> &data) {
  AsmResourceBlob blob = HeapAsmResourceBlob::allocate(count * sizeof(T), 64,
                                                       /*dataIsMutable=*/true);
  MutableArrayRef<char> bytes = blob.getMutableData();
  std::fill(bytes.begin(), bytes.end(), 0);
  data = MutableArrayRef<T>(reinterpret_cast<T *>(bytes.data()), count);
  return blob;
}

/// The packed bytes and, where the op asks for them, the sums of its columns.
static FailureOr<std::pair<AsmResourceBlob, AsmResourceBlob>>
pack(kernel::PackOp op, const SourceView &view) {
  auto packed = cast<ShapedType>(op.getPacked().getType());
  if (!packed.hasStaticShape())
    return failure();
  MutableArrayRef<int32_t> sums;
  AsmResourceBlob sumBlob;
  int64_t sumColumns = 0;
  if (op.getSums()) {
    auto type = cast<ShapedType>(op.getSums().getType());
    sumBlob = makeBlob(type.getNumElements(), sums);
    sumColumns = type.getDimSize(1);
  }
  auto addSum = [&](int64_t group, int64_t column, int64_t value) {
    // Sums wrap, as the accumulators do.
    if (!sums.empty()) {
      int32_t &sum = sums[group * sumColumns + column];
      sum = static_cast<int32_t>(uint32_t(sum) + uint32_t(value));
    }
  };
  int64_t count = packed.getNumElements();
  Type element = packed.getElementType();
  int64_t offset = static_cast<int64_t>(op.getOffset());
  bool isUnsigned = op.getIsUnsigned();
  auto integer = [&](auto zero) {
    return [&](int64_t i) {
      return static_cast<decltype(zero)>(view.getInteger(i, isUnsigned) -
                                         offset);
    };
  };
  AsmResourceBlob blob;
  if (element.isF32() && view.element == element) {
    MutableArrayRef<float> data;
    blob = makeBlob(count, data);
    const auto *floats = reinterpret_cast<const float *>(view.bytes.data());
    packElements(
        op, view, data, [=](int64_t i) { return floats[i]; },
        [](int64_t, int64_t, float) {});
  } else if (element.isF32()) {
    MutableArrayRef<float> data;
    blob = makeBlob(count, data);
    packElements(
        op, view, data, [&](int64_t i) { return view.getFloat(i); },
        [](int64_t, int64_t, float) {});
  } else if (element.isF16()) {
    MutableArrayRef<uint16_t> data;
    blob = makeBlob(count, data);
    packElements(
        op, view, data, [&](int64_t i) { return toHalf(view.getFloat(i)); },
        [](int64_t, int64_t, uint16_t) {});
  } else if (element.isBF16() && view.element == element) {
    MutableArrayRef<uint16_t> data;
    blob = makeBlob(count, data);
    packElements(
        op, view, data,
        [&](int64_t i) {
          return llvm::support::endian::read16le(view.bytes.data() + 2 * i);
        },
        [](int64_t, int64_t, uint16_t) {});
  } else if (element.isInteger(8) && view.element == element) {
    MutableArrayRef<int8_t> data;
    blob = makeBlob(count, data);
    const char *bytes = view.bytes.data();
    packElements(
        op, view, data,
        [=](int64_t i) { return static_cast<int8_t>(bytes[i] - offset); },
        addSum);
  } else if (element.isInteger(8)) {
    MutableArrayRef<int8_t> data;
    blob = makeBlob(count, data);
    packElements(op, view, data, integer(int8_t(0)), addSum);
  } else if (element.isInteger(32)) {
    MutableArrayRef<int32_t> data;
    blob = makeBlob(count, data);
    packElements(op, view, data, integer(int32_t(0)), addSum);
  } else {
    return failure();
  }
  return std::make_pair(std::move(blob), std::move(sumBlob));
}

/// What packing a constant of equal elements gives, in one element instead of
/// all their bytes; null where other elements pad it. Columns that nobody reads
/// may hold anything.
static DenseElementsAttr packSplat(kernel::PackOp op, const SourceView &view) {
  auto packed = cast<ShapedType>(op.getPacked().getType());
  if (!view.isSplat || op.getSums() || op.getNibbles() ||
      !packed.hasStaticShape())
    return nullptr;
  int64_t depth = 1;
  for (int64_t dim : op.getReductions())
    depth *= view.shape[dim];
  if (depth != packed.getDimSize(2) * static_cast<int64_t>(op.getStep()))
    return nullptr;
  Type element = packed.getElementType();
  auto repeat = [&](auto value) {
    return DenseElementsAttr::getFromRawBuffer(
        packed, ArrayRef(reinterpret_cast<const char *>(&value), sizeof value));
  };
  int64_t offset = static_cast<int64_t>(op.getOffset());
  if (element.isF32())
    return repeat(view.getFloat(0));
  if (element.isF16())
    return repeat(toHalf(view.getFloat(0)));
  if (element.isBF16() && view.element == element)
    return DenseElementsAttr::getFromRawBuffer(packed,
                                               view.bytes.take_front(2));
  if (element.isInteger(8))
    return repeat(int8_t(view.getInteger(0, op.getIsUnsigned()) - offset));
  if (element.isInteger(32))
    return repeat(int32_t(view.getInteger(0, op.getIsUnsigned()) - offset));
  return nullptr;
}

//===-- pass --------------------------------------------------------------===//

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
      blobs = ::pack(op, view);
  }
};

struct PackParameters : tamis::impl::PackParametersBase<PackParameters> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTable symbols(module);
    KnownPacks known;
    SetVector<Operation *> sources;
    // Before packs: they pack what is transformed.
    module.walk([&](kernel::WinogradWeightsOp op) {
      transform(op, symbols, known, sources);
    });
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

  void transform(kernel::WinogradWeightsOp op, SymbolTable &symbols,
                 KnownPacks &known, SetVector<Operation *> &sources) {
    FailureOr<SourceView> view = viewConstant(op.getSource(), symbols);
    if (failed(view)) {
      op.emitOpError("expected a constant source");
      return signalPassFailure();
    }
    auto make = [&](auto give) -> LogicalResult {
      std::vector<float> weights = transformWeights(op, *view);
      give("tiles", op.getResult(), weights);
      return success();
    };
    packOnce(op, op.getSource(), *view, symbols, known, sources, make);
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
      if (int64_t found = stream.starts.back(),
          expected = op.getStorage().getEntries();
          found != expected)
        return op.emitOpError("expected ")
               << expected << " entries, but the source has " << found;
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
      if (int32_t found = bitmask.starts.back();
          found != op.getStorage().getEntries())
        return op.emitOpError("expected ")
               << op.getStorage().getEntries() << " units, but the source has "
               << found;
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
      if (int64_t found = list.places.size(); found != storage.getEntries())
        return op.emitOpError("expected ")
               << storage.getEntries() << " blocks, but the source has "
               << found;
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
      if (int64_t found = panels.starts.back(); found != storage.getEntries())
        return op.emitOpError("expected ")
               << storage.getEntries() << " entries, but the source has "
               << found;
      give("panels", op.getPanels(), panels.panels);
      give("values", op.getValues(), panels.entries.values);
      give("places", op.getPlaces(), panels.entries.places);
      give("starts", op.getStarts(), panels.starts);
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
