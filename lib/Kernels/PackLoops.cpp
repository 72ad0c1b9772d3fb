// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Packing at run time: the right operand of a product of two activations is
// brought into the instruction's order by loops. Elements outside the source
// become zero, as in packed parameters.
#include "Emitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "tamis/Target/Target.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::kernel;

namespace {

struct PackEmitter {
  PackOp op;
  IndexBuilder b;
  FlatView source, packed, sums;
  Type elementFrom, elementTo;
  int64_t step, width;
  OpFoldResult runLength, runSteps, columns, columnStride;

  /// True if the source comes from memory.
  bool isFar;

  PackEmitter(PackOp op, RewriterBase &rewriter, bool isFar)
      : op(op), b(op.getLoc(), rewriter), isFar(isFar) {
    b.setInsertionPoint(op);
    source = flatten(b, op.getSource());
    packed = flatten(b, op.getPacked());
    if (op.getSums())
      sums = flatten(b, op.getSums());
    elementFrom = cast<MemRefType>(op.getSource().getType()).getElementType();
    elementTo = cast<MemRefType>(op.getPacked().getType()).getElementType();
  }

  OpFoldResult extent(int64_t dim) {
    auto type = cast<MemRefType>(op.getSource().getType());
    if (!type.isDynamicDim(dim))
      return b.constant(type.getDimSize(dim));
    return memref::DimOp::create(b, op.getSource(), dim).getResult();
  }

  Value convert(Value element) {
    if (elementFrom == elementTo && op.getOffset() == 0)
      return element;
    if (isa<FloatType>(elementFrom))
      return arith::ExtFOp::create(b, elementTo, element);
    Type i32 = b.getI32Type();
    if (elementFrom != i32)
      element = op.getIsUnsigned()
                    ? arith::ExtUIOp::create(b, i32, element).getResult()
                    : arith::ExtSIOp::create(b, i32, element).getResult();
    Value offset =
        arith::ConstantOp::create(b, b.getI32IntegerAttr(op.getOffset()));
    element = arith::SubIOp::create(b, element, offset);
    return elementTo == i32 ? element
                            : arith::TruncIOp::create(b, elementTo, element);
  }

  /// Walks a list of source dimensions; `index` is the linear position.
  void walk(ArrayRef<int64_t> list, OpFoldResult offset, OpFoldResult index,
            function_ref<void(OpFoldResult, OpFoldResult)> body) {
    if (list.empty())
      return body(offset, index);
    OpFoldResult size = extent(list.front());
    b.loop(b.constant(0), size, 1, [&](OpFoldResult i) {
      walk(list.drop_front(),
           b.add(offset, b.multiply(source.strides[list.front()], i)),
           b.add(b.multiply(index, size), i), body);
    });
  }

  void emit() {
    ArrayRef<int64_t> reductions = op.getReductions();
    step = op.getStep();
    width = op.getWidth();
    runLength = b.constant(1);
    for (int64_t d : reductions.take_back(op.getRun()))
      runLength = b.multiply(runLength, extent(d));
    runSteps = b.ceilDivide(runLength, step);
    int64_t column = static_cast<int64_t>(op.getColumn());
    columns = column >= 0 ? extent(column) : b.constant(1);
    columnStride = column >= 0 ? source.strides[column] : b.constant(0);
    if (getConstantIntValue(b.remainder(columns, width)) != 0 ||
        getConstantIntValue(b.remainder(runLength, step)) != 0)
      fillZero();
    auto zero = b.constant(0);
    walk(op.getGroups(), zero, zero, [&](OpFoldResult from, OpFoldResult g) {
      OpFoldResult to = b.multiply(packed.strides[0], g);
      walk(reductions.drop_back(op.getRun()), from, zero,
           [&](OpFoldResult from, OpFoldResult outer) {
             emitPanels(from,
                        b.add(to, b.multiply(packed.strides[2],
                                             b.multiply(outer, runSteps))));
           });
    });
    if (op.getSums())
      emitSums();
  }

  /// The panels of one run.
  void emitPanels(OpFoldResult from, OpFoldResult to) {
    b.loop(b.constant(0), b.ceilDivide(columns, width), 1, [&](OpFoldResult p) {
      OpFoldResult first = b.multiply(p, b.constant(width));
      OpFoldResult count =
          b.minimum(b.constant(width), b.subtract(columns, first));
      emitPanel(b.add(from, b.multiply(columnStride, first)),
                b.add(to, b.multiply(packed.strides[1], p)), count);
    });
  }

  void emitPanel(OpFoldResult from, OpFoldResult to, OpFoldResult count) {
    auto zero = b.constant(0);
    int64_t block = std::min<int64_t>(width & -width, 16);
    ArrayRef<int64_t> run = op.getReductions().take_back(op.getRun());
    bool plain = elementFrom == elementTo && run.size() == 1 && block >= 4 &&
                 (isa<FloatType>(elementTo) ? step == 1 || elementTo.isBF16()
                                            : elementTo.isInteger(8));
    bool byRows = plain && getConstantIntValue(columnStride) == 1 && step <= 4;
    bool byColumns = plain &&
                     getConstantIntValue(source.strides[run.back()]) == 1 &&
                     llvm::isPowerOf2_64(step);
    if (!byRows && !byColumns)
      return emitElements(from, to, zero, count, zero, runLength);
    // A square of words fills the registers it has.
    TargetAttr target = getTarget(op);
    if (!byRows && !(target && target.hasFeature("avx512f")))
      block = std::min<int64_t>(block, 8);
    OpFoldResult wholeColumns = b.subtract(count, b.remainder(count, block));
    int64_t depth = byRows ? step : block * step;
    OpFoldResult wholeRun =
        b.subtract(runLength, b.remainder(runLength, depth));
    b.loop(zero, wholeColumns, block, [&](OpFoldResult c) {
      b.loop(zero, wholeRun, depth, [&](OpFoldResult k) {
        OpFoldResult at =
            b.add(from, b.add(b.multiply(columnStride, c),
                              b.multiply(source.strides[run.back()], k)));
        OpFoldResult out =
            b.add(to, b.add(b.multiply(c, b.constant(step)),
                            b.multiply(packed.strides[2], b.divide(k, step))));
        byRows ? interleaveRows(at, out, block) : transpose(at, out, block);
      });
    });
    emitElements(from, to, zero, wholeColumns, wholeRun, runLength);
    emitElements(from, to, wholeColumns, count, zero, runLength);
  }

  /// One element after the other: columns [c0, c1), run elements [k0, k1).
  void emitElements(OpFoldResult from, OpFoldResult to, OpFoldResult c0,
                    OpFoldResult c1, OpFoldResult k0, OpFoldResult k1) {
    ArrayRef<int64_t> run = op.getReductions().take_back(op.getRun());
    auto column = [&](OpFoldResult from, OpFoldResult k) {
      OpFoldResult row =
          b.add(to, b.add(b.multiply(packed.strides[2], b.divide(k, step)),
                          b.remainder(k, step)));
      b.loop(c0, c1, 1, [&](OpFoldResult c) {
        Value element = memref::LoadOp::create(
            b, source.flat, b.value(b.add(from, b.multiply(columnStride, c))));
        memref::StoreOp::create(
            b, convert(element), packed.flat,
            b.value(b.add(row, b.multiply(c, b.constant(step)))));
      });
    };
    if (run.size() != 1)
      return walk(run, from, b.constant(0), column);
    b.loop(k0, k1, 1, [&](OpFoldResult k) {
      column(b.add(from, b.multiply(source.strides[run.back()], k)), k);
    });
  }

  /// Subtracts the offset from a vector of packed elements; bytes wrap to the
  /// signed value that was meant.
  Value lessOffset(Value vector) {
    if (op.getOffset() == 0)
      return vector;
    auto type = cast<VectorType>(vector.getType());
    Value offset = arith::ConstantOp::create(
        b, DenseElementsAttr::get(type, APInt(8, op.getOffset())));
    return arith::SubIOp::create(b, vector, offset);
  }

  /// `count` columns of one step whose columns are contiguous.
  void interleaveRows(OpFoldResult from, OpFoldResult to, int64_t count) {
    ArrayRef<int64_t> run = op.getReductions().take_back(1);
    SmallVector<Value> rows;
    for (int64_t s = 0; s < step; ++s)
      rows.push_back(vector::LoadOp::create(
          b, VectorType::get(count, elementTo), source.flat,
          b.value(b.add(
              from, b.multiply(source.strides[run.back()], b.constant(s))))));
    // Rows s and s + n/2 first, so that the last round leaves them in order.
    while (rows.size() > 1) {
      size_t half = rows.size() / 2;
      SmallVector<Value> next;
      for (size_t i = 0; i < half; ++i)
        next.push_back(b.zip(rows[i], rows[i + half], 0, 2));
      rows = std::move(next);
    }
    vector::StoreOp::create(b, lessOffset(rows.front()), packed.flat,
                            b.value(to));
  }

  /// A square of `count` columns and `count` steps whose steps are contiguous.
  void transpose(OpFoldResult from, OpFoldResult to, int64_t count) {
    auto type = VectorType::get(count * step, elementTo);
    auto words =
        step == 1
            ? type
            : VectorType::get(
                  count, b.getIntegerType(elementTo.getIntOrFloatBitWidth() *
                                          static_cast<unsigned>(step)));
    SmallVector<Value> rows;
    for (int64_t c = 0; c < count; ++c) {
      Value row = vector::LoadOp::create(
          b, type, source.flat,
          b.value(b.add(from, b.multiply(columnStride, b.constant(c)))));
      row = lessOffset(row);
      if (words != type)
        row = vector::BitCastOp::create(b, words, row);
      rows.push_back(row);
    }
    // Prefetchers do not see that lines of several columns are read in turns.
    for (int64_t c = 2 * count; isFar && c < 3 * count; ++c)
      memref::PrefetchOp::create(
          b, source.flat,
          b.value(b.add(from, b.multiply(columnStride, b.constant(c)))),
          /*isWrite=*/false, /*localityHint=*/3, /*isDataCache=*/true);
    b.transpose(rows);
    for (auto [k, row] : llvm::enumerate(rows)) {
      Value value = row;
      if (words != type)
        value = vector::BitCastOp::create(b, type, value);
      vector::StoreOp::create(
          b, value, packed.flat,
          b.value(b.add(
              to, b.multiply(packed.strides[2], b.constant(int64_t(k))))));
    }
  }

  void fillZero() {
    OpFoldResult count = b.constant(1);
    auto type = cast<MemRefType>(op.getPacked().getType());
    for (int64_t i = 0; i < 4; ++i)
      count = b.multiply(
          count,
          type.isDynamicDim(i)
              ? OpFoldResult(
                    memref::DimOp::create(b, op.getPacked(), i).getResult())
              : b.constant(type.getDimSize(i)));
    // Rows of a panel are whole vectors, so no tail is left.
    int64_t size = type.getDimSize(3);
    int64_t lanes = std::min<int64_t>(size & -size, 64);
    auto vector = VectorType::get(lanes, elementTo);
    Value zero = arith::ConstantOp::create(b, b.getZeroAttr(vector));
    b.loop(b.constant(0), count, lanes, [&](OpFoldResult i) {
      vector::StoreOp::create(b, zero, packed.flat, b.value(i));
    });
  }

  void emitSums() {
    auto type = cast<MemRefType>(op.getPacked().getType());
    auto size = [&](int64_t i) -> OpFoldResult {
      if (!type.isDynamicDim(i))
        return b.constant(type.getDimSize(i));
      return memref::DimOp::create(b, op.getPacked(), i).getResult();
    };
    OpFoldResult groups = size(0), panels = size(1), steps = size(2);
    auto zero = b.constant(0);
    b.loop(zero, groups, 1, [&](OpFoldResult g) {
      b.loop(zero, panels, 1, [&](OpFoldResult p) {
        OpFoldResult base = b.add(b.multiply(packed.strides[0], g),
                                  b.multiply(packed.strides[1], p));
        OpFoldResult at = b.add(b.multiply(sums.strides[0], g),
                                b.multiply(p, b.constant(width)));
        auto wide = VectorType::get(width * step, b.getI32Type());
        Value start = arith::ConstantOp::create(b, b.getZeroAttr(wide));
        auto loop =
            scf::ForOp::create(b, b.value(zero), b.value(steps),
                               b.value(b.constant(1)), ValueRange{start});
        {
          OpBuilder::InsertionGuard guard(b);
          b.setInsertionPointToStart(loop.getBody());
          Value row = vector::LoadOp::create(
              b, VectorType::get(width * step, elementTo), packed.flat,
              b.value(b.add(base, b.multiply(packed.strides[2],
                                             loop.getInductionVar()))));
          if (!elementTo.isInteger(32))
            row = arith::ExtSIOp::create(b, wide, row);
          Value next = arith::AddIOp::create(b, loop.getRegionIterArg(0), row);
          scf::YieldOp::create(b, next);
        }
        // Lane c * step + s adds to column c.
        Value total = loop.getResult(0);
        Value sum;
        for (int64_t s = 0; s < step; ++s) {
          SmallVector<int64_t> lanes;
          for (int64_t c = 0; c < width; ++c)
            lanes.push_back(c * step + s);
          Value part = vector::ShuffleOp::create(b, total, total, lanes);
          sum = sum ? arith::AddIOp::create(b, sum, part).getResult() : part;
        }
        vector::StoreOp::create(b, sum, sums.flat, b.value(at));
      });
    });
  }
};

} // namespace

void kernel::emitPack(PackOp op, RewriterBase &rewriter, bool isFar) {
  PackEmitter(op, rewriter, isFar).emit();
}
