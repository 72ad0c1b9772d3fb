// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Weights as a block list (see #tamis.block_list): counted by the pass that
// decides on it, written by the one that packs.
#ifndef TAMIS_LIB_KERNELS_BLOCKLIST_H
#define TAMIS_LIB_KERNELS_BLOCKLIST_H

#include "tamis/IR/Tamis.h"
#include "tamis/Kernels/SourceView.h"

namespace mlir::tamis {

/// The number of blocks of `columns` columns and `elements` elements of the
/// innermost reduction that are not all zero, of what `pack` reads from `view`.
/// The reduction has a multiple of `elements`.
int64_t countBlocks(const SourceView &view, kernel::PackOp pack,
                    int64_t columns, int64_t elements);

/// The arrays of a block list: the bytes of the stored blocks, where each lies
/// in its list, the first block of each list and the number of all.
struct BlockList {
  std::vector<char> values;
  std::vector<int32_t> places, starts;
};

/// Leaves the zero blocks of `blockBytes` bytes out of lists of `perList`
/// blocks, which `packed` holds one after the other. Elements of `element`:
/// negative zeros are zeros.
BlockList makeBlockList(ArrayRef<char> packed, int64_t perList,
                        int64_t blockBytes, Type element);

} // namespace mlir::tamis

#endif // TAMIS_LIB_KERNELS_BLOCKLIST_H
