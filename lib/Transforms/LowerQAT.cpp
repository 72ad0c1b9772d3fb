// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Turns DQ-op-Q groups into integer operations. The pattern means its QLinear
// formula (docs/Numerics.md): exact integer sums, one float scale
// (x_scale * w_scale) / y_scale, one rounding.
#include "QuantizedMovement.h"
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
/// A small tensor of parameters and how the contraction's dimensions index it.
struct Parameter {
  Value value;
  AffineMap map;
};

/// What lies between a contraction and the quantize of its result.
struct Tail {
  Operation *reshape = nullptr;    // merges groups or splits rows, or null
  Value bias;                      // float, may be null
  AffineMap biasMap;               // over the dimensions before `reshape`
  std::optional<double> low, high; // relu or clip
  QuantizeOp quantize;
};

struct LowerQAT : tamis::impl::LowerQATBase<LowerQAT> {
  void runOnOperation() override;
  /// Lowers `op`, or returns why it stays float.
  std::optional<StringRef> lower(ContractOp op);
  std::optional<Tail> findTail(ContractOp op);
  bool readBias(ContractOp op, linalg::GenericOp generic, OpOperand &bias,
                Tail &tail);
  bool isAccumulatorScale(Value scale, DequantizeOp x, DequantizeOp w);
  Value makeBias(OpBuilder &b, Tail &tail, DequantizeOp x, DequantizeOp w,
                 Parameter productScale);

  SymbolTable *symbols = nullptr;
};
} // namespace

static RankedTensorType getType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// The only user of a value, or null.
static Operation *getUser(Value value) {
  return value.hasOneUse() ? *value.getUsers().begin() : nullptr;
}

/// An elementwise generic of `types` over operands read through `maps`.
static Value
buildGeneric(OpBuilder &b, Location loc, ArrayRef<OpFoldResult> sizes,
             Type element, ArrayRef<Value> inputs, ArrayRef<AffineMap> maps,
             function_ref<Value(OpBuilder &, Location, ValueRange)> body) {
  Value init = tensor::EmptyOp::create(b, loc, sizes, element);
  SmallVector<AffineMap> all(maps);
  all.push_back(b.getMultiDimIdentityMap(sizes.size()));
  SmallVector<utils::IteratorType> iterators(sizes.size(),
                                             utils::IteratorType::parallel);
  return linalg::GenericOp::create(
             b, loc, init.getType(), inputs, init, all, iterators,
             [&](OpBuilder &nested, Location at, ValueRange args) {
               linalg::YieldOp::create(nested, at, body(nested, at, args));
             })
      .getResult(0);
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

/// The elements of a constant float32 tensor.
static std::optional<SmallVector<float>> readFloats(Value value,
                                                    SymbolTable &symbols) {
  auto constant = getConstantTensor(value, symbols);
  if (!constant || !constant->type.getElementType().isF32())
    return std::nullopt;
  SmallVector<float> floats(constant->bytes.size() / 4);
  std::memcpy(floats.data(), constant->bytes.data(), constant->bytes.size());
  return floats;
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

//===-- what follows a contraction ----------------------------------------===//

/// The constant float that `value` is.
static std::optional<double> getConstantFloat(Value value) {
  Attribute attr;
  if (!matchPattern(value, m_Constant(&attr)))
    return std::nullopt;
  if (auto splat = dyn_cast<SplatElementsAttr>(attr))
    attr = splat.getSplatValue<Attribute>();
  if (auto real = dyn_cast<FloatAttr>(attr))
    return real.getValueAsDouble();
  return std::nullopt;
}

/// Reads an elementwise generic as `clip(x + bias)`, with parts of it missing.
/// `x` is the operand of that value; true if nothing else is in the body.
static bool readGeneric(linalg::GenericOp op, Value x, OpOperand *&bias,
                        Tail &tail) {
  if (op.getNumDpsInits() != 1 ||
      op.getNumParallelLoops() != op.getNumLoops() ||
      !op.getMatchingIndexingMap(op.getDpsInitOperand(0)).isIdentity())
    return false;
  Value current;
  for (OpOperand *input : op.getDpsInputOperands())
    if (input->get() == x) {
      if (!op.getMatchingIndexingMap(input).isIdentity())
        return false;
      current = op.getMatchingBlockArgument(input);
    }
  // The float that an operand of the body is: a constant, inside or passed in.
  auto getFloat = [&](Value value) -> std::optional<double> {
    auto argument = dyn_cast<BlockArgument>(value);
    if (argument && argument.getOwner() == op.getBody())
      return getConstantFloat(op.getMatchingOpOperand(argument)->get());
    return getConstantFloat(value);
  };
  for (Operation &inner : op.getBody()->without_terminator()) {
    if (isa<arith::ConstantOp>(inner))
      continue;
    if (inner.getNumOperands() != 2 || !inner.getResult(0).hasOneUse())
      return false;
    unsigned at = inner.getOperand(0) == current ? 0 : 1;
    if (inner.getOperand(at) != current || inner.getOperand(1 - at) == current)
      return false;
    Value other = inner.getOperand(1 - at);
    if (isa<arith::AddFOp>(inner)) {
      auto argument = dyn_cast<BlockArgument>(other);
      if (!argument || argument.getOwner() != op.getBody() || bias ||
          tail.bias || tail.low || tail.high)
        return false;
      bias = op.getMatchingOpOperand(argument);
    } else if (isa<arith::MaximumFOp, arith::MaxNumFOp>(inner)) {
      auto value = getFloat(other);
      if (!value || tail.low || tail.high)
        return false;
      tail.low = value;
    } else if (isa<arith::MinimumFOp, arith::MinNumFOp>(inner)) {
      auto value = getFloat(other);
      if (!value || tail.high)
        return false;
      tail.high = value;
    } else {
      return false;
    }
    current = inner.getResult(0);
  }
  return op.getBody()->getTerminator()->getOperand(0) == current;
}

std::optional<Tail> LowerQAT::findTail(ContractOp op) {
  Tail tail;
  Value current = op.getResult();
  while (Operation *user = getUser(current)) {
    if (auto quantize = dyn_cast<QuantizeOp>(user)) {
      auto type = cast<RankedTensorType>(quantize.getType());
      if (getType(quantize.getScale()).getRank() != 0 ||
          !getType(quantize.getScale()).getElementType().isF32() ||
          type.getElementType().getIntOrFloatBitWidth() > 16)
        return std::nullopt;
      tail.quantize = quantize;
      return tail;
    }
    if (isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp>(user)) {
      if (tail.reshape)
        return std::nullopt;
      tail.reshape = user;
      current = user->getResult(0);
      continue;
    }
    auto generic = dyn_cast<linalg::GenericOp>(user);
    OpOperand *bias = nullptr;
    if (!generic || !readGeneric(generic, current, bias, tail) ||
        (bias && !readBias(op, generic, *bias, tail)))
      return std::nullopt;
    current = generic.getResult(0);
  }
  return std::nullopt;
}

/// Takes the constant scalar or vector `bias` of `generic` as if it were added
/// to the contraction's own result.
bool LowerQAT::readBias(ContractOp op, linalg::GenericOp generic,
                        OpOperand &bias, Tail &tail) {
  AffineMap map = generic.getMatchingIndexingMap(&bias);
  Value value = bias.get();
  if (!map.isProjectedPermutation() || map.getNumResults() > 1 ||
      !getType(value).hasStaticShape() ||
      !(value.getDefiningOp<DequantizeOp>() ||
        getConstantTensor(value, *symbols)))
    return false;
  OpBuilder b(op);
  SmallVector<AffineExpr> exprs(map.getResults());
  if (auto collapse =
          dyn_cast_if_present<tensor::CollapseShapeOp>(tail.reshape);
      collapse && !exprs.empty()) {
    // One channel there is a group and a channel here.
    ReassociationIndices group =
        collapse.getReassociationIndices()[map.getDimPosition(0)];
    SmallVector<int64_t> shape;
    exprs.clear();
    for (int64_t dim : group) {
      shape.push_back(getType(op.getResult()).getDimSize(dim));
      exprs.push_back(b.getAffineDimExpr(dim));
    }
    if (group.size() > 1) {
      b.setInsertionPointAfterValue(value);
      ReassociationIndices whole =
          llvm::to_vector(llvm::seq<int64_t>(0, group.size()));
      value = tensor::ExpandShapeOp::create(
          b, generic.getLoc(),
          RankedTensorType::get(shape, getType(value).getElementType()), value,
          ArrayRef<ReassociationIndices>{whole});
    }
  } else if (auto expand =
                 dyn_cast_if_present<tensor::ExpandShapeOp>(tail.reshape);
             expand && !exprs.empty()) {
    auto groups = expand.getReassociationIndices();
    auto *found = llvm::find(
        groups, ReassociationIndices{int64_t(map.getDimPosition(0))});
    if (found == groups.end())
      return false;
    exprs[0] = b.getAffineDimExpr(found - groups.begin());
  }
  tail.bias = value;
  tail.biasMap = AffineMap::get(getType(op.getResult()).getRank(), 0, exprs,
                                b.getContext());
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
      !dq.getBlockSize() &&
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
    if (!zeros ||
        llvm::any_of(zeros->bytes, [](char byte) { return byte != 0; }))
      return refuse("its second operand has more than one zero point");
    wZero = nullptr;
  }

  OpBuilder b(op);
  Location loc = op.getLoc();
  unsigned rank = getType(op.getResult()).getRank();
  AffineMap scaleMap = AffineMap::get(rank, 0, scaleExprs, context);
  std::optional<Tail> tail = findTail(op);
  if (tail && tail->bias && tail->biasMap.getNumResults() != 0 &&
      !scaleExprs.empty() && tail->biasMap != scaleMap)
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
      op.emitRemark("contraction left in float: ") << *reason;
  // What the integers replaced, so that no pass evaluates it. Readers first.
  SmallVector<Operation *> ops;
  func.walk<WalkOrder::PreOrder>([&](Operation *op) { ops.push_back(op); });
  for (Operation *op : llvm::reverse(ops))
    if (isOpTriviallyDead(op))
      op->erase();
}
