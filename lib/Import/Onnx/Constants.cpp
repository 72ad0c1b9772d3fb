// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sizes and constants as values.
#include "Movement.h"

using namespace mlir;
using namespace mlir::tamis::onnx;
using namespace mlir::tamis::onnx::movement;

namespace {

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
  return im.out(
      node, 0,
      im.shadowValue(DType::Int64, {{}, {im.shape.product(im.dims(value))}}));
}

LogicalResult importConstant(Importer &im, const Node &node) {
  if (im.attr(node, "value") || im.attr(node, "sparse_value")) {
    auto tensor =
        im.getTensor(node, im.attr(node, "value") ? "value" : "sparse_value");
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
    auto buffer =
        std::make_shared<std::vector<T>>(values.begin(), values.end());
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
                  element, APInt(64, tensor->getInt(0))
                               .sextOrTrunc(element.getIntOrFloatBitWidth())));
    auto type = RankedTensorType::get(known, element);
    return im.out(
        node, 0, im.constantTensor(DenseElementsAttr::get(type, value)), dtype);
  }
  Value scalar = isFloat(dtype)
                     ? im.constant(element, tensor ? tensor->getFloat(0) : 0)
                     : Importer::constantInt(im.b, element, tensor->getInt(0));
  return im.out(node, 0, im.fill(*sizes, scalar), dtype);
}

} // namespace

void mlir::tamis::onnx::registerConstants(OpTable &table) {
  table.add({"", "Constant", 1, {0, 0}, importConstant});
  table.add({"", "ConstantOfShape", 9, {1, 1}, importConstantOfShape});
  table.add({"", "Shape", 1, {1, 1}, importShape});
  table.add({"", "Size", 1, {1, 1}, importSize});
}
