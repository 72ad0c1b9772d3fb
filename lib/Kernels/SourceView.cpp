// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Views of constants: transposes and reshapes between a parameter and its
// reader become strides, so that no pass has to fold them first.
#include "tamis/Kernels/SourceView.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/Support/Endian.h"

using namespace mlir;
using namespace mlir::tamis;

static SmallVector<int64_t> contiguousStrides(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides(shape.size(), 1);
  for (int64_t i = static_cast<int64_t>(shape.size()) - 2; i >= 0; --i)
    strides[i] = strides[i + 1] * shape[i + 1];
  return strides;
}

FailureOr<SourceView> mlir::tamis::viewConstant(Value value,
                                                SymbolTable &symbols) {
  Operation *def = value.getDefiningOp();
  if (!def)
    return failure();
  if (auto transpose = dyn_cast<linalg::TransposeOp>(def)) {
    FailureOr<SourceView> view = viewConstant(transpose.getInput(), symbols);
    if (failed(view))
      return failure();
    SourceView result = *view;
    for (auto [i, from] : llvm::enumerate(transpose.getPermutation())) {
      result.shape[i] = view->shape[from];
      result.strides[i] = view->strides[from];
    }
    result.path.push_back(transpose.getPermutationAttr());
    return result;
  }
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(def)) {
    FailureOr<SourceView> view = viewConstant(expand.getSrc(), symbols);
    if (failed(view))
      return failure();
    SourceView result = *view;
    ArrayRef<int64_t> shape = expand.getResultType().getShape();
    result.shape.assign(shape.begin(), shape.end());
    result.strides.assign(shape.size(), 0);
    for (auto [i, group] : llvm::enumerate(expand.getReassociationIndices())) {
      int64_t stride = view->strides[i];
      for (int64_t d : llvm::reverse(group)) {
        result.strides[d] = stride;
        stride *= shape[d];
      }
    }
    result.path.push_back(TypeAttr::get(expand.getResultType()));
    return result;
  }
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(def)) {
    FailureOr<SourceView> view = viewConstant(collapse.getSrc(), symbols);
    if (failed(view))
      return failure();
    SourceView result = *view;
    ArrayRef<int64_t> shape = collapse.getResultType().getShape();
    result.shape.assign(shape.begin(), shape.end());
    result.strides.assign(shape.size(), 1);
    for (auto [i, group] :
         llvm::enumerate(collapse.getReassociationIndices())) {
      int64_t expected = 0;
      for (int64_t d : llvm::reverse(group)) {
        if (view->shape[d] == 1)
          continue;
        if (expected == 0)
          result.strides[i] = view->strides[d];
        else if (view->strides[d] != expected)
          return failure();
        expected = view->strides[d] * view->shape[d];
      }
    }
    result.path.push_back(TypeAttr::get(collapse.getResultType()));
    return result;
  }
  SourceView view;
  Attribute attr;
  if (auto load = dyn_cast<ml_program::GlobalLoadConstOp>(def)) {
    view.global = symbols.lookup<ml_program::GlobalOp>(
        load.getGlobalAttr().getLeafReference());
    if (!view.global || view.global.getIsMutable() || !view.global.getValue())
      return failure();
    attr = *view.global.getValue();
  } else if (auto constant = dyn_cast<arith::ConstantOp>(def)) {
    attr = constant.getValue();
  }
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || !type.hasStaticShape())
    return failure();
  if (auto dense = dyn_cast_or_null<DenseElementsAttr>(attr)) {
    view.bytes = dense.getRawData();
    view.isSplat = dense.isSplat();
  } else if (auto resource =
                 dyn_cast_or_null<DenseResourceElementsAttr>(attr)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    if (!blob)
      return failure();
    view.bytes = blob->getData();
  } else {
    return failure();
  }
  view.value = attr;
  view.element = type.getElementType();
  view.shape.assign(type.getShape().begin(), type.getShape().end());
  view.strides = contiguousStrides(view.shape);
  unsigned size = llvm::divideCeil(view.element.getIntOrFloatBitWidth(), 8);
  if (view.isSplat)
    view.strides.assign(view.shape.size(), 0);
  else if (view.bytes.size() <
           static_cast<size_t>(type.getNumElements()) * size)
    return failure();
  return view;
}

SmallVector<int64_t> SourceView::getOffsets(ArrayRef<int64_t> dims) const {
  SmallVector<int64_t> offsets{0};
  for (int64_t d : dims) {
    SmallVector<int64_t> next;
    next.reserve(offsets.size() * shape[d]);
    for (int64_t offset : offsets)
      for (int64_t i = 0; i < shape[d]; ++i)
        next.push_back(offset + i * strides[d]);
    offsets = std::move(next);
  }
  return offsets;
}

float SourceView::getFloat(int64_t at) const {
  if (element.isF32())
    return reinterpret_cast<const float *>(bytes.data())[at];
  uint16_t bits = llvm::support::endian::read16le(bytes.data() + 2 * at);
  const llvm::fltSemantics &semantics =
      cast<FloatType>(element).getFloatSemantics();
  llvm::APFloat value(semantics, llvm::APInt(16, bits));
  bool lost;
  value.convert(llvm::APFloat::IEEEsingle(), llvm::APFloat::rmNearestTiesToEven,
                &lost);
  return value.convertToFloat();
}

bool SourceView::isZero(int64_t at, int64_t zero, bool isUnsigned) const {
  return element.isInteger() ? getInteger(at, isUnsigned) == zero
                             : getFloat(at) == 0;
}

int64_t SourceView::getInteger(int64_t at, bool isUnsigned) const {
  const char *data = bytes.data();
  switch (element.getIntOrFloatBitWidth()) {
  case 8:
    return isUnsigned ? int64_t(uint8_t(data[at])) : int64_t(int8_t(data[at]));
  case 16: {
    uint16_t bits = llvm::support::endian::read16le(data + 2 * at);
    return isUnsigned ? int64_t(bits) : int64_t(int16_t(bits));
  }
  default: {
    uint32_t bits = llvm::support::endian::read32le(data + 4 * at);
    return isUnsigned ? int64_t(bits) : int64_t(int32_t(bits));
  }
  }
}
