// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attention found on buffers: two contractions with one loop over rows between
// them, in that order, and scores that nobody else reads.
#include "Attention.h"
#include "RowKernel.h"
#include "mlir/Dialect/MemRef/Utils/MemRefUtils.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "tamis/Gpu/Mapping.h"
#include "tamis/Kernels/Classify.h"
#include "tamis/Transforms/RowLanes.h"
#include "llvm/ADT/SetVector.h"

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
} // namespace

/// Adds what `op` and all inside it touch; failure where that is not known.
static LogicalResult addAccesses(Operation *op, Accesses &accesses) {
  WalkResult known = op->walk([&](Operation *inner) {
    if (isMemoryEffectFree(inner) ||
        isa<memref::AllocOp, kernel::CheckOp>(inner))
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

std::optional<Attention> device::findAttention(device::ContractOp values) {
  Attention attention;
  attention.values = values;
  auto last = values.getLhs().getDefiningOp<memref::AllocOp>();
  if (!last || last->getBlock() != values->getBlock())
    return std::nullopt;
  attention.rows = getLastUserBefore(last, values);
  if (!attention.rows || !areRows(attention.rows))
    return std::nullopt;
  attention.strips = findStrips(attention.rows, last);
  if (!attention.isStrip(last))
    return std::nullopt;
  for (memref::AllocOp strip : attention.strips) {
    auto maker = dyn_cast_or_null<device::ContractOp>(
        getLastUserBefore(strip, attention.rows));
    if (maker && maker.getInit() == strip.getResult())
      attention.scores = maker;
  }
  return attention.scores ? std::optional(attention) : std::nullopt;
}

FailureOr<SmallVector<unsigned>> device::findLoopAxes(Operation *rows,
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

/// Whether the views of strips that `rows` has go from the first element of a
/// row to the last.
static bool seesWholeRows(Attention &attention) {
  Block *block = findRows(attention.rows)->blocks.back();
  return llvm::all_of(
      block->getOps<memref::SubViewOp>(), [&](memref::SubViewOp view) {
        return !attention.isStrip(view.getSource()) ||
               isEqualConstantIntOrValue(view.getMixedSizes().back(),
                                         view.getSource()
                                             .getDefiningOp<memref::AllocOp>()
                                             .getMixedSizes()
                                             .back());
      });
}

/// A contraction of activations, both read where they lie.
static bool isPlain(device::ContractOp op) {
  return isa<FloatType>(op.getAccumulator()) && !op.getPacked() &&
         !op.getBlock() && op.getFactors().empty() && !op.getLhsZero() &&
         !op.getRhsZero() && isa<FloatType>(getElementTypeOrSelf(op.getRhs()));
}

std::optional<RowAxes> device::findRowAxes(device::ContractOp op,
                                           AffineMap map) {
  std::string reason;
  FailureOr<ContractionDims> dims = classifyContraction(
      op.getLhsMap(), op.getRhsMap(), op.getOutMap(), op.getBounds(),
      cast<MemRefType>(op.getLhs().getType()).getShape(), 1, reason);
  if (failed(dims) || !map.isProjectedPermutation())
    return std::nullopt;
  RowAxes axes;
  auto add = [&](ArrayRef<unsigned> list, SmallVector<unsigned> &to) {
    return llvm::all_of(list, [&](unsigned dim) {
      auto axis = map.getResultPosition(getAffineDimExpr(dim, op.getContext()));
      if (!axis || *axis + 1 == map.getNumResults())
        return false;
      to.push_back(*axis);
      return true;
    });
  };
  unsigned last = map.getDimPosition(map.getNumResults() - 1);
  bool fits = map == op.getOutMap()
                  ? last == dims->column
                  : dims->reductions == SmallVector<unsigned>{last};
  if (!fits || !add(dims->groups, axes.groups) || !add(dims->rows, axes.rows))
    return std::nullopt;
  return axes;
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
static bool areLocal(Attention &attention) {
  return llvm::all_of(attention.strips, [&](memref::AllocOp strip) {
    // Views hide who uses them.
    if (llvm::any_of(strip->getUsers(), [&](Operation *user) {
          return isa<ViewLikeOpInterface>(user) &&
                 user->getBlock() == attention.getBlock();
        }))
      return false;
    for (Operation *user : getUsers(strip, attention.getBlock())) {
      if (user->isBeforeInBlock(attention.scores) || attention.contains(user))
        continue;
      return attention.values->isBeforeInBlock(user) && overwrites(user, strip);
    }
    return true;
  });
}

/// Whether rows of all strips can be in one place: none is read after another
/// one was written.
static bool shareMemory(Attention &attention) {
  Value current = attention.scores.getInit();
  for (linalg::LinalgOp op : findRows(attention.rows)->getOperations()) {
    Value next = current;
    for (OpOperand &operand : op->getOpOperands()) {
      if (!isa<MemRefType>(operand.get().getType()))
        continue;
      Value source = getRowSource(operand.get());
      if (!attention.isStrip(source))
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
  auto readsStrip = [&](Value value) { return attention.isStrip(value); };
  return current == attention.values.getLhs() &&
         llvm::count_if(attention.scores->getOperands(), readsStrip) == 1 &&
         llvm::count_if(attention.values->getOperands(), readsStrip) == 1;
}

/// Whether scores and rows may wait until what lies between has run.
static bool canMove(Attention &attention) {
  Accesses own;
  if (failed(addAccesses(attention.scores, own)) ||
      failed(addAccesses(attention.rows, own)))
    return false;
  for (Operation *op = attention.scores->getNextNode(); op != attention.values;
       op = op->getNextNode()) {
    if (op == attention.rows)
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
static bool fitsBuffers(Attention &attention) {
  Accesses all;
  for (Operation *op : {attention.scores.getOperation(), attention.rows,
                        attention.values.getOperation()})
    if (failed(addAccesses(op, all)))
      return false;
  all.reads.insert(all.writes.begin(), all.writes.end());
  for (memref::AllocOp strip : attention.strips)
    all.reads.erase(strip);
  return all.reads.size() <= kMostBuffers;
}

/// Why the kernels stay apart, whatever the sizes; empty if nothing is against
/// it.
std::string device::refuseAttention(Attention &attention) {
  device::ContractOp scores = attention.scores, values = attention.values;
  auto element = [](Value memref) { return getElementTypeOrSelf(memref); };
  if (!isPlain(scores) || !isPlain(values))
    return "an operand is constant or no float";
  if (element(scores.getLhs()) != element(values.getLhs()) ||
      scores.getInstruction() != values.getInstruction())
    return "the two products take different instructions";
  if (std::string reason = refuseRows(attention.rows); !reason.empty())
    return reason;
  std::optional<RowAxes> axes = findRowAxes(scores, scores.getOutMap());
  if (!axes || axes != findRowAxes(values, values.getLhsMap()))
    return "the two products walk rows in different ways";
  SmallVector<Value> buffers(attention.strips.begin(), attention.strips.end());
  if (failed(findLoopAxes(attention.rows, buffers)) ||
      !seesWholeRows(attention))
    return "what lies between does not see whole rows";
  bool areFloats = llvm::all_of(attention.strips, [](memref::AllocOp strip) {
    Type type = strip.getType().getElementType();
    return isa<FloatType>(type) && type.getIntOrFloatBitWidth() <= 32;
  });
  if (!areFloats || !shareMemory(attention))
    return "a row has several values at once";
  if (!areLocal(attention))
    return "scores are read elsewhere";
  if (!canMove(attention))
    return "something in between needs its place";
  if (!fitsBuffers(attention))
    return "it has more buffers than a kernel binds";
  return "";
}
