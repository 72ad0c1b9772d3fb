// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The cost model of storages of fixed stride.
#ifndef TAMIS_LIB_KERNELS_ENCODEDPRICE_H
#define TAMIS_LIB_KERNELS_ENCODEDPRICE_H

#include "tamis/Target/Profile.h"

namespace mlir::tamis {

/// What the price depends on.
struct EncodedProblem {
  /// Rows, and rows of one register block.
  int64_t rows = 1, blockRows = 1;
  /// Vectors of weights, and bytes of all of them.
  int64_t vectors = 0;
  double bytes = 0;
  /// Cycles of a vector: once for a block of rows, and for each row.
  double once = 0, perRow = 0;
  ProfileAttr profile;
  /// Bytes of the caches, and of all weights of the model.
  int64_t l1 = 0, l2 = 0;
  double modelBytes = 0;
};

/// What is known of `instruction`, a selection: what each vector costs, and the
/// bytes of `vectors` of elements of so many bits.
void describeSelection(EncodedProblem &problem,
                       InstructionAttrInterface instruction, int64_t vectors,
                       int64_t elementBits);

/// Cycles: arithmetic, or bytes from L2 for each block of rows, or from behind
/// it once.
double priceEncoded(const EncodedProblem &problem);

} // namespace mlir::tamis

#endif // TAMIS_LIB_KERNELS_ENCODEDPRICE_H
