// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the product of one warp is made of: words in the registers of 32 lanes.
#ifndef TAMIS_GPU_FRAGMENTS_H
#define TAMIS_GPU_FRAGMENTS_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"

namespace mlir::tamis::device {

/// Lanes that multiply a fragment together.
inline constexpr int64_t kLanes = 32;

/// Extents of one product of a warp: `channels` columns of the contraction
/// times `rows` of its rows over a reduction of `words` words of 32 bits, of
/// which `storedWords` of each channel are stored (half of them where weights
/// are 2:4). The rest are registers of one lane.
struct FragmentShape {
  int64_t channels, rows, words, storedWords;
  int64_t weightRegisters, rowRegisters, sumRegisters;
};

/// Where the word of a register lies in its fragment: the channel or row, and
/// the word along the reduction; of sums, the channel and the row. Both are of
/// type index.
struct FragmentPlace {
  Value first, second;
};

/// A place that follows the lane in a fixed way: (lane / 4 + first,
/// lane % 4 * step + second); `inner` counts the lane % 4 first instead, and no
/// lane moves the second.
struct LanePlace {
  int64_t first, step, second;
  bool inner = false;

  int64_t getFirst(int64_t lane) const {
    return (inner ? lane % 4 : lane / 4) + first;
  }
  int64_t getSecond(int64_t lane) const { return lane % 4 * step + second; }
  FragmentPlace build(OpBuilder &builder, Location loc, Value lane) const;
  /// Whether all lanes together have eight lines of four words, as one
  /// instruction loads them.
  bool isMatrix() const { return !inner && step == 1 && second % 4 == 0; }
};

/// Workgroup memory through which the lanes of an emulated product read each
/// other's registers: words from `base` on belong to this warp, whose `lane`
/// is the invocation's own.
struct Exchange {
  Value memory, base, lane;
};

/// The registers of one lane for one product. 8- and 16-bit elements are i32
/// words, the first element in the lowest bits; float32 words are f32.
struct FragmentOperands {
  ArrayRef<Value> weights, rows, sums;
  /// Of 2:4 weights: the word of this lane.
  Value metadata;
  bool weightsUnsigned = false, rowsUnsigned = false;
  /// Null memory where the instruction exchanges nothing.
  Exchange exchange;
};

} // namespace mlir::tamis::device

#endif // TAMIS_GPU_FRAGMENTS_H
