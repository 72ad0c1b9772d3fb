// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Bounded panels in the place of dense ones: where an instruction that adds
// products up in 16 bits is faster than the exact one, and few weights are too
// large for it.
#include "BoundedPanels.h"
#include "DensePrice.h"
#include "StorageOptions.h"
#include "tamis/Target/Target.h"
#include "llvm/Support/FormatVariadic.h"
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
  kernel::ContractOp op = problem.op;
  kernel::PackOp pack = problem.pack;
  if (StringRef obstacle = findPanelObstacle(problem); !obstacle.empty())
    return obstacle;
  auto packed = cast<ShapedType>(pack.getPacked().getType());
  if (!problem.view.element.isInteger(8) ||
      !packed.getElementType().isInteger(8))
    return " of these types";
  auto dim = cast<AffineDimExpr>(
      op.getRhsMap().getResult(static_cast<unsigned>(pack.getColumn())));
  if (op.getLhsMap().isFunctionOfDim(dim.getPosition()))
    return " of a depthwise layer";
  return "";
}

/// Elements of a run of so many dimensions.
static int64_t getRun(const StorageProblem &problem, int64_t dims) {
  kernel::PackOp pack = problem.pack;
  int64_t run = 1;
  for (int64_t d : pack.getReductions().take_back(dims))
    run *= problem.view.shape[d];
  return run;
}

/// The entries of panels of `problem`.
static int64_t countEntries(const StorageProblem &problem, int64_t runDims,
                            const BoundedShape &shape) {
  kernel::PackOp pack = problem.pack;
  const SourceView &view = problem.view;
  ArrayRef<int64_t> reductions = pack.getReductions();
  SmallVector<int64_t> outer = view.getOffsets(reductions.drop_back(runDims));
  SmallVector<int64_t> run = view.getOffsets(reductions.take_back(runDims));
  auto column = static_cast<int64_t>(pack.getColumn());
  int64_t columns = view.shape[column], stride = view.strides[column];
  auto offset = static_cast<int>(pack.getOffset());
  bool isUnsigned = pack.getIsUnsigned();
  std::vector<char> rows(shape.getRows() * shape.getRowBytes());
  BoundedEntries entries;
  for (int64_t first = 0; first < columns; first += shape.width)
    for (int64_t from : outer) {
      std::fill(rows.begin(), rows.end(), 0);
      int64_t width = std::min(shape.width, columns - first);
      for (int64_t c = 0; c < width; ++c)
        for (auto [k, element] : llvm::enumerate(run)) {
          char byte = view.bytes[from + element + (first + c) * stride];
          int value = isUnsigned ? static_cast<uint8_t>(byte)
                                 : static_cast<int8_t>(byte);
          rows[int64_t(k) / 4 * shape.getRowBytes() + c * 4 + int64_t(k) % 4] =
              static_cast<char>(value - offset);
        }
      boundRun(rows, shape, /*place=*/0, entries);
      entries.values.clear();
    }
  return static_cast<int64_t>(entries.places.size());
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
  int64_t run = getRun(problem, panels.runDims);
  reason = "no bounded panels of this shape";
  if (run < panels.step)
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
  SmallVector<StorageOption> options;
  for (int64_t steps : {2, 1}) {
    if (price(steps, 0) > margin * problem.dense)
      continue;
    BoundedShape shape{panels.width, run, steps};
    int64_t entries = countEntries(problem, panels.runDims, shape);
    auto storage = BoundedAttr::get(op.getContext(), entries, steps, run);
    double share = double(entries) / double(panels.count * panels.steps);
    constexpr int64_t indexBytes = 4;
    options.push_back(
        {llvm::formatv("bounded {0} in {1}, {2:0}% more",
                       getDenseName(tile.getTile()).substr(6), steps,
                       100 * share),
         "a sum of 16 bits", price(steps, entries),
         double((panels.count * panels.steps + entries) * shape.getRowBytes() +
                indexBytes * (entries + panels.count + 1)),
         margin, [=](IRRewriter &rewriter) {
           apply(rewriter, problem, panels, tile, instruction, storage);
         }});
  }
  return options;
}
