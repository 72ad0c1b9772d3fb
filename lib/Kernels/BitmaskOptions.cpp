// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Bitmasks in the place of dense panels, for contractions of few rows: weights
// are read once there, and their bytes are the time.
#include "Bitmask.h"
#include "BitmaskPrice.h"
#include "DensePrice.h"
#include "StorageOptions.h"

using namespace mlir;
using namespace mlir::tamis;

/// Options that are worth comparing.
static constexpr size_t kMostOptions = 2;

static void apply(IRRewriter &rewriter, const StorageProblem &problem,
                  const MaskedInstruction &masked, int64_t entries) {
  kernel::ContractOp op = problem.op;
  kernel::PackOp panels =
      packPanels(rewriter, problem, masked.instruction, op.getTile()[1]);
  auto storage = BitmaskAttr::get(rewriter.getContext(), entries, masked.unit,
                                  masked.expansion);
  auto compressed = kernel::CompressOp::create(
      rewriter, op.getLoc(), panels.getPackedResult(), storage);
  storePanels(rewriter, problem, panels, storage, masked.instruction,
              compressed->getResults());
}

SmallVector<StorageOption>
mlir::tamis::findBitmasks(const StorageProblem &problem, std::string &reason) {
  StringRef obstacle = findPanelObstacle(problem);
  reason = ("no bitmask" + obstacle).str();
  if (!obstacle.empty())
    return {};
  kernel::ContractOp op = problem.op;
  kernel::PackOp pack = problem.pack;
  Type packed = getElementTypeOrSelf(pack.getPacked().getType());
  BitmaskProblem p;
  p.rows = countRows(op);
  p.blockRows = op.getTile().front();
  p.profile = problem.profile;
  p.l2 = problem.target.getL2();
  p.modelBytes = problem.modelBytes;
  double margin = getFact(p.profile, "bitmask.margin");
  SmallVector<StorageOption> options;
  reason = "no bitmask: the target has no expansion";
  for (const MaskedInstruction &masked : getMaskedInstructions(
           problem.target, getElementTypeOrSelf(op.getLhs().getType()),
           problem.view.element, op.getAccumulator(), op.getLhsUnsigned(),
           op.getRhsUnsigned())) {
    // Zero points were folded for weights of this type.
    if (masked.instruction.getPackedType(problem.view.element) != packed) {
      reason = "no bitmask: panels are of a wider type";
      continue;
    }
    reason = "no bitmask: too little to gain";
    p.vectors = countVectors(problem, masked.instruction, op.getTile()[1]);
    // Even with no weights at all it has to be worth counting.
    p.entries = 0;
    if (!problem.size && priceBitmask(p, masked) > margin * problem.dense)
      continue;
    p.entries = countUnits(problem.view, problem.pack, masked.unit);
    if (p.entries == 0) {
      reason = "no bitmask: all weights are zero";
      return {};
    }
    int64_t units = p.vectors * masked.expansion.getUnits();
    options.push_back(
        {getBitmaskName(masked.unit, double(p.entries) / double(units)),
         "a bitmask", priceBitmask(p, masked), countBytes(p, masked), margin,
         [=](IRRewriter &rewriter) {
           apply(rewriter, problem, masked, p.entries);
         }});
  }
  llvm::stable_sort(options,
                    [](const StorageOption &a, const StorageOption &b) {
                      return a.cycles < b.cycles;
                    });
  options.truncate(std::min(options.size(), kMostOptions));
  return options;
}
