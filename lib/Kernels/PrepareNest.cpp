// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a contraction kernel knows before its loops begin: the strides of every
// dimension in every operand, which neighbours are one loop, in which order a
// reduction goes.
#include "Emitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "tamis/Kernels/Tiling.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::kernel;

Emitter::Emitter(ContractOp op, RewriterBase &rewriter)
    : op(op), rewriter(rewriter), b(op.getLoc(), rewriter),
      instruction(op.getInstruction()) {
  b.setInsertionPoint(op);
  step = instruction.getReductionStep();
  lanes = instruction.getLanes();
  isInteger = isa<IntegerType>(op.getAccumulator());
  if (std::optional<StorageAttrInterface> storage = op.getStorage()) {
    rowStream = dyn_cast<RowStreamAttr>(*storage);
    bitmask = dyn_cast<BitmaskAttr>(*storage);
    blockList = dyn_cast<BlockListAttr>(*storage);
    bounded = dyn_cast<BoundedAttr>(*storage);
    nOfM = dyn_cast<NOfMAttr>(*storage);
    codebook = dyn_cast<CodebookAttr>(*storage);
    slotWindows = dyn_cast<SlotWindowsAttr>(*storage);
  }
}

Loop Emitter::makeLoop(unsigned dim) {
  Loop loop;
  int64_t bound = op.getBounds()[dim];
  if (!ShapedType::isDynamic(bound)) {
    loop.extent = b.constant(bound);
  } else {
    auto search = [&](Value memref, AffineMap map) {
      for (auto [i, expr] : llvm::enumerate(map.getResults()))
        if (expr == b.getAffineDimExpr(dim)) {
          loop.extent = memref::DimOp::create(b, memref, i).getResult();
          return true;
        }
      return false;
    };
    if (!search(op.getInit(), op.getOutMap()))
      search(op.getLhs(), op.getLhsMap());
  }
  loop.lhs = lhs.perDim[dim];
  loop.rhs = rhs.perDim.empty() ? b.constant(0) : rhs.perDim[dim];
  loop.out = out.perDim[dim];
  loop.sums = b.constant(0);
  for (FlatView &extra : extras)
    loop.extras.push_back(extra.perDim.empty() ? b.constant(0)
                                               : extra.perDim[dim]);
  return loop;
}

bool Emitter::merge(IndexBuilder &b, Loop &outer, const Loop &inner) {
  auto extent = getConstantIntValue(inner.extent);
  if (!extent)
    return false;
  auto follows = [&](OpFoldResult o, OpFoldResult i) {
    auto co = getConstantIntValue(o), ci = getConstantIntValue(i);
    return co && ci && *co == *ci * *extent;
  };
  bool ok = follows(outer.lhs, inner.lhs) && follows(outer.rhs, inner.rhs) &&
            follows(outer.out, inner.out) && follows(outer.sums, inner.sums);
  for (auto [o, i] : llvm::zip_equal(outer.extras, inner.extras))
    ok &= follows(o, i);
  if (!ok)
    return false;
  Loop merged = inner;
  merged.extent = b.multiply(outer.extent, inner.extent);
  outer = merged;
  return true;
}

/// Merges neighbours of a list of loops, outer to inner.
template <typename Merge>
static void mergeNeighbours(SmallVectorImpl<Loop> &loops, Merge merge) {
  SmallVector<Loop> merged;
  for (Loop &loop : loops)
    if (merged.empty() || !merge(merged.back(), loop))
      merged.push_back(loop);
  loops.assign(merged.begin(), merged.end());
}

LogicalResult Emitter::prepare() {
  std::string reason;
  auto lhsType = cast<MemRefType>(op.getLhs().getType());
  // Windows are read whole, whatever the instruction reads.
  int64_t together = slotWindows ? SlotWindowsAttr::kWindow : step;
  FailureOr<ContractionDims> classified =
      classifyContraction(op.getLhsMap(), op.getRhsMap(), op.getOutMap(),
                          op.getBounds(), lhsType.getShape(), together, reason);
  if (failed(classified))
    return op.emitOpError("cannot be generated: ") << reason;
  dims = *classified;
  lhs = flatten(b, op.getLhs(), op.getLhsMap());
  bool inOrder = op.getPacked() || op.getStorage();
  rhs = flatten(b, op.getRhs(), inOrder ? AffineMap() : op.getRhsMap());
  out = flatten(b, op.getInit(), op.getOutMap());
  if (op.getSums())
    sums = flatten(b, op.getSums());
  if (op.getStorage()) {
    FlatView &first = bitmask            ? masks
                      : nOfM || codebook ? keys
                      : rowStream        ? starts
                                         : offsets;
    first = flatten(b, op.getStream()[0]);
    if (op.getStream().size() > 1)
      starts = flatten(b, op.getStream()[1]);
    if (op.getStream().size() > 2)
      rests = flatten(b, op.getStream()[2]);
  }
  for (auto [i, extra] : llvm::enumerate(op.getExtras()))
    extras.push_back(isa<MemRefType>(extra.getType())
                         ? flatten(b, extra, op.getExtraMap(i))
                         : FlatView());
  prepareFactors();

  if (op.getStorage() && !dims.groups.empty())
    return op.emitOpError("cannot be generated: a ")
           << op.getStorage()->getStorageName() << " of groups";
  for (unsigned d : dims.groups)
    groups.push_back(makeLoop(d));
  if (op.getPacked() && !op.getStorage()) {
    OpFoldResult stride = rhs.strides[0];
    OpFoldResult sumStride = op.getSums() ? sums.strides[0] : b.constant(0);
    for (Loop &loop : llvm::reverse(groups)) {
      loop.rhs = stride;
      loop.sums = sumStride;
      stride = b.multiply(stride, loop.extent);
      sumStride = b.multiply(sumStride, loop.extent);
    }
  }
  for (unsigned d : dims.rows)
    rows.push_back(makeLoop(d));
  mergeNeighbours(rows, [&](Loop &outer, const Loop &inner) {
    return merge(b, outer, inner);
  });
  if (rows.empty()) {
    Loop &one = rows.emplace_back();
    one.extent = b.constant(1);
    one.lhs = one.rhs = one.out = one.sums = b.constant(0);
    one.extras.assign(extras.size(), b.constant(0));
  }
  // The register block walks the innermost rows, unless those are few and
  // others many.
  auto extentOf = [&](const Loop &loop) {
    return getConstantIntValue(loop.extent).value_or(1024);
  };
  if (extentOf(rows.back()) < 4)
    for (Loop &loop : llvm::drop_end(rows))
      if (extentOf(loop) > 2 * extentOf(rows.back()))
        std::swap(loop, rows.back());
  column = makeLoop(dims.column);
  prepareReductions(rhs);
  if (slotWindows && getConstantIntValue(reductions.back().lhs) != 1)
    return op.emitOpError("cannot be generated: slot windows of a row whose "
                          "elements lie apart");
  preparePanels();
  prepareZeroPoints();
  return success();
}

/// Packed panels follow each other, unpacked ones are as many columns apart as
/// they have; out, sums and extras move by columns.
void Emitter::preparePanels() {
  int64_t width = op.getTile()[1] * lanes;
  auto byWidth = [&](OpFoldResult stride) {
    return b.multiply(stride, b.constant(width));
  };
  acrossPanels = column;
  acrossPanels.lhs = byWidth(column.lhs);
  acrossPanels.rhs = rowStream        ? b.constant(width)
                     : op.getPacked() ? panelStride
                                      : byWidth(column.rhs);
  acrossPanels.out = byWidth(column.out);
  acrossPanels.sums = op.getSums() ? b.constant(width) : b.constant(0);
  for (OpFoldResult &extra : acrossPanels.extras)
    extra = byWidth(extra);
  for (unsigned i = 0; i < op.getFactors().size(); ++i)
    if (unsigned x = op.getExtras().size() + i; op.isFactorPacked(i))
      acrossPanels.extras[x] = extras[x].strides[1];
}

void Emitter::prepareReductions(const FlatView &rhsView) {
  SmallVector<Loop> outer;
  if (op.getBlock() && op.getBounds()[*op.getBlock()] == 1)
    outer.push_back(makeLoop(*op.getBlock()));
  for (unsigned d : dims.reductions)
    outer.push_back(makeLoop(d));
  reducedCount = b.constant(1);
  for (Loop &loop : outer)
    reducedCount = b.multiply(reducedCount, loop.extent);
  Loop run;
  if (outer.empty()) {
    run.extent = b.constant(1);
    run.lhs = run.rhs = run.out = run.sums = b.constant(0);
    run.extras.assign(extras.size(), b.constant(0));
  } else {
    run = outer.pop_back_val();
  }
  if (dims.run == 2) {
    Loop next = outer.pop_back_val();
    int64_t inner = *getConstantIntValue(run.extent);
    if (getConstantIntValue(next.lhs) != inner) {
      brokenRun = inner;
      brokenStride = next.lhs;
    }
    run.extent = b.multiply(run.extent, next.extent);
  }
  if (op.getPacked()) {
    if (countsVectors()) {
      prepareVectors();
    } else if (blockList) {
      stepStride = b.constant(op.getTile()[1] * lanes * step);
    } else if (slotWindows) {
      // Places of weights count panels.
      stepStride = b.constant(0);
      panelStride = b.constant(1);
    } else {
      stepStride = rhsView.strides[2];
      if (hasNibbles())
        stepStride = b.divide(stepStride, 2);
      panelStride = rhsView.strides[1];
    }
    run.rhs = stepStride;
    OpFoldResult stride =
        blockList ? b.constant(1)
                  : b.multiply(stepStride, b.ceilDivide(run.extent, step));
    for (Loop &loop : llvm::reverse(outer)) {
      loop.rhs = stride;
      stride = b.multiply(stride, loop.extent);
    }
    if (blockList) {
      panelStride = stride;
      outer.push_back(splitRun(run));
    }
  } else {
    runStride = run.rhs;
    if (copiesPanels())
      run.rhs = b.constant(op.getTile()[1] * lanes);
    stepStride = run.rhs;
    panelStride = b.constant(0);
  }
  outer.push_back(run);
  // Taps stay apart: the stage does not walk them. Blocks are sums of their
  // own, lists walks of their own, and sums of 16 bits end with their run.
  bool endsWithRun =
      bounded && bounded.getRun() % (bounded.getSteps() * step) != 0;
  if (op.getBlock() || blockList || endsWithRun ||
      (rowStream && rowStream.getTaps() > 1)) {
    reductions.assign(outer.begin(), outer.end());
    return;
  }
  // A run that fills whole steps continues in the reductions around it.
  mergeNeighbours(outer, [&](Loop &a, const Loop &c) {
    auto extent = getConstantIntValue(c.extent);
    if (!extent || *extent % step != 0 || brokenRun)
      return false;
    Loop widened = c;
    // rhs moves once per step, lhs once per element.
    bool isRun = &c == &outer.back();
    auto ca = getConstantIntValue(a.rhs), cc = getConstantIntValue(c.rhs);
    int64_t iterations = isRun ? *extent / step : *extent;
    auto la = getConstantIntValue(a.lhs), lc = getConstantIntValue(c.lhs);
    if (!ca || !cc || !la || !lc || *ca != *cc * iterations ||
        *la != *lc * *extent || (!isRun && step != 1))
      return false;
    widened.extent = b.multiply(a.extent, c.extent);
    a = widened;
    return true;
  });
  reductions.assign(outer.begin(), outer.end());
}
