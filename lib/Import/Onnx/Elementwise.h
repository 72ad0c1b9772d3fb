// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What operators on single elements share. Float16 and bfloat16 are computed
// in float32 and rounded once.
#ifndef TAMIS_LIB_IMPORT_ONNX_ELEMENTWISE_H
#define TAMIS_LIB_IMPORT_ONNX_ELEMENTWISE_H

#include "Importer.h"

namespace mlir::tamis::onnx::elementwise {

using Builder_ = ImplicitLocOpBuilder;
using FP = arith::CmpFPredicate;

/// `value` in the type float arithmetic on it is done in.
Value widen(Builder_ &b, Value value);
/// Back to `type`; what is no float stays as it is.
Value narrow(Builder_ &b, Value value, Type type);
/// A constant of the type of `value`.
Value like(Builder_ &b, Value value, double number);
/// `x predicate threshold ? ifTrue : ifFalse`.
Value select(Builder_ &b, FP predicate, Value x, double threshold, Value ifTrue,
             Value ifFalse);

/// All inputs have one dtype out of a class, else a reported failure.
LogicalResult sameTypes(Importer &im, const Node &node, bool (*allowed)(DType),
                        StringRef expected);
inline bool isNumber(DType dtype) { return isFloat(dtype) || isInteger(dtype); }
SmallVector<ImportedValue> allInputs(Importer &im, const Node &node);
/// Output 0, unless building `value` has failed.
LogicalResult finish(Importer &im, const Node &node, Value value, DType dtype);
/// A float tensor, its elements through `body` in float32 or float64.
LogicalResult floatUnary(Importer &im, const Node &node,
                         llvm::function_ref<Value(Builder_ &, Value)> body);

} // namespace mlir::tamis::onnx::elementwise

#endif // TAMIS_LIB_IMPORT_ONNX_ELEMENTWISE_H
