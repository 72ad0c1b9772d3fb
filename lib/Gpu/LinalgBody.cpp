// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What scalars, buffers and operations a device has, and bodies made of them.
#include "LinalgBody.h"
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::tamis;

static std::string describe(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

/// Whether device code computes with scalars of `type`.
static bool hasDeviceForm(Type type) {
  if (auto integer = dyn_cast<IntegerType>(type))
    return llvm::is_contained({1u, 8u, 16u, 32u, 64u}, integer.getWidth());
  return isa<IndexType, Float32Type, Float16Type, BFloat16Type>(type);
}

/// Whether `op` computes in bfloat16, which devices only move, widen and round.
static bool computesBFloat(Operation *op) {
  auto isBFloat = [](Type type) { return type.isBF16(); };
  return (llvm::any_of(op->getOperandTypes(), isBFloat) ||
          llvm::any_of(op->getResultTypes(), isBFloat)) &&
         !isa<arith::ExtFOp, arith::TruncFOp, arith::ConstantOp,
              linalg::YieldOp, memref::LoadOp>(op);
}

/// Whether a buffer of `type` looks the same from both sides. An index has
/// eight bytes on the host and four on the device.
static bool hasDeviceForm(MemRefType type) {
  return hasDeviceForm(type.getElementType()) &&
         !type.getElementType().isIndex() && type.isStrided();
}

/// SPIR-V computes with truth values, not with integers of one bit.
static bool isTruthOfDevice(Operation *op) {
  if (auto compare = dyn_cast<arith::CmpIOp>(op))
    return compare.getPredicate() <= arith::CmpIPredicate::ne ||
           compare.getPredicate() >= arith::CmpIPredicate::ult;
  return isa<arith::AndIOp, arith::OrIOp, arith::XOrIOp, arith::SelectOp,
             arith::MaxUIOp, arith::MinUIOp, arith::ExtUIOp, arith::ExtSIOp,
             arith::TruncIOp, arith::UIToFPOp, arith::IndexCastOp,
             arith::IndexCastUIOp, arith::ConstantOp>(op);
}

/// Whether a device computes `op` as the host does. What `--tamis-expand-math`
/// knows has become arithmetic; the device's own functions are less exact.
static bool hasDeviceForm(Operation *op) {
  if (computesBFloat(op))
    return false;
  if (isa<linalg::YieldOp, linalg::IndexOp, memref::LoadOp>(op))
    return true;
  if (isa<scf::IfOp, scf::ForOp, scf::YieldOp>(op))
    return true;
  // Results of two words.
  if (isa<arith::MulSIExtendedOp, arith::MulUIExtendedOp,
          arith::AddUIExtendedOp>(op))
    return false;
  if (auto compare = dyn_cast<arith::CmpFOp>(op))
    return compare.getPredicate() != arith::CmpFPredicate::AlwaysFalse &&
           compare.getPredicate() != arith::CmpFPredicate::AlwaysTrue;
  if (isa<arith::ArithDialect>(op->getDialect())) {
    auto isBit = [](Type type) { return type.isInteger(1); };
    bool reads = llvm::any_of(op->getOperandTypes(), isBit);
    bool makes = llvm::any_of(op->getResultTypes(), isBit);
    return isTruthOfDevice(op) ||
           !(reads || (makes && !isa<arith::CmpIOp>(op)));
  }
  return isa<math::AbsFOp, math::AbsIOp, math::CeilOp, math::CopySignOp,
             math::FloorOp, math::FmaOp, math::IsInfOp, math::IsNaNOp,
             math::RoundOp, math::RoundEvenOp, math::SqrtOp>(op);
}

std::string device::refuseBody(linalg::LinalgOp op) {
  for (Value operand : op->getOperands()) {
    auto type = dyn_cast<MemRefType>(operand.getType());
    if (type ? !hasDeviceForm(type) : !hasDeviceForm(operand.getType()))
      return describe(operand.getType()) + " has no device form";
    int64_t elements = 1;
    for (int64_t size : type ? type.getShape() : ArrayRef<int64_t>())
      if (llvm::MulOverflow(elements, ShapedType::isDynamic(size) ? 1 : size,
                            elements) ||
          elements > INT32_MAX)
        return describe(operand.getType()) + " has more than 2^31 elements";
  }
  std::string reason;
  op.getBlock()->walk([&](Operation *inner) {
    if (!hasDeviceForm(inner))
      reason = ("'" + inner->getName().getStringRef() + "' has no device form")
                   .str();
    for (TypeRange types : {TypeRange(inner->getResultTypes()),
                            TypeRange(inner->getOperandTypes())})
      for (Type type : types)
        if (!isa<MemRefType>(type) && !hasDeviceForm(type))
          reason = describe(type) + " has no device form";
    if (auto load = dyn_cast<memref::LoadOp>(inner);
        load && !hasDeviceForm(load.getMemRefType()))
      reason = describe(load.getMemRefType()) + " has no device form";
  });
  return reason;
}

SmallVector<Value> device::cloneBody(OpBuilder &b, linalg::LinalgOp op,
                                     IRMapping &mapping,
                                     function_ref<Value(unsigned)> getIndex) {
  Block *block = op.getBlock();
  for (Operation &inner : block->without_terminator()) {
    if (auto index = dyn_cast<linalg::IndexOp>(inner)) {
      mapping.map(index.getResult(), getIndex(index.getDim()));
      continue;
    }
    Operation *copy = b.clone(inner, mapping);
    copy->walk([&](linalg::IndexOp index) {
      index.replaceAllUsesWith(getIndex(index.getDim()));
      index.erase();
    });
  }
  return llvm::map_to_vector(
      block->getTerminator()->getOperands(),
      [&](Value value) { return mapping.lookupOrDefault(value); });
}

SmallVector<Value> device::getPosition(OpBuilder &b, linalg::LinalgOp op,
                                       OpOperand *operand,
                                       ArrayRef<Value> dims) {
  return llvm::map_to_vector(
      op.getMatchingIndexingMap(operand).getResults(), [&](AffineExpr expr) {
        return affine::expandAffineExpr(b, op.getLoc(), expr, dims, {});
      });
}

gpu::LaunchOp device::beginLaunch(OpBuilder &b, Location loc, Value groups,
                                  int64_t threads, TypeRange memory,
                                  Value &number) {
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(b, loc, value);
  };
  Value one = constant(1);
  Value columns =
      b.createOrFold<arith::MinUIOp>(loc, groups, constant(kMaxGroups));
  // An empty result makes no workgroup; ours is no division by zero.
  columns = b.createOrFold<arith::MaxUIOp>(loc, columns, one);
  Value rows = b.createOrFold<arith::CeilDivUIOp>(loc, groups, columns);
  auto launch = gpu::LaunchOp::create(
      b, loc, columns, rows, one, constant(threads), one, one,
      /*dynamicSharedMemorySize=*/nullptr, /*asyncTokenType=*/nullptr,
      /*asyncDependencies=*/ValueRange(), memory);
  b.setInsertionPointToStart(&launch.getBody().front());
  b.setInsertionPoint(gpu::TerminatorOp::create(b, loc));
  number = arith::MulIOp::create(b, loc, launch.getBlockIds().y,
                                 launch.getGridSize().x);
  number = arith::AddIOp::create(b, loc, number, launch.getBlockIds().x);
  return launch;
}
