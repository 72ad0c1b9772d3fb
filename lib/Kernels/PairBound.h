// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Instructions that add the products of two neighbouring weights up in 16 bits.
#ifndef TAMIS_LIB_KERNELS_PAIRBOUND_H
#define TAMIS_LIB_KERNELS_PAIRBOUND_H

#include <cstdint>
#include <cstdlib>
#include <utility>

namespace mlir::tamis {

/// What has to be taken from two neighbouring bytes so that together they are
/// at most `bound` (0: any) of either sign: half of both, or nothing. Both
/// halves are within a bound of 128. Unlike signs never add up.
inline std::pair<int, int> getExcess(int x, int y, int64_t bound) {
  bool divide =
      bound != 0 && (x < 0) == (y < 0) && std::abs(x) + std::abs(y) > bound;
  return divide ? std::pair(x / 2, y / 2) : std::pair(0, 0);
}

} // namespace mlir::tamis

#endif // TAMIS_LIB_KERNELS_PAIRBOUND_H
