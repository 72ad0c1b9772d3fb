// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Building blocks that move elements: reshapes, slices, padding, concatenation.
#include "Importer.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::tamis::onnx;

namespace {
/// Dimensions of the source that become dimensions of the result.
struct ReshapeGroup {
  SmallVector<int64_t> from, to;
};
} // namespace

/// Splits a reshape into the smallest independent groups; one group of
/// everything where sizes do not tell.
static SmallVector<ReshapeGroup> groupReshape(ShapeMath &shape,
                                              ArrayRef<OpFoldResult> from,
                                              ArrayRef<OpFoldResult> to) {
  auto everything = [&] {
    ReshapeGroup group;
    llvm::append_range(group.from, llvm::seq<int64_t>(from.size()));
    llvm::append_range(group.to, llvm::seq<int64_t>(to.size()));
    return SmallVector<ReshapeGroup>{group};
  };
  SmallVector<ReshapeGroup> groups;
  size_t i = 0, j = 0;
  while (i < from.size() && j < to.size()) {
    ReshapeGroup group;
    SmallVector<OpFoldResult> left, right;
    auto takeFrom = [&] {
      group.from.push_back(i);
      left.push_back(from[i++]);
    };
    auto takeTo = [&] {
      group.to.push_back(j);
      right.push_back(to[j++]);
    };
    takeFrom();
    takeTo();
    while (!shape.equalProducts(left, right)) {
      bool canFrom = i < from.size(), canTo = j < to.size();
      if (canFrom && shape.exactDiv(right, left))
        takeFrom();
      else if (canTo && shape.exactDiv(left, right))
        takeTo();
      else if (canFrom && canTo) {
        takeFrom();
        takeTo();
      } else if (canFrom)
        takeFrom();
      else if (canTo)
        takeTo();
      else
        return everything();
    }
    groups.push_back(std::move(group));
  }
  if (groups.empty())
    return everything();
  // Trailing unit dimensions belong to the last group.
  for (; i < from.size(); ++i) {
    if (!isConstantIntValue(from[i], 1))
      return everything();
    groups.back().from.push_back(i);
  }
  for (; j < to.size(); ++j) {
    if (!isConstantIntValue(to[j], 1))
      return everything();
    groups.back().to.push_back(j);
  }
  return groups;
}

Value Importer::reshape(Value input, ArrayRef<OpFoldResult> sizes) {
  SmallVector<OpFoldResult> from = dims(input);
  auto equalSizes = [&](auto pair) {
    return shape.equal(std::get<0>(pair), std::get<1>(pair));
  };
  if (from.size() == sizes.size() &&
      llvm::all_of(llvm::zip(from, sizes), equalSizes))
    return input;
  auto inputType = cast<RankedTensorType>(input.getType());
  Type element = inputType.getElementType();
  RankedTensorType resultType = tensorType(sizes, element);
  if (llvm::is_contained(resultType.getShape(), 0))
    return empty(sizes, element);
  auto castTo = [&](Value value, RankedTensorType type) -> Value {
    if (value.getType() == type)
      return value;
    return tensor::CastOp::create(b, type, value);
  };
  if (from.empty() || sizes.empty()) {
    // To or from a scalar: all dimensions are 1, open ones by assumption.
    if (from.empty())
      return castTo(tensor::ExpandShapeOp::create(
                        b,
                        RankedTensorType::get(
                            SmallVector<int64_t>(sizes.size(), 1), element),
                        input, ArrayRef<ReassociationIndices>()),
                    resultType);
    SmallVector<int64_t> ones(from.size(), 1);
    Value units = castTo(input, RankedTensorType::get(ones, element));
    return tensor::CollapseShapeOp::create(b, resultType, units,
                                           ArrayRef<ReassociationIndices>());
  }

  SmallVector<ReshapeGroup> groups = groupReshape(shape, from, sizes);
  SmallVector<ReassociationIndices> collapse, expand;
  SmallVector<OpFoldResult> middle;
  SmallVector<int64_t> middleShape;
  for (ReshapeGroup &group : groups) {
    collapse.emplace_back(group.from.begin(), group.from.end());
    expand.emplace_back(group.to.begin(), group.to.end());
    SmallVector<OpFoldResult> factors;
    int64_t product = 1;
    for (int64_t index : group.to) {
      factors.push_back(sizes[index]);
      int64_t size = resultType.getDimSize(index);
      product = product == ShapedType::kDynamic || size == ShapedType::kDynamic
                    ? ShapedType::kDynamic
                    : product * size;
    }
    middle.push_back(shape.product(factors));
    middleShape.push_back(product);
  }
  Value result = input;
  if (groups.size() != from.size())
    result = tensor::CollapseShapeOp::create(b, result, collapse);
  // A group is static after expansion if and only if it is before.
  result = castTo(result, RankedTensorType::get(middleShape, element));
  setDims(result, middle);
  if (groups.size() != sizes.size())
    result =
        tensor::ExpandShapeOp::create(b, resultType, result, expand, sizes);
  setDims(result, sizes);
  return result;
}

Value Importer::transpose(Value input, ArrayRef<int64_t> permutation) {
  if (isIdentityPermutation(permutation))
    return input;
  SmallVector<OpFoldResult> from = dims(input), to;
  for (int64_t index : permutation)
    to.push_back(from[index]);
  auto element = cast<RankedTensorType>(input.getType()).getElementType();
  return linalg::TransposeOp::create(b, input, empty(to, element), permutation)
      ->getResult(0);
}

Value Importer::slice(Value input, ArrayRef<OpFoldResult> offsets,
                      ArrayRef<OpFoldResult> sizes,
                      ArrayRef<OpFoldResult> strides) {
  bool whole = true;
  for (auto [index, offset] : llvm::enumerate(offsets))
    whole &= isConstantIntValue(offset, 0) &&
             isConstantIntValue(strides[index], 1) &&
             shape.equal(sizes[index], dim(input, index));
  if (whole)
    return input;
  // The verifier refuses an offset at the end, even for nothing.
  auto inputType = cast<RankedTensorType>(input.getType());
  auto isZero = [](OpFoldResult size) { return isConstantIntValue(size, 0); };
  if (llvm::any_of(sizes, isZero) ||
      llvm::is_contained(inputType.getShape(), 0))
    return empty(sizes, inputType.getElementType());
  return tensor::ExtractSliceOp::create(b, input, offsets, sizes, strides);
}

Value Importer::sliceDim(Value input, int64_t dimension, OpFoldResult offset,
                         OpFoldResult size) {
  SmallVector<OpFoldResult> sizes = dims(input);
  SmallVector<OpFoldResult> offsets(sizes.size(), shape.attr(0));
  SmallVector<OpFoldResult> strides(sizes.size(), shape.attr(1));
  offsets[dimension] = offset;
  sizes[dimension] = size;
  return slice(input, offsets, sizes, strides);
}

Value Importer::pad(Value input, ArrayRef<OpFoldResult> low,
                    ArrayRef<OpFoldResult> high, Value padValue) {
  auto isZero = [](OpFoldResult size) { return isConstantIntValue(size, 0); };
  if (llvm::all_of(low, isZero) && llvm::all_of(high, isZero))
    return input;
  SmallVector<OpFoldResult> sizes = dims(input);
  for (auto [index, size] : llvm::enumerate(sizes))
    size = shape.add(size, shape.add(low[index], high[index]));
  auto element = cast<RankedTensorType>(input.getType()).getElementType();
  auto result = tensor::PadOp::create(b, tensorType(sizes, element), input, low,
                                      high, padValue);
  setDims(result, sizes);
  return result;
}

Value Importer::concat(const Node &node, ArrayRef<Value> inputs,
                       int64_t dimension) {
  SmallVector<OpFoldResult> sizes = dims(inputs.front());
  SmallVector<OpFoldResult> total = sizes;
  for (Value input : inputs.drop_front()) {
    SmallVector<OpFoldResult> others = dims(input);
    if (others.size() != sizes.size()) {
      error(node) << "cannot concatenate rank " << sizes.size() << " and rank "
                  << others.size();
      return nullptr;
    }
    for (int64_t i = 0, e = sizes.size(); i < e; ++i) {
      if (i == dimension) {
        total[i] = shape.add(total[i], others[i]);
        continue;
      }
      if (failed(requireEqual(node, sizes[i], others[i],
                              "dimension " + Twine(i) +
                                  " of concatenated tensors")))
        return nullptr;
      if (getConstantIntValue(others[i]))
        total[i] = others[i];
    }
  }
  // Empty pieces contribute nothing, and would be slices at the very end.
  SmallVector<Value> pieces =
      llvm::to_vector(llvm::make_filter_range(inputs, [&](Value input) {
        return !isConstantIntValue(dim(input, dimension), 0);
      }));
  if (pieces.empty())
    return inputs.front();
  if (pieces.size() == 1)
    return pieces.front();
  Value result = tensor::ConcatOp::create(b, dimension, pieces);
  auto element = cast<RankedTensorType>(result.getType()).getElementType();
  RankedTensorType wanted = tensorType(total, element);
  if (result.getType() != wanted)
    result = tensor::CastOp::create(b, wanted, result);
  setDims(result, total);
  return result;
}
