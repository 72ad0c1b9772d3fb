// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The passes of Passes.td: constructors, options, registration.
#ifndef TAMIS_COMPRESS_PASSES_H
#define TAMIS_COMPRESS_PASSES_H

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Pass/Pass.h"
#include "tamis/IR/Tamis.h"

namespace mlir::tamis {

#define GEN_PASS_DECL
#include "tamis/Compress/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "tamis/Compress/Passes.h.inc"

} // namespace mlir::tamis

#endif // TAMIS_COMPRESS_PASSES_H
