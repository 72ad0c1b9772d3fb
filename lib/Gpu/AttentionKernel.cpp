// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attention as one kernel: a workgroup makes a strip of rows of scores, which
// stay in workgroup memory, does to them what the rows ask for, and multiplies
// them again. Both products and the rows are those of kernels of their own
// (ContractionKernel.h, RowKernel.h), but for where scores are, so every sum
// has the order it has there.
#include "Attention.h"
#include "ContractionKernel.h"
#include "RowKernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "tamis/Gpu/Mapping.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::device;

static_assert(kAttentionWarps * kLanes == kRowThreads);

namespace {
/// Rows of scores in workgroup memory. Every element is a float32, whatever
/// type it has been rounded to: devices do not all store less there.
struct Strip {
  Value memory;
  int64_t rows, pitch;

  Value place(OpBuilder &b, Location loc, Value row, Value column) const {
    Value line = arith::MulIOp::create(
        b, loc, row, arith::ConstantIndexOp::create(b, loc, pitch));
    return arith::AddIOp::create(b, loc, line, column);
  }
  Value load(OpBuilder &b, Location loc, Value row, Value column,
             Type type) const {
    Value value =
        memref::LoadOp::create(b, loc, memory, place(b, loc, row, column));
    return type.isF32() ? value : arith::TruncFOp::create(b, loc, type, value);
  }
  void store(OpBuilder &b, Location loc, Value value, Value row,
             Value column) const {
    if (!value.getType().isF32())
      value = arith::ExtFOp::create(b, loc, b.getF32Type(), value);
    memref::StoreOp::create(b, loc, value, memory, place(b, loc, row, column));
  }
};

/// One of the products, column tile by column tile.
class Product : public ContractionKernel {
public:
  Product(OpBuilder &builder, device::ContractOp op, const Strip &strip)
      : ContractionKernel(builder, op, op.getTiles()), strip(strip) {
    prepare();
  }

  int64_t countWeightWords() const { return weights.words * tiles.getStages(); }
  int64_t countRowWords() const { return rows.words * tiles.getStages(); }
  Type getWordType() const { return wordType; }
  Value countStrips() { return b.value(b.ceilDivide(rowCount, strip.rows)); }
  Value countGroups() { return b.value(linearExtent(dims.groups)); }

  /// Begins the body; `memory`: of weights, rows, and what is exchanged.
  void enter(gpu::LaunchOp launch, ArrayRef<Value> memory) {
    thread = launch.getThreadIds().x;
    rowTile = launch.getBlockIds().x;
    group = launch.getBlockIds().z;
    weights.memory = memory[0];
    rows.memory = memory[1];
    exchange.memory = memory[2];
  }

  void multiply(Operation *end) {
    b.setInsertionPoint(end);
    OpFoldResult panels =
        b.ceilDivide(extents[dims.column], tiles.getChannels());
    b.loop(b.constant(0), panels, 1, [&](OpFoldResult index) {
      panel = index;
      // Copies of this panel take the place of what others may still read.
      gpu::BarrierOp::create(b);
      buildBody();
    });
  }

protected:
  const Strip &strip;
};

/// The product whose results stay in the strip.
class Scores : public Product {
public:
  using Product::Product;

  /// The axes' indices of the row `local` of the strip, the last one zero. What
  /// does not exist is the last row there is.
  SmallVector<Value> locate(Operation *end, Value local, Value &exists) {
    b.setInsertionPoint(end);
    OpFoldResult row = b.add(firstRow(), local);
    exists = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, b.value(row),
                                   b.value(rowCount));
    SmallVector<OpFoldResult> indices(extents.size(), b.constant(0));
    delinearize(group, dims.groups, indices);
    delinearize(b.minimum(row, b.subtract(rowCount, b.constant(1))), dims.rows,
                indices);
    return applyMap(op.getOutMap(), indices);
  }

private:
  /// The first row of the workgroup.
  OpFoldResult firstRow() {
    return b.multiply(rowTile, b.constant(strip.rows));
  }
  void storeResult(Value result, OpFoldResult column, OpFoldResult row,
                   ArrayRef<OpFoldResult>) override {
    strip.store(b, b.getLoc(), result, b.value(b.subtract(row, firstRow())),
                b.value(column));
  }
};

/// The product that has the strip for rows.
class Values : public Product {
public:
  using Product::Product;

  /// Zeros behind the rows, up to whole tiles of the reduction.
  void clearMargin(Operation *end) {
    b.setInsertionPoint(end);
    int64_t tileElements = tiles.getWords() * elementsPerWord;
    OpFoldResult padded = b.multiply(tileCount, b.constant(tileElements));
    Value zero = arith::ConstantOp::create(b, b.getF32FloatAttr(0));
    b.loop(b.constant(0), b.constant(strip.rows * tileElements), kRowThreads,
           [&](OpFoldResult first) {
             OpFoldResult at = b.add(first, thread);
             OpFoldResult column =
                 b.add(reducedCount, b.remainder(at, tileElements));
             OpFoldResult row = b.divide(at, tileElements);
             Value exists =
                 arith::AndIOp::create(b, isBelow(column, padded),
                                       isBelow(row, b.constant(strip.rows)));
             auto branch =
                 scf::IfOp::create(b, exists, /*withElseRegion=*/false);
             OpBuilder::InsertionGuard guard(b);
             b.setInsertionPointToStart(branch.thenBlock());
             strip.store(b, b.getLoc(), zero, b.value(row), b.value(column));
           });
  }

private:
  Value isBelow(OpFoldResult index, OpFoldResult extent) {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ult, b.value(index),
                                 b.value(extent));
  }
  void walkTile(OpFoldResult next, SmallVectorImpl<Value> &sums) override {
    tile = next;
    ContractionKernel::walkTile(next, sums);
  }
  void copyRows(OpFoldResult, OpFoldResult) override {}
  SmallVector<Value> loadRows(OpFoldResult, OpFoldResult step,
                              ArrayRef<LanePlace> places) override {
    Type type = getElementTypeOrSelf(op.getLhs().getType());
    OpFoldResult word = b.add(b.multiply(tile, b.constant(tiles.getWords())),
                              b.multiply(step, b.constant(shape.words)));
    return llvm::map_to_vector(places, [&](LanePlace place) {
      FragmentPlace at = place.build(b, b.getLoc(), lane);
      Value row = b.value(b.add(warpRow, at.first));
      OpFoldResult first =
          b.multiply(b.add(word, at.second), b.constant(elementsPerWord));
      return buildWord(b, elementsPerWord, [&](int64_t i) {
        return strip.load(b, b.getLoc(), row,
                          b.value(b.add(first, b.constant(i))), type);
      });
    });
  }

  OpFoldResult tile;
};

/// What lies between the products.
class StripRows : public RowKernel {
public:
  StripRows(OpBuilder &b, Operation *rows, const Strip &strip)
      : RowKernel(b, rows->getLoc(), *findRows(rows)), strip(strip) {}

  using RowKernel::enter;
  using RowKernel::getMemory;

  /// All rows of the strip. `axes`: of the scores, for each loop.
  void emit(Scores &scores, ArrayRef<unsigned> axes) {
    auto loop = scf::ForOp::create(b, loc, constant(0), constant(strip.rows),
                                   constant(countRows()));
    OpBuilder::InsertionGuard guard(b);
    Operation *end = loop.getBody()->getTerminator();
    b.setInsertionPoint(end);
    local = add(loop.getInductionVar(), rowOfThread);
    Value exists;
    SmallVector<Value> place = scores.locate(end, local, exists);
    emitRow(
        llvm::map_to_vector(axes, [&](unsigned axis) { return place[axis]; }),
        exists);
  }

private:
  static bool isStrip(Value memref) {
    return isa_and_present<memref::AllocaOp>(memref.getDefiningOp());
  }
  Value loadElement(Value memref, ValueRange indices) override {
    if (!isStrip(memref))
      return RowKernel::loadElement(memref, indices);
    return strip.load(b, loc, local, indices.back(),
                      getElementTypeOrSelf(memref.getType()));
  }
  void storeElement(Value value, Value memref, ValueRange indices) override {
    if (!isStrip(memref))
      return RowKernel::storeElement(value, memref, indices);
    strip.store(b, loc, value, local, indices.back());
  }

  const Strip &strip;
  /// Of the strip.
  Value local;
};
} // namespace

/// The parts of the region that `op` is.
static Attention findParts(Operation *op) {
  Attention parts;
  for (Operation &inner : op->getRegion(0).front()) {
    if (auto contract = dyn_cast<device::ContractOp>(inner))
      (parts.rows ? parts.values : parts.scores) = contract;
    else if (areRows(&inner))
      parts.rows = &inner;
  }
  return parts;
}

bool mlir::tamis::isAttention(Operation *op) {
  return op->hasAttr(kStripAttrName);
}

void mlir::tamis::buildAttention(OpBuilder &b, Operation *op) {
  Location loc = op->getLoc();
  Attention parts = findParts(op);
  Strip strip{Value(), parts.scores.getTiles().getRows(),
              op->getAttrOfType<IntegerAttr>(kStripAttrName).getInt()};
  Scores scores(b, parts.scores, strip);
  Values values(b, parts.values, strip);
  StripRows rows(b, parts.rows, strip);

  auto space =
      gpu::AddressSpaceAttr::get(b.getContext(), gpu::AddressSpace::Workgroup);
  SmallVector<Type> memory;
  auto reserve = [&](int64_t words, Type type) {
    memory.push_back(MemRefType::get({words}, type, AffineMap(), space));
  };
  Type word = scores.getWordType();
  reserve(std::max(scores.countWeightWords(), values.countWeightWords()), word);
  reserve(scores.countRowWords(), word);
  reserve(strip.rows * strip.pitch, b.getF32Type());
  int64_t exchanged = parts.scores.getInstruction().getExchangeWords();
  if (exchanged)
    reserve(exchanged * kAttentionWarps, b.getI32Type());
  llvm::append_range(memory, rows.getMemory());

  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  Value threads = arith::ConstantIndexOp::create(b, loc, kRowThreads);
  auto launch = gpu::LaunchOp::create(
      b, loc, scores.countStrips(), one, scores.countGroups(), threads, one,
      one, /*dynamicSharedMemorySize=*/nullptr, /*asyncTokenType=*/nullptr,
      /*asyncDependencies=*/ValueRange(), memory);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&launch.getBody().front());
  Operation *end = gpu::TerminatorOp::create(b, loc);
  b.setInsertionPoint(end);
  ArrayRef<BlockArgument> pieces = launch.getWorkgroupAttributions();
  SmallVector<Value> ofProducts{pieces[0], pieces[1], Value()};
  strip.memory = pieces[2];
  pieces = pieces.drop_front(3);
  if (exchanged)
    ofProducts.back() = pieces.consume_front();
  scores.enter(launch, ofProducts);
  values.enter(launch, ofProducts);
  rows.enter(launch.getThreadIds().x, pieces);

  values.clearMargin(end);
  scores.multiply(end);
  b.setInsertionPoint(end);
  gpu::BarrierOp::create(b, loc);
  rows.emit(scores, *findLoopAxes(parts.rows, parts.scores.getInit()));
  values.multiply(end);
}
