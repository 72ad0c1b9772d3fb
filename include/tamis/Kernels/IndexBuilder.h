// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What every generator of contraction kernels builds with: index arithmetic
// that folds, loops, flat views of memrefs.
#ifndef TAMIS_KERNELS_INDEXBUILDER_H
#define TAMIS_KERNELS_INDEXBUILDER_H

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::tamis::kernel {

/// Index arithmetic that folds constants, so that strides of static shapes end
/// as displacements of machine addresses.
struct IndexBuilder : ImplicitLocOpBuilder {
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;
  OpFoldResult add(OpFoldResult a, OpFoldResult b);
  OpFoldResult subtract(OpFoldResult a, OpFoldResult b);
  OpFoldResult multiply(OpFoldResult a, OpFoldResult b);
  OpFoldResult divide(OpFoldResult a, int64_t b);
  OpFoldResult ceilDivide(OpFoldResult a, int64_t b);
  OpFoldResult remainder(OpFoldResult a, int64_t b);
  OpFoldResult minimum(OpFoldResult a, OpFoldResult b);
  OpFoldResult constant(int64_t value) { return getIndexAttr(value); }
  Value value(OpFoldResult v);
  /// Emits `body(i)` for i in [lower, upper) by step; no loop if there is
  /// exactly one iteration, nothing if there is none.
  void loop(OpFoldResult lower, OpFoldResult upper, int64_t step,
            function_ref<void(OpFoldResult)> body);
  /// Emits a loop that carries `values`: the body replaces them.
  void carry(OpFoldResult lower, OpFoldResult upper, int64_t step,
             SmallVectorImpl<Value> &values,
             function_ref<void(Value, SmallVectorImpl<Value> &)> body);
  /// Goes to where memory is taken: once a call, however often a loop around
  /// this place comes here.
  void setInsertionPointToCall();
  /// Lanes of x and y alternately: of their half `half`, or (halves = 2) all.
  Value zip(Value x, Value y, int64_t half, int64_t halves = 1);
  /// Transposes a square of as many vectors as each has lanes.
  void transpose(SmallVectorImpl<Value> &square);
};

/// A memref seen as one row of elements.
struct FlatView {
  Value flat;
  /// Element stride of each dimension of the memref.
  SmallVector<OpFoldResult> strides;
  /// Element offset of each dimension's step through an indexing map.
  SmallVector<OpFoldResult> perDim;
};

/// Views `memref` flat; with a map, also the stride of each loop dimension.
FlatView flatten(IndexBuilder &b, Value memref, AffineMap map = {});

} // namespace mlir::tamis::kernel

#endif // TAMIS_KERNELS_INDEXBUILDER_H
