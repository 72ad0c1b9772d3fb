// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the contractions of all dialects have in common: effects on buffers, an
// epilogue over extra operands, one destination.
#ifndef TAMIS_IR_CONTRACTIONS_H
#define TAMIS_IR_CONTRACTIONS_H

#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace mlir::tamis {

/// Reads of memref inputs and writes of memref destinations.
void addDestinationEffects(
    DestinationStyleOpInterface op,
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects);

/// Checks that what is stored has the type of the elements of `init`: `sum`, or
/// what `epilogue` makes of it and of `extras` elements.
LogicalResult verifyStored(Operation *op, Region &epilogue, size_t extras,
                           Type sum, Value init);

/// Checks the sums of blocks: with a dimension `block` of `dims`, `combine`
/// adds an `accumulator` and elements of `factors` factors to a `total`;
/// without one neither is there.
LogicalResult verifyBlocks(Operation *op, std::optional<uint64_t> block,
                           size_t dims, Region &combine, size_t factors,
                           Type accumulator, Type total);

/// True if `operands` of `contract` are its destination and extra operands that
/// are read through the destination's map: each element is read just before it
/// is written, so that they may be one buffer.
template <typename Contract>
bool readsWhatItWrites(Contract contract, ArrayRef<OpOperand *> operands) {
  unsigned first = contract.getExtras().getBeginOperandIndex();
  return llvm::all_of(operands, [&](OpOperand *operand) {
    if (contract.isDpsInit(operand))
      return true;
    unsigned number = operand->getOperandNumber();
    if (number < first || number >= first + contract.getExtras().size())
      return false;
    return contract.getExtraMap(number - first) == contract.getOutMap() &&
           isa<ShapedType>(operand->get().getType());
  });
}

} // namespace mlir::tamis

#endif // TAMIS_IR_CONTRACTIONS_H
