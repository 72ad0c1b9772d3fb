// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Channels that are one number whatever the input: a contraction whose weights
// for them are zero, a bias, an activation function. Their readers add that
// number times their weights, which belongs into a bias. And channels that
// all readers multiply by zero.
#include "ChannelPruning.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/BitVector.h"
#include <cmath>

using namespace mlir;
using namespace mlir::tamis;

namespace {

/// The numbers that the channels of a value are, along one axis; NaN where a
/// channel depends on the input.
struct Channels {
  int64_t axis = -1;
  std::vector<float> values;
};

const float kUnknown = std::nanf("");

/// Follows constant channels through a module.
class ConstantChannels {
public:
  explicit ConstantChannels(ModuleOp module) {
    for (WeightMatrix &matrix : collectWeights(module)) {
      ContractOp op = matrix.use.contract;
      matrices.insert({op, std::move(matrix)});
    }
    module.walk([&](Operation *op) { visit(op); });
  }

  const Channels *lookup(Value value) const {
    auto entry = known.find(value);
    return entry == known.end() ? nullptr : &entry->second;
  }
  const WeightMatrix *getMatrix(ContractOp op) const {
    auto entry = matrices.find(op);
    return entry == matrices.end() ? nullptr : &entry->second;
  }

private:
  void visit(Operation *op) {
    Channels channels;
    if (auto contract = dyn_cast<ContractOp>(op))
      channels = visitContract(contract);
    else if (auto observe = dyn_cast<ObserveOp>(op))
      channels = visitObserve(observe);
    else if (auto structured = dyn_cast<linalg::LinalgOp>(op))
      channels = visitElementwise(structured);
    else if (isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op))
      channels = visitReshape(op);
    if (channels.axis >= 0 &&
        llvm::any_of(channels.values, [](float v) { return !std::isnan(v); }))
      known[op->getResult(0)] = std::move(channels);
  }

  /// Rows of zeros. A contraction has one axis of output channels here; groups
  /// are left out.
  Channels visitContract(ContractOp op) {
    Channels channels;
    const WeightMatrix *matrix = getMatrix(op);
    if (!matrix || matrix->rowsPerGroup != matrix->rows || op.hasEpilogue() ||
        !matrix->isFloat32())
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
    for (int64_t row = 0; row < matrix->rows; ++row) {
      auto values =
          ArrayRef(*weights).slice(row * matrix->columns, matrix->columns);
      bool isZero = llvm::all_of(values, [](float v) { return v == 0; });
      channels.values.push_back(isZero ? 0 : kUnknown);
    }
    return channels;
  }

  Channels visitObserve(ObserveOp op) {
    if (!op.getParameter()) {
      const Channels *input = lookup(op.getInput());
      return input ? *input : Channels();
    }
    // A vector: one axis that is not of extent one, or a single number.
    Channels channels;
    if (!op.getType().hasStaticShape() ||
        !op.getType().getElementType().isF32())
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

  /// The axis stays one axis, or falls away with extent one.
  Channels visitReshape(Operation *op) {
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

  /// Evaluates the body once a channel.
  Channels visitElementwise(linalg::LinalgOp op) {
    if (op.getNumParallelLoops() != op.getNumLoops() ||
        op->getNumResults() != 1 || op.getNumDpsInits() != 1)
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
    for (int64_t i = 0; i < type.getDimSize(*axis); ++i)
      channels.values.push_back(evaluate(op, *dim, i));
    return channels;
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

  /// The value of channel `index` along `dim`, or unknown.
  float evaluate(linalg::LinalgOp op, unsigned dim, int64_t index) {
    llvm::DenseMap<Value, Attribute> values;
    Builder b(op.getContext());
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
        auto result =
            dyn_cast_if_present<FloatAttr>(lookUp(inner.getOperand(0)));
        return result && result.getType().isF32()
                   ? static_cast<float>(result.getValueAsDouble())
                   : kUnknown;
      }
      SmallVector<Attribute> operands =
          llvm::map_to_vector(inner.getOperands(), lookUp);
      if (inner.getNumResults() != 1 || inner.getNumRegions() != 0)
        continue;
      // Zero times anything that is finite.
      if (inner.getName().getStringRef() == "arith.mulf") {
        for (Attribute operand : operands)
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

  llvm::DenseMap<Operation *, WeightMatrix> matrices;
  llvm::DenseMap<Value, Channels> known;
};

/// A contraction that sums over channels of units, and what it can take.
struct Reader {
  ContractOp contract;
  const WeightMatrix *matrix;
  int64_t axis; // of the lhs
  const Channels *channels;
  /// Takes what a constant channel adds; null if nothing can.
  ObserveOp bias;
};

} // namespace

/// True if every place of the window lies inside, so that a constant channel
/// adds the same everywhere.
static bool isUnpadded(ContractOp op) {
  return llvm::all_of(op.getPad(), [](int64_t pad) { return pad == 0; }) &&
         !op.getLhs().getDefiningOp<tensor::PadOp>();
}

/// The channels that a contraction has a weight for that is not zero; all of
/// `count`, if that cannot be told.
static llvm::BitVector findRead(const WeightMatrix *matrix, int64_t count) {
  llvm::BitVector isRead(count, true);
  if (!matrix || matrix->channels != count ||
      matrix->rowsPerGroup != matrix->rows || !matrix->isFloat32())
    return isRead;
  FailureOr<std::vector<float>> weights = matrix->read();
  if (failed(weights))
    return isRead;
  isRead.reset();
  for (auto [i, weight] : llvm::enumerate(*weights))
    if (weight != 0)
      isRead.set(i % count);
  return isRead;
}

FailureOr<int64_t> tamis::removeDeadChannels(ModuleOp module, Report &report) {
  ChannelGroups groups(module);
  ConstantChannels constants(module);
  llvm::DenseMap<Operation *, StringRef> names = getLayerNames(module);
  enum class State : uint8_t { Unseen, Dead, Alive };
  std::vector<State> states(groups.getUnitCount(), State::Unseen);
  std::vector<Reader> readers;
  module.walk([&](ContractOp op) {
    auto iterators = op.getIterators();
    for (auto [axis, expr] : llvm::enumerate(op.getLhsMap().getResults())) {
      auto dim = dyn_cast<AffineDimExpr>(expr);
      auto size = cast<ShapedType>(op.getLhs().getType()).getDimSize(axis);
      if (!dim ||
          iterators[dim.getPosition()] != utils::IteratorType::reduction ||
          ShapedType::isDynamic(size))
        continue;
      const WeightMatrix *matrix = constants.getMatrix(op);
      Reader reader{
          op, matrix, int64_t(axis), constants.lookup(op.getLhs()), {}};
      bool isSimple = matrix && matrix->isFloat32() &&
                      matrix->channels == size &&
                      matrix->rowsPerGroup == matrix->rows && reader.channels &&
                      reader.channels->axis == int64_t(axis);
      if (isSimple && isUnpadded(op))
        reader.bias = findBias(op);
      llvm::BitVector isRead = findRead(matrix, size);
      for (int64_t i = 0; i < size; ++i) {
        int64_t unit = groups.getUnit(op.getLhs(), axis, i);
        if (unit < 0)
          continue;
        float value = isSimple ? reader.channels->values[i] : kUnknown;
        bool isDead = value == 0 || !isRead.test(i) ||
                      (std::isfinite(value) && reader.bias);
        if (!isDead)
          states[unit] = State::Alive;
        else if (states[unit] == State::Unseen)
          states[unit] = State::Dead;
      }
      readers.push_back(reader);
    }
  });
  // One channel of each group stays, dead as it may be: no tensor is empty.
  SmallVector<int64_t> removed;
  for (const ChannelGroups::Group &group : groups.getGroups()) {
    SmallVector<int64_t> dead;
    for (int64_t unit : group.units)
      if (states[unit] == State::Dead)
        dead.push_back(unit);
    if (dead.size() == group.units.size())
      dead.pop_back();
    if (dead.empty())
      continue;
    removed.append(dead);
    for (auto [observe, axis] : group.parameters)
      report.add(names.lookup(observe), observe.getTensor(),
                 "remove dead channels",
                 "they do not depend on the input, or nothing reads them",
                 {report.number("axis", axis),
                  report.number("channels", int64_t(group.units.size())),
                  report.number("removed", int64_t(dead.size()))});
  }
  DenseSet<int64_t> isRemoved(removed.begin(), removed.end());
  for (Reader &reader : readers) {
    if (!reader.bias)
      continue;
    FailureOr<std::vector<float>> weights = reader.matrix->read();
    FailureOr<std::vector<float>> bias = readParameter(reader.bias);
    if (failed(weights) || failed(bias))
      return failure();
    std::vector<double> sums(reader.matrix->rows);
    bool isNeeded = false;
    for (int64_t j = 0; j < reader.matrix->columns; ++j) {
      int64_t channel = j % reader.matrix->channels;
      float value = reader.channels->values[channel];
      if (value == 0 || std::isnan(value) ||
          !isRemoved.contains(
              groups.getUnit(reader.contract.getLhs(), reader.axis, channel)))
        continue;
      isNeeded = true;
      for (int64_t i = 0; i < reader.matrix->rows; ++i)
        sums[i] += double(value) * (*weights)[i * reader.matrix->columns + j];
    }
    if (!isNeeded)
      continue;
    for (auto [number, sum] : llvm::zip_equal(*bias, sums))
      number = static_cast<float>(number + sum);
    writeParameter(reader.bias, *bias);
  }
  if (failed(applyRemoval(module, groups, removed)))
    return failure();
  return int64_t(removed.size());
}
