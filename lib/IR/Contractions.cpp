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

LogicalResult tamis::verifyBlocks(Operation *op, std::optional<uint64_t> block,
                                  size_t dims, Region &combine, size_t factors,
                                  Type accumulator, Type total) {
  if (block.has_value() == combine.empty())
    return op->emitOpError("expected a region combine with a block dimension");
  if (!block)
    return factors == 0 ? success()
                        : op->emitOpError("factors need a block dimension");
  if (*block >= dims)
    return op->emitOpError("expected the block dimension to be a reduction");
  Block &body = combine.front();
  if (body.getNumArguments() != 2 + factors)
    return op->emitOpError("combine expected ")
           << 2 + factors << " arguments, got " << body.getNumArguments();
  if (body.getArgument(1).getType() != accumulator ||
      body.getTerminator()->getOperand(0).getType() != total)
    return op->emitOpError("combine expected to add ")
           << accumulator << " to a total of " << total;
  return success();
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
