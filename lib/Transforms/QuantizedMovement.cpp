// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// dequantize(x) then move = move(x) then dequantize.
#include "QuantizedMovement.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "tamis/Support/QuantMath.h"

using namespace mlir;
using namespace mlir::tamis;

bool tamis::areEqualParameters(Value a, Value b) {
  if (a == b)
    return true;
  Attribute left, right;
  return a && b && matchPattern(a, m_Constant(&left)) &&
         matchPattern(b, m_Constant(&right)) && left == right;
}

Value tamis::clampIntegers(OpBuilder &b, Location loc, Value value, int64_t low,
                           int64_t high, bool isUnsigned) {
  auto tensor = cast<RankedTensorType>(value.getType());
  auto integer = cast<IntegerType>(tensor.getElementType());
  Value empty = tensor::EmptyOp::create(
      b, loc, tensor::getMixedSizes(b, loc, value), integer);
  SmallVector<AffineMap> maps(2, b.getMultiDimIdentityMap(tensor.getRank()));
  SmallVector<utils::IteratorType> loops(tensor.getRank(),
                                         utils::IteratorType::parallel);
  auto body = [&](OpBuilder &inner, Location at, ValueRange arguments) {
    auto bound = [&](int64_t limit) -> Value {
      return arith::ConstantOp::create(
          inner, at,
          IntegerAttr::get(integer,
                           APInt(integer.getWidth(), limit, /*isSigned=*/true,
                                 /*implicitTrunc=*/true)));
    };
    Value result = arguments[0], least = bound(low), most = bound(high);
    if (isUnsigned) {
      result = arith::MaxUIOp::create(inner, at, result, least);
      result = arith::MinUIOp::create(inner, at, result, most);
    } else {
      result = arith::MaxSIOp::create(inner, at, result, least);
      result = arith::MinSIOp::create(inner, at, result, most);
    }
    linalg::YieldOp::create(inner, at, result);
  };
  return linalg::GenericOp::create(b, loc, tensor, value, empty, maps, loops,
                                   body)
      .getResult(0);
}

/// The dequantize that makes `value`, if its parameters are per tensor and
/// without offset.
static DequantizeOp getPerTensor(Value value) {
  auto op = value.getDefiningOp<DequantizeOp>();
  if (!op || op.getOffset() ||
      cast<RankedTensorType>(op.getScale().getType()).getRank() != 0)
    return nullptr;
  return op;
}

static bool haveEqualParameters(DequantizeOp a, DequantizeOp b) {
  return a.getIsUnsigned() == b.getIsUnsigned() &&
         a.getInput().getType().getElementType() ==
             b.getInput().getType().getElementType() &&
         areEqualParameters(a.getScale(), b.getScale()) &&
         ((!a.getZeroPoint() && !b.getZeroPoint()) ||
          areEqualParameters(a.getZeroPoint(), b.getZeroPoint()));
}

/// `like` applied to `integers`, of the float type `type`.
static Value dequantize(PatternRewriter &b, DequantizeOp like, Value integers,
                        Type type, IntegerAttr axis) {
  return DequantizeOp::create(b, like.getLoc(), type, integers, like.getScale(),
                              like.getZeroPoint(), like.getIsUnsignedAttr(),
                              axis, like.getBlockSizeAttr(),
                              like.getOriginAttr());
}

static Type asInteger(Type type, DequantizeOp from) {
  return cast<RankedTensorType>(type).clone(
      cast<RankedTensorType>(from.getInput().getType()).getElementType());
}

namespace {
/// Operations with one tensor operand, first, and one result, whose attributes
/// do not depend on the element type.
template <typename OpTy>
struct SinkBelow : OpRewritePattern<OpTy> {
  SinkBelow(MLIRContext *context, int64_t &moved)
      : OpRewritePattern<OpTy>(context), moved(moved) {}

  LogicalResult matchAndRewrite(OpTy op, PatternRewriter &b) const override {
    DequantizeOp dq = getPerTensor(op->getOperand(0));
    if (!dq)
      return failure();
    IRMapping mapping;
    mapping.map(op->getOperand(0), dq.getInput());
    Operation *clone = b.clone(*op, mapping);
    clone->getResult(0).setType(asInteger(op->getResult(0).getType(), dq));
    b.replaceOp(op, dequantize(b, dq, clone->getResult(0),
                               op->getResult(0).getType(), nullptr));
    ++moved;
    return success();
  }
  int64_t &moved;
};

/// A transpose carries the axis along.
struct SinkBelowTranspose : OpRewritePattern<linalg::TransposeOp> {
  SinkBelowTranspose(MLIRContext *context, int64_t &moved)
      : OpRewritePattern(context), moved(moved) {}

  LogicalResult matchAndRewrite(linalg::TransposeOp op,
                                PatternRewriter &b) const override {
    auto dq = op.getInput().getDefiningOp<DequantizeOp>();
    if (!dq || dq.getBlockSize() || dq.getOffset())
      return failure();
    IntegerAttr axis = dq.getAxisAttr();
    if (axis)
      axis =
          b.getI64IntegerAttr(llvm::find(op.getPermutation(), axis.getInt()) -
                              op.getPermutation().begin());
    Type type = op->getResult(0).getType();
    auto integers = cast<RankedTensorType>(asInteger(type, dq));
    Value init = tensor::EmptyOp::create(
        b, op.getLoc(), tensor::getMixedSizes(b, op.getLoc(), op.getInit()),
        integers.getElementType());
    Value moving = linalg::TransposeOp::create(b, op.getLoc(), dq.getInput(),
                                               init, op.getPermutation())
                       ->getResult(0);
    b.replaceOp(op, dequantize(b, dq, moving, type, axis));
    ++moved;
    return success();
  }
  int64_t &moved;
};

/// A reshape that keeps the axis of the scales apart carries it along: weights
/// that the model stores in another shape.
template <typename OpTy>
struct SinkAxisBelow : OpRewritePattern<OpTy> {
  SinkAxisBelow(MLIRContext *context, int64_t &moved)
      : OpRewritePattern<OpTy>(context), moved(moved) {}

  LogicalResult matchAndRewrite(OpTy op, PatternRewriter &b) const override {
    auto dq = op.getSrc().template getDefiningOp<DequantizeOp>();
    if (!dq || !dq.getAxis() || dq.getBlockSize() || dq.getOffset())
      return failure();
    constexpr bool merges = std::is_same_v<OpTy, tensor::CollapseShapeOp>;
    RankedTensorType wide = merges ? op.getSrcType() : op.getResultType();
    RankedTensorType narrow = merges ? op.getResultType() : op.getSrcType();
    int64_t size = op.getSrcType().getDimSize(*dq.getAxis());
    for (auto [i, group] : llvm::enumerate(op.getReassociationIndices()))
      for (int64_t dim : group) {
        int64_t from = merges ? dim : i, to = merges ? i : dim;
        if (from != *dq.getAxis() || ShapedType::isDynamic(size) ||
            wide.getDimSize(dim) != size || narrow.getDimSize(i) != size)
          continue;
        IRMapping mapping;
        mapping.map(op.getSrc(), dq.getInput());
        Operation *clone = b.clone(*op, mapping);
        clone->getResult(0).setType(asInteger(op.getType(), dq));
        b.replaceOp(op, dequantize(b, dq, clone->getResult(0), op.getType(),
                                   b.getI64IntegerAttr(to)));
        ++moved;
        return success();
      }
    return failure();
  }
  int64_t &moved;
};

struct SinkBelowConcat : OpRewritePattern<tensor::ConcatOp> {
  SinkBelowConcat(MLIRContext *context, int64_t &moved)
      : OpRewritePattern(context), moved(moved) {}

  LogicalResult matchAndRewrite(tensor::ConcatOp op,
                                PatternRewriter &b) const override {
    SmallVector<Value> integers;
    DequantizeOp first;
    for (Value input : op.getInputs()) {
      DequantizeOp dq = getPerTensor(input);
      if (!dq || (first && !haveEqualParameters(first, dq)))
        return failure();
      if (!first)
        first = dq;
      integers.push_back(dq.getInput());
    }
    Value moving = tensor::ConcatOp::create(
        b, op.getLoc(), asInteger(op.getType(), first), op.getDim(), integers);
    b.replaceOp(op, dequantize(b, first, moving, op.getType(), nullptr));
    ++moved;
    return success();
  }
  int64_t &moved;
};

/// Real zero is the zero point.
struct SinkBelowPad : OpRewritePattern<tensor::PadOp> {
  SinkBelowPad(MLIRContext *context, int64_t &moved)
      : OpRewritePattern(context), moved(moved) {}

  LogicalResult matchAndRewrite(tensor::PadOp op,
                                PatternRewriter &b) const override {
    DequantizeOp dq = getPerTensor(op.getSource());
    Value padding = op.getConstantPaddingValue();
    if (!dq || !padding || !matchPattern(padding, m_AnyZeroFloat()))
      return failure();
    Location loc = op.getLoc();
    auto type = cast<RankedTensorType>(asInteger(op.getType(), dq));
    Value zero;
    if (dq.getZeroPoint())
      zero = tensor::ExtractOp::create(b, loc, dq.getZeroPoint(), ValueRange());
    else
      zero = arith::ConstantOp::create(b, loc,
                                       b.getZeroAttr(type.getElementType()));
    Value moving =
        tensor::PadOp::create(b, loc, type, dq.getInput(), op.getMixedLowPad(),
                              op.getMixedHighPad(), zero, op.getNofold());
    b.replaceOp(op, dequantize(b, dq, moving, op.getType(), nullptr));
    ++moved;
    return success();
  }
  int64_t &moved;
};

/// A maximum over windows or dimensions: dequantize is increasing.
struct SinkBelowMaximum : OpRewritePattern<linalg::GenericOp> {
  SinkBelowMaximum(MLIRContext *context, int64_t &moved)
      : OpRewritePattern(context), moved(moved) {}

  static bool isLowest(Value value) {
    Attribute attr;
    if (!value || !matchPattern(value, m_Constant(&attr)))
      return false;
    auto real = dyn_cast<FloatAttr>(attr);
    return real && real.getValue().isNegative() &&
           (real.getValue().isInfinity() || real.getValue().isLargest());
  }

  LogicalResult matchAndRewrite(linalg::GenericOp op,
                                PatternRewriter &b) const override {
    if (op.getNumReductionLoops() == 0 || op.getNumDpsInits() != 1 ||
        op.getNumDpsInputs() == 0 || op->getNumResults() != 1 ||
        !llvm::hasSingleElement(op.getBody()->without_terminator()))
      return failure();
    Operation &body = op.getBody()->front();
    Block *block = op.getBody();
    Value element = block->getArgument(0), acc = block->getArguments().back();
    if (!isa<arith::MaximumFOp, arith::MaxNumFOp>(body) ||
        block->getTerminator()->getOperand(0) != body.getResult(0) ||
        !((body.getOperand(0) == element && body.getOperand(1) == acc) ||
          (body.getOperand(1) == element && body.getOperand(0) == acc)))
      return failure();
    auto fill = op.getDpsInits()[0].getDefiningOp<linalg::FillOp>();
    if (!fill || !isLowest(fill.getInputs()[0]))
      return failure();
    auto pad = op.getDpsInputs()[0].getDefiningOp<tensor::PadOp>();
    if (pad && !isLowest(pad.getConstantPaddingValue()))
      return failure();
    DequantizeOp dq =
        getPerTensor(pad ? pad.getSource() : op.getDpsInputs()[0]);
    if (!dq)
      return failure();

    Location loc = op.getLoc();
    Type type = op->getResult(0).getType();
    auto integers = cast<RankedTensorType>(asInteger(type, dq));
    auto elementType = cast<IntegerType>(integers.getElementType());
    bool isUnsigned = dq.getIsUnsigned();
    auto [low, high] = getQuantRange(elementType.getWidth(), isUnsigned);
    Value lowest =
        arith::ConstantOp::create(b, loc, b.getIntegerAttr(elementType, low));
    SmallVector<Value> inputs(op.getDpsInputs());
    inputs[0] = dq.getInput();
    if (pad)
      inputs[0] = tensor::PadOp::create(
          b, pad.getLoc(), asInteger(pad.getType(), dq), dq.getInput(),
          pad.getMixedLowPad(), pad.getMixedHighPad(), lowest, pad.getNofold());
    Value init = tensor::EmptyOp::create(
        b, loc, tensor::getMixedSizes(b, loc, fill.getOutputs()[0]),
        elementType);
    init = linalg::FillOp::create(b, loc, lowest, init).getResult(0);
    Value moving =
        linalg::GenericOp::create(
            b, loc, integers, inputs, init, op.getIndexingMapsArray(),
            op.getIteratorTypesArray(),
            [&](OpBuilder &nested, Location at, ValueRange args) {
              Value result;
              if (isUnsigned)
                result =
                    arith::MaxUIOp::create(nested, at, args[0], args.back());
              else
                result =
                    arith::MaxSIOp::create(nested, at, args[0], args.back());
              linalg::YieldOp::create(nested, at, result);
            })
            .getResult(0);
    b.replaceOp(op, dequantize(b, dq, moving, type, nullptr));
    ++moved;
    return success();
  }
  int64_t &moved;
};

/// max(x, 0) is max(q, zero point): dequantize is increasing and exact at zero.
struct SinkBelowRelu : OpRewritePattern<linalg::GenericOp> {
  SinkBelowRelu(MLIRContext *context, int64_t &moved)
      : OpRewritePattern(context), moved(moved) {}

  LogicalResult matchAndRewrite(linalg::GenericOp op,
                                PatternRewriter &b) const override {
    if (op.getNumReductionLoops() != 0 || op.getNumDpsInits() != 1 ||
        op.getNumDpsInputs() != 1 ||
        !llvm::all_of(op.getIndexingMapsArray(),
                      [](AffineMap map) { return map.isIdentity(); }))
      return failure();
    DequantizeOp dq = getPerTensor(op.getDpsInputs()[0]);
    auto bound = op.getBody()->getTerminator()->getOperand(0).getDefiningOp();
    if (!dq || !isa_and_nonnull<arith::MaximumFOp, arith::MaxNumFOp>(bound))
      return failure();
    BlockArgument x = op.getBody()->getArgument(0);
    unsigned at = bound->getOperand(0) == x ? 0 : 1;
    Attribute scale;
    if (bound->getOperand(at) != x ||
        !matchPattern(bound->getOperand(1 - at), m_AnyZeroFloat()) ||
        !matchPattern(dq.getScale(), m_Constant(&scale)))
      return failure();
    auto dense = dyn_cast<DenseFPElementsAttr>(scale);
    if (!dense || !llvm::all_of(dense.getValues<APFloat>(), [](APFloat s) {
          return s.isFiniteNonZero() && !s.isNegative();
        }))
      return failure();
    Location loc = op.getLoc();
    auto integers = cast<RankedTensorType>(asInteger(op.getType(0), dq));
    Type element = integers.getElementType();
    Value zero;
    if (dq.getZeroPoint())
      zero = tensor::ExtractOp::create(b, loc, dq.getZeroPoint(), ValueRange());
    else
      zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(element));
    Value init = tensor::EmptyOp::create(
        b, loc, tensor::getMixedSizes(b, loc, dq.getInput()), element);
    Value moving =
        linalg::GenericOp::create(
            b, loc, integers, dq.getInput(), init, op.getIndexingMapsArray(),
            op.getIteratorTypesArray(),
            [&](OpBuilder &nested, Location at, ValueRange args) {
              Value result;
              if (dq.getIsUnsigned())
                result = arith::MaxUIOp::create(nested, at, args[0], zero);
              else
                result = arith::MaxSIOp::create(nested, at, args[0], zero);
              linalg::YieldOp::create(nested, at, result);
            })
            .getResult(0);
    b.replaceOp(op, dequantize(b, dq, moving, op.getType(0), nullptr));
    ++moved;
    return success();
  }
  int64_t &moved;
};

/// `input`, which movement turns into the operand of `op`, quantized as there.
static Value quantizeBefore(PatternRewriter &b, QuantizeOp op, Value input) {
  Type element = op.getType().getElementType();
  return QuantizeOp::create(
      b, op.getLoc(), cast<RankedTensorType>(input.getType()).clone(element),
      input, op.getScale(), op.getZeroPoint(), op.getIsUnsignedAttr(),
      op.getAxisAttr(), op.getBlockSizeAttr(), op.getBitsAttr(),
      op.getOriginAttr());
}

/// Quantizing a concatenation quantizes its parts: each meets its own producer,
/// and bytes are moved. The same rounding of the same elements.
struct HoistAboveConcat : OpRewritePattern<QuantizeOp> {
  HoistAboveConcat(MLIRContext *context, int64_t &moved)
      : OpRewritePattern(context), moved(moved) {}

  LogicalResult matchAndRewrite(QuantizeOp op,
                                PatternRewriter &b) const override {
    auto concat = op.getInput().getDefiningOp<tensor::ConcatOp>();
    if (!concat || !concat->hasOneUse() ||
        cast<RankedTensorType>(op.getScale().getType()).getRank() != 0)
      return failure();
    SmallVector<Value> parts;
    for (Value input : concat.getInputs())
      parts.push_back(quantizeBefore(b, op, input));
    b.replaceOpWithNewOp<tensor::ConcatOp>(op, op.getType(), concat.getDim(),
                                           parts);
    ++moved;
    return success();
  }
  int64_t &moved;
};

/// Quantizing a transposed value transposes the integers: the quantize meets
/// the contraction whose result is moved.
struct HoistAboveTranspose : OpRewritePattern<QuantizeOp> {
  HoistAboveTranspose(MLIRContext *context, int64_t &moved)
      : OpRewritePattern(context), moved(moved) {}

  LogicalResult matchAndRewrite(QuantizeOp op,
                                PatternRewriter &b) const override {
    auto move = op.getInput().getDefiningOp<linalg::TransposeOp>();
    if (!move || !move->hasOneUse() ||
        cast<RankedTensorType>(op.getScale().getType()).getRank() != 0)
      return failure();
    Location loc = op.getLoc();
    Value q = quantizeBefore(b, op, move.getInput());
    Value init = tensor::EmptyOp::create(
        b, loc, tensor::getMixedSizes(b, loc, move.getInit()),
        op.getType().getElementType());
    b.replaceOpWithNewOp<linalg::TransposeOp>(op, q, init,
                                              move.getPermutation());
    ++moved;
    return success();
  }
  int64_t &moved;
};

/// Quantizing what was dequantized with the same parameters changes nothing.
struct DropRoundTrip : OpRewritePattern<QuantizeOp> {
  DropRoundTrip(MLIRContext *context, int64_t &moved)
      : OpRewritePattern(context), moved(moved) {}

  LogicalResult matchAndRewrite(QuantizeOp op,
                                PatternRewriter &b) const override {
    auto dq = op.getInput().getDefiningOp<DequantizeOp>();
    bool bothZero = dq && !dq.getZeroPoint() && !op.getZeroPoint();
    if (!dq || dq.getOffset() || dq.getInput().getType() != op.getType() ||
        op.getBits() || dq.getIsUnsigned() != op.getIsUnsigned() ||
        dq.getAxis() != op.getAxis() ||
        dq.getBlockSize() != op.getBlockSize() ||
        !areEqualParameters(dq.getScale(), op.getScale()) ||
        (!bothZero &&
         !areEqualParameters(dq.getZeroPoint(), op.getZeroPoint())))
      return failure();
    b.replaceOp(op, dq.getInput());
    ++moved;
    return success();
  }
  int64_t &moved;
};
} // namespace

void tamis::populateQuantizedMovementPatterns(RewritePatternSet &patterns,
                                              int64_t &moved) {
  patterns
      .add<SinkBelow<tensor::CollapseShapeOp>, SinkBelow<tensor::ExpandShapeOp>,
           SinkBelow<tensor::ExtractSliceOp>, SinkBelow<tensor::CastOp>,
           SinkAxisBelow<tensor::CollapseShapeOp>,
           SinkAxisBelow<tensor::ExpandShapeOp>, SinkBelowTranspose,
           SinkBelowConcat, SinkBelowPad, SinkBelowMaximum, SinkBelowRelu,
           HoistAboveConcat, HoistAboveTranspose, DropRoundTrip>(
          patterns.getContext(), moved);
}
