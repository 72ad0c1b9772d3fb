// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writing by index: loops over the updates that insert into a copy of the
// data, in the order of the updates. Indices are checked once and clamped.
#include "Structured.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::tamis::onnx;

namespace {

enum class Combine { Replace, Add, Mul, Max, Min };

FailureOr<Combine> readCombine(Importer &im, const Node &node) {
  StringRef name = im.getString(node, "reduction", "none");
  if (name == "none")
    return Combine::Replace;
  if (name == "add")
    return Combine::Add;
  if (name == "mul")
    return Combine::Mul;
  if (name == "max")
    return Combine::Max;
  if (name == "min")
    return Combine::Min;
  return im.error(node) << "attribute 'reduction' has unknown value '" << name
                        << "'";
}

Value combine(ImplicitLocOpBuilder &b, Combine kind, Value old, Value update,
              DType dtype) {
  switch (kind) {
  case Combine::Add:
    return addElements(b, old, update);
  case Combine::Mul:
    return mulElements(b, old, update);
  case Combine::Max:
    return largerOf(b, old, update, dtype);
  case Combine::Min:
    return smallerOf(b, old, update, dtype);
  default:
    return update;
  }
}

/// data, indices and updates of a scatter, checked for presence and type.
struct Operands {
  Value data, indices, updates;
  DType dtype, indexType;
};

FailureOr<Operands> readOperands(Importer &im, const Node &node) {
  ImportedValue data = im.in(node, 0), indices = im.in(node, 1);
  ImportedValue updates = im.in(node, 2);
  if (!isInteger(indices.dtype))
    return im.error(node) << "indices must be integers, got "
                          << dtypeName(indices.dtype);
  if (data.dtype != updates.dtype)
    return im.error(node) << "data is " << dtypeName(data.dtype)
                          << ", updates are " << dtypeName(updates.dtype);
  Operands result{im.tensor(data), im.tensor(indices), im.tensor(updates),
                  data.dtype, indices.dtype};
  if (!result.data || !result.indices || !result.updates)
    return failure();
  return result;
}

/// One element at `at`, combined with what is there.
Value store(ImplicitLocOpBuilder &b, Combine kind, Value update,
            Value destination, ValueRange at, DType dtype) {
  if (kind != Combine::Replace) {
    Value old = tensor::ExtractOp::create(b, destination, at);
    update = combine(b, kind, old, update, dtype);
  }
  return tensor::InsertOp::create(b, update, destination, at);
}

LogicalResult importScatterElements(Importer &im, const Node &node) {
  auto operands = readOperands(im, node);
  auto kind = readCombine(im, node);
  if (failed(operands) || failed(kind))
    return failure();
  auto [data, indices, updates, dtype, indexType] = *operands;
  int64_t rank = rankOf(data);
  if (failed(im.requireRank(node, indices, rank, "indices")) ||
      failed(im.requireRank(node, updates, rank, "updates")))
    return failure();
  auto axis = im.axis(node, im.getInt(node, "axis", 0), rank);
  if (failed(axis))
    return failure();
  Sizes counts = im.dims(indices);
  SmallVector<Value> limits(rank);
  for (int64_t i = 0; i < rank; ++i) {
    if (failed(im.requireEqual(node, counts[i], im.dim(updates, i),
                               "indices and updates")))
      return failure();
    OpFoldResult size = im.dim(data, i);
    if (i == *axis || !im.shape.atMost(counts[i], size))
      limits[i] = im.shape.value(size);
    if (i == *axis || !limits[i])
      continue;
    auto a = ShapeMath::constant(counts[i]), c = ShapeMath::constant(size);
    if (a && c)
      return im.error(node) << "dimension " << i << " of the indices is " << *a
                            << ", that of the data " << *c;
    im.check(compareIndex(im.b, arith::CmpIPredicate::sle,
                          im.shape.value(counts[i]), limits[i]),
             TAMIS_FAULT_SHAPE);
  }
  im.checkIndices(indices, im.dim(data, *axis));
  // Where nobody knows that updates have the indices' sizes, they are read
  // within their own.
  SmallVector<Value> updateLimits(rank);
  for (int64_t i = 0; i < rank; ++i)
    if (!im.shape.equal(counts[i], im.dim(updates, i)))
      updateLimits[i] = im.shape.value(im.dim(updates, i));
  SmallVector<Value> result =
      loops(im, counts, data,
            [&, indices = indices, updates = updates, dtype = dtype,
             indexType = indexType](ImplicitLocOpBuilder &b,
                                    ValueRange position, ValueRange carried) {
              SmallVector<Value> at(position), from(position);
              at[*axis] =
                  toIndex(b, tensor::ExtractOp::create(b, indices, position),
                          indexType);
              for (int64_t i = 0; i < rank; ++i) {
                if (limits[i])
                  at[i] = Importer::clampIndex(b, at[i], limits[i]);
                if (updateLimits[i])
                  from[i] = Importer::clampIndex(b, from[i], updateLimits[i]);
              }
              Value update = tensor::ExtractOp::create(b, updates, from);
              return SmallVector<Value>{
                  store(b, *kind, update, carried[0], at, dtype)};
            });
  return im.out(node, 0, result[0], dtype);
}

LogicalResult importScatterND(Importer &im, const Node &node) {
  auto operands = readOperands(im, node);
  auto kind = readCombine(im, node);
  if (failed(operands) || failed(kind))
    return failure();
  Value data = operands->data, indices = operands->indices;
  Value updates = operands->updates;
  DType dtype = operands->dtype, indexType = operands->indexType;
  int64_t rank = rankOf(data), indexRank = rankOf(indices);
  if (rank < 1 || indexRank < 1)
    return im.error(node) << "data and indices must have rank 1 or more";
  int64_t tuple = tensorTypeOf(indices).getDimSize(indexRank - 1);
  if (tuple == ShapedType::kDynamic)
    return im.error(node) << "the last dimension of the indices must be known";
  if (tuple < 1 || tuple > rank)
    return im.error(node) << "index tuples of " << tuple
                          << " elements do not fit rank " << rank;
  Sizes indexSizes = im.dims(indices), dataSizes = im.dims(data);
  Sizes counts(indexSizes.begin(), indexSizes.end() - 1), expected = counts;
  expected.append(dataSizes.begin() + tuple, dataSizes.end());
  if (failed(im.requireRank(node, updates, expected.size(), "updates")))
    return failure();
  bool sure = true;
  for (auto [i, size] : llvm::enumerate(expected)) {
    if (failed(im.requireEqual(node, size, im.dim(updates, i), "updates")))
      return failure();
    sure &= im.shape.equal(size, im.dim(updates, i));
  }
  if (!sure)
    return im.error(node) << "the sizes of the updates must follow from those "
                             "of data and indices";
  SmallVector<Value> limits;
  Sizes offsets(indexRank, im.shape.attr(0)), one = indexSizes;
  Sizes strides(indexRank, im.shape.attr(1));
  one.back() = im.shape.attr(1);
  for (int64_t i = 0; i < tuple; ++i) {
    offsets.back() = im.shape.attr(i);
    im.checkIndices(im.slice(indices, offsets, one, strides), dataSizes[i]);
    limits.push_back(im.shape.value(dataSizes[i]));
  }
  // Whole slices are copied, if there is something in them; combining goes
  // element by element.
  bool bySlice = *kind == Combine::Replace && tuple < rank &&
                 !llvm::is_contained(expected, im.shape.attr(0));
  Sizes loopCounts = bySlice ? counts : expected;
  int64_t outer = counts.size();
  auto body = [&](ImplicitLocOpBuilder &b, ValueRange position,
                  ValueRange carried) -> SmallVector<Value> {
    SmallVector<Value> at;
    for (int64_t i = 0; i < tuple; ++i) {
      SmallVector<Value> from(position.take_front(outer));
      from.push_back(indexConstant(b, i));
      Value index =
          toIndex(b, tensor::ExtractOp::create(b, indices, from), indexType);
      at.push_back(Importer::clampIndex(b, index, limits[i]));
    }
    if (!bySlice) {
      llvm::append_range(at, position.drop_front(outer));
      Value update = tensor::ExtractOp::create(b, updates, position);
      return {store(b, *kind, update, carried[0], at, dtype)};
    }
    SmallVector<OpFoldResult> from(position.begin(), position.end());
    SmallVector<OpFoldResult> to(at.begin(), at.end());
    SmallVector<OpFoldResult> fromSizes(outer, b.getIndexAttr(1));
    SmallVector<OpFoldResult> toSizes(tuple, b.getIndexAttr(1));
    SmallVector<OpFoldResult> inner(expected.begin() + outer, expected.end());
    from.append(inner.size(), b.getIndexAttr(0));
    to.append(inner.size(), b.getIndexAttr(0));
    llvm::append_range(fromSizes, inner);
    llvm::append_range(toSizes, inner);
    SmallVector<OpFoldResult> fromStrides(from.size(), b.getIndexAttr(1));
    SmallVector<OpFoldResult> toStrides(to.size(), b.getIndexAttr(1));
    Value row = tensor::ExtractSliceOp::create(
        b, im.tensorType(inner, elementOf(updates)), updates, from, fromSizes,
        fromStrides);
    return {tensor::InsertSliceOp::create(b, row, carried[0], to, toSizes,
                                          toStrides)
                .getResult()};
  };
  Value result = loops(im, loopCounts, data, body)[0];
  im.setDims(result, dataSizes);
  return im.out(node, 0, result, dtype);
}

/// Writes `update` at the cache position of each batch entry, past which a
/// circular cache begins again.
LogicalResult importTensorScatter(Importer &im, const Node &node) {
  ImportedValue cache = im.in(node, 0), update = im.in(node, 1);
  Value data = im.tensor(cache), updates = im.tensor(update);
  if (!data || !updates)
    return failure();
  int64_t rank = rankOf(data);
  if (failed(im.requireRank(node, updates, rank, "update")))
    return failure();
  auto axis = im.axis(node, im.getInt(node, "axis", -2), rank);
  if (failed(axis))
    return failure();
  if (*axis == 0)
    return im.error(node) << "axis 0 is the batch";
  StringRef mode = im.getString(node, "mode", "linear");
  if (mode != "linear" && mode != "circular")
    return im.error(node) << "attribute 'mode' has unknown value '" << mode
                          << "'";
  Sizes counts = im.dims(updates);
  for (int64_t i = 0; i < rank; ++i)
    if (i != *axis && !im.shape.equal(counts[i], im.dim(data, i)))
      return im.error(node)
             << "dimension " << i << " of cache and update must agree";
  OpFoldResult length = im.dim(data, *axis);
  Value limit = im.shape.value(length), starts;
  ImportedValue given = im.in(node, 2);
  if (given) {
    starts = im.tensor(given);
    if (!starts || failed(im.requireRank(node, starts, 1, "write_indices")) ||
        failed(im.requireEqual(node, im.dim(starts, 0), counts[0],
                               "batch and write_indices")))
      return failure();
    im.checkIndices(starts, length);
  }
  Value result = loops(
      im, counts, data,
      [&](ImplicitLocOpBuilder &b, ValueRange position,
          ValueRange carried) -> SmallVector<Value> {
        SmallVector<Value> at(position);
        if (starts) {
          Value start = toIndex(
              b, tensor::ExtractOp::create(b, starts, ValueRange{position[0]}),
              given.dtype);
          at[*axis] =
              addIndex(b, at[*axis], Importer::clampIndex(b, start, limit));
        }
        if (mode == "circular")
          at[*axis] = arith::RemUIOp::create(b, at[*axis], limit);
        at[*axis] = Importer::clampIndex(b, at[*axis], limit);
        Value element = tensor::ExtractOp::create(b, updates, position);
        return {
            tensor::InsertOp::create(b, element, carried[0], at).getResult()};
      })[0];
  return im.out(node, 0, result, cache.dtype);
}

} // namespace

void mlir::tamis::onnx::registerScatter(OpTable &table) {
  table.add({"", "Scatter", 9, {3, 3}, importScatterElements});
  table.add({"", "ScatterElements", 11, {3, 3}, importScatterElements});
  table.add({"", "ScatterND", 11, {3, 3}, importScatterND});
  table.add({"", "TensorScatter", 24, {2, 3}, importTensorScatter});
}
