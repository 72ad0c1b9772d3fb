// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Shape arithmetic that moves elements: the results are elements of the inputs.
#include "Folder.h"

using namespace mlir;
using namespace mlir::tamis::onnx;
using namespace mlir::tamis::onnx::shapes;

bool Folder::pick(ArrayRef<int64_t> dims, ArrayRef<int64_t> positions,
                  size_t output) {
  Elements elements;
  for (int64_t position : positions)
    elements.push_back(in(0).elements[position]);
  return result(dtypes.front(), dims, elements, output);
}

bool Folder::foldGather() {
  if (shadows.size() != 2)
    return false;
  std::optional<SmallVector<int64_t>> indices = known(1);
  int64_t rank = in(0).dims.size(), axis = im.getInt(node, "axis", 0);
  if (!indices || axis < -rank || axis >= rank)
    return false;
  if (axis < 0)
    axis += rank;
  int64_t size = in(0).dims[axis];
  ArrayRef<int64_t> from = in(0).dims;
  int64_t outer = product(from.take_front(axis));
  int64_t inner = product(from.drop_front(axis + 1));
  if (outer * inner * static_cast<int64_t>(indices->size()) > kSmallElements)
    return false;
  SmallVector<int64_t> positions;
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t index : *indices) {
      if (index < 0)
        index += size;
      if (index < 0 || index >= size)
        return false;
      for (int64_t i = 0; i < inner; ++i)
        positions.push_back((o * size + index) * inner + i);
    }
  Dims dims(from.take_front(axis));
  llvm::append_range(dims, in(1).dims);
  llvm::append_range(dims, from.drop_front(axis + 1));
  return pick(dims, positions);
}

bool Folder::foldSlice() {
  int64_t rank = in(0).dims.size();
  SmallVector<int64_t> starts, ends, axes, steps;
  if (im.opset(node) < 10) {
    starts = im.getInts(node, "starts", {});
    ends = im.getInts(node, "ends", {});
    axes = im.getInts(node, "axes", {});
  } else {
    for (auto [index, list] : {std::pair(1, &starts), std::pair(2, &ends),
                               std::pair(3, &axes), std::pair(4, &steps)}) {
      if (!hasInput(index))
        continue;
      std::optional<SmallVector<int64_t>> values = known(index);
      if (!values)
        return false;
      *list = *values;
    }
  }
  if (axes.empty())
    axes = llvm::to_vector(llvm::seq<int64_t>(starts.size()));
  if (steps.empty())
    steps.assign(starts.size(), 1);
  if (starts.size() != ends.size() || starts.size() != axes.size() ||
      starts.size() != steps.size())
    return false;
  // Coordinates kept along each dimension.
  SmallVector<SmallVector<int64_t>> kept;
  for (int64_t size : in(0).dims)
    kept.push_back(llvm::to_vector(llvm::seq<int64_t>(size)));
  for (auto [start, end, axis, step] : llvm::zip(starts, ends, axes, steps)) {
    if (axis < -rank || axis >= rank || step == 0 || step < -INT32_MAX ||
        step > INT32_MAX)
      return false;
    if (axis < 0)
      axis += rank;
    int64_t size = in(0).dims[axis];
    auto clamp = [&](int64_t value, int64_t low, int64_t high) {
      if (value < 0)
        value = value < -size ? -1 - size : value + size;
      return std::clamp(value, low, high);
    };
    kept[axis].clear();
    if (step > 0)
      for (int64_t i = clamp(start, 0, size), e = clamp(end, 0, size); i < e;
           i += step)
        kept[axis].push_back(i);
    else
      for (int64_t i = clamp(start, -1, size - 1), e = clamp(end, -1, size - 1);
           i > e; i += step)
        kept[axis].push_back(i);
  }
  SmallVector<int64_t> positions{0};
  Dims dims;
  for (auto [axis, coordinates] : llvm::enumerate(kept)) {
    SmallVector<int64_t> next;
    for (int64_t base : positions)
      for (int64_t coordinate : coordinates)
        next.push_back(base * in(0).dims[axis] + coordinate);
    positions = std::move(next);
    dims.push_back(coordinates.size());
  }
  return pick(dims, positions);
}

bool Folder::foldConcat() {
  int64_t rank = in(0).dims.size(), axis = im.getInt(node, "axis", 0);
  if (axis < -rank || axis >= rank)
    return false;
  if (axis < 0)
    axis += rank;
  Dims dims(in(0).dims);
  dims[axis] = 0;
  for (auto [index, shadow] : llvm::enumerate(shadows)) {
    Dims own(shadow->dims);
    if (static_cast<int64_t>(own.size()) != rank ||
        dtypes[index] != dtypes.front())
      return false;
    dims[axis] += own[axis];
    own[axis] = dims[axis];
    if (own != dims)
      return false;
  }
  if (product(dims) > kSmallElements)
    return false;
  int64_t outer = product(ArrayRef(dims).take_front(axis));
  Elements elements;
  for (int64_t o = 0; o < outer; ++o)
    for (auto &shadow : shadows) {
      int64_t inner = shadow->elements.size() / outer;
      llvm::append_range(elements,
                         ArrayRef(shadow->elements).slice(o * inner, inner));
    }
  return result(dtypes.front(), dims, elements);
}

/// Reshape, Squeeze, Unsqueeze, Flatten: the same elements in order.
bool Folder::foldReshape() {
  StringRef op = node.opType;
  Dims from(in(0).dims), dims;
  int64_t count = in(0).elements.size();
  if (op == "Reshape") {
    std::optional<SmallVector<int64_t>> wanted;
    if (!hasInput(1) || !(wanted = known(1)))
      return false;
    bool allowZero = im.getInt(node, "allowzero", 0);
    int64_t open = -1, rest = 1;
    for (auto [index, size] : llvm::enumerate(*wanted)) {
      if (size == 0 && !allowZero) {
        if (index >= from.size())
          return false;
        size = from[index];
      }
      if (size == -1) {
        if (open >= 0)
          return false;
        open = index;
      } else if (size < 0 || size > kSmallElements) {
        return false;
      } else {
        rest *= size;
        if (rest > kSmallElements)
          return false;
      }
      dims.push_back(size);
    }
    if (open >= 0)
      dims[open] = rest ? count / rest : 0;
    if (product(dims) != count)
      return false;
  } else {
    SmallVector<int64_t> axes;
    if (im.opset(node) < 13) {
      axes = im.getInts(node, "axes", {});
    } else if (hasInput(1)) {
      std::optional<SmallVector<int64_t>> values = known(1);
      if (!values)
        return false;
      axes = *values;
    }
    bool squeeze = op == "Squeeze";
    int64_t rank = from.size() + (squeeze ? 0 : axes.size());
    SmallVector<bool> marked(rank, squeeze && axes.empty());
    for (int64_t axis : axes) {
      if (axis < -rank || axis >= rank)
        return false;
      marked[axis < 0 ? axis + rank : axis] = true;
    }
    if (squeeze) {
      for (int64_t i = 0; i < rank; ++i) {
        if (!marked[i] || (axes.empty() && from[i] != 1))
          dims.push_back(from[i]);
        else if (from[i] != 1)
          return false;
      }
    } else {
      size_t next = 0;
      for (bool unit : marked) {
        if (!unit && next == from.size())
          return false;
        dims.push_back(unit ? 1 : from[next++]);
      }
      if (next != from.size())
        return false;
    }
  }
  return result(dtypes.front(), dims,
                Elements(in(0).elements.begin(), in(0).elements.end()));
}

bool Folder::foldTranspose() {
  int64_t rank = in(0).dims.size();
  SmallVector<int64_t> reversed =
      llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(rank)));
  SmallVector<int64_t> permutation = im.getInts(node, "perm", reversed);
  if (static_cast<int64_t>(permutation.size()) != rank ||
      !isPermutationVector(permutation))
    return false;
  Dims dims;
  for (int64_t axis : permutation)
    dims.push_back(in(0).dims[axis]);
  SmallVector<int64_t> positions;
  for (int64_t flat = 0, e = in(0).elements.size(); flat < e; ++flat) {
    SmallVector<int64_t> coordinates(rank);
    int64_t rest = flat;
    for (int64_t axis = rank; axis-- > 0;) {
      coordinates[permutation[axis]] = rest % dims[axis];
      rest /= dims[axis];
    }
    int64_t position = 0;
    for (int64_t axis = 0; axis < rank; ++axis)
      position = position * in(0).dims[axis] + coordinates[axis];
    positions.push_back(position);
  }
  return pick(dims, positions);
}

bool Folder::foldExpand() {
  std::optional<SmallVector<int64_t>> wanted;
  if (shadows.size() != 2 || !(wanted = known(1)))
    return false;
  auto target = std::make_shared<Shadow>();
  int64_t count = 1;
  for (int64_t size : *wanted) {
    if (size < 0 || size > kSmallElements || (count *= size) > kSmallElements)
      return false;
    target->dims.push_back(size);
  }
  target->elements.assign(count, im.shape.attr(0));
  shadows[1] = target;
  return broadcast(dtypes.front(), [](ArrayRef<OpFoldResult> operands) {
    return operands.front();
  });
}

bool Folder::foldTile() {
  std::optional<SmallVector<int64_t>> repeats;
  if (shadows.size() != 2 || !(repeats = known(1)) || in(0).dims.size() != 1 ||
      repeats->size() != 1)
    return false;
  int64_t size = in(0).dims.front(), times = repeats->front();
  if (times < 0 || times > kSmallElements || size * times > kSmallElements)
    return false;
  SmallVector<int64_t> positions;
  for (int64_t i = 0; i < size * times; ++i)
    positions.push_back(i % size);
  return pick({size * times}, positions);
}

bool Folder::foldConstantOfShape() {
  std::optional<SmallVector<int64_t>> wanted = known(0);
  if (!wanted)
    return false;
  int64_t count = 1;
  for (int64_t size : *wanted)
    if (size < 0 || size > kSmallElements || (count *= size) > kSmallElements)
      return false;
  std::shared_ptr<const Tensor> value = im.getTensor(node, "value");
  if (!value)
    return result(DType::Float, *wanted,
                  Elements(count, number(im.b.getF32Type(), 0)));
  std::shared_ptr<const Shadow> shadow = im.shadowOf(im.constantValue(value));
  if (!shadow || shadow->elements.size() != 1)
    return false;
  return result(value->dtype, *wanted,
                Elements(count, shadow->elements.front()));
}

bool Folder::foldRange() {
  if (shadows.size() != 3)
    return false;
  auto start = known(0), limit = known(1), delta = known(2);
  if (!start || !limit || !delta || start->size() != 1 || limit->size() != 1 ||
      delta->size() != 1 || delta->front() == 0)
    return false;
  Elements elements;
  int64_t step = delta->front(), end = limit->front();
  for (__int128 i = start->front(); step > 0 ? i < end : i > end; i += step) {
    if (elements.size() == kSmallElements)
      return false;
    elements.push_back(im.shape.attr(static_cast<int64_t>(i)));
  }
  int64_t count = elements.size();
  return result(dtypes.front(), {count}, elements);
}

bool Folder::foldSplit() {
  int64_t outputs = node.outputs.size();
  if (in(0).dims.size() != 1)
    return false;
  int64_t axis = im.getInt(node, "axis", 0), size = in(0).dims.front();
  if ((axis != 0 && axis != -1) || outputs == 0)
    return false;
  SmallVector<int64_t> sizes = im.getInts(node, "split", {});
  if (hasInput(1)) {
    std::optional<SmallVector<int64_t>> values = known(1);
    if (!values)
      return false;
    sizes = *values;
  }
  if (sizes.empty()) {
    int64_t each = (size + outputs - 1) / outputs;
    for (int64_t i = 0; i < outputs; ++i)
      sizes.push_back(std::clamp<int64_t>(size - i * each, 0, each));
  }
  int64_t sum = 0;
  for (int64_t part : sizes) {
    if (part < 0 || part > size)
      return false;
    sum += part;
  }
  if (static_cast<int64_t>(sizes.size()) != outputs || sum != size)
    return false;
  int64_t offset = 0;
  for (auto [index, part] : llvm::enumerate(sizes)) {
    if (!pick({part}, llvm::to_vector(llvm::seq(offset, offset + part)), index))
      return false;
    offset += part;
  }
  return true;
}

bool Folder::foldIdentity() {
  return succeeded(im.out(node, 0, im.in(node, 0)));
}
