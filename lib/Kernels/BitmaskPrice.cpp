// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Prices of bitmasks in cycles of one core.
#include "BitmaskPrice.h"
#include "DensePrice.h"
#include "tamis/Target/Target.h"
#include <algorithm>

using namespace mlir;
using namespace mlir::tamis;

SmallVector<MaskedInstruction>
mlir::tamis::getMaskedInstructions(TargetAttr target, Type lhs, Type rhs,
                                   Type accumulator, bool lhsUnsigned,
                                   bool rhsUnsigned) {
  int64_t elementBytes = rhs.getIntOrFloatBitWidth() / 8;
  SmallVector<MaskedInstruction> found;
  for (InstructionAttrInterface instruction : getInstructions(target)) {
    if (instruction.isTile() || instruction.getPairBound() != 0 ||
        instruction.getPackedType(rhs) != rhs ||
        !instruction.accepts(lhs, rhs, accumulator, lhsUnsigned, rhsUnsigned))
      continue;
    int64_t step = instruction.getReductionStep();
    int64_t bytes = instruction.getLanes() * step * elementBytes;
    for (ExpansionAttrInterface expansion : getExpansions(target)) {
      int64_t unit = expansion.getUnitBytes() / elementBytes;
      if (unit > 0 && step % unit == 0 &&
          expansion.getUnits() * expansion.getUnitBytes() == bytes)
        found.push_back({instruction, expansion, unit});
    }
  }
  return found;
}

double mlir::tamis::countBytes(const BitmaskProblem &p,
                               const MaskedInstruction &masked) {
  ExpansionAttrInterface expansion = masked.expansion;
  return double(p.entries * expansion.getUnitBytes()) +
         double(p.vectors * expansion.getUnits()) / 8;
}

double mlir::tamis::priceBitmask(const BitmaskProblem &p,
                                 const MaskedInstruction &masked) {
  ExpansionAttrInterface expansion = masked.expansion;
  // Several blocks of rows read a panel that was stored.
  constexpr double stored = 1;
  double cycles = double(p.vectors) *
                  (expansion.getCycles() + (p.rows > p.blockRows ? stored : 0) +
                   double(p.rows) * getCycles(p.profile, masked.instruction));
  // Expanding keeps a core too busy to wait for memory at the same time.
  double read =
      priceReading(p.profile, p.l2, p.modelBytes, countBytes(p, masked));
  return std::max(cycles, read) + std::min(cycles, read) / 2;
}
