// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Register blocks by enumeration: there are fewer than a hundred, and the cost
// of each (multiplications, loads, tails) is a line of arithmetic.
#include "tamis/Kernels/Tiling.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>

using namespace mlir;
using namespace mlir::tamis;

/// Extent assumed of a dimension only run time knows.
static constexpr int64_t kTypicalExtent = 128;

/// Cycles of one reduction step of a block: one multiplication a cycle, loads
/// beside them, and at least the latency of a chain of dependent additions.
static double stepCost(int64_t rows, int64_t vectors, bool depthwise) {
  double products = double(rows * vectors);
  double loads = depthwise ? double(rows * vectors) + double(vectors)
                           : double(rows) + double(vectors);
  return std::max({products, loads, 4.0}) + 0.1 * loads;
}

Tiling mlir::tamis::chooseTiling(const TilingProblem &problem) {
  int64_t rowExtent = ShapedType::isDynamic(problem.rowExtent)
                          ? kTypicalExtent
                          : problem.rowExtent;
  int64_t columns =
      ShapedType::isDynamic(problem.columns) ? kTypicalExtent : problem.columns;
  int64_t vectorsWanted = llvm::divideCeil(columns, problem.lanes);
  int64_t maxVectors = problem.depthwise ? 4 : rowExtent < 4 ? 8 : 6;
  Tiling best{1, 1, 0};
  double bestCost = 1e300;
  for (int64_t vectors = 1; vectors <= std::min(maxVectors, vectorsWanted);
       ++vectors) {
    int64_t budget = problem.maxAccumulators;
    // A block needs its weights and one broadcast beside the accumulators.
    int64_t registers = budget > 16 ? 32 : 16;
    budget = std::min(budget, registers - vectors - 1);
    int64_t maxRows = budget / (vectors + (problem.rowSums ? 1 : 0));
    if (problem.depthwise)
      maxRows = std::min<int64_t>(maxRows, budget > 16 ? 8 : 4);
    for (int64_t rows = 1; rows <= std::min(maxRows, rowExtent); ++rows) {
      double panels = double(vectorsWanted / vectors);
      int64_t tailVectors = vectorsWanted % vectors;
      int64_t blocks = rowExtent / rows, tail = rowExtent % rows;
      auto rowsCost = [&](int64_t v) {
        double cost = double(blocks) * stepCost(rows, v, problem.depthwise);
        if (tail)
          cost += stepCost(tail, v, problem.depthwise);
        return cost;
      };
      double cost = panels * rowsCost(vectors);
      if (tailVectors)
        cost += rowsCost(tailVectors);
      if (cost < bestCost - 1e-9) {
        bestCost = cost;
        best = {rows, vectors, 0};
      }
    }
  }
  // The rows of a cache block stay in a third of L2 while all panels pass.
  bool single = problem.outerExtent == 1;
  int64_t extent = single ? problem.rowExtent : problem.outerExtent;
  int64_t fits = std::max<int64_t>(
      1, problem.l2 / 3 / std::max<int64_t>(1, problem.bytesPerPosition));
  if (single)
    fits = std::max(best.rows, fits / best.rows * best.rows);
  if (ShapedType::isDynamic(extent) || extent > fits)
    best.positions = fits;
  return best;
}
