// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The head of every workspace: what generated code shares with the runtime
// during one call. The arena follows it.
#ifndef TAMIS_CONVERSION_WORKSPACE_H
#define TAMIS_CONVERSION_WORKSPACE_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include <cstdint>

namespace mlir::tamis::workspace {

/// Byte offsets from the start of the workspace.
constexpr int64_t kError = 0;   // i32, codes of tamis_kernel.check or-ed
constexpr int64_t kContext = 8; // ptr, the runtime's context of this call
constexpr int64_t kDims = 16;   // ptr, int64_t dims[] of the call
constexpr int64_t kHeader = 64; // where the arena starts

} // namespace mlir::tamis::workspace

namespace mlir::tamis {

/// Marks a store into the error word after which @main may have to return.
constexpr llvm::StringLiteral kLeaveOnErrorName = "tamis.leave_on_error";

/// Appends the workspace to the arguments of `function` and of its calls,
/// which are all in @main.
Value passWorkspace(ModuleOp module, func::FuncOp function);

/// The runtime's context of the call that the workspace `memory` belongs to.
Value loadContext(OpBuilder &b, Location loc, Value memory);

/// The declaration of a function of the runtime, made if it is not there.
func::FuncOp declareRuntime(ModuleOp module, StringRef name, TypeRange inputs,
                            TypeRange results);

} // namespace mlir::tamis

#endif // TAMIS_CONVERSION_WORKSPACE_H
