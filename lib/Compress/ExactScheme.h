// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Weights that were integers before and were stored as floats.
#ifndef TAMIS_LIB_COMPRESS_EXACTSCHEME_H
#define TAMIS_LIB_COMPRESS_EXACTSCHEME_H

#include "tamis/Compress/Parameters.h"

namespace mlir::tamis {

/// The scheme of fewest bits, then fewest scales, whose levels all values of a
/// weight are, bit for bit; null if there is none among those that
/// `--tamis-select-quantization` names, or if the values are no float32
/// constants.
SchemeAttr findExactScheme(const WeightUse &use);

} // namespace mlir::tamis

#endif // TAMIS_LIB_COMPRESS_EXACTSCHEME_H
