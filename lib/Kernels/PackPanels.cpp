// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Constants as panels: elements are read where they lie and written once in the
// instruction's order.
#include "PackPanels.h"
#include "llvm/Support/Endian.h"

using namespace mlir;
using namespace mlir::tamis;

/// Moves elements through `convert`; calls `sum(group, column, value)` for
/// each.
template <typename To, typename Convert, typename Sum>
static void packElements(kernel::PackOp op, const SourceView &view,
                         MutableArrayRef<To> out, Convert convert, Sum sum) {
  auto packed = cast<ShapedType>(op.getPacked().getType());
  int64_t stepsPerByte = op.getNibbles() ? 2 : 1;
  int64_t panels = packed.getDimSize(1);
  int64_t steps = packed.getDimSize(2) * stepsPerByte;
  int64_t step = op.getStep(), width = op.getWidth();
  ArrayRef<int64_t> reductions = op.getReductions();
  SmallVector<int64_t> outer =
      view.getOffsets(reductions.drop_back(op.getRun()));
  SmallVector<int64_t> run = view.getOffsets(reductions.take_back(op.getRun()));
  int64_t runSteps = steps / static_cast<int64_t>(outer.size());
  int64_t columns = op.getColumn() < 0 ? 1 : view.shape[op.getColumn()];
  int64_t columnStride = op.getColumn() < 0 ? 0 : view.strides[op.getColumn()];
  auto put = [](To &slot, To value, int64_t place) {
    if constexpr (std::is_integral_v<To>)
      slot = static_cast<To>(place ? slot | value << 4 : value);
    else
      slot = value;
  };
  // Column by column: a column's elements are usually neighbours in the source,
  // and a panel is small.
  int64_t panelSize = packed.getDimSize(2) * width * step;
  To *panel = out.data();
  int64_t group = 0;
  for (int64_t groupOffset : view.getOffsets(op.getGroups())) {
    for (int64_t p = 0; p < panels; ++p, panel += panelSize) {
      int64_t end = std::min(width, columns - p * width);
      for (int64_t c = 0; c < end; ++c) {
        int64_t column = p * width + c;
        int64_t from = groupOffset + column * columnStride;
        To *to = panel + c * step;
        for (int64_t outerOffset : outer) {
          for (int64_t k = 0; k < runSteps; ++k) {
            int64_t place = k % stepsPerByte;
            for (int64_t s = 0; s < step; ++s) {
              size_t element = k * step + s;
              if (element >= run.size())
                continue;
              To value = convert(from + outerOffset + run[element]);
              put(to[s], value, place);
              sum(group, column, value);
            }
            if (place + 1 == stepsPerByte)
              to += width * step;
          }
        }
      }
    }
    ++group;
  }
}

/// The bits of a float that the selection found to be one of float16.
static uint16_t toHalf(float value) {
  APFloat half(value);
  bool losesInfo;
  half.convert(APFloat::IEEEhalf(), APFloat::rmNearestTiesToEven, &losesInfo);
  return static_cast<uint16_t>(half.bitcastToAPInt().getZExtValue());
}

/// A blob of `count` zeroed elements of T, aligned for vector loads.
template <typename T>
static AsmResourceBlob makeBlob(int64_t count, MutableArrayRef<T> &data) {
  AsmResourceBlob blob = HeapAsmResourceBlob::allocate(count * sizeof(T), 64,
                                                       /*dataIsMutable=*/true);
  MutableArrayRef<char> bytes = blob.getMutableData();
  std::fill(bytes.begin(), bytes.end(), 0);
  data = MutableArrayRef<T>(reinterpret_cast<T *>(bytes.data()), count);
  return blob;
}

FailureOr<std::pair<AsmResourceBlob, AsmResourceBlob>>
mlir::tamis::packPanels(kernel::PackOp op, const SourceView &view) {
  auto packed = cast<ShapedType>(op.getPacked().getType());
  if (!packed.hasStaticShape())
    return failure();
  MutableArrayRef<int32_t> sums;
  AsmResourceBlob sumBlob;
  int64_t sumColumns = 0;
  if (op.getSums()) {
    auto type = cast<ShapedType>(op.getSums().getType());
    sumBlob = makeBlob(type.getNumElements(), sums);
    sumColumns = type.getDimSize(1);
  }
  auto addSum = [&](int64_t group, int64_t column, int64_t value) {
    // Sums wrap, as the accumulators do.
    if (!sums.empty()) {
      int32_t &sum = sums[group * sumColumns + column];
      sum = static_cast<int32_t>(uint32_t(sum) + uint32_t(value));
    }
  };
  int64_t count = packed.getNumElements();
  Type element = packed.getElementType();
  int64_t offset = static_cast<int64_t>(op.getOffset());
  bool isUnsigned = op.getIsUnsigned();
  auto integer = [&](auto zero) {
    return [&](int64_t i) {
      return static_cast<decltype(zero)>(view.getInteger(i, isUnsigned) -
                                         offset);
    };
  };
  AsmResourceBlob blob;
  if (element.isF32() && view.element == element) {
    MutableArrayRef<float> data;
    blob = makeBlob(count, data);
    const auto *floats = reinterpret_cast<const float *>(view.bytes.data());
    packElements(
        op, view, data, [=](int64_t i) { return floats[i]; },
        [](int64_t, int64_t, float) {});
  } else if (element.isF32()) {
    MutableArrayRef<float> data;
    blob = makeBlob(count, data);
    packElements(
        op, view, data, [&](int64_t i) { return view.getFloat(i); },
        [](int64_t, int64_t, float) {});
  } else if (element.isF16()) {
    MutableArrayRef<uint16_t> data;
    blob = makeBlob(count, data);
    packElements(
        op, view, data, [&](int64_t i) { return toHalf(view.getFloat(i)); },
        [](int64_t, int64_t, uint16_t) {});
  } else if (element.isBF16() && view.element == element) {
    MutableArrayRef<uint16_t> data;
    blob = makeBlob(count, data);
    packElements(
        op, view, data,
        [&](int64_t i) {
          return llvm::support::endian::read16le(view.bytes.data() + 2 * i);
        },
        [](int64_t, int64_t, uint16_t) {});
  } else if (element.isInteger(8) && view.element == element) {
    MutableArrayRef<int8_t> data;
    blob = makeBlob(count, data);
    const char *bytes = view.bytes.data();
    packElements(
        op, view, data,
        [=](int64_t i) { return static_cast<int8_t>(bytes[i] - offset); },
        addSum);
  } else if (element.isInteger(8)) {
    MutableArrayRef<int8_t> data;
    blob = makeBlob(count, data);
    packElements(op, view, data, integer(int8_t(0)), addSum);
  } else if (element.isInteger(32)) {
    MutableArrayRef<int32_t> data;
    blob = makeBlob(count, data);
    packElements(op, view, data, integer(int32_t(0)), addSum);
  } else {
    return failure();
  }
  return std::make_pair(std::move(blob), std::move(sumBlob));
}

DenseElementsAttr mlir::tamis::packSplat(kernel::PackOp op,
                                         const SourceView &view) {
  auto packed = cast<ShapedType>(op.getPacked().getType());
  if (!view.isSplat || op.getSums() || op.getNibbles() ||
      !packed.hasStaticShape())
    return nullptr;
  int64_t depth = 1;
  for (int64_t dim : op.getReductions())
    depth *= view.shape[dim];
  if (depth != packed.getDimSize(2) * static_cast<int64_t>(op.getStep()))
    return nullptr;
  Type element = packed.getElementType();
  auto repeat = [&](auto value) {
    return DenseElementsAttr::getFromRawBuffer(
        packed, ArrayRef(reinterpret_cast<const char *>(&value), sizeof value));
  };
  int64_t offset = static_cast<int64_t>(op.getOffset());
  if (element.isF32())
    return repeat(view.getFloat(0));
  if (element.isF16())
    return repeat(toHalf(view.getFloat(0)));
  if (element.isBF16() && view.element == element)
    return DenseElementsAttr::getFromRawBuffer(packed,
                                               view.bytes.take_front(2));
  if (element.isInteger(8))
    return repeat(int8_t(view.getInteger(0, op.getIsUnsigned()) - offset));
  if (element.isInteger(32))
    return repeat(int32_t(view.getInteger(0, op.getIsUnsigned()) - offset));
  return nullptr;
}
