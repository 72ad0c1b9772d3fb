// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What every selection does to the operands of a contraction.
#include "tamis/Kernels/Operands.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "tamis/Kernels/Classify.h"

using namespace mlir;
using namespace mlir::tamis;

std::optional<int64_t> mlir::tamis::getConstantZero(Value zero,
                                                    bool isUnsigned) {
  if (!zero)
    return 0;
  APInt value;
  if (!matchPattern(zero, m_ConstantInt(&value)))
    return std::nullopt;
  return isUnsigned ? static_cast<int64_t>(value.getZExtValue())
                    : value.getSExtValue();
}

OpFoldResult mlir::tamis::getBound(OpBuilder &b, ContractOp op, unsigned d,
                                   ArrayRef<int64_t> bounds) {
  if (!ShapedType::isDynamic(bounds[d]))
    return b.getIndexAttr(bounds[d]);
  auto search = [&](Value value, AffineMap map) -> Value {
    for (auto [i, expr] : llvm::enumerate(map.getResults()))
      if (expr == b.getAffineDimExpr(d))
        return tensor::DimOp::create(b, op.getLoc(), value, i);
    return {};
  };
  if (Value size = search(op.getRhs(), op.getRhsMap()))
    return size;
  if (Value size = search(op.getInit(), op.getOutMap()))
    return size;
  return search(op.getLhs(), op.getLhsMap());
}

Value mlir::tamis::padLhs(ImplicitLocOpBuilder &b, ContractOp op,
                          ArrayRef<int64_t> bounds) {
  auto type = cast<RankedTensorType>(op.getLhs().getType());
  SmallVector<OpFoldResult> low, high;
  bool any = false;
  for (auto [i, expr] : llvm::enumerate(op.getLhsMap().getResults())) {
    int64_t before = op.getPad()[i];
    low.push_back(b.getIndexAttr(before));
    SmallVector<int64_t> c =
        *getCoefficients(expr, op.getLhsMap().getNumDims());
    unsigned used = llvm::count_if(c, [](int64_t x) { return x != 0; });
    bool isStatic = !type.isDynamicDim(i);
    int64_t needed = 1;
    for (auto [d, factor] : llvm::enumerate(c)) {
      if (factor == 0)
        continue;
      isStatic &= !ShapedType::isDynamic(bounds[d]);
      needed += factor * (bounds[d] - 1);
    }
    if (isStatic) {
      int64_t after =
          std::max<int64_t>(0, needed - type.getDimSize(i) - before);
      high.push_back(b.getIndexAttr(after));
      any |= before != 0 || after != 0;
      continue;
    }
    if (used <= 1 && before == 0) {
      high.push_back(b.getIndexAttr(0));
      continue;
    }
    any = true;
    Value size = arith::ConstantIndexOp::create(b, 1 - before);
    for (auto [d, factor] : llvm::enumerate(c)) {
      if (factor == 0)
        continue;
      Value bound = getValueOrCreateConstantIndexOp(b, b.getLoc(),
                                                    getBound(b, op, d, bounds));
      Value one = arith::ConstantIndexOp::create(b, 1);
      Value scale = arith::ConstantIndexOp::create(b, factor);
      Value steps = arith::SubIOp::create(b, bound, one);
      size = arith::AddIOp::create(b, size,
                                   arith::MulIOp::create(b, steps, scale));
    }
    Value have = tensor::DimOp::create(b, op.getLhs(), i);
    Value zero = arith::ConstantIndexOp::create(b, 0);
    high.push_back(
        arith::MaxSIOp::create(b, zero, arith::SubIOp::create(b, size, have))
            .getResult());
  }
  if (!any)
    return op.getLhs();
  Type element = type.getElementType();
  Value fill = op.getLhsZero();
  if (!fill)
    fill = arith::ConstantOp::create(b, b.getZeroAttr(element));
  unsigned width = element.getIntOrFloatBitWidth();
  if (fill.getType().getIntOrFloatBitWidth() > width)
    fill = arith::TruncIOp::create(b, element, fill);
  else if (fill.getType() != element)
    fill = op.getLhsUnsigned()
               ? arith::ExtUIOp::create(b, element, fill).getResult()
               : arith::ExtSIOp::create(b, element, fill).getResult();
  auto known = [](OpFoldResult v) {
    return getConstantIntValue(v).value_or(ShapedType::kDynamic);
  };
  RankedTensorType padded = tensor::PadOp::inferResultType(
      type, llvm::map_to_vector(low, known), llvm::map_to_vector(high, known));
  return tensor::PadOp::create(b, padded, op.getLhs(), low, high, fill);
}
