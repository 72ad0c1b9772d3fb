// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// float16 models compute in float32 and round after every operation. Rounding,
// and converting each scalar again where it is broadcast, costs more than the
// memory that narrow activations save, so activations stay float32 from the
// first operation to the last and only inputs, outputs and weights are narrow.
// Results are at least as accurate as the model's own arithmetic. Machines that
// multiply float16 themselves want it in memory instead.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "tamis/Gpu/Tensor.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Target/Target.h"
#include "tamis/Transforms/Passes.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_WIDENHALF
#include "tamis/Transforms/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

static bool isHalf(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getElementType().isF16();
}

static Type widen(Type type) {
  if (auto tensor = dyn_cast<RankedTensorType>(type))
    return tensor.clone(Float32Type::get(type.getContext()));
  return Float32Type::get(type.getContext());
}

/// `value` element by element as `element`.
static Value convert(OpBuilder &b, Value value, Type element) {
  Location loc = value.getLoc();
  auto type = cast<RankedTensorType>(value.getType());
  Value empty = tensor::EmptyOp::create(
      b, loc, tensor::getMixedSizes(b, loc, value), element);
  AffineMap map = b.getMultiDimIdentityMap(type.getRank());
  SmallVector<utils::IteratorType> loops(type.getRank(),
                                         utils::IteratorType::parallel);
  return linalg::GenericOp::create(
             b, loc, TypeRange{type.clone(element)}, ValueRange{value},
             ValueRange{empty}, ArrayRef<AffineMap>{map, map}, loops,
             [&](OpBuilder &inner, Location at, ValueRange args) {
               Value result;
               if (element.isF16())
                 result = arith::TruncFOp::create(inner, at, element, args[0]);
               else
                 result = arith::ExtFOp::create(inner, at, element, args[0]);
               linalg::YieldOp::create(inner, at, result);
             })
      .getResult(0);
}

namespace {
struct WidenHalf : tamis::impl::WidenHalfBase<WidenHalf> {
  void runOnOperation() override {
    if (isStrict(getOperation()) ||
        device::multipliesHalf(getTarget(getOperation())))
      return;
    SmallVector<Operation *> ops;
    getOperation().walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (isWidenable(op) && !isDoor(op) &&
          (llvm::any_of(op->getOperandTypes(), isHalf) ||
           llvm::any_of(op->getResultTypes(), isHalf)))
        ops.push_back(op);
    });
    for (Operation *op : ops)
      rewrite(op);
    narrowForOthers(ops);
    for (Operation *op : llvm::reverse(ops))
      op->erase();
    dropRoundings();
  }

  /// Operations whose tensors may change their element type.
  static bool isWidenable(Operation *op) {
    if (auto contract = dyn_cast<ContractOp>(op))
      return isa<RankedTensorType>(contract.getInit().getType()) &&
             contract.getAccumulator().isF32();
    if (auto generic = dyn_cast<linalg::GenericOp>(op))
      return generic.hasPureTensorSemantics();
    if (auto pad = dyn_cast<tensor::PadOp>(op))
      return pad.getConstantPaddingValue() != nullptr;
    if (auto fill = dyn_cast<linalg::FillOp>(op))
      return fill.hasPureTensorSemantics() &&
             fill.getInputs()[0].getType().isF16();
    return isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp,
               tensor::ExtractSliceOp, tensor::InsertSliceOp, tensor::ConcatOp,
               tensor::CastOp, linalg::TransposeOp>(op);
  }

  /// A conversion between float16 of others and float32 of ours: already what
  /// this pass would make.
  static bool isDoor(Operation *op) {
    auto generic = dyn_cast<linalg::GenericOp>(op);
    if (!generic || generic->getNumResults() != 1 ||
        !llvm::hasSingleElement(generic.getBody()->without_terminator()) ||
        !isa<arith::TruncFOp, arith::ExtFOp>(generic.getBody()->front()))
      return false;
    if (isHalf(generic.getResult(0).getType()))
      return llvm::none_of(generic->getUsers(), isWidenable);
    Operation *maker = generic.getDpsInputs()[0].getDefiningOp();
    return !maker || !isWidenable(maker);
  }

  /// `value` in float32, converted where it is defined unless an operation of
  /// ours makes it.
  Value getWide(Value value) {
    Value &known = wide[value];
    if (known)
      return known;
    OpBuilder b(value.getContext());
    b.setInsertionPointAfterValue(value);
    // Destinations have no content to convert.
    if (auto empty = value.getDefiningOp<tensor::EmptyOp>())
      return known = tensor::EmptyOp::create(
                 b, empty.getLoc(), empty.getMixedSizes(), b.getF32Type());
    return known = convert(b, value, b.getF32Type());
  }

  void rewrite(Operation *op) {
    OpBuilder b(op);
    IRMapping mapping;
    auto contract = dyn_cast<ContractOp>(op);
    for (OpOperand &operand : op->getOpOperands()) {
      // Weights are packed as float32 whatever they are.
      bool weights =
          contract && &operand == &contract.getRhsMutable() &&
          operand.get().getDefiningOp<ml_program::GlobalLoadConstOp>();
      if (isHalf(operand.get().getType()) && !weights)
        mapping.map(operand.get(), getWide(operand.get()));
    }
    if (auto pad = dyn_cast<tensor::PadOp>(op)) {
      Value value = arith::ExtFOp::create(b, op->getLoc(), b.getF32Type(),
                                          pad.getConstantPaddingValue());
      wide[pad.getResult()] = tensor::PadOp::create(
          b, op->getLoc(), widen(pad.getType()),
          mapping.lookup(pad.getSource()), pad.getMixedLowPad(),
          pad.getMixedHighPad(), value, pad.getNofold());
      return;
    }
    if (auto fill = dyn_cast<linalg::FillOp>(op)) {
      Value value = arith::ExtFOp::create(b, op->getLoc(), b.getF32Type(),
                                          fill.getInputs()[0]);
      wide[fill.getResult(0)] =
          linalg::FillOp::create(b, op->getLoc(), value,
                                 mapping.lookup(fill.getOutputs()[0]))
              .getResult(0);
      return;
    }
    Operation *clone = b.clone(*op, mapping);
    for (auto [result, old] : llvm::zip(clone->getResults(), op->getResults()))
      if (isHalf(old.getType())) {
        result.setType(cast<RankedTensorType>(widen(old.getType())));
        wide[old] = result;
      } else {
        old.replaceAllUsesWith(result);
      }
    // The body goes on in float16, between conversions.
    for (Region &region : clone->getRegions()) {
      if (region.empty())
        continue;
      Block &block = region.front();
      b.setInsertionPointToStart(&block);
      // Arguments of a contraction begin with the accumulator.
      unsigned skipped = contract ? 1 : 0;
      ValueRange operands = contract ? cast<ContractOp>(clone).getExtras()
                                     : ValueRange(clone->getOperands());
      for (auto [argument, operand] :
           llvm::zip(block.getArguments().drop_front(skipped), operands)) {
        if (!argument.getType().isF16() ||
            !getElementTypeOrSelf(operand.getType()).isF32())
          continue;
        argument.setType(b.getF32Type());
        auto narrow = arith::TruncFOp::create(b, argument.getLoc(),
                                              b.getF16Type(), argument);
        argument.replaceAllUsesExcept(narrow, narrow);
      }
      Operation *end = block.getTerminator();
      b.setInsertionPoint(end);
      for (OpOperand &yielded : end->getOpOperands()) {
        Type stored = getElementTypeOrSelf(
            clone->getResult(yielded.getOperandNumber()).getType());
        if (yielded.get().getType().isF16() && stored.isF32())
          yielded.set(
              arith::ExtFOp::create(b, end->getLoc(), stored, yielded.get()));
      }
    }
    ++numWidened;
  }

  /// Whoever needs float16 all the same: results of the model, loops.
  void narrowForOthers(ArrayRef<Operation *> ops) {
    llvm::SmallPtrSet<Operation *, 32> ours(ops.begin(), ops.end());
    for (Operation *op : ops)
      for (Value result : op->getResults()) {
        Value narrow;
        for (OpOperand &use : llvm::make_early_inc_range(result.getUses())) {
          if (ours.contains(use.getOwner()))
            continue;
          if (!narrow) {
            Value from = wide.lookup(result);
            OpBuilder b(op->getContext());
            b.setInsertionPointAfterValue(from);
            narrow = convert(b, from, b.getF16Type());
          }
          use.set(narrow);
        }
      }
  }

  /// A float32 that is rounded to float16 and extended again stays as it is.
  void dropRoundings() {
    getOperation().walk([&](arith::ExtFOp op) {
      auto narrow = op.getIn().getDefiningOp<arith::TruncFOp>();
      if (!narrow || narrow.getIn().getType() != op.getType() ||
          !narrow.getType().isF16())
        return;
      op.replaceAllUsesWith(narrow.getIn());
      op.erase();
    });
    getOperation().walk([](arith::TruncFOp op) {
      if (op->use_empty())
        op.erase();
    });
  }

  DenseMap<Value, Value> wide;
};
} // namespace
