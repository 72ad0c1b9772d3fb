// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Integers, scales and zero points as constants of the module.
#ifndef TAMIS_LIB_COMPRESS_QUANTIZEDCONSTANTS_H
#define TAMIS_LIB_COMPRESS_QUANTIZEDCONSTANTS_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/SymbolTable.h"
#include "tamis/Compress/Ranges.h"

namespace mlir::tamis {

class QuantizedConstants {
public:
  explicit QuantizedConstants(ModuleOp module)
      : module(module), symbols(module) {}

  /// A tensor of the given bytes; `name` is the source model's name for it.
  Value makeIntegers(OpBuilder &b, Location loc, RankedTensorType type,
                     ArrayRef<char> bytes, StringRef name);
  Value makeScales(OpBuilder &b, Location loc, ArrayRef<float> scales,
                   ArrayRef<int64_t> shape);
  /// Null if all are zero.
  Value makeZeroPoints(OpBuilder &b, Location loc,
                       ArrayRef<QuantParameters> parameters,
                       ArrayRef<int64_t> shape, IntegerType type);

private:
  Value write(OpBuilder &b, Location loc, RankedTensorType type,
              ArrayRef<char> bytes);

  ModuleOp module;
  SymbolTable symbols;
};

/// The tensor that `observe` marks times a vector along its axis.
Value scaleChannels(OpBuilder &b, ObserveOp observe, DenseElementsAttr factors);

} // namespace mlir::tamis

#endif // TAMIS_LIB_COMPRESS_QUANTIZEDCONSTANTS_H
