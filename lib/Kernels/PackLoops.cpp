// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Packing at run time: the right operand of a product of two activations is
// brought into the instruction's order by loops. Elements outside the source
// become zero, as in packed parameters.
#include "Emitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::kernel;

namespace {

struct PackEmitter {
  PackOp op;
  IndexBuilder b;
  FlatView source, packed, sums;
  Type from, to;

  PackEmitter(PackOp op, RewriterBase &rewriter)
      : op(op), b(op.getLoc(), rewriter) {
    b.setInsertionPoint(op);
    source = flatten(b, op.getSource());
    packed = flatten(b, op.getPacked());
    if (op.getSums())
      sums = flatten(b, op.getSums());
    from = cast<MemRefType>(op.getSource().getType()).getElementType();
    to = cast<MemRefType>(op.getPacked().getType()).getElementType();
  }

  OpFoldResult extent(int64_t dim) {
    auto type = cast<MemRefType>(op.getSource().getType());
    if (!type.isDynamicDim(dim))
      return b.constant(type.getDimSize(dim));
    return memref::DimOp::create(b, op.getSource(), dim).getResult();
  }

  Value convert(Value element) {
    if (from == to && op.getOffset() == 0)
      return element;
    if (isa<FloatType>(from))
      return arith::ExtFOp::create(b, to, element);
    Type i32 = b.getI32Type();
    if (from != i32)
      element = op.getIsUnsigned()
                    ? arith::ExtUIOp::create(b, i32, element).getResult()
                    : arith::ExtSIOp::create(b, i32, element).getResult();
    Value offset =
        arith::ConstantOp::create(b, b.getI32IntegerAttr(op.getOffset()));
    element = arith::SubIOp::create(b, element, offset);
    return to == i32 ? element : arith::TruncIOp::create(b, to, element);
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
    fillZero();
    int64_t step = op.getStep(), width = op.getWidth();
    ArrayRef<int64_t> reductions = op.getReductions();
    OpFoldResult runLength = b.constant(1);
    for (int64_t d : reductions.take_back(op.getRun()))
      runLength = b.multiply(runLength, extent(d));
    OpFoldResult runSteps = b.ceilDivide(runLength, step);
    bool hasColumn = op.getColumn() != static_cast<uint64_t>(-1);
    OpFoldResult columns = hasColumn ? extent(op.getColumn()) : b.constant(1);
    OpFoldResult columnStride =
        hasColumn ? source.strides[op.getColumn()] : b.constant(0);
    auto zero = b.constant(0);
    walk(op.getGroups(), zero, zero, [&](OpFoldResult offset, OpFoldResult g) {
      walk(reductions.drop_back(op.getRun()), offset, zero,
           [&](OpFoldResult offset, OpFoldResult outer) {
             walk(reductions.take_back(op.getRun()), offset, zero,
                  [&](OpFoldResult offset, OpFoldResult k) {
                    OpFoldResult row =
                        b.add(b.multiply(outer, runSteps), b.divide(k, step));
                    OpFoldResult to = b.add(b.multiply(packed.strides[0], g),
                                            b.multiply(packed.strides[2], row));
                    to = b.add(to, b.remainder(k, step));
                    auto move = [&](OpFoldResult from, OpFoldResult to) {
                      Value element =
                          memref::LoadOp::create(b, source.flat, b.value(from));
                      memref::StoreOp::create(b, convert(element), packed.flat,
                                              b.value(to));
                    };
                    OpFoldResult panels = b.ceilDivide(columns, width);
                    b.loop(zero, panels, 1, [&](OpFoldResult p) {
                      OpFoldResult first = b.multiply(p, b.constant(width));
                      OpFoldResult count = b.minimum(
                          b.constant(width), b.subtract(columns, first));
                      OpFoldResult panelTo =
                          b.add(to, b.multiply(packed.strides[1], p));
                      OpFoldResult panelFrom =
                          b.add(offset, b.multiply(columnStride, first));
                      b.loop(zero, count, 1, [&](OpFoldResult c) {
                        move(b.add(panelFrom, b.multiply(columnStride, c)),
                             b.add(panelTo, b.multiply(c, b.constant(step))));
                      });
                    });
                  });
           });
    });
    if (op.getSums())
      emitSums();
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
    int64_t width = type.getDimSize(3);
    int64_t lanes = std::min<int64_t>(width & -width, 64);
    auto vector = VectorType::get(lanes, to);
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
    int64_t step = op.getStep(), width = op.getWidth();
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
              b, VectorType::get(width * step, to), packed.flat,
              b.value(b.add(base, b.multiply(packed.strides[2],
                                             loop.getInductionVar()))));
          if (!to.isInteger(32))
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

void kernel::emitPack(PackOp op, RewriterBase &rewriter) {
  PackEmitter(op, rewriter).emit();
}
