// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Floats that are rounded, clamped and stored as integers of few bits, and read
// again: what a model says in one operator after the other needs fewer
// operations where both meet in one kernel.
#include "SplatConstant.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "tamis/Conversion/Passes.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Target/Target.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_SHORTENROUNDING
#include "tamis/Conversion/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

/// The bounds of a float that is clamped, rounded or not.
static std::optional<std::pair<double, double>> getClamp(Value value) {
  if (auto round = value.getDefiningOp<math::RoundEvenOp>())
    value = round.getOperand();
  auto high = value.getDefiningOp<arith::MinNumFOp>();
  auto low = high ? high.getLhs().getDefiningOp<arith::MaxNumFOp>()
                  : arith::MaxNumFOp();
  if (!low)
    return std::nullopt;
  auto above = getSplatConstant<FloatAttr>(high.getRhs()),
       below = getSplatConstant<FloatAttr>(low.getRhs());
  if (!above || !below)
    return std::nullopt;
  return std::pair(below.getValueAsDouble(), above.getValueAsDouble());
}

/// The bounds of an integer that was a clamped float, with something added.
static std::optional<std::pair<double, double>> getRange(Value value) {
  double more = 0;
  if (auto add = value.getDefiningOp<arith::AddIOp>()) {
    auto addend = getSplatConstant<IntegerAttr>(add.getRhs());
    if (!addend)
      return std::nullopt;
    more = double(addend.getValue().getSExtValue());
    value = add.getLhs();
  }
  auto cast = value.getDefiningOp<arith::FPToSIOp>();
  auto clamp = cast ? getClamp(cast.getIn()) : std::nullopt;
  if (!clamp)
    return std::nullopt;
  return std::pair(clamp->first + more, clamp->second + more);
}

/// What `extension` of a truncated integer is: that integer, if it was in
/// range.
template <typename ExtensionT>
static Value getUntruncated(ExtensionT extension) {
  auto trunc = extension.getIn().template getDefiningOp<arith::TruncIOp>();
  if (!trunc || trunc.getIn().getType() != extension.getType())
    return {};
  auto range = getRange(trunc.getIn());
  unsigned bits = getElementTypeOrSelf(trunc.getType()).getIntOrFloatBitWidth();
  bool isSigned = std::is_same_v<ExtensionT, arith::ExtSIOp>;
  double low = isSigned ? -std::ldexp(1.0, int(bits) - 1) : 0;
  double high = std::ldexp(1.0, int(bits) - (isSigned ? 1 : 0)) - 1;
  if (!range || range->first < low || range->second > high)
    return {};
  return trunc.getIn();
}

/// `x` of `(x + c) - c`: what wraps around comes back.
static Value getUnshifted(arith::SubIOp op) {
  auto add = op.getLhs().getDefiningOp<arith::AddIOp>();
  auto more = add ? getSplatConstant<IntegerAttr>(add.getRhs()) : IntegerAttr();
  auto less = getSplatConstant<IntegerAttr>(op.getRhs());
  return more && more == less ? add.getLhs() : Value();
}

namespace {
struct ShortenRounding : tamis::impl::ShortenRoundingBase<ShortenRounding> {
  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation()->walk([&](Operation *op) {
      if (isa<arith::ExtSIOp, arith::ExtUIOp, arith::SubIOp>(op))
        ops.push_back(op);
    });
    // In their order, so that operands are short already.
    for (Operation *op : ops) {
      Value simple;
      if (auto extension = dyn_cast<arith::ExtSIOp>(op))
        simple = getUntruncated(extension);
      else if (auto extension = dyn_cast<arith::ExtUIOp>(op))
        simple = getUntruncated(extension);
      else if (auto difference = dyn_cast<arith::SubIOp>(op))
        simple = getUnshifted(difference);
      if (!simple)
        continue;
      op->replaceAllUsesWith(ValueRange{simple});
      op->erase();
      ++numShortened;
    }
    getOperation()->walk([&](arith::FPToSIOp op) { roundAtOnce(op); });
  }

  /// x86 converts to the nearest integer, ties to even, in one operation.
  void roundAtOnce(arith::FPToSIOp op) {
    auto round = op.getIn().getDefiningOp<math::RoundEvenOp>();
    auto vector = dyn_cast<VectorType>(op.getType());
    TargetAttr target = getTarget(op);
    if (!round || !getElementTypeOrSelf(op.getIn().getType()).isF32() ||
        !getElementTypeOrSelf(op.getType()).isInteger(32) ||
        (vector && vector.getRank() != 1) || !target ||
        target.getArch() != "x86_64" || getDevice(target) != DeviceKind::None)
      return;
    OpBuilder b(op);
    Value rounded =
        LLVM::LrintOp::create(b, op.getLoc(), op.getType(), round.getOperand());
    op.replaceAllUsesWith(rounded);
    op.erase();
    if (round->use_empty())
      round.erase();
    ++numShortened;
  }
};
} // namespace
