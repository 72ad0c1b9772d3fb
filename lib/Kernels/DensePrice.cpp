// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Prices of dense panels in cycles of one core: a roofline of arithmetic, L2
// and what is behind it.
#include "DensePrice.h"
#include "Emitter.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "tamis/Transforms/ConstantTensor.h"
#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace mlir::tamis;

double mlir::tamis::getModelBytes(ModuleOp module) {
  double bytes = 0;
  for (auto global : module.getOps<ml_program::GlobalOp>())
    if (auto type = dyn_cast<RankedTensorType>(global.getType()))
      bytes += double(getTensorBytes(type).value_or(0));
  return bytes;
}

double mlir::tamis::priceReading(ProfileAttr profile, int64_t l2,
                                 double modelBytes, double bytes) {
  if (modelBytes > getFact(profile, "l3.bytes"))
    return bytes / getFact(profile, "dram.bytes_per_cycle");
  return bytes > double(l2) ? bytes / getFact(profile, "memory.bytes_per_cycle")
                            : 0;
}

double mlir::tamis::pricePanels(ProfileAttr profile, int64_t l2,
                                double modelBytes, double bytes, double rows) {
  double cycles = priceReading(profile, l2, modelBytes, bytes);
  return rows == 1 ? cycles / getFact(profile, "panels.at_once") : cycles;
}

DenseProblem mlir::tamis::describeDense(ArrayRef<int64_t> bounds,
                                        AffineMap rhsMap, Type rhs,
                                        InstructionAttrInterface instruction,
                                        TargetAttr target, ProfileAttr profile,
                                        double modelBytes) {
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
  problem.modelBytes = modelBytes;
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
  return std::max(cycles, pricePanels(p.profile, p.l2, p.modelBytes, p.bytes,
                                      p.products / p.weights));
}

double mlir::tamis::priceNibbles(const DenseProblem &p, int64_t run) {
  auto fact = [&](StringRef name) { return getFact(p.profile, name); };
  InstructionAttrInterface instruction = p.instruction;
  int64_t step = instruction.getReductionStep();
  auto lanes = double(instruction.getLanes()), vector = lanes * double(step);
  double products = p.products / vector * getCycles(p.profile, instruction) /
                    fact("dense.share");
  double sums = p.products / double(run) / lanes * fact("block_sums.combined");
  double reading = pricePanels(p.profile, p.l2, p.modelBytes, p.weights / 2,
                               p.products / p.weights);
  if (!instruction.isTile())
    return std::max(products + sums, reading);
  // A short run leaves a part of each tile idle.
  products *= vector / double(kernel::getTileDepth(run, step));
  double unpacking = p.weights / vector * fact("nibbles.unpacked");
  return std::max(unpacking, reading) + std::max(products, sums);
}
