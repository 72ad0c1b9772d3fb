// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Operations on buffers that do their work row by row, together.
#ifndef TAMIS_LIB_TRANSFORMS_ROWGROUP_H
#define TAMIS_LIB_TRANSFORMS_ROWGROUP_H

#include "tamis/Transforms/RowLanes.h"

namespace mlir::tamis {

/// Only the plain dimension itself may mention `dim` in `map`; its position,
/// or -1 if the map does not mention it, or nullopt.
std::optional<int> plainPosition(AffineMap map, unsigned dim);

/// Operations of one block that share their row loops. Row dimension k is
/// dimension rowDims[op][k] of an operation and axis axes[buffer][k] of a
/// buffer.
struct RowGroup {
  SmallVector<linalg::LinalgOp> ops; // in block order
  DenseMap<Operation *, SmallVector<unsigned>> rowDims;
  DenseMap<Value, SmallVector<unsigned>> axes;
  llvm::SmallDenseSet<Value> irregular; // read whole by some operation
  llvm::SmallDenseSet<Value> written;
  SmallVector<std::pair<Value, unsigned>> extents; // a buffer's axis per row
  bool lanes = false;                              // of a workgroup share a row
  DenseMap<Value, RowAccess> access;               // how they see each buffer
  unsigned rank() const { return extents.size(); }

  /// Adds `op` at either end if it works row by row on the group's rows.
  bool add(linalg::LinalgOp op, bool atEnd);

private:
  bool fitsBuffers(ArrayRef<Value> more) const;
  bool addForLanes(linalg::LinalgOp op, ArrayRef<unsigned> dims,
                   const llvm::SmallDenseSet<Value> &stores);
};

} // namespace mlir::tamis

#endif // TAMIS_LIB_TRANSFORMS_ROWGROUP_H
