// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Scales in blocks of what is summed over: each block is a sum of its own,
// exact, and the blocks are added up in float (contract_n3). Where the first
// operand has no zero point the weights are multiplied as the codes they are,
// by integers or by floats, and their own zero points and offsets multiply the
// sums of its rows: kernels then read few bits (CodeProduct.cpp).
#include "QuantizedProduct.h"
#include "QuantizedTail.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::tamis;

static RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

Value tamis::splitAxis(OpBuilder &b, Location loc, Value value, int64_t axis,
                       int64_t size, int64_t block, Value filler) {
  Type element = typeOf(value).getElementType();
  SmallVector<int64_t> shape(typeOf(value).getShape());
  if (shape[axis] != size) {
    shape[axis] = size;
    value = tensor::CastOp::create(
        b, loc, RankedTensorType::get(shape, element), value);
  }
  int64_t count = llvm::divideCeil(size, block);
  if (int64_t missing = count * block - size) {
    SmallVector<OpFoldResult> low(shape.size(), b.getIndexAttr(0)), high = low;
    high[axis] = b.getIndexAttr(missing);
    shape[axis] += missing;
    Value scalar =
        filler ? tensor::ExtractOp::create(b, loc, filler, ValueRange())
                     .getResult()
               : arith::ConstantOp::create(b, loc, b.getZeroAttr(element));
    value = tensor::PadOp::create(b, loc, RankedTensorType::get(shape, element),
                                  value, low, high, scalar);
  }
  shape[axis] = count;
  shape.insert(shape.begin() + axis + 1, block);
  SmallVector<ReassociationIndices> groups;
  for (int64_t i = 0, at = 0; i < typeOf(value).getRank(); ++i) {
    groups.push_back({at++});
    if (i == axis)
      groups.back().push_back(at++);
  }
  return tensor::ExpandShapeOp::create(
      b, loc, RankedTensorType::get(shape, element), value, groups);
}

/// True if the sums, where their sizes are known, take more than 256 MiB.
static bool takesTooMuch(ArrayRef<OpFoldResult> sizes) {
  constexpr int64_t most = (int64_t(256) << 20) / sizeof(int32_t);
  int64_t count = 1;
  for (OpFoldResult size : sizes)
    if (auto known = getConstantIntValue(size))
      count = std::min(count * *known, most + 1);
  return count > most;
}

AffineMap tamis::splitResult(AffineMap map, int64_t at, unsigned numDims,
                             AffineExpr block) {
  SmallVector<AffineExpr> exprs(map.getResults());
  exprs.insert(exprs.begin() + at, block);
  return AffineMap::get(numDims, 0, exprs, map.getContext());
}

std::optional<int64_t> tamis::findLhsAxis(ContractOp op, unsigned loop) {
  AffineMap map = op.getLhsMap();
  std::optional<int64_t> axis;
  for (auto [i, expr] : llvm::enumerate(map.getResults())) {
    if (!expr.isFunctionOfDim(loop))
      continue;
    if (axis || !isa<AffineDimExpr>(expr) || op.getPad()[i] != 0)
      return std::nullopt;
    axis = i;
  }
  return axis;
}

AffineExpr BlockLoops::getPlace(AffineMap out, AffineExpr loop) const {
  if (auto at = out.getResultPosition(loop))
    return getAffineDimExpr(*at, out.getContext());
  for (auto [i, expr] : llvm::enumerate(summed))
    if (expr == loop)
      return getAffineDimExpr(out.getNumResults() + i, out.getContext());
  return {};
}

BlockLoops tamis::makeBlockLoops(OpBuilder &b, ContractOp op, DequantizeOp w,
                                 int64_t lhsAxis) {
  BlockLoops blocks;
  blocks.lhsAxis = lhsAxis;
  blocks.rhsAxis = *w.getAxis();
  blocks.block = *w.getBlockSize();
  blocks.size = typeOf(w.getInput()).getDimSize(blocks.rhsAxis);
  AffineMap rhs = op.getRhsMap(), out = op.getOutMap();
  unsigned numLoops = rhs.getNumDims(), outRank = out.getNumResults();
  unsigned numDims = numLoops + 1;
  AffineExpr blockLoop = b.getAffineDimExpr(numLoops);
  AffineMap newRhs = splitResult(rhs, blocks.rhsAxis, numDims, blockLoop);

  SmallVector<utils::IteratorType> kinds = op.getIterators();
  kinds.push_back(utils::IteratorType::parallel);
  SmallVector<AffineExpr> sumExprs, scaleExprs;
  SmallVector<AffineExpr> &outExprs = blocks.summed;
  for (int64_t i = 0; i < int64_t(rhs.getNumResults()); ++i) {
    AffineExpr loop = i == blocks.rhsAxis ? blockLoop : rhs.getResult(i);
    if (auto at = out.getResultPosition(loop)) {
      scaleExprs.push_back(b.getAffineDimExpr(*at));
      continue;
    }
    kinds[cast<AffineDimExpr>(loop).getPosition()] =
        utils::IteratorType::parallel;
    AffineExpr summed = b.getAffineDimExpr(outRank + outExprs.size());
    outExprs.push_back(loop);
    sumExprs.push_back(summed);
    scaleExprs.push_back(summed);
    blocks.loops.sizes.push_back(b.getIndexAttr(
        i == blocks.rhsAxis ? llvm::divideCeil(blocks.size, blocks.block)
                            : typeOf(w.getInput()).getDimSize(i)));
  }
  unsigned numSums = outRank + outExprs.size();
  SmallVector<AffineExpr> results(outExprs);
  llvm::append_range(results, out.getResults());
  for (unsigned i = 0; i < outRank; ++i)
    sumExprs.push_back(b.getAffineDimExpr(i));
  llvm::append_range(blocks.loops.sizes,
                     tensor::getMixedSizes(b, op.getLoc(), op.getInit()));
  MLIRContext *context = b.getContext();
  blocks.loops.maps = b.getAffineMapArrayAttr(
      {splitResult(op.getLhsMap(), lhsAxis, numDims, blockLoop), newRhs,
       AffineMap::get(numDims, 0, results, context)});
  SmallVector<Attribute> names;
  for (utils::IteratorType kind : kinds)
    names.push_back(b.getStringAttr(utils::stringifyIteratorType(kind)));
  blocks.loops.iterators = b.getArrayAttr(names);
  SmallVector<int64_t> pad(op.getPad());
  pad.insert(pad.begin() + lhsAxis, 0);
  blocks.loops.pad = b.getDenseI64ArrayAttr(pad);
  blocks.sumMap = AffineMap::get(numSums, 0, sumExprs, context);
  blocks.scaleMap = AffineMap::get(numSums, 0, scaleExprs, context);
  blocks.outMap = AffineMap::getMultiDimIdentityMap(numSums, context)
                      .getMajorSubMap(outRank);
  return blocks;
}

void tamis::addBlocksUp(
    OpBuilder &b, ContractOp op, const BlockLoops &blocks, ValueRange inputs,
    ArrayRef<AffineMap> inputMaps,
    function_ref<Value(OpBuilder &, Location, ValueRange)> add) {
  Location loc = op.getLoc();
  Value zero = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(0));
  Value empty = tensor::EmptyOp::create(
      b, loc, tensor::getMixedSizes(b, loc, op.getInit()), b.getF32Type());
  Value init = linalg::FillOp::create(b, loc, zero, empty).getResult(0);
  SmallVector<AffineMap> maps(inputMaps);
  maps.push_back(blocks.outMap);
  SmallVector<utils::IteratorType> kinds(blocks.outMap.getNumDims(),
                                         utils::IteratorType::reduction);
  std::fill_n(kinds.begin(), blocks.outMap.getNumResults(),
              utils::IteratorType::parallel);
  auto added = linalg::GenericOp::create(
      b, loc, init.getType(), inputs, init, maps, kinds,
      [&](OpBuilder &b, Location loc, ValueRange args) {
        linalg::YieldOp::create(b, loc, add(b, loc, args));
      });
  Value result = added.getResult(0);
  if (result.getType() != op.getResult().getType())
    result = tensor::CastOp::create(b, loc, op.getResult().getType(), result);
  op.getResult().replaceAllUsesWith(result);
  op.erase();
}

std::optional<StringRef> tamis::lowerBlocks(ContractOp op, DequantizeOp x,
                                            DequantizeOp w,
                                            SymbolTable &symbols) {
  auto weights = typeOf(w.getInput());
  int64_t axis = *w.getAxis(), block = *w.getBlockSize();
  AffineMap rhsMap = op.getRhsMap();
  unsigned loop = rhsMap.getDimPosition(axis);
  if (op.getRhs() != w.getResult())
    return StringRef("its second operand has scales in blocks of grouped "
                     "channels");
  if (op.getOutMap().getResultPosition(rhsMap.getResult(axis)))
    return StringRef("its second operand's blocks lie along a dimension that "
                     "is not summed over");
  if (!weights.hasStaticShape())
    return StringRef("the size of its second operand, which has scales in "
                     "blocks, is not known");
  std::optional<int64_t> lhsAxis = findLhsAxis(op, loop);
  if (!lhsAxis)
    return StringRef("its second operand's blocks lie along a window");

  if (lowerCodes(op, x, w, *lhsAxis, symbols))
    return std::nullopt;
  if (!x)
    return StringRef("its first operand is not dequantized");
  if (typeOf(x.getScale()).getRank() != 0)
    return StringRef("its first operand has more than one scale");
  if (x.getOffset() || w.getOffset())
    return StringRef("an operand has a real offset beside its scale");

  OpBuilder b(op);
  Location loc = op.getLoc();
  BlockLoops blocks = makeBlockLoops(b, op, w, *lhsAxis);
  if (takesTooMuch(blocks.loops.sizes))
    return StringRef("the sums of its second operand's blocks take more than "
                     "256 MiB");
  int64_t size = blocks.size;
  // Where the activations are filled up, with real zero, any weight will do.
  QuantizedOperand rhs = {
      splitAxis(b, loc, w.getInput(), axis, size, block, nullptr), Value(),
      w.getIsUnsigned()};
  if (auto common = getCommonZeroPoint(b, w.getZeroPoint(), symbols)) {
    rhs.zeroPoint = *common;
  } else {
    // Those of an element of the split weights.
    SmallVector<AffineExpr> exprs;
    for (int64_t i = 0; i < weights.getRank(); ++i)
      exprs.push_back(b.getAffineDimExpr(i > axis ? i + 1 : i));
    rhs.value = subtractZeroPoints(
        b, w, rhs.value,
        AffineMap::get(weights.getRank() + 1, 0, exprs, b.getContext()),
        symbols);
    rhs.isUnsigned = false;
    if (!rhs.value)
      return StringRef("its second operand has more than one zero point");
  }
  QuantizedOperand lhs = {
      splitAxis(b, loc, x.getInput(), *lhsAxis, size, block, x.getZeroPoint()),
      x.getZeroPoint(), x.getIsUnsigned()};
  ExactSum sum = buildExactSum(b, op, lhs, rhs, blocks.loops);

  SmallVector<Value> inputs(sum.sums);
  SmallVector<AffineMap> maps(inputs.size(), blocks.sumMap);
  inputs.push_back(combineScales(b, loc, x.getScale(), w.getScale(), nullptr));
  maps.push_back(blocks.scaleMap);
  addBlocksUp(b, op, blocks, inputs, maps,
              [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
                Value scale = args.drop_back().back();
                Value y = buildTotal(b, loc, sum, args.drop_back(2), nullptr);
                return arith::AddFOp::create(
                    b, loc, args.back(),
                    arith::MulFOp::create(b, loc, y, scale));
              });
  return std::nullopt;
}
