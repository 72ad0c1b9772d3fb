// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The arithmetic that --tamis-expand-math writes functions in, private to its
// two source files.
#ifndef TAMIS_LIB_CONVERSION_EXPANDMATHCALCULATOR_H
#define TAMIS_LIB_CONVERSION_EXPANDMATHCALCULATOR_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::tamis {

using arith::CmpFPredicate;
using Coefficients = ArrayRef<double>;

/// Arithmetic on one shape: a scalar or a vector.
class Calculator {
public:
  Calculator(ImplicitLocOpBuilder &b, Type shape, bool fma, bool avx512)
      : b(b), shape(shape), hasFma(fma), hasAvx512(avx512) {}

  // Types and constants.
  Type like(Type element) {
    if (auto vector = dyn_cast<VectorType>(shape))
      return vector.clone(element);
    return element;
  }
  Value number(double value, Type element = {}) {
    element = element ? element : Type(b.getF32Type());
    return splat(b.getFloatAttr(element, value));
  }
  Value integer(int64_t value, unsigned bits = 32) {
    return splat(b.getIntegerAttr(b.getIntegerType(bits), value));
  }

  // Arithmetic.
  Value add(Value x, Value y) { return arith::AddFOp::create(b, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, x, y); }
  Value div(Value x, Value y) { return arith::DivFOp::create(b, x, y); }
  Value neg(Value x) { return arith::NegFOp::create(b, x); }
  Value abs(Value x) { return math::AbsFOp::create(b, x); }
  Value copySign(Value x, Value sign) {
    return math::CopySignOp::create(b, x, sign);
  }
  /// x * y + z, in one rounding where the machine has it.
  Value madd(Value x, Value y, Value z) {
    if (hasFma)
      return math::FmaOp::create(b, x, y, z);
    return add(mul(x, y), z);
  }
  Value horner(Value x, Coefficients c, Type element = {}) {
    Value result = number(c.back(), element);
    for (double next : llvm::reverse(c.drop_back()))
      result = madd(result, x, number(next, element));
    return result;
  }
  Value compare(CmpFPredicate predicate, Value x, Value y) {
    return arith::CmpFOp::create(b, predicate, x, y);
  }
  Value select(Value condition, Value x, Value y) {
    return arith::SelectOp::create(b, condition, x, y);
  }
  /// NaN passes through; each comparison is one min or max instruction.
  Value atMost(Value x, double limit) {
    Value bound = number(limit, getElementTypeOrSelf(x));
    return select(compare(CmpFPredicate::OLT, bound, x), bound, x);
  }
  Value atLeast(Value x, double limit) {
    Value bound = number(limit, getElementTypeOrSelf(x));
    return select(compare(CmpFPredicate::OGT, bound, x), bound, x);
  }

  // Bits.
  Value bits(Value x) {
    unsigned width = getElementTypeOrSelf(x).getIntOrFloatBitWidth();
    return arith::BitcastOp::create(b, like(b.getIntegerType(width)), x);
  }
  Value fromBits(Value x) {
    bool is64 = getElementTypeOrSelf(x).isInteger(64);
    Type element = is64 ? Type(b.getF64Type()) : Type(b.getF32Type());
    return arith::BitcastOp::create(b, like(element), x);
  }
  Value addi(Value x, Value y) { return arith::AddIOp::create(b, x, y); }
  Value subi(Value x, Value y) { return arith::SubIOp::create(b, x, y); }
  Value shl(Value x, int64_t n) {
    unsigned width = getElementTypeOrSelf(x).getIntOrFloatBitWidth();
    return arith::ShLIOp::create(b, x, integer(n, width));
  }
  Value shr(Value x, int64_t n) {
    unsigned width = getElementTypeOrSelf(x).getIntOrFloatBitWidth();
    return arith::ShRSIOp::create(b, x, integer(n, width));
  }
  Value toFloat(Value x) {
    return arith::SIToFPOp::create(b, like(b.getF32Type()), x);
  }
  Value isOdd(Value x) {
    unsigned width = getElementTypeOrSelf(x).getIntOrFloatBitWidth();
    Value bit = arith::AndIOp::create(b, x, integer(1, width));
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ne, bit,
                                 integer(0, width));
  }

  /// The nearest whole number of x * factor, as float and as integer, by the
  /// constant that shifts the fraction out; |x * factor| below 2^21.
  std::pair<Value, Value> nearest(Value x, double factor) {
    Value magic = number(12582912.0);
    Value shifted = madd(x, number(factor), magic);
    return {sub(shifted, magic), subi(bits(shifted), integer(0x4B400000))};
  }
  /// 2^n for n within the normal exponents.
  Value powerOfTwo(Value n) { return fromBits(shl(addi(n, integer(127)), 23)); }
  /// x * 2^n, rounded once or twice below the normal range. `whole` is n as a
  /// float.
  Value scale(Value x, Value n, Value whole) {
    auto vector = dyn_cast<VectorType>(x.getType());
    if (hasAvx512 && vector && vector.getShape() == ArrayRef<int64_t>{16}) {
      Value all = arith::ConstantOp::create(
          b, b.getIntegerAttr(b.getIntegerType(16), -1));
      Value rounding = arith::ConstantOp::create(b, b.getI32IntegerAttr(4));
      return LLVM::CallIntrinsicOp::create(
                 b, TypeRange{vector},
                 b.getStringAttr("llvm.x86.avx512.mask.scalef.ps.512"),
                 ValueRange{x, whole, x, all, rounding},
                 LLVM::FastmathFlagsAttr{})
          .getResult(0);
    }
    Value half = shr(n, 1);
    return mul(mul(x, powerOfTwo(half)), powerOfTwo(subi(n, half)));
  }

  // Functions.
  Value exp(Value x);
  Value exp2(Value x);
  Value expm1(Value x);
  Value tanh(Value x);
  Value erf(Value x);
  Value log(Value x, bool base2);
  Value log1p(Value x);
  Value sine(Value x, bool cosine);
  Value pow(Value x, Value y);
  Value extremum(Value x, Value y, CmpFPredicate wins);
  Value extremeNumber(Value x, Value y, CmpFPredicate wins);

  ImplicitLocOpBuilder &b;

private:
  Value splat(TypedAttr value) {
    if (auto vector = dyn_cast<VectorType>(shape))
      return arith::ConstantOp::create(
          b, DenseElementsAttr::get(vector.clone(value.getType()),
                                    Attribute(value)));
    return arith::ConstantOp::create(b, value);
  }
  /// x - n * ln 2 with ln 2 in two parts, the first short enough for an exact
  /// product.
  Value reduceExp(Value x, Value n) {
    Value r = madd(n, number(-0.693359375), x);
    return madd(n, number(2.12194440e-4), r);
  }
  /// e^r - 1 for |r| <= ln 2 / 2: r + r^2 q(r), relative error 2^-31.
  Value expm1Reduced(Value r) {
    Value q = horner(r, {0.5, 0.1666666567325592, 0.041666485369205475,
                         0.008333541452884674, 0.0013933228328824043,
                         0.00019766994228120893});
    return madd(mul(r, r), q, r);
  }

  /// `x wins over y ? x : y` as the instruction, where LLVM would otherwise
  /// melt the comparison with the one for NaN into four instructions.
  Value machineExtremum(Value x, Value y, CmpFPredicate wins) {
    auto vector = dyn_cast<VectorType>(x.getType());
    int64_t lanes =
        hasAvx512 && vector && vector.getRank() == 1 ? vector.getDimSize(0) : 0;
    if (lanes != 8 && lanes != 16)
      return select(compare(wins, x, y), x, y);
    bool greatest = wins == CmpFPredicate::OGT;
    SmallVector<Value> operands{x, y};
    StringRef name =
        greatest ? "llvm.x86.avx.max.ps.256" : "llvm.x86.avx.min.ps.256";
    if (lanes == 16) {
      name = greatest ? "llvm.x86.avx512.max.ps.512"
                      : "llvm.x86.avx512.min.ps.512";
      // The rounding that the state of the machine says.
      operands.push_back(arith::ConstantOp::create(b, b.getI32IntegerAttr(4)));
    }
    return LLVM::CallIntrinsicOp::create(b, TypeRange{vector},
                                         b.getStringAttr(name), operands,
                                         LLVM::FastmathFlagsAttr{})
        .getResult(0);
  }

  Type shape;
  bool hasFma, hasAvx512;
};

} // namespace mlir::tamis

#endif // TAMIS_LIB_CONVERSION_EXPANDMATHCALCULATOR_H
