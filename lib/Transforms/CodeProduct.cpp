// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Products by weights of few bits that stay what they are in memory: the first
// operand, floats or integers without a zero point, is multiplied by their
// codes, and what a scale covers is scaled as one sum. With zero points z and
// offsets o
//
//   Σ a·(s·(q - z) + o) = s·(Σ a·q - z·Σ a) + o·Σ a
//
// so these multiply sums of rows, which all columns share. MatMulNBits of ONNX
// Runtime and the products of llama.cpp are of this kind.
#include "QuantizedProduct.h"
#include "QuantizedTail.h"
#include "tamis/Gpu/Tensor.h"
#include "tamis/Target/Target.h"
#include "tamis/Transforms/ConstantTensor.h"

using namespace mlir;
using namespace mlir::tamis;

static RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

namespace {
/// Weights as bytes that kernels read: 0 to 15 unsigned where they fit, else
/// signed. `shift` was added to the integers of the model.
struct Codes {
  Value value;
  bool isUnsigned;
  int64_t shift;
};
} // namespace

/// Where the zero point `zero` is known and all integers without it are signed
/// bytes, codes without it, else those that need one.
static std::optional<Codes> makeCodes(OpBuilder &b, DequantizeOp w,
                                      std::optional<int64_t> zero,
                                      SymbolTable &symbols) {
  auto constant = getConstantTensor(w.getInput(), symbols);
  if (!constant || !constant->type.getElementType().isInteger(8) ||
      constant->bytes.empty())
    return std::nullopt;
  bool isUnsigned = w.getIsUnsigned();
  int64_t low = 255, high = -128;
  for (char byte : constant->bytes) {
    int64_t value = isUnsigned ? int64_t(uint8_t(byte)) : int64_t(int8_t(byte));
    low = std::min(low, value);
    high = std::max(high, value);
  }
  Codes codes{w.getInput(), isUnsigned, 0};
  if (zero && low - *zero >= -128 && high - *zero <= 127) {
    codes = {w.getInput(), false, -*zero};
  } else if (high - low <= 15) {
    codes.isUnsigned = true;
    codes.shift = low >= 0 && high <= 15   ? 0
                  : low >= -8 && high <= 7 ? 8
                                           : -low;
  } else if (isUnsigned) {
    codes = {w.getInput(), false, -128};
  }
  if (codes.shift == 0)
    return codes;
  AffineMap identity = b.getMultiDimIdentityMap(constant->type.getRank());
  codes.value = buildGeneric(
      b, w.getLoc(), tensor::getMixedSizes(b, w.getLoc(), w.getInput()),
      b.getI8Type(), {w.getInput()}, {identity},
      [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
        Value shift =
            arith::ConstantOp::create(b, loc, b.getI8IntegerAttr(codes.shift));
        return arith::AddIOp::create(b, loc, args[0], shift);
      });
  return codes;
}

/// True if every coordinate of lhs is one loop and nothing is padded: rows can
/// be summed.
static bool hasPlainRows(ContractOp op) {
  return llvm::all_of(op.getLhsMap().getResults(),
                      [](AffineExpr e) { return isa<AffineDimExpr>(e); }) &&
         llvm::all_of(op.getPad(), [](int64_t pad) { return pad == 0; });
}

/// What `value` was before it was widened from float16, if `target` multiplies
/// that by codes.
static Value dropWidening(Value value, TargetAttr target) {
  auto generic = value.getDefiningOp<linalg::GenericOp>();
  if (!generic || generic.getNumDpsInputs() != 1 ||
      !llvm::all_of(generic.getIndexingMapsArray(),
                    [](AffineMap map) { return map.isIdentity(); }))
    return value;
  auto widening = generic.getBody()
                      ->getTerminator()
                      ->getOperand(0)
                      .getDefiningOp<arith::ExtFOp>();
  if (!widening || widening.getIn() != generic.getRegionInputArgs()[0] ||
      !widening.getIn().getType().isF16() ||
      !device::multipliesCodes(target, widening.getIn().getType()))
    return value;
  return generic.getDpsInputs()[0];
}

/// The sums of `value` along dimension `axis`: float32, or i32 of bytes.
static Value sumRows(OpBuilder &b, Location loc, Value value, int64_t axis,
                     bool isUnsigned) {
  RankedTensorType type = typeOf(value);
  bool isInteger = isa<IntegerType>(type.getElementType());
  Type element = isInteger ? Type(b.getI32Type()) : Type(b.getF32Type());
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, value);
  sizes.erase(sizes.begin() + axis);
  SmallVector<utils::IteratorType> kinds(type.getRank(),
                                         utils::IteratorType::parallel);
  kinds[axis] = utils::IteratorType::reduction;
  Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(element));
  Value empty = tensor::EmptyOp::create(b, loc, sizes, element);
  Value init = linalg::FillOp::create(b, loc, zero, empty).getResult(0);
  AffineMap identity = b.getMultiDimIdentityMap(type.getRank());
  return linalg::GenericOp::create(
             b, loc, init.getType(), value, init,
             ArrayRef<AffineMap>{identity, identity.dropResult(axis)}, kinds,
             [&](OpBuilder &b, Location loc, ValueRange args) {
               Value x = args[0];
               Value sum;
               if (x.getType().isF16())
                 x = arith::ExtFOp::create(b, loc, element, x);
               if (!isInteger)
                 sum = arith::AddFOp::create(b, loc, args[1], x);
               else
                 sum = arith::AddIOp::create(
                     b, loc, args[1],
                     isUnsigned ? arith::ExtUIOp::create(b, loc, element, x)
                                      .getResult()
                                : arith::ExtSIOp::create(b, loc, element, x)
                                      .getResult());
               linalg::YieldOp::create(b, loc, sum);
             })
      .getResult(0);
}

/// `rows`, i32 sums of blocks of rows, as float32; times `scale` if there is
/// one: of the same blocks or, where `axis` is set, one per index of that
/// dimension.
static Value scaleRows(OpBuilder &b, Location loc, Value rows, Value scale,
                       std::optional<int64_t> axis) {
  AffineMap identity = b.getMultiDimIdentityMap(typeOf(rows).getRank());
  SmallVector<Value> inputs{rows};
  SmallVector<AffineMap> maps{identity};
  if (scale) {
    inputs.push_back(scale);
    maps.push_back(axis ? identity.getSubMap({unsigned(*axis)}) : identity);
  }
  return buildGeneric(
      b, loc, tensor::getMixedSizes(b, loc, rows), b.getF32Type(), inputs, maps,
      [](OpBuilder &b, Location loc, ValueRange args) -> Value {
        Value sum = arith::SIToFPOp::create(b, loc, b.getF32Type(), args[0]);
        return args.size() == 1
                   ? sum
                   : arith::MulFOp::create(b, loc, sum, args[1]).getResult();
      });
}

namespace {
/// The zero points of codes: one number, or elements of a tensor.
struct Zeros {
  std::optional<int64_t> common;
  /// Null where `common` is known.
  Value values;
  bool isUnsigned = false;
  int64_t shift = 0;

  bool areZero() const { return common == 0; }

  /// The zero point as an i32, from the element of `values` if there is one.
  Value build(OpBuilder &b, Location loc, Value element) const {
    Type i32 = b.getI32Type();
    if (common)
      return arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(*common));
    Value wide = isUnsigned
                     ? arith::ExtUIOp::create(b, loc, i32, element).getResult()
                     : arith::ExtSIOp::create(b, loc, i32, element).getResult();
    Value by = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(shift));
    return arith::AddIOp::create(b, loc, wide, by);
  }
};
} // namespace

/// Of the codes that are `shift` more than the model's integers.
static Zeros findZeros(DequantizeOp w, int64_t shift, SymbolTable &symbols) {
  Zeros zeros;
  zeros.isUnsigned = w.getIsUnsigned();
  zeros.shift = shift;
  zeros.values = w.getZeroPoint();
  if (!zeros.values) {
    zeros.common = shift;
    return zeros;
  }
  auto constant = getConstantTensor(zeros.values, symbols);
  if (!constant || constant->bytes.empty() ||
      !constant->type.getElementType().isInteger(8) ||
      !llvm::all_equal(constant->bytes))
    return zeros;
  char byte = constant->bytes.front();
  zeros.common = shift + (zeros.isUnsigned ? int64_t(uint8_t(byte))
                                           : int64_t(int8_t(byte)));
  zeros.values = nullptr;
  return zeros;
}

/// The contraction of `lhs` by `codes` in place of `op`'s.
static Value buildProduct(OpBuilder &b, ContractOp op, Value lhs, Value rhs,
                          bool lhsUnsigned, bool rhsUnsigned,
                          const ProductLoops &loops) {
  bool isInteger = isa<IntegerType>(typeOf(lhs).getElementType());
  Type element = isInteger ? Type(b.getI32Type()) : Type(b.getF32Type());
  Value init = tensor::EmptyOp::create(b, op.getLoc(), loops.sizes, element);
  auto flag = [&](bool value) { return value ? b.getUnitAttr() : UnitAttr(); };
  return ContractOp::create(b, op.getLoc(), init.getType(), lhs, rhs, Value(),
                            Value(), ValueRange(), init, loops.maps,
                            loops.iterators, loops.pad, TypeAttr::get(element),
                            flag(lhsUnsigned), flag(rhsUnsigned),
                            op.getOriginAttr())
      .getResult();
}

bool tamis::lowerCodes(ContractOp op, DequantizeOp x, DequantizeOp w,
                       int64_t lhsAxis, SymbolTable &symbols) {
  if (!hasPlainRows(op) || !typeOf(w.getScale()).getElementType().isF32())
    return false;
  TargetAttr target = getTarget(op);
  Value lhs = x ? x.getInput() : dropWidening(op.getLhs(), target);
  int64_t block = *w.getBlockSize();
  // Scales of x: one, one per index of another dimension, or in the same
  // blocks.
  bool hasBlocks = x && x.getBlockSize() == block && x.getAxis() == lhsAxis;
  if (x) {
    bool isZero = !x.getZeroPoint() || matchPattern(x.getZeroPoint(), m_Zero());
    if (!isZero || x.getOffset() ||
        !typeOf(lhs).getElementType().isInteger(8) ||
        !typeOf(x.getScale()).getElementType().isF32() ||
        (!hasBlocks && (x.getBlockSize() || x.getAxis() == lhsAxis)))
      return false;
  } else if (!typeOf(op.getLhs()).getElementType().isF32()) {
    return false;
  }
  OpBuilder b(op);
  Location loc = op.getLoc();
  // Fragments decode signed codes as fast; what stays is one kernel.
  std::optional<int64_t> common;
  if (device::multipliesCodes(target, typeOf(lhs).getElementType()))
    common = findZeros(w, 0, symbols).common;
  std::optional<Codes> codes = makeCodes(b, w, common, symbols);
  if (!codes)
    return false;
  BlockLoops blocks = makeBlockLoops(b, op, w, lhsAxis);
  Zeros zeros = findZeros(w, codes->shift, symbols);
  bool isUnsigned = x && x.getIsUnsigned();
  lhs = splitAxis(b, loc, lhs, lhsAxis, blocks.size, block, nullptr);
  Value rhs = splitAxis(b, loc, codes->value, blocks.rhsAxis, blocks.size,
                        block, nullptr);
  Value sums = buildProduct(b, op, lhs, rhs, isUnsigned, codes->isUnsigned,
                            blocks.loops);

  // Places of lhs, block by block, in the addition.
  SmallVector<AffineExpr> rowExprs;
  AffineMap out = op.getOutMap();
  for (auto [i, loop] : llvm::enumerate(op.getLhsMap().getResults()))
    rowExprs.push_back(blocks.getPlace(
        out, int64_t(i) == lhsAxis
                 ? b.getAffineDimExpr(op.getLhsMap().getNumDims())
                 : loop));
  AffineMap rowMap =
      AffineMap::get(blocks.sumMap.getNumDims(), 0, rowExprs, b.getContext());
  SmallVector<Value> inputs{sums};
  SmallVector<AffineMap> maps{blocks.sumMap};
  auto add = [&](Value value, AffineMap map) {
    inputs.push_back(value);
    maps.push_back(map);
  };
  bool isScalar = x && typeOf(x.getScale()).getRank() == 0;
  Value rowScale = x && !isScalar ? x.getScale() : Value();
  AffineMap rowScaleMap;
  if (rowScale)
    rowScaleMap =
        hasBlocks ? rowMap : rowMap.getSubMap({unsigned(*x.getAxis())});
  auto scaled = [&](Value parameter) {
    return isScalar ? combineScales(b, loc, x.getScale(), parameter, nullptr)
                    : parameter;
  };
  Value rows;
  if (!zeros.areZero() || w.getOffset())
    rows = sumRows(b, loc, lhs, lhsAxis + 1, isUnsigned);
  if (!zeros.areZero())
    add(rows, rowMap);
  add(scaled(w.getScale()), blocks.scaleMap);
  if (rowScale)
    add(rowScale, rowScaleMap);
  if (zeros.values)
    add(zeros.values, blocks.scaleMap);
  if (w.getOffset()) {
    // All columns share what an offset multiplies.
    add(x ? scaleRows(b, loc, rows, rowScale,
                      hasBlocks ? std::nullopt : x.getAxis())
          : rows,
        rowMap);
    add(scaled(w.getOffset()), blocks.scaleMap);
  }

  // Integers keep the formula's roundings, but offsets have no formula to keep
  // (float_n2), nor have floats.
  auto flags = x && (!w.getOffset() || isStrict(op))
                   ? arith::FastMathFlags::none
                   : arith::FastMathFlags::contract;
  Type f32 = b.getF32Type();
  addBlocksUp(
      b, op, blocks, inputs, maps,
      [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
        unsigned next = 0;
        Value y = args[next++];
        Value row = zeros.areZero() ? Value() : args[next++];
        Value scale = args[next++];
        if (rowScale)
          scale = arith::MulFOp::create(b, loc, args[next++], scale);
        if (row) {
          Value zero =
              zeros.build(b, loc, zeros.values ? args[next++] : Value());
          if (x)
            y = arith::SubIOp::create(b, loc, y,
                                      arith::MulIOp::create(b, loc, row, zero));
          else
            y = arith::SubFOp::create(
                b, loc, y,
                arith::MulFOp::create(
                    b, loc, row, arith::SIToFPOp::create(b, loc, f32, zero),
                    flags),
                flags);
        }
        if (x)
          y = arith::SIToFPOp::create(b, loc, f32, y);
        Value total = args.back();
        if (w.getOffset())
          total = arith::AddFOp::create(
              b, loc, total,
              arith::MulFOp::create(b, loc, args[next], args[next + 1], flags),
              flags);
        return arith::AddFOp::create(
            b, loc, total, arith::MulFOp::create(b, loc, y, scale, flags),
            flags);
      });
  return true;
}

bool tamis::hasManyRows(ContractOp op) {
  constexpr int64_t kMany = 32;
  int64_t rows = 1;
  SmallVector<int64_t> sizes = op.getStaticLoopRanges();
  for (AffineExpr dim : op.getOutMap().getResults())
    if (!op.getRhsMap().getResultPosition(dim)) {
      int64_t size = sizes[cast<AffineDimExpr>(dim).getPosition()];
      if (ShapedType::isDynamic(size))
        return false;
      rows *= size;
    }
  return rows >= kMany;
}

bool tamis::lowerColumnCodes(ContractOp op, DequantizeOp w,
                             SymbolTable &symbols) {
  if (!hasPlainRows(op) || !typeOf(op.getLhs()).getElementType().isF32() ||
      !typeOf(w.getScale()).getElementType().isF32() || w.getOffset())
    return false;
  AffineMap out = op.getOutMap();
  unsigned rank = out.getNumResults();
  SmallVector<AffineExpr> scaleExprs;
  if (typeOf(w.getScale()).getRank() == 1) {
    auto at = out.getResultPosition(op.getRhsMap().getResult(*w.getAxis()));
    if (!at)
      return false;
    scaleExprs.push_back(getAffineDimExpr(*at, op.getContext()));
  }
  OpBuilder b(op);
  Location loc = op.getLoc();
  // Signed bytes, their zero points taken off.
  Value codes = w.getInput();
  bool isZero = !w.getZeroPoint() || matchPattern(w.getZeroPoint(), m_Zero());
  if (!getConstantTensor(codes, symbols) ||
      !typeOf(codes).getElementType().isInteger(8))
    return false;
  if (!isZero || w.getIsUnsigned()) {
    if (!w.getZeroPoint())
      return false;
    AffineMap along =
        scaleExprs.empty()
            ? AffineMap::get(typeOf(codes).getRank(), 0, b.getContext())
            : AffineMap::get(typeOf(codes).getRank(), 0,
                             b.getAffineDimExpr(*w.getAxis()));
    codes = subtractZeroPoints(b, w, codes, along, symbols);
    if (!codes)
      return false;
  }
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, op.getInit());
  Value sums = buildProduct(
      b, op, dropWidening(op.getLhs(), getTarget(op)), codes, false, false,
      {op.getIndexingMapsAttr(), op.getIteratorTypesAttr(), op.getPadAttr(),
       sizes});
  Value result =
      buildGeneric(b, loc, sizes, b.getF32Type(), {sums, w.getScale()},
                   {b.getMultiDimIdentityMap(rank),
                    AffineMap::get(rank, 0, scaleExprs, b.getContext())},
                   [](OpBuilder &b, Location loc, ValueRange args) -> Value {
                     return arith::MulFOp::create(b, loc, args[0], args[1]);
                   });
  op.getResult().replaceAllUsesWith(result);
  op.erase();
  return true;
}
