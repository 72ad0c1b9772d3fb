// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Upstream quantization at the door: types that carry scales become integers,
// and the casts between them operations that carry scales as operands. Past
// this pass nothing knows quant types.
#include "QuantizedMovement.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/Dialect/Quant/IR/QuantTypes.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Transforms/Passes.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_IMPORTQUANTTYPES
#include "tamis/Transforms/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

/// The first quantized type in `type`; null if there is none.
static quant::QuantizedType findQuantized(Type type) {
  quant::QuantizedType found;
  type.walk([&](quant::QuantizedType inner) {
    found = inner;
    return WalkResult::interrupt();
  });
  return found;
}

/// The quantized element type of a tensor; null for anything else.
static quant::QuantizedType getQuantized(Type type) {
  return dyn_cast<quant::QuantizedType>(getElementTypeOrSelf(type));
}

/// Storage integers; those narrower than a byte lie in one.
static IntegerType getStorage(quant::QuantizedType type) {
  return IntegerType::get(
      type.getContext(),
      std::max<unsigned>(8, type.getStorageTypeIntegralWidth()));
}

/// The name of the storage type as numpy spells it.
static std::string getDtype(quant::QuantizedType type) {
  return (type.isSigned() ? "int" : "uint") +
         std::to_string(type.getStorageTypeIntegralWidth());
}

static Type convertType(Type type) {
  auto quantized = getQuantized(type);
  return quantized && isa<RankedTensorType>(type)
             ? cast<RankedTensorType>(type).clone(getStorage(quantized))
             : type;
}

/// Why tensors of quantized `type` cannot become storage integers; empty if
/// they can.
static std::string getObjection(Type type) {
  auto quantized = getQuantized(type);
  if (!isa<RankedTensorType>(type) || !quantized)
    return "expected a ranked tensor of a quantized type";
  if (!isa<quant::UniformQuantizedType, quant::UniformQuantizedPerAxisType>(
          quantized))
    return "expected a uniform type, per tensor or per axis";
  if (!quantized.getExpressedType() || !quantized.getExpressedType().isF32())
    return "expected f32 as expressed type";
  unsigned width = quantized.getStorageTypeIntegralWidth();
  if (!isa<IntegerType>(quantized.getStorageType()) ||
      !llvm::is_contained({2u, 4u, 8u, 16u, 32u}, width))
    return "expected 2, 4, 8, 16 or 32 bits of storage";
  if (width == 32 && !quantized.isSigned())
    return "expected signed 32-bit storage";
  auto fits = [&](int64_t zero) {
    return zero >= quantized.getStorageTypeMin() &&
           zero <= quantized.getStorageTypeMax();
  };
  if (auto axis = dyn_cast<quant::UniformQuantizedPerAxisType>(quantized)) {
    auto tensor = cast<RankedTensorType>(type);
    int64_t dim = axis.getQuantizedDimension();
    if (dim >= tensor.getRank())
      return "expected an axis inside the rank";
    if (!tensor.isDynamicDim(dim) &&
        tensor.getDimSize(dim) != static_cast<int64_t>(axis.getScales().size()))
      return "expected a scale for each element of the axis";
    if (!llvm::all_of(axis.getZeroPoints(), fits))
      return "expected zero points inside the storage range";
  } else if (!fits(
                 cast<quant::UniformQuantizedType>(quantized).getZeroPoint())) {
    return "expected a zero point inside the storage range";
  }
  return "";
}

//===-- parameters --------------------------------------------------------===//

namespace {
/// What a cast needs beside its operand.
struct Parameters {
  Value scale, zeroPoint;
  UnitAttr isUnsigned;
  IntegerAttr axis;
};
} // namespace

static Parameters makeParameters(OpBuilder &b, Location loc,
                                 quant::QuantizedType type) {
  Parameters result;
  SmallVector<double> scales;
  SmallVector<int64_t> zeros, shape;
  if (auto axis = dyn_cast<quant::UniformQuantizedPerAxisType>(type)) {
    scales.assign(axis.getScales().begin(), axis.getScales().end());
    zeros.assign(axis.getZeroPoints().begin(), axis.getZeroPoints().end());
    shape.push_back(scales.size());
    result.axis = b.getI64IntegerAttr(axis.getQuantizedDimension());
  } else {
    auto tensor = cast<quant::UniformQuantizedType>(type);
    scales.push_back(tensor.getScale());
    zeros.push_back(tensor.getZeroPoint());
  }
  if (!type.isSigned())
    result.isUnsigned = b.getUnitAttr();
  auto floats = llvm::map_to_vector(
      scales, [](double scale) { return static_cast<float>(scale); });
  result.scale = arith::ConstantOp::create(
      b, loc,
      DenseElementsAttr::get(RankedTensorType::get(shape, b.getF32Type()),
                             ArrayRef<float>(floats)));
  if (llvm::all_of(zeros, [](int64_t zero) { return zero == 0; }))
    return result;
  IntegerType storage = getStorage(type);
  auto integers = llvm::map_to_vector(zeros, [&](int64_t zero) {
    return APInt(storage.getWidth(), zero, /*isSigned=*/true,
                 /*implicitTrunc=*/true);
  });
  result.zeroPoint = arith::ConstantOp::create(
      b, loc,
      DenseElementsAttr::get(RankedTensorType::get(shape, storage),
                             ArrayRef<APInt>(integers)));
  return result;
}

/// `value` inside a storage range that is narrower than the storage.
static Value clamp(OpBuilder &b, Location loc, Value value,
                   quant::QuantizedType type) {
  if (!type.hasStorageTypeBounds())
    return value;
  return clampIntegers(b, loc, value, type.getStorageTypeMin(),
                       type.getStorageTypeMax(), !type.isSigned());
}

//===-- pass --------------------------------------------------------------===//

/// Passes quantized values on as they are, or moves them element by element.
static bool isCarrier(Operation *op) {
  return isa<func::FuncOp, func::ReturnOp, func::CallOp>(op);
}
static bool isMovement(Operation *op) {
  return isa<tensor::CastOp, tensor::CollapseShapeOp, tensor::ConcatOp,
             tensor::DimOp, tensor::EmptyOp, tensor::ExpandShapeOp,
             tensor::ExtractSliceOp, tensor::InsertSliceOp, tensor::ReshapeOp>(
      op);
}

namespace {
struct ImportQuantTypes : tamis::impl::ImportQuantTypesBase<ImportQuantTypes> {
  /// Reports why `op` cannot have quantized values; succeeds if it can.
  static LogicalResult check(Operation *op) {
    bool isCast = isa_and_nonnull<quant::QuantDialect>(op->getDialect());
    auto refuse = [&](Type type, const Twine &why) {
      return op->emitOpError() << "has " << type << ": " << why;
    };
    SmallVector<Type> types(op->getOperandTypes());
    llvm::append_range(types, op->getResultTypes());
    for (Region &region : op->getRegions())
      for (Block &block : region)
        llvm::append_range(types, block.getArgumentTypes());
    if (auto function = dyn_cast<func::FuncOp>(op)) {
      llvm::append_range(types, function.getArgumentTypes());
      llvm::append_range(types, function.getResultTypes());
    } else {
      for (NamedAttribute attr : op->getAttrs())
        if (auto type = dyn_cast<TypeAttr>(attr.getValue()))
          types.push_back(type.getValue());
    }
    for (Type type : types) {
      if (!findQuantized(type))
        continue;
      std::string objection = getObjection(type);
      if (!objection.empty())
        return refuse(type, objection);
      if (isCast || isCarrier(op))
        continue;
      if (!isMovement(op))
        return refuse(type, "expected quant.dcast before and quant.qcast "
                            "after this operation");
      if (isa<quant::UniformQuantizedPerAxisType>(getQuantized(type)))
        return refuse(type, "expected a type per tensor, data movement may "
                            "change the axis");
    }
    if (auto cast = dyn_cast<quant::StorageCastOp>(op))
      for (Type type : {cast.getInput().getType(), cast.getType()})
        if (auto quantized = getQuantized(type);
            quantized && quantized.getStorageTypeIntegralWidth() < 8)
          return refuse(type, "expected 8, 16 or 32 bits of storage");
    return success();
  }

  /// The value that replaces the result of a cast from or to `quantized`.
  static Value convert(Operation *op, quant::QuantizedType quantized) {
    OpBuilder b(op);
    Location loc = op->getLoc();
    Value input = op->getOperand(0);
    Type type = op->getResult(0).getType();
    if (isa<quant::QuantizeCastOp>(op)) {
      Parameters p = makeParameters(b, loc, quantized);
      unsigned width = quantized.getStorageTypeIntegralWidth();
      Value result = QuantizeOp::create(
          b, loc, convertType(type), input, p.scale, p.zeroPoint, p.isUnsigned,
          p.axis, IntegerAttr(),
          width < 8 ? b.getI64IntegerAttr(width) : IntegerAttr(), StringAttr());
      return clamp(b, loc, result, quantized);
    }
    if (isa<quant::DequantizeCastOp>(op)) {
      Parameters p = makeParameters(b, loc, quantized);
      return DequantizeOp::create(b, loc, type, input, p.scale, p.zeroPoint,
                                  p.isUnsigned, p.axis, IntegerAttr(),
                                  StringAttr());
    }
    return input; // quant.scast: the same bits.
  }

  /// Storage integers in the signature, and what they mean beside them.
  static void convertSignature(func::FuncOp function) {
    Builder b(function.getContext());
    FunctionType type = function.getFunctionType();
    for (auto [i, argument] : llvm::enumerate(type.getInputs()))
      if (auto quantized = getQuantized(argument);
          quantized && !function.getArgAttr(i, "tamis.dtype"))
        function.setArgAttr(i, "tamis.dtype",
                            b.getStringAttr(getDtype(quantized)));
    for (auto [i, result] : llvm::enumerate(type.getResults()))
      if (auto quantized = getQuantized(result);
          quantized && !function.getResultAttr(i, "tamis.dtype"))
        function.setResultAttr(i, "tamis.dtype",
                               b.getStringAttr(getDtype(quantized)));
    function.setFunctionType(
        b.getFunctionType(llvm::map_to_vector(type.getInputs(), convertType),
                          llvm::map_to_vector(type.getResults(), convertType)));
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    bool refused = false;
    // With their types, which go as the operands are replaced.
    SmallVector<std::pair<Operation *, quant::QuantizedType>> casts;
    module.walk([&](Operation *op) {
      refused |= failed(check(op));
      if (isa<quant::QuantizeCastOp, quant::DequantizeCastOp,
              quant::StorageCastOp>(op)) {
        auto from = getQuantized(op->getOperand(0).getType());
        casts.push_back(
            {op, from ? from : getQuantized(op->getResult(0).getType())});
      }
    });
    if (refused)
      return signalPassFailure();
    for (auto [op, quantized] : casts) {
      op->getResult(0).replaceAllUsesWith(convert(op, quantized));
      op->erase();
      ++numCasts;
    }
    auto retype = [&](Value value) {
      if (!getQuantized(value.getType()))
        return;
      value.setType(convertType(value.getType()));
      ++numValues;
    };
    module.walk([&](Operation *op) {
      llvm::for_each(op->getResults(), retype);
      for (Region &region : op->getRegions())
        for (Block &block : region)
          llvm::for_each(block.getArguments(), retype);
      if (auto function = dyn_cast<func::FuncOp>(op))
        convertSignature(function);
    });
  }
};
} // namespace
