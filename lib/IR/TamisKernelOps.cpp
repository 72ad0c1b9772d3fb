// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Verifiers and effects of the internal dialect. Its operations come from our
// own passes, so the checks guard against passes that disagree, not users.
#include "mlir/IR/Builders.h"
#include "tamis/IR/Contractions.h"
#include "tamis/IR/Tamis.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::kernel;

//===-- pack --------------------------------------------------------------===//

MutableOperandRange PackOp::getDpsInitsMutable() {
  return MutableOperandRange(getOperation(), 1, getSums() ? 2 : 1);
}

int64_t PackOp::getWidth() {
  return cast<ShapedType>(getPacked().getType()).getDimSize(3) / getStep();
}

void PackOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  addDestinationEffects(*this, effects);
}

LogicalResult PackOp::verify() {
  auto source = cast<ShapedType>(getSource().getType());
  auto packed = cast<ShapedType>(getPacked().getType());
  if (packed.getRank() != 4)
    return emitOpError("packed operand expected rank 4, got ")
           << packed.getRank();
  if (getStep() <= 0 || packed.isDynamicDim(3) ||
      packed.getDimSize(3) % getStep() != 0)
    return emitOpError("packed width expected a multiple of step ")
           << getStep();
  if (getNibbles() && !packed.getElementType().isInteger(8))
    return emitOpError("expected bytes of nibbles, got ")
           << packed.getElementType();
  if (getSums() && cast<ShapedType>(getSums().getType()).getRank() != 2)
    return emitOpError("sums expected rank 2");
  llvm::SmallBitVector seen(source.getRank());
  auto take = [&](int64_t dim) {
    if (dim < 0 || dim >= source.getRank() || seen.test(dim))
      return false;
    seen.set(dim);
    return true;
  };
  bool ok = llvm::all_of(getGroups(), take);
  ok &= getColumn() < 0 || take(getColumn());
  ok &= llvm::all_of(getReductions(), take);
  if (!ok)
    return emitOpError("names a source dimension twice or one outside rank ")
           << source.getRank();
  if (getRun() > getReductions().size())
    return emitOpError("run of ") << getRun() << " exceeds the reductions";
  return success();
}

//===-- pack_stream -------------------------------------------------------===//

LogicalResult PackStreamOp::verify() {
  auto source = cast<RankedTensorType>(getSource().getType());
  auto shapeOf = [](Value value) {
    return cast<RankedTensorType>(value.getType()).getShape();
  };
  int64_t entries = getStorage().getEntries();
  int64_t step = static_cast<int64_t>(getStep());
  int64_t column = static_cast<int64_t>(getColumn());
  if (column < 0 || column >= source.getRank())
    return emitOpError("column expected a dimension of rank ")
           << source.getRank() << ", got " << column;
  int64_t channels = getStorage().getChannels();
  // Words, and the place of their activations.
  int64_t elements = (channels + 1) * step;
  if (shapeOf(getValues()) != ArrayRef<int64_t>({entries, elements}))
    return emitOpError("values expected ") << entries << "x" << elements;
  auto lists = static_cast<int64_t>(
      llvm::divideCeil(source.getDimSize(column), channels) *
      getStorage().getParts());
  if (shapeOf(getStarts()) != ArrayRef<int64_t>({2 * lists + 1}))
    return emitOpError("starts expected ") << 2 * lists + 1 << " elements";
  return success();
}

//===-- compress ----------------------------------------------------------===//

void CompressOp::build(OpBuilder &b, OperationState &state, Value packed,
                       BitmaskAttr storage) {
  auto type = cast<RankedTensorType>(packed.getType());
  int64_t vector = storage.getVectorElements();
  int64_t units = storage.getExpansion().getUnits();
  auto tensorOf = [](int64_t size, Type element) -> Type {
    return RankedTensorType::get({size}, element);
  };
  build(b, state,
        tensorOf(storage.getEntries() * storage.getUnit() + vector,
                 type.getElementType()),
        tensorOf(type.getNumElements() / vector, b.getIntegerType(units)),
        tensorOf(type.getDimSize(0) * type.getDimSize(1) + 1, b.getI32Type()),
        packed, storage);
}

/// One of the arrays beside stored weights.
static LogicalResult verifyArray(Operation *op, StringRef name, Value value,
                                 ArrayRef<int64_t> shape, Type element) {
  auto expected = RankedTensorType::get(shape, element);
  if (value.getType() == expected)
    return success();
  return op->emitOpError() << name << " expected " << expected << ", got "
                           << value.getType();
}

LogicalResult CompressOp::verify() {
  auto packed = cast<RankedTensorType>(getPacked().getType());
  BitmaskAttr storage = getStorage();
  ExpansionAttrInterface expansion = storage.getExpansion();
  if (packed.getRank() != 4 || !packed.hasStaticShape())
    return emitOpError("expected packed panels of a static shape");
  Type element = packed.getElementType();
  if (!element.isIntOrFloat() ||
      storage.getUnit() * element.getIntOrFloatBitWidth() !=
          8 * expansion.getUnitBytes())
    return emitOpError("expected units of ")
           << expansion.getUnitBytes() << " bytes, got " << storage.getUnit()
           << " x " << element;
  int64_t vector = storage.getVectorElements();
  if (packed.getDimSize(3) % vector != 0)
    return emitOpError("expected panels of whole vectors of ")
           << vector << " elements, got " << packed.getDimSize(3);
  if (failed(verifyArray(*this, "values", getValues(),
                         storage.getEntries() * storage.getUnit() + vector,
                         element)) ||
      failed(verifyArray(
          *this, "masks", getMasks(), packed.getNumElements() / vector,
          IntegerType::get(getContext(),
                           static_cast<unsigned>(expansion.getUnits())))) ||
      failed(verifyArray(*this, "starts", getStarts(),
                         packed.getDimSize(0) * packed.getDimSize(1) + 1,
                         IntegerType::get(getContext(), 32))))
    return failure();
  return success();
}

/// Lists of entries: their values, of type `values`, their places, and where
/// each of so many lists begins.
template <typename OpT>
static LogicalResult verifyEntries(OpT op, RankedTensorType values,
                                   int64_t lists) {
  if (op.getValues().getType() != values)
    return op.emitOpError("values expected ")
           << values << ", got " << op.getValues().getType();
  Type i32 = IntegerType::get(op.getContext(), 32);
  if (failed(verifyArray(op, "places", op.getPlaces(), values.getDimSize(0),
                         i32)) ||
      failed(verifyArray(op, "starts", op.getStarts(), lists + 1, i32)))
    return failure();
  return success();
}

//===-- list_blocks -------------------------------------------------------===//

/// Lists of packed panels: one for each run.
static int64_t countLists(RankedTensorType packed, BlockListAttr storage) {
  return packed.getDimSize(0) * packed.getDimSize(1) * packed.getDimSize(2) /
         storage.getRun();
}

void ListBlocksOp::build(OpBuilder &b, OperationState &state, Value packed,
                         BlockListAttr storage) {
  auto type = cast<RankedTensorType>(packed.getType());
  int64_t entries = storage.getEntries();
  Type i32 = b.getI32Type();
  build(b, state, type.clone({entries, storage.getSteps(), type.getDimSize(3)}),
        RankedTensorType::get({entries}, i32),
        RankedTensorType::get({countLists(type, storage) + 1}, i32), packed,
        storage);
}

LogicalResult ListBlocksOp::verify() {
  auto packed = cast<RankedTensorType>(getPacked().getType());
  BlockListAttr storage = getStorage();
  if (packed.getRank() != 4 || !packed.hasStaticShape())
    return emitOpError("expected packed panels of a static shape");
  if (packed.getDimSize(2) % storage.getRun() != 0)
    return emitOpError("expected panels of whole runs of ")
           << storage.getRun() << " steps, got " << packed.getDimSize(2);
  int64_t entries = storage.getEntries();
  auto values =
      packed.clone({entries, storage.getSteps(), packed.getDimSize(3)});
  return verifyEntries(*this, values, countLists(packed, storage));
}

//===-- bound -------------------------------------------------------------===//

void BoundOp::build(OpBuilder &b, OperationState &state, Value packed,
                    BoundedAttr storage) {
  auto type = cast<RankedTensorType>(packed.getType());
  int64_t entries = storage.getEntries();
  Type i32 = b.getI32Type();
  build(
      b, state, type, type.clone({entries, type.getDimSize(3)}),
      RankedTensorType::get({entries}, i32),
      RankedTensorType::get({type.getDimSize(0) * type.getDimSize(1) + 1}, i32),
      packed, storage);
}

LogicalResult BoundOp::verify() {
  auto packed = cast<RankedTensorType>(getPacked().getType());
  if (packed.getRank() != 4 || !packed.hasStaticShape() ||
      !packed.getElementType().isInteger(8))
    return emitOpError("expected packed panels of bytes of a static shape");
  constexpr int64_t step = 4;
  int64_t run = llvm::divideCeil(getStorage().getRun(), step);
  if (packed.getDimSize(2) % run != 0)
    return emitOpError("expected panels of whole runs of ")
           << run << " steps, got " << packed.getDimSize(2);
  int64_t entries = getStorage().getEntries();
  auto values = packed.clone({entries, packed.getDimSize(3)});
  return verifyEntries(*this, values,
                       packed.getDimSize(0) * packed.getDimSize(1));
}

//===-- fill_slots --------------------------------------------------------===//

void FillSlotsOp::build(OpBuilder &b, OperationState &state, Value packed,
                        SlotWindowsAttr storage, int64_t bound) {
  auto type = cast<RankedTensorType>(packed.getType());
  int64_t entries = storage.getEntries();
  build(
      b, state,
      RankedTensorType::get({entries, storage.getEntryBytes()}, b.getI8Type()),
      RankedTensorType::get({entries, storage.getEntryWindows()},
                            b.getI16Type()),
      RankedTensorType::get({type.getDimSize(0) * type.getDimSize(1) + 1},
                            b.getI32Type()),
      packed, storage, b.getI64IntegerAttr(bound));
}

LogicalResult FillSlotsOp::verify() {
  auto packed = cast<RankedTensorType>(getPacked().getType());
  SlotWindowsAttr storage = getStorage();
  Type element = packed.getElementType();
  LookupAttrInterface lookup = storage.getLookup();
  if (packed.getRank() != 4 || !packed.hasStaticShape())
    return emitOpError("expected packed panels of a static shape");
  if (!(lookup.getElementBytes() == 1 ? element.isInteger(8) : element.isF32()))
    return emitOpError("expected panels of elements of ")
           << lookup.getElementBytes() << " bytes, got " << element;
  ArrayRef<int64_t> panels = packed.getShape();
  if (panels[3] != lookup.getElements())
    return emitOpError("expected panels of one vector of ")
           << lookup.getElements() << " elements, got " << panels[3];
  int64_t steps = llvm::divideCeil(storage.getRun(), storage.getStep());
  if (panels[2] != steps)
    return emitOpError("expected panels of ")
           << steps << " steps, got " << panels[2];
  int64_t entries = storage.getEntries();
  auto bits = [&](unsigned width) {
    return IntegerType::get(getContext(), width);
  };
  if (failed(verifyArray(*this, "values", getValues(),
                         {entries, storage.getEntryBytes()}, bits(8))) ||
      failed(verifyArray(*this, "places", getPlaces(),
                         {entries, storage.getEntryWindows()}, bits(16))) ||
      failed(verifyArray(*this, "starts", getStarts(),
                         panels[0] * panels[1] + 1, bits(32))))
    return failure();
  return success();
}

//===-- encode ------------------------------------------------------------===//

void EncodeOp::build(OpBuilder &b, OperationState &state, Value packed,
                     StorageAttrInterface storage) {
  std::string expected;
  SmallVector<Type> types =
      storage.getEncoded(cast<RankedTensorType>(packed.getType()), expected);
  build(b, state, types[0], types[1], packed, storage);
}

LogicalResult EncodeOp::verify() {
  std::string expected;
  SmallVector<Type> types = getStorage().getEncoded(
      cast<RankedTensorType>(getPacked().getType()), expected);
  if (!expected.empty())
    return emitOpError("expected ") << expected;
  if (types.empty())
    return emitOpError("expected a storage of fixed stride, got ")
           << getStorage();
  StringRef names[] = {"values", "keys"};
  for (auto [name, result, type] : llvm::zip_equal(names, getResults(), types))
    if (result.getType() != type)
      return emitOpError() << name << " expected " << type << ", got "
                           << result.getType();
  return success();
}

//===-- contract ----------------------------------------------------------===//

AffineMap kernel::ContractOp::getMap(unsigned i) {
  return cast<AffineMapAttr>(getIndexingMaps()[i]).getValue();
}

bool kernel::ContractOp::isFactorPacked(unsigned i) {
  AffineMap map = getFactorMap(i);
  AffineExpr last = getOutMap().getResults().empty()
                        ? AffineExpr()
                        : getOutMap().getResults().back();
  return getBlock() && map.isFunctionOfDim(*getBlock()) && last &&
         llvm::is_contained(map.getResults(), last);
}

Type kernel::ContractOp::getTotalType() {
  return getCombine().empty() ? getAccumulator()
                              : getCombine().front().getArgument(0).getType();
}

void kernel::ContractOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  addDestinationEffects(*this, effects);
}

LogicalResult kernel::ContractOp::verify() {
  size_t dims = getIteratorTypes().size();
  if (getBounds().size() != dims)
    return emitOpError("expected ")
           << dims << " bounds, got " << getBounds().size();
  size_t maps = 3 + getExtras().size() + getFactors().size();
  if (getIndexingMaps().size() != maps)
    return emitOpError("expected ")
           << maps << " indexing maps, got " << getIndexingMaps().size();
  for (unsigned i = 0; i < getIndexingMaps().size(); ++i)
    if (getMap(i).getNumDims() != dims)
      return emitOpError("map #") << i << " expected " << dims << " dimensions";
  if (getPacked() && !getStorage() &&
      cast<ShapedType>(getRhs().getType()).getRank() != 4)
    return emitOpError("packed rhs expected rank 4");
  if (size_t streams = getStorage() ? getStorage()->getStreams() : 0;
      getStream().size() != streams)
    return emitOpError("expected ")
           << streams << " arrays beside the weights, got "
           << getStream().size();
  if (getStorage() && getPacked() != getStorage()->hasPanels())
    return emitOpError("expected ")
           << (getPacked() ? "no packed panels" : "packed panels")
           << " with this storage";
  if (getStorage() && (getNibbles() || getBlock()))
    return emitOpError("expected no nibbles or blocks with a ")
           << getStorage()->getStorageName();
  if (getStorage() && getInstruction().isTile() &&
      !isa<RowStreamAttr, BlockListAttr>(*getStorage()))
    return emitOpError("expected no tiles with a ")
           << getStorage()->getStorageName();
  if (auto stream = getStorage() ? dyn_cast<RowStreamAttr>(*getStorage())
                                 : RowStreamAttr())
    if ((stream.getDepth() > 1) != getInstruction().isTile())
      return emitOpError("expected entries of a row stream to lie together for "
                         "tiles, and only for them");
  if (getStorage() && isa<BoundedAttr>(*getStorage()) &&
      getInstruction().getPairBound() == 0)
    return emitOpError("expected an instruction that adds up in 16 bits with "
                       "bounded panels, got ")
           << getInstruction();
  if (auto slots = getStorage() ? dyn_cast<SlotWindowsAttr>(*getStorage())
                                : SlotWindowsAttr()) {
    InstructionAttrInterface instruction = getInstruction();
    int64_t step = instruction.getReductionStep();
    if (step != slots.getStep() ||
        instruction.getLanes() * step != slots.getLookup().getElements())
      return emitOpError("expected an instruction of ")
             << slots.getLookup().getElements() << " products, "
             << slots.getStep() << " in a lane, with slot windows, got "
             << instruction;
    if (getTile().size() > 1 && getTile()[1] != 1)
      return emitOpError("expected one vector in tile with slot windows");
  }
  if (getNibbles() && !getPacked())
    return emitOpError("expected nibbles to be packed");
  if (getBlock() && *getBlock() < dims &&
      cast<StringAttr>(getIteratorTypes()[*getBlock()]) != "reduction")
    return emitOpError("expected the block dimension to be a reduction");
  ArrayRef<int64_t> tile = getTile();
  if (tile.size() < 3 || tile.size() > 5)
    return emitOpError("expected rows, vectors and cache positions in tile");
  if (tile[0] <= 0 || tile[1] <= 0 ||
      llvm::any_of(tile, [](int64_t size) { return size < 0; }))
    return emitOpError("expected a positive register block in tile");
  // A sum in pieces waits in the result.
  Type stored = getElementTypeOrSelf(getInit().getType());
  if (tile.size() > 3 && tile[3] > 0 &&
      (!isa<FloatType>(stored) || stored != getAccumulator() || getBlock() ||
       getStorage() || getInstruction().isTile()))
    return emitOpError("a sum in pieces expected a result of its own float "
                       "type, got ")
           << stored;
  if (failed(verifyBlocks(*this, getBlock(), dims, getCombine(),
                          getFactors().size(), getAccumulator(),
                          getTotalType())))
    return failure();
  return verifyStored(*this, getEpilogue(), getExtras().size(), getTotalType(),
                      getInit());
}
