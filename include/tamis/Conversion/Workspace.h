// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The head of every workspace: what generated code shares with the runtime
// during one call. The arena follows it.
#ifndef TAMIS_CONVERSION_WORKSPACE_H
#define TAMIS_CONVERSION_WORKSPACE_H

#include <cstdint>

namespace mlir::tamis::workspace {

/// Byte offsets from the start of the workspace.
constexpr int64_t kError = 0;    // i32, codes of tamis_kernel.check or-ed
constexpr int64_t kContext = 8;  // ptr, the runtime's context of this call
constexpr int64_t kDims = 16;    // ptr, int64_t dims[] of the call
constexpr int64_t kHeader = 64;  // where the arena starts

} // namespace mlir::tamis::workspace

#endif // TAMIS_CONVERSION_WORKSPACE_H
