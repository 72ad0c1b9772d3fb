// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the contractions of all dialects have in common.
#include "tamis/IR/Contractions.h"
#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;

void tamis::addDestinationEffects(
    DestinationStyleOpInterface op,
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isa<MemRefType>(operand.get().getType()))
      continue;
    if (op.isDpsInit(&operand))
      effects.emplace_back(MemoryEffects::Write::get(), &operand);
    else
      effects.emplace_back(MemoryEffects::Read::get(), &operand);
  }
}

LogicalResult tamis::verifyStored(Operation *op, Region &epilogue,
                                  size_t extras, Type sum, Value init) {
  Type stored = sum;
  if (!epilogue.empty()) {
    Block &block = epilogue.front();
    if (block.getNumArguments() != 1 + extras)
      return op->emitOpError("epilogue expected ")
             << 1 + extras << " arguments, got " << block.getNumArguments();
    if (block.getArgument(0).getType() != sum)
      return op->emitOpError("epilogue's first argument expected ")
             << sum << ", got " << block.getArgument(0).getType();
    Operation *yield = block.getTerminator();
    if (yield->getNumOperands() != 1)
      return op->emitOpError("epilogue expected to yield one value");
    stored = yield->getOperand(0).getType();
  }
  Type element = cast<ShapedType>(init.getType()).getElementType();
  if (stored != element)
    return op->emitOpError("stores ")
           << stored << " into elements of " << element;
  return success();
}
