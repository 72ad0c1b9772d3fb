// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Functions of a float, element by element: the elementary ones and the
// activations of networks.
#include "Elementwise.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::tamis::onnx;
using namespace mlir::tamis::onnx::elementwise;

namespace {

using UnaryFn = Value (*)(Builder_ &, Value);
template <UnaryFn fn>
LogicalResult importUnary(Importer &im, const Node &node) {
  return floatUnary(im, node, fn);
}

template <typename Op>
Value mathOp(Builder_ &b, Value x) {
  return Op::create(b, x);
}

/// sign(x) log(|x| + sqrt(x^2 + 1)), by log1p so that small arguments keep
/// their digits.
Value asinh(Builder_ &b, Value x) {
  Value one = like(b, x, 1);
  Value size = math::AbsFOp::create(b, x);
  Value square = arith::MulFOp::create(b, size, size);
  Value root = math::SqrtOp::create(b, arith::AddFOp::create(b, square, one));
  Value rest =
      arith::DivFOp::create(b, square, arith::AddFOp::create(b, one, root));
  Value small = math::Log1pOp::create(b, arith::AddFOp::create(b, size, rest));
  // The square of a large argument overflows; there it is log(2 |x|).
  Value large = arith::AddFOp::create(b, math::LogOp::create(b, size),
                                      like(b, x, 0.69314718055994531));
  Value isLarge = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, size,
                                        like(b, x, 1e15));
  Value result = arith::SelectOp::create(b, isLarge, large, small);
  return math::CopySignOp::create(b, result, x);
}

/// log(x + sqrt(x^2 - 1)).
Value acosh(Builder_ &b, Value x) {
  Value one = like(b, x, 1);
  Value above = arith::SubFOp::create(b, x, one);
  Value product =
      arith::MulFOp::create(b, above, arith::AddFOp::create(b, x, one));
  Value root = math::SqrtOp::create(b, product);
  Value small = math::Log1pOp::create(b, arith::AddFOp::create(b, above, root));
  Value large = arith::AddFOp::create(b, math::LogOp::create(b, x),
                                      like(b, x, 0.69314718055994531));
  Value isLarge =
      arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, x, like(b, x, 1e15));
  return arith::SelectOp::create(b, isLarge, large, small);
}

/// log((1 + x) / (1 - x)) / 2.
Value atanh(Builder_ &b, Value x) {
  Value twice = arith::AddFOp::create(b, x, x);
  Value ratio = arith::DivFOp::create(
      b, twice, arith::SubFOp::create(b, like(b, x, 1), x));
  return arith::MulFOp::create(b, like(b, x, 0.5),
                               math::Log1pOp::create(b, ratio));
}

Value sigmoid(Builder_ &b, Value x) {
  Value one = like(b, x, 1);
  Value power = math::ExpOp::create(b, arith::NegFOp::create(b, x));
  return arith::DivFOp::create(b, one, arith::AddFOp::create(b, one, power));
}

/// log(1 + e^x) without overflow.
Value softplus(Builder_ &b, Value x) {
  Value positive = arith::MaximumFOp::create(b, x, like(b, x, 0));
  Value magnitude = math::AbsFOp::create(b, x);
  Value power = math::ExpOp::create(b, arith::NegFOp::create(b, magnitude));
  return arith::AddFOp::create(b, positive, math::Log1pOp::create(b, power));
}

Value mish(Builder_ &b, Value x) {
  return arith::MulFOp::create(b, x, math::TanhOp::create(b, softplus(b, x)));
}

Value softsign(Builder_ &b, Value x) {
  Value below =
      arith::AddFOp::create(b, like(b, x, 1), math::AbsFOp::create(b, x));
  return arith::DivFOp::create(b, x, below);
}

Value reciprocal(Builder_ &b, Value x) {
  return arith::DivFOp::create(b, like(b, x, 1), x);
}

Value hardSigmoid(Builder_ &b, Value x, float alpha, float beta) {
  Value line = arith::AddFOp::create(
      b, arith::MulFOp::create(b, x, like(b, x, alpha)), like(b, x, beta));
  Value high = arith::MinimumFOp::create(b, line, like(b, x, 1));
  return arith::MaximumFOp::create(b, high, like(b, x, 0));
}

Value hardSwish(Builder_ &b, Value x) {
  return arith::MulFOp::create(b, x, hardSigmoid(b, x, 1.0f / 6, 0.5f));
}

Value gelu(Builder_ &b, Value x) {
  Value scaled = arith::MulFOp::create(b, x, like(b, x, 0.70710678118654752));
  Value phi =
      arith::AddFOp::create(b, like(b, x, 1), math::ErfOp::create(b, scaled));
  Value half = arith::MulFOp::create(b, like(b, x, 0.5), x);
  return arith::MulFOp::create(b, half, phi);
}

Value tanhGelu(Builder_ &b, Value x) {
  Value square = arith::MulFOp::create(b, x, x);
  Value cube = arith::MulFOp::create(b, square, x);
  Value inner = arith::AddFOp::create(
      b, x, arith::MulFOp::create(b, like(b, x, 0.044715), cube));
  Value scaled =
      arith::MulFOp::create(b, like(b, x, 0.79788456080286536), inner);
  Value phi =
      arith::AddFOp::create(b, like(b, x, 1), math::TanhOp::create(b, scaled));
  Value half = arith::MulFOp::create(b, like(b, x, 0.5), x);
  return arith::MulFOp::create(b, half, phi);
}

LogicalResult importLeakyRelu(Importer &im, const Node &node) {
  float alpha = im.getFloat(node, "alpha", 0.01f);
  return floatUnary(im, node, [&](Builder_ &b, Value x) {
    Value scaled = arith::MulFOp::create(b, x, like(b, x, alpha));
    return select(b, FP::OLT, x, 0, scaled, x);
  });
}

LogicalResult importHardSigmoid(Importer &im, const Node &node) {
  float alpha = im.getFloat(node, "alpha", 0.2f);
  float beta = im.getFloat(node, "beta", 0.5f);
  return floatUnary(im, node, [&](Builder_ &b, Value x) {
    return hardSigmoid(b, x, alpha, beta);
  });
}

LogicalResult importElu(Importer &im, const Node &node) {
  float alpha = im.getFloat(node, "alpha", 1.0f);
  return floatUnary(im, node, [&](Builder_ &b, Value x) {
    Value curve = arith::MulFOp::create(b, like(b, x, alpha),
                                        math::ExpM1Op::create(b, x));
    return select(b, FP::OLT, x, 0, curve, x);
  });
}

LogicalResult importSelu(Importer &im, const Node &node) {
  float alpha = im.getFloat(node, "alpha", 1.67326319217681884765625f);
  float gamma = im.getFloat(node, "gamma", 1.05070102214813232421875f);
  return floatUnary(im, node, [&](Builder_ &b, Value x) -> Value {
    Value curve = arith::MulFOp::create(b, like(b, x, alpha),
                                        math::ExpM1Op::create(b, x));
    Value both = select(b, FP::OLE, x, 0, curve, x);
    return arith::MulFOp::create(b, like(b, x, gamma), both);
  });
}

LogicalResult importCelu(Importer &im, const Node &node) {
  float alpha = im.getFloat(node, "alpha", 1.0f);
  if (alpha == 0)
    return im.error(node) << "attribute 'alpha' must not be zero";
  return floatUnary(im, node, [&](Builder_ &b, Value x) -> Value {
    Value zero = like(b, x, 0);
    Value scaled = arith::DivFOp::create(b, x, like(b, x, alpha));
    Value curve = arith::MulFOp::create(b, like(b, x, alpha),
                                        math::ExpM1Op::create(b, scaled));
    return arith::AddFOp::create(b, arith::MaximumFOp::create(b, x, zero),
                                 arith::MinimumFOp::create(b, curve, zero));
  });
}

LogicalResult importThresholdedRelu(Importer &im, const Node &node) {
  float alpha = im.getFloat(node, "alpha", 1.0f);
  return floatUnary(im, node, [&](Builder_ &b, Value x) {
    return select(b, FP::OGT, x, alpha, x, like(b, x, 0));
  });
}

LogicalResult importSwish(Importer &im, const Node &node) {
  float alpha =
      im.getFloat(node, "alpha", node.opType == "QuickGelu" ? 1.702f : 1.0f);
  return floatUnary(im, node, [&](Builder_ &b, Value x) -> Value {
    Value scaled =
        alpha == 1 ? x : arith::MulFOp::create(b, x, like(b, x, alpha));
    return arith::MulFOp::create(b, x, sigmoid(b, scaled));
  });
}

LogicalResult importGelu(Importer &im, const Node &node) {
  StringRef approximate = im.getString(node, "approximate", "none");
  if (approximate != "none" && approximate != "tanh")
    return im.error(node) << "attribute 'approximate' must be 'none' or "
                             "'tanh', got '"
                          << approximate << "'";
  return floatUnary(im, node, approximate == "tanh" ? tanhGelu : gelu);
}

LogicalResult importShrink(Importer &im, const Node &node) {
  float bias = im.getFloat(node, "bias", 0),
        lambda = im.getFloat(node, "lambd", 0.5f);
  ImportedValue input = im.in(node, 0);
  DType dtype = input.dtype;
  if (!isNumber(dtype))
    return im.error(node) << "expected numbers, got " << dtypeName(dtype);
  return finish(
      im, node,
      im.elementwise(
          node, input, im.elementType(dtype),
          [&](Builder_ &b, ValueRange args) {
            Value x = Importer::castScalar(b, args[0], dtype, DType::Float);
            Value shift = like(b, x, bias);
            Value up =
                select(b, FP::OGT, x, lambda,
                       arith::SubFOp::create(b, x, shift), like(b, x, 0));
            Value both = select(b, FP::OLT, x, -lambda,
                                arith::AddFOp::create(b, x, shift), up);
            return Importer::castScalar(b, both, DType::Float, dtype);
          }),
      dtype);
}

/// x sigmoid(alpha x) times the second input.
LogicalResult importSwiGlu(Importer &im, const Node &node) {
  if (failed(sameTypes(im, node, isFloat, "float")))
    return failure();
  float alpha = im.getFloat(node, "alpha", 1.0f);
  DType dtype = im.in(node, 0).dtype;
  Type element = im.elementType(dtype);
  SmallVector<ImportedValue> operands = allInputs(im, node);
  return finish(
      im, node,
      im.elementwise(
          node, operands, element,
          [&](Builder_ &b, ValueRange args) {
            Value x = widen(b, args[0]);
            Value gate =
                sigmoid(b, arith::MulFOp::create(b, x, like(b, x, alpha)));
            Value swish = arith::MulFOp::create(b, x, gate);
            return narrow(b, arith::MulFOp::create(b, swish, widen(b, args[1])),
                          element);
          }),
      dtype);
}

/// com.microsoft: bias added before the activation.
LogicalResult importBiasGelu(Importer &im, const Node &node) {
  if (failed(sameTypes(im, node, isFloat, "float")))
    return failure();
  DType dtype = im.in(node, 0).dtype;
  Type element = im.elementType(dtype);
  bool fast = node.opType == "FastGelu";
  SmallVector<ImportedValue> operands;
  for (size_t index = 0; index < node.inputs.size(); ++index)
    if (im.has(node, index))
      operands.push_back(im.in(node, index));
  return finish(
      im, node,
      im.elementwise(node, operands, element,
                     [&](Builder_ &b, ValueRange args) {
                       Value x = widen(b, args[0]);
                       if (args.size() == 2)
                         x = arith::AddFOp::create(b, x, widen(b, args[1]));
                       return narrow(b, fast ? tanhGelu(b, x) : gelu(b, x),
                                     element);
                     }),
      dtype);
}

} // namespace

void mlir::tamis::onnx::registerActivations(OpTable &table) {
  auto unary = [&](StringRef name, ImportFn fn) {
    table.add({"", name, 1, {1, 1}, fn});
  };
  unary("Acos", importUnary<mathOp<math::AcosOp>>);
  unary("Acosh", importUnary<acosh>);
  unary("Asin", importUnary<mathOp<math::AsinOp>>);
  unary("Asinh", importUnary<asinh>);
  unary("Atan", importUnary<mathOp<math::AtanOp>>);
  unary("Atanh", importUnary<atanh>);
  unary("Ceil", importUnary<mathOp<math::CeilOp>>);
  unary("Cos", importUnary<mathOp<math::CosOp>>);
  unary("Cosh", importUnary<mathOp<math::CoshOp>>);
  unary("Erf", importUnary<mathOp<math::ErfOp>>);
  unary("Exp", importUnary<mathOp<math::ExpOp>>);
  unary("Floor", importUnary<mathOp<math::FloorOp>>);
  unary("Log", importUnary<mathOp<math::LogOp>>);
  unary("Round", importUnary<mathOp<math::RoundEvenOp>>);
  unary("Sin", importUnary<mathOp<math::SinOp>>);
  unary("Sinh", importUnary<mathOp<math::SinhOp>>);
  unary("Sqrt", importUnary<mathOp<math::SqrtOp>>);
  unary("Tan", importUnary<mathOp<math::TanOp>>);
  unary("Tanh", importUnary<mathOp<math::TanhOp>>);
  unary("HardSwish", importUnary<hardSwish>);
  unary("Mish", importUnary<mish>);
  unary("Reciprocal", importUnary<reciprocal>);
  unary("Sigmoid", importUnary<sigmoid>);
  unary("Softplus", importUnary<softplus>);
  unary("Softsign", importUnary<softsign>);
  unary("Celu", importCelu);
  unary("Elu", importElu);
  unary("Gelu", importGelu);
  unary("HardSigmoid", importHardSigmoid);
  unary("LeakyRelu", importLeakyRelu);
  unary("Selu", importSelu);
  unary("Shrink", importShrink);
  unary("Swish", importSwish);
  unary("ThresholdedRelu", importThresholdedRelu);

  table.add({"", "SwiGLU", 1, {2, 2}, importSwiGlu});
  table.add({"com.microsoft", "Gelu", 1, {1, 1}, importGelu});
  table.add({"com.microsoft", "QuickGelu", 1, {1, 1}, importSwish});
  table.add({"com.microsoft", "BiasGelu", 1, {2, 2}, importBiasGelu});
  table.add({"com.microsoft", "FastGelu", 1, {1, 2}, importBiasGelu});
}
