// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attention found on buffers: two contractions with one loop over rows between
// them, in that order, and scores that nobody else reads. They become one
// region; AttentionKernel.cpp makes the kernel.
#include "Attention.h"
#include "RowKernel.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/Utils/MemRefUtils.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "tamis/Conversion/UpperBounds.h"
#include "tamis/Gpu/Mapping.h"
#include "tamis/Gpu/Passes.h"
#include "tamis/Kernels/Classify.h"
#include "tamis/Kernels/Passes.h"
#include "tamis/Target/Target.h"
#include "tamis/Transforms/RowLanes.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_GROUPATTENTION
#include "tamis/Gpu/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::device;

using Buffers = llvm::SmallDenseSet<Value>;

static Value getBase(Value value) {
  return memref::skipViewLikeOps(cast<MemrefValue>(value));
}

namespace {
/// The memory an operation touches.
struct Accesses {
  Buffers reads, writes;
};

/// Attention with the buffers of its scores.
struct Candidate : Attention {
  SmallVector<memref::AllocOp> strips;

  Block *getBlock() { return values->getBlock(); }
  bool isStrip(Value buffer) {
    return llvm::is_contained(strips, buffer.getDefiningOp());
  }
  bool contains(Operation *op) {
    return op == scores || op == rows || op == values;
  }
};
} // namespace

/// Adds what `op` and all inside it touch; failure where that is not known.
static LogicalResult addAccesses(Operation *op, Accesses &accesses) {
  WalkResult known = op->walk([&](Operation *inner) {
    if (isMemoryEffectFree(inner) || isa<memref::AllocOp>(inner))
      return WalkResult::advance();
    auto destination = dyn_cast<DestinationStyleOpInterface>(inner);
    if (!destination)
      return inner->hasTrait<OpTrait::HasRecursiveMemoryEffects>()
                 ? WalkResult::advance()
                 : WalkResult::interrupt();
    for (OpOperand &operand : inner->getOpOperands())
      if (isa<MemRefType>(operand.get().getType()))
        (destination.isDpsInit(&operand) ? accesses.writes : accesses.reads)
            .insert(getBase(operand.get()));
    return WalkResult::advance();
  });
  return failure(known.wasInterrupted());
}

//===-- finding -----------------------------------------------------------===//

/// The operations of `block` that use `buffer` for more than its sizes, in
/// order.
static SmallVector<Operation *> getUsers(Value buffer, Block *block) {
  SetVector<Operation *> users;
  for (Operation *user : buffer.getUsers())
    if (Operation *ancestor = block->findAncestorOpInBlock(*user);
        ancestor && !isa<memref::DimOp>(user))
      users.insert(ancestor);
  SmallVector<Operation *> list = users.takeVector();
  llvm::sort(list,
             [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  return list;
}

static Operation *getLastUserBefore(Value buffer, Operation *op) {
  Operation *last = nullptr;
  for (Operation *user : getUsers(buffer, op->getBlock()))
    if (user->isBeforeInBlock(op))
      last = user;
  return last;
}

/// Whole rows of scores: buffers like `like` that the lanes of `rows` share.
static SmallVector<memref::AllocOp> findStrips(Operation *rows,
                                               memref::AllocOp like) {
  llvm::SetVector<memref::AllocOp> strips;
  for (linalg::LinalgOp op : findRows(rows)->getOperations())
    for (OpOperand &operand : op->getOpOperands()) {
      if (!isa<MemRefType>(operand.get().getType()))
        continue;
      auto alloc = getRowSource(operand.get()).getDefiningOp<memref::AllocOp>();
      if (alloc && alloc->getBlock() == like->getBlock() &&
          alloc.getType().getShape() == like.getType().getShape() &&
          alloc.getType().getLayout().isIdentity() &&
          getRowAccess(op, operand, {}) == RowAccess::Elements)
        strips.insert(alloc);
    }
  return strips.takeVector();
}

/// The attention whose second product is `values`, if it looks like one.
static std::optional<Candidate> findCandidate(device::ContractOp values) {
  Candidate candidate;
  candidate.values = values;
  auto last = values.getLhs().getDefiningOp<memref::AllocOp>();
  if (!last || last->getBlock() != values->getBlock())
    return std::nullopt;
  candidate.rows = getLastUserBefore(last, values);
  if (!candidate.rows || !areRows(candidate.rows))
    return std::nullopt;
  candidate.strips = findStrips(candidate.rows, last);
  if (!candidate.isStrip(last))
    return std::nullopt;
  for (memref::AllocOp strip : candidate.strips) {
    auto maker = dyn_cast_or_null<device::ContractOp>(
        getLastUserBefore(strip, candidate.rows));
    if (maker && maker.getInit() == strip.getResult())
      candidate.scores = maker;
  }
  return candidate.scores ? std::optional(candidate) : std::nullopt;
}

FailureOr<SmallVector<unsigned>> device::findRowAxes(Operation *rows,
                                                     ArrayRef<Value> strips) {
  RowNest nest = *findRows(rows);
  SmallVector<int64_t> axes(nest.loops.size(), -1);
  for (Operation &op : nest.blocks.back()->without_terminator()) {
    auto view = dyn_cast<memref::SubViewOp>(op);
    if (!view || !llvm::is_contained(strips, view.getSource())) {
      if (!view && llvm::any_of(op.getOperands(), [&](Value operand) {
            return llvm::is_contained(strips, operand);
          }))
        return failure();
      continue;
    }
    auto shape = view.getSourceType().getShape();
    for (auto [axis, offset, size] :
         llvm::enumerate(view.getMixedOffsets(), view.getMixedSizes())) {
      bool isLast = axis + 1 == shape.size();
      if (isConstantIntValue(offset, 0) && (isLast || shape[axis] == 1))
        continue;
      auto *loop = llvm::find_if(nest.loops, [&](scf::ForOp loop) {
        return offset == OpFoldResult(loop.getInductionVar());
      });
      if (isLast || !isConstantIntValue(size, 1) || loop == nest.loops.end())
        return failure();
      int64_t &known = axes[loop - nest.loops.begin()];
      if (known >= 0 && known != static_cast<int64_t>(axis))
        return failure();
      known = static_cast<int64_t>(axis);
    }
  }
  if (llvm::is_contained(axes, -1))
    return failure();
  return SmallVector<unsigned>(axes.begin(), axes.end());
}

//===-- what speaks against it --------------------------------------------===//

/// A contraction of activations, both read where they lie.
static bool isPlain(device::ContractOp op) {
  return isa<FloatType>(op.getAccumulator()) && !op.getPacked() &&
         !op.getBlock() && op.getFactors().empty() && !op.getLhsZero() &&
         !op.getRhsZero() && isa<FloatType>(getElementTypeOrSelf(op.getRhs()));
}

/// The axes of `map` that walk the groups and the rows of `op`; empty where
/// they do not walk all of it but the last one.
static SmallVector<SmallVector<unsigned>> findAxes(device::ContractOp op,
                                                   AffineMap map) {
  std::string reason;
  FailureOr<ContractionDims> dims = classifyContraction(
      op.getLhsMap(), op.getRhsMap(), op.getOutMap(), op.getBounds(),
      cast<MemRefType>(op.getLhs().getType()).getShape(), 1, reason);
  if (failed(dims) || !map.isProjectedPermutation())
    return {};
  SmallVector<SmallVector<unsigned>> roles;
  for (ArrayRef<unsigned> list : {dims->groups, dims->rows}) {
    roles.emplace_back();
    for (unsigned dim : list) {
      auto axis = map.getResultPosition(getAffineDimExpr(dim, op.getContext()));
      if (!axis || *axis + 1 == map.getNumResults())
        return {};
      roles.back().push_back(*axis);
    }
  }
  unsigned last = map.getDimPosition(map.getNumResults() - 1);
  bool fits = map == op.getOutMap()
                  ? last == dims->column
                  : dims->reductions == SmallVector<unsigned>{last};
  return fits ? roles : SmallVector<SmallVector<unsigned>>();
}

/// Whether `op`, a loop over rows or one operation, writes `buffer` before it
/// reads any of it.
static bool overwrites(Operation *op, Value buffer) {
  bool touched = false, writes = false;
  op->walk<WalkOrder::PreOrder>([&](DestinationStyleOpInterface inner) {
    if (touched)
      return;
    for (OpOperand &operand : inner->getOpOperands()) {
      if (!isa<MemRefType>(operand.get().getType()) ||
          getRowSource(operand.get()) != buffer)
        continue;
      auto structured = dyn_cast<linalg::LinalgOp>(inner.getOperation());
      bool reads =
          !inner.isDpsInit(&operand) ||
          (structured && structured.payloadUsesValueFromOperand(&operand));
      writes = reads ? false : writes || !touched;
      touched = true;
    }
  });
  return touched && writes;
}

/// Whether nobody else wants what is in the strips, before or after.
static bool areLocal(Candidate &candidate) {
  return llvm::all_of(candidate.strips, [&](memref::AllocOp strip) {
    for (Operation *user : getUsers(strip, candidate.getBlock())) {
      if (user->isBeforeInBlock(candidate.scores) || candidate.contains(user))
        continue;
      return candidate.values->isBeforeInBlock(user) && overwrites(user, strip);
    }
    return true;
  });
}

/// Whether rows of all strips can be in one place: none is read after another
/// one was written.
static bool shareMemory(Candidate &candidate) {
  Value current = candidate.scores.getInit();
  for (linalg::LinalgOp op : findRows(candidate.rows)->getOperations()) {
    Value next = current;
    for (OpOperand &operand : op->getOpOperands()) {
      if (!isa<MemRefType>(operand.get().getType()))
        continue;
      Value source = getRowSource(operand.get());
      if (!candidate.isStrip(source))
        continue;
      bool isInit = op.isDpsInit(&operand);
      if (source != current &&
          (!isInit || op.payloadUsesValueFromOperand(&operand)))
        return false;
      if (isInit && next != current && next != source)
        return false;
      if (isInit)
        next = source;
    }
    current = next;
  }
  auto readsStrip = [&](Value value) { return candidate.isStrip(value); };
  return current == candidate.values.getLhs() &&
         llvm::count_if(candidate.scores->getOperands(), readsStrip) == 1 &&
         llvm::count_if(candidate.values->getOperands(), readsStrip) == 1;
}

/// Whether scores and rows may wait until what lies between has run.
static bool canMove(Candidate &candidate) {
  Accesses own;
  if (failed(addAccesses(candidate.scores, own)) ||
      failed(addAccesses(candidate.rows, own)))
    return false;
  for (Operation *op = candidate.scores->getNextNode(); op != candidate.values;
       op = op->getNextNode()) {
    if (op == candidate.rows)
      continue;
    Accesses other;
    if (failed(addAccesses(op, other)))
      return false;
    auto meet = [](const Buffers &a, const Buffers &b) {
      return llvm::any_of(a, [&](Value value) { return b.contains(value); });
    };
    if (meet(other.writes, own.reads) || meet(other.writes, own.writes) ||
        meet(other.reads, own.writes))
      return false;
  }
  return true;
}

/// Whether the region binds no more buffers than a kernel has.
static bool fitsBuffers(Candidate &candidate) {
  Accesses all;
  for (Operation *op : {candidate.scores.getOperation(), candidate.rows,
                        candidate.values.getOperation()})
    if (failed(addAccesses(op, all)))
      return false;
  all.reads.insert(all.writes.begin(), all.writes.end());
  for (memref::AllocOp strip : candidate.strips)
    all.reads.erase(strip);
  return all.reads.size() <= kMostBuffers;
}

/// Why the kernels stay apart, whatever the sizes; empty if nothing is against
/// it.
static std::string refuse(Candidate &candidate) {
  device::ContractOp scores = candidate.scores, values = candidate.values;
  auto element = [](Value memref) { return getElementTypeOrSelf(memref); };
  if (!isPlain(scores) || !isPlain(values))
    return "an operand is constant or no float";
  if (element(scores.getLhs()) != element(values.getLhs()) ||
      scores.getInstruction() != values.getInstruction())
    return "the two products take different instructions";
  if (std::string reason = refuseRows(candidate.rows); !reason.empty())
    return reason;
  auto axes = findAxes(scores, scores.getOutMap());
  if (axes.empty() || axes != findAxes(values, values.getLhsMap()))
    return "the two products walk rows in different ways";
  SmallVector<Value> buffers(candidate.strips.begin(), candidate.strips.end());
  if (failed(findRowAxes(candidate.rows, buffers)))
    return "what lies between does not see whole rows";
  bool areFloats = llvm::all_of(candidate.strips, [](memref::AllocOp strip) {
    Type type = strip.getType().getElementType();
    return isa<FloatType>(type) && type.getIntOrFloatBitWidth() <= 32;
  });
  if (!areFloats || !shareMemory(candidate))
    return "a row has several values at once";
  if (!areLocal(candidate))
    return "scores are read elsewhere";
  if (!canMove(candidate))
    return "something in between needs its place";
  if (!fitsBuffers(candidate))
    return "it has more buffers than a kernel binds";
  return "";
}

//===-- sizes -------------------------------------------------------------===//

namespace {
/// How a workgroup walks attention.
struct StripPlan {
  int64_t pitch;
  TilesAttr scores, values;
};
} // namespace

/// Words of workgroup memory beside the strip.
static int64_t countWords(const StripPlan &plan, device::ContractOp op,
                          Operation *rows) {
  TilesAttr scores = plan.scores;
  int64_t channels = std::max(scores.getChannels(), plan.values.getChannels());
  int64_t tiles =
      (channels + scores.getRows()) * scores.getWords() * scores.getStages();
  int64_t exchanged = op.getInstruction().getExchangeWords() * kAttentionWarps;
  // Sums and extremes of float32 or int32.
  llvm::SmallDenseSet<Type> types;
  for (linalg::LinalgOp inner : findRows(rows)->getOperations())
    for (Value init : inner.getDpsInits())
      types.insert(getElementTypeOrSelf(init.getType()));
  return tiles + exchanged + static_cast<int64_t>(types.size()) * kRowThreads;
}

/// Warps beside each other along columns; along rows too, where columns would
/// leave some without any.
static TilesAttr chooseTiles(device::ContractOp op, int64_t columns,
                             int64_t rows, int64_t words, int64_t stages,
                             bool maySplitRows) {
  constexpr int64_t kMostChannels = 32;
  FragmentShape shape = op.getInstruction().getShape();
  if (ShapedType::isDynamic(columns))
    columns = kMostChannels * kAttentionWarps;
  int64_t along = 1;
  while (maySplitRows && along < kAttentionWarps &&
         kAttentionWarps / along * shape.channels > columns &&
         rows % (2 * along * shape.rows) == 0)
    along *= 2;
  int64_t across = kAttentionWarps / along;
  auto channels = std::min<int64_t>(
      kMostChannels,
      llvm::alignTo(llvm::divideCeil(columns, across), shape.channels));
  return TilesAttr::get(op.getContext(), across * channels, rows, words,
                        channels, rows / along, stages);
}

/// The most rows of `length` elements that fit, but no more than keep the
/// device busy. None if not even few fit.
static std::optional<StripPlan> choosePlan(Candidate &candidate, int64_t length,
                                           int64_t rowCount, int64_t groups) {
  constexpr int64_t kMostRows = 32, kFewRows = 8, kBusy = 128;
  /// Banks that rows apart by so many elements meet differently.
  constexpr int64_t kSkew = 8, kUnit = 32;
  // Words of a tile along the reduction, and stages.
  using Depth = std::pair<int64_t, int64_t>;
  static constexpr Depth kNvptx[] = {{16, 2}, {16, 1}},
                         kVulkan[] = {{16, 1}, {8, 1}};
  bool isNvptx = getDevice(getTarget(candidate.values)) == DeviceKind::Nvptx;
  int64_t budget = (isNvptx ? 48 << 10 : 16 << 10) / 4;
  device::ContractOp scores = candidate.scores, values = candidate.values;
  FragmentShape shape = scores.getInstruction().getShape();
  int64_t columns =
      cast<MemRefType>(values.getInit().getType()).getShape().back();
  std::optional<StripPlan> best;
  for (int64_t rows = kMostRows; rows >= shape.rows; rows /= 2)
    for (auto [words, stages] : isNvptx ? kNvptx : kVulkan) {
      int64_t step = std::max(
          kUnit,
          words * 32 /
              getElementTypeOrSelf(scores.getLhs()).getIntOrFloatBitWidth());
      StripPlan plan;
      plan.pitch = static_cast<int64_t>(llvm::alignTo(length, step)) + kSkew;
      plan.scores = chooseTiles(scores, length, rows, words, stages, false);
      plan.values = chooseTiles(values, columns, rows, words, stages, true);
      if (countWords(plan, scores, candidate.rows) + rows * plan.pitch > budget)
        continue;
      best = plan;
      bool isBusy =
          static_cast<int64_t>(llvm::divideCeil(rowCount, rows)) * groups >=
          kBusy;
      if (isBusy || rows <= kFewRows)
        return best;
      break;
    }
  return best;
}

namespace {
struct GroupAttention : tamis::impl::GroupAttentionBase<GroupAttention> {
  void runOnOperation() override {
    SmallVector<device::ContractOp> contracts;
    getOperation().walk(
        [&](device::ContractOp op) { contracts.push_back(op); });
    UpperBounds bounds;
    SmallVector<Attribute> notes;
    for (device::ContractOp op : contracts)
      if (std::optional<Candidate> candidate = findCandidate(op))
        notes.push_back(group(*candidate, bounds));
    if (!notes.empty())
      getOperation()->setAttr(kAttentionAttrName,
                              Builder(&getContext()).getArrayAttr(notes));
  }

  /// The largest that axis `axis` of `strip` becomes.
  static std::optional<int64_t> getBound(memref::AllocOp strip, unsigned axis,
                                         UpperBounds &bounds) {
    OpFoldResult size = strip.getMixedSizes()[axis];
    if (auto known = getConstantIntValue(size))
      return known;
    return bounds.get(cast<Value>(size));
  }

  DictionaryAttr group(Candidate &candidate, UpperBounds &bounds) {
    Builder b(&getContext());
    NamedAttrList note;
    StringAttr origin = candidate.values.getOriginAttr();
    note.set("layer", origin ? origin : b.getStringAttr(""));
    auto leave = [&](const Twine &reason) {
      ++numLeft;
      note.set("reason", b.getStringAttr(reason));
      return note.getDictionary(&getContext());
    };
    if (std::string reason = refuse(candidate); !reason.empty())
      return leave(reason);
    memref::AllocOp strip = candidate.strips.front();
    auto rank = static_cast<unsigned>(strip.getType().getRank());
    std::optional<int64_t> length = getBound(strip, rank - 1, bounds);
    if (!length)
      return leave("the length of a row has no bound");
    constexpr int64_t kOpen = 4096;
    auto roles = findAxes(candidate.scores, candidate.scores.getOutMap());
    auto count = [&](ArrayRef<unsigned> axes) {
      int64_t product = 1;
      for (unsigned axis : axes)
        product *= getBound(strip, axis, bounds).value_or(kOpen);
      return product;
    };
    std::optional<StripPlan> plan =
        choosePlan(candidate, *length, count(roles[1]), count(roles[0]));
    if (!plan)
      return leave("a row of " + Twine(*length) +
                   " scores is too long for workgroup memory");
    note.set("rows", b.getI64IntegerAttr(plan->scores.getRows()));
    note.set("length", b.getI64IntegerAttr(*length));
    apply(candidate, *plan);
    ++numGrouped;
    return note.getDictionary(&getContext());
  }

  void apply(Candidate &candidate, const StripPlan &plan) {
    device::ContractOp scores = candidate.scores, values = candidate.values;
    OpBuilder b(values);
    Location loc = values.getLoc();
    auto region = scf::ExecuteRegionOp::create(b, loc, TypeRange());
    region.setNoInline(true);
    region->setAttr("tamis.kernel", b.getUnitAttr());
    region->setAttr(kStripAttrName, b.getI64IntegerAttr(plan.pitch));
    if (values.getOriginAttr())
      region->setAttr("origin", values.getOriginAttr());
    b.createBlock(&region.getRegion());
    Operation *end = scf::YieldOp::create(b, loc);
    b.setInsertionPoint(end);
    for (Operation *op :
         {scores.getOperation(), candidate.rows, values.getOperation()})
      op->moveBefore(end);
    b.setInsertionPointToStart(&region.getRegion().front());
    for (memref::AllocOp strip : candidate.strips) {
      Value local = memref::AllocaOp::create(b, loc, strip.getType(),
                                             strip.getDynamicSizes());
      strip.getResult().replaceUsesWithIf(local, [&](OpOperand &use) {
        return region->isProperAncestor(use.getOwner());
      });
      if (strip->use_empty())
        strip->erase();
    }
    scores.setTilesAttr(plan.scores);
    values.setTilesAttr(plan.values);
    // What tells equal layers apart is said once, of the region.
    for (device::ContractOp op : {scores, values}) {
      op.removeOriginAttr();
      op->removeAttr(kChoiceAttrName);
    }
  }
};
} // namespace
