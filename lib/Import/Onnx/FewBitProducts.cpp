// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// MatMulNBits: products by weights of 2, 4 or 8 bits with a scale for each
// block of a column. They become a dequantization and a product, which
// --tamis-lower-qat joins again.
#include "Arithmetic.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "tamis/IR/Tamis.h"

namespace mlir::tamis::onnx {

namespace {

/// What accuracy_level 4 permits: activations rounded to 8 bits.
constexpr int64_t kIntegerActivations = 4;

/// The attributes of a node.
struct Sizes2D {
  int64_t k, n, bits, block;
  int64_t getBlocks() const { return (k + block - 1) / block; }
};

Sizes makeSizes(Importer &im, ArrayRef<int64_t> values) {
  return llvm::map_to_vector(
      values, [&](int64_t v) -> OpFoldResult { return im.shape.attr(v); });
}

/// Elements of the rows of `packed`, each of whole bytes, `bits` wide, lowest
/// bits first: bytes of shape (rows, columns).
Value unpack(Importer &im, const Node &node, Value packed, int64_t rows,
             int64_t columns, int64_t bits) {
  int64_t perByte = 8 / bits, bytes = (columns + perByte - 1) / perByte;
  if (perByte == 1)
    return im.reshape(packed, makeSizes(im, {rows, columns}));
  // Elementwise, so that constants are unpacked while compiling.
  packed = im.reshape(packed, makeSizes(im, {rows, bytes, 1}));
  SmallVector<int8_t> shifts;
  for (int64_t i = 0; i < perByte; ++i)
    shifts.push_back(i * bits);
  auto type = RankedTensorType::get({perByte}, im.b.getI8Type());
  Value shift = arith::ConstantOp::create(
      im.b, DenseElementsAttr::get(type, ArrayRef<int8_t>(shifts)));
  Value codes = im.elementwise(
      node, ArrayRef<Value>{packed, shift}, im.b.getI8Type(),
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        return arith::AndIOp::create(
            b, arith::ShRUIOp::create(b, args[0], args[1]),
            Importer::constantInt(b, b.getI8Type(), (1 << bits) - 1));
      });
  if (!codes)
    return nullptr;
  codes = im.reshape(codes, makeSizes(im, {rows, bytes * perByte}));
  return im.sliceDim(codes, 1, im.shape.attr(0), im.shape.attr(columns));
}

int64_t countElements(Value value) {
  auto type = tensorTypeOf(value);
  return type.hasStaticShape() ? type.getNumElements() : -1;
}

/// Zero points (n, blocks) as bytes, or as float32, which no integer stands
/// for.
FailureOr<Value> readZeros(Importer &im, const Node &node, const Sizes2D &s) {
  Sizes sizes = makeSizes(im, {s.n, s.getBlocks()});
  Type i8 = im.b.getI8Type();
  if (!im.has(node, 3)) {
    auto type = RankedTensorType::get({s.n, s.getBlocks()}, i8);
    auto middle = DenseElementsAttr::get(
        type, im.b.getI8IntegerAttr(int64_t(1) << (s.bits - 1)));
    return arith::ConstantOp::create(im.b, middle).getResult();
  }
  Value zeros = im.tensor(node, 3);
  int64_t rowBytes = (s.getBlocks() * s.bits + 7) / 8;
  if (isa<FloatType>(elementOf(zeros)) &&
      countElements(zeros) == s.n * s.getBlocks())
    return convert(im, im.reshape(zeros, sizes), im.b.getF32Type());
  if (elementOf(zeros) != i8 || countElements(zeros) != s.n * rowBytes)
    return im.error(node) << "unexpected zero points " << zeros.getType();
  Value codes = unpack(im, node, zeros, s.n, s.getBlocks(), s.bits);
  if (!codes)
    return failure();
  return codes;
}

/// Weights (n, k), dequantized.
FailureOr<Value> dequantizeWeights(Importer &im, const Node &node,
                                   const Sizes2D &s) {
  int64_t blocks = s.getBlocks(), bytes = s.block * s.bits / 8;
  Value packed = im.tensor(node, 1), scales = im.tensor(node, 2);
  if (elementOf(packed) != im.b.getI8Type() ||
      countElements(packed) != s.n * blocks * bytes)
    return im.error(node) << "expected B of " << s.n * blocks * bytes
                          << " bytes, got " << packed.getType();
  if (countElements(scales) != s.n * blocks ||
      !isa<FloatType>(elementOf(scales)))
    return im.error(node) << "expected " << s.n * blocks
                          << " float scales, got " << scales.getType();
  Value codes = unpack(im, node, packed, s.n, blocks * s.block, s.bits);
  if (!codes)
    return failure();
  codes = im.sliceDim(codes, 1, im.shape.attr(0), im.shape.attr(s.k));
  Type f32 = im.b.getF32Type();
  scales = convert(im, im.reshape(scales, makeSizes(im, {s.n, blocks})), f32);
  FailureOr<Value> zeros = readZeros(im, node, s);
  if (failed(zeros))
    return failure();
  Value zero = *zeros, offset;
  if (isa<FloatType>(elementOf(zero))) {
    // (q - z)·s is q·s + o.
    offset =
        im.elementwise(node, ArrayRef<Value>{zero, scales}, f32,
                       [](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                         return arith::NegFOp::create(
                             b, arith::MulFOp::create(b, args[0], args[1]));
                       });
    if (!offset)
      return failure();
    zero = nullptr;
  }
  auto type = RankedTensorType::get({s.n, s.k}, f32);
  return DequantizeOp::create(im.b, type, codes, scales, zero, offset,
                              im.b.getUnitAttr(), im.b.getI64IntegerAttr(1),
                              im.b.getI64IntegerAttr(s.block),
                              im.b.getStringAttr(node.name))
      .getResult();
}

/// The greatest magnitude of each `block` elements of the last dimension.
Value findMagnitudes(Importer &im, const Node &node, Value x, int64_t k,
                     int64_t block) {
  ImplicitLocOpBuilder &b = im.b;
  Type f32 = b.getF32Type();
  int64_t rank = rankOf(x), blocks = (k + block - 1) / block;
  Sizes sizes = im.dims(x);
  if (blocks * block != k) {
    SmallVector<OpFoldResult> low(rank, b.getIndexAttr(0)), high = low;
    high.back() = b.getIndexAttr(blocks * block - k);
    SmallVector<int64_t> shape(tensorTypeOf(x).getShape());
    shape.back() = blocks * block;
    x = tensor::PadOp::create(b, RankedTensorType::get(shape, f32), x, low,
                              high, Importer::constant(b, f32, 0));
  }
  sizes.back() = im.shape.attr(blocks);
  Sizes split = sizes;
  split.push_back(im.shape.attr(block));
  x = im.reshape(x, split);
  Value zero = Importer::constant(b, f32, 0);
  Value empty = tensor::EmptyOp::create(b, sizes, f32);
  Value init = linalg::FillOp::create(b, zero, empty).getResult(0);
  SmallVector<utils::IteratorType> kinds(rank + 1,
                                         utils::IteratorType::parallel);
  kinds.back() = utils::IteratorType::reduction;
  AffineMap identity = b.getMultiDimIdentityMap(rank + 1);
  Value y = linalg::GenericOp::create(
                b, init.getType(), x, init,
                ArrayRef<AffineMap>{identity, identity.dropResult(rank)}, kinds,
                [](OpBuilder &b, Location loc, ValueRange args) {
                  Value magnitude = math::AbsFOp::create(b, loc, args[0]);
                  linalg::YieldOp::create(
                      b, loc,
                      arith::MaxNumFOp::create(b, loc, args[1], magnitude)
                          .getResult());
                })
                .getResult(0);
  im.setDims(y, sizes);
  return y;
}

/// x rounded to 8 bits in blocks along its last dimension, and back.
Value roundToBytes(Importer &im, const Node &node, Value x, int64_t k,
                   int64_t block) {
  Type f32 = im.b.getF32Type();
  Value magnitudes = findMagnitudes(im, node, x, k, block);
  Value scale = im.elementwise(
      node, ArrayRef<Value>{magnitudes}, f32,
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        // Blocks of zeros have any scale.
        Value least =
            Importer::constant(b, f32, std::numeric_limits<float>::min() * 128);
        Value magnitude = arith::MaxNumFOp::create(b, args[0], least);
        return arith::MulFOp::create(b, magnitude,
                                     Importer::constant(b, f32, 1.0 / 127));
      });
  if (!scale)
    return nullptr;
  IntegerAttr axis = im.b.getI64IntegerAttr(rankOf(x) - 1);
  IntegerAttr blockSize = im.b.getI64IntegerAttr(block);
  StringAttr origin = im.b.getStringAttr(node.name);
  Value q = QuantizeOp::create(
      im.b, tensorTypeOf(x).clone(im.b.getI8Type()), x, scale, Value(),
      /*is_unsigned=*/false, axis, blockSize, IntegerAttr(), origin);
  Value y =
      DequantizeOp::create(im.b, x.getType(), q, scale, Value(),
                           /*is_unsigned=*/false, axis, blockSize, origin);
  im.setDims(q, im.dims(x));
  im.setDims(y, im.dims(x));
  return y;
}

LogicalResult importMatMulNBits(Importer &im, const Node &node) {
  ImportedValue a = im.in(node, 0);
  Sizes2D s{im.getInt(node, "K", 0), im.getInt(node, "N", 0),
            im.getInt(node, "bits", 4), im.getInt(node, "block_size", 0)};
  constexpr int64_t limit = int64_t(1) << 30;
  if (s.k <= 0 || s.n <= 0 || s.k > limit || s.n > limit || s.block < 8 ||
      s.block > limit || (s.bits != 2 && s.bits != 4 && s.bits != 8))
    return im.error(node) << "expected positive K and N, bits of 2, 4 or 8, "
                             "block_size of 8 or more, got "
                          << s.k << ", " << s.n << ", " << s.bits << ", "
                          << s.block;
  if (!isFloat(a.dtype))
    return im.error(node) << "expected a float A, got " << dtypeName(a.dtype);
  if (im.has(node, 4))
    return im.error(node) << "g_idx is not supported";
  Type element = im.elementType(a.dtype), f32 = im.b.getF32Type();
  FailureOr<Value> w = dequantizeWeights(im, node, s);
  if (failed(w))
    return failure();
  Value x = im.tensor(a);
  if (rankOf(x) < 1 ||
      failed(im.requireEqual(node, im.dim(x, rankOf(x) - 1), im.shape.attr(s.k),
                             "the last dimension of A")))
    return failure();
  // As rows, so that nothing stands between widening, rounding and product.
  Sizes sizes = im.dims(x);
  sizes.back() = im.shape.attr(s.n);
  OpFoldResult rows = im.shape.attr(1);
  for (int64_t i = 0; i + 1 < rankOf(x); ++i)
    rows = im.shape.mul(rows, im.dim(x, i));
  x = convert(im, im.reshape(x, {rows, im.shape.attr(s.k)}), f32);
  if (im.getInt(node, "accuracy_level", 0) == kIntegerActivations) {
    x = roundToBytes(im, node, x, s.k, s.block);
    if (!x)
      return failure();
  }
  FailureOr<Value> acc =
      matmul(im, node, {x}, {*w}, false, /*transposeRhs=*/true);
  if (failed(acc))
    return failure();
  Value y = *acc;
  if (im.has(node, 5)) {
    y = im.elementwise(
        node, ArrayRef<Value>{y, convert(im, im.tensor(node, 5), f32)}, f32,
        [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
          return arith::AddFOp::create(b, args[0], args[1]);
        });
    if (!y)
      return failure();
  }
  y = im.reshape(y, sizes);
  return im.out(node, 0, convert(im, y, element), a.dtype);
}

} // namespace

void registerFewBitProducts(OpTable &table) {
  table.add({"com.microsoft", "MatMulNBits", 1, {3, 6}, importMatMulNBits});
}

} // namespace mlir::tamis::onnx
