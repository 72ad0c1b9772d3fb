// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Loops of several operations that become one kernel.
#ifndef TAMIS_LIB_KERNELS_TASKLOOP_H
#define TAMIS_LIB_KERNELS_TASKLOOP_H

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::tamis {

/// The part of an iteration space that one task walks, and which task it is.
struct TaskRange {
  Value task, lower, upper;
};

/// Emits the frame of a kernel that walks `count` iterations in so many tasks,
/// named after `origin`, if it has one, and leaves `b` inside.
TaskRange beginTaskLoop(ImplicitLocOpBuilder &b, int64_t tasks, Value count,
                        StringAttr origin);

} // namespace mlir::tamis

#endif // TAMIS_LIB_KERNELS_TASKLOOP_H
