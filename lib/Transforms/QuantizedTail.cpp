// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads bias, batch normalization, relu and clip behind a contraction.
#include "QuantizedTail.h"
#include "mlir/IR/Matchers.h"
#include "tamis/Transforms/ConstantTensor.h"
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace mlir::tamis;

namespace {
/// The operands of a generic that is `clip((x + bias) * factor + shift)`.
struct Vectors {
  OpOperand *bias = nullptr, *factor = nullptr, *shift = nullptr;
};
} // namespace

static RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// The only user of a value, or null.
static Operation *getUser(Value value) {
  return value.hasOneUse() ? *value.getUsers().begin() : nullptr;
}

Value tamis::buildGeneric(
    OpBuilder &b, Location loc, ArrayRef<OpFoldResult> sizes, Type element,
    ArrayRef<Value> inputs, ArrayRef<AffineMap> maps,
    function_ref<Value(OpBuilder &, Location, ValueRange)> body) {
  Value init = tensor::EmptyOp::create(b, loc, sizes, element);
  SmallVector<AffineMap> all(maps);
  all.push_back(b.getMultiDimIdentityMap(sizes.size()));
  SmallVector<utils::IteratorType> iterators(sizes.size(),
                                             utils::IteratorType::parallel);
  return linalg::GenericOp::create(
             b, loc, init.getType(), inputs, init, all, iterators,
             [&](OpBuilder &nested, Location at, ValueRange args) {
               linalg::YieldOp::create(nested, at, body(nested, at, args));
             })
      .getResult(0);
}

std::optional<SmallVector<float>> tamis::readFloats(Value value,
                                                    SymbolTable &symbols) {
  auto constant = getConstantTensor(value, symbols);
  if (!constant || !constant->type.getElementType().isF32())
    return std::nullopt;
  SmallVector<float> floats(constant->bytes.size() / 4);
  std::memcpy(floats.data(), constant->bytes.data(), constant->bytes.size());
  return floats;
}

/// The constant float that `value` is.
static std::optional<double> getConstantFloat(Value value) {
  Attribute attr;
  if (!matchPattern(value, m_Constant(&attr)))
    return std::nullopt;
  if (auto splat = dyn_cast<SplatElementsAttr>(attr))
    attr = splat.getSplatValue<Attribute>();
  if (auto real = dyn_cast<FloatAttr>(attr))
    return real.getValueAsDouble();
  return std::nullopt;
}

/// Reads an elementwise generic as `clip((x + bias) * factor + shift)`, with
/// parts of it missing. `x` is the operand of that value; true if nothing else
/// is in the body.
static bool readGeneric(linalg::GenericOp op, Value x, Vectors &vectors,
                        Tail &tail) {
  if (op.getNumDpsInits() != 1 ||
      op.getNumParallelLoops() != op.getNumLoops() ||
      !op.getMatchingIndexingMap(op.getDpsInitOperand(0)).isIdentity())
    return false;
  Value current;
  for (OpOperand *input : op.getDpsInputOperands())
    if (input->get() == x) {
      if (!op.getMatchingIndexingMap(input).isIdentity())
        return false;
      current = op.getMatchingBlockArgument(input);
    }
  // The float that an operand of the body is: a constant, inside or passed in.
  auto getFloat = [&](Value value) -> std::optional<double> {
    auto argument = dyn_cast<BlockArgument>(value);
    if (argument && argument.getOwner() == op.getBody())
      return getConstantFloat(op.getMatchingOpOperand(argument)->get());
    return getConstantFloat(value);
  };
  for (Operation &inner : op.getBody()->without_terminator()) {
    if (isa<arith::ConstantOp>(inner))
      continue;
    if (inner.getNumOperands() != 2 || !inner.getResult(0).hasOneUse())
      return false;
    unsigned at = inner.getOperand(0) == current ? 0 : 1;
    if (inner.getOperand(at) != current || inner.getOperand(1 - at) == current)
      return false;
    Value other = inner.getOperand(1 - at);
    if (isa<arith::AddFOp, arith::MulFOp>(inner)) {
      auto argument = dyn_cast<BlockArgument>(other);
      if (!argument || argument.getOwner() != op.getBody() || tail.low ||
          tail.high || vectors.shift || tail.shift.value)
        return false;
      bool scaled = vectors.factor || tail.factor.value;
      OpOperand *&vector = scaled                      ? vectors.shift
                           : isa<arith::MulFOp>(inner) ? vectors.factor
                                                       : vectors.bias;
      if (vector || (scaled && isa<arith::MulFOp>(inner)) ||
          (&vector == &vectors.bias && tail.bias))
        return false;
      vector = op.getMatchingOpOperand(argument);
    } else if (isa<arith::MaximumFOp, arith::MaxNumFOp>(inner)) {
      auto value = getFloat(other);
      if (!value || tail.low || tail.high)
        return false;
      tail.low = value;
    } else if (isa<arith::MinimumFOp, arith::MinNumFOp>(inner)) {
      auto value = getFloat(other);
      if (!value || tail.high)
        return false;
      tail.high = value;
    } else {
      return false;
    }
    current = inner.getResult(0);
  }
  return op.getBody()->getTerminator()->getOperand(0) == current;
}

/// The constant scalar or vector `operand` of `generic` as if it were applied
/// to the contraction's own result.
static std::optional<Parameter> readVector(ContractOp op,
                                           linalg::GenericOp generic,
                                           OpOperand &operand, const Tail &tail,
                                           SymbolTable &symbols) {
  AffineMap map = generic.getMatchingIndexingMap(&operand);
  Value value = operand.get();
  if (!map.isProjectedPermutation() || map.getNumResults() > 1 ||
      !typeOf(value).hasStaticShape() ||
      !(value.getDefiningOp<DequantizeOp>() ||
        getConstantTensor(value, symbols)))
    return std::nullopt;
  OpBuilder b(op);
  SmallVector<AffineExpr> exprs(map.getResults());
  if (auto collapse =
          dyn_cast_if_present<tensor::CollapseShapeOp>(tail.reshape);
      collapse && !exprs.empty()) {
    // One channel there is a group and a channel here.
    ReassociationIndices group =
        collapse.getReassociationIndices()[map.getDimPosition(0)];
    SmallVector<int64_t> shape;
    exprs.clear();
    for (int64_t dim : group) {
      shape.push_back(typeOf(op.getResult()).getDimSize(dim));
      exprs.push_back(b.getAffineDimExpr(dim));
    }
    if (group.size() > 1) {
      b.setInsertionPointAfterValue(value);
      ReassociationIndices whole =
          llvm::to_vector(llvm::seq<int64_t>(0, group.size()));
      value = tensor::ExpandShapeOp::create(
          b, generic.getLoc(),
          RankedTensorType::get(shape, typeOf(value).getElementType()), value,
          ArrayRef<ReassociationIndices>{whole});
    }
  } else if (auto expand =
                 dyn_cast_if_present<tensor::ExpandShapeOp>(tail.reshape);
             expand && !exprs.empty()) {
    auto groups = expand.getReassociationIndices();
    auto *found = llvm::find(
        groups, ReassociationIndices{int64_t(map.getDimPosition(0))});
    if (found == groups.end())
      return std::nullopt;
    exprs[0] = b.getAffineDimExpr(found - groups.begin());
  }
  return Parameter{value, AffineMap::get(typeOf(op.getResult()).getRank(), 0,
                                         exprs, b.getContext())};
}

/// Takes bias, factor and shift into `tail`. Factors that are not known, or
/// zero, which no bias in units of them outweighs, are not taken.
static bool readVectors(ContractOp op, linalg::GenericOp generic,
                        const Vectors &vectors, Tail &tail,
                        SymbolTable &symbols) {
  if (vectors.bias) {
    auto bias = readVector(op, generic, *vectors.bias, tail, symbols);
    if (!bias)
      return false;
    tail.bias = bias->value;
    tail.biasMap = bias->map;
  }
  if (vectors.factor) {
    auto known = readFloats(vectors.factor->get(), symbols);
    auto factor = readVector(op, generic, *vectors.factor, tail, symbols);
    if (!factor || !known || factor->map.getNumResults() == 0 ||
        !llvm::all_of(*known, [](float f) { return std::isnormal(f); }))
      return false;
    tail.factor = *factor;
  }
  if (vectors.shift) {
    auto shift = readVector(op, generic, *vectors.shift, tail, symbols);
    if (!shift || shift->map != tail.factor.map)
      return false;
    tail.shift = *shift;
  }
  return true;
}

std::optional<Tail> tamis::findTail(ContractOp op, SymbolTable &symbols) {
  Tail tail;
  Value current = op.getResult();
  while (Operation *user = getUser(current)) {
    if (auto quantize = dyn_cast<QuantizeOp>(user)) {
      auto type = cast<RankedTensorType>(quantize.getType());
      if (typeOf(quantize.getScale()).getRank() != 0 ||
          !typeOf(quantize.getScale()).getElementType().isF32() ||
          type.getElementType().getIntOrFloatBitWidth() > 16)
        return std::nullopt;
      tail.quantize = quantize;
      return tail;
    }
    if (isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp>(user)) {
      if (tail.reshape)
        return std::nullopt;
      tail.reshape = user;
      current = user->getResult(0);
      continue;
    }
    auto generic = dyn_cast<linalg::GenericOp>(user);
    Vectors vectors;
    if (!generic || !readGeneric(generic, current, vectors, tail) ||
        !readVectors(op, generic, vectors, tail, symbols))
      return std::nullopt;
    current = generic.getResult(0);
  }
  return std::nullopt;
}

void tamis::foldNormalization(OpBuilder &b, Location loc, Tail &tail,
                              Value &wScale, AffineMap &scaleMap) {
  Value factor = tail.factor.value;
  unsigned rank = typeOf(factor).getRank();
  AffineMap whole = b.getMultiDimIdentityMap(rank);
  auto getMap = [&](Value value) {
    return typeOf(value).getRank() ? whole
                                   : AffineMap::get(rank, 0, b.getContext());
  };
  auto sizes = tensor::getMixedSizes(b, loc, factor);
  wScale = buildGeneric(
      b, loc, sizes, b.getF32Type(), {wScale, factor}, {getMap(wScale), whole},
      [](OpBuilder &b, Location loc, ValueRange args) {
        return arith::MulFOp::create(b, loc, args[0], args[1]).getResult();
      });
  scaleMap = tail.factor.map;
  if (!tail.bias && !tail.shift.value)
    return;
  SmallVector<Value> inputs = {factor};
  SmallVector<AffineMap> maps = {whole};
  for (Value value : {tail.bias, tail.shift.value})
    if (value) {
      inputs.push_back(value);
      maps.push_back(getMap(value));
    }
  bool hasBias = tail.bias != nullptr, hasShift = tail.shift.value != nullptr;
  tail.bias = buildGeneric(
      b, loc, sizes, b.getF32Type(), inputs, maps,
      [&](OpBuilder &b, Location loc, ValueRange args) {
        Value sum;
        if (hasBias)
          sum = arith::MulFOp::create(b, loc, args[1], args[0]);
        if (!hasShift)
          return sum;
        Value shift = args[hasBias ? 2 : 1];
        return sum ? arith::AddFOp::create(b, loc, sum, shift).getResult()
                   : shift;
      });
  tail.biasMap = tail.factor.map;
}
