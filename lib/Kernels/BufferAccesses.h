// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The memory operations touch before it is planned, when buffers of different
// allocations are different memory: whether operations may change places.
#ifndef TAMIS_LIB_KERNELS_BUFFERACCESSES_H
#define TAMIS_LIB_KERNELS_BUFFERACCESSES_H

#include "mlir/IR/Value.h"
#include "llvm/ADT/DenseSet.h"
#include <optional>

namespace mlir::tamis {

/// The buffer that a memref is a view of.
Value getBase(Value memref);

/// The bases an operation reads and writes.
struct BufferAccesses {
  llvm::SmallDenseSet<Value> reads, writes;

  /// None for operations whose memory is not known.
  static std::optional<BufferAccesses> get(Operation *op);

  /// True if the order of the two matters.
  bool clashes(const BufferAccesses &other) const;

  /// What both touch together.
  void add(const BufferAccesses &other);
};

} // namespace mlir::tamis

#endif // TAMIS_LIB_KERNELS_BUFFERACCESSES_H
