// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What each operation ties. Structured operations say it by their maps; only
// movement needs words.
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"
#include "tamis/Compress/ChannelGroups.h"
#include "tamis/Compress/Report.h"
#include "llvm/ADT/SmallBitVector.h"

using namespace mlir;
using namespace mlir::tamis;

static int64_t getRank(Value value) {
  return cast<RankedTensorType>(value.getType()).getRank();
}

static int64_t getSize(Value value, int64_t axis) {
  return cast<RankedTensorType>(value.getType()).getDimSize(axis);
}

namespace {

struct ObserveModel
    : PrunableOpInterface::ExternalModel<ObserveModel, ObserveOp> {
  void tieChannels(Operation *op, ChannelTies &ties) const {
    auto observe = cast<ObserveOp>(op);
    // A parameter is a value of its own: its bytes are made again.
    if (observe.getParameter())
      return;
    for (int64_t axis = 0; axis < observe.getType().getRank(); ++axis)
      ties.tie(observe.getInput(), axis, observe.getResult(), axis);
  }
};

struct ContractModel
    : PrunableOpInterface::ExternalModel<ContractModel, ContractOp> {
  void tieChannels(Operation *op, ChannelTies &ties) const {
    auto contract = cast<ContractOp>(op);
    SmallVector<std::pair<Value, AffineMap>> accesses = {
        {contract.getLhs(), contract.getLhsMap()},
        {contract.getRhs(), contract.getRhsMap()},
        {contract.getResult(), contract.getOutMap()}};
    for (auto [i, extra] : llvm::enumerate(contract.getExtras()))
      if (isa<RankedTensorType>(extra.getType()))
        accesses.push_back({extra, contract.getExtraMap(i)});
    llvm::SmallBitVector fixedDims(contract.getIteratorTypes().size());
    for (auto [pad, expr] :
         llvm::zip_equal(contract.getPad(), contract.getLhsMap().getResults()))
      if (auto dim = dyn_cast<AffineDimExpr>(expr); dim && pad != 0)
        fixedDims.set(dim.getPosition());
    ties.tieByMaps(accesses, fixedDims, "a padded axis");
  }
};

/// Every structured operation of linalg, by its maps.
template <typename Op>
struct LinalgModel
    : PrunableOpInterface::template ExternalModel<LinalgModel<Op>, Op> {
  void tieChannels(Operation *op, ChannelTies &ties) const {
    auto structured = cast<linalg::LinalgOp>(op);
    SmallVector<std::pair<Value, AffineMap>> accesses;
    for (OpOperand &operand : op->getOpOperands()) {
      Operation *source = operand.get().getDefiningOp();
      // One empty tensor serves many.
      if (!isa<RankedTensorType>(operand.get().getType()) ||
          isa_and_present<tensor::EmptyOp>(source))
        continue;
      if (structured.isDpsInit(&operand) && isConstant(source))
        continue;
      accesses.push_back(
          {operand.get(), structured.getMatchingIndexingMap(&operand)});
    }
    for (auto [init, result] :
         llvm::zip_equal(structured.getDpsInitsMutable(), op->getResults()))
      accesses.push_back({result, structured.getMatchingIndexingMap(&init)});
    llvm::SmallBitVector fixedDims(structured.getNumLoops());
    auto iterators = structured.getIteratorTypesArray();
    for (auto [dim, iterator] : llvm::enumerate(iterators))
      if (iterator != utils::IteratorType::parallel)
        fixedDims.set(dim);
    tieBody(structured, accesses, fixedDims, ties);
    ties.tieByMaps(accesses, fixedDims,
                   "a reduction or a computation with the index");
  }

  /// A destination filled with one number, which is filled again in any size.
  static bool isConstant(Operation *op) {
    return isa_and_present<linalg::FillOp>(op) ||
           (op && matchPattern(op, m_Constant()));
  }

  /// The body may read other tensors, or compute with the index.
  static void tieBody(linalg::LinalgOp op,
                      SmallVectorImpl<std::pair<Value, AffineMap>> &accesses,
                      llvm::SmallBitVector &fixedDims, ChannelTies &ties) {
    unsigned dims = op.getNumLoops();
    op.getBlock()->walk([&](Operation *inner) {
      if (auto index = dyn_cast<linalg::IndexOp>(inner)) {
        if (!llvm::all_of(index->getUsers(), llvm::IsaPred<tensor::ExtractOp>))
          fixedDims.set(index.getDim());
        return;
      }
      auto extract = dyn_cast<tensor::ExtractOp>(inner);
      if (!extract) {
        for (Value operand : inner->getOperands())
          ties.fix(operand, "a computation inside an operation");
        return;
      }
      // An axis read at the operation's own index is like one of a map.
      SmallVector<AffineExpr> exprs;
      for (auto [axis, at] : llvm::enumerate(extract.getIndices())) {
        auto index = at.getDefiningOp<linalg::IndexOp>();
        if (index && index->getBlock() == op.getBlock()) {
          exprs.push_back(getAffineDimExpr(index.getDim(), op->getContext()));
          continue;
        }
        ties.fix(extract.getTensor(), axis, "an indexed axis");
        exprs.push_back(getAffineConstantExpr(0, op->getContext()));
      }
      accesses.push_back({extract.getTensor(),
                          AffineMap::get(dims, 0, exprs, op->getContext())});
    });
  }
};

/// The extent of a dimension is a number in the program.
struct DimModel : PrunableOpInterface::ExternalModel<DimModel, tensor::DimOp> {
  void tieChannels(Operation *op, ChannelTies &ties) const {
    auto dim = cast<tensor::DimOp>(op);
    if (std::optional<int64_t> axis = dim.getConstantIndex())
      ties.fix(dim.getSource(), *axis, "its extent is computed with");
    else
      ties.fix(dim.getSource(), "its extent is computed with");
  }
};

/// True where the model's file says this reshape, or where a contraction's
/// groups imply it: then other extents can be written.
static bool isFreeReshape(Operation *op) {
  auto isEach = [](auto users, auto isa) { return llvm::all_of(users, isa); };
  Operation *source = op->getOperand(0).getDefiningOp();
  return isa_and_present<ContractOp>(source) ||
         isEach(op->getUsers(), llvm::IsaPred<ContractOp>) ||
         isEach(op->getUsers(), llvm::IsaPred<ObserveOp>);
}

struct ExpandModel
    : PrunableOpInterface::ExternalModel<ExpandModel, tensor::ExpandShapeOp> {
  void tieChannels(Operation *op, ChannelTies &ties) const {
    auto expand = cast<tensor::ExpandShapeOp>(op);
    for (auto [wide, axes] : llvm::enumerate(expand.getReassociationIndices()))
      ties.merge(expand.getSrc(), wide, expand.getResult(), axes,
                 isFreeReshape(op));
  }
};

struct CollapseModel
    : PrunableOpInterface::ExternalModel<CollapseModel,
                                         tensor::CollapseShapeOp> {
  void tieChannels(Operation *op, ChannelTies &ties) const {
    auto collapse = cast<tensor::CollapseShapeOp>(op);
    for (auto [wide, axes] :
         llvm::enumerate(collapse.getReassociationIndices()))
      ties.merge(collapse.getResult(), wide, collapse.getSrc(), axes,
                 isFreeReshape(op));
  }
};

struct CastModel
    : PrunableOpInterface::ExternalModel<CastModel, tensor::CastOp> {
  void tieChannels(Operation *op, ChannelTies &ties) const {
    auto cast = llvm::cast<tensor::CastOp>(op);
    if (!isa<RankedTensorType>(cast.getSource().getType()) ||
        !isa<RankedTensorType>(cast.getType())) {
      ties.fix(cast.getSource(), "a cast");
      return ties.fix(cast.getResult(), "a cast");
    }
    for (int64_t axis = 0; axis < getRank(cast.getResult()); ++axis)
      ties.tie(cast.getSource(), axis, cast.getResult(), axis);
  }
};

struct ConcatModel
    : PrunableOpInterface::ExternalModel<ConcatModel, tensor::ConcatOp> {
  void tieChannels(Operation *op, ChannelTies &ties) const {
    auto concat = cast<tensor::ConcatOp>(op);
    Value result = concat.getResult();
    int64_t joined = concat.getDim(), offset = 0;
    bool isOpen = ShapedType::isDynamic(getSize(result, joined));
    for (Value input : concat.getInputs()) {
      int64_t size = getSize(input, joined);
      isOpen |= ShapedType::isDynamic(size);
      for (int64_t axis = 0; axis < getRank(result); ++axis)
        if (axis != joined)
          ties.tie(input, axis, result, axis);
        else if (isOpen)
          ties.fix(input, axis, "an open dimension");
        else
          ties.tieRange(input, axis, 0, result, axis, offset, size);
      offset += isOpen ? 0 : size;
    }
    if (isOpen)
      ties.fix(result, joined, "an open dimension");
  }
};

/// Padded elements stay: removing them would need other amounts in the file.
struct PadModel : PrunableOpInterface::ExternalModel<PadModel, tensor::PadOp> {
  void tieChannels(Operation *op, ChannelTies &ties) const {
    auto pad = cast<tensor::PadOp>(op);
    Value source = pad.getSource(), result = pad.getResult();
    for (auto [axis, low, high] :
         llvm::enumerate(pad.getMixedLowPad(), pad.getMixedHighPad())) {
      std::optional<int64_t> before = getConstantIntValue(low);
      std::optional<int64_t> after = getConstantIntValue(high);
      int64_t size = getSize(source, axis);
      if (before && after && *before == 0 && *after == 0) {
        ties.tie(source, axis, result, axis);
      } else if (!before || !after || *before < 0 || *after < 0 ||
                 ShapedType::isDynamic(size)) {
        ties.fix(source, axis, "padding");
        ties.fix(result, axis, "padding");
      } else {
        ties.tieRange(source, axis, 0, result, axis, *before, size);
        ties.fixRange(result, axis, 0, *before, "padding");
        ties.fixRange(result, axis, *before + size, *after, "padding");
      }
    }
    if (Value value = pad.getConstantPaddingValue(); !value)
      pad.getRegion().walk([&](Operation *inner) {
        for (Value operand : inner->getOperands())
          ties.fix(operand, "padding");
      });
  }
};

/// A slice of consecutive elements takes what is tied to its own. The writer
/// knows sizes, not offsets, so only a Split may take from the middle.
struct ExtractSliceModel
    : PrunableOpInterface::ExternalModel<ExtractSliceModel,
                                         tensor::ExtractSliceOp> {
  void tieChannels(Operation *op, ChannelTies &ties) const {
    auto slice = cast<tensor::ExtractSliceOp>(op);
    Value source = slice.getSource(), result = slice.getResult();
    if (getRank(source) != getRank(result)) {
      ties.fix(source, "a slice");
      return ties.fix(result, "a slice");
    }
    for (int64_t axis = 0; axis < getRank(source); ++axis) {
      std::optional<int64_t> offset =
          getConstantIntValue(slice.getMixedOffsets()[axis]);
      int64_t from = getSize(source, axis), size = getSize(result, axis);
      bool isStatic = offset && !ShapedType::isDynamic(from) &&
                      !ShapedType::isDynamic(size) &&
                      getConstantIntValue(slice.getMixedStrides()[axis]) == 1;
      bool isWhole = isStatic && from == size;
      bool isEnd = isStatic && (*offset == 0 || *offset + size == from);
      StringRef node = getNode(op).type;
      if (isWhole || (isStatic && node == "Split") ||
          (isEnd && node == "Slice")) {
        ties.tieRange(source, axis, *offset, result, axis, 0, size);
        continue;
      }
      ties.fix(source, axis, "a slice");
      ties.fix(result, axis, "a slice");
    }
  }
};

} // namespace

template <typename... Ops>
static void attachLinalg(MLIRContext *context) {
  (Ops::template attachInterface<LinalgModel<Ops>>(*context), ...);
}

void tamis::registerPrunableModels(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, TamisDialect *) {
    ObserveOp::attachInterface<ObserveModel>(*context);
    ContractOp::attachInterface<ContractModel>(*context);
  });
  registry.addExtension(+[](MLIRContext *context, linalg::LinalgDialect *) {
    attachLinalg<linalg::GenericOp, linalg::MapOp, linalg::TransposeOp,
                 linalg::BroadcastOp, linalg::ReduceOp>(context);
  });
  registry.addExtension(+[](MLIRContext *context, tensor::TensorDialect *) {
    tensor::ExpandShapeOp::attachInterface<ExpandModel>(*context);
    tensor::CollapseShapeOp::attachInterface<CollapseModel>(*context);
    tensor::CastOp::attachInterface<CastModel>(*context);
    tensor::DimOp::attachInterface<DimModel>(*context);
    tensor::ConcatOp::attachInterface<ConcatModel>(*context);
    tensor::PadOp::attachInterface<PadModel>(*context);
    tensor::ExtractSliceOp::attachInterface<ExtractSliceModel>(*context);
  });
}
