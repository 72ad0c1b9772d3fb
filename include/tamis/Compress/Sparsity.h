// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which zeros a model's weights already have. The report, `tamis explain` and
// protection of given masks ask here; nobody asks how the zeros came there.
#ifndef TAMIS_COMPRESS_SPARSITY_H
#define TAMIS_COMPRESS_SPARSITY_H

#include "mlir/IR/BuiltinOps.h"
#include <cstdint>
#include <string>
#include <vector>

namespace mlir::tamis {

/// The zeros of one weight, seen as a matrix of output channels times K (kernel
/// height, kernel width, channel fastest).
struct SparsityInfo {
  std::string layer, tensor;
  int64_t rows = 0, columns = 0, zeros = 0;
  /// Rows and columns that hold nothing but zeros.
  int64_t zeroRows = 0, zeroColumns = 0;
  /// "dense" (fewer than one element in twenty is zero), "channel", "RxC",
  /// "N:M" or "unstructured": the most regular pattern that explains at least
  /// 95 % of the zeros.
  std::string pattern = "dense";
  double getShare() const {
    return rows * columns ? double(zeros) / (double(rows) * columns) : 0;
  }
};

/// Recognises the zeros of `matrix` (row-major, rows times columns).
SparsityInfo recognizeSparsity(ArrayRef<float> matrix, int64_t rows,
                               int64_t columns);

/// Recognises the zeros of every observed weight of the module, in the order
/// of their contractions. What is no float32 constant is left out.
std::vector<SparsityInfo> analyzeSparsity(ModuleOp module);

} // namespace mlir::tamis

#endif // TAMIS_COMPRESS_SPARSITY_H
