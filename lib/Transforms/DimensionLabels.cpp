// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Ties dimensions together and labels them.
#include "DimensionLabels.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::tamis;

bool DimensionLabels::isFree(Value value) {
  Operation *op = value.getDefiningOp();
  return op &&
         (isa<tensor::EmptyOp, linalg::FillOp, ml_program::GlobalLoadConstOp>(
              op) ||
          op->hasTrait<OpTrait::ConstantLike>());
}

bool DimensionLabels::isConvolution(ContractOp op) {
  return isa<RankedTensorType>(op.getLhs().getType()) &&
         llvm::any_of(op.getLhsMap().getResults(), [](AffineExpr expr) {
           return !isa<AffineDimExpr>(expr);
         });
}

DimensionLabels::Node DimensionLabels::getNode(Value value, int64_t dim) {
  auto [it, inserted] = values.try_emplace(value, next);
  if (inserted) {
    int64_t rank = cast<RankedTensorType>(value.getType()).getRank();
    for (int64_t i = 0; i < rank; ++i)
      classes.insert(next++);
  }
  return it->second + dim;
}

DimensionLabels::Node DimensionLabels::getLoop(Operation *op, unsigned loop) {
  auto [it, inserted] = loops.try_emplace(op, next);
  if (inserted) {
    unsigned count = isa<ContractOp>(op)
                         ? cast<ContractOp>(op).getLhsMap().getNumDims()
                         : cast<linalg::LinalgOp>(op).getNumLoops();
    for (unsigned i = 0; i < count; ++i)
      classes.insert(next++);
  }
  return it->second + loop;
}

void DimensionLabels::tie(Operation *op, Value value, AffineMap map) {
  if (!isa<RankedTensorType>(value.getType()) || isFree(value))
    return;
  for (auto [i, expr] : llvm::enumerate(map.getResults()))
    if (auto dim = dyn_cast<AffineDimExpr>(expr))
      unite(getNode(value, i), getLoop(op, dim.getPosition()));
}

void DimensionLabels::tieAll(Value a, Value b) {
  if (isFree(a) || isFree(b))
    return;
  int64_t rank = cast<RankedTensorType>(a.getType()).getRank();
  for (int64_t i = 0; i < rank; ++i)
    unite(getNode(a, i), getNode(b, i));
}

void DimensionLabels::label(ContractOp op) {
  llvm::SmallBitVector inRhs(op.getRhsMap().getNumDims());
  for (AffineExpr expr : op.getRhsMap().getResults())
    inRhs.set(cast<AffineDimExpr>(expr).getPosition());
  auto labelTensor = [&](Value value, AffineMap map) {
    for (auto [i, expr] : llvm::enumerate(map.getResults())) {
      auto dim = dyn_cast<AffineDimExpr>(expr);
      bool channel = dim && inRhs[dim.getPosition()];
      (channel ? channels : others).push_back(getNode(value, i));
    }
  };
  labelTensor(op.getLhs(), op.getLhsMap());
  labelTensor(op.getResult(), op.getOutMap());
}

void DimensionLabels::visit(Operation *op) {
  llvm::TypeSwitch<Operation *>(op)
      .Case([&](linalg::GenericOp op) {
        for (OpOperand &operand : op->getOpOperands())
          tie(op, operand.get(), op.getMatchingIndexingMap(&operand));
        for (OpResult result : op->getResults())
          tie(op, result, op.getIndexingMapMatchingResult(result));
        // A body that gathers names its loops by linalg.index.
        op.walk([&](tensor::ExtractOp extract) {
          if (isFree(extract.getTensor()))
            return;
          for (auto [i, at] : llvm::enumerate(extract.getIndices()))
            if (auto index = at.getDefiningOp<linalg::IndexOp>())
              unite(getNode(extract.getTensor(), i),
                    getLoop(op, index.getDim()));
        });
      })
      .Case([&](linalg::TransposeOp op) {
        for (auto [i, from] : llvm::enumerate(op.getPermutation()))
          if (!isFree(op.getInput()))
            unite(getNode(op->getResult(0), i), getNode(op.getInput(), from));
      })
      .Case([&](tensor::PadOp op) { tieAll(op.getSource(), op.getResult()); })
      .Case([&](tensor::CastOp op) {
        if (isa<RankedTensorType>(op.getSource().getType()) &&
            isa<RankedTensorType>(op.getType()))
          tieAll(op.getSource(), op.getResult());
      })
      .Case([&](tensor::ConcatOp op) {
        for (Value input : op.getInputs())
          tieAll(input, op.getResult());
      })
      .Case([&](tensor::ExtractSliceOp op) {
        llvm::SmallBitVector dropped = op.getDroppedDims();
        for (int64_t i = 0, to = 0; i < op.getSourceType().getRank(); ++i)
          if (!dropped[i] && !isFree(op.getSource()))
            unite(getNode(op.getSource(), i), getNode(op.getResult(), to++));
      })
      .Case([&](tensor::InsertSliceOp op) {
        llvm::SmallBitVector dropped = op.getDroppedDims();
        for (int64_t i = 0, from = 0; i < op.getType().getRank(); ++i)
          if (!dropped[i] && !isFree(op.getSource()))
            unite(getNode(op.getSource(), from++), getNode(op.getResult(), i));
        tieAll(op.getDest(), op.getResult());
      })
      .Case([&](ContractOp op) {
        if (!isConvolution(op))
          return;
        tie(op, op.getLhs(), op.getLhsMap());
        tie(op, op.getResult(), op.getOutMap());
        for (auto [i, extra] : llvm::enumerate(op.getExtras()))
          tie(op, extra, op.getExtraMap(i));
        label(op);
      });
}

/// The expanded and the collapsed side of a reshape.
static std::pair<Value, Value> getSides(Operation *op) {
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    return {expand.getResult(), expand.getSrc()};
  auto collapse = cast<tensor::CollapseShapeOp>(op);
  return {collapse.getSrc(), collapse.getResult()};
}

static SmallVector<ReassociationIndices> getGroups(Operation *op) {
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    return expand.getReassociationIndices();
  return cast<tensor::CollapseShapeOp>(op).getReassociationIndices();
}

bool DimensionLabels::visitMerge(Operation *op) {
  auto [expanded, collapsed] = getSides(op);
  if (isFree(expanded) || isFree(collapsed))
    return false;
  bool changed = false;
  auto shape = cast<RankedTensorType>(expanded.getType()).getShape();
  for (auto [i, group] : llvm::enumerate(getGroups(op))) {
    SmallVector<Node> parts;
    for (int64_t dim : group)
      if (shape[dim] != 1)
        parts.push_back(getNode(expanded, dim));
    if (parts.empty())
      continue;
    Node merged = getNode(collapsed, i);
    // Several dimensions become one: of one kind, or none of our business.
    auto is = [&](const llvm::DenseSet<Node> &labels) {
      return [&](Node node) {
        return labels.contains(classes.getLeaderValue(node));
      };
    };
    if (parts.size() > 1) {
      bool all =
          llvm::all_of(parts, is(channelLeaders)) || is(channelLeaders)(merged);
      if (!all || llvm::any_of(parts, is(otherLeaders)) ||
          is(otherLeaders)(merged))
        continue;
    }
    for (Node part : parts) {
      if (classes.isEquivalent(part, merged))
        continue;
      unite(part, merged);
      changed = true;
    }
  }
  return changed;
}

void DimensionLabels::resolve() {
  channelLeaders.clear();
  otherLeaders.clear();
  for (Node node : channels)
    channelLeaders.insert(classes.getLeaderValue(node));
  for (Node node : others)
    otherLeaders.insert(classes.getLeaderValue(node));
}

DimensionLabels::DimensionLabels(func::FuncOp func) {
  SmallVector<Operation *> reshapes;
  func.walk([&](Operation *op) {
    visit(op);
    if (isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op))
      reshapes.push_back(op);
  });
  if (empty())
    return;
  bool changed = true;
  while (changed) {
    changed = false;
    resolve();
    for (Operation *op : reshapes)
      if (visitMerge(op)) {
        changed = true;
        resolve();
      }
  }
}

bool DimensionLabels::isChannel(Node node) {
  Node leader = classes.getLeaderValue(node);
  return channelLeaders.contains(leader) && !otherLeaders.contains(leader);
}

SmallVector<int64_t> DimensionLabels::sort(ArrayRef<bool> isChannel) {
  SmallVector<int64_t> order;
  for (bool wanted : {false, true})
    for (auto [i, channel] : llvm::enumerate(isChannel))
      if (channel == wanted)
        order.push_back(i);
  return order;
}

SmallVector<int64_t> DimensionLabels::getLayout(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  SmallVector<bool> channel(type.getRank(), false);
  if (values.count(value))
    for (int64_t i = 0; i < type.getRank(); ++i)
      channel[i] = isChannel(getNode(value, i));
  return sort(channel);
}

SmallVector<int64_t> DimensionLabels::getLayout(Operation *op, AffineMap map) {
  SmallVector<bool> channel(map.getNumResults(), false);
  if (loops.count(op))
    for (auto [i, expr] : llvm::enumerate(map.getResults()))
      if (auto dim = dyn_cast<AffineDimExpr>(expr))
        channel[i] = isChannel(getLoop(op, dim.getPosition()));
  return sort(channel);
}
