// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Softmax, LogSoftmax, Hardmax: over one axis from opset 13 on, over all from
// `axis` to the last before.
#include "Arithmetic.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <limits>

namespace mlir::tamis::onnx {

Value logSoftmax(Importer &im, const Node &node, Value input,
                 ArrayRef<int64_t> axes) {
  Type element = elementOf(input), type = computeType(element);
  Value highest = maximum(im, input, axes);
  Value shifted = im.elementwise(
      node, ArrayRef<Value>{input, highest}, type,
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        return arith::SubFOp::create(b, castScalar(b, args[0], type), args[1]);
      });
  Value total = im.reduce(
      shifted, axes, /*keepDims=*/true, im.constant(type, 0),
      [&](ImplicitLocOpBuilder &b, Value acc, Value value) -> Value {
        return arith::AddFOp::create(b, acc, math::ExpOp::create(b, value));
      });
  Value log = unary(im, total, type,
                    [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                      return math::LogOp::create(b, args[0]);
                    });
  return im.elementwise(node, ArrayRef<Value>{shifted, log}, element,
                        [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                          return castScalar(
                              b, arith::SubFOp::create(b, args[0], args[1]),
                              element);
                        });
}

namespace {

/// The reduced axes, or a reported failure.
FailureOr<SmallVector<int64_t>> softmaxAxes(Importer &im, const Node &node,
                                            const ImportedValue &x) {
  int64_t rank = rankOf(im.tensor(x));
  if (!isFloat(x.dtype))
    return im.error(node) << "expected a float tensor, got "
                          << dtypeName(x.dtype);
  bool one = im.opset(node) >= 13;
  int64_t value = im.getInt(node, "axis", one ? -1 : 1);
  if (rank == 0 && (value == 0 || value == -1))
    return SmallVector<int64_t>();
  // Coercion to a matrix takes the rank itself too: rows of one element.
  if (!one && value == rank)
    return SmallVector<int64_t>();
  FailureOr<int64_t> axis = im.axis(node, value, rank);
  if (failed(axis))
    return failure();
  return one ? SmallVector<int64_t>{*axis} : axesFrom(*axis, rank);
}

LogicalResult importSoftmax(Importer &im, const Node &node) {
  ImportedValue x = im.in(node, 0);
  auto axes = softmaxAxes(im, node, x);
  if (failed(axes))
    return failure();
  Value y = softmax(im, node, im.tensor(x), *axes);
  if (!y)
    return failure();
  return im.out(node, 0, y, x.dtype);
}

LogicalResult importLogSoftmax(Importer &im, const Node &node) {
  ImportedValue x = im.in(node, 0);
  auto axes = softmaxAxes(im, node, x);
  if (failed(axes))
    return failure();
  Value y = logSoftmax(im, node, im.tensor(x), *axes);
  return y ? im.out(node, 0, y, x.dtype) : failure();
}

/// The position within `axes` of each element, row-major, as int64.
Value positions(Importer &im, ArrayRef<OpFoldResult> sizes,
                ArrayRef<int64_t> axes) {
  SmallVector<Value> extents;
  for (int64_t axis : axes)
    extents.push_back(im.shape.value(sizes[axis]));
  Type type = im.b.getI64Type();
  return generic(im, {}, {}, sizes, type,
                 [&](ImplicitLocOpBuilder &b, ValueRange) -> Value {
                   Value at = arith::ConstantIndexOp::create(b, 0);
                   for (auto [axis, extent] : llvm::zip(axes, extents)) {
                     at = arith::MulIOp::create(b, at, extent);
                     at = arith::AddIOp::create(
                         b, at, linalg::IndexOp::create(b, axis));
                   }
                   return arith::IndexCastOp::create(b, type, at);
                 });
}

LogicalResult importHardmax(Importer &im, const Node &node) {
  ImportedValue x = im.in(node, 0);
  auto axes = softmaxAxes(im, node, x);
  if (failed(axes))
    return failure();
  Value input = im.tensor(x);
  Type element = elementOf(input), type = computeType(element);
  Type i64 = im.b.getI64Type();
  Value highest = maximum(im, input, *axes);
  Value at = positions(im, im.dims(input), *axes);
  // Only the first of several equal maxima counts.
  int64_t never = std::numeric_limits<int64_t>::max();
  Value candidates = im.elementwise(
      node, ArrayRef<Value>{input, highest, at}, i64,
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value isMax =
            arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ,
                                  castScalar(b, args[0], type), args[1]);
        return arith::SelectOp::create(b, isMax, args[2],
                                       Importer::constantInt(b, i64, never));
      });
  Value first =
      im.reduce(candidates, *axes, /*keepDims=*/true,
                Importer::constantInt(im.b, i64, never),
                [&](ImplicitLocOpBuilder &b, Value acc, Value value) -> Value {
                  return arith::MinSIOp::create(b, acc, value);
                });
  Value y = im.elementwise(
      node, ArrayRef<Value>{at, first}, element,
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value hit = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, args[0],
                                          args[1]);
        return arith::SelectOp::create(b, hit,
                                       Importer::constant(b, element, 1),
                                       Importer::constant(b, element, 0));
      });
  if (!y)
    return failure();
  return im.out(node, 0, y, x.dtype);
}

} // namespace

void registerSoftmax(OpTable &table) {
  table.add({"", "Softmax", 1, {1, 1}, importSoftmax});
  table.add({"", "LogSoftmax", 1, {1, 1}, importLogSoftmax});
  table.add({"", "Hardmax", 1, {1, 1}, importHardmax});
}

} // namespace mlir::tamis::onnx
