// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The cells: LSTM, GRU, RNN, and ONNX Runtime's LSTM on integer weights, which
// quantizes input and state as it goes.
#include "Recurrent.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace mlir::tamis::onnx {

namespace {

/// What LSTM cells read besides the products.
struct Peepholes {
  Value i, o, f; // rank-1 tensors or null
};

/// Input `index` with dimensions `sizes`, where -1 is any; null if absent.
FailureOr<Value> operand(Importer &im, const Node &node, size_t index,
                         StringRef name, ArrayRef<int64_t> sizes) {
  if (!im.has(node, index))
    return Value();
  Value value = im.tensor(node, index);
  if (failed(im.requireRank(node, value, sizes.size(), name)))
    return failure();
  for (auto [i, size] : llvm::enumerate(sizes))
    if (size >= 0 &&
        failed(im.requireEqual(node, im.dim(value, i), im.shape.attr(size),
                               "a dimension of " + name)))
      return failure();
  return value;
}

/// The size `index` of the weights `name`, which must be known.
FailureOr<int64_t> knownDim(Importer &im, const Node &node, size_t input,
                            int64_t index, StringRef name) {
  Value value = im.tensor(node, input);
  if (failed(im.requireRank(node, value, 3, name)))
    return failure();
  auto size = ShapeMath::constant(im.dim(value, index));
  if (!size)
    return im.error(node) << "expected known sizes of " << name;
  return *size;
}

/// Reads the frame of an operator with float weights W, R and B.
LogicalResult readFrame(Recurrence &r, ArrayRef<StringRef> defaults) {
  auto hidden = knownDim(r.im, r.node, 2, 2, "R");
  auto directions = knownDim(r.im, r.node, 2, 0, "R");
  if (failed(hidden) || failed(directions) ||
      failed(r.read(*hidden, *directions, defaults)))
    return failure();
  int64_t rows = r.gates * r.hidden;
  if (failed(operand(r.im, r.node, 1, "W", {r.directions, rows, -1})) ||
      failed(operand(r.im, r.node, 2, "R", {r.directions, rows, r.hidden})) ||
      failed(operand(r.im, r.node, 3, "B", {r.directions, 2 * rows})))
    return failure();
  for (size_t i = 1; i < 4; ++i)
    if (r.im.has(r.node, i) && r.im.in(r.node, i).dtype != r.dtype)
      return r.im.error(r.node)
             << "expected input " << i << " of type " << dtypeName(r.dtype)
             << ", got " << dtypeName(r.im.in(r.node, i).dtype);
  return r.im.requireEqual(r.node, r.im.dim(r.im.tensor(r.node, 1), 2),
                           r.im.dim(r.x, 2), "the size of the input");
}

/// The two halves of the bias of direction `d`, null without one.
std::pair<Value, Value> biases(Recurrence &r, int64_t d) {
  if (!r.im.has(r.node, 3))
    return {};
  Value both = r.direction(r.im.tensor(r.node, 3), d);
  OpFoldResult half = r.im.shape.attr(r.gates * r.hidden);
  return {r.im.sliceDim(both, 0, r.im.shape.attr(0), half),
          r.im.sliceDim(both, 0, half, half)};
}

Value addVectors(Importer &im, Value a, Value b) {
  return alongDim(im, a, {b}, 0, elementOf(a),
                  [](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                    return arith::AddFOp::create(b, args[0], args[1]);
                  });
}

/// x * W^T (+ bias) over all steps: (steps, batch, rows).
FailureOr<Value> project(Recurrence &r, int64_t d, Value bias) {
  Value w = r.direction(r.im.tensor(r.node, 1), d);
  FailureOr<Value> product = matmul(r.im, r.node, {r.x}, {w}, false, true);
  if (failed(product) || !bias)
    return product;
  return alongDim(r.im, *product, {bias}, 2, r.type,
                  [](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                    return arith::AddFOp::create(b, args[0], args[1]);
                  });
}

Value addTensors(Importer &im, Value a, Value b) {
  auto identity = im.b.getMultiDimIdentityMap(rankOf(a));
  return generic(im, {a, b}, {identity, identity}, im.dims(a), elementOf(a),
                 [](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                   return arith::AddFOp::create(b, args[0], args[1]);
                 });
}

/// New c and h from the summed gates (order i, o, f, c) and the old states.
void lstmStep(Recurrence &r, int64_t d, Value sums, const Peepholes &p,
              bool coupled, ArrayRef<Value> old,
              SmallVectorImpl<Value> &fresh) {
  Importer &im = r.im;
  ImplicitLocOpBuilder &builder = im.b;
  Sizes sizes = im.dims(old[0]);
  AffineMap cell = builder.getMultiDimIdentityMap(2);
  AffineMap column = AffineMap::get(2, 0, builder.getAffineDimExpr(1));
  auto withPeephole = [&](ImplicitLocOpBuilder &b, Value sum, Value weight,
                          Value c) -> Value {
    if (weight)
      sum = arith::AddFOp::create(b, sum, arith::MulFOp::create(b, weight, c));
    return r.clipped(b, sum);
  };
  SmallVector<Value> inputs{r.gate(sums, 0), r.gate(sums, 2), r.gate(sums, 3),
                            old[1]};
  SmallVector<AffineMap> maps(4, cell);
  if (p.i) {
    inputs.append({p.i, p.f});
    maps.append(2, column);
  }
  Value c = generic(
      im, inputs, maps, sizes, r.type,
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value peepI = p.i ? args[4] : Value(), peepF = p.i ? args[5] : Value();
        Value i = r.activation(d, 0).apply(
            b, withPeephole(b, args[0], peepI, args[3]));
        Value f;
        if (coupled)
          f = arith::SubFOp::create(b, Importer::constant(b, r.type, 1), i);
        else
          f = r.activation(d, 0).apply(
              b, withPeephole(b, args[1], peepF, args[3]));
        Value candidate = r.activation(d, 1).apply(b, r.clipped(b, args[2]));
        return arith::AddFOp::create(b, arith::MulFOp::create(b, f, args[3]),
                                     arith::MulFOp::create(b, i, candidate));
      });
  inputs.assign({r.gate(sums, 1), c});
  maps.assign(2, cell);
  if (p.o) {
    inputs.push_back(p.o);
    maps.push_back(column);
  }
  Value h = generic(im, inputs, maps, sizes, r.type,
                    [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                      Value peepO = p.o ? args[2] : Value();
                      Value o = r.activation(d, 0).apply(
                          b, withPeephole(b, args[0], peepO, args[1]));
                      return arith::MulFOp::create(
                          b, o, r.activation(d, 2).apply(b, args[1]));
                    });
  fresh.assign({h, c});
}

FailureOr<Peepholes> readPeepholes(Recurrence &r, int64_t d) {
  auto all = operand(r.im, r.node, 7, "P", {r.directions, 3 * r.hidden});
  if (failed(all))
    return failure();
  Peepholes p;
  if (!*all)
    return p;
  Value one = r.direction(*all, d);
  auto part = [&](int64_t index) {
    return r.im.sliceDim(one, 0, r.im.shape.attr(index * r.hidden),
                         r.im.shape.attr(r.hidden));
  };
  p.i = part(0);
  p.o = part(1);
  p.f = part(2);
  return p;
}

LogicalResult importLSTM(Importer &im, const Node &node) {
  Recurrence r(im, node, 4, 2);
  if (failed(readFrame(r, {"Sigmoid", "Tanh", "Tanh"})))
    return failure();
  bool coupled = im.getInt(node, "input_forget", 0) != 0;
  for (int64_t d = 0; d < r.directions; ++d) {
    auto [wb, rb] = biases(r, d);
    auto projected = project(r, d, wb ? addVectors(im, wb, rb) : Value());
    auto peepholes = readPeepholes(r, d);
    if (failed(projected) || failed(peepholes))
      return failure();
    Value weights = r.direction(im.tensor(node, 2), d);
    auto step = [&](Value input, ArrayRef<Value> old,
                    SmallVectorImpl<Value> &fresh) -> LogicalResult {
      auto product = matmul(im, node, {old[0]}, {weights}, false, true);
      if (failed(product))
        return failure();
      lstmStep(r, d, addTensors(im, *product, input), *peepholes, coupled, old,
               fresh);
      return success();
    };
    if (failed(r.loop(d, *projected, step)))
      return failure();
  }
  return r.finish();
}

LogicalResult importRNN(Importer &im, const Node &node) {
  Recurrence r(im, node, 1, 1);
  if (failed(readFrame(r, {"Tanh"})))
    return failure();
  for (int64_t d = 0; d < r.directions; ++d) {
    auto [wb, rb] = biases(r, d);
    auto projected = project(r, d, wb ? addVectors(im, wb, rb) : Value());
    if (failed(projected))
      return failure();
    Value weights = r.direction(im.tensor(node, 2), d);
    auto step = [&](Value input, ArrayRef<Value> old,
                    SmallVectorImpl<Value> &fresh) -> LogicalResult {
      auto product = matmul(im, node, {old[0]}, {weights}, false, true);
      if (failed(product))
        return failure();
      auto identity = im.b.getMultiDimIdentityMap(2);
      fresh.push_back(generic(
          im, {*product, input}, {identity, identity}, im.dims(old[0]), r.type,
          [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
            Value sum = arith::AddFOp::create(b, args[0], args[1]);
            return r.activation(d, 0).apply(b, r.clipped(b, sum));
          }));
      return success();
    };
    if (failed(r.loop(d, *projected, step)))
      return failure();
  }
  return r.finish();
}

/// What one direction of a GRU multiplies its state with.
struct GruWeights {
  Value all;         // (3 * hidden, hidden), gates z, r, h
  Value gates, last; // its rows for z and r, and for h
  Value lastBias;    // added inside the reset, or null
};

/// z, r and the candidate from the products; h = (1 - z) * candidate + z * old.
LogicalResult gruStep(Recurrence &r, int64_t d, const GruWeights &w,
                      bool resetAfter, Value input, Value old,
                      SmallVectorImpl<Value> &fresh) {
  Importer &im = r.im;
  Sizes sizes = im.dims(old);
  AffineMap cell = im.b.getMultiDimIdentityMap(2);
  AffineMap column = AffineMap::get(2, 0, im.b.getAffineDimExpr(1));
  auto product =
      matmul(im, r.node, {old}, {resetAfter ? w.all : w.gates}, false, true);
  if (failed(product))
    return failure();
  auto gateOf = [&](ImplicitLocOpBuilder &b, Value x, Value y) -> Value {
    return r.activation(d, 0).apply(
        b, r.clipped(b, arith::AddFOp::create(b, x, y)));
  };
  auto slice = [&](int64_t g) {
    return im.sliceDim(*product, 1, im.shape.attr(g * r.hidden),
                       im.shape.attr(r.hidden));
  };
  auto mix = [&](ImplicitLocOpBuilder &b, Value z, Value candidate,
                 Value h) -> Value {
    Value keep = arith::SubFOp::create(b, Importer::constant(b, r.type, 1), z);
    return arith::AddFOp::create(b, arith::MulFOp::create(b, keep, candidate),
                                 arith::MulFOp::create(b, z, h));
  };
  if (resetAfter) {
    SmallVector<Value> inputs{r.gate(input, 0),
                              slice(0),
                              r.gate(input, 1),
                              slice(1),
                              r.gate(input, 2),
                              slice(2),
                              old};
    SmallVector<AffineMap> maps(7, cell);
    if (w.lastBias) {
      inputs.push_back(w.lastBias);
      maps.push_back(column);
    }
    fresh.push_back(generic(
        im, inputs, maps, sizes, r.type,
        [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
          Value z = gateOf(b, args[0], args[1]);
          Value reset = gateOf(b, args[2], args[3]);
          Value inner = args[5];
          if (args.size() > 7)
            inner = arith::AddFOp::create(b, inner, args[7]);
          Value sum = arith::AddFOp::create(
              b, args[4], arith::MulFOp::create(b, reset, inner));
          Value candidate = r.activation(d, 1).apply(b, r.clipped(b, sum));
          return mix(b, z, candidate, args[6]);
        }));
    return success();
  }
  Value kept = generic(
      im, {r.gate(input, 1), slice(1), old}, {cell, cell, cell}, sizes, r.type,
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        return arith::MulFOp::create(b, gateOf(b, args[0], args[1]), args[2]);
      });
  auto second = matmul(im, r.node, {kept}, {w.last}, false, true);
  if (failed(second))
    return failure();
  fresh.push_back(generic(
      im, {r.gate(input, 0), slice(0), r.gate(input, 2), *second, old},
      SmallVector<AffineMap>(5, cell), sizes, r.type,
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value z = gateOf(b, args[0], args[1]);
        Value sum = arith::AddFOp::create(b, args[2], args[3]);
        Value candidate = r.activation(d, 1).apply(b, r.clipped(b, sum));
        return mix(b, z, candidate, args[4]);
      }));
  return success();
}

LogicalResult importGRU(Importer &im, const Node &node) {
  Recurrence r(im, node, 3, 1);
  if (failed(readFrame(r, {"Sigmoid", "Tanh"})))
    return failure();
  bool resetAfter = im.getInt(node, "linear_before_reset", 0) != 0;
  for (int64_t d = 0; d < r.directions; ++d) {
    GruWeights w;
    auto [wb, rb] = biases(r, d);
    Value bias;
    if (wb && resetAfter) {
      // The last third of the recurrent bias is added before the reset.
      OpFoldResult two = im.shape.attr(2 * r.hidden);
      OpFoldResult one = im.shape.attr(r.hidden);
      w.lastBias = im.sliceDim(rb, 0, two, one);
      Value front = addVectors(im, im.sliceDim(wb, 0, im.shape.attr(0), two),
                               im.sliceDim(rb, 0, im.shape.attr(0), two));
      bias = im.concat(node, {front, im.sliceDim(wb, 0, two, one)}, 0);
      if (!bias)
        return failure();
    } else if (wb) {
      bias = addVectors(im, wb, rb);
    }
    auto projected = project(r, d, bias);
    if (failed(projected))
      return failure();
    w.all = r.direction(im.tensor(node, 2), d);
    if (!resetAfter) {
      OpFoldResult two = im.shape.attr(2 * r.hidden);
      w.gates = im.sliceDim(w.all, 0, im.shape.attr(0), two);
      w.last = im.sliceDim(w.all, 0, two, im.shape.attr(r.hidden));
    }
    auto step = [&](Value input, ArrayRef<Value> old,
                    SmallVectorImpl<Value> &fresh) -> LogicalResult {
      return gruStep(r, d, w, resetAfter, input, old[0], fresh);
    };
    if (failed(r.loop(d, *projected, step)))
      return failure();
  }
  return r.finish();
}

/// Integer weights of one direction with their scale.
struct QuantizedWeights {
  Factor weights; // (k, 4 * hidden)
  Value scale;    // scalar or vector
};

FailureOr<QuantizedWeights> quantizedWeights(Recurrence &r, size_t weights,
                                             size_t scale, size_t zero,
                                             int64_t d) {
  Importer &im = r.im;
  auto part = [&](size_t index) -> FailureOr<ImportedValue> {
    if (!im.has(r.node, index))
      return im.error(r.node) << "expected input " << index;
    ImportedValue whole = im.in(r.node, index);
    Value value = im.tensor(whole);
    if (rankOf(value) == 0)
      return im.error(r.node)
             << "expected input " << index << " of rank 1 or more";
    if (failed(im.requireEqual(r.node, im.dim(value, 0),
                               im.shape.attr(r.directions),
                               "a dimension of input " + Twine(index))))
      return failure();
    ImportedValue one;
    one.value = r.direction(value, d);
    one.dtype = whole.dtype;
    return one;
  };
  auto w = part(weights), s = part(scale);
  if (failed(w) || failed(s))
    return failure();
  QuantizedWeights q;
  auto factorScale = scalarOrVector(im, r.node, *s, "a scale of weights");
  if (failed(factorScale))
    return failure();
  q.scale = *factorScale;
  ImportedValue zeros;
  if (im.has(r.node, zero)) {
    auto known = im.constantInts(im.in(r.node, zero), 1 << 16);
    bool allZero =
        known && llvm::all_of(*known, [](int64_t z) { return z == 0; });
    if (!allZero) {
      auto z = part(zero);
      if (failed(z))
        return failure();
      zeros = *z;
    }
  }
  auto f = factor(im, r.node, *w, zeros, 1);
  if (failed(f))
    return failure();
  q.weights = *f;
  return q;
}

/// The product of `x`, quantized over its whole range, with `q`, as floats.
FailureOr<Value> quantizedProduct(Recurrence &r, Value x,
                                  const QuantizedWeights &q) {
  Importer &im = r.im;
  auto dynamic = dynamicQuantize(im, r.node, x);
  if (failed(dynamic))
    return failure();
  Value zero =
      tensor::ExtractOp::create(im.b, dynamic->zeroPoint, ValueRange());
  Value scale = tensor::ExtractOp::create(im.b, dynamic->scale, ValueRange());
  auto acc = matmul(im, r.node, {dynamic->value, zero, true}, q.weights);
  if (failed(acc))
    return failure();
  Value factor =
      multiplier(im, scale, q.scale, im.constant(im.b.getF32Type(), 1));
  return scaleAccumulator(im, *acc, factor, rankOf(*acc) - 1);
}

LogicalResult importDynamicQuantizeLSTM(Importer &im, const Node &node) {
  Recurrence r(im, node, 4, 2);
  auto hidden = knownDim(im, node, 2, 1, "R");
  auto directions = knownDim(im, node, 2, 0, "R");
  if (failed(hidden) || failed(directions) ||
      failed(r.read(*hidden, *directions, {"Sigmoid", "Tanh", "Tanh"})))
    return failure();
  if (r.dtype != DType::Float)
    return im.error(node) << "expected a float32 X, got " << dtypeName(r.dtype);
  int64_t rows = 4 * r.hidden;
  if (failed(operand(im, node, 1, "W", {r.directions, -1, rows})) ||
      failed(operand(im, node, 2, "R", {r.directions, r.hidden, rows})) ||
      failed(operand(im, node, 3, "B", {r.directions, 2 * rows})))
    return failure();
  bool coupled = im.getInt(node, "input_forget", 0) != 0;
  for (int64_t d = 0; d < r.directions; ++d) {
    auto w = quantizedWeights(r, 1, 8, 9, d);
    auto u = quantizedWeights(r, 2, 10, 11, d);
    auto peepholes = readPeepholes(r, d);
    if (failed(w) || failed(u) || failed(peepholes))
      return failure();
    auto projected = quantizedProduct(r, r.x, *w);
    if (failed(projected))
      return failure();
    if (auto [wb, rb] = biases(r, d); wb)
      *projected =
          alongDim(im, *projected, {addVectors(im, wb, rb)}, 2, r.type,
                   [](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                     return arith::AddFOp::create(b, args[0], args[1]);
                   });
    auto step = [&](Value input, ArrayRef<Value> old,
                    SmallVectorImpl<Value> &fresh) -> LogicalResult {
      auto product = quantizedProduct(r, old[0], *u);
      if (failed(product))
        return failure();
      lstmStep(r, d, addTensors(im, *product, input), *peepholes, coupled, old,
               fresh);
      return success();
    };
    if (failed(r.loop(d, *projected, step)))
      return failure();
  }
  return r.finish();
}

} // namespace

void registerRecurrent(OpTable &table) {
  table.add({"", "LSTM", 7, {3, 8}, importLSTM});
  table.add({"", "GRU", 7, {3, 6}, importGRU});
  table.add({"", "RNN", 7, {3, 6}, importRNN});
  table.add({"com.microsoft",
             "DynamicQuantizeLSTM",
             1,
             {3, 12},
             importDynamicQuantizeLSTM});
}

} // namespace mlir::tamis::onnx
