// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Prices of row streams in cycles of one core. The choice between dense and
// stream asks for a larger difference than their errors.
#include "StreamPrice.h"
#include "RowStream.h"
#include "tamis/Target/Target.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>

using namespace mlir;
using namespace mlir::tamis;

/// The stage lies on the stack of whoever runs the kernel.
static constexpr int64_t kMostStageBytes = 256 << 10;

static StreamPlan price(const StreamProblem &p, int64_t vectors, bool flat,
                        int64_t parts) {
  auto fact = [&](StringRef name) { return getFact(p.profile, name); };
  int64_t positions = vectors * p.lanes;
  int64_t reach = p.taps - 1 + (flat ? (p.lineTaps - 1) * p.line : 0);
  StreamPlan plan;
  plan.vectors = vectors;
  plan.flat = flat;
  plan.parts = parts;
  plan.pitch = llvm::divideCeil(positions + reach, p.lanes) * p.lanes;
  int64_t words = p.words / p.taps / (flat ? p.lineTaps : 1) / parts;
  auto staged = double(words * plan.pitch);
  // A quarter of L2: beyond, entries wait for more than its bandwidth.
  if (staged * kWordBytes > double(std::min(p.l2 / 4, kMostStageBytes)))
    return {};
  // Sums that wait while the next part is staged, block by block of columns.
  double waiting = parts == 1 ? 0 : double(p.columns * positions);
  int64_t stagings =
      parts == 1
          ? 1
          : llvm::divideCeil(p.columns,
                             getWaitingColumns(p.columns, p.lanes, positions));
  // The generator lets entries take turns where there are few sums.
  double latency = 1;
  if (!p.isInteger)
    latency =
        fact("row_stream.latency") / double(vectors >= 4 ? 1 : 4 / vectors);
  double entry = std::max(double(vectors * p.channels) * p.cycles, latency);
  // Those of several channels are copied before they are multiplied.
  if (p.channels > 1)
    entry += double(vectors) * fact("row_stream.gathered");
  // Every column walks the whole stage, so that L1 holds all of it or nothing.
  // Whole lines come from L2; words shorter than a line share one.
  constexpr int64_t lineBytes = 64;
  int64_t bytes = positions * kWordBytes;
  if (staged * kWordBytes > double(p.l1) * 0.75)
    entry = std::max(
        entry,
        double(bytes < lineBytes ? bytes : llvm::alignTo(bytes, lineBytes)) /
            fact("l2.bytes_per_cycle"));
  // A square of 16 lanes takes four shuffles for 16 words, one of 8 three
  // for 8.
  double transposed =
      fact("row_stream.transposed") * (p.lanes > 8 ? 2.0 / 3 : 1);
  double finished = double(p.columns * positions) *
                    (transposed + (flat ? fact("row_stream.finished") : 0));
  double lists = double(parts * llvm::divideCeil(p.columns, p.channels));
  double block =
      double(p.entries) * (entry + fact("row_stream.entry")) +
      lists * fact("row_stream.column") +
      double(stagings * parts) * staged * transposed + finished +
      // Written and read once more for each part.
      2 * double(parts) * waiting * kWordBytes / fact("l2.bytes_per_cycle");
  int64_t rows = flat ? (p.lines - 1) * p.line + p.rows : p.rows;
  int64_t outer = flat ? p.outer / p.lines : p.outer;
  plan.cycles = double(outer * llvm::divideCeil(rows, positions)) * block;
  return plan;
}

/// Into how many parts of whole squares of words the reduction may be cut.
static SmallVector<int64_t> getParts(const StreamProblem &p, bool flat) {
  SmallVector<int64_t> counts{1};
  if (p.canCut && !flat && p.channels == 1)
    for (int64_t parts : {2, 3, 4, 6, 8, 12, 16, 24, 32})
      if (p.words % (parts * p.lanes) == 0)
        counts.push_back(parts);
  return counts;
}

SmallVector<StreamPlan> mlir::tamis::planStreams(const StreamProblem &problem,
                                                 unsigned count) {
  SmallVector<StreamPlan> plans;
  for (bool flat : {false, true}) {
    if (flat && problem.line == 0)
      continue;
    for (int64_t vectors = 1; vectors <= problem.mostVectors; ++vectors)
      for (int64_t parts : getParts(problem, flat))
        if (StreamPlan plan = price(problem, vectors, flat, parts);
            plan.vectors != 0)
          plans.push_back(plan);
  }
  llvm::stable_sort(plans, [](const StreamPlan &a, const StreamPlan &b) {
    return a.cycles < b.cycles;
  });
  plans.truncate(std::min<size_t>(plans.size(), count));
  return plans;
}

double mlir::tamis::getStreamMargin(const StreamProblem &problem) {
  // An entry is its words and where the activations of it lie.
  bool isLarger = (problem.channels + 1) * problem.entries >
                  problem.words * problem.columns;
  return getFact(problem.profile,
                 isLarger ? "row_stream.larger_margin" : "row_stream.margin");
}

InstructionAttrInterface mlir::tamis::getStreamInstruction(TargetAttr target,
                                                           Type lhs, Type rhs,
                                                           Type accumulator,
                                                           bool lhsUnsigned,
                                                           bool rhsUnsigned) {
  for (InstructionAttrInterface instruction : getInstructions(target, false))
    if (!instruction.isTile() &&
        instruction.getReductionStep() * lhs.getIntOrFloatBitWidth() ==
            kWordBytes * 8 &&
        instruction.accepts(lhs, rhs, accumulator, lhsUnsigned, rhsUnsigned))
      return instruction;
  return {};
}
