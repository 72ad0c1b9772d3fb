// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A group grows from the result of a contraction along every definition and
// use, until contractions end it or something makes it impossible.
#include "ScaleGroups.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::tamis;

/// True for a value that is the same on every run.
static bool isConstant(Value value) {
  auto observe = value.getDefiningOp<ObserveOp>();
  return (observe && observe.getParameter()) ||
         matchPattern(value, m_Constant());
}

static bool isZero(Value value) {
  if (auto observe = value.getDefiningOp<ObserveOp>())
    value = observe.getInput();
  Attribute attr;
  if (!matchPattern(value, m_Constant(&attr)))
    return false;
  if (auto splat = dyn_cast<SplatElementsAttr>(attr))
    attr = splat.getSplatValue<Attribute>();
  auto real = dyn_cast<FloatAttr>(attr);
  return real && real.getValue().isZero();
}

namespace {
class Growth {
public:
  Growth(ArrayRef<WeightMatrix> matrices,
         const llvm::DenseMap<Operation *, size_t> &byContract,
         llvm::DenseSet<Value> &seen)
      : matrices(matrices), byContract(byContract), seen(seen) {}

  /// The group of the channels along `axis` of `value`; nullopt if they cannot
  /// be scaled.
  std::optional<ScaleGroup> grow(Value value, int64_t axis) {
    group.channels = cast<RankedTensorType>(value.getType()).getDimSize(axis);
    add(value, axis);
    bool possible = !ShapedType::isDynamic(group.channels);
    // To the end even then, so that nothing is looked at twice.
    while (!pending.empty()) {
      auto [next, nextAxis] = pending.pop_back_val();
      possible &= followDefinition(next, nextAxis);
      for (OpOperand &use : next.getUses())
        possible &= followUse(use, nextAxis);
    }
    if (!possible || group.producers.empty() || group.consumers.empty())
      return std::nullopt;
    // In the order of the program, whichever way they were found.
    llvm::sort(group.producers);
    llvm::sort(group.consumers);
    return std::move(group);
  }

private:
  void add(Value value, int64_t axis) {
    if (seen.insert(value).second)
      pending.push_back({value, axis});
  }

  bool followDefinition(Value value, int64_t axis) {
    Operation *op = value.getDefiningOp();
    if (auto observe = dyn_cast_if_present<ObserveOp>(op)) {
      if (observe.getParameter())
        return false;
      group.tensors.push_back({observe, axis});
      add(observe.getInput(), axis);
      return true;
    }
    if (auto contract = dyn_cast_if_present<ContractOp>(op))
      return addProducer(contract);
    if (auto merge = dyn_cast_if_present<tensor::CollapseShapeOp>(op)) {
      // Groups and their channels; nothing else may be in between.
      auto contract = merge.getSrc().getDefiningOp<ContractOp>();
      return contract && merge.getSrc().hasOneUse() && addProducer(contract);
    }
    if (auto pad = dyn_cast_if_present<tensor::PadOp>(op)) {
      add(pad.getSource(), axis);
      return followPad(pad, axis);
    }
    if (auto generic = dyn_cast_if_present<linalg::GenericOp>(op))
      return followGeneric(generic, axis);
    return false;
  }

  bool followUse(OpOperand &use, int64_t axis) {
    Operation *op = use.getOwner();
    if (isa<tensor::DimOp>(op))
      return true;
    if (auto contract = dyn_cast<ContractOp>(op))
      return addConsumer(contract, use);
    if (auto split = dyn_cast<tensor::ExpandShapeOp>(op))
      return llvm::all_of(split->getUses(), [&](OpOperand &next) {
        auto contract = dyn_cast<ContractOp>(next.getOwner());
        return contract && addConsumer(contract, next);
      });
    if (auto merge = dyn_cast<tensor::CollapseShapeOp>(op)) {
      // Of groups: the merged axis has all channels.
      for (auto [at, part] : llvm::enumerate(merge.getReassociationIndices()))
        if (merge.getResultType().getDimSize(at) == group.channels &&
            llvm::is_contained(part, axis)) {
          add(merge.getResult(), at);
          return true;
        }
      return false;
    }
    if (isa<ObserveOp>(op)) {
      add(op->getResult(0), axis);
      return true;
    }
    if (auto pad = dyn_cast<tensor::PadOp>(op)) {
      add(pad.getResult(), axis);
      return followPad(pad, axis);
    }
    if (auto generic = dyn_cast<linalg::GenericOp>(op)) {
      if (generic.isDpsInit(&use) || generic->getNumResults() != 1)
        return false;
      add(generic.getResult(0), axis);
      return followGeneric(generic, axis);
    }
    return false;
  }

  /// Zero and the lowest number there is are the same on any scale.
  static bool followPad(tensor::PadOp pad, int64_t axis) {
    Value padding = pad.getConstantPaddingValue();
    if (!padding || !isConstantIntValue(pad.getMixedLowPad()[axis], 0) ||
        !isConstantIntValue(pad.getMixedHighPad()[axis], 0))
      return false;
    return matchPattern(padding, m_AnyZeroFloat()) ||
           matchPattern(padding, m_NegInfFloat());
  }

  bool addProducer(ContractOp op) {
    auto found = byContract.find(op);
    if (found == byContract.end() || op.hasEpilogue() ||
        matrices[found->second].rows != group.channels)
      return false;
    group.producers.push_back(found->second);
    return true;
  }

  bool addConsumer(ContractOp op, OpOperand &use) {
    auto found = byContract.find(op);
    if (found == byContract.end() || &use != &op.getLhsMutable() ||
        op.hasEpilogue())
      return false;
    const WeightMatrix &matrix = matrices[found->second];
    if (!matrix.input ||
        matrix.getGroupCount() * matrix.channels != group.channels)
      return false;
    group.consumers.push_back(found->second);
    return true;
  }

  /// Sums, products with constants, maxima with zero; maxima over windows.
  bool followGeneric(linalg::GenericOp op, int64_t axis) {
    if (!visited.insert(op).second)
      return true;
    if (op.getNumDpsInits() != 1)
      return false;
    AffineMap out = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
    bool isPooling = op.getNumReductionLoops() != 0;
    if (!isPooling && !out.isIdentity())
      return false;
    // A sum over the last axis has none there.
    if (axis >= int64_t(out.getNumResults()))
      return false;
    auto channel = dyn_cast<AffineDimExpr>(out.getResult(axis));
    if (!channel)
      return false;
    scaled.clear();
    for (OpOperand *operand : op.getDpsInputOperands()) {
      AffineMap map = op.getMatchingIndexingMap(operand);
      if (isConstant(operand->get()) || !operand->get().getDefiningOp()) {
        if (!isConstant(operand->get()))
          return false;
        continue;
      }
      if (isa<tensor::EmptyOp>(operand->get().getDefiningOp()))
        continue; // gives a window its extent
      if (map.getNumResults() != out.getNumResults() ||
          map.getResult(axis) != channel || (!isPooling && !map.isIdentity()))
        return false;
      add(operand->get(), axis);
      scaled.insert(op.getMatchingBlockArgument(operand));
    }
    if (isPooling)
      scaled.insert(op.getBody()->getArguments().back());
    for (Operation &inner : op.getBody()->without_terminator())
      if (!isa<arith::ConstantOp>(inner) &&
          !scaleInner(op, inner, channel, isPooling))
        return false;
    return scaled.contains(op.getBody()->getTerminator()->getOperand(0));
  }

  /// True if the result of one operation of a body scales with the channels.
  bool scaleInner(linalg::GenericOp op, Operation &inner, AffineExpr channel,
                  bool isPooling) {
    if (inner.getNumOperands() != 2 || inner.getNumResults() != 1)
      return false;
    Value lhs = inner.getOperand(0), rhs = inner.getOperand(1);
    bool both = scaled.contains(lhs) && scaled.contains(rhs);
    if (!scaled.contains(lhs) && !scaled.contains(rhs))
      return false;
    Value other = scaled.contains(lhs) ? rhs : lhs;
    if (isa<arith::MaximumFOp, arith::MaxNumFOp>(inner)) {
      if (!both && !isZero(getOutside(op, other)))
        return false;
    } else if (isPooling) {
      return false;
    } else if (isa<arith::AddFOp, arith::SubFOp>(inner)) {
      if (!both && !addBias(op, other, channel))
        return false;
    } else if (isa<arith::MulFOp>(inner)) {
      if (both)
        return false;
    } else if (isa<arith::DivFOp>(inner)) {
      if (both || scaled.contains(rhs))
        return false;
    } else {
      return false;
    }
    scaled.insert(inner.getResult(0));
    return true;
  }

  /// What an argument of the body is element by element.
  static Value getOutside(linalg::GenericOp op, Value value) {
    auto argument = dyn_cast<BlockArgument>(value);
    if (argument && argument.getOwner() == op.getBody())
      return op.getMatchingOpOperand(argument)->get();
    return value;
  }

  bool addBias(linalg::GenericOp op, Value value, AffineExpr channel) {
    auto argument = dyn_cast<BlockArgument>(value);
    if (!argument || argument.getOwner() != op.getBody())
      return false;
    OpOperand *operand = op.getMatchingOpOperand(argument);
    auto bias = operand->get().getDefiningOp<ObserveOp>();
    AffineMap map = op.getMatchingIndexingMap(operand);
    if (!bias || !isReadOnce(bias) || bias.getType().getRank() != 1 ||
        bias.getType().getNumElements() != group.channels ||
        map.getNumResults() != 1 || map.getResult(0) != channel)
      return false;
    group.biases.push_back(bias);
    return true;
  }

  ArrayRef<WeightMatrix> matrices;
  const llvm::DenseMap<Operation *, size_t> &byContract;
  llvm::DenseSet<Value> &seen;
  llvm::DenseSet<Operation *> visited;
  ScaleGroup group;
  SmallVector<std::pair<Value, int64_t>> pending;
  /// Values of the body at hand that scale with the channels.
  llvm::DenseSet<Value> scaled;
};
} // namespace

std::vector<ScaleGroup>
tamis::findScaleGroups(ArrayRef<WeightMatrix> matrices) {
  llvm::DenseMap<Operation *, size_t> byContract;
  for (auto [i, matrix] : llvm::enumerate(matrices))
    if (isReadOnce(matrix.use.observe) && matrix.isFloat32())
      byContract[matrix.use.contract] = i;
  llvm::DenseSet<Value> seen;
  std::vector<ScaleGroup> groups;
  for (const WeightMatrix &matrix : matrices) {
    // From the input of a weight: that of its result may have groups apart.
    if (!matrix.input || seen.contains(matrix.input.getResult()))
      continue;
    Growth growth(matrices, byContract, seen);
    if (auto group = growth.grow(matrix.input.getResult(), matrix.inputAxis))
      groups.push_back(std::move(*group));
  }
  return groups;
}
