// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The mapping every structured operation has: one invocation computes one
// element of the results, walking the reductions in sequence with the
// accumulators in registers. Neighbouring invocations take neighbouring
// elements of the innermost parallel loop.
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "tamis/Gpu/Mapping.h"

using namespace mlir;
using namespace mlir::tamis;

/// Invocations of one workgroup; a multiple of every device's subgroup.
static constexpr int64_t kGroup = 64;
/// Workgroups along x before a second dimension is used: every device has at
/// least 65535.
static constexpr int64_t kMaxGroups = 32768;

static std::string describe(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

/// Whether device code computes with scalars of `type`.
static bool hasDeviceForm(Type type) {
  if (auto integer = dyn_cast<IntegerType>(type))
    return llvm::is_contained({1u, 8u, 16u, 32u, 64u}, integer.getWidth());
  return isa<IndexType, Float32Type, Float16Type>(type);
}

/// Whether a buffer of `type` looks the same from both sides. An index has
/// eight bytes on the host and four on the device.
static bool hasDeviceForm(MemRefType type) {
  return hasDeviceForm(type.getElementType()) &&
         !type.getElementType().isIndex() && type.isStrided();
}

/// Whether a device computes `op` as the host does. What `--tamis-expand-math`
/// knows has become arithmetic; the device's own functions are less exact.
static bool hasDeviceForm(Operation *op) {
  if (isa<linalg::YieldOp, linalg::IndexOp, memref::LoadOp>(op))
    return true;
  if (isa<scf::IfOp, scf::ForOp, scf::YieldOp>(op))
    return true;
  // Results of two words.
  if (isa<arith::MulSIExtendedOp, arith::MulUIExtendedOp,
          arith::AddUIExtendedOp>(op))
    return false;
  if (isa<arith::ArithDialect>(op->getDialect()))
    return true;
  return isa<math::AbsFOp, math::AbsIOp, math::CeilOp, math::CopySignOp,
             math::FloorOp, math::FmaOp, math::IsFiniteOp, math::IsInfOp,
             math::IsNaNOp, math::RoundOp, math::RoundEvenOp, math::SqrtOp>(op);
}

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
  for (Value operand : op->getOperands()) {
    auto type = dyn_cast<MemRefType>(operand.getType());
    if (type ? !hasDeviceForm(type) : !hasDeviceForm(operand.getType()))
      return describe(operand.getType()) + " has no device form";
    int64_t elements = 1;
    for (int64_t size : type ? type.getShape() : ArrayRef<int64_t>())
      if (llvm::MulOverflow(elements, ShapedType::isDynamic(size) ? 1 : size,
                            elements) ||
          elements > INT32_MAX)
        return describe(operand.getType()) + " has more than 2^31 elements";
  }
  std::string reason;
  structured.getBlock()->walk([&](Operation *inner) {
    if (!hasDeviceForm(inner))
      reason = ("'" + inner->getName().getStringRef() + "' has no device form")
                   .str();
    for (Type type : inner->getResultTypes())
      if (!hasDeviceForm(type))
        reason = describe(type) + " has no device form";
    if (auto load = dyn_cast<memref::LoadOp>(inner);
        load && !hasDeviceForm(load.getMemRefType()))
      reason = describe(load.getMemRefType()) + " has no device form";
  });
  return reason;
}

namespace {
/// Builds one invocation's work.
class ElementBuilder {
public:
  ElementBuilder(OpBuilder &b, linalg::LinalgOp op, ArrayRef<Value> sizes)
      : b(b), loc(op.getLoc()), op(op), sizes(sizes),
        indices(op.getNumLoops()) {}

  /// The parallel indices from the number of the element.
  void delinearize(Value number) {
    SmallVector<unsigned> parallel;
    op.getParallelDims(parallel);
    for (unsigned dim : llvm::reverse(parallel)) {
      if (dim == parallel.front()) {
        indices[dim] = number;
        break;
      }
      indices[dim] = arith::RemUIOp::create(b, loc, number, sizes[dim]);
      number = arith::DivUIOp::create(b, loc, number, sizes[dim]);
    }
  }

  void build() {
    SmallVector<Value> results;
    for (OpOperand &init : op.getDpsInitsMutable())
      results.push_back(op.payloadUsesValueFromOperand(&init) ? load(&init)
                                                              : Value());
    // What is overwritten needs some value to begin with, where a loop carries
    // it.
    SmallVector<unsigned> reductions;
    op.getReductionDims(reductions);
    if (!reductions.empty())
      for (auto [result, init] : llvm::zip(results, op.getDpsInitsMutable()))
        if (!result)
          result = load(&init);
    results = reduce(reductions, results);
    for (auto [result, init] : llvm::zip(results, op.getDpsInitsMutable()))
      memref::StoreOp::create(b, loc, result, init.get(), position(&init));
  }

private:
  SmallVector<Value> position(OpOperand *operand) {
    SmallVector<Value> list;
    for (AffineExpr expr : op.getMatchingIndexingMap(operand).getResults())
      list.push_back(affine::expandAffineExpr(b, loc, expr, indices, {}));
    return list;
  }

  Value load(OpOperand *operand) {
    if (!isa<MemRefType>(operand->get().getType()))
      return operand->get();
    return memref::LoadOp::create(b, loc, operand->get(), position(operand));
  }

  SmallVector<Value> reduce(ArrayRef<unsigned> loops,
                            ArrayRef<Value> accumulators) {
    if (loops.empty())
      return inlineBody(accumulators);
    Value zero = arith::ConstantIndexOp::create(b, loc, 0);
    Value one = arith::ConstantIndexOp::create(b, loc, 1);
    auto loop = scf::ForOp::create(b, loc, zero, sizes[loops.front()], one,
                                   accumulators);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    indices[loops.front()] = loop.getInductionVar();
    SmallVector<Value> carried(loop.getRegionIterArgs());
    scf::YieldOp::create(b, loc, reduce(loops.drop_front(), carried));
    return loop.getResults();
  }

  SmallVector<Value> inlineBody(ArrayRef<Value> accumulators) {
    Block *body = op.getBlock();
    IRMapping mapping;
    for (OpOperand *input : op.getDpsInputOperands())
      if (Value argument = op.getMatchingBlockArgument(input);
          !argument.use_empty())
        mapping.map(argument, load(input));
    for (auto [init, value] : llvm::zip(op.getDpsInitsMutable(), accumulators))
      if (value)
        mapping.map(op.getMatchingBlockArgument(&init), value);
    for (Operation &inner : body->without_terminator()) {
      if (auto index = dyn_cast<linalg::IndexOp>(inner)) {
        mapping.map(index.getResult(), indices[index.getDim()]);
        continue;
      }
      Operation *copy = b.clone(inner, mapping);
      copy->walk([&](linalg::IndexOp index) {
        index.replaceAllUsesWith(indices[index.getDim()]);
        index.erase();
      });
    }
    return llvm::map_to_vector(
        body->getTerminator()->getOperands(),
        [&](Value value) { return mapping.lookupOrDefault(value); });
  }

  OpBuilder &b;
  Location loc;
  linalg::LinalgOp op;
  ArrayRef<Value> sizes;
  SmallVector<Value> indices;
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
  Value one = constant(1), group = constant(kGroup),
        most = constant(kMaxGroups);
  Value total = one;
  SmallVector<unsigned> parallel;
  op.getParallelDims(parallel);
  for (unsigned dim : parallel)
    total = b.createOrFold<arith::MulIOp>(loc, total, sizes[dim]);
  Value groups = b.createOrFold<arith::CeilDivUIOp>(loc, total, group);
  Value columns = b.createOrFold<arith::MinUIOp>(loc, groups, most);
  // An empty result makes no workgroup; ours is no division by zero.
  columns = b.createOrFold<arith::MaxUIOp>(loc, columns, one);
  Value rows = b.createOrFold<arith::CeilDivUIOp>(loc, groups, columns);

  auto launch =
      gpu::LaunchOp::create(b, loc, columns, rows, one, group, one, one);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&launch.getBody().front());
  Value number = arith::MulIOp::create(b, loc, launch.getBlockIds().y,
                                       launch.getGridSize().x);
  number = arith::AddIOp::create(b, loc, number, launch.getBlockIds().x);
  number = arith::MulIOp::create(b, loc, number, group);
  number = arith::AddIOp::create(b, loc, number, launch.getThreadIds().x);
  Value inside =
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, number, total);
  auto guarded = scf::IfOp::create(b, loc, inside, /*withElseRegion=*/false);
  gpu::TerminatorOp::create(b, loc);
  b.setInsertionPointToStart(guarded.thenBlock());
  ElementBuilder builder(b, op, sizes);
  builder.delinearize(number);
  builder.build();
}
