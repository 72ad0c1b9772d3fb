// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Decides how many rows of scores a workgroup has, and makes one region of what
// FindAttention.cpp has found; AttentionKernel.cpp makes the kernel.
#include "Attention.h"
#include "RowKernel.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "tamis/Conversion/UpperBounds.h"
#include "tamis/Gpu/Mapping.h"
#include "tamis/Gpu/Passes.h"
#include "tamis/Kernels/Passes.h"
#include "tamis/Target/Target.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_GROUPATTENTION
#include "tamis/Gpu/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::device;

namespace {
/// How a workgroup walks attention.
struct StripPlan {
  int64_t pitch;
  TilesAttr scores, values;
};
} // namespace

/// Words of workgroup memory beside the strip.
static int64_t countWords(const StripPlan &plan, device::ContractOp op,
                          Operation *rows) {
  TilesAttr scores = plan.scores;
  int64_t channels = std::max(scores.getChannels(), plan.values.getChannels());
  int64_t tiles =
      (channels + scores.getRows()) * scores.getWords() * scores.getStages();
  int64_t exchanged = op.getInstruction().getExchangeWords() * kAttentionWarps;
  // Whatever rows may reduce to goes through memory.
  llvm::SmallDenseSet<Type> types;
  int64_t reduced = 0;
  for (linalg::LinalgOp inner : findRows(rows)->getOperations())
    for (Value init : inner.getDpsInits())
      if (Type type = getElementTypeOrSelf(init.getType());
          types.insert(type).second)
        reduced += static_cast<int64_t>(
            llvm::divideCeil(type.getIntOrFloatBitWidth(), 32));
  return tiles + exchanged + reduced * kRowThreads;
}

/// Warps beside each other along columns; along rows too, where columns would
/// leave some without any.
static TilesAttr chooseTiles(device::ContractOp op, int64_t columns,
                             int64_t rows, int64_t words, int64_t stages,
                             bool maySplitRows) {
  constexpr int64_t kMostChannels = 32;
  FragmentShape shape = op.getInstruction().getShape();
  if (ShapedType::isDynamic(columns))
    columns = kMostChannels * kAttentionWarps;
  int64_t along = 1;
  while (maySplitRows && along < kAttentionWarps &&
         kAttentionWarps / along * shape.channels > columns &&
         rows % (2 * along * shape.rows) == 0)
    along *= 2;
  int64_t across = kAttentionWarps / along;
  auto channels = std::min<int64_t>(
      kMostChannels,
      llvm::alignTo(llvm::divideCeil(columns, across), shape.channels));
  return TilesAttr::get(op.getContext(), across * channels, rows, words,
                        channels, rows / along, stages, /*splits=*/1);
}

/// The most rows of `length` elements that fit, but no more than there are and
/// than keep the device busy. None if not even few fit.
static std::optional<StripPlan> choosePlan(Attention &attention, int64_t length,
                                           int64_t rowCount, int64_t groups) {
  constexpr int64_t kMostRows = 32, kFewRows = 8, kBusy = 128;
  /// Banks that rows apart by so many elements meet differently.
  constexpr int64_t kSkew = 8, kUnit = 32;
  // Words of a tile along the reduction, and stages.
  using Depth = std::pair<int64_t, int64_t>;
  static constexpr Depth kNvptx[] = {{16, 2}, {16, 1}},
                         kVulkan[] = {{16, 1}, {8, 1}};
  bool isNvptx = getDevice(getTarget(attention.values)) == DeviceKind::Nvptx;
  int64_t budget = (isNvptx ? 48 << 10 : 16 << 10) / 4;
  device::ContractOp scores = attention.scores, values = attention.values;
  FragmentShape shape = scores.getInstruction().getShape();
  int64_t columns =
      cast<MemRefType>(values.getInit().getType()).getShape().back();
  std::optional<StripPlan> best;
  for (int64_t rows = kMostRows; rows >= shape.rows; rows /= 2) {
    if (rows > shape.rows && rows / 2 >= rowCount)
      continue;
    for (auto [words, stages] : isNvptx ? kNvptx : kVulkan) {
      int64_t step = std::max(
          kUnit,
          words * 32 /
              getElementTypeOrSelf(scores.getLhs()).getIntOrFloatBitWidth());
      StripPlan plan;
      plan.pitch = static_cast<int64_t>(llvm::alignTo(length, step)) + kSkew;
      plan.scores = chooseTiles(scores, length, rows, words, stages, false);
      plan.values = chooseTiles(values, columns, rows, words, stages, true);
      if (countWords(plan, scores, attention.rows) + rows * plan.pitch > budget)
        continue;
      best = plan;
      bool isBusy =
          static_cast<int64_t>(llvm::divideCeil(rowCount, rows)) * groups >=
          kBusy;
      if (isBusy || rows <= kFewRows)
        return best;
      break;
    }
  }
  return best;
}

namespace {
struct GroupAttention : tamis::impl::GroupAttentionBase<GroupAttention> {
  void runOnOperation() override {
    SmallVector<device::ContractOp> contracts;
    getOperation().walk(
        [&](device::ContractOp op) { contracts.push_back(op); });
    UpperBounds bounds;
    SmallVector<Attribute> notes;
    for (device::ContractOp op : contracts)
      if (std::optional<Attention> attention = findAttention(op))
        notes.push_back(group(*attention, bounds));
    if (!notes.empty())
      getOperation()->setAttr(kAttentionAttrName,
                              Builder(&getContext()).getArrayAttr(notes));
  }

  /// The largest that axis `axis` of `strip` becomes.
  static std::optional<int64_t> getBound(memref::AllocOp strip, unsigned axis,
                                         UpperBounds &bounds) {
    OpFoldResult size = strip.getMixedSizes()[axis];
    if (auto known = getConstantIntValue(size))
      return known;
    return bounds.get(cast<Value>(size));
  }

  DictionaryAttr group(Attention &attention, UpperBounds &bounds) {
    Builder b(&getContext());
    NamedAttrList note;
    StringAttr origin = attention.values.getOriginAttr();
    note.set("layer", origin ? origin : b.getStringAttr(""));
    auto leave = [&](const Twine &reason) {
      ++numLeft;
      note.set("reason", b.getStringAttr(reason));
      return note.getDictionary(&getContext());
    };
    if (std::string reason = refuseAttention(attention); !reason.empty())
      return leave(reason);
    memref::AllocOp strip = attention.strips.front();
    auto rank = static_cast<unsigned>(strip.getType().getRank());
    std::optional<int64_t> length = getBound(strip, rank - 1, bounds);
    if (!length)
      return leave("the length of a row has no bound");
    constexpr int64_t kOpen = 4096;
    RowAxes axes = *findRowAxes(attention.scores, attention.scores.getOutMap());
    auto count = [&](ArrayRef<unsigned> list) {
      int64_t product = 1;
      for (unsigned axis : list)
        product *= getBound(strip, axis, bounds).value_or(kOpen);
      return product;
    };
    std::optional<StripPlan> plan =
        choosePlan(attention, *length, count(axes.rows), count(axes.groups));
    if (!plan)
      return leave("a row of " + Twine(*length) +
                   " scores is too long for workgroup memory");
    note.set("rows", b.getI64IntegerAttr(plan->scores.getRows()));
    note.set("length", b.getI64IntegerAttr(*length));
    apply(attention, *plan);
    ++numGrouped;
    return note.getDictionary(&getContext());
  }

  void apply(Attention &attention, const StripPlan &plan) {
    device::ContractOp scores = attention.scores, values = attention.values;
    OpBuilder b(values);
    Location loc = values.getLoc();
    auto region = scf::ExecuteRegionOp::create(b, loc, TypeRange());
    region.setNoInline(true);
    region->setAttr("tamis.kernel", b.getUnitAttr());
    region->setAttr(kStripAttrName, b.getI64IntegerAttr(plan.pitch));
    if (values.getOriginAttr())
      region->setAttr("origin", values.getOriginAttr());
    b.createBlock(&region.getRegion());
    Operation *end = scf::YieldOp::create(b, loc);
    b.setInsertionPoint(end);
    for (Operation *op :
         {scores.getOperation(), attention.rows, values.getOperation()})
      op->moveBefore(end);
    b.setInsertionPointToStart(&region.getRegion().front());
    for (memref::AllocOp strip : attention.strips) {
      Value local = memref::AllocaOp::create(b, loc, strip.getType(),
                                             strip.getDynamicSizes());
      strip.getResult().replaceUsesWithIf(local, [&](OpOperand &use) {
        return region->isProperAncestor(use.getOwner());
      });
      if (strip->use_empty())
        strip->erase();
    }
    scores.setTilesAttr(plan.scores);
    values.setTilesAttr(plan.values);
    // What tells equal layers apart is said once, of the region.
    for (device::ContractOp op : {scores, values}) {
      op.removeFewAttr();
      op.removeOriginAttr();
      op->removeAttr(kChoiceAttrName);
    }
  }
};
} // namespace
