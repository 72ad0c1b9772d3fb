// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Operators that move elements without changing them: transposes,
// concatenation, repetition, blocks.
#include "Movement.h"

using namespace mlir;
using namespace mlir::tamis::onnx;
using namespace mlir::tamis::onnx::movement;

FailureOr<std::optional<Sizes>> movement::listOf(Importer &im, const Node &node,
                                                 StringRef name, size_t index,
                                                 int64_t since) {
  if (im.opset(node) >= since) {
    if (!im.has(node, index))
      return std::optional<Sizes>();
    FailureOr<Sizes> values = im.indices(node, index);
    if (failed(values))
      return failure();
    return std::optional<Sizes>(*values);
  }
  if (!im.attr(node, name))
    return std::optional<Sizes>();
  Sizes values;
  for (int64_t value : im.getInts(node, name, {}))
    values.push_back(im.shape.attr(value));
  return std::optional<Sizes>(values);
}

OpFoldResult movement::natural(Importer &im, OpFoldResult size) {
  if (im.shape.atMost(im.shape.attr(0), size))
    return size;
  return im.shape.max(size, im.shape.attr(0));
}

FailureOr<Sizes> movement::checkedAxes(Importer &im, const Node &node,
                                       ArrayRef<OpFoldResult> axes,
                                       int64_t rank) {
  ShapeMath &shape = im.shape;
  Sizes result;
  SmallVector<int64_t> known;
  for (OpFoldResult axis : axes) {
    if (auto value = getConstantIntValue(axis)) {
      FailureOr<int64_t> checked = im.axis(node, *value, rank);
      if (failed(checked))
        return failure();
      if (llvm::is_contained(known, *checked))
        return im.error(node) << "axis " << *value << " is given twice";
      known.push_back(*checked);
      result.push_back(shape.attr(*checked));
      continue;
    }
    result.push_back(
        shape.value(im.checkedIndex(shape.value(axis), shape.attr(rank))));
    for (OpFoldResult other : ArrayRef(result).drop_back())
      im.check(arith::CmpIOp::create(im.b, arith::CmpIPredicate::ne,
                                     shape.value(result.back()),
                                     shape.value(other)),
               TAMIS_FAULT_SHAPE);
  }
  return result;
}

Sizes movement::alongAxes(Importer &im, ArrayRef<OpFoldResult> axes,
                          ArrayRef<OpFoldResult> values, Sizes defaults) {
  ShapeMath &shape = im.shape;
  for (auto [axis, value] : llvm::zip(axes, values)) {
    if (auto known = getConstantIntValue(axis)) {
      defaults[*known] = value;
      continue;
    }
    for (auto [index, slot] : llvm::enumerate(defaults))
      slot = shape.select(
          shape.compare(arith::CmpIPredicate::eq, axis, shape.attr(index)),
          value, slot);
  }
  return defaults;
}

namespace {

LogicalResult importIdentity(Importer &im, const Node &node) {
  return im.out(node, 0, im.in(node, 0));
}

/// Inference only: the identity, and a mask of ones.
LogicalResult importDropout(Importer &im, const Node &node) {
  if (im.has(node, 2)) {
    std::optional<double> training = im.constantScalar(im.in(node, 2));
    if (!training || *training != 0)
      return im.error(node) << "training mode is not supported";
  }
  if (Importer::wants(node, 1)) {
    Value value = im.tensor(node, 0);
    if (!value)
      return failure();
    Value one = Importer::constantInt(im.b, im.b.getI1Type(), 1);
    if (failed(im.out(node, 1, im.fill(im.dims(value), one), DType::Bool)))
      return failure();
  }
  return im.out(node, 0, im.in(node, 0));
}

//===-- permutation, concatenation, slices --------------------------------===//

LogicalResult importTranspose(Importer &im, const Node &node) {
  Value value = im.tensor(node, 0);
  if (!value)
    return failure();
  int64_t rank = cast<RankedTensorType>(value.getType()).getRank();
  SmallVector<int64_t> reversed =
      llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(rank)));
  SmallVector<int64_t> permutation = im.getInts(node, "perm", reversed);
  if (static_cast<int64_t>(permutation.size()) != rank ||
      !isPermutationVector(permutation))
    return im.error(node) << "attribute 'perm' is not a permutation of " << rank
                          << " dimensions";
  return finish(im, node, im.transpose(value, permutation),
                im.in(node, 0).dtype);
}

LogicalResult importConcat(Importer &im, const Node &node) {
  SmallVector<Value> inputs;
  DType dtype = im.in(node, 0).dtype;
  for (size_t index = 0; index < node.inputs.size(); ++index) {
    ImportedValue input = im.in(node, index);
    if (!input)
      return im.error(node) << "input " << index << " is absent";
    if (input.dtype != dtype)
      return im.error(node)
             << "inputs have different element types: " << dtypeName(dtype)
             << " and " << dtypeName(input.dtype);
    Value value = im.tensor(input);
    if (!value)
      return failure();
    inputs.push_back(value);
  }
  int64_t rank = cast<RankedTensorType>(inputs.front().getType()).getRank();
  FailureOr<int64_t> axis = im.axis(node, im.getInt(node, "axis", 1), rank);
  if (failed(axis))
    return failure();
  return finish(im, node, im.concat(node, inputs, *axis), dtype);
}

//===-- repetition --------------------------------------------------------===//

LogicalResult importExpand(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  FailureOr<Sizes> wanted = im.indices(node, 1);
  Value value = im.tensor(input);
  if (!value || failed(wanted))
    return failure();
  for (OpFoldResult &size : *wanted) {
    if (auto known = getConstantIntValue(size); known && *known < 0)
      return im.error(node) << "negative size " << *known;
    size = natural(im, size);
  }
  // A run-time size of 1 keeps the dimension of the input.
  Sizes from = im.dims(value);
  for (size_t back = 1; back <= std::min(from.size(), wanted->size()); ++back) {
    OpFoldResult own = from[from.size() - back];
    OpFoldResult &size = (*wanted)[wanted->size() - back];
    if (!getConstantIntValue(size) && !isConstantIntValue(own, 1) &&
        !im.shape.equal(own, size))
      size = im.shape.select(
          im.shape.compare(arith::CmpIPredicate::eq, size, im.shape.attr(1)),
          own, size);
  }
  FailureOr<Sizes> sizes = im.broadcastShapes(node, {from, *wanted});
  if (failed(sizes))
    return failure();
  return finish(im, node, im.broadcast(node, value, *sizes), input.dtype);
}

/// Repetition is a broadcast along a new dimension before each repeated one.
LogicalResult importTile(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  FailureOr<Sizes> repeats = im.indices(node, 1);
  Value value = im.tensor(input);
  if (!value || failed(repeats))
    return failure();
  Sizes from = im.dims(value), apart, wide, together;
  if (repeats->size() != from.size())
    return im.error(node) << "expected " << from.size() << " repeats, got "
                          << repeats->size();
  for (auto [size, times] : llvm::zip(from, *repeats)) {
    if (auto known = getConstantIntValue(times); known && *known < 0)
      return im.error(node) << "negative repeat " << *known;
    OpFoldResult count = natural(im, times);
    together.push_back(im.shape.mul(size, count));
    if (!isConstantIntValue(count, 1)) {
      apart.push_back(im.shape.attr(1));
      wide.push_back(count);
    }
    apart.push_back(size);
    wide.push_back(size);
  }
  Value spread = im.broadcast(node, im.reshape(value, apart), wide);
  return spread ? finish(im, node, im.reshape(spread, together), input.dtype)
                : failure();
}

//===-- blocks ------------------------------------------------------------===//

LogicalResult importDepthToSpace(Importer &im, const Node &node) {
  bool toSpace = node.opType == "DepthToSpace";
  ImportedValue input = im.in(node, 0);
  Value value = im.tensor(input);
  if (!value || failed(im.requireRank(node, value, 4, "input")))
    return failure();
  int64_t block = im.getInt(node, "blocksize", 0);
  if (block < 1 || block > 65536)
    return im.error(node) << "attribute 'blocksize' must be positive, got "
                          << block;
  StringRef mode = im.getString(node, "mode", "DCR");
  if (mode != "DCR" && mode != "CRD")
    return im.error(node) << "attribute 'mode' must be 'DCR' or 'CRD', got '"
                          << mode << "'";
  ShapeMath &shape = im.shape;
  Sizes d = im.dims(value);
  OpFoldResult s = shape.attr(block);
  auto divide = [&](OpFoldResult size, int64_t by) -> OpFoldResult {
    OpFoldResult quotient = shape.floorDiv(size, shape.attr(by));
    if (failed(im.requireEqual(node, shape.mul(quotient, shape.attr(by)), size,
                               "a size divided into blocks")))
      return {};
    return quotient;
  };
  if (toSpace) {
    OpFoldResult c = divide(d[1], block * block);
    if (!c)
      return failure();
    bool dcr = mode == "DCR";
    Sizes split = dcr ? Sizes{d[0], s, s, c, d[2], d[3]}
                      : Sizes{d[0], c, s, s, d[2], d[3]};
    SmallVector<int64_t> order = dcr ? SmallVector<int64_t>{0, 3, 4, 1, 5, 2}
                                     : SmallVector<int64_t>{0, 1, 4, 2, 5, 3};
    Value moved = im.transpose(im.reshape(value, split), order);
    return finish(
        im, node,
        im.reshape(moved, {d[0], c, shape.mul(d[2], s), shape.mul(d[3], s)}),
        input.dtype);
  }
  OpFoldResult h = divide(d[2], block), w = divide(d[3], block);
  if (!h || !w)
    return failure();
  SmallVector<int64_t> order = mode == "DCR"
                                   ? SmallVector<int64_t>{0, 3, 5, 1, 2, 4}
                                   : SmallVector<int64_t>{0, 1, 3, 5, 2, 4};
  Value moved =
      im.transpose(im.reshape(value, {d[0], d[1], h, s, w, s}), order);
  return finish(
      im, node,
      im.reshape(moved,
                 {d[0], shape.mul(d[1], shape.attr(block * block)), h, w}),
      input.dtype);
}

} // namespace

FailureOr<bool> mlir::tamis::onnx::importStaticGather(Importer &im,
                                                      const Node &node) {
  ImportedValue input = im.in(node, 0), at = im.in(node, 1);
  RankedTensorType inputType = im.type(input), atType = im.type(at);
  if (!inputType || !atType)
    return failure();
  std::optional<SmallVector<int64_t>> indices = im.constantInts(at);
  FailureOr<int64_t> axis =
      im.axis(node, im.getInt(node, "axis", 0), inputType.getRank());
  if (failed(axis))
    return failure();
  if (!indices || indices->empty() || atType.getRank() > 1 ||
      inputType.isDynamicDim(*axis))
    return false;
  int64_t size = inputType.getDimSize(*axis);
  for (auto [position, index] : llvm::enumerate(*indices)) {
    if (index < -size || index >= size)
      return LogicalResult(
          im.error(node) << "index " << index
                         << " is out of range for dimension of size " << size);
    if (index < 0)
      index += size;
    if (index != indices->front() + static_cast<int64_t>(position))
      return false;
  }
  Value value = im.tensor(input);
  if (!value)
    return failure();
  Value part = im.sliceDim(value, *axis, im.shape.attr(indices->front()),
                           im.shape.attr(indices->size()));
  if (atType.getRank() == 0)
    part = im.dropDims(part, *axis);
  if (failed(im.out(node, 0, part, input.dtype)))
    return failure();
  return true;
}

void mlir::tamis::onnx::registerMovement(OpTable &table) {
  table.add({"", "Concat", 1, {1, -1}, importConcat});
  table.add({"", "DepthToSpace", 1, {1, 1}, importDepthToSpace});
  table.add({"", "Dropout", 1, {1, 3}, importDropout});
  table.add({"", "Expand", 8, {2, 2}, importExpand});
  table.add({"", "Identity", 1, {1, 1}, importIdentity, /*sequences=*/true});
  table.add({"", "SpaceToDepth", 1, {1, 1}, importDepthToSpace});
  table.add({"", "Tile", 6, {2, 2}, importTile});
  table.add({"", "Transpose", 1, {1, 1}, importTranspose});
}
