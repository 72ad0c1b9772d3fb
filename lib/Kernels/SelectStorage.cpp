// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Decides which weights become row streams. Contractions come with their dense
// decision, so both prices are of code that would really be generated.
#include "RowStream.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/PatternMatch.h"
#include "tamis/Kernels/Classify.h"
#include "tamis/Kernels/Passes.h"
#include "tamis/Target/Target.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_SELECTSTORAGE
#include "tamis/Kernels/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

//===-- cost model --------------------------------------------------------===//

// In cycles of one core, all measured on AVX2 and AVX-512 machines within a
// third of each other; the choice asks for a larger difference.

/// Bytes a cycle from L2, where a stage does not fit into L1.
static constexpr double kL2BytesPerCycle = 28;
/// What an entry costs beside its products: two loads, a branch.
static constexpr double kEntry = 0.5;
/// A chain of float additions takes this long for every entry.
static constexpr double kFloatLatency = 4;
/// Leaving the loop of one column: a mispredicted branch.
static constexpr double kColumn = 12;
/// A word that is transposed on its way into the stage or out of accumulators.
static constexpr double kTransposed = 0.3;
/// A dense kernel reaches this share of its instruction's rate.
static constexpr double kDenseShare = 0.9;
/// A stream has to promise this much of the dense time.
static constexpr double kMargin = 0.85;
/// Most vectors of positions: as many accumulators.
static constexpr int64_t kMostVectors = 8;
/// Rows assumed where only run time knows.
static constexpr int64_t kTypicalRows = 128;

namespace {
/// What prices depend on.
struct StreamProblem {
  int64_t rows = 1;  // that are walked by one loop
  int64_t outer = 1; // iterations of all other rows
  int64_t words = 0; // of the reduction
  int64_t columns = 0;
  int64_t entries = 0;
  int64_t lanes = 0;
  double cycles = 0; // of one vector of products
  bool isInteger = false;
  int64_t l1 = 0, l2 = 0;
};
} // namespace

static double priceStream(const StreamProblem &p, int64_t vectors) {
  double bytes = double(vectors * p.lanes) * kWordBytes;
  double entry = std::max(vectors * p.cycles, p.isInteger ? 1 : kFloatLatency);
  if (double(p.words) * bytes > double(p.l1) * 0.75)
    entry = std::max(entry, bytes / kL2BytesPerCycle);
  double block =
      double(p.entries) * (entry + kEntry) + double(p.columns) * kColumn +
      double(p.words + p.columns) * double(vectors * p.lanes) * kTransposed;
  double blocks =
      double(p.outer) * double(llvm::divideCeil(p.rows, vectors * p.lanes));
  return blocks * block;
}

/// The best number of vectors of positions, 0 if the stage of none fits into a
/// quarter of L2: beyond, entries wait for more than its bandwidth.
static int64_t chooseVectors(const StreamProblem &p) {
  int64_t best = 0;
  double bestPrice = 0;
  for (int64_t vectors = 1; vectors <= kMostVectors; ++vectors) {
    if (p.words * vectors * p.lanes * kWordBytes > p.l2 / 4)
      break;
    double price = priceStream(p, vectors);
    if (best == 0 || price < bestPrice)
      best = vectors, bestPrice = price;
  }
  return best;
}

//===-- pass --------------------------------------------------------------===//

/// The instruction that multiplies words: 32 bits of the reduction a lane.
static InstructionAttrInterface getStreamInstruction(kernel::ContractOp op,
                                                     TargetAttr target,
                                                     Type lhs, Type rhs) {
  for (InstructionAttrInterface instruction : getInstructions(target, false)) {
    unsigned bits = lhs.getIntOrFloatBitWidth();
    if (!instruction.isTile() &&
        instruction.getReductionStep() * bits == kWordBytes * 8 &&
        instruction.accepts(lhs, rhs, op.getAccumulator(), op.getLhsUnsigned(),
                            op.getRhsUnsigned()))
      return instruction;
  }
  return {};
}

namespace {
/// A dense decision that could be a stream.
struct Candidate {
  kernel::ContractOp op;
  kernel::PackOp pack;
  InstructionAttrInterface instruction;
  StreamOrder order;
  StreamProblem problem;
  int64_t vectors = 0;
  double dense = 0, stream = 0;
};
} // namespace

/// True if neighbours of the innermost reduction are neighbours in lhs: staging
/// loads whole vectors of them.
static bool isContiguous(AffineMap lhs, ArrayRef<int64_t> bounds, unsigned d) {
  for (AffineExpr expr : llvm::reverse(lhs.getResults())) {
    FailureOr<SmallVector<int64_t>> factors =
        getCoefficients(expr, lhs.getNumDims());
    if (failed(factors))
      return false;
    for (auto [factor, bound] : llvm::zip_equal(*factors, bounds))
      if (factor != 0 && bound != 1)
        return (*factors)[d] == 1;
  }
  return false;
}

/// Rows and reductions as a stream sees them; false if no stream takes them.
static bool describe(Candidate &c, const ContractionDims &dims) {
  kernel::ContractOp op = c.op;
  ArrayRef<int64_t> bounds = op.getBounds();
  StreamProblem &p = c.problem;
  int64_t run = 1, words = 1;
  for (unsigned d : dims.reductions) {
    if (ShapedType::isDynamic(bounds[d]))
      return false;
    run = bounds[d];
    words *= run;
  }
  // Rows that merge are one loop, as they usually do.
  int64_t rows = 1;
  for (unsigned d : dims.rows)
    rows *= ShapedType::isDynamic(bounds[d]) ? kTypicalRows : bounds[d];
  bool merges = dims.reductions.size() == 1;
  p.rows = rows;
  if (!merges && !dims.rows.empty()) {
    int64_t inner = bounds[dims.rows.back()];
    p.rows = ShapedType::isDynamic(inner) ? kTypicalRows : inner;
    p.outer = rows / std::max<int64_t>(1, p.rows);
  }
  p.words = words / c.order.step;
  p.columns = bounds[dims.column];
  // A run of two dimensions is one in the model, not always in its buffer.
  return dims.groups.empty() && !dims.depthwise && dims.run == 1 &&
         isContiguous(op.getLhsMap(), bounds, dims.reductions.back()) &&
         run % c.order.step == 0 &&
         run >= c.order.step * c.instruction.getLanes() &&
         !ShapedType::isDynamic(p.columns);
}

/// The candidate that `op` is; nullopt for one that stays dense whatever its
/// weights are.
static std::optional<Candidate> match(kernel::ContractOp op, TargetAttr target,
                                      SymbolTable &symbols) {
  auto pack = op.getRhs().getDefiningOp<kernel::PackOp>();
  if (!op.getPacked() || op.getRhsZero() || !pack || pack.getColumn() < 0 ||
      !pack.getGroups().empty())
    return std::nullopt;
  Candidate c{op, pack};
  Type lhs = getElementTypeOrSelf(op.getLhs().getType());
  Type rhs = getElementTypeOrSelf(pack.getSource().getType());
  if (!lhs.isF32() && !lhs.isInteger(8))
    return std::nullopt;
  c.instruction = getStreamInstruction(op, target, lhs, rhs);
  FailureOr<SourceView> view = viewConstant(pack.getSource(), symbols);
  if (!c.instruction || failed(view))
    return std::nullopt;
  c.order.column = static_cast<int64_t>(pack.getColumn());
  c.order.reductions.assign(pack.getReductions().begin(),
                            pack.getReductions().end());
  c.order.step = c.instruction.getReductionStep();
  c.order.bound = c.instruction.getPairBound();
  c.order.offset = static_cast<int64_t>(pack.getOffset());
  c.order.isUnsigned = pack.getIsUnsigned();
  std::string reason;
  FailureOr<ContractionDims> dims = classifyContraction(
      op.getLhsMap(), op.getRhsMap(), op.getOutMap(), op.getBounds(),
      cast<ShapedType>(op.getLhs().getType()).getShape(), c.order.step, reason);
  if (failed(dims) || !describe(c, *dims))
    return std::nullopt;
  StreamProblem &p = c.problem;
  p.lanes = c.instruction.getLanes();
  p.cycles = c.instruction.getCycles();
  p.isInteger = isa<IntegerType>(op.getAccumulator());
  p.l1 = target.getL1();
  p.l2 = target.getL2();
  if (p.rows < p.lanes)
    return std::nullopt;
  InstructionAttrInterface dense = op.getInstruction();
  double products = double(p.rows * p.outer) * double(p.columns) *
                    double(p.words * c.order.step);
  c.dense = products * dense.getCycles() /
            double(dense.getLanes() * dense.getReductionStep()) / kDenseShare;
  // Even with one word in fifty a stream has to be worth counting.
  p.entries = p.words * p.columns / 50;
  c.vectors = chooseVectors(p);
  if (c.vectors == 0 || priceStream(p, c.vectors) > kMargin * c.dense)
    return std::nullopt;
  p.entries = countEntries(*view, c.order);
  if (p.entries == 0)
    return std::nullopt;
  c.vectors = chooseVectors(p);
  c.stream = priceStream(p, c.vectors);
  return c;
}

static void apply(IRRewriter &rewriter, Candidate &c) {
  kernel::ContractOp op = c.op;
  rewriter.setInsertionPoint(op);
  Location loc = op.getLoc();
  Type i32 = rewriter.getI32Type();
  int64_t entries = c.problem.entries, columns = c.problem.columns;
  Type element = c.order.step == 1 ? rewriter.getF32Type()
                                   : Type(rewriter.getIntegerType(8));
  auto storage = RowStreamAttr::get(rewriter.getContext(), entries,
                                    c.vectors * c.problem.lanes);
  auto tensorOf = [](ArrayRef<int64_t> shape, Type type) -> Type {
    return RankedTensorType::get(shape, type);
  };
  bool isInteger = c.problem.isInteger;
  // Whole vectors of sums are read.
  auto sums = static_cast<int64_t>(llvm::alignTo(columns, c.problem.lanes));
  auto pack = kernel::PackStreamOp::create(
      rewriter, loc, tensorOf({entries, c.order.step}, element),
      tensorOf({entries}, i32), tensorOf({columns + 1}, i32),
      isInteger ? tensorOf({1, sums}, i32) : Type(), c.pack.getSource(),
      c.pack.getColumnAttr(), c.pack.getReductionsAttr(),
      rewriter.getI64IntegerAttr(c.order.step), storage,
      rewriter.getI64IntegerAttr(c.order.bound), c.pack.getOffsetAttr(),
      c.pack.getIsUnsignedAttr() ? rewriter.getUnitAttr() : UnitAttr());
  rewriter.modifyOpInPlace(op, [&] {
    op.getRhsMutable().assign(pack.getValues());
    op.getStreamMutable().assign(
        ValueRange{pack.getOffsets(), pack.getStarts()});
    op.getSumsMutable().assign(isInteger ? ValueRange(pack.getSums())
                                         : ValueRange());
    op.setPacked(false);
    op.setStorageAttr(storage);
    op.setInstructionAttr(c.instruction);
    op.setTile({c.vectors * c.problem.lanes, 1, 0});
  });
  if (c.pack->use_empty())
    rewriter.eraseOp(c.pack);
}

namespace {
struct SelectStorage : tamis::impl::SelectStorageBase<SelectStorage> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    SmallVector<kernel::ContractOp> ops;
    getOperation().walk([&](kernel::ContractOp op) {
      if (isa<RankedTensorType>(op.getInit().getType()))
        ops.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    for (kernel::ContractOp op : ops) {
      TargetAttr target = getTarget(op);
      if (!target)
        continue;
      std::optional<Candidate> candidate = match(op, target, symbols);
      if (!candidate)
        continue;
      op->setAttr(
          "predicted",
          rewriter.getDictionaryAttr(
              {rewriter.getNamedAttr(
                   "dense", rewriter.getF64FloatAttr(candidate->dense)),
               rewriter.getNamedAttr("row_stream", rewriter.getF64FloatAttr(
                                                       candidate->stream))}));
      if (candidate->stream > kMargin * candidate->dense)
        continue;
      apply(rewriter, *candidate);
      ++numStreams;
    }
  }
};
} // namespace
