// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Shape arithmetic: operators whose inputs are small and known, or known but
// for open sizes, are computed element by element while importing. The result
// has no tensor until an operator of another kind asks for one.
#include "Folder.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/StringSwitch.h"
#include <cmath>

using namespace mlir;
using namespace mlir::tamis::onnx;
using namespace mlir::tamis::onnx::shapes;

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
    if (op == "Add")
      return im.shape.add(lhs, rhs);
    if (op == "Sub")
      return im.shape.sub(lhs, rhs);
    if (op == "Mul")
      return im.shape.mul(lhs, rhs);
    if (op == "Div")
      return im.shape.truncDiv(lhs, rhs);
    if (op == "Mod")
      return im.shape.mod(lhs, rhs);
    if (op == "Min")
      return im.shape.min(lhs, rhs);
    if (op == "Max")
      return im.shape.max(lhs, rhs);
    return {};
  }
  std::optional<double> left = floatOf(lhs), right = floatOf(rhs);
  Type type = im.elementType(dtypes.front());
  if (left && right) {
    if (op == "Add")
      return number(type, *left + *right);
    if (op == "Sub")
      return number(type, *left - *right);
    if (op == "Mul")
      return number(type, *left * *right);
    if (op == "Div")
      return number(type, *left / *right);
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
  if (op == "Add")
    return arith::AddFOp::create(b, value(lhs), value(rhs)).getResult();
  if (op == "Sub")
    return arith::SubFOp::create(b, value(lhs), value(rhs)).getResult();
  if (op == "Mul")
    return arith::MulFOp::create(b, value(lhs), value(rhs)).getResult();
  if (op == "Div")
    return arith::DivFOp::create(b, value(lhs), value(rhs)).getResult();
  return {};
}

/// Sizes are int64 and int32; narrower integers overflow in earnest.
static bool wraps(DType dtype) {
  return isInteger(dtype) && dtype != DType::Int64 && dtype != DType::Int32;
}

bool Folder::foldBinary() {
  if (shadows.size() != 2 || dtypes[0] != dtypes[1] || wraps(dtypes[0]))
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
    if (dtype != dtypes.front() || wraps(dtype))
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
  if (shadows.size() != 1 || wraps(dtypes.front()))
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
        if (op == "Neg")
          return number(type, -*value);
        if (op == "Abs")
          return number(type, std::fabs(*value));
        if (op == "Floor")
          return number(type, std::floor(*value));
        if (op == "Ceil")
          return number(type, std::ceil(*value));
        if (op == "Round")
          return number(type, std::nearbyint(*value));
        if (op == "Sqrt")
          return number(type, std::sqrt(*value));
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
        case P::eq:
          return im.shape.attr(*left == *right);
        case P::slt:
          return im.shape.attr(*left < *right);
        case P::sle:
          return im.shape.attr(*left <= *right);
        case P::sgt:
          return im.shape.attr(*left > *right);
        default:
          return im.shape.attr(*left >= *right);
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
  return broadcast(
      dtypes[1], [&](ArrayRef<OpFoldResult> operands) -> OpFoldResult {
        if (auto known = getConstantIntValue(operands[0]))
          return *known ? operands[1] : operands[2];
        if (isFloatValue(operands[1]))
          return {};
        return im.shape.select(operands[0], operands[1], operands[2]);
      });
}

/// Shadows hold the codes of other types, not their numbers.
static bool isPlain(DType dtype) {
  return isFloat(dtype) || isInteger(dtype) || dtype == DType::Bool;
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
  bool narrow = to == DType::Int4 || to == DType::UInt4 || to == DType::Int2 ||
                to == DType::UInt2;
  if (!isPlain(to) || narrow)
    return false;
  shadows.resize(1);
  return broadcast(to, [&](ArrayRef<OpFoldResult> operands) {
    return convert(operands.front(), to);
  });
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
  if (axes.size() > 1 ||
      (axes.empty() && im.getInt(node, "noop_with_empty_axes", 0)))
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
    if (value && (!shadow || !isPlain(value.dtype)))
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
