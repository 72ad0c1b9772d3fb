// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Bufferization of the internal operations: destinations are written, never
// read, so they reuse buffers freely.
#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/Bufferization/IR/DstBufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "tamis/IR/Contractions.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Kernels/Passes.h"
#include "tamis/Kernels/Tiling.h"

using namespace mlir;
using namespace mlir::bufferization;
using namespace mlir::tamis;

/// True if a vector load of neighbours along the innermost dimension that has
/// more than one element reads what it should.
static bool isContiguous(MemRefType type) {
  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(type.getStridesAndOffset(strides, offset)))
    return false;
  for (auto [size, stride] :
       llvm::reverse(llvm::zip_equal(type.getShape(), strides)))
    if (size != 1)
      return stride == 1;
  return true;
}

/// A copy of `buffer` without gaps.
static FailureOr<Value> makeContiguous(RewriterBase &rewriter, Location loc,
                                       Value buffer,
                                       const BufferizationOptions &options) {
  auto type = cast<MemRefType>(buffer.getType());
  SmallVector<Value> sizes;
  for (int64_t i = 0; i < type.getRank(); ++i)
    if (type.isDynamicDim(i))
      sizes.push_back(memref::DimOp::create(rewriter, loc, buffer, i));
  FailureOr<Value> copy = options.createAlloc(
      rewriter, loc, MemRefType::get(type.getShape(), type.getElementType()),
      sizes);
  if (failed(copy) ||
      failed(options.createMemCpy(rewriter, loc, buffer, *copy)))
    return failure();
  return copy;
}

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
    // Sums in pieces are written before extra operands are read.
    return contract && Tiling::get(contract.getTile()).depth == 0 &&
           readsWhatItWrites(contract, operands);
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
      bool isInit = cast<DestinationStyleOpInterface>(op).isDpsInit(&operand);
      // Kernels load vectors; slices with steps have gaps between elements.
      if (isa<kernel::ContractOp>(op) && !isInit &&
          !isContiguous(cast<MemRefType>(buffer->getType())))
        buffer = makeContiguous(rewriter, op->getLoc(), *buffer, options);
      if (failed(buffer))
        return failure();
      operands.push_back(*buffer);
      if (isInit)
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
