// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The functions themselves. Reductions are the textbook ones (Cody and Waite
// for exp and the trigonometric functions, exponent and mantissa for log); the
// coefficients are our own: minimax fits by Lawson-weighted least squares in
// 80-bit arithmetic, leading coefficients rounded first and the rest fitted
// again; for the quotient of erf by Remez exchange.
// test/Execution/expand-math.test measures the errors, which stay below 3 units
// in the last place (erf: 7), and checks both ends of every range.
#include "ExpandMathCalculator.h"
#include "SplatConstant.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::tamis;

/// n = round(x / ln 2), r = x - n ln 2, e^x = 2^n (1 + r + r^2 q(r)), relative
/// error of the fit 2^-28. Arguments are held where the result is already
/// infinite or zero.
Value Calculator::exp(Value x) {
  x = atMost(atLeast(x, -104.0), 89.0);
  auto [whole, n] = nearest(x, 1.4426950408889634);
  Value r = reduceExp(x, whole);
  Value q =
      horner(r, {0.4999999403953552, 0.16666516661643982, 0.041668280959129333,
                 0.008369249291718006, 0.001382077462039888});
  Value p = add(madd(mul(r, r), q, r), number(1.0));
  return scale(p, n, whole);
}

/// n = round(x), 2^x = 2^n (1 + r p(r)), error of the fit 2^-28.
Value Calculator::exp2(Value x) {
  x = atMost(atLeast(x, -150.0), 129.0);
  auto [whole, n] = nearest(x, 1.0);
  Value r = sub(x, whole);
  Value p = horner(r, {0.6931471824645996, 0.24022647738456726,
                       0.05550358071923256, 0.009618503041565418,
                       0.0013391890097409487, 0.00015329236339312047});
  return scale(madd(r, p, number(1.0)), n, whole);
}

/// 2^n (e^r - 1) + (2^n - 1), computed at half size and doubled, so that 2^n
/// does not overflow before the result does.
Value Calculator::expm1(Value x) {
  Value held = atMost(atLeast(x, -30.0), 89.0);
  auto [whole, n] = nearest(held, 1.4426950408889634);
  Value q = expm1Reduced(reduceExp(held, whole));
  Value half = powerOfTwo(subi(n, integer(1)));
  Value y = madd(half, q, sub(half, number(0.5)));
  y = add(y, y);
  // n = 0 for small arguments: the sum is then r + r^2 q(r), but for the
  // sign of zero and for denormals, which are their own result.
  return select(compare(CmpFPredicate::OLT, abs(x), number(1e-7)), x, y);
}

/// e / (e + 2) with e = expm1(2 |x|).
Value Calculator::tanh(Value x) {
  Value a = atMost(abs(x), 9.5);
  Value twice = add(a, a);
  auto [whole, n] = nearest(twice, 1.4426950408889634);
  Value power = powerOfTwo(n);
  Value e = madd(power, expm1Reduced(reduceExp(twice, whole)),
                 sub(power, number(1.0)));
  return copySign(div(e, add(e, number(2.0))), x);
}

/// x p(x^2) / q(x^2), error of the fit 2^-25.7, held where it is 1. All
/// coefficients are positive, so that nothing cancels; what is left are a few
/// roundings, 6 units just below 1 where units are smallest.
Value Calculator::erf(Value x) {
  Value held = atMost(atLeast(x, -3.88), 3.88);
  Value z = mul(held, held);
  Value p = horner(z, {1.1283791461285742, 0.190407332858836,
                       0.05274884353861012, 0.003765655879817524,
                       0.00028488390444652103, 2.0500844706481393e-06});
  Value q = horner(z, {1.0, 0.5020768458565336, 0.11410947519328968,
                       0.014969294021954831, 0.0011625455315218418,
                       3.8091747864895634e-05});
  return atMost(atLeast(div(mul(held, p), q), -1.0), 1.0);
}

/// x = 2^e m with m in [sqrt 1/2, sqrt 2), f = m - 1,
/// log m = f - f^2/2 + f^3 p(f), error of the fit 2^-30.
Value Calculator::log(Value x, bool base2) {
  Value tiny = compare(CmpFPredicate::OLT, x, number(1.17549435e-38));
  Value normal = select(tiny, mul(x, number(8388608.0)), x);
  // Subtracting the bits of sqrt 1/2 makes the exponent field change there.
  Value offset = subi(bits(normal), integer(0x3F3504F3));
  Value e = shr(offset, 23);
  Value m = fromBits(subi(bits(normal), shl(e, 23)));
  Value exponent = add(toFloat(e), select(tiny, number(-23.0), number(0.0)));
  Value f = sub(m, number(1.0));
  Value p = horner(
      f, {0.3333331048488617, -0.24999986588954926, 0.20002223551273346,
          -0.16669249534606934, 0.14218716323375702, -0.12384402006864548,
          0.11872619390487671, -0.11789369583129883, 0.06915611028671265});
  Value square = mul(f, f);
  // The part behind f, so that f itself is added exactly once, last.
  Value rest = madd(mul(square, f), p, mul(square, number(-0.5)));
  Value y;
  if (base2) {
    // log2 e = 1 + 0.44…: f enters once without a product.
    Value low = madd(f, number(0.4426950408889634),
                     mul(rest, number(1.4426950408889634)));
    y = add(exponent, add(f, low));
  } else {
    rest = madd(exponent, number(-2.12194440e-4), rest);
    y = madd(exponent, number(0.693359375), add(f, rest));
  }
  double inf = std::numeric_limits<double>::infinity();
  double nan = std::numeric_limits<double>::quiet_NaN();
  y = select(compare(CmpFPredicate::OLT, x, number(inf)), y, x);
  y = select(compare(CmpFPredicate::OLT, x, number(0.0)), number(nan), y);
  return select(compare(CmpFPredicate::OEQ, x, number(0.0)), number(-inf), y);
}

/// log(u) + (x - (u - 1)) / u with u = 1 + x: the quotient restores what the
/// sum rounded away.
Value Calculator::log1p(Value x) {
  Value u = add(x, number(1.0));
  Value lost = div(sub(x, sub(u, number(1.0))), u);
  Value main = log(u, false);
  Value y = add(main, lost);
  double inf = std::numeric_limits<double>::infinity();
  y = select(compare(CmpFPredicate::OEQ, u, number(inf)), main, y);
  Value pole = compare(CmpFPredicate::OEQ, u, number(0.0));
  y = select(pole, number(-inf), y);
  return select(compare(CmpFPredicate::OLT, abs(x), number(6e-8)), x, y);
}

/// k = round(x 2/pi); x - k pi/2 in float64 with pi/2 in two parts, exact
/// enough up to |x| = 2^20; beyond that, and for infinities, libm in float64,
/// lane by lane.
Value Calculator::sine(Value x, bool cosine) {
  Type f64 = b.getF64Type();
  Value wide = arith::ExtFOp::create(b, like(f64), x);
  Value magic = number(6755399441055744.0, f64);
  Value shifted = madd(wide, number(0.63661977236758134308, f64), magic);
  Value k = sub(shifted, magic);
  Value quadrant =
      arith::TruncIOp::create(b, like(b.getI32Type()), bits(shifted));
  if (cosine)
    quadrant = addi(quadrant, integer(1));
  Value reduced = madd(k, number(-1.57079632673412561417e+00, f64), wide);
  reduced = madd(k, number(-6.07710050650619224932e-11, f64), reduced);
  Value r = arith::TruncFOp::create(b, like(b.getF32Type()), reduced);
  Value z = mul(r, r);
  Value s = horner(z, {-0.1666666716337204, 0.008333379402756691,
                       -0.00019852982950396836, 2.8308018045208883e-06});
  s = madd(mul(z, r), s, r);
  Value c = horner(z, {0.0416666679084301, -0.0013888980029150844,
                       2.4821911210892722e-05, -2.885931280616205e-07});
  c = madd(mul(z, z), c, madd(z, number(-0.5), number(1.0)));
  Value y = select(isOdd(quadrant), c, s);
  Value flip = isOdd(shr(quadrant, 1));
  y = select(flip, neg(y), y);

  // The sign of zero; cos has none.
  if (!cosine)
    y = select(compare(CmpFPredicate::OEQ, x, number(0.0)), x, y);
  Value far =
      arith::CmpFOp::create(b, CmpFPredicate::UGE, abs(x), number(1048576.0));
  auto vector = dyn_cast<VectorType>(shape);
  Value any = far;
  if (vector)
    any = vector::ReductionOp::create(b, vector::CombiningKind::OR, far);
  auto conditional = scf::IfOp::create(
      b, any,
      [&](OpBuilder &inner, Location loc) {
        auto slow = [&](Value wideElement) -> Value {
          Value result;
          if (cosine)
            result = math::CosOp::create(inner, loc, wideElement);
          else
            result = math::SinOp::create(inner, loc, wideElement);
          return arith::TruncFOp::create(inner, loc, inner.getF32Type(),
                                         result);
        };
        if (!vector) {
          scf::YieldOp::create(inner, loc, slow(wide));
          return;
        }
        SmallVector<Value> elements;
        for (int64_t l = 0; l < vector.getNumElements(); ++l)
          elements.push_back(
              slow(vector::ExtractOp::create(inner, loc, wide, l)));
        Value all = vector::FromElementsOp::create(
            inner, loc, vector.clone(inner.getF32Type()), elements);
        scf::YieldOp::create(
            inner, loc,
            arith::SelectOp::create(inner, loc, far, all, y).getResult());
      },
      [&](OpBuilder &inner, Location loc) {
        scf::YieldOp::create(inner, loc, y);
      });
  return conditional.getResult(0);
}

/// 2^(y log2 |x|) in float64, which leaves no error in the last place of
/// float32 but the final rounding; then the exceptions of IEEE 754 pow.
Value Calculator::pow(Value x, Value y) {
  Type f64 = b.getF64Type();
  double inf = std::numeric_limits<double>::infinity();
  double nan = std::numeric_limits<double>::quiet_NaN();
  Value a = arith::ExtFOp::create(b, like(f64), abs(x));
  Value exponent = arith::ExtFOp::create(b, like(f64), y);

  // log2: m in [sqrt 1/2, sqrt 2), s = (m - 1) / (m + 1), s p(s^2).
  Value offset = subi(bits(a), integer(0x3FE6A09E667F3BCD, 64));
  Value e = shr(offset, 52);
  Value m = fromBits(subi(bits(a), shl(e, 52)));
  Value one = number(1.0, f64);
  Value s = div(sub(m, one), add(m, one));
  Value p = horner(mul(s, s),
                   {2.885390081777927, 0.9617966939243765, 0.577078017246381,
                    0.41219840074131875, 0.32061653427281356,
                    0.26143835077859834, 0.24299758725052892},
                   f64);
  Value narrow = arith::TruncIOp::create(b, like(b.getI32Type()), e);
  Value log = madd(s, p, arith::SIToFPOp::create(b, like(f64), narrow));
  log = select(compare(CmpFPredicate::OEQ, a, number(0.0, f64)),
               number(-inf, f64), log);
  log = select(compare(CmpFPredicate::OLT, a, number(inf, f64)), log, a);

  // exp2. A product of 0 and infinity is no number; both are settled below.
  Value t = atMost(atLeast(mul(exponent, log), -300.0), 300.0);
  Value magic = number(6755399441055744.0, f64);
  Value shifted = add(t, magic);
  Value r = sub(t, sub(shifted, magic));
  Value q = horner(r,
                   {0.6931471805482118, 0.24022650698110526,
                    0.055504109352682574, 0.009618128616141725,
                    0.0013333454859200747, 0.00015403825460450063,
                    1.5309156428162706e-05, 1.3178931032537713e-06},
                   f64);
  Value power =
      fromBits(shl(addi(subi(bits(shifted), integer(0x4338000000000000, 64)),
                        integer(1023, 64)),
                   52));
  Value value = mul(madd(r, q, one), power);
  Value result = arith::TruncFOp::create(b, like(b.getF32Type()), value);

  // Negative bases: the sign of odd powers, no number for fractions.
  Value truncated = math::TruncOp::create(b, y);
  Value isWhole = compare(CmpFPredicate::OEQ, truncated, y);
  Value half = mul(y, number(0.5));
  Value isEven =
      compare(CmpFPredicate::OEQ, Value(math::TruncOp::create(b, half)), half);
  Value odd = arith::AndIOp::create(
      b, isWhole,
      Value(arith::XOrIOp::create(b, isEven, splat(b.getBoolAttr(true)))));
  result = select(odd, copySign(result, x), result);
  Value finiteNegative =
      arith::AndIOp::create(b, compare(CmpFPredicate::OLT, x, number(0.0)),
                            compare(CmpFPredicate::OGT, x, number(-inf)));
  Value fraction = arith::AndIOp::create(
      b, finiteNegative, compare(CmpFPredicate::UNE, truncated, y));
  result = select(fraction, number(nan), result);
  Value minusOne =
      arith::AndIOp::create(b, compare(CmpFPredicate::OEQ, x, number(-1.0)),
                            compare(CmpFPredicate::OEQ, abs(y), number(inf)));
  Value isOne =
      arith::OrIOp::create(b, compare(CmpFPredicate::OEQ, x, number(1.0)),
                           compare(CmpFPredicate::OEQ, y, number(0.0)));
  isOne = arith::OrIOp::create(b, isOne, minusOne);
  return select(isOne, number(1.0), result);
}

static bool isNumber(Value value) {
  auto constant = getSplatConstant<FloatAttr>(value);
  return constant && !constant.getValue().isNaN();
}

/// One instruction if either side is a constant, which must then stand first:
/// a comparison with NaN takes the second. Of two zeros it may give either.
Value Calculator::extremum(Value x, Value y, CmpFPredicate wins) {
  if (isNumber(y))
    std::swap(x, y);
  if (isNumber(x))
    return select(compare(wins, x, y), x, y);
  Value result = machineExtremum(x, y, wins);
  return select(compare(CmpFPredicate::UNO, x, x), x, result);
}

/// The one that is a number, if only one is. Where the second is known to be
/// one, a comparison does; LLVM would join two of them by bits and branch on a
/// scalar, and its own operation takes the operands the other way round.
Value Calculator::extremeNumber(Value x, Value y, CmpFPredicate wins) {
  if (isNumber(y))
    return select(compare(wins, x, y), x, y);
  if (wins == CmpFPredicate::OGT)
    return LLVM::MaxNumOp::create(b, y, x);
  return LLVM::MinNumOp::create(b, y, x);
}
