// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What GroupAttention.cpp makes and AttentionKernel.cpp takes: a region with
// the scratch buffers of the scores, the contraction that makes them, the loop
// over their rows and the contraction that reads them.
#ifndef TAMIS_LIB_GPU_ATTENTION_H
#define TAMIS_LIB_GPU_ATTENTION_H

#include "tamis/Gpu/Tensor.h"

namespace mlir::tamis::device {

/// On the region: elements from one row of a strip to the next. Its rows are
/// those of the contractions' tiles.
inline constexpr llvm::StringLiteral kStripAttrName = "tamis.strip";

/// Warps of attention's workgroups: as many lanes as rows take.
inline constexpr int64_t kAttentionWarps = 4;

struct Attention {
  ContractOp scores;
  Operation *rows = nullptr;
  ContractOp values;
};

/// For each loop of `rows` the axis of the scores that it walks. Failure unless
/// all views of `strips` are whole rows, each by the same loops.
FailureOr<SmallVector<unsigned>> findRowAxes(Operation *rows,
                                             ArrayRef<Value> strips);

} // namespace mlir::tamis::device

#endif // TAMIS_LIB_GPU_ATTENTION_H
