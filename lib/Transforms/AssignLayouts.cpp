// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Channels-last activations. A convolution wants the channel contiguous (its
// reduction and its output vector), the model has it second; moving it per
// convolution would copy every activation twice. So the decision is taken for
// chains (DimensionLabels), and every operation that can work in any layout
// is rewritten in place (LayoutRewriter): transposes remain only where a chain
// begins or ends, and some of those their readers absorb.
#include "LayoutRewriter.h"
#include "tamis/Transforms/Passes.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_ASSIGNLAYOUTS
#include "tamis/Transforms/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

/// `map` as the reader of an operand whose dimensions are in the order
/// `permutation`.
static AffineMap permuteMap(AffineMap map, ArrayRef<int64_t> permutation) {
  SmallVector<AffineExpr> results =
      applyPermutation(map.getResults(), permutation);
  return AffineMap::get(map.getNumDims(), 0, results, map.getContext());
}

/// Lets the readers of a transpose that keeps the innermost dimension read its
/// input through a permuted map: rows stay contiguous, the copy goes away.
static bool absorb(linalg::TransposeOp op) {
  ArrayRef<int64_t> permutation = op.getPermutation();
  if (permutation.empty() ||
      permutation.back() != static_cast<int64_t>(permutation.size()) - 1)
    return false;
  SmallVector<int64_t> inverse = invertPermutationVector(permutation);
  bool any = false;
  for (OpOperand &use :
       llvm::make_early_inc_range(op->getResult(0).getUses())) {
    unsigned index = use.getOperandNumber();
    if (auto generic = dyn_cast<linalg::GenericOp>(use.getOwner())) {
      if (generic.isDpsInit(&use))
        continue;
      SmallVector<AffineMap> maps = generic.getIndexingMapsArray();
      maps[index] = permuteMap(maps[index], inverse);
      generic.setIndexingMapsAttr(
          Builder(op.getContext()).getAffineMapArrayAttr(maps));
    } else if (auto contract = dyn_cast<ContractOp>(use.getOwner())) {
      if (contract.isDpsInit(&use))
        continue;
      // Between rhs and extras lie the zero points, which no transpose makes.
      unsigned map = index;
      if (index >= 2)
        map = 3 + index - contract.getExtras().getBeginOperandIndex();
      SmallVector<Attribute> maps(contract.getIndexingMaps().getValue());
      maps[map] = AffineMapAttr::get(
          permuteMap(cast<AffineMapAttr>(maps[map]).getValue(), inverse));
      contract.setIndexingMapsAttr(ArrayAttr::get(op.getContext(), maps));
      if (index == 0)
        contract.setPad(applyPermutation(contract.getPad(), inverse));
    } else {
      continue;
    }
    use.set(op.getInput());
    any = true;
  }
  return any;
}

namespace {
struct AssignLayouts : tamis::impl::AssignLayoutsBase<AssignLayouts> {
  void runOnOperation() override {
    DimensionLabels labels(getOperation());
    if (!labels.empty())
      numValues += rewriteLayouts(getOperation(), labels);
    SmallVector<linalg::TransposeOp> transposes;
    getOperation().walk(
        [&](linalg::TransposeOp op) { transposes.push_back(op); });
    for (linalg::TransposeOp op : transposes) {
      if (absorb(op))
        ++numAbsorbed;
      if (op->use_empty())
        op.erase();
      else
        ++numTransposes;
    }
  }
};
} // namespace
