// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the fragments that could multiply a contraction are expected to take,
// for the report.
#include "tamis/Gpu/FragmentPrice.h"
#include "tamis/Gpu/Passes.h"
#include "tamis/Kernels/Candidates.h"
#include "tamis/Target/Target.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_PRICEFRAGMENTS
#include "tamis/Gpu/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::device;

static double getBytes(Value value) {
  return getTypicalBytes(cast<ShapedType>(value.getType()));
}

/// Of dynamic bounds the typical one.
static FragmentProblem describe(device::ContractOp op, double &weights) {
  FragmentProblem problem;
  for (auto [dim, bound] : llvm::enumerate(op.getBounds())) {
    double size = double(ShapedType::isDynamic(bound) ? kTypicalRows : bound);
    bool isRow = op.getLhsMap().isFunctionOfDim(dim);
    bool isColumn = op.getRhsMap().isFunctionOfDim(dim);
    bool isResult = op.getOutMap().isFunctionOfDim(dim);
    (!isResult           ? problem.depth
     : isRow && isColumn ? problem.groups
     : isColumn          ? problem.columns
                         : problem.rows) *= size;
  }
  weights = getBytes(op.getRhs());
  if (op.getMetadata())
    weights += getBytes(op.getMetadata());
  problem.bytes = getBytes(op.getLhs()) + getBytes(op.getInit());
  for (Value extra : op.getExtras())
    if (isa<ShapedType>(extra.getType()))
      problem.bytes += getBytes(extra);
  return problem;
}

static std::string getCandidateName(FragmentAttrInterface instruction,
                                    TilesAttr tiles) {
  std::string name;
  llvm::raw_string_ostream(name)
      << (instruction.isSparse() ? "2:4 " : "dense ")
      << instruction.getInstructionName() << " " << tiles.getRows() << "x"
      << tiles.getChannels();
  return name;
}

namespace {
struct PriceFragments : public tamis::impl::PriceFragmentsBase<PriceFragments> {
  using PriceFragmentsBase::PriceFragmentsBase;

  void runOnOperation() override {
    getOperation().walk([&](device::ContractOp op) {
      TargetAttr target = getTarget(op);
      if (!target)
        return;
      FragmentAttrInterface taken = op.getInstruction();
      bool isSparse = taken.isSparse();
      double weights = 0;
      FragmentProblem problem = describe(op, weights);
      double others = problem.bytes;
      ProfileAttr profile = getProfile(op, target);
      KernelChoice choice;
      choice.chosen = getCandidateName(taken, op.getTiles());
      choice.reason = isSparse ? "two of four weights are zero"
                               : "the first that takes these types";
      for (FragmentAttrInterface instruction : getFragments(target)) {
        if (!instruction.accepts(getElementTypeOrSelf(op.getLhs().getType()),
                                 getElementTypeOrSelf(op.getRhs().getType()),
                                 op.getAccumulator(), op.getLhsUnsigned(),
                                 op.getRhsUnsigned()) ||
            (instruction.isSparse() && !isSparse))
          continue;
        // All zeros are there where weights are dense: twice what is stored,
        // without the fifth of it that is metadata.
        problem.bytes =
            others +
            (isSparse && !instruction.isSparse() ? weights * 2 * 0.8 : weights);
        std::optional<double> time =
            priceFragment(profile, instruction, op.getTiles().getRows(),
                          op.getTiles().getChannels(), problem);
        if (time)
          choice.candidates.push_back(
              {getCandidateName(instruction, op.getTiles()), *time,
               std::nullopt});
      }
      if (choice.candidates.empty())
        return;
      recordChoice(op, choice);
      ++numPriced;
    });
  }
};
} // namespace
