// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The emitter of --tamis-vectorize-loops, private to its source files: loops
// (VectorizeLoopsEmit.cpp), one iteration (VectorizeLoopsBody.cpp), transposing
// tiles (VectorizeLoopsTranspose.cpp).
#ifndef TAMIS_LIB_TRANSFORMS_VECTORIZELOOPSEMITTER_H
#define TAMIS_LIB_TRANSFORMS_VECTORIZELOOPSEMITTER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "tamis/Transforms/VectorizeNest.h"

namespace mlir::tamis {

/// A body value for all lanes of a strip: the same in each, counting up by one
/// from the first, or a vector.
enum class Form { Uniform, Step, Vector };
struct LaneValue {
  Value value;
  Form form = Form::Uniform;
};

/// `count` vectors of `lanes`, side by side; `mask` guards the only vector.
struct Strip {
  int64_t lanes = 1;
  int64_t count = 1;
  Value mask;
};

using Values = SmallVector<Value>;

class Emitter {
public:
  Emitter(OpBuilder &b, Nest &nest, const VectorTarget &target)
      : b(b), nest(nest), target(target), loc(nest.op.getLoc()),
        outputs(nest.op.getNumDpsInits()) {}

  void emit();

private:
  // Transposition (VectorizeLoopsTranspose.cpp).
  int findTransposedLoop(int loop, int64_t width) const;
  bool isTurned(const Access &access, unsigned loop, unsigned other) const;
  void emitTransposed(unsigned transposedLoop);
  void emitTile(const Values &offsets, unsigned transposedLoop);
  SmallVector<Value> transpose(SmallVector<Value> rows);

  // Deciding.
  void choose();
  double costOf(unsigned loop, int64_t width, bool reduction) const;
  double bodyCost() const;

  // Emitting, from the outside in.
  void emitOuter(unsigned level, Values offsets);
  bool emitTasks(const Values &offsets);
  void emitParallelStrips(const Values &offsets);
  void emitParallelStrip(const Values &offsets, Value iv, Strip strip);
  Values emitReductionLoops(unsigned level, Values offsets, Strip strip,
                            Values accumulators);
  int64_t additionsFrom(unsigned level) const;
  Values neutrals(Strip strip);
  Values addBlock(const Values &sums, const Values &block);
  void emitReducedRow(const Values &offsets);
  Values emitReducedStrips(unsigned level, Values offsets, Values carried);
  Values forStrips(Value extent, Values carried,
                   function_ref<Values(Value, Strip, Values)> body);
  Values forLoop(Value from, Value to, int64_t step, Values carried,
                 function_ref<Values(Value, Values)> body);

  // One iteration.
  Values evaluate(const Values &offsets, int64_t part, const Strip &strip,
                  ValueRange accumulators);
  LaneValue evaluateOp(Operation &op, const Strip &strip, int64_t part,
                       DenseMap<Value, LaneValue> &lanesOf);
  LaneValue load(unsigned access, Value offset, int64_t part,
                 const Strip &strip);
  void store(unsigned access, Value offset, int64_t part, const Strip &strip,
             Value value);
  Value loadStrided(unsigned access, Value at, const Strip &strip);
  Value lanePositions(unsigned access, int64_t lanes);
  Value lookUp(Value table, Value positions);
  Value toVector(LaneValue value, int64_t lanes);
  LaneValue unwritten(const Access &access);

  // Small helpers.
  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(b, loc, value);
  }
  Value add(Value x, Value y) {
    return b.createOrFold<arith::AddIOp>(loc, x, y);
  }
  Value mul(Value x, Value y) {
    return b.createOrFold<arith::MulIOp>(loc, x, y);
  }
  Values advance(const Values &offsets, unsigned loop, Value iv);
  Value partIndex(unsigned access, Value offset, int64_t part,
                  const Strip &strip);
  Value firstLanes(Value count);
  Value counting(Type element);
  /// What linalg.index gives for `loop`, whose counter starts anew per task.
  Value counter(unsigned loop, Value iv) {
    return int(loop) == taskLoop ? add(taskStart, iv) : iv;
  }
  bool isVaryingInside(const Access &access) const;
  unsigned outputAccess(unsigned i) const { return nest.numInputs() + i; }
  Type storedType(const Access &access) {
    return cast<MemRefType>(access.buffer.getType()).getElementType();
  }

  OpBuilder &b;
  Nest &nest;
  const VectorTarget &target;
  Location loc;
  unsigned outputs;
  int vectorLoop = -1;
  bool vectorReduction = false;
  bool maskedTail = false;
  bool sumsInBlocks = false; // long float sums, in blocks for accuracy
  bool tiling = true;        // may transpose
  int64_t lanes = 1, unroll = 1;
  SmallVector<unsigned> outer; // parallel loops around the vector loop
  SmallVector<unsigned> inner; // reduction loops other than the vector loop
  SmallVector<Values> strides; // materialized, per access and loop
  Values extents, ivs;
  int taskLoop = -1;
  Value taskStart;
  Values hoisted;   // per access: scalar loaded ahead of the strips
  Values preloaded; // per access: the vector of the current tile row
};

} // namespace mlir::tamis

#endif // TAMIS_LIB_TRANSFORMS_VECTORIZELOOPSEMITTER_H
