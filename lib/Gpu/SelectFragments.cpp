// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Decides, for every contraction on tensors, the fragment instruction, the
// tiles and the storage of a GPU, and writes the decision down as a
// tamis_gpu.contract: with the addition of its blocks where it has a sum for
// each of them. Nothing is packed or generated here.
#include "FragmentOptions.h"
#include "FragmentWeights.h"
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
  FragmentOption option;
  KernelChoice choice;
  ContractionDims dims;
  SmallVector<int64_t> bounds;
  std::optional<BlockSums> blocks;
  AffineMap out;
  bool packed = false;
  /// Taken from every rhs element when it is packed.
  int64_t rhsOffset = 0;
  /// The rhs zero point is part of rhsOffset and done with.
  bool rhsZeroFolded = false;
  bool needsSums = false;
};

} // namespace

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

/// The contraction as prices see it, of open extents the typical one, without
/// the bytes of weights.
static FragmentProblem describe(tamis::ContractOp op, const Decision &decision,
                                int64_t slots) {
  auto typical = [&](ArrayRef<unsigned> list) {
    double size = 1;
    for (unsigned d : list)
      size *= double(ShapedType::isDynamic(decision.bounds[d])
                         ? kTypicalRows
                         : decision.bounds[d]);
    return size;
  };
  FragmentProblem problem;
  problem.groups = typical(decision.dims.groups);
  problem.rows = typical(decision.dims.rows);
  problem.columns = typical({decision.dims.column});
  problem.depth = typical(decision.dims.reductions);
  problem.perWord = double(slots);
  Value init = decision.blocks ? decision.blocks->getInit() : op.getInit();
  SmallVector<Value> others{op.getLhs(), init};
  llvm::append_range(others, op.getExtras());
  if (decision.blocks)
    llvm::append_range(others, decision.blocks->factors);
  for (Value value : others)
    if (auto type = dyn_cast<ShapedType>(value.getType()))
      problem.bytes += getTypicalBytes(type);
  return problem;
}

/// Chooses the tiles of `option`; where rows are open, of few rows too.
static void layOut(tamis::ContractOp op, const Decision &decision,
                   TargetAttr target, int64_t words, FragmentOption &option) {
  /// As many tokens take the tiles of few rows.
  constexpr int64_t kFewRows = 8;
  const ContractionDims &dims = decision.dims;
  // A warp's own tile: 64 numbers in each lane, of blocks sums and totals.
  TileProblem problem{product(dims.groups, decision.bounds),
                      product(dims.rows, decision.bounds),
                      decision.bounds[dims.column], words,
                      decision.blocks ? 32 : 64};
  FragmentShape shape = option.instruction.getShape();
  option.tiles = chooseTiles(target, shape, problem);
  if (!decision.packed || !ShapedType::isDynamic(problem.rows))
    return;
  problem.rows = kFewRows;
  TilesAttr few = chooseTiles(target, shape, problem);
  if (few.getRows() < option.tiles.getRows() &&
      few.getChannels() <= option.tiles.getChannels())
    option.few = few;
}

/// The bytes of constant weights as `option` stores them, elements of `bits`.
static void weigh(FragmentOption &option, const FragmentProblem &problem,
                  int64_t bits) {
  double elements = problem.groups * problem.columns * problem.depth;
  option.denseWords = elements * double(bits) / 32;
  if (option.codes)
    bits = static_cast<int64_t>(option.codes.getBits());
  option.weightBytes = elements * double(bits) / 8;
  // Half of them, and four bits of metadata for four elements.
  if (option.instruction.isSparse())
    option.weightBytes = option.weightBytes / 2 + elements / 8;
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
  reason = "no fragment instruction takes these element types";
  SmallVector<FragmentOption> options;
  int64_t slots = 32 / lhs.getIntOrFloatBitWidth();
  FragmentProblem problem = describe(op, decision, slots);
  ProfileAttr profile = getProfile(op, target);
  for (FragmentAttrInterface instruction : getFragments(target)) {
    if (!instruction.accepts(lhs, rhs, op.getAccumulator(), op.getLhsUnsigned(),
                             op.getRhsUnsigned()))
      continue;
    if (instruction.isSparse() &&
        !(decision.packed && decision.rhsZeroFolded &&
          isTwoOfFour(op, RhsOrder(op, *dims), decision.rhsOffset, symbols)))
      continue;
    int64_t words = chooseWords(decision, instruction.getShape(), slots);
    if (words == 0) {
      reason = "a block is no whole number of fragments";
      continue;
    }
    FragmentOption &option = options.emplace_back();
    option.instruction = instruction;
    if (isCoded)
      option.codes = chooseCodes(instruction, *range, words, slots);
    layOut(op, decision, target, words, option);
    weigh(option, problem, rhs.getIntOrFloatBitWidth());
  }
  if (options.empty())
    return failure();
  bool isOpen = ShapedType::isDynamic(product(dims->rows, decision.bounds));
  // Of open rows only the tiles of few know how much memory parts need.
  auto getMostSplits = [&](const FragmentOption &option) -> int64_t {
    if (!decision.packed || (isOpen && !option.few))
      return 1;
    return blocks ? decision.bounds[blocks->block] : INT64_MAX;
  };
  auto *dense = llvm::find_if(options, [](const FragmentOption &option) {
    return !option.instruction.isSparse() && !option.codes;
  });
  if (decision.packed && dense != options.end() &&
      couldGain(*dense, profile, problem, getMostSplits(*dense))) {
    FragmentOption option = *dense;
    PanelShape panels{option.tiles.getChannels(),
                      option.tiles.getWords() * slots, slots};
    option.listed =
        listWords(op, RhsOrder(op, *dims), decision.rhsOffset, panels, symbols);
    if (option.listed && fits(target, option)) {
      option.weightBytes = double(option.listed->getBytes());
      options.push_back(option);
    }
  }
  for (FragmentOption &option : options)
    chooseSplits(option, profile, problem, getMostSplits(option));
  decision.option = options[choose(options, profile, problem, decision.choice)];
  return decision;
}

//===-- applying the decision ---------------------------------------------===//

/// rhs panel by panel, with the sums of columns where they are needed.
static std::pair<Value, Value> packRhs(ImplicitLocOpBuilder &b,
                                       tamis::ContractOp op,
                                       const Decision &decision) {
  RhsOrder order(op, decision.dims);
  Type element = getStoredType(op, decision.packed);
  Type lhs = getElementTypeOrSelf(op.getLhs().getType());
  TilesAttr tiles = decision.option.tiles;
  int64_t step = tiles.getWords() * 32 / lhs.getIntOrFloatBitWidth();
  int64_t width = kPanelChannels;
  int64_t groups = product(decision.dims.groups, decision.bounds);
  // Whole tiles of panels.
  auto panels =
      static_cast<int64_t>(llvm::alignTo(decision.bounds[decision.dims.column],
                                         tiles.getChannels()) /
                           width);
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
  const FragmentOption &option = decision.option;
  int64_t step = shape.back() / kPanelChannels;
  shape.back() = shape.back() * option.codes.getBits() / 32;
  return EncodeOp::create(b, RankedTensorType::get(shape, b.getI32Type()),
                          packed, option.instruction, option.codes, step,
                          option.tiles.getWords());
}

/// Records of packed weights, and where each begins.
static std::pair<Value, Value> list(ImplicitLocOpBuilder &b, Value packed,
                                    const FragmentOption &option) {
  auto type = cast<RankedTensorType>(packed.getType());
  int64_t count = type.getNumElements() / type.getShape().back();
  Type word = b.getI32Type();
  auto op = ListOp::create(
      b, RankedTensorType::get(option.listed->chunks * kRecordChunk, word),
      RankedTensorType::get(count + 1, word), packed,
      b.getI64IntegerAttr(option.tiles.getWords()));
  return {op.getRecords(), op.getStarts()};
}

/// Memory for the sums of parts; null where the reduction is not divided.
static Value makeParts(ImplicitLocOpBuilder &b, tamis::ContractOp op,
                       const Decision &decision) {
  const FragmentOption &option = decision.option;
  TilesAttr tiles = option.few ? option.few : option.tiles;
  if (tiles.getSplits() == 1)
    return {};
  Type total = op.getAccumulator();
  if (decision.blocks)
    total = getElementTypeOrSelf(decision.blocks->getInit().getType());
  int64_t rows = option.few ? tiles.getRows()
                            : product(decision.dims.rows, decision.bounds);
  return tensor::EmptyOp::create(
      b,
      ArrayRef<int64_t>{tiles.getSplits(),
                        product(decision.dims.groups, decision.bounds), rows,
                        decision.bounds[decision.dims.column]},
      total);
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
  const FragmentOption &option = decision.option;
  if (option.instruction.isSparse())
    std::tie(rhs, metadata) = compress(b, rhs, option.tiles.getWords());
  if (option.codes)
    rhs = encode(b, rhs, decision);
  ListedAttr listed;
  if (option.listed) {
    std::tie(rhs, metadata) = list(b, rhs, option);
    listed = ListedAttr::get(b.getContext(), option.listed->most);
  }
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
      op.getExtras(), blocks ? ValueRange(blocks->factors) : ValueRange(),
      makeParts(b, op, decision), init, b.getArrayAttr(maps),
      b.getDenseI64ArrayAttr(decision.bounds), op.getAccumulatorAttr(),
      option.instruction, option.tiles, option.few,
      decision.packed ? b.getUnitAttr() : UnitAttr(), option.codes, listed,
      blocks ? b.getI64IntegerAttr(blocks->block) : IntegerAttr(),
      op.getLhsUnsignedAttr(), op.getRhsUnsignedAttr(), op.getOriginAttr());
  rewriter.inlineRegionBefore(op.getEpilogue(), contract.getEpilogue(),
                              contract.getEpilogue().begin());
  if (!decision.choice.candidates.empty())
    recordChoice(contract, decision.choice);
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
