// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Prices of row streams in cycles of one core. The constants were measured on
// AVX2 (Zen 3) with layers of ResNet-50 and MiniLM; the choice between dense
// and stream asks for a larger difference than their errors.
#include "StreamPrice.h"
#include "RowStream.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>

using namespace mlir;
using namespace mlir::tamis;

/// Bytes a cycle from L2, where a stage does not fit into L1.
static constexpr double kL2BytesPerCycle = 28;
/// What an entry costs beside its products: two loads, a branch.
static constexpr double kEntry = 0.5;
/// A chain of float additions takes this long for every entry.
static constexpr double kFloatLatency = 4;
/// Leaving the loop of one column: a mispredicted branch.
static constexpr double kColumn = 20;
/// A word that is transposed on its way into the stage or out of accumulators.
static constexpr double kTransposed = 0.5;
/// More of it where rows are finished one by one.
static constexpr double kFinished = 0.5;
/// Most vectors of positions: as many accumulators.
static constexpr int64_t kMostVectors = 8;
/// The stage lies on the stack of whoever runs the kernel.
static constexpr int64_t kMostStageBytes = 256 << 10;

static StreamPlan price(const StreamProblem &p, int64_t vectors, bool flat) {
  int64_t positions = vectors * p.lanes;
  int64_t reach = p.taps - 1 + (flat ? (p.lineTaps - 1) * p.line : 0);
  StreamPlan plan;
  plan.vectors = vectors;
  plan.flat = flat;
  plan.pitch = llvm::divideCeil(positions + reach, p.lanes) * p.lanes;
  int64_t words = p.words / p.taps / (flat ? p.lineTaps : 1);
  auto staged = double(words * plan.pitch);
  // A quarter of L2: beyond, entries wait for more than its bandwidth.
  if (staged * kWordBytes > double(std::min(p.l2 / 4, kMostStageBytes)))
    return {};
  // The generator lets entries take turns where there are few sums.
  double latency = p.isInteger    ? 1
                   : vectors >= 4 ? kFloatLatency
                                  : kFloatLatency / double(4 / vectors);
  double entry = std::max(double(vectors) * p.cycles, latency);
  if (staged * kWordBytes > double(p.l1) * 0.75)
    entry = std::max(entry, double(positions * kWordBytes) / kL2BytesPerCycle);
  double finished =
      double(p.columns * positions) * (kTransposed + (flat ? kFinished : 0));
  double block = double(p.entries) * (entry + kEntry) +
                 double(p.columns) * kColumn + staged * kTransposed + finished;
  int64_t rows = flat ? (p.lines - 1) * p.line + p.rows : p.rows;
  int64_t outer = flat ? p.outer / p.lines : p.outer;
  plan.cycles = double(outer * llvm::divideCeil(rows, positions)) * block;
  return plan;
}

StreamPlan mlir::tamis::planStream(const StreamProblem &problem) {
  StreamPlan best;
  for (bool flat : {false, true}) {
    if (flat && problem.line == 0)
      continue;
    for (int64_t vectors = 1; vectors <= kMostVectors; ++vectors) {
      StreamPlan plan = price(problem, vectors, flat);
      if (plan.vectors != 0 && (best.vectors == 0 || plan.cycles < best.cycles))
        best = plan;
    }
  }
  return best;
}
