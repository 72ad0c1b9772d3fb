// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What operators that move elements share: lists that older operator sets have
// as attributes and newer ones as inputs, and lists given for some axes.
#ifndef TAMIS_LIB_IMPORT_ONNX_MOVEMENT_H
#define TAMIS_LIB_IMPORT_ONNX_MOVEMENT_H

#include "Importer.h"

namespace mlir::tamis::onnx::movement {

using Sizes = SmallVector<OpFoldResult>;

/// Output `index`, unless building `value` has failed.
inline LogicalResult finish(Importer &im, const Node &node, Value value,
                            DType dtype, size_t index = 0) {
  return value ? im.out(node, index, value, dtype) : failure();
}

/// The attribute or, from opset `since` on, the input of that number.
FailureOr<std::optional<Sizes>> listOf(Importer &im, const Node &node,
                                       StringRef name, size_t index,
                                       int64_t since);

/// Sizes that come from data must not be negative.
OpFoldResult natural(Importer &im, OpFoldResult size);

/// Distinct dimensions in [0, rank), known or not: what nobody knows is checked
/// at run time.
FailureOr<Sizes> checkedAxes(Importer &im, const Node &node,
                             ArrayRef<OpFoldResult> axes, int64_t rank);
/// One value per dimension: `values[i]` at dimension `axes[i]`, `defaults`
/// elsewhere.
Sizes alongAxes(Importer &im, ArrayRef<OpFoldResult> axes,
                ArrayRef<OpFoldResult> values, Sizes defaults);

} // namespace mlir::tamis::onnx::movement

#endif // TAMIS_LIB_IMPORT_ONNX_MOVEMENT_H
