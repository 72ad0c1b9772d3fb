// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sequences and optionals are lists of values whose length is known at import;
// nothing of them is left in the IR. An absent optional is an empty list of no
// type.
#include "Structured.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::tamis::onnx;

namespace {

using List = std::vector<ImportedValue>;

ImportedValue listValue(DType dtype, List items) {
  ImportedValue value;
  value.dtype = dtype;
  value.sequence = std::make_shared<const List>(std::move(items));
  return value;
}

FailureOr<List> listOf(Importer &im, const Node &node, size_t index) {
  ImportedValue value = im.in(node, index);
  if (!value.sequence)
    return im.error(node) << "input " << index << " must be a sequence";
  return *value.sequence;
}

/// The position in input `index`, within [-size, size), or [-size, size] for
/// an insertion.
FailureOr<int64_t> positionOf(Importer &im, const Node &node, size_t index,
                              int64_t size, bool inserts) {
  auto known = im.constantInts(im.in(node, index), 1);
  if (!known || known->size() != 1)
    return im.error(node) << "the position must be known at compile time";
  int64_t position = known->front();
  if (position < -size || position >= size + inserts)
    return im.error(node) << "position " << position
                          << " is out of range for a sequence of " << size;
  return position < 0 ? position + size : position;
}

LogicalResult importEmpty(Importer &im, const Node &node) {
  auto dtype = static_cast<DType>(
      im.getInt(node, "dtype", static_cast<int64_t>(DType::Float)));
  return im.out(node, 0, listValue(dtype, {}));
}

LogicalResult importConstruct(Importer &im, const Node &node) {
  List items;
  for (size_t i = 0; i < node.inputs.size(); ++i)
    items.push_back(im.in(node, i));
  return im.out(node, 0, listValue(items.front().dtype, items));
}

LogicalResult importAt(Importer &im, const Node &node) {
  auto items = listOf(im, node, 0);
  if (failed(items))
    return failure();
  auto at = positionOf(im, node, 1, items->size(), /*inserts=*/false);
  return failed(at) ? failure() : im.out(node, 0, (*items)[*at]);
}

LogicalResult importInsert(Importer &im, const Node &node) {
  auto items = listOf(im, node, 0);
  if (failed(items))
    return failure();
  int64_t at = items->size();
  if (im.has(node, 2)) {
    auto given = positionOf(im, node, 2, items->size(), /*inserts=*/true);
    if (failed(given))
      return failure();
    at = *given;
  }
  ImportedValue item = im.in(node, 1);
  items->insert(items->begin() + at, item);
  return im.out(node, 0, listValue(item.dtype, *items));
}

LogicalResult importErase(Importer &im, const Node &node) {
  auto items = listOf(im, node, 0);
  if (failed(items))
    return failure();
  int64_t at = static_cast<int64_t>(items->size()) - 1;
  if (items->empty())
    return im.error(node) << "the sequence is empty";
  if (im.has(node, 1)) {
    auto given = positionOf(im, node, 1, items->size(), /*inserts=*/false);
    if (failed(given))
      return failure();
    at = *given;
  }
  items->erase(items->begin() + at);
  return im.out(node, 0, listValue(im.in(node, 0).dtype, *items));
}

LogicalResult importLength(Importer &im, const Node &node) {
  auto items = listOf(im, node, 0);
  if (failed(items))
    return failure();
  return im.out(
      node, 0,
      im.shadowValue(DType::Int64, {{}, {im.shape.attr(items->size())}}));
}

LogicalResult importConcat(Importer &im, const Node &node) {
  auto items = listOf(im, node, 0);
  if (failed(items))
    return failure();
  if (items->empty())
    return im.error(node) << "the sequence is empty";
  bool stacks = im.getInt(node, "new_axis", 0) != 0;
  SmallVector<Value> tensors;
  for (const ImportedValue &item : *items) {
    Value tensor = im.tensor(item);
    if (!tensor)
      return failure();
    tensors.push_back(tensor);
  }
  auto axis = im.axis(node, im.getInt(node, "axis", 0),
                      rankOf(tensors.front()) + stacks);
  if (failed(axis))
    return failure();
  int64_t rank = rankOf(tensors.front());
  for (Value &tensor : tensors) {
    if (failed(im.requireRank(node, tensor, rank, "elements")))
      return failure();
    if (!stacks)
      continue;
    Sizes sizes = im.dims(tensor);
    sizes.insert(sizes.begin() + *axis, im.shape.attr(1));
    tensor = im.reshape(tensor, sizes);
  }
  Value result = im.concat(node, tensors, *axis);
  return result ? im.out(node, 0, result, items->front().dtype) : failure();
}

LogicalResult importSplit(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  Value x = im.tensor(input);
  if (!x)
    return failure();
  auto axis = im.axis(node, im.getInt(node, "axis", 0), rankOf(x));
  if (failed(axis))
    return failure();
  auto length = ShapeMath::constant(im.dim(x, *axis));
  bool keepDims = im.getInt(node, "keepdims", 1) != 0;
  SmallVector<int64_t> parts;
  if (im.has(node, 1)) {
    keepDims = true;
    ImportedValue split = im.in(node, 1);
    auto known = im.constantInts(split, int64_t(1) << 16);
    RankedTensorType type = im.type(split);
    if (!known || !type)
      return im.error(node) << "split must be known at compile time";
    if (type.getRank() == 1) {
      parts = *known;
    } else {
      if (!length || known->front() < 1)
        return im.error(node) << "expected a known dimension and a positive "
                                 "split";
      for (int64_t at = 0; at < *length; at += known->front())
        parts.push_back(std::min(known->front(), *length - at));
    }
  } else {
    if (!length)
      return im.error(node)
             << "dimension " << *axis << " must be known at compile time";
    parts.assign(*length, 1);
  }
  if (parts.size() > 100'000)
    return im.error(node) << "the sequence would have " << parts.size()
                          << " elements";
  int64_t total = 0;
  for (int64_t part : parts) {
    if (part < 0 || part > (int64_t(1) << 40))
      return im.error(node) << "a part has " << part << " elements";
    total += part;
  }
  if (failed(im.requireEqual(node, im.dim(x, *axis), im.shape.attr(total),
                             "dimension and sum of the parts")))
    return failure();
  List items;
  int64_t at = 0;
  for (int64_t part : parts) {
    ImportedValue item;
    item.dtype = input.dtype;
    item.value = im.sliceDim(x, *axis, im.shape.attr(at), im.shape.attr(part));
    if (!keepDims)
      item.value = im.dropDims(item.value, {*axis});
    items.push_back(item);
    at += part;
  }
  return im.out(node, 0, listValue(input.dtype, std::move(items)));
}

LogicalResult importMap(Importer &im, const Node &node) {
  std::shared_ptr<const Graph> body = im.getGraph(node, "body");
  auto first = listOf(im, node, 0);
  if (!body || failed(first))
    return failure();
  SmallVector<List> results(body->outputs.size());
  for (size_t i = 0; i < first->size(); ++i) {
    SmallVector<ImportedValue> inputs, outputs;
    for (size_t k = 0; k < node.inputs.size(); ++k) {
      ImportedValue value = im.in(node, k);
      if (value.sequence) {
        if (value.sequence->size() != first->size())
          return im.error(node)
                 << "sequences of " << first->size() << " and "
                 << value.sequence->size() << " elements must have one length";
        value = ImportedValue((*value.sequence)[i]);
      }
      inputs.push_back(value);
    }
    if (failed(im.subgraph(node, *body, inputs, outputs)))
      return failure();
    for (auto [list, output] : llvm::zip(results, outputs))
      list.push_back(output);
  }
  for (auto [i, list] : llvm::enumerate(results)) {
    DType dtype = list.empty() ? DType::Float : list.front().dtype;
    if (failed(im.out(node, i, listValue(dtype, std::move(list)))))
      return failure();
  }
  return success();
}

//===-- optionals ---------------------------------------------------------===//

bool isAbsent(const ImportedValue &value) {
  return !value || (value.sequence && value.sequence->empty() &&
                    value.dtype == DType::Undefined);
}

LogicalResult importOptional(Importer &im, const Node &node) {
  if (im.has(node, 0))
    return im.out(node, 0, im.in(node, 0));
  return im.out(node, 0, listValue(DType::Undefined, {}));
}

LogicalResult importHasElement(Importer &im, const Node &node) {
  bool has = !isAbsent(im.in(node, 0));
  return im.out(node, 0,
                im.shadowValue(DType::Bool, {{}, {im.shape.attr(has)}}));
}

LogicalResult importGetElement(Importer &im, const Node &node) {
  ImportedValue value = im.in(node, 0);
  if (isAbsent(value))
    return im.error(node) << "the optional has no element";
  return im.out(node, 0, value);
}

} // namespace

void mlir::tamis::onnx::registerSequence(OpTable &table) {
  auto add = [&](StringRef name, int64_t version, int min, int max,
                 ImportFn import) {
    table.add({"", name, version, {min, max}, import, /*sequences=*/true});
  };
  add("SequenceEmpty", 11, 0, 0, importEmpty);
  add("SequenceConstruct", 11, 1, -1, importConstruct);
  add("SequenceAt", 11, 2, 2, importAt);
  add("SequenceInsert", 11, 2, 3, importInsert);
  add("SequenceErase", 11, 1, 2, importErase);
  add("SequenceLength", 11, 1, 1, importLength);
  add("ConcatFromSequence", 11, 1, 1, importConcat);
  add("SplitToSequence", 11, 1, 2, importSplit);
  add("SequenceMap", 17, 1, -1, importMap);
  add("Optional", 15, 0, 1, importOptional);
  add("OptionalHasElement", 15, 0, 1, importHasElement);
  add("OptionalGetElement", 15, 1, 1, importGetElement);
}
