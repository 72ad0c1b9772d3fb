// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Weights of a codebook come as a table's elements times a factor for each
// output channel. Multiplied before the product they are as many floats as
// there are weights; behind it the weights stay the few values of the table,
// which a storage can name by codes.
#include "QuantizedProduct.h"
#include "QuantizedTail.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "tamis/Target/Target.h"
#include "tamis/Transforms/Passes.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_SINKFACTORS
#include "tamis/Transforms/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

/// True if all elements of `value` are read from a constant that codes of four
/// bits can name.
static bool isLookedUp(Value value) {
  auto generic = value.getDefiningOp<linalg::GenericOp>();
  if (!generic || generic.getNumResults() != 1)
    return false;
  auto extract = generic.getBody()
                     ->getTerminator()
                     ->getOperand(0)
                     .getDefiningOp<tensor::ExtractOp>();
  if (!extract)
    return false;
  RankedTensorType table = extract.getTensor().getType();
  Operation *def = extract.getTensor().getDefiningOp();
  return def &&
         (isa<ml_program::GlobalLoadConstOp>(def) ||
          def->hasTrait<OpTrait::ConstantLike>()) &&
         table.getElementType().isF32() && table.hasStaticShape() &&
         table.getNumElements() <= CodebookAttr::kCodes;
}

namespace {
/// `weights` times `factor`, whose one dimension, if it has one, is `axis` of
/// the weights.
struct Product {
  Value weights, factor;
  std::optional<unsigned> axis;
};
} // namespace

static std::optional<Product> match(Value value) {
  auto generic = value.getDefiningOp<linalg::GenericOp>();
  if (!generic || generic.getNumDpsInputs() != 2 ||
      generic.getNumDpsInits() != 1 ||
      generic.getNumParallelLoops() != generic.getNumLoops() ||
      !generic.getMatchingIndexingMap(generic.getDpsInitOperand(0))
           .isIdentity())
    return std::nullopt;
  Block *body = generic.getBody();
  auto product =
      body->getTerminator()->getOperand(0).getDefiningOp<arith::MulFOp>();
  if (!product || body->getOperations().size() != 2 ||
      product.getLhs() == product.getRhs() ||
      !llvm::all_of(product->getOperands(), llvm::IsaPred<BlockArgument>))
    return std::nullopt;
  for (int64_t i : {0, 1}) {
    OpOperand *weights = generic.getDpsInputOperand(i);
    OpOperand *factor = generic.getDpsInputOperand(1 - i);
    AffineMap map = generic.getMatchingIndexingMap(factor);
    if (!generic.getMatchingIndexingMap(weights).isIdentity() ||
        map.getNumResults() > 1 || !map.isProjectedPermutation() ||
        !isLookedUp(weights->get()))
      continue;
    Product found{weights->get(), factor->get(), std::nullopt};
    if (map.getNumResults() == 1)
      found.axis = map.getDimPosition(0);
    return found;
  }
  return std::nullopt;
}

namespace {
struct SinkFactors : tamis::impl::SinkFactorsBase<SinkFactors> {
  void runOnOperation() override {
    SmallVector<ContractOp> ops;
    getOperation()->walk([&](ContractOp op) { ops.push_back(op); });
    for (ContractOp op : ops)
      numSunk += sink(op);
  }

  static bool sink(ContractOp op) {
    auto result = cast<RankedTensorType>(op.getInit().getType());
    TargetAttr target = getTarget(op);
    if (isStrict(op) || op.hasEpilogue() || !op.getAccumulator().isF32() ||
        !result.getElementType().isF32() || hasManyRows(op) ||
        (target && getLookups(target).empty()))
      return false;
    std::optional<Product> product = match(op.getRhs());
    if (!product)
      return false;
    OpBuilder b(op);
    b.setInsertionPointAfter(op);
    AffineMap out = op.getOutMap();
    SmallVector<AffineExpr> channel;
    if (product->axis) {
      auto at = out.getResultPosition(op.getRhsMap().getResult(*product->axis));
      if (!at)
        return false;
      channel.push_back(b.getAffineDimExpr(*at));
    }
    unsigned rank = out.getNumResults();
    op.getRhsMutable().assign(product->weights);
    Value scaled = buildGeneric(
        b, op.getLoc(), tensor::getMixedSizes(b, op.getLoc(), op.getInit()),
        b.getF32Type(), {op.getResult(), product->factor},
        {b.getMultiDimIdentityMap(rank),
         AffineMap::get(rank, 0, channel, b.getContext())},
        [](OpBuilder &b, Location loc, ValueRange args) -> Value {
          return arith::MulFOp::create(b, loc, args[0], args[1]);
        });
    op.getResult().replaceAllUsesExcept(scaled, scaled.getDefiningOp());
    return true;
  }
};
} // namespace
