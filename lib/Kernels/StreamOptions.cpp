// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Row streams in the place of dense panels.
#include "DensePrice.h"
#include "RowStream.h"
#include "StorageOptions.h"
#include "StreamPrice.h"
#include "tamis/Kernels/Classify.h"
#include "tamis/Target/Target.h"

using namespace mlir;
using namespace mlir::tamis;

/// Plans that are worth comparing.
static constexpr unsigned kMostPlans = 2;

namespace {
/// A dense decision that could be a stream.
struct Candidate {
  kernel::ContractOp op;
  kernel::PackOp pack;
  InstructionAttrInterface instruction;
  StreamOrder order;
  StreamProblem problem;

  std::string getName(const StreamPlan &plan) const;
};
} // namespace

/// The share of words tells how long an equal contraction takes.
std::string Candidate::getName(const StreamPlan &plan) const {
  int64_t groups = llvm::divideCeil(problem.columns, order.channels);
  return getStreamName(
      plan.vectors * problem.lanes, order.channels, plan.flat, plan.parts,
      double(problem.entries) / double(problem.words * groups));
}

/// Finds the taps of a window that moves by one position, and those between its
/// lines where the next rows out walk them.
static void describeWindow(kernel::ContractOp op, const ContractionDims &dims,
                           StreamProblem &p) {
  AffineMap map = op.getLhsMap();
  /// The place in lhs that a row and a reduction walk side by side, or -1.
  auto findPlace = [&](unsigned reduction, unsigned row) -> int64_t {
    for (auto [i, expr] : llvm::enumerate(map.getResults())) {
      SmallVector<int64_t> c = *getCoefficients(expr, map.getNumDims());
      if (c[reduction] == 1 && c[row] == 1)
        return static_cast<int64_t>(i);
    }
    return -1;
  };
  ArrayRef<unsigned> reductions = dims.reductions, rows = dims.rows;
  if (reductions.size() < 2 || rows.empty())
    return;
  unsigned tap = reductions[reductions.size() - 2];
  int64_t across = findPlace(tap, rows.back());
  if (across < 0)
    return;
  p.taps = op.getBounds()[tap];
  if (reductions.size() < 3 || rows.size() < 2)
    return;
  unsigned lineTap = reductions[reductions.size() - 3];
  int64_t line = cast<ShapedType>(op.getLhs().getType()).getDimSize(across);
  int64_t lines = op.getBounds()[rows[rows.size() - 2]];
  // The generator takes another loop as the innermost where this one is short.
  constexpr int64_t fewest = 4;
  if (op.getBounds()[rows.back()] >= fewest && across > 0 &&
      findPlace(lineTap, rows[rows.size() - 2]) == across - 1 &&
      !ShapedType::isDynamic(line) && !ShapedType::isDynamic(lines)) {
    p.line = line;
    p.lines = lines;
    p.lineTaps = op.getBounds()[lineTap];
  }
}

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
  if (dims.reductions.empty())
    return false;
  int64_t run = 1, words = 1;
  for (unsigned d : dims.reductions) {
    if (ShapedType::isDynamic(bounds[d]))
      return false;
    run = bounds[d];
    words *= run;
  }
  // Rows are one loop unless a window moves along them.
  int64_t rows = 1;
  for (unsigned d : dims.rows)
    rows *= ShapedType::isDynamic(bounds[d]) ? kTypicalRows : bounds[d];
  p.rows = rows;
  describeWindow(op, dims, p);
  // Parts of a window change the order in which it is summed up.
  if (dims.reductions.size() == 1 || (p.taps > 1 && !isStrict(op)))
    p.run = run / c.order.step;
  if (p.taps > 1) {
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

/// How the instruction of a stream takes entries.
struct EntryShape {
  int64_t channels = 1, depth = 1;
};

/// The stream by `instruction` that `problem` could be, its entries counted;
/// nullopt, and `reason`, where it stays dense whatever its weights are.
static std::optional<Candidate> match(const StorageProblem &problem,
                                      InstructionAttrInterface instruction,
                                      EntryShape shape, std::string &reason) {
  kernel::ContractOp op = problem.op;
  kernel::PackOp pack = problem.pack;
  TargetAttr target = problem.target;
  ProfileAttr profile = problem.profile;
  Candidate c;
  c.op = op;
  c.pack = pack;
  Type lhs = getElementTypeOrSelf(op.getLhs().getType());
  Type rhs = getElementTypeOrSelf(pack.getSource().getType());
  reason = "no row stream of these types";
  bool mixed = isa<FloatType>(lhs) != isa<FloatType>(rhs);
  if ((!lhs.isF32() && !lhs.isInteger(8)) || mixed || op.getNibbles() ||
      op.getBlock())
    return std::nullopt;
  c.instruction = instruction;
  if (!c.instruction)
    return std::nullopt;
  reason = "no row stream of this shape";
  if (pack.getColumn() < 0 || !pack.getGroups().empty())
    return std::nullopt;
  c.order.column = static_cast<int64_t>(pack.getColumn());
  c.order.reductions.assign(pack.getReductions().begin(),
                            pack.getReductions().end());
  c.order.step = c.instruction.getReductionStep();
  c.order.bound = c.instruction.getPairBound();
  c.order.offset = static_cast<int64_t>(pack.getOffset());
  c.order.isUnsigned = pack.getIsUnsigned();
  c.order.channels = shape.channels;
  c.order.depth = shape.depth;
  std::string unused;
  FailureOr<ContractionDims> dims = classifyContraction(
      op.getLhsMap(), op.getRhsMap(), op.getOutMap(), op.getBounds(),
      cast<ShapedType>(op.getLhs().getType()).getShape(), c.order.step, unused);
  if (failed(dims) || !describe(c, *dims))
    return std::nullopt;
  StreamProblem &p = c.problem;
  // Few rows fill a narrower vector of floats.
  if (auto fma = dyn_cast<VectorFmaAttr>(c.instruction))
    if (int64_t rows = p.rows * p.lines; rows < fma.getLanes())
      c.instruction = cast<InstructionAttrInterface>(Attribute(
          VectorFmaAttr::get(op.getContext(), int64_t(llvm::PowerOf2Ceil(rows)),
                             fma.getFused())));
  p.lanes = c.instruction.getLanes();
  p.channels = shape.channels;
  if (shape.channels > 1)
    p.mostVectors =
        c.instruction.getMaxAccumulators() * p.lanes / shape.channels;
  p.profile = profile;
  p.cycles = getCycles(profile, c.instruction);
  p.isInteger = isa<IntegerType>(op.getAccumulator());
  p.l1 = target.getL1();
  p.l2 = target.getL2();
  reason = "no row stream: fewer rows than lanes";
  if (p.isInteger && p.rows * p.lines < p.lanes)
    return std::nullopt;
  // Even with one word in fifty a stream has to be worth counting.
  p.entries = p.words * p.columns / 50 / p.channels;
  SmallVector<StreamPlan> plans = planStreams(p, 1);
  reason = "no row stream: too little to gain";
  if (plans.empty() ||
      plans.front().cycles >
          getFact(profile, "row_stream.margin") * problem.dense)
    return std::nullopt;
  p.entries = countEntries(problem.view, c.order);
  reason = "no row stream: all weights are zero";
  if (p.entries == 0)
    return std::nullopt;
  return c;
}

static void apply(IRRewriter &rewriter, const Candidate &c,
                  const StreamPlan &plan) {
  kernel::ContractOp op = c.op;
  kernel::PackOp densePack = c.pack;
  rewriter.setInsertionPoint(op);
  Location loc = op.getLoc();
  Type i32 = rewriter.getI32Type();
  int64_t entries = c.problem.entries, columns = c.problem.columns;
  Type element = c.order.step == 1 ? rewriter.getF32Type()
                                   : Type(rewriter.getIntegerType(8));
  int64_t positions = plan.vectors * c.problem.lanes;
  auto storage = RowStreamAttr::get(
      rewriter.getContext(), entries, positions, plan.pitch, c.problem.taps,
      plan.flat ? c.problem.line : 0, c.order.channels, c.order.depth,
      plan.parts, plan.sorted);
  auto tensorOf = [](ArrayRef<int64_t> shape, Type type) -> Type {
    return RankedTensorType::get(shape, type);
  };
  bool isInteger = c.problem.isInteger;
  // Whole vectors of sums are read.
  int64_t channels = c.order.channels;
  int64_t width = std::max(channels, c.problem.lanes);
  auto sums = static_cast<int64_t>(llvm::alignTo(columns, width));
  auto groups = static_cast<int64_t>(llvm::divideCeil(columns, channels));
  auto pack = kernel::PackStreamOp::create(
      rewriter, loc,
      tensorOf({entries, (channels + 1) * c.order.step}, element),
      tensorOf({2 * groups * plan.parts + 1}, i32),
      isInteger ? tensorOf({1, sums}, i32) : Type(), densePack.getSource(),
      densePack.getColumnAttr(), densePack.getReductionsAttr(),
      rewriter.getI64IntegerAttr(c.order.step), storage,
      rewriter.getI64IntegerAttr(c.order.bound), densePack.getOffsetAttr(),
      densePack.getIsUnsignedAttr() ? rewriter.getUnitAttr() : UnitAttr());
  rewriter.modifyOpInPlace(op, [&] {
    op.getRhsMutable().assign(pack.getValues());
    op.getStreamMutable().assign(pack.getStarts());
    op.getSumsMutable().assign(isInteger ? ValueRange(pack.getSums())
                                         : ValueRange());
    op.setPacked(false);
    op.setStorageAttr(storage);
    op.setInstructionAttr(c.instruction);
    op.setTile({positions, width / c.problem.lanes, 0});
  });
  if (densePack->use_empty())
    rewriter.eraseOp(densePack);
}

/// The options by `instruction`.
static SmallVector<StorageOption>
findStreams(const StorageProblem &problem, InstructionAttrInterface instruction,
            EntryShape shape, std::string &reason) {
  std::optional<Candidate> c = match(problem, instruction, shape, reason);
  if (!c)
    return {};
  SmallVector<StorageOption> options;
  // Words and where their activations lie.
  double bytes =
      double(kWordBytes * (shape.channels + 1)) * double(c->problem.entries);
  double read = priceReading(problem.profile, problem.target.getL2(),
                             problem.modelBytes, bytes);
  for (const StreamPlan &plan : planStreams(c->problem, kMostPlans))
    options.push_back(
        {c->getName(plan), "a row stream", std::max(plan.cycles, read), bytes,
         getStreamMargin(c->problem, problem.dense),
         [c = *c, plan](IRRewriter &rewriter) { apply(rewriter, c, plan); }});
  return options;
}

SmallVector<StorageOption>
mlir::tamis::findRowStreams(const StorageProblem &problem,
                            std::string &reason) {
  kernel::ContractOp op = problem.op;
  kernel::PackOp pack = problem.pack;
  SmallVector<StorageOption> options = findStreams(
      problem,
      getStreamInstruction(
          problem.target, getElementTypeOrSelf(op.getLhs().getType()),
          getElementTypeOrSelf(pack.getSource().getType()), op.getAccumulator(),
          op.getLhsUnsigned(), op.getRhsUnsigned()),
      {}, reason);
  // Register tiles: two of them beside each other share gathered words.
  InstructionAttrInterface tile = op.getInstruction();
  if (!tile.isTile())
    return options;
  std::string other;
  options.append(
      findStreams(problem, tile, {2 * tile.getLanes(), /*depth=*/16}, other));
  return options;
}
