// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Pad in all its modes; negative pads cut.
#include "Movement.h"

using namespace mlir;
using namespace mlir::tamis::onnx;
using namespace mlir::tamis::onnx::movement;

namespace {

/// The coordinate in the input that padded coordinate `at` (counted from the
/// first element of the input) shows.
Value paddedSource(ImplicitLocOpBuilder &b, StringRef mode, Value at,
                   Value size) {
  Value zero = arith::ConstantIndexOp::create(b, 0);
  Value one = arith::ConstantIndexOp::create(b, 1);
  Value last = arith::SubIOp::create(b, size, one);
  auto floorMod = [&](Value value, Value period) {
    Value quotient = arith::FloorDivSIOp::create(b, value, period);
    return arith::SubIOp::create(b, value,
                                 arith::MulIOp::create(b, quotient, period))
        .getResult();
  };
  if (mode == "edge")
    return arith::MaxSIOp::create(b, zero, arith::MinSIOp::create(b, at, last));
  if (mode == "wrap")
    return floorMod(at, arith::MaxSIOp::create(b, size, one));
  // Back and forth with period 2 (n - 1), which is 1 where n is 1.
  Value two = arith::ConstantIndexOp::create(b, 2);
  Value period =
      arith::MaxSIOp::create(b, one, arith::MulIOp::create(b, two, last));
  Value forth = floorMod(at, period);
  Value back = arith::SubIOp::create(b, period, forth);
  Value source = arith::MinSIOp::create(b, forth, back);
  return arith::MinSIOp::create(b, source, last);
}

/// Sizes are sums of pads, which must not wrap.
LogicalResult checkPad(Importer &im, const Node &node, OpFoldResult pad) {
  if (auto known = getConstantIntValue(pad)) {
    if (*known < -INT32_MAX || *known > INT32_MAX)
      return im.error(node) << "pad " << *known << " is out of range";
    return success();
  }
  Value shifted = arith::AddIOp::create(
      im.b, cast<Value>(pad), arith::ConstantIndexOp::create(im.b, INT32_MAX));
  Value most = arith::ConstantIndexOp::create(im.b, 2 * int64_t(INT32_MAX));
  im.check(
      arith::CmpIOp::create(im.b, arith::CmpIPredicate::ule, shifted, most),
      TAMIS_FAULT_SHAPE);
  return success();
}

LogicalResult importPad(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  DType dtype = input.dtype;
  Value value = im.tensor(input);
  StringRef mode = im.getString(node, "mode", "constant");
  if (mode != "constant" && mode != "edge" && mode != "reflect" &&
      mode != "wrap")
    return im.error(node) << "unknown mode '" << mode << "'";
  auto pads = listOf(im, node, "pads", 1, 11);
  FailureOr<std::optional<Sizes>> givenAxes = std::optional<Sizes>();
  if (im.opset(node) >= 18)
    givenAxes = listOf(im, node, "axes", 3, 18);
  if (!value || failed(pads) || failed(givenAxes))
    return failure();
  if (!*pads)
    return im.error(node) << "'pads' is required";
  Sizes from = im.dims(value);
  int64_t rank = from.size();
  Sizes axes;
  if (*givenAxes) {
    FailureOr<Sizes> checked = checkedAxes(im, node, **givenAxes, rank);
    if (failed(checked))
      return failure();
    axes = *checked;
  } else {
    for (int64_t axis = 0; axis < rank; ++axis)
      axes.push_back(im.shape.attr(axis));
  }
  if ((*pads)->size() != 2 * axes.size())
    return im.error(node) << "expected " << 2 * axes.size() << " pads, got "
                          << (*pads)->size();
  ShapeMath &shape = im.shape;
  ArrayRef<OpFoldResult> given = **pads;
  Sizes none(rank, shape.attr(0));
  Sizes low = alongAxes(im, axes, given.take_front(axes.size()), none);
  Sizes high = alongAxes(im, axes, given.drop_front(axes.size()), none);
  for (OpFoldResult pad : llvm::concat<OpFoldResult>(low, high))
    if (failed(checkPad(im, node, pad)))
      return failure();
  Sizes to;
  for (int64_t axis = 0; axis < rank; ++axis) {
    OpFoldResult size = shape.add(from[axis], shape.add(low[axis], high[axis]));
    if (auto known = getConstantIntValue(size); known && *known < 0)
      return im.error(node)
             << "dimension " << axis << " would have size " << *known;
    to.push_back(natural(im, size));
  }
  if (mode != "constant") {
    SmallVector<Value> offsets, limits;
    for (int64_t axis = 0; axis < rank; ++axis) {
      bool moved = !isConstantIntValue(low[axis], 0) ||
                   !isConstantIntValue(high[axis], 0);
      if (moved && isConstantIntValue(from[axis], 0))
        return im.error(node) << "dimension " << axis
                              << " is empty, there is nothing to repeat";
      OpFoldResult read = shape.min(to[axis], shape.attr(1));
      if (moved && !shape.atMost(read, from[axis]))
        im.check(arith::CmpIOp::create(im.b, arith::CmpIPredicate::sle,
                                       shape.value(read),
                                       shape.value(from[axis])),
                 TAMIS_FAULT_SHAPE);
      offsets.push_back(moved ? shape.value(low[axis]) : Value());
      limits.push_back(moved ? shape.value(from[axis]) : Value());
    }
    Value result = im.gatherLike(
        value, to, [&](ImplicitLocOpBuilder &b, ValueRange position) {
          SmallVector<Value> at;
          for (auto [axis, index] : llvm::enumerate(position)) {
            if (!offsets[axis]) {
              at.push_back(index);
              continue;
            }
            Value shifted = arith::SubIOp::create(b, index, offsets[axis]);
            at.push_back(paddedSource(b, mode, shifted, limits[axis]));
          }
          return at;
        });
    return finish(im, node, result, dtype);
  }

  Type element = im.elementType(dtype);
  Value filler;
  if (im.opset(node) < 11) {
    filler = im.constant(element, im.getFloat(node, "value", 0));
  } else if (im.has(node, 2)) {
    ImportedValue given = im.in(node, 2);
    RankedTensorType type = im.type(given);
    if (!type || type.getElementType() != element || !type.hasStaticShape() ||
        type.getNumElements() != 1)
      return im.error(node) << "the pad value must be one " << dtypeName(dtype);
    filler = im.scalar(given);
  } else {
    filler = im.constant(element, 0);
  }
  // Negative pads cut.
  Sizes offsets, sizes;
  for (int64_t axis = 0; axis < rank; ++axis) {
    OpFoldResult zero = shape.attr(0);
    OpFoldResult cutLow = natural(im, shape.sub(zero, low[axis]));
    OpFoldResult cutHigh = natural(im, shape.sub(zero, high[axis]));
    OpFoldResult first = shape.min(cutLow, from[axis]);
    offsets.push_back(first);
    OpFoldResult left = shape.sub(from[axis], shape.add(first, cutHigh));
    sizes.push_back(natural(im, left));
    // A cut beyond the input eats into the other side's padding.
    OpFoldResult room = shape.sub(to[axis], sizes[axis]);
    low[axis] = natural(im, low[axis]);
    if (!isConstantIntValue(low[axis], 0))
      low[axis] = shape.min(low[axis], room);
    high[axis] = shape.sub(room, low[axis]);
  }
  Value kept = im.slice(value, offsets, sizes, Sizes(rank, shape.attr(1)));
  return finish(im, node, im.pad(kept, low, high, filler), dtype);
}

} // namespace

void mlir::tamis::onnx::registerPad(OpTable &table) {
  table.add({"", "Pad", 2, {1, 4}, importPad});
}
