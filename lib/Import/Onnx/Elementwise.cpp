// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Arithmetic on numbers of any type, element by element. Integer operations are
// total: a zero divisor gives zero.
#include "Elementwise.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::tamis::onnx;
using namespace mlir::tamis::onnx::elementwise;

Value elementwise::widen(Builder_ &b, Value value) {
  auto type = dyn_cast<FloatType>(value.getType());
  if (!type || type.getWidth() >= 32)
    return value;
  return arith::ExtFOp::create(b, b.getF32Type(), value);
}

Value elementwise::narrow(Builder_ &b, Value value, Type type) {
  if (value.getType() == type || !isa<FloatType>(type))
    return value;
  return arith::TruncFOp::create(b, type, value);
}

Value elementwise::like(Builder_ &b, Value value, double number) {
  return Importer::constant(b, value.getType(), number);
}

LogicalResult elementwise::finish(Importer &im, const Node &node, Value value,
                                  DType dtype) {
  return value ? im.out(node, 0, value, dtype) : failure();
}

LogicalResult elementwise::sameTypes(Importer &im, const Node &node,
                                     bool (*allowed)(DType),
                                     StringRef expected) {
  DType first = im.in(node, 0).dtype;
  for (size_t index = 0; index < node.inputs.size(); ++index) {
    DType dtype = im.in(node, index).dtype;
    if (!im.has(node, index))
      continue;
    if (!allowed(dtype))
      return im.error(node) << "expected " << expected << " elements, got "
                            << dtypeName(dtype);
    if (dtype != first)
      return im.error(node)
             << "inputs have different element types: " << dtypeName(first)
             << " and " << dtypeName(dtype);
  }
  return success();
}

SmallVector<ImportedValue> elementwise::allInputs(Importer &im,
                                                  const Node &node) {
  SmallVector<ImportedValue> result;
  for (size_t index = 0; index < node.inputs.size(); ++index)
    result.push_back(im.in(node, index));
  return result;
}

Value elementwise::select(Builder_ &b, arith::CmpFPredicate predicate, Value x,
                          double threshold, Value ifTrue, Value ifFalse) {
  Value bit = arith::CmpFOp::create(b, predicate, x, like(b, x, threshold));
  return arith::SelectOp::create(b, bit, ifTrue, ifFalse);
}

LogicalResult
elementwise::floatUnary(Importer &im, const Node &node,
                        llvm::function_ref<Value(Builder_ &, Value)> body) {
  if (failed(sameTypes(im, node, isFloat, "float")))
    return failure();
  ImportedValue input = im.in(node, 0);
  Type element = im.elementType(input.dtype);
  return finish(im, node,
                im.elementwise(node, input, element,
                               [&](Builder_ &b, ValueRange args) {
                                 return narrow(b, body(b, widen(b, args[0])),
                                               element);
                               }),
                input.dtype);
}

namespace {

/// x^n of int64 by squaring. What overflows wraps, and is zero where n > 63;
/// negative powers are rounded towards zero.
Value integerPower(Builder_ &b, Value x, Value n) {
  using P = arith::CmpIPredicate;
  Type type = x.getType();
  Value zero = Importer::constantInt(b, type, 0);
  Value one = Importer::constantInt(b, type, 1);
  Value square = x, rest = n, result = one;
  for (int bit = 0; bit < 6; ++bit) {
    Value odd = arith::CmpIOp::create(
        b, P::ne, arith::AndIOp::create(b, rest, one), zero);
    Value factor = arith::SelectOp::create(b, odd, square, one);
    result = arith::MulIOp::create(b, result, factor);
    square = arith::MulIOp::create(b, square, square);
    rest = arith::ShRUIOp::create(b, rest, one);
  }
  Value minus = Importer::constantInt(b, type, -1);
  Value isOne = arith::CmpIOp::create(b, P::eq, x, one);
  Value isMinus = arith::CmpIOp::create(b, P::eq, x, minus);
  Value odd =
      arith::CmpIOp::create(b, P::ne, arith::AndIOp::create(b, n, one), zero);
  Value sign = arith::SelectOp::create(b, odd, minus, one);
  Value small = arith::SelectOp::create(b, isMinus, sign, zero);
  small = arith::SelectOp::create(b, isOne, one, small);
  Value negative = arith::CmpIOp::create(b, P::slt, n, zero);
  Value limit = Importer::constantInt(b, type, 64);
  Value beyond = arith::CmpIOp::create(b, P::sge, n, limit);
  Value outside = arith::OrIOp::create(b, negative, beyond);
  return arith::SelectOp::create(b, outside, small, result);
}

LogicalResult importRelu(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  if (isFloat(input.dtype))
    return floatUnary(im, node, [](Builder_ &b, Value x) -> Value {
      return arith::MaximumFOp::create(b, x, like(b, x, 0));
    });
  if (!isInteger(input.dtype))
    return im.error(node) << "expected numbers, got " << dtypeName(input.dtype);
  return finish(im, node,
                im.elementwise(node, input, im.elementType(input.dtype),
                               [&](Builder_ &b, ValueRange args) -> Value {
                                 if (isUnsigned(input.dtype))
                                   return args[0];
                                 return arith::MaxSIOp::create(
                                     b, args[0], like(b, args[0], 0));
                               }),
                input.dtype);
}

LogicalResult importSignedUnary(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  DType dtype = input.dtype;
  StringRef op = node.opType;
  if (!isNumber(dtype))
    return im.error(node) << "expected numbers, got " << dtypeName(dtype);
  if (isFloat(dtype))
    return floatUnary(im, node, [&](Builder_ &b, Value x) -> Value {
      if (op == "Neg")
        return arith::NegFOp::create(b, x);
      if (op == "Abs")
        return math::AbsFOp::create(b, x);
      Value negative = select(b, FP::OLT, x, 0, like(b, x, -1), like(b, x, 0));
      return select(b, FP::OGT, x, 0, like(b, x, 1), negative);
    });
  return finish(
      im, node,
      im.elementwise(
          node, input, im.elementType(dtype),
          [&](Builder_ &b, ValueRange args) -> Value {
            Value x = args[0], zero = like(b, x, 0);
            Value negated = arith::SubIOp::create(b, zero, x);
            if (op == "Neg")
              return negated;
            using P = arith::CmpIPredicate;
            if (op == "Abs") {
              if (isUnsigned(dtype))
                return x;
              Value isNegative = arith::CmpIOp::create(b, P::slt, x, zero);
              return arith::SelectOp::create(b, isNegative, negated, x);
            }
            Value one = Importer::constantInt(b, x.getType(), 1);
            Value isZero = arith::CmpIOp::create(b, P::eq, x, zero);
            Value result = arith::SelectOp::create(b, isZero, zero, one);
            if (isUnsigned(dtype))
              return result;
            Value minus = Importer::constantInt(b, x.getType(), -1);
            Value isNegative = arith::CmpIOp::create(b, P::slt, x, zero);
            return arith::SelectOp::create(b, isNegative, minus, result);
          }),
      dtype);
}

/// n / d or n % d of integers, defined for every d.
Value totalDivision(Builder_ &b, Value n, Value d, bool isUns, bool remainder) {
  Type type = n.getType();
  Value zero = Importer::constantInt(b, type, 0);
  Value one = Importer::constantInt(b, type, 1);
  using P = arith::CmpIPredicate;
  Value isZero = arith::CmpIOp::create(b, P::eq, d, zero);
  if (isUns) {
    Value safe = arith::SelectOp::create(b, isZero, one, d);
    Value result = remainder ? arith::RemUIOp::create(b, n, safe).getResult()
                             : arith::DivUIOp::create(b, n, safe).getResult();
    return arith::SelectOp::create(b, isZero, zero, result);
  }
  // The least value divided by -1 overflows.
  Value minus = Importer::constantInt(b, type, -1);
  Value isMinus = arith::CmpIOp::create(b, P::eq, d, minus);
  Value special = arith::OrIOp::create(b, isZero, isMinus);
  Value safe = arith::SelectOp::create(b, special, one, d);
  if (remainder) {
    Value result = arith::RemSIOp::create(b, n, safe);
    return arith::SelectOp::create(b, special, zero, result);
  }
  Value result = arith::DivSIOp::create(b, n, safe);
  Value negated = arith::SubIOp::create(b, zero, n);
  result = arith::SelectOp::create(b, isMinus, negated, result);
  return arith::SelectOp::create(b, isZero, zero, result);
}

Value arithmetic(Builder_ &b, StringRef op, Value x, Value y, DType dtype) {
  if (isFloat(dtype)) {
    if (op == "Add" || op == "Sum" || op == "Mean")
      return arith::AddFOp::create(b, x, y);
    if (op == "Sub")
      return arith::SubFOp::create(b, x, y);
    if (op == "Mul")
      return arith::MulFOp::create(b, x, y);
    if (op == "Div")
      return arith::DivFOp::create(b, x, y);
    if (op == "Min")
      return arith::MinimumFOp::create(b, x, y);
    return arith::MaximumFOp::create(b, x, y);
  }
  bool isUns = isUnsigned(dtype);
  if (op == "Add" || op == "Sum")
    return arith::AddIOp::create(b, x, y);
  if (op == "Sub")
    return arith::SubIOp::create(b, x, y);
  if (op == "Mul")
    return arith::MulIOp::create(b, x, y);
  if (op == "Div")
    return totalDivision(b, x, y, isUns, /*remainder=*/false);
  if (op == "Min")
    return isUns ? arith::MinUIOp::create(b, x, y).getResult()
                 : arith::MinSIOp::create(b, x, y).getResult();
  return isUns ? arith::MaxUIOp::create(b, x, y).getResult()
               : arith::MaxSIOp::create(b, x, y).getResult();
}

/// Add, Sub, Mul, Div and the variadic Min, Max, Sum, Mean.
LogicalResult importArithmetic(Importer &im, const Node &node) {
  bool floatsOnly = node.opType == "Sum" || node.opType == "Mean";
  if (failed(floatsOnly ? sameTypes(im, node, isFloat, "float")
                        : sameTypes(im, node, isNumber, "numeric")))
    return failure();
  DType dtype = im.in(node, 0).dtype;
  Type element = im.elementType(dtype);
  SmallVector<ImportedValue> operands = allInputs(im, node);
  return finish(im, node,
                im.elementwise(node, operands, element,
                               [&](Builder_ &b, ValueRange args) {
                                 Value result = widen(b, args[0]);
                                 for (Value next : args.drop_front())
                                   result = arithmetic(b, node.opType, result,
                                                       widen(b, next), dtype);
                                 if (node.opType == "Mean")
                                   result = arith::DivFOp::create(
                                       b, result, like(b, result, args.size()));
                                 return narrow(b, result, element);
                               }),
                dtype);
}

LogicalResult importMod(Importer &im, const Node &node) {
  if (failed(sameTypes(im, node, isNumber, "numeric")))
    return failure();
  bool fmod = im.getInt(node, "fmod", 0);
  DType dtype = im.in(node, 0).dtype;
  Type element = im.elementType(dtype);
  SmallVector<ImportedValue> operands = allInputs(im, node);
  return finish(
      im, node,
      im.elementwise(node, operands, element,
                     [&](Builder_ &b, ValueRange args) -> Value {
                       Value x = widen(b, args[0]), y = widen(b, args[1]);
                       if (isFloat(dtype)) {
                         Value rest = arith::RemFOp::create(b, x, y);
                         if (!fmod) {
                           // Python's sign: that of the divisor.
                           Value zero = like(b, x, 0);
                           Value some =
                               arith::CmpFOp::create(b, FP::UNE, rest, zero);
                           Value differs = arith::XOrIOp::create(
                               b, arith::CmpFOp::create(b, FP::OLT, rest, zero),
                               arith::CmpFOp::create(b, FP::OLT, y, zero));
                           rest = arith::SelectOp::create(
                               b, arith::AndIOp::create(b, some, differs),
                               arith::AddFOp::create(b, rest, y), rest);
                         }
                         return narrow(b, rest, element);
                       }
                       bool isUns = isUnsigned(dtype);
                       Value rest =
                           totalDivision(b, x, y, isUns, /*remainder=*/true);
                       if (fmod || isUns)
                         return rest;
                       using P = arith::CmpIPredicate;
                       Value zero = like(b, x, 0);
                       Value some = arith::CmpIOp::create(b, P::ne, rest, zero);
                       Value differs = arith::CmpIOp::create(
                           b, P::slt, arith::XOrIOp::create(b, rest, y), zero);
                       return arith::SelectOp::create(
                           b, arith::AndIOp::create(b, some, differs),
                           arith::AddIOp::create(b, rest, y), rest);
                     }),
      dtype);
}

LogicalResult importPow(Importer &im, const Node &node) {
  ImportedValue base = im.in(node, 0), exponent = im.in(node, 1);
  DType dtype = base.dtype, power = exponent.dtype;
  if (!isNumber(dtype) || !isNumber(power))
    return im.error(node) << "expected numbers, got " << dtypeName(dtype)
                          << " and " << dtypeName(power);
  Type element = im.elementType(dtype);
  std::optional<double> known = im.constantScalar(exponent);
  if (known && (*known == 2 || *known == 3) &&
      im.type(exponent).getRank() <= im.type(base).getRank())
    return finish(im, node,
                  im.elementwise(node, base, element,
                                 [&](Builder_ &b, ValueRange args) {
                                   Value x = widen(b, args[0]);
                                   Value result =
                                       arithmetic(b, "Mul", x, x, dtype);
                                   if (*known == 3)
                                     result =
                                         arithmetic(b, "Mul", result, x, dtype);
                                   return narrow(b, result, element);
                                 }),
                  dtype);
  return finish(
      im, node,
      im.elementwise(
          node, {base, exponent}, element,
          [&](Builder_ &b, ValueRange args) -> Value {
            if (isInteger(dtype) && isInteger(power)) {
              Value wide =
                  Importer::castScalar(b, args[0], dtype, DType::Int64);
              Value times =
                  Importer::castScalar(b, args[1], power, DType::Int64);
              Value result = integerPower(b, wide, times);
              return Importer::castScalar(b, result, DType::Int64, dtype);
            }
            bool twice = dtype == DType::Double || isInteger(dtype);
            DType through = twice ? DType::Double : DType::Float;
            Value x = Importer::castScalar(b, args[0], dtype, through);
            Value y = Importer::castScalar(b, args[1], power, through);
            return Importer::castScalar(b, math::PowFOp::create(b, x, y),
                                        through, dtype);
          }),
      dtype);
}

LogicalResult importPRelu(Importer &im, const Node &node) {
  if (failed(sameTypes(im, node, isNumber, "numeric")))
    return failure();
  DType dtype = im.in(node, 0).dtype;
  Type element = im.elementType(dtype);
  SmallVector<ImportedValue> operands = allInputs(im, node);
  return finish(
      im, node,
      im.elementwise(node, operands, element,
                     [&](Builder_ &b, ValueRange args) -> Value {
                       Value x = widen(b, args[0]), slope = widen(b, args[1]);
                       Value scaled = arithmetic(b, "Mul", x, slope, dtype);
                       if (isFloat(dtype))
                         return narrow(b, select(b, FP::OLT, x, 0, scaled, x),
                                       element);
                       if (isUnsigned(dtype))
                         return x;
                       Value bit = arith::CmpIOp::create(
                           b, arith::CmpIPredicate::slt, x, like(b, x, 0));
                       return arith::SelectOp::create(b, bit, scaled, x);
                     }),
      dtype);
}

LogicalResult importClip(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  DType dtype = input.dtype;
  if (!isNumber(dtype))
    return im.error(node) << "expected numbers, got " << dtypeName(dtype);
  Type element = im.elementType(dtype);
  SmallVector<ImportedValue> operands{input};
  bool hasLow = false, hasHigh = false;
  auto addBound = [&](StringRef name, size_t index, bool &present) {
    ImportedValue bound;
    if (im.opset(node) < 11) {
      if (!im.attr(node, name))
        return success();
      float value = im.getFloat(node, name, 0);
      bound = im.shadowValue(dtype, {{}, {im.b.getFloatAttr(element, value)}});
    } else {
      bound = im.in(node, index);
      if (!bound)
        return success();
      if (bound.dtype != dtype)
        return LogicalResult(im.error(node)
                             << "'" << name << "' has element type "
                             << dtypeName(bound.dtype) << ", the input has "
                             << dtypeName(dtype));
      RankedTensorType type = im.type(bound);
      if (!type || !type.hasStaticShape() || type.getNumElements() != 1)
        return LogicalResult(im.error(node)
                             << "'" << name << "' must be a scalar");
      // A one-element vector is accepted, but must not raise the rank.
      if (std::shared_ptr<const Shadow> shadow = im.shadowOf(bound))
        bound = im.shadowValue(dtype, {{}, shadow->elements});
      else
        bound.value = im.reshape(im.tensor(bound), {});
    }
    present = true;
    operands.push_back(bound);
    return success();
  };
  if (im.opset(node) < 11 && !isFloat(dtype))
    return im.error(node) << "expected float elements, got "
                          << dtypeName(dtype);
  if (failed(addBound("min", 1, hasLow)) || failed(addBound("max", 2, hasHigh)))
    return failure();
  if (!hasLow && !hasHigh)
    return im.out(node, 0, input);
  return finish(im, node,
                im.elementwise(node, operands, element,
                               [&](Builder_ &b, ValueRange args) {
                                 Value x = widen(b, args[0]);
                                 if (hasLow)
                                   x = arithmetic(b, "Max", x,
                                                  widen(b, args[1]), dtype);
                                 if (hasHigh)
                                   x = arithmetic(b, "Min", x,
                                                  widen(b, args.back()), dtype);
                                 return narrow(b, x, element);
                               }),
                dtype);
}

} // namespace

void mlir::tamis::onnx::registerElementwise(OpTable &table) {
  auto unary = [&](StringRef name, ImportFn fn) {
    table.add({"", name, 1, {1, 1}, fn});
  };
  auto binary = [&](StringRef name, ImportFn fn) {
    table.add({"", name, 1, {2, 2}, fn});
  };
  unary("Relu", importRelu);
  unary("Abs", importSignedUnary);
  unary("Neg", importSignedUnary);
  unary("Sign", importSignedUnary);
  binary("Add", importArithmetic);
  binary("Sub", importArithmetic);
  binary("Mul", importArithmetic);
  binary("Div", importArithmetic);
  binary("Mod", importMod);
  binary("Pow", importPow);
  binary("PRelu", importPRelu);
  for (StringRef name : {"Min", "Max", "Sum", "Mean"})
    table.add({"", name, 1, {1, -1}, importArithmetic});
  table.add({"", "Clip", 1, {1, 3}, importClip});
}
