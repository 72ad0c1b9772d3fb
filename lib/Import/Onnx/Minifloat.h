// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Floats of 8 and 4 bits. The IR keeps their codes in i8; arithmetic happens in
// float32 between these two conversions.
#ifndef TAMIS_LIB_IMPORT_ONNX_MINIFLOAT_H
#define TAMIS_LIB_IMPORT_ONNX_MINIFLOAT_H

#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "tamis/Import/Onnx/Model.h"

namespace mlir::tamis::onnx {

/// True for the float types of 8 bits and less.
bool isMinifloat(DType dtype);
/// The float32 that the i8 `code` stands for.
Value decodeMinifloat(ImplicitLocOpBuilder &b, Value code, DType dtype);

enum class PowerRounding { Up, Down, Nearest };
/// The i8 code of the float32 `x`, rounded half to even. What is too large
/// becomes the largest number, or without `saturate` infinity (not a number
/// where the type has none). `power` is how float8_e8m0 rounds.
Value encodeMinifloat(ImplicitLocOpBuilder &b, Value x, DType dtype,
                      bool saturate = true,
                      PowerRounding power = PowerRounding::Up);

} // namespace mlir::tamis::onnx

#endif // TAMIS_LIB_IMPORT_ONNX_MINIFLOAT_H
