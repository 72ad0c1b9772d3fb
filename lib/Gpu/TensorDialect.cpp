// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The dialect `tamis_gpu`: what belongs to it, verifiers, bufferization.
#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/Bufferization/IR/DstBufferizableOpInterfaceImpl.h"
#include "mlir/IR/DialectImplementation.h"
#include "tamis/Gpu/Tensor.h"
#include "tamis/IR/Contractions.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::device;

#include "tamis/Gpu/TensorDialect.cpp.inc"

#include "tamis/Gpu/TensorInterfaces.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "tamis/Gpu/TensorAttrs.cpp.inc"

#define GET_OP_CLASSES
#include "tamis/Gpu/TensorOps.cpp.inc"

void TamisGpuDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "tamis/Gpu/TensorAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "tamis/Gpu/TensorOps.cpp.inc"
      >();
}

//===-- attributes --------------------------------------------------------===//

LogicalResult MmaAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                              Type element, bool) {
  if (!element.isInteger(8) && !isa<Float16Type, BFloat16Type>(element))
    return emitError() << "expected i8, f16 or bf16, got " << element;
  return success();
}

LogicalResult CodesAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                int64_t bits, int64_t low) {
  if (bits != 4 && bits != 8)
    return emitError() << "expected 4 or 8 bits, got " << bits;
  if (low < -128 || low > 255)
    return emitError() << "low expected a value of 8 bits, got " << low;
  return success();
}

LogicalResult TilesAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                int64_t channels, int64_t rows, int64_t words,
                                int64_t warpChannels, int64_t warpRows,
                                int64_t stages, int64_t splits) {
  if (warpChannels <= 0 || warpRows <= 0 || channels <= 0 || rows <= 0 ||
      channels % warpChannels != 0 || rows % warpRows != 0)
    return emitError() << "expected whole warps in a tile";
  if (words <= 0 || words % 4 != 0 || !llvm::isPowerOf2_64(words))
    return emitError() << "words expected a power of two from 4 on, got "
                       << words;
  if (stages <= 0)
    return emitError() << "stages expected at least 1, got " << stages;
  if (splits <= 0)
    return emitError() << "splits expected at least 1, got " << splits;
  return success();
}

LogicalResult ListedAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 int64_t chunks) {
  if (chunks <= 0)
    return emitError() << "chunks expected at least 1, got " << chunks;
  return success();
}

//===-- compress ----------------------------------------------------------===//

LogicalResult CompressOp::verify() {
  auto packed = cast<RankedTensorType>(getPacked().getType());
  auto values = cast<RankedTensorType>(getValues().getType());
  auto metadata = cast<RankedTensorType>(getMetadata().getType());
  if (!packed.hasStaticShape() || packed.getRank() != 4 ||
      !packed.getElementType().isInteger(8))
    return emitOpError("expected packed i8 weights of static shape and rank 4");
  SmallVector<int64_t> shape(packed.getShape());
  // A fragment is 16 channels of 64 elements, half of them stored.
  if (shape[3] % 1024 != 0)
    return emitOpError("expected tiles of whole fragments, got ") << shape[3];
  shape[3] /= 2;
  if (values.getShape() != ArrayRef(shape) ||
      values.getElementType() != packed.getElementType())
    return emitOpError("values expected half of the packed elements");
  shape[3] /= 16;
  if (metadata.getShape() != ArrayRef(shape) ||
      !metadata.getElementType().isInteger(32))
    return emitOpError("metadata expected a word for 32 packed elements");
  return success();
}

//===-- list --------------------------------------------------------------===//

LogicalResult ListOp::verify() {
  auto packed = cast<RankedTensorType>(getPacked().getType());
  auto records = cast<RankedTensorType>(getRecords().getType());
  auto starts = cast<RankedTensorType>(getStarts().getType());
  if (!packed.hasStaticShape() || packed.getRank() != 4 ||
      !packed.getElementType().isIntOrFloat())
    return emitOpError("expected packed weights of static shape and rank 4");
  int64_t panel = kPanelChannels * static_cast<int64_t>(getWords());
  if (packed.getDimSize(3) * packed.getElementTypeBitWidth() != panel * 32 ||
      panel > 512)
    return emitOpError("expected panels of at most 512 words of 32 bits, ")
           << kPanelChannels << " channels of " << getWords() << " each";
  if (!records.getElementType().isInteger(32) || records.getRank() != 1)
    return emitOpError("records expected words of 32 bits");
  int64_t count = packed.getNumElements() / packed.getDimSize(3);
  if (!starts.getElementType().isInteger(32) ||
      starts.getShape() != ArrayRef<int64_t>{count + 1})
    return emitOpError("starts expected ") << count + 1 << " words of 32 bits";
  return success();
}

//===-- encode ------------------------------------------------------------===//

CodeLayout EncodeOp::getLayout() {
  return CodeLayout(getInstruction(), getCodes(),
                    static_cast<int64_t>(getStep() / getWords()));
}

LogicalResult EncodeOp::verify() {
  auto packed = cast<RankedTensorType>(getPacked().getType());
  auto encoded = cast<RankedTensorType>(getEncoded().getType());
  auto step = static_cast<int64_t>(getStep());
  auto words = static_cast<int64_t>(getWords());
  if (!packed.hasStaticShape() || packed.getRank() != 4 ||
      !packed.getElementType().isInteger(8))
    return emitOpError("expected packed i8 weights of static shape and rank 4");
  if (words <= 0 || step % words != 0 || 4 % (step / words) != 0)
    return emitOpError("expected 1, 2 or 4 elements in a word, got ")
           << step << " in " << words << " words";
  CodeLayout layout = getLayout();
  FragmentShape shape = getInstruction().getShape();
  SmallVector<int64_t> sizes(packed.getShape());
  if (words % (shape.words * layout.steps) != 0 ||
      sizes[3] % (step * shape.channels) != 0)
    return emitOpError("expected tiles of whole fragments, got ")
           << sizes[3] << " elements";
  sizes[3] = sizes[3] * layout.bits / 32;
  if (encoded.getShape() != ArrayRef(sizes) ||
      !encoded.getElementType().isInteger(32))
    return emitOpError("encoded expected ")
           << sizes[3] << " words of 32 bits for a tile";
  return success();
}

//===-- contract ----------------------------------------------------------===//

AffineMap device::ContractOp::getMap(unsigned i) {
  return cast<AffineMapAttr>(getIndexingMaps()[i]).getValue();
}

void device::ContractOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  addDestinationEffects(*this, effects);
  if (getParts() && isa<MemRefType>(getParts().getType()))
    effects.emplace_back(MemoryEffects::Write::get(), &getPartsMutable()[0]);
}

std::optional<TilesAttr> device::ContractOp::getSplitTiles() {
  TilesAttr tiles = getFew() ? *getFew() : getTiles();
  return tiles.getSplits() > 1 ? std::optional(tiles) : std::nullopt;
}

/// What tiles ask of the fragments they consist of.
static LogicalResult verifyTiles(device::ContractOp op, TilesAttr tiles) {
  FragmentShape shape = op.getInstruction().getShape();
  if (tiles.getWarpChannels() % shape.channels != 0 ||
      tiles.getWarpRows() % shape.rows != 0 ||
      tiles.getWords() % shape.words != 0)
    return op.emitOpError("expected tiles of whole fragments");
  if (op.getPacked() && tiles.getChannels() % kPanelChannels != 0)
    return op.emitOpError("expected tiles of whole panels");
  return success();
}

static LogicalResult verifyFew(device::ContractOp op) {
  TilesAttr tiles = op.getTiles();
  if (std::optional<TilesAttr> few = op.getFew()) {
    if (failed(verifyTiles(op, *few)))
      return failure();
    if (few->getWords() != tiles.getWords() ||
        few->getChannels() > tiles.getChannels() || tiles.getSplits() > 1)
      return op.emitOpError("tiles of few rows expected ")
             << tiles.getWords() << " words, at most " << tiles.getChannels()
             << " channels, and to be the only ones with splits";
  }
  std::optional<TilesAttr> split = op.getSplitTiles();
  if (split.has_value() != bool(op.getParts()))
    return op.emitOpError("expected parts if and only if tiles have splits");
  if (!split)
    return success();
  auto parts = cast<ShapedType>(op.getParts().getType());
  if (!op.getPacked())
    return op.emitOpError("splits expected packed weights");
  if (!parts.hasStaticShape() || parts.getRank() != 4 ||
      parts.getDimSize(0) != split->getSplits() ||
      parts.getElementType() != op.getTotalType())
    return op.emitOpError("parts expected ")
           << split->getSplits() << " x groups x rows x channels of "
           << op.getTotalType();
  return success();
}

Type device::ContractOp::getTotalType() {
  return getCombine().empty() ? getAccumulator()
                              : getCombine().front().getArgument(0).getType();
}

LogicalResult device::ContractOp::verify() {
  size_t dims = getBounds().size();
  size_t maps = 3 + getExtras().size() + getFactors().size();
  if (getIndexingMaps().size() != maps)
    return emitOpError("expected ")
           << maps << " indexing maps, got " << getIndexingMaps().size();
  for (unsigned i = 0; i < getIndexingMaps().size(); ++i)
    if (getMap(i).getNumDims() != dims)
      return emitOpError("map #") << i << " expected " << dims << " dimensions";
  int64_t rank = getListed() ? 1 : 4;
  if (getPacked() && cast<ShapedType>(getRhs().getType()).getRank() != rank)
    return emitOpError("packed rhs expected rank ") << rank;
  FragmentAttrInterface instruction = getInstruction();
  if ((instruction.isSparse() || getListed()) != bool(getMetadata()))
    return emitOpError("expected metadata if and only if weights are 2:4 or "
                       "listed");
  if (getListed() && (!getPacked() || getCodes() || instruction.isSparse()))
    return emitOpError("expected listed words of packed dense weights");
  if (instruction.isSparse() && (!getPacked() || getRhsZero()))
    return emitOpError("expected packed 2:4 weights without a zero point");
  if (getCodes() && (!getPacked() || instruction.isSparse()))
    return emitOpError("expected codes of packed dense weights");
  if (getBlock() && (getLhsZero() || getRhsZero()))
    return emitOpError("expected no zero points beside sums of blocks");
  if (failed(verifyTiles(*this, getTiles())) || failed(verifyFew(*this)))
    return failure();
  if (failed(verifyBlocks(*this, getBlock(), dims, getCombine(),
                          getFactors().size(), getAccumulator(),
                          getTotalType())))
    return failure();
  return verifyStored(*this, getEpilogue(), getExtras().size(), getTotalType(),
                      getInit());
}

//===-- bufferization -----------------------------------------------------===//

namespace {
/// The destination and the memory of parts are written; what they held is never
/// read.
struct ContractModel : bufferization::DstBufferizableOpInterfaceExternalModel<
                           ContractModel, device::ContractOp> {
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand,
                              const bufferization::AnalysisState &) const {
    return !cast<DestinationStyleOpInterface>(op).isDpsInit(&operand) &&
           !isPart(op, operand);
  }

  bool bufferizesToMemoryWrite(Operation *op, OpOperand &operand,
                               const bufferization::AnalysisState &) const {
    return cast<DestinationStyleOpInterface>(op).isDpsInit(&operand) ||
           isPart(op, operand);
  }

  static bool isPart(Operation *op, OpOperand &operand) {
    return operand.get() == cast<device::ContractOp>(op).getParts();
  }

  /// An extra operand read through the map of the destination is read by the
  /// lane that writes the element, just before, so the two may be one buffer.
  bool bufferizesToElementwiseAccess(Operation *op,
                                     const bufferization::AnalysisState &,
                                     ArrayRef<OpOperand *> operands) const {
    return readsWhatItWrites(cast<device::ContractOp>(op), operands);
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const bufferization::BufferizationOptions &options,
                          bufferization::BufferizationState &state) const {
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPoint(op);
    SmallVector<Value> operands, results;
    for (OpOperand &operand : op->getOpOperands()) {
      Value value = operand.get();
      if (isa<TensorType>(value.getType())) {
        FailureOr<Value> buffer =
            bufferization::getBuffer(rewriter, value, options, state);
        if (failed(buffer))
          return failure();
        value = *buffer;
      }
      operands.push_back(value);
      if (cast<DestinationStyleOpInterface>(op).isDpsInit(&operand))
        results.push_back(value);
    }
    OperationState newState(op->getLoc(), op->getName());
    newState.addOperands(operands);
    newState.propertiesAttr = op->getPropertiesAsAttribute();
    newState.addAttributes(op->getDiscardableAttrDictionary().getValue());
    for (Region &region : op->getRegions())
      newState.addRegion()->takeBody(region);
    rewriter.create(newState);
    bufferization::replaceOpWithBufferizedValues(rewriter, op, results);
    return success();
  }
};
} // namespace

void device::registerTensorExternalModels(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, TamisGpuDialect *) {
    device::ContractOp::attachInterface<ContractModel>(*context);
  });
}
