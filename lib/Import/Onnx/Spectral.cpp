// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Signal operators. A discrete Fourier transform is a contraction with the
// matrix of its roots of unity, computed here in double precision; STFT reads
// its frames through the contraction's map, so no frame is copied.
#include "Arithmetic.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <cmath>
#include <numbers>

namespace mlir::tamis::onnx {

namespace {

constexpr int64_t kLongestTransform = 1 << 14;

/// A float32 parameter with the contents `values`.
Value parameterOf(Importer &im, std::vector<int64_t> dims,
                  std::vector<float> values) {
  auto data = std::make_shared<std::vector<float>>(std::move(values));
  auto made = std::make_shared<Tensor>();
  made->dtype = DType::Float;
  made->dims = std::move(dims);
  made->data = {reinterpret_cast<const char *>(data->data()),
                data->size() * sizeof(float)};
  made->owner = data;
  return im.tensor(im.constantValue(made));
}

/// What a transform of `length` does with `rows` inputs.
struct Transform {
  int64_t rows = 0, length = 0, bins = 0;
  bool complexIn = false, complexOut = true, inverse = false;
  ArrayRef<double> window; // per row, or empty
};

/// The matrix (rows, [re/im in], bins, [re/im out]).
Value transformMatrix(Importer &im, const Transform &t) {
  int64_t in = t.complexIn ? 2 : 1, out = t.complexOut ? 2 : 1;
  std::vector<float> values;
  values.reserve(t.rows * in * t.bins * out);
  bool half = t.inverse && !t.complexOut; // of the spectrum is given
  for (int64_t n = 0; n < t.rows; ++n) {
    double weight = t.window.empty() ? 1 : t.window[n];
    if (t.inverse)
      weight /= t.length;
    // In the real inverse every bin but the first and the middle one stands
    // for its mirror image too.
    if (half && n != 0 && 2 * n != t.length)
      weight *= 2;
    for (int64_t component = 0; component < in; ++component)
      for (int64_t f = 0; f < t.bins; ++f) {
        double angle = 2 * std::numbers::pi * ((n * f) % t.length) / t.length;
        double c = weight * std::cos(angle), s = weight * std::sin(angle);
        if (t.inverse)
          s = -s;
        values.push_back(component == 0 ? c : s);
        if (t.complexOut)
          values.push_back(component == 0 ? -s : c);
      }
  }
  std::vector<int64_t> dims{t.rows};
  if (t.complexIn)
    dims.push_back(2);
  dims.push_back(t.bins);
  if (t.complexOut)
    dims.push_back(2);
  return parameterOf(im, std::move(dims), std::move(values));
}

/// The bins of a transform and their real and imaginary parts as one dimension:
/// columns enough for vectors.
Value joinLastDims(Importer &im, Value matrix) {
  auto sizes = im.dims(matrix);
  OpFoldResult parts = sizes.pop_back_val();
  sizes.back() = im.shape.mul(sizes.back(), parts);
  return im.reshape(matrix, sizes);
}

/// A known positive scalar at input `index`, `fallback` if it is absent.
FailureOr<int64_t> knownScalar(Importer &im, const Node &node, size_t index,
                               int64_t fallback, StringRef what) {
  if (!im.has(node, index))
    return fallback;
  auto value = im.constantScalar(im.in(node, index));
  if (!value)
    return im.error(node) << "expected " << what << " known at compile time";
  return static_cast<int64_t>(*value);
}

LogicalResult importDFT(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  Value x = im.tensor(input);
  int64_t rank = rankOf(x);
  if (!isFloat(input.dtype) || rank < 2)
    return im.error(node) << "expected a float tensor of rank 2 or more";
  bool attribute = im.opset(node) < 20;
  auto axisValue = attribute ? FailureOr<int64_t>(im.getInt(node, "axis", 1))
                             : knownScalar(im, node, 2, -2, "axis");
  if (failed(axisValue))
    return failure();
  auto axis = im.axis(node, *axisValue, rank);
  if (failed(axis))
    return failure();
  if (*axis == rank - 1)
    return im.error(node) << "the last dimension holds real and imaginary "
                             "parts and cannot be transformed";
  auto components = ShapeMath::constant(im.dim(x, rank - 1));
  auto present = ShapeMath::constant(im.dim(x, *axis));
  if (!components || (*components != 1 && *components != 2) || !present)
    return im.error(node) << "expected a last dimension of 1 or 2 and a known "
                             "length of the transformed one";
  Transform t;
  t.inverse = im.getInt(node, "inverse", 0) != 0;
  bool onesided = im.getInt(node, "onesided", 0) != 0;
  t.complexIn = *components == 2;
  t.complexOut = !(t.inverse && onesided);
  auto length = knownScalar(
      im, node, 1, t.complexOut ? *present : 2 * (*present - 1), "dft_length");
  if (failed(length))
    return failure();
  t.length = *length;
  if (t.length <= 0 || t.length > kLongestTransform)
    return im.error(node) << "expected a transform length from 1 to "
                          << kLongestTransform << ", got " << t.length;
  bool half = onesided && !t.inverse;
  t.bins = half ? t.length / 2 + 1 : t.length;
  t.rows = std::min(*present, t.complexOut ? t.length : t.length / 2 + 1);
  if (t.rows != *present)
    x = im.sliceDim(x, *axis, im.shape.attr(0), im.shape.attr(t.rows));
  Type element = im.elementType(input.dtype);
  x = convert(im, x, im.b.getF32Type());
  if (!t.complexIn)
    x = im.dropDims(x, {rank - 1});

  Contraction c;
  Sizes sizes;
  unsigned next = 0;
  auto dim = [&] { return im.b.getAffineDimExpr(next++); };
  AffineExpr n = dim(), f = dim();
  for (int64_t i = 0; i < rank - 1; ++i) {
    bool here = i == *axis;
    AffineExpr d = here ? f : dim();
    c.lhsExprs.push_back(here ? n : d);
    c.outExprs.push_back(d);
    sizes.push_back(here ? im.shape.attr(t.bins) : im.dim(x, i));
  }
  c.rhsExprs = {n};
  if (t.complexIn) {
    AffineExpr component = dim();
    c.lhsExprs.push_back(component);
    c.rhsExprs.push_back(component);
  }
  c.rhsExprs.push_back(f);
  Value matrix = transformMatrix(im, t);
  // Where bins are innermost, they and their parts are one long dimension.
  bool joined = t.complexOut && *axis == rank - 2;
  SmallVector<OpFoldResult> result(sizes);
  result.push_back(im.shape.attr(t.complexOut ? 2 : 1));
  if (joined) {
    matrix = joinLastDims(im, matrix);
    sizes.back() = im.shape.attr(2 * t.bins);
  } else if (t.complexOut) {
    AffineExpr component = dim();
    c.rhsExprs.push_back(component);
    c.outExprs.push_back(component);
    sizes.push_back(im.shape.attr(2));
  }
  c.dims = next;
  c.lhs = {x};
  c.rhs = {matrix};
  Value y = contract(im, node, c, sizes);
  if (joined || !t.complexOut)
    y = im.reshape(y, result);
  return im.out(node, 0, convert(im, y, element), input.dtype);
}

LogicalResult importSTFT(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  Value x = im.tensor(input);
  if (!isFloat(input.dtype) || (rankOf(x) != 3 && rankOf(x) != 2))
    return im.error(node) << "expected a float signal of rank 3, got rank "
                          << rankOf(x);
  auto step = knownScalar(im, node, 1, 0, "frame_step");
  if (failed(step))
    return failure();
  Transform t;
  int64_t fromWindow = 0;
  if (im.has(node, 2)) {
    Value window = im.tensor(node, 2);
    if (failed(im.requireRank(node, window, 1, "the window")))
      return failure();
    fromWindow = ShapeMath::constant(im.dim(window, 0)).value_or(0);
  }
  auto length = knownScalar(im, node, 3, fromWindow, "frame_length");
  if (failed(length))
    return failure();
  if (*step <= 0 || *length <= 0 || *length > kLongestTransform)
    return im.error(node) << "expected a positive frame_step and a frame "
                             "length from 1 to "
                          << kLongestTransform << ", got " << *step << " and "
                          << *length;
  t.rows = t.length = *length;
  t.bins = im.getInt(node, "onesided", 1) ? t.length / 2 + 1 : t.length;
  if (rankOf(x) == 3) {
    auto components = ShapeMath::constant(im.dim(x, 2));
    if (!components || (*components != 1 && *components != 2))
      return im.error(node) << "expected a last dimension of 1 or 2";
    t.complexIn = *components == 2;
    if (!t.complexIn)
      x = im.dropDims(x, {2});
  }
  Type element = im.elementType(input.dtype);
  x = convert(im, x, im.b.getF32Type());
  Value window;
  std::optional<SmallVector<double>> known;
  if (im.has(node, 2)) {
    window = im.tensor(node, 2);
    if (failed(im.requireEqual(node, im.dim(window, 0), im.shape.attr(t.rows),
                               "the length of the window")))
      return failure();
    known = im.constantFloats(im.in(node, 2), kLongestTransform);
    if (known)
      t.window = *known;
  }
  Value matrix = transformMatrix(im, t);
  if (window && !known)
    matrix =
        alongDim(im, matrix, {window}, 0, elementOf(matrix),
                 [](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                   return arith::MulFOp::create(
                       b, args[0], castScalar(b, args[1], args[0].getType()));
                 });
  ShapeMath &s = im.shape;
  OpFoldResult frames =
      s.add(s.floorDiv(s.sub(im.dim(x, 1), s.attr(t.length)), s.attr(*step)),
            s.attr(1));
  if (auto count = ShapeMath::constant(frames); count && *count <= 0)
    return im.error(node) << "the signal is shorter than one frame";
  if (!ShapeMath::constant(frames))
    frames = s.max(frames, s.attr(0));
  // batch, frame, bin with its component, time within the frame
  Contraction c;
  AffineExpr batch, frame, bin, n;
  bindDims(im.b.getContext(), batch, frame, bin, n);
  c.dims = 4;
  c.lhsExprs = {batch, frame * *step + n};
  c.rhsExprs = {n};
  if (t.complexIn) {
    AffineExpr component = im.b.getAffineDimExpr(c.dims++);
    c.lhsExprs.push_back(component);
    c.rhsExprs.push_back(component);
  }
  c.rhsExprs.push_back(bin);
  c.outExprs = {batch, frame, bin};
  c.lhs = {x};
  c.rhs = {joinLastDims(im, matrix)};
  Value y = contract(im, node, c, {im.dim(x, 0), frames, s.attr(2 * t.bins)});
  y = im.reshape(y, {im.dim(x, 0), frames, s.attr(t.bins), s.attr(2)});
  return im.out(node, 0, convert(im, y, element), input.dtype);
}

/// A window function of position / period; `size` may be open.
LogicalResult importWindow(
    Importer &im, const Node &node,
    llvm::function_ref<Value(ImplicitLocOpBuilder &, Value)> function) {
  auto sizes = im.indices(node, 0);
  if (failed(sizes))
    return failure();
  if (sizes->size() != 1)
    return im.error(node) << "expected one size, got " << sizes->size();
  auto dtype = static_cast<DType>(im.getInt(node, "output_datatype", 1));
  if (!isFloat(dtype))
    return im.error(node) << "output_datatype " << dtypeName(dtype)
                          << " is not supported";
  OpFoldResult size = im.shape.max((*sizes)[0], im.shape.attr(0));
  bool periodic = im.getInt(node, "periodic", 1) != 0;
  OpFoldResult period = periodic ? size : im.shape.sub(size, im.shape.attr(1));
  Value count = im.shape.value(period);
  Type element = im.elementType(dtype), f64 = im.b.getF64Type();
  Type i64 = im.b.getI64Type();
  Value y = generic(im, {}, {}, {size}, element,
                    [&](ImplicitLocOpBuilder &b, ValueRange) -> Value {
                      auto real = [&](Value index) -> Value {
                        return arith::SIToFPOp::create(
                            b, f64, arith::IndexCastOp::create(b, i64, index));
                      };
                      Value at = arith::MulFOp::create(
                          b, real(linalg::IndexOp::create(b, 0)),
                          Importer::constant(b, f64, 2 * std::numbers::pi));
                      Value angle = arith::DivFOp::create(b, at, real(count));
                      return castScalar(b, function(b, angle), element);
                    });
  return im.out(node, 0, y, dtype);
}

/// a + b * cos(angle) + c * cos(2 * angle).
Value cosines(ImplicitLocOpBuilder &b, Value angle, double constant,
              double first, double second) {
  Type type = angle.getType();
  auto term = [&](Value of, double weight) -> Value {
    return arith::MulFOp::create(b, math::CosOp::create(b, of),
                                 Importer::constant(b, type, weight));
  };
  Value y = arith::AddFOp::create(b, Importer::constant(b, type, constant),
                                  term(angle, first));
  if (second == 0)
    return y;
  Value twice = arith::AddFOp::create(b, angle, angle);
  return arith::AddFOp::create(b, y, term(twice, second));
}

LogicalResult importHann(Importer &im, const Node &node) {
  return importWindow(im, node, [](ImplicitLocOpBuilder &b, Value angle) {
    return cosines(b, angle, 0.5, -0.5, 0);
  });
}

LogicalResult importHamming(Importer &im, const Node &node) {
  return importWindow(im, node, [](ImplicitLocOpBuilder &b, Value angle) {
    return cosines(b, angle, 25.0 / 46, -21.0 / 46, 0);
  });
}

LogicalResult importBlackman(Importer &im, const Node &node) {
  return importWindow(im, node, [](ImplicitLocOpBuilder &b, Value angle) {
    return cosines(b, angle, 0.42, -0.5, 0.08);
  });
}

LogicalResult importMelWeightMatrix(Importer &im, const Node &node) {
  double arguments[5];
  for (int i = 0; i < 5; ++i) {
    auto known = im.constantScalar(im.in(node, i));
    if (!known)
      return im.error(node)
             << "expected input " << i << " known at compile time";
    arguments[i] = *known;
  }
  auto [melBins, dftLength, rate, lower, upper] = std::to_array(arguments);
  if (im.getInt(node, "output_datatype", 1) != 1)
    return im.error(node) << "only float32 is supported as output_datatype";
  int64_t mels = static_cast<int64_t>(melBins);
  int64_t bins = static_cast<int64_t>(dftLength) / 2 + 1;
  if (mels <= 0 || mels > (1 << 14) || bins <= 1 || bins > (1 << 16) ||
      rate <= 0 || lower < 0 || upper < lower)
    return im.error(node) << "expected positive sizes and rate and edges in "
                             "order";
  auto toMel = [](double hertz) {
    return 2595 * std::log1p(hertz / 700) / std::log(10.0);
  };
  double low = toMel(lower), step = (toMel(upper) - low) / (mels + 2);
  std::vector<int64_t> edges;
  for (int64_t i = 0; i < mels + 2; ++i) {
    double hertz = 700 * std::expm1((i * step + low) / 2595 * std::log(10.0));
    double bin = std::floor((dftLength + 1) * hertz / rate);
    edges.push_back(std::clamp<int64_t>(bin, 0, bins - 1));
  }
  std::vector<float> values(bins * mels, 0);
  for (int64_t i = 0; i < mels; ++i) {
    int64_t left = edges[i], centre = edges[i + 1], right = edges[i + 2];
    if (left == centre)
      values[centre * mels + i] = 1;
    for (int64_t j = left; j <= centre && left != centre; ++j)
      values[j * mels + i] = double(j - left) / (centre - left);
    for (int64_t j = centre; j < right; ++j)
      values[j * mels + i] = double(right - j) / (right - centre);
  }
  return im.out(node, 0, parameterOf(im, {bins, mels}, std::move(values)),
                DType::Float);
}

} // namespace

void registerSignal(OpTable &table) {
  table.add({"", "DFT", 17, {1, 3}, importDFT});
  table.add({"", "STFT", 17, {2, 4}, importSTFT});
  table.add({"", "HannWindow", 17, {1, 1}, importHann});
  table.add({"", "HammingWindow", 17, {1, 1}, importHamming});
  table.add({"", "BlackmanWindow", 17, {1, 1}, importBlackman});
  table.add({"", "MelWeightMatrix", 17, {5, 5}, importMelWeightMatrix});
}

} // namespace mlir::tamis::onnx
