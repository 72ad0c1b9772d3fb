// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Comparison, logic, bits and selection, element by element. Shifts beyond the
// width are defined: nothing, or the sign, is left.
#include "Elementwise.h"
#include <cmath>

using namespace mlir;
using namespace mlir::tamis::onnx;
using namespace mlir::tamis::onnx::elementwise;

namespace {

bool isBool(DType dtype) { return dtype == DType::Bool; }
bool isAny(DType dtype) { return isNumber(dtype) || isBool(dtype); }

LogicalResult importCompare(Importer &im, const Node &node) {
  StringRef op = node.opType;
  if (failed(sameTypes(im, node, op == "Equal" ? isAny : isNumber,
                       op == "Equal" ? "numeric or bool" : "numeric")))
    return failure();
  DType dtype = im.in(node, 0).dtype;
  bool isUns = isUnsigned(dtype);
  using P = arith::CmpIPredicate;
  auto [forFloat, forInt] =
      op == "Equal"         ? std::pair(FP::OEQ, P::eq)
      : op == "Less"        ? std::pair(FP::OLT, isUns ? P::ult : P::slt)
      : op == "LessOrEqual" ? std::pair(FP::OLE, isUns ? P::ule : P::sle)
      : op == "Greater"     ? std::pair(FP::OGT, isUns ? P::ugt : P::sgt)
                            : std::pair(FP::OGE, isUns ? P::uge : P::sge);
  SmallVector<ImportedValue> operands = allInputs(im, node);
  auto floatPredicate = forFloat;
  auto intPredicate = forInt;
  return finish(im, node,
                im.elementwise(node, operands, im.b.getI1Type(),
                               [&](Builder_ &b, ValueRange args) -> Value {
                                 if (isFloat(dtype))
                                   return arith::CmpFOp::create(
                                       b, floatPredicate, args[0], args[1]);
                                 return arith::CmpIOp::create(b, intPredicate,
                                                              args[0], args[1]);
                               }),
                DType::Bool);
}

/// And, Or, Xor, Not and their bitwise forms: the same on i1 and wider.
LogicalResult importLogic(Importer &im, const Node &node) {
  StringRef op = node.opType;
  bool bitwise = op.consume_front("Bitwise");
  if (failed(sameTypes(im, node, bitwise ? isInteger : isBool,
                       bitwise ? "integer" : "bool")))
    return failure();
  DType dtype = im.in(node, 0).dtype;
  SmallVector<ImportedValue> operands = allInputs(im, node);
  return finish(
      im, node,
      im.elementwise(node, operands, im.elementType(dtype),
                     [&](Builder_ &b, ValueRange args) -> Value {
                       if (op == "And")
                         return arith::AndIOp::create(b, args[0], args[1]);
                       if (op == "Or")
                         return arith::OrIOp::create(b, args[0], args[1]);
                       if (op == "Xor")
                         return arith::XOrIOp::create(b, args[0], args[1]);
                       Value ones =
                           Importer::constantInt(b, args[0].getType(), -1);
                       return arith::XOrIOp::create(b, args[0], ones);
                     }),
      dtype);
}

LogicalResult importBitShift(Importer &im, const Node &node) {
  if (failed(sameTypes(im, node, isInteger, "integer")))
    return failure();
  StringRef direction = im.getString(node, "direction", "");
  if (direction != "LEFT" && direction != "RIGHT")
    return im.error(node) << "attribute 'direction' must be 'LEFT' or "
                             "'RIGHT', got '"
                          << direction << "'";
  DType dtype = im.in(node, 0).dtype;
  SmallVector<ImportedValue> operands = allInputs(im, node);
  return finish(
      im, node,
      im.elementwise(
          node, operands, im.elementType(dtype),
          [&](Builder_ &b, ValueRange args) -> Value {
            Value x = args[0], zero = like(b, x, 0);
            unsigned width = x.getType().getIntOrFloatBitWidth();
            Value limit = Importer::constantInt(b, x.getType(), width);
            Value fine = arith::CmpIOp::create(b, arith::CmpIPredicate::ult,
                                               args[1], limit);
            bool left = direction == "LEFT";
            if (!left && !isUnsigned(dtype)) {
              // The sign fills; so it does beyond the width.
              Value most = Importer::constantInt(b, x.getType(), width - 1);
              Value amount = arith::SelectOp::create(b, fine, args[1], most);
              return arith::ShRSIOp::create(b, x, amount);
            }
            Value amount = arith::SelectOp::create(b, fine, args[1], zero);
            Value shifted =
                left ? arith::ShLIOp::create(b, x, amount).getResult()
                     : arith::ShRUIOp::create(b, x, amount).getResult();
            return arith::SelectOp::create(b, fine, shifted, zero);
          }),
      dtype);
}

LogicalResult importIsNaN(Importer &im, const Node &node) {
  if (failed(sameTypes(im, node, isFloat, "float")))
    return failure();
  return finish(im, node,
                im.elementwise(node, im.in(node, 0), im.b.getI1Type(),
                               [](Builder_ &b, ValueRange args) -> Value {
                                 return arith::CmpFOp::create(b, FP::UNO,
                                                              args[0], args[0]);
                               }),
                DType::Bool);
}

LogicalResult importIsInf(Importer &im, const Node &node) {
  if (failed(sameTypes(im, node, isFloat, "float")))
    return failure();
  bool negative = im.getInt(node, "detect_negative", 1);
  bool positive = im.getInt(node, "detect_positive", 1);
  return finish(
      im, node,
      im.elementwise(
          node, im.in(node, 0), im.b.getI1Type(),
          [&](Builder_ &b, ValueRange args) -> Value {
            Value result = Importer::constantInt(b, b.getI1Type(), 0);
            for (auto [wanted, sign] :
                 {std::pair(negative, -1.0), {positive, 1.0}})
              if (wanted)
                result = arith::OrIOp::create(
                    b, result,
                    arith::CmpFOp::create(b, FP::OEQ, args[0],
                                          like(b, args[0], sign * INFINITY)));
            return result;
          }),
      DType::Bool);
}

LogicalResult importWhere(Importer &im, const Node &node) {
  ImportedValue condition = im.in(node, 0), left = im.in(node, 1),
                right = im.in(node, 2);
  if (condition.dtype != DType::Bool)
    return im.error(node) << "the condition must be bool, got "
                          << dtypeName(condition.dtype);
  if (left.dtype != right.dtype)
    return im.error(node) << "inputs have different element types: "
                          << dtypeName(left.dtype) << " and "
                          << dtypeName(right.dtype);
  Type element = im.elementType(left.dtype);
  if (!element)
    return im.error(node) << "unsupported element type "
                          << dtypeName(left.dtype);
  return finish(im, node,
                im.elementwise(node, {condition, left, right}, element,
                               [](Builder_ &b, ValueRange args) -> Value {
                                 return arith::SelectOp::create(
                                     b, args[0], args[1], args[2]);
                               }),
                left.dtype);
}

} // namespace

void mlir::tamis::onnx::registerLogic(OpTable &table) {
  auto unary = [&](StringRef name, ImportFn fn) {
    table.add({"", name, 1, {1, 1}, fn});
  };
  auto binary = [&](StringRef name, ImportFn fn) {
    table.add({"", name, 1, {2, 2}, fn});
  };
  unary("IsInf", importIsInf);
  unary("IsNaN", importIsNaN);
  unary("Not", importLogic);
  unary("BitwiseNot", importLogic);
  binary("BitShift", importBitShift);
  for (StringRef name :
       {"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"})
    binary(name, importCompare);
  for (StringRef name :
       {"And", "Or", "Xor", "BitwiseAnd", "BitwiseOr", "BitwiseXor"})
    binary(name, importLogic);
  table.add({"", "Where", 1, {3, 3}, importWhere});
}
