// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The mapping every structured operation has: one invocation computes one
// element of the results, or a small block where that spares loads, walking the
// reductions in sequence with the accumulators in registers. Neighbouring
// invocations take neighbouring elements of the innermost parallel loop.
#include "LinalgBody.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "tamis/Gpu/Mapping.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::device;

/// Invocations of one workgroup; a multiple of every device's subgroup.
static constexpr int64_t kGroup = 64;

/// Whether `map` names every parallel loop once, so that two invocations never
/// write the same element.
static bool isDisjoint(AffineMap map, ArrayRef<unsigned> parallel) {
  if (!map.isProjectedPermutation(/*allowZeroInResults=*/true))
    return false;
  return llvm::all_of(parallel,
                      [&](unsigned dim) { return map.isFunctionOfDim(dim); });
}

std::string mlir::tamis::refuseElements(Operation *op) {
  auto structured = dyn_cast<linalg::LinalgOp>(op);
  if (!structured || !structured.hasPureBufferSemantics())
    return ("'" + op->getName().getStringRef() + "' has no device form").str();
  SmallVector<unsigned> parallel;
  structured.getParallelDims(parallel);
  if (parallel.size() + structured.getNumReductionLoops() !=
      structured.getNumLoops())
    return "it has loops that are neither parallel nor a reduction";
  if (parallel.empty())
    return "the result is one element";
  for (OpOperand &init : structured.getDpsInitsMutable()) {
    AffineMap map = structured.getMatchingIndexingMap(&init);
    for (unsigned loop = 0; loop < structured.getNumLoops(); ++loop)
      if (!llvm::is_contained(parallel, loop) && map.isFunctionOfDim(loop))
        return "a reduction moves its result";
    if (!isDisjoint(map, parallel))
      return "invocations would write the same element";
  }
  return refuseBody(structured);
}

namespace {
/// A parallel loop of which one invocation takes several indices.
struct ElementBlock {
  unsigned dim;
  int64_t count;
};
} // namespace

/// Blocks let a sum reuse what it loads: an operand that does not depend on a
/// loop is loaded once for all indices of its block. At most two loops, the
/// innermost ones that save anything, and none so large that a device has
/// nothing to do at once.
static SmallVector<ElementBlock> chooseBlocks(linalg::LinalgOp op) {
  constexpr int64_t kCount = 4, kFewestInvocations = 2048;
  SmallVector<unsigned> parallel;
  op.getParallelDims(parallel);
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  // An open loop has enough for two blocks, as far as anybody knows; elements
  // are below 2^31.
  int64_t invocations = 1;
  bool isOpen = false;
  for (unsigned dim : parallel) {
    isOpen |= ShapedType::isDynamic(ranges[dim]);
    invocations *= ShapedType::isDynamic(ranges[dim]) ? 1 : ranges[dim];
  }
  if (isOpen)
    invocations *= kFewestInvocations * kCount * kCount;
  SmallVector<ElementBlock> blocks;
  if (!op.getNumReductionLoops())
    return blocks;
  SmallVector<OpOperand *> covered;
  for (unsigned dim : llvm::reverse(parallel)) {
    int64_t size = ranges[dim];
    if (blocks.size() == 2 || (!ShapedType::isDynamic(size) && size < kCount))
      continue;
    // Two loops that spare the same operand are no better than one.
    OpOperand *spared = nullptr;
    for (OpOperand *input : op.getDpsInputOperands())
      if (isa<MemRefType>(input->get().getType()) &&
          !op.getMatchingBlockArgument(input).use_empty() &&
          !op.getMatchingIndexingMap(input).isFunctionOfDim(dim) &&
          !llvm::is_contained(covered, input))
        spared = input;
    if (!spared || invocations / kCount < kFewestInvocations)
      continue;
    blocks.push_back({dim, kCount});
    covered.push_back(spared);
    invocations /= kCount;
  }
  return blocks;
}

namespace {
/// Builds one invocation's work: the elements of its block side by side.
class ElementBuilder {
public:
  ElementBuilder(OpBuilder &b, linalg::LinalgOp op, ArrayRef<Value> sizes,
                 ArrayRef<ElementBlock> blocks)
      : b(b), loc(op.getLoc()), op(op), sizes(sizes), blocks(blocks),
        indices(op.getNumLoops()) {
    points = 1;
    for (const ElementBlock &block : blocks)
      points *= block.count;
  }

  /// The parallel indices from the number of the invocation, `units` of which
  /// share each loop. Indices of a block lie `units` apart, so that neighbours
  /// load neighbours; those beyond the end read what the last one reads, and
  /// write nothing.
  void delinearize(Value number, ArrayRef<Value> units) {
    SmallVector<unsigned> parallel;
    op.getParallelDims(parallel);
    for (unsigned dim : llvm::reverse(parallel)) {
      Value unit = number;
      if (dim != parallel.front()) {
        unit = arith::RemUIOp::create(b, loc, number, units[dim]);
        number = arith::DivUIOp::create(b, loc, number, units[dim]);
      }
      indices[dim].push_back(unit);
      for (const ElementBlock &block : blocks)
        if (block.dim == dim)
          spread(block, units[dim]);
    }
  }

  void build() {
    SmallVector<unsigned> reductions;
    op.getReductionDims(reductions);
    SmallVector<Value> results;
    for (int64_t point = 0; point < points; ++point)
      for (OpOperand &init : op.getDpsInitsMutable())
        // What is overwritten needs some value to begin with only where a
        // loop carries it.
        results.push_back(!reductions.empty() ||
                                  op.payloadUsesValueFromOperand(&init)
                              ? load(&init, point)
                              : Value());
    results = reduce(reductions, results);
    ArrayRef<Value> rest = results;
    for (int64_t point = 0; point < points; ++point) {
      OpBuilder::InsertionGuard guard(b);
      enterIfExists(point);
      for (OpOperand &init : op.getDpsInitsMutable()) {
        memref::StoreOp::create(b, loc, rest.front(), init.get(),
                                position(&init, point));
        rest = rest.drop_front();
      }
    }
  }

private:
  void spread(const ElementBlock &block, Value units) {
    SmallVector<Value> &list = indices[block.dim];
    Value last = arith::SubIOp::create(
        b, loc, sizes[block.dim], arith::ConstantIndexOp::create(b, loc, 1));
    Value next = list.front();
    for (int64_t i = 1; i < block.count; ++i) {
      next = arith::AddIOp::create(b, loc, next, units);
      list.push_back(arith::MinUIOp::create(b, loc, next, last));
      exists[block.dim].push_back(
          arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ule, next, last));
    }
  }

  /// Continues inside a branch that `point` takes if it is not beyond the end.
  void enterIfExists(int64_t point) {
    for (const ElementBlock &block : blocks)
      if (int64_t at = getCoordinate(block.dim, point)) {
        auto branch = scf::IfOp::create(b, loc, exists[block.dim][at - 1],
                                        /*withElseRegion=*/false);
        b.setInsertionPointToStart(branch.thenBlock());
      }
  }

  /// Which index of loop `dim` the point of the block has.
  int64_t getCoordinate(unsigned dim, int64_t point) {
    for (const ElementBlock &block : blocks) {
      if (block.dim == dim)
        return point % block.count;
      point /= block.count;
    }
    return 0;
  }

  Value getIndex(unsigned dim, int64_t point) {
    return indices[dim][getCoordinate(dim, point)];
  }

  SmallVector<Value> position(OpOperand *operand, int64_t point) {
    SmallVector<Value> dims;
    for (unsigned dim = 0; dim < op.getNumLoops(); ++dim)
      dims.push_back(indices[dim].empty() ? Value() : getIndex(dim, point));
    return getPosition(b, op, operand, dims);
  }

  Value load(OpOperand *operand, int64_t point) {
    if (!isa<MemRefType>(operand->get().getType()))
      return operand->get();
    return memref::LoadOp::create(b, loc, operand->get(),
                                  position(operand, point));
  }

  /// `load`, once for all points that read the same element.
  Value loadShared(OpOperand *operand, int64_t point,
                   DenseMap<std::pair<OpOperand *, int64_t>, Value> &loaded) {
    AffineMap map = op.getMatchingIndexingMap(operand);
    int64_t key = 0, scale = 1;
    for (const ElementBlock &block : blocks) {
      if (map.isFunctionOfDim(block.dim))
        key += scale * getCoordinate(block.dim, point);
      scale *= block.count;
    }
    Value &value = loaded[{operand, key}];
    if (!value)
      value = load(operand, point);
    return value;
  }

  SmallVector<Value> reduce(ArrayRef<unsigned> loops,
                            ArrayRef<Value> accumulators) {
    if (loops.empty())
      return inlineBodies(accumulators);
    Value zero = arith::ConstantIndexOp::create(b, loc, 0);
    Value one = arith::ConstantIndexOp::create(b, loc, 1);
    auto loop = scf::ForOp::create(b, loc, zero, sizes[loops.front()], one,
                                   accumulators);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    indices[loops.front()] = {loop.getInductionVar()};
    SmallVector<Value> carried(loop.getRegionIterArgs());
    scf::YieldOp::create(b, loc, reduce(loops.drop_front(), carried));
    return loop.getResults();
  }

  SmallVector<Value> inlineBodies(ArrayRef<Value> accumulators) {
    DenseMap<std::pair<OpOperand *, int64_t>, Value> loaded;
    SmallVector<Value> results;
    int64_t each = op.getNumDpsInits();
    for (int64_t point = 0; point < points; ++point)
      llvm::append_range(
          results,
          inlineBody(accumulators.slice(point * each, each), point, loaded));
    return results;
  }

  SmallVector<Value>
  inlineBody(ArrayRef<Value> accumulators, int64_t point,
             DenseMap<std::pair<OpOperand *, int64_t>, Value> &loaded) {
    IRMapping mapping;
    for (OpOperand *input : op.getDpsInputOperands())
      if (Value argument = op.getMatchingBlockArgument(input);
          !argument.use_empty())
        mapping.map(argument, loadShared(input, point, loaded));
    for (auto [init, value] : llvm::zip(op.getDpsInitsMutable(), accumulators))
      if (value)
        mapping.map(op.getMatchingBlockArgument(&init), value);
    return cloneBody(b, op, mapping,
                     [&](unsigned dim) { return getIndex(dim, point); });
  }

  OpBuilder &b;
  Location loc;
  linalg::LinalgOp op;
  ArrayRef<Value> sizes;
  ArrayRef<ElementBlock> blocks;
  int64_t points;
  /// Of each loop: one index, or those of its block.
  SmallVector<SmallVector<Value>> indices;
  /// Of the loop of a block: whether its indices but the first exist.
  DenseMap<unsigned, SmallVector<Value>> exists;
};
} // namespace

void mlir::tamis::buildElements(OpBuilder &b, Operation *operation) {
  auto op = cast<linalg::LinalgOp>(operation);
  Location loc = op.getLoc();
  SmallVector<Value> sizes;
  for (Range range : op.createLoopRanges(b, loc))
    sizes.push_back(getValueOrCreateConstantIndexOp(b, loc, range.size));
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(b, loc, value);
  };
  Value one = constant(1), group = constant(kGroup);
  SmallVector<ElementBlock> blocks = chooseBlocks(op);
  SmallVector<Value> units = sizes;
  for (const ElementBlock &block : blocks)
    units[block.dim] = b.createOrFold<arith::CeilDivUIOp>(
        loc, sizes[block.dim], constant(block.count));
  Value total = one;
  SmallVector<unsigned> parallel;
  op.getParallelDims(parallel);
  for (unsigned dim : parallel)
    total = b.createOrFold<arith::MulIOp>(loc, total, units[dim]);
  Value groups = b.createOrFold<arith::CeilDivUIOp>(loc, total, group);
  OpBuilder::InsertionGuard guard(b);
  Value number;
  gpu::LaunchOp launch =
      beginLaunch(b, loc, groups, kGroup, TypeRange(), number);
  number = arith::MulIOp::create(b, loc, number, group);
  number = arith::AddIOp::create(b, loc, number, launch.getThreadIds().x);
  Value inside =
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, number, total);
  auto guarded = scf::IfOp::create(b, loc, inside, /*withElseRegion=*/false);
  b.setInsertionPointToStart(guarded.thenBlock());
  ElementBuilder builder(b, op, sizes, blocks);
  builder.delinearize(number, units);
  builder.build();
}
