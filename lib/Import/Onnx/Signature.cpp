// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The signature of an imported model: its inputs, and what its outputs promise.
#include "Importer.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "tamis/IR/Tamis.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::onnx;

LogicalResult Importer::defineInputs() {
  for (const Tensor &tensor : model.graph.initializers) {
    // The model outlives the importer: this pointer need not own it.
    std::shared_ptr<const Tensor> view(std::shared_ptr<void>(), &tensor);
    names.back().values[tensor.name] = constantValue(view);
    if (options.observe)
      observe(tensor.name);
  }
  llvm::StringMap<DimBinding> bindings;
  llvm::StringSet<> used;
  for (const auto &[name, binding] : options.inputDims)
    bindings[name] = binding;

  MLIRContext *context = b.getContext();
  struct Input {
    const ValueInfo *info;
    SmallVector<int64_t> sizes;
    SmallVector<std::string> names;
    SmallVector<std::pair<int64_t, int64_t>> ranges;
  };
  SmallVector<Input> inputs;
  SmallVector<Type> types;
  for (const ValueInfo &info : model.graph.inputs) {
    // Before IR version 4 every initializer is an input, too.
    if (lookup(info.name))
      continue;
    auto fail = [&]() {
      return emitError(module.getLoc()) << "input '" << info.name << "' ";
    };
    if (info.type.kind != ValueType::Kind::Tensor)
      return fail() << "is not a tensor";
    if (!info.type.hasShape)
      return fail() << "has no shape";
    Type element = elementType(info.type.dtype);
    if (!element)
      return fail() << "has unsupported element type "
                    << dtypeName(info.type.dtype);
    Input input{&info, {}, {}, {}};
    for (auto [axis, dimension] : llvm::enumerate(info.type.dims)) {
      std::string byAxis = (info.name + ":" + Twine(axis)).str();
      std::string name =
          dimension.symbol.empty() ? byAxis : dimension.symbol.str();
      auto binding = bindings.find(byAxis);
      if (binding == bindings.end())
        binding = bindings.find(name);
      std::optional<int64_t> value = dimension.value;
      std::pair<int64_t, int64_t> range{0, -1};
      if (binding != bindings.end()) {
        used.insert(binding->first());
        DimBinding bound = binding->second;
        if (bound.min < 0 || bound.max < bound.min)
          return fail() << "dimension '" << binding->first()
                        << "' cannot be bound to " << bound.min << ":"
                        << bound.max;
        if (value && (*value < bound.min || *value > bound.max))
          return fail() << "dimension " << axis << " is " << *value
                        << " in the model, bound to " << bound.min << ":"
                        << bound.max;
        if (bound.isFixed())
          value = bound.min;
        else if (!value)
          range = {bound.min, bound.max};
      }
      input.sizes.push_back(value ? *value : ShapedType::kDynamic);
      input.names.push_back(value ? std::to_string(*value) : name);
      input.ranges.push_back(range);
    }
    SmallVector<int64_t> known;
    for (int64_t size : input.sizes)
      known.push_back(size == ShapedType::kDynamic ? 1 : size);
    if (auto count = checkedElementCount(known, dtypeBytes(info.type.dtype));
        !count)
      return fail() << llvm::toString(count.takeError());
    types.push_back(RankedTensorType::get(input.sizes, element));
    inputs.push_back(std::move(input));
  }
  for (const auto &[name, binding] : options.inputDims)
    if (!used.contains(name))
      return emitError(module.getLoc())
             << "no input has an open dimension '" << name << "'";

  b.setInsertionPointToEnd(module.getBody());
  auto function = func::FuncOp::create(
      b, "main", FunctionType::get(context, types, /*results=*/{}));
  entry = function.addEntryBlock();
  b.setInsertionPointToStart(entry);
  llvm::StringMap<OpFoldResult> symbols;
  for (auto [index, input] : llvm::enumerate(inputs)) {
    const ValueInfo &info = *input.info;
    function.setArgAttr(index, "tamis.name", b.getStringAttr(info.name));
    function.setArgAttr(index, "tamis.dtype",
                        b.getStringAttr(dtypeName(info.type.dtype)));
    SmallVector<StringRef> dimNames(input.names.begin(), input.names.end());
    function.setArgAttr(index, "tamis.dims", b.getStrArrayAttr(dimNames));
    SmallVector<mlir::Attribute> ranges;
    bool ranged = false;
    Value argument = entry->getArgument(index);
    SmallVector<OpFoldResult> sizes;
    for (size_t axis = 0; axis < input.sizes.size(); ++axis) {
      auto [min, max] = input.ranges[axis];
      bool hasRange = max >= min;
      ranged |= hasRange;
      ranges.push_back(b.getDenseI64ArrayAttr(
          hasRange ? ArrayRef<int64_t>({min, max}) : ArrayRef<int64_t>()));
      if (input.sizes[axis] != ShapedType::kDynamic) {
        sizes.push_back(b.getIndexAttr(input.sizes[axis]));
        continue;
      }
      OpFoldResult &symbol = symbols[input.names[axis]];
      if (!symbol) {
        Value size = tensor::DimOp::create(b, argument, axis);
        lastHoisted = size.getDefiningOp();
        symbol =
            shape.symbol(size, hasRange ? min : 0, hasRange ? max : INT64_MAX);
      }
      sizes.push_back(symbol);
    }
    if (ranged)
      function.setArgAttr(index, "tamis.dim_ranges", b.getArrayAttr(ranges));
    setDims(argument, sizes);
    ImportedValue value;
    value.value = argument;
    value.dtype = info.type.dtype;
    names.back().values[info.name] = value;
  }
  // Only now: an observation would get between the sizes above.
  if (options.observe)
    for (const Input &input : inputs)
      observe(input.info->name);
  return success();
}

/// Erases what nothing uses, sizes foremost, and parameters never loaded.
static void eraseUnused(ModuleOp module) {
  SmallVector<Operation *> operations;
  module.walk<WalkOrder::PreOrder>(
      [&](Operation *op) { operations.push_back(op); });
  for (Operation *op : llvm::reverse(operations))
    if (op != module &&
        (isOpTriviallyDead(op) || (isa<ObserveOp>(op) && op->use_empty())))
      op->erase();
  llvm::DenseSet<StringAttr> loaded;
  module.walk([&](ml_program::GlobalLoadConstOp load) {
    loaded.insert(load.getGlobal().getLeafReference());
  });
  for (auto global :
       llvm::make_early_inc_range(module.getOps<ml_program::GlobalOp>()))
    if (!loaded.contains(global.getSymNameAttr()))
      global.erase();
}

bool Importer::declaresEqual(const Node &node, size_t input, size_t output,
                             size_t axis) const {
  if (!has(node, input) || !wants(node, output))
    return false;
  auto find = [&](const std::vector<ValueInfo> &list,
                  StringRef name) -> const Dimension * {
    for (const ValueInfo &info : list)
      if (info.name == name && info.type.hasShape &&
          axis < info.type.dims.size())
        return &info.type.dims[axis];
    return nullptr;
  };
  const Dimension *from = find(model.graph.inputs, node.inputs[input]),
                  *to = find(model.graph.outputs, node.outputs[output]);
  return from && to && from->value == to->value && from->symbol == to->symbol &&
         (from->value || !from->symbol.empty());
}

LogicalResult Importer::finish() {
  auto function = cast<func::FuncOp>(entry->getParentOp());
  b.setLoc(module.getLoc());
  SmallVector<Value> results;
  SmallVector<Type> types;
  SmallVector<DictionaryAttr> attributes;
  for (const ValueInfo &info : model.graph.outputs) {
    ImportedValue value = lookup(info.name);
    if (!value)
      return emitError(module.getLoc())
             << "output '" << info.name << "' is never computed";
    if (value.sequence)
      return emitError(module.getLoc())
             << "output '" << info.name << "' is not a tensor";
    Value result = tensor(value);
    if (!result)
      return failure();
    auto type = cast<RankedTensorType>(result.getType());
    SmallVector<std::string> dimNames;
    for (int64_t axis = 0; axis < type.getRank(); ++axis) {
      if (!type.isDynamicDim(axis))
        dimNames.push_back(std::to_string(type.getDimSize(axis)));
      else if (info.type.hasShape &&
               axis < static_cast<int64_t>(info.type.dims.size()))
        dimNames.push_back(info.type.dims[axis].symbol.str());
      else
        dimNames.emplace_back();
    }
    SmallVector<StringRef> views(dimNames.begin(), dimNames.end());
    results.push_back(result);
    types.push_back(type);
    attributes.push_back(b.getDictionaryAttr(
        {b.getNamedAttr("tamis.name", b.getStringAttr(info.name)),
         b.getNamedAttr("tamis.dtype", b.getStringAttr(dtypeName(value.dtype))),
         b.getNamedAttr("tamis.dims", b.getStrArrayAttr(views))}));
  }
  func::ReturnOp::create(b, results);
  function.setFunctionType(FunctionType::get(
      b.getContext(), function.getFunctionType().getInputs(), types));
  for (auto [index, dictionary] : llvm::enumerate(attributes))
    function.setResultAttrs(index, dictionary);

  if (!model.metadata.empty()) {
    NamedAttrList entries;
    for (auto [key, value] : model.metadata)
      if (!key.empty())
        entries.set(key, b.getStringAttr(value));
    module->setAttr("tamis.metadata", entries.getDictionary(b.getContext()));
  }
  if (!model.producerName.empty())
    module->setAttr(
        "tamis.producer",
        b.getStringAttr(
            model.producerVersion.empty()
                ? model.producerName.str()
                : (model.producerName + " " + model.producerVersion).str()));
  dropScales();
  eraseUnused(module);
  return verify(module);
}
