// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Register blocks by enumeration: there are fewer than a hundred, and the cost
// of each (multiplications, loads, tails) is a line of arithmetic.
#include "tamis/Kernels/Tiling.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace mlir;
using namespace mlir::tamis;

/// Extents assumed of a dimension only run time knows: a block must be good
/// for all of them.
static constexpr int64_t kTypicalExtents[] = {128, 77, 50};

/// Products of vectors that a core begins in a cycle, and bytes that reach it
/// from behind L2.
static constexpr double kProductsPerCycle = 2, kFarBytesPerCycle = 8;

/// Cycles of one reduction step of a block: one multiplication a cycle, loads
/// beside them, and at least the latency of a chain of dependent additions.
static double stepCost(const TilingProblem &problem, int64_t rows,
                       int64_t vectors) {
  double products = double(rows * vectors);
  // Measured: what else a vector of nibbles and its factors cost, and a row.
  if (problem.narrow)
    return products + 0.9 * double(vectors) + 0.3 * double(rows);
  // Of an open sum, the right operand is not known to fit into L1.
  double loads = problem.depthwise ? double(rows * vectors) + double(vectors)
                 : problem.openReduction ? double(rows) + 2 * double(vectors)
                                         : double(rows) + double(vectors);
  // Positions of many channels lie a multiple of a cache line apart: the same
  // half of each is the same bank of L1, which answers one load a cycle.
  constexpr int64_t kLineBytes = 64;
  if (problem.byPositions &&
      vectors * problem.lanes * problem.weightBytes < kLineBytes)
    loads *= 2;
  return std::max({products, loads, 4.0}) + 0.1 * loads;
}

Tiling Tiling::get(ArrayRef<int64_t> tile) {
  Tiling tiling{tile[0], tile[1], tile[2]};
  tiling.depth = tile.size() > 3 ? tile[3] : 0;
  tiling.strip = tile.size() > 4 ? tile[4] : 0;
  return tiling;
}

SmallVector<int64_t> Tiling::getTile() const {
  SmallVector<int64_t> tile{rows, vectors, positions, depth, strip};
  while (tile.size() > 3 && tile.back() == 0)
    tile.pop_back();
  return tile;
}

int64_t mlir::tamis::countFarPanels(int64_t weightBytes, int64_t l1,
                                    int64_t panels, int64_t vectors,
                                    int64_t maxAccumulators) {
  constexpr int64_t kMostPanels = 4;
  if (weightBytes <= l1)
    return 1;
  return std::max<int64_t>(
      1, std::min({panels, maxAccumulators / vectors, kMostPanels}));
}

namespace {
/// How rows and sums are cut, the bytes that have to come from behind L2 then,
/// and the vectors that wait in the result on the way.
struct CacheBlock {
  int64_t positions;
  double traffic;
  int64_t depth = 0;
  double waiting = 0;

  double getCost() const { return traffic / kFarBytesPerCycle + waiting; }
};
} // namespace

/// Pieces of the sum, so that all rows of a block stay in half of L2 however
/// long the sum is.
static CacheBlock chooseCut(const TilingProblem &problem, int64_t rows,
                            double lhs, double weights, double count,
                            bool isOpen) {
  /// Shorter pieces spend their time on the sums that wait; more rows gain no
  /// more.
  constexpr int64_t kShortest = 384, kMostPositions = 512, kUnit = 8;
  CacheBlock best{0, std::numeric_limits<double>::infinity()};
  int64_t bytes =
      std::max<int64_t>(1, problem.bytesPerPosition / problem.steps);
  int64_t columns = ShapedType::isDynamic(problem.columns) ? kTypicalExtents[0]
                                                           : problem.columns;
  for (int64_t most = 32; most <= kMostPositions; most *= 2) {
    int64_t positions =
        std::min<int64_t>(most, int64_t(llvm::alignTo(int64_t(count), rows)));
    positions = std::max(rows, positions / rows * rows);
    int64_t depth = problem.l2 / 2 / (positions * bytes);
    int64_t pieces =
        llvm::divideCeil(problem.steps, std::max<int64_t>(1, depth));
    // About equal pieces of whole unrolled steps.
    depth =
        int64_t(llvm::alignTo(llvm::divideCeil(problem.steps, pieces), kUnit));
    if (depth < kShortest || depth >= problem.steps)
      continue;
    double passes = std::ceil(count / double(positions));
    double sums = 2.0 * double(llvm::divideCeil(problem.steps, depth) - 1) *
                  count * double(columns);
    CacheBlock block{isOpen || count > double(positions) ? positions : 0,
                     lhs + weights * passes + sums * double(bytes), depth,
                     sums / double(problem.lanes)};
    if (block.getCost() < best.getCost())
      best = block;
  }
  return best;
}

/// Positions of a line of a depthwise window, so that all lines of the window
/// stay in L1 with all channels; 0 where no stripe is narrow enough.
static CacheBlock chooseStripe(const TilingProblem &problem, int64_t rows) {
  // The stack, weights and results need the rest.
  double room = 0.6 * double(problem.l1);
  double lines = double(problem.windowLines * problem.bytesPerPosition);
  int64_t extent = ShapedType::isDynamic(problem.rowExtent) ? kTypicalExtents[0]
                                                            : problem.rowExtent;
  auto stripes = int64_t(std::ceil(lines / room));
  int64_t positions = int64_t(llvm::alignTo(
      llvm::divideCeil(extent, std::max<int64_t>(1, stripes)), rows));
  bool fits = lines * double(positions) <= 1.5 * room * double(extent);
  return {fits && positions < extent ? positions : 0, 0};
}

/// Either the rows of a block stay in a third of L2 while all panels pass, or a
/// panel stays in half of it while all rows pass, or the sum is cut.
static CacheBlock chooseCacheBlock(const TilingProblem &problem, int64_t rows,
                                   int64_t vectors) {
  bool single = problem.outerExtent == 1;
  if (problem.depthwise && !single)
    return chooseStripe(problem, rows);
  int64_t extent = single ? problem.rowExtent : problem.outerExtent;
  int64_t fits = std::max<int64_t>(
      1, problem.l2 / 3 / std::max<int64_t>(1, problem.bytesPerPosition));
  if (single)
    fits = std::max(rows, fits / rows * rows);
  bool isOpen = ShapedType::isDynamic(extent);
  double count = isOpen ? kTypicalExtents[0] : extent;
  double lhs = count * problem.bytesPerPosition;
  double panel = problem.openReduction ? 0.0
                                       : double(problem.steps * problem.lanes *
                                                vectors * problem.weightBytes);
  int64_t columns = ShapedType::isDynamic(problem.columns) ? kTypicalExtents[0]
                                                           : problem.columns;
  double panels = double(llvm::divideCeil(columns, problem.lanes * vectors));
  double passes = std::ceil(count / double(fits));
  CacheBlock byRows{isOpen || extent > fits ? fits : 0,
                    lhs + panel * panels * passes};
  if (!single || problem.openReduction)
    return byRows;
  CacheBlock best = byRows;
  CacheBlock byPanels{0, lhs * panels + panel * panels};
  if (panel <= double(problem.l2) / 2 && byPanels.traffic < byRows.traffic)
    best = byPanels;
  if (!problem.canCut)
    return best;
  CacheBlock cut = chooseCut(problem, rows, lhs, panel * panels, count, isOpen);
  return cut.getCost() < best.getCost() ? cut : best;
}

/// Cost of one reduction step of all rows of one panel.
static double rowsCost(const TilingProblem &problem, int64_t rows,
                       int64_t vectors) {
  auto step = [&](int64_t r) { return stepCost(problem, r, vectors); };
  if (!ShapedType::isDynamic(problem.rowExtent))
    return double(problem.rowExtent / rows) * step(rows) +
           (problem.rowExtent % rows ? step(problem.rowExtent % rows) : 0.0);
  // The generator finishes with blocks of four rows and of one.
  double cost = 0;
  for (int64_t extent : kTypicalExtents) {
    int64_t rest = extent % rows;
    cost += double(extent / rows) * step(rows);
    if (rows > 4)
      cost += double(rest / 4) * step(4), rest %= 4;
    cost += double(rest) * step(1);
  }
  return cost;
}

/// The same of all `wanted` vectors of columns.
static double panelsCost(const TilingProblem &problem, int64_t rows,
                         int64_t vectors, int64_t wanted) {
  int64_t panels = wanted / vectors, tail = wanted % vectors;
  double cost = tail ? rowsCost(problem, rows, tail) : 0;
  if (problem.rowExtent == 1 && problem.outerExtent == 1) {
    int64_t bytes =
        wanted * problem.steps * problem.lanes * problem.weightBytes;
    int64_t far = countFarPanels(bytes, problem.l1, panels, vectors,
                                 problem.maxAccumulators);
    cost += double(panels / far) * stepCost(problem, 1, far * vectors);
    panels %= far;
  }
  return cost + double(panels) * rowsCost(problem, rows, vectors);
}

SmallVector<RatedTiling> mlir::tamis::rateTilings(const TilingProblem &problem,
                                                  unsigned count) {
  bool isDynamic = ShapedType::isDynamic(problem.rowExtent);
  int64_t rowExtent = isDynamic ? kTypicalExtents[0] : problem.rowExtent;
  int64_t columns = ShapedType::isDynamic(problem.columns) ? kTypicalExtents[0]
                                                           : problem.columns;
  int64_t vectorsWanted = llvm::divideCeil(columns, problem.lanes);
  int64_t maxVectors = problem.depthwise || problem.totals ? 4
                       : rowExtent < 4                     ? 8
                                                           : 6;
  SmallVector<RatedTiling> all;
  for (int64_t vectors = 1; vectors <= std::min(maxVectors, vectorsWanted);
       ++vectors) {
    int64_t budget = problem.maxAccumulators;
    // A block needs its weights and one broadcast beside the accumulators; one
    // that adds up in narrow sums a product and the mask of nibbles, too.
    int64_t registers = budget > 16 ? 32 : 16;
    // Weights of all taps of a line wait in registers.
    if (problem.byPositions && registers == 16 && vectors > 2)
      break;
    int64_t weights = problem.widened || problem.narrow ? 2 * vectors : vectors;
    budget = std::min(budget, registers - weights - (problem.narrow ? 3 : 1));
    int64_t maxRows = budget / (vectors + (problem.rowSums ? 1 : 0));
    if (problem.depthwise)
      maxRows = std::min<int64_t>(maxRows, budget > 16 ? 8 : 4);
    for (int64_t rows = 1; rows <= std::min(maxRows, rowExtent); ++rows) {
      if (problem.openReduction && rows > 1 &&
          (rows + 1) * (vectors + 1) > registers)
        break;
      double cost = panelsCost(problem, rows, vectors, vectorsWanted);
      CacheBlock block = chooseCacheBlock(problem, rows, vectors);
      if (!problem.openReduction)
        cost =
            cost * double(problem.steps) / kProductsPerCycle + block.getCost();
      // Sums in another order are no other cost.
      cost = std::round(cost * 1e6) / 1e6;
      all.push_back({{rows, vectors, block.positions, block.depth}, cost});
    }
  }
  // Fewer than a hundred; of equal ones the first.
  llvm::stable_sort(all, [](const RatedTiling &a, const RatedTiling &b) {
    return a.cost < b.cost;
  });
  all.truncate(std::min<size_t>(all.size(), count));
  return all;
}

Tiling mlir::tamis::chooseTileTiling(const TilingProblem &problem) {
  int64_t columns = ShapedType::isDynamic(problem.columns) ? kTypicalExtents[0]
                                                           : problem.columns;
  // Rows of a tile: what leaves the fewest rows to the remainder, then the
  // most.
  int64_t tileRows = 16;
  if (!ShapedType::isDynamic(problem.rowExtent)) {
    int64_t extent = problem.rowExtent;
    auto cost = [&](int64_t r) {
      // A row of the remainder costs about as much as a whole tile.
      return extent / r + 2 * (extent % r);
    };
    for (int64_t r = 15; r >= 8; --r)
      if (r <= extent && (tileRows > extent || cost(r) < cost(tileRows)))
        tileRows = r;
    tileRows = std::min(tileRows, extent);
  }
  bool two = ShapedType::isDynamic(problem.rowExtent) ||
             problem.rowExtent >= 2 * tileRows;
  // Two tiles one above the other are told from one by more than 16 rows.
  two &= 2 * tileRows > 16;
  int64_t rows = two ? 2 * tileRows : tileRows;
  int64_t vectorBytes = problem.steps * problem.lanes * problem.weightBytes;
  bool pair =
      columns > 16 && (!problem.unpacked || 2 * vectorBytes <= kMostUnpacked);
  Tiling tiling{rows, pair ? 2 : 1};
  tiling.positions = chooseCacheBlock(problem, rows, tiling.vectors).positions;
  return tiling;
}
