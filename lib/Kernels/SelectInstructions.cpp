// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Decides, for every contraction on tensors, the instruction, the tiles and the
// order of its right operand, and writes the decision down as a
// tamis_kernel.contract (ApplyDecision.cpp). Nothing is packed or generated
// here.
#include "Decision.h"
#include "DensePrice.h"
#include "Emitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Kernels/Classify.h"
#include "tamis/Kernels/Operands.h"
#include "tamis/Kernels/Passes.h"
#include "tamis/Kernels/SourceView.h"
#include "tamis/Kernels/Tiling.h"
#include "tamis/Target/Target.h"
#include "llvm/Support/Debug.h"

#define DEBUG_TYPE "tamis-select-instructions"

namespace mlir::tamis {
#define GEN_PASS_DEF_SELECTINSTRUCTIONS
#include "tamis/Kernels/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

/// True if a panel of `value` can be read with vector loads where it lies.
static bool hasContiguousColumns(ContractOp op, const ContractionDims &dims,
                                 ArrayRef<int64_t> bounds) {
  AffineMap map = op.getRhsMap();
  for (AffineExpr expr : llvm::reverse(map.getResults())) {
    unsigned d = cast<AffineDimExpr>(expr).getPosition();
    if (d == dims.column)
      return true;
    if (bounds[d] != 1)
      return false;
  }
  return false;
}

/// Lets `op` read its rhs as it was before a transpose: what moves the columns
/// is part of the packing.
static void readThroughTranspose(ContractOp op) {
  auto transpose = op.getRhs().getDefiningOp<linalg::TransposeOp>();
  if (!transpose || isParameter(op.getRhs()))
    return;
  SmallVector<Attribute> maps(op.getIndexingMaps().getValue());
  AffineMap map = op.getRhsMap();
  maps[1] = AffineMapAttr::get(AffineMap::get(
      map.getNumDims(), 0,
      applyPermutation(map.getResults(),
                       invertPermutationVector(transpose.getPermutation())),
      op.getContext()));
  op.setIndexingMapsAttr(ArrayAttr::get(op.getContext(), maps));
  op.getRhsMutable().assign(transpose.getInput());
  if (transpose->use_empty())
    transpose->erase();
}

/// The size of a dimension by the value it was made with, null if that is not
/// plain to see.
static Value getSizeValue(Value tensor, int64_t dim) {
  while (auto result = dyn_cast<OpResult>(tensor)) {
    Operation *def = result.getOwner();
    if (auto empty = dyn_cast<tensor::EmptyOp>(def))
      return empty.getDynamicSize(dim);
    auto destination = dyn_cast<DestinationStyleOpInterface>(def);
    if (!destination)
      return nullptr;
    tensor = destination.getTiedOpOperand(result)->get();
  }
  return nullptr;
}

/// True if a right operand that could be read where it lies is better packed:
/// its lines are far apart, enough rows read each of them, and they do not stay
/// in L1 anyway.
static bool paysToPack(ContractOp op, const ContractionDims &dims,
                       ArrayRef<int64_t> bounds, int64_t lanes, int64_t l1) {
  /// Rows that are worth a copy, vectors that a line may be longer than a
  /// panel.
  constexpr int64_t kFewestRows = 32, kMostVectors = 4;
  if (dims.reductions.size() != 1 || dims.rows.empty())
    return false;
  unsigned reduction = dims.reductions.front(), row = dims.rows.back();
  int64_t pitch = 1;
  bool inside = false;
  for (AffineExpr expr : op.getRhsMap().getResults()) {
    unsigned d = cast<AffineDimExpr>(expr).getPosition();
    if (inside)
      pitch = ShapedType::isDynamic(bounds[d]) || ShapedType::isDynamic(pitch)
                  ? ShapedType::kDynamic
                  : pitch * bounds[d];
    inside |= d == reduction;
  }
  if (!ShapedType::isDynamic(pitch) && pitch <= kMostVectors * lanes)
    return false;
  int64_t elements = getProduct({dims.column, reduction}, bounds);
  int64_t bytes =
      cast<ShapedType>(op.getRhs().getType()).getElementTypeBitWidth() / 8;
  if (!ShapedType::isDynamic(elements) && elements * bytes <= l1 / 2)
    return false;
  int64_t rows = getProduct(dims.rows, bounds);
  if (!ShapedType::isDynamic(rows))
    return rows >= kFewestRows;
  // As many rows as lines, whatever their number.
  auto places = op.getLhsMap();
  auto rowAt = places.getResultPosition(getAffineDimExpr(row, op.getContext()));
  auto sumAt =
      places.getResultPosition(getAffineDimExpr(reduction, op.getContext()));
  if (!rowAt || !sumAt || !ShapedType::isDynamic(bounds[row]) ||
      !ShapedType::isDynamic(bounds[reduction]))
    return false;
  Value size = getSizeValue(op.getLhs(), *rowAt);
  return size && size == getSizeValue(op.getLhs(), *sumAt);
}

/// True if a right operand whose columns lie apart is better brought into order
/// panel by panel in passing than packed as a whole: a panel fits into L1, and
/// rows are few, or nobody knows how many and they are not the columns' number.
static bool paysToCopy(ContractOp op, const ContractionDims &dims,
                       ArrayRef<int64_t> bounds,
                       InstructionAttrInterface instruction) {
  constexpr int64_t kFewRows = 8, kLongestSum = 128;
  if (instruction.getReductionStep() != 1 || instruction.isTile() ||
      dims.depthwise || isParameter(op.getRhs()) ||
      dims.reductions.size() != 1 || dims.rows.empty())
    return false;
  Type rhs = getElementTypeOrSelf(op.getRhs().getType());
  unsigned reduction = dims.reductions.front();
  if (!isa<FloatType>(rhs) || instruction.getPackedType(rhs) != rhs ||
      !op.getRhsMap().isFunctionOfDim(dims.column) ||
      op.getRhsMap().getResults().back() !=
          getAffineDimExpr(reduction, op.getContext()) ||
      ShapedType::isDynamic(bounds[reduction]) ||
      bounds[reduction] > kLongestSum)
    return false;
  int64_t rows = getProduct(dims.rows, bounds);
  if (!ShapedType::isDynamic(rows))
    return rows <= kFewRows;
  auto sizeOf = [&](unsigned d) -> Value {
    auto at =
        op.getOutMap().getResultPosition(getAffineDimExpr(d, op.getContext()));
    return at && ShapedType::isDynamic(bounds[d])
               ? getSizeValue(op.getInit(), *at)
               : Value();
  };
  Value row = sizeOf(dims.rows.back()), column = sizeOf(dims.column);
  return row && column && row != column;
}

/// Rows as the code generator will see them if buffers are contiguous: the
/// innermost dimensions that are contiguous in lhs and out count as one.
static void describeRows(ContractOp op, const Decision &decision,
                         TilingProblem &problem) {
  ArrayRef<int64_t> bounds = decision.bounds;
  auto strideOf = [&](AffineMap map, ArrayRef<int64_t> shape, unsigned d) {
    int64_t stride = 1, result = 0;
    for (int64_t i = static_cast<int64_t>(shape.size()) - 1; i >= 0; --i) {
      FailureOr<SmallVector<int64_t>> c =
          getCoefficients(map.getResult(i), map.getNumDims());
      if (succeeded(c))
        result += (*c)[d] * stride;
      stride = ShapedType::isDynamic(shape[i]) ? 0 : stride * shape[i];
    }
    return result;
  };
  ArrayRef<int64_t> lhsShape =
      cast<ShapedType>(op.getLhs().getType()).getShape();
  ArrayRef<int64_t> outShape =
      cast<ShapedType>(decision.init.getType()).getShape();
  SmallVector<std::pair<int64_t, int64_t>> merged; // extent, lhs stride
  int64_t lastOut = 0;
  for (unsigned d : llvm::reverse(decision.dims.rows)) {
    int64_t lhs = strideOf(op.getLhsMap(), lhsShape, d);
    int64_t out = strideOf(decision.out, outShape, d);
    if (!merged.empty()) {
      auto &[extent, stride] = merged.back();
      if (!ShapedType::isDynamic(extent) && lhs == stride * extent &&
          out == lastOut * extent) {
        extent =
            ShapedType::isDynamic(bounds[d]) ? bounds[d] : extent * bounds[d];
        continue;
      }
    }
    merged.push_back({bounds[d], lhs});
    lastOut = out;
  }
  int64_t bytes =
      cast<ShapedType>(op.getLhs().getType()).getElementTypeBitWidth() / 8;
  if (merged.empty())
    return;
  problem.rowExtent = merged[0].first;
  problem.bytesPerPosition = bytes * std::max<int64_t>(1, merged[0].second);
  if (merged.size() > 1) {
    problem.outerExtent = merged[1].first;
    problem.bytesPerPosition = bytes * std::max<int64_t>(1, merged[1].second);
  }
}

/// Only elementwise operations can be inlined at vector width.
static bool isVectorizable(Region &region) {
  if (region.empty())
    return true;
  for (Operation &op : region.front().without_terminator())
    if (!OpTrait::hasElementwiseMappableTraits(&op) &&
        !op.hasTrait<OpTrait::ConstantLike>())
      return false;
  return true;
}

/// Tiles read whole steps of lhs in place and keep no row sums; with few rows
/// they are mostly empty, and dot products win. Weights are seen without
/// `offset`.
static bool suitsTiles(ContractOp op, const ContractionDims &dims,
                       ArrayRef<int64_t> bounds, int64_t step, int64_t offset) {
  constexpr int64_t leastSteps = 8, leastRows = 8;
  if (dims.depthwise || dims.reductions.empty())
    return false;
  int64_t run =
      getProduct(ArrayRef(dims.reductions).take_back(dims.run), bounds);
  if (ShapedType::isDynamic(run) || dims.run > 1 ||
      kernel::getTileDepth(run, step) < leastSteps * step)
    return false;
  bool isInteger = getElementTypeOrSelf(op.getRhs().getType()).isInteger();
  if (isInteger &&
      getConstantZero(op.getRhsZero(), op.getRhsUnsigned()) != offset)
    return false;
  int64_t rows = getProduct(dims.rows, bounds);
  return ShapedType::isDynamic(rows) || rows >= leastRows;
}

/// True if weights of 4 bits are better unpacked for tiles than read by the
/// instruction of rows that fill none.
static bool paysToUnpack(const DenseProblem &tiles, const ContractionDims &dims,
                         ArrayRef<int64_t> bounds) {
  int64_t depth = getProduct(dims.reductions, bounds);
  InstructionAttrInterface instruction = tiles.instruction;
  if (ShapedType::isDynamic(depth) ||
      depth * instruction.getLanes() > kMostUnpacked)
    return false;
  DenseProblem dots = tiles;
  dots.instruction = instruction.getRemainderInstruction();
  int64_t run = bounds[dims.reductions.back()];
  return priceNibbles(tiles, run) < priceNibbles(dots, run);
}

/// True if sums of columns have to subtract what is added to lhs elements.
static bool offsetsLhs(ContractOp op, InstructionAttrInterface instruction) {
  // Rows that fill no tile have another instruction.
  InstructionAttrInterface remainder = instruction.getRemainderInstruction();
  bool isUnsigned = op.getLhsUnsigned();
  return instruction.getLhsOffset(isUnsigned) != 0 ||
         (remainder && remainder.getLhsOffset(isUnsigned) != 0);
}

/// True if a constant's elements are 0 to 15, two of which fit into a byte.
static bool hasNibbles(Value value, bool isUnsigned, SymbolTable &symbols) {
  FailureOr<SourceView> view = failure();
  if (isUnsigned && getElementTypeOrSelf(value.getType()).isInteger(8))
    view = viewConstant(value, symbols);
  return succeeded(view) && llvm::all_of(view->bytes, [](char byte) {
           return static_cast<uint8_t>(byte) < 16;
         });
}

/// True if float16 holds all elements of a float32 constant, exactly or, where
/// roundings are open, to the last bit: products of float16 parameters that
/// were computed in float32 are off by that much.
static bool fitsHalf(Value value, bool exactly, SymbolTable &symbols) {
  FailureOr<SourceView> view = viewConstant(value, symbols);
  if (failed(view) || !view->element.isF32())
    return false;
  int64_t count = view->bytes.size() / sizeof(float);
  return llvm::all_of(llvm::seq<int64_t>(0, count), [&](int64_t i) {
    float element = view->getFloat(i);
    APFloat half(element);
    bool losesInfo;
    half.convert(APFloat::IEEEhalf(), APFloat::rmNearestTiesToEven, &losesInfo);
    if (exactly || !losesInfo)
      return !losesInfo;
    constexpr float kLastBit = std::numeric_limits<float>::epsilon();
    half.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven,
                 &losesInfo);
    return std::fabs(half.convertToFloat() - element) <=
           kLastBit * std::fabs(element);
  });
}

/// Decides how the factors of blocks lie; false if the kernel cannot read them.
static bool decideFactors(Decision &decision, bool exactly,
                          SymbolTable &symbols) {
  const BlockSums &blocks = *decision.blocks;
  const ContractionDims &dims = decision.dims;
  // One run of whole steps within each block; a single one is no dimension.
  bool single = decision.bounds[blocks.block] == 1;
  if (dims.depthwise || dims.reductions.size() != (single ? 1 : 2) ||
      (!single && dims.reductions.front() != blocks.block) || dims.run != 1 ||
      ShapedType::isDynamic(decision.bounds[dims.reductions.back()]) ||
      ShapedType::isDynamic(decision.bounds[blocks.block]))
    return false;
  MLIRContext *context = decision.out.getContext();
  AffineExpr column = getAffineDimExpr(dims.column, context);
  if (decision.out.getResults().back() != column)
    return false;
  for (auto [value, map] : llvm::zip_equal(blocks.factors, blocks.maps)) {
    Type narrow;
    bool packed =
        map.isFunctionOfDim(dims.column) && map.isFunctionOfDim(blocks.block);
    if (packed) {
      auto type = cast<RankedTensorType>(value.getType());
      if (map.getNumResults() != 2 || !type.hasStaticShape() ||
          !isParameter(value))
        return false;
      if (fitsHalf(value, exactly, symbols))
        narrow = Float16Type::get(context);
    }
    decision.narrowed.push_back(narrow);
  }
  return true;
}

/// How many pieces are worth waking workers for.
static int64_t chooseTasks(const DenseProblem &problem, int64_t threads) {
  InstructionAttrInterface instruction = problem.instruction;
  double vectors = problem.products / double(instruction.getLanes() *
                                             instruction.getReductionStep());
  return std::clamp<int64_t>(
      int64_t(vectors / getFact(problem.profile, "task.vectors")), 1,
      std::max<int64_t>(1, threads));
}

/// The tile, and the runner-up among the candidates.
static void chooseTile(Decision &decision, const TilingProblem &problem,
                       const DenseProblem &dense) {
  SmallVector<RatedTiling> rated;
  if (decision.instruction.isTile())
    rated.push_back({chooseTileTiling(problem), 1});
  else
    rated = rateTilings(problem, /*count=*/2);
  KernelChoice &choice = decision.choice;
  for (const auto &[tiling, cost] : rated) {
    if (cost > kInQuestion * rated.front().cost)
      break;
    choice.candidates.push_back(makeCandidate(
        dense.profile, choice.key, getDenseName(tiling.getTile()),
        priceDense(dense, tiling.rows, cost / rated.front().cost)));
  }
  std::optional<size_t> fastest = findFastest(choice.candidates);
  decision.tiling = rated[fastest.value_or(0)].tiling;
  choice.chosen = choice.candidates[fastest.value_or(0)].name;
  choice.reason = fastest ? "tile measured" : "tile predicted";
}

/// Decides with `blocks`, where they are given, as part of the contraction.
static FailureOr<Decision> decide(ContractOp op,
                                  std::optional<BlockSums> blocks,
                                  TargetAttr target, ProfileAttr profile,
                                  double modelBytes, SymbolTable &symbols,
                                  std::string &reason) {
  Type lhs = getElementTypeOrSelf(op.getLhs().getType());
  Type rhs = getElementTypeOrSelf(op.getRhs().getType());
  Decision decision;
  decision.bounds = op.getStaticLoopRanges();
  decision.blocks = blocks;
  decision.out = blocks ? blocks->out : op.getOutMap();
  decision.init = blocks ? blocks->getInit() : op.getInit();
  if (!isVectorizable(op.getEpilogue()) ||
      (blocks && !isVectorizable(blocks->added.getRegion()))) {
    reason = "the epilogue holds an operation that is not elementwise";
    return failure();
  }
  for (auto [i, extra] : llvm::enumerate(op.getExtras()))
    if (isa<ShapedType>(extra.getType()) &&
        !op.getExtraMap(i).isProjectedPermutation()) {
      reason = "an extra operand is not indexed by plain dimensions";
      return failure();
    }
  if (llvm::is_contained(decision.bounds, 0)) {
    reason = "one of its dimensions is empty";
    return failure();
  }
  reason = "no instruction takes these element types";
  bool found = false;
  bool small = hasNibbles(op.getRhs(), op.getRhsUnsigned(), symbols);
  Type nibble = IntegerType::get(op.getContext(), 4);
  SmallVector<InstructionAttrInterface> instructions =
      getBlockInstructions(target);
  size_t numOfBlocks = instructions.size();
  llvm::append_range(instructions, getInstructions(target, allowsBf16(op)));
  for (auto [i, instruction] : llvm::enumerate(instructions)) {
    auto accepts = [&](Type type) {
      return instruction.accepts(lhs, type, op.getAccumulator(),
                                 op.getLhsUnsigned(), op.getRhsUnsigned());
    };
    bool onlySmall = small && accepts(nibble);
    // Blocks have no sums of columns; for whole reductions they cost less than
    // what the first instructions do instead.
    bool takes = accepts(rhs) &&
                 (blocks ? !offsetsLhs(op, instruction) : i >= numOfBlocks);
    if (instruction.getPairBound() != 0 || (!onlySmall && !takes))
      continue;
    FailureOr<ContractionDims> dims = classifyContraction(
        op.getLhsMap(), op.getRhsMap(), decision.out, decision.bounds,
        cast<ShapedType>(op.getLhs().getType()).getShape(),
        instruction.getReductionStep(), reason);
    if (failed(dims))
      continue;
    int64_t step = instruction.getReductionStep();
    // Both halves of a byte belong to one run.
    decision.nibbles =
        small && !dims->depthwise && dims->run == 1 &&
        !ShapedType::isDynamic(decision.bounds[dims->reductions.back()]) &&
        decision.bounds[dims->reductions.back()] % (2 * step) == 0;
    if (instruction.isTile()) {
      auto suits = [&](int64_t offset) {
        return suitsTiles(op, *dims, decision.bounds, step, offset);
      };
      decision.nibbles &=
          suits(0) &&
          paysToUnpack(describeDense(decision.bounds, op.getRhsMap(), rhs,
                                     instruction, target, profile, modelBytes),
                       *dims, decision.bounds);
      if (!decision.nibbles &&
          ((blocks && small) ||
           !suits(-instruction.getRhsOffset(op.getRhsUnsigned()))))
        continue;
    }
    if (onlySmall && !decision.nibbles)
      continue;
    decision.instruction = instruction;
    decision.dims = *dims;
    found = true;
    break;
  }
  if (!found)
    return failure();
  const ContractionDims &dims = decision.dims;
  // Half of a wide vector's lanes would idle; many machines run two narrow
  // products in its time, none runs fewer.
  if (auto fma = dyn_cast<VectorFmaAttr>(decision.instruction))
    if (int64_t columns = decision.bounds[dims.column];
        fma.getLanes() == 16 && !ShapedType::isDynamic(columns) && columns <= 8)
      decision.instruction = cast<InstructionAttrInterface>(
          Attribute(VectorFmaAttr::get(op.getContext(), 8, fma.getFused())));
  for (unsigned d : dims.reductions)
    if (ShapedType::isDynamic(decision.bounds[d]) &&
        d != dims.reductions.back()) {
      reason = "a reduction around the innermost one has no static bound";
      return failure();
    }

  // Integers: what the instruction and the packer add to or take from elements.
  InstructionAttrInterface instruction = decision.instruction;
  Type packedType = instruction.getPackedType(rhs);
  std::optional<int64_t> rhsZero =
      getConstantZero(op.getRhsZero(), op.getRhsUnsigned());
  if (isa<IntegerType>(lhs)) {
    bool wide = packedType.getIntOrFloatBitWidth() > 8;
    if (decision.nibbles) {
      decision.rhsZeroFolded = rhsZero && *rhsZero == 0;
    } else if (wide && rhsZero) {
      decision.rhsOffset = *rhsZero;
      decision.rhsZeroFolded = true;
    } else {
      if (!wide)
        decision.rhsOffset = -instruction.getRhsOffset(op.getRhsUnsigned());
      decision.rhsZeroFolded = rhsZero && *rhsZero == decision.rhsOffset;
    }
    std::optional<int64_t> lhsZero =
        getConstantZero(op.getLhsZero(), op.getLhsUnsigned());
    decision.needsSums =
        offsetsLhs(op, instruction) || !lhsZero || *lhsZero != 0;
  }
  if (isa<FloatType>(lhs) && op.getRhsUnsigned() && !decision.nibbles) {
    reason = "unsigned bytes are multiplied by floats";
    return failure();
  }
  if (blocks &&
      (decision.needsSums || !decideFactors(decision, isStrict(op), symbols))) {
    reason = "sums of blocks are added up in a way no kernel knows";
    return failure();
  }
  bool liesApart = !hasContiguousColumns(op, dims, decision.bounds);
  decision.packed =
      isa<IntegerType>(lhs) || dims.depthwise ||
      instruction.getReductionStep() > 1 || isParameter(op.getRhs()) ||
      (liesApart ? !paysToCopy(op, dims, decision.bounds, instruction)
                 : paysToPack(op, dims, decision.bounds, instruction.getLanes(),
                              target.getL1()));

  TilingProblem problem;
  problem.columns = decision.bounds[dims.column];
  problem.steps = getProduct(dims.reductions, decision.bounds);
  problem.lanes = instruction.getLanes();
  problem.weightBytes = std::max<int64_t>(
      1, instruction.getReductionStep() * packedType.getIntOrFloatBitWidth() /
             (decision.nibbles && !instruction.isTile() ? 16 : 8));
  problem.maxAccumulators = instruction.getMaxAccumulators();
  problem.rowSums = isa<IntegerType>(lhs) && !decision.rhsZeroFolded;
  problem.depthwise = dims.depthwise;
  problem.byPositions = dims.depthwise && isa<FloatType>(lhs) &&
                        instruction.getReductionStep() == 1;
  if (dims.depthwise && dims.reductions.size() > 1)
    problem.windowLines = decision.bounds[dims.reductions.front()];
  problem.totals = bool(blocks);
  problem.widened = isa<FloatType>(lhs) && isa<IntegerType>(packedType);
  problem.narrow = decision.nibbles && instruction.getNarrowSteps() > 0;
  problem.unpacked = decision.nibbles && instruction.isTile();
  problem.openReduction = ShapedType::isDynamic(problem.steps);
  problem.canCut =
      isa<FloatType>(lhs) && !blocks && instruction.getReductionStep() == 1 &&
      !dims.depthwise && dims.reductions.size() == 1 &&
      !problem.openReduction &&
      getElementTypeOrSelf(op.getInit().getType()) == op.getAccumulator();
  problem.l1 = target.getL1();
  problem.l2 = target.getL2();
  describeRows(op, decision, problem);
  // With blocks, times are filed under the whole kernel: SelectStorage notes
  // them, and no two tiles are weighed.
  if (!blocks)
    decision.choice.key = getContractionKey(op);
  DenseProblem dense = describeDense(decision.bounds, op.getRhsMap(), rhs,
                                     instruction, target, profile, modelBytes);
  chooseTile(decision, problem, dense);
  decision.tasks = chooseTasks(dense, target.getThreads());
  return decision;
}

FailureOr<kernel::ContractOp> mlir::tamis::selectKernel(IRRewriter &rewriter,
                                                        ContractOp op,
                                                        double modelBytes,
                                                        SymbolTable &symbols,
                                                        std::string &reason) {
  TargetAttr target = getTarget(op);
  if (!target)
    target =
        TargetAttr::get(op.getContext(), "generic", {}, 32 << 10, 1 << 20, 1);
  readThroughTranspose(op);
  ProfileAttr profile = getProfile(op, target);
  FailureOr<Decision> decision = failure();
  if (std::optional<BlockSums> blocks = findBlockSums(op))
    decision = decide(op, blocks, target, profile, modelBytes, symbols, reason);
  if (failed(decision))
    decision =
        decide(op, std::nullopt, target, profile, modelBytes, symbols, reason);
  if (failed(decision))
    return failure();
  return applyDecision(rewriter, op, *decision);
}

namespace {
struct SelectInstructions
    : tamis::impl::SelectInstructionsBase<SelectInstructions> {
  void runOnOperation() override {
    SmallVector<ContractOp> ops;
    getOperation().walk([&](ContractOp op) {
      if (isa<RankedTensorType>(op.getInit().getType()))
        ops.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    SymbolTable symbols(getOperation());
    double modelBytes = getModelBytes(getOperation());
    for (ContractOp op : ops) {
      std::string reason;
      if (succeeded(selectKernel(rewriter, op, modelBytes, symbols, reason))) {
        ++numSelected;
        continue;
      }
      ++numLeft;
      LLVM_DEBUG(op.emitRemark() << "left to the generic lowering: " << reason);
      op->setAttr(kReasonAttrName, StringAttr::get(&getContext(), reason));
    }
  }
};
} // namespace
