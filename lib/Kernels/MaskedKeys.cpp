// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a score of minus infinity becomes on its way through a softmax, and
// where a strip's last score that is more stands.
#include "MaskedKeys.h"
#include "BufferAccesses.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"
#include <limits>

using namespace mlir;
using namespace mlir::tamis;

namespace {
/// What is known of a value that belongs to a hidden key, as long as no other
/// value is infinite or not a number.
enum class Hidden { Unknown, MinusInfinity, Zero };

using Values = DenseMap<Value, Hidden>;
} // namespace

static Hidden getHidden(Value value, const Values &known) {
  return matchPattern(value, m_AnyZeroFloat()) ? Hidden::Zero
                                               : known.lookup(value);
}

static Hidden evaluate(Operation &op, const Values &known) {
  auto of = [&](unsigned i) { return getHidden(op.getOperand(i), known); };
  auto any = [&](Hidden what) {
    return llvm::any_of(op.getOperands(),
                        [&](Value v) { return getHidden(v, known) == what; });
  };
  if (isa<arith::AddFOp>(op))
    return any(Hidden::MinusInfinity) ? Hidden::MinusInfinity : Hidden::Unknown;
  if (isa<arith::MulFOp>(op))
    return any(Hidden::Zero) ? Hidden::Zero : Hidden::Unknown;
  if (isa<arith::SubFOp>(op) && of(0) == Hidden::MinusInfinity)
    return Hidden::MinusInfinity;
  if (isa<arith::DivFOp>(op) && of(0) == Hidden::Zero)
    return Hidden::Zero;
  if (isa<math::ExpOp, math::Exp2Op>(op) && of(0) == Hidden::MinusInfinity)
    return Hidden::Zero;
  if (isa<arith::SelectOp>(op) && of(1) == of(2))
    return of(1);
  return Hidden::Unknown;
}

/// Evaluates `body` up to its terminator.
static void evaluate(Block &body, Values &known) {
  for (Operation &op : body.without_terminator())
    if (op.getNumResults() == 1)
      known[op.getResult(0)] = evaluate(op, known);
}

/// True if a sum or a maximum over the keys stays what it is.
static bool isLeftAlone(linalg::GenericOp op, const Values &known) {
  if (op.getNumDpsInits() != 1)
    return false;
  Value total = op.getRegionOutputArgs()[0];
  Operation *last =
      op.getBody()->getTerminator()->getOperand(0).getDefiningOp();
  if (!last || last->getNumOperands() != 2 || !total.hasOneUse() ||
      *total.user_begin() != last)
    return false;
  Value other = last->getOperand(last->getOperand(0) == total ? 1 : 0);
  Hidden adds = known.lookup(other);
  return isa<arith::AddFOp>(last) ? adds == Hidden::Zero
         : isa<arith::MaximumFOp, arith::MaxNumFOp>(last)
             ? adds == Hidden::MinusInfinity
             : false;
}

/// True if hidden keys of the scores, which are minus infinity in `scores`, end
/// as zeros that the last of `ops` multiplies.
static bool vanishes(ArrayRef<DestinationStyleOpInterface> ops, int64_t rank) {
  Values buffers;
  auto first = cast<kernel::ContractOp>(ops.front());
  auto second = cast<kernel::ContractOp>(ops.back());
  buffers[getBase(first.getInit())] = Hidden::MinusInfinity;
  for (Operation *op : ops.drop_front().drop_back()) {
    auto generic = cast<linalg::GenericOp>(op);
    if (generic.getNumLoops() != rank + 1)
      return false;
    Values known;
    for (OpOperand *input : generic.getDpsInputOperands())
      if (generic.getMatchingIndexingMap(input).isFunctionOfDim(rank))
        known[generic.getMatchingBlockArgument(input)] =
            buffers.lookup(getBase(input->get()));
    evaluate(*generic.getBody(), known);
    if (generic.getNumReductionLoops() > 0) {
      if (!isLeftAlone(generic, known))
        return false;
      continue;
    }
    for (auto [init, result] :
         llvm::zip_equal(generic.getDpsInits(),
                         generic.getBody()->getTerminator()->getOperands()))
      buffers[getBase(init)] = known.lookup(result);
  }
  return buffers.lookup(getBase(second.getLhs())) == Hidden::Zero;
}

std::optional<unsigned>
mlir::tamis::findMask(ArrayRef<DestinationStyleOpInterface> ops, int64_t rank) {
  auto first = cast<kernel::ContractOp>(ops.front());
  unsigned key = first.getOutMap().getDimPosition(rank);
  if (!first.hasEpilogue() || !ShapedType::isDynamic(first.getBounds()[key]))
    return std::nullopt;
  Block &epilogue = first.getEpilogue().front();
  for (auto [x, extra] : llvm::enumerate(first.getExtras())) {
    if (!isa<MemRefType>(extra.getType()) ||
        !first.getExtraMap(x).isProjectedPermutation() ||
        !first.getExtraMap(x).isFunctionOfDim(key))
      continue;
    Values known;
    known[epilogue.getArgument(1 + x)] = Hidden::MinusInfinity;
    evaluate(epilogue, known);
    if (known.lookup(epilogue.getTerminator()->getOperand(0)) ==
            Hidden::MinusInfinity &&
        vanishes(ops, rank))
      return x;
  }
  return std::nullopt;
}

Value mlir::tamis::emitSeenKeys(ImplicitLocOpBuilder &b, Value mask,
                                int64_t key, int64_t row) {
  Value zero = arith::ConstantIndexOp::create(b, 0);
  Value one = arith::ConstantIndexOp::create(b, 1);
  Value keys = memref::DimOp::create(b, mask, key);
  Value rows = row < 0 ? one : memref::DimOp::create(b, mask, row).getResult();
  Type element = cast<MemRefType>(mask.getType()).getElementType();
  Value hidden = arith::ConstantOp::create(
      b, b.getFloatAttr(element, -std::numeric_limits<double>::infinity()));
  auto walk = scf::ForOp::create(b, zero, rows, one, ValueRange{zero});
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(walk.getBody());
  // The last row first: of a causal mask it sees most.
  Value at = arith::SubIOp::create(
      b, arith::SubIOp::create(b, rows, walk.getInductionVar()), one);
  Value seen = walk.getRegionIterArg(0);
  auto search = scf::WhileOp::create(
      b, TypeRange{b.getIndexType()}, ValueRange{keys},
      [&](OpBuilder &, Location, ValueRange k) {
        Value inside =
            arith::CmpIOp::create(b, arith::CmpIPredicate::ugt, k[0], seen);
        auto look = scf::IfOp::create(b, TypeRange{b.getI1Type()}, inside,
                                      /*withElseRegion=*/true);
        scf::ConditionOp::create(b, look.getResult(0), k);
        OpBuilder::InsertionGuard inner(b);
        b.setInsertionPointToStart(look.elseBlock());
        scf::YieldOp::create(b, inside);
        b.setInsertionPointToStart(look.thenBlock());
        int64_t rank = cast<MemRefType>(mask.getType()).getRank();
        SmallVector<Value> places(rank, zero);
        places[key] = arith::SubIOp::create(b, k[0], one);
        if (row >= 0)
          places[row] = at;
        Value score = memref::LoadOp::create(b, mask, places);
        scf::YieldOp::create(b, arith::CmpFOp::create(
                                    b, arith::CmpFPredicate::OEQ, score, hidden)
                                    .getResult());
      },
      [&](OpBuilder &, Location, ValueRange k) {
        scf::YieldOp::create(b,
                             arith::SubIOp::create(b, k[0], one).getResult());
      });
  scf::YieldOp::create(b, search.getResults());
  return walk.getResult(0);
}
