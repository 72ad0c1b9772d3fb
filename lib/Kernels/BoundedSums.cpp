// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Contractions whose weights are bounded panels (see #tamis.bounded): the steps
// of a sum are added up in 16 bits before they take the width of the
// accumulator, and what the weights are more follows, entry by entry.
#include "Reduction.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::kernel;

/// `count` elements from `element` of the run on. Row by row and vector by
/// vector, so that few narrow sums are alive.
void Reduction::multiplyGroup(Offset lhs, Offset rhs, int64_t element,
                              int64_t count, MutableArrayRef<Value> acc) {
  auto &instruction = e.instruction;
  Location loc = b.getLoc();
  int64_t steps = llvm::divideCeil(count, e.step);
  SmallVector<SmallVector<Value>> weights(steps);
  for (int64_t s = 0; s < steps; ++s)
    for (int64_t j = 0; j < columns.vectors; ++j)
      weights[s].push_back(
          readWeights(move(rhs, run.rhs, b.constant(s)), j, /*upper=*/false));
  for (int64_t r = 0; r < rows; ++r) {
    SmallVector<Value> row;
    for (int64_t s = 0; s < steps; ++s)
      row.push_back(loadStep(lhs, r, element + s * e.step,
                             std::min(e.step, count - s * e.step), Value()));
    for (int64_t j = 0; j < columns.vectors; ++j) {
      Value sum;
      for (int64_t s = 0; s < steps; ++s)
        sum =
            instruction.buildNarrowProduct(b, loc, row[s], weights[s][j], sum);
      Value &total = acc[r * columns.vectors + j];
      total = instruction.buildWiden(b, loc, sum, total);
    }
  }
}

void Reduction::reduceBounded(Offset lhs, Offset rhs,
                              SmallVectorImpl<Value> &acc) {
  if (e.stage)
    lhs = stageRows(lhs);
  int64_t length = *getConstantIntValue(run.extent);
  int64_t steps = e.bounded.getSteps(), group = steps * e.step;
  if (e.brokenRun) {
    for (int64_t k = 0; k < length; k += group)
      multiplyGroup(lhs, move(rhs, run.rhs, b.constant(k / e.step)), k,
                    std::min(group, length - k), acc);
    return;
  }
  OpFoldResult stepLhs = b.multiply(run.lhs, b.constant(e.step));
  OpFoldResult whole = b.constant(length / group * steps);
  carry(b.constant(0), whole, steps, acc,
        [&](Value k, SmallVectorImpl<Value> &inner) {
          multiplyGroup(move(lhs, stepLhs, k), move(rhs, run.rhs, k), 0, group,
                        inner);
        });
  if (int64_t rest = length % group)
    multiplyGroup(move(lhs, stepLhs, whole), move(rhs, run.rhs, whole), 0, rest,
                  acc);
}

/// Where an element of the whole reduction lies in lhs.
OpFoldResult Reduction::findElement(OpFoldResult element) {
  const Loop &inner = e.reductions.back();
  int64_t length = *getConstantIntValue(inner.extent);
  OpFoldResult within = b.remainder(element, length);
  OpFoldResult outer = b.divide(element, length);
  OpFoldResult at =
      e.brokenRun
          ? b.add(b.multiply(e.brokenStride, b.divide(within, e.brokenRun)),
                  b.remainder(within, e.brokenRun))
          : b.multiply(inner.lhs, within);
  for (const Loop &loop : llvm::reverse(ArrayRef(e.reductions).drop_back())) {
    int64_t extent = *getConstantIntValue(loop.extent);
    at = b.add(at, b.multiply(loop.lhs, b.remainder(outer, extent)));
    outer = b.divide(outer, extent);
  }
  return at;
}

/// Reads lhs itself: the stage holds one run.
void Reduction::addRests(Offset lhs, Offset rhs, SmallVectorImpl<Value> &acc) {
  Location loc = b.getLoc();
  auto loadIndex = [&](const FlatView &view, OpFoldResult at) -> Value {
    return arith::IndexCastOp::create(
        b, loc, b.getIndexType(),
        memref::LoadOp::create(b, view.flat, b.value(at)));
  };
  OpFoldResult panel = b.divide(b.value(b.add(rhs.base, b.constant(rhs.known))),
                                *getConstantIntValue(e.panelStride));
  OpFoldResult first = loadIndex(e.starts, panel);
  OpFoldResult last = loadIndex(e.starts, b.add(panel, b.constant(1)));
  int64_t rowElements = e.op.getTile()[1] * e.lanes * e.step;
  Value from = e.lhs.flat;
  Type element = cast<MemRefType>(from.getType()).getElementType();
  carry(first, last, 1, acc, [&](Value entry, SmallVectorImpl<Value> &inner) {
    OpFoldResult place = loadIndex(e.offsets, entry);
    SmallVector<Value> weights;
    for (int64_t j = 0; j < columns.vectors; ++j) {
      Value at = b.value(b.add(b.multiply(entry, b.constant(rowElements)),
                               b.constant(j * e.lanes * e.step)));
      weights.push_back(vector::LoadOp::create(
          b, VectorType::get(e.lanes * e.step, b.getI8Type()), e.rests.flat,
          at));
    }
    auto indexOf = [&](int64_t r, int64_t i) {
      return index(lhs, b.add(findElement(b.add(place, b.constant(i))),
                              b.multiply(e.rows.back().lhs, b.constant(r))));
    };
    for (int64_t r = 0; r < rows; ++r) {
      Value elements;
      if (e.brokenRun) {
        SmallVector<Value> parts;
        for (int64_t i = 0; i < e.step; ++i)
          parts.push_back(memref::LoadOp::create(b, from, indexOf(r, i)));
        elements = vector::FromElementsOp::create(
            b, VectorType::get(e.step, element), parts);
      } else {
        elements = vector::LoadOp::create(b, VectorType::get(e.step, element),
                                          from, indexOf(r, 0));
      }
      Value row =
          e.instruction.buildLhs(b, loc, elements, e.op.getLhsUnsigned());
      for (int64_t j = 0; j < columns.vectors; ++j) {
        Value &sum = inner[r * columns.vectors + j];
        sum = e.instruction.buildMultiplyAccumulate(
            b, loc, row, e.instruction.buildRhs(b, loc, weights[j]), sum);
      }
    }
  });
}
