// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Shows a layer to the cost models as the compiler will meet it: channels
// innermost, weights in the order of the matrix.
#include "PredictedLayer.h"
#include "tamis/Gpu/FragmentPrice.h"
#include "tamis/Kernels/PredictTime.h"
#include "tamis/Target/Target.h"
#include <cmath>

using namespace mlir;
using namespace mlir::tamis;

/// The results of `map` for which `isInner` holds behind the others.
static SmallVector<int64_t> moveInside(AffineMap map,
                                       function_ref<bool(AffineExpr)> isInner) {
  SmallVector<int64_t> order;
  for (bool inner : {false, true})
    for (auto [i, expr] : llvm::enumerate(map.getResults()))
      if (isInner(expr) == inner)
        order.push_back(static_cast<int64_t>(i));
  return order;
}

static RankedTensorType permute(Value value, ArrayRef<int64_t> order,
                                Type element) {
  return RankedTensorType::get(
      applyPermutation(cast<RankedTensorType>(value.getType()).getShape(),
                       order),
      element);
}

/// The contraction of `matrix`, which has no groups, with operands of
/// `element`.
static Layer describe(const WeightMatrix &matrix, Type element) {
  ContractOp op = matrix.use.contract;
  MLIRContext *context = op.getContext();
  AffineMap lhs = op.getLhsMap(), rhs = op.getRhsMap(), out = op.getOutMap();
  auto iterators = op.getIterators();
  SmallVector<AffineExpr> weights;
  for (AffineExpr expr : rhs.getResults())
    if (iterators[cast<AffineDimExpr>(expr).getPosition()] ==
        utils::IteratorType::parallel)
      weights.push_back(expr);
  for (unsigned loop : matrix.reductionLoops)
    weights.push_back(getAffineDimExpr(loop, context));
  SmallVector<int64_t> lhsOrder = moveInside(lhs, [&](AffineExpr expr) {
    auto dim = dyn_cast<AffineDimExpr>(expr);
    return dim &&
           iterators[dim.getPosition()] == utils::IteratorType::reduction;
  });
  SmallVector<int64_t> outOrder = moveInside(out, [&](AffineExpr expr) {
    return rhs.isFunctionOfDim(cast<AffineDimExpr>(expr).getPosition());
  });
  auto mapOf = [&](ArrayRef<AffineExpr> results) {
    return AffineMap::get(lhs.getNumDims(), 0, results, context);
  };
  Type sum = element.isF32() ? element : IntegerType::get(context, 32);
  Layer layer;
  layer.lhs = permute(op.getLhs(), lhsOrder, element);
  layer.rhs = RankedTensorType::get(matrix.shape, element);
  layer.out = permute(op.getInit(), outOrder, sum);
  layer.maps = {mapOf(applyPermutation(lhs.getResults(), lhsOrder)),
                mapOf(weights),
                mapOf(applyPermutation(out.getResults(), outOrder))};
  layer.iterators = op.getIteratorTypesAttr();
  layer.pad = applyPermutation(op.getPad(), lhsOrder);
  return layer;
}

double PredictedLayer::getGain(ArrayRef<uint8_t> drop, Type type) {
  if (getDevice(machine) != DeviceKind::None)
    return matrix.getGroupCount() == 1 && isTwoOfFour(drop)
               ? device::predictTwoOfFourGain(
                     machine, {getRows(), matrix.columns, matrix.rows}, type)
               : 1;
  auto [known, isNew] = times.try_emplace(type);
  if (isNew)
    known->second = getTime({}, type);
  double time = getTime(drop, type);
  return time > 0 ? known->second / time : 1;
}

double PredictedLayer::getTime(ArrayRef<uint8_t> drop, Type type) const {
  if (getDevice(machine) != DeviceKind::None || matrix.getGroupCount() != 1)
    return 0;
  return predictTime(machine, describe(matrix, type), encode(drop, type),
                     modelBytes * type.getIntOrFloatBitWidth() / 32)
      .value_or(0);
}

std::vector<char> PredictedLayer::encode(ArrayRef<uint8_t> drop,
                                         Type type) const {
  std::vector<float> kept(values);
  for (auto [i, dropped] : llvm::enumerate(drop))
    if (dropped)
      kept[i] = 0;
  if (type.isF32()) {
    const char *bytes = reinterpret_cast<const char *>(kept.data());
    return {bytes, bytes + kept.size() * sizeof(float)};
  }
  std::vector<char> codes;
  codes.reserve(kept.size());
  constexpr float kMost = 127;
  for (int64_t row = 0; row < matrix.rows; ++row) {
    auto channel = ArrayRef(kept).slice(row * matrix.columns, matrix.columns);
    float greatest = 0;
    for (float value : channel)
      greatest = std::max(greatest, std::fabs(value));
    float scale = greatest > 0 ? kMost / greatest : 0;
    for (float value : channel)
      codes.push_back(static_cast<char>(std::lround(value * scale)));
  }
  return codes;
}

int64_t PredictedLayer::getRows() const {
  ContractOp op = matrix.use.contract;
  AffineMap rhs = op.getRhsMap();
  int64_t rows = 1;
  for (auto [d, bound] : llvm::enumerate(op.getStaticLoopRanges()))
    if (!rhs.isFunctionOfDim(d)) {
      if (ShapedType::isDynamic(bound))
        return ShapedType::kDynamic;
      rows *= bound;
    }
  return rows;
}

bool PredictedLayer::isTwoOfFour(ArrayRef<uint8_t> drop) const {
  if (matrix.channels % 4 != 0)
    return false;
  for (size_t i = 0; i < drop.size(); i += 4) {
    int kept = 0;
    for (size_t j = i; j < i + 4; ++j)
      kept += !drop[j] && values[j] != 0;
    if (kept > 2)
      return false;
  }
  return true;
}
