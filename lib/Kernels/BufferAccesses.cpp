// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Accesses by operands: nothing here looks at indices.
#include "BufferAccesses.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Utils/MemRefUtils.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "tamis/IR/Tamis.h"

using namespace mlir;
using namespace mlir::tamis;

Value mlir::tamis::getBase(Value memref) {
  return memref::skipViewLikeOps(cast<MemrefValue>(memref));
}

std::optional<BufferAccesses> BufferAccesses::get(Operation *op) {
  BufferAccesses accesses;
  if (isMemoryEffectFree(op) || isa<memref::AllocOp, kernel::CheckOp>(op))
    return accesses;
  if (auto copy = dyn_cast<memref::CopyOp>(op)) {
    accesses.reads.insert(getBase(copy.getSource()));
    accesses.writes.insert(getBase(copy.getTarget()));
    return accesses;
  }
  auto destination = dyn_cast<DestinationStyleOpInterface>(op);
  if (!destination || !destination.hasPureBufferSemantics())
    return std::nullopt;
  WalkResult simple = op->walk([&](Operation *inner) {
    return inner == op || isMemoryEffectFree(inner) ? WalkResult::advance()
                                                    : WalkResult::interrupt();
  });
  if (simple.wasInterrupted())
    return std::nullopt;
  for (OpOperand &operand : op->getOpOperands())
    if (isa<MemRefType>(operand.get().getType()))
      (destination.isDpsInit(&operand) ? accesses.writes : accesses.reads)
          .insert(getBase(operand.get()));
  return accesses;
}

bool BufferAccesses::clashes(const BufferAccesses &other) const {
  auto meet = [](const auto &a, const auto &b) {
    return llvm::any_of(a, [&](Value value) { return b.contains(value); });
  };
  return meet(writes, other.writes) || meet(writes, other.reads) ||
         meet(reads, other.writes);
}

void BufferAccesses::add(const BufferAccesses &other) {
  reads.insert_range(other.reads);
  writes.insert_range(other.writes);
}
