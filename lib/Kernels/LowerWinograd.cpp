// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Code of Winograd's transforms: a vector of channels at a time, all places of
// one tile. A tile is transformed along its lines and then across them by
// factors of a few terms; what does not fit into registers, LLVM leaves in L1.
#include "Emitter.h"
#include "Winograd.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::kernel;

namespace {
/// What the transforms of both directions have in common.
struct TileEmitter {
  IndexBuilder b;
  InstructionAttrInterface instruction;
  const WinogradTransform &transform;
  int64_t lanes, size;

  TileEmitter(Location loc, RewriterBase &rewriter,
              InstructionAttrInterface instruction, int64_t output)
      : b(loc, rewriter), instruction(instruction),
        transform(getWinogradTransform(output)), lanes(instruction.getLanes()),
        size(transform.getSize()) {}

  VectorType getVector() { return VectorType::get(lanes, b.getF32Type()); }

  Value combine(const std::array<float, 6> &row, ArrayRef<Value> values);
  SmallVector<Value> apply(ArrayRef<WinogradFactor> factors,
                           SmallVector<Value> values);
  SmallVector<Value> applyTwice(ArrayRef<WinogradFactor> factors,
                                ArrayRef<Value> square);

  /// Emits `body(c, mask)` for each vector of channels; the mask is null where
  /// all lanes are channels.
  void forEachVector(int64_t channels,
                     function_ref<void(OpFoldResult, Value)> body);
  /// Emits `body(t, y, x)` for the tiles of lines `line` on that have results:
  /// which one it is of `tiles`, and the line and the place of its first
  /// result.
  void forEachTile(Value tiles, Value line, int64_t height, int64_t width,
                   function_ref<void(Value, Value, Value)> body);
};
} // namespace

/// The sum of `values` times `row`.
Value TileEmitter::combine(const std::array<float, 6> &row,
                           ArrayRef<Value> values) {
  // Begins with a term that need not be multiplied.
  SmallVector<size_t> terms;
  for (size_t i = 0; i < values.size(); ++i)
    if (row[i] != 0)
      terms.push_back(i);
  llvm::stable_sort(
      terms, [&](size_t x, size_t y) { return (row[x] == 1) > (row[y] == 1); });
  assert(row[terms.front()] == 1 && "a row without a plain term");
  Value sum = values[terms.front()];
  for (size_t i : ArrayRef(terms).drop_front()) {
    if (row[i] == 1) {
      sum = arith::AddFOp::create(b, sum, values[i]);
    } else if (row[i] == -1) {
      sum = arith::SubFOp::create(b, sum, values[i]);
    } else {
      Value factor = arith::ConstantOp::create(
          b, DenseElementsAttr::get(getVector(), row[i]));
      sum = instruction.buildMultiplyAccumulate(b, b.getLoc(), factor,
                                                values[i], sum);
    }
  }
  return sum;
}

SmallVector<Value> TileEmitter::apply(ArrayRef<WinogradFactor> factors,
                                      SmallVector<Value> values) {
  for (WinogradFactor factor : factors) {
    SmallVector<Value> next;
    for (const std::array<float, 6> &row : factor)
      next.push_back(combine(row, values));
    values = std::move(next);
  }
  return values;
}

/// Applies `factors` to the columns of `square`, then to the rows.
SmallVector<Value> TileEmitter::applyTwice(ArrayRef<WinogradFactor> factors,
                                           ArrayRef<Value> square) {
  SmallVector<SmallVector<Value>> columns;
  for (int64_t j = 0; j < size; ++j) {
    SmallVector<Value> column;
    for (int64_t i = 0; i < size; ++i)
      column.push_back(square[i * size + j]);
    columns.push_back(apply(factors, column));
  }
  SmallVector<Value> result;
  for (size_t i = 0; i < columns.front().size(); ++i) {
    SmallVector<Value> row;
    for (ArrayRef<Value> column : columns)
      row.push_back(column[i]);
    llvm::append_range(result, apply(factors, row));
  }
  return result;
}

void TileEmitter::forEachVector(int64_t channels,
                                function_ref<void(OpFoldResult, Value)> body) {
  int64_t rest = channels % lanes, whole = channels - rest;
  b.loop(b.constant(0), b.constant(whole), lanes,
         [&](OpFoldResult c) { body(c, Value()); });
  if (rest == 0)
    return;
  SmallVector<bool> exists(lanes, false);
  std::fill_n(exists.begin(), rest, true);
  auto type = VectorType::get(lanes, b.getI1Type());
  body(b.constant(whole),
       arith::ConstantOp::create(b, DenseElementsAttr::get(type, exists)));
}

void TileEmitter::forEachTile(Value tiles, Value line, int64_t height,
                              int64_t width,
                              function_ref<void(Value, Value, Value)> body) {
  int64_t output = transform.output,
          across = static_cast<int64_t>(llvm::divideCeil(width, output));
  int64_t lines = cast<MemRefType>(tiles.getType()).getDimSize(1) / across;
  OpFoldResult left = b.subtract(
      b.constant(static_cast<int64_t>(llvm::divideCeil(height, output))), line);
  b.loop(b.constant(0), b.minimum(b.constant(lines), left), 1,
         [&](OpFoldResult i) {
           OpFoldResult y = b.multiply(b.add(line, i), b.constant(output)),
                        first = b.multiply(i, b.constant(across));
           b.loop(b.constant(0), b.constant(across), 1, [&](OpFoldResult j) {
             body(b.value(b.add(first, j)), b.value(y),
                  b.value(b.multiply(j, b.constant(output))));
           });
         });
}

//===-- input -------------------------------------------------------------===//

namespace {
struct InputEmitter : TileEmitter {
  WinogradInputOp op;
  FlatView source, tiles;
  int64_t height, width, channels;

  InputEmitter(WinogradInputOp op, RewriterBase &rewriter)
      : TileEmitter(op.getLoc(), rewriter, op.getInstruction(),
                    static_cast<int64_t>(op.getOutput())),
        op(op) {
    ArrayRef<int64_t> shape =
        cast<MemRefType>(op.getSource().getType()).getShape();
    height = shape[1];
    width = shape[2];
    channels = shape[3];
  }

  /// Transforms the tile that begins at (`y`, `x`). Where it `ends` outside of
  /// the source, what lies there is not read.
  void emitTile(Value t, Value y, Value x, bool ends) {
    OpFoldResult from = b.add(b.multiply(op.getImage(), source.strides[0]),
                              b.add(b.multiply(y, source.strides[1]),
                                    b.multiply(x, source.strides[2])));
    OpFoldResult to = b.multiply(t, tiles.strides[1]);
    auto masks = VectorType::get(lanes, b.getI1Type());
    Type element = cast<MemRefType>(source.flat.getType()).getElementType();
    auto exists = [&](Value first, int64_t i, int64_t extent) -> Value {
      return arith::CmpIOp::create(b, arith::CmpIPredicate::ult,
                                   b.value(b.add(first, b.constant(i))),
                                   b.value(b.constant(extent)));
    };
    SmallVector<Value> lines, places;
    for (int64_t i = 0; ends && i < size; ++i) {
      lines.push_back(exists(y, i, height));
      places.push_back(exists(x, i, width));
    }
    forEachVector(channels, [&](OpFoldResult c, Value lanesMask) {
      SmallVector<Value> square;
      for (int64_t i = 0; i < size; ++i)
        for (int64_t j = 0; j < size; ++j) {
          OpFoldResult place =
              b.add(b.multiply(b.constant(i), source.strides[1]),
                    b.multiply(b.constant(j), source.strides[2]));
          OpFoldResult at =
              b.add(b.add(from, b.multiply(c, source.strides[3])), place);
          Value mask = lanesMask;
          if (ends) {
            Value exists = vector::BroadcastOp::create(
                b, masks, arith::AndIOp::create(b, lines[i], places[j]));
            mask = mask ? arith::AndIOp::create(b, mask, exists).getResult()
                        : exists;
          }
          Value loaded =
              loadExtra(b, source, at, source.strides[3], lanes, mask);
          if (!element.isF32())
            loaded = arith::ExtFOp::create(b, getVector(), loaded);
          square.push_back(loaded);
        }
      for (auto [p, value] :
           llvm::enumerate(applyTwice(transform.input, square)))
        vector::StoreOp::create(
            b, value, tiles.flat,
            b.value(b.add(b.add(to, c),
                          b.multiply(b.constant(static_cast<int64_t>(p)),
                                     tiles.strides[0]))));
    });
  }

  void emit() {
    source = flatten(b, op.getSource());
    tiles = flatten(b, op.getTiles());
    int64_t output = transform.output, window = size - output;
    auto isWhole = [&](int64_t extent) {
      return (extent - window) % output == 0;
    };
    forEachTile(
        op.getTiles(), op.getLine(), height - window, width - window,
        [&](Value t, Value y, Value x) {
          if (isWhole(height) && isWhole(width))
            return emitTile(t, y, x, /*ends=*/false);
          auto fits = [&](Value first, int64_t extent) {
            return arith::CmpIOp::create(b, arith::CmpIPredicate::ule, first,
                                         b.value(b.constant(extent - size)));
          };
          // Signed and unsigned are one: images smaller than a tile have none
          // that fits.
          Value inside =
              height < size || width < size
                  ? arith::ConstantOp::create(b, b.getBoolAttr(false))
                        .getResult()
                  : arith::AndIOp::create(b, fits(y, height), fits(x, width))
                        .getResult();
          auto branch = scf::IfOp::create(b, inside, /*withElseRegion=*/true);
          OpBuilder::InsertionGuard guard(b);
          b.setInsertionPointToStart(branch.thenBlock());
          emitTile(t, y, x, /*ends=*/false);
          b.setInsertionPointToStart(branch.elseBlock());
          emitTile(t, y, x, /*ends=*/true);
        });
  }
};
} // namespace

void kernel::emitWinogradInput(WinogradInputOp op, RewriterBase &rewriter) {
  rewriter.setInsertionPoint(op);
  InputEmitter(op, rewriter).emit();
}

//===-- output ------------------------------------------------------------===//

namespace {
struct OutputEmitter : TileEmitter {
  WinogradOutputOp op;
  FlatView tiles, init;
  SmallVector<FlatView> extras;
  SmallVector<AffineMap> maps;
  /// The results of a tile, a vector each: the epilogue is emitted once.
  Value results;

  OutputEmitter(WinogradOutputOp op, RewriterBase &rewriter)
      : TileEmitter(op.getLoc(), rewriter, op.getInstruction(),
                    static_cast<int64_t>(op.getOutput())),
        op(op), maps(op.getIndexingMaps().getAsValueRange<AffineMapAttr>()) {}

  /// Where (image, `y`, `x`, `c`) lies, by the strides of each.
  OpFoldResult getOffset(ArrayRef<OpFoldResult> strides, OpFoldResult y,
                         OpFoldResult x, OpFoldResult c) {
    OpFoldResult at = b.multiply(op.getImage(), strides[0]);
    at = b.add(at, b.multiply(y, strides[1]));
    at = b.add(at, b.multiply(x, strides[2]));
    return b.add(at, b.multiply(c, strides[3]));
  }

  Value loadOperand(unsigned i, OpFoldResult y, OpFoldResult x, OpFoldResult c,
                    Value mask) {
    Value operand = op.getExtras()[i];
    if (!isa<MemRefType>(operand.getType()))
      return vector::BroadcastOp::create(
          b, VectorType::get(lanes, operand.getType()), operand);
    return loadExtra(b, extras[i], getOffset(extras[i].perDim, y, x, c),
                     extras[i].perDim[3], lanes, mask);
  }

  /// Stores vector `value` of one place.
  void finish(Value value, OpFoldResult y, OpFoldResult x, OpFoldResult c,
              Value mask) {
    if (op.hasEpilogue()) {
      SmallVector<Value> arguments{value};
      for (unsigned i = 0; i < op.getExtras().size(); ++i)
        arguments.push_back(loadOperand(i, y, x, c, mask));
      value = inlineAtWidth(b, op.getEpilogue().front(), arguments, lanes);
    }
    Value at = b.value(getOffset(init.strides, y, x, c));
    if (mask)
      vector::MaskedStoreOp::create(b, init.flat, at, mask, value);
    else
      vector::StoreOp::create(b, value, init.flat, at);
  }

  void emitVector(Value t, Value y, Value x, OpFoldResult c, Value mask,
                  int64_t height, int64_t width) {
    SmallVector<Value> square;
    for (int64_t p = 0; p < size * size; ++p)
      square.push_back(vector::LoadOp::create(
          b, getVector(), tiles.flat,
          b.value(b.add(b.add(b.multiply(t, tiles.strides[1]), c),
                        b.multiply(b.constant(p), tiles.strides[0])))));
    int64_t output = transform.output;
    for (auto [i, value] :
         llvm::enumerate(applyTwice(transform.inverse, square)))
      vector::StoreOp::create(
          b, value, results,
          b.value(b.constant(static_cast<int64_t>(i) * lanes)));
    auto count = [&](Value first, int64_t extent) {
      return extent % output == 0
                 ? b.constant(output)
                 : b.minimum(b.constant(output),
                             b.subtract(b.constant(extent), first));
    };
    b.loop(b.constant(0), count(y, height), 1, [&](OpFoldResult i) {
      b.loop(b.constant(0), count(x, width), 1, [&](OpFoldResult j) {
        OpFoldResult at = b.add(b.multiply(i, b.constant(output * lanes)),
                                b.multiply(j, b.constant(lanes)));
        finish(vector::LoadOp::create(b, getVector(), results, b.value(at)),
               b.add(y, i), b.add(x, j), c, mask);
      });
    });
  }

  void emit() {
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToCall();
      int64_t count = transform.output * transform.output;
      results = memref::AllocaOp::create(
          b, MemRefType::get({count * lanes}, b.getF32Type()),
          b.getI64IntegerAttr(64));
    }
    tiles = flatten(b, op.getTiles());
    init = flatten(b, op.getInit());
    for (auto [operand, map] : llvm::zip_equal(op.getExtras(), maps))
      extras.push_back(isa<MemRefType>(operand.getType())
                           ? flatten(b, operand, map)
                           : FlatView());
    ArrayRef<int64_t> shape =
        cast<MemRefType>(op.getInit().getType()).getShape();
    int64_t height = shape[1], width = shape[2], channels = shape[3];
    forEachTile(op.getTiles(), op.getLine(), height, width,
                [&](Value t, Value y, Value x) {
                  forEachVector(channels, [&](OpFoldResult c, Value mask) {
                    emitVector(t, y, x, c, mask, height, width);
                  });
                });
  }
};
} // namespace

void kernel::emitWinogradOutput(WinogradOutputOp op, RewriterBase &rewriter) {
  rewriter.setInsertionPoint(op);
  OutputEmitter(op, rewriter).emit();
}
