// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Importing a loop body until its types stand, then scf.for where the trip
// count decides and scf.while where the data does.
#include "LoopBuilder.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/ScopeExit.h"

namespace mlir::tamis::onnx {

/// Integers carried as index values, so that sizes made of them are known to
/// be equal where they are.
constexpr int64_t kCarriedIndices = 4;

LogicalResult LoopBuilder::prepareStates() {
  for (auto [i, state] : llvm::enumerate(states)) {
    if (state.isInvariant)
      continue;
    if (state.initial.sequence)
      return im.error(node)
             << "carried value " << i << " is a sequence, expected a tensor";
    state.tensor = im.tensor(state.initial);
    if (!state.tensor)
      return failure();
    RankedTensorType type = tensorTypeOf(state.tensor);
    state.varies.assign(type.getRank(), false);
    DType dtype = state.initial.dtype;
    state.asIndices = (dtype == DType::Int64 || dtype == DType::Int32) &&
                      type.hasStaticShape() && type.getRank() <= 1 &&
                      type.getNumElements() <= kCarriedIndices;
    (void)im.dims(state.tensor); // known outside of the region
  }
  return success();
}

/// The type of a carried tensor: static where it is and stays known.
static RankedTensorType carriedType(Importer &im, const LoopState &state) {
  Sizes sizes = im.dims(state.tensor);
  RankedTensorType type = im.tensorType(sizes, elementOf(state.tensor));
  SmallVector<int64_t> shape(type.getShape());
  for (auto [size, varies] : llvm::zip(shape, state.varies))
    if (varies)
      size = ShapedType::kDynamic;
  return type.clone(shape);
}

ImportedValue LoopBuilder::argumentOf(LoopState &state, Block *block) {
  if (state.isInvariant || state.isPlaceholder)
    return state.initial;
  Location loc = im.b.getLoc();
  DType dtype = state.initial.dtype;
  if (state.asIndices) {
    RankedTensorType type = tensorTypeOf(state.tensor);
    Shadow shadow;
    shadow.dims.assign(type.getShape().begin(), type.getShape().end());
    for (int64_t i = 0; i < type.getNumElements(); ++i)
      shadow.elements.push_back(im.shape.symbol(
          block->addArgument(im.b.getIndexType(), loc), INT64_MIN, INT64_MAX));
    return im.shadowValue(dtype, std::move(shadow));
  }
  ImportedValue value;
  value.value = block->addArgument(carriedType(im, state), loc);
  value.dtype = dtype;
  Sizes sizes = im.dims(state.tensor);
  for (auto [i, varies] : llvm::enumerate(state.varies))
    if (varies)
      sizes[i] = im.dim(value.value, i);
  im.setDims(value.value, sizes);
  return value;
}

/// Appends what the state yields; true if its type has to change first.
FailureOr<bool> LoopBuilder::stateResult(size_t index,
                                         const ImportedValue &result) {
  LoopState &state = states[index];
  if (state.isInvariant)
    return false;
  if (state.isPlaceholder) {
    if (Importer::wants(node, index) && failed(addScan(result, index)))
      return failure();
    return false;
  }
  if (result.sequence || result.dtype != state.initial.dtype)
    return im.error(node) << "a carried value is "
                          << dtypeName(state.initial.dtype)
                          << " before the loop and "
                          << (result.sequence ? StringRef("a sequence")
                                              : dtypeName(result.dtype))
                          << " after an iteration";
  RankedTensorType type = im.type(result);
  if (!type)
    return failure();
  if (state.asIndices) {
    if (type.getShape() != tensorTypeOf(state.tensor).getShape()) {
      state.asIndices = false;
      return true;
    }
    auto elements = im.indices(node, result);
    if (failed(elements))
      return failure();
    for (OpFoldResult element : *elements)
      yields.push_back(im.shape.value(element));
    return false;
  }
  int64_t rank = rankOf(state.tensor);
  // One element may change between a scalar and a vector of one.
  RankedTensorType before = tensorTypeOf(state.tensor);
  bool isOne = type.hasStaticShape() && before.hasStaticShape() &&
               type.getNumElements() == 1 && before.getNumElements() == 1;
  if (type.getRank() != rank && !isOne) {
    // A result nobody can have read yet may begin as a placeholder.
    if (!state.isRead) {
      state.isPlaceholder = true;
      return true;
    }
    return im.error(node) << "a carried value has rank " << rank
                          << " before the loop and " << type.getRank()
                          << " after an iteration";
  }
  Value value = im.tensor(result);
  if (!value)
    return failure();
  if (isOne)
    value = im.reshape(value, im.dims(state.tensor));
  bool changed = false;
  for (int64_t i = 0; i < rank; ++i)
    if (!state.varies[i] &&
        !im.shape.equal(im.dim(value, i), im.dim(state.tensor, i)))
      changed = state.varies[i] = true;
  if (!changed)
    yields.push_back(castTensor(im, value, carriedType(im, state)));
  return changed;
}

FailureOr<bool> LoopBuilder::attempt() {
  region = std::make_unique<Region>();
  yields.clear();
  scans.clear();
  goesOn = nullptr;
  OpBuilder::InsertionGuard guard(im.b);
  Block *block = im.b.createBlock(region.get());
  Value step = block->addArgument(im.b.getIndexType(), im.b.getLoc());
  im.enterRegion();
  auto leave = llvm::scope_exit([&] { im.leaveRegion(); });
  OpFoldResult position = im.shape.symbol(step, 0, INT64_MAX);
  SmallVector<ImportedValue> carried, outputs;
  for (LoopState &state : states)
    carried.push_back(argumentOf(state, block));
  im.b.setInsertionPointToEnd(block);
  if (failed(im.subgraph(node, body, makeInputs(position, carried), outputs)))
    return failure();
  auto *next = outputs.begin() + hasCondition;
  bool changed = false;
  for (size_t i = 0; i < states.size(); ++i) {
    auto differs = stateResult(i, *next++);
    if (failed(differs))
      return failure();
    changed |= *differs;
  }
  if (changed)
    return true;
  if (hasCondition) {
    ImportedValue &condition = outputs.front();
    if (condition.dtype != DType::Bool)
      return im.error(node) << "the condition must be bool, got "
                            << dtypeName(condition.dtype);
    auto known = im.constantInts(condition, 1);
    if (!known || known->size() != 1 || !known->front())
      if (!(goesOn = im.scalar(condition)))
        return failure();
  }
  for (int64_t i = 0; i < scanOutputs; ++i) {
    ImportedValue &row = *next++;
    if (!Importer::wants(node, states.size() + i))
      scans.emplace_back();
    else if (failed(addScan(row, std::nullopt)))
      return failure();
  }
  return false;
}

//===-- scan outputs ------------------------------------------------------===//

LogicalResult LoopBuilder::addScan(const ImportedValue &row,
                                   std::optional<size_t> lastOf) {
  Scan scan;
  scan.lastOf = lastOf;
  scan.dtype = row.dtype;
  scan.row = im.tensor(row);
  if (!scan.row)
    return failure();
  for (OpFoldResult size : im.dims(scan.row))
    scan.forms.push_back(im.shape.form(size));
  scans.push_back(scan);
  return success();
}

Value LoopBuilder::scanBuffer(Scan &scan) {
  Type element = elementOf(scan.row);
  bool isOpen = llvm::any_of(scan.forms, [&](AffineExpr form) {
    return !im.shape.isDefinedOutside(form, *region);
  });
  if (scan.lastOf) {
    if (isOpen) {
      im.error(node) << "carried value " << *scan.lastOf
                     << " begins with another rank, and its size is only known "
                        "within the loop";
      return nullptr;
    }
    Sizes sizes;
    for (AffineExpr form : scan.forms)
      sizes.push_back(im.shape.size(form));
    Value start = im.fill(sizes, im.constant(element, 0));
    im.setDims(start, sizes);
    return start;
  }
  scan.grows = !trips || isOpen;
  if (!scan.grows) {
    Sizes sizes{*trips};
    for (AffineExpr form : scan.forms)
      sizes.push_back(im.shape.size(form));
    Value buffer = im.empty(sizes, element);
    im.setDims(buffer, sizes);
    return buffer;
  }
  SmallVector<int64_t> open(scan.forms.size() + 1, ShapedType::kDynamic);
  SmallVector<Value> zeros(open.size(), indexConstant(im.b, 0));
  return tensor::EmptyOp::create(im.b, RankedTensorType::get(open, element),
                                 zeros);
}

/// `buffer` with the row of iteration `step`; a longer one if it grows.
Value LoopBuilder::storeRow(Scan &scan, Value buffer, Value step) {
  ImplicitLocOpBuilder &b = im.b;
  if (scan.lastOf)
    return castTensor(im, scan.row, tensorTypeOf(buffer));
  if (!scan.grows)
    return insertAt(im, scan.row, buffer, 0, step, /*dropped=*/true);
  Sizes rowSizes = typedDims(im, scan.row);
  Value zero = indexConstant(b, 0);
  Value isFirst = compareIndex(b, arith::CmpIPredicate::eq, step, zero);
  SmallVector<Value> sizes{addIndex(b, step, indexConstant(b, 1))};
  Sizes kept{step}, origin(rowSizes.size() + 1, im.shape.attr(0));
  Sizes strides(rowSizes.size() + 1, im.shape.attr(1));
  for (auto [i, size] : llvm::enumerate(rowSizes)) {
    Value wanted = im.shape.value(size);
    Value before = tensor::DimOp::create(b, buffer, i + 1);
    im.check(arith::OrIOp::create(
                 b, isFirst,
                 compareIndex(b, arith::CmpIPredicate::eq, before, wanted)),
             TAMIS_FAULT_SHAPE);
    kept.push_back(arith::MinSIOp::create(b, before, wanted).getResult());
    sizes.push_back(wanted);
  }
  Value longer = tensor::EmptyOp::create(b, tensorTypeOf(buffer), sizes);
  Value old = tensor::ExtractSliceOp::create(b, buffer, origin, kept, strides);
  longer = tensor::InsertSliceOp::create(b, old, longer, origin, kept, strides);
  return insertAt(im, scan.row, longer, 0, step, /*dropped=*/true);
}

//===-- the loop ----------------------------------------------------------===//

LogicalResult LoopBuilder::build() {
  ImplicitLocOpBuilder &b = im.b;
  if (!goesOn && !trips)
    return im.error(node) << "the loop has neither a trip count nor a "
                             "condition that ends it";
  SmallVector<Value> inits;
  for (LoopState &state : states) {
    if (state.isInvariant || state.isPlaceholder)
      continue;
    if (!state.asIndices) {
      inits.push_back(castTensor(im, state.tensor, carriedType(im, state)));
      continue;
    }
    auto elements = im.indices(node, state.initial);
    if (failed(elements))
      return failure();
    for (OpFoldResult element : *elements)
      inits.push_back(im.shape.value(element));
  }
  size_t firstBuffer = inits.size();
  Block *block = &region->front();
  SmallVector<Value> buffers;
  for (Scan &scan : scans) {
    if (!scan.row)
      continue;
    Value buffer = scanBuffer(scan);
    if (!buffer)
      return failure();
    inits.push_back(buffer);
    buffers.push_back(
        block->addArgument(inits.back().getType(), im.b.getLoc()));
  }
  Value limit = trips ? im.shape.value(*trips) : Value();
  Value zero = indexConstant(b, 0), one = indexConstant(b, 1);
  if (!goesOn && condition)
    limit = arith::SelectOp::create(b, condition, limit, zero);

  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(block);
    im.enterRegion();
    auto *buffer = buffers.begin();
    size_t output = 0;
    for (Scan &scan : scans) {
      size_t i = scan.lastOf ? scanReversed.size() : output++;
      if (!scan.row)
        continue;
      Value step = block->getArgument(0);
      if (i < scanReversed.size() && scanReversed[i])
        step = subIndex(b, subIndex(b, limit, one), step);
      yields.push_back(storeRow(scan, *buffer++, step));
    }
    im.leaveRegion();
  }

  // scf.for folds a cast of an initial value into the loop and would take a
  // size that changes for the one it begins with; scf.while does not.
  bool changes =
      llvm::any_of(scans, [](const Scan &scan) { return scan.grows; }) ||
      llvm::any_of(states, [](const LoopState &state) {
        return llvm::is_contained(state.varies, true);
      });
  SmallVector<Value> results;
  Value count = limit;
  if (!goesOn && !changes) {
    auto loop = scf::ForOp::create(b, zero, limit, one, inits);
    loop.getRegion().takeBody(*region);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(block);
    scf::YieldOp::create(b, yields);
    results.assign(loop.getResults().begin(), loop.getResults().end());
  } else {
    Type i1 = b.getI1Type();
    Value enters = condition ? condition : Importer::constantInt(b, i1, 1);
    SmallVector<Value> all{zero, enters};
    llvm::append_range(all, inits);
    SmallVector<Type> types(ValueRange(all).getTypes());
    auto loop = scf::WhileOp::create(b, types, all);
    OpBuilder::InsertionGuard guard(b);
    SmallVector<Location> locations(types.size(), b.getLoc());
    Block *before = b.createBlock(&loop.getBefore(), {}, types, locations);
    Value go = before->getArgument(1);
    if (limit)
      go = arith::AndIOp::create(b, go,
                                 compareIndex(b, arith::CmpIPredicate::slt,
                                              before->getArgument(0), limit));
    scf::ConditionOp::create(b, go, before->getArguments());
    block->insertArgument(1u, i1, b.getLoc());
    loop.getAfter().takeBody(*region);
    b.setInsertionPointToEnd(block);
    SmallVector<Value> next{addIndex(b, block->getArgument(0), one),
                            goesOn ? goesOn : Importer::constantInt(b, i1, 1)};
    llvm::append_range(next, yields);
    scf::YieldOp::create(b, next);
    count = loop.getResult(0);
    results.assign(loop.getResults().begin() + 2, loop.getResults().end());
  }

  size_t next = 0;
  for (auto [i, state] : llvm::enumerate(states)) {
    if (state.isPlaceholder)
      continue;
    ImportedValue value = state.initial;
    if (!state.isInvariant && state.asIndices) {
      RankedTensorType type = tensorTypeOf(state.tensor);
      Shadow shadow;
      shadow.dims.assign(type.getShape().begin(), type.getShape().end());
      for (int64_t e = 0; e < type.getNumElements(); ++e)
        shadow.elements.push_back(
            im.shape.symbol(results[next++], INT64_MIN, INT64_MAX));
      value = im.shadowValue(state.initial.dtype, std::move(shadow));
    } else if (!state.isInvariant) {
      Value result = results[next++];
      Sizes sizes = im.dims(state.tensor);
      for (auto [axis, varies] : llvm::enumerate(state.varies))
        if (varies)
          sizes[axis] = im.dim(result, axis);
      im.setDims(result, sizes);
      value = {};
      value.value = result;
      value.dtype = state.initial.dtype;
    }
    if (failed(im.out(node, i, value)))
      return failure();
  }
  next = firstBuffer;
  size_t output = 0;
  for (Scan &scan : scans) {
    size_t i = scan.lastOf ? 0 : output++;
    if (!scan.row)
      continue;
    if (scan.lastOf) {
      // Without an iteration the placeholder would be the result.
      im.check(compareIndex(b, arith::CmpIPredicate::sgt, count, zero),
               TAMIS_FAULT_SHAPE);
      im.setDims(results[next], im.dims(inits[next]));
      if (failed(im.out(node, *scan.lastOf, results[next++], scan.dtype)))
        return failure();
      continue;
    }
    Value rows = results[next];
    im.setDims(rows, scan.grows ? im.dims(rows) : im.dims(inits[next]));
    ++next;
    if (count != limit && !scan.grows)
      rows = keepFirst(im, rows, 0, count);
    if (i < scanAxes.size()) {
      int64_t rank = rankOf(rows);
      auto axis = im.axis(node, scanAxes[i], rank);
      if (failed(axis))
        return failure();
      SmallVector<int64_t> permutation = axesFrom(1, rank);
      permutation.insert(permutation.begin() + *axis, 0);
      rows = im.transpose(rows, permutation);
    }
    if (failed(im.out(node, states.size() + i, rows, scan.dtype)))
      return failure();
  }
  return success();
}

LogicalResult LoopBuilder::run() {
  if (failed(prepareStates()))
    return failure();
  while (true) {
    FailureOr<bool> changed = attempt();
    if (failed(changed))
      return failure();
    if (!*changed)
      return build();
  }
}

} // namespace mlir::tamis::onnx
