// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the cost models say of zeros before there is a kernel: for those who
// decide where zeros should be.
#ifndef TAMIS_KERNELS_PREDICTGAIN_H
#define TAMIS_KERNELS_PREDICTGAIN_H

#include "tamis/IR/Tamis.h"

namespace mlir::tamis {

/// Rows assumed where only run time knows.
inline constexpr int64_t kTypicalRows = 128;

/// A layer as the matrix product that it comes to; rows may be kDynamic.
struct LayerShape {
  int64_t rows = 1, depth = 1, columns = 1;
};

/// How many consecutive weights of one output channel have to be zero together
/// for `target` to leave them out, if they are of `element` (f32 or i8); 0
/// where it has no storage for such zeros.
int64_t getWordElements(TargetAttr target, Type element);

/// How many times as fast as dense panels the layer is expected to be if a
/// share `words` of its words is not all zero, and of every four weights two
/// are not there if `twoOfFour`; 1 where dense panels would be chosen.
double predictGain(TargetAttr target, const LayerShape &shape, Type element,
                   double words, bool twoOfFour);

/// The microseconds of one core that it is expected to take; 0 where the target
/// has no instruction for it.
double predictTime(TargetAttr target, const LayerShape &shape, Type element,
                   double words, bool twoOfFour);

} // namespace mlir::tamis

#endif // TAMIS_KERNELS_PREDICTGAIN_H
