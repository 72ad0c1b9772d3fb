// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Scalar functions, generics over explicit maps and row reductions.
#include "Arithmetic.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/StringSwitch.h"
#include <limits>

namespace mlir::tamis::onnx {

//===-- scalars
//-------------------------------------------------------------===//

Type computeType(Type element) {
  return element.isF64() ? element : Float32Type::get(element.getContext());
}

Value castScalar(ImplicitLocOpBuilder &b, Value value, Type to,
                 bool isUnsigned) {
  Type from = value.getType();
  if (from == to)
    return value;
  unsigned fromWidth = from.getIntOrFloatBitWidth();
  unsigned toWidth = to.getIntOrFloatBitWidth();
  if (isa<FloatType>(from) && isa<FloatType>(to)) {
    if (fromWidth < toWidth)
      return arith::ExtFOp::create(b, to, value);
    if (fromWidth > toWidth)
      return arith::TruncFOp::create(b, to, value);
    // float16 and bfloat16 meet in float32.
    return arith::TruncFOp::create(
        b, to, arith::ExtFOp::create(b, b.getF32Type(), value));
  }
  if (isa<FloatType>(to)) {
    if (isUnsigned)
      return arith::UIToFPOp::create(b, to, value);
    return arith::SIToFPOp::create(b, to, value);
  }
  if (fromWidth > toWidth)
    return arith::TruncIOp::create(b, to, value);
  if (isUnsigned)
    return arith::ExtUIOp::create(b, to, value);
  return arith::ExtSIOp::create(b, to, value);
}

Value sigmoid(ImplicitLocOpBuilder &b, Value x) {
  Value one = Importer::constant(b, x.getType(), 1);
  Value e = math::ExpOp::create(b, arith::NegFOp::create(b, x));
  return arith::DivFOp::create(b, one, arith::AddFOp::create(b, one, e));
}

Value geluErf(ImplicitLocOpBuilder &b, Value x) {
  Type type = x.getType();
  Value scaled = arith::MulFOp::create(
      b, x, Importer::constant(b, type, 0.70710678118654752440));
  Value factor = arith::AddFOp::create(b, math::ErfOp::create(b, scaled),
                                       Importer::constant(b, type, 1));
  Value half = arith::MulFOp::create(b, x, Importer::constant(b, type, 0.5));
  return arith::MulFOp::create(b, half, factor);
}

Value geluTanh(ImplicitLocOpBuilder &b, Value x) {
  Type type = x.getType();
  Value square = arith::MulFOp::create(b, x, x);
  Value cubic = arith::MulFOp::create(
      b, square,
      Importer::constant(b, type, 0.044715 * 0.79788456080286535588));
  cubic = arith::AddFOp::create(
      b, cubic, Importer::constant(b, type, 0.79788456080286535588));
  Value inner = arith::MulFOp::create(b, x, cubic);
  Value factor = arith::AddFOp::create(b, math::TanhOp::create(b, inner),
                                       Importer::constant(b, type, 1));
  Value half = arith::MulFOp::create(b, x, Importer::constant(b, type, 0.5));
  return arith::MulFOp::create(b, half, factor);
}

std::optional<Activation> findActivation(StringRef name) {
  std::string lower = name.lower();
  auto defaults =
      llvm::StringSwitch<std::optional<std::pair<double, double>>>(lower)
          .Cases({"relu", "tanh", "sigmoid", "softsign", "softplus", "gelu",
                  "identity", "hardswish", "mish"},
                 {{0, 0}})
          .Case("affine", {{1, 0}})
          .Case("leakyrelu", {{0.01f, 0}})
          .Case("thresholdedrelu", {{1, 0}})
          .Case("scaledtanh", {{1, 1}})
          .Case("hardsigmoid", {{0.2f, 0.5f}})
          .Case("elu", {{1, 0}})
          .Case("clip", {{0, 0}})
          .Default(std::nullopt);
  if (!defaults)
    return std::nullopt;
  return Activation{std::move(lower), defaults->first, defaults->second};
}

int activationParameters(const Activation &activation) {
  return llvm::StringSwitch<int>(activation.name)
      .Cases({"leakyrelu", "thresholdedrelu", "elu"}, 1)
      .Cases({"affine", "scaledtanh", "hardsigmoid", "clip"}, 2)
      .Default(0);
}

Value Activation::apply(ImplicitLocOpBuilder &b, Value x) const {
  Type type = x.getType();
  auto c = [&](double value) { return Importer::constant(b, type, value); };
  auto select = [&](arith::CmpFPredicate p, Value l, Value r, Value yes,
                    Value no) -> Value {
    return arith::SelectOp::create(b, arith::CmpFOp::create(b, p, l, r), yes,
                                   no);
  };
  using P = arith::CmpFPredicate;
  if (name == "relu")
    return arith::MaximumFOp::create(b, x, c(0));
  if (name == "tanh")
    return math::TanhOp::create(b, x);
  if (name == "sigmoid")
    return sigmoid(b, x);
  if (name == "gelu")
    return geluErf(b, x);
  if (name == "softsign")
    return arith::DivFOp::create(
        b, x, arith::AddFOp::create(b, c(1), math::AbsFOp::create(b, x)));
  if (name == "softplus" || name == "mish") {
    // max(x, 0) + log1p(exp(-|x|)) does not overflow.
    Value e = math::ExpOp::create(
        b, arith::NegFOp::create(b, math::AbsFOp::create(b, x)));
    Value soft = arith::AddFOp::create(b, arith::MaximumFOp::create(b, x, c(0)),
                                       math::Log1pOp::create(b, e));
    if (name == "softplus")
      return soft;
    return arith::MulFOp::create(b, x, math::TanhOp::create(b, soft));
  }
  if (name == "affine")
    return arith::AddFOp::create(b, arith::MulFOp::create(b, x, c(alpha)),
                                 c(beta));
  if (name == "leakyrelu")
    return select(P::OLT, x, c(0), arith::MulFOp::create(b, x, c(alpha)), x);
  if (name == "thresholdedrelu")
    return select(P::OGT, x, c(alpha), x, c(0));
  if (name == "scaledtanh")
    return arith::MulFOp::create(
        b, c(alpha),
        math::TanhOp::create(b, arith::MulFOp::create(b, x, c(beta))));
  if (name == "hardsigmoid" || name == "hardswish") {
    double slope = name == "hardswish" ? 1.0 / 6 : alpha;
    double offset = name == "hardswish" ? 0.5 : beta;
    Value y = arith::AddFOp::create(b, arith::MulFOp::create(b, x, c(slope)),
                                    c(offset));
    y = arith::MinimumFOp::create(b, arith::MaximumFOp::create(b, y, c(0)),
                                  c(1));
    if (name == "hardsigmoid")
      return y;
    return arith::MulFOp::create(b, x, y);
  }
  if (name == "elu")
    return select(
        P::OLT, x, c(0),
        arith::MulFOp::create(b, c(alpha), math::ExpM1Op::create(b, x)), x);
  if (name == "clip")
    return arith::MinimumFOp::create(
        b, arith::MaximumFOp::create(b, x, c(alpha)), c(beta));
  return x; // identity
}

//===-- generics
//------------------------------------------------------------===//

Value generic(Importer &im, ArrayRef<Value> inputs, ArrayRef<AffineMap> maps,
              ArrayRef<OpFoldResult> sizes, Type element,
              Importer::BodyFn body) {
  Value init = im.empty(sizes, element);
  SmallVector<AffineMap> all(maps);
  all.push_back(im.b.getMultiDimIdentityMap(sizes.size()));
  SmallVector<utils::IteratorType> iterators(sizes.size(),
                                             utils::IteratorType::parallel);
  auto op = linalg::GenericOp::create(
      im.b, init.getType(), inputs, init, all, iterators,
      [&](OpBuilder &nested, Location loc, ValueRange args) {
        ImplicitLocOpBuilder inner(loc, nested);
        linalg::YieldOp::create(inner, body(inner, args.drop_back()));
      });
  Block *block = op.getBlock();
  llvm::SmallDenseMap<Operation *, Value> copies;
  for (Operation &inside : llvm::make_early_inc_range(*block))
    for (OpOperand &operand : inside.getOpOperands()) {
      auto constant = operand.get().getDefiningOp<arith::ConstantOp>();
      if (!constant || constant->getBlock() == block)
        continue;
      Value &copy = copies[constant];
      if (!copy) {
        OpBuilder start = OpBuilder::atBlockBegin(block);
        copy = start.clone(*constant)->getResult(0);
      }
      operand.set(copy);
    }
  im.setDims(op.getResult(0), sizes);
  return op.getResult(0);
}

Value alongDim(Importer &im, Value x, ArrayRef<Value> vectors, int64_t dim,
               Type element, Importer::BodyFn body) {
  int64_t rank = rankOf(x);
  SmallVector<Value> inputs{x};
  SmallVector<AffineMap> maps{im.b.getMultiDimIdentityMap(rank)};
  for (Value vector : vectors) {
    inputs.push_back(vector);
    maps.push_back(AffineMap::get(rank, 0, im.b.getAffineDimExpr(dim)));
  }
  return generic(im, inputs, maps, im.dims(x), element, body);
}

Value unary(Importer &im, Value x, Type element, Importer::BodyFn body) {
  return alongDim(im, x, {}, 0, element, body);
}

Value convert(Importer &im, Value x, Type element, bool isUnsigned) {
  if (elementOf(x) == element)
    return x;
  return unary(im, x, element, [&](ImplicitLocOpBuilder &b, ValueRange args) {
    return castScalar(b, args[0], element, isUnsigned);
  });
}

Value count(Importer &im, Value x, ArrayRef<int64_t> axes, Type type) {
  Sizes sizes;
  for (int64_t axis : axes)
    sizes.push_back(im.dim(x, axis));
  OpFoldResult product = im.shape.product(sizes);
  if (auto known = ShapeMath::constant(product))
    return im.constant(type, static_cast<double>(*known));
  Value wide = arith::IndexCastOp::create(im.b, im.b.getI64Type(),
                                          im.shape.value(product));
  return arith::SIToFPOp::create(im.b, type, wide);
}

Value sum(Importer &im, Value x, ArrayRef<int64_t> axes, bool keepDims) {
  Type type = computeType(elementOf(x));
  return im.reduce(x, axes, keepDims, im.constant(type, 0),
                   [&](ImplicitLocOpBuilder &b, Value acc, Value element) {
                     return arith::AddFOp::create(b, acc,
                                                  castScalar(b, element, type))
                         .getResult();
                   });
}

Value maximum(Importer &im, Value x, ArrayRef<int64_t> axes) {
  Type type = computeType(elementOf(x));
  Value lowest = im.constant(type, -std::numeric_limits<double>::infinity());
  return im.reduce(x, axes, /*keepDims=*/true, lowest,
                   [&](ImplicitLocOpBuilder &b, Value acc, Value element) {
                     return arith::MaximumFOp::create(
                                b, acc, castScalar(b, element, type))
                         .getResult();
                   });
}

Value mean(Importer &im, Value x, ArrayRef<int64_t> axes) {
  Type type = computeType(elementOf(x));
  Value total = sum(im, x, axes);
  Value n = count(im, x, axes, type);
  return unary(im, total, type, [&](ImplicitLocOpBuilder &b, ValueRange args) {
    return arith::DivFOp::create(b, args[0], n).getResult();
  });
}

Value softmax(Importer &im, const Node &node, Value x, ArrayRef<int64_t> axes) {
  Type element = elementOf(x), type = computeType(element);
  Value highest = maximum(im, x, axes);
  Value e = im.elementwise(
      node, ArrayRef<Value>{x, highest}, type,
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        return math::ExpOp::create(
            b, arith::SubFOp::create(b, castScalar(b, args[0], type), args[1]));
      });
  if (!e)
    return nullptr;
  Value total = sum(im, e, axes);
  return im.elementwise(node, ArrayRef<Value>{e, total}, element,
                        [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                          return castScalar(
                              b, arith::DivFOp::create(b, args[0], args[1]),
                              element);
                        });
}

Value constantTensorOf(Importer &im, ArrayRef<int64_t> shape,
                       ArrayRef<float> values) {
  auto type = RankedTensorType::get(shape, im.b.getF32Type());
  return im.constantTensor(DenseElementsAttr::get(type, values));
}

Value takeFirst(Importer &im, Value input, OpFoldResult index) {
  Value one = im.sliceDim(input, 0, index, im.shape.attr(1));
  return im.dropDims(one, {0});
}

Value rankZero(Importer &im, Value scalar) {
  return tensor::FromElementsOp::create(
      im.b, RankedTensorType::get({}, scalar.getType()), scalar);
}

SmallVector<int64_t> axesFrom(int64_t first, int64_t rank) {
  return llvm::to_vector(llvm::seq<int64_t>(first, rank));
}

} // namespace mlir::tamis::onnx
