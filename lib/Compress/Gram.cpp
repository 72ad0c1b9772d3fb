// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Second moments as IR: vectors with a one behind them, multiplied with
// themselves. Those of a window are copied out of the padded input first.
#include "InputMoments.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "tamis/Transforms/Padding.h"

using namespace mlir;
using namespace mlir::tamis;

Value tamis::buildGram(ImplicitLocOpBuilder &b, Value vectors) {
  auto type = cast<RankedTensorType>(vectors.getType());
  Type element = type.getElementType(), f32 = b.getF32Type();
  unsigned rank = type.getRank(), groups = rank - 2;
  SmallVector<int64_t> shape(type.getShape());
  ++shape.back();
  Value one = arith::ConstantOp::create(
      b, cast<TypedAttr>(b.getFloatAttr(element, 1.0)));
  SmallVector<OpFoldResult> low(rank, b.getIndexAttr(0)), high = low;
  high.back() = b.getIndexAttr(1);
  Value wide = tensor::PadOp::create(b, RankedTensorType::get(shape, element),
                                     vectors, low, high, one);
  // Loops: groups, i, j, vectors.
  SmallVector<AffineExpr> left, right, out;
  SmallVector<StringRef> iterators(rank + 1, "parallel");
  iterators.back() = "reduction";
  SmallVector<int64_t> outShape(type.getShape().take_front(groups));
  outShape.append(2, shape.back());
  for (unsigned i = 0; i < groups; ++i)
    for (SmallVector<AffineExpr> *exprs : {&left, &right, &out})
      exprs->push_back(b.getAffineDimExpr(i));
  AffineExpr i = b.getAffineDimExpr(groups), j = b.getAffineDimExpr(groups + 1),
             n = b.getAffineDimExpr(groups + 2);
  left.append({n, i});
  right.append({n, j});
  out.append({i, j});
  SmallVector<AffineMap> maps;
  for (ArrayRef<AffineExpr> exprs : {left, right, out})
    maps.push_back(AffineMap::get(rank + 1, 0, exprs, b.getContext()));
  Value result = tensor::EmptyOp::create(b, outShape, f32);
  return ContractOp::create(
             b, result.getType(), wide, wide, Value(), Value(), ValueRange(),
             result, b.getAffineMapArrayAttr(maps),
             b.getStrArrayAttr(iterators),
             b.getDenseI64ArrayAttr(SmallVector<int64_t>(rank, 0)),
             TypeAttr::get(f32), UnitAttr(), UnitAttr(), StringAttr())
      .getResult();
}

Value tamis::buildWindowGram(ImplicitLocOpBuilder &b,
                             const WeightMatrix &matrix) {
  ContractOp op = matrix.use.contract;
  Value input = padContractionInput(b, op);
  AffineMap lhs = op.getLhsMap(), rhs = op.getRhsMap(), out = op.getOutMap();
  unsigned loops = lhs.getNumDims();
  // Groups, then where the window stands, then the elements of a reduction.
  SmallVector<unsigned> order = matrix.groupLoops;
  for (unsigned loop = 0; loop < loops; ++loop)
    if (!rhs.isFunctionOfDim(loop))
      order.push_back(loop);
  unsigned vectorsEnd = order.size();
  llvm::append_range(order, matrix.reductionLoops);

  // A first loop of one iteration stands for the group where there is none, a
  // second one for the places where the window stands only once.
  SmallVector<OpFoldResult> sizes;
  SmallVector<AffineExpr> renamed(loops, b.getAffineConstantExpr(0));
  SmallVector<ReassociationIndices> parts(3);
  auto append = [&](unsigned part, OpFoldResult size) {
    parts[part].push_back(sizes.size());
    sizes.push_back(size);
  };
  for (auto [at, loop] : llvm::enumerate(order)) {
    unsigned part = at < matrix.groupLoops.size() ? 0 : at < vectorsEnd ? 1 : 2;
    for (unsigned earlier = 0; earlier < part; ++earlier)
      if (parts[earlier].empty())
        append(earlier, b.getIndexAttr(1));
    renamed[loop] = b.getAffineDimExpr(sizes.size());
    for (AffineMap map : {rhs, out})
      if (auto axis = map.getResultPosition(b.getAffineDimExpr(loop))) {
        Value value = map == rhs ? op.getRhs() : op.getInit();
        append(part, tensor::getMixedSize(b, b.getLoc(), value, *axis));
        break;
      }
  }
  unsigned rank = sizes.size();
  AffineMap from = AffineMap::get(
      rank, 0, lhs.replaceDimsAndSymbols(renamed, {}, rank, 0).getResults(),
      b.getContext());
  auto element = cast<RankedTensorType>(input.getType()).getElementType();
  Value init = tensor::EmptyOp::create(b, sizes, element);
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  auto windows = linalg::GenericOp::create(
      b, init.getType(), input, init,
      ArrayRef<AffineMap>{from, b.getMultiDimIdentityMap(rank)}, iterators,
      [](OpBuilder &b, Location loc, ValueRange args) {
        linalg::YieldOp::create(b, loc, args.front());
      });
  Value vectors =
      tensor::CollapseShapeOp::create(b, windows.getResult(0), parts);
  return buildGram(b, vectors);
}
