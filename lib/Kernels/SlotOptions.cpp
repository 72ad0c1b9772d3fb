// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Slot windows in the place of dense panels, for contractions of few rows by
// bytes of which many are zero.
#include "DensePrice.h"
#include "SlotWindows.h"
#include "StorageOptions.h"
#include "tamis/Target/Target.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::tamis;

/// Rows of a register block: each looks elements up for itself.
static constexpr int64_t kMostRows = 6;

namespace {
/// What multiplies, and what picks activations for it.
struct SlotInstruction {
  InstructionAttrInterface instruction;
  LookupAttrInterface lookup;
};

/// What the price depends on.
struct SlotProblem {
  SlotInstruction by;
  /// Rows, and rows of one register block.
  int64_t rows = 1, blockRows = 1;
};
} // namespace

/// The cheapest for the types of `problem`; null where there is none.
static SlotInstruction findInstruction(const StorageProblem &problem) {
  kernel::ContractOp op = problem.op;
  kernel::PackOp pack = problem.pack;
  Type packed = getElementTypeOrSelf(pack.getPacked().getType());
  SlotInstruction best;
  for (InstructionAttrInterface instruction :
       getInstructions(problem.target, /*allowBf16=*/false)) {
    if (instruction.isTile() ||
        instruction.getReductionStep() != SlotWindowsAttr::kStep ||
        instruction.getPackedType(problem.view.element) != packed ||
        !instruction.accepts(getElementTypeOrSelf(op.getLhs().getType()),
                             problem.view.element, op.getAccumulator(),
                             op.getLhsUnsigned(), op.getRhsUnsigned()) ||
        (best.instruction && getCycles(problem.profile, best.instruction) <=
                                 getCycles(problem.profile, instruction)))
      continue;
    int64_t bytes = instruction.getLanes() * SlotWindowsAttr::kStep;
    for (LookupAttrInterface lookup : getLookups(problem.target))
      if (lookup.getElementBytes() == 1 && lookup.getElements() == bytes)
        best = {instruction, lookup};
  }
  return best;
}

/// Why `problem` cannot have slot windows whatever its weights are, as the end
/// of a sentence; empty if it can.
static StringRef findObstacle(const StorageProblem &problem) {
  kernel::ContractOp op = problem.op;
  kernel::PackOp pack = problem.pack;
  if (StringRef obstacle = findPanelObstacle(problem); !obstacle.empty())
    return obstacle;
  if (!problem.view.element.isInteger(8) ||
      !getElementTypeOrSelf(op.getLhs().getType()).isInteger(8))
    return " of these types";
  constexpr int64_t longest = 1 << 16;
  int64_t run = problem.view.shape[pack.getReductions().back()];
  if (pack.getReductions().size() != 1 || run < SlotWindowsAttr::kWindow ||
      run > longest)
    return " of this shape";
  return "";
}

static double countBytes(const SlotProblem &p, double entries) {
  int64_t bytes = 3 * p.by.lookup.getElements() +
                  SlotWindowsAttr::kEntryWindows * sizeof(uint16_t);
  return entries * double(bytes);
}

/// Cycles: two vectors of products for each entry, with two lookups each, or
/// bytes from L2 for each block of rows, or from behind it once.
static double price(const StorageProblem &problem, const SlotProblem &p,
                    double entries) {
  auto fact = [&](StringRef name) { return getFact(problem.profile, name); };
  auto blocks = double(llvm::divideCeil(p.rows, p.blockRows));
  double vector = getCycles(problem.profile, p.by.instruction) +
                  SlotWindowsAttr::kVectorWindows * p.by.lookup.getCycles();
  double bytes = countBytes(p, entries);
  double cycles = entries * (blocks * fact("slot_windows.entry") +
                             double(2 * p.rows) * vector);
  if (bytes > double(problem.target.getL1()))
    cycles = std::max(cycles, blocks * bytes / fact("l2.bytes_per_cycle"));
  return std::max(cycles,
                  pricePanels(problem.profile, problem.target.getL2(),
                              problem.modelBytes, bytes, double(p.rows)));
}

/// Weights that are not zero.
static int64_t countWeights(const StorageProblem &problem) {
  kernel::PackOp pack = problem.pack;
  return llvm::count_if(problem.view.bytes,
                        [zero = static_cast<char>(pack.getOffset())](
                            char weight) { return weight != zero; });
}

static void apply(IRRewriter &rewriter, const StorageProblem &problem,
                  InstructionAttrInterface instruction, const Tiling &tile,
                  SlotWindowsAttr storage) {
  kernel::ContractOp op = problem.op;
  kernel::PackOp panels =
      packPanels(rewriter, problem, instruction, tile.vectors);
  auto filled = kernel::FillSlotsOp::create(rewriter, op.getLoc(),
                                            panels.getPackedResult(), storage,
                                            instruction.getPairBound());
  rewriter.modifyOpInPlace(op, [&] { op.setTile(tile.getTile()); });
  storePanels(rewriter, problem, panels, storage, instruction,
              filled->getResults());
}

SmallVector<StorageOption>
mlir::tamis::findSlotWindows(const StorageProblem &problem,
                             std::string &reason) {
  StringRef obstacle = findObstacle(problem);
  SlotProblem p;
  if (obstacle.empty())
    p.by = findInstruction(problem);
  if (obstacle.empty() && !p.by.instruction)
    obstacle = ": no instruction has activations looked up";
  reason = ("no slot windows" + obstacle).str();
  if (!obstacle.empty())
    return {};
  InstructionAttrInterface instruction = p.by.instruction;
  Tiling tile =
      choosePanelTile(problem, instruction, /*mostVectors=*/1, kMostRows);
  p.rows = countRows(problem.op);
  p.blockRows = tile.rows;
  double margin = getFact(problem.profile, "slot_windows.margin");
  auto isTooMany = [&](double entries) {
    return problem.size ? false
                        : price(problem, p, entries) > margin * problem.dense;
  };
  int64_t weights = countWeights(problem);
  reason = "no slot windows: all weights are zero";
  if (weights == 0)
    return {};
  // Full slots are the best that may be.
  int64_t lanes = instruction.getLanes();
  int64_t slots =
      lanes * SlotWindowsAttr::kSlots * SlotWindowsAttr::kEntryWindows;
  reason = "no slot windows: too little to gain";
  if (isTooMany(double(weights) / double(slots)))
    return {};
  kernel::PackOp pack = problem.pack;
  double perEntry = price(problem, p, /*entries=*/1);
  std::optional<int64_t> entries =
      countSlotEntries(problem.view, pack, lanes, instruction.getPairBound(),
                       problem.size ? std::numeric_limits<double>::infinity()
                                    : margin * problem.dense / perEntry);
  if (!entries || isTooMany(double(*entries)))
    return {};
  auto storage = SlotWindowsAttr::get(
      pack->getContext(), *entries,
      problem.view.shape[pack.getReductions().back()], p.by.lookup);
  auto all = double(problem.view.bytes.size());
  return {{getSlotsName(double(*entries * slots) / all), "a list of slots",
           price(problem, p, double(*entries)), countBytes(p, double(*entries)),
           margin, [=](IRRewriter &rewriter) {
             apply(rewriter, problem, instruction, tile, storage);
           }}};
}
