// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Evaluates what is known at compile time: parameters arrive in the model's
// layout and type, and every pass that wants another one just writes the
// transpose, reshape or cast; this pass does it to the bytes.
#include "EvaluateBody.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/Matchers.h"
#include "tamis/Transforms/ConstantTensor.h"
#include "tamis/Transforms/Passes.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cstring>

namespace mlir::tamis {
#define GEN_PASS_DEF_FOLDCONSTANTS
#include "tamis/Transforms/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

/// A result may be this large, or as large as what it is made of; integers may
/// be unpacked from 2 bits.
static constexpr int64_t kBudgetBytes = int64_t(64) << 20;
static constexpr int64_t kUnpackedBytes = 4;
/// Elements evaluated through folders, which make an attribute each.
static constexpr int64_t kFoldedElements = int64_t(64) << 10;

/// Writes `expr` as a sum of dimensions; false where it is no such sum.
static bool linearize(AffineExpr expr, int64_t factor,
                      SmallVectorImpl<int64_t> &dims, int64_t &constant) {
  if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
    dims[dim.getPosition()] += factor;
    return true;
  }
  if (auto number = dyn_cast<AffineConstantExpr>(expr)) {
    constant += factor * number.getValue();
    return true;
  }
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return false;
  if (binary.getKind() == AffineExprKind::Add)
    return linearize(binary.getLHS(), factor, dims, constant) &&
           linearize(binary.getRHS(), factor, dims, constant);
  if (binary.getKind() != AffineExprKind::Mul)
    return false;
  auto scale = dyn_cast<AffineConstantExpr>(binary.getRHS());
  return scale &&
         linearize(binary.getLHS(), factor * scale.getValue(), dims, constant);
}

namespace {
struct FoldConstants : tamis::impl::FoldConstantsBase<FoldConstants> {
  SymbolTable *symbols = nullptr;
  ConstantWriter *writer = nullptr;

  /// Allocates the bytes of a result of `type` made of `sourceBytes` bytes;
  /// nullopt if over budget.
  std::optional<AsmResourceBlob> allocate(RankedTensorType type,
                                          int64_t sourceBytes) {
    std::optional<int64_t> bytes = getTensorBytes(type);
    if (!bytes)
      return std::nullopt;
    if (isa<IntegerType>(type.getElementType()))
      sourceBytes *= kUnpackedBytes;
    if (*bytes > std::max(kBudgetBytes, sourceBytes)) {
      ++numOverBudget;
      return std::nullopt;
    }
    return HeapAsmResourceBlob::allocate(*bytes, 64);
  }

  Value writeSplat(Operation *op, RankedTensorType type,
                   const ConstantTensor &source) {
    OpBuilder b(op);
    return writer->write(b, op->getLoc(), type,
                         HeapAsmResourceBlob::allocateAndCopyWithAlign(
                             source.bytes, 64, /*dataIsMutable=*/false),
                         /*splat=*/true, source.global);
  }

  /// The result as a strided reading of one source, starting `offset` bytes
  /// in.
  Value gather(Operation *op, const ConstantTensor &source, int64_t offset,
               ArrayRef<int64_t> strides) {
    auto type = cast<RankedTensorType>(op->getResult(0).getType());
    if (source.splat)
      return writeSplat(op, type, source);
    auto blob = allocate(type, source.bytes.size());
    if (!blob)
      return nullptr;
    ConstantTensor result;
    result.type = type;
    copyStrided(blob->getMutableData().data(), result.getStrides(),
                source.bytes.data() + offset, strides, type.getShape(),
                getElementBytes(type.getElementType()));
    OpBuilder b(op);
    return writer->write(b, op->getLoc(), type, std::move(*blob),
                         /*splat=*/false, source.global);
  }

  Value foldTranspose(linalg::TransposeOp op) {
    auto source = getConstantTensor(op.getInput(), *symbols);
    if (!source)
      return nullptr;
    SmallVector<int64_t> strides = source->getStrides(), permuted;
    for (int64_t dim : op.getPermutation())
      permuted.push_back(strides[dim]);
    return gather(op, *source, 0, permuted);
  }

  Value foldBroadcast(linalg::BroadcastOp op) {
    auto source = getConstantTensor(op.getInput(), *symbols);
    if (!source)
      return nullptr;
    SmallVector<int64_t> strides = source->getStrides(), wide;
    auto type = cast<RankedTensorType>(op->getResult(0).getType());
    for (int64_t dim = 0, from = 0; dim < type.getRank(); ++dim)
      wide.push_back(
          llvm::is_contained(op.getDimensions(), dim) ? 0 : strides[from++]);
    return gather(op, *source, 0, wide);
  }

  /// A reshape, or a cast to the static type.
  Value foldReshape(Operation *op) {
    auto source = getConstantTensor(op->getOperand(0), *symbols);
    auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
    if (!source || !type || !type.hasStaticShape() ||
        type.getElementType() != source->type.getElementType())
      return nullptr;
    OpBuilder b(op);
    return source->splat ? writeSplat(op, type, *source)
                         : writer->reshape(b, op->getLoc(), *source, type);
  }

  Value foldExtract(tensor::ExtractSliceOp op) {
    auto source = getConstantTensor(op.getSource(), *symbols);
    if (!source || !op.getType().hasStaticShape() ||
        llvm::is_contained(op.getStaticOffsets(), ShapedType::kDynamic) ||
        llvm::is_contained(op.getStaticStrides(), ShapedType::kDynamic))
      return nullptr;
    SmallVector<int64_t> strides = source->getStrides(), kept;
    int64_t offset = 0;
    llvm::SmallBitVector dropped = op.getDroppedDims();
    for (int64_t dim = 0; dim < source->type.getRank(); ++dim) {
      offset += op.getStaticOffsets()[dim] * strides[dim];
      if (!dropped[dim])
        kept.push_back(strides[dim] * op.getStaticStrides()[dim]);
    }
    return gather(op, *source, offset, kept);
  }

  /// One source placed into a result.
  struct Piece {
    ConstantTensor constant;
    SmallVector<int64_t> offsets, strides, sizes;
  };

  /// The result as several pieces on top of each other, the first of which
  /// covers all of it.
  Value assemble(Operation *op, RankedTensorType type, ArrayRef<Piece> pieces) {
    int64_t sourceBytes = 0;
    bool splat = true;
    ml_program::GlobalOp like;
    for (const Piece &piece : pieces) {
      sourceBytes += piece.constant.bytes.size();
      splat &= piece.constant.splat &&
               piece.constant.bytes == pieces[0].constant.bytes;
      if (!like)
        like = piece.constant.global;
    }
    if (splat)
      return writeSplat(op, type, pieces[0].constant);
    auto blob = allocate(type, sourceBytes);
    if (!blob)
      return nullptr;
    ConstantTensor result;
    result.type = type;
    SmallVector<int64_t> strides = result.getStrides();
    for (const Piece &piece : pieces) {
      char *to = blob->getMutableData().data();
      SmallVector<int64_t> steps;
      for (auto [dim, stride] : llvm::enumerate(strides)) {
        to += piece.offsets[dim] * stride;
        steps.push_back(piece.strides[dim] * stride);
      }
      copyStrided(to, steps, piece.constant.bytes.data(),
                  piece.constant.getStrides(), piece.sizes,
                  getElementBytes(type.getElementType()));
    }
    OpBuilder b(op);
    return writer->write(b, op->getLoc(), type, std::move(*blob),
                         /*splat=*/false, like);
  }

  static Piece makePiece(ConstantTensor constant, ArrayRef<int64_t> offsets) {
    Piece piece;
    piece.sizes = SmallVector<int64_t>(constant.type.getShape());
    piece.strides.assign(piece.sizes.size(), 1);
    piece.offsets = SmallVector<int64_t>(offsets);
    piece.constant = std::move(constant);
    return piece;
  }

  /// `attr` everywhere in `type`.
  static Piece makeSplat(RankedTensorType type, Attribute attr) {
    Piece piece = makePiece(*readConstant(DenseElementsAttr::get(type, attr)),
                            SmallVector<int64_t>(type.getRank(), 0));
    return piece;
  }

  Value foldConcat(tensor::ConcatOp op) {
    auto type = cast<RankedTensorType>(op.getType());
    if (!type.hasStaticShape())
      return nullptr;
    SmallVector<Piece> pieces;
    SmallVector<int64_t> offsets(type.getRank(), 0);
    for (Value input : op.getInputs()) {
      auto constant = getConstantTensor(input, *symbols);
      if (!constant)
        return nullptr;
      int64_t size = constant->type.getDimSize(op.getDim());
      pieces.push_back(makePiece(std::move(*constant), offsets));
      offsets[op.getDim()] += size;
    }
    return assemble(op, type, pieces);
  }

  Value foldInsert(tensor::InsertSliceOp op) {
    auto source = getConstantTensor(op.getSource(), *symbols);
    auto dest = getConstantTensor(op.getDest(), *symbols);
    if (!source || !dest || !op.getSourceType().hasStaticShape() ||
        llvm::is_contained(op.getStaticOffsets(), ShapedType::kDynamic) ||
        llvm::is_contained(op.getStaticStrides(), ShapedType::kDynamic) ||
        op.getSourceType().getRank() != op.getType().getRank())
      return nullptr;
    SmallVector<Piece> pieces;
    pieces.push_back(makePiece(
        std::move(*dest), SmallVector<int64_t>(op.getType().getRank(), 0)));
    pieces.push_back(makePiece(std::move(*source), op.getStaticOffsets()));
    pieces.back().strides = SmallVector<int64_t>(op.getStaticStrides());
    return assemble(op, op.getType(), pieces);
  }

  Value foldPad(tensor::PadOp op) {
    auto source = getConstantTensor(op.getSource(), *symbols);
    Attribute value;
    if (!source || !op.getType().hasStaticShape() ||
        !op.getConstantPaddingValue() ||
        !matchPattern(op.getConstantPaddingValue(), m_Constant(&value)) ||
        llvm::is_contained(op.getStaticLow(), ShapedType::kDynamic) ||
        llvm::any_of(op.getStaticLow(), [](int64_t low) { return low < 0; }) ||
        llvm::any_of(op.getStaticHigh(), [](int64_t high) { return high < 0; }))
      return nullptr;
    auto type = op.getType();
    SmallVector<Piece> pieces;
    pieces.push_back(makeSplat(type, value));
    pieces.push_back(makePiece(std::move(*source), op.getStaticLow()));
    return assemble(op, type, pieces);
  }

  /// A scalar read of a constant.
  Value foldElement(tensor::ExtractOp op) {
    auto source = getConstantTensor(op.getTensor(), *symbols);
    if (!source)
      return nullptr;
    int64_t offset = 0;
    for (auto [index, stride, size] : llvm::zip_equal(
             op.getIndices(), source->getStrides(), source->type.getShape())) {
      llvm::APInt at;
      if (!matchPattern(index, m_ConstantInt(&at)) || at.isNegative() ||
          at.getSExtValue() >= size)
        return nullptr;
      offset += at.getSExtValue() * stride;
    }
    auto scalar = RankedTensorType::get({}, op.getType());
    int64_t bytes = getElementBytes(op.getType());
    ArrayRef<char> element = source->bytes.slice(offset, bytes);
    Attribute value;
    if (op.getType().isInteger(1))
      value = BoolAttr::get(&getContext(), element[0]);
    else
      value = DenseElementsAttr::getFromRawBuffer(scalar, element)
                  .getSplatValue<Attribute>();
    OpBuilder b(op);
    return arith::ConstantOp::create(b, op.getLoc(), cast<TypedAttr>(value));
  }

  Value foldGeneric(linalg::GenericOp op) {
    if (op.getNumDpsInits() != 1 || op->getNumResults() != 1 ||
        op.getNumParallelLoops() != op.getNumLoops() ||
        !op.getMatchingBlockArgument(op.getDpsInitOperand(0)).use_empty() ||
        !op.getMatchingIndexingMap(op.getDpsInitOperand(0)).isIdentity())
      return nullptr;
    auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
    if (!type || !type.hasStaticShape())
      return nullptr;
    SmallVector<ConstantTensor> constants;
    SmallVector<EvaluationInput> inputs;
    int64_t sourceBytes = 0;
    bool splat = !op.hasIndexSemantics();
    for (OpOperand *input : op.getDpsInputOperands()) {
      BlockArgument argument = op.getMatchingBlockArgument(input);
      if (argument.use_empty())
        continue;
      auto constant = getConstantTensor(input->get(), *symbols);
      if (!constant)
        return nullptr;
      AffineMap map = op.getMatchingIndexingMap(input);
      SmallVector<int64_t> strides(op.getNumLoops(), 0);
      int64_t offset = 0;
      for (auto [expr, stride] :
           llvm::zip_equal(map.getResults(), constant->getStrides())) {
        SmallVector<int64_t> dims(op.getNumLoops(), 0);
        int64_t start = 0;
        if (!linearize(expr, 1, dims, start))
          return nullptr;
        offset += start * stride;
        for (auto [total, dim] : llvm::zip_equal(strides, dims))
          total += dim * stride;
      }
      splat &= constant->splat;
      sourceBytes += constant->bytes.size();
      constants.push_back(std::move(*constant));
      inputs.push_back(
          {argument, constants.back().bytes.data() + offset, strides});
    }
    // Without inputs it is a fill: a destination rather than a value.
    if (inputs.empty())
      return nullptr;
    ml_program::GlobalOp like = constants[0].global;
    Value yielded = op.getBody()->getTerminator()->getOperand(0);
    for (auto [input, constant] : llvm::zip_equal(inputs, constants))
      if (yielded == input.argument) {
        ++numMoved;
        return gather(op, constant, input.bytes - constant.bytes.data(),
                      input.strides);
      }
    SmallVector<int64_t> shape(type.getShape());
    if (splat)
      shape.assign(shape.size(), 1);
    auto storage = RankedTensorType::get(shape, type.getElementType());
    auto blob = allocate(storage, sourceBytes);
    if (!blob)
      return nullptr;
    char *to = blob->getMutableData().data();
    auto read = [&](Value value) { return getConstantTensor(value, *symbols); };
    bool done = canEvaluateBody(op) &&
                succeeded(evaluateBody(op, shape, inputs, read, to));
    if (!done && storage.getNumElements() <= kFoldedElements)
      done = succeeded(foldBody(op, shape, inputs, to));
    if (!done)
      return nullptr;
    ++numEvaluated;
    OpBuilder b(op);
    return writer->write(b, op.getLoc(), type, std::move(*blob), splat, like);
  }

  Value fold(Operation *op) {
    return llvm::TypeSwitch<Operation *, Value>(op)
        .Case([&](linalg::TransposeOp op) { return foldTranspose(op); })
        .Case([&](linalg::BroadcastOp op) { return foldBroadcast(op); })
        .Case<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp,
              tensor::ReshapeOp>([&](auto op) { return foldReshape(op); })
        .Case([&](tensor::ExtractSliceOp op) { return foldExtract(op); })
        .Case([&](tensor::InsertSliceOp op) { return foldInsert(op); })
        .Case([&](tensor::ConcatOp op) { return foldConcat(op); })
        .Case([&](tensor::PadOp op) { return foldPad(op); })
        .Case([&](tensor::ExtractOp op) { return foldElement(op); })
        .Case([&](linalg::GenericOp op) { return foldGeneric(op); })
        .Default([](Operation *) { return Value(); });
  }

  void runOnOperation() override {
    SymbolTable table(getOperation());
    ConstantWriter constants(getOperation(), table);
    symbols = &table;
    writer = &constants;
    // Operands come before their readers, so one walk folds whole chains.
    SmallVector<Operation *> ops;
    getOperation()->walk<WalkOrder::PreOrder>([&](Operation *op) {
      ops.push_back(op);
      return isa<linalg::LinalgOp>(op) ? WalkResult::skip()
                                       : WalkResult::advance();
    });
    for (Operation *op : ops) {
      if (op->getNumResults() != 1 || op->use_empty())
        continue;
      Value value = fold(op);
      if (!value)
        continue;
      if (!isa<linalg::GenericOp>(op))
        ++numMoved;
      op->getResult(0).replaceAllUsesWith(value);
      op->erase();
    }
    constants.eraseUnused();
  }
};
} // namespace
