// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Evaluates the body of an elementwise linalg.generic on bytes at compile
// time, many elements at once.
#ifndef TAMIS_LIB_TRANSFORMS_EVALUATEBODY_H
#define TAMIS_LIB_TRANSFORMS_EVALUATEBODY_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "tamis/Transforms/ConstantTensor.h"
#include <cstdint>

namespace mlir::tamis {

/// A strided input of an evaluation; `bytes` is the address of the element at
/// loop index zero.
struct EvaluationInput {
  BlockArgument argument;
  const char *bytes;
  SmallVector<int64_t> strides;
};

/// True if `evaluateBody` knows every operation of the body: casts, arithmetic
/// and comparisons, but nothing whose value depends on a math library.
bool canEvaluateBody(linalg::GenericOp op);

/// Computes the one result of `op` over the row-major loop space `shape` into
/// `to`; `read` gives the contents of tensors that the body picks elements of.
/// Exact: every operation rounds as IEEE asks. Fails where an element's value
/// is undefined (an integer division by zero, a conversion or an index out of
/// range).
LogicalResult
evaluateBody(linalg::GenericOp op, ArrayRef<int64_t> shape,
             ArrayRef<EvaluationInput> inputs,
             function_ref<std::optional<ConstantTensor>(Value)> read, char *to);

/// The same through the folders of the operations: slower, knows more.
LogicalResult foldBody(linalg::GenericOp op, ArrayRef<int64_t> shape,
                       ArrayRef<EvaluationInput> inputs, char *to);

} // namespace mlir::tamis

#endif // TAMIS_LIB_TRANSFORMS_EVALUATEBODY_H
