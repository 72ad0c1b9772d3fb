// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Float32 products in bfloat16, for users who allow it: half the weights and
// twice the products per instruction. Only the types change here; what reads
// and writes them (folding, fusion, instruction selection) does not know why.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "tamis/Kernels/Classify.h"
#include "tamis/Target/Target.h"
#include "tamis/Transforms/Passes.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_NARROWCONTRACTIONS
#include "tamis/Transforms/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

/// Reduced elements in a row, and columns, below which steps and vectors are
/// mostly empty.
static constexpr int64_t kLeastRun = 16;
static constexpr int64_t kLeastColumns = 16;
/// Rows below which an rhs that is rounded at run time is not read often
/// enough.
static constexpr int64_t kLeastRows = 32;
/// Products below which a call costs more than the multiplications.
static constexpr int64_t kLeastProducts = 1 << 14;

/// A dimension only run time knows counts as a long one.
static int64_t getExtent(int64_t bound) {
  return ShapedType::isDynamic(bound) ? 128 : bound;
}

static bool isLargeEnough(ContractOp op, const ContractionDims &dims,
                          ArrayRef<int64_t> bounds) {
  if (dims.depthwise || dims.reductions.empty())
    return false;
  auto product = [&](ArrayRef<unsigned> list) {
    int64_t result = 1;
    for (unsigned d : list)
      result *= getExtent(bounds[d]);
    return result;
  };
  int64_t rows = product(dims.rows), columns = getExtent(bounds[dims.column]);
  return getExtent(bounds[dims.reductions.back()]) >= kLeastRun &&
         columns >= kLeastColumns &&
         (rows >= kLeastRows || isParameter(op.getRhs())) &&
         rows * columns * product(dims.reductions) * product(dims.groups) >=
             kLeastProducts;
}

namespace {
struct NarrowContractions
    : tamis::impl::NarrowContractionsBase<NarrowContractions> {
  DenseMap<Value, Value> rounded;

  /// `value` rounded to bfloat16, right after it is computed.
  Value round(Value value) {
    Value &known = rounded[value];
    if (known)
      return known;
    OpBuilder b(value.getContext());
    b.setInsertionPointAfterValue(value);
    Location loc = value.getLoc();
    auto type = cast<RankedTensorType>(value.getType());
    Value empty = tensor::EmptyOp::create(
        b, loc, tensor::getMixedSizes(b, loc, value), b.getBF16Type());
    SmallVector<AffineMap> maps(2, b.getMultiDimIdentityMap(type.getRank()));
    SmallVector<utils::IteratorType> loops(type.getRank(),
                                           utils::IteratorType::parallel);
    known = linalg::GenericOp::create(
                b, loc, empty.getType(), value, empty, maps, loops,
                [](OpBuilder &inner, Location at, ValueRange arguments) {
                  Value narrow = arith::TruncFOp::create(
                      inner, at, inner.getBF16Type(), arguments[0]);
                  linalg::YieldOp::create(inner, at, narrow);
                })
                .getResult(0);
    ++numRounded;
    return known;
  }

  void runOnOperation() override {
    rounded.clear();
    ModuleOp module = getOperation();
    TargetAttr target = getTarget(module);
    if (!target || !allowsBf16(module))
      return;
    Type bf16 = BFloat16Type::get(&getContext());
    Type f32 = Float32Type::get(&getContext());
    InstructionAttrInterface instruction;
    for (InstructionAttrInterface candidate : getInstructions(target, true))
      if (!instruction && !candidate.isTile() &&
          candidate.getReductionStep() > 1 &&
          candidate.accepts(bf16, bf16, f32, false, false))
        instruction = candidate;
    if (!instruction)
      return;
    module.walk([&](ContractOp op) {
      auto lhs = dyn_cast<RankedTensorType>(op.getLhs().getType());
      auto rhs = dyn_cast<RankedTensorType>(op.getRhs().getType());
      if (!lhs || !rhs || !lhs.getElementType().isF32() ||
          !rhs.getElementType().isF32() || !op.getAccumulator().isF32())
        return;
      SmallVector<int64_t> bounds = op.getStaticLoopRanges();
      std::string reason;
      FailureOr<ContractionDims> dims = classifyContraction(
          op.getLhsMap(), op.getRhsMap(), op.getOutMap(), bounds,
          lhs.getShape(), instruction.getReductionStep(), reason);
      if (failed(dims)) {
        ++numShape;
        return;
      }
      if (!isLargeEnough(op, *dims, bounds)) {
        ++numSmall;
        return;
      }
      op.getLhsMutable().set(round(op.getLhs()));
      op.getRhsMutable().set(round(op.getRhs()));
      ++numNarrowed;
    });
  }
};
} // namespace
