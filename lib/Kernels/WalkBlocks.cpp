// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Contractions whose weights are a block list (see #tamis.block_list). The
// innermost reduction of the dense kernel becomes two: a walk over the list of
// a panel, which says where the rows of each stored block lie, and the block,
// which is a short dense run. Offsets of weights count lists outside of that
// walk, elements inside, so that register blocks of vectors and of tiles need
// nothing else.
#include "Emitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::kernel;

Loop Emitter::splitRun(Loop &run) {
  int64_t elements = blockList.getSteps() * step;
  Loop list = run;
  list.extent = b.divide(run.extent, elements);
  list.lhs = b.multiply(run.lhs, b.constant(elements));
  list.rhs = b.multiply(run.rhs, b.constant(blockList.getSteps()));
  run.extent = b.constant(elements);
  return list;
}

void Emitter::walkBlocks(
    OpFoldResult lhs, OpFoldResult list, SmallVectorImpl<Value> &values,
    function_ref<void(OpFoldResult, OpFoldResult, SmallVectorImpl<Value> &)>
        body) {
  const Loop &loop = reductions[reductions.size() - 2];
  auto load = [&](const FlatView &view, OpFoldResult at) -> Value {
    Value index = memref::LoadOp::create(b, view.flat, b.value(at));
    return arith::IndexCastOp::create(b, b.getIndexType(), index);
  };
  OpFoldResult first = load(starts, list);
  OpFoldResult last = load(starts, b.add(list, b.constant(1)));
  b.carry(first, last, 1, values,
          [&](Value block, SmallVectorImpl<Value> &inner) {
            Value place = load(offsets, block);
            body(b.add(lhs, b.multiply(loop.lhs, place)),
                 b.multiply(loop.rhs, block), inner);
          });
}
