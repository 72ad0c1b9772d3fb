// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Operations that LLVM has too.
#include "Counterparts.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::tamis;

bool mlir::tamis::isNumber(Type type) {
  return type.isSignlessInteger() || isa<Float16Type, BFloat16Type>(type) ||
         type.isF32() || type.isF64();
}

bool mlir::tamis::isPlain(Type type) {
  auto vector = dyn_cast<VectorType>(type);
  if (!vector)
    return type.isIndex() || isNumber(type);
  return vector.getRank() == 1 && !vector.isScalable() &&
         isNumber(vector.getElementType());
}

template <typename From, typename To>
void Counterparts::add() {
  names.try_emplace(OperationName(From::getOperationName(), context),
                    OperationName(To::getOperationName(), context));
}

Counterparts::Counterparts(MLIRContext *context) : context(context) {
  add<arith::AddIOp, LLVM::AddOp>();
  add<arith::SubIOp, LLVM::SubOp>();
  add<arith::MulIOp, LLVM::MulOp>();
  add<arith::RemUIOp, LLVM::URemOp>();
  add<arith::AndIOp, LLVM::AndOp>();
  add<arith::OrIOp, LLVM::OrOp>();
  add<arith::XOrIOp, LLVM::XOrOp>();
  add<arith::ShLIOp, LLVM::ShlOp>();
  add<arith::MaxSIOp, LLVM::SMaxOp>();
  add<arith::MinSIOp, LLVM::SMinOp>();
  add<arith::MaxUIOp, LLVM::UMaxOp>();
  add<arith::MinUIOp, LLVM::UMinOp>();
  add<arith::AddFOp, LLVM::FAddOp>();
  add<arith::SubFOp, LLVM::FSubOp>();
  add<arith::MulFOp, LLVM::FMulOp>();
  add<arith::DivFOp, LLVM::FDivOp>();
  add<arith::NegFOp, LLVM::FNegOp>();
  add<arith::MaximumFOp, LLVM::MaximumOp>();
  add<arith::MinimumFOp, LLVM::MinimumOp>();
  add<arith::MaxNumFOp, LLVM::MaxNumOp>();
  add<arith::MinNumFOp, LLVM::MinNumOp>();
  add<arith::SelectOp, LLVM::SelectOp>();
  add<arith::ExtSIOp, LLVM::SExtOp>();
  add<arith::TruncIOp, LLVM::TruncOp>();
  add<arith::SIToFPOp, LLVM::SIToFPOp>();
  add<arith::FPToSIOp, LLVM::FPToSIOp>();
  add<arith::BitcastOp, LLVM::BitcastOp>();
  add<math::FmaOp, LLVM::FMAOp>();
  add<math::RoundEvenOp, LLVM::RoundEvenOp>();
  add<vector::FMAOp, LLVM::FMulAddOp>();
  add<vector::BitCastOp, LLVM::BitcastOp>();
}

static bool hasFlags(Operation *op) {
  if (auto math = dyn_cast<arith::ArithFastMathInterface>(op))
    if (auto flags = math.getFastMathFlagsAttr())
      return flags.getValue() != arith::FastMathFlags::none;
  if (auto integer = dyn_cast<arith::ArithIntegerOverflowFlagsInterface>(op))
    if (auto flags = integer.getOverflowAttr())
      return flags.getValue() != arith::IntegerOverflowFlags::none;
  return false;
}

std::optional<OperationName> Counterparts::find(Operation *op) const {
  auto found = names.find(op->getName());
  if (found == names.end() || hasFlags(op))
    return std::nullopt;
  return found->second;
}
