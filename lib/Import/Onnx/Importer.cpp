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
    if (!type || !type.getElementType().isIntOrFloat())
      continue;
    unsigned bits = type.getElementTypeBitWidth();
    SmallVector<int64_t> known =
        llvm::filter_to_vector(type.getShape(), [](int64_t dim) {
          return !ShapedType::isDynamic(dim);
        });
    if (auto size = checkedElementCount(known, (bits + 7) / 8); !size)
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
