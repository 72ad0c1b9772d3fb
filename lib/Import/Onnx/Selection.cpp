// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Operators whose result says where or which: OneHot, NonZero, Compress, TopK,
// Unique, NonMaxSuppression. What only the data counts is written into a
// buffer of the largest size and sliced.
#include "Structured.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::tamis::onnx;

namespace {

using P = arith::CmpIPredicate;

Value isNonZero(ImplicitLocOpBuilder &b, Value element) {
  if (isa<FloatType>(element.getType()))
    return arith::CmpFOp::create(b, arith::CmpFPredicate::UNE, element,
                                 Importer::constant(b, element.getType(), 0));
  return arith::CmpIOp::create(b, P::ne, element,
                               Importer::constant(b, element.getType(), 0));
}

//===-- OneHot ------------------------------------------------------------===//

LogicalResult importOneHot(Importer &im, const Node &node) {
  ImportedValue indices = im.in(node, 0), depthInput = im.in(node, 1);
  ImportedValue values = im.in(node, 2);
  Value indexTensor = im.tensor(indices), pair = im.tensor(values);
  if (!indexTensor || !pair)
    return failure();
  OpFoldResult depth;
  if (isInteger(depthInput.dtype)) {
    auto given = im.indices(node, depthInput);
    if (failed(given))
      return failure();
    if (given->size() != 1)
      return im.error(node) << "depth must be one number";
    depth = given->front();
  } else {
    Value scalar = im.scalar(depthInput);
    if (!scalar || !isa<FloatType>(scalar.getType()))
      return im.error(node)
             << "depth must be a number, got " << dtypeName(depthInput.dtype);
    Type type = scalar.getType();
    scalar = arith::MinimumFOp::create(
        im.b, arith::MaxNumFOp::create(im.b, scalar, im.constant(type, 0)),
        im.constant(type, 32768));
    Value whole = arith::FPToSIOp::create(im.b, im.b.getI64Type(), scalar);
    depth = im.shape.symbol(toIndex(im.b, whole, DType::Int64), 0, 32768);
    if (auto known = im.constantScalar(depthInput))
      depth = im.shape.attr(
          static_cast<int64_t>(std::min(std::max(*known, 0.0), 32768.0)));
  }
  if (auto known = ShapeMath::constant(depth); known && *known < 0)
    return im.error(node) << "depth " << *known << " is negative";
  depth = im.shape.max(depth, im.shape.attr(0));
  if (tensorTypeOf(pair).getShape() != ArrayRef<int64_t>{2})
    return im.error(node) << "values must have two elements";
  int64_t rank = rankOf(indexTensor);
  auto axis = im.axis(node, im.getInt(node, "axis", -1), rank + 1);
  if (failed(axis))
    return failure();
  Sizes sizes = im.dims(indexTensor);
  sizes.insert(sizes.begin() + *axis, depth);
  SmallVector<AffineExpr> at;
  for (int64_t i = 0; i <= rank; ++i)
    if (i != *axis)
      at.push_back(im.b.getAffineDimExpr(i));
  SmallVector<Value> scalars;
  for (int64_t i = 0; i < 2; ++i)
    scalars.push_back(tensor::ExtractOp::create(
        im.b, pair, ValueRange{indexConstant(im.b, i)}));
  Value limit = im.shape.value(depth);
  Value result = generic(
      im, indexTensor, AffineMap::get(rank + 1, 0, at, im.b.getContext()),
      sizes, elementOf(pair),
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value index = args[0];
        DType dtype = indices.dtype;
        if (isFloat(dtype)) {
          index = arith::FPToSIOp::create(b, b.getI64Type(), index);
          dtype = DType::Int64;
        }
        index = toIndex(b, index, dtype);
        Value negative = compareIndex(b, P::slt, index, indexConstant(b, 0));
        index = arith::SelectOp::create(b, negative, addIndex(b, index, limit),
                                        index);
        Value hot =
            compareIndex(b, P::eq, index, linalg::IndexOp::create(b, *axis));
        return arith::SelectOp::create(b, hot, scalars[1], scalars[0]);
      });
  return im.out(node, 0, result, values.dtype);
}

//===-- NonZero and Compress ----------------------------------------------===//

LogicalResult importNonZero(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  Value x = im.tensor(input);
  if (!x)
    return failure();
  int64_t rank = rankOf(x);
  Type i64 = im.b.getI64Type();
  Sizes sizes = im.dims(x);
  Value buffer = im.empty({im.shape.attr(rank), im.shape.product(sizes)}, i64);
  SmallVector<Value> result =
      loops(im, sizes, {buffer, indexConstant(im.b, 0)},
            [&](ImplicitLocOpBuilder &b, ValueRange at, ValueRange carried) {
              Value element = tensor::ExtractOp::create(b, x, at);
              return choose(
                  b, isNonZero(b, element),
                  [&](ImplicitLocOpBuilder &b) {
                    Value filled = carried[0];
                    for (int64_t i = 0; i < rank; ++i)
                      filled = tensor::InsertOp::create(
                          b, fromIndex(b, at[i], i64), filled,
                          ValueRange{indexConstant(b, i), carried[1]});
                    Value next = addIndex(b, carried[1], indexConstant(b, 1));
                    return SmallVector<Value>{filled, next};
                  },
                  [&](ImplicitLocOpBuilder &) {
                    return SmallVector<Value>(carried);
                  });
            });
  return im.out(node, 0, keepFirst(im, result[0], 1, result[1]), DType::Int64);
}

LogicalResult importCompress(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0), condition = im.in(node, 1);
  Value x = im.tensor(input), bits = im.tensor(condition);
  if (!x || !bits || failed(im.requireRank(node, bits, 1, "condition")))
    return failure();
  if (condition.dtype != DType::Bool)
    return im.error(node) << "the condition must be bool, got "
                          << dtypeName(condition.dtype);
  int64_t dim = 0;
  if (im.attr(node, "axis")) {
    auto axis = im.axis(node, im.getInt(node, "axis", 0), rankOf(x));
    if (failed(axis))
      return failure();
    dim = *axis;
  } else {
    x = im.reshape(x, im.shape.product(im.dims(x)));
  }
  // A shorter condition selects among the first entries.
  OpFoldResult entries = im.shape.min(im.dim(x, dim), im.dim(bits, 0));
  Sizes sizes = im.dims(x), one = sizes;
  sizes[dim] = entries;
  one[dim] = im.shape.attr(1);
  int64_t rank = sizes.size();
  SmallVector<Value> result = loops(
      im, entries, {im.empty(sizes, elementOf(x)), indexConstant(im.b, 0)},
      [&](ImplicitLocOpBuilder &b, ValueRange at, ValueRange carried) {
        Value bit = tensor::ExtractOp::create(b, bits, at);
        return choose(
            b, bit,
            [&](ImplicitLocOpBuilder &b) {
              Sizes from(rank, b.getIndexAttr(0)),
                  strides(rank, b.getIndexAttr(1));
              Sizes to = from;
              from[dim] = at[0];
              to[dim] = carried[1];
              Value row =
                  tensor::ExtractSliceOp::create(b, x, from, one, strides);
              Value filled = tensor::InsertSliceOp::create(b, row, carried[0],
                                                           to, one, strides);
              Value next = addIndex(b, carried[1], indexConstant(b, 1));
              return SmallVector<Value>{filled, next};
            },
            [&](ImplicitLocOpBuilder &) {
              return SmallVector<Value>(carried);
            });
      });
  return im.out(node, 0, keepFirst(im, result[0], dim, result[1]), input.dtype);
}

//===-- TopK --------------------------------------------------------------===//

/// Inserts each element of a row into the sorted best so far. Equal elements
/// stay in the order of their indices.
LogicalResult importTopK(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  Value x = im.tensor(input);
  if (!x)
    return failure();
  int64_t rank = rankOf(x);
  auto axis = im.axis(node, im.getInt(node, "axis", -1), rank);
  if (failed(axis))
    return failure();
  OpFoldResult k;
  if (im.has(node, 1)) {
    auto given = im.indices(node, 1);
    if (failed(given))
      return failure();
    if (given->size() != 1)
      return im.error(node) << "k must be one number";
    k = given->front();
  } else {
    k = im.shape.attr(im.getInt(node, "k", -1));
  }
  bool largest = im.getInt(node, "largest", 1) != 0;
  Sizes sizes = im.dims(x), outer = sizes, wanted = sizes;
  OpFoldResult length = sizes[*axis];
  auto knownK = ShapeMath::constant(k),
       knownLength = ShapeMath::constant(length);
  if (knownK && (*knownK < 0 || (knownLength && *knownK > *knownLength)))
    return im.error(node) << "k is " << *knownK << ", the dimension has "
                          << (knownLength ? *knownLength : -1) << " elements";
  if (!knownK || !knownLength) {
    Value asked = im.shape.value(k), most = im.shape.value(length);
    im.check(compareIndex(im.b, P::ule, asked, most), TAMIS_FAULT_INDEX);
    if (!im.shape.atMost(k, length))
      k = im.shape.max(im.shape.min(k, length), im.shape.attr(0));
  }
  wanted[*axis] = k;
  outer.erase(outer.begin() + *axis);
  Value limit = im.shape.value(k), steps = im.shape.value(length);
  Type i64 = im.b.getI64Type();
  auto rowAt = [&](ValueRange row, Value at) {
    SmallVector<Value> position(row);
    position.insert(position.begin() + *axis, at);
    return position;
  };
  // outer rows, elements, then places from the last to the first.
  SmallVector<Value> result = loops(
      im, outer, {im.empty(wanted, elementOf(x)), im.empty(wanted, i64)},
      [&](ImplicitLocOpBuilder &b, ValueRange row, ValueRange carried) {
        Value zero = indexConstant(b, 0), one = indexConstant(b, 1);
        auto elements = scf::ForOp::create(
            b, zero, steps, one, carried,
            [&](OpBuilder &nested, Location loc, Value step, ValueRange best) {
              ImplicitLocOpBuilder b(loc, nested);
              Value element = tensor::ExtractOp::create(b, x, rowAt(row, step));
              Value filled = arith::MinSIOp::create(b, step, limit);
              Value last = subIndex(b, filled, one);
              auto places = scf::ForOp::create(
                  b, zero, filled, one, ValueRange{best[0], best[1], filled},
                  [&](OpBuilder &nested, Location loc, Value back,
                      ValueRange state) {
                    ImplicitLocOpBuilder b(loc, nested);
                    Value place = subIndex(b, last, back);
                    Value other = tensor::ExtractOp::create(b, state[0],
                                                            rowAt(row, place));
                    Value better =
                        largest ? greater(b, element, other, input.dtype)
                                : greater(b, other, element, input.dtype);
                    SmallVector<Value> next = choose(
                        b, better,
                        [&](ImplicitLocOpBuilder &b) {
                          Value below = addIndex(b, place, indexConstant(b, 1));
                          Value fits = compareIndex(b, P::slt, below, limit);
                          SmallVector<Value> moved = choose(
                              b, fits,
                              [&](ImplicitLocOpBuilder &b) {
                                Value index = tensor::ExtractOp::create(
                                    b, state[1], rowAt(row, place));
                                Value values = tensor::InsertOp::create(
                                    b, other, state[0], rowAt(row, below));
                                Value indices = tensor::InsertOp::create(
                                    b, index, state[1], rowAt(row, below));
                                return SmallVector<Value>{values, indices};
                              },
                              [&](ImplicitLocOpBuilder &) {
                                return SmallVector<Value>{state[0], state[1]};
                              });
                          moved.push_back(place);
                          return moved;
                        },
                        [&](ImplicitLocOpBuilder &) {
                          return SmallVector<Value>(state);
                        });
                    scf::YieldOp::create(b, next);
                  });
              Value place = places.getResult(2);
              Value fits = compareIndex(b, P::slt, place, limit);
              SmallVector<Value> next = choose(
                  b, fits,
                  [&](ImplicitLocOpBuilder &b) {
                    Value values = tensor::InsertOp::create(
                        b, element, places.getResult(0), rowAt(row, place));
                    Value indices = tensor::InsertOp::create(
                        b, fromIndex(b, step, i64), places.getResult(1),
                        rowAt(row, place));
                    return SmallVector<Value>{values, indices};
                  },
                  [&](ImplicitLocOpBuilder &) {
                    return SmallVector<Value>{places.getResult(0),
                                              places.getResult(1)};
                  });
              scf::YieldOp::create(b, next);
            });
        return SmallVector<Value>(elements.getResults().begin(),
                                  elements.getResults().end());
      });
  if (failed(im.out(node, 0, result[0], input.dtype)))
    return failure();
  return im.out(node, 1, result[1], DType::Int64);
}

//===-- NonMaxSuppression -------------------------------------------------===//

/// The corners of box `index` of `batch` and its area.
struct Box {
  Value low[2], high[2], area;
};

Box readBox(ImplicitLocOpBuilder &b, Value boxes, Value batch, Value index,
            bool center) {
  auto at = [&](int64_t k) -> Value {
    return tensor::ExtractOp::create(
        b, boxes, ValueRange{batch, index, indexConstant(b, k)});
  };
  Type type = elementOf(boxes);
  Box box;
  Value area;
  for (int k = 0; k < 2; ++k) {
    Value first = at(k), second = at(k + 2);
    if (center) {
      Value half =
          arith::MulFOp::create(b, second, Importer::constant(b, type, 0.5));
      second = arith::AddFOp::create(b, first, half);
      first = arith::SubFOp::create(b, first, half);
    }
    box.low[k] = arith::MinimumFOp::create(b, first, second);
    box.high[k] = arith::MaximumFOp::create(b, first, second);
    Value side = arith::SubFOp::create(b, box.high[k], box.low[k]);
    area = area ? arith::MulFOp::create(b, area, side).getResult() : side;
  }
  box.area = area;
  return box;
}

/// Intersection over union above the threshold.
Value overlaps(ImplicitLocOpBuilder &b, const Box &l, const Box &r,
               Value threshold) {
  Type type = threshold.getType();
  Value zero = Importer::constant(b, type, 0), common;
  for (int k = 0; k < 2; ++k) {
    Value low = arith::MaximumFOp::create(b, l.low[k], r.low[k]);
    Value high = arith::MinimumFOp::create(b, l.high[k], r.high[k]);
    Value side =
        arith::MaximumFOp::create(b, arith::SubFOp::create(b, high, low), zero);
    common = common ? arith::MulFOp::create(b, common, side).getResult() : side;
  }
  Value both = arith::SubFOp::create(
      b, arith::AddFOp::create(b, l.area, r.area), common);
  Value ratio = arith::DivFOp::create(b, common, both);
  return arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, ratio, threshold);
}

/// For each batch and class: the best box left is taken, those that overlap it
/// are struck out, until none is left or the class has enough.
LogicalResult importNonMaxSuppression(Importer &im, const Node &node) {
  Value boxes = im.tensor(node, 0), scores = im.tensor(node, 1);
  if (!boxes || !scores || failed(im.requireRank(node, boxes, 3, "boxes")) ||
      failed(im.requireRank(node, scores, 3, "scores")))
    return failure();
  Type type = elementOf(boxes);
  if (!type.isF32() || elementOf(scores) != type)
    return im.error(node) << "boxes and scores must be float32";
  if (failed(im.requireEqual(node, im.dim(boxes, 2), im.shape.attr(4),
                             "coordinates of a box")) ||
      failed(im.requireEqual(node, im.dim(boxes, 0), im.dim(scores, 0),
                             "batch")) ||
      failed(im.requireEqual(node, im.dim(boxes, 1), im.dim(scores, 2),
                             "boxes and scores")))
    return failure();
  if (!im.shape.equal(im.dim(boxes, 0), im.dim(scores, 0)) ||
      !im.shape.equal(im.dim(boxes, 1), im.dim(scores, 2)) ||
      tensorTypeOf(boxes).getDimSize(2) != 4)
    return im.error(node) << "the sizes of boxes and scores must be known to "
                             "agree";
  bool center = im.getInt(node, "center_point_box", 0) != 0;
  OpFoldResult most = im.shape.attr(0);
  if (im.has(node, 2)) {
    auto given = im.indices(node, 2);
    if (failed(given) || given->size() != 1)
      return failed(given) ? failure()
                           : LogicalResult(im.error(node)
                                           << "max_output_boxes_per_class must "
                                              "be one number");
    most = im.shape.max(given->front(), im.shape.attr(0));
  }
  auto scalarOr = [&](size_t index, double fallback) -> Value {
    return im.has(node, index) ? im.scalar(im.in(node, index))
                               : im.constant(type, fallback);
  };
  Value iou = scalarOr(3, 0);
  bool hasScore = im.has(node, 4);
  Value least = scalarOr(4, 0);
  if (!iou || !least || iou.getType() != type || least.getType() != type)
    return im.error(node) << "thresholds must be float32 scalars";
  OpFoldResult count = im.dim(boxes, 1), classes = im.dim(scores, 1);
  OpFoldResult perClass = im.shape.min(most, count);
  Value rounds = im.shape.value(perClass), all = im.shape.value(count);
  Type i64 = im.b.getI64Type();
  OpFoldResult rows = im.shape.product({im.dim(scores, 0), classes, perClass});
  Value buffer = im.empty({rows, im.shape.attr(3)}, i64);
  Value alive = im.empty(count, im.b.getI1Type());
  SmallVector<Value> result = loops(
      im, {im.dim(scores, 0), classes}, {buffer, indexConstant(im.b, 0), alive},
      [&](ImplicitLocOpBuilder &b, ValueRange at, ValueRange carried) {
        Value zero = indexConstant(b, 0), one = indexConstant(b, 1);
        Value no = Importer::constantInt(b, b.getI1Type(), 0);
        auto start = scf::ForOp::create(
            b, zero, all, one, carried[2],
            [&](OpBuilder &nested, Location loc, Value i, ValueRange state) {
              ImplicitLocOpBuilder b(loc, nested);
              Value bit = Importer::constantInt(b, b.getI1Type(), 1);
              if (hasScore) {
                Value score = tensor::ExtractOp::create(
                    b, scores, ValueRange{at[0], at[1], i});
                bit = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, score,
                                            least);
              }
              Value marked = tensor::InsertOp::create(b, bit, state[0], i);
              scf::YieldOp::create(b, marked);
            });
        auto taken = scf::ForOp::create(
            b, zero, rounds, one,
            ValueRange{carried[0], carried[1], start.getResult(0)},
            [&](OpBuilder &nested, Location loc, Value, ValueRange state) {
              ImplicitLocOpBuilder b(loc, nested);
              Value none = lowestOf(b, type, DType::Float);
              auto best = scf::ForOp::create(
                  b, zero, all, one, ValueRange{none, zero, no},
                  [&](OpBuilder &nested, Location loc, Value i,
                      ValueRange found) {
                    ImplicitLocOpBuilder b(loc, nested);
                    Value score = tensor::ExtractOp::create(
                        b, scores, ValueRange{at[0], at[1], i});
                    Value isAlive = tensor::ExtractOp::create(b, state[2], i);
                    Value better = arith::OrIOp::create(
                        b, greater(b, score, found[0], DType::Float),
                        arith::XOrIOp::create(
                            b, found[2],
                            Importer::constantInt(b, b.getI1Type(), 1)));
                    Value take = arith::AndIOp::create(b, isAlive, better);
                    Value newScore =
                        arith::SelectOp::create(b, take, score, found[0]);
                    Value newIndex =
                        arith::SelectOp::create(b, take, i, found[1]);
                    Value any = arith::OrIOp::create(b, found[2], take);
                    scf::YieldOp::create(b,
                                         ValueRange{newScore, newIndex, any});
                  });
              Value index = best.getResult(1);
              SmallVector<Value> next = choose(
                  b, best.getResult(2),
                  [&](ImplicitLocOpBuilder &b) {
                    Value filled = state[0];
                    Value columns[] = {at[0], at[1], index};
                    for (int64_t k = 0; k < 3; ++k)
                      filled = tensor::InsertOp::create(
                          b, fromIndex(b, columns[k], i64), filled,
                          ValueRange{state[1], indexConstant(b, k)});
                    Box chosen = readBox(b, boxes, at[0], index, center);
                    auto left = scf::ForOp::create(
                        b, zero, all, one, state[2],
                        [&](OpBuilder &nested, Location loc, Value i,
                            ValueRange marks) {
                          ImplicitLocOpBuilder b(loc, nested);
                          Box other = readBox(b, boxes, at[0], i, center);
                          Value struck = arith::OrIOp::create(
                              b, overlaps(b, chosen, other, iou),
                              compareIndex(b, P::eq, i, index));
                          Value was = tensor::ExtractOp::create(b, marks[0], i);
                          Value bit =
                              arith::SelectOp::create(b, struck, no, was);
                          Value marked =
                              tensor::InsertOp::create(b, bit, marks[0], i);
                          scf::YieldOp::create(b, marked);
                        });
                    return SmallVector<Value>{
                        filled, addIndex(b, state[1], indexConstant(b, 1)),
                        left.getResult(0)};
                  },
                  [&](ImplicitLocOpBuilder &) {
                    return SmallVector<Value>(state);
                  });
              scf::YieldOp::create(b, next);
            });
        return SmallVector<Value>(taken.getResults().begin(),
                                  taken.getResults().end());
      });
  return im.out(node, 0, keepFirst(im, result[0], 0, result[1]), DType::Int64);
}

} // namespace

void mlir::tamis::onnx::registerSelection(OpTable &table) {
  table.add({"", "OneHot", 9, {3, 3}, importOneHot});
  table.add({"", "NonZero", 9, {1, 1}, importNonZero});
  table.add({"", "Compress", 9, {2, 2}, importCompress});
  table.add({"", "TopK", 1, {1, 2}, importTopK});
  table.add({"", "NonMaxSuppression", 10, {2, 5}, importNonMaxSuppression});
}
