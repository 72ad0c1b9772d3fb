// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// In which ways fragments could compute a contraction, what each is expected to
// take, and which one is used.
#ifndef TAMIS_LIB_GPU_FRAGMENTOPTIONS_H
#define TAMIS_LIB_GPU_FRAGMENTOPTIONS_H

#include "ListedWords.h"
#include "tamis/Gpu/FragmentPrice.h"
#include "tamis/Kernels/Candidates.h"

namespace mlir::tamis::device {

/// The part of a contraction that tiles are chosen for. Open extents are
/// kDynamic.
struct TileProblem {
  int64_t groups, rows, columns;
  /// Words of a tile along the reduction.
  int64_t words;
  /// Rows of a warp at most.
  int64_t mostWarpRows;
};

/// Tiles as large as registers and workgroup memory of `target`'s device allow,
/// smaller where the result is, and where large ones would leave most of the
/// device idle.
TilesAttr chooseTiles(TargetAttr target, FragmentShape shape,
                      const TileProblem &problem);

/// One way to compute a contraction.
struct FragmentOption {
  FragmentAttrInterface instruction;
  TilesAttr tiles;
  /// Of few rows where rows are open; null elsewhere.
  TilesAttr few;
  /// Of integers beside floats; null elsewhere.
  CodesAttr codes;
  std::optional<ListedWords> listed;
  /// Of constant weights: words that dense ones have.
  double denseWords = 0;
  /// Bytes of weights as they are stored.
  double weightBytes = 0;

  /// As reports and tests name it.
  std::string getName() const;
  /// Microseconds of `problem`, whose bytes are those beside the weights.
  std::optional<double> price(ProfileAttr profile, TilesAttr tiles,
                              FragmentProblem problem) const;
};

/// Whether the workgroup memory of `target`'s device holds listed words of
/// `option`.
bool fits(TargetAttr target, const FragmentOption &option);

/// Lets several workgroups divide the reduction of `option` where that promises
/// a gain: at most `most` of them.
void chooseSplits(FragmentOption &option, ProfileAttr profile,
                  FragmentProblem problem, int64_t most);

/// Whether listed words, if all of them were zero, would be worth counting
/// beside `dense`, with at most `mostSplits` parts of the reduction.
bool couldGain(FragmentOption dense, ProfileAttr profile,
               const FragmentProblem &problem, int64_t mostSplits);

/// Which one of `options` is used: the first, unless listed words promise a
/// gain. `choice` is what the report says, without candidates where the profile
/// does not know the device.
size_t choose(ArrayRef<FragmentOption> options, ProfileAttr profile,
              const FragmentProblem &problem, KernelChoice &choice);

} // namespace mlir::tamis::device

#endif // TAMIS_LIB_GPU_FRAGMENTOPTIONS_H
