// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The head of every workspace: what generated code shares with the runtime
// during one call. The arena follows it.
#ifndef TAMIS_CONVERSION_WORKSPACE_H
#define TAMIS_CONVERSION_WORKSPACE_H

#include "llvm/ADT/StringRef.h"
#include <cstdint>

namespace mlir::tamis::workspace {

/// Byte offsets from the start of the workspace.
constexpr int64_t kError = 0;    // i32, codes of tamis_kernel.check or-ed
constexpr int64_t kContext = 8;  // ptr, the runtime's context of this call
constexpr int64_t kDims = 16;    // ptr, int64_t dims[] of the call
constexpr int64_t kHeader = 64;  // where the arena starts

} // namespace mlir::tamis::workspace

namespace mlir::tamis {

/// Marks a store into the error word after which @main may have to return.
constexpr llvm::StringLiteral kLeaveOnErrorName = "tamis.leave_on_error";

} // namespace mlir::tamis

#endif // TAMIS_CONVERSION_WORKSPACE_H
