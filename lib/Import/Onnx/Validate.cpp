// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What must hold of a model's graphs before anything walks them: every name
// has one definition, definitions come before uses (graphs are sorted if need
// be, cycles refused), and functions do not call themselves.
#include "Files.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include <queue>

using namespace mlir::tamis::onnx;
using llvm::Error;
using llvm::SetVector;
using llvm::SmallVector;
using llvm::Twine;

namespace {

/// Calls within calls while inlining.
constexpr unsigned kMaxCallDepth = 64;

using Names = SetVector<StringRef>;

std::string describe(const Node &node) {
  return ("node '" + (node.name.empty() ? StringRef("?") : node.name) + "' (" +
          node.opType + ")")
      .str();
}

/// Sorts `graph` and its sub-graphs; `free` gets the names it takes from
/// outside.
Error sortGraph(Graph &graph, ArrayRef<StringRef> arguments, Names &free) {
  llvm::DenseMap<StringRef, int64_t> producers; // -1: there from the start
  for (StringRef name : arguments)
    producers[name] = -1;
  for (const ValueInfo &input : graph.inputs)
    if (!producers.insert({input.name, -1}).second)
      return makeError("two inputs are named '" + input.name + "'");
  llvm::DenseSet<StringRef> initializers;
  for (const Tensor &tensor : graph.initializers) {
    if (!initializers.insert(tensor.name).second)
      return makeError("two initializers are named '" + tensor.name + "'");
    producers[tensor.name] = -1;
  }
  for (auto [index, node] : llvm::enumerate(graph.nodes))
    for (StringRef name : node.outputs)
      if (!name.empty() &&
          !producers.insert({name, static_cast<int64_t>(index)}).second)
        return makeError(describe(node) + " defines '" + name +
                         "', which is defined already");

  size_t count = graph.nodes.size();
  std::vector<SmallVector<int64_t, 2>> users(count);
  std::vector<int64_t> pending(count, 0);
  bool sorted = true;
  for (int64_t index = 0; index < static_cast<int64_t>(count); ++index) {
    Node &node = graph.nodes[index];
    Names used;
    for (StringRef name : node.inputs)
      if (!name.empty())
        used.insert(name);
    for (Attribute &attribute : node.attributes)
      for (std::shared_ptr<Graph> &inner : attribute.graphs)
        if (Error error = sortGraph(*inner, {}, used))
          return error;
    for (StringRef name : used) {
      auto producer = producers.find(name);
      if (producer == producers.end()) {
        free.insert(name);
      } else if (producer->second >= 0) {
        sorted &= producer->second < index;
        users[producer->second].push_back(index);
        ++pending[index];
      }
    }
  }
  for (const ValueInfo &output : graph.outputs)
    if (!producers.contains(output.name))
      free.insert(output.name);
  if (sorted)
    return Error::success();

  std::priority_queue<int64_t, std::vector<int64_t>, std::greater<>> ready;
  for (size_t index = 0; index < count; ++index)
    if (pending[index] == 0)
      ready.push(index);
  std::vector<Node> order;
  order.reserve(count);
  while (!ready.empty()) {
    int64_t index = ready.top();
    ready.pop();
    order.push_back(std::move(graph.nodes[index]));
    for (int64_t user : users[index])
      if (--pending[user] == 0)
        ready.push(user);
  }
  if (order.size() != count) {
    for (size_t index = 0; index < count; ++index)
      if (pending[index] > 0)
        return makeError(describe(graph.nodes[index]) +
                         " is part of a cycle or follows one");
  }
  graph.nodes = std::move(order);
  return Error::success();
}

std::string functionKey(StringRef domain, StringRef name, StringRef overload) {
  return (domain + "\n" + name + "\n" + overload).str();
}

/// The functions called by `graph` and its sub-graphs.
void collectCalls(const Graph &graph,
                  const llvm::StringMap<unsigned> &functions,
                  SetVector<unsigned> &calls) {
  for (const Node &node : graph.nodes) {
    auto callee =
        functions.find(functionKey(node.domain, node.opType, node.overload));
    if (callee != functions.end())
      calls.insert(callee->second);
    for (const Attribute &attribute : node.attributes)
      for (const std::shared_ptr<Graph> &inner : attribute.graphs)
        collectCalls(*inner, functions, calls);
  }
}

/// Refuses recursion and calls nested too deeply.
Error checkCalls(const Model &model) {
  llvm::StringMap<unsigned> functions;
  for (auto [index, function] : llvm::enumerate(model.functions))
    if (!functions
             .try_emplace(
                 functionKey(function.domain, function.name, function.overload),
                 index)
             .second)
      return makeError("two functions are named '" + function.domain + "." +
                       function.name + "'");
  size_t count = model.functions.size();
  std::vector<SetVector<unsigned>> calls(count);
  std::vector<unsigned> callers(count, 0), depth(count, 1);
  for (size_t index = 0; index < count; ++index) {
    collectCalls(model.functions[index].body, functions, calls[index]);
    for (unsigned callee : calls[index])
      ++callers[callee];
  }
  SmallVector<unsigned> ready;
  for (size_t index = 0; index < count; ++index)
    if (callers[index] == 0)
      ready.push_back(index);
  size_t done = 0;
  while (!ready.empty()) {
    unsigned caller = ready.pop_back_val();
    ++done;
    for (unsigned callee : calls[caller]) {
      depth[callee] = std::max(depth[callee], depth[caller] + 1);
      if (depth[callee] > kMaxCallDepth)
        return makeError("function calls are nested more than " +
                         Twine(kMaxCallDepth) + " deep");
      if (--callers[callee] == 0)
        ready.push_back(callee);
    }
  }
  if (done != count)
    for (size_t index = 0; index < count; ++index)
      if (callers[index] > 0)
        return makeError("function '" + model.functions[index].domain + "." +
                         model.functions[index].name +
                         "' is part of a recursion or called by one");
  return Error::success();
}

} // namespace

Error mlir::tamis::onnx::validateModel(Model &model) {
  Names free;
  if (Error error = sortGraph(model.graph, {}, free))
    return error;
  if (!free.empty())
    return makeError("'" + free.front() + "' is used but nothing defines it");
  for (Function &function : model.functions) {
    free.clear();
    // The outputs of a function are names of its body.
    if (Error error = sortGraph(function.body, function.inputs, free))
      return error;
    if (!free.empty())
      return makeError("function '" + function.domain + "." + function.name +
                       "': '" + free.front() +
                       "' is used but nothing defines it");
  }
  return checkCalls(model);
}
