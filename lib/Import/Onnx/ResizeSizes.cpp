// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The sizes of a resized tensor: by scales or sizes, known or not, and with
// the aspect ratio kept.
#include "ResizeTaps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include <cmath>

namespace mlir::tamis::onnx {

/// floor(in * scale), or that rounded, at run time. A scale that is not a
/// sensible number gives a size the checks of memory refuse.
static OpFoldResult openSize(Importer &im, OpFoldResult in, Value scale,
                             bool rounds) {
  Type f32 = im.b.getF32Type();
  Value wide = fromIndex(im.b, im.shape.value(in), f32);
  Value size = arith::MulFOp::create(im.b, wide, scale);
  if (rounds)
    size = math::RoundOp::create(im.b, size);
  size = arith::MaxNumFOp::create(im.b, size, im.constant(f32, 0));
  size = arith::MinimumFOp::create(im.b, size, im.constant(f32, 0x1p40));
  Value whole = arith::FPToSIOp::create(im.b, im.b.getI64Type(), size);
  return im.shape.symbol(toIndex(im.b, whole, DType::Int64), 0,
                         int64_t(1) << 40);
}

OpFoldResult scaledSize(Importer &im, OpFoldResult in, float scale) {
  if (auto known = ShapeMath::constant(in))
    return im.shape.attr(
        static_cast<int64_t>(std::floor(static_cast<float>(*known) * scale)));
  if (scale == std::floor(scale))
    return im.shape.mul(in, im.shape.attr(static_cast<int64_t>(scale)));
  float inverse = 1 / scale;
  if (inverse == std::floor(inverse))
    return im.shape.floorDiv(in, im.shape.attr(static_cast<int64_t>(inverse)));
  return openSize(im, in, im.constant(im.b.getF32Type(), scale), false);
}

LogicalResult readResizeSizes(Importer &im, const Node &node,
                              SmallVectorImpl<ResizeTask> &tasks,
                              int scalesInput, int sizesInput) {
  auto present = [&](int input) {
    if (input < 0 || !im.has(node, input))
      return false;
    RankedTensorType type = im.type(im.in(node, input));
    return type && !(type.getRank() == 1 && type.getDimSize(0) == 0);
  };
  bool bySizes = present(sizesInput);
  if (!bySizes && !present(scalesInput))
    return im.error(node) << "expected scales or sizes";
  size_t count = tasks.size();
  if (!bySizes) {
    ImportedValue given = im.in(node, scalesInput);
    auto scales = im.constantFloats(given);
    if (!scales) {
      Value tensor = im.tensor(given);
      if (!tensor)
        return failure();
      if (!elementOf(tensor).isF32() ||
          tensorTypeOf(tensor).getShape() !=
              ArrayRef<int64_t>{static_cast<int64_t>(count)})
        return im.error(node) << "expected " << count << " float32 scales";
      for (auto [i, task] : llvm::enumerate(tasks)) {
        task.openScale = tensor::ExtractOp::create(
            im.b, tensor, ValueRange{indexConstant(im.b, i)});
        task.out = openSize(im, task.in, task.openScale, false);
      }
      return success();
    }
    if (scales->size() != count)
      return im.error(node)
             << "expected " << count << " scales, got " << scales->size();
    for (auto [task, scale] : llvm::zip(tasks, *scales)) {
      if (!(scale > 0) || scale > 65536)
        return im.error(node) << "scale " << scale << " is out of range";
      task.scale = static_cast<float>(scale);
      task.out = scaledSize(im, task.in, *task.scale);
    }
    return success();
  }
  auto sizes = im.indices(node, im.in(node, sizesInput));
  if (failed(sizes))
    return failure();
  if (sizes->size() != count)
    return im.error(node) << "expected " << count << " sizes, got "
                          << sizes->size();
  StringRef policy = im.getString(node, "keep_aspect_ratio_policy", "stretch");
  if (policy == "stretch") {
    for (auto [task, size] : llvm::zip(tasks, *sizes)) {
      task.out = size;
      auto in = ShapeMath::constant(task.in), out = ShapeMath::constant(size);
      if (out && *out < 0)
        return im.error(node) << "size " << *out << " is negative";
      if (in && out && *in > 0)
        task.scale = static_cast<float>(*out) / static_cast<float>(*in);
    }
    return success();
  }
  if (policy != "not_larger" && policy != "not_smaller")
    return im.error(node) << "attribute 'keep_aspect_ratio_policy' has unknown "
                             "value '"
                          << policy << "'";
  std::optional<float> scale;
  bool smaller = policy == "not_larger";
  if (llvm::any_of(*sizes, [](OpFoldResult size) {
        return !ShapeMath::constant(size);
      })) {
    Type f32 = im.b.getF32Type();
    Value open;
    for (auto [task, size] : llvm::zip(tasks, *sizes)) {
      Value ratio = arith::DivFOp::create(
          im.b, fromIndex(im.b, im.shape.value(size), f32),
          fromIndex(im.b, im.shape.value(task.in), f32));
      if (!open)
        open = ratio;
      else if (smaller)
        open = arith::MinimumFOp::create(im.b, open, ratio);
      else
        open = arith::MaximumFOp::create(im.b, open, ratio);
    }
    for (ResizeTask &task : tasks) {
      task.openScale = open;
      task.out = openSize(im, task.in, open, true);
    }
    return success();
  }
  for (auto [task, size] : llvm::zip(tasks, *sizes)) {
    auto in = ShapeMath::constant(task.in), out = ShapeMath::constant(size);
    if (!in || !out || *in < 1)
      return im.error(node) << "keep_aspect_ratio_policy needs input sizes "
                               "known at compile time";
    float ratio = static_cast<float>(*out) / static_cast<float>(*in);
    if (!scale || (smaller ? ratio < *scale : ratio > *scale))
      scale = ratio;
  }
  for (ResizeTask &task : tasks) {
    task.scale = scale;
    task.out = im.shape.attr(static_cast<int64_t>(std::round(
        *scale * static_cast<float>(*ShapeMath::constant(task.in)))));
  }
  return success();
}

} // namespace mlir::tamis::onnx
