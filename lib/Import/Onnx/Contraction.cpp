// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Matrix products: MatMul and its relatives, Gemm. Each is one tamis.contract
// whose result is the accumulator; what follows it is elementwise.
#include "Arithmetic.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "tamis/IR/Tamis.h"

namespace mlir::tamis::onnx {

Type accumulatorType(Type element) {
  if (isa<FloatType>(element))
    return computeType(element);
  if (element.getIntOrFloatBitWidth() <= 32)
    return IntegerType::get(element.getContext(), 32);
  return element;
}

Value contract(Importer &im, const Node &node, const Contraction &c,
               ArrayRef<OpFoldResult> sizes) {
  MLIRContext *context = im.b.getContext();
  Type accumulator =
      c.accumulator ? c.accumulator : accumulatorType(elementOf(c.lhs.value));
  Value init = im.empty(sizes, accumulator);
  SmallVector<StringRef> iterators(c.dims, "reduction");
  for (AffineExpr expr : c.outExprs)
    iterators[cast<AffineDimExpr>(expr).getPosition()] = "parallel";
  SmallVector<int64_t> pad(c.pad);
  pad.resize(rankOf(c.lhs.value), 0);
  auto maps = im.b.getAffineMapArrayAttr(
      {AffineMap::get(c.dims, 0, c.lhsExprs, context),
       AffineMap::get(c.dims, 0, c.rhsExprs, context),
       AffineMap::get(c.dims, 0, c.outExprs, context)});
  StringRef origin = node.name.empty() && !node.outputs.empty()
                         ? node.outputs.front()
                         : node.name;
  auto op = ContractOp::create(im.b, init.getType(), c.lhs.value, c.rhs.value,
                               c.lhs.zero, c.rhs.zero, ValueRange(), init, maps,
                               im.b.getStrArrayAttr(iterators), pad,
                               accumulator, c.lhs.isUnsigned, c.rhs.isUnsigned,
                               im.b.getStringAttr(origin));
  im.setDims(op.getResult(), sizes);
  return op.getResult();
}

FailureOr<Factor> factor(Importer &im, const Node &node, const ImportedValue &x,
                         const ImportedValue &zero, int64_t dim) {
  Factor result{im.tensor(x), nullptr, isUnsigned(x.dtype)};
  Type element = elementOf(result.value);
  if (!element.isInteger(8) && !element.isInteger(16))
    return im.error(node) << "expected operands of 8 or 16 bits, got "
                          << dtypeName(x.dtype);
  if (!zero)
    return result;
  Value zeros = im.tensor(zero);
  if (elementOf(zeros) != element)
    return im.error(node) << "expected a zero point of type "
                          << dtypeName(x.dtype) << ", got "
                          << dtypeName(zero.dtype);
  auto type = tensorTypeOf(zeros);
  if (type.hasStaticShape() && type.getNumElements() == 1) {
    if (im.constantScalar(zero) != 0.0)
      result.zero = im.scalar(zero);
    return result;
  }
  if (auto known = im.constantInts(zero, 1 << 16);
      known && !known->empty() && llvm::all_equal(*known)) {
    if (known->front() != 0)
      result.zero = Importer::constantInt(im.b, element, known->front());
    return result;
  }
  // One zero point per row or column: the difference needs more bits.
  Type wide = im.b.getI32Type();
  bool uns = result.isUnsigned;
  auto body = [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
    return arith::SubIOp::create(b, castScalar(b, args[0], wide, uns),
                                 castScalar(b, args[1], wide, uns));
  };
  if (type.getRank() == 1 && rankOf(result.value) > dim) {
    if (failed(im.requireEqual(node, im.dim(zeros, 0),
                               im.dim(result.value, dim),
                               "the number of zero points")))
      return failure();
    result.value = alongDim(im, result.value, {zeros}, dim, wide, body);
  } else {
    result.value =
        im.elementwise(node, ArrayRef<Value>{result.value, zeros}, wide, body);
    if (!result.value)
      return failure();
  }
  result.isUnsigned = false;
  return result;
}

void matchWidths(Importer &im, Factor &lhs, Factor &rhs) {
  auto widen = [&](Factor &f, Type to) {
    f.value = convert(im, f.value, to, f.isUnsigned);
    if (f.zero)
      f.zero = castScalar(im.b, f.zero, to, f.isUnsigned);
    f.isUnsigned = false;
  };
  Type l = elementOf(lhs.value), r = elementOf(rhs.value);
  if (l.getIntOrFloatBitWidth() < r.getIntOrFloatBitWidth())
    widen(lhs, r);
  else if (l.getIntOrFloatBitWidth() > r.getIntOrFloatBitWidth())
    widen(rhs, l);
}

/// The batch dimensions of one side of a product: which loop each one is.
static void batchExprs(Importer &im, Value &value, ArrayRef<OpFoldResult> batch,
                       SmallVector<AffineExpr> &exprs) {
  int64_t own = rankOf(value) - 2;
  int64_t shift = static_cast<int64_t>(batch.size()) - own;
  SmallVector<int64_t> drop;
  for (int64_t i = 0; i < own; ++i) {
    bool unit = ShapeMath::constant(im.dim(value, i)) == 1;
    if (unit && ShapeMath::constant(batch[shift + i]) != 1)
      drop.push_back(i); // broadcast
    else
      exprs.push_back(im.b.getAffineDimExpr(shift + i));
  }
  if (!drop.empty())
    value = im.dropDims(value, drop);
}

FailureOr<Value> matmul(Importer &im, const Node &node, Factor lhs, Factor rhs,
                        bool transposeLhs, bool transposeRhs) {
  int64_t lhsRank = rankOf(lhs.value), rhsRank = rankOf(rhs.value);
  if (lhsRank == 0 || rhsRank == 0)
    return im.error(node) << "expected operands of rank 1 or more, got ranks "
                          << lhsRank << " and " << rhsRank;
  matchWidths(im, lhs, rhs);
  bool lhsVector = lhsRank == 1, rhsVector = rhsRank == 1;
  Sizes a = im.dims(lhs.value), c = im.dims(rhs.value);
  if (lhsVector)
    a.insert(a.begin(), im.shape.attr(1));
  else if (transposeLhs)
    std::swap(a[lhsRank - 1], a[lhsRank - 2]);
  if (rhsVector)
    c.push_back(im.shape.attr(1));
  else if (transposeRhs)
    std::swap(c[rhsRank - 1], c[rhsRank - 2]);
  if (failed(im.requireEqual(node, a.back(), c[c.size() - 2],
                             "the contracted dimension")))
    return failure();

  // A matrix on the right serves every row of the left alike.
  if (lhsRank > 2 && rhsRank <= 2 && !transposeLhs) {
    Sizes rows(ArrayRef<OpFoldResult>(a).drop_back());
    Sizes flat{im.shape.product(rows), a.back()};
    lhs.value = im.reshape(lhs.value, flat);
    FailureOr<Value> product = matmul(im, node, lhs, rhs, false, transposeRhs);
    if (failed(product))
      return failure();
    if (!rhsVector)
      rows.push_back(c.back());
    return im.reshape(*product, rows);
  }

  Sizes batch;
  if (a.size() > 2 || c.size() > 2) {
    auto lead = [](const Sizes &sizes) {
      return Sizes(ArrayRef<OpFoldResult>(sizes).drop_back(2));
    };
    auto shape = im.broadcastShapes(node, {lead(a), lead(c)});
    if (failed(shape))
      return failure();
    batch = *shape;
  }
  Contraction product;
  unsigned next = batch.size();
  for (unsigned i = 0; i < next; ++i)
    product.outExprs.push_back(im.b.getAffineDimExpr(i));
  Sizes sizes(batch);
  AffineExpr m, n;
  if (!lhsVector) {
    m = im.b.getAffineDimExpr(next++);
    product.outExprs.push_back(m);
    sizes.push_back(a[a.size() - 2]);
  }
  if (!rhsVector) {
    n = im.b.getAffineDimExpr(next++);
    product.outExprs.push_back(n);
    sizes.push_back(c.back());
  }
  AffineExpr k = im.b.getAffineDimExpr(next++);
  product.dims = next;
  if (!lhsVector) {
    batchExprs(im, lhs.value, batch, product.lhsExprs);
    product.lhsExprs.append({transposeLhs ? k : m, transposeLhs ? m : k});
  } else {
    product.lhsExprs = {k};
  }
  if (!rhsVector) {
    batchExprs(im, rhs.value, batch, product.rhsExprs);
    product.rhsExprs.append({transposeRhs ? n : k, transposeRhs ? k : n});
  } else {
    product.rhsExprs = {k};
  }
  product.lhs = lhs;
  product.rhs = rhs;
  return contract(im, node, product, sizes);
}

namespace {

/// The numeric inputs `a` and `b` must be of one type.
LogicalResult requireSameType(Importer &im, const Node &node,
                              const ImportedValue &a, const ImportedValue &b) {
  if (a.dtype == b.dtype)
    return success();
  return im.error(node) << "expected operands of one type, got "
                        << dtypeName(a.dtype) << " and " << dtypeName(b.dtype);
}

Factor plain(Importer &im, const ImportedValue &x) {
  return {im.tensor(x), nullptr, isUnsigned(x.dtype)};
}

LogicalResult importMatMul(Importer &im, const Node &node) {
  ImportedValue a = im.in(node, 0), b = im.in(node, 1);
  if (failed(requireSameType(im, node, a, b)))
    return failure();
  FailureOr<Value> product = matmul(im, node, plain(im, a), plain(im, b));
  if (failed(product))
    return failure();
  return im.out(node, 0, convert(im, *product, im.elementType(a.dtype)),
                a.dtype);
}

/// `x` with dimension 0 moved behind the other batch dimensions.
Value transposeBatch(Importer &im, Value x) {
  int64_t rank = rankOf(x);
  if (rank < 3)
    return x;
  SmallVector<int64_t> permutation = axesFrom(1, rank - 1);
  permutation.push_back(0);
  permutation.push_back(rank - 1);
  return im.transpose(x, permutation);
}

LogicalResult importFusedMatMul(Importer &im, const Node &node) {
  ImportedValue a = im.in(node, 0), b = im.in(node, 1);
  float alpha = im.getFloat(node, "alpha", 1);
  if (failed(requireSameType(im, node, a, b)))
    return failure();
  Factor lhs = plain(im, a), rhs = plain(im, b);
  if (im.getInt(node, "transBatchA", 0))
    lhs.value = transposeBatch(im, lhs.value);
  if (im.getInt(node, "transBatchB", 0))
    rhs.value = transposeBatch(im, rhs.value);
  FailureOr<Value> product =
      matmul(im, node, lhs, rhs, im.getInt(node, "transA", 0) != 0,
             im.getInt(node, "transB", 0) != 0);
  if (failed(product))
    return failure();
  Type element = im.elementType(a.dtype);
  Value result = *product;
  if (alpha != 1 && isa<FloatType>(element))
    result = unary(im, result, element,
                   [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                     Value scaled = arith::MulFOp::create(
                         b, args[0],
                         Importer::constant(b, args[0].getType(), alpha));
                     return castScalar(b, scaled, element);
                   });
  return im.out(node, 0, convert(im, result, element), a.dtype);
}

LogicalResult importGemm(Importer &im, const Node &node) {
  ImportedValue a = im.in(node, 0), b = im.in(node, 1);
  Factor lhs = plain(im, a), rhs = plain(im, b);
  if (failed(requireSameType(im, node, a, b)) ||
      failed(im.requireRank(node, lhs.value, 2, "A")) ||
      failed(im.requireRank(node, rhs.value, 2, "B")))
    return failure();
  double alpha = im.getFloat(node, "alpha", 1);
  double beta = im.getFloat(node, "beta", 1);
  FailureOr<Value> product =
      matmul(im, node, lhs, rhs, im.getInt(node, "transA", 0) != 0,
             im.getInt(node, "transB", 0) != 0);
  if (failed(product))
    return failure();
  Type element = im.elementType(a.dtype), acc = elementOf(*product);
  bool isFloat = isa<FloatType>(acc);
  if (!isFloat && (std::trunc(alpha) != alpha || std::trunc(beta) != beta))
    return im.error(node) << "expected whole alpha and beta for integers, got "
                          << alpha << " and " << beta;
  auto scale = [&](ImplicitLocOpBuilder &b, Value x, double by) -> Value {
    if (by == 1)
      return x;
    Value factor = Importer::constant(b, acc, by);
    if (isFloat)
      return arith::MulFOp::create(b, x, factor);
    return arith::MulIOp::create(b, x, factor);
  };
  bool hasC = im.has(node, 2) && beta != 0;
  if (!hasC && alpha == 1)
    return im.out(node, 0, convert(im, *product, element), a.dtype);
  SmallVector<Value> operands{*product};
  if (hasC) {
    if (failed(requireSameType(im, node, a, im.in(node, 2))))
      return failure();
    Value c = im.tensor(node, 2);
    Sizes expected = im.dims(*product);
    if (rankOf(c) > 2)
      return im.error(node)
             << "expected C of rank 2 or less, got rank " << rankOf(c);
    // C broadcasts to the product, never the other way.
    for (int64_t i = 0, r = rankOf(c); i < r; ++i)
      if (ShapeMath::constant(im.dim(c, i)) != 1 &&
          failed(im.requireEqual(node, im.dim(c, i), expected[2 - r + i],
                                 "a dimension of C")))
        return failure();
    operands.push_back(c);
  }
  Value result = im.elementwise(
      node, operands, element,
      [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
        Value x = scale(b, args[0], alpha);
        if (args.size() > 1) {
          Value c =
              scale(b, castScalar(b, args[1], acc, isUnsigned(a.dtype)), beta);
          if (isFloat)
            x = arith::AddFOp::create(b, x, c);
          else
            x = arith::AddIOp::create(b, x, c);
        }
        return castScalar(b, x, element);
      });
  if (!result)
    return failure();
  return im.out(node, 0, result, a.dtype);
}

LogicalResult importMatMulInteger(Importer &im, const Node &node) {
  ImportedValue a = im.in(node, 0), b = im.in(node, 1);
  int64_t aRank = rankOf(im.tensor(a)), bRank = rankOf(im.tensor(b));
  FailureOr<Factor> lhs =
      factor(im, node, a, im.in(node, 2), std::max<int64_t>(aRank - 2, 0));
  FailureOr<Factor> rhs =
      factor(im, node, b, im.in(node, 3), std::max<int64_t>(bRank - 1, 0));
  if (failed(lhs) || failed(rhs))
    return failure();
  FailureOr<Value> product = matmul(im, node, *lhs, *rhs);
  if (failed(product))
    return failure();
  return im.out(node, 0, *product, DType::Int32);
}

} // namespace

void registerContraction(OpTable &table) {
  table.add({"", "MatMul", 1, {2, 2}, importMatMul});
  table.add({"", "Gemm", 7, {2, 3}, importGemm});
  table.add({"", "MatMulInteger", 10, {2, 4}, importMatMulInteger});
  table.add({"com.microsoft", "FusedMatMul", 1, {2, 2}, importFusedMatMul});
  table.add({"com.microsoft", "TransposeMatMul", 1, {2, 2}, importFusedMatMul});
}

} // namespace mlir::tamis::onnx
