// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Roles of a contraction's dimensions, from its maps alone: shapes only tell
// which dimensions have one iteration.
#include "tamis/Kernels/Classify.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/SmallBitVector.h"

using namespace mlir;
using namespace mlir::tamis;

FailureOr<SmallVector<int64_t>> mlir::tamis::getCoefficients(AffineExpr expr,
                                                             unsigned numDims) {
  SmallVector<int64_t> coefficients(numDims, 0);
  SmallVector<std::pair<AffineExpr, int64_t>> work{{expr, 1}};
  while (!work.empty()) {
    auto [e, factor] = work.pop_back_val();
    if (auto dim = dyn_cast<AffineDimExpr>(e)) {
      coefficients[dim.getPosition()] += factor;
      continue;
    }
    if (auto constant = dyn_cast<AffineConstantExpr>(e)) {
      if (constant.getValue() != 0)
        return failure();
      continue;
    }
    auto binary = dyn_cast<AffineBinaryOpExpr>(e);
    if (!binary)
      return failure();
    if (binary.getKind() == AffineExprKind::Add) {
      work.push_back({binary.getLHS(), factor});
      work.push_back({binary.getRHS(), factor});
      continue;
    }
    auto scale = dyn_cast<AffineConstantExpr>(binary.getRHS());
    if (binary.getKind() != AffineExprKind::Mul || !scale)
      return failure();
    work.push_back({binary.getLHS(), factor * scale.getValue()});
  }
  if (llvm::any_of(coefficients, [](int64_t c) { return c < 0; }))
    return failure();
  return coefficients;
}

namespace {
/// Where a dimension stands in lhs: its first result and coefficient there.
struct LhsPlace {
  int64_t position = -1;
  int64_t coefficient = 0;
  /// The only dimension of that result (among those that iterate).
  bool alone = false;
};
} // namespace

FailureOr<ContractionDims> mlir::tamis::classifyContraction(
    AffineMap lhs, AffineMap rhs, AffineMap out, ArrayRef<int64_t> bounds,
    ArrayRef<int64_t> lhsShape, int64_t step, std::string &reason) {
  unsigned numDims = lhs.getNumDims();
  auto fail = [&](const char *why) -> FailureOr<ContractionDims> {
    reason = why;
    return failure();
  };
  auto iterates = [&](unsigned d) { return bounds[d] != 1; };

  SmallVector<LhsPlace> places(numDims);
  int64_t lastLhs = -1;
  for (auto [i, expr] : llvm::enumerate(lhs.getResults())) {
    FailureOr<SmallVector<int64_t>> coefficients =
        getCoefficients(expr, numDims);
    if (failed(coefficients))
      return fail("lhs is not indexed by sums of dimensions");
    unsigned used = 0;
    for (unsigned d = 0; d < numDims; ++d)
      used += (*coefficients)[d] != 0 && iterates(d);
    for (unsigned d = 0; d < numDims; ++d) {
      if ((*coefficients)[d] == 0)
        continue;
      if (places[d].position >= 0 && iterates(d))
        return fail("a dimension indexes lhs twice");
      places[d] = {static_cast<int64_t>(i), (*coefficients)[d], used <= 1};
      if (iterates(d))
        lastLhs = i;
    }
  }
  llvm::SmallBitVector inRhs(numDims), inOut(numDims);
  for (AffineExpr expr : rhs.getResults())
    inRhs.set(cast<AffineDimExpr>(expr).getPosition());
  for (AffineExpr expr : out.getResults())
    inOut.set(cast<AffineDimExpr>(expr).getPosition());

  ContractionDims dims;
  SmallVector<unsigned> outOrder;
  int64_t spareColumn = -1;
  for (AffineExpr expr : out.getResults()) {
    unsigned d = cast<AffineDimExpr>(expr).getPosition();
    if (iterates(d))
      outOrder.push_back(d);
    else if (inRhs.test(d) && places[d].position < 0)
      spareColumn = d;
  }
  bool hasColumns = llvm::any_of(outOrder, [&](unsigned d) {
    return inRhs.test(d) && places[d].position < 0;
  });
  unsigned last = outOrder.empty() ? 0 : outOrder.back();
  if (hasColumns) {
    if (!inRhs.test(last) || places[last].position >= 0)
      return fail("columns are not innermost in the result");
    dims.column = last;
  } else if (!outOrder.empty() && inRhs.test(last) && places[last].alone &&
             places[last].position == lastLhs &&
             places[last].coefficient == 1) {
    dims.column = last;
    dims.depthwise = true;
  } else if (spareColumn >= 0) {
    dims.column = spareColumn;
  } else {
    return fail("nothing to vectorize: rhs has no column dimension");
  }
  for (unsigned d : outOrder) {
    if (d == dims.column)
      continue;
    (inRhs.test(d) ? dims.groups : dims.rows).push_back(d);
  }
  for (unsigned d = 0; d < numDims; ++d) {
    if (inOut.test(d) || !iterates(d))
      continue;
    if (!inRhs.test(d) || places[d].position < 0)
      return fail("a reduction is not in both operands");
    dims.reductions.push_back(d);
  }
  llvm::stable_sort(dims.reductions, [&](unsigned a, unsigned b) {
    return std::make_pair(places[a].position, -places[a].coefficient) <
           std::make_pair(places[b].position, -places[b].coefficient);
  });
  dims.run = dims.reductions.empty() ? 0 : 1;
  if (step == 1)
    return dims;
  if (dims.reductions.empty())
    return dims;
  // Depthwise steps are interleaved from whole vectors of channels.
  if (dims.depthwise) {
    if (ShapedType::isDynamic(bounds[dims.reductions.back()]))
      return fail("a depthwise window has no static size");
    return dims;
  }
  // The innermost reduction must be contiguous. Where it does not fill steps,
  // the next one out joins if together they are contiguous.
  unsigned inner = dims.reductions.back();
  if (places[inner].position != lastLhs || places[inner].coefficient != 1)
    return fail("the innermost reduction is not contiguous in lhs");
  if (ShapedType::isDynamic(bounds[inner]) || bounds[inner] % step == 0 ||
      dims.reductions.size() < 2)
    return dims;
  unsigned next = dims.reductions[dims.reductions.size() - 2];
  if (places[next].position == lastLhs - 1 && places[next].coefficient == 1 &&
      lhsShape[lastLhs] == bounds[inner] &&
      !ShapedType::isDynamic(bounds[next]))
    dims.run = 2;
  return dims;
}

bool mlir::tamis::isParameter(Value value) {
  while (Operation *def = value.getDefiningOp()) {
    if (isa<ml_program::GlobalLoadConstOp>(def) ||
        def->hasTrait<OpTrait::ConstantLike>())
      return true;
    if (!isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp,
             linalg::TransposeOp>(def))
      return false;
    value = def->getOperand(0);
  }
  return false;
}
