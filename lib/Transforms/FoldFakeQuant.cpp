// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Fake quantization of training becomes the quantization it stands for: what
// follows sees integers. What integers cannot hold keeps its float meaning.
#include "QuantizedMovement.h"
#include "tamis/Transforms/ConstantTensor.h"
#include "tamis/Transforms/Passes.h"
#include <cmath>
#include <cstring>

namespace mlir::tamis {
#define GEN_PASS_DEF_FOLDFAKEQUANT
#include "tamis/Transforms/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

namespace {
/// How levels lie in an integer: level + `shift` in [low, high] of `bits`.
struct Storage {
  unsigned bits;
  bool isUnsigned;
  int64_t low, high, shift;
};

struct FoldFakeQuant : tamis::impl::FoldFakeQuantBase<FoldFakeQuant> {
  void runOnOperation() override;
  /// Replaces `op`, or says why it stays float.
  FailureOr<std::string> fold(FakeQuantOp op, SymbolTable &symbols);
};
} // namespace

/// The elements of a known tensor of floats, a splat repeated.
static std::optional<SmallVector<double>> readFloats(Value value,
                                                     SymbolTable &symbols) {
  auto constant = getConstantTensor(value, symbols);
  if (!constant || !constant->type.getElementType().isF32())
    return std::nullopt;
  SmallVector<double> floats;
  for (size_t i = 0; i + 4 <= constant->bytes.size(); i += 4) {
    float f;
    std::memcpy(&f, constant->bytes.data() + i, 4);
    floats.push_back(f);
  }
  if (constant->splat && !floats.empty())
    floats.resize(constant->type.getNumElements(), floats.front());
  return floats;
}

/// As written if a signed or unsigned type of 8, else 16 bits has the range,
/// else counted from the lowest level.
static Storage chooseStorage(int64_t low, int64_t high) {
  for (unsigned bits : {8u, 16u}) {
    int64_t half = int64_t(1) << (bits - 1);
    if (low >= -half && high < half)
      return {bits, false, low, high, 0};
    if (low >= 0 && high < 2 * half)
      return {bits, true, low, high, 0};
    if (high - low < 2 * half)
      return {bits, true, 0, high - low, -low};
  }
  llvm_unreachable("more levels than 16 bits hold");
}

/// The number of bits that have exactly the range; 0 if none.
static unsigned getExactBits(const Storage &s) {
  for (unsigned bits = s.isUnsigned ? 1 : 2; bits <= s.bits; ++bits)
    if (s.low == (s.isUnsigned ? 0 : -(int64_t(1) << (bits - 1))) &&
        s.high == (int64_t(1) << (s.isUnsigned ? bits : bits - 1)) - 1)
      return bits;
  return 0;
}

FailureOr<std::string> FoldFakeQuant::fold(FakeQuantOp op,
                                           SymbolTable &symbols) {
  if (auto scales = readFloats(op.getScale(), symbols))
    for (double scale : *scales)
      if (!std::isfinite(scale) || scale <= 0)
        return op.emitOpError("expected a positive finite scale, got ")
               << scale;
  auto scaleType = cast<RankedTensorType>(op.getScale().getType());
  if (!scaleType.getElementType().isF32())
    return std::string("its scale is not float32");
  auto zeros = readFloats(op.getZeroPoint(), symbols);
  if (!zeros)
    return std::string("its zero point is not known at compile time");
  int64_t low = op.getLow(), high = op.getHigh();
  for (double zero : *zeros) {
    if (zero != std::rint(zero))
      return std::string("its zero point is not an integer");
    if (zero < static_cast<double>(low) || zero > static_cast<double>(high))
      return op.emitOpError("expected a zero point in [")
             << low << ", " << high << "], got " << zero;
  }
  if (high - low > 0xffff)
    return "it has " + std::to_string(high - low + 1) +
           " levels, 16 bits hold 65536";

  Storage storage = chooseStorage(low, high);
  OpBuilder b(op);
  Location loc = op.getLoc();
  auto type = cast<RankedTensorType>(op.getType());
  IntegerType integer = b.getIntegerType(storage.bits);
  Value zeroPoint;
  if (llvm::any_of(*zeros, [&](double z) { return z + storage.shift != 0; })) {
    auto values = llvm::map_to_vector(*zeros, [&](double zero) {
      return APInt(storage.bits, static_cast<int64_t>(zero) + storage.shift,
                   /*isSigned=*/true, /*implicitTrunc=*/true);
    });
    zeroPoint = arith::ConstantOp::create(
        b, loc,
        DenseElementsAttr::get(
            RankedTensorType::get(scaleType.getShape(), integer), values));
  }
  unsigned exact = getExactBits(storage);
  UnitAttr isUnsigned = storage.isUnsigned ? b.getUnitAttr() : UnitAttr();
  Value q = QuantizeOp::create(
      b, loc, type.clone(integer), op.getInput(), op.getScale(), zeroPoint,
      isUnsigned, op.getAxisAttr(), IntegerAttr(),
      exact && exact < storage.bits ? b.getI64IntegerAttr(exact)
                                    : IntegerAttr(),
      op.getOriginAttr());
  if (!exact)
    q = clampIntegers(b, loc, q, storage.low, storage.high, storage.isUnsigned);
  Value y = DequantizeOp::create(b, loc, type, q, op.getScale(), zeroPoint,
                                 isUnsigned, op.getAxisAttr(), IntegerAttr(),
                                 op.getOriginAttr());
  op.replaceAllUsesWith(y);
  op.erase();
  return std::string();
}

void FoldFakeQuant::runOnOperation() {
  func::FuncOp func = getOperation();
  SmallVector<FakeQuantOp> ops;
  func.walk([&](FakeQuantOp op) { ops.push_back(op); });
  if (ops.empty())
    return;
  SymbolTable symbols(func->getParentOfType<ModuleOp>());
  for (FakeQuantOp op : ops) {
    FailureOr<std::string> reason = fold(op, symbols);
    if (failed(reason))
      return signalPassFailure();
    if (reason->empty()) {
      ++numFolded;
    } else {
      ++numFloat;
      emitRemark(op.getLoc(), "fake quantization left in float: ") << *reason;
    }
  }
}
