// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Storages of fixed stride (see #tamis.n_of_m and #tamis.codebook): examined by
// the pass that decides on them, written by the one that packs.
#ifndef TAMIS_LIB_KERNELS_ENCODED_H
#define TAMIS_LIB_KERNELS_ENCODED_H

#include "tamis/IR/Tamis.h"
#include "tamis/Kernels/SourceView.h"

namespace mlir::tamis {

/// True if of every `step` consecutive weights of a channel, as `pack` orders
/// them, at most `kept` are not zero.
bool keepsFew(const SourceView &view, kernel::PackOp pack, int64_t step,
              int64_t kept);

/// How many values `view` has; nullopt where that is more than a table holds.
/// Values are told apart by their bits.
std::optional<int64_t> countValues(const SourceView &view);

/// The two arrays of a storage, as bytes.
struct EncodedPanels {
  std::vector<char> values, keys;
};

/// Whole vectors of lanes x steps elements of `bytes` bytes, each a float32 if
/// `isFloat`, as #tamis.n_of_m; nullopt where a step has too many weights.
std::optional<EncodedPanels> encodeNOfM(ArrayRef<char> packed, NOfMAttr storage,
                                        int64_t bytes, bool isFloat);

/// Rows of `row` elements of `bytes` bytes, an even number of them, as
/// #tamis.codebook of `entries` values; nullopt where there are others. One
/// more may be zero: it fills the last panel, where nobody reads and any code
/// does.
std::optional<EncodedPanels> encodeCodebook(ArrayRef<char> packed, int64_t row,
                                            int64_t bytes, int64_t entries);

} // namespace mlir::tamis

#endif // TAMIS_LIB_KERNELS_ENCODED_H
