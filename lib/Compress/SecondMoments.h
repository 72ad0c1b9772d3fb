// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Second moments of a layer's inputs and what follows from them: how much the
// other weights of a row should move when one is changed (SparseGPT, GPTQ).
#ifndef TAMIS_LIB_COMPRESS_SECONDMOMENTS_H
#define TAMIS_LIB_COMPRESS_SECONDMOMENTS_H

#include "llvm/ADT/ArrayRef.h"
#include <optional>
#include <vector>

namespace mlir::tamis {

/// The second moment of elements `i` and `j` of vectors of `n` elements. `gram`
/// is the statistic of that name: (n+1) times (n+1), its last row and column
/// are sums. `centered` takes the moment around the mean: the measure of an
/// error whose mean a bias takes off.
double getMoment(llvm::ArrayRef<float> gram, int64_t n, int64_t i, int64_t j,
                 bool centered);

/// The upper triangular U, n times n, with U'U the inverse of the second
/// moments plus one percent of their mean on the diagonal (more, if that is
/// not positive definite; nullopt if it never is). Arguments as of getMoment.
std::optional<std::vector<float>>
getInverseFactor(llvm::ArrayRef<float> gram, int64_t n, bool centered = false);

} // namespace mlir::tamis

#endif // TAMIS_LIB_COMPRESS_SECONDMOMENTS_H
