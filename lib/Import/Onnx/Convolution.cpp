// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Convolutions. One tamis.contract each, of any rank: groups are a batch
// dimension of the contraction, a depthwise convolution has its channel in all
// three maps, padding is an attribute.
#include "Arithmetic.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace mlir::tamis::onnx {

namespace {

/// The attribute `name` with one positive entry per spatial dimension.
FailureOr<SmallVector<int64_t>> positives(Importer &im, const Node &node,
                                          StringRef name, int64_t rank) {
  SmallVector<int64_t> ones(rank, 1);
  SmallVector<int64_t> values = im.getInts(node, name, ones);
  if (static_cast<int64_t>(values.size()) != rank)
    return im.error(node) << "expected " << rank << " " << name << ", got "
                          << values.size();
  for (int64_t value : values)
    if (value <= 0 || value > (int64_t(1) << 31))
      return im.error(node)
             << "expected positive " << name << ", got " << value;
  return values;
}

} // namespace

FailureOr<SmallVector<int64_t>> kernelOf(Importer &im, const Node &node,
                                         Value weights) {
  SmallVector<int64_t> kernel;
  for (int64_t i = 2; i < rankOf(weights); ++i) {
    auto size = ShapeMath::constant(im.dim(weights, i));
    if (!size || *size <= 0)
      return im.error(node) << "expected a known, non-empty kernel, dimension "
                            << i - 2 << " is " << (size ? "empty" : "open");
    kernel.push_back(*size);
  }
  SmallVector<int64_t> declared = im.getInts(node, "kernel_shape", kernel);
  if (declared != kernel)
    return im.error(node)
           << "kernel_shape differs from the shape of the weights";
  return kernel;
}

FailureOr<Window> readWindow(Importer &im, const Node &node, int64_t rank,
                             ArrayRef<int64_t> kernel) {
  Window w;
  w.rank = rank;
  if (kernel.empty()) {
    auto declared = positives(im, node, "kernel_shape", rank);
    if (failed(declared))
      return failure();
    w.kernel = *declared;
  } else {
    w.kernel.assign(kernel.begin(), kernel.end());
  }
  auto strides = positives(im, node, "strides", w.rank);
  auto dilations = positives(im, node, "dilations", w.rank);
  if (failed(strides) || failed(dilations))
    return failure();
  w.strides = *strides;
  w.dilations = *dilations;
  return w;
}

FailureOr<SmallVector<int64_t>> readPads(Importer &im, const Node &node,
                                         int64_t rank) {
  SmallVector<int64_t> zeros(2 * rank, 0);
  SmallVector<int64_t> pads = im.getInts(node, "pads", zeros);
  if (static_cast<int64_t>(pads.size()) != 2 * rank)
    return im.error(node) << "expected " << 2 * rank << " pads, got "
                          << pads.size();
  for (int64_t pad : pads)
    if (pad < 0 || pad > (int64_t(1) << 31))
      return im.error(node) << "expected non-negative pads, got " << pad;
  return pads;
}

LogicalResult placeWindow(Importer &im, const Node &node, Window &w,
                          ArrayRef<OpFoldResult> in) {
  ShapeMath &s = im.shape;
  StringRef mode = im.getString(node, "auto_pad", "NOTSET");
  bool same = mode == "SAME_UPPER" || mode == "SAME_LOWER";
  if (!same && mode != "NOTSET" && mode != "VALID" && !mode.empty())
    return im.error(node) << "unknown auto_pad '" << mode << "'";
  FailureOr<SmallVector<int64_t>> pads = readPads(im, node, w.rank);
  if (failed(pads))
    return failure();
  for (int64_t i = 0; i < w.rank; ++i) {
    OpFoldResult extent = s.attr(w.extent(i)), stride = s.attr(w.strides[i]);
    if (same) {
      OpFoldResult out = s.ceilDiv(in[i], stride);
      OpFoldResult reach = s.add(s.mul(s.sub(out, s.attr(1)), stride), extent);
      OpFoldResult total = s.max(s.sub(reach, in[i]), s.attr(0));
      OpFoldResult half = s.floorDiv(total, s.attr(2));
      OpFoldResult rest = s.sub(total, half);
      w.low.push_back(mode == "SAME_UPPER" ? half : rest);
      w.high.push_back(mode == "SAME_UPPER" ? rest : half);
      w.out.push_back(out);
      continue;
    }
    bool explicitPads = mode != "VALID";
    w.low.push_back(s.attr(explicitPads ? (*pads)[i] : 0));
    w.high.push_back(s.attr(explicitPads ? (*pads)[w.rank + i] : 0));
    OpFoldResult padded = s.add(in[i], s.add(w.low[i], w.high[i]));
    OpFoldResult out =
        s.add(s.floorDiv(s.sub(padded, extent), stride), s.attr(1));
    if (auto known = ShapeMath::constant(out); known && *known <= 0)
      return im.error(node) << "expected an input of at least " << w.extent(i)
                            << " with padding in spatial dimension " << i
                            << ", got " << *ShapeMath::constant(padded);
    if (!ShapeMath::constant(out))
      out = s.max(out, s.attr(0));
    w.out.push_back(out);
  }
  return success();
}

FailureOr<int64_t> readGroup(Importer &im, const Node &node) {
  int64_t group = im.getInt(node, "group", 1);
  if (group <= 0)
    return im.error(node) << "expected a positive group, got " << group;
  return group;
}

FailureOr<Value> addChannelBias(Importer &im, const Node &node, Value acc,
                                const ImportedValue &x, size_t biasInput,
                                const Activation *activation) {
  Type element = im.elementType(x.dtype), type = elementOf(acc);
  SmallVector<Value> vectors;
  if (im.has(node, biasInput)) {
    Value bias = im.tensor(node, biasInput);
    if (im.in(node, biasInput).dtype != x.dtype)
      return im.error(node)
             << "expected a bias of type " << dtypeName(x.dtype) << ", got "
             << dtypeName(im.in(node, biasInput).dtype);
    if (failed(im.requireRank(node, bias, 1, "the bias")) ||
        failed(im.requireEqual(node, im.dim(bias, 0), im.dim(acc, 1),
                               "the length of the bias")))
      return failure();
    vectors.push_back(bias);
  }
  if (vectors.empty() && !activation && type == element)
    return acc;
  return alongDim(im, acc, vectors, 1, element,
                  [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                    Value y = args[0];
                    if (args.size() > 1)
                      y = arith::AddFOp::create(b, y,
                                                castScalar(b, args[1], type));
                    if (activation)
                      y = activation->apply(b, y);
                    return castScalar(b, y, element);
                  });
}

LogicalResult requireFloats(Importer &im, const Node &node,
                            const ImportedValue &x, const ImportedValue &w) {
  if (isFloat(x.dtype) && x.dtype == w.dtype)
    return success();
  return im.error(node) << "expected operands of one float type, got "
                        << dtypeName(x.dtype) << " and " << dtypeName(w.dtype);
}

namespace {

/// The convolution of `x` by placed windows. Dimensions of the contraction:
/// n, [g], [o], spatial out, [c], kernel.
FailureOr<Value> convolve(Importer &im, const Node &node, Factor x,
                          Factor weights, int64_t group, const Window &w) {
  ImplicitLocOpBuilder &b = im.b;
  ShapeMath &s = im.shape;
  Sizes xSizes = im.dims(x.value), wSizes = im.dims(weights.value);
  auto outChannels = ShapeMath::constant(wSizes[0]);
  auto perGroup = ShapeMath::constant(wSizes[1]);
  if (!outChannels || !perGroup)
    return im.error(node) << "expected known numbers of channels";
  if (*outChannels % group != 0)
    return im.error(node) << "expected output channels divisible by group "
                          << group << ", got " << *outChannels;
  if (failed(im.requireEqual(node, xSizes[1], s.attr(*perGroup * group),
                             "the number of channels")))
    return failure();

  // Padding that only run time knows is written out.
  Sizes low(2, s.attr(0)), high(2, s.attr(0));
  SmallVector<int64_t> pad;
  bool open = llvm::any_of(
      w.low, [](OpFoldResult size) { return !ShapeMath::constant(size); });
  for (int64_t i = 0; i < w.rank; ++i) {
    pad.push_back(open ? 0 : *ShapeMath::constant(w.low[i]));
    low.push_back(w.low[i]);
    high.push_back(w.high[i]);
  }
  if (open) {
    Type element = elementOf(x.value);
    Value zero = x.zero ? x.zero : im.constant(element, 0);
    x.value = im.pad(x.value, low, high, zero);
    xSizes = im.dims(x.value);
  }

  int64_t multiplier = *outChannels / group;
  bool grouped = group > 1;
  bool depthwise = grouped && *perGroup == 1;
  Contraction c;
  unsigned next = 0;
  auto dim = [&] { return b.getAffineDimExpr(next++); };
  AffineExpr n = dim(), g, o, k;
  Sizes outSizes{xSizes[0]};
  c.outExprs.push_back(n);
  c.lhsExprs.push_back(n);
  c.pad.push_back(0);
  if (grouped) {
    g = dim();
    c.outExprs.push_back(g);
    c.lhsExprs.push_back(g);
    c.rhsExprs.push_back(g);
    c.pad.push_back(0);
    outSizes.push_back(s.attr(group));
  }
  if (!depthwise || multiplier > 1) {
    o = dim();
    c.outExprs.push_back(o);
    c.rhsExprs.push_back(o);
    outSizes.push_back(s.attr(multiplier));
  }
  SmallVector<AffineExpr> out;
  for (int64_t i = 0; i < w.rank; ++i) {
    out.push_back(dim());
    c.outExprs.push_back(out.back());
    outSizes.push_back(w.out[i]);
  }
  if (!depthwise) {
    k = dim();
    c.lhsExprs.push_back(k);
    c.rhsExprs.push_back(k);
    c.pad.push_back(0);
  }
  for (int64_t i = 0; i < w.rank; ++i) {
    AffineExpr tap = dim();
    c.lhsExprs.push_back(out[i] * w.strides[i] + tap * w.dilations[i]);
    c.rhsExprs.push_back(tap);
    c.pad.push_back(pad[i]);
  }
  c.dims = next;

  if (grouped) {
    Sizes split{xSizes[0], s.attr(group)}, kernel{s.attr(group)};
    if (!depthwise)
      split.push_back(s.attr(*perGroup));
    if (!depthwise || multiplier > 1)
      kernel.push_back(s.attr(multiplier));
    if (!depthwise)
      kernel.push_back(s.attr(*perGroup));
    split.append(xSizes.begin() + 2, xSizes.end());
    kernel.append(wSizes.begin() + 2, wSizes.end());
    x.value = im.reshape(x.value, split);
    weights.value = im.reshape(weights.value, kernel);
  }
  c.lhs = x;
  c.rhs = weights;
  Value result = contract(im, node, c, outSizes);
  if (static_cast<int64_t>(outSizes.size()) != w.rank + 2) {
    Sizes merged{xSizes[0], s.attr(*outChannels)};
    merged.append(w.out.begin(), w.out.end());
    result = im.reshape(result, merged);
  }
  return result;
}

/// x of rank 3 or more and weights of the same rank.
LogicalResult checkOperands(Importer &im, const Node &node, Value x,
                            Value weights) {
  if (rankOf(x) < 3)
    return im.error(node) << "expected an input of rank 3 or more, got rank "
                          << rankOf(x);
  return im.requireRank(node, weights, rankOf(x), "the weights");
}

LogicalResult importConv(Importer &im, const Node &node) {
  ImportedValue x = im.in(node, 0), w = im.in(node, 1);
  if (failed(requireFloats(im, node, x, w)))
    return failure();
  FailureOr<Value> acc = convolution(im, node, {im.tensor(x)}, {im.tensor(w)});
  if (failed(acc))
    return failure();
  FailureOr<Value> y = addChannelBias(im, node, *acc, x, 2);
  if (failed(y))
    return failure();
  return im.out(node, 0, *y, x.dtype);
}

LogicalResult importFusedConv(Importer &im, const Node &node) {
  ImportedValue x = im.in(node, 0), w = im.in(node, 1);
  if (failed(requireFloats(im, node, x, w)))
    return failure();
  FailureOr<Value> acc = convolution(im, node, {im.tensor(x)}, {im.tensor(w)});
  if (failed(acc))
    return failure();
  StringRef name = im.getString(node, "activation", "");
  std::optional<Activation> activation;
  if (!name.empty()) {
    activation = findActivation(name);
    if (!activation)
      return im.error(node) << "unknown activation '" << name << "'";
    SmallVector<float> parameters = im.getFloats(node, "activation_params");
    if (!parameters.empty())
      activation->alpha = parameters[0];
    if (parameters.size() > 1)
      activation->beta = parameters[1];
  }
  bool hasZ = im.has(node, 3);
  FailureOr<Value> y = addChannelBias(
      im, node, *acc, x, 2, activation && !hasZ ? &*activation : nullptr);
  if (failed(y))
    return failure();
  if (hasZ) {
    Type element = im.elementType(x.dtype), type = computeType(element);
    *y = im.elementwise(node, ArrayRef<Value>{*y, im.tensor(node, 3)}, element,
                        [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                          Value r = arith::AddFOp::create(
                              b, castScalar(b, args[0], type),
                              castScalar(b, args[1], type));
                          if (activation)
                            r = activation->apply(b, r);
                          return castScalar(b, r, element);
                        });
    if (!*y)
      return failure();
  }
  return im.out(node, 0, *y, x.dtype);
}

LogicalResult importConvInteger(Importer &im, const Node &node) {
  FailureOr<Factor> x = factor(im, node, im.in(node, 0), im.in(node, 2), 1);
  FailureOr<Factor> w = factor(im, node, im.in(node, 1), im.in(node, 3), 0);
  if (failed(x) || failed(w))
    return failure();
  FailureOr<Value> acc = convolution(im, node, *x, *w);
  if (failed(acc))
    return failure();
  return im.out(node, 0, *acc, DType::Int32);
}

} // namespace

FailureOr<Value> convolution(Importer &im, const Node &node, Factor x,
                             Factor weights) {
  if (failed(checkOperands(im, node, x.value, weights.value)))
    return failure();
  auto kernel = kernelOf(im, node, weights.value);
  FailureOr<int64_t> group = readGroup(im, node);
  if (failed(kernel) || failed(group))
    return failure();
  FailureOr<Window> w =
      readWindow(im, node, rankOf(weights.value) - 2, *kernel);
  if (failed(w))
    return failure();
  Sizes xSizes = im.dims(x.value);
  if (failed(placeWindow(im, node, *w,
                         ArrayRef<OpFoldResult>(xSizes).drop_front(2))))
    return failure();
  matchWidths(im, x, weights);
  return convolve(im, node, x, weights, *group, *w);
}

void registerConvolution(OpTable &table) {
  table.add({"", "Conv", 1, {2, 3}, importConv});
  table.add({"", "ConvInteger", 10, {2, 4}, importConvInteger});
  table.add({"com.microsoft", "FusedConv", 1, {2, 4}, importFusedConv});
}

} // namespace mlir::tamis::onnx
