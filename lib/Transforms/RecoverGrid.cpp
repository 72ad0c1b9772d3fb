// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Float weights whose values are whole multiples of a scale were quantized once
// and stored dequantized. The integers and the scale are found again, exactly:
// the product of both has the bits of every weight.
#include "tamis/Transforms/ConstantTensor.h"
#include "tamis/Transforms/ExactGrid.h"
#include "tamis/Transforms/Passes.h"
#include <cmath>
#include <cstring>

namespace mlir::tamis {
#define GEN_PASS_DEF_RECOVERGRID
#include "tamis/Transforms/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

namespace {
/// A constant behind movement, and which of its dimensions are result channels.
struct Source {
  Value value;
  SmallVector<int64_t> channels;
};

struct RecoverGrid : tamis::impl::RecoverGridBase<RecoverGrid> {
  void runOnOperation() override;
};
} // namespace

/// True if `value` comes from a dequantize through operations on tensors.
static bool isQuantized(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (isa<DequantizeOp>(op))
      return true;
    if (!isa<tensor::TensorDialect, linalg::LinalgDialect>(op->getDialect()) ||
        op->getNumOperands() == 0)
      return false;
    value = op->getOperand(0);
  }
  return false;
}

static std::optional<Source> findSource(ContractOp op) {
  Source source{op.getRhs(), {}};
  for (auto [i, loop] : llvm::enumerate(op.getRhsMap().getResults()))
    if (op.getOutMap().getResultPosition(loop))
      source.channels.push_back(i);
  while (Operation *def = source.value.getDefiningOp()) {
    SmallVector<int64_t> channels;
    if (auto move = dyn_cast<linalg::TransposeOp>(def)) {
      for (int64_t dim : source.channels)
        channels.push_back(move.getPermutation()[dim]);
      source.value = move.getInput();
    } else if (auto split = dyn_cast<tensor::ExpandShapeOp>(def)) {
      for (auto [i, group] : llvm::enumerate(split.getReassociationIndices()))
        if (llvm::all_of(group, [&](int64_t dim) {
              return llvm::is_contained(source.channels, dim);
            }))
          channels.push_back(i);
      source.value = split.getSrc();
    } else {
      return source;
    }
    source.channels = channels;
  }
  return std::nullopt;
}

/// The scale of which all `floats` are multiples by 8-bit integers, or nothing.
static std::optional<float> findScale(ArrayRef<float> floats) {
  auto grid = findMultiples(floats, 128);
  return grid && grid->high <= 127 ? std::optional(grid->scale) : std::nullopt;
}

/// Scales per tensor (one) or along dimension `axis` of `type`; empty if a
/// slice has none.
static SmallVector<float> findScales(RankedTensorType type, const float *floats,
                                     std::optional<int64_t> axis) {
  if (!axis) {
    auto scale = findScale(ArrayRef(floats, type.getNumElements()));
    return scale ? SmallVector<float>{*scale} : SmallVector<float>();
  }
  int64_t inner = 1, outer = 1;
  for (int64_t i = 0; i < type.getRank(); ++i)
    (i < *axis ? outer : inner) *= i == *axis ? 1 : type.getDimSize(i);
  SmallVector<float> scales;
  std::vector<float> slice(outer * inner);
  int64_t channels = type.getDimSize(*axis);
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t o = 0; o < outer; ++o)
      std::memcpy(slice.data() + o * inner, floats + (o * channels + c) * inner,
                  inner * sizeof(float));
    auto scale = findScale(slice);
    if (!scale)
      return {};
    scales.push_back(*scale);
  }
  return scales;
}

void RecoverGrid::runOnOperation() {
  ModuleOp module = getOperation();
  SmallVector<ContractOp> contracts;
  module.walk([&](ContractOp op) {
    auto type = dyn_cast<RankedTensorType>(op.getRhs().getType());
    if (type && type.getElementType().isF32() && isQuantized(op.getLhs()))
      contracts.push_back(op);
  });
  if (contracts.empty())
    return;
  SymbolTable symbols(module);
  ConstantWriter writer(module, symbols);
  for (ContractOp op : contracts) {
    auto source = findSource(op);
    if (!source)
      continue;
    auto constant = getConstantTensor(source->value, symbols);
    if (!constant || constant->splat ||
        !constant->type.getElementType().isF32())
      continue;
    RankedTensorType type = constant->type;
    std::vector<float> floats(type.getNumElements());
    std::memcpy(floats.data(), constant->bytes.data(), constant->bytes.size());
    if (!llvm::all_of(floats, [](float f) { return std::isfinite(f); }))
      continue;
    std::optional<int64_t> axis;
    SmallVector<float> scales = findScales(type, floats.data(), axis);
    for (int64_t dim : source->channels) {
      if (!scales.empty())
        break;
      axis = dim;
      scales = findScales(type, floats.data(), axis);
    }
    if (scales.empty()) {
      ++numOff;
      continue;
    }
    int64_t inner = 1;
    for (int64_t i = axis.value_or(-1) + 1; i < type.getRank(); ++i)
      inner *= type.getDimSize(i);
    std::vector<char> levels(floats.size());
    for (size_t i = 0; i < floats.size(); ++i) {
      float scale = axis ? scales[i / inner % scales.size()] : scales[0];
      levels[i] =
          static_cast<char>(static_cast<int8_t>(std::rint(floats[i] / scale)));
    }
    OpBuilder b(module.getContext());
    b.setInsertionPointAfterValue(source->value);
    Location loc = source->value.getLoc();
    Value q = writer.write(b, loc, type.clone(b.getI8Type()),
                           HeapAsmResourceBlob::allocateAndCopyWithAlign(
                               ArrayRef<char>(levels), 64,
                               /*dataIsMutable=*/false),
                           /*splat=*/false, constant->global);
    SmallVector<int64_t> shape;
    if (axis)
      shape.push_back(scales.size());
    Value scale = arith::ConstantOp::create(
        b, loc,
        DenseElementsAttr::get(RankedTensorType::get(shape, b.getF32Type()),
                               ArrayRef<float>(scales)));
    Value real =
        DequantizeOp::create(b, loc, type, q, scale, /*zero_point=*/Value(),
                             /*is_unsigned=*/UnitAttr(),
                             axis ? b.getI64IntegerAttr(*axis) : IntegerAttr(),
                             IntegerAttr(), StringAttr());
    // Other readers of the weights keep the floats.
    Operation *reader = op;
    Value read = op.getRhs();
    while (read != source->value) {
      reader = read.getDefiningOp();
      read = reader->getOperand(0);
    }
    reader->replaceUsesOfWith(source->value, real);
    ++numRecovered;
  }
}
