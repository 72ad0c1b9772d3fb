// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Bounded panels in the place of dense ones: where an instruction that adds
// products up in 16 bits is faster than the exact one, and few weights are too
// large for it.
#include "BoundedPanels.h"
#include "DensePrice.h"
#include "StorageOptions.h"
#include "tamis/Target/Target.h"
#include <cmath>

using namespace mlir;
using namespace mlir::tamis;

/// Blocks of at most two vectors: weights of all steps of a sum wait in
/// registers.
static constexpr int64_t kMostVectors = 2, kMostAccumulators = 8;

/// The bounded instruction for the types of `problem`; null if there is none.
static InstructionAttrInterface findInstruction(const StorageProblem &problem) {
  kernel::ContractOp op = problem.op;
  for (InstructionAttrInterface instruction :
       getInstructions(problem.target, /*allowBf16=*/false))
    if (instruction.getPairBound() == kWeightBound && !instruction.isTile() &&
        instruction.accepts(getElementTypeOrSelf(op.getLhs().getType()),
                            problem.view.element, op.getAccumulator(),
                            op.getLhsUnsigned(), op.getRhsUnsigned()))
      return instruction;
  return {};
}

static StringRef findObstacle(const StorageProblem &problem) {
  kernel::PackOp pack = problem.pack;
  if (StringRef obstacle = findPanelObstacle(problem); !obstacle.empty())
    return obstacle;
  auto packed = cast<ShapedType>(pack.getPacked().getType());
  if (!problem.view.element.isInteger(8) ||
      !packed.getElementType().isInteger(8))
    return " of these types";
  return "";
}

/// The entries of panels of `problem` for each number of steps; nullopt where
/// `isTooMany(steps, entries)`.
static SmallVector<std::optional<int64_t>>
countEntries(const StorageProblem &problem, const PanelShape &panels,
             ArrayRef<int64_t> steps,
             function_ref<bool(int64_t, int64_t)> isTooMany) {
  kernel::PackOp pack = problem.pack;
  const SourceView &view = problem.view;
  ArrayRef<int64_t> reductions = pack.getReductions();
  SmallVector<int64_t> outer =
      view.getOffsets(reductions.drop_back(panels.runDims));
  SmallVector<int64_t> run =
      view.getOffsets(reductions.take_back(panels.runDims));
  auto column = static_cast<int64_t>(pack.getColumn());
  int64_t columns = view.shape[column], stride = view.strides[column];
  // Also of unsigned bytes: what is packed wraps around.
  auto offset = static_cast<char>(pack.getOffset());
  SmallVector<std::optional<int64_t>> counts(steps.size(), 0);
  std::vector<char> rows, bounded;
  for (int64_t first = 0; first < columns; first += panels.width)
    for (int64_t from : outer) {
      int64_t rowBytes = panels.step * panels.width;
      rows.assign(panels.run * rowBytes, 0);
      int64_t width = std::min(panels.width, columns - first);
      for (auto [k, element] : llvm::enumerate(run)) {
        char *to = &rows[int64_t(k) / panels.step * rowBytes +
                         int64_t(k) % panels.step];
        const char *source = &view.bytes[from + element + first * stride];
        for (int64_t c = 0; c < width; ++c)
          to[panels.step * c] = static_cast<char>(source[c * stride] - offset);
      }
      bool any = false;
      for (auto [count, sum] : llvm::zip_equal(counts, steps)) {
        if (!count)
          continue;
        bounded = rows;
        BoundedEntries entries;
        boundRun(bounded, {panels.width, panels.runElements, sum}, /*place=*/0,
                 entries);
        *count += static_cast<int64_t>(entries.places.size());
        if (isTooMany(sum, *count))
          count.reset();
        any |= count.has_value();
      }
      if (!any)
        return counts;
    }
  return counts;
}

static void apply(IRRewriter &rewriter, const StorageProblem &problem,
                  const PanelShape &panels, const Tiling &tile,
                  InstructionAttrInterface instruction, BoundedAttr storage) {
  kernel::ContractOp op = problem.op;
  rewriter.setInsertionPoint(op);
  bool withSums =
      bool(op.getSums()) || instruction.getLhsOffset(op.getLhsUnsigned()) != 0;
  kernel::PackOp packed = repack(rewriter, problem, panels, withSums);
  auto bound = kernel::BoundOp::create(rewriter, op.getLoc(),
                                       packed.getPackedResult(), storage);
  storePanels(rewriter, problem, packed, storage, instruction,
              {bound.getPanels(), bound.getPlaces(), bound.getStarts(),
               bound.getValues()});
  rewriter.modifyOpInPlace(op, [&] { op.setTile(tile.getTile()); });
}

SmallVector<StorageOption>
mlir::tamis::findBoundedPanels(const StorageProblem &problem,
                               std::string &reason) {
  StringRef obstacle = findObstacle(problem);
  InstructionAttrInterface instruction;
  if (obstacle.empty())
    instruction = findInstruction(problem);
  if (obstacle.empty() && !instruction)
    obstacle = ": no instruction adds up in 16 bits";
  reason = ("no bounded panels" + obstacle).str();
  if (!obstacle.empty())
    return {};
  kernel::ContractOp op = problem.op;
  auto fact = [&](StringRef name) { return getFact(problem.profile, name); };
  Tiling tile =
      choosePanelTile(problem, instruction, kMostVectors, kMostAccumulators);
  PanelShape panels = describePanels(problem, instruction, tile.vectors);
  reason = "no bounded panels of this shape";
  if (panels.runElements < panels.step)
    return {};
  DenseProblem dense = describeDense(
      op.getBounds(), op.getRhsMap(), problem.view.element, instruction,
      problem.target, problem.profile, problem.modelBytes);
  double rowBlocks =
      std::ceil(dense.products / dense.weights / double(tile.rows));
  double margin = fact("bounded.margin");
  auto price = [&](int64_t steps, int64_t entries) {
    double entry = double(tile.rows * tile.vectors) *
                       getCycles(problem.profile, instruction) +
                   fact("bounded.entry");
    double walk =
        double(entries) * entry + double(panels.count) * fact("bounded.list");
    return priceDense(dense, tile.rows,
                      steps > 1 ? fact("bounded.narrow") : 1) +
           rowBlocks * walk;
  };
  reason = "no bounded panels: too little to gain";
  double limit = std::max(1.0, margin) * problem.dense;
  SmallVector<int64_t> sums;
  for (int64_t steps : {2, 1})
    if (price(steps, 0) <= margin * problem.dense)
      sums.push_back(steps);
  auto counts =
      countEntries(problem, panels, sums, [&](int64_t steps, int64_t entries) {
        return price(steps, entries) > limit;
      });
  SmallVector<StorageOption> options;
  for (auto [steps, entries] : llvm::zip_equal(sums, counts)) {
    reason = "no bounded panels: too many weights are too large";
    if (!entries)
      continue;
    auto storage =
        BoundedAttr::get(op.getContext(), *entries, steps, panels.runElements);
    double share = double(*entries) / double(panels.count * panels.steps);
    constexpr int64_t indexBytes = 4;
    options.push_back({getBoundedName(tile.getTile(), steps, share),
                       "a sum of 16 bits", price(steps, *entries),
                       double((panels.count * panels.steps + *entries) *
                                  panels.step * panels.width +
                              indexBytes * (*entries + panels.count + 1)),
                       margin, [=](IRRewriter &rewriter) {
                         apply(rewriter, problem, panels, tile, instruction,
                               storage);
                       }});
  }
  return options;
}
