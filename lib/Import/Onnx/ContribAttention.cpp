// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attention operators of ONNX Runtime: QAttention, whose projection is an
// integer product, and GroupQueryAttention with its cache and rotation.
#include "Attention.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include <cmath>
#include <limits>

namespace mlir::tamis::onnx {

using namespace attention;

namespace {

/// What ONNX Runtime adds to scores of keys that are masked out.
LogicalResult readMask(Importer &im, const Node &node, size_t index, Value x,
                       OpFoldResult keys, Masking &m) {
  if (!im.has(node, index))
    return success();
  ImportedValue input = im.in(node, index);
  Value mask = im.tensor(input);
  double filter = im.getFloat(node, "mask_filter_value", -10000.0f);
  Type f32 = im.b.getF32Type();
  if (!isInteger(input.dtype) || rankOf(mask) < 1 || rankOf(mask) > 3)
    return im.error(node) << "expected an integer mask of rank 1 to 3, got "
                          << mask.getType();
  Sizes sizes = im.dims(x), shape = im.dims(mask);
  if (failed(
          im.requireEqual(node, shape[0], sizes[0], "the batch of the mask")))
    return failure();
  auto choose = [&](ImplicitLocOpBuilder &b, Value visible) -> Value {
    return arith::SelectOp::create(b, visible, Importer::constant(b, f32, 0),
                                   Importer::constant(b, f32, filter));
  };
  if (rankOf(mask) == 1) {
    // The number of keys of each batch entry.
    m.mask =
        generic(im, mask, AffineMap::get(2, 0, im.b.getAffineDimExpr(0)),
                {sizes[0], keys}, f32,
                [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                  Value count =
                      arith::IndexCastOp::create(b, b.getIndexType(), args[0]);
                  return choose(b, arith::CmpIOp::create(
                                       b, arith::CmpIPredicate::slt,
                                       linalg::IndexOp::create(b, 1), count));
                });
    m.mask = im.reshape(m.mask,
                        {sizes[0], im.shape.attr(1), im.shape.attr(1), keys});
    return success();
  }
  m.mask = unary(
      im, mask, f32, [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value zero = Importer::constantInt(b, args[0].getType(), 0);
        return choose(b, arith::CmpIOp::create(b, arith::CmpIPredicate::sgt,
                                               args[0], zero));
      });
  Sizes wide{shape[0], im.shape.attr(1)};
  if (rankOf(mask) == 2)
    wide.push_back(im.shape.attr(1));
  wide.append(shape.begin() + 1, shape.end());
  m.mask = im.reshape(m.mask, wide);
  return success();
}

/// Integer projection to queries, keys and values, then attention in float.
LogicalResult importQAttention(Importer &im, const Node &node) {
  ImportedValue x = im.in(node, 0), w = im.in(node, 1);
  int64_t heads = im.getInt(node, "num_heads", 0);
  if (failed(im.requireRank(node, im.tensor(x), 3, "the input")) ||
      failed(im.requireRank(node, im.tensor(w), 2, "the weights")) ||
      failed(im.requireRank(node, im.tensor(node, 2), 1, "the bias")))
    return failure();
  auto columns = ShapeMath::constant(im.dim(im.tensor(w), 1));
  if (!columns || heads <= 0 || *columns % (3 * heads) != 0)
    return im.error(node) << "expected weights of a known multiple of 3 * "
                          << heads << " columns";
  auto lhs = factor(im, node, x, im.in(node, 6), 1);
  auto rhs = factor(im, node, w, im.in(node, 7), 1);
  auto xScale = oneScalar(im, node, 3, "the input's scale");
  auto wScale = scalarOrVector(im, node, im.in(node, 4), "the weights' scale");
  if (failed(lhs) || failed(rhs) || failed(xScale) || failed(wScale))
    return failure();
  FailureOr<Value> acc = matmul(im, node, *lhs, *rhs);
  if (failed(acc))
    return failure();
  if (isa<TensorType>(wScale->getType()) &&
      failed(im.requireEqual(node, im.dim(*wScale, 0), im.dim(*acc, 2),
                             "the length of the weights' scale")))
    return failure();
  Type f32 = im.b.getF32Type();
  Value scale = multiplier(im, *xScale, *wScale, im.constant(f32, 1));
  Value projected = scaleAccumulator(im, *acc, scale, 2);
  projected =
      im.elementwise(node, ArrayRef<Value>{projected, im.tensor(node, 2)}, f32,
                     [](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                       return arith::AddFOp::create(b, args[0], args[1]);
                     });
  if (!projected)
    return failure();
  Heads h;
  h.qHeads = h.kvHeads = heads;
  int64_t hidden = *columns / 3;
  Value *parts[] = {&h.q, &h.k, &h.v};
  for (int i = 0; i < 3; ++i) {
    Value part = im.sliceDim(projected, 2, im.shape.attr(i * hidden),
                             im.shape.attr(hidden));
    auto split = splitHeads(im, node, part, heads, "the projection");
    if (failed(split))
      return failure();
    *parts[i] = *split;
  }
  Masking m;
  if (im.has(node, 8)) {
    Value past = im.tensor(node, 8);
    if (failed(im.requireRank(node, past, 5, "the cache")) ||
        failed(im.requireEqual(node, im.dim(past, 0), im.shape.attr(2),
                               "the first dimension of the cache")))
      return failure();
    m.past = im.shape.value(im.dim(past, 3));
    for (int i = 0; i < 2; ++i) {
      Value cached = takeFirst(im, past, im.shape.attr(i));
      Value both = im.concat(node, {cached, i ? h.v : h.k}, 2);
      if (!both)
        return failure();
      (i ? h.v : h.k) = both;
    }
  }
  m.causal = im.getInt(node, "unidirectional", 0) != 0;
  if (failed(readMask(im, node, 5, projected, im.dim(h.k, 2), m)))
    return failure();
  double size = static_cast<double>(hidden) / static_cast<double>(heads);
  double by = im.getFloat(node, "scale", 0);
  Scores scores;
  auto y = attend(im, node, h, m, by != 0 ? by : 1 / std::sqrt(size), 0, f32,
                  scores);
  if (failed(y))
    return failure();
  auto merged = mergeHeads(im, node, *y, heads);
  if (failed(merged) || failed(im.out(node, 0, *merged, DType::Float)))
    return failure();
  if (!im.wants(node, 1))
    return success();
  Value cache[2];
  for (int i = 0; i < 2; ++i) {
    Value now = i ? h.v : h.k;
    Sizes sizes = im.dims(now);
    sizes.insert(sizes.begin(), im.shape.attr(1));
    cache[i] = im.reshape(now, sizes);
  }
  Value present = im.concat(node, {cache[0], cache[1]}, 0);
  return present ? im.out(node, 1, present, DType::Float) : failure();
}

/// The rows that each batch entry has once the new ones are appended, and where
/// these begin: (batch), i64.
struct Places {
  Value lengths, firsts;
};

/// From seqlens_k, input 5, for `rows` new entries.
FailureOr<Places> readPlaces(Importer &im, const Node &node, OpFoldResult batch,
                             OpFoldResult rows) {
  Value ends = im.tensor(node, 5);
  if (!isInteger(im.in(node, 5).dtype) || rankOf(ends) < 1 ||
      rankOf(ends) > 2 ||
      (rankOf(ends) == 2 && tensorTypeOf(ends).getDimSize(1) != 1))
    return im.error(node) << "expected an integer seqlens_k for each batch "
                             "entry, got "
                          << ends.getType();
  if (failed(im.requireEqual(node, im.dim(ends, 0), batch,
                             "the length of seqlens_k")))
    return failure();
  ends = im.reshape(ends, {batch});
  Type i64 = im.b.getI64Type();
  Value added = im.shape.value(rows);
  Places places;
  places.lengths = unary(
      im, ends, i64, [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        return arith::AddIOp::create(b, castScalar(b, args[0], i64),
                                     Importer::constantInt(b, i64, 1));
      });
  places.firsts =
      unary(im, places.lengths, i64,
            [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
              Value first = arith::SubIOp::create(
                  b, args[0], arith::IndexCastOp::create(b, i64, added));
              // A prompt is padded behind its end.
              return arith::MaxSIOp::create(b, first,
                                            Importer::constantInt(b, i64, 0));
            });
  return places;
}

/// Keys and values of earlier calls, null without any, and how many there will
/// be room for.
struct Cache {
  Value keys, values;
  OpFoldResult total;
  /// The model declares it as long after the call as before.
  bool hasRoom = false;
};

/// Inputs 3 and 4, to which `rows` entries are to be appended.
FailureOr<Cache> readCache(Importer &im, const Node &node, OpFoldResult rows) {
  Cache cache;
  cache.total = rows;
  if (!im.has(node, 3))
    return cache;
  cache.keys = im.tensor(node, 3);
  cache.values = im.tensor(node, 4);
  if (failed(im.requireRank(node, cache.keys, 4, "the key cache")) ||
      failed(im.requireRank(node, cache.values, 4, "the value cache")))
    return failure();
  OpFoldResult room = im.dim(cache.keys, 2);
  DType dtype = im.in(node, 0).dtype;
  if (failed(im.requireEqual(node, im.dim(cache.values, 2), room,
                             "the length of the value cache")) ||
      im.in(node, 3).dtype != dtype || im.in(node, 4).dtype != dtype)
    return im.error(node) << "expected caches of one length and of "
                          << dtypeName(dtype);
  cache.hasRoom =
      im.declaresEqual(node, /*input=*/3, /*output=*/1, /*axis=*/2) &&
      im.declaresEqual(node, /*input=*/4, /*output=*/2, /*axis=*/2);
  if (cache.hasRoom)
    cache.total = room;
  else if (auto known = im.constantScalar(im.in(node, 6)))
    cache.total =
        im.shape.max(room, im.shape.attr(static_cast<int64_t>(*known)));
  else
    cache.total = im.shape.add(room, rows);
  return cache;
}

/// The cache with the entries `now` from place `firsts[b]` of batch entry b on:
/// (batch, heads, total, size). Whether they fit has been checked. A cache of
/// that length is changed where it is, so that a caller may hand over one
/// buffer as past and present.
Value appendCache(Importer &im, Value past, Value now, Value firsts,
                  OpFoldResult total) {
  if (!past)
    return now;
  ImplicitLocOpBuilder &outer = im.b;
  Sizes sizes = im.dims(now);
  OpFoldResult room = im.dim(past, 2), zero = im.shape.attr(0),
               one = im.shape.attr(1);
  Sizes offsets(4, zero), ones(4, one);
  Value cache = past;
  if (!im.shape.equal(room, total)) {
    Sizes all = sizes, rest = sizes, known = sizes, behind = offsets;
    all[2] = total;
    known[2] = behind[2] = room;
    rest[2] = im.shape.sub(total, room);
    cache = im.empty(all, elementOf(now));
    if (ShapeMath::constant(room) != 0)
      cache = tensor::InsertSliceOp::create(outer, past, cache, offsets, known,
                                            ones);
    Value nothing = im.fill(rest, im.constant(elementOf(now), 0));
    cache = tensor::InsertSliceOp::create(outer, nothing, cache, behind, rest,
                                          ones);
  }
  auto insert = [&](OpBuilder &b, Location loc, OpFoldResult entry,
                    Value into) -> Value {
    Sizes from = offsets, to = offsets, count = sizes;
    Value at = getValueOrCreateConstantIndexOp(b, loc, entry);
    Value first = tensor::ExtractOp::create(b, loc, firsts, at);
    to[2] =
        arith::IndexCastOp::create(b, loc, b.getIndexType(), first).getResult();
    from[0] = to[0] = entry;
    count[0] = one;
    Value part = now;
    if (ShapeMath::constant(sizes[0]) != 1)
      part = tensor::ExtractSliceOp::create(b, loc, now, from, count, ones);
    return tensor::InsertSliceOp::create(b, loc, part, into, to, count, ones);
  };
  if (ShapeMath::constant(sizes[0]) == 1)
    return insert(outer, outer.getLoc(), zero, cache);
  Value batch = im.shape.value(sizes[0]);
  auto loop = scf::ForOp::create(
      outer, im.shape.value(zero), batch, im.shape.value(one), cache,
      [&](OpBuilder &b, Location loc, Value entry, ValueRange carried) {
        scf::YieldOp::create(b, loc, insert(b, loc, entry, carried.front()));
      });
  Sizes all = sizes;
  all[2] = total;
  im.setDims(loop.getResult(0), all);
  return loop.getResult(0);
}

/// Reports at run time, before anything is written, new entries that begin at
/// `firsts` and do not end within `total`.
void checkRoom(Importer &im, Value firsts, OpFoldResult rows,
               OpFoldResult total) {
  Value last = arith::IndexCastOp::create(
      im.b, im.b.getI64Type(), im.shape.value(im.shape.sub(total, rows)));
  Value fits = im.reduce(
      firsts, {0}, /*keepDims=*/false,
      Importer::constantInt(im.b, im.b.getI1Type(), 1),
      [&](ImplicitLocOpBuilder &b, Value all, Value first) -> Value {
        return arith::AndIOp::create(
            b, all,
            arith::CmpIOp::create(b, arith::CmpIPredicate::sle, first, last));
      });
  im.check(tensor::ExtractOp::create(im.b, fits, ValueRange()),
           TAMIS_FAULT_CAPACITY);
}

/// The longest of `lengths`, at most `room`, as a size.
OpFoldResult longest(Importer &im, Value lengths, OpFoldResult room) {
  Value zero = Importer::constantInt(im.b, im.b.getI64Type(), 0);
  Value most =
      im.reduce(lengths, {0}, /*keepDims=*/false, zero,
                [](ImplicitLocOpBuilder &b, Value a, Value x) -> Value {
                  return arith::MaxSIOp::create(b, a, x);
                });
  most = arith::IndexCastOp::create(
      im.b, im.b.getIndexType(),
      tensor::ExtractOp::create(im.b, most, ValueRange()));
  most = arith::MinSIOp::create(im.b, most, im.shape.value(room));
  return im.shape.symbol(most, 0, std::numeric_limits<int64_t>::max());
}

LogicalResult importGroupQueryAttention(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  Value q = im.tensor(input);
  int64_t heads = im.getInt(node, "num_heads", 0);
  int64_t kvHeads = im.getInt(node, "kv_num_heads", 0);
  if (!isFloat(input.dtype) || failed(im.requireRank(node, q, 3, "the query")))
    return isFloat(input.dtype)
               ? failure()
               : LogicalResult(im.error(node) << "expected a float query, got "
                                              << dtypeName(input.dtype));
  if (heads <= 0 || kvHeads <= 0 || heads % kvHeads != 0)
    return im.error(node) << "expected num_heads divisible by kv_num_heads, "
                             "got "
                          << heads << " and " << kvHeads;
  if (!im.has(node, 5) || !im.has(node, 6))
    return im.error(node) << "expected seqlens_k and total_sequence_length";
  for (size_t extra : {10, 11})
    if (im.has(node, extra))
      return im.error(node) << "input " << extra << " is not supported";
  for (StringRef name : {"smooth_softmax", "qk_output", "k_quant_type"})
    if (const Attribute *attribute = im.attr(node, name))
      if (attribute->type != AttrType::Int || im.getInt(node, name, 0) != 0)
        return im.error(node) << name << " is not supported";
  Heads h;
  h.qHeads = heads;
  h.kvHeads = kvHeads;
  Value k, v;
  if (im.has(node, 1)) {
    k = im.tensor(node, 1);
    v = im.tensor(node, 2);
  } else { // packed
    auto columns = ShapeMath::constant(im.dim(q, 2));
    if (!columns || *columns % (heads + 2 * kvHeads) != 0)
      return im.error(node) << "expected a known number of columns divisible "
                               "by "
                            << heads + 2 * kvHeads;
    int64_t size = *columns / (heads + 2 * kvHeads);
    auto part = [&](int64_t from, int64_t count) {
      return im.sliceDim(q, 2, im.shape.attr(from * size),
                         im.shape.attr(count * size));
    };
    k = part(heads, kvHeads);
    v = part(heads + kvHeads, kvHeads);
    q = part(0, heads);
  }
  OpFoldResult batch = im.dim(q, 0), rows = im.dim(q, 1);
  FailureOr<Places> places = readPlaces(im, node, batch, rows);
  FailureOr<Cache> cache = readCache(im, node, rows);
  if (failed(places) || failed(cache))
    return failure();
  // Ahead of all that may be computed where it is appended.
  if (cache->keys)
    checkRoom(im, places->firsts, rows, cache->total);
  auto qs = splitHeads(im, node, q, heads, "the query");
  auto ks = splitHeads(im, node, k, kvHeads, "the key");
  auto vs = splitHeads(im, node, v, kvHeads, "the value");
  if (failed(qs) || failed(ks) || failed(vs))
    return failure();
  h.q = *qs;
  h.k = *ks;
  h.v = *vs;
  auto size = ShapeMath::constant(im.dim(h.q, 3));
  if (!size || *size == 0 ||
      failed(im.requireEqual(node, im.dim(h.k, 3), im.dim(h.q, 3),
                             "the head size of the key")))
    return size ? failure()
                : LogicalResult(im.error(node) << "expected a known head size");
  for (Value part : {h.k, h.v})
    if (failed(im.requireEqual(node, im.dim(part, 0), im.dim(h.q, 0),
                               "the batch of the key or value")) ||
        failed(im.requireEqual(node, im.dim(part, 2), im.dim(h.q, 2),
                               "the length of the key or value")))
      return failure();
  if (cache->keys)
    for (int64_t i : {0, 1, 3})
      if (failed(im.requireEqual(node, im.dim(cache->keys, i), im.dim(h.k, i),
                                 "a dimension of the key cache")) ||
          failed(im.requireEqual(node, im.dim(cache->values, i), im.dim(h.v, i),
                                 "a dimension of the value cache")))
        return failure();
  Type i64 = im.b.getI64Type();
  if (im.getInt(node, "do_rotary", 0) != 0) {
    if (!im.has(node, 7) || !im.has(node, 8))
      return im.error(node) << "do_rotary needs cos_cache and sin_cache";
    Value cos = im.tensor(node, 7), sin = im.tensor(node, 8);
    if (failed(im.requireRank(node, cos, 2, "cos_cache")) ||
        failed(im.requireRank(node, sin, 2, "sin_cache")))
      return failure();
    auto half = ShapeMath::constant(im.dim(cos, 1));
    if (!half || *half <= 0 || 2 * *half > *size ||
        failed(im.requireEqual(node, im.dim(sin, 1), im.dim(cos, 1),
                               "the width of sin_cache")) ||
        failed(im.requireEqual(node, im.dim(sin, 0), im.dim(cos, 0),
                               "the length of sin_cache")))
      return im.error(node) << "expected caches of at most half the head size";
    Value positions =
        generic(im, places->firsts,
                AffineMap::get(2, 0, im.b.getAffineDimExpr(0)), {batch, rows},
                i64, [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                  Value row = arith::IndexCastOp::create(
                      b, i64, linalg::IndexOp::create(b, 1));
                  return arith::AddIOp::create(b, args[0], row);
                });
    if (im.has(node, 9)) {
      positions = im.tensor(node, 9);
      if (!isInteger(im.in(node, 9).dtype) ||
          failed(im.requireRank(node, positions, 2, "position_ids")) ||
          failed(im.requireEqual(node, im.dim(positions, 0), batch,
                                 "a dimension of position_ids")) ||
          failed(im.requireEqual(node, im.dim(positions, 1), rows,
                                 "a dimension of position_ids")))
        return im.error(node) << "expected integer position_ids";
    }
    im.checkIndices(positions, im.dim(cos, 0));
    bool interleaved = im.getInt(node, "rotary_interleaved", 0) != 0;
    h.q = rotate(im, h.q, cos, sin, positions, 2 * *half, interleaved);
    h.k = rotate(im, h.k, cos, sin, positions, 2 * *half, interleaved);
  }
  Type element = elementOf(h.q);
  OpFoldResult total = cache->total;
  Value presentKeys = appendCache(im, cache->keys, h.k, places->firsts, total);
  Value presentValues =
      appendCache(im, cache->values, h.v, places->firsts, total);
  if (cache->hasRoom)
    total = longest(im, places->lengths, total);
  h.k = im.sliceDim(presentKeys, 2, im.shape.attr(0), total);
  h.v = im.sliceDim(presentValues, 2, im.shape.attr(0), total);
  // A query sees the keys up to its own position, which differs by batch
  // entry, and of those its window.
  int64_t window = im.getInt(node, "local_window_size", -1);
  Masking m;
  m.mask = generic(
      im, places->firsts, AffineMap::get(4, 0, im.b.getAffineDimExpr(0)),
      {batch, im.shape.attr(1), rows, total}, im.b.getI1Type(),
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value first = arith::IndexCastOp::create(b, b.getIndexType(), args[0]);
        Value query =
            arith::AddIOp::create(b, first, linalg::IndexOp::create(b, 2));
        Value key = linalg::IndexOp::create(b, 3);
        Value seen =
            arith::CmpIOp::create(b, arith::CmpIPredicate::sle, key, query);
        if (window < 0)
          return seen;
        Value oldest = arith::SubIOp::create(
            b, query, arith::ConstantIndexOp::create(b, window - 1));
        return arith::AndIOp::create(
            b, seen,
            arith::CmpIOp::create(b, arith::CmpIPredicate::sge, key, oldest));
      });
  double scale = im.getFloat(node, "scale", 0);
  Scores scores;
  auto y =
      attend(im, node, h, m,
             scale != 0 ? scale : 1 / std::sqrt(static_cast<double>(*size)),
             im.getFloat(node, "softcap", 0), element, scores);
  if (failed(y))
    return failure();
  auto merged = mergeHeads(im, node, *y, heads);
  if (failed(merged) || failed(im.out(node, 0, *merged, input.dtype)) ||
      (im.wants(node, 1) && failed(im.out(node, 1, presentKeys, input.dtype))))
    return failure();
  return im.wants(node, 2) ? im.out(node, 2, presentValues, input.dtype)
                           : success();
}

} // namespace

void registerContribAttention(OpTable &table) {
  StringRef ms = "com.microsoft";
  table.add({ms, "QAttention", 1, {5, 9}, importQAttention});
  table.add({ms, "GroupQueryAttention", 1, {1, 14}, importGroupQueryAttention});
}

} // namespace mlir::tamis::onnx
