// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Decides, for every contraction on tensors, the instruction, the tiles and the
// order of its right operand, and writes the decision down as a
// tamis_kernel.contract. Nothing is packed or generated here.
#include "Candidates.h"
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
#include "tamis/Kernels/Passes.h"
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

namespace {

/// Everything decided about one contraction before IR changes.
struct Decision {
  InstructionAttrInterface instruction;
  ContractionDims dims;
  SmallVector<int64_t> bounds;
  Tiling tiling;
  KernelChoice choice;
  int64_t tasks = 1;
  bool packed;
  /// Taken from every rhs element when it is packed.
  int64_t rhsOffset = 0;
  /// The rhs zero point is part of rhsOffset and done with.
  bool rhsZeroFolded = false;
  bool needsSums = false;
};

} // namespace

static std::optional<int64_t> getConstant(Value zero, bool isUnsigned) {
  if (!zero)
    return 0;
  APInt value;
  if (!matchPattern(zero, m_ConstantInt(&value)))
    return std::nullopt;
  return isUnsigned ? static_cast<int64_t>(value.getZExtValue())
                    : value.getSExtValue();
}

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

static int64_t product(ArrayRef<unsigned> dims, ArrayRef<int64_t> bounds) {
  int64_t result = 1;
  for (unsigned d : dims) {
    if (ShapedType::isDynamic(bounds[d]))
      return ShapedType::kDynamic;
    result *= bounds[d];
  }
  return result;
}

/// Rows as the code generator will see them if buffers are contiguous: the
/// innermost dimensions that are contiguous in lhs and out count as one.
static void describeRows(ContractOp op, const ContractionDims &dims,
                         ArrayRef<int64_t> bounds, TilingProblem &problem) {
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
      cast<ShapedType>(op.getInit().getType()).getShape();
  SmallVector<std::pair<int64_t, int64_t>> merged; // extent, lhs stride
  int64_t lastOut = 0;
  for (unsigned d : llvm::reverse(dims.rows)) {
    int64_t lhs = strideOf(op.getLhsMap(), lhsShape, d);
    int64_t out = strideOf(op.getOutMap(), outShape, d);
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
/// they are mostly empty, and dot products win.
static bool suitsTiles(ContractOp op, const ContractionDims &dims,
                       ArrayRef<int64_t> bounds) {
  if (dims.depthwise || dims.reductions.empty())
    return false;
  int64_t run = product(ArrayRef(dims.reductions).take_back(dims.run), bounds);
  if (ShapedType::isDynamic(run) || dims.run > 1 ||
      kernel::getTileDepth(run) < 32)
    return false;
  std::optional<int64_t> zero =
      getConstant(op.getRhsZero(), op.getRhsUnsigned());
  if (zero != (op.getRhsUnsigned() ? 128 : 0))
    return false;
  int64_t rows = product(dims.rows, bounds);
  return ShapedType::isDynamic(rows) || rows >= 8;
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
        dense.profile, choice.key,
        getDenseName({tiling.rows, tiling.vectors, tiling.positions}),
        priceDense(dense, tiling.rows, cost / rated.front().cost)));
  }
  std::optional<size_t> fastest = findFastest(choice.candidates);
  decision.tiling = rated[fastest.value_or(0)].tiling;
  choice.chosen = choice.candidates[fastest.value_or(0)].name;
  choice.reason = fastest ? "tile measured" : "tile predicted";
}

static FailureOr<Decision> decide(ContractOp op, TargetAttr target,
                                  ProfileAttr profile, std::string &reason) {
  Type lhs = getElementTypeOrSelf(op.getLhs().getType());
  Type rhs = getElementTypeOrSelf(op.getRhs().getType());
  Decision decision;
  decision.bounds = op.getStaticLoopRanges();
  if (!isVectorizable(op.getEpilogue())) {
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
  for (InstructionAttrInterface instruction :
       getInstructions(target, allowsBf16(op))) {
    if (instruction.getPairBound() != 0 ||
        !instruction.accepts(lhs, rhs, op.getAccumulator(), op.getLhsUnsigned(),
                             op.getRhsUnsigned()))
      continue;
    FailureOr<ContractionDims> dims = classifyContraction(
        op.getLhsMap(), op.getRhsMap(), op.getOutMap(), decision.bounds,
        cast<ShapedType>(op.getLhs().getType()).getShape(),
        instruction.getReductionStep(), reason);
    if (failed(dims) ||
        (instruction.isTile() && !suitsTiles(op, *dims, decision.bounds)))
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
      getConstant(op.getRhsZero(), op.getRhsUnsigned());
  if (isa<IntegerType>(lhs)) {
    bool wide = packedType.getIntOrFloatBitWidth() > 8;
    if (wide && rhsZero) {
      decision.rhsOffset = *rhsZero;
      decision.rhsZeroFolded = true;
    } else if (!wide && op.getRhsUnsigned()) {
      decision.rhsOffset = 128;
      decision.rhsZeroFolded = rhsZero && *rhsZero == 128;
    } else {
      decision.rhsZeroFolded = rhsZero && *rhsZero == 0;
    }
    std::optional<int64_t> lhsZero =
        getConstant(op.getLhsZero(), op.getLhsUnsigned());
    decision.needsSums = instruction.getLhsOffset(op.getLhsUnsigned()) != 0 ||
                         !lhsZero || *lhsZero != 0;
  }
  decision.packed = isa<IntegerType>(lhs) || dims.depthwise ||
                    instruction.getReductionStep() > 1 ||
                    isParameter(op.getRhs()) ||
                    !hasContiguousColumns(op, dims, decision.bounds);

  TilingProblem problem;
  problem.columns = decision.bounds[dims.column];
  problem.steps = product(dims.reductions, decision.bounds);
  problem.lanes = instruction.getLanes();
  problem.maxAccumulators = instruction.getMaxAccumulators();
  problem.rowSums = isa<IntegerType>(lhs) && !decision.rhsZeroFolded;
  problem.depthwise = dims.depthwise;
  problem.openReduction = ShapedType::isDynamic(problem.steps);
  problem.l2 = target.getL2();
  describeRows(op, dims, decision.bounds, problem);
  decision.choice.key = getContractionKey(op);
  DenseProblem dense = describeDense(decision.bounds, op.getRhsMap(), rhs,
                                     instruction, target, profile);
  chooseTile(decision, problem, dense);
  decision.tasks = chooseTasks(dense, target.getThreads());
  return decision;
}

//===-- applying the decision ---------------------------------------------===//

/// The size of iteration dimension `d`, from the operands that know it.
static OpFoldResult getBound(OpBuilder &b, ContractOp op, unsigned d,
                             ArrayRef<int64_t> bounds) {
  if (!ShapedType::isDynamic(bounds[d]))
    return b.getIndexAttr(bounds[d]);
  auto search = [&](Value value, AffineMap map) -> Value {
    for (auto [i, expr] : llvm::enumerate(map.getResults()))
      if (expr == b.getAffineDimExpr(d))
        return tensor::DimOp::create(b, op.getLoc(), value, i);
    return {};
  };
  if (Value size = search(op.getRhs(), op.getRhsMap()))
    return size;
  if (Value size = search(op.getInit(), op.getOutMap()))
    return size;
  return search(op.getLhs(), op.getLhsMap());
}

/// lhs with the coordinates outside it made real: zero, that is the zero point.
static Value padLhs(ImplicitLocOpBuilder &b, ContractOp op,
                    ArrayRef<int64_t> bounds) {
  auto type = cast<RankedTensorType>(op.getLhs().getType());
  SmallVector<OpFoldResult> low, high;
  bool any = false;
  for (auto [i, expr] : llvm::enumerate(op.getLhsMap().getResults())) {
    int64_t before = op.getPad()[i];
    low.push_back(b.getIndexAttr(before));
    SmallVector<int64_t> c =
        *getCoefficients(expr, op.getLhsMap().getNumDims());
    unsigned used = llvm::count_if(c, [](int64_t x) { return x != 0; });
    bool isStatic = !type.isDynamicDim(i);
    int64_t needed = 1;
    for (auto [d, factor] : llvm::enumerate(c)) {
      if (factor == 0)
        continue;
      isStatic &= !ShapedType::isDynamic(bounds[d]);
      needed += factor * (bounds[d] - 1);
    }
    if (isStatic) {
      int64_t after =
          std::max<int64_t>(0, needed - type.getDimSize(i) - before);
      high.push_back(b.getIndexAttr(after));
      any |= before != 0 || after != 0;
      continue;
    }
    if (used <= 1 && before == 0) {
      high.push_back(b.getIndexAttr(0));
      continue;
    }
    any = true;
    Value size = arith::ConstantIndexOp::create(b, 1 - before);
    for (auto [d, factor] : llvm::enumerate(c)) {
      if (factor == 0)
        continue;
      Value bound = getValueOrCreateConstantIndexOp(b, b.getLoc(),
                                                    getBound(b, op, d, bounds));
      Value one = arith::ConstantIndexOp::create(b, 1);
      Value scale = arith::ConstantIndexOp::create(b, factor);
      Value steps = arith::SubIOp::create(b, bound, one);
      size = arith::AddIOp::create(b, size,
                                   arith::MulIOp::create(b, steps, scale));
    }
    Value have = tensor::DimOp::create(b, op.getLhs(), i);
    Value zero = arith::ConstantIndexOp::create(b, 0);
    high.push_back(
        arith::MaxSIOp::create(b, zero, arith::SubIOp::create(b, size, have))
            .getResult());
  }
  if (!any)
    return op.getLhs();
  Type element = type.getElementType();
  Value fill = op.getLhsZero();
  if (!fill)
    fill = arith::ConstantOp::create(b, b.getZeroAttr(element));
  unsigned width = element.getIntOrFloatBitWidth();
  if (fill.getType().getIntOrFloatBitWidth() > width)
    fill = arith::TruncIOp::create(b, element, fill);
  else if (fill.getType() != element)
    fill = op.getLhsUnsigned()
               ? arith::ExtUIOp::create(b, element, fill).getResult()
               : arith::ExtSIOp::create(b, element, fill).getResult();
  auto known = [](OpFoldResult v) {
    return getConstantIntValue(v).value_or(ShapedType::kDynamic);
  };
  RankedTensorType padded = tensor::PadOp::inferResultType(
      type, llvm::map_to_vector(low, known), llvm::map_to_vector(high, known));
  return tensor::PadOp::create(b, padded, op.getLhs(), low, high, fill);
}

/// Creates the pack of rhs; returns packed operand and column sums.
static std::pair<Value, Value> packRhs(ImplicitLocOpBuilder &b, ContractOp op,
                                       const Decision &decision) {
  const ContractionDims &dims = decision.dims;
  InstructionAttrInterface instruction = decision.instruction;
  int64_t step = instruction.getReductionStep();
  int64_t width = decision.tiling.vectors * instruction.getLanes();
  auto position = [&](unsigned d) {
    return static_cast<int64_t>(
        *op.getRhsMap().getResultPosition(b.getAffineDimExpr(d)));
  };
  auto positions = [&](ArrayRef<unsigned> list) {
    return llvm::map_to_vector(list, position);
  };
  // Sizes: [groups][panels][steps][width * step]; dynamic ones as values.
  SmallVector<int64_t> shape;
  SmallVector<Value> sizes;
  auto dynamicProduct = [&](ArrayRef<unsigned> list) {
    Value size = arith::ConstantIndexOp::create(b, 1);
    for (unsigned d : list)
      size = arith::MulIOp::create(
          b, size,
          getValueOrCreateConstantIndexOp(b, b.getLoc(),
                                          getBound(b, op, d, decision.bounds)));
    return size;
  };
  auto append = [&](int64_t size, function_ref<Value()> value) {
    shape.push_back(size);
    if (ShapedType::isDynamic(size))
      sizes.push_back(value());
  };
  auto ceilDivide = [&](Value size, int64_t by) -> Value {
    return arith::CeilDivUIOp::create(b, size,
                                      arith::ConstantIndexOp::create(b, by));
  };
  append(product(dims.groups, decision.bounds),
         [&] { return dynamicProduct(dims.groups); });
  int64_t columns = decision.bounds[dims.column];
  append(ShapedType::isDynamic(columns)
             ? columns
             : static_cast<int64_t>(llvm::divideCeil(columns, width)),
         [&] { return ceilDivide(dynamicProduct({dims.column}), width); });
  SmallVector<int64_t> sumShape = shape;
  SmallVector<Value> sumSizes = sizes;
  ArrayRef<unsigned> reductions = dims.reductions;
  int64_t outer = product(reductions.drop_back(dims.run), decision.bounds);
  int64_t run = product(reductions.take_back(dims.run), decision.bounds);
  append(ShapedType::isDynamic(run)
             ? run
             : outer * static_cast<int64_t>(llvm::divideCeil(run, step)),
         [&] {
           Value steps =
               ceilDivide(dynamicProduct(reductions.take_back(dims.run)), step);
           return arith::MulIOp::create(
               b, steps, arith::ConstantIndexOp::create(b, outer));
         });
  shape.push_back(width * step);

  Type rhsType = getElementTypeOrSelf(op.getRhs().getType());
  Type packedElement = instruction.getPackedType(rhsType);
  Value packed = tensor::EmptyOp::create(b, shape, packedElement, sizes);
  Value sums;
  SmallVector<Type> results{packed.getType()};
  if (decision.needsSums) {
    if (!ShapedType::isDynamic(sumShape[1]))
      sumShape[1] *= width;
    else
      sumSizes.back() = arith::MulIOp::create(
          b, sumSizes.back(), arith::ConstantIndexOp::create(b, width));
    sums = tensor::EmptyOp::create(b, sumShape, b.getI32Type(), sumSizes);
    results.push_back(sums.getType());
  }
  bool hasColumn = op.getRhsMap().isFunctionOfDim(dims.column);
  auto pack = kernel::PackOp::create(
      b, results[0], results.size() > 1 ? results[1] : Type(), op.getRhs(),
      packed, sums, b.getDenseI64ArrayAttr(positions(dims.groups)),
      b.getI64IntegerAttr(hasColumn ? position(dims.column) : -1),
      b.getDenseI64ArrayAttr(positions(dims.reductions)),
      b.getI64IntegerAttr(dims.run), b.getI64IntegerAttr(step),
      b.getI64IntegerAttr(decision.rhsOffset),
      op.getRhsUnsigned() ? b.getUnitAttr() : UnitAttr());
  return {pack.getPackedResult(), pack.getSumsResult()};
}

static void apply(RewriterBase &rewriter, ContractOp op,
                  const Decision &decision) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  b.setInsertionPoint(op);
  Value lhs = padLhs(b, op, decision.bounds);
  Value rhs = op.getRhs(), sums;
  if (decision.packed)
    std::tie(rhs, sums) = packRhs(b, op, decision);
  const Tiling &tiling = decision.tiling;
  Value rhsZero = decision.rhsZeroFolded ? Value() : op.getRhsZero();
  // An unsigned operand without a zero point still carries the packer's offset.
  if (!rhsZero && !decision.rhsZeroFolded &&
      isa<IntegerType>(getElementTypeOrSelf(rhs.getType())))
    rhsZero = arith::ConstantOp::create(b, b.getI32IntegerAttr(0));
  auto contract = kernel::ContractOp::create(
      b, op.getResult().getType(), lhs, rhs, /*stream=*/ValueRange(), sums,
      op.getLhsZero(), rhsZero, op.getExtras(), op.getInit(),
      op.getIndexingMapsAttr(), op.getIteratorTypesAttr(),
      b.getDenseI64ArrayAttr(decision.bounds), op.getAccumulatorAttr(),
      decision.instruction,
      b.getDenseI64ArrayAttr({tiling.rows, tiling.vectors, tiling.positions}),
      b.getI64IntegerAttr(decision.tasks),
      decision.packed ? b.getUnitAttr() : UnitAttr(), /*storage=*/nullptr,
      op.getLhsUnsignedAttr(), op.getRhsUnsignedAttr(), op.getOriginAttr());
  recordChoice(contract, decision.choice);
  rewriter.inlineRegionBefore(op.getEpilogue(), contract.getEpilogue(),
                              contract.getEpilogue().begin());
  rewriter.replaceOp(op, contract.getResult());
}

namespace {
struct SelectInstructions
    : tamis::impl::SelectInstructionsBase<SelectInstructions> {
  void runOnOperation() override {
    MLIRContext *context = &getContext();
    SmallVector<ContractOp> ops;
    getOperation().walk([&](ContractOp op) {
      if (isa<RankedTensorType>(op.getInit().getType()))
        ops.push_back(op);
    });
    IRRewriter rewriter(context);
    TargetAttr generic =
        TargetAttr::get(context, "generic", {}, 32 << 10, 1 << 20, 1);
    for (ContractOp op : ops) {
      TargetAttr target = getTarget(op);
      std::string reason;
      if (!target)
        target = generic;
      FailureOr<Decision> decision =
          decide(op, target, getProfile(op, target), reason);
      if (failed(decision)) {
        ++numLeft;
        LLVM_DEBUG(op.emitRemark()
                   << "left to the generic lowering: " << reason);
        op->setAttr(kReasonAttrName, StringAttr::get(context, reason));
        continue;
      }
      apply(rewriter, op, *decision);
      ++numSelected;
    }
  }
};
} // namespace
