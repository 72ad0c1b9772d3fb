// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Softmax and the norms arrive as a reduction, elementwise operations, another
// reduction, and so on, over the same rows. Doing all of it for one row before
// the next keeps the row in L1. This works on buffers, where what an operation
// touches is plain to see and where the destination can hold what used to be a
// temporary.
#include "RowGroup.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "tamis/Target/Target.h"
#include "tamis/Transforms/Passes.h"
#include "tamis/Transforms/VectorizeNest.h"
#include <map>

namespace mlir::tamis {
#define GEN_PASS_DEF_FUSEROWS
#include "tamis/Transforms/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

static bool isInKernel(Operation *op) {
  while ((op = op->getParentOp()))
    if (op->hasAttr("tamis.kernel"))
      return true;
  return false;
}

static bool isRowOp(Operation *op) {
  auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
  return linalgOp && linalgOp.hasPureBufferSemantics() &&
         isa<linalg::GenericOp, linalg::FillOp>(op);
}

/// Whether lanes have something to share: the widest operand is reduced along
/// its innermost dimension, and no other row reads the same of it.
static bool isForLanes(linalg::LinalgOp op) {
  return llvm::any_of(op.getDpsInputOperands(), [&](OpOperand *input) {
    if (!isa<MemRefType>(input->get().getType()) ||
        op.getMatchingBlockArgument(input).use_empty())
      return false;
    AffineMap map = op.getMatchingIndexingMap(input);
    if (!map.isProjectedPermutation() ||
        map.getNumResults() != op.getNumLoops() || map.getNumResults() == 0)
      return false;
    return op.getIteratorTypesArray()[map.getDimPosition(
               map.getNumResults() - 1)] == utils::IteratorType::reduction;
  });
}

/// The rows of a reduction: what its result is indexed by, without the
/// innermost dimension of its input if that is none to be summed, because that
/// one becomes vectors.
static SmallVector<unsigned> chooseRows(linalg::LinalgOp op) {
  AffineMap output = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  OpOperand *widest = nullptr;
  for (OpOperand *input : op.getDpsInputOperands())
    if (isa<MemRefType>(input->get().getType()) &&
        !op.getMatchingBlockArgument(input).use_empty() &&
        (!widest || op.getMatchingIndexingMap(input).getNumResults() >
                        op.getMatchingIndexingMap(widest).getNumResults()))
      widest = input;
  if (!widest || !output.isProjectedPermutation())
    return {};
  AffineMap input = op.getMatchingIndexingMap(widest);
  if (input.getNumResults() == 0)
    return {};
  auto iterators = op.getIteratorTypesArray();
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  auto last = dyn_cast<AffineDimExpr>(input.getResults().back());
  if (!last)
    return {};
  // Short sums are better done for many rows at once.
  if (iterators[last.getPosition()] == utils::IteratorType::reduction &&
      ranges[last.getPosition()] > 0 && ranges[last.getPosition()] < 8)
    return {};
  SmallVector<unsigned> rows;
  for (AffineExpr expr : output.getResults()) {
    unsigned dim = cast<AffineDimExpr>(expr).getPosition();
    if (dim == last.getPosition())
      continue;
    bool plain = llvm::all_of(op.getIndexingMapsArray(), [&](AffineMap map) {
      return plainPosition(map, dim).has_value();
    });
    if (plain)
      rows.push_back(dim);
  }
  return rows;
}

namespace {
struct FuseRows : public tamis::impl::FuseRowsBase<FuseRows> {
  using FuseRowsBase::FuseRowsBase;

  void runOnOperation() override {
    if (lanes)
      sinkFills();
    SmallVector<linalg::LinalgOp> seeds;
    getOperation()->walk([&](linalg::GenericOp op) {
      if (isRowOp(op) && op.getNumReductionLoops() > 0 &&
          !op->getParentOp()->hasAttr("tamis.kernel") &&
          (!lanes || isForLanes(op)))
        seeds.push_back(op);
    });
    llvm::SmallPtrSet<Operation *, 16> done;
    for (linalg::LinalgOp seed : seeds) {
      if (done.contains(seed))
        continue;
      RowGroup group = grow(seed);
      if (group.ops.size() < (lanes ? 1 : 2))
        continue;
      for (linalg::LinalgOp op : group.ops)
        done.insert(op);
      emit(group);
      ++numGroups;
      numFused += group.ops.size();
    }
  }

  /// Moves start values to whoever needs them first. Those of equal layers have
  /// become one operation on tensors, then a row of fills in front of the first
  /// layer, whose kernel would bind the buffers of all.
  void sinkFills() {
    SmallVector<linalg::FillOp> fills;
    getOperation()->walk([&](linalg::FillOp op) { fills.push_back(op); });
    for (linalg::FillOp fill : fills) {
      auto alloc = fill.getOutputs()[0].getDefiningOp<memref::AllocOp>();
      Block *block = fill->getBlock();
      if (!alloc || alloc->getBlock() != block)
        continue;
      Operation *next = nullptr;
      bool plain = llvm::all_of(alloc->getUsers(), [&](Operation *user) {
        Operation *place = block->findAncestorOpInBlock(*user);
        if (fill->isBeforeInBlock(place) &&
            (!next || place->isBeforeInBlock(next)))
          next = place;
        return place != user || !isa<ViewLikeOpInterface>(user);
      });
      if (plain && next)
        fill->moveBefore(next);
    }
  }

  RowGroup grow(linalg::LinalgOp seed) {
    RowGroup group;
    group.lanes = lanes;
    Value output = seed.getDpsInits()[0];
    AffineMap map = seed.getMatchingIndexingMap(seed.getDpsInitOperand(0));
    for (unsigned dim : chooseRows(seed))
      group.extents.push_back({output, *plainPosition(map, dim)});
    // The seed itself enters through its first result.
    SmallVector<unsigned> positions;
    for (auto &[buffer, axis] : group.extents)
      positions.push_back(axis);
    group.axes[output] = positions;
    group.written.insert(output);
    if (!group.add(seed, /*atEnd=*/true))
      return RowGroup();
    auto passable = [](Operation *op) {
      return isMemoryEffectFree(op) || isa<memref::AllocOp>(op);
    };
    for (Operation *op = seed->getPrevNode(); op; op = op->getPrevNode()) {
      if (passable(op))
        continue;
      if (!isRowOp(op))
        break;
      // Without rows only the start value belongs to the sum.
      bool fills = isa<linalg::FillOp>(op) &&
                   llvm::is_contained(seed.getDpsInits(),
                                      cast<linalg::FillOp>(op).getOutputs()[0]);
      if ((group.rank() == 0 && !fills) ||
          !group.add(cast<linalg::LinalgOp>(op), /*atEnd=*/false))
        break;
    }
    if (group.rank() == 0 && !lanes)
      return group;
    for (Operation *op = seed->getNextNode(); op; op = op->getNextNode()) {
      if (passable(op))
        continue;
      // And what is computed of a sum of everything.
      if (!isRowOp(op) ||
          (group.rank() == 0 &&
           !getLaneDims(cast<linalg::LinalgOp>(op), {}).empty()) ||
          !group.add(cast<linalg::LinalgOp>(op), /*atEnd=*/true))
        break;
    }
    return group;
  }

  /// A temporary that dies in an operation writing a buffer of the same shape,
  /// element by element, can live in that buffer from the start.
  DenseMap<Value, Value> findHosts(RowGroup &group) {
    DenseMap<Value, Value> hosts;
    for (Value buffer : group.written) {
      auto alloc = buffer.getDefiningOp<memref::AllocOp>();
      if (!alloc)
        continue;
      linalg::LinalgOp lastUser;
      bool inside = llvm::all_of(buffer.getUsers(), [&](Operation *user) {
        auto it = llvm::find(group.ops, user);
        if (it == group.ops.end())
          return false;
        if (!lastUser || lastUser->isBeforeInBlock(user))
          lastUser = *it;
        return true;
      });
      if (!inside || lastUser.getNumDpsInits() != 1 ||
          lastUser.getNumReductionLoops() > 0)
        continue;
      OpOperand *init = lastUser.getDpsInitOperand(0);
      Value host = init->get();
      if (host == buffer || host.getType() != buffer.getType() ||
          hosts.contains(host) ||
          !lastUser.getMatchingBlockArgument(init).use_empty())
        continue;
      bool sameElements = true, read = false;
      for (OpOperand &operand : lastUser->getOpOperands()) {
        if (operand.get() == buffer) {
          read = true;
          sameElements &= lastUser.getMatchingIndexingMap(&operand) ==
                          lastUser.getMatchingIndexingMap(init);
        }
      }
      bool untouched = llvm::none_of(group.ops, [&](linalg::LinalgOp op) {
        return op->isBeforeInBlock(lastUser) &&
               llvm::is_contained(op->getOperands(), host);
      });
      bool taken = llvm::any_of(
          hosts, [&](auto &entry) { return entry.second == host; });
      if (read && sameElements && untouched && !taken)
        hosts[buffer] = host;
    }
    return hosts;
  }

  void emit(RowGroup &group) {
    llvm::sort(group.ops, [](linalg::LinalgOp x, linalg::LinalgOp y) {
      return x->isBeforeInBlock(y);
    });
    linalg::LinalgOp last = group.ops.back();
    Location loc = last.getLoc();
    OpBuilder b(last);
    DenseMap<Value, Value> hosts = findHosts(group);
    numHosted += hosts.size();
    SmallVector<Value> sizes;
    bool loops = false;
    for (auto &[buffer, axis] : group.extents) {
      Value measured = hosts.contains(buffer) ? hosts.lookup(buffer) : buffer;
      sizes.push_back(b.createOrFold<memref::DimOp>(loc, measured, axis));
      loops |= getConstantIntValue(sizes.back()) != 1;
    }
    // A single row needs no loop, but stays one kernel.
    Operation *kernel = nullptr;
    if (!loops && !isInKernel(last)) {
      auto region = scf::ExecuteRegionOp::create(b, loc, TypeRange());
      region.setNoInline(true);
      kernel = region;
      b.createBlock(&region.getRegion());
      auto yield = scf::YieldOp::create(b, loc);
      b.setInsertionPoint(yield);
    }
    SmallVector<Value> rows;
    Value zero = arith::ConstantIndexOp::create(b, loc, 0);
    Value one = arith::ConstantIndexOp::create(b, loc, 1);
    // Within a kernel the tasks are made.
    int64_t tasks = loops && !isInKernel(last) ? countTasks(group) : 1;
    for (Value size : sizes) {
      if (getConstantIntValue(size) == 1) {
        rows.push_back(zero);
        continue;
      }
      Value from = zero, to = size;
      std::optional<int64_t> known = getConstantIntValue(size);
      int64_t split = known ? std::min(*known, tasks) : tasks;
      if (!kernel && split > 1) {
        Value share = b.createOrFold<arith::CeilDivUIOp>(
            loc, size, arith::ConstantIndexOp::create(b, loc, split));
        auto forall = scf::ForallOp::create(
            b, loc, ArrayRef<OpFoldResult>{b.getIndexAttr(split)}, ValueRange(),
            std::nullopt);
        kernel = forall;
        b.setInsertionPoint(forall.getTerminator());
        Value start =
            arith::MulIOp::create(b, loc, forall.getInductionVars()[0], share);
        from = arith::MinUIOp::create(b, loc, start, size);
        to = arith::MinUIOp::create(
            b, loc, size, arith::AddIOp::create(b, loc, start, share));
      }
      auto loop = scf::ForOp::create(b, loc, from, to, one);
      if (!kernel)
        kernel = loop;
      rows.push_back(loop.getInductionVar());
      b.setInsertionPoint(loop.getBody()->getTerminator());
    }
    if (!isInKernel(last))
      kernel->setAttr("tamis.kernel", b.getUnitAttr());
    slices.clear();
    for (linalg::LinalgOp op : group.ops)
      divideByReciprocal(group, op);
    for (linalg::LinalgOp op : group.ops)
      emitRow(b, op, group.rowDims[op], rows, hosts);
    for (linalg::LinalgOp op : llvm::reverse(group.ops))
      op->erase();
    for (auto &[buffer, host] : hosts)
      if (buffer.use_empty())
        buffer.getDefiningOp()->erase();
  }

  /// Threads are woken for work of about 50 microseconds and more.
  static int64_t countTasks(RowGroup &group) {
    double work = 0;
    for (linalg::LinalgOp op : group.ops) {
      double iterations = 1;
      for (int64_t range : op.getStaticLoopRanges())
        iterations *= ShapedType::isDynamic(range) ? 1024 : range;
      unsigned cost = 1;
      for (Operation &inner : op->getRegion(0).front())
        cost += inner.getName().getDialectNamespace() == "math" ? 16 : 1;
      work += iterations * cost;
    }
    VectorTarget target = VectorTarget::of(group.ops.front());
    return target.tasksFor(work * 32 / target.bits);
  }

  /// Softmax divides a row of exponentials by their sum: one reciprocal per row
  /// and products instead, unless the policy is strict. The sum is no smaller
  /// than any dividend, so the quotient stays finite.
  static void divideByReciprocal(RowGroup &group, linalg::LinalgOp op) {
    if (isStrict(op))
      return;
    auto writer = [&](Value argument) -> linalg::LinalgOp {
      auto block = dyn_cast<BlockArgument>(argument);
      if (!block || block.getOwner()->getParentOp() != op)
        return nullptr;
      Value buffer = op->getOperand(block.getArgNumber());
      for (linalg::LinalgOp other : llvm::reverse(group.ops))
        if (other->isBeforeInBlock(op) &&
            llvm::is_contained(other.getDpsInits(), buffer))
          return other;
      return nullptr;
    };
    auto lastValue = [](linalg::LinalgOp from) {
      return from->getRegion(0)
          .front()
          .getTerminator()
          ->getOperand(0)
          .getDefiningOp();
    };
    for (auto division :
         llvm::make_early_inc_range(op->getRegion(0).getOps<arith::DivFOp>())) {
      linalg::LinalgOp dividend = writer(division.getLhs());
      linalg::LinalgOp divisor = writer(division.getRhs());
      if (!dividend || !divisor || divisor.getNumReductionLoops() == 0 ||
          !isa_and_nonnull<math::ExpOp>(lastValue(dividend)) ||
          !isa_and_nonnull<arith::AddFOp>(lastValue(divisor)) ||
          !llvm::is_contained(
              divisor->getOperands(),
              op->getOperand(
                  cast<BlockArgument>(division.getLhs()).getArgNumber())))
        continue;
      OpBuilder b(division);
      Location loc = division.getLoc();
      Value one = arith::ConstantOp::create(
          b, loc, b.getFloatAttr(division.getType(), 1.0));
      Value inverse = arith::DivFOp::create(b, loc, one, division.getRhs());
      Value product = arith::MulFOp::create(b, loc, division.getLhs(), inverse);
      division.replaceAllUsesWith(product);
      division.erase();
    }
  }

  /// `op` on the slices of its operands at one row.
  void emitRow(OpBuilder &b, linalg::LinalgOp op, ArrayRef<unsigned> rowDims,
               ArrayRef<Value> rows, const DenseMap<Value, Value> &hosts) {
    Location loc = op.getLoc();
    // Dimensions that stay, renumbered.
    unsigned kept = 0;
    SmallVector<AffineExpr> renumbered;
    for (unsigned d = 0; d < op.getNumLoops(); ++d)
      renumbered.push_back(llvm::is_contained(rowDims, d)
                               ? b.getAffineConstantExpr(0)
                               : b.getAffineDimExpr(kept++));
    SmallVector<AffineMap> maps;
    SmallVector<Value> operands;
    for (OpOperand &operand : op->getOpOperands()) {
      AffineMap map = op.getMatchingIndexingMap(&operand);
      Value value = hosts.contains(operand.get()) ? hosts.lookup(operand.get())
                                                  : operand.get();
      auto type = dyn_cast<MemRefType>(value.getType());
      SmallVector<OpFoldResult> offsets, sizes, strides;
      SmallVector<int64_t> shape;
      SmallVector<AffineExpr> results;
      for (auto [axis, expr] : llvm::enumerate(map.getResults())) {
        auto dim = dyn_cast<AffineDimExpr>(expr);
        auto it = dim ? llvm::find(rowDims, dim.getPosition()) : rowDims.end();
        strides.push_back(b.getIndexAttr(1));
        if (it != rowDims.end()) {
          offsets.push_back(rows[it - rowDims.begin()]);
          sizes.push_back(b.getIndexAttr(1));
          continue;
        }
        offsets.push_back(b.getIndexAttr(0));
        if (type.isDynamicDim(axis))
          sizes.push_back(b.createOrFold<memref::DimOp>(loc, value, axis));
        else
          sizes.push_back(b.getIndexAttr(type.getDimSize(axis)));
        shape.push_back(type.getDimSize(axis));
        results.push_back(expr.replaceDims(renumbered));
      }
      if (type && results.size() != map.getNumResults()) {
        // One view per slice, so that a fill and its reader name the same.
        SmallVector<const void *> key{value.getAsOpaquePointer()};
        for (OpFoldResult offset : offsets)
          key.push_back(offset.getOpaqueValue());
        Value &known = slices[key];
        if (known) {
          operands.push_back(known);
          maps.push_back(AffineMap::get(kept, 0, results, b.getContext()));
          continue;
        }
        // A row of one is a constant value: the type knows it, so must the op.
        for (OpFoldResult &offset : offsets)
          if (std::optional<int64_t> constant = getConstantIntValue(offset))
            offset = b.getIndexAttr(*constant);
        auto sliced = memref::SubViewOp::inferRankReducedResultType(
            shape, type, offsets, sizes, strides);
        value = memref::SubViewOp::create(b, loc, cast<MemRefType>(sliced),
                                          value, offsets, sizes, strides);
        known = value;
      }
      operands.push_back(value);
      maps.push_back(AffineMap::get(kept, 0, results, b.getContext()));
    }
    if (isa<linalg::FillOp>(op)) {
      linalg::FillOp::create(b, loc, operands[0], operands[1]);
      return;
    }
    SmallVector<utils::IteratorType> iterators;
    for (auto [d, kind] : llvm::enumerate(op.getIteratorTypesArray()))
      if (!llvm::is_contained(rowDims, d))
        iterators.push_back(kind);
    unsigned inputs = op.getNumDpsInputs();
    auto generic = linalg::GenericOp::create(
        b, loc, ArrayRef(operands).take_front(inputs),
        ArrayRef(operands).drop_front(inputs), maps, iterators);
    IRMapping mapping;
    op->getRegion(0).cloneInto(&generic.getRegion(), mapping);
    SmallVector<linalg::IndexOp> indices;
    generic.getRegion().walk([&](linalg::IndexOp i) { indices.push_back(i); });
    for (linalg::IndexOp index : indices) {
      auto it = llvm::find(rowDims, index.getDim());
      if (it != rowDims.end()) {
        index.getResult().replaceAllUsesWith(rows[it - rowDims.begin()]);
        index.erase();
      } else {
        auto dim = cast<AffineDimExpr>(renumbered[index.getDim()]);
        index.setDim(dim.getPosition());
      }
    }
  }

  std::map<SmallVector<const void *>, Value> slices;
};
} // namespace
