// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An operand of 16 bits is 256 times its upper bytes plus its lower ones, zero
// point and all, so that instructions for bytes are all it takes.
#include "QuantizedProduct.h"
#include "QuantizedTail.h"
#include "mlir/IR/Matchers.h"
#include "tamis/Transforms/ConstantTensor.h"

using namespace mlir;
using namespace mlir::tamis;

static RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

namespace {
/// One byte of each element, worth `byte · 2^shift`, and of the zero point: a
/// scalar or null.
struct Byte {
  Value value, zeroPoint;
  bool isUnsigned;
  unsigned shift;
};
} // namespace

/// Bits `shift` and up of a scalar, as a byte.
static Value takeByte(OpBuilder &b, Location loc, Value scalar,
                      unsigned shift) {
  if (shift)
    scalar = arith::ShRUIOp::create(
        b, loc, scalar,
        arith::ConstantOp::create(b, loc,
                                  b.getIntegerAttr(scalar.getType(), shift)));
  return arith::TruncIOp::create(b, loc, b.getI8Type(), scalar);
}

static SmallVector<Byte> splitBytes(OpBuilder &b, Location loc,
                                    QuantizedOperand operand) {
  Value zero;
  if (operand.zeroPoint && !matchPattern(operand.zeroPoint, m_Zero()))
    zero = tensor::ExtractOp::create(b, loc, operand.zeroPoint, ValueRange());
  if (typeOf(operand.value).getElementType().isInteger(8))
    return {{operand.value, zero, operand.isUnsigned, 0}};
  SmallVector<Byte> bytes;
  for (unsigned shift : {0, 8}) {
    AffineMap identity =
        b.getMultiDimIdentityMap(typeOf(operand.value).getRank());
    Value value =
        buildGeneric(b, loc, tensor::getMixedSizes(b, loc, operand.value),
                     b.getI8Type(), {operand.value}, {identity},
                     [&](OpBuilder &b, Location loc, ValueRange args) {
                       return takeByte(b, loc, args[0], shift);
                     });
    // The lower byte has no sign of its own.
    bytes.push_back({value, zero ? takeByte(b, loc, zero, shift) : Value(),
                     operand.isUnsigned || shift == 0, shift});
  }
  return bytes;
}

ExactSum tamis::buildExactSum(OpBuilder &b, ContractOp op, QuantizedOperand lhs,
                              QuantizedOperand rhs, const ProductLoops &loops) {
  Location loc = op.getLoc();
  Value init = tensor::EmptyOp::create(b, loc, loops.sizes, b.getI32Type());
  auto flag = [&](bool isUnsigned) {
    return isUnsigned ? b.getUnitAttr() : UnitAttr();
  };
  ExactSum result;
  SmallVector<Byte> rhsBytes = splitBytes(b, loc, rhs);
  for (const Byte &x : splitBytes(b, loc, lhs))
    for (const Byte &w : rhsBytes) {
      auto sum = ContractOp::create(
          b, loc, init.getType(), x.value, w.value, x.zeroPoint, w.zeroPoint,
          ValueRange(), init, loops.maps, loops.iterators, loops.pad,
          TypeAttr::get(b.getI32Type()), flag(x.isUnsigned), flag(w.isUnsigned),
          op.getOriginAttr());
      result.sums.push_back(sum.getResult());
      result.shifts.push_back(x.shift + w.shift);
    }
  return result;
}

Value tamis::buildTotal(OpBuilder &b, Location loc, const ExactSum &sum,
                        ValueRange sums, Value bias) {
  Type f32 = b.getF32Type(), f64 = b.getF64Type();
  if (sum.sums.size() == 1) {
    Value total = sums[0];
    if (bias)
      total = arith::AddIOp::create(b, loc, total, bias);
    return arith::SIToFPOp::create(b, loc, f32, total);
  }
  // Below 2^53 in all: at most kMostByteProducts of 16 times 16 bits.
  Value total = bias ? arith::SIToFPOp::create(b, loc, f64, bias) : Value();
  for (auto [value, shift] : llvm::zip_equal(sums, sum.shifts)) {
    Value part = arith::SIToFPOp::create(b, loc, f64, value);
    if (shift)
      part = arith::MulFOp::create(
          b, loc, part,
          arith::ConstantOp::create(
              b, loc, b.getF64FloatAttr(static_cast<double>(1u << shift))));
    total = total ? arith::AddFOp::create(b, loc, total, part) : part;
  }
  return arith::TruncFOp::create(b, loc, f32, total);
}

Value tamis::combineScales(OpBuilder &b, Location loc, Value x, Value w,
                           Value y) {
  unsigned rank = typeOf(w).getRank();
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

std::optional<Value> tamis::getCommonZeroPoint(OpBuilder &b, Value zeroPoint,
                                               SymbolTable &symbols) {
  if (!zeroPoint || typeOf(zeroPoint).getRank() == 0)
    return zeroPoint;
  auto zeros = getConstantTensor(zeroPoint, symbols);
  if (!zeros || zeros->bytes.empty())
    return std::nullopt;
  Type element = zeros->type.getElementType();
  size_t size = getElementBytes(element);
  ArrayRef<char> first = zeros->bytes.take_front(size);
  for (size_t at = 0; at < zeros->bytes.size(); at += size)
    if (zeros->bytes.slice(at, size) != first)
      return std::nullopt;
  return arith::ConstantOp::create(
             b, zeroPoint.getLoc(),
             DenseElementsAttr::getFromRawBuffer(
                 RankedTensorType::get({}, element), first))
      .getResult();
}

/// The zero point of every element of `op` is subtracted and fits.
static bool fitsWithoutZeroPoints(DequantizeOp op, const ConstantTensor &values,
                                  const ConstantTensor &zeros) {
  auto get = [&](const ConstantTensor &tensor, int64_t at) -> int {
    char byte = tensor.bytes[tensor.splat ? 0 : at];
    return op.getIsUnsigned() ? static_cast<uint8_t>(byte)
                              : static_cast<int8_t>(byte);
  };
  ArrayRef<int64_t> shape = values.type.getShape();
  int64_t axis = op.getAxis().value_or(0);
  int64_t block = op.getBlockSize().value_or(1);
  int64_t inner = llvm::product_of(shape.drop_front(axis + 1));
  int64_t blocks = llvm::divideCeil(shape[axis], block);
  int64_t zeroRank = typeOf(op.getZeroPoint()).getRank();
  for (int64_t at = 0, end = values.type.getNumElements(); at < end; ++at) {
    int64_t in = at % inner, along = at / inner % shape[axis];
    int64_t zero = zeroRank == 0 ? 0 : along / block;
    if (zeroRank > 1)
      zero = (at / inner / shape[axis] * blocks + zero) * inner + in;
    int difference = get(values, at) - get(zeros, zero);
    if (difference < -128 || difference > 127)
      return false;
  }
  return true;
}

Value tamis::subtractZeroPoints(OpBuilder &b, DequantizeOp op, Value value,
                                AffineMap map, SymbolTable &symbols) {
  auto values = getConstantTensor(op.getInput(), symbols);
  auto zeros = getConstantTensor(op.getZeroPoint(), symbols);
  if (!values || !zeros || !values->type.getElementType().isInteger(8) ||
      !fitsWithoutZeroPoints(op, *values, *zeros))
    return nullptr;
  Location loc = op.getLoc();
  AffineMap identity = b.getMultiDimIdentityMap(typeOf(value).getRank());
  return buildGeneric(
      b, loc, tensor::getMixedSizes(b, loc, value), b.getI8Type(),
      {value, op.getZeroPoint()}, {identity, map},
      [](OpBuilder &b, Location loc, ValueRange args) {
        return arith::SubIOp::create(b, loc, args[0], args[1]).getResult();
      });
}
