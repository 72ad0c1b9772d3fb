// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Brings operands to the instruction: broadcasts of lhs elements (whole steps,
// partial steps, channel vectors of depthwise contractions), loads of packed or
// strided weights, and the reduction loops that carry the accumulators.
#include "Reduction.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "tamis/Kernels/Tiling.h"
#include "tamis/Target/Target.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::kernel;

/// Multiply-accumulates one straight line of code may hold.
static constexpr int64_t kUnrolledProducts = 112;
/// Narrow sums of so many vectors are added up in a loop of two steps: in a
/// straight line LLVM adds products up among each other before, which takes
/// registers that the sums need.
static constexpr int64_t kLoopedProducts = 4;
/// Taps of a depthwise contraction that are unrolled together.
static constexpr int64_t kUnrolledTaps = 32;

int64_t Reduction::chooseWays(Emitter &e, int64_t rows, int64_t vectors) {
  // Whether a row's panel is one of several or not, its sums are the same.
  int64_t panels = rows <= e.getFewRows() ? e.countFar() : 1;
  int64_t products = rows * std::max(vectors, panels * e.op.getTile()[1]);
  auto steps = getConstantIntValue(e.reductions.back().extent);
  if (products > kFewProducts || e.isInteger || e.dims.depthwise ||
      (e.step != 1 && !e.nOfM) || !steps || *steps < 32 || isStrict(e.op))
    return 1;
  return 8 / products;
}

Value Reduction::index(Offset offset, OpFoldResult more) {
  OpFoldResult at = offset.base;
  int64_t known = offset.known;
  if (more) {
    if (auto constant = getConstantIntValue(more))
      known += *constant;
    else
      at = b.add(at, more);
  }
  return b.value(b.add(at, b.constant(known)));
}

Value Reduction::makeOnes(int64_t begin, int64_t end) {
  Type element = cast<MemRefType>(e.op.getRhs().getType()).getElementType();
  SmallVector<Attribute> values;
  for (int64_t lane = 0; lane < e.lanes; ++lane)
    for (int64_t s = 0; s < e.step; ++s)
      values.push_back(
          b.getIntegerAttr(element, s >= begin && s < end ? 1 : 0));
  auto type = VectorType::get(e.lanes * e.step, element);
  Value one =
      arith::ConstantOp::create(b, DenseElementsAttr::get(type, values));
  return e.instruction.buildRhs(b, b.getLoc(), one);
}

Value Reduction::loadWeights(Offset rhs, int64_t j) {
  auto element = cast<MemRefType>(e.rhs.flat.getType()).getElementType();
  auto type = VectorType::get(e.lanes * e.step, element);
  Value at = index(rhs, e.vectorOffset(columns, j, b.constant(e.lanes * e.step),
                                       e.acrossPanels.rhs));
  if (e.panel)
    return vector::LoadOp::create(b, type, e.panel, at);
  // Packed panels are whole; what lies beyond unpacked columns is not ours.
  if (!e.op.getPacked() && columns.masks[j]) {
    Value zero = arith::ConstantOp::create(b, b.getZeroAttr(type));
    return vector::MaskedLoadOp::create(b, type, e.rhs.flat, at,
                                        columns.masks[j], zero);
  }
  if (rows > 1 && e.asksAhead())
    askForNextPanel(rhs, j);
  return vector::LoadOp::create(b, type, e.rhs.flat, at);
}

/// Asks L2 for what the next panel has where vector `j` of this one lies.
void Reduction::askForNextPanel(Offset rhs, int64_t j) {
  constexpr int64_t kLine = 64;
  auto element = cast<MemRefType>(e.rhs.flat.getType()).getElementType();
  int64_t bytes = e.lanes * e.step * element.getIntOrFloatBitWidth() / 8;
  if (j * bytes % kLine != 0)
    return;
  Value next =
      index(rhs, b.add(e.acrossPanels.rhs, b.constant(j * e.lanes * e.step)));
  memref::PrefetchOp::create(b, e.rhs.flat, next, /*isWrite=*/false,
                             /*localityHint=*/2, /*isDataCache=*/true);
}

Value Reduction::readWeights(Offset rhs, int64_t j, bool upper) {
  if (e.bitmask)
    return e.instruction.buildRhs(b, b.getLoc(), expandWeights(rhs, j));
  if (e.nOfM)
    return selectWeights(rhs, j);
  Value loaded = loadWeights(rhs, j);
  if (e.codebook)
    return e.instruction.buildRhs(b, b.getLoc(), lookUp(loaded, upper));
  if (!e.hasNibbles())
    return e.instruction.buildRhs(b, b.getLoc(), loaded);
  // Both steps load the bytes; one load is left of it.
  if (Value half = e.instruction.buildNibbles(b, b.getLoc(), loaded, upper))
    return half;
  auto splat = [&](int64_t value) -> Value {
    return arith::ConstantOp::create(
        b, DenseElementsAttr::get(cast<ShapedType>(loaded.getType()),
                                  b.getI8IntegerAttr(value)));
  };
  Value half = upper ? arith::ShRUIOp::create(b, loaded, splat(4)).getResult()
                     : arith::AndIOp::create(b, loaded, splat(15));
  return e.instruction.buildRhs(b, b.getLoc(), half);
}

void Reduction::narrowSums() {
  if (e.op.getNibbles() && e.instruction.getNarrowSteps() > 0)
    narrow.assign(rows * columns.vectors + (ones ? rows : 0), Value());
}

void Reduction::widenSums(MutableArrayRef<Value> acc) {
  for (auto [sum, partial] : llvm::zip(acc, narrow))
    sum = e.instruction.buildWiden(b, b.getLoc(), partial, sum);
  narrow.clear();
}

Value Reduction::loadChannels(Offset lhs, int64_t r, int64_t j) {
  OpFoldResult more = b.add(rowOffsets[r], b.constant(j * e.lanes));
  auto constant = getConstantIntValue(more);
  Value *cached = nullptr;
  if (constant && isa<Value>(lhs.base)) {
    cached = &loaded[{cast<Value>(lhs.base), lhs.known + *constant}];
    if (*cached)
      return *cached;
  }
  auto element = cast<MemRefType>(e.lhs.flat.getType()).getElementType();
  auto type = VectorType::get(e.lanes, element);
  Value at = index(lhs, more), value;
  if (columns.masks[j]) {
    Value zero = arith::ConstantOp::create(b, b.getZeroAttr(type));
    value = vector::MaskedLoadOp::create(b, type, e.lhs.flat, at,
                                         columns.masks[j], zero);
  } else {
    value = vector::LoadOp::create(b, type, e.lhs.flat, at);
  }
  if (e.step == 1)
    value = e.instruction.buildLhs(b, b.getLoc(), value, e.op.getLhsUnsigned());
  if (cached)
    *cached = value;
  return value;
}

Value Reduction::loadStep(Offset lhs, int64_t r, int64_t element, int64_t count,
                          Value remaining) {
  OpFoldResult stride = run.lhs;
  auto offsetOf = [&](int64_t i) {
    OpFoldResult offset =
        e.brokenRun ? b.add(b.multiply(e.brokenStride,
                                       b.constant((element + i) / e.brokenRun)),
                            b.constant((element + i) % e.brokenRun))
                    : b.multiply(stride, b.constant(element + i));
    return b.add(rowOffsets[r], offset);
  };
  bool isWhole = count == e.step && !remaining;
  bool isContiguous =
      e.step == 1 || !e.brokenRun ||
      element / e.brokenRun == (element + count - 1) / e.brokenRun;
  Type type = cast<MemRefType>(source.getType()).getElementType();
  Value elements;
  if (e.step == 1) {
    elements = memref::LoadOp::create(b, source, index(lhs, offsetOf(0)));
  } else if (isWhole && isContiguous) {
    elements = vector::LoadOp::create(b, VectorType::get(e.step, type), source,
                                      index(lhs, offsetOf(0)));
  } else {
    Value zero = arith::ConstantOp::create(b, b.getZeroAttr(type));
    SmallVector<Value> parts(e.step, zero);
    for (int64_t i = 0; i < count; ++i) {
      Value at = index(lhs, offsetOf(i));
      if (!remaining || i == 0) {
        parts[i] = memref::LoadOp::create(b, source, at);
        continue;
      }
      // Beyond the end, read the first element again and drop it.
      Value inside = arith::CmpIOp::create(b, arith::CmpIPredicate::ult,
                                           b.value(b.constant(i)), remaining);
      Value first = index(lhs, offsetOf(0));
      Value value = memref::LoadOp::create(
          b, source, arith::SelectOp::create(b, inside, at, first).getResult());
      parts[i] = arith::SelectOp::create(b, inside, value, zero);
    }
    elements =
        vector::FromElementsOp::create(b, VectorType::get(e.step, type), parts);
  }
  // Staged bytes have their offset.
  return e.instruction.buildLhs(b, b.getLoc(), elements,
                                e.stage || e.op.getLhsUnsigned());
}

void Reduction::multiplyStep(Offset lhs, Offset rhs, int64_t element,
                             int64_t count, MutableArrayRef<Value> acc,
                             Value remaining, Value stepOnes) {
  auto &instruction = e.instruction;
  bool upper = element / e.step % 2 != 0;
  SmallVector<Value> weights;
  // Those of a single row are read one by one where they are needed.
  auto readOneMore = [&] {
    weights.push_back(readWeights(rhs, weights.size(), upper));
  };
  for (int64_t j = 0; rows > 1 && j < columns.vectors; ++j)
    readOneMore();
  if (ones && !stepOnes)
    stepOnes = count == e.step ? ones : makeOnes(0, count);
  int64_t sumsAt = rows * columns.vectors;
  int64_t sumsPerRow = e.dims.depthwise ? columns.vectors : 1;
  auto add = [&](int64_t at, Value row, Value weight) {
    if (narrow.empty())
      acc[at] = instruction.buildMultiplyAccumulate(b, b.getLoc(), row, weight,
                                                    acc[at]);
    else
      narrow[at] = instruction.buildNarrowProduct(b, b.getLoc(), row, weight,
                                                  narrow[at]);
  };
  for (int64_t r = 0; r < rows; ++r) {
    Value row = e.dims.depthwise ? Value()
                                 : loadStep(lhs, r, element, count, remaining);
    for (int64_t j = 0; j < columns.vectors; ++j) {
      if (e.dims.depthwise) {
        Offset at = lhs;
        if (auto stride = getConstantIntValue(run.lhs))
          at.known += element * *stride;
        else
          at.base = b.add(at.base, b.multiply(run.lhs, b.constant(element)));
        row = loadChannels(at, r, j);
      }
      if (rows == 1)
        readOneMore();
      add(r * columns.vectors + j, row, weights[j]);
      if (ones && j < sumsPerRow)
        add(sumsAt + r * sumsPerRow + j, row, stepOnes);
    }
  }
}

void Reduction::carry(
    OpFoldResult lower, OpFoldResult upper, int64_t by,
    SmallVectorImpl<Value> &acc,
    function_ref<void(Value, SmallVectorImpl<Value> &)> body) {
  loaded.clear();
  if (unit)
    acc.push_back(unit);
  b.carry(lower, upper, by, acc, [&](Value i, SmallVectorImpl<Value> &inner) {
    if (unit)
      unit = inner.pop_back_val();
    body(i, inner);
    if (unit)
      inner.push_back(unit);
  });
  if (unit)
    unit = acc.pop_back_val();
  loaded.clear();
}

Reduction::Offset Reduction::move(Offset offset, OpFoldResult stride,
                                  OpFoldResult by) {
  OpFoldResult distance = b.multiply(stride, by);
  if (auto known = getConstantIntValue(distance))
    offset.known += *known;
  else
    offset.base = b.add(offset.base, distance);
  return offset;
}

void Reduction::reduceRun(Offset lhs, Offset rhs, SmallVectorImpl<Value> &acc) {
  if (e.dims.depthwise && e.step > 1)
    return multiplyWindow(lhs, rhs, acc);
  if (e.dims.depthwise && succeeded(multiplyPositions(lhs, rhs, acc)))
    return;
  if (e.bounded)
    return reduceBounded(lhs, rhs, acc);
  if (e.slotWindows)
    return reduceSlots(lhs, rhs, acc);
  if (e.stage)
    lhs = stageRows(lhs);
  int64_t products = rows * columns.vectors;
  OpFoldResult steps = b.divide(run.extent, e.step);
  OpFoldResult rest = b.remainder(run.extent, e.step);
  auto knownSteps = getConstantIntValue(steps);
  int64_t unroll = std::clamp<int64_t>(kUnrolledProducts / products, 1, 8);
  // LLVM adds the products of several steps up first, which takes registers
  // that the accumulators of a large block need.
  if (e.stage && products > 6)
    unroll = 1;
  if (knownSteps) {
    // Prefer a divisor, so that no steps are left over.
    for (int64_t u = unroll; u > 1 && u * 2 > unroll; --u)
      if (*knownSteps % u == 0) {
        unroll = u;
        break;
      }
    if (*knownSteps <= unroll ||
        (e.dims.depthwise && *knownSteps <= kUnrolledTaps) || e.brokenRun)
      unroll = *knownSteps;
  }
  // Expansions of several steps would be moved among each other until registers
  // run out.
  if (unit && ways == 1)
    unroll = 1;
  int64_t stepsPerByte = e.hasNibbles() ? 2 : 1;
  unroll = llvm::alignTo(unroll, stepsPerByte);
  if (int64_t most = e.instruction.getNarrowSteps(); most && e.op.getNibbles())
    unroll = std::min(most, *knownSteps);
  OpFoldResult stepLhs = b.multiply(run.lhs, b.constant(e.step));
  auto straight = [&](Offset l, Offset r, int64_t count,
                      MutableArrayRef<Value> values) {
    for (int64_t u = 0; u < count; ++u) {
      int64_t at = u / stepsPerByte * stepsPerByte;
      multiplyStep(l, move(r, run.rhs, b.constant(at)), u * e.step, e.step,
                   ways == 1 ? values
                             : values.slice(u % ways * products, products));
    }
  };
  auto line = [&](Offset l, Offset r, int64_t count,
                  MutableArrayRef<Value> values) {
    narrowSums();
    if (narrow.empty() || products < kLoopedProducts) {
      straight(l, r, count, values);
    } else {
      straight(l, r, 2, values);
      carry(b.constant(2), b.constant(count), 2, narrow,
            [&](Value k, SmallVectorImpl<Value> &inner) {
              narrow.swap(inner);
              straight(move(l, stepLhs, k), move(r, run.rhs, k), 2, values);
              narrow.swap(inner);
            });
    }
    widenSums(values);
  };
  OpFoldResult done = b.constant(0);
  if (knownSteps && *knownSteps == unroll) {
    line(lhs, rhs, unroll, acc);
    done = steps;
  } else {
    OpFoldResult end = b.subtract(steps, b.remainder(steps, unroll));
    carry(done, end, unroll, acc, [&](Value k, SmallVectorImpl<Value> &inner) {
      line(move(lhs, stepLhs, k), move(rhs, run.rhs, k), unroll, inner);
    });
    done = end;
    if (knownSteps) {
      if (int64_t left = *knownSteps - *getConstantIntValue(done))
        line(move(lhs, stepLhs, done), move(rhs, run.rhs, done), left, acc);
    } else if (unroll > 1) {
      carry(done, steps, 1, acc, [&](Value k, SmallVectorImpl<Value> &inner) {
        line(move(lhs, stepLhs, k), move(rhs, run.rhs, k), 1, inner);
      });
    }
  }
  if (auto known = getConstantIntValue(rest)) {
    if (*known == 0)
      return;
    if (e.brokenRun)
      return multiplyStep(lhs, move(rhs, run.rhs, steps), *knownSteps * e.step,
                          *known, acc);
    return multiplyStep(move(lhs, stepLhs, steps), move(rhs, run.rhs, steps), 0,
                        *known, acc);
  }
  reducePartial(move(lhs, stepLhs, steps), move(rhs, run.rhs, steps),
                b.value(rest), acc);
}

void Reduction::reducePartial(Offset lhs, Offset rhs, Value rest,
                              SmallVectorImpl<Value> &acc) {
  Value any = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, rest,
                                    b.value(b.constant(0)));
  auto branch = scf::IfOp::create(b, ValueRange(acc).getTypes(), any,
                                  /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(b, acc);
  b.setInsertionPointToStart(branch.thenBlock());
  SmallVector<Value> inner(acc.begin(), acc.end());
  Value stepOnes;
  if (ones) {
    Type element = cast<MemRefType>(e.op.getRhs().getType()).getElementType();
    Value zero = arith::ConstantOp::create(b, b.getZeroAttr(element));
    Value one = arith::ConstantOp::create(b, b.getIntegerAttr(element, 1));
    SmallVector<Value> parts;
    for (int64_t s = 0; s < e.step; ++s) {
      Value inside = arith::CmpIOp::create(b, arith::CmpIPredicate::ult,
                                           b.value(b.constant(s)), rest);
      parts.push_back(arith::SelectOp::create(b, inside, one, zero));
    }
    SmallVector<Value> all;
    for (int64_t lane = 0; lane < e.lanes; ++lane)
      all.append(parts);
    Value weights = vector::FromElementsOp::create(
        b, VectorType::get(e.lanes * e.step, element), all);
    stepOnes = e.instruction.buildRhs(b, b.getLoc(), weights);
  }
  multiplyStep(lhs, rhs, 0, e.step, inner, rest, stepOnes);
  scf::YieldOp::create(b, inner);
  acc.assign(branch.getResults().begin(), branch.getResults().end());
}

void Reduction::reduceLevel(unsigned level, Offset lhs, Offset rhs,
                            SmallVectorImpl<Value> &acc) {
  if (level + 1 == e.reductions.size())
    return reduceRun(lhs, rhs, acc);
  if (e.blockList && level + 2 == e.reductions.size())
    return e.walkBlocks(b.add(lhs.base, b.constant(lhs.known)),
                        b.add(rhs.base, b.constant(rhs.known)), acc,
                        [&](OpFoldResult rows, OpFoldResult weights,
                            SmallVectorImpl<Value> &inner) {
                          reduceRun({rows}, {weights}, inner);
                        });
  const Loop &loop = e.reductions[level];
  int64_t taps = 1;
  for (const Loop &inner : ArrayRef(e.reductions).drop_front(level)) {
    auto extent = getConstantIntValue(inner.extent);
    taps = extent ? taps * *extent : kUnrolledTaps + 1;
  }
  auto extent = getConstantIntValue(loop.extent);
  if (extent && e.dims.depthwise && taps <= kUnrolledTaps) {
    for (int64_t i = 0; i < *extent; ++i)
      reduceLevel(level + 1, move(lhs, loop.lhs, b.constant(i)),
                  move(rhs, loop.rhs, b.constant(i)), acc);
    return;
  }
  carry(b.constant(0), loop.extent, 1, acc,
        [&](Value i, SmallVectorImpl<Value> &inner) {
          reduceLevel(level + 1, move(lhs, loop.lhs, i), move(rhs, loop.rhs, i),
                      inner);
        });
}

SmallVector<Value> Reduction::sumUp(unsigned level, Offset lhs, Offset rhs) {
  auto type = VectorType::get(e.lanes, e.op.getAccumulator());
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(type));
  SmallVector<Value> acc;
  for (int64_t r = 0; r < rows; ++r)
    acc.append(columns.initial.begin(), columns.initial.end());
  if (e.rhsZero)
    acc.append(rows * (e.dims.depthwise ? columns.vectors : 1), zero);
  int64_t own = acc.size();
  acc.append((ways - 1) * own, zero);
  if (e.codebook)
    table = loadTable();
  if (e.bitmask && !e.expanded)
    unit = e.findUnit(rhs.base);
  reduceLevel(level, lhs, rhs, acc);
  if (e.bounded)
    addRests(lhs, rhs, acc);
  for (int64_t half = acc.size() / 2; half >= own; half /= 2) {
    for (int64_t i = 0; i < half; ++i)
      acc[i] = arith::AddFOp::create(b, acc[i], acc[i + half]);
    acc.resize(half);
  }
  if (!e.rhsZero)
    return acc;
  Value factor = vector::BroadcastOp::create(b, type, e.rhsZero);
  int64_t products = rows * columns.vectors;
  for (int64_t i = 0; i < products; ++i) {
    Value rowSum = acc[products + (e.dims.depthwise ? i : i / columns.vectors)];
    acc[i] = arith::SubIOp::create(b, acc[i],
                                   arith::MulIOp::create(b, rowSum, factor));
  }
  acc.resize(products);
  return acc;
}

SmallVector<Value> Emitter::reduce(const Place &place, int64_t count,
                                   const Columns &columns) {
  Reduction reduction(*this, columns, count);
  if (op.getBlock())
    return reduceBlocks(reduction, place, columns);
  return reduction.sumUp(0, {OpFoldResult(b.value(place.lhs))},
                         {OpFoldResult(b.value(place.rhs))});
}
