// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attention on buffers: what FindAttention.cpp finds, GroupAttention.cpp makes
// a region of and AttentionKernel.cpp a kernel.
#ifndef TAMIS_LIB_GPU_ATTENTION_H
#define TAMIS_LIB_GPU_ATTENTION_H

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "tamis/Gpu/Tensor.h"

namespace mlir::tamis::device {

/// On the region: elements from one row of a strip to the next. Its rows are
/// those of the contractions' tiles.
inline constexpr llvm::StringLiteral kStripAttrName = "tamis.strip";

/// Warps of attention's workgroups: as many lanes as rows take.
inline constexpr int64_t kAttentionWarps = 4;

struct Attention {
  /// Makes scores.
  ContractOp scores;
  /// The loop over their rows.
  Operation *rows = nullptr;
  /// Takes what that has made of them.
  ContractOp values;
  /// Buffers of whole rows of scores. A region has its own instead, which
  /// stand for the workgroup's memory.
  SmallVector<memref::AllocOp> strips;

  Block *getBlock() { return values->getBlock(); }
  bool isStrip(Value buffer) {
    return llvm::is_contained(strips, buffer.getDefiningOp());
  }
  bool contains(Operation *op) {
    return op == scores || op == rows || op == values;
  }
};

/// The attention whose second product is `values`, if it looks like one.
std::optional<Attention> findAttention(ContractOp values);

/// Why its kernels stay apart, whatever the sizes; empty if nothing is against
/// one kernel.
std::string refuseAttention(Attention &attention);

/// The axes of scores that groups and rows of a contraction walk, in order.
struct RowAxes {
  SmallVector<unsigned> groups, rows;
  bool operator==(const RowAxes &other) const {
    return groups == other.groups && rows == other.rows;
  }
};

/// Those of `op`, which makes or reads scores through `map`; none where groups
/// and rows do not walk all axes but the last, the columns of what makes them
/// and the reduction of what reads them.
std::optional<RowAxes> findRowAxes(ContractOp op, AffineMap map);

/// For each loop of `rows` the axis of the scores that it walks. Failure unless
/// all views of `strips` are whole rows, each by the same loops.
FailureOr<SmallVector<unsigned>> findLoopAxes(Operation *rows,
                                              ArrayRef<Value> strips);

} // namespace mlir::tamis::device

#endif // TAMIS_LIB_GPU_ATTENTION_H
