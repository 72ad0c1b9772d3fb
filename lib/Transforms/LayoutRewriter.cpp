// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rewrites operations over moved values: one function per kind of operation
// that can work in any layout.
#include "LayoutRewriter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/ADT/TypeSwitch.h"

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

/// `map` as the reader of an operand in `layout`.
static AffineMap permuteMap(AffineMap map, ArrayRef<int64_t> layout) {
  SmallVector<AffineExpr> results = permute(map.getResults(), layout);
  return AffineMap::get(map.getNumDims(), 0, results, map.getContext());
}

/// A new order of loops: `order[i]` becomes loop i.
namespace {
struct LoopOrder {
  LoopOrder(ArrayRef<int64_t> order, MLIRContext *context)
      : order(order), position(order.size()), exprs(order.size()) {
    for (auto [to, from] : llvm::enumerate(order)) {
      position[from] = to;
      exprs[from] = getAffineDimExpr(to, context);
    }
  }
  AffineMap apply(AffineMap map) const {
    return map.replaceDimsAndSymbols(exprs, {}, map.getNumDims(), 0);
  }

  SmallVector<int64_t> order;
  SmallVector<unsigned> position;
  SmallVector<AffineExpr> exprs;
};
} // namespace

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

  /// The layout in which `op` reads `value` through `map`.
  Layout getOperandLayout(Operation *op, Value value, AffineMap map) {
    if (!isa<RankedTensorType>(value.getType()))
      return getIdentity(map.getNumResults());
    return DimensionLabels::isFree(value) ? labels.getLayout(op, map)
                                          : labels.getLayout(value);
  }

  bool rewrite(Operation *op);
  bool rewriteGeneric(linalg::GenericOp op);
  bool rewriteContract(ContractOp op);
  bool rewriteTranspose(linalg::TransposeOp op);
  bool rewriteCollapse(tensor::CollapseShapeOp op);
  bool rewriteExpand(tensor::ExpandShapeOp op);
  bool rewriteCast(tensor::CastOp op);
  bool rewritePad(tensor::PadOp op);
  bool rewriteConcat(tensor::ConcatOp op);
  bool rewriteExtract(tensor::ExtractSliceOp op);
  bool rewriteInsert(tensor::InsertSliceOp op);
  bool rewriteElement(tensor::ExtractOp op);
  bool rewriteDim(tensor::DimOp op);
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
          cast<TypedAttr>(
              splat.resizeSplat(permuteType(value.getType(), layout))));
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
    made =
        transpose(value.getLoc(), from.value, getRelative(from.layout, layout));
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

bool Rewriter::rewriteTranspose(linalg::TransposeOp op) {
  Value result = op->getResult(0);
  Layout layout = labels.getLayout(result);
  if (isIdentity(layout) && isIdentity(labels.getLayout(op.getInput())))
    return false;
  // The result's dimensions named by the input's.
  Layout from = permute(op.getPermutation(), layout);
  define(result, layout, fetch(op.getInput(), from));
  return true;
}

/// The dimensions of the expanded side for the collapsed ones in `layout`, and
/// the groups of the reshape between the two.
static std::pair<Layout, SmallVector<ReassociationIndices>>
expandLayout(ArrayRef<ReassociationIndices> groups, ArrayRef<int64_t> layout) {
  Layout expanded;
  SmallVector<ReassociationIndices> permuted;
  for (int64_t dim : layout) {
    permuted.emplace_back();
    for (int64_t part : groups[dim]) {
      permuted.back().push_back(expanded.size());
      expanded.push_back(part);
    }
  }
  return {expanded, permuted};
}

bool Rewriter::rewriteCollapse(tensor::CollapseShapeOp op) {
  Layout layout = labels.getLayout(op.getResult());
  if (isIdentity(layout))
    return false;
  auto [from, groups] = expandLayout(op.getReassociationIndices(), layout);
  Value source = fetch(op.getSrc(), from);
  b.setInsertionPoint(op);
  define(op.getResult(), layout,
         tensor::CollapseShapeOp::create(b, op.getLoc(),
                                         permuteType(op.getType(), layout),
                                         source, groups));
  return true;
}

bool Rewriter::rewriteExpand(tensor::ExpandShapeOp op) {
  Layout layout = labels.getLayout(op.getSrc());
  if (isIdentity(layout))
    return false;
  auto [to, groups] = expandLayout(op.getReassociationIndices(), layout);
  Value source = fetch(op.getSrc(), layout);
  SmallVector<OpFoldResult> sizes =
      getMixedValues(op.getStaticOutputShape(), op.getOutputShape(), b);
  b.setInsertionPoint(op);
  define(op.getResult(), to,
         tensor::ExpandShapeOp::create(
             b, op.getLoc(), permuteType(op.getType(), to), source, groups,
             permute<OpFoldResult>(sizes, to)));
  return true;
}

bool Rewriter::rewriteCast(tensor::CastOp op) {
  if (!isa<RankedTensorType>(op.getSource().getType()) ||
      !isa<RankedTensorType>(op.getType()))
    return false;
  Layout layout = labels.getLayout(op.getSource());
  if (isIdentity(layout))
    return false;
  Value source = fetch(op.getSource(), layout);
  b.setInsertionPoint(op);
  define(op.getResult(), layout,
         tensor::CastOp::create(b, op.getLoc(),
                                permuteType(op.getType(), layout), source));
  return true;
}

bool Rewriter::rewritePad(tensor::PadOp op) {
  Layout layout = labels.getLayout(op.getResult());
  if (isIdentity(layout) || !op.getConstantPaddingValue())
    return false;
  Value source = fetch(op.getSource(), layout);
  b.setInsertionPoint(op);
  auto padded = tensor::PadOp::create(
      b, op.getLoc(), permuteType(op.getType(), layout), source,
      permute<OpFoldResult>(op.getMixedLowPad(), layout),
      permute<OpFoldResult>(op.getMixedHighPad(), layout), op.getNofold());
  padded.getRegion().takeBody(op.getRegion());
  define(op.getResult(), layout, padded);
  return true;
}

bool Rewriter::rewriteConcat(tensor::ConcatOp op) {
  Layout layout = labels.getLayout(op.getResult());
  if (isIdentity(layout))
    return false;
  SmallVector<Value> inputs;
  for (Value input : op.getInputs())
    inputs.push_back(fetch(input, layout));
  int64_t dim = llvm::find(layout, op.getDim()) - layout.begin();
  b.setInsertionPoint(op);
  define(op.getResult(), layout,
         tensor::ConcatOp::create(
             b, op.getLoc(), permuteType(op.getType(), layout), dim, inputs));
  return true;
}

/// The layout of a slice whose `dropped` dimensions are left out.
static Layout dropDims(ArrayRef<int64_t> layout,
                       const llvm::SmallBitVector &dropped) {
  SmallVector<int64_t> index(layout.size());
  for (int64_t dim = 0, kept = 0; dim < static_cast<int64_t>(layout.size());
       ++dim)
    index[dim] = dropped[dim] ? -1 : kept++;
  Layout slice;
  for (int64_t dim : layout)
    if (!dropped[dim])
      slice.push_back(index[dim]);
  return slice;
}

bool Rewriter::rewriteExtract(tensor::ExtractSliceOp op) {
  Layout layout = labels.getLayout(op.getSource());
  if (isIdentity(layout))
    return false;
  Layout slice = dropDims(layout, op.getDroppedDims());
  Value source = fetch(op.getSource(), layout);
  b.setInsertionPoint(op);
  define(op.getResult(), slice,
         tensor::ExtractSliceOp::create(
             b, op.getLoc(), permuteType(op.getType(), slice), source,
             permute<OpFoldResult>(op.getMixedOffsets(), layout),
             permute<OpFoldResult>(op.getMixedSizes(), layout),
             permute<OpFoldResult>(op.getMixedStrides(), layout)));
  return true;
}

bool Rewriter::rewriteInsert(tensor::InsertSliceOp op) {
  Layout layout = labels.getLayout(op.getResult());
  if (isIdentity(layout))
    return false;
  Value source = fetch(op.getSource(), dropDims(layout, op.getDroppedDims()));
  Value dest = fetch(op.getDest(), layout);
  b.setInsertionPoint(op);
  define(op.getResult(), layout,
         tensor::InsertSliceOp::create(
             b, op.getLoc(), source, dest,
             permute<OpFoldResult>(op.getMixedOffsets(), layout),
             permute<OpFoldResult>(op.getMixedSizes(), layout),
             permute<OpFoldResult>(op.getMixedStrides(), layout)));
  return true;
}

/// Reads one element, possibly inside a body; done in place.
bool Rewriter::rewriteElement(tensor::ExtractOp op) {
  if (DimensionLabels::isFree(op.getTensor()))
    return false;
  Layout layout = labels.getLayout(op.getTensor());
  if (isIdentity(layout))
    return false;
  SmallVector<Value> indices(op.getIndices());
  op.getTensorMutable().assign(fetch(op.getTensor(), layout));
  op.getIndicesMutable().assign(permute<Value>(indices, layout));
  return true;
}

/// Asks whatever layout exists, so that a size keeps no transpose alive; done
/// in place.
bool Rewriter::rewriteDim(tensor::DimOp op) {
  std::optional<int64_t> dim = op.getConstantIndex();
  auto known = versions.find(op.getSource());
  if (!dim || known == versions.end() || known->second.empty())
    return false;
  const Version &version = known->second.front();
  if (isIdentity(version.layout))
    return false;
  b.setInsertionPoint(op);
  int64_t at = llvm::find(version.layout, *dim) - version.layout.begin();
  op.getSourceMutable().assign(version.value);
  op.getIndexMutable().assign(
      arith::ConstantIndexOp::create(b, op.getLoc(), at));
  return true;
}

bool Rewriter::rewriteGeneric(linalg::GenericOp op) {
  SmallVector<Layout> layouts;
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  for (auto [operand, map] : llvm::zip_equal(op->getOperands(), maps))
    layouts.push_back(getOperandLayout(op, operand, map));
  // A destination is what its result becomes.
  for (OpResult result : op->getResults())
    layouts[op.getNumDpsInputs() + result.getResultNumber()] =
        labels.getLayout(result);
  if (llvm::all_of(layouts, [](auto &layout) { return isIdentity(layout); }))
    return false;

  for (auto [map, layout] : llvm::zip_equal(maps, layouts))
    map = permuteMap(map, layout);
  auto iterators = op.getIteratorTypesArray();
  LoopOrder order(orderLoops(maps[op.getNumDpsInputs()], maps, iterators),
                  b.getContext());
  for (AffineMap &map : maps)
    map = order.apply(map);

  SmallVector<Value> operands;
  for (auto [operand, layout] : llvm::zip_equal(op->getOperands(), layouts))
    operands.push_back(isa<RankedTensorType>(operand.getType())
                           ? fetch(operand, layout)
                           : operand);
  auto inits = ArrayRef<Value>(operands).drop_front(op.getNumDpsInputs());
  b.setInsertionPoint(op);
  auto moved = linalg::GenericOp::create(
      b, op.getLoc(), TypeRange(ValueRange(inits)),
      ArrayRef<Value>(operands).take_front(op.getNumDpsInputs()), inits, maps,
      permute<utils::IteratorType>(iterators, order.order));
  moved->setDiscardableAttrs(
      llvm::to_vector(op->getDiscardableAttrDictionary()));
  moved.getRegion().takeBody(op.getRegion());
  moved.walk([&](linalg::IndexOp index) {
    index.setDim(order.position[index.getDim()]);
  });
  for (auto [old, value] :
       llvm::zip_equal(op->getResults(), moved->getResults()))
    define(old, labels.getLayout(old), value);
  return true;
}

bool Rewriter::rewriteContract(ContractOp op) {
  if (!DimensionLabels::isConvolution(op))
    return false;
  Layout lhsLayout = getOperandLayout(op, op.getLhs(), op.getLhsMap());
  Layout outLayout = labels.getLayout(op.getResult());
  if (isIdentity(lhsLayout) && isIdentity(outLayout))
    return false;
  SmallVector<AffineMap> maps;
  for (Attribute map : op.getIndexingMaps())
    maps.push_back(cast<AffineMapAttr>(map).getValue());
  SmallVector<Value> extras;
  for (auto [i, extra] : llvm::enumerate(op.getExtras())) {
    Layout layout = getOperandLayout(op, extra, maps[3 + i]);
    maps[3 + i] = permuteMap(maps[3 + i], layout);
    extras.push_back(
        isa<RankedTensorType>(extra.getType()) ? fetch(extra, layout) : extra);
  }
  maps[0] = permuteMap(maps[0], lhsLayout);
  maps[2] = permuteMap(maps[2], outLayout);
  LoopOrder order(orderLoops(maps[2], {maps[0], maps[1]}, op.getIterators()),
                  b.getContext());
  for (AffineMap &map : maps)
    map = order.apply(map);
  SmallVector<Attribute> iterators =
      permute(op.getIteratorTypes().getValue(), order.order);
  Value lhsValue = fetch(op.getLhs(), lhsLayout);
  Value rhsValue = fetchOriginal(op.getRhs());
  Value init = fetch(op.getInit(), outLayout);
  b.setInsertionPoint(op);
  auto moved = ContractOp::create(
      b, op.getLoc(), init.getType(), lhsValue, rhsValue, op.getLhsZero(),
      op.getRhsZero(), extras, init, b.getAffineMapArrayAttr(maps),
      b.getArrayAttr(iterators),
      b.getDenseI64ArrayAttr(permute<int64_t>(op.getPad(), lhsLayout)),
      op.getAccumulatorAttr(), op.getLhsUnsignedAttr(), op.getRhsUnsignedAttr(),
      op.getOriginAttr());
  moved->setDiscardableAttrs(
      llvm::to_vector(op->getDiscardableAttrDictionary()));
  moved.getEpilogue().takeBody(op.getEpilogue());
  define(op.getResult(), outLayout, moved.getResult());
  return true;
}

bool Rewriter::rewrite(Operation *op) {
  // These change in place.
  if (auto element = dyn_cast<tensor::ExtractOp>(op))
    return rewriteElement(element);
  if (auto dim = dyn_cast<tensor::DimOp>(op))
    return rewriteDim(dim);
  bool moved =
      llvm::TypeSwitch<Operation *, bool>(op)
          .Case([&](linalg::GenericOp op) { return rewriteGeneric(op); })
          .Case([&](ContractOp op) { return rewriteContract(op); })
          .Case([&](linalg::TransposeOp op) { return rewriteTranspose(op); })
          .Case([&](tensor::CollapseShapeOp op) { return rewriteCollapse(op); })
          .Case([&](tensor::ExpandShapeOp op) { return rewriteExpand(op); })
          .Case([&](tensor::CastOp op) { return rewriteCast(op); })
          .Case([&](tensor::PadOp op) { return rewritePad(op); })
          .Case([&](tensor::ConcatOp op) { return rewriteConcat(op); })
          .Case([&](tensor::ExtractSliceOp op) { return rewriteExtract(op); })
          .Case([&](tensor::InsertSliceOp op) { return rewriteInsert(op); })
          .Default([](Operation *) { return false; });
  if (moved) {
    dead.push_back(op);
    ++changed;
  }
  return moved;
}

int64_t Rewriter::run() {
  SmallVector<Operation *> ops;
  func.walk<WalkOrder::PreOrder>([&](Operation *op) { ops.push_back(op); });
  for (Operation *op : ops)
    if (!rewrite(op))
      keep(op);
  for (Operation *op : llvm::reverse(dead))
    op->erase();
  return changed;
}

int64_t tamis::rewriteLayouts(func::FuncOp func, DimensionLabels &labels) {
  return Rewriter(func, labels).run();
}
