// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// When the lanes of a workgroup can share a row of a structured operation:
// `--tamis-fuse-rows=lanes` asks before it puts operations together, the device
// mapping (lib/Gpu/MapRows.cpp) when it makes a kernel of them.
#ifndef TAMIS_TRANSFORMS_ROWLANES_H
#define TAMIS_TRANSFORMS_ROWLANES_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace mlir::tamis {

/// Buffers that every device binds to a kernel, beside the words of its launch.
inline constexpr size_t kMostBuffers = 15;

/// How the lanes of one row see an operand: all of them one element, each lane
/// the elements of its own places in the row, or anything else.
enum class RowAccess { Scalar, Elements, Other };

/// The access of `operand`, a memref, once the loops `rowDims` are fixed.
RowAccess getRowAccess(linalg::LinalgOp op, OpOperand &operand,
                       ArrayRef<unsigned> rowDims);

/// The loops that lanes share, outermost first: all but `rowDims` and those of
/// one iteration.
SmallVector<unsigned> getLaneDims(linalg::LinalgOp op,
                                  ArrayRef<unsigned> rowDims);

/// The operation that puts two parts of a reduction together: what result
/// `index` yields is this of the accumulator and something else. Null where the
/// body is no such reduction, or of a type that lanes do not exchange.
Operation *getLaneCombiner(linalg::LinalgOp op, unsigned index);

/// Whether lanes can share the work of a row: each place of the row is written
/// by one lane, or all of it is one sum, product or extreme.
bool fitsLanes(linalg::LinalgOp op, ArrayRef<unsigned> rowDims);

} // namespace mlir::tamis

#endif // TAMIS_TRANSFORMS_ROWLANES_H
