// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Derives the matrix from the contraction's maps. The movement between the
// parameter and the contraction is applied to the numbers 0, 1, 2, … instead
// of the values, which gives every element's place in the parameter.
#include "WeightMatrix.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "tamis/Compress/Report.h"
#include <limits>
#include <numeric>

using namespace mlir;
using namespace mlir::tamis;

/// Row-major strides.
static SmallVector<int64_t> getStrides(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides(shape.size());
  int64_t stride = 1;
  for (int64_t i = shape.size() - 1; i >= 0; --i) {
    strides[i] = stride;
    stride *= shape[i];
  }
  return strides;
}

/// Visits every index of `shape` in row-major order with the sum of its
/// products with `strides`.
static void forEachOffset(ArrayRef<int64_t> shape, ArrayRef<int64_t> strides,
                          function_ref<void(int64_t)> visit) {
  if (llvm::is_contained(shape, 0))
    return;
  SmallVector<int64_t> index(shape.size());
  int64_t offset = 0;
  while (true) {
    visit(offset);
    int64_t axis = shape.size() - 1;
    for (; axis >= 0; --axis) {
      offset += strides[axis];
      if (++index[axis] < shape[axis])
        break;
      offset -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
    if (axis < 0)
      return;
  }
}

/// The element of the parameter that each element of `value` is.
static std::vector<int32_t> getOrigins(Value value, ObserveOp parameter) {
  SmallVector<linalg::TransposeOp> transposes;
  for (Operation *op = value.getDefiningOp(); op != parameter;
       op = op->getOperand(0).getDefiningOp())
    if (auto transpose = dyn_cast<linalg::TransposeOp>(op))
      transposes.push_back(transpose);
  std::vector<int32_t> origins(parameter.getType().getNumElements());
  std::iota(origins.begin(), origins.end(), 0);
  // Reshapes leave the order as it is.
  for (linalg::TransposeOp transpose : llvm::reverse(transposes)) {
    auto type = cast<RankedTensorType>(transpose.getInput().getType());
    SmallVector<int64_t> shape, strides, from = getStrides(type.getShape());
    for (int64_t axis : transpose.getPermutation()) {
      shape.push_back(type.getDimSize(axis));
      strides.push_back(from[axis]);
    }
    std::vector<int32_t> moved;
    moved.reserve(origins.size());
    forEachOffset(shape, strides,
                  [&](int64_t offset) { moved.push_back(origins[offset]); });
    origins = std::move(moved);
  }
  return origins;
}

ObserveOp tamis::traceToObserved(Value value, int64_t axis,
                                 int64_t &observedAxis) {
  auto isUnit = [](Value v, int64_t a) {
    return cast<RankedTensorType>(v.getType()).getDimSize(a) == 1;
  };
  while (Operation *op = value.getDefiningOp()) {
    if (auto observe = dyn_cast<ObserveOp>(op)) {
      observedAxis = axis;
      return observe;
    }
    if (auto transpose = dyn_cast<linalg::TransposeOp>(op)) {
      axis = transpose.getPermutation()[axis];
    } else if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op)) {
      auto groups = expand.getReassociationIndices();
      for (auto [source, group] : llvm::enumerate(groups))
        if (llvm::is_contained(group, axis)) {
          axis = source;
          break;
        }
    } else if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op)) {
      ReassociationIndices parts = collapse.getReassociationIndices()[axis];
      SmallVector<int64_t> wide;
      for (int64_t part : parts)
        if (!isUnit(collapse.getSrc(), part))
          wide.push_back(part);
      if (wide.size() != 1)
        return nullptr;
      axis = wide.front();
    } else if (!isa<tensor::CastOp, tensor::PadOp>(op)) {
      return nullptr;
    }
    value = op->getOperand(0);
  }
  return nullptr;
}

/// Fills in where the input channels come from.
static void findChannels(WeightMatrix &matrix, ArrayRef<unsigned> channelDims,
                         ArrayRef<unsigned> groupDims) {
  ContractOp op = matrix.use.contract;
  AffineMap map = op.getLhsMap();
  auto type = cast<RankedTensorType>(op.getLhs().getType());
  int64_t innermost = -1, count = 1;
  for (auto [axis, expr] : llvm::enumerate(map.getResults())) {
    auto dim = dyn_cast<AffineDimExpr>(expr);
    if (!dim || !(llvm::is_contained(channelDims, dim.getPosition()) ||
                  llvm::is_contained(groupDims, dim.getPosition())))
      continue;
    innermost = axis;
    if (type.isDynamicDim(axis))
      return;
    count *= type.getDimSize(axis);
  }
  if (innermost < 0)
    return;
  int64_t axis;
  ObserveOp input = traceToObserved(op.getLhs(), innermost, axis);
  if (!input || input.getParameter() ||
      input.getType().getDimSize(axis) != count)
    return;
  matrix.input = input;
  matrix.inputAxis = axis;
}

static std::optional<WeightMatrix> makeMatrix(WeightUse use) {
  ContractOp op = use.contract;
  auto rhs = dyn_cast<RankedTensorType>(op.getRhs().getType());
  if (!rhs || !rhs.hasStaticShape() ||
      !use.observe.getType().hasStaticShape() ||
      rhs.getNumElements() > std::numeric_limits<int32_t>::max())
    return std::nullopt;
  auto iterators = op.getIterators();
  AffineMap rhsMap = op.getRhsMap(), lhsMap = op.getLhsMap();
  // A dimension in a sum with another is a place in the window.
  llvm::SmallDenseSet<unsigned> plain;
  for (AffineExpr expr : lhsMap.getResults())
    if (auto dim = dyn_cast<AffineDimExpr>(expr))
      plain.insert(dim.getPosition());
  WeightMatrix matrix;
  SmallVector<unsigned> outputs, window, channels, groups;
  for (auto [axis, expr] : llvm::enumerate(rhsMap.getResults())) {
    unsigned dim = cast<AffineDimExpr>(expr).getPosition();
    bool isPlain = plain.contains(dim);
    if (iterators[dim] == utils::IteratorType::parallel) {
      // Groups first, so that a group's rows lie together.
      if (isPlain) {
        outputs.insert(outputs.begin() + groups.size(), axis);
        groups.push_back(dim);
      } else {
        outputs.push_back(axis);
      }
    } else if (isPlain) {
      channels.push_back(axis);
    } else {
      window.push_back(axis);
    }
  }
  SmallVector<unsigned> order = outputs, channelDims;
  llvm::append_range(order, window);
  llvm::append_range(order, channels);
  auto product = [&](ArrayRef<unsigned> axes) {
    int64_t count = 1;
    for (unsigned axis : axes)
      count *= rhs.getDimSize(axis);
    return count;
  };
  matrix.rows = product(outputs);
  matrix.channels = product(channels);
  matrix.columns = product(window) * matrix.channels;
  int64_t groupCount =
      product(ArrayRef<unsigned>(outputs).take_front(groups.size()));
  if (matrix.rows == 0 || matrix.columns == 0)
    return std::nullopt;
  matrix.rowsPerGroup = matrix.rows / groupCount;
  matrix.isConvolution = !window.empty();
  auto getLoop = [&](unsigned axis) {
    return cast<AffineDimExpr>(rhsMap.getResult(axis)).getPosition();
  };
  for (unsigned axis : channels)
    channelDims.push_back(getLoop(axis));
  for (unsigned axis : window)
    matrix.reductionLoops.push_back(getLoop(axis));
  llvm::append_range(matrix.reductionLoops, channelDims);
  matrix.groupLoops = groups;

  SmallVector<int64_t> from = getStrides(rhs.getShape());
  for (unsigned axis : order) {
    matrix.shape.push_back(rhs.getDimSize(axis));
    matrix.strides.push_back(from[axis]);
  }
  matrix.layer = getNode(op).name.str();
  if (matrix.layer.empty())
    matrix.layer = op.getOrigin().value_or(use.observe.getTensor()).str();
  matrix.use = std::move(use);
  findChannels(matrix, channelDims, groups);
  return matrix;
}

std::vector<int32_t> WeightMatrix::getOffsets() const {
  std::vector<int32_t> origins = getOrigins(use.contract.getRhs(), use.observe);
  std::vector<int32_t> offsets;
  offsets.reserve(origins.size());
  forEachOffset(shape, strides,
                [&](int64_t offset) { offsets.push_back(origins[offset]); });
  return offsets;
}

FailureOr<std::vector<float>> WeightMatrix::read() const {
  FailureOr<std::vector<float>> values = readParameter(use.observe);
  if (failed(values))
    return failure();
  std::vector<float> ordered;
  ordered.reserve(values->size());
  for (int32_t offset : getOffsets())
    ordered.push_back((*values)[offset]);
  return ordered;
}

void WeightMatrix::write(ArrayRef<float> values) const {
  std::vector<float> ordered(values.size());
  for (auto [value, offset] : llvm::zip_equal(values, getOffsets()))
    ordered[offset] = value;
  writeParameter(use.observe, ordered);
}

std::vector<WeightMatrix> tamis::collectWeights(ModuleOp module) {
  std::vector<WeightMatrix> matrices;
  llvm::SmallDenseSet<Operation *> seen;
  module.walk([&](ContractOp op) {
    std::optional<WeightUse> use = findWeight(op);
    if (!use || !seen.insert(use->observe).second)
      return;
    if (std::optional<WeightMatrix> matrix = makeMatrix(std::move(*use)))
      matrices.push_back(std::move(*matrix));
  });
  return matrices;
}
