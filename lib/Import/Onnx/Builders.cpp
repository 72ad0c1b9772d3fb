// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Building blocks of the operator families: sizes, generics over broadcast
// operands, reductions, run-time checks.
#include "Importer.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "tamis/IR/Tamis.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::tamis::onnx;

//===-- sizes -------------------------------------------------------------===//

/// A size from the operation that makes the tensor, where it tells.
OpFoldResult Importer::inferDim(Value value, int64_t index) {
  auto unknown = [&]() -> OpFoldResult {
    Value size = tensor::DimOp::create(b, value, index);
    return shape.symbol(size, 0, INT64_MAX);
  };
  Operation *op = value.getDefiningOp();
  if (!op)
    return unknown();
  return llvm::TypeSwitch<Operation *, OpFoldResult>(op)
      .Case([&](tensor::EmptyOp empty) { return empty.getMixedSizes()[index]; })
      .Case([&](tensor::ExtractSliceOp slice) -> OpFoldResult {
        llvm::SmallBitVector dropped = slice.getDroppedDims();
        int64_t kept = 0;
        for (auto [i, size] : llvm::enumerate(slice.getMixedSizes()))
          if (!dropped.test(i) && kept++ == index)
            return size;
        return unknown();
      })
      .Case([&](tensor::CollapseShapeOp collapse) {
        ReassociationIndices parts = collapse.getReassociationIndices()[index];
        SmallVector<OpFoldResult> sizes;
        for (int64_t from : parts)
          sizes.push_back(dim(collapse.getSrc(), from));
        return shape.product(sizes);
      })
      .Case([&](tensor::ExpandShapeOp expand) {
        return getMixedValues(expand.getStaticOutputShape(),
                              expand.getOutputShape(), b)[index];
      })
      .Case([&](tensor::PadOp pad) {
        return shape.add(dim(pad.getSource(), index),
                         shape.add(pad.getMixedLowPad()[index],
                                   pad.getMixedHighPad()[index]));
      })
      .Case([&](tensor::ConcatOp concat) {
        if (static_cast<int64_t>(concat.getDim()) != index)
          return dim(concat.getInputs().front(), index);
        OpFoldResult sum = shape.attr(0);
        for (Value input : concat.getInputs())
          sum = shape.add(sum, dim(input, index));
        return sum;
      })
      .Case<tensor::CastOp, QuantizeOp, DequantizeOp>(
          [&](auto) { return dim(op->getOperand(0), index); })
      .Case([&](DestinationStyleOpInterface destination) {
        return dim(destination.getTiedOpOperand(cast<OpResult>(value))->get(),
                   index);
      })
      .Default([&](Operation *) { return unknown(); });
}

OpFoldResult Importer::dim(Value value, int64_t index) {
  auto tensorType = cast<RankedTensorType>(value.getType());
  if (!tensorType.isDynamicDim(index))
    return b.getIndexAttr(tensorType.getDimSize(index));
  std::pair<Value, int64_t> key(value, index);
  for (auto &scope : llvm::reverse(dimScopes)) {
    auto known = scope.find(key);
    if (known != scope.end())
      return known->second;
  }
  OpFoldResult result = inferDim(value, index);
  dimScopes.back()[key] = result;
  return result;
}

SmallVector<OpFoldResult> Importer::dims(Value value) {
  SmallVector<OpFoldResult> result;
  int64_t rank = cast<RankedTensorType>(value.getType()).getRank();
  for (int64_t i = 0; i < rank; ++i)
    result.push_back(dim(value, i));
  return result;
}

void Importer::setDims(Value value, ArrayRef<OpFoldResult> sizes) {
  for (auto [index, size] : llvm::enumerate(sizes))
    dimScopes.back()[{value, static_cast<int64_t>(index)}] = size;
}

RankedTensorType Importer::tensorType(ArrayRef<OpFoldResult> sizes,
                                      Type element) {
  SmallVector<int64_t> shape;
  for (OpFoldResult size : sizes)
    shape.push_back(getConstantIntValue(size).value_or(ShapedType::kDynamic));
  return RankedTensorType::get(shape, element);
}

Value Importer::empty(ArrayRef<OpFoldResult> sizes, Type element) {
  return tensor::EmptyOp::create(b, sizes, element);
}

Value Importer::fill(ArrayRef<OpFoldResult> sizes, Value scalar) {
  Value destination = empty(sizes, scalar.getType());
  return linalg::FillOp::create(b, scalar, destination).getResult(0);
}

//===-- checks ------------------------------------------------------------===//

void Importer::check(Value condition, tamis_fault fault) {
  kernel::CheckOp::create(b, condition, fault);
}

LogicalResult Importer::requireEqual(const Node &node, OpFoldResult lhs,
                                     OpFoldResult rhs, const Twine &what) {
  if (shape.equal(lhs, rhs))
    return success();
  auto left = getConstantIntValue(lhs), right = getConstantIntValue(rhs);
  if (left && right)
    return error(node) << what << ": " << *left << " and " << *right
                       << " must be equal";
  check(arith::CmpIOp::create(b, arith::CmpIPredicate::eq, shape.value(lhs),
                              shape.value(rhs)),
        TAMIS_FAULT_SHAPE);
  return success();
}

LogicalResult Importer::requireRank(const Node &node, Value value, int64_t rank,
                                    const Twine &what) {
  int64_t got = cast<RankedTensorType>(value.getType()).getRank();
  if (got == rank)
    return success();
  return error(node) << what << ": expected rank " << rank << ", got " << got;
}

Value Importer::clampIndex(ImplicitLocOpBuilder &b, Value index, Value size) {
  Value zero = arith::ConstantIndexOp::create(b, 0);
  Value one = arith::ConstantIndexOp::create(b, 1);
  Value negative =
      arith::CmpIOp::create(b, arith::CmpIPredicate::slt, index, zero);
  Value wrapped = arith::AddIOp::create(b, index, size);
  Value natural = arith::SelectOp::create(b, negative, wrapped, index);
  Value last = arith::SubIOp::create(b, size, one);
  // The lower bound last: an empty dimension gives 0, never -1.
  return arith::MaxSIOp::create(b, zero,
                                arith::MinSIOp::create(b, natural, last));
}

/// -size <= index < size.
static Value isInBounds(ImplicitLocOpBuilder &b, Value index, Value size) {
  Value zero = arith::ConstantIndexOp::create(b, 0);
  Value least = arith::SubIOp::create(b, zero, size);
  Value low = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, index, least);
  Value high = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, index, size);
  return arith::AndIOp::create(b, low, high);
}

Value Importer::checkedIndex(Value index, OpFoldResult size) {
  Value limit = shape.value(size);
  check(isInBounds(b, index, limit), TAMIS_FAULT_INDEX);
  return clampIndex(b, index, limit);
}

void Importer::checkIndices(Value indices, OpFoldResult size) {
  Value limit = shape.value(size);
  Value initial = constantInt(b, b.getI1Type(), 1);
  auto all = llvm::to_vector(
      llvm::seq<int64_t>(cast<RankedTensorType>(indices.getType()).getRank()));
  Value fine =
      reduce(indices, all, /*keepDims=*/false, initial,
             [&](ImplicitLocOpBuilder &b, Value acc, Value element) {
               Value index =
                   arith::IndexCastOp::create(b, b.getIndexType(), element);
               return arith::AndIOp::create(b, acc, isInBounds(b, index, limit))
                   .getResult();
             });
  check(tensor::ExtractOp::create(b, fine, ValueRange()), TAMIS_FAULT_INDEX);
}

//===-- generics ----------------------------------------------------------===//

FailureOr<SmallVector<OpFoldResult>>
Importer::broadcastShapes(const Node &node,
                          ArrayRef<SmallVector<OpFoldResult>> shapes) {
  size_t rank = 0;
  for (const SmallVector<OpFoldResult> &sizes : shapes)
    rank = std::max(rank, sizes.size());
  SmallVector<OpFoldResult> result(rank, shape.attr(1));
  for (size_t axis = 0; axis < rank; ++axis) {
    OpFoldResult &common = result[axis];
    auto each = [&](llvm::function_ref<LogicalResult(OpFoldResult)> body) {
      for (const SmallVector<OpFoldResult> &sizes : shapes) {
        size_t missing = rank - sizes.size();
        if (axis < missing || isConstantIntValue(sizes[axis - missing], 1))
          continue;
        if (failed(body(sizes[axis - missing])))
          return failure();
      }
      return success();
    };
    // A known size decides; open ones are assumed equal to it, and checked.
    (void)each([&](OpFoldResult size) {
      if (isConstantIntValue(common, 1) ||
          (getConstantIntValue(size) && !getConstantIntValue(common)))
        common = size;
      return success();
    });
    if (failed(each([&](OpFoldResult size) {
          return requireEqual(node, common, size,
                              "shapes cannot be broadcast at dimension " +
                                  Twine(axis));
        })))
      return failure();
  }
  return result;
}

Value Importer::dropDims(Value input, ArrayRef<int64_t> drop) {
  if (drop.empty())
    return input;
  int64_t rank = cast<RankedTensorType>(input.getType()).getRank();
  SmallVector<ReassociationIndices> groups;
  ReassociationIndices pending;
  for (int64_t i = 0; i < rank; ++i) {
    if (llvm::is_contained(drop, i)) {
      (groups.empty() ? pending : groups.back()).push_back(i);
      continue;
    }
    groups.push_back(std::move(pending));
    pending = {};
    groups.back().push_back(i);
  }
  return tensor::CollapseShapeOp::create(b, input, groups);
}

/// A generic with the identity as output map.
static Value buildGeneric(Importer &im, ValueRange inputs,
                          ArrayRef<AffineMap> inputMaps, Value destination,
                          Importer::BodyFn body) {
  auto type = cast<RankedTensorType>(destination.getType());
  SmallVector<AffineMap> maps(inputMaps);
  maps.push_back(im.b.getMultiDimIdentityMap(type.getRank()));
  SmallVector<utils::IteratorType> iterators(type.getRank(),
                                             utils::IteratorType::parallel);
  auto generic = linalg::GenericOp::create(
      im.b, type, inputs, destination, maps, iterators,
      [&](OpBuilder &nested, Location loc, ValueRange arguments) {
        ImplicitLocOpBuilder inner(loc, nested);
        Value result = body(inner, arguments.drop_back());
        linalg::YieldOp::create(inner, result);
      });
  return generic.getResult(0);
}

Value Importer::elementwise(const Node &node, ArrayRef<ImportedValue> operands,
                            Type resultElement, BodyFn body) {
  SmallVector<SmallVector<OpFoldResult>> shapes;
  SmallVector<std::optional<TypedAttr>> scalars;
  SmallVector<Value> tensors;
  for (const ImportedValue &operand : operands) {
    RankedTensorType operandType = type(operand);
    if (!operandType)
      return nullptr;
    std::optional<TypedAttr> known;
    if (operandType.hasStaticShape() && operandType.getNumElements() == 1)
      if (std::shared_ptr<const Shadow> shadow = shadowOf(operand))
        if (auto attribute =
                dyn_cast<mlir::Attribute>(shadow->elements.front())) {
          auto number = dyn_cast<IntegerAttr>(attribute);
          Type element = operandType.getElementType();
          known = number ? TypedAttr(IntegerAttr::get(
                               element, number.getValue().sextOrTrunc(
                                            element.getIntOrFloatBitWidth())))
                         : cast<TypedAttr>(attribute);
        }
    scalars.push_back(known);
    if (known) {
      tensors.push_back(nullptr);
      shapes.emplace_back();
      for (int64_t size : operandType.getShape())
        shapes.back().push_back(b.getIndexAttr(size));
      continue;
    }
    Value value = tensor(operand);
    if (!value)
      return nullptr;
    tensors.push_back(value);
    shapes.push_back(dims(value));
  }
  FailureOr<SmallVector<OpFoldResult>> common = broadcastShapes(node, shapes);
  if (failed(common))
    return nullptr;

  int64_t rank = common->size();
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  for (auto [value, sizes] : llvm::zip(tensors, shapes)) {
    if (!value)
      continue;
    SmallVector<int64_t> drop;
    SmallVector<AffineExpr> results;
    int64_t missing = rank - static_cast<int64_t>(sizes.size());
    for (auto [index, size] : llvm::enumerate(sizes)) {
      int64_t axis = missing + index;
      if (isConstantIntValue(size, 1) &&
          !isConstantIntValue((*common)[axis], 1))
        drop.push_back(index);
      else
        results.push_back(b.getAffineDimExpr(axis));
    }
    inputs.push_back(dropDims(value, drop));
    maps.push_back(AffineMap::get(rank, 0, results, b.getContext()));
  }
  return buildGeneric(
      *this, inputs, maps, empty(*common, resultElement),
      [&](ImplicitLocOpBuilder &b, ValueRange arguments) {
        SmallVector<Value> all;
        size_t next = 0;
        for (std::optional<TypedAttr> &known : scalars)
          all.push_back(known ? arith::ConstantOp::create(b, *known).getResult()
                              : arguments[next++]);
        return body(b, all);
      });
}

Value Importer::elementwise(const Node &node, ArrayRef<Value> operands,
                            Type resultElement, BodyFn body) {
  SmallVector<ImportedValue> values;
  for (Value operand : operands) {
    ImportedValue value;
    value.value = operand;
    values.push_back(value);
  }
  return elementwise(node, values, resultElement, body);
}

Value Importer::broadcast(const Node &node, Value value,
                          ArrayRef<OpFoldResult> sizes) {
  SmallVector<OpFoldResult> from = dims(value);
  if (from.size() == sizes.size() &&
      llvm::all_of(llvm::zip(from, sizes), [&](auto pair) {
        return shape.equal(std::get<0>(pair), std::get<1>(pair));
      }))
    return value;
  int64_t rank = sizes.size();
  int64_t missing = rank - static_cast<int64_t>(from.size());
  if (missing < 0) {
    error(node) << "cannot broadcast rank " << from.size() << " to rank "
                << rank;
    return nullptr;
  }
  SmallVector<int64_t> drop;
  SmallVector<AffineExpr> results;
  for (auto [index, size] : llvm::enumerate(from)) {
    OpFoldResult wanted = sizes[missing + index];
    if (isConstantIntValue(size, 1) && !isConstantIntValue(wanted, 1)) {
      drop.push_back(index);
      continue;
    }
    if (failed(requireEqual(node, size, wanted, "broadcast")))
      return nullptr;
    results.push_back(b.getAffineDimExpr(missing + index));
  }
  auto element = cast<RankedTensorType>(value.getType()).getElementType();
  return buildGeneric(*this, dropDims(value, drop),
                      AffineMap::get(rank, 0, results, b.getContext()),
                      empty(sizes, element),
                      [](ImplicitLocOpBuilder &, ValueRange arguments) {
                        return arguments[0];
                      });
}

Value Importer::gatherLike(Value input, ArrayRef<OpFoldResult> sizes,
                           IndexFn index) {
  auto element = cast<RankedTensorType>(input.getType()).getElementType();
  return buildGeneric(*this, {}, {}, empty(sizes, element),
                      [&](ImplicitLocOpBuilder &b, ValueRange) -> Value {
                        SmallVector<Value> position;
                        for (size_t i = 0; i < sizes.size(); ++i)
                          position.push_back(linalg::IndexOp::create(b, i));
                        return tensor::ExtractOp::create(b, input,
                                                         index(b, position));
                      });
}

Value Importer::reduce(Value input, ArrayRef<int64_t> axes, bool keepDims,
                       Value initial, CombineFn combine) {
  SmallVector<OpFoldResult> from = dims(input), kept, withUnits;
  SmallVector<AffineExpr> results;
  SmallVector<utils::IteratorType> iterators;
  for (auto [index, size] : llvm::enumerate(from)) {
    bool reduced = llvm::is_contained(axes, static_cast<int64_t>(index));
    iterators.push_back(reduced ? utils::IteratorType::reduction
                                : utils::IteratorType::parallel);
    withUnits.push_back(reduced ? shape.attr(1) : size);
    if (reduced)
      continue;
    kept.push_back(size);
    results.push_back(b.getAffineDimExpr(index));
  }
  Value destination = fill(kept, initial);
  AffineMap maps[] = {b.getMultiDimIdentityMap(from.size()),
                      AffineMap::get(from.size(), 0, results, b.getContext())};
  auto generic = linalg::GenericOp::create(
      b, destination.getType(), input, destination, maps, iterators,
      [&](OpBuilder &nested, Location loc, ValueRange arguments) {
        ImplicitLocOpBuilder inner(loc, nested);
        Value result = combine(inner, arguments[1], arguments[0]);
        linalg::YieldOp::create(inner, result);
      });
  Value result = generic.getResult(0);
  return keepDims ? reshape(result, withUnits) : result;
}
