// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which operations may join a group of rows: what they touch decides.
#include "RowGroup.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/ValueBoundsOpInterface.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

using namespace mlir;
using namespace mlir::tamis;

static Value getBase(Value value) {
  while (auto view = value.getDefiningOp<ViewLikeOpInterface>())
    value = view.getViewSource();
  return value;
}

std::optional<int> mlir::tamis::plainPosition(AffineMap map, unsigned dim) {
  int position = -1;
  for (auto [i, expr] : llvm::enumerate(map.getResults())) {
    if (!expr.isFunctionOfDim(dim))
      continue;
    if (!isa<AffineDimExpr>(expr) || position >= 0)
      return std::nullopt;
    position = i;
  }
  return position;
}

bool RowGroup::add(linalg::LinalgOp op, bool atEnd) {
  SmallVector<std::optional<unsigned>> found(rank());
  bool shares = false;
  auto note = [&](unsigned k, AffineExpr expr) {
    auto dim = dyn_cast<AffineDimExpr>(expr);
    if (!dim || (found[k] && *found[k] != dim.getPosition()))
      return false;
    found[k] = dim.getPosition();
    return true;
  };
  for (OpOperand &operand : op->getOpOperands()) {
    auto it = axes.find(operand.get());
    if (it == axes.end())
      continue;
    bool writes = op.isDpsInit(&operand) || written.contains(operand.get());
    AffineMap map = op.getMatchingIndexingMap(&operand);
    for (unsigned k = 0; k < rank() && writes; ++k)
      if (!note(k, map.getResult(it->second[k])))
        return false;
    shares |= writes;
  }
  if (!shares) {
    // A fill of another buffer with the same rows.
    if (!isa<linalg::FillOp>(op))
      return false;
    Value output = op.getDpsInits()[0];
    if (cast<MemRefType>(output.getType()).getRank() < int64_t(rank()))
      return false;
    for (unsigned k = 0; k < rank(); ++k) {
      FailureOr<bool> equal = ValueBoundsConstraintSet::areEqual(
          {output, int64_t(k)}, {extents[k].first, int64_t(extents[k].second)});
      if (failed(equal) || !*equal)
        return false;
      found[k] = k;
    }
  }
  SmallVector<unsigned> dims;
  auto iterators = op.getIteratorTypesArray();
  for (std::optional<unsigned> dim : found) {
    if (!dim || iterators[*dim] != utils::IteratorType::parallel ||
        llvm::is_contained(dims, *dim))
      return false;
    dims.push_back(*dim);
  }

  // What the operation touches, and whether row by row.
  DenseMap<Value, SmallVector<unsigned>> touched;
  llvm::SmallDenseSet<Value> whole, stores;
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isa<MemRefType>(operand.get().getType()))
      continue;
    bool read = op.isDpsInit(&operand) ||
                !op.getMatchingBlockArgument(&operand).use_empty();
    if (op.isDpsInit(&operand))
      stores.insert(operand.get());
    else if (!read)
      continue;
    AffineMap map = op.getMatchingIndexingMap(&operand);
    SmallVector<unsigned> positions;
    for (unsigned dim : dims) {
      std::optional<int> position = plainPosition(map, dim);
      if (!position)
        return false;
      if (*position >= 0)
        positions.push_back(*position);
    }
    if (positions.size() == rank()) {
      auto [it, isNew] = touched.try_emplace(operand.get(), positions);
      if (!isNew && it->second != positions)
        whole.insert(operand.get());
    } else {
      whole.insert(operand.get());
    }
  }
  WalkResult pure = op->getRegion(0).walk([&](Operation *inner) {
    if (auto load = dyn_cast<memref::LoadOp>(inner))
      whole.insert(load.getMemRef());
    else if (!isMemoryEffectFree(inner))
      return WalkResult::interrupt();
    return WalkResult::advance();
  });
  if (pure.wasInterrupted())
    return false;
  for (Value value : stores)
    if (whole.contains(value) || irregular.contains(value))
      return false;
  for (Value value : whole)
    if (written.contains(value))
      return false;
  for (auto &[value, positions] : touched)
    if (auto it = axes.find(value);
        it != axes.end() && it->second != positions) {
      if (stores.contains(value) || written.contains(value))
        return false;
      whole.insert(value);
    }
  // Two names of one memory, one of them written, are beyond this analysis.
  auto clash = [&](Value x, bool xWritten, Value y, bool yWritten) {
    return x != y && (xWritten || yWritten) && getBase(x) == getBase(y);
  };
  SmallVector<Value> mine(whole.begin(), whole.end());
  for (auto &[value, positions] : touched)
    mine.push_back(value);
  SmallVector<Value> theirs(irregular.begin(), irregular.end());
  for (auto &[value, positions] : axes)
    theirs.push_back(value);
  llvm::append_range(theirs, mine);
  for (Value x : mine)
    for (Value y : theirs)
      if (clash(x, stores.contains(x), y,
                written.contains(y) || stores.contains(y)))
        return false;

  if (lanes && (!fitsBuffers(mine) || !addForLanes(op, dims, stores)))
    return false;
  for (auto &[value, positions] : touched)
    axes.try_emplace(value, positions);
  irregular.insert(whole.begin(), whole.end());
  written.insert(stores.begin(), stores.end());
  rowDims[op] = dims;
  ops.insert(atEnd ? ops.end() : ops.begin(), op);
  return true;
}

bool RowGroup::fitsBuffers(ArrayRef<Value> more) const {
  llvm::SmallDenseSet<Value> all(irregular.begin(), irregular.end());
  for (auto &[value, positions] : axes)
    all.insert(value);
  all.insert(more.begin(), more.end());
  return all.size() <= kMostBuffers;
}

/// Lanes do not wait for each other between operations: what one writes no
/// other reads.
bool RowGroup::addForLanes(linalg::LinalgOp op, ArrayRef<unsigned> dims,
                           const llvm::SmallDenseSet<Value> &stores) {
  if (!fitsLanes(op, dims))
    return false;
  DenseMap<Value, RowAccess> merged = access;
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isa<MemRefType>(operand.get().getType()))
      continue;
    RowAccess mine = getRowAccess(op, operand, dims);
    auto [it, isNew] = merged.try_emplace(operand.get(), mine);
    if (!isNew && it->second != mine)
      it->second = RowAccess::Other;
    if (it->second == RowAccess::Other &&
        (stores.contains(operand.get()) || written.contains(operand.get())))
      return false;
  }
  access = std::move(merged);
  return true;
}
