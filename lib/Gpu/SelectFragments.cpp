// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Decides, for every contraction on tensors, the fragment instruction and the
// tiles of a GPU, and writes the decision down as a tamis_gpu.contract: with
// the addition of its blocks where it has a sum for each of them. Nothing is
// packed or generated here.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/PatternMatch.h"
#include "tamis/Gpu/Passes.h"
#include "tamis/Gpu/Tensor.h"
#include "tamis/Kernels/BlockSums.h"
#include "tamis/Kernels/Classify.h"
#include "tamis/Kernels/Operands.h"
#include "tamis/Kernels/Passes.h"
#include "tamis/Kernels/SourceView.h"
#include "tamis/Target/Target.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_SELECTFRAGMENTS
#include "tamis/Gpu/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::device;

namespace {
/// Everything decided about one contraction before IR changes.
struct Decision {
  FragmentAttrInterface instruction;
  TilesAttr tiles;
  ContractionDims dims;
  SmallVector<int64_t> bounds;
  std::optional<BlockSums> blocks;
  AffineMap out;
  bool packed = false;
  /// Of integers beside floats.
  CodesAttr codes;
  /// Taken from every rhs element when it is packed.
  int64_t rhsOffset = 0;
  /// The rhs zero point is part of rhsOffset and done with.
  bool rhsZeroFolded = false;
  bool needsSums = false;
};

/// What kinds of machines can have at once.
struct Limits {
  int64_t warps, channels, rows, stages;
};
} // namespace

/// A workgroup of 128 invocations with 16 KiB is what every Vulkan device has;
/// 256 threads with 48 KiB, three stages of it, every NVIDIA one since sm_80.
static Limits getLimits(TargetAttr target) {
  if (getDevice(target) == DeviceKind::Nvptx)
    return {8, 128, 128, 3};
  return {4, 64, 64, 1};
}

/// The product of `dims`' bounds; kDynamic where one is open.
static int64_t product(ArrayRef<unsigned> dims, ArrayRef<int64_t> bounds) {
  int64_t result = 1;
  for (unsigned d : dims) {
    if (ShapedType::isDynamic(bounds[d]))
      return ShapedType::kDynamic;
    result *= bounds[d];
  }
  return result;
}

/// Where copies run ahead and tiles are small, more of them at once, since
/// their bytes have to keep the memory busy.
static int64_t chooseStages(const Limits &limits, int64_t bytes) {
  constexpr int64_t kMost = 8, kBytes = 24 << 10;
  if (limits.stages == 1)
    return 1;
  return std::clamp(kBytes / bytes, limits.stages, kMost);
}

/// Tiles as large as registers and workgroup memory allow, smaller where the
/// result is, and where large ones would leave most of the device idle. They
/// have `words` words of the reduction, a warp at most `mostWarpRows` rows.
static TilesAttr chooseTiles(MLIRContext *context, FragmentShape shape,
                             const Limits &limits, int64_t words,
                             int64_t mostWarpRows, int64_t columns,
                             int64_t rows, int64_t groups) {
  constexpr int64_t kWarpChannels = 32;
  /// Workgroups that fill a device; an open extent is taken to be large.
  constexpr int64_t kBusy = 128, kOpen = 4096;
  auto known = [](int64_t extent) {
    return ShapedType::isDynamic(extent) ? kOpen : extent;
  };
  columns = known(columns), rows = known(rows), groups = known(groups);
  int64_t channels = limits.channels, tileRows = limits.rows;
  while (channels > kWarpChannels && channels / 2 >= columns)
    channels /= 2;
  while (tileRows > shape.rows && tileRows / 2 >= rows)
    tileRows /= 2;
  auto workgroups = [&] {
    return llvm::divideCeil(columns, channels) *
           llvm::divideCeil(rows, tileRows) * groups;
  };
  while (int64_t(workgroups()) < kBusy &&
         (tileRows > kWarpChannels || channels > kWarpChannels)) {
    if (tileRows >= channels && tileRows > kWarpChannels)
      tileRows /= 2;
    else if (channels > kWarpChannels)
      channels /= 2;
    else
      break;
  }
  // Warps beside each other along channels, two along rows where they fit.
  int64_t across = channels / kWarpChannels;
  int64_t along = std::clamp<int64_t>(limits.warps / across, 1, 2);
  int64_t warpRows = std::max(tileRows / along, shape.rows);
  warpRows = std::min({warpRows, tileRows, mostWarpRows});
  return TilesAttr::get(
      context, channels, tileRows, words, kWarpChannels, warpRows,
      chooseStages(limits, 4 * words * (channels + tileRows)));
}

/// Whether of four consecutive elements along the reductions, as they are
/// packed, at most two differ from `zero`, in every column.
static bool isTwoOfFour(const SourceView &view, ArrayRef<int64_t> groups,
                        int64_t column, ArrayRef<int64_t> reductions,
                        int64_t zero, bool isUnsigned) {
  SmallVector<int64_t> depth = view.getOffsets(reductions);
  for (int64_t group : view.getOffsets(groups))
    for (int64_t c : view.getOffsets({column}))
      for (size_t k = 0; k < depth.size(); k += 4) {
        int nonzero = 0;
        for (size_t i = k; i < std::min(k + 4, depth.size()); ++i)
          nonzero += view.getInteger(group + c + depth[i], isUnsigned) != zero;
        if (nonzero > 2)
          return false;
      }
  return true;
}

namespace {
/// Positions of dimensions in rhs.
struct RhsOrder {
  SmallVector<int64_t> groups, reductions;
  int64_t column;

  RhsOrder(tamis::ContractOp op, const ContractionDims &dims) {
    auto position = [&](unsigned d) {
      return static_cast<int64_t>(*op.getRhsMap().getResultPosition(
          getAffineDimExpr(d, op.getContext())));
    };
    groups = llvm::map_to_vector(dims.groups, position);
    reductions = llvm::map_to_vector(dims.reductions, position);
    column = op.getRhsMap().isFunctionOfDim(dims.column) ? position(dims.column)
                                                         : -1;
  }
};
} // namespace

static bool hasSparseWeights(tamis::ContractOp op, const Decision &decision,
                             SymbolTable &symbols) {
  if (!decision.packed || !decision.rhsZeroFolded)
    return false;
  RhsOrder order(op, decision.dims);
  FailureOr<SourceView> view = viewConstant(op.getRhs(), symbols);
  return succeeded(view) && order.column >= 0 &&
         isTwoOfFour(*view, order.groups, order.column, order.reductions,
                     decision.rhsOffset, op.getRhsUnsigned());
}

using ByteRange = std::optional<std::pair<int64_t, int64_t>>;

/// The least and the greatest of constant integers of 8 bits.
static ByteRange findRange(tamis::ContractOp op, SymbolTable &symbols) {
  FailureOr<SourceView> view = viewConstant(op.getRhs(), symbols);
  if (failed(view) || !view->element.isInteger(8) || view->bytes.empty())
    return std::nullopt;
  std::pair<int64_t, int64_t> range{255, -128};
  for (size_t i = 0; i < view->bytes.size(); ++i) {
    int64_t value =
        view->getInteger(static_cast<int64_t>(i), op.getRhsUnsigned());
    range = {std::min(range.first, value), std::max(range.second, value)};
  }
  return range;
}

/// Zero points: what packing takes from elements, what the kernel accounts for.
static void decideZeros(tamis::ContractOp op, ByteRange range,
                        Decision &decision) {
  if (!isa<IntegerType>(op.getAccumulator()))
    return;
  std::optional<int64_t> zero =
      getConstantZero(op.getRhsZero(), op.getRhsUnsigned());
  // Signed or not, if no byte is above 127.
  bool isSmall = zero == 0 && range && range->second <= 127;
  decision.rhsOffset =
      decision.packed && op.getRhsUnsigned() && !isSmall ? 128 : 0;
  decision.rhsZeroFolded = zero && *zero == decision.rhsOffset;
  decision.needsSums =
      decision.packed &&
      getConstantZero(op.getLhsZero(), op.getLhsUnsigned()) != 0;
}

/// Why no kernel takes the contraction; empty if one does.
static std::string refuse(tamis::ContractOp op, const Decision &decision) {
  const ContractionDims &dims = decision.dims;
  if (dims.depthwise)
    return "a depthwise product has one element of each operand for a product";
  if (dims.reductions.empty())
    return "nothing is reduced";
  auto isOpenInside = [&](ArrayRef<unsigned> list) {
    return llvm::any_of(list.drop_front(list.empty() ? 0 : 1), [&](unsigned d) {
      return ShapedType::isDynamic(decision.bounds[d]);
    });
  };
  if (isOpenInside(dims.rows) || isOpenInside(dims.groups) ||
      isOpenInside(dims.reductions))
    return "an extent around another has no static bound";
  if (const auto &blocks = decision.blocks) {
    bool isOuter = decision.bounds[blocks->block] == 1 ||
                   dims.reductions.front() == blocks->block;
    bool hasZeros = isa<IntegerType>(op.getAccumulator()) &&
                    (decision.needsSums || !decision.rhsZeroFolded);
    if (!isOuter || !decision.packed || hasZeros)
      return "sums of blocks are added up in a way no kernel knows";
  }
  for (auto [i, extra] : llvm::enumerate(op.getExtras()))
    if (isa<ShapedType>(extra.getType()))
      for (AffineExpr expr : op.getExtraMap(i).getResults())
        if (failed(getCoefficients(expr, op.getExtraMap(i).getNumDims())))
          return "an extra operand is not indexed by sums of dimensions";
  return "";
}

/// The element type of weights as kernels read them: packing widens floats to
/// those of lhs.
static Type getStoredType(tamis::ContractOp op, bool packed) {
  Type lhs = getElementTypeOrSelf(op.getLhs().getType());
  Type rhs = getElementTypeOrSelf(op.getRhs().getType());
  bool widens = packed && lhs.isF32() && rhs.isF16();
  return widens ? lhs : rhs;
}

/// Words of a tile along the reduction, of which whole ones make up a block; 0
/// if none do.
static int64_t chooseWords(const Decision &decision, FragmentShape shape,
                           int64_t slots) {
  constexpr int64_t kWords = 16, kLeast = 4;
  int64_t words = kWords;
  if (!decision.blocks || decision.bounds[decision.blocks->block] == 1)
    return words;
  int64_t block =
      product(ArrayRef(decision.dims.reductions).drop_front(), decision.bounds);
  while (words > std::max(kLeast, shape.words) && block % (words * slots) != 0)
    words /= 2;
  return block % (words * slots) == 0 ? words : 0;
}

/// Nibbles where the elements allow it and whole words of them fill a tile.
static CodesAttr chooseCodes(FragmentAttrInterface instruction,
                             std::pair<int64_t, int64_t> range, int64_t words,
                             int64_t slots) {
  MLIRContext *context = instruction.getContext();
  auto nibbles = CodesAttr::get(context, 4, range.first);
  CodeLayout layout(instruction, nibbles, slots);
  if (range.second - range.first < 16 &&
      words % (instruction.getShape().words * layout.steps) == 0)
    return nibbles;
  return CodesAttr::get(context, 8, range.first);
}

/// Decides with `blocks`, where they are given, as part of the contraction.
static FailureOr<Decision> decide(tamis::ContractOp op,
                                  std::optional<BlockSums> blocks,
                                  TargetAttr target, SymbolTable &symbols,
                                  std::string &reason) {
  Decision decision;
  decision.blocks = blocks;
  decision.out = blocks ? blocks->out : op.getOutMap();
  decision.bounds = op.getStaticLoopRanges();
  if (llvm::is_contained(decision.bounds, 0)) {
    reason = "one of its dimensions is empty";
    return failure();
  }
  FailureOr<ContractionDims> dims = classifyContraction(
      op.getLhsMap(), op.getRhsMap(), decision.out, decision.bounds,
      cast<ShapedType>(op.getLhs().getType()).getShape(), /*step=*/1, reason);
  if (failed(dims))
    return failure();
  decision.dims = *dims;
  int64_t columns = decision.bounds[dims->column];
  decision.packed =
      isParameter(op.getRhs()) && !ShapedType::isDynamic(columns) &&
      !ShapedType::isDynamic(product(dims->groups, decision.bounds)) &&
      !ShapedType::isDynamic(product(dims->reductions, decision.bounds));
  Type lhs = getElementTypeOrSelf(op.getLhs().getType());
  Type rhs = getStoredType(op, decision.packed);
  bool isCoded = isa<FloatType>(lhs) && isa<IntegerType>(rhs);
  ByteRange range;
  if (decision.packed && (isCoded || op.getRhsUnsigned()))
    range = findRange(op, symbols);
  decideZeros(op, range, decision);
  reason = refuse(op, decision);
  if (reason.empty() && isCoded && !range)
    reason = "integers beside floats are not constant bytes";
  if (!reason.empty())
    return failure();
  // A warp's own tile: 64 numbers in each lane, of blocks sums and totals.
  int64_t warpRows = blocks ? 32 : 64;
  reason = "no fragment instruction takes these element types";
  for (FragmentAttrInterface instruction : getFragments(target)) {
    if (!instruction.accepts(lhs, rhs, op.getAccumulator(), op.getLhsUnsigned(),
                             op.getRhsUnsigned()))
      continue;
    if (instruction.isSparse() && !hasSparseWeights(op, decision, symbols))
      continue;
    int64_t slots = 32 / lhs.getIntOrFloatBitWidth();
    int64_t words = chooseWords(decision, instruction.getShape(), slots);
    if (words == 0) {
      reason = "a block is no whole number of fragments";
      continue;
    }
    if (isCoded)
      decision.codes = chooseCodes(instruction, *range, words, slots);
    decision.instruction = instruction;
    decision.tiles = chooseTiles(op.getContext(), instruction.getShape(),
                                 getLimits(target), words, warpRows, columns,
                                 product(dims->rows, decision.bounds),
                                 product(dims->groups, decision.bounds));
    return decision;
  }
  return failure();
}

//===-- applying the decision ---------------------------------------------===//

/// rhs tile by tile, with the sums of columns where they are needed.
static std::pair<Value, Value> packRhs(ImplicitLocOpBuilder &b,
                                       tamis::ContractOp op,
                                       const Decision &decision) {
  RhsOrder order(op, decision.dims);
  Type element = getStoredType(op, decision.packed);
  Type lhs = getElementTypeOrSelf(op.getLhs().getType());
  int64_t step = decision.tiles.getWords() * 32 / lhs.getIntOrFloatBitWidth();
  int64_t width = decision.tiles.getChannels();
  int64_t groups = product(decision.dims.groups, decision.bounds);
  auto panels = static_cast<int64_t>(
      llvm::divideCeil(decision.bounds[decision.dims.column], width));
  auto depth = static_cast<int64_t>(llvm::divideCeil(
      product(decision.dims.reductions, decision.bounds), step));
  Value packed = tensor::EmptyOp::create(
      b, ArrayRef<int64_t>{groups, panels, depth, width * step}, element);
  Value sums;
  if (decision.needsSums)
    sums = tensor::EmptyOp::create(b, ArrayRef<int64_t>{groups, panels * width},
                                   b.getI32Type());
  auto pack = kernel::PackOp::create(
      b, packed.getType(), sums ? sums.getType() : Type(), op.getRhs(), packed,
      sums, b.getDenseI64ArrayAttr(order.groups),
      b.getI64IntegerAttr(order.column),
      b.getDenseI64ArrayAttr(order.reductions),
      b.getI64IntegerAttr(order.reductions.size()), b.getI64IntegerAttr(step),
      b.getI64IntegerAttr(decision.rhsOffset),
      op.getRhsUnsigned() ? b.getUnitAttr() : UnitAttr());
  return {pack.getPackedResult(), pack.getSumsResult()};
}

/// The stored half of packed weights and its metadata.
static std::pair<Value, Value> compress(ImplicitLocOpBuilder &b, Value packed,
                                        int64_t words) {
  auto type = cast<RankedTensorType>(packed.getType());
  SmallVector<int64_t> values(type.getShape()), metadata(type.getShape());
  values.back() /= 2;
  metadata.back() /= 32;
  auto op = CompressOp::create(b, type.clone(values),
                               RankedTensorType::get(metadata, b.getI32Type()),
                               packed, b.getI64IntegerAttr(words));
  return {op.getValues(), op.getMetadata()};
}

/// Packed integers beside floats as codes.
static Value encode(ImplicitLocOpBuilder &b, Value packed,
                    const Decision &decision) {
  auto type = cast<RankedTensorType>(packed.getType());
  SmallVector<int64_t> shape(type.getShape());
  int64_t step = shape.back() / decision.tiles.getChannels();
  shape.back() = shape.back() * decision.codes.getBits() / 32;
  return EncodeOp::create(b, RankedTensorType::get(shape, b.getI32Type()),
                          packed, decision.instruction, decision.codes, step,
                          decision.tiles.getWords());
}

static void apply(RewriterBase &rewriter, tamis::ContractOp op,
                  const Decision &decision) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  const std::optional<BlockSums> &blocks = decision.blocks;
  b.setInsertionPoint(blocks ? blocks->added : op);
  Value lhs = padLhs(b, op, decision.bounds);
  Value rhs = op.getRhs(), sums, metadata;
  if (decision.packed)
    std::tie(rhs, sums) = packRhs(b, op, decision);
  if (decision.instruction.isSparse())
    std::tie(rhs, metadata) = compress(b, rhs, decision.tiles.getWords());
  if (decision.codes)
    rhs = encode(b, rhs, decision);
  auto isZero = [](Value zero, bool isUnsigned) {
    return getConstantZero(zero, isUnsigned) == 0;
  };
  Value lhsZero =
      isZero(op.getLhsZero(), op.getLhsUnsigned()) ? Value() : op.getLhsZero();
  Value rhsZero = decision.rhsZeroFolded ? Value() : op.getRhsZero();
  // Unsigned weights without a zero point still carry the packer's offset.
  if (!rhsZero && !decision.rhsZeroFolded &&
      isa<IntegerType>(op.getAccumulator()))
    rhsZero = arith::ConstantOp::create(b, b.getI32IntegerAttr(0));
  Value init = blocks ? blocks->getInit() : op.getInit();
  SmallVector<Attribute> maps(op.getIndexingMaps().getValue());
  maps[2] = AffineMapAttr::get(decision.out);
  if (blocks)
    for (AffineMap map : blocks->maps)
      maps.push_back(AffineMapAttr::get(map));
  auto contract = device::ContractOp::create(
      b, init.getType(), lhs, rhs, metadata, sums, lhsZero, rhsZero,
      op.getExtras(), blocks ? ValueRange(blocks->factors) : ValueRange(), init,
      b.getArrayAttr(maps), b.getDenseI64ArrayAttr(decision.bounds),
      op.getAccumulatorAttr(), decision.instruction, decision.tiles,
      decision.packed ? b.getUnitAttr() : UnitAttr(), decision.codes,
      blocks ? b.getI64IntegerAttr(blocks->block) : IntegerAttr(),
      op.getLhsUnsignedAttr(), op.getRhsUnsignedAttr(), op.getOriginAttr());
  rewriter.inlineRegionBefore(op.getEpilogue(), contract.getEpilogue(),
                              contract.getEpilogue().begin());
  if (!blocks)
    return rewriter.replaceOp(op, contract.getResult());
  blocks->buildCombine(b, op, contract.getCombine());
  rewriter.replaceOp(blocks->added, contract.getResult());
  rewriter.eraseOp(op);
}

namespace {
struct SelectFragments : tamis::impl::SelectFragmentsBase<SelectFragments> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTable symbols(module);
    SmallVector<tamis::ContractOp> ops;
    module.walk([&](tamis::ContractOp op) {
      if (isa_and_present<RankedTensorType>(op.getInit().getType()))
        ops.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    for (tamis::ContractOp op : ops) {
      TargetAttr target = getTarget(op);
      if (getDevice(target) == DeviceKind::None)
        continue;
      std::string reason;
      FailureOr<Decision> decision = failure();
      if (std::optional<BlockSums> blocks = findBlockSums(op))
        decision = decide(op, blocks, target, symbols, reason);
      if (failed(decision))
        decision = decide(op, std::nullopt, target, symbols, reason);
      if (failed(decision)) {
        ++numLeft;
        op->setAttr(kReasonAttrName, rewriter.getStringAttr(reason));
        continue;
      }
      apply(rewriter, op, *decision);
      ++numSelected;
    }
  }
};
} // namespace
