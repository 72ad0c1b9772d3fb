// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From Nest to loops: choose the vector loop by a small cost model, then emit
// strips of whole vectors, unrolled, with a masked or scalar tail. A strip of
// one lane is plain scalar code, so both kinds share every line.
#include "tamis/Transforms/VectorizeNest.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::tamis;

bool tamis::isVectorizableBody(Block &body) {
  return llvm::all_of(body, [](Operation &op) {
    if (isa<linalg::IndexOp, linalg::YieldOp, arith::ConstantOp>(op))
      return true;
    if (auto load = dyn_cast<memref::LoadOp>(op))
      return load.getMemRefType().isStrided();
    return OpTrait::hasElementwiseMappableTraits(&op) &&
           isMemoryEffectFree(&op) && op.getNumRegions() == 0 &&
           llvm::all_of(op.getResultTypes(),
                        [](Type t) { return t.isIntOrIndexOrFloat(); });
  });
}

unsigned tamis::getWidestBits(Block &body) {
  unsigned bits = 8;
  auto note = [&](Type type) {
    if (type.isIntOrFloat())
      bits = std::max(bits, type.getIntOrFloatBitWidth());
  };
  for (BlockArgument argument : body.getArguments())
    if (!argument.use_empty())
      note(argument.getType());
  for (Operation &op : body)
    if (!isa<arith::ConstantOp>(op))
      for (Type type : op.getResultTypes())
        note(type);
  for (Type type : body.getTerminator()->getOperandTypes())
    note(type);
  return llvm::PowerOf2Ceil(bits);
}

namespace {

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
  // Deciding.
  void choose();
  double costOf(unsigned loop, int64_t width, bool reduction) const;
  double bodyCost() const;

  // Emitting, from the outside in.
  void emitOuter(unsigned level, Values offsets);
  void emitParallelStrips(const Values &offsets);
  void emitParallelStrip(const Values &offsets, Value iv, Strip strip);
  Values emitReductionLoops(unsigned level, Values offsets, Strip strip,
                            Values accumulators);
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
  Value toVector(LaneValue value, int64_t lanes);

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
  int64_t lanes = 1, unroll = 1;
  SmallVector<unsigned> outer; // parallel loops around the vector loop
  SmallVector<unsigned> inner; // reduction loops other than the vector loop
  SmallVector<Values> strides; // materialized, per access and loop
  Values extents, ivs;
  Values hoisted; // per access: scalar loaded ahead of the strips
};

} // namespace

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
    double steps = target.masks ? llvm::divideCeil(n, width)
                                : n / width + n % width;
    filled = n / steps;
  }
  double cost = bodyCost() / filled;
  bool sums = nest.hasReductionLoops();
  for (auto [i, access] : llvm::enumerate(nest.accesses)) {
    if (!access.buffer)
      continue;
    const Product &stride = access.strides[loop];
    double weight = access.written && sums ? 0.1 : 1;
    if (stride.isZero())
      cost += isVaryingInside(access) ? 0.3 * weight / filled : 0;
    else if (stride.isOne())
      cost += weight / filled;
    else if (stride.isStatic() && stride.factor > 0 && stride.factor <= 4 &&
             !access.written)
      cost += 2 * stride.factor * weight / filled;
    else
      cost += 2.5 * weight;
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
  bool reducible = true, ordered = false;
  for (unsigned i = 0; i < outputs; ++i) {
    std::optional<Reduction> reduction = nest.getReduction(i);
    reducible &= reduction.has_value();
    ordered |= reduction && target.strict && !reduction->reassociable &&
               isa<FloatType>(reduction->combiner->getResult(0).getType());
  }
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
      width = std::min<int64_t>(widest, target.masks ? llvm::PowerOf2Ceil(n)
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
  llvm::stable_sort(outer, [&](unsigned x, unsigned y) {
    return weight(x) > weight(y);
  });
  if (vectorLoop < 0)
    return;

  double body = bodyCost();
  unroll = body <= 8 ? 4 : body <= 40 ? 2 : 1;
  const Product &extent = nest.loops[vectorLoop].extent;
  if (extent.isStatic())
    unroll = std::clamp<int64_t>(llvm::divideCeil(extent.factor, lanes), 1,
                                 unroll);
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

/// A counted loop; none is built if it runs at most once.
Values Emitter::forLoop(Value from, Value to, int64_t step, Values carried,
                        function_ref<Values(Value, Values)> body) {
  std::optional<int64_t> first = getConstantIntValue(from);
  std::optional<int64_t> last = getConstantIntValue(to);
  if (first && last && *first >= *last)
    return carried;
  if (first && last && *first + step >= *last)
    return body(from, carried);
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
  emitOuter(0, offsets);
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
    ivs[l] = iv;
    emitOuter(level + 1, advance(offsets, l, iv));
    return Values();
  });
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
    ivs[vectorLoop] = iv;
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
        value = {ub::PoisonOp::create(b, loc, access.element), Form::Uniform};
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
    return forLoop(index(0), extents[l], 1, accumulators,
                   [&](Value iv, Values carried) {
                     ivs[l] = iv;
                     return emitReductionLoops(
                         level + 1, advance(offsets, l, iv), strip, carried);
                   });
  }
  Values results;
  for (int64_t part = 0; part < strip.count; ++part)
    llvm::append_range(
        results, evaluate(offsets, part, strip,
                          ValueRange(accumulators)
                              .slice(part * outputs, outputs)));
  return results;
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
    auto flags = isa<FloatType>(reduction.neutral.getType())
                     ? arith::FastMathFlags::reassoc
                     : arith::FastMathFlags::none;
    Value sum = vector::ReductionOp::create(b, loc, reduction.kind, partial[0],
                                            flags);
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
    return forLoop(index(0), extents[l], 1, carried,
                   [&](Value iv, Values inside) {
                     ivs[l] = iv;
                     return emitReducedStrips(
                         level + 1, advance(offsets, l, iv), inside);
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

//===-- one iteration -----------------------------------------------------===//

Value Emitter::toVector(LaneValue value, int64_t lanes) {
  if (lanes == 1 || value.form == Form::Vector)
    return value.value;
  auto type = VectorType::get({lanes}, value.value.getType());
  Value vector = vector::BroadcastOp::create(b, loc, type, value.value);
  if (value.form == Form::Uniform)
    return vector;
  return arith::AddIOp::create(b, loc, vector,
                               counting(value.value.getType()));
}

Value Emitter::partIndex(unsigned access, Value offset, int64_t part,
                         const Strip &strip) {
  if (part == 0 || strip.lanes == 1)
    return offset;
  return add(offset,
             mul(index(part * strip.lanes), strides[access][vectorLoop]));
}

LaneValue Emitter::load(unsigned a, Value offset, int64_t part,
                        const Strip &strip) {
  const Access &access = nest.accesses[a];
  if (hoisted[a])
    return {hoisted[a], Form::Uniform};
  bool isBool = access.element.isInteger(1);
  auto finish = [&](Value value, Form form) -> LaneValue {
    if (isBool) {
      Type type = b.getI1Type();
      if (form == Form::Vector)
        type = VectorType::get({strip.lanes}, type);
      value = arith::TruncIOp::create(b, loc, type, value);
    }
    return {value, form};
  };
  if (strip.lanes == 1 || access.strides[vectorLoop].isZero())
    return finish(memref::LoadOp::create(b, loc, access.buffer, offset),
                  Form::Uniform);
  Value at = partIndex(a, offset, part, strip);
  const Product &stride = access.strides[vectorLoop];
  auto type = VectorType::get({strip.lanes}, storedType(access));
  if (!stride.isOne())
    return finish(loadStrided(a, at, strip), Form::Vector);
  if (!strip.mask)
    return finish(vector::LoadOp::create(b, loc, type, access.buffer, at),
                  Form::Vector);
  Value zero = arith::ConstantOp::create(b, loc, type, b.getZeroAttr(type));
  return finish(vector::MaskedLoadOp::create(b, loc, type, access.buffer, at,
                                             strip.mask, zero),
                Form::Vector);
}

/// Elements a stride apart: small strides by whole vectors and shuffles,
/// others by a gather or one by one.
Value Emitter::loadStrided(unsigned a, Value at, const Strip &strip) {
  const Access &access = nest.accesses[a];
  const Product &stride = access.strides[vectorLoop];
  auto type = VectorType::get({strip.lanes}, storedType(access));
  int64_t n = strip.lanes, factor = stride.isStatic() ? stride.factor : 0;
  if (!strip.mask && factor >= 2 && factor <= 4 && n >= factor) {
    // Whole vectors from the first element on; the last one ends with the
    // last element, so that nothing behind it is read.
    int64_t lastStart = (n - 1) * factor + 1 - n;
    Value result;
    for (int64_t k = 0; k < factor; ++k) {
      int64_t start = k + 1 == factor ? lastStart : k * n;
      int64_t end = k + 1 == factor ? n * factor : k * n + n;
      Value part = vector::LoadOp::create(b, loc, type, access.buffer,
                                          add(at, index(start)));
      SmallVector<int64_t> lanesOfPart;
      for (int64_t l = 0; l < n; ++l) {
        int64_t position = l * factor;
        bool here = position >= k * n && position < end &&
                    !(k + 1 < factor && position >= lastStart &&
                      position >= (k + 1) * n);
        lanesOfPart.push_back(here ? n + position - start : l);
      }
      result = k == 0 ? part : result;
      if (k == 0) {
        for (int64_t l = 0; l < n; ++l)
          lanesOfPart[l] = l * factor < n ? l * factor : 0;
        result = vector::ShuffleOp::create(b, loc, part, part, lanesOfPart);
      } else {
        result = vector::ShuffleOp::create(b, loc, result, part, lanesOfPart);
      }
    }
    return result;
  }
  bool wide = access.element.isIntOrFloat() &&
              access.element.getIntOrFloatBitWidth() >= 32;
  if (strip.mask || (target.masks && wide)) {
    Value steps;
    if (stride.isStatic() && llvm::isInt<24>(stride.factor)) {
      SmallVector<int32_t> positions;
      for (int64_t l = 0; l < n; ++l)
        positions.push_back(l * stride.factor);
      steps = arith::ConstantOp::create(b, loc,
                                        b.getI32VectorAttr(positions));
    } else {
      auto indexType = VectorType::get({n}, b.getIndexType());
      steps = arith::MulIOp::create(
          b, loc, counting(b.getIndexType()),
          vector::BroadcastOp::create(b, loc, indexType,
                                      strides[a][vectorLoop]));
    }
    Value mask = strip.mask ? strip.mask : firstLanes(index(n));
    Value zero = arith::ConstantOp::create(b, loc, type, b.getZeroAttr(type));
    return vector::GatherOp::create(b, loc, type, access.buffer, at, steps,
                                    mask, zero);
  }
  Values elements;
  for (int64_t l = 0; l < n; ++l)
    elements.push_back(memref::LoadOp::create(
        b, loc, access.buffer,
        add(at, mul(index(l), strides[a][vectorLoop]))));
  return vector::FromElementsOp::create(b, loc, type, elements);
}

void Emitter::store(unsigned a, Value offset, int64_t part, const Strip &strip,
                    Value value) {
  const Access &access = nest.accesses[a];
  if (access.element.isInteger(1)) {
    Type type = b.getI8Type();
    if (strip.lanes > 1)
      type = VectorType::get({strip.lanes}, type);
    value = arith::ExtUIOp::create(b, loc, type, value);
  }
  if (strip.lanes == 1) {
    memref::StoreOp::create(b, loc, value, access.buffer, offset);
    return;
  }
  Value at = partIndex(a, offset, part, strip);
  if (access.strides[vectorLoop].isOne()) {
    if (strip.mask)
      vector::MaskedStoreOp::create(b, loc, access.buffer, at, strip.mask,
                                    value);
    else
      vector::StoreOp::create(b, loc, value, access.buffer, at);
    return;
  }
  for (int64_t l = 0; l < strip.lanes; ++l) {
    Value element = vector::ExtractOp::create(b, loc, value, l);
    memref::StoreOp::create(b, loc, element, access.buffer,
                            add(at, mul(index(l), strides[a][vectorLoop])));
  }
}

/// The body once for `part` of a strip; returns what it yields.
Values Emitter::evaluate(const Values &offsets, int64_t part,
                         const Strip &strip, ValueRange accumulators) {
  DenseMap<Value, LaneValue> lanesOf;
  Block &body = nest.body();
  for (unsigned a = 0; a < nest.accesses.size(); ++a) {
    BlockArgument argument = body.getArgument(a);
    if (argument.use_empty())
      continue;
    if (a >= nest.numInputs())
      lanesOf[argument] = {accumulators[a - nest.numInputs()],
                           strip.lanes == 1 ? Form::Uniform : Form::Vector};
    else
      lanesOf[argument] = load(a, offsets[a], part, strip);
  }
  for (Operation &op : body.without_terminator())
    lanesOf[op.getResult(0)] = evaluateOp(op, strip, part, lanesOf);
  Values results;
  for (Value value : body.getTerminator()->getOperands()) {
    auto it = lanesOf.find(value);
    LaneValue lane = it == lanesOf.end() ? LaneValue{value} : it->second;
    results.push_back(toVector(lane, strip.lanes));
  }
  return results;
}

LaneValue Emitter::evaluateOp(Operation &op, const Strip &strip, int64_t part,
                              DenseMap<Value, LaneValue> &lanesOf) {
  auto lookup = [&](Value value) {
    auto it = lanesOf.find(value);
    return it == lanesOf.end() ? LaneValue{value} : it->second;
  };
  if (auto indexOp = dyn_cast<linalg::IndexOp>(op)) {
    for (auto [l, loop] : llvm::enumerate(nest.loops)) {
      if (loop.dim != indexOp.getDim())
        continue;
      if (int(l) != vectorLoop || strip.lanes == 1)
        return {ivs[l], Form::Uniform};
      return {add(ivs[l], index(part * strip.lanes)), Form::Step};
    }
    return {index(0), Form::Uniform}; // a dropped unit loop
  }

  SmallVector<LaneValue> operands;
  for (Value operand : op.getOperands())
    operands.push_back(lookup(operand));
  bool uniform = llvm::all_of(
      operands, [](LaneValue v) { return v.form == Form::Uniform; });
  auto cloneWith = [&](ValueRange values, int64_t width) {
    IRMapping mapping;
    for (auto [from, to] : llvm::zip(op.getOperands(), values))
      mapping.map(from, to);
    Operation *clone = b.clone(op, mapping);
    if (width > 1)
      for (Value result : clone->getResults())
        result.setType(VectorType::get({width}, result.getType()));
    return clone->getResult(0);
  };
  auto raw = llvm::map_to_vector(operands, [](LaneValue v) { return v.value; });
  if (uniform)
    return {cloneWith(raw, 1), Form::Uniform};

  // Counting survives additions, so that rows read through a table of indices
  // stay whole vectors.
  unsigned counting = llvm::count_if(
      operands, [](LaneValue v) { return v.form == Form::Step; });
  unsigned vectors = llvm::count_if(
      operands, [](LaneValue v) { return v.form == Form::Vector; });
  if (vectors == 0 && counting == 1 &&
      (isa<arith::AddIOp, arith::IndexCastOp>(op) ||
       (isa<arith::SubIOp>(op) && operands[0].form == Form::Step)))
    return {cloneWith(raw, 1), Form::Step};

  if (auto load = dyn_cast<memref::LoadOp>(op)) {
    MemRefType type = load.getMemRefType();
    Type element = type.getElementType();
    auto vectorType = VectorType::get({strip.lanes}, element);
    bool unitStride = type.getStridesAndOffset().first.back() == 1;
    bool row = vectors == 0 && counting == 1 &&
               operands.back().form == Form::Step;
    auto indices = ArrayRef(raw).drop_front();
    if (row && unitStride && !element.isInteger(1))
      return {vector::LoadOp::create(b, loc, vectorType, raw[0], indices),
              Form::Vector};
    Values elements;
    SmallVector<Value> positions;
    for (LaneValue operand : ArrayRef(operands).drop_front())
      positions.push_back(operand.form == Form::Uniform
                              ? operand.value
                              : toVector(operand, strip.lanes));
    for (int64_t l = 0; l < strip.lanes; ++l) {
      Values at;
      for (Value position : positions)
        at.push_back(isa<VectorType>(position.getType())
                         ? vector::ExtractOp::create(b, loc, position, l)
                               .getResult()
                         : position);
      elements.push_back(memref::LoadOp::create(b, loc, raw[0], at));
    }
    return {vector::FromElementsOp::create(b, loc, vectorType, elements),
            Form::Vector};
  }
  auto wide = llvm::map_to_vector(
      operands, [&](LaneValue v) { return toVector(v, strip.lanes); });
  return {cloneWith(wide, strip.lanes), Form::Vector};
}

void tamis::emitNest(OpBuilder &b, Nest &nest, const VectorTarget &target) {
  Emitter(b, nest, target).emit();
}
