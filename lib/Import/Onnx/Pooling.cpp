// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Pooling over windows: generics whose input map holds `o * stride + k *
// dilation` over a padded input. Sizes follow ONNX Runtime: with ceil_mode a
// window that would begin beyond the input and its padding does not exist.
#include "Structured.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::tamis::onnx;

namespace {

/// One spatial dimension.
struct Window {
  int64_t kernel, stride, dilation;
  OpFoldResult in, out, low, high; // padding as the model asks for it
  OpFoldResult need;               // high padding that the windows read
  int64_t reach() const { return dilation * (kernel - 1) + 1; }
};

using Windows = SmallVector<Window>;

FailureOr<Windows> readWindows(Importer &im, const Node &node, Value x) {
  int64_t spatial = rankOf(x) - 2;
  if (spatial < 1)
    return im.error(node) << "expected rank 3 or more, got " << rankOf(x);
  auto kernel = im.getInts(node, "kernel_shape", {});
  SmallVector<int64_t> ones(spatial, 1), zeros(2 * spatial, 0);
  auto strides = im.getInts(node, "strides", ones);
  auto dilations = im.getInts(node, "dilations", ones);
  auto pads = im.getInts(node, "pads", zeros);
  StringRef automatic = im.getString(node, "auto_pad", "NOTSET");
  bool ceilMode = im.getInt(node, "ceil_mode", 0) != 0;
  auto wrongCount = [&](ArrayRef<int64_t> values, int64_t expected,
                        StringRef name) {
    if (static_cast<int64_t>(values.size()) == expected)
      return false;
    im.error(node) << "attribute '" << name << "' must have " << expected
                   << " values, got " << values.size();
    return true;
  };
  if (wrongCount(kernel, spatial, "kernel_shape") ||
      wrongCount(strides, spatial, "strides") ||
      wrongCount(dilations, spatial, "dilations") ||
      wrongCount(pads, 2 * spatial, "pads"))
    return failure();
  constexpr int64_t limit = int64_t(1) << 31;
  auto outside = [&](ArrayRef<int64_t> values, int64_t least, StringRef name) {
    for (int64_t value : values)
      if (value < least || value >= limit) {
        im.error(node) << "attribute '" << name << "' must be between " << least
                       << " and 2^31, got " << value;
        return true;
      }
    return false;
  };
  if (outside(kernel, 1, "kernel_shape") || outside(strides, 1, "strides") ||
      outside(dilations, 1, "dilations") || outside(pads, 0, "pads"))
    return failure();
  bool same = automatic == "SAME_UPPER" || automatic == "SAME_LOWER";
  if (!same && automatic != "NOTSET" && automatic != "VALID" &&
      !automatic.empty())
    return im.error(node) << "attribute 'auto_pad' has unknown value '"
                          << automatic << "'";

  ShapeMath &shape = im.shape;
  Windows windows;
  for (int64_t i = 0; i < spatial; ++i) {
    Window w{kernel[i], strides[i], dilations[i], im.dim(x, 2 + i),
             {},        {},         {},           {}};
    OpFoldResult stride = shape.attr(w.stride);
    w.low = w.high = shape.attr(0);
    if (same) {
      w.out = shape.ceilDiv(w.in, stride);
      OpFoldResult covered =
          shape.add(shape.mul(shape.sub(w.out, shape.attr(1)), stride),
                    shape.attr(w.reach()));
      OpFoldResult total = shape.max(shape.sub(covered, w.in), shape.attr(0));
      OpFoldResult half = shape.floorDiv(total, shape.attr(2));
      OpFoldResult rest = shape.sub(total, half);
      w.low = automatic == "SAME_UPPER" ? half : rest;
      w.high = automatic == "SAME_UPPER" ? rest : half;
    } else {
      if (automatic != "VALID") {
        w.low = shape.attr(pads[i]);
        w.high = shape.attr(pads[spatial + i]);
      }
      OpFoldResult room = shape.sub(shape.add(w.in, shape.add(w.low, w.high)),
                                    shape.attr(w.reach()));
      if (auto known = ShapeMath::constant(room); known && *known < 0)
        return im.error(node)
               << "the window of dimension " << i << " spans " << w.reach()
               << " elements, more than the padded input";
      w.out = shape.add(ceilMode ? shape.ceilDiv(room, stride)
                                 : shape.floorDiv(room, stride),
                        shape.attr(1));
      if (ceilMode) {
        // The last window begins within the input or its low padding.
        OpFoldResult begins = shape.ceilDiv(shape.add(w.in, w.low), stride);
        w.out = shape.min(w.out, begins);
      }
      w.out = shape.max(w.out, shape.attr(0));
    }
    OpFoldResult end =
        shape.add(shape.mul(shape.sub(w.out, shape.attr(1)), stride),
                  shape.attr(w.reach()));
    w.need = shape.max(shape.sub(end, shape.add(w.in, w.low)), shape.attr(0));
    windows.push_back(w);
  }
  return windows;
}

/// The maps and loops of a pooling: dimensions n, c, outputs, then windows.
struct Nest {
  SmallVector<AffineMap> maps; // input, window, output
  SmallVector<utils::IteratorType> iterators;
  Sizes sizes; // of the result
  Value input, window;
};

Nest makeNest(Importer &im, Value x, const Windows &windows, Value padding) {
  int64_t spatial = windows.size(), rank = 2 + spatial;
  unsigned dims = rank + spatial;
  Builder &b = im.b;
  Nest nest;
  Sizes low(2, im.shape.attr(0)), high(2, im.shape.attr(0));
  nest.sizes = {im.dim(x, 0), im.dim(x, 1)};
  SmallVector<AffineExpr> in{b.getAffineDimExpr(0), b.getAffineDimExpr(1)};
  SmallVector<AffineExpr> window, out(in);
  SmallVector<int64_t> kernel;
  for (auto [i, w] : llvm::enumerate(windows)) {
    AffineExpr o = b.getAffineDimExpr(2 + i), k = b.getAffineDimExpr(rank + i);
    in.push_back(o * w.stride + k * w.dilation);
    out.push_back(o);
    window.push_back(k);
    low.push_back(w.low);
    high.push_back(w.need);
    nest.sizes.push_back(w.out);
    kernel.push_back(w.kernel);
  }
  nest.input = im.pad(x, low, high, padding);
  nest.window = tensor::EmptyOp::create(im.b, kernel, im.b.getF32Type());
  for (ArrayRef<AffineExpr> exprs :
       {ArrayRef(in), ArrayRef(window), ArrayRef(out)})
    nest.maps.push_back(AffineMap::get(dims, 0, exprs, b.getContext()));
  nest.iterators.assign(rank, utils::IteratorType::parallel);
  nest.iterators.append(spatial, utils::IteratorType::reduction);
  return nest;
}

Value foldWindows(Importer &im, const Nest &nest, Value initial,
                  Importer::CombineFn combine) {
  Value destination = im.fill(nest.sizes, initial);
  auto generic = linalg::GenericOp::create(
      im.b, destination.getType(), ValueRange{nest.input, nest.window},
      destination, nest.maps, nest.iterators,
      [&](OpBuilder &nested, Location loc, ValueRange args) {
        ImplicitLocOpBuilder b(loc, nested);
        Value result = combine(b, args[2], args[0]);
        linalg::YieldOp::create(b, result);
      });
  im.setDims(generic.getResult(0), nest.sizes);
  return generic.getResult(0);
}

//===-- maximum -----------------------------------------------------------===//

/// Values and, beside them, where each was found in the whole input.
LogicalResult maxWithIndices(Importer &im, const Node &node, Value x,
                             DType dtype, const Windows &windows,
                             const Nest &nest, Value lowest) {
  int64_t spatial = windows.size(), rank = 2 + spatial;
  bool columnMajor = im.getInt(node, "storage_order", 0) != 0;
  Type i64 = im.b.getI64Type();
  SmallVector<Value> low, in;
  for (const Window &w : windows) {
    low.push_back(im.shape.value(w.low));
    in.push_back(im.shape.value(w.in));
  }
  Value channels = im.shape.value(im.dim(x, 1));
  Value best = im.fill(nest.sizes, lowest);
  Value where = im.fill(nest.sizes, im.constant(i64, 0));
  SmallVector<AffineMap> maps(nest.maps);
  maps.push_back(maps.back());
  auto generic = linalg::GenericOp::create(
      im.b, TypeRange{best.getType(), where.getType()},
      ValueRange{nest.input, nest.window}, ValueRange{best, where}, maps,
      nest.iterators, [&](OpBuilder &nested, Location loc, ValueRange args) {
        ImplicitLocOpBuilder b(loc, nested);
        auto position = [&](int64_t i) -> Value {
          return linalg::IndexOp::create(b, i);
        };
        Value flat =
            addIndex(b, mulIndex(b, position(0), channels), position(1));
        SmallVector<Value> at;
        for (auto [i, w] : llvm::enumerate(windows)) {
          Value o = mulIndex(b, position(2 + i), indexConstant(b, w.stride));
          Value k =
              mulIndex(b, position(rank + i), indexConstant(b, w.dilation));
          at.push_back(subIndex(b, addIndex(b, o, k), low[i]));
        }
        Value plane = indexConstant(b, 0), area = indexConstant(b, 1);
        for (int64_t i = 0; i < spatial; ++i) {
          int64_t dim = columnMajor ? spatial - 1 - i : i;
          plane = addIndex(b, mulIndex(b, plane, in[dim]), at[dim]);
          area = mulIndex(b, area, in[dim]);
        }
        flat = addIndex(b, mulIndex(b, flat, area), plane);
        Value better = greater(b, args[0], args[2], dtype);
        Value value = arith::SelectOp::create(b, better, args[0], args[2]);
        Value index = arith::SelectOp::create(b, better,
                                              fromIndex(b, flat, i64), args[3]);
        linalg::YieldOp::create(b, ValueRange{value, index});
      });
  im.setDims(generic.getResult(0), nest.sizes);
  im.setDims(generic.getResult(1), nest.sizes);
  if (failed(im.out(node, 0, generic.getResult(0), dtype)))
    return failure();
  return im.out(node, 1, generic.getResult(1), DType::Int64);
}

LogicalResult importMaxPool(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  Value x = im.tensor(input);
  if (!x)
    return failure();
  auto windows = readWindows(im, node, x);
  if (failed(windows))
    return failure();
  Value lowest = lowestOf(im.b, elementOf(x), input.dtype);
  Nest nest = makeNest(im, x, *windows, lowest);
  if (Importer::wants(node, 1))
    return maxWithIndices(im, node, x, input.dtype, *windows, nest, lowest);
  Value result = foldWindows(im, nest, lowest,
                             [&](ImplicitLocOpBuilder &b, Value acc, Value x) {
                               return largerOf(b, acc, x, input.dtype);
                             });
  return im.out(node, 0, result, input.dtype);
}

//===-- average -----------------------------------------------------------===//

/// How many elements each window of one dimension averages over: a constant,
/// a table over the outputs, or nothing where sizes are open.
struct Counts {
  std::optional<int64_t> uniform;
  Value table; // tensor<out x f32>
};

Counts countElements(Importer &im, const Window &w, bool includePad) {
  auto in = ShapeMath::constant(w.in), out = ShapeMath::constant(w.out);
  auto low = ShapeMath::constant(w.low), high = ShapeMath::constant(w.high);
  auto need = ShapeMath::constant(w.need);
  bool reads =
      includePad ? need && high && *need <= *high : low == 0 && need == 0;
  if (reads)
    return {w.kernel, {}};
  if (in && out && low && high) {
    int64_t first = includePad ? -*low : 0;
    int64_t last = includePad ? *in + *high : *in;
    SmallVector<float> counts;
    for (int64_t o = 0; o < *out; ++o) {
      int64_t count = 0;
      for (int64_t k = 0; k < w.kernel; ++k) {
        int64_t at = o * w.stride - *low + k * w.dilation;
        count += at >= first && at < last;
      }
      counts.push_back(std::max<int64_t>(count, 1));
    }
    if (llvm::all_equal(counts) && !counts.empty())
      return {static_cast<int64_t>(counts.front()), {}};
    return {std::nullopt, constantTensorOf(im, {*out}, counts)};
  }
  // Open sizes: the table is computed.
  Value inSize = im.shape.value(includePad ? im.shape.add(w.in, w.high) : w.in);
  Value lowPad = im.shape.value(w.low);
  Value table = generic(
      im, {}, {}, w.out, im.b.getF32Type(),
      [&](ImplicitLocOpBuilder &b, ValueRange) -> Value {
        Value o = linalg::IndexOp::create(b, 0);
        Value start =
            subIndex(b, mulIndex(b, o, indexConstant(b, w.stride)), lowPad);
        Value dilation = indexConstant(b, w.dilation);
        Value zero = indexConstant(b, 0);
        // Taps k with 0 <= start + k * dilation < inSize.
        Value below =
            includePad
                ? zero
                : arith::CeilDivSIOp::create(
                      b,
                      arith::MaxSIOp::create(b, subIndex(b, zero, start), zero),
                      dilation)
                      .getResult();
        Value above =
            arith::CeilDivSIOp::create(b, subIndex(b, inSize, start), dilation);
        above = arith::MinSIOp::create(b, above, indexConstant(b, w.kernel));
        Value count = arith::MaxSIOp::create(b, subIndex(b, above, below),
                                             indexConstant(b, 1));
        return fromIndex(b, count, b.getF32Type());
      });
  return {std::nullopt, table};
}

LogicalResult importAveragePool(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  Value x = im.tensor(input);
  if (!x)
    return failure();
  if (!isFloat(input.dtype))
    return im.error(node) << "expected floats, got " << dtypeName(input.dtype);
  auto windows = readWindows(im, node, x);
  if (failed(windows))
    return failure();
  bool includePad = im.getInt(node, "count_include_pad", 0) != 0;
  Type element = elementOf(x), type = computeType(element);
  Nest nest = makeNest(im, x, *windows, im.constant(element, 0));
  Value total = foldWindows(
      im, nest, im.constant(type, 0),
      [&](ImplicitLocOpBuilder &b, Value acc, Value x) -> Value {
        return arith::AddFOp::create(b, acc, castScalar(b, x, type));
      });
  double uniform = 1;
  SmallVector<Value> inputs{total};
  int64_t rank = rankOf(x);
  SmallVector<AffineMap> maps{im.b.getMultiDimIdentityMap(rank)};
  for (auto [i, w] : llvm::enumerate(*windows)) {
    Counts counts = countElements(im, w, includePad);
    if (counts.uniform) {
      uniform *= static_cast<double>(*counts.uniform);
      continue;
    }
    inputs.push_back(counts.table);
    maps.push_back(AffineMap::get(rank, 0, im.b.getAffineDimExpr(2 + i)));
  }
  Value result = generic(
      im, inputs, maps, nest.sizes, element,
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value y = args[0];
        if (args.size() == 1)
          return castScalar(b,
                            arith::MulFOp::create(
                                b, y, Importer::constant(b, type, 1 / uniform)),
                            element);
        Value n = Importer::constant(b, type, uniform);
        for (Value count : args.drop_front())
          n = arith::MulFOp::create(b, n, castScalar(b, count, type));
        return castScalar(b, arith::DivFOp::create(b, y, n), element);
      });
  return im.out(node, 0, result, input.dtype);
}

LogicalResult importLpPool(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  Value x = im.tensor(input);
  if (!x)
    return failure();
  int64_t p = im.getInt(node, "p", 2);
  if (p < 1 || !isFloat(input.dtype))
    return im.error(node) << "expected floats and a positive p, got "
                          << dtypeName(input.dtype) << " and " << p;
  auto windows = readWindows(im, node, x);
  if (failed(windows))
    return failure();
  Type element = elementOf(x), type = computeType(element);
  Nest nest = makeNest(im, x, *windows, im.constant(element, 0));
  auto power = [&](ImplicitLocOpBuilder &b, Value x, double exponent) -> Value {
    if (exponent == 1)
      return x;
    if (exponent == 2)
      return arith::MulFOp::create(b, x, x);
    if (exponent == 0.5)
      return math::SqrtOp::create(b, x);
    return math::PowFOp::create(b, x, Importer::constant(b, type, exponent));
  };
  Value total = foldWindows(
      im, nest, im.constant(type, 0),
      [&](ImplicitLocOpBuilder &b, Value acc, Value x) -> Value {
        Value size = math::AbsFOp::create(b, castScalar(b, x, type));
        return arith::AddFOp::create(b, acc,
                                     power(b, size, static_cast<double>(p)));
      });
  Value result =
      unary(im, total, element, [&](ImplicitLocOpBuilder &b, ValueRange args) {
        return castScalar(b, power(b, args[0], 1.0 / p), element);
      });
  return im.out(node, 0, result, input.dtype);
}

//===-- unpooling ---------------------------------------------------------===//

/// Puts each element where its index, flat in the inferred shape, says; a
/// larger output_shape leaves zeros behind that.
LogicalResult importMaxUnpool(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0), indexInput = im.in(node, 1);
  Value x = im.tensor(input), indices = im.tensor(indexInput);
  if (!x || !indices)
    return failure();
  int64_t rank = rankOf(x), spatial = rank - 2;
  auto kernel = im.getInts(node, "kernel_shape", {});
  SmallVector<int64_t> ones(std::max<int64_t>(spatial, 0), 1);
  SmallVector<int64_t> zeros(2 * ones.size(), 0);
  auto strides = im.getInts(node, "strides", ones);
  auto pads = im.getInts(node, "pads", zeros);
  if (spatial < 1 || kernel.size() != ones.size() ||
      strides.size() != ones.size() || pads.size() != zeros.size())
    return im.error(node) << "kernel_shape, strides and pads must fit rank "
                          << rank;
  if (rankOf(indices) != rank)
    return im.error(node) << "indices must have rank " << rank << ", got "
                          << rankOf(indices);
  Sizes from = im.dims(x), sizes(from.begin(), from.begin() + 2);
  for (int64_t i = 0; i < rank; ++i)
    if (failed(im.requireEqual(node, from[i], im.dim(indices, i),
                               "input and indices")))
      return failure();
  ShapeMath &shape = im.shape;
  for (int64_t i = 0; i < spatial; ++i) {
    OpFoldResult size = shape.mul(shape.sub(from[2 + i], shape.attr(1)),
                                  shape.attr(strides[i]));
    sizes.push_back(shape.max(
        shape.attr(0),
        shape.add(size, shape.attr(kernel[i] - pads[i] - pads[spatial + i]))));
  }
  OpFoldResult flatSize = shape.product(sizes);
  im.checkIndices(indices, flatSize);
  Type element = elementOf(x);
  Value limit = shape.value(flatSize);
  Value flat = im.fill(flatSize, im.constant(element, 0));
  flat = loops(im, from, flat,
               [&](ImplicitLocOpBuilder &b, ValueRange at, ValueRange carried) {
                 Value index =
                     toIndex(b, tensor::ExtractOp::create(b, indices, at),
                             indexInput.dtype);
                 Value value = tensor::ExtractOp::create(b, x, at);
                 Value filled = tensor::InsertOp::create(
                     b, value, carried[0],
                     ValueRange{Importer::clampIndex(b, index, limit)});
                 return SmallVector<Value>{filled};
               })[0];
  Value result = im.reshape(flat, sizes);
  if (im.has(node, 2)) {
    auto wanted = im.indices(node, 2);
    if (failed(wanted))
      return failure();
    if (static_cast<int64_t>(wanted->size()) != rank)
      return im.error(node) << "output_shape must have " << rank
                            << " elements, got " << wanted->size();
    Sizes low(rank, shape.attr(0)), high;
    for (int64_t i = 0; i < rank; ++i) {
      if (auto a = ShapeMath::constant((*wanted)[i]),
          c = ShapeMath::constant(sizes[i]);
          a && c && *a < *c)
        return im.error(node) << "output_shape is smaller than the unpooled "
                                 "input in dimension "
                              << i;
      high.push_back(
          shape.max(shape.sub((*wanted)[i], sizes[i]), shape.attr(0)));
    }
    result = im.pad(result, low, high, im.constant(element, 0));
  }
  return im.out(node, 0, result, input.dtype);
}

} // namespace

void mlir::tamis::onnx::registerPooling(OpTable &table) {
  table.add({"", "MaxPool", 1, {1, 1}, importMaxPool});
  table.add({"", "AveragePool", 1, {1, 1}, importAveragePool});
  table.add({"", "LpPool", 2, {1, 1}, importLpPool});
  table.add({"", "MaxUnpool", 9, {2, 3}, importMaxUnpool});
}
