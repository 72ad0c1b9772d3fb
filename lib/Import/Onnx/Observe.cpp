// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Where compression asks for it, every float tensor of the main graph becomes
// a value with a name: `tamis.observe`. What import computes itself (shapes,
// folded constants, one-element operands of elementwise arithmetic) is no
// tensor of the program and stays as it is.
#include "Importer.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "tamis/IR/Tamis.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::onnx;

/// The types whose values compression works on. float64 is not one: no model
/// that anybody wants small computes in it.
static bool isObservable(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor &&
         (tensor.getElementType().isF32() || tensor.getElementType().isF16() ||
          tensor.getElementType().isBF16());
}

void Importer::observe(StringRef name) {
  auto found = names.front().values.find(name);
  if (found == names.front().values.end())
    return;
  ImportedValue &entry = found->second;
  if (!entry.value) {
    // Tensors without a name are contents of Constant nodes.
    if (entry.constant)
      observed.try_emplace(entry.constant.get(), name);
    return;
  }
  if (!isObservable(entry.value.getType()))
    return;
  SmallVector<OpFoldResult> sizes = dims(entry.value);
  auto op = ObserveOp::create(b, entry.value.getType(), entry.value,
                              b.getStringAttr(name), /*parameter=*/UnitAttr(),
                              /*collect=*/ArrayAttr(), /*axis=*/IntegerAttr(),
                              /*statistics=*/DictionaryAttr(), SchemeAttr());
  setDims(op, sizes);
  entry.value = op;
}

Value Importer::observeParameter(const Tensor &tensor, Value value) {
  auto found = observed.find(&tensor);
  if (found == observed.end() || !isObservable(value.getType()))
    return value;
  return hoisted([&]() -> Value {
    return ObserveOp::create(b, value.getType(), value,
                             b.getStringAttr(found->second), b.getUnitAttr(),
                             ArrayAttr(), IntegerAttr(), DictionaryAttr(),
                             SchemeAttr());
  });
}

/// True if `value` is nothing but the scale of quantized tensors.
static bool isScale(Value value) {
  return llvm::all_of(value.getUses(), [](OpOperand &use) {
    Operation *user = use.getOwner();
    if (isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp>(user))
      return isScale(user->getResult(0));
    return isa<QuantizeOp, DequantizeOp, FakeQuantOp>(user) &&
           use.getOperandNumber() == 1;
  });
}

void Importer::dropScales() {
  entry->getParentOp()->walk([](ObserveOp op) {
    if (!op.getParameter() || op.use_empty() || !isScale(op))
      return;
    op.replaceAllUsesWith(op.getInput());
    op.erase();
  });
}
