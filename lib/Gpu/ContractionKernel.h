// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The generator of contraction kernels for GPUs, shared by
// ContractionKernel.cpp (launch, products), ContractionWalk.cpp (tile by tile),
// ContractionCopies.cpp (tiles into workgroup memory), ContractionListed.cpp
// (weights without zero words), ContractionFragments.cpp (from there to
// registers), ContractionEpilogue.cpp (sums to results) and
// ContractionParts.cpp (sums of several workgroups). AttentionKernel.cpp makes
// one kernel of two of them.
#ifndef TAMIS_LIB_GPU_CONTRACTIONKERNEL_H
#define TAMIS_LIB_GPU_CONTRACTIONKERNEL_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "tamis/Gpu/Tensor.h"
#include "tamis/Kernels/Classify.h"
#include "tamis/Kernels/IndexBuilder.h"

namespace mlir::tamis::device {

/// A product of two operands, tile by tile: `outer` x reduction. Every
/// operand's elements come as words of 32 bits along the reduction.
struct TileSource {
  Value memref;
  /// From iteration dimensions to elements; null where `memref` is packed.
  AffineMap map;
  /// The dimensions that are linearized into the tile's outer index, outer to
  /// inner.
  SmallVector<unsigned> dims;
  /// How many outer indices there are, and how many a tile has.
  OpFoldResult extent;
  int64_t tile;
  /// Words of one outer index in a tile.
  int64_t pitch;
  /// 16 bytes at a time lie together and are aligned.
  bool isWide = false;
  /// Where they do: elements that a step of each iteration dimension moves.
  SmallVector<int64_t> strides;
};

/// One sum of a lane: register `index` of all, where it ends, and which of the
/// channel's and the row's registers belong to it.
struct SumPlace {
  int64_t index, channelRegister, rowRegister;
  OpFoldResult column, row;
};

/// An element of a factor that a lane reads: which factor, and the channel's
/// and the row's registers it belongs to, -1 for all.
using FactorKey = std::tuple<unsigned, int64_t, int64_t>;

/// Words of one copy of 16 bytes.
inline constexpr int64_t kChunk = 4;

/// A piece of workgroup memory that holds a tile in each stage.
struct Stage {
  Value memory;
  /// Words of one stage.
  int64_t words = 0;
};

/// A word of `count` elements that `load` gives one by one.
Value buildWord(kernel::IndexBuilder &b, int64_t count,
                function_ref<Value(int64_t)> load);

class ContractionKernel {
public:
  ContractionKernel(OpBuilder &builder, ContractOp op, TilesAttr tiles);
  virtual ~ContractionKernel() = default;
  /// Emits the launch, or two where the reduction is divided.
  void build();
  void buildAt(Block *block);
  /// How many rows there are.
  OpFoldResult getRowCount() { return rowCount; }

protected:
  // Where rows or results are not in the device's memory, these differ.
  virtual void walkTile(OpFoldResult tile, SmallVectorImpl<Value> &sums);
  virtual void copyRows(OpFoldResult tile, OpFoldResult slot);
  /// The registers of rows at `places` for one step of a tile.
  virtual SmallVector<Value> loadRows(OpFoldResult slot, OpFoldResult step,
                                      ArrayRef<LanePlace> places);
  virtual void storeResult(Value result, OpFoldResult column, OpFoldResult row,
                           ArrayRef<OpFoldResult> indices);

  // ContractionKernel.cpp: on the host.
  void prepare();
  OpFoldResult getExtent(unsigned dim);
  OpFoldResult linearExtent(ArrayRef<unsigned> dims);

  // In the kernel.
  void launchProducts();
  void buildBody();

  // ContractionWalk.cpp.
  SmallVector<Value> reduceTiles();
  SmallVector<Value> reduceBlocks();
  SmallVector<Value> makeSums();
  SmallVector<Value> sumTiles(OpFoldResult first, OpFoldResult count);
  void beginCopies();
  void divide(OpFoldResult count, OpFoldResult &begin, OpFoldResult &end);
  void copyAhead(OpFoldResult tile, OpFoldResult slot);

  // ContractionKernel.cpp.
  void multiplyTile(OpFoldResult stage, SmallVectorImpl<Value> &sums);
  void multiplyUnit(OpFoldResult stage, OpFoldResult unit,
                    SmallVectorImpl<Value> &sums);
  void multiplyStep(OpFoldResult stage, OpFoldResult step,
                    ArrayRef<Value> weightRegisters,
                    SmallVectorImpl<Value> &sums);
  void delinearize(OpFoldResult index, ArrayRef<unsigned> dims,
                   SmallVectorImpl<OpFoldResult> &indices);
  /// The element that `map`, of sums of multiples, finds at `indices`.
  SmallVector<Value> applyMap(AffineMap map, ArrayRef<OpFoldResult> indices);

  // ContractionFragments.cpp.
  Value loadWord(const Stage &stage, OpFoldResult slot, OpFoldResult outer,
                 OpFoldResult word, int64_t pitch);
  /// Where word `word` of outer index `outer` lies in a tile.
  OpFoldResult place(OpFoldResult outer, OpFoldResult word, int64_t pitch);
  /// The registers at `places`, of the lines from `outer` and the words from
  /// `word` on.
  SmallVector<Value> loadRegisters(const Stage &stage, const TileSource &source,
                                   OpFoldResult slot, OpFoldResult outer,
                                   OpFoldResult word,
                                   ArrayRef<LanePlace> places);
  OpFoldResult buildLine(const Stage &stage, const TileSource &source,
                         OpFoldResult slot, OpFoldResult outer,
                         OpFoldResult word, ArrayRef<LanePlace> matrices,
                         OpFoldResult line);
  void loadMatrices(const Stage &stage, int64_t count,
                    function_ref<OpFoldResult(OpFoldResult)> lineAt,
                    SmallVectorImpl<Value> &registers);
  SmallVector<Value> loadCodes(OpFoldResult slot, OpFoldResult first,
                               OpFoldResult unit);

  // ContractionListed.cpp.
  void copyRecords(OpFoldResult tile, OpFoldResult slot);
  void clearWeights(OpFoldResult slot);
  void expandTile(OpFoldResult tile, OpFoldResult slot);
  void putQuad(Value places, OpFoldResult start,
               function_ref<Value(int64_t)> read);
  std::pair<OpFoldResult, OpFoldResult> findRecord(int64_t part,
                                                   OpFoldResult tile);
  /// Panels that a tile takes.
  int64_t getPanels() { return tiles.getChannels() / kPanelChannels; }

  // ContractionCopies.cpp.
  /// The address of element `index` of a buffer without gaps.
  Value buildAddress(Value buffer, OpFoldResult index, unsigned space);
  void copyTiles(OpFoldResult tile, OpFoldResult slot);
  void forEachChunk(int64_t chunks, function_ref<void(OpFoldResult)> body);
  void copyStrided(const TileSource &source, const Stage &stage,
                   OpFoldResult start, OpFoldResult tile, OpFoldResult slot);
  void copyPacked(Value memref, const Stage &stage, int64_t pitch,
                  OpFoldResult tile, OpFoldResult slot);
  Value loadStridedWord(const TileSource &source,
                        ArrayRef<OpFoldResult> indices, Value inside,
                        OpFoldResult reduced);
  void copyAsync(Value memref, OpFoldResult element, const Stage &stage,
                 OpFoldResult word, Value inside);
  void commitCopies();
  void waitForCopies(int64_t pending);

  // ContractionEpilogue.cpp.
  void forEachSum(function_ref<void(const SumPlace &)> body);
  void forEachStored(function_ref<void(const SumPlace &)> body);
  FactorKey getFactorKey(unsigned i, const SumPlace &place);
  DenseMap<FactorKey, Value> loadFactors(OpFoldResult block);
  void combine(const DenseMap<FactorKey, Value> &factors, ArrayRef<Value> sums,
               MutableArrayRef<Value> totals);
  void finish(MutableArrayRef<Value> sums);
  Value addRowTerm(Value sum, Value rowSum);
  void finishElement(Value sum, Value columnTerm, OpFoldResult column,
                     OpFoldResult row);
  Value buildColumnTerm(OpFoldResult column, Value columnSum);
  Value widenZero(Value zero, bool isUnsigned, int32_t offset);

  // ContractionParts.cpp.
  void storePart(Value sum, OpFoldResult column, OpFoldResult row);
  void addParts();

  /// Where the weights lie of a tile whose rows are in `slot`.
  OpFoldResult getWeightSlot(OpFoldResult slot) {
    return op.getListed() ? expanded : slot;
  }
  bool isInteger() { return isa<IntegerType>(op.getAccumulator()); }
  /// Whether each row's sum of activations is needed.
  bool needsRowSums() { return isInteger() && op.getRhsZero(); }
  /// Whether each channel's sum of weights is needed and nobody has it yet.
  bool needsColumnSums() {
    return isInteger() && op.getLhsZero() && !op.getSums();
  }

  ContractOp op;
  kernel::IndexBuilder b;
  FragmentAttrInterface instruction;
  FragmentShape shape;
  TilesAttr tiles;
  ContractionDims dims;
  /// Fragments of a warp along channels and rows.
  int64_t channelFragments, rowFragments;
  int64_t elementsPerWord;
  Type wordType;
  /// Whether weights are unsigned as the instruction reads them.
  bool weightsUnsigned;
  /// Of weights that are codes.
  std::optional<CodeLayout> codes;

  SmallVector<OpFoldResult> extents;
  OpFoldResult rowCount, reducedCount, tileCount;
  TileSource weightSource, rowSource;

  // In the kernel.
  Value thread, lane;
  OpFoldResult group, panel, rowTile, warpChannel, warpRow;
  Stage weights, rows, metadata, records;
  /// Which of the two tiles of listed weights is multiplied.
  OpFoldResult expanded;
  /// The part of the reduction that this workgroup has, and its first tile and
  /// how many there are.
  OpFoldResult split, firstTile, ownTiles;
  Exchange exchange;
  /// Index of each iteration dimension; groups are set, others are zero.
  SmallVector<OpFoldResult> origin;
};

} // namespace mlir::tamis::device

#endif // TAMIS_LIB_GPU_CONTRACTIONKERNEL_H
