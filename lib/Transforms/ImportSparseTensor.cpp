// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Upstream sparse tensors at the door: constants whose type says in which
// storage they lie become dense ones. Which zeros leave, and how, is decided
// much later, for the machine (--tamis-select-storage). Past this pass nothing
// knows sparse encodings.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/SparseTensor/IR/SparseTensor.h"
#include "mlir/Dialect/SparseTensor/IR/SparseTensorType.h"
#include "mlir/IR/Matchers.h"
#include "tamis/Transforms/Passes.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_IMPORTSPARSETENSOR
#include "tamis/Transforms/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

static bool isSparse(Type type) {
  return bool(sparse_tensor::getSparseTensorEncoding(type));
}

/// The type without its encoding.
static Type getDense(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || !isSparse(type))
    return type;
  return RankedTensorType::get(tensor.getShape(), tensor.getElementType());
}

/// The same elements as a dense constant.
static ElementsAttr getDense(ElementsAttr value) {
  auto type = cast<ShapedType>(getDense(value.getType()));
  if (auto dense = dyn_cast<DenseElementsAttr>(value))
    return dense.reshape(type);
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(value))
    return DenseResourceElementsAttr::get(type, resource.getRawHandle());
  return DenseElementsAttr::get(type,
                                llvm::to_vector(value.getValues<Attribute>()));
}

namespace {
/// Puts the stored elements of sparse_tensor.assemble back to their places:
/// levels from outside in, as their formats describe them.
class Assembler {
public:
  explicit Assembler(sparse_tensor::AssembleOp op)
      : op(op), type(cast<RankedTensorType>(op.getResult().getType())),
        encoding(sparse_tensor::getSparseTensorEncoding(type)) {}

  /// The dense constant; failure, with an error, for arrays that do not
  /// describe one.
  FailureOr<DenseElementsAttr> assemble() {
    DenseElementsAttr stored;
    if (!matchPattern(op.getValues(), m_Constant(&stored)))
      return op.emitOpError("values expected to be constant");
    for (auto [i, array] : llvm::enumerate(op.getLevels())) {
      DenseElementsAttr attribute;
      if (!matchPattern(array, m_Constant(&attribute)))
        return op.emitOpError("array #") << i << " expected to be constant";
      std::vector<int64_t> &level = arrays.emplace_back();
      for (const APInt &value : attribute.getValues<APInt>())
        level.push_back(value.getSExtValue());
    }
    values = llvm::to_vector(stored.getValues<Attribute>());
    Attribute zero =
        Builder(op.getContext()).getZeroAttr(type.getElementType());
    elements.assign(type.getNumElements(), zero);
    levelSizes = sparse_tensor::SparseTensorType(type).getLvlShape();
    coordinates.resize(levelSizes.size());
    if (failed(walk(0, 0, 0)))
      return failure();
    return DenseElementsAttr::get(cast<ShapedType>(getDense(type)), elements);
  }

private:
  /// Visits what lies under entry `parent` of the level before `level`, whose
  /// arrays begin at `array`.
  LogicalResult walk(size_t level, int64_t parent, size_t array) {
    if (level == levelSizes.size())
      return store(parent);
    auto format = encoding.getLvlType(level);
    int64_t size = levelSizes[level];
    if (sparse_tensor::isDenseLT(format)) {
      for (int64_t i = 0; i < size; ++i)
        if (failed(enter(level, i, parent * size + i, array)))
          return failure();
      return success();
    }
    bool isCompressed = sparse_tensor::isCompressedLT(format);
    bool isStructured = sparse_tensor::isNOutOfMLT(format);
    if (!isCompressed && !isStructured && !sparse_tensor::isSingletonLT(format))
      return op.emitOpError("level ")
             << level
             << ": expected dense, compressed, singleton or structured";
    int64_t first = parent, last = parent + 1;
    if (isStructured) {
      first = parent * sparse_tensor::getN(format);
      last = first + sparse_tensor::getN(format);
    }
    if (isCompressed) {
      FailureOr<int64_t> begin = read(array, parent),
                         end = read(array, parent + 1);
      if (failed(begin) || failed(end))
        return failure();
      first = *begin;
      last = *end;
      if (first < 0 || last < first)
        return op.emitOpError("array #")
               << array << ": expected positions that do not fall, got "
               << first << " and " << last;
      ++array;
    }
    // Levels of one coordinate array: it has a column for each of them.
    auto [stride, offset] = getColumns(level);
    for (int64_t entry = first; entry < last; ++entry) {
      FailureOr<int64_t> at = read(array, entry * stride + offset);
      if (failed(at))
        return failure();
      if (*at < 0 || *at >= size)
        return op.emitOpError("array #")
               << array << ": expected coordinates below " << size << ", got "
               << *at;
      bool isLast = offset + 1 == stride;
      if (failed(enter(level, *at, entry, isLast ? array + 1 : array)))
        return failure();
    }
    return success();
  }

  /// Coordinates of a COO region (a compressed level and the singletons behind
  /// it) lie together: how many there are, and which one that of `level` is.
  std::pair<int64_t, int64_t> getColumns(size_t level) {
    auto start = static_cast<size_t>(encoding.getAoSCOOStart());
    auto rank = static_cast<size_t>(levelSizes.size());
    if (level < start)
      return {1, 0};
    return {static_cast<int64_t>(rank - start),
            static_cast<int64_t>(level - start)};
  }

  LogicalResult enter(size_t level, int64_t coordinate, int64_t entry,
                      size_t array) {
    coordinates[level] = coordinate;
    return walk(level + 1, entry, array);
  }

  FailureOr<int64_t> read(size_t array, int64_t at) {
    if (array < arrays.size() &&
        at < static_cast<int64_t>(arrays[array].size()))
      return arrays[array][at];
    return op.emitOpError("array #")
           << array << ": expected more than " << at << " elements";
  }

  LogicalResult store(int64_t entry) {
    if (entry >= static_cast<int64_t>(values.size()))
      return op.emitOpError("expected more than ")
             << values.size() << " values";
    SmallVector<int64_t> place(coordinates);
    if (AffineMap map = encoding.getLvlToDim())
      place = map.compose(coordinates);
    int64_t linear = 0;
    for (auto [size, coordinate] : llvm::zip_equal(type.getShape(), place)) {
      if (coordinate < 0 || coordinate >= size)
        return success(); // a block reaches over the edge
      linear = linear * size + coordinate;
    }
    elements[linear] = values[entry];
    return success();
  }

  sparse_tensor::AssembleOp op;
  RankedTensorType type;
  sparse_tensor::SparseTensorEncodingAttr encoding;
  SmallVector<std::vector<int64_t>> arrays;
  SmallVector<Attribute> values, elements;
  SmallVector<int64_t> levelSizes, coordinates;
};

struct ImportSparseTensor
    : tamis::impl::ImportSparseTensorBase<ImportSparseTensor> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (module.walk([&](Operation *op) { return check(op); }).wasInterrupted())
      return signalPassFailure();
    SmallVector<Operation *> leaving;
    WalkResult result =
        module.walk([&](Operation *op) { return convert(op, leaving); });
    if (result.wasInterrupted())
      return signalPassFailure();
    for (Operation *op : llvm::reverse(leaving))
      op->erase();
  }

private:
  /// What has no dense form.
  static WalkResult check(Operation *op) {
    if (auto function = dyn_cast<FunctionOpInterface>(op)) {
      for (auto [i, type] : llvm::enumerate(function.getArgumentTypes()))
        if (isSparse(type))
          return op->emitOpError("argument #")
                 << i << " of " << type
                 << ": expected a dense tensor, sparse ones are constants";
      for (auto [i, type] : llvm::enumerate(function.getResultTypes()))
        if (isSparse(type))
          return op->emitOpError("result #")
                 << i << " of " << type << ": expected a dense tensor";
    }
    if (op->getName().getDialectNamespace() !=
            sparse_tensor::SparseTensorDialect::getDialectNamespace() ||
        isa<sparse_tensor::AssembleOp, sparse_tensor::ConvertOp,
            sparse_tensor::YieldOp>(op))
      return WalkResult::advance();
    return op->emitOpError("has no dense form");
  }

  WalkResult convert(Operation *op, SmallVectorImpl<Operation *> &leaving) {
    OpBuilder b(op);
    if (auto assemble = dyn_cast<sparse_tensor::AssembleOp>(op)) {
      FailureOr<DenseElementsAttr> value = Assembler(assemble).assemble();
      if (failed(value))
        return WalkResult::interrupt();
      assemble.getResult().replaceAllUsesWith(
          arith::ConstantOp::create(b, op->getLoc(), *value));
      leaving.push_back(op);
      ++numConstants;
      return WalkResult::advance();
    }
    if (auto cast = dyn_cast<sparse_tensor::ConvertOp>(op)) {
      cast.getResult().replaceAllUsesWith(cast.getSource());
      leaving.push_back(op);
      return WalkResult::advance();
    }
    if (auto constant = dyn_cast<arith::ConstantOp>(op);
        constant && (isSparse(constant.getType()) ||
                     isa<SparseElementsAttr>(constant.getValue()))) {
      constant.setValueAttr(getDense(cast<ElementsAttr>(constant.getValue())));
      ++numConstants;
    }
    if (auto global = dyn_cast<ml_program::GlobalOp>(op);
        global && isSparse(global.getType())) {
      if (auto value = dyn_cast_or_null<ElementsAttr>(global.getValueAttr()))
        global.setValueAttr(getDense(value));
      global.setType(getDense(global.getType()));
      ++numConstants;
    }
    auto strip = [](Value value) { value.setType(getDense(value.getType())); };
    llvm::for_each(op->getResults(), strip);
    for (Region &region : op->getRegions())
      for (Block &block : region)
        llvm::for_each(block.getArguments(), strip);
    return WalkResult::advance();
  }
};
} // namespace
