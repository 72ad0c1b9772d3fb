// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Removes channels that are one number whatever the input: their readers add
// that number times their weights, which belongs into a bias. And channels that
// all readers multiply by zero.
#include "ChannelPruning.h"
#include "ConstantChannels.h"
#include "llvm/ADT/BitVector.h"
#include <cmath>
#include <map>

using namespace mlir;
using namespace mlir::tamis;

namespace {
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

/// The bias of a contraction, if nothing else reads it.
static ObserveOp findBiasOfItsOwn(ContractOp op, int64_t rows) {
  ObserveOp bias = findBias(op);
  return bias && isReadOnce(bias) && bias.getType().getNumElements() == rows
             ? bias
             : nullptr;
}

/// The channels that a contraction has a weight for that is not zero; all of
/// `count`, if that cannot be told.
static llvm::BitVector findUsed(const WeightMatrix *matrix, int64_t count) {
  llvm::BitVector isUsed(count, true);
  if (!matrix || matrix->channels != count ||
      matrix->rowsPerGroup != matrix->rows || !matrix->isFloat32())
    return isUsed;
  FailureOr<std::vector<float>> weights = matrix->read();
  if (failed(weights))
    return isUsed;
  isUsed.reset();
  for (auto [i, weight] : llvm::enumerate(*weights))
    if (weight != 0)
      isUsed.set(i % count);
  return isUsed;
}

/// Says of channels that a layer makes one number of why they stay.
static void reportKept(ModuleOp module, const ChannelGroups &groups,
                       const ConstantChannels &constants,
                       const DenseSet<int64_t> &isRemoved,
                       ArrayRef<std::string> keptBy, Report &report) {
  module.walk([&](ContractOp op) {
    const Channels *made = constants.lookup(op.getResult());
    const WeightMatrix *matrix = constants.getMatrix(op);
    if (!made || !matrix)
      return;
    std::map<std::string, int64_t> counts;
    for (auto [i, value] : llvm::enumerate(made->values)) {
      int64_t unit = groups.getUnit(op.getResult(), made->axis, i);
      if (std::isnan(value) || isRemoved.contains(unit))
        continue;
      std::string reason =
          unit >= 0
              ? keptBy[unit]
              : "tied to " + groups.getReason(op.getResult(), made->axis, i);
      ++counts[reason.empty() ? "one channel of a group stays" : reason];
    }
    for (auto &[reason, count] : counts)
      report.add(matrix->layer, matrix->use.observe.getTensor(),
                 "keep dead channels", reason,
                 {report.number("channels", int64_t(made->values.size())),
                  report.number("kept", count)});
  });
}

FailureOr<int64_t> tamis::removeDeadChannels(ModuleOp module, Report &report) {
  ChannelGroups groups(module);
  ConstantChannels constants(module);
  llvm::DenseMap<Operation *, StringRef> names = getLayerNames(module);
  // A unit goes if it is read and no reader keeps it.
  std::vector<uint8_t> isRead(groups.getUnitCount());
  std::vector<std::string> keptBy(groups.getUnitCount());
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
      bool isSame = isUnpadded(op);
      if (isSimple && isSame)
        reader.bias = findBiasOfItsOwn(op, matrix->rows);
      llvm::BitVector isUsed = findUsed(matrix, size);
      for (int64_t i = 0; i < size; ++i) {
        int64_t unit = groups.getUnit(op.getLhs(), axis, i);
        if (unit < 0)
          continue;
        isRead[unit] = true;
        float value = isSimple ? reader.channels->values[i] : std::nanf("");
        if (value == 0 || !isUsed.test(i) ||
            (std::isfinite(value) && reader.bias))
          continue;
        if (!keptBy[unit].empty())
          continue;
        StringRef why = std::isnan(value) ? "is not one number"
                        : isSame ? "finds no bias that is its reader's own"
                                 : "ends inside of its reader's window";
        keptBy[unit] =
            ("what '" + (matrix ? matrix->layer : getNode(op).name.str()) +
             "' reads of it " + why)
                .str();
      }
      readers.push_back(reader);
    }
  });
  // One channel of each group stays, dead as it may be: no tensor is empty.
  SmallVector<int64_t> removed;
  for (const ChannelGroups::Group &group : groups.getGroups()) {
    SmallVector<int64_t> dead;
    for (int64_t unit : group.units)
      if (isRead[unit] && keptBy[unit].empty())
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
  reportKept(module, groups, constants, isRemoved, keptBy, report);
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
