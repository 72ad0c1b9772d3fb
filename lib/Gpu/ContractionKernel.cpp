// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One kernel for every contraction: matrix products, batches of them,
// convolutions as implicit products. Rows of the contraction are linearized and
// so are its reductions, which maps take apart again where elements are read.
// A workgroup brings a tile of weights and one of activations into workgroup
// memory, its warps multiply fragments of them, sums stay in registers from the
// first step of the reduction to the epilogue.
#include "ContractionKernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "tamis/Gpu/Mapping.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::device;

ContractionKernel::ContractionKernel(OpBuilder &builder, ContractOp op,
                                     TilesAttr tiles)
    : op(op), b(op.getLoc(), builder), instruction(op.getInstruction()),
      shape(instruction.getShape()), tiles(tiles) {
  channelFragments = tiles.getWarpChannels() / shape.channels;
  rowFragments = tiles.getWarpRows() / shape.rows;
  Type element = getElementTypeOrSelf(op.getLhs().getType());
  elementsPerWord = 32 / element.getIntOrFloatBitWidth();
  wordType = element.isF32() ? element : b.getI32Type();
  weightsUnsigned = op.getRhsUnsigned() && !op.getPacked();
  if (std::optional<CodesAttr> attr = op.getCodes())
    codes.emplace(instruction, *attr, elementsPerWord);
  prepare();
}

void ContractionKernel::buildAt(Block *block) {
  b.setInsertionPointToStart(block);
  build();
}

void ContractionKernel::build() {
  launchProducts();
  if (tiles.getSplits() > 1)
    addParts();
}

void ContractionKernel::launchProducts() {
  OpBuilder::InsertionGuard guard(b);
  auto one = b.constant(1);
  Value grid[] = {
      b.value(b.ceilDivide(rowCount, tiles.getRows())),
      b.value(b.ceilDivide(extents[dims.column], tiles.getChannels())),
      b.value(b.multiply(linearExtent(dims.groups),
                         b.constant(tiles.getSplits())))};
  Value threads = b.value(b.constant(tiles.getWarps() * kLanes));
  auto space =
      gpu::AddressSpaceAttr::get(b.getContext(), gpu::AddressSpace::Workgroup);
  SmallVector<Type> memory;
  auto reserve = [&](int64_t words, Type type) {
    memory.push_back(MemRefType::get({words}, type, AffineMap(), space));
  };
  int64_t stages = tiles.getStages();
  // Two tiles of listed weights: one is filled while the other is cleared.
  reserve(weights.words * (op.getListed() ? 2 : stages),
          codes ? b.getI32Type() : wordType);
  reserve(rows.words * stages, wordType);
  if (instruction.isSparse())
    reserve(metadata.words * stages, b.getI32Type());
  bool keepsRecords = op.getListed() && stages > 1;
  if (keepsRecords) {
    records.words = getPanels() * kChunk * op.getListed()->getChunks();
    reserve(records.words * stages, b.getI32Type());
  }
  if (int64_t words = instruction.getExchangeWords())
    reserve(words * tiles.getWarps(), b.getI32Type());
  auto launch = gpu::LaunchOp::create(
      b, grid[0], grid[1], grid[2], threads, b.value(one), b.value(one),
      /*dynamicSharedMemorySize=*/nullptr, /*asyncTokenType=*/nullptr,
      /*asyncDependencies=*/ValueRange(), memory);
  b.setInsertionPointToStart(&launch.getBody().front());
  ArrayRef<BlockArgument> attributions = launch.getWorkgroupAttributions();
  weights.memory = attributions.consume_front();
  rows.memory = attributions.consume_front();
  if (instruction.isSparse())
    metadata.memory = attributions.consume_front();
  if (keepsRecords)
    records.memory = attributions.consume_front();
  if (instruction.getExchangeWords())
    exchange.memory = attributions.consume_front();
  thread = launch.getThreadIds().x;
  rowTile = launch.getBlockIds().x;
  panel = launch.getBlockIds().y;
  group = launch.getBlockIds().z;
  split = b.constant(0);
  if (int64_t splits = tiles.getSplits(); splits > 1) {
    split = b.remainder(group, splits);
    group = b.divide(group, splits);
  }
  buildBody();
  gpu::TerminatorOp::create(b);
}

//===-- on the host -------------------------------------------------------===//

OpFoldResult ContractionKernel::getExtent(unsigned dim) {
  int64_t bound = op.getBounds()[dim];
  if (!ShapedType::isDynamic(bound))
    return b.constant(bound);
  auto search = [&](Value memref, AffineMap map) -> Value {
    for (auto [i, expr] : llvm::enumerate(map.getResults()))
      if (expr == b.getAffineDimExpr(dim))
        return b.createOrFold<memref::DimOp>(memref, i);
    return {};
  };
  if (Value size = search(op.getInit(), op.getOutMap()))
    return size;
  return search(op.getLhs(), op.getLhsMap());
}

OpFoldResult ContractionKernel::linearExtent(ArrayRef<unsigned> list) {
  OpFoldResult extent = b.constant(1);
  for (unsigned dim : list)
    extent = b.multiply(extent, extents[dim]);
  return extent;
}

/// How far one step of each iteration dimension moves in a buffer without gaps;
/// failure where only run time knows.
static FailureOr<SmallVector<int64_t>> getDimStrides(Value memref,
                                                     AffineMap map) {
  auto type = cast<MemRefType>(memref.getType());
  SmallVector<int64_t> strides(map.getNumDims(), 0);
  int64_t stride = 1;
  for (auto [expr, size] :
       llvm::reverse(llvm::zip_equal(map.getResults(), type.getShape()))) {
    if (ShapedType::isDynamic(stride))
      return failure();
    SmallVector<int64_t> factors = *getCoefficients(expr, map.getNumDims());
    for (auto [to, factor] : llvm::zip_equal(strides, factors))
      to += factor * stride;
    stride = ShapedType::isDynamic(size) ? size : stride * size;
  }
  return strides;
}

/// Whether chunks of 16 bytes along the reduction are contiguous and aligned:
/// whatever else moves, moves by whole chunks.
static bool isWide(Value memref, AffineMap map, const ContractionDims &dims,
                   ArrayRef<int64_t> bounds) {
  auto type = cast<MemRefType>(memref.getType());
  int64_t chunk = 128 / type.getElementTypeBitWidth();
  if (!type.getLayout().isIdentity() || dims.reductions.empty())
    return false;
  unsigned inner = dims.reductions.back();
  if (ShapedType::isDynamic(bounds[inner]) || bounds[inner] % chunk != 0)
    return false;
  FailureOr<SmallVector<int64_t>> strides = getDimStrides(memref, map);
  if (failed(strides))
    return false;
  for (auto [d, stride] : llvm::enumerate(*strides))
    if (stride != 0 && bounds[d] != 1 &&
        (d == inner ? stride != 1 : stride % chunk != 0))
      return false;
  return true;
}

void ContractionKernel::prepare() {
  std::string reason;
  dims = *classifyContraction(
      op.getLhsMap(), op.getRhsMap(), op.getOutMap(), op.getBounds(),
      cast<MemRefType>(op.getLhs().getType()).getShape(), 1, reason);
  for (unsigned d = 0; d < op.getBounds().size(); ++d)
    extents.push_back(getExtent(d));
  rowCount = linearExtent(dims.rows);
  reducedCount = linearExtent(dims.reductions);
  tileCount = b.ceilDivide(reducedCount, tiles.getWords() * elementsPerWord);

  bool isAsync = tiles.getStages() > 1;
  rowSource = {op.getLhs(), op.getLhsMap(),  dims.rows,
               rowCount,    tiles.getRows(), tiles.getWords()};
  rowSource.isWide =
      isAsync && isWide(op.getLhs(), op.getLhsMap(), dims, op.getBounds());
  weightSource = {
      op.getRhs(),         op.getPacked() ? AffineMap() : op.getRhsMap(),
      {dims.column},       extents[dims.column],
      tiles.getChannels(), tiles.getWords() * shape.storedWords / shape.words};
  weightSource.isWide =
      isAsync && (op.getPacked() ||
                  isWide(op.getRhs(), op.getRhsMap(), dims, op.getBounds()));
  for (TileSource *source : {&rowSource, &weightSource})
    if (source->isWide && source->map)
      source->strides = *getDimStrides(source->memref, source->map);
  weights.words = tiles.getChannels() * weightSource.pitch;
  if (codes)
    weights.words = weights.words * elementsPerWord * codes->bits / 32;
  rows.words = tiles.getRows() * rowSource.pitch;
  metadata.words = instruction.isSparse() ? weights.words / 4 : 0;
}

//===-- in the kernel -----------------------------------------------------===//

void ContractionKernel::delinearize(OpFoldResult index, ArrayRef<unsigned> list,
                                    SmallVectorImpl<OpFoldResult> &indices) {
  for (unsigned dim : llvm::reverse(list)) {
    if (dim == list.front()) {
      indices[dim] = index;
      return;
    }
    // Selection asks for static bounds of all but the outermost.
    int64_t bound = op.getBounds()[dim];
    indices[dim] = b.remainder(index, bound);
    index = b.divide(index, bound);
  }
}

SmallVector<Value> ContractionKernel::applyMap(AffineMap map,
                                               ArrayRef<OpFoldResult> indices) {
  SmallVector<Value> list;
  for (AffineExpr expr : map.getResults()) {
    OpFoldResult sum = b.constant(0);
    SmallVector<int64_t> factors = *getCoefficients(expr, map.getNumDims());
    for (auto [index, factor] : llvm::zip_equal(indices, factors))
      sum = b.add(sum, b.multiply(index, b.constant(factor)));
    list.push_back(b.value(sum));
  }
  return list;
}

void ContractionKernel::buildBody() {
  lane = b.value(b.remainder(thread, kLanes));
  OpFoldResult warp = b.divide(thread, kLanes);
  int64_t across = tiles.getChannels() / tiles.getWarpChannels();
  warpChannel = b.multiply(b.remainder(warp, across),
                           b.constant(tiles.getWarpChannels()));
  warpRow = b.multiply(b.divide(warp, across), b.constant(tiles.getWarpRows()));
  exchange.lane = lane;
  if (exchange.memory)
    exchange.base =
        b.value(b.multiply(warp, b.constant(instruction.getExchangeWords())));
  origin.assign(extents.size(), b.constant(0));
  delinearize(group, dims.groups, origin);
  SmallVector<Value> sums = reduceTiles();
  finish(sums);
}

void ContractionKernel::multiplyTile(OpFoldResult slot,
                                     SmallVectorImpl<Value> &sums) {
  /// More steps than this are a loop.
  constexpr int64_t kUnrolled = 4;
  int64_t steps = tiles.getWords() / shape.words;
  int64_t units = steps / (codes ? codes->steps : 1);
  if (steps > kUnrolled)
    return b.carry(b.constant(0), b.constant(units), 1, sums,
                   [&](Value unit, SmallVectorImpl<Value> &inner) {
                     multiplyUnit(slot, unit, inner);
                   });
  for (int64_t unit = 0; unit < units; ++unit)
    multiplyUnit(slot, b.constant(unit), sums);
}

/// As many steps as a word of codes has, else one.
void ContractionKernel::multiplyUnit(OpFoldResult slot, OpFoldResult unit,
                                     SmallVectorImpl<Value> &sums) {
  if (!codes) {
    SmallVector<LanePlace> places;
    for (int64_t i = 0; i < channelFragments; ++i)
      for (int64_t r = 0; r < shape.weightRegisters; ++r) {
        places.push_back(instruction.getWeightPlace(r));
        places.back().first += i * shape.channels;
      }
    return multiplyStep(
        slot, unit,
        loadRegisters(weights, weightSource, getWeightSlot(slot), warpChannel,
                      b.multiply(unit, b.constant(shape.storedWords)), places),
        sums);
  }
  SmallVector<SmallVector<Value>> decoded;
  for (int64_t i = 0; i < channelFragments; ++i)
    decoded.push_back(loadCodes(
        slot, b.add(warpChannel, b.constant(i * shape.channels)), unit));
  for (int64_t s = 0; s < codes->steps; ++s) {
    SmallVector<Value> registers;
    for (ArrayRef<Value> fragment : decoded)
      llvm::append_range(registers, fragment.slice(s * shape.weightRegisters,
                                                   shape.weightRegisters));
    OpFoldResult first = b.multiply(unit, b.constant(codes->steps));
    multiplyStep(slot, b.add(first, b.constant(s)), registers, sums);
  }
}

void ContractionKernel::multiplyStep(OpFoldResult slot, OpFoldResult step,
                                     ArrayRef<Value> weightRegisters,
                                     SmallVectorImpl<Value> &sums) {
  SmallVector<Value> places;
  // Words of metadata lie in the order of fragments and lanes.
  for (int64_t i = 0; instruction.isSparse() && i < channelFragments; ++i) {
    OpFoldResult first = b.add(warpChannel, b.constant(i * shape.channels));
    int64_t steps = tiles.getWords() / shape.words;
    OpFoldResult fragment = b.add(
        b.multiply(b.divide(first, shape.channels), b.constant(steps)), step);
    OpFoldResult at =
        b.add(b.multiply(slot, b.constant(metadata.words)),
              b.add(b.multiply(fragment, b.constant(kLanes)), lane));
    places.push_back(memref::LoadOp::create(b, metadata.memory, b.value(at)));
  }
  SmallVector<LanePlace> rowPlaces;
  for (int64_t j = 0; j < rowFragments; ++j)
    for (int64_t r = 0; r < shape.rowRegisters; ++r) {
      rowPlaces.push_back(instruction.getRowPlace(r));
      rowPlaces.back().first += j * shape.rows;
    }
  SmallVector<Value> rowRegisters = loadRows(slot, step, rowPlaces);
  auto weightsOf = [&](int64_t i) {
    return weightRegisters.slice(i * shape.weightRegisters,
                                 shape.weightRegisters);
  };
  auto rowsOf = [&](int64_t j) {
    return ArrayRef(rowRegisters)
        .slice(j * shape.rowRegisters, shape.rowRegisters);
  };

  MutableArrayRef<Value> rest(sums);
  auto multiply = [&](ArrayRef<Value> a, ArrayRef<Value> r, Value places,
                      bool isUnsignedWeight, bool isUnsignedRow) {
    MutableArrayRef<Value> acc = rest.take_front(shape.sumRegisters);
    FragmentOperands operands{
        a, r, acc, places, isUnsignedWeight, isUnsignedRow, exchange};
    SmallVector<Value> next =
        instruction.buildMultiply(b, b.getLoc(), operands);
    llvm::copy(next, acc.begin());
    rest = rest.drop_front(shape.sumRegisters);
  };
  for (int64_t i = 0; i < channelFragments; ++i)
    for (int64_t j = 0; j < rowFragments; ++j)
      multiply(weightsOf(i), rowsOf(j), places.empty() ? Value() : places[i],
               weightsUnsigned, op.getLhsUnsigned());
  if (rest.empty())
    return;
  // Sums of one operand are its products with ones.
  Value ones = arith::ConstantOp::create(b, b.getI32IntegerAttr(0x01010101));
  SmallVector<Value> oneWeights(shape.weightRegisters, ones);
  SmallVector<Value> oneRows(shape.rowRegisters, ones);
  if (needsRowSums())
    for (int64_t j = 0; j < rowFragments; ++j)
      multiply(oneWeights, rowsOf(j), Value(), weightsUnsigned,
               op.getLhsUnsigned());
  if (needsColumnSums())
    for (int64_t i = 0; i < channelFragments; ++i)
      multiply(weightsOf(i), oneRows, Value(), weightsUnsigned,
               op.getLhsUnsigned());
}

//===-- mapping -----------------------------------------------------------===//

std::string mlir::tamis::refuseFragments(Operation *op) {
  auto contract = dyn_cast<device::ContractOp>(op);
  if (!contract || !contract.hasPureBufferSemantics())
    return ("'" + op->getName().getStringRef() + "' carries no fragments")
        .str();
  return "";
}

void mlir::tamis::buildFragments(OpBuilder &b, Operation *operation) {
  auto op = cast<device::ContractOp>(operation);
  if (!op.getFew())
    return ContractionKernel(b, op, op.getTiles()).build();
  ContractionKernel few(b, op, *op.getFew()), many(b, op, op.getTiles());
  kernel::IndexBuilder index(op.getLoc(), b);
  Value isFew = arith::CmpIOp::create(
      index, arith::CmpIPredicate::ule, index.value(few.getRowCount()),
      index.value(index.constant(op.getFew()->getRows())));
  auto branch = scf::IfOp::create(index, isFew, /*withElseRegion=*/true);
  few.buildAt(branch.thenBlock());
  many.buildAt(branch.elseBlock());
}
