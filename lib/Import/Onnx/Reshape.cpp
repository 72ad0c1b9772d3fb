// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Operators that keep the elements in order and change the shape.
#include "Movement.h"

using namespace mlir;
using namespace mlir::tamis::onnx;
using namespace mlir::tamis::onnx::movement;

namespace {

/// True if `size` is `factor` times a positive number: where it is zero, so is
/// `factor`, which makes it the same to copy one or the other.
bool isMultiple(ShapeMath &shape, OpFoldResult size, OpFoldResult factor) {
  std::optional<OpFoldResult> quotient = shape.exactDiv(size, factor);
  return quotient && shape.atMost(shape.attr(1), *quotient) &&
         shape.atMost(shape.attr(0), size);
}

LogicalResult importReshape(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  FailureOr<Sizes> wanted = im.indices(node, 1);
  if (failed(wanted))
    return failure();
  Value value = im.tensor(input);
  if (!value)
    return failure();
  Sizes from = im.dims(value);
  bool allowZero = im.getInt(node, "allowzero", 0);
  ShapeMath &shape = im.shape;
  int64_t open = -1;
  bool maybeOpen = false;
  Sizes to, rest, isOpen;
  for (auto [index, size] : llvm::enumerate(*wanted)) {
    std::optional<int64_t> known = getConstantIntValue(size);
    bool copies = index < from.size() && !allowZero;
    isOpen.push_back(shape.attr(known == -1));
    if (known == 0 && !allowZero && !copies)
      return im.error(node) << "size 0 at dimension " << index
                            << " copies a dimension that the input of rank "
                            << from.size() << " does not have";
    if (known && *known < -1)
      return im.error(node)
             << "invalid size " << *known << " at dimension " << index;
    if (known == -1) {
      if (open >= 0)
        return im.error(node) << "more than one size is -1";
      open = index;
      to.push_back(shape.attr(1));
      continue;
    }
    if (known == 0 && copies)
      size = from[index];
    if (!known && !shape.atMost(shape.attr(1), size) &&
        !(copies && isMultiple(shape, size, from[index]))) {
      // Only the run tells whether this is 0 or -1.
      using P = arith::CmpIPredicate;
      maybeOpen = true;
      isOpen.back() = shape.compare(P::eq, size, shape.attr(-1));
      if (copies)
        size = shape.select(shape.compare(P::eq, size, shape.attr(0)),
                            from[index], size);
      size = natural(im, shape.select(isOpen.back(), shape.attr(1), size));
    }
    to.push_back(size);
    rest.push_back(size);
  }
  if (open >= 0 || maybeOpen) {
    OpFoldResult others = shape.product(rest);
    if (open >= 0 && isConstantIntValue(others, 0))
      return im.error(node) << "size -1 beside a size of zero";
    std::optional<OpFoldResult> exact = shape.exactDiv(from, rest);
    OpFoldResult inferred =
        exact ? *exact : shape.floorDiv(shape.product(from), others);
    for (auto [size, bit] : llvm::zip(to, isOpen))
      size = shape.select(bit, inferred, size);
  }
  if (!im.shape.equalProducts(from, to) &&
      failed(im.requireEqual(node, im.shape.product(from), im.shape.product(to),
                             "number of elements before and after")))
    return failure();
  return finish(im, node, im.reshape(value, to), input.dtype);
}

LogicalResult importFlatten(Importer &im, const Node &node) {
  Value value = im.tensor(node, 0);
  if (!value)
    return failure();
  Sizes from = im.dims(value);
  int64_t rank = from.size(), axis = im.getInt(node, "axis", 1);
  if (axis < -rank || axis > rank)
    return im.error(node) << "axis " << axis << " is out of range for rank "
                          << rank;
  if (axis < 0)
    axis += rank;
  Sizes to{im.shape.product(ArrayRef(from).take_front(axis)),
           im.shape.product(ArrayRef(from).drop_front(axis))};
  return finish(im, node, im.reshape(value, to), im.in(node, 0).dtype);
}

/// The sizes `from` with `axes` of size 1 among them, of rank `rank`.
Sizes insertUnits(Importer &im, ArrayRef<OpFoldResult> from,
                  ArrayRef<OpFoldResult> axes, int64_t rank) {
  ShapeMath &shape = im.shape;
  OpFoldResult zero = shape.attr(0), one = shape.attr(1);
  Sizes marks = alongAxes(im, axes, Sizes(axes.size(), one), Sizes(rank, zero));
  OpFoldResult next = zero;
  for (OpFoldResult &slot : marks) {
    OpFoldResult isUnit = slot;
    // The dimension of `from` whose turn it is.
    slot = one;
    if (auto known = getConstantIntValue(next)) {
      if (*known < static_cast<int64_t>(from.size()))
        slot = from[*known];
    } else {
      for (auto [index, size] : llvm::enumerate(from))
        slot = shape.select(
            shape.compare(arith::CmpIPredicate::eq, next, shape.attr(index)),
            size, slot);
    }
    slot = shape.select(isUnit, one, slot);
    next = shape.add(next, shape.sub(one, isUnit));
  }
  return marks;
}

/// The sizes `from` without `axes`, which are checked to be 1.
FailureOr<Sizes> removeUnits(Importer &im, const Node &node,
                             ArrayRef<OpFoldResult> from,
                             ArrayRef<OpFoldResult> axes) {
  ShapeMath &shape = im.shape;
  OpFoldResult zero = shape.attr(0), one = shape.attr(1);
  Sizes marks =
      alongAxes(im, axes, Sizes(axes.size(), one), Sizes(from.size(), zero));
  Sizes to(from.size() - axes.size(), one);
  OpFoldResult next = zero;
  for (auto [index, size] : llvm::enumerate(from)) {
    OpFoldResult isUnit = marks[index];
    if (failed(im.requireEqual(node, shape.select(isUnit, size, one), one,
                               "squeezed dimension " + Twine(index))))
      return failure();
    for (auto [position, slot] : llvm::enumerate(to)) {
      OpFoldResult here =
          shape.compare(arith::CmpIPredicate::eq, next, shape.attr(position));
      slot = shape.select(here, shape.select(isUnit, slot, size), slot);
    }
    next = shape.add(next, shape.sub(one, isUnit));
  }
  return to;
}

LogicalResult importSqueeze(Importer &im, const Node &node) {
  Value value = im.tensor(node, 0);
  auto wanted = listOf(im, node, "axes", 1, 13);
  if (!value || failed(wanted))
    return failure();
  Sizes from = im.dims(value), axes;
  int64_t rank = from.size();
  if (*wanted) {
    FailureOr<Sizes> checked = checkedAxes(im, node, **wanted, rank);
    if (failed(checked))
      return failure();
    axes = *checked;
  } else {
    for (auto [index, size] : llvm::enumerate(from)) {
      if (!getConstantIntValue(size))
        return im.error(node) << "which dimensions are 1 is not known; "
                                 "'axes' must name them";
      if (isConstantIntValue(size, 1))
        axes.push_back(im.shape.attr(index));
    }
  }
  FailureOr<Sizes> to = removeUnits(im, node, from, axes);
  if (failed(to))
    return failure();
  return finish(im, node, im.reshape(value, *to), im.in(node, 0).dtype);
}

LogicalResult importUnsqueeze(Importer &im, const Node &node) {
  Value value = im.tensor(node, 0);
  auto wanted = listOf(im, node, "axes", 1, 13);
  if (!value || failed(wanted))
    return failure();
  if (!*wanted)
    return im.error(node) << "'axes' is required";
  Sizes from = im.dims(value);
  int64_t rank = from.size() + (*wanted)->size();
  FailureOr<Sizes> axes = checkedAxes(im, node, **wanted, rank);
  if (failed(axes))
    return failure();
  return finish(im, node, im.reshape(value, insertUnits(im, from, *axes, rank)),
                im.in(node, 0).dtype);
}

} // namespace

void mlir::tamis::onnx::registerReshape(OpTable &table) {
  table.add({"", "Flatten", 1, {1, 1}, importFlatten});
  table.add({"", "Reshape", 5, {2, 2}, importReshape});
  table.add({"", "Squeeze", 1, {1, 2}, importSqueeze});
  table.add({"", "Unsqueeze", 1, {1, 2}, importUnsqueeze});
}
