// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The generator of contraction kernels, shared by the files of this folder:
// IndexBuilder.cpp has arithmetic and loops, PrepareNest.cpp strides and which
// dimensions are one loop, LoopNest.cpp walks blocks, Feeders.cpp brings
// operands to the instruction, FarPanels.cpp lets single rows read panels side
// by side, CopyPanels.cpp brings panels into L1, StreamBlock.cpp
// and StreamTiles.cpp walk weights without zeros, ExpandWeights.cpp puts zeros
// back between them, WalkBlocks.cpp steps over blocks of them, SlotSums.cpp
// picks activations for those that are left, BlockTotals.cpp adds the sums of
// blocks up, Epilogue.cpp finishes and stores. Everything is addressed by
// element offsets into flat views of the operands, so strided,
// implicit-convolution and packed operands are one case.
#ifndef TAMIS_LIB_KERNELS_EMITTER_H
#define TAMIS_LIB_KERNELS_EMITTER_H

#include "tamis/IR/Tamis.h"
#include "tamis/Kernels/Classify.h"
#include "tamis/Kernels/IndexBuilder.h"

namespace mlir::tamis::kernel {

/// One walked dimension and how far each operand moves per iteration; factors
/// follow the extras.
struct Loop {
  OpFoldResult extent;
  OpFoldResult lhs, rhs, out, sums;
  SmallVector<OpFoldResult> extras;
};

/// Where the operands of a block begin (element offsets).
struct Place {
  OpFoldResult lhs, rhs, out, sums;
  SmallVector<OpFoldResult> extras;
};

/// A piece of a walked dimension.
struct Range {
  OpFoldResult lower, upper;
};

/// The columns of a block: full vectors, the last ones perhaps masked.
struct Columns {
  int64_t vectors = 1;
  /// Panels that they are of, as many vectors of each, and how many others lie
  /// between two of these, plus one.
  int64_t panels = 1;
  OpFoldResult apart;
  OpFoldResult count;
  /// Per vector: null where all lanes exist.
  SmallVector<Value> masks;
  /// First accumulators of an integer block: the column correction.
  SmallVector<Value> initial;
  /// The same for rows that do not fill a tile.
  SmallVector<Value> remainderInitial;
};

struct Reduction;

/// One vector of elements at `offset`: contiguous along the columns, the same
/// for all of them, or strided.
Value loadExtra(IndexBuilder &b, const FlatView &view, OpFoldResult offset,
                OpFoldResult columnStride, int64_t lanes, Value mask);

/// Clones a region of scalars at vector width; returns what it yields.
Value inlineAtWidth(IndexBuilder &b, Block &block, ValueRange arguments,
                    int64_t lanes);

/// Generates the loops of one tamis_kernel.contract on memrefs, in its place.
class Emitter {
public:
  Emitter(ContractOp op, RewriterBase &rewriter);
  LogicalResult emit();

private:
  // PrepareNest.cpp
  LogicalResult prepare();
  void prepareReductions(const FlatView &rhsView);
  void preparePanels();
  Loop makeLoop(unsigned dim);
  static bool merge(IndexBuilder &b, Loop &outer, const Loop &inner);
  // LoopNest.cpp
  Place advance(const Place &place, const Loop &loop, OpFoldResult by);
  void makeScratch();

  // StageRows.cpp
  void makeStage();
  Loop &cacheLoop();
  void emitTasks(const Place &start);
  void emitGroups(unsigned level, Place place);
  void emitOuterRows(unsigned level, Place place);
  void emitCacheBlocks(Place place);
  void emitStripes(Place place);
  void emitPieces(Place place, OpFoldResult lower, OpFoldResult upper);
  void emitPanels(Place place, OpFoldResult lower, OpFoldResult upper);
  void emitPanel(Place place, Columns columns, OpFoldResult lower,
                 OpFoldResult upper);
  void emitRowBlocks(const Place &place, const Columns &columns,
                     OpFoldResult lower, OpFoldResult upper);
  void emitBlock(const Place &place, int64_t rows, const Columns &columns);

  // FarPanels.cpp
  /// True if panels come from behind L2 and few rows read each of them: the
  /// next one is asked for meanwhile.
  bool asksAhead();
  /// True if panels are pieces of longer lines.
  bool readsPieces();
  /// The most rows of which each has blocks of its own of several panels.
  int64_t getFewRows();
  /// Panels that a block of one row holds.
  int64_t countFar();
  /// How far vector `j` of a block lies behind the first one.
  OpFoldResult vectorOffset(const Columns &columns, int64_t j,
                            OpFoldResult perVector, OpFoldResult perPanel);
  /// If there are few enough rows, their blocks of panels `first` to `end`;
  /// returns the first panel that is in none.
  OpFoldResult emitFarPanels(const Place &place, OpFoldResult lower,
                             OpFoldResult upper, OpFoldResult first,
                             OpFoldResult end);

  // ZeroPoints.cpp
  void prepareZeroPoints();
  Value seenZero(Value zero, bool isUnsigned, int64_t offset);
  void prepareInitial(const Place &place, Columns &columns);
  SmallVector<Value> columnTerm(const Place &place, const Columns &columns,
                                Value zero);

  // Feeders.cpp
  SmallVector<Value> reduce(const Place &place, int64_t rows,
                            const Columns &columns);

  // ExpandWeights.cpp
  /// True if places of weights are counted in vectors, not in elements.
  bool countsVectors() const { return bitmask || nOfM; }
  void prepareVectors();
  /// A place for one panel, where several blocks of rows share it.
  void makeExpanded();
  /// Where the first unit of the panel at `rhs` lies.
  Value findUnit(OpFoldResult rhs);
  /// The vector of weights `at`, whose first unit lies at `unit`; moves on.
  Value expandVector(Value at, Value &unit);
  void expandPanel(Place &place);

  // WalkBlocks.cpp
  /// Makes `run` that of one block; returns the walk over blocks around it.
  Loop splitRun(Loop &run);
  /// Emits a loop over the blocks of `list` that carries `values`: `body` gets
  /// where the rows and the weights of each lie.
  void walkBlocks(
      OpFoldResult lhs, OpFoldResult list, SmallVectorImpl<Value> &values,
      function_ref<void(OpFoldResult, OpFoldResult, SmallVectorImpl<Value> &)>
          body);

  // CopyPanels.cpp
  /// True if the right operand is as it was, with its sums side by side.
  bool copiesPanels();
  /// True if two steps of the weights share a byte and tiles multiply them.
  bool unpacksPanels() {
    return op.getNibbles() && op.getInstruction().isTile();
  }
  void makePanel();
  void copyPanel(Place &place, const Columns &columns);
  void unpackPanel(Place &place);

  // EncodedWeights.cpp
  /// True if a byte of weights holds those of two steps where it is read.
  bool hasNibbles() {
    return (op.getNibbles() && !unpacksPanels()) || codebook;
  }

  // BlockTotals.cpp
  void prepareFactors();
  SmallVector<Value> reduceBlocks(Reduction &reduction, const Place &place,
                                  const Columns &columns);
  void combine(const Place &place, int64_t rows, const Columns &columns,
               ArrayRef<Value> blockSums, MutableArrayRef<Value> totals);
  /// The totals in L1 of `rows` from `first` on with the sums of a block of
  /// tiles, which wait beside them.
  SmallVector<Value> combineWaiting(const Place &place, OpFoldResult first,
                                    int64_t rows, const Columns &columns);
  void storeTotals(OpFoldResult first, const Columns &columns,
                   ArrayRef<Value> totals);

  // StreamBlock.cpp
  /// True if the sums of several panels wait in memory.
  bool sumsWait();
  void makeStream();
  void emitStreamRows(Place place);
  void emitStreamBlock(const Place &place, OpFoldResult first,
                       OpFoldResult count);
  void emitWaitingColumns(const Place &place, OpFoldResult count);
  int64_t getLine();
  int64_t getLineTaps();
  OpFoldResult getStagedOffset(OpFoldResult position);
  int64_t getStagedWords();
  bool stagesAll();
  int64_t getSummed();
  void stagePart(const Place &place, OpFoldResult count, OpFoldResult part,
                 OpFoldResult to);
  Place findRow(const Place &place, OpFoldResult row);
  void finishRow(const Place &place, const Columns &columns, OpFoldResult row,
                 MutableArrayRef<Value> sums);
  void emitStreamPanel(const Place &place, const Columns &columns,
                       OpFoldResult lower, OpFoldResult upper);
  void multiplyStream(const Place &place);
  void multiplyParts(const Place &place, OpFoldResult count);
  void multiplyList(OpFoldResult first, OpFoldResult i, OpFoldResult from,
                    bool continues);
  void multiplyEntry(OpFoldResult entry, MutableArrayRef<Value> sums);
  Value loadWord(OpFoldResult at);
  OpFoldResult loadPlace(OpFoldResult at);

  // StreamTiles.cpp
  void gatherWords(OpFoldResult places);
  void multiplyStreamTiles(const Place &place, int64_t vectors);

  // TileBlock.cpp
  /// Makes the place where a block's sums wait for the next block.
  void makeTileSums();
  /// Emits `walk` over blocks of `columns` from `start` on, and what is left of
  /// the last one behind it.
  void emitTileBlocks(const Place &start, const Columns &columns,
                      function_ref<void()> walk);
  void emitTileBlock(const Place &place, int64_t rows, const Columns &columns);
  void emitTileTotals(const Place &place, int64_t rows, const Columns &columns);
  /// Writes down what is known of the block whose sums wait, and reads it.
  void setWaiting(const Place &place, int64_t rows);
  Value getWaiting(int64_t fact);
  void emitRemainderRows(const Place &place, const Columns &columns,
                         OpFoldResult lower, OpFoldResult upper);

  // Epilogue.cpp
  bool hasLongEpilogue();
  void forEachSum(const Place &place, int64_t rows, const Columns &columns,
                  function_ref<void(int64_t, OpFoldResult, Value)> body);
  void prefetchWaiting(const Place &place, int64_t rows,
                       const Columns &columns);
  void addWaiting(const Place &place, int64_t rows, const Columns &columns,
                  SmallVectorImpl<Value> &accumulators);
  void storeWaiting(const Place &place, int64_t rows, const Columns &columns,
                    ArrayRef<Value> accumulators);
  void finishRowByRow(const Place &place, int64_t rows, const Columns &columns,
                      MutableArrayRef<Value> accumulators);
  /// Elements of extra operands that are the same for all rows of a block; none
  /// of an operand that moves with the row.
  SmallVector<SmallVector<Value>> loadShared(const Place &place,
                                             const Columns &columns);
  Value loadExtraAt(unsigned x, const Place &place, int64_t row, int64_t vector,
                    const Columns &columns);
  void finish(const Place &place, int64_t rows, const Columns &columns,
              MutableArrayRef<Value> accumulators);
  void finish(const Place &place, int64_t rows, const Columns &columns,
              MutableArrayRef<Value> accumulators,
              ArrayRef<SmallVector<Value>> shared);

  friend struct Reduction;
  friend struct TileReduction;
  friend struct WaitingBlock;

  ContractOp op;
  RewriterBase &rewriter;
  IndexBuilder b;
  InstructionAttrInterface instruction;
  /// The storage of the weights, the one that it is; null where they are dense.
  RowStreamAttr rowStream;
  BitmaskAttr bitmask;
  BlockListAttr blockList;
  BoundedAttr bounded;
  NOfMAttr nOfM;
  CodebookAttr codebook;
  SlotWindowsAttr slotWindows;
  ContractionDims dims;
  int64_t step, lanes;
  bool isInteger;

  FlatView lhs, rhs, out, sums;
  /// Extra operands, then factors.
  SmallVector<FlatView> extras;
  SmallVector<Loop> groups, rows;
  /// One column further, and one panel.
  Loop column, acrossPanels;
  /// Outer to inner; the last is the run, counted in elements.
  SmallVector<Loop> reductions;
  /// Packed rhs elements per reduction step, per panel; vectors of storages
  /// that leave some out; a panel of a block list counts lists.
  OpFoldResult stepStride, panelStride;
  /// A run of two reductions that is not contiguous here: elements per inner
  /// reduction (0: contiguous) and the stride of the outer one.
  int64_t brokenRun = 0;
  OpFoldResult brokenStride;

  /// Where accumulators are left for an epilogue that is long; null where they
  /// stay in registers.
  Value scratch;
  /// Where the sums of a block of tiles wait for the next block, and what is
  /// known of them (see TileBlock.cpp).
  Value tileSums, waiting;
  /// Totals of blocks of the reduction beside `tileSums`.
  Value tileTotals;
  /// Where instructions that take wider elements than lhs has find the rows of
  /// a block, widened once for all columns; null where they are read in place.
  Value stage;
  int64_t stagedLength = 0;

  /// Of a row stream: where the words of a block's rows are staged, the sums of
  /// one panel of columns or of those that wait, a few of them row by row, for
  /// tiles the words of the next entries, and the arrays beside the values.
  Value words, columnSums, rowSums, gathered;
  FlatView offsets, starts; // places of a block list, of slot windows
  /// Of a bitmask: beside `starts`, and where a panel is expanded that several
  /// blocks of rows read; null where there is one.
  FlatView masks;
  /// Of bounded panels: the values of entries.
  FlatView rests;
  /// Of storages of fixed stride: places of vectors, or the table.
  FlatView keys;
  Value expanded;
  /// Where a panel of a right operand is brought into order that lies
  /// otherwise, or is unpacked, and how its elements lie along the sum; null
  /// where it is read in place.
  Value panel;
  OpFoldResult runStride;
  /// The first row of the block, or the first position where lines are one
  /// loop.
  OpFoldResult firstPosition;
  /// The first panel whose sums wait.
  OpFoldResult firstPanel;

  /// Where the sum is cut, whether this is not the first piece and whether it
  /// is the last; null elsewhere.
  Value continues, ends;

  /// What the current task walks: of the outermost group, of the cache-blocked
  /// rows, of the panels.
  Range groupRange, rowRange, panelRange;

  /// i32 zero points as the instruction sees them; null where zero.
  Value lhsZero, rhsZero;
  Value remainderLhsZero;
  /// Number of reduced elements, for the constant term.
  OpFoldResult reducedCount;
};

/// The most elements of a tile's row that divide a run of `length` elements,
/// `step` of which are one step.
int64_t getTileDepth(int64_t length, int64_t step);

/// Generates the loops of one tamis_kernel.pack on memrefs, in front of it;
/// what `isFar` comes from memory rather than from the operation before.
void emitPack(PackOp op, RewriterBase &rewriter, bool isFar = false);

} // namespace mlir::tamis::kernel

#endif // TAMIS_LIB_KERNELS_EMITTER_H
