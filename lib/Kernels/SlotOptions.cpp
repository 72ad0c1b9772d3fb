// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Slot windows in the place of dense panels, for contractions of few rows by
// weights of which many are zero.
#include "DensePrice.h"
#include "SlotWindows.h"
#include "StorageOptions.h"
#include "tamis/Kernels/Classify.h"
#include "tamis/Target/Target.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::tamis;

/// Rows of a register block: each looks elements up for itself.
static constexpr int64_t kMostRows = 6;

namespace {
struct SlotProblem {
  InstructionAttrInterface instruction;
  /// Without entries yet.
  SlotWindowsAttr storage;
  /// Rows, and rows of one register block.
  int64_t rows = 1, blockRows = 1;

  /// Slots of an entry, of all channels of its vectors.
  int64_t countSlots() const {
    return instruction.getLanes() * storage.getStep() *
           SlotWindowsAttr::kVectors;
  }
};
} // namespace

/// The storage by the cheapest instruction for the types of `problem`, whose
/// reduction has `run` elements; null where no activations are looked up.
static SlotProblem findInstruction(const StorageProblem &problem, int64_t run) {
  kernel::ContractOp op = problem.op;
  kernel::PackOp pack = problem.pack;
  Type packed = getElementTypeOrSelf(pack.getPacked().getType());
  SlotProblem best;
  for (InstructionAttrInterface instruction :
       getInstructions(problem.target, /*allowBf16=*/false)) {
    if (instruction.isTile() ||
        instruction.getPackedType(problem.view.element) != packed ||
        !instruction.accepts(getElementTypeOrSelf(op.getLhs().getType()),
                             problem.view.element, op.getAccumulator(),
                             op.getLhsUnsigned(), op.getRhsUnsigned()) ||
        (best.instruction && getCycles(problem.profile, best.instruction) <=
                                 getCycles(problem.profile, instruction)))
      continue;
    for (LookupAttrInterface lookup : getLookups(problem.target)) {
      auto storage =
          SlotWindowsAttr::get(op.getContext(), /*entries=*/0, run, lookup);
      if (lookup.getElementBytes() * 8 == packed.getIntOrFloatBitWidth() &&
          instruction.getReductionStep() == storage.getStep() &&
          instruction.getLanes() * storage.getStep() == lookup.getElements())
        best = {instruction, storage};
    }
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
  if (getElementTypeOrSelf(op.getLhs().getType()) != problem.view.element)
    return " of these types";
  if (pack.getReductions().size() != 1)
    return " of this shape";
  constexpr int64_t longest = 1 << 16;
  int64_t run = problem.view.shape[pack.getReductions().front()];
  if (run < SlotWindowsAttr::kWindow || run > longest)
    return " of this shape";
  // Windows are read whole.
  std::string unused;
  if (failed(classifyContraction(
          op.getLhsMap(), op.getRhsMap(), op.getOutMap(), op.getBounds(),
          cast<ShapedType>(op.getLhs().getType()).getShape(),
          SlotWindowsAttr::kWindow, unused)))
    return " of this shape";
  return "";
}

static double countBytes(const SlotProblem &p, double entries) {
  int64_t bytes =
      p.storage.getEntryBytes() +
      p.storage.getEntryWindows() * static_cast<int64_t>(sizeof(uint16_t));
  return entries * double(bytes);
}

/// Cycles: the vectors of products of each entry, with a lookup for each
/// window, or bytes from L2 for each block of rows, or from behind it once.
static double price(const StorageProblem &problem, const SlotProblem &p,
                    double entries) {
  auto fact = [&](StringRef name) { return getFact(problem.profile, name); };
  auto blocks = double(llvm::divideCeil(p.rows, p.blockRows));
  double vectors =
      SlotWindowsAttr::kVectors * getCycles(problem.profile, p.instruction) +
      double(p.storage.getEntryWindows()) * p.storage.getLookup().getCycles();
  double bytes = countBytes(p, entries);
  double cycles = entries * (blocks * fact("slot_windows.entry") +
                             double(p.rows) * vectors);
  if (bytes > double(problem.target.getL1()))
    cycles = std::max(cycles, blocks * bytes / fact("l2.bytes_per_cycle"));
  return std::max(cycles,
                  pricePanels(problem.profile, problem.target.getL2(),
                              problem.modelBytes, bytes, double(p.rows)));
}

/// Weights that are not zero.
static int64_t countWeights(const StorageProblem &problem) {
  kernel::PackOp pack = problem.pack;
  ArrayRef<char> bytes = problem.view.bytes;
  if (problem.view.element.isInteger(8))
    return llvm::count_if(bytes, [zero = static_cast<char>(pack.getOffset())](
                                     char weight) { return weight != zero; });
  auto *floats = reinterpret_cast<const float *>(bytes.data());
  return llvm::count_if(ArrayRef(floats, bytes.size() / sizeof(float)),
                        [](float weight) { return weight != 0; });
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
  kernel::PackOp pack = problem.pack;
  StringRef obstacle = findObstacle(problem);
  SlotProblem p;
  if (obstacle.empty())
    p = findInstruction(problem,
                        problem.view.shape[pack.getReductions().front()]);
  if (obstacle.empty() && !p.instruction)
    obstacle = ": no instruction has activations looked up";
  reason = ("no slot windows" + obstacle).str();
  if (!obstacle.empty())
    return {};
  Tiling tile =
      choosePanelTile(problem, p.instruction, /*mostVectors=*/1, kMostRows);
  p.rows = countRows(problem.op);
  p.blockRows = tile.rows;
  double margin = getFact(problem.profile, "slot_windows.margin");
  auto isTooMany = [&](double entries) {
    return !problem.size && price(problem, p, entries) > margin * problem.dense;
  };
  int64_t weights = countWeights(problem);
  reason = "no slot windows: all weights are zero";
  if (weights == 0)
    return {};
  // Full slots are the best that may be.
  auto slots = double(p.countSlots());
  reason = "no slot windows: too little to gain";
  if (isTooMany(double(weights) / slots))
    return {};
  double most = problem.size ? std::numeric_limits<double>::infinity()
                             : margin * problem.dense / price(problem, p, 1);
  int64_t bound = p.instruction.getPairBound();
  std::optional<int64_t> found =
      countSlotEntries(problem.view, pack, p.storage, bound, most);
  if (!found || isTooMany(double(*found)))
    return {};
  auto entries = double(*found);
  auto storage = SlotWindowsAttr::get(
      pack->getContext(), *found, p.storage.getRun(), p.storage.getLookup());
  double all = double(problem.view.bytes.size()) /
               double(p.storage.getLookup().getElementBytes());
  return {{getSlotsName(entries * slots / all), "a list of slots",
           price(problem, p, entries), countBytes(p, entries), margin,
           [=](IRRewriter &rewriter) {
             apply(rewriter, problem, p.instruction, tile, storage);
           }}};
}
