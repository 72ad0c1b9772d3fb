// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Bitmasks in the place of dense panels, for contractions of few rows: weights
// are read once there, and their bytes are the time.
#include "Bitmask.h"
#include "BitmaskPrice.h"
#include "DensePrice.h"
#include "StorageOptions.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::tamis;

/// Options that are worth comparing.
static constexpr size_t kMostOptions = 2;

/// Vectors of the panels that `masked` reads.
static int64_t countVectors(const StorageProblem &problem,
                            const MaskedInstruction &masked) {
  kernel::PackOp pack = problem.pack;
  ArrayRef<int64_t> reductions = pack.getReductions(),
                    shape = problem.view.shape;
  kernel::ContractOp op = problem.op;
  auto length = static_cast<int64_t>(pack.getRun());
  auto sizeOf = [&](ArrayRef<int64_t> list) {
    int64_t size = 1;
    for (int64_t d : list)
      size *= shape[d];
    return size;
  };
  auto steps = static_cast<int64_t>(
      sizeOf(reductions.drop_back(length)) *
      llvm::divideCeil(sizeOf(reductions.take_back(length)),
                       masked.instruction.getReductionStep()));
  int64_t vectors = op.getTile()[1];
  auto panels = static_cast<int64_t>(llvm::divideCeil(
      shape[pack.getColumn()], vectors * masked.instruction.getLanes()));
  return panels * steps * vectors;
}

static void apply(IRRewriter &rewriter, const StorageProblem &problem,
                  const MaskedInstruction &masked, int64_t vectors,
                  int64_t entries) {
  kernel::ContractOp op = problem.op;
  kernel::PackOp pack = problem.pack;
  rewriter.setInsertionPoint(op);
  Location loc = op.getLoc();
  int64_t step = masked.instruction.getReductionStep();
  int64_t width = op.getTile()[1] * masked.instruction.getLanes();
  auto packed = cast<RankedTensorType>(pack.getPacked().getType());
  int64_t panels =
      llvm::divideCeil(problem.view.shape[pack.getColumn()], width);
  SmallVector<int64_t> shape{1, panels, vectors / panels / op.getTile()[1],
                             width * step};
  Value empty =
      tensor::EmptyOp::create(rewriter, loc, shape, packed.getElementType());
  bool needsSums = isa<IntegerType>(op.getAccumulator());
  Value sums;
  if (needsSums)
    sums = tensor::EmptyOp::create(rewriter, loc,
                                   ArrayRef<int64_t>{1, panels * width},
                                   rewriter.getI32Type());
  auto panelsOf = kernel::PackOp::create(
      rewriter, loc, empty.getType(), sums ? sums.getType() : Type(),
      pack.getSource(), empty, sums, pack.getGroupsAttr(), pack.getColumnAttr(),
      pack.getReductionsAttr(), pack.getRunAttr(),
      rewriter.getI64IntegerAttr(step), pack.getOffsetAttr(),
      pack.getIsUnsignedAttr() ? rewriter.getUnitAttr() : UnitAttr(),
      UnitAttr());
  auto storage = BitmaskAttr::get(rewriter.getContext(), entries, masked.unit,
                                  masked.expansion);
  auto compressed = kernel::CompressOp::create(
      rewriter, loc, panelsOf.getPackedResult(), storage);
  rewriter.modifyOpInPlace(op, [&] {
    op.getRhsMutable().assign(compressed.getValues());
    op.getStreamMutable().assign(
        ValueRange{compressed.getMasks(), compressed.getStarts()});
    op.getSumsMutable().assign(needsSums ? ValueRange(panelsOf.getSumsResult())
                                         : ValueRange());
    op.setStorageAttr(storage);
    op.setInstructionAttr(masked.instruction);
  });
  if (pack->use_empty())
    rewriter.eraseOp(pack);
}

/// Why the weights of `problem` are no bitmask whatever they are; empty if they
/// could be one.
static StringRef findObstacle(const StorageProblem &problem) {
  kernel::ContractOp op = problem.op;
  kernel::PackOp pack = problem.pack;
  Type element = problem.view.element;
  if ((!element.isF32() && !element.isInteger(8)) || op.getNibbles())
    return "no bitmask of these types";
  if (op.getBlock() || op.getInstruction().isTile() || pack.getColumn() < 0 ||
      !pack.getGroups().empty())
    return "no bitmask of this shape";
  if (problem.view.isSplat)
    return "no bitmask: all weights are equal";
  return "";
}

SmallVector<StorageOption>
mlir::tamis::findBitmasks(const StorageProblem &problem, std::string &reason) {
  reason = findObstacle(problem).str();
  if (!reason.empty())
    return {};
  kernel::ContractOp op = problem.op;
  kernel::PackOp pack = problem.pack;
  Type packed = getElementTypeOrSelf(pack.getPacked().getType());
  BitmaskProblem p;
  for (auto [d, bound] : llvm::enumerate(op.getBounds()))
    if (!op.getRhsMap().isFunctionOfDim(d))
      p.rows *= ShapedType::isDynamic(bound) ? kTypicalRows : bound;
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
    p.vectors = countVectors(problem, masked);
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
           apply(rewriter, problem, masked, p.vectors, p.entries);
         }});
  }
  llvm::stable_sort(options,
                    [](const StorageOption &a, const StorageOption &b) {
                      return a.cycles < b.cycles;
                    });
  options.truncate(std::min(options.size(), kMostOptions));
  return options;
}
