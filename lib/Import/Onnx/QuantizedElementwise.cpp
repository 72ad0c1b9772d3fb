// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Elementwise operators, pools and movements on quantized tensors, in the
// arithmetic of ONNX Runtime: dequantize, compute in float32, divide by the
// result's scale, round, add its zero point.
#include "Arithmetic.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "tamis/Support/QuantMath.h"

namespace mlir::tamis::onnx {

Value roundTo(Importer &im, Value scaled, Value zero, DType dtype) {
  auto type = cast<IntegerType>(im.elementType(dtype));
  return unary(im, scaled, type,
               [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                 return buildQuantize(b, b.getLoc(), args[0], zero, type,
                                      isUnsigned(dtype), type.getWidth());
               });
}

Value scaleAccumulator(Importer &im, Value acc, Value scale, int64_t dim) {
  Type f32 = im.b.getF32Type();
  bool vector = isa<TensorType>(scale.getType());
  return alongDim(im, acc, vector ? ArrayRef<Value>(scale) : ArrayRef<Value>(),
                  dim, f32,
                  [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                    return arith::MulFOp::create(b, castScalar(b, args[0], f32),
                                                 vector ? args[1] : scale);
                  });
}

namespace {

/// One quantized tensor of an operator.
struct Quantized {
  Value value;
  Value scale, zero; // scalars; zero may be null
  DType dtype = DType::Undefined;
  Value real(ImplicitLocOpBuilder &b, Value element) const {
    return dequantizeScalar(b, element, scale, zero, isUnsigned(dtype));
  }
  /// (element - zero) as i32.
  Value centred(ImplicitLocOpBuilder &b, Value element) const {
    Type i32 = b.getI32Type();
    Value wide = castScalar(b, element, i32, isUnsigned(dtype));
    if (!zero)
      return wide;
    return arith::SubIOp::create(b, wide,
                                 castScalar(b, zero, i32, isUnsigned(dtype)));
  }
};

/// Tensor, scale, zero point at three consecutive inputs.
FailureOr<Quantized> quantized(Importer &im, const Node &node, size_t first) {
  Quantized q;
  if (!im.has(node, first) || !im.has(node, first + 1))
    return im.error(node) << "expected a tensor and its scale as inputs "
                          << first << " and " << first + 1;
  ImportedValue x = im.in(node, first);
  q.dtype = x.dtype;
  if (!isInteger(q.dtype))
    return im.error(node) << "expected an integer tensor, got "
                          << dtypeName(q.dtype);
  q.value = im.tensor(x);
  auto scale = oneScalar(im, node, first + 1, "a scale");
  auto zero = oneScalar(im, node, first + 2, "a zero point");
  if (failed(scale) || failed(zero))
    return failure();
  if (!*scale || !isa<FloatType>(scale->getType()))
    return im.error(node) << "expected a float scale as input " << first + 1;
  if (*zero && zero->getType() != elementOf(q.value))
    return im.error(node) << "expected a zero point of type "
                          << dtypeName(q.dtype);
  q.scale = *scale;
  q.zero = *zero;
  return q;
}

/// Scale and zero point of the result; its type is that of the first input.
FailureOr<Quantized> target(Importer &im, const Node &node, size_t scaleInput,
                            DType dtype) {
  Quantized q;
  q.dtype = dtype;
  auto scale = oneScalar(im, node, scaleInput, "the result's scale");
  auto zero = oneScalar(im, node, scaleInput + 1, "the result's zero point");
  if (failed(scale) || failed(zero))
    return failure();
  if (!*scale || !isa<FloatType>(scale->getType()))
    return im.error(node) << "expected a float scale as input " << scaleInput;
  if (*zero && zero->getType() != im.elementType(dtype))
    return im.error(node) << "expected a zero point of type "
                          << dtypeName(dtype);
  q.scale = *scale;
  q.zero = *zero;
  return q;
}

/// `real / scale`, rounded, as an element of `q`.
Value toElement(ImplicitLocOpBuilder &b, const Quantized &q, Value scaled) {
  unsigned bits = dtypeBytes(q.dtype) * 8;
  return buildQuantize(b, b.getLoc(), scaled, q.zero, b.getIntegerType(bits),
                       isUnsigned(q.dtype), bits);
}

/// The zero point of `q` as a float32 scalar.
Value zeroAsFloat(ImplicitLocOpBuilder &b, const Quantized &q) {
  Type f32 = b.getF32Type();
  if (!q.zero)
    return Importer::constant(b, f32, 0);
  return isUnsigned(q.dtype) ? b.createOrFold<arith::UIToFPOp>(f32, q.zero)
                             : b.createOrFold<arith::SIToFPOp>(f32, q.zero);
}

/// `shifted` already holds the zero point: some operators of ONNX Runtime add
/// it before they round, which differs on ties.
Value roundShifted(ImplicitLocOpBuilder &b, const Quantized &q, Value shifted) {
  unsigned bits = dtypeBytes(q.dtype) * 8;
  return buildQuantize(b, b.getLoc(), shifted, nullptr, b.getIntegerType(bits),
                       isUnsigned(q.dtype), bits);
}

LogicalResult importQLinearMul(Importer &im, const Node &node) {
  auto x = quantized(im, node, 0), y = quantized(im, node, 3);
  if (failed(x) || failed(y))
    return failure();
  auto z = target(im, node, 6, x->dtype);
  if (failed(z))
    return failure();
  Value scale = multiplier(im, x->scale, y->scale, z->scale);
  Value zero = zeroAsFloat(im.b, *z);
  Value result = im.elementwise(
      node, ArrayRef<Value>{x->value, y->value}, elementOf(x->value),
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value product = arith::MulIOp::create(b, x->centred(b, args[0]),
                                              y->centred(b, args[1]));
        Value real = arith::SIToFPOp::create(b, b.getF32Type(), product);
        real = arith::MulFOp::create(b, real, scale);
        return roundShifted(b, *z, arith::AddFOp::create(b, real, zero));
      });
  if (!result)
    return failure();
  return im.out(node, 0, result, z->dtype);
}

/// x * (sx / sz) + (y * (sy / sz) + fixed), where `fixed` gathers the zero
/// points; fused multiply-adds throughout. This is bit for bit what ONNX
/// Runtime's vector kernel computes.
LogicalResult importQLinearAdd(Importer &im, const Node &node) {
  auto x = quantized(im, node, 0), y = quantized(im, node, 3);
  if (failed(x) || failed(y))
    return failure();
  auto z = target(im, node, 6, x->dtype);
  if (failed(z))
    return failure();
  ImplicitLocOpBuilder &outer = im.b;
  Type f32 = outer.getF32Type();
  Value xRatio = outer.createOrFold<arith::DivFOp>(x->scale, z->scale);
  Value yRatio = outer.createOrFold<arith::DivFOp>(y->scale, z->scale);
  Value yPart =
      outer.createOrFold<arith::MulFOp>(yRatio, zeroAsFloat(outer, *y));
  Value both =
      outer.createOrFold<math::FmaOp>(xRatio, zeroAsFloat(outer, *x), yPart);
  Value fixed = outer.createOrFold<arith::SubFOp>(zeroAsFloat(outer, *z), both);
  Value result = im.elementwise(
      node, ArrayRef<Value>{x->value, y->value}, elementOf(x->value),
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value first = castScalar(b, args[0], f32, isUnsigned(x->dtype));
        Value second = castScalar(b, args[1], f32, isUnsigned(y->dtype));
        Value sum = math::FmaOp::create(b, yRatio, second, fixed);
        return roundShifted(b, *z, math::FmaOp::create(b, xRatio, first, sum));
      });
  if (!result)
    return failure();
  return im.out(node, 0, result, z->dtype);
}

/// A function of one quantized tensor; inputs x, scale, zero, y scale, zero.
LogicalResult
importUnary(Importer &im, const Node &node,
            llvm::function_ref<Value(ImplicitLocOpBuilder &, Value)> function) {
  auto x = quantized(im, node, 0);
  if (failed(x))
    return failure();
  auto y = target(im, node, 3, x->dtype);
  if (failed(y))
    return failure();
  Value result =
      unary(im, x->value, elementOf(x->value),
            [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
              Value real = function(b, x->real(b, args[0]));
              return toElement(b, *y, arith::DivFOp::create(b, real, y->scale));
            });
  return im.out(node, 0, result, y->dtype);
}

LogicalResult importQLinearSigmoid(Importer &im, const Node &node) {
  return importUnary(im, node, sigmoid);
}

LogicalResult importQLinearLeakyRelu(Importer &im, const Node &node) {
  Activation leaky = *findActivation("LeakyRelu");
  leaky.alpha = im.getFloat(node, "alpha", 0.01f);
  return importUnary(im, node, [&](ImplicitLocOpBuilder &b, Value x) {
    return leaky.apply(b, x);
  });
}

LogicalResult importQLinearSoftmax(Importer &im, const Node &node) {
  auto x = quantized(im, node, 0);
  if (failed(x))
    return failure();
  auto y = target(im, node, 3, x->dtype);
  int64_t rank = rankOf(x->value);
  auto axis = im.axis(node, im.getInt(node, "axis", -1), rank);
  if (failed(y) || failed(axis))
    return failure();
  Value real = unary(im, x->value, im.b.getF32Type(),
                     [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                       return x->real(b, args[0]);
                     });
  bool one = im.getInt(node, "opset", 13) >= 13;
  Value p = softmax(im, node, real,
                    one ? SmallVector<int64_t>{*axis} : axesFrom(*axis, rank));
  if (!p)
    return failure();
  Value result = unary(
      im, p, elementOf(x->value),
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        return toElement(b, *y, arith::DivFOp::create(b, args[0], y->scale));
      });
  return im.out(node, 0, result, y->dtype);
}

LogicalResult importQLinearConcat(Importer &im, const Node &node) {
  if (node.inputs.size() < 5 || (node.inputs.size() - 2) % 3 != 0)
    return im.error(node) << "expected 2 + 3n inputs, got "
                          << node.inputs.size();
  SmallVector<Value> parts;
  DType dtype = im.in(node, 2).dtype;
  auto y = target(im, node, 0, dtype);
  if (failed(y))
    return failure();
  for (size_t i = 2; i < node.inputs.size(); i += 3) {
    auto x = quantized(im, node, i);
    if (failed(x))
      return failure();
    if (x->dtype != dtype)
      return im.error(node)
             << "expected tensors of one type, got " << dtypeName(dtype)
             << " and " << dtypeName(x->dtype);
    parts.push_back(unary(
        im, x->value, elementOf(x->value),
        [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
          return toElement(
              b, *y, arith::DivFOp::create(b, x->real(b, args[0]), y->scale));
        }));
  }
  auto axis = im.axis(node, im.getInt(node, "axis", 0), rankOf(parts[0]));
  if (failed(axis))
    return failure();
  Value result = im.concat(node, parts, *axis);
  if (!result)
    return failure();
  return im.out(node, 0, result, dtype);
}

/// condition ? x : z, both brought to the result's quantization.
LogicalResult importQLinearWhere(Importer &im, const Node &node) {
  ImportedValue condition = im.in(node, 0);
  if (condition.dtype != DType::Bool)
    return im.error(node) << "the condition must be bool, got "
                          << dtypeName(condition.dtype);
  auto x = quantized(im, node, 1), z = quantized(im, node, 4);
  if (failed(x) || failed(z))
    return failure();
  if (x->dtype != z->dtype)
    return im.error(node) << "expected tensors of one type, got "
                          << dtypeName(x->dtype) << " and "
                          << dtypeName(z->dtype);
  auto y = target(im, node, 7, x->dtype);
  if (failed(y))
    return failure();
  Value result = im.elementwise(
      node, ArrayRef<Value>{im.tensor(condition), x->value, z->value},
      elementOf(x->value), [&](ImplicitLocOpBuilder &b, ValueRange args) {
        Value real = arith::SelectOp::create(b, args[0], x->real(b, args[1]),
                                             z->real(b, args[2]));
        return toElement(b, *y, arith::DivFOp::create(b, real, y->scale));
      });
  return result ? im.out(node, 0, result, y->dtype) : failure();
}

/// Channels from the last position to position 1, or back.
Value moveChannels(Importer &im, Value x, bool toFront) {
  int64_t rank = rankOf(x);
  SmallVector<int64_t> permutation{0};
  if (toFront) {
    permutation.push_back(rank - 1);
    permutation.append(axesFrom(1, rank - 1));
  } else {
    permutation.append(axesFrom(2, rank));
    permutation.push_back(1);
  }
  return im.transpose(x, permutation);
}

LogicalResult importQLinearGlobalAveragePool(Importer &im, const Node &node) {
  auto x = quantized(im, node, 0);
  if (failed(x))
    return failure();
  auto y = target(im, node, 3, x->dtype);
  if (failed(y))
    return failure();
  int64_t rank = rankOf(x->value);
  if (rank < 3)
    return im.error(node) << "expected an input of rank 3 or more, got rank "
                          << rank;
  bool last = im.getInt(node, "channels_last", 0) != 0;
  auto axes = last ? axesFrom(1, rank - 1) : axesFrom(2, rank);
  Type i32 = im.b.getI32Type(), f32 = im.b.getF32Type();
  Value total =
      im.reduce(x->value, axes, /*keepDims=*/true, im.constant(i32, 0),
                [&](ImplicitLocOpBuilder &b, Value acc, Value q) -> Value {
                  return arith::AddIOp::create(b, acc, x->centred(b, q));
                });
  Value n = count(im, x->value, axes, f32);
  Value scale = im.b.createOrFold<arith::DivFOp>(
      x->scale, im.b.createOrFold<arith::MulFOp>(y->scale, n));
  return im.out(node, 0,
                requantize(im, total, nullptr, scale, y->zero, 0, y->dtype),
                y->dtype);
}

/// How many cells of the input the window at a result position covers.
Value coverage(ImplicitLocOpBuilder &b, const Window &w, ArrayRef<int64_t> low,
               ArrayRef<Value> in) {
  Value n;
  for (int64_t i = 0; i < w.rank; ++i) {
    auto c = [&](int64_t value) -> Value {
      return arith::ConstantIndexOp::create(b, value);
    };
    Value at = linalg::IndexOp::create(b, i + 2);
    Value start = arith::SubIOp::create(
        b, arith::MulIOp::create(b, at, c(w.strides[i])), c(low[i]));
    Value end = arith::MinSIOp::create(
        b, arith::AddIOp::create(b, start, c(w.kernel[i])), in[i]);
    Value length =
        arith::SubIOp::create(b, end, arith::MaxSIOp::create(b, start, c(0)));
    n = n ? arith::MulIOp::create(b, n, length).getResult() : length;
  }
  Value wide = arith::IndexCastOp::create(b, b.getI32Type(), n);
  return arith::SIToFPOp::create(b, b.getF32Type(), wide);
}

/// Adds the windows that only begin within the input or its low padding.
void roundUp(ShapeMath &s, Window &w, ArrayRef<OpFoldResult> in) {
  for (int64_t i = 0; i < w.rank; ++i) {
    OpFoldResult extent = s.attr(w.extent(i)), stride = s.attr(w.strides[i]);
    OpFoldResult begin = s.add(in[i], w.low[i]);
    OpFoldResult room = s.sub(s.add(begin, w.high[i]), extent);
    OpFoldResult out = s.min(s.add(s.ceilDiv(room, stride), s.attr(1)),
                             s.ceilDiv(begin, stride));
    w.out[i] = s.max(out, s.attr(0));
    OpFoldResult end = s.add(s.mul(s.sub(w.out[i], s.attr(1)), stride), extent);
    w.high[i] = s.max(s.sub(end, begin), s.attr(0));
  }
}

LogicalResult importQLinearAveragePool(Importer &im, const Node &node) {
  auto x = quantized(im, node, 0);
  if (failed(x))
    return failure();
  auto y = target(im, node, 3, x->dtype);
  if (failed(y))
    return failure();
  bool last = im.getInt(node, "channels_last", 0) != 0;
  bool includePad = im.getInt(node, "count_include_pad", 0) != 0;
  Value input = last ? moveChannels(im, x->value, true) : x->value;
  int64_t rank = rankOf(input) - 2;
  if (rank < 1)
    return im.error(node) << "expected an input of rank 3 or more, got rank "
                          << rank + 2;
  auto w = readWindow(im, node, rank, {});
  Sizes sizes = im.dims(input);
  ArrayRef<OpFoldResult> spatial = ArrayRef<OpFoldResult>(sizes).drop_front(2);
  if (failed(w) || failed(placeWindow(im, node, *w, spatial)))
    return failure();
  if (im.getInt(node, "ceil_mode", 0) != 0)
    roundUp(im.shape, *w, spatial);
  SmallVector<int64_t> lows;
  for (OpFoldResult size : w->low) {
    if (!ShapeMath::constant(size))
      return im.error(node) << "expected padding known at compile time";
    lows.push_back(*ShapeMath::constant(size));
  }
  ImplicitLocOpBuilder &b = im.b;
  Type f32 = b.getF32Type();
  Value wide = unary(im, input, f32,
                     [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                       return x->real(b, args[0]);
                     });
  Sizes low(2, im.shape.attr(0)), high(2, im.shape.attr(0));
  low.append(w->low);
  high.append(w->high);
  Value padded = im.pad(wide, low, high, im.constant(f32, 0));
  SmallVector<AffineExpr> read{b.getAffineDimExpr(0), b.getAffineDimExpr(1)};
  SmallVector<AffineExpr> taps;
  Sizes outSizes{sizes[0], sizes[1]}, kernel;
  unsigned loops = 2 * rank + 2;
  for (int64_t i = 0; i < rank; ++i) {
    taps.push_back(b.getAffineDimExpr(2 + rank + i));
    read.push_back(b.getAffineDimExpr(2 + i) * w->strides[i] + taps.back());
    outSizes.push_back(w->out[i]);
    kernel.push_back(im.shape.attr(w->kernel[i]));
  }
  MLIRContext *context = b.getContext();
  SmallVector<AffineMap> maps = {
      AffineMap::get(loops, 0, read, context),
      AffineMap::get(loops, 0, taps, context),
      AffineMap::getMultiDimIdentityMap(loops, context)
          .getMajorSubMap(rank + 2)};
  SmallVector<utils::IteratorType> iterators(rank + 2,
                                             utils::IteratorType::parallel);
  iterators.append(rank, utils::IteratorType::reduction);
  Value init = im.fill(outSizes, im.constant(f32, 0));
  auto summed = linalg::GenericOp::create(
      b, init.getType(), ValueRange{padded, im.empty(kernel, f32)}, init, maps,
      iterators, [&](OpBuilder &nested, Location loc, ValueRange args) {
        linalg::YieldOp::create(
            nested, loc,
            arith::AddFOp::create(nested, loc, args[2], args[0]).getResult());
      });
  im.setDims(summed.getResult(0), outSizes);
  int64_t whole = 1;
  for (int64_t size : w->kernel)
    whole *= size;
  SmallVector<Value> in;
  for (int64_t i = 0; i < rank; ++i)
    in.push_back(im.shape.value(sizes[2 + i]));
  Value zero = zeroAsFloat(b, *y);
  Value result =
      unary(im, summed.getResult(0), elementOf(input),
            [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
              Value n = includePad ? Importer::constant(b, f32, whole)
                                   : coverage(b, *w, lows, in);
              Value real = arith::DivFOp::create(b, args[0], n);
              real = arith::DivFOp::create(b, real, y->scale);
              return roundShifted(b, *y, arith::AddFOp::create(b, real, zero));
            });
  return im.out(node, 0, last ? moveChannels(im, result, false) : result,
                y->dtype);
}

} // namespace

void registerQuantizedElementwise(OpTable &table) {
  StringRef ms = "com.microsoft";
  table.add({ms, "QLinearAdd", 1, {1, 8}, importQLinearAdd});
  table.add({ms, "QLinearMul", 1, {1, 8}, importQLinearMul});
  table.add({ms, "QLinearSigmoid", 1, {1, 5}, importQLinearSigmoid});
  table.add({ms, "QLinearLeakyRelu", 1, {1, 5}, importQLinearLeakyRelu});
  table.add({ms, "QLinearSoftmax", 1, {1, 5}, importQLinearSoftmax});
  table.add({ms, "QLinearWhere", 1, {9, 9}, importQLinearWhere});
  table.add({ms, "QLinearConcat", 1, {5, -1}, importQLinearConcat});
  table.add({ms,
             "QLinearGlobalAveragePool",
             1,
             {1, 5},
             importQLinearGlobalAveragePool});
  table.add({ms, "QLinearAveragePool", 1, {1, 5}, importQLinearAveragePool});
}

} // namespace mlir::tamis::onnx
