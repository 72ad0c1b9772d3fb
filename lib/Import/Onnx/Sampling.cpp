// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reading between elements: GridSample, AffineGrid, RoiAlign; and two that
// move patches: CenterCropPad and Col2Im.
#include "Structured.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::tamis::onnx;

namespace {

/// Float arithmetic in a body.
struct Floats {
  ImplicitLocOpBuilder &b;
  Type type;

  Value c(double value) { return Importer::constant(b, type, value); }
  Value add(Value l, Value r) { return arith::AddFOp::create(b, l, r); }
  Value sub(Value l, Value r) { return arith::SubFOp::create(b, l, r); }
  Value mul(Value l, Value r) { return arith::MulFOp::create(b, l, r); }
  Value div(Value l, Value r) { return arith::DivFOp::create(b, l, r); }
  Value min(Value l, Value r) { return arith::MinimumFOp::create(b, l, r); }
  Value max(Value l, Value r) { return arith::MaximumFOp::create(b, l, r); }
  Value abs(Value x) { return math::AbsFOp::create(b, x); }
  Value floor(Value x) { return math::FloorOp::create(b, x); }
  Value select(Value bit, Value yes, Value no) {
    return arith::SelectOp::create(b, bit, yes, no);
  }
  Value atMost(Value l, Value r) {
    return arith::CmpFOp::create(b, arith::CmpFPredicate::OLE, l, r);
  }
  /// A whole number as an index; anything else as 0.
  Value index(Value x) {
    Value sane = atMost(abs(x), c(1e9));
    Value whole =
        arith::FPToSIOp::create(b, b.getI64Type(), select(sane, x, c(0)));
    return arith::IndexCastOp::create(b, b.getIndexType(), whole);
  }
};

//===-- GridSample --------------------------------------------------------===//

enum class Padding { Zeros, Border, Reflection };

struct GridOptions {
  int64_t taps; // 1 nearest, 2 linear, 4 cubic
  Padding padding;
  bool alignCorners;
};

/// A whole position reflected into [low, high].
Value reflect(Floats f, Value x, Value low, Value high) {
  Value span = f.sub(high, low);
  Value safe = f.max(span, f.c(1e-6));
  Value away = f.abs(f.sub(x, low));
  Value turns = f.floor(f.div(away, safe));
  Value rest = f.sub(away, f.mul(turns, safe));
  Value half = f.mul(turns, f.c(0.5));
  Value isEven = f.atMost(f.abs(f.sub(half, f.floor(half))), f.c(0.25));
  return f.select(isEven, f.add(low, rest), f.sub(high, rest));
}

/// One coordinate of a grid point: indices within the dimension, weights.
void gridTaps(Floats f, const GridOptions &options, Value x, Value size,
              SmallVectorImpl<Value> &indices,
              SmallVectorImpl<Value> &weights) {
  Value extent = fromIndex(f.b, size, f.type);
  Value last = f.sub(extent, f.c(1));
  Value unit = f.mul(f.add(x, f.c(1)), f.c(0.5)); // [0, 1]
  Value at = options.alignCorners ? f.mul(unit, last)
                                  : f.sub(f.mul(unit, extent), f.c(0.5));
  Value low = options.alignCorners ? f.c(0) : f.c(-0.5);
  Value high = options.alignCorners ? last : f.add(last, f.c(0.5));
  auto bound = [&](Value position) {
    if (options.padding == Padding::Reflection)
      position = reflect(f, position, low, high);
    return options.padding == Padding::Zeros
               ? position
               : f.min(f.max(position, f.c(0)), last);
  };
  auto tap = [&](Value position, Value weight) {
    position = bound(position);
    if (options.padding == Padding::Reflection)
      position = f.floor(f.add(position, f.c(0.5)));
    if (options.padding == Padding::Zeros) {
      Value inside = arith::AndIOp::create(f.b, f.atMost(f.c(0), position),
                                           f.atMost(position, last));
      weight = f.select(inside, weight, f.c(0));
    }
    indices.push_back(Importer::clampIndex(
        f.b, f.index(f.min(f.max(position, f.c(0)), last)), size));
    weights.push_back(weight);
  };
  if (options.taps == 1)
    return tap(math::RoundEvenOp::create(f.b, bound(at)), f.c(1));
  if (options.taps == 2)
    at = bound(at);
  Value base = f.floor(at), s = f.sub(at, base);
  if (options.taps == 2) {
    tap(base, f.sub(f.c(1), s));
    return tap(f.add(base, f.c(1)), s);
  }
  auto inner = [&](Value s) { // (1.25 s - 2.25) s^2 + 1
    return f.add(f.mul(f.mul(f.sub(f.mul(f.c(1.25), s), f.c(2.25)), s), s),
                 f.c(1));
  };
  auto outer = [&](Value s) { // -0.75 (s^3 - 5 s^2 + 8 s - 4)
    Value poly =
        f.sub(f.mul(f.add(f.mul(f.sub(s, f.c(5)), s), f.c(8)), s), f.c(4));
    return f.mul(f.c(-0.75), poly);
  };
  Value t = f.sub(f.c(1), s);
  tap(f.sub(base, f.c(1)), outer(f.add(s, f.c(1))));
  tap(base, inner(s));
  tap(f.add(base, f.c(1)), inner(t));
  tap(f.add(base, f.c(2)), outer(f.add(t, f.c(1))));
}

LogicalResult importGridSample(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  Value x = im.tensor(input), grid = im.tensor(node, 1);
  if (!x || !grid)
    return failure();
  int64_t rank = rankOf(x), spatial = rank - 2;
  if (spatial < 1 || failed(im.requireRank(node, grid, rank, "grid")))
    return failure();
  if (!isa<FloatType>(elementOf(x)) || !isa<FloatType>(elementOf(grid)))
    return im.error(node) << "expected floats";
  if (tensorTypeOf(grid).getDimSize(rank - 1) != spatial)
    return im.error(node) << "the last dimension of the grid must be "
                          << spatial;
  StringRef mode = im.getString(node, "mode", "linear");
  StringRef padding = im.getString(node, "padding_mode", "zeros");
  GridOptions options{0, Padding::Zeros,
                      im.getInt(node, "align_corners", 0) != 0};
  if (mode == "nearest")
    options.taps = 1;
  else if (mode == "linear" || mode == "bilinear")
    options.taps = 2;
  else if ((mode == "cubic" || mode == "bicubic") && spatial == 2)
    options.taps = 4;
  else
    return im.error(node) << "mode '" << mode << "' is not supported for "
                          << spatial << " dimensions";
  if (padding == "border")
    options.padding = Padding::Border;
  else if (padding == "reflection")
    options.padding = Padding::Reflection;
  else if (padding != "zeros")
    return im.error(node) << "attribute 'padding_mode' has unknown value '"
                          << padding << "'";
  if (failed(im.requireEqual(node, im.dim(x, 0), im.dim(grid, 0), "batch")))
    return failure();
  Sizes sizes{im.dim(x, 0), im.dim(x, 1)};
  SmallVector<Value> extents;
  for (int64_t i = 0; i < spatial; ++i) {
    sizes.push_back(im.dim(grid, 1 + i));
    extents.push_back(im.shape.value(im.dim(x, 2 + i)));
  }
  Value batches = im.shape.value(im.dim(grid, 0));
  Type element = elementOf(x), type = computeType(element);
  Value result = generic(
      im, {}, {}, sizes, element,
      [&](ImplicitLocOpBuilder &b, ValueRange) -> Value {
        Floats f{b, type};
        auto position = [&](int64_t i) -> Value {
          return linalg::IndexOp::create(b, i);
        };
        SmallVector<Value> point{Importer::clampIndex(b, position(0), batches)};
        for (int64_t i = 0; i < spatial; ++i)
          point.push_back(position(2 + i));
        point.emplace_back();
        SmallVector<SmallVector<Value>> indices(spatial), weights(spatial);
        for (int64_t i = 0; i < spatial; ++i) {
          // The grid lists x before y.
          point.back() = indexConstant(b, spatial - 1 - i);
          Value at =
              castScalar(b, tensor::ExtractOp::create(b, grid, point), type);
          gridTaps(f, options, at, extents[i], indices[i], weights[i]);
        }
        Value sum;
        int64_t total = 1;
        for (int64_t i = 0; i < spatial; ++i)
          total *= options.taps;
        for (int64_t flat = 0; flat < total; ++flat) {
          SmallVector<Value> at{position(0), position(1)};
          Value weight;
          int64_t rest = flat;
          for (int64_t i = 0; i < spatial; ++i) {
            int64_t tap = rest % options.taps;
            rest /= options.taps;
            at.push_back(indices[i][tap]);
            weight = weight ? f.mul(weight, weights[i][tap]) : weights[i][tap];
          }
          Value read = castScalar(b, tensor::ExtractOp::create(b, x, at), type);
          Value part = f.mul(read, weight);
          sum = sum ? f.add(sum, part) : part;
        }
        return castScalar(b, sum, element);
      });
  return im.out(node, 0, result, input.dtype);
}

LogicalResult importAffineGrid(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  Value theta = im.tensor(input);
  auto size = im.indices(node, 1);
  if (!theta || failed(size) || failed(im.requireRank(node, theta, 3, "theta")))
    return failure();
  int64_t spatial = static_cast<int64_t>(size->size()) - 2;
  ArrayRef<int64_t> shape = tensorTypeOf(theta).getShape();
  if (spatial < 1 || shape[1] != spatial || shape[2] != spatial + 1)
    return im.error(node) << "theta must be N x " << spatial << " x "
                          << spatial + 1;
  if (!isFloat(input.dtype))
    return im.error(node) << "expected floats, got " << dtypeName(input.dtype);
  bool align = im.getInt(node, "align_corners", 0) != 0;
  Sizes sizes{im.dim(theta, 0)};
  SmallVector<Value> extents;
  for (int64_t i = 0; i < spatial; ++i) {
    sizes.push_back(im.shape.max((*size)[2 + i], im.shape.attr(0)));
    extents.push_back(im.shape.value(sizes.back()));
  }
  sizes.push_back(im.shape.attr(spatial));
  Type element = elementOf(theta), type = computeType(element);
  Value result = generic(
      im, {}, {}, sizes, element,
      [&](ImplicitLocOpBuilder &b, ValueRange) -> Value {
        Floats f{b, type};
        Value batch = linalg::IndexOp::create(b, 0);
        Value row = linalg::IndexOp::create(b, spatial + 1);
        auto read = [&](int64_t column) {
          return castScalar(
              b,
              tensor::ExtractOp::create(
                  b, theta, ValueRange{batch, row, indexConstant(b, column)}),
              type);
        };
        Value sum = read(spatial);
        for (int64_t k = 0; k < spatial; ++k) {
          int64_t dim = spatial - 1 - k; // x, the last dimension, first
          Value i = fromIndex(b, linalg::IndexOp::create(b, 1 + dim), type);
          Value n = fromIndex(b, extents[dim], type);
          Value at;
          if (align) {
            Value steps = f.max(f.sub(n, f.c(1)), f.c(1));
            at = f.sub(f.div(f.mul(i, f.c(2)), steps), f.c(1));
            at = f.select(f.atMost(n, f.c(1)), f.c(0), at);
          } else {
            at = f.sub(f.div(f.add(f.mul(i, f.c(2)), f.c(1)), n), f.c(1));
          }
          sum = f.add(sum, f.mul(read(k), at));
        }
        return castScalar(b, sum, element);
      });
  return im.out(node, 0, result, input.dtype);
}

//===-- regions of interest -----------------------------------------------===//

/// Each bin of each region: the mean (or maximum) of points spread over it,
/// each read between four elements.
LogicalResult importRoiAlign(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0), batchInput = im.in(node, 2);
  Value x = im.tensor(input), rois = im.tensor(node, 1);
  Value batches = im.tensor(batchInput);
  if (!x || !rois || !batches || failed(im.requireRank(node, x, 4, "X")) ||
      failed(im.requireRank(node, rois, 2, "rois")) ||
      failed(im.requireRank(node, batches, 1, "batch_indices")))
    return failure();
  if (!isFloat(input.dtype) || elementOf(rois) != elementOf(x) ||
      !isInteger(batchInput.dtype))
    return im.error(node) << "expected float X and rois and integer "
                             "batch_indices";
  if (tensorTypeOf(rois).getDimSize(1) != 4 ||
      !im.shape.equal(im.dim(rois, 0), im.dim(batches, 0)))
    return im.error(node) << "rois must be N x 4 and batch_indices N";
  int64_t height = im.getInt(node, "output_height", 1);
  int64_t width = im.getInt(node, "output_width", 1);
  int64_t ratio = im.getInt(node, "sampling_ratio", 0);
  double scale = im.getFloat(node, "spatial_scale", 1);
  StringRef mode = im.getString(node, "mode", "avg");
  StringRef transform =
      im.getString(node, "coordinate_transformation_mode",
                   im.opset(node) >= 16 ? "half_pixel" : "output_half_pixel");
  bool half = transform == "half_pixel", isMax = mode == "max";
  if (height < 1 || width < 1 || ratio < 0 ||
      (!half && transform != "output_half_pixel") || (!isMax && mode != "avg"))
    return im.error(node) << "sizes, sampling_ratio, mode or "
                             "coordinate_transformation_mode is out of range";
  im.checkIndices(batches, im.dim(x, 0));
  Value limits[] = {im.shape.value(im.dim(x, 2)), im.shape.value(im.dim(x, 3))};
  Value batchLimit = im.shape.value(im.dim(x, 0));
  Sizes sizes{im.dim(rois, 0), im.dim(x, 1), im.shape.attr(height),
              im.shape.attr(width)};
  Type element = elementOf(x), type = computeType(element);
  Value result = loops(
      im, sizes, im.empty(sizes, element),
      [&](ImplicitLocOpBuilder &b, ValueRange at, ValueRange carried) {
        Floats f{b, type};
        Value one = indexConstant(b, 1), zero = indexConstant(b, 0);
        Value batch = Importer::clampIndex(
            b,
            toIndex(b, tensor::ExtractOp::create(b, batches, at[0]),
                    batchInput.dtype),
            batchLimit);
        auto corner = [&](int64_t k) {
          Value raw = tensor::ExtractOp::create(
              b, rois, ValueRange{at[0], indexConstant(b, k)});
          Value scaled = f.mul(castScalar(b, raw, type), f.c(scale));
          return half ? f.sub(scaled, f.c(0.5)) : scaled;
        };
        Value start[2], step[2], samples[2];
        int64_t bins[] = {height, width};
        for (int k = 0; k < 2; ++k) {
          start[k] = corner(1 - k);
          Value length = f.sub(corner(3 - k), start[k]);
          if (!half)
            length = f.max(length, f.c(1));
          Value bin = f.div(length, f.c(static_cast<double>(bins[k])));
          start[k] = f.add(start[k], f.mul(bin, fromIndex(b, at[2 + k], type)));
          samples[k] = indexConstant(b, ratio);
          if (ratio == 0) {
            Value wanted = math::CeilOp::create(b, bin);
            wanted = f.min(f.max(wanted, f.c(0)), f.c(4096));
            samples[k] = f.index(wanted);
          }
          step[k] = f.div(bin, f.max(fromIndex(b, samples[k], type), f.c(1)));
        }
        Value initial = isMax ? lowestOf(b, type, DType::Float) : f.c(0);
        auto rows = scf::ForOp::create(
            b, zero, samples[0], one, initial,
            [&](OpBuilder &nested, Location loc, Value sy, ValueRange outer) {
              ImplicitLocOpBuilder b(loc, nested);
              auto columns = scf::ForOp::create(
                  b, zero, samples[1], one, outer,
                  [&](OpBuilder &nested, Location loc, Value sx,
                      ValueRange inner) {
                    ImplicitLocOpBuilder b(loc, nested);
                    Floats f{b, type};
                    Value picks[] = {sy, sx}, low[2], high[2], weight[2];
                    Value inside = Importer::constantInt(b, b.getI1Type(), 1);
                    for (int k = 0; k < 2; ++k) {
                      Value offset =
                          f.add(fromIndex(b, picks[k], type), f.c(0.5));
                      Value p = f.add(start[k], f.mul(step[k], offset));
                      Value extent = fromIndex(b, limits[k], type);
                      inside = arith::AndIOp::create(
                          b, inside,
                          arith::AndIOp::create(b, f.atMost(f.c(-1), p),
                                                f.atMost(p, extent)));
                      p = f.max(p, f.c(0));
                      Value last = f.sub(extent, f.c(1));
                      Value base = f.min(f.floor(p), last);
                      p = f.min(p, last);
                      low[k] =
                          Importer::clampIndex(b, f.index(base), limits[k]);
                      high[k] = Importer::clampIndex(
                          b, f.index(f.min(f.add(base, f.c(1)), last)),
                          limits[k]);
                      weight[k] = f.sub(p, base);
                    }
                    auto read = [&](Value y, Value x_, Value wy, Value wx) {
                      Value raw = tensor::ExtractOp::create(
                          b, x, ValueRange{batch, at[1], y, x_});
                      return f.mul(castScalar(b, raw, type), f.mul(wy, wx));
                    };
                    Value wy = f.sub(f.c(1), weight[0]);
                    Value wx = f.sub(f.c(1), weight[1]);
                    Value parts[] = {
                        read(low[0], low[1], wy, wx),
                        read(low[0], high[1], wy, weight[1]),
                        read(high[0], low[1], weight[0], wx),
                        read(high[0], high[1], weight[0], weight[1])};
                    Value next = parts[0];
                    for (Value part : ArrayRef(parts).drop_front())
                      next = isMax ? f.max(next, part) : f.add(next, part);
                    next = f.select(inside, next, f.c(0));
                    next =
                        isMax ? f.max(inner[0], next) : f.add(inner[0], next);
                    scf::YieldOp::create(b, next);
                  });
              scf::YieldOp::create(b, columns.getResult(0));
            });
        Value folded = rows.getResult(0);
        Value count = fromIndex(b, mulIndex(b, samples[0], samples[1]), type);
        if (isMax)
          folded = f.select(f.atMost(count, f.c(0)), f.c(0), folded);
        else
          folded = f.div(folded, f.max(count, f.c(1)));
        return SmallVector<Value>{
            tensor::InsertOp::create(b, castScalar(b, folded, element),
                                     carried[0], at)
                .getResult()};
      })[0];
  return im.out(node, 0, result, input.dtype);
}

//===-- patches -----------------------------------------------------------===//

LogicalResult importCenterCropPad(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  Value x = im.tensor(input);
  auto wanted = im.indices(node, 1);
  if (!x || failed(wanted))
    return failure();
  int64_t rank = rankOf(x);
  auto axes = im.axes(node, im.getInts(node, "axes", axesFrom(0, rank)), rank);
  if (failed(axes))
    return failure();
  if (axes->size() != wanted->size())
    return im.error(node) << "expected " << axes->size() << " sizes, got "
                          << wanted->size();
  ShapeMath &shape = im.shape;
  Sizes sizes = im.dims(x), offsets(rank, shape.attr(0));
  Sizes strides(rank, shape.attr(1)), low = offsets, high = offsets;
  for (auto [axis, size] : llvm::zip(*axes, *wanted)) {
    if (auto known = ShapeMath::constant(size); known && *known < 0)
      return im.error(node) << "size " << *known << " is negative";
    size = shape.max(size, shape.attr(0));
    OpFoldResult kept = shape.min(size, sizes[axis]);
    offsets[axis] = shape.floorDiv(shape.sub(sizes[axis], kept), shape.attr(2));
    OpFoldResult missing = shape.sub(size, kept);
    low[axis] = shape.floorDiv(missing, shape.attr(2));
    high[axis] = shape.sub(missing, low[axis]);
    sizes[axis] = kept;
  }
  Value cropped = im.slice(x, offsets, sizes, strides);
  return im.out(node, 0,
                im.pad(cropped, low, high, im.constant(elementOf(x), 0)),
                input.dtype);
}

/// Adds the columns of patches back to the image they were taken from.
LogicalResult importCol2Im(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  Value x = im.tensor(input);
  if (!x || failed(im.requireRank(node, x, 3, "input")))
    return failure();
  auto imageSizes = im.indices(node, 1), block = im.indices(node, 2);
  if (failed(imageSizes) || failed(block))
    return failure();
  size_t spatial = imageSizes->size();
  SmallVector<int64_t> ones(spatial, 1), zeros(2 * spatial, 0);
  auto strides = im.getInts(node, "strides", ones);
  auto dilations = im.getInts(node, "dilations", ones);
  auto pads = im.getInts(node, "pads", zeros);
  if (spatial < 1 || block->size() != spatial || strides.size() != spatial ||
      dilations.size() != spatial || pads.size() != 2 * spatial)
    return im.error(node) << "block_shape, strides, dilations and pads must "
                             "fit "
                          << spatial << " dimensions";
  ShapeMath &shape = im.shape;
  for (size_t i = 0; i < spatial; ++i) {
    auto known = ShapeMath::constant((*block)[i]);
    if ((known && *known < 1) || strides[i] < 1 || dilations[i] < 1)
      return im.error(node) << "blocks, strides and dilations must be positive";
    (*block)[i] = shape.max((*block)[i], shape.attr(1));
  }
  OpFoldResult area = shape.product(*block);
  OpFoldResult channels = shape.floorDiv(im.dim(x, 1), area);
  if (failed(im.requireEqual(node, im.dim(x, 1), shape.mul(channels, area),
                             "dimension 1 and a multiple of the block")))
    return failure();
  // The patches of each dimension.
  Sizes counts{im.dim(x, 0), channels}, columns, sizes = counts;
  llvm::append_range(counts, *block);
  for (size_t i = 0; i < spatial; ++i) {
    OpFoldResult size = shape.max((*imageSizes)[i], shape.attr(0));
    sizes.push_back(size);
    OpFoldResult room =
        shape.sub(shape.add(size, shape.attr(pads[i] + pads[spatial + i])),
                  shape.add(shape.mul(shape.sub((*block)[i], shape.attr(1)),
                                      shape.attr(dilations[i])),
                            shape.attr(1)));
    columns.push_back(shape.max(
        shape.add(shape.floorDiv(room, shape.attr(strides[i])), shape.attr(1)),
        shape.attr(0)));
  }
  counts.append(columns.begin(), columns.end());
  if (failed(im.requireEqual(node, im.dim(x, 2), shape.product(columns),
                             "number of columns")))
    return failure();
  SmallVector<Value> columnSizes, extents, blockSizes;
  for (size_t i = 0; i < spatial; ++i) {
    columnSizes.push_back(shape.value(columns[i]));
    blockSizes.push_back(shape.value((*block)[i]));
    extents.push_back(shape.value(sizes[2 + i]));
  }
  Value rowLimit = shape.value(im.dim(x, 1));
  Value columnLimit = shape.value(im.dim(x, 2));
  Type element = elementOf(x);
  Value start = im.fill(sizes, im.constant(element, 0));
  im.setDims(start, sizes);
  Value result = loops(
      im, counts, start,
      [&](ImplicitLocOpBuilder &b, ValueRange at, ValueRange carried) {
        Value row = at[1], column = indexConstant(b, 0);
        SmallVector<Value> to{at[0], at[1]};
        Value inside = Importer::constantInt(b, b.getI1Type(), 1);
        for (size_t i = 0; i < spatial; ++i) {
          Value k = at[2 + i], o = at[2 + spatial + i];
          row = addIndex(b, mulIndex(b, row, blockSizes[i]), k);
          column = addIndex(b, mulIndex(b, column, columnSizes[i]), o);
          Value p = addIndex(b, mulIndex(b, o, indexConstant(b, strides[i])),
                             mulIndex(b, k, indexConstant(b, dilations[i])));
          p = subIndex(b, p, indexConstant(b, pads[i]));
          // Unsigned: a negative position is a large one.
          inside = arith::AndIOp::create(
              b, inside,
              compareIndex(b, arith::CmpIPredicate::ult, p, extents[i]));
          to.push_back(p);
        }
        return choose(
            b, inside,
            [&](ImplicitLocOpBuilder &b) {
              Value next = tensor::ExtractOp::create(
                  b, x,
                  ValueRange{at[0], Importer::clampIndex(b, row, rowLimit),
                             Importer::clampIndex(b, column, columnLimit)});
              Value old = tensor::ExtractOp::create(b, carried[0], to);
              return SmallVector<Value>{
                  tensor::InsertOp::create(b, addElements(b, old, next),
                                           carried[0], to)
                      .getResult()};
            },
            [&](ImplicitLocOpBuilder &) {
              return SmallVector<Value>(carried);
            });
      })[0];
  return im.out(node, 0, result, input.dtype);
}

} // namespace

void mlir::tamis::onnx::registerSampling(OpTable &table) {
  table.add({"", "GridSample", 16, {2, 2}, importGridSample});
  table.add({"", "AffineGrid", 20, {2, 2}, importAffineGrid});
  table.add({"", "RoiAlign", 10, {3, 3}, importRoiAlign});
  table.add({"", "CenterCropPad", 18, {2, 2}, importCenterCropPad});
  table.add({"", "Col2Im", 18, {3, 3}, importCol2Im});
}
