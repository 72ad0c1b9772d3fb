// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Block lists in the place of dense panels: the same kernel, which steps over
// blocks of zeros. So any instruction of panels has them, those of register
// tiles among them.
#include "BlockList.h"
#include "DensePrice.h"
#include "Emitter.h"
#include "StorageOptions.h"
#include "tamis/Kernels/Tiling.h"

using namespace mlir;
using namespace mlir::tamis;

/// Options that are worth comparing.
static constexpr size_t kMostOptions = 2;

/// The most steps of a block that divide a run of `steps`.
static int64_t getDivisor(int64_t steps, int64_t most) {
  most = std::min(steps, most);
  while (steps % most != 0)
    --most;
  return most;
}

/// Steps of a block, for runs of `steps`: those of a register tile, or long
/// ones, which cost least, and short ones, which find the most zeros.
static SmallVector<int64_t> getBlockSteps(InstructionAttrInterface instruction,
                                          int64_t steps) {
  int64_t step = instruction.getReductionStep();
  if (instruction.isTile())
    return {kernel::getTileDepth(steps * step, step) / step};
  SmallVector<int64_t> sizes;
  for (int64_t most : {32, 8, 1})
    sizes.push_back(getDivisor(steps, most));
  sizes.erase(llvm::unique(sizes), sizes.end());
  return sizes;
}

/// Why the weights of `problem` are no list whatever they are; empty if they
/// could be one.
static StringRef findObstacle(const StorageProblem &problem) {
  kernel::ContractOp op = problem.op;
  kernel::PackOp pack = problem.pack;
  if (op.getNibbles() || op.getBlock())
    return "no block list of these types";
  ArrayRef<int64_t> reductions = pack.getReductions();
  auto column = static_cast<int64_t>(pack.getColumn());
  if (column < 0 || !pack.getGroups().empty() || reductions.empty() ||
      pack.getRun() != 1 ||
      problem.view.shape[reductions.back()] %
              op.getInstruction().getReductionStep() !=
          0)
    return "no block list of this shape";
  auto dim = cast<AffineDimExpr>(
      op.getRhsMap().getResult(static_cast<unsigned>(column)));
  if (op.getLhsMap().isFunctionOfDim(dim.getPosition()))
    return "no block list of a depthwise layer";
  if (problem.view.isSplat)
    return "no block list: all weights are equal";
  return "";
}

/// The tile of a list: panels of at most two vectors, since wide ones have
/// fewer zero blocks.
static Tiling chooseTile(const StorageProblem &problem) {
  kernel::ContractOp op = problem.op;
  if (op.getInstruction().isTile())
    return Tiling::get(op.getTile());
  return choosePanelTile(problem, op.getInstruction(), /*mostVectors=*/2,
                         op.getInstruction().getMaxAccumulators());
}

static void apply(IRRewriter &rewriter, const StorageProblem &problem,
                  const PanelShape &panels, const Tiling &tile,
                  BlockListAttr storage) {
  kernel::ContractOp op = problem.op;
  kernel::PackOp pack = problem.pack;
  rewriter.setInsertionPoint(op);
  bool withSums = bool(op.getSums());
  kernel::PackOp panelsOf = repack(rewriter, problem, panels, withSums);
  auto blocks = kernel::ListBlocksOp::create(
      rewriter, op.getLoc(), panelsOf.getPackedResult(), storage);
  rewriter.modifyOpInPlace(op, [&] {
    op.getRhsMutable().assign(blocks.getValues());
    op.getStreamMutable().assign(
        ValueRange{blocks.getPlaces(), blocks.getStarts()});
    op.getSumsMutable().assign(withSums ? ValueRange(panelsOf.getSumsResult())
                                        : ValueRange());
    op.setStorageAttr(storage);
    op.setTile(tile.getTile());
  });
  if (pack->use_empty())
    rewriter.eraseOp(pack);
}

SmallVector<StorageOption>
mlir::tamis::findBlockLists(const StorageProblem &problem,
                            std::string &reason) {
  reason = findObstacle(problem).str();
  if (!reason.empty())
    return {};
  kernel::ContractOp op = problem.op;
  kernel::PackOp pack = problem.pack;
  InstructionAttrInterface instruction = op.getInstruction();
  auto fact = [&](StringRef name) { return getFact(problem.profile, name); };
  Tiling tile = chooseTile(problem);
  PanelShape panels = describePanels(problem, instruction, tile.vectors);
  int64_t lists = panels.count * panels.steps / panels.run;
  DenseProblem dense = describeDense(
      op.getBounds(), op.getRhsMap(), problem.view.element, instruction,
      problem.target, problem.profile, problem.modelBytes);
  double rowBlocks =
      std::ceil(dense.products / dense.weights / double(tile.rows));
  /// Cycles with a share of `blocks` blocks.
  auto price = [&](int64_t entries, double share) {
    DenseProblem rest = dense;
    rest.products *= share;
    rest.weights *= share;
    rest.bytes *= share;
    double walk = double(entries) * fact("block_list.entry") +
                  double(lists) * fact("block_list.list");
    return (share > 0 ? priceDense(rest, tile.rows) : 0) + rowBlocks * walk;
  };
  double margin = fact("block_list.margin");
  reason = "no block list: too little to gain";
  if (!problem.size && price(0, 0) > margin * problem.dense)
    return {};
  reason = "no block list: no block is zero";
  Type element = getElementTypeOrSelf(pack.getPacked().getType());
  int64_t stepBytes =
      panels.width * panels.step * element.getIntOrFloatBitWidth() / 8;
  SmallVector<StorageOption> options;
  for (int64_t steps : getBlockSteps(instruction, panels.run)) {
    int64_t elements = steps * panels.step;
    int64_t entries = countBlocks(problem.view, pack, panels.width, elements);
    if (entries == 0) {
      reason = "no block list: all weights are zero";
      return {};
    }
    int64_t all = lists * (panels.run / steps);
    if (entries == all)
      continue;
    double share = double(entries) / double(all);
    // Beside the blocks, where each lies and where lists begin.
    constexpr int64_t indexBytes = 4;
    auto storage =
        BlockListAttr::get(op.getContext(), entries, steps, panels.run);
    options.push_back({getBlockListName(panels.width, elements, share),
                       "a block list", price(entries, share),
                       double(entries * steps * stepBytes +
                              indexBytes * (entries + lists + 1)),
                       margin, [=](IRRewriter &rewriter) {
                         apply(rewriter, problem, panels, tile, storage);
                       }});
  }
  llvm::stable_sort(options,
                    [](const StorageOption &a, const StorageOption &b) {
                      return a.cycles < b.cycles;
                    });
  options.truncate(std::min(options.size(), kMostOptions));
  return options;
}
