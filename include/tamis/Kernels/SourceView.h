// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Constant right operands as packers read them.
#ifndef TAMIS_KERNELS_SOURCEVIEW_H
#define TAMIS_KERNELS_SOURCEVIEW_H

#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/IR/SymbolTable.h"

namespace mlir::tamis {

/// The bytes of a constant as its reader sees them: each dimension with its
/// stride in elements, after the views between constant and reader.
struct SourceView {
  ArrayRef<char> bytes;
  Type element;
  bool isSplat = false;
  SmallVector<int64_t> shape, strides;
  ml_program::GlobalOp global;
  Attribute value;
  /// What was done to the bytes on the way, so that equal packs are shared.
  SmallVector<Attribute> path;

  /// Source offsets of a list of dimensions, linearized outer to inner.
  SmallVector<int64_t> getOffsets(ArrayRef<int64_t> dims) const;
  /// The element at an offset; of a splat, at any.
  float getFloat(int64_t at) const;
  int64_t getInteger(int64_t at, bool isUnsigned) const;
  /// True for a float of zero, or an integer that equals `zero`.
  bool isZero(int64_t at, int64_t zero, bool isUnsigned) const;
};

/// The view of a constant or parameter; failure for anything else.
FailureOr<SourceView> viewConstant(Value value, SymbolTable &symbols);

} // namespace mlir::tamis

#endif // TAMIS_KERNELS_SOURCEVIEW_H
