// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Recognizes what scales in blocks become (lowerBlocks): a contraction with one
// sum for each block, and a generic that adds these up in float. Apart they
// need memory for all the sums; a kernel that knows both keeps them in
// registers.
#include "tamis/Kernels/BlockSums.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::tamis;

/// True if all the body does with the running total is to add to it.
static bool onlyAdds(linalg::GenericOp op) {
  Value sum = op.getBody()->getTerminator()->getOperand(0);
  Value total = op.getRegionOutputArgs()[0];
  while (sum != total) {
    auto add = sum.getDefiningOp<arith::AddFOp>();
    if (!add)
      return false;
    sum = add.getRhs() == total ? total : add.getLhs();
  }
  return total.hasOneUse();
}

static bool isFilledWithZero(Value init) {
  auto fill = init.getDefiningOp<linalg::FillOp>();
  return fill && matchPattern(fill.value(), m_AnyZeroFloat());
}

std::optional<BlockSums> mlir::tamis::findBlockSums(ContractOp op) {
  if (op.hasEpilogue() || !op.getResult() || !op.getResult().hasOneUse())
    return std::nullopt;
  auto added = dyn_cast<linalg::GenericOp>(*op.getResult().user_begin());
  if (!added || added->getBlock() != op->getBlock() ||
      added.getNumReductionLoops() != 1 || added.getNumDpsInits() != 1 ||
      added.hasIndexSemantics() || !isFilledWithZero(added.getDpsInits()[0]) ||
      !onlyAdds(added))
    return std::nullopt;
  SmallVector<unsigned> reduced;
  added.getReductionDims(reduced);
  unsigned dims = op.getOutMap().getNumDims();
  BlockSums result;
  result.added = added;
  // The generic's loops in terms of the contraction's.
  SmallVector<AffineExpr> loops(added.getNumLoops());
  for (OpOperand *input : added.getDpsInputOperands()) {
    if (input->get() != op.getResult())
      continue;
    AffineMap read = added.getMatchingIndexingMap(input);
    if (!read.isPermutation())
      return std::nullopt;
    for (auto [loop, dim] :
         llvm::zip_equal(read.getResults(), op.getOutMap().getResults()))
      loops[cast<AffineDimExpr>(loop).getPosition()] = dim;
  }
  auto translate = [&](AffineMap map) {
    return map.replaceDimsAndSymbols(loops, {}, dims, 0);
  };
  result.block = cast<AffineDimExpr>(loops[reduced[0]]).getPosition();
  for (OpOperand *input : added.getDpsInputOperands()) {
    if (input->get() == op.getResult())
      continue;
    AffineMap map = added.getMatchingIndexingMap(input);
    if (!map.isProjectedPermutation())
      return std::nullopt;
    result.factors.push_back(input->get());
    result.maps.push_back(translate(map));
  }
  AffineMap out = added.getMatchingIndexingMap(added.getDpsInitOperand(0));
  if (!out.isProjectedPermutation())
    return std::nullopt;
  result.out = translate(out);
  // Where no column dimension is left there is nothing to do at vector width.
  if (result.out.getNumResults() == 0)
    return std::nullopt;
  return result;
}

Value BlockSums::getInit() const {
  linalg::GenericOp generic = added;
  return generic.getDpsInits()[0].getDefiningOp<linalg::FillOp>().output();
}

ArrayAttr BlockSums::getIterators(ContractOp op) const {
  SmallVector<Attribute> names(op.getIteratorTypes().getValue());
  names[block] = StringAttr::get(
      op.getContext(),
      utils::stringifyIteratorType(utils::IteratorType::reduction));
  return ArrayAttr::get(op.getContext(), names);
}

void BlockSums::buildCombine(OpBuilder &b, ContractOp op, Region &combine,
                             ArrayRef<Type> narrowed) const {
  OpBuilder::InsertionGuard guard(b);
  linalg::GenericOp generic = added;
  Location loc = generic.getLoc();
  Block *body = b.createBlock(&combine);
  IRMapping mapping;
  mapping.map(
      generic.getRegionOutputArgs()[0],
      body->addArgument(generic.getRegionOutputArgs()[0].getType(), loc));
  Value sum = body->addArgument(op.getAccumulator(), loc);
  unsigned next = 0;
  for (OpOperand *input : generic.getDpsInputOperands()) {
    Value argument = generic.getMatchingBlockArgument(input);
    if (input->get() == op.getResult()) {
      mapping.map(argument, sum);
      continue;
    }
    Type narrow = narrowed.empty() ? Type() : narrowed[next++];
    Value element =
        body->addArgument(narrow ? narrow : argument.getType(), loc);
    if (narrow)
      element = arith::ExtFOp::create(b, loc, argument.getType(), element);
    mapping.map(argument, element);
  }
  for (Operation &inner : generic.getBody()->without_terminator())
    b.clone(inner, mapping);
  YieldOp::create(b, loc,
                  mapping.lookupOrDefault(
                      generic.getBody()->getTerminator()->getOperand(0)));
}
