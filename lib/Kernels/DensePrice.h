// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The cost model of dense panels.
#ifndef TAMIS_LIB_KERNELS_DENSEPRICE_H
#define TAMIS_LIB_KERNELS_DENSEPRICE_H

#include "tamis/Kernels/PredictTime.h"
#include "tamis/Target/Profile.h"

namespace mlir::tamis {

/// What the price of a dense contraction depends on.
struct DenseProblem {
  /// Multiplications, and elements and bytes of the right operand.
  double products = 1, weights = 1, bytes = 1;
  InstructionAttrInterface instruction;
  ProfileAttr profile;
  /// Bytes of the caches of the target, and of all weights of the model.
  int64_t l1 = 0, l2 = 0;
  double modelBytes = 0;
};

/// Cycles to read `bytes` of weights once from behind L2: from another cache
/// where it holds the whole model, else from memory; none where L2 holds them.
double priceReading(ProfileAttr profile, int64_t l2, double modelBytes,
                    double bytes);

/// The same of panels, dense or of N:M, of which a single row reads several at
/// once.
double pricePanels(ProfileAttr profile, int64_t l2, double modelBytes,
                   double bytes, double rows);

/// The problem of a contraction over `bounds` whose right operand, of elements
/// `rhs`, is read through `rhsMap`.
DenseProblem describeDense(ArrayRef<int64_t> bounds, AffineMap rhsMap, Type rhs,
                           InstructionAttrInterface instruction,
                           TargetAttr target, ProfileAttr profile,
                           double modelBytes);

/// Cycles with register blocks of so many rows, whose arithmetic takes `factor`
/// times as long as that of the best block: what its products take, or the
/// bytes of panels that each block of rows reads again.
double priceDense(const DenseProblem &problem, int64_t rows, double factor = 1);

/// Cycles of products by weights of 4 bits, a sum for each `run` elements of
/// the reduction, which is scaled and added to its total. Tiles have the
/// weights unpacked before, and multiply beside the additions.
double priceNibbles(const DenseProblem &problem, int64_t run);

} // namespace mlir::tamis

#endif // TAMIS_LIB_KERNELS_DENSEPRICE_H
