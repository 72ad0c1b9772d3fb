// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Whether two slices of a tensor are the same. One-shot bufferization asks for
// each pair of a padded border and a read; upstream answers by solving integer
// constraints, which was nine tenths of bufferization.
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/SubsetOpInterface.h"
#include "tamis/Conversion/ExternalModels.h"

using namespace mlir;

/// True or false where looking tells, nullopt where bounds of values must.
static std::optional<bool> areEqual(const HyperrectangularSlice &x,
                                    const HyperrectangularSlice &y) {
  bool known = true;
  for (auto [xs, ys] : {std::pair(x.getMixedOffsets(), y.getMixedOffsets()),
                        std::pair(x.getMixedSizes(), y.getMixedSizes()),
                        std::pair(x.getMixedStrides(), y.getMixedStrides())}) {
    if (xs.size() != ys.size())
      return std::nullopt;
    for (auto [a, b] : llvm::zip_equal(xs, ys)) {
      if (isEqualConstantIntOrValue(a, b))
        continue;
      if (getConstantIntValue(a) && getConstantIntValue(b))
        return false;
      known = false;
    }
  }
  return known ? std::optional(true) : std::nullopt;
}

namespace {
struct InsertSliceSubset
    : SubsetOpInterface::ExternalModel<InsertSliceSubset,
                                       tensor::InsertSliceOp> {
  FailureOr<HyperrectangularSlice>
  getAccessedHyperrectangularSlice(Operation *op) const {
    return HyperrectangularSlice(cast<OffsetSizeAndStrideOpInterface>(op));
  }

  bool operatesOnEquivalentSubset(
      Operation *op, SubsetOpInterface candidate,
      function_ref<bool(Value, Value)> equivalenceFn) const {
    auto insert = cast<tensor::InsertSliceOp>(op);
    FailureOr<HyperrectangularSlice> other =
        candidate.getAccessedHyperrectangularSlice();
    if (failed(other) ||
        !equivalenceFn(insert.getDest(), candidate.getTensorContainer()))
      return false;
    if (auto equal = areEqual(HyperrectangularSlice(insert), *other))
      return *equal;
    return detail::defaultOperatesOnEquivalentSubset(op, candidate,
                                                     equivalenceFn);
  }
};
} // namespace

void mlir::tamis::registerSubsetModels(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, tensor::TensorDialect *) {
    tensor::InsertSliceOp::attachInterface<InsertSliceSubset>(*context);
  });
}
