// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What LSTM, GRU and RNN share. The input projection of all steps is one
// contraction outside; the loop carries states and the result tensor, into
// which each step inserts its slice, so that bufferization works in place.
#include "Recurrent.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include <limits>

namespace mlir::tamis::onnx {

/// `value` with exactly `type`; they differ in what is known of the sizes.
static Value asType(Importer &im, Value value, RankedTensorType type) {
  if (value.getType() == type)
    return value;
  return tensor::CastOp::create(im.b, type, value);
}

LogicalResult Recurrence::readActivations(ArrayRef<StringRef> defaults) {
  perDirection = defaults.size();
  SmallVector<StringRef> names = im.getStrings(node, "activations");
  if (names.empty())
    for (int64_t d = 0; d < directions; ++d)
      names.append(defaults.begin(), defaults.end());
  if (static_cast<int64_t>(names.size()) != directions * perDirection)
    return im.error(node) << "expected " << directions * perDirection
                          << " activations, got " << names.size();
  SmallVector<float> alphas = im.getFloats(node, "activation_alpha");
  SmallVector<float> betas = im.getFloats(node, "activation_beta");
  size_t nextAlpha = 0, nextBeta = 0;
  for (StringRef name : names) {
    std::optional<Activation> found = findActivation(name);
    if (!found)
      return im.error(node) << "unknown activation '" << name << "'";
    // Parameters are listed for those activations only that have any.
    int wanted = activationParameters(*found);
    if (wanted > 0 && nextAlpha < alphas.size())
      found->alpha = alphas[nextAlpha++];
    if (wanted > 1 && nextBeta < betas.size())
      found->beta = betas[nextBeta++];
    activations.push_back(*found);
  }
  return success();
}

LogicalResult Recurrence::read(int64_t hiddenSize, int64_t directionsOfWeights,
                               ArrayRef<StringRef> defaults) {
  ImportedValue input = im.in(node, 0);
  dtype = input.dtype;
  if (!isFloat(dtype))
    return im.error(node) << "expected a float X, got " << dtypeName(dtype);
  element = im.elementType(dtype);
  type = computeType(element);
  x = im.tensor(input);
  if (failed(im.requireRank(node, x, 3, "X")))
    return failure();
  int64_t layout = im.getInt(node, "layout", 0);
  if (layout != 0 && layout != 1)
    return im.error(node) << "expected layout 0 or 1, got " << layout;
  batchFirst = layout == 1;
  if (batchFirst)
    x = im.transpose(x, {1, 0, 2});
  x = convert(im, x, type);
  steps = im.dim(x, 0);
  batch = im.dim(x, 1);

  StringRef way = im.getString(node, "direction", "forward");
  if (way != "forward" && way != "reverse" && way != "bidirectional")
    return im.error(node) << "unknown direction '" << way << "'";
  reverseOnly = way == "reverse";
  directions = way == "bidirectional" ? 2 : 1;
  if (directions != directionsOfWeights)
    return im.error(node) << "expected weights for " << directions
                          << " directions, got " << directionsOfWeights;
  hidden = hiddenSize;
  int64_t declared = im.getInt(node, "hidden_size", hidden);
  if (declared != hidden)
    return im.error(node) << "hidden_size is " << declared
                          << ", the weights have " << hidden;
  clip = im.getFloat(node, "clip", 0);
  if (clip < 0)
    return im.error(node) << "expected a non-negative clip, got " << clip;
  if (failed(readActivations(defaults)))
    return failure();
  if (im.has(node, inputs.lengths)) {
    lengths = im.tensor(node, inputs.lengths);
    if (!elementOf(lengths).isInteger(32))
      return im.error(node) << "expected sequence_lens of type int32, got "
                            << dtypeName(im.in(node, inputs.lengths).dtype);
    if (failed(im.requireRank(node, lengths, 1, "sequence_lens")) ||
        failed(im.requireEqual(node, im.dim(lengths, 0), batch,
                               "the length of sequence_lens")))
      return failure();
  }
  stateType = im.tensorType({batch, im.shape.attr(hidden)}, type);
  last.resize(states);
  if (im.wants(node, 0))
    y = im.empty(
        {steps, im.shape.attr(directions), batch, im.shape.attr(hidden)}, type);
  return success();
}

Value Recurrence::clipped(ImplicitLocOpBuilder &b, Value value) const {
  if (clip == 0)
    return value;
  value =
      arith::MaximumFOp::create(b, value, Importer::constant(b, type, -clip));
  return arith::MinimumFOp::create(b, value, Importer::constant(b, type, clip));
}

Value Recurrence::gate(Value value, int64_t gate, int64_t count) {
  if (count == gates)
    return value;
  return im.sliceDim(value, rankOf(value) - 1, im.shape.attr(gate * hidden),
                     im.shape.attr(count * hidden));
}

Value Recurrence::direction(Value value, int64_t d) {
  Value one = value;
  if (ShapeMath::constant(im.dim(value, 0)) == 1)
    one = im.dropDims(value, {0});
  else
    one = takeFirst(im, value, im.shape.attr(d));
  return isa<FloatType>(elementOf(one)) ? convert(im, one, type) : one;
}

FailureOr<Value> Recurrence::initial(int64_t index, int64_t d) {
  size_t input = index == 0 ? inputs.initialH : inputs.initialC;
  Sizes sizes{batch, im.shape.attr(hidden)};
  if (!im.has(node, input))
    return asType(im, im.fill(sizes, im.constant(type, 0)), stateType);
  Value given = im.tensor(node, input);
  StringRef name = index == 0 ? "initial_h" : "initial_c";
  if (!isa<FloatType>(elementOf(given)))
    return im.error(node) << "expected a float " << name;
  if (failed(im.requireRank(node, given, 3, name)))
    return failure();
  if (batchFirst)
    given = im.transpose(given, {1, 0, 2});
  Sizes expected{im.shape.attr(directions), batch, im.shape.attr(hidden)};
  for (int64_t i = 0; i < 3; ++i)
    if (failed(im.requireEqual(node, im.dim(given, i), expected[i],
                               "a dimension of " + name)))
      return failure();
  return asType(im, direction(given, d), stateType);
}

LogicalResult Recurrence::loop(int64_t d, Value projected, StepFn step) {
  ImplicitLocOpBuilder &b = im.b;
  ShapeMath &s = im.shape;
  SmallVector<Value> carried;
  for (int64_t i = 0; i < states; ++i) {
    FailureOr<Value> state = initial(i, d);
    if (failed(state))
      return failure();
    carried.push_back(*state);
  }
  if (y)
    carried.push_back(y);
  Sizes stateSizes{batch, s.attr(hidden)};
  Sizes ySizes{steps, s.attr(directions), batch, s.attr(hidden)};
  Value count = s.value(steps);
  Value zero = arith::ConstantIndexOp::create(b, 0);
  Value one = arith::ConstantIndexOp::create(b, 1);
  auto loop = scf::ForOp::create(b, zero, count, one, carried);
  for (int64_t i = 0; i < states; ++i)
    im.setDims(loop.getResult(i), stateSizes);
  if (y)
    im.setDims(loop.getResult(states), ySizes);

  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  im.enterRegion();
  LogicalResult built = [&]() -> LogicalResult {
    Value at = loop.getInductionVar();
    if (isReverse(d))
      at = arith::SubIOp::create(b, arith::SubIOp::create(b, count, one), at);
    OpFoldResult t = s.symbol(at, 0, std::numeric_limits<int32_t>::max());
    SmallVector<Value> old, fresh;
    for (int64_t i = 0; i < states; ++i) {
      old.push_back(loop.getRegionIterArg(i));
      im.setDims(old.back(), stateSizes);
    }
    if (failed(step(takeFirst(im, projected, t), old, fresh)))
      return failure();
    Value shown = fresh[0];
    if (lengths) {
      // Past the end of its sequence an entry keeps its state and shows zero.
      // A reversed sequence starts at its own end: its state waits until then.
      Value now = arith::IndexCastOp::create(b, b.getI32Type(), at);
      auto choose = [&](Value live, Value otherwise) {
        int64_t rank = 2;
        auto row = AffineMap::get(rank, 0, b.getAffineDimExpr(0));
        auto identity = b.getMultiDimIdentityMap(rank);
        SmallVector<Value> operands{lengths, live};
        SmallVector<AffineMap> maps{row, identity};
        if (otherwise) {
          operands.push_back(otherwise);
          maps.push_back(identity);
        }
        return generic(
            im, operands, maps, stateSizes, type,
            [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
              Value valid = arith::CmpIOp::create(b, arith::CmpIPredicate::slt,
                                                  now, args[0]);
              Value rest =
                  args.size() > 2 ? args[2] : Importer::constant(b, type, 0);
              return arith::SelectOp::create(b, valid, args[1], rest);
            });
      };
      if (y)
        shown = choose(fresh[0], nullptr);
      for (int64_t i = 0; i < states; ++i)
        fresh[i] = choose(fresh[i], old[i]);
    }
    SmallVector<Value> yielded;
    for (Value state : fresh)
      yielded.push_back(asType(im, state, stateType));
    if (y) {
      SmallVector<OpFoldResult> offsets{at, s.attr(d), s.attr(0), s.attr(0)};
      Sizes sizes{s.attr(1), s.attr(1), batch, s.attr(hidden)};
      SmallVector<OpFoldResult> strides(4, s.attr(1));
      yielded.push_back(tensor::InsertSliceOp::create(
          b, asType(im, shown, stateType), loop.getRegionIterArg(states),
          offsets, sizes, strides));
    }
    scf::YieldOp::create(b, yielded);
    return success();
  }();
  im.leaveRegion();
  if (failed(built))
    return failure();
  for (int64_t i = 0; i < states; ++i)
    last[i].push_back(loop.getResult(i));
  if (y)
    y = loop.getResult(states);
  return success();
}

Value Recurrence::toLayout(Value value, ArrayRef<int64_t> permutation) {
  value = convert(im, value, element);
  return batchFirst ? im.transpose(value, permutation) : value;
}

LogicalResult Recurrence::finish() {
  if (y && failed(im.out(node, 0, toLayout(y, {2, 0, 1, 3}), dtype)))
    return failure();
  for (int64_t i = 0; i < states; ++i) {
    if (!im.wants(node, i + 1))
      continue;
    SmallVector<Value> parts;
    for (Value state : last[i])
      parts.push_back(
          im.reshape(state, {im.shape.attr(1), batch, im.shape.attr(hidden)}));
    Value all = parts.size() == 1 ? parts[0] : im.concat(node, parts, 0);
    if (!all || failed(im.out(node, i + 1, toLayout(all, {1, 0, 2}), dtype)))
      return failure();
  }
  return success();
}

} // namespace mlir::tamis::onnx
