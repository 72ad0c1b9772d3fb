// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a contraction could be instead: the candidates of a decision, what the
// profile says of each, and the note that the report prints.
#ifndef TAMIS_KERNELS_CANDIDATES_H
#define TAMIS_KERNELS_CANDIDATES_H

#include "tamis/Kernels/Passes.h"
#include "tamis/Target/Profile.h"

namespace mlir::tamis {

/// Candidates of this many times the least prediction are not in question.
inline constexpr double kInQuestion = 2;

/// One way to compute a contraction, in microseconds.
struct KernelCandidate {
  std::string name;
  double predicted = 0;
  std::optional<double> measured;
};

/// What times of a contraction are filed under: its bounds and element types in
/// clear, and a hash of these, the maps and the epilogue. Both forms of a
/// contraction have the same key; where it comes from, what its weights are and
/// what was decided are no part of it.
std::string getContractionKey(ContractOp op);
std::string getContractionKey(kernel::ContractOp op);

/// The name of a row stream with a share `entries` of all entries, which have
/// the words of so many channels and are multiplied in so many `parts`.
std::string getStreamName(int64_t positions, int64_t channels, bool overLines,
                          int64_t parts, double entries);

/// The name of a bitmask of units of so many elements with a share `units` of
/// them all.
std::string getBitmaskName(int64_t unit, double units);

/// The name of a list of blocks of so many columns and elements of a reduction
/// with a share `blocks` of them all.
std::string getBlockListName(int64_t columns, int64_t elements, double blocks);

/// The names of storages of fixed stride: so many of so many weights, and a
/// table of so many values.
std::string getNOfMName(int64_t kept, int64_t step);
std::string getCodebookName(int64_t values);

/// The name of bounded panels with this tile, so many steps in a sum and a
/// share `entries` of steps beside them.
std::string getBoundedName(ArrayRef<int64_t> tile, int64_t steps,
                           double entries);

/// The name of slot windows that have a slot for a share `slots` of all
/// weights.
std::string getSlotsName(double slots);

/// The name of products of transformed tiles of so many results squared, so
/// many lines of tiles at a time.
std::string getWinogradName(ArrayRef<int64_t> tile, int64_t output,
                            int64_t strip);

/// The name of dense panels, or of an operand as it lies, with this tile.
std::string getDenseName(ArrayRef<int64_t> tile);

/// A candidate that is expected to take `cycles`, with what was measured of it.
KernelCandidate makeCandidate(ProfileAttr profile, StringRef key,
                              std::string name, double cycles);

/// The fastest of `candidates` if all of them were measured; none otherwise.
std::optional<size_t> findFastest(ArrayRef<KernelCandidate> candidates);

/// What was weighed for one contraction.
struct KernelChoice {
  /// Empty where nothing is measured: on devices.
  std::string key;
  SmallVector<KernelCandidate> candidates;
  /// The name of the one that was taken, and why.
  std::string chosen, reason;
};

/// Writes the note, and reads it; none where there is none.
void recordChoice(Operation *op, const KernelChoice &choice);
std::optional<KernelChoice> getChoice(Operation *op);

} // namespace mlir::tamis

#endif // TAMIS_KERNELS_CANDIDATES_H
