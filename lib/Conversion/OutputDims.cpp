// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How result dimensions follow from argument dimensions: the shape arithmetic
// of @main, cut out into a function of its own.
#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Analysis/TopologicalSortUtils.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "tamis/Conversion/Passes.h"
#include "tamis/IR/Tamis.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_OUTPUTDIMS
#include "tamis/Conversion/Passes.h.inc"

namespace {

/// Reifies every dynamic result dimension before the return and simplifies
/// `tensor.dim` as far as the arguments. Returns one value or constant per
/// result dimension.
SmallVector<SmallVector<OpFoldResult>> reifyResults(func::FuncOp main) {
  auto ret = cast<func::ReturnOp>(main.getBody().back().getTerminator());
  OpBuilder b(ret);
  // As further operands of the return they live through the rewrites.
  unsigned results = ret.getNumOperands();
  SmallVector<Value> dynamic;
  for (Value result : ret.getOperands()) {
    auto type = cast<RankedTensorType>(result.getType());
    for (int64_t d = 0; d < type.getRank(); ++d)
      if (type.isDynamicDim(d))
        dynamic.push_back(tensor::DimOp::create(b, ret.getLoc(), result, d));
  }
  ret->insertOperands(results, dynamic);
  RewritePatternSet patterns(main.getContext());
  memref::populateResolveRankedShapedTypeResultDimsPatterns(patterns);
  memref::populateResolveShapedTypeResultDimsPatterns(patterns);
  tensor::DimOp::getCanonicalizationPatterns(patterns, main.getContext());
  affine::AffineApplyOp::getCanonicalizationPatterns(patterns,
                                                     main.getContext());
  (void)applyPatternsGreedily(main, std::move(patterns));

  SmallVector<SmallVector<OpFoldResult>> dims;
  unsigned next = results;
  for (Value result : ret.getOperands().take_front(results)) {
    auto type = cast<RankedTensorType>(result.getType());
    auto &list = dims.emplace_back();
    for (int64_t d = 0; d < type.getRank(); ++d)
      if (type.isDynamicDim(d))
        list.push_back(ret.getOperand(next++));
      else
        list.push_back(b.getIndexAttr(type.getDimSize(d)));
  }
  ret->eraseOperands(results, dynamic.size());
  return dims;
}

/// True if `op` is arithmetic on dimensions that needs no data.
bool isShapeArithmetic(Operation *op) {
  if (auto dim = dyn_cast<tensor::DimOp>(op)) {
    std::optional<int64_t> index = dim.getConstantIndex();
    auto type = dyn_cast<RankedTensorType>(dim.getSource().getType());
    return isa<BlockArgument>(dim.getSource()) && type && index &&
           *index >= 0 && *index < type.getRank();
  }
  return isa<affine::AffineApplyOp, affine::AffineMaxOp, affine::AffineMinOp>(
             op) ||
         isa<arith::ArithDialect>(op->getDialect());
}

struct OutputDims : impl::OutputDimsBase<OutputDims> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto main = module.lookupSymbol<func::FuncOp>("main");
    if (!main || main.isExternal() || module.lookupSymbol("output_dims"))
      return;
    auto dims = reifyResults(main);

    OpBuilder b(main);
    Type index = b.getIndexType();
    unsigned inputs = 0, outputs = 0;
    for (Type type : main.getArgumentTypes())
      inputs += cast<RankedTensorType>(type).getRank();
    for (Type type : main.getResultTypes())
      outputs += cast<RankedTensorType>(type).getRank();
    auto function = func::FuncOp::create(
        b, main.getLoc(), "output_dims",
        b.getFunctionType(SmallVector<Type>(inputs, index),
                          SmallVector<Type>(outputs, index)));
    function.setPrivate();
    Block *entry = function.addEntryBlock();
    b.setInsertionPointToStart(entry);

    SmallVector<unsigned> firstDim;
    unsigned total = 0;
    for (Type type : main.getArgumentTypes()) {
      firstDim.push_back(total);
      total += cast<RankedTensorType>(type).getRank();
    }
    IRMapping mapping;
    SmallVector<Value> results;
    for (auto [r, list] : llvm::enumerate(dims)) {
      bool unbounded = false;
      for (OpFoldResult dim : list) {
        std::optional<Value> value = rebuild(b, main, dim, firstDim, mapping);
        unbounded |= !value;
        results.push_back(
            value ? *value
                  : arith::ConstantIndexOp::create(b, main.getLoc(), -1)
                        .getResult());
      }
      if (unbounded)
        main.setResultAttr(r, "tamis.unbounded", b.getUnitAttr());
    }
    func::ReturnOp::create(b, main.getLoc(), results);
  }

  /// Clones the arithmetic behind `dim`; nothing if it needs data.
  std::optional<Value> rebuild(OpBuilder &b, func::FuncOp main,
                               OpFoldResult dim, ArrayRef<unsigned> firstDim,
                               IRMapping &mapping) {
    Block *entry = b.getInsertionBlock();
    if (auto attr = dyn_cast<Attribute>(dim))
      return arith::ConstantIndexOp::create(b, main.getLoc(),
                                            cast<IntegerAttr>(attr).getInt())
          .getResult();
    Value value = cast<Value>(dim);
    if (!value.getDefiningOp())
      return std::nullopt;
    SetVector<Operation *> slice;
    BackwardSliceOptions options;
    options.inclusive = true;
    options.omitUsesFromAbove = false;
    options.filter = [&](Operation *op) { return !isa<func::FuncOp>(op); };
    if (failed(getBackwardSlice(value, &slice, options)) ||
        !llvm::all_of(slice, isShapeArithmetic))
      return std::nullopt;
    slice = topologicalSort(slice);
    for (Operation *op : slice) {
      if (mapping.contains(op->getNumResults() ? op->getResult(0) : Value()))
        continue;
      if (auto tensorDim = dyn_cast<tensor::DimOp>(op)) {
        auto argument = cast<BlockArgument>(tensorDim.getSource());
        mapping.map(op->getResult(0),
                    entry->getArgument(firstDim[argument.getArgNumber()] +
                                       *tensorDim.getConstantIndex()));
        continue;
      }
      b.clone(*op, mapping);
    }
    return mapping.lookup(value);
  }
};

} // namespace
} // namespace mlir::tamis
