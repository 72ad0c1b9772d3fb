// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The union-find structure over indices, and the units that are left.
#include "tamis/Compress/ChannelGroups.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SmallBitVector.h"
#include <map>

#include "tamis/Compress/PrunableOpInterface.cpp.inc"

using namespace mlir;
using namespace mlir::tamis;

/// No model has this many channels; such an axis is a place, or a table.
static constexpr int64_t kMostChannels = 1 << 20;

//===-- ties --------------------------------------------------------------===//

int64_t ChannelTies::getExtent(Value value, int64_t axis) {
  int64_t size = cast<RankedTensorType>(value.getType()).getDimSize(axis);
  return size > kMostChannels ? ShapedType::kDynamic : size;
}

int64_t ChannelTies::getBase(Value value, int64_t axis) {
  auto [entry, isNew] = bases.try_emplace({value, axis}, parents.size());
  if (!isNew)
    return entry->second;
  int64_t base = entry->second, extent = getExtent(value, axis);
  bool isOpen = ShapedType::isDynamic(extent);
  for (int64_t i = 0; i < (isOpen ? 1 : extent); ++i) {
    parents.push_back(parents.size());
    fixed.push_back(0);
  }
  if (isOpen)
    fixElement(base, "an open dimension");
  return base;
}

int64_t ChannelTies::find(int64_t element) {
  while (parents[element] != element)
    element = parents[element] = parents[parents[element]];
  return element;
}

void ChannelTies::unite(int64_t a, int64_t b) {
  a = find(a);
  b = find(b);
  if (a == b)
    return;
  if (!fixed[a])
    fixed[a] = fixed[b];
  parents[b] = a;
}

void ChannelTies::fixElement(int64_t element, const Twine &why) {
  int32_t &reason = fixed[find(element)];
  if (reason)
    return;
  std::string text = why.str();
  // Neighbours have one reason.
  if (reasons.back() != text)
    reasons.push_back(text);
  reason = reasons.size() - 1;
}

void ChannelTies::fixRange(Value value, int64_t axis, int64_t at, int64_t count,
                           const Twine &why) {
  int64_t base = getBase(value, axis);
  if (ShapedType::isDynamic(getExtent(value, axis)))
    return;
  for (int64_t i = at; i < at + count; ++i)
    fixElement(base + i, why);
}

void ChannelTies::fix(Value value, int64_t axis, const Twine &why) {
  fixRange(value, axis, 0, std::max<int64_t>(getExtent(value, axis), 0), why);
}

void ChannelTies::fix(Value value, const Twine &why) {
  if (auto type = dyn_cast<RankedTensorType>(value.getType()))
    for (int64_t axis = 0; axis < type.getRank(); ++axis)
      fix(value, axis, why);
}

void ChannelTies::tieRange(Value a, int64_t axisA, int64_t at, Value b,
                           int64_t axisB, int64_t from, int64_t count) {
  if (ShapedType::isDynamic(getExtent(a, axisA)))
    return fixRange(b, axisB, from, count, "an open dimension");
  if (ShapedType::isDynamic(getExtent(b, axisB)))
    return fixRange(a, axisA, at, count, "an open dimension");
  int64_t baseA = getBase(a, axisA), baseB = getBase(b, axisB);
  for (int64_t i = 0; i < count; ++i)
    unite(baseA + at + i, baseB + from + i);
}

void ChannelTies::tie(Value a, int64_t axisA, Value b, int64_t axisB) {
  int64_t extentA = getExtent(a, axisA), extentB = getExtent(b, axisB);
  if (extentA != extentB || ShapedType::isDynamic(extentA)) {
    fix(a, axisA, "an axis of another extent");
    fix(b, axisB, "an axis of another extent");
    return;
  }
  tieRange(a, axisA, 0, b, axisB, 0, extentA);
}

void ChannelTies::merge(Value merged, int64_t wide, Value split,
                        ArrayRef<int64_t> axes, bool isFree) {
  SmallVector<int64_t> factors;
  for (int64_t axis : axes) {
    if (getExtent(split, axis) == 1 && axes.size() > 1)
      fix(split, axis, "an axis of extent one");
    else
      factors.push_back(axis);
  }
  if (factors.size() == 1)
    return tie(merged, wide, split, factors.front());
  // Which factor carries is decided when everything else is known.
  merges.push_back({merged, split, wide, factors, isFree});
}

bool ChannelTies::isFixed(Value value, int64_t axis) {
  int64_t base = getBase(value, axis), extent = getExtent(value, axis);
  if (ShapedType::isDynamic(extent))
    return true;
  for (int64_t i = 0; i < extent; ++i)
    if (!fixed[find(base + i)])
      return false;
  return true;
}

void ChannelTies::resolveMerges() {
  for (Merge &entry : merges) {
    int64_t carrier = -1;
    for (int64_t axis : entry.axes)
      if (carrier < 0 && entry.isFree && !isFixed(entry.merged, entry.wide) &&
          !isFixed(entry.split, axis))
        carrier = axis;
    for (int64_t axis : entry.axes)
      if (axis != carrier)
        fix(entry.split, axis, "a reshape");
    if (carrier < 0) {
      fix(entry.merged, entry.wide, "a reshape");
      continue;
    }
    int64_t inner = 1;
    for (int64_t axis : llvm::reverse(entry.axes)) {
      if (axis == carrier)
        break;
      inner *= getExtent(entry.split, axis);
    }
    int64_t extent = getExtent(entry.split, carrier);
    int64_t base = getBase(entry.merged, entry.wide);
    int64_t slices = getBase(entry.split, carrier);
    for (int64_t i = 0, e = getExtent(entry.merged, entry.wide); i < e; ++i)
      unite(slices + i / inner % extent, base + i);
  }
  merges.clear();
}

void ChannelTies::tieByMaps(ArrayRef<std::pair<Value, AffineMap>> accesses,
                            const llvm::SmallBitVector &fixedDims,
                            const Twine &why) {
  llvm::SmallBitVector isFixed = fixedDims, inWindow(fixedDims.size());
  for (auto &[value, map] : accesses)
    for (AffineExpr expr : map.getResults())
      if (!isa<AffineDimExpr>(expr))
        for (unsigned dim = 0; dim < map.getNumDims(); ++dim)
          if (expr.isFunctionOfDim(dim))
            inWindow.set(dim);
  SmallVector<std::pair<Value, int64_t>> firsts(fixedDims.size(), {{}, 0});
  for (auto &[value, map] : accesses)
    for (auto [axis, expr] : llvm::enumerate(map.getResults())) {
      auto dim = dyn_cast<AffineDimExpr>(expr);
      if (!dim || inWindow.test(dim.getPosition())) {
        fix(value, axis, "places of a window");
        continue;
      }
      if (isFixed.test(dim.getPosition()))
        fix(value, axis, why);
      auto &first = firsts[dim.getPosition()];
      if (first.first)
        tie(first.first, first.second, value, axis);
      else
        first = {value, axis};
    }
}

//===-- units -------------------------------------------------------------===//

ChannelGroups::ChannelGroups(ModuleOp module) {
  module.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (op == module || isa<FunctionOpInterface>(op)) {
      for (Region &region : op->getRegions())
        for (Block &block : region)
          for (BlockArgument argument : block.getArguments())
            ties.fix(argument, "an input");
      return WalkResult::advance();
    }
    if (auto observe = dyn_cast<ObserveOp>(op))
      observations.push_back(observe);
    if (auto prunable = dyn_cast<PrunableOpInterface>(op)) {
      prunable.tieChannels(ties);
      return WalkResult::skip();
    }
    // One empty tensor serves many; parameters are values of their own behind
    // their observation.
    if (isa<tensor::EmptyOp>(op))
      return WalkResult::skip();
    bool isConstant = isa<ml_program::GlobalLoadConstOp, linalg::FillOp>(op) ||
                      op->hasTrait<OpTrait::ConstantLike>();
    std::string why = op->hasTrait<OpTrait::IsTerminator>() ? "an output"
                      : isConstant ? "a constant that is no parameter"
                                   : op->getName().getStringRef().str();
    op->walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        ties.fix(operand, why);
      for (Value result : inner->getResults())
        ties.fix(result, why);
      for (Region &region : inner->getRegions())
        for (Block &block : region)
          for (BlockArgument argument : block.getArguments())
            ties.fix(argument, why);
      if (auto observe = dyn_cast<ObserveOp>(inner); observe && inner != op)
        observations.push_back(observe);
    });
    return WalkResult::skip();
  });
  ties.resolveMerges();

  // What each free class removes of parameters names its group.
  using Axis = std::pair<int64_t, int64_t>;
  std::map<int64_t, std::vector<Axis>> signatures;
  for (auto [number, observe] : llvm::enumerate(observations)) {
    if (!observe.getParameter())
      continue;
    for (int64_t axis = 0; axis < observe.getType().getRank(); ++axis) {
      if (ties.isFixed(observe.getResult(), axis))
        continue;
      int64_t base = ties.getBase(observe.getResult(), axis);
      for (int64_t i = 0; i < observe.getType().getDimSize(axis); ++i) {
        int64_t element = ties.find(base + i);
        if (ties.fixed[element])
          continue;
        std::vector<Axis> &signature = signatures[element];
        if (signature.empty() || signature.back() != Axis(number, axis))
          signature.push_back({number, axis});
      }
    }
  }
  std::map<std::vector<Axis>, size_t> numbers;
  for (auto &[element, signature] : signatures) {
    auto [entry, isNew] = numbers.try_emplace(signature, groups.size());
    if (isNew) {
      groups.emplace_back();
      for (auto [number, axis] : signature)
        groups.back().parameters.push_back({observations[number], axis});
    }
    groups[entry->second].units.push_back(unitCount);
    units[element] = unitCount++;
  }
}

int64_t ChannelGroups::findElement(Value value, int64_t axis,
                                   int64_t index) const {
  auto base = ties.bases.find({value, axis});
  if (base == ties.bases.end() ||
      ShapedType::isDynamic(ChannelTies::getExtent(value, axis)))
    return -1;
  return ties.find(base->second + index);
}

int64_t ChannelGroups::getUnit(Value value, int64_t axis, int64_t index) const {
  int64_t element = findElement(value, axis, index);
  if (element < 0)
    return -1;
  auto unit = units.find(element);
  return unit == units.end() ? -1 : unit->second;
}

bool ChannelGroups::hasUnitOf(Value value, const DenseSet<int64_t> &of) const {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  for (int64_t axis = 0; type && axis < type.getRank(); ++axis)
    for (int64_t i = 0; i < type.getDimSize(axis); ++i)
      if (of.contains(getUnit(value, axis, i)))
        return true;
  return false;
}

std::vector<ChannelGroups::Group> ChannelGroups::findExchangeable() const {
  // The axes that each unit is an index of, by their first element.
  std::vector<std::vector<int64_t>> axes(unitCount);
  for (auto &[axis, base] : ties.bases) {
    int64_t extent = ChannelTies::getExtent(axis.first, axis.second);
    for (int64_t i = 0; i < extent; ++i)
      if (int64_t unit = getUnit(axis.first, axis.second, i); unit >= 0)
        axes[unit].push_back(base);
  }
  std::vector<Group> found;
  for (const Group &group : groups) {
    std::map<std::vector<int64_t>, Group> alike;
    for (int64_t unit : group.units) {
      std::vector<int64_t> &own = axes[unit];
      llvm::sort(own);
      if (std::adjacent_find(own.begin(), own.end()) != own.end())
        continue;
      Group &place = alike[own];
      place.units.push_back(unit);
      place.parameters = group.parameters;
    }
    for (auto &[own, units] : alike)
      if (units.units.size() > 1)
        found.push_back(std::move(units));
  }
  return found;
}

std::string ChannelGroups::getReason(Value value, int64_t axis,
                                     int64_t index) const {
  int64_t element = findElement(value, axis, index);
  return element < 0 ? "an open dimension" : ties.reasons[ties.fixed[element]];
}
