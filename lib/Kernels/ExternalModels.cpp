// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Bufferization of the internal operations: destinations are written, never
// read, so they reuse buffers freely.
#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/Bufferization/IR/DstBufferizableOpInterfaceImpl.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Kernels/Passes.h"

using namespace mlir;
using namespace mlir::bufferization;
using namespace mlir::tamis;

namespace {

template <typename Op>
struct KernelModel
    : DstBufferizableOpInterfaceExternalModel<KernelModel<Op>, Op> {
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand,
                              const AnalysisState &) const {
    return !cast<DestinationStyleOpInterface>(op).isDpsInit(&operand);
  }

  /// An extra operand read through the map of the destination is read at the
  /// element that is written next, so the two may be one buffer.
  bool bufferizesToElementwiseAccess(Operation *op, const AnalysisState &,
                                     ArrayRef<OpOperand *> operands) const {
    auto contract = dyn_cast<kernel::ContractOp>(op);
    if (!contract)
      return false;
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

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const BufferizationOptions &options,
                          BufferizationState &state) const {
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPoint(op);
    SmallVector<Value> operands, results;
    for (OpOperand &operand : op->getOpOperands()) {
      if (!isa<TensorType>(operand.get().getType())) {
        operands.push_back(operand.get());
        continue;
      }
      FailureOr<Value> buffer =
          getBuffer(rewriter, operand.get(), options, state);
      if (failed(buffer))
        return failure();
      operands.push_back(*buffer);
      if (cast<DestinationStyleOpInterface>(op).isDpsInit(&operand))
        results.push_back(*buffer);
    }
    OperationState newState(op->getLoc(), op->getName());
    newState.addOperands(operands);
    newState.propertiesAttr = op->getPropertiesAsAttribute();
    newState.addAttributes(op->getDiscardableAttrDictionary().getValue());
    for (Region &region : op->getRegions())
      newState.addRegion()->takeBody(region);
    Operation *buffered = rewriter.create(newState);
    if (auto pack = dyn_cast<kernel::PackOp>(buffered))
      pack.getProperties().resultSegmentSizes = {0, 0};
    replaceOpWithBufferizedValues(rewriter, op, results);
    return success();
  }
};

} // namespace

void mlir::tamis::registerKernelExternalModels(DialectRegistry &registry) {
  registry.addExtension(
      +[](MLIRContext *context, kernel::TamisKernelDialect *) {
        kernel::ContractOp::attachInterface<KernelModel<kernel::ContractOp>>(
            *context);
        kernel::PackOp::attachInterface<KernelModel<kernel::PackOp>>(*context);
      });
}
