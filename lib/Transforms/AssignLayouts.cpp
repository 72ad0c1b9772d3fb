// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Channels-last activations. A convolution wants the channel contiguous (its
// reduction and its output vector), the model has it second; moving it per
// convolution would copy every activation twice. So the decision is taken for
// chains (DimensionLabels), and every operation that can work in any layout
// is rewritten in place: transposes remain only where a chain begins or ends.
#include "DimensionLabels.h"
#include "tamis/Transforms/Passes.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/TypeSwitch.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_ASSIGNLAYOUTS
#include "tamis/Transforms/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

using Layout = SmallVector<int64_t>;

static bool isIdentity(ArrayRef<int64_t> layout) {
  return isIdentityPermutation(layout);
}

static Layout getIdentity(int64_t rank) {
  return llvm::to_vector(llvm::seq<int64_t>(0, rank));
}

template <typename T>
static SmallVector<T> permute(ArrayRef<T> values, ArrayRef<int64_t> layout) {
  return applyPermutation(values, layout);
}

static RankedTensorType permuteType(Type type, ArrayRef<int64_t> layout) {
  auto tensor = cast<RankedTensorType>(type);
  return RankedTensorType::get(permute(tensor.getShape(), layout),
                               tensor.getElementType(), tensor.getEncoding());
}

/// The permutation that brings a value from layout `from` to layout `to`.
static Layout getRelative(ArrayRef<int64_t> from, ArrayRef<int64_t> to) {
  Layout relative;
  for (int64_t dim : to)
    relative.push_back(llvm::find(from, dim) - from.begin());
  return relative;
}

/// `map` as the reader of an operand in `layout`, over reordered loops.
static AffineMap permuteMap(AffineMap map, ArrayRef<int64_t> layout,
                            ArrayRef<AffineExpr> loops) {
  SmallVector<AffineExpr> results = permute(map.getResults(), layout);
  return AffineMap::get(map.getNumDims(), 0, results, map.getContext())
      .replaceDimsAndSymbols(loops, {}, map.getNumDims(), 0);
}

namespace {
/// Rewrites one function. Every value of the old program may exist in several
/// layouts; each is made at most once, right behind the definition.
class Rewriter {
public:
  Rewriter(func::FuncOp func, DimensionLabels &labels)
      : func(func), labels(labels), b(func.getContext()) {}

  int64_t run();

private:
  struct Version {
    Layout layout;
    Value value;
  };

  Value fetch(Value value, ArrayRef<int64_t> layout);
  Value fetchOriginal(Value value) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    return type ? fetch(value, getIdentity(type.getRank())) : value;
  }
  Value makeFree(Value value, ArrayRef<int64_t> layout);
  Value transpose(Location loc, Value value, ArrayRef<int64_t> permutation);
  void define(Value old, ArrayRef<int64_t> layout, Value value) {
    versions[old].push_back({Layout(layout), value});
  }
  void keep(Operation *op);

  bool rewrite(Operation *op);
  bool rewriteGeneric(linalg::GenericOp op);
  bool rewriteContract(ContractOp op);
  bool rewriteTranspose(linalg::TransposeOp op);
  bool rewriteReshape(Operation *op, Value expanded, Value collapsed,
                      ArrayRef<ReassociationIndices> groups);
  bool rewritePad(tensor::PadOp op);
  bool rewriteConcat(tensor::ConcatOp op);
  bool rewriteExtract(tensor::ExtractSliceOp op);
  bool rewriteInsert(tensor::InsertSliceOp op);
  void rewriteElement(tensor::ExtractOp op);
  SmallVector<int64_t> orderLoops(AffineMap out, ArrayRef<AffineMap> maps,
                                  ArrayRef<utils::IteratorType> iterators);

  func::FuncOp func;
  DimensionLabels &labels;
  OpBuilder b;
  llvm::DenseMap<Value, SmallVector<Version>> versions;
  SmallVector<Operation *> dead;
  int64_t changed = 0;
};
} // namespace

/// Permutes the dimensions of `value`. A permutation that moves only unit
/// dimensions is a reshape, which costs nothing.
Value Rewriter::transpose(Location loc, Value value,
                          ArrayRef<int64_t> permutation) {
  if (isIdentity(permutation))
    return value;
  auto type = cast<RankedTensorType>(value.getType());
  auto result = permuteType(type, permutation);
  SmallVector<int64_t> moved;
  for (int64_t dim : permutation)
    if (type.getDimSize(dim) != 1)
      moved.push_back(dim);
  if (llvm::is_sorted(moved) && !moved.empty() && type.hasStaticShape()) {
    SmallVector<int64_t> shape;
    for (int64_t dim : moved)
      shape.push_back(type.getDimSize(dim));
    auto narrow = RankedTensorType::get(shape, type.getElementType());
    auto group = [](ArrayRef<int64_t> shape) {
      SmallVector<ReassociationIndices> groups(1);
      bool full = false;
      for (auto [i, size] : llvm::enumerate(shape)) {
        if (full && size != 1) {
          groups.emplace_back();
          full = false;
        }
        groups.back().push_back(i);
        full |= size != 1;
      }
      return groups;
    };
    value = tensor::CollapseShapeOp::create(b, loc, narrow, value,
                                            group(type.getShape()));
    return tensor::ExpandShapeOp::create(b, loc, result, value,
                                         group(result.getShape()));
  }
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, value);
  Value init = tensor::EmptyOp::create(
      b, loc, permute<OpFoldResult>(sizes, permutation), type.getElementType());
  return linalg::TransposeOp::create(b, loc, value, init, permutation)
      ->getResult(0);
}

/// Makes a free value again in another layout.
Value Rewriter::makeFree(Value value, ArrayRef<int64_t> layout) {
  Operation *op = value.getDefiningOp();
  Location loc = op->getLoc();
  b.setInsertionPointAfter(op);
  if (auto empty = dyn_cast<tensor::EmptyOp>(op))
    return tensor::EmptyOp::create(
        b, loc, permute<OpFoldResult>(empty.getMixedSizes(), layout),
        empty.getType().getElementType());
  if (auto fill = dyn_cast<linalg::FillOp>(op)) {
    Value init = fetch(fill.getOutputs()[0], layout);
    b.setInsertionPointAfter(op);
    return linalg::FillOp::create(b, loc, fill.getInputs()[0], init)
        .getResult(0);
  }
  if (auto constant = dyn_cast<arith::ConstantOp>(op))
    if (auto splat = dyn_cast<SplatElementsAttr>(constant.getValue()))
      return arith::ConstantOp::create(
          b, loc,
          cast<TypedAttr>(splat.resizeSplat(
              permuteType(value.getType(), layout))));
  return transpose(loc, value, layout);
}

Value Rewriter::fetch(Value value, ArrayRef<int64_t> layout) {
  SmallVector<Version> &known = versions[value];
  // What is not known yet is as it was.
  if (known.empty())
    known.push_back({getIdentity(layout.size()), value});
  for (const Version &version : known)
    if (version.layout == layout)
      return version.value;
  OpBuilder::InsertionGuard guard(b);
  Value made;
  if (DimensionLabels::isFree(value)) {
    made = makeFree(value, layout);
  } else {
    Version from = known.front();
    b.setInsertionPointAfterValue(from.value);
    made = transpose(value.getLoc(), from.value,
                     getRelative(from.layout, layout));
  }
  define(value, layout, made);
  return made;
}

/// Leaves `op` as it is, with its operands in the layout they had.
void Rewriter::keep(Operation *op) {
  for (OpOperand &operand : op->getOpOperands())
    operand.set(fetchOriginal(operand.get()));
}

/// Parallel loops in the order of the output, so that the innermost one is
/// contiguous there, then the others in the order the first input reads them.
SmallVector<int64_t>
Rewriter::orderLoops(AffineMap out, ArrayRef<AffineMap> maps,
                     ArrayRef<utils::IteratorType> iterators) {
  llvm::SetVector<int64_t> order;
  for (AffineExpr expr : out.getResults())
    if (auto dim = dyn_cast<AffineDimExpr>(expr))
      order.insert(dim.getPosition());
  for (auto kind :
       {utils::IteratorType::parallel, utils::IteratorType::reduction})
    for (AffineMap map : maps)
      for (AffineExpr expr : map.getResults())
        for (unsigned loop = 0; loop < iterators.size(); ++loop)
          if (iterators[loop] == kind && expr.isFunctionOfDim(loop))
            order.insert(loop);
  for (unsigned loop = 0; loop < iterators.size(); ++loop)
    order.insert(loop);
  return SmallVector<int64_t>(order.getArrayRef());
}

bool Rewriter::rewriteGeneric(linalg::GenericOp op) {
  SmallVector<Layout> layouts;
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  for (auto [operand, map] : llvm::zip_equal(op->getOperands(), maps)) {
    if (!isa<RankedTensorType>(operand.getType()))
      layouts.push_back(getIdentity(map.getNumResults()));
    else if (DimensionLabels::isFree(operand))
      layouts.push_back(labels.getLayout(op, map));
    else
      layouts.push_back(labels.getLayout(operand));
  }
  // A destination is what its result becomes.
  for (OpResult result : op->getResults())
    layouts[op.getNumDpsInputs() + result.getResultNumber()] =
        labels.getLayout(result);
  if (llvm::all_of(layouts, [](auto &layout) { return isIdentity(layout); }))
    return false;

  SmallVector<AffineMap> permuted;
  auto plain = getAffineSymbolExprs(0, b.getContext());
  (void)plain;
  for (auto [map, layout] : llvm::zip_equal(maps, layouts)) {
    SmallVector<AffineExpr> results = permute(map.getResults(), layout);
    permuted.push_back(
        AffineMap::get(map.getNumDims(), 0, results, b.getContext()));
  }
  auto iterators = op.getIteratorTypesArray();
  SmallVector<int64_t> order = orderLoops(
      permuted[op.getNumDpsInputs()], permuted, iterators);
  SmallVector<AffineExpr> loops(order.size());
  SmallVector<unsigned> position(order.size());
  for (auto [to, from] : llvm::enumerate(order)) {
    loops[from] = b.getAffineDimExpr(to);
    position[from] = to;
  }
  for (AffineMap &map : permuted)
    map = map.replaceDimsAndSymbols(loops, {}, map.getNumDims(), 0);

  SmallVector<Value> operands;
  for (auto [operand, layout] : llvm::zip_equal(op->getOperands(), layouts))
    operands.push_back(isa<RankedTensorType>(operand.getType())
                           ? fetch(operand, layout)
                           : operand);
  auto inits = ArrayRef<Value>(operands).drop_front(op.getNumDpsInputs());
  b.setInsertionPoint(op);
  auto moved = linalg::GenericOp::create(
      b, op.getLoc(), TypeRange(ValueRange(inits)),
      ArrayRef<Value>(operands).take_front(op.getNumDpsInputs()), inits,
      permuted, permute<utils::IteratorType>(iterators, order));
  moved->setDiscardableAttrs(
      llvm::to_vector(op->getDiscardableAttrDictionary()));
  moved.getRegion().takeBody(op.getRegion());
  moved.walk([&](linalg::IndexOp index) {
    index.setDim(position[index.getDim()]);
  });
  for (auto [old, value] : llvm::zip_equal(op->getResults(), moved->getResults()))
    define(old, labels.getLayout(old), value);
  return true;
}

bool Rewriter::rewriteContract(ContractOp op) {
  if (!DimensionLabels::isConvolution(op))
    return false;
  Layout lhsLayout = DimensionLabels::isFree(op.getLhs())
                         ? labels.getLayout(op, op.getLhsMap())
                         : labels.getLayout(op.getLhs());
  Layout outLayout = labels.getLayout(op.getResult());
  if (isIdentity(lhsLayout) && isIdentity(outLayout))
    return false;
  SmallVector<AffineMap> maps;
  for (Attribute map : op.getIndexingMaps())
    maps.push_back(cast<AffineMapAttr>(map).getValue());
  auto identity = getAffineDimExprsOf(op);
  AffineMap lhs = permuteMap(maps[0], lhsLayout, identity);
  AffineMap out = permuteMap(maps[2], outLayout, identity);
  SmallVector<int64_t> order = orderLoops(out, {lhs, maps[1]}, op.getIterators());
  SmallVector<AffineExpr> loops(order.size());
  SmallVector<Attribute> iterators;
  for (auto [to, from] : llvm::enumerate(order)) {
    loops[from] = b.getAffineDimExpr(to);
    iterators.push_back(op.getIteratorTypes()[from]);
  }
  auto renumber = [&](AffineMap map) {
    return map.replaceDimsAndSymbols(loops, {}, map.getNumDims(), 0);
  };
  SmallVector<AffineMap> renumbered = {renumber(lhs), renumber(maps[1]),
                                       renumber(out)};
  SmallVector<Value> extras;
  for (auto [i, extra] : llvm::enumerate(op.getExtras())) {
    if (!isa<RankedTensorType>(extra.getType())) {
      extras.push_back(extra);
      renumbered.push_back(renumber(maps[3 + i]));
      continue;
    }
    Layout layout = DimensionLabels::isFree(extra)
                        ? labels.getLayout(op, maps[3 + i])
                        : labels.getLayout(extra);
    extras.push_back(fetch(extra, layout));
    renumbered.push_back(permuteMap(maps[3 + i], layout, loops));
  }
  Value lhsValue = fetch(op.getLhs(), lhsLayout);
  Value rhsValue = fetchOriginal(op.getRhs());
  Value init = fetch(op.getInit(), outLayout);
  b.setInsertionPoint(op);
  auto moved = ContractOp::create(
      b, op.getLoc(), init.getType(), lhsValue, rhsValue, op.getLhsZero(),
      op.getRhsZero(), extras, init, b.getAffineMapArrayAttr(renumbered),
      b.getArrayAttr(iterators),
      b.getDenseI64ArrayAttr(permute<int64_t>(op.getPad(), lhsLayout)),
      op.getAccumulatorAttr(), op.getLhsUnsignedAttr(),
      op.getRhsUnsignedAttr(), op.getOriginAttr());
  moved->setDiscardableAttrs(
      llvm::to_vector(op->getDiscardableAttrDictionary()));
  moved.getEpilogue().takeBody(op.getEpilogue());
  define(op.getResult(), outLayout, moved.getResult());
  return true;
}
