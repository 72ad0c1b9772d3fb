// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One iteration of a strip: loading the operands, the body on lanes, storing.
// A value stays scalar as long as all lanes agree on it.
#include "VectorizeLoopsEmitter.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
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

Value Emitter::toVector(LaneValue value, int64_t lanes) {
  if (lanes == 1 || value.form == Form::Vector)
    return value.value;
  auto type = VectorType::get({lanes}, value.value.getType());
  Value vector = vector::BroadcastOp::create(b, loc, type, value.value);
  if (value.form == Form::Uniform)
    return vector;
  return arith::AddIOp::create(b, loc, vector, counting(value.value.getType()));
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
  if (preloaded[a])
    return {preloaded[a], Form::Vector};
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

/// How far each of `lanes` elements lies behind the first.
Value Emitter::lanePositions(unsigned a, int64_t lanes) {
  const Product &stride = nest.accesses[a].strides[vectorLoop];
  if (stride.isStatic() && llvm::isInt<24>(stride.factor)) {
    SmallVector<int32_t> positions;
    for (int64_t l = 0; l < lanes; ++l)
      positions.push_back(l * stride.factor);
    return arith::ConstantOp::create(b, loc, b.getI32VectorAttr(positions));
  }
  auto indexType = VectorType::get({lanes}, b.getIndexType());
  return arith::MulIOp::create(
      b, loc, counting(b.getIndexType()),
      vector::BroadcastOp::create(b, loc, indexType, strides[a][vectorLoop]));
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
    Value mask = strip.mask ? strip.mask : firstLanes(index(n));
    Value zero = arith::ConstantOp::create(b, loc, type, b.getZeroAttr(type));
    return vector::GatherOp::create(b, loc, type, access.buffer, at,
                                    lanePositions(a, n), mask, zero);
  }
  Values elements;
  for (int64_t l = 0; l < n; ++l)
    elements.push_back(memref::LoadOp::create(
        b, loc, access.buffer, add(at, mul(index(l), strides[a][vectorLoop]))));
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
  if (strip.mask) {
    vector::ScatterOp::create(b, loc, Type(), access.buffer, at,
                              lanePositions(a, strip.lanes), strip.mask, value);
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
    bool row =
        vectors == 0 && counting == 1 && operands.back().form == Form::Step;
    auto indices = ArrayRef(raw).drop_front();
    if (row && unitStride && !element.isInteger(1))
      return {vector::LoadOp::create(b, loc, vectorType, raw[0], indices),
              Form::Vector};
    auto cast =
        load.getIndices().empty()
            ? nullptr
            : load.getIndices()[0].getDefiningOp<arith::IndexCastUIOp>();
    if (target.permutesBytes && strip.lanes == 64 && cast &&
        cast.getIn().getType().isInteger(8) && element.isInteger(8) &&
        type.getShape() == ArrayRef<int64_t>{256} && unitStride)
      return {lookUp(raw[0], toVector(lookup(cast.getIn()), 64)), Form::Vector};
    Values elements;
    SmallVector<Value> positions;
    for (LaneValue operand : ArrayRef(operands).drop_front())
      positions.push_back(operand.form == Form::Uniform
                              ? operand.value
                              : toVector(operand, strip.lanes));
    for (int64_t l = 0; l < strip.lanes; ++l) {
      Values at;
      for (Value position : positions)
        at.push_back(
            isa<VectorType>(position.getType())
                ? vector::ExtractOp::create(b, loc, position, l).getResult()
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
