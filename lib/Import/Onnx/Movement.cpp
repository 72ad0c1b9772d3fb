// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Operators that move elements without changing them: reshapes, slices,
// concatenation, padding, tiling.
#include "Importer.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::tamis::onnx;

namespace {

using Sizes = SmallVector<OpFoldResult>;

LogicalResult finish(Importer &im, const Node &node, Value value, DType dtype,
                     size_t index = 0) {
  return value ? im.out(node, index, value, dtype) : failure();
}

/// The attribute or, from `since` on, the input of that number.
FailureOr<std::optional<Sizes>> listOf(Importer &im, const Node &node,
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

/// As `listOf`, for lists that decide the structure of the result.
FailureOr<std::optional<SmallVector<int64_t>>>
knownListOf(Importer &im, const Node &node, StringRef name, size_t index,
            int64_t since) {
  using Known = std::optional<SmallVector<int64_t>>;
  if (im.opset(node) < since) {
    if (!im.attr(node, name))
      return Known();
    return Known(im.getInts(node, name, {}));
  }
  if (!im.has(node, index))
    return Known();
  Known values = im.constantInts(im.in(node, index));
  if (!values)
    return im.error(node) << "'" << name << "' must be known at compile time";
  return values;
}

/// Sizes that come from data must not be negative.
OpFoldResult natural(Importer &im, OpFoldResult size) {
  if (im.shape.atMost(im.shape.attr(0), size))
    return size;
  return im.shape.max(size, im.shape.attr(0));
}

//===-- the same elements in order ----------------------------------------===//

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
      return im.error(node) << "invalid size " << *known << " at dimension "
                            << index;
    if (known == -1) {
      if (open >= 0)
        return im.error(node) << "more than one size is -1";
      open = index;
      to.push_back(shape.attr(1));
      continue;
    }
    if (known == 0 && copies)
      size = from[index];
    if (!known && !shape.atMost(shape.attr(1), size)) {
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
      failed(im.requireEqual(node, im.shape.product(from),
                             im.shape.product(to),
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

LogicalResult importSqueeze(Importer &im, const Node &node) {
  Value value = im.tensor(node, 0);
  auto wanted = knownListOf(im, node, "axes", 1, 13);
  if (!value || failed(wanted))
    return failure();
  Sizes from = im.dims(value), to;
  SmallVector<int64_t> axes;
  if (*wanted) {
    auto checked = im.axes(node, **wanted, from.size());
    if (failed(checked))
      return failure();
    axes = *checked;
  } else {
    for (auto [index, size] : llvm::enumerate(from)) {
      if (!getConstantIntValue(size))
        return im.error(node) << "which dimensions are 1 is not known; "
                                 "'axes' must name them";
      if (isConstantIntValue(size, 1))
        axes.push_back(index);
    }
  }
  for (auto [index, size] : llvm::enumerate(from)) {
    if (!llvm::is_contained(axes, static_cast<int64_t>(index)))
      to.push_back(size);
    else if (failed(im.requireEqual(node, size, im.shape.attr(1),
                                    "squeezed dimension " + Twine(index))))
      return failure();
  }
  return finish(im, node, im.reshape(value, to), im.in(node, 0).dtype);
}

LogicalResult importUnsqueeze(Importer &im, const Node &node) {
  Value value = im.tensor(node, 0);
  auto wanted = knownListOf(im, node, "axes", 1, 13);
  if (!value || failed(wanted))
    return failure();
  if (!*wanted)
    return im.error(node) << "'axes' is required";
  Sizes from = im.dims(value);
  int64_t rank = from.size() + (*wanted)->size();
  auto axes = im.axes(node, **wanted, rank);
  if (failed(axes))
    return failure();
  Sizes to;
  size_t next = 0;
  for (int64_t index = 0; index < rank; ++index)
    to.push_back(llvm::is_contained(*axes, index) ? im.shape.attr(1)
                                                  : from[next++]);
  return finish(im, node, im.reshape(value, to), im.in(node, 0).dtype);
}

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

//===-- sizes as values ---------------------------------------------------===//

LogicalResult importShape(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  Sizes sizes;
  if (input.value)
    sizes = im.dims(input.value);
  else if (input.constant)
    for (int64_t size : input.constant->dims)
      sizes.push_back(im.shape.attr(size));
  else
    for (int64_t size : input.shadow->dims)
      sizes.push_back(im.shape.attr(size));
  int64_t rank = sizes.size();
  auto clamp = [&](int64_t value) {
    return std::clamp<int64_t>(value < 0 ? value + rank : value, 0, rank);
  };
  int64_t start = clamp(im.getInt(node, "start", 0));
  int64_t end = clamp(im.getInt(node, "end", rank));
  Shadow shadow;
  for (int64_t index = start; index < end; ++index)
    shadow.elements.push_back(sizes[index]);
  shadow.dims.push_back(shadow.elements.size());
  return im.out(node, 0, im.shadowValue(DType::Int64, std::move(shadow)));
}

LogicalResult importSize(Importer &im, const Node &node) {
  Value value = im.tensor(node, 0);
  if (!value)
    return failure();
  return im.out(node, 0,
                im.shadowValue(DType::Int64,
                               {{}, {im.shape.product(im.dims(value))}}));
}

LogicalResult importConstant(Importer &im, const Node &node) {
  if (im.attr(node, "value") || im.attr(node, "sparse_value")) {
    auto tensor = im.getTensor(
        node, im.attr(node, "value") ? "value" : "sparse_value");
    return tensor ? im.out(node, 0, im.constantValue(tensor)) : failure();
  }
  Shadow shadow;
  bool list = true;
  SmallVector<int64_t> ints;
  SmallVector<float> floats;
  DType dtype = DType::Int64;
  if (im.attr(node, "value_int")) {
    ints.push_back(im.getInt(node, "value_int", 0));
    list = false;
  } else if (im.attr(node, "value_ints")) {
    ints = im.getInts(node, "value_ints", {});
  } else if (im.attr(node, "value_float")) {
    floats.push_back(im.getFloat(node, "value_float", 0));
    list = false;
    dtype = DType::Float;
  } else if (im.attr(node, "value_floats")) {
    floats = im.getFloats(node, "value_floats");
    dtype = DType::Float;
  } else {
    return im.error(node) << "no value of a supported kind";
  }
  // Longer lists are parameters as any tensor: give them one.
  auto tensor = std::make_shared<Tensor>();
  tensor->dtype = dtype;
  int64_t count = ints.size() + floats.size();
  if (list)
    tensor->dims.push_back(count);
  auto copy = [&](auto &values) {
    using T = std::decay_t<decltype(values[0])>;
    auto buffer = std::make_shared<std::vector<T>>(values.begin(), values.end());
    tensor->data = {reinterpret_cast<const char *>(buffer->data()),
                    buffer->size() * sizeof(T)};
    tensor->owner = buffer;
  };
  if (dtype == DType::Float)
    copy(floats);
  else
    copy(ints);
  return im.out(node, 0, im.constantValue(tensor));
}

LogicalResult importConstantOfShape(Importer &im, const Node &node) {
  FailureOr<Sizes> sizes = im.indices(node, 0);
  if (failed(sizes))
    return failure();
  std::shared_ptr<const Tensor> tensor = im.getTensor(node, "value");
  DType dtype = tensor ? tensor->dtype : DType::Float;
  Type element = im.elementType(dtype);
  if (!element || (tensor && tensor->elementCount() != 1))
    return im.error(node) << "attribute 'value' must hold one number";
  SmallVector<int64_t> known;
  for (OpFoldResult &size : *sizes) {
    if (auto value = getConstantIntValue(size)) {
      if (*value < 0)
        return im.error(node) << "negative size " << *value;
      known.push_back(*value);
    }
    size = natural(im, size);
  }
  if (auto count = checkedElementCount(known, dtypeBytes(dtype)); !count)
    return im.error(node) << llvm::toString(count.takeError());
  if (known.size() == sizes->size()) {
    mlir::Attribute value =
        isa<FloatType>(element)
            ? mlir::Attribute(
                  im.b.getFloatAttr(element, tensor ? tensor->getFloat(0) : 0))
            : mlir::Attribute(IntegerAttr::get(
                  element,
                  APInt(64, tensor->getInt(0))
                      .sextOrTrunc(element.getIntOrFloatBitWidth())));
    auto type = RankedTensorType::get(known, element);
    return im.out(node, 0,
                  im.constantTensor(DenseElementsAttr::get(type, value)),
                  dtype);
  }
  Value scalar =
      isFloat(dtype)
          ? im.constant(element, tensor ? tensor->getFloat(0) : 0)
          : Importer::constantInt(im.b, element, tensor->getInt(0));
  return im.out(node, 0, im.fill(*sizes, scalar), dtype);
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
    return im.error(node) << "attribute 'perm' is not a permutation of "
                          << rank << " dimensions";
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
      return im.error(node) << "inputs have different element types: "
                            << dtypeName(dtype) << " and "
                            << dtypeName(input.dtype);
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
      return im.error(node) << "'split' has " << parts.size()
                            << " sizes for " << outputs << " outputs";
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
    OpFoldResult each =
        im.shape.ceilDiv(from[*axis], im.shape.attr(outputs));
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
    OpFoldResult isNegative = shape.compare(arith::CmpIPredicate::slt, bound,
                                            shape.attr(0));
    bound = shape.select(isNegative, shape.add(bound, size), bound);
  }
  return shape.max(low, shape.min(bound, high));
}

LogicalResult importSlice(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  Value value = im.tensor(input);
  auto starts = listOf(im, node, "starts", 1, 10);
  auto ends = listOf(im, node, "ends", 2, 10);
  auto givenAxes = knownListOf(im, node, "axes", 3, 10);
  auto givenSteps = knownListOf(im, node, "steps", 4, 10);
  if (!value || failed(starts) || failed(ends) || failed(givenAxes) ||
      failed(givenSteps))
    return failure();
  if (!*starts || !*ends)
    return im.error(node) << "'starts' and 'ends' are required";
  size_t count = (*starts)->size();
  Sizes from = im.dims(value);
  SmallVector<int64_t> steps =
      *givenSteps ? **givenSteps : SmallVector<int64_t>(count, 1);
  SmallVector<int64_t> wantedAxes =
      *givenAxes ? **givenAxes : llvm::to_vector(llvm::seq<int64_t>(count));
  if ((*ends)->size() != count || steps.size() != count ||
      wantedAxes.size() != count)
    return im.error(node)
           << "'starts', 'ends', 'axes' and 'steps' have " << count << ", "
           << (*ends)->size() << ", " << wantedAxes.size() << " and "
           << steps.size() << " elements";
  auto axes = im.axes(node, wantedAxes, from.size());
  if (failed(axes))
    return failure();
  ShapeMath &shape = im.shape;
  Sizes offsets(from.size(), shape.attr(0)), sizes = from;
  Sizes strides(from.size(), shape.attr(1));
  bool backwards = false;
  for (size_t i = 0; i < count; ++i) {
    int64_t axis = (*axes)[i], step = steps[i];
    if (step == 0)
      return im.error(node) << "step is zero";
    step = std::clamp<int64_t>(step, -INT32_MAX, INT32_MAX);
    OpFoldResult size = from[axis], zero = shape.attr(0);
    OpFoldResult last = shape.sub(size, shape.attr(1));
    OpFoldResult start, end;
    if (step > 0) {
      start = sliceBound(im, (**starts)[i], size, zero, size);
      end = sliceBound(im, (**ends)[i], size, zero, size);
    } else {
      backwards = true;
      start = sliceBound(im, (**starts)[i], size, shape.attr(-1), last);
      end = sliceBound(im, (**ends)[i], size, shape.attr(-1), last);
    }
    OpFoldResult span =
        step > 0 ? shape.sub(end, start) : shape.sub(start, end);
    sizes[axis] =
        natural(im, shape.ceilDiv(span, shape.attr(std::abs(step))));
    offsets[axis] = start;
    strides[axis] = shape.attr(step);
  }
  if (!backwards)
    return finish(im, node, im.slice(value, offsets, sizes, strides),
                  input.dtype);
  SmallVector<Value> firsts, increments;
  for (auto [offset, stride] : llvm::zip(offsets, strides)) {
    firsts.push_back(shape.value(offset));
    increments.push_back(shape.value(stride));
  }
  Value result = im.gatherLike(
      value, sizes, [&](ImplicitLocOpBuilder &b, ValueRange position) {
        SmallVector<Value> at;
        for (auto [i, index] : llvm::enumerate(position)) {
          Value moved = arith::MulIOp::create(b, index, increments[i]);
          at.push_back(arith::AddIOp::create(b, moved, firsts[i]));
        }
        return at;
      });
  return finish(im, node, result, input.dtype);
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
      size = im.shape.select(im.shape.compare(arith::CmpIPredicate::eq, size,
                                              im.shape.attr(1)),
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

//===-- padding -----------------------------------------------------------===//

/// The coordinate in the input that padded coordinate `at` (counted from the
/// first element of the input) shows.
Value paddedSource(ImplicitLocOpBuilder &b, StringRef mode, Value at,
                   Value size) {
  Value zero = arith::ConstantIndexOp::create(b, 0);
  Value one = arith::ConstantIndexOp::create(b, 1);
  Value last = arith::SubIOp::create(b, size, one);
  auto floorMod = [&](Value value, Value period) {
    Value quotient = arith::FloorDivSIOp::create(b, value, period);
    return arith::SubIOp::create(
               b, value, arith::MulIOp::create(b, quotient, period))
        .getResult();
  };
  if (mode == "edge")
    return arith::MaxSIOp::create(b, zero,
                                  arith::MinSIOp::create(b, at, last));
  if (mode == "wrap")
    return floorMod(at, arith::MaxSIOp::create(b, size, one));
  // Back and forth with period 2 (n - 1), which is 1 where n is 1.
  Value two = arith::ConstantIndexOp::create(b, 2);
  Value period = arith::MaxSIOp::create(
      b, one, arith::MulIOp::create(b, two, last));
  Value forth = floorMod(at, period);
  Value back = arith::SubIOp::create(b, period, forth);
  Value source = arith::MinSIOp::create(b, forth, back);
  return arith::MinSIOp::create(b, source, last);
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
  auto givenAxes = knownListOf(im, node, "axes", 3, 18);
  if (!value || failed(pads) || failed(givenAxes))
    return failure();
  if (!*pads)
    return im.error(node) << "'pads' is required";
  Sizes from = im.dims(value);
  int64_t rank = from.size();
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(rank));
  if (im.opset(node) >= 18 && *givenAxes) {
    auto checked = im.axes(node, **givenAxes, rank);
    if (failed(checked))
      return failure();
    axes = *checked;
  }
  if ((*pads)->size() != 2 * axes.size())
    return im.error(node) << "expected " << 2 * axes.size()
                          << " pads, got " << (*pads)->size();
  ShapeMath &shape = im.shape;
  Sizes low(rank, shape.attr(0)), high(rank, shape.attr(0));
  for (auto [index, axis] : llvm::enumerate(axes)) {
    low[axis] = (**pads)[index];
    high[axis] = (**pads)[axes.size() + index];
  }
  for (OpFoldResult pad : llvm::concat<OpFoldResult>(low, high))
    if (auto known = getConstantIntValue(pad);
        known && std::abs(*known) > INT32_MAX)
      return im.error(node) << "pad " << *known << " is out of range";
  Sizes to;
  for (int64_t axis = 0; axis < rank; ++axis) {
    OpFoldResult size =
        shape.add(from[axis], shape.add(low[axis], high[axis]));
    if (auto known = getConstantIntValue(size); known && *known < 0)
      return im.error(node) << "dimension " << axis << " would have size "
                            << *known;
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
      return im.error(node) << "the pad value must be one "
                            << dtypeName(dtype);
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
    low[axis] = natural(im, low[axis]);
    high[axis] = shape.sub(to[axis], shape.add(low[axis], sizes[axis]));
    if (auto known = getConstantIntValue(high[axis]); known && *known < 0) {
      low[axis] = shape.add(low[axis], high[axis]);
      high[axis] = zero;
    }
  }
  Value kept =
      im.slice(value, offsets, sizes, Sizes(rank, shape.attr(1)));
  return finish(im, node, im.pad(kept, low, high, filler), dtype);
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
    return finish(im, node,
                  im.reshape(moved, {d[0], c, shape.mul(d[2], s),
                                     shape.mul(d[3], s)}),
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
      im.reshape(moved, {d[0], shape.mul(d[1], shape.attr(block * block)), h, w}),
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
      return LogicalResult(im.error(node)
                           << "index " << index
                           << " is out of range for dimension of size "
                           << size);
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
  table.add({"", "Constant", 1, {0, 0}, importConstant});
  table.add({"", "ConstantOfShape", 9, {1, 1}, importConstantOfShape});
  table.add({"", "DepthToSpace", 1, {1, 1}, importDepthToSpace});
  table.add({"", "Dropout", 1, {1, 3}, importDropout});
  table.add({"", "Expand", 8, {2, 2}, importExpand});
  table.add({"", "Flatten", 1, {1, 1}, importFlatten});
  table.add({"", "Identity", 1, {1, 1}, importIdentity, /*sequences=*/true});
  table.add({"", "Pad", 2, {1, 4}, importPad});
  table.add({"", "Reshape", 5, {2, 2}, importReshape});
  table.add({"", "Shape", 1, {1, 1}, importShape});
  table.add({"", "Size", 1, {1, 1}, importSize});
  table.add({"", "Slice", 1, {1, 5}, importSlice});
  table.add({"", "SpaceToDepth", 1, {1, 1}, importDepthToSpace});
  table.add({"", "Split", 2, {1, 2}, importSplit});
  table.add({"", "Squeeze", 1, {1, 2}, importSqueeze});
  table.add({"", "Tile", 6, {2, 2}, importTile});
  table.add({"", "Transpose", 1, {1, 1}, importTranspose});
  table.add({"", "Unsqueeze", 1, {1, 2}, importUnsqueeze});
}
