// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attention found by its shape on tensors: a contraction, operations that keep
// to the rows of its result, a contraction that reads these rows. Scores of all
// heads are the largest tensors of a transformer, and nobody needs them all at
// once. Only marks are set here; FuseAttention.cpp makes the loop.
#include "RowChain.h"
#include "tamis/Kernels/Passes.h"
#include "tamis/Kernels/Tiling.h"
#include "tamis/Target/Target.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_SELECTATTENTION
#include "tamis/Kernels/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

/// Most rows of a strip: more gain nothing once a panel is read from L1 several
/// times.
static constexpr int64_t kMostRows = 32;
/// Strips are whole blocks of this many rows.
static constexpr int64_t kRowUnit = 4;
/// The length of a row that only run time knows.
static constexpr int64_t kTypicalLength = 256;

namespace {
/// Why a contraction's rows stay a tensor.
enum class Refusal { None, NoPair, Shared, Mixed, Small };

/// The values between two contractions, each with the rows of the first result
/// as its leading dimensions.
struct RowChain {
  kernel::ContractOp first, second;
  SetVector<Value> values;
  int64_t rank;

  explicit RowChain(kernel::ContractOp first)
      : first(first),
        rank(cast<ShapedType>(first.getResult().getType()).getRank() - 1) {
    values.insert(first.getResult());
  }

  Refusal add(linalg::GenericOp op);
  /// The second contraction reads rows as lhs.
  Refusal close(OpOperand &use);
  Refusal find();
};
} // namespace

Refusal RowChain::add(linalg::GenericOp op) {
  auto isRows = [&](Value value) { return values.contains(value); };
  if (op->getBlock() != first->getBlock() || !op.hasPureTensorSemantics() ||
      op.getNumResults() != 1 || !keepsRows(op, rank, isRows))
    return Refusal::Mixed;
  values.insert(op.getResult(0));
  return Refusal::None;
}

Refusal RowChain::close(OpOperand &use) {
  auto op = cast<kernel::ContractOp>(use.getOwner());
  if (second)
    return Refusal::Shared;
  if (use.getOperandNumber() != 0 || op->getBlock() != first->getBlock() ||
      !op.getResult() || !readsRows(op, rank))
    return Refusal::Mixed;
  second = op;
  return Refusal::None;
}

Refusal RowChain::find() {
  bool reduces = false;
  // Grows while it is walked.
  for (size_t i = 0; i < values.size(); ++i)
    for (OpOperand &use : values[i].getUses()) {
      Refusal refusal = Refusal::NoPair;
      if (auto generic = dyn_cast<linalg::GenericOp>(use.getOwner())) {
        refusal = add(generic);
        reduces |= generic.getNumReductionLoops() > 0;
      } else if (isa<kernel::ContractOp>(use.getOwner())) {
        refusal = close(use);
      } else if (second || reduces) {
        refusal = Refusal::Shared;
      }
      if (refusal != Refusal::None)
        return refusal;
    }
  return second && reduces ? Refusal::None : Refusal::NoPair;
}

/// Rows that leave three quarters of L2 to the operands of both contractions,
/// about as many in each strip.
static int64_t chooseRows(int64_t extent, int64_t rowBytes, int64_t l2) {
  int64_t rows = std::clamp<int64_t>(l2 / 4 / rowBytes, kRowUnit, kMostRows);
  rows -= rows % kRowUnit;
  if (ShapedType::isDynamic(extent))
    return rows;
  int64_t strips = llvm::divideCeil(extent, rows);
  return static_cast<int64_t>(
      llvm::alignTo(llvm::divideCeil(extent, strips), kRowUnit));
}

namespace {
struct SelectAttention : tamis::impl::SelectAttentionBase<SelectAttention> {
  Refusal select(kernel::ContractOp first) {
    if (!first.getResult() || !makesRows(first))
      return Refusal::NoPair;
    RowChain chain(first);
    if (Refusal refusal = chain.find(); refusal != Refusal::None)
      return refusal;
    auto type = cast<ShapedType>(first.getResult().getType());
    int64_t elementBytes = type.getElementTypeBitWidth() / 8;
    TargetAttr target = getTarget(first);
    int64_t l1 = target ? target.getL1() : 32 << 10;
    int64_t l2 = target ? target.getL2() : 1 << 20;
    if (type.hasStaticShape() && type.getNumElements() * elementBytes <= l1)
      return Refusal::Small;
    int64_t length = type.getShape().back();
    if (ShapedType::isDynamic(length))
      length = kTypicalLength;
    int64_t rows = chooseRows(type.getShape()[chain.rank - 1],
                              std::max<int64_t>(1, length * elementBytes), l2);
    for (kernel::ContractOp op : {chain.first, chain.second}) {
      Tiling tiling = Tiling::get(op.getTile());
      tiling.strip = rows;
      op.setTile(tiling.getTile());
    }
    return Refusal::None;
  }

  void runOnOperation() override {
    getOperation()->walk([&](kernel::ContractOp op) {
      switch (select(op)) {
      case Refusal::None:
        ++numSelected;
        break;
      case Refusal::Shared:
        ++numShared;
        break;
      case Refusal::Mixed:
        ++numMixed;
        break;
      case Refusal::Small:
        ++numSmall;
        break;
      case Refusal::NoPair:
        break;
      }
    });
  }
};
} // namespace
