// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Depthwise windows. Instructions that multiply several steps at once take the
// channel vectors of neighbouring positions interleaved, so that a lane holds
// the positions of one channel; others take position by position.
#include "Reduction.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include <map>

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::kernel;

Value Reduction::interleave(ArrayRef<Value> positions) {
  Type element = cast<MemRefType>(e.lhs.flat.getType()).getElementType();
  auto narrow = VectorType::get(e.lanes, element);
  Value zero;
  SmallVector<Value> parts;
  for (Value position : positions) {
    if (!position && !zero)
      zero = arith::ConstantOp::create(b, b.getZeroAttr(narrow));
    parts.push_back(position ? position : zero);
  }
  // Concatenate, so that loads become insertions from memory, then transpose
  // by 32-bit words and by bytes: each is one machine permutation.
  int64_t size = e.lanes;
  while (parts.size() > 1) {
    SmallVector<Value> next;
    auto order = llvm::to_vector(llvm::seq<int64_t>(0, 2 * size));
    for (size_t i = 0; i < parts.size(); i += 2)
      next.push_back(
          vector::ShuffleOp::create(b, parts[i], parts[i + 1], order));
    parts = std::move(next);
    size *= 2;
  }
  Value all = parts.front();
  SmallVector<int64_t> order;
  if (e.step == 4) {
    auto words = VectorType::get(e.lanes, b.getI32Type());
    Value view = vector::BitCastOp::create(b, words, all);
    for (int64_t lane = 0; lane < e.lanes; ++lane)
      order.push_back(lane % 4 * (e.lanes / 4) + lane / 4);
    view = vector::ShuffleOp::create(b, view, view, order);
    all = vector::BitCastOp::create(b, all.getType(), view);
    order.clear();
    for (int64_t i = 0; i < 4 * e.lanes; ++i)
      order.push_back(i / 16 * 16 + i % 4 * 4 + i / 4 % 4);
  } else {
    for (int64_t i = 0; i < e.step * e.lanes; ++i)
      order.push_back(i % e.step * e.lanes + i / e.step);
  }
  return vector::ShuffleOp::create(b, all, all, order);
}

Value Reduction::shiftWeights(Value weights, Value before, int64_t shift) {
  auto type = cast<VectorType>(weights.getType());
  unsigned bits = type.getElementTypeBitWidth();
  auto words = VectorType::get(e.lanes, b.getIntegerType(bits * e.step));
  auto amount = [&](int64_t elements) -> Value {
    return arith::ConstantOp::create(
        b, DenseElementsAttr::get(words,
                                  b.getIntegerAttr(words.getElementType(),
                                                   int64_t(bits) * elements)));
  };
  Value result = arith::ShLIOp::create(
      b, vector::BitCastOp::create(b, words, weights), amount(shift));
  if (before) {
    Value carried = arith::ShRUIOp::create(
        b, vector::BitCastOp::create(b, words, before), amount(e.step - shift));
    result = arith::OrIOp::create(b, result, carried);
  }
  return vector::BitCastOp::create(b, type, result);
}

void Reduction::multiplyWindow(Offset lhs, Offset rhs,
                               MutableArrayRef<Value> acc) {
  const Loop &run = e.reductions.back();
  auto &instruction = e.instruction;
  int64_t size = *getConstantIntValue(run.extent);
  int64_t steps = llvm::divideCeil(size, e.step);
  auto rowStride = getConstantIntValue(e.rows.back().lhs);
  auto runStride = getConstantIntValue(run.lhs);
  bool overlap = rowStride && runStride && *rowStride == *runStride;
  int64_t shared = overlap ? steps * e.step - size + 1 : 1;
  for (int64_t j = 0; j < columns.vectors; ++j) {
    SmallVector<Value> loadedWeights;
    for (int64_t q = 0; q < steps; ++q)
      loadedWeights.push_back(
          loadWeights(move(rhs, run.rhs, b.constant(q)), j));
    SmallVector<SmallVector<Value>> weights(std::min(shared, rows));
    for (auto [shift, list] : llvm::enumerate(weights))
      for (int64_t q = 0; q < steps; ++q) {
        Value value = loadedWeights[q];
        if (shift)
          value =
              shiftWeights(value, q ? loadedWeights[q - 1] : Value(), shift);
        list.push_back(instruction.buildRhs(b, b.getLoc(), value));
      }
    for (int64_t first = 0; first < rows; first += shared) {
      int64_t count = std::min(shared, rows - first);
      for (int64_t q = 0; q < steps; ++q) {
        SmallVector<Value> positions;
        for (int64_t s = 0; s < e.step; ++s) {
          int64_t position = q * e.step + s;
          positions.push_back(
              position < size + count - 1
                  ? loadChannels(move(lhs, run.lhs, b.constant(position)),
                                 first, j)
                  : Value());
        }
        Value row = instruction.buildLhs(b, b.getLoc(), interleave(positions),
                                         e.op.getLhsUnsigned());
        for (int64_t i = 0; i < count; ++i) {
          int64_t at = (first + i) * columns.vectors + j;
          acc[at] = instruction.buildMultiplyAccumulate(b, b.getLoc(), row,
                                                        weights[i][q], acc[at]);
          if (!ones)
            continue;
          Value &rowSum = acc[rows * columns.vectors + at];
          rowSum = instruction.buildMultiplyAccumulate(
              b, b.getLoc(), row,
              makeOnes(i - q * e.step, i - q * e.step + size), rowSum);
        }
      }
    }
  }
}

LogicalResult Reduction::multiplyPositions(Offset lhs, Offset rhs,
                                           MutableArrayRef<Value> acc) {
  auto taps = getConstantIntValue(run.extent);
  auto tapStride = getConstantIntValue(run.lhs);
  auto rowStride = getConstantIntValue(e.rows.back().lhs);
  if (!taps || !tapStride || !rowStride || ones)
    return failure();
  struct Use {
    int64_t row, tap;
  };
  // By place, so that each sum takes its taps in order.
  std::map<int64_t, SmallVector<Use>> uses;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t tap = 0; tap < *taps; ++tap)
      uses[row * *rowStride + tap * *tapStride].push_back({row, tap});
  SmallVector<SmallVector<Value>> weights(columns.vectors);
  for (int64_t tap = 0; tap < *taps; ++tap)
    for (int64_t j = 0; j < columns.vectors; ++j)
      weights[j].push_back(
          readWeights(move(rhs, run.rhs, b.constant(tap)), j, /*upper=*/false));
  for (const auto &[place, users] : uses)
    for (int64_t j = 0; j < columns.vectors; ++j) {
      auto [row, tap] = users.front();
      Value position =
          loadChannels(move(lhs, run.lhs, b.constant(tap)), row, j);
      for (const Use &use : users) {
        Value &sum = acc[use.row * columns.vectors + j];
        sum = e.instruction.buildMultiplyAccumulate(b, b.getLoc(), position,
                                                    weights[j][use.tap], sum);
      }
    }
  return success();
}
