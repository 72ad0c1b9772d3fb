// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What quantize and dequantize mean, as linalg.generic: after this pass
// quantization is ordinary elementwise arithmetic and fuses like it.
#include "QuantizedProduct.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "tamis/Support/QuantMath.h"
#include "tamis/Transforms/Passes.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_LOWERQUANTIZATION
#include "tamis/Transforms/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

/// True for a zero point that is known to be zero.
static bool isZero(Value value) {
  return !value || matchPattern(value, m_Zero()) ||
         matchPattern(value, m_AnyZeroFloat());
}

static Value getZeroPoint(DecodeOp) { return nullptr; }

template <typename OpTy>
static Value getZeroPoint(OpTy op) {
  return op.getZeroPoint();
}

static Value getOffset(DequantizeOp op) { return op.getOffset(); }

template <typename OpTy>
static Value getOffset(OpTy) {
  return nullptr;
}

namespace {
/// Either operation, brought to one form: the reader's map per parameter.
template <typename OpTy>
struct Lowering {
  OpTy op;
  OpBuilder &b;
  Location loc = op.getLoc();

  /// Replaces the operation with a generic whose body `body` builds from the
  /// element, the scale (null where the operation has none), the zero point
  /// (null where zero) and the offset (null where there is none).
  template <typename Body>
  void run(Body body) {
    Value input = op.getInput();
    Value scale = op.getScale();
    int64_t scaleRank =
        scale ? cast<RankedTensorType>(scale.getType()).getRank() : 0;
    auto resultType = cast<RankedTensorType>(op.getType());
    auto originalType = resultType;
    int64_t axis = op.getAxis().value_or(0);
    int64_t block = 0;
    if constexpr (!std::is_same_v<OpTy, FakeQuantOp>)
      block = op.getBlockSize().value_or(0);
    int64_t rank = resultType.getRank();
    MLIRContext *context = b.getContext();

    SmallVector<AffineExpr> parameter;
    SmallVector<ReassociationIndices> groups;
    if (scaleRank == rank && block > 0) {
      int64_t size = resultType.getDimSize(axis);
      bool split = !ShapedType::isDynamic(size) && size % block == 0;
      for (int64_t i = 0; i < rank; ++i)
        parameter.push_back(b.getAffineDimExpr(split && i > axis ? i + 1 : i));
      if (split) {
        input = splitAxis(b, loc, input, axis, size, block, nullptr);
        auto wide = cast<RankedTensorType>(input.getType());
        resultType = wide.clone(resultType.getElementType());
        for (int64_t i = 0, at = 0; i < rank; ++i) {
          groups.push_back({at++});
          if (i == axis)
            groups.back().push_back(at++);
        }
      } else {
        parameter[axis] = parameter[axis].floorDiv(block);
      }
    } else if (scaleRank == 1) {
      parameter.push_back(b.getAffineDimExpr(axis));
    }
    unsigned loops = resultType.getRank();
    auto identity = b.getMultiDimIdentityMap(loops);
    auto parameterMap = AffineMap::get(loops, 0, parameter, context);

    SmallVector<Value> inputs = {input};
    SmallVector<AffineMap> maps = {identity};
    Value zeroPoint = getZeroPoint(op), offset = getOffset(op);
    bool hasZero = !isZero(zeroPoint);
    for (Value value : {scale, hasZero ? zeroPoint : Value(), offset})
      if (value) {
        inputs.push_back(value);
        maps.push_back(parameterMap);
      }
    maps.push_back(identity);
    SmallVector<Value> sizes;
    for (int64_t i = 0; i < resultType.getRank(); ++i)
      if (resultType.isDynamicDim(i))
        sizes.push_back(tensor::DimOp::create(b, loc, input, i));
    Value init = tensor::EmptyOp::create(b, loc, resultType, sizes);
    SmallVector<utils::IteratorType> iterators(loops,
                                               utils::IteratorType::parallel);
    Value result = linalg::GenericOp::create(
                       b, loc, resultType, inputs, init, maps, iterators,
                       [&](OpBuilder &nested, Location at, ValueRange args) {
                         Value factor = scale ? args[1] : Value();
                         Value zero = hasZero ? args[2] : Value();
                         linalg::YieldOp::create(
                             nested, at,
                             body(nested, at, args[0], factor, zero,
                                  offset ? args[2 + hasZero] : Value()));
                       })
                       .getResult(0);
    if (!groups.empty())
      result =
          tensor::CollapseShapeOp::create(b, loc, originalType, result, groups);
    op.replaceAllUsesWith(result);
    op.erase();
  }
};

/// Extends or truncates the float `value` to `type`.
Value castFloat(OpBuilder &b, Location loc, Value value, Type type) {
  unsigned from = value.getType().getIntOrFloatBitWidth();
  unsigned to = type.getIntOrFloatBitWidth();
  if (from < to)
    return arith::ExtFOp::create(b, loc, type, value);
  if (from > to)
    return arith::TruncFOp::create(b, loc, type, value);
  return value;
}

struct LowerQuantization
    : tamis::impl::LowerQuantizationBase<LowerQuantization> {
  void lower(QuantizeOp op) {
    OpBuilder b(op);
    auto type = cast<IntegerType>(
        cast<RankedTensorType>(op.getType()).getElementType());
    bool isUnsigned = op.getIsUnsigned();
    unsigned bits = op.getBits().value_or(type.getWidth());
    Lowering<QuantizeOp>{op, b}.run([&](OpBuilder &b, Location loc, Value x,
                                        Value scale, Value zero, Value) {
      Type f32 = b.getF32Type();
      Value scaled = arith::DivFOp::create(b, loc, castFloat(b, loc, x, f32),
                                           castFloat(b, loc, scale, f32));
      return buildQuantize(b, loc, scaled, zero, type, isUnsigned, bits);
    });
  }

  /// (q - zero) * scale + offset, in i32 and f32; zero and offset may be null.
  static Value dequantize(OpBuilder &b, Location loc, DequantizeOp op, Value q,
                          Value scale, Value zero, Value offset) {
    Type f32 = b.getF32Type(), i32 = b.getI32Type();
    bool isUnsigned = op.getIsUnsigned();
    Value wide = castInteger(b, loc, q, i32, isUnsigned);
    if (zero)
      wide = arith::SubIOp::create(b, loc, wide,
                                   castInteger(b, loc, zero, i32, isUnsigned));
    Value x = arith::SIToFPOp::create(b, loc, f32, wide);
    x = arith::MulFOp::create(b, loc, x, castFloat(b, loc, scale, f32));
    if (offset)
      x = arith::AddFOp::create(b, loc, x, castFloat(b, loc, offset, f32));
    return castFloat(b, loc, x,
                     cast<RankedTensorType>(op.getType()).getElementType());
  }

  /// Who reads single elements, a gather of rows, dequantizes what it reads.
  void lowerExtracts(DequantizeOp op) {
    int64_t axis = op.getAxis().value_or(0);
    int64_t block = op.getBlockSize().value_or(0);
    int64_t parameterRank =
        cast<RankedTensorType>(op.getScale().getType()).getRank();
    for (Operation *user : llvm::make_early_inc_range(op->getUsers())) {
      auto extract = dyn_cast<tensor::ExtractOp>(user);
      if (!extract)
        continue;
      OpBuilder b(extract);
      Location loc = extract.getLoc();
      SmallVector<Value> at(extract.getIndices()), parameterAt;
      if (block > 0 && parameterRank == int64_t(at.size())) {
        parameterAt = at;
        parameterAt[axis] = arith::DivUIOp::create(
            b, loc, at[axis], arith::ConstantIndexOp::create(b, loc, block));
      } else if (parameterRank == 1) {
        parameterAt.push_back(at[axis]);
      }
      auto read = [&](Value from, ValueRange where) -> Value {
        return tensor::ExtractOp::create(b, loc, from, where);
      };
      Value zero, offset;
      if (!isZero(op.getZeroPoint()))
        zero = read(op.getZeroPoint(), parameterAt);
      if (op.getOffset())
        offset = read(op.getOffset(), parameterAt);
      extract.replaceAllUsesWith(dequantize(b, loc, op, read(op.getInput(), at),
                                            read(op.getScale(), parameterAt),
                                            zero, offset));
      extract.erase();
    }
  }

  void lower(DequantizeOp op) {
    lowerExtracts(op);
    if (op.use_empty()) {
      op.erase();
      return;
    }
    OpBuilder b(op);
    Lowering<DequantizeOp>{op, b}.run([&](OpBuilder &b, Location loc, Value q,
                                          Value scale, Value zero,
                                          Value offset) {
      return dequantize(b, loc, op, q, scale, zero, offset);
    });
  }

  void lower(DecodeOp op) {
    OpBuilder b(op);
    Type type = cast<RankedTensorType>(op.getType()).getElementType();
    Value codebook = op.getCodebook();
    Lowering<DecodeOp>{op, b}.run([&](OpBuilder &b, Location loc, Value code,
                                      Value scale, Value, Value) {
      Type f32 = b.getF32Type(), i32 = b.getI32Type();
      Value x;
      if (codebook) {
        int64_t size = cast<RankedTensorType>(codebook.getType()).getDimSize(0);
        Value at = arith::ExtUIOp::create(b, loc, i32, code);
        if (size < 256)
          at = arith::MinSIOp::create(
              b, loc, at,
              arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(size - 1)));
        at = arith::IndexCastOp::create(b, loc, b.getIndexType(), at);
        x = tensor::ExtractOp::create(b, loc, codebook, at);
      } else {
        x = castFloat(b, loc, code, f32);
      }
      if (scale)
        x = arith::MulFOp::create(b, loc, x, castFloat(b, loc, scale, f32));
      return castFloat(b, loc, x, type);
    });
  }

  void lower(FakeQuantOp op) {
    OpBuilder b(op);
    Type type = cast<RankedTensorType>(op.getType()).getElementType();
    int64_t low = op.getLow(), high = op.getHigh();
    Lowering<FakeQuantOp>{op, b}.run([&](OpBuilder &b, Location loc, Value x,
                                         Value scale, Value zero, Value) {
      Type f32 = b.getF32Type();
      auto real = [&](int64_t value) -> Value {
        return arith::ConstantOp::create(
            b, loc, b.getF32FloatAttr(static_cast<float>(value)));
      };
      scale = castFloat(b, loc, scale, f32);
      Value y = castFloat(b, loc, x, f32);
      y = arith::DivFOp::create(b, loc, y, scale);
      y = math::RoundEvenOp::create(b, loc, y);
      if (zero) {
        zero = castFloat(b, loc, zero, f32);
        y = arith::AddFOp::create(b, loc, y, zero);
      }
      y = arith::MaxNumFOp::create(b, loc, y, real(low));
      y = arith::MinNumFOp::create(b, loc, y, real(high));
      if (zero)
        y = arith::SubFOp::create(b, loc, y, zero);
      y = arith::MulFOp::create(b, loc, y, scale);
      return castFloat(b, loc, y, type);
    });
  }

  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation()->walk([&](Operation *op) {
      if (isa<QuantizeOp, DequantizeOp, DecodeOp, FakeQuantOp>(op))
        ops.push_back(op);
    });
    for (Operation *op : ops) {
      if (auto quantize = dyn_cast<QuantizeOp>(op))
        lower(quantize);
      else if (auto dequantize = dyn_cast<DequantizeOp>(op))
        lower(dequantize);
      else if (auto decode = dyn_cast<DecodeOp>(op))
        lower(decode);
      else
        lower(cast<FakeQuantOp>(op));
      ++numLowered;
    }
  }
};
} // namespace
