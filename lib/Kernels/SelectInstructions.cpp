// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Decides, for every contraction on tensors, the instruction, the tiles and the
// order of its right operand, and writes the decision down as a
// tamis_kernel.contract. Nothing is packed or generated here.
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
  int64_t tasks = 1;
  bool packed;
  /// Taken from every rhs element when it is packed.
  int64_t rhsOffset = 0;
  /// The rhs zero point is part of rhsOffset and done with.
  bool rhsZeroFolded = false;
  bool needsSums = false;
};

} // namespace

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
      getConstantZero(op.getRhsZero(), op.getRhsUnsigned());
  if (zero != (op.getRhsUnsigned() ? 128 : 0))
    return false;
  int64_t rows = product(dims.rows, bounds);
  return ShapedType::isDynamic(rows) || rows >= 8;
}

/// How many pieces are worth waking workers for.
static int64_t chooseTasks(const Decision &decision, int64_t threads) {
  // A vector of products takes about 0.3 ns; less than some 25 us of them per
  // worker costs more to hand out than to do.
  constexpr double kVectorsPerTask = 25e3 / 0.3;
  double products = 1;
  for (int64_t bound : decision.bounds)
    products *= ShapedType::isDynamic(bound) ? 128.0 : double(bound);
  products /= double(decision.instruction.getLanes() *
                     decision.instruction.getReductionStep());
  return std::clamp<int64_t>(int64_t(products / kVectorsPerTask), 1,
                             std::max<int64_t>(1, threads));
}

static FailureOr<Decision> decide(ContractOp op, TargetAttr target,
                                  std::string &reason) {
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
      getConstantZero(op.getRhsZero(), op.getRhsUnsigned());
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
        getConstantZero(op.getLhsZero(), op.getLhsUnsigned());
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
  decision.tiling =
      instruction.isTile() ? chooseTileTiling(problem) : chooseTiling(problem);
  decision.tasks = chooseTasks(decision, target.getThreads());
  return decision;
}

//===-- applying the decision ---------------------------------------------===//

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
      FailureOr<Decision> decision =
          decide(op, target ? target : generic, reason);
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
