// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Turns DQ-op-Q groups into integer operations. The pattern means its QLinear
// formula (docs/Numerics.md): exact integer sums, one float scale
// (x_scale * w_scale) / y_scale, one rounding.
#include "QuantizedMovement.h"
#include "QuantizedTail.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "tamis/Support/QuantMath.h"
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
  bool isAccumulatorScale(Value scale, DequantizeOp x, DequantizeOp w);
  Value makeBias(OpBuilder &b, Tail &tail, DequantizeOp x, DequantizeOp w,
                 Parameter productScale);

  SymbolTable *symbols = nullptr;
};
} // namespace

static RankedTensorType getType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// The scalar in a tensor of rank 0; null if it is null or zero.
static Value getScalar(OpBuilder &b, Location loc, Value tensor) {
  if (!tensor || matchPattern(tensor, m_Zero()))
    return nullptr;
  return tensor::ExtractOp::create(b, loc, tensor, ValueRange());
}

/// x_scale * w_scale, and divided by y_scale if given, in that order
/// (requantize_n1). All of them rank 0 but w_scale.
static Value combineScales(OpBuilder &b, Location loc, Value x, Value w,
                           Value y) {
  unsigned rank = getType(w).getRank();
  AffineMap scalar = AffineMap::get(rank, 0, b.getContext());
  SmallVector<Value> inputs = {x, w};
  SmallVector<AffineMap> maps = {scalar, b.getMultiDimIdentityMap(rank)};
  if (y) {
    inputs.push_back(y);
    maps.push_back(scalar);
  }
  return buildGeneric(
      b, loc, tensor::getMixedSizes(b, loc, w), b.getF32Type(), inputs, maps,
      [](OpBuilder &b, Location loc, ValueRange args) -> Value {
        Value s = arith::MulFOp::create(b, loc, args[0], args[1]);
        return args.size() == 4 ? arith::DivFOp::create(b, loc, s, args[2]) : s;
      });
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

std::optional<StringRef> LowerQAT::lower(ContractOp op) {
  auto x = op.getLhs().getDefiningOp<DequantizeOp>();
  tensor::ExpandShapeOp split;
  DequantizeOp w = getWeights(op.getRhs(), split);
  if (!x || !w) {
    ++numFloatOperand;
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
  auto isByte = [](DequantizeOp dq) {
    return getType(dq.getInput()).getElementType().isInteger(8) &&
           getType(dq.getScale()).getElementType().isF32();
  };
  if (!isByte(x) || !isByte(w) || !op.getAccumulator().isF32())
    return refuse("its operands are not 8 bit integers with float32 scales");
  if (x.getOffset() || w.getOffset())
    return refuse("an operand has a real offset beside its scale");
  if (op.hasEpilogue())
    return refuse("it has an epilogue already");
  if (getType(x.getScale()).getRank() != 0)
    return refuse("its first operand has more than one scale");
  int64_t scales = getType(w.getScale()).getRank();
  if (scales > 1 || w.getBlockSize())
    return refuse("its second operand has block-wise scales");

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
  Value wZero = w.getZeroPoint();
  if (wZero && getType(wZero).getRank() != 0) {
    auto zeros = getConstantTensor(wZero, *symbols);
    if (!zeros || zeros->bytes.empty() || !llvm::all_equal(zeros->bytes))
      return refuse("its second operand has more than one zero point");
    OpBuilder at(op);
    auto type = RankedTensorType::get({}, at.getI8Type());
    wZero = zeros->bytes[0] == 0
                ? Value()
                : arith::ConstantOp::create(
                      at, op.getLoc(),
                      DenseElementsAttr::get(
                          type, static_cast<int8_t>(zeros->bytes[0])));
  }

  OpBuilder b(op);
  Location loc = op.getLoc();
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

  Value rhs = w.getInput(), wScale = w.getScale();
  if (split) {
    rhs = tensor::ExpandShapeOp::create(
        b, loc, getType(op.getRhs()).clone(b.getI8Type()), rhs,
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
  Value init = tensor::EmptyOp::create(b, loc, sizes, b.getI32Type());
  auto zero = [&](Value tensor) { return getScalar(b, loc, tensor); };
  auto integer = ContractOp::create(
      b, loc, init.getType(), x.getInput(), rhs, zero(x.getZeroPoint()),
      zero(wZero), ValueRange(), init, op.getIndexingMapsAttr(),
      op.getIteratorTypesAttr(), op.getPadAttr(), TypeAttr::get(b.getI32Type()),
      x.getIsUnsignedAttr(), w.getIsUnsignedAttr(), op.getOriginAttr());
  ++numContractions;
  AffineMap identity = b.getMultiDimIdentityMap(rank);
  Type f32 = b.getF32Type();
  if (!tail) {
    Value result = buildGeneric(
        b, loc, sizes, f32, {integer.getResult(), productScale.value},
        {identity, productScale.map},
        [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
          Value sum = arith::SIToFPOp::create(b, loc, f32, args[0]);
          return arith::MulFOp::create(b, loc, sum, args[1]);
        });
    op.getResult().replaceAllUsesWith(result);
    op.erase();
    return std::nullopt;
  }

  QuantizeOp quantize = tail->quantize;
  SmallVector<Value> inputs = {integer.getResult()};
  SmallVector<AffineMap> maps = {identity};
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
        unsigned next = 1;
        Value sum = args[0];
        if (tail->bias)
          sum = arith::AddIOp::create(b, loc, sum, args[next++]);
        Value y = arith::SIToFPOp::create(b, loc, f32, sum);
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
