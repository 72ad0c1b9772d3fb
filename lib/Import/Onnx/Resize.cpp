// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Resize and Upsample. Dimensions are resized one after the other. A nearest
// resize by whole factors is a broadcast; a doubling by half-pixel linear
// interpolation reads two shifted views; everything else reads by tables
// (sizes known) or by indices computed in the body.
#include "ResizeTaps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/StringSwitch.h"
#include <cmath>

using namespace mlir;
using namespace mlir::tamis::onnx;

namespace {

/// Longer results compute their indices instead of reading a table.
constexpr int64_t kTableEntries = 1 << 16;

FailureOr<ResizeOptions> readOptions(Importer &im, const Node &node,
                                     bool modern) {
  ResizeOptions options;
  auto unknown = [&](StringRef name,
                     StringRef value) -> FailureOr<ResizeOptions> {
    return im.error(node) << "attribute '" << name << "' has unknown value '"
                          << value << "'";
  };
  StringRef mode = im.getString(node, "mode", "nearest");
  if (mode == "nearest")
    options.mode = ResizeMode::Nearest;
  else if (mode == "linear" || mode == "bilinear")
    options.mode = ResizeMode::Linear;
  else if (mode == "cubic")
    options.mode = ResizeMode::Cubic;
  else
    return unknown("mode", mode);
  if (!modern) {
    options.transform = Transform::Asymmetric;
    options.rounding =
        node.opType == "Upsample" ? Rounding::Floor : Rounding::Simple;
    return options;
  }
  StringRef transform =
      im.getString(node, "coordinate_transformation_mode", "half_pixel");
  auto knownTransform =
      llvm::StringSwitch<std::optional<Transform>>(transform)
          .Case("half_pixel", Transform::HalfPixel)
          .Case("half_pixel_symmetric", Transform::HalfPixelSymmetric)
          .Case("pytorch_half_pixel", Transform::PytorchHalfPixel)
          .Case("align_corners", Transform::AlignCorners)
          .Case("asymmetric", Transform::Asymmetric)
          .Case("tf_half_pixel_for_nn", Transform::TfHalfPixelForNN)
          .Case("tf_crop_and_resize", Transform::TfCropAndResize)
          .Default(std::nullopt);
  if (!knownTransform)
    return unknown("coordinate_transformation_mode", transform);
  StringRef rounding = im.getString(node, "nearest_mode", "round_prefer_floor");
  auto knownRounding = llvm::StringSwitch<std::optional<Rounding>>(rounding)
                           .Case("round_prefer_floor", Rounding::PreferFloor)
                           .Case("round_prefer_ceil", Rounding::PreferCeil)
                           .Case("floor", Rounding::Floor)
                           .Case("ceil", Rounding::Ceil)
                           .Default(std::nullopt);
  if (!knownRounding)
    return unknown("nearest_mode", rounding);
  options.transform = *knownTransform;
  options.rounding = *knownRounding;
  options.cubic = im.getFloat(node, "cubic_coeff_a", -0.75f);
  options.extrapolation = im.getFloat(node, "extrapolation_value", 0);
  options.excludeOutside = im.getInt(node, "exclude_outside", 0) != 0;
  options.antialias = im.getInt(node, "antialias", 0) != 0 &&
                      options.mode != ResizeMode::Nearest;
  return options;
}

//===-- broadcasts and shifted views --------------------------------------===//

/// How often each element repeats if the resize is nearest by a whole factor.
std::optional<int64_t> wholeFactor(Importer &im, const ResizeOptions &options,
                                   const ResizeTask &task) {
  if (options.mode != ResizeMode::Nearest || !task.scale ||
      *task.scale != std::floor(*task.scale) || *task.scale < 1)
    return std::nullopt;
  auto factor = static_cast<int64_t>(*task.scale);
  if (!im.shape.equal(task.out, im.shape.mul(task.in, im.shape.attr(factor))))
    return std::nullopt;
  bool rounds = options.rounding == Rounding::PreferFloor ||
                options.rounding == Rounding::PreferCeil;
  bool floors = options.rounding == Rounding::Floor ||
                options.rounding == Rounding::Simple;
  switch (options.transform) {
  case Transform::Asymmetric:
  case Transform::TfHalfPixelForNN:
    if (floors)
      return factor;
    return std::nullopt;
  case Transform::HalfPixel:
  case Transform::HalfPixelSymmetric:
  case Transform::PytorchHalfPixel:
    if (rounds)
      return factor;
    return std::nullopt;
  default:
    return std::nullopt;
  }
}

/// Repeats each element of dimension i `factors[i]` times.
Value repeat(Importer &im, Value x, ArrayRef<int64_t> factors) {
  Sizes in = im.dims(x), split, merged;
  SmallVector<AffineExpr> from;
  for (auto [size, factor] : llvm::zip(in, factors)) {
    from.push_back(im.b.getAffineDimExpr(split.size()));
    split.push_back(size);
    if (factor > 1)
      split.push_back(im.shape.attr(factor));
    merged.push_back(im.shape.mul(size, im.shape.attr(factor)));
  }
  Value repeated =
      generic(im, x, AffineMap::get(split.size(), 0, from, im.b.getContext()),
              split, elementOf(x),
              [](ImplicitLocOpBuilder &, ValueRange args) { return args[0]; });
  return im.reshape(repeated, merged);
}

/// Half-pixel linear interpolation to twice the size: outputs 2i and 2i + 1
/// read i - 1, i and i, i + 1 with weights 1/4, 3/4 and 3/4, 1/4.
Value doubleLinear(Importer &im, const Node &node, Value x, int64_t dim) {
  OpFoldResult size = im.dim(x, dim), one = im.shape.attr(1);
  Value first = im.sliceDim(x, dim, im.shape.attr(0), one);
  Value last = im.sliceDim(x, dim, im.shape.sub(size, one), one);
  Value padded = im.concat(node, {first, x, last}, dim);
  Sizes sizes = im.dims(x), merged = sizes;
  sizes.insert(sizes.begin() + dim + 1, im.shape.attr(2));
  merged[dim] = im.shape.mul(size, im.shape.attr(2));
  int64_t rank = sizes.size();
  auto shifted = [&](int64_t by) {
    SmallVector<AffineExpr> at;
    for (int64_t i = 0; i < rank; ++i) {
      if (i == dim)
        at.push_back(im.b.getAffineDimExpr(i) + im.b.getAffineDimExpr(i + 1) +
                     by);
      else if (i != dim + 1)
        at.push_back(im.b.getAffineDimExpr(i));
    }
    return AffineMap::get(rank, 0, at, im.b.getContext());
  };
  AffineMap side = AffineMap::get(rank, 0, im.b.getAffineDimExpr(dim + 1));
  Value before = constantTensorOf(im, {2}, {0.25f, 0.75f});
  Value after = constantTensorOf(im, {2}, {0.75f, 0.25f});
  Type f32 = im.b.getF32Type();
  Value result = generic(
      im, {padded, padded, before, after}, {shifted(0), shifted(1), side, side},
      sizes, f32, [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value l = arith::MulFOp::create(b, args[0], args[2]);
        Value r = arith::MulFOp::create(b, args[1], args[3]);
        return arith::AddFOp::create(b, l, r);
      });
  return im.reshape(result, merged);
}

//===-- tables ------------------------------------------------------------===//

Value indexTable(Importer &im, ArrayRef<int64_t> shape,
                 ArrayRef<int32_t> values) {
  auto type = RankedTensorType::get(shape, im.b.getI32Type());
  return im.constantTensor(DenseElementsAttr::get(type, values));
}

/// Reads by tables: `taps` taps for each position, row-major. Positions
/// outside of a crop have a bias instead of weights.
struct Table {
  int64_t taps = 0;
  SmallVector<int32_t> indices;
  SmallVector<float> weights, bias;
  bool biased = false;
};

Table makeTable(Importer &im, const ResizeOptions &options,
                const ResizeAxis &axis, int64_t out) {
  Table table;
  SmallVector<SmallVector<std::pair<int64_t, float>>> rows;
  for (int64_t o = 0; o < out; ++o) {
    auto &row = rows.emplace_back();
    if (options.antialias) {
      row = antialiasTaps(im.b, options, axis, o);
    } else {
      for (const Tap &tap : resizeTaps(im.b, options, axis, Number(o)))
        row.emplace_back(static_cast<int64_t>(tap.index.known),
                         tap.weight.known);
    }
    table.bias.push_back(0);
    if (options.transform == Transform::TfCropAndResize) {
      float at = originalPosition(im.b, options, axis, Number(o)).known;
      if (at < 0 || at > axis.in.known - 1) {
        for (auto &[index, weight] : row)
          weight = 0;
        table.bias.back() = options.extrapolation;
        table.biased = true;
      }
    }
    table.taps = std::max<int64_t>(table.taps, row.size());
  }
  for (auto &row : rows) {
    row.resize(table.taps, {row.front().first, 0.0f});
    for (auto [index, weight] : row) {
      table.indices.push_back(static_cast<int32_t>(index));
      table.weights.push_back(weight);
    }
  }
  return table;
}

/// x at `index` of dimension `dim` in a body whose other positions are its own.
Value readAt(ImplicitLocOpBuilder &b, Value x, int64_t dim, Value index) {
  SmallVector<Value> at;
  for (int64_t i = 0; i < rankOf(x); ++i)
    at.push_back(i == dim ? index : linalg::IndexOp::create(b, i).getResult());
  return tensor::ExtractOp::create(b, x, at);
}

/// Many taps: a reduction over them.
Value readReduced(Importer &im, Value x, int64_t dim, const Table &table,
                  ArrayRef<OpFoldResult> sizes) {
  int64_t rank = rankOf(x), out = table.bias.size();
  Type f32 = im.b.getF32Type();
  Value indices = indexTable(im, {out, table.taps}, table.indices);
  Value weights = constantTensorOf(im, {out, table.taps}, table.weights);
  Value destination = im.fill(sizes, im.constant(f32, 0));
  MLIRContext *context = im.b.getContext();
  AffineMap tap = AffineMap::get(
      rank + 1, 0, {im.b.getAffineDimExpr(dim), im.b.getAffineDimExpr(rank)},
      context);
  SmallVector<AffineExpr> outExprs;
  for (int64_t i = 0; i < rank; ++i)
    outExprs.push_back(im.b.getAffineDimExpr(i));
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  iterators.push_back(utils::IteratorType::reduction);
  auto op = linalg::GenericOp::create(
      im.b, destination.getType(), ValueRange{indices, weights}, destination,
      ArrayRef{tap, tap, AffineMap::get(rank + 1, 0, outExprs, context)},
      iterators, [&](OpBuilder &nested, Location loc, ValueRange args) {
        ImplicitLocOpBuilder b(loc, nested);
        Value element = readAt(b, x, dim, toIndex(b, args[0], DType::Int32));
        Value product = arith::MulFOp::create(b, element, args[1]);
        Value result = arith::AddFOp::create(b, args[2], product);
        linalg::YieldOp::create(b, result);
      });
  im.setDims(op.getResult(0), sizes);
  return op.getResult(0);
}

/// A few taps: their tables are operands of one generic.
Value readUnrolled(Importer &im, Value x, int64_t dim, const Table &table,
                   ArrayRef<OpFoldResult> sizes, bool weighted) {
  int64_t rank = rankOf(x), out = table.bias.size(), taps = table.taps;
  SmallVector<Value> inputs;
  for (int64_t t = 0; t < taps; ++t) {
    SmallVector<int32_t> column;
    for (int64_t o = 0; o < out; ++o)
      column.push_back(table.indices[o * taps + t]);
    inputs.push_back(indexTable(im, {out}, column));
  }
  for (int64_t t = 0; weighted && t < taps; ++t) {
    SmallVector<float> column;
    for (int64_t o = 0; o < out; ++o)
      column.push_back(table.weights[o * taps + t]);
    inputs.push_back(constantTensorOf(im, {out}, column));
  }
  SmallVector<AffineMap> maps(
      inputs.size(), AffineMap::get(rank, 0, im.b.getAffineDimExpr(dim)));
  return generic(
      im, inputs, maps, sizes, elementOf(x),
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value sum;
        for (int64_t t = 0; t < taps; ++t) {
          Value element = readAt(b, x, dim, toIndex(b, args[t], DType::Int32));
          if (!weighted)
            return element;
          Value product = arith::MulFOp::create(b, element, args[taps + t]);
          sum = sum ? arith::AddFOp::create(b, sum, product).getResult()
                    : product;
        }
        return sum;
      });
}

/// Open sizes: indices and weights are computed where they are used.
Value readComputed(Importer &im, Value x, const ResizeOptions &options,
                   const ResizeTask &task, ArrayRef<OpFoldResult> sizes,
                   bool weighted) {
  Type f32 = im.b.getF32Type();
  auto number = [&](OpFoldResult size) {
    if (auto known = ShapeMath::constant(size))
      return Number(*known);
    return Number(fromIndex(im.b, im.shape.value(size), f32));
  };
  ResizeAxis axis{number(task.in), number(task.out), 1.0f, task.roiStart,
                  task.roiEnd};
  if (task.scale)
    axis.scale = *task.scale;
  else if (task.openScale)
    axis.scale = Number(task.openScale);
  else
    axis.scale =
        Number(arith::DivFOp::create(
                   im.b, fromIndex(im.b, im.shape.value(task.out), f32),
                   fromIndex(im.b, im.shape.value(task.in), f32))
                   .getResult());
  Value limit = im.shape.value(task.in);
  return generic(
      im, {}, {}, sizes, elementOf(x),
      [&](ImplicitLocOpBuilder &b, ValueRange) -> Value {
        Value position = linalg::IndexOp::create(b, task.dim);
        Value sum;
        for (Tap &tap : resizeTaps(b, options, axis,
                                   Number(fromIndex(b, position, f32)))) {
          Value at = tap.index.isKnown()
                         ? Importer::constant(b, f32, tap.index.known)
                         : tap.index.value;
          Value whole = arith::FPToSIOp::create(b, b.getI64Type(), at);
          Value index =
              Importer::clampIndex(b, toIndex(b, whole, DType::Int64), limit);
          Value element = readAt(b, x, task.dim, index);
          if (!weighted)
            return element;
          Value weight = tap.weight.isKnown()
                             ? Importer::constant(b, f32, tap.weight.known)
                             : tap.weight.value;
          Value product = arith::MulFOp::create(b, element, weight);
          sum = sum ? arith::AddFOp::create(b, sum, product).getResult()
                    : product;
        }
        return sum;
      });
}

FailureOr<Value> resizeDim(Importer &im, const Node &node, Value x,
                           const ResizeOptions &options, const ResizeTask &task,
                           bool weighted) {
  Sizes sizes = im.dims(x);
  sizes[task.dim] = task.out;
  auto in = ShapeMath::constant(task.in), out = ShapeMath::constant(task.out);
  if (in == 0)
    return im.error(node) << "dimension " << task.dim << " is empty";
  if (!in || !out || !task.scale || *out > kTableEntries) {
    if (options.antialias || options.transform == Transform::TfCropAndResize)
      return im.error(node) << "antialias and tf_crop_and_resize need sizes "
                               "known at compile time";
    return readComputed(im, x, options, task, sizes, weighted);
  }
  if (*out == 0)
    return im.empty(sizes, elementOf(x));
  ResizeAxis axis{Number(*in), Number(*out), *task.scale, task.roiStart,
                  task.roiEnd};
  Table table = makeTable(im, options, axis, *out);
  if (table.taps * *out > 16 * kTableEntries)
    return im.error(node) << "the filter of dimension " << task.dim << " has "
                          << table.taps << " taps";
  Value result = table.taps > 4
                     ? readReduced(im, x, task.dim, table, sizes)
                     : readUnrolled(im, x, task.dim, table, sizes, weighted);
  if (!table.biased)
    return result;
  return alongDim(im, result, {constantTensorOf(im, {*out}, table.bias)},
                  task.dim, elementOf(x),
                  [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                    return arith::AddFOp::create(b, args[0], args[1]);
                  });
}

/// The float result as an element of the input's type.
Value toElement(Importer &im, Value x, Type element, DType dtype,
                const ResizeOptions &options) {
  if (!isa<IntegerType>(element))
    return convert(im, x, element);
  unsigned width = element.getIntOrFloatBitWidth();
  bool natural = isUnsigned(dtype);
  double low = natural ? 0 : -std::ldexp(1.0, width - 1);
  double high = std::ldexp(1.0, natural ? width : width - 1) - 1;
  if (width > 24) // the largest float32 below
    high = std::nextafterf(static_cast<float>(high), 0);
  return unary(im, x, element, [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Type f32 = b.getF32Type();
    Value y = args[0];
    if (options.antialias)
      y = math::FloorOp::create(
          b, arith::AddFOp::create(b, y, Importer::constant(b, f32, 0.5)));
    y = arith::MaximumFOp::create(b, y, Importer::constant(b, f32, low));
    y = arith::MinimumFOp::create(b, y, Importer::constant(b, f32, high));
    return natural ? arith::FPToUIOp::create(b, element, y).getResult()
                   : arith::FPToSIOp::create(b, element, y).getResult();
  });
}

LogicalResult resize(Importer &im, const Node &node, Value x, DType dtype,
                     const ResizeOptions &options, ArrayRef<ResizeTask> tasks) {
  bool crops = options.transform == Transform::TfCropAndResize;
  SmallVector<ResizeTask> left;
  SmallVector<int64_t> factors(rankOf(x), 1);
  bool repeats = false;
  for (const ResizeTask &task : tasks) {
    bool keeps = im.shape.equal(task.in, task.out) && !task.openScale &&
                 (!task.scale || *task.scale == 1);
    if (keeps && !crops)
      continue;
    if (auto factor = wholeFactor(im, options, task)) {
      factors[task.dim] = *factor;
      repeats |= *factor > 1;
      continue;
    }
    left.push_back(task);
  }
  if (repeats)
    x = repeat(im, x, factors);
  if (left.empty())
    return im.out(node, 0, x, dtype);
  Type element = elementOf(x);
  bool weighted = options.mode != ResizeMode::Nearest || crops;
  if (weighted && element.isInteger(1))
    return im.error(node) << "cannot interpolate bool";
  if (weighted)
    x = convert(im, x, im.b.getF32Type(), isUnsigned(dtype));
  for (const ResizeTask &task : left) {
    bool doubles =
        options.mode == ResizeMode::Linear && !options.antialias &&
        (options.transform == Transform::HalfPixel ||
         options.transform == Transform::PytorchHalfPixel) &&
        task.scale == 2.0f && ShapeMath::constant(task.in) != 0 &&
        im.shape.equal(task.out, im.shape.mul(task.in, im.shape.attr(2)));
    if (doubles) {
      x = doubleLinear(im, node, x, task.dim);
      if (!x)
        return failure();
      continue;
    }
    auto resized = resizeDim(im, node, x, options, task, weighted);
    if (failed(resized))
      return failure();
    x = *resized;
  }
  if (weighted)
    x = toElement(im, x, element, dtype, options);
  return im.out(node, 0, x, dtype);
}

LogicalResult importResize(Importer &im, const Node &node) {
  bool isUpsample = node.opType == "Upsample";
  int64_t opset = im.opset(node);
  bool modern = !isUpsample && opset >= 11;
  ImportedValue input = im.in(node, 0);
  Value x = im.tensor(input);
  auto options = readOptions(im, node, modern);
  if (!x || failed(options))
    return failure();
  int64_t rank = rankOf(x);
  auto axes = im.axes(node, im.getInts(node, "axes", axesFrom(0, rank)), rank);
  if (failed(axes))
    return failure();
  SmallVector<ResizeTask> tasks;
  for (int64_t axis : *axes)
    tasks.push_back({axis, im.dim(x, axis), {}, std::nullopt, {}});
  if (isUpsample && opset < 9) {
    auto scales = im.getFloats(node, "scales");
    if (scales.size() != tasks.size())
      return im.error(node)
             << "expected " << tasks.size() << " scales, got " << scales.size();
    for (auto [task, scale] : llvm::zip(tasks, scales)) {
      if (!(scale > 0) || scale > 65536)
        return im.error(node) << "scale " << scale << " is out of range";
      task.scale = scale;
      task.out = scaledSize(im, task.in, scale);
    }
  } else if (failed(readResizeSizes(im, node, tasks, modern ? 2 : 1,
                                    modern ? 3 : -1))) {
    return failure();
  }
  if (options->transform == Transform::TfCropAndResize) {
    auto roi = im.constantFloats(im.in(node, 1));
    if (!roi || roi->size() != 2 * tasks.size())
      return im.error(node) << "expected a roi of " << 2 * tasks.size()
                            << " elements known at compile time";
    for (auto [i, task] : llvm::enumerate(tasks)) {
      task.roiStart = static_cast<float>((*roi)[i]);
      task.roiEnd = static_cast<float>((*roi)[tasks.size() + i]);
    }
  }
  return resize(im, node, x, input.dtype, *options, tasks);
}

} // namespace

void mlir::tamis::onnx::registerResize(OpTable &table) {
  table.add({"", "Resize", 10, {1, 4}, importResize});
  table.add({"", "Upsample", 7, {1, 2}, importResize});
}
