// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Storages of fixed stride in the place of dense panels: N of every M weights
// with their places, and codes of a table. Bytes are what they save, and N:M
// products too; nothing has to be looked for between one vector and the next.
#include "Encoded.h"
#include "EncodedPrice.h"
#include "StorageOptions.h"
#include "tamis/Kernels/Classify.h"
#include "tamis/Target/Target.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::tamis;

/// What the problem alone says.
static EncodedProblem describe(const StorageProblem &problem) {
  EncodedProblem p;
  p.rows = countRows(problem.op);
  p.profile = problem.profile;
  p.l1 = problem.target.getL1();
  p.l2 = problem.target.getL2();
  p.modelBytes = problem.modelBytes;
  return p;
}

//===-- N:M ---------------------------------------------------------------===//

/// True if steps of `instruction` are cut from the same runs as the panels of
/// `problem`.
static bool hasSameRuns(const StorageProblem &problem,
                        InstructionAttrInterface instruction) {
  kernel::ContractOp op = problem.op;
  kernel::PackOp pack = problem.pack;
  std::string unused;
  FailureOr<ContractionDims> dims = classifyContraction(
      op.getLhsMap(), op.getRhsMap(), op.getOutMap(), op.getBounds(),
      cast<ShapedType>(op.getLhs().getType()).getShape(),
      instruction.getReductionStep(), unused);
  return succeeded(dims) && !dims->depthwise && dims->run == pack.getRun();
}

/// A single row takes several vectors, which wait for each other's sums less;
/// of more rows each reads the registers of one vector.
static SmallVector<int64_t> chooseTile(const StorageProblem &problem,
                                       InstructionAttrInterface instruction,
                                       int64_t rows) {
  kernel::ContractOp op = problem.op;
  kernel::PackOp pack = problem.pack;
  int64_t most = instruction.getMaxAccumulators();
  SmallVector<int64_t> tile(op.getTile());
  auto columns = static_cast<int64_t>(llvm::divideCeil(
      problem.view.shape[pack.getColumn()], instruction.getLanes()));
  tile[0] = rows == 1 ? 1 : std::min<int64_t>(rows, 6);
  tile[1] =
      std::min(columns, rows == 1 ? most / 2 : std::max<int64_t>(1, most / 8));
  return tile;
}

static void applyNOfM(IRRewriter &rewriter, const StorageProblem &problem,
                      InstructionAttrInterface instruction,
                      ArrayRef<int64_t> tile, int64_t vectors) {
  kernel::ContractOp op = problem.op;
  auto selection = cast<SelectionAttrInterface>(Attribute(instruction));
  int64_t entries = vectors * instruction.getLanes() * selection.getKept();
  kernel::PackOp panels = packPanels(rewriter, problem, instruction, tile[1]);
  auto storage = NOfMAttr::get(rewriter.getContext(), entries, selection);
  auto encoded = kernel::EncodeOp::create(rewriter, op.getLoc(),
                                          panels.getPackedResult(), storage);
  rewriter.modifyOpInPlace(op, [&] { op.setTile(tile); });
  storePanels(rewriter, problem, panels, storage, instruction,
              encoded->getResults());
}

SmallVector<StorageOption> mlir::tamis::findNOfM(const StorageProblem &problem,
                                                 std::string &reason) {
  StringRef obstacle = findPanelObstacle(problem);
  reason = ("no N:M" + obstacle).str();
  if (!obstacle.empty())
    return {};
  kernel::ContractOp op = problem.op;
  kernel::PackOp pack = problem.pack;
  Type packed = getElementTypeOrSelf(pack.getPacked().getType());
  double margin = getFact(problem.profile, "n_of_m.margin");
  SmallVector<StorageOption> options;
  reason = "no N:M: the target has no selection";
  for (InstructionAttrInterface instruction : getSelections(problem.target)) {
    if (!instruction.accepts(getElementTypeOrSelf(op.getLhs().getType()),
                             problem.view.element, op.getAccumulator(),
                             op.getLhsUnsigned(), op.getRhsUnsigned()))
      continue;
    // Zero points were folded for weights of this type.
    if (instruction.getPackedType(problem.view.element) != packed) {
      reason = "no N:M: panels are of a wider type";
      continue;
    }
    if (!hasSameRuns(problem, instruction)) {
      reason = "no N:M of this shape";
      continue;
    }
    auto selection = cast<SelectionAttrInterface>(Attribute(instruction));
    EncodedProblem p = describe(problem);
    SmallVector<int64_t> tile = chooseTile(problem, instruction, p.rows);
    p.blockRows = tile.front();
    describeSelection(p, instruction,
                      countVectors(problem, instruction, tile[1]),
                      packed.getIntOrFloatBitWidth());
    reason = "no N:M: too little to gain";
    double cycles = priceEncoded(p);
    if (!problem.size && cycles > margin * problem.dense)
      continue;
    int64_t step = instruction.getReductionStep();
    reason = "no N:M: more weights in a step";
    if (!keepsFew(problem.view, pack, step, selection.getKept()))
      continue;
    options.push_back({getNOfMName(selection.getKept(), step), "N:M", cycles,
                       p.bytes, margin, [=](IRRewriter &rewriter) {
                         applyNOfM(rewriter, problem, instruction, tile,
                                   p.vectors);
                       }});
  }
  return options;
}

//===-- codebook ----------------------------------------------------------===//

/// The lookup that fills the vectors of the dense panels; null where both
/// halves of a byte would not belong to one run.
static LookupAttrInterface findLookup(const StorageProblem &problem) {
  kernel::ContractOp op = problem.op;
  kernel::PackOp pack = problem.pack;
  InstructionAttrInterface instruction = op.getInstruction();
  int64_t step = instruction.getReductionStep();
  Type packed = getElementTypeOrSelf(pack.getPacked().getType());
  if (packed != problem.view.element || pack.getRun() != 1 ||
      problem.view.shape[pack.getReductions().back()] % (2 * step) != 0 ||
      !hasSameRuns(problem, instruction))
    return {};
  for (LookupAttrInterface lookup : getLookups(problem.target))
    if (lookup.getElementBytes() * 8 == packed.getIntOrFloatBitWidth() &&
        lookup.getElements() == instruction.getLanes() * step)
      return lookup;
  return {};
}

static void applyCodebook(IRRewriter &rewriter, const StorageProblem &problem,
                          LookupAttrInterface lookup, int64_t entries) {
  kernel::ContractOp op = problem.op;
  rewriter.setInsertionPoint(op);
  auto storage = CodebookAttr::get(rewriter.getContext(), entries, lookup);
  kernel::PackOp pack = problem.pack;
  auto encoded = kernel::EncodeOp::create(rewriter, op.getLoc(),
                                          pack.getPackedResult(), storage);
  storePanels(rewriter, problem, pack, storage, op.getInstruction(),
              encoded->getResults());
}

SmallVector<StorageOption>
mlir::tamis::findCodebook(const StorageProblem &problem, std::string &reason) {
  StringRef obstacle = findPanelObstacle(problem);
  reason = ("no codebook" + obstacle).str();
  if (!obstacle.empty())
    return {};
  kernel::ContractOp op = problem.op;
  LookupAttrInterface lookup = findLookup(problem);
  reason = "no codebook: nothing looks such panels up";
  if (!lookup)
    return {};
  InstructionAttrInterface instruction = op.getInstruction();
  EncodedProblem p = describe(problem);
  p.blockRows = op.getTile().front();
  p.vectors = countVectors(problem, instruction, op.getTile()[1]);
  p.once = lookup.getCycles();
  p.perRow = getCycles(problem.profile, instruction);
  p.bytes = double(p.vectors * lookup.getElements()) / 2 +
            double(CodebookAttr::kCodes * lookup.getElementBytes());
  reason = "no codebook: too little to gain";
  double cycles = priceEncoded(p),
         margin = getFact(problem.profile, "codebook.margin");
  if (!problem.size && cycles > margin * problem.dense)
    return {};
  std::optional<int64_t> values = countValues(problem.view);
  reason = "no codebook: more than 16 values";
  if (!values)
    return {};
  return {{getCodebookName(*values), "a codebook", cycles, p.bytes, margin,
           [=](IRRewriter &rewriter) {
             applyCodebook(rewriter, problem, lookup, *values);
           }}};
}
