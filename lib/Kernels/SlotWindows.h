// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Weights as slot windows (see #tamis.slot_windows): counted by the pass that
// decides on them, written by the one that packs.
#ifndef TAMIS_LIB_KERNELS_SLOTWINDOWS_H
#define TAMIS_LIB_KERNELS_SLOTWINDOWS_H

#include "tamis/IR/Tamis.h"
#include "tamis/Kernels/SourceView.h"

namespace mlir::tamis {

/// The entries that `storage` would have of `view`, which `pack` orders along
/// one reduction, within `bound`; nullopt where they are more than `most`.
std::optional<int64_t> countSlotEntries(const SourceView &view,
                                        kernel::PackOp pack,
                                        SlotWindowsAttr storage, int64_t bound,
                                        double most);

/// The arrays of slot windows.
struct SlotWindows {
  std::vector<char> values;
  std::vector<uint16_t> places;
  std::vector<int32_t> starts;
};

/// Puts `panels` equally large panels into slots, within `bound` (see
/// `tamis_kernel.fill_slots`).
SlotWindows makeSlotWindows(ArrayRef<char> packed, int64_t panels,
                            SlotWindowsAttr storage, int64_t bound);

} // namespace mlir::tamis

#endif // TAMIS_LIB_KERNELS_SLOTWINDOWS_H
