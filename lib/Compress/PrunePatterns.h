// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Where zeros may stand. A pattern sees scores and drops the least of them in
// its own units; it knows nothing of how they were made. A new pattern is one
// class and one line of `parsePattern`.
#ifndef TAMIS_LIB_COMPRESS_PRUNEPATTERNS_H
#define TAMIS_LIB_COMPRESS_PRUNEPATTERNS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace mlir::tamis {

/// A part of a scored matrix. Scores are not negative; zero is the score of
/// weights that are zero already.
struct ScoredPiece {
  const float *scores;
  /// One byte an element; set to 1 where the element is dropped.
  uint8_t *drop;
  int64_t rows, columns;
  /// Elements from one row to the next, of both arrays.
  int64_t stride;
};

/// How much to drop: a share of the elements, or all units whose mean score is
/// not above a threshold.
struct PruneTarget {
  double sparsity = 0.5;
  std::optional<double> threshold;
};

class PrunePattern {
public:
  virtual ~PrunePattern() = default;
  virtual std::string getName() const = 0;
  /// The share of zeros the pattern itself fixes, if it does.
  virtual std::optional<double> getOwnSparsity() const { return std::nullopt; }
  /// Rows and columns that must not be torn apart when a matrix is worked on
  /// in parts.
  virtual int64_t getRowStep() const { return 1; }
  virtual int64_t getColumnStep() const { return 1; }
  /// Drops from all pieces by one common order: the least scores first, of
  /// equal ones the earlier.
  virtual void select(llvm::ArrayRef<ScoredPiece> pieces,
                      const PruneTarget &target) const = 0;
};

/// "unstructured", "RxC" or "N:M"; null for anything else. Patterns that remove
/// channels are no patterns of zeros.
std::unique_ptr<PrunePattern> parsePattern(llvm::StringRef text);

} // namespace mlir::tamis

#endif // TAMIS_LIB_COMPRESS_PRUNEPATTERNS_H
