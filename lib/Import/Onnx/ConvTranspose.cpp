// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ConvTranspose by sub-pixels: the results at positions congruent modulo the
// stride are an ordinary convolution of the input with every stride-th tap of
// the flipped kernel. One contraction per residue, interleaved at the end; no
// zeros are inserted and none multiplied.
#include "Arithmetic.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include <numeric>

namespace mlir::tamis::onnx {

namespace {

/// The taps that reach results q * stride + phase along one dimension: taps
/// first, first - step, ..., read from input q + offset, q + offset + dilation…
struct Phase {
  int64_t count = 0;    // of taps; 0: such results are zero
  int64_t lowest = 0;   // tap
  int64_t step = 1;     // between taps
  int64_t offset = 0;   // of the input for the highest tap
  int64_t dilation = 1; // of the input between taps
};

Phase phaseOf(int64_t phase, int64_t kernel, int64_t stride, int64_t dilation,
              int64_t pad) {
  Phase p;
  int64_t common = std::gcd(stride, dilation);
  p.step = stride / common;
  p.dilation = dilation / common;
  int64_t highest = -1;
  for (int64_t k = 0; k < kernel; ++k) {
    if ((phase + pad - k * dilation) % stride != 0)
      continue;
    if (p.count == 0)
      p.lowest = k;
    ++p.count;
    highest = k;
  }
  if (p.count)
    p.offset = (phase + pad - highest * dilation) / stride;
  return p;
}

/// `weights` with the taps of each phase in descending order.
Value selectTaps(Importer &im, Value weights, ArrayRef<Phase> phases) {
  int64_t rank = rankOf(weights), lead = rank - phases.size();
  Sizes sizes = im.dims(weights);
  bool whole = true;
  for (auto [i, phase] : llvm::enumerate(phases)) {
    whole &= phase.count == 1 && ShapeMath::constant(sizes[lead + i]) == 1;
    sizes[lead + i] = im.shape.attr(phase.count);
  }
  if (whole)
    return weights;
  return im.gatherLike(
      weights, sizes, [&](ImplicitLocOpBuilder &b, ValueRange at) {
        SmallVector<Value> index(at.begin(), at.end());
        for (auto [i, phase] : llvm::enumerate(phases)) {
          Value highest = arith::ConstantIndexOp::create(
              b, phase.lowest + (phase.count - 1) * phase.step);
          Value back = arith::MulIOp::create(
              b, index[lead + i],
              arith::ConstantIndexOp::create(b, phase.step));
          index[lead + i] = arith::SubIOp::create(b, highest, back);
        }
        return index;
      });
}

/// Padding and result sizes of a transposed convolution.
LogicalResult place(Importer &im, const Node &node, Window &w,
                    ArrayRef<OpFoldResult> in, SmallVector<int64_t> &low) {
  ShapeMath &s = im.shape;
  SmallVector<int64_t> zeros(w.rank, 0);
  SmallVector<int64_t> extra = im.getInts(node, "output_padding", zeros);
  SmallVector<int64_t> wanted = im.getInts(node, "output_shape", {});
  StringRef mode = im.getString(node, "auto_pad", "NOTSET");
  bool same = mode == "SAME_UPPER" || mode == "SAME_LOWER";
  FailureOr<SmallVector<int64_t>> pads = readPads(im, node, w.rank);
  if (failed(pads))
    return failure();
  if (!same && mode != "NOTSET" && mode != "VALID" && !mode.empty())
    return im.error(node) << "unknown auto_pad '" << mode << "'";
  if (static_cast<int64_t>(extra.size()) != w.rank)
    return im.error(node) << "expected " << w.rank << " output_padding, got "
                          << extra.size();
  if (static_cast<int64_t>(wanted.size()) == w.rank + 2)
    wanted.erase(wanted.begin(), wanted.begin() + 2);
  if (!wanted.empty() && static_cast<int64_t>(wanted.size()) != w.rank)
    return im.error(node) << "expected " << w.rank << " output_shape, got "
                          << wanted.size();
  for (int64_t i = 0; i < w.rank; ++i) {
    if (extra[i] < 0 || extra[i] > (int64_t(1) << 31))
      return im.error(node)
             << "expected non-negative output_padding, got " << extra[i];
    OpFoldResult stride = s.attr(w.strides[i]);
    // Without padding: (in - 1) * stride + extent + output_padding.
    OpFoldResult full = s.add(s.mul(s.sub(in[i], s.attr(1)), stride),
                              s.attr(w.extent(i) + extra[i]));
    if (same || !wanted.empty()) {
      OpFoldResult out =
          wanted.empty() ? s.mul(in[i], stride) : s.attr(wanted[i]);
      OpFoldResult total = s.max(s.sub(full, out), s.attr(0));
      OpFoldResult half = s.floorDiv(total, s.attr(2));
      // SAME_UPPER puts the odd one at the end, everything else at the start.
      OpFoldResult start = mode == "SAME_UPPER" ? half : s.sub(total, half);
      auto known = ShapeMath::constant(start);
      if (!known)
        return im.error(node) << "padding for output_shape or auto_pad depends "
                                 "on an open input size";
      low.push_back(*known);
      w.out.push_back(out);
      continue;
    }
    bool padded = mode != "VALID";
    int64_t before = padded ? (*pads)[i] : 0;
    int64_t after = padded ? (*pads)[w.rank + i] : 0;
    OpFoldResult out = s.sub(full, s.attr(before + after));
    if (auto known = ShapeMath::constant(out); known && *known < 0)
      return im.error(node)
             << "pads exceed the result in spatial dimension " << i;
    if (!ShapeMath::constant(out))
      out = s.max(out, s.attr(0));
    low.push_back(before);
    w.out.push_back(out);
  }
  return success();
}

/// The contraction of one combination of phases; result (n, [g], o, spatial).
Value contractPhase(Importer &im, const Node &node, Value x, Value weights,
                    bool grouped, ArrayRef<Phase> phases,
                    ArrayRef<OpFoldResult> lead, ArrayRef<OpFoldResult> out) {
  ImplicitLocOpBuilder &b = im.b;
  ShapeMath &s = im.shape;
  int64_t spatial = phases.size(), first = rankOf(x) - spatial;
  Contraction c;
  unsigned next = 0;
  auto dim = [&] { return b.getAffineDimExpr(next++); };
  AffineExpr n = dim(), g;
  c.lhsExprs.push_back(n);
  c.outExprs.push_back(n);
  if (grouped) {
    g = dim();
    c.lhsExprs.push_back(g);
    c.rhsExprs.push_back(g);
    c.outExprs.push_back(g);
  }
  AffineExpr o = dim();
  c.outExprs.push_back(o);
  SmallVector<AffineExpr> at;
  for (int64_t i = 0; i < spatial; ++i) {
    at.push_back(dim());
    c.outExprs.push_back(at.back());
  }
  AffineExpr k = dim();
  c.lhsExprs.push_back(k);
  c.rhsExprs.append({k, o});
  c.pad.assign(first, 0);
  for (int64_t i = 0; i < spatial; ++i) {
    AffineExpr tap = dim();
    c.lhsExprs.push_back(at[i] + tap * phases[i].dilation);
    c.rhsExprs.push_back(tap);
    int64_t offset = phases[i].offset;
    c.pad.push_back(std::max<int64_t>(-offset, 0));
    if (offset > 0) {
      OpFoldResult skip = s.min(s.attr(offset), im.dim(x, first + i));
      x = im.sliceDim(x, first + i, skip, s.sub(im.dim(x, first + i), skip));
    }
  }
  c.dims = next;
  c.lhs = {x};
  c.rhs = {selectTaps(im, weights, phases)};
  Sizes sizes(lead);
  sizes.append(out.begin(), out.end());
  return contract(im, node, c, sizes);
}

LogicalResult importConvTranspose(Importer &im, const Node &node) {
  ShapeMath &s = im.shape;
  ImportedValue input = im.in(node, 0);
  Value x = im.tensor(input), weights = im.tensor(node, 1);
  if (failed(requireFloats(im, node, input, im.in(node, 1))))
    return failure();
  if (rankOf(x) < 3)
    return im.error(node) << "expected an input of rank 3 or more, got rank "
                          << rankOf(x);
  if (failed(im.requireRank(node, weights, rankOf(x), "the weights")))
    return failure();
  auto kernel = kernelOf(im, node, weights);
  auto group = readGroup(im, node);
  if (failed(kernel) || failed(group))
    return failure();
  auto w = readWindow(im, node, rankOf(x) - 2, *kernel);
  if (failed(w))
    return failure();
  Sizes xSizes = im.dims(x), wSizes = im.dims(weights);
  auto channels = ShapeMath::constant(wSizes[0]);
  auto perGroup = ShapeMath::constant(wSizes[1]);
  if (!channels || !perGroup || *channels % *group != 0)
    return im.error(node) << "expected known numbers of channels, the input's "
                             "divisible by group "
                          << *group;
  if (failed(im.requireEqual(node, xSizes[1], s.attr(*channels),
                             "the number of channels")))
    return failure();
  SmallVector<int64_t> low;
  ArrayRef<OpFoldResult> in = ArrayRef<OpFoldResult>(xSizes).drop_front(2);
  if (failed(place(im, node, *w, in, low)))
    return failure();
  int64_t phases = 1;
  for (int64_t stride : w->strides) {
    if (stride > 4096 || (phases *= stride) > 4096)
      return im.error(node) << "expected strides with a product of at most "
                               "4096";
  }

  bool grouped = *group > 1;
  Sizes lead{xSizes[0]};
  if (grouped) {
    lead.push_back(s.attr(*group));
    Sizes split{xSizes[0], s.attr(*group), s.attr(*channels / *group)};
    split.append(in.begin(), in.end());
    x = im.reshape(x, split);
    Sizes parts{s.attr(*group), s.attr(*channels / *group), wSizes[1]};
    parts.append(wSizes.begin() + 2, wSizes.end());
    weights = im.reshape(weights, parts);
  }
  lead.push_back(s.attr(*perGroup));
  int64_t first = lead.size(), rank = w->rank;
  Type acc = accumulatorType(elementOf(x));
  Sizes outSizes(lead);
  outSizes.append(w->out);

  Value result;
  SmallVector<int64_t> phase(rank, 0);
  for (int64_t index = 0; index < phases; ++index) {
    SmallVector<Phase> taps;
    bool empty = llvm::is_contained(lead, s.attr(0));
    Sizes sizes;
    for (int64_t i = 0, rest = index; i < rank; ++i) {
      phase[i] = rest % w->strides[i];
      rest /= w->strides[i];
      taps.push_back(phaseOf(phase[i], w->kernel[i], w->strides[i],
                             w->dilations[i], low[i]));
      empty |= taps.back().count == 0;
      OpFoldResult left = s.max(s.sub(w->out[i], s.attr(phase[i])), s.attr(0));
      sizes.push_back(s.ceilDiv(left, s.attr(w->strides[i])));
      empty |= ShapeMath::constant(sizes.back()) == 0;
    }
    if (phases == 1) {
      result = contractPhase(im, node, x, weights, grouped, taps, lead, sizes);
      break;
    }
    if (!result)
      result = im.fill(outSizes, im.constant(acc, 0));
    if (empty)
      continue;
    Value part =
        contractPhase(im, node, x, weights, grouped, taps, lead, sizes);
    SmallVector<OpFoldResult> offsets(first, s.attr(0));
    SmallVector<OpFoldResult> strides(first, s.attr(1));
    for (int64_t i = 0; i < rank; ++i) {
      offsets.push_back(s.attr(phase[i]));
      strides.push_back(s.attr(w->strides[i]));
    }
    SmallVector<OpFoldResult> extents;
    for (int64_t i = 0; i < rankOf(part); ++i)
      extents.push_back(im.dim(part, i));
    result = tensor::InsertSliceOp::create(im.b, part, result, offsets, extents,
                                           strides);
  }
  im.setDims(result, outSizes);
  if (grouped) {
    Sizes merged{xSizes[0], s.attr(*perGroup * *group)};
    merged.append(w->out);
    result = im.reshape(result, merged);
  }
  auto y = addChannelBias(im, node, result, input, 2);
  if (failed(y))
    return failure();
  return im.out(node, 0, *y, input.dtype);
}

} // namespace

void registerConvTranspose(OpTable &table) {
  table.add({"", "ConvTranspose", 1, {2, 3}, importConvTranspose});
}

} // namespace mlir::tamis::onnx
