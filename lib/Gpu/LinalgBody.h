// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Bodies of structured operations in device code, for every mapping.
#ifndef TAMIS_LIB_GPU_LINALGBODY_H
#define TAMIS_LIB_GPU_LINALGBODY_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/IRMapping.h"

namespace mlir::tamis::device {

/// Workgroups along x before a second dimension is used: every device has at
/// least 65535.
inline constexpr int64_t kMaxGroups = 32768;

/// Why a device does not compute with the operands or the body of `op` as the
/// host does; empty if it does.
std::string refuseBody(linalg::LinalgOp op);

/// The body of `op` at the builder's place; `mapping` has its block arguments,
/// `getIndex` its loop indices. Returns what it yields.
SmallVector<Value> cloneBody(OpBuilder &b, linalg::LinalgOp op,
                             IRMapping &mapping,
                             function_ref<Value(unsigned)> getIndex);

/// The element of `operand` that loop indices `dims` (null: not in the map)
/// mean.
SmallVector<Value> getPosition(OpBuilder &b, linalg::LinalgOp op,
                               OpOperand *operand, ArrayRef<Value> dims);

/// A launch of at least `groups` workgroups of `threads`, along x and y. The
/// builder is left in its body, where `number` is the workgroup's, which may be
/// beyond the last one.
gpu::LaunchOp beginLaunch(OpBuilder &b, Location loc, Value groups,
                          int64_t threads, TypeRange memory, Value &number);

} // namespace mlir::tamis::device

#endif // TAMIS_LIB_GPU_LINALGBODY_H
