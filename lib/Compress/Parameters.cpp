// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Finds, reads and writes the parameters that contractions multiply with.
#include "tamis/Compress/Parameters.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"
#include "tamis/Transforms/ConstantTensor.h"
#include <cstring>

using namespace mlir;
using namespace mlir::tamis;

namespace {
/// What the elements along an axis are to a contraction: its output channels or
/// what it reduces or has beside them.
enum class Role { None, Output, Other, Mixed };
} // namespace

static RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// The roles of the axes that a reshape splits into those with `roles`. An axis
/// of extent one says nothing about the others.
static SmallVector<Role> mergeRoles(ArrayRef<Role> roles,
                                    ArrayRef<int64_t> shape,
                                    ArrayRef<ReassociationIndices> groups) {
  SmallVector<Role> merged;
  for (const ReassociationIndices &group : groups) {
    Role role = Role::None, unit = Role::None;
    for (int64_t axis : group) {
      Role &at = shape[axis] == 1 ? unit : role;
      if (roles[axis] != Role::None)
        at = at == Role::None || at == roles[axis] ? roles[axis] : Role::Mixed;
    }
    merged.push_back(role == Role::None ? unit : role);
  }
  return merged;
}

/// The roles of the axes that a reshape merges into those with `roles`.
static SmallVector<Role> splitRoles(ArrayRef<Role> roles,
                                    ArrayRef<int64_t> shape,
                                    ArrayRef<ReassociationIndices> groups) {
  SmallVector<Role> split(shape.size(), Role::None);
  for (auto [role, group] : llvm::zip_equal(roles, groups)) {
    bool allUnit =
        llvm::all_of(group, [&](int64_t axis) { return shape[axis] == 1; });
    for (int64_t axis : group)
      if (shape[axis] != 1 || (allUnit && axis == group.front()))
        split[axis] = role;
  }
  return split;
}

std::optional<WeightUse> tamis::findWeight(ContractOp op) {
  Value value = op.getRhs();
  if (!isa<RankedTensorType>(value.getType()))
    return std::nullopt;
  auto iterators = op.getIterators();
  SmallVector<Role> roles;
  for (AffineExpr expr : op.getRhsMap().getResults())
    roles.push_back(iterators[cast<AffineDimExpr>(expr).getPosition()] ==
                            utils::IteratorType::reduction
                        ? Role::Other
                        : Role::Output);
  while (Operation *source = value.getDefiningOp()) {
    if (auto observe = dyn_cast<ObserveOp>(source)) {
      if (!observe.getParameter()) {
        value = observe.getInput();
        continue;
      }
      WeightUse use;
      use.contract = op;
      use.observe = observe;
      if (auto load =
              observe.getInput().getDefiningOp<ml_program::GlobalLoadConstOp>())
        use.global = SymbolTable::lookupNearestSymbolFrom<ml_program::GlobalOp>(
            load, load.getGlobal());
      else if (!matchPattern(observe.getInput(), m_Constant()))
        return std::nullopt;
      for (auto [axis, role] : llvm::enumerate(roles))
        if (role == Role::Output)
          use.outputAxes.push_back(axis);
        else if (role == Role::Other)
          use.reductionAxes.push_back(axis);
      return use;
    }
    if (auto transpose = dyn_cast<linalg::TransposeOp>(source)) {
      SmallVector<Role> before(roles.size());
      for (auto [to, from] : llvm::enumerate(transpose.getPermutation()))
        before[from] = roles[to];
      roles = before;
      value = transpose.getInput();
    } else if (auto expand = dyn_cast<tensor::ExpandShapeOp>(source)) {
      roles = mergeRoles(roles, typeOf(value).getShape(),
                         expand.getReassociationIndices());
      value = expand.getSrc();
    } else if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(source)) {
      value = collapse.getSrc();
      roles = splitRoles(roles, typeOf(value).getShape(),
                         collapse.getReassociationIndices());
    } else if (auto cast = dyn_cast<tensor::CastOp>(source)) {
      value = cast.getSource();
      if (!isa<RankedTensorType>(value.getType()))
        return std::nullopt;
    } else {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

ObserveOp tamis::findObserved(Value value) {
  while (Operation *source = value.getDefiningOp()) {
    if (auto observe = dyn_cast<ObserveOp>(source))
      return observe;
    if (!isa<ObserveOp, linalg::TransposeOp, tensor::ExpandShapeOp,
             tensor::CollapseShapeOp, tensor::CastOp, tensor::PadOp,
             tensor::ReshapeOp, QuantizeOp, DequantizeOp>(source))
      return nullptr;
    value = source->getOperand(0);
  }
  return nullptr;
}

ObserveOp tamis::findInput(ContractOp op) { return findObserved(op.getLhs()); }

bool tamis::hasLeftWeight(ContractOp op) {
  ObserveOp first = findInput(op), second = findObserved(op.getRhs());
  return first && first.getParameter() && !(second && second.getParameter());
}

namespace {
/// What an elementwise generic adds to a value, and how it indexes both.
struct Addend {
  Value value;
  AffineMap map, otherMap;
};
} // namespace

static std::optional<Addend> getAddend(linalg::GenericOp op, Value x) {
  if (op.getNumParallelLoops() != op.getNumLoops() || op.getNumDpsInits() != 1)
    return std::nullopt;
  for (Operation &inner : op.getBody()->without_terminator()) {
    if (!isa<arith::AddFOp>(inner))
      continue;
    OpOperand *sides[2] = {};
    for (unsigned i : {0u, 1u})
      if (auto argument = dyn_cast<BlockArgument>(inner.getOperand(i));
          argument && argument.getOwner() == op.getBody())
        sides[i] = op.getMatchingOpOperand(argument);
    for (unsigned i : {0u, 1u})
      if (sides[i] && sides[1 - i] && sides[i]->get() == x)
        return Addend{sides[1 - i]->get(),
                      op.getMatchingIndexingMap(sides[1 - i]),
                      op.getMatchingIndexingMap(sides[i])};
  }
  return std::nullopt;
}

/// Which axes of a result are a contraction's output channels.
static SmallVector<Role> getResultRoles(ContractOp op) {
  return llvm::map_to_vector(op.getOutMap().getResults(), [&](AffineExpr expr) {
    auto dim = dyn_cast<AffineDimExpr>(expr);
    return dim && op.getRhsMap().isFunctionOfDim(dim.getPosition())
               ? Role::Output
               : Role::Other;
  });
}

bool tamis::isReadOnce(Value value) {
  while (value.hasOneUse()) {
    Operation *user = *value.getUsers().begin();
    if (!isa<ObserveOp, linalg::TransposeOp, tensor::ExpandShapeOp,
             tensor::CollapseShapeOp, tensor::CastOp>(user))
      return true;
    value = user->getResult(0);
  }
  return false;
}

ObserveOp tamis::findBias(ContractOp op) {
  Value result = op.getResult();
  SmallVector<Role> roles = getResultRoles(op);
  // A model may add it in a node of its own.
  while (result && result.hasOneUse()) {
    Operation *user = *result.getUsers().begin();
    if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(user))
      roles = mergeRoles(roles, typeOf(result).getShape(),
                         collapse.getReassociationIndices());
    if (auto expand = dyn_cast<tensor::ExpandShapeOp>(user))
      roles = splitRoles(roles, expand.getType().getShape(),
                         expand.getReassociationIndices());
    if (isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp, ObserveOp>(user)) {
      result = user->getResult(0);
      continue;
    }
    auto generic = dyn_cast<linalg::GenericOp>(user);
    if (!generic)
      return nullptr;
    std::optional<Addend> addend = getAddend(generic, result);
    if (!addend || addend->map.getNumResults() == 0)
      return nullptr;
    ObserveOp observe = findObserved(addend->value);
    if (!observe || !observe.getParameter() ||
        !typeOf(addend->value).hasStaticShape())
      return nullptr;
    // [1, n] added to rows is a vector too, [n, 1] is none of channels.
    int64_t numWide = 0;
    for (auto [size, expr] : llvm::zip_equal(typeOf(addend->value).getShape(),
                                             addend->map.getResults())) {
      if (size == 1)
        continue;
      auto axis = addend->otherMap.getResultPosition(expr);
      if (++numWide > 1 || !axis || roles[*axis] != Role::Output)
        return nullptr;
    }
    return observe;
  }
  return nullptr;
}

Operation *tamis::getRowReader(OpOperand &use) {
  auto extract = dyn_cast<tensor::ExtractOp>(use.getOwner());
  auto generic =
      extract ? extract->getParentOfType<linalg::GenericOp>() : nullptr;
  if (!generic || extract.getIndices().size() < 2)
    return nullptr;
  auto isLoop = [](Value index) {
    return index.getDefiningOp<linalg::IndexOp>() != nullptr;
  };
  bool isRow = !isLoop(extract.getIndices().front()) &&
               llvm::all_of(extract.getIndices().drop_front(), isLoop);
  return isRow ? generic : nullptr;
}

FailureOr<std::vector<float>> tamis::readParameter(ObserveOp observe) {
  auto module = observe->getParentOfType<ModuleOp>();
  SymbolTable symbols(module);
  std::optional<ConstantTensor> constant =
      getConstantTensor(observe.getInput(), symbols);
  if (!constant || !constant->type.getElementType().isF32())
    return observe.emitError("tensor '")
           << observe.getTensor() << "' is not a float32 constant";
  std::vector<float> values(constant->type.getNumElements());
  if (constant->splat) {
    float value;
    std::memcpy(&value, constant->bytes.data(), sizeof(float));
    std::fill(values.begin(), values.end(), value);
  } else if (!values.empty()) {
    std::memcpy(values.data(), constant->bytes.data(),
                values.size() * sizeof(float));
  }
  return values;
}

void tamis::writeParameter(ObserveOp observe, ArrayRef<float> values) {
  auto type = typeOf(observe.getInput());
  OpBuilder b(observe);
  observe->setAttr(kChangedAttr, b.getUnitAttr());
  auto load = observe.getInput().getDefiningOp<ml_program::GlobalLoadConstOp>();
  if (!load) {
    observe.getInputMutable().assign(arith::ConstantOp::create(
        b, observe.getLoc(), DenseElementsAttr::get(type, values)));
    return;
  }
  auto global = SymbolTable::lookupNearestSymbolFrom<ml_program::GlobalOp>(
      load, load.getGlobal());
  ArrayRef<char> bytes(reinterpret_cast<const char *>(values.data()),
                       values.size() * sizeof(float));
  AsmResourceBlob blob = HeapAsmResourceBlob::allocateAndCopyWithAlign(
      bytes, 64, /*dataIsMutable=*/false);
  // What an earlier call has put there is this global's own.
  auto resource =
      dyn_cast_if_present<DenseResourceElementsAttr>(global.getValueAttr());
  if (resource && global->hasAttr(kChangedAttr)) {
    resource.getRawHandle().getResource()->setBlob(std::move(blob));
    return;
  }
  global.setValueAttr(DenseResourceElementsAttr::get(type, global.getSymName(),
                                                     std::move(blob)));
  global->setAttr(kChangedAttr, b.getUnitAttr());
}

void tamis::writeStatistic(ObserveOp observe, StringRef kind,
                           RankedTensorType type, ArrayRef<char> bytes) {
  constexpr size_t large = 1 << 16;
  NamedAttrList entries(observe.getStatisticsAttr());
  if (bytes.size() < large) {
    entries.set(kind, DenseElementsAttr::getFromRawBuffer(type, bytes));
  } else {
    AsmResourceBlob blob = HeapAsmResourceBlob::allocateAndCopyWithAlign(
        bytes, 64, /*dataIsMutable=*/false);
    auto old =
        dyn_cast_if_present<DenseResourceElementsAttr>(entries.get(kind));
    if (old && old.getType() == type)
      return old.getRawHandle().getResource()->setBlob(std::move(blob));
    entries.set(kind,
                DenseResourceElementsAttr::get(type, kind, std::move(blob)));
  }
  observe.setStatisticsAttr(entries.getDictionary(observe.getContext()));
}
