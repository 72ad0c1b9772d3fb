// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a contraction costs on a device whose facts a profile has.
#ifndef TAMIS_GPU_FRAGMENTPRICE_H
#define TAMIS_GPU_FRAGMENTPRICE_H

#include "tamis/Gpu/Tensor.h"
#include "tamis/Kernels/PredictGain.h"

namespace mlir::tamis::device {

/// The bytes of `type`, open sizes taken as kTypicalRows.
double getTypicalBytes(ShapedType type);

/// Microseconds of a kernel that does little but read and write so many bytes;
/// none where the profile does not know the device.
std::optional<double> priceBytes(ProfileAttr profile, double bytes);

/// A contraction for a device: its work, and the bytes that operands and result
/// have in memory.
struct FragmentProblem {
  double groups = 1, rows = 1, columns = 1, depth = 1, bytes = 0;
};

/// Microseconds by fragments of `instruction`, with tiles of so many rows and
/// channels: the launch, and the products or the bytes, whichever take longer.
/// Products go at the instruction's rate on as many multiprocessors as there
/// are workgroups. None where the profile does not know the device or the
/// instruction.
std::optional<double> priceFragment(ProfileAttr profile,
                                    FragmentAttrInterface instruction,
                                    int64_t tileRows, int64_t tileChannels,
                                    const FragmentProblem &problem);

/// How many times as fast as without zeros `target` is expected to compute the
/// layer, of `element` (f32 or i8), if of four consecutive weights of a channel
/// two are zero; 1 where it has no fragments for that.
double predictTwoOfFourGain(TargetAttr target, const LayerShape &shape,
                            Type element);

} // namespace mlir::tamis::device

#endif // TAMIS_GPU_FRAGMENTPRICE_H
