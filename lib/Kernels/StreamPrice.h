// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The cost model of row streams.
#ifndef TAMIS_LIB_KERNELS_STREAMPRICE_H
#define TAMIS_LIB_KERNELS_STREAMPRICE_H

#include "tamis/Target/Profile.h"

namespace mlir::tamis {

/// What the price of a stream depends on.
struct StreamProblem {
  /// Rows of the innermost loop and iterations of all others.
  int64_t rows = 1, outer = 1;
  /// Words of the whole reduction, entries that are left of them in all
  /// columns.
  int64_t words = 0, columns = 0, entries = 0;
  /// Taps that read what the next rows read as well, across a window and from
  /// line to line; positions of a line, 0 where lines cannot be one loop, and
  /// how many there are.
  int64_t taps = 1, lineTaps = 1, line = 0, lines = 1;
  /// Of the instruction: lanes, cycles of one vector of products.
  int64_t lanes = 1;
  double cycles = 0.5;
  /// Columns of an entry, and vectors of positions that leave room for the sums
  /// of all of them.
  int64_t channels = 1, mostVectors = 8;
  /// Words of the innermost reduction if it can be cut into parts, else 0.
  int64_t run = 0;
  /// Where the other cycles come from.
  ProfileAttr profile;
  bool isInteger = false;
  /// Bytes of the caches of the target.
  int64_t l1 = 0, l2 = 0;
};

/// How a stream is walked: vectors of positions in a block (0 if its stage
/// would not fit), whether lines are one loop, words from one staged word to
/// the next, parts of the reduction that are walked one by one, columns whose
/// lists are sorted by their lengths, and the price in cycles.
struct StreamPlan {
  int64_t vectors = 0;
  bool flat = false;
  int64_t pitch = 0;
  int64_t parts = 1, sorted = 1;
  double cycles = 0;
};

/// The `count` cheapest plans, the cheapest first; none where no stage fits.
SmallVector<StreamPlan> planStreams(const StreamProblem &problem,
                                    unsigned count);

/// What a stream has to promise of `dense`, the cycles of dense panels: less
/// where it has more bytes than these.
double getStreamMargin(const StreamProblem &problem, double dense);

/// The instruction that multiplies words, 32 bits of the reduction a lane; null
/// where the target has none for these types.
InstructionAttrInterface getStreamInstruction(TargetAttr target, Type lhs,
                                              Type rhs, Type accumulator,
                                              bool lhsUnsigned,
                                              bool rhsUnsigned);

} // namespace mlir::tamis

#endif // TAMIS_LIB_KERNELS_STREAMPRICE_H
