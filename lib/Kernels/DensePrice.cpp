// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Prices of dense panels in cycles of one core: a roofline of arithmetic, L2
// and what is behind it.
#include "DensePrice.h"
#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace mlir::tamis;

DenseProblem mlir::tamis::describeDense(ArrayRef<int64_t> bounds,
                                        AffineMap rhsMap, Type rhs,
                                        InstructionAttrInterface instruction,
                                        TargetAttr target,
                                        ProfileAttr profile) {
  DenseProblem problem;
  for (auto [d, bound] : llvm::enumerate(bounds)) {
    auto size = double(ShapedType::isDynamic(bound) ? kTypicalRows : bound);
    problem.products *= size;
    if (rhsMap.isFunctionOfDim(d))
      problem.weights *= size;
  }
  Type packed = instruction.getPackedType(rhs);
  problem.bytes = problem.weights * packed.getIntOrFloatBitWidth() / 8;
  problem.instruction = instruction;
  problem.profile = profile;
  problem.l1 = target.getL1();
  problem.l2 = target.getL2();
  return problem;
}

double mlir::tamis::priceDense(const DenseProblem &p, int64_t rows,
                               double factor) {
  auto fact = [&](StringRef name) { return getFact(p.profile, name); };
  InstructionAttrInterface instruction = p.instruction;
  double cycles =
      factor * p.products * getCycles(p.profile, instruction) /
      double(instruction.getLanes() * instruction.getReductionStep()) /
      fact("dense.share");
  double blocks = std::ceil(p.products / p.weights / double(rows));
  if (p.bytes > double(p.l1))
    cycles = std::max(cycles, blocks * p.bytes / fact("l2.bytes_per_cycle"));
  // The panels of one cache block of rows come from there once.
  if (p.bytes > double(p.l2))
    cycles = std::max(cycles, p.bytes / fact("memory.bytes_per_cycle"));
  return cycles;
}
