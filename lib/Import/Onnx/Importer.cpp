// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The walk: inputs become arguments of @main, nodes are imported in order,
// local functions are inlined, results are returned with their names.
#include "Importer.h"
#include "mlir/Dialect/Complex/IR/Complex.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "tamis/IR/Tamis.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/ScopeExit.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::onnx;

/// What later versions change cannot be known.
static constexpr int64_t kNewestOpset = 28;
/// Nodes that inlined calls may add up to.
static constexpr int64_t kInliningBudget = 100'000;

static std::string functionKey(StringRef domain, StringRef name,
                               StringRef overload) {
  return (domain + "\n" + name + "\n" + overload).str();
}

Importer::Importer(ModuleOp module, const Model &model,
                   const ImportOptions &options)
    : b(module.getLoc(), module.getContext()), shape(b), module(module),
      model(model), options(options) {
  registerFamilies(table);
  names.emplace_back();
  dimScopes.emplace_back();
  for (const Function &function : model.functions)
    functions[functionKey(function.domain, function.name, function.overload)] =
        &function;
}

//===-- names and errors --------------------------------------------------===//

std::string Importer::describe(const Node &node) {
  if (node.name.empty()) {
    StringRef output;
    for (StringRef name : node.outputs)
      if (output.empty())
        output = name;
    return ("node of '" + output + "' (" + node.opType + ")").str();
  }
  return ("node '" + node.name + "' (" + node.opType + ")").str();
}

InFlightDiagnostic Importer::error(const Node &node) {
  return emitError(NameLoc::get(b.getStringAttr(describe(node))));
}

ImportedValue Importer::lookup(StringRef name) const {
  for (const NameScope &scope : llvm::reverse(names)) {
    auto found = scope.values.find(name);
    if (found != scope.values.end())
      return found->second;
    if (scope.barrier)
      break;
  }
  return {};
}

const Function *Importer::findFunction(const Node &node) const {
  return functions.lookup(functionKey(node.domain, node.opType, node.overload));
}

int64_t Importer::opset(StringRef domain) const {
  auto find = [&](ArrayRef<OperatorSet> sets) -> int64_t {
    for (const OperatorSet &set : sets)
      if (set.domain == domain)
        return set.version;
    return 0;
  };
  if (!frames.empty())
    if (int64_t version = find(frames.back().function->operatorSets))
      return version;
  int64_t version = find(model.operatorSets);
  // Contributed domains are often used without being imported.
  return version ? version : 1;
}

int64_t Importer::opset(const Node &node) const { return opset(node.domain); }

//===-- operators that exist ----------------------------------------------===//

namespace {
struct Missing {
  int64_t count = 0;
  std::string firstNodes;
};
} // namespace

/// Reports every operator of the model that has no row, all at once.
LogicalResult Importer::checkOperators() {
  auto isKnown = [&](ArrayRef<OperatorSet> sets) -> LogicalResult {
    for (const OperatorSet &set : sets)
      if (set.domain.empty() && set.version > kNewestOpset)
        return emitError(module.getLoc())
               << "operator set " << set.version << " is newer than "
               << kNewestOpset << ", the newest one known";
    return success();
  };
  if (failed(isKnown(model.operatorSets)))
    return failure();
  for (const Function &function : model.functions)
    if (failed(isKnown(function.operatorSets)))
      return failure();
  llvm::MapVector<std::string, Missing, llvm::StringMap<unsigned>> missing;
  auto check = [&](auto &self, const Graph &graph) -> void {
    for (const Node &node : graph.nodes) {
      for (const onnx::Attribute &attribute : node.attributes)
        for (const std::shared_ptr<Graph> &inner : attribute.graphs)
          self(self, *inner);
      if (findFunction(node) ||
          table.find(node.domain, node.opType, opset(node)))
        continue;
      std::string name =
          (node.domain.empty() ? node.opType : node.domain + "." + node.opType)
              .str();
      Missing &entry = missing[name];
      if (entry.count++ < 3)
        entry.firstNodes +=
            (entry.firstNodes.empty() ? "'" : ", '") +
            (node.name.empty() && !node.outputs.empty() ? node.outputs.front()
                                                        : node.name)
                .str() +
            "'";
    }
  };
  check(check, model.graph);
  for (const Function &function : model.functions) {
    frames.push_back({nullptr, &function});
    check(check, function.body);
    frames.pop_back();
  }
  if (missing.empty())
    return success();
  InFlightDiagnostic diagnostic = emitError(module.getLoc())
                                  << "unsupported operators:";
  for (auto &[name, entry] : missing) {
    diagnostic << " " << name << " (" << entry.count
               << (entry.count == 1 ? " node: " : " nodes: ")
               << entry.firstNodes << (entry.count > 3 ? ", …)" : ")");
  }
  return diagnostic;
}

//===-- inputs and outputs ------------------------------------------------===//

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
    if (op != module && (isOpTriviallyDead(op) ||
                         (isa<ObserveOp>(op) && op->use_empty())))
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
  return from && to && from->value == to->value &&
         from->symbol == to->symbol && (from->value || !from->symbol.empty());
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

LogicalResult Importer::run() {
  if (failed(checkOperators()) || failed(defineInputs()) ||
      failed(importNodes(model.graph.nodes)))
    return failure();
  return finish();
}

//===-- nodes -------------------------------------------------------------===//

bool Importer::has(const Node &node, size_t index) const {
  return index < node.inputs.size() && !node.inputs[index].empty() &&
         static_cast<bool>(lookup(node.inputs[index]));
}

ImportedValue Importer::in(const Node &node, size_t index) {
  if (index >= node.inputs.size() || node.inputs[index].empty())
    return {};
  return lookup(node.inputs[index]);
}

LogicalResult Importer::out(const Node &node, size_t index,
                            ImportedValue value) {
  if (!wants(node, index))
    return success();
  if (!value)
    return failure(); // whoever built it has reported
  names.back().values[node.outputs[index]] = std::move(value);
  return success();
}

LogicalResult Importer::out(const Node &node, size_t index, Value value,
                            DType dtype) {
  ImportedValue result;
  result.value = value;
  result.dtype = dtype;
  return out(node, index, result);
}

LogicalResult Importer::importNodes(const std::vector<Node> &nodes) {
  for (const Node &node : nodes) {
    Location outer = b.getLoc();
    b.setLoc(NameLoc::get(b.getStringAttr(describe(node))));
    LogicalResult result = importNode(node);
    if (options.observe && succeeded(result) && names.size() == 1)
      for (StringRef name : node.outputs)
        observe(name);
    b.setLoc(outer);
    if (failed(result) || hadError)
      return failure();
  }
  return success();
}

LogicalResult Importer::importNode(const Node &node) {
  for (StringRef name : node.inputs)
    if (!name.empty() && !lookup(name) && frames.empty())
      return error(node) << "input '" << name << "' is not defined here";
  if (const Function *function = findFunction(node))
    return inlineCall(node, *function);
  const OpRow *row = table.find(node.domain, node.opType, opset(node));
  if (!row)
    return error(node) << "unsupported operator";
  int count = node.inputs.size();
  if (count < row->inputs.min ||
      (row->inputs.max >= 0 && count > row->inputs.max))
    return error(node) << "expected "
                       << (row->inputs.max < 0 ? "at least " : "")
                       << row->inputs.min
                       << (row->inputs.max > row->inputs.min
                               ? (" to " + Twine(row->inputs.max)).str()
                               : std::string())
                       << " inputs, got " << count;
  for (int index = 0; index < count; ++index) {
    ImportedValue value = in(node, index);
    if (!value && index < row->inputs.min)
      return error(node) << "input " << index << " is required";
    if (value.sequence && !row->sequences)
      return error(node) << "input " << index
                         << " is a sequence, expected a tensor";
  }
  FailureOr<bool> folded = foldShapes(node);
  if (failed(folded) || (!*folded && failed(row->import(*this, node))))
    return failure();
  for (StringRef name : node.outputs) {
    Value value = lookup(name).value;
    auto type = value ? dyn_cast<RankedTensorType>(value.getType())
                      : RankedTensorType();
    if (!type || !type.hasStaticShape() ||
        !type.getElementType().isIntOrFloat())
      continue;
    unsigned bits = type.getElementTypeBitWidth();
    if (auto size = checkedElementCount(type.getShape(), (bits + 7) / 8); !size)
      return error(node) << "output '" << name
                         << "': " << llvm::toString(size.takeError());
  }
  return success();
}

LogicalResult Importer::inlineCall(const Node &node, const Function &function) {
  inlined += function.body.nodes.size();
  if (inlined > kInliningBudget)
    return error(node) << "inlined functions have more than " << kInliningBudget
                       << " nodes";
  if (node.inputs.size() > function.inputs.size() ||
      node.outputs.size() > function.outputs.size())
    return error(node) << "expected at most " << function.inputs.size()
                       << " inputs and " << function.outputs.size()
                       << " outputs, got " << node.inputs.size() << " and "
                       << node.outputs.size();
  NameScope scope;
  scope.barrier = true;
  for (auto [index, name] : llvm::enumerate(function.inputs))
    if (ImportedValue value = in(node, index))
      scope.values[name] = value;
  names.push_back(std::move(scope));
  frames.push_back({&node, &function});
  LogicalResult result = importNodes(function.body.nodes);
  frames.pop_back();
  NameScope body = names.pop_back_val();
  if (failed(result))
    return failure();
  for (auto [index, name] : llvm::enumerate(function.outputs)) {
    if (!wants(node, index))
      continue;
    auto found = body.values.find(name);
    if (found == body.values.end())
      return error(node) << "function output '" << name
                         << "' is never computed";
    if (failed(out(node, index, found->second)))
      return failure();
  }
  return success();
}

LogicalResult Importer::subgraph(const Node &node, const Graph &graph,
                                 ArrayRef<ImportedValue> inputs,
                                 SmallVectorImpl<ImportedValue> &outputs) {
  if (inputs.size() != graph.inputs.size())
    return error(node) << "the body expects " << graph.inputs.size()
                       << " inputs, got " << inputs.size();
  names.emplace_back();
  auto leave = llvm::scope_exit([&] { names.pop_back(); });
  for (const Tensor &tensor : graph.initializers) {
    std::shared_ptr<const Tensor> view(std::shared_ptr<void>(), &tensor);
    names.back().values[tensor.name] = constantValue(view);
  }
  for (auto [info, value] : llvm::zip(graph.inputs, inputs))
    names.back().values[info.name] = value;
  if (failed(importNodes(graph.nodes)))
    return failure();
  for (const ValueInfo &info : graph.outputs) {
    ImportedValue value = lookup(info.name);
    if (!value)
      return error(node) << "the body never computes its output '" << info.name
                         << "'";
    outputs.push_back(value);
  }
  return success();
}

void Importer::enterRegion() {
  shape.pushScope();
  dimScopes.emplace_back();
}

void Importer::leaveRegion() {
  shape.popScope();
  dimScopes.pop_back();
}

//===-- entry points ------------------------------------------------------===//

bool mlir::tamis::parseDimBinding(StringRef text, DimBinding &binding) {
  auto [low, high] = text.split(':');
  if (low.getAsInteger(10, binding.min) || binding.min < 0)
    return false;
  if (!text.contains(':')) {
    binding.max = binding.min;
    return true;
  }
  return !high.getAsInteger(10, binding.max) && binding.max >= binding.min;
}

static OwningOpRef<ModuleOp>
importModel(MLIRContext &context, Location location,
            llvm::Expected<std::unique_ptr<Model>> model,
            const ImportOptions &options) {
  if (!model) {
    emitError(location) << llvm::toString(model.takeError());
    return nullptr;
  }
  context.loadDialect<TamisDialect, kernel::TamisKernelDialect,
                      arith::ArithDialect, complex::ComplexDialect,
                      func::FuncDialect, linalg::LinalgDialect,
                      math::MathDialect, ml_program::MLProgramDialect,
                      scf::SCFDialect, tensor::TensorDialect>();
  OwningOpRef<ModuleOp> module = ModuleOp::create(location);
  Importer importer(*module, **model, options);
  if (failed(importer.run()))
    return nullptr;
  return module;
}

OwningOpRef<ModuleOp> mlir::tamis::importOnnx(MLIRContext &context,
                                              StringRef path,
                                              const ImportOptions &options) {
  ReadOptions read{/*folder=*/"", options.allowExternal};
  return importModel(context, NameLoc::get(StringAttr::get(&context, path)),
                     readModel(path, read), options);
}

OwningOpRef<ModuleOp> mlir::tamis::importOnnx(MLIRContext &context,
                                              ArrayRef<char> bytes,
                                              std::shared_ptr<const void> owner,
                                              const ImportOptions &options) {
  ReadOptions read{options.folder, options.allowExternal};
  return importModel(context, NameLoc::get(StringAttr::get(&context, "model")),
                     readModel(bytes, std::move(owner), read), options);
}
