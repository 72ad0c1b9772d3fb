// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Small constants become operations, others parameters of the module.
#include "QuantizedConstants.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/AsmState.h"
#include "tamis/Transforms/ConstantTensor.h"

using namespace mlir;
using namespace mlir::tamis;

Value QuantizedConstants::write(OpBuilder &b, Location loc,
                                RankedTensorType type, ArrayRef<char> bytes) {
  ConstantWriter writer(module, symbols);
  return writer.write(b, loc, type,
                      HeapAsmResourceBlob::allocateAndCopyWithAlign(
                          bytes, 64, /*dataIsMutable=*/false),
                      /*splat=*/false, /*like=*/nullptr);
}

Value QuantizedConstants::makeIntegers(OpBuilder &b, Location loc,
                                       RankedTensorType type,
                                       ArrayRef<char> bytes, StringRef name) {
  Value value = write(b, loc, type, bytes);
  if (auto load = value.getDefiningOp<ml_program::GlobalLoadConstOp>())
    symbols.lookup(load.getGlobal().getLeafReference())
        ->setAttr("tamis.name", b.getStringAttr(name));
  return value;
}

Value QuantizedConstants::makeScales(OpBuilder &b, Location loc,
                                     ArrayRef<float> scales,
                                     ArrayRef<int64_t> shape) {
  ArrayRef<char> bytes(reinterpret_cast<const char *>(scales.data()),
                       scales.size() * sizeof(float));
  return write(b, loc, RankedTensorType::get(shape, b.getF32Type()), bytes);
}

Value QuantizedConstants::makeZeroPoints(OpBuilder &b, Location loc,
                                         ArrayRef<QuantParameters> parameters,
                                         ArrayRef<int64_t> shape,
                                         IntegerType type) {
  if (llvm::all_of(parameters,
                   [](QuantParameters p) { return p.zeroPoint == 0; }))
    return nullptr;
  SmallVector<char> bytes;
  for (QuantParameters p : parameters)
    for (unsigned i = 0; i < type.getWidth() / 8; ++i)
      bytes.push_back(static_cast<char>(p.zeroPoint >> (8 * i)));
  return write(b, loc, RankedTensorType::get(shape, type), bytes);
}

Value tamis::scaleChannels(OpBuilder &b, ObserveOp observe,
                           DenseElementsAttr factors) {
  Location loc = observe.getLoc();
  RankedTensorType type = observe.getType();
  Value vector = arith::ConstantOp::create(b, loc, factors);
  Value init = tensor::EmptyOp::create(
      b, loc, tensor::getMixedSizes(b, loc, observe.getInput()),
      type.getElementType());
  AffineMap identity = b.getMultiDimIdentityMap(type.getRank());
  AffineMap channel =
      AffineMap::get(type.getRank(), 0, b.getAffineDimExpr(*observe.getAxis()));
  SmallVector<utils::IteratorType> loops(type.getRank(),
                                         utils::IteratorType::parallel);
  return linalg::GenericOp::create(
             b, loc, type, ValueRange{observe, vector}, init,
             ArrayRef<AffineMap>{identity, channel, identity}, loops,
             [](OpBuilder &b, Location loc, ValueRange args) {
               Value product = arith::MulFOp::create(b, loc, args[0], args[1]);
               linalg::YieldOp::create(b, loc, product);
             })
      .getResult(0);
}
