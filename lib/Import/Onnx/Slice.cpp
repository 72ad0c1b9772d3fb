// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Slice and Split: parts of a tensor.
#include "Movement.h"

using namespace mlir;
using namespace mlir::tamis::onnx;
using namespace mlir::tamis::onnx::movement;

namespace {

LogicalResult importSplit(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  Value value = im.tensor(input);
  if (!value)
    return failure();
  Sizes from = im.dims(value);
  FailureOr<int64_t> axis =
      im.axis(node, im.getInt(node, "axis", 0), from.size());
  auto given = listOf(im, node, "split", 1, 13);
  if (failed(axis) || failed(given))
    return failure();
  int64_t outputs = node.outputs.size();
  Sizes parts;
  if (*given) {
    parts = **given;
    if (static_cast<int64_t>(parts.size()) != outputs)
      return im.error(node) << "'split' has " << parts.size() << " sizes for "
                            << outputs << " outputs";
    OpFoldResult sum = im.shape.attr(0);
    for (OpFoldResult &part : parts) {
      if (auto known = getConstantIntValue(part); known && *known < 0)
        return im.error(node) << "negative size " << *known;
      part = natural(im, part);
      sum = im.shape.add(sum, part);
    }
    if (failed(im.requireEqual(node, sum, from[*axis], "sum of split sizes")))
      return failure();
  } else {
    int64_t count = im.getInt(node, "num_outputs", outputs);
    if (count != outputs || count < 1)
      return im.error(node) << "'num_outputs' is " << count << " for "
                            << outputs << " outputs";
    OpFoldResult each = im.shape.ceilDiv(from[*axis], im.shape.attr(outputs));
    OpFoldResult left = from[*axis];
    for (int64_t i = 0; i < outputs; ++i) {
      parts.push_back(natural(im, im.shape.min(each, left)));
      left = im.shape.sub(left, parts.back());
    }
  }
  OpFoldResult offset = im.shape.attr(0);
  for (auto [index, part] : llvm::enumerate(parts)) {
    if (Importer::wants(node, index) &&
        failed(finish(im, node, im.sliceDim(value, *axis, offset, part),
                      input.dtype, index)))
      return failure();
    offset = im.shape.add(offset, part);
  }
  return success();
}

/// A start or end of Slice within [low, high].
OpFoldResult sliceBound(Importer &im, OpFoldResult bound, OpFoldResult size,
                        OpFoldResult low, OpFoldResult high) {
  ShapeMath &shape = im.shape;
  if (auto known = getConstantIntValue(bound)) {
    // Sentinels mean "to the end"; adding a size to them would overflow.
    if (*known >= INT32_MAX)
      return high;
    if (*known <= -INT32_MAX)
      return low;
    if (*known < 0)
      bound = shape.add(bound, size);
  } else {
    OpFoldResult isNegative =
        shape.compare(arith::CmpIPredicate::slt, bound, shape.attr(0));
    bound = shape.select(isNegative, shape.add(bound, size), bound);
  }
  return shape.max(low, shape.min(bound, high));
}

/// Where Slice reads along one dimension.
struct Range {
  OpFoldResult first, size, step;
};

/// One dimension of `size` elements from `start` to `end` by `step`.
FailureOr<Range> sliceRange(Importer &im, const Node &node, OpFoldResult size,
                            OpFoldResult start, OpFoldResult end,
                            OpFoldResult step) {
  ShapeMath &shape = im.shape;
  OpFoldResult zero = shape.attr(0), one = shape.attr(1);
  OpFoldResult last = shape.sub(size, one);
  auto known = getConstantIntValue(step);
  if (known == 0)
    return im.error(node) << "step is zero";
  if (known)
    step = shape.attr(std::clamp<int64_t>(*known, -INT32_MAX, INT32_MAX));
  OpFoldResult forth = shape.compare(arith::CmpIPredicate::sgt, step, zero);
  OpFoldResult low = shape.select(forth, zero, shape.attr(-1));
  OpFoldResult high = shape.select(forth, size, last);
  if (!known) {
    im.check(arith::CmpIOp::create(im.b, arith::CmpIPredicate::ne,
                                   shape.value(step), shape.value(zero)),
             TAMIS_FAULT_DIVISION);
    step = shape.max(shape.attr(-INT32_MAX),
                     shape.min(step, shape.attr(INT32_MAX)));
  }
  // Backwards, a start before the first element is the first one.
  start = shape.min(sliceBound(im, start, size, zero, high), high);
  end = sliceBound(im, end, size, low, high);
  OpFoldResult span =
      shape.select(forth, shape.sub(end, start), shape.sub(start, end));
  OpFoldResult stride = shape.max(step, shape.sub(zero, step));
  return Range{start, natural(im, shape.ceilDiv(span, stride)), step};
}

LogicalResult importSlice(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  Value value = im.tensor(input);
  auto starts = listOf(im, node, "starts", 1, 10);
  auto ends = listOf(im, node, "ends", 2, 10);
  auto givenAxes = listOf(im, node, "axes", 3, 10);
  auto givenSteps = listOf(im, node, "steps", 4, 10);
  if (!value || failed(starts) || failed(ends) || failed(givenAxes) ||
      failed(givenSteps))
    return failure();
  if (!*starts || !*ends)
    return im.error(node) << "'starts' and 'ends' are required";
  ShapeMath &shape = im.shape;
  size_t count = (*starts)->size();
  Sizes from = im.dims(value), steps(count, shape.attr(1)), wantedAxes;
  for (size_t i = 0; i < count; ++i)
    wantedAxes.push_back(shape.attr(i));
  if (*givenSteps)
    steps = **givenSteps;
  if (*givenAxes)
    wantedAxes = **givenAxes;
  if ((*ends)->size() != count || steps.size() != count ||
      wantedAxes.size() != count)
    return im.error(node) << "'starts', 'ends', 'axes' and 'steps' have "
                          << count << ", " << (*ends)->size() << ", "
                          << wantedAxes.size() << " and " << steps.size()
                          << " elements";
  FailureOr<Sizes> axes = checkedAxes(im, node, wantedAxes, from.size());
  if (failed(axes))
    return failure();
  Sizes firsts =
      alongAxes(im, *axes, **starts, Sizes(from.size(), shape.attr(0)));
  Sizes lasts = alongAxes(im, *axes, **ends, from);
  Sizes strides =
      alongAxes(im, *axes, steps, Sizes(from.size(), shape.attr(1)));
  Sizes offsets, sizes;
  bool forwards = true;
  for (auto [index, size] : llvm::enumerate(from)) {
    FailureOr<Range> range =
        sliceRange(im, node, size, firsts[index], lasts[index], strides[index]);
    if (failed(range))
      return failure();
    offsets.push_back(range->first);
    sizes.push_back(range->size);
    strides[index] = range->step;
    forwards &= getConstantIntValue(range->step).value_or(-1) > 0;
  }
  if (forwards)
    return finish(im, node, im.slice(value, offsets, sizes, strides),
                  input.dtype);
  SmallVector<Value> starting, increments;
  for (auto [offset, stride] : llvm::zip(offsets, strides)) {
    starting.push_back(shape.value(offset));
    increments.push_back(shape.value(stride));
  }
  Value result = im.gatherLike(
      value, sizes, [&](ImplicitLocOpBuilder &b, ValueRange position) {
        SmallVector<Value> at;
        for (auto [i, index] : llvm::enumerate(position)) {
          Value moved = arith::MulIOp::create(b, index, increments[i]);
          at.push_back(arith::AddIOp::create(b, moved, starting[i]));
        }
        return at;
      });
  return finish(im, node, result, input.dtype);
}

} // namespace

void mlir::tamis::onnx::registerSlice(OpTable &table) {
  table.add({"", "Slice", 1, {1, 5}, importSlice});
  table.add({"", "Split", 2, {1, 2}, importSplit});
}
