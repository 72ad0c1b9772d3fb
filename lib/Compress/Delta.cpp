// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The delta of a compressed module: changed parameters by their mark,
// quantized tensors by the origin that quantize and dequantize carry.
#include "tamis/Compress/Delta.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "tamis/Compress/Parameters.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Transforms/ConstantTensor.h"

using namespace mlir;
using namespace mlir::tamis;

/// The name numpy or ONNX gives the element type.
static std::string getTypeName(Type type, bool isUnsigned, int64_t bits) {
  if (auto integer = dyn_cast<IntegerType>(type))
    return (Twine(isUnsigned ? "uint" : "int") +
            Twine(bits ? bits : integer.getWidth()))
        .str();
  return type.isF16() ? "float16" : type.isBF16() ? "bfloat16" : "float32";
}

static DeltaArray readArray(const ConstantTensor &tensor, std::string dtype) {
  DeltaArray array;
  array.dtype = std::move(dtype);
  array.shape = llvm::to_vector(tensor.type.getShape());
  if (!tensor.splat) {
    array.bytes.assign(tensor.bytes.begin(), tensor.bytes.end());
    return array;
  }
  array.bytes.reserve(tensor.type.getNumElements() * tensor.bytes.size());
  for (int64_t i = 0, e = tensor.type.getNumElements(); i < e; ++i)
    llvm::append_range(array.bytes, tensor.bytes);
  return array;
}

/// The constant below reshapes: a scale per tensor may come as tensor<1xf32>.
static std::optional<ConstantTensor> readBelowReshapes(Value value,
                                                       SymbolTable &symbols) {
  if (auto collapse = value.getDefiningOp<tensor::CollapseShapeOp>()) {
    auto below = readBelowReshapes(collapse.getSrc(), symbols);
    if (below)
      below->type = collapse.getResultType();
    return below;
  }
  return getConstantTensor(value, symbols);
}

namespace {
/// Collects from one module.
class Collector {
public:
  explicit Collector(ModuleOp module) : module(module), symbols(module) {}

  FailureOr<Delta> run() {
    delta.report = module->getAttrOfType<ArrayAttr>(kReportAttrName);
    addRemoved();
    WalkResult result = module.walk([&](Operation *op) {
      LogicalResult done = success();
      if (auto observe = dyn_cast<ObserveOp>(op))
        done = addParameter(observe);
      else if (auto quantize = dyn_cast<QuantizeOp>(op))
        done = addTensor(quantize);
      else if (auto dequantize = dyn_cast<DequantizeOp>(op))
        done = addWeight(dequantize);
      else if (auto decode = dyn_cast<DecodeOp>(op))
        done = addCodes(decode);
      return failed(done) ? WalkResult::interrupt() : WalkResult::advance();
    });
    if (result.wasInterrupted())
      return failure();
    return std::move(delta);
  }

private:
  static ArrayRef<Attribute> readList(Attribute attr) {
    auto list = dyn_cast<ArrayAttr>(attr);
    return list ? list.getValue() : ArrayRef<Attribute>();
  }

  void addRemoved() {
    auto removed = module->getAttrOfType<DictionaryAttr>(kRemovedAttrName);
    if (!removed)
      return;
    auto read = [&](StringRef kind, auto &into) {
      auto tensors = removed.getAs<DictionaryAttr>(kind);
      if (!tensors)
        return;
      for (NamedAttribute tensor : tensors)
        for (Attribute attr : readList(tensor.getValue())) {
          auto entry = dyn_cast<DictionaryAttr>(attr);
          auto axis = entry ? entry.getAs<IntegerAttr>("axis") : IntegerAttr();
          if (!axis)
            continue;
          DeltaRemoval removal{axis.getInt(), {}, 0};
          if (auto kept = entry.getAs<DenseI64ArrayAttr>("kept"))
            removal.kept.append(kept.asArrayRef().begin(),
                                kept.asArrayRef().end());
          auto size = entry.getAs<IntegerAttr>("size");
          removal.size = size ? size.getInt() : int64_t(removal.kept.size());
          into[tensor.getName().str()].push_back(std::move(removal));
        }
    };
    read("parameters", delta.removedParameters);
    read("tensors", delta.removedTensors);
  }

  LogicalResult addParameter(ObserveOp op) {
    if (!op.getParameter())
      return success();
    if (!op->hasAttr(kChangedAttr))
      return success();
    if (auto tensor = getConstantTensor(op.getInput(), symbols))
      delta.parameters[op.getTensor().str()] = readConstantArray(*tensor);
    return success();
  }

  template <typename OpTy>
  FailureOr<DeltaParameters> readParameters(OpTy op, Type element,
                                            int64_t bits) {
    DeltaParameters parameters;
    parameters.dtype = getTypeName(element, op.getIsUnsigned(), bits);
    auto scale = readBelowReshapes(op.getScale(), symbols);
    if (!scale)
      return op.emitOpError("of tensor '")
             << *op.getOrigin() << "' has a scale known only at run time";
    parameters.scale = readConstantArray(*scale);
    if (Value value = op.getZeroPoint()) {
      auto zero = readBelowReshapes(value, symbols);
      if (!zero)
        return op.emitOpError("of tensor '")
               << *op.getOrigin()
               << "' has a zero point known only at run time";
      parameters.zeroPoint = readArray(*zero, parameters.dtype);
    }
    if constexpr (std::is_same_v<OpTy, DequantizeOp>)
      if (Value value = op.getOffset()) {
        auto offset = readBelowReshapes(value, symbols);
        if (!offset)
          return op.emitOpError("of tensor '")
                 << *op.getOrigin() << "' has an offset known only at run time";
        parameters.offset = readConstantArray(*offset);
      }
    parameters.axis = op.getAxis();
    parameters.block = op.getBlockSize();
    return parameters;
  }

  static int64_t getBits(Operation *op) {
    auto bits = op->getAttrOfType<IntegerAttr>(kBitsAttrName);
    return bits ? bits.getInt() : 0;
  }

  LogicalResult addTensor(QuantizeOp op) {
    if (!op.getOrigin())
      return success();
    auto type = cast<RankedTensorType>(op.getType());
    auto parameters = readParameters(op, type.getElementType(),
                                     op.getBits().value_or(getBits(op)));
    if (failed(parameters))
      return failure();
    if (auto names = op->getAttrOfType<ArrayAttr>(kReadersAttrName)) {
      parameters->readers.emplace();
      for (StringAttr name : names.getAsRange<StringAttr>())
        parameters->readers->push_back(name.str());
    }
    if (auto factor = op->getAttrOfType<DenseElementsAttr>(kFactorAttrName))
      if (auto constant = readConstant(factor))
        parameters->factor = readConstantArray(*constant);
    delta.tensors[op.getOrigin()->str()] = std::move(*parameters);
    return success();
  }

  /// A dequantize of a constant is a weight; others end an activation that its
  /// quantize has told of.
  LogicalResult addWeight(DequantizeOp op) {
    if (!op.getOrigin())
      return success();
    auto values = getConstantTensor(op.getInput(), symbols);
    if (!values)
      return success();
    auto type = cast<RankedTensorType>(op.getInput().getType());
    auto parameters = readParameters(op, type.getElementType(), getBits(op));
    if (failed(parameters))
      return failure();
    // Its floats are no news beside its integers, unless channels leave.
    std::string dtype = parameters->dtype, name = op.getOrigin()->str();
    if (!delta.removedParameters.count(name))
      delta.parameters.erase(name);
    delta.weights[name] = {readArray(*values, dtype), std::move(*parameters),
                           std::nullopt};
    return success();
  }

  LogicalResult addCodes(DecodeOp op) {
    auto values = op.getOrigin() ? getConstantTensor(op.getInput(), symbols)
                                 : std::nullopt;
    if (!values)
      return success();
    DeltaWeight weight;
    DeltaParameters &parameters = weight.parameters;
    parameters.dtype = op.getFormat()
                           ? op.getFormat()->str()
                           : getTypeName(values->type.getElementType(),
                                         /*isUnsigned=*/true, getBits(op));
    weight.values = readArray(*values, parameters.dtype);
    auto read = [&](Value value, StringRef what) -> FailureOr<DeltaArray> {
      auto constant = readBelowReshapes(value, symbols);
      if (!constant)
        return op.emitOpError("of tensor '")
               << *op.getOrigin() << "' has a " << what
               << " known only at run time";
      return readConstantArray(*constant);
    };
    parameters.scale = {"float32", {}, {0, 0, char(0x80), 0x3f}}; // one
    if (op.getScale()) {
      auto scale = read(op.getScale(), "scale");
      if (failed(scale))
        return failure();
      parameters.scale = std::move(*scale);
    }
    // A type of the source model says what its codes stand for.
    if (op.getCodebook() && !op.getFormat()) {
      auto codebook = read(op.getCodebook(), "codebook");
      if (failed(codebook))
        return failure();
      weight.codebook = std::move(*codebook);
    }
    parameters.axis = op.getAxis();
    parameters.block = op.getBlockSize();
    delta.weights[op.getOrigin()->str()] = std::move(weight);
    return success();
  }

  ModuleOp module;
  SymbolTable symbols;
  Delta delta;
};
} // namespace

DeltaArray mlir::tamis::readConstantArray(const ConstantTensor &tensor) {
  return readArray(tensor, getTypeName(tensor.type.getElementType(), false, 0));
}

FailureOr<Delta> mlir::tamis::collectDelta(ModuleOp module) {
  return Collector(module).run();
}
