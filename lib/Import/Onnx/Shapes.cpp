// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Shape arithmetic: operators whose inputs are small and known, or known but
// for open sizes, are computed element by element while importing. The result
// has no tensor until an operator of another kind asks for one.
#include "Importer.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/StringSwitch.h"
#include <cmath>

using namespace mlir;
using namespace mlir::tamis::onnx;

namespace {

using Elements = SmallVector<OpFoldResult>;
using Dims = SmallVector<int64_t, 4>;

int64_t product(ArrayRef<int64_t> dims) {
  int64_t result = 1;
  for (int64_t dim : dims)
    result *= dim;
  return result;
}

class Folder {
public:
  Folder(Importer &im, const Node &node) : im(im), node(node) {}

  /// True if the node is folded, false if it must be imported as any other.
  FailureOr<bool> run();

private:
  using Fold = bool (Folder::*)();
  static Fold find(StringRef opType);

  bool isFloatValue(const OpFoldResult &element) {
    if (auto attribute = dyn_cast<mlir::Attribute>(element))
      return isa<FloatAttr>(attribute);
    return !cast<Value>(element).getType().isIndex();
  }
  const Shadow &in(size_t index) { return *shadows[index]; }
  bool hasInput(size_t index) {
    return index < shadows.size() && shadows[index];
  }
  /// An input that must be known completely.
  std::optional<SmallVector<int64_t>> known(size_t index);
  bool result(DType dtype, ArrayRef<int64_t> dims, Elements elements,
              size_t index = 0);

  /// Applies `apply` over the broadcast inputs; it may refuse by a null result.
  bool broadcast(DType dtype,
                 llvm::function_ref<OpFoldResult(ArrayRef<OpFoldResult>)> apply);
  OpFoldResult number(Type type, double value) {
    return im.b.getFloatAttr(type, value);
  }
  static std::optional<double> floatOf(OpFoldResult element);
  OpFoldResult arithmetic(OpFoldResult lhs, OpFoldResult rhs);
  OpFoldResult convert(OpFoldResult element, DType to);

  bool foldBinary();
  bool foldVariadic();
  bool foldUnary();
  bool foldCompare();
  bool foldLogical();
  bool foldWhere();
  bool foldCast();
  bool foldGather();
  bool foldSlice();
  bool foldConcat();
  bool foldReshape();
  bool foldTranspose();
  bool foldExpand();
  bool foldTile();
  bool foldConstantOfShape();
  bool foldRange();
  bool foldReduce();
  bool foldSplit();
  bool foldIdentity();
  bool foldNonZero();

  /// Picks elements: `positions` index the flat elements of input 0.
  bool pick(ArrayRef<int64_t> dims, ArrayRef<int64_t> positions,
            size_t output = 0);

  Importer &im;
  const Node &node;
  SmallVector<std::shared_ptr<const Shadow>> shadows;
  SmallVector<DType> dtypes;
};

} // namespace

std::optional<SmallVector<int64_t>> Folder::known(size_t index) {
  SmallVector<int64_t> values;
  for (OpFoldResult element : in(index).elements) {
    std::optional<int64_t> value = getConstantIntValue(element);
    if (!value || isFloat(dtypes[index]))
      return std::nullopt;
    values.push_back(*value);
  }
  return values;
}

bool Folder::result(DType dtype, ArrayRef<int64_t> dims, Elements elements,
                    size_t index) {
  for (OpFoldResult element : elements)
    if (!element)
      return false;
  Shadow shadow;
  shadow.dims.assign(dims.begin(), dims.end());
  shadow.elements.assign(elements.begin(), elements.end());
  return succeeded(
      im.out(node, index, im.shadowValue(dtype, std::move(shadow))));
}

bool Folder::broadcast(
    DType dtype,
    llvm::function_ref<OpFoldResult(ArrayRef<OpFoldResult>)> apply) {
  size_t rank = 0;
  for (auto &shadow : shadows)
    rank = std::max(rank, shadow->dims.size());
  Dims dims(rank, 1);
  for (auto &shadow : shadows) {
    size_t missing = rank - shadow->dims.size();
    for (auto [index, size] : llvm::enumerate(shadow->dims)) {
      int64_t &common = dims[missing + index];
      if (common != 1 && size != 1 && common != size)
        return false; // the general import reports it
      if (size != 1)
        common = size;
    }
  }
  int64_t count = product(dims);
  if (count > kSmallElements)
    return false;
  Elements elements;
  for (int64_t flat = 0; flat < count; ++flat) {
    SmallVector<OpFoldResult> operands;
    for (auto &shadow : shadows) {
      int64_t position = 0, stride = 1, rest = flat;
      for (int64_t axis = rank; axis-- > 0;) {
        int64_t coordinate = rest % dims[axis];
        rest /= dims[axis];
        int64_t own = axis - (static_cast<int64_t>(rank) -
                              static_cast<int64_t>(shadow->dims.size()));
        if (own < 0)
          continue;
        if (shadow->dims[own] != 1)
          position += coordinate * stride;
        stride *= shadow->dims[own];
      }
      operands.push_back(shadow->elements[position]);
    }
    elements.push_back(apply(operands));
  }
  return result(dtype, dims, elements);
}

std::optional<double> Folder::floatOf(OpFoldResult element) {
  if (auto attribute = dyn_cast<mlir::Attribute>(element))
    if (auto number = dyn_cast<FloatAttr>(attribute))
      return number.getValueAsDouble();
  return std::nullopt;
}

/// Add, Sub, Mul, Div, Mod, Min, Max, Pow of one pair.
OpFoldResult Folder::arithmetic(OpFoldResult lhs, OpFoldResult rhs) {
  StringRef op = node.opType;
  if (!isFloatValue(lhs)) {
    if (isFloatValue(rhs))
      return {};
    if (op == "Add") return im.shape.add(lhs, rhs);
    if (op == "Sub") return im.shape.sub(lhs, rhs);
    if (op == "Mul") return im.shape.mul(lhs, rhs);
    if (op == "Div") return im.shape.truncDiv(lhs, rhs);
    if (op == "Mod") return im.shape.mod(lhs, rhs);
    if (op == "Min") return im.shape.min(lhs, rhs);
    if (op == "Max") return im.shape.max(lhs, rhs);
    return {};
  }
  std::optional<double> left = floatOf(lhs), right = floatOf(rhs);
  Type type = im.elementType(dtypes.front());
  if (left && right) {
    if (op == "Add") return number(type, *left + *right);
    if (op == "Sub") return number(type, *left - *right);
    if (op == "Mul") return number(type, *left * *right);
    if (op == "Div") return number(type, *left / *right);
    if (op == "Min" && !std::isnan(*left) && !std::isnan(*right))
      return number(type, std::min(*left, *right));
    if (op == "Max" && !std::isnan(*left) && !std::isnan(*right))
      return number(type, std::max(*left, *right));
    return {};
  }
  auto value = [&](OpFoldResult element) {
    return im.scalar(im.shadowValue(dtypes.front(), {{}, {element}}));
  };
  auto &b = im.b;
  if (op == "Add") return arith::AddFOp::create(b, value(lhs), value(rhs)).getResult();
  if (op == "Sub") return arith::SubFOp::create(b, value(lhs), value(rhs)).getResult();
  if (op == "Mul") return arith::MulFOp::create(b, value(lhs), value(rhs)).getResult();
  if (op == "Div") return arith::DivFOp::create(b, value(lhs), value(rhs)).getResult();
  return {};
}

bool Folder::foldBinary() {
  if (shadows.size() != 2 || dtypes[0] != dtypes[1])
    return false;
  if (node.opType == "Mod" && im.getInt(node, "fmod", 0))
    return false;
  // A known zero divisor is the general import's to define.
  return broadcast(dtypes.front(), [&](ArrayRef<OpFoldResult> operands) {
    return arithmetic(operands[0], operands[1]);
  });
}

bool Folder::foldVariadic() {
  for (DType dtype : dtypes)
    if (dtype != dtypes.front())
      return false;
  return broadcast(dtypes.front(), [&](ArrayRef<OpFoldResult> operands) {
    OpFoldResult folded = operands.front();
    for (OpFoldResult operand : operands.drop_front())
      if (folded)
        folded = arithmetic(folded, operand);
    return folded;
  });
}

bool Folder::foldUnary() {
  if (shadows.size() != 1)
    return false;
  StringRef op = node.opType;
  Type type = im.elementType(dtypes.front());
  return broadcast(
      dtypes.front(), [&](ArrayRef<OpFoldResult> operands) -> OpFoldResult {
        OpFoldResult operand = operands.front();
        if (!isFloatValue(operand)) {
          OpFoldResult negative = im.shape.sub(im.shape.attr(0), operand);
          if (op == "Neg")
            return negative;
          if (op == "Abs")
            return im.shape.max(operand, negative);
          return {};
        }
        std::optional<double> value = floatOf(operand);
        if (!value)
          return {};
        if (op == "Neg") return number(type, -*value);
        if (op == "Abs") return number(type, std::fabs(*value));
        if (op == "Floor") return number(type, std::floor(*value));
        if (op == "Ceil") return number(type, std::ceil(*value));
        if (op == "Round") return number(type, std::nearbyint(*value));
        if (op == "Sqrt") return number(type, std::sqrt(*value));
        return {};
      });
}

bool Folder::foldCompare() {
  if (shadows.size() != 2)
    return false;
  using P = arith::CmpIPredicate;
  StringRef op = node.opType;
  P predicate = llvm::StringSwitch<P>(op)
                    .Case("Equal", P::eq)
                    .Case("Less", P::slt)
                    .Case("LessOrEqual", P::sle)
                    .Case("Greater", P::sgt)
                    .Default(P::sge);
  return broadcast(
      DType::Bool, [&](ArrayRef<OpFoldResult> operands) -> OpFoldResult {
        if (!isFloatValue(operands[0]) && !isFloatValue(operands[1]))
          return im.shape.compare(predicate, operands[0], operands[1]);
        auto left = floatOf(operands[0]), right = floatOf(operands[1]);
        if (!left || !right)
          return {};
        switch (predicate) {
        case P::eq: return im.shape.attr(*left == *right);
        case P::slt: return im.shape.attr(*left < *right);
        case P::sle: return im.shape.attr(*left <= *right);
        case P::sgt: return im.shape.attr(*left > *right);
        default: return im.shape.attr(*left >= *right);
        }
      });
}

bool Folder::foldLogical() {
  for (DType dtype : dtypes)
    if (dtype != DType::Bool)
      return false;
  StringRef op = node.opType;
  if (shadows.size() != (op == "Not" ? 1 : 2))
    return false;
  auto &shape = im.shape;
  return broadcast(DType::Bool, [&](ArrayRef<OpFoldResult> operands) {
    if (op == "Not")
      return shape.sub(shape.attr(1), operands[0]);
    if (op == "And")
      return shape.min(operands[0], operands[1]);
    if (op == "Or")
      return shape.max(operands[0], operands[1]);
    return shape.compare(arith::CmpIPredicate::ne, operands[0], operands[1]);
  });
}

bool Folder::foldWhere() {
  if (shadows.size() != 3 || dtypes[1] != dtypes[2])
    return false;
  return broadcast(dtypes[1],
                   [&](ArrayRef<OpFoldResult> operands) -> OpFoldResult {
                     if (auto known = getConstantIntValue(operands[0]))
                       return *known ? operands[1] : operands[2];
                     if (isFloatValue(operands[1]))
                       return {};
                     return im.shape.select(operands[0], operands[1],
                                            operands[2]);
                   });
}

OpFoldResult Folder::convert(OpFoldResult element, DType to) {
  Type type = im.elementType(to);
  DType from = dtypes.front();
  if (std::optional<double> value = floatOf(element)) {
    if (isFloat(to))
      return number(type, *value);
    if (to == DType::Bool)
      return im.shape.attr(*value != 0);
    // Out of range is the general import's to define.
    if (!(std::fabs(*value) < 2147483648.0) || to == DType::UInt8 ||
        to == DType::Int8)
      return {};
    return im.shape.attr(static_cast<int64_t>(*value));
  }
  if (std::optional<int64_t> value = getConstantIntValue(element)) {
    if (isFloat(to))
      return number(type, static_cast<double>(*value));
    if (to == DType::Bool)
      return im.shape.attr(*value != 0);
    unsigned width = type.getIntOrFloatBitWidth();
    if (dtypeBytes(to) * 8 != width)
      return {};
    APInt bits = APInt(64, *value, true).trunc(width);
    return im.shape.attr(isUnsigned(to) ? bits.zext(64).getSExtValue()
                                        : bits.getSExtValue());
  }
  if (!isFloat(from) && to == DType::Bool)
    return im.shape.compare(arith::CmpIPredicate::ne, element,
                            im.shape.attr(0));
  if (!isFloat(from) && (to == DType::Int64 || to == DType::Int32))
    return element;
  // A size to a float and back: one scalar operation.
  if (isFloat(to) || to == DType::Int64 || to == DType::Int32) {
    Value value = im.scalar(im.shadowValue(from, {{}, {element}}));
    Value cast = Importer::castScalar(im.b, value, from, to);
    if (isFloat(to))
      return cast;
    return arith::IndexCastOp::create(im.b, im.b.getIndexType(), cast)
        .getResult();
  }
  return {};
}

bool Folder::foldCast() {
  if (shadows.empty())
    return false;
  DType to = node.opType == "CastLike"
                 ? im.in(node, 1).dtype
                 : static_cast<DType>(im.getInt(node, "to", 0));
  if (!im.elementType(to))
    return false;
  shadows.resize(1);
  return broadcast(to, [&](ArrayRef<OpFoldResult> operands) {
    return convert(operands.front(), to);
  });
}

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
    if (axis < -rank || axis >= rank || step == 0 || std::abs(step) > INT32_MAX)
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
      llvm::append_range(
          elements, ArrayRef(shadow->elements).slice(o * inner, inner));
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
  return result(dtypes.front(), dims, Elements(in(0).elements.begin(), in(0).elements.end()));
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

/// Over all elements of a vector only, which is what sizes need.
bool Folder::foldReduce() {
  if (in(0).dims.size() != 1 || isFloat(dtypes.front()))
    return false;
  SmallVector<int64_t> axes = im.getInts(node, "axes", {});
  if (hasInput(1)) {
    std::optional<SmallVector<int64_t>> values = known(1);
    if (!values)
      return false;
    axes = *values;
  }
  if (axes.size() > 1 || (axes.empty() && im.getInt(node, "noop_with_empty_axes", 0)))
    return false;
  if (!axes.empty() && axes[0] != 0 && axes[0] != -1)
    return false;
  StringRef op = node.opType;
  ArrayRef<OpFoldResult> elements = in(0).elements;
  OpFoldResult folded;
  if (op == "ReduceProd") {
    folded = im.shape.product(elements);
  } else {
    if (elements.empty())
      return false;
    folded = elements.front();
    for (OpFoldResult element : elements.drop_front())
      folded = op == "ReduceSum"   ? im.shape.add(folded, element)
               : op == "ReduceMax" ? im.shape.max(folded, element)
                                   : im.shape.min(folded, element);
  }
  Dims dims;
  if (im.getInt(node, "keepdims", 1))
    dims.push_back(1);
  return result(dtypes.front(), dims, {folded});
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

bool Folder::foldNonZero() {
  if (in(0).dims.size() != 1)
    return false;
  Elements found;
  for (auto [index, element] : llvm::enumerate(in(0).elements)) {
    std::optional<double> value = floatOf(element);
    if (!value) {
      auto integer = getConstantIntValue(element);
      if (!integer)
        return false;
      value = *integer != 0;
    }
    if (*value != 0)
      found.push_back(im.shape.attr(index));
  }
  int64_t count = found.size();
  return result(DType::Int64, {1, count}, found);
}

Folder::Fold Folder::find(StringRef opType) {
  return llvm::StringSwitch<Fold>(opType)
      .Cases({"Add", "Sub", "Mul", "Div", "Mod"}, &Folder::foldBinary)
      .Cases({"Min", "Max"}, &Folder::foldVariadic)
      .Cases({"Neg", "Abs", "Floor", "Ceil", "Round", "Sqrt"},
             &Folder::foldUnary)
      .Cases({"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"},
             &Folder::foldCompare)
      .Cases({"And", "Or", "Xor", "Not"}, &Folder::foldLogical)
      .Case("Where", &Folder::foldWhere)
      .Cases({"Cast", "CastLike"}, &Folder::foldCast)
      .Case("Gather", &Folder::foldGather)
      .Case("Slice", &Folder::foldSlice)
      .Case("Concat", &Folder::foldConcat)
      .Cases({"Reshape", "Squeeze", "Unsqueeze"}, &Folder::foldReshape)
      .Case("Transpose", &Folder::foldTranspose)
      .Case("Expand", &Folder::foldExpand)
      .Case("Tile", &Folder::foldTile)
      .Case("ConstantOfShape", &Folder::foldConstantOfShape)
      .Case("Range", &Folder::foldRange)
      .Cases({"ReduceProd", "ReduceSum", "ReduceMax", "ReduceMin"},
             &Folder::foldReduce)
      .Case("Split", &Folder::foldSplit)
      .Case("Identity", &Folder::foldIdentity)
      .Case("NonZero", &Folder::foldNonZero)
      .Default(nullptr);
}

FailureOr<bool> Folder::run() {
  Fold fold = find(node.opType);
  if (!fold || node.inputs.empty())
    return false;
  // CastLike asks its second input for the type only.
  size_t count = node.opType == "CastLike" ? 1 : node.inputs.size();
  for (size_t index = 0; index < count; ++index) {
    ImportedValue value = im.in(node, index);
    std::shared_ptr<const Shadow> shadow = im.shadowOf(value);
    if (value && !shadow)
      return false;
    shadows.push_back(shadow);
    dtypes.push_back(value.dtype);
  }
  if (!shadows.front())
    return false;
  StringRef op = node.opType;
  bool optional = op == "Slice" || op == "Squeeze" || op == "Split" ||
                  op.starts_with("Reduce");
  if (!optional && llvm::is_contained(shadows, nullptr))
    return false;
  return (this->*fold)();
}

FailureOr<bool> Importer::foldShapes(const Node &node) {
  if (!node.domain.empty())
    return false;
  return Folder(*this, node).run();
}
