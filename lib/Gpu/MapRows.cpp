// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rows that `--tamis-fuse-rows=lanes` made, softmax and norms above all, each
// by the lanes of one row. Lane l of L takes elements l, l + L, l + 2 L and so
// on, and later operations find what it wrote where it wrote it. A reduction
// first folds the elements of each lane in this order, then halves: lane l
// takes the value of lane l + s, for s = L/2, L/4 ... 1, through workgroup
// memory. So sums have one order, whatever the device; results are in a
// register of every lane.
#include "LinalgBody.h"
#include "RowKernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "tamis/Gpu/Mapping.h"
#include "tamis/Transforms/RowLanes.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::device;

/// Rows of at most so many elements take few lanes.
static constexpr int64_t kFewLanes = 32, kShortRow = 256;

std::optional<RowNest> device::findRows(Operation *op) {
  RowNest nest;
  if (!op->hasAttr("tamis.kernel"))
    return std::nullopt;
  if (auto region = dyn_cast<scf::ExecuteRegionOp>(op)) {
    if (!region.getRegion().hasOneBlock())
      return std::nullopt;
    nest.blocks.push_back(&region.getRegion().front());
    return nest;
  }
  for (auto loop = dyn_cast<scf::ForOp>(op); loop;) {
    if (!isConstantIntValue(loop.getLowerBound(), 0) ||
        !isConstantIntValue(loop.getStep(), 1) || loop.getNumResults() ||
        op->isAncestor(loop.getUpperBound().getParentBlock()->getParentOp()))
      return std::nullopt;
    nest.loops.push_back(loop);
    nest.blocks.push_back(loop.getBody());
    auto inner = loop.getBody()->getOps<scf::ForOp>();
    loop = inner.empty() ? scf::ForOp() : *inner.begin();
  }
  return nest.loops.empty() ? std::nullopt : std::optional(nest);
}

Value device::getRowSource(Value memref) {
  while (auto view = memref.getDefiningOp<memref::SubViewOp>())
    memref = view.getSource();
  return memref;
}

bool mlir::tamis::areRows(Operation *op) { return findRows(op).has_value(); }

std::string mlir::tamis::refuseRows(Operation *op) {
  std::optional<RowNest> nest = findRows(op);
  for (Block *block : nest->blocks)
    for (Operation &inner : block->without_terminator()) {
      bool isLoop = isa<scf::ForOp>(inner);
      auto view = dyn_cast<memref::SubViewOp>(inner);
      auto structured = dyn_cast<linalg::LinalgOp>(inner);
      if (isLoop ? !llvm::is_contained(nest->loops, cast<scf::ForOp>(inner))
                 : !structured && !isMemoryEffectFree(&inner))
        return ("'" + inner.getName().getStringRef() + "' is in a row").str();
      if (view && !llvm::all_of(view.getMixedStrides(), isOneInteger))
        return "a view of a row has steps";
      if (!structured)
        continue;
      if (block != nest->blocks.back() || !fitsLanes(structured, {}))
        return "lanes cannot share a row of it";
      if (std::string reason = refuseBody(structured); !reason.empty())
        return reason;
    }
  // What is written goes by one name in the whole row, and is seen in one way.
  DenseMap<Value, Value> written;
  auto list = nest->getOperations();
  for (linalg::LinalgOp structured : list)
    for (Value init : structured.getDpsInits())
      if (written.try_emplace(getRowSource(init), init).first->second != init)
        return "two views of a row are written";
  DenseMap<Value, RowAccess> accesses;
  for (linalg::LinalgOp structured : list) {
    for (OpOperand &operand : structured->getOpOperands()) {
      auto it = written.find(getRowSource(operand.get()));
      if (it == written.end())
        continue;
      if (it->second != operand.get())
        return "two views of a row are written";
      RowAccess access = getRowAccess(structured, operand, {});
      if (access == RowAccess::Other ||
          accesses.try_emplace(operand.get(), access).first->second != access)
        return "a lane reads what another one writes";
    }
    WalkResult reads = structured.getBlock()->walk([&](memref::LoadOp load) {
      return load.getMemRef() != getRowSource(load.getMemRef()) ||
                     written.contains(load.getMemRef())
                 ? WalkResult::interrupt()
                 : WalkResult::advance();
    });
    if (reads.wasInterrupted())
      return "it reads other rows of what it writes";
  }
  return "";
}

/// The lanes that share a row: few where all rows are known to be short.
static int64_t chooseLanes(const RowNest &nest) {
  int64_t longest = 1;
  for (auto op : nest.getOperations()) {
    int64_t length = 1;
    for (int64_t range : op.getStaticLoopRanges())
      length *= ShapedType::isDynamic(range) ? kShortRow + 1 : range;
    longest = std::max(longest, length);
  }
  return longest <= kShortRow ? kFewLanes : kRowThreads;
}

/// Whether lanes have to put a reduction together.
static bool isShared(linalg::LinalgOp op) {
  SmallVector<unsigned> dims = getLaneDims(op, {});
  return !dims.empty() && op.getIteratorTypesArray()[dims.front()] ==
                              utils::IteratorType::reduction;
}

RowKernel::RowKernel(OpBuilder &b, Location loc, RowNest rows)
    : b(b), loc(loc), nest(std::move(rows)), lanes(chooseLanes(nest)) {}

Value RowKernel::constant(int64_t value) {
  return arith::ConstantIndexOp::create(b, loc, value);
}

Value RowKernel::add(Value x, Value y) {
  return b.createOrFold<arith::AddIOp>(loc, x, y);
}

Value RowKernel::toValue(OpFoldResult size) {
  if (auto attribute = dyn_cast<Attribute>(size))
    return constant(cast<IntegerAttr>(attribute).getInt());
  return mapping.lookupOrDefault(cast<Value>(size));
}

void RowKernel::build() {
  SmallVector<Value> sizes;
  Value total = constant(1);
  for (scf::ForOp loop : nest.loops) {
    sizes.push_back(loop.getUpperBound());
    total = b.createOrFold<arith::MulIOp>(loc, total, sizes.back());
  }
  int64_t rows = countRows();
  Value groups = b.createOrFold<arith::CeilDivUIOp>(loc, total, constant(rows));
  OpBuilder::InsertionGuard guard(b);
  Value number;
  gpu::LaunchOp launch =
      beginLaunch(b, loc, groups, kRowThreads, getMemory(), number);
  enter(launch.getThreadIds().x, launch.getWorkgroupAttributions());
  if (rows > 1)
    number =
        add(arith::MulIOp::create(b, loc, number, constant(rows)), rowOfThread);
  Value exists =
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, number, total);
  Value last = arith::SubIOp::create(b, loc, total, constant(1));
  number = arith::MinUIOp::create(b, loc, number, last);
  SmallVector<Value> indices(sizes.size());
  for (size_t i = sizes.size(); i-- > 0;) {
    indices[i] = number;
    if (i == 0)
      break;
    indices[i] = arith::RemUIOp::create(b, loc, number, sizes[i]);
    number = arith::DivUIOp::create(b, loc, number, sizes[i]);
  }
  emitRow(indices, exists);
}

void RowKernel::enter(Value invocation, ArrayRef<BlockArgument> memory) {
  for (auto [type, piece] : llvm::zip_equal(getExchanged(), memory))
    exchange[type] = piece;
  thread = invocation;
  lane = thread;
  rowOfThread = constant(0);
  if (lanes < kRowThreads) {
    lane = arith::RemUIOp::create(b, loc, thread, constant(lanes));
    rowOfThread = arith::DivUIOp::create(b, loc, thread, constant(lanes));
  }
  first = arith::SubIOp::create(b, loc, thread, lane);
}

void RowKernel::emitRow(ValueRange indices, Value exists) {
  inside = exists;
  for (auto [loop, index] : llvm::zip_equal(nest.loops, indices))
    mapping.map(loop.getInductionVar(), index);
  for (Block *block : nest.blocks)
    for (Operation &op : block->without_terminator()) {
      if (auto structured = dyn_cast<linalg::LinalgOp>(op))
        emit(structured);
      else if (!isa<memref::SubViewOp, scf::ForOp>(op))
        b.clone(op, mapping);
    }
  storeScalars();
}

/// Types that go through workgroup memory.
SmallVector<Type> RowKernel::getExchanged() {
  SmallVector<Type> types;
  for (auto op : nest.getOperations())
    for (Value init : op.getDpsInits())
      if (Type type = getElementTypeOrSelf(init.getType());
          isShared(op) && !llvm::is_contained(types, type))
        types.push_back(type);
  return types;
}

SmallVector<Type> RowKernel::getMemory() {
  auto space =
      gpu::AddressSpaceAttr::get(b.getContext(), gpu::AddressSpace::Workgroup);
  return llvm::map_to_vector(getExchanged(), [&](Type type) -> Type {
    return MemRefType::get({kRowThreads}, type, AffineMap(), space);
  });
}

//===-- memory ----------------------------------------------------------===//

/// Makes an element of a view of a row one of the buffer it looks at.
Value RowKernel::resolve(Value memref, SmallVectorImpl<Value> &indices) {
  while (auto view = memref.getDefiningOp<memref::SubViewOp>()) {
    llvm::SmallBitVector dropped = view.getDroppedDims();
    SmallVector<Value> outer;
    ArrayRef<Value> rest = indices;
    for (auto [axis, offset] : llvm::enumerate(view.getMixedOffsets())) {
      outer.push_back(toValue(offset));
      if (!dropped[axis])
        outer.back() = add(outer.back(), rest.consume_front());
    }
    indices = std::move(outer);
    memref = view.getSource();
  }
  return memref;
}

Value RowKernel::getSize(Value memref, int64_t axis) {
  auto type = cast<MemRefType>(memref.getType());
  if (!type.isDynamicDim(axis))
    return constant(type.getDimSize(axis));
  auto view = memref.getDefiningOp<memref::SubViewOp>();
  if (!view)
    return b.createOrFold<memref::DimOp>(loc, memref, axis);
  llvm::SmallBitVector dropped = view.getDroppedDims();
  for (auto [outer, size] : llvm::enumerate(view.getMixedSizes()))
    if (!dropped[outer] && axis-- == 0)
      return toValue(size);
  llvm_unreachable("an axis of the view");
}

/// How often loop `dim` of `op` runs.
Value RowKernel::getExtent(linalg::LinalgOp op, unsigned dim) {
  int64_t known = op.getStaticLoopRanges()[dim];
  if (!ShapedType::isDynamic(known))
    return constant(known);
  for (OpOperand &operand : op->getOpOperands())
    for (auto [axis, expr] :
         llvm::enumerate(op.getMatchingIndexingMap(&operand).getResults()))
      if (expr == b.getAffineDimExpr(dim))
        return getSize(operand.get(), axis);
  llvm_unreachable("linalg infers loops from operands");
}

Value RowKernel::load(linalg::LinalgOp op, OpOperand *operand,
                      ArrayRef<Value> dims) {
  Value memref = operand->get();
  if (!isa<MemRefType>(memref.getType()))
    return mapping.lookupOrDefault(memref);
  if (Value scalar = scalars.lookup(memref))
    return scalar;
  SmallVector<Value> indices = getPosition(b, op, operand, dims);
  Value source = resolve(memref, indices);
  return loadElement(source, indices);
}

Value RowKernel::loadElement(Value memref, ValueRange indices) {
  return memref::LoadOp::create(b, loc, memref, indices);
}

void RowKernel::store(linalg::LinalgOp op, OpOperand *init,
                      ArrayRef<Value> dims, Value value) {
  SmallVector<Value> indices = getPosition(b, op, init, dims);
  Value source = resolve(init->get(), indices);
  storeElement(value, source, indices);
}

void RowKernel::storeElement(Value value, Value memref, ValueRange indices) {
  memref::StoreOp::create(b, loc, value, memref, indices);
}

/// One lane writes what all of them have, once none reads it any more.
void RowKernel::storeScalars() {
  if (scalars.empty())
    return;
  gpu::BarrierOp::create(b, loc);
  Value isFirst = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, lane,
                                        constant(0));
  Value writes = arith::AndIOp::create(b, loc, isFirst, inside);
  auto branch = scf::IfOp::create(b, loc, writes, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  for (auto &[memref, value] : scalars) {
    auto rank = cast<MemRefType>(memref.getType()).getRank();
    SmallVector<Value> indices(rank, constant(0));
    Value source = resolve(memref, indices);
    memref::StoreOp::create(b, loc, value, source, indices);
  }
}

//===-- operations ------------------------------------------------------===//

/// The body of `op` at loop indices `dims`. `accumulators`: of reductions,
/// where they are not in memory.
SmallVector<Value> RowKernel::inlineBody(linalg::LinalgOp op,
                                         ArrayRef<Value> dims,
                                         ValueRange accumulators) {
  IRMapping local(mapping);
  for (OpOperand &operand : op->getOpOperands()) {
    BlockArgument argument = op.getMatchingBlockArgument(&operand);
    if (!argument.use_empty() &&
        (accumulators.empty() || !op.isDpsInit(&operand)))
      local.map(argument, load(op, &operand, dims));
  }
  for (auto [argument, value] :
       llvm::zip(op.getRegionOutputArgs(), accumulators))
    local.map(argument, value);
  return cloneBody(b, op, local, [&](unsigned dim) { return dims[dim]; });
}

void RowKernel::emit(linalg::LinalgOp op) {
  SmallVector<unsigned> laneDims = getLaneDims(op, {});
  if (laneDims.empty()) {
    SmallVector<Value> dims(op.getNumLoops(), constant(0));
    for (auto [init, value] : llvm::zip(op.getDpsInits(), inlineBody(op, dims)))
      scalars[init] = value;
    return;
  }
  SmallVector<Value> extents;
  Value size = constant(1);
  for (unsigned dim : laneDims) {
    extents.push_back(getExtent(op, dim));
    size = b.createOrFold<arith::MulIOp>(loc, size, extents.back());
  }
  Value end = arith::SelectOp::create(b, loc, inside, size, constant(0));
  SmallVector<Value> results;
  bool shared = isShared(op);
  SmallVector<Operation *> combiners;
  for (unsigned i = 0; shared && i < op.getNumDpsInits(); ++i) {
    combiners.push_back(getLaneCombiner(op, i));
    results.push_back(arith::ConstantOp::create(
        b, loc, *arith::getNeutralElement(combiners.back())));
  }
  auto loop = scf::ForOp::create(b, loc, lane, end, constant(lanes), results);
  {
    OpBuilder::InsertionGuard guard(b);
    if (shared)
      b.setInsertionPointToStart(loop.getBody());
    else
      b.setInsertionPoint(loop.getBody()->getTerminator());
    SmallVector<Value> dims(op.getNumLoops(), constant(0));
    Value place = loop.getInductionVar();
    for (auto [dim, extent] : llvm::reverse(llvm::zip(laneDims, extents))) {
      dims[dim] = place;
      if (dim == laneDims.front())
        break;
      dims[dim] = arith::RemUIOp::create(b, loc, place, extent);
      place = arith::DivUIOp::create(b, loc, place, extent);
    }
    results = inlineBody(op, dims, loop.getRegionIterArgs());
    if (shared)
      scf::YieldOp::create(b, loc, results);
    for (unsigned i = 0; !shared && i < results.size(); ++i)
      store(op, op.getDpsInitOperand(i), dims, results[i]);
  }
  SmallVector<Value> none(op.getNumLoops(), constant(0));
  for (auto [i, combiner] : llvm::enumerate(combiners)) {
    OpOperand *init = op.getDpsInitOperand(i);
    Value start = load(op, init, none);
    scalars[init->get()] =
        combine(combiner, start, exchangeAll(combiner, loop.getResult(i)));
  }
}

Value RowKernel::combine(Operation *combiner, Value x, Value y) {
  IRMapping local;
  local.map(combiner->getOperand(0), x);
  local.map(combiner->getOperand(1), y);
  return b.clone(*combiner, local)->getResult(0);
}

/// What the lanes of a row have, put together, for all of them.
Value RowKernel::exchangeAll(Operation *combiner, Value value) {
  Value memory = exchange.lookup(value.getType());
  memref::StoreOp::create(b, loc, value, memory, thread);
  gpu::BarrierOp::create(b, loc);
  for (int64_t step = lanes / 2; step > 0; step /= 2) {
    Value takes = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, lane,
                                        constant(step));
    auto branch = scf::IfOp::create(b, loc, takes, /*withElseRegion=*/false);
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(branch.thenBlock());
      Value mine = memref::LoadOp::create(b, loc, memory, thread);
      Value other =
          memref::LoadOp::create(b, loc, memory, add(thread, constant(step)));
      memref::StoreOp::create(b, loc, combine(combiner, mine, other), memory,
                              thread);
    }
    gpu::BarrierOp::create(b, loc);
  }
  Value all = memref::LoadOp::create(b, loc, memory, first);
  // The memory is used again.
  gpu::BarrierOp::create(b, loc);
  return all;
}

void mlir::tamis::buildRows(OpBuilder &b, Operation *op) {
  RowKernel(b, op->getLoc(), *findRows(op)).build();
}
