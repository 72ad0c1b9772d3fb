// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attention (opset 23 on) and RotaryEmbedding in decomposed form: two
// contractions around a softmax, masks added between. Queries of heads that
// share a key are rows of one product, so nothing is repeated and nothing but
// rows lies between the products.
#include "Attention.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include <cmath>
#include <limits>

namespace mlir::tamis::onnx {

using namespace attention;

constexpr double kNever = -std::numeric_limits<double>::infinity();

FailureOr<Value> attention::splitHeads(Importer &im, const Node &node, Value x,
                                       int64_t heads, StringRef name) {
  if (rankOf(x) == 4)
    return x;
  if (failed(im.requireRank(node, x, 3, name)))
    return failure();
  auto hidden = ShapeMath::constant(im.dim(x, 2));
  if (heads <= 0 || !hidden || *hidden % heads != 0)
    return im.error(node) << "expected a known last dimension of " << name
                          << " divisible by " << heads << " heads";
  Value split = im.reshape(x, {im.dim(x, 0), im.dim(x, 1), im.shape.attr(heads),
                               im.shape.attr(*hidden / heads)});
  return im.transpose(split, {0, 2, 1, 3});
}

static FailureOr<Heads> readHeads(Importer &im, const Node &node) {
  Heads h;
  Value q = im.tensor(node, 0), k = im.tensor(node, 1), v = im.tensor(node, 2);
  h.merged = rankOf(q) == 3;
  h.qHeads = im.getInt(node, "q_num_heads", 0);
  h.kvHeads = im.getInt(node, "kv_num_heads", 0);
  auto qs = splitHeads(im, node, q, h.qHeads, "Q");
  auto ks = splitHeads(im, node, k, h.kvHeads, "K");
  auto vs = splitHeads(im, node, v, h.kvHeads, "V");
  if (failed(qs) || failed(ks) || failed(vs))
    return failure();
  h.q = *qs;
  h.k = *ks;
  h.v = *vs;
  auto qHeads = ShapeMath::constant(im.dim(h.q, 1));
  auto kvHeads = ShapeMath::constant(im.dim(h.k, 1));
  if (!qHeads || !kvHeads || *kvHeads == 0 || *qHeads % *kvHeads != 0)
    return im.error(node) << "expected a known number of query heads divisible "
                             "by that of key heads";
  h.qHeads = *qHeads;
  h.kvHeads = *kvHeads;
  DType dtype = im.in(node, 0).dtype;
  for (size_t index : {1, 2})
    if (im.in(node, index).dtype != dtype)
      return im.error(node)
             << "inputs have different element types: " << dtypeName(dtype)
             << " and " << dtypeName(im.in(node, index).dtype);
  if (failed(im.requireEqual(node, im.dim(h.k, 0), im.dim(h.q, 0),
                             "the batch of K")) ||
      failed(im.requireEqual(node, im.dim(h.v, 0), im.dim(h.q, 0),
                             "the batch of V")) ||
      failed(im.requireEqual(node, im.dim(h.v, 1), im.dim(h.k, 1),
                             "the number of value heads")))
    return failure();
  return h;
}

/// Queries of the heads that share keys as rows of one product, head after
/// head: (b, heads, s, k) as (b, kvHeads, groups * s, k).
static Value groupRows(Importer &im, const Heads &h, Value x) {
  int64_t groups = h.qHeads / h.kvHeads;
  if (groups == 1)
    return x;
  Sizes sizes = im.dims(x);
  OpFoldResult shared = im.shape.attr(h.kvHeads), count = im.shape.attr(groups);
  x = im.reshape(x, {sizes[0], shared, count, sizes[2], sizes[3]});
  return im.reshape(
      x, {sizes[0], shared, im.shape.mul(count, sizes[2]), sizes[3]});
}

Value attention::splitRows(Importer &im, const Heads &h, Value x) {
  int64_t groups = h.qHeads / h.kvHeads;
  if (groups == 1)
    return x;
  Sizes sizes = im.dims(x);
  OpFoldResult queries = im.dim(h.q, 2);
  x = im.reshape(x, {sizes[0], im.shape.attr(h.kvHeads), im.shape.attr(groups),
                     queries, sizes[3]});
  return im.reshape(x, {sizes[0], im.shape.attr(h.qHeads), queries, sizes[3]});
}

/// The product of (b, kvHeads, rows, k) and (b, kvHeads, t, k) over k, or over
/// t if `overRows`, as (b, kvHeads, rows, ...).
static Value perHead(Importer &im, const Node &node, Value x, Value y,
                     bool overRows) {
  Sizes xs = im.dims(x), ys = im.dims(y);
  Contraction c;
  AffineExpr b, head, row, n, k;
  bindDims(im.b.getContext(), b, head, row, n, k);
  c.dims = 5;
  c.lhsExprs = {b, head, row, k};
  c.rhsExprs = {b, head, overRows ? k : n, overRows ? n : k};
  c.outExprs = {b, head, row, n};
  c.lhs = {x};
  c.rhs = {y};
  return contract(im, node, c, {xs[0], xs[1], xs[2], overRows ? ys[3] : ys[2]});
}

/// The additive bias over (batch | 1, heads | 1, queries, keys), or null.
/// `sizes` are those of the scores with all heads.
static FailureOr<Value> bias(Importer &im, const Node &node, const Masking &m,
                             Type type, const Sizes &sizes) {
  if (m.isOpen())
    return Value();
  ImplicitLocOpBuilder &outer = im.b;
  Type index = outer.getIndexType();
  Value total = im.shape.value(sizes[2]);
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  Sizes out{im.shape.attr(1), im.shape.attr(1), sizes[2], sizes[3]};
  int64_t maskRank = m.mask ? rankOf(m.mask) : 0;
  if (maskRank > 4 || (m.mask && maskRank < 1))
    return im.error(node) << "expected a mask of rank 1 to 4, got rank "
                          << maskRank;
  MLIRContext *context = outer.getContext();
  if (m.mask) {
    Value mask = m.mask;
    // A mask may end early; keys beyond it are not seen.
    OpFoldResult have = im.dim(mask, maskRank - 1);
    if (!im.shape.equal(have, sizes[3]) && ShapeMath::constant(have) != 1) {
      Sizes low(maskRank, im.shape.attr(0)), high(low);
      high.back() =
          im.shape.max(im.shape.sub(sizes[3], have), im.shape.attr(0));
      Type element = elementOf(mask);
      Value padding = element.isInteger(1) ? im.constant(element, 0)
                                           : im.constant(element, kNever);
      mask = im.pad(mask, low, high, padding);
    }
    SmallVector<AffineExpr> exprs;
    SmallVector<int64_t> drop;
    for (int64_t i = 0; i < maskRank; ++i) {
      int64_t at = 4 - maskRank + i;
      if (ShapeMath::constant(im.dim(mask, i)) == 1 &&
          ShapeMath::constant(sizes[at]) != 1) {
        drop.push_back(i);
        continue;
      }
      if (failed(im.requireEqual(node, im.dim(mask, i), sizes[at],
                                 "a dimension of the mask")))
        return failure();
      exprs.push_back(outer.getAffineDimExpr(at));
      out[at] = sizes[at];
    }
    if (!drop.empty())
      mask = im.dropDims(mask, drop);
    inputs.push_back(mask);
    maps.push_back(AffineMap::get(4, 0, exprs, context));
  }
  if (m.lengths) {
    out[0] = sizes[0];
    inputs.push_back(m.lengths);
    maps.push_back(AffineMap::get(4, 0, outer.getAffineDimExpr(0)));
  }
  return generic(
      im, inputs, maps, out, type,
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value zero = Importer::constant(b, type, 0);
        Value never = Importer::constant(b, type, kNever);
        Value result = zero, allowed;
        auto require = [&](arith::CmpIPredicate p, Value l, Value r) {
          Value fits = arith::CmpIOp::create(b, p, l, r);
          allowed = allowed
                        ? arith::AndIOp::create(b, allowed, fits).getResult()
                        : fits;
        };
        if (m.mask) {
          if (args[0].getType().isInteger(1))
            result = arith::SelectOp::create(b, args[0], zero, never);
          else
            result = castScalar(b, args[0], type);
        }
        Value key = linalg::IndexOp::create(b, 3);
        Value first = m.past;
        if (m.lengths) {
          Value length = arith::IndexCastOp::create(b, index, args.back());
          require(arith::CmpIPredicate::slt, key, length);
          if (!first)
            first = arith::SubIOp::create(b, length, total);
        }
        Value query = linalg::IndexOp::create(b, 2);
        if (first)
          query = arith::AddIOp::create(b, query, first);
        auto offset = [&](int64_t by) -> Value {
          return arith::AddIOp::create(b, query,
                                       arith::ConstantIndexOp::create(b, by));
        };
        if (m.causal)
          require(arith::CmpIPredicate::sle, key, query);
        if (m.left >= 0)
          require(arith::CmpIPredicate::sge, key, offset(-m.left));
        if (m.right >= 0)
          require(arith::CmpIPredicate::sle, key, offset(m.right));
        if (allowed)
          result = arith::SelectOp::create(b, allowed, result, never);
        return result;
      });
}

/// A bias for rows as `groupRows` makes them.
static Value groupBias(Importer &im, const Heads &h, Value bias) {
  int64_t groups = h.qHeads / h.kvHeads;
  if (groups == 1)
    return bias;
  Sizes sizes = im.dims(bias);
  bool perHead = ShapeMath::constant(sizes[1]) != 1;
  OpFoldResult heads = im.shape.attr(perHead ? h.kvHeads : 1),
               count = im.shape.attr(groups);
  Sizes apart{sizes[0], heads, count, sizes[2], sizes[3]};
  AffineExpr b, head, group, query, key;
  bindDims(im.b.getContext(), b, head, group, query, key);
  if (perHead)
    bias = im.reshape(bias, apart);
  else
    bias = generic(
        im, bias,
        AffineMap::get(5, 0, {b, head, query, key}, im.b.getContext()), apart,
        elementOf(bias), [](ImplicitLocOpBuilder &, ValueRange args) -> Value {
          return args[0];
        });
  return im.reshape(bias,
                    {sizes[0], heads, im.shape.mul(count, sizes[2]), sizes[3]});
}

/// Softmax over the last dimension in which a row without any key is zero.
static Value maskedSoftmax(Importer &im, const Node &node, Value scores) {
  int64_t last = rankOf(scores) - 1;
  Type type = elementOf(scores);
  Value highest = maximum(im, scores, {last});
  Value e = im.elementwise(
      node, ArrayRef<Value>{scores, highest}, type,
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value empty =
            arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, args[1],
                                  Importer::constant(b, type, kNever));
        Value from = arith::SelectOp::create(
            b, empty, Importer::constant(b, type, 0), args[1]);
        return math::ExpOp::create(b, arith::SubFOp::create(b, args[0], from));
      });
  if (!e)
    return nullptr;
  Value total = sum(im, e, {last});
  return im.elementwise(
      node, ArrayRef<Value>{e, total}, type,
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value zero = Importer::constant(b, type, 0);
        Value empty =
            arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, args[1], zero);
        return arith::SelectOp::create(
            b, empty, zero, arith::DivFOp::create(b, args[0], args[1]));
      });
}

/// Puts the cached keys or values in front of the new ones.
static FailureOr<Value> withPast(Importer &im, const Node &node, size_t index,
                                 Value now) {
  if (!im.has(node, index))
    return now;
  Value past = im.tensor(node, index);
  if (failed(im.requireRank(node, past, 4, "a cache")))
    return failure();
  if (elementOf(past) != elementOf(now))
    return im.error(node) << "expected a cache of type " << elementOf(now)
                          << ", got " << elementOf(past);
  Value both = im.concat(node, {past, now}, 2);
  if (!both)
    return failure();
  return both;
}

FailureOr<Value> attention::attend(Importer &im, const Node &node,
                                   const Heads &heads, const Masking &masking,
                                   double scale, double cap, Type element,
                                   Scores &scores) {
  Value queries = groupRows(im, heads, heads.q);
  Value raw = perHead(im, node, queries, heads.k, /*overRows=*/false);
  Type type = elementOf(raw);
  raw = unary(im, raw, type,
              [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                return arith::MulFOp::create(
                    b, args[0], Importer::constant(b, type, scale));
              });
  Value capped = raw;
  if (cap > 0)
    capped = unary(im, raw, type,
                   [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                     Value limit = Importer::constant(b, type, cap);
                     Value inner = arith::DivFOp::create(b, args[0], limit);
                     return arith::MulFOp::create(
                         b, math::TanhOp::create(b, inner), limit);
                   });
  auto additive = bias(im, node, masking, type,
                       {im.dim(heads.q, 0), im.shape.attr(heads.qHeads),
                        im.dim(heads.q, 2), im.dim(heads.k, 2)});
  if (failed(additive))
    return failure();
  Value biased = capped;
  if (*additive) {
    biased = im.elementwise(
        node, ArrayRef<Value>{capped, groupBias(im, heads, *additive)}, type,
        [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
          return arith::AddFOp::create(b, args[0], args[1]);
        });
    if (!biased)
      return failure();
  }
  Value weights = *additive ? maskedSoftmax(im, node, biased)
                            : softmax(im, node, biased, {rankOf(biased) - 1});
  if (!weights)
    return failure();
  scores = {raw, capped, biased, weights};
  Value y = perHead(im, node, convert(im, weights, element), heads.v,
                    /*overRows=*/true);
  return splitRows(im, heads, convert(im, y, element));
}

FailureOr<Value> attention::mergeHeads(Importer &im, const Node &node, Value y,
                                       int64_t heads) {
  auto size = ShapeMath::constant(im.dim(y, 3));
  if (!size)
    return im.error(node) << "expected a known head size of V";
  y = im.transpose(y, {0, 2, 1, 3});
  return im.reshape(y,
                    {im.dim(y, 0), im.dim(y, 1), im.shape.attr(heads * *size)});
}

Value attention::rotate(Importer &im, Value x, Value cos, Value sin,
                        Value positions, int64_t rotated, bool interleaved) {
  bool byPosition = positions != nullptr;
  int64_t half = rotated / 2;
  Sizes sizes = im.dims(x);
  Value rows = im.shape.value(im.dim(cos, 0));
  Type element = elementOf(x), type = computeType(element);
  return generic(
      im, {}, {}, sizes, element,
      [&](ImplicitLocOpBuilder &b, ValueRange) -> Value {
        auto c = [&](int64_t value) -> Value {
          return arith::ConstantIndexOp::create(b, value);
        };
        SmallVector<Value> at;
        for (int64_t i = 0; i < 4; ++i)
          at.push_back(linalg::IndexOp::create(b, i));
        Value self = tensor::ExtractOp::create(b, x, at);
        Value d = at[3], pair, isSecond, other;
        if (interleaved) {
          pair = arith::DivUIOp::create(b, d, c(2));
          isSecond =
              arith::CmpIOp::create(b, arith::CmpIPredicate::ne,
                                    arith::RemUIOp::create(b, d, c(2)), c(0));
          other = arith::XOrIOp::create(b, d, c(1));
        } else {
          isSecond =
              arith::CmpIOp::create(b, arith::CmpIPredicate::uge, d, c(half));
          Value back = arith::SubIOp::create(b, d, c(half));
          pair = arith::SelectOp::create(b, isSecond, back, d);
          other = arith::SelectOp::create(b, isSecond, back,
                                          arith::AddIOp::create(b, d, c(half)));
        }
        // Elements behind the rotated part read some valid place for nothing.
        pair = arith::MinUIOp::create(b, pair, c(half - 1));
        other = arith::MinUIOp::create(b, other,
                                       c(tensorTypeOf(x).getDimSize(3) - 1));
        SmallVector<Value> place;
        if (byPosition) {
          Value position =
              tensor::ExtractOp::create(b, positions, ValueRange{at[0], at[2]});
          position = arith::IndexCastOp::create(b, b.getIndexType(), position);
          place = {Importer::clampIndex(b, position, rows), pair};
        } else {
          place = {at[0], at[2], pair};
        }
        auto read = [&](Value from, ValueRange where) {
          return castScalar(b, tensor::ExtractOp::create(b, from, where), type);
        };
        Value cosine = read(cos, place), sine = read(sin, place);
        Value x1 = castScalar(b, self, type);
        Value x2 = read(x, ValueRange{at[0], at[1], at[2], other});
        Value direct = arith::MulFOp::create(b, x1, cosine);
        Value cross = arith::MulFOp::create(b, x2, sine);
        Value turned = arith::SelectOp::create(
            b, isSecond, arith::AddFOp::create(b, direct, cross),
            arith::SubFOp::create(b, direct, cross));
        Value inside =
            arith::CmpIOp::create(b, arith::CmpIPredicate::ult, d, c(rotated));
        return arith::SelectOp::create(b, inside,
                                       castScalar(b, turned, element), self);
      });
}

namespace {

LogicalResult importAttention(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  if (!isFloat(input.dtype))
    return im.error(node) << "expected a float Q, got "
                          << dtypeName(input.dtype);
  FailureOr<Heads> h = readHeads(im, node);
  if (failed(h))
    return failure();
  auto headSize = ShapeMath::constant(im.dim(h->q, 3));
  if (!headSize || *headSize == 0)
    return im.error(node) << "expected a known head size";
  if (failed(im.requireEqual(node, im.dim(h->k, 3), im.dim(h->q, 3),
                             "the head size of K")))
    return failure();
  Masking m;
  if (im.has(node, 3))
    m.mask = im.tensor(node, 3);
  if (im.has(node, 6)) {
    m.lengths = im.tensor(node, 6);
    if (!isInteger(im.in(node, 6).dtype))
      return im.error(node) << "expected integer key lengths, got "
                            << dtypeName(im.in(node, 6).dtype);
    if (failed(im.requireRank(node, m.lengths, 1, "the key lengths")) ||
        failed(im.requireEqual(node, im.dim(m.lengths, 0), im.dim(h->q, 0),
                               "the number of key lengths")))
      return failure();
  }
  m.causal = im.getInt(node, "is_causal", 0) != 0;
  m.left = im.getInt(node, "left_window_size", -1);
  m.right = im.getInt(node, "right_window_size", -1);
  auto keys = withPast(im, node, 4, h->k);
  auto values = withPast(im, node, 5, h->v);
  if (failed(keys) || failed(values))
    return failure();
  // `withPast` has checked the rank.
  if (im.has(node, 4))
    m.past = im.shape.value(im.dim(im.tensor(node, 4), 2));
  h->k = *keys;
  h->v = *values;
  if (failed(im.requireEqual(node, im.dim(h->v, 2), im.dim(h->k, 2),
                             "the number of values")))
    return failure();
  double scale = im.attr(node, "scale") ? im.getFloat(node, "scale", 1)
                                        : 1 / std::sqrt(double(*headSize));
  double cap = im.getFloat(node, "softcap", 0);
  int64_t mode = im.getInt(node, "qk_matmul_output_mode", 0);
  Type element = im.elementType(input.dtype);

  Scores s;
  auto attended = attend(im, node, *h, m, scale, cap, element, s);
  if (failed(attended))
    return failure();
  if (im.wants(node, 3)) {
    // The orders of modes 1 and 2 follow the operator's version 25.
    Value shown = mode == 0   ? s.raw
                  : mode == 1 ? s.capped
                  : mode == 2 ? s.biased
                              : s.weights;
    shown = splitRows(im, *h, convert(im, shown, element));
    if (failed(im.out(node, 3, shown, input.dtype)))
      return failure();
  }
  Value y = *attended;
  if (h->merged) {
    auto merged = mergeHeads(im, node, y, h->qHeads);
    if (failed(merged))
      return failure();
    y = *merged;
  }
  if (failed(im.out(node, 0, y, input.dtype)) ||
      (im.wants(node, 1) &&
       failed(im.out(node, 1, h->k, im.in(node, 1).dtype))))
    return failure();
  return im.wants(node, 2) ? im.out(node, 2, h->v, im.in(node, 2).dtype)
                           : success();
}

LogicalResult importRotaryEmbedding(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  Value x = im.tensor(input);
  if (!isFloat(input.dtype))
    return im.error(node) << "expected a float tensor, got "
                          << dtypeName(input.dtype);
  bool merged = rankOf(x) == 3;
  auto split = splitHeads(im, node, x, im.getInt(node, "num_heads", 0), "X");
  if (failed(split))
    return failure();
  x = *split;
  ShapeMath &s = im.shape;
  auto headSize = ShapeMath::constant(im.dim(x, 3));
  int64_t rotated = im.getInt(node, "rotary_embedding_dim", 0);
  if (rotated == 0 && headSize)
    rotated = *headSize;
  if (!headSize || rotated <= 0 || rotated > *headSize || rotated % 2 != 0)
    return im.error(node) << "expected an even rotary_embedding_dim of at most "
                             "the known head size, got "
                          << rotated;
  bool interleaved = im.getInt(node, "interleaved", 0) != 0;
  int64_t half = rotated / 2;
  Value cos = im.tensor(node, 1), sin = im.tensor(node, 2);
  Sizes sizes = im.dims(x);
  bool byPosition = im.has(node, 3);
  Value positions;
  if (byPosition) {
    positions = im.tensor(node, 3);
    if (failed(im.requireRank(node, positions, 2, "position_ids")) ||
        failed(im.requireEqual(node, im.dim(positions, 0), sizes[0],
                               "a dimension of position_ids")) ||
        failed(im.requireEqual(node, im.dim(positions, 1), sizes[2],
                               "a dimension of position_ids")))
      return failure();
    im.checkIndices(positions, im.dim(cos, 0));
  }
  for (Value cache : {cos, sin}) {
    int64_t rank = byPosition ? 2 : 3;
    if (failed(im.requireRank(node, cache, rank, "a cache")) ||
        failed(im.requireEqual(node, im.dim(cache, rank - 1), s.attr(half),
                               "the last dimension of a cache")) ||
        failed(im.requireEqual(node, im.dim(cache, 0), im.dim(cos, 0),
                               "a dimension of a cache")))
      return failure();
    if (!byPosition && (failed(im.requireEqual(node, im.dim(cache, 0), sizes[0],
                                               "a dimension of a cache")) ||
                        failed(im.requireEqual(node, im.dim(cache, 1), sizes[2],
                                               "a dimension of a cache"))))
      return failure();
  }
  Value y = rotate(im, x, cos, sin, positions, rotated, interleaved);
  if (merged) {
    y = im.transpose(y, {0, 2, 1, 3});
    y = im.reshape(y, im.dims(im.tensor(input)));
  }
  return im.out(node, 0, y, input.dtype);
}

} // namespace

void registerAttention(OpTable &table) {
  table.add({"", "Attention", 23, {3, 7}, importAttention});
  table.add({"", "RotaryEmbedding", 23, {3, 4}, importRotaryEmbedding});
}

} // namespace mlir::tamis::onnx
