// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Verifiers and accessors of the operations.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"
#include "tamis/IR/Contractions.h"
#include "tamis/IR/Tamis.h"

using namespace mlir;
using namespace mlir::tamis;

#define GET_OP_CLASSES
#include "tamis/IR/TamisOps.cpp.inc"

#define GET_OP_CLASSES
#include "tamis/IR/TamisKernelOps.cpp.inc"

//===-- contract ----------------------------------------------------------===//

static AffineMap getMap(ContractOp op, unsigned i) {
  return cast<AffineMapAttr>(op.getIndexingMaps()[i]).getValue();
}

AffineMap ContractOp::getLhsMap() { return getMap(*this, 0); }
AffineMap ContractOp::getRhsMap() { return getMap(*this, 1); }
AffineMap ContractOp::getOutMap() { return getMap(*this, 2); }
AffineMap ContractOp::getExtraMap(unsigned i) { return getMap(*this, 3 + i); }

SmallVector<utils::IteratorType> ContractOp::getIterators() {
  return llvm::map_to_vector(getIteratorTypes(), [](Attribute a) {
    return *utils::symbolizeIteratorType(cast<StringAttr>(a).getValue());
  });
}

SmallVector<int64_t> ContractOp::getStaticLoopRanges() {
  AffineMap rhsMap = getRhsMap();
  SmallVector<int64_t> ranges(rhsMap.getNumDims(), ShapedType::kDynamic);
  auto note = [&](AffineMap map, ShapedType type) {
    for (auto [expr, size] : llvm::zip_equal(map.getResults(), type.getShape()))
      if (auto dim = dyn_cast<AffineDimExpr>(expr))
        if (ShapedType::isDynamic(ranges[dim.getPosition()]))
          ranges[dim.getPosition()] = size;
  };
  note(rhsMap, cast<ShapedType>(getRhs().getType()));
  note(getOutMap(), cast<ShapedType>(getInit().getType()));
  // A plain lhs dimension knows its size too, unless padding widens it.
  auto lhs = cast<ShapedType>(getLhs().getType());
  for (auto [i, expr] : llvm::enumerate(getLhsMap().getResults()))
    if (auto dim = dyn_cast<AffineDimExpr>(expr); dim && getPad()[i] == 0)
      if (ShapedType::isDynamic(ranges[dim.getPosition()]))
        ranges[dim.getPosition()] = lhs.getDimSize(i);
  return ranges;
}

void ContractOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  addDestinationEffects(*this, effects);
}

LogicalResult ContractOp::verify() {
  auto lhs = cast<ShapedType>(getLhs().getType());
  auto rhs = cast<ShapedType>(getRhs().getType());
  auto init = cast<ShapedType>(getInit().getType());
  if (!lhs.hasRank() || !rhs.hasRank() || !init.hasRank())
    return emitOpError("expected ranked operands");
  size_t wanted = 3 + getExtras().size();
  if (getIndexingMaps().size() != wanted)
    return emitOpError("expected ")
           << wanted << " indexing maps, got " << getIndexingMaps().size();
  unsigned dims = getIteratorTypes().size();
  for (Attribute iterator : getIteratorTypes())
    if (auto name = cast<StringAttr>(iterator).getValue();
        name != "parallel" && name != "reduction")
      return emitOpError("iterator expected parallel or reduction, got ")
             << name;
  for (auto [i, attr] : llvm::enumerate(getIndexingMaps())) {
    AffineMap map = cast<AffineMapAttr>(attr).getValue();
    if (map.getNumDims() != dims || map.getNumSymbols() != 0)
      return emitOpError("map #")
             << i << " expected " << dims << " dimensions and no symbols, got "
             << AffineMapAttr::get(map);
  }
  auto checkRank = [&](StringRef name, AffineMap map,
                       ShapedType type) -> LogicalResult {
    if (map.getNumResults() != type.getRank())
      return emitOpError() << name << " map has " << map.getNumResults()
                           << " results, expected the rank " << type.getRank();
    return success();
  };
  if (failed(checkRank("lhs", getLhsMap(), lhs)) ||
      failed(checkRank("rhs", getRhsMap(), rhs)) ||
      failed(checkRank("init", getOutMap(), init)))
    return failure();
  if (!getRhsMap().isProjectedPermutation() ||
      !getOutMap().isProjectedPermutation())
    return emitOpError(
        "expected rhs and init maps to be projected permutations");
  if (getPad().size() != static_cast<size_t>(lhs.getRank()))
    return emitOpError("expected one pad value per lhs dimension, got ")
           << getPad().size() << " for rank " << lhs.getRank();
  // One iterator, one extent: loops are bounded by whichever operand is asked.
  SmallVector<int64_t> extents(dims, ShapedType::kDynamic);
  auto checkExtents = [&](StringRef name, AffineMap map,
                          ShapedType type) -> LogicalResult {
    for (auto [i, expr] : llvm::enumerate(map.getResults())) {
      auto dim = dyn_cast<AffineDimExpr>(expr);
      int64_t size = type.getDimSize(i);
      if (!dim || ShapedType::isDynamic(size))
        continue;
      int64_t &extent = extents[dim.getPosition()];
      if (!ShapedType::isDynamic(extent) && extent != size)
        return emitOpError() << name << " has size " << size << " in dimension "
                             << i << ", expected " << extent;
      extent = size;
    }
    return success();
  };
  bool padded = llvm::any_of(getPad(), [](int64_t pad) { return pad != 0; });
  if ((!padded && failed(checkExtents("lhs", getLhsMap(), lhs))) ||
      failed(checkExtents("rhs", getRhsMap(), rhs)) ||
      failed(checkExtents("init", getOutMap(), init)))
    return failure();
  auto iterators = getIterators();
  for (AffineExpr expr : getOutMap().getResults())
    if (iterators[cast<AffineDimExpr>(expr).getPosition()] !=
        utils::IteratorType::parallel)
      return emitOpError("init is indexed by a reduction dimension");
  for (auto [i, extra] : llvm::enumerate(getExtras())) {
    auto type = dyn_cast<ShapedType>(extra.getType());
    if (type && type.getRank() != getExtraMap(i).getNumResults())
      return emitOpError("extra #")
             << i << " of rank " << type.getRank() << " has a map with "
             << getExtraMap(i).getNumResults() << " results";
  }
  if (!hasEpilogue() && !getExtras().empty())
    return emitOpError("extra operands need an epilogue that reads them");
  if (failed(verifyStored(*this, getEpilogue(), getExtras().size(),
                          getAccumulator(), getInit())))
    return failure();
  if (isa<FloatType>(lhs.getElementType()) && (getLhsZero() || getRhsZero()))
    return emitOpError("zero points belong to integer operands");
  if (isa<TensorType>(init) && (!getResult() || getResult().getType() != init))
    return emitOpError("result type expected ") << init;
  return success();
}

//===-- quantize, dequantize ----------------------------------------------===//

/// Checks what both quantization ops share: parameter shapes against axis and
/// block size.
static LogicalResult verifyParameters(Operation *op, RankedTensorType input,
                                      RankedTensorType scale, Value zeroPoint,
                                      std::optional<int64_t> axis,
                                      std::optional<int64_t> block) {
  if (!isa<FloatType>(scale.getElementType()))
    return op->emitOpError("expected a float scale, got ")
           << scale.getElementType();
  if (scale.getRank() > 0 && !axis)
    return op->emitOpError("a scale of rank ")
           << scale.getRank() << " needs an axis";
  if (axis && (*axis < 0 || *axis >= input.getRank()))
    return op->emitOpError("axis ")
           << *axis << " is outside the input's rank " << input.getRank();
  if (block && *block <= 0)
    return op->emitOpError("expected a positive block size, got ") << *block;
  if (axis && !block && scale.getRank() == 1 &&
      !ShapedType::isDynamic(scale.getDimSize(0)) &&
      !input.isDynamicDim(*axis) &&
      scale.getDimSize(0) != input.getDimSize(*axis))
    return op->emitOpError("expected ")
           << input.getDimSize(*axis) << " scales along axis " << *axis
           << ", got " << scale.getDimSize(0);
  if (zeroPoint) {
    auto zero = cast<RankedTensorType>(zeroPoint.getType());
    if (zero.getShape() != scale.getShape())
      return op->emitOpError("scale and zero point differ in shape");
  }
  return success();
}

LogicalResult QuantizeOp::verify() {
  auto input = cast<RankedTensorType>(getInput().getType());
  if (!isa<FloatType>(input.getElementType()) ||
      !isa<IntegerType>(cast<RankedTensorType>(getType()).getElementType()))
    return emitOpError("expected float input and integer result");
  return verifyParameters(*this, input,
                          cast<RankedTensorType>(getScale().getType()),
                          getZeroPoint(), getAxis(), getBlockSize());
}

LogicalResult DequantizeOp::verify() {
  auto input = cast<RankedTensorType>(getInput().getType());
  if (!isa<IntegerType>(input.getElementType()) ||
      !isa<FloatType>(cast<RankedTensorType>(getType()).getElementType()))
    return emitOpError("expected integer input and float result");
  auto scale = cast<RankedTensorType>(getScale().getType());
  if (getOffset() && getOffset().getType() != scale)
    return emitOpError("offset expected the scale's type ")
           << scale << ", got " << getOffset().getType();
  return verifyParameters(*this, input, scale, getZeroPoint(), getAxis(),
                          getBlockSize());
}

LogicalResult DecodeOp::verify() {
  auto input = cast<RankedTensorType>(getInput().getType());
  auto result = cast<RankedTensorType>(getType());
  if (!isa<FloatType>(result.getElementType()) ||
      result.getShape() != input.getShape())
    return emitOpError("expected a float result of the input's shape");
  Type code = input.getElementType();
  if (!getCodebook() && !code.isF16() && !code.isBF16())
    return emitOpError("expected a codebook for codes of ") << code;
  if (getCodebook() && !code.isInteger(8))
    return emitOpError("expected i8 codes of a codebook, got ") << code;
  if (getCodebook()) {
    int64_t size =
        cast<RankedTensorType>(getCodebook().getType()).getDimSize(0);
    if (size < 1 || size > 256)
      return emitOpError("expected a codebook of 1 to 256 values, got ")
             << (ShapedType::isDynamic(size) ? "an open number"
                                             : std::to_string(size));
  }
  if (!getScale()) {
    if (getAxis() || getBlockSize())
      return emitOpError("expected a scale for axis and block size");
    return success();
  }
  return verifyParameters(*this, input,
                          cast<RankedTensorType>(getScale().getType()), Value(),
                          getAxis(), getBlockSize());
}

//===-- observe, fake_quant -----------------------------------------------===//

LogicalResult ObserveOp::verify() {
  auto type = cast<RankedTensorType>(getType());
  if (!isa<FloatType>(type.getElementType()))
    return emitOpError("expected floats, got ") << type.getElementType();
  auto checkAxis = [&](int64_t axis) -> LogicalResult {
    if (axis >= type.getRank())
      return emitOpError("axis ")
             << axis << " is outside the rank " << type.getRank();
    return success();
  };
  if (getAxis() && (*getAxis() < 0 || failed(checkAxis(*getAxis()))))
    return *getAxis() < 0 ? emitOpError("expected an axis of at least 0")
                          : failure();
  if (SchemeAttr scheme = getSchemeAttr())
    return checkAxis(scheme.getAxis());
  return success();
}

LogicalResult FakeQuantOp::verify() {
  auto type = cast<RankedTensorType>(getInput().getType());
  if (!isa<FloatType>(type.getElementType()))
    return emitOpError("expected floats, got ") << type.getElementType();
  // The accessors of upstream read 64 bits as unsigned.
  auto low = static_cast<int64_t>(getLow());
  auto high = static_cast<int64_t>(getHigh());
  if (low >= high)
    return emitOpError("expected a range, got [") << low << ", " << high << "]";
  if (!isa<FloatType>(
          cast<RankedTensorType>(getZeroPoint().getType()).getElementType()))
    return emitOpError("expected a float zero point");
  return verifyParameters(*this, type,
                          cast<RankedTensorType>(getScale().getType()),
                          getZeroPoint(), getAxis(), std::nullopt);
}
