// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the families that select, scatter and sample share: loops over index
// ranges that carry tensors, indices made of elements, comparisons that know
// signedness.
#ifndef TAMIS_LIB_IMPORT_ONNX_STRUCTURED_H
#define TAMIS_LIB_IMPORT_ONNX_STRUCTURED_H

#include "Arithmetic.h"

namespace mlir::tamis::onnx {

using LoopBody = llvm::function_ref<SmallVector<Value>(
    ImplicitLocOpBuilder &, ValueRange indices, ValueRange carried)>;

/// A nest of loops over [0, counts[0]) x …, outermost first, that carries
/// `inits` and yields what `body` returns. Tensors keep their sizes. No counts:
/// the body once, in place.
SmallVector<Value> loops(Importer &im, ArrayRef<OpFoldResult> counts,
                         ValueRange inits, LoopBody body);

/// `ifTrue()` or `ifFalse()`, whose results have the same types.
using BranchFn = llvm::function_ref<SmallVector<Value>(ImplicitLocOpBuilder &)>;
SmallVector<Value> choose(ImplicitLocOpBuilder &b, Value condition,
                          BranchFn ifTrue, BranchFn ifFalse);

/// Arithmetic on index values in bodies.
Value indexConstant(ImplicitLocOpBuilder &b, int64_t value);
Value addIndex(ImplicitLocOpBuilder &b, Value lhs, Value rhs);
Value subIndex(ImplicitLocOpBuilder &b, Value lhs, Value rhs);
Value mulIndex(ImplicitLocOpBuilder &b, Value lhs, Value rhs);
Value compareIndex(ImplicitLocOpBuilder &b, arith::CmpIPredicate predicate,
                   Value lhs, Value rhs);
/// An index value as an integer or float element, and back.
Value fromIndex(ImplicitLocOpBuilder &b, Value index, Type element);
Value toIndex(ImplicitLocOpBuilder &b, Value element, DType dtype);

/// lhs > rhs for elements of `dtype`; false if one is not a number.
Value greater(ImplicitLocOpBuilder &b, Value lhs, Value rhs, DType dtype);
Value largerOf(ImplicitLocOpBuilder &b, Value lhs, Value rhs, DType dtype);
Value smallerOf(ImplicitLocOpBuilder &b, Value lhs, Value rhs, DType dtype);
/// +, * for floats and integers; |, & for bool.
Value addElements(ImplicitLocOpBuilder &b, Value lhs, Value rhs);
Value mulElements(ImplicitLocOpBuilder &b, Value lhs, Value rhs);
/// The least and the largest element of `dtype` (infinities for floats).
Value lowestOf(ImplicitLocOpBuilder &b, Type element, DType dtype);
Value highestOf(ImplicitLocOpBuilder &b, Type element, DType dtype);

/// The sizes of `value` as its type has them: a constant where the type is
/// static, else a value.
Sizes typedDims(Importer &im, Value value);
/// `value` as `type` by tensor.cast, itself if it has it.
Value castTensor(Importer &im, Value value, RankedTensorType type);
/// `value` inserted in `destination` at `offset` of dimension `dim`, all else
/// full; `value` lacks dimension `dim` if `dropped`.
Value insertAt(Importer &im, Value value, Value destination, int64_t dim,
               OpFoldResult offset, bool dropped);
/// The first `size` entries of `dim`.
Value keepFirst(Importer &im, Value input, int64_t dim, Value size);

} // namespace mlir::tamis::onnx

#endif // TAMIS_LIB_IMPORT_ONNX_STRUCTURED_H
