// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reading by index: Gather and its relatives. Indices that are known become
// slices; others are checked once, and the generic that reads clamps them, so
// that a wrong index is an error and never an access out of bounds.
#include "Structured.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"

using namespace mlir;
using namespace mlir::tamis::onnx;

namespace {

/// Known indices looked at one by one.
constexpr int64_t kKnownIndices = 1 << 16;

LogicalResult requireInteger(Importer &im, const Node &node,
                             const ImportedValue &indices) {
  if (isInteger(indices.dtype))
    return success();
  return im.error(node) << "indices must be integers, got "
                        << dtypeName(indices.dtype);
}

/// One more than the largest of indices that are a widened parameter of
/// unsigned bytes: those of a codebook, of which there are as many as weights.
std::optional<int64_t> boundOf(Value indices) {
  auto widened = indices.getDefiningOp<linalg::GenericOp>();
  if (!widened || widened.getNumDpsInputs() != 1 ||
      !isa<arith::ExtUIOp>(widened.getBody()->front()) ||
      widened.getBody()->front().getOperand(0) !=
          widened.getBody()->getArgument(0) ||
      widened.getBody()->getTerminator()->getOperand(0) !=
          widened.getBody()->front().getResult(0))
    return std::nullopt;
  auto load =
      widened.getDpsInputs()[0].getDefiningOp<ml_program::GlobalLoadConstOp>();
  auto global =
      load ? SymbolTable::lookupNearestSymbolFrom<ml_program::GlobalOp>(
                 load, load.getGlobal())
           : nullptr;
  auto bytes = global ? dyn_cast_if_present<DenseResourceElementsAttr>(
                            global.getValueAttr())
                      : nullptr;
  AsmResourceBlob *blob = bytes ? bytes.getRawHandle().getBlob() : nullptr;
  if (!blob || !bytes.getType().getElementType().isInteger(8))
    return std::nullopt;
  int64_t bound = 0;
  for (char byte : blob->getData())
    bound = std::max<int64_t>(bound, static_cast<uint8_t>(byte) + 1);
  return bound;
}

/// Reports known indices that are out of range of a known size; sees to it
/// that unknown ones are checked at run time.
LogicalResult checkRange(Importer &im, const Node &node,
                         const ImportedValue &indices, OpFoldResult size) {
  auto known = im.constantInts(indices, kKnownIndices);
  auto limit = ShapeMath::constant(size);
  if (!known || !limit) {
    Value tensor = im.tensor(indices);
    if (!tensor)
      return failure();
    auto bound = limit ? boundOf(tensor) : std::nullopt;
    if (!bound || *bound > *limit)
      im.checkIndices(tensor, size);
    return success();
  }
  for (int64_t index : *known)
    if (index < -*limit || index >= *limit)
      return im.error(node) << "index " << index
                            << " is out of range for a dimension of " << *limit;
  return success();
}

/// The position of a linalg body.
SmallVector<Value> bodyPosition(ImplicitLocOpBuilder &b, int64_t rank) {
  SmallVector<Value> position;
  for (int64_t i = 0; i < rank; ++i)
    position.push_back(linalg::IndexOp::create(b, i));
  return position;
}

/// One index as an offset within [0, size), checked if it is not known to be.
FailureOr<OpFoldResult> offsetOf(Importer &im, const Node &node,
                                 OpFoldResult index, OpFoldResult size) {
  auto known = ShapeMath::constant(index), limit = ShapeMath::constant(size);
  if (known && limit) {
    if (*known < -*limit || *known >= *limit)
      return im.error(node) << "index " << *known
                            << " is out of range for a dimension of " << *limit;
    return im.shape.attr(*known < 0 ? *known + *limit : *known);
  }
  return OpFoldResult(im.checkedIndex(im.shape.value(index), size));
}

/// {start, step} if the indices are start, start + step, … with step > 0.
std::optional<std::pair<int64_t, int64_t>> progression(ArrayRef<int64_t> known,
                                                       int64_t size) {
  if (known.empty())
    return std::nullopt;
  auto at = [&](size_t i) { return known[i] < 0 ? known[i] + size : known[i]; };
  int64_t step = known.size() > 1 ? at(1) - at(0) : 1;
  if (step < 1)
    return std::nullopt;
  for (size_t i = 1; i < known.size(); ++i)
    if (at(i) - at(i - 1) != step)
      return std::nullopt;
  return std::make_pair(at(0), step);
}

//===-- Gather ------------------------------------------------------------===//

LogicalResult importGather(Importer &im, const Node &node) {
  ImportedValue data = im.in(node, 0), indices = im.in(node, 1);
  if (failed(requireInteger(im, node, indices)))
    return failure();
  Value table = im.tensor(data);
  RankedTensorType indexType = im.type(indices);
  if (!table || !indexType)
    return failure();
  int64_t rank = rankOf(table), indexRank = indexType.getRank();
  auto axis = im.axis(node, im.getInt(node, "axis", 0), rank);
  if (failed(axis))
    return failure();
  OpFoldResult size = im.dim(table, *axis);

  if (indexType.hasStaticShape() && indexType.getNumElements() == 1 &&
      indexRank <= 1) {
    auto one = im.indices(node, indices);
    if (failed(one))
      return failure();
    auto offset = offsetOf(im, node, one->front(), size);
    if (failed(offset))
      return failure();
    Value row = im.sliceDim(table, *axis, *offset, im.shape.attr(1));
    return im.out(node, 0, indexRank ? row : im.dropDims(row, {*axis}),
                  data.dtype);
  }
  if (failed(checkRange(im, node, indices, size)))
    return failure();
  auto known = im.constantInts(indices, kKnownIndices);
  auto limit = ShapeMath::constant(size);
  if (known && limit && indexRank == 1)
    if (auto regular = progression(*known, *limit)) {
      Sizes sizes = im.dims(table);
      Sizes offsets(rank, im.shape.attr(0)), strides(rank, im.shape.attr(1));
      sizes[*axis] = im.shape.attr(known->size());
      offsets[*axis] = im.shape.attr(regular->first);
      strides[*axis] = im.shape.attr(regular->second);
      return im.out(node, 0, im.slice(table, offsets, sizes, strides),
                    data.dtype);
    }

  Value indexTensor = im.tensor(indices);
  Sizes sizes = im.dims(table), inner = im.dims(indexTensor);
  sizes.erase(sizes.begin() + *axis);
  sizes.insert(sizes.begin() + *axis, inner.begin(), inner.end());
  int64_t outRank = sizes.size();
  SmallVector<AffineExpr> at;
  for (int64_t i = 0; i < indexRank; ++i)
    at.push_back(im.b.getAffineDimExpr(*axis + i));
  Value last = im.shape.value(size);
  Value result = generic(
      im, indexTensor, AffineMap::get(outRank, 0, at, im.b.getContext()), sizes,
      elementOf(table), [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        SmallVector<Value> position = bodyPosition(b, outRank);
        position.erase(position.begin() + *axis,
                       position.begin() + *axis + indexRank);
        position.insert(
            position.begin() + *axis,
            Importer::clampIndex(b, toIndex(b, args[0], indices.dtype), last));
        return tensor::ExtractOp::create(b, table, position);
      });
  return im.out(node, 0, result, data.dtype);
}

LogicalResult importGatherElements(Importer &im, const Node &node) {
  ImportedValue data = im.in(node, 0), indices = im.in(node, 1);
  if (failed(requireInteger(im, node, indices)))
    return failure();
  Value table = im.tensor(data), indexTensor = im.tensor(indices);
  if (!table || !indexTensor)
    return failure();
  int64_t rank = rankOf(table);
  if (failed(im.requireRank(node, indexTensor, rank, "indices")))
    return failure();
  auto axis = im.axis(node, im.getInt(node, "axis", 0), rank);
  if (failed(axis) ||
      failed(checkRange(im, node, indices, im.dim(table, *axis))))
    return failure();
  Sizes sizes = im.dims(indexTensor);
  // Other dimensions of the indices may be smaller; where nobody knows, the
  // position is clamped, too.
  SmallVector<Value> limits(rank);
  for (int64_t i = 0; i < rank; ++i) {
    OpFoldResult size = im.dim(table, i);
    if (i != *axis && im.shape.atMost(sizes[i], size))
      continue;
    limits[i] = im.shape.value(size);
    if (i == *axis)
      continue;
    auto a = ShapeMath::constant(sizes[i]), c = ShapeMath::constant(size);
    if (a && c)
      return im.error(node) << "dimension " << i << " of the indices is " << *a
                            << ", that of the data " << *c;
    im.check(compareIndex(im.b, arith::CmpIPredicate::sle,
                          im.shape.value(sizes[i]), limits[i]),
             TAMIS_FAULT_SHAPE);
  }
  Value result = generic(
      im, indexTensor, im.b.getMultiDimIdentityMap(rank), sizes,
      elementOf(table), [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        SmallVector<Value> position = bodyPosition(b, rank);
        position[*axis] = toIndex(b, args[0], indices.dtype);
        for (auto [at, limit] : llvm::zip(position, limits))
          if (limit)
            at = Importer::clampIndex(b, at, limit);
        return tensor::ExtractOp::create(b, table, position);
      });
  return im.out(node, 0, result, data.dtype);
}

LogicalResult importGatherND(Importer &im, const Node &node) {
  ImportedValue data = im.in(node, 0), indices = im.in(node, 1);
  if (failed(requireInteger(im, node, indices)))
    return failure();
  Value table = im.tensor(data), indexTensor = im.tensor(indices);
  if (!table || !indexTensor)
    return failure();
  int64_t rank = rankOf(table), indexRank = rankOf(indexTensor);
  int64_t batch = im.getInt(node, "batch_dims", 0);
  if (rank < 1 || indexRank < 1)
    return im.error(node) << "data and indices must have rank 1 or more";
  int64_t tuple = tensorTypeOf(indexTensor).getDimSize(indexRank - 1);
  if (tuple == ShapedType::kDynamic)
    return im.error(node) << "the last dimension of the indices must be known";
  if (batch < 0 || batch >= indexRank || tuple < 1 || batch + tuple > rank)
    return im.error(node) << "index tuples of " << tuple << " elements and "
                          << batch << " batch dimensions do not fit rank "
                          << rank;
  Sizes indexSizes = im.dims(indexTensor);
  for (int64_t i = 0; i < batch; ++i)
    if (failed(im.requireEqual(node, im.dim(table, i), indexSizes[i],
                               "batch dimension " + Twine(i))))
      return failure();
  Sizes sizes(indexSizes.begin(), indexSizes.end() - 1);
  for (int64_t i = batch + tuple; i < rank; ++i)
    sizes.push_back(im.dim(table, i));
  int64_t outRank = sizes.size();
  SmallVector<AffineExpr> at;
  for (int64_t i = 0; i < indexRank - 1; ++i)
    at.push_back(im.b.getAffineDimExpr(i));
  SmallVector<Value> columns, limits;
  SmallVector<AffineMap> maps(
      tuple, AffineMap::get(outRank, 0, at, im.b.getContext()));
  for (int64_t i = 0; i < tuple; ++i) {
    Value column = im.sliceDim(indexTensor, indexRank - 1, im.shape.attr(i),
                               im.shape.attr(1));
    columns.push_back(im.reshape(column, ArrayRef(indexSizes).drop_back()));
    OpFoldResult size = im.dim(table, batch + i);
    im.checkIndices(columns.back(), size);
    limits.push_back(im.shape.value(size));
  }
  SmallVector<Value> batchLimits;
  for (int64_t i = 0; i < batch; ++i)
    batchLimits.push_back(im.shape.value(im.dim(table, i)));
  Value result = generic(
      im, columns, maps, sizes, elementOf(table),
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        SmallVector<Value> out = bodyPosition(b, outRank), position;
        for (int64_t i = 0; i < batch; ++i)
          position.push_back(Importer::clampIndex(b, out[i], batchLimits[i]));
        for (auto [index, limit] : llvm::zip(args, limits))
          position.push_back(
              Importer::clampIndex(b, toIndex(b, index, indices.dtype), limit));
        llvm::append_range(position, ArrayRef(out).drop_front(indexRank - 1));
        return tensor::ExtractOp::create(b, table, position);
      });
  return im.out(node, 0, result, data.dtype);
}

/// Reverses the first lengths[b] steps of each sequence.
LogicalResult importReverseSequence(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0), lengths = im.in(node, 1);
  Value x = im.tensor(input), lengthTensor = im.tensor(lengths);
  if (!x || !lengthTensor || failed(requireInteger(im, node, lengths)) ||
      failed(im.requireRank(node, lengthTensor, 1, "sequence_lens")))
    return failure();
  int64_t batch = im.getInt(node, "batch_axis", 1);
  int64_t time = im.getInt(node, "time_axis", 0);
  if (rankOf(x) < 2 || batch < 0 || batch > 1 || time != 1 - batch)
    return im.error(node) << "batch_axis and time_axis must be 0 and 1, got "
                          << batch << " and " << time;
  if (failed(im.requireEqual(node, im.dim(x, batch), im.dim(lengthTensor, 0),
                             "batch and sequence_lens")))
    return failure();
  Value steps = im.shape.value(im.dim(x, time));
  // A length is at most the number of steps: an index into one more.
  im.checkIndices(lengthTensor,
                  im.shape.add(im.dim(x, time), im.shape.attr(1)));
  int64_t rank = rankOf(x);
  Value result = generic(
      im, lengthTensor, AffineMap::get(rank, 0, im.b.getAffineDimExpr(batch)),
      im.dims(x), elementOf(x),
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        SmallVector<Value> position = bodyPosition(b, rank);
        Value length = toIndex(b, args[0], lengths.dtype), t = position[time];
        Value mirrored =
            subIndex(b, subIndex(b, length, indexConstant(b, 1)), t);
        Value inside = compareIndex(b, arith::CmpIPredicate::slt, t, length);
        Value from = arith::SelectOp::create(b, inside, mirrored, t);
        position[time] = Importer::clampIndex(b, from, steps);
        return tensor::ExtractOp::create(b, x, position);
      });
  return im.out(node, 0, result, input.dtype);
}

} // namespace

void mlir::tamis::onnx::registerIndexing(OpTable &table) {
  table.add({"", "Gather", 1, {2, 2}, importGather});
  table.add({"", "GatherElements", 11, {2, 2}, importGatherElements});
  table.add({"", "GatherND", 11, {2, 2}, importGatherND});
  table.add({"", "ReverseSequence", 10, {2, 2}, importReverseSequence});
}
