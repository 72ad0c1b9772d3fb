// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Prices of storages of fixed stride in cycles of one core.
#include "EncodedPrice.h"
#include "DensePrice.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>

using namespace mlir;
using namespace mlir::tamis;

void mlir::tamis::describeSelection(EncodedProblem &p,
                                    InstructionAttrInterface instruction,
                                    int64_t vectors, int64_t elementBits) {
  auto selection = cast<SelectionAttrInterface>(Attribute(instruction));
  int64_t bits = instruction.getLanes() * selection.getKept() * elementBits +
                 selection.getPlaceBits();
  p.vectors = vectors;
  p.bytes = double(vectors * bits) / 8;
  p.once = selection.getPlaceCycles();
  p.perRow = getCycles(p.profile, instruction);
}

double mlir::tamis::priceEncoded(const EncodedProblem &p) {
  auto fact = [&](StringRef name) { return getFact(p.profile, name); };
  auto blocks = static_cast<double>(llvm::divideCeil(p.rows, p.blockRows));
  double cycles =
      double(p.vectors) *
      (blocks * p.once + double(p.rows) * p.perRow / fact("dense.share"));
  if (p.bytes > double(p.l1))
    cycles = std::max(cycles, blocks * p.bytes / fact("l2.bytes_per_cycle"));
  return std::max(cycles, pricePanels(p.profile, p.l2, p.modelBytes, p.bytes,
                                      double(p.rows)));
}
