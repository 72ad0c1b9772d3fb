// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attributes of nodes (with those of an inlined call put in their place), and
// the compile-time contents of values.
#include "Importer.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/DialectResourceBlobManager.h"

using namespace mlir;
using namespace mlir::tamis::onnx;
using OnnxAttribute = mlir::tamis::onnx::Attribute;

//===-- attributes --------------------------------------------------------===//

const OnnxAttribute *Importer::resolve(const OnnxAttribute *attribute,
                                       size_t frame) const {
  while (attribute && !attribute->refName.empty()) {
    if (frame == 0)
      return nullptr;
    const Frame &call = frames[--frame];
    StringRef name = attribute->refName;
    attribute = call.call->find(name);
    if (!attribute)
      for (const OnnxAttribute &candidate : call.function->defaults)
        if (candidate.name == name)
          return &candidate;
  }
  return attribute;
}

const OnnxAttribute *Importer::attr(const Node &node, StringRef name) {
  return resolve(node.find(name), frames.size());
}

static InFlightDiagnostic wrongType(Importer &im, const Node &node,
                                    StringRef name, StringRef expected,
                                    bool &hadError) {
  hadError = true;
  return im.error(node) << "attribute '" << name << "' must be " << expected;
}

int64_t Importer::getInt(const Node &node, StringRef name, int64_t fallback) {
  const OnnxAttribute *found = attr(node, name);
  if (!found)
    return fallback;
  if (found->type != AttrType::Int) {
    wrongType(*this, node, name, "an integer", hadError);
    return fallback;
  }
  return found->i;
}

float Importer::getFloat(const Node &node, StringRef name, float fallback) {
  const OnnxAttribute *found = attr(node, name);
  if (!found)
    return fallback;
  if (found->type != AttrType::Float) {
    wrongType(*this, node, name, "a float", hadError);
    return fallback;
  }
  return found->f;
}

StringRef Importer::getString(const Node &node, StringRef name,
                              StringRef fallback) {
  const OnnxAttribute *found = attr(node, name);
  if (!found)
    return fallback;
  if (found->type != AttrType::String) {
    wrongType(*this, node, name, "a string", hadError);
    return fallback;
  }
  return found->s;
}

SmallVector<int64_t> Importer::getInts(const Node &node, StringRef name,
                                       ArrayRef<int64_t> fallback) {
  const OnnxAttribute *found = attr(node, name);
  if (!found)
    return SmallVector<int64_t>(fallback);
  if (found->type != AttrType::Ints) {
    wrongType(*this, node, name, "a list of integers", hadError);
    return SmallVector<int64_t>(fallback);
  }
  return SmallVector<int64_t>(found->ints.begin(), found->ints.end());
}

SmallVector<float> Importer::getFloats(const Node &node, StringRef name) {
  const OnnxAttribute *found = attr(node, name);
  if (!found)
    return {};
  if (found->type != AttrType::Floats) {
    wrongType(*this, node, name, "a list of floats", hadError);
    return {};
  }
  return SmallVector<float>(found->floats.begin(), found->floats.end());
}

SmallVector<StringRef> Importer::getStrings(const Node &node, StringRef name) {
  const OnnxAttribute *found = attr(node, name);
  if (!found)
    return {};
  if (found->type != AttrType::Strings) {
    wrongType(*this, node, name, "a list of strings", hadError);
    return {};
  }
  return SmallVector<StringRef>(found->strings.begin(), found->strings.end());
}

std::shared_ptr<const Graph> Importer::getGraph(const Node &node,
                                                StringRef name) {
  const OnnxAttribute *found = attr(node, name);
  if (!found || found->type != AttrType::Graph || found->graphs.size() != 1) {
    wrongType(*this, node, name, "a graph", hadError);
    return nullptr;
  }
  return found->graphs.front();
}

std::shared_ptr<const Tensor> Importer::getTensor(const Node &node,
                                                  StringRef name) {
  const OnnxAttribute *found = attr(node, name);
  if (!found)
    return nullptr;
  if ((found->type != AttrType::Tensor &&
       found->type != AttrType::SparseTensor) ||
      found->tensors.size() != 1) {
    wrongType(*this, node, name, "a tensor", hadError);
    return nullptr;
  }
  return found->tensors.front();
}

FailureOr<int64_t> Importer::axis(const Node &node, int64_t value,
                                  int64_t rank) {
  if (value < -rank || value >= rank)
    return error(node) << "axis " << value << " is out of range for rank "
                       << rank;
  return value < 0 ? value + rank : value;
}

FailureOr<SmallVector<int64_t>>
Importer::axes(const Node &node, ArrayRef<int64_t> values, int64_t rank) {
  SmallVector<int64_t> result;
  for (int64_t value : values) {
    FailureOr<int64_t> one = axis(node, value, rank);
    if (failed(one))
      return failure();
    if (llvm::is_contained(result, *one))
      return error(node) << "axis " << value << " is given twice";
    result.push_back(*one);
  }
  return result;
}

//===-- constants ---------------------------------------------------------===//

Type Importer::elementType(DType dtype) {
  switch (dtype) {
  case DType::Float:
    return b.getF32Type();
  case DType::Double:
    return b.getF64Type();
  case DType::Float16:
    return b.getF16Type();
  case DType::BFloat16:
    return b.getBF16Type();
  case DType::Bool:
    return b.getI1Type();
  // Codes: Minifloat.h gives them a meaning.
  case DType::Float8E4M3FN:
  case DType::Float8E4M3FNUZ:
  case DType::Float8E5M2:
  case DType::Float8E5M2FNUZ:
  case DType::Float8E8M0:
  case DType::Float4E2M1:
  case DType::Int2:
  case DType::UInt2:
  case DType::Int4:
  case DType::UInt4:
  case DType::Int8:
  case DType::UInt8:
    return b.getI8Type();
  case DType::Int16:
  case DType::UInt16:
    return b.getI16Type();
  case DType::Int32:
  case DType::UInt32:
    return b.getI32Type();
  case DType::Int64:
  case DType::UInt64:
    return b.getI64Type();
  default:
    return nullptr;
  }
}

Value Importer::constant(ImplicitLocOpBuilder &b, Type type, double value) {
  if (auto floatType = dyn_cast<FloatType>(type))
    return arith::ConstantOp::create(b, b.getFloatAttr(floatType, value));
  return constantInt(b, type, static_cast<int64_t>(value));
}

Value Importer::constant(Type type, double value) {
  return constant(b, type, value);
}

Value Importer::constantInt(ImplicitLocOpBuilder &b, Type type, int64_t value) {
  if (type.isIndex())
    return arith::ConstantIndexOp::create(b, value);
  APInt bits(64, static_cast<uint64_t>(value));
  return arith::ConstantOp::create(
      b, IntegerAttr::get(type, bits.trunc(type.getIntOrFloatBitWidth())));
}

ImportedValue Importer::constantValue(std::shared_ptr<const Tensor> tensor) {
  ImportedValue result;
  result.dtype = tensor->dtype;
  kept.push_back(tensor);
  result.constant = std::move(tensor);
  return result;
}

ImportedValue Importer::shadowValue(DType dtype, Shadow shadow) {
  ImportedValue result;
  result.dtype = dtype;
  result.shadow = std::make_shared<Shadow>(std::move(shadow));
  return result;
}

std::shared_ptr<const Shadow> Importer::shadowOf(const ImportedValue &value) {
  if (value.shadow || !value.constant)
    return value.shadow;
  const Tensor &tensor = *value.constant;
  Type element = elementType(tensor.dtype);
  int64_t count = tensor.elementCount();
  if (!element || count > kSmallElements)
    return nullptr;
  auto shadow = std::make_shared<Shadow>();
  shadow->dims.assign(tensor.dims.begin(), tensor.dims.end());
  for (int64_t i = 0; i < count; ++i)
    shadow->elements.push_back(
        isa<FloatType>(element)
            ? OpFoldResult(b.getFloatAttr(element, tensor.getFloat(i)))
            : OpFoldResult(b.getIndexAttr(tensor.getInt(i))));
  return shadow;
}

std::optional<SmallVector<int64_t>>
Importer::constantInts(const ImportedValue &value, int64_t limit) {
  SmallVector<int64_t> result;
  if (value.constant) {
    const Tensor &tensor = *value.constant;
    if ((!isInteger(tensor.dtype) && tensor.dtype != DType::Bool) ||
        tensor.elementCount() > limit)
      return std::nullopt;
    for (int64_t i = 0, e = tensor.elementCount(); i < e; ++i)
      result.push_back(tensor.getInt(i));
    return result;
  }
  if (!value.shadow || isFloat(value.dtype))
    return std::nullopt;
  for (OpFoldResult element : value.shadow->elements) {
    std::optional<int64_t> known = getConstantIntValue(element);
    if (!known)
      return std::nullopt;
    result.push_back(*known);
  }
  return result;
}

std::optional<SmallVector<double>>
Importer::constantFloats(const ImportedValue &value, int64_t limit) {
  SmallVector<double> result;
  if (value.constant) {
    const Tensor &tensor = *value.constant;
    if (!elementType(tensor.dtype) || tensor.elementCount() > limit)
      return std::nullopt;
    for (int64_t i = 0, e = tensor.elementCount(); i < e; ++i)
      result.push_back(tensor.getFloat(i));
    return result;
  }
  if (!value.shadow)
    return std::nullopt;
  for (OpFoldResult element : value.shadow->elements) {
    auto attribute = dyn_cast<mlir::Attribute>(element);
    if (auto number = dyn_cast_if_present<FloatAttr>(attribute))
      result.push_back(number.getValueAsDouble());
    else if (auto number = dyn_cast_if_present<IntegerAttr>(attribute))
      result.push_back(static_cast<double>(number.getInt()));
    else
      return std::nullopt;
  }
  return result;
}

std::optional<double> Importer::constantScalar(const ImportedValue &value) {
  std::optional<SmallVector<double>> known = constantFloats(value, 1);
  if (!known || known->size() != 1)
    return std::nullopt;
  return known->front();
}

//===-- values ------------------------------------------------------------===//

Value Importer::hoisted(llvm::function_ref<Value()> build) {
  OpBuilder::InsertionGuard guard(b);
  if (lastHoisted)
    b.setInsertionPointAfter(lastHoisted);
  else
    b.setInsertionPointToStart(entry);
  Value result = build();
  lastHoisted = result.getDefiningOp();
  return result;
}

Value Importer::constantTensor(DenseElementsAttr value) {
  return hoisted([&] { return arith::ConstantOp::create(b, value); });
}

/// Little-endian host assumed, as everywhere in Tamis (x86-64, AArch64).
Value Importer::parameter(const Tensor &tensor) {
  auto known = parameters.find(&tensor);
  if (known != parameters.end())
    return known->second;
  Type element = elementType(tensor.dtype);
  if (!element) {
    hadError = true;
    emitError(b.getLoc()) << "tensor '" << tensor.name
                          << "' has unsupported element type "
                          << dtypeName(tensor.dtype);
    return nullptr;
  }
  auto type = RankedTensorType::get(tensor.dims, element);
  Value result;
  int64_t count = tensor.elementCount();
  if (tensor.dtype == DType::Bool) {
    SmallVector<bool> bits;
    for (int64_t i = 0; i < count; ++i)
      bits.push_back(tensor.getInt(i));
    result = constantTensor(DenseElementsAttr::get(type, bits));
  } else if (count <= kSmallElements) {
    result =
        constantTensor(DenseElementsAttr::getFromRawBuffer(type, tensor.data));
  } else {
    std::string symbol = "param_" + std::to_string(parameterCount++);
    AsmResourceBlob blob = UnmanagedAsmResourceBlob::allocateWithAlign(
        tensor.data, /*align=*/1,
        [owner = tensor.owner](void *, size_t, size_t) {});
    auto contents =
        DenseResourceElementsAttr::get(type, symbol, std::move(blob));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(entry->getParentOp());
    auto global =
        ml_program::GlobalOp::create(b, symbol, type, /*is_mutable=*/false,
                                     contents, b.getStringAttr("private"));
    // Symbols are numbered: names of models are not C identifiers.
    global->setAttr("tamis.name", b.getStringAttr(tensor.name));
    global->setAttr("tamis.dtype", b.getStringAttr(dtypeName(tensor.dtype)));
    result = hoisted([&] {
      return ml_program::GlobalLoadConstOp::create(
          b, type, SymbolRefAttr::get(b.getContext(), symbol));
    });
  }
  return parameters[&tensor] = observeParameter(tensor, result);
}

Value Importer::tensor(const ImportedValue &value) {
  if (value.value)
    return value.value;
  if (value.constant)
    return parameter(*value.constant);
  if (!value.shadow)
    return nullptr;
  const Shadow &shadow = *value.shadow;
  Type element = elementType(value.dtype);
  auto type = RankedTensorType::get(shadow.dims, element);
  SmallVector<mlir::Attribute> known;
  for (OpFoldResult size : shadow.elements) {
    auto attribute = dyn_cast<mlir::Attribute>(size);
    if (auto number = dyn_cast_if_present<IntegerAttr>(attribute)) {
      APInt bits = number.getValue();
      known.push_back(IntegerAttr::get(
          element, bits.sextOrTrunc(element.getIntOrFloatBitWidth())));
    } else if (attribute) {
      known.push_back(attribute);
    }
  }
  if (known.size() == shadow.elements.size())
    return constantTensor(DenseElementsAttr::get(type, known));
  SmallVector<Value> elements;
  for (OpFoldResult size : shadow.elements) {
    Value element = scalar(shadowValue(value.dtype, {{}, {size}}));
    elements.push_back(element);
  }
  return tensor::FromElementsOp::create(b, type, elements);
}

Value Importer::scalar(const ImportedValue &value) {
  Type element = elementType(value.dtype);
  if (std::shared_ptr<const Shadow> shadow = shadowOf(value);
      shadow && shadow->elements.size() == 1) {
    OpFoldResult size = shadow->elements.front();
    auto attribute = dyn_cast<mlir::Attribute>(size);
    if (auto number = dyn_cast_if_present<IntegerAttr>(attribute))
      return constantInt(b, element, number.getInt());
    if (attribute)
      return arith::ConstantOp::create(b, cast<TypedAttr>(attribute));
    Value index = cast<Value>(size);
    if (!index.getType().isIndex())
      return index;
    if (value.dtype == DType::Bool)
      return arith::CmpIOp::create(b, arith::CmpIPredicate::ne, index,
                                   arith::ConstantIndexOp::create(b, 0));
    return arith::IndexCastOp::create(b, element, index);
  }
  Value whole = tensor(value);
  if (!whole)
    return nullptr;
  SmallVector<Value> zeros(cast<RankedTensorType>(whole.getType()).getRank(),
                           arith::ConstantIndexOp::create(b, 0));
  return tensor::ExtractOp::create(b, whole, zeros);
}

FailureOr<SmallVector<OpFoldResult>> Importer::indices(const Node &node,
                                                       size_t index) {
  return indices(node, in(node, index));
}

FailureOr<SmallVector<OpFoldResult>>
Importer::indices(const Node &node, const ImportedValue &value) {
  if (!isInteger(value.dtype))
    return error(node) << "expected an integer tensor, got "
                       << dtypeName(value.dtype);
  RankedTensorType valueType = type(value);
  if (!valueType)
    return failure();
  if (valueType.getRank() > 1)
    return error(node) << "expected a tensor of rank 0 or 1, got rank "
                       << valueType.getRank();
  if (!valueType.hasStaticShape())
    return error(node) << "expected a tensor of known length, got an open one";
  if (valueType.getNumElements() > kSmallElements)
    return error(node) << "expected at most " << kSmallElements
                       << " elements, got " << valueType.getNumElements();
  if (std::shared_ptr<const Shadow> shadow = shadowOf(value))
    return SmallVector<OpFoldResult>(shadow->elements.begin(),
                                     shadow->elements.end());
  Value whole = tensor(value);
  SmallVector<OpFoldResult> result;
  for (int64_t i = 0; i < valueType.getNumElements(); ++i) {
    SmallVector<Value> at;
    if (valueType.getRank() == 1)
      at.push_back(arith::ConstantIndexOp::create(b, i));
    Value element = tensor::ExtractOp::create(b, whole, at);
    Value asIndex =
        isUnsigned(value.dtype)
            ? arith::IndexCastUIOp::create(b, b.getIndexType(), element)
                  .getResult()
            : arith::IndexCastOp::create(b, b.getIndexType(), element)
                  .getResult();
    result.push_back(asIndex);
  }
  return result;
}

RankedTensorType Importer::type(const ImportedValue &value) {
  if (value.value)
    return cast<RankedTensorType>(value.value.getType());
  Type element = elementType(value.dtype);
  if (value.constant && element)
    return RankedTensorType::get(value.constant->dims, element);
  if (value.shadow && element)
    return RankedTensorType::get(value.shadow->dims, element);
  hadError = true;
  emitError(b.getLoc()) << "unsupported element type "
                        << dtypeName(value.dtype);
  return nullptr;
}
