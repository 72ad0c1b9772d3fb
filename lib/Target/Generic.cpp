// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Instructions every machine with vectors has: float multiply-add and widened
// integer multiply-add. LLVM selects the machine's own form; only the number of
// lanes depends on the features.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "tamis/Target/Target.h"

using namespace mlir;
using namespace mlir::tamis;

/// Registers left for operands once the accumulators are placed: with 32
/// vector registers 28 accumulators do not spill, with 16 it is 12.
static int64_t accumulatorsFor(int64_t lanes) { return lanes >= 16 ? 28 : 12; }

static SmallVector<StringRef> featuresFor(int64_t lanes, bool fused) {
  if (lanes >= 16)
    return {"avx512f"};
  if (lanes >= 8)
    return fused ? SmallVector<StringRef>{"avx2", "fma"}
                 : SmallVector<StringRef>{"avx2"};
  return {};
}

/// `scalar` in every lane.
static Value broadcast(OpBuilder &b, Location loc, Value scalar,
                       int64_t lanes) {
  return vector::BroadcastOp::create(
      b, loc, VectorType::get(lanes, scalar.getType()), scalar);
}

//===-- vector_fma --------------------------------------------------------===//

StringRef VectorFmaAttr::getInstructionName() const { return "vector_fma"; }

SmallVector<StringRef> VectorFmaAttr::getRequiredFeatures() const {
  return featuresFor(getLanes(), getFused());
}

bool VectorFmaAttr::accepts(Type lhs, Type rhs, Type accumulator, bool,
                            bool) const {
  auto narrow = [](Type t) {
    return isa<Float32Type, Float16Type, BFloat16Type>(t);
  };
  return narrow(lhs) && (narrow(rhs) || rhs.isInteger(8)) &&
         accumulator.isF32();
}

int64_t VectorFmaAttr::getReductionStep() const { return 1; }

int64_t VectorFmaAttr::getMaxAccumulators() const {
  return accumulatorsFor(getLanes());
}

int64_t VectorFmaAttr::getLhsOffset(bool) const { return 0; }

bool VectorFmaAttr::isTile() const { return false; }

Type VectorFmaAttr::getPackedType(Type rhs) const {
  // Weights that are bytes are so for their size.
  return rhs.isInteger(8) ? rhs : Float32Type::get(rhs.getContext());
}

/// float16, bfloat16 and signed bytes to float32, scalars and vectors.
static Value widenToFloat(OpBuilder &b, Location loc, Value value) {
  Type element = getElementTypeOrSelf(value.getType());
  if (element.isF32())
    return value;
  Type wide = b.getF32Type();
  if (auto vector = dyn_cast<VectorType>(value.getType()))
    wide = vector.clone(wide);
  if (isa<IntegerType>(element))
    return arith::SIToFPOp::create(b, loc, wide, value);
  return arith::ExtFOp::create(b, loc, wide, value);
}

Value VectorFmaAttr::buildLhs(OpBuilder &b, Location loc, Value elements,
                              bool) const {
  elements = widenToFloat(b, loc, elements);
  // A depthwise contraction hands over a whole vector of channels.
  if (isa<VectorType>(elements.getType()))
    return elements;
  return broadcast(b, loc, elements, getLanes());
}

Value VectorFmaAttr::buildRhs(OpBuilder &b, Location loc, Value loaded) const {
  return widenToFloat(b, loc, loaded);
}

Value VectorFmaAttr::buildNibbles(OpBuilder &b, Location loc, Value loaded,
                                  bool upper) const {
  // Both halves share the widening of their byte.
  auto words = VectorType::get(getLanes(), b.getI32Type());
  Value wide = arith::ExtUIOp::create(b, loc, words, loaded);
  auto splat = [&](int32_t value) -> Value {
    return arith::ConstantOp::create(
        b, loc, DenseElementsAttr::get(words, b.getI32IntegerAttr(value)));
  };
  Value half = upper
                   ? arith::ShRUIOp::create(b, loc, wide, splat(4)).getResult()
                   : arith::AndIOp::create(b, loc, wide, splat(15));
  return arith::SIToFPOp::create(
      b, loc, VectorType::get(getLanes(), b.getF32Type()), half);
}

Value VectorFmaAttr::buildMultiplyAccumulate(OpBuilder &b, Location loc,
                                             Value lhs, Value rhs,
                                             Value acc) const {
  if (getFused())
    return vector::FMAOp::create(b, loc, lhs, rhs, acc);
  Value product = arith::MulFOp::create(b, loc, lhs, rhs);
  return arith::AddFOp::create(b, loc, acc, product);
}

//===-- vector_mul --------------------------------------------------------===//

StringRef VectorMulAttr::getInstructionName() const { return "vector_mul"; }

SmallVector<StringRef> VectorMulAttr::getRequiredFeatures() const {
  return featuresFor(getLanes(), false);
}

bool VectorMulAttr::accepts(Type lhs, Type rhs, Type accumulator, bool,
                            bool) const {
  auto narrow = [](Type t) {
    return t.isInteger(8) || t.isInteger(16) || t.isInteger(32);
  };
  return narrow(lhs) && narrow(rhs) && accumulator.isInteger(32);
}

int64_t VectorMulAttr::getReductionStep() const { return 1; }

int64_t VectorMulAttr::getMaxAccumulators() const {
  return accumulatorsFor(getLanes());
}

int64_t VectorMulAttr::getLhsOffset(bool) const { return 0; }

bool VectorMulAttr::isTile() const { return false; }

double VectorMulAttr::getCycles() const { return 1.0; }

Type VectorMulAttr::getPackedType(Type rhs) const {
  return IntegerType::get(rhs.getContext(), 32);
}

Value VectorMulAttr::buildLhs(OpBuilder &b, Location loc, Value elements,
                              bool lhsUnsigned) const {
  Type wide = b.getI32Type();
  auto vector = dyn_cast<VectorType>(elements.getType());
  if (vector)
    wide = vector.clone(wide);
  if (wide != elements.getType())
    elements = lhsUnsigned
                   ? arith::ExtUIOp::create(b, loc, wide, elements).getResult()
                   : arith::ExtSIOp::create(b, loc, wide, elements).getResult();
  return vector ? elements : broadcast(b, loc, elements, getLanes());
}

Value VectorMulAttr::buildRhs(OpBuilder &, Location, Value loaded) const {
  return loaded;
}

Value VectorMulAttr::buildMultiplyAccumulate(OpBuilder &b, Location loc,
                                             Value lhs, Value rhs,
                                             Value acc) const {
  Value product = arith::MulIOp::create(b, loc, lhs, rhs);
  return arith::AddIOp::create(b, loc, acc, product);
}

//===-- table -------------------------------------------------------------===//

void mlir::tamis::appendGenericInstructions(
    TargetAttr target, SmallVectorImpl<InstructionAttrInterface> &table) {
  MLIRContext *context = target.getContext();
  int64_t lanes = target.hasFeature("avx512f") ? 16
                  : target.hasFeature("avx2")  ? 8
                                               : 4;
  bool fused = target.hasFeature("fma") || target.hasFeature("avx512f") ||
               target.hasFeature("neon");
  table.push_back(VectorFmaAttr::get(context, lanes, fused));
  table.push_back(VectorMulAttr::get(context, lanes));
}
