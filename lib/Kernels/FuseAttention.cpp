// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Makes the loop over strips that SelectAttention.cpp asked for. On buffers, as
// row loops are made (FuseRows.cpp): what an operation touches is plain to see
// there, slices are views, and the kernels of both contractions read and write
// them as they are.
#include "BufferAccesses.h"
#include "MaskedKeys.h"
#include "RowChain.h"
#include "TaskLoop.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "tamis/Kernels/Classify.h"
#include "tamis/Kernels/Passes.h"
#include "tamis/Kernels/Tiling.h"
#include <map>

namespace mlir::tamis {
#define GEN_PASS_DEF_FUSEATTENTION
#include "tamis/Kernels/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

static int64_t getStrip(kernel::ContractOp op) {
  return Tiling::get(op.getTile()).strip;
}

static void setStrip(kernel::ContractOp op, int64_t rows) {
  Tiling tiling = Tiling::get(op.getTile());
  tiling.strip = rows;
  op.setTile(tiling.getTile());
}

namespace {
/// Two contractions with what lies between them.
struct Strips {
  kernel::ContractOp first, second;
  /// In block order, both contractions too.
  SmallVector<DestinationStyleOpInterface> ops;
  /// The leading dimensions of the rows.
  int64_t rank = 0;

  /// Finds the second contraction and what has to move to it.
  LogicalResult find();
  /// The buffers that need hold no more than one strip.
  SmallVector<memref::AllocOp> findLocals();
};

/// Strips by the buffer they are instead of, their rows and tasks: layers that
/// shared that buffer go on sharing.
using StripBuffers =
    DenseMap<std::pair<Value, std::pair<int64_t, int64_t>>, Value>;

/// Where a strip is: an offset and a size for each leading dimension.
struct Window {
  SmallVector<OpFoldResult> offsets, sizes;
};
} // namespace

LogicalResult Strips::find() {
  BufferAccesses all;
  // Buffers that hold the rows.
  llvm::SmallDenseSet<Value> made;
  auto isRows = [&](Value value) {
    return isa<MemRefType>(value.getType()) && made.contains(getBase(value));
  };
  rank = cast<MemRefType>(first.getInit().getType()).getRank() - 1;
  if (!makesRows(first))
    return failure();
  for (Operation *op = first; op; op = op->getNextNode()) {
    std::optional<BufferAccesses> accesses = BufferAccesses::get(op);
    if (!accesses)
      return failure();
    auto contract = dyn_cast<kernel::ContractOp>(op);
    auto generic = dyn_cast<linalg::GenericOp>(op);
    bool isSecond = contract && op != first && getStrip(contract) &&
                    isRows(contract.getLhs());
    bool joins = op == first || isSecond ||
                 (generic && llvm::any_of(op->getOperands(), isRows));
    if (!joins) {
      // What stays comes first from then on.
      if (accesses->clashes(all))
        return failure();
      continue;
    }
    if ((isSecond && !readsRows(contract, rank)) ||
        (generic && !keepsRows(generic, rank, isRows)))
      return failure();
    ops.push_back(cast<DestinationStyleOpInterface>(op));
    // An earlier strip must not write what a later one still reads.
    all.reads.insert_range(accesses->reads);
    for (Value base : accesses->writes)
      if (isSecond ? all.reads.contains(base) || made.contains(base)
                   : all.reads.contains(base) && !made.contains(base))
        return failure();
    if (isSecond) {
      second = contract;
      return success();
    }
    all.writes.insert_range(accesses->writes);
    made.insert_range(accesses->writes);
  }
  return failure();
}

/// True if `op` writes all of `buffer` without reading it.
static bool overwrites(Operation *op, Value buffer) {
  auto destination = dyn_cast<DestinationStyleOpInterface>(op);
  if (!destination || destination.getNumDpsInits() != 1)
    return false;
  for (OpOperand *input : destination.getDpsInputOperands())
    if (input->get() == buffer)
      return false;
  OpOperand *init = destination.getDpsInitOperand(0);
  if (init->get() != buffer)
    return false;
  if (auto generic = dyn_cast<linalg::GenericOp>(op))
    return generic.getMatchingIndexingMap(init).isPermutation() &&
           generic.getMatchingBlockArgument(init).use_empty();
  return isa<kernel::ContractOp, linalg::FillOp>(op);
}

SmallVector<memref::AllocOp> Strips::findLocals() {
  SmallVector<memref::AllocOp> locals;
  for (DestinationStyleOpInterface op : ArrayRef(ops).drop_back()) {
    auto alloc = op.getDpsInits()[0].getDefiningOp<memref::AllocOp>();
    if (!alloc || alloc->getBlock() != first->getBlock() ||
        alloc.getType().getRank() != rank + 1 ||
        !alloc.getType().getLayout().isIdentity() ||
        llvm::is_contained(locals, alloc))
      continue;
    Operation *next = nullptr;
    bool plain = llvm::all_of(alloc->getUsers(), [&](Operation *user) {
      if (isa<memref::DimOp>(user))
        return true;
      if (user->getBlock() != alloc->getBlock() ||
          isa<ViewLikeOpInterface>(user))
        return false;
      if (second->isBeforeInBlock(user) &&
          (!next || user->isBeforeInBlock(next)))
        next = user;
      return true;
    });
    // What was there before the rows is not in a strip.
    auto *maker = llvm::find_if(ops, [&](DestinationStyleOpInterface user) {
      return llvm::is_contained(user->getOperands(), alloc.getResult());
    });
    plain &= overwrites(*maker, alloc);
    if (plain && (!next || overwrites(next, alloc)))
      locals.push_back(alloc);
  }
  return locals;
}

//===-- the loop ----------------------------------------------------------===//

namespace {
/// Emits the loop of one group of operations.
struct StripEmitter {
  Strips &strips;
  StripBuffers &made;
  ImplicitLocOpBuilder b;
  /// How many keys a strip's rows see; null where it sees all.
  Value seen;
  /// The one strip of a task that stands for a whole buffer.
  DenseMap<Value, Value> local;
  /// Equal slices are one value: row loops tell buffers by their names.
  std::map<std::pair<const void *, SmallVector<int64_t>>, Value> slices;

  StripEmitter(Strips &strips, StripBuffers &made)
      : strips(strips), made(made), b(strips.second.getLoc(), strips.second) {}

  Value value(OpFoldResult v) {
    return getValueOrCreateConstantIndexOp(b, b.getLoc(), v);
  }
  OpFoldResult getSize(Value buffer, int64_t axis) {
    if (auto alloc = buffer.getDefiningOp<memref::AllocOp>())
      return alloc.getMixedSizes()[axis];
    return memref::getMixedSize(b, b.getLoc(), buffer, axis);
  }
  template <typename Op>
  Value fold(OpFoldResult x, OpFoldResult y) {
    return b.createOrFold<Op>(value(x), value(y));
  }

  SmallVector<unsigned> getRowDims(Operation *op);
  unsigned getKeyDim(Operation *op);
  Value slice(Value buffer, AffineMap map, ArrayRef<unsigned> dims,
              unsigned key, const Window &window);
  Value slicePanels(kernel::ContractOp op, ArrayRef<unsigned> dims,
                    const Window &window);
  void emitOp(Operation *op, const Window &window);
  /// A strip of rows for each task, instead of `alloc`.
  Value makeStrip(memref::AllocOp alloc, int64_t rows, int64_t tasks);
  void countSeen(const Window &window);
  void emit(ArrayRef<memref::AllocOp> locals);
};
} // namespace

/// The iteration dimensions of `op` that walk the rows.
SmallVector<unsigned> StripEmitter::getRowDims(Operation *op) {
  SmallVector<unsigned> dims;
  for (int64_t i = 0; i < strips.rank; ++i) {
    auto contract = dyn_cast<kernel::ContractOp>(op);
    dims.push_back(!contract ? i
                   : op == strips.second
                       ? contract.getLhsMap().getDimPosition(i)
                       : contract.getOutMap().getDimPosition(i));
  }
  return dims;
}

/// The iteration dimension of `op` that walks what is in a row.
unsigned StripEmitter::getKeyDim(Operation *op) {
  auto contract = dyn_cast<kernel::ContractOp>(op);
  return !contract ? static_cast<unsigned>(strips.rank)
         : op == strips.second
             ? contract.getLhsMap().getDimPosition(strips.rank)
             : contract.getOutMap().getDimPosition(strips.rank);
}

Value StripEmitter::slice(Value buffer, AffineMap map, ArrayRef<unsigned> dims,
                          unsigned key, const Window &window) {
  constexpr int64_t kWhole = -1, kSeen = -2;
  if (!isa<MemRefType>(buffer.getType()))
    return buffer;
  Value source = local.contains(buffer) ? local.lookup(buffer) : buffer;
  SmallVector<int64_t> rows; // the row dimension of each axis, if it has one
  for (AffineExpr expr : map.getResults()) {
    auto dim = dyn_cast<AffineDimExpr>(expr);
    const auto *it = dim ? llvm::find(dims, dim.getPosition()) : dims.end();
    bool isCut = seen && dim && dim.getPosition() == key;
    rows.push_back(it != dims.end() ? it - dims.begin()
                   : isCut          ? kSeen
                                    : kWhole);
  }
  Value &known = slices[{buffer.getAsOpaquePointer(), rows}];
  if (known)
    return known;
  SmallVector<OpFoldResult> offsets(rows.size(), b.getIndexAttr(0)), sizes,
      ones(rows.size(), b.getIndexAttr(1));
  for (auto [axis, row] : llvm::enumerate(rows)) {
    sizes.push_back(row >= 0       ? window.sizes[row]
                    : row == kSeen ? OpFoldResult(seen)
                                   : getSize(source, axis));
    if (row >= 0 && source == buffer)
      offsets[axis] = window.offsets[row];
  }
  known = memref::SubViewOp::create(b, source, offsets, sizes, ones);
  return known;
}

/// The panels of the strip's group, of packed ones.
Value StripEmitter::slicePanels(kernel::ContractOp op, ArrayRef<unsigned> dims,
                                const Window &window) {
  std::string reason;
  ContractionDims roles = *classifyContraction(
      op.getLhsMap(), op.getRhsMap(), op.getOutMap(), op.getBounds(),
      cast<MemRefType>(op.getLhs().getType()).getShape(),
      op.getInstruction().getReductionStep(), reason);
  OpFoldResult group = b.getIndexAttr(0);
  for (unsigned d : roles.groups) {
    OpFoldResult size = getSize(
        op.getInit(), *op.getOutMap().getResultPosition(b.getAffineDimExpr(d)));
    group =
        fold<arith::AddIOp>(fold<arith::MulIOp>(group, size),
                            window.offsets[llvm::find(dims, d) - dims.begin()]);
  }
  SmallVector<OpFoldResult> offsets(4, b.getIndexAttr(0)),
      sizes{b.getIndexAttr(1)}, ones(4, b.getIndexAttr(1));
  offsets[0] = group;
  for (int64_t i = 1; i < 4; ++i)
    sizes.push_back(getSize(op.getRhs(), i));
  return memref::SubViewOp::create(b, op.getRhs(), offsets, sizes, ones);
}

void StripEmitter::emitOp(Operation *op, const Window &window) {
  SmallVector<unsigned> dims = getRowDims(op);
  unsigned key = getKeyDim(op);
  if (auto generic = dyn_cast<linalg::GenericOp>(op)) {
    SmallVector<Value> operands;
    for (OpOperand &operand : op->getOpOperands())
      operands.push_back(slice(operand.get(),
                               generic.getMatchingIndexingMap(&operand), dims,
                               key, window));
    b.clone(*op)->setOperands(operands);
    return;
  }
  auto contract = cast<kernel::ContractOp>(op);
  SmallVector<Value> operands{
      slice(contract.getLhs(), contract.getLhsMap(), dims, key, window),
      contract.getPacked()
          ? slicePanels(contract, dims, window)
          : slice(contract.getRhs(), contract.getRhsMap(), dims, key, window)};
  for (auto [i, extra] : llvm::enumerate(contract.getExtras()))
    operands.push_back(
        slice(extra, contract.getExtraMap(i), dims, key, window));
  operands.push_back(
      slice(contract.getInit(), contract.getOutMap(), dims, key, window));
  auto clone = cast<kernel::ContractOp>(b.clone(*op));
  clone->setOperands(operands);
  SmallVector<int64_t> bounds(contract.getBounds());
  for (auto [d, size] : llvm::zip_equal(dims, window.sizes))
    bounds[d] = getConstantIntValue(size).value_or(ShapedType::kDynamic);
  if (seen)
    bounds[key] = ShapedType::kDynamic;
  clone.setBounds(bounds);
  clone.setTasks(1);
  setStrip(clone, 0);
  // What tells equal layers apart is said once, of the loop.
  clone.removeOriginAttr();
  clone->removeAttr(kChoiceAttrName);
}

Value StripEmitter::makeStrip(memref::AllocOp alloc, int64_t rows,
                              int64_t tasks) {
  Value &strip = made[{alloc, {rows, tasks}}];
  if (strip)
    return strip;
  SmallVector<OpFoldResult> sizes{b.getIndexAttr(tasks)};
  sizes.append(strips.rank - 1, b.getIndexAttr(1));
  sizes.push_back(b.getIndexAttr(rows));
  sizes.push_back(getSize(alloc, strips.rank));
  auto [shape, dynamic] = decomposeMixedValues(sizes);
  strip = memref::AllocOp::create(
      b, MemRefType::get(shape, alloc.getType().getElementType()), dynamic,
      alloc.getAlignmentAttr());
  return strip;
}

/// Finds what of a strip's rows nobody sees, if a mask says so.
void StripEmitter::countSeen(const Window &window) {
  std::optional<unsigned> mask = findMask(strips.ops, strips.rank);
  if (!mask)
    return;
  kernel::ContractOp first = strips.first;
  AffineMap map = first.getExtraMap(*mask);
  SmallVector<unsigned> dims = getRowDims(first);
  unsigned key = getKeyDim(first);
  auto axisOf = [&](unsigned d) -> int64_t {
    auto axis = map.getResultPosition(b.getAffineDimExpr(d));
    return axis ? *axis : -1;
  };
  seen =
      emitSeenKeys(b, slice(first.getExtras()[*mask], map, dims, key, window),
                   axisOf(key), axisOf(dims.back()));
}

void StripEmitter::emit(ArrayRef<memref::AllocOp> locals) {
  kernel::ContractOp first = strips.first, second = strips.second;
  int64_t rows = getStrip(first);
  int64_t tasks = std::max(first.getTasks(), second.getTasks());
  SmallVector<OpFoldResult> extents;
  for (int64_t i = 0; i < strips.rank; ++i)
    extents.push_back(getSize(first.getInit(), i));
  if (auto known = getConstantIntValue(extents.back()))
    rows = std::min(rows, *known);
  OpFoldResult length = extents.back();
  Value blocks =
      fold<arith::CeilDivUIOp>(length, OpFoldResult(b.getIndexAttr(rows)));
  Value count = blocks;
  for (OpFoldResult extent : ArrayRef(extents).drop_back())
    count = fold<arith::MulIOp>(extent, OpFoldResult(count));

  for (memref::AllocOp alloc : locals)
    makeStrip(alloc, rows, tasks);

  auto [task, lower, upper] =
      beginTaskLoop(b, tasks, count, second.getOriginAttr());
  for (memref::AllocOp alloc : locals) {
    Value strip = makeStrip(alloc, rows, tasks);
    auto type = cast<MemRefType>(strip.getType());
    SmallVector<OpFoldResult> offsets(type.getRank(), b.getIndexAttr(0)),
        ones(type.getRank(), b.getIndexAttr(1)), sizes = ones;
    if (tasks > 1)
      offsets[0] = task;
    for (int64_t i = strips.rank; i < type.getRank(); ++i)
      sizes[i] = getSize(strip, i);
    auto sliced = memref::SubViewOp::inferRankReducedResultType(
        type.getShape().drop_front(), type, offsets, sizes, ones);
    local[alloc] = memref::SubViewOp::create(b, cast<MemRefType>(sliced), strip,
                                             offsets, sizes, ones);
  }
  auto walk =
      scf::ForOp::create(b, lower, upper, arith::ConstantIndexOp::create(b, 1));
  b.setInsertionPoint(walk.getBody()->getTerminator());

  // Which strip of which rows this is.
  Window window;
  window.offsets.resize(strips.rank);
  window.sizes.assign(strips.rank, b.getIndexAttr(1));
  Value rest = walk.getInductionVar();
  Value start =
      fold<arith::MulIOp>(fold<arith::RemUIOp>(rest, OpFoldResult(blocks)),
                          OpFoldResult(b.getIndexAttr(rows)));
  rest = fold<arith::DivUIOp>(rest, OpFoldResult(blocks));
  window.offsets.back() = start;
  auto known = getConstantIntValue(length);
  window.sizes.back() =
      known && *known % rows == 0
          ? OpFoldResult(b.getIndexAttr(rows))
          : OpFoldResult(fold<arith::MinUIOp>(
                fold<arith::SubIOp>(length, OpFoldResult(start)),
                OpFoldResult(b.getIndexAttr(rows))));
  for (int64_t i = strips.rank - 2; i >= 0; --i) {
    if (getConstantIntValue(extents[i]) == 1) {
      window.offsets[i] = b.getIndexAttr(0);
      continue;
    }
    window.offsets[i] = fold<arith::RemUIOp>(rest, extents[i]);
    rest = fold<arith::DivUIOp>(rest, extents[i]);
  }
  countSeen(window);
  for (DestinationStyleOpInterface op : strips.ops)
    emitOp(op, window);
  for (DestinationStyleOpInterface op : llvm::reverse(strips.ops))
    op->erase();
}

namespace {
struct FuseAttention : tamis::impl::FuseAttentionBase<FuseAttention> {
  void runOnOperation() override {
    SmallVector<kernel::ContractOp> marked;
    getOperation()->walk([&](kernel::ContractOp op) {
      if (getStrip(op) && isa<MemRefType>(op.getInit().getType()))
        marked.push_back(op);
    });
    llvm::SmallPtrSet<Operation *, 8> done;
    StripBuffers made;
    for (kernel::ContractOp op : marked) {
      if (!done.insert(op).second)
        continue;
      Strips strips;
      strips.first = op;
      if (failed(strips.find())) {
        setStrip(op, 0);
        ++numLeft;
        continue;
      }
      done.insert(strips.second);
      SmallVector<memref::AllocOp> locals = strips.findLocals();
      StripEmitter emitter(strips, made);
      emitter.emit(locals);
      if (emitter.seen)
        ++numMasked;
      for (memref::AllocOp alloc : locals)
        if (alloc->use_empty())
          alloc->erase();
      numLocal += locals.size();
      ++numFused;
    }
  }
};
} // namespace
