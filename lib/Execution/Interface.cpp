// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The module attribute that carries a model's interface through lowering.
#include "tamis/Execution/Interface.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace mlir::tamis;

static constexpr StringLiteral kInterface = "tamis.interface";

int64_t mlir::tamis::getDtypeBytes(StringRef dtype) {
  return llvm::StringSwitch<int64_t>(dtype)
      .Cases({"bool", "int8", "uint8", "int4", "uint4", "int2", "uint2",
              "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2",
              "float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn"},
             1)
      .Cases({"int16", "uint16", "float16", "bfloat16"}, 2)
      .Cases({"int32", "uint32", "float32"}, 4)
      .Cases({"int64", "uint64", "float64", "complex64"}, 8)
      .Case("complex128", 16)
      .Default(0);
}

bool InterfaceTensor::isUnbounded() const {
  return llvm::any_of(
      dims, [](const InterfaceDim &dim) { return dim.symbol == "?"; });
}

bool ModelInterface::isStatic() const {
  auto known = [](const InterfaceTensor &tensor) {
    return llvm::all_of(tensor.dims, [](auto &dim) { return dim.isStatic(); });
  };
  return llvm::all_of(inputs, known) && llvm::all_of(outputs, known);
}

static LogicalResult readTensors(ModuleOp module, DictionaryAttr interface,
                                 StringRef field,
                                 std::vector<InterfaceTensor> &tensors) {
  auto list = interface.getAs<ArrayAttr>(field);
  if (!list)
    return module.emitError()
           << "'" << kInterface << "': expected an array '" << field << "'";
  for (Attribute entry : list) {
    auto fields = dyn_cast<DictionaryAttr>(entry);
    auto name = fields ? fields.getAs<StringAttr>("name") : StringAttr();
    auto dtype = fields ? fields.getAs<StringAttr>("dtype") : StringAttr();
    auto dims = fields ? fields.getAs<ArrayAttr>("dims") : ArrayAttr();
    if (!name || !dtype || !dims)
      return module.emitError()
             << "'" << kInterface << "': '" << field
             << "': expected name, dtype and dims, got " << entry;
    if (!getDtypeBytes(dtype))
      return module.emitError()
             << "'" << kInterface << "': '" << name.getValue()
             << "': unknown dtype " << dtype;
    InterfaceTensor tensor{name.str(), dtype.str(), {}, {}};
    if (auto state = fields.getAs<StringAttr>("state"))
      tensor.state = state.str();
    for (Attribute dim : dims) {
      auto size = dyn_cast<IntegerAttr>(dim);
      auto symbol = dyn_cast<StringAttr>(dim);
      if ((!size || size.getInt() < 0) && (!symbol || symbol.empty()))
        return module.emitError()
               << "'" << kInterface << "': '" << name.getValue()
               << "': expected a size or a symbol, got " << dim;
      tensor.dims.push_back(size ? InterfaceDim{size.getInt(), ""}
                                 : InterfaceDim{-1, symbol.str()});
    }
    tensors.push_back(std::move(tensor));
  }
  return success();
}

static void readMetadata(DictionaryAttr dictionary,
                         std::map<std::string, std::string> &metadata) {
  if (!dictionary)
    return;
  for (NamedAttribute entry : dictionary)
    if (auto text = dyn_cast<StringAttr>(entry.getValue()))
      metadata[entry.getName().str()] = text.str();
}

FailureOr<ModelInterface> ModelInterface::get(ModuleOp module) {
  auto attribute = module->getAttrOfType<DictionaryAttr>(kInterface);
  if (!attribute)
    return module.emitError()
           << "expected the module attribute '" << kInterface << "'";
  ModelInterface interface;
  if (failed(readTensors(module, attribute, "inputs", interface.inputs)) ||
      failed(readTensors(module, attribute, "outputs", interface.outputs)))
    return failure();
  if (auto ranges = attribute.getAs<DictionaryAttr>("ranges"))
    for (NamedAttribute entry : ranges) {
      auto bounds = dyn_cast<DenseI64ArrayAttr>(entry.getValue());
      if (!bounds || bounds.size() != 2 || bounds[0] < 0 ||
          bounds[0] > bounds[1])
        return module.emitError()
               << "'" << kInterface << "': range of '"
               << entry.getName().getValue()
               << "': expected two sizes in order, got " << entry.getValue();
      interface.ranges[entry.getName().str()] = {bounds[0], bounds[1]};
    }
  readMetadata(attribute.getAs<DictionaryAttr>("metadata"), interface.metadata);
  if (auto producer = attribute.getAs<StringAttr>("producer"))
    interface.producer = producer.str();
  if (auto threads = attribute.getAs<IntegerAttr>("threads"))
    interface.threads = std::max<int64_t>(1, threads.getInt());
  interface.layers = attribute.getAs<ArrayAttr>("layers");
  return interface;
}

/// One argument or result of @main.
static FailureOr<InterfaceTensor> readMainTensor(func::FuncOp main, Type type,
                                                 DictionaryAttr attributes,
                                                 StringRef fallbackName) {
  auto shaped = dyn_cast<ShapedType>(type);
  auto dtype =
      attributes ? attributes.getAs<StringAttr>("tamis.dtype") : StringAttr();
  auto name =
      attributes ? attributes.getAs<StringAttr>("tamis.name") : StringAttr();
  auto dims =
      attributes ? attributes.getAs<ArrayAttr>("tamis.dims") : ArrayAttr();
  if (!shaped || !shaped.hasRank())
    return main.emitError("'@main': expected ranked tensors, got ") << type;
  if (dims && int64_t(dims.size()) != shaped.getRank())
    return main.emitError("'@main': expected ")
           << shaped.getRank() << " entries in 'tamis.dims', got "
           << dims.size();
  InterfaceTensor tensor;
  tensor.name = name ? name.str() : fallbackName.str();
  if (dtype) {
    tensor.dtype = dtype.str();
  } else {
    llvm::raw_string_ostream stream(tensor.dtype);
    Type element = shaped.getElementType();
    if (element.isInteger(1))
      stream << "bool";
    else if (element.isBF16())
      stream << "bfloat16";
    else if (element.isIntOrFloat())
      stream << (isa<FloatType>(element) ? "float" : "int")
             << element.getIntOrFloatBitWidth();
    else
      stream << element;
  }
  for (auto [index, size] : llvm::enumerate(shaped.getShape())) {
    InterfaceDim dim{size, ""};
    if (ShapedType::isDynamic(size)) {
      auto symbol = dims ? dyn_cast<StringAttr>(dims[index]) : StringAttr();
      dim = {-1, symbol && !symbol.empty() ? symbol.str() : "?"};
    }
    tensor.dims.push_back(dim);
  }
  return tensor;
}

FailureOr<ModelInterface> ModelInterface::fromMain(ModuleOp module) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  if (!main)
    return module.emitError("expected a function '@main'");
  ModelInterface interface;
  for (auto [index, type] : llvm::enumerate(main.getArgumentTypes())) {
    std::string name = "input_" + std::to_string(index);
    auto tensor = readMainTensor(main, type, main.getArgAttrDict(index), name);
    if (failed(tensor))
      return failure();
    // An unnamed input dimension is free: it equals no other.
    for (auto [axis, dim] : llvm::enumerate(tensor->dims))
      if (dim.symbol == "?")
        dim.symbol = "d" + std::to_string(index) + "_" + std::to_string(axis);
    interface.inputs.push_back(*tensor);
  }
  for (auto [index, type] : llvm::enumerate(main.getResultTypes())) {
    std::string name = "output_" + std::to_string(index);
    auto tensor =
        readMainTensor(main, type, main.getResultAttrDict(index), name);
    if (failed(tensor))
      return failure();
    interface.outputs.push_back(*tensor);
  }
  readMetadata(module->getAttrOfType<DictionaryAttr>("tamis.metadata"),
               interface.metadata);
  if (auto producer = module->getAttrOfType<StringAttr>("tamis.producer"))
    interface.producer = producer.str();
  interface.layers = module->getAttrOfType<ArrayAttr>("tamis.layers");
  return interface;
}

void ModelInterface::attach(ModuleOp module) const {
  Builder builder(module.getContext());
  auto tensors = [&](const std::vector<InterfaceTensor> &list) {
    SmallVector<Attribute> entries;
    for (const InterfaceTensor &tensor : list) {
      SmallVector<Attribute> dims;
      for (const InterfaceDim &dim : tensor.dims)
        dims.push_back(dim.isStatic()
                           ? Attribute(builder.getI64IntegerAttr(dim.size))
                           : builder.getStringAttr(dim.symbol));
      SmallVector<NamedAttribute> fields{
          builder.getNamedAttr("name", builder.getStringAttr(tensor.name)),
          builder.getNamedAttr("dtype", builder.getStringAttr(tensor.dtype)),
          builder.getNamedAttr("dims", builder.getArrayAttr(dims))};
      if (!tensor.state.empty())
        fields.push_back(
            builder.getNamedAttr("state", builder.getStringAttr(tensor.state)));
      entries.push_back(builder.getDictionaryAttr(fields));
    }
    return builder.getArrayAttr(entries);
  };
  SmallVector<NamedAttribute> bounds, texts;
  for (auto &[symbol, range] : ranges)
    bounds.push_back(builder.getNamedAttr(
        symbol, builder.getDenseI64ArrayAttr({range.first, range.second})));
  for (auto &[key, text] : metadata)
    texts.push_back(builder.getNamedAttr(key, builder.getStringAttr(text)));
  SmallVector<NamedAttribute> entries = {
      builder.getNamedAttr("inputs", tensors(inputs)),
      builder.getNamedAttr("outputs", tensors(outputs)),
      builder.getNamedAttr("ranges", builder.getDictionaryAttr(bounds)),
      builder.getNamedAttr("metadata", builder.getDictionaryAttr(texts)),
      builder.getNamedAttr("producer", builder.getStringAttr(producer)),
      builder.getNamedAttr("threads", builder.getI64IntegerAttr(threads))};
  if (layers)
    entries.push_back(builder.getNamedAttr("layers", layers));
  module->setAttr(kInterface, builder.getDictionaryAttr(entries));
}
