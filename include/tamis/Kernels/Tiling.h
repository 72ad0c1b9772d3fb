// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The cost model of register and cache blocks: plain numbers in and out.
#ifndef TAMIS_KERNELS_TILING_H
#define TAMIS_KERNELS_TILING_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <cstdint>

namespace mlir::tamis {

/// What the choice of a block depends on. Extents are kDynamic where only run
/// time knows them.
struct TilingProblem {
  /// Positions of the row dimension the register block walks.
  int64_t rowExtent = 1;
  /// Positions of the dimension around it (1: none).
  int64_t outerExtent = 1;
  int64_t columns = 1;
  /// Reduction steps (of the instruction) of one output element.
  int64_t steps = 1;
  int64_t lanes = 16;
  int64_t maxAccumulators = 28;
  /// Bytes of one lane's weights in one step.
  int64_t weightBytes = 4;
  /// Bytes of lhs that one position of the cache-blocked dimension reads.
  int64_t bytesPerPosition = 1;
  /// Row sums are accumulated too.
  bool rowSums = false;
  bool depthwise = false;
  /// Windows are multiplied position by position (Reduction.h).
  bool byPositions = false;
  /// Lines of lhs that the window of a depthwise product covers.
  int64_t windowLines = 1;
  /// Each accumulator has a total beside it.
  bool totals = false;
  /// Weights take another register while they are widened.
  bool widened = false;
  /// Products of nibbles, two vectors of which share one of bytes, are added up
  /// in narrow sums.
  bool narrow = false;
  /// Panels are unpacked for tiles.
  bool unpacked = false;
  /// Only run time knows how far rows are apart: every row then has a pointer
  /// of its own, and LLVM's scheduler loads all broadcasts before the products.
  bool openReduction = false;
  /// Sums may wait in the result, so that they can be cut.
  bool canCut = false;
  int64_t l1 = 32 << 10;
  int64_t l2 = 1 << 20;
};

/// How many of `panels` of so many vectors a block of a single row reads side
/// by side if all weights take `weightBytes`: one where L1 holds them.
int64_t countFarPanels(int64_t weightBytes, int64_t l1, int64_t panels,
                       int64_t vectors, int64_t maxAccumulators);

/// What a panel of unpacked weights may take of the stack, in bytes.
inline constexpr int64_t kMostUnpacked = 512 << 10;

/// Register blocks of at most so many products of floats take partial sums, or
/// each would wait for the one before it.
inline constexpr int64_t kFewProducts = 3;

/// What `tile` of a tamis_kernel.contract says: register block (rows x
/// vectors), positions of a cache block (of a depthwise window: of a stripe of
/// its lines), elements of a piece of the sum, rows of a strip. The last three
/// are 0 where there is one of all.
struct Tiling {
  int64_t rows = 1;
  int64_t vectors = 1;
  int64_t positions = 0;
  int64_t depth = 0;
  int64_t strip = 0;

  /// Reads the attribute, and writes it: depth and strip only where set.
  static Tiling get(llvm::ArrayRef<int64_t> tile);
  llvm::SmallVector<int64_t> getTile() const;
};

/// A block and what it costs in units that only blocks of one problem share.
struct RatedTiling {
  Tiling tiling;
  double cost;
};

/// The `count` cheapest blocks by instruction count, tails included, at least
/// one, the cheapest first.
llvm::SmallVector<RatedTiling> rateTilings(const TilingProblem &problem,
                                           unsigned count);

/// The block of an instruction that multiplies 16 x 16 tiles.
Tiling chooseTileTiling(const TilingProblem &problem);

} // namespace mlir::tamis

#endif // TAMIS_KERNELS_TILING_H
