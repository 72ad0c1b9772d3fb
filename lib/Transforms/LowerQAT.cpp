// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Turns DQ-op-Q groups into integer operations. The pattern means its QLinear
// formula (docs/Numerics.md): exact integer sums, one float scale
// (x_scale * w_scale) / y_scale, one rounding.
#include "QuantizedMovement.h"
#include "QuantizedProduct.h"
#include "QuantizedTail.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "tamis/Gpu/Tensor.h"
#include "tamis/Support/QuantMath.h"
#include "tamis/Target/Target.h"
#include "tamis/Transforms/ConstantTensor.h"
#include "tamis/Transforms/Passes.h"
#include <cmath>
#include <cstring>

namespace mlir::tamis {
#define GEN_PASS_DEF_LOWERQAT
#include "tamis/Transforms/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

namespace {
struct LowerQAT : tamis::impl::LowerQATBase<LowerQAT> {
  void runOnOperation() override;
  /// Lowers `op`, or returns why it stays float.
  std::optional<StringRef> lower(ContractOp op);
  bool lowerFloatProduct(ContractOp op, DequantizeOp w);
  bool isAccumulatorScale(Value scale, DequantizeOp x, DequantizeOp w);
  Value makeBias(OpBuilder &b, Tail &tail, DequantizeOp x, DequantizeOp w,
                 Parameter productScale);

  SymbolTable *symbols = nullptr;
};
} // namespace

static RankedTensorType getType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// True unless `scale` is known to differ from x's scale times w's.
bool LowerQAT::isAccumulatorScale(Value scale, DequantizeOp x, DequantizeOp w) {
  auto have = readFloats(scale, *symbols);
  auto xScale = readFloats(x.getScale(), *symbols);
  auto wScale = readFloats(w.getScale(), *symbols);
  if (!have || !xScale || !wScale)
    return true;
  for (size_t i = 0; i < std::max(have->size(), wScale->size()); ++i) {
    double expected = double((*xScale)[0]) * (*wScale)[i % wScale->size()];
    // Quantizers differ in the last bits of the product, no more.
    if (std::fabs((*have)[i % have->size()] - expected) > 1e-4 * expected)
      return false;
  }
  return true;
}

//===-- the contraction ---------------------------------------------------===//

/// The dequantize behind a weight, and the reshape that splits its channels
/// into groups, if any.
static DequantizeOp getWeights(Value rhs, tensor::ExpandShapeOp &split) {
  split = rhs.getDefiningOp<tensor::ExpandShapeOp>();
  return (split ? split.getSrc() : rhs).getDefiningOp<DequantizeOp>();
}

/// True if what `op` sums up is known to be short enough for sums of products
/// of bytes to be exact in 32 bits.
static bool fitsInWords(ContractOp op) {
  int64_t products = 1;
  for (auto [size, kind] :
       llvm::zip_equal(op.getStaticLoopRanges(), op.getIterators()))
    if (kind == utils::IteratorType::reduction)
      products = ShapedType::isDynamic(size)
                     ? kMostByteProducts + 1
                     : std::min(products * size, kMostByteProducts + 1);
  return products <= kMostByteProducts;
}

/// The bias in units of the accumulator, as i32. Adjusts `tail.biasMap`.
Value LowerQAT::makeBias(OpBuilder &b, Tail &tail, DequantizeOp x,
                         DequantizeOp w, Parameter productScale) {
  Location loc = tail.bias.getLoc();
  auto split = tail.bias.getDefiningOp<tensor::ExpandShapeOp>();
  auto dq = (split ? split.getSrc() : tail.bias).getDefiningOp<DequantizeOp>();
  auto type = getType(tail.bias);
  // The model's own integers, if they count in the accumulator's scale.
  if (dq && getType(dq.getInput()).getElementType().isInteger(32) &&
      !dq.getBlockSize() && !dq.getOffset() &&
      (!dq.getZeroPoint() || matchPattern(dq.getZeroPoint(), m_Zero())) &&
      isAccumulatorScale(dq.getScale(), x, w)) {
    if (!split)
      return dq.getInput();
    return tensor::ExpandShapeOp::create(b, loc, type.clone(b.getI32Type()),
                                         dq.getInput(),
                                         split.getReassociationIndices());
  }
  // Else the float bias in that scale, computed over the wider of the two.
  Value wide = type.getRank() ? tail.bias : productScale.value;
  unsigned rank = getType(wide).getRank();
  auto getMap = [&](Value value) {
    return getType(value).getRank() ? b.getMultiDimIdentityMap(rank)
                                    : AffineMap::get(rank, 0, b.getContext());
  };
  if (!type.getRank())
    tail.biasMap = productScale.map;
  return buildGeneric(b, loc, tensor::getMixedSizes(b, loc, wide),
                      b.getI32Type(), {tail.bias, productScale.value},
                      {getMap(tail.bias), getMap(productScale.value)},
                      [](OpBuilder &b, Location loc, ValueRange args) {
                        Value units =
                            arith::DivFOp::create(b, loc, args[0], args[1]);
                        return buildQuantize(b, loc, units, nullptr,
                                             cast<IntegerType>(b.getI32Type()),
                                             /*isUnsigned=*/false, 32);
                      });
}

/// Multiplies floats by the codes of `w` instead of what they stand for, where
/// the policy leaves roundings open and rows are few or not known, or fragments
/// read codes.
bool LowerQAT::lowerFloatProduct(ContractOp op, DequantizeOp w) {
  Type lhs = getType(op.getLhs()).getElementType();
  if (isStrict(op) || op.hasEpilogue() || !op.getAccumulator().isF32() ||
      (hasManyRows(op) && !device::multipliesCodes(getTarget(op), lhs)))
    return false;
  if (w.getBlockSize())
    return !lowerBlocks(op, nullptr, w, *symbols);
  return getType(w.getScale()).getRank() <= 1 &&
         lowerColumnCodes(op, w, *symbols);
}

std::optional<StringRef> LowerQAT::lower(ContractOp op) {
  auto x = op.getLhs().getDefiningOp<DequantizeOp>();
  tensor::ExpandShapeOp split;
  DequantizeOp w = getWeights(op.getRhs(), split);
  if (!x || !w) {
    ++numFloatOperand;
    if (!x && w && !split && lowerFloatProduct(op, w)) {
      ++numCodes;
      return StringRef("its first operand is not dequantized");
    }
    Value operand = x ? op.getRhs() : op.getLhs();
    if (operand.getDefiningOp<FakeQuantOp>())
      return StringRef("the fake quantization of an operand stays float");
    return x ? StringRef("its second operand is not dequantized")
             : StringRef("its first operand is not dequantized");
  }
  auto refuse = [&](StringRef reason) {
    ++numParameters;
    return reason;
  };
  auto getBytes = [](DequantizeOp dq) {
    unsigned bits = getType(dq.getInput()).getElementTypeBitWidth();
    bool fits = getType(dq.getScale()).getElementType().isF32();
    return fits && (bits == 8 || bits == 16) ? bits / 8 : 0;
  };
  unsigned bytes = getBytes(x) * getBytes(w);
  if (bytes == 0 || !op.getAccumulator().isF32())
    return refuse("its operands are not integers of 8 or 16 bits with float32 "
                  "scales");
  if (op.hasEpilogue())
    return refuse("it has an epilogue already");
  if (bytes > 1 && !fitsInWords(op))
    return refuse(
        "it sums up more products of 16 bits than 32 bits hold byte by byte");
  int64_t scales = getType(w.getScale()).getRank();
  if (scales > 1 || w.getBlockSize()) {
    std::optional<StringRef> reason = lowerBlocks(op, x, w, *symbols);
    reason ? ++numParameters : ++numContractions;
    return reason;
  }
  if (x.getOffset() || w.getOffset())
    return refuse("an operand has a real offset beside its scale");
  if (getType(x.getScale()).getRank() != 0)
    return refuse("its first operand has more than one scale");

  // Which of the contraction's dimensions the weights' scales follow.
  MLIRContext *context = op.getContext();
  AffineMap out = op.getOutMap();
  SmallVector<AffineExpr> scaleExprs;
  SmallVector<int64_t> scaleShape;
  if (scales == 1) {
    int64_t axis = *w.getAxis();
    ReassociationIndices dims = {axis};
    if (split)
      dims = split.getReassociationIndices()[axis];
    for (int64_t dim : dims) {
      AffineExpr loop = op.getRhsMap().getResult(dim);
      std::optional<unsigned> at = out.getResultPosition(loop);
      if (!at)
        return refuse("its second operand's scales follow a dimension that "
                      "is summed over");
      scaleExprs.push_back(getAffineDimExpr(*at, context));
      scaleShape.push_back(getType(op.getRhs()).getDimSize(dim));
    }
  }
  OpBuilder b(op);
  Location loc = op.getLoc();
  QuantizedOperand lhs = {x.getInput(), x.getZeroPoint(), x.getIsUnsigned()};
  QuantizedOperand rhs = {w.getInput(), Value(), w.getIsUnsigned()};
  if (auto common = getCommonZeroPoint(b, w.getZeroPoint(), *symbols)) {
    rhs.zeroPoint = *common;
  } else {
    AffineMap along = AffineMap::get(getType(rhs.value).getRank(), 0,
                                     b.getAffineDimExpr(*w.getAxis()));
    rhs.value = subtractZeroPoints(b, w, rhs.value, along, *symbols);
    rhs.isUnsigned = false;
    if (!rhs.value)
      return refuse("its second operand has more than one zero point");
  }

  unsigned rank = getType(op.getResult()).getRank();
  AffineMap scaleMap = AffineMap::get(rank, 0, scaleExprs, context);
  std::optional<Tail> tail = findTail(op, *symbols);
  if (tail && tail->bias && tail->biasMap.getNumResults() != 0 &&
      !scaleExprs.empty() && tail->biasMap != scaleMap)
    tail.reset();
  if (tail && tail->factor.value &&
      ((!scaleExprs.empty() && tail->factor.map != scaleMap) ||
       (tail->bias && tail->biasMap.getNumResults() != 0 &&
        tail->biasMap != tail->factor.map)))
    tail.reset();
  Operation *end = tail ? tail->quantize.getOperation() : op.getOperation();
  b.setInsertionPoint(end);

  Value wScale = w.getScale();
  if (split) {
    Type element = getType(rhs.value).getElementType();
    rhs.value = tensor::ExpandShapeOp::create(
        b, loc, getType(op.getRhs()).clone(element), rhs.value,
        split.getReassociationIndices());
    if (scaleExprs.size() > 1) {
      ReassociationIndices whole =
          llvm::to_vector(llvm::seq<int64_t>(0, scaleExprs.size()));
      wScale = tensor::ExpandShapeOp::create(
          b, loc, RankedTensorType::get(scaleShape, b.getF32Type()), wScale,
          ArrayRef<ReassociationIndices>{whole});
    }
  }
  if (tail && tail->factor.value) {
    foldNormalization(b, loc, *tail, wScale, scaleMap);
    ++numNormalizations;
  }
  Parameter productScale{combineScales(b, loc, x.getScale(), wScale, nullptr),
                         scaleMap};

  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, op.getInit());
  ExactSum sum =
      buildExactSum(b, op, lhs, rhs,
                    {op.getIndexingMapsAttr(), op.getIteratorTypesAttr(),
                     op.getPadAttr(), sizes});
  ++numContractions;
  AffineMap identity = b.getMultiDimIdentityMap(rank);
  Type f32 = b.getF32Type();
  if (!tail) {
    SmallVector<Value> inputs(sum.sums);
    SmallVector<AffineMap> maps(inputs.size(), identity);
    inputs.push_back(productScale.value);
    maps.push_back(productScale.map);
    Value result = buildGeneric(
        b, loc, sizes, f32, inputs, maps,
        [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
          Value total = buildTotal(b, loc, sum, args.drop_back(2), nullptr);
          return arith::MulFOp::create(b, loc, total, args.drop_back().back());
        });
    op.getResult().replaceAllUsesWith(result);
    op.erase();
    return std::nullopt;
  }

  QuantizeOp quantize = tail->quantize;
  SmallVector<Value> inputs(sum.sums);
  SmallVector<AffineMap> maps(inputs.size(), identity);
  if (tail->bias) {
    inputs.push_back(makeBias(b, *tail, x, w, productScale));
    maps.push_back(tail->biasMap);
  }
  inputs.push_back(
      combineScales(b, loc, x.getScale(), wScale, quantize.getScale()));
  maps.push_back(productScale.map);
  AffineMap scalar = AffineMap::get(rank, 0, context);
  bool hasZero = quantize.getZeroPoint() &&
                 !matchPattern(quantize.getZeroPoint(), m_Zero());
  if (hasZero) {
    inputs.push_back(quantize.getZeroPoint());
    maps.push_back(scalar);
  }
  // A bound is a multiple of the result's scale once rounded.
  bool needsScale = tail->high || (tail->low && *tail->low != 0.0);
  if (needsScale) {
    inputs.push_back(quantize.getScale());
    maps.push_back(scalar);
  }
  auto type = cast<IntegerType>(
      cast<RankedTensorType>(quantize.getType()).getElementType());
  Value result = buildGeneric(
      b, quantize.getLoc(), sizes, type, inputs, maps,
      [&](OpBuilder &b, Location loc, ValueRange args) {
        unsigned next = sum.sums.size();
        ValueRange sums = args.take_front(next);
        Value y =
            buildTotal(b, loc, sum, sums, tail->bias ? args[next++] : Value());
        y = arith::MulFOp::create(b, loc, y, args[next++]);
        Value zeroPoint = hasZero ? args[next++] : Value();
        auto bound = [&](double value) -> Value {
          Value real =
              arith::ConstantOp::create(b, loc, b.getF32FloatAttr(value));
          if (value == 0.0)
            return real;
          real = arith::DivFOp::create(b, loc, real, args[next]);
          return math::RoundEvenOp::create(b, loc, real);
        };
        if (tail->low)
          y = arith::MaxNumFOp::create(b, loc, y, bound(*tail->low));
        if (tail->high)
          y = arith::MinNumFOp::create(b, loc, y, bound(*tail->high));
        return buildQuantize(b, loc, y, zeroPoint, type,
                             quantize.getIsUnsigned(),
                             quantize.getBits().value_or(type.getWidth()));
      });
  if (tail->reshape) {
    IRMapping mapping;
    mapping.map(tail->reshape->getOperand(0), result);
    Operation *reshape = b.clone(*tail->reshape, mapping);
    reshape->getResult(0).setType(quantize.getType());
    result = reshape->getResult(0);
  }
  ++numRequantized;
  // The float operations between die with their only reader.
  quantize.replaceAllUsesWith(result);
  return std::nullopt;
}

void LowerQAT::runOnOperation() {
  func::FuncOp func = getOperation();
  bool quantized = false;
  func.walk([&](DequantizeOp) { quantized = true; });
  if (!quantized)
    return;
  int64_t moved = 0;
  RewritePatternSet patterns(&getContext());
  populateQuantizedMovementPatterns(patterns, moved);
  // A dimension of a value is one of its origin's: not a reader.
  tensor::DimOp::getCanonicalizationPatterns(patterns, &getContext());
  if (failed(applyPatternsGreedily(func, std::move(patterns))))
    return signalPassFailure();
  numMoved += moved;
  SymbolTable table(func->getParentOfType<ModuleOp>());
  symbols = &table;
  SmallVector<ContractOp> contracts;
  func.walk([&](ContractOp op) {
    if (isa<RankedTensorType>(op.getLhs().getType()) &&
        isa<FloatType>(getType(op.getLhs()).getElementType()))
      contracts.push_back(op);
  });
  for (ContractOp op : contracts)
    if (std::optional<StringRef> reason = lower(op))
      emitRemark(op.getLoc(), "contraction left in float: ") << *reason;
  // What the integers replaced, so that no pass evaluates it. Readers first.
  SmallVector<Operation *> ops;
  func.walk<WalkOrder::PreOrder>([&](Operation *op) { ops.push_back(op); });
  for (Operation *op : llvm::reverse(ops))
    if (isOpTriviallyDead(op))
      op->erase();
}
