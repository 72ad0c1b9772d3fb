// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From Nest to loops: choose the vector loop by a small cost model, then emit
// strips of whole vectors, unrolled, with a masked or scalar tail. A strip of
// one lane is plain scalar code, so both kinds share every line.
#include "VectorizeLoopsEmitter.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::tamis;

/// The error of a float sum grows with the additions one accumulator takes:
/// longer sums add up the sums of blocks of this length.
constexpr int64_t kSumBlock = 128;

//===-- deciding ----------------------------------------------------------===//

double Emitter::bodyCost() const {
  double cost = 0;
  for (Operation &op : nest.body()) {
    if (isa<arith::ConstantOp, linalg::IndexOp, linalg::YieldOp>(op))
      continue;
    bool isMath = op.getName().getDialectNamespace() == "math";
    cost += isMath ? 16 : isa<arith::DivFOp, arith::RemFOp>(op) ? 5 : 1;
  }
  return cost;
}

/// Estimated cost of one iteration if `loop` runs over vectors of `width`.
double Emitter::costOf(unsigned loop, int64_t width, bool reduction) const {
  const Product &extent = nest.loops[loop].extent;
  double filled = width;
  if (extent.isStatic()) {
    int64_t n = std::max<int64_t>(extent.factor, 1);
    double steps =
        target.masks ? llvm::divideCeil(n, width) : n / width + n % width;
    filled = n / steps;
  }
  double cost = bodyCost() / filled;
  bool sums = nest.hasReductionLoops();
  int turned = findTransposedLoop(loop, width);
  for (auto [i, access] : llvm::enumerate(nest.accesses)) {
    if (!access.buffer)
      continue;
    const Product &stride = access.strides[loop];
    double weight = access.written && sums ? 0.1 : 1;
    if (stride.isZero())
      cost += isVaryingInside(access) ? 0.3 * weight / filled : 0;
    else if (stride.isOne())
      cost += weight / filled;
    else if (turned >= 0 && isTurned(access, loop, turned))
      cost += 0.5;
    else if (stride.isStatic() && stride.factor > 0 && stride.factor <= 4 &&
             !access.written)
      cost += 2 * stride.factor * weight / filled;
    else
      cost += (access.written ? 4 : 2.5) * weight;
  }
  if (reduction && extent.isStatic())
    cost += 8.0 / std::max<int64_t>(extent.factor, 1);
  return cost;
}

bool Emitter::isVaryingInside(const Access &access) const {
  for (auto [loop, stride] : llvm::zip(nest.loops, access.strides))
    if (loop.reduction && !stride.isZero())
      return true;
  return false;
}

void Emitter::choose() {
  bool reducible = true, rounds = false;
  for (unsigned i = 0; i < outputs; ++i) {
    std::optional<Reduction> reduction = nest.getReduction(i);
    reducible &= reduction.has_value();
    rounds |= reduction && !reduction->reassociable &&
              isa<FloatType>(reduction->combiner->getResult(0).getType());
  }
  bool ordered = rounds && target.strict;
  sumsInBlocks = reducible && rounds && !target.strict;
  int64_t widest = target.bits / getWidestBits(nest.body());
  double best = bodyCost();
  for (const Access &access : nest.accesses)
    best += access.buffer ? 1 : 0;
  for (unsigned l = 0; l < nest.loops.size(); ++l) {
    bool reduction = nest.loops[l].reduction;
    if (reduction && (!reducible || ordered))
      continue;
    const Product &extent = nest.loops[l].extent;
    int64_t width = widest;
    if (extent.isStatic()) {
      int64_t n = std::max<int64_t>(extent.factor, 1);
      width = std::min<int64_t>(widest, target.masks
                                            ? llvm::PowerOf2Ceil(n)
                                            : llvm::bit_floor<uint64_t>(n));
    }
    if (width < 2)
      continue;
    double cost = costOf(l, width, reduction);
    if (cost >= best)
      continue;
    best = cost;
    vectorLoop = l;
    vectorReduction = reduction;
    lanes = width;
  }

  for (unsigned l = 0; l < nest.loops.size(); ++l)
    if (int(l) != vectorLoop)
      (nest.loops[l].reduction ? inner : outer).push_back(l);
  // Walk the output in memory order; unknown strides are the large ones.
  const Access &output = nest.accesses[outputAccess(0)];
  auto weight = [&](unsigned l) {
    const Product &stride = output.strides[l];
    return std::pair(stride.symbols.size(), stride.factor);
  };
  llvm::stable_sort(
      outer, [&](unsigned x, unsigned y) { return weight(x) > weight(y); });
  if (vectorLoop < 0)
    return;

  double body = bodyCost();
  unroll = body <= 8 ? 4 : body <= 40 ? 2 : 1;
  const Product &extent = nest.loops[vectorLoop].extent;
  if (extent.isStatic())
    unroll =
        std::clamp<int64_t>(llvm::divideCeil(extent.factor, lanes), 1, unroll);
  maskedTail = target.masks;
  // Lanes behind the end must not be loaded one by one.
  for (Operation &op : nest.body())
    maskedTail &= !isa<memref::LoadOp>(op);
  for (const Access &access : nest.accesses) {
    if (!access.buffer)
      continue;
    const Product &stride = access.strides[vectorLoop];
    if (!stride.isZero() && !stride.isOne())
      maskedTail &= access.element.isIntOrFloat() &&
                    access.element.getIntOrFloatBitWidth() >= 32;
  }
}

//===-- loops -------------------------------------------------------------===//

Values Emitter::advance(const Values &offsets, unsigned loop, Value iv) {
  Values result = offsets;
  for (auto [i, access] : llvm::enumerate(nest.accesses))
    if (access.buffer && !access.strides[loop].isZero())
      result[i] = add(result[i], mul(iv, strides[i][loop]));
  return result;
}

/// Iterations of a sum that are written out, as the windows of pools.
static constexpr int64_t kUnrolledSum = 4;

/// A counted loop; none is built if it runs at most once, or a few times to
/// update `carried` at little cost.
Values Emitter::forLoop(Value from, Value to, int64_t step, Values carried,
                        function_ref<Values(Value, Values)> body) {
  std::optional<int64_t> first = getConstantIntValue(from);
  std::optional<int64_t> last = getConstantIntValue(to);
  if (first && last && *first >= *last)
    return carried;
  if (first && last && *first + step >= *last)
    return body(from, carried);
  if (first && last && step == 1 && !carried.empty() &&
      *last - *first <= kUnrolledSum && bodyCost() <= 8) {
    for (int64_t i = *first; i < *last; ++i)
      carried = body(index(i), carried);
    return carried;
  }
  auto loop = scf::ForOp::create(b, loc, from, to, index(step), carried);
  OpBuilder::InsertionGuard guard(b);
  if (carried.empty())
    b.setInsertionPoint(loop.getBody()->getTerminator());
  else
    b.setInsertionPointToStart(loop.getBody());
  Values yielded =
      body(loop.getInductionVar(), Values(loop.getRegionIterArgs()));
  if (!carried.empty())
    scf::YieldOp::create(b, loc, yielded);
  return Values(loop.getResults());
}

/// The mask whose first `count` lanes are set.
Value Emitter::firstLanes(Value count) {
  if (std::optional<int64_t> known = getConstantIntValue(count)) {
    SmallVector<bool> bits(lanes);
    for (int64_t l = 0; l < lanes; ++l)
      bits[l] = l < *known;
    return arith::ConstantOp::create(b, loc, b.getBoolVectorAttr(bits));
  }
  auto type = VectorType::get({lanes}, b.getI32Type());
  Value narrow = arith::IndexCastOp::create(b, loc, b.getI32Type(), count);
  return arith::CmpIOp::create(
      b, loc, arith::CmpIPredicate::slt, counting(b.getI32Type()),
      vector::BroadcastOp::create(b, loc, type, narrow));
}

/// The constant 0, 1, 2, … in as many lanes as a strip has.
Value Emitter::counting(Type element) {
  auto type = VectorType::get({lanes}, element);
  SmallVector<Attribute> values;
  for (int64_t l = 0; l < lanes; ++l)
    values.push_back(b.getIntegerAttr(element, l));
  return arith::ConstantOp::create(b, loc, type,
                                   DenseElementsAttr::get(type, values));
}

/// Covers [0, extent) with strips: unrolled ones, single vectors, the tail.
Values Emitter::forStrips(Value extent, Values carried,
                          function_ref<Values(Value, Strip, Values)> body) {
  auto run = [&](Value from, Value to, Strip strip) {
    carried = forLoop(from, to, strip.lanes * strip.count, carried,
                      [&](Value iv, Values c) { return body(iv, strip, c); });
  };
  if (std::optional<int64_t> n = getConstantIntValue(extent)) {
    int64_t tail = *n % lanes, whole = *n - tail;
    int64_t main = whole - whole % (lanes * unroll);
    run(index(0), index(main), {lanes, unroll, {}});
    if (main != whole)
      run(index(main), index(whole), {lanes, (whole - main) / lanes, {}});
    if (tail == 0)
      return carried;
    if (!maskedTail) {
      run(index(whole), extent, {1, 1, {}});
      return carried;
    }
    return body(index(whole), {lanes, 1, firstLanes(index(tail))}, carried);
  }
  auto roundDown = [&](int64_t step) {
    Value rest = arith::RemUIOp::create(b, loc, extent, index(step));
    return arith::SubIOp::create(b, loc, extent, rest).getResult();
  };
  Value main = roundDown(lanes * unroll), whole = main;
  run(index(0), main, {lanes, unroll, {}});
  if (unroll > 1) {
    whole = roundDown(lanes);
    run(main, whole, {lanes, 1, {}});
  }
  if (!maskedTail) {
    run(whole, extent, {1, 1, {}});
    return carried;
  }
  return forLoop(whole, extent, lanes, carried, [&](Value iv, Values c) {
    Value left = arith::SubIOp::create(b, loc, extent, iv);
    return body(iv, {lanes, 1, firstLanes(left)}, c);
  });
}

void Emitter::emit() {
  choose();
  Values offsets;
  for (Access &access : nest.accesses) {
    offsets.push_back(access.base);
    Values row;
    for (const Product &stride : access.strides)
      row.push_back(access.buffer ? nest.materialize(b, stride) : Value());
    strides.push_back(row);
  }
  for (const NestLoop &loop : nest.loops)
    extents.push_back(nest.materialize(b, loop.extent));
  ivs.resize(nest.loops.size());
  hoisted.resize(nest.accesses.size());
  preloaded.resize(nest.accesses.size());
  int transposedLoop = findTransposedLoop(vectorLoop, lanes);
  if (transposedLoop >= 0)
    return emitTransposed(transposedLoop);
  if (!emitTasks(offsets))
    emitOuter(0, offsets);
}

/// Splits a parallel loop into tasks if the work is worth it: the outermost
/// that gives every thread an iteration.
bool Emitter::emitTasks(const Values &offsets) {
  if (target.threads <= 1)
    return false;
  for (unsigned l : outer) {
    const Product &extent = nest.loops[l].extent;
    if (extent.isStatic() && extent.factor < target.threads)
      continue;
    llvm::erase(outer, l);
    outer.insert(outer.begin(), l);
    break;
  }
  int split = !outer.empty()    ? int(outer[0])
              : vectorReduction ? -1
                                : vectorLoop;
  if (split < 0 || nest.op->getParentOfType<scf::ForallOp>() ||
      nest.op->getParentOfType<scf::ForOp>())
    return false;
  std::optional<double> work = (bodyCost() + nest.accesses.size()) / lanes;
  for (const NestLoop &loop : nest.loops) {
    if (loop.extent.isStatic() && work)
      *work *= loop.extent.factor;
    else
      work = std::nullopt;
  }
  int64_t tasks = target.tasksFor(work);
  const Product &extent = nest.loops[split].extent;
  int64_t unit = split == vectorLoop ? lanes * unroll : 1;
  if (extent.isStatic())
    tasks = std::min<int64_t>(tasks, extent.factor / unit);
  if (tasks < 2)
    return false;
  // Tasks of equal whole units; the last one takes what is left.
  Value whole = extents[split];
  Value share =
      b.createOrFold<arith::CeilDivUIOp>(loc, whole, index(tasks * unit));
  share = mul(share, index(unit));
  auto forall = scf::ForallOp::create(
      b, loc, ArrayRef<OpFoldResult>{b.getIndexAttr(tasks)}, ValueRange(),
      std::nullopt);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(forall.getTerminator());
  Value start = mul(forall.getInductionVars()[0], share);
  start = arith::MinUIOp::create(b, loc, start, whole);
  Value left = arith::SubIOp::create(b, loc, whole, start);
  extents[split] = arith::MinUIOp::create(b, loc, left, share);
  taskStart = start;
  taskLoop = split;
  emitOuter(0, advance(offsets, split, start));
  return true;
}

void Emitter::emitOuter(unsigned level, Values offsets) {
  if (level == outer.size()) {
    // Operands that stand still from here on are read once. This does not
    // leave it to LLVM, which would have to prove that no store hits them.
    for (auto [i, access] : llvm::enumerate(nest.accesses)) {
      hoisted[i] = access.scalar;
      bool still = access.buffer && access.read && !access.written &&
                   !isVaryingInside(access) &&
                   (vectorLoop < 0 || access.strides[vectorLoop].isZero());
      if (still)
        hoisted[i] = load(i, offsets[i], 0, Strip()).value;
    }
    return vectorReduction ? emitReducedRow(offsets)
                           : emitParallelStrips(offsets);
  }
  unsigned l = outer[level];
  forLoop(index(0), extents[l], 1, {}, [&](Value iv, Values) {
    ivs[l] = counter(l, iv);
    emitOuter(level + 1, advance(offsets, l, iv));
    return Values();
  });
}

/// Stands for an output's earlier content where the body does not read it.
LaneValue Emitter::unwritten(const Access &access) {
  return {ub::PoisonOp::create(b, loc, access.element), Form::Uniform};
}

void Emitter::emitParallelStrips(const Values &offsets) {
  if (vectorLoop < 0)
    return emitParallelStrip(offsets, Value(), Strip());
  forStrips(extents[vectorLoop], {}, [&](Value iv, Strip strip, Values) {
    emitParallelStrip(offsets, iv, strip);
    return Values();
  });
}

void Emitter::emitParallelStrip(const Values &start, Value iv, Strip strip) {
  Values offsets = start;
  if (vectorLoop >= 0) {
    ivs[vectorLoop] = counter(vectorLoop, iv);
    offsets = advance(start, vectorLoop, iv);
  }
  Values accumulators;
  for (int64_t part = 0; part < strip.count; ++part)
    for (unsigned i = 0; i < outputs; ++i) {
      unsigned a = outputAccess(i);
      const Access &access = nest.accesses[a];
      LaneValue value;
      if (access.init)
        value = {access.init, Form::Uniform};
      else if (access.read)
        value = load(a, offsets[a], part, strip);
      else
        value = unwritten(access);
      accumulators.push_back(toVector(value, strip.lanes));
    }
  Values results = emitReductionLoops(0, offsets, strip, accumulators);
  for (int64_t part = 0; part < strip.count; ++part)
    for (unsigned i = 0; i < outputs; ++i) {
      unsigned a = outputAccess(i);
      store(a, offsets[a], part, strip, results[part * outputs + i]);
    }
}

Values Emitter::emitReductionLoops(unsigned level, Values offsets, Strip strip,
                                   Values accumulators) {
  if (level < inner.size()) {
    unsigned l = inner[level];
    // What one iteration adds is a block of its own if it is long enough.
    bool apart = sumsInBlocks && additionsFrom(level + 1) >= kSumBlock / 8 &&
                 additionsFrom(level) > kSumBlock;
    auto sum = [&](Value from, Value to, Values start) {
      return forLoop(from, to, 1, start, [&](Value iv, Values carried) {
        ivs[l] = iv;
        Values moved = advance(offsets, l, iv);
        if (!apart)
          return emitReductionLoops(level + 1, moved, strip, carried);
        return addBlock(carried, emitReductionLoops(level + 1, moved, strip,
                                                    neutrals(strip)));
      });
    };
    const Product &extent = nest.loops[l].extent;
    if (!sumsInBlocks || (extent.isStatic() && extent.factor <= kSumBlock))
      return sum(index(0), extents[l], accumulators);
    return forLoop(index(0), extents[l], kSumBlock, accumulators,
                   [&](Value from, Values carried) {
                     Value to = arith::MinUIOp::create(
                         b, loc, add(from, index(kSumBlock)), extents[l]);
                     return addBlock(carried, sum(from, to, neutrals(strip)));
                   });
  }
  Values results;
  for (int64_t part = 0; part < strip.count; ++part)
    llvm::append_range(
        results,
        evaluate(offsets, part, strip,
                 ValueRange(accumulators).slice(part * outputs, outputs)));
  return results;
}

/// Iterations of the reduction loops from `level` inwards; a loop of unknown
/// extent counts as long.
int64_t Emitter::additionsFrom(unsigned level) const {
  int64_t count = 1;
  for (unsigned l : ArrayRef(inner).drop_front(level)) {
    const Product &extent = nest.loops[l].extent;
    count *= extent.isStatic() ? std::clamp<int64_t>(extent.factor, 1, 1 << 20)
                               : 2 * kSumBlock;
    count = std::min<int64_t>(count, 1 << 20);
  }
  return count;
}

/// One accumulator per part of the strip and output that holds nothing yet.
Values Emitter::neutrals(Strip strip) {
  Values result;
  for (int64_t part = 0; part < strip.count; ++part)
    for (unsigned i = 0; i < outputs; ++i) {
      TypedAttr neutral = nest.getReduction(i)->neutral;
      Value scalar = arith::ConstantOp::create(b, loc, neutral);
      result.push_back(toVector({scalar, Form::Uniform}, strip.lanes));
    }
  return result;
}

/// Joins the accumulators of one block with those of the blocks before it.
Values Emitter::addBlock(const Values &sums, const Values &block) {
  Values result;
  for (auto [i, pair] : llvm::enumerate(llvm::zip(sums, block)))
    result.push_back(
        vector::makeArithReduction(b, loc, nest.getReduction(i % outputs)->kind,
                                   std::get<0>(pair), std::get<1>(pair)));
  return result;
}

/// The vector loop is a reduction: `unroll` partial results per output in
/// vectors, one more in a scalar that starts from the earlier content and
/// takes a scalar tail.
void Emitter::emitReducedRow(const Values &offsets) {
  Values carried;
  for (int64_t part = 0; part < unroll; ++part)
    for (unsigned i = 0; i < outputs; ++i) {
      TypedAttr neutral = nest.getReduction(i)->neutral;
      auto type = VectorType::get({lanes}, neutral.getType());
      carried.push_back(arith::ConstantOp::create(
          b, loc, type, DenseElementsAttr::get(type, Attribute(neutral))));
    }
  for (unsigned i = 0; i < outputs; ++i) {
    unsigned a = outputAccess(i);
    Value init = nest.accesses[a].init;
    carried.push_back(init ? init : load(a, offsets[a], 0, Strip()).value);
  }
  carried = emitReducedStrips(0, offsets, carried);
  for (unsigned i = 0; i < outputs; ++i) {
    Reduction reduction = *nest.getReduction(i);
    Values partial;
    for (int64_t part = 0; part < unroll; ++part)
      partial.push_back(carried[part * outputs + i]);
    for (; partial.size() > 1;) {
      Values halved;
      for (unsigned k = 0; k + 1 < partial.size(); k += 2)
        halved.push_back(vector::makeArithReduction(
            b, loc, reduction.kind, partial[k], partial[k + 1]));
      if (partial.size() % 2)
        halved.push_back(partial.back());
      partial = halved;
    }
    // Halves onto halves: a fixed order on every target.
    Value sum = partial[0];
    for (int64_t width = lanes / 2; width >= 1; width /= 2) {
      SmallVector<int64_t> low, high;
      for (int64_t l = 0; l < width; ++l) {
        low.push_back(l);
        high.push_back(width + l);
      }
      sum = vector::makeArithReduction(
          b, loc, reduction.kind,
          vector::ShuffleOp::create(b, loc, sum, sum, low),
          vector::ShuffleOp::create(b, loc, sum, sum, high));
    }
    sum = vector::ExtractOp::create(b, loc, sum, 0);
    sum = vector::makeArithReduction(b, loc, reduction.kind,
                                     carried[unroll * outputs + i], sum);
    unsigned a = outputAccess(i);
    store(a, offsets[a], 0, Strip(), sum);
  }
}

Values Emitter::emitReducedStrips(unsigned level, Values offsets,
                                  Values carried) {
  if (level < inner.size()) {
    unsigned l = inner[level];
    return forLoop(
        index(0), extents[l], 1, carried, [&](Value iv, Values inside) {
          ivs[l] = iv;
          return emitReducedStrips(level + 1, advance(offsets, l, iv), inside);
        });
  }
  return forStrips(
      extents[vectorLoop], carried, [&](Value iv, Strip strip, Values inside) {
        ivs[vectorLoop] = iv;
        Values moved = advance(offsets, vectorLoop, iv);
        for (int64_t part = 0; part < strip.count; ++part) {
          unsigned at = strip.lanes == 1 ? unroll * outputs : part * outputs;
          Values next = evaluate(moved, part, strip,
                                 ValueRange(inside).slice(at, outputs));
          for (unsigned i = 0; i < outputs; ++i)
            inside[at + i] =
                strip.mask ? arith::SelectOp::create(b, loc, strip.mask,
                                                     next[i], inside[at + i])
                                 .getResult()
                           : next[i];
        }
        return inside;
      });
}

void tamis::emitNest(OpBuilder &b, Nest &nest, const VectorTarget &target) {
  Emitter(b, nest, target).emit();
}
