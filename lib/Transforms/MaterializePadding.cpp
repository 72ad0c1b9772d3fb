// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Padding as memory: a kernel that never tests whether it is inside the image
// is simpler and faster, and a border is cheap if the producer of the image
// stores between it.
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "tamis/Transforms/Padding.h"
#include "tamis/Transforms/Passes.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_MATERIALIZEPADDING
#include "tamis/Transforms/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

/// Up to this many elements one fill of everything is cheaper than a fill per
/// side.
static constexpr int64_t kFillWhole = 16384;

/// The number of iterations of each loop, as attributes or sizes of operands.
static SmallVector<OpFoldResult> getRanges(OpBuilder &b, ContractOp op) {
  SmallVector<OpFoldResult> ranges(op.getLhsMap().getNumDims());
  auto note = [&](Value value, AffineMap map) {
    for (auto [i, expr] : llvm::enumerate(map.getResults()))
      if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
        OpFoldResult &range = ranges[dim.getPosition()];
        if (!range || !getConstantIntValue(range))
          range = tensor::getMixedSize(b, op.getLoc(), value, i);
      }
  };
  note(op.getRhs(), op.getRhsMap());
  note(op.getInit(), op.getOutMap());
  return ranges;
}

Value tamis::padContractionInput(OpBuilder &b, ContractOp op) {
  auto type = cast<RankedTensorType>(op.getLhs().getType());
  Location loc = op.getLoc();
  MLIRContext *context = b.getContext();
  SmallVector<OpFoldResult> ranges = getRanges(b, op);
  SmallVector<OpFoldResult> low, high;
  bool needed = false;
  for (auto [i, expr] : llvm::enumerate(op.getLhsMap().getResults())) {
    int64_t before = op.getPad()[i];
    low.push_back(b.getIndexAttr(before));
    OpFoldResult after = b.getIndexAttr(0);
    if (!isa<AffineDimExpr>(expr) || before != 0) {
      // The last coordinate read is the map at the last iterations, since
      // strides and dilations are positive.
      SmallVector<AffineExpr> last;
      for (unsigned loop = 0; loop < ranges.size(); ++loop)
        last.push_back(getAffineSymbolExpr(loop, context) - 1);
      AffineExpr extent = expr.replaceDims(last) + 1 - before -
                          getAffineSymbolExpr(ranges.size(), context);
      SmallVector<OpFoldResult> operands;
      for (OpFoldResult range : ranges)
        operands.push_back(range ? range : OpFoldResult(b.getIndexAttr(1)));
      operands.push_back(tensor::getMixedSize(b, loc, op.getLhs(), i));
      auto map =
          AffineMap::get(0, operands.size(),
                         {extent, getAffineConstantExpr(0, context)}, context);
      after = affine::makeComposedFoldedAffineMax(b, loc, map, operands);
    }
    high.push_back(after);
    needed |= before != 0 || getConstantIntValue(after) != 0;
  }
  if (!needed)
    return op.getLhs();
  Value zero;
  Type element = type.getElementType();
  if (op.getLhsZero()) {
    zero = op.getLhsZero();
    unsigned from = zero.getType().getIntOrFloatBitWidth();
    unsigned to = element.getIntOrFloatBitWidth();
    if (from > to)
      zero = arith::TruncIOp::create(b, loc, element, zero);
    else if (from < to && op.getLhsUnsigned())
      zero = arith::ExtUIOp::create(b, loc, element, zero);
    else if (from < to)
      zero = arith::ExtSIOp::create(b, loc, element, zero);
  } else {
    zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(element));
  }
  return tensor::PadOp::create(b, loc, Type(), op.getLhs(), low, high, zero);
}

static void padOperand(ContractOp op) {
  if (!isa<RankedTensorType>(op.getLhs().getType()))
    return;
  OpBuilder b(op);
  Value padded = padContractionInput(b, op);
  if (padded == op.getLhs())
    return;
  op.getLhsMutable().assign(padded);
  op.setPad(SmallVector<int64_t>(op.getPad().size(), 0));
}

namespace {
/// Pads of one value with one constant, which share a buffer.
struct PadGroup {
  OpFoldResult value;
  SmallVector<tensor::PadOp> pads;
  SmallVector<OpFoldResult> low, high;

  /// Asked for when needed: it may be a pad that another group replaces.
  Value source() { return pads.front().getSource(); }
};

struct MaterializePadding
    : tamis::impl::MaterializePaddingBase<MaterializePadding> {
  void collect(SmallVectorImpl<PadGroup> &groups);
  void write(PadGroup &group);

  void runOnOperation() override {
    getOperation().walk([](ContractOp op) { padOperand(op); });
    RewritePatternSet patterns(&getContext());
    tensor::PadOp::getCanonicalizationPatterns(patterns, &getContext());
    tensor::DimOp::getCanonicalizationPatterns(patterns, &getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    SmallVector<PadGroup> groups;
    collect(groups);
    for (PadGroup &group : groups)
      write(group);
  }
};
} // namespace

/// The constant as an attribute, else the value.
static OpFoldResult getPadding(tensor::PadOp op) {
  Value value = op.getConstantPaddingValue();
  Attribute attr;
  if (value && matchPattern(value, m_Constant(&attr)))
    return attr;
  return value;
}

static bool areStatic(ArrayRef<OpFoldResult> values) {
  return llvm::all_of(values, [](OpFoldResult value) {
    return getConstantIntValue(value).has_value();
  });
}

void MaterializePadding::collect(SmallVectorImpl<PadGroup> &groups) {
  getOperation().walk([&](tensor::PadOp op) {
    OpFoldResult value = getPadding(op);
    SmallVector<OpFoldResult> low = op.getMixedLowPad(),
                              high = op.getMixedHighPad();
    auto isNegative = [](OpFoldResult pad) {
      return getConstantIntValue(pad).value_or(0) < 0;
    };
    if (!value || llvm::any_of(low, isNegative) ||
        llvm::any_of(high, isNegative))
      return;
    for (PadGroup &group : groups) {
      if (group.source() != op.getSource() || group.value != value ||
          group.pads.front()->getBlock() != op->getBlock())
        continue;
      bool equal = isEqualConstantIntOrValueArray(group.low, low) &&
                   isEqualConstantIntOrValueArray(group.high, high);
      if (!equal && (!areStatic(group.low) || !areStatic(group.high) ||
                     !areStatic(low) || !areStatic(high)))
        continue;
      if (!equal) {
        Builder b(&getContext());
        auto widen = [&](OpFoldResult &to, OpFoldResult from) {
          to = b.getIndexAttr(
              std::max(*getConstantIntValue(to), *getConstantIntValue(from)));
        };
        for (size_t i = 0; i < low.size(); ++i) {
          widen(group.low[i], low[i]);
          widen(group.high[i], high[i]);
        }
      }
      group.pads.push_back(op);
      ++numShared;
      return;
    }
    groups.push_back({value, {op}, low, high});
  });
}

/// The operation that makes `value` and writes a fresh destination for it, or
/// null: it can write somewhere else as well.
static DestinationStyleOpInterface getFreeProducer(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || !isa<linalg::LinalgOp, ContractOp>(op) || op->getNumResults() != 1)
    return nullptr;
  auto producer = cast<DestinationStyleOpInterface>(op);
  return producer.getDpsInits()[0].getDefiningOp<tensor::EmptyOp>() ? producer
                                                                    : nullptr;
}

void MaterializePadding::write(PadGroup &group) {
  tensor::PadOp first = group.pads.front();
  Location loc = first.getLoc();
  Value source = group.source();
  auto type = cast<RankedTensorType>(source.getType());
  int64_t rank = type.getRank();

  // The border is filled before the producer runs if everything it needs is
  // known there.
  DestinationStyleOpInterface producer = getFreeProducer(source);
  if (!isa<Attribute>(group.value) || !areStatic(group.low) ||
      !areStatic(group.high) ||
      (producer && producer->getBlock() != first->getBlock()))
    producer = nullptr;
  OpBuilder b(first);
  SmallVector<OpFoldResult> sizes;
  if (producer) {
    b.setInsertionPoint(producer);
    sizes = producer.getDpsInits()[0]
                .getDefiningOp<tensor::EmptyOp>()
                .getMixedSizes();
    ++numDirect;
  } else {
    sizes = tensor::getMixedSizes(b, loc, source);
  }
  ++numPads;
  Value value;
  if (auto attr = dyn_cast<Attribute>(group.value))
    value = arith::ConstantOp::create(b, loc, cast<TypedAttr>(attr));
  else
    value = cast<Value>(group.value);

  SmallVector<OpFoldResult> zeros(rank, b.getIndexAttr(0)),
      ones(rank, b.getIndexAttr(1)), padded;
  AffineExpr s0, s1, s2;
  bindSymbols(b.getContext(), s0, s1, s2);
  auto add = [&](AffineExpr expr, ArrayRef<OpFoldResult> operands) {
    return affine::makeComposedFoldedAffineApply(b, loc, expr, operands);
  };
  for (int64_t i = 0; i < rank; ++i)
    padded.push_back(
        add(s0 + s1 + s2, {sizes[i], group.low[i], group.high[i]}));
  Value buffer = tensor::EmptyOp::create(b, loc, padded, type.getElementType());
  auto bufferType = cast<RankedTensorType>(buffer.getType());
  auto fill = [&](ArrayRef<OpFoldResult> offsets,
                  ArrayRef<OpFoldResult> extents) {
    Value slab =
        tensor::ExtractSliceOp::create(b, loc, buffer, offsets, extents, ones);
    slab = linalg::FillOp::create(b, loc, value, slab).getResult(0);
    buffer = tensor::InsertSliceOp::create(b, loc, slab, buffer, offsets,
                                           extents, ones);
  };
  if (bufferType.hasStaticShape() &&
      bufferType.getNumElements() <= kFillWhole) {
    buffer = linalg::FillOp::create(b, loc, value, buffer).getResult(0);
  } else {
    // Slabs before and behind the value in each dimension; what an earlier
    // dimension covers is left out.
    SmallVector<OpFoldResult> offsets(zeros), extents(padded);
    for (int64_t i = 0; i < rank; ++i) {
      if (getConstantIntValue(group.low[i]) != 0) {
        extents[i] = group.low[i];
        fill(offsets, extents);
      }
      if (getConstantIntValue(group.high[i]) != 0) {
        offsets[i] = add(s0 + s1, {group.low[i], sizes[i]});
        extents[i] = group.high[i];
        fill(offsets, extents);
      }
      offsets[i] = group.low[i];
      extents[i] = sizes[i];
    }
  }
  if (producer) {
    Value slot = tensor::ExtractSliceOp::create(b, loc, type, buffer, group.low,
                                                sizes, ones);
    producer.getDpsInitsMutable()[0].set(slot);
    b.setInsertionPointAfter(producer);
  }
  Value whole = tensor::InsertSliceOp::create(b, loc, source, buffer, group.low,
                                              sizes, ones);
  for (tensor::PadOp pad : group.pads) {
    Value result = whole;
    b.setInsertionPoint(pad);
    if (!isEqualConstantIntOrValueArray(pad.getMixedLowPad(), group.low) ||
        !isEqualConstantIntOrValueArray(pad.getMixedHighPad(), group.high)) {
      SmallVector<OpFoldResult> offsets, extents;
      for (int64_t i = 0; i < rank; ++i) {
        offsets.push_back(
            add(s0 - s1, {group.low[i], pad.getMixedLowPad()[i]}));
        extents.push_back(add(s0 + s1 + s2, {sizes[i], pad.getMixedLowPad()[i],
                                             pad.getMixedHighPad()[i]}));
      }
      result = tensor::ExtractSliceOp::create(b, loc, result, offsets, extents,
                                              ones);
    }
    if (result.getType() != pad.getType())
      result = tensor::CastOp::create(b, loc, pad.getType(), result);
    pad.replaceAllUsesWith(result);
    pad.erase();
  }
}
