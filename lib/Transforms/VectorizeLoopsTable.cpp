// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A function of one byte has 256 values. Where the machine picks bytes out of
// registers, computing them once per call and looking them up beats computing
// each element in float32 (int8 sigmoid, hard-swish, rescaling chains).
#include "VectorizeLoopsEmitter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::tamis;

/// True if the body computes on the first argument and constants only, at a
/// cost that 256 more evaluations and a lookup undercut.
static bool isCostlyByteFunction(linalg::GenericOp op) {
  if (op.getNumDpsInputs() != 1 || op.getNumDpsInits() != 1 ||
      op.getNumReductionLoops() != 0)
    return false;
  Block &body = op.getRegion().front();
  if (!body.getArgument(0).getType().isInteger(8) ||
      !body.getArgument(1).getType().isInteger(8) ||
      !body.getArgument(1).use_empty())
    return false;
  unsigned count = 0;
  bool hasMath = false;
  for (Operation &inner : body.without_terminator()) {
    if (isa<linalg::IndexOp>(inner) || !isMemoryEffectFree(&inner))
      return false;
    for (Value operand : inner.getOperands())
      if (operand.getParentBlock() != &body &&
          !matchPattern(operand, m_Constant()))
        return false;
    count += !isa<arith::ConstantOp>(inner);
    hasMath |= inner.getName().getDialectNamespace() == "math";
  }
  // Fewer elements than this do not pay for the table.
  int64_t elements = 1;
  for (int64_t range : op.getStaticLoopRanges())
    elements *= ShapedType::isDynamic(range) ? 4096 : range;
  return (hasMath || count > 6) && elements >= 4096;
}

linalg::GenericOp tamis::tabulate(OpBuilder &b, linalg::GenericOp op,
                                  const VectorTarget &target) {
  auto function = op->getParentOfType<func::FuncOp>();
  if (!target.permutesBytes || !function || !isCostlyByteFunction(op))
    return nullptr;
  Location loc = op.getLoc();
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&function.getBody().front());
  Value table = memref::AllocaOp::create(
      b, loc, MemRefType::get({256}, b.getI8Type()), b.getI64IntegerAttr(64));
  b.setInsertionPoint(op);
  Block &body = op.getRegion().front();
  AffineMap identity = b.getMultiDimIdentityMap(1);
  auto fill = linalg::GenericOp::create(
      b, loc, ValueRange(), ValueRange{table}, ArrayRef<AffineMap>{identity},
      ArrayRef<utils::IteratorType>{utils::IteratorType::parallel},
      [&](OpBuilder &inner, Location at, ValueRange) {
        IRMapping mapping;
        Value position = linalg::IndexOp::create(inner, at, 0);
        mapping.map(body.getArgument(0),
                    Value(arith::IndexCastOp::create(
                        inner, at, inner.getI8Type(), position)));
        for (Operation &operation : body)
          inner.clone(operation, mapping);
      });

  Operation *yield = body.getTerminator();
  b.setInsertionPoint(yield);
  Value position = arith::IndexCastUIOp::create(b, loc, b.getIndexType(),
                                                body.getArgument(0));
  Value value = memref::LoadOp::create(b, loc, table, position);
  yield->setOperand(0, value);
  SmallVector<Operation *> old;
  for (Operation &operation : body.without_terminator())
    old.push_back(&operation);
  for (Operation *operation : llvm::reverse(old))
    if (operation->use_empty())
      operation->erase();
  return fill;
}

/// 64 bytes of a table of 256: the low seven bits pick from either half of the
/// table, the sign picks the half.
Value Emitter::lookUp(Value table, Value positions) {
  auto type = cast<VectorType>(positions.getType());
  Values quarters;
  for (int64_t start = 0; start < 256; start += 64)
    quarters.push_back(
        vector::LoadOp::create(b, loc, type, table, index(start)));
  auto pick = [&](Value low, Value high) {
    return LLVM::CallIntrinsicOp::create(
               b, loc, TypeRange{type},
               b.getStringAttr("llvm.x86.avx512.vpermi2var.qi.512"),
               ValueRange{low, positions, high}, LLVM::FastmathFlagsAttr{})
        .getResult(0);
  };
  Value zero = arith::ConstantOp::create(b, loc, type, b.getZeroAttr(type));
  Value upper =
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, positions, zero);
  return arith::SelectOp::create(b, loc, upper, pick(quarters[2], quarters[3]),
                                 pick(quarters[0], quarters[1]));
}
