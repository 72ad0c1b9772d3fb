// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What lies between a contraction of dequantized operands and the quantize of
// its result, as far as a requantization can take it over.
#ifndef TAMIS_LIB_TRANSFORMS_QUANTIZEDTAIL_H
#define TAMIS_LIB_TRANSFORMS_QUANTIZEDTAIL_H

#include "mlir/IR/SymbolTable.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Transforms/Passes.h"

namespace mlir::tamis {

/// A small tensor of parameters and how the contraction's dimensions index it.
struct Parameter {
  Value value;
  AffineMap map;
};

/// What lies between a contraction and the quantize of its result.
struct Tail {
  Operation *reshape = nullptr;    // merges groups or splits rows, or null
  Value bias;                      // float, may be null
  AffineMap biasMap;               // over the dimensions before `reshape`
  Parameter factor, shift;         // of a batch normalization, or null
  std::optional<double> low, high; // relu or clip
  QuantizeOp quantize;
};

/// The tail of `op`, nothing if its result is used in any other way.
std::optional<Tail> findTail(ContractOp op, SymbolTable &symbols);

/// A batch normalization scales the weights: `wScale`, along `scaleMap`, and
/// the bias take its factor and shift over.
void foldNormalization(OpBuilder &b, Location loc, Tail &tail, Value &wScale,
                       AffineMap &scaleMap);

/// An elementwise generic over operands read through `maps`.
Value buildGeneric(OpBuilder &b, Location loc, ArrayRef<OpFoldResult> sizes,
                   Type element, ArrayRef<Value> inputs,
                   ArrayRef<AffineMap> maps,
                   function_ref<Value(OpBuilder &, Location, ValueRange)> body);

/// The elements of a constant float32 tensor.
std::optional<SmallVector<float>> readFloats(Value value, SymbolTable &symbols);

} // namespace mlir::tamis

#endif // TAMIS_LIB_TRANSFORMS_QUANTIZEDTAIL_H
