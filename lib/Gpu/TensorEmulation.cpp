// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tensor cores without tensor cores. Every lane lays its registers into
// workgroup memory, waits, and computes the sums it owns; what it multiplies it
// finds by the inverse tables: which lane and register hold word k of a channel
// or row. They are written down here from the PTX ISA, not derived from the
// instruction's own maps, so that a fault in either is a wrong sum.
#include "TensorEmulation.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "tamis/Kernels/IndexBuilder.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::device;
using kernel::IndexBuilder;

static Value constant(OpBuilder &b, Location loc, int32_t value) {
  return arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(value));
}

/// Byte `index` (a constant or i32) of `word`, widened.
static Value buildByte(OpBuilder &b, Location loc, Value word, Value index,
                       bool isUnsigned) {
  // Up to the top, then down with or without the sign.
  Value three = constant(b, loc, 3), eight = constant(b, loc, 8);
  Value up = arith::MulIOp::create(
      b, loc, arith::SubIOp::create(b, loc, three, index), eight);
  Value top = arith::ShLIOp::create(b, loc, word, up);
  Value down = constant(b, loc, 24);
  if (isUnsigned)
    return arith::ShRUIOp::create(b, loc, top, down);
  return arith::ShRSIOp::create(b, loc, top, down);
}

/// Half `index` of `word` as float32.
static Value buildHalf(OpBuilder &b, Location loc, Type element, Value word,
                       int64_t index) {
  Type f32 = b.getF32Type();
  if (element.isBF16()) {
    // The upper half of a float32.
    Value bits =
        index ? arith::AndIOp::create(b, loc, word,
                                      constant(b, loc, int32_t(0xffff0000)))
                    .getResult()
              : arith::ShLIOp::create(b, loc, word, constant(b, loc, 16))
                    .getResult();
    return arith::BitcastOp::create(b, loc, f32, bits);
  }
  if (index)
    word = arith::ShRUIOp::create(b, loc, word, constant(b, loc, 16));
  Value bits = arith::TruncIOp::create(b, loc, b.getI16Type(), word);
  Value half = arith::BitcastOp::create(b, loc, element, bits);
  return arith::ExtFOp::create(b, loc, f32, half);
}

Value device::buildWordProduct(OpBuilder &b, Location loc, Type element,
                               Value weights, Value rows, Value sum,
                               bool weightsUnsigned, bool rowsUnsigned) {
  if (element.isInteger(8)) {
    for (int32_t i = 0; i < 4; ++i) {
      Value at = constant(b, loc, i);
      Value product = arith::MulIOp::create(
          b, loc, buildByte(b, loc, weights, at, weightsUnsigned),
          buildByte(b, loc, rows, at, rowsUnsigned));
      sum = arith::AddIOp::create(b, loc, sum, product);
    }
    return sum;
  }
  for (int64_t i = 0; i < 2; ++i) {
    Value product =
        arith::MulFOp::create(b, loc, buildHalf(b, loc, element, weights, i),
                              buildHalf(b, loc, element, rows, i));
    sum = arith::AddFOp::create(b, loc, sum, product);
  }
  return sum;
}

Value device::buildHalvesDifference(OpBuilder &b, Location loc, Value word,
                                    double base) {
  Value subtrahend = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(base));
  auto subtract = [&](int64_t index) -> Value {
    Value half = buildHalf(b, loc, b.getF16Type(), word, index);
    half = arith::SubFOp::create(b, loc, half, subtrahend);
    half = arith::TruncFOp::create(b, loc, b.getF16Type(), half);
    half = arith::BitcastOp::create(b, loc, b.getI16Type(), half);
    return arith::ExtUIOp::create(b, loc, b.getI32Type(), half);
  };
  Value high = arith::ShLIOp::create(b, loc, subtract(1), constant(b, loc, 16));
  return arith::OrIOp::create(b, loc, subtract(0), high);
}

int64_t device::countExchangeWords(FragmentAttrInterface instruction) {
  FragmentShape shape = instruction.getShape();
  int64_t registers = shape.weightRegisters + shape.rowRegisters +
                      (instruction.isSparse() ? 1 : 0);
  return registers * kLanes;
}

namespace {

/// Reads the registers of other lanes.
struct Reader {
  IndexBuilder b;
  const FragmentOperands &operands;
  FragmentShape shape;

  /// Register `index` of all lanes begins at `index * kLanes`: weights, then
  /// rows, then metadata.
  Value read(OpFoldResult index, OpFoldResult lane) {
    OpFoldResult at = b.add(b.multiply(index, b.constant(kLanes)), lane);
    at = b.add(at, operands.exchange.base);
    return memref::LoadOp::create(b, operands.exchange.memory, b.value(at));
  }

  void write(int64_t index, Value word) {
    OpFoldResult at = b.add(b.constant(index * kLanes), operands.exchange.lane);
    at = b.add(at, operands.exchange.base);
    memref::StoreOp::create(b, word, operands.exchange.memory, b.value(at));
  }

  /// Stored word `k` of channel `c`: registers 0 and 2 of lanes that begin at
  /// the channel are channels 0 to 7, registers 1 and 3 channels 8 to 15.
  Value weight(OpFoldResult c, OpFoldResult k) {
    OpFoldResult lane =
        b.add(b.multiply(b.remainder(c, 8), b.constant(4)), b.remainder(k, 4));
    OpFoldResult index =
        b.add(b.divide(c, 8), b.multiply(b.divide(k, 4), b.constant(2)));
    return read(index, lane);
  }

  /// Word `k` of row `r`.
  Value row(OpFoldResult r, OpFoldResult k) {
    OpFoldResult lane = b.add(b.multiply(r, b.constant(4)), b.remainder(k, 4));
    return read(b.add(b.divide(k, 4), b.constant(shape.weightRegisters)), lane);
  }

  /// The two places, 0 to 3, that the stored elements of `chunk` have.
  std::pair<Value, Value> places(OpFoldResult c, OpFoldResult chunk) {
    OpFoldResult half = b.divide(chunk, 8);
    OpFoldResult lane =
        b.add(b.multiply(b.remainder(c, 8), b.constant(4)),
              b.add(b.divide(c, 8), b.multiply(half, b.constant(2))));
    Value word =
        read(b.constant(shape.weightRegisters + shape.rowRegisters), lane);
    Value shift = arith::IndexCastOp::create(
        b, b.getI32Type(),
        b.value(b.multiply(b.remainder(chunk, 8), b.constant(4))));
    Value low = arith::ShRUIOp::create(b, word, shift);
    Value high = arith::ShRUIOp::create(b, low, constant(b, b.getLoc(), 2));
    Value mask = constant(b, b.getLoc(), 3);
    return {arith::AndIOp::create(b, low, mask),
            arith::AndIOp::create(b, high, mask)};
  }
};

} // namespace

SmallVector<Value>
device::buildEmulatedProduct(OpBuilder &builder, Location loc,
                             FragmentAttrInterface instruction, Type element,
                             const FragmentOperands &operands) {
  Reader reader{IndexBuilder(loc, builder), operands, instruction.getShape()};
  IndexBuilder &b = reader.b;
  int64_t index = 0;
  for (Value word : operands.weights)
    reader.write(index++, word);
  for (Value word : operands.rows)
    reader.write(index++, word);
  if (instruction.isSparse())
    reader.write(index, operands.metadata);
  gpu::BarrierOp::create(b);

  // Sums of a lane: channels lane / 4 and eight on, rows 2 * (lane % 4) and one
  // on.
  OpFoldResult lane = operands.exchange.lane;
  auto channelOf = [&](int64_t i) {
    return b.add(b.divide(lane, 4), b.constant(8 * (i / 2)));
  };
  auto rowOf = [&](int64_t i) {
    return b.add(b.multiply(b.remainder(lane, 4), b.constant(2)),
                 b.constant(i % 2));
  };
  SmallVector<Value> sums(operands.sums);
  b.carry(b.constant(0), b.constant(reader.shape.words), 1, sums,
          [&](Value k, SmallVectorImpl<Value> &inner) {
            for (auto [i, sum] : llvm::enumerate(inner)) {
              Value row = reader.row(rowOf(i), k);
              if (!instruction.isSparse()) {
                sum = buildWordProduct(
                    b, loc, element, reader.weight(channelOf(i), k), row, sum,
                    operands.weightsUnsigned, operands.rowsUnsigned);
                continue;
              }
              // Word k of the rows is chunk k; its two stored elements are one
              // half of a stored word.
              Value stored = reader.weight(channelOf(i), b.divide(k, 2));
              auto [low, high] = reader.places(channelOf(i), k);
              Value first = arith::IndexCastOp::create(
                  b, b.getI32Type(),
                  b.value(b.multiply(b.remainder(k, 2), b.constant(2))));
              for (auto [n, place] :
                   llvm::enumerate(SmallVector<Value>{low, high})) {
                Value at = arith::AddIOp::create(b, first, constant(b, loc, n));
                Value product = arith::MulIOp::create(
                    b, buildByte(b, loc, stored, at, operands.weightsUnsigned),
                    buildByte(b, loc, row, place, operands.rowsUnsigned));
                sum = arith::AddIOp::create(b, sum, product);
              }
            }
          });
  // Before the next product overwrites the registers.
  gpu::BarrierOp::create(b);
  return sums;
}
