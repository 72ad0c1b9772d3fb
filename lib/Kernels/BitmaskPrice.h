// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The cost model of bitmasks.
#ifndef TAMIS_LIB_KERNELS_BITMASKPRICE_H
#define TAMIS_LIB_KERNELS_BITMASKPRICE_H

#include "tamis/Target/Profile.h"

namespace mlir::tamis {

/// An instruction and an expansion that fill the same vectors, and the elements
/// of one unit.
struct MaskedInstruction {
  InstructionAttrInterface instruction;
  ExpansionAttrInterface expansion;
  int64_t unit;
};

/// All that `target` has for these operand types.
SmallVector<MaskedInstruction>
getMaskedInstructions(TargetAttr target, Type lhs, Type rhs, Type accumulator,
                      bool lhsUnsigned, bool rhsUnsigned);

/// What the price of a bitmask depends on.
struct BitmaskProblem {
  /// Rows, and rows of one register block.
  int64_t rows = 1, blockRows = 1;
  /// Vectors of weights, units of them that are stored.
  int64_t vectors = 0, entries = 0;
  ProfileAttr profile;
  /// Bytes of L2, and of all weights of the model.
  int64_t l2 = 0;
  double modelBytes = 0;
};

/// Bytes of the stored units and the masks.
double countBytes(const BitmaskProblem &problem,
                  const MaskedInstruction &masked);

/// Cycles: what it takes to expand all vectors and to multiply them, and what
/// of reading the bytes does not happen meanwhile.
double priceBitmask(const BitmaskProblem &problem,
                    const MaskedInstruction &masked);

} // namespace mlir::tamis

#endif // TAMIS_LIB_KERNELS_BITMASKPRICE_H
