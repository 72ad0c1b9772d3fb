// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Blocks (single elements among them) and N:M. Blocks at the lower and right
// edge are smaller where the matrix does not divide; they count with the mean
// of what they hold. The last group of an N:M row may be shorter and still
// keeps at most N.
#include "PrunePatterns.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

using namespace mlir::tamis;

namespace {

/// Blocks of `height` output channels times `width` consecutive elements of K.
class BlockPattern : public PrunePattern {
public:
  BlockPattern(int64_t height, int64_t width) : height(height), width(width) {}

  std::string getName() const override {
    return height == 1 && width == 1
               ? "unstructured"
               : std::to_string(height) + "x" + std::to_string(width);
  }
  int64_t getRowStep() const override { return height; }
  int64_t getColumnStep() const override { return width; }

  void select(llvm::ArrayRef<ScoredPiece> pieces,
              const PruneTarget &target) const override {
    std::vector<float> means;
    std::vector<uint32_t> sizes;
    int64_t total = 0;
    forEachBlock(pieces, [&](const ScoredPiece &piece, int64_t row,
                             int64_t column, int64_t rows, int64_t columns) {
      double sum = 0;
      for (int64_t i = row; i < row + rows; ++i)
        for (int64_t j = column; j < column + columns; ++j)
          sum += piece.scores[i * piece.stride + j];
      means.push_back(static_cast<float>(sum / double(rows * columns)));
      sizes.push_back(rows * columns);
      total += rows * columns;
    });
    std::vector<uint8_t> dropped =
        target.threshold ? selectBelow(means, *target.threshold)
                         : selectLeast(means, sizes, target.sparsity * total);
    size_t next = 0;
    forEachBlock(pieces, [&](const ScoredPiece &piece, int64_t row,
                             int64_t column, int64_t rows, int64_t columns) {
      if (!dropped[next++])
        return;
      for (int64_t i = row; i < row + rows; ++i)
        std::fill_n(piece.drop + i * piece.stride + column, columns, 1);
    });
  }

private:
  template <typename Visit>
  void forEachBlock(llvm::ArrayRef<ScoredPiece> pieces, Visit visit) const {
    for (const ScoredPiece &piece : pieces)
      for (int64_t i = 0; i < piece.rows; i += height)
        for (int64_t j = 0; j < piece.columns; j += width)
          visit(piece, i, j, std::min(height, piece.rows - i),
                std::min(width, piece.columns - j));
  }

  static std::vector<uint8_t> selectBelow(const std::vector<float> &means,
                                          double threshold) {
    std::vector<uint8_t> dropped;
    for (float mean : means)
      dropped.push_back(mean <= threshold);
    return dropped;
  }

  /// The blocks of least mean whose elements come nearest to `budget`.
  static std::vector<uint8_t> selectLeast(const std::vector<float> &means,
                                          const std::vector<uint32_t> &sizes,
                                          double budget) {
    std::vector<uint32_t> order(means.size());
    std::iota(order.begin(), order.end(), 0);
    auto isLess = [&](uint32_t a, uint32_t b) {
      return means[a] != means[b] ? means[a] < means[b] : a < b;
    };
    // Only what is dropped has to be in order, and of one size not even that.
    size_t enough = order.size();
    if (!sizes.empty() && llvm::all_equal(sizes)) {
      enough = std::min<size_t>(std::llround(budget / sizes[0]), enough);
      std::nth_element(order.begin(), order.begin() + enough, order.end(),
                       isLess);
    } else {
      llvm::sort(order, isLess);
    }
    std::vector<uint8_t> dropped(means.size());
    double count = 0;
    for (uint32_t block : llvm::ArrayRef(order).take_front(enough)) {
      if (count + 0.5 * sizes[block] > budget)
        break;
      dropped[block] = 1;
      count += sizes[block];
    }
    return dropped;
  }

  int64_t height, width;
};

/// At most `kept` of each `length` consecutive elements of K are not zero.
class GroupPattern : public PrunePattern {
public:
  GroupPattern(int64_t kept, int64_t length) : kept(kept), length(length) {}

  std::string getName() const override {
    return std::to_string(kept) + ":" + std::to_string(length);
  }
  std::optional<double> getOwnSparsity() const override {
    return 1 - double(kept) / double(length);
  }
  int64_t getColumnStep() const override { return length; }

  void select(llvm::ArrayRef<ScoredPiece> pieces,
              const PruneTarget &) const override {
    std::vector<int64_t> order;
    for (const ScoredPiece &piece : pieces)
      for (int64_t i = 0; i < piece.rows; ++i)
        for (int64_t j = 0; j < piece.columns; j += length) {
          const float *scores = piece.scores + i * piece.stride + j;
          uint8_t *drop = piece.drop + i * piece.stride + j;
          order.resize(std::min(length, piece.columns - j));
          std::iota(order.begin(), order.end(), 0);
          std::stable_sort(
              order.begin(), order.end(),
              [&](int64_t a, int64_t b) { return scores[a] < scores[b]; });
          for (int64_t at = 0; at + kept < int64_t(order.size()); ++at)
            drop[order[at]] = 1;
        }
  }

private:
  int64_t kept, length;
};

} // namespace

/// Reads "A`separator`B"; both at least 1.
static bool parsePair(llvm::StringRef text, char separator, int64_t &a,
                      int64_t &b) {
  auto [left, right] = text.split(separator);
  return !left.getAsInteger(10, a) && !right.getAsInteger(10, b) && a >= 1 &&
         b >= 1 && a <= (1 << 20) && b <= (1 << 20);
}

std::unique_ptr<PrunePattern> mlir::tamis::parsePattern(llvm::StringRef text) {
  int64_t a, b;
  if (text == "unstructured")
    return std::make_unique<BlockPattern>(1, 1);
  if (parsePair(text, 'x', a, b))
    return std::make_unique<BlockPattern>(a, b);
  if (parsePair(text, ':', a, b) && a < b)
    return std::make_unique<GroupPattern>(a, b);
  return nullptr;
}
