// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes a decision about a contraction down: padding made real, the right
// operand and the factors of blocks packed, a tamis_kernel.contract.
#include "Decision.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Kernels/Operands.h"

using namespace mlir;
using namespace mlir::tamis;

int64_t mlir::tamis::getProduct(ArrayRef<unsigned> dims,
                                ArrayRef<int64_t> bounds) {
  int64_t result = 1;
  for (unsigned d : dims) {
    if (ShapedType::isDynamic(bounds[d]))
      return ShapedType::kDynamic;
    result *= bounds[d];
  }
  return result;
}

/// Creates the pack of rhs; returns packed operand and column sums.
static std::pair<Value, Value> packRhs(ImplicitLocOpBuilder &b, ContractOp op,
                                       const Decision &decision) {
  const ContractionDims &dims = decision.dims;
  InstructionAttrInterface instruction = decision.instruction;
  int64_t step = instruction.getReductionStep();
  int64_t width = decision.tiling.vectors * instruction.getLanes();
  auto position = [&](unsigned d) {
    return static_cast<int64_t>(
        *op.getRhsMap().getResultPosition(b.getAffineDimExpr(d)));
  };
  auto positions = [&](ArrayRef<unsigned> list) {
    return llvm::map_to_vector(list, position);
  };
  // Sizes: [groups][panels][steps][width * step]; dynamic ones as values.
  SmallVector<int64_t> shape;
  SmallVector<Value> sizes;
  auto dynamicProduct = [&](ArrayRef<unsigned> list) {
    Value size = arith::ConstantIndexOp::create(b, 1);
    for (unsigned d : list)
      size = arith::MulIOp::create(
          b, size,
          getValueOrCreateConstantIndexOp(b, b.getLoc(),
                                          getBound(b, op, d, decision.bounds)));
    return size;
  };
  auto append = [&](int64_t size, function_ref<Value()> value) {
    shape.push_back(size);
    if (ShapedType::isDynamic(size))
      sizes.push_back(value());
  };
  auto ceilDivide = [&](Value size, int64_t by) -> Value {
    return arith::CeilDivUIOp::create(b, size,
                                      arith::ConstantIndexOp::create(b, by));
  };
  append(getProduct(dims.groups, decision.bounds),
         [&] { return dynamicProduct(dims.groups); });
  int64_t columns = decision.bounds[dims.column];
  append(ShapedType::isDynamic(columns)
             ? columns
             : static_cast<int64_t>(llvm::divideCeil(columns, width)),
         [&] { return ceilDivide(dynamicProduct({dims.column}), width); });
  SmallVector<int64_t> sumShape = shape;
  SmallVector<Value> sumSizes = sizes;
  ArrayRef<unsigned> reductions = dims.reductions;
  int64_t outer = getProduct(reductions.drop_back(dims.run), decision.bounds);
  int64_t run = getProduct(reductions.take_back(dims.run), decision.bounds);
  append(ShapedType::isDynamic(run)
             ? run
             : outer * static_cast<int64_t>(llvm::divideCeil(run, step)),
         [&] {
           Value steps =
               ceilDivide(dynamicProduct(reductions.take_back(dims.run)), step);
           return arith::MulIOp::create(
               b, steps, arith::ConstantIndexOp::create(b, outer));
         });
  if (decision.nibbles)
    shape.back() /= 2;
  shape.push_back(width * step);

  Type rhsType = getElementTypeOrSelf(op.getRhs().getType());
  Type packedElement = instruction.getPackedType(rhsType);
  Value packed = tensor::EmptyOp::create(b, shape, packedElement, sizes);
  Value sums;
  SmallVector<Type> results{packed.getType()};
  if (decision.needsSums) {
    if (!ShapedType::isDynamic(sumShape[1]))
      sumShape[1] *= width;
    else
      sumSizes.back() = arith::MulIOp::create(
          b, sumSizes.back(), arith::ConstantIndexOp::create(b, width));
    sums = tensor::EmptyOp::create(b, sumShape, b.getI32Type(), sumSizes);
    results.push_back(sums.getType());
  }
  bool hasColumn = op.getRhsMap().isFunctionOfDim(dims.column);
  auto pack = kernel::PackOp::create(
      b, results[0], results.size() > 1 ? results[1] : Type(), op.getRhs(),
      packed, sums, b.getDenseI64ArrayAttr(positions(dims.groups)),
      b.getI64IntegerAttr(hasColumn ? position(dims.column) : -1),
      b.getDenseI64ArrayAttr(positions(dims.reductions)),
      b.getI64IntegerAttr(dims.run), b.getI64IntegerAttr(step),
      b.getI64IntegerAttr(decision.rhsOffset),
      op.getRhsUnsigned() ? b.getUnitAttr() : UnitAttr(),
      decision.nibbles ? b.getUnitAttr() : UnitAttr());
  return {pack.getPackedResult(), pack.getSumsResult()};
}

/// Packs factor `i` of blocks in panels as wide as those of rhs, if it follows
/// the columns.
static Value packFactor(ImplicitLocOpBuilder &b, const Decision &decision,
                        unsigned i) {
  const BlockSums &blocks = *decision.blocks;
  Value factor = blocks.factors[i];
  AffineMap map = blocks.maps[i];
  auto column = map.getResultPosition(b.getAffineDimExpr(decision.dims.column));
  auto block = map.getResultPosition(b.getAffineDimExpr(blocks.block));
  if (!column || !block)
    return factor;
  auto type = cast<RankedTensorType>(factor.getType());
  int64_t width = decision.tiling.vectors * decision.instruction.getLanes();
  int64_t panels = llvm::divideCeil(type.getDimSize(*column), width);
  Type element = decision.narrowed[i];
  Value packed = tensor::EmptyOp::create(
      b, ArrayRef<int64_t>{1, panels, type.getDimSize(*block), width},
      element ? element : type.getElementType());
  return kernel::PackOp::create(
             b, packed.getType(), Type(), factor, packed, Value(),
             b.getDenseI64ArrayAttr({}), b.getI64IntegerAttr(*column),
             b.getDenseI64ArrayAttr({static_cast<int64_t>(*block)}),
             b.getI64IntegerAttr(1), b.getI64IntegerAttr(1),
             b.getI64IntegerAttr(0), UnitAttr(), UnitAttr())
      .getPackedResult();
}

kernel::ContractOp mlir::tamis::applyDecision(RewriterBase &rewriter,
                                              ContractOp op,
                                              const Decision &decision) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  const std::optional<BlockSums> &blocks = decision.blocks;
  Operation *last = op;
  if (blocks)
    last = blocks->added;
  b.setInsertionPoint(last);
  Value lhs = padLhs(b, op, decision.bounds);
  Value rhs = op.getRhs(), sums;
  if (decision.packed)
    std::tie(rhs, sums) = packRhs(b, op, decision);
  const Tiling &tiling = decision.tiling;
  Value rhsZero = decision.rhsZeroFolded ? Value() : op.getRhsZero();
  // An unsigned operand without a zero point still carries the packer's offset.
  if (!rhsZero && !decision.rhsZeroFolded && decision.rhsOffset != 0)
    rhsZero = arith::ConstantOp::create(b, b.getI32IntegerAttr(0));
  SmallVector<Value> factors;
  SmallVector<Attribute> maps(op.getIndexingMaps().getValue());
  maps[2] = AffineMapAttr::get(decision.out);
  if (blocks)
    for (auto [i, map] : llvm::enumerate(blocks->maps)) {
      factors.push_back(packFactor(b, decision, i));
      maps.push_back(AffineMapAttr::get(map));
    }
  auto unit = [&](bool value) { return value ? b.getUnitAttr() : UnitAttr(); };
  auto contract = kernel::ContractOp::create(
      b, decision.init.getType(), lhs, rhs, /*stream=*/ValueRange(), sums,
      op.getLhsZero(), rhsZero, op.getExtras(), factors, decision.init,
      b.getArrayAttr(maps),
      blocks ? blocks->getIterators(op) : op.getIteratorTypesAttr(),
      b.getDenseI64ArrayAttr(decision.bounds), op.getAccumulatorAttr(),
      decision.instruction, b.getDenseI64ArrayAttr(tiling.getTile()),
      b.getI64IntegerAttr(decision.tasks), unit(decision.packed),
      unit(decision.nibbles),
      blocks ? b.getI64IntegerAttr(blocks->block) : IntegerAttr(),
      /*storage=*/nullptr, op.getLhsUnsignedAttr(), op.getRhsUnsignedAttr(),
      op.getOriginAttr());
  rewriter.inlineRegionBefore(op.getEpilogue(), contract.getEpilogue(),
                              contract.getEpilogue().begin());
  if (!blocks) {
    recordChoice(contract, decision.choice);
    rewriter.replaceOp(op, contract.getResult());
    return contract;
  }
  blocks->buildCombine(b, op, contract.getCombine(), decision.narrowed);
  rewriter.replaceOp(blocks->added, contract.getResult());
  rewriter.eraseOp(op);
  return contract;
}
