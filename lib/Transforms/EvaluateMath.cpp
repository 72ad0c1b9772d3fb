// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "EvaluateMath.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;
using namespace mlir::tamis;

/// Functions that are exact in every precision.
static ScalarFunction getExactFunction(Operation *op) {
  return llvm::TypeSwitch<Operation *, ScalarFunction>(op)
      .Case([](math::RoundEvenOp) {
        return [](double x, double) { return std::nearbyint(x); };
      })
      .Case([](math::FloorOp) {
        return [](double x, double) { return std::floor(x); };
      })
      .Case([](math::CeilOp) {
        return [](double x, double) { return std::ceil(x); };
      })
      .Case([](math::AbsFOp) {
        return [](double x, double) { return std::fabs(x); };
      })
      .Case([](math::SqrtOp) {
        return [](double x, double) { return std::sqrt(x); };
      })
      .Default(nullptr);
}

static ScalarFunction getRoundedFunction(Operation *op) {
  return llvm::TypeSwitch<Operation *, ScalarFunction>(op)
      .Case([](math::ExpOp) {
        return [](double x, double) { return std::exp(x); };
      })
      .Case([](math::Exp2Op) {
        return [](double x, double) { return std::exp2(x); };
      })
      .Case([](math::ExpM1Op) {
        return [](double x, double) { return std::expm1(x); };
      })
      .Case([](math::LogOp) {
        return [](double x, double) { return std::log(x); };
      })
      .Case([](math::Log2Op) {
        return [](double x, double) { return std::log2(x); };
      })
      .Case([](math::Log10Op) {
        return [](double x, double) { return std::log10(x); };
      })
      .Case([](math::Log1pOp) {
        return [](double x, double) { return std::log1p(x); };
      })
      .Case([](math::SinOp) {
        return [](double x, double) { return std::sin(x); };
      })
      .Case([](math::CosOp) {
        return [](double x, double) { return std::cos(x); };
      })
      .Case([](math::TanhOp) {
        return [](double x, double) { return std::tanh(x); };
      })
      .Case([](math::ErfOp) {
        return [](double x, double) { return std::erf(x); };
      })
      .Case([](math::RsqrtOp) {
        return [](double x, double) { return 1 / std::sqrt(x); };
      })
      .Case([](math::PowFOp) {
        return [](double x, double y) { return std::pow(x, y); };
      })
      .Default(nullptr);
}

ScalarFunction mlir::tamis::getScalarFunction(Operation *op) {
  if (ScalarFunction exact = getExactFunction(op))
    return exact;
  return op->getNumResults() == 1 && !op->getResult(0).getType().isF64()
             ? getRoundedFunction(op)
             : nullptr;
}
