// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Computes constants channel by channel, with the folders of the operations
// themselves.
#include "ConstantChannels.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include <cmath>

using namespace mlir;
using namespace mlir::tamis;

static const float kUnknown = std::nanf("");

/// The value that says how large an open axis is, as far as the operations that
/// keep a shape tell; null if they do not.
static Value getOpenSize(Value value, int64_t axis) {
  while (Operation *op = value.getDefiningOp()) {
    if (auto observe = dyn_cast<ObserveOp>(op))
      value = observe.getInput();
    else if (auto styled = dyn_cast<DestinationStyleOpInterface>(op))
      value = styled.getTiedOpOperand(cast<OpResult>(value))->get();
    else if (auto empty = dyn_cast<tensor::EmptyOp>(op))
      return empty.getDynamicSize(axis);
    else
      return nullptr;
  }
  return nullptr;
}

bool tamis::isUnpadded(ContractOp op) {
  if (llvm::any_of(op.getPad(), [](int64_t pad) { return pad != 0; }))
    return false;
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  auto type = cast<RankedTensorType>(op.getLhs().getType());
  MLIRContext *context = op.getContext();
  for (auto [axis, expr] : llvm::enumerate(op.getLhsMap().getResults())) {
    if (isa<AffineDimExpr>(expr))
      continue;
    SmallVector<AffineExpr> last;
    std::optional<unsigned> open;
    for (auto [dim, range] : llvm::enumerate(ranges)) {
      if (ShapedType::isDynamic(range) && expr.isFunctionOfDim(dim))
        open = dim;
      last.push_back(ShapedType::isDynamic(range)
                         ? getAffineDimExpr(dim, context)
                         : getAffineConstantExpr(range - 1, context));
    }
    AffineExpr end = expr.replaceDims(last);
    if (auto constant = dyn_cast<AffineConstantExpr>(end)) {
      if (!type.isDynamicDim(axis) &&
          constant.getValue() < type.getDimSize(axis))
        continue;
      return false;
    }
    // A window of one place, as often as there are places.
    AffineExpr outer = open ? getAffineDimExpr(*open, context) : AffineExpr();
    std::optional<unsigned> at = op.getOutMap().getResultPosition(outer);
    Value size = getOpenSize(op.getLhs(), axis);
    if (end != outer || !at || !size || !op.getResult() ||
        size != getOpenSize(op.getInit(), *at))
      return false;
  }
  return true;
}

ConstantChannels::ConstantChannels(ModuleOp module) {
  for (WeightMatrix &matrix : collectWeights(module)) {
    ContractOp op = matrix.use.contract;
    matrices.insert({op, std::move(matrix)});
  }
  module.walk([&](Operation *op) { visit(op); });
}

void ConstantChannels::visit(Operation *op) {
  Channels channels;
  if (auto contract = dyn_cast<ContractOp>(op))
    channels = visitContract(contract);
  else if (auto observe = dyn_cast<ObserveOp>(op))
    channels = visitObserve(observe);
  else if (auto pad = dyn_cast<tensor::PadOp>(op))
    channels = visitPad(pad);
  else if (auto structured = dyn_cast<linalg::LinalgOp>(op))
    channels = visitStructured(structured);
  else if (isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op))
    channels = visitReshape(op);
  if (channels.axis >= 0 &&
      llvm::any_of(channels.values, [](float v) { return !std::isnan(v); }))
    known[op->getResult(0)] = std::move(channels);
}

/// Rows whose every product is one number everywhere: of a weight of zero, of a
/// channel that is zero or so small that the product is, or of any constant
/// where the window never reaches over the border. One axis of output channels;
/// of grouped contractions, those with a group for each.
Channels ConstantChannels::visitContract(ContractOp op) {
  Channels channels;
  const WeightMatrix *matrix = getMatrix(op);
  if (!matrix || op.hasEpilogue() || !matrix->isFloat32() || !op.getResult())
    return channels;
  auto iterators = op.getIterators();
  for (AffineExpr expr : op.getRhsMap().getResults()) {
    unsigned dim = cast<AffineDimExpr>(expr).getPosition();
    if (iterators[dim] == utils::IteratorType::reduction)
      continue;
    if (channels.axis >= 0)
      return Channels();
    channels.axis = *op.getOutMap().getResultPosition(expr);
  }
  FailureOr<std::vector<float>> weights = matrix->read();
  if (channels.axis < 0 || failed(weights))
    return Channels();
  const Channels *input = lookup(op.getLhs());
  if (input && int64_t(input->values.size()) !=
                   matrix->rows / matrix->rowsPerGroup * matrix->channels)
    input = nullptr;
  // The axis of the channels must be what the weight's columns, or its groups,
  // count.
  if (input) {
    auto dim = dyn_cast<AffineDimExpr>(op.getLhsMap().getResult(input->axis));
    bool isSummed =
        dim && iterators[dim.getPosition()] == utils::IteratorType::reduction;
    if (!dim || isSummed != (matrix->rowsPerGroup == matrix->rows) ||
        !op.getRhsMap().getResultPosition(dim))
      input = nullptr;
  }
  bool isSame = isUnpadded(op);
  for (int64_t row = 0, at = 0; row < matrix->rows; ++row) {
    double sum = 0;
    for (int64_t column = 0; column < matrix->columns; ++column, ++at) {
      float weight = (*weights)[at];
      if (weight == 0)
        continue;
      float value = input ? input->values[matrix->getInputChannel(row, column)]
                          : kUnknown;
      sum += isSame || weight * value == 0 ? weight * value : kUnknown;
    }
    channels.values.push_back(static_cast<float>(sum));
  }
  return channels;
}

Channels ConstantChannels::visitObserve(ObserveOp op) {
  if (!op.getParameter()) {
    const Channels *input = lookup(op.getInput());
    return input ? *input : Channels();
  }
  // A vector: one axis that is not of extent one, or a single number.
  Channels channels;
  if (!op.getType().hasStaticShape() || !op.getType().getElementType().isF32())
    return channels;
  for (auto [axis, size] : llvm::enumerate(op.getType().getShape()))
    if (size != 1) {
      if (channels.axis >= 0)
        return Channels();
      channels.axis = axis;
    }
  if (channels.axis < 0 && op.getType().getRank() > 0)
    channels.axis = 0;
  if (channels.axis < 0)
    return channels;
  FailureOr<std::vector<float>> values = readParameter(op);
  if (failed(values))
    return Channels();
  channels.values = std::move(*values);
  return channels;
}

/// Channels that are what is padded with go on.
Channels ConstantChannels::visitPad(tensor::PadOp op) {
  const Channels *input = lookup(op.getSource());
  Value padding = op.getConstantPaddingValue();
  FloatAttr constant;
  if (!input || !padding || !matchPattern(padding, m_Constant(&constant)) ||
      !constant.getType().isF32() || op.getPaddedDims().test(input->axis))
    return {};
  Channels channels = *input;
  for (float &value : channels.values)
    if (value != static_cast<float>(constant.getValueAsDouble()))
      value = kUnknown;
  return channels;
}

/// The axis stays one axis, or falls away with extent one.
Channels ConstantChannels::visitReshape(Operation *op) {
  const Channels *input = lookup(op->getOperand(0));
  if (!input)
    return {};
  auto from = cast<RankedTensorType>(op->getOperand(0).getType());
  auto to = cast<RankedTensorType>(op->getResult(0).getType());
  bool isExpand = isa<tensor::ExpandShapeOp>(op);
  auto groups =
      isExpand ? cast<tensor::ExpandShapeOp>(op).getReassociationIndices()
               : cast<tensor::CollapseShapeOp>(op).getReassociationIndices();
  int64_t size = from.getDimSize(input->axis);
  for (auto [wide, group] : llvm::enumerate(groups)) {
    if (isExpand && int64_t(wide) == input->axis) {
      for (int64_t axis : group)
        if (to.getDimSize(axis) == size)
          return {axis, input->values};
    } else if (!isExpand && llvm::is_contained(group, input->axis) &&
               to.getDimSize(wide) == size) {
      return {int64_t(wide), input->values};
    }
  }
  return {};
}

static bool isParameter(Value value) {
  while (Operation *source = value.getDefiningOp()) {
    if (auto observe = dyn_cast<ObserveOp>(source))
      return observe.getParameter();
    if (!isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(source))
      return false;
    value = source->getOperand(0);
  }
  return false;
}

/// Evaluates the body once a channel.
Channels ConstantChannels::visitStructured(linalg::LinalgOp op) {
  if (op->getNumResults() != 1 || op.getNumDpsInits() != 1)
    return {};
  AffineMap out = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
  if (!type || !out.isProjectedPermutation())
    return {};
  // The axis that a known operand varies along.
  std::optional<unsigned> dim;
  for (OpOperand *operand : op.getDpsInputOperands())
    if (const Channels *input = lookup(operand->get());
        input && input->values.size() > 1)
      if (auto expr = dyn_cast<AffineDimExpr>(
              op.getMatchingIndexingMap(operand).getResult(input->axis)))
        if (!dim || !isParameter(operand->get()))
          dim = expr.getPosition();
  if (!dim)
    return {};
  auto axis = out.getResultPosition(getAffineDimExpr(*dim, op->getContext()));
  if (!axis || type.isDynamicDim(*axis))
    return {};
  Channels channels{int64_t(*axis), {}};
  bool isReduction = op.getNumParallelLoops() != op.getNumLoops();
  for (int64_t i = 0; i < type.getDimSize(*axis); ++i)
    channels.values.push_back(isReduction ? reduce(op, *dim, i)
                                          : evaluate(op, *dim, i, kUnknown));
  return channels;
}

/// What is left after reducing one number over and over: where nothing changes
/// any more, or the same is added each time.
float ConstantChannels::reduce(linalg::LinalgOp op, unsigned dim,
                               int64_t index) {
  FloatAttr initial;
  Value init = op.getDpsInitOperand(0)->get();
  if (auto fill = init.getDefiningOp<linalg::FillOp>()) {
    if (!matchPattern(fill.getInputs().front(), m_Constant(&initial)))
      return kUnknown;
  } else if (DenseElementsAttr splat;
             matchPattern(init, m_Constant(&splat)) && splat.isSplat()) {
    initial = dyn_cast<FloatAttr>(splat.getSplatValue<Attribute>());
  }
  if (!initial || !initial.getType().isF32())
    return kUnknown;
  float steps[4] = {static_cast<float>(initial.getValueAsDouble())};
  for (int i = 1; i < 4; ++i)
    steps[i] = evaluate(op, dim, index, steps[i - 1]);
  if (steps[1] == steps[2])
    return steps[1];
  double count = 1;
  auto iterators = op.getIteratorTypesArray();
  for (auto [iterator, range] :
       llvm::zip_equal(iterators, op.getStaticLoopRanges()))
    if (iterator == utils::IteratorType::reduction)
      count *= ShapedType::isDynamic(range) ? NAN : double(range);
  double added = double(steps[1]) - steps[0];
  bool isSum = std::fabs(double(steps[3]) - steps[2] - added) <=
               1e-6 * std::fabs(steps[3]);
  return isSum ? static_cast<float>(steps[0] + count * added) : kUnknown;
}

float ConstantChannels::evaluate(linalg::LinalgOp op, unsigned dim,
                                 int64_t index, float accumulator) {
  llvm::DenseMap<Value, Attribute> values;
  Builder b(op.getContext());
  if (!std::isnan(accumulator))
    values[op.getMatchingBlockArgument(op.getDpsInitOperand(0))] =
        b.getF32FloatAttr(accumulator);
  for (OpOperand *operand : op.getDpsInputOperands()) {
    const Channels *input = lookup(operand->get());
    BlockArgument argument = op.getMatchingBlockArgument(operand);
    if (!input || !argument.getType().isF32())
      continue;
    AffineMap map = op.getMatchingIndexingMap(operand);
    auto expr = dyn_cast<AffineDimExpr>(map.getResult(input->axis));
    float value = input->values.size() == 1           ? input->values[0]
                  : expr && expr.getPosition() == dim ? input->values[index]
                                                      : kUnknown;
    if (!std::isnan(value))
      values[argument] = b.getF32FloatAttr(value);
  }
  for (Operation &inner : *op.getBlock()) {
    auto lookUp = [&](Value value) -> Attribute {
      Attribute constant;
      if (matchPattern(value, m_Constant(&constant)))
        return constant;
      return values.lookup(value);
    };
    if (inner.hasTrait<OpTrait::IsTerminator>()) {
      auto result = dyn_cast_if_present<FloatAttr>(lookUp(inner.getOperand(0)));
      return result && result.getType().isF32()
                 ? static_cast<float>(result.getValueAsDouble())
                 : kUnknown;
    }
    SmallVector<Attribute> operands =
        llvm::map_to_vector(inner.getOperands(), lookUp);
    if (inner.getNumResults() != 1 || inner.getNumRegions() != 0)
      continue;
    // Zero times anything that is finite, or over anything that is not zero.
    StringRef name = inner.getName().getStringRef();
    if (name == "arith.mulf" || name == "arith.divf") {
      ArrayRef<Attribute> factors(operands);
      for (Attribute operand : factors.take_front(name == "arith.divf" ? 1 : 2))
        if (auto number = dyn_cast_if_present<FloatAttr>(operand);
            number && number.getValue().isZero())
          values[inner.getResult(0)] = number;
      if (values.contains(inner.getResult(0)))
        continue;
    }
    if (!llvm::all_of(operands, [](Attribute a) { return bool(a); }))
      continue;
    SmallVector<OpFoldResult> folded;
    // On a copy: folding may change the operation in place.
    Operation *copy = inner.clone();
    if (succeeded(copy->fold(operands, folded)) && folded.size() == 1) {
      if (auto attr = dyn_cast<Attribute>(folded.front()))
        values[inner.getResult(0)] = attr;
      else if (Attribute same = lookUp(cast<Value>(folded.front())))
        values[inner.getResult(0)] = same;
    }
    copy->destroy();
  }
  return kUnknown;
}
