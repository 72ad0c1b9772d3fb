// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The reduction of one register block, shared by the files that feed it:
// Feeders.cpp loads operands and walks the reduction, StageRows.cpp widens
// rows once for all columns, DepthwiseWindow.cpp does depthwise windows,
// BlockTotals.cpp sums of blocks, ExpandWeights.cpp puts weights that were left
// out back to their place, EncodedWeights.cpp reads those of fixed stride.
#ifndef TAMIS_LIB_KERNELS_REDUCTION_H
#define TAMIS_LIB_KERNELS_REDUCTION_H

#include "Emitter.h"

namespace mlir::tamis::kernel {

/// The reduction of one register block.
struct Reduction {
  Emitter &e;
  IndexBuilder &b;
  const Columns &columns;
  int64_t rows;
  /// What rows are read from, lhs or the stage, and the offset of each.
  Value source;
  SmallVector<OpFoldResult> rowOffsets;
  /// The innermost reduction, as it lies in `source`.
  Loop run;
  /// Weights of one, for row sums; null where there are none.
  Value ones;
  /// Sums that each output element is accumulated in, taking turns.
  int64_t ways;
  /// Narrow sums beside the accumulators; empty where there are none.
  SmallVector<Value> narrow;
  /// Of a bitmask: the element where the next stored unit begins.
  Value unit;
  /// Of a codebook: its table.
  Value table;
  /// Channel vectors already loaded at a place of the current straight line.
  DenseMap<std::pair<Value, int64_t>, Value> loaded;

  /// An element offset: what loops compute and what is known.
  struct Offset {
    OpFoldResult base;
    int64_t known = 0;
  };

  Reduction(Emitter &e, const Columns &columns, int64_t rows)
      : e(e), b(e.b), columns(columns), rows(rows), source(e.lhs.flat),
        run(e.reductions.back()), ways(chooseWays(e, rows, columns.vectors)) {
    for (int64_t r = 0; r < rows; ++r)
      rowOffsets.push_back(b.multiply(e.rows.back().lhs, b.constant(r)));
    if (e.rhsZero)
      ones = makeOnes(0, e.step);
  }

  /// A few accumulators would wait for each other's latency: several partial
  /// sums, unless the policy fixes the order.
  static int64_t chooseWays(Emitter &e, int64_t rows, int64_t vectors);

  Value index(Offset offset, OpFoldResult more = {});

  /// A weight vector of ones in elements [begin, end) of every step.
  Value makeOnes(int64_t begin, int64_t end);

  /// Expands, or loads if that is done, weight vector `j` of a step of a
  /// bitmask. Vectors have to be asked for in the order in which they lie.
  Value expandWeights(Offset rhs, int64_t j);

  /// What the instruction takes of weight vector `j` of a step of N:M.
  Value selectWeights(Offset rhs, int64_t j);

  /// The table of a codebook, and the weights of half of each code byte.
  Value loadTable();
  Value lookUp(Value codes, bool upper);

  /// Loads weight vector `j` of a step, or of two that share bytes.
  Value loadWeights(Offset rhs, int64_t j);

  void askForNextPanel(Offset rhs, int64_t j);

  /// The same as the register that is multiplied; of two steps that share
  /// bytes, the one in the upper halves if `upper`.
  Value readWeights(Offset rhs, int64_t j, bool upper);

  /// Steps from here on add their products up in a narrower type; widenSums
  /// adds these sums to the accumulators.
  void narrowSums();
  void widenSums(MutableArrayRef<Value> acc);

  /// Of bounded panels: products of the run, some steps added up in 16 bits,
  /// and of what the weights are more (BoundedSums.cpp).
  void reduceBounded(Offset lhs, Offset rhs, SmallVectorImpl<Value> &acc);
  void multiplyGroup(Offset lhs, Offset rhs, int64_t element, int64_t count,
                     MutableArrayRef<Value> acc);
  void addRests(Offset lhs, Offset rhs, SmallVectorImpl<Value> &acc);
  OpFoldResult findElement(OpFoldResult element);

  /// Of slot windows: products of the entries of a block's panels
  /// (SlotSums.cpp).
  void reduceSlots(Offset lhs, Offset rhs, SmallVectorImpl<Value> &acc);
  void multiplyEntry(Offset lhs, Value entry, int64_t j,
                     MutableArrayRef<Value> acc);

  /// One vector of channels of a depthwise row.
  Value loadChannels(Offset lhs, int64_t r, int64_t j);

  /// The channel vectors of `step` positions, element s of lane c at
  /// c * step + s. Positions that do not exist are null and become zero.
  Value interleave(ArrayRef<Value> positions);

  /// A packed weight vector whose steps begin `shift` elements later, the first
  /// ones taken from the end of the vector before it.
  Value shiftWeights(Value weights, Value before, int64_t shift);

  /// Widens the run of each row into the stage; returns where it begins there.
  Offset stageRows(Offset lhs);

  /// A row of a depthwise window by an instruction of several steps. Positions
  /// are interleaved once for all rows of the block whose windows fit into the
  /// same steps; the weights of the later ones are shifted.
  void multiplyWindow(Offset lhs, Offset rhs, MutableArrayRef<Value> acc);

  /// The same by an instruction of one step: each position is loaded once for
  /// all rows whose windows hold it, channel vectors in turns, which lie in
  /// different banks of L1. Fails where extents and strides are not known.
  LogicalResult multiplyPositions(Offset lhs, Offset rhs,
                                  MutableArrayRef<Value> acc);

  /// `count` elements of row `r` from run element `element` on, the rest of the
  /// step zero. `remaining` (if set) replaces count where only run time knows.
  Value loadStep(Offset lhs, int64_t r, int64_t element, int64_t count,
                 Value remaining);

  /// Adds the products of one reduction step to the accumulators.
  void multiplyStep(Offset lhs, Offset rhs, int64_t element, int64_t count,
                    MutableArrayRef<Value> acc, Value remaining = {},
                    Value stepOnes = {});

  /// Emits a loop that carries the accumulators.
  void carry(OpFoldResult lower, OpFoldResult upper, int64_t by,
             SmallVectorImpl<Value> &acc,
             function_ref<void(Value, SmallVectorImpl<Value> &)> body);

  Offset move(Offset offset, OpFoldResult stride, OpFoldResult by);

  /// The innermost reduction: whole steps, unrolled, and the partial one.
  void reduceRun(Offset lhs, Offset rhs, SmallVectorImpl<Value> &acc);

  /// A last step of which only run time knows how many elements exist.
  void reducePartial(Offset lhs, Offset rhs, Value rest,
                     SmallVectorImpl<Value> &acc);

  void reduceLevel(unsigned level, Offset lhs, Offset rhs,
                   SmallVectorImpl<Value> &acc);

  /// The sums of the reductions from `level` on, rows outer, vectors inner.
  SmallVector<Value> sumUp(unsigned level, Offset lhs, Offset rhs);
};

} // namespace mlir::tamis::kernel

#endif // TAMIS_LIB_KERNELS_REDUCTION_H
