// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Looks at constant weights where they lie: which are zero, and in what range.
#include "FragmentWeights.h"
#include "tamis/Gpu/Tensor.h"
#include "tamis/Kernels/SourceView.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::device;

RhsOrder::RhsOrder(tamis::ContractOp op, const ContractionDims &dims) {
  auto position = [&](unsigned d) {
    return static_cast<int64_t>(*op.getRhsMap().getResultPosition(
        getAffineDimExpr(d, op.getContext())));
  };
  groups = llvm::map_to_vector(dims.groups, position);
  reductions = llvm::map_to_vector(dims.reductions, position);
  column =
      op.getRhsMap().isFunctionOfDim(dims.column) ? position(dims.column) : -1;
}

bool device::isTwoOfFour(tamis::ContractOp op, const RhsOrder &order,
                         int64_t zero, SymbolTable &symbols) {
  FailureOr<SourceView> view = viewConstant(op.getRhs(), symbols);
  if (failed(view) || order.column < 0)
    return false;
  bool isUnsigned = op.getRhsUnsigned();
  SmallVector<int64_t> depth = view->getOffsets(order.reductions);
  for (int64_t group : view->getOffsets(order.groups))
    for (int64_t c : view->getOffsets({order.column}))
      for (size_t k = 0; k < depth.size(); k += 4) {
        int nonzero = 0;
        for (size_t i = k; i < std::min(k + 4, depth.size()); ++i)
          nonzero += view->getInteger(group + c + depth[i], isUnsigned) != zero;
        if (nonzero > 2)
          return false;
      }
  return true;
}

std::optional<ListedWords>
device::listWords(tamis::ContractOp op, const RhsOrder &order, int64_t zero,
                  const PanelShape &panels, SymbolTable &symbols) {
  FailureOr<SourceView> view = viewConstant(op.getRhs(), symbols);
  if (failed(view) || order.column < 0)
    return std::nullopt;
  bool isFloat = isa<FloatType>(view->element),
       isUnsigned = op.getRhsUnsigned();
  size_t bytes = view->element.getIntOrFloatBitWidth() / 8;
  auto isZero = [&](int64_t at) {
    if (!isFloat)
      return view->getInteger(at, isUnsigned) == zero;
    // A negative zero stays.
    return llvm::all_of(view->bytes.slice(at * bytes, bytes),
                        [](char byte) { return byte == 0; });
  };
  auto [width, step, perWord] = panels;
  SmallVector<int64_t> depth = view->getOffsets(order.reductions);
  auto size = static_cast<int64_t>(depth.size());
  auto hasWord = [&](int64_t first, int64_t k) {
    for (int64_t i = k; i < std::min(k + perWord, size); ++i)
      if (!isZero(first + depth[i]))
        return true;
    return false;
  };
  int64_t columns = view->shape[order.column];
  int64_t lines = kSegmentWords * perWord / step;
  ListedWords listed;
  for (int64_t group : view->getOffsets(order.groups))
    for (int64_t c = 0; c < llvm::alignTo(columns, width); c += kPanelChannels)
      for (int64_t tile = 0; tile < size; tile += step) {
        SmallVector<int64_t> counts(llvm::divideCeil(kPanelChannels, lines), 0);
        for (int64_t i = 0; i < std::min(kPanelChannels, columns - c); ++i) {
          int64_t first = group + (c + i) * view->strides[order.column];
          for (int64_t k = tile; k < std::min(tile + step, size); k += perWord)
            counts[i / lines] += hasWord(first, k);
        }
        listed.add(counts);
      }
  return listed;
}

ByteRange device::findRange(tamis::ContractOp op, SymbolTable &symbols) {
  FailureOr<SourceView> view = viewConstant(op.getRhs(), symbols);
  if (failed(view) || !view->element.isInteger(8) || view->bytes.empty())
    return std::nullopt;
  std::pair<int64_t, int64_t> range{255, -128};
  for (size_t i = 0; i < view->bytes.size(); ++i) {
    int64_t value =
        view->getInteger(static_cast<int64_t>(i), op.getRhsUnsigned());
    range = {std::min(range.first, value), std::max(range.second, value)};
  }
  return range;
}
