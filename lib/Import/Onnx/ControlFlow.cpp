// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// If, Loop and Scan. What is known at import disappears: a branch whose
// condition is known, values a loop only hands on, the condition of a loop
// that never ends early. The rest becomes scf.if, and loops by LoopBuilder.
#include "LoopBuilder.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::tamis::onnx;

namespace {

/// Loops over sequences have no form at run time and are unrolled up to this.
constexpr int64_t kUnrolledSteps = 1024;

//===-- If ----------------------------------------------------------------===//

/// One result of one branch: tensors of a list, or of one value.
struct BranchResult {
  ImportedValue whole;
  SmallVector<ImportedValue> items;
  SmallVector<Value> tensors;
  SmallVector<SmallVector<AffineExpr>> forms; // of their sizes
  SmallVector<SmallVector<Value>> indices;    // elements of integer shadows
};

struct Branch {
  Region region;
  SmallVector<BranchResult, 0> results;
};

/// An integer shadow small enough to be handed on as index values.
bool isIndexList(const ImportedValue &value) {
  return value.shadow && isInteger(value.dtype) &&
         value.shadow->elements.size() <= 16;
}

LogicalResult buildBranch(Importer &im, const Node &node, StringRef name,
                          Branch &branch) {
  std::shared_ptr<const Graph> graph = im.getGraph(node, name);
  if (!graph)
    return failure();
  Block *block = im.b.createBlock(&branch.region);
  im.b.setInsertionPointToEnd(block);
  im.enterRegion();
  SmallVector<ImportedValue> outputs;
  LogicalResult built = im.subgraph(node, *graph, {}, outputs);
  if (succeeded(built))
    for (ImportedValue &output : outputs) {
      BranchResult result;
      result.whole = output;
      if (output.sequence)
        result.items.assign(output.sequence->begin(), output.sequence->end());
      else
        result.items.push_back(output);
      for (ImportedValue &item : result.items) {
        if (item.sequence) {
          built = im.error(node) << "branches with nested sequences are not "
                                    "supported";
          break;
        }
        Value tensor = im.tensor(item);
        if (!tensor) {
          built = failure();
          break;
        }
        result.tensors.push_back(tensor);
        auto &forms = result.forms.emplace_back();
        for (OpFoldResult size : im.dims(tensor))
          forms.push_back(im.shape.form(size));
        auto &indices = result.indices.emplace_back();
        if (isIndexList(item))
          for (OpFoldResult element : item.shadow->elements)
            indices.push_back(im.shape.value(element));
      }
      branch.results.push_back(std::move(result));
    }
  im.leaveRegion();
  return built;
}

/// A value that scf.if yields, and how it becomes (part of) a result.
struct Yielded {
  Value values[2];
  Type type;
};

constexpr StringRef kBranches[] = {"then_branch", "else_branch"};

/// The branch in place, without a condition.
LogicalResult buildInline(Importer &im, const Node &node, int side) {
  std::shared_ptr<const Graph> graph = im.getGraph(node, kBranches[side]);
  SmallVector<ImportedValue> outputs;
  if (!graph || failed(im.subgraph(node, *graph, {}, outputs)))
    return failure();
  if (node.outputs.size() > outputs.size())
    return im.error(node) << "the branch has " << outputs.size()
                          << " results, the node " << node.outputs.size();
  for (size_t i = 0; i < node.outputs.size(); ++i)
    if (failed(im.out(node, i, outputs[i])))
      return failure();
  return success();
}

/// Only one branch can be built: it is taken, and a run that would take the
/// other one fails.
LogicalResult assumeBranch(Importer &im, const Node &node, Value condition,
                           int side, StringRef reason) {
  emitRemark(im.b.getLoc())
      << "a run that takes the " << kBranches[1 - side] << " fails: " << reason;
  Value expected = condition;
  if (side == 1)
    expected = arith::XOrIOp::create(
        im.b, condition, Importer::constantInt(im.b, im.b.getI1Type(), 1));
  im.check(expected, TAMIS_FAULT_SHAPE);
  return buildInline(im, node, side);
}

/// Values of one element each whose ranks differ become scalars.
void dropUnitRanks(Importer &im, Branch (&branches)[2]) {
  size_t count =
      std::min(branches[0].results.size(), branches[1].results.size());
  for (size_t i = 0; i < count; ++i) {
    BranchResult *sides[] = {&branches[0].results[i], &branches[1].results[i]};
    size_t items = std::min(sides[0]->tensors.size(), sides[1]->tensors.size());
    for (size_t k = 0; k < items; ++k) {
      RankedTensorType left = tensorTypeOf(sides[0]->tensors[k]);
      RankedTensorType right = tensorTypeOf(sides[1]->tensors[k]);
      auto isOne = [](RankedTensorType type) {
        return type.hasStaticShape() && type.getNumElements() == 1;
      };
      if (left.getRank() == right.getRank() || !isOne(left) || !isOne(right))
        continue;
      for (int side = 0; side < 2; ++side) {
        OpBuilder::InsertionGuard guard(im.b);
        im.b.setInsertionPointToEnd(&branches[side].region.front());
        im.enterRegion();
        Value &tensor = sides[side]->tensors[k];
        tensor = im.reshape(tensor, {});
        im.leaveRegion();
        sides[side]->forms[k].clear();
        sides[side]->indices[k].clear();
      }
    }
  }
}

/// True if two results have no common type but their rank's.
bool ranksDiffer(const Branch (&branches)[2]) {
  for (auto [left, right] : llvm::zip(branches[0].results, branches[1].results))
    for (auto [a, c] : llvm::zip(left.tensors, right.tensors))
      if (rankOf(a) != rankOf(c))
        return true;
  return false;
}

/// Both branches at run time. `isShape`: the condition looks at sizes only.
LogicalResult buildIf(Importer &im, const Node &node, Value condition,
                      bool isShape) {
  Branch branches[2];
  std::string errors[2];
  for (int i = 0; i < 2; ++i) {
    OpBuilder::InsertionGuard guard(im.b);
    ScopedDiagnosticHandler handler(
        im.b.getContext(), [&](Diagnostic &diagnostic) {
          if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
            return failure();
          if (errors[i].empty())
            llvm::raw_string_ostream(errors[i])
                << diagnostic.getLocation() << ": " << diagnostic.str();
          return success();
        });
    if (succeeded(buildBranch(im, node, kBranches[i], branches[i])))
      errors[i].clear();
    else if (errors[i].empty())
      errors[i] = "it cannot be imported";
    im.forgetError();
  }
  if (!errors[0].empty() && !errors[1].empty())
    return im.error(node) << "neither branch can be imported: " << errors[0]
                          << "; " << errors[1];
  for (int side = 0; side < 2; ++side)
    if (!errors[1 - side].empty())
      return assumeBranch(im, node, condition, side, errors[1 - side]);
  dropUnitRanks(im, branches);
  // "If the dimension is 1, squeeze it": exporters mean the squeezed rank.
  if (isShape && ranksDiffer(branches))
    return assumeBranch(im, node, condition, 0,
                        "its result has another rank, and sizes decide");
  size_t count = branches[0].results.size();
  if (branches[1].results.size() != count || node.outputs.size() > count)
    return im.error(node) << "the branches have " << count << " and "
                          << branches[1].results.size() << " results, the node "
                          << node.outputs.size();
  SmallVector<Yielded> yielded;
  for (size_t i = 0; i < count; ++i) {
    BranchResult &left = branches[0].results[i];
    BranchResult &right = branches[1].results[i];
    auto differ = [&](const Twine &what) {
      return im.error(node)
             << "the branches give different " << what << " for output " << i;
    };
    if (!!left.whole.sequence != !!right.whole.sequence ||
        left.items.size() != right.items.size())
      return differ("kinds of values");
    for (size_t k = 0; k < left.items.size(); ++k) {
      if (left.items[k].dtype != right.items[k].dtype)
        return differ("element types");
      RankedTensorType types[] = {tensorTypeOf(left.tensors[k]),
                                  tensorTypeOf(right.tensors[k])};
      if (types[0].getRank() != types[1].getRank())
        return differ("ranks");
      SmallVector<int64_t> shape(types[0].getShape());
      for (auto [size, other] : llvm::zip(shape, types[1].getShape()))
        if (size != other)
          size = ShapedType::kDynamic;
      yielded.push_back(
          {{left.tensors[k], right.tensors[k]}, types[0].clone(shape)});
      if (!left.indices[k].empty() && types[0] == types[1] &&
          left.indices[k].size() == right.indices[k].size())
        for (auto [a, c] : llvm::zip(left.indices[k], right.indices[k]))
          yielded.push_back({{a, c}, im.b.getIndexType()});
    }
  }

  SmallVector<Type> types;
  for (const Yielded &value : yielded)
    types.push_back(value.type);
  auto op = scf::IfOp::create(im.b, types, condition, /*addThenBlock=*/false,
                              /*addElseBlock=*/false);
  for (int side = 0; side < 2; ++side) {
    OpBuilder::InsertionGuard guard(im.b);
    im.b.setInsertionPointToEnd(&branches[side].region.front());
    SmallVector<Value> results;
    for (const Yielded &value : yielded) {
      Value result = value.values[side];
      if (result.getType() != value.type)
        result = tensor::CastOp::create(im.b, value.type, result);
      results.push_back(result);
    }
    scf::YieldOp::create(im.b, results);
    Region &target = side == 0 ? op.getThenRegion() : op.getElseRegion();
    target.takeBody(branches[side].region);
  }

  unsigned next = 0;
  OpFoldResult bit = OpFoldResult(
      arith::IndexCastUIOp::create(im.b, im.b.getIndexType(), condition)
          .getResult());
  im.shape.symbol(cast<Value>(bit), 0, 1);
  for (size_t i = 0; i < count; ++i) {
    BranchResult &left = branches[0].results[i];
    BranchResult &right = branches[1].results[i];
    std::vector<ImportedValue> items;
    for (size_t k = 0; k < left.items.size(); ++k) {
      Value tensor = op.getResult(next++);
      RankedTensorType type = tensorTypeOf(tensor);
      Sizes sizes = im.dims(tensor);
      for (int64_t axis = 0; axis < type.getRank(); ++axis) {
        AffineExpr a = left.forms[k][axis], c = right.forms[k][axis];
        if (type.isDynamicDim(axis) &&
            im.shape.isDefinedOutside(a, op.getThenRegion()) &&
            im.shape.isDefinedOutside(c, op.getElseRegion()))
          sizes[axis] =
              im.shape.select(bit, im.shape.size(a), im.shape.size(c));
      }
      im.setDims(tensor, sizes);
      ImportedValue item;
      item.value = tensor;
      item.dtype = left.items[k].dtype;
      if (next < yielded.size() && yielded[next].type.isIndex()) {
        Shadow shadow;
        shadow.dims.assign(type.getShape().begin(), type.getShape().end());
        for (size_t e = 0; e < left.indices[k].size(); ++e)
          shadow.elements.push_back(
              im.shape.symbol(op.getResult(next++), INT64_MIN, INT64_MAX));
        item = im.shadowValue(item.dtype, std::move(shadow));
      }
      items.push_back(item);
    }
    ImportedValue whole = left.whole;
    if (whole.sequence)
      whole.sequence =
          std::make_shared<const std::vector<ImportedValue>>(std::move(items));
    else
      whole = items.front();
    if (failed(im.out(node, i, whole)))
      return failure();
  }
  return success();
}

LogicalResult importIf(Importer &im, const Node &node) {
  ImportedValue condition = im.in(node, 0);
  if (condition.dtype != DType::Bool)
    return im.error(node) << "the condition must be bool, got "
                          << dtypeName(condition.dtype);
  if (auto known = im.constantInts(condition, 1); known && known->size() == 1)
    return buildInline(im, node, known->front() ? 0 : 1);
  Value bit = im.scalar(condition);
  return bit ? buildIf(im, node, bit, condition.shadow != nullptr) : failure();
}

//===-- Loop --------------------------------------------------------------===//

/// The name a body output really is, through Identity nodes.
StringRef resolveIdentity(const Graph &graph, StringRef name) {
  for (const Node &node : llvm::reverse(graph.nodes))
    if (node.opType == "Identity" && node.domain.empty() &&
        node.outputs.size() == 1 && node.inputs.size() == 1 &&
        node.outputs.front() == name)
      name = node.inputs.front();
  return name;
}

/// True if a node of `graph`, or of a graph inside, reads `name`.
bool reads(const Graph &graph, StringRef name) {
  for (const Node &node : graph.nodes) {
    if (llvm::is_contained(node.inputs, name))
      return true;
    for (const tamis::onnx::Attribute &attribute : node.attributes)
      for (const std::shared_ptr<Graph> &inner : attribute.graphs)
        if (reads(*inner, name) ||
            llvm::any_of(inner->outputs, [&](const ValueInfo &output) {
              return output.name == name;
            }))
          return true;
  }
  return false;
}

/// A loop whose steps are all built one after the other.
LogicalResult unrollLoop(Importer &im, const Node &node, const Graph &body,
                         int64_t steps, SmallVector<ImportedValue> carried) {
  size_t states = carried.size(), scans = body.outputs.size() - 1 - states;
  SmallVector<SmallVector<ImportedValue>> collected(scans);
  for (int64_t step = 0; step < steps; ++step) {
    SmallVector<ImportedValue> inputs, outputs;
    inputs.push_back(im.shadowValue(DType::Int64, {{}, {im.shape.attr(step)}}));
    inputs.push_back(im.shadowValue(DType::Bool, {{}, {im.shape.attr(1)}}));
    llvm::append_range(inputs, carried);
    if (failed(im.subgraph(node, body, inputs, outputs)))
      return failure();
    carried.assign(outputs.begin() + 1, outputs.begin() + 1 + states);
    for (size_t i = 0; i < scans; ++i)
      collected[i].push_back(outputs[1 + states + i]);
    auto goesOn = im.constantInts(outputs.front(), 1);
    if (!goesOn || goesOn->size() != 1)
      return im.error(node) << "a loop that carries sequences must have a "
                               "condition known at compile time";
    if (!goesOn->front())
      break;
  }
  for (size_t i = 0; i < states; ++i)
    if (failed(im.out(node, i, carried[i])))
      return failure();
  for (size_t i = 0; i < scans; ++i) {
    if (!Importer::wants(node, states + i))
      continue;
    SmallVector<Value> rows;
    DType dtype = DType::Undefined;
    for (const ImportedValue &row : collected[i]) {
      Value tensor = im.tensor(row);
      if (!tensor)
        return failure();
      Sizes sizes = im.dims(tensor);
      sizes.insert(sizes.begin(), im.shape.attr(1));
      rows.push_back(im.reshape(tensor, sizes));
      dtype = row.dtype;
    }
    if (rows.empty())
      return im.error(node) << "a scan output of no steps has no shape";
    Value all = im.concat(node, rows, 0);
    if (!all || failed(im.out(node, states + i, all, dtype)))
      return failure();
  }
  return success();
}

LogicalResult importLoop(Importer &im, const Node &node) {
  std::shared_ptr<const Graph> body = im.getGraph(node, "body");
  if (!body)
    return failure();
  size_t states = node.inputs.size() < 2 ? 0 : node.inputs.size() - 2;
  if (body->inputs.size() != 2 + states || body->outputs.size() < 1 + states)
    return im.error(node) << "the body has " << body->inputs.size()
                          << " inputs and " << body->outputs.size()
                          << " outputs, the loop carries " << states;
  if (node.outputs.size() > body->outputs.size() - 1)
    return im.error(node) << "expected at most " << body->outputs.size() - 1
                          << " outputs, got " << node.outputs.size();
  SmallVector<ImportedValue> initial;
  bool carriesSequence = false;
  for (size_t i = 0; i < states; ++i) {
    initial.push_back(im.in(node, 2 + i));
    if (!initial.back())
      return im.error(node) << "input " << 2 + i << " is required";
    carriesSequence |= !!initial.back().sequence;
  }
  LoopBuilder loop(im, node, *body);
  std::optional<int64_t> trips;
  if (im.has(node, 0)) {
    auto count = im.indices(node, 0);
    if (failed(count))
      return failure();
    if (count->size() != 1)
      return im.error(node)
             << "the trip count must be one number, got " << count->size();
    trips = ShapeMath::constant(count->front());
    // Loops that end by their condition alone have a huge count.
    if (!trips || *trips < (int64_t(1) << 40))
      loop.trips = im.shape.max(count->front(), im.shape.attr(0));
  }
  bool enters = true;
  if (im.has(node, 1)) {
    ImportedValue condition = im.in(node, 1);
    auto known = im.constantInts(condition, 1);
    if (known && known->size() == 1)
      enters = known->front() != 0;
    else if (!(loop.condition = im.scalar(condition)))
      return failure();
  }
  if (!enters)
    loop.trips = im.shape.attr(0);
  if (carriesSequence) {
    if (loop.condition || (enters && (!trips || *trips > kUnrolledSteps)))
      return im.error(node) << "a loop that carries sequences must have a trip "
                               "count known at compile time, at most "
                            << kUnrolledSteps;
    return unrollLoop(im, node, *body, enters ? *trips : 0, initial);
  }

  for (size_t i = 0; i < states; ++i) {
    StringRef input = body->inputs[2 + i].name;
    StringRef result = resolveIdentity(*body, body->outputs[1 + i].name);
    LoopState state;
    state.initial = initial[i];
    state.isRead = reads(*body, input);
    state.isInvariant = result == input;
    loop.states.push_back(state);
  }
  loop.scanOutputs = body->outputs.size() - 1 - states;
  loop.makeInputs = [&](OpFoldResult step, ArrayRef<ImportedValue> carried) {
    SmallVector<ImportedValue> inputs;
    inputs.push_back(im.shadowValue(DType::Int64, {{}, {step}}));
    // The body only runs where its condition holds.
    inputs.push_back(im.shadowValue(DType::Bool, {{}, {im.shape.attr(1)}}));
    llvm::append_range(inputs, carried);
    return inputs;
  };
  loop.hasCondition = true;
  return loop.run();
}

//===-- Scan --------------------------------------------------------------===//

LogicalResult importScan(Importer &im, const Node &node) {
  std::shared_ptr<const Graph> body = im.getGraph(node, "body");
  if (!body)
    return failure();
  int64_t scans = im.getInt(node, "num_scan_inputs", 0);
  int64_t states = static_cast<int64_t>(node.inputs.size()) - scans;
  if (scans < 1 || states < 0 || body->inputs.size() != node.inputs.size() ||
      static_cast<int64_t>(body->outputs.size()) < states)
    return im.error(node) << "num_scan_inputs " << scans << " does not fit "
                          << node.inputs.size() << " inputs";
  int64_t collected = static_cast<int64_t>(body->outputs.size()) - states;
  SmallVector<int64_t> noScans(scans, 0), noOutputs(collected, 0);
  auto inputAxes = im.getInts(node, "scan_input_axes", noScans);
  auto inputDirections = im.getInts(node, "scan_input_directions", noScans);
  auto outputAxes = im.getInts(node, "scan_output_axes", noOutputs);
  auto outputDirections = im.getInts(node, "scan_output_directions", noOutputs);
  if (inputAxes.size() != noScans.size() ||
      inputDirections.size() != noScans.size() ||
      outputAxes.size() != noOutputs.size() ||
      outputDirections.size() != noOutputs.size())
    return im.error(node) << "axes and directions must be given for each scan "
                             "input and output";
  LoopBuilder loop(im, node, *body);
  for (int64_t i = 0; i < states; ++i) {
    LoopState state;
    state.initial = im.in(node, i);
    state.isRead = reads(*body, body->inputs[i].name);
    state.isInvariant =
        resolveIdentity(*body, body->outputs[i].name) == body->inputs[i].name;
    loop.states.push_back(state);
  }
  struct Scanned {
    Value tensor;
    DType dtype;
    int64_t axis;
    bool reverse;
  };
  SmallVector<Scanned> scanned;
  OpFoldResult trips;
  for (int64_t i = 0; i < scans; ++i) {
    ImportedValue input = im.in(node, states + i);
    Value tensor = im.tensor(input);
    if (!tensor)
      return failure();
    auto axis = im.axis(node, inputAxes[i], rankOf(tensor));
    if (failed(axis))
      return failure();
    OpFoldResult length = im.dim(tensor, *axis);
    if (trips && failed(im.requireEqual(node, trips, length, "scanned axes")))
      return failure();
    trips = length;
    scanned.push_back({tensor, input.dtype, *axis, inputDirections[i] != 0});
  }
  loop.trips = trips;
  loop.scanOutputs = collected;
  loop.makeInputs = [&](OpFoldResult step, ArrayRef<ImportedValue> carried) {
    SmallVector<ImportedValue> inputs(carried);
    for (const Scanned &input : scanned) {
      OpFoldResult at = step;
      if (input.reverse)
        at = im.shape.sub(im.shape.sub(trips, im.shape.attr(1)), step);
      Value slice = im.sliceDim(input.tensor, input.axis, at, im.shape.attr(1));
      ImportedValue value;
      value.value = im.dropDims(slice, {input.axis});
      value.dtype = input.dtype;
      inputs.push_back(value);
    }
    return inputs;
  };
  loop.scanAxes.assign(outputAxes.begin(), outputAxes.end());
  loop.scanReversed.assign(outputDirections.begin(), outputDirections.end());
  return loop.run();
}

} // namespace

void mlir::tamis::onnx::registerControlFlow(OpTable &table) {
  table.add({"", "If", 1, {1, 1}, importIf});
  table.add({"", "Loop", 1, {0, -1}, importLoop, /*sequences=*/true});
  table.add({"", "Scan", 9, {1, -1}, importScan});
}
