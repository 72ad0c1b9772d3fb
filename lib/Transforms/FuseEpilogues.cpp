// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Moves elementwise readers of a contraction into its epilogue region, so that
// bias, activation, residual sum and requantization happen on accumulators in
// registers and the raw sum never reaches memory.
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/Transforms/Transforms.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "tamis/Transforms/Passes.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_FUSEEPILOGUES
#include "tamis/Transforms/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

namespace {
/// Why a contraction keeps its epilogue as it is.
enum class Refusal {
  None,
  NoReader,
  ManyReaders,
  Window,
  TwoMaps,
  OtherBlock,
  ReadsInit
};
} // namespace

/// The one operation that reads `value`, null where there are none or several.
static Operation *getOnlyReader(Value value) {
  if (value.use_empty() || !llvm::all_equal(value.getUsers()))
    return nullptr;
  return *value.getUsers().begin();
}

/// Checks whether `generic` computes one element of its result from one
/// element of `contract`'s.
static Refusal checkReader(ContractOp contract, linalg::GenericOp generic) {
  if (generic->getBlock() != contract->getBlock())
    return Refusal::OtherBlock;
  if (generic.getNumDpsInits() != 1 ||
      generic.getNumParallelLoops() != generic.getNumLoops() ||
      !llvm::all_of(
          generic.getIndexingMapsArray(),
          [](AffineMap map) { return map.isProjectedPermutation(); }) ||
      !generic.getMatchingIndexingMap(generic.getDpsInitOperand(0))
           .isPermutation() ||
      generic.hasIndexSemantics())
    return Refusal::Window;
  AffineMap read;
  for (OpOperand *input : generic.getDpsInputOperands()) {
    if (input->get() != contract.getResult())
      continue;
    AffineMap map = generic.getMatchingIndexingMap(input);
    if (!map.isPermutation())
      return Refusal::Window;
    if (read && read != map)
      return Refusal::TwoMaps;
    read = map;
  }
  if (!read || generic.getDpsInitOperand(0)->get() == contract.getResult() ||
      !generic.getMatchingBlockArgument(generic.getDpsInitOperand(0))
           .use_empty())
    return Refusal::ReadsInit;
  return Refusal::None;
}

/// A copy of `contract` with other extras, maps, destination and no epilogue.
static ContractOp cloneWith(OpBuilder &b, Location loc, ContractOp contract,
                            ValueRange extras, ArrayRef<AffineMap> maps,
                            Value init) {
  return ContractOp::create(
      b, loc, init.getType(), contract.getLhs(), contract.getRhs(),
      contract.getLhsZero(), contract.getRhsZero(), extras, init,
      b.getAffineMapArrayAttr(maps), contract.getIteratorTypesAttr(),
      contract.getPadAttr(), contract.getAccumulatorAttr(),
      contract.getLhsUnsignedAttr(), contract.getRhsUnsignedAttr(),
      contract.getOriginAttr());
}

/// Replaces `generic` by a contraction that applies its body at the end of the
/// epilogue.
static ContractOp fuse(ContractOp contract, linalg::GenericOp generic) {
  OpBuilder b(generic);
  AffineMap out = contract.getOutMap();
  unsigned dims = out.getNumDims();

  // The generic's loop dimensions in terms of the contraction's.
  SmallVector<AffineExpr> loops(generic.getNumLoops());
  for (OpOperand *input : generic.getDpsInputOperands()) {
    if (input->get() != contract.getResult())
      continue;
    AffineMap read = generic.getMatchingIndexingMap(input);
    for (auto [loop, dim] :
         llvm::zip_equal(read.getResults(), out.getResults()))
      loops[cast<AffineDimExpr>(loop).getPosition()] = dim;
  }
  auto translate = [&](AffineMap map) {
    return map.replaceDimsAndSymbols(loops, {}, dims, 0);
  };

  SmallVector<AffineMap> maps;
  for (Attribute map : contract.getIndexingMaps())
    maps.push_back(cast<AffineMapAttr>(map).getValue());
  OpOperand *initOperand = generic.getDpsInitOperand(0);
  maps[2] = translate(generic.getMatchingIndexingMap(initOperand));
  SmallVector<Value> extras(contract.getExtras());
  // The position of each of the generic's operands among the epilogue's
  // arguments; equal operands share one.
  SmallVector<unsigned> arguments;
  for (OpOperand *input : generic.getDpsInputOperands()) {
    if (input->get() == contract.getResult()) {
      arguments.push_back(0);
      continue;
    }
    AffineMap map = translate(generic.getMatchingIndexingMap(input));
    unsigned at = 0;
    while (at < extras.size() &&
           (extras[at] != input->get() || maps[3 + at] != map))
      ++at;
    if (at == extras.size()) {
      extras.push_back(input->get());
      maps.push_back(map);
    }
    arguments.push_back(1 + at);
  }

  Location loc = b.getFusedLoc({contract.getLoc(), generic.getLoc()});
  ContractOp fused =
      cloneWith(b, loc, contract, extras, maps, initOperand->get());
  Block *block = b.createBlock(&fused.getEpilogue());
  block->addArgument(contract.getAccumulator(), loc);
  for (Value extra : extras)
    block->addArgument(getElementTypeOrSelf(extra.getType()), extra.getLoc());
  IRMapping mapping;
  Value stored = block->getArgument(0);
  if (contract.hasEpilogue()) {
    Block &old = contract.getEpilogue().front();
    for (auto [from, to] : llvm::zip(old.getArguments(), block->getArguments()))
      mapping.map(from, to);
    for (Operation &op : old.without_terminator())
      b.clone(op, mapping);
    stored = mapping.lookupOrDefault(old.getTerminator()->getOperand(0));
  }
  for (auto [input, argument] :
       llvm::zip_equal(generic.getDpsInputOperands(), arguments))
    mapping.map(generic.getMatchingBlockArgument(input),
                argument ? Value(block->getArgument(argument)) : stored);
  for (Operation &op : generic.getBody()->without_terminator())
    b.clone(op, mapping);
  YieldOp::create(b, loc,
                  mapping.lookupOrDefault(
                      generic.getBody()->getTerminator()->getOperand(0)));
  generic.getResult(0).replaceAllUsesWith(fused.getResult());
  generic.erase();
  contract.erase();
  return fused;
}

/// Lets the contraction store in the order its only reader, a transpose,
/// wants; null where the innermost dimension would change, since then a
/// separate blocked transpose is faster than scattered stores.
static ContractOp absorbTranspose(ContractOp contract,
                                  linalg::TransposeOp transpose) {
  ArrayRef<int64_t> permutation = transpose.getPermutation();
  if (transpose->getBlock() != contract->getBlock() || permutation.empty() ||
      permutation.back() != static_cast<int64_t>(permutation.size()) - 1)
    return nullptr;
  OpBuilder b(transpose);
  SmallVector<AffineMap> maps;
  for (Attribute map : contract.getIndexingMaps())
    maps.push_back(cast<AffineMapAttr>(map).getValue());
  SmallVector<AffineExpr> results;
  for (int64_t i : permutation)
    results.push_back(maps[2].getResult(i));
  maps[2] = AffineMap::get(maps[2].getNumDims(), 0, results, b.getContext());
  ContractOp moved = cloneWith(b, contract.getLoc(), contract,
                               contract.getExtras(), maps, transpose.getInit());
  moved.getEpilogue().takeBody(contract.getEpilogue());
  transpose->getResult(0).replaceAllUsesWith(moved.getResult());
  transpose->erase();
  contract.erase();
  return moved;
}

/// Pushes reshapes of a contraction's result below its elementwise reader.
static LogicalResult sinkReshapes(Operation *root) {
  MLIRContext *context = root->getContext();
  auto control = [](OpOperand *operand) {
    Operation *reshape = operand->get().getDefiningOp();
    if (!isa<linalg::GenericOp>(operand->getOwner()) ||
        !isa_and_nonnull<tensor::CollapseShapeOp, tensor::ExpandShapeOp>(
            reshape))
      return false;
    auto contract = reshape->getOperand(0).getDefiningOp<ContractOp>();
    return contract && getOnlyReader(contract.getResult()) &&
           getOnlyReader(reshape->getResult(0));
  };
  RewritePatternSet patterns(context);
  linalg::populateFoldReshapeOpsByExpansionPatterns(patterns, control);
  linalg::populateFoldReshapeOpsByCollapsingPatterns(patterns, control);
  // A dimension of the result is one of its destination: not a reader.
  tensor::DimOp::getCanonicalizationPatterns(patterns, context);
  tensor::EmptyOp::getCanonicalizationPatterns(patterns, context);
  tensor::populateFoldTensorEmptyPatterns(patterns);
  return applyPatternsGreedily(root, std::move(patterns));
}

namespace {
struct FuseEpilogues : tamis::impl::FuseEpiloguesBase<FuseEpilogues> {
  /// Grows the epilogue of `contract` as far as it goes; says why it stopped.
  Refusal grow(ContractOp contract, bool &changed) {
    while (true) {
      if (!contract.getResult() || contract.getResult().use_empty())
        return Refusal::NoReader;
      Operation *reader = getOnlyReader(contract.getResult());
      if (!reader)
        return Refusal::ManyReaders;
      if (auto transpose = dyn_cast<linalg::TransposeOp>(reader)) {
        ContractOp moved = absorbTranspose(contract, transpose);
        if (!moved)
          return Refusal::Window;
        ++numAbsorbed;
        contract = moved;
      } else if (auto generic = dyn_cast<linalg::GenericOp>(reader)) {
        Refusal refusal = checkReader(contract, generic);
        if (refusal != Refusal::None)
          return refusal;
        contract = fuse(contract, generic);
        ++numFused;
      } else {
        return Refusal::NoReader;
      }
      changed = true;
    }
  }

  void count(Refusal refusal) {
    switch (refusal) {
    case Refusal::ManyReaders:
      ++numManyReaders;
      break;
    case Refusal::Window:
      ++numWindow;
      break;
    case Refusal::TwoMaps:
      ++numTwoMaps;
      break;
    case Refusal::OtherBlock:
      ++numOtherBlock;
      break;
    case Refusal::ReadsInit:
      ++numReadsInit;
      break;
    case Refusal::None:
    case Refusal::NoReader:
      break;
    }
  }

  void runOnOperation() override {
    bool changed = true;
    SmallVector<Refusal> refusals;
    while (changed) {
      changed = false;
      refusals.clear();
      if (failed(sinkReshapes(getOperation())))
        return signalPassFailure();
      // The last contraction of a residual sum takes it: the other operand is
      // then ready. Hence backwards.
      SmallVector<ContractOp> contracts;
      getOperation()->walk([&](ContractOp op) { contracts.push_back(op); });
      for (ContractOp contract : llvm::reverse(contracts))
        refusals.push_back(grow(contract, changed));
    }
    for (Refusal refusal : refusals)
      count(refusal);
  }
};
} // namespace
