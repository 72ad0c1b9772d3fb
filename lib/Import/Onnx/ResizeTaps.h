// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which elements of one dimension a resized position reads, and how much of
// each. Written once over numbers that are known now or computed at run time,
// so that static sizes give tables and open sizes the same formula in a body.
// The arithmetic is float32, as ONNX Runtime's: ties in `nearest` depend on it.
#ifndef TAMIS_LIB_IMPORT_ONNX_RESIZETAPS_H
#define TAMIS_LIB_IMPORT_ONNX_RESIZETAPS_H

#include "Structured.h"

namespace mlir::tamis::onnx {

/// A float32: known, or a value made by a builder.
struct Number {
  float known = 0;
  Value value;
  Number(float known) : known(known) {}
  Number(int64_t known) : known(static_cast<float>(known)) {}
  explicit Number(Value value) : value(value) {}
  bool isKnown() const { return !value; }
};

struct Tap {
  Number index; // whole, within the dimension
  Number weight;
};

enum class ResizeMode { Nearest, Linear, Cubic };
enum class Transform {
  HalfPixel,
  HalfPixelSymmetric,
  PytorchHalfPixel,
  AlignCorners,
  Asymmetric,
  TfHalfPixelForNN,
  TfCropAndResize
};
enum class Rounding { PreferFloor, PreferCeil, Floor, Ceil, Simple };

struct ResizeOptions {
  ResizeMode mode = ResizeMode::Nearest;
  Transform transform = Transform::HalfPixel;
  Rounding rounding = Rounding::PreferFloor;
  float cubic = -0.75f;
  float extrapolation = 0;
  bool excludeOutside = false;
  bool antialias = false;
};

/// One resized dimension; `scale` is output by input.
struct ResizeAxis {
  Number in = 0.0f, out = 0.0f, scale = 1.0f;
  float roiStart = 0, roiEnd = 1;
};

/// One dimension to resize.
struct ResizeTask {
  int64_t dim = 0;
  OpFoldResult in, out;
  std::optional<float> scale;
  Value openScale; // f32; null: the sizes decide
  float roiStart = 0, roiEnd = 1;
};

/// floor(in * scale).
OpFoldResult scaledSize(Importer &im, OpFoldResult in, float scale);
/// Fills sizes and scales of `tasks` from the inputs of `node`; an input index
/// below zero is none.
LogicalResult readResizeSizes(Importer &im, const Node &node,
                              SmallVectorImpl<ResizeTask> &tasks,
                              int scalesInput, int sizesInput);

/// The position in the input of position `x` of the result.
Number originalPosition(ImplicitLocOpBuilder &b, const ResizeOptions &options,
                        const ResizeAxis &axis, Number x);
/// The taps of position `x`: one, two or four.
SmallVector<Tap> resizeTaps(ImplicitLocOpBuilder &b,
                            const ResizeOptions &options,
                            const ResizeAxis &axis, Number x);
/// The same with a filter as wide as the input is shrunk; known sizes only.
SmallVector<std::pair<int64_t, float>>
antialiasTaps(ImplicitLocOpBuilder &b, const ResizeOptions &options,
              const ResizeAxis &axis, int64_t x);

} // namespace mlir::tamis::onnx

#endif // TAMIS_LIB_IMPORT_ONNX_RESIZETAPS_H
