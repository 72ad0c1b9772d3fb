// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Prices of row streams in cycles of one core. The choice between dense and
// stream asks for a larger difference than their errors.
#include "StreamPrice.h"
#include "RowStream.h"
#include "tamis/Target/Target.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace mlir::tamis;

/// Columns whose lists are sorted together: enough for runs of equal lengths,
/// few enough for several tasks.
static constexpr int64_t kSortedColumns = 64;

/// Longer lists cost little to leave.
static constexpr double kLongList = 64;

namespace {
/// One way to walk a stream, and what it costs.
struct Walk {
  const StreamProblem &p;
  int64_t vectors, parts;
  bool flat;
  int64_t positions, pitch;
  /// Staged words of all parts; lists, and entries of one.
  int64_t words;
  double lists, length;
  bool isSorted;

  Walk(const StreamProblem &p, int64_t vectors, bool flat, int64_t parts)
      : p(p), vectors(vectors), parts(parts), flat(flat),
        positions(vectors * p.lanes) {
    int64_t reach = p.taps - 1 + (flat ? (p.lineTaps - 1) * p.line : 0);
    pitch = llvm::alignTo(positions + reach, p.lanes);
    words = p.words / p.taps / (flat ? p.lineTaps : 1);
    lists = double(parts * llvm::divideCeil(p.columns, p.channels));
    length = double(p.entries) / lists;
    // The lengths of few lists come again with every block, until the processor
    // knows them; few rows are tasks of few columns.
    isSorted = p.channels == 1 && positions >= 16 && length < kLongList &&
               p.columns > kSortedColumns;
  }

  double fact(StringRef name) const { return getFact(p.profile, name); }

  /// Bytes of what one part stages.
  int64_t getStage() const { return words / parts * pitch * kWordBytes; }

  bool sumsWait() const { return parts > 1 || isSorted; }

  /// Products of one entry.
  double priceEntry() const {
    double entry = double(vectors * p.channels) * p.cycles;
    // Other taps read between the lines of L1.
    if (p.taps > 1)
      entry *= fact(p.isInteger ? "row_stream.unaligned_bytes"
                                : "row_stream.unaligned");
    entry += fact("row_stream.entry");
    // The generator lets entries take turns where there are few sums, and the
    // processor goes ahead to the next list where it foresees the end of one.
    if (!p.isInteger && !isSorted)
      entry = std::max(entry, fact("row_stream.latency") /
                                  double(vectors >= 4 ? 1 : 4 / vectors));
    // Words of several channels are copied before they are multiplied.
    if (p.channels > 1)
      entry += double(vectors) * fact("row_stream.gathered");
    // Whole lines come from L2, the first a cycle later; words shorter than a
    // line share one. Other arrays pass through L1 beside the stage.
    constexpr int64_t lineBytes = 64;
    int64_t bytes = positions * kWordBytes;
    double fromL2 =
        1 +
        double(bytes < lineBytes ? bytes : llvm::alignTo(bytes, lineBytes)) /
            fact("l2.bytes_per_cycle");
    double stage = double(getStage()) / double(p.l1);
    double lost = fact("row_stream.lost");
    double missing =
        stage < 1 ? lost * stage : 1 - (1 - lost) / std::sqrt(stage);
    // Products hide most of that, not all.
    return entry + missing * std::max(fromL2 - entry, 0.3 * fromL2);
  }

  /// Going from one list to the next.
  double priceList() const {
    double sums = sumsWait() ? double(positions * kWordBytes) : 0;
    return fact(isSorted ? "row_stream.sorted" : "row_stream.column") +
           sums / fact("l2.bytes_per_cycle");
  }

  /// How often a word is staged.
  int64_t countStagings() const {
    return stagesAllParts(words, pitch, parts)
               ? 1
               : llvm::divideCeil(
                     p.columns,
                     getWaitingColumns(p.columns,
                                       isSorted ? kSortedColumns : p.lanes,
                                       positions, /*stagesAll=*/false));
  }

  /// A block of positions.
  double priceBlock() const {
    // A square of 16 lanes takes four shuffles for 16 words, one of 8 three
    // for 8.
    double transposed =
        fact("row_stream.transposed") * (p.lanes > 8 ? 2.0 / 3 : 1);
    double finished = double(p.columns * positions) *
                      (transposed + (flat ? fact("row_stream.finished") : 0));
    return double(p.entries) * priceEntry() + lists * priceList() +
           double(countStagings() * words * pitch) * transposed + finished;
  }

  double price() const {
    int64_t rows = flat ? (p.lines - 1) * p.line + p.rows : p.rows;
    int64_t outer = flat ? p.outer / p.lines : p.outer;
    return double(outer * llvm::divideCeil(rows, positions)) * priceBlock();
  }
};
} // namespace

static StreamPlan price(const StreamProblem &p, int64_t vectors, bool flat,
                        int64_t parts) {
  Walk walk(p, vectors, flat, parts);
  // A quarter of L2: beyond, entries wait for more than its bandwidth.
  if (walk.getStage() > std::min(p.l2 / 4, kMostStageBytes))
    return {};
  return {
      vectors,     flat, walk.pitch, parts, walk.isSorted ? kSortedColumns : 1,
      walk.price()};
}

/// Into how many parts of whole squares of words the reduction may be cut.
static SmallVector<int64_t> getParts(const StreamProblem &p) {
  SmallVector<int64_t> counts{1};
  if (p.channels == 1)
    for (int64_t parts : {2, 3, 4, 6, 8, 12, 16, 24, 32})
      if (p.run > 0 && p.run % (parts * p.lanes) == 0)
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
      for (int64_t parts : getParts(problem))
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

double mlir::tamis::getStreamMargin(const StreamProblem &problem,
                                    double dense) {
  // An entry is its words and where the activations of it lie.
  int64_t more = (problem.channels + 1) * problem.entries -
                 problem.words * problem.columns;
  auto fact = [&](StringRef name) { return getFact(problem.profile, name); };
  if (more <= 0)
    return fact("row_stream.margin");
  if (!problem.isInteger)
    return fact("row_stream.larger_margin");
  double reading = double(more * kWordBytes) / fact("dram.bytes_per_cycle");
  return fact("row_stream.margin") - reading / dense;
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
