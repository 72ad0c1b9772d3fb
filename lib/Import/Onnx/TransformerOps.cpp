// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The fused operators that ONNX Runtime's transformer optimizer writes: GELU
// with its bias, layer norms with the residual sum before them.
#include "Arithmetic.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace mlir::tamis::onnx {

namespace {

using ScalarFn = llvm::function_ref<Value(ImplicitLocOpBuilder &, Value)>;

/// function(x + bias), the bias (input 1) being optional.
LogicalResult importActivation(Importer &im, const Node &node,
                               ScalarFn function) {
  ImportedValue x = im.in(node, 0);
  if (!isFloat(x.dtype))
    return im.error(node) << "expected a float tensor, got "
                          << dtypeName(x.dtype);
  Type element = im.elementType(x.dtype), type = computeType(element);
  SmallVector<Value> operands{im.tensor(x)};
  if (im.has(node, 1))
    operands.push_back(im.tensor(node, 1));
  Value y = im.elementwise(
      node, operands, element,
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value value = castScalar(b, args[0], type);
        if (args.size() > 1)
          value = arith::AddFOp::create(b, value, castScalar(b, args[1], type));
        return castScalar(b, function(b, value), element);
      });
  if (!y)
    return failure();
  return im.out(node, 0, y, x.dtype);
}

LogicalResult importGelu(Importer &im, const Node &node) {
  return importActivation(im, node, geluErf);
}

LogicalResult importFastGelu(Importer &im, const Node &node) {
  return importActivation(im, node, geluTanh);
}

LogicalResult importQuickGelu(Importer &im, const Node &node) {
  double alpha = im.getFloat(node, "alpha", 1.702f);
  return importActivation(
      im, node, [&](ImplicitLocOpBuilder &b, Value x) -> Value {
        Value scaled = arith::MulFOp::create(
            b, x, Importer::constant(b, x.getType(), alpha));
        return arith::MulFOp::create(b, x, sigmoid(b, scaled));
      });
}

/// Layer or root-mean-square norm of input + skip (+ bias). Inputs: input,
/// skip, gamma, [beta,] bias. Outputs: y, mean, inverse deviation, sum.
LogicalResult importSkipNorm(Importer &im, const Node &node, bool simplified) {
  ImportedValue x = im.in(node, 0);
  if (!isFloat(x.dtype))
    return im.error(node) << "expected a float tensor, got "
                          << dtypeName(x.dtype);
  Type element = im.elementType(x.dtype), type = computeType(element);
  size_t biasInput = simplified ? 3 : 4;
  SmallVector<Value> operands{im.tensor(x), im.tensor(node, 1)};
  if (im.has(node, biasInput))
    operands.push_back(im.tensor(node, biasInput));
  Value total = im.elementwise(
      node, operands, type,
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value sum = castScalar(b, args[0], type);
        for (Value other : args.drop_front())
          sum = arith::AddFOp::create(b, sum, castScalar(b, other, type));
        return sum;
      });
  if (!total)
    return failure();
  double epsilon = im.getFloat(node, "epsilon", 1e-12f);
  SmallVector<int64_t> last{rankOf(total) - 1};
  Value y;
  if (simplified) {
    y = rmsNormalize(im, node, total, last, epsilon, im.tensor(node, 2));
    y = y ? convert(im, y, element) : y;
  } else {
    Standardized s = standardize(im, node, total, last, epsilon);
    y = scaleAndShift(im, node, s.centred, s.inverse, im.tensor(node, 2),
                      im.has(node, 3) ? im.tensor(node, 3) : Value(), element);
    if (im.wants(node, 1) && failed(im.out(node, 1, s.mean, DType::Float)))
      return failure();
    if (im.wants(node, 2) && failed(im.out(node, 2, s.inverse, DType::Float)))
      return failure();
  }
  if (!y || failed(im.out(node, 0, y, x.dtype)))
    return failure();
  if (simplified && (im.wants(node, 1) || im.wants(node, 2)))
    return im.error(node) << "the statistics outputs are not supported";
  return im.wants(node, 3)
             ? im.out(node, 3, convert(im, total, element), x.dtype)
             : success();
}

LogicalResult importSkipLayerNorm(Importer &im, const Node &node) {
  return importSkipNorm(im, node, false);
}

LogicalResult importSkipSimplifiedLayerNorm(Importer &im, const Node &node) {
  return importSkipNorm(im, node, true);
}

LogicalResult importSimplifiedLayerNorm(Importer &im, const Node &node) {
  ImportedValue x = im.in(node, 0);
  Value input = im.tensor(x);
  auto axis = im.axis(node, im.getInt(node, "axis", -1), rankOf(input));
  if (failed(axis))
    return failure();
  if (!isFloat(x.dtype))
    return im.error(node) << "expected a float tensor, got "
                          << dtypeName(x.dtype);
  if (im.wants(node, 1))
    return im.error(node) << "the statistics output is not supported";
  Value y =
      rmsNormalize(im, node, input, axesFrom(*axis, rankOf(input)),
                   im.getFloat(node, "epsilon", 1e-5f), im.tensor(node, 1));
  if (!y)
    return failure();
  return im.out(node, 0, y, x.dtype);
}

/// Rows of `table` picked by the (batch, sequence) tensor `ids`, as floats.
FailureOr<Value> embed(Importer &im, const Node &node, Value table, Value ids,
                       ArrayRef<OpFoldResult> batchAndSteps, StringRef name) {
  if (failed(im.requireRank(node, table, 2, name)))
    return failure();
  im.checkIndices(ids, im.dim(table, 0));
  Value rows = im.shape.value(im.dim(table, 0));
  Sizes sizes(batchAndSteps);
  sizes.push_back(im.dim(table, 1));
  bool shared = ShapeMath::constant(im.dim(ids, 0)) == 1;
  return im.gatherLike(
      table, sizes, [&](ImplicitLocOpBuilder &b, ValueRange at) {
        Value batch = at[0];
        if (shared)
          batch = arith::ConstantIndexOp::create(b, 0);
        Value id = tensor::ExtractOp::create(b, ids, ValueRange{batch, at[1]});
        id = arith::IndexCastOp::create(b, b.getIndexType(), id);
        return SmallVector<Value>{Importer::clampIndex(b, id, rows), at[2]};
      });
}

LogicalResult importEmbedLayerNorm(Importer &im, const Node &node) {
  // input_ids, segment_ids, word, position, segment, gamma, beta, mask,
  // position_ids
  Value ids = im.tensor(node, 0);
  if (failed(im.requireRank(node, ids, 2, "input_ids")))
    return failure();
  if (im.wants(node, 1) && im.has(node, 7))
    return im.error(node) << "the mask index is not supported";
  Sizes sizes = im.dims(ids);
  auto words = embed(im, node, im.tensor(node, 2), ids, sizes, "the words");
  if (failed(words))
    return failure();
  Value positionTable = im.tensor(node, 3);
  FailureOr<Value> positions;
  if (im.has(node, 8)) {
    positions = embed(im, node, positionTable, im.tensor(node, 8), sizes,
                      "the positions");
  } else {
    if (failed(im.requireRank(node, positionTable, 2, "the positions")))
      return failure();
    positions = im.sliceDim(positionTable, 0, im.shape.attr(0), sizes[1]);
  }
  if (failed(positions))
    return failure();
  SmallVector<Value> operands{*words, *positions};
  if (im.has(node, 1) && im.has(node, 4)) {
    auto segments = embed(im, node, im.tensor(node, 4), im.tensor(node, 1),
                          sizes, "the segments");
    if (failed(segments))
      return failure();
    operands.push_back(*segments);
  }
  Type element = elementOf(*words), type = computeType(element);
  Value total = im.elementwise(
      node, operands, type,
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value sum = castScalar(b, args[0], type);
        for (Value other : args.drop_front())
          sum = arith::AddFOp::create(b, sum, castScalar(b, other, type));
        return sum;
      });
  if (!total)
    return failure();
  Standardized s =
      standardize(im, node, total, {2}, im.getFloat(node, "epsilon", 1e-12f));
  Value y = scaleAndShift(im, node, s.centred, s.inverse, im.tensor(node, 5),
                          im.tensor(node, 6), element);
  DType dtype = im.in(node, 2).dtype;
  if (!y || failed(im.out(node, 0, y, dtype)))
    return failure();
  if (im.wants(node, 1)) {
    // Without a mask its index is zero for every batch entry.
    Type i32 = im.b.getI32Type();
    if (failed(im.out(node, 1, im.fill({sizes[0]}, im.constant(i32, 0)),
                      DType::Int32)))
      return failure();
  }
  return im.wants(node, 2) ? im.out(node, 2, convert(im, total, element), dtype)
                           : success();
}

} // namespace

void registerTransformerOps(OpTable &table) {
  StringRef ms = "com.microsoft";
  table.add({ms, "Gelu", 1, {1, 1}, importGelu});
  table.add({ms, "BiasGelu", 1, {2, 2}, importGelu});
  table.add({ms, "FastGelu", 1, {1, 2}, importFastGelu});
  table.add({ms, "QuickGelu", 1, {1, 1}, importQuickGelu});
  table.add({ms, "SkipLayerNormalization", 1, {3, 5}, importSkipLayerNorm});
  table.add({ms,
             "SkipSimplifiedLayerNormalization",
             1,
             {3, 4},
             importSkipSimplifiedLayerNorm});
  // ONNX Runtime puts this one into the default domain.
  table.add({"",
             "SimplifiedLayerNormalization",
             1,
             {2, 2},
             importSimplifiedLayerNorm});
  table.add({ms, "EmbedLayerNormalization", 1, {7, 9}, importEmbedLayerNorm});
}

} // namespace mlir::tamis::onnx
