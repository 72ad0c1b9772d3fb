// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a contraction costs on a device whose facts a profile has.
#ifndef TAMIS_GPU_FRAGMENTPRICE_H
#define TAMIS_GPU_FRAGMENTPRICE_H

#include "tamis/Gpu/Tensor.h"
#include "tamis/Kernels/PredictTime.h"

namespace mlir::tamis::device {

/// The bytes of `type`, open sizes taken as kTypicalRows.
double getTypicalBytes(ShapedType type);

/// Microseconds of a kernel that does little but read and write so many bytes;
/// none where the profile does not know the device.
std::optional<double> priceBytes(ProfileAttr profile, double bytes);

/// A contraction for a device: its extents, the elements in a word of 32 bits,
/// the bytes that operands and result have in memory, and of listed weights
/// those words that are there, and all.
struct FragmentProblem {
  double groups = 1, rows = 1, columns = 1, depth = 1, perWord = 1, bytes = 0;
  double listedWords = 0, denseWords = 0;
};

/// Microseconds by fragments of `instruction` in `tiles`: the launch, and the
/// longest of the products, the bytes, and a workgroup's own tiles, one after
/// the other. Products, and integer instructions that put listed words in their
/// places, go at the device's rates on as many multiprocessors as there are
/// workgroups, a warp on one of four schedulers. Where the reduction is divided
/// a second launch reads and writes the parts. None where the profile does not
/// know the device or the instruction.
std::optional<double> priceFragment(ProfileAttr profile,
                                    FragmentAttrInterface instruction,
                                    TilesAttr tiles,
                                    const FragmentProblem &problem);

/// A layer as the matrix product that it comes to; rows may be kDynamic.
struct LayerShape {
  int64_t rows = 1, depth = 1, columns = 1;
};

/// How many times as fast as without zeros `target` is expected to compute the
/// layer, of `element` (f32 or i8), if of four consecutive weights of a channel
/// two are zero; 1 where it has no fragments for that.
double predictTwoOfFourGain(TargetAttr target, const LayerShape &shape,
                            Type element);

} // namespace mlir::tamis::device

#endif // TAMIS_GPU_FRAGMENTPRICE_H
